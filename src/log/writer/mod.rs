//! The one in this process who writes: appends a group's lines under the lock, syncs them, signs them.
//!
//! The space that a run needs to be recorded to its end is kept free on the disk from the moment it starts.

#![forbid(unsafe_code)]

mod opening;
mod signing;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) use self::opening::Opening;
use self::opening::{Found, look};
use super::boot::boot_id;
use super::compose::{Composed, Composer};
use super::follower::Follower;
use super::hash::hex;
use super::head::{Head, Kept};
use super::holder::KeyHolder;
use super::keys::{Keys, random};
use super::line::{Draft, Kind, Plain, Prepared, RunId, prepare};
use super::mac::MacKey;
use super::note;
use super::queue::{Batch, Purpose};
use super::store::{SideFile, Store, segment_name};
use super::{LogError, Options};

/// Space of one longest line.
const LINE_BYTES: u64 = 64 << 10;

/// Space kept for the end of each open run: that it was stopped, and its outcome.
const RESERVE_BYTES: u64 = 2 * LINE_BYTES;

/// Space is kept in pieces of this size, so that most commits need not ask for any.
const RESERVE_STEP_BYTES: u64 = 256 << 10;

/// After so many entries a checkpoint goes along with the next group. Signing and checking one takes 50 µs.
const CHECKPOINT_ENTRIES: u64 = 256;

/// After this time a checkpoint goes along too, however few the entries are.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// The most commits of a process that bring a checkpoint along because the caller announced that it is about to end. A
/// long-running process announces it on every request; then only the two bounds above and [`Writer::close`] count.
const ENDS: u32 = 16;

/// The one in this process who writes.
#[derive(Debug)]
pub(super) struct Writer {
    store: Arc<dyn Store>,
    head: Head,
    /// Where the ledger ended in the segment before, until the one that was begun has a line.
    left: Option<Head>,
    keys: Keys,
    mac: MacKey,
    /// The file `checkpoint` as this process last saw or wrote it.
    kept: Kept,
    /// Who holds keys elsewhere: first the one that signs from now on, if `held`, then those before it.
    holders: Vec<Arc<dyn KeyHolder>>,
    /// The key is held elsewhere.
    held: bool,
    /// The name of the ledger.
    origin: String,
    /// The name of this start of the machine.
    boot: String,
    segment_bytes: u64,
    lock_wait: Duration,
    /// Why nothing may be written any more.
    poisoned: Option<String>,
    /// Up to where space is kept: segment and offset.
    reserved: (u64, u64),
    /// Space is kept in the file `ballast`, because the filesystem keeps none: this many bytes.
    ballast: Option<u64>,
    /// This process has written lines that no checkpoint of it covers.
    unsigned: bool,
    last_checkpoint: Instant,
    /// Number of checkpoints that this process has written.
    checkpoints: u32,
}

impl Writer {
    /// Opens or makes the ledger in `store`. Also returns which side files did not count;
    /// with [`Opening::Anew`] all lines are read, and no line says so.
    pub(super) fn open(
        store: &Arc<dyn Store>,
        options: &Options,
        follower: &dyn Follower,
        opening: Opening,
    ) -> Result<(Writer, Vec<String>), LogError> {
        lock_store(&**store, options.lock_wait)?;
        let opened = Writer::open_locked(store, options, follower, opening);
        store.unlock();
        let (mut writer, wrote, missing) = opened?;
        if wrote {
            writer.sync()?;
            // What could not be recorded is recorded now.
            store
                .remove(SideFile::Gap)
                .map_err(|error| LogError::io("remove the file `gap`", &error))?;
        }
        Ok((writer, missing))
    }

