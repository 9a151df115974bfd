//! What somebody can do to a ledger who can write its files and cannot read its key: chains are computed
//! anew, first lines forged, keys exchanged, files replaced by others. Each attempt gets the verdict that
//! it deserves, and neither verification nor the next writer takes it for the ledger.

use super::reading::{in_segments_of, report_with};
use crate::support::need;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use lictor::log::merkle::{Tree, leaf_hash};
use lictor::log::note::{Checkpoint, Signer, Verifier};
use lictor::log::proof::prove;
use lictor::log::read::{Filter, show};
use lictor::log::verify::{Grade, Report, Resume, Verdict, VerifyOptions};
use lictor::log::{Draft, Kind, RunId};
use lictor::record::{Ledger, Options};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// A closed ledger of `n` entries besides what the ledger says itself.
    fn new(n: u64, options: &Options) -> Fixture {
        let fixture = Fixture {
            dir: tempfile::tempdir().unwrap(),
        };
        fixture.write(0..n, options);
        fixture
    }

    fn signed(n: u64) -> Fixture {
        Fixture::new(n, &Options::default())
    }

    fn write(&self, numbers: std::ops::Range<u64>, options: &Options) {
        let ledger = Ledger::open(&self.root(), options).unwrap();
        for n in numbers {
            ledger
                .commit(vec![Draft::new(Kind::Observed).with("n", n)])
                .unwrap();
        }
        ledger.close().unwrap();
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.root().join(format!("segments/{number:012}.jsonl"))
    }

    fn lines(&self, segment: u64) -> Vec<String> {
        let text = fs::read_to_string(self.segment(segment)).unwrap();
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    fn verify(&self) -> Report {
        self.verify_with(&VerifyOptions::default())
    }

    fn verify_with(&self, options: &VerifyOptions) -> Report {
        report_with(&self.root(), options)
    }

    fn against(&self, anchor: &str) -> Report {
        let mut options = VerifyOptions::default();
        options.anchors = vec![anchor.to_owned()];
        self.verify_with(&options)
    }

    fn remove(&self, files: &[&str]) {
        for file in files {
            fs::remove_file(self.root().join(file)).unwrap();
        }
    }

    /// The next writer does not go on either.
    #[track_caller]
    fn check_refused(&self) {
        // A state that was written before the forgery would spare the writer from reading it.
        fs::remove_file(self.root().join("state")).ok();
        Ledger::open(&self.root(), &Options::default()).unwrap_err();
    }
}

/// Writes lines as a ledger would, without its key.
struct Forger {
    tree: Tree,
    prev: String,
    text: String,
    model: Value,
}

impl Forger {
    /// Goes on behind `lines`.
    fn behind(lines: &[String]) -> Forger {
        let mut forger = Forger {
            tree: Tree::default(),
            prev: "0".repeat(64),
            text: String::new(),
            model: serde_json::from_str(&lines[0]).unwrap(),
        };
        for line in lines {
            forger.keep(line);
        }
        forger.text.clear();
        forger
    }

    fn keep(&mut self, line: &str) {
        assert!(line.ends_with('\n'));
        self.prev = HEXLOWER.encode(&Sha256::digest(line));
        self.tree.push(leaf_hash(line.as_bytes()));
        self.text.push_str(line);
    }

    /// One line of this type and body; `body` is what follows the type.
    fn line(&mut self, kind: &str, body: &str) {
        let (seq, prev) = (self.tree.size(), &self.prev);
        let (ts, boot) = (&self.model["ts"], &self.model["boot"]);
        self.keep(&format!(
            "{{\"v\":1,\"seq\":{seq},\"prev\":\"{prev}\",\"ts\":{ts},\"mono_us\":1,\"boot\":{boot},\"type\":\"{kind}\"{body}}}\n"
        ));
    }

    /// The first line of `segment`, naming `key`, after files that ended as `before` says.
    fn segment(&mut self, segment: u64, key: &Value, before: &Value) {
        let root = HEXLOWER.encode(&self.tree.root());
        let body = format!(
            ",\"segment\":\"{segment:012}.jsonl\",\"origin\":{},\"key\":{key},\"version\":1,\"writer\":\"x\",\"before\":{before},\"size\":{},\"root\":\"{root}\"",
            self.model["origin"],
            self.tree.size(),
        );
        self.line("segment", &body);
    }

    fn checkpoint(&mut self, signer: &Signer) {
        let note = json!(signer.sign(&self.head()));
        self.line("checkpoint", &format!(",\"note\":{note}"));
    }

    fn head(&self) -> Checkpoint {
        let origin = self.model["origin"].as_str().unwrap();
        Checkpoint::new(origin, self.tree.size(), self.tree.root())
    }

    fn origin(&self) -> &str {
        self.model["origin"].as_str().unwrap()
    }
}

fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    use std::io::Write;
    fs::remove_file(path).ok();
    let mut file = fs::OpenOptions::new();
    let file = file.write(true).create_new(true).mode(0o600).open(path);
    file.unwrap().write_all(bytes.as_ref()).unwrap();
}

#[test]
fn the_forger_of_these_tests_writes_what_a_ledger_would_write() {
    let fixture = Fixture::signed(3);
    let mut forger = Forger::behind(&fixture.lines(0));
    forger.line("observed", ",\"n\":9");
    let text = fixture.lines(0).concat() + &forger.text;
    put(&fixture.segment(0), text);
    let report = fixture.verify();
    assert_eq!(
        (report.verdict, report.unsigned_tail),
        (Verdict::Signed, 1),
        "what anybody can append is in the chain, and said to be signed by nobody: {report:#?}"
    );
    assert!(report.not_proven[0].contains("no checkpoint"));
}

