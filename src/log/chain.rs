//! The chain: what a line has to say to come next. Whoever writes and whoever verifies hold lines to it.
//!
//! A [`Chain`] takes lines in their order. [`Chain::next`] refuses the first line that does not fit; a writer stops
//! there. Verification goes on behind such a line: it compares numbers and digests itself, to say which of two
//! neighbours was changed, and asks [`Chain::meet`] for everything else.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::decode::Line;
use super::hash::{hex, sha256, unhex};
use super::line::Kind;
use super::merkle::{Hash, Tree, leaf_hash};
use super::note::{self, Checkpoint, Verifier};
use super::segment::{Ended, SegmentBody, Torn};

/// The chain up to a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chain {
    /// The segment that the next line goes into.
    pub(super) segment: u64,
    /// Lines that it has.
    pub(super) lines: u64,
    /// Digest of the last line; zeros before the first.
    pub(super) prev: Hash,
    /// The tree over all lines; its size is the number of the next entry.
    pub(super) tree: Tree,
    /// The files since the last one that has a first line; none once the segment has one.
    pub(super) before: Vec<Ended>,
    /// The name of the ledger; none before its first line.
    pub(super) origin: Option<String>,
    /// The key that the last first line names.
    pub(super) key: Option<Verifier>,
    /// All keys that first lines named.
    pub(super) keys: Vec<Verifier>,
    /// The key before it, if the next line has to be a checkpoint by which it hands over.
    pub(super) handover: Option<Verifier>,
    /// Number of entries that the last checkpoint covers.
    pub(super) signed: u64,
}

/// The part of a line that the chain reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// The first line of a segment, as a whole.
    Segment(&'a str),
    /// A checkpoint, as a whole line.
    Checkpoint(&'a str),
    /// Anything else.
    Other,
}

impl<'a> Part<'a> {
    fn of(line: &Line<'a>) -> Part<'a> {
        if line.kind == Kind::Segment {
            Part::Segment(line.text())
        } else if line.kind == Kind::Checkpoint {
            Part::Checkpoint(line.text())
        } else {
            Part::Other
        }
    }
}

/// Something about a line that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: String,
    /// It follows from any fault before it, and is one of its own only if there is none.
    pub(super) follows: bool,
}

impl Fault {
    fn own(what: impl Into<String>) -> Fault {
        Fault {
            what: what.into(),
            follows: false,
        }
    }

    fn following(what: impl Into<String>) -> Fault {
        Fault {
            what: what.into(),
            follows: true,
        }
    }
}

impl Chain {
    /// The number of the next entry.
    pub(super) fn seq(&self) -> u64 {
        self.tree.size()
    }

    /// A checkpoint over all lines.
    pub(super) fn end(&self) -> Checkpoint {
        let origin = self.origin.as_deref().unwrap_or_default();
        Checkpoint::new(origin, self.tree.size(), self.tree.root())
    }

    /// Ends the segment after `bytes` of whole lines; `torn` is what a crash left behind them.
    pub(super) fn leave(&mut self, bytes: u64, torn: Option<&Torn>) {
        self.before.push(Ended::new(self.segment, bytes, torn));
    }

    /// Goes on at the beginning of a segment.
    pub(super) fn enter(&mut self, segment: u64) {
        self.segment = segment;
        self.lines = 0;
    }

    /// Takes the line with these bytes, if it is one that may come next; else nothing changes.
    pub(super) fn next(&mut self, line: &Line<'_>, bytes: &[u8]) -> Result<(), String> {
        if line.seq != self.seq() {
            return Err("the line is out of order".to_owned());
        }
        if line.prev != self.prev {
            return Err("the line does not follow the one before it".to_owned());
        }
        let part = Part::of(line);
        let mut faults = Vec::new();
        if let Part::Other = part {
            self.meet(part, &mut faults);
        } else {
            let mut next = self.clone();
            next.meet(part, &mut faults);
            if faults.is_empty() {
                *self = next;
            }
        }
        match faults.into_iter().next() {
            Some(fault) => Err(fault.what),
            None => {
                self.push(sha256(bytes), leaf_hash(bytes));
                Ok(())
            }
        }
    }

    /// Adds a line, whatever it says, by its digest and its leaf of the tree.
    pub(super) fn push(&mut self, hash: Hash, leaf: Hash) {
        self.prev = hash;
        self.tree.push(leaf);
        self.lines = self.lines.saturating_add(1);
    }

    /// Reads the next line, apart from its number and what it says of the line before. Returns the key that signed it,
    /// if it is a checkpoint that holds.
    pub(super) fn meet(&mut self, part: Part<'_>, faults: &mut Vec<Fault>) -> Option<Verifier> {
        let first = self.lines == 0;
        if first != matches!(part, Part::Segment(_)) {
            faults.push(Fault::own(
                "a segment begins with its description, and only there",
            ));
        }
        // A crash may have ended the segment before the old key could sign; then the next one follows.
        if matches!(part, Part::Other) && self.handover.take().is_some() {
            faults.push(Fault::own(HANDOVER));
        }
        match part {
            Part::Segment(line) if first => self.segment_line(line, faults),
            Part::Checkpoint(line) => {
                let opened = self.open_checkpoint(line);
                self.handover = None;
                match opened {
                    Ok((size, key)) => {
                        self.signed = size;
                        return Some(key);
                    }
                    Err(what) => faults.push(Fault::following(what)),
                }
            }
            Part::Segment(_) | Part::Other => {}
        }
        None
    }

    fn segment_line(&mut self, line: &str, faults: &mut Vec<Fault>) {
        let body = match SegmentBody::parse(line) {
            Ok(body) => body,
            Err(what) => return faults.push(Fault::own(what)),
        };
        if let Err(what) = body.check(self.segment, &self.tree, &self.before) {
            faults.push(Fault::following(what));
        }
        self.before.clear();
        let key = body.checked_key();
        let is_first = self.origin.is_none();
        if *self.origin.get_or_insert_with(|| body.origin.clone()) != body.origin {
            faults.push(Fault::own("the segment is of another ledger"));
        }
        let key = match key {
            Ok(key) => key,
            Err(what) => return faults.push(Fault::own(what)),
        };
        if !is_first && key != self.key {
            match self.key.take() {
                // If a handover is pending, the original key still has to sign: a key that nobody handed over to
                // cannot hand over.
                Some(old) => self.handover = self.handover.take().or(Some(old)),
                None => faults.push(Fault::own("a ledger that did not sign does so now")),
            }
        }
        if let Some(key) = &key
            && !self.keys.contains(key)
        {
            self.keys.push(key.clone());
        }
        self.key = key;
    }

    /// Checks a checkpoint that covers all lines before it. Returns how many, and the key that signed.
    pub(super) fn open_checkpoint(&self, line: &str) -> Result<(u64, Verifier), String> {
        #[derive(Deserialize)]
        struct Body {
            note: String,
        }
        let body: Body =
            serde_json::from_str(line).map_err(|_| "the checkpoint holds no note".to_owned())?;
        let Some(key) = self.handover.as_ref().or(self.key.as_ref()) else {
            return Err("a checkpoint in a ledger that names no key".to_owned());
        };
        let (checkpoint, _) = note::open(body.note.as_bytes(), std::slice::from_ref(key))
            .map_err(|error| format!("the checkpoint: {error}"))?;
        if checkpoint == self.end() {
            Ok((checkpoint.size, key.clone()))
        } else {
            Err("the entries before are not those that were signed".to_owned())
        }
    }
}

/// A key was exchanged by somebody who did not have it.
pub(super) const HANDOVER: &str = "the key changed and the one before did not sign it";

/// A chain as the files of writers and verifiers hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChainState {
    pub(super) segment: u64,
    #[serde(default)]
    pub(super) lines: u64,
    pub(super) size: u64,
    // The aliases are the names that the state of a verification once had.
    #[serde(alias = "hash")]
    prev: String,
    peaks: Vec<String>,
    #[serde(default, alias = "ended", skip_serializing_if = "Vec::is_empty")]
    before: Vec<Ended>,
    origin: Option<String>,
    #[serde(default)]
    key: Option<String>,
    keys: Vec<String>,
    /// In place of `key`: the last one of `keys` signs.
    #[serde(default, skip_serializing)]
    signs: bool,
    #[serde(default)]
    handover: Option<String>,
    signed: u64,
}

