//! What a ledger keeps when its writers die: acknowledged entries are there, nothing is there twice,
//! torn ends are accounted for, and runs that nobody looks after any more are lost, not forgotten.

use super::reading::{entries, report};
use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use lictor::log::note::peek;
use lictor::log::read::Entry;
use lictor::log::verify::Verdict;
use lictor::log::{Draft, Kind, RunId};
use lictor::record::{Ledger, Options};

/// Names the directory to a process that this test started as a writer.
const DIR: &str = "LICTOR_TEST_LEDGER";

/// What that process is to do: so many commits of so many entries, or without end; how many runs it leaves open.
const WORK: &str = "LICTOR_TEST_WORK";

/// Not a test by itself: the writer that other tests start. Prints each acknowledged entry.
#[test]
#[ignore = "the writer that other tests start"]
fn writer() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let work = std::env::var(WORK).unwrap();
    let mut numbers = work.split(' ').map(|number| number.parse::<u64>().unwrap());
    let (commits, entries) = (numbers.next().unwrap(), numbers.next().unwrap());
    let (starts, id) = (numbers.next().unwrap(), numbers.next().unwrap());
    // What is tested is what a killed writer leaves, not how long a busy machine lets one wait.
    let mut options = Options::default();
    options.log.lock_wait = std::time::Duration::from_secs(60);
    let ledger = Ledger::open(Path::new(&dir), &options).unwrap();
    let mut out = std::io::stdout();
    for start in 0..starts {
        let run = RunId::random().unwrap();
        let decision = Draft::new(Kind::Decision).of(run).with("effect", "allow");
        let decision = decision.with("argv", vec!["true"]).with("policy", "aa");
        let start = Draft::new(Kind::Start)
            .of(run)
            .with("argv", vec!["true"])
            .with("policy", "aa")
            .with("n", start);
        let (_, reservation) = ledger.commit_reserving(vec![decision, start]).unwrap();
        std::mem::forget(reservation);
    }
    writeln!(out, "ready").unwrap();
    for commit in 0..commits {
        let draft = |n: u64| {
            Draft::new(Kind::Observed)
                .with("writer", id)
                .with("n", commit * entries + n)
        };
        let lines = ledger.commit((0..entries).map(draft).collect()).unwrap();
        for (seq, n) in lines.zip(0..) {
            writeln!(out, "{seq} {id} {}", commit * entries + n).unwrap();
        }
        out.flush().unwrap();
    }
}

/// Not a test by itself either: a writer that opens the ledger, records, and ends, again and again.
#[test]
#[ignore = "the writer that other tests start"]
fn ender() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let id: u64 = std::env::var(WORK).unwrap().parse().unwrap();
    let mut options = Options::default();
    options.log.lock_wait = std::time::Duration::from_secs(60);
    for n in 0_u64.. {
        let ledger = Ledger::open(Path::new(&dir), &options).unwrap();
        let draft = Draft::new(Kind::Observed).with("writer", id).with("n", n);
        let lines = ledger.commit_last(vec![draft]).unwrap();
        ledger.close().unwrap();
        println!("{} {id} {n}", lines.start);
    }
}

struct Writer {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Writer {
    fn start(dir: &Path, commits: u64, entries: u64, starts: u64, id: u64) -> Writer {
        Writer::start_as("writer", dir, &format!("{commits} {entries} {starts} {id}"))
    }

