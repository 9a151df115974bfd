//! What the record of real runs holds: every kind of entry where it belongs, no secret, no value of the
//! environment, outputs by digest. And what a run sees of the record: nothing.

use super::reading::{entries, report};
use std::fs;
use std::path::{Path, PathBuf};

use lictor::log::Kind;
use lictor::log::read::Entry;
use lictor::log::verify::Verdict;
use lictor::record::kept_output;
use serde_json::{Value as Json, json};

use crate::support::program::{Answer, Place};

const POLICY: &str = r#"version: 1
name: runs
ledger: {path: ../ledger, keep_output: true, redact: ["hunter[0-9]+"]}
approvals:
  council: {env: COUNCIL, reference: ticket 7}
tools:
  sh:
    program: sh
    actions:
      run: {args: {script: {type: text, option: "-c", required: true, lines: true, join: space}}}
rules:
  - id: run
    allow: sh.run
    approval: council
    limits: {timeout: 2s, grace: 100ms}
    env: {inherit: [PASSED_ON]}
"#;

fn place() -> Place {
    Place::with_policy(POLICY)
}

fn run(place: &Place, script: &str) -> Answer {
    place
        .lictor(["run", "--json", "--", "sh", "-c", script])
        .env("COUNCIL", "yes")
        .env("PASSED_ON", "value-of-the-environment")
        .end()
}

#[track_caller]
fn one(entries: &[Entry], kind: Kind) -> Json {
    let found: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == kind).collect();
    assert_eq!(found.len(), 1, "{kind:?}");
    found[0].value()
}

/// All files of the ledger, with what is in them.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

#[track_caller]
fn check_nowhere(place: &Place, text: &str) {
    for (path, bytes) in files(&place.ledger()) {
        let there = String::from_utf8_lossy(&bytes).contains(text);
        assert!(!there, "`{text}` is in {}", path.display());
    }
}

#[test]
fn a_run_that_was_stopped_says_why_by_which_signals_and_what_was_there() {
    let place = place();
    let answer = run(&place, "trap '' TERM; sleep 100; sleep 100");
    assert_eq!(answer.code, Some(124), "{answer:?}");
    let entries = entries(&place.ledger());
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.name()).collect();
    assert_eq!(
        kinds,
        [
            "segment",
            "policy",
            "approval",
            "decision",
            "start",
            "stop",
            "outcome",
            "checkpoint"
        ]
    );
    let (stop, outcome) = (one(&entries, Kind::Stop), one(&entries, Kind::Outcome));
    assert_eq!(stop["why"], "timeout");
    let signals: Vec<i64> = stop["signals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sent| sent["signal"].as_i64().unwrap())
        .collect();
    assert!(signals.starts_with(&[15]) && signals.contains(&9), "{stop}");
    assert!(stop["tree"].to_string().contains("sleep 100"), "{stop}");
    assert_eq!(outcome["status"], "TIMEOUT");
    assert_eq!(stop["run"], outcome["run"]);
    let report = report(&place.ledger());
    assert_eq!(
        (report.verdict, report.open_runs),
        (Verdict::Signed, 0),
        "{report:#?}"
    );
}

#[test]
fn a_run_that_ends_by_itself_has_no_stop_and_its_approval_and_policy_are_recorded() {
    let place = place();
    let answer = run(&place, "exit 3");
    assert_eq!(answer.code, Some(3), "{answer:?}");
    let entries = entries(&place.ledger());
    assert!(entries.iter().all(|entry| entry.kind != Kind::Stop));
    let approval = one(&entries, Kind::Approval);
    assert_eq!(
        (
            &approval["approval"],
            &approval["how"],
            &approval["variable"],
            &approval["reference"]
        ),
        (
            &"council".into(),
            &"environment".into(),
            &"COUNCIL".into(),
            &"ticket 7".into()
        )
    );
    assert_eq!(approval["argv"][2], "exit 3");
    let policy = one(&entries, Kind::Policy);
    assert!(policy["path"].as_str().unwrap().ends_with("/lictor.yaml"));
    assert_eq!(policy["files"][0]["sha256"].as_str().unwrap().len(), 64);
    // A run of a shell: what it runs is not governed.
    let lint = &policy["lint"];
    assert!(
        lint["codes"].as_array().unwrap().contains(&json!("X302")),
        "{lint}"
    );
    assert!(lint["warnings"].as_u64().unwrap() > 0, "{lint}");
    assert_eq!(lint["whole"], true);
    let start = one(&entries, Kind::Start);
    assert!(
        start["env_names"].to_string().contains("PASSED_ON"),
        "{start}"
    );
    check_nowhere(&place, "value-of-the-environment");
}

