//! Waiting: for any of some descriptors, until a point in time.

#![forbid(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

/// Waits until one of `fds` has something, or until `until`. Returns early on a signal.
pub(super) fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) {
    let timeout = until
        .and_then(|until| Timespec::try_from(until.saturating_duration_since(Instant::now())).ok());
    // The only errors are EINTR, after which the caller looks again anyway, and those of arguments
    // that cannot be wrong.
    if rustix::event::poll(fds, timeout.as_ref()).is_err() {
        for fd in fds {
            fd.clear_revents();
        }
    }
}

/// Waits until one of `fds` can be written to, or `bell` can be read, or until `until`.
#[cfg(feature = "cli")]
pub(crate) fn wait_writable(fds: &[BorrowedFd<'_>], bell: Option<BorrowedFd<'_>>, until: Instant) {
    let mut fds: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::OUT))
        .collect();
    fds.extend(bell.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    wait(&mut fds, Some(until));
}

/// Returns true if something was written to a pipe or socket that was not read yet.
#[cfg(feature = "cli")]
pub(crate) fn has_input(fd: BorrowedFd<'_>) -> bool {
    rustix::io::ioctl_fionread(fd).is_ok_and(|bytes| bytes > 0)
}

/// Returns true if `fd` is readable or at its end now.
pub(super) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Waits until `fd` is readable or at its end, for `time` at most. Tells whether it is.
pub(super) fn wait_readable(fd: BorrowedFd<'_>, time: Duration) -> bool {
    let until = super::stop::later(Instant::now(), time);
    loop {
        if is_readable(fd) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        wait(
            &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
            Some(until),
        );
    }
}
