//! Where the ledger ends: everything a writer has to know to add the next line.
//!
//! A [`Head`] reads what it has not read yet, strictly; it is never set to what somebody claims. Under
//! the lock a writer lets it catch up with what other processes wrote, then extends it by its own lines.
//! It touches nothing but the [`Store`] it reads from.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::LedgerError;
use super::decode::{Decoder, Line};
use super::entry::{Kind, RunId, hex, sha256};
use super::grants::Grants;
use super::keys::Keys;
use super::mac::MacKey;
use super::merkle::{Hash, Tree, leaf_hash};
use super::note::{self, Checkpoint, Signer, Verifier};
use super::owner::{Observer, Owner};
use super::redact::hmac;
use super::segment::{Ended, MAX_TORN_BYTES, SegmentBody, Torn, Zeros, zeros};
use super::store::{Store, segment_name};

/// Bytes read at once.
const BLOCK_BYTES: u64 = 1 << 20;

/// The status of a run whose owner is gone.
pub(super) const LOST: &str = "LOST";

/// Returns true if an outcome is not its run's own: the next writer found that nobody looks after the run any more.
/// Evidence always says how long a run took.
pub(super) fn gives_up(line: &Line<'_>) -> bool {
    line.plain("status") == Some(LOST) && line.field("duration_ms").is_none()
}

/// The end of a ledger, as far as it has been read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    /// The segment that is written to.
    pub(super) segment: u64,
    /// End of its last whole line.
    pub(super) offset: u64,
    /// Lines of the segment.
    lines: u64,
    /// Length of the last line, to find it again.
    last_bytes: u64,
    /// Digest of the last line.
    pub(super) prev: Hash,
    /// The tree over all lines; its size is the number of the next entry.
    pub(super) tree: Tree,
    /// What a crash left behind `offset`.
    pub(super) torn: Option<Torn>,
    /// The files since the last one with a first line; empty where `offset` is not 0.
    before: Vec<Ended>,
    /// The name of the ledger; empty before its first line.
    pub(super) origin: String,
    /// The key that the last first line names.
    pub(super) key: Option<Verifier>,
    /// The key before it, if the next line has to be a checkpoint by which it hands over.
    pub(super) handover: Option<Verifier>,
    /// How many entries the last checkpoint that was seen covers.
    pub(super) signed: u64,
    /// The number of entries that only somebody with the ledger's key can have written: a code or a checkpoint says so.
    pub(super) trusted: u64,
    /// All keys that first lines named.
    pub(super) keys: Vec<Verifier>,
    /// Time of the last entry.
    pub(super) last_ts: String,
    /// Digest of the policy that the last `policy` entry is about; empty before the first.
    pub(super) policy: String,
    /// Runs that were started and have no outcome.
    pub(super) open: BTreeMap<RunId, OpenRun>,
    /// Runs that were declared lost since this process began to read: whoever looks after one may still tell how it
    /// ended.
    pub(super) lost: BTreeSet<RunId>,
    pub(super) grants: Grants,
}

/// A run without outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenRun {
    /// The process that looks after it; none if the entry does not say.
    pub(super) owner: Option<Owner>,
    /// The start of the machine it was started in.
    pub(super) boot: String,
}

impl OpenRun {
    /// Returns true if it is certain that nobody looks after it any more. `store` is where its owner left a mark.
    pub(super) fn is_gone(&self, here: &Observer, store: &dyn Store) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|owner| {
            let mark = owner.mark.as_ref().and_then(|mark| store.is_marked(mark));
            owner.is_gone(&self.boot, here, mark)
        })
    }
}

impl Head {
    /// The head of a ledger of which nothing has been read.
    pub(super) fn new() -> Head {
        Head {
            segment: 0,
            offset: 0,
            lines: 0,
            last_bytes: 0,
            prev: [0; 32],
            tree: Tree::default(),
            torn: None,
            before: Vec::new(),
            origin: String::new(),
            key: None,
            handover: None,
            signed: 0,
            trusted: 0,
            keys: Vec::new(),
            last_ts: String::new(),
            policy: String::new(),
            open: BTreeMap::new(),
            lost: BTreeSet::new(),
            grants: Grants::default(),
        }
    }

    /// The number of the next entry.
    pub(super) fn seq(&self) -> u64 {
        self.tree.size()
    }

