//! The host's side of a run with a helper: starts the helper, drains the output, hears how it went.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that starts the helper"
)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::stop::{PROOF_TIME, later, ms_between};
use super::streams::{Streams, WriteEnds};
use super::terminal::Terminal;
use super::wire::{Begin, Built, Channel, Finished, FromHelper, Order, Prepare, ToHelper};
use super::{cgroup, containment, helper, payload, poll, sys, tree};
use crate::evidence::{
    Containment, EmptyProof, Ended, Event, Evidence, Level, Process, Resources, Status, Stop,
    StopReason,
};
use crate::executor::{CancelToken, Job, Observer, PrepareError, Ready};
use crate::policy::terms::Leaks;

/// An empty tree that a helper keeps. Dropping it waits for the end of the helper.
#[derive(Debug)]
pub(super) struct Helped {
    helper: Helper,
    built: Built,
    /// The init of the run's PID namespace, if it has one.
    init: Option<OwnedFd>,
    /// Taken by the run.
    output: Option<(Streams, WriteEnds)>,
    null: OwnedFd,
}

/// Time for a helper to build the empty tree. It takes milliseconds; a program that is no helper
/// would never answer.
const BUILD_TIME: Duration = Duration::from_secs(10);

/// Time for a helper to end when it has nothing left to do but to take down what it built.
const END_TIME: Duration = Duration::from_millis(400);

/// Time for a helper to tell the end of its run, after it should have given up waiting for proof.
///
/// Where nothing shields it, the command can stop its helper. Then the host ends the run. What is left is drawn in
/// this time, too.
const LATE_TIME: Duration = Duration::from_millis(400);

/// Time for what is left of a run, or of its namespace, to be gone once the host has killed it.
const CLEAN_UP_TIME: Duration = Duration::from_millis(100);

/// Lets the helper that was started `ahead` build the tree for `job`; one at `path` if there is none, or if that one has ended.
pub(super) fn prepare(
    path: &Path,
    ahead: Option<Helper>,
    job: &Job,
    at_most: Level,
) -> Result<Helped, PrepareError> {
    let machine = |what: &'static str| {
        move |error: io::Error| PrepareError::Machine {
            what,
            because: error.to_string(),
        }
    };
    let no_helper = |because: &str| PrepareError::Machine {
        what: "the helper process",
        because: because.to_owned(),
    };
    let output = Streams::new(&job.limits).map_err(machine("pipes"))?;
    let null = payload::null().map_err(machine("/dev/null"))?;
    let wanted = Prepare::new(job, at_most);
    let helper = match ahead.filter(|helper| helper.ask(&wanted).is_ok()) {
        Some(helper) => helper,
        None => {
            let helper = Helper::start(path, at_most).map_err(machine("the helper process"))?;
            helper.ask(&wanted).map_err(machine("the helper process"))?;
            helper
        }
    };
    if !poll::wait_readable(helper.channel.as_fd(), BUILD_TIME) {
        return Err(no_helper("it does not answer"));
    }
    match helper.channel.receive::<FromHelper>() {
        Ok(Some((FromHelper::Ready(built), fds))) => Ok(Helped {
            helper,
            built: *built,
            init: fds.into_iter().next(),
            output: Some(output),
            null,
        }),
        Ok(Some((FromHelper::NoLevel(because), _))) => Err(PrepareError::Containment {
            wanted: wanted.at_least,
            because,
        }),
        Ok(Some((FromHelper::NoLimit { limit, because }, _))) => Err(PrepareError::Limit {
            limit: limit.name(),
            because,
        }),
        Ok(
            Some((FromHelper::Started | FromHelper::NotStarted(_) | FromHelper::Finished(_), _))
            | None,
        )
        | Err(_) => Err(no_helper(
            "it ended without an answer: the program has to call `lictor::executor::init()` first in `main`",
        )),
    }
}

impl Ready for Helped {
    fn containment(&self) -> &Containment {
        &self.built.containment
    }

