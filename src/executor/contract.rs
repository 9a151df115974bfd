//! The promises of a backend, as tests that any backend can run.
//!
//! ```
//! use lictor::executor::{contract, Posix};
//!
//! contract::check_all(&Posix::new());
//! ```
//!
//! A backend that lacks a level or a limit must refuse it while preparing; what it accepts it must
//! keep. The commands used are those of a POSIX shell.

#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "these functions are tests: they fail by panicking"
)]

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::evidence::{Evidence, Status, StopReason, Text};
use crate::executor::{CancelToken, Executor, Observer, Stream, run_prepared};
use crate::policy::terms::{Containment, Keep, Leaks, Limits, StopSignal, StopTarget};
use crate::resolve::Launch;

/// All promises, by number and name.
pub const PROMISES: &[(&str, Check)] = &[
    (
        "1: the exit code is the command's own",
        exit_code_is_the_commands_own,
    ),
    (
        "2: a signal that was not ours is told apart",
        foreign_signals_are_told_apart,
    ),
    (
        "3: what cannot be started is a status, not an error",
        failure_to_start_is_a_status,
    ),
    (
        "4: the environment is exactly the given one",
        environment_is_exactly_the_given_one,
    ),
    (
        "5: the command starts in the given directory",
        command_starts_in_the_given_directory,
    ),
    (
        "6: standard input is empty, and nothing else is open",
        nothing_else_is_open,
    ),
    (
        "7: no signal is blocked, and none ignored but those that this program was started with",
        no_signal_is_blocked_or_ignored,
    ),
    (
        "8: both streams are captured, counted and hashed",
        both_streams_are_captured,
    ),
    (
        "9: output beyond the limit is cut, never lost count of",
        long_output_is_cut_once,
    ),
    (
        "10: the observer sees output as it arrives",
        observer_sees_output_as_it_arrives,
    ),
    (
        "11: at the deadline the run is asked to end",
        deadline_asks_first,
    ),
    (
        "12: what does not end when asked is killed",
        stubborn_commands_are_killed,
    ),
    (
        "13: a stopped process is continued to hear the signal",
        stopped_processes_are_continued,
    ),
    ("14: a run is cancelled at once", cancellation_is_immediate),
    (
        "15: cancelling twice ends the grace period",
        second_cancellation_kills,
    ),
    (
        "16: a token cancelled before the start ends the run",
        early_cancellation_counts,
    ),
    (
        "17: what the command leaves behind is killed and listed",
        leftovers_are_killed_and_listed,
    ),
    (
        "18: leftovers fail a run if the policy says so",
        leftovers_can_fail_a_run,
    ),
    (
        "19: an orphan that holds a pipe delays nothing",
        held_pipe_delays_nothing,
    ),
    (
        "20: the tree at the deadline is in the evidence",
        tree_is_in_the_evidence,
    ),
    (
        "21: the stop signal is the given one",
        stop_signal_is_the_given_one,
    ),
    (
        "22: processor time of the tree is limited",
        processor_time_is_limited,
    ),
    (
        "23: dropping what was prepared starts nothing",
        dropping_starts_nothing,
    ),
    (
        "24: what was prepared runs nothing else",
        prepared_runs_nothing_else,
    ),
    (
        "25: every process has ended when the call returns",
        every_process_has_ended,
    ),
];

/// Panics if the backend breaks the promise.
pub type Check = fn(&dyn Executor);

/// Checks every promise. Panics at the first broken one.
pub fn check_all(executor: &dyn Executor) {
    for (_, promise) in PROMISES {
        promise(executor);
    }
}

