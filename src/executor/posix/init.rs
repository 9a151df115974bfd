//! PID 1 of a run's own PID namespace. When it ends, the kernel kills everything in there.
//!
//! It sets up what the command sees, starts it on the helper's word, reaps, and passes signals on.
//! It decides nothing: the clock and the end of the run are the helper's, which the command can
//! neither see nor reach.
//!
//! There are two, each PID 1 of a namespace, one within the other. The outer does nothing but to wait: for the end of the
//! inner, and for the word to kill everybody below it. Among thousands of busy processes it takes seconds until somebody
//! runs again who has just used some time of the processor, as the inner has by reaping and by signals. The outer has used
//! none. It is not killed itself as long as that can be helped: an end comes only behind giving back memory, for which it
//! can have to wait for processes that do not get to run either.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use rustix::thread::CapabilitySet;

use super::mounts::{Mounts, unprotected};
use super::payload::{self, Descriptors, Setting};
use super::reaper::Reaper;
use super::sys::Cloned;
use super::wire::{Channel, FromInit, Scene, ToInit, write_file};
use super::{cgroup, poll, sys};
use crate::evidence::Event;

/// Input of init. It has its own copy of everything that the helper had.
#[derive(Debug)]
pub(super) struct Task {
    /// The other end is the helper's.
    pub(super) helper: Channel,
    /// Readable when everybody is to be killed, or the helper is gone.
    pub(super) bell: OwnedFd,
    /// The user and group to map, if there is a user namespace.
    pub(super) map: Option<(u32, u32)>,
    /// A cgroup to be born in, which is quick; to move there may have to wait for all processors.
    pub(super) cradle: Option<(PathBuf, OwnedFd)>,
}

/// Is PID 1 until nothing is left, or until the helper is gone.
pub(super) fn run(task: &Task) -> ! {
    // A panic must not unwind into the helper's code, of which this process has a copy.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| be_init(task)));
    sys::exit_now(match result {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            let _ = task.helper.send(&FromInit::Failed(error.to_string()), &[]);
            1
        }
        Err(_) => 2,
    })
}

fn be_init(task: &Task) -> io::Result<()> {
    // Before anything is awaited from the helper: if it is gone already, its end of the channel is
    // closed, and the first thing that is received is the end.
    stand_apart()?;
    if let Some((user, group)) = task.map {
        map_identity(user, group)?;
    }
    // Only now: a process that cannot be dumped cannot open its own maps.
    nix::sys::prctl::set_dumpable(false)?;
    let born_in = be_inner(task)?;
    // As the helper's `/proc` has it.
    let pid = std::fs::read_link("/proc/self")
        .ok()
        .and_then(|own| own.to_str()?.parse().ok());
    let mut mounts = Mounts::new(task.map.map(|(user, _)| user));
    start_pids_at_random();
    let ipc = unshare(CloneFlags::CLONE_NEWIPC);
    // Up to here nothing depends on the command, which may not be known yet.
    let Some((ToInit::SetUp(scene), _)) = task.helper.receive()? else {
        return Ok(());
    };
    let mut events = join_cgroups(&scene, born_in)?;
    events.extend(mounts.show(&scene));
    if let Err(error) = ipc {
        events.push(unprotected("System V IPC", &error.to_string()));
    }
    give_up_capabilities()?;
    rustix::thread::set_no_new_privs(true)?;
    // A change of credentials would have cleared it.
    sys::die_with_parent()?;
    let mut reaper = Reaper::new()?;
    let ready = FromInit::Ready {
        pid,
        fresh_proc: mounts.fresh_proc,
        events,
    };
    // With it the helper keeps the mounts until it has told the end of the run: the kernel takes 0.1 ms to take
    // them down, and would before it says that this process has ended.
    let own = File::open("/proc/self/ns/mnt").ok();
    let beside: Vec<BorrowedFd<'_>> = own.iter().map(AsFd::as_fd).collect();
    task.helper.send(&ready, &beside)?;
    drop(own);

    loop {
        {
            let mut fds = [
                PollFd::from_borrowed_fd(task.helper.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(reaper.as_fd(), PollFlags::IN),
            ];
            poll::wait(&mut fds, None);
        }
        // What the command sends its supervisor has no effect.
        for asked in reaper
            .take_signals()
            .iter()
            .filter(|asked| asked.from_outside)
        {
            signal_all(asked.signal);
            signal_all(Signal::CONT.as_raw());
        }
        if reaper.leader().is_some() {
            reaper.reap();
            if let Some(ended) = reaper.ended() {
                task.helper.send(&FromInit::Ended(ended), &[])?;
            }
        } else {
            reaper.reap();
        }
        if reaper.ended().is_some() && reaper.is_childless() {
            return Ok(());
        }
        if poll::is_readable(task.helper.as_fd()) {
            let Some((message, fds)) = task.helper.receive::<ToInit>()? else {
                return Ok(());
            };
            match message {
                ToInit::SetUp(_) => {}
                ToInit::Go(order) => {
                    let setting = Setting {
                        own_mounts: true,
                        most_processes: scene.most_processes,
                        ..Setting::default()
                    };
                    let started = Descriptors::try_from(fds)
                        .and_then(|descriptors| payload::start(&order, &descriptors, &setting));
                    match started {
                        Ok(pid) => reaper.started(pid),
                        Err(error) => {
                            let text = FromInit::NotStarted(error.to_string());
                            return task.helper.send(&text, &[]);
                        }
                    }
                    sys::close_stdio();
                    task.helper.send(&FromInit::Started, &[])?;
                }
                ToInit::Freeze => {
                    // One call, and no fork slips through: a process that has a signal pending makes none.
                    signal_all(Signal::STOP.as_raw());
                    task.helper.send(&FromInit::Frozen, &[])?;
                }
                ToInit::Signal {
                    signal,
                    leader_only: false,
                } => signal_all(signal),
                ToInit::Signal {
                    signal,
                    leader_only: true,
                } => {
                    if let Some(leader) = reaper.leader() {
                        sys::kill(leader, signal);
                    }
                }
            }
        }
    }
}

/// With the parent's end comes this process's; and it has a session of its own, to which what others use is not charged.
fn stand_apart() -> io::Result<()> {
    sys::die_with_parent()?;
    rustix::process::setsid()?;
    sys::be_prompt();
    Ok(())
}

/// Goes on in the inner namespace; the outer's init never returns. Returns the cgroup that this one was born in.
fn be_inner(task: &Task) -> io::Result<Option<&Path>> {
    let apart = |error: io::Error| io::Error::other(format!("a namespace within: {error}"));
    let cloned = task.cradle.as_ref().and_then(|(path, cradle)| {
        let cloned = sys::clone_into_namespaces(libc::CLONE_NEWPID, Some(cradle.as_fd()));
        cloned.ok().map(|cloned| (cloned, Some(path.as_path())))
    });
    let (cloned, born_in) = match cloned {
        Some(born) => born,
        None => {
            let cloned = sys::clone_into_namespaces(libc::CLONE_NEWPID, None);
            (cloned.map_err(apart)?, None)
        }
    };
    match cloned {
        Cloned::Child => {
            stand_apart()?;
            Ok(born_in)
        }
        Cloned::Parent { pidfd, .. } => wait_for(pidfd.as_fd(), task.bell.as_fd()),
    }
}

/// Ends when `inner` has, and kills everybody when the bell rings.
fn wait_for(inner: BorrowedFd<'_>, bell: BorrowedFd<'_>) -> ! {
    let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    while !poll::is_readable(inner) {
        if poll::is_readable(bell) {
            signal_all(Signal::KILL.as_raw());
            poll::wait(&mut [readable(inner)], None);
        } else {
            poll::wait(&mut [readable(inner), readable(bell)], None);
        }
    }
    sys::exit_now(0)
}

/// Moves this process into the run's cgroups, and has their insides looked at as if there were nothing around them:
/// who mounts a hierarchy anew, in a user namespace, finds the run's own part of it only. Returns what did not work.
fn join_cgroups(scene: &Scene, born_in: Option<&Path>) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for (directory, is_needed) in &scene.cgroups {
        let directory = PathBuf::from(directory);
        if born_in == Some(&directory) {
            continue;
        }
        match cgroup::join(&directory) {
            Ok(()) => {}
            Err(error) if *is_needed => {
                return Err(io::Error::other(format!("cgroup: {error}")));
            }
            Err(error) => events.push(cgroup::not_apart(&directory, &error)),
        }
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWCGROUP) {
        events.push(unprotected("control groups", &error.to_string()));
    }
    Ok(events)
}