    fn open_locked(
        store: &Arc<dyn Store>,
        options: &Options,
        follower: &dyn Follower,
        opening: Opening,
    ) -> Result<(Writer, bool, Vec<String>), LogError> {
        let Found {
            keys,
            head,
            kept,
            missing,
        } = look(store, options, follower, opening)?;
        let held = options.holder.is_some();
        let name = match (&options.holder, &keys.signer) {
            (Some(holder), _) => Some(holder.verifier().name().to_owned()),
            (None, Some(signer)) => Some(signer.verifier().name().to_owned()),
            (None, None) => None,
        };
        let origin = match (head.chain.origin.as_deref().unwrap_or_default(), name) {
            ("", Some(name)) => name,
            ("", None) => new_origin(options)?,
            (origin, Some(name)) if held && name != origin => {
                return Err(LogError::Key {
                    why: format!(
                        "the ledger is called `{}`, and the key that is held elsewhere `{}`",
                        origin.escape_debug(),
                        name.escape_debug()
                    ),
                });
            }
            (origin, _) => origin.to_owned(),
        };
        let mut writer = Writer {
            store: Arc::clone(store),
            head,
            left: None,
            mac: keys.mac(),
            keys,
            kept,
            holders: options
                .holder
                .iter()
                .chain(&options.earlier_holders)
                .cloned()
                .collect(),
            held,
            origin,
            boot: boot_id(),
            segment_bytes: options.segment_bytes,
            lock_wait: options.lock_wait,
            poisoned: None,
            reserved: (0, 0),
            ballast: None,
            unsigned: false,
            last_checkpoint: Instant::now(),
            checkpoints: 0,
        };
        writer.take_back_key(options)?;
        let is_new = writer.head.seq() == 0;
        let adopting = writer.adopt()?;
        let settling = writer.settle_key_or_wait()?;
        let said: &[String] = if opening == Opening::Anew {
            &[]
        } else {
            &missing
        };
        let gap = store
            .read(SideFile::Gap)
            .map_err(|error| LogError::io("read a file of the ledger", &error))?;
        let drafts = writer.opening(gap, said);
        let entries: Result<Vec<Prepared>, _> =
            drafts.iter().map(|draft| prepare(draft, &Plain)).collect();
        let batch = Batch::new(Purpose::End, false, entries?);
        let wrote = !batch.entries.is_empty() || writer.head.seq() == 0;
        if wrote {
            let mut group = [batch];
            writer.write_group(&[], &mut group)?;
            if let [
                Batch {
                    result: Some(Err(error)),
                    ..
                },
            ] = &group
            {
                return Err(error.clone());
            }
        }
        if is_new {
            // From here on a ledger without this file is one that lost it.
            writer.sync()?;
            writer.write_state().ok();
        }
        Ok((writer, wrote || settling || adopting, missing))
    }

    /// Says which entries somebody without the ledger's key may have written, before anything is signed behind them.
    /// The lock is held. Returns true if there are any.
    fn adopt(&mut self) -> Result<bool, LogError> {
        let (from, to) = (self.head.trusted, self.head.seq());
        if from >= to || self.poisoned.is_some() {
            return Ok(false);
        }
        if self.head.chain.handover.is_some() && self.head.chain.key != self.named() {
            // What comes next is the old key's signature under the new one.
            return Err(LogError::Damaged {
                segment: segment_name(self.head.chain.segment),
                line: 1,
                byte: 0,
                what: "the segment names a key, and nobody with the ledger's key wrote that"
                    .to_owned(),
            });
        }
        if self.head.torn.is_some() {
            self.begin_segment()?;
        }
        let adopted = json!({"from": from, "to": to.saturating_sub(1)});
        let draft = Draft::new(Kind::Gap).with("adopted", adopted).with(
            "why",
            "nobody with the ledger's key wrote these entries, or a version that left no code in them",
        );
        let mut lines = self.composer()?;
        lines.push(&prepare(&draft, &Plain)?)?;
        let composed = lines.finish();
        self.append(&composed.bytes, true)?;
        self.head = composed.head;
        self.unsigned = true;
        Ok(true)
    }

