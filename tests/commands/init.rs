//! `lictor init` writes a policy that loads, passes its tests and is clean, and never over one that is there.

use std::time::{Duration, Instant};

use lictor::agents::Agent;
use lictor::lint::{self, Diagnostic, Level, Options, Unknown};
use lictor::policy::CompiledPolicy;

use crate::support::program::Place;

/// A directory without a policy.
fn place() -> Place {
    let place = Place::with_policy("version: 1\nname: none\n");
    std::fs::remove_file(place.work().join("lictor.yaml")).unwrap();
    place
}

const KINDS: [(&str, &str); 13] = [
    ("cargo", "Cargo.toml"),
    ("cmake", "CMakeLists.txt"),
    ("docker", "Dockerfile"),
    ("git", ".git/HEAD"),
    ("github", ".github/CODEOWNERS"),
    ("go", "go.mod"),
    ("kubernetes", "k8s/dev.yaml"),
    ("make", "Makefile"),
    ("npm", "package.json"),
    ("pnpm", "pnpm-lock.yaml"),
    ("pytest", "conftest.py"),
    ("terraform", "main.tf"),
    ("yarn", "yarn.lock"),
];

#[track_caller]
fn is_fit(place: &Place) {
    place.lictor(["test"]).end().ends_with_code(0);
    let text = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    let policy = CompiledPolicy::from_yaml(&text).unwrap();
    // What exact analysis does not decide by then is L215, and no fault of the policy.
    let begun = Instant::now();
    let is_late = || begun.elapsed() > Duration::from_secs(3);
    let report = lint::run(&policy, &Unknown, &Options::default().until(&is_late));
    let is_found = |one: &&Diagnostic| one.level > Level::Info && one.code != "L215";
    let found: Vec<_> = report.diagnostics.iter().filter(is_found).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_kind_of_project_is_found_and_gets_a_policy_that_is_fit() {
    for (kind, file) in KINDS {
        let place = place();
        place.write(file, "");
        let answer = place
            .lictor(["init", "--json"])
            .end()
            .ends_with_code(0)
            .json();
        assert_eq!(answer["kinds"], serde_json::json!([kind]));
        is_fit(&place);
    }
}

#[test]
fn several_kinds_and_none_get_one_policy_each() {
    let everything = place();
    for (_, file) in KINDS {
        everything.write(file, "");
    }
    everything.lictor(["init"]).end().ends_with_code(0);
    is_fit(&everything);
    let nothing = place();
    nothing.lictor(["init"]).end().ends_with_code(0);
    is_fit(&nothing);
    let named = place();
    named
        .lictor(["init", "--for", "git", "--for", "npm"])
        .end()
        .ends_with_code(0);
    is_fit(&named);
}

#[test]
fn a_policy_that_is_there_is_kept_and_print_writes_none() {
    let place = place();
    let printed = place
        .lictor(["init", "--print"])
        .end()
        .ends_with_code(0)
        .stdout;
    let file = place.work().join("lictor.yaml");
    assert!(!file.exists());
    place.lictor(["init"]).end().ends_with_code(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    std::fs::write(&file, "mine").unwrap();
    let again = place.lictor(["init"]).end().ends_with_code(2);
    assert!(again.stderr.contains("is here already"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_preset_is_written_as_it_is_and_an_unknown_name_is_told_with_the_nearest() {
    let place = place();
    place
        .lictor(["init", "--preset", "quickstart"])
        .end()
        .ends_with_code(0);
    let written = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    assert_eq!(
        written,
        include_str!("../../policy/presets/quickstart.yaml")
    );
    let preset = place
        .lictor(["init", "--preset", "pytst"])
        .end()
        .ends_with_code(2);
    assert!(
        preset.stderr.contains("did you mean `pytest`?"),
        "{preset:?}"
    );
    let kind = place
        .lictor(["init", "--for", "crgo"])
        .end()
        .ends_with_code(2);
    assert!(kind.stderr.contains("did you mean `cargo`?"), "{kind:?}");
}

#[test]
fn each_agent_has_a_preset_that_is_fit_and_asks_for_what_is_not_everyday() {
    for agent in Agent::all() {
        let place = place();
        place
            .lictor(["init", "--preset", agent.name()])
            .end()
            .ends_with_code(0);
        let text = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
        assert!(text.contains(&format!("\nname: {}\n", agent.name())));
        if agent.name() == "claude-code" {
            is_fit(&place);
        }
        let rules: Vec<&str> = text.split("\n  - id: ").skip(1).collect();
        assert!(rules.len() > 30);
        for rule in rules {
            assert!(rule.contains("\n    reason: "), "{rule}");
        }
    }
}
