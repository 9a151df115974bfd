//! X309: a claim is all that stands before writing or running.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::policy::model::{Access, ApprovalKind};

declare_rule! {
    /// ## What it does
    /// Finds allow rules that let something be written or a program be run, and that only an environment switch or an actor's
    /// name stands before.
    ///
    /// ## Why is this bad?
    /// Both are claims of whoever starts lictor: an agent that can start it with a variable of its own choosing, or under
    /// another name, has what it takes. A grant made by `lictor approve` is not such a claim.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// approvals: {council: {env: TESTS_ENABLED}}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, approval: council}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// approvals: {council: {grant: true, by: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c alice"]}}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, approval: council}
    /// ```
    pub(super) static CLAIM_ONLY = { code: "X309", name: "claim-only", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for rule in subject.allows() {
        let approval = rule.written.approval.as_ref().and_then(|(name, _)| {
            subject
                .model
                .approvals
                .iter()
                .find(|approval| approval.name == *name)
        });
        let is_granted =
            approval.is_some_and(|known| matches!(known.kind, ApprovalKind::Grant { .. }));
        let switch = approval.and_then(|known| match &known.kind {
            ApprovalKind::Switch { variable, .. } => Some(variable.as_str()),
            ApprovalKind::Grant { .. } => None,
        });
        let actors = rule.written.actors.as_ref();
        if is_granted || (switch.is_none() && actors.is_none()) {
            continue;
        }
        let runs = subject
            .deeds(rule)
            .iter()
            .any(|deed| deed.tool.program.is_some());
        let writes = subject
            .accesses(rule)
            .iter()
            .any(|access| *access != Access::Read);
        if !(runs || writes) {
            continue;
        }
        let claim = match (switch, actors) {
            (Some(variable), _) => format!("the variable `{variable}`"),
            (None, Some(actors)) => format!("the actor's name (`{}`)", actors.join("`, `")),
            (None, None) => continue,
        };
        let what = if runs { "running" } else { "writing" };
        let message = format!(
            "only {claim} stands before what rule `{}` allows, and {what} is at stake",
            rule.written.id
        );
        out.at(rule.written.at, message, |d| {
            d.help("whoever starts lictor sets both; an approval with `grant: true` and `by` is signed by a person");
        });
    }
}
