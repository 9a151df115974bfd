//! L205: an allow and a deny that cut into each other.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds an allow and a deny rule that share some paths while neither lies inside the other. Decided exactly.
    ///
    /// ## Why is this bad?
    /// It is often meant; and it is where a reader who looks at one of the two rules gets the other half wrong.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", private: ["docs/private/**", "notes/**"]}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    ///   - {id: no-private, deny: "*", touching: private}
    /// ```
    ///
    /// ## When it stays silent
    /// When one lies inside the other, or the deny is about names wherever they lie (its patterns begin with `**`), or about
    /// an action outright:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", private: "docs/private/**", secrets: "**/.env*"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    ///   - {id: no-private, deny: filesystem.read_file, touching: private}
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    pub(super) static PARTIAL_OVERLAP = { code: "L205", name: "partial-overlap", level: Info, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules: Vec<_> = subject.rules().collect();
    let partial = &subject.exact().partial;
    for (nth, deny) in rules.iter().enumerate() {
        let cut: Vec<_> = partial
            .iter()
            .filter(|(_, of, _)| *of == nth)
            .filter_map(|(allow, _, witness)| Some((rules.get(*allow)?, witness)))
            .collect();
        let Some((_, witness)) = cut.first() else {
            continue;
        };
        let named: Vec<_> = cut
            .iter()
            .map(|(allow, _)| format!("`{}` on line {}", allow.written.id, allow.written.at.line))
            .collect();
        let message = format!(
            "rule `{}` denies a part of what is allowed, and more besides: by {}",
            deny.written.id,
            named.join(", ")
        );
        out.at(deny.written.at, message, |d| {
            d.help("nothing to do if that is meant: the deny holds wherever both are about a path");
            for (allow, _) in &cut {
                d.related(allow.written.at, "allows the rest");
            }
            if let Some(witness) = witness {
                d.witness(witness.clone());
            }
        });
    }
}
