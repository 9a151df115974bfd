//! What verification finds when somebody has changed a ledger: each byte flipped, lines dropped,
//! doubled, swapped, the end cut off, files exchanged. It says where, and never that all is well.

use super::reading::{in_segments_of, report, split};
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lictor::log::note::{Verifier, peek};
use lictor::log::verify::{Grade, Report, Resume, Verdict, VerifyOptions};
use lictor::log::{Draft, Kind, RunId};
use lictor::record::verify;
use lictor::record::{Ledger, Options};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const POLICY: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

/// A ledger in a directory that is removed at the end.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// A cleanly closed ledger of exactly `entries` lines.
    fn closed(entries: u64, options: &Options) -> Fixture {
        let fixture = Fixture {
            dir: tempfile::tempdir().unwrap(),
        };
        let ledger = Ledger::open(&fixture.root(), options).unwrap();
        // The first line describes the segment, the last one is the checkpoint.
        let checkpoint = u64::from(options.log.sign);
        fill(&ledger, entries - 1 - checkpoint);
        ledger.close().unwrap();
        assert_eq!(fixture.verify().entries, entries);
        fixture
    }

    fn signed() -> Fixture {
        Fixture::closed(50, &Options::default())
    }

    fn unsigned() -> Fixture {
        Fixture::closed(50, &unsigned())
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.root().join(format!("segments/{number:012}.jsonl"))
    }

    fn read(&self) -> Vec<u8> {
        fs::read(self.segment(0)).unwrap()
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        split(&self.read())
    }

    /// Flips one bit of a segment's byte; the same again restores it.
    fn flip(&self, at: usize, bit: usize) {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(self.segment(0))
            .unwrap();
        let (mut byte, at) = ([0], u64::try_from(at).unwrap());
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(self.segment(0), bytes).unwrap();
    }

    fn verify(&self) -> Report {
        report(&self.root())
    }
}

fn unsigned() -> Options {
    let mut options = Options::default();
    options.log.sign = false;
    options
}

/// Runs that were allowed, started and ended, one entry at a time, until there are `entries` of them.
fn fill(ledger: &Ledger, entries: u64) {
    let mut written = 0;
    while written < entries {
        let run = RunId::random().unwrap();
        for draft in run_of(run) {
            if written < entries {
                ledger.commit(vec![draft]).unwrap();
                written += 1;
            }
        }
    }
}

fn run_of(run: RunId) -> [Draft; 3] {
    let argv = json!(["pytest", "runtime/tests/test_ä.py"]);
    [
        Draft::new(Kind::Decision)
            .of(run)
            .with("effect", "allow")
            .with("policy", POLICY)
            .with("actor", "ci")
            .with("argv", argv.clone()),
        Draft::new(Kind::Start)
            .of(run)
            .with("argv", argv)
            .with("policy", POLICY),
        Draft::new(Kind::Outcome).of(run).with("status", "PASS"),
    ]
}

#[test]
fn a_closed_ledger_is_signed_to_its_last_line() {
    let report = Fixture::signed().verify();
    assert_eq!(report.verdict, Verdict::Signed, "{report:#?}");
    assert_eq!((report.unsigned_tail, report.problems.len()), (0, 0));
    assert!(report.not_proven.iter().any(|line| line.contains("key")));
}

#[test]
fn a_ledger_without_a_key_is_unsigned_and_says_what_that_leaves_open() {
    let report = Fixture::unsigned().verify();
    assert_eq!(
        (report.verdict, report.unsigned_tail),
        (Verdict::Unsigned, 50),
        "{report:#?}"
    );
    assert!(
        report
            .not_proven
            .iter()
            .any(|line| line.contains("last line"))
    );
}

