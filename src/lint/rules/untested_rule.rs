//! T401: a rule that no test of the policy shows at work.

#![forbid(unsafe_code)]

use super::reach;
use crate::lint::coverage::{self, PointKind};
use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds rules that decide none of the policy's own tests, and offers a test. `lictor test --generate` offers all that are missing.
    ///
    /// ## Why is this bad?
    /// A rule that no test shows at work can stop working, or be taken out, without anybody noticing.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// tests:
    ///   - {tool: filesystem, action: read_file, args: {path: docs/a.md}, expect: allow, rule: read}
    /// ```
    pub(super) static UNTESTED_RULE = { code: "T401", name: "untested-rule", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let untested = coverage::untested_rules(subject.policy, &subject.tests);
    let rules: Vec<_> = subject
        .rules()
        .filter(|rule| untested.contains(&rule.written.id))
        .collect();
    let Some(first) = rules.first() else { return };
    let names: Vec<&str> = rules.iter().map(|rule| rule.written.id.as_str()).collect();
    let message = match names.as_slice() {
        [one] => format!("no test shows rule `{one}` at work"),
        several => format!(
            "no test shows {} of {} rules at work: {}",
            several.len(),
            subject.model.rules.len(),
            reach::few(several)
        ),
    };
    out.at(first.written.at, message, |d| {
        let generated = subject.generated();
        if let Some((test, edit)) = generated.tests_for(PointKind::Rule, &names) {
            d.help(format!(
                "add a test that it decides, for example: - {test}{}",
                reach::others(&names)
            ));
            d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "add tests", vec![edit])));
            return;
        }
        match generated.left(PointKind::Rule, &first.written.id) {
            Some(left) if !left.is_unknown => d.help(format!("none can: {}", left.why)),
            Some(_) | None => d.help("add a test that it decides"),
        };
    });
}
