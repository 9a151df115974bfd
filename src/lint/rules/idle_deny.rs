//! L202: a deny rule that meets no allow.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds deny rules about nothing that any rule allows. Decided exactly, over all paths.
    ///
    /// ## Why is this bad?
    /// What is not allowed is denied anyway. Such a rule is a belt over braces, or its pattern misses what it was meant for.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", secrets: "secret/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", secrets: "docs/secret/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    pub(super) static IDLE_DENY = { code: "L202", name: "idle-deny", level: Info, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules: Vec<_> = subject.rules().collect();
    for rule in subject
        .exact()
        .idle
        .iter()
        .filter_map(|nth| rules.get(*nth))
    {
        let message = format!(
            "rule `{}` denies nothing that any rule allows",
            rule.written.id
        );
        out.at(rule.written.at, message, |d| {
            d.help("look whether its scope is spelled as it was meant; what is not allowed is denied without it");
        });
    }
}