    /// First lines of the next writer: what was lost, what could not be recorded, and what the follower has
    /// to say.
    fn opening(&self, gap: Option<Vec<u8>>, missing: &[String]) -> Vec<Draft> {
        let mut drafts = self.head.follower.opening(&*self.store);
        if !missing.is_empty() {
            drafts.push(Draft::new(Kind::Gap).with("side_files", missing));
        }
        if let Some(gap) = gap {
            let lines: Vec<Value> = String::from_utf8_lossy(&gap)
                .lines()
                .map(|line| {
                    serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()))
                })
                .collect();
            drafts.push(Draft::new(Kind::Gap).with("lost", Value::Array(lines)));
        }
        drafts
    }

    /// Commits a group; each batch gets its result. Whether `policies`, which go first, were written.
    pub(super) fn commit(&mut self, policies: &[Prepared], group: &mut [Batch]) -> bool {
        match self.try_commit(policies, group) {
            Ok(policies) => policies,
            Err(error) => {
                for batch in group {
                    batch.result = None;
                    batch.fail(&error);
                }
                false
            }
        }
    }

    fn try_commit(&mut self, policies: &[Prepared], group: &mut [Batch]) -> Result<bool, LogError> {
        if let Some(why) = &self.poisoned {
            return Err(LogError::Poisoned { why: why.clone() });
        }
        let store = Arc::clone(&self.store);
        self.lock_for(group)?;
        let written = self
            .catch_up()
            .and_then(|()| self.write_group(policies, group));
        store.unlock();
        let wrote = written?;
        if wrote != Wrote::Nothing {
            self.sync()?;
        }
        Ok(wrote == Wrote::All)
    }

    /// A run that ends has nobody else to tell: it waits longer.
    fn lock_for(&mut self, group: &[Batch]) -> Result<(), LogError> {
        let ends = group.iter().any(|batch| batch.purpose == Purpose::End);
        let wait = if ends {
            self.lock_wait.saturating_mul(5)
        } else {
            self.lock_wait
        };
        self.lock(wait)
    }

    /// Takes the lock, and reads on while it waits.
    fn lock(&mut self, wait: Duration) -> Result<(), LogError> {
        let (store, head, mac) = (&*self.store, &mut self.head, &self.mac);
        let mut next = None;
        let mut moves = || {
            let before = (head.offset, next);
            head.follow(store, mac);
            next = store
                .segment_bytes(head.chain.segment.saturating_add(1))
                .ok()
                .flatten();
            before != (head.offset, next)
        };
        store
            .lock(wait, &mut moves)
            .map_err(|error| lock_error(&error))
    }

    /// Reads what others wrote since the last time, a new key included. The lock is held.
    fn catch_up(&mut self) -> Result<(), LogError> {
        self.leave_empty_segment();
        self.head.catch_up(&*self.store, &self.mac, &mut |_| {})?;
        let is_other = self.head.chain.key != self.named();
        if is_other {
            // Somebody who was told of another key came later, and is right.
            self.held = false;
            self.keys = read_keys(&*self.store)?.ok_or_else(|| key_error("is missing"))?;
        }
        self.adopt()?;
        if is_other {
            self.settle_key()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let Err(error) = self.store.sync(self.head.chain.segment) else {
            return Ok(());
        };
        // The kernel reports a failed write once and then forgets it; trying again would report success.
        let why = error.to_string();
        self.poisoned = Some(why.clone());
        let poisoned = LogError::Poisoned { why };
        leave_gap(&*self.store, &[], &poisoned.to_string());
        Err(poisoned)
    }

    /// Appends the group's lines. The lock is held and the head is up to date.
    fn write_group(
        &mut self,
        policies: &[Prepared],
        group: &mut [Batch],
    ) -> Result<Wrote, LogError> {
        let segment = self.head.chain.segment;
        self.next_segment_if_needed(group)?;
        let mut wrote = Wrote::All;
        let mut composed = self.compose(policies, group)?;
        if let Err(error) = self.keep_space(&composed) {
            // The space that is kept for runs is in the segment before, unless that one is torn.
            if self.left.as_ref().is_some_and(|left| left.torn.is_none()) {
                self.leave_empty_segment();
            }
            // Only what has its space already goes on.
            for batch in group
                .iter_mut()
                .filter(|batch| batch.purpose != Purpose::End)
            {
                batch.result = None;
                batch.fail(&error);
            }
            composed = self.compose(&[], group)?;
            wrote = Wrote::Ends;
        }
        if composed.bytes.is_empty() {
            return Ok(Wrote::Nothing);
        }
        self.append(
            &composed.bytes,
            group.iter().any(|batch| batch.purpose == Purpose::End),
        )?;
        self.head = composed.head;
        self.unsigned = true;
        if composed.signed {
            self.last_checkpoint = Instant::now();
            self.checkpoints = self.checkpoints.saturating_add(1);
        }
        if self.head.chain.segment != segment {
            // Whoever comes after a crash reads one segment at most. It can be made again, so it may fail.
            self.write_state().ok();
        }
        Ok(wrote)
    }

    /// Goes on in a new segment after torn bytes, and when the old one is long enough.
    fn next_segment_if_needed(&mut self, group: &[Batch]) -> Result<(), LogError> {
        let first = self.head.seq() == 0
            && self.head.chain.segment == 0
            && self.head.offset == 0
            && self.head.torn.is_none();
        if first {
            return match self.store.segment_bytes(0) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => self
                    .store
                    .create_segment(0)
                    .map_err(|error| LogError::io("make a segment", &error)),
                Err(error) => Err(LogError::io("look at a segment", &error)),
            };
        }
        let torn = self.head.torn.is_some();
        // What was kept for the ends of runs was kept in this segment.
        let only_ends = group.iter().all(|batch| batch.purpose == Purpose::End);
        if !torn && (self.head.offset < self.segment_bytes || only_ends) {
            return Ok(());
        }
        if !torn {
            let closing = self.compose_checkpoint()?;
            if !closing.bytes.is_empty() {
                self.append(&closing.bytes, false)?;
                self.head = closing.head;
            }
        }
        match self.begin_segment() {
            // A full disk: the old segment becomes longer than it should, in the space kept for it.
            Err(LogError::NoSpace) if !torn => Ok(()),
            begun => begun,
        }
    }

    fn begin_segment(&mut self) -> Result<(), LogError> {
        // The new segment must not survive a crash that the old one's lines do not survive.
        self.sync()?;
        let next = self.head.chain.segment.saturating_add(1);
        match self.store.segment_bytes(next) {
            // Somebody made it before and had no space to go on in it.
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.store.create_segment(next),
            Err(error) => Err(error),
        }
        .map_err(|error| LogError::io("make a segment", &error))?;
        self.left = Some(self.head.clone());
        self.head.enter_segment(next);
        Ok(())
    }

    /// Goes back to the segment before, if nothing was written into the one that was begun.
    fn leave_empty_segment(&mut self) {
        if self.head.offset == 0
            && let Some(left) = self.left.take()
        {
            self.head = left;
        }
    }

    /// The lines of a group, for batches that have no result yet.
    fn compose(&self, policies: &[Prepared], group: &mut [Batch]) -> Result<Composed, LogError> {
        let mut lines = self.composer()?;
        for policy in policies {
            lines.push(policy)?;
        }
        let mut last = false;
        for batch in group
            .iter_mut()
            .filter(|batch| !matches!(batch.result, Some(Err(_))))
        {
            batch.result = match lines.head.follower.admits(&batch.entries, &lines.ts) {
                Ok(()) => {
                    let first = lines.head.seq();
                    for entry in &batch.entries {
                        lines.push(entry)?;
                    }
                    last |= batch.last;
                    Some(Ok(first..lines.head.seq()))
                }
                Err(refusal) => Some(Err(refusal.into())),
            };
        }
        let unsigned = lines.head.seq().saturating_sub(lines.head.chain.signed);
        let due = last && self.checkpoints < ENDS
            || unsigned > CHECKPOINT_ENTRIES
            || self.last_checkpoint.elapsed() > CHECKPOINT_INTERVAL;
        if due && !lines.is_empty() {
            lines.push_checkpoint()?;
        }
        Ok(lines.finish())
    }

    fn composer(&self) -> Result<Composer<'_>, LogError> {
        Composer::new(
            &self.head,
            self.signers(),
            &self.mac,
            &self.origin,
            &self.boot,
        )
    }

    /// A checkpoint over everything, unless the last line is one.
    fn compose_checkpoint(&self) -> Result<Composed, LogError> {
        let mut lines = self.composer()?;
        if self.lacks_checkpoint() {
            lines.push_checkpoint()?;
        }
        Ok(lines.finish())
    }

    /// Returns true if the last line is no checkpoint of all lines before it.
    fn lacks_checkpoint(&self) -> bool {
        self.head.seq().saturating_sub(self.head.chain.signed) > 1
    }

    /// Sees to it that after this write there is still space for every open run to end.
    fn keep_space(&mut self, composed: &Composed) -> Result<(), LogError> {
        let open = composed.head.follower.unfinished();
        if open == 0 {
            return Ok(());
        }
        // One line more, for what belongs to no run.
        let kept = open
            .saturating_mul(RESERVE_BYTES)
            .saturating_add(LINE_BYTES);
        let offset = composed.head.offset;
        let needed = offset.saturating_add(kept);
        if let Some(ballast) = self.ballast {
            return if ballast >= kept {
                Ok(())
            } else {
                self.make_ballast(kept)
            };
        }
        if self.reserved.0 == self.head.chain.segment && self.reserved.1 >= needed {
            return Ok(());
        }
        let from = self.head.offset;
        // To the same end as others: what is kept already need not be again, and costs no change of the file.
        let round = needed.checked_next_multiple_of(RESERVE_STEP_BYTES);
        for end in [round.unwrap_or(needed), needed] {
            let bytes = end.saturating_sub(from);
            match self.store.reserve(self.head.chain.segment, from, bytes) {
                Ok(()) => {
                    self.reserved = (self.head.chain.segment, end);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    return self.make_ballast(kept);
                }
                Err(error) if end == needed => return Err(LogError::io("keep space", &error)),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Fills the file `ballast` with random bytes, which no filesystem can make small.
    fn make_ballast(&mut self, bytes: u64) -> Result<(), LogError> {
        let mut ballast = Vec::new();
        while u64::try_from(ballast.len()).unwrap_or(u64::MAX) < bytes {
            ballast.extend_from_slice(&random().map_err(|why| LogError::Io {
                doing: "keep space",
                why,
            })?);
        }
        replace(&*self.store, SideFile::Ballast, &ballast)
            .map_err(|error| LogError::io("keep space", &error))?;
        self.ballast = Some(bytes);
        Ok(())
    }

    /// Appends bytes to the current segment. Lines that end a run may use up the ballast.
    fn append(&mut self, bytes: &[u8], ends: bool) -> Result<(), LogError> {
        let mut rest = bytes;
        let mut tries = 0_u32;
        while !rest.is_empty() {
            match self.store.append(self.head.chain.segment, rest) {
                Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or(&[]),
                outcome => {
                    tries = tries.saturating_add(1);
                    let error = outcome
                        .err()
                        .unwrap_or_else(|| io::ErrorKind::StorageFull.into());
                    if !ends || tries > 1 || self.store.remove(SideFile::Ballast).is_err() {
                        return Err(LogError::io("write to the ledger", &error));
                    }
                    self.ballast = None;
                }
            }
        }
        Ok(())
    }

    /// Signs what this process wrote, and rewrites the files `checkpoint` and `state`.
    pub(super) fn close(&mut self) -> Result<(), LogError> {
        if !self.unsigned || self.poisoned.is_some() {
            return Ok(());
        }
        // What was written last may have brought its checkpoint along, and then is on disk with it.
        if self.lacks_checkpoint() {
            let store = Arc::clone(&self.store);
            self.lock(self.lock_wait)?;
            let signed = self.catch_up().and_then(|()| self.sign_end());
            store.unlock();
            signed?;
            self.sync()?;
        }
        self.unsigned = false;
        self.write_side_files(None)
    }

    fn sign_end(&mut self) -> Result<(), LogError> {
        if self.head.torn.is_some() || self.head.offset == 0 {
            return Ok(());
        }
        let composed = self.compose_checkpoint()?;
        self.append(&composed.bytes, false)?;
        self.head = composed.head;
        Ok(())
    }

    fn write_state(&self) -> io::Result<()> {
        match self.head.state(&self.mac, &self.kept) {
            Some(state) => self.store.overwrite(SideFile::State, &state),
            None => Ok(()),
        }
    }

    /// Everything they speak of is durable already: a crash must not leave a checkpoint of lines that are gone.
    /// `note` is that over everything, if the key is held elsewhere.
    pub(super) fn write_side_files(&mut self, note: Option<&str>) -> Result<(), LogError> {
        let failed = |error: io::Error| LogError::io("write a file of the ledger", &error);
        let note = match self.signers().at_hand() {
            Some(signer) => Some(signer.sign(&self.end())),
            None => note.map(str::to_owned),
        };
        let kept = note
            .as_ref()
            .map(|note| Kept::of(Some(note.as_bytes()), Some(&self.end())));
        let staged = match note {
            Some(note) => Some(
                self.store
                    .stage(SideFile::Checkpoint, note.as_bytes())
                    .map_err(failed)?,
            ),
            None => None,
        };
        lock_store(&*self.store, self.lock_wait)?;
        let store = Arc::clone(&self.store);
        let installed = self.install_side_files(staged.as_deref().zip(kept));
        store.unlock();
        installed.map_err(failed)
    }

    /// Another process may have signed more in the meantime; then its files stay.
    fn install_side_files(&mut self, checkpoint: Option<(&str, Kept)>) -> io::Result<()> {
        let newest = self.store.read(SideFile::Checkpoint)?;
        let head = newest.as_deref().and_then(|note| note::peek(note).ok());
        self.kept = Kept::of(newest.as_deref(), head.as_ref());
        let newer = self.kept.size > self.head.seq();
        match checkpoint {
            Some((staged, _)) if newer => self.store.discard(staged)?,
            Some((staged, kept)) => {
                self.store.install(staged, SideFile::Checkpoint)?;
                self.kept = kept;
            }
            None => {}
        }
        match newer {
            true => Ok(()),
            false => self.write_state(),
        }
    }

    /// Reads what others wrote.
    pub(super) fn read_end(&mut self) -> Result<(), LogError> {
        self.lock(self.lock_wait)?;
        let caught_up = self.catch_up();
        self.store.unlock();
        caught_up
    }

    pub(super) fn follower(&self) -> &dyn Follower {
        &*self.head.follower
    }

    pub(super) fn secret(&self) -> [u8; 32] {
        self.keys.secret
    }

    pub(super) fn origin(&self) -> String {
        self.head.chain.origin.clone().unwrap_or_default()
    }
}

/// Part of a group that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrote {
    Nothing,
    /// Only the ends of runs: the disk is full.
    Ends,
    All,
}

/// Leaves a note of what could not be recorded, as well as that is possible, for the next writer.
pub(super) fn leave_gap(store: &dyn Store, runs: &[RunId], why: &str) {
    let mut gap = store.read(SideFile::Gap).ok().flatten().unwrap_or_default();
    let runs: Vec<String> = runs.iter().map(RunId::to_string).collect();
    let line = json!({"ts": format!("{:.6}", Timestamp::now()), "runs": runs, "why": why});
    gap.extend_from_slice(line.to_string().as_bytes());
    gap.push(b'\n');
    // The disk has just refused a write; if it refuses this one too there is nobody left to tell.
    drop(replace(store, SideFile::Gap, &gap));
}

fn replace(store: &dyn Store, file: SideFile, bytes: &[u8]) -> io::Result<()> {
    let staged = store.stage(file, bytes)?;
    store.install(&staged, file)
}

fn read_keys(store: &dyn Store) -> Result<Option<Keys>, LogError> {
    let bytes = store
        .read(SideFile::Key)
        .map_err(|error| LogError::io("read the ledger's key", &error))?;
    let Some(bytes) = bytes else { return Ok(None) };
    Keys::parse(&bytes)
        .map(Some)
        .ok_or_else(|| key_error("is damaged"))
}

fn key_error(what: &str) -> LogError {
    LogError::Key {
        why: format!("the file `key` {what}"),
    }
}

fn new_origin(options: &Options) -> Result<String, LogError> {
    if let Some(origin) = &options.origin {
        return Ok(origin.clone());
    }
    let random = random().map_err(|why| LogError::Key { why })?;
    Ok(format!("lictor/{}", hex(random.get(..8).unwrap_or(&[]))))
}

/// Takes the lock without a head that could follow: that others get on is seen by the length of the files.
fn lock_store(store: &dyn Store, wait: Duration) -> Result<(), LogError> {
    let length = || {
        let last = store.segments().unwrap_or_default().last().copied();
        last.map(|last| (last, store.segment_bytes(last).ok().flatten()))
    };
    let mut before = None;
    let mut moves = || {
        let now = length();
        std::mem::replace(&mut before, now) != now
    };
    store
        .lock(wait, &mut moves)
        .map_err(|error| lock_error(&error))
}

fn lock_error(error: &io::Error) -> LogError {
    if error.kind() == io::ErrorKind::WouldBlock {
        return LogError::Busy;
    }
    LogError::io("lock the ledger", error)
}