#[test]
fn a_policy_is_recorded_when_it_begins_to_decide_and_again_after_another_has() {
    let place = place();
    let other = POLICY.replace("grace: 100ms", "grace: 200ms");
    for policy in [POLICY, POLICY, &other, POLICY] {
        place.write("lictor.yaml", policy);
        assert_eq!(run(&place, "true").code, Some(0));
    }
    let kinds: Vec<Kind> = entries(&place.ledger())
        .iter()
        .map(|entry| entry.kind)
        .collect();
    let recorded = kinds
        .split(|kind| *kind == Kind::Outcome)
        .map(|run| run.contains(&Kind::Policy));
    assert_eq!(
        recorded.collect::<Vec<_>>(),
        [true, false, true, true, false]
    );
}

#[test]
fn outputs_are_kept_under_their_digest_and_can_be_erased() {
    let place = place();
    run(&place, "printf 'one\\ntwo\\n'; printf '\\377' >&2");
    let outcome = one(&entries(&place.ledger()), Kind::Outcome);
    for (stream, bytes) in [("stdout", &b"one\ntwo\n"[..]), ("stderr", b"\xff")] {
        let kept = &outcome[stream]["kept"];
        assert_eq!(kept["sha256"], outcome[stream]["sha256"]);
        assert_eq!(kept["redacted"], false);
        let digest = kept["sha256"].as_str().unwrap();
        let found = kept_output(&place.ledger(), digest).unwrap().unwrap();
        assert_eq!(found, bytes);
        let file = place.ledger().join("blobs").join(&digest[..2]).join(digest);
        fs::write(&file, "another").unwrap();
        assert!(kept_output(&place.ledger(), digest).is_err());
        fs::remove_file(&file).unwrap();
        assert!(kept_output(&place.ledger(), digest).unwrap().is_none());
    }
    fs::remove_dir_all(place.ledger().join("blobs")).unwrap();
    assert_eq!(report(&place.ledger()).verdict, Verdict::Signed);
    // The next run makes the directory again.
    run(&place, "echo three");
    assert_eq!(files(&place.ledger().join("blobs")).len(), 2);
    assert_eq!(report(&place.ledger()).verdict, Verdict::Signed);
}

#[test]
fn secrets_in_outputs_arguments_and_test_reports_are_nowhere_in_the_record() {
    let place = place();
    let url = format!("https://me:{}@example.org/", "pass-word");
    let script = format!("echo before; echo get {url}; echo my hunter22 >&2; echo after");
    let answer = run(&place, &script);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    check_nowhere(&place, "pass-word");
    check_nowhere(&place, "hunter22");
    let outcome = one(&entries(&place.ledger()), Kind::Outcome);
    let kept = &outcome["stdout"]["kept"];
    assert_eq!(kept["redacted"], true);
    assert_ne!(kept["sha256"], outcome["stdout"]["sha256"]);
    let text = kept_output(&place.ledger(), kept["sha256"].as_str().unwrap());
    let text = String::from_utf8(text.unwrap().unwrap()).unwrap();
    assert!(
        text.starts_with("before\n[redacted ") && text.ends_with("]\nafter\n"),
        "{text}"
    );
    assert_eq!(report(&place.ledger()).verdict, Verdict::Signed);
}