#[test]
fn a_chain_computed_anew_without_the_key_is_tampered_wherever_it_begins() {
    let fixture = Fixture::signed(12);
    let lines = fixture.lines(0);
    for keep in 1..lines.len() - 1 {
        let mut forger = Forger::behind(&lines[..keep]);
        for n in keep..lines.len() {
            forger.line("observed", &format!(",\"n\":{}", n + 100));
        }
        put(&fixture.segment(0), lines[..keep].concat() + &forger.text);
        assert_eq!(fixture.verify().verdict, Verdict::Tampered, "{keep}");
        fixture.check_refused();
    }
}

#[test]
fn without_checkpoints_a_chain_computed_anew_is_never_called_signed() {
    let fixture = Fixture::signed(12);
    let lines = fixture.lines(0);
    let mut forger = Forger::behind(&lines[..1]);
    forger.line("observed", ",\"n\":100");
    put(&fixture.segment(0), lines[0].clone() + &forger.text);
    fixture.remove(&["checkpoint", "state"]);
    let report = fixture.verify();
    assert_eq!(
        (report.verdict, report.unsigned_tail),
        (Verdict::Unsigned, 2),
        "{report:#?}"
    );
    assert!(report.not_proven[0].contains("nothing is signed"));
    assert!(
        report
            .warnings
            .iter()
            .any(|text| text.contains("checkpoint"))
    );
}

#[test]
fn nobody_takes_a_ledger_over_by_naming_a_key_of_his_own() {
    let fixture = Fixture::signed(5);
    let lines = fixture.lines(0);
    let bytes = lines.concat().len();
    let ended = |number: u64, bytes: usize| json!([{"segment": format!("{number:012}.jsonl"), "bytes": bytes, "torn_bytes": 0}]);
    let mut forger = Forger::behind(&lines);
    let [mine, also_mine] = [7, 8].map(|seed| Signer::new(forger.origin(), &[seed; 32]).unwrap());
    let key = |signer: &Signer| json!(signer.verifier().to_string());

    // One segment that names the key, which signs it.
    forger.segment(1, &key(&mine), &ended(0, bytes));
    let named = forger.text.clone();
    forger.checkpoint(&mine);
    forger.line("observed", ",\"n\":9");
    put(&fixture.segment(1), &forger.text);
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    fixture.check_refused();

    // A segment that is as if torn by a crash before the old key could sign, and another one behind it,
    // whose key the one in between hands over to.
    for last in [&also_mine, &mine] {
        let mut forger = Forger::behind(&[lines.clone(), vec![named.clone()]].concat());
        forger.segment(2, &key(last), &ended(1, named.len()));
        forger.checkpoint(&mine);
        forger.line("observed", ",\"n\":9");
        forger.checkpoint(last);
        put(&fixture.segment(1), &named);
        put(&fixture.segment(2), &forger.text);
        let note = last.sign(&forger.head());
        put(&fixture.root().join("checkpoint"), note);
        // As an auditor sees it who may not read the key.
        let key_file = fixture.root().join("key");
        let kept = fs::read(&key_file).unwrap();
        for with_key in [true, false] {
            if !with_key {
                fs::remove_file(&key_file).unwrap();
            }
            assert_eq!(fixture.verify().verdict, Verdict::Tampered, "{with_key}");
        }
        put(&key_file, kept);
        fixture.check_refused();
    }
}

#[test]
fn a_ledger_made_anew_with_another_key_is_another_one_to_whoever_kept_an_anchor() {
    let fixture = Fixture::signed(5);
    let anchor = fs::read_to_string(fixture.root().join("checkpoint")).unwrap();
    let origin = fixture.verify().origin;
    fs::remove_dir_all(fixture.root()).unwrap();
    let mut options = Options::default();
    options.log.origin = origin;
    fixture.write(0..9, &options);
    let report = fixture.verify();
    assert_eq!(report.verdict, Verdict::Signed);
    assert!(
        report
            .not_proven
            .iter()
            .any(|text| text.contains("rewrite everything")),
        "{report:#?}"
    );
    assert_eq!(fixture.against(&anchor).verdict, Verdict::SplitView);
    fixture.write(0..0, &Options::default());
    assert_eq!(fixture.against(&anchor).verdict, Verdict::SplitView);
}

#[test]
fn an_end_cut_back_to_an_earlier_checkpoint_shows_against_an_anchor_and_is_never_said_to_be_excluded()
 {
    let fixture = Fixture::signed(5);
    let (early, early_file) = (
        fixture.lines(0),
        fs::read(fixture.root().join("checkpoint")).unwrap(),
    );
    fixture.write(5..10, &Options::default());
    let anchor = fs::read_to_string(fixture.root().join("checkpoint")).unwrap();
    assert_eq!(fixture.against(&anchor).verdict, Verdict::Anchored);
    put(&fixture.segment(0), early.concat());
    assert_eq!(fixture.verify().verdict, Verdict::RolledBack);
    fixture.check_refused();
    // With the file as it was then, nothing in the directory tells.
    put(&fixture.root().join("checkpoint"), early_file);
    let report = fixture.verify();
    assert_eq!((report.verdict, report.unsigned_tail), (Verdict::Signed, 0));
    assert!(
        report
            .not_proven
            .iter()
            .any(|text| text.contains("cut it back")),
        "{report:#?}"
    );
    assert_eq!(fixture.against(&anchor).verdict, Verdict::RolledBack);
}

