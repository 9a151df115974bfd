//! X306: an approval that the approved program gets to see.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::model::ApprovalKind;
use crate::policy::source::Node;

declare_rule! {
    /// ## What it does
    /// Finds the variable of an approval in `inherit`, `unsafe_inherit` or `set`.
    ///
    /// ## Why is this bad?
    /// The switch says that a person agreed to one thing. A program that sees it can pass it on, and look approved itself.
    /// Lictor never passes it, so the entry does nothing but mislead.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// approvals: {council: {env: TESTS_ENABLED}}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, approval: council, env: {inherit: [CI, TESTS_ENABLED]}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// approvals: {council: {env: TESTS_ENABLED}}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, approval: council, env: {inherit: [CI]}}
    /// ```
    pub(super) static APPROVAL_VISIBLE = { code: "X306", name: "approval-visible", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let switches: Vec<(&str, &str)> = subject
        .model
        .approvals
        .iter()
        .filter_map(|approval| match &approval.kind {
            ApprovalKind::Switch { variable, .. } => {
                Some((approval.name.as_str(), variable.as_str()))
            }
            ApprovalKind::Grant { .. } => None,
        })
        .collect();
    let rules = subject.rules().map(|rule| rule.node);
    let holders = rules.chain(yaml::get(&subject.root, "defaults"));
    for env in holders.filter_map(|node| yaml::get(node, "env")) {
        for key in ["inherit", "unsafe_inherit"] {
            let Some(list) = yaml::get(env, key) else {
                continue;
            };
            for (nth, item) in yaml::items(list).iter().enumerate() {
                inherited(subject, &switches, list, nth, item, key, out);
            }
        }
        for (name, _) in yaml::get(env, "set").into_iter().flat_map(yaml::entries) {
            let text = yaml::text(name).unwrap_or("");
            if let Some((approval, _)) = switches.iter().find(|(_, variable)| *variable == text) {
                out.at(
                    name.at,
                    format!("`set` names `{text}`, the switch of the approval `{approval}`"),
                    |d| {
                        d.help("take it out: what is approved must not be able to look approved");
                    },
                );
            }
        }
    }
}

fn inherited(
    subject: &Subject<'_>,
    switches: &[(&str, &str)],
    list: &Node,
    nth: usize,
    item: &Node,
    key: &str,
    out: &mut Findings<'_>,
) {
    let text = yaml::text(item).unwrap_or("");
    let covers = |variable: &str| match text.strip_suffix('*') {
        Some(stem) => variable.starts_with(stem),
        None => variable == text,
    };
    let Some((approval, variable)) = switches.iter().find(|(_, variable)| covers(variable)) else {
        return;
    };
    let message = format!("`{key}` names `{variable}`, the switch of the approval `{approval}`");
    out.at(item.at, message, |d| {
        d.help("take it out: it is never passed on, and what is approved must not look approved itself");
        if text == *variable {
            let edit = yaml::remove_item(&subject.text, list, nth);
            d.fix(edit.map(|edit| Fix::new(Safety::Safe, format!("take `{variable}` out"), vec![edit])));
        }
    });
}
