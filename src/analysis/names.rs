//! Which answers of several atoms one name can give together, each with a shortest such name.
//!
//! An atom may help (whoever asks wants it to match) or hurt. Of two sets of answers the one that helps
//! more and hurts less is better, and worse ones are not followed: a name for the better one serves
//! every purpose of the worse one. Some names are left out: those that the caller has looked at.

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::budget::{Cap, Meter};
use super::nfa::{Nfa, State, States, Token};
use crate::policy::casefold::key;

/// Meaning of a match of an atom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sides {
    pub(super) helps: bool,
    pub(super) hurts: bool,
}

/// A name, and which atoms match it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: Vec<u8>,
    /// The atoms that help and match, in order.
    pub(super) helps: Vec<usize>,
    /// The atoms that hurt and match, in order.
    pub(super) hurts: Vec<usize>,
}

impl Name {
    /// Returns true if the answers are at least as good as the other's.
    pub(super) fn is_as_good(&self, other: &Name) -> bool {
        is_inside(&other.helps, &self.helps) && is_inside(&self.hurts, &other.hurts)
    }
}

/// Adds a name to the best ones, unless one of them is as good.
pub(super) fn keep(best: &mut Vec<Name>, name: Name) {
    if !best.iter().any(|known| known.is_as_good(&name)) {
        best.retain(|known| !name.is_as_good(known));
        best.push(name);
    }
}

/// A name to look for.
pub(super) struct Search<'a> {
    pub(super) nfa: &'a Nfa,
    /// One for each atom of the automaton.
    pub(super) sides: &'a [Sides],
    /// An atom that has to match.
    pub(super) must: Option<usize>,
    /// Some helping atom has to match.
    pub(super) needs_help: bool,
    pub(super) excluded: &'a Excluded,
}

/// Verdict on a name that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is as the automaton says.
    Fine,
    /// It is not as the automaton says, and the search is not to be believed.
    Otherwise,
    /// It is not as the automaton says, and others may be.
    Skip,
}

/// One way through the automaton.
struct Way {
    helps: States,
    hurts: States,
    exact: Option<usize>,
    folded: Option<usize>,
    parent: usize,
    token: Option<Token>,
}

impl Way {
    fn is_as_good(&self, other: &Way) -> bool {
        (self.exact.is_none() || self.exact == other.exact)
            && (self.folded.is_none() || self.folded == other.folded)
            && is_inside(&other.helps, &self.helps)
            && is_inside(&self.hurts, &other.hurts)
    }
}

/// Returns true if all of the first, which is sorted as the second is, stand in the second.
pub(super) fn is_inside<T: Ord>(inner: &[T], outer: &[T]) -> bool {
    let mut outer = outer.iter();
    inner.len() <= outer.len()
        && inner
            .iter()
            .all(|state| outer.by_ref().find(|other| *other >= state) == Some(state))
}

