//! L207: an action that is never allowed, or always.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds actions of the policy's own tools that no rule allows, and actions with a path that are allowed for every path, to
    /// everybody, with nothing to approve.
    ///
    /// ## Why is this bad?
    /// An action that is never allowed was declared for something. One that is always allowed could as well have no rules.
    ///
    /// ## Example
    /// ```yaml
    /// tools:
    ///   cat:
    ///     program: cat
    ///     actions:
    ///       run: {args: {path: {type: path, required: true}}}
    ///       number: {args: {n: {type: flag, names: "-n", required: true}, path: {type: path, required: true}}}
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: cat.run, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// When the tool is one of a library, or the action takes no path:
    /// ```yaml
    /// tools:
    ///   cat:
    ///     program: cat
    ///     actions:
    ///       run: {args: {path: {type: path, required: true}}}
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: cat.run, within: docs}
    /// ```
    pub(super) static NOTHING_OR_EVERYTHING = { code: "L207", name: "nothing-allowed, everything-allowed", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for tool in &subject.model.tools {
        let allows = |action: &str| {
            subject.allows().any(|rule| {
                subject
                    .deeds(rule)
                    .iter()
                    .any(|deed| deed.tool.name == tool.name && deed.action.name == action)
            })
        };
        // A tool of which nothing is allowed is told as one that is not used.
        if !tool.actions.iter().any(|action| allows(&action.name)) {
            continue;
        }
        for action in tool.actions.iter().filter(|action| !allows(&action.name)) {
            let message = format!("nothing is ever allowed of `{}.{}`", tool.name, action.name);
            out.at(action.at, message, |d| {
                d.name = "nothing-allowed";
                d.help("allow it in the rule that was meant, or take the action out");
            });
        }
    }
    let rules: Vec<_> = subject.rules().collect();
    for (nth, action) in &subject.exact().everything {
        let Some(rule) = rules.get(*nth) else {
            continue;
        };
        let message = format!(
            "rule `{}` allows `{action}` for every path, to everybody",
            rule.written.id
        );
        out.at(rule.written.at, message, |d| {
            d.name = "everything-allowed";
            d.help("name the directories that are meant, or deny what is not");
        });
    }
}
