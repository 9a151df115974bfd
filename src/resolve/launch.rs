//! What is started: everything `exec` needs, decided and found, nothing left to interpret.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::policy::terms::{Containment, Leaks, Limits, ReportKind, ReportTrouble, StopSignal};

/// One command as it will be executed. Made by `resolve` only, as a part of a `Command`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Launch {
    /// Absolute path of the program, links resolved.
    pub program: PathBuf,
    /// `argv[0]` and the arguments.
    pub argv: Vec<OsString>,
    /// The whole environment, in the order in which it is passed. Names are unique.
    pub env: Vec<(OsString, OsString)>,
    /// The directory the command starts in, opened and decided.
    pub cwd: Arc<OwnedFd>,
    /// What the run may use.
    pub limits: Limits,
    /// The least containment.
    pub containment: Containment,
    /// How the run is asked to end.
    pub stop: StopSignal,
    /// What leftovers mean.
    pub leaks: Leaks,
    /// Which summary to read from the output.
    pub report: Option<ReportKind>,
    /// What it means that there is none, or one that contradicts how the command ended.
    pub report_trouble: ReportTrouble,
    /// Directories the command must not see, where that can be enforced: the ledger with its keys and grants.
    pub hidden: Vec<PathBuf>,
    /// Files the command must not change, where that can be enforced: the policy.
    pub read_only: Vec<PathBuf>,
}
