//! OpenCode: a plugin in its process hands each call over, as the documentation shows, and throws unless it is allowed.
//!
//! Sources: the types of `@opencode-ai/plugin` 1.18.33. The message is the plugin's: `tool`, `args`, `cwd`, `sessionID`,
//! `callID`, and `event`, which is `before` or `after`.

#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use super::json::Object;
use super::message::{
    Call, Does, Is, Known, Message, Unread, check, ended, known, object, text, tool,
};
use super::setup::{Form, Hooked, Sample, Setup};
use super::{Agent, Answer, OnAsk};

/// The adapter.
pub(super) const AGENT: Agent = Agent {
    name: "opencode",
    tested: "1.18.33",
    on_ask: OnAsk::Never,
    read,
    answer,
    knows_directory: true,
    setup: SETUP,
};

const SETUP: Setup = Setup {
    project: ".opencode/plugins/lictor.js",
    user: ".config/opencode/plugins/lictor.js",
    has_comments: true,
    form: Form::Whole(plugin),
    notes: &["restart OpenCode: it loads plugins when it starts"],
    off: &[],
    sample,
};

const TOOLS: &[Known] = &[
    tool(
        "bash",
        "command=text workdir?=text timeout?=number",
        Does::Shell("command", Some("workdir")),
    ),
    tool("read", "filePath=text", Does::File("read_file", "filePath")),
    tool(
        "write",
        "filePath=text content=text",
        Does::File("write_file", "filePath"),
    ),
    tool("edit", "filePath=text", Does::File("edit", "filePath")),
    tool(
        "glob",
        "pattern=text path?=text",
        Does::Search(Some("path"), &["pattern"]),
    ),
    tool(
        "grep",
        "pattern=text path?=text include?=text",
        Does::Search(Some("path"), &["include"]),
    ),
    tool("list", "path?=text", Does::Search(Some("path"), &[])),
    tool("webfetch", "url=text", Does::Fetch("url")),
    tool("task", "", Does::Plain("agent", "spawn")),
    tool("todowrite", "", Does::Plain("agent", "plan")),
    tool("todoread", "", Does::Plain("agent", "plan")),
];

fn read(fields: &Object) -> Result<Message, Unread> {
    check(
        "tool=text args=object cwd=text sessionID?=text callID?=text event?=text",
        fields,
    )?;
    let optional = |name: &str| fields.get(name).and_then(Json::as_str).map(str::to_owned);
    let name = text(fields, "tool")?;
    let event = optional("event").unwrap_or_else(|| "before".to_owned());
    let is = match event.as_str() {
        "before" => {
            let input = object(fields, "args")?;
            Is::Before(Call {
                tool: name.to_owned(),
                does: known(TOOLS, None, name, &input)?,
                input,
                can_ask: false,
            })
        }
        "after" => Is::After(ended(fields, name, true)),
        other => return Err(Unread::UnknownEvent(other.to_owned())),
    };
    Ok(Message {
        event,
        session: optional("sessionID").unwrap_or_default(),
        call: optional("callID"),
        cwd: Some(text(fields, "cwd")?.to_owned()),
        is,
    })
}

fn answer(_event: &str, answer: &Answer<'_>) -> Option<Json> {
    match answer {
        Answer::Deny(reason) | Answer::Ask(reason) => {
            Some(json!({"decision": "deny", "reason": reason}))
        }
        Answer::Approve => Some(json!({"decision": "allow"})),
        Answer::Rewrite(input) => Some(json!({"decision": "allow", "args": input})),
        Answer::Pass => None,
    }
}

/// The plugin. Whatever goes wrong in it is thrown, which keeps the call from being made.
fn plugin(hooked: &Hooked<'_>) -> String {
    format!(
        r#"// Written by `lictor init --agent opencode`. Every call of a tool is decided by lictor, and is made only if that allows it.
import {{ spawnSync }} from "node:child_process";

const program = {program};
const args = {args};

function hook(message) {{
  const done = spawnSync(program, args, {{ input: JSON.stringify(message), encoding: "utf8", timeout: 10000 }});
  if (done.error || done.status !== 0) {{
    const said = (done.stderr || "").trim();
    throw new Error(said || `lictor gave no answer: ${{done.error || done.signal || `exit code ${{done.status}}`}}`);
  }}
  return done.stdout.trim();
}}

export const Lictor = async ({{ directory }}) => ({{
  "tool.execute.before": async (input, output) => {{
    const {{ tool, sessionID, callID }} = input;
    const answer = hook({{ event: "before", tool, args: output.args ?? {{}}, cwd: directory, sessionID, callID }});
    if (answer !== "") {{
      Object.assign(output.args, JSON.parse(answer).args ?? {{}});
    }}
  }},
  "tool.execute.after": async (input) => {{
    const {{ tool, sessionID, callID }} = input;
    hook({{ event: "after", tool, args: input.args ?? {{}}, cwd: directory, sessionID, callID }});
  }},
}});
"#,
        program = json!(hooked.program),
        args = json!(hooked.args),
    )
}

fn sample(cwd: &str, sample: &Sample<'_>) -> Json {
    let (name, input) = match sample {
        Sample::Write(path) => ("write", json!({"filePath": path, "content": ""})),
        Sample::Shell(command) => ("bash", json!({"command": command})),
    };
    json!({
        "event": "before", "tool": name, "args": input, "cwd": cwd, "sessionID": "lictor-doctor", "callID": "lictor-doctor",
    })
}
