//! A shell text in which lictor runs every program: so fixed words, environment, limits and containment hold for it.
//!
//! Only what was read and allowed is written, from the words that were decided. The shell is left with joining
//! commands and opening files, which were decided too.

#![forbid(unsafe_code)]

use super::requests::ShellText;
use crate::decision::Decision;
use crate::shell::{Joint, Redirection};
use crate::text::shell;

/// Writes a text anew. `decisions` are those of its parts, `by` the words in front of a command that lictor runs, `directory` the one to start in, if the agent may start elsewhere.
pub(super) fn text(
    text: &ShellText,
    decisions: &[Decision],
    by: &[String],
    directory: Option<&str>,
) -> Option<String> {
    let mut out = String::new();
    if let Some(directory) = directory {
        out.push_str(&format!("cd -- {} || exit 1\n", quoted(directory)));
    }
    if let Some(directory) = text.script.directory() {
        out.push_str(&format!("cd -- {}", quoted(directory)));
    }
    for (nth, (command, part)) in text
        .script
        .commands()
        .iter()
        .zip(&text.commands)
        .enumerate()
    {
        out.push_str(match command.joint() {
            Joint::Then if nth == 0 => "",
            Joint::Then => "\n",
            Joint::And => " && ",
            Joint::Or => " || ",
            Joint::Pipe => " | ",
        });
        let words: Vec<String> = match decisions.get(*part)?.argv() {
            Some(argv) => {
                let has_input = command.joint() == Joint::Pipe
                    || command
                        .redirections()
                        .iter()
                        .any(|redirection| matches!(redirection, Redirection::Read(_)));
                let input = has_input.then_some("--stdin");
                let own = by.iter().map(String::as_str).chain(input).chain(["--"]);
                own.chain(argv).map(quoted).collect()
            }
            // One of `shell.filters`.
            None => command.words().iter().map(|word| quoted(word)).collect(),
        };
        out.push_str(&words.join(" "));
        for redirection in command.redirections() {
            out.push_str(&match redirection {
                Redirection::Read(file) => format!(" < {}", quoted(file)),
                Redirection::Output { file, append } => {
                    format!(" {} {}", if *append { ">>" } else { ">" }, quoted(file))
                }
                Redirection::Error { file, append } => {
                    format!(" {} {}", if *append { "2>>" } else { "2>" }, quoted(file))
                }
                Redirection::ErrorToOutput => " 2>&1".to_owned(),
                Redirection::OutputToError => " >&2".to_owned(),
            });
        }
    }
    Some(out)
}

fn quoted(word: &str) -> String {
    shell(word.as_bytes())
}
