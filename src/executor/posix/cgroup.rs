//! A cgroup of the run's own: kills, counts and limits.
//!
//! The unified hierarchy (version 2) can kill and tell that nothing is left. The controllers for
//! the limits may be there or, on older systems, in hierarchies of version 1; both are used.
//!
//! Two directories are made for a run, one within the other. The outer has the limits; the inner has the processes, and
//! is all that they see of the hierarchy, also where they mount it anew. So they cannot lift a limit.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Access, Mode, OFlags};

use super::mountinfo::{self, Mounted};
use super::mounts::unprotected;
use super::poll;
use super::stop::later;
use super::wire::{Limit, write_file};
use crate::evidence::Event;

/// Directories that were made for a run, and are removed when it is over.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    /// In the unified hierarchy.
    unified: Option<Unified>,
    /// Where the number of processes is limited, and with which files.
    processes: Option<PathBuf>,
    memory: Option<Memory>,
    /// The outer directories that the run's processes are to be in.
    made: Vec<PathBuf>,
    /// Those that turned out not to do.
    spare: Vec<PathBuf>,
    /// The supervisor's cgroups that the run can reach, because no directory could be made.
    in_reach: Vec<Event>,
}

#[derive(Debug)]
struct Unified {
    directory: PathBuf,
    /// `cgroup.events`: the kernel reports a change by `POLLPRI`.
    events: OwnedFd,
}

#[derive(Debug)]
struct Memory {
    directory: PathBuf,
    /// The file that counts kills for want of memory.
    counter: &'static str,
    /// The file that has the most that was used at one time, from Linux 5.19 on.
    peak: &'static str,
}

impl Cgroups {
    /// Makes cgroups that keep a run apart from this process: one in the unified hierarchy, and one in each of the
    /// others where this process is not at the top, which nobody can freeze or limit. Where this user may make none,
    /// the run, which is this user's, can change none.
    pub(super) fn apart() -> Cgroups {
        let mut cgroups = Cgroups::default();
        let Ok(hierarchies) = Hierarchies::read() else {
            return cgroups;
        };
        if let Some(own) = hierarchies.own(None)
            && let Err(error) = cgroups.make_unified_below(&own)
        {
            cgroups.refused(&own, &error);
        }
        for controller in hierarchies.controllers() {
            if let Some(own) = hierarchies.own(Some(controller))
                && !own.join("release_agent").exists()
                && let Err(error) = cgroups.make_below(&own)
            {
                cgroups.refused(&own, &error);
            }
        }
        cgroups
    }

    /// Remembers that none could be made below `own`, if that means that the run can change `own`.
    fn refused(&mut self, own: &Path, error: &io::Error) {
        let can_write = rustix::fs::access(own.join("cgroup.procs"), Access::WRITE_OK).is_ok();
        if can_write || error.kind() == io::ErrorKind::ReadOnlyFilesystem {
            self.in_reach.push(not_apart(own, error));
        }
    }

    /// The supervisor's cgroups that are in reach of the run.
    pub(super) fn not_protected(&self) -> &[Event] {
        &self.in_reach
    }

    /// Makes a cgroup in the unified hierarchy.
    ///
    /// # Errors
    ///
    /// If there is none, or this user may not make one.
    pub(super) fn make_unified(&mut self) -> io::Result<()> {
        if self.unified.is_some() {
            return Ok(());
        }
        self.make_unified_below(&Hierarchies::read()?.own_or_not_found(None)?)
    }

    fn make_unified_below(&mut self, parent: &Path) -> io::Result<()> {
        let directory = self.make_below(parent)?;
        // Without `cgroup.kill` (Linux 5.14) the loop over `cgroup.procs` does it alone.
        let events = match fs::File::open(directory.join("cgroup.events")) {
            Ok(events) => events.into(),
            // The parent is the top, and what is above it is no cgroup.
            Err(error) => {
                self.made.retain(|made| *made != directory);
                remove(&directory);
                return Err(error);
            }
        };
        // Whatever is made below it has to be removed one by one.
        let _ = write_file(directory.join("cgroup.max.descendants"), MOST_BELOW);
        if let Some(other) = self.unified.replace(Unified { directory, events }) {
            self.made.retain(|made| *made != other.directory);
            self.spare.push(other.directory);
        }
        Ok(())
    }

