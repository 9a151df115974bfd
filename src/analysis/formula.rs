//! Sets of paths put together by and, or, not: negation stands at the leaves only.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::path::Switches;
use crate::policy::glob::{Case, Pattern};

/// A set of paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Formula {
    /// All paths, or none.
    Const(bool),
    /// Paths in a leaf.
    In(Leaf),
    /// Paths outside of a leaf.
    Out(Leaf),
    /// Paths in all of them.
    All(Vec<Formula>),
    /// Paths in any of them.
    Any(Vec<Formula>),
}

/// A set of paths that is given as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Leaf {
    /// Inside some pattern and outside of others.
    Scope(Arc<Scope>),
    /// Paths that a request can name.
    Canonical(Arc<Canonical>),
}

/// Inside `include`, outside `exclude`. Exclusions are always exact, as in decisions.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) include: Vec<Pattern>,
    pub(super) exclude: Vec<Pattern>,
    pub(super) case: Case,
    /// Of the rest: scopes are compared much more often than made.
    hash: u64,
}

impl Scope {
    pub(super) fn new(include: Vec<Pattern>, exclude: Vec<Pattern>, case: Case) -> Scope {
        let mut hasher = DefaultHasher::new();
        (&include, &exclude, case).hash(&mut hasher);
        Scope {
            hash: hasher.finish(),
            include,
            exclude,
            case,
        }
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Scope) -> bool {
        let same = (&self.include, &self.exclude, self.case);
        self.hash == other.hash && same == (&other.include, &other.exclude, other.case)
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The canonical paths under some switches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Canonical {
    pub(super) switches: Switches,
    /// True if the workspace itself is among them.
    pub(super) workspace: bool,
}

impl Formula {
    /// Returns true if a path has to be in some scope to be in the set.
    pub(super) fn needs_a_scope(&self) -> bool {
        match self {
            Formula::Const(all) => !all,
            Formula::In(Leaf::Scope(_)) => true,
            Formula::In(Leaf::Canonical(_)) | Formula::Out(_) => false,
            Formula::All(parts) => parts.iter().any(Formula::needs_a_scope),
            Formula::Any(parts) => parts.iter().all(Formula::needs_a_scope),
        }
    }

    /// The scopes that hold what is in the set, one for each pattern.
    pub(super) fn scopes(&self) -> Vec<Formula> {
        match self {
            Formula::In(Leaf::Scope(scope)) => {
                let patterns = scope.include.iter();
                let alone = patterns.map(|pattern| {
                    let (include, exclude) = (vec![pattern.clone()], scope.exclude.clone());
                    Formula::scope(Scope::new(include, exclude, scope.case))
                });
                alone.collect()
            }
            Formula::Const(_) | Formula::In(Leaf::Canonical(_)) | Formula::Out(_) => Vec::new(),
            Formula::All(parts) | Formula::Any(parts) => {
                parts.iter().flat_map(Formula::scopes).collect()
            }
        }
    }

    pub(super) fn scope(scope: Scope) -> Formula {
        if scope.include.is_empty() {
            return Formula::Const(false);
        }
        Formula::In(Leaf::Scope(Arc::new(scope)))
    }

    pub(super) fn not(self) -> Formula {
        match self {
            Formula::Const(all) => Formula::Const(!all),
            Formula::In(leaf) => Formula::Out(leaf),
            Formula::Out(leaf) => Formula::In(leaf),
            Formula::All(parts) => Formula::any(parts.into_iter().map(Formula::not)),
            Formula::Any(parts) => Formula::all(parts.into_iter().map(Formula::not)),
        }
    }

    pub(super) fn all(parts: impl IntoIterator<Item = Formula>) -> Formula {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Formula::Const(true) => {}
                Formula::Const(false) => return Formula::Const(false),
                Formula::All(more) => flat.extend(more),
                Formula::In(_) | Formula::Out(_) | Formula::Any(_) => flat.push(part),
            }
        }
        match (flat.pop(), flat.is_empty()) {
            (None, _) => Formula::Const(true),
            (Some(only), true) => only,
            (Some(last), false) => {
                flat.push(last);
                Formula::All(flat)
            }
        }
    }

    pub(super) fn any(parts: impl IntoIterator<Item = Formula>) -> Formula {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Formula::Const(false) => {}
                Formula::Const(true) => return Formula::Const(true),
                Formula::Any(more) => flat.extend(more),
                Formula::In(_) | Formula::Out(_) | Formula::All(_) => flat.push(part),
            }
        }
        match (flat.pop(), flat.is_empty()) {
            (None, _) => Formula::Const(false),
            (Some(only), true) => only,
            (Some(last), false) => {
                flat.push(last);
                Formula::Any(flat)
            }
        }
    }
}

/// Number of times that one formula is simplified by its own parts.
const ROUNDS: usize = 4;

impl Formula {
    /// Returns true if the set holds a path that a request can name, by the code that decides.
    pub(super) fn holds(&self, path: &str) -> bool {
        let is_in = |leaf: &Leaf| match leaf {
            Leaf::Canonical(_) => true,
            Leaf::Scope(scope) => {
                scope
                    .include
                    .iter()
                    .any(|pattern| pattern.matches_in(path, scope.case))
                    && !scope.exclude.iter().any(|pattern| pattern.matches(path))
            }
        };
        match self {
            Formula::Const(all) => *all,
            Formula::In(leaf) => is_in(leaf),
            Formula::Out(leaf) => !is_in(leaf),
            Formula::All(parts) => parts.iter().all(|part| part.holds(path)),
            Formula::Any(parts) => parts.iter().any(|part| part.holds(path)),
        }
    }

    /// The set simplified by putting what the parts of a conjunction say into its other parts: a path inside
    /// a scope is not outside of it. Of two policies that are nearly the same this leaves nearly nothing.
    pub(super) fn propagated(self) -> Formula {
        let mut formula = self;
        for _ in 0..ROUNDS {
            let Formula::All(parts) = &formula else { break };
            let mut said: HashMap<&Leaf, bool> = HashMap::new();
            for part in parts {
                match part {
                    Formula::In(leaf) if said.insert(leaf, true) == Some(false) => {
                        return Formula::Const(false);
                    }
                    Formula::Out(leaf) if said.insert(leaf, false) == Some(true) => {
                        return Formula::Const(false);
                    }
                    Formula::In(_)
                    | Formula::Out(_)
                    | Formula::Const(_)
                    | Formula::All(_)
                    | Formula::Any(_) => {}
                }
            }
            let next = Formula::all(parts.iter().map(|part| match part {
                Formula::In(_) | Formula::Out(_) | Formula::Const(_) => part.clone(),
                Formula::All(_) | Formula::Any(_) => part.knowing(&said),
            }));
            if next == formula {
                break;
            }
            formula = next;
        }
        formula
    }

    fn knowing(&self, said: &HashMap<&Leaf, bool>) -> Formula {
        match self {
            Formula::Const(_) => self.clone(),
            Formula::In(leaf) => match said.get(leaf) {
                Some(is) => Formula::Const(*is),
                None => self.clone(),
            },
            Formula::Out(leaf) => match said.get(leaf) {
                Some(is) => Formula::Const(!*is),
                None => self.clone(),
            },
            Formula::All(parts) => Formula::all(parts.iter().map(|part| part.knowing(said))),
            Formula::Any(parts) => Formula::any(parts.iter().map(|part| part.knowing(said))),
        }
    }
}
