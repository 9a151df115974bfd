//! Advice for words that no tool, action or argument takes.

#![forbid(unsafe_code)]

use super::call::{Part, arguments, slots};
use super::grammar::is_option;
use crate::path::shown;
use crate::policy::model::{Action, Tool};
use crate::policy::{CompiledPolicy, library_for, nearest};
use crate::reason::Reason;

/// Most commands that are listed one by one.
const MOST: usize = 12;

/// About a command line that begins with no tool of the policy.
pub(super) fn for_program(policy: &CompiledPolicy, words: &[Vec<u8>]) -> Option<String> {
    let text: Vec<&str> = words
        .iter()
        .map_while(|word| std::str::from_utf8(word).ok())
        .collect();
    let program = *text.first()?;
    let is_env = program.rsplit('/').next() == Some("env");
    let assigned = text.get(usize::from(is_env));
    if let Some((name, _)) = assigned.and_then(|word| word.split_once('='))
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Some(format!(
            "leave `{name}=…` out: variables are set by a rule of the policy, `env: {{set: {{{name}: VALUE}}}}`"
        ));
    }
    if let Some(name) = program.rsplit_once('/').map(|(_, name)| name)
        && is_known(policy, name)
    {
        return Some(format!(
            "call it `{name}`; which file that is, `program_path` of the policy says"
        ));
    }
    if let Some(library) = library_for(&text) {
        return Some(format!(
            "the library `{}` declares it: name that under `use` of the policy, and allow its actions",
            library.name()
        ));
    }
    let known = policy.tools().iter().filter_map(program_of);
    nearest(program, known).map(|meant| format!("did you mean `{meant}`?"))
}

/// About the name of a tool.
pub(super) fn for_tool(policy: &CompiledPolicy, name: &str) -> Option<String> {
    let known = policy.tools().iter().map(|tool| tool.name.as_str());
    nearest(name, known)
        .map(|meant| format!("did you mean `{meant}`?"))
        .or_else(|| for_program(policy, &[name.as_bytes().to_vec()]))
}

/// About the name of an action.
pub(super) fn for_action(tool: &Tool, name: &str) -> Option<String> {
    let known = || tool.actions.iter().map(|action| action.name.as_str());
    match nearest(name, known()) {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None => listed(&known().map(str::to_owned).collect::<Vec<_>>())
            .map(|all| format!("it has {all}")),
    }
}

/// The way out for a lone `.` that the policy refuses.
pub(super) fn for_dot(text: &[u8], reason: Reason) -> Option<String> {
    let is_refused = matches!(text, b"." | b"./") && reason == Reason::PathTraversalDenied;
    is_refused.then(|| {
        "the policy says `paths: {dot: deny}`: name the directory; without `dot`, `.` is the one that the line starts in"
            .to_owned()
    })
}

/// A message about words that select no action of the tools they may be for, and what to do.
pub(super) fn for_words(
    called: &[u8],
    tools: &[&Tool],
    words: &[Vec<u8>],
) -> (String, Option<String>) {
    let called = shown(called);
    let Some(first) = words.first() else {
        let message = format!("no action of `{called}` is asked for");
        return (
            message,
            commands(tools)
                .and_then(|all| listed(&all))
                .map(|all| format!("it has {all}")),
        );
    };
    let word = shown(first);
    let all: Vec<String> = commands(tools).unwrap_or_default();
    let begins_alike: Vec<String> = all
        .iter()
        .filter(|command| {
            command
                .split_once(' ')
                .is_some_and(|(first, _)| first == word)
        })
        .cloned()
        .collect();
    let second = words.get(1).filter(|second| !is_option(second));
    if let (Some(second), false) = (second, begins_alike.is_empty()) {
        let asked = format!("{word} {}", shown(second));
        let message = format!("`{called}` declares no action `{asked}`");
        let rest = begins_alike
            .iter()
            .filter_map(|command| command.split_once(' '));
        let alike = nearest(&shown(second), rest.map(|(_, rest)| rest))
            .map(|meant| format!("did you mean `{word} {meant}`?"));
        let instead = alike.or_else(|| listed(&begins_alike).map(|all| format!("it has {all}")));
        return (message, instead);
    }
    let message = format!("`{called}` declares no action `{word}`");
    let instead = nearest(&word, all.iter().map(String::as_str))
        .map(|meant| format!("did you mean `{meant}`?"));
    (
        message,
        instead.or_else(|| listed(&all).map(|all| format!("it has {all}"))),
    )
}

/// About an option that stands where none of these parts takes it.
pub(super) fn for_option(
    tool: &Tool,
    action: &Action,
    parts: &[Part],
    word: &[u8],
) -> Option<String> {
    let word = std::str::from_utf8(word).ok()?;
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    let elsewhere = slots(tool, action).find(|(slot, argument)| {
        !parts.contains(&slot.part) && argument.spelling.names().iter().any(|known| known == name)
    });
    if let Some((slot, _)) = elsewhere {
        return Some(match slot.part {
            Part::Tool => format!("write `{name}` right behind `{}`", tool.name),
            Part::Action => format!("write `{name}` behind `{}`", command_of(action)?),
            Part::After => format!("write `{name}` behind `--`"),
        });
    }
    // Of options of one letter, each is near every other.
    let known = parts
        .iter()
        .flat_map(|part| arguments(tool, action, *part))
        .flat_map(|argument| argument.spelling.names())
        .map(String::as_str)
        .filter(|known| known.len() > 2);
    let meant = nearest(name, known).filter(|_| name.len() > 3)?;
    Some(format!("did you mean `{meant}`?"))
}

/// The tool's advice for a line that no action takes: that of the entry of `left_out` of which the line holds most
/// words, in order.
pub(super) fn for_left_out(tool: &Tool, words: &[Vec<u8>]) -> Option<String> {
    let is = |given: &Vec<u8>, word: &String| match given.strip_prefix(word.as_bytes()) {
        Some([]) => true,
        Some([b'=', ..]) => is_option(given),
        _ => false,
    };
    let holds = |(left_out, _): &&(Vec<String>, String)| {
        let mut rest = words.iter();
        left_out
            .iter()
            .all(|word| rest.any(|given| is(given, word)))
    };
    // Of equals the last one wins, so the first of a list has to be met first.
    let held = tool.left_out.iter().rev().filter(holds);
    let (_, instead) = held.max_by_key(|(left_out, _)| left_out.len())?;
    Some(instead.clone())
}

fn is_known(policy: &CompiledPolicy, name: &str) -> bool {
    policy
        .tools()
        .iter()
        .filter_map(program_of)
        .any(|known| known == name)
}

fn program_of(tool: &Tool) -> Option<&str> {
    let program = tool.program.as_deref()?;
    Some(program.rsplit('/').next().unwrap_or(program))
}

fn command_of(action: &Action) -> Option<String> {
    action.command.first().map(|words| words.join(" "))
}

/// The first command of each action that has one.
fn commands(tools: &[&Tool]) -> Option<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for command in tools
        .iter()
        .flat_map(|tool| &tool.actions)
        .filter_map(command_of)
    {
        if !all.contains(&command) {
            all.push(command);
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Names for people: as many as are read, and the number of the others.
fn listed(names: &[String]) -> Option<String> {
    let quoted: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().checked_sub(MOST) {
        _ if names.is_empty() => None,
        None | Some(0) => Some(quoted.join(", ")),
        Some(more) => Some(format!("{} and {more} more", quoted.join(", "))),
    }
}