    /// Reads what was appended since the last time. The lock is held.
    ///
    /// `at_size` is called with the tree at every size from now on, for whoever has to compare roots.
    pub(super) fn catch_up(
        &mut self,
        store: &dyn Store,
        mac: &MacKey,
        at_size: &mut dyn FnMut(&Tree),
    ) -> Result<(), LedgerError> {
        loop {
            let bytes = store
                .segment_bytes(self.segment)
                .map_err(|error| LedgerError::io("look at a segment", &error))?;
            let Some(bytes) = bytes else {
                if *self == Head::new() {
                    return Ok(());
                }
                return self.damaged("the segment is gone");
            };
            let whole = self.read_lines(store, mac, bytes, at_size)?;
            if whole < bytes {
                self.tear(store, bytes)?;
            }
            let next = self.segment.saturating_add(1);
            let more = store
                .segment_bytes(next)
                .map_err(|error| LedgerError::io("look at a segment", &error))?;
            // An empty one is where somebody wanted to go on and could not: he is still in this one.
            if more.is_none_or(|bytes| bytes == 0) {
                return Ok(());
            }
            self.enter_segment(next);
        }
    }

    /// Reads what it can without the lock, so that little is left to be read with it. What does not fit is
    /// left for [`Head::catch_up`]: somebody may just be writing it.
    pub(super) fn follow(&mut self, store: &dyn Store, mac: &MacKey) {
        if self.torn.is_none()
            && let Ok(Some(bytes)) = store.segment_bytes(self.segment)
        {
            self.read_lines(store, mac, bytes, &mut |_| {}).ok();
        }
    }

    /// Goes on in the segment `next`, of which nothing has been read. The current one ends here.
    pub(super) fn enter_segment(&mut self, next: u64) {
        self.before
            .push(Ended::new(self.segment, self.offset, self.torn.as_ref()));
        self.torn = None;
        self.segment = next;
        self.offset = 0;
        self.lines = 0;
    }

    /// The first line of the segment that was entered last.
    pub(super) fn segment_body(&self, origin: &str, key: Option<&Verifier>) -> SegmentBody {
        SegmentBody {
            segment: segment_name(self.segment),
            origin: origin.to_owned(),
            key: key.map(ToString::to_string),
            version: 1,
            writer: concat!("lictor ", env!("CARGO_PKG_VERSION")).to_owned(),
            before: self.before.clone(),
            size: self.tree.size(),
            root: hex(&self.tree.root()),
        }
    }

    /// Extends the head by a line that will be at its end: nothing is written that could not be read.
    pub(super) fn extend(&mut self, decoder: &mut Decoder, line: &[u8]) -> Result<(), LedgerError> {
        if self.read_line(decoder, line)? {
            self.trusted = self.seq();
            Ok(())
        } else {
            self.damaged("the line could not be read again")
        }
    }

    fn append(&mut self, line: &[u8]) {
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.prev = sha256(line);
        self.tree.push(leaf_hash(line));
        self.offset = self.offset.saturating_add(bytes);
        self.lines = self.lines.saturating_add(1);
        self.last_bytes = bytes;
        self.before.clear();
    }

    /// Reads whole lines of the segment, which is `bytes` long. Returns up to where nothing is left to be
    /// said about it: its end, or where something begins that is no whole line.
    fn read_lines(
        &mut self,
        store: &dyn Store,
        mac: &MacKey,
        bytes: u64,
        at_size: &mut dyn FnMut(&Tree),
    ) -> Result<u64, LedgerError> {
        if bytes < self.offset {
            return self.damaged("the segment is shorter than it was");
        }
        let known = self.torn.as_ref().map_or(0, |torn| torn.bytes);
        if bytes == self.offset.saturating_add(known) {
            return Ok(bytes);
        }
        self.torn = None;
        let mut decoder = Decoder::new();
        // What has been read from `self.offset` on and is not a whole line yet.
        let mut rest: Vec<u8> = Vec::new();
        let mut at = self.offset;
        while at < bytes {
            let wanted =
                usize::try_from(bytes.saturating_sub(at).min(BLOCK_BYTES)).unwrap_or(usize::MAX);
            let old = rest.len();
            rest.resize(old.saturating_add(wanted), 0);
            let buffer = rest.get_mut(old..).unwrap_or(&mut []);
            let got = store
                .read_at(self.segment, at, buffer)
                .map_err(|error| LedgerError::io("read a segment", &error))?;
            if got < wanted {
                return self.damaged("the segment became shorter while it was read");
            }
            at = at.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
            let mut done = 0_usize;
            for line in rest
                .split_inclusive(|byte| *byte == b'\n')
                .filter(|line| line.ends_with(b"\n"))
            {
                if !self.read_line(&mut decoder, line)? {
                    let behind = rest.get(done.saturating_add(line.len())..).unwrap_or(&[]);
                    return self.lost_bytes(line, behind);
                }
                if mac.fits(line) {
                    self.trusted = self.seq();
                }
                at_size(&self.tree);
                done = done.saturating_add(line.len());
            }
            rest.drain(..done);
            if u64::try_from(rest.len()).unwrap_or(u64::MAX) > BLOCK_BYTES {
                break;
            }
        }
        Ok(self.offset)
    }

