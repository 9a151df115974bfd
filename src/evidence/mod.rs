//! Evidence of one run: plain data, filled in by an executor and recorded by the ledger.
//!
//! Nothing here runs or measures anything. The field names are those of the JSON form, which is a
//! promise: a field is added, never changed in meaning. Times are in milliseconds since the start of
//! the run unless a name says otherwise; sizes are in bytes.
//!
//! | file | |
//! |---|---|
//! | `containment`, `ended`, `drawing` | how it is known that nothing is left, the status, the process tree for people |
//! | `reading`, `terminal` | a command's output as lines, and as its report |
//! | `cargo_test`, `junit`, `pytest`, `tap` | one format of reports each |

#![forbid(unsafe_code)]

pub mod cargo_test;
mod containment;
mod drawing;
mod ended;
pub mod junit;
pub mod pytest;
pub mod reading;
pub mod tap;
mod terminal;

use serde::{Deserialize, Serialize};

pub use containment::{Containment, EmptyProof, Level, Mechanism, ProcView};
pub use drawing::drawing;
pub use ended::Ended;

/// Evidence of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// End of the run.
    pub status: Status,
    /// The command's own exit code, if it exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended the command, if one did.
    pub signal: Option<i32>,
    /// Which limit ended the run, for [`Status::Limit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Why the command could not be started, for [`Status::SpawnFailed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Wall time from the start of the command to the end of the run.
    pub duration_ms: u64,
    /// Mechanism that kept the run's processes together, and the proof that none is left.
    pub containment: Containment,
    /// Way in which the run was stopped.
    pub stop: Stop,
    /// The process tree as it was when the run was stopped; empty if it ended by itself.
    pub tree: Vec<Process>,
    /// Processes that the command left behind on a normal exit; they have been killed.
    pub leaked: Vec<Process>,
    /// Processes that could not be shown to be gone.
    pub survivors: Vec<Process>,
    /// Noteworthy events, such as a path that was exchanged during the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// The standard input that was passed on to the command; `None` if it was empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Input>,
    /// Standard output. In which order the command wrote to it and to standard error is not known.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Resources that the run used.
    pub resources: Resources,
    /// The command's own summary, if the action declares a report.
    pub report: Option<Report>,
}

impl Evidence {
    /// Evidence of a command that was started: how it `ended`, and how the run was stopped if it was. `limit` names the
    /// limit that was reached.
    ///
    /// The status follows from these. What else is known is set on the value: `duration_ms`, the two streams (see
    /// `executor::Capture`), `leaked`, `survivors`.
    ///
    /// ```
    /// use lictor::evidence::{Containment, Ended, Evidence, Status, Stop};
    ///
    /// let mut evidence = Evidence::new(
    ///     Containment::other("virtual-machine", true),
    ///     Some(Ended::Exited(1)),
    ///     Stop::default(),
    ///     None,
    ///     false,
    /// );
    /// evidence.duration_ms = 1200;
    /// assert_eq!((evidence.status, evidence.exit_code), (Status::Fail, Some(1)));
    /// ```
    #[must_use]
    pub fn new(
        containment: Containment,
        ended: Option<Ended>,
        stop: Stop,
        limit: Option<String>,
        leaks_fail: bool,
    ) -> Evidence {
        Evidence {
            status: ended::status(ended, stop.why, limit.is_some(), leaks_fail),
            exit_code: ended.and_then(Ended::exit_code),
            signal: ended.and_then(Ended::signal),
            limit,
            error: None,
            duration_ms: 0,
            containment,
            stop,
            tree: Vec::new(),
            leaked: Vec::new(),
            survivors: Vec::new(),
            events: Vec::new(),
            stdin: None,
            stdout: Output::default(),
            stderr: Output::default(),
            resources: Resources::default(),
            report: None,
        }
    }

