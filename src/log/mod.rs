//! An append-only, signed, hash-chained file. It knows nothing of what its lines are about.
//!
//! [`Draft`]s come in, and [`Log::append`] returns when they are lines that survive a crash. Several threads and
//! several processes share one log; each line names the digest of the one before it, and signed tree heads cover them
//! all. [`verify`] says what a log proves, and what not. A [`Follower`] keeps what follows from the lines and refuses
//! those that may not come next; the module `record` has the one of this program.
//!
//! | file | idea |
//! |---|---|
//! | `line`, `decode`, `names` | the exact bytes of a line, and reading them strictly |
//! | `chain`, `segment`, `mac` | what a line has to say to come next |
//! | `merkle`, `note`, `hash` | the tree over the lines, signed heads of it, digests |
//! | `follower` | what somebody else keeps of the lines |
//! | `store/` | the directory, and what it promises |
//! | `head` | where the log ends |
//! | `queue`, `compose`, `writer/` | how drafts become durable lines |
//! | `keys`, `holder`, `elsewhere` | the key beside the log, keys that are held elsewhere, and asking for their signatures |
//! | `snapshot`, `read`, `follow` | reading a log that somebody may have changed, once and as it grows |
//! | `verify/`, `reindex` | whether a log is whole, and making its side files anew |
//! | `proof`, `tiles` | proofs about single entries, and the log as other tools read it |
//! | `place` | what a log's directory is worth: filesystem, who can read the key |
//! | `boot`, `error` | this start of the machine; what can go wrong |

#![forbid(unsafe_code)]

pub(crate) mod boot;
mod chain;
mod compose;
pub mod decode;
mod elsewhere;
mod error;
pub mod follow;
mod follower;
pub(crate) mod hash;
mod head;
pub mod holder;
mod keys;
pub(crate) mod line;
mod mac;
pub mod merkle;
mod names;
pub mod note;
pub mod place;
pub mod proof;
mod queue;
pub mod read;
mod reindex;
mod segment;
mod snapshot;
pub mod store;
mod tiles;
pub mod verify;
mod writer;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::elsewhere::Elsewhere;
pub use self::error::LogError;
pub use self::follower::{Follower, Refusal, Unfollowed};
use self::holder::{KeyHolder, SIGN_WAIT};
use self::line::prepare;
pub use self::line::{
    Cover, Draft, DraftError, HEAD_NAMES, Kind, MAX_INTEGER, MAX_LINE_BYTES, NotARunId, Part,
    Plain, Prepared, RunId, TAIL_NAMES, text_value,
};
use self::note::Verifier;
pub use self::queue::Purpose;
use self::queue::{Batch, Queue};
use self::store::Store;
use self::writer::{Opening, Writer, leave_gap};

/// Time for which a writer waits for the lock before it gives up, and with it the request.
pub const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Size at which a segment ends, in bytes. Small enough to copy and to check one alone, large enough that
/// a year of a busy machine is a few dozen files.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;

/// Options for opening a log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Accept network and FUSE filesystems, where locks and durability may not be what they seem.
    pub allow_unsafe_filesystem: bool,
    /// Size at which a segment ends, in bytes.
    pub segment_bytes: u64,
    /// Name of a new log in its checkpoints: no white space, no `+`. Random if `None`.
    pub origin: Option<String>,
    /// True if a new log signs. One that exists goes on as it began.
    pub sign: bool,
    /// Time to wait for the lock.
    pub lock_wait: Duration,
    /// Who holds the key, if it does not lie beside the log. A log with another key hands over to it.
    pub holder: Option<Arc<dyn KeyHolder>>,
    /// Who held the key before: they sign that they hand over.
    pub earlier_holders: Vec<Arc<dyn KeyHolder>>,
    /// Time that a holder has to sign.
    pub sign_wait: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            allow_unsafe_filesystem: false,
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            origin: None,
            sign: true,
            lock_wait: LOCK_WAIT,
            holder: None,
            earlier_holders: Vec::new(),
            sign_wait: SIGN_WAIT,
        }
    }
}

/// A log that is open for writing.
///
/// ```
/// use std::sync::Arc;
///
/// use lictor::log::store::FileStore;
/// use lictor::log::{Draft, Kind, Log, Options, Plain, Purpose, Unfollowed};
/// # let dir = std::env::temp_dir().join(format!("lictor-doc-log-{}", std::process::id()));
///
/// let store = Arc::new(FileStore::open(&dir, false)?);
/// let log = Log::open(store, &Options::default(), &Unfollowed)?;
/// let draft = Draft::new(Kind::Observed).with("what", "a call ended");
/// let lines = log.append(&[draft], &Plain, Purpose::Record, false)?;
/// assert_eq!(lines, 1..2); // line 0 describes the segment
/// # drop(log); std::fs::remove_dir_all(&dir).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log {
    /// Lines that go in front of the next group.
    first: Mutex<Vec<Prepared>>,
    queue: Queue,
    writer: Arc<Mutex<Writer>>,
    elsewhere: Arc<Elsewhere>,
    store: Arc<dyn Store>,
}

