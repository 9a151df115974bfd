//! The exit codes that README.md and `--help` promise, of every command that promises them; those of `run` that
//! stand for how a command ended are in `command_line.rs`.

use crate::support::program::{Answer, Place};

/// Allows `docs`, denies keys there, asks about drafts; one invariant that holds, tests that pass and show all.
const GOOD: &str = r#"version: 1
name: good
use: lictor/files@1
scopes: {docs: "docs/**", drafts: "docs/drafts/**", keys: ["**/.env*", "**/*.pem", "**/*.key", "**/id_*", "**/.ssh/**", "**/.aws/**", "**/.netrc", "**/.npmrc", "**/.pypirc"]}
rules:
  - {id: read, allow: filesystem.read_file, within: docs, reason: Documents are open.}
  - {id: drafts, ask: filesystem.read_file, touching: drafts, reason: Drafts are shown by their author.}
  - {id: keys, deny: "*", touching: keys, reason: Keys are read by people.}
invariants:
  - {id: no-keys, never: "*", paths: ["**/*.pem"]}
tests:
  - {tool: filesystem, action: read_file, args: {path: docs/a.md}, expect: allow, rule: read}
  - {tool: filesystem, action: read_file, args: {path: docs/drafts/a.md}, expect: ask, rule: drafts}
  - {tool: filesystem, action: read_file, args: {path: docs/a.pem}, expect: deny, rule: keys}
  - {tool: filesystem, action: read_file, args: {path: docs_old/a.md}, expect: deny, reason: PATH_OUTSIDE_ALLOWED_SCOPE}
"#;

