//! Compiled policies -> exact answers: does this cover that, do they overlap, what does a change newly
//! allow, is something never allowed. Nothing is guessed: an answer holds, fails with a witness, or is
//! unknown because a cap was reached.
//!
//! A path language of globs by segment is regular, so these questions are decided. [`paths`] is about
//! sets of paths: which there are, and whether one is empty, inside others, or meets another.
//! [`cells`] says of a policy which paths one argument of one action may have, for whom and with which
//! approvals granted; [`rules`] and [`reach`] ask about single rules; [`invariants`] proves what the policy
//! claims of itself; [`widths`] finds how much one approval can be for; [`diff`] compares two policies. A witness is a whole request, and was decided by the real [`decide`](crate::decision::decide) before it is
//! handed out; `real_names` puts a name that is there into it.
//!
//! Below stand the parts that do it: `formula` and `tree` (sets put together), `search` (automata over
//! segments, antichains), `name_classes` and `names` (which segment patterns one name can match together).
//! No disk, no clock: what bounds the work comes in as a [`Budget`].
//!
//! | file | |
//! |---|---|
//! | `budget` | how much work a question may take |
//! | `paths`, `formula`, `tree`, `search` | sets of paths: put together, as automata, and the shortest path of one |
//! | `name_classes`, `names`, `nfa`, `atoms` | which patterns one name of a path can match together |
//! | `refused_names`, `ordinary`, `alike` | names that no path may hold, and those that a reader takes for plain |
//! | `cells`, `situations` | what a policy says of one argument, and what a decision can depend on besides the request |
//! | `witness`, `real_names`, `phrasing` | a path that was computed as a whole request, with a name that is there, in words |
//! | `rules`, `reach`, `exercised`, `widths` | questions about single rules and approvals |
//! | `invariants`, `diff`, `declared` | a policy's own claims; two policies |
//! | `trees` | a directory argument that rules allow as a whole |

#![forbid(unsafe_code)]

mod alike;
mod atoms;
mod budget;
pub mod cells;
mod declared;
pub mod diff;
mod exercised;
mod formula;
pub mod invariants;
mod name_classes;
mod names;
mod nfa;
mod ordinary;
pub mod paths;
mod phrasing;
pub mod reach;
mod real_names;
mod refused_names;
pub mod rules;
mod search;
mod situations;
mod tree;
#[cfg(feature = "run")]
mod trees;
pub mod widths;
mod witness;

pub use budget::{Budget, Cap};
pub use paths::{PathSet, Space};
pub use witness::Witness;

#[cfg(feature = "run")]
pub(crate) use trees::{covers_tree, lets_write_below};

/// Answer to a claim. There is no fourth one, and the third is never the first.
///
/// ```
/// use lictor::analysis::Answer;
///
/// assert!(Answer::<()>::Holds.holds());
/// assert_eq!(Answer::Fails("src/a").witness(), Some(&"src/a"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller has to look at all three"
)]
pub enum Answer<W> {
    /// It is so, for every path there is.
    Holds,
    /// It is not, and this shows it.
    Fails(W),
    /// It could not be decided within the budget.
    Unknown(Cap),
}

impl<W> Answer<W> {
    /// Returns true if the claim is proved.
    pub fn holds(&self) -> bool {
        matches!(self, Answer::Holds)
    }

    /// The witness against the claim, if it is known to be wrong.
    pub fn witness(&self) -> Option<&W> {
        match self {
            Answer::Fails(witness) => Some(witness),
            Answer::Holds | Answer::Unknown(_) => None,
        }
    }

    /// The cap that was reached, if one was.
    pub fn cap(&self) -> Option<Cap> {
        match self {
            Answer::Unknown(cap) => Some(*cap),
            Answer::Holds | Answer::Fails(_) => None,
        }
    }

    /// Replaces the witness.
    pub fn map<V>(self, to: impl FnOnce(W) -> V) -> Answer<V> {
        match self {
            Answer::Holds => Answer::Holds,
            Answer::Fails(witness) => Answer::Fails(to(witness)),
            Answer::Unknown(cap) => Answer::Unknown(cap),
        }
    }

    /// This claim and another: a failure of either is one of both.
    pub fn and(self, other: impl FnOnce() -> Answer<W>) -> Answer<W> {
        match self {
            Answer::Holds => other(),
            Answer::Fails(witness) => Answer::Fails(witness),
            Answer::Unknown(cap) => match other() {
                Answer::Fails(witness) => Answer::Fails(witness),
                Answer::Holds | Answer::Unknown(_) => Answer::Unknown(cap),
            },
        }
    }
}
