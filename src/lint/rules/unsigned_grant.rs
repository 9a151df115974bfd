//! X313: a grant that anybody could have made.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::policy::model::ApprovalKind;

declare_rule! {
    /// ## What it does
    /// Finds approvals with `grant: true` and without `by`.
    ///
    /// ## Why is this bad?
    /// Whoever can start `lictor approve` can then make the grant, the agent that asked for it included. With `by`, one of the
    /// named keys must have signed it.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// approvals: {human: {grant: true, max_age: 8h}}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, approval: human}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// approvals: {human: {grant: true, by: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c alice"], max_age: 8h}}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, approval: human}
    /// ```
    pub(super) static UNSIGNED_GRANT = { code: "X313", name: "unsigned-grant", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for approval in &subject.model.approvals {
        if matches!(&approval.kind, ApprovalKind::Grant { by, .. } if by.is_empty()) {
            let message = format!(
                "anybody who can start `lictor approve` can grant `{}`",
                approval.name
            );
            out.at(approval.at, message, |d| {
                d.help("name the keys that must sign it: `by: [\"ssh-ed25519 AAAA… name\"]`");
            });
        }
    }
}
