//! Where a ledger's bytes live: the [`Store`] trait, and the directory behind it.
//!
//! A store moves bytes and keeps promises about them; it knows nothing of entries, chains or keys. It is
//! a trait so that tests can fail each call in turn, and forget what was never made durable.
//!
//! ```text
//! <ledger>/lock   alive   segments/000000000000.jsonl …   checkpoint   state   key   blobs/ab/<sha256>
//! ```
//!
//! One of the places that name `rustix`: `O_NOFOLLOW`, directory descriptors, `statfs` and `fallocate`
//! are not in the standard library.

#![forbid(unsafe_code)]

mod alive;
mod lock;
mod reading;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use self::alive::Held;
use self::lock::LockState;

/// The files beside the segments. All but `key` and `signer` can be made again from the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SideFile {
    /// The last signed tree head.
    Checkpoint,
    /// Where the last writer stood.
    State,
    /// The signing key and the key for redaction.
    Key,
    /// Who holds keys elsewhere, written by a person.
    Signer,
    /// When a holder of the key did not sign, in seconds since 1970: others leave it alone for a while.
    Unanswered,
    /// Entries that a writer could not record; the next one records that.
    Gap,
    /// Space that is given back when the disk is full and a run ends.
    Ballast,
}

impl SideFile {
    /// Its name in the ledger's directory.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SideFile::Checkpoint => "checkpoint",
            SideFile::State => "state",
            SideFile::Key => "key",
            SideFile::Signer => "signer",
            SideFile::Unanswered => "unanswered",
            SideFile::Gap => "gap",
            SideFile::Ballast => "ballast",
        }
    }
}

/// Storage of one ledger, shared with other processes.
///
/// Segments are numbered from 0 without a hole. An implementation promises:
///
/// 1. Between `lock` and `unlock` nobody else changes anything.
/// 2. `append` writes at the end, in one go; what it returns is how many bytes arrived. Bytes are never
///    changed or taken away again.
/// 3. After `sync` returns, everything appended to that segment before the call survives a crash of the machine.
/// 4. After `create_segment` returns, the empty segment survives a crash.
/// 5. `install` is atomic: after a crash the file holds the old or the new bytes, entirely. `overwrite` is not.
/// 6. What `reserve` returned for can be appended within that range even when the disk is full.
pub trait Store: Send + Sync + fmt::Debug {
    /// Waits for the lock. Asks `moves` now and then whether others get on; if they do not for the time of
    /// `wait`, or at [`PATIENCE`] times that, it is [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// The lock could not be had.
    fn lock(&self, wait: Duration, moves: &mut dyn FnMut() -> bool) -> io::Result<()>;

    /// Gives the lock back.
    fn unlock(&self);

    /// The numbers of all segments, in order.
    ///
    /// # Errors
    /// The segments cannot be listed.
    fn segments(&self) -> io::Result<Vec<u64>>;

    /// Length of a segment in bytes; `None` if there is no such segment.
    ///
    /// # Errors
    /// The segment cannot be looked at, or is not what a segment has to be.
    fn segment_bytes(&self, segment: u64) -> io::Result<Option<u64>>;

    /// Reads at `offset`; returns fewer bytes than asked for only at the end.
    ///
    /// # Errors
    /// The segment cannot be read.
    fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes an empty segment.
    ///
    /// # Errors
    /// The segment exists or cannot be made.
    fn create_segment(&self, segment: u64) -> io::Result<()>;

