//! A file that a command may write and that is read once it has ended: a report for the evidence.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::resolver::{Identity, Kind, Opened};
use super::{Command, Workspace};
use crate::path::CanonicalPath;
use crate::policy::model::{Access, DiskRules};
use crate::reason::Reason;

/// A file that a command may write, and what it was before.
#[derive(Debug)]
pub struct Written {
    workspace: Arc<Workspace>,
    path: CanonicalPath,
    rules: DiskRules,
    before: Option<State>,
}

/// Properties that change when a file is written or replaced.
#[derive(Debug, PartialEq, Eq)]
struct State {
    identity: Identity,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritten {
    /// The path cannot be looked up as a path of the request would be.
    #[error("`{path}` cannot be looked up: {reason}")]
    NotFound {
        /// The path.
        path: CanonicalPath,
        /// With what reason a request for it would be denied.
        reason: Reason,
    },
    /// It is as it was before: what it says is not about this run.
    #[error("the command has not written `{path}`")]
    NotWritten {
        /// The path.
        path: CanonicalPath,
    },
    /// It is larger than what is read.
    #[error("`{path}` has more than {most} bytes")]
    TooLarge {
        /// The path.
        path: CanonicalPath,
        /// The bound, in bytes.
        most: u64,
    },
    /// It cannot be read.
    #[error("`{path}` cannot be read: {why}")]
    Unreadable {
        /// The path.
        path: CanonicalPath,
        /// Error text of the system.
        why: String,
    },
}

impl Command {
    /// The file `path`, if the request names it as one that the command writes. To be asked for before
    /// the command starts: what the file is then is what it is compared with.
    #[must_use]
    pub fn written(&self, path: &CanonicalPath) -> Option<Written> {
        let mut paths = self.decision.plan()?.paths.iter();
        paths
            .any(|decided| decided.access == Access::Write && decided.canonical == *path)
            .then(|| {
                let mut written = Written {
                    workspace: Arc::clone(&self.workspace),
                    path: path.clone(),
                    rules: self.rules,
                    before: None,
                };
                written.before = written.open().ok().map(|(_, state)| state);
                written
            })
    }
}

impl Written {
    /// The bytes that the command has written there, if they are at most `most`.
    ///
    /// # Errors
    ///
    /// It was not written, or cannot be read as a path of the request could.
    pub fn read(&self, most: u64) -> Result<Vec<u8>, Unwritten> {
        let path = || self.path.clone();
        let (file, state) = self.open()?;
        if self.before.as_ref() == Some(&state) {
            return Err(Unwritten::NotWritten { path: path() });
        }
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Unwritten::Unreadable {
                path: path(),
                why: error.to_string(),
            })?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
            return Err(Unwritten::TooLarge { path: path(), most });
        }
        Ok(bytes)
    }

    fn open(&self) -> Result<(File, State), Unwritten> {
        let not_found = |reason| Unwritten::NotFound {
            path: self.path.clone(),
            reason,
        };
        let opened = self
            .workspace
            .open(&self.path, self.rules)
            .map_err(not_found)?;
        if !matches!(opened.kind(), Kind::File { .. }) {
            return Err(not_found(Reason::PathNotRegular));
        }
        readable(&opened).map_err(|error| Unwritten::Unreadable {
            path: self.path.clone(),
            why: error.to_string(),
        })
    }
}

/// The opened file for reading: no name is looked up again.
fn readable(opened: &Opened) -> std::io::Result<(File, State)> {
    use std::os::fd::AsRawFd;
    let file = File::open(format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()))?;
    let found = file.metadata()?;
    let state = State {
        identity: opened.identity().clone(),
        size: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    };
    Ok((file, state))
}
