//! Bounds on the work of a question, counted in steps and bytes; time is the caller's to measure.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;

use super::name_classes::Memory;

/// Bounds of a run of questions. A question that reaches one is answered with
/// [`Answer::Unknown`](super::Answer::Unknown).
///
/// A step is one move of an automaton, a fraction of a microsecond. The default is 200,000 steps for
/// each question and 256 MiB for each; there is no clock in here, so a caller with a deadline hands in
/// a test of it.
///
/// ```
/// use lictor::analysis::Budget;
/// use std::time::{Duration, Instant};
///
/// let deadline = Instant::now() + Duration::from_secs(2);
/// let is_late = || Instant::now() >= deadline;
/// let budget = Budget::default().until(&is_late);
/// assert!(!budget.is_spent());
/// ```
pub struct Budget<'a> {
    steps: u64,
    bytes: u64,
    stop: Option<&'a dyn Fn() -> bool>,
    stopped: Cell<bool>,
    taken: Cell<u64>,
    letters: Memory,
}

/// Steps that one question may take by default.
const STEPS: u64 = 200_000;

/// Bytes that one question may hold by default.
const BYTES: u64 = 256 << 20;

impl Default for Budget<'_> {
    fn default() -> Self {
        Budget {
            steps: STEPS,
            bytes: BYTES,
            stop: None,
            stopped: Cell::new(false),
            taken: Cell::new(0),
            letters: Memory::default(),
        }
    }
}

impl<'a> Budget<'a> {
    /// Steps that each question may take.
    #[must_use]
    pub fn with_steps(mut self, steps: u64) -> Budget<'a> {
        self.steps = steps;
        self
    }

    /// Bytes that each question may hold, as counted here: states and their keys, without what the
    /// allocator adds.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Budget<'a> {
        self.bytes = bytes;
        self
    }

    /// Asked now and then; once it says true every question ends as unknown.
    #[must_use]
    pub fn until(mut self, stop: &'a dyn Fn() -> bool) -> Budget<'a> {
        self.stop = Some(stop);
        self
    }

    /// Returns true if the test that was handed in has said stop.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        if !self.stopped.get() && self.stop.is_some_and(|stop| stop()) {
            self.stopped.set(true);
        }
        self.stopped.get()
    }

    /// Steps that all questions so far have taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// The part of it that one question may take.
    pub(super) fn meter(&self) -> Meter<'_, 'a> {
        Meter {
            budget: self,
            steps: Cell::new(0),
            bytes: Cell::new(0),
        }
    }
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("steps", &self.steps)
            .field("bytes", &self.bytes)
            .field("taken", &self.taken.get())
            .finish_non_exhaustive()
    }
}

/// Which bound was reached, or what else keeps a question from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cap {
    /// The steps of one question.
    Steps,
    /// The bytes of one question.
    Memory,
    /// The caller's own test said stop.
    Stopped,
    /// There are too many kinds of actors, approvals or applying rules to look at each.
    Combinations,
    /// A path was found, and no request could be made of it that is decided as was computed.
    NotReproduced,
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cap::Steps => "it takes more steps than one question may",
            Cap::Memory => "it takes more memory than one question may",
            Cap::Stopped => "the time for all questions was used up",
            Cap::Combinations => "there are too many combinations of actors, approvals or rules",
            Cap::NotReproduced => "no request could be made that shows it",
        })
    }
}

/// The part of a budget that one question has taken.
pub(super) struct Meter<'m, 'a> {
    budget: &'m Budget<'a>,
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

impl Meter<'_, '_> {
    /// Takes some steps.
    pub(super) fn step(&self, steps: u64) -> Result<(), Cap> {
        let before = self.steps.get();
        let now = before.saturating_add(steps);
        self.steps.set(now);
        self.budget
            .taken
            .set(self.budget.taken.get().saturating_add(steps));
        if now > self.budget.steps {
            return Err(Cap::Steps);
        }
        // The first step asks as well, so that a run that is late stops at the next question.
        let is_time = before == 0 || before.wrapping_shr(12) != now.wrapping_shr(12);
        if is_time && self.budget.is_spent() {
            return Err(Cap::Stopped);
        }
        Ok(())
    }

    /// Names found by all questions of the budget.
    pub(super) fn letters(&self) -> &Memory {
        &self.budget.letters
    }

    /// Steps that this question has taken.
    pub(super) fn taken(&self) -> u64 {
        self.steps.get()
    }

    /// Holds some bytes more.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), Cap> {
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        let now = self.bytes.get().saturating_add(more);
        self.bytes.set(now);
        if now > self.budget.bytes {
            return Err(Cap::Memory);
        }
        Ok(())
    }
}
