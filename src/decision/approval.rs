//! Approvals: whether one is granted, and what to tell somebody who needs it.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::request::Form;
use super::{Context, Decision, Effect, Request, Value};
use crate::path::CanonicalPath;
use crate::policy::glob::Pattern;
use crate::policy::model::{Approval, ApprovalKind};
use crate::policy::{CompiledPolicy, CompiledRule};
use crate::text::shell;

/// An approval that is missing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ApprovalNeeded {
    /// Its name in the policy.
    pub name: String,
    /// Way to get it, in one line.
    pub how: String,
    /// Where to find out more.
    pub reference: Option<String>,
}

/// An approval that is granted for one rule only, and perhaps only for some paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleGrant {
    pub(super) approval: String,
    pub(super) rule: String,
    /// Empty: wherever the rule counts.
    pub(super) within: Vec<Pattern>,
}

/// Subject of an approval.
#[derive(Clone, Copy, Debug)]
pub(super) enum For<'a> {
    /// A request without paths.
    Nothing,
    /// One path.
    Path(&'a CanonicalPath),
    /// A directory and everything below it.
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what the disk says asks for it")
    )]
    Below(&'a CanonicalPath),
}

impl RuleGrant {
    fn covers(&self, what: For<'_>) -> bool {
        self.within.is_empty()
            || self.within.iter().any(|pattern| match what {
                For::Nothing => false,
                For::Path(path) => pattern.matches(path.as_str()),
                For::Below(path) => pattern.reaches_down() && pattern.matches(path.as_str()),
            })
    }
}

/// Returns true if the context grants an approval to a rule, [outright](is_granted_outright) or for this
/// alone.
pub(super) fn is_granted(
    approval: &Approval,
    rule: &CompiledRule,
    what: For<'_>,
    context: &Context,
) -> bool {
    is_granted_outright(approval, context)
        || context.granted.iter().any(|grant| {
            grant.approval == approval.name && grant.rule == rule.id && grant.covers(what)
        })
}

/// Returns true if the context grants an approval to every rule that needs it. A switch counts if its value
/// is one of the accepted ones, compared without regard to ASCII case; nothing is trimmed, and an unset
/// variable is no value.
pub(crate) fn is_granted_outright(approval: &Approval, context: &Context) -> bool {
    if context.approved.contains(&approval.name) {
        return true;
    }
    match &approval.kind {
        ApprovalKind::Switch { variable, accept } => context
            .switches
            .get(variable)
            .is_some_and(|value| accept.iter().any(|yes| yes.eq_ignore_ascii_case(value))),
        ApprovalKind::Grant { .. } => false,
    }
}

pub(super) fn needed(policy: &CompiledPolicy, nth: usize) -> Option<ApprovalNeeded> {
    let approval = policy.approval(nth)?;
    let how = match &approval.kind {
        ApprovalKind::Switch { variable, accept } => {
            format!(
                "whoever starts lictor sets {variable} to {}",
                accept.join(" or ")
            )
        }
        ApprovalKind::Grant { .. } => "a person grants it".to_owned(),
    };
    Some(ApprovalNeeded {
        name: approval.name.clone(),
        how,
        reference: approval.reference.clone(),
    })
}

impl Decision {
    /// Tells how to get the approvals that are missing: for a grant, the command line to copy.
    pub(super) fn tell_how(&mut self, policy: &CompiledPolicy, request: &Request) {
        if self.effect != Effect::Ask {
            return;
        }
        let granted = |name: &str| {
            let by_name = |approval: &&Approval| approval.name == name;
            let found = policy.approvals().iter().find(by_name)?;
            match &found.kind {
                ApprovalKind::Grant { by, .. } => Some(!by.is_empty()),
                ApprovalKind::Switch { .. } => None,
            }
        };
        let several = self
            .approvals
            .iter()
            .filter(|need| granted(&need.name).is_some())
            .count()
            > 1;
        for need in &mut self.approvals {
            if let Some(signed) = granted(&need.name) {
                let approval = several.then_some(need.name.as_str());
                need.how = how_to_approve(request, &self.asked.actor, approval, signed);
            }
        }
        if let Some(first) = self.approvals.first() {
            self.instead = Some(first.how.clone());
        }
    }
}

/// The command line that grants an approval for exactly this request.
fn how_to_approve(request: &Request, actor: &str, approval: Option<&str>, signed: bool) -> String {
    let mut line = "lictor approve --why 'WHY'".to_owned();
    let mut add = |word: &str| {
        line.push(' ');
        line.push_str(word);
    };
    if signed {
        add("--key FILE");
    }
    if let Some(name) = approval {
        add(&format!("--approval {name}"));
    }
    let option = |name: &str, value: &[u8]| match value.first() {
        // A word of its own would be read as the next option.
        Some(b'-') => format!("{name}={}", shell(value)),
        _ => format!("{name} {}", shell(value)),
    };
    // What the program says of whoever gives no name differs from user to user.
    if !actor.starts_with("uid-") {
        add(&option("--actor", actor.as_bytes()));
    }
    // Else it would be about the directory in which whoever approves types it.
    add(&option("--cwd", request.cwd.as_deref().unwrap_or(b".")));
    match &request.form {
        Form::Argv(words) => {
            add("--");
            for word in words {
                add(&shell(word));
            }
        }
        Form::Named { tool, action, args } => {
            add(&format!(
                "--tool {} --action {}",
                shell(tool.as_bytes()),
                shell(action.as_bytes())
            ));
            for (name, value) in args {
                add_argument(&mut add, name, value);
            }
        }
    }
    line
}

fn add_argument(add: &mut impl FnMut(&str), name: &str, value: &Value) {
    let text: Cow<'_, [u8]> = match value {
        // A path that is none and an option that has to have a value are denied, so nobody is asked.
        Value::Null | Value::Flag(false) => return,
        Value::Flag(true) => {
            add(&format!("--arg {}", shell(name.as_bytes())));
            return;
        }
        Value::Int(number) => Cow::Owned(number.to_string().into_bytes()),
        Value::Text(text) => Cow::Borrowed(text),
        Value::List(values) => {
            for value in values {
                add_argument(add, name, value);
            }
            return;
        }
    };
    // Not in base64 where it holds odd bytes: options of two kinds would lose the order of the values.
    let whole = [name.as_bytes(), b"=", &text].concat();
    add(&format!("--arg {}", shell(&whole)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &Request, actor: &str, line: &str) {
        assert_eq!(how_to_approve(request, actor, None, false), line);
    }

    #[test]
    fn the_line_to_copy_says_the_request_again_quoted_for_a_shell() {
        check(
            &Request::argv(["terraform", "apply", "tf.plan"]),
            "uid-1000",
            "lictor approve --why 'WHY' --cwd . -- terraform apply tf.plan",
        );
        check(
            &Request::argv(["sh", "-c", "it's; rm -rf $HOME"]).with_cwd("a b"),
            "ci",
            r"lictor approve --why 'WHY' --actor ci --cwd 'a b' -- sh -c 'it'\''s; rm -rf $HOME'",
        );
        check(
            &Request::argv([&b"a\xff\n\x1b[2J'"[..]]),
            "ci",
            r"lictor approve --why 'WHY' --actor ci --cwd . -- $'a\377\012\033[2J\''",
        );
        check(
            &Request::named("t", "a")
                .with_arg("p", "x y")
                .with_arg("p", Value::Text(vec![0xff]))
                .with_arg("v", Value::Flag(true)),
            "uid-0",
            r"lictor approve --why 'WHY' --cwd . --tool t --action a --arg 'p=x y' --arg $'p=\377' --arg v",
        );
    }
}
