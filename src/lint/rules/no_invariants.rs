//! L212: writing or running is granted, and nothing is claimed about it.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Edit, Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::policy::model::Access;

declare_rule! {
    /// ## What it does
    /// Finds policies that let paths be written or run and hold no `invariants`.
    ///
    /// ## Why is this bad?
    /// An invariant is a claim that every later change of the policy is held against. Without one, a change that opens too
    /// much looks like any other.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {sources: "src/**"}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: sources}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {sources: "src/**"}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: sources}
    /// invariants:
    ///   - {id: no-secrets, never: "*", paths: ["**/.env*"]}
    /// ```
    pub(super) static NO_INVARIANTS = { code: "L212", name: "no-invariants", level: Info, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    if !subject.model.invariants.is_empty() {
        return;
    }
    let first = subject.allows().find(|rule| {
        let accesses = subject.accesses(*rule);
        accesses.contains(&Access::Write) || accesses.contains(&Access::Execute)
    });
    let Some(rule) = first else { return };
    let message = format!(
        "rule `{}` grants more than reading, and the policy claims nothing that must stay true",
        rule.written.id
    );
    out.at(rule.written.at, message, |d| {
        d.help("add `invariants`: what may never be allowed, whatever else changes");
        let is_block = !crate::lint::yaml::is_in_braces(&subject.text, &subject.root);
        let has_key = crate::lint::yaml::get(&subject.root, "invariants").is_some();
        if is_block && !has_key {
            let gap = if subject.text.ends_with('\n') { "" } else { "\n" };
            let text = format!(
                "{gap}\ninvariants:\n  - {{id: secrets-stay-closed, never: \"*\", paths: [\"**/.env*\", \"**/*.pem\"]}}\n"
            );
            let edit = Edit::insert(subject.text.len(), text);
            d.fix(Fix::new(Safety::Suggested, "claim that secrets stay closed", vec![edit]));
        }
    });
}
