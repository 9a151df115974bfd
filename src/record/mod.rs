//! The record of this program: every decision, every start and every outcome, before the next step is taken.
//!
//! [`Ledger`] is a [`Log`] with lines about runs. It is the only one that makes a [`Permit`].
//!
//! | file | idea |
//! |---|---|
//! | `permit` | decisions, starts and outcomes; proof of "allowed and recorded" |
//! | `calls` | calls of an agent's tools: the decision before, and what was seen of the end |
//! | `approve`, `grants`, `signature` | grants into the ledger and out of it, and who signed them |
//! | `asks`, `refusals` | questions that wait for a person, and what a person refused |
//! | `state`, `owner` | which runs are open, what is left of grants, and whether a process is gone |
//! | `audit` | what the entries have to say together, for verification |
//! | `redact` | secrets, replaced before anything is hashed |
//! | `outputs` | outputs that are kept beside the record |
//! | `replay` | requests out of a record, as they can be decided again |
//! | `summary`, `stats`, `ocsf` | entries for people, as numbers, and as events for security monitoring |

#![forbid(unsafe_code)]

mod approve;
mod asks;
mod audit;
mod calls;
mod grants;
pub mod ocsf;
mod outputs;
mod owner;
mod permit;
mod redact;
mod refusals;
pub mod replay;
pub mod signature;
mod state;
pub mod stats;
mod summary;

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};

pub use self::approve::GrantEntry;
pub use self::asks::{Asks, RecordedAsk};
pub use self::audit::{Meaning, Says};
pub use self::calls::{CallState, Calls, Held, SeenCall};
pub use self::grants::{Grant, recorded_grants};
pub use self::outputs::kept_output;
use self::owner::Owner;
pub use self::permit::{NotAdmitted, OpenRun, Permit};
pub use self::redact::REDACTED_KEY;
use self::redact::Redactor;
pub use self::refusals::{Refusal, RefusalTerms};
pub use self::state::{Abandoned, Elsewhere};
use self::state::{GRANT_GONE, RUN_ENDED, State};
pub use self::summary::summary;
use crate::log::store::{FileStore, Store};
use crate::log::verify::{Report, VerifyError, VerifyOptions};
use crate::log::{self, Draft, DraftError, Kind, Log, LogError, Purpose, RunId};
use crate::policy::CompiledPolicy;
use crate::reason::Reason;
use crate::text::escaped;

/// Summary of the lint of a policy: JSON for the field `lint` of its entry.
pub type LintSummary = fn(&CompiledPolicy) -> Value;

/// Options for opening a ledger.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Options for opening its log.
    pub log: log::Options,
    /// Regular expressions; a text that one of them matches is replaced by a digest before it is recorded.
    pub redact: Vec<String>,
    /// Keep what runs keep of their outputs, in `blobs/`.
    pub keep_output: bool,
    /// Summary of the lint of the policies that decide; asked for once for each change of the policy. Without
    /// it `lint` is `null` in their entries.
    pub lint: Option<LintSummary>,
}

/// A ledger that is open for writing. Shared by `Arc` between threads.
///
/// ```
/// use lictor::log::{Draft, Kind};
/// use lictor::record::{Ledger, Options};
/// # let dir = std::env::temp_dir().join(format!("lictor-doc-{}", std::process::id()));
///
/// let ledger = Ledger::open(&dir, &Options::default())?;
/// let lines = ledger.commit(vec![Draft::new(Kind::Observed).with("what", "a call ended")])?;
/// assert_eq!(lines, 1..2); // line 0 describes the segment
/// # drop(ledger); std::fs::remove_dir_all(&dir).ok();
/// # Ok::<(), lictor::record::LedgerError>(())
/// ```
#[derive(Debug)]
pub struct Ledger {
    log: Log,
    redactor: Redactor,
    keeps_output: bool,
    /// Asked for by the first run: nothing else needs it.
    owner: OnceLock<Owner>,
    lint: Option<LintSummary>,
    /// Digests of the policies that were handed in.
    policies: Mutex<HashSet<String>>,
}

