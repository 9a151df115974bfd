//! Claude Code: settings `hooks`, events `PreToolUse`, `PermissionRequest`, `PostToolUse`, `PostToolUseFailure`.
//!
//! Sources: the hooks reference of Claude Code, the input types of its tools, and runs of the program.
//! Without `hookEventName` an answer is passed over and the tool runs, and so it is after a line of text.

#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::json::Object;
use super::message::{
    Call, Does, Is, Known, Message, Unread, check, ended, known, object, text, tool,
};
use super::setup::{Event, Form, Hooked, Place, Sample, Setup};
use super::{Agent, Answer, OnAsk};

/// The adapter.
pub(super) const AGENT: Agent = Agent {
    name: "claude-code",
    tested: "2.1.330",
    on_ask: OnAsk::Ask,
    read,
    answer,
    knows_directory: true,
    setup: SETUP,
};

const SETUP: Setup = Setup {
    project: ".claude/settings.json",
    user: ".claude/settings.json",
    has_comments: false,
    form: Form::Entries {
        empty: "{}\n",
        under: "hooks",
        events: &[
            Event::before("PreToolUse"),
            Event::after("PostToolUse"),
            Event::after("PostToolUseFailure"),
        ],
        entry,
    },
    notes: &["restart Claude Code, or look at `/hooks` in it: it reads settings when it starts"],
    off: &[
        (
            Place::Project,
            ".claude/settings.json",
            "\"disableAllHooks\":true",
        ),
        (
            Place::Project,
            ".claude/settings.local.json",
            "\"disableAllHooks\":true",
        ),
        (
            Place::Home,
            ".claude/settings.json",
            "\"disableAllHooks\":true",
        ),
        (
            Place::Machine,
            "etc/claude-code/managed-settings.json",
            "\"disableAllHooks\":true",
        ),
        (
            Place::Machine,
            "etc/claude-code/managed-settings.json",
            "\"allowManagedHooksOnly\":true",
        ),
    ],
    sample,
};

const TOOLS: &[Known] = &[
    tool(
        "Bash",
        "command=text timeout?=number description?=text run_in_background?=flag dangerouslyDisableSandbox?=flag",
        Does::Shell("command", None),
    ),
    tool(
        "Monitor",
        "command=text description?=text timeout_ms?=number",
        Does::Shell("command", None),
    ),
    tool(
        "Read",
        "file_path=text offset?=number limit?=number pages?=text allow_large?=flag",
        Does::File("read_file", "file_path"),
    ),
    tool(
        "Write",
        "file_path=text content=text",
        Does::File("write_file", "file_path"),
    ),
    tool(
        "Edit",
        "file_path=text old_string=text new_string=text replace_all?=flag",
        Does::File("edit", "file_path"),
    ),
    tool(
        "MultiEdit",
        "file_path=text edits=list",
        Does::File("edit", "file_path"),
    ),
    tool(
        "NotebookEdit",
        "notebook_path=text new_source=text cell_id?=text cell_type?=text edit_mode?=text",
        Does::File("edit", "notebook_path"),
    ),
    tool(
        "Glob",
        "pattern=text path?=text",
        Does::Search(Some("path"), &["pattern"]),
    ),
    tool(
        "Grep",
        "pattern=text path?=text glob?=text output_mode?=text type?=text head_limit?=number multiline?=flag",
        Does::Search(Some("path"), &["glob"]),
    ),
    tool("WebFetch", "url=text prompt?=text", Does::Fetch("url")),
    tool("WebSearch", "query=text", Does::Plain("net", "search")),
    tool("Agent", "prompt=text", Does::Plain("agent", "spawn")),
    tool("Task", "prompt=text", Does::Plain("agent", "spawn")),
    tool("TodoWrite", "", Does::Plain("agent", "plan")),
    tool("TaskCreate", "", Does::Plain("agent", "plan")),
    tool("TaskGet", "", Does::Plain("agent", "plan")),
    tool("TaskList", "", Does::Plain("agent", "plan")),
    tool("TaskUpdate", "", Does::Plain("agent", "plan")),
    tool("EnterPlanMode", "", Does::Plain("agent", "plan")),
    tool("ExitPlanMode", "", Does::Plain("agent", "plan")),
    tool("AskUserQuestion", "", Does::Plain("agent", "plan")),
    tool("ToolSearch", "", Does::Plain("agent", "plan")),
];

