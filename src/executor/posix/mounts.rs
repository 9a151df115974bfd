//! The mounts of a run's own namespace: the machine as its command sees it.
//!
//! A `/proc` and a `/dev` of the run's own, no device file anywhere else, the kernel's file systems read-only, and
//! over what the policy hides or protects, under each of its names, a cover. What could not be done is an event.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};
use rustix::fs::{Mode, OFlags};

use super::mountinfo::{self, Mounted};
use super::wire::Scene;
use super::{ssh_config, sys};
use crate::evidence::Event;

/// The mounts of this namespace only.
pub(super) struct Mounts {
    /// Why this namespace's mounts would reach the machine's own, if they would.
    shared: Option<nix::Error>,
    /// There is a `/proc` of this namespace.
    pub(super) fresh_proc: bool,
    events: Vec<Event>,
}

const NOTHING: Option<&str> = None;

/// No programs of another user's, no devices, no programs at all.
const INERT: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

impl Mounts {
    /// Cuts this namespace's mounts off from all others, and mounts a `/proc` and a `/dev` of its own.
    /// `only`: the one user who has an id here, if there is no other.
    pub(super) fn new(only: Option<u32>) -> Mounts {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        let mut mounts = Mounts {
            shared: mount(NOTHING, "/", NOTHING, private, NOTHING).err(),
            fresh_proc: false,
            events: Vec::new(),
        };
        if let Some(error) = mounts.shared {
            mounts.not_protected(DEVICES, &format!("mounts: {error}"));
            mounts.not_protected(KERNEL, &format!("mounts: {error}"));
            return mounts;
        }
        mounts.fresh_proc = mount(Some("proc"), "/proc", Some("proc"), INERT, NOTHING).is_ok();
        if let Err(error) = private_dev() {
            mounts.not_protected(DEVICES, &error.to_string());
            return mounts;
        }
        if let Some(user) = only
            && let Err(error) = ssh_config::own_what_is_included(user)
        {
            let about = format!("ssh refuses what its configuration includes: {error}");
            mounts.events.push(Event::new("NOT_OWNED", about));
        }
        if let Err(error) = no_other_devices() {
            mounts.not_protected("device files outside of /dev", &error.to_string());
        }
        mounts
    }

    /// Makes what changes the whole machine read-only; covers what the command must not see, and protects what it
    /// must not change. Returns what did not work.
    pub(super) fn show(&mut self, scene: &Scene) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.events);
        let table = match self.shared {
            Some(_) => Vec::new(),
            None => mountinfo::read().unwrap_or_else(|error| {
                events.push(unprotected(KERNEL, &format!("no table of mounts: {error}")));
                Vec::new()
            }),
        };
        for mounted in &table {
            if let Err(error) = self.read_only(mounted) {
                events.push(not_protected(&mounted.point, &error.to_string()));
            }
        }
        if rustix::process::geteuid().is_root() && self.shared.is_none() {
            for name in OF_ROOT {
                let path = Path::new("/proc").join(name);
                if let Err(error) = protect(&path) {
                    events.push(not_protected(&path, &error.to_string()));
                }
            }
        }
        let hidden = scene.hidden.iter().map(|path| (path, "covering it", true));
        let read_only = scene
            .read_only
            .iter()
            .map(|path| (path, "making it read-only", false));
        for (path, doing, hides) in hidden.chain(read_only) {
            let path = PathBuf::from(path);
            if let Some(error) = self.shared {
                events.push(not_protected(&path, &format!("mounts: {error}")));
                continue;
            }
            events.extend(linked(&path));
            // Before it is covered, and with it what its other names are known by.
            let names = std::iter::once(path.clone()).chain(other_names(&table, &path));
            for name in names.collect::<Vec<_>>() {
                let done = if hides { hide(&name) } else { protect(&name) };
                if let Err(error) = done {
                    events.push(not_protected(&name, &format!("{doing}: {error}")));
                }
            }
        }
        events
    }

    /// Makes a file system of the kernel read-only.
    fn read_only(&self, mounted: &Mounted) -> nix::Result<()> {
        let own = self.fresh_proc && mounted.point == Path::new("/proc");
        // Between the hierarchies of cgroups lies a directory in memory.
        let of_the_kernel =
            KERNELS.contains(&mounted.kind.as_str()) || mounted.point.starts_with("/sys");
        // A `/proc` that is not our own is needed all the same: below it each process has files that it writes.
        let the_only = mounted.kind == "proc" && mounted.point == Path::new("/proc");
        if own || the_only || !of_the_kernel {
            return Ok(());
        }
        match remount(&mounted.point, mounted.flags | MsFlags::MS_RDONLY) {
            // It is below another mount: nobody can reach it.
            Err(nix::Error::EINVAL | nix::Error::ENOENT | nix::Error::ENOTDIR) => Ok(()),
            done => done,
        }
    }

    fn not_protected(&mut self, what: &str, because: &str) {
        self.events.push(unprotected(what, because));
    }
}

