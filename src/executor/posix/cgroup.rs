//! A cgroup of the run's own: kills, counts and limits.
//!
//! The unified hierarchy (version 2) can kill and tell that nothing is left. The controllers for
//! the limits may be there or, on older systems, in hierarchies of version 1; both are used.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::poll;
use super::stop::later;
use super::wire::{Limit, write_file};

/// Directories that were made for a run, and are removed when it is over.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    /// In the unified hierarchy.
    unified: Option<Unified>,
    /// Where the number of processes is limited, and with which files.
    processes: Option<PathBuf>,
    memory: Option<Memory>,
    /// All directories that were made.
    made: Vec<PathBuf>,
}

#[derive(Debug)]
struct Unified {
    directory: PathBuf,
    /// `cgroup.events`: the kernel reports a change by `POLLPRI`.
    events: OwnedFd,
}

#[derive(Debug)]
struct Memory {
    /// The file that counts kills for want of memory.
    counter: PathBuf,
}

impl Cgroups {
    /// Makes a cgroup in the unified hierarchy.
    ///
    /// # Errors
    ///
    /// If there is none, or this user may not make one.
    pub(super) fn make_unified(&mut self) -> io::Result<()> {
        if self.unified.is_some() {
            return Ok(());
        }
        let own = own_directory(&Hierarchy::Unified)?;
        let directory = self.make_below(&own)?;
        // Without `cgroup.kill` (Linux 5.14) the loop over `cgroup.procs` does it alone.
        let events = fs::File::open(directory.join("cgroup.events"))?.into();
        self.unified = Some(Unified { directory, events });
        Ok(())
    }

    /// Finds out where the number of tasks can be limited, and limits it to `most`.
    ///
    /// # Errors
    ///
    /// If there is no `pids` controller that this user may use.
    pub(super) fn limit_processes(&mut self, most: u64) -> io::Result<()> {
        let directory = match &self.processes {
            Some(directory) => directory.clone(),
            None => self.controlled("pids")?.0,
        };
        write_file(directory.join("pids.max"), &most.to_string())?;
        self.processes = Some(directory);
        Ok(())
    }

    /// Limits the memory of all processes together, swapped out or not.
    ///
    /// # Errors
    ///
    /// If there is no `memory` controller that this user may use.
    pub(super) fn limit_memory(&mut self, bytes: u64) -> io::Result<()> {
        let (directory, is_unified) = self.controlled("memory")?;
        let write = |name: &str, text: &str| write_file(directory.join(name), text);
        let bytes = bytes.to_string();
        let counter = if is_unified {
            write("memory.max", &bytes)?;
            // Absent without swap. Killing one process of a run leaves a run nobody asked for.
            let _ = write("memory.swap.max", "0");
            write("memory.oom.group", "1")?;
            "memory.events"
        } else {
            write("memory.limit_in_bytes", &bytes)?;
            // Absent if the kernel does not count swap. Has to follow the other one.
            let _ = write("memory.memsw.limit_in_bytes", &bytes);
            "memory.oom_control"
        };
        self.memory = Some(Memory {
            counter: directory.join(counter),
        });
        Ok(())
    }

    /// Moves `pid` in. Its children will be in as well.
    pub(super) fn add(&self, pid: i32) -> io::Result<()> {
        self.made
            .iter()
            .try_for_each(|made| write_file(made.join("cgroup.procs"), &pid.to_string()))
    }

    /// Moves the calling process in.
    pub(super) fn add_self(&self) -> io::Result<()> {
        self.made
            .iter()
            .try_for_each(|made| write_file(made.join("cgroup.procs"), "0"))
    }

    /// Whether the number of processes is limited here.
    pub(super) fn limits_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Whether none was made at all.
    pub(super) fn is_none(&self) -> bool {
        self.made.is_empty()
    }

    /// Whether there is one in the unified hierarchy.
    pub(super) fn is_unified(&self) -> bool {
        self.unified.is_some()
    }