    /// Appends; returns how many bytes arrived.
    ///
    /// # Errors
    /// Nothing arrived.
    fn append(&self, segment: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was appended durable. Called without the lock.
    ///
    /// # Errors
    /// It may not be durable, and asking again does not tell.
    fn sync(&self, segment: u64) -> io::Result<()>;

    /// Keeps space for `bytes` bytes from `offset` on, which may be beyond the end.
    ///
    /// # Errors
    /// There is not so much space ([`io::ErrorKind::StorageFull`]), or it cannot be kept here
    /// ([`io::ErrorKind::Unsupported`]).
    fn reserve(&self, segment: u64, offset: u64, bytes: u64) -> io::Result<()>;

    /// The content of a side file; `None` if there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is not what it has to be.
    fn read(&self, file: SideFile) -> io::Result<Option<Vec<u8>>>;

    /// Writes durably what is to become the content of a side file; [`Store::install`] takes the name returned.
    /// Needs no lock.
    ///
    /// # Errors
    /// There is nothing to install.
    fn stage(&self, file: SideFile, bytes: &[u8]) -> io::Result<String>;

    /// Puts what was staged in the place of a side file, durably.
    ///
    /// # Errors
    /// The file holds what it held, or it is not certain that the new content survives a crash.
    fn install(&self, staged: &str, file: SideFile) -> io::Result<()>;

    /// Gives up what was staged and is not wanted.
    ///
    /// # Errors
    /// It is still there.
    fn discard(&self, staged: &str) -> io::Result<()>;

    /// Overwrites a side file that can be made again, or makes it. A crash, or reading at the same time, may find
    /// any mixture of old and new bytes.
    ///
    /// # Errors
    /// The file may hold such a mixture.
    fn overwrite(&self, file: SideFile, bytes: &[u8]) -> io::Result<()>;

    /// Removes a side file, if it is there.
    ///
    /// # Errors
    /// The file is still there.
    fn remove(&self, file: SideFile) -> io::Result<()>;

    /// Keeps an output under its digest, in 64 lower-case hex digits. Needs no lock; one that is there stays.
    ///
    /// # Errors
    /// It is not kept; a store may keep none ([`io::ErrorKind::Unsupported`]).
    fn keep_blob(&self, sha256: &str, bytes: &[u8]) -> io::Result<()> {
        let _ = (sha256, bytes);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The mark by which others see that this process is alive, for as long as the store is open; `None` where none
    /// can be had. Needs no lock.
    fn mark(&self) -> Option<Mark> {
        None
    }

    /// Returns true if a process holds `mark`, false if none does; `None` where that is not known.
    fn is_marked(&self, mark: &Mark) -> Option<bool> {
        let _ = mark;
        None
    }
}

/// A ledger in a directory.
pub struct FileStore {
    path: PathBuf,
    root: OwnedFd,
    segments: OwnedFd,
    lock: Arc<LockState>,
    open: Mutex<Option<(u64, Arc<File>, Identity)>>,
    /// Locks on this filesystem count for everybody.
    is_local: bool,
    alive: OnceLock<Option<Held>>,
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Device and inode: which file it is, whatever it is called.
type Identity = (u64, u64);

impl FileStore {
    /// Opens the directory at `path`, making it (0700, with what is missing above it) if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made or opened, others may write into it, or it is on a filesystem where
    /// locks and durability are not what they seem (unless `allow_unsafe_filesystem`).
    pub fn open(path: &Path, allow_unsafe_filesystem: bool) -> io::Result<FileStore> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || rustix::fs::open(path, flags, Mode::empty());
        let root = match open() {
            Err(Errno::NOENT) => {
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(path)?;
                open()?
            }
            root => root?,
        };
        let filesystem = filesystem(&root)?;
        if !allow_unsafe_filesystem {
            check_filesystem(filesystem)?;
        }
        check_directory(&root)?;
        let segments = directory(&root, "segments")?;
        Ok(FileStore {
            path: path.to_owned(),
            root,
            segments,
            lock: Arc::default(),
            open: Mutex::new(None),
            is_local: unsafe_filesystem(filesystem).is_none(),
            alive: OnceLock::new(),
        })
    }

    /// The segment's open file. One is kept open: a writer works on the last one only.
    fn segment(&self, segment: u64) -> io::Result<Arc<File>> {
        let mut cached = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, file, _)) = &*cached
            && *number == segment
        {
            return Ok(Arc::clone(file));
        }
        let name = segment_name(segment);
        let flags =
            OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(
            &self.segments,
            &name,
            flags,
            Mode::empty(),
        )?);
        let identity = check_file(&rustix::fs::fstat(&file)?, &name, 0o640)?;
        let file = Arc::new(file);
        *cached = Some((segment, Arc::clone(&file), identity));
        Ok(file)
    }

    fn forget_segment(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Store for FileStore {
    fn lock(&self, wait: Duration, moves: &mut dyn FnMut() -> bool) -> io::Result<()> {
        self.wait_for_lock(wait, moves)
    }

    fn unlock(&self) {
        self.give_lock_back();
    }

    fn segments(&self) -> io::Result<Vec<u64>> {
        list_segments(&self.segments)
    }

    fn segment_bytes(&self, segment: u64) -> io::Result<Option<u64>> {
        let name = segment_name(segment);
        let stat = match rustix::fs::statat(&self.segments, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let identity = check_file(&stat, &name, 0o640)?;
        let cached = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, _, known)) = &*cached
            && *number == segment
            && *known != identity
        {
            return Err(refused(&name, "is another file than before"));
        }
        Ok(Some(u64::try_from(stat.st_size).unwrap_or(0)))
    }

    fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_full(&*self.segment(segment)?, offset, buffer)
    }

    fn create_segment(&self, segment: u64) -> io::Result<()> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::openat(&self.segments, segment_name(segment), flags, mode)?;
        self.forget_segment();
        Ok(rustix::fs::fsync(&self.segments)?)
    }

    fn append(&self, segment: u64, bytes: &[u8]) -> io::Result<usize> {
        let file = self.segment(segment)?;
        loop {
            match rustix::io::write(&file, bytes) {
                Err(Errno::INTR) => {}
                written => return Ok(written?),
            }
        }
    }

    fn sync(&self, segment: u64) -> io::Result<()> {
        self.segment(segment)?.sync_data()
    }

    fn reserve(&self, segment: u64, offset: u64, bytes: u64) -> io::Result<()> {
        let file = self.segment(segment)?;
        match rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, offset, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
            done => Ok(done?),
        }
    }

    fn read(&self, file: SideFile) -> io::Result<Option<Vec<u8>>> {
        read_side_file(&self.root, file)
    }

    fn stage(&self, file: SideFile, bytes: &[u8]) -> io::Result<String> {
        stage_in(&self.root, file.name(), bytes)
    }

    fn install(&self, staged: &str, file: SideFile) -> io::Result<()> {
        rustix::fs::renameat(&self.root, staged, &self.root, file.name())?;
        Ok(rustix::fs::fsync(&self.root)?)
    }

    fn discard(&self, staged: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.root, staged, AtFlags::empty())?)
    }

    fn overwrite(&self, file: SideFile, bytes: &[u8]) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        let opened = File::from(rustix::fs::openat(&self.root, file.name(), flags, mode)?);
        check_file(&rustix::fs::fstat(&opened)?, file.name(), 0o644)?;
        opened.write_all_at(bytes, 0)?;
        opened.set_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
    }

    fn remove(&self, file: SideFile) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.root, file.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn keep_blob(&self, sha256: &str, bytes: &[u8]) -> io::Result<()> {
        let blobs = directory(&self.root, "blobs")?;
        let directory = directory(&blobs, shelf(sha256))?;
        if rustix::fs::statat(&directory, sha256, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(());
        }
        let staged = stage_in(&directory, sha256, bytes)?;
        rustix::fs::renameat(&directory, &staged, &directory, sha256)?;
        Ok(rustix::fs::fsync(&directory)?)
    }

    fn mark(&self) -> Option<Mark> {
        let take = || Held::take(&self.root).filter(|_| self.is_local);
        let held = self.alive.get_or_init(take);
        held.as_ref().map(|held| held.mark.clone())
    }

    fn is_marked(&self, mark: &Mark) -> Option<bool> {
        let own = self.alive.get().and_then(Option::as_ref);
        if own.is_some_and(|held| held.mark == *mark) {
            return Some(true);
        }
        alive::is_held(&self.root, mark).filter(|_| self.is_local)
    }
}