#[test]
fn whole_entries_are_not_passed_off_as_what_a_crash_left() {
    let fixture = Fixture::signed(8);
    let lines = fixture.lines(0);
    let key: Value = serde_json::from_str::<Value>(&lines[0]).unwrap()["key"].clone();
    for keep in 2..lines.len() {
        let kept = lines[..keep].concat();
        let torn = lines[keep..].concat();
        let digest = HEXLOWER.encode(&Sha256::digest(&torn));
        let before = json!([{"segment": "000000000000.jsonl", "bytes": kept.len(), "torn_bytes": torn.len(), "torn_sha256": digest}]);
        let mut forger = Forger::behind(&lines[..keep]);
        forger.segment(1, &key, &before);
        put(&fixture.segment(1), &forger.text);
        fs::remove_file(fixture.root().join("checkpoint")).ok();
        let report = fixture.verify();
        assert_eq!(report.verdict, Verdict::Tampered, "{keep}: {report:#?}");
        let problem = &report.problems[0];
        assert_eq!(
            (problem.segment.as_str(), problem.byte),
            ("000000000000.jsonl", u64::try_from(kept.len()).unwrap()),
            "{report:#?}"
        );
    }
}

#[test]
fn zero_bytes_inside_of_a_line_are_no_crash_when_entries_follow() {
    let mut options = Options::default();
    options.log.sign = false;
    let fixture = Fixture::new(12, &options);
    let lines = fixture.lines(0);
    let mut start = 0;
    for (number, line) in lines.iter().enumerate() {
        for at in [0, 7, line.len() / 2, line.len() - 2] {
            let mut bytes = lines.concat().into_bytes();
            bytes[start + at] = 0;
            put(&fixture.segment(0), bytes);
            let report = fixture.verify();
            // Of the last line nobody could tell it from a crash, and it could be cut as well.
            let expected = if number + 1 == lines.len() {
                Verdict::TornTail
            } else {
                Verdict::Tampered
            };
            let sector_end = (start + at + 1) % 512 == 0;
            if sector_end {
                continue;
            }
            assert_eq!(
                report.verdict, expected,
                "line {number} byte {at}: {report:#?}"
            );
            if expected == Verdict::Tampered {
                assert_eq!(report.problems[0].line, u64::try_from(number).unwrap() + 1);
                fixture.check_refused();
            }
        }
        start += line.len();
    }
}

#[test]
fn numbers_too_large_names_used_twice_and_other_bytes_are_tampering_in_any_line() {
    let mut options = Options::default();
    options.log.sign = false;
    let fixture = Fixture::new(4, &options);
    let good = fixture.lines(0);
    let nested = "[".repeat(2000) + &"]".repeat(2000);
    // The end of the line: half of its code, and what closes it.
    let end = good[2].trim_end();
    let end = end.split_at(end.len() - 18).1;
    for (from, to) in [
        ("\"seq\":2,", "\"seq\":18446744073709551615,".to_owned()),
        ("\"seq\":2,", "\"seq\":18446744073709551618,".to_owned()),
        ("\"seq\":2,", "\"seq\":9007199254740992,".to_owned()),
        ("\"seq\":2,", format!("\"seq\":{}2,", "0".repeat(20))),
        ("\"seq\":2,", "\"seq\":-2,".to_owned()),
        ("\"seq\":2,", "\"seq\":2e0,".to_owned()),
        ("\"seq\":2,", "\"seq\":\"2\",".to_owned()),
        (
            "\"v\":1,\"seq\":2,",
            "\"v\":1,\"v\":1,\"seq\":2,".to_owned(),
        ),
        ("\"n\":1", "\"n\":1,\"n\":1".to_owned()),
        ("\"n\":1", "\"n\":1,\"\\u006e\":2".to_owned()),
        ("\"n\":1", "\"n\":1,\"seq\":2".to_owned()),
        ("\"n\":1", format!("\"n\":{nested}")),
        ("\"n\":1", format!("\"n\":\"{}\"", "x".repeat(70_000))),
        ("\"n\":1", "\"n\":18446744073709551616".to_owned()),
        ("\"n\":1", "\"n\":\"\u{7f}\"".to_owned()),
        ("\"n\":1", "\"n\":\"\u{85}\"".to_owned()),
        (end, format!("{end}\r")),
        (end, format!("{end} ")),
        (end, format!("{end}{{}}")),
        (end, end.trim_end_matches('}').to_owned()),
    ] {
        let text = good.concat();
        assert_eq!(text.matches(from).count(), 1, "{from}");
        let bad = text.replacen(from, &to, 1);
        put(&fixture.segment(0), &bad);
        let report = fixture.verify();
        let short: String = to.chars().take(60).collect();
        assert_eq!(report.verdict, Verdict::Tampered, "{short}");
        assert_eq!(report.problems[0].line, 3, "{short}: {:?}", report.problems);
        fixture.check_refused();
        // The same as the last line, where no later line vouches for it.
        put(
            &fixture.segment(0),
            good[..2].concat() + &good[2].replacen(from, &to, 1),
        );
        assert_eq!(fixture.verify().verdict, Verdict::Tampered, "{short}");
    }
}

#[test]
fn a_line_without_end_is_refused_in_little_memory() {
    let fixture = Fixture::signed(3);
    let good = fixture.lines(0).concat();
    for filler in [b'x', 0] {
        let file = fs::File::options()
            .write(true)
            .open(fixture.segment(0))
            .unwrap();
        let mut text = good.clone().into_bytes();
        text.extend(vec![filler; 5 << 20]);
        text.extend_from_slice(b"\n{}\n");
        put(&fixture.segment(0), &text);
        drop(file);
        let report = fixture.verify();
        let expected = if filler == 0 {
            Verdict::TornTail
        } else {
            Verdict::Tampered
        };
        assert_eq!(report.verdict, expected, "{report:#?}");
        if filler != 0 {
            let lines: Vec<u64> = report.problems.iter().map(|found| found.line).collect();
            assert_eq!(lines, [6, 7], "{report:#?}");
        }
    }
}

