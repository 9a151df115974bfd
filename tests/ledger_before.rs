//! Ledgers that version 0.1.0 wrote before its lines carried a `mac` still verify, and go on.
//!
//! `tests/data/ledgers` holds what that version left: closed, with changed keys, with a torn end, with an end that
//! its killed writer did not sign, without a key, in short segments. Their keys protect nothing.
#![cfg(feature = "run")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lictor::ledger::verify::{Report, Resume, Verdict, VerifyOptions, verify};
use lictor::ledger::{Draft, Kind, Ledger, Options};

/// Each ledger, its verdict, its entries and how many of them no checkpoint covers.
const LEDGERS: [(&str, Verdict, u64, u64); 6] = [
    ("closed", Verdict::Signed, 14, 0),
    ("rotated", Verdict::Signed, 20, 0),
    ("killed", Verdict::TornTail, 16, 0),
    ("tail", Verdict::Signed, 8, 2),
    ("unsigned", Verdict::Unsigned, 13, 13),
    ("segments", Verdict::Signed, 18, 0),
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

fn verified(dir: &Path, options: &VerifyOptions) -> Report {
    verify(dir, options, &mut |_, _| {}).unwrap()
}

#[test]
fn ledgers_of_before_verify_as_they_did() {
    for (name, verdict, entries, tail) in LEDGERS {
        let report = verified(&data().join(name), &VerifyOptions::default());
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
    let report = verified(&data().join("rotated"), &options);
    assert_eq!(
        (report.verdict, report.entries),
        (Verdict::Anchored, 20),
        "{report:#?}"
    );
    let other = verified(&data().join("segments"), &options);
    assert!(!other.verdict.is_intact(), "{other:#?}");
}

#[test]
fn a_writer_goes_on_in_a_ledger_of_before() {
    for (name, verdict, entries, _) in LEDGERS {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("ledger");
        copy(&data().join(name), &dir);
        let mut options = Options::default();
        options.sign = verdict != Verdict::Unsigned;
        for _ in 0..2 {
            let ledger = Ledger::open(&dir, &options).unwrap();
            ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
            ledger.close().unwrap();
        }
        let report = verified(&dir, &VerifyOptions::default());
        assert!(report.verdict.is_intact(), "{name}: {report:#?}");
        assert!(report.entries >= entries + 2, "{name}: {report:#?}");
    }
}
