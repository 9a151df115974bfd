//! Promises of a backend whose commands are processes of this machine: it sees them in `/proc`, and counts
//! them.

#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these functions are tests: they fail by panicking"
)]

use std::time::{Duration, Instant};

use super::{CancelOn, Promise, job, run, shell, text};
use crate::evidence::{Status, StopReason, Text};
use crate::executor::Executor;
use crate::policy::terms::{Leaks, StopSignal, StopTarget};

/// The promises of a local backend, by number and name. Those of [`ANY`](super::ANY) belong to them.
pub const LOCAL: &[Promise] = &[
    (
        "6: standard input is empty, and nothing else is open",
        nothing_else_is_open,
    ),
    (
        "7: no signal is blocked, and none ignored but those that this program was started with",
        no_signal_is_blocked_or_ignored,
    ),
    (
        "13: a stopped process is continued to hear the signal",
        stopped_processes_are_continued,
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
        "25: every process has ended when the call returns",
        every_process_has_ended,
    ),
];

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
    let evidence = run(executor, &job(&["/bin/cat", "/proc/self/status"]), &mut ());
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

fn stopped_processes_are_continued(executor: &dyn Executor) {
    let mut job = shell("kill -STOP $$");
    job.limits.timeout = Duration::from_millis(200);
    job.limits.grace = Duration::from_secs(30);
    let evidence = run(executor, &job, &mut ());
    assert_eq!(
        (evidence.status, evidence.signal),
        (Status::Timeout, Some(15))
    );
    assert!(evidence.stop.signals.iter().any(|sent| sent.signal == 18));
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
    let mut job = shell("sleep 50 & exit 0");
    job.leaks = Leaks::Fail;
    let evidence = run(executor, &job, &mut ());
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
    let mut job = shell("sleep 52 & sleep 53; :");
    job.limits.timeout = Duration::from_millis(300);
    let evidence = run(executor, &job, &mut ());
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
    let mut job = shell("trap 'echo got; exit 3' INT; echo ready; while :; do sleep 0.05; done");
    job.stop = StopSignal {
        signal: 2,
        to: StopTarget::Leader,
    };
    let evidence = run(executor, &job, &mut CancelOn::new(b"ready", 1));
    assert_eq!(
        (evidence.status, evidence.exit_code),
        (Status::Cancelled, Some(3))
    );
    assert_eq!(text(&evidence), "ready\ngot\n");
    assert_eq!(evidence.stop.signals[0].signal, 2);
}

fn processor_time_is_limited(executor: &dyn Executor) {
    let mut job = shell("while :; do :; done & while :; do :; done");
    job.limits.cpu = Some(Duration::from_millis(300));
    let evidence = run(executor, &job, &mut ());
    assert_eq!(
        (evidence.status, evidence.limit.as_deref()),
        (Status::Limit, Some("cpu"))
    );
    assert_eq!(evidence.stop.why, Some(StopReason::Limit));
    assert!(evidence.duration_ms < 5000);
}

fn every_process_has_ended(executor: &dyn Executor) {
    // Each process of the run has inherited the write end of standard output, and nobody else has.
    let script = "echo ready; (sleep 50; sleep 50) & (trap '' TERM; sleep 50) & sleep 50";
    let mut job = shell(script);
    job.limits.grace = Duration::from_millis(50);
    let evidence = run(executor, &job, &mut CancelOn::new(b"ready", 1));
    assert_eq!(evidence.status, Status::Cancelled);
    assert!(!evidence.stdout.held_open && evidence.survivors.is_empty());
}
