//! X310: what is written is kept in by whatever containment happens to work.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::model::Access;
use crate::policy::terms::Containment;

declare_rule! {
    /// ## What it does
    /// Finds allow rules that start a program with a write scope, and state no least `containment`, nor does `defaults`.
    ///
    /// ## Why is this bad?
    /// On a machine without the stronger levels the run is then contained by a weaker one, and what it leaves behind may go on
    /// writing. The evidence says which level it was; the policy does not insist.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**", reports: "reports/*.xml"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: {target: tests, junit: reports}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**", reports: "reports/*.xml"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: {target: tests, junit: reports}, containment: cgroup}
    /// ```
    pub(super) static CONTAINMENT_OPTIONAL = { code: "X310", name: "containment-optional", level: Info, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for rule in subject.allows() {
        let deeds = subject.deeds(rule);
        let writes = deeds
            .iter()
            .filter(|deed| deed.tool.program.is_some())
            .any(|deed| {
                deed.paths().any(|(argument, kind)| {
                    kind.access == Access::Write
                        && !subject
                            .scopes_of(rule.written, deed.number, &argument.name)
                            .is_empty()
                })
            });
        let confined = subject
            .confine(rule.written)
            .and_then(|confine| confine.write.as_ref());
        let runs = deeds.iter().any(|deed| deed.tool.program.is_some());
        if !(writes || runs && confined.is_some_and(|scopes| !scopes.is_empty())) {
            continue;
        }
        let stated = rule
            .written
            .terms
            .containment
            .or(subject.model.defaults.containment);
        if !matches!(stated, None | Some(Containment::Auto)) {
            continue;
        }
        let message = format!(
            "rule `{}` lets a program write, and insists on no containment",
            rule.written.id
        );
        out.at(rule.written.at, message, |d| {
            d.help("write the least level that is acceptable, for example `containment: cgroup`");
            let edit = (yaml::get(rule.node, "containment").is_none())
                .then(|| yaml::insert_after(&subject.text, rule.node, "id", "containment: cgroup"));
            d.fix(edit.flatten().map(|edit| {
                Fix::new(Safety::Suggested, "write `containment: cgroup`", vec![edit])
            }));
        });
    }
}