#[test]
fn every_flipped_byte_of_a_closed_ledger_is_found_and_located_to_its_line() {
    let fixture = Fixture::signed();
    let good = fixture.read();
    let mut line = 1;
    for (at, byte) in good.iter().enumerate() {
        // Another bit each time: letter case, digits, quotes, line feeds, high bits.
        fixture.flip(at, at % 8);
        let report = fixture.verify();
        fixture.flip(at, at % 8);
        assert_eq!(report.verdict, Verdict::Tampered, "byte {at}");
        // A changed line feed joins or splits lines; the place is then the joined line.
        let found = report.problems[0].line;
        assert_eq!(
            found, line,
            "byte {at} of line {line}: {:?}",
            report.problems
        );
        line += u64::from(*byte == b'\n');
    }
}

#[test]
fn in_an_unsigned_ledger_every_flip_before_the_last_line_is_found_and_located() {
    let fixture = Fixture::unsigned();
    let good = fixture.read();
    let last_start = good[..good.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    let mut line = 1;
    for at in 0..last_start {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fixture.write(&bad);
        let report = fixture.verify();
        assert_eq!(report.verdict, Verdict::Tampered, "byte {at}");
        assert_eq!(
            report.problems[0].line, line,
            "byte {at}: {:?}",
            report.problems
        );
        line += u64::from(good[at] == b'\n');
    }
}

#[test]
fn the_head_of_the_last_line_of_an_unsigned_ledger_is_protected_and_its_body_is_said_not_to_be() {
    let fixture = Fixture::unsigned();
    let text = String::from_utf8(fixture.read()).unwrap();
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
    let changed = |from: &str, to: &str| {
        assert!(last.contains(from), "{last}");
        fixture.write(format!("{before}\n{}\n", last.replacen(from, to, 1)).as_bytes());
        fixture.verify().verdict
    };
    assert_eq!(changed("\"v\":1", "\"v\":2"), Verdict::Tampered);
    assert_eq!(changed("\"seq\":49", "\"seq\":48"), Verdict::Tampered);
    assert_eq!(changed("\"prev\":\"", "\"prev\":\"0"), Verdict::Tampered);
    assert_eq!(changed("\"type\":\"", "\"type\":\"x"), Verdict::Tampered);
    assert_eq!(changed("\"ts\":\"2", "\"ts\":\"x"), Verdict::Tampered);
    assert_eq!(changed("\"boot\":\"", "\"boot\":\"0"), Verdict::Unsigned);
}

#[test]
fn every_flipped_byte_of_the_checkpoint_file_is_found() {
    let fixture = Fixture::signed();
    let path = fixture.root().join("checkpoint");
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, &bad).unwrap();
        let report = fixture.verify();
        assert!(!report.verdict.is_intact(), "byte {at}: {report:#?}");
        assert_eq!(report.problems[0].segment, "checkpoint");
    }
}

#[test]
fn deleted_doubled_and_swapped_lines_are_found_where_they_are() {
    let fixture = Fixture::signed();
    let lines = fixture.lines();
    for at in 0..lines.len() {
        let mut deleted = lines.clone();
        deleted.remove(at);
        check_lines(&fixture, &deleted, "deleted", at, lines.len());
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        check_lines(&fixture, &doubled, "doubled", at + 1, usize::MAX);
        for other in [at + 1, at + 2, lines.len() - 1] {
            if other > at && other < lines.len() {
                let mut swapped = lines.clone();
                swapped.swap(at, other);
                check_lines(&fixture, &swapped, "swapped", at, usize::MAX);
            }
        }
    }
}

#[track_caller]
fn check_lines(fixture: &Fixture, lines: &[Vec<u8>], what: &str, at: usize, cut_is: usize) {
    fixture.write(&lines.concat());
    let report = fixture.verify();
    if at + 1 == cut_is {
        // Without the last line the ledger is simply shorter.
        assert_eq!(
            report.verdict,
            Verdict::RolledBack,
            "{what} {at}: {report:#?}"
        );
        return;
    }
    assert_eq!(report.verdict, Verdict::Tampered, "{what} {at}");
    assert_eq!(
        report.problems[0].line,
        u64::try_from(at).unwrap() + 1,
        "{what} {at}: {:?}",
        report.problems
    );
}