    fn run(&mut self, job: &Job, observer: &mut dyn Observer) -> Evidence {
        let mut containment = self.built.containment.clone();
        let Some((mut streams, ends)) = self.output.take() else {
            return Evidence::spawn_failed(containment, "this was run already");
        };
        let cancel = observer.cancellation();
        let in_reach = self.init.is_none() || !self.built.events.is_empty();
        let _terminal = Terminal::remember(in_reach);
        let started = Instant::now();
        let beside = [
            job.directory.as_fd(),
            observer.input().unwrap_or(self.null.as_fd()),
            ends.stdout.as_fd(),
            ends.stderr.as_fd(),
        ];
        let order = ToHelper::Go(Box::new(Order::from(job)));
        let sent = self.helper.channel.send(&order, &beside);
        // Only the run may hold them, or the streams never end.
        drop(ends);
        let limits = &job.limits;
        let until = [limits.timeout, limits.grace, PROOF_TIME, LATE_TIME]
            .into_iter()
            .fold(started, later);
        let told = match sent {
            Ok(()) => follow(
                &self.helper.channel,
                &mut streams,
                cancel.as_ref(),
                until,
                observer,
            ),
            Err(error) => Told::NotStarted(format!("the helper is gone: {error}")),
        };

        let mut events = std::mem::take(&mut self.built.events);
        let (finished, error) = match told {
            Told::Finished(finished) => (*finished, None),
            Told::NotStarted(why) => {
                let mut evidence = Evidence::spawn_failed(containment, why);
                evidence.events = events;
                return evidence;
            }
            Told::HelperLost(why) => {
                events.push(Event::new("HELPER_LOST", why));
                // The kernel kills a namespace with its init. Without one, a helper that is only stopped still
                // gathers what is left of its run below it.
                let left = match &self.init {
                    Some(init) => {
                        sys::kill_pidfd(init.as_fd(), SIGKILL);
                        self.helper.kill();
                        Vec::new()
                    }
                    None => self.helper.kill_with_descendants(),
                };
                let proof = clean_up(self.init.as_ref(), &self.built.cgroups);
                let cancelled = cancel.as_ref().is_some_and(CancelToken::is_cancelled);
                let stopped_by = match Instant::now() >= later(started, limits.timeout) {
                    true => Some(StopReason::Timeout),
                    false => cancelled.then_some(StopReason::Cancelled),
                };
                let finished = lost(started, proof, stopped_by, left);
                (finished, Some(why.to_owned()))
            }
        };
        containment.empty_proof = finished.proof;
        events.extend(finished.events);
        streams.drain(containment.empty_proof != EmptyProof::None, observer);
        let (stdout, stderr) = streams.finish();
        events.extend(observer.events());
        let limit = finished.limit.or_else(|| {
            let too_large = finished.ended == Some(Ended::Killed(SIGXFSZ));
            (too_large && limits.file_size_bytes.is_some()).then(|| "file_size".to_owned())
        });
        let leaks_fail = job.leaks == Leaks::Fail;
        let is_lost = error.is_some() && finished.ended.is_none() && finished.stop.why.is_none();
        let mut evidence = Evidence::new(
            containment,
            finished.ended,
            finished.stop,
            limit,
            leaks_fail,
        );
        if is_lost {
            evidence.status = Status::Lost;
        }
        evidence.error = error;
        evidence.duration_ms = finished.duration_ms;
        evidence.tree = finished.tree;
        evidence.leaked = finished.leaked;
        evidence.survivors = finished.survivors;
        evidence.events = events;
        evidence.stdout = stdout;
        evidence.stderr = stderr;
        evidence.resources = finished.resources;
        evidence
    }
}