#[test]
fn a_terabyte_of_nothing_keeps_nobody_busy() {
    use std::os::unix::fs::FileExt;
    let terabyte = 1_u64 << 40;
    for with_line_end in [false, true] {
        let fixture = Fixture::signed(3);
        let file = fs::File::options()
            .write(true)
            .open(fixture.segment(0))
            .unwrap();
        if let Err(error) = file.set_len(terabyte) {
            return need::lacks("large-files", error);
        }
        if with_line_end {
            file.write_all_at(b"\n", terabyte - 1).unwrap();
        }
        assert_eq!(fixture.verify().verdict, Verdict::Tampered);
        fixture.check_refused();
    }
}

#[test]
fn other_files_in_the_place_of_the_ledgers_own_are_verdicts_and_not_errors() {
    type Spoil = fn(&Path);
    let fifo = |path: &Path| {
        fs::remove_file(path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let link: Spoil = |path| {
        fs::rename(path, path.with_extension("moved")).unwrap();
        symlink(path.with_extension("moved"), path).unwrap();
    };
    let directory: Spoil = |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    let socket: Spoil = |path| {
        fs::remove_file(path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    };
    let empty: Spoil = |path| fs::write(path, "").unwrap();
    let large: Spoil = |path| fs::write(path, "x\n".repeat(1 << 20)).unwrap();
    for (what, spoil) in [
        ("fifo", fifo as Spoil),
        ("link", link),
        ("directory", directory),
        ("socket", socket),
        ("empty", empty),
        ("large", large),
    ] {
        for file in ["checkpoint", "segments/000000000000.jsonl"] {
            let fixture = Fixture::signed(3);
            spoil(&fixture.root().join(file));
            let report = fixture.verify();
            let expected = match (what, file) {
                ("empty", "segments/000000000000.jsonl") => Verdict::RolledBack,
                _ => Verdict::Tampered,
            };
            assert_eq!(report.verdict, expected, "{what} {file}: {report:#?}");
            fixture.check_refused();
        }
    }
    let fixture = Fixture::signed(3);
    let segments = fixture.root().join("segments");
    fs::rename(&segments, fixture.root().join("elsewhere")).unwrap();
    symlink("elsewhere", &segments).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    fixture.check_refused();
    fs::remove_file(&segments).unwrap();
    fs::write(&segments, "").unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    fixture.check_refused();
    fs::remove_file(&segments).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Missing);
}

#[test]
fn strange_names_among_the_segments_are_told_and_copies_with_wide_modes_still_verify() {
    let fixture = Fixture::signed(3);
    for name in ["1.jsonl", "000000000001.jsonl.bak", "\u{1b}[31m"] {
        fs::write(fixture.root().join("segments").join(name), "{}\n").unwrap();
    }
    for file in ["checkpoint", "key", "segments/000000000000.jsonl"] {
        fs::set_permissions(fixture.root().join(file), fs::Permissions::from_mode(0o666)).unwrap();
    }
    let report = fixture.verify();
    assert_eq!(report.verdict, Verdict::Signed, "{report:#?}");
    let warned = |text: &str| report.warnings.iter().any(|line| line.contains(text));
    assert!(
        warned("1.jsonl") && warned("000000000001.jsonl.bak") && warned("\\u{1b}[31m"),
        "{report:#?}"
    );
    assert!(warned("too many"), "{report:#?}");
}

#[test]
fn a_hole_of_a_million_segments_is_found_at_once() {
    let fixture = Fixture::signed(3);
    put(&fixture.segment(999_999_999_999), "");
    let report = fixture.verify();
    assert_eq!(report.verdict, Verdict::Tampered);
    assert!(report.problems[0].what.contains("missing"), "{report:#?}");
    fixture.check_refused();
}

/// A state of the ledger as it is now.
fn state(fixture: &Fixture) -> Resume {
    let mut options = VerifyOptions::default();
    options.resumable = true;
    let report = fixture.verify_with(&options);
    Resume::parse(&report.resume.unwrap().text()).unwrap()
}

fn since(state: &Resume, anchors: Vec<String>) -> VerifyOptions {
    let mut options = VerifyOptions::default();
    options.since = Some(state.clone());
    options.resumable = true;
    options.anchors = anchors;
    options
}

#[test]
fn checkpoints_from_before_a_state_count_as_they_do_without_it() {
    let fixture = Fixture::signed(3);
    let anchor = fs::read_to_string(fixture.root().join("checkpoint")).unwrap();
    fixture.write(3..6, &Options::default());
    // A writer that has not ended: what it wrote is behind the file `checkpoint`.
    let open = Ledger::open(&fixture.root(), &Options::default()).unwrap();
    open.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    let state = state(&fixture);
    assert_eq!(state.entries(), fixture.verify().entries);
    let report = fixture.verify_with(&since(&state, Vec::new()));
    assert_eq!(report.verdict, Verdict::Signed, "{report:#?}");
    let report = fixture.verify_with(&since(&state, vec![anchor.clone()]));
    assert_eq!((report.verdict, report.anchored), (Verdict::Anchored, 5));
    // The next state has compared it.
    let state = Resume::parse(&report.resume.unwrap().text()).unwrap();
    let report = fixture.verify_with(&since(&state, vec![anchor.clone()]));
    assert_eq!((report.verdict, report.anchored), (Verdict::Anchored, 5));
    // A ledger that is cut is rolled back, whether or not all of it is read again.
    drop(open);
    let lines = fixture.lines(0);
    put(&fixture.segment(0), lines[..5].concat());
    put(&fixture.root().join("checkpoint"), &anchor);
    for anchors in [vec![], vec![anchor]] {
        let report = fixture.verify_with(&since(&state, anchors));
        assert_eq!(report.verdict, Verdict::RolledBack, "{report:#?}");
    }
}

#[test]
fn stops_and_grants_that_do_not_fit_are_found_with_and_without_a_state() {
    let run = |n: u8| -> RunId { format!("{n:032x}").parse().unwrap() };
    let allow = |n, grants: &[&str]| {
        Draft::new(Kind::Decision)
            .of(run(n))
            .with("effect", "allow")
            .with("argv", vec!["a"])
            .with("policy", "p")
            .with("grants", json!(grants))
    };
    let start = |n| {
        let draft = Draft::new(Kind::Start).of(run(n));
        draft.with("argv", vec!["a"]).with("policy", "p")
    };
    let stop = |n| Draft::new(Kind::Stop).of(run(n)).with("why", "timeout");
    let outcome = |n| Draft::new(Kind::Outcome).of(run(n)).with("status", "PASS");
    let started = || vec![allow(1, &[]), start(1)];
    for (what, first, then) in [
        ("a stop without start", vec![], vec![stop(1)]),
        ("two stops", started(), vec![stop(1), stop(1)]),
        ("a stop after the end", started(), vec![outcome(1), stop(1)]),
    ] {
        let fixture = Fixture::signed(0);
        let ledger = Ledger::open(&fixture.root(), &Options::default()).unwrap();
        if !first.is_empty() {
            ledger.commit(first).unwrap();
        }
        let state = state(&fixture);
        ledger.commit(then).unwrap();
        ledger.close().unwrap();
        assert_eq!(fixture.verify().verdict, Verdict::Tampered, "{what}");
        let report = fixture.verify_with(&since(&state, Vec::new()));
        assert_eq!(report.verdict, Verdict::Tampered, "{what}");
    }
    // No writer of ours spends a grant that is gone; somebody who signs by other means may.
    let mut options = Options::default();
    options.log.sign = false;
    let fixture = Fixture::new(0, &options);
    let ledger = Ledger::open(&fixture.root(), &options).unwrap();
    let made = Draft::new(Kind::Grant)
        .with("grant", "g")
        .with("change", "made");
    ledger.commit(vec![made.with("uses", 1)]).unwrap();
    ledger.commit(vec![allow(1, &["g"])]).unwrap();
    assert!(ledger.commit(vec![allow(2, &["g"])]).is_err());
    ledger.close().unwrap();
    let state = state(&fixture);
    let lines = fixture.lines(0);
    for (grant, what) in [("g", "was used up"), ("h", "was never made")] {
        let mut forger = Forger::behind(&lines);
        let id = run(2);
        forger.line(
            "decision",
            &format!(",\"run\":\"{id}\",\"effect\":\"allow\",\"grants\":[\"{grant}\"]"),
        );
        put(&fixture.segment(0), lines.concat() + &forger.text);
        for options in [VerifyOptions::default(), since(&state, Vec::new())] {
            let report = fixture.verify_with(&options);
            assert_eq!(report.verdict, Verdict::Tampered, "{report:#?}");
            assert!(report.problems[0].what.contains(what), "{report:#?}");
        }
    }
}

#[test]
fn nothing_that_is_done_to_the_bytes_at_random_is_intact_or_stops_verification() {
    use proptest::prelude::*;
    let mut options = Options::default();
    options.log.segment_bytes = 2000;
    let fixture = Fixture::new(20, &options);
    let segments: Vec<Vec<u8>> = (0..)
        .map_while(|number| fs::read(fixture.segment(number)).ok())
        .collect();
    let count = segments.len();
    assert!(count >= 3);
    let edit = (
        0..count,
        0_u8..7,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<u8>(),
    );
    proptest!(ProptestConfig::with_cases(400), |(edits in prop::collection::vec(edit, 1..4))| {
        let mut now = segments.clone();
        for (at, what, one, two, byte) in edits {
            let other = one.index(count);
            let bytes = &mut now[at];
            if bytes.is_empty() {
                continue;
            }
            let (a, b) = (one.index(bytes.len()), two.index(bytes.len()));
            match what {
                0 => bytes[a] = byte,
                1 => { bytes.drain(a.min(b)..a.max(b)); }
                2 => { let copy = bytes[a.min(b)..a.max(b)].to_vec(); bytes.extend(copy); }
                3 => bytes.insert(a, byte),
                4 => bytes.truncate(a),
                5 => bytes.swap(a, b),
                _ => now.swap(at, other),
            }
        }
        if now == segments {
            return Ok(());
        }
        for (number, bytes) in (0..).zip(&now) {
            put(&fixture.segment(number), bytes);
        }
        // Whoever only looks gets an error or lines, and an end.
        let shown = show(&fixture.root(), Filter::default()).unwrap().unwrap();
        prop_assert!(shown.count() < 1000);
        prove(&fixture.root(), 5).ok();
        Ledger::open(&fixture.root(), &Options::default()).ok();
        for (number, bytes) in (0..).zip(&now) {
            put(&fixture.segment(number), bytes);
        }
        fs::remove_file(fixture.segment(u64::try_from(count).unwrap())).ok();
        let report = fixture.verify();
        // What is behind the signed end and no whole line may be what a crash left.
        let only_behind = now[..count - 1] == segments[..count - 1]
            && now[count - 1].starts_with(&segments[count - 1]);
        if only_behind {
            prop_assert!(report.signed > 0);
        } else {
            prop_assert!(!report.verdict.is_intact(), "{:#?}", report);
        }
    });
}

#[test]
fn a_key_that_was_given_up_signs_nothing_any_more() {
    let fixture = Fixture::signed(3);
    let key = fs::read_to_string(fixture.root().join("key")).unwrap();
    let old = Signer::parse(key.lines().next().unwrap()).unwrap();
    let ledger = Ledger::open(&fixture.root(), &Options::default()).unwrap();
    ledger.log().rotate_key().unwrap();
    ledger
        .commit(vec![Draft::new(Kind::Observed).with("n", 9)])
        .unwrap();
    ledger.close().unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Signed);
    let state = state(&fixture);
    let all = [fixture.lines(0), fixture.lines(1)].concat();
    let mut forger = Forger::behind(&all);
    forger.line("observed", ",\"n\":10");
    let text = fixture.lines(1).concat() + &forger.text;
    put(&fixture.segment(1), text);
    put(&fixture.root().join("checkpoint"), old.sign(&forger.head()));
    for options in [VerifyOptions::default(), since(&state, Vec::new())] {
        let report = fixture.verify_with(&options);
        assert_eq!(report.verdict, Verdict::Tampered, "{report:#?}");
        assert_eq!(report.problems[0].segment, "checkpoint");
    }
    // Nor does it sign inside.
    let mut forger = Forger::behind(&all);
    forger.line("observed", ",\"n\":10");
    forger.checkpoint(&old);
    put(
        &fixture.segment(1),
        fixture.lines(1)[..4].concat() + &forger.text,
    );
    fixture.remove(&["checkpoint"]);
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
}

#[test]
fn a_clock_that_went_back_is_recorded_and_warned_about_and_order_is_by_number() {
    let fixture = Fixture::signed(2);
    let lines = fixture.lines(0);
    let mut forger = Forger::behind(&lines);
    forger.model["ts"] = json!("2999-01-01T00:00:00.000000Z");
    forger.line("observed", ",\"n\":3");
    put(&fixture.segment(0), lines.concat() + &forger.text);
    fixture.remove(&["state"]);
    fixture.write(4..6, &Options::default());
    let lines = fixture.lines(0);
    let back: Vec<bool> = lines
        .iter()
        .map(|line| line.contains("\"clock_back_us\":"))
        .collect();
    assert_eq!(back.iter().filter(|back| **back).count(), 1, "{lines:?}");
    assert!(
        back[lines
            .iter()
            .position(|line| line.contains("2999-"))
            .unwrap()
            + 1]
    );
    let report = fixture.verify();
    // Nobody with the key wrote the line of the future.
    let found = (report.verdict, report.unsigned_tail, report.adopted);
    assert_eq!(found, (Verdict::Adopted, 0, 1));
    assert!(
        report.warnings.iter().any(|text| text.contains("clock")),
        "{report:#?}"
    );
}

/// A closed ledger of several files and an anchor of it, and a state that was made when the files had settled: right
/// after a change nobody can tell by a file's times if it is changed again.
fn settled() -> (Fixture, String, Resume) {
    let fixture = Fixture::new(40, &in_segments_of(4000));
    assert!(fixture.segment(2).exists());
    let anchor = fs::read_to_string(fixture.root().join("checkpoint")).unwrap();
    let started = std::time::Instant::now();
    loop {
        let state = Resume::parse(&since_state(&fixture, vec![anchor.clone()])).unwrap();
        let report = fixture.verify_with(&since(&state, vec![anchor.clone()]));
        if report.verdict == Verdict::Continued {
            return (fixture, anchor, state);
        }
        assert_eq!(report.verdict, Verdict::Anchored, "{report:#?}");
        assert!(started.elapsed().as_secs() < 30, "{report:#?}");
    }
}

fn since_state(fixture: &Fixture, anchors: Vec<String>) -> String {
    let mut options = VerifyOptions::default();
    options.resumable = true;
    options.anchors = anchors;
    fixture.verify_with(&options).resume.unwrap().text()
}

#[test]
fn a_verification_that_goes_on_says_what_it_did_not_read_and_does_not_call_it_anchored() {
    let (fixture, anchor, state) = settled();
    for entries in [0, 0, 0, 1, 30] {
        fixture.write(100..100 + entries, &in_segments_of(4000));
        let report = fixture.verify_with(&since(&state, vec![anchor.clone()]));
        assert_eq!(report.verdict, Verdict::Continued, "{report:#?}");
        assert!(report.unread > 0 && report.unread < state.entries());
        assert!(report.not_proven[0].contains("were not read this time"));
        assert_eq!(report.anchored, 0);
        assert!(!report.reaches(Grade::Anchored) && report.reaches(Grade::Signed));
        assert_eq!(report.entries, fixture.verify().entries);
        assert_eq!(report.root, fixture.verify().root);
        // Read as a whole it is anchored, and held to the state all the same.
        let mut whole = since(&state, vec![anchor.clone()]);
        whole.whole = true;
        let report = fixture.verify_with(&whole);
        assert_eq!((report.verdict, report.unread), (Verdict::Anchored, 0));
        assert!(report.reaches(Grade::Anchored));
    }
    // A file that only looks otherwise is read, and then nothing is left unread.
    let file = fs::File::options()
        .write(true)
        .open(fixture.segment(0))
        .unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let report = fixture.verify_with(&since(&state, vec![anchor]));
    assert_eq!((report.verdict, report.unread), (Verdict::Anchored, 0));
}

#[test]
fn whatever_is_done_to_a_file_that_was_verified_before_is_found_by_the_next_verification() {
    let (fixture, anchor, state) = settled();
    let good = fs::read(fixture.segment(0)).unwrap();
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    for (what, bytes) in [
        ("emptied", Vec::new()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("changed", changed),
        ("longer", [&good[..], b"x"].concat()),
        ("another", fs::read(fixture.segment(1)).unwrap()),
    ] {
        for in_place in [true, false] {
            if in_place {
                fs::write(fixture.segment(0), &bytes).unwrap();
            } else {
                put(&fixture.segment(0), &bytes);
            }
            for anchors in [vec![], vec![anchor.clone()]] {
                let report = fixture.verify_with(&since(&state, anchors));
                assert!(
                    !report.verdict.is_intact(),
                    "{what} {in_place}: {report:#?}"
                );
            }
            // Also after somebody recorded more.
            if let Ok(ledger) = Ledger::open(&fixture.root(), &in_segments_of(4000)) {
                ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
                drop(ledger);
            }
            let report = fixture.verify_with(&since(&state, vec![]));
            assert!(
                !report.verdict.is_intact(),
                "{what} {in_place}: {report:#?}"
            );
            put(&fixture.segment(0), &good);
        }
    }
    fs::remove_file(fixture.segment(0)).unwrap();
    let report = fixture.verify_with(&since(&state, vec![anchor]));
    assert_eq!(report.verdict, Verdict::Tampered, "{report:#?}");
}

#[test]
fn a_quiet_ledger_is_no_tampered_one_however_often_it_is_verified_and_nor_is_a_busy_one() {
    for segment_bytes in [1 << 26, 4000] {
        let mut options = Options::default();
        options.log.segment_bytes = segment_bytes;
        let fixture = Fixture::new(30, &options);
        let mut state = None;
        for entries in [0, 0, 0, 1, 0, 0, 0, 20, 0, 0] {
            if entries > 0 {
                fixture.write(0..entries, &options);
            }
            state = Some(next(&fixture, state));
        }
        // Beside writers that come and go.
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..15).for_each(|_| fixture.write(0..2, &options))))
                .collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                state = Some(next(&fixture, state.take()));
            }
        });
        next(&fixture, state);
    }
}

