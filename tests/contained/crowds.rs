//! A run of thousands of processes ends in time, whatever they do to get the processors for themselves.
//!
//! Each takes a session of its own, and with it a share of the processors as large as its supervisor's.

use crate::support::need;
use std::time::{Duration, Instant};

use crate::twice::{Test, test};
use lictor::evidence::{EmptyProof, Level, Status, StopReason};
use lictor::executor::contract;
use lictor::executor::{Executor, Posix};
use lictor::policy::terms::Containment;

pub(crate) fn tests() -> Vec<Test> {
    let crowds = [
        ("forking", "processes that fork as long as they may"),
        (
            "waking",
            "processes that wake each other, after killing whom they can",
        ),
        (
            "orphans",
            "processes that leave others behind for init to reap",
        ),
        (
            "ending",
            "a thousand processes that end just before the deadline",
        ),
    ];
    crowds
        .into_iter()
        .map(|(crowd, name)| test(name, move || ends_in_time(crowd)))
        .collect()
}

const TIMEOUT: Duration = Duration::from_millis(2500);
const GRACE: Duration = Duration::from_millis(300);

/// The promise: a call returns 2 s after timeout and grace at the latest.
const MORE: Duration = Duration::from_secs(2);

/// As many processes as a crowd has. All end by themselves some seconds after they should have been ended.
const CROWD: u64 = 2000;

fn ends_in_time(crowd: &str) {
    let program = std::env::current_exe().unwrap();
    let mut job = contract::job(&[program.to_str().unwrap(), "--crowd", crowd]);
    job.limits.timeout = TIMEOUT;
    job.limits.grace = GRACE;
    job.limits.processes = Some(CROWD);
    let executor = Posix::new();
    job.containment = Containment::AtLeast(Level::PidNamespace);
    if let Err(error) = executor.prepare(&job) {
        return need::lacks("pid-namespace", error);
    }
    let started = Instant::now();
    let evidence = contract::run(&executor, &job, &mut ());
    let took = started.elapsed();
    assert!(took < TIMEOUT + GRACE + MORE, "{took:?}: {evidence:#?}");
    assert_eq!(evidence.status, Status::Timeout, "{evidence:#?}");
    assert_eq!(
        evidence.stop.why,
        Some(StopReason::Timeout),
        "{evidence:#?}"
    );
    // On a machine that has much else to do, to die takes long; then they have all been killed, and that is told.
    if evidence.containment.empty_proof != EmptyProof::InitReaped {
        println!("note: not proven to be empty in time, after {took:?}");
    }
    // What is dying takes processors from the next test.
    let until = Instant::now() + Duration::from_secs(20);
    while running() > 100 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The number of tasks that want to run.
fn running() -> u32 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    let tasks = text.split(' ').nth(3).unwrap();
    tasks.split_once('/').unwrap().0.parse().unwrap()
}

pub(crate) fn be_crowd(name: &str) {
    let started = Instant::now();
    let end = started + TIMEOUT + Duration::from_secs(10);
    let is_over = || Instant::now() >= end;
    // What is sent to all does not reach init, nor whoever sends it.
    if name == "waking" {
        send_to_all(libc::SIGKILL);
    }
    for signal in 1..65 {
        // SAFETY: ignoring needs no handler; some cannot be ignored, which is no harm.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    match name {
        "forking" => {
            while !is_over() {
                match fork() {
                    0 => leave_session(),
                    -1 => std::thread::sleep(Duration::from_micros(200)),
                    _ => {}
                }
            }
        }
        "waking" => {
            while !is_over() && fork() > 0 {}
            leave_session();
            while !is_over() {
                send_to_all(libc::SIGCONT);
            }
        }
        "orphans" => {
            while !is_over() {
                if fork() == 0 {
                    leave_session();
                    // The parent ends, and the child goes on; one in two stays busy.
                    let (stays, goes) = (fork(), fork());
                    if stays != 0 && goes != 0 {
                        return;
                    }
                    leave_session();
                    while stays == 0 && !is_over() {}
                }
            }
        }
        "ending" => {
            let soon = started + TIMEOUT - Duration::from_millis(50);
            let mut count = 0;
            while count < CROWD / 2 && fork() > 0 {
                count += 1;
            }
            if count < CROWD / 2 {
                std::thread::sleep(soon.saturating_duration_since(Instant::now()));
                return;
            }
            while !is_over() && fork() > 0 {}
            leave_session();
            while !is_over() {}
        }
        _ => panic!("{name}"),
    }
}

fn fork() -> libc::pid_t {
    // SAFETY: this program has one thread.
    unsafe { libc::fork() }
}

fn leave_session() {
    // SAFETY: has no precondition.
    unsafe { libc::setsid() };
}

/// To everybody, who must be this run.
fn send_to_all(signal: libc::c_int) {
    let first = std::fs::read("/proc/1/cmdline").unwrap();
    assert!(
        first.starts_with(b"lictor-helper\0"),
        "not in a namespace of a run's"
    );
    // SAFETY: has no precondition.
    unsafe { libc::kill(-1, signal) };
}