impl ChainState {
    /// The chain as text and numbers.
    pub(super) fn of(chain: &Chain) -> ChainState {
        ChainState {
            segment: chain.segment,
            lines: chain.lines,
            size: chain.tree.size(),
            prev: hex(&chain.prev),
            peaks: chain.tree.peaks().iter().map(|hash| hex(hash)).collect(),
            before: chain.before.clone(),
            origin: chain.origin.clone(),
            key: chain.key.as_ref().map(ToString::to_string),
            keys: chain.keys.iter().map(ToString::to_string).collect(),
            signs: false,
            handover: chain.handover.as_ref().map(ToString::to_string),
            signed: chain.signed,
        }
    }

    /// The chain again; none if the state is not whole.
    pub(super) fn chain(&self) -> Option<Chain> {
        let keys: Option<Vec<Verifier>> = self.keys.iter().map(|key| verifier(key)).collect();
        let keys = keys?;
        let last = keys.last().filter(|_| self.signs).cloned();
        Some(Chain {
            segment: self.segment,
            lines: self.lines,
            prev: unhex(&self.prev)?,
            tree: self.tree()?,
            before: self.before.clone(),
            origin: self.origin.clone(),
            key: match &self.key {
                Some(key) => Some(verifier(key)?),
                None => last,
            },
            keys,
            handover: match &self.handover {
                Some(key) => Some(verifier(key)?),
                None => None,
            },
            signed: self.signed,
        })
    }

    pub(super) fn tree(&self) -> Option<Tree> {
        let peaks: Option<Vec<Hash>> = self.peaks.iter().map(|hash| unhex(hash)).collect();
        Tree::from_peaks(self.size, peaks?)
    }
}

fn verifier(key: &str) -> Option<Verifier> {
    Verifier::parse(key).ok()
}
