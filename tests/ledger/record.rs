//! What the record says of runs whose owner cannot be seen, of proofs out of changed files, and of directories that
//! hold anything but a ledger: nothing false, in bounded time and memory.
#![cfg(target_os = "linux")]

use super::reading::{entries, report};
use crate::support::need;
use crate::support::ordinary;
use crate::support::program;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::program::Place;
use lictor::log::proof::{ProofError, check_proof, entry, keys, prove};
use lictor::log::read::{Filter, show};
use lictor::log::verify::{Resume, Verdict, VerifyOptions};
use lictor::log::{Draft, Kind, RunId};
use lictor::record::stats::Stats;
use lictor::record::verify;
use lictor::record::{Ledger, Options};
use serde_json::json;

const POLICY: &str = "version: 1
name: runs
tools:
  sh:
    program: sh
    actions:
      run: {args: {file: {type: path, required: true}}}
scopes: {all: [\"**\"]}
rules:
  - {id: r, allow: sh.run, within: all}
";

fn kinds(dir: &Path) -> Vec<(Kind, String)> {
    entries(dir)
        .into_iter()
        .map(|entry| {
            let status = entry.value()["status"].as_str().unwrap_or("").to_owned();
            (entry.kind, status)
        })
        .collect()
}

/// A run that goes on until it is told, below `outer`, which is a program with options that starts another one.
fn start_below(place: &Place, outer: &[&str]) -> Option<Child> {
    let program = std::env::var_os(program::PROGRAM)
        .map_or_else(|| env!("CARGO_BIN_EXE_lictor").into(), PathBuf::from);
    place.write(
        "wait.sh",
        "echo there; n=0
         while [ ! -e go ] && [ $n -lt 1200 ]; do sleep .05; n=$((n+1)); done; exit 7\n",
    );
    let mut command = Command::new(outer[0]);
    command
        .args(&outer[1..])
        .arg(program)
        .arg("--ledger")
        .arg(place.ledger())
        .args(["run", "--", "sh", "wait.sh"])
        .current_dir(place.work())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    if line != "there\n" {
        child.kill().ok();
        child.wait().unwrap();
        return None;
    }
    Some(child)
}

/// A boot id of its own, a time namespace, a PID namespace of its own: what a container may have.
const SURROUNDINGS: [&[&str]; 3] = [
    &["unshare", "-UrT", "--boottime", "1000000", "--fork"],
    &[
        "unshare",
        "-Urm",
        "sh",
        "-c",
        "echo 11111111-2222-3333-4444-555555555555 > boot
         mount --bind boot /proc/sys/kernel/random/boot_id && exec \"$@\"",
        "sh",
    ],
    &["unshare", "-Urpf", "--mount-proc"],
];

#[test]
fn a_run_that_goes_on_is_not_lost_whatever_namespaces_it_has() {
    for outer in SURROUNDINGS {
        let place = Place::with_policy(POLICY);
        let Some(mut child) = start_below(&place, outer) else {
            need::lacks("unshare", outer.join(" "));
            continue;
        };
        // Somebody else opens the ledger.
        let ledger = place.ledger();
        let check = ["--ledger", ledger.to_str().unwrap(), "check", "--", "nope"];
        place.lictor(check).end();
        let lost = kinds(&ledger).contains(&(Kind::Outcome, "LOST".to_owned()));
        assert!(!lost, "{outer:?}");
        assert_eq!(report(&ledger).open_runs, 1);
        place.write("go", "");
        assert_eq!(child.wait().unwrap().code(), Some(7), "{outer:?}");
        let report = report(&ledger);
        assert_eq!((report.verdict, report.open_runs), (Verdict::Signed, 0));
    }
}

#[test]
fn a_run_whose_owner_was_killed_is_lost_whatever_namespaces_it_had() {
    for outer in SURROUNDINGS {
        let place = Place::with_policy(POLICY);
        let Some(mut child) = start_below(&place, outer) else {
            need::lacks("unshare", outer.join(" "));
            continue;
        };
        kill_below(child.id());
        child.wait().unwrap();
        let ledger = place.ledger();
        let check = ["--ledger", ledger.to_str().unwrap(), "check", "--", "nope"];
        // The kernel gives the lock back when the process is gone as a whole.
        let started = Instant::now();
        loop {
            place.lictor(check).end();
            if kinds(&ledger).contains(&(Kind::Outcome, "LOST".to_owned())) {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{outer:?}");
        }
        assert_eq!(report(&ledger).open_runs, 0);
    }
}

/// Kills a process and then all below it: an owner that saw its helper end first would still say so.
fn kill_below(pid: u32) {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    Command::new("kill")
        .args(["-9", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    for child in children.unwrap_or_default().split_whitespace() {
        kill_below(child.parse().unwrap());
    }
}

#[test]
fn the_outcome_of_a_run_that_was_given_up_is_recorded_and_told() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("ledger");
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    let run = RunId::random().unwrap();
    let decision = Draft::new(Kind::Decision).of(run);
    let decision = decision.with("effect", "allow").with("policy", "aa");
    let start = Draft::new(Kind::Start).of(run).with("policy", "aa");
    let drafts = [decision, start].map(|draft| draft.with("argv", json!(["true"])));
    let (_, reservation) = ledger.commit_reserving(drafts.to_vec()).unwrap();
    // A later writer that knows no better.
    let lost = Draft::new(Kind::Outcome).of(run).with("status", "LOST");
    let later = Ledger::open(&dir, &Options::default()).unwrap();
    later.commit(vec![lost.clone()]).unwrap();
    let state = resume(&dir, None);
    let stop = Draft::new(Kind::Stop).of(run).with("why", "timeout");
    let outcome = Draft::new(Kind::Outcome)
        .of(run)
        .with("status", "TIMEOUT")
        .with("duration_ms", 5);
    ledger
        .finish(reservation, vec![stop, outcome.clone()])
        .unwrap();
    assert!(ledger.commit(vec![outcome.clone()]).is_err());
    assert!(later.commit(vec![outcome]).is_err());
    assert!(later.commit(vec![lost]).is_err());
    drop((ledger, later));
    for state in [None, Some(state)] {
        let mut options = VerifyOptions::default();
        options.since = state;
        let report = verify(&dir, &options, &mut |_, _| {}).unwrap();
        assert_eq!(
            (report.verdict, report.open_runs),
            (Verdict::Signed, 0),
            "{report:#?}"
        );
        let told = report
            .warnings
            .iter()
            .any(|text| text.contains("1 runs ended after"));
        assert!(told, "{report:#?}");
    }
    let mut stats = Stats::default();
    for shown in show(&dir, Filter::default()).unwrap().unwrap() {
        stats.add(&shown.unwrap().entry.unwrap());
    }
    assert_eq!(
        (stats.runs["TIMEOUT"], stats.runs["LOST"], stats.all_runs()),
        (1, 0, 1)
    );
    let text = fs::read_to_string(dir.join("segments/000000000000.jsonl")).unwrap();
    assert_eq!(text.matches("\"after_lost\":true").count(), 1, "{text}");
}

fn resume(dir: &Path, since: Option<Resume>) -> Resume {
    let mut options = VerifyOptions::default();
    options.resumable = true;
    options.since = since;
    let report = verify(dir, &options, &mut |_, _| {}).unwrap();
    Resume::parse(&report.resume.unwrap().text()).unwrap()
}

/// A closed ledger of some hundred entries.
fn closed(dir: &Path, entries: u64) {
    let ledger = Ledger::open(dir, &Options::default()).unwrap();
    let draft = |n| Draft::new(Kind::Observed).with("n", n);
    ledger.commit((0..entries).map(draft).collect()).unwrap();
    ledger.close().unwrap();
}

#[test]
fn a_proof_is_checked_before_it_is_given_away() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("ledger");
    closed(&dir, 300);
    prove(&dir, 5).unwrap();
    let keys = keys(&dir).unwrap();
    let tile = dir.join("tile/0/000");
    let good = fs::read(&tile).unwrap();
    let holds = |index| {
        let proof = prove(&dir, index).unwrap();
        check_proof(&proof, &entry(&dir, index).unwrap(), &keys).unwrap();
    };
    for at in [0, 32 * 5, 32 * 7, 32 * 255 + 31] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&tile, bad).unwrap();
        holds(5);
        holds(7);
    }
    for bytes in [vec![], vec![0; 31], vec![7; 1 << 20]] {
        fs::write(&tile, bytes).unwrap();
        holds(5);
    }
    // A pipe is not waited for.
    fs::remove_file(&tile).unwrap();
    fifo(&tile);
    holds(5);
    // The entries are others now: there is no proof for what was signed, and none for what is there.
    let segment = dir.join("segments/000000000000.jsonl");
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("\"n\":5", "\"n\":6", 1)).unwrap();
    fs::write(&tile, vec![0; 32 * 256]).unwrap();
    assert!(matches!(prove(&dir, 5), Err(ProofError::Differs)));
    fs::write(&segment, text).unwrap();
    // Nobody signed this checkpoint.
    let path = dir.join("checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    let (head, signature) = note.rsplit_once(' ').unwrap();
    let other = signature.replace(['A', 'b', 'c'], "x");
    fs::write(&path, format!("{head} {other}")).unwrap();
    assert!(matches!(prove(&dir, 5), Err(ProofError::Note(_))));
}

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Most memory of this process so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn junk_is_found_in_little_time_and_memory_however_much_of_it_there_is() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("ledger");
    for line in ["\n", "x\n", "{}\n", "\0\n", "{\"v\":1}\n", "[[[[[[[[[[\n"] {
        fs::remove_dir_all(&dir).ok();
        closed(&dir, 10);
        let mut file = fs::File::options()
            .append(true)
            .open(dir.join("segments/000000000000.jsonl"))
            .unwrap();
        file.write_all(line.repeat((8 << 20) / line.len()).as_bytes())
            .unwrap();
        let (before, started) = (peak(), Instant::now());
        let report = report(&dir);
        assert!(started.elapsed() < Duration::from_secs(20), "{line:?}");
        assert!(
            peak() - before < 100 << 10,
            "{line:?}: {} KiB",
            peak() - before
        );
        assert_eq!(report.problems.len() > 99, line != "\0\n", "{line:?}");
        // A crash leaves zeros, so here it may be the end of a file.
        assert_eq!(
            report.verdict == Verdict::Tampered,
            line != "\0\n",
            "{report:#?}"
        );
    }
}

