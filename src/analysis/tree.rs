//! A formula -> automata over segments, and what of the formula is still open at a point of a path.
//!
//! Each pattern of the formula is a slot: a set of places in the pattern, moved on by each name. A slot
//! helps if the formula wants it to match and hurts if not; a pattern that is wanted both ways has two.
//! What is decided, whatever follows, is taken out of the tree: a `**` that was reached, a pattern that
//! cannot match any more. Without that the number of states explodes.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::atoms::{Atom, AtomId, Atoms};
use super::formula::{Canonical, Formula, Leaf, Scope};
use super::nfa::Alphabet;
use super::refused_names::Odd;
use crate::path::{MAX_SEGMENTS, Switches, Unicode};
use crate::policy::casefold::key;
use crate::policy::glob::{Case, Pattern, Piece, Segment};

/// The open part of a formula.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Const(bool),
    /// The slot's pattern matches.
    Is(SlotId),
    /// It does not.
    IsNot(SlotId),
    All(Vec<Rc<Node>>),
    Any(Vec<Rc<Node>>),
}

pub(super) type SlotId = usize;

/// Places in a pattern; the lowest bit is its beginning.
pub(super) type Places = u128;

/// Condition on a name for one place to follow another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guard {
    Any,
    Is(AtomId),
    IsNot(AtomId),
}

/// One pattern of the formula.
#[derive(Debug)]
pub(super) struct Slot {
    /// True if the formula wants it to match.
    pub(super) helps: bool,
    /// From each place, what leads on and to where.
    pub(super) edges: Vec<(Guard, Places)>,
    edge_of_place: Vec<(usize, usize)>,
    pub(super) start: Places,
    accepts: Places,
    /// From here on it matches whatever follows.
    absorbs: Places,
}

impl Slot {
    /// Edges that lead on from some places.
    pub(super) fn moves(&self, places: Places) -> impl Iterator<Item = (Guard, Places)> + '_ {
        Bits(places).flat_map(|place| {
            let (first, end) = self.edge_of_place.get(place).copied().unwrap_or_default();
            self.edges
                .get(first..end)
                .unwrap_or_default()
                .iter()
                .copied()
        })
    }

    /// Returns true if a path may end here and match.
    pub(super) fn accepts(&self, places: Places) -> bool {
        self.accepts & places != 0
    }

    /// Its value, if it is decided that it matches, or that it does not.
    pub(super) fn is_decided(&self, places: Places) -> Option<bool> {
        match (places & self.absorbs, places) {
            (_, 0) => Some(false),
            (0, _) => None,
            (_, _) => Some(true),
        }
    }
}

struct Bits(Places);

impl Iterator for Bits {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        let low = usize::try_from(self.0.trailing_zeros()).ok()?;
        self.0 &= self.0.wrapping_sub(1);
        (low < 128).then_some(low)
    }
}

/// A formula ready to be searched.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Rc<Node>,
    pub(super) slots: Vec<Slot>,
    pub(super) atoms: Atoms,
    pub(super) alphabet: Alphabet,
}

impl Tree {
    pub(super) fn new(formula: &Formula) -> Tree {
        let formula = formula.clone().propagated();
        let mut builder = Builder {
            slots: Vec::new(),
            known: HashMap::new(),
            atoms: Atoms::default(),
            frame: frame(&formula).map(|frame| frame.into_iter().cloned().collect()),
            within: within(&formula).cloned(),
            odd: false,
            bounded: false,
        };
        let root = builder.node(&formula);
        Tree {
            root,
            slots: builder.slots,
            atoms: builder.atoms,
            alphabet: Alphabet {
                odd: builder.odd,
                bytes: builder.odd || !builder.bounded,
                composed: builder.bounded,
                hidden: builder.odd
                    || builder
                        .within
                        .is_none_or(|switches| switches.unicode == Unicode::Relaxed),
            },
        }
    }
}

