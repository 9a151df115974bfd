//! Questions to one name of a path: does it match this segment, is it one that no path may hold.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use super::refused_names::Odd;
use crate::policy::glob::{Case, Segment};

/// One question about a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Atom {
    /// The name matches a segment, which is not `**`.
    Named(Segment, Case),
    /// No path may hold the name.
    Odd(Arc<Odd>),
}

impl Atom {
    /// The answer for a name, from the code that decides.
    pub(super) fn holds(&self, name: &[u8]) -> bool {
        match self {
            Atom::Named(segment, case) => segment.matches(name, *case),
            Atom::Odd(odd) => odd.holds(name),
        }
    }
}

impl Atom {
    /// Returns true if it spells nothing beyond ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        match self {
            Atom::Named(segment, _) => segment.is_ascii(),
            Atom::Odd(odd) => odd.is_ascii(),
        }
    }
}

/// The number of an atom within one question.
pub(super) type AtomId = usize;

/// All atoms of one question, each once.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    all: Vec<Atom>,
    numbers: HashMap<Atom, AtomId>,
}

impl Atoms {
    pub(super) fn number(&mut self, atom: Atom) -> AtomId {
        let next = self.all.len();
        if let Some(known) = self.numbers.get(&atom) {
            return *known;
        }
        self.all.push(atom.clone());
        self.numbers.insert(atom, next);
        next
    }

    pub(super) fn atom(&self, number: AtomId) -> Option<&Atom> {
        self.all.get(number)
    }
}