/// Verifies what is new, and returns where that ended.
#[track_caller]
fn next(fixture: &Fixture, state: Option<Resume>) -> Resume {
    let mut options = VerifyOptions::default();
    options.since = state;
    options.resumable = true;
    let report = fixture.verify_with(&options);
    assert!(report.verdict.is_intact(), "{report:#?}");
    Resume::parse(&report.resume.unwrap().text()).unwrap()
}

/// Lines that nobody with the key wrote, behind the first `keep` of a ledger.
fn forge(fixture: &Fixture, keep: usize, lines: u64) {
    let kept = &fixture.lines(0)[..keep];
    let mut forger = Forger::behind(kept);
    for n in 0..lines {
        forger.line("observed", &format!(",\"forged\":{n}"));
    }
    put(&fixture.segment(0), kept.concat() + &forger.text);
}

#[test]
fn nobody_signs_what_somebody_without_the_key_wrote_as_if_he_knew_it() {
    // All but the first line is made anew, and what would tell is taken away.
    let fixture = Fixture::signed(12);
    forge(&fixture, 1, 14);
    fixture.remove(&["checkpoint", "state"]);
    assert_eq!(fixture.verify().verdict, Verdict::Unsigned);
    fixture.write(0..1, &Options::default());
    let report = fixture.verify();
    assert_eq!(
        (report.verdict, report.adopted),
        (Verdict::Adopted, 14),
        "{report:#?}"
    );
    assert!(!report.reaches(Grade::Signed) && !report.reaches(Grade::Anchored));
    assert!(report.not_proven[0].contains("nobody knows who wrote entries 1 to 14"));
    assert!(
        report
            .warnings
            .iter()
            .any(|text| text.contains("`state` is missing")),
        "{report:#?}"
    );
    // It stays so.
    fixture.write(1..3, &Options::default());
    assert_eq!(fixture.verify().verdict, Verdict::Adopted);
    assert_eq!(fixture.verify().adopted, 14);
}

