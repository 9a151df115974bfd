//! What git ignores below the workspace, as far as that is certain. What is skipped here git skips too;
//! the other way round it need not be.
//!
//! Honoured are the `.gitignore` files from the top of the repository down, and only if that top is the
//! workspace itself. Nothing that git looks up after them (`.git/info/exclude`, a user's own file) could
//! take an ignored file out again, so leaving those away only means looking at more. What the index
//! tracks is not ignored, whatever the files say. Where anything cannot be read or understood, nothing
//! is ignored.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::Workspace;
use super::entries::Entry;
use super::index;

/// Git's own directory, which it never takes for a part of the tree.
const GIT: &[u8] = b".git";

/// The most bytes of a `.gitignore`, and of an index, that are read.
const MAX_IGNORE_BYTES: u64 = 1 << 20;
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// The names that git tracks, if the workspace is the top of a repository that is understood.
pub(super) fn tracked(workspace: &Workspace) -> Option<Vec<Vec<u8>>> {
    let directory = git_directory(workspace.path())?;
    // Without a head git does not take it for a repository, and goes on to the directories above.
    std::fs::symlink_metadata(directory.join("HEAD")).ok()?;
    match open(CWD, &directory.join("index"), OFlags::empty()) {
        Ok(file) => index::tracked(&bounded(file, MAX_INDEX_BYTES)?),
        // Nothing has been added yet.
        Err(Errno::NOENT) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Opens a file to read it. Whatever it is, this does not wait: a FIFO that nobody writes to would be
/// waited for without end.
fn open(directory: impl AsFd, path: &Path, more: OFlags) -> Result<std::fs::File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    Ok(rustix::fs::openat(directory, path, flags, Mode::empty())?.into())
}

/// `.git`, or where a file of that name says that it is.
fn git_directory(top: &Path) -> Option<PathBuf> {
    let git = top.join(OsStr::from_bytes(GIT));
    let found = std::fs::symlink_metadata(&git).ok()?;
    if found.is_dir() {
        return Some(git);
    }
    if !found.is_file() {
        return None;
    }
    let text = bounded(open(CWD, &git, OFlags::NOFOLLOW).ok()?, MAX_IGNORE_BYTES)?;
    let named = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    Some(top.join(OsStr::from_bytes(named)))
}

/// What is ignored in one directory.
#[derive(Clone, Debug)]
pub(super) enum Rules {
    /// Nothing: it is not known what would be.
    Nothing,
    /// What these files say, the nearest first.
    Files(Option<Rc<Level>>),
}

/// One `.gitignore`, and those above it.
#[derive(Debug)]
pub(super) struct Level {
    file: Gitignore,
    above: Option<Rc<Level>>,
}

impl Rules {
    /// The rules in a directory whose entries are these, from those of the directory above.
    pub(super) fn inside(&self, directory: &OwnedFd, below_top: &[u8], entries: &[Entry]) -> Rules {
        let Rules::Files(above) = self else {
            return Rules::Nothing;
        };
        let holds = |name: &[u8]| {
            entries
                .binary_search_by(|entry| entry.name.as_slice().cmp(name))
                .is_ok()
        };
        // A repository in the repository has an index of its own.
        if !below_top.is_empty() && holds(GIT) {
            return Rules::Nothing;
        }
        if !holds(b".gitignore") {
            return self.clone();
        }
        match read(directory, below_top) {
            Some(file) => Rules::Files(Some(Rc::new(Level {
                file,
                above: above.clone(),
            }))),
            None => Rules::Nothing,
        }
    }

    /// Whether git skips an entry of the directory; `path` is relative to the top.
    pub(super) fn skips(&self, path: &[u8], name: &[u8], is_directory: bool) -> bool {
        let Rules::Files(levels) = self else {
            return false;
        };
        if name == GIT {
            return true;
        }
        let path = rooted(path);
        let mut level = levels.as_deref();
        while let Some(here) = level {
            match here.file.matched(&path, is_directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => level = here.above.as_deref(),
            }
        }
        false
    }
}

/// Reads the `.gitignore` of a directory; none if it is not all understood.
fn read(directory: &OwnedFd, below_top: &[u8]) -> Option<Gitignore> {
    // Git does not follow a link of that name, older versions do.
    let file = open(directory, ".gitignore".as_ref(), OFlags::NOFOLLOW).ok()?;
    let text = String::from_utf8(bounded(file, MAX_IGNORE_BYTES)?).ok()?;
    let mut builder = GitignoreBuilder::new(rooted(below_top));
    for line in text.trim_start_matches('\u{feff}').split('\n') {
        builder
            .add_line(None, line.strip_suffix('\r').unwrap_or(line))
            .ok()?;
    }
    builder.build().ok()
}

/// The path as one from a made-up root, where the top of the repository lies.
fn rooted(path: &[u8]) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(path))
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