const MCP: Option<(&str, &str)> = Some(("mcp__", "__"));

fn read(fields: &Object) -> Result<Message, Unread> {
    check(
        "session_id=text transcript_path=text cwd=text hook_event_name=text tool_name=text tool_input=object \
         prompt_id?=text permission_mode?=text agent_id?=text agent_type?=text",
        fields,
    )?;
    let event = text(fields, "hook_event_name")?;
    let name = text(fields, "tool_name")?;
    let call = || -> Result<Call, Unread> {
        let input = object(fields, "tool_input")?;
        // In these modes nobody is asked, and an `ask` has been seen to let the call through.
        let mode = fields.get("permission_mode").and_then(Json::as_str);
        let is_alone = matches!(mode, Some("bypassPermissions" | "auto" | "dontAsk"));
        Ok(Call {
            tool: name.to_owned(),
            does: known(TOOLS, MCP, name, &input)?,
            input,
            can_ask: !is_alone,
        })
    };
    let is = match event {
        "PreToolUse" => Is::Before(call()?),
        "PermissionRequest" => Is::Permission(call()?),
        "PostToolUse" => Is::After(ended(fields, name, true)),
        "PostToolUseFailure" => Is::After(ended(fields, name, false)),
        other => return Err(Unread::UnknownEvent(other.to_owned())),
    };
    let id = match is {
        // It has none: it comes after a `PreToolUse` that has.
        Is::Permission(_) => None,
        Is::Before(_) | Is::After(_) => Some(text(fields, "tool_use_id")?.to_owned()),
    };
    Ok(Message {
        event: event.to_owned(),
        session: text(fields, "session_id")?.to_owned(),
        call: id,
        cwd: Some(text(fields, "cwd")?.to_owned()),
        is,
    })
}

/// The answer in JSON; Codex has taken over this form.
pub(super) fn answer(event: &str, answer: &Answer<'_>) -> Option<Json> {
    match (event, answer) {
        ("PostToolUse" | "PostToolUseFailure", Answer::Deny(reason)) => {
            Some(json!({"decision": "block", "reason": reason}))
        }
        ("PermissionRequest", Answer::Deny(reason) | Answer::Ask(reason)) => {
            Some(permission(&json!({"behavior": "deny", "message": reason})))
        }
        ("PermissionRequest", Answer::Approve) => Some(permission(&json!({"behavior": "allow"}))),
        (_, Answer::Deny(reason)) => Some(decision("deny", "permissionDecisionReason", reason)),
        (_, Answer::Ask(reason)) => Some(decision("ask", "permissionDecisionReason", reason)),
        (_, Answer::Approve) => Some(json!({
            "hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "allow"},
        })),
        ("PreToolUse", Answer::Rewrite(input)) => Some(decision("allow", "updatedInput", input)),
        (_, Answer::Rewrite(_) | Answer::Pass) => None,
    }
}

fn decision(word: &str, key: &str, value: impl Serialize) -> Json {
    json!({"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": word, key: json!(value)}})
}

fn permission(decision: &Json) -> Json {
    json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}})
}

/// An entry of its settings. Without `onFailure` a hook that cannot be started or is late lets the call through.
fn entry(hooked: &Hooked<'_>, event: &Event) -> Json {
    let (command, args) = (hooked.program, hooked.args);
    let hook = match event.blocks {
        true => {
            json!({"type": "command", "command": command, "args": args, "timeout": 10, "onFailure": "block"})
        }
        false => json!({"type": "command", "command": command, "args": args, "timeout": 10}),
    };
    json!({"matcher": "*", "hooks": [hook]})
}

fn sample(cwd: &str, sample: &Sample<'_>) -> Json {
    let (name, input) = match sample {
        Sample::Write(path) => ("Write", json!({"file_path": path, "content": ""})),
        Sample::Shell(command) => ("Bash", json!({"command": command})),
    };
    json!({
        "session_id": "lictor-doctor", "transcript_path": "/dev/null", "cwd": cwd, "hook_event_name": "PreToolUse",
        "tool_name": name, "tool_input": input, "tool_use_id": "lictor-doctor",
    })
}
