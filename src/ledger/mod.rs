//! Every decision and every outcome, durable and tamper-evident.
//!
//! [`Draft`]s come in, and [`Ledger::commit`] returns when they are lines of the ledger that survive a
//! crash. Several threads and several processes share one ledger; each line names the digest of the one
//! before it, and signed tree heads cover them all. [`verify`] says what a ledger proves, and what not.
//!
//! | file | idea |
//! |---|---|
//! | `entry`, `decode` | the exact bytes of a line, and reading them strictly |
//! | `merkle`, `note` | the tree over the lines, and signed heads of it |
//! | `store` | the directory, and what it promises |
//! | `chain` | what a line has to say to come next |
//! | `head`, `state` | where the ledger ends, and what its lines say together |
//! | `queue`, `compose`, `writer` | how drafts become durable lines |
//! | `permit` | proof of "allowed and recorded" |
//! | `segment`, `keys`, `owner`, `grants`, `redact` | what the lines are about |
//! | `approve`, `signature` | grants into the ledger and out of it, and who signed them |
//! | `blobs` | outputs that are kept beside the record |
//! | `holder`, `elsewhere` | keys that are held elsewhere, and asking for their signatures |
//! | `prove`, `tiles` | proofs about single entries, and the ledger as other tools read it |
//! | `verify`, `show`, `follow`, `stats` | reading a ledger that somebody may have changed |
//! | `place` | what a ledger's directory is worth: filesystem, who can read the key |
//! | `ocsf` | entries as events for security monitoring |

#![forbid(unsafe_code)]

mod approve;
mod blobs;
mod calls;
mod chain;
mod compose;
pub mod decode;
mod elsewhere;
mod entry;
#[cfg(test)]
mod faults;
pub mod follow;
mod grants;
mod head;
pub mod holder;
mod keys;
mod mac;
pub mod merkle;
mod names;
pub mod note;
pub mod ocsf;
mod owner;
mod permit;
pub mod place;
pub mod prove;
mod queue;
mod redact;
mod segment;
pub mod show;
pub mod signature;
mod snapshot;
mod state;
pub mod stats;
pub mod store;
mod tiles;
pub mod verify;
mod writer;

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

pub use self::approve::GrantEntry;
pub use self::blobs::kept_output;
pub use self::calls::{CallState, Calls, Held, SeenCall};
use self::elsewhere::Elsewhere;
pub use self::entry::{
    Draft, DraftError, HEAD_NAMES, Kind, MAX_INTEGER, MAX_LINE_BYTES, NotARunId, RunId, TAIL_NAMES,
    text_value,
};
use self::entry::{Prepared, prepare};
pub use self::grants::{Grant, recorded_grants};
use self::holder::{KeyHolder, SIGN_WAIT};
use self::note::Verifier;
use self::owner::Owner;
pub use self::permit::{NotAdmitted, OpenRun, Permit};
pub use self::queue::Reservation;
use self::queue::{Batch, Purpose, Queue};
pub use self::redact::REDACTED_KEY;
use self::redact::Redactor;
use self::store::{FileStore, Store};
use self::writer::{Opening, Writer, leave_gap};
use crate::policy::CompiledPolicy;
use crate::reason::Reason;
use crate::text::escaped;

/// How long a writer waits for the lock before it gives up, and with it the request.
pub const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Size at which a segment ends, in bytes. Small enough to copy and to check one alone, large enough that
/// a year of a busy machine is a few dozen files.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;

/// What lint says of a policy: JSON for the field `lint` of its entry.
pub type LintSummary = fn(&CompiledPolicy) -> Value;

/// How a ledger is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Accept network and FUSE filesystems, where locks and durability may not be what they seem.
    pub allow_unsafe_filesystem: bool,
    /// Regular expressions; a text that one of them matches is replaced by a digest before it is recorded.
    pub redact: Vec<String>,
    /// Keep what runs keep of their outputs, in `blobs/`.
    pub keep_output: bool,
    /// Size at which a segment ends, in bytes.
    pub segment_bytes: u64,
    /// Name of a new ledger in its checkpoints: no white space, no `+`. Random if `None`.
    pub origin: Option<String>,
    /// Whether a new ledger signs. One that exists goes on as it began.
    pub sign: bool,
    /// How long to wait for the lock.
    pub lock_wait: Duration,
    /// Who holds the key, if it does not lie beside the ledger. A ledger with another key hands over to it.
    pub holder: Option<Arc<dyn KeyHolder>>,
    /// Who held the key before: they sign that they hand over.
    pub earlier_holders: Vec<Arc<dyn KeyHolder>>,
    /// How long a holder is given to sign.
    pub sign_wait: Duration,
    /// What lint says of the policies that decide; asked once for each change of the policy. Without it `lint` is
    /// `null` in their entries.
    pub lint: Option<LintSummary>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            allow_unsafe_filesystem: false,
            redact: Vec::new(),
            keep_output: false,
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            origin: None,
            sign: true,
            lock_wait: LOCK_WAIT,
            holder: None,
            earlier_holders: Vec::new(),
            sign_wait: SIGN_WAIT,
            lint: None,
        }
    }
}

