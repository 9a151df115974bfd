//! At the moment of asking: what a person is offered, what each approval then covers, and what a refusal does.
//! Real processes.
use crate::support::ordinary;
use crate::support::program::{Answer, Place};
use serde_json::{Value as Json, json};

const POLICY: &str = r#"version: 1
name: asks
tools:
  edit:
    program: edit
    actions:
      write: {command: write, args: {force: {type: flag, names: ["--force"]}, path: {type: path, access: write, creates: itself, required: true, repeat: true}}}
      copy: {command: copy, args: {from: {type: path, required: true}, to: {type: path, access: write, creates: itself, required: true}}}
      stop: {command: stop}
      plan: {command: plan, args: {plan: {type: path, pin: true, required: true}}}
scopes:
  src: {include: "src/**", exclude: "src/vendor/**"}
  docs: ["docs/*.md"]
  keys: ["**/*.key"]
  release: ["src/release/**"]
  legal: ["src/legal/**"]
approvals:
  person: {grant: true}
  lead: {grant: true}
  brief: {grant: true, max_uses: 3, max_age: 5m}
rules:
  - {id: write, allow: edit.write, within: src, approval: person}
  - {id: write-docs, allow: edit.write, within: docs, approval: brief}
  - {id: release, ask: edit.write, touching: release, approval: lead}
  - {id: copy, allow: edit.copy, within: src, approval: person}
  - {id: stop, allow: edit.stop, approval: person}
  - {id: plan, allow: edit.plan, within: src, approval: person}
  - {id: no-keys, deny: "*", touching: keys, reason: Keys are nobody's business.}
invariants:
  - {id: legal, never: edit.copy, paths: "src/legal/**"}
defaults: {program_path: ["BIN", /usr/bin, /bin]}
"#;

/// Says what it was told to do.
const EDIT: &str = "#!/bin/sh\nprintf '%s\\n' \"$*\"\n";

fn place() -> Place {
    let place = Place::new();
    place.write("lictor.yaml", POLICY.replace("BIN", &bin(&place)));
    for file in [
        "src/ui/a.ts",
        "src/ui/b.ts",
        "src/ui/deep/c.ts",
        "src/ui/page.key",
        "src/vendor/x.js",
        "src/release/notes",
        "src/legal/terms",
        "src/lib.rs",
        "docs/a.md",
        "docs/b.md",
        "docs/sub/c.md",
        "docs/a.txt",
    ] {
        place.write(file, "text\n");
    }
    place
}

/// The directory of the program that the policy names, made with it.
fn bin(place: &Place) -> String {
    use std::os::unix::fs::PermissionsExt;
    let bin = place.root().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = bin.join("edit");
    std::fs::write(&program, EDIT).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    bin.to_str().unwrap().to_owned()
}

fn lictor(place: &Place, words: &[&str]) -> Answer {
    place.lictor(words).end()
}

/// What is offered for a command line.
fn offers(place: &Place, words: &[&str]) -> Json {
    let all = [&["--actor", "agent", "approve", "--json", "--"], words].concat();
    lictor(place, &all).ends_with_code(3).json()
}

fn offered<'o>(offers: &'o Json, width: &str) -> Option<&'o Json> {
    let all = offers["offers"].as_array().unwrap();
    all.iter().find(|offer| offer["width"] == width)
}

#[track_caller]
fn approve(place: &Place, width: &str, words: &[&str]) -> Json {
    let options = [
        "--actor",
        "agent",
        "approve",
        "--json",
        "--why",
        "it was read",
        "--width",
    ];
    let all = [&options[..], &[width, "--"], words].concat();
    lictor(place, &all).ends_with_code(0).json()
}

#[track_caller]
fn check(place: &Place, actor: &str, words: &[&str], effect: &str) {
    let all = [
        &[
            "--actor",
            actor,
            "check",
            "--json",
            "--dry-run",
            "--on-disk",
            "--",
        ],
        words,
    ]
    .concat();
    let decision = lictor(place, &all).json();
    assert_eq!(decision["effect"], effect, "{words:?}: {decision:#}");
}

