//! OpenAI Codex: `hooks.json`, events `PreToolUse`, `PermissionRequest`, `PostToolUse`.
//!
//! Sources: the schemas in the program, and runs of it. It passes over an answer with an unknown key, without a
//! reason, or that says `ask`, and runs the tool.

#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use super::claude_code::answer;
use super::json::Object;
use super::message::{
    Call, Does, Is, Known, Message, Unread, check, ended, known, object, text, tool,
};
use super::setup::{Event, Form, Hooked, Place, Sample, Setup};
use super::{Agent, OnAsk};

/// The adapter.
pub(super) const AGENT: Agent = Agent {
    name: "codex",
    tested: "0.169.0",
    on_ask: OnAsk::Never,
    read,
    answer,
    // A command's `workdir` is not in the message.
    knows_directory: false,
    setup: SETUP,
};

const SETUP: Setup = Setup {
    project: ".codex/hooks.json",
    user: ".codex/hooks.json",
    has_comments: false,
    form: Form::Entries {
        empty: "{}\n",
        under: "hooks",
        events: &[Event::before("PreToolUse"), Event::after("PostToolUse")],
        entry,
    },
    notes: &[
        "start Codex and approve the hook in `/hooks`: it skips a hook that nobody has approved, and one that was changed since, without a word",
        "a project's `.codex` counts only where Codex trusts the project",
        "Codex has no switch that blocks a call whose hook cannot be started or is late",
    ],
    off: &[
        (Place::Home, ".codex/config.toml", "hooks=false"),
        (Place::Project, ".codex/config.toml", "hooks=false"),
        (
            Place::Machine,
            "etc/codex/requirements.toml",
            "allow_managed_hooks_only=true",
        ),
    ],
    sample,
};

const TOOLS: &[Known] = &[
    tool("Bash", "command=text", Does::Shell("command", None)),
    tool("apply_patch", "command=text", Does::Patch("command")),
    tool("view_image", "path=text", Does::File("read_file", "path")),
    tool("update_plan", "", Does::Plain("agent", "plan")),
];

const MCP: Option<(&str, &str)> = Some(("mcp__", "__"));

fn read(fields: &Object) -> Result<Message, Unread> {
    check(
        "session_id=text turn_id=text transcript_path=text-or-null cwd=text hook_event_name=text model=text \
         permission_mode=text tool_name=text tool_input=any agent_id?=text agent_type?=text",
        fields,
    )?;
    let event = text(fields, "hook_event_name")?;
    let name = text(fields, "tool_name")?;
    let call = || -> Result<Call, Unread> {
        let input = object(fields, "tool_input")?;
        Ok(Call {
            tool: name.to_owned(),
            does: known(TOOLS, MCP, name, &input)?,
            input,
            can_ask: false,
        })
    };
    let is = match event {
        "PreToolUse" => Is::Before(call()?),
        "PermissionRequest" => Is::Permission(call()?),
        "PostToolUse" => Is::After(ended(fields, name, true)),
        other => return Err(Unread::UnknownEvent(other.to_owned())),
    };
    let id = match is {
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

fn entry(hooked: &Hooked<'_>, _event: &Event) -> Json {
    json!({"matcher": ".*", "hooks": [{"type": "command", "command": hooked.line(), "timeout": 10}]})
}

fn sample(cwd: &str, sample: &Sample<'_>) -> Json {
    let (name, input) = match sample {
        Sample::Write(path) => (
            "apply_patch",
            json!({"command": format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch\n")}),
        ),
        Sample::Shell(command) => ("Bash", json!({"command": command})),
    };
    json!({
        "session_id": "lictor-doctor", "turn_id": "lictor-doctor", "transcript_path": null, "cwd": cwd,
        "hook_event_name": "PreToolUse", "model": "none", "permission_mode": "default",
        "tool_name": name, "tool_input": input, "tool_use_id": "lictor-doctor",
    })
}
