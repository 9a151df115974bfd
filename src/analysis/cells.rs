//! What a policy says, cell by cell: one argument of one action, one kind of actor, one set of granted
//! approvals; and there, which paths are allowed, asked for, denied.

#![forbid(unsafe_code)]

use super::{PathSet, Space};
use crate::decision::{Context, Effect};
use crate::policy::CompiledPolicy;
use crate::policy::model::Access;

/// A policy made ready for questions. Cheap to make.
#[derive(Clone, Debug)]
pub struct Analysis {
    pub(super) policy: CompiledPolicy,
    pub(super) cells: Vec<Cell>,
}

/// One place where a path is decided: an argument of an action; or the action itself, where a request
/// for it may hold no path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Cell {
    /// The tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// The argument; none for a request without paths.
    pub argument: Option<String>,
    /// What the tool does with the path.
    pub access: Option<Access>,
}

impl Analysis {
    /// Looks at a policy.
    #[must_use]
    pub fn of(policy: &CompiledPolicy) -> Analysis {
        Analysis {
            policy: policy.clone(),
            cells: Vec::new(),
        }
    }

    /// All cells, in the order of the tools.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Everything that a decision can depend on besides the request: one context for each kind of
    /// actor and each set of approvals that rules tell apart. The first is the one to whom the least
    /// is granted. None if there are more than can be looked at.
    #[must_use]
    pub fn contexts(&self) -> Option<Vec<Context>> {
        None
    }

    /// The paths that this argument can have.
    #[must_use]
    pub fn space(&self, cell: &Cell) -> Space {
        let _ = cell;
        Space::of_requests(self.policy.switches())
    }

    /// The paths of a cell that get this answer. For a cell without an argument, everything or
    /// nothing.
    #[must_use]
    pub fn paths(&self, cell: &Cell, context: &Context, effect: Effect) -> PathSet {
        let _ = (cell, context, effect);
        PathSet::nothing()
    }

    /// The paths of a cell that a rule speaks about: for an allow within its scopes byte by byte, for
    /// others in any case. Nothing if the rule is not about the action or argument.
    #[must_use]
    pub fn paths_of_rule(&self, cell: &Cell, rule: &str) -> PathSet {
        let _ = (cell, rule);
        PathSet::nothing()
    }
}