const DEVICES: &str = "terminals and devices";
const KERNEL: &str = "control groups and the kernel's settings";

/// Everything that only namespaces protect, and what the policy would hide or protect, where there is none.
pub(super) fn nothing_protected<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<Event> {
    const BECAUSE: &str = "no mount namespace";
    let mut events: Vec<Event> = paths.map(|path| not_protected(path, BECAUSE)).collect();
    events.push(unprotected(
        "lictor's processes, the terminal, devices, control groups and System V IPC",
        "no namespaces",
    ));
    events
}

/// The command can see or change `path`, though the policy would prevent it.
fn not_protected(path: &Path, because: &str) -> Event {
    let path = path.to_string_lossy();
    unprotected(&format!("`{}`", path.escape_debug()), because)
}

/// The command can reach `what`, though it should not.
pub(super) fn unprotected(what: &str, because: &str) -> Event {
    Event::new("NOT_PROTECTED", format!("{what}: {because}"))
}

/// The devices that every program may expect, and that reach nobody. `tty` is the controlling terminal, which is
/// one of the run's own `pts` or none.
const DEVICE_NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links that programs expect in `/dev`.
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// A `/dev` with [harmless devices](DEVICE_NODES), terminals and shared memory of the run's own. If it cannot be
/// made, all is as before.
fn private_dev() -> io::Result<()> {
    let step = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| io::Error::other(format!("/dev/{what}: {error}"))
    };
    let dev = Path::new("/dev");
    // Opened before they are covered.
    let mut nodes: Vec<(&str, OwnedFd)> = Vec::with_capacity(DEVICE_NODES.len());
    for name in DEVICE_NODES {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = rustix::fs::open(dev.join(name), flags, Mode::empty());
        nodes.push((name, node.map_err(|error| step(name)(error.into()))?));
    }
    mount(
        Some("dev"),
        dev,
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        Some("mode=755"),
    )
    .map_err(|error| step("")(error.into()))?;
    let fill = || -> io::Result<()> {
        for (name, node) in &nodes {
            let target = dev.join(name);
            File::create(&target).map_err(step(name))?;
            // Read-only, which does not keep a device from being written to, but its owner and mode from being changed.
            let source = format!("/proc/self/fd/{}", node.as_raw_fd());
            bind_read_only(Path::new(&source), &target)
                .map_err(|error| step(name)(error.into()))?;
        }
        for (name, target) in DEVICE_LINKS {
            symlink(target, dev.join(name)).map_err(step(name))?;
        }
        for (name, mode) in [("pts", 0o755), ("shm", 0o1777)] {
            fs::create_dir(dev.join(name)).map_err(step(name))?;
            // Whatever umask there is.
            fs::set_permissions(dev.join(name), fs::Permissions::from_mode(mode))?;
        }
        let (flags, options) = (
            MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
            "newinstance,ptmxmode=0666,mode=620",
        );
        mount(
            Some("devpts"),
            &dev.join("pts"),
            Some("devpts"),
            flags,
            Some(options),
        )
        .map_err(|error| step("pts")(error.into()))
    };
    fill().inspect_err(|_| {
        let _ = umount2(dev, MntFlags::MNT_DETACH);
    })
}

