//! What policy/README.md says is so: its examples load, its tables name what there is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lictor::lint::policy_tests;
use lictor::path::Switches;
use lictor::policy::{CompiledPolicy, Files, SourceFile};
use lictor::reason::Reason;

fn readme() -> String {
    std::fs::read_to_string("policy/README.md").unwrap()
}

/// The YAML examples, in order.
fn examples(readme: &str) -> impl Iterator<Item = &str> {
    readme
        .split("\n```yaml\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap())
}

/// What the examples extend.
struct Parents;

impl Files for Parents {
    fn read(&self, name: &str) -> Result<SourceFile, String> {
        Ok(SourceFile::new(name, "version: 1\nname: parent\n"))
    }
}

#[test]
fn every_example_loads_and_passes_its_tests() {
    let readme = readme();
    let mut whole = 0;
    for example in examples(&readme) {
        let text = if example.starts_with("version: 1") {
            whole += 1;
            example.to_owned()
        } else {
            // What the rules of an example speak about.
            let scopes = "scopes: {tests: [\"tests/**\"], reports: [\"reports/*\"], build-files: [\"*.toml\"], secrets: [\"**/.env*\"]}\n";
            let scopes = if example.starts_with("scopes:") {
                ""
            } else {
                scopes
            };
            format!(
                "version: 1\nname: example\nuse: [lictor/pytest@1, lictor/files@1]\n{scopes}{example}\n"
            )
        };
        let policy = CompiledPolicy::load(SourceFile::new("policy", &text), &Parents)
            .unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        for outcome in policy_tests::run(&policy) {
            assert!(
                outcome.passed(),
                "{}: {:?}",
                outcome.request,
                outcome.failures
            );
        }
    }
    assert!(whole >= 1);
}

#[test]
fn every_action_of_the_libraries_is_named() {
    let readme = readme();
    let text = "version: 1\nname: all\nuse: [lictor/files@1, lictor/pytest@1, lictor/cargo@1, lictor/git@1, lictor/npm@1, lictor/coreutils@1]\n";
    let policy = CompiledPolicy::from_yaml(text).unwrap();
    for tool in policy.tools() {
        assert!(
            readme.contains(&format!("`{}`", tool.name)),
            "{}",
            tool.name
        );
        for action in &tool.actions {
            let is_named = readme.contains(&format!("`{}`", action.name))
                || readme.contains(&format!("`{}.{}`", tool.name, action.name));
            assert!(is_named, "{}.{}", tool.name, action.name);
        }
    }
}

#[test]
fn every_reason_of_the_lexical_rules_and_every_switch_is_named() {
    let readme = readme();
    let lexical = Reason::ALL
        .iter()
        .skip_while(|reason| **reason != Reason::PathEmptyOrNone)
        .take_while(|reason| **reason != Reason::SelfProtected);
    let mut seen = 0;
    for reason in lexical {
        assert!(readme.contains(&format!("`{reason}`")), "{reason}");
        seen += 1;
    }
    assert!(seen > 15);
    let switches = serde_json::to_value(Switches::default()).unwrap();
    for name in switches.as_object().unwrap().keys() {
        assert!(readme.contains(&format!("`{name}: ")), "{name}");
    }
}
