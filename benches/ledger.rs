//! What recording and verifying cost, as ratios to floors measured in the same run: a raw write with
//! fdatasync, and one SHA-256 stream over the same bytes; and beside SQLite (WAL, synchronous=FULL) that
//! keeps the same records.
//!
//! `cargo bench --bench ledger [-- append|threads|verify]`. Directories are made below `LICTOR_BENCH_DIR`, or the directory for
//! temporary files: to mean anything it has to be on a real disk.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking, prints, and is told by the environment where to write"
)]

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use lictor::log::verify::VerifyOptions;
use lictor::log::{Draft, Kind, RunId, proof};
use lictor::record::verify;
use lictor::record::{Ledger, Options};
use sha2::{Digest, Sha256};

fn main() {
    let parent =
        std::env::var_os("LICTOR_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
    let dir = tempfile::tempdir_in(parent).unwrap();
    // What Cargo itself hands over begins with a dash.
    let named = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    type Part = fn(&Path);
    let parts: [(&str, Part); 3] = [
        ("append", append),
        ("threads", append_by_64_threads),
        ("verify", |dir| {
            verify_and_prove(dir);
            open(dir);
        }),
    ];
    for (name, part) in parts {
        if named.as_ref().is_none_or(|named| named == name) {
            part(dir.path());
        }
    }
}

/// A decision of about 512 bytes, as a line.
fn draft(run: RunId) -> Draft {
    Draft::new(Kind::Decision)
        .of(run)
        .with("effect", "allow")
        .with("reason", serde_json::Value::Null)
        .with(
            "policy",
            "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
        )
        .with("actor", "ci")
        .with("argv", vec!["pytest", "runtime/tests/test_login.py", "-q"])
        .with("message", "allowed by rule `tests`")
}

/// How long a line of this is in the ledger, in bytes: floors write just as much.
fn line_bytes(dir: &Path) -> usize {
    let ledger = Ledger::open(dir, &Options::default()).unwrap();
    ledger
        .commit(vec![draft(RunId::random().unwrap())])
        .unwrap();
    drop(ledger);
    let entry = proof::entry(dir, 1).unwrap();
    entry.len()
}

fn sqlite(path: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(path).unwrap();
    let mode: String = db
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    db.execute_batch(
        "PRAGMA synchronous=FULL; CREATE TABLE entries (seq INTEGER PRIMARY KEY, line BLOB NOT NULL)",
    )
    .unwrap();
    db
}

/// The three alternate, so that a noisy disk is noisy for all.
fn append(dir: &Path) {
    let line = vec![b'x'; line_bytes(&dir.join("one"))];
    let ledger = Ledger::open(&dir.join("append"), &Options::default()).unwrap();
    let run = RunId::random().unwrap();
    let mut raw = File::options()
        .append(true)
        .create(true)
        .open(dir.join("raw"))
        .unwrap();
    let db = sqlite(&dir.join("append.sqlite"));
    let mut insert = db
        .prepare("INSERT INTO entries (line) VALUES (?1)")
        .unwrap();
    let (mut ours, mut floor, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2000 {
        floor.push(time(|| {
            raw.write_all(&line).unwrap();
            raw.sync_data().unwrap();
        }));
        let draft = draft(run);
        ours.push(time(|| _ = ledger.commit(vec![draft]).unwrap()));
        theirs.push(time(|| _ = insert.execute([&line]).unwrap()));
    }
    let (ours, floor, theirs) = (median(ours), median(floor), median(theirs));
    println!(
        "append, one writer, {} bytes: p50 {ours:?}, raw write+fdatasync {floor:?}, ratio {:.2} (goal 1.25)",
        line.len(),
        ratio(ours, floor)
    );
    println!(
        "  SQLite, one row a transaction: p50 {theirs:?}, {:.2} of ours",
        ratio(theirs, ours)
    );
}

/// Raw: as many lines in one write and fdatasync as there are threads. SQLite: as many rows a transaction,
/// its best case, as nobody waits for anybody.
fn append_by_64_threads(dir: &Path) {
    const THREADS: u64 = 64;
    const EACH: u64 = 300;
    let one = vec![b'x'; line_bytes(&dir.join("one64"))];
    let line = one.repeat(64);
    let mut raw = File::options()
        .append(true)
        .create(true)
        .open(dir.join("raw64"))
        .unwrap();
    let mut db = sqlite(&dir.join("threads.sqlite"));
    let ledger = Ledger::open(&dir.join("threads"), &Options::default()).unwrap();
    let run = RunId::random().unwrap();
    let (mut ours, mut floor, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        floor.push(time(|| {
            for _ in 0..EACH {
                raw.write_all(&line).unwrap();
                raw.sync_data().unwrap();
            }
        }));
        ours.push(time(|| {
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        (0..EACH).for_each(|_| _ = ledger.commit(vec![draft(run)]).unwrap());
                    });
                }
            });
        }));
        theirs.push(time(|| {
            for _ in 0..EACH {
                let transaction = db.transaction().unwrap();
                {
                    let sql = "INSERT INTO entries (line) VALUES (?1)";
                    let mut insert = transaction.prepare(sql).unwrap();
                    for _ in 0..THREADS {
                        insert.execute([&one]).unwrap();
                    }
                }
                transaction.commit().unwrap();
            }
        }));
    }
    let (ours, floor, theirs) = (median(ours), median(floor), median(theirs));
    let rate = |time: Duration| (THREADS * EACH) as f64 / time.as_secs_f64();
    println!(
        "append, 64 threads: {:.0}/s, raw batched {:.0}/s, ratio {:.2} (goal 0.6)",
        rate(ours),
        rate(floor),
        ratio(floor, ours)
    );
    println!(
        "  SQLite, one thread, 64 rows a transaction: {:.0}/s, {:.2} of ours",
        rate(theirs),
        ratio(ours, theirs)
    );
}