/// A ledger that is open for writing. Shared by `Arc` between threads.
///
/// ```
/// use lictor::ledger::{Draft, Kind, Ledger, Options};
/// # let dir = std::env::temp_dir().join(format!("lictor-doc-{}", std::process::id()));
///
/// let ledger = Ledger::open(&dir, &Options::default())?;
/// let lines = ledger.commit(vec![Draft::new(Kind::Observed).with("what", "a call ended")])?;
/// assert_eq!(lines, 1..2); // line 0 describes the segment
/// # drop(ledger); std::fs::remove_dir_all(&dir).ok();
/// # Ok::<(), lictor::ledger::LedgerError>(())
/// ```
#[derive(Debug)]
pub struct Ledger {
    redactor: Redactor,
    keeps_output: bool,
    /// Asked for by the first run: nothing else needs it.
    owner: OnceLock<Owner>,
    lint: Option<LintSummary>,
    policies: Mutex<Policies>,
    queue: Queue,
    writer: Arc<Mutex<Writer>>,
    elsewhere: Arc<Elsewhere>,
    store: Arc<dyn Store>,
}

/// `policy` entries of this process.
#[derive(Debug, Default)]
struct Policies {
    /// Digests of those that were handed in.
    known: HashSet<String>,
    /// Those that no commit has written yet.
    waiting: Vec<Prepared>,
}

impl Ledger {
    /// Opens the ledger in the directory `dir`, or makes it.
    ///
    /// What an earlier crash left is accounted for here: torn lines, runs whose process is gone.
    ///
    /// # Errors
    /// The directory cannot be used, somebody holds the lock, or the ledger is damaged: shorter than its
    /// checkpoint, or with a line that was not written like this. A damaged ledger is left as it is, and
    /// nothing is recorded there until a person has looked.
    pub fn open(dir: &Path, options: &Options) -> Result<Ledger, LedgerError> {
        let store = FileStore::open(dir, options.allow_unsafe_filesystem)
            .map_err(|error| LedgerError::directory(dir, &error))?;
        Ledger::open_store(Arc::new(store), options)
    }

