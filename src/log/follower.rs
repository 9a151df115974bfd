//! State that somebody keeps of the lines of a log, beside the log itself.

#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;

use serde_json::{Map, Value};

use super::decode::Line;
use super::line::{Draft, Kind, Prepared, RunId};
use super::store::Store;

/// State that follows from the lines, and that decides which lines may be added.
///
/// A follower sees each line in order, those of other processes included, before anything is written behind them.
pub trait Follower: fmt::Debug + Send + Sync {
    /// A copy.
    fn boxed(&self) -> Box<dyn Follower>;

    /// Takes the next line.
    fn see(&mut self, line: &Line<'_>);

    /// The state, so that the next process need not read all lines.
    fn save(&self) -> Map<String, Value>;

    /// Reads the result of `save` again; none if it is not whole.
    fn load(&self, saved: &Map<String, Value>) -> Option<Box<dyn Follower>>;

    /// Checks entries that are to be written together at the time `ts`.
    ///
    /// # Errors
    /// Why they may not be written as things stand.
    fn admits(&self, entries: &[Prepared], ts: &str) -> Result<(), Refusal>;

    /// Text at the end of a line: JSON fields, each with a comma before it.
    fn tail(&self, kind: Kind, run: Option<RunId>) -> &'static str;

    /// Drafts that the next process has to write before anything else.
    fn opening(&self, store: &dyn Store) -> Vec<Draft>;

    /// Number of things that were begun and still have to end. Space for their last lines is kept on the
    /// disk.
    fn unfinished(&self) -> u64;

    /// Itself, for whoever knows its type.
    fn as_any(&self) -> &dyn Any;
}

impl Clone for Box<dyn Follower> {
    fn clone(&self) -> Box<dyn Follower> {
        self.boxed()
    }
}

/// Keeps nothing and lets everything be written.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state and gets none")]
pub struct Unfollowed;

impl Follower for Unfollowed {
    fn boxed(&self) -> Box<dyn Follower> {
        Box::new(*self)
    }

    fn see(&mut self, _line: &Line<'_>) {}

    fn save(&self) -> Map<String, Value> {
        Map::new()
    }

    fn load(&self, _saved: &Map<String, Value>) -> Option<Box<dyn Follower>> {
        Some(self.boxed())
    }

    fn admits(&self, _entries: &[Prepared], _ts: &str) -> Result<(), Refusal> {
        Ok(())
    }

    fn tail(&self, _kind: Kind, _run: Option<RunId>) -> &'static str {
        ""
    }

    fn opening(&self, _store: &dyn Store) -> Vec<Draft> {
        Vec::new()
    }

    fn unfinished(&self) -> u64 {
        0
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Why a follower does not let entries be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}: `{}`", what.escape_debug())]
#[non_exhaustive]
pub struct Refusal {
    /// The mistake: one of a few words that the follower defines.
    pub why: &'static str,
    /// With what.
    pub what: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(why: &'static str, what: impl Into<String>) -> Refusal {
        Refusal {
            why,
            what: what.into(),
        }
    }
}
