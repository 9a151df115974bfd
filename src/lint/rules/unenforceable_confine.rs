//! X315: `confine`, which this version cannot enforce.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds allow rules with `confine`, their own or that of `defaults`.
    ///
    /// ## Why is this bad?
    /// This version of lictor cannot enforce it, and does not run without it what a policy wants confined: everything that
    /// such a rule allows is denied, `CONFINE_NOT_ENFORCEABLE`.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, confine: {write: [tests], network: none}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    pub(super) static UNENFORCEABLE_CONFINE = { code: "X315", name: "unenforceable-confine", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let inherited = subject.policy.defaults().confine.is_some();
    for rule in subject.allows() {
        let own = rule.written.terms.confine.is_some();
        if !(own || inherited) {
            continue;
        }
        let whose = if own { "" } else { " of `defaults`" };
        let message = format!(
            "everything that rule `{}` allows is denied: this version of lictor cannot enforce the `confine`{whose}",
            rule.written.id
        );
        out.at(rule.written.at, message, |d| {
            d.help("take `confine` out, and bound what the program does otherwise: in a container, or as a user who may do little");
        });
    }
}
