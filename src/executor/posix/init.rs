//! PID 1 of a run's own PID namespace. When it ends, the kernel kills everything in there.
//!
//! It sets up what the command sees, starts it on the helper's word, reaps, and passes signals on.
//! It decides nothing: the clock and the end of the run are the helper's, which the command can
//! neither see nor reach.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use rustix::thread::CapabilitySet;

use super::payload::{self, Descriptors, Setting};
use super::reaper::Reaper;
use super::wire::{Channel, FromInit, Scene, ToInit, write_file};
use super::{poll, sys};
use crate::evidence::Event;

/// What init is born with. It has its own copy of everything that the helper had.
#[derive(Debug)]
pub(super) struct Task {
    /// The other end is the helper's.
    pub(super) helper: Channel,
    /// The user and group to map, if there is a user namespace.
    pub(super) map: Option<(u32, u32)>,
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
    sys::die_with_parent()?;
    sys::be_prompt();
    if let Some((user, group)) = task.map {
        map_identity(user, group)?;
    }
    // Only now: a process that cannot be dumped cannot open its own maps.
    nix::sys::prctl::set_dumpable(false)?;
    let mounts = Mounts::new();
    start_pids_at_random();
    // Up to here nothing depends on the command, which may not be known yet.
    let Some((ToInit::SetUp(scene), _)) = task.helper.receive()? else {
        return Ok(());
    };
    let events = mounts.show(&scene);
    give_up_capabilities()?;
    rustix::thread::set_no_new_privs(true)?;
    // A change of credentials would have cleared it.
    sys::die_with_parent()?;
    let mut reaper = Reaper::new()?;
    let ready = FromInit::Ready {
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

/// What a command that runs as root must not be able to do, or its containment and what is hidden from it
/// would be a matter of its good will: unmount and mount, trace this process, open files by their handles
/// instead of their names, make device files, and write to the kernel's memory.
///
/// Docker withholds the same by default, except that it grants MKNOD and restricts devices in another way
/// ("Runtime privilege and Linux capabilities" in its manual).
const GIVEN_UP: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SYS_MODULE)
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON);

/// Sees to it that no command gets what is [given up](GIVEN_UP): not from being root, and not by inheritance.
fn give_up_capabilities() -> io::Result<()> {
    for capability in GIVEN_UP {
        // One that the kernel does not know cannot be had either.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable.remove(GIVEN_UP);
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

/// What is mounted in this namespace, and nowhere else.
struct Mounts {
    /// Why this namespace's mounts would reach the machine's own, if they would.
    shared: Option<nix::Error>,
    /// There is a `/proc` of this namespace.
    fresh_proc: bool,
}

impl Mounts {
    /// Cuts this namespace's mounts off from all others, and mounts a `/proc` of its own if that is permitted.
    fn new() -> Mounts {
        let nothing = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        let shared = mount(nothing, "/", nothing, private, nothing).err();
        let inert = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let fresh_proc =
            shared.is_none() && mount(Some("proc"), "/proc", Some("proc"), inert, nothing).is_ok();
        Mounts { shared, fresh_proc }
    }

    /// Covers what the command must not see, and protects what it must not change. What did not work is an event.
    fn show(&self, scene: &Scene) -> Vec<Event> {
        let hidden = scene.hidden.iter().map(|path| (path, "covering it", true));
        let read_only = scene
            .read_only
            .iter()
            .map(|path| (path, "making it read-only", false));
        let mut events = Vec::new();
        for (path, doing, hides) in hidden.chain(read_only) {
            let path = PathBuf::from(path);
            let done = match self.shared {
                Some(error) => Err(format!("mounts: {error}")),
                None if hides => hide(&path).map_err(|error| format!("{doing}: {error}")),
                None => protect(&path).map_err(|error| format!("{doing}: {error}")),
            };
            if let Err(because) = done {
                events.push(not_protected(&path, &because));
            }
        }
        events
    }
}

/// An empty directory over `path`.
fn hide(path: &Path) -> nix::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        flags,
        Some("size=4k,nr_inodes=1,mode=000"),
    )
}

/// `path` over itself, read-only.
fn protect(path: &Path) -> nix::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let nothing = None::<&str>;
    mount(Some(path), path, nothing, MsFlags::MS_BIND, nothing)?;
    // In a user namespace, flags that the mount has must be given again or it is refused.
    let has = statvfs(path)?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (there, keep) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if has.contains(there) {
            flags |= keep;
        }
    }
    mount(nothing, path, nothing, flags, nothing)
}

/// The command can see or change `path`, though the policy would prevent it.
pub(super) fn not_protected(path: &Path, because: &str) -> Event {
    let path = path.to_string_lossy();
    Event::new(
        "NOT_PROTECTED",
        format!("`{}`: {because}", path.escape_debug()),
    )
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
