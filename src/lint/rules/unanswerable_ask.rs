//! L208: a question about a program's run that nothing can answer.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::policy::model::RuleEffect;

declare_rule! {
    /// ## What it does
    /// Finds ask rules without `approval` about actions that a program performs.
    ///
    /// ## Why is this bad?
    /// Lictor starts the program, and a person's yes reaches it as an approval only. Without one the action is asked about
    /// each time and never runs. An action that the host performs is different: there the host asks, and acts.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/npm@1
    /// rules:
    ///   - {id: install, allow: npm.ci}
    ///   - {id: confirm, ask: npm.ci}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/npm@1
    /// approvals: {person: {grant: true, by: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c alice"], max_age: 8h}}
    /// rules:
    ///   - {id: install, allow: npm.ci}
    ///   - {id: confirm, ask: npm.ci, approval: person}
    /// ```
    pub(super) static UNANSWERABLE_ASK = { code: "L208", name: "unanswerable-ask", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let asks = subject
        .rules()
        .filter(|rule| rule.written.effect == RuleEffect::Ask && rule.written.approval.is_none());
    for rule in asks {
        let deeds = subject.deeds(rule);
        let run = deeds.iter().find(|deed| deed.tool.program.is_some());
        let Some(deed) = run else { continue };
        let message = format!(
            "rule `{}` asks about `{}`, which lictor runs, and names no approval: nothing answers it, and the action never runs",
            rule.written.id,
            deed.name()
        );
        out.at(rule.written.at, message, |d| {
            d.help("declare one, `approvals: {person: {grant: true, by: [KEY], max_age: 8h}}`, and add `approval: person` to the rule");
        });
    }
}
