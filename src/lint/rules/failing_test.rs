//! T405: a test of the policy that fails.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::Witness;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Runs the policy's own tests, as `lictor test` does, and finds those that fail.
    ///
    /// ## Why is this bad?
    /// The policy does not decide what its author expects.
    ///
    /// ## Example
    /// ```yaml
    /// tests:
    ///   - {run: [ls], expect: allow}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tests:
    ///   - {run: [ls], expect: deny, reason: TOOL_NOT_ALLOWED}
    /// ```
    pub(super) static FAILING_TEST = { code: "T405", name: "failing-test", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for (test, outcome) in subject.model.tests.iter().zip(&subject.tests) {
        if outcome.passed() {
            continue;
        }
        let message = format!("this test fails: {}", outcome.failures.join("; "));
        out.at(test.at, message, |d| {
            d.help(format!("the decision says: {}", outcome.decision.message()))
                .witness(Witness {
                    shows: format!("is decided: {}", outcome.decision.effect().word()),
                    path: None,
                    request: None,
                    argv: Some(outcome.request.split(' ').map(str::to_owned).collect()),
                });
        });
    }
}