    /// Evidence of a command that was not started, because of `error`. There is nothing to prove then.
    #[must_use]
    pub fn spawn_failed(mut containment: Containment, error: impl Into<String>) -> Evidence {
        containment.empty_proof = EmptyProof::None;
        Evidence {
            status: Status::SpawnFailed,
            error: Some(error.into()),
            ..Evidence::new(containment, None, Stop::default(), None, false)
        }
    }

    /// Evidence of a run whose end nobody saw, because of `error`.
    #[must_use]
    pub fn lost(containment: Containment, error: impl Into<String>) -> Evidence {
        Evidence {
            status: Status::Lost,
            error: Some(error.into()),
            ..Evidence::new(containment, None, Stop::default(), None, false)
        }
    }

    /// This evidence, held against the containment that was `promised` when the run was prepared. Where less is
    /// reported, an event [`CONTAINMENT_WEAKER`] says so, no proof counts, and the run has [failed](Evidence::proof_failed).
    #[must_use]
    #[cfg(feature = "run")]
    pub(crate) fn held_to(mut self, promised: &Containment) -> Evidence {
        if self.has_run() && !self.containment.level.keeps(&promised.level) {
            let about = format!(
                "`{}` was prepared, and `{}` is reported",
                promised.level.name(),
                self.containment.level.name()
            );
            self.events.push(Event::new(CONTAINMENT_WEAKER, about));
            self.containment.empty_proof = EmptyProof::None;
        }
        self
    }

    /// Returns true if there is no proof that nothing is left, although the mechanism in use offers one, or the one that was
    /// prepared did.
    #[must_use]
    pub fn proof_failed(&self) -> bool {
        let is_weaker = |event: &Event| event.what == CONTAINMENT_WEAKER;
        let was_offered = self.containment.level.proves_end() || self.events.iter().any(is_weaker);
        self.has_run() && was_offered && self.containment.empty_proof == EmptyProof::None
    }

    fn has_run(&self) -> bool {
        !matches!(self.status, Status::SpawnFailed | Status::Lost)
    }
}

/// The event of a run whose executor reports a weaker containment than it had prepared.
pub const CONTAINMENT_WEAKER: &str = "CONTAINMENT_WEAKER";

/// End of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Status {
    /// The command exited with 0.
    Pass,
    /// The command exited with another code.
    Fail,
    /// The command was killed by a signal that was not ours.
    Signaled,
    /// The deadline passed.
    Timeout,
    /// Whoever started the run cancelled it.
    Cancelled,
    /// A limit other than time ended the run.
    Limit,
    /// The command could not be started.
    SpawnFailed,
    /// The run's supervisor is gone and nobody saw the end. Written by the ledger, and by an executor that lost its helper
    /// before the deadline.
    Lost,
}

impl Status {
    /// The status as it is printed, for example `SPAWN_FAILED`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Status::Pass => "PASS",
            Status::Fail => "FAIL",
            Status::Signaled => "SIGNALED",
            Status::Timeout => "TIMEOUT",
            Status::Cancelled => "CANCELLED",
            Status::Limit => "LIMIT",
            Status::SpawnFailed => "SPAWN_FAILED",
            Status::Lost => "LOST",
        }
    }
}

/// Way in which a run was stopped. All fields are empty or zero if it ended by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stop {
    /// Why the run was stopped.
    pub why: Option<StopReason>,
    /// When the first signal was sent.
    pub term_at_ms: Option<u64>,
    /// When `SIGKILL` was sent.
    pub kill_at_ms: Option<u64>,
    /// When the last process was seen to be gone.
    pub empty_at_ms: Option<u64>,
    /// Part of the grace period that was used, in milliseconds.
    pub grace_used_ms: Option<u64>,
    /// Each signal that was sent, and to how many processes. The `SIGSTOP` by which the tree is held still while it is
    /// drawn and counted is not listed.
    pub signals: Vec<SignalSent>,
}

/// Why a run was stopped before its command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// The deadline passed.
    Timeout,
    /// The run was cancelled.
    Cancelled,
    /// A limit other than time was reached.
    Limit,
    /// The command exited and left processes behind.
    Leaked,
}