/// Where patterns may lie at all, if the formula says so: inside some of these.
pub(super) fn frame(formula: &Formula) -> Option<Vec<&Pattern>> {
    match formula {
        Formula::In(Leaf::Scope(scope)) => Some(scope.include.iter().collect()),
        Formula::All(parts) => parts.iter().filter_map(frame).min_by_key(Vec::len),
        Formula::Any(parts) => {
            let frames: Option<Vec<_>> = parts.iter().map(frame).collect();
            frames.map(|frames| frames.concat())
        }
        Formula::Const(_) | Formula::Out(_) | Formula::In(Leaf::Canonical(_)) => None,
    }
}

/// The switches under which every path of the formula can be named.
fn within(formula: &Formula) -> Option<&Switches> {
    match formula {
        Formula::In(Leaf::Canonical(canonical)) => Some(&canonical.switches),
        Formula::All(parts) => parts.iter().find_map(within),
        Formula::In(Leaf::Scope(_)) | Formula::Out(_) | Formula::Any(_) | Formula::Const(_) => None,
    }
}

impl Formula {
    /// False if it is plain from the patterns that the sets have no path in common.
    pub(super) fn may_meet(&self, other: &Formula) -> bool {
        match (frame(self), frame(other)) {
            (Some(mine), Some(others)) => {
                mine.iter().any(|a| others.iter().any(|b| may_meet(a, b)))
            }
            (_, _) => *self != Formula::Const(false) && *other != Formula::Const(false),
        }
    }
}

/// False if it is plain that no path matches both, in whichever case.
fn may_meet(a: &Pattern, b: &Pattern) -> bool {
    // From the end, as far as both say what each name is.
    let named = |segment: &&Segment| **segment != Segment::DoubleStar;
    let ends = a.segments().iter().rev().take_while(named);
    let mut ends = ends.zip(b.segments().iter().rev().take_while(named));
    if ends.any(|(a, b)| !may_be_one(a, b)) {
        return false;
    }
    let mut pairs = a.segments().iter().zip(b.segments());
    loop {
        match pairs.next() {
            Some((Segment::DoubleStar, _) | (_, Segment::DoubleStar)) => return true,
            Some((a, b)) if !may_be_one(a, b) => return false,
            Some(_) => {}
            None => break,
        }
    }
    // One is as long as the other, or what it has more may be nothing.
    let longer = if a.segments().len() > b.segments().len() {
        a
    } else {
        b
    };
    let common = a.segments().len().min(b.segments().len());
    let rest = longer.segments().get(common..).unwrap_or_default();
    rest.iter().all(|segment| *segment == Segment::DoubleStar)
}

/// False if it is plain that no name matches both segments, neither of which is `**`.
fn may_be_one(a: &Segment, b: &Segment) -> bool {
    match (a, b) {
        (Segment::Literal(a), Segment::Literal(b)) => a == b || key(a) == key(b),
        // A name in another case may match where this one does not, if bytes are counted or told apart.
        (Segment::Literal(name), wild @ Segment::Wild(_))
        | (wild @ Segment::Wild(_), Segment::Literal(name)) => {
            !name.is_ascii() || !is_caseless(wild) || wild.matches(name.as_bytes(), Case::Folded)
        }
        (Segment::Wild(_) | Segment::DoubleStar, _) | (_, Segment::DoubleStar) => true,
    }
}

/// Returns true if the segment matches all names that may be taken for an ASCII name, or none.
fn is_caseless(segment: &Segment) -> bool {
    fn are_caseless(pieces: &[Piece]) -> bool {
        pieces.iter().all(|piece| match piece {
            Piece::Literal(text) => text.is_ascii(),
            Piece::Star => true,
            Piece::AnyByte | Piece::Class(_) => false,
            Piece::Alternatives(branches) => branches.iter().all(|branch| are_caseless(branch)),
        })
    }
    match segment {
        Segment::Wild(pieces) => are_caseless(pieces),
        Segment::Literal(_) | Segment::DoubleStar => true,
    }
}

struct Builder {
    slots: Vec<Slot>,
    known: HashMap<(bool, Case, Pattern), SlotId>,
    atoms: Atoms,
    frame: Option<Vec<Pattern>>,
    /// Paths that requests can name at all, if the formula says so.
    within: Option<Switches>,
    /// A path that no request can name is looked for.
    odd: bool,
    /// Paths are those that requests can name.
    bounded: bool,
}

