//! The levels of containment: which of them work here, found by building the strongest one, and
//! what each knows about its processes.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getegid, geteuid, getpid, kill_process,
    pidfd_open, pidfd_send_signal, waitid,
};

use super::cgroup::{self, Cgroups};
use super::init::{self, Task};
use super::mounts;
use super::payload::{self, Descriptors, Setting};
use super::poll;
use super::reaper::Reaper;
use super::stop::{Kept, later};
use super::sys::{self, Cloned, Forked};
use super::tree::{self, Stat};
use super::wire::{
    Built, Bytes, Channel, FromHelper, FromInit, Limit, Order, Prepare, Scene, ToInit,
};
use crate::evidence::{Containment, EmptyProof, Ended, Event, Level, ProcView, Stop};
use crate::policy::terms::{MOST_PROCESSES, StopTarget};

/// A contained tree: empty first, then with the command and all that comes out of it.
#[derive(Debug)]
pub(super) struct Tree {
    level: Level,
    degraded_because: Vec<String>,
    events: Vec<Event>,
    init: Option<Init>,
    /// Init's mounts, which nobody has to wait for while this is open.
    _mounts: Option<OwnedFd>,
    cgroups: Cgroups,
    reaper: Reaper,
    /// End of the command, as init has reported it.
    ended: Option<Ended>,
    most_processes: Option<u64>,
    most_memory: Option<u64>,
}

/// The init of a PID namespace, as the helper sees it.
#[derive(Debug)]
pub(super) struct Init {
    /// The one below which the run is.
    pid: i32,
    /// Of the outer one, which takes all others along.
    pidfd: OwnedFd,
    /// To the inner one.
    channel: Option<Channel>,
    /// To the outer one: whatever is written says that it has to kill the others.
    bell: OwnedFd,
    /// When it was told so.
    rung: Option<Instant>,
    mounts: Option<OwnedFd>,
    /// In a user namespace of its own.
    with_user: bool,
    fresh_proc: bool,
    reaped: bool,
}

/// Parts of a tree that are built before its purpose is known.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// Dropped before what it is in.
    init: Option<Init>,
    cgroups: Cgroups,
    /// Things that the run reaches though it should not.
    events: Vec<Event>,
}

/// Makes cgroups, and a PID namespace in the first way that is permitted. If none is, [`build`] will find out why.
pub(super) fn begin(at_most: Level) -> Begun {
    let events = match sys::leave_keyring() {
        Ok(()) => Vec::new(),
        Err(error) => vec![mounts::unprotected("the caller's keys", &error.to_string())],
    };
    if at_most < Level::PidNamespace {
        return Begun {
            events,
            ..Begun::default()
        };
    }
    let cgroups = Cgroups::apart();
    let init = Init::make(false, &cgroups).or_else(|_| Init::make(true, &cgroups));
    Begun {
        init: init.ok(),
        cgroups,
        events,
    }
}

