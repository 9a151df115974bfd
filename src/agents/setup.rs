//! The settings by which an agent calls the hook: where they are, and what stands in them.
//!
//! Each adapter holds its own as a [`Setup`]. A text of settings comes in, and comes out with the hook in it; no file
//! is touched here.

#![forbid(unsafe_code)]

use serde_json::Value as Json;

use super::{Agent, edit};
use crate::shell;

/// Where an agent keeps its settings, and how the hook stands in them.
#[derive(Debug)]
pub struct Setup {
    /// The file for one project, from its top.
    pub(super) project: &'static str,
    /// The file for all projects of a user, from the home directory.
    pub(super) user: &'static str,
    /// The agent understands comments in its JSON.
    pub(super) has_comments: bool,
    pub(super) form: Form,
    /// Notes for the person: what is to be done or to be known then.
    pub(super) notes: &'static [&'static str],
    /// Settings that switch all hooks off: a file, and what stands in it then, without blanks.
    pub(super) off: &'static [(Place, &'static str, &'static str)],
    /// A message as the agent sends it before a call.
    pub(super) sample: fn(cwd: &str, sample: &Sample<'_>) -> Json,
}

/// The directory that a file of settings lies below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "settings are nowhere else")]
pub enum Place {
    /// The project's top.
    Project,
    /// The user's home.
    Home,
    /// The root of the file system.
    Machine,
}

/// A call that nobody will make.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a hook is tried with these")]
pub enum Sample<'a> {
    /// A file is written.
    Write(&'a str),
    /// A command is run.
    Shell(&'a str),
}

/// Form of the hook in the settings.
#[derive(Debug)]
#[non_exhaustive]
pub enum Form {
    /// One entry for each event, in JSON that has other settings too.
    Entries {
        /// The text of a file without settings.
        empty: &'static str,
        /// The key of the object with the events.
        under: &'static str,
        /// The events.
        events: &'static [Event],
        /// The entry of an event.
        entry: fn(&Hooked<'_>, &Event) -> Json,
    },
    /// A file that holds nothing else.
    Whole(fn(&Hooked<'_>) -> String),
}

/// An event for which the hook is called.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event {
    /// Its name in the settings.
    pub name: &'static str,
    /// True if the call has not happened yet.
    pub blocks: bool,
}

impl Event {
    pub(super) const fn before(name: &'static str) -> Event {
        Event { name, blocks: true }
    }

    pub(super) const fn after(name: &'static str) -> Event {
        Event {
            name,
            blocks: false,
        }
    }
}

/// The command that the agent is to call.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers make one")]
pub struct Hooked<'a> {
    /// The absolute path of the program.
    pub program: &'a str,
    /// Its arguments.
    pub args: &'a [String],
}

impl Hooked<'_> {
    /// The command for a shell.
    #[must_use]
    pub fn line(&self) -> String {
        let words = std::iter::once(self.program).chain(self.args.iter().map(String::as_str));
        let words = words.map(|word| crate::text::shell(word.as_bytes()));
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Setup {
    /// The file with the settings of one project, from its top.
    #[must_use]
    pub fn project(&self) -> &'static str {
        self.project
    }

    /// The file with the settings of a user, from the home directory.
    #[must_use]
    pub fn user(&self) -> &'static str {
        self.user
    }

    /// Notes for the person: what is to be done or to be known once the hook stands in the settings.
    #[must_use]
    pub fn notes(&self) -> &'static [&'static str] {
        self.notes
    }

    /// Settings that switch all hooks off: a file, and what stands in it then, without blanks.
    #[must_use]
    pub fn off(&self) -> &'static [(Place, &'static str, &'static str)] {
        self.off
    }

    /// A message as the agent sends it before a call.
    #[must_use]
    pub fn sample(&self, cwd: &str, sample: &Sample<'_>) -> Json {
        (self.sample)(cwd, sample)
    }

    /// Form of the hook in the settings.
    #[must_use]
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The settings as a value.
    ///
    /// # Errors
    ///
    /// They are not understood: what, and where.
    pub fn read(&self, text: &str) -> Result<Json, String> {
        edit::value(text, self.has_comments)
    }
}

impl Agent {
    /// The text of this agent's settings with the hook in it. An older entry of lictor's is replaced, all else stays as it
    /// is; the text comes back unchanged if the hook is there already.
    ///
    /// # Errors
    ///
    /// The text is not understood, or has something else where the hook belongs: what, and where.
    pub fn installed(&self, before: Option<&str>, hooked: &Hooked<'_>) -> Result<String, String> {
        match &self.setup.form {
            Form::Whole(text) => match before {
                Some(before) if !before.contains("`lictor init ") && !before.trim().is_empty() => {
                    Err("it was not written by `lictor init`, and would be replaced".to_owned())
                }
                Some(_) | None => Ok(text(hooked)),
            },
            Form::Entries {
                empty,
                under,
                events,
                entry,
            } => {
                let is_empty = |text: &&str| text.trim().is_empty();
                let mut text = before
                    .filter(|text| !is_empty(text))
                    .unwrap_or(empty)
                    .to_owned();
                for event in *events {
                    let item = entry(hooked, event);
                    let keys = [*under, event.name];
                    let is_ours = |item: &Json| self.calls(item, hooked.program);
                    text = edit::put(&text, self.setup.has_comments, keys, &item, is_ours)?;
                }
                Ok(text)
            }
        }
    }

    /// Returns true if an entry calls lictor as this agent's hook, and nothing else.
    fn calls(&self, entry: &Json, program: &str) -> bool {
        let commands = commands(entry);
        let is_ours = |words: &Vec<String>| {
            self.is_hook(words)
                || words.first().is_some_and(|first| first == program) && self.names_hook(words)
        };
        !commands.is_empty() && commands.iter().all(is_ours)
    }

    /// Returns true if a command line is that of lictor as this agent's hook.
    pub(super) fn is_hook(&self, words: &[String]) -> bool {
        let first = words.first().map(String::as_str).unwrap_or_default();
        first.rsplit('/').next() == Some("lictor") && self.names_hook(words)
    }

    fn names_hook(&self, words: &[String]) -> bool {
        let mut behind = words.iter().skip_while(|word| *word != "hook").skip(1);
        behind.any(|word| word == self.name)
    }
}

/// The command lines that an entry of settings holds, each as its words. One that is not read is one word.
pub(super) fn commands(entry: &Json) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    match entry {
        Json::Object(fields) => {
            let program = ["command", "exec", "bash"]
                .iter()
                .find_map(|name| fields.get(*name)?.as_str());
            if let Some(program) = program {
                let args = fields.get("args").and_then(Json::as_array);
                found.push(match args {
                    Some(args) => {
                        let args = args.iter().filter_map(Json::as_str);
                        std::iter::once(program)
                            .chain(args)
                            .map(str::to_owned)
                            .collect()
                    }
                    None => words(program),
                });
            }
            found.extend(fields.values().flat_map(commands));
        }
        Json::Array(items) => found.extend(items.iter().flat_map(commands)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
    found
}

/// The words of a command for a shell, if it is one plain command.
fn words(line: &str) -> Vec<String> {
    match shell::parse(line) {
        Ok(script) => match script.commands() {
            [one] if one.redirections().is_empty() => one.words().to_vec(),
            _ => vec![line.to_owned()],
        },
        Err(_) => vec![line.to_owned()],
    }
}
