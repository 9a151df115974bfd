//! Cursor: `hooks.json`, events `preToolUse`, `beforeShellExecution`, `beforeMCPExecution`, `beforeReadFile`,
//! `afterFileEdit`.
//!
//! Sources: texts of others about its hooks, from version 1.7 on. One shell call can fire two events; both are decided and
//! recorded. In `preToolUse`, `ask` is reported to let the call through.

#![forbid(unsafe_code)]

use serde_json::{Map, Value as Json, json};

use super::json::Object;
use super::message::{
    Call, Does, Ended, Is, Known, Message, Unread, check, digest, known, object, text, tool,
};
use super::setup::{Event, Form, Hooked, Sample, Setup};
use super::{Agent, Answer, OnAsk};

/// The adapter.
pub(super) const AGENT: Agent = Agent {
    name: "cursor",
    tested: "1.7",
    on_ask: OnAsk::Deny,
    read,
    answer,
    knows_directory: true,
    setup: SETUP,
};

const SETUP: Setup = Setup {
    project: ".cursor/hooks.json",
    user: ".cursor/hooks.json",
    has_comments: false,
    form: Form::Entries {
        empty: "{\"version\": 1}\n",
        under: "hooks",
        events: &[
            Event::before("preToolUse"),
            Event::before("beforeShellExecution"),
            Event::before("beforeMCPExecution"),
            Event::before("beforeReadFile"),
            Event::after("afterFileEdit"),
        ],
        entry,
    },
    notes: &["restart Cursor, and look at the hooks in its settings"],
    off: &[],
    sample,
};

const TOOLS: &[Known] = &[
    tool(
        "Shell",
        "command=text working_directory?=text",
        Does::Shell("command", Some("working_directory")),
    ),
    tool(
        "Read",
        "file_path=text",
        Does::File("read_file", "file_path"),
    ),
    tool(
        "Write",
        "file_path=text",
        Does::File("write_file", "file_path"),
    ),
    tool(
        "StrReplace",
        "file_path=text",
        Does::File("edit", "file_path"),
    ),
    tool(
        "Delete",
        "file_path=text",
        Does::File("delete", "file_path"),
    ),
    tool(
        "Grep",
        "pattern=text path?=text glob?=text",
        Does::Search(Some("path"), &["glob"]),
    ),
    tool("Task", "", Does::Plain("agent", "spawn")),
];

/// Requests of the events before a shell command and before a file is read, as tools.
const EVENTS: &[Known] = &[
    tool(
        "beforeShellExecution",
        "command=text cwd=text",
        Does::Shell("command", None),
    ),
    tool(
        "beforeReadFile",
        "file_path=text",
        Does::File("read_file", "file_path"),
    ),
];

fn read(fields: &Object) -> Result<Message, Unread> {
    check(
        "hook_event_name=text conversation_id=text generation_id=text workspace_roots=texts model?=text \
         cursor_version?=text transcript_path?=text-or-null",
        fields,
    )?;
    let event = text(fields, "hook_event_name")?;
    let roots = fields.get("workspace_roots").and_then(Json::as_array);
    let root = roots.and_then(|roots| roots.first()?.as_str());
    let cwd = match fields.get("cwd") {
        Some(Json::String(cwd)) => Some(cwd.as_str()),
        Some(_) => return Err(Unread::Malformed("field `cwd` is no text".to_owned())),
        None => root,
    };
    let before = |tool: &str, does: Does, input: Object, can_ask: bool| {
        Is::Before(Call {
            tool: tool.to_owned(),
            does,
            input,
            can_ask,
        })
    };
    let (id, is) = match event {
        "preToolUse" => {
            check(
                "tool_name=text tool_input=object tool_use_id=text cwd?=text",
                fields,
            )?;
            let name = text(fields, "tool_name")?;
            let input = object(fields, "tool_input")?;
            let id = text(fields, "tool_use_id")?.to_owned();
            let does = known(TOOLS, None, name, &input)?;
            (id, before(name, does, input, false))
        }
        "beforeShellExecution" | "beforeReadFile" => {
            let mut input = Map::new();
            for name in ["command", "file_path", "cwd"] {
                if let Some(value) = fields.get(name) {
                    input.insert(name.to_owned(), value.clone());
                }
            }
            let does = known(EVENTS, None, event, &input)?;
            let id = digest(text(fields, "generation_id")?, &input);
            (
                id,
                before(event, does, input, event == "beforeShellExecution"),
            )
        }
        // The message has the server's command line, and not the name that rules would speak of.
        "beforeMCPExecution" => {
            return Err(Unread::UnknownTool(format!(
                "MCP:{}",
                text(fields, "tool_name")?
            )));
        }
        "afterFileEdit" => {
            let ended = Ended {
                tool: "afterFileEdit".to_owned(),
                succeeded: true,
                interrupted: false,
                duration_ms: None,
            };
            let path = text(fields, "file_path")?;
            (digest(path, &Map::new()), Is::After(ended))
        }
        other => return Err(Unread::UnknownEvent(other.to_owned())),
    };
    Ok(Message {
        event: event.to_owned(),
        session: text(fields, "conversation_id")?.to_owned(),
        call: Some(id),
        cwd: cwd.map(str::to_owned),
        is,
    })
}

fn answer(event: &str, answer: &Answer<'_>) -> Option<Json> {
    let says = |word: &str, reason: &str| json!({"permission": word, "user_message": reason, "agent_message": reason});
    match answer {
        Answer::Deny(_) if event == "beforeReadFile" => Some(json!({"permission": "deny"})),
        Answer::Deny(reason) => Some(says("deny", reason)),
        Answer::Ask(reason) => Some(says("ask", reason)),
        Answer::Approve => Some(json!({"permission": "allow"})),
        Answer::Rewrite(input) if event == "preToolUse" => {
            Some(json!({"permission": "allow", "updated_input": input}))
        }
        Answer::Rewrite(_) | Answer::Pass => None,
    }
}

/// An entry of its settings. Without `failClosed` a hook that crashes or is late lets the call through.
fn entry(hooked: &Hooked<'_>, event: &Event) -> Json {
    match event.blocks {
        true => json!({"command": hooked.line(), "timeout": 10, "failClosed": true}),
        false => json!({"command": hooked.line(), "timeout": 10}),
    }
}

fn sample(cwd: &str, sample: &Sample<'_>) -> Json {
    let (name, input) = match sample {
        Sample::Write(path) => ("Write", json!({"file_path": path})),
        Sample::Shell(command) => ("Shell", json!({"command": command})),
    };
    json!({
        "hook_event_name": "preToolUse", "conversation_id": "lictor-doctor", "generation_id": "lictor-doctor",
        "workspace_roots": [cwd], "cwd": cwd, "tool_name": name, "tool_input": input, "tool_use_id": "lictor-doctor",
    })
}
