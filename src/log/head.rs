//! Where the ledger ends: everything a writer has to know to add the next line.
//!
//! A [`Head`] reads what it has not read yet, strictly; it is never set to what somebody claims. Under
//! the lock a writer lets it catch up with what other processes wrote, then extends it by its own lines.
//! It touches nothing but the [`Store`] it reads from.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::LogError;
use super::chain::{Chain, ChainState};
use super::decode::Decoder;
use super::follower::Follower;
use super::hash::{hex, hmac, sha256};
use super::keys::Keys;
use super::line::Kind;
use super::mac::MacKey;
use super::merkle::Tree;
use super::note::{Checkpoint, Verifier};
use super::segment::{MAX_TORN_BYTES, SegmentBody, Torn, Zeros, zeros};
use super::store::{Store, segment_name};

/// Bytes read at once.
const BLOCK_BYTES: u64 = 1 << 20;

/// The end of a ledger, as far as it has been read.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) chain: Chain,
    /// End of the last whole line of the segment.
    pub(super) offset: u64,
    /// Length of the last line, to find it again.
    last_bytes: u64,
    /// Bytes that a crash left behind `offset`.
    pub(super) torn: Option<Torn>,
    /// The number of entries that only somebody with the ledger's key can have written: a code or a checkpoint says so.
    pub(super) trusted: u64,
    /// Time of the last entry.
    pub(super) last_ts: String,
    pub(super) follower: Box<dyn Follower>,
}

impl Head {
    /// The head of a log of which nothing has been read.
    pub(super) fn new(follower: &dyn Follower) -> Head {
        Head {
            chain: Chain::default(),
            offset: 0,
            last_bytes: 0,
            torn: None,
            trusted: 0,
            last_ts: String::new(),
            follower: follower.boxed(),
        }
    }

    /// The number of the next entry.
    pub(super) fn seq(&self) -> u64 {
        self.chain.seq()
    }