#[test]
fn a_request_is_offered_in_widths_each_with_what_it_covers() {
    let place = place();
    let all = offers(&place, &["edit", "write", "src/ui"]);
    let paths = offered(&all, "paths").unwrap();
    assert_eq!(
        paths["terms"]["extent"],
        json!({
            "rules": ["write"], "tool": "edit", "action": "write", "args": {}, "cwd": ".",
            "paths": {"path": {"within": ["src/ui/**"], "except": ["**/*.key"]}},
        })
    );
    assert_eq!(paths["files"], json!({"covered": 3, "kept_out": 1}));
    assert_eq!(
        (&paths["number"], &paths["terms"]["uses"]),
        (&json!(2), &json!(10))
    );
    // Wider than the tree: the directory above, without what is excluded, denied, or another rule's to ask about.
    let all = offers(&place, &["edit", "write", "src/lib.rs", "src/ui/a.ts"]);
    let below = offered(&all, "below").unwrap();
    assert_eq!(
        below["terms"]["extent"],
        json!({
            "rules": ["write"], "tool": "edit", "action": "write", "args": "any", "cwd": ".",
            "paths": {"path": {
                "within": ["src/**"],
                "except": ["src/vendor/**", "src/release/**", "**/*.key"],
            }},
        })
    );
    assert_eq!(below["files"], json!({"covered": 5, "kept_out": 3}));
    assert_eq!(below["terms"]["uses"], 20);
    assert_eq!(below["terms"]["actor"], "agent");
    // What a pattern of the rule says more closely than the directory is what is offered; no more than the policy lets a
    // grant have.
    let all = offers(&place, &["edit", "write", "docs/a.md"]);
    let below = offered(&all, "below").unwrap();
    assert_eq!(
        below["terms"]["extent"]["paths"]["path"],
        json!({"within": ["docs/*.md"]})
    );
    assert_eq!(below["files"], json!({"covered": 2, "kept_out": 0}));
    assert_eq!(below["terms"]["uses"], 3);
    // An invariant keeps out as a deny does. Each argument has places of its own.
    let all = offers(&place, &["edit", "copy", "src/lib.rs", "src/ui/c"]);
    let places = &offered(&all, "below").unwrap()["terms"]["extent"]["paths"];
    assert_eq!(
        places["to"],
        json!({"within": ["src/ui/**"], "except": ["**/*.key"]})
    );
    assert_eq!(
        places["from"]["except"],
        json!(["src/vendor/**", "**/*.key", "src/legal/**"])
    );
}

#[test]
fn a_width_that_says_no_more_or_cannot_be_proved_is_not_offered_and_why_is_told() {
    let place = place();
    let withheld = |words: &[&str], width: &str| {
        let all = offers(&place, words);
        assert!(offered(&all, width).is_none(), "{all:#}");
        let found = all["withheld"].as_array().unwrap().iter();
        let found = found.clone().find(|withheld| withheld["width"] == width);
        found.unwrap()["why"].as_str().unwrap().to_owned()
    };
    let why = withheld(&["edit", "write", "src/ui/a.ts"], "paths");
    assert!(why.contains("no more than the request itself"), "{why}");
    for width in ["paths", "below"] {
        let why = withheld(&["edit", "stop"], width);
        assert!(why.contains("names no path"), "{why}");
        let why = withheld(&["edit", "plan", "src/lib.rs"], width);
        assert!(why.contains("by its content"), "{why}");
        // The first answer is not the last: two people are asked.
        let why = lictor(
            &place,
            &[
                "approve",
                "--why",
                "x",
                "--approval",
                "lead",
                "--width",
                width,
                "--",
                "edit",
                "write",
                "src/release/notes",
            ],
        )
        .ends_with_code(2)
        .stderr;
        assert!(why.contains("needs another approval as well"), "{why}");
    }
}

