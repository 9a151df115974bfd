//! L213: something is allowed that was not.

#![forbid(unsafe_code)]

use crate::analysis::diff::{self, Kind};
use crate::lint::exact;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// With `--baseline FILE`: finds everything that the policy allows and the one in FILE does not, with a request that
    /// shows it. Decided exactly, as `lictor diff` does.
    ///
    /// ## Why is this bad?
    /// A change that only was to tidy up has opened something.
    ///
    /// ## Example
    /// The baseline, and what became of it:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/*.md"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// When the change only takes away, or says the same in other words:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/*.md"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    pub(super) static NEW_ACCESS = { code: "L213", name: "new-access", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let Some(baseline) = subject.options.baseline else {
        return;
    };
    let budget = subject.budget();
    let top = yaml::entry(&subject.root, "rules").map_or(subject.root.at, |(key, _)| key.at);
    let diff = diff::diff(baseline, subject.policy, budget);
    for change in diff
        .changes
        .iter()
        .filter(|change| change.kind == Kind::NewlyAllowed)
    {
        let rule = change
            .after
            .decision
            .rules()
            .first()
            .map(|rule| rule.id.clone());
        let at = subject
            .rules()
            .find(|known| Some(&known.written.id) == rule.as_ref())
            .map_or(top, |known| known.written.at);
        let was = change.before.decision.effect().word();
        let message = format!(
            "{}.{} is allowed where it was not in the baseline",
            change.tool, change.action
        );
        out.at(at, message, |d| {
            d.help("narrow the rule, or accept the change by making this policy the baseline");
            let shows = match was {
                "ask" => "was asked about, and is allowed now".to_owned(),
                _ => format!(
                    "was denied, and is allowed now by `{}`",
                    rule.as_deref().unwrap_or("no rule")
                ),
            };
            if let Some(witness) = exact::shown(&change.after, &shows) {
                d.witness(witness);
            }
        });
    }
    for cap in &diff.unknown {
        out.at(
            top,
            format!("whether something is newly allowed cannot be decided: {cap}"),
            |d| {
                d.help("say it with fewer wildcards, or compare with a policy that differs less");
            },
        );
    }
}