    /// Zero bytes are what a crash of the machine leaves, in whole sectors. A hole inside of one, with
    /// entries behind it, was made.
    fn lost_bytes(&self, line: &[u8], behind: &[u8]) -> Result<u64, LedgerError> {
        let mut decoder = Decoder::new();
        let entry_follows = behind
            .split_inclusive(|byte| *byte == b'\n')
            .any(|line| decoder.decode(line).is_ok());
        if zeros(line, self.offset) == Some(Zeros::Inside) && entry_follows {
            return self.damaged("zero bytes in a line that other entries follow");
        }
        Ok(self.offset)
    }

    /// Reads one line; `false` if it is what a crash of the machine left: a line with bytes that were
    /// never written, which read as zeros.
    fn read_line(&mut self, decoder: &mut Decoder, bytes: &[u8]) -> Result<bool, LedgerError> {
        let line = match decoder.decode(bytes) {
            Ok(line) => line,
            Err(_) if bytes.contains(&0) => return Ok(false),
            Err(error) => return self.damaged(error.what),
        };
        if line.seq != self.seq() {
            return self.damaged("the line is out of order");
        }
        if line.prev != self.prev {
            return self.damaged("the line does not follow the one before it");
        }
        if (self.offset == 0) != (line.kind == Kind::Segment) {
            return self.damaged("a segment begins with its description, and only there");
        }
        self.see(&line)?;
        self.append(bytes);
        Ok(true)
    }

    /// What a line changes besides the chain.
    fn see(&mut self, line: &Line<'_>) -> Result<(), LedgerError> {
        match (line.kind, line.run) {
            (Kind::Segment, _) => {
                let body = SegmentBody::parse(line).or_else(|what| self.damaged(&what))?;
                body.check(self.segment, &self.tree, &self.before)
                    .or_else(|what| self.damaged(&what))?;
                if !self.origin.is_empty() && self.origin != body.origin {
                    return self.damaged("the segment is of another ledger");
                }
                let key = body.checked_key().or_else(|what| self.damaged(&what))?;
                let old = self.key.take();
                // Whoever still has to sign stays the one: a key that nobody handed over to hands over nothing.
                if old != key && self.handover.is_none() {
                    self.handover = old;
                }
                if let Some(key) = &key
                    && !self.keys.contains(key)
                {
                    self.keys.push(key.clone());
                }
                self.key = key;
                self.origin = body.origin;
            }
            (Kind::Checkpoint, _) => self.see_checkpoint(line)?,
            _ if self.handover.is_some() => {
                return self.damaged("the key changed and the one before did not sign it");
            }
            (Kind::Start, Some(run)) => {
                let owner = line
                    .field("owner")
                    .and_then(|json| serde_json::from_str(json).ok());
                self.open.insert(
                    run,
                    OpenRun {
                        owner,
                        boot: line.boot.to_owned(),
                    },
                );
            }
            (Kind::Outcome, Some(run)) => {
                self.lost.remove(&run);
                if self.open.remove(&run).is_some() && gives_up(line) {
                    self.lost.insert(run);
                }
            }
            (Kind::Policy, _) => {
                let digest = line.plain("policy").unwrap_or_default();
                digest.clone_into(&mut self.policy);
            }
            _ => {}
        }
        self.grants.see(line);
        line.ts.clone_into(&mut self.last_ts);
        Ok(())
    }

