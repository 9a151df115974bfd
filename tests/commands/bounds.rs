//! What one request, one line or one policy may cost at most, and where the record has to lie.

use std::fmt::Write;
use std::process::Command;

use crate::support::program::{Answer, Place};
use serde_json::{Value as Json, json};

const READ: &str = "version: 1
name: bounds
use: [lictor/files@1, lictor/coreutils@1, lictor/pytest@1]
scopes: {docs: \"docs/**\"}
rules: [{id: read, allow: [filesystem.read_file, cat.run, pytest.run], within: docs}]
";

fn lictor(place: &Place, words: &[&str]) -> Answer {
    place.lictor(words).end()
}

/// The entries of the ledger, as `lictor ledger show` tells them.
fn entries(place: &Place, kind: &str) -> Vec<Json> {
    let shown = lictor(place, &["ledger", "show", "--json"]).ends_with_code(0);
    let all = shown.json_lines();
    all.into_iter()
        .filter(|entry| entry["type"] == kind)
        .collect()
}

// Requests

#[test]
fn a_line_that_is_too_long_is_neither_kept_nor_said_again() {
    let place = Place::with_policy(READ);
    // 200 MB of one line, in a process that may use 150.
    let script = format!(
        "ulimit -v 150000; (printf '{{\"id\":1,\"argv\":[\"'; head -c 200000000 /dev/zero | tr '\\0' a; \
         printf '\"]}}\\n{{\"id\":2,\"argv\":[\"cat\",\"docs/a\"]}}\\n') | {} check --batch",
        env!("CARGO_BIN_EXE_lictor")
    );
    let start = place.lictor::<&str>([]);
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.work())
        .env_clear()
        .envs(start.command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Json> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 2, "{text} {:?}", output.stderr);
    assert_eq!(answers[0]["reason"], "REQUEST_TOO_LARGE");
    assert_eq!(answers[0]["recorded"], true);
    assert_eq!(
        (&answers[1]["id"], &answers[1]["effect"]),
        (&json!(2), &json!("allow"))
    );
    assert!(text.len() < 5_000, "{}", text.len());
}

#[test]
fn a_line_is_read_up_to_the_size_that_a_request_may_have() {
    let place = Place::with_policy(READ);
    let line = |length: usize| {
        let start = "{\"argv\":[\"cat\",\"docs/a\",\"";
        let end = "\"]}";
        format!(
            "{start}{}{end}",
            "b".repeat(length - start.len() - end.len())
        )
    };
    let most = 256 * 1024;
    for (input, reason) in [
        (format!("{}\n", line(most)), "PATH_TOO_LONG"),
        (line(most), "PATH_TOO_LONG"),
        (format!("{}\n", line(most + 1)), "REQUEST_TOO_LARGE"),
        (line(most + 1), "REQUEST_TOO_LARGE"),
    ] {
        let answer = place
            .lictor(["check", "--batch", "--dry-run"])
            .input(input)
            .end();
        assert_eq!(answer.ends_with_code(0).json()["reason"], reason);
    }
    // Nor is what a command line holds beyond that said again.
    let words = [
        "a".repeat(100_000),
        "b".repeat(100_000),
        "c".repeat(100_000),
    ];
    for start in [
        vec!["check", "--json", "--", "cat"],
        vec!["check", "--json", "--tool", "cat", "--action", "run"],
    ] {
        let mut all: Vec<String> = start.iter().map(|word| (*word).to_owned()).collect();
        for word in &words {
            if all.contains(&"--tool".to_owned()) {
                all.push(format!("--arg=path={word}"));
            } else {
                all.push(word.clone());
            }
        }
        let answer = place.lictor(&all).end().ends_with_code(1);
        assert_eq!(answer.json()["reason"], "REQUEST_TOO_LARGE");
        assert!(answer.stdout.len() < 5_000, "{}", answer.stdout.len());
    }
}

#[test]
fn a_line_of_json_is_one_to_every_reader() {
    let place = Place::with_policy(READ);
    let input = "{\"argv\":[\"cat\",\"docs/\u{2028}\u{85}\u{2029}\u{200b}\"]}\n";
    for options in [
        &["check", "--batch"][..],
        &["check", "--batch", "--on-disk"],
    ] {
        let answer = place.lictor(options).input(input).end().ends_with_code(0);
        let odd = ['\u{2028}', '\u{85}', '\u{2029}', '\u{200b}'];
        assert!(!answer.stdout.contains(odd), "{answer:?}");
        let argv = json!(["cat", "docs/\u{2028}\u{85}\u{2029}\u{200b}"]);
        assert_eq!(answer.json()["request"]["argv"], argv);
    }
    let shown = lictor(&place, &["ledger", "show", "--json"]).ends_with_code(0);
    assert!(!shown.stdout.contains(['\u{2028}', '\u{85}']));
}

