//! Calls of an agent's tools: the decision before, what was seen of the end, and the two joined again.
//!
//! The field `call` of an entry names the call: the agent, its session and its own id for the call. Before the call
//! stands a decision, or one with its parts; behind it an `observed` entry, if the agent says that the call ended.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::permit::{SPENT, WOULD_SPEND, approval_drafts, decision_draft};
use super::{Ledger, LedgerError};
use crate::decision::{Decision, Effect};
use crate::log::read::Entry;
use crate::log::{Draft, Kind, LogError, RunId};
use crate::policy::CompiledPolicy;

/// The field of an entry that names the call.
const CALL: &str = "call";

impl Ledger {
    /// Records what was decided about a call: `whole`, and its parts where it is more than one request. An allow spends
    /// the grants that it needed.
    ///
    /// # Errors
    /// When it is not on disk, or a grant cannot be used any more.
    pub fn record_call(
        &self,
        policy: &CompiledPolicy,
        call: &Map<String, Value>,
        whole: &Decision,
        parts: &[Decision],
        held: Held,
    ) -> Result<(), LedgerError> {
        self.note_policy(policy)?;
        let is_enforced = held != Held::No;
        let grants = |decision: &Decision| match (held, whole.effect()) {
            (Held::Yes, Effect::Allow) => SPENT,
            (Held::ByRun, Effect::Allow) if decision.argv().is_none() => SPENT,
            (Held::Yes | Held::ByRun | Held::No, _) => WOULD_SPEND,
        };
        let mut drafts = Vec::new();
        let mut add = |decision: &Decision, call: Value| -> Result<(), LedgerError> {
            let run = RunId::random().map_err(|error| LogError::io("draw a run id", &error))?;
            if is_enforced {
                drafts.extend(approval_drafts(run, policy, decision));
            }
            let mut draft = decision_draft(run, decision, grants(decision)).with(CALL, call);
            if !is_enforced {
                draft.kind = Kind::Observed;
                draft = draft.with("what", "a decision that nobody was held to");
            }
            drafts.push(draft);
            Ok(())
        };
        match parts {
            [one] => add(one, Value::Object(call.clone()))?,
            parts => {
                let mut head = call.clone();
                head.insert("parts".to_owned(), json!(parts.len()));
                add(whole, Value::Object(head))?;
                for (nth, part) in parts.iter().enumerate() {
                    let mut names = names(call);
                    names.insert("part".to_owned(), json!(nth.saturating_add(1)));
                    add(part, Value::Object(names))?;
                }
            }
        }
        self.commit_last(drafts).map(drop)
    }

    /// Records that a call was seen to end.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn record_call_end(
        &self,
        call: &Map<String, Value>,
        ended: &Map<String, Value>,
    ) -> Result<(), LedgerError> {
        let draft = Draft::new(Kind::Observed)
            .with("what", "a call ended")
            .with(CALL, Value::Object(call.clone()))
            .with("ended", Value::Object(ended.clone()));
        self.commit_last(vec![draft]).map(drop)
    }
}

/// The way in which the agent is held to what is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers choose one")]
pub enum Held {
    /// By its own hooks: it acts on the answer.
    Yes,
    /// By having lictor run the programs, which decides again and spends the grants for them.
    ByRun,
    /// It is not: the decision is recorded, and the call goes on.
    No,
}

/// The fields that name a call, which are the same before and after it.
const NAMES: [&str; 3] = ["agent", "session", "id"];

fn names(call: &Map<String, Value>) -> Map<String, Value> {
    let of = |name: &str| Some((name.to_owned(), call.get(name)?.clone()));
    NAMES.into_iter().filter_map(of).collect()
}

/// State of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallState {
    /// It was denied: it did not run, if the agent keeps to the answer.
    Denied,
    /// A person had refused it.
    Refused,
    /// Lictor came to no decision, and blocked the call for that reason.
    NotDecided,
    /// A person was to be asked, and the call was not seen to end. That is no refusal.
    NotAnswered,
    /// It was allowed, and not seen to end: it may be running, may have been given up, or its end was not reported.
    NotSeenToEnd,
    /// It ended well.
    Ended,
    /// It ended, and the agent says that it failed.
    Failed,
}

impl CallState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            CallState::Denied => "denied",
            CallState::Refused => "refused",
            CallState::NotDecided => "not decided",
            CallState::NotAnswered => "not answered",
            CallState::NotSeenToEnd => "not seen to end",
            CallState::Ended => "ended",
            CallState::Failed => "failed",
        }
    }
}

/// One call, as the record shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SeenCall {
    /// The entry of the decision; of the end, if there is no decision.
    pub seq: u64,
    /// When that was written.
    pub ts: String,
    /// Its state.
    pub state: CallState,
    /// The entry of the decision as a value; null if only the end was seen.
    pub decision: Value,
    /// The field `call`.
    pub call: Value,
    /// The agent's report of the end; null if there is none.
    pub ended: Value,
}

/// Joins the entries of a ledger to calls.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    calls: Vec<SeenCall>,
    /// The last call of each name that has no end yet.
    open: HashMap<String, usize>,
}

impl Calls {
    /// Takes in the next entry.
    pub fn add(&mut self, entry: &Entry) {
        let value = entry.value();
        let Some(call) = value.get(CALL).filter(|call| call.get("part").is_none()) else {
            return;
        };
        let name = call
            .get("id")
            .filter(|id| id.is_string())
            .map(|_| json!(NAMES.map(|name| &call[name])).to_string());
        match (entry.kind, value.get("ended")) {
            (Kind::Observed, Some(ended)) => {
                let state = match ended["ok"] == true {
                    true => CallState::Ended,
                    false => CallState::Failed,
                };
                let known = name.and_then(|name| self.open.remove(&name));
                match known.and_then(|nth| self.calls.get_mut(nth)) {
                    Some(known) => {
                        known.state = state;
                        known.ended = ended.clone();
                    }
                    None => self.push(entry, state, Value::Null, call.clone(), ended.clone()),
                }
            }
            (Kind::Decision | Kind::Observed, None) => {
                let text = |name: &str| value.get(name)?.as_str();
                let is_held = entry.kind == Kind::Decision;
                let state = match text("effect") {
                    Some("deny") if is_held && text("reason") == Some("NOT_DECIDED") => {
                        CallState::NotDecided
                    }
                    Some("deny") if is_held && text("reason") == Some("APPROVAL_REFUSED") => {
                        CallState::Refused
                    }
                    Some("deny") if is_held => CallState::Denied,
                    Some("ask") if is_held => CallState::NotAnswered,
                    _ => CallState::NotSeenToEnd,
                };
                if let Some(name) = name {
                    self.open.insert(name, self.calls.len());
                }
                self.push(entry, state, value.clone(), call.clone(), Value::Null);
            }
            _ => {}
        }
    }

    fn push(
        &mut self,
        entry: &Entry,
        state: CallState,
        decision: Value,
        call: Value,
        ended: Value,
    ) {
        self.calls.push(SeenCall {
            seq: entry.seq,
            ts: entry.ts.clone(),
            state,
            decision,
            call,
            ended,
        });
    }

    /// The calls, in the order in which they were decided.
    #[must_use]
    pub fn all(&self) -> &[SeenCall] {
        &self.calls
    }
}