    fn see_checkpoint(&mut self, line: &Line<'_>) -> Result<(), LedgerError> {
        let note = line
            .field("note")
            .and_then(|json| serde_json::from_str::<String>(json).ok());
        let (Some(note), Some(key)) = (note, self.handover.take().or_else(|| self.key.clone()))
        else {
            return self.damaged("the checkpoint is not signed");
        };
        match note::open(note.as_bytes(), &[key]) {
            Ok((checkpoint, _))
                if checkpoint.origin == self.origin
                    && checkpoint.size == self.tree.size()
                    && checkpoint.root == self.tree.root() =>
            {
                self.signed = checkpoint.size;
                self.trusted = self.trusted.max(checkpoint.size);
                Ok(())
            }
            Ok(_) => self.damaged("the checkpoint is of another history"),
            Err(error) => self.damaged(&format!("the checkpoint: {error}")),
        }
    }

    /// Notes the bytes from `offset` to `end` as torn.
    fn tear(&mut self, store: &dyn Store, end: u64) -> Result<(), LedgerError> {
        if end.saturating_sub(self.offset) > MAX_TORN_BYTES {
            return self.damaged("more bytes that are no line than a crash leaves");
        }
        let mut sha = Sha256::new();
        let mut at = self.offset;
        let mut buffer = vec![0; usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX)];
        while at < end {
            let wanted =
                usize::try_from(end.saturating_sub(at).min(BLOCK_BYTES)).unwrap_or(usize::MAX);
            let block = buffer.get_mut(..wanted).unwrap_or(&mut []);
            let got = store
                .read_at(self.segment, at, block)
                .map_err(|error| LedgerError::io("read a segment", &error))?;
            if got < wanted {
                return self.damaged("the segment became shorter while it was read");
            }
            sha.update(block);
            at = at.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
        }
        self.torn = Some(Torn {
            bytes: end.saturating_sub(self.offset),
            sha256: sha.finalize().into(),
        });
        Ok(())
    }

    fn damaged<T>(&self, what: &str) -> Result<T, LedgerError> {
        Err(LedgerError::Damaged {
            segment: segment_name(self.segment),
            line: self.lines.saturating_add(1),
            byte: self.offset,
            what: what.to_owned(),
        })
    }
}

/// The file `state`: a head, so that the next process need not read the ledger from its beginning.
///
/// It is only believed with an HMAC under the ledger's key, and only if the last line is still where
/// it says.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    v: u64,
    segment: u64,
    offset: u64,
    lines: u64,
    last_bytes: u64,
    size: u64,
    prev: String,
    peaks: Vec<String>,
    origin: String,
    key: Option<String>,
    keys: Vec<String>,
    handover: Option<String>,
    signed: u64,
    last_ts: String,
    policy: String,
    open: Vec<(String, OpenRun)>,
    grants: Grants,
    kept: Kept,
}

/// The file `checkpoint` as the writer of a state left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The number of entries that it covers; 0 if there was none.
    pub(super) size: u64,
    /// Digest of its text, in hex.
    pub(super) sha256: String,
}

impl Kept {
    /// The file with the text `note`, which says `checkpoint`.
    pub(super) fn of(note: Option<&[u8]>, checkpoint: Option<&Checkpoint>) -> Kept {
        match (note, checkpoint) {
            (Some(note), Some(checkpoint)) => Kept {
                size: checkpoint.size,
                sha256: hex(&sha256(note)),
            },
            _ => Kept::default(),
        }
    }
}

