//! A job: everything `exec` needs, decided and found, nothing left to interpret.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::RunId;
use crate::policy::terms::{Containment, Leaks, Limits, ReportKind, ReportTrouble, StopSignal};

/// One command as it will be executed, and how its run ends. Made by `resolve` only, as a part of a `Command`.
///
/// A backend reads it. Nothing in it has to be looked up or expanded again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// The run, as the record knows it: a name for what a backend makes for it.
    pub run: RunId,
    /// Absolute path of the program, links resolved.
    pub program: PathBuf,
    /// `argv[0]` and the arguments.
    pub argv: Vec<OsString>,
    /// The whole environment, in the order in which it is passed. Names are unique.
    pub env: Vec<(OsString, OsString)>,
    /// The directory the command starts in, opened and decided.
    pub directory: Directory,
    /// Absolute path of the workspace: `directory` is there or below.
    pub workspace: PathBuf,
    /// Limits of the run. Its timeout counts from the start of the command, its grace period from the stop
    /// signal.
    pub limits: Limits,
    /// The least containment.
    pub containment: Containment,
    /// Way in which the run is asked to end.
    pub stop: StopSignal,
    /// Meaning of processes that are left behind.
    pub leaks: Leaks,
    /// The meaning of a report that is missing or does not fit.
    pub report_trouble: ReportTrouble,
    /// Which summary to read from the output.
    pub report: Option<ReportKind>,
    /// Directories the command must not see, where that can be enforced: the ledger with its keys and grants.
    pub hidden: Vec<PathBuf>,
    /// Files the command must not change, where that can be enforced: the policy.
    pub read_only: Vec<PathBuf>,
    /// The name of a long run, by which a person stops it.
    pub name: Option<String>,
}

impl Job {
    /// A job without a program that starts in `directory`, with the limits of a policy that states none: for trials, and for
    /// tests of backends.
    ///
    /// # Errors
    ///
    /// If no name for the run can be drawn.
    pub(crate) fn of_nothing(directory: Directory) -> io::Result<Job> {
        Ok(Job {
            run: RunId::random()?,
            program: PathBuf::from("/"),
            argv: Vec::new(),
            env: Vec::new(),
            workspace: directory.path.clone(),
            directory,
            limits: Limits::default(),
            containment: Containment::Auto,
            stop: StopSignal::default(),
            leaks: Leaks::Warn,
            report_trouble: ReportTrouble::Warn,
            report: None,
            hidden: Vec::new(),
            read_only: Vec::new(),
            name: None,
        })
    }
}

/// An open directory, and the path by which it was reached.
///
/// A local backend enters the descriptor: the path may lead elsewhere by now. A backend on another machine has only the path.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    fd: Arc<OwnedFd>,
}

impl Directory {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Directory> {
        let path = path.into();
        let fd = OwnedFd::from(File::open(&path)?);
        Ok(Directory::new(path, fd))
    }

    pub(super) fn new(path: PathBuf, fd: OwnedFd) -> Directory {
        Directory {
            path,
            fd: Arc::new(fd),
        }
    }

    /// Absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Equal are only clones of one.
impl PartialEq for Directory {
    fn eq(&self, other: &Directory) -> bool {
        self.path == other.path && Arc::ptr_eq(&self.fd, &other.fd)
    }
}
