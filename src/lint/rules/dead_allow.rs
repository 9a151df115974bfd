//! L201: an allow rule that never decides.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::Witness;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::samples;
use crate::lint::subject::{RuleView, Subject};

declare_rule! {
    /// ## What it does
    /// Finds allow rules of which every path is denied by other rules, or asked about with nothing that lifts it. Decided
    /// exactly, over all paths.
    ///
    /// ## Why is this bad?
    /// The reader believes that something is permitted, and will widen the wrong rule.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", drafts: "docs/drafts/*.md"}
    /// rules:
    ///   - {id: drafts, allow: filesystem.read_file, within: drafts}
    ///   - {id: no-docs, deny: filesystem.read_file, touching: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// When the rules name different actions or actors, or the denies leave some path over:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", drafts: "docs/drafts/*.md"}
    /// rules:
    ///   - {id: drafts, allow: filesystem.read_file, within: drafts}
    ///   - {id: no-docs, deny: filesystem.write_file, touching: docs}
    /// ```
    pub(super) static DEAD_ALLOW = { code: "L201", name: "dead-allow", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules: Vec<_> = subject.rules().collect();
    for dead in &subject.exact().dead {
        let Some(rule) = rules.get(dead.rule) else {
            continue;
        };
        let over: Vec<&RuleView<'_>> = rules
            .iter()
            .filter(|other| dead.over.contains(&other.written.id))
            .collect();
        let named: Vec<String> = over
            .iter()
            .map(|other| format!("`{}` on line {}", other.written.id, other.written.at.line))
            .collect();
        let because = match named.as_slice() {
            [] => "what it allows is denied by what is compiled in".to_owned(),
            [one] => format!("rule {one} keeps all of it out"),
            _ => format!("rules {} together keep all of it out", named.join(", ")),
        };
        let message = format!(
            "rule `{}` can never allow anything: {because}",
            rule.written.id
        );
        let witness = example(subject, *rule);
        out.at(rule.written.at, message, |d| {
            d.help(match over.first() {
                Some(first) => format!(
                    "exclude what it is about from the scope of `{}`, or delete this rule",
                    first.written.id
                ),
                None => "delete this rule".to_owned(),
            });
            for other in over {
                d.related(other.written.at, "keeps it out");
            }
            if let Some(witness) = witness {
                d.witness(witness);
            }
        });
    }
}

/// An ordinary path that the rule is about, and how it is decided.
fn example(subject: &Subject<'_>, rule: RuleView<'_>) -> Option<Witness> {
    for deed in subject.deeds(rule) {
        for (argument, _) in deed.paths() {
            for scope in subject.scopes_of(rule.written, deed.number, &argument.name) {
                for (pattern, _) in &scope.include {
                    let path = samples::sample(pattern);
                    if !samples::holds(subject, rule.written, deed.number, &argument.name, &path) {
                        continue;
                    }
                    let request = samples::request(
                        subject,
                        rule.written,
                        deed,
                        Some((&argument.name, &path)),
                    )?;
                    let decision = samples::decided(subject, &request);
                    let by: Vec<_> = decision
                        .rules()
                        .iter()
                        .map(|rule| format!("`{}`", rule.id))
                        .collect();
                    if by.is_empty() {
                        continue;
                    }
                    let shows = match decision.effect() {
                        crate::decision::Effect::Allow => continue,
                        crate::decision::Effect::Ask => {
                            format!("is asked about by {}", by.join(", "))
                        }
                        crate::decision::Effect::Deny => format!("is denied by {}", by.join(", ")),
                    };
                    return Some(Witness {
                        path: Some(path),
                        request: Some(request),
                        argv: None,
                        shows,
                    });
                }
            }
        }
    }
    None
}
