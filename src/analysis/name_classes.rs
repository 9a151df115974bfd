//! The letters of the alphabet that paths are words over: for the atoms that matter at one point of a
//! search, the best sets of answers that a name can give, each with an ordinary name that gives it.
//!
//! Most atoms are plain names, and two plain names are never one: each is a letter by itself, looked up
//! by hash. Only what is left (names in another case, and names that no atom spells out) is searched
//! for with an automaton.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::atoms::{Atom, AtomId, Atoms};
use super::budget::{Cap, Meter};
use super::names::{Excluded, Name, Search, Seen, Sides, keep};
use super::nfa::{Alphabet, Nfa};
use super::ordinary::{candidates, oddity};
use super::refused_names::Depth;
use crate::policy::casefold::key;
use crate::policy::glob::{Case, Segment};

/// An atom that matters, and how.
pub(super) type Wanted = (AtomId, Sides);

/// Answers that names can give.
#[derive(Debug)]
pub(super) struct Letters {
    /// The most ordinary ones first. Their atoms are numbered as the question was.
    pub(super) names: Vec<Name>,
    /// Some name was left out that could not be judged.
    pub(super) doubtful: bool,
}

/// Results of earlier questions, of which the next ones make use: mostly they ask about the same patterns,
/// with other plain names beside them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: RefCell<HashMap<Query, Rc<Remembered>>>,
}

/// A search for names, without the names that were left out of it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Query {
    atoms: Vec<(Atom, Sides)>,
    /// The spellings of the group that was asked about.
    group: Option<Vec<String>>,
    needs_help: bool,
    alphabet: Alphabet,
}

#[derive(Debug)]
struct Remembered {
    names: Vec<Vec<u8>>,
    doubtful: bool,
    /// Steps that it took. They are counted again each time, so that no answer depends on the questions
    /// before.
    steps: u64,
}

/// Searches that are remembered, a few hundred bytes each.
const MOST_REMEMBERED: usize = 10_000;

/// Finds letters, and remembers them.
#[derive(Debug)]
pub(super) struct Finder<'a> {
    atoms: &'a Atoms,
    alphabet: Alphabet,
    known: HashMap<(Vec<Wanted>, bool), Rc<Letters>>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(atoms: &'a Atoms, alphabet: Alphabet) -> Finder<'a> {
        Finder {
            atoms,
            alphabet,
            known: HashMap::new(),
        }
    }

    /// The letters of some atoms, which are sorted; with `needs_help`, only those that help somewhere.
    pub(super) fn letters(
        &mut self,
        wanted: Vec<Wanted>,
        needs_help: bool,
        meter: &Meter<'_, '_>,
    ) -> Result<Rc<Letters>, Cap> {
        let key = (wanted, needs_help);
        if let Some(known) = self.known.get(&key) {
            return Ok(Rc::clone(known));
        }
        let sorted = Sorted::new(self.atoms, &key.0);
        let found = sorted.letters(needs_help, self.alphabet, meter)?;
        let held = found
            .names
            .iter()
            .map(|name| name.text.len().saturating_add(96));
        meter.hold(
            held.sum::<usize>()
                .saturating_add(key.0.len().saturating_mul(16)),
        )?;
        let found = Rc::new(found);
        self.known.insert(key, Rc::clone(&found));
        Ok(found)
    }
}

/// Literals that some file system may take for one another, and that are wanted as it does.
struct Folded {
    atoms: Vec<usize>,
    /// As it is written; it may be written in several ways.
    texts: BTreeSet<String>,
}

/// The wanted atoms by kind. Numbers are places in the list of what is wanted.
struct Sorted<'a> {
    sides: Vec<Sides>,
    literal: BTreeMap<&'a str, usize>,
    folded: BTreeMap<String, Folded>,
    wild: Vec<(usize, &'a Atom)>,
}

