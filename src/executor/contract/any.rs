//! Promises of every backend, wherever its commands run. They are those of a POSIX shell.

#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "these functions are tests: they fail by panicking"
)]

use std::time::{Duration, Instant};

use super::{CancelOn, Promise, job, run, shell, text};
use crate::evidence::{Status, StopReason, Text};
use crate::executor::{Directory, Executor, Prepared};
use crate::policy::terms::Keep;

/// The promises of every backend, by number and name.
pub const ANY: &[Promise] = &[
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
        "23: dropping what was prepared starts nothing",
        dropping_starts_nothing,
    ),
    (
        "24: what was prepared runs nothing else",
        prepared_runs_nothing_else,
    ),
];

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
        let evidence = run(executor, &job(&[program]), &mut ());
        assert_eq!(evidence.status, Status::SpawnFailed, "{program}");
        assert!(evidence.error.is_some() && evidence.exit_code.is_none());
    }
}

fn environment_is_exactly_the_given_one(executor: &dyn Executor) {
    let mut job = job(&["/usr/bin/env"]);
    job.env = vec![("A".into(), "1".into()), ("B".into(), "x=y z".into())];
    assert_eq!(text(&run(executor, &job, &mut ())), "A=1\nB=x=y z\n");
    job.env.clear();
    assert_eq!(text(&run(executor, &job, &mut ())), "");
}

fn command_starts_in_the_given_directory(executor: &dyn Executor) {
    let mut job = shell("pwd -P");
    job.directory = Directory::open("/usr").unwrap_or_else(|error| panic!("/usr: {error}"));
    assert_eq!(text(&run(executor, &job, &mut ())), "/usr\n");
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
    let mut job = shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done");
    job.limits.output_bytes = 1000;
    job.limits.keep = Keep::HeadTail;
    let evidence = run(executor, &job, &mut ());
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
    let mut job = shell("exec sleep 50");
    job.limits.timeout = Duration::from_millis(200);
    let evidence = run(executor, &job, &mut ());
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Timeout, Some(15))
    );
    let stop = evidence.stop;
    assert_eq!(
        (stop.why, stop.kill_at_ms),
        (Some(StopReason::Timeout), None)
    );
    assert_eq!(stop.signals.first().map(|sent| sent.signal), Some(15));
    assert!(stop.term_at_ms >= Some(200) && evidence.duration_ms >= 200);
    assert!(stop.empty_at_ms >= stop.term_at_ms && stop.grace_used_ms < Some(1000));
}

fn stubborn_commands_are_killed(executor: &dyn Executor) {
    let mut job = shell("trap '' TERM; while :; do sleep 50; done");
    job.limits.timeout = Duration::from_millis(200);
    job.limits.grace = Duration::from_millis(100);
    let evidence = run(executor, &job, &mut ());
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Timeout, Some(9))
    );
    assert!(evidence.stop.kill_at_ms >= evidence.stop.term_at_ms.map(|ms| ms + 100));
    assert!(evidence.stop.signals.iter().any(|sent| sent.signal == 9));
    assert!(evidence.duration_ms < 2000, "{}", evidence.duration_ms);
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
    let mut job = shell("trap '' TERM; echo ready; while :; do sleep 50; done");
    job.limits.grace = Duration::from_secs(50);
    let evidence = run(executor, &job, &mut CancelOn::new(b"ready", 2));
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

fn dropping_starts_nothing(executor: &dyn Executor) {
    let job = shell("sleep 50");
    let prepared = Prepared::new(executor, &job);
    let prepared = prepared.unwrap_or_else(|error| panic!("prepare: {error}"));
    let started = Instant::now();
    drop(prepared);
    assert!(started.elapsed() < Duration::from_secs(1));
}

fn prepared_runs_nothing_else(executor: &dyn Executor) {
    let job = shell("exit 0");
    let prepared = Prepared::new(executor, &job);
    let mut prepared = prepared.unwrap_or_else(|error| panic!("prepare: {error}"));
    let mut other = job;
    other.limits.timeout = Duration::from_secs(3600);
    for other in [other, shell("exit 0")] {
        let evidence = prepared.start(&other, &mut ());
        assert_eq!(evidence.status, Status::SpawnFailed);
    }
}
