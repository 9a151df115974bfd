//! The directory that all relative paths start from, opened once.
//!
//! Opening it again by name would trust the name again; everything below is opened through this one
//! descriptor instead.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::beneath::{self, Openat2};
use super::resolver::{self, Identity, Kind, Opened, Resolver, Root, reason, status, status_at};
use super::walk::{self, ComponentWalk};
use crate::path::CanonicalPath;
use crate::policy::model::DiskRules;
use crate::reason::Reason;

/// An opened workspace.
#[derive(Debug)]
pub struct Workspace {
    root: OwnedFd,
    path: PathBuf,
    identity: Identity,
    resolver: Box<dyn Resolver>,
    guarded: Vec<PathBuf>,
}

/// Why a workspace cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// A symbolic link stands in its path.
    #[error(
        "the workspace `{}` is, or lies behind, a symbolic link",
        super::shown(path)
    )]
    Symlink {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error("the workspace `{}` cannot be opened: {why}", super::shown(path))]
    Unusable {
        /// The path.
        path: PathBuf,
        /// Error text of the system.
        why: String,
    },
}

impl WorkspaceError {
    /// The reason with which every request is denied.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            WorkspaceError::Symlink { .. } => Reason::WorkspaceSymlinkDenied,
            WorkspaceError::Unusable { .. } => Reason::PathNotFound,
        }
    }
}

impl Workspace {
    /// Opens the directory at an absolute path; no symbolic link may stand in it. Paths below it are
    /// looked up with `openat2` where that is to be had, else component by component.
    ///
    /// # Errors
    ///
    /// When it is no directory, cannot be opened, or lies behind a link.
    pub fn open_root(path: &Path) -> Result<Workspace, WorkspaceError> {
        let resolver: Box<dyn Resolver> = match Openat2::is_available() {
            true => Box::new(Openat2),
            false => Box::new(ComponentWalk),
        };
        Workspace::open_root_with(path, resolver)
    }

    /// Opens a root with a given way of looking paths up.
    ///
    /// # Errors
    ///
    /// As for [`Workspace::open_root`].
    pub fn open_root_with(
        path: &Path,
        resolver: Box<dyn Resolver>,
    ) -> Result<Workspace, WorkspaceError> {
        let unusable = |why: String| WorkspaceError::Unusable {
            path: path.to_owned(),
            why,
        };
        if !path.is_absolute() {
            return Err(unusable("it is not an absolute path".to_owned()));
        }
        let root = match open_by_name(path) {
            Ok(root) => root,
            Err(Errno::LOOP) => {
                return Err(WorkspaceError::Symlink {
                    path: path.to_owned(),
                });
            }
            Err(errno) => return Err(unusable(errno.to_string())),
        };
        let identity = status(&root)
            .map_err(|errno| unusable(errno.to_string()))?
            .identity;
        // The name as the kernel knows it: `..` in a policy's `workspace` is gone.
        let path = resolver::path_of(&root).unwrap_or_else(|| path.to_owned());
        Ok(Workspace {
            root,
            path,
            identity,
            resolver,
            guarded: Vec::new(),
        })
    }

    /// Adds files that no request writes to, nor to files in them if they are directories, under whichever
    /// name: a file may have a second one (a hard link). Meant for the policy and its record.
    #[must_use]
    pub fn guarding(mut self, files: impl IntoIterator<Item = PathBuf>) -> Workspace {
        self.guarded.extend(files);
        self
    }

