//! Two policies -> what one decides otherwise than the other, as regions, each with a witness.

#![forbid(unsafe_code)]

use super::{Answer, Budget, Cap, Witness};
use crate::policy::CompiledPolicy;

/// What differs between two policies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diff {
    /// The regions that differ, the most telling first.
    pub changes: Vec<Change>,
    /// What kept some of it from being compared; empty if everything was.
    pub unknown: Vec<Cap>,
}

/// One region that is decided otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// What becomes of it.
    pub kind: Kind,
    /// The tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// The argument; none if the action is asked for without a path.
    pub argument: Option<String>,
    /// A request of the region, with the decision of the first policy.
    pub before: Witness,
    /// The same request, with the decision of the second policy.
    pub after: Witness,
}

/// What becomes of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// It was denied or asked for, and is allowed.
    NewlyAllowed,
    /// It was denied, and a person is asked.
    NewlyAsked,
    /// It was allowed, and a person is asked.
    AskedInstead,
    /// It was allowed or asked for, and is denied.
    NewlyDenied,
    /// It is allowed as before, on other terms.
    ChangedLimits,
}

impl Diff {
    /// Whether the policies decide alike: proved, refuted by the first change, or unknown.
    pub fn answer(&self) -> Answer<&Change> {
        match (self.changes.first(), self.unknown.first()) {
            (Some(change), _) => Answer::Fails(change),
            (None, Some(cap)) => Answer::Unknown(*cap),
            (None, None) => Answer::Holds,
        }
    }

    /// Whether everything the second policy allows was allowed by the first.
    pub fn allows_nothing_new(&self) -> Answer<&Change> {
        let new = |change: &&Change| change.kind == Kind::NewlyAllowed;
        match (self.changes.iter().find(new), self.unknown.first()) {
            (Some(change), _) => Answer::Fails(change),
            (None, Some(cap)) => Answer::Unknown(*cap),
            (None, None) => Answer::Holds,
        }
    }
}

/// Compares two policies.
#[must_use]
pub fn diff(before: &CompiledPolicy, after: &CompiledPolicy, budget: &Budget<'_>) -> Diff {
    let _ = (before, after, budget);
    Diff {
        changes: Vec::new(),
        unknown: vec![Cap::Stopped],
    }
}
