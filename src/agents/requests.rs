//! A call of an agent's tool → the requests that the rules decide, all of which must be allowed.
//!
//! Paths go to the rules as the agent wrote them, but for two things: an absolute path below the workspace is read as
//! the relative one (`Request::with_root`), and a relative one starts from the agent's directory. Nothing is cleaned: a
//! `..` is refused where it stands.

#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::json::Object;
use super::message::{Call, Does};
use super::{names, patch, preamble};
use crate::decision::{self, Context, Effect, Request, Value, decide};
use crate::governor::Part;
use crate::policy::CompiledPolicy;
use crate::policy::model::{ArgumentKind, Spelling};
use crate::reason::Reason;
use crate::shell::{Command, Joint, Redirection, Script};

/// Result of reading a call.
#[derive(Debug)]
pub(super) struct Asked {
    /// The parts, in order.
    pub(super) parts: Vec<Part>,
    /// The commands of a shell text.
    pub(super) shell: Option<ShellText>,
}

/// A shell text as it was read, for whoever writes it anew.
#[derive(Debug)]
pub(super) struct ShellText {
    /// The field of the input that holds it.
    pub(super) field: &'static str,
    pub(super) script: Script,
    /// For each command the part that it is.
    pub(super) commands: Vec<usize>,
}

impl Asked {
    fn of(parts: Vec<Part>) -> Asked {
        Asked { parts, shell: None }
    }
}

/// A part that is denied without a look at the rules: why, and what to do instead.
#[derive(Clone, Debug)]
pub(super) struct Refused(Box<(Reason, String, Option<String>)>);

impl From<Refused> for Part {
    fn from(refused: Refused) -> Part {
        let (reason, message, instead) = *refused.0;
        Part::Given {
            effect: Effect::Deny,
            reason: Some(reason),
            message,
            instead,
        }
    }
}

/// Where a call starts, and what paths mean there.
#[derive(Debug)]
pub(super) struct Place<'p> {
    policy: &'p CompiledPolicy,
    /// Names of the workspace's directory.
    roots: Vec<PathBuf>,
    /// The agent's directory from the workspace's top, or why it has none.
    cwd: Result<String, Refused>,
    can_ask: bool,
}

