//! A shell text in which lictor runs every program: so fixed words, environment, limits and containment hold for it.
//!
//! Only what was read and allowed is written, from the words that were decided. The shell is left with joining
//! commands and opening files, which were decided too.

#![forbid(unsafe_code)]

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::requests::ShellText;
use crate::decision::Decision;
use crate::shell::{Joint, Redirection};
use crate::text::shell;

/// A long run that a command in the background becomes.
#[derive(Clone, Debug)]
pub(super) struct Long {
    name: String,
    /// The process that it ends with.
    owner: i32,
}

impl Long {
    /// The long run of a call. The name is of the call, which agents may name in any characters.
    pub(super) fn of(session: &str, call: &str, owner: i32) -> Long {
        let hash = Sha256::new().chain_update(session).chain_update([0]);
        let hash = HEXLOWER.encode(&hash.chain_update(call).finalize());
        Long {
            name: format!("bg-{}", hash.get(..12).unwrap_or_default()),
            owner,
        }
    }

    /// What the model is to know.
    pub(super) fn note(&self) -> String {
        format!(
            "The command is the long run `{0}` of lictor. This shell shows its output and ends with it; the end of this shell \
             does not end the run. Whoever may call lictor ends it by `lictor stop {0}`, and reads it by `lictor logs {0}`.",
            self.name
        )
    }
}

/// Returns true if a text is one command that a long run can stand for: its output is read from disk, so it goes into no file.
pub(super) fn is_one(text: &ShellText, decisions: &[Decision]) -> bool {
    let is_program = |part: &usize| decisions.get(*part).is_some_and(|it| it.argv().is_some());
    match (text.script.commands(), text.commands.as_slice()) {
        ([command], [part]) => {
            let mut redirections = command.redirections().iter();
            is_program(part) && redirections.all(|it| matches!(it, Redirection::ErrorToOutput))
        }
        _ => false,
    }
}

/// Writes a text anew. `decisions` are those of its parts, `by` the words in front of a command that lictor runs, `directory` the one to start in, if the agent may start elsewhere, `long` the long run that its one command becomes.
pub(super) fn text(
    text: &ShellText,
    decisions: &[Decision],
    by: &[String],
    directory: Option<&str>,
    long: Option<&Long>,
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
        if let Some(long) = long {
            let argv = decisions.get(*part)?.argv()?;
            let owner = long.owner.to_string();
            let start = ["start", "--name", &long.name, "--owner-pid", &owner, "--"];
            let logs = ["logs", "-f", &long.name];
            let by = || by.iter().map(String::as_str);
            let start: Vec<String> = by().chain(start).chain(argv).map(quoted).collect();
            let logs: Vec<String> = by().chain(logs).map(quoted).collect();
            // `start` returns at once; the agent's shell goes on for as long as the run, and has its output.
            out.push_str(&format!("{} && {}", start.join(" "), logs.join(" ")));
            continue;
        }
        let words: Vec<String> = match decisions.get(*part)?.argv() {
            Some(argv) => {
                let has_input = command.joint() == Joint::Pipe
                    || command
                        .redirections()
                        .iter()
                        .any(|redirection| matches!(redirection, Redirection::Read(_)));
                let input = has_input.then_some("--stdin");
                let by = by.iter().map(String::as_str);
                let own = by.chain(["run"]).chain(input).chain(["--"]);
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