/// Takes from all device files but those in `/dev` that they are any: those in other directories, and those in
/// another `/dev` that is mounted somewhere.
fn no_other_devices() -> io::Result<()> {
    sys::set_devices(c"/", false)?;
    sys::set_devices(c"/dev", true)
}

/// File systems by which the machine is looked at and changed.
const KERNELS: [&str; 17] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "nfsd",
    "proc",
    "pstore",
    "resctrl",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// The parts of `/proc` by which only root can change the whole machine. Docker makes the same read-only or covers it.
///
/// The kernel lets nobody mount a whole `/proc` below who sees a part of one only. So this is done for root only:
/// others cannot change it anyway.
const OF_ROOT: [&str; 10] = [
    "acpi",
    "asound",
    "bus",
    "driver",
    "dynamic_debug",
    "fs",
    "irq",
    "scsi",
    "sys",
    "sysrq-trigger",
];

/// The other names by which `path` or a part of it can be reached, by the same file system mounted elsewhere.
fn other_names(table: &[Mounted], path: &Path) -> Vec<PathBuf> {
    let names = || -> Option<Vec<PathBuf>> {
        let path = path.canonicalize().ok()?;
        let at = fs::metadata(&path).ok()?;
        let held = mountinfo::holding(table, &path)?;
        let inside = held.root.join(path.strip_prefix(&held.point).ok()?);
        let same = |name: &PathBuf| {
            fs::metadata(name).is_ok_and(|other| (other.dev(), other.ino()) == (at.dev(), at.ino()))
        };
        Some(
            table
                .iter()
                .filter(|mounted| mounted.device == held.device)
                .filter_map(|mounted| match mounted.shows(&inside) {
                    Some(name) => Some(name).filter(same),
                    None => {
                        Some(mounted.point.clone()).filter(|_| mounted.root.starts_with(&inside))
                    }
                })
                .filter(|name| !name.starts_with(&path))
                .collect(),
        )
    };
    names().unwrap_or_default()
}

/// Files with several names: only this one can be covered.
fn linked(path: &Path) -> Vec<Event> {
    let many = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.nlink() > 1)
    };
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    std::iter::once(path.to_owned())
        .chain(below.map(|entry| entry.path()))
        .filter(|path| many(path))
        .map(|path| not_protected(&path, "it has another name, as a hard link"))
        .collect()
}

/// Something empty over `path`.
fn hide(path: &Path) -> nix::Result<()> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    if !metadata.is_dir() {
        return mount(Some("/dev/null"), path, NOTHING, MsFlags::MS_BIND, NOTHING);
    }
    let flags = INERT | MsFlags::MS_RDONLY;
    let options = Some("size=4k,nr_inodes=1,mode=000");
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, options)
}

/// `path` over itself, read-only.
fn protect(path: &Path) -> nix::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    bind_read_only(path, path)
}

pub(super) fn bind_read_only(source: &Path, target: &Path) -> nix::Result<()> {
    mount(Some(source), target, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    let has = statvfs(target)?.flags();
    let mut flags = MsFlags::MS_RDONLY;
    for (there, keep) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ] {
        if has.contains(there) {
            flags |= keep;
        }
    }
    remount(target, flags)
}

/// Gives the mount at `path` these flags. In a user namespace, those that it has must be given again or it is refused;
/// how it keeps times of access stays as it is.
fn remount(path: &Path, flags: MsFlags) -> nix::Result<()> {
    let flags = flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
    mount(NOTHING, path, NOTHING, flags, NOTHING)
}
