//! Command lines that several actions accept: every two actions that can be called alike are compared, and
//! each line that is found was read by the real reader.

#![forbid(unsafe_code)]

use super::subject::Subject;
use crate::analysis::argv::{Grammar, ways};
use crate::analysis::both::never_both;
use crate::analysis::{Answer, Cap};
use crate::decision::ambiguous;
use crate::policy::libraries;
use crate::policy::model::{Action, Argument, Spelling, Tool};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Ambiguous {
    pub(crate) lines: Vec<Line>,
    /// Two actions, and why it is not known of them.
    pub(crate) unknown: Vec<([String; 2], Cap)>,
}

/// A command line and the actions that accept it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) argv: Vec<String>,
    /// As `tool.action`, in the order of the tools.
    pub(crate) actions: Vec<String>,
}

/// Compares the actions of a policy. Those of one library are told apart by the library's own tests, also where the
/// document is the library.
pub(super) fn look(subject: &Subject<'_>) -> Ambiguous {
    let budget = subject.budget();
    let tools = subject.policy.tools();
    let mut found = Ambiguous::default();
    if libraries().any(|library| library.text() == subject.text) {
        return found;
    }
    for (nth, tool) in tools.iter().enumerate() {
        for (other_nth, other) in tools.iter().enumerate().skip(nth) {
            let is_own = subject.model.tools.iter().any(|own| own.name == tool.name);
            if nth == other_nth && !is_own || !may_be_called_alike(tool, other) {
                continue;
            }
            compare(subject, budget, tool, other, &mut found);
        }
    }
    found
}

/// Compares every action of a tool with every action of another one, or of itself.
fn compare(
    subject: &Subject<'_>,
    budget: &crate::analysis::Budget<'_>,
    tool: &Tool,
    other: &Tool,
    found: &mut Ambiguous,
) {
    let is_same = std::ptr::eq(tool, other);
    let (mine, others) = (grammars(tool), grammars(other));
    for (nth, (name, grammar)) in mine.iter().enumerate() {
        for (other_nth, (other_name, other_grammar)) in others.iter().enumerate() {
            if is_same && (other_nth < nth || begin_otherwise(tool, nth, other_nth)) {
                continue;
            }
            let is_told = found.lines.iter().any(|line| {
                name != other_name
                    && line.actions.contains(name)
                    && line.actions.contains(other_name)
            });
            if is_told {
                continue;
            }
            let answer = match (grammar, other_grammar) {
                (Ok(grammar), Ok(_)) if is_same && nth == other_nth => never_both(
                    grammar,
                    grammar,
                    &|line| ambiguous(subject.policy, line).is_some(),
                    budget,
                ),
                (Ok(grammar), Ok(other)) => {
                    let accepts = |line: &[String]| {
                        ambiguous(subject.policy, line)
                            .is_some_and(|by| by.contains(name) && by.contains(other_name))
                    };
                    never_both(grammar, other, &accepts, budget)
                }
                (Err(cap), _) | (_, Err(cap)) => Answer::Unknown(*cap),
            };
            match answer {
                Answer::Holds => {}
                Answer::Fails(argv) => {
                    let actions = ambiguous(subject.policy, &argv).unwrap_or_default();
                    found.lines.push(Line { argv, actions });
                }
                Answer::Unknown(cap) => {
                    found
                        .unknown
                        .push(([name.clone(), other_name.clone()], cap));
                }
            }
        }
    }
}

/// The actions of a tool by name, and how each is read.
fn grammars(tool: &Tool) -> Vec<(String, Result<Grammar<'_>, Cap>)> {
    let named = |action: &Action| format!("{}.{}", tool.name, action.name);
    let actions = tool.actions.iter();
    actions
        .map(|action| (named(action), Grammar::new(tool, action)))
        .collect()
}

/// Returns true where the first command word tells two actions of a tool apart, which needs no search: what stands in
/// front of it is then read alike for both.
fn begin_otherwise(tool: &Tool, nth: usize, other: usize) -> bool {
    let is_positional = |argument: &Argument| argument.spelling == Spelling::Positional;
    if tool.options_first || tool.args.iter().any(is_positional) {
        return false;
    }
    let firsts = |nth: usize| {
        let commands = tool.actions.get(nth).map(|action| &action.command)?;
        let firsts: Option<Vec<&String>> = commands.iter().map(|words| words.first()).collect();
        firsts.filter(|firsts| {
            !firsts.is_empty() && !firsts.iter().any(|word| tool.fixed.contains(word))
        })
    };
    match (firsts(nth), firsts(other)) {
        (Some(mine), Some(others)) => !mine.iter().any(|word| others.contains(word)),
        _ => false,
    }
}

/// Returns true if some command line calls both.
fn may_be_called_alike(tool: &Tool, other: &Tool) -> bool {
    let begins = |long: &[String], short: &[String]| long.starts_with(short);
    ways(tool).iter().any(|way| {
        ways(other)
            .iter()
            .any(|other| begins(way, other) || begins(other, way))
    })
}
