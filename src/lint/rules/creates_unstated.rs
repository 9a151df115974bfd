//! X317: what a written path creates is left open, so a run may replace a file and nothing else.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
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
    let declared = subject.declared_paths();
    for path in declared
        .iter()
        .filter(|path| path.kind.creates == Creates::Unknown)
    {
        let message = format!(
            "argument `{}` of {} does not say what it creates: only a file that exists may be written",
            path.argument.name,
            path.deed.name()
        );
        out.at(path.key.at, message, |d| {
            d.help("add `creates: itself` if the program makes that path and nothing below it, `parents` if also the directories above, `{from: ARGUMENT}` if it copies or moves another argument there");
            let edit = yaml::insert_after(&subject.text, path.node, "access", "creates: itself");
            d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "write `creates: itself`", vec![edit])));
        });
    }
}