/// Builds the strongest tree that works here, with what was `begun` if that will do.
///
/// # Errors
///
/// The message for the host, if nothing that is acceptable works.
pub(super) fn build(prepare: &Prepare, begun: Begun) -> Result<Tree, FromHelper> {
    let reaper = Reaper::new().map_err(|error| FromHelper::NoLevel(vec![error.to_string()]))?;
    let mut degraded = Vec::new();
    let Begun {
        init: begun,
        mut cgroups,
        events: from_the_start,
    } = begun;
    let no_pids_controller = limit_by_cgroup(prepare, &mut cgroups)?;
    let by_rlimit = no_pids_controller.is_some();
    let started = start_init_somehow(prepare, by_rlimit, begun, &cgroups);
    let (mut init, mut events) = match started {
        Ok((init, events)) => (Some(init), events),
        Err(because) => {
            degraded = because;
            cgroups.keep_what_is_needed();
            (None, Vec::new())
        }
    };
    if let (Some(error), None) = (&no_pids_controller, &init) {
        return Err(no_limit(Limit::Processes, error));
    }
    let limits_by_cgroup = prepare.memory_bytes.map(|_| Limit::Memory).or(prepare
        .processes
        .filter(|_| no_pids_controller.is_none())
        .map(|_| Limit::Processes));
    if let Err(error) = fill_cgroups(prepare, &mut cgroups, init.as_ref(), limits_by_cgroup) {
        if let Some(limit) = limits_by_cgroup {
            return Err(no_limit(limit, &error));
        }
        cgroups.remove();
        if init.is_none() {
            degraded.push(format!("cgroup: {error}"));
        }
    }
    let level = match &init {
        Some(_) => Level::PidNamespace,
        None if cgroups.is_unified() && prepare.at_most >= Level::Cgroup => Level::Cgroup,
        None => Level::Subreaper,
    };
    let can_see = level > Level::Subreaper || tree::stat(getpid().as_raw_pid()).is_some();
    if !can_see {
        degraded.push("subreaper: no /proc".to_owned());
    }
    if !can_see || level < prepare.at_least {
        return Err(FromHelper::NoLevel(degraded));
    }
    if level < Level::PidNamespace {
        let paths: Vec<PathBuf> = prepare
            .hidden
            .iter()
            .chain(&prepare.read_only)
            .map(PathBuf::from)
            .collect();
        let paths = paths.iter().map(PathBuf::as_path);
        events.extend(mounts::nothing_protected(paths));
    } else {
        events.extend_from_slice(cgroups.not_protected());
    }
    events.extend(from_the_start);
    Ok(Tree {
        level,
        degraded_because: degraded,
        events,
        _mounts: init.as_mut().and_then(|init| init.mounts.take()),
        init,
        cgroups,
        reaper,
        ended: None,
        most_processes: prepare.processes,
        most_memory: prepare.memory_bytes,
    })
}

/// Sets the limits that controllers enforce. Where there is none for processes and RLIMIT_NPROC may
/// do, returns why.
fn limit_by_cgroup(
    prepare: &Prepare,
    cgroups: &mut Cgroups,
) -> Result<Option<io::Error>, FromHelper> {
    if let Some(bytes) = prepare.memory_bytes {
        cgroups
            .limit_memory(bytes)
            .map_err(|error| no_limit(Limit::Memory, &error))?;
    }
    match prepare.processes.map(|most| cgroups.limit_processes(most)) {
        None => {
            cgroups.limit_processes_if_made(MOST_PROCESSES.saturating_add(1));
            Ok(None)
        }
        Some(Ok(())) => Ok(None),
        // It binds no process of root, in no namespace.
        Some(Err(error)) if geteuid().is_root() || prepare.at_most < Level::PidNamespace => {
            Err(no_limit(Limit::Processes, &error))
        }
        Some(Err(error)) => Ok(Some(error)),
    }
}

/// Makes a PID namespace in one of the ways in which it may be permitted, or tells why none is.
fn start_init_somehow(
    prepare: &Prepare,
    by_rlimit: bool,
    mut begun: Option<Init>,
    cgroups: &Cgroups,
) -> Result<(Init, Vec<Event>), Vec<String>> {
    if prepare.at_most < Level::PidNamespace {
        return Err(vec!["pid-namespace: not asked for".to_owned()]);
    }
    let mut scene = Scene {
        hidden: prepare.hidden.clone(),
        read_only: prepare.read_only.clone(),
        // Both inits are in the user namespace, and the policy does not know of them.
        most_processes: prepare
            .processes
            .filter(|_| by_rlimit)
            .map(|most| most.saturating_add(INITS)),
        cgroups: Vec::new(),
    };
    let mut because = Vec::new();
    for (with_user, how) in [(false, "directly"), (true, "with a user namespace")] {
        // Only in a user namespace of its own does RLIMIT_NPROC count this run's processes alone.
        if by_rlimit && !with_user {
            continue;
        }
        if with_user && prepare.processes.is_none() && counts_by_user_namespace() {
            scene.most_processes = Some(MOST_PROCESSES.saturating_add(INITS));
        }
        let made = match begun.take_if(|begun| begun.with_user == with_user) {
            Some(begun) => Ok(begun),
            None => Init::make(with_user, cgroups),
        };
        match made.and_then(|init| init.set_up(&scene, cgroups)) {
            Ok(started) => return Ok(started),
            Err(error) => because.push(format!("pid-namespace, {how}: {error}")),
        }
    }
    Err(because)
}

