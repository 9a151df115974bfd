//! The first line of each segment: which ledger this is, who signs it, and what came before.
//!
//! It commits to everything before it (number of entries and root) and accounts for every byte that a
//! crash left at the end of a file. The writer and verification check it with the same code.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::hex;
use super::line::{Draft, Kind};
use super::merkle::{Hash, Tree};
use super::note::Verifier;
use super::store::segment_name;

/// The body of a `segment` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentBody {
    /// The name of the file it is in.
    pub(super) segment: String,
    /// The name of the ledger, the same in all its segments.
    pub(super) origin: String,
    /// The verification key of the checkpoints from here on; none if the ledger does not sign.
    pub(super) key: Option<String>,
    /// Version of the ledger's format.
    pub(super) version: u64,
    /// Program and version.
    pub(super) writer: String,
    /// The files since the last one that has a first line, in their order: usually one.
    pub(super) before: Vec<Ended>,
    /// Number of entries before this one.
    pub(super) size: u64,
    /// Root of the tree over them, in hex.
    pub(super) root: String,
}

/// End of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) segment: String,
    /// Bytes of whole lines.
    pub(super) bytes: u64,
    /// Bytes behind them, which a crash left.
    pub(super) torn_bytes: u64,
    /// Their digest, in hex; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) torn_sha256: Option<String>,
}

impl Ended {
    pub(super) fn new(segment: u64, bytes: u64, torn: Option<&Torn>) -> Ended {
        Ended {
            segment: segment_name(segment),
            bytes,
            torn_bytes: torn.map_or(0, |torn| torn.bytes),
            torn_sha256: torn.map(|torn| hex(&torn.sha256)),
        }
    }
}

/// No crash leaves more bytes than this without a line: writers append far less at once. Whoever makes a file
/// of a terabyte of nothing must not keep everybody busy with reading it.
pub(super) const MAX_TORN_BYTES: u64 = 128 << 20;

/// Bytes that a crash left at the end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    pub(super) bytes: u64,
    pub(super) sha256: Hash,
}

impl SegmentBody {
    /// The line as a draft.
    pub(super) fn draft(&self) -> Draft {
        let mut draft = Draft::new(Kind::Segment);
        if let Ok(Value::Object(body)) = serde_json::to_value(self) {
            draft.body = body;
        }
        draft
    }

    /// Reads the body of a `segment` entry from its line.
    pub(super) fn parse(line: &str) -> Result<SegmentBody, String> {
        let body: SegmentBody = serde_json::from_str(line)
            .map_err(|_| "the first line does not describe its segment".to_owned())?;
        if body.version != 1 {
            return Err("the segment is of an unknown version".to_owned());
        }
        Ok(body)
    }

    /// The verification key. It bears the name of the ledger.
    pub(super) fn checked_key(&self) -> Result<Option<Verifier>, String> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let key = Verifier::parse(key)
            .ok()
            .filter(|key| key.name() == self.origin);
        key.map(Some)
            .ok_or_else(|| "the segment does not name a key of its ledger".to_owned())
    }

    /// Checks that the line stands where it says: in `segment`, after `tree` and after these files.
    pub(super) fn check(&self, segment: u64, tree: &Tree, before: &[Ended]) -> Result<(), String> {
        if self.segment != segment_name(segment) {
            return Err(format!(
                "the segment calls itself `{}`",
                self.segment.escape_debug()
            ));
        }
        if self.size != tree.size() || self.root != hex(&tree.root()) {
            return Err("the segment follows another history".to_owned());
        }
        if self.before != before {
            return Err("the segment describes the end of the one before differently".to_owned());
        }
        Ok(())
    }
}

/// Where zero bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zeros {
    /// With a sector: a disk writes a sector or it does not.
    Sectors,
    /// Elsewhere.
    Inside,
}

/// Where runs of zero bytes end in a line that begins at `at`; none if it has none.
pub(super) fn zeros(line: &[u8], at: u64) -> Option<Zeros> {
    let ends = line
        .windows(2)
        .zip(1_u64..)
        .filter(|(pair, _)| matches!(pair, [0, next] if *next != 0))
        .map(|(_, end)| at.saturating_add(end));
    let mut zeros = line.contains(&0).then_some(Zeros::Sectors)?;
    for end in ends {
        if !end.is_multiple_of(SECTOR_BYTES) {
            zeros = Zeros::Inside;
        }
    }
    Some(zeros)
}

/// The smallest part of a disk that is written at once.
const SECTOR_BYTES: u64 = 512;
