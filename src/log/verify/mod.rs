//! Is this ledger whole; if not, where is it not; and what does it prove at all?
//!
//! A directory goes in, a [`Report`] with a graded [`Verdict`] comes out. Nothing in the directory is
//! believed: each line is read strictly, the chain and the tree are computed anew, signatures are
//! checked, and the entries must make sense together. The report also says what is *not* proven.

#![forbid(unsafe_code)]

mod check;
mod resume;
mod scan;

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::check::Checker;
pub use self::resume::{NotAState, Resume};
pub use self::scan::Seen;
use self::scan::Stretch;
use super::decode::{Decoder, Line};
use super::note::{self, Checkpoint, Verifier};
use super::segment::{MAX_TORN_BYTES, Torn};
use super::snapshot::{SnapSegment, Snapshot};
use super::store::read_full;

/// Facts to compare a ledger with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Checkpoints that were kept elsewhere, each the text of a signed note.
    pub anchors: Vec<String>,
    /// Where an earlier verification ended: the last file is read, and those before it if they look otherwise than
    /// they did.
    pub since: Option<Resume>,
    /// Everything is read; `since` is something to hold the ledger to.
    pub whole: bool,
    /// A key that one of the ledger's checkpoints has to be signed by: written down when the ledger was made.
    pub key: Option<Verifier>,
    /// True if [`Report::resume`] is wanted. It names every run that was allowed and not started, so it is
    /// not made for nothing.
    pub resumable: bool,
}

/// Conclusion of a verification. Never a bare "valid".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Verdict {
    /// Consistent with a checkpoint that was kept elsewhere.
    Anchored,
    /// The entries that were read continue those of an earlier verification; the entries before were not
    /// read.
    Continued,
    /// The signature of the last checkpoint holds.
    Signed,
    /// As `Signed`, but it also covers entries that a writer found and did not know the author of.
    Adopted,
    /// The chain holds; nothing is signed.
    Unsigned,
    /// As `Signed` or `Unsigned`, and the end that a crash tore is accounted for.
    TornTail,
    /// Something was changed.
    Tampered,
    /// Shorter than a checkpoint says.
    RolledBack,
    /// Another history than an anchor says.
    SplitView,
    /// There is no ledger.
    Missing,
}

impl Verdict {
    /// The name in JSON, for example `TORN_TAIL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Anchored => "ANCHORED",
            Verdict::Continued => "CONTINUED",
            Verdict::Signed => "SIGNED",
            Verdict::Adopted => "ADOPTED",
            Verdict::Unsigned => "UNSIGNED",
            Verdict::TornTail => "TORN_TAIL",
            Verdict::Tampered => "TAMPERED",
            Verdict::RolledBack => "ROLLED_BACK",
            Verdict::SplitView => "SPLIT_VIEW",
            Verdict::Missing => "MISSING",
        }
    }

    /// Returns true if nothing was found to be wrong: the program exits with 0.
    #[must_use]
    pub fn is_intact(self) -> bool {
        match self {
            Verdict::Anchored
            | Verdict::Continued
            | Verdict::Signed
            | Verdict::Adopted
            | Verdict::Unsigned
            | Verdict::TornTail => true,
            Verdict::Tampered | Verdict::RolledBack | Verdict::SplitView | Verdict::Missing => {
                false
            }
        }
    }
}