impl<'p> Place<'p> {
    pub(super) fn new(
        policy: &'p CompiledPolicy,
        workspace: &Path,
        cwd: Option<&str>,
        can_ask: bool,
    ) -> Place<'p> {
        let mut roots = vec![workspace.to_owned()];
        if let Ok(real) = workspace.canonicalize()
            && real != workspace
        {
            roots.push(real);
        }
        let cwd = match cwd {
            None => Ok(String::new()),
            Some(cwd) => below(&roots, cwd).ok_or_else(|| outside("the agent's directory", cwd)),
        };
        Place {
            policy,
            roots,
            cwd,
            can_ask,
        }
    }

    /// The parts of a call.
    pub(super) fn asked(&self, call: &Call) -> Asked {
        let input = &call.input;
        Asked::of(match call.does {
            Does::Shell(field, directory) => {
                let inside = directory.and_then(|name| input.get(name)?.as_str());
                return self.shell(field, text(input, field), inside);
            }
            Does::File(action, field) => vec![self.file(action, text(input, field))],
            Does::Files(action, field) => {
                let paths = input.get(field).and_then(Json::as_array);
                let paths = paths.into_iter().flatten().filter_map(Json::as_str);
                let parts: Vec<Part> = paths
                    .map(|path| match pattern_refused(path) {
                        Some(refused) => refused.into(),
                        None => self.file(action, path),
                    })
                    .collect();
                match parts.is_empty() {
                    true => vec![
                        denied(
                            Reason::ArgumentRequired,
                            format!("field `{field}` names no file"),
                            None,
                        )
                        .into(),
                    ],
                    false => parts,
                }
            }
            Does::Search(directory, patterns) => {
                let given = patterns.iter().filter_map(|name| input.get(*name));
                let mut given = given.flat_map(|value| match value {
                    Json::Array(values) => values.iter().filter_map(Json::as_str).collect(),
                    Json::Null
                    | Json::Bool(_)
                    | Json::Number(_)
                    | Json::String(_)
                    | Json::Object(_) => Vec::from_iter(value.as_str()),
                });
                match given.find_map(pattern_refused) {
                    Some(refused) => vec![refused.into()],
                    None => {
                        let inside = directory.and_then(|name| input.get(name)?.as_str());
                        vec![self.search(inside)]
                    }
                }
            }
            Does::Patch(field) => self.patch(text(input, field)),
            Does::Fetch(field) => vec![fetch(text(input, field))],
            Does::Plain(tool, action) => vec![Part::Request(Request::named(tool, action))],
            Does::Mcp(prefix, joint) => vec![self.mcp(&call.tool, prefix, joint, input)],
        })
    }

    /// An action of `filesystem` on one path.
    fn file(&self, action: &str, path: &str) -> Part {
        match self.path(path) {
            Ok(path) => Part::Request(
                self.rooted(
                    Request::named("filesystem", action)
                        .with_arg("path", Value::Text(path.into_bytes())),
                ),
            ),
            Err(refused) => refused.into(),
        }
    }

    fn search(&self, directory: Option<&str>) -> Part {
        let search = Request::named("filesystem", "search");
        match self.path(directory.unwrap_or(".")) {
            // The whole workspace is what its absence means.
            Ok(path) if path == "." || below(&self.roots, &path).as_deref() == Some("") => {
                Part::Request(search)
            }
            Ok(path) => {
                Part::Request(self.rooted(search.with_arg("path", Value::Text(path.into_bytes()))))
            }
            Err(refused) => refused.into(),
        }
    }

    fn patch(&self, text: &str) -> Vec<Part> {
        let changes = match patch::changes(text) {
            Ok(changes) => changes,
            Err(why) => return vec![denied(Reason::RequestInvalid, why, None).into()],
        };
        let part = |change: patch::Change<'_>| match change {
            patch::Change::Add(path) => self.file("write_file", path),
            patch::Change::Delete(path) => self.file("delete", path),
            patch::Change::Update(path, None) => self.file("edit", path),
            patch::Change::Update(path, Some(to)) => match (self.path(path), self.path(to)) {
                (Ok(path), Ok(to)) => Part::Request(
                    self.rooted(
                        Request::named("filesystem", "edit")
                            .with_arg("path", Value::Text(path.into_bytes()))
                            .with_arg("to", Value::Text(to.into_bytes())),
                    ),
                ),
                (Err(refused), _) | (_, Err(refused)) => refused.into(),
            },
        };
        changes.into_iter().map(part).collect()
    }

    /// The action of an MCP server's tool, with all arguments: those that the policy does not declare are refused.
    fn mcp(&self, name: &str, prefix: &str, joint: &str, input: &Object) -> Part {
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        let splits = rest.match_indices(joint).map(|(at, _)| {
            let (server, tool) = rest.split_at_checked(at).unwrap_or_default();
            (server, tool.get(joint.len()..).unwrap_or_default())
        });
        let tool = |server: &str| format!("mcp__{server}");
        let splits: Vec<(&str, &str)> = splits
            .filter(|(server, action)| !server.is_empty() && !action.is_empty())
            .collect();
        let declared: Vec<&(&str, &str)> = splits
            .iter()
            .filter(|(server, action)| self.policy.declares(&tool(server), action))
            .collect();
        let (server, action) = match (declared.as_slice(), splits.first()) {
            ([one], _) => **one,
            ([], Some(first)) => *first,
            ([], None) => {
                let why = format!("`{}` names no tool of an MCP server", name.escape_debug());
                return denied(Reason::ToolNotAllowed, why, None).into();
            }
            _ => {
                let why = format!(
                    "`{}` is more than one tool of the policy's: give servers names without `{joint}`",
                    name.escape_debug()
                );
                return denied(Reason::ArgumentAmbiguous, why, None).into();
            }
        };
        let mut request = Request::named(tool(server), action);
        for (name, value) in input {
            let Some(value) = argument(value) else {
                let why = format!(
                    "argument `{}` is no text, whole number, flag or list of these",
                    name.escape_debug()
                );
                return denied(Reason::ArgumentInvalid, why, None).into();
            };
            request = request.with_arg(name.as_str(), value);
        }
        Part::Request(self.rooted(request))
    }

    /// The commands and redirections of a shell text.
    fn shell(&self, field: &'static str, text: &str, inside: Option<&str>) -> Asked {
        if let Some(patch) = patch::in_shell(text) {
            return Asked::of(self.patch(patch));
        }
        let script = match preamble::parse(text) {
            Ok(script) => script,
            Err(why) => return self.unread(&why),
        };
        let mut directory = match (inside, script.directory()) {
            (None, None) => self.cwd.clone(),
            (Some(inside), None) | (None, Some(inside)) => self.directory(self.cwd.clone(), inside),
            (Some(inside), Some(then)) => {
                self.directory(self.directory(self.cwd.clone(), inside), then)
            }
        };
        if let Ok(directory) = &mut directory
            && directory == "."
        {
            directory.clear();
        }
        let directory = match directory {
            Ok(directory) => directory,
            Err(refused) => return Asked::of(vec![refused.into()]),
        };
        let (mut parts, mut commands) = (Vec::new(), Vec::new());
        for command in script.commands() {
            // What the commands in front of it make is not there yet.
            if !parts.is_empty() && !command.patterns().is_empty() {
                return self.unread("a pattern behind another command, which may make what it matches: run that first, in a call of its own");
            }
            let words = match self.words(command, &directory) {
                Ok(words) => words,
                Err(why) => return self.unread(&why),
            };
            let mut request = Request::argv(words);
            if !directory.is_empty() {
                request = request.with_cwd(directory.clone());
            }
            let request = self.rooted(request);
            commands.push(parts.len());
            let is_piped = command.joint() == Joint::Pipe && command.redirections().is_empty();
            parts.push(match is_piped && self.is_filter(command.words()) {
                true => Part::Filter(request),
                false => Part::Request(request),
            });
            for redirection in command.redirections() {
                parts.extend(self.redirection(&directory, redirection));
            }
        }
        Asked {
            parts,
            shell: Some(ShellText {
                field,
                script,
                commands,
            }),
        }
    }

    /// A text that is not read: denied, or asked about.
    fn unread(&self, why: &str) -> Asked {
        let ask = self.policy.shell_settings().ask_unparsed && self.can_ask;
        Asked::of(vec![Part::Given {
            effect: if ask { Effect::Ask } else { Effect::Deny },
            reason: Some(Reason::ShellUnparsed),
            message: format!("the command is not read: {why}"),
            instead: Some(
                "run plain commands, one call each, joined by `&&` or `|` at most".to_owned(),
            ),
        }])
    }

    /// The words of a command, with the names of files in place of its patterns. The shell will look for them once more,
    /// and may put them in another order: so all names of one pattern have to be paths of one argument that repeats.
    fn words(&self, command: &Command, directory: &str) -> Result<Vec<String>, String> {
        let mut words = Vec::new();
        let mut patterns: Vec<(&String, Vec<String>)> = Vec::new();
        for (nth, word) in command.words().iter().enumerate() {
            if !command.patterns().contains(&nth) {
                words.push(word.clone());
                continue;
            }
            let Some(root) = self.roots.first() else {
                return Err("a pattern without a workspace".to_owned());
            };
            let (prefix, place, pattern) = match word.starts_with('/') {
                false => (String::new(), root.join(directory), word.clone()),
                true => {
                    let Some(below) = below(&self.roots, word) else {
                        return Err(format!("pattern `{word}` is outside of the workspace"));
                    };
                    let prefix = word.strip_suffix(&below).unwrap_or_default();
                    (prefix.to_owned(), root.clone(), below)
                }
            };
            let names = names::matching(&place, &pattern)
                .map_err(|why| format!("`{}` is {why}", word.escape_debug()))?;
            let names: Vec<String> = names
                .into_iter()
                .map(|name| format!("{prefix}{name}"))
                .collect();
            words.extend(names.iter().cloned());
            patterns.push((word, names));
        }
        if patterns.is_empty() {
            return Ok(words);
        }
        let request = self.rooted(Request::argv(words.iter().map(String::as_str)));
        let decision = decide(self.policy, &request, &Context::new("pattern"));
        let asked = decision.asked();
        for (pattern, names) in patterns {
            if asked.action.is_some() && !self.are_one_argument(asked, &names) {
                return Err(format!(
                    "`{}` comes to {} words that are not all files of one kind for the command: put it in single quotes, or name the files",
                    pattern.escape_debug(),
                    names.len()
                ));
            }
        }
        Ok(words)
    }

    /// Returns true if these words are all paths of one argument that repeats.
    fn are_one_argument(&self, asked: &decision::Asked, words: &[String]) -> bool {
        let named = |name: &Option<String>| name.clone().unwrap_or_default();
        let (tool, action) = (named(&asked.tool), named(&asked.action));
        let tool = self.policy.tools().iter().find(|known| known.name == tool);
        let Some(tool) = tool else { return false };
        let action = tool.actions.iter().find(|known| known.name == action);
        let Some(action) = action else { return false };
        let repeats = |name: &str| {
            tool.arguments(action).any(|argument| {
                argument.name == name
                    && argument.repeat
                    && argument.spelling == Spelling::Positional
                    && matches!(argument.kind, ArgumentKind::Path(_))
            })
        };
        let holds = |values: &[Value], word: &String| {
            let relative = below(&self.roots, word);
            values.iter().any(|value| {
                let Value::Text(text) = value else {
                    return false;
                };
                *text == word.as_bytes()
                    || relative
                        .as_ref()
                        .is_some_and(|word| *text == word.as_bytes())
            })
        };
        asked.args.iter().any(|(name, value)| match value {
            Value::List(values) => repeats(name) && words.iter().all(|word| holds(values, word)),
            Value::Text(_) | Value::Int(_) | Value::Flag(_) | Value::Null => false,
        })
    }

    /// The directory that `then` is from another one.
    fn directory(&self, from: Result<String, Refused>, then: &str) -> Result<String, Refused> {
        if then.starts_with('/') {
            return below(&self.roots, then).ok_or_else(|| outside("the directory", then));
        }
        let from = from?;
        Ok(match then.trim_end_matches('/') {
            "." => from,
            then => joined(&from, then),
        })
    }

    /// The file that a redirection reads or writes: decided as `filesystem.read_file` or `write_file`.
    fn redirection(&self, directory: &str, redirection: &Redirection) -> Option<Part> {
        let (action, file) = match redirection {
            Redirection::Read(file) => ("read_file", file),
            Redirection::Output { file, .. } | Redirection::Error { file, .. } => {
                ("write_file", file)
            }
            Redirection::ErrorToOutput | Redirection::OutputToError => return None,
        };
        if file == "/dev/null" {
            return None;
        }
        Some(match self.path_from(Ok(directory.to_owned()), file) {
            Ok(path) => Part::Request(
                self.rooted(
                    Request::named("filesystem", action)
                        .with_arg("path", Value::Text(path.into_bytes())),
                ),
            ),
            Err(refused) => refused.into(),
        })
    }

    /// Returns true for one of `shell.filters` with options and numbers only, which name no file.
    fn is_filter(&self, words: &[String]) -> bool {
        let Some((name, rest)) = words.split_first() else {
            return false;
        };
        let mut takes_number = false;
        let mut is_plain = |word: &String| {
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let was = std::mem::take(&mut takes_number);
            match word
                .strip_prefix('-')
                .map(|rest| rest.strip_prefix('-').ok_or(rest))
            {
                // A number behind an option of one letter; `-o 5` would write a file.
                None => was && is_number(word),
                Some(Ok(long)) => {
                    let (long, value) = long.split_once('=').unwrap_or((long, ""));
                    !long.is_empty()
                        && is_number(value)
                        && long
                            .bytes()
                            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                }
                Some(Err(short)) => {
                    let rest = short.strip_prefix(|first: char| first.is_ascii_alphabetic());
                    takes_number = rest == Some("") && short != "o";
                    short != "o" && !short.is_empty() && is_number(rest.unwrap_or(short))
                }
            }
        };
        let filters = &self.policy.shell_settings().filters;
        filters.contains(name) && rest.iter().all(&mut is_plain)
    }

    fn path(&self, text: &str) -> Result<String, Refused> {
        self.path_from(self.cwd.clone(), text)
    }

    /// The path from the workspace's top, if it is written relative to a directory; else as it is.
    fn path_from(&self, directory: Result<String, Refused>, text: &str) -> Result<String, Refused> {
        match text.chars().next() {
            Some('/') => match below(&self.roots, text) {
                Some(_) => Ok(text.to_owned()),
                // With a `..` in it, the text says nothing about where it leads.
                None if text.split('/').any(|part| matches!(part, "." | "..")) => {
                    Ok(text.to_owned())
                }
                None => Err(outside("the path", text)),
            },
            // To the lexical layer, which has a reason for each.
            None | Some('~' | '\\') => Ok(text.to_owned()),
            Some(_) => match (directory?, text) {
                (directory, ".") if directory.is_empty() => Ok(text.to_owned()),
                (directory, ".") => Ok(directory),
                (directory, text) => Ok(joined(&directory, text)),
            },
        }
    }

    fn rooted(&self, request: Request) -> Request {
        self.roots.iter().fold(request, |request, root| {
            request.with_root(root.as_os_str().as_bytes())
        })
    }
}