#[test]
fn a_line_without_end_is_shown_as_one_that_cannot_be_read() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("ledger");
    closed(&dir, 10);
    let mut file = fs::File::options()
        .append(true)
        .open(dir.join("segments/000000000000.jsonl"))
        .unwrap();
    file.write_all(&vec![b'x'; 96 << 20]).unwrap();
    file.write_all(b"\n{}\n").unwrap();
    let (before, started) = (peak(), Instant::now());
    let shown: Vec<_> = show(&dir, Filter::default()).unwrap().unwrap().collect();
    let unread = shown
        .iter()
        .filter(|shown| shown.as_ref().unwrap().entry.is_err());
    assert_eq!(unread.count(), 2);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(peak() - before < 50 << 10, "{} KiB", peak() - before);
}

#[test]
fn anything_in_the_place_of_a_file_is_answered_at_once() {
    for name in [
        "checkpoint",
        "state",
        "key",
        "lock",
        "alive",
        "signer",
        "gap",
        "ballast",
        "unanswered",
        "tile",
        "segments/000000000000.jsonl",
        "segments/000000000001.jsonl",
        "segments/stranger",
    ] {
        type Make = fn(&Path);
        let makes: [(&str, Make); 5] = [
            ("a pipe", fifo),
            ("a directory", |path| fs::create_dir(path).unwrap()),
            ("a link to a device", |path| {
                std::os::unix::fs::symlink("/dev/zero", path).unwrap();
            }),
            ("a link to itself", |path| {
                std::os::unix::fs::symlink(path, path).unwrap()
            }),
            ("a file of a terabyte", |path| {
                let file = fs::File::create(path).unwrap();
                file.set_len(1 << 40).unwrap();
            }),
        ];
        for (what, make) in makes {
            let place = tempfile::tempdir().unwrap();
            let dir = place.path().join("ledger");
            closed(&dir, 10);
            let path = dir.join(name);
            fs::remove_file(&path).ok();
            make(&path);
            let (before, started) = (peak(), Instant::now());
            let report = verify(&dir, &VerifyOptions::default(), &mut |_, _| {});
            let proof = prove(&dir, 3);
            let opened = Ledger::open(&dir, &Options::default());
            let written = opened.map(|ledger| ledger.commit(vec![Draft::new(Kind::Observed)]));
            let shown = show(&dir, Filter::default()).map(|shown| shown.map(Iterator::count));
            let took = started.elapsed();
            assert!(
                took < Duration::from_secs(15) && peak() - before < 400 << 10,
                "{what} as {name}: {took:?}, {} KiB",
                peak() - before
            );
            drop((report, proof, written, shown));
        }
    }
}

#[test]
fn everything_holds_for_an_ordinary_user_as_well() {
    ordinary::again(module_path!(), &[]);
}
