//! Where a verification ended, so that the next one reads only what is new.
//!
//! Whoever keeps it elsewhere holds the ledger to it: what was verified then must still be there, with the
//! same root. That the old bytes are unchanged is not looked at again; a checkpoint over them cannot hold
//! any more if the tree is another.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::super::grants::Grants;
use super::super::head::unhex;
use super::super::merkle::{Hash, Tree};
use super::TornEnd;

/// The end of a verification. Opaque; made by one verification and read by the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    pub(super) v: u32,
    pub(super) segment: u64,
    /// End of the last whole line.
    pub(super) offset: u64,
    pub(super) lines: u64,
    /// Where the last line begins.
    pub(super) last_byte: u64,
    pub(super) size: u64,
    pub(super) peaks: Vec<String>,
    /// Digest of the last line.
    pub(super) hash: String,
    pub(super) origin: String,
    pub(super) keys: Vec<String>,
    pub(super) signs: bool,
    /// From how many entries on which key signs.
    pub(super) in_force: Vec<(u64, Option<String>)>,
    pub(super) signed: u64,
    pub(super) torn: Vec<TornEnd>,
    pub(super) boot: String,
    /// Runs that were allowed and not started, with what was allowed.
    pub(super) allowed: Vec<(String, Option<String>)>,
    /// Runs without outcome, with the start of the machine.
    pub(super) open: Vec<(String, String)>,
    /// Sizes that were compared with checkpoints, and the roots there.
    pub(super) known: Vec<(u64, String)>,
    pub(super) grants: Grants,
    /// Time of the last line.
    pub(super) last_ts: String,
}

impl Resume {
    /// Reads what an earlier verification left.
    ///
    /// # Errors
    /// It is not of this version, or not whole.
    pub fn parse(text: &str) -> Result<Resume, NotAState> {
        let state: Resume = serde_json::from_str(text).map_err(|_| NotAState)?;
        if state.v == 1 && state.tree().is_some() {
            Ok(state)
        } else {
            Err(NotAState)
        }
    }

    /// The text that [`Resume::parse`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How many entries were verified.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.size
    }

    /// Whether the root at `size` is to be had by going on from here.
    pub(super) fn knows(&self, size: u64) -> bool {
        size >= self.size || self.known.iter().any(|(known, _)| *known == size)
    }

    pub(super) fn tree(&self) -> Option<Tree> {
        let peaks: Option<Vec<Hash>> = self.peaks.iter().map(|hash| unhex(hash)).collect();
        Tree::from_peaks(self.size, peaks?)
    }
}

/// The text is not what a verification left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the state of an earlier verification")]
#[non_exhaustive]
pub struct NotAState;
