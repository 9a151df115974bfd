//! Messages of agents: an event, and for a call the tool, its input and what the tool does with it.
//!
//! Agents add fields every month, so a field that is not known is passed over. A known one that is missing, or has
//! another type than it is documented with, is an error: a tool that was changed may do something else.

#![forbid(unsafe_code)]

use data_encoding::HEXLOWER;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::json::Object;

/// One message, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// The event's name, as the agent writes it.
    pub(super) event: String,
    /// The conversation that it belongs to.
    pub(super) session: String,
    /// The agent's own name for the call, the same before and after it.
    pub(super) call: Option<String>,
    /// The directory in which the agent is.
    pub(super) cwd: Option<String>,
    pub(super) is: Is,
}

/// The kind of event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Is {
    /// A tool is about to be called: it waits for the answer.
    Before(Call),
    /// The agent is about to ask a person whether a tool may be called.
    Permission(Call),
    /// A call has ended.
    After(Ended),
}

/// A call that has not happened yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// The tool's name, as the agent has it.
    pub(super) tool: String,
    /// Its input.
    pub(super) input: Object,
    /// Its effect.
    pub(super) does: Does,
    /// False if nobody would answer a question.
    pub(super) can_ask: bool,
}

/// End of a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) tool: String,
    /// False if the agent reports a failure; a command with another exit code than 0 is one to some agents.
    pub(super) succeeded: bool,
    pub(super) interrupted: bool,
    pub(super) duration_ms: Option<u64>,
}

/// Effect of a tool of an agent, with the fields of its input that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// Runs a shell text: its field, and the field of the directory if there is one.
    Shell(&'static str, Option<&'static str>),
    /// An action of `filesystem` on the path in a field.
    File(&'static str, &'static str),
    /// An action of `filesystem` on each of the paths in a field.
    Files(&'static str, &'static str),
    /// Looks through files below the directory in a field, chosen by the patterns in other fields.
    Search(Option<&'static str>, &'static [&'static str]),
    /// Applies the patch in a field.
    Patch(&'static str),
    /// Fetches the URL in a field.
    Fetch(&'static str),
    /// An action of a tool without arguments.
    Plain(&'static str, &'static str),
    /// A tool of an MCP server: everything behind this prefix, parts joined by this.
    Mcp(&'static str, &'static str),
}

/// One tool of an agent.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    /// The fields that are read or checked: `name=type`, with `?` before `=` if it may be absent.
    pub(super) fields: &'static str,
    pub(super) does: Does,
}

/// A row of an agent's table of tools.
pub(super) const fn tool(name: &'static str, fields: &'static str, does: Does) -> Known {
    Known { name, fields, does }
}

/// Effect of a tool that is called with this input.
///
/// # Errors
///
/// The tool is not known, or its input is not as documented.
pub(super) fn known(
    tools: &'static [Known],
    mcp: Option<(&'static str, &'static str)>,
    name: &str,
    input: &Object,
) -> Result<Does, Unread> {
    if let Some(tool) = tools.iter().find(|tool| tool.name == name) {
        check(tool.fields, input)
            .map_err(|why| Unread::Malformed(format!("the input of tool `{name}`: {why}")))?;
        return Ok(tool.does);
    }
    match mcp {
        Some((prefix, joint)) if name.starts_with(prefix) => Ok(Does::Mcp(prefix, joint)),
        _ => Err(Unread::UnknownTool(name.to_owned())),
    }
}

/// Why a message is denied without a look at the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not of the documented form.
    Malformed(String),
    /// An event that is not known here.
    UnknownEvent(String),
    /// A tool that is not known here.
    UnknownTool(String),
}

impl From<String> for Unread {
    fn from(why: String) -> Unread {
        Unread::Malformed(why)
    }
}

/// A field that has to be text.
pub(super) fn text<'f>(fields: &'f Object, name: &str) -> Result<&'f str, String> {
    match fields.get(name) {
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(format!("field `{name}` is no text")),
        None => Err(format!("field `{name}` is missing")),
    }
}

/// A field that has to be an object.
pub(super) fn object(fields: &Object, name: &str) -> Result<Object, String> {
    match fields.get(name) {
        Some(Json::Object(object)) => Ok(object.clone()),
        Some(_) => Err(format!("field `{name}` is no object")),
        None => Err(format!("field `{name}` is missing")),
    }
}

/// Checks fields against a list such as `command=text timeout?=number`.
pub(super) fn check(list: &str, fields: &Object) -> Result<(), String> {
    for field in list.split_ascii_whitespace() {
        let (name, kind) = field.split_once('=').unwrap_or((field, "any"));
        let (name, is_optional) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let value = match fields.get(name) {
            None if is_optional => continue,
            None => return Err(format!("field `{name}` is missing")),
            Some(value) => value,
        };
        let fits = match kind {
            "text" => value.is_string(),
            "text-or-null" => value.is_string() || value.is_null(),
            "number" => value.is_number(),
            "flag" => value.is_boolean(),
            "object" => value.is_object(),
            "list" => value.is_array(),
            "texts" => value
                .as_array()
                .is_some_and(|values| values.iter().all(Json::is_string)),
            _ => true,
        };
        if !fits {
            return Err(format!("field `{name}` is not of type {kind}"));
        }
    }
    Ok(())
}

/// A name for a call of an agent that has none: the same before and after it.
pub(super) fn digest(tool: &str, input: &Object) -> String {
    let mut hash = Sha256::new();
    hash.update(tool.as_bytes());
    hash.update([0]);
    hash.update(Json::Object(input.clone()).to_string().as_bytes());
    let hash = HEXLOWER.encode(&hash.finalize());
    format!("input-{}", hash.get(..32).unwrap_or_default())
}

/// The numbers and flags that an agent says of how a call ended.
pub(super) fn ended(fields: &Object, tool: &str, succeeded: bool) -> Ended {
    Ended {
        tool: tool.to_owned(),
        succeeded,
        interrupted: fields.get("is_interrupt").and_then(Json::as_bool) == Some(true),
        duration_ms: fields.get("duration_ms").and_then(Json::as_u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_field_is_there_and_of_its_type() {
        let fields = |text: &str| super::super::json::parsed(text).unwrap();
        let list = "a=text b?=number c?=texts";
        assert_eq!(check(list, &fields(r#"{"a": "", "z": null}"#)), Ok(()));
        assert_eq!(
            check(list, &fields(r#"{"a": "", "b": 1, "c": ["x"]}"#)),
            Ok(())
        );
        for wrong in [
            "{}",
            r#"{"a": null}"#,
            r#"{"a": "", "b": "1"}"#,
            r#"{"a": "", "b": null}"#,
            r#"{"a": "", "c": [1]}"#,
        ] {
            assert!(check(list, &fields(wrong)).is_err(), "{wrong}");
        }
    }
}
