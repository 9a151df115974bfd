//! Looking a path up below an opened directory: the promises that each way of doing it makes, and what
//! comes out.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, StatxFlags};
use rustix::io::Errno;

use crate::path::{
    Backslash, Braces, CanonicalPath, Colon, Denial, Dot, Edges, Expansion, Nfc, Percent,
    ShortNames, Switches, Unicode, WindowsNames,
};
use crate::policy::model::DiskRules;
use crate::reason::Reason;

/// A way of looking paths up below a directory.
///
/// An implementation promises:
///
/// 1. What it opens lies below the root, or is the root, at the moment it is opened. No component of
///    the path and no link leads out and back in again.
/// 2. Without `symlinks_within` no link is followed, the last component included.
/// 3. Without `cross_mounts` nothing on another mount is opened, bind mounts included.
/// 4. Links that the kernel makes up (`/proc/self/fd/3`) are never followed.
/// 5. Nothing is opened for reading or writing: the descriptor names a file and can do no more.
/// 6. A tree that changes while it looks is looked at again a bounded number of times, then refused.
/// 7. The same tree gives the same answer as from any other implementation, the reason code included.
pub trait Resolver: std::fmt::Debug + Send + Sync {
    /// Opens what `path` names below `root`.
    ///
    /// # Errors
    ///
    /// The reason code with which a request for the path is denied.
    fn look_up(
        &self,
        root: Root<'_>,
        path: &CanonicalPath,
        rules: DiskRules,
    ) -> Result<Found, Reason>;
}

/// The directory that nothing leads out of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Root<'a> {
    /// It, opened.
    pub fd: BorrowedFd<'a>,
    /// Its path when it was opened.
    pub path: &'a Path,
}

/// Result of a [`Resolver`].
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever finds something makes one"
)]
pub struct Found {
    /// Opened by name only (`O_PATH`).
    pub fd: OwnedFd,
    /// Where it really is, relative to the root and empty for the root itself. None if no link was
    /// followed.
    pub real: Option<Vec<u8>>,
}

/// The file that a path of the workspace led to.
#[derive(Debug)]
pub struct Opened {
    pub(super) fd: OwnedFd,
    pub(super) kind: Kind,
    pub(super) identity: Identity,
    /// Where it really is, if links led elsewhere.
    pub(super) real: Option<CanonicalPath>,
}

impl Opened {
    /// Which file it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Kind of the file.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it really is, if links led elsewhere.
    #[must_use]
    pub fn real(&self) -> Option<&CanonicalPath> {
        self.real.as_ref()
    }

    /// A descriptor that names it and can do no more.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Kind of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File {
        /// Number of its names.
        links: u32,
    },
    /// A directory.
    Directory,
    /// Anything else: no request may name it.
    Other,
}

/// Which file it is, whatever it is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[non_exhaustive]
pub struct Identity {
    /// Device, major and minor number.
    pub device: (u32, u32),
    /// Inode.
    pub inode: u64,
    /// Mount, where the kernel tells it.
    pub mount: Option<u64>,
}

impl Identity {
    /// Returns true if it is the same file, on whichever mount it was met.
    pub(super) fn is_same_file(&self, other: &Identity) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The reason code of an error that looking a path up can give.
pub(super) fn reason(errno: Errno) -> Reason {
    match errno {
        Errno::LOOP => Reason::PathSymlinkDenied,
        Errno::XDEV => Reason::PathEscapeDenied,
        Errno::NOENT => Reason::PathNotFound,
        Errno::NOTDIR => Reason::PathNotDirectory,
        Errno::ACCESS => Reason::PathUnreadable,
        Errno::NAMETOOLONG => Reason::PathTooLong,
        _ => Reason::PathFsError,
    }
}

/// Result of `statx` for an opened file.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) identity: Identity,
    pub(super) file_type: FileType,
    pub(super) links: u32,
}

impl Status {
    pub(super) fn kind(&self) -> Kind {
        match self.file_type {
            FileType::RegularFile => Kind::File { links: self.links },
            FileType::Directory => Kind::Directory,
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Kind::Other,
        }
    }
}

pub(super) fn status(fd: impl AsFd) -> Result<Status, Errno> {
    let fd = fd.as_fd();
    let mut status = status_at(fd, "", AtFlags::EMPTY_PATH)?;
    if status.identity.mount.is_none() {
        status.identity.mount = mount_of(fd);
    }
    Ok(status)
}

/// Status of a name in a directory, without following it.
pub(super) fn status_at(
    directory: impl AsFd,
    name: impl rustix::path::Arg,
    flags: AtFlags,
) -> Result<Status, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let flags = flags | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(directory, name, flags, wanted)?;
    let knows_mount = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    Ok(Status {
        identity: Identity {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            mount: knows_mount.then_some(stat.stx_mnt_id),
        },
        file_type: FileType::from_raw_mode(u32::from(stat.stx_mode)),
        links: stat.stx_nlink,
    })
}

/// The mount of an opened file, from a kernel whose `statx` does not know it (before Linux 5.8).
fn mount_of(fd: BorrowedFd<'_>) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    line.trim().parse().ok()
}

/// Where the kernel says that a descriptor is.
pub(super) fn path_of(fd: impl AsFd) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let target = rustix::fs::readlink(link, Vec::new()).ok()?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()));
    path.is_absolute().then_some(path)
}

/// The canonical path of a name found in a directory.
pub(super) fn found_in(directory: &CanonicalPath, name: &[u8]) -> Result<CanonicalPath, Denial> {
    directory.join(&found(name)?)
}

/// The canonical path of a path that was found on disk and not asked for, relative to the workspace.
///
/// Names that are found are not tricks of a caller: only what a canonical path cannot hold is refused.
/// The rules are asked about them afterwards. A name in another normal form becomes the one that rules
/// are written in, so what is found is opened by its own name and never by this.
pub(super) fn found(path: &[u8]) -> Result<CanonicalPath, Denial> {
    if path.is_empty() {
        return CanonicalPath::parse(path, &found_names());
    }
    // How a text begins says whether it is an option, a home or a drive; a found name is none of
    // these, so it is read as a path in some directory.
    let text = [b"d/", path].concat();
    let inside = CanonicalPath::parse(&text, &found_names())?;
    let directory = CanonicalPath::parse(b"d", &found_names())?;
    Ok(inside.strip_prefix(&directory).unwrap_or(inside))
}

fn found_names() -> Switches {
    Switches {
        nfc: Nfc::Ignore,
        unicode: Unicode::Relaxed,
        percent: Percent::Literal,
        expansion: Expansion::Literal,
        colon: Colon::Allow,
        braces: Braces::Allow,
        edges: Edges::Allow,
        windows_names: WindowsNames::Allow,
        short_names: ShortNames::Allow,
        backslash: Backslash::Deny,
        protected: Vec::new(),
        dot: Dot::Deny,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_found_name_may_begin_like_an_option_or_a_drive() {
        for name in ["@types", "-rf", "~", "c:x", "$HOME", "%41"] {
            let path = found(name.as_bytes()).unwrap();
            assert_eq!(path.as_str(), name);
            let below = found_in(&CanonicalPath::workspace(), name.as_bytes()).unwrap();
            assert_eq!(below, path);
        }
    }

    #[test]
    fn a_found_name_that_no_path_can_hold_is_refused() {
        for name in [&b"a\nb"[..], b"a\\b", b"\xff", b"..", b"a/../b", b""] {
            assert!(found(name).is_err(), "{name:?}");
        }
    }
}