/// The directory that an output is in: the first two digits of its digest.
fn shelf(sha256: &str) -> &str {
    sha256.get(..2).unwrap_or("00")
}

/// The directory `name` in `parent`, which is made if it is not there.
fn directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let open = || rustix::fs::openat(parent, name, flags, Mode::empty());
    let directory = match open() {
        Err(Errno::NOENT) => {
            match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
                Ok(()) => rustix::fs::fsync(parent)?,
                // Somebody was faster.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            open()?
        }
        directory => directory?,
    };
    check_directory(&directory)?;
    Ok(directory)
}

/// Writes a new file in `directory` that is to be called `name`, durably; returns what it is called now.
fn stage_in(directory: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<String> {
    static STAGED: AtomicU64 = AtomicU64::new(0);
    let number = STAGED.fetch_add(1, Ordering::Relaxed);
    let staged = format!("{name}.new-{}-{number}", std::process::id());
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR;
    let new = File::from(rustix::fs::openat(directory, &staged, flags, mode)?);
    let written = new.write_all_at(bytes, 0).and_then(|()| new.sync_data());
    match written {
        Ok(()) => Ok(staged),
        Err(error) => {
            // The error of the write is the one to tell.
            rustix::fs::unlinkat(directory, &staged, AtFlags::empty()).ok();
            Err(error)
        }
    }
}

/// The text of the file `signer` in the ledger's directory, whose owner `is_trusted` judges by path and number; `None` if there is none. It names programs that
/// are started, so it has to be this user's or root's, and nobody else may be able to write it.
///
/// # Errors
/// It cannot be read, or is not such a file.
pub fn signer_file(
    directory: &Path,
    is_trusted: &dyn Fn(&Path, u32) -> Result<(), String>,
) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(root) => root,
        // Whoever opens the ledger has more to say about that.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(bytes) = read_side_file(&root, SideFile::Signer)? else {
        return Ok(None);
    };
    let name = SideFile::Signer.name();
    let owner = rustix::fs::statat(&root, name, AtFlags::SYMLINK_NOFOLLOW)?.st_uid;
    if let Err(why) = is_trusted(&directory.join(name), owner) {
        return Err(io::Error::other(why));
    }
    let text = String::from_utf8(bytes);
    text.map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

