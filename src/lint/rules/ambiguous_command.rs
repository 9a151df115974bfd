//! X301: one command line, two meanings.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::Witness;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::Span;
use crate::policy::model::Tool;

declare_rule! {
    /// ## What it does
    /// Writes a few command lines for each action (the shortest, one with every argument, one with what is always
    /// passed on, one with values glued to their options) and reports each that several actions accept, of one tool or
    /// of several. It speaks of the lines tried: two actions may share another one.
    ///
    /// ## Why is this bad?
    /// Such a command line is denied, `ARGUMENT_AMBIGUOUS`: lictor does not guess which of them a rule is about.
    /// That holds for every line, also for those that this rule has not tried.
    ///
    /// ## Example
    /// ```yaml
    /// tools:
    ///   build:
    ///     program: make
    ///     actions:
    ///       all: {command: all}
    ///   make:
    ///     program: make
    ///     actions:
    ///       everything: {command: all}
    /// rules:
    ///   - {id: build, allow: [build.all, make.everything]}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tools:
    ///   make:
    ///     program: make
    ///     actions:
    ///       all: {command: all}
    ///       clean: {command: clean}
    /// rules:
    ///   - {id: build, allow: "make.*"}
    /// ```
    pub(super) static AMBIGUOUS_COMMAND = { code: "X301", name: "ambiguous-command", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for line in &subject.commands().lines {
        let names = line.actions.join(", ");
        let shown = line.argv.join(" ");
        let message = format!("several actions accept `{}`: {names}", shown.escape_debug());
        out.at(place(subject, &line.actions), message, |d| {
            d.help("give each command words or options of its own, or take one out")
                .witness(Witness {
                    argv: Some(line.argv.clone()),
                    shows: "is denied, ARGUMENT_AMBIGUOUS".to_owned(),
                    ..Witness::default()
                });
        });
    }
}

/// The last tool of the document among `a.b`, `c.d`, or where the libraries are named.
fn place(subject: &Subject<'_>, actions: &[String]) -> Span {
    let is_named = |tool: &&Tool| {
        actions
            .iter()
            .any(|action| action.split('.').next() == Some(&tool.name))
    };
    let own = subject.model.tools.iter().filter(is_named);
    let node = own
        .max_by_key(|tool| tool.at.offset)
        .and_then(|tool| subject.tool_node(tool));
    match node {
        Some((key, _)) => key.at,
        None => yaml::get(&subject.root, "use").map_or(subject.root.at, |node| node.at),
    }
}