#[test]
fn a_forged_end_is_adopted_by_name_whoever_goes_on_behind_it() {
    // A writer that comes, with and without the note of the last one; one that is there already.
    for state in [true, false] {
        let fixture = Fixture::signed(3);
        let anchor = fs::read_to_string(fixture.root().join("checkpoint")).unwrap();
        forge(&fixture, fixture.lines(0).len(), 5);
        if !state {
            fixture.remove(&["state"]);
        }
        let before = fixture.against(&anchor);
        assert_eq!(
            (before.verdict, before.unsigned_tail),
            (Verdict::Anchored, 5)
        );
        fixture.write(0..1, &Options::default());
        let after = fixture.against(&anchor);
        assert_eq!(
            (after.verdict, after.adopted),
            (Verdict::Anchored, 5),
            "{after:#?}"
        );
        assert!(
            after
                .not_proven
                .iter()
                .any(|text| text.contains("entries 5 to 9"))
        );
        assert_eq!(fixture.verify().verdict, Verdict::Adopted);
    }
    let fixture = Fixture::signed(3);
    let there = Ledger::open(&fixture.root(), &Options::default()).unwrap();
    there.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    let lines = fixture.lines(0);
    let mut forger = Forger::behind(&lines);
    forger.line("grant", ",\"grant\":\"g\",\"change\":\"made\"");
    let mut file = fs::File::options()
        .append(true)
        .open(fixture.segment(0))
        .unwrap();
    std::io::Write::write_all(&mut file, forger.text.as_bytes()).unwrap();
    there.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    there.close().unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Adopted);
    assert_eq!(fixture.verify().adopted, 1);
    // A line with the code of another ledger is no better.
    let (fixture, other) = (Fixture::signed(3), Fixture::signed(9));
    let lines = fixture.lines(0);
    let mut forger = Forger::behind(&lines);
    let code = other.lines(0)[1]
        .rsplit_once(",\"mac\"")
        .unwrap()
        .1
        .to_owned();
    let code = code.trim_end().trim_end_matches('}').to_owned();
    forger.line("observed", &format!(",\"n\":7,\"mac\"{code}"));
    put(&fixture.segment(0), lines.concat() + &forger.text);
    fixture.write(0..1, &Options::default());
    assert_eq!(fixture.verify().adopted, 1);
}