/// A launch of `argv` in `/`, with short limits and a small environment. `argv[0]` is the program.
#[must_use]
pub fn launch(argv: &[&str]) -> Launch {
    let cwd = File::open("/").unwrap_or_else(|error| panic!("/: {error}"));
    let limits = Limits {
        timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    Launch {
        program: PathBuf::from(argv.first().copied().unwrap_or_default()),
        argv: argv.iter().map(Into::into).collect(),
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        cwd: Arc::new(cwd.into()),
        limits,
        containment: Containment::Auto,
        stop: StopSignal::default(),
        leaks: Leaks::Warn,
        report_trouble: crate::policy::terms::ReportTrouble::Warn,
        report: None,
        hidden: Vec::new(),
        read_only: Vec::new(),
    }
}

/// A launch of a shell script.
#[must_use]
pub fn shell(script: &str) -> Launch {
    launch(&["/bin/sh", "-c", script])
}

/// Prepares and runs, without a permit: for tests of backends only.
pub fn run(executor: &dyn Executor, launch: &Launch, observer: &mut dyn Observer) -> Evidence {
    let prepared = executor
        .prepare(launch)
        .unwrap_or_else(|error| panic!("prepare: {error}"));
    run_prepared(prepared, launch, observer).0
}

/// Cancels once some output contains a word, and remembers how much has arrived until then.
#[derive(Debug)]
struct CancelOn {
    word: &'static [u8],
    seen: Vec<u8>,
    token: CancelToken,
    times: u32,
}

impl CancelOn {
    fn new(word: &'static [u8], times: u32) -> CancelOn {
        CancelOn {
            word,
            seen: Vec::new(),
            token: CancelToken::new(),
            times,
        }
    }
}

impl Observer for CancelOn {
    fn output(&mut self, _stream: Stream, bytes: &[u8]) {
        self.seen.extend_from_slice(bytes);
        if self
            .seen
            .windows(self.word.len())
            .any(|window| window == self.word)
        {
            for _ in 0..self.times {
                self.token.cancel();
            }
            self.times = 0;
        }
    }
    fn cancellation(&self) -> Option<CancelToken> {
        Some(self.token.clone())
    }
}

fn text(evidence: &Evidence) -> String {
    evidence.stdout.text.to_lossy()
}

fn exit_code_is_the_commands_own(executor: &dyn Executor) {
    for (code, status) in [(0, Status::Pass), (1, Status::Fail), (125, Status::Fail)] {
        let evidence = run(executor, &shell(&format!("exit {code}")), &mut ());
        assert_eq!((evidence.status, evidence.exit_code), (status, Some(code)));
        assert_eq!((evidence.signal, evidence.stop.why), (None, None));
        assert!(evidence.tree.is_empty() && evidence.leaked.is_empty());
    }
}

fn foreign_signals_are_told_apart(executor: &dyn Executor) {
    let evidence = run(executor, &shell("kill -9 $$"), &mut ());
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Signaled, Some(9))
    );
    assert_eq!((evidence.exit_code, evidence.stop.kill_at_ms), (None, None));
}

fn failure_to_start_is_a_status(executor: &dyn Executor) {
    for program in ["/nonexistent/program", "/etc/passwd", "/"] {
        let evidence = run(executor, &launch(&[program]), &mut ());
        assert_eq!(evidence.status, Status::SpawnFailed, "{program}");
        assert!(evidence.error.is_some() && evidence.exit_code.is_none());
    }
}

fn environment_is_exactly_the_given_one(executor: &dyn Executor) {
    let mut launch = launch(&["/usr/bin/env"]);
    launch.env = vec![("A".into(), "1".into()), ("B".into(), "x=y z".into())];
    assert_eq!(text(&run(executor, &launch, &mut ())), "A=1\nB=x=y z\n");
    launch.env.clear();
    assert_eq!(text(&run(executor, &launch, &mut ())), "");
}

fn command_starts_in_the_given_directory(executor: &dyn Executor) {
    let mut launch = shell("pwd -P");
    let usr = File::open("/usr").unwrap_or_else(|error| panic!("/usr: {error}"));
    launch.cwd = Arc::new(usr.into());
    assert_eq!(text(&run(executor, &launch, &mut ())), "/usr\n");
}

fn nothing_else_is_open(executor: &dyn Executor) {
    let evidence = run(
        executor,
        &shell("cat; for fd in /dev/fd/*; do echo ${fd##*/}; done"),
        &mut (),
    );
    let listed = text(&evidence);
    let open: Vec<&str> = listed.lines().collect();
    // The shell itself has the directory open while it lists it.
    assert!(
        open.starts_with(&["0", "1", "2"]) && open.len() <= 4,
        "{open:?}"
    );
}

fn no_signal_is_blocked_or_ignored(executor: &dyn Executor) {
    let evidence = run(
        executor,
        &launch(&["/bin/cat", "/proc/self/status"]),
        &mut (),
    );
    for line in text(&evidence).lines() {
        if let Some(mask) = line
            .strip_prefix("SigBlk:")
            .or(line.strip_prefix("SigIgn:"))
        {
            // 32 and 33 are the C library's own; its posix_spawn leaves them ignored. `SIGPIPE` is ignored in this
            // process by Rust's runtime; the rest is what it was started with.
            let own = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let own = own.lines().find_map(|line| line.strip_prefix("SigIgn:"));
            let own = own.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            let allowed = own.filter(|_| line.starts_with("SigIgn:")).unwrap_or(0) & !(1 << 12);
            let mask = u64::from_str_radix(mask.trim(), 16);
            assert_eq!(
                mask.map(|mask| mask & !allowed & !(0b11 << 31)),
                Ok(0),
                "{line}"
            );
        }
    }
}