fn joined(directory: &str, path: &str) -> String {
    match directory {
        "" => path.to_owned(),
        directory => format!("{directory}/{path}"),
    }
}

/// The path from the top of the workspace, by the text alone; empty for the top itself.
fn below(roots: &[PathBuf], path: &str) -> Option<String> {
    roots.iter().find_map(|root| {
        let rest = path.strip_prefix(root.to_str()?)?;
        match rest.strip_prefix('/') {
            _ if rest.is_empty() => Some(String::new()),
            Some(rest) => Some(rest.trim_end_matches('/').to_owned()),
            None => None,
        }
    })
}

fn outside(what: &str, path: &str) -> Refused {
    denied(
        Reason::PathOutsideAllowedScope,
        format!(
            "{what} `{}` is outside of the workspace",
            path.escape_debug()
        ),
        Some("work on files below the workspace's directory".to_owned()),
    )
}

pub(super) fn denied(reason: Reason, message: String, instead: Option<String>) -> Refused {
    Refused(Box::new((reason, message, instead)))
}

/// The refusal of a pattern that may match outside of the directory that is searched.
fn pattern_refused(pattern: &str) -> Option<Refused> {
    let mut pieces = pattern.split(['{', ',', '(', '|', '!']);
    let is_elsewhere = pattern.contains("..")
        || pattern.contains('\\')
        || pattern.chars().any(crate::text::is_control)
        || pieces.any(|piece| {
            let drive = piece.as_bytes().get(1) == Some(&b':');
            piece.starts_with(['/', '~', '$']) || drive
        });
    is_elsewhere.then(|| {
        denied(
            Reason::PathTraversalDenied,
            format!(
                "pattern `{}` may match outside of the directory that is searched",
                pattern.escape_debug()
            ),
            Some("write a pattern that starts from the directory that is searched".to_owned()),
        )
    })
}

