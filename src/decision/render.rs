//! A call whose paths are decided -> the words that are executed.
//!
//! The output is made of declared words and checked values only, in declared order; nothing of the caller's
//! own spelling is left but the values.

#![forbid(unsafe_code)]

use super::call::{Call, Given, Part, argument};
use super::grammar::{is_letter, is_option};
use super::paths::Decided;
use super::suffix;
use crate::policy::model::{Action, Argument, Join, Spelling, Tool, WORKSPACE};

/// The words behind the program; `climb` is the way from where they are read to the workspace.
pub(super) fn render(
    tool: &Tool,
    action: &Action,
    call: &Call,
    paths: &[Decided],
    climb: &str,
) -> Vec<String> {
    let fixed = |words: &[String]| -> Vec<String> {
        let words = words.iter().map(|word| word.replace(WORKSPACE, climb));
        words.collect()
    };
    let mut words = fixed(&tool.fixed);
    let mut paths = paths.iter().filter(|path| path.is_given);
    let mut rendered: Vec<(Part, bool, Vec<String>)> = Vec::new();
    for (slot, given) in &call.given {
        let Some(argument) = argument(tool, action, *slot) else {
            continue;
        };
        let value = match given {
            Given::Flag | Given::Bare => None,
            Given::Text(text) => Some(match argument.kind.suffix() {
                Some(suffix) => suffix::with(text, suffix),
                None => text.clone(),
            }),
            Given::Path(_) => paths.next().map(|path| path.rendered.clone()),
            Given::NoPath => continue,
        };
        let is_positional = argument.spelling == Spelling::Positional;
        rendered.push((slot.part, is_positional, spelled(argument, value)));
    }
    let take = |part: Part, positional: bool| {
        let of_part = rendered
            .iter()
            .filter(|(at, is_positional, _)| *at == part && *is_positional == positional);
        of_part
            .flat_map(|(_, _, words)| words.clone())
            .collect::<Vec<_>>()
    };
    words.extend(take(Part::Tool, false));
    // Where there are no command words: `find` reads where to look before what to look for.
    words.extend(take(Part::Tool, true));
    words.extend(action.command.first().into_iter().flatten().cloned());
    words.extend(fixed(&action.fixed));
    words.extend(take(Part::Action, false));
    words.extend(fixed(&action.fixed_last));
    let positional = take(Part::Action, true);
    // A word that begins like an option was written behind `--`, and is read as it was only there.
    let needs_dashes = positional.iter().any(|word| is_option(word.as_bytes()));
    if needs_dashes && action.after.is_none() {
        words.push("--".to_owned());
    }
    words.extend(positional);
    if action.after.is_some() {
        words.push("--".to_owned());
        words.extend(take(Part::After, false));
        words.extend(take(Part::After, true));
    }
    words
}

fn spelled(argument: &Argument, value: Option<String>) -> Vec<String> {
    let first = || {
        argument
            .spelling
            .names()
            .first()
            .cloned()
            .unwrap_or_default()
    };
    match (&argument.spelling, value) {
        (Spelling::Positional, value) => value.into_iter().collect(),
        (Spelling::Flag { .. } | Spelling::Option { .. }, None) => vec![first()],
        // One of several flags.
        (Spelling::Flag { .. }, Some(value)) => vec![value],
        (
            Spelling::Option {
                value_optional,
                join,
                ..
            },
            Some(value),
        ) => {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let mut names = argument.spelling.names().iter();
            // `-k` alone is the option without its value; `--long=`, or `-k=`, says an empty one.
            let needs_value = *value_optional && *join != Some(Join::Equals);
            let says_empty = |name: &String| !(needs_value && value.is_empty() && is_letter(name));
            let fitting = names.find(|name| (*name != "-<n>" || is_number) && says_empty(name));
            let name = fitting.cloned().unwrap_or_else(first);
            if name == "-<n>" {
                return vec![format!("-{value}")];
            }
            let join = join.unwrap_or(match (is_letter(&name), value_optional) {
                (false, _) => Join::Equals,
                (true, true) => Join::Glued,
                (true, false) => Join::Space,
            });
            // Glued to nothing, an option would take the next word.
            let glues_nothing = join == Join::Glued && value.is_empty() && !value_optional;
            let join = if glues_nothing { Join::Space } else { join };
            match join {
                Join::Equals => vec![format!("{name}={value}")],
                Join::Space => name.split(' ').map(str::to_owned).chain([value]).collect(),
                Join::Glued => vec![format!("{name}{value}")],
            }
        }
    }
}