#[test]
fn a_target_of_the_wrong_form_is_not_told_to_be_written_as_it_is() {
    let place = Place::with_policy(READ);
    for target in [
        "docs/a.py::",
        "docs/a.py::a/b",
        "docs[1]/a.py",
        "docs/a.py:::t",
    ] {
        let words = ["check", "--json", "--dry-run", "--", "pytest", target];
        let answer = lictor(&place, &words).ends_with_code(1).json();
        assert_eq!(answer["reason"], "PATH_TARGET_SYNTAX_DENIED", "{answer}");
        assert_ne!(answer["instead"], format!("write `{target}`"), "{answer}");
    }
}

// Policies

fn policy_of(rules: usize) -> String {
    let mut text = "version: 1\nname: many\nuse: [lictor/files@1]\nscopes:\n".to_owned();
    for nth in 0..rules {
        writeln!(text, "  s{nth}: [\"a{nth}/**\"]").unwrap();
    }
    text.push_str("rules:\n");
    for nth in 0..rules {
        writeln!(text, "  - {{id: r{nth}, allow: \"*\", within: s{nth}}}").unwrap();
    }
    text
}

#[test]
fn a_large_policy_is_not_looked_at_by_lint_before_its_first_decision() {
    for (rules, counts) in [(50, true), (2_000, false)] {
        let place = Place::with_policy(&policy_of(rules));
        let words = [
            "check",
            "--tool",
            "filesystem",
            "--action",
            "read_file",
            "--arg",
            "path=a5/x",
        ];
        lictor(&place, &words).ends_with_code(0);
        let policy = &entries(&place, "policy")[0];
        let lint = policy["lint"].as_object().unwrap();
        assert_eq!(lint.contains_key("warnings"), counts, "{policy}");
        if !counts {
            assert_eq!(policy["lint"], json!({"codes": [], "whole": false}));
        }
    }
}

#[test]
fn of_many_mistakes_the_first_are_told_and_how_many_more_there_are() {
    let mut text = "version: 1\nname: wrong\nrules:\n".to_owned();
    for nth in 0..5_000 {
        writeln!(text, "  - {{id: r{nth}, alow: \"*\"}}").unwrap();
    }
    let place = Place::with_policy(&text);
    for format in ["human", "compact", "json", "sarif", "github", "junit"] {
        let words = ["lint", "--format", format, "lictor.yaml"];
        let answer = lictor(&place, &words);
        assert!(answer.stdout.contains("more mistakes"), "{format}");
        assert!(answer.stdout.len() < 1_000_000, "{format}");
    }
    let found = lictor(&place, &["lint", "--format", "json", "lictor.yaml"]);
    let found: Json = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 201);
    let last = found[200]["message"].as_str().unwrap();
    assert!(last.starts_with("and 4800 more mistakes"), "{last}");
    let check = lictor(&place, &["check", "--", "true"]).ends_with_code(2);
    assert!(check.stderr.contains("more mistakes"));
}

// Where the record lies