/// `net.fetch` with the host: rules match no text, but an action's pattern does.
fn fetch(url: &str) -> Part {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let is_plain = |host: &&str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    };
    match host.filter(is_plain) {
        Some(host) => Part::Request(
            Request::named("net", "fetch").with_arg("host", host.to_ascii_lowercase()),
        ),
        None => Part::from(denied(
            Reason::ArgumentInvalid,
            format!(
                "`{}` is no plain `http://` or `https://` URL",
                url.escape_debug()
            ),
            None,
        )),
    }
}

/// A value of an MCP call as an argument of a request.
fn argument(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => Value::Null,
        Json::Bool(is_given) => Value::Flag(*is_given),
        Json::Number(number) => Value::Int(number.as_i64()?),
        Json::String(text) => Value::Text(text.clone().into_bytes()),
        Json::Array(values) => Value::List(values.iter().map(argument).collect::<Option<_>>()?),
        Json::Object(_) => return None,
    })
}

fn text<'f>(input: &'f Object, field: &str) -> &'f str {
    input.get(field).and_then(Json::as_str).unwrap_or_default()
}

/// Returns true if a word is the name of a shell, by itself or where it is installed.
pub(super) fn is_shell(word: &str) -> bool {
    let name = ["/bin/", "/usr/bin/"]
        .iter()
        .find_map(|place| word.strip_prefix(place))
        .unwrap_or(word);
    matches!(name, "sh" | "bash" | "dash" | "zsh")
}
