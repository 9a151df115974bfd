//! The part of verification that needs the order: chain, tree, signatures, and whether the entries make
//! sense together.
//!
//! When two neighbours do not fit, the line *after* them tells which of the two was changed; so a problem
//! is reported one line late, but at the right line.

#![forbid(unsafe_code)]

mod conclude;

use std::collections::BTreeMap;

use super::super::chain::{Chain, ChainState, Fault, HANDOVER, Part};
use super::super::decode::Line;
use super::super::hash::{hex, unhex};
use super::super::merkle::Hash;
use super::super::note::{self, Checkpoint, NoteError, Signer, Verifier};
use super::super::segment::{Torn, Zeros};
use super::super::snapshot::KeyFile;
use super::super::store::segment_name;
use super::resume::Resume;
use super::scan::{Scanned, Seen, Unread};
use super::{Audit, Problem, TornEnd};

/// More problems than this say nothing more.
const MAX_PROBLEMS: usize = 100;

/// Where a line stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    file: Named,
    line: u64,
    byte: u64,
}

/// A file of the ledger. There is a place for each line, so it has to cost nothing to make.
#[derive(Clone, Copy, Debug, Default)]
enum Named {
    /// Before the first segment.
    #[default]
    Nothing,
    Segment(u64),
    Other(&'static str),
}

impl Place {
    /// A file that is looked at as a whole.
    fn top_of(file: &'static str) -> Place {
        Place {
            file: Named::Other(file),
            line: 1,
            byte: 0,
        }
    }
}

impl Named {
    fn name(self) -> String {
        match self {
            Named::Nothing => String::new(),
            Named::Segment(index) => segment_name(index),
            Named::Other(name) => name.to_owned(),
        }
    }
}

/// A line with zero bytes.
#[derive(Clone, Copy, Debug)]
struct ZerosAt {
    byte: u64,
    /// Whole sectors are zeros, as after a crash of the machine.
    sectors: bool,
    told: bool,
}

/// State of the chain at the last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    /// It fits the line before it.
    #[default]
    Fits,
    /// It does not name the line before it: one of the two was changed.
    Broken,
    /// It is reported already; whether the next line names it says nothing.
    Known,
}

/// Everything that was found so far.
#[derive(Debug, Default)]
pub(super) struct Checker<A> {
    chain: Chain,
    /// The number that the next line should have: one that is out of order is followed by the one behind it.
    next_seq: u64,
    link: Link,
    /// The last line, and the one before it.
    last: Place,
    before_last: Place,
    file: Named,
    /// Where lines of zeros begin in a segment that nobody has ended.
    zeros_at: Option<ZerosAt>,
    /// From how many entries on which key signs.
    in_force: Vec<(u64, Option<Verifier>)>,
    /// The key that somebody wrote down, and if a checkpoint here is signed by it.
    pinned: Option<Verifier>,
    is_pinned: bool,
    signed: u64,
    anchored: u64,
    /// Entries from before, which were not read now.
    unread: u64,
    /// An anchor agrees with what was found when those were read.
    agrees: bool,
    /// Entries that a writer went on behind without knowing who wrote them: from, to.
    adopted: Vec<(u64, u64)>,
    /// Files that writers found missing beside the segments.
    missing: Vec<String>,
    marks: BTreeMap<u64, Option<Hash>>,
    /// Roots that an earlier verification compared with checkpoints.
    known: BTreeMap<u64, Hash>,
    audit: A,
    last_ts: [u8; 27],
    clock_backs: u64,
    torn: Vec<TornEnd>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    tampered: bool,
    rolled_back: bool,
    split: bool,
    /// Segments that were looked at, files that are none included.
    segments: u64,
}

impl<A: Audit> Checker<A> {
    /// A checker that goes on in the last file that another one read.
    pub(super) fn resume(state: &Resume, marks: Vec<u64>) -> Option<Checker<A>> {
        let mut checker = Checker::new(marks);
        checker.chain = state.chain.chain()?;
        checker.next_seq = checker.chain.seq();
        checker.unread = checker.next_seq;
        for (size, key) in &state.in_force {
            let key = match key {
                Some(key) => Some(Verifier::parse(key).ok()?),
                None => None,
            };
            checker.in_force.push((*size, key));
        }
        checker.signed = checker.chain.signed;
        checker.is_pinned = state.is_pinned;
        checker.adopted.clone_from(&state.adopted);
        checker.torn.clone_from(&state.torn);
        for (size, root) in &state.known {
            checker.known.insert(*size, unhex(root)?);
        }
        checker.audit = A::load(&state.audit)?;
        checker.last_ts = state.last_ts.as_bytes().try_into().ok()?;
        checker.segments = state.chain.segment;
        checker.mark();
        Some(checker)
    }