/// The right to record how some runs ended, whatever else happens to the disk.
#[derive(Debug)]
#[must_use = "a run that is not finished is declared lost once this process is gone"]
pub struct Reservation {
    runs: Vec<RunId>,
}

impl Reservation {
    /// The runs it is for.
    #[must_use]
    pub fn runs(&self) -> &[RunId] {
        &self.runs
    }
}

/// Verifies the ledger in the directory `dir`; see [`log::verify::verify`].
///
/// ```
/// use lictor::log::verify::{Verdict, VerifyOptions};
/// use lictor::record::verify;
///
/// let nowhere = std::env::temp_dir().join("there-is-no-ledger-here");
/// let report = verify(&nowhere, &VerifyOptions::default(), &mut |_, _| {})?;
/// assert_eq!(report.verdict, Verdict::Missing);
/// # Ok::<(), lictor::log::verify::VerifyError>(())
/// ```
///
/// # Errors
/// Verification could not be done; this is never a verdict.
pub fn verify(
    dir: &Path,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, VerifyError> {
    log::verify::verify::<Meaning>(dir, options, progress)
}

impl Ledger {
    /// Opens the ledger in the directory `dir`, or makes it.
    ///
    /// The remains of an earlier crash are accounted for here: torn lines, runs whose process is gone.
    ///
    /// # Errors
    /// As [`Log::open`]; or a pattern of `redact` is no regular expression.
    pub fn open(dir: &Path, options: &Options) -> Result<Ledger, LedgerError> {
        let store = FileStore::open(dir, options.log.allow_unsafe_filesystem)
            .map_err(|error| LogError::directory(dir, &error))?;
        Ledger::open_store(Arc::new(store), options)
    }

    /// Opens the ledger in any other store, or makes it.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_store(store: Arc<dyn Store>, options: &Options) -> Result<Ledger, LedgerError> {
        let log = Log::open(store, &options.log, &State::default())?;
        let redactor = Redactor::new(log.secret(), &options.redact)
            .map_err(|pattern| LedgerError::Pattern { pattern })?;
        Ok(Ledger {
            log,
            redactor,
            keeps_output: options.keep_output,
            owner: OnceLock::new(),
            lint: options.lint,
            policies: Mutex::default(),
        })
    }

    /// Makes everything anew that is made from the segments: `checkpoint`, `state`, and `tile/` if it is there.
    /// Returns which of the first two were missing or did not count, one sentence each.
    ///
    /// # Errors
    /// The ledger is not intact, or as [`Ledger::open`].
    pub fn reindex(dir: &Path, options: &Options) -> Result<Vec<String>, LedgerError> {
        Ok(Log::reindex::<Meaning>(
            dir,
            &options.log,
            &State::default(),
        )?)
    }

    /// The log below.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Records `drafts` as consecutive lines. When it returns, they survive a crash of the machine.
    ///
    /// Returns their numbers. Calls of several threads at once share one write and one sync.
    ///
    /// # Errors
    /// Nothing of it may be relied on. A prefix may still be there, as after a crash.
    pub fn commit(&self, drafts: Vec<Draft>) -> Result<Range<u64>, LedgerError> {
        self.submit(drafts, Purpose::Record, false)
    }

    /// As [`Ledger::commit`], for a process that is about to end: a checkpoint goes along in the same write.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    pub fn commit_last(&self, drafts: Vec<Draft>) -> Result<Range<u64>, LedgerError> {
        self.submit(drafts, Purpose::Record, true)
    }

    /// Records `drafts`, which start runs, and keeps space on the disk for how they end.
    ///
    /// # Errors
    /// [`LogError::NoSpace`] if that space cannot be had; otherwise as [`Ledger::commit`].
    pub fn commit_reserving(
        &self,
        drafts: Vec<Draft>,
    ) -> Result<(Range<u64>, Reservation), LedgerError> {
        let runs = drafts
            .iter()
            .filter(|draft| draft.kind == Kind::Start)
            .filter_map(|draft| draft.run)
            .collect();
        let lines = self.submit(drafts, Purpose::Begin, false)?;
        Ok((lines, Reservation { runs }))
    }

    /// Records how runs ended, in the space that was kept for it.
    ///
    /// # Errors
    /// [`LedgerError::RunEnded`] if one of them has an outcome already; otherwise as [`Ledger::commit`].
    /// What could not be recorded is noted, as well as that is possible, for the next `gap` entry.
    pub fn finish(
        &self,
        reservation: Reservation,
        drafts: Vec<Draft>,
    ) -> Result<Range<u64>, LedgerError> {
        self.end(reservation, drafts, false)
    }

    /// As [`Ledger::finish`], for a process that is about to end: a checkpoint goes along in the same write.
    ///
    /// # Errors
    /// As [`Ledger::finish`].
    pub fn finish_last(
        &self,
        reservation: Reservation,
        drafts: Vec<Draft>,
    ) -> Result<Range<u64>, LedgerError> {
        self.end(reservation, drafts, true)
    }

    fn end(
        &self,
        reservation: Reservation,
        drafts: Vec<Draft>,
        last: bool,
    ) -> Result<Range<u64>, LedgerError> {
        let runs = reservation.runs;
        let result = self.submit(drafts, Purpose::End, last);
        if let Err(error) = &result {
            self.log.note_gap(&runs, &error.to_string());
        }
        result
    }

    /// Has what `draft` makes, a `policy` entry, written in front of the next commit: once for each `digest`, and
    /// not at all where the last policy that the ledger names is that one.
    ///
    /// # Errors
    /// The draft cannot be a line.
    pub fn ensure_policy(
        &self,
        digest: &str,
        draft: impl FnOnce() -> Draft,
    ) -> Result<(), LedgerError> {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if policies.contains(digest) {
            return Ok(());
        }
        if !self.state(|state| state.policy == digest) {
            self.log.put_first(&draft(), &self.redactor)?;
        }
        policies.insert(digest.to_owned());
        Ok(())
    }

    /// The field `owner` of a `start` entry: the process that looks after the run.
    ///
    /// A start without it gets it when it is recorded.
    #[must_use]
    pub fn owner_fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if let Ok(owner) = serde_json::to_value(
            self.owner
                .get_or_init(|| Owner::this(self.log.store().mark())),
        ) {
            fields.insert("owner".to_owned(), owner);
        }
        fields
    }

    /// All grants, after the ledger's end was read.
    ///
    /// # Errors
    /// The ledger's end cannot be read.
    pub fn grants(&self) -> Result<Vec<Grant>, LedgerError> {
        let grants = self.log.followed_now(|follower| {
            let state: Option<&State> = follower.as_any().downcast_ref();
            state.map(|state| state.grants.iter().cloned().collect())
        })?;
        Ok(grants.unwrap_or_default())
    }

    /// All refusals, after the ledger's end was read.
    ///
    /// # Errors
    /// The ledger's end cannot be read.
    pub fn refusals(&self) -> Result<Vec<Refusal>, LedgerError> {
        let refusals = self.log.followed_now(|follower| {
            let state: Option<&State> = follower.as_any().downcast_ref();
            state.map(|state| state.refusals.iter().cloned().collect())
        })?;
        Ok(refusals.unwrap_or_default())
    }

    /// The runs of executors elsewhere that have no outcome, and whose owner is gone, after the ledger's end was read.
    ///
    /// Any other run whose owner is gone is recorded as lost when a ledger is opened.
    ///
    /// # Errors
    /// The ledger's end cannot be read.
    pub fn abandoned(&self) -> Result<Vec<Abandoned>, LedgerError> {
        let abandoned = self.log.followed_now(|follower| {
            let state: Option<&State> = follower.as_any().downcast_ref();
            state.map(|state| state.abandoned(self.log.store()))
        })?;
        Ok(abandoned.unwrap_or_default())
    }

    /// Reads the state as of the last time this process read the ledger's end.
    fn state<T: Default>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.log
            .followed(|follower| follower.as_any().downcast_ref().map(read))
            .unwrap_or_default()
    }

    /// Signs what is not signed yet. Called when a ledger is dropped; here its error can be seen.
    ///
    /// # Errors
    /// The checkpoint could not be written. Nothing that was recorded is touched by that.
    pub fn close(self) -> Result<(), LedgerError> {
        Ok(self.log.close()?)
    }

    fn submit(
        &self,
        mut drafts: Vec<Draft>,
        purpose: Purpose,
        last: bool,
    ) -> Result<Range<u64>, LedgerError> {
        for draft in &mut drafts {
            let is_of_run = [Kind::Start, Kind::Stop, Kind::Outcome].contains(&draft.kind);
            if is_of_run && draft.run.is_none() {
                return Err(LedgerError::NoRun {
                    kind: draft.kind.name(),
                });
            }
            if draft.kind == Kind::Start && !draft.body.contains_key("owner") {
                draft.body.extend(self.owner_fields());
            }
            if let (Kind::Decision, Some(Value::Array(ids))) =
                (draft.kind, draft.body.get("grants"))
            {
                let ids = ids.iter().filter_map(Value::as_str);
                draft.claims = ids.map(str::to_owned).collect();
            }
        }
        Ok(self.log.append(&drafts, &self.redactor, purpose, last)?)
    }
}