/// One signal that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignalSent {
    /// When.
    pub at_ms: u64,
    /// Which.
    pub signal: i32,
    /// To how many processes, as far as they could be counted.
    pub to: u32,
}

impl SignalSent {
    /// A signal sent at `at_ms` to `to` processes.
    #[must_use]
    pub fn new(at_ms: u64, signal: i32, to: u32) -> SignalSent {
        SignalSent { at_ms, signal, to }
    }
}

/// One process as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Process {
    /// Process id, as the command's own processes see it where that is known.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// State letter of `/proc/PID/stat`.
    pub state: String,
    /// Command line, cut; the name in brackets if there is none, or it could not be read in time.
    pub command: String,
    /// Processor time used.
    pub cpu_ms: u64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Time since the process was started.
    pub age_ms: u64,
}

/// One noteworthy event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The event, as a reason code or a word.
    pub what: String,
    /// About which path or process.
    pub about: String,
}

impl Event {
    /// The event `what` about `about`.
    #[must_use]
    pub fn new(what: impl Into<String>, about: impl Into<String>) -> Event {
        Event {
            what: what.into(),
            about: about.into(),
        }
    }
}

/// One output stream: exact totals, and as much of the text as the policy keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Output {
    /// Bytes written by the command.
    pub bytes: u64,
    /// Line feeds written by the command.
    pub lines: u64,
    /// Bytes kept of the beginning.
    pub kept_head: u64,
    /// Bytes kept of the end.
    pub kept_tail: u64,
    /// Bytes left out between the two.
    pub dropped: u64,
    /// SHA-256 of the whole stream, in lower-case hex.
    pub sha256: String,
    /// The part of the stream that was kept, with one line marking the cut. Bytes that are not UTF-8 make it
    /// base64.
    pub text: Text,
    /// The stream was still held open by somebody when reading stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_open: bool,
}

/// The standard input of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Input {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hex.
    pub sha256: String,
}

/// Text as it was written, or its bytes where they are not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Text {
    /// UTF-8.
    Utf8(String),
    /// Anything else.
    Bytes {
        /// The bytes, in base64.
        b64: String,
    },
}

impl Default for Text {
    fn default() -> Text {
        Text::Utf8(String::new())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        match String::from_utf8(bytes) {
            Ok(text) => Text::Utf8(text),
            Err(error) => Text::Bytes {
                b64: data_encoding::BASE64.encode(error.as_bytes()),
            },
        }
    }
}

impl Text {
    /// The text for a person: bytes that are not UTF-8 are shown as U+FFFD.
    #[must_use]
    pub fn to_lossy(&self) -> String {
        match self {
            Text::Utf8(text) => text.clone(),
            Text::Bytes { b64 } => {
                let bytes = data_encoding::BASE64
                    .decode(b64.as_bytes())
                    .unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }
}

/// Resources that a run used, as far as the machine reported them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resources {
    /// Processor time in user mode.
    pub cpu_user_ms: u64,
    /// Processor time in the kernel.
    pub cpu_system_ms: u64,
    /// Largest resident memory of one process.
    pub max_rss_bytes: u64,
    /// Most processes at one time, where counted.
    pub peak_processes: Option<u32>,
}

/// A test runner's own summary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Which format was read, for example `pytest`.
    pub kind: String,
    /// Number of tests by result.
    pub counts: Counts,
    /// Ids of failed tests.
    pub failed: Vec<String>,
    /// Ids of passed tests, where the runner printed them.
    pub passed: Vec<String>,
    /// The messages of failures and errors, in the order printed.
    pub messages: Vec<String>,
}

/// Number of tests by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
    /// Errors outside a test's own body.
    pub errors: u64,
    /// Expected to fail, and did.
    pub xfailed: u64,
    /// Expected to fail, and passed.
    pub xpassed: u64,
}