    /// The same in any other store.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_store(store: Arc<dyn Store>, options: &Options) -> Result<Ledger, LedgerError> {
        Ledger::open_for(store, options, Opening::Record).map(|(ledger, _)| ledger)
    }

    fn open_for(
        store: Arc<dyn Store>,
        options: &Options,
        opening: Opening,
    ) -> Result<(Ledger, Vec<String>), LedgerError> {
        let (writer, secret, missing) = Writer::open(&store, options, opening)?;
        let redactor = Redactor::new(secret, &options.redact)
            .map_err(|pattern| LedgerError::Pattern { pattern })?;
        let writer = Arc::new(Mutex::new(writer));
        let ledger = Ledger {
            elsewhere: Arc::new(Elsewhere::new(Arc::clone(&writer), options)),
            redactor,
            keeps_output: options.keep_output,
            owner: OnceLock::new(),
            lint: options.lint,
            policies: Mutex::default(),
            queue: Queue::default(),
            writer,
            store,
        };
        Ok((ledger, missing))
    }

    /// Makes everything anew that is made from the segments: `checkpoint`, `state`, and `tile/` if it is there.
    /// Returns which of the first two were missing or did not count, one sentence each.
    ///
    /// # Errors
    /// The ledger is not intact, or as [`Ledger::open`].
    pub fn reindex(dir: &Path, options: &Options) -> Result<Vec<String>, LedgerError> {
        let report = verify::verify(dir, &verify::VerifyOptions::default(), &mut |_, _| {});
        let report = report.map_err(|error| LedgerError::Io {
            doing: "verify the ledger",
            why: error.to_string(),
        })?;
        if let (false, Some(problem)) = (report.verdict.is_intact(), report.problems.first()) {
            let problem = problem.clone();
            return Err(LedgerError::Damaged {
                segment: problem.segment,
                line: problem.line,
                byte: problem.byte,
                what: problem.what,
            });
        }
        let store = FileStore::open(dir, options.allow_unsafe_filesystem)
            .map_err(|error| LedgerError::io("open the ledger's directory", &error))?;
        let (ledger, missing) = Ledger::open_for(Arc::new(store), options, Opening::Anew)?;
        match ledger.elsewhere.holder() {
            Some(holder) => ledger.elsewhere.keep_end(&*holder, Ok(())).map(|_| ())?,
            // Without anybody who could sign, the file `checkpoint` stays as it is.
            None => lock(&ledger.writer).write_side_files(None)?,
        }
        drop(ledger);
        let tiles = dir.join("tile");
        if tiles.exists() {
            let rebuilt = std::fs::remove_dir_all(&tiles).map_err(prove::ProofError::Io);
            let rebuilt = rebuilt.and_then(|()| prove::export(dir, dir));
            rebuilt.map_err(|error| LedgerError::Io {
                doing: "write the tiles",
                why: error.to_string(),
            })?;
        }
        Ok(missing)
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
    /// [`LedgerError::NoSpace`] if that space cannot be had; otherwise as [`Ledger::commit`].
    pub fn commit_reserving(
        &self,
        drafts: Vec<Draft>,
    ) -> Result<(Range<u64>, Reservation), LedgerError> {
        let runs = drafts
            .iter()
            .filter(|draft| draft.kind == Kind::Start)
            .filter_map(|draft| draft.run)
            .collect();
        let lines = self.submit(drafts, Purpose::Start, false)?;
        Ok((lines, Reservation::new(runs)))
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
        let runs = reservation.into_runs();
        let result = self.submit(drafts, Purpose::End, last);
        if let Err(error) = &result {
            leave_gap(&*self.store, &runs, error);
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
        if lock(&self.policies).known.contains(digest) {
            return Ok(());
        }
        let prepared = if lock(&self.writer).last_policy() == digest {
            None
        } else {
            Some(prepare(&draft(), &self.redactor)?)
        };
        let mut policies = lock(&self.policies);
        if policies.known.insert(digest.to_owned()) {
            policies.waiting.extend(prepared);
        }
        Ok(())
    }

    /// What a `start` entry has to say about who looks after the run: the field `owner`.
    ///
    /// A start without it gets it when it is recorded.
    #[must_use]
    pub fn owner_fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if let Ok(owner) =
            serde_json::to_value(self.owner.get_or_init(|| Owner::this(self.store.mark())))
        {
            fields.insert("owner".to_owned(), owner);
        }
        fields
    }

    /// All grants, as of the last time this process read the ledger's end.
    ///
    /// # Errors
    /// The ledger's end cannot be read.
    pub fn grants(&self) -> Result<Vec<Grant>, LedgerError> {
        lock(&self.writer).read_grants()
    }

    /// Signs with a new key from here on: the old key signs the line that names the new one.
    ///
    /// # Errors
    /// The ledger does not sign, or the new key could not be written.
    pub fn rotate_key(&self) -> Result<Verifier, LedgerError> {
        lock(&self.writer).rotate_key()
    }

    /// The key with which others check what this ledger signs; `None` if it does not sign.
    #[must_use]
    pub fn verifier(&self) -> Option<Verifier> {
        lock(&self.writer).verifier()
    }

    /// A checkpoint over everything, to be kept elsewhere; `to` says where, for the record.
    ///
    /// Whoever has it can tell later whether anything before it was changed, even by somebody who can
    /// read the key.
    ///
    /// # Errors
    /// The ledger does not sign, or the checkpoint could not be written.
    pub fn anchor(&self, to: &str) -> Result<String, LedgerError> {
        self.commit_last(vec![Draft::new(Kind::Anchor).with("to", to)])?;
        match self.elsewhere.holder() {
            Some(holder) => self.elsewhere.close(&*holder),
            None => lock(&self.writer).signed_end(),
        }
    }

    /// The name of the ledger, as in its checkpoints.
    #[must_use]
    pub fn origin(&self) -> String {
        lock(&self.writer).origin()
    }

    /// Signs what is not signed yet. Called when a ledger is dropped; here its error can be seen.
    ///
    /// # Errors
    /// The checkpoint could not be written. Nothing that was recorded is touched by that.
    pub fn close(self) -> Result<(), LedgerError> {
        self.sign_off()
    }

    fn sign_off(&self) -> Result<(), LedgerError> {
        match self.elsewhere.holder() {
            Some(holder) => self.elsewhere.close_if_unsigned(&*holder),
            None => lock(&self.writer).close(),
        }
    }

    fn submit(
        &self,
        drafts: Vec<Draft>,
        purpose: Purpose,
        last: bool,
    ) -> Result<Range<u64>, LedgerError> {
        let mut batch = Batch::new(purpose, last);
        for mut draft in drafts {
            if draft.kind == Kind::Start && !draft.body.contains_key("owner") {
                draft.body.extend(self.owner_fields());
            }
            batch.push(prepare(&draft, &self.redactor)?, &draft);
        }
        let submitted = self.queue.submit(batch, |group| {
            let waiting = std::mem::take(&mut lock(&self.policies).waiting);
            let policies = lock(&self.writer).commit(&waiting, group);
            if !policies {
                lock(&self.policies).waiting.splice(0..0, waiting);
            }
        });
        if !last {
            Elsewhere::sign_sometimes(&self.elsewhere);
        }
        submitted
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Whatever it returns: nothing acknowledged depends on it.
        drop(self.sign_off());
    }
}

