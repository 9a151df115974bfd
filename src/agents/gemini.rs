//! Gemini CLI: settings `hooks`, events `BeforeTool` and `AfterTool`.
//!
//! Sources: its hooks reference, and the source of its hook runner. It reads standard error where standard output is
//! empty, and lets the call through where both are, whatever the exit code. A call has no id: it is named by its input.

#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use super::json::Object;
use super::message::{
    Call, Does, Ended, Is, Known, Message, Unread, check, digest, known, object, text, tool,
};
use super::setup::{Event, Form, Hooked, Sample, Setup};
use super::{Agent, Answer, OnAsk};

/// The adapter.
pub(super) const AGENT: Agent = Agent {
    name: "gemini",
    tested: "0.61.0",
    on_ask: OnAsk::Deny,
    read,
    answer,
    knows_directory: true,
    setup: SETUP,
};

const SETUP: Setup = Setup {
    project: ".gemini/settings.json",
    user: ".gemini/settings.json",
    has_comments: true,
    form: Form::Entries {
        empty: "{}\n",
        under: "hooks",
        events: &[Event::before("BeforeTool"), Event::after("AfterTool")],
        entry,
    },
    notes: &[
        "a project's hooks run only where Gemini CLI trusts the folder",
        "Gemini CLI has no switch that blocks a call whose hook cannot be started or is late",
    ],
    off: &[],
    sample,
};

const TOOLS: &[Known] = &[
    tool(
        "run_shell_command",
        "command=text dir_path?=text description?=text is_background?=flag",
        Does::Shell("command", Some("dir_path")),
    ),
    tool(
        "read_file",
        "file_path=text start_line?=number end_line?=number",
        Does::File("read_file", "file_path"),
    ),
    tool(
        "write_file",
        "file_path=text content=text",
        Does::File("write_file", "file_path"),
    ),
    tool(
        "replace",
        "file_path=text old_string=text new_string=text instruction?=text",
        Does::File("edit", "file_path"),
    ),
    tool(
        "list_directory",
        "dir_path?=text",
        Does::Search(Some("dir_path"), &[]),
    ),
    tool(
        "glob",
        "pattern=text dir_path?=text",
        Does::Search(Some("dir_path"), &["pattern"]),
    ),
    tool(
        "grep_search",
        "pattern=text dir_path?=text include?=text",
        Does::Search(Some("dir_path"), &["include"]),
    ),
    tool(
        "read_many_files",
        "include=texts exclude?=texts",
        Does::Files("read_file", "include"),
    ),
    tool(
        "google_web_search",
        "query=text",
        Does::Plain("net", "search"),
    ),
    // The URL stands somewhere in the words: no host can be decided.
    tool("web_fetch", "prompt=text", Does::Plain("net", "fetch")),
    tool("write_todos", "", Does::Plain("agent", "plan")),
];

const MCP: Option<(&str, &str)> = Some(("mcp_", "_"));

fn read(fields: &Object) -> Result<Message, Unread> {
    check(
        "session_id=text transcript_path=text cwd=text hook_event_name=text timestamp=text tool_name=text \
         tool_input=object mcp_context?=object original_request_name?=text",
        fields,
    )?;
    let event = text(fields, "hook_event_name")?;
    let name = text(fields, "tool_name")?;
    let input = object(fields, "tool_input")?;
    let id = digest(name, &input);
    let is = match event {
        "BeforeTool" => Is::Before(Call {
            tool: name.to_owned(),
            does: known(TOOLS, MCP, name, &input)?,
            input,
            can_ask: true,
        }),
        "AfterTool" => {
            let response = fields.get("tool_response");
            let error = response.and_then(|response| response.get("error"));
            Is::After(Ended {
                tool: name.to_owned(),
                succeeded: error.is_none_or(Json::is_null),
                interrupted: false,
                duration_ms: None,
            })
        }
        other => return Err(Unread::UnknownEvent(other.to_owned())),
    };
    Ok(Message {
        event: event.to_owned(),
        session: text(fields, "session_id")?.to_owned(),
        call: Some(id),
        cwd: Some(text(fields, "cwd")?.to_owned()),
        is,
    })
}

fn answer(_event: &str, answer: &Answer<'_>) -> Option<Json> {
    match answer {
        Answer::Deny(reason) => Some(json!({"decision": "deny", "reason": reason})),
        Answer::Ask(reason) => Some(json!({"decision": "ask", "systemMessage": reason})),
        Answer::Approve => Some(json!({"decision": "allow"})),
        Answer::Rewrite(input) => Some(json!({
            "decision": "allow",
            "hookSpecificOutput": {"hookEventName": "BeforeTool", "tool_input": input},
        })),
        Answer::Pass => None,
    }
}

/// An entry of its settings; the time is in milliseconds.
fn entry(hooked: &Hooked<'_>, _event: &Event) -> Json {
    json!({"matcher": ".*", "sequential": true, "hooks": [
        {"type": "command", "name": "lictor", "command": hooked.line(), "timeout": 10_000},
    ]})
}

fn sample(cwd: &str, sample: &Sample<'_>) -> Json {
    let (name, input) = match sample {
        Sample::Write(path) => ("write_file", json!({"file_path": path, "content": ""})),
        Sample::Shell(command) => ("run_shell_command", json!({"command": command})),
    };
    json!({
        "session_id": "lictor-doctor", "transcript_path": "/dev/null", "cwd": cwd, "hook_event_name": "BeforeTool",
        "timestamp": "2026-01-01T00:00:00Z", "tool_name": name, "tool_input": input,
    })
}
