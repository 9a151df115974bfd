//! Decisions about what is more or less than one request: an agent's call.

#![forbid(unsafe_code)]

use super::{Asked, Context, Decision, Effect, Request};
use crate::policy::CompiledPolicy;
use crate::reason::Reason;

impl Decision {
    /// The decision about something that is more than one request, or none: the strictest of its parts. Nothing that
    /// can be asked for again stands in it.
    #[must_use]
    pub(crate) fn of_parts(
        policy: &CompiledPolicy,
        context: &Context,
        parts: &[Decision],
    ) -> Decision {
        let strictest = parts.iter().fold(None, |most: Option<&Decision>, part| {
            Some(
                most.filter(|most| most.effect >= part.effect)
                    .unwrap_or(part),
            )
        });
        let nothing = Request::argv(Vec::<Vec<u8>>::new());
        let whole = Decision::new(policy, &nothing, context);
        let asked = Asked {
            argv: None,
            ..whole.asked.clone()
        };
        match strictest {
            Some(part) if part.effect != Effect::Allow => Decision {
                asked,
                findings: Vec::new(),
                exact: None,
                plan: None,
                ..part.clone()
            },
            _ => Decision {
                effect: Effect::Allow,
                message: match parts.len() {
                    0 => "nothing is run and no file is touched".to_owned(),
                    parts => format!("all {parts} parts are allowed"),
                },
                asked,
                ..whole
            },
        }
    }

    /// The decision about something that is no request: without rules, for a reason of its own.
    #[must_use]
    pub(crate) fn without_rules(
        policy: &CompiledPolicy,
        context: &Context,
        (effect, reason): (Effect, Option<Reason>),
        message: String,
        instead: Option<String>,
    ) -> Decision {
        let mut decision = Decision::of_parts(policy, context, &[]);
        decision.effect = effect;
        decision.reasons = Vec::from_iter(reason);
        decision.message = message;
        decision.instead = instead;
        decision
    }
}