impl Search<'_> {
    /// The best answers that names can give. None if a name was not as the automaton says.
    pub(super) fn best(
        &self,
        check: &mut impl FnMut(&Name) -> Seen,
        meter: &Meter<'_, '_>,
    ) -> Result<Option<Vec<Name>>, Cap> {
        let starts = |wanted: fn(&Sides) -> bool| {
            let of_side = self.nfa.starts.iter().zip(self.sides).enumerate();
            let states = of_side.filter_map(move |(nth, (start, sides))| {
                let is_must = self.must == Some(nth) && wanted(&HELPS);
                (wanted(sides) || is_must).then_some(*start)
            });
            self.nfa.closed(states)
        };
        let mut ways = vec![Way {
            helps: starts(|sides| sides.helps),
            hurts: starts(|sides| sides.hurts),
            exact: Some(0),
            folded: Some(0),
            parent: 0,
            token: None,
        }];
        let mut best: Vec<Name> = Vec::new();
        let mut at = 0_usize;
        while at < ways.len() {
            for class in &self.nfa.classes {
                let Some(way) = ways.get(at) else { break };
                let helps = self.nfa.step(&way.helps, class);
                if self.is_hopeless(&helps) {
                    meter.step(1)?;
                    continue;
                }
                let hurts = self.nfa.step(&way.hurts, class);
                let (exact, folded) = (way.exact, way.folded);
                for token in self.tokens(&class.tokens, exact, folded) {
                    // A step costs more the more ways there are to compare with.
                    meter.step(
                        u64::try_from(ways.len() / 64)
                            .unwrap_or(u64::MAX)
                            .saturating_add(1),
                    )?;
                    let way = Way {
                        helps: helps.clone(),
                        hurts: hurts.clone(),
                        exact: self.excluded.exact.next(exact, token.chars()),
                        folded: self.excluded.folded.next(folded, token.key()),
                        parent: at,
                        token: Some(token),
                    };
                    if ways.iter().skip(1).any(|known| known.is_as_good(&way)) {
                        continue;
                    }
                    meter.hold(
                        way.helps
                            .len()
                            .saturating_add(way.hurts.len())
                            .saturating_mul(4)
                            .saturating_add(96),
                    )?;
                    ways.push(way);
                    let Some(name) = self.accept(&ways) else {
                        continue;
                    };
                    if best.iter().any(|known| known.is_as_good(&name)) {
                        continue;
                    }
                    match check(&name) {
                        Seen::Fine => keep(&mut best, name),
                        Seen::Otherwise => return Ok(None),
                        Seen::Skip => {}
                    }
                }
            }
            at = at.saturating_add(1);
        }
        Ok(Some(best))
    }

    /// Returns true if nothing that has to match can still match.
    fn is_hopeless(&self, helps: &[State]) -> bool {
        match self.must {
            Some(must) => {
                let first = self.nfa.starts.get(must).copied().unwrap_or(0);
                let end = self.nfa.starts.get(must.saturating_add(1)).copied();
                !helps
                    .iter()
                    .any(|state| *state >= first && end.is_none_or(|end| *state < end))
            }
            None => self.needs_help && helps.is_empty(),
        }
    }

    /// The tokens of a class that have to be told apart: those on the way to an excluded name, and one
    /// that leaves all of these.
    fn tokens(&self, class: &[Token], exact: Option<usize>, folded: Option<usize>) -> Vec<Token> {
        let leads_on = |token: &Token| {
            self.excluded.exact.next(exact, token.chars()).is_some()
                || self.excluded.folded.next(folded, token.key()).is_some()
        };
        let off = class.iter().find(|token| !leads_on(token));
        off.into_iter()
            .chain(class.iter().filter(|token| leads_on(token)))
            .copied()
            .collect()
    }

    /// The name of the last way, if it may end there.
    fn accept(&self, ways: &[Way]) -> Option<Name> {
        let last = ways.last()?;
        if self.excluded.exact.ends(last.exact) || self.excluded.folded.ends(last.folded) {
            return None;
        }
        let of_side = |states: &[State], wanted: fn(&Sides) -> bool| {
            let matching = self.nfa.accepted(states);
            let mut atoms: Vec<usize> = matching
                .filter(|atom| self.sides.get(*atom).is_some_and(wanted))
                .collect();
            atoms.sort_unstable();
            atoms.dedup();
            atoms
        };
        let helps = of_side(&last.helps, |sides| sides.helps);
        let hurts = of_side(&last.hurts, |sides| sides.hurts);
        let is_met = self
            .must
            .is_none_or(|must| self.nfa.accepted(&last.helps).any(|atom| atom == must));
        if !is_met || self.needs_help && helps.is_empty() {
            return None;
        }
        let mut tokens = Vec::new();
        let mut at = last;
        while let Some(token) = at.token {
            tokens.push(token);
            at = ways.get(at.parent)?;
        }
        let mut text = Vec::new();
        tokens.iter().rev().for_each(|token| token.put(&mut text));
        Some(Name { text, helps, hurts })
    }
}

const HELPS: Sides = Sides {
    helps: true,
    hurts: false,
};

/// Names that are not looked for.
#[derive(Debug, Default)]
pub(super) struct Excluded {
    exact: Trie,
    /// Names that are left out with all that may be taken for them.
    folded: Trie,
}

impl Excluded {
    pub(super) fn new<'a>(
        exact: impl IntoIterator<Item = &'a str>,
        folded: impl IntoIterator<Item = &'a str>,
    ) -> Excluded {
        let mut excluded = Excluded::default();
        // They are names of nothing, on any disk.
        for name in [".", ".."].into_iter().chain(exact) {
            excluded.exact.add(name.chars());
        }
        for name in folded {
            excluded.folded.add(key(name).chars());
        }
        excluded
    }
}

impl Excluded {
    /// Returns true if the name is left out.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.exact.holds(name.chars()) || self.folded.holds(key(name).chars())
    }

    /// Returns true if the character beyond ASCII stands in no name that is left out.
    pub(super) fn lacks(&self, c: char) -> bool {
        !self.exact.beyond_ascii.contains(&c) && !self.folded.beyond_ascii.contains(&c)
    }
}

/// A set of names by their characters. Node 0 is the root.
#[derive(Debug, Default)]
struct Trie {
    children: HashMap<(usize, char), usize>,
    ends: Vec<bool>,
    beyond_ascii: HashSet<char>,
}

impl Trie {
    fn add(&mut self, name: impl Iterator<Item = char>) {
        let mut at = 0_usize;
        if self.ends.is_empty() {
            self.ends.push(false);
        }
        for c in name {
            if !c.is_ascii() {
                self.beyond_ascii.insert(c);
            }
            let next = self.ends.len();
            at = *self.children.entry((at, c)).or_insert(next);
            if at == next {
                self.ends.push(false);
            }
        }
        if let Some(end) = self.ends.get_mut(at) {
            *end = true;
        }
    }

    fn holds(&self, mut name: impl Iterator<Item = char>) -> bool {
        let end = name.try_fold(0_usize, |at, c| self.children.get(&(at, c)).copied());
        self.ends(end)
    }

    /// The node that some characters lead to; `None` if they are no text or lead nowhere.
    fn next(
        &self,
        at: Option<usize>,
        chars: Option<impl IntoIterator<Item = char>>,
    ) -> Option<usize> {
        let mut chars = chars?.into_iter();
        chars.try_fold(at?, |at, c| self.children.get(&(at, c)).copied())
    }

    fn ends(&self, at: Option<usize>) -> bool {
        at.and_then(|at| self.ends.get(at)) == Some(&true)
    }
}