#[test]
fn the_ledgers_key_hands_over_to_no_key_that_somebody_else_named() {
    let fixture = Fixture::signed(3);
    let lines = fixture.lines(0);
    let bytes = lines.concat().len();
    let mut forger = Forger::behind(&lines);
    let theirs = Signer::new(forger.origin(), &[9; 32]).unwrap();
    let key = json!(theirs.verifier().to_string());
    let before = json!([{"segment": "000000000000.jsonl", "bytes": bytes, "torn_bytes": 0}]);
    forger.segment(1, &key, &before);
    put(&fixture.segment(1), &forger.text);
    for _ in 0..2 {
        Ledger::open(&fixture.root(), &Options::default()).unwrap_err();
        assert_eq!(fixture.lines(1).len(), 1, "nothing is signed");
        fs::remove_file(fixture.root().join("state")).ok();
    }
}

#[test]
fn what_is_missing_beside_the_segments_is_said_by_the_next_writer_and_told() {
    let note = |fixture: &Fixture| fs::read(fixture.root().join("checkpoint")).unwrap();
    #[track_caller]
    fn check(change: impl Fn(&Fixture), expected: &str) {
        let fixture = Fixture::signed(3);
        let old = fs::read(fixture.root().join("checkpoint")).unwrap();
        fixture.write(3..5, &Options::default());
        fs::write(fixture.root().join("old"), old).unwrap();
        change(&fixture);
        fixture.write(5..6, &Options::default());
        let report = fixture.verify();
        assert_eq!(report.verdict, Verdict::Signed, "{report:#?}");
        let told = report.warnings.iter().any(|text| text.contains(expected));
        assert!(told, "{expected}: {report:#?}");
        // Once.
        let lines = fixture.lines(0).concat();
        assert_eq!(lines.matches("side_files").count(), 1, "{lines}");
        fixture.write(6..7, &Options::default());
        assert_eq!(fixture.lines(0).concat().matches("side_files").count(), 1);
    }
    check(|fixture| fixture.remove(&["state"]), "`state` is missing");
    check(
        |fixture| fixture.remove(&["checkpoint"]),
        "`checkpoint` is missing",
    );
    check(
        |fixture| {
            let old = fs::read(fixture.root().join("old")).unwrap();
            fs::write(fixture.root().join("checkpoint"), old).unwrap();
        },
        "`checkpoint` is older",
    );
    check(
        |fixture| fs::write(fixture.root().join("state"), "junk").unwrap(),
        "`state` is damaged",
    );
    check(
        |fixture| {
            let other = Fixture::signed(5);
            fs::copy(other.root().join("state"), fixture.root().join("state")).unwrap();
        },
        "`state` does not carry the code of this ledger",
    );
    // One that nobody signed keeps the writer out, as it makes verification fail.
    let fixture = Fixture::signed(3);
    let text = String::from_utf8(note(&fixture)).unwrap();
    let (head, _) = text.split_once("\n\n").unwrap();
    let forged = Signer::new(head.lines().next().unwrap(), &[9; 32]).unwrap();
    let lines = fixture.lines(0);
    let note = forged.sign(&Forger::behind(&lines).head());
    fs::write(fixture.root().join("checkpoint"), note).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    Ledger::open(&fixture.root(), &Options::default()).unwrap_err();
    // Nothing is said of a ledger that has just begun, or whose writer was killed.
    let fixture = Fixture::signed(0);
    let ledger = Ledger::open(&fixture.root(), &Options::default()).unwrap();
    ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    std::mem::forget(ledger);
    fixture.write(0..1, &Options::default());
    assert!(!fixture.lines(0).concat().contains("side_files"));
    assert_eq!(fixture.verify().verdict, Verdict::Signed);
}

