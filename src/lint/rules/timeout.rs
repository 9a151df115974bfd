//! X305: how long a program may run is left open.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::terms::{DEFAULT_GRACE, DEFAULT_TIMEOUT};

declare_rule! {
    /// ## What it does
    /// Finds allow rules for programs without a timeout of their own or in `defaults`, and a grace that is not shorter than
    /// the timeout. More than 24h is refused when the policy is loaded.
    ///
    /// ## Why is this bad?
    /// The built-in five minutes then apply, which is too long for `git status` and too short for a build: the reader cannot
    /// see what was meant. A grace as long as the timeout doubles it.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, limits: {timeout: 120s}}
    /// ```
    pub(super) static TIMEOUT = { code: "X305", name: "timeout", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let defaults = &subject.model.defaults.limits;
    for rule in subject.allows() {
        let program = subject
            .deeds(rule)
            .into_iter()
            .find_map(|deed| deed.tool.program.as_deref());
        let Some(program) = program else { continue };
        let limits = &rule.written.terms.limits;
        let timeout = limits.timeout.or(defaults.timeout);
        if timeout.is_none() {
            let message = format!(
                "rule `{}` lets `{}` run without a timeout of its own",
                rule.written.id,
                program.escape_debug()
            );
            out.at(rule.written.at, message, |d| {
                let built_in = DEFAULT_TIMEOUT.as_secs();
                d.help(format!(
                    "write `limits: {{timeout: …}}`; without it the built-in {built_in}s apply"
                ));
                let has_limits = yaml::get(rule.node, "limits").is_some();
                let added = format!("limits: {{timeout: {built_in}s}}");
                let edit = (!has_limits)
                    .then(|| yaml::insert_after(&subject.text, rule.node, "id", &added));
                d.fix(edit.flatten().map(|edit| {
                    Fix::new(Safety::Suggested, format!("write `{added}`"), vec![edit])
                }));
            });
        }
        let grace = limits.grace.or(defaults.grace).unwrap_or(DEFAULT_GRACE);
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        if grace >= timeout {
            let at = yaml::get(rule.node, "limits").map_or(rule.written.at, |node| {
                yaml::get(node, "grace")
                    .or_else(|| yaml::get(node, "timeout"))
                    .map_or(node.at, |value| value.at)
            });
            let message = format!(
                "rule `{}` waits as long after the timeout as before: grace {grace:?}, timeout {timeout:?}",
                rule.written.id
            );
            out.at(at, message, |d| {
                d.help("a few seconds of grace are enough to flush what is buffered");
            });
        }
    }
}