    /// The inner directory of the unified one, for a process to be born in.
    pub(super) fn cradle(&self) -> Option<(PathBuf, OwnedFd)> {
        let inner = self.directory()?.join(INNER);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::open(&inner, flags, Mode::empty()).ok()?;
        Some((inner, open))
    }

    /// The directories that a process of the run has to [join], and if it may not run elsewhere: because of a limit.
    pub(super) fn to_join(&self) -> impl Iterator<Item = (PathBuf, bool)> {
        self.made.iter().map(|made| {
            let limits = self.processes.as_ref() == Some(made)
                || self
                    .memory
                    .as_ref()
                    .is_some_and(|memory| memory.directory == *made);
            (made.join(INNER), limits)
        })
    }

    /// Gives up all that only kept the run apart from this process, but the unified one.
    pub(super) fn keep_what_is_needed(&mut self) {
        let needed: Vec<PathBuf> = self
            .to_join()
            .filter_map(|(inner, limits)| limits.then(|| inner.parent().map(Path::to_owned)))
            .flatten()
            .chain(self.directory().map(Path::to_owned))
            .collect();
        let (keep, spare) = std::mem::take(&mut self.made)
            .into_iter()
            .partition(|made| needed.contains(made));
        self.made = keep;
        self.spare.extend::<Vec<PathBuf>>(spare);
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

    /// As [`limit_processes`](Cgroups::limit_processes), if a directory that is there already can do so.
    pub(super) fn limit_processes_if_made(&mut self, most: u64) {
        let can = |made: &&PathBuf| write_file(made.join("pids.max"), &most.to_string()).is_ok();
        self.processes = self.made.iter().find(can).cloned();
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
        let (counter, peak) = if is_unified {
            write("memory.max", &bytes)?;
            // Absent without swap. Killing one process of a run leaves a run nobody asked for.
            let _ = write("memory.swap.max", "0");
            write("memory.oom.group", "1")?;
            ("memory.events", "memory.peak")
        } else {
            write("memory.limit_in_bytes", &bytes)?;
            // Absent if the kernel does not count swap. Has to follow the other one.
            let _ = write("memory.memsw.limit_in_bytes", &bytes);
            ("memory.oom_control", "memory.max_usage_in_bytes")
        };
        self.memory = Some(Memory {
            directory,
            counter,
            peak,
        });
        Ok(())
    }

    /// Moves the calling process in.
    pub(super) fn add_self(&self) -> io::Result<()> {
        self.to_join().try_for_each(|(inner, _)| join(&inner))
    }

    /// Returns true if the number of processes is limited here.
    pub(super) fn limits_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Returns true if none was made at all.
    pub(super) fn is_none(&self) -> bool {
        self.made.is_empty()
    }

    /// Returns true if there is one in the unified hierarchy.
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

    /// Returns true if the unified one holds no process, neither running nor dying.
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

    /// Returns true if the kernel has killed something because the limit of memory was reached.
    pub(super) fn is_out_of_memory(&self) -> bool {
        let Some(memory) = &self.memory else {
            return false;
        };
        // In a hierarchy of version 1 a kill is counted where the process was, and nowhere above.
        below(&memory.directory).iter().any(|directory| {
            let text = fs::read_to_string(directory.join(memory.counter)).unwrap_or_default();
            counter(&text, "oom_kill").is_some_and(|kills| kills > 0)
        })
    }

    /// Most tasks at one time, where the kernel counts them (Linux 6.1); the supervisor's too.
    pub(super) fn peak(&self) -> Option<u32> {
        let text = fs::read_to_string(self.processes.as_ref()?.join("pids.peak")).ok()?;
        text.trim().parse().ok()
    }

    /// Most memory at one time, where the kernel remembers it.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let memory = self.memory.as_ref()?;
        let text = fs::read_to_string(memory.directory.join(memory.peak)).ok()?;
        text.trim().parse().ok()
    }

