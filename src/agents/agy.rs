//! Antigravity CLI (`agy`), the successor of Gemini CLI: `hooks.json`, event `PreToolUse`.
//!
//! Sources: published adapters that were tried with version 1.1.2. An answer without a decision blocks, so an allowed
//! call is answered `allow`; that does not take the agent's own question away. `force_ask` asks even if
//! the person has chosen "always allow" for something like it.

#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use super::json::Object;
use super::message::{Call, Does, Is, Known, Message, Unread, check, known, object, text, tool};
use super::setup::{Event, Form, Hooked, Sample, Setup};
use super::{Agent, Answer, OnAsk};

/// The adapter.
pub(super) const AGENT: Agent = Agent {
    name: "agy",
    tested: "1.1.2",
    on_ask: OnAsk::Ask,
    read,
    answer,
    knows_directory: true,
    setup: SETUP,
};

const SETUP: Setup = Setup {
    project: ".agents/hooks.json",
    user: ".gemini/config/hooks.json",
    has_comments: false,
    form: Form::Entries {
        empty: "{}\n",
        under: "lictor",
        events: &[Event::before("PreToolUse")],
        entry,
    },
    notes: &[
        "the form of `hooks.json` is taken from others' texts and was not tried: `agy` drops a file that it does not understand, and says so only in its log",
    ],
    off: &[],
    sample,
};

const TOOLS: &[Known] = &[
    tool(
        "run_command",
        "CommandLine=text Cwd?=text",
        Does::Shell("CommandLine", Some("Cwd")),
    ),
    tool(
        "view_file",
        "AbsolutePath=text",
        Does::File("read_file", "AbsolutePath"),
    ),
    tool(
        "write_to_file",
        "TargetFile=text",
        Does::File("write_file", "TargetFile"),
    ),
    tool(
        "replace_file_content",
        "TargetFile=text",
        Does::File("edit", "TargetFile"),
    ),
    tool(
        "multi_replace_file_content",
        "TargetFile=text",
        Does::File("edit", "TargetFile"),
    ),
    tool(
        "list_dir",
        "DirectoryPath=text",
        Does::Search(Some("DirectoryPath"), &[]),
    ),
    tool(
        "find_by_name",
        "SearchDirectory=text Pattern?=text",
        Does::Search(Some("SearchDirectory"), &["Pattern"]),
    ),
    tool(
        "grep_search",
        "SearchPath=text Query=text Includes?=texts",
        Does::Search(Some("SearchPath"), &["Includes"]),
    ),
];

fn read(fields: &Object) -> Result<Message, Unread> {
    check(
        "toolCall=object workspacePaths=texts hookEventName?=text hook_event_name?=text",
        fields,
    )?;
    for name in ["hookEventName", "hook_event_name"] {
        match fields.get(name).and_then(Json::as_str) {
            None | Some("PreToolUse") => {}
            Some(other) => return Err(Unread::UnknownEvent(other.to_owned())),
        }
    }
    let call = object(fields, "toolCall")?;
    let name = text(&call, "name")?;
    let input = object(&call, "args")?;
    let paths = fields.get("workspacePaths").and_then(Json::as_array);
    let cwd = paths.and_then(|paths| paths.first()?.as_str());
    let Some(cwd) = cwd else {
        return Err(Unread::Malformed(
            "field `workspacePaths` is empty".to_owned(),
        ));
    };
    Ok(Message {
        event: "PreToolUse".to_owned(),
        session: String::new(),
        call: None,
        cwd: Some(cwd.to_owned()),
        is: Is::Before(Call {
            tool: name.to_owned(),
            does: known(TOOLS, None, name, &input)?,
            input,
            can_ask: true,
        }),
    })
}

fn answer(_event: &str, answer: &Answer<'_>) -> Option<Json> {
    match answer {
        Answer::Deny(reason) => Some(json!({"decision": "deny", "reason": reason})),
        Answer::Ask(reason) => Some(json!({"decision": "force_ask", "reason": reason})),
        Answer::Approve | Answer::Pass => Some(json!({"decision": "allow"})),
        Answer::Rewrite(_) => None,
    }
}

fn entry(hooked: &Hooked<'_>, _event: &Event) -> Json {
    json!({"matcher": ".*", "hooks": [{"type": "command", "command": hooked.line(), "timeout": 10}]})
}

fn sample(cwd: &str, sample: &Sample<'_>) -> Json {
    let (name, input) = match sample {
        Sample::Write(path) => ("write_to_file", json!({"TargetFile": path})),
        Sample::Shell(command) => ("run_command", json!({"CommandLine": command})),
    };
    json!({
        "toolCall": {"name": name, "args": input}, "workspacePaths": [cwd], "hookEventName": "PreToolUse",
    })
}