impl Builder {
    fn node(&mut self, formula: &Formula) -> Rc<Node> {
        match formula {
            Formula::Const(all) => Rc::new(Node::Const(*all)),
            Formula::In(Leaf::Scope(scope)) => self.scope(scope, true),
            Formula::Out(Leaf::Scope(scope)) => self.scope(scope, false),
            Formula::In(Leaf::Canonical(canonical)) => {
                self.bounded = true;
                Rc::new(Node::Is(self.canonical(canonical, true)))
            }
            Formula::Out(Leaf::Canonical(canonical)) => {
                self.odd = true;
                Rc::new(Node::IsNot(self.canonical(canonical, false)))
            }
            Formula::All(parts) => {
                let parts = parts.iter().map(|part| self.node(part)).collect();
                all(parts)
            }
            Formula::Any(parts) => {
                let parts = parts.iter().map(|part| self.node(part)).collect();
                any(parts)
            }
        }
    }

    /// Inside the scope, or outside of it.
    fn scope(&mut self, scope: &Scope, inside: bool) -> Rc<Node> {
        let mut of = |pattern: &Pattern, case: Case, wanted: bool| {
            let known = self.slot(pattern, case, wanted);
            Rc::new(match (known, wanted) {
                (None, wanted) => Node::Const(!wanted),
                (Some(slot), true) => Node::Is(slot),
                (Some(slot), false) => Node::IsNot(slot),
            })
        };
        let include = scope.include.iter();
        let include: Vec<_> = include
            .map(|pattern| of(pattern, scope.case, inside))
            .collect();
        let exclude = scope.exclude.iter();
        let exclude: Vec<_> = exclude
            .map(|pattern| of(pattern, Case::Exact, !inside))
            .collect();
        if inside {
            all(vec![any(include), all(exclude)])
        } else {
            any(vec![all(include), any(exclude)])
        }
    }

    /// The slot of a pattern; none if it matches nothing that matters.
    fn slot(&mut self, pattern: &Pattern, case: Case, helps: bool) -> Option<SlotId> {
        let key = (helps, case, pattern.clone());
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let outside = |frame: &Vec<Pattern>| !frame.iter().any(|framed| may_meet(framed, pattern));
        if self.frame.as_ref().is_some_and(outside) {
            return None;
        }
        let segments = pattern.segments();
        let names = segments
            .iter()
            .filter(|segment| **segment != Segment::DoubleStar)
            .count();
        if names > MAX_SEGMENTS || segments.len() > 127 {
            // No path is that deep.
            return None;
        }
        let closed = |from: usize| {
            let mut places: Places = 0;
            for place in from..=segments.len() {
                places |= bit(place);
                if segments.get(place) != Some(&Segment::DoubleStar) {
                    break;
                }
            }
            places
        };
        let mut slot = Slot {
            helps,
            edges: Vec::new(),
            edge_of_place: Vec::new(),
            start: closed(0),
            accepts: bit(segments.len()),
            absorbs: 0,
        };
        for (place, segment) in segments.iter().enumerate() {
            let first = slot.edges.len();
            if *segment == Segment::DoubleStar {
                slot.edges.push((Guard::Any, closed(place)));
                if place.saturating_add(1) == segments.len() {
                    slot.absorbs = bit(place);
                }
            } else {
                let atom = self.atoms.number(Atom::Named(segment.clone(), case));
                slot.edges
                    .push((Guard::Is(atom), closed(place.saturating_add(1))));
            }
            slot.edge_of_place.push((first, slot.edges.len()));
        }
        Some(self.add(slot, key))
    }

    fn add(&mut self, slot: Slot, key: (bool, Case, Pattern)) -> SlotId {
        let number = self.slots.len();
        self.slots.push(slot);
        self.known.insert(key, number);
        number
    }