impl<'a> Sorted<'a> {
    fn new(atoms: &'a Atoms, wanted: &[Wanted]) -> Sorted<'a> {
        let mut sorted = Sorted {
            sides: wanted.iter().map(|(_, sides)| *sides).collect(),
            literal: BTreeMap::new(),
            folded: BTreeMap::new(),
            wild: Vec::new(),
        };
        for (nth, (number, _)) in wanted.iter().enumerate() {
            match atoms.atom(*number) {
                Some(Atom::Named(Segment::Literal(text), Case::Exact)) => {
                    sorted.literal.insert(text, nth);
                }
                Some(Atom::Named(Segment::Literal(text), Case::Folded)) => {
                    let group = sorted.folded.entry(key(text)).or_insert_with(|| Folded {
                        atoms: Vec::new(),
                        texts: BTreeSet::new(),
                    });
                    group.atoms.push(nth);
                    group.texts.insert(text.clone());
                }
                Some(
                    atom @ (Atom::Named(Segment::Wild(_) | Segment::DoubleStar, _) | Atom::Odd(_)),
                ) => {
                    sorted.wild.push((nth, atom));
                }
                None => {}
            }
        }
        sorted
    }

    fn sides(&self, nth: usize) -> Sides {
        self.sides.get(nth).copied().unwrap_or_default()
    }

    fn letters(
        &self,
        needs_help: bool,
        alphabet: Alphabet,
        meter: &Meter<'_, '_>,
    ) -> Result<Letters, Cap> {
        let mut letters = Letters {
            names: Vec::new(),
            doubtful: false,
        };
        // First what no atom spells out: for most purposes nothing is better than such a name.
        let helping = |nth: &usize| self.sides(*nth).helps;
        let wild_helps = self.wild.iter().any(|(nth, _)| helping(nth));
        if wild_helps || !needs_help {
            let excluded = Excluded::new(
                self.literal.keys().copied(),
                self.folded
                    .values()
                    .flat_map(|group| group.texts.iter().map(String::as_str)),
            );
            self.search(None, needs_help, &excluded, alphabet, &mut letters, meter)?;
        }
        for text in self.texts() {
            meter.step(1)?;
            let name = self.judged(text.as_bytes());
            if !needs_help || !name.helps.is_empty() {
                keep(&mut letters.names, name);
            }
        }
        for group in self.folded.values() {
            if needs_help && !wild_helps && !group.atoms.iter().any(helping) {
                continue;
            }
            if letters
                .names
                .iter()
                .any(|known| self.is_best_of(known, group))
            {
                continue;
            }
            let texts = group.texts.iter().map(String::as_str);
            let excluded = Excluded::new(self.literal.keys().copied().chain(texts), []);
            self.search(
                Some(group),
                needs_help,
                &excluded,
                alphabet,
                &mut letters,
                meter,
            )?;
        }
        letters.names.sort_by_key(|name| oddity(&name.text));
        Ok(letters)
    }

    /// All names that some atom spells out.
    fn texts(&self) -> BTreeSet<&str> {
        let folded = self.folded.values().flat_map(|group| &group.texts);
        let exact = self.literal.keys().copied();
        exact.chain(folded.map(String::as_str)).collect()
    }

    /// Returns true if no name that a group stands for can be better than a known one.
    fn is_best_of(&self, known: &Name, group: &Folded) -> bool {
        let wild = self.wild.iter().map(|(nth, _)| nth);
        let mut could_help = wild
            .chain(&group.atoms)
            .filter(|nth| self.sides(**nth).helps);
        could_help.all(|nth| known.helps.contains(nth))
            && known.hurts.iter().all(|nth| group.atoms.contains(nth))
    }

    /// Judgement of the deciding code on a name.
    fn judged(&self, text: &[u8]) -> Name {
        let mut holds: Vec<usize> = Vec::new();
        if let Ok(text) = std::str::from_utf8(text) {
            holds.extend(self.literal.get(text));
            if !self.folded.is_empty() {
                let group = self.folded.get(&key(text));
                holds.extend(group.into_iter().flat_map(|group| &group.atoms));
            }
        }
        let wild = self.wild.iter().filter(|(_, atom)| atom.holds(text));
        holds.extend(wild.map(|(nth, _)| *nth));
        holds.sort_unstable();
        let of_side = |wanted: fn(Sides) -> bool| {
            let of_side = holds.iter().filter(|nth| wanted(self.sides(**nth)));
            of_side.copied().collect()
        };
        Name {
            text: text.to_vec(),
            helps: of_side(|sides| sides.helps),
            hurts: of_side(|sides| sides.hurts),
        }
    }

    /// Searches for names that no atom spells out: of a group, or else of none.
    ///
    /// Reuses a search over the same patterns that excluded fewer names: if none of its results is excluded
    /// here, they are also the best results of this search.
    fn search(
        &self,
        group: Option<&Folded>,
        needs_help: bool,
        excluded: &Excluded,
        alphabet: Alphabet,
        letters: &mut Letters,
        meter: &Meter<'_, '_>,
    ) -> Result<(), Cap> {
        let query = self.query(group, needs_help, alphabet);
        let known = meter.letters().known.borrow().get(&query).cloned();
        let known = match known {
            Some(known) => {
                meter.step(known.steps)?;
                known
            }
            None => {
                let few = Excluded::new(query.group.iter().flatten().map(String::as_str), []);
                let before = meter.taken();
                let (names, doubtful) = self.searched(group, needs_help, &few, alphabet, meter)?;
                let steps = meter.taken().saturating_sub(before);
                let known = Rc::new(Remembered {
                    names,
                    doubtful,
                    steps,
                });
                let remembered = meter.letters();
                if remembered.known.borrow().len() < MOST_REMEMBERED {
                    let known = Rc::clone(&known);
                    remembered.known.borrow_mut().insert(query, known);
                }
                known
            }
        };
        let is_left_out = |name: &Vec<u8>| {
            let name = std::str::from_utf8(name);
            name.is_ok_and(|name| excluded.holds(name))
        };
        let (names, doubtful) = if known.names.iter().any(is_left_out) {
            self.searched(group, needs_help, excluded, alphabet, meter)?
        } else {
            (known.names.clone(), known.doubtful)
        };
        letters.doubtful |= doubtful;
        for name in names {
            let name = self.more_ordinary(self.judged(&name));
            keep(&mut letters.names, name);
        }
        Ok(())
    }

    /// Inputs of a search besides names that are left out.
    fn query(&self, group: Option<&Folded>, needs_help: bool, alphabet: Alphabet) -> Query {
        let hash = |(atom, _): &(Atom, Sides)| {
            let mut hasher = DefaultHasher::new();
            atom.hash(&mut hasher);
            hasher.finish()
        };
        let mut atoms: Vec<(Atom, Sides)> = self
            .wild
            .iter()
            .map(|(nth, atom)| ((*atom).clone(), self.sides(*nth)))
            .collect();
        atoms.sort_by_cached_key(hash);
        let group_helps = group.is_some_and(|group| self.helps(group));
        Query {
            atoms,
            group: group.map(|group| group.texts.iter().cloned().collect()),
            needs_help: needs_help && !group_helps,
            alphabet,
        }
    }

    fn helps(&self, group: &Folded) -> bool {
        group.atoms.iter().any(|nth| self.sides(*nth).helps)
    }

    /// The names of a search, and whether one was left out that could not be judged.
    fn searched(
        &self,
        group: Option<&Folded>,
        needs_help: bool,
        excluded: &Excluded,
        alphabet: Alphabet,
        meter: &Meter<'_, '_>,
    ) -> Result<(Vec<Vec<u8>>, bool), Cap> {
        let looks_for_odd =
            |(nth, atom): &(usize, &Atom)| matches!(atom, Atom::Odd(_)) && self.sides(*nth).helps;
        let depths: &[Depth] = if self.wild.iter().any(looks_for_odd) {
            &[Depth::Full]
        } else {
            &[Depth::Usual, Depth::Full]
        };
        // A group's atoms are one literal in several spellings: one of them stands for all.
        let of_group = group
            .and_then(|group| group.texts.first())
            .map(|text| Atom::Named(Segment::Literal(text.clone()), Case::Folded));
        let all = || self.wild.iter().map(|(_, atom)| *atom).chain(&of_group);
        let mut numbers: Vec<usize> = self.wild.iter().map(|(nth, _)| *nth).collect();
        let mut sides: Vec<Sides> = numbers.iter().map(|nth| self.sides(*nth)).collect();
        let group_helps = group.is_some_and(|group| self.helps(group));
        if group.is_some() {
            numbers.push(usize::MAX);
            sides.push(Sides::default());
        }
        // A name that a file system takes for one that is wanted has to be looked for among all its letters.
        let is_wide = |(nth, atom): &(usize, &Atom)| {
            matches!(atom, Atom::Named(_, Case::Folded)) && self.sides(*nth).helps
        };
        let is_wide = group.is_some() || self.wild.iter().any(is_wide);
        for depth in depths {
            let nfa = Nfa::new(all(), *depth, alphabet, is_wide.then_some(excluded));
            let search = Search {
                nfa: &nfa,
                sides: &sides,
                must: of_group.as_ref().map(|_| self.wild.len()),
                needs_help: needs_help && !group_helps,
                excluded,
            };
            let mut doubtful = false;
            let mut found: Vec<Vec<u8>> = Vec::new();
            let mut check = |name: &Name| {
                let real = self.judged(&name.text);
                let is_beside = |(_, atom): &(usize, &Atom)| matches!(atom, Atom::Odd(odd) if odd.is_beside(&name.text));
                if self.wild.iter().any(is_beside) {
                    return Seen::Skip;
                }
                if is_foreseen(name, &real, &numbers) {
                    found.push(real.text);
                    Seen::Fine
                } else if *depth == Depth::Full {
                    doubtful = true;
                    Seen::Skip
                } else {
                    Seen::Otherwise
                }
            };
            if search.best(&mut check, meter)?.is_some() {
                return Ok((found, doubtful));
            }
        }
        Ok((Vec::new(), false))
    }

    /// A more ordinary name that answers alike, if the patterns suggest one.
    fn more_ordinary(&self, name: Name) -> Name {
        let atoms = || {
            self.wild
                .iter()
                .filter(|(nth, _)| name.helps.contains(nth) || name.hurts.contains(nth))
        };
        let patterns = atoms().map(|(_, atom)| *atom);
        for text in candidates(&name.text, patterns) {
            let other = self.judged(&text);
            let is_spelled_out =
                std::str::from_utf8(&text).is_ok_and(|text| self.literal.contains_key(text));
            if other.helps == name.helps && other.hurts == name.hurts && !is_spelled_out {
                return other;
            }
        }
        name
    }
}

/// Returns true if what the automaton said of a name is what the deciding code says.
fn is_foreseen(name: &Name, real: &Name, numbers: &[usize]) -> bool {
    let same = |foreseen: &[usize], real: &[usize]| {
        let foreseen: Vec<usize> = foreseen
            .iter()
            .filter_map(|nth| numbers.get(*nth).copied())
            .collect();
        let searched: Vec<usize> = real
            .iter()
            .filter(|nth| numbers.contains(nth))
            .copied()
            .collect();
        foreseen == searched
    };
    same(&name.helps, &real.helps) && same(&name.hurts, &real.hurts)
}