#[test]
fn a_tail_cut_at_any_byte_of_the_last_three_lines_is_never_intact() {
    let fixture = Fixture::signed();
    let (good, lines) = (fixture.read(), fixture.lines());
    let last_three: usize = lines[lines.len() - 3..].iter().map(Vec::len).sum();
    for cut in 1..=last_three {
        fixture.write(&good[..good.len() - cut]);
        let report = fixture.verify();
        let at_line_end = good[good.len() - cut - 1] == b'\n';
        let expected = if at_line_end {
            Verdict::RolledBack
        } else {
            Verdict::Tampered
        };
        assert_eq!(report.verdict, expected, "{cut} bytes cut: {report:#?}");
    }
}

#[test]
fn a_cut_tail_is_not_written_over_by_the_next_writer() {
    let fixture = Fixture::signed();
    let lines = fixture.lines();
    fixture.write(&lines[..40].concat());
    for remove_state in [false, true] {
        if remove_state {
            fs::remove_file(fixture.root().join("state")).unwrap();
        }
        let error = Ledger::open(&fixture.root(), &Options::default()).unwrap_err();
        assert!(error.to_string().contains("covers 50"), "{error}");
        assert_eq!(error.reason(), lictor::reason::Reason::LedgerUnavailable);
    }
    assert_eq!(fixture.verify().verdict, Verdict::RolledBack);
}

#[test]
fn text_after_the_last_line_is_never_taken_for_an_entry() {
    let fixture = Fixture::signed();
    let good = fixture.read();
    for (garbage, expected) in [
        (&b"garbage"[..], Verdict::TornTail),
        (b"\0\0\0\0", Verdict::TornTail),
        (b"\0\0\0\0\n", Verdict::TornTail),
        (b"garbage\n", Verdict::Tampered),
        (b"\n", Verdict::Tampered),
        (b"\r\n", Verdict::Tampered),
        (b" \n", Verdict::Tampered),
        (b"{}\n", Verdict::Tampered),
        (b"\xef\xbb\xbf\n", Verdict::Tampered),
    ] {
        fixture.write(&[&good[..], garbage].concat());
        let report = fixture.verify();
        assert_eq!(report.verdict, expected, "{garbage:?}: {report:#?}");
    }
}

#[test]
fn other_line_ends_blank_lines_and_byte_order_marks_are_tampering() {
    let fixture = Fixture::signed();
    let text = String::from_utf8(fixture.read()).unwrap();
    for (what, changed) in [
        ("CRLF", text.replace('\n', "\r\n")),
        ("blank line", text.replacen('\n', "\n\n", 1)),
        ("byte order mark", format!("\u{feff}{text}")),
        (
            "spaces in JSON",
            text.replacen("\"seq\":7,", "\"seq\": 7,", 1),
        ),
        (
            "another order of keys",
            text.replacen("{\"v\":1,\"seq\":7,", "{\"seq\":7,\"v\":1,", 1),
        ),
        (
            "leading zero",
            text.replacen("\"seq\":7,", "\"seq\":07,", 1),
        ),
        ("float", text.replacen("\"seq\":7,", "\"seq\":7.0,", 1)),
        (
            "second name",
            text.replacen(
                "\"effect\":\"allow\"",
                "\"effect\":\"deny\",\"effect\":\"allow\"",
                1,
            ),
        ),
        (
            "escaped letter",
            text.replacen("\"allow\"", "\"\\u0061llow\"", 1),
        ),
        (
            "other decision",
            text.replacen("\"allow\"", "\"denied\"", 1),
        ),
    ] {
        assert_ne!(changed, text, "{what}");
        fixture.write(changed.as_bytes());
        assert_eq!(fixture.verify().verdict, Verdict::Tampered, "{what}");
    }
}