    /// Where another checker can go on, if this one has not entered the last file yet; `None` where a key still has to
    /// hand over.
    pub(super) fn resume_point(&self, segment: usize) -> Option<Resume> {
        if self.chain.handover.is_some() {
            return None;
        }
        let mut chain = ChainState::of(&self.chain);
        chain.segment = u64::try_from(segment).ok()?;
        chain.lines = 0;
        let mut state = Resume {
            v: 2,
            chain,
            in_force: self
                .in_force
                .iter()
                .map(|(size, key)| (*size, key.as_ref().map(ToString::to_string)))
                .collect(),
            is_pinned: self.is_pinned,
            adopted: self.adopted.clone(),
            torn: self.torn.clone(),
            last_ts: String::from_utf8_lossy(&self.last_ts).into_owned(),
            ..Resume::default()
        };
        state.audit = self.audit.save();
        Some(state)
    }

    /// Adds to a place to go on from how far this checker came.
    pub(super) fn complete(&self, state: &mut Resume) {
        state.entries = self.chain.tree.size();
        state.root = hex(&self.chain.tree.root());
        let known = self.marks.keys().copied();
        let known = known.filter_map(|size| Some((size, hex(&self.root_at(size)?))));
        state.known = known.collect();
    }

    /// A checker that remembers the roots of the tree at `marks`.
    pub(super) fn new(marks: Vec<u64>) -> Checker<A> {
        let mut checker = Checker {
            marks: marks.into_iter().map(|size| (size, None)).collect(),
            ..Checker::default()
        };
        checker.mark();
        checker
    }

    /// Asks that a checkpoint here is signed by `key`.
    pub(super) fn pin(&mut self, key: Option<Verifier>) {
        self.pinned = key;
    }

    /// Begins a segment.
    pub(super) fn enter(&mut self, index: usize) {
        self.segments = self.segments.saturating_add(1);
        self.chain.enter(u64::try_from(index).unwrap_or(u64::MAX));
        self.file = Named::Segment(self.chain.segment);
        self.zeros_at = None;
    }

    /// Ends a segment: its whole lines go up to `valid`, what follows is `torn`.
    pub(super) fn leave(
        &mut self,
        valid: u64,
        torn: Option<&Torn>,
        accounted: bool,
        is_last: bool,
    ) {
        self.chain.leave(valid, torn);
        let Some(torn) = torn else { return };
        self.torn.push(TornEnd {
            segment: self.file.name(),
            byte: valid,
            bytes: torn.bytes,
            accounted,
        });
        if !accounted && !is_last {
            self.problem(
                self.place(self.chain.lines.saturating_add(1), valid),
                "a torn end that no later segment accounts for",
            );
        }
    }

    /// Where whole lines end, if that is before the last line feed.
    pub(super) fn valid_end(&self) -> Option<u64> {
        self.zeros_at.as_ref().map(|zeros| zeros.byte)
    }

    /// Takes the next line.
    pub(super) fn line(&mut self, line: &Scanned<A::Says>) {
        if let Some(zeros) = self.zeros_at {
            // A machine that crashes loses whole sectors; a hole inside one, with entries behind it, was made.
            if line.read.is_ok() && !zeros.sectors && !zeros.told {
                self.zeros_at = Some(ZerosAt {
                    told: true,
                    ..zeros
                });
                let place = self.place(self.chain.lines.saturating_add(1), zeros.byte);
                self.problem(place, "zero bytes in a line that other entries follow");
            }
            return;
        }
        if let Err(Unread {
            zeros: Some(zeros), ..
        }) = &line.read
        {
            // What a crash of the machine leaves where it lost bytes. If the next segment says that they
            // are whole lines, or a checkpoint covers them, that is found there.
            self.zeros_at = Some(ZerosAt {
                byte: line.at,
                sectors: *zeros == Zeros::Sectors,
                told: false,
            });
            return;
        }
        let place = self.place(self.chain.lines.saturating_add(1), line.at);
        match &line.read {
            Ok((seen, says)) => {
                self.link(place, seen);
                self.read(place, seen);
                for what in self.audit.see(seen, says) {
                    self.problem(place, &what);
                }
                self.times(seen);
            }
            Err(Unread { why, .. }) => {
                self.settle_broken_link();
                let at = u64::try_from(why.at).unwrap_or(0);
                let exact = Place {
                    byte: place.byte.saturating_add(at),
                    ..place
                };
                self.problem(exact, why.what);
                self.link = Link::Known;
                self.next_seq = self.next_seq.saturating_add(1);
            }
        }
        self.chain.push(line.hash, line.leaf);
        self.mark();
        self.before_last = std::mem::replace(&mut self.last, place);
    }