/// Why something is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The machine refused something.
    #[error("cannot {doing}: {}", why.escape_debug())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the machine said.
        why: String,
    },
    /// Somebody else held the lock for the whole time.
    #[error("the ledger is locked by another process")]
    Busy,
    /// The disk is full.
    #[error(
        "no space left for the ledger: 256 KiB have to be free on its filesystem, so that the outcome of a run can be recorded"
    )]
    NoSpace,
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
    /// The ledger is not what was written, or it is shorter.
    #[error("the ledger is damaged at line {line} of `{segment}` (byte {byte}): {what}")]
    Damaged {
        /// Name of the file.
        segment: String,
        /// Line in it, from 1.
        line: u64,
        /// Offset in the file, in bytes.
        byte: u64,
        /// What is wrong.
        what: String,
    },
    /// An earlier sync failed, so nobody can say what is on the disk.
    #[error("an earlier write could not be made durable: {}", why.escape_debug())]
    Poisoned {
        /// What the machine said then.
        why: String,
    },
    /// The ledger signs, but its key is missing or cannot be used.
    #[error("the ledger's key cannot be used: {why}")]
    Key {
        /// Why.
        why: String,
    },
    /// The key is held elsewhere, and whoever holds it did not sign. What was recorded stays, unsigned.
    #[error("the ledger's key did not sign: {why}")]
    NotSigned {
        /// Why.
        why: String,
    },
    /// The run has no start, or has an outcome already.
    #[error("run {run} is not open")]
    RunEnded {
        /// Which run.
        run: RunId,
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
    /// The draft cannot be a line.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A pattern of the policy's `redact` is not a regular expression.
    #[error("`{}` is not a regular expression", pattern.escape_debug())]
    Pattern {
        /// The pattern.
        pattern: String,
    },
}

impl LedgerError {
    /// The reason code of a request that is denied because of this.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            LedgerError::NoSpace => Reason::LedgerNoSpace,
            LedgerError::GrantGone { .. } => Reason::ApprovalRequired,
            LedgerError::Io { .. }
            | LedgerError::Busy
            | LedgerError::InReach { .. }
            | LedgerError::Damaged { .. }
            | LedgerError::Poisoned { .. }
            | LedgerError::Key { .. }
            | LedgerError::NotSigned { .. }
            | LedgerError::RunEnded { .. }
            | LedgerError::GrantUnfit { .. }
            | LedgerError::Draft(_)
            | LedgerError::Pattern { .. } => Reason::LedgerUnavailable,
        }
    }

    /// The directory is named: it may be one that nobody chose.
    fn directory(dir: &Path, error: &io::Error) -> LedgerError {
        let mut told = LedgerError::io("open the ledger's directory", error);
        if let LedgerError::Io { why, .. } = &mut told {
            *why = format!("`{}`: {why}", dir.display());
        }
        told
    }

    fn io(doing: &'static str, error: &io::Error) -> LedgerError {
        if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return LedgerError::NoSpace;
        }
        LedgerError::Io {
            doing,
            why: error.to_string(),
        }
    }
}

/// The lock of a mutex; a thread that panicked while it held one left nothing half done that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