/// The answer of verification. Its JSON form is a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Version of the form, 1.
    pub v: u32,
    /// The conclusion.
    pub verdict: Verdict,
    /// Lines that could be read.
    pub entries: u64,
    /// Lines at the end that no checkpoint covers: these could be cut or changed without a trace.
    pub unsigned_tail: u64,
    /// Problems, in the order of the ledger; at most 100.
    pub problems: Vec<Problem>,
    /// Limits of the verdict, one sentence each.
    pub not_proven: Vec<String>,
    /// Oddities that prove nothing, one sentence each.
    pub warnings: Vec<String>,
    /// The name of the ledger in its checkpoints.
    pub origin: Option<String>,
    /// Root of the tree over all entries, in hex.
    pub root: String,
    /// Number of entries that checkpoints of the ledger cover.
    pub signed: u64,
    /// Number of entries that a checkpoint which was kept elsewhere covers.
    pub anchored: u64,
    /// Number of entries, among those that no anchor covers, that a writer found without knowing who wrote
    /// them.
    pub adopted: u64,
    /// Number of entries at the beginning that were not read, because an earlier verification had read them.
    pub unread: u64,
    /// Ends of files that a crash tore.
    pub torn: Vec<TornEnd>,
    /// Runs that have no outcome yet.
    pub open_runs: u64,
    /// Where the next verification can go on, if that was asked for and there is such a place; not part of the
    /// JSON form.
    #[serde(skip)]
    pub resume: Option<Resume>,
}

impl Report {
    /// Returns true if the ledger reaches `grade` with no more than [`MAX_TAIL`] entries behind what was signed.
    ///
    /// A torn end that is accounted for does not take a signature away.
    #[must_use]
    pub fn reaches(&self, grade: Grade) -> bool {
        self.reaches_within(grade, MAX_TAIL)
    }

    /// Returns true if the ledger reaches `grade` with no more than `max_tail` entries behind what was signed.
    #[must_use]
    pub fn reaches_within(&self, grade: Grade, max_tail: u64) -> bool {
        self.verdict.is_intact()
            && self.unsigned_tail <= max_tail
            && match grade {
                Grade::Signed => self.anchored > 0 || self.signed > 0 && self.adopted == 0,
                Grade::Anchored => self.anchored > 0,
            }
    }
}

/// The most entries behind the last checkpoint of a ledger that counts as signed, unless the caller gives another limit:
/// twice as many as a writer lets come together, and a group of them may go along.
pub const MAX_TAIL: u64 = 512;

/// Requirement on a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grade {
    /// A checkpoint's signature holds.
    Signed,
    /// Consistent with a checkpoint that was kept elsewhere.
    Anchored,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Name of the file.
    pub segment: String,
    /// Line in it, from 1.
    pub line: u64,
    /// Offset in the file, in bytes.
    pub byte: u64,
    /// Description of the problem.
    pub what: String,
}

/// The end of a file that a crash tore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TornEnd {
    /// Name of the file.
    pub segment: String,
    /// Where it begins, in bytes.
    pub byte: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// True if the next segment says so; if not, no writer has come by since.
    pub accounted: bool,
}

