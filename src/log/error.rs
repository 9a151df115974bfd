//! Why a log cannot be opened, written or read.

#![forbid(unsafe_code)]

use std::io;
use std::path::Path;

use super::follower::Refusal;
use super::line::DraftError;

/// Why something is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The machine refused something.
    #[error("cannot {doing}: {}", why.escape_debug())]
    Io {
        /// The attempt.
        doing: &'static str,
        /// Error text of the system.
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
    /// The ledger is not what was written, or it is shorter.
    #[error("the ledger is damaged at line {line} of `{segment}` (byte {byte}): {what}")]
    Damaged {
        /// Name of the file.
        segment: String,
        /// Line in it, from 1.
        line: u64,
        /// Offset in the file, in bytes.
        byte: u64,
        /// Description of the mistake.
        what: String,
    },
    /// An earlier sync failed, so nobody can say what is on the disk.
    #[error("an earlier write could not be made durable: {}", why.escape_debug())]
    Poisoned {
        /// Error text of the system then.
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
    /// The follower does not let it be written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The draft cannot be a line.
    #[error(transparent)]
    Draft(#[from] DraftError),
}

impl LogError {
    /// The directory is named: it may be one that nobody chose.
    pub(crate) fn directory(dir: &Path, error: &io::Error) -> LogError {
        let mut told = LogError::io("open the ledger's directory", error);
        if let LogError::Io { why, .. } = &mut told {
            *why = format!("`{}`: {why}", dir.display());
        }
        told
    }

    pub(crate) fn io(doing: &'static str, error: &io::Error) -> LogError {
        if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return LogError::NoSpace;
        }
        LogError::Io {
            doing,
            why: error.to_string(),
        }
    }
}
