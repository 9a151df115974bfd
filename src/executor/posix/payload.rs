//! From `fork` to `exec`: how the command comes into being below the helper or its init.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::AssertUnwindSafe;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::fs::{Mode, OFlags};

use super::cgroup::Cgroups;
use super::sys::{self, Image};
use super::wire::Order;

/// Descriptors that come beside an order.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) cwd: OwnedFd,
    pub(super) stdio: [OwnedFd; 3],
}

impl TryFrom<Vec<OwnedFd>> for Descriptors {
    type Error = io::Error;

    fn try_from(fds: Vec<OwnedFd>) -> io::Result<Descriptors> {
        match <[OwnedFd; 4]>::try_from(fds) {
            Ok([cwd, stdin, stdout, stderr]) => Ok(Descriptors {
                cwd,
                stdio: [stdin, stdout, stderr],
            }),
            Err(_) => Err(io::Error::other("descriptors are missing")),
        }
    }
}

/// Settings that depend on the containment of the run.
#[derive(Debug, Default)]
pub(super) struct Setting<'a> {
    /// This process has a mount namespace of its own.
    pub(super) own_mounts: bool,
    /// Most processes of this user in this user namespace.
    pub(super) most_processes: Option<u64>,
    /// The command moves itself into these.
    pub(super) cgroups: Option<&'a Cgroups>,
    /// The command dies with this process.
    pub(super) dies_with_parent: bool,
}

/// Starts the command of `order`; returns when it runs.
///
/// # Errors
///
/// If it could not be started, saying at which step. No process is left of it then but one that
/// has to be reaped.
pub(super) fn start(
    order: &Order,
    descriptors: &Descriptors,
    setting: &Setting<'_>,
) -> io::Result<i32> {
    let image = Image::from_order(order)?;
    let cwd = if setting.own_mounts {
        Some(reopen(descriptors.cwd.as_fd()).map_err(|error| step("working directory", &error))?)
    } else {
        None
    };
    let cwd = cwd.as_ref().unwrap_or(&descriptors.cwd).as_fd();
    let mut failed = None;
    let pid = sys::vfork(&mut || {
        // A panic must not unwind into what called the other process.
        let error = std::panic::catch_unwind(AssertUnwindSafe(|| {
            become_command(&image, order, cwd, &descriptors.stdio, setting)
        }));
        failed = Some(error.unwrap_or_else(|_| io::Error::other("panicked")));
    })?;
    match failed {
        None => Ok(pid),
        Some(error) => Err(error),
    }
}

/// Turns this process into the command. Returns only what went wrong.
fn become_command(
    image: &Image,
    order: &Order,
    cwd: BorrowedFd<'_>,
    stdio: &[OwnedFd; 3],
    setting: &Setting<'_>,
) -> io::Error {
    let prepare = || -> io::Result<()> {
        if let Some(cgroups) = setting.cgroups {
            cgroups.add_self().map_err(|error| step("cgroup", &error))?;
        }
        rustix::process::setsid().map_err(|error| step("setsid", &error.into()))?;
        if setting.dies_with_parent {
            sys::die_with_parent()?;
        }
        rustix::process::fchdir(cwd).map_err(|error| step("working directory", &error.into()))?;
        sys::set_stdio(stdio)?;
        for (resource, value) in [
            (Resource::RLIMIT_NOFILE, order.open_files),
            (Resource::RLIMIT_FSIZE, order.file_size_bytes),
            (Resource::RLIMIT_NPROC, setting.most_processes),
        ] {
            if let Some(value) = value {
                limit(resource, value).map_err(|error| step("limits", &error))?;
            }
        }
        rustix::thread::set_no_new_privs(true)
            .map_err(|error| step("no_new_privs", &error.into()))?;
        sys::leave_abstract_sockets();
        sys::close_on_exec_from(3)?;
        sys::be_ordinary();
        sys::reset_signals(order.ignored)
    };
    match prepare() {
        Ok(()) => image.exec(),
        Err(error) => error,
    }
}

/// Lowers a limit. A stricter one that is in force stays.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let value = value.min(hard);
    Ok(setrlimit(resource, value, value)?)
}

/// Opens the directory in the mount namespace of this process.
///
/// A descriptor keeps the mounts of the namespace it was opened in: from there, `..` leads to what
/// was covered in this one.
fn reopen(cwd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let path = std::fs::read_link(format!("/proc/self/fd/{}", cwd.as_raw_fd()))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let reopened = rustix::fs::open(&path, flags, Mode::empty())?;
    let (wanted, found) = (rustix::fs::fstat(cwd)?, rustix::fs::fstat(&reopened)?);
    if (wanted.st_dev, wanted.st_ino) == (found.st_dev, found.st_ino) {
        Ok(reopened)
    } else {
        Err(io::Error::other("it was moved, removed or hidden"))
    }
}

fn step(what: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("{what}: {error}"))
}

/// Opens what stands for no input.
pub(super) fn null() -> io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}
