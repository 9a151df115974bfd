//! Sets of paths, and exact questions about them.
//!
//! A [`PathSet`] is put together from globs; a [`Space`] says which paths there are at all: those that
//! a request can name under a policy's `paths` switches, or every name that a disk can hold.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::formula::{Canonical, Formula, Leaf, Scope};
use super::search::{Found, find};
use super::{Answer, Budget};
use crate::path::{CanonicalPath, Dot, Switches};
use crate::policy::glob::{Case, Pattern};

/// A set of paths: globs, put together by and, or, not.
///
/// ```
/// use lictor::analysis::{Answer, Budget, PathSet, Space};
/// use lictor::path::Switches;
/// use lictor::policy::glob::{Case, Pattern};
///
/// let set = |text: &str| PathSet::of(&Pattern::parse(text).unwrap(), Case::Exact);
/// let space = Space::of_requests(&Switches::default());
/// let budget = Budget::default();
///
/// let parts = set("src").or(set("src/*")).or(set("src/*/**"));
/// assert_eq!(space.covers(&parts, &set("src/**"), &budget), Answer::Holds);
/// let python = set("src/**").without(set("**/*.py"));
/// assert_eq!(space.covers(&python, &set("src/**"), &budget), Answer::Fails("src/a.py".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathSet {
    pub(super) formula: Formula,
}

impl PathSet {
    /// No path.
    #[must_use]
    pub fn nothing() -> PathSet {
        Formula::Const(false).into()
    }

    /// Every path that there is.
    #[must_use]
    pub fn everything() -> PathSet {
        Formula::Const(true).into()
    }

    /// Paths that a pattern matches: [`Case::Exact`] as a grant does, [`Case::Folded`] as a denial does.
    #[must_use]
    pub fn of(pattern: &Pattern, case: Case) -> PathSet {
        PathSet::scope([pattern.clone()], [], case)
    }

    /// Paths that some of `include` matches and none of `exclude` does. Exclusions are exact in either case,
    /// as those of a scope are.
    #[must_use]
    pub fn scope(
        include: impl IntoIterator<Item = Pattern>,
        exclude: impl IntoIterator<Item = Pattern>,
        case: Case,
    ) -> PathSet {
        let (include, exclude) = (include.into_iter().collect(), exclude.into_iter().collect());
        let scope = Scope::new(include, exclude, case);
        Formula::scope(scope).into()
    }

    /// A path and everything below it.
    #[must_use]
    pub fn below(path: &CanonicalPath) -> PathSet {
        PathSet::of(&Pattern::below(path), Case::Exact)
    }

    /// Paths in either set.
    #[must_use]
    pub fn or(self, other: PathSet) -> PathSet {
        Formula::any([self.formula, other.formula]).into()
    }

    /// Paths in both sets.
    #[must_use]
    pub fn and(self, other: PathSet) -> PathSet {
        Formula::all([self.formula, other.formula]).into()
    }

    /// Paths in this set and not in the other.
    #[must_use]
    pub fn without(self, other: PathSet) -> PathSet {
        Formula::all([self.formula, other.formula.not()]).into()
    }

    /// Paths in any of the sets.
    #[must_use]
    pub fn any(sets: impl IntoIterator<Item = PathSet>) -> PathSet {
        Formula::any(sets.into_iter().map(|set| set.formula)).into()
    }

    /// Returns true if it is plain from how the set is put together that it is empty. False says nothing.
    #[must_use]
    pub fn is_plainly_empty(&self) -> bool {
        self.formula == Formula::Const(false)
    }
}

impl From<Formula> for PathSet {
    fn from(formula: Formula) -> PathSet {
        PathSet { formula }
    }
}

/// Which paths there are.
#[derive(Clone, Debug)]
pub struct Space {
    pub(super) bounds: Formula,
}

impl Space {
    /// The canonical paths that requests can name under these switches. The workspace itself is one of
    /// them where `.` may be written.
    #[must_use]
    pub fn of_requests(switches: &Switches) -> Space {
        Space::canonical(switches, switches.dot == Dot::Strip)
    }

    /// As [`Space::of_requests`], and the workspace itself: what an argument that is left out may mean.
    #[must_use]
    pub fn with_workspace(switches: &Switches) -> Space {
        Space::canonical(switches, true)
    }

    fn canonical(switches: &Switches, workspace: bool) -> Space {
        let canonical = Canonical {
            switches: switches.clone(),
            workspace,
        };
        Space {
            bounds: Formula::In(Leaf::Canonical(Arc::new(canonical))),
        }
    }

    /// All names that a directory of a disk can hold, at any depth that paths may have: what a tool
    /// reads that goes through a directory.
    #[must_use]
    pub fn of_disk() -> Space {
        Space {
            bounds: Formula::Const(true),
        }
    }

    /// Proves that the set is empty, or finds its shortest path, made of ordinary names where there are some.
    /// A name from a disk that is not UTF-8 is written with U+FFFD for each byte that is no text.
    pub fn is_empty(&self, set: &PathSet, budget: &Budget<'_>) -> Answer<String> {
        let formula = Formula::all([self.bounds.clone(), set.formula.clone()]);
        match find(&formula, &budget.meter()) {
            Ok(Found::Nothing) => Answer::Holds,
            Ok(Found::Path(names)) => Answer::Fails(shown(&names)),
            Err(cap) => Answer::Unknown(cap),
        }
    }

    /// Proves that `whole` holds all of `part`, or finds the shortest path of `part` that it lacks.
    pub fn covers(&self, whole: &PathSet, part: &PathSet, budget: &Budget<'_>) -> Answer<String> {
        self.is_empty(&part.clone().without(whole.clone()), budget)
    }

    /// Proves that the sets have no path in common, or finds the shortest one that they have.
    pub fn are_disjoint(&self, a: &PathSet, b: &PathSet, budget: &Budget<'_>) -> Answer<String> {
        self.is_empty(&a.clone().and(b.clone()), budget)
    }

    /// Proves that the sets hold the same paths, or finds the shortest path that only one of them holds, and
    /// which of them.
    pub fn are_equal(
        &self,
        a: &PathSet,
        b: &PathSet,
        budget: &Budget<'_>,
    ) -> Answer<(String, OnlyIn)> {
        let only_a = self.covers(b, a, budget).map(|path| (path, OnlyIn::First));
        only_a.and(|| self.covers(a, b, budget).map(|path| (path, OnlyIn::Second)))
    }
}

/// Which of two sets holds a path that the other lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two sets")]
pub enum OnlyIn {
    /// The first one.
    First,
    /// The second one.
    Second,
}

/// The path that some names make.
fn shown(names: &[Vec<u8>]) -> String {
    match names {
        [] => ".".to_owned(),
        _ => String::from_utf8_lossy(&names.join(&b'/')).into_owned(),
    }
}