    /// All directories, to be killed and removed by somebody else.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        self.made.iter().chain(&self.spare).cloned().collect()
    }

    /// Removes all directories. One that is still in use stays.
    pub(super) fn remove(&mut self) {
        for made in self.all() {
            remove(&made);
        }
        self.made.clear();
        self.spare.clear();
        self.unified = None;
    }

    /// A directory of the run's own where `controller` is in force, and whether it is version 2.
    fn controlled(&mut self, controller: &'static str) -> io::Result<(PathBuf, bool)> {
        let hierarchies = Hierarchies::read()?;
        if let Some(own) = hierarchies.own(Some(controller)) {
            return Ok((self.make_below(&own)?, false));
        }
        let file = |directory: &Path| directory.join(format!("{controller}.max"));
        let is_limited = self.processes.is_some() || self.memory.is_some();
        let mut refused = io::Error::other(format!("the {controller} controller is not delegated"));
        // A cgroup with processes cannot pass controllers on, unless it is the root. The parent
        // may do so already, and where this user owns it, a sibling is as good as a child.
        let own = hierarchies.own_or_not_found(None)?;
        for parent in [Some(own.as_path()), own.parent()].into_iter().flatten() {
            let there = self.directory().and_then(Path::parent) == Some(parent);
            // What has a limit already is the only place for another.
            if !there && is_limited && self.unified.is_some() {
                continue;
            }
            let made = if there {
                Ok(())
            } else {
                self.make_unified_below(parent)
            };
            match (made, self.directory()) {
                (Ok(()), Some(directory)) if file(directory).exists() => {
                    return Ok((directory.to_owned(), true));
                }
                (Ok(()), _) => {}
                (Err(error), _) => refused = error,
            }
        }
        Err(refused)
    }

    /// Makes both directories below `parent`, and removes what helpers that were killed left there. Returns the outer.
    fn make_below(&mut self, parent: &Path) -> io::Result<PathBuf> {
        let directory = parent.join(format!("{PREFIX}{}", std::process::id()));
        if self.made.contains(&directory) {
            return Ok(directory);
        }
        remove_stale(parent);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by another process with our pid. In use, it cannot be removed.
                remove(&directory);
                fs::create_dir(&directory)?;
            }
            made => made?,
        }
        self.made.push(directory.clone());
        let inner = directory.join(INNER);
        let made = fs::create_dir(&inner).and_then(|()| {
            // In a hierarchy of version 1 a cpuset takes nobody in before it has been given something.
            let files = match inner.join("tasks").exists() {
                true => ["cpuset.cpus", "cpuset.mems"].as_slice(),
                false => &[],
            };
            for name in files {
                if let Ok(has) = fs::read_to_string(parent.join(name)) {
                    write_file(directory.join(name), &has)?;
                    write_file(inner.join(name), &has)?;
                }
            }
            Ok(())
        });
        if let Err(error) = made {
            self.made.pop();
            remove(&directory);
            return Err(error);
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

/// Moves the calling process, which has one thread, into the cgroup `directory`.
pub(super) fn join(directory: &Path) -> io::Result<()> {
    // Where there is a file for single threads, it is the quicker way: nothing else has to wait for it.
    match write_file(directory.join("tasks"), "0") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_file(directory.join("cgroup.procs"), "0")
        }
        done => done,
    }
}

/// Removes `directory` and all that is below it. What is in use stays.
pub(super) fn remove(directory: &Path) {
    // From the leaves up: `rmdir` is all there is.
    for directory in below(directory).iter().rev() {
        let _ = fs::remove_dir(directory);
    }
}

/// The run can freeze, limit or end what is in `own`, which is where its supervisor is.
pub(super) fn not_apart(own: &Path, error: &io::Error) -> Event {
    let path = own.to_string_lossy();
    let what = format!("the supervisor's cgroup `{}`", path.escape_debug());
    unprotected(&what, &error.to_string())
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

const PREFIX: &str = "lictor-";

/// The directory within, which has the processes.
const INNER: &str = "run";

/// Longer than any run takes from making a cgroup to having a process in it.
const STALE: Duration = Duration::from_secs(60 * 60);

/// Most cgroups that a run may make, where that can be limited.
const MOST_BELOW: &str = "1000";

/// Most cgroups that are looked at below one: as many as a run can be expected to have made where it has no limit.
const MOST_LOOKED_AT: usize = 20_000;

/// `directory` and all below it, each before what is in it.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    let mut at = 0;
    while let Some(next) = found.get(at).filter(|_| found.len() < MOST_LOOKED_AT) {
        let entries = fs::read_dir(next).into_iter().flatten().flatten();
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let more: Vec<PathBuf> = entries
            .filter(is_directory)
            .map(|entry| entry.path())
            .collect();
        found.extend(more);
        at = at.saturating_add(1);
    }
    found
}

