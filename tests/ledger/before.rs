//! Ledgers that version 0.1.0 wrote before its lines carried a `mac` still verify, and go on.
//!
//! `tests/data/ledgers` holds what that version left: closed, with changed keys, with a torn end, with an end that
//! its killed writer did not sign, without a key, in short segments. `full` is of a later one, whose lines carry a
//! `mac`: it has entries of every kind, of runs that passed, failed, were stopped, killed and lost, of grants, and of
//! requests that had to be redacted and cut. Every reader prints it as before. Their keys protect nothing.

use super::reading::report_with;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lictor::log::verify::{Resume, Verdict, VerifyOptions};
use lictor::log::{Draft, Kind};
use lictor::record::{Ledger, Options};

/// Each ledger, its verdict, its entries and how many of them no checkpoint covers.
const LEDGERS: [(&str, Verdict, u64, u64); 7] = [
    ("closed", Verdict::Signed, 14, 0),
    ("rotated", Verdict::Signed, 20, 0),
    ("killed", Verdict::TornTail, 16, 0),
    ("tail", Verdict::Signed, 8, 2),
    ("unsigned", Verdict::Unsigned, 13, 13),
    ("segments", Verdict::Signed, 18, 0),
    ("full", Verdict::TornTail, 85, 0),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ledgers")
}

/// A copy with the modes that lictor gives its files: a repository does not keep them.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::write(&to, fs::read(entry.path()).unwrap()).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn ledgers_of_before_verify_as_they_did() {
    for (name, verdict, entries, tail) in LEDGERS {
        let report = report_with(&data().join(name), &VerifyOptions::default());
        let found = (report.verdict, report.entries, report.unsigned_tail);
        assert_eq!(found, (verdict, entries, tail), "{name}: {report:#?}");
        assert!(report.problems.is_empty(), "{name}: {report:#?}");
    }
}

#[test]
fn an_anchor_and_a_state_of_before_still_hold() {
    let mut options = VerifyOptions::default();
    let anchor = fs::read_to_string(data().join("rotated.anchor")).unwrap();
    let state = fs::read_to_string(data().join("rotated.since")).unwrap();
    options.anchors = vec![anchor];
    options.since = Some(Resume::parse(&state).unwrap());
    let report = report_with(&data().join("rotated"), &options);
    assert_eq!(
        (report.verdict, report.entries),
        (Verdict::Anchored, 20),
        "{report:#?}"
    );
    let other = report_with(&data().join("segments"), &options);
    assert!(!other.verdict.is_intact(), "{other:#?}");
}

#[test]
fn a_writer_goes_on_in_a_ledger_of_before() {
    for (name, verdict, entries, _) in LEDGERS {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("ledger");
        copy(&data().join(name), &dir);
        let mut options = Options::default();
        options.log.sign = verdict != Verdict::Unsigned;
        for _ in 0..2 {
            let ledger = Ledger::open(&dir, &options).unwrap();
            ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
            ledger.close().unwrap();
        }
        let report = report_with(&dir, &VerifyOptions::default());
        assert!(report.verdict.is_intact(), "{name}: {report:#?}");
        assert!(report.entries >= entries + 2, "{name}: {report:#?}");
    }
}

#[test]
fn what_was_anchored_of_a_whole_ledger_still_holds() {
    let mut options = VerifyOptions::default();
    options.anchors = vec![fs::read_to_string(data().join("full.anchor")).unwrap()];
    let report = report_with(&data().join("full"), &options);
    assert_eq!((report.verdict, report.open_runs), (Verdict::Anchored, 0));
}

#[test]
fn verification_goes_on_from_a_state_of_before() {
    let mut options = VerifyOptions::default();
    options.resumable = true;
    let dir = data().join("full");
    let now = report_with(&dir, &options).resume.unwrap().text();
    let now: serde_json::Value = serde_json::from_str(&now).unwrap();
    let before = fs::read_to_string(data().join("full.since")).unwrap();
    let mut before: serde_json::Value = serde_json::from_str(&before).unwrap();
    // The copies in a repository are other files.
    before["files"] = now["files"].clone();
    options.since = Some(Resume::parse(&before.to_string()).unwrap());
    let report = report_with(&dir, &options);
    let found = (report.verdict, report.unread, report.entries);
    assert_eq!(found, (Verdict::Continued, 78, 85), "{report:#?}");
}

/// Holds `got` to a file; with `UPDATE_EXPECT` in the environment the file is written.
#[track_caller]
fn expect(name: &str, got: &str) {
    let file = data().join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, got).unwrap();
    }
    let before = fs::read_to_string(&file).unwrap();
    for (number, (got, before)) in (1..).zip(got.lines().zip(before.lines())) {
        assert_eq!(got, before, "{name}, line {number}");
    }
    assert_eq!(got.len(), before.len(), "{name}");
}

#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn every_reader_prints_a_ledger_of_before_as_it_did() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("ledger");
    copy(&data().join("full"), &dir);
    let print = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lictor"));
        command.arg("--ledger").arg(&dir).arg("ledger");
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    expect("full.show", &print(&["show"]));
    expect(
        "full.metrics",
        &print(&["stats", "--format", "openmetrics"]),
    );
    // The first two events of each kind.
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut events = String::new();
    for event in print(&["export", "--format", "ocsf"]).lines() {
        let value: serde_json::Value = serde_json::from_str(event).unwrap();
        let kind = [
            &value["metadata"]["event_code"],
            &value["type_uid"],
            &value["status"],
        ];
        let count = seen.entry(format!("{kind:?}"));
        let count = count.or_default();
        *count += 1;
        if *count <= 2 {
            events.push_str(event);
            events.push('\n');
        }
    }
    expect("full.ocsf", &events);
}