fn verify_and_prove(dir: &Path) {
    const ENTRIES: u64 = 1_000_000;
    let dir = dir.join("verify");
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    for _ in 0..ENTRIES / 10_000 {
        let drafts = (0..10_000)
            .map(|_| draft(RunId::random().unwrap()))
            .collect();
        ledger.commit(drafts).unwrap();
    }
    ledger.close().unwrap();
    let mut bytes = Vec::new();
    let mut segments: Vec<_> = std::fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    segments.sort();
    for segment in &segments {
        bytes.extend(std::fs::read(segment).unwrap());
    }
    let rate = |time: Duration| bytes.len() as f64 / time.as_secs_f64() / 1e9;
    let (mut ours, mut floor, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        floor.push(time(|| _ = black_box(Sha256::digest(&bytes))));
        let before = cpu_time();
        ours.push(time(|| {
            let report = verify(&dir, &VerifyOptions::default(), &mut |_, _| {}).unwrap();
            assert!(report.verdict.is_intact() && report.entries > ENTRIES);
        }));
        cpu.push(cpu_time() - before);
    }
    let (ours, floor, cpu) = (median(ours), median(floor), median(cpu));
    println!(
        "verify with meaning, {ENTRIES} entries: {:.2} GB/s, one SHA-256 stream {:.2} GB/s, ratio {:.2} (goal 0.9; at least 0.5 GB/s)",
        rate(ours),
        rate(floor),
        ratio(floor, ours),
    );
    println!(
        "  in {cpu:?} of processor time, which tells what a machine with nothing else to do would need: each line is\n  \
         hashed twice, once for the chain and once for the tree"
    );
    if let Some(theirs) = sha256sum(&segments) {
        println!(
            "  sha256sum of the same files: {:.2} GB/s, ratio {:.2}",
            rate(theirs),
            ratio(theirs, ours),
        );
    }
    let tiles = time(|| drop(proof::prove(&dir, 5).unwrap()));
    let proof = median(
        (0..100)
            .map(|n| time(|| drop(proof::prove(&dir, n * 9973).unwrap())))
            .collect(),
    );
    println!(
        "inclusion proof in {ENTRIES} entries: {proof:?} (goal 1 ms); the first makes the tiles: {tiles:?}"
    );
}

/// What the system's own program takes for one digest of the same bytes, if there is such a program.
fn sha256sum(files: &[std::path::PathBuf]) -> Option<Duration> {
    let run = || {
        let mut command = std::process::Command::new("sha256sum");
        command.args(files).stdout(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    run().then(|| median((0..5).map(|_| time(|| assert!(run()))).collect()))
}

/// What a process pays that records one decision and ends.
fn open(dir: &Path) {
    let dir = dir.join("verify");
    let run = RunId::random().unwrap();
    let whole = median(
        (0..100)
            .map(|_| {
                time(|| {
                    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
                    ledger.commit_last(vec![draft(run)]).unwrap();
                    ledger.close().unwrap();
                })
            })
            .collect(),
    );
    println!("open a ledger of a million entries, record one, sign, close: {whole:?}");
}

/// What all threads of this process have used, in steps of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    // utime and stime, the 14th and 15th field; the first two stand before the last parenthesis.
    Duration::from_millis(10 * (ticks(12) + ticks(13)))
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
