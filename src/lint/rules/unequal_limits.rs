//! L206: two allows of the same thing on different terms.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{RuleView, Subject};

declare_rule! {
    /// ## What it does
    /// Finds two allow rules that share some request and differ in limits or approval, and says which applies. Decided
    /// exactly.
    ///
    /// ## Why is this bad?
    /// Of limits the smallest applies, so a longer timeout has no effect where both speak. Of approvals the easier way
    /// applies: a rule without one makes the other's approval idle.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**", slow: "tests/slow/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, limits: {timeout: 60s}}
    ///   - {id: run-slow, allow: pytest.run, within: slow, limits: {timeout: 30m}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/unit/**", slow: "tests/slow/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, limits: {timeout: 60s}}
    ///   - {id: run-slow, allow: pytest.run, within: slow, limits: {timeout: 30m}}
    /// ```
    pub(super) static UNEQUAL_LIMITS = { code: "L206", name: "unequal-limits", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules: Vec<_> = subject.rules().collect();
    for (first, second, witness) in &subject.exact().unequal {
        let (Some(first), Some(second)) = (rules.get(*first), rules.get(*second)) else {
            continue;
        };
        let message = format!(
            "rule `{}` and rule `{}` on line {} allow the same on different terms: {}",
            second.written.id,
            first.written.id,
            first.written.at.line,
            which(*first, *second)
        );
        out.at(second.written.at, message, |d| {
            d.help("keep their scopes apart, or give both the same terms")
                .related(first.written.at, "allows it too");
            if let Some(witness) = witness {
                d.witness(witness.clone());
            }
        });
    }
}

/// Which of the terms apply where both speak.
fn which(first: RuleView<'_>, second: RuleView<'_>) -> String {
    let approval =
        |rule: RuleView<'_>| rule.written.approval.as_ref().map(|(name, _)| name.clone());
    match (approval(first), approval(second)) {
        (Some(name), None) => format!(
            "`{}` needs no approval, so `{name}` is not needed",
            second.written.id
        ),
        (None, Some(name)) => format!(
            "`{}` needs no approval, so `{name}` is not needed",
            first.written.id
        ),
        (Some(a), Some(b)) if a != b => format!("either approval, `{a}` or `{b}`, is enough"),
        _ => {
            let timeouts = (
                first.written.terms.limits.timeout,
                second.written.terms.limits.timeout,
            );
            match timeouts {
                (Some(a), Some(b)) if a != b => {
                    format!("the timeout is {:?}, the smaller one", a.min(b))
                }
                _ => "of each limit the smaller one applies".to_owned(),
            }
        }
    }
}