#[test]
fn empty_and_missing_ledgers_are_missing_and_emptied_ones_are_rolled_back() {
    let fixture = Fixture::signed();
    fixture.write(b"");
    assert_eq!(fixture.verify().verdict, Verdict::RolledBack);
    fs::remove_file(fixture.segment(0)).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::RolledBack);
    fs::remove_file(fixture.root().join("checkpoint")).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Missing);
    fixture.write(b"");
    assert_eq!(fixture.verify().verdict, Verdict::Missing);
    fs::remove_dir_all(fixture.root()).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Missing);
    fs::write(fixture.root(), "a file").unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Missing);
}

#[test]
fn a_history_that_was_made_elsewhere_is_not_that_of_the_key() {
    let (fixture, other) = (Fixture::signed(), Fixture::signed());
    fs::copy(other.segment(0), fixture.segment(0)).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    fs::copy(
        other.root().join("checkpoint"),
        fixture.root().join("checkpoint"),
    )
    .unwrap();
    assert_eq!(
        fixture.verify().verdict,
        Verdict::Tampered,
        "the key is still the old one"
    );
    let unsigned = Fixture::unsigned();
    fs::copy(unsigned.segment(0), fixture.segment(0)).unwrap();
    fs::remove_file(fixture.root().join("checkpoint")).unwrap();
    assert_eq!(
        fixture.verify().verdict,
        Verdict::Tampered,
        "a ledger with a key names it"
    );
}

#[test]
fn an_anchor_finds_what_the_key_alone_does_not() {
    let fixture = Fixture::signed();
    let anchor = fs::read_to_string(fixture.root().join("checkpoint")).unwrap();
    let against = |anchor: &str| {
        let mut options = VerifyOptions::default();
        options.anchors = vec![anchor.to_owned()];
        verify(&fixture.root(), &options, &mut |_, _| {})
    };
    let report = against(&anchor).unwrap();
    assert_eq!(
        (report.verdict, report.anchored),
        (Verdict::Anchored, 50),
        "{report:#?}"
    );
    // Somebody with the key writes the whole ledger anew.
    fs::remove_dir_all(fixture.root().join("segments")).unwrap();
    for file in ["checkpoint", "state"] {
        fs::remove_file(fixture.root().join(file)).unwrap();
    }
    let ledger = Ledger::open(&fixture.root(), &Options::default()).unwrap();
    fill(&ledger, 60);
    ledger.close().unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Signed);
    assert_eq!(against(&anchor).unwrap().verdict, Verdict::SplitView);
    // A shorter one does not cover what the anchor does.
    let lines = fixture.lines();
    fs::remove_file(fixture.root().join("checkpoint")).unwrap();
    fixture.write(&lines[..20].concat());
    assert_eq!(against(&anchor).unwrap().verdict, Verdict::RolledBack);
    let stranger = Fixture::signed();
    let stranger = fs::read_to_string(stranger.root().join("checkpoint")).unwrap();
    assert_eq!(against(&stranger).unwrap().verdict, Verdict::SplitView);
    assert!(against("no note").is_err());
}

