//! Is there a path that a formula holds for, and which is the shortest.
//!
//! Breadth first over the states of all slots at once. A state that is no better than one already seen
//! is not followed: where a pattern helps, more places in it are better, where it hurts, fewer. Paths
//! are at most as deep as paths may be, so that the search ends.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::budget::{Cap, Meter};
use super::formula::Formula;
use super::name_classes::{Finder, Wanted};
use super::names::{Name, Sides};
use super::tree::{Guard, Node, Places, Slot, SlotId, Tree};
use crate::path::MAX_SEGMENTS;

/// Result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The names of a path; none for the workspace.
    Path(Vec<Vec<u8>>),
    Nothing,
}

/// Finds the shortest path that the formula holds for. The workspace is told only if there is no other.
pub(super) fn find(formula: &Formula, meter: &Meter<'_, '_>) -> Result<Found, Cap> {
    meter.step(1)?;
    let tree = Tree::new(formula);
    if *tree.root == Node::Const(false) {
        return Ok(Found::Nothing);
    }
    let mut walk = Walk {
        finder: Finder::new(&tree.atoms, tree.alphabet),
        tree: &tree,
        meter,
        states: Vec::new(),
        known: HashMap::new(),
        doubtful: false,
    };
    walk.find()
}

struct State {
    node: Rc<Node>,
    /// Where each slot stands that the node depends on, in the order of the slots.
    slots: Vec<(SlotId, Places)>,
    depth: usize,
    parent: usize,
    name: Vec<u8>,
}

struct Walk<'t> {
    finder: Finder<'t>,
    tree: &'t Tree,
    meter: &'t Meter<'t, 't>,
    states: Vec<State>,
    /// The states that were seen, by what is open in them.
    known: HashMap<Rc<Node>, Vec<usize>>,
    doubtful: bool,
}

