//! A run without a helper: the command is a child of this process, kept together by its process
//! group only.
//!
//! The weakest level, for programs that neither call [`init`](super::init) nor name a helper. What
//! leaves the group and loses its parents is not seen, and nothing here is proof.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::stop::{Ending, Kept, LOOK_TIME, ms_between};
use super::streams::{Streams, WriteEnds};
use super::sys::{self, Image};
use super::terminal::Terminal;
use super::tree::{self, Stat};
use super::verdict::{self, Ended};
use super::{limits::CpuWatch, mounts, poll};
use crate::evidence::{Containment, EmptyProof, Evidence, Level, ProcView, Resources, StopReason};
use crate::executor::{CancelToken, EmptyTree, Observer, PrepareError, Remains};
use crate::policy::terms::StopTarget;
use crate::resolve::Launch;

/// How a run without a helper is kept together.
pub(super) fn containment(degraded_because: Vec<String>) -> Containment {
    Containment {
        level: Level::ProcessGroup,
        degraded_because,
        crash_safe: false,
        empty_proof: EmptyProof::None,
        proc_view: ProcView::Host,
    }
}

/// Nothing is prepared: the command is started by [`EmptyTree::run`].
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) containment: Containment,
}

impl EmptyTree for Direct {
    fn run(self: Box<Self>, launch: &Launch, observer: &mut dyn Observer) -> (Evidence, Remains) {
        let evidence = run(launch, self.containment.clone(), observer)
            .unwrap_or_else(|error| Evidence::spawn_failed(self.containment, error.to_string()));
        (evidence, Remains::default())
    }
}

fn run(
    launch: &Launch,
    containment: Containment,
    observer: &mut dyn Observer,
) -> io::Result<Evidence> {
    let (mut streams, ends) = Streams::new(&launch.limits)?;
    let cancel = observer.cancellation();
    let _terminal = Terminal::remember(true);
    let started = Instant::now();
    let mut group = start(launch, &ends, observer.input())?;
    // Only the run may hold them, or the streams never end.
    drop(ends);
    let limits = &launch.limits;
    let mut ending = Ending::new(started, limits.timeout, limits.grace, launch.stop);
    let mut cpu = CpuWatch::new(limits.cpu, started);

    let seems_empty = loop {
        let now = Instant::now();
        if group.ended.is_none() && poll::is_readable(group.pidfd.as_fd()) {
            group.ended = group.status();
            ending.command_ended(now);
        }
        // The leader is asked about itself: `/proc` may be missing.
        if group.ended.is_some() && group.living(LOOK_TIME).is_empty() {
            ending.emptied(now);
            break true;
        }
        if let Some(token) = &cancel {
            if token.is_cancelled() {
                ending.stop(StopReason::Cancelled, now, &mut group);
            }
            if token.is_urgent() {
                ending.hurry(now, &mut group);
            }
        }
        if !ending.is_ending() && cpu.is_due(now) && cpu.is_used_up(now, &group.all_seen()) {
            ending.stop(StopReason::Limit, now, &mut group);
        }
        if !ending.tick(now, &mut group) {
            break false;
        }
        let look = cpu.next_look();
        wait(&streams, &group, &ending, look, cancel.as_ref(), &*observer);
        streams.pump(observer);
    };

    // For what cannot be seen, while the number of the group cannot be anybody else's: its leader
    // has not been reaped.
    let _ = kill_process_group(group.pid, Signal::KILL);
    let ended = group.ended.or_else(|| group.status());
    let survivors = if seems_empty {
        Vec::new()
    } else {
        tree::outlines(&group.living(LOOK_TIME))
    };
    streams.drain(false, observer);
    let usage = sys::reap(group.leader).unwrap_or_default();
    let duration_ms = ms_between(started, Instant::now());
    let parts = ending.into_parts();
    let paths = launch.hidden.iter().chain(&launch.read_only);
    let mut events = mounts::nothing_protected(paths.map(PathBuf::as_path));
    events.extend(parts.unseen());
    events.extend(observer.events());
    let (stdout, stderr) = streams.finish();
    let used = usage.user.saturating_add(usage.system);
    let is_over = parts.stop.why == Some(StopReason::Limit)
        || launch.limits.cpu.is_some_and(|limit| used > limit);
    Ok(Evidence {
        status: verdict::status(ended, parts.stop.why, is_over, launch.leaks),
        exit_code: ended.and_then(Ended::exit_code),
        signal: ended.and_then(Ended::signal),
        limit: is_over.then(|| "cpu".to_owned()),
        error: None,
        duration_ms,
        containment,
        stop: parts.stop,
        tree: parts.tree,
        leaked: parts.leaked,
        survivors,
        events,
        stdin: None,
        stdout,
        stderr,
        resources: Resources {
            cpu_user_ms: u64::try_from(usage.user.as_millis()).unwrap_or(u64::MAX),
            cpu_system_ms: u64::try_from(usage.system.as_millis()).unwrap_or(u64::MAX),
            max_rss_bytes: usage.max_rss_bytes,
            peak_processes: None,
        },
        report: None,
    })
}

/// Refuses where the exit code of a child is thrown away by the kernel: `SIGCHLD` is ignored. It is
/// inherited, so the program itself may know nothing of it.
pub(super) fn refuse_without_exit_codes() -> Result<(), PrepareError> {
    const SIGCHLD_BIT: u64 = 1 << 16;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    if ignored.is_some_and(|ignored| ignored & SIGCHLD_BIT != 0) {
        return Err(PrepareError::Machine {
            what: "exit codes",
            because: "this process ignores SIGCHLD".to_owned(),
        });
    }
    Ok(())
}

