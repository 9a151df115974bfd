//! X317: what a written path creates is left open, so a run may replace a file and nothing else.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{Deed, Subject};
use crate::lint::yaml;
use crate::policy::model::Creates;

declare_rule! {
    /// ## What it does
    /// Finds path arguments with `access: write` that do not say `creates`.
    ///
    /// ## Why is this bad?
    /// Nobody knows which names such a program makes. A request that names a file which does not exist yet, or a directory,
    /// is denied on disk: `lictor.yaml`, or something a rule denies, could come to lie there.
    ///
    /// ## Example
    /// ```yaml
    /// tools:
    ///   touch: {program: touch, actions: {run: {args: {path: {type: path, access: write, required: true}}}}}
    /// scopes: {out: "out/**"}
    /// rules:
    ///   - {id: touch, allow: touch.run, within: out}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tools:
    ///   touch: {program: touch, actions: {run: {args: {path: {type: path, access: write, creates: itself, required: true}}}}}
    /// scopes: {out: "out/**"}
    /// rules:
    ///   - {id: touch, allow: touch.run, within: out}
    /// ```
    pub(super) static CREATES_UNSTATED = { code: "X317", name: "creates-unstated", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for (tool_nth, tool) in subject.policy.tools().iter().enumerate() {
        for nth in 0..tool.actions.len() {
            let Some((tool, action, number)) = subject.policy.action(tool_nth, nth) else {
                continue;
            };
            let deed = Deed {
                tool,
                action,
                number,
            };
            for (argument, kind) in deed.paths() {
                // Arguments of libraries have no place in this document.
                let Some((key, node)) = subject.argument_node(deed, &argument.name) else {
                    continue;
                };
                if kind.creates != Creates::Unknown {
                    continue;
                }
                let message = format!(
                    "argument `{}` of {} does not say what it creates: only a file that exists may be written",
                    argument.name,
                    deed.name()
                );
                out.at(key.at, message, |d| {
                    d.help("add `creates: itself` if the program makes that path and nothing below it, `parents` if also the directories above, `{from: ARGUMENT}` if it copies or moves another argument there");
                    let edit = yaml::insert_after(&subject.text, node, "access", "creates: itself");
                    d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "write `creates: itself`", vec![edit])));
                });
            }
        }
    }
}
