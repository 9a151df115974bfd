//! GitHub Copilot CLI and cloud agent: `.github/hooks/*.json`, events `preToolUse` and `postToolUse`, or `PreToolUse` and
//! `PostToolUse` with other names for the same fields.
//!
//! Source: GitHub's hooks reference, November 2026. A call has no id: it is named by its input. `toolArgs` is an object
//! or, in older versions, the text of one. The names of path arguments are documented for `edit` only: the others
//! are taken from the same set, and a call without one of them is a denial.

#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use super::json::{Object, parsed};
use super::message::{
    Call, Does, Ended, Is, Known, Message, Unread, check, digest, known, object, text, tool,
};
use super::setup::{Event, Form, Hooked, Sample, Setup};
use super::{Agent, Answer, OnAsk};

/// The adapter.
pub(super) const AGENT: Agent = Agent {
    name: "copilot",
    tested: "November 2026",
    on_ask: OnAsk::Ask,
    read,
    answer,
    knows_directory: true,
    setup: SETUP,
};

const SETUP: Setup = Setup {
    project: ".github/hooks/lictor.json",
    user: ".copilot/hooks/lictor.json",
    has_comments: false,
    form: Form::Entries {
        empty: "{\"version\": 1}\n",
        under: "hooks",
        events: &[Event::before("preToolUse"), Event::after("postToolUse")],
        entry,
    },
    notes: &[
        "this is for the command-line program: the cloud agent starts no program by its path here",
        "a hook that fails blocks, one that is late does not: no switch changes that",
        "Copilot reads `.claude/settings.json` too: a hook there is called as well",
    ],
    off: &[],
    sample,
};

const TOOLS: &[Known] = &[
    tool("bash", "command=text", Does::Shell("command", None)),
    tool("view", "path=text", Does::File("read_file", "path")),
    tool("create", "path=text", Does::File("write_file", "path")),
    tool("edit", "path=text", Does::File("edit", "path")),
    tool(
        "str_replace_editor",
        "path=text command?=text",
        Does::File("edit", "path"),
    ),
    tool(
        "glob",
        "pattern=text path?=text",
        Does::Search(Some("path"), &["pattern"]),
    ),
    tool(
        "grep",
        "pattern=text path?=text glob?=text",
        Does::Search(Some("path"), &["glob"]),
    ),
    tool(
        "rg",
        "pattern=text path?=text glob?=text",
        Does::Search(Some("path"), &["glob"]),
    ),
    tool("web_fetch", "url=text", Does::Fetch("url")),
    tool("task", "", Does::Plain("agent", "spawn")),
    tool("update_todo", "", Does::Plain("agent", "plan")),
    // With events in capitals, the names of Claude Code.
    tool("Bash", "command=text", Does::Shell("command", None)),
    tool("Read", "path=text", Does::File("read_file", "path")),
    tool("Write", "path=text", Does::File("write_file", "path")),
    tool("Edit", "path=text", Does::File("edit", "path")),
    tool(
        "Glob",
        "pattern=text path?=text",
        Does::Search(Some("path"), &["pattern"]),
    ),
    tool(
        "Grep",
        "pattern=text path?=text glob?=text",
        Does::Search(Some("path"), &["glob"]),
    ),
    tool("WebFetch", "url=text", Does::Fetch("url")),
    tool("Agent", "", Does::Plain("agent", "spawn")),
];

fn read(fields: &Object) -> Result<Message, Unread> {
    let is_camel = fields.contains_key("toolName");
    let (session, name, input, event) = match is_camel {
        true => {
            check(
                "sessionId=text timestamp=number cwd=text toolName=text hookEventName?=text",
                fields,
            )?;
            let input = match fields.get("toolArgs") {
                Some(Json::String(text)) => parsed(text)?,
                _ => object(fields, "toolArgs")?,
            };
            // The event is not in the message; only what comes after a call has a result.
            let event = match fields.get("toolResult") {
                Some(_) => "postToolUse",
                None => "preToolUse",
            };
            (
                text(fields, "sessionId")?,
                text(fields, "toolName")?,
                input,
                event,
            )
        }
        false => {
            check(
                "hook_event_name=text session_id=text timestamp=text cwd=text tool_name=text tool_input=object",
                fields,
            )?;
            (
                text(fields, "session_id")?,
                text(fields, "tool_name")?,
                object(fields, "tool_input")?,
                text(fields, "hook_event_name")?,
            )
        }
    };
    let id = digest(name, &input);
    let is = match event {
        "preToolUse" | "PreToolUse" => Is::Before(Call {
            tool: name.to_owned(),
            does: known(TOOLS, None, name, &input)?,
            input,
            can_ask: true,
        }),
        "postToolUse" | "PostToolUse" => {
            let result = fields
                .get("toolResult")
                .or_else(|| fields.get("tool_result"));
            let kind = result.and_then(|result| {
                let kind = result
                    .get("resultType")
                    .or_else(|| result.get("result_type"));
                kind?.as_str()
            });
            Is::After(Ended {
                tool: name.to_owned(),
                succeeded: !matches!(kind, Some("failure" | "denied")),
                interrupted: false,
                duration_ms: None,
            })
        }
        other => return Err(Unread::UnknownEvent(other.to_owned())),
    };
    Ok(Message {
        event: event.to_owned(),
        session: session.to_owned(),
        call: Some(id),
        cwd: Some(text(fields, "cwd")?.to_owned()),
        is,
    })
}

fn answer(_event: &str, answer: &Answer<'_>) -> Option<Json> {
    let says = |word: &str, reason: &str| json!({"permissionDecision": word, "permissionDecisionReason": reason});
    match answer {
        Answer::Deny(reason) => Some(says("deny", reason)),
        Answer::Ask(reason) => Some(says("ask", reason)),
        Answer::Approve => Some(json!({"permissionDecision": "allow"})),
        Answer::Rewrite(input) => {
            Some(json!({"permissionDecision": "allow", "modifiedArgs": input}))
        }
        Answer::Pass => None,
    }
}

fn entry(hooked: &Hooked<'_>, _event: &Event) -> Json {
    json!({"type": "command", "exec": hooked.program, "args": hooked.args, "timeoutSec": 30})
}

fn sample(cwd: &str, sample: &Sample<'_>) -> Json {
    let (name, input) = match sample {
        Sample::Write(path) => ("create", json!({"path": path})),
        Sample::Shell(command) => ("bash", json!({"command": command})),
    };
    json!({
        "sessionId": "lictor-doctor", "timestamp": 0, "cwd": cwd, "toolName": name, "toolArgs": input,
    })
}
