//! Which well-known places an allow rule lets through: a name that is there or is usual is tried first, and
//! what no such name shows is decided by exact analysis, in every case of the letters.

#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::collections::HashMap;

use super::diagnostic::Witness;
use super::exact::shown;
use super::samples;
use super::sensitive_paths::{self, Place};
use super::subject::{Deed, RuleView, Subject};
use crate::analysis::cells::{Analysis, Cell};
use crate::analysis::{Answer, Budget, Cap, PathSet, Space};
use crate::policy::Span;
use crate::policy::glob::{Case, Pattern};
use crate::policy::model::{Access, Argument, PathArgument, RuleEffect, Tree};

/// The sensitive paths that a rule exposes, for the argument that exposes the most.
#[derive(Debug)]
pub(crate) struct Exposed {
    pub(crate) access: Access,
    /// A request for each place, in the order of the places.
    pub(crate) found: Vec<(&'static Place, Witness)>,
}

/// The sensitive paths of one list that the rules of a policy expose, for reading and for writing.
#[derive(Debug, Default)]
pub(crate) struct Exposures {
    /// By the rule's place among the rules.
    pub(crate) by_rule: Vec<(usize, Exposed)>,
    /// Questions without an answer: the place, the question, and the bound that was met.
    pub(crate) unknown: Vec<(Span, String, Cap)>,
}

/// Looks at every allow rule.
pub(crate) fn look(
    subject: &Subject<'_>,
    read: &'static [Place],
    write: &'static [Place],
) -> Exposures {
    let budget = subject.budget();
    let other = (!std::ptr::eq(read, write)).then(|| Places::new(write));
    let read = Places::new(read);
    let write = other.as_ref().unwrap_or(&read);
    let mut looker = Looker {
        subject,
        analysis: subject.analysis(),
        budget,
        covered: HashMap::new(),
        kept_out: HashMap::new(),
        keepers: HashMap::new(),
        found: Exposures::default(),
    };
    for (nth, rule) in subject.rules().enumerate() {
        if rule.written.effect != RuleEffect::Allow {
            continue;
        }
        if budget.is_spent() {
            let what = "what the rules from here on let through".to_owned();
            let unknown = (rule.written.at, what, Cap::Stopped);
            looker.found.unknown.push(unknown);
            break;
        }
        looker.rule(nth, rule, &read, write);
    }
    looker.found
}

/// Places, and what is computed of them once.
struct Places {
    all: &'static [Place],
    sets: Vec<PathSet>,
    existing: Vec<OnceCell<Vec<String>>>,
}

impl Places {
    fn new(all: &'static [Place]) -> Places {
        Places {
            all,
            sets: all.iter().map(Place::set).collect(),
            existing: all.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    /// The names of the workspace that lie in a place, a few.
    fn existing(&self, nth: usize, subject: &Subject<'_>) -> &[String] {
        let look = || {
            let place = self.all.get(nth);
            let pattern = place.and_then(|place| Pattern::parse(place.pattern).ok());
            let but = place.and_then(|place| Pattern::parse(place.but).ok());
            let is_in = |name: &str| {
                pattern.as_ref().is_some_and(|p| p.matches_folded(name))
                    && !but.as_ref().is_some_and(|but| but.matches(name))
            };
            let names = subject.around.names().unwrap_or_default();
            let mut found: Vec<String> = names
                .iter()
                .filter(|(name, _)| is_in(name))
                .map(|(name, _)| name.clone())
                .collect();
            found.sort_by_key(|name| (name.matches('/').count(), name.len()));
            found.truncate(MOST_EXISTING);
            found
        };
        let cell = self.existing.get(nth);
        cell.map_or(&[], |cell| cell.get_or_init(look).as_slice())
    }
}

/// Names of the workspace that are tried for one place.
const MOST_EXISTING: usize = 32;

struct Looker<'a, 's> {
    subject: &'a Subject<'s>,
    analysis: &'a Analysis,
    budget: &'a Budget<'a>,
    /// For what everybody is kept out of, which places (by their patterns) are all inside it.
    covered: HashMap<PathSet, HashMap<&'static str, bool>>,
    /// Paths that are denied to everybody, by action and argument.
    kept_out: HashMap<(u32, &'a str), PathSet>,
    /// The rules that can keep something out, by action and argument.
    keepers: HashMap<(u32, &'a str), Vec<u32>>,
    found: Exposures,
}

impl<'a> Looker<'a, '_> {
    fn rule(&mut self, nth: usize, rule: RuleView<'a>, read: &Places, write: &Places) {
        let mut best: Option<Exposed> = None;
        let mut seen: Vec<(Access, Vec<&str>, Vec<u32>)> = Vec::new();
        let subject = self.subject;
        for deed in subject.deeds(rule) {
            for (argument, kind) in deed.paths() {
                let scopes = subject.scopes_of(rule.written, deed.number, &argument.name);
                if scopes.is_empty() || kind.tree == Tree::Names {
                    continue;
                }
                let Some(cell) =
                    self.analysis
                        .cell(&deed.tool.name, &deed.action.name, &argument.name)
                else {
                    continue;
                };
                let keepers = self
                    .keepers
                    .entry((deed.number, argument.name.as_str()))
                    .or_insert_with(|| self.analysis.keepers(cell));
                // What has the same access, scopes and denies is answered alike.
                let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name.as_str()).collect();
                let key = (kind.access, scopes, keepers.clone());
                if seen.contains(&key) {
                    continue;
                }
                seen.push(key);
                let places = if kind.access == Access::Write {
                    write
                } else {
                    read
                };
                let exposed = self.argument(rule, deed, (argument, kind), cell, places);
                let more = |best: &Exposed| exposed.found.len() > best.found.len();
                if !exposed.found.is_empty() && best.as_ref().is_none_or(more) {
                    best = Some(exposed);
                }
            }
        }
        self.found
            .by_rule
            .extend(best.map(|exposed| (nth, exposed)));
    }

    fn argument(
        &mut self,
        rule: RuleView<'_>,
        deed: Deed<'_>,
        (argument, kind): (&'a Argument, &PathArgument),
        cell: &Cell,
        places: &Places,
    ) -> Exposed {
        let mut found: Vec<(usize, &'static Place, Witness)> = Vec::new();
        let mut open: Vec<(usize, &'static Place)> = Vec::new();
        for (nth, place) in self.uncovered((deed.number, argument), cell, places) {
            let usual = || self.usual(rule, deed, argument, places, nth);
            if let Some(witness) = usual() {
                found.push((nth, place, witness));
            } else if self.may_reach(rule, deed, argument, cell, places, nth) {
                open.push((nth, place));
            }
        }
        let excluded = self.excluded(rule, deed, argument);
        let ask = |places: &[PathSet]| {
            let set = PathSet::any(places.iter().cloned()).without(excluded.clone());
            let id = &rule.written.id;
            self.analysis.lets_none_through(id, cell, &set, self.budget)
        };
        let sets: Vec<PathSet> = open
            .iter()
            .filter_map(|(nth, _)| places.sets.get(*nth).cloned())
            .collect();
        // Mostly none is reached, and one question is enough.
        let all = if sets.is_empty() {
            Answer::Holds
        } else {
            ask(&sets)
        };
        if !all.holds() {
            for (set, (nth, place)) in sets.iter().zip(&open) {
                match ask(std::slice::from_ref(set)) {
                    Answer::Holds => {}
                    Answer::Fails(witness) => {
                        let shows = format!("is allowed by `{}`", rule.written.id);
                        let witness = self.subject.existing(witness);
                        found.extend(shown(&witness, &shows).map(|w| (*nth, *place, w)));
                    }
                    // Told once for all rules.
                    Answer::Unknown(Cap::Stopped) => {}
                    Answer::Unknown(cap) => {
                        let what = format!(
                            "whether rule `{}` lets `{}` through",
                            rule.written.id, place.pattern
                        );
                        self.found.unknown.push((rule.written.at, what, cap));
                    }
                }
            }
        }
        // Names that begin like names first: `a.pem` shows more than `.env.pem`, which is a key as well.
        let is_odd = |nth: usize, witness: &Witness| {
            let name = witness
                .path
                .as_deref()
                .and_then(|path| path.rsplit('/').next());
            open.iter().any(|(open, _)| *open == nth)
                && name.is_some_and(|name| name.starts_with('.'))
        };
        found.sort_by_key(|(nth, _, witness)| (is_odd(*nth, witness), *nth));
        Exposed {
            access: kind.access,
            found: found.into_iter().map(|(_, place, w)| (place, w)).collect(),
        }
    }

    /// The places that the denies for everybody leave open.
    fn uncovered(
        &mut self,
        (action, argument): (u32, &'a Argument),
        cell: &Cell,
        places: &Places,
    ) -> Vec<(usize, &'static Place)> {
        let kept_out = self
            .kept_out
            .entry((action, argument.name.as_str()))
            .or_insert_with(|| self.analysis.kept_out_everywhere(cell));
        let space = Space::with_workspace(self.subject.policy.switches());
        let known = self.covered.entry(kept_out.clone()).or_default();
        let mut open = Vec::new();
        for (nth, (place, set)) in places.all.iter().zip(&places.sets).enumerate() {
            let is_covered = *known
                .entry(place.pattern)
                .or_insert_with(|| space.covers(kept_out, set, self.budget).holds());
            if !is_covered {
                open.push((nth, place));
            }
        }
        open
    }

    /// False if it is plain from the patterns that the rule reaches nothing of a place.
    fn may_reach(
        &self,
        rule: RuleView<'_>,
        deed: Deed<'_>,
        argument: &Argument,
        cell: &Cell,
        places: &Places,
        nth: usize,
    ) -> bool {
        let (Some(place), Some(set)) = (places.all.get(nth), places.sets.get(nth)) else {
            return false;
        };
        let scopes = self
            .subject
            .scopes_of(rule.written, deed.number, &argument.name);
        let mut patterns = scopes.iter().flat_map(|scope| &scope.include);
        let holds_more = !place.is_without_sources()
            || patterns.any(|(p, _)| !sensitive_paths::is_of_sources(p));
        holds_more && self.analysis.may_speak_of(&rule.written.id, cell, set)
    }

    /// A request for a name that is there, or that people know.
    fn usual(
        &self,
        rule: RuleView<'_>,
        deed: Deed<'_>,
        argument: &Argument,
        places: &Places,
        nth: usize,
    ) -> Option<Witness> {
        let allowed = |path: &str| samples::allowed(self.subject, rule, deed, argument, path);
        let place = places.all.get(nth)?;
        let bases = if place.is_anywhere() {
            samples::bases(self.subject, rule.written, deed.number, &argument.name)
        } else {
            vec![String::new()]
        };
        // The best known name first, wherever: what a deny at the top leaves open is seen by it below.
        let known = place
            .names
            .iter()
            .flat_map(|name| bases.iter().map(|base| samples::join(base, name)))
            .find_map(|path| allowed(&path))?;
        let existing = places.existing(nth, self.subject);
        existing
            .iter()
            .find_map(|path| allowed(path))
            .or(Some(known))
    }

    /// The paths that the rule's scopes exclude, in every case: paths that pass an exclusion in another case
    /// are reported by a rule of their own.
    fn excluded(&self, rule: RuleView<'_>, deed: Deed<'_>, argument: &Argument) -> PathSet {
        let scopes = self
            .subject
            .scopes_of(rule.written, deed.number, &argument.name);
        let excluded = scopes.iter().flat_map(|scope| &scope.exclude);
        PathSet::any(excluded.map(|(pattern, _)| PathSet::of(pattern, Case::Folded)))
    }
}