    /// Ends the ledger.
    pub(super) fn end(&mut self) {
        if self.link == Link::Broken {
            let line = self.last.line;
            self.problem(
                self.before_last,
                &format!(
                    "the line, or `prev` in the last line ({line}), was changed: they do not fit"
                ),
            );
            self.link = Link::Known;
        }
        if self.chain.handover.is_some() {
            self.problem(self.last, HANDOVER);
        }
    }

    /// Compares with the file `key`.
    pub(super) fn key_file(&mut self, file: KeyFile) {
        let keys = match file {
            KeyFile::None => return,
            KeyFile::Unreadable(why) => {
                return self.warn(format!("the file `key` was not looked at: {why}"));
            }
            KeyFile::Damaged => return self.problem_in_file("key", "the file is damaged"),
            KeyFile::Read(keys) => keys,
        };
        let expected = keys.signer.as_ref().map(Signer::verifier);
        let before = keys.previous.as_ref().map(Signer::verifier);
        let elsewhere = expected.is_none() && self.chain.key.is_some();
        if self.chain.tree.size() > 0
            && !elsewhere
            && self.chain.key.as_ref() != expected
            && (before.is_none() || self.chain.key.as_ref() != before)
        {
            self.problem_in_file("key", "the file is not the key that the last segment names");
        }
    }

    /// Compares with the file `signer`, which names keys that are held elsewhere, the one in use first.
    pub(super) fn signer_file(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let key = line.and_then(|line| Verifier::parse(line.split_whitespace().next()?).ok());
        if key.is_some() && key != self.chain.key {
            self.warn(
                "the file `signer` names another key than the last segment: the next writer has to change that"
                    .to_owned(),
            );
        }
    }

    /// There is no file `checkpoint`, which every writer that ends leaves.
    pub(super) fn no_checkpoint_file(&mut self) {
        if self.chain.key.is_some() {
            self.warn(
                "there is no file `checkpoint`: a writer that ends leaves one, one that is killed before may not"
                    .to_owned(),
            );
        }
    }

    /// Compares with the file `checkpoint`.
    pub(super) fn checkpoint_file(&mut self, note: &[u8]) {
        let checkpoint = match note::open(note, &self.chain.keys) {
            Ok((checkpoint, _)) => checkpoint,
            Err(NoteError::Unsigned)
                if self.chain.keys.is_empty() && self.chain.tree.size() == 0 =>
            {
                match note::peek(note) {
                    Ok(checkpoint) => checkpoint,
                    Err(error) => return self.problem_in_file("checkpoint", &error.to_string()),
                }
            }
            Err(error) => return self.problem_in_file("checkpoint", &error.to_string()),
        };
        let size = checkpoint.size;
        if size <= self.chain.tree.size() && note::open(note, &self.keys_at(size)).is_err() {
            return self.problem_in_file(
                "checkpoint",
                "signed by another key than the one that signed at that size",
            );
        }
        if size > self.chain.tree.size() {
            let what = format!("{} entries, but {size} were signed", self.chain.tree.size());
            self.rolled_back = true;
            // The rest of a signed line is no accident of a crash: it was durable before it was signed.
            if let Some(torn) = self.torn.iter().find(|torn| !torn.accounted) {
                let place = self.place(self.chain.lines.saturating_add(1), torn.byte);
                self.problem(place, "the rest of a line that was signed");
            }
            return self.note_problem(Place::top_of("checkpoint"), &what);
        }
        if Some(&checkpoint.origin) != self.chain.origin.as_ref() {
            return self.problem_in_file("checkpoint", "the checkpoint is of another ledger");
        }
        match self.root_at(size) {
            Some(root) if root == checkpoint.root => {
                self.signed = self.signed.max(size);
                self.is_pinned |= self.is_signed_by_pinned(note);
            }
            // Each line but the last has one behind it that fits: it can only be the last.
            _ if size == self.chain.tree.size() && !self.tampered => {
                self.problem(self.last, "the line is not the one that was signed");
            }
            _ => {
                let what = format!("the first {size} entries are not those that were signed");
                self.problem_in_file("checkpoint", &what);
            }
        }
    }

