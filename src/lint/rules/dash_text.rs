//! X304: a text that may look like an option.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Edit, Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::model::{ArgumentKind, Spelling};

declare_rule! {
    /// ## What it does
    /// Finds positional text arguments with `dash: true` that are not behind `--`.
    ///
    /// ## Why is this bad?
    /// A text that begins with `-` is an option to the program: one that nobody declared and no rule speaks of.
    ///
    /// ## Example
    /// ```yaml
    /// tools:
    ///   say:
    ///     program: echo
    ///     actions:
    ///       run: {args: {words: {type: text, dash: true, repeat: true}}}
    /// rules:
    ///   - {id: say, allow: say.run}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tools:
    ///   say:
    ///     program: echo
    ///     actions:
    ///       run: {after: {words: {type: text, dash: true, repeat: true}}}
    /// rules:
    ///   - {id: say, allow: say.run}
    /// ```
    pub(super) static DASH_TEXT = { code: "X304", name: "dash-text", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for tool in &subject.model.tools {
        let Some((_, node)) = subject.tool_node(tool) else {
            continue;
        };
        let actions = tool.actions.iter().map(|action| {
            let node =
                yaml::get(node, "actions").and_then(|actions| yaml::get(actions, &action.name));
            (&action.args, node)
        });
        for (args, node) in actions.chain([(&tool.args, Some(node))]) {
            for argument in args {
                let is_meant = matches!(argument.kind, ArgumentKind::Text { dash: true, .. })
                    && argument.spelling == Spelling::Positional;
                if !is_meant {
                    continue;
                }
                let dash = node
                    .and_then(|node| yaml::get(node, "args"))
                    .and_then(|args| yaml::get(args, &argument.name))
                    .and_then(|argument| yaml::get(argument, "dash"));
                let at = dash.map_or(argument.at, |dash| dash.at);
                let message = format!(
                    "`{}` may begin with `-`, and no `--` stands before it",
                    argument.name
                );
                out.at(at, message, |d| {
                    d.help("declare it under `after`, which puts `--` before it, or take `dash: true` out");
                    if let Some(dash) = dash {
                        d.fix(Fix::new(
                            Safety::Suggested,
                            "write `dash: false`",
                            vec![Edit::replace(dash.at, "false")],
                        ));
                    }
                });
            }
        }
    }
}