#[test]
fn a_text_that_is_redacted_does_not_vouch_for_a_state() {
    let mut options = Options::default();
    options.redact = vec!["token".to_owned()];
    let fixture = Fixture::new(2, &options);
    let path = fixture.root().join("state");
    let text = fs::read_to_string(&path).unwrap();
    let (json, _) = text.split_once('\n').unwrap();
    let mut state: Value = serde_json::from_str(json).unwrap();
    state["grants"] = json!({"g": {"id": "g", "uses": null, "spent": 0, "until": null, "revoked": false, "entry": "token"}});
    let forged = state.to_string();
    // What is redacted gets an HMAC, in a ledger that everybody may read.
    let ledger = Ledger::open(&fixture.root(), &options).unwrap();
    ledger
        .commit(vec![
            Draft::new(Kind::Observed).with("text", forged.clone()),
        ])
        .unwrap();
    ledger.close().unwrap();
    let lines = fixture.lines(0).concat();
    let (_, code) = lines.split_once("\"hmac\":\"").unwrap();
    let (code, _) = code.split_once('"').unwrap();
    fs::write(&path, format!("{forged}\n{code}\n")).unwrap();
    let ledger = Ledger::open(&fixture.root(), &options).unwrap();
    assert!(ledger.grants().unwrap().is_empty());
}

#[test]
fn what_is_required_bounds_the_tail_that_nobody_signed_and_can_name_the_key() {
    let fixture = Fixture::signed(3);
    let anchor = fs::read_to_string(fixture.root().join("checkpoint")).unwrap();
    forge(&fixture, fixture.lines(0).len(), 512);
    assert!(fixture.verify().reaches(Grade::Signed));
    forge(&fixture, fixture.lines(0).len(), 1);
    let report = fixture.verify();
    assert_eq!(
        (report.verdict, report.unsigned_tail),
        (Verdict::Signed, 513)
    );
    assert!(!report.reaches(Grade::Signed) && report.reaches_within(Grade::Signed, 513));
    assert!(!fixture.against(&anchor).reaches(Grade::Anchored));
    let with_key = |key: &Verifier| {
        let mut options = VerifyOptions::default();
        options.key = Some(key.clone());
        fixture.verify_with(&options).verdict
    };
    let lines = fixture.lines(0);
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    let own = Verifier::parse(first["key"].as_str().unwrap()).unwrap();
    assert_eq!(with_key(&own), Verdict::Signed);
    let other = Signer::new(first["origin"].as_str().unwrap(), &[9; 32]).unwrap();
    assert_eq!(with_key(other.verifier()), Verdict::SplitView);
}