/// The standing of the file `state`.
#[derive(Debug)]
pub(super) enum Stated {
    /// It is where the ledger ended.
    Stands(Box<Head>, Kept),
    /// It is of a version before this one: everything is read again, and that is all.
    Before,
    /// It does not count, and this is why.
    Lost(&'static str),
}

impl Head {
    /// The text of the file `state`. Only a head between two lines of its segment has one, and only if all of it
    /// was written with the ledger's key.
    pub(super) fn state(&self, mac: &MacKey, kept: &Kept) -> Option<Vec<u8>> {
        if self.torn.is_some() || self.offset == 0 || self.trusted < self.seq() {
            return None;
        }
        let state = State {
            v: 2,
            segment: self.segment,
            offset: self.offset,
            lines: self.lines,
            last_bytes: self.last_bytes,
            size: self.tree.size(),
            prev: hex(&self.prev),
            peaks: self.tree.peaks().iter().map(|hash| hex(hash)).collect(),
            origin: self.origin.clone(),
            key: self.key.as_ref().map(ToString::to_string),
            keys: self.keys.iter().map(ToString::to_string).collect(),
            handover: self.handover.as_ref().map(ToString::to_string),
            signed: self.signed,
            last_ts: self.last_ts.clone(),
            policy: self.policy.clone(),
            open: self
                .open
                .iter()
                .map(|(run, open)| (run.to_string(), open.clone()))
                .collect(),
            grants: self.grants.clone(),
            kept: kept.clone(),
        };
        let json = serde_json::to_string(&state).ok()?;
        Some(format!("{json}\n{}\n", hex(&mac.of(json.as_bytes()))).into_bytes())
    }

    /// The head in the file `state`, if it is one of ours and the ledger still has its last line.
    pub(super) fn from_state(bytes: &[u8], keys: &Keys, store: &dyn Store) -> Stated {
        let text = std::str::from_utf8(bytes).ok();
        let parts = text.and_then(|text| text.strip_suffix('\n')?.split_once('\n'));
        let Some((json, code)) = parts else {
            return Stated::Lost("is damaged");
        };
        if code != hex(&keys.mac().of(json.as_bytes())) {
            return match code == hex(&hmac(&keys.secret, json.as_bytes())) {
                true => Stated::Before,
                false => Stated::Lost("does not carry the code of this ledger"),
            };
        }
        match Head::parse_state(json, keys) {
            None => Stated::Lost("is of another version"),
            Some((head, _)) if !head.last_line_stands(store) => {
                Stated::Lost("speaks of entries that the ledger does not have")
            }
            Some((head, kept)) => Stated::Stands(Box::new(head), kept),
        }
    }

    fn parse_state(json: &str, keys: &Keys) -> Option<(Head, Kept)> {
        let state: State = serde_json::from_str(json)
            .ok()
            .filter(|state: &State| state.v == 2)?;
        let peaks: Option<Vec<Hash>> = state.peaks.iter().map(|hash| unhex(hash)).collect();
        // Mostly the key at hand: then there is no point of the curve to be found anew.
        let own = keys.signer.as_ref().map(Signer::verifier);
        let own = own.map(|own| (own.to_string(), own));
        let one = |key: String| match &own {
            Some((text, own)) if key == *text => Some((*own).clone()),
            _ => Verifier::parse(&key).ok(),
        };
        let verifier = |key: Option<String>| match key {
            Some(key) => one(key).map(Some),
            None => Some(None),
        };
        let all: Option<Vec<Verifier>> = state.keys.into_iter().map(one).collect();
        let open: Option<BTreeMap<RunId, OpenRun>> = state
            .open
            .into_iter()
            .map(|(run, open)| Some((run.parse().ok()?, open)))
            .collect();
        let head = Head {
            segment: state.segment,
            offset: state.offset,
            lines: state.lines,
            last_bytes: state.last_bytes,
            prev: unhex(&state.prev)?,
            tree: Tree::from_peaks(state.size, peaks?)?,
            torn: None,
            before: Vec::new(),
            origin: state.origin,
            key: verifier(state.key)?,
            handover: verifier(state.handover)?,
            signed: state.signed,
            trusted: state.size,
            keys: all?,
            last_ts: state.last_ts,
            policy: state.policy,
            open: open?,
            lost: BTreeSet::new(),
            grants: state.grants,
        };
        Some((head, state.kept))
    }

    fn last_line_stands(&self, store: &dyn Store) -> bool {
        let Some(start) = self.offset.checked_sub(self.last_bytes) else {
            return false;
        };
        let mut line = vec![0; usize::try_from(self.last_bytes.min(BLOCK_BYTES)).unwrap_or(0)];
        let long_enough =
            matches!(store.segment_bytes(self.segment), Ok(Some(bytes)) if bytes >= self.offset);
        long_enough
            && store
                .read_at(self.segment, start, &mut line)
                .is_ok_and(|got| got == line.len())
            && sha256(&line) == self.prev
    }
}

/// The digest that [`hex`] wrote.
pub(super) fn unhex(text: &str) -> Option<Hash> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