#[test]
fn segments_that_are_missing_exchanged_or_added_are_found() {
    let mut options = Options::default();
    options.log.segment_bytes = 4096;
    let fixture = Fixture {
        dir: tempfile::tempdir().unwrap(),
    };
    let ledger = Ledger::open(&fixture.root(), &options).unwrap();
    fill(&ledger, 60);
    ledger.close().unwrap();
    let report = fixture.verify();
    assert_eq!(report.verdict, Verdict::Signed, "{report:#?}");
    let segments: Vec<Vec<u8>> = (0..)
        .map_while(|number| fs::read(fixture.segment(number)).ok())
        .collect();
    assert!(segments.len() > 3);
    let last = u64::try_from(segments.len()).unwrap() - 1;
    let restore = || {
        for (number, bytes) in (0..).zip(&segments) {
            fs::write(fixture.segment(number), bytes).unwrap();
        }
    };

    fs::remove_file(fixture.segment(1)).unwrap();
    let report = fixture.verify();
    assert_eq!(report.verdict, Verdict::Tampered);
    assert_eq!(report.problems[0].segment, "000000000001.jsonl");
    restore();

    fs::remove_file(fixture.segment(0)).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    restore();

    fs::remove_file(fixture.segment(last)).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::RolledBack);
    restore();

    fs::write(fixture.segment(1), &segments[2]).unwrap();
    fs::write(fixture.segment(2), &segments[1]).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    restore();

    fs::write(fixture.segment(last + 1), &segments[1]).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    fs::write(fixture.segment(last + 1), "").unwrap();
    let report = fixture.verify();
    assert_eq!(
        report.verdict,
        Verdict::Signed,
        "a crash before the first line: {report:#?}"
    );
    fs::remove_file(fixture.segment(last + 1)).unwrap();

    // The end of a segment moved into the next file.
    fs::write(fixture.segment(0), &segments[0][..segments[0].len() - 10]).unwrap();
    assert_eq!(fixture.verify().verdict, Verdict::Tampered);
    restore();

    fs::remove_file(fixture.segment(1)).unwrap();
    std::os::unix::fs::symlink(fixture.segment(2), fixture.segment(1)).unwrap();
    let report = fixture.verify();
    assert_eq!(report.verdict, Verdict::Tampered);
    assert!(
        report.problems[0].what.contains("symbolic link"),
        "{report:#?}"
    );
}

#[test]
fn entries_that_make_no_sense_together_are_found_in_a_chain_that_holds() {
    let run = RunId::random().unwrap();
    let other = RunId::random().unwrap();
    let [decision, start, outcome] = run_of(run);
    let deny = Draft::new(Kind::Decision)
        .of(run)
        .with("effect", "deny")
        .with("policy", POLICY);
    let argv = json!(["rm", "-r", "/"]);
    let changed = Draft::new(Kind::Start)
        .of(run)
        .with("argv", argv)
        .with("policy", POLICY);
    let policy = Draft::new(Kind::Start)
        .of(run)
        .with("argv", decision.body["argv"].clone())
        .with("policy", "bb");
    let [_, stranger, _] = run_of(other);
    for (what, drafts, intact) in [
        (
            "a whole run",
            vec![decision.clone(), start.clone(), outcome],
            true,
        ),
        (
            "a run that goes on",
            vec![decision.clone(), start.clone()],
            true,
        ),
        ("a check", vec![decision.clone()], true),
        (
            "two decisions",
            vec![decision.clone(), decision.clone()],
            false,
        ),
        ("a start without decision", vec![start.clone()], false),
        ("a start after a denial", vec![deny, start.clone()], false),
        (
            "a start of another command",
            vec![decision.clone(), changed],
            false,
        ),
        (
            "a start under another policy",
            vec![decision.clone(), policy],
            false,
        ),
        (
            "a start of another run",
            vec![decision.clone(), stranger],
            false,
        ),
        ("two starts", vec![decision, start.clone(), start], false),
    ] {
        let fixture = Fixture {
            dir: tempfile::tempdir().unwrap(),
        };
        let ledger = Ledger::open(&fixture.root(), &Options::default()).unwrap();
        ledger.commit(drafts).unwrap();
        ledger.close().unwrap();
        let report = fixture.verify();
        assert_eq!(report.verdict.is_intact(), intact, "{what}: {report:#?}");
    }
}

#[test]
fn an_outcome_is_recorded_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &Options::default()).unwrap();
    let [decision, start, outcome] = run_of(RunId::random().unwrap());
    let (_, reservation) = ledger.commit_reserving(vec![decision, start]).unwrap();
    ledger.finish(reservation, vec![outcome.clone()]).unwrap();
    assert!(ledger.commit(vec![outcome]).is_err());
}

/// The files of a ledger, by their names below its directory.
type Files = std::collections::BTreeMap<String, Vec<u8>>;

