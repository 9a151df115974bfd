//! P007: a rule without `reason`.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds rules without `reason`.
    ///
    /// ## Why is this bad?
    /// The reason is what a denied agent and a later reader are told. Without it a rule outlives what it was for,
    /// because nobody dares to take it out.
    ///
    /// ## Example
    /// ```yaml
    /// rules:
    ///   - {id: nothing, deny: "*"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// rules:
    ///   - {id: nothing, deny: "*", reason: Nothing runs here yet.}
    /// ```
    pub(super) static MISSING_REASON = { code: "P007", name: "missing-reason", level: Info, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for rule in subject.rules().filter(|rule| rule.written.reason.is_none()) {
        let message = format!("rule `{}` does not say why", rule.written.id);
        out.at(rule.written.at, message, |d| {
            d.help(
                "add `reason`: it is told to whoever is denied, and to who reads the policy next",
            );
        });
    }
}