/// Report on a run.
enum Told {
    Finished(Box<Finished>),
    NotStarted(String),
    HelperLost(&'static str),
}

/// Drains the output and passes cancellations on, until the helper has said its last word, or
/// should have.
fn follow(
    channel: &Channel,
    streams: &mut Streams,
    cancel: Option<&CancelToken>,
    until: Instant,
    observer: &mut dyn Observer,
) -> Told {
    let (mut cancelled, mut hurried) = (false, false);
    loop {
        if let Some(token) = cancel {
            // A helper that is gone is noticed below.
            if token.is_cancelled() && !cancelled {
                cancelled = true;
                let _ = channel.send(&ToHelper::Cancel, &[]);
            }
            if token.is_urgent() && !hurried {
                hurried = true;
                let _ = channel.send(&ToHelper::Hurry, &[]);
            }
        }
        wait(channel, streams, cancel, until, &*observer);
        streams.pump(observer);
        if poll::is_readable(channel.as_fd()) {
            return match channel.receive::<FromHelper>() {
                Ok(Some((FromHelper::Finished(finished), _))) => Told::Finished(finished),
                Ok(Some((FromHelper::NotStarted(why), _))) => Told::NotStarted(why),
                Ok(Some((FromHelper::Started, _))) => {
                    observer.started();
                    continue;
                }
                Ok(Some(_)) => continue,
                Ok(None) | Err(_) => Told::HelperLost("the helper ended before its run"),
            };
        }
        if Instant::now() >= until {
            return Told::HelperLost("the helper does not answer");
        }
    }
}

fn wait(
    channel: &Channel,
    streams: &Streams,
    cancel: Option<&CancelToken>,
    until: Instant,
    observer: &dyn Observer,
) {
    let mut until = Some(until);
    let mut fds: Vec<PollFd<'_>> = streams.fds(observer).collect();
    let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    fds.push(readable(channel.as_fd()));
    if let Some(token) = cancel.filter(|token| !token.is_urgent()) {
        match if token.is_cancelled() {
            token.urgent_fd()
        } else {
            token.as_fd()
        } {
            Some(bell) => fds.push(readable(bell)),
            None => until = super::no_bell(until),
        }
    }
    poll::wait(&mut fds, until);
}

/// Ends what a lost helper has left, as far as it can be reached from here.
fn clean_up(init: Option<&OwnedFd>, cgroups: &[PathBuf]) -> EmptyProof {
    for directory in cgroups {
        cgroup::kill(directory);
    }
    // The kernel kills init when the helper ends, and with it the namespace; it says that init has
    // ended only when nothing is left in there.
    let proof = match init {
        Some(init) if poll::wait_readable(init.as_fd(), CLEAN_UP_TIME) => EmptyProof::InitReaped,
        _ => EmptyProof::None,
    };
    for directory in cgroups {
        cgroup::remove(directory);
    }
    proof
}

/// A run whose end nobody has seen: its processes were killed because their supervisor was gone, or did not answer.
fn lost(
    started: Instant,
    proof: EmptyProof,
    why: Option<StopReason>,
    survivors: Vec<Process>,
) -> Finished {
    Finished {
        ended: None,
        duration_ms: ms_between(started, Instant::now()),
        limit: None,
        proof,
        stop: Stop {
            why,
            ..Stop::default()
        },
        tree: Vec::new(),
        leaked: Vec::new(),
        survivors,
        events: Vec::new(),
        resources: Resources::default(),
    }
}

/// A helper process. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Helper {
    process: Child,
    pidfd: Option<OwnedFd>,
    channel: Channel,
}

impl Helper {
    /// Starts the program at `path` as a helper, with a socket as its standard input. It makes the namespaces
    /// of a tree of `at_most` this level, and waits to be told what they are for.
    ///
    /// Nothing here makes `Command` copy this process: it uses `posix_spawn`.
    pub(super) fn start(path: &Path, at_most: Level) -> io::Result<Helper> {
        let (ours, theirs) = Channel::pair()?;
        let host = i32::try_from(std::process::id()).unwrap_or_default();
        // Before it is started: it need not wait for this, and the socket has room for it.
        ours.send(&ToHelper::Begin(Begin { host, at_most }), &[])?;
        let process = Command::new(path)
            .arg0("lictor-helper")
            .arg(helper::ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(theirs.into_fd()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok(Helper {
            process,
            pidfd,
            channel: ours,
        })
    }

    /// Asks for a tree.
    fn ask(&self, wanted: &Prepare) -> io::Result<()> {
        self.channel.send(&ToHelper::Prepare(wanted.clone()), &[])
    }

    /// Kills the helper, and before it what is below it; returns what of that could not be killed.
    ///
    /// No proof: once the helper is gone, what was missed cannot be found any more.
    fn kill_with_descendants(&mut self) -> Vec<Process> {
        let own = i32::try_from(self.process.id()).unwrap_or_default();
        // What is below a helper that is stopped stays below it: it is their reaper.
        let until = later(Instant::now(), CLEAN_UP_TIME);
        let living = || {
            let mut living = tree::descendants(own);
            living.retain(tree::Stat::is_alive);
            living
        };
        let mut left = living();
        while !left.is_empty() && Instant::now() < until {
            for stat in &left {
                containment::kill_below(stat.pid, own);
            }
            left = living();
        }
        self.kill();
        tree::outlines(&left)
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
    }

    fn ends_within(&self, time: Duration) -> bool {
        self.pidfd
            .as_ref()
            .is_some_and(|pidfd| poll::wait_readable(pidfd.as_fd(), time))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The end of what we say ends the helper, after it has ended its run.
        self.channel.hang_up();
        // One that is stuck in the kernel does not end by being killed either, and is not waited for.
        if !self.ends_within(END_TIME) {
            self.kill();
            self.ends_within(CLEAN_UP_TIME);
        }
        let _ = self.process.try_wait();
    }
}

const SIGKILL: i32 = 9;
const SIGXFSZ: i32 = 25;
