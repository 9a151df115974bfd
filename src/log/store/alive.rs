//! Marks by which other processes see that this one is alive: a lock on one byte of the file `alive`.
//!
//! The kernel gives the lock back when the process ends, however it ends. No namespace and no clock has a part in
//! it. The byte is chosen at random, so nobody keeps count, and the file stays empty. A file that was exchanged has
//! another inode for as long as somebody holds a lock on the old one; then a mark says nothing.

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::check_file;

/// The file's name in the ledger's directory.
const ALIVE: &str = "alive";

/// Which lock a process holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// The inode of the file, in decimal digits: it may be more than a JSON number holds.
    pub inode: String,
    /// Which byte of it.
    pub byte: u64,
}

/// A mark that this process holds until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) mark: Mark,
    _file: File,
}

impl Held {
    /// A new mark; `None` where none can be had.
    pub(super) fn take(root: &OwnedFd) -> Option<Held> {
        let (file, inode) = open(root, OFlags::CREATE)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).ok()?;
        // An offset is signed, and a JSON number has 53 bits.
        let byte = u64::from_le_bytes(random) >> 11;
        locks::take(&file, byte)?;
        let mark = Mark { inode, byte };
        Some(Held { mark, _file: file })
    }
}

/// Returns true if somebody holds `mark`, false if nobody does; `None` if that is not known.
pub(super) fn is_held(root: &OwnedFd, mark: &Mark) -> Option<bool> {
    let (file, inode) = open(root, OFlags::empty())?;
    if inode != mark.inode {
        return None;
    }
    locks::is_taken(&file, mark.byte)
}

fn open(root: &OwnedFd, also: OFlags) -> Option<(File, String)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | also;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = File::from(rustix::fs::openat(root, ALIVE, flags, mode).ok()?);
    let stat = rustix::fs::fstat(&file).ok()?;
    check_file(&stat, ALIVE, 0o640).ok()?;
    Some((file, stat.st_ino.to_string()))
}

/// Locks that belong to an open file, so that no other descriptor of this process gives them back.
#[cfg(target_os = "linux")]
mod locks {
    use std::fs::File;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    pub(super) fn take(file: &File, byte: u64) -> Option<()> {
        fcntl(file, FcntlArg::F_OFD_SETLK(&one(byte)?)).ok()?;
        Some(())
    }

    pub(super) fn is_taken(file: &File, byte: u64) -> Option<bool> {
        let mut found = one(byte)?;
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).ok()?;
        Some(i32::from(found.l_type) != libc::F_UNLCK)
    }

    fn one(byte: u64) -> Option<libc::flock> {
        Some(libc::flock {
            l_type: i16::try_from(libc::F_WRLCK).ok()?,
            l_whence: i16::try_from(libc::SEEK_SET).ok()?,
            l_start: i64::try_from(byte).ok()?,
            l_len: 1,
            l_pid: 0,
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod locks {
    use std::fs::File;

    pub(super) fn take(_file: &File, _byte: u64) -> Option<()> {
        None
    }

    pub(super) fn is_taken(_file: &File, _byte: u64) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(dir: &std::path::Path) -> OwnedFd {
        rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn a_mark_is_held_until_it_is_dropped_and_says_nothing_of_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(dir.path());
        let (one, two) = (Held::take(&root).unwrap(), Held::take(&root).unwrap());
        assert_ne!(one.mark, two.mark);
        let mark = one.mark.clone();
        assert_eq!(is_held(&root, &mark), Some(true));
        drop(one);
        assert_eq!(is_held(&root, &mark), Some(false));
        assert_eq!(is_held(&root, &two.mark), Some(true));
        std::fs::remove_file(dir.path().join(ALIVE)).unwrap();
        assert_eq!(is_held(&root, &two.mark), None);
        // The old file's inode is not free while its lock is held.
        std::fs::write(dir.path().join(ALIVE), "").unwrap();
        assert_eq!(is_held(&root, &two.mark), None);
    }
}