    /// The guarded files that have several names, now.
    pub(super) fn guarded(&self) -> Vec<Identity> {
        let mut found = Vec::new();
        let mut look = |path: &Path| {
            if let Ok(status) = status_at(CWD, path, AtFlags::empty())
                && matches!(status.kind(), Kind::File { links: 2.. })
            {
                found.push(status.identity);
            }
        };
        for path in &self.guarded {
            look(path);
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                look(&entry.path());
            }
        }
        found
    }

    /// Its path, for messages and for looking up programs.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The canonical path of a file below the workspace, if it is one and its name can be canonical.
    #[must_use]
    pub fn relative(&self, path: &Path) -> Option<CanonicalPath> {
        let below = path.strip_prefix(&self.path).ok()?.to_str()?;
        if below.is_empty() {
            return Some(CanonicalPath::workspace());
        }
        resolver::found(below.as_bytes()).ok()
    }

    /// Returns true if its path still leads to it. A workspace that was removed or replaced is still open
    /// here, and nobody else would see what happens in it.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let found = open_by_name(&self.path).and_then(|fd| status(&fd));
        found.is_ok_and(|found| found.identity == self.identity)
    }

    /// Opens what a path names, without leaving the workspace.
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    /// use lictor::policy::model::DiskRules;
    /// use lictor::reason::Reason;
    /// use lictor::resolve::{Kind, Workspace};
    ///
    /// let place = tempfile::tempdir()?;
    /// std::os::unix::fs::symlink("/etc", place.path().join("out"))?;
    /// let workspace = Workspace::open_root(&place.path().canonicalize()?)?;
    /// let open = |path: &[u8]| {
    ///     let path = CanonicalPath::parse(path, &Switches::default()).unwrap();
    ///     workspace.open(&path, DiskRules::default())
    /// };
    /// assert_eq!(open(b"out/passwd").unwrap_err(), Reason::PathSymlinkDenied);
    /// assert_eq!(open(b"in").unwrap_err(), Reason::PathNotFound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The reason code with which a request for the path is denied.
    pub fn open(&self, path: &CanonicalPath, rules: DiskRules) -> Result<Opened, Reason> {
        let root = self.as_root();
        let found = self.resolver.look_up(root, path, rules)?;
        let status = status(&found.fd).map_err(reason)?;
        let real = match found.real.as_deref() {
            None => None,
            Some([]) => Some(CanonicalPath::workspace()),
            Some(real) => Some(resolver::found(real).map_err(|denial| denial.reason())?),
        };
        let real = real.filter(|real| real != path);
        if let Some(real) = &real {
            // A name that was read back is only a name. It has to lead here, and through no link: the
            // rules are asked about it.
            let rules = DiskRules {
                symlinks_within: false,
                ..rules
            };
            let again = self.resolver.look_up(root, real, rules);
            let again = again.map_err(|_| Reason::PathFsError)?.fd;
            if resolver::status(&again).map_err(reason)?.identity != status.identity {
                return Err(Reason::PathFsError);
            }
        }
        Ok(Opened {
            kind: status.kind(),
            identity: status.identity,
            fd: found.fd,
            real,
        })
    }

    /// Finds out whether a directory holds this name, and whether it is a link.
    pub(super) fn name_in(&self, directory: &Opened, name: &str) -> Result<Named, Reason> {
        match status_at(&directory.fd, name, AtFlags::empty()) {
            Ok(found) if found.file_type == FileType::Symlink => Ok(Named::Link),
            Ok(_) => Ok(Named::Else),
            Err(Errno::NOENT) => Ok(Named::Nothing),
            Err(errno) => Err(reason(errno)),
        }
    }

    /// Opens a directory to start a command in.
    pub(super) fn directory(
        &self,
        path: &CanonicalPath,
        rules: DiskRules,
    ) -> Result<OwnedFd, Reason> {
        let opened = self.open(path, rules)?;
        match opened.kind {
            Kind::Directory => Ok(opened.fd),
            Kind::File { .. } | Kind::Other => Err(Reason::PathNotDirectory),
        }
    }

    fn as_root(&self) -> Root<'_> {
        Root {
            fd: self.root.as_fd(),
            path: &self.path,
        }
    }
}

/// Kind of a name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Nothing,
    Link,
    Else,
}

pub(super) fn open_by_name(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match beneath::openat2(CWD, path, flags, resolve) {
        Err(Errno::NOSYS | Errno::PERM) => walk::open_root(path),
        other => other,
    }
}