/// A closed ledger of several short files, with one of its checkpoints and its side files from halfway.
struct Base {
    files: Files,
    /// `checkpoint` and `state` when half of it was written.
    earlier: Files,
    anchors: [String; 2],
    since: Resume,
    key: Verifier,
}

const SEGMENTS: &str = "segments/";

impl Base {
    fn new() -> Base {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path();
        let write = |runs| {
            let ledger = Ledger::open(dir, &in_segments_of(1200)).unwrap();
            fill(&ledger, runs);
            ledger.close().unwrap();
            fs::read_to_string(dir.join("checkpoint")).unwrap()
        };
        let half = write(3);
        let earlier = read_files(dir);
        let end = write(6);
        let mut options = VerifyOptions::default();
        options.resumable = true;
        let report = verify(dir, &options, &mut |_, _| {}).unwrap();
        let files = read_files(dir);
        let first: serde_json::Value = serde_json::from_slice(&lines_of(&files)[0]).unwrap();
        let side = |name: &String| matches!(name.as_str(), "checkpoint" | "state");
        Base {
            earlier: earlier.into_iter().filter(|(name, _)| side(name)).collect(),
            anchors: [half, end],
            since: Resume::parse(&report.resume.unwrap().text()).unwrap(),
            key: Verifier::parse(first["key"].as_str().unwrap()).unwrap(),
            files,
        }
    }
}

fn read_files(dir: &Path) -> Files {
    let mut files = Files::new();
    for below in ["", SEGMENTS] {
        for found in fs::read_dir(dir.join(below)).unwrap() {
            let found = found.unwrap();
            if found.file_type().unwrap().is_file() {
                let name = format!("{below}{}", found.file_name().to_str().unwrap());
                files.insert(name, fs::read(found.path()).unwrap());
            }
        }
    }
    files
}