/// Nine approvals can be granted in 512 ways, which is more than exact analysis looks at.
fn unknown() -> String {
    let numbers = 1..=9;
    let approvals = numbers
        .clone()
        .map(|n| format!("  a{n}: {{grant: true, by: [\"{KEY}\"], max_age: 1h}}\n"));
    let rules = numbers.map(|n| {
        format!("  - {{id: r{n}, allow: filesystem.read_file, within: docs, approval: a{n}, reason: Granted.}}\n")
    });
    format!(
        "version: 1
name: unknown
use: lictor/files@1
scopes: {{docs: \"docs/**\"}}
approvals:
{}rules:
{}  - {{id: never, deny: \"*\", touching: docs, access: execute, reason: Nobody.}}
invariants:
  - {{id: closed, never: filesystem.read_file, paths: [\"docs/**\"]}}
",
        approvals.collect::<String>(),
        rules.collect::<String>()
    )
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c alice";

/// `check` or `explain` of a file.
fn reading<'w>(command: &'w str, path: &'w str) -> [&'w str; 7] {
    [
        command,
        "--tool",
        "filesystem",
        "--action",
        "read_file",
        "--arg",
        path,
    ]
}

#[track_caller]
fn check(place: &Place, words: &[&str], code: i32) -> Answer {
    let answer = place.lictor(words).end();
    assert_eq!(answer.code, Some(code), "{words:?}: {answer:?}");
    answer
}

#[test]
fn decisions_end_with_0_1_2_or_3() {
    let place = Place::with_policy(GOOD);
    place.write("broken.yaml", "version: 1\nname: x\nrules: {\n");
    for command in ["check", "explain"] {
        check(&place, &reading(command, "path=docs/a.md"), 0);
        check(&place, &reading(command, "path=docs/a.pem"), 1);
        check(&place, &reading(command, "path=../a.md"), 1);
        check(&place, &reading(command, "path=docs/drafts/a.md"), 3);
        // Nothing could be decided: bad usage, a policy that does not load, one that is not there.
        check(&place, &[command], 2);
        check(&place, &[command, "--no-such-option", "--", "ls"], 2);
        for policy in ["broken.yaml", "nowhere.yaml"] {
            let reading = reading(command, "path=docs/a.md");
            let words = [&["--policy", policy], &reading[..]].concat();
            let answer = check(&place, &words, 2);
            assert!(
                answer.stdout.is_empty() && answer.stderr.contains("error"),
                "{answer:?}"
            );
        }
    }
}

#[test]
fn a_run_that_could_not_be_decided_ends_with_2() {
    let place = Place::with_policy("version: 1\nname: x\nrules: {\n");
    check(&place, &["run", "--", "true"], 2);
    check(&place, &["run"], 2);
    check(
        &place,
        &["run", "--policy", "nowhere.yaml", "--", "true"],
        2,
    );
}

#[test]
fn looking_at_policies_ends_with_0_1_or_2() {
    let place = Place::with_policy(GOOD);
    place.write("same.yaml", format!("{GOOD}# the same\n"));
    place.write("wider.yaml", GOOD.replace("\"docs/**\"", "\"docs*/**\""));
    place.write("docs/drafts/a.md", "text\n");
    let failing = GOOD.replace(
        "path: docs/a.md}, expect: allow",
        "path: docs/a.md}, expect: deny",
    );
    place.write("failing.yaml", failing);
    place.write(
        "violated.yaml",
        GOOD.replace("\"**/*.pem\"]}", "\"docs/*.md\"]}"),
    );
    place.write("broken.yaml", "version: 1\nname: x\nrules: {\n");

    check(&place, &["lint", "lictor.yaml"], 0);
    check(&place, &["lint", "failing.yaml"], 1);
    check(&place, &["lint", "--exit-zero", "failing.yaml"], 0);
    // One that does not load has findings; one that is not there could not be looked at.
    check(&place, &["lint", "broken.yaml"], 1);
    check(&place, &["lint", "nowhere.yaml"], 2);
    check(&place, &["lint", "--fail-on", "everything"], 2);

    check(&place, &["test", "lictor.yaml"], 0);
    check(&place, &["test", "--min-coverage", "100", "lictor.yaml"], 0);
    check(&place, &["test", "failing.yaml"], 1);
    check(&place, &["test", "--min-coverage", "100", "wider.yaml"], 1);
    check(&place, &["test", "broken.yaml"], 2);
    check(&place, &["test", "nowhere.yaml"], 2);

    check(&place, &["diff", "lictor.yaml", "same.yaml"], 0);
    check(&place, &["diff", "lictor.yaml", "wider.yaml"], 1);
    check(
        &place,
        &[
            "diff",
            "--fail-on",
            "new-allow",
            "wider.yaml",
            "lictor.yaml",
        ],
        0,
    );
    check(&place, &["diff", "lictor.yaml", "broken.yaml"], 2);
    check(&place, &["diff", "lictor.yaml"], 2);

    check(&place, &["prove", "lictor.yaml"], 0);
    check(&place, &["prove", "violated.yaml"], 1);
    check(&place, &["prove", "broken.yaml"], 2);

    check(&place, &["attack", "--count", "50", "lictor.yaml"], 0);
    check(&place, &["attack", "broken.yaml"], 2);
}

#[test]
fn what_reached_a_cap_ends_with_4_never_with_0() {
    let place = Place::with_policy(&unknown());
    let other = unknown().replace("\"docs/**\"\n", "\"docs/**\" # the same\n");
    place.write(
        "other.yaml",
        other.replace("for: [nobody]", "for: [somebody]"),
    );
    place.write("docs/a.md", "text\n");

    let told = check(&place, &["lint", "lictor.yaml"], 4);
    assert!(told.stdout.contains("L215"), "{told:?}");
    // Findings at the level that was asked for are told before.
    check(&place, &["lint", "--fail-on", "warn", "lictor.yaml"], 1);
    check(&place, &["lint", "--exit-zero", "lictor.yaml"], 0);

    let told = check(&place, &["prove", "lictor.yaml"], 4);
    assert!(told.stdout.contains("unknown"), "{told:?}");
    let told = check(&place, &["diff", "lictor.yaml", "other.yaml"], 4);
    let text = format!("{}{}", told.stdout, told.stderr);
    assert!(text.contains("known"), "{told:?}");
    let told = check(&place, &["diff", "--json", "lictor.yaml", "other.yaml"], 4);
    assert_eq!(told.json()["unknown"], true);

    // Whether the rule that decides nothing ever does cannot be told.
    let told = check(&place, &["test", "--generate", "lictor.yaml"], 4);
    assert!(told.stderr.contains("rule `never`"), "{told:?}");
    assert!(told.stderr.contains("is not known"), "{told:?}");
}

#[test]
fn checking_the_record_ends_with_0_1_or_2() {
    let place = Place::with_policy(GOOD);
    let ledger = place.ledger();
    let ledger = ledger.to_str().unwrap();
    let verify = ["ledger", "verify", "--ledger", ledger];
    let is_expected = [&verify[..], &["--require", "signed"]].concat();
    // None where one is expected.
    check(&place, &is_expected, 1);
    check(
        &place,
        &[
            &["--ledger", ledger],
            &reading("check", "path=docs/a.md")[..],
        ]
        .concat(),
        0,
    );
    check(&place, &verify, 0);
    check(&place, &is_expected, 0);
    check(&place, &[&verify[..], &["--anchor", "nowhere"]].concat(), 2);
    let segment = place.ledger().join("segments/000000000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace("docs/a.md", "docs/b.md")).unwrap();
    check(&place, &verify, 1);
}