const OPEN: &str = "version: 1
name: open
use: [lictor/files@1, lictor/coreutils@1]
scopes: {all: [\"**\"], sources: [\"src/**\"], record: [\"state/**\"]}
rules:
";

#[test]
fn a_ledger_where_rules_let_requests_read_or_write_is_refused() {
    let cases = [
        (
            "  - {id: a, allow: filesystem.read_file, within: all}\n",
            true,
        ),
        (
            "  - {id: a, allow: filesystem.write_file, within: all}\n",
            true,
        ),
        ("  - {id: a, allow: cat.run, within: record}\n", true),
        (
            "  - {id: a, allow: filesystem.write_file, within: sources}\n",
            false,
        ),
        (
            "  - {id: a, allow: filesystem.*, within: all}\n  - {id: d, deny: \"*\", touching: record}\n",
            false,
        ),
        // Still to be read.
        (
            "  - {id: a, allow: filesystem.*, within: all}\n  - {id: d, deny: \"*\", touching: record, access: write}\n",
            true,
        ),
    ];
    for (rules, is_refused) in cases {
        for named in [true, false] {
            let rules = rules.replace("filesystem.*,", "\"filesystem.*\",");
            let policy = match named {
                true => format!("{OPEN}{rules}ledger: {{path: state/ledger}}\n"),
                false => format!("{OPEN}{rules}"),
            };
            let place = Place::with_policy(&policy);
            place.write("src/a", "text\n");
            place.write("state/a", "text\n");
            let option: &[&str] = if named {
                &[]
            } else {
                &["--ledger", "state/ledger"]
            };
            let (tool, action) = match rules.contains("write_file") {
                true => ("filesystem", "write_file"),
                false if rules.contains("cat.run") => ("cat", "run"),
                false => ("filesystem", "read_file"),
            };
            let path = if tool == "cat" {
                "path=state/a"
            } else {
                "path=src/a"
            };
            let words = [
                &["check", "--json"],
                option,
                &["--tool", tool, "--action", action, "--arg", path],
            ]
            .concat();
            let answer = lictor(&place, &words);
            let json = answer.json();
            if is_refused {
                assert_eq!(json["reason"], "LEDGER_UNAVAILABLE", "{policy} {json}");
                let message = json["message"].as_str().unwrap();
                assert!(message.contains("keep it outside"), "{message}");
                assert!(!place.work().join("state/ledger").exists());
                if named {
                    // Lint has said so before.
                    let lint = lictor(&place, &["lint", "--format", "compact", "lictor.yaml"]);
                    assert!(lint.stdout.contains("X308"), "{policy} {lint:?}");
                }
                // What nothing is recorded for says so as well.
                let dry = [&words[..], &["--dry-run"]].concat();
                let dry = lictor(&place, &dry).json();
                assert_eq!(dry["reason"], "LEDGER_UNAVAILABLE", "{dry}");
            } else {
                assert_eq!(json["effect"], "allow", "{policy} {json}");
                assert_eq!(json["recorded"], true, "{policy} {json}");
            }
        }
    }
}

#[test]
fn nothing_runs_with_its_record_in_reach_and_no_link_hides_where_that_is() {
    let rules = "  - {id: a, allow: cat.run, within: all}\n";
    let place = Place::with_policy(&format!("{OPEN}{rules}"));
    place.write("src/a", "text\n");
    std::fs::create_dir(place.work().join("state")).unwrap();
    let link = place.root().join("link");
    std::os::unix::fs::symlink(place.work().join("state"), &link).unwrap();
    let ledger = link.join("ledger");
    let words = [
        "--ledger",
        ledger.to_str().unwrap(),
        "run",
        "--",
        "cat",
        "src/a",
    ];
    let ran = lictor(&place, &words);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("LEDGER_UNAVAILABLE"), "{ran:?}");
    assert_eq!(ran.stdout, "");
    // Where it lies by default nothing is in the way.
    lictor(&place, &["run", "--", "cat", "src/a"]).ends_with_code(0);
}

// What is recorded

#[test]
fn a_path_like_a_token_hides_nothing_but_itself_from_the_record() {
    let place = Place::with_policy(&READ.replace("docs/**", "**"));
    let token = format!("s{}{}", "k-", "a".repeat(25));
    let path = format!("{token}/private/f");
    place.write(&path, "text\n");
    lictor(&place, &["run", "--", "cat", &path]).ends_with_code(0);
    let decision = entries(&place, "decision").remove(0);
    let text = decision.to_string();
    assert!(!text.contains(&token), "{text}");
    let shown = &decision["request"]["argv"][1]["redacted"];
    assert_eq!(shown[0]["bytes"], 28, "{shown}");
    assert_eq!(shown[0]["hmac"].as_str().unwrap().len(), 64, "{shown}");
    assert_eq!(shown[1], "/private/f", "{shown}");
    let canonical = &decision["findings"][0]["canonical"]["redacted"];
    assert_eq!(canonical, shown, "{decision}");
    lictor(&place, &["ledger", "verify"]).ends_with_code(0);
}

#[test]
fn a_request_about_the_word_redacted_is_decided_again_like_any_other() {
    let place = Place::with_policy(READ);
    place.write("notes/redacted.md", "text\n");
    let read = |path: &str| {
        let path = format!("path={path}");
        let words = [
            "check",
            "--tool",
            "filesystem",
            "--action",
            "read_file",
            "--arg",
            &path,
        ];
        lictor(&place, &words).ends_with_code(1);
    };
    read("notes/redacted.md");
    // This one does not say what was asked.
    let token = format!("s{}{}", "k-", "a".repeat(25));
    read(&format!("notes/{token}"));
    let found = lictor(&place, &["suggest", "--json"]).json();
    assert_eq!(found["unreadable"], 1, "{found}");
    assert!(found.to_string().contains("notes/"), "{found}");
}
