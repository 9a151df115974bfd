//! Calls of an agent's tools: every part decided, the whole recorded, before the agent is answered.

#![forbid(unsafe_code)]

use serde_json::{Map, Value};

use super::{Governor, OnDisk};
use crate::decision::{Context, Decision, Effect, Request};
use crate::reason::Reason;
use crate::record::{Held, LedgerError};

/// One thing that a call does.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Something that the rules decide.
    Request(Request),
    /// Something that is no request.
    Given {
        effect: Effect,
        reason: Option<Reason>,
        message: String,
        instead: Option<String>,
    },
    /// A command that may run without a rule, unless a rule denies it.
    Filter(Request),
}

/// Decision about a call.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The strictest of the parts.
    pub(crate) decision: Decision,
    pub(crate) parts: Vec<Decision>,
}

impl Governor {
    /// Decides the parts of a call and records the decision; an allow spends the grants that it needs. An allow
    /// that cannot be recorded is a denial.
    pub(crate) fn answer_call(
        &self,
        call: &Map<String, Value>,
        parts: &[Part],
        context: &Context,
        held: Held,
    ) -> Answered {
        let policy = self.policy();
        let mut gone = Vec::new();
        loop {
            let parts: Vec<Decision> = parts
                .iter()
                .map(|part| self.part(part, context, &gone))
                .collect();
            let decision = match parts.as_slice() {
                [one] => one.clone(),
                parts => Decision::of_parts(policy, context, parts),
            };
            let recorded = self
                .ledger()
                .and_then(|ledger| ledger.record_call(policy, call, &decision, &parts, held));
            let decision = match recorded {
                Ok(()) => decision,
                // Somebody was faster; another grant may do.
                Err(LedgerError::GrantGone { id }) if !gone.contains(&id) => {
                    gone.push(id);
                    continue;
                }
                Err(error) if decision.effect() != Effect::Deny => {
                    decision.denied(error.reason(), error.to_string())
                }
                Err(_) => decision,
            };
            return Answered { decision, parts };
        }
    }

    fn part(&self, part: &Part, context: &Context, gone: &[String]) -> Decision {
        match part {
            Part::Request(request) => {
                self.settle(self.granted(request, context, gone), OnDisk::Yes)
            }
            Part::Given {
                effect,
                reason,
                message,
                instead,
            } => Decision::without_rules(
                self.policy(),
                context,
                (*effect, *reason),
                message.clone(),
                instead.clone(),
            ),
            Part::Filter(request) => {
                let decision = self.settle(self.granted(request, context, gone), OnDisk::Yes);
                match (decision.effect(), decision.reason()) {
                    (Effect::Allow, _)
                    | (_, Some(Reason::DeniedByRule | Reason::ApprovalRefused)) => decision,
                    (Effect::Ask | Effect::Deny, _) => Decision::without_rules(
                        self.policy(),
                        context,
                        (Effect::Allow, None),
                        "it only reads what is piped into it (`shell.filters`)".to_owned(),
                        None,
                    ),
                }
            }
        }
    }

    /// Records that a call was seen to end.
    pub(crate) fn call_ended(
        &self,
        call: &Map<String, Value>,
        ended: &Map<String, Value>,
    ) -> Result<(), LedgerError> {
        self.ledger()?.record_call_end(call, ended)
    }
}
