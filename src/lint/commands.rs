//! Command lines that several actions accept: a few lines are written for each action, and the real reader is
//! asked which actions take them.
//!
//! No line found is no proof that there is none. A line that two actions accept is denied when it comes.

#![forbid(unsafe_code)]

use super::samples;
use super::subject::Subject;
use crate::analysis::Cap;
use crate::decision::ambiguous;
use crate::policy::libraries;
use crate::policy::model::{Action, Argument, Join, Spelling, Tool, WORKSPACE};

/// Actions that are asked about a line, over all lines. Each takes about a microsecond.
const MOST_READINGS: usize = 1_000_000;

/// Lines that several actions accept.
#[derive(Debug, Default)]
pub(crate) struct Ambiguous {
    pub(crate) lines: Vec<Line>,
    /// Why some lines were not tried.
    pub(crate) cut: Option<Cap>,
}

/// A command line and the actions that accept it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) argv: Vec<String>,
    /// As `tool.action`, in the order of the tools.
    pub(crate) actions: Vec<String>,
}

/// Tries the lines of a policy's actions. Those of one library are told apart by the library's own tests, also where
/// the document is the library.
pub(super) fn look(subject: &Subject<'_>) -> Ambiguous {
    let mut found = Ambiguous::default();
    if libraries().any(|library| library.text() == subject.text) {
        return found;
    }
    let mut readings = 0_usize;
    for tool in subject.policy.tools() {
        let is_own = subject.model.tools.iter().any(|own| own.name == tool.name);
        let rivals = rivals(subject, tool, is_own);
        for action in tool.actions.iter().filter(|_| rivals > 0) {
            for argv in lines(tool, action) {
                readings = readings.saturating_add(rivals);
                if readings > MOST_READINGS {
                    found.cut = Some(Cap::Steps);
                } else if subject.budget().is_spent() {
                    found.cut = Some(Cap::Stopped);
                }
                if found.cut.is_some() {
                    return found;
                }
                let Some(actions) = ambiguous(subject.policy, &argv) else {
                    continue;
                };
                let library = format!("{}.", tool.name);
                let is_library = !is_own && actions.iter().all(|name| name.starts_with(&library));
                if !is_library && !found.lines.iter().any(|line| line.actions == actions) {
                    found.lines.push(Line { argv, actions });
                }
            }
        }
    }
    found
}

/// The number of actions that could accept a line of a tool's actions; 0 where only a library's own could.
fn rivals(subject: &Subject<'_>, tool: &Tool, is_own: bool) -> usize {
    let alike = subject.policy.tools().iter();
    let alike = alike.filter(|other| may_be_called_alike(tool, other));
    let (tools, actions) = alike.fold((0_usize, 0_usize), |(tools, actions), other| {
        let more = other.actions.len().max(1);
        (tools.saturating_add(1), actions.saturating_add(more))
    });
    if is_own || tools > 1 { actions } else { 0 }
}

/// Returns true if some command line calls both.
fn may_be_called_alike(tool: &Tool, other: &Tool) -> bool {
    let begins = |long: &[String], short: &[String]| long.starts_with(short);
    ways(tool).iter().any(|way| {
        let mut others = ways(other).into_iter();
        others.any(|other| begins(way, &other) || begins(&other, way))
    })
}

/// The words by which a tool is called: its program by name and as it was declared, and its other names.
fn ways(tool: &Tool) -> Vec<Vec<String>> {
    let program = tool.program.iter();
    let name = |program: &String| program.rsplit('/').next().unwrap_or(program).to_owned();
    let mut ways: Vec<Vec<String>> = program.clone().map(|program| vec![name(program)]).collect();
    ways.extend(program.map(|program| vec![program.clone()]));
    ways.extend(tool.also.iter().cloned());
    ways.sort();
    ways.dedup();
    ways
}

/// Style in which a line is written.
#[derive(Clone, Copy)]
struct Style {
    /// With every argument, not only with those that are required.
    is_full: bool,
    /// With the words that are passed on anyhow.
    has_fixed: bool,
    /// With values as near to their options as may be.
    is_glued: bool,
}

const PLAIN: Style = Style {
    is_full: false,
    has_fixed: false,
    is_glued: false,
};
const STYLES: &[Style] = &[
    PLAIN,
    Style {
        is_glued: true,
        ..PLAIN
    },
    Style {
        has_fixed: true,
        ..PLAIN
    },
    Style {
        is_full: true,
        ..PLAIN
    },
];

/// Lines that an action accepts, each once, in each way that the tool is called.
fn lines(tool: &Tool, action: &Action) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    for style in STYLES {
        let words = words(tool, action, *style);
        for way in ways(tool) {
            let line = [way.as_slice(), words.as_slice()].concat();
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

fn words(tool: &Tool, action: &Action, style: Style) -> Vec<String> {
    let fixed = |words: &[String]| -> Vec<String> {
        let words = words.iter().filter(|_| style.has_fixed);
        words.map(|word| word.replace(WORKSPACE, ".")).collect()
    };
    let given = |arguments: &[Argument], is_positional: bool| -> Vec<String> {
        let wanted = arguments.iter().filter(|argument| {
            (argument.required || style.is_full)
                && is_positional == (argument.spelling == Spelling::Positional)
        });
        wanted
            .flat_map(|argument| spelled(argument, style))
            .collect()
    };
    let mut words = fixed(&tool.fixed);
    words.extend(given(&tool.args, false));
    words.extend(given(&tool.args, true));
    words.extend(action.command.first().into_iter().flatten().cloned());
    words.extend(fixed(&action.fixed));
    words.extend(given(&action.args, false));
    words.extend(fixed(&action.fixed_last));
    words.extend(given(&action.args, true));
    if let Some(after) = &action.after {
        words.push("--".to_owned());
        words.extend(given(after, false));
        words.extend(given(after, true));
    }
    words
}

fn spelled(argument: &Argument, style: Style) -> Vec<String> {
    let value = samples::value(argument).unwrap_or_else(|| "a".to_owned());
    match &argument.spelling {
        Spelling::Positional => vec![value],
        Spelling::Flag { names } => names.first().cloned().into_iter().collect(),
        Spelling::Option {
            names,
            value_optional,
            join,
        } => {
            let Some(name) = names.first() else {
                return Vec::new();
            };
            let is_letter = name.len() == 2 && *join != Some(Join::Equals);
            match (name.as_str(), is_letter) {
                ("-<n>", _) => vec![format!("-{value}")],
                (name, true) if style.is_glued || *value_optional => {
                    vec![format!("{name}{value}")]
                }
                (name, true) => vec![name.to_owned(), value],
                // An option of several words.
                (name, false) if name.contains(' ') => {
                    let words = name.split(' ').map(str::to_owned);
                    words.chain([value]).collect()
                }
                (name, false) => vec![format!("{name}={value}")],
            }
        }
    }
}
