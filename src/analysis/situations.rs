//! Contexts of a decision besides the request: one for each kind of actor, each set of approvals and each
//! time that the rules about an action distinguish.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use super::Budget;
use super::atoms::Atom;
use super::budget::Cap;
use super::names::{Excluded, Name, Search, Seen, Sides};
use super::nfa::{Alphabet, Nfa};
use super::refused_names::Depth;
use crate::decision::{Context, is_granted_outright};
use crate::policy::glob::{Case, Piece, Segment};
use crate::policy::model::{ApprovalKind, RuleEffect};
use crate::policy::{CompiledPolicy, CompiledRule};

/// One context, and how much is granted in it compared with others.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub(super) context: Context,
    /// Nothing is granted.
    pub(super) least: bool,
    /// Nothing more can be granted at once.
    pub(super) most: bool,
}

/// Most contexts that are looked at for one action.
const MAX_SITUATIONS: usize = 1024;

/// Most ways to grant approvals.
const MAX_GRANTS: usize = 256;

/// Most kinds of actors.
const MAX_ACTORS: usize = 64;

/// The situations that some rules of some policies tell apart, those first to whom the least is granted.
pub(super) fn situations(
    rules: &[(&CompiledPolicy, &CompiledRule)],
    times: &[Option<jiff::Timestamp>],
    budget: &Budget<'_>,
) -> Result<Vec<Situation>, Cap> {
    // A time is part of an answer only where some rule lapses.
    let lapses = rules.iter().any(|(_, rule)| rule.lapses.is_some());
    let times = if lapses { times } else { &[None] };
    let actors = actors(rules, budget)?;
    let grants = grants(rules)?;
    let all = actors
        .len()
        .saturating_mul(grants.len())
        .saturating_mul(times.len());
    if all > MAX_SITUATIONS {
        return Err(Cap::Combinations);
    }
    let mut situations = Vec::with_capacity(all);
    for grant in &grants {
        for time in times {
            for actor in &actors {
                let mut context = Context::new(actor);
                for (variable, value) in &grant.switches {
                    context = context.with_switch(variable, value);
                }
                for name in &grant.names {
                    context = context.with_approval(name);
                }
                if let Some(now) = time {
                    context = context.with_time(*now);
                }
                situations.push(Situation {
                    context,
                    least: grant.switches.is_empty() && grant.names.is_empty(),
                    most: grant.most,
                });
            }
        }
    }
    Ok(situations)
}

/// The times at which allow rules lapse, `now` first: the decisions differ between them only.
pub(super) fn times(
    rules: &[(&CompiledPolicy, &CompiledRule)],
    now: Option<jiff::Timestamp>,
) -> Vec<Option<jiff::Timestamp>> {
    let of_allows = rules
        .iter()
        .filter(|(_, rule)| rule.effect == RuleEffect::Allow);
    let later: BTreeSet<jiff::Timestamp> = of_allows
        .filter_map(|(_, rule)| rule.lapses)
        .filter(|lapses| now.is_none_or(|now| *lapses > now))
        .collect();
    std::iter::once(now)
        .chain(later.into_iter().map(Some))
        .collect()
}

/// One way to grant approvals.
#[derive(Clone, Debug, Default)]
struct Grant {
    switches: Vec<(String, String)>,
    names: Vec<String>,
    most: bool,
}

impl Grant {
    fn context(&self) -> Context {
        let context = Context::default();
        let set = self.switches.iter();
        let context = set.fold(context, |context, (variable, value)| {
            context.with_switch(variable, value)
        });
        self.names.iter().fold(context, Context::with_approval)
    }
}

