//! An entry in one line for a person.

#![forbid(unsafe_code)]

use serde_json::Value;

use crate::log::read::Entry;

/// The entry in one line for a person. Holds nothing that a terminal acts on: the entry itself does not.
#[must_use]
pub fn summary(entry: &Entry) -> String {
    let value = entry.value();
    let mut text = format!("{:>6}  {}  {:<10}", entry.seq, entry.ts, entry.kind.name());
    for name in SUMMARY_FIELDS {
        let field = match value.get(name) {
            // What was denied has no command; what was asked for is shown.
            None | Some(Value::Null) if name == "argv" => asked(&value),
            field => field,
        };
        match field {
            None | Some(Value::Null) => {}
            Some(Value::String(note)) if name == "note" => {
                // Of a checkpoint, how much it covers; the rest is in the JSON form.
                let size = note.lines().nth(1).unwrap_or("");
                text.push_str(&format!(" covers={}", escaped(size)));
            }
            Some(Value::String(field)) => text.push_str(&format!(" {name}={}", escaped(field))),
            Some(Value::Array(words)) => {
                let words: Vec<String> = words.iter().map(word).collect();
                text.push_str(&format!(" {name}={}", words.join(" ")));
            }
            Some(field) => text.push_str(&format!(" {name}={}", escaped(&field.to_string()))),
        }
    }
    if let Some(run) = entry.run {
        text.push_str(&format!(" run={run}"));
    }
    text
}

/// The command line of a decision's request, or the arguments that it was made with.
fn asked(entry: &Value) -> Option<&Value> {
    let request = entry.get("request")?;
    let argv = request.get("argv").filter(|argv| !argv.is_null());
    argv.or_else(|| request.get("args"))
}

/// Fields of an entry that a person wants to see, in this order.
const SUMMARY_FIELDS: [&str; 26] = [
    "effect",
    "status",
    "reason",
    "actor",
    "tool",
    "action",
    "rule",
    "argv",
    "exit_code",
    "signal",
    "limit",
    "duration_ms",
    "grant",
    "change",
    "why",
    "what",
    "name",
    "files",
    "note",
    "to",
    "lost",
    "side_files",
    "adopted",
    "after_lost",
    "segment",
    "message",
];

/// A word of a command line, in quotes where its ends could not be seen.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains([' ', '\'', '"']) => {
            format!("\"{}\"", escaped(text))
        }
        Value::String(text) => escaped(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            escaped(&value.to_string())
        }
    }
}

fn escaped(text: &str) -> String {
    const LONGEST: usize = 200;
    let short: String = text.chars().take(LONGEST).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", short.escape_debug())
}