fn both_streams_are_captured(executor: &dyn Executor) {
    let evidence = run(
        executor,
        &shell("echo out; echo err >&2; echo; printf abc >&2"),
        &mut (),
    );
    assert_eq!(evidence.stdout.text, Text::Utf8("out\n\n".to_owned()));
    assert_eq!(evidence.stderr.text, Text::Utf8("err\nabc".to_owned()));
    assert_eq!((evidence.stdout.bytes, evidence.stdout.lines), (5, 2));
    assert_eq!((evidence.stderr.bytes, evidence.stderr.lines), (7, 1));
    // printf 'err\nabc' | sha256sum
    assert_eq!(
        evidence.stderr.sha256,
        "ef13c5d85451b140cf47a1ddd712b7b88471a7b3e85be79603750d956f1e1b32"
    );
    assert!(!evidence.stdout.held_open && !evidence.stderr.held_open);
}

fn long_output_is_cut_once(executor: &dyn Executor) {
    let mut launch = shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done");
    launch.limits.output_bytes = 1000;
    launch.limits.keep = Keep::HeadTail;
    let evidence = run(executor, &launch, &mut ());
    let output = evidence.stdout;
    assert_eq!((output.bytes, output.lines), (220_000, 20_000));
    assert_eq!(
        (output.kept_head, output.kept_tail, output.dropped),
        (500, 500, 219_000)
    );
    assert_eq!(
        output
            .text
            .to_lossy()
            .matches("219000 bytes left out")
            .count(),
        1
    );
}

fn observer_sees_output_as_it_arrives(executor: &dyn Executor) {
    // Nothing is written after the word, so only live output can end this run in time.
    let mut observer = CancelOn::new(b"ready", 1);
    let evidence = run(executor, &shell("echo ready; exec sleep 50"), &mut observer);
    assert_eq!(evidence.status, Status::Cancelled);
    assert_eq!(observer.seen, b"ready\n");
}

fn deadline_asks_first(executor: &dyn Executor) {
    let mut launch = shell("exec sleep 50");
    launch.limits.timeout = Duration::from_millis(200);
    let evidence = run(executor, &launch, &mut ());
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Timeout, Some(15))
    );
    let stop = evidence.stop;
    assert_eq!(
        (stop.why, stop.kill_at_ms),
        (Some(StopReason::Timeout), None)
    );
    assert_eq!(
        stop.signals.first().map(|sent| (sent.signal, sent.to)),
        Some((15, 1))
    );
    assert!(stop.term_at_ms >= Some(200) && evidence.duration_ms >= 200);
    assert!(stop.empty_at_ms >= stop.term_at_ms && stop.grace_used_ms < Some(1000));
}

fn stubborn_commands_are_killed(executor: &dyn Executor) {
    let mut launch = shell("trap '' TERM; while :; do sleep 50; done");
    launch.limits.timeout = Duration::from_millis(200);
    launch.limits.grace = Duration::from_millis(100);
    let evidence = run(executor, &launch, &mut ());
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Timeout, Some(9))
    );
    assert!(evidence.stop.kill_at_ms >= evidence.stop.term_at_ms.map(|ms| ms + 100));
    assert!(
        evidence
            .stop
            .signals
            .iter()
            .any(|sent| sent.signal == 9 && sent.to >= 1)
    );
    assert!(evidence.duration_ms < 2000, "{}", evidence.duration_ms);
}

fn stopped_processes_are_continued(executor: &dyn Executor) {
    let mut launch = shell("kill -STOP $$");
    launch.limits.timeout = Duration::from_millis(200);
    launch.limits.grace = Duration::from_secs(30);
    let evidence = run(executor, &launch, &mut ());
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Timeout, Some(15))
    );
    assert!(evidence.stop.signals.iter().any(|sent| sent.signal == 18));
}

fn cancellation_is_immediate(executor: &dyn Executor) {
    let mut observer = CancelOn::new(b"ready", 1);
    let started = Instant::now();
    let evidence = run(executor, &shell("echo ready; exec sleep 50"), &mut observer);
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Cancelled, Some(15))
    );
    assert_eq!(evidence.stop.why, Some(StopReason::Cancelled));
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn second_cancellation_kills(executor: &dyn Executor) {
    let mut launch = shell("trap '' TERM; echo ready; while :; do sleep 50; done");
    launch.limits.grace = Duration::from_secs(50);
    let evidence = run(executor, &launch, &mut CancelOn::new(b"ready", 2));
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Cancelled, Some(9))
    );
    assert!(evidence.duration_ms < 5000);
}

fn early_cancellation_counts(executor: &dyn Executor) {
    let observer = &mut CancelOn::new(b"never", 0);
    observer.token.cancel();
    let evidence = run(executor, &shell("exec sleep 50"), observer);
    assert_eq!(evidence.status, Status::Cancelled);
}