/// Why verification could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The machine refused something.
    #[error("cannot read the ledger: {}", .0.to_string().escape_debug())]
    Io(#[from] io::Error),
    /// The state of the earlier verification is not whole.
    #[error(transparent)]
    State(#[from] NotAState),
    /// An anchor is no checkpoint.
    #[error("the anchor is no checkpoint: {0}")]
    Anchor(note::NoteError),
}

/// Rules that the lines have to keep together, apart from the chain.
///
/// `read` is called for each line in any order and by several threads, `see` for each line that could be read in the
/// order of the log.
pub trait Audit: Default + fmt::Debug {
    /// The part of a line that `see` needs.
    type Says: Send + fmt::Debug;

    /// Reads a line by itself.
    fn read(line: &Line<'_>) -> Self::Says;

    /// Takes the next line; returns what about it does not fit those before, one sentence each.
    fn see(&mut self, seen: &Seen, says: &Self::Says) -> Vec<String>;

    /// The state, to go on from another time.
    fn save(&self) -> Map<String, Value>;

    /// Reads the result of `save` again; none if it is not whole.
    fn load(saved: &Map<String, Value>) -> Option<Self>;

    /// Number of things that were begun and have not ended.
    fn unfinished(&self) -> u64;

    /// Oddities that prove nothing, one sentence each.
    fn warnings(&self) -> Vec<String>;

    /// Limits of the verdict, one sentence each.
    fn not_proven(&self) -> Vec<String>;
}

/// Verifies the log in the directory `dir`. `progress` is told how many bytes of how many are done.
///
/// ```
/// use lictor::log::verify::{Verdict, VerifyOptions, verify};
/// use lictor::record::Meaning;
///
/// let nowhere = std::env::temp_dir().join("there-is-no-ledger-here");
/// let report = verify::<Meaning>(&nowhere, &VerifyOptions::default(), &mut |_, _| {})?;
/// assert_eq!(report.verdict, Verdict::Missing);
/// assert!(!report.verdict.is_intact());
/// # Ok::<(), lictor::log::verify::VerifyError>(())
/// ```
///
/// # Errors
/// Verification could not be done; this is never a verdict.
pub fn verify<A: Audit>(
    dir: &Path,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, VerifyError> {
    let anchors = anchors(options)?;
    let seen = match Snapshot::of(dir) {
        Ok(Some(seen)) => seen,
        Ok(None) => return Ok(missing::<A>("there is no ledger here")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let mut checker = Checker::<A>::new(Vec::new());
            checker.problem_in_file("segments", "is not a directory of the ledger's own");
            return Ok(checker.report());
        }
        Err(error) => return Err(error.into()),
    };
    if seen.segments.is_empty() && seen.checkpoint.is_none() && anchors.is_empty() {
        return Ok(missing::<A>("the ledger has no segment"));
    }
    let mut marks = marks(&seen, &anchors);
    // A checkpoint from before the state that was not compared then needs the whole tree.
    let since = options.since.as_ref().filter(|state| {
        !options.whole
            && state.is_unchanged(&seen.segments)
            && marks.iter().all(|size| state.knows(*size))
    });
    marks.extend(options.since.as_ref().map(Resume::entries));
    let mut checker = match since {
        Some(state) => Checker::<A>::resume(state, marks).ok_or(NotAState)?,
        None => Checker::new(marks),
    };
    checker.pin(options.key.clone());
    let first = since.map_or(0, |state| {
        usize::try_from(state.chain.segment).unwrap_or(usize::MAX)
    });
    let mut parts = Vec::new();
    for (index, segment) in seen.segments.iter().enumerate().skip(first) {
        if let Some(opened) = &segment.opened {
            parts.push(Stretch {
                index,
                file: opened.file.clone(),
                from: 0,
                to: segment.valid,
            });
        }
    }
    let total = parts
        .iter()
        .map(|part| part.to.saturating_sub(part.from))
        .fold(0, u64::saturating_add);
    let mut done = 0_u64;
    let mut reading = Reading {
        segments: &seen.segments,
        first,
        entered: first,
        resumable: options.resumable,
        resume: None,
    };
    scan::scan::<A>(parts, &mut |index, lines| {
        reading.enter_up_to(index, &mut checker)?;
        for line in &lines {
            done = done.saturating_add(line.bytes);
            checker.line(line);
        }
        progress(done.min(total), total);
        Ok(())
    })?;
    if let Some(last) = seen.segments.len().checked_sub(1) {
        reading.enter_up_to(last, &mut checker)?;
    }
    if let Some(last) = seen.segments.last() {
        leave(&mut checker, last)?;
    }
    checker.end();
    if let Some(state) = &options.since {
        checker.earlier(state);
    }
    checker.key_file(seen.key);
    if let Some(text) = &seen.signer {
        checker.signer_file(text);
    }
    match &seen.checkpoint {
        None => checker.no_checkpoint_file(),
        Some(Ok(note)) => checker.checkpoint_file(note),
        Some(Err(why)) => checker.problem_in_file("checkpoint", why),
    }
    for name in &seen.strangers {
        checker.warn(format!("`{name}` in `segments` is no segment"));
    }
    for (note, checkpoint) in &anchors {
        checker.anchor(note, checkpoint);
    }
    checker.pinned();
    let mut resume = reading.resume;
    if let Some(state) = &mut resume {
        checker.complete(state);
        let stamps = seen.segments.iter().map(|segment| {
            let opened = segment.opened.as_ref();
            opened.map(|opened| opened.stamp.clone())
        });
        let before = usize::try_from(state.chain.segment).unwrap_or(usize::MAX);
        state.files = stamps.take(before).flatten().collect();
    }
    let mut report = checker.report();
    report.resume = resume.filter(|_| report.verdict.is_intact());
    Ok(report)
}

/// The sizes at which the root of the tree is needed.
fn marks(seen: &Snapshot, anchors: &[(&[u8], Checkpoint)]) -> Vec<u64> {
    let own = seen
        .checkpoint
        .as_ref()
        .and_then(|note| note::peek(note.as_deref().ok()?).ok());
    own.iter()
        .map(|own| own.size)
        .chain(anchors.iter().map(|(_, anchor)| anchor.size))
        .collect()
}

fn anchors(options: &VerifyOptions) -> Result<Vec<(&[u8], Checkpoint)>, VerifyError> {
    let read = |text: &'_ String| note::peek(text.as_bytes()).map_err(VerifyError::Anchor);
    options
        .anchors
        .iter()
        .map(|text| Ok((text.as_bytes(), read(text)?)))
        .collect()
}

fn missing<A: Audit>(what: &str) -> Report {
    let mut report = Checker::<A>::new(Vec::new()).report();
    report.verdict = Verdict::Missing;
    report.problems = vec![Problem {
        segment: String::new(),
        line: 0,
        byte: 0,
        what: what.to_owned(),
    }];
    report
}

/// Which segments were begun, and the place to go on from next time.
struct Reading<'a> {
    segments: &'a [SnapSegment],
    /// The first that is read.
    first: usize,
    entered: usize,
    resumable: bool,
    resume: Option<Resume>,
}

impl Reading<'_> {
    /// Begins segments, and ends each before the next one, until segment `index` is begun.
    fn enter_up_to<A: Audit>(&mut self, index: usize, checker: &mut Checker<A>) -> io::Result<()> {
        while self.entered <= index {
            let before = self
                .entered
                .checked_sub(1)
                .filter(|_| self.entered > self.first);
            if let Some(before) = before.and_then(|before| self.segments.get(before)) {
                leave(checker, before)?;
            }
            let is_last = self.entered.saturating_add(1) == self.segments.len();
            if self.resumable && is_last {
                self.resume = checker.resume_point(self.entered);
            }
            if let Some(segment) = self.segments.get(self.entered) {
                checker.enter(self.entered);
                if let Some(why) = segment.why_not {
                    checker.problem_here(&format!("the segment {why}"));
                }
                if let Some(odd) = segment.opened.as_ref().and_then(|opened| opened.odd) {
                    checker.warn(format!("`{}` {odd}", segment.name));
                }
            }
            self.entered = self.entered.saturating_add(1);
        }
        Ok(())
    }
}

fn leave<A: Audit>(checker: &mut Checker<A>, segment: &SnapSegment) -> io::Result<()> {
    let Some(opened) = &segment.opened else {
        return Ok(());
    };
    // Lines of zeros end the valid part earlier than the last line feed does.
    let valid = checker.valid_end().unwrap_or(segment.valid);
    let torn = opened.bytes.saturating_sub(valid);
    let torn = match torn {
        0 => None,
        bytes if bytes > MAX_TORN_BYTES => {
            checker.too_much_torn(valid);
            return Ok(());
        }
        bytes => Some(Torn {
            bytes,
            sha256: opened.digest_from(valid)?,
        }),
    };
    if segment.accounted && torn.is_some() {
        let mut line = vec![0; super::MAX_LINE_BYTES];
        let got = read_full(&opened.file, valid, &mut line)?;
        let end = line.iter().take(got).position(|byte| *byte == b'\n');
        let line = end.and_then(|end| line.get(..=end)).unwrap_or(&[]);
        let mut decoder = Decoder::new();
        if decoder
            .decode(line)
            .is_ok_and(|line| checker.comes_next(&line))
        {
            checker.passed_off(valid);
        }
    }
    checker.leave(valid, torn.as_ref(), segment.accounted, segment.is_last);
    Ok(())
}