fn processes_of(directory: &Path) -> Vec<i32> {
    below(directory)
        .iter()
        .flat_map(|directory| {
            let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            // 0 stands for a process that cannot be seen from here.
            text.lines()
                .filter_map(|line| line.parse().ok())
                .filter(|pid| *pid > 0)
                .collect::<Vec<i32>>()
        })
        .collect()
}

/// The number behind `name` in lines of `name number`.
fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The hierarchies that are mounted, and where in them the calling process is.
struct Hierarchies {
    mounts: Vec<Mounted>,
    memberships: String,
}

impl Hierarchies {
    fn read() -> io::Result<Hierarchies> {
        let mut mounts = mountinfo::read()?;
        mounts.retain(|mounted| mounted.kind.starts_with("cgroup"));
        Ok(Hierarchies {
            mounts,
            memberships: fs::read_to_string("/proc/self/cgroup")?,
        })
    }

    /// One controller of each hierarchy of version 1.
    fn controllers(&self) -> impl Iterator<Item = &str> {
        self.memberships.lines().filter_map(|line| {
            let controllers = line.split(':').nth(1)?;
            controllers
                .split(',')
                .next()
                .filter(|first| !first.is_empty())
        })
    }

    /// The directory of the cgroup that the calling process is in: in the hierarchy of a controller, or in the unified
    /// one.
    fn own(&self, controller: Option<&str>) -> Option<PathBuf> {
        let has = |names: &str, name: &str| names.split(',').any(|other| other == name);
        let membership = self.memberships.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let is_it = match controller {
                None => number == "0" && controllers.is_empty(),
                Some(name) => has(controllers, name),
            };
            is_it.then_some(path)
        })?;
        self.mounts
            .iter()
            .filter(|mounted| match controller {
                None => mounted.kind == "cgroup2",
                Some(name) => mounted.kind == "cgroup" && has(&mounted.options, name),
            })
            .find_map(|mounted| mounted.shows(Path::new(membership)))
    }

    fn own_or_not_found(&self, controller: Option<&str>) -> io::Result<PathBuf> {
        self.own(controller)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such cgroup hierarchy"))
    }
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
        // A number of another PID namespace says nothing here. Whatever is in use cannot be removed.
        let is_old = || {
            let made = entry.metadata().and_then(|metadata| metadata.modified());
            made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > STALE))
        };
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists() || is_old()) {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
25 30 0:22 / /proc rw - proc proc rw
33 30 0:29 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:30 /docker/abc /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
40 30 0:35 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[track_caller]
    fn check(controller: Option<&str>, memberships: &str, expected: Option<&str>) {
        let hierarchies = Hierarchies {
            mounts: mountinfo::parse(MOUNTS),
            memberships: memberships.to_owned(),
        };
        assert_eq!(hierarchies.own(controller), expected.map(PathBuf::from));
    }

    #[test]
    fn the_own_cgroup_is_found_below_its_mount() {
        let memberships = "8:pids:/a\n4:cpu,memory:/docker/abc/x\n0::/user.slice/me\n";
        check(
            None,
            memberships,
            Some("/sys/fs/cgroup/unified/user.slice/me"),
        );
        check(Some("pids"), memberships, Some("/sys/fs/cgroup/pids/a"));
        check(Some("memory"), memberships, Some("/sys/fs/cgroup/memory/x"));
        check(Some("freezer"), memberships, None);
        check(None, "0::/../other\n", None);
        check(Some("memory"), "4:memory:/elsewhere\n", None);
    }

    #[test]
    fn what_is_left_of_a_helper_that_is_gone_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        // A process with the number 1 there is always, if another one.
        let own = format!("{PREFIX}{}", std::process::id());
        for name in [
            own.as_str(),
            "lictor-1",
            "lictor-0",
            "lictor-2147483647",
            "other",
        ] {
            fs::create_dir_all(parent.path().join(name).join(INNER)).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - STALE - STALE;
        let old = fs::File::open(parent.path().join("lictor-1")).unwrap();
        old.set_modified(long_ago).unwrap();
        remove_stale(parent.path());
        let left = fs::read_dir(parent.path()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [own.as_str(), "other"]);
    }
}