/// Processes of lictor's in the user namespace of a run.
const INITS: u64 = 2;

/// Returns true if RLIMIT_NPROC counts the processes of a user in each user namespace apart, from Linux 5.14 on. Before that
/// it counts all that the user has anywhere, which a limit that nobody stated must not do.
fn counts_by_user_namespace() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.trim().parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(14))
}

/// Makes the cgroup that the level needs where there is no init, and tries it: a directory can sometimes be made where no
/// process may be moved to.
fn fill_cgroups(
    prepare: &Prepare,
    cgroups: &mut Cgroups,
    init: Option<&Init>,
    limits: Option<Limit>,
) -> io::Result<()> {
    if init.is_some() {
        // The inner one is in the cgroups, and one more than the policy knows of.
        return match prepare.processes {
            Some(most) if cgroups.limits_processes() => {
                cgroups.limit_processes(most.saturating_add(1))
            }
            _ => Ok(()),
        };
    }
    if prepare.at_most >= Level::Cgroup {
        let made = cgroups.make_unified();
        if limits.is_none() {
            made?;
        }
    } else if limits.is_none() {
        return Err(io::Error::other("not asked for"));
    }
    try_to_move_in(cgroups)
}

/// Moves a process into the cgroups that does nothing else, since the command will move itself.
fn try_to_move_in(cgroups: &Cgroups) -> io::Result<()> {
    if cgroups.is_none() {
        return Ok(());
    }
    match sys::fork()? {
        Forked::Child => sys::exit_now(
            cgroups
                .add_self()
                .err()
                .and_then(|error| error.raw_os_error())
                .unwrap_or(0),
        ),
        Forked::Parent(pid) => {
            let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("no pid"))?;
            let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED)?;
            match status.and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                Some(error) => Err(io::Error::from_raw_os_error(error)),
                None => Err(io::Error::other("killed")),
            }
        }
    }
}

fn no_limit(limit: Limit, error: &io::Error) -> FromHelper {
    FromHelper::NoLimit {
        limit,
        because: cgroup::refusal(limit, error),
    }
}

impl Init {
    /// Makes a PID namespace, whose init waits to be told [what to set up](Init::set_up).
    fn make(with_user: bool, cgroups: &Cgroups) -> io::Result<Init> {
        let mut flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        let mut map = None;
        if with_user {
            flags |= libc::CLONE_NEWUSER;
            map = Some((geteuid().as_raw(), getegid().as_raw()));
        }
        let (ours, theirs) = Channel::pair()?;
        let (bell, rope) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        match sys::clone_into_namespaces(flags, None)? {
            Cloned::Child => {
                // Or the helper's death would not be the end of the channel.
                drop((ours, rope));
                init::run(&Task {
                    helper: theirs,
                    bell,
                    map,
                    cradle: cgroups.cradle(),
                })
            }
            Cloned::Parent { pid, pidfd } => Ok(Init {
                pid,
                pidfd,
                channel: Some(ours),
                bell: rope,
                rung: None,
                mounts: None,
                with_user,
                fresh_proc: false,
                reaped: false,
            }),
        }
    }

    /// Waits until everything is set up; also returns what could not be protected.
    fn set_up(mut self, scene: &Scene, cgroups: &Cgroups) -> io::Result<(Init, Vec<Event>)> {
        let mut scene = scene.clone();
        scene.cgroups = cgroups
            .to_join()
            .map(|(inner, is_needed)| (Bytes::from(inner.as_os_str()), is_needed))
            .collect();
        let told = self.channel.as_ref().map(|channel| {
            // One that is gone already has said why.
            let _ = channel.send(&ToInit::SetUp(scene), &[]);
            channel.receive::<FromInit>()
        });
        match told {
            Some(Ok(Some((
                FromInit::Ready {
                    pid,
                    fresh_proc,
                    events,
                },
                fds,
            )))) => {
                self.pid = pid.unwrap_or(self.pid);
                self.fresh_proc = fresh_proc;
                self.mounts = fds.into_iter().next();
                Ok((self, events))
            }
            Some(Ok(Some((FromInit::Failed(what), _)))) => Err(io::Error::other(what)),
            _ => Err(io::Error::other("init ended while setting up")),
        }
    }
}

