//! Rules that entries keep together: one decision for a run, a start only of what was allowed, at most one
//! stop and one outcome, no grant spent more often than it was given.
//!
//! Entries go in one after the other; what does not fit the ones before comes out as a sentence. Nothing
//! here knows of places, chains or signatures.
//!
//! A run may be named again at any time, so each is remembered: some 40 bytes for each that was allowed,
//! 20 for any other. That is the one thing in verification that grows with the ledger.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::grants::Grants;
use super::state::gives_up;
use crate::log::decode::{Decoder, Line};
use crate::log::hash::{hex, sha256, unhex};
use crate::log::merkle::Hash;
use crate::log::verify::{Audit, Seen};
use crate::log::{Kind, RunId};

/// The part of each kind of entry that the rules need.
#[derive(Debug)]
#[non_exhaustive]
pub enum Says {
    /// The answer, and the command that it allows.
    Decision {
        /// It allows.
        allowed: bool,
        /// Digest of the command and the policy.
        command: Option<Hash>,
        /// The grants that it spends.
        grants: Box<[String]>,
    },
    /// Which command was let go.
    Start {
        /// Digest of the command and the policy.
        command: Option<Hash>,
        /// An executor elsewhere runs it.
        elsewhere: bool,
    },
    /// A run was stopped.
    Stop,
    /// A run ended.
    Outcome {
        /// The next writer says it, because nobody looks after the run any more.
        gives_up: bool,
    },
    /// The whole line.
    Grant(Box<str>),
    /// These only have to be in the chain.
    Other,
}

/// State of the entries so far.
#[derive(Debug, Default)]
pub struct Meaning {
    decided: HashSet<RunId>,
    /// Allowed and not started.
    allowed: HashMap<RunId, Option<Hash>>,
    /// Started, without outcome.
    open: BTreeMap<RunId, Open>,
    /// Given up by a later writer; whoever looks after one may still tell how it ended.
    lost: BTreeSet<RunId>,
    /// Number of those that did.
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
    /// An executor elsewhere runs it.
    elsewhere: bool,
}

/// The state as text.
#[derive(Serialize, Deserialize)]
struct Saved {
    boot: String,
    /// Runs that were allowed and not started, with what was allowed.
    allowed: Vec<(String, Option<String>)>,
    /// Runs without outcome, with the start of the machine.
    open: Vec<(String, String)>,
    /// Those of them that executors elsewhere run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    elsewhere: Vec<String>,
    /// Runs that were given up, and may still get an outcome.
    lost: Vec<String>,
    grants: Grants,
}

impl Audit for Meaning {
    type Says = Says;

    fn read(line: &Line<'_>) -> Says {
        match line.kind {
            Kind::Decision => decision(line),
            Kind::Start => Says::Start {
                command: command(line.field("argv"), line.field("policy")),
                elsewhere: line.field("executor").is_some(),
            },
            Kind::Stop => Says::Stop,
            Kind::Outcome => Says::Outcome {
                gives_up: gives_up(line),
            },
            Kind::Grant => Says::Grant(format!("{}\n", line.text()).into()),
            Kind::Segment
            | Kind::Policy
            | Kind::Approval
            | Kind::Checkpoint
            | Kind::Anchor
            | Kind::Gap
            | Kind::Observed => Says::Other,
        }
    }

    fn load(saved: &Map<String, Value>) -> Option<Meaning> {
        let saved: Saved = serde_json::from_value(Value::Object(saved.clone())).ok()?;
        let mut meaning = Meaning {
            grants: saved.grants,
            boot: unhex(&saved.boot)?,
            ..Meaning::default()
        };
        for (run, command) in &saved.allowed {
            let command = match command {
                Some(command) => Some(unhex(command)?),
                None => None,
            };
            let run = run.parse().ok()?;
            meaning.decided.insert(run);
            meaning.allowed.insert(run, command);
        }
        for (run, boot) in &saved.open {
            let run = run.parse().ok()?;
            meaning.decided.insert(run);
            let open = Open {
                boot: unhex(boot)?,
                stopped: false,
                elsewhere: saved.elsewhere.contains(&run.to_string()),
            };
            meaning.open.insert(run, open);
        }
        for run in &saved.lost {
            let run = run.parse().ok()?;
            meaning.decided.insert(run);
            meaning.lost.insert(run);
        }
        Some(meaning)
    }