    /// The key that signs checkpoints over `size` entries; two where one hands over to the other. A key that
    /// was given up signs nothing any more: that may be why it was given up.
    fn keys_at(&self, size: u64) -> Vec<Verifier> {
        let mut keys = Vec::new();
        for (from, key) in self.in_force.iter().rev() {
            if *from < size {
                keys.extend(key.clone());
                if from.saturating_add(1) < size {
                    break;
                }
            }
        }
        keys
    }

    /// Compares with a checkpoint that was kept elsewhere.
    pub(super) fn anchor(&mut self, note: &[u8], anchor: &Checkpoint) {
        let place = Place::top_of("anchor");
        let size = anchor.size;
        let signed = note::open(note, &self.chain.keys);
        if signed == Err(NoteError::Unsigned) || Some(&anchor.origin) != self.chain.origin.as_ref()
        {
            self.split = true;
            let what = format!(
                "the anchor is of `{}`, signed by another key than this ledger has",
                anchor.origin.escape_debug()
            );
            return self.note_problem(place, &what);
        }
        if let Err(error) = signed {
            self.split = true;
            return self.note_problem(place, &format!("the anchor does not count: {error}"));
        }
        if size > self.chain.tree.size() {
            self.rolled_back = true;
            let what = format!(
                "{} entries, but the anchor covers {size}",
                self.chain.tree.size()
            );
            return self.note_problem(place, &what);
        }
        match self.root_at(size) {
            // Bytes that were not read now are vouched for by nobody.
            Some(root) if root == anchor.root && self.unread > 0 => self.agrees = true,
            Some(root) if root == anchor.root => self.anchored = self.anchored.max(size),
            _ => {
                self.split = true;
                self.note_problem(
                    place,
                    &format!("the first {size} entries are not those of the anchor"),
                );
            }
        }
    }

    /// Holds the ledger to what an earlier verification saw.
    pub(super) fn earlier(&mut self, state: &Resume) {
        let place = self.last;
        if self.chain.tree.size() < state.entries {
            self.rolled_back = true;
            self.note_problem(
                place,
                "the ledger is shorter than it was when it was verified",
            );
        } else if unhex(&state.root) != self.root_at(state.entries) {
            self.problem(place, "the entries that were verified are others now");
        }
    }

    /// Compares with the key that somebody wrote down.
    pub(super) fn pinned(&mut self) {
        if self.pinned.is_some() && !self.is_pinned && self.chain.tree.size() > 0 {
            self.split = true;
            self.note_problem(
                Place::top_of("key"),
                "no checkpoint of this ledger is signed by the key that was given",
            );
        }
    }

    fn is_signed_by_pinned(&self, note: &[u8]) -> bool {
        let pinned = self.pinned.as_ref();
        pinned.is_some_and(|key| note::open(note, std::slice::from_ref(key)).is_ok())
    }

    /// Returns true if `line`, which a later segment calls torn, is the whole entry that comes next: a writer
    /// who finds such a line goes on behind it.
    pub(super) fn comes_next(&self, line: &Line<'_>) -> bool {
        line.seq == self.next_seq && line.prev == self.chain.prev
    }

    /// From `byte` on is more that is no line than a crash leaves.
    pub(super) fn too_much_torn(&mut self, byte: u64) {
        let place = self.place(self.chain.lines.saturating_add(1), byte);
        self.problem(place, "more bytes that are no line than a crash leaves");
    }

    /// Entries are passed off as torn bytes, from `byte` on.
    pub(super) fn passed_off(&mut self, byte: u64) {
        let place = self.place(self.chain.lines.saturating_add(1), byte);
        self.problem(place, "whole entries that a later segment calls torn");
    }

    fn root_at(&self, size: u64) -> Option<Hash> {
        let marked = self.marks.get(&size).copied().flatten();
        marked.or_else(|| self.known.get(&size).copied())
    }

    /// Chain and numbers.
    fn link(&mut self, place: Place, seen: &Seen) {
        let fits = seen.prev == self.chain.prev;
        if seen.seq != self.next_seq {
            self.settle_broken_link();
            let what = format!(
                "entry {} stands where entry {} belongs",
                seen.seq, self.next_seq
            );
            self.problem(place, &what);
            self.next_seq = seen.seq.saturating_add(1);
            self.link = Link::Fits;
            return;
        }
        self.next_seq = self.next_seq.saturating_add(1);
        self.link = match (self.link, fits) {
            (Link::Fits, true) => Link::Fits,
            (Link::Known, _) => Link::Fits,
            // A checkpoint that holds vouches for all before it, so the fault is in this line's `prev`.
            (Link::Fits, false) if self.checkpoint_holds(seen) => {
                self.problem(place, "`prev` was changed");
                Link::Fits
            }
            (Link::Fits, false) => Link::Broken,
            (Link::Broken, false) => {
                self.problem(
                    self.last,
                    "the line was changed: neither of its neighbours fits it",
                );
                Link::Fits
            }
            (Link::Broken, true) => {
                self.settle_broken_link();
                Link::Fits
            }
        };
    }

