//! What the entries say together: one decision for a run, a start only of what was allowed, at most one
//! stop and one outcome, no grant spent more often than it was given.
//!
//! Entries go in one after the other; what does not fit the ones before comes out as a sentence. Nothing
//! here knows of places, chains or signatures.
//!
//! A run may be named again at any time, so each is remembered: some 40 bytes for each that was allowed,
//! 20 for any other. That is the one thing in verification that grows with the ledger.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::chain::unhex;
use super::super::decode::Decoder;
use super::super::entry::{RunId, hex};
use super::super::grants::Grants;
use super::super::merkle::Hash;
use super::resume::Resume;
use super::scan::{Says, Seen};

/// What the entries said so far.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    decided: HashSet<RunId>,
    /// Allowed and not started.
    allowed: HashMap<RunId, Option<Hash>>,
    /// Started, without outcome.
    open: BTreeMap<RunId, Open>,
    /// Given up by a later writer; whoever looks after one may still tell how it ended.
    lost: BTreeSet<RunId>,
    /// How many did.
    late: u64,
    grants: Grants,
    /// The start of the machine in which the last line was written that is not about an earlier one.
    boot: Hash,
}

/// A run without outcome.
#[derive(Debug)]
struct Open {
    /// The start of the machine it was started in.
    boot: Hash,
    stopped: bool,
}

impl Meaning {
    /// What an earlier verification left.
    pub(super) fn resume(state: &Resume) -> Option<Meaning> {
        let mut meaning = Meaning::default();
        for (run, command) in &state.allowed {
            let command = match command {
                Some(command) => Some(unhex(command)?),
                None => None,
            };
            let run = run.parse().ok()?;
            meaning.decided.insert(run);
            meaning.allowed.insert(run, command);
        }
        for (run, boot) in &state.open {
            let run = run.parse().ok()?;
            meaning.decided.insert(run);
            let open = Open {
                boot: unhex(boot)?,
                stopped: false,
            };
            meaning.open.insert(run, open);
        }
        for run in &state.lost {
            let run = run.parse().ok()?;
            meaning.decided.insert(run);
            meaning.lost.insert(run);
        }
        meaning.grants = state.grants.clone();
        meaning.boot = unhex(&state.boot)?;
        Some(meaning)
    }

    /// The part of a state that is about meaning.
    pub(super) fn save(&self, state: &mut Resume) {
        state.boot = hex(&self.boot);
        state.grants = self.grants.clone();
        let mut allowed: Vec<(String, Option<String>)> = self
            .allowed
            .iter()
            .map(|(run, command)| (run.to_string(), command.map(|hash| hex(&hash))))
            .collect();
        allowed.sort_unstable();
        state.allowed = allowed;
        state.open = self
            .open
            .iter()
            .map(|(run, open)| (run.to_string(), hex(&open.boot)))
            .collect();
        state.lost = self.lost.iter().map(ToString::to_string).collect();
    }

    /// How many runs have no outcome.
    pub(super) fn open_runs(&self) -> usize {
        self.open.len()
    }

    /// How many of them started before the machine was, as far as its entries tell. They may still run: a container
    /// can have a name of its own for the start of its machine.
    pub(super) fn open_across_boots(&self) -> usize {
        let others = self.open.values().filter(|open| open.boot != self.boot);
        others.count()
    }

    /// How many runs ended after they had been given up.
    pub(super) fn late(&self) -> u64 {
        self.late
    }

    /// Takes the next entry; returns what about it does not fit those before.
    pub(super) fn see(&mut self, seen: &Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        match &seen.says {
            Says::Decision {
                allowed,
                command,
                grants,
            } => {
                self.decision(seen, allowed.then_some(*command), &mut wrong);
                for id in grants {
                    self.spend(id, seen, &mut wrong);
                }
            }
            Says::Start { command } => self.start(seen, *command, &mut wrong),
            Says::Stop => self.stop(seen, &mut wrong),
            Says::Outcome { gives_up } => self.outcome(seen, *gives_up, &mut wrong),
            Says::Grant(line) => {
                let mut decoder = Decoder::new();
                if let Ok(line) = decoder.decode(line.as_bytes()) {
                    self.grants.see(&line);
                }
            }
            Says::Segment(_) | Says::Checkpoint(_) | Says::Gap(_) | Says::Other => {}
        }
        // The next start of the machine may record how runs of the one before ended.
        if !matches!(
            seen.says,
            Says::Segment(_) | Says::Checkpoint(_) | Says::Outcome { .. }
        ) {
            self.boot = seen.boot;
        }
        wrong
    }

    fn decision(&mut self, seen: &Seen, allowed: Option<Option<Hash>>, wrong: &mut Vec<String>) {
        let Some(run) = seen.run else { return };
        if !self.decided.insert(run) {
            wrong.push(format!("a second decision for run {run}"));
        }
        if let Some(command) = allowed {
            self.allowed.insert(run, command);
        }
    }

    fn spend(&mut self, id: &str, seen: &Seen, wrong: &mut Vec<String>) {
        let ts = std::str::from_utf8(&seen.ts).unwrap_or("");
        let why = match self.grants.grant(id) {
            None => Some("was never made"),
            Some(grant) if grant.revoked => Some("was revoked"),
            Some(grant) if grant.left() == Some(0) => Some("was used up"),
            Some(grant) if !grant.counts_at(ts) => Some("was over"),
            Some(_) => None,
        };
        if let Some(why) = why {
            let id = id.escape_debug();
            wrong.push(format!("the decision spends grant `{id}`, which {why}"));
        }
        self.grants.spend(id);
    }

    fn start(&mut self, seen: &Seen, command: Option<Hash>, wrong: &mut Vec<String>) {
        let Some(run) = seen.run else {
            return wrong.push("a start without a run".to_owned());
        };
        match self.allowed.remove(&run) {
            None => wrong.push(format!("run {run} was started without being allowed")),
            Some(allowed) if allowed.is_none() || allowed != command => wrong.push(format!(
                "run {run} is not the command or the policy that was allowed"
            )),
            Some(_) => {}
        }
        let open = Open {
            boot: seen.boot,
            stopped: false,
        };
        self.open.insert(run, open);
    }

    fn stop(&mut self, seen: &Seen, wrong: &mut Vec<String>) {
        let Some(run) = seen.run else {
            return wrong.push("a stop without a run".to_owned());
        };
        match self.open.get_mut(&run) {
            None if self.lost.contains(&run) => {}
            None => wrong.push(format!("run {run} was stopped, but it is not open")),
            Some(open) if open.stopped => wrong.push(format!("run {run} was stopped twice")),
            Some(open) => open.stopped = true,
        }
    }

    fn outcome(&mut self, seen: &Seen, gives_up: bool, wrong: &mut Vec<String>) {
        let Some(run) = seen.run else {
            return wrong.push("an outcome without a run".to_owned());
        };
        let was_open = self.open.remove(&run).is_some();
        if was_open && gives_up {
            self.lost.insert(run);
        } else if !was_open && !gives_up && self.lost.remove(&run) {
            self.late = self.late.saturating_add(1);
        } else if !was_open {
            wrong.push(format!("run {run} has an outcome, but it is not open"));
        }
    }
}
