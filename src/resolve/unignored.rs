//! Files below the workspace that git ignores, as far as that is certain. Whatever is skipped here git skips
//! too; the reverse need not hold.
//!
//! Honoured are the `.gitignore` files from the top of the repository down, and only if that top is the
//! workspace itself. Nothing that git looks up after them (`.git/info/exclude`, a user's own file) could
//! take an ignored file out again, so leaving those away only means looking at more. What the index
//! tracks is not ignored, whatever the files say. Below a directory that other tools see with other eyes
//! (a nested repository, an ignore file of ripgrep's, a `.jj`) nothing is ignored, and nothing where
//! something cannot be read or understood.

#![forbid(unsafe_code)]

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::bounds::Bounds;
use super::entries::Entry;
use super::ignore_file::{IgnoreFile, Reach, Verdict};

/// Git's own directory, which it never takes for a part of the tree.
const GIT: &[u8] = b".git";

/// Names in a directory that make some tool read ignore files in another way than git does.
const DISAGREEING: [&[u8]; 4] = [b".ignore", b".rgignore", b".jj", b".hg"];

/// Most bytes of one ignore file that are read.
const MAX_IGNORE_BYTES: u64 = 64 << 10;

/// Opens a file to read it. Whatever it is, this does not wait: a FIFO that nobody writes to would be
/// waited for without end.
fn open(directory: impl AsFd, path: &Path, more: OFlags) -> Result<std::fs::File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    Ok(rustix::fs::openat(directory, path, flags, Mode::empty())?.into())
}

/// Ignore rules of one directory.
#[derive(Clone, Debug)]
pub(super) enum Rules {
    /// Nothing: it is not known what would be.
    Nothing,
    /// The rules of these files, the nearest first.
    Files(Option<Rc<Level>>),
}

/// One `.gitignore`, and those above it.
#[derive(Debug)]
pub(super) struct Level {
    file: IgnoreFile,
    /// Number of bytes of a path that lead to the directory of the file.
    prefix: usize,
    reach: Reach,
    /// Number of comparisons that a name takes, with all files above.
    comparisons: usize,
    above: Option<Rc<Level>>,
}

impl Rules {
    /// The rules in a directory whose entries are these, from those of the directory above.
    pub(super) fn inside(
        &self,
        directory: &OwnedFd,
        below_top: &[u8],
        entries: &[Entry],
        reach: Reach,
        bounds: &Bounds,
    ) -> Rules {
        let Rules::Files(above) = self else {
            return Rules::Nothing;
        };
        let holds = |name: &[u8]| {
            entries
                .binary_search_by(|entry| entry.name.as_slice().cmp(name))
                .is_ok()
        };
        // A repository in the repository has an index of its own.
        let is_nested = !below_top.is_empty() && holds(GIT);
        if is_nested || DISAGREEING.iter().any(|name| holds(name)) {
            return Rules::Nothing;
        }
        if !holds(b".gitignore") {
            return self.clone();
        }
        let Some(file) = read(directory, bounds) else {
            return Rules::Nothing;
        };
        let prefix = match below_top.len() {
            0 => 0,
            length => length.saturating_add(1),
        };
        let above_them = above.as_ref().map_or(0, |level| level.comparisons);
        Rules::Files(Some(Rc::new(Level {
            comparisons: file.comparisons().saturating_add(above_them),
            file,
            prefix,
            reach,
            above: above.clone(),
        })))
    }

    /// Returns true if git skips an entry; `path` is relative to the top.
    pub(super) fn skips(&self, path: &[u8], is_directory: bool) -> bool {
        let Rules::Files(levels) = self else {
            return false;
        };
        let mut level = levels.as_deref();
        while let Some(here) = level {
            let below = path.get(here.prefix..).unwrap_or_default();
            match here.file.verdict(below, is_directory, here.reach) {
                Some(Verdict::Ignored) => return true,
                Some(Verdict::Kept) => return false,
                None => level = here.above.as_deref(),
            }
        }
        false
    }

    /// Number of comparisons that one name takes.
    pub(super) fn comparisons(&self) -> usize {
        match self {
            Rules::Nothing | Rules::Files(None) => 0,
            Rules::Files(Some(level)) => level.comparisons,
        }
    }
}

/// Reads the `.gitignore` of a directory; none if it is not all understood.
fn read(directory: &OwnedFd, bounds: &Bounds) -> Option<IgnoreFile> {
    // Git does not follow a link of that name, older versions do.
    let file = open(directory, ".gitignore".as_ref(), OFlags::NOFOLLOW).ok()?;
    let text = bounded(file, MAX_IGNORE_BYTES)?;
    bounds.take_ignore_bytes(text.len()).then_some(())?;
    IgnoreFile::parse(&text)
}

/// The bytes of a regular file, if it has no more than `most`.
fn bounded(file: std::fs::File, most: u64) -> Option<Vec<u8>> {
    let length = file.metadata().ok().filter(|found| found.is_file())?.len();
    if length > most {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .ok()?;
    (u64::try_from(bytes.len()).ok()? <= most).then_some(bytes)
}
