//! T401: a rule that no test of the policy shows at work.

#![forbid(unsafe_code)]

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
    for rule in subject
        .rules()
        .filter(|rule| untested.contains(&rule.written.id))
    {
        let message = format!("no test shows rule `{}` at work", rule.written.id);
        out.at(rule.written.at, message, |d| {
            let generated = subject.generated();
            if let Some((test, edit)) = generated.test_for(PointKind::Rule, &rule.written.id) {
                d.help(format!("add a test that it decides, for example: - {test}"));
                d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "add a test", vec![edit])));
                return;
            }
            match generated.left(PointKind::Rule, &rule.written.id) {
                Some(left) if !left.is_unknown => d.help(format!("none can: {}", left.why)),
                Some(_) | None => d.help("add a test that it decides"),
            };
        });
    }
}