    fn start_as(test: &str, dir: &Path, work: &str) -> Writer {
        let test = format!("crash::{test}");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test, "--ignored", "--nocapture", "--quiet"])
            .env(DIR, dir)
            .env(WORK, work)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Writer { child, out }
    }

    /// Waits until it has acknowledged something, or until it is ready.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    fn until_ready(&mut self) {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the writer ended before it was ready");
            if line.trim() == "ready" {
                return;
            }
        }
    }

    /// Kills it without warning; returns what it had acknowledged.
    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        rest
    }

    fn finish(mut self) -> String {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

fn acknowledged(output: &str) -> Vec<(u64, u64, u64)> {
    let numbers = |line: &str| {
        let mut numbers = line.split(' ').map(|number| number.parse::<u64>().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    // The last line may be torn by the kill.
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(numbers).collect()
}

/// Every acknowledged entry is at its place with its content, and no place and no content is there twice.
#[track_caller]
fn check_acknowledged(dir: &Path, acknowledged: &[(u64, u64, u64)]) {
    let entries = entries(dir);
    let mut seen = HashSet::new();
    for (entry, seq) in entries.iter().zip(0..) {
        assert_eq!(entry.seq, seq);
        if entry.kind == Kind::Observed {
            let value = entry.value();
            let content = (
                value["writer"].as_u64().unwrap(),
                value["n"].as_u64().unwrap(),
            );
            assert!(seen.insert(content), "{content:?} twice");
        }
    }
    for (seq, writer, n) in acknowledged {
        let value = entries[usize::try_from(*seq).unwrap()].value();
        assert_eq!(
            (value["writer"].as_u64(), value["n"].as_u64()),
            (Some(*writer), Some(*n)),
            "entry {seq}"
        );
    }
}

fn ledger_dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger");
    (dir, ledger)
}

#[test]
fn thirty_two_processes_share_one_ledger_without_a_gap() {
    let (_guard, dir) = ledger_dir();
    let writers: Vec<Writer> = (0..32)
        .map(|id| Writer::start(&dir, 20, 2, 0, id))
        .collect();
    let all: Vec<_> = writers
        .into_iter()
        .flat_map(|writer| acknowledged(&writer.finish()))
        .collect();
    assert_eq!(all.len(), 32 * 20 * 2);
    check_acknowledged(&dir, &all);
    let report = report(&dir);
    assert_eq!(
        (report.verdict, report.unsigned_tail),
        (Verdict::Signed, 0),
        "{report:#?}"
    );
}

#[test]
fn sixty_four_threads_share_one_ledger_without_a_gap() {
    let (_guard, dir) = ledger_dir();
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    let all: Vec<(u64, u64, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|id| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let one = |n: u64| {
                        let draft = Draft::new(Kind::Observed).with("writer", id).with("n", n);
                        (ledger.commit(vec![draft]).unwrap().start, id, n)
                    };
                    (0..40).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    ledger.close().unwrap();
    assert_eq!(all.len(), 64 * 40);
    check_acknowledged(&dir, &all);
    assert_eq!(report(&dir).verdict, Verdict::Signed);
}

/// How often a writer is killed. `LICTOR_KILLS=1000` is the whole thing.
fn kills(few: usize) -> usize {
    std::env::var("LICTOR_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(few)
}

#[test]
fn what_one_killed_writer_had_acknowledged_is_there() {
    let (_guard, dir) = ledger_dir();
    let mut all = Vec::new();
    for round in 0..kills(25) {
        let round = u64::try_from(round).unwrap();
        let mut writer = Writer::start(&dir, u64::MAX, 1 + round % 40, 0, round);
        writer.until_ready();
        let mut output = String::new();
        for _ in 0..=round % 7 {
            output.push_str(&writer.line());
        }
        output.push_str(&writer.kill());
        all.extend(acknowledged(&output));
    }
    check_acknowledged(&dir, &all);
    let report = report(&dir);
    assert!(report.verdict.is_intact(), "{report:#?}");
}

#[test]
fn what_eight_killed_writers_had_acknowledged_is_there() {
    let (_guard, dir) = ledger_dir();
    let mut all = Vec::new();
    for round in 0..kills(40) / 8 {
        let id = |writer: u64| u64::try_from(round).unwrap() * 8 + writer;
        let mut writers: Vec<Writer> = (0..8)
            .map(|w| Writer::start(&dir, u64::MAX, 1 + w * 3, 0, id(w)))
            .collect();
        let mut output: Vec<String> = writers
            .iter_mut()
            .map(|writer| {
                writer.until_ready();
                writer.line()
            })
            .collect();
        output.extend(writers.into_iter().map(Writer::kill));
        all.extend(output.iter().flat_map(|output| acknowledged(output)));
    }
    check_acknowledged(&dir, &all);
    let report = report(&dir);
    assert!(report.verdict.is_intact(), "{report:#?}");
}

#[test]
fn a_writer_that_is_killed_while_it_ends_leaves_a_whole_checkpoint() {
    let (_guard, dir) = ledger_dir();
    let mut all = Vec::new();
    for round in 0..u64::try_from(kills(40)).unwrap() {
        let mut writers: Vec<Writer> = (0..2)
            .map(|w| Writer::start_as("ender", &dir, &(round * 2 + w).to_string()))
            .collect();
        let mut output = Vec::new();
        for writer in &mut writers {
            // What the test runner prints comes first.
            output.extend((0..3 + round % 5).map(|_| writer.line()));
        }
        output.extend(writers.into_iter().map(Writer::kill));
        all.extend(output.iter().flat_map(|output| acknowledged(output)));
        let checkpoint = fs::read(dir.join("checkpoint")).unwrap();
        let checkpoint = peek(&checkpoint).unwrap();
        let report = report(&dir);
        assert!(report.verdict.is_intact(), "{report:#?}");
        assert!(checkpoint.size <= report.entries);
    }
    assert!(all.len() > 40);
    check_acknowledged(&dir, &all);
}

#[test]
fn runs_of_a_process_that_is_gone_are_lost_at_the_next_open_and_those_of_a_living_one_are_not() {
    let (_guard, dir) = ledger_dir();
    let mut dies = Writer::start(&dir, 0, 0, 3, 0);
    dies.until_ready();
    let mut lives = Writer::start(&dir, u64::MAX, 1, 2, 1);
    lives.until_ready();
    dies.kill();
    drop(Ledger::open(&dir, &Options::default()).unwrap());
    let lost = |entry: &&Entry| entry.kind == Kind::Outcome && entry.value()["status"] == "LOST";
    assert_eq!(entries(&dir).iter().filter(lost).count(), 3);
    assert_eq!(report(&dir).open_runs, 2);
    lives.kill();
    drop(Ledger::open(&dir, &Options::default()).unwrap());
    assert_eq!(entries(&dir).iter().filter(lost).count(), 5);
    let report = report(&dir);
    assert!(
        report.verdict.is_intact() && report.open_runs == 0,
        "{report:#?}"
    );
}

#[test]
fn torn_bytes_stay_and_the_next_segment_accounts_for_them() {
    let (_guard, dir) = ledger_dir();
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    ledger
        .commit(vec![Draft::new(Kind::Observed).with("n", 1)])
        .unwrap();
    ledger.close().unwrap();
    for (segment, torn) in [
        (0, &b"{\"v\":1,\"seq\":3,\"pre"[..]),
        (1, b"\0\0\0\n\0\0"),
        (2, b"{"),
    ] {
        let path = dir.join(format!("segments/{segment:012}.jsonl"));
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(torn);
        fs::write(&path, &bytes).unwrap();
        let before = report(&dir);
        assert_eq!(before.verdict, Verdict::TornTail, "{before:#?}");
        assert!(!before.torn.last().unwrap().accounted);

        let ledger = Ledger::open(&dir, &Options::default()).unwrap();
        ledger
            .commit(vec![Draft::new(Kind::Observed).with("n", 2)])
            .unwrap();
        ledger.close().unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        let after = report(&dir);
        assert_eq!(
            (after.verdict, after.unsigned_tail),
            (Verdict::TornTail, 0),
            "{after:#?}"
        );
        assert!(after.torn.last().unwrap().accounted);
    }
    // Whoever changes the torn bytes afterwards changes what was accounted for.
    let path = dir.join("segments/000000000000.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(report(&dir).verdict, Verdict::Tampered);
}

#[test]
fn a_segment_torn_in_its_first_line_is_accounted_for_too() {
    let (_guard, dir) = ledger_dir();
    drop(Ledger::open(&dir, &Options::default()).unwrap());
    let mut private = fs::OpenOptions::new();
    let mut file = private
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dir.join("segments/000000000001.jsonl"))
        .unwrap();
    file.write_all(b"{\"v\":1").unwrap();
    drop(Ledger::open(&dir, &Options::default()).unwrap());
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    ledger.close().unwrap();
    let report = report(&dir);
    assert_eq!(
        (report.verdict, report.torn.len(), report.unsigned_tail),
        (Verdict::TornTail, 1, 0),
        "{report:#?}"
    );
}

#[test]
fn a_torn_end_before_a_file_that_has_no_first_line_yet_is_torn_and_accounted_for_by_the_next_writer()
 {
    for next in [&b""[..], b"{\"v\":1,\"se"] {
        let (_guard, dir) = ledger_dir();
        drop(Ledger::open(&dir, &Options::default()).unwrap());
        let path = |number: u64| dir.join(format!("segments/{number:012}.jsonl"));
        let mut file = fs::File::options().append(true).open(path(0)).unwrap();
        file.write_all(b"{\"v\":1").unwrap();
        let mut private = fs::OpenOptions::new();
        let private = private.write(true).create_new(true).mode(0o600);
        private.open(path(1)).unwrap().write_all(next).unwrap();
        let before = report(&dir);
        assert_eq!(before.verdict, Verdict::TornTail, "{next:?}: {before:#?}");
        let ledger = Ledger::open(&dir, &Options::default()).unwrap();
        ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
        ledger.close().unwrap();
        let after = report(&dir);
        assert_eq!(
            (after.verdict, after.unsigned_tail),
            (Verdict::TornTail, 0),
            "{next:?}: {after:#?}"
        );
        assert!(after.torn.iter().all(|torn| torn.accounted), "{after:#?}");
    }
}

#[test]
fn files_that_are_no_segments_of_ours_are_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    type Spoil = fn(&Path);
    let spoilers: [(&str, Spoil); 5] = [
        ("symlink", |path| {
            fs::rename(path, path.with_extension("moved")).unwrap();
            symlink(path.with_extension("moved"), path).unwrap();
        }),
        ("hard link", |path| {
            fs::hard_link(path, path.with_extension("link")).unwrap()
        }),
        ("mode", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap()
        }),
        ("fifo", |path| {
            fs::remove_file(path).unwrap();
            assert!(
                Command::new("mkfifo")
                    .args(["-m", "600"])
                    .arg(path)
                    .status()
                    .unwrap()
                    .success()
            );
        }),
        ("directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for (what, spoil) in spoilers {
        let (_guard, dir) = ledger_dir();
        let ledger = Ledger::open(&dir, &Options::default()).unwrap();
        let segment = dir.join("segments/000000000000.jsonl");
        let opened_before = || ledger.commit(vec![Draft::new(Kind::Observed)]);
        opened_before().unwrap();
        spoil(&segment);
        assert!(opened_before().is_err(), "{what}");
        let error = Ledger::open(&dir, &Options::default()).unwrap_err();
        assert_eq!(
            error.reason(),
            lictor::reason::Reason::LedgerUnavailable,
            "{what}: {error}"
        );
    }
}

#[test]
fn a_key_that_others_can_read_and_a_directory_that_others_can_write_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_guard, dir) = ledger_dir();
    drop(Ledger::open(&dir, &Options::default()).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (
            mode(&dir),
            mode(&dir.join("segments")),
            mode(&dir.join("key"))
        ),
        (0o700, 0o700, 0o600)
    );
    assert_eq!(mode(&dir.join("segments/000000000000.jsonl")), 0o600);
    for (path, wide, right) in [(dir.join("key"), 0o640, 0o600), (dir.clone(), 0o722, 0o700)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(wide)).unwrap();
        assert!(Ledger::open(&dir, &Options::default()).is_err(), "{path:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(right)).unwrap();
    }
    Ledger::open(&dir, &Options::default()).unwrap();
}

#[test]
fn a_lock_that_is_never_given_back_ends_in_a_denial_after_a_second() {
    let (_guard, dir) = ledger_dir();
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    let lock = fs::File::open(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    let started = std::time::Instant::now();
    let error = ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap_err();
    assert_eq!(error.reason(), lictor::reason::Reason::LedgerUnavailable);
    let waited = started.elapsed().as_millis();
    assert!((900..5000).contains(&waited), "{waited} ms");
    lock.unlock().unwrap();
    ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
}
