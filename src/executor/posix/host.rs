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
use super::verdict::{self, Ended};
use super::wire::{Begin, Channel, Finished, FromHelper, Order, Prepare, Ready, ToHelper};
use super::{cgroup, containment, helper, payload, poll, sys, tree};
use crate::evidence::{
    Containment, EmptyProof, Event, Evidence, Level, Process, Resources, Status, Stop, StopReason,
};
use crate::executor::{CancelToken, EmptyTree, Observer, PrepareError, Remains};
use crate::policy::terms::Containment as Wanted;
use crate::resolve::Launch;

/// An empty tree that a helper keeps.
#[derive(Debug)]
pub(super) struct Helped {
    helper: Helper,
    ready: Ready,
    /// The init of the run's PID namespace, if it has one.
    init: Option<OwnedFd>,
    streams: Streams,
    ends: WriteEnds,
    null: OwnedFd,
}

/// Why there is no helper's tree.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is no helper; a weaker level may do.
    NoHelper(String),
    /// There is one, and what it says is final.
    Final(PrepareError),
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

/// Lets the helper that was started `ahead` build the tree for `launch`; one at `path` if there is none, or
/// if it builds another.
pub(super) fn prepare(
    path: &Path,
    ahead: Option<Helper>,
    launch: &Launch,
    at_most: Level,
) -> Result<Helped, Refused> {
    let machine = |what: &'static str| {
        move |error: io::Error| {
            Refused::Final(PrepareError::Machine {
                what,
                because: error.to_string(),
            })
        }
    };
    let (streams, ends) = Streams::new(&launch.limits).map_err(machine("pipes"))?;
    let null = payload::null().map_err(machine("/dev/null"))?;
    let no_helper = |error: io::Error| Refused::NoHelper(format!("no helper: {error}"));
    let wanted = Prepare::new(launch, at_most);
    // One that has ended in the meantime cannot be asked.
    let ahead = ahead
        .filter(|helper| helper.builds(&wanted))
        .and_then(|mut helper| helper.ask(&wanted).is_ok().then_some(helper));
    let helper = match ahead {
        Some(helper) => helper,
        None => {
            let mut helper = Helper::start(path, at_most).map_err(no_helper)?;
            helper.ask(&wanted).map_err(no_helper)?;
            helper
        }
    };
    if !poll::wait_readable(helper.channel.as_fd(), BUILD_TIME) {
        return Err(Refused::NoHelper(
            "no helper: it does not answer".to_owned(),
        ));
    }
    match helper.channel.receive::<FromHelper>() {
        Ok(Some((FromHelper::Ready(ready), fds))) => {
            let init = fds.into_iter().next();
            Ok(Helped {
                helper,
                ready,
                init,
                streams,
                ends,
                null,
            })
        }
        Ok(Some((FromHelper::NoLevel(because), _))) => match launch.containment {
            Wanted::AtLeast(wanted) => Err(Refused::Final(PrepareError::Containment {
                wanted,
                because,
            })),
            Wanted::Auto => Err(Refused::NoHelper(because.join("; "))),
        },
        Ok(Some((FromHelper::NoLimit { limit, because }, _))) => {
            Err(Refused::Final(PrepareError::Limit {
                limit: limit.name(),
                because,
            }))
        }
        Ok(Some((FromHelper::NotStarted(_) | FromHelper::Finished(_), _)) | None) | Err(_) => Err(
            Refused::NoHelper("no helper: it ended without an answer".to_owned()),
        ),
    }
}

impl Helped {
    /// How the run will be kept together.
    pub(super) fn containment(&self) -> &Containment {
        &self.ready.containment
    }
}

impl EmptyTree for Helped {
    fn run(self: Box<Self>, launch: &Launch, observer: &mut dyn Observer) -> (Evidence, Remains) {
        let Helped {
            mut helper,
            ready,
            init,
            mut streams,
            ends,
            null,
        } = *self;
        let cancel = observer.cancellation();
        let in_reach = ready.containment.level < Level::PidNamespace || !ready.events.is_empty();
        let _terminal = Terminal::remember(in_reach);
        let started = Instant::now();
        let beside = [
            launch.cwd.as_fd(),
            observer.input().unwrap_or(null.as_fd()),
            ends.stdout.as_fd(),
            ends.stderr.as_fd(),
        ];
        let order = ToHelper::Go(Box::new(Order::from(launch)));
        let sent = helper.channel.send(&order, &beside);
        // Only the run may hold them, or the streams never end.
        drop(ends);
        let limits = &launch.limits;
        let until = [limits.timeout, limits.grace, PROOF_TIME, LATE_TIME]
            .into_iter()
            .fold(started, later);
        let told = match sent {
            Ok(()) => follow(
                &helper.channel,
                &mut streams,
                cancel.as_ref(),
                until,
                observer,
            ),
            Err(error) => Told::NotStarted(format!("the helper is gone: {error}")),
        };

        let mut containment = ready.containment;
        let mut events = ready.events;
        let (finished, error) = match told {
            Told::Finished(finished) => (*finished, None),
            Told::NotStarted(why) => {
                containment.empty_proof = EmptyProof::None;
                let mut evidence = Evidence::spawn_failed(containment, why);
                evidence.events = events;
                return (evidence, Remains::of(helper));
            }
            Told::HelperLost(why) => {
                events.push(Event::new("HELPER_LOST", why));
                // The kernel kills a namespace with its init. Without one, a helper that is only stopped still
                // gathers what is left of its run below it.
                let left = match &init {
                    Some(init) => {
                        sys::kill_pidfd(init.as_fd(), SIGKILL);
                        helper.kill();
                        Vec::new()
                    }
                    None => helper.kill_with_descendants(),
                };
                let proof = clean_up(init.as_ref(), &ready.cgroups);
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
        streams.drain(finished.proof != EmptyProof::None, observer);
        let (stdout, stderr) = streams.finish();
        events.extend(observer.events());
        let limit = finished.limit.or_else(|| {
            let too_large = finished.ended == Some(Ended::Killed(SIGXFSZ));
            (too_large && launch.limits.file_size_bytes.is_some()).then(|| "file_size".to_owned())
        });
        let evidence = Evidence {
            status: match finished.ended {
                None if error.is_some() && finished.stop.why.is_none() => Status::Lost,
                ended => verdict::status(ended, finished.stop.why, limit.is_some(), launch.leaks),
            },
            exit_code: finished.ended.and_then(Ended::exit_code),
            signal: finished.ended.and_then(Ended::signal),
            limit,
            error,
            duration_ms: finished.duration_ms,
            containment,
            stop: finished.stop,
            tree: finished.tree,
            leaked: finished.leaked,
            survivors: finished.survivors,
            events,
            stdin: None,
            stdout,
            stderr,
            resources: finished.resources,
            report: None,
        };
        (evidence, Remains::of(helper))
    }
}

/// What became of a run.
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
            token.urgent()
        } else {
            token.cancelled()
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
    /// The tree that it was asked to build.
    asked: Option<Prepare>,
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
            asked: None,
        })
    }

    /// Whether this is what it builds, or it can still be asked to.
    fn builds(&self, wanted: &Prepare) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked == wanted)
    }

    /// Asks for a tree, unless it was asked for one.
    pub(super) fn ask(&mut self, wanted: &Prepare) -> io::Result<()> {
        if self.asked.is_none() {
            let prepare = ToHelper::Prepare(wanted.clone());
            self.channel.send(&prepare, &[])?;
            self.asked = Some(wanted.clone());
        }
        Ok(())
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