fn write_files(dir: &Path, files: &Files) {
    fs::create_dir_all(dir.join(SEGMENTS)).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn segment_names(files: &Files) -> Vec<String> {
    let names = files.keys().filter(|name| name.starts_with(SEGMENTS));
    names.cloned().collect()
}

fn lines_of(files: &Files) -> Vec<Vec<u8>> {
    let names = segment_names(files);
    names.iter().flat_map(|name| split(&files[name])).collect()
}

/// The lines in their files with numbers and digests that fit, as anybody can compute them.
fn rechained(files: &Files) -> Files {
    let mut files = files.clone();
    let (mut prev, mut seq) = ("0".repeat(64), 0);
    for name in segment_names(&files) {
        let mut whole = Vec::new();
        for line in split(&files[&name]) {
            let text = String::from_utf8_lossy(&line).into_owned();
            let tail = text
                .split_once("\",\"ts\":")
                .map(|(_, tail)| tail.to_owned());
            let line = tail.map_or(text, |tail| {
                format!("{{\"v\":1,\"seq\":{seq},\"prev\":\"{prev}\",\"ts\":{tail}")
            });
            prev = hex(&Sha256::digest(&line));
            seq += 1;
            whole.extend(line.into_bytes());
        }
        files.insert(name, whole);
    }
    files
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that is done to the segments, each by its name.
fn mutations(base: &Files, other: &Files) -> Vec<(String, Files)> {
    let mut made = vec![("nothing".to_owned(), base.clone())];
    let names = segment_names(base);
    let others = lines_of(other);
    let mut nth = 0;
    for name in &names {
        let lines = split(&base[name]);
        let with = |lines: &[Vec<u8>]| {
            let mut files = base.clone();
            files.insert(name.clone(), lines.concat());
            files
        };
        for at in 0..lines.len() {
            let mut add = |what: &str, lines: &[Vec<u8>]| {
                let files = with(lines);
                made.push((format!("{what} {nth}, chained anew"), rechained(&files)));
                made.push((format!("{what} {nth}"), files));
            };
            let mut changed = lines.clone();
            changed.remove(at);
            add("line dropped", &changed);
            let mut changed = lines.clone();
            changed.insert(at, lines[at].clone());
            add("line doubled", &changed);
            if at + 1 < lines.len() {
                let mut changed = lines.clone();
                changed.swap(at, at + 1);
                add("line exchanged with the next", &changed);
            }
            let mut changed = lines.clone();
            changed[at] = others[nth % others.len()].clone();
            add("line of another ledger", &changed);
            for (what, from, to) in [
                ("clock set back", "\"ts\":\"2", "\"ts\":\"1"),
                ("other boot", "\"boot\":\"", "\"boot\":\"a"),
                ("other key", "\"key\":\"", "\"key\":\"x"),
                ("other code", "\"mac\":\"", "\"mac\":\"0"),
                ("other status", "\"status\":\"PASS", "\"status\":\"FAIL"),
            ] {
                let text = String::from_utf8_lossy(&lines[at]);
                if text.contains(from) {
                    let mut changed = lines.clone();
                    changed[at] = text.replacen(from, to, 1).into_bytes();
                    add(what, &changed);
                }
            }
            // Cut inside of the line and behind it, with and without the files behind.
            for length in [0, 1, lines[at].len() / 2, lines[at].len() - 1] {
                let mut files = base.clone();
                let bytes = [&lines[..at].concat()[..], &lines[at][..length]].concat();
                files.insert(name.clone(), bytes);
                made.push((format!("cut in line {nth} after {length}"), files.clone()));
                files.retain(|file, _| !file.starts_with(SEGMENTS) || file <= name);
                made.push((format!("all cut in line {nth} after {length}"), files));
            }
            nth += 1;
        }
        let mut files = base.clone();
        files.remove(name);
        made.push((format!("{name} removed"), files));
        let mut files = base.clone();
        files.insert(name.clone(), other.get(name).cloned().unwrap_or_default());
        made.push((format!("{name} of another ledger"), files));
        for to in &names {
            let mut files = base.clone();
            files.insert(to.clone(), base[name].clone());
            made.push((format!("{name} copied to {to}"), files.clone()));
            files.insert(name.clone(), base[to].clone());
            made.push((format!("{name} exchanged with {to}"), files));
        }
    }
    made
}

/// What is done to the files beside them.
fn side_states(base: &Base, other: &Files, files: &Files) -> Vec<(&'static str, Files)> {
    let with = |checkpoint: Option<&Vec<u8>>, state: Option<&Vec<u8>>| {
        let mut files = files.clone();
        for (name, bytes) in [("checkpoint", checkpoint), ("state", state)] {
            match bytes {
                Some(bytes) => files.insert(name.to_owned(), bytes.clone()),
                None => files.remove(name),
            };
        }
        files
    };
    let pair = |files: &Files| (files["checkpoint"].clone(), files["state"].clone());
    let (own, own_state) = pair(&base.files);
    let (old, old_state) = pair(&base.earlier);
    let (strange, strange_state) = pair(other);
    let junk = b"junk\n".to_vec();
    vec![
        ("as they were", files.clone()),
        ("none", with(None, None)),
        ("no state", with(Some(&own), None)),
        ("no checkpoint", with(None, Some(&own_state))),
        ("earlier ones", with(Some(&old), Some(&old_state))),
        ("an earlier checkpoint alone", with(Some(&old), None)),
        (
            "of another ledger",
            with(Some(&strange), Some(&strange_state)),
        ),
        ("exchanged", with(Some(&own_state), Some(&own))),
        ("junk", with(Some(&junk), Some(&junk))),
    ]
}

/// How much a report says of a ledger.
fn rank(report: &Report) -> u8 {
    match report.verdict.is_intact() {
        false => 0,
        true if report.reaches_within(Grade::Anchored, u64::MAX) => 3,
        true if report.reaches_within(Grade::Signed, u64::MAX) => 2,
        true => 1,
    }
}

#[test]
fn nothing_that_is_done_to_a_ledger_gets_a_better_grade_than_it_deserves_in_any_mode() {
    let base = Base::new();
    let other = Base::new().files;
    let original = lines_of(&base.files);
    assert!(segment_names(&base.files).len() > 2 && original.len() < 30);
    let all = mutations(&base.files, &other);
    let cases: Vec<_> = all.iter().enumerate().collect();
    let modes: Vec<VerifyOptions> = {
        let with = |change: &dyn Fn(&mut VerifyOptions)| {
            let mut options = VerifyOptions::default();
            change(&mut options);
            options
        };
        let [half, end] = base.anchors.clone();
        vec![
            with(&|_| {}),
            with(&|options| options.anchors = vec![half.clone()]),
            with(&|options| options.anchors = vec![half.clone(), end.clone()]),
            with(&|options| options.since = Some(base.since.clone())),
            with(&|options| {
                options.since = Some(base.since.clone());
                options.anchors = vec![end.clone()];
            }),
            with(&|options| {
                options.key = Some(base.key.clone());
                options.whole = true;
            }),
        ]
    };
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(4)) {
            let (base, other, original, modes) = (&base, &other, &original, &modes);
            scope.spawn(move || {
                for (_, (what, files)) in part {
                    for (beside, files) in side_states(base, other, files) {
                        let what = format!("{what}; beside it: {beside}");
                        check_case(&what, &files, original, modes, base);
                    }
                }
            });
        }
    });
}

