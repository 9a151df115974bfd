//! X301: one command line, two meanings.

#![forbid(unsafe_code)]

use crate::decision::{Context, Request, decide};
use crate::lint::diagnostic::Witness;
use crate::lint::probe;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{Deed, Subject};
use crate::lint::yaml;
use crate::policy::model::{Argument, ArgumentKind, Spelling};
use crate::reason::Reason;

declare_rule! {
    /// ## What it does
    /// Finds a command line that several actions accept, of one tool or of several.
    ///
    /// ## Why is this bad?
    /// Such a command line is denied, `ARGUMENT_AMBIGUOUS`: lictor does not guess which of them a rule is about.
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
    let tools = subject.policy.tools();
    let mut told: Vec<String> = Vec::new();
    for (tool_nth, tool) in tools.iter().enumerate() {
        let shares = tools
            .iter()
            .enumerate()
            .any(|(nth, other)| nth != tool_nth && callings(tool).iter().any(|way| callings(other).contains(way)));
        let is_own = subject.model.tools.iter().any(|own| own.name == tool.name);
        // The libraries' own actions are told apart by their tests.
        if !shares && !is_own {
            continue;
        }
        for nth in 0..tool.actions.len() {
            let Some((tool, action, number)) = subject.policy.action(tool_nth, nth) else { continue };
            let deed = Deed { tool, action, number };
            for argv in command_lines(deed) {
                let decision = decide(
                    subject.policy,
                    &Request::argv(argv.iter().map(String::as_str)),
                    &Context::new(probe::ANYONE),
                );
                if decision.reason() != Some(Reason::ArgumentAmbiguous) {
                    continue;
                }
                let message = decision.message().to_owned();
                if told.contains(&message) {
                    continue;
                }
                told.push(message.clone());
                let names = message.rsplit(": ").next().unwrap_or("").to_owned();
                let at = subject.tool_node(last_own(subject, &names).unwrap_or(tool)).map_or_else(
                    || yaml::get(&subject.root, "use").map_or(subject.root.at, |node| node.at),
                    |(key, _)| key.at,
                );
                let shown = argv.join(" ");
                out.at(at, format!("several actions accept `{}`: {names}", shown.escape_debug()), |d| {
                    d.help("give each command words or options of its own, or take one out").witness(Witness {
                        argv: Some(argv.clone()),
                        shows: "is denied, ARGUMENT_AMBIGUOUS".to_owned(),
                        ..Witness::default()
                    });
                });
            }
        }
    }
}

/// The last tool of the document among `a.b, c.d`.
fn last_own<'s>(subject: &'s Subject<'_>, names: &str) -> Option<&'s crate::policy::model::Tool> {
    subject
        .model
        .tools
        .iter()
        .filter(|tool| names.split(", ").any(|name| name.split('.').next() == Some(&tool.name)))
        .max_by_key(|tool| tool.at.offset)
}

/// The leading words that a tool is called by.
fn callings(tool: &crate::policy::model::Tool) -> Vec<Vec<String>> {
    let program = tool.program.as_ref().map(|program| {
        vec![program.rsplit('/').next().unwrap_or(program).to_owned()]
    });
    program.into_iter().chain(tool.also.iter().cloned()).collect()
}

/// Short command lines of an action: with what is required alone, and with each of its other arguments.
fn command_lines(deed: Deed<'_>) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    let alternatives: Vec<&[String]> = if deed.action.command.is_empty() {
        vec![&[]]
    } else {
        deed.action.command.iter().map(Vec::as_slice).collect()
    };
    for calling in callings(deed.tool) {
        for command in &alternatives {
            let with = |extra: Option<&Argument>| -> Option<Vec<String>> {
                let mut line = calling.clone();
                line.extend(command.iter().cloned());
                for argument in &deed.action.args {
                    if argument.required || extra.is_some_and(|extra| std::ptr::eq(extra, argument)) {
                        line.extend(words(argument)?);
                    }
                }
                if let Some(after) = deed.action.after.as_ref().filter(|after| after.iter().any(|a| a.required)) {
                    line.push("--".to_owned());
                    for argument in after.iter().filter(|argument| argument.required) {
                        line.extend(words(argument)?);
                    }
                }
                Some(line)
            };
            lines.extend(with(None));
            lines.extend(deed.action.args.iter().filter_map(|argument| with(Some(argument))));
        }
    }
    lines
}

/// How an argument is spelled with an ordinary value.
fn words(argument: &Argument) -> Option<Vec<String>> {
    let value = match &argument.kind {
        ArgumentKind::Flag => String::new(),
        ArgumentKind::Path(_) => "a".to_owned(),
        ArgumentKind::Int { min, max } => 1_i64.clamp(*min, *max).to_string(),
        ArgumentKind::Choice(words) => words.first()?.clone(),
        ArgumentKind::Text { pattern, .. } => ["a", "main", "1", "a/b"]
            .into_iter()
            .find(|text| pattern.as_ref().is_none_or(|pattern| pattern.matches(text)))?
            .to_owned(),
    };
    Some(match &argument.spelling {
        Spelling::Positional => vec![value],
        Spelling::Flag { names } => vec![names.first()?.clone()],
        Spelling::Option { names, .. } => {
            let name = names.first()?;
            if name.contains("<n>") {
                vec![name.replace("<n>", &value)]
            } else if name.starts_with("--") {
                vec![format!("{name}={value}")]
            } else {
                vec![name.clone(), value]
            }
        }
    })
}
