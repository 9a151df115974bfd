//! P017: a child allows what a parent that it says to narrow does not.

#![forbid(unsafe_code)]

use crate::analysis::diff;
use crate::lint::exact;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Where `extends` says `narrow: true`: finds what the policy allows and that parent does not, with a request that
    /// shows it. Decided exactly. Rules with `widens: true` are exempt. Such a policy decides nothing: `check` and `run`
    /// refuse it.
    ///
    /// ## Why is this bad?
    /// Whoever wrote the parent relies on nothing more being allowed.
    ///
    /// ## Example
    /// The parent, `base.yaml`, and the child:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read-docs, allow: filesystem.read_file, within: docs}
    /// ```
    /// ```yaml
    /// extends: {file: base.yaml, narrow: true}
    /// use: lictor/files@1
    /// scopes: {guides: ["docs/guide/**", "guide/**"]}
    /// rules:
    ///   - {id: read-guides, allow: filesystem.read_file, within: guides}
    /// ```
    ///
    /// ## When it stays silent
    /// When the parent allows all of it, or the rule says that it widens:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read-docs, allow: filesystem.read_file, within: docs}
    /// ```
    /// ```yaml
    /// extends: {file: base.yaml, narrow: true}
    /// use: lictor/files@1
    /// scopes: {guides: "docs/guide/**", notes: "notes/**"}
    /// rules:
    ///   - {id: read-guides, allow: filesystem.read_file, within: guides}
    ///   - {id: read-notes, allow: filesystem.read_file, within: notes, widens: true}
    /// ```
    pub(super) static WIDENING_CHILD = { code: "P017", name: "widening-child", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let Some(narrow) = subject.policy.narrow() else {
        return;
    };
    for parent in &narrow.parents {
        let budget = subject.budget();
        let diff = diff::diff(&parent.parent, &narrow.child, budget);
        for change in diff.changes.iter().filter(|change| change.kind.may_allow()) {
            let rule = change
                .after
                .decision
                .rules()
                .first()
                .map(|rule| rule.id.as_str());
            let at = subject
                .rules()
                .find(|known| Some(known.written.id.as_str()) == rule)
                .map_or(parent.at, |known| known.written.at);
            let message = format!(
                "{}.{} is allowed where `{}`, which is to be narrowed, does not allow it",
                change.tool,
                change.action,
                parent.name.escape_debug()
            );
            out.at(at, message, |d| {
                d.help("narrow the rule, or say `widens: true` on it: its decisions then name it");
                let shows = format!(
                    "is allowed by `{}`, and not by the parent",
                    rule.unwrap_or("no rule")
                );
                if let Some(witness) = exact::shown(&change.after, &shows) {
                    d.witness(witness);
                }
            });
        }
        for setting in diff.settings.iter().filter(|setting| setting.may_widen()) {
            let message = format!(
                "`{}` is `{}` here, and `{}` in `{}`, which is to be narrowed",
                setting.key,
                setting.after,
                setting.before,
                parent.name.escape_debug()
            );
            out.at(parent.at, message, |d| {
                d.help("leave it as the parent has it");
            });
        }
        for cap in &diff.unknown {
            let message = format!(
                "whether `{}` is narrowed cannot be decided: {cap}",
                parent.name.escape_debug()
            );
            out.at(parent.at, message, |d| {
                d.help("say it with fewer wildcards, or take `narrow` out");
            });
        }
    }
}