pub use self::alive::Mark;
pub use self::lock::PATIENCE;
pub(crate) use self::reading::Reading;
pub(super) use self::reading::{FileStamp, ReadSegment, SegmentFile};

/// The file name of a segment, for example `000000000000.jsonl`.
#[must_use]
pub fn segment_name(segment: u64) -> String {
    format!("{segment:012}.jsonl")
}

/// Something that can be read anywhere.
pub(super) trait ReadAt {
    /// Reads at `offset`; 0 bytes at the end only.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_full(file: &impl ReadAt, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0_usize;
    while let Some(rest) = buffer.get_mut(done..)
        && !rest.is_empty()
    {
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(bytes) => done = done.saturating_add(bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Number of bytes that are read of a side file. A state of a million open runs is smaller than this, and a
/// note or a key much smaller.
fn most_bytes(file: SideFile) -> u64 {
    match file {
        SideFile::State | SideFile::Gap | SideFile::Ballast => 64 << 20,
        SideFile::Checkpoint | SideFile::Key | SideFile::Signer | SideFile::Unanswered => 1 << 20,
    }
}

fn read_side_file(root: &OwnedFd, file: SideFile) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = match rustix::fs::openat(root, file.name(), flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let widest = if file == SideFile::Key { 0o600 } else { 0o644 };
    let stat = rustix::fs::fstat(&opened)?;
    check_file(&stat, file.name(), widest)?;
    // One byte more than there is: then the second read finds the end.
    let length = usize::try_from(stat.st_size).unwrap_or(0).saturating_add(1);
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    opened.take(most_bytes(file)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn list_segments(segments: &OwnedFd) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(segments)? {
        let entry = entry?;
        numbers.extend(segment_number(entry.file_name().to_bytes()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The number of the segment of that name. Only names that we would give count: `1.jsonl` and
/// `+00000000001.jsonl` are somebody else's.
fn segment_number(name: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(name.strip_suffix(b".jsonl")?).ok()?;
    let number = digits.parse().ok()?;
    (segment_name(number).as_bytes() == name).then_some(number)
}

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// Refuses what is not a regular file of one name and of a mode within `widest`.
fn check_file(stat: &Stat, name: &str, widest: u32) -> io::Result<Identity> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refused(name, "is not a regular file"));
    }
    match file_oddity(stat, widest) {
        Some(why) => Err(refused(name, why)),
        None => Ok(identity(stat)),
    }
}

fn file_oddity(stat: &Stat, widest: u32) -> Option<&'static str> {
    if stat.st_nlink > 1 {
        return Some("has several names (hard links)");
    }
    (stat.st_mode & 0o777 & !widest != 0).then_some("may be read or written by too many")
}

/// Refuses a directory into which others may write: they could exchange any file in it.
fn check_directory(directory: &OwnedFd) -> io::Result<()> {
    let stat = rustix::fs::fstat(directory)?;
    if stat.st_mode & 0o022 != 0 {
        return Err(refused(
            "the directory",
            "may be written by others than its owner",
        ));
    }
    Ok(())
}

fn refused(name: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{name} {why}"))
}

/// The number of the filesystem, as in `linux/magic.h`.
fn filesystem(root: &OwnedFd) -> io::Result<u32> {
    let kind = rustix::fs::fstatfs(root)?.f_type;
    // The type of the field differs between machines; the numbers have 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::as_conversions,
        reason = "the numbers have 32 bits"
    )]
    let number = kind as u32;
    Ok(number)
}

fn check_filesystem(kind: u32) -> io::Result<()> {
    match unsafe_filesystem(kind) {
        Some(name) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "on {name}, locks and durability cannot be relied on (`allow_unsafe_filesystem` insists)"
            ),
        )),
        None => Ok(()),
    }
}

