//! What a run costs: start to proof, kill to proof, output drained, lateness of the deadline, and
//! that none of it grows with the host's memory.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking"
)]
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::time::{Duration, Instant};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use lictor::evidence::{Level, Status};
use lictor::executor::contract;
use lictor::executor::{CancelToken, Observer, Posix, Stream};

fn main() {
    lictor::executor::init();
    overshoot();
    against_bubblewrap();
    divan::main();
}

const LEVELS: [Level; 4] = Level::ALL;

/// A whole run of `/bin/true`, from preparing to evidence.
#[divan::bench(args = LEVELS, sample_count = 200, sample_size = 1)]
fn run_true(bencher: Bencher<'_, '_>, level: Level) {
    let executor = Posix::new().at_most(level);
    let job = contract::job(&["/bin/true"]);
    bencher.bench_local(|| contract::run(&executor, &job, &mut ()));
}

/// The same from a host that has 500 MB in memory. Goal: the same time.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn run_true_from_500_mb(bencher: Bencher<'_, '_>) {
    let memory = vec![1u8; 500 << 20];
    let executor = Posix::new();
    let job = contract::job(&["/bin/true"]);
    bencher.bench_local(|| contract::run(&executor, &job, &mut ()));
    black_box(memory);
}

/// For comparison: a PID namespace with its own `/proc` from the system's tool.
#[divan::bench(sample_count = 200, sample_size = 1)]
#[expect(
    clippy::disallowed_methods,
    reason = "a comparison with another program"
)]
fn unshare_true(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        std::process::Command::new("unshare")
            .args(["--pid", "--fork", "--mount-proc", "--kill-child", "true"])
            .status()
    });
}

/// Cancels as soon as something is printed; remembers when.
struct Cancel {
    token: CancelToken,
    at: Option<Instant>,
}

impl Observer for Cancel {
    fn output(&mut self, _stream: Stream, _bytes: &[u8]) {
        self.at = Some(Instant::now());
        self.token.cancel();
        self.token.cancel();
    }
    fn cancellation(&self) -> Option<CancelToken> {
        Some(self.token.clone())
    }
}

/// From the decision to kill to evidence with proof, for a tree of a few processes.
#[divan::bench(args = LEVELS, sample_count = 100, sample_size = 1)]
fn kill_to_evidence(bencher: Bencher<'_, '_>, level: Level) {
    let executor = Posix::new().at_most(level);
    let script = "trap '' TERM; (sleep 9; :) & (sleep 9; :) & echo ready; sleep 9";
    let mut job = contract::shell(script);
    job.limits.grace = Duration::from_secs(5);
    let mut times = Vec::new();
    bencher.bench_local(|| {
        let mut observer = Cancel {
            token: CancelToken::new(),
            at: None,
        };
        let evidence = contract::run(&executor, &job, &mut observer);
        times.push(observer.at.unwrap().elapsed());
        evidence
    });
    times.sort_unstable();
    let median = times.get(times.len() / 2);
    println!("   {}: kill to evidence, median {median:?}", level.name());
}

/// Output drained, counted and hashed. Goal: 1 GB/s.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn drain_2_gb(bencher: Bencher<'_, '_>) {
    const BYTES: u64 = 2 << 30;
    let executor = Posix::new();
    let job = contract::job(&["/usr/bin/head", "-c", &BYTES.to_string(), "/dev/zero"]);
    bencher.counter(BytesCount::new(BYTES)).bench_local(|| {
        let evidence = contract::run(&executor, &job, &mut ());
        assert_eq!(evidence.stdout.bytes, BYTES);
        evidence
    });
}

/// How late the deadline is. Goal: 10 ms at most.
fn overshoot() {
    let mut job = contract::job(&["/bin/sleep", "9"]);
    job.limits.timeout = Duration::from_millis(100);
    let mut late: Vec<u64> = (0..20)
        .map(|_| {
            let evidence = contract::run(&Posix::new(), &job, &mut ());
            assert_eq!(evidence.status, Status::Timeout);
            evidence.duration_ms.saturating_sub(100)
        })
        .collect();
    late.sort_unstable();
    println!(
        "deadline to proof: median {:?} ms, worst {:?} ms",
        late.get(10),
        late.last()
    );
}

/// The whole program, policy and durable ledger included, in pairs with the system's tool that only makes
/// a PID namespace; and with what that tool and the same durable writes would take. Goal: a ratio of 1 to the tool alone.
#[expect(
    clippy::disallowed_methods,
    reason = "a comparison with another program"
)]
fn against_bubblewrap() {
    use std::process::{Command, Stdio};
    let place = tempfile::tempdir().unwrap();
    let policy = "version: 1\nname: bench\ntools: {\"true\": {program: \"true\", actions: {run: {}}}}\n\
                  rules: [{id: run, allow: \"*\"}]\n";
    std::fs::write(place.path().join("lictor.yaml"), policy).unwrap();
    let time = |words: &[&str]| {
        let (program, args) = words.split_first().unwrap();
        let started = Instant::now();
        let status = Command::new(program)
            .args(args)
            .current_dir(place.path())
            .stdin(Stdio::null())
            .status();
        status
            .is_ok_and(|status| status.success())
            .then(|| started.elapsed())
    };
    let ledger = place.path().join("ledger");
    let lictor = [
        env!("CARGO_BIN_EXE_lictor"),
        "--ledger",
        ledger.to_str().unwrap(),
        "run",
        "--",
        "true",
    ];
    let bubblewrap = [
        "bwrap",
        "--unshare-pid",
        "--die-with-parent",
        "--dev-bind",
        "/",
        "/",
        "true",
    ];
    let mut record = std::fs::File::options()
        .create(true)
        .append(true)
        .open(place.path().join("record"))
        .unwrap();
    let mut durable = || {
        let started = Instant::now();
        record.write_all(&[b'x'; 1024]).unwrap();
        record.sync_data().unwrap();
        started.elapsed().as_secs_f64()
    };
    let (mut alone, mut recording) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let (ours, theirs) = (time(&lictor).unwrap(), time(&bubblewrap));
        let Some(theirs) = theirs else {
            println!("not run: bubblewrap is not installed, or makes no PID namespace here");
            return;
        };
        // Before the command starts, after it has ended, and the checkpoint over both.
        let records = durable() + durable() + durable();
        let (ours, theirs) = (ours.as_secs_f64(), theirs.as_secs_f64());
        alone.push(ours / theirs);
        recording.push(ours / (theirs + records));
    }
    for (ratios, than) in [
        (&mut alone, ""),
        (&mut recording, " and three durable writes"),
    ] {
        ratios.sort_unstable_by(f64::total_cmp);
        println!(
            "lictor run -- true / bwrap --unshare-pid true{than}, wall: median {:.2}, best {:.2}",
            ratios[ratios.len() / 2],
            ratios[0]
        );
    }
}