impl Walk<'_> {
    fn find(&mut self) -> Result<Found, Cap> {
        let start = |slot: SlotId| self.tree.slots.get(slot).map_or(0, |slot| slot.start);
        let root = self.state(&self.tree.root, &start, 0, 0, Vec::new());
        let holds_workspace = self.accepts(&root);
        if let Node::Const(false) = *root.node {
            return Ok(Found::Nothing);
        }
        self.states.push(root);
        let mut at = 0_usize;
        while at < self.states.len() {
            if self
                .states
                .get(at)
                .is_none_or(|state| state.depth >= MAX_SEGMENTS)
            {
                break;
            }
            if let Some(path) = self.expand(at)? {
                return Ok(Found::Path(path));
            }
            at = at.saturating_add(1);
        }
        match (holds_workspace, self.doubtful) {
            (true, _) => Ok(Found::Path(Vec::new())),
            (false, true) => Err(Cap::NotReproduced),
            (false, false) => Ok(Found::Nothing),
        }
    }

    /// Follows every letter from a state; a path if one of them completes it.
    fn expand(&mut self, at: usize) -> Result<Option<Vec<Vec<u8>>>, Cap> {
        let Some(state) = self.states.get(at) else {
            return Ok(None);
        };
        let (node, depth) = (Rc::clone(&state.node), state.depth.saturating_add(1));
        let (wanted, needs_help) = self.wanted(state);
        let slots = state.slots.clone();
        let letters = self
            .finder
            .letters(wanted.clone(), needs_help, self.meter)?;
        self.doubtful |= letters.doubtful;
        for letter in &letters.names {
            let places = self.moved(&slots, &wanted, letter);
            let place = |slot: SlotId| {
                let at = slots.binary_search_by_key(&slot, |(slot, _)| *slot);
                at.ok().and_then(|at| places.get(at).copied()).unwrap_or(0)
            };
            let next = self.state(&node, &place, depth, at, letter.text.clone());
            self.meter.step(
                u64::try_from(slots.len() / 8)
                    .unwrap_or(u64::MAX)
                    .saturating_add(1),
            )?;
            if let Node::Const(false) = *next.node {
                continue;
            }
            let is_complete = self.accepts(&next);
            if is_complete {
                self.states.push(next);
                return Ok(Some(self.path()));
            }
            self.add(next)?;
        }
        Ok(None)
    }

    /// The rest of a node where the slots stand like this.
    fn state(
        &self,
        node: &Rc<Node>,
        place: &impl Fn(SlotId) -> Places,
        depth: usize,
        parent: usize,
        name: Vec<u8>,
    ) -> State {
        let decided = |slot: SlotId| {
            let known = self.tree.slots.get(slot)?;
            known.is_decided(place(slot))
        };
        let node = node.simplified(&decided);
        let mut open = BTreeSet::new();
        node.slots(&mut open);
        State {
            node,
            slots: open.into_iter().map(|slot| (slot, place(slot))).collect(),
            depth,
            parent,
            name,
        }
    }

    fn slot(&self, slot: SlotId) -> Option<&Slot> {
        self.tree.slots.get(slot)
    }

    /// Returns true if the path that led to a state may end there.
    fn accepts(&self, state: &State) -> bool {
        state.node.is_true(&|slot| {
            let at = state.slots.binary_search_by_key(&slot, |(slot, _)| *slot);
            let place = at.ok().and_then(|at| state.slots.get(at));
            place.is_some_and(|(_, place)| self.slot(slot).is_some_and(|slot| slot.accepts(*place)))
        })
    }

    /// The atoms that the next name is asked, and whether it has to help some slot.
    fn wanted(&self, state: &State) -> (Vec<Wanted>, bool) {
        let mut wanted: HashMap<usize, Sides> = HashMap::new();
        let mut looping: BTreeSet<SlotId> = BTreeSet::new();
        for (number, places) in &state.slots {
            let Some(slot) = self.slot(*number) else {
                continue;
            };
            for (guard, _) in slot.moves(*places) {
                let (atom, helps) = match guard {
                    Guard::Any => {
                        looping.insert(*number);
                        continue;
                    }
                    Guard::Is(atom) => (atom, slot.helps),
                    Guard::IsNot(atom) => {
                        // Any name but a few moves it on.
                        looping.insert(*number);
                        (atom, !slot.helps)
                    }
                };
                let sides = wanted.entry(atom).or_default();
                sides.helps |= helps;
                sides.hurts |= !helps;
            }
        }
        // If no helping slot moves but those that any name moves: can it still become true?
        let unhelped = |slot: SlotId| {
            let known = self.slot(slot)?;
            (!known.helps || !looping.contains(&slot)).then_some(false)
        };
        let needs_help = *state.node.simplified(&unhelped) == Node::Const(false);
        let mut wanted: Vec<Wanted> = wanted.into_iter().collect();
        wanted.sort_unstable();
        (wanted, needs_help)
    }

    /// Where the slots stand after a name.
    fn moved(&self, slots: &[(SlotId, Places)], wanted: &[Wanted], name: &Name) -> Vec<Places> {
        let matches = |atom: usize, helps: bool| {
            let Ok(nth) = wanted.binary_search_by_key(&atom, |(atom, _)| *atom) else {
                return false;
            };
            let matching = if helps { &name.helps } else { &name.hurts };
            matching.binary_search(&nth).is_ok()
        };
        let moved = |(number, places): &(SlotId, Places)| {
            let Some(slot) = self.slot(*number) else {
                return 0;
            };
            let mut to: Places = 0;
            for (guard, next) in slot.moves(*places) {
                let leads_on = match guard {
                    Guard::Any => true,
                    Guard::Is(atom) => matches(atom, slot.helps),
                    Guard::IsNot(atom) => !matches(atom, !slot.helps),
                };
                if leads_on {
                    to |= next;
                }
            }
            to
        };
        slots.iter().map(moved).collect()
    }

    /// Remembers a state, unless one that is as good was seen.
    fn add(&mut self, state: State) -> Result<(), Cap> {
        let known = self.known.entry(Rc::clone(&state.node)).or_default();
        self.meter
            .step(u64::try_from(known.len() / 16).unwrap_or(u64::MAX))?;
        for other in known.iter().filter_map(|at| self.states.get(*at)) {
            let mut pairs = other.slots.iter().zip(&state.slots);
            let is_as_good = pairs.all(|((slot, others), (_, mine))| {
                match self.tree.slots.get(*slot).is_some_and(|slot| slot.helps) {
                    true => mine & !others == 0,
                    false => others & !mine == 0,
                }
            });
            if is_as_good {
                return Ok(());
            }
        }
        known.push(self.states.len());
        self.meter
            .hold(state.slots.len().saturating_mul(32).saturating_add(160))?;
        self.states.push(state);
        Ok(())
    }

    /// The names on the way to the last state.
    fn path(&self) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        let mut at = self.states.len().saturating_sub(1);
        while let Some(state) = self.states.get(at).filter(|state| state.depth > 0) {
            names.push(state.name.clone());
            at = state.parent;
        }
        names.reverse();
        names
    }
}