/// Network and FUSE filesystems by their number in `linux/magic.h`.
pub(super) fn unsafe_filesystem(kind: u32) -> Option<&'static str> {
    Some(match kind {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 => "SMB2",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9P",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x00c3_6400 => "Ceph",
        0x564c => "NCP",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x786f_4256 => "vboxsf",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn network_and_fuse_filesystems_are_known_and_local_ones_pass() {
        for (magic, unsafe_) in [
            (0x6969, true),
            (0x6573_5546, true),
            (0xff53_4d42, true),
            (0xef53, false),
            (0x0102_1994, false),
        ] {
            assert_eq!(unsafe_filesystem(magic).is_some(), unsafe_, "{magic:#x}");
        }
    }

    #[test]
    fn segments_are_listed_by_number_and_other_names_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path(), false).unwrap();
        for number in [10, 2, 0] {
            store.create_segment(number).unwrap();
        }
        for name in ["1.jsonl", "+00000000003.jsonl", "000000000004.jsonl.bak"] {
            std::fs::write(dir.path().join("segments").join(name), "").unwrap();
        }
        assert_eq!(store.segments().unwrap(), [0, 2, 10]);
    }

    #[test]
    fn a_second_holder_waits_for_the_lock_and_gives_up_at_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let one = FileStore::open(dir.path(), false).unwrap();
        let two = FileStore::open(dir.path(), false).unwrap();
        one.lock(Duration::ZERO, &mut || false).unwrap();
        let started = Instant::now();
        let error = two
            .lock(Duration::from_millis(30), &mut || false)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(started.elapsed() >= Duration::from_millis(30));
        one.unlock();
        // What waited in vain may still be on its way out of the line.
        two.lock(Duration::from_secs(10), &mut || false).unwrap();
    }

    #[test]
    fn a_lock_file_that_was_exchanged_does_not_count_as_locked() {
        let dir = tempfile::tempdir().unwrap();
        let one = FileStore::open(dir.path(), false).unwrap();
        let two = FileStore::open(dir.path(), false).unwrap();
        one.lock(Duration::ZERO, &mut || false).unwrap();
        one.unlock();
        std::fs::remove_file(dir.path().join("lock")).unwrap();
        two.lock(Duration::ZERO, &mut || false).unwrap();
        assert_eq!(
            one.lock(Duration::ZERO, &mut || false).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }
}
