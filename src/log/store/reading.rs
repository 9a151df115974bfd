//! A ledger's directory as its readers see it: opened, looked at, never changed.
//!
//! Files that are not what a ledger has are told apart from files that cannot be read: the first is a
//! finding, the second is an error.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{
    Identity, ReadAt, SideFile, check_file, file_oddity, identity, list_segments, most_bytes,
    read_full, read_side_file, refused, segment_name, segment_number, shelf,
};

/// More names than this say nothing more.
const MAX_STRANGERS: usize = 10;

/// A ledger that is only read: nothing is made, nothing is changed, nothing waits.
#[derive(Debug)]
pub(crate) struct Reading {
    root: OwnedFd,
    segments: Arc<OwnedFd>,
}

/// A segment that can be read.
#[derive(Debug)]
pub(in super::super) struct ReadSegment {
    pub(in super::super) file: SegmentFile,
    pub(in super::super) bytes: u64,
    /// Oddity of the file though it can be read.
    pub(in super::super) odd: Option<&'static str>,
    pub(in super::super) stamp: FileStamp,
}

/// A file as it looks from outside. Whoever writes to it changes the last two, and can set only one of them back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct FileStamp {
    bytes: u64,
    /// In decimal digits: it may be more than a JSON number holds.
    inode: String,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
    /// Seconds since 1970 when it was looked at.
    seen: i64,
}

impl FileStamp {
    fn of(file: &File) -> io::Result<FileStamp> {
        let found = file.metadata()?;
        Ok(FileStamp {
            bytes: found.len(),
            inode: found.ino().to_string(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            seen: Timestamp::now().as_second(),
        })
    }

    /// Returns true if a later change would have got another time: clocks of files tick slowly.
    pub(in super::super) fn is_settled(&self) -> bool {
        self.seen.saturating_sub(self.changed.0) > 1
    }

    /// Returns true if nobody has written to the file since it looked like `earlier`.
    pub(in super::super) fn is_as(&self, earlier: &FileStamp) -> bool {
        earlier.is_settled()
            && (self.bytes, &self.inode, self.modified, self.changed)
                == (
                    earlier.bytes,
                    &earlier.inode,
                    earlier.modified,
                    earlier.changed,
                )
    }
}

/// One file, opened each time that something of it is read: a ledger that has crashed a thousand times has
/// more segments than a process may have open files. That it is the same file each time is checked.
#[derive(Clone, Debug)]
pub(in super::super) struct SegmentFile {
    segments: Arc<OwnedFd>,
    name: String,
    identity: Identity,
}

impl ReadAt for SegmentFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.segments, &self.name, flags, Mode::empty())?;
        let file = File::from(file);
        if identity(&rustix::fs::fstat(&file)?) != self.identity {
            return Err(refused(&self.name, "is another file than before"));
        }
        read_full(&file, offset, buffer)
    }
}

impl Reading {
    /// `None` if there is no such directory, or no `segments` in it.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Reading>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match rustix::fs::openat(&root, "segments", flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(segments) => Ok(Some(Reading {
                root,
                segments: Arc::new(segments),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "`segments` is not a directory of the ledger's own",
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs `look` while no writer is between two bytes, if the lock can be had at all.
    pub(in super::super) fn quietly<T>(&self, look: impl FnOnce() -> T) -> T {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let lock = rustix::fs::openat(&self.root, "lock", flags, Mode::empty()).map(File::from);
        let until = Instant::now().checked_add(super::super::LOCK_WAIT);
        if let Ok(lock) = &lock {
            while matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
                && until.is_some_and(|until| Instant::now() < until)
            {
                std::thread::park_timeout(Duration::from_micros(100));
            }
        }
        look()
    }

    pub(in super::super) fn segments(&self) -> io::Result<Vec<u64>> {
        list_segments(&self.segments)
    }

    /// The segment, or why it is none.
    pub(in super::super) fn segment(
        &self,
        segment: u64,
    ) -> io::Result<Result<ReadSegment, &'static str>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file =
            match rustix::fs::openat(&self.segments, segment_name(segment), flags, Mode::empty()) {
                Ok(file) => File::from(file),
                Err(Errno::NOENT) => return Ok(Err("is missing")),
                Err(Errno::LOOP) => return Ok(Err("is a symbolic link")),
                Err(Errno::NXIO) => return Ok(Err("is not a regular file")),
                Err(error) => return Err(error.into()),
            };
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Err("is not a regular file"));
        }
        let stamp = FileStamp::of(&file)?;
        let odd = file_oddity(&stat, 0o640);
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        let file = SegmentFile {
            segments: Arc::clone(&self.segments),
            name: segment_name(segment),
            identity: identity(&stat),
        };
        Ok(Ok(ReadSegment {
            file,
            bytes,
            odd,
            stamp,
        }))
    }

    pub(in super::super) fn read(&self, file: SideFile) -> io::Result<Option<Vec<u8>>> {
        read_side_file(&self.root, file)
    }

    /// The content of a side file, or why it is none. Wide modes are no reason: copies of ledgers have them.
    pub(in super::super) fn look_at(
        &self,
        file: SideFile,
    ) -> io::Result<Option<Result<Vec<u8>, &'static str>>> {
        use std::io::Read;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = match rustix::fs::openat(&self.root, file.name(), flags, Mode::empty()) {
            Ok(opened) => File::from(opened),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Ok(Some(Err("is a symbolic link"))),
            // A socket cannot be opened at all.
            Err(Errno::NXIO) => return Ok(Some(Err("is not a regular file"))),
            Err(error) => return Err(error.into()),
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode);
        if kind != FileType::RegularFile {
            return Ok(Some(Err("is not a regular file")));
        }
        let mut bytes = Vec::new();
        opened.take(most_bytes(file)).read_to_end(&mut bytes)?;
        Ok(Some(Ok(bytes)))
    }

    /// A kept output, if it is there.
    pub(crate) fn blob(&self, sha256: &str) -> io::Result<Option<Vec<u8>>> {
        use std::io::Read;
        let name = format!("blobs/{}/{sha256}", shelf(sha256));
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.root, &name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        check_file(&rustix::fs::fstat(&file)?, &name, 0o644)?;
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The first few names in `segments` that are no segment's, escaped, in order.
    pub(in super::super) fn strangers(&self) -> io::Result<Vec<String>> {
        let mut names = BTreeSet::new();
        for entry in Dir::read_from(&*self.segments)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if segment_number(&name).is_none() && !matches!(&*name, b"." | b"..") {
                names.insert(String::from_utf8_lossy(&name).escape_debug().to_string());
                if names.len() > MAX_STRANGERS {
                    names.pop_last();
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Returns true if a side file is there, readable or not.
    pub(in super::super) fn has(&self, file: SideFile) -> bool {
        rustix::fs::statat(&self.root, file.name(), AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}
