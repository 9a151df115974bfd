//! A tool's action with named arguments, checked against the same declarations as a command line.

#![forbid(unsafe_code)]

use super::call::{Call, Given, Misfit, Slot, check, slots};
use super::hints;
use super::request::Value;
use crate::policy::model::{Argument, ArgumentKind, Spelling};
use crate::policy::{CompiledPolicy, nearest};
use crate::reason::Reason;

/// Finds the action and checks its arguments.
pub(super) fn parse(
    policy: &CompiledPolicy,
    tool: &str,
    action: &str,
    args: &[(String, Value)],
) -> Result<Call, Misfit> {
    let Some(nth) = policy.tool_named(tool) else {
        let message = format!("the policy has no tool `{}`", tool.escape_debug());
        let misfit = Misfit::new(Reason::ToolNotAllowed, message);
        return Err(misfit.or(hints::for_tool(policy, tool)));
    };
    let Some(declared) = policy.tools().get(nth) else {
        return Err(Misfit::new(
            Reason::ToolNotAllowed,
            "the policy has no such tool".to_owned(),
        ));
    };
    let found = declared
        .actions
        .iter()
        .enumerate()
        .find(|(_, known)| known.name == action);
    let Some((action_nth, declared_action)) = found else {
        let message = format!("tool `{tool}` has no action `{}`", action.escape_debug());
        let misfit = Misfit::new(Reason::ActionNotAllowed, message);
        return Err(misfit.or(hints::for_action(declared, action)));
    };
    let mut call = Call {
        climbs: Vec::new(),
        tool: nth,
        action: action_nth,
        given: Vec::new(),
    };
    for (name, value) in args {
        let found = slots(declared, declared_action).find(|(_, argument)| argument.name == *name);
        let Some((slot, argument)) = found else {
            let known =
                slots(declared, declared_action).map(|(_, argument)| argument.name.as_str());
            let hint = nearest(name, known)
                .map(|meant| format!("; did you mean `{meant}`?"))
                .unwrap_or_default();
            let message = format!(
                "`{tool}.{action}` takes no argument `{}`{hint}",
                name.escape_debug()
            );
            return Err(Misfit::new(Reason::ArgumentUnknown, message));
        };
        add(&mut call.given, slot, argument, value)?;
    }
    call.complete(declared, declared_action)
}

fn add(
    given: &mut Vec<(Slot, Given)>,
    slot: Slot,
    argument: &Argument,
    value: &Value,
) -> Result<(), Misfit> {
    if let Value::List(values) = value {
        for value in values {
            if matches!(value, Value::List(_)) {
                return Err(wrong(argument, "a list in a list"));
            }
            add(given, slot, argument, value)?;
        }
        return Ok(());
    }
    given.extend(one(argument, value)?.map(|value| (slot, value)));
    Ok(())
}

fn one(argument: &Argument, value: &Value) -> Result<Option<Given>, Misfit> {
    let is_flag = matches!(argument.kind, ArgumentKind::Flag);
    let may_stand_alone = matches!(
        argument.spelling,
        Spelling::Option {
            value_optional: true,
            ..
        }
    );
    match value {
        Value::Flag(true) if is_flag => Ok(Some(Given::Flag)),
        Value::Flag(false) if is_flag => Ok(None),
        Value::Flag(true) if may_stand_alone => Ok(Some(Given::Bare)),
        Value::Flag(_) => Err(wrong(argument, "a boolean")),
        Value::Null if matches!(argument.kind, ArgumentKind::Path(_)) => Ok(Some(Given::NoPath)),
        Value::Null => Err(wrong(argument, "nothing")),
        Value::Int(number) if matches!(argument.kind, ArgumentKind::Int { .. }) => {
            check(argument, number.to_string().as_bytes()).map(Some)
        }
        Value::Int(_) => Err(wrong(argument, "a number")),
        // A command line has only text to say it with.
        Value::Text(text) if is_flag && text == b"true" => Ok(Some(Given::Flag)),
        Value::Text(text) if is_flag && text == b"false" => Ok(None),
        Value::Text(_) if is_flag => Err(wrong(argument, "text")),
        Value::Text(bytes) => check(argument, bytes).map(Some),
        Value::List(_) => Err(wrong(argument, "a list")),
    }
}

fn wrong(argument: &Argument, what: &str) -> Misfit {
    let wants = match argument.kind {
        ArgumentKind::Flag => "`true` or `false`",
        ArgumentKind::Int { .. } => "a whole number",
        ArgumentKind::Path(_) => "a path",
        ArgumentKind::Text { .. } | ArgumentKind::Choice(_) => "text",
    };
    Misfit::new(
        Reason::ArgumentInvalid,
        format!("argument `{}` takes {wants}, not {what}", argument.name),
    )
}