impl Drop for Init {
    /// Ends the namespace, and all that is in it.
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        // Bounded, for a process stuck in the kernel may take forever.
        if poll::wait_readable(self.pidfd.as_fd(), TAKE_DOWN_TIME) {
            let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        }
    }
}

impl Tree {
    /// The report to the host about the empty tree.
    pub(super) fn ready(&self) -> Built {
        let mut containment = Containment::at(self.level);
        containment.degraded_because = self.degraded_because.clone();
        containment.crash_safe = self.level == Level::PidNamespace;
        containment.empty_proof = match self.level {
            Level::PidNamespace => EmptyProof::InitReaped,
            Level::Cgroup => EmptyProof::CgroupEmpty,
            Level::Subreaper => EmptyProof::NoDescendants,
            Level::ProcessGroup => EmptyProof::None,
        };
        if self.init.as_ref().is_some_and(|init| init.fresh_proc) {
            containment.proc_view = ProcView::Fresh;
        }
        Built {
            containment,
            events: self.events.clone(),
            cgroups: self.cgroups.all(),
        }
    }

    /// Readable when init has ended.
    pub(super) fn init_pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.init.as_ref().map(|init| init.pidfd.as_fd())
    }

    /// Starts the command.
    ///
    /// # Errors
    ///
    /// If it cannot be started; the tree is of no more use then.
    pub(super) fn start(&mut self, order: &Order, descriptors: &Descriptors) -> io::Result<()> {
        let Some(init) = &self.init else {
            let setting = Setting {
                own_mounts: false,
                most_processes: None,
                cgroups: Some(&self.cgroups),
                dies_with_parent: true,
            };
            let pid = payload::start(order, descriptors, &setting)?;
            self.reaper.started(pid);
            return Ok(());
        };
        let channel = init
            .channel
            .as_ref()
            .ok_or_else(|| io::Error::other("init is gone"))?;
        let Descriptors {
            cwd,
            stdio: [stdin, stdout, stderr],
        } = &descriptors;
        let beside = [cwd.as_fd(), stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        channel.send(&ToInit::Go(Box::new(order.clone())), &beside)?;
        match channel.receive::<FromInit>()? {
            Some((FromInit::Started, _)) => Ok(()),
            Some((FromInit::NotStarted(why) | FromInit::Failed(why), _)) => {
                Err(io::Error::other(why))
            }
            _ => Err(io::Error::other("init ended before the command started")),
        }
    }

    /// Descriptors to poll for anything that happens in the tree.
    pub(super) fn fds(&self) -> Vec<PollFd<'_>> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.reaper.as_fd(), PollFlags::IN)];
        if let Some(init) = &self.init {
            fds.push(PollFd::from_borrowed_fd(init.pidfd.as_fd(), PollFlags::IN));
            if let Some(channel) = &init.channel {
                fds.push(PollFd::from_borrowed_fd(channel.as_fd(), PollFlags::IN));
            }
        } else if let Some(events) = self.cgroups.events() {
            fds.push(PollFd::from_borrowed_fd(events, PollFlags::PRI));
        }
        fds
    }

    /// Takes note of what has happened.
    pub(super) fn listen(&mut self) {
        let Some(init) = &mut self.init else {
            self.reaper.reap();
            return;
        };
        // Ended first: what it has said before that is then in the channel for sure.
        let init_has_ended = poll::is_readable(init.pidfd.as_fd());
        while let Some(channel) = &init.channel {
            if !poll::is_readable(channel.as_fd()) {
                break;
            }
            match channel.receive::<FromInit>() {
                Ok(Some((FromInit::Ended(ended), _))) => self.ended = Some(ended),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => init.channel = None,
            }
        }
        if init_has_ended && !init.reaped {
            // A namespace without init is killed and reaped by the kernel before this can return.
            init.reaped = waitid(WaitId::PidFd(init.pidfd.as_fd()), WaitIdOptions::EXITED).is_ok();
        }
    }

    /// Returns true if somebody has sent the helper itself a signal that asks it to end.
    pub(super) fn is_asked_to_end(&self) -> bool {
        !self.reaper.take_signals().is_empty()
    }

    /// End of the command.
    pub(super) fn ended(&self) -> Option<Ended> {
        match &self.init {
            None => self.reaper.ended(),
            // Killed with the namespace, if nobody has told otherwise.
            Some(init) if init.reaped => {
                Some(self.ended.unwrap_or(Ended::Killed(Signal::KILL.as_raw())))
            }
            Some(_) => self.ended,
        }
    }

    /// The event of an init that somebody else has ended, which ended the command.
    pub(super) fn lost_init(&self, stop: &Stop) -> Option<Event> {
        let lost = self.init.as_ref().is_some_and(|init| init.reaped)
            && self.ended.is_none()
            && stop.kill_at_ms.is_none();
        lost.then(|| {
            let about = "the run's init was ended by somebody else, and the command with it";
            Event::new("INIT_LOST", about)
        })
    }

    /// Proof that nothing is left; none if something may be.
    pub(super) fn proof(&self) -> Option<EmptyProof> {
        match (&self.init, self.level) {
            (Some(init), _) => init.reaped.then_some(EmptyProof::InitReaped),
            (None, Level::Cgroup) => (self.reaper.is_childless() && self.cgroups.is_empty())
                .then_some(EmptyProof::CgroupEmpty),
            (None, _) => (self.reaper.is_childless()
                && tree::descendants(getpid().as_raw_pid()).is_empty())
            .then_some(EmptyProof::NoDescendants),
        }
    }

    /// Time until processes that were killed are killed again.
    pub(super) fn kill_again(&self) -> Duration {
        match self.init {
            Some(_) => RINGING_TIME,
            None => KILL_AGAIN,
        }
    }

    /// Processor time that the run has used.
    pub(super) fn cpu(&self) -> Duration {
        self.cgroups.cpu().unwrap_or_else(|| {
            let root = self.root();
            let mut all = tree::descendants(root);
            // What orphans used is with who has waited for them.
            all.extend(tree::stat(root));
            Duration::from_millis(tree::cpu_ms(&all))
        })
    }

    /// Returns true if the kernel has killed something because the limit of memory was reached.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.cgroups.is_out_of_memory()
    }

    /// The limit that the run has gone over, as far as it was counted: memory, or processes.
    pub(super) fn limit_exceeded(&self) -> Option<&'static str> {
        let over = |used: Option<u64>, most: Option<u64>| {
            used.zip(most).is_some_and(|(used, most)| used > most)
        };
        if self.is_out_of_memory() || over(self.cgroups.peak_memory(), self.most_memory) {
            Some("memory")
        } else if over(self.peak().map(u64::from), self.most_processes) {
            Some("processes")
        } else {
            None
        }
    }

    /// Most tasks at one time, where counted.
    pub(super) fn peak(&self) -> Option<u32> {
        let own = u32::from(self.init.is_some());
        self.cgroups.peak().map(|peak| peak.saturating_sub(own))
    }

    /// Ends what is left of the tree, and removes what was made for it.
    pub(super) fn take_down(&mut self) {
        self.init = None;
        self.reaper.reap();
        self.cgroups.remove();
    }

    /// Whose descendants the run is.
    fn root(&self) -> i32 {
        self.init
            .as_ref()
            .map_or_else(|| getpid().as_raw_pid(), |init| init.pid)
    }

    /// All candidates for a signal, where there is no init to pass it on.
    fn candidates(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = tree::descendants(self.root())
            .into_iter()
            .map(|stat| stat.pid)
            .collect();
        pids.extend(self.cgroups.processes());
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Kills what can be found, again and again, as long as that finds something new.
    fn hunt(&mut self) {
        let own = getpid().as_raw_pid();
        for _ in 0..HUNTS {
            self.cgroups.kill();
            // Orphans come to us, so a chain of forks passes through our children. They are ours to
            // reap: their pids cannot be anybody else's. Reading this list is quick enough to
            // catch a process before it has forked and ended.
            let children = tree::children(own).unwrap_or_default();
            for pid in &children {
                kill_child(*pid);
            }
            for pid in self.candidates() {
                if !children.contains(&pid) {
                    kill_descendant(pid);
                }
            }
            self.reaper.reap();
            if self.reaper.is_childless() {
                return;
            }
        }
    }
}

