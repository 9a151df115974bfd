//! L204: a rule that changes nothing.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Edit, Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{RuleView, Subject};
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// Finds rules without which every request is decided alike: the same effect, limits and approvals. Decided exactly.
    ///
    /// ## Why is this bad?
    /// Whoever takes the other rule out to close something finds it still open.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", api: "docs/api/**"}
    /// rules:
    ///   - {id: read-docs, allow: filesystem.read_file, within: docs}
    ///   - {id: read-api, allow: filesystem.read_file, within: api}
    /// ```
    ///
    /// ## When it stays silent
    /// When the rules differ in limits, approval or actors, or one allows more:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", api: "api/**"}
    /// rules:
    ///   - {id: read-docs, allow: filesystem.read_file, within: docs}
    ///   - {id: read-api, allow: filesystem.read_file, within: api}
    /// ```
    pub(super) static REDUNDANT_RULE = { code: "L204", name: "redundant-rule", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules: Vec<_> = subject.rules().collect();
    for rule in subject
        .exact()
        .redundant
        .iter()
        .filter_map(|nth| rules.get(*nth))
    {
        let covering: Vec<&RuleView<'_>> = rules
            .iter()
            .filter(|other| {
                other.written.id != rule.written.id && other.written.effect == rule.written.effect
            })
            .filter(|other| covers(subject, **other, *rule))
            .collect();
        let named: Vec<String> = covering
            .iter()
            .map(|other| format!("`{}` on line {}", other.written.id, other.written.at.line))
            .collect();
        let because = match named.as_slice() {
            [] => "every request is decided alike without it".to_owned(),
            [one] => format!("rule {one} says all of it"),
            _ => format!("rules {} say all of it", named.join(", ")),
        };
        let message = format!("rule `{}` changes nothing: {because}", rule.written.id);
        out.at(rule.written.at, message, |d| {
            d.help("take it out");
            for other in &covering {
                d.related(other.written.at, "says the same");
            }
            let edit = without(subject, *rule);
            d.fix(edit.map(|edit| {
                Fix::new(
                    Safety::Safe,
                    format!("take rule `{}` out", rule.written.id),
                    vec![edit],
                )
            }));
        });
    }
}

/// Returns true if the other rule alone speaks about all that the rule does.
fn covers(subject: &Subject<'_>, other: RuleView<'_>, rule: RuleView<'_>) -> bool {
    let budget = subject.budget();
    subject
        .analysis()
        .is_inside(&rule.written.id, &other.written.id, budget)
        .holds()
}

/// The lines of the rule, if nothing else stands on them.
fn without(subject: &Subject<'_>, rule: RuleView<'_>) -> Option<Edit> {
    let text = &subject.text;
    let start = yaml::line_start(text, yaml::start(rule.node.at));
    let before = text.get(start..yaml::start(rule.node.at))?;
    // The value of a block mapping may end before its last line does.
    let last = yaml::entries(rule.node)
        .map(|(_, value)| yaml::end(value.at))
        .max()?;
    let end = last.max(yaml::end(rule.node.at));
    let line_end = text.get(end..)?.find('\n').map_or(text.len(), |found| {
        end.saturating_add(found).saturating_add(1)
    });
    let end = if text.get(start..end)?.ends_with('\n') {
        end
    } else {
        line_end
    };
    let tail = text
        .get(last..end)?
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '}' | ']' | '"' | '\''));
    let is_alone =
        before.trim() == "-" && (tail.is_empty() || tail.starts_with('#')) && !tail.contains('\n');
    is_alone.then(|| Edit {
        start,
        end,
        text: String::new(),
    })
}