fn start(launch: &Launch, ends: &WriteEnds, input: Option<BorrowedFd<'_>>) -> io::Result<Group> {
    let image = Image::new(launch)?;
    let null = File::open("/dev/null")?;
    let stdin = input.unwrap_or(null.as_fd());
    let stdio = [stdin, ends.stdout.as_fd(), ends.stderr.as_fd()];
    let leader = sys::spawn(&image, launch.cwd.as_fd(), stdio)?;
    let pid = Pid::from_raw(leader).ok_or_else(|| io::Error::other("a process without a pid"))?;
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Group {
            leader,
            pid,
            pidfd,
            ended: None,
            seen: BTreeMap::new(),
            watched: Vec::new(),
        }),
        Err(error) => {
            // Without a pidfd its end cannot be awaited: it must not go on.
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
            Err(error.into())
        }
    }
}

/// The command's process group, and what is known to have come out of it.
struct Group {
    leader: i32,
    pid: Pid,
    // INVARIANT: the leader is not reaped while this is in use, so neither its pid nor the number
    // of its group can be anybody else's.
    pidfd: OwnedFd,
    ended: Option<Ended>,
    /// All that was ever seen to belong to the run, by pid.
    seen: BTreeMap<i32, Stat>,
    /// Descriptors of what is still alive, to wake up when one of them ends.
    watched: Vec<OwnedFd>,
}

/// Most descriptors used to await the end of processes; the rest is looked at when one of these
/// has ended.
const MAX_WATCHED: usize = 64;

impl Group {
    /// How the leader ended, without reaping it.
    fn status(&self) -> Option<Ended> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options).ok()??;
        Ended::from_wait(&status)
    }

    /// Looks at all processes; those of the run are remembered.
    fn look(&mut self) -> Vec<Stat> {
        let all = tree::all();
        let is_known = |stat: &Stat| {
            stat.pid == self.leader
                || stat.pgid == self.leader
                || stat.sid == self.leader
                || self
                    .seen
                    .get(&stat.pid)
                    .is_some_and(|seen| seen.started == stat.started)
        };
        let mut found: BTreeMap<i32, Stat> = all
            .values()
            .filter(|stat| is_known(stat))
            .map(|stat| (stat.pid, stat.clone()))
            .collect();
        for root in found.keys().copied().collect::<Vec<_>>() {
            for stat in tree::descendants_in(&all, root) {
                found.insert(stat.pid, stat);
            }
        }
        self.seen.extend(found.clone());
        found.into_values().collect()
    }

    /// All processes of the run that are still listed, zombies too.
    fn all_seen(&mut self) -> Vec<Stat> {
        self.look()
    }

    /// Those of `living` that are not in the group.
    fn outside<'a>(&self, living: &'a [Stat]) -> impl Iterator<Item = &'a Stat> {
        let leader = self.leader;
        living.iter().filter(move |stat| stat.pgid != leader)
    }
}

impl Kept for Group {
    fn freeze(&mut self, _: Duration) -> bool {
        false
    }

    fn living(&mut self, _: Duration) -> Vec<Stat> {
        let living: Vec<Stat> = self.look().into_iter().filter(Stat::is_alive).collect();
        self.watched = living
            .iter()
            .filter(|stat| stat.pid != self.leader)
            .take(MAX_WATCHED)
            .filter_map(pidfd_of)
            .collect();
        living
    }

    fn signal(&mut self, signal: i32, to: StopTarget) {
        match to {
            StopTarget::Leader => sys::kill_pidfd(self.pidfd.as_fd(), signal),
            StopTarget::All => {
                sys::kill(self.leader.wrapping_neg(), signal);
                let living = self.living(LOOK_TIME);
                for pidfd in self.outside(&living).filter_map(pidfd_of) {
                    sys::kill_pidfd(pidfd.as_fd(), signal);
                }
            }
        }
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL.as_raw(), StopTarget::All);
    }
}

/// A descriptor of exactly the process that `stat` is about, or nothing if that one is gone.
fn pidfd_of(stat: &Stat) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(stat.pid)?, PidfdFlags::empty()).ok()?;
    // Between the look and the opening the pid may have gone to another process.
    (tree::stat(stat.pid)?.started == stat.started).then_some(pidfd)
}

/// Waits for whatever can happen next.
fn wait(
    streams: &Streams,
    group: &Group,
    ending: &Ending,
    look: Option<Instant>,
    cancel: Option<&CancelToken>,
    observer: &dyn Observer,
) {
    let mut until = [ending.wake_at(), look].into_iter().flatten().min();
    let mut fds: Vec<PollFd<'_>> = streams.fds(observer).collect();
    let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    if group.ended.is_none() {
        fds.push(readable(group.pidfd.as_fd()));
    }
    if ending.is_ending() {
        fds.extend(group.watched.iter().map(|fd| readable(fd.as_fd())));
    }
    if let Some(token) = cancel {
        let bell = if token.is_cancelled() {
            token.urgent()
        } else {
            token.cancelled()
        };
        match bell {
            Some(bell) if !token.is_urgent() => fds.push(readable(bell)),
            Some(_) => {}
            None => until = super::no_bell(until),
        }
    }
    poll::wait(&mut fds, until);
}

/// How often a token without a descriptor is looked at.
pub(super) const NO_BELL: Duration = Duration::from_millis(50);