/// Time after a `SIGKILL` to all until the next one, where one is not enough: processes that were just being
/// born were missed, and have to be killed, too.
const KILL_AGAIN: Duration = Duration::from_millis(1);

/// Rounds of killing before events are looked at again.
const HUNTS: usize = 32;

/// Time for a tree that never ran, or that could not be proven to be empty.
const TAKE_DOWN_TIME: Duration = Duration::from_millis(300);

/// Time for the outer init to kill the others, before it is killed itself.
const RINGING_TIME: Duration = Duration::from_millis(500);

impl Kept for Tree {
    fn freeze(&mut self, time: Duration) -> bool {
        let Some(init) = &mut self.init else {
            return self.level == Level::Cgroup && self.cgroups.freeze(time);
        };
        let until = later(Instant::now(), time);
        let Some(channel) = &init.channel else {
            return false;
        };
        if channel.send(&ToInit::Freeze, &[]).is_err() {
            return false;
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !poll::wait_readable(channel.as_fd(), left) {
                return false;
            }
            match channel.receive::<FromInit>() {
                Ok(Some((FromInit::Frozen, _))) => return true,
                Ok(Some((FromInit::Ended(ended), _))) => self.ended = Some(ended),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    init.channel = None;
                    return false;
                }
            }
        }
    }

    fn living(&mut self, time: Duration) -> Vec<Stat> {
        let mut living: Vec<Stat> = tree::descendants_within(self.root(), time)
            .into_iter()
            .filter(Stat::is_alive)
            .collect();
        if self.init.is_none() {
            for pid in self.cgroups.processes() {
                if !living.iter().any(|stat| stat.pid == pid) {
                    living.extend(tree::stat(pid).filter(Stat::is_alive));
                }
            }
        }
        living
    }

    fn signal(&mut self, signal: i32, to: StopTarget) {
        if let Some(init) = &self.init {
            let leader_only = to == StopTarget::Leader;
            if let Some(channel) = &init.channel {
                // If init is gone, so is everybody else.
                let _ = channel.send(
                    &ToInit::Signal {
                        signal,
                        leader_only,
                    },
                    &[],
                );
            }
            return;
        }
        let pids = match to {
            StopTarget::Leader => self.reaper.leader().into_iter().collect(),
            StopTarget::All => self.candidates(),
        };
        for pid in pids {
            if let Some(pidfd) = below(pid, getpid().as_raw_pid()) {
                sys::kill_pidfd(pidfd.as_fd(), signal);
            }
        }
        if signal == Signal::CONT.as_raw() {
            self.cgroups.thaw();
        }
    }

    fn kill(&mut self) {
        let Some(init) = &mut self.init else {
            self.hunt();
            return;
        };
        match init.rung {
            None => {
                // If nobody is left to hear it, so is nobody to be killed.
                let _ = rustix::io::write(&init.bell, b"!");
                init.rung = Some(Instant::now());
            }
            Some(rung) if rung.elapsed() >= RINGING_TIME => {
                let _ = pidfd_send_signal(&init.pidfd, Signal::KILL);
            }
            Some(_) => {}
        }
    }
}

/// Kills a child of this process that has not been reaped.
fn kill_child(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn kill_descendant(pid: i32) {
    kill_below(pid, getpid().as_raw_pid());
}

/// Kills `pid`, if that is a process below `ancestor`.
pub(super) fn kill_below(pid: i32, ancestor: i32) {
    if let Some(pidfd) = below(pid, ancestor) {
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
    }
}

/// A descriptor of `pid`, if that is still a process below `ancestor`: one whose number was taken by
/// somebody else since it was looked up is not.
fn below(pid: i32, ancestor: i32) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let mut at = pid;
    for _ in 0..MAX_DEPTH {
        at = tree::stat(at)?.ppid;
        if at == ancestor {
            return Some(pidfd);
        }
        if at <= 1 {
            return None;
        }
    }
    None
}

/// A chain of parents longer than this is a loop made by reused pids.
const MAX_DEPTH: usize = 100_000;