    /// The one in the unified hierarchy.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.unified
            .as_ref()
            .map(|unified| unified.directory.as_path())
    }

    /// Reports a change of [`is_empty`](Cgroups::is_empty) by `POLLPRI`.
    pub(super) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|unified| unified.events.as_fd())
    }

    /// Whether the unified one holds no process, neither running nor dying.
    pub(super) fn is_empty(&self) -> bool {
        self.event("populated 0")
    }

    fn event(&self, wanted: &str) -> bool {
        let Some(unified) = &self.unified else {
            return false;
        };
        // Through the open file: reading it from the start is what arms the next `POLLPRI`.
        let mut text = [0; 256];
        let count = rustix::io::pread(&unified.events, &mut text, 0).unwrap_or_default();
        String::from_utf8_lossy(text.get(..count).unwrap_or_default())
            .lines()
            .any(|line| line == wanted)
    }

    /// The processes of the unified one, as far as they can be seen from here.
    pub(super) fn processes(&self) -> Vec<i32> {
        self.directory().map(processes_of).unwrap_or_default()
    }

    /// Kills everything in the unified one. Has to be repeated until it is empty: a process whose
    /// main thread has exited is missed by `cgroup.kill`, and is listed as one to kill here.
    pub(super) fn kill(&self) {
        if let Some(directory) = self.directory() {
            kill(directory);
        }
    }

    /// Stops everything in the unified one where it is, for `time` at most. Returns true if it is stopped.
    pub(super) fn freeze(&self, time: Duration) -> bool {
        let Some(unified) = &self.unified else {
            return false;
        };
        let until = later(Instant::now(), time);
        if write_file(unified.directory.join("cgroup.freeze"), "1").is_err() {
            return false;
        }
        while !self.event("frozen 1") {
            if Instant::now() >= until {
                return false;
            }
            let events = PollFd::from_borrowed_fd(unified.events.as_fd(), PollFlags::PRI);
            poll::wait(&mut [events], Some(until));
        }
        true
    }

    /// Undoes [`freeze`](Cgroups::freeze).
    pub(super) fn thaw(&self) {
        if let Some(directory) = self.directory() {
            let _ = write_file(directory.join("cgroup.freeze"), "0");
        }
    }

    /// Processor time of everything that was ever in the unified one.
    pub(super) fn cpu(&self) -> Option<Duration> {
        let text = fs::read_to_string(self.directory()?.join("cpu.stat")).ok()?;
        counter(&text, "usage_usec").map(Duration::from_micros)
    }

    /// Whether the kernel has killed something because the limit of memory was reached.
    pub(super) fn is_out_of_memory(&self) -> bool {
        let Some(memory) = &self.memory else {
            return false;
        };
        let text = fs::read_to_string(&memory.counter).unwrap_or_default();
        counter(&text, "oom_kill").is_some_and(|kills| kills > 0)
    }

    /// Most tasks at one time, where the kernel counts them (Linux 6.1); the supervisor's too.
    pub(super) fn peak(&self) -> Option<u32> {
        let text = fs::read_to_string(self.processes.as_ref()?.join("pids.peak")).ok()?;
        text.trim().parse().ok()
    }

    /// Removes all directories. One that is still in use stays.
    pub(super) fn remove(&mut self) {
        for made in std::mem::take(&mut self.made) {
            let _ = fs::remove_dir(made);
        }
        self.unified = None;
    }

    /// A directory of the run's own where `controller` is in force, and whether it is version 2.
    fn controlled(&mut self, controller: &'static str) -> io::Result<(PathBuf, bool)> {
        if let Ok(own) = own_directory(&Hierarchy::Controller(controller)) {
            return Ok((self.make_below(&own)?, false));
        }
        let file = |directory: &Path| directory.join(format!("{controller}.max"));
        if let Some(directory) = self.directory()
            && file(directory).exists()
        {
            return Ok((directory.to_owned(), true));
        }
        if self.unified.is_some() {
            return Err(io::Error::other(format!(
                "the {controller} controller is not delegated"
            )));
        }
        // A cgroup with processes cannot pass controllers on, unless it is the root. The parent
        // may do so already, and where this user owns it, a sibling is as good as a child.
        let own = own_directory(&Hierarchy::Unified)?;
        let mut refused = io::Error::other(format!("the {controller} controller is not delegated"));
        for parent in [Some(own.as_path()), own.parent()].into_iter().flatten() {
            match self.make_below(parent) {
                Ok(directory) if file(&directory).exists() => {
                    let events = fs::File::open(directory.join("cgroup.events"))?.into();
                    self.unified = Some(Unified {
                        directory: directory.clone(),
                        events,
                    });
                    return Ok((directory, true));
                }
                Ok(directory) => {
                    let _ = fs::remove_dir(&directory);
                    self.made.retain(|made| *made != directory);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Makes a directory below `parent`, and removes what helpers that were killed left there.
    fn make_below(&mut self, parent: &Path) -> io::Result<PathBuf> {
        remove_stale(parent);
        let directory = parent.join(format!("{PREFIX}{}", std::process::id()));
        if !self.made.contains(&directory) {
            match fs::create_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Left by another process with our pid. In use, it cannot be removed.
                    fs::remove_dir(&directory)?;
                    fs::create_dir(&directory)?;
                }
                made => made?,
            }
            self.made.push(directory.clone());
        }
        Ok(directory)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Kills everything in `directory`: what the host does if its helper died.
pub(super) fn kill(directory: &Path) {
    let _ = write_file(directory.join("cgroup.kill"), "1");
    for pid in processes_of(directory) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Why `limit` cannot be enforced, in words.
pub(super) fn refusal(limit: Limit, error: &io::Error) -> String {
    match limit {
        Limit::Processes => format!(
            "no pids controller ({error}), and RLIMIT_NPROC needs an unprivileged user in a user \
             namespace of the run's own"
        ),
        Limit::Memory => format!("no memory controller ({error})"),
    }
}

enum Hierarchy {
    Unified,
    Controller(&'static str),
}

const PREFIX: &str = "lictor-";

fn processes_of(directory: &Path) -> Vec<i32> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process that cannot be seen from here.
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect()
}

/// The number behind `name` in lines of `name number`.
fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The directory of the cgroup that the calling process is in.
fn own_directory(hierarchy: &Hierarchy) -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let memberships = fs::read_to_string("/proc/self/cgroup")?;
    find_own_directory(hierarchy, &mounts, &memberships)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such cgroup hierarchy"))
}

fn find_own_directory(hierarchy: &Hierarchy, mounts: &str, memberships: &str) -> Option<PathBuf> {
    let membership = memberships.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_it = match hierarchy {
            Hierarchy::Unified => number == "0" && controllers.is_empty(),
            Hierarchy::Controller(name) => controllers.split(',').any(|other| other == *name),
        };
        is_it.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let is_it = match hierarchy {
            Hierarchy::Unified => kind == "cgroup2",
            Hierarchy::Controller(name) => {
                kind == "cgroup" && options.split(',').any(|option| option == *name)
            }
        };
        let mut before = before.split(' ');
        let (root, point) = (before.nth(3)?, before.next()?);
        // A membership above the mounted part (`/../…`) is not reachable.
        let below = Path::new(membership).strip_prefix(root).ok()?;
        let is_plain = below
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        (is_it && is_plain).then(|| Path::new(point).join(below))
    })
}

/// Removes what helpers that no longer exist have left. One that is in use cannot be removed.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|pid| pid.parse::<i32>().ok());
        if let Some(pid) = pid
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
25 30 0:22 / /proc rw - proc proc rw
33 30 0:29 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:30 /docker/abc /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
40 30 0:35 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[track_caller]
    fn check(hierarchy: &Hierarchy, memberships: &str, expected: Option<&str>) {
        let found = find_own_directory(hierarchy, MOUNTS, memberships);
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn the_own_cgroup_is_found_below_its_mount() {
        let memberships = "8:pids:/a\n4:cpu,memory:/docker/abc/x\n0::/user.slice/me\n";
        check(
            &Hierarchy::Unified,
            memberships,
            Some("/sys/fs/cgroup/unified/user.slice/me"),
        );
        check(
            &Hierarchy::Controller("pids"),
            memberships,
            Some("/sys/fs/cgroup/pids/a"),
        );
        check(
            &Hierarchy::Controller("memory"),
            memberships,
            Some("/sys/fs/cgroup/memory/x"),
        );
        check(&Hierarchy::Controller("freezer"), memberships, None);
        check(&Hierarchy::Unified, "0::/../other\n", None);
        check(
            &Hierarchy::Controller("memory"),
            "4:memory:/elsewhere\n",
            None,
        );
    }
}