    /// The line before the last one does not fit the last one, which fits what follows: it was changed.
    fn settle_broken_link(&mut self) {
        if self.link == Link::Broken {
            self.problem(
                self.before_last,
                "the line was changed: the next one has the digest of another",
            );
            self.link = Link::Fits;
        }
    }

    fn checkpoint_holds(&self, seen: &Seen) -> bool {
        matches!(seen.part(), Part::Checkpoint(line) if self.chain.open_checkpoint(line).is_ok())
    }

    fn read(&mut self, place: Place, seen: &Seen) {
        let part = seen.part();
        let is_first = self.chain.origin.is_none();
        let mut faults = Vec::new();
        if let Some(key) = self.chain.meet(part, &mut faults) {
            self.signed = self.chain.signed;
            self.is_pinned |= self.pinned.as_ref() == Some(&key);
        }
        for Fault { what, follows } in faults {
            match follows {
                true => self.consequence(place, &what),
                false => self.problem(place, &what),
            }
        }
        if matches!(part, Part::Segment(_)) && self.chain.origin.is_some() {
            let key = &self.chain.key;
            if is_first || self.in_force.last().is_none_or(|(_, last)| last != key) {
                self.in_force.push((self.chain.seq(), key.clone()));
            }
        }
        if let Some(line) = seen.gap() {
            self.gap(line);
        }
    }

    /// A fault that a writer found before it went on. An attacker can write such a line as well, and only
    /// make things worse.
    fn gap(&mut self, line: &str) {
        #[derive(serde::Deserialize)]
        struct Range {
            from: u64,
            to: u64,
        }
        #[derive(serde::Deserialize)]
        struct Body {
            seq: u64,
            adopted: Option<Range>,
            #[serde(default)]
            side_files: Vec<String>,
        }
        let Ok(body) = serde_json::from_str::<Body>(line) else {
            return;
        };
        let adopted = body
            .adopted
            .filter(|range| range.from <= range.to && range.to < body.seq);
        if let Some(Range { from, to }) = adopted
            && self.adopted.len() < MAX_PROBLEMS
        {
            self.adopted.push((from, to));
        }
        for what in body.side_files {
            if self.missing.len() < MAX_PROBLEMS {
                let what = what.escape_debug();
                self.missing
                    .push(format!("entry {}: the writer found that {what}", body.seq));
            }
        }
    }

    fn times(&mut self, seen: &Seen) {
        if seen.ts < self.last_ts {
            self.clock_backs = self.clock_backs.saturating_add(1);
        }
        self.last_ts = seen.ts;
    }

    fn mark(&mut self) {
        if let Some(root) = self.marks.get_mut(&self.chain.tree.size()) {
            *root = Some(self.chain.tree.root());
        }
    }

    fn place(&self, line: u64, byte: u64) -> Place {
        Place {
            file: self.file,
            line,
            byte,
        }
    }

    /// A problem of the segment that is read, as a whole.
    pub(super) fn problem_here(&mut self, what: &str) {
        self.problem(self.place(1, 0), what);
    }

    pub(super) fn warn(&mut self, what: String) {
        self.warnings.push(what);
    }

    /// A problem that follows from any earlier one, and is one of its own only if there is none.
    fn consequence(&mut self, place: Place, what: &str) {
        if self.link == Link::Broken {
            // This line does not fit the last one, and does not vouch for it either.
            self.problem(
                self.last,
                "the line was changed: the next one has the digest of another",
            );
            self.link = Link::Fits;
        }
        if !self.tampered {
            self.problem(place, what);
        }
    }

    pub(super) fn problem_in_file(&mut self, file: &'static str, what: &str) {
        self.problem(Place::top_of(file), what);
    }

    /// Somebody changed something.
    fn problem(&mut self, place: Place, what: &str) {
        self.tampered = true;
        self.note_problem(place, what);
    }

    fn note_problem(&mut self, place: Place, what: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            let Place { file, line, byte } = place;
            self.problems.push(Problem {
                segment: file.name(),
                line,
                byte,
                what: what.to_owned(),
            });
        }
    }
}