/// All that a command that runs as root keeps of what makes root more than others. Without the rest it cannot undo what
/// hides the ledger from it, trace its supervisor, set the clock that records go by, or change the machine.
///
/// Docker leaves the same by default ("Runtime privilege and Linux capabilities" in its manual), and besides
/// MKNOD, which it restricts in another way, and AUDIT_WRITE, by which others' records can be forged.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT);

/// Sees to it that no command gets more than what is [kept](KEPT): not from being root, and not by inheritance.
fn give_up_capabilities() -> io::Result<()> {
    // Also those that a later kernel may have.
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if !KEPT.contains(capability)
            && rustix::thread::remove_capability_from_bounding_set(capability).is_err()
        {
            // The first that the kernel does not know: it knows none behind it.
            break;
        }
    }
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable = sets.inheritable.intersection(KEPT);
    // The kernel takes them out of the ambient set as well.
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// To every process of the namespace but this one.
fn signal_all(signal: i32) {
    sys::kill(-1, signal);
}

/// Inside, the user is who it is outside; nobody else exists.
fn map_identity(user: u32, group: u32) -> io::Result<()> {
    let write = |name: &str, text: &str| {
        write_file(Path::new("/proc/self").join(name), text)
            .map_err(|error| io::Error::other(format!("{name}: {error}")))
    };
    // Without this the group's map is refused to the unprivileged: dropping a group can grant what
    // was denied to that group.
    write("setgroups", "deny")?;
    write("uid_map", &format!("{user} {user} 1"))?;
    write("gid_map", &format!("{group} {group} 1"))
}

/// The next pid is a random one, so that files of two runs that are named by pid do not meet.
/// Where that is not permitted, pids start at 2.
fn start_pids_at_random() {
    let most: u32 = std::fs::read_to_string("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(32768);
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_ok() {
        // Below 300 the kernel does not go back to when it wraps; the upper half leaves room.
        let room = most.saturating_div(2).saturating_sub(300).max(1);
        let start = u32::from_ne_bytes(bytes)
            .checked_rem(room)
            .unwrap_or(0)
            .saturating_add(300);
        let _ = write_file("/proc/sys/kernel/ns_last_pid", &start.to_string());
    }
}
