//! Looking a path up with `openat2`, which refuses to leave a directory. Linux 5.6 or later.
//!
//! One system call looks the whole path up, so there is no moment between a check and its use within
//! it.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::resolver::{Found, Resolver, Root, path_of, reason};
use crate::path::CanonicalPath;
use crate::policy::model::DiskRules;
use crate::reason::Reason;

/// Maximum number of tries of a look-up while the tree changes under it.
pub(super) const MAX_TRIES: u32 = 16;

/// Looks paths up with one `openat2` each.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to hold")]
pub struct Openat2;

impl Openat2 {
    /// Returns true if the kernel has it and lets this process use it.
    #[must_use]
    pub fn is_available() -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let tried = openat2(rustix::fs::CWD, "/", flags, ResolveFlags::empty());
        // A filter that does not know the call answers with EPERM, an older kernel with ENOSYS.
        !matches!(tried, Err(Errno::NOSYS | Errno::PERM))
    }
}

impl Resolver for Openat2 {
    fn look_up(
        &self,
        root: Root<'_>,
        path: &CanonicalPath,
        rules: DiskRules,
    ) -> Result<Found, Reason> {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if !rules.symlinks_within {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        if !rules.cross_mounts {
            resolve |= ResolveFlags::NO_XDEV;
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let fd = openat2(root.fd, path.as_str(), flags, resolve).map_err(reason)?;
        let real = match rules.symlinks_within {
            true => Some(real_path(&fd, root).ok_or(Reason::PathEscapeDenied)?),
            false => None,
        };
        Ok(Found { fd, real })
    }
}

/// `openat2`, tried again while the kernel says that the tree changes under it.
pub(super) fn openat2(
    directory: impl AsFd,
    path: impl rustix::path::Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let mut last = Errno::AGAIN;
    for _ in 0..MAX_TRIES {
        match rustix::fs::openat2(&directory, path, flags, Mode::empty(), resolve) {
            Err(errno @ (Errno::AGAIN | Errno::INTR)) => last = errno,
            other => return other,
        }
    }
    Err(last)
}

fn real_path(fd: &OwnedFd, root: Root<'_>) -> Option<Vec<u8>> {
    let real = path_of(fd)?;
    let below = real.strip_prefix(root.path).ok()?;
    Some(below.as_os_str().as_bytes().to_vec())
}
