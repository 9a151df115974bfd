//! T404: a test that a typing mistake would pass.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::model::Test;

declare_rule! {
    /// ## What it does
    /// Finds tests that expect `deny` and neither a `rule` nor a `reason`.
    ///
    /// ## Why is this bad?
    /// Everything that is not understood is denied: a misspelt tool, a wrong flag, a path with a blank. Such a test passes
    /// whatever is wrong, so it shows nothing.
    ///
    /// ## Example
    /// ```yaml
    /// tests:
    ///   - {run: [cat, .env], expect: deny}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tests:
    ///   - {run: [cat, .env], expect: deny, reason: TOOL_NOT_ALLOWED}
    /// ```
    pub(super) static EXPECTS_NOTHING = { code: "T404", name: "expects-nothing", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let nodes = yaml::get(&subject.root, "tests").map_or(&[][..], yaml::items);
    for ((test, outcome), node) in subject.model.tests.iter().zip(&subject.tests).zip(nodes) {
        let is_bare =
            |test: &Test| test.expect == "deny" && test.rule.is_none() && test.reason.is_none();
        if !is_bare(test) {
            continue;
        }
        let reason = outcome.decision.reason().filter(|_| outcome.passed());
        out.at(
            test.at,
            "any denial passes this test, also one for a typing mistake",
            |d| match reason {
                Some(reason) => {
                    d.help(format!("say why it is denied: `reason: {reason}`"));
                    let edit = yaml::insert_after(
                        &subject.text,
                        node,
                        "expect",
                        &format!("reason: {reason}"),
                    );
                    d.fix(edit.map(|edit| {
                        Fix::new(
                            Safety::Suggested,
                            format!("write `reason: {reason}`"),
                            vec![edit],
                        )
                    }));
                }
                None => {
                    d.help("say why it is denied, with `reason` or `rule`");
                }
            },
        );
    }
}