#[track_caller]
fn check_case(
    what: &str,
    files: &Files,
    original: &[Vec<u8>],
    modes: &[VerifyOptions],
    base: &Base,
) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    write_files(dir, files);
    let number = |n: usize| u64::try_from(n).unwrap();
    // So many lines at the beginning are as they were.
    let now = lines_of(files);
    let same = now.iter().zip(original).take_while(|(a, b)| a == b).count();
    let is_base = files == &base.files;
    let reports: Vec<Report> = modes
        .iter()
        .map(|options| verify(dir, options, &mut |_, _| {}).unwrap())
        .collect();
    for (options, report) in modes.iter().zip(&reports) {
        let named = report.verdict == Verdict::Missing || !report.problems.is_empty();
        assert!(report.verdict.is_intact() || named, "{what}: {report:#?}");
        if is_base {
            assert!(rank(report) >= 2, "{what}: {report:#?}");
        }
        if !report.verdict.is_intact() {
            continue;
        }
        // Nothing is vouched for that is not as it was.
        let vouched = report.signed.max(report.anchored);
        assert!(vouched <= number(same), "{what}: {options:?} {report:#?}");
        for anchor in &options.anchors {
            let covered = peek(anchor.as_bytes()).unwrap().size;
            assert!(covered <= number(same), "{what}: {options:?} {report:#?}");
        }
        if options.since.is_some() {
            assert_eq!(same, original.len(), "{what}: {options:?} {report:#?}");
        }
    }
    // The next writer makes it no better, and says what it found.
    let before = &reports[0];
    let Ok(ledger) = Ledger::open(dir, &in_segments_of(1200)) else {
        return;
    };
    ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    ledger.close().unwrap();
    let after = report(dir);
    if before.verdict == Verdict::Missing {
        let said = after.warnings.iter().any(|text| text.contains("`state`"));
        assert!(said, "{what}: {after:#?}");
        return;
    }
    let foreign = before.entries.saturating_sub(number(same));
    assert!(
        rank(&after)
            <= rank(before).max(if foreign == 0 && rank(before) > 0 {
                2
            } else {
                0
            }),
        "{what}: {before:#?} {after:#?}"
    );
    if after.verdict.is_intact() {
        assert!(after.adopted >= foreign, "{what}: {before:#?} {after:#?}");
        let lost = files.get("state") != base.files.get("state")
            && files.get("state") != base.earlier.get("state");
        let said = after.warnings.iter().any(|text| text.contains("`state`"));
        assert!(said || !lost, "{what}: {after:#?}");
    }
}