/// Why something is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It could not be written.
    #[error(transparent)]
    Log(LogError),
    /// It lies where the policy lets requests read or write.
    #[error(
        "the ledger `{}` lies where rules let a request read or write: keep it outside of the workspace (without `ledger.path` \
         it lies below $XDG_STATE_HOME), or have a deny rule cover it",
        escaped(directory)
    )]
    InReach {
        /// Its directory, from the workspace.
        directory: String,
    },
    /// The run has no start, or has an outcome already.
    #[error("run {run} is not open")]
    RunEnded {
        /// Which run.
        run: String,
    },
    /// A grant that the decision would spend is used up, revoked, over, or was never made.
    #[error("grant `{}` cannot be used", id.escape_debug())]
    GrantGone {
        /// Its name.
        id: String,
    },
    /// A grant cannot be recorded as it is.
    #[error("the grant cannot be recorded: {why}")]
    GrantUnfit {
        /// Why.
        why: &'static str,
    },
    /// A pattern of the policy's `redact` is not a regular expression.
    #[error("`{}` is not a regular expression", pattern.escape_debug())]
    Pattern {
        /// The pattern.
        pattern: String,
    },
    /// An entry about a run does not name it.
    #[error("an entry of type `{kind}` has to name its run")]
    NoRun {
        /// The entry's type.
        kind: &'static str,
    },
}

impl From<LogError> for LedgerError {
    fn from(error: LogError) -> LedgerError {
        let LogError::Refused(log::Refusal { why, what, .. }) = error else {
            return LedgerError::Log(error);
        };
        if why == GRANT_GONE {
            LedgerError::GrantGone { id: what }
        } else if why == RUN_ENDED {
            LedgerError::RunEnded { run: what }
        } else {
            LedgerError::Log(LogError::Refused(log::Refusal { why, what }))
        }
    }
}

impl From<DraftError> for LedgerError {
    fn from(error: DraftError) -> LedgerError {
        LedgerError::Log(error.into())
    }
}

impl LedgerError {
    /// The reason code of a request that is denied because of this.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            LedgerError::Log(LogError::NoSpace) => Reason::LedgerNoSpace,
            LedgerError::GrantGone { .. } => Reason::ApprovalRequired,
            LedgerError::Log(_)
            | LedgerError::InReach { .. }
            | LedgerError::RunEnded { .. }
            | LedgerError::GrantUnfit { .. }
            | LedgerError::Pattern { .. }
            | LedgerError::NoRun { .. } => Reason::LedgerUnavailable,
        }
    }
}