    fn canonical(&mut self, canonical: &Canonical, helps: bool) -> SlotId {
        let within = self.within.as_ref().filter(|_| !helps);
        let odd = |first| Atom::Odd(Arc::new(Odd::new(&canonical.switches, first, within)));
        let (first, later) = (odd(true), odd(false));
        let (first, later) = (self.atoms.number(first), self.atoms.number(later));
        self.slots.push(Slot {
            helps,
            edges: vec![(Guard::IsNot(first), 0b10), (Guard::IsNot(later), 0b10)],
            edge_of_place: vec![(0, 1), (1, 2)],
            start: 0b01,
            accepts: if canonical.workspace { 0b11 } else { 0b10 },
            absorbs: 0,
        });
        self.slots.len().saturating_sub(1)
    }
}

fn bit(place: usize) -> Places {
    u32::try_from(place)
        .ok()
        .and_then(|place| 1_u128.checked_shl(place))
        .unwrap_or_default()
}

fn all(parts: Vec<Rc<Node>>) -> Rc<Node> {
    let mut kept: Vec<Rc<Node>> = Vec::with_capacity(parts.len());
    for part in parts {
        match &*part {
            Node::Const(true) => {}
            Node::Const(false) => return part,
            Node::All(more) => kept.extend(more.iter().cloned()),
            Node::Is(_) | Node::IsNot(_) | Node::Any(_) => kept.push(part),
        }
    }
    match kept.len() {
        0 => Rc::new(Node::Const(true)),
        1 => kept.pop().unwrap_or_else(|| Rc::new(Node::Const(true))),
        _ => Rc::new(Node::All(kept)),
    }
}

fn any(parts: Vec<Rc<Node>>) -> Rc<Node> {
    let mut kept: Vec<Rc<Node>> = Vec::with_capacity(parts.len());
    for part in parts {
        match &*part {
            Node::Const(false) => {}
            Node::Const(true) => return part,
            Node::Any(more) => kept.extend(more.iter().cloned()),
            Node::Is(_) | Node::IsNot(_) | Node::All(_) => kept.push(part),
        }
    }
    match kept.len() {
        0 => Rc::new(Node::Const(false)),
        1 => kept.pop().unwrap_or_else(|| Rc::new(Node::Const(false))),
        _ => Rc::new(Node::Any(kept)),
    }
}

impl Node {
    /// The rest of it once some slots are decided.
    pub(super) fn simplified(
        self: &Rc<Node>,
        decided: &impl Fn(SlotId) -> Option<bool>,
    ) -> Rc<Node> {
        match &**self {
            Node::Const(_) => Rc::clone(self),
            Node::Is(slot) => match decided(*slot) {
                None => Rc::clone(self),
                Some(is) => Rc::new(Node::Const(is)),
            },
            Node::IsNot(slot) => match decided(*slot) {
                None => Rc::clone(self),
                Some(is) => Rc::new(Node::Const(!is)),
            },
            Node::All(parts) => {
                let mut kept = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.simplified(decided);
                    if *part == Node::Const(false) {
                        return part;
                    }
                    kept.push(part);
                }
                all(kept)
            }
            Node::Any(parts) => {
                let mut kept = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.simplified(decided);
                    if *part == Node::Const(true) {
                        return part;
                    }
                    kept.push(part);
                }
                any(kept)
            }
        }
    }

    /// Its value if each slot has one.
    pub(super) fn is_true(&self, matches: &impl Fn(SlotId) -> bool) -> bool {
        match self {
            Node::Const(is) => *is,
            Node::Is(slot) => matches(*slot),
            Node::IsNot(slot) => !matches(*slot),
            Node::All(parts) => parts.iter().all(|part| part.is_true(matches)),
            Node::Any(parts) => parts.iter().any(|part| part.is_true(matches)),
        }
    }

    /// The slots that it depends on.
    pub(super) fn slots(&self, into: &mut BTreeSet<SlotId>) {
        match self {
            Node::Const(_) => {}
            Node::Is(slot) | Node::IsNot(slot) => {
                into.insert(*slot);
            }
            Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| part.slots(into)),
        }
    }
}