fn grants(rules: &[(&CompiledPolicy, &CompiledRule)]) -> Result<Vec<Grant>, Cap> {
    let mut needed = Vec::new();
    for (policy, rule) in rules {
        if let Some(approval) = rule.approval.and_then(|nth| policy.approval(nth)) {
            needed.push(approval);
        }
    }
    let mut switches: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for approval in &needed {
        match &approval.kind {
            ApprovalKind::Switch { variable, accept } => {
                switches
                    .entry(variable)
                    .or_default()
                    .extend(accept.iter().map(String::as_str));
            }
            ApprovalKind::Grant { .. } => {
                names.insert(&approval.name);
            }
        }
    }
    let granted = |grant: &Grant| -> Vec<bool> {
        let context = grant.context();
        needed
            .iter()
            .map(|approval| is_granted_outright(approval, &context))
            .collect()
    };
    let mut all: Vec<(Grant, Vec<bool>)> = vec![(Grant::default(), granted(&Grant::default()))];
    let mut widen = |change: &dyn Fn(&mut Grant)| {
        let more: Vec<_> = all
            .iter()
            .map(|(grant, _)| {
                let mut grant = grant.clone();
                change(&mut grant);
                let granted = granted(&grant);
                (grant, granted)
            })
            .collect();
        for new in more {
            // Two values that grant the same are one.
            if !all.iter().any(|(_, granted)| *granted == new.1) {
                all.push(new);
            }
        }
        if all.len() > MAX_GRANTS {
            Err(Cap::Combinations)
        } else {
            Ok(())
        }
    };
    for (variable, values) in switches {
        for value in values {
            widen(&|grant| {
                grant.switches.retain(|(known, _)| known != variable);
                grant.switches.push((variable.to_owned(), value.to_owned()));
            })?;
        }
    }
    for name in names {
        widen(&|grant| grant.names.push(name.to_owned()))?;
    }
    let vectors: Vec<Vec<bool>> = all.iter().map(|(_, granted)| granted.clone()).collect();
    for (grant, granted) in &mut all {
        let is_more = |other: &&Vec<bool>| {
            *other != granted
                && granted
                    .iter()
                    .zip(*other)
                    .all(|(mine, others)| !mine || *others)
        };
        grant.most = !vectors.iter().any(|other| is_more(&other));
    }
    all.sort_by_key(|(_, granted)| granted.iter().filter(|granted| **granted).count());
    Ok(all.into_iter().map(|(grant, _)| grant).collect())
}

/// One name for each kind of actor that the rules tell apart.
fn actors(
    rules: &[(&CompiledPolicy, &CompiledRule)],
    budget: &Budget<'_>,
) -> Result<Vec<String>, Cap> {
    let patterns: BTreeSet<&str> = rules
        .iter()
        .filter_map(|(_, rule)| rule.actors.as_ref())
        .flatten()
        .map(String::as_str)
        .collect();
    if patterns.is_empty() {
        return Ok(vec![ANYBODY.to_owned()]);
    }
    let atoms: Vec<Atom> = patterns
        .iter()
        .map(|pattern| Atom::Named(segment(pattern), Case::Exact))
        .collect();
    let alphabet = Alphabet {
        odd: false,
        bytes: false,
        composed: true,
        hidden: true,
    };
    let nfa = Nfa::new(&atoms, Depth::Usual, alphabet, None);
    // Wanted and unwanted, no answer is better than another, and all are found.
    let sides = vec![
        Sides {
            helps: true,
            hurts: true
        };
        atoms.len()
    ];
    let search = Search {
        nfa: &nfa,
        sides: &sides,
        must: None,
        needs_help: false,
        excluded: &Excluded::default(),
    };
    let mut found: Vec<(Vec<usize>, String)> = Vec::new();
    let mut check = |name: &Name| {
        let is_actor =
            (1..=128).contains(&name.text.len()) && name.text.iter().all(u8::is_ascii_graphic);
        match String::from_utf8(name.text.clone()) {
            Ok(text) if is_actor => {
                found.push((name.helps.clone(), text));
                Seen::Fine
            }
            _ => Seen::Skip,
        }
    };
    search.best(&mut check, &budget.meter())?;
    if found.len() > MAX_ACTORS {
        return Err(Cap::Combinations);
    }
    let matching = |name: &str| -> Vec<usize> {
        let answers = atoms.iter().enumerate();
        answers
            .filter(|(_, atom)| atom.holds(name.as_bytes()))
            .map(|(nth, _)| nth)
            .collect()
    };
    // A name that a reader takes for one, if it is of the same kind.
    let ordinary: Vec<String> = std::iter::once(ANYBODY.to_owned())
        .chain(patterns.iter().map(|pattern| pattern.replace('*', "1")))
        .collect();
    Ok(found
        .into_iter()
        .map(|(kind, name)| {
            let alike = ordinary.iter().find(|other| matching(other) == kind);
            alike.cloned().unwrap_or(name)
        })
        .collect())
}

/// Whoever no rule names.
const ANYBODY: &str = "anybody";

/// A pattern of actors as a segment: `*` is any run of characters, all else is itself.
fn segment(pattern: &str) -> Segment {
    let mut pieces = Vec::new();
    for (nth, text) in pattern.split('*').enumerate() {
        if nth > 0 {
            pieces.push(Piece::Star);
        }
        if !text.is_empty() {
            pieces.push(Piece::Literal(text.to_owned()));
        }
    }
    Segment::Wild(pieces)
}