    /// Reads what was appended since the last time. The lock is held.
    ///
    /// `at_size` is called with the tree at every size from now on, for whoever has to compare roots.
    pub(super) fn catch_up(
        &mut self,
        store: &dyn Store,
        mac: &MacKey,
        at_size: &mut dyn FnMut(&Tree),
    ) -> Result<(), LogError> {
        loop {
            let bytes = store
                .segment_bytes(self.chain.segment)
                .map_err(|error| LogError::io("look at a segment", &error))?;
            let Some(bytes) = bytes else {
                if self.chain == Chain::default() && self.torn.is_none() {
                    return Ok(());
                }
                return self.damaged("the segment is gone");
            };
            let whole = self.read_lines(store, mac, bytes, at_size)?;
            if whole < bytes {
                self.tear(store, bytes)?;
            }
            let next = self.chain.segment.saturating_add(1);
            let more = store
                .segment_bytes(next)
                .map_err(|error| LogError::io("look at a segment", &error))?;
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
            && let Ok(Some(bytes)) = store.segment_bytes(self.chain.segment)
        {
            self.read_lines(store, mac, bytes, &mut |_| {}).ok();
        }
    }

    /// Goes on in the segment `next`, of which nothing has been read. The current one ends here.
    pub(super) fn enter_segment(&mut self, next: u64) {
        self.chain.leave(self.offset, self.torn.take().as_ref());
        self.chain.enter(next);
        self.offset = 0;
    }

    /// The first line of the segment that was entered last.
    pub(super) fn segment_body(&self, origin: &str, key: Option<&Verifier>) -> SegmentBody {
        SegmentBody {
            segment: segment_name(self.chain.segment),
            origin: origin.to_owned(),
            key: key.map(ToString::to_string),
            version: 1,
            writer: concat!("lictor ", env!("CARGO_PKG_VERSION")).to_owned(),
            before: self.chain.before.clone(),
            size: self.chain.tree.size(),
            root: hex(&self.chain.tree.root()),
        }
    }

    /// Extends the head by a line that will be at its end: nothing is written that could not be read.
    pub(super) fn extend(&mut self, decoder: &mut Decoder, line: &[u8]) -> Result<(), LogError> {
        if self.read_line(decoder, line)? {
            self.trusted = self.seq();
            Ok(())
        } else {
            self.damaged("the line could not be read again")
        }
    }

    /// Reads whole lines of the segment, which is `bytes` long. Returns up to where nothing is left to be
    /// said about it: its end, or where something begins that is no whole line.
    fn read_lines(
        &mut self,
        store: &dyn Store,
        mac: &MacKey,
        bytes: u64,
        at_size: &mut dyn FnMut(&Tree),
    ) -> Result<u64, LogError> {
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
                .read_at(self.chain.segment, at, buffer)
                .map_err(|error| LogError::io("read a segment", &error))?;
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
                at_size(&self.chain.tree);
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
    fn lost_bytes(&self, line: &[u8], behind: &[u8]) -> Result<u64, LogError> {
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
    fn read_line(&mut self, decoder: &mut Decoder, bytes: &[u8]) -> Result<bool, LogError> {
        let line = match decoder.decode(bytes) {
            Ok(line) => line,
            Err(_) if bytes.contains(&0) => return Ok(false),
            Err(error) => return self.damaged(error.what),
        };
        if let Err(what) = self.chain.next(&line, bytes) {
            return self.damaged(&what);
        }
        if line.kind == Kind::Checkpoint {
            self.trusted = self.trusted.max(self.chain.signed);
        }
        self.follower.see(&line);
        line.ts.clone_into(&mut self.last_ts);
        self.last_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(self.last_bytes);
        Ok(true)
    }

    /// Notes the bytes from `offset` to `end` as torn.
    fn tear(&mut self, store: &dyn Store, end: u64) -> Result<(), LogError> {
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
                .read_at(self.chain.segment, at, block)
                .map_err(|error| LogError::io("read a segment", &error))?;
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

    fn damaged<T>(&self, what: &str) -> Result<T, LogError> {
        Err(LogError::Damaged {
            segment: segment_name(self.chain.segment),
            line: self.chain.lines.saturating_add(1),
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
struct StateFile {
    v: u64,
    #[serde(flatten)]
    chain: ChainState,
    offset: u64,
    last_bytes: u64,
    last_ts: String,
    kept: Kept,
    /// State that the follower saved.
    #[serde(flatten)]
    follower: Map<String, Value>,
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
        let state = StateFile {
            v: 2,
            chain: ChainState::of(&self.chain),
            offset: self.offset,
            last_bytes: self.last_bytes,
            last_ts: self.last_ts.clone(),
            kept: kept.clone(),
            follower: self.follower.save(),
        };
        let json = serde_json::to_string(&state).ok()?;
        Some(format!("{json}\n{}\n", hex(&mac.of(json.as_bytes()))).into_bytes())
    }

    /// The head in the file `state`, if it is one of ours and the ledger still has its last line.
    pub(super) fn from_state(
        bytes: &[u8],
        keys: &Keys,
        store: &dyn Store,
        follower: &dyn Follower,
    ) -> Stated {
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
        match Head::parse_state(json, follower) {
            None => Stated::Lost("is of another version"),
            Some((head, _)) if !head.last_line_stands(store) => {
                Stated::Lost("speaks of entries that the ledger does not have")
            }
            Some((head, kept)) => Stated::Stands(Box::new(head), kept),
        }
    }

    fn parse_state(json: &str, follower: &dyn Follower) -> Option<(Head, Kept)> {
        let file: StateFile = serde_json::from_str(json)
            .ok()
            .filter(|file: &StateFile| file.v == 2)?;
        let head = Head {
            chain: file.chain.chain()?,
            offset: file.offset,
            last_bytes: file.last_bytes,
            torn: None,
            trusted: file.chain.size,
            last_ts: file.last_ts,
            follower: follower.load(&file.follower)?,
        };
        Some((head, file.kept))
    }

    fn last_line_stands(&self, store: &dyn Store) -> bool {
        let Some(start) = self.offset.checked_sub(self.last_bytes) else {
            return false;
        };
        let mut line = vec![0; usize::try_from(self.last_bytes.min(BLOCK_BYTES)).unwrap_or(0)];
        let long_enough = matches!(store.segment_bytes(self.chain.segment), Ok(Some(bytes)) if bytes >= self.offset);
        long_enough
            && store
                .read_at(self.chain.segment, start, &mut line)
                .is_ok_and(|got| got == line.len())
            && sha256(&line) == self.chain.prev
    }
}
