//! Where a verification ended, so that the next one reads only what is new.
//!
//! It goes on at the beginning of the last file, and reads that one whole. Files before it were complete then: they
//! are read again if their size, their inode or one of their times is another now. Whoever keeps the state elsewhere
//! holds the ledger to it: what was verified then must still be there, with the same root.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::chain::ChainState;
use super::super::hash::{hex, unhex};
use super::super::snapshot::SnapSegment;
use super::super::store::FileStamp;
use super::TornEnd;

/// The end of a verification. Opaque; made by one verification and read by the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    pub(super) v: u32,
    /// Number of entries that were verified, and the root of the tree over them.
    pub(super) entries: u64,
    pub(super) root: String,
    /// The chain at the beginning of the file to go on in.
    #[serde(flatten)]
    pub(super) chain: ChainState,
    /// The files before it.
    pub(super) files: Vec<FileStamp>,
    /// From how many entries on which key signs.
    pub(super) in_force: Vec<(u64, Option<String>)>,
    pub(super) is_pinned: bool,
    pub(super) adopted: Vec<(u64, u64)>,
    pub(super) torn: Vec<TornEnd>,
    /// Sizes that were compared with checkpoints, and the roots there.
    pub(super) known: Vec<(u64, String)>,
    /// Time of the last line.
    pub(super) last_ts: String,
    /// State that the audit saved.
    #[serde(flatten)]
    pub(super) audit: Map<String, Value>,
}

/// State of version 1, as far as it still counts: everything is read again and compared with it.
#[derive(Deserialize)]
struct Before {
    v: u32,
    #[serde(flatten)]
    chain: ChainState,
}

impl Resume {
    /// Reads what an earlier verification left.
    ///
    /// # Errors
    /// It is not of this version or the one before, or not whole.
    pub fn parse(text: &str) -> Result<Resume, NotAState> {
        if let Ok(before) = serde_json::from_str::<Before>(text)
            && before.v == 1
        {
            let tree = before.chain.tree().ok_or(NotAState)?;
            return Ok(Resume {
                v: 1,
                entries: before.chain.size,
                root: hex(&tree.root()),
                ..Resume::default()
            });
        }
        let state: Resume = serde_json::from_str(text).map_err(|_| NotAState)?;
        let is_whole = state.v == 2 && state.chain.tree().is_some() && unhex(&state.root).is_some();
        is_whole.then_some(state).ok_or(NotAState)
    }

    /// The text that [`Resume::parse`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Number of entries that were verified.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns true if the files before the one to go on in are those that were verified, as far as that can be told
    /// without reading them.
    pub(super) fn is_unchanged(&self, segments: &[SnapSegment]) -> bool {
        let first = usize::try_from(self.chain.segment).unwrap_or(usize::MAX);
        let before = segments.get(..first).filter(|_| first < segments.len());
        self.v == 2
            && self.files.len() == first
            && before.is_some_and(|before| {
                before.iter().zip(&self.files).all(|(segment, known)| {
                    let opened = segment.opened.as_ref();
                    opened.is_some_and(|opened| opened.stamp.is_as(known))
                })
            })
    }

    /// Returns true if the root at `size` is to be had by going on from here.
    pub(super) fn knows(&self, size: u64) -> bool {
        size >= self.chain.size || self.known.iter().any(|(known, _)| *known == size)
    }
}

/// The text is not what a verification left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the state of an earlier verification")]
#[non_exhaustive]
pub struct NotAState;