impl Log {
    /// Opens the log in `store`, or makes it. `follower` has seen nothing yet.
    ///
    /// The remains of an earlier crash are accounted for here.
    ///
    /// # Errors
    /// The store cannot be used, somebody holds the lock, or the log is damaged: shorter than its checkpoint, or with
    /// a line that was not written like this. A damaged log is left as it is, and nothing is added there until a person
    /// has looked.
    pub fn open(
        store: Arc<dyn Store>,
        options: &Options,
        follower: &dyn Follower,
    ) -> Result<Log, LogError> {
        Log::open_for(store, options, follower, Opening::Record).map(|(log, _)| log)
    }

    fn open_for(
        store: Arc<dyn Store>,
        options: &Options,
        follower: &dyn Follower,
        opening: Opening,
    ) -> Result<(Log, Vec<String>), LogError> {
        let (writer, missing) = Writer::open(&store, options, follower, opening)?;
        let writer = Arc::new(Mutex::new(writer));
        let log = Log {
            first: Mutex::default(),
            queue: Queue::default(),
            elsewhere: Arc::new(Elsewhere::new(Arc::clone(&writer), options)),
            writer,
            store,
        };
        Ok((log, missing))
    }

    /// Adds `drafts` as consecutive lines, after `cover` has looked at them. When it returns, they survive a crash of
    /// the machine. With `last`, for a process that is about to end, a checkpoint goes along in the same write.
    ///
    /// Returns their numbers. Calls of several threads at once share one write and one sync.
    ///
    /// # Errors
    /// Nothing of it may be relied on. A prefix may still be there, as after a crash.
    pub fn append(
        &self,
        drafts: &[Draft],
        cover: &dyn Cover,
        purpose: Purpose,
        last: bool,
    ) -> Result<Range<u64>, LogError> {
        let entries: Result<Vec<Prepared>, DraftError> =
            drafts.iter().map(|draft| prepare(draft, cover)).collect();
        let batch = Batch::new(purpose, last, entries?);
        let submitted = self.queue.submit(batch, |group| {
            let first = std::mem::take(&mut *lock(&self.first));
            if !lock(&self.writer).commit(&first, group) {
                lock(&self.first).splice(0..0, first);
            }
        });
        if !last {
            Elsewhere::sign_sometimes(&self.elsewhere);
        }
        submitted
    }

    /// Has `draft` written in front of what is appended next.
    ///
    /// # Errors
    /// The draft cannot be a line.
    pub fn put_first(&self, draft: &Draft, cover: &dyn Cover) -> Result<(), LogError> {
        let prepared = prepare(draft, cover)?;
        lock(&self.first).push(prepared);
        Ok(())
    }

    /// Notes, as well as that is possible, that something about `runs` could not be written: for the next `gap` entry.
    pub fn note_gap(&self, runs: &[RunId], why: &str) {
        leave_gap(&*self.store, runs, why);
    }

    /// Hands in the follower, as of the last time this process read the log's end.
    pub fn followed<T>(&self, read: impl FnOnce(&dyn Follower) -> T) -> T {
        read(lock(&self.writer).follower())
    }

    /// Hands in the follower after the log's end was read.
    ///
    /// # Errors
    /// The end cannot be read.
    pub fn followed_now<T>(&self, read: impl FnOnce(&dyn Follower) -> T) -> Result<T, LogError> {
        let mut writer = lock(&self.writer);
        writer.read_end()?;
        Ok(read(writer.follower()))
    }

    /// The secret that lies beside the log: whoever has it may write here.
    pub(crate) fn secret(&self) -> [u8; 32] {
        lock(&self.writer).secret()
    }

    /// The store that it is in.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Signs with a new key from here on: the old key signs the line that names the new one.
    ///
    /// # Errors
    /// The log does not sign, or the new key could not be written.
    pub fn rotate_key(&self) -> Result<Verifier, LogError> {
        lock(&self.writer).rotate_key()
    }

    /// The key with which others check what this log signs; `None` if it does not sign.
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
    /// The log does not sign, or the checkpoint could not be written.
    pub fn anchor(&self, to: &str) -> Result<String, LogError> {
        let draft = Draft::new(Kind::Anchor).with("to", to);
        self.append(&[draft], &Plain, Purpose::Record, true)?;
        match self.elsewhere.holder() {
            Some(holder) => self.elsewhere.close(&*holder),
            None => lock(&self.writer).signed_end(),
        }
    }

    /// The name of the log, as in its checkpoints.
    #[must_use]
    pub fn origin(&self) -> String {
        lock(&self.writer).origin()
    }

    /// Signs what is not signed yet. Called when a log is dropped; here its error can be seen.
    ///
    /// # Errors
    /// The checkpoint could not be written. Nothing that was recorded is touched by that.
    pub fn close(self) -> Result<(), LogError> {
        self.sign_off()
    }

    fn sign_off(&self) -> Result<(), LogError> {
        match self.elsewhere.holder() {
            Some(holder) => self.elsewhere.close_if_unsigned(&*holder),
            None => lock(&self.writer).close(),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Whatever it returns: nothing acknowledged depends on it.
        drop(self.sign_off());
    }
}

/// The lock of a mutex; a thread that panicked while it held one left nothing half done that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