#[test]
fn what_a_wider_grant_covers_runs_and_nothing_else_does() {
    let place = place();
    let granted = approve(&place, "below", &["edit", "write", "src/ui/a.ts"]);
    assert_eq!(granted["terms"]["extent"]["args"], "any");
    for words in [
        &["edit", "write", "src/ui/a.ts"][..],
        &["edit", "write", "src/ui/b.ts", "src/ui/deep/c.ts"],
        &["edit", "write", "--force", "src/ui/new.ts"],
        &["edit", "write", "src/ui/deep"],
    ] {
        check(&place, "agent", words, "allow");
        check(&place, "other", words, "ask");
    }
    for (words, effect) in [
        (&["edit", "write", "src/lib.rs"][..], "ask"),
        (&["edit", "write", "src/ui/a.ts", "src/lib.rs"], "ask"),
        (&["edit", "copy", "src/ui/a.ts", "src/ui/c"], "ask"),
        (&["edit", "write", "src/release/notes"], "ask"),
        (&["edit", "write", "src/ui/page.key"], "deny"),
        // The tree holds what is denied.
        (&["edit", "write", "src/ui"], "deny"),
    ] {
        check(&place, "agent", words, effect);
    }
    let run = [
        "--actor",
        "agent",
        "run",
        "--",
        "edit",
        "write",
        "src/ui/b.ts",
    ];
    let ran = lictor(&place, &run).ends_with_code(0);
    assert_eq!(ran.stdout, "write src/ui/b.ts\n");
    let list = lictor(&place, &["approvals", "--json"]).json();
    assert_eq!(list["grants"][0]["spent"], 1, "{list:#}");
    // A policy that changes voids it, whatever changed.
    let policy = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    place.write("lictor.yaml", policy + "# read again\n");
    check(&place, "agent", &["edit", "write", "src/ui/b.ts"], "ask");
}

#[test]
fn the_same_command_is_the_same_arguments_on_some_of_the_paths() {
    let place = place();
    approve(&place, "2", &["edit", "write", "src/ui/a.ts", "src/lib.rs"]);
    for (words, effect) in [
        (&["edit", "write", "src/ui/a.ts", "src/lib.rs"][..], "allow"),
        (&["edit", "write", "src/lib.rs", "src/ui/a.ts"], "allow"),
        (&["edit", "write", "src/lib.rs"], "allow"),
        (&["edit", "write", "--force", "src/lib.rs"], "ask"),
        (&["edit", "write", "src/lib.rs", "src/ui/b.ts"], "ask"),
    ] {
        check(&place, "agent", words, effect);
    }
    // It is about the directory that it was asked in.
    let elsewhere = [
        "--actor",
        "agent",
        "check",
        "--json",
        "--dry-run",
        "--cwd",
        "src",
        "--",
        "edit",
        "write",
        "lib.rs",
    ];
    assert_ne!(lictor(&place, &elsewhere).json()["effect"], "allow");
}

#[test]
fn only_what_was_shown_is_approved() {
    let place = place();
    let words = ["edit", "write", "src/ui/a.ts"];
    let all = offers(&place, &words);
    let offer = offered(&all, "below").unwrap();
    let shown = offer["offer"].as_str().unwrap().to_owned();
    let approve = |width: &str| {
        let options = [
            "--actor", "agent", "approve", "--json", "--why", "x", "--offer", &shown, "--width",
        ];
        lictor(&place, &[&options[..], &[width, "--"], &words].concat())
    };
    let other = approve("exact").ends_with_code(2);
    assert!(other.stderr.contains("is not what was shown"), "{other:?}");
    approve("below").ends_with_code(0);
    let policy = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    place.write("lictor.yaml", policy.replace("src/legal", "src/law"));
    approve("below").ends_with_code(2);
}

#[test]
fn what_is_offered_is_read_at_eighty_columns_and_quotes_each_value() {
    let place = place();
    let words = [
        "--actor",
        "agent",
        "approve",
        "--",
        "edit",
        "write",
        "src/ui/a.ts",
        "src/ui/it's .ts",
    ];
    let told = lictor(&place, &words).ends_with_code(3).stdout;
    for line in told.lines() {
        assert!(
            line.chars().count() <= 80 || line.contains("workspace"),
            "{line}"
        );
    }
    for part in [
        "1  exact  this request\n",
        "2  paths  this command on these paths\n",
        "3  below  this action below this directory\n",
        "counts     20 times, until ",
        "path in 'src/ui/**'",
        "path not in '**/*.key'",
        "none that a deny touches",
        r"'src/ui/it'\''s .ts'",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    let ask = [
        "--actor",
        "agent",
        "run",
        "--",
        "edit",
        "write",
        "src/ui/a.ts",
    ];
    let ask = lictor(&place, &ask).ends_with_code(126);
    assert!(
        ask.stderr.contains("the same line without --why"),
        "{ask:?}"
    );
}

#[test]
fn all_of_it_as_an_ordinary_user() {
    ordinary::again(module_path!(), &["as_an_ordinary_user"]);
}