fn leftovers_are_killed_and_listed(executor: &dyn Executor) {
    let evidence = run(executor, &shell("sleep 51 & exit 0"), &mut ());
    assert_eq!(
        (evidence.status, evidence.exit_code),
        (Status::Pass, Some(0))
    );
    assert_eq!(evidence.stop.why, Some(StopReason::Leaked));
    assert_eq!(evidence.leaked.len(), 1, "{:?}", evidence.leaked);
    // The shell's child may not have become `sleep` yet.
    assert!(
        evidence.leaked[0].command.contains("sleep 51"),
        "{:?}",
        evidence.leaked
    );
    assert!(evidence.survivors.is_empty() && evidence.tree.is_empty());
}

fn leftovers_can_fail_a_run(executor: &dyn Executor) {
    let mut launch = shell("sleep 50 & exit 0");
    launch.leaks = Leaks::Fail;
    let evidence = run(executor, &launch, &mut ());
    assert_eq!(
        (evidence.status, evidence.exit_code),
        (Status::Fail, Some(0))
    );
    let evidence = run(executor, &shell("true & wait; exit 0"), &mut ());
    assert_eq!(
        (evidence.status, evidence.leaked),
        (Status::Pass, Vec::new())
    );
}

fn held_pipe_delays_nothing(executor: &dyn Executor) {
    let started = Instant::now();
    let evidence = run(
        executor,
        &shell("(trap '' TERM HUP; sleep 50) & echo done"),
        &mut (),
    );
    assert_eq!(evidence.stdout.text, Text::Utf8("done\n".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(10));
}

fn tree_is_in_the_evidence(executor: &dyn Executor) {
    let mut launch = shell("sleep 52 & sleep 53; :");
    launch.limits.timeout = Duration::from_millis(300);
    let evidence = run(executor, &launch, &mut ());
    let commands: Vec<&str> = evidence
        .tree
        .iter()
        .map(|process| process.command.as_str())
        .collect();
    assert!(
        commands.contains(&"sleep 52") && commands.contains(&"sleep 53"),
        "{commands:?}"
    );
    let shell = evidence
        .tree
        .iter()
        .find(|process| process.command.starts_with("/bin/sh"));
    let shell = shell.unwrap_or_else(|| panic!("no shell in {commands:?}"));
    assert_eq!(
        evidence
            .tree
            .iter()
            .filter(|process| process.ppid == shell.pid)
            .count(),
        2
    );
    assert!(
        shell.rss_bytes > 0 && shell.age_ms >= 200 && shell.state == "S",
        "{shell:?}"
    );
}

fn stop_signal_is_the_given_one(executor: &dyn Executor) {
    let mut launch = shell("trap 'echo got; exit 3' INT; echo ready; while :; do sleep 0.05; done");
    launch.stop = StopSignal {
        signal: 2,
        to: StopTarget::Leader,
    };
    let evidence = run(executor, &launch, &mut CancelOn::new(b"ready", 1));
    assert_eq!(
        (evidence.status, evidence.exit_code),
        (Status::Cancelled, Some(3))
    );
    assert_eq!(text(&evidence), "ready\ngot\n");
    assert_eq!(evidence.stop.signals[0].signal, 2);
}

fn processor_time_is_limited(executor: &dyn Executor) {
    let mut launch = shell("while :; do :; done & while :; do :; done");
    launch.limits.cpu = Some(Duration::from_millis(300));
    let evidence = run(executor, &launch, &mut ());
    assert_eq!(
        (evidence.status, evidence.limit.as_deref()),
        (Status::Limit, Some("cpu"))
    );
    assert_eq!(evidence.stop.why, Some(StopReason::Limit));
    assert!(evidence.duration_ms < 5000);
}

fn dropping_starts_nothing(executor: &dyn Executor) {
    let launch = shell("sleep 50");
    let prepared = executor
        .prepare(&launch)
        .unwrap_or_else(|error| panic!("prepare: {error}"));
    let started = Instant::now();
    drop(prepared);
    assert!(started.elapsed() < Duration::from_secs(1));
}

fn prepared_runs_nothing_else(executor: &dyn Executor) {
    let launch = shell("exit 0");
    let prepared = executor
        .prepare(&launch)
        .unwrap_or_else(|error| panic!("prepare: {error}"));
    let mut other = shell("exit 0");
    other.limits.timeout = Duration::from_secs(3600);
    assert_eq!(
        run_prepared(prepared, &other, &mut ()).0.status,
        Status::SpawnFailed
    );
}

fn every_process_has_ended(executor: &dyn Executor) {
    // Each process of the run has inherited the write end of standard output, and nobody else has.
    let script = "echo ready; (sleep 50; sleep 50) & (trap '' TERM; sleep 50) & sleep 50";
    let mut launch = shell(script);
    launch.limits.grace = Duration::from_millis(50);
    let evidence = run(executor, &launch, &mut CancelOn::new(b"ready", 1));
    assert_eq!(evidence.status, Status::Cancelled);
    assert!(!evidence.stdout.held_open && evidence.survivors.is_empty());
}