#[test]
fn how_a_run_ended_is_recorded_though_its_output_cannot_be_kept() {
    let place = place();
    run(&place, "true");
    let blobs = place.ledger().join("blobs");
    fs::remove_dir_all(&blobs).unwrap();
    std::os::unix::fs::symlink("/tmp", &blobs).unwrap();
    let answer = run(&place, "echo lost");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let entries = entries(&place.ledger());
    let outcome = entries.iter().rfind(|entry| entry.kind == Kind::Outcome);
    let outcome = outcome.unwrap().value();
    assert_eq!(outcome["status"], "PASS");
    assert!(outcome["stdout"]["kept"]["error"].is_string(), "{outcome}");
    assert_eq!(report(&place.ledger()).verdict, Verdict::Signed);
}

#[test]
fn a_child_sees_no_descriptor_of_the_ledger() {
    let place = place();
    let answer = run(&place, "ls -l /proc/self/fd/ /proc/$$/fd/");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let said = answer.json()["evidence"]["stdout"]["text"].to_string();
    assert!(said.contains("pipe:"), "{said}");
    assert!(
        !said.contains("ledger") && !said.contains("jsonl") && !said.contains("deleted"),
        "{said}"
    );
}

#[test]
fn a_denial_needs_no_ledger_and_an_allow_does() {
    let place = place();
    fs::write(place.ledger(), "a file where the ledger belongs").unwrap();
    let deny = place.lictor(["run", "--json", "--", "cat", "x"]).end();
    assert_eq!(deny.code, Some(126), "{deny:?}");
    assert_eq!(deny.json()["decision"]["reason"], "TOOL_NOT_ALLOWED");
    assert_eq!(deny.json()["recorded"], false);
    let allow = run(&place, "echo ran > ran");
    assert_eq!(allow.code, Some(126), "{allow:?}");
    assert_eq!(allow.json()["decision"]["reason"], "LEDGER_UNAVAILABLE");
    assert!(!place.work().join("ran").exists());
}

#[test]
fn an_outcome_that_cannot_be_recorded_is_told_and_ends_with_125_and_the_next_writer_says_what_is_missing()
 {
    let place = place();
    run(&place, "true");
    let fifo = place.work().join("go");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let answer = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&place, "cat go"));
        // Whoever opens a FIFO waits for the other side: the command runs when this returns.
        let go = fs::File::options().write(true).open(&fifo).unwrap();
        // A segment of two names is refused.
        let segment = place.ledger().join("segments/000000000000.jsonl");
        fs::hard_link(segment, place.ledger().join("second name")).unwrap();
        drop(go);
        running.join().unwrap()
    });
    assert_eq!(answer.code, Some(125), "{answer:?}");
    assert_eq!(answer.json()["recorded"], false);
    assert_eq!(answer.json()["evidence"]["status"], "PASS");
    fs::remove_file(place.ledger().join("second name")).unwrap();
    run(&place, "true");
    let entries = entries(&place.ledger());
    let lost = entries.iter().filter(|entry| entry.kind == Kind::Outcome);
    assert_eq!(
        lost.filter(|entry| entry.value()["status"] == "LOST")
            .count(),
        1
    );
    let gap = one(&entries, Kind::Gap);
    assert!(gap["lost"][0]["why"].is_string(), "{gap}");
    assert_eq!(report(&place.ledger()).verdict, Verdict::Signed);
}

#[test]
fn a_ledger_of_more_segments_than_a_process_may_have_open_files_is_verified_and_shown() {
    let place = place();
    let mut options = lictor::record::Options::default();
    options.log.segment_bytes = 1;
    let ledger = lictor::record::Ledger::open(&place.ledger(), &options).unwrap();
    for n in 0..100 {
        let draft = lictor::log::Draft::new(Kind::Observed).with("n", n);
        ledger.commit(vec![draft]).unwrap();
    }
    ledger.close().unwrap();
    assert!(files(&place.ledger().join("segments")).len() > 90);
    for command in ["verify", "show"] {
        let lictor = env!("CARGO_BIN_EXE_lictor");
        let script = format!("ulimit -n 40; exec {lictor} --ledger ../ledger ledger {command}");
        let answer = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.work())
            .output()
            .unwrap();
        assert!(answer.status.success(), "{command}: {answer:?}");
    }
}
