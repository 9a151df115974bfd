//! A witness made of invented names -> one that shows the same with a name that is there.
//!
//! Which names there are comes in: nothing here looks at a disk.

#![forbid(unsafe_code)]

use super::cells::{Analysis, Cell};
use super::witness::{Claim, Expected};
use super::{Answer, Budget, PathSet, Witness};
use crate::path::CanonicalPath;

/// The set that a witness was taken from: each path of it that makes a request shows as much.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) cell: Cell,
    pub(super) paths: PathSet,
    pub(super) expected: Expected,
}

/// Names of which a request is made before it is given up.
const ATTEMPTS: usize = 8;

impl Witness {
    /// A witness of the same with the first of these paths that is one, decided anew; else this one. The
    /// analysis is that of the policy which the question was about.
    ///
    /// ```
    /// use lictor::analysis::Budget;
    /// use lictor::analysis::cells::Analysis;
    /// use lictor::policy::CompiledPolicy;
    ///
    /// let policy = CompiledPolicy::from_yaml(
    ///     "version: 1
    /// name: readers
    /// use: lictor/files@1
    /// scopes: {docs: \"docs/**/*.md\"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ",
    /// )?;
    /// let (analysis, budget) = (Analysis::of(&policy), Budget::default());
    /// let invented = analysis.never_allows("read", &budget).witness().unwrap().clone();
    /// assert_eq!(invented.path.as_deref(), Some("docs/a.md"));
    /// let names = ["README.md", "docs", "docs/intro.md"];
    /// let shown = invented.at_existing(&analysis, names, &budget);
    /// assert_eq!(shown.path.as_deref(), Some("docs/intro.md"));
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    #[must_use]
    pub fn at_existing<'n>(
        self,
        analysis: &Analysis,
        names: impl IntoIterator<Item = &'n str>,
        budget: &Budget<'_>,
    ) -> Witness {
        let Some(region) = &self.region else {
            return self;
        };
        let switches = analysis.policy().switches();
        let is_named = |name: &&str| {
            let parsed = CanonicalPath::parse(name.as_bytes(), switches);
            parsed.is_ok_and(|path| path.as_str() == *name)
        };
        let found = names
            .into_iter()
            .filter(|name| region.paths.formula.holds(name))
            .filter(is_named)
            .take(ATTEMPTS)
            .find_map(|name| {
                let claim = Claim {
                    analysis,
                    cell: &region.cell,
                    context: &self.context,
                    empty: region.paths.clone(),
                    beside: None,
                    expected: region.expected,
                };
                match claim.witness(Some(name), budget) {
                    Answer::Fails(witness) => Some(witness),
                    Answer::Holds | Answer::Unknown(_) => None,
                }
            });
        found.unwrap_or(self)
    }
}
