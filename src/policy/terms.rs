//! Terms of an allowed run: limits, containment, confinement, stop signal, leaks, reports.
//!
//! A rule states some of these; `Terms`, in `decision`, holds all of them, with `defaults` and the built-in values
//! filled in and several rules combined to the strictest.

#![forbid(unsafe_code)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::evidence::Level;

/// Wall time a run may take if the policy says nothing.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// The longest timeout a policy may set.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Time that a run's processes get to end by themselves after the stop signal, before `SIGKILL`.
///
/// sudo-rs waits 2 s and nextest 10 s; the runs in view are single commands with little to flush.
/// A policy may set its own with `grace`.
pub const DEFAULT_GRACE: Duration = Duration::from_millis(1500);

/// Bytes kept of each output stream if the policy says nothing.
pub const DEFAULT_OUTPUT_BYTES: u64 = 50 * 1024;

/// Limits of a run. Times are wall clock but for `cpu`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// After this the run is stopped.
    pub timeout: Duration,
    /// The longest lease of a long run (`lictor start`), whose timeout it is. Where none is stated, `timeout` holds for it, too.
    pub lease: Option<Duration>,
    /// Time between the stop signal and `SIGKILL`.
    pub grace: Duration,
    /// Bytes kept of each output stream; all of it is drained, counted and hashed.
    pub output_bytes: u64,
    /// Which part of an output stream is kept.
    pub keep: Keep,
    /// Most processes at one time. Where none is stated, [`MOST_PROCESSES`] where that can be enforced.
    pub processes: Option<u64>,
    /// Memory of all processes together.
    pub memory_bytes: Option<u64>,
    /// Processor time of all processes together.
    pub cpu: Option<Duration>,
    /// Open descriptors of each process.
    pub open_files: Option<u64>,
    /// Largest file that may be written.
    pub file_size_bytes: Option<u64>,
    /// Most bytes of standard input, if whoever starts the run passes any on; 0 for none.
    pub stdin_bytes: u64,
}

/// Most bytes of standard input, if a policy does not say: what a pipeline of texts has, and what memory bears.
pub const DEFAULT_STDIN_BYTES: u64 = 16 * 1024 * 1024;

/// Most tasks (processes and threads) of a run whose policy says nothing about it. A build on a large machine has some
/// hundreds; a fork bomb has as many as it gets.
///
/// Enforced where that costs nothing and can be had: for an ordinary user, in a user namespace of the run's own.
pub const MOST_PROCESSES: u64 = 4096;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            timeout: DEFAULT_TIMEOUT,
            lease: None,
            grace: DEFAULT_GRACE,
            output_bytes: DEFAULT_OUTPUT_BYTES,
            keep: Keep::HeadTail,
            processes: None,
            memory_bytes: None,
            cpu: None,
            open_files: None,
            file_size_bytes: None,
            stdin_bytes: DEFAULT_STDIN_BYTES,
        }
    }
}

/// Which part of an output stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Keep {
    /// The beginning.
    Head,
    /// The end.
    Tail,
    /// Half of each.
    HeadTail,
}

/// The least containment that is acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Containment {
    /// The strongest that works here, whichever that is.
    Auto,
    /// This level or a stronger one, or nothing runs.
    AtLeast(Level),
}

/// Way in which a run is asked to end, before it is made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StopSignal {
    /// The signal number.
    pub signal: i32,
    /// Who gets it.
    pub to: StopTarget,
}

impl Default for StopSignal {
    /// `SIGTERM` to all.
    fn default() -> StopSignal {
        StopSignal {
            signal: 15,
            to: StopTarget::All,
        }
    }
}

/// Who gets the stop signal. `SIGKILL` always goes to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopTarget {
    /// Every process of the run.
    All,
    /// Only the command that was started.
    Leader,
}

/// Meaning of processes that a command leaves behind when it exits. They are killed in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Leaks {
    /// The evidence lists them.
    Warn,
    /// The run counts as failed.
    Fail,
}

/// Meaning of a declared report that is missing, cannot be read, or contradicts the end of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReportTrouble {
    /// An event of the evidence says so.
    Warn,
    /// The run counts as failed as well.
    Fail,
}

/// The format of a command's own summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReportKind {
    /// pytest's terminal summary.
    Pytest,
    /// `cargo test`, and nextest if that is what runs.
    CargoTest,
    /// nextest, whatever its tests print.
    Nextest,
    /// JUnit XML.
    Junit,
    /// Test Anything Protocol.
    Tap,
}