    fn save(&self) -> Map<String, Value> {
        let allowed = self.allowed.iter();
        let mut allowed: Vec<(String, Option<String>)> = allowed
            .map(|(run, command)| (run.to_string(), command.map(|hash| hex(&hash))))
            .collect();
        allowed.sort_unstable();
        let open = self.open.iter();
        let elsewhere = self.open.iter().filter(|(_, open)| open.elsewhere);
        let saved = Saved {
            boot: hex(&self.boot),
            allowed,
            open: open
                .map(|(run, open)| (run.to_string(), hex(&open.boot)))
                .collect(),
            elsewhere: elsewhere.map(|(run, _)| run.to_string()).collect(),
            lost: self.lost.iter().map(ToString::to_string).collect(),
            grants: self.grants.clone(),
        };
        match serde_json::to_value(&saved) {
            Ok(Value::Object(saved)) => saved,
            _ => Map::new(),
        }
    }

    fn unfinished(&self) -> u64 {
        u64::try_from(self.open.len()).unwrap_or(u64::MAX)
    }

    fn warnings(&self) -> Vec<String> {
        let late = (self.late > 0).then(|| {
            format!(
                "{} runs ended after they had been given up as lost",
                self.late
            )
        });
        late.into_iter().collect()
    }

    /// A run that started before the machine may still go on: a container can have a name of its own for the start of
    /// its machine.
    fn not_proven(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let open = self.open.len();
        if open > 0 {
            sentences.push(format!(
                "{open} runs have no outcome yet: they run, or nothing proves that they do not"
            ));
        }
        let elsewhere = self.open.values().filter(|open| open.elsewhere);
        let elsewhere = elsewhere.count();
        if elsewhere > 0 {
            sentences.push(format!(
                "{elsewhere} of them were started by another executor than `local`, and are settled by the next program that has it"
            ));
        }
        let others = self.open.values().filter(|open| open.boot != self.boot);
        let others = others.count();
        if others > 0 {
            sentences.push(format!(
                "{others} of them started before the machine was last started, or in a container that says so"
            ));
        }
        sentences
    }

    fn see(&mut self, seen: &Seen, says: &Says) -> Vec<String> {
        let mut wrong = Vec::new();
        match says {
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
            Says::Start { command, elsewhere } => {
                self.start(seen, *command, *elsewhere, &mut wrong);
            }
            Says::Stop => self.stop(seen, &mut wrong),
            Says::Outcome { gives_up } => self.outcome(seen, *gives_up, &mut wrong),
            Says::Grant(line) => {
                let mut decoder = Decoder::new();
                if let Ok(line) = decoder.decode(line.as_bytes()) {
                    self.grants.see(&line);
                }
            }
            Says::Other => {}
        }
        // The next start of the machine may record how runs of the one before ended.
        if ![Kind::Segment, Kind::Checkpoint, Kind::Outcome].contains(&seen.kind) {
            self.boot = seen.boot;
        }
        wrong
    }
}

impl Meaning {
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

    fn start(
        &mut self,
        seen: &Seen,
        command: Option<Hash>,
        elsewhere: bool,
        wrong: &mut Vec<String>,
    ) {
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
            elsewhere,
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

fn decision(line: &Line<'_>) -> Says {
    let (mut effect, mut argv, mut policy, mut grants) = (None, None, None, None);
    for (name, value) in line.fields() {
        match name {
            "effect" => effect = Some(value),
            "argv" => argv = Some(value),
            "policy" => policy = Some(value),
            "grants" => grants = Some(value),
            _ => {}
        }
    }
    let allowed = effect == Some("\"allow\"");
    let grants = grants.map(serde_json::from_str).and_then(Result::ok);
    Says::Decision {
        allowed,
        command: allowed.then(|| command(argv, policy)).flatten(),
        grants: grants.unwrap_or_default(),
    }
}

/// Digest of the parts that a decision and the start it allows have in common: arguments and policy.
fn command(argv: Option<&str>, policy: Option<&str>) -> Option<Hash> {
    let argv = argv.filter(|argv| *argv != "null")?;
    let policy = policy?;
    // A long value stands in its line by its digest only.
    let cut = argv
        .starts_with("{\"cut_json\"")
        .then(|| unhex(argv.rsplit('"').nth(1)?))
        .flatten();
    let mut both = Sha256::new();
    both.update(cut.unwrap_or_else(|| sha256(argv.as_bytes())));
    both.update(policy);
    Some(both.finalize().into())
}
