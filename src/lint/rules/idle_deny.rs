//! L202: a deny rule that meets no allow.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::Level;
use crate::lint::misspelt;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{Subject, scope_names};
use crate::policy::model::Rule;
use crate::policy::nearest;

declare_rule! {
    /// ## What it does
    /// Finds deny rules about nothing that any rule allows. Decided exactly, over all paths. It is a warning where a
    /// pattern names what the workspace does not have, or an actor what no other rule has, and something much alike is there.
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
        let meant =
            meant_pattern(subject, rule.written).or_else(|| meant_actor(subject, rule.written));
        out.at(rule.written.at, message, |d| match meant {
            Some(meant) => {
                d.level(Level::Warning)
                    .help(format!("did you mean `{meant}`? What is not allowed is denied without this rule"));
            }
            None => {
                d.help("look whether its scope is spelled as it was meant; what is not allowed is denied without it");
            }
        });
    }
}

/// The pattern that was probably meant, of one that names what is not there.
fn meant_pattern(subject: &Subject<'_>, rule: &Rule) -> Option<String> {
    let names = subject.around.names()?;
    let used = scope_names(rule);
    let scopes = subject.model.scopes.iter();
    let mut patterns = scopes
        .filter(|scope| used.contains(&scope.name.as_str()))
        .flat_map(|scope| &scope.include);
    patterns.find_map(|(pattern, _)| misspelt::missing(pattern, names)?.corrected(pattern))
}

/// The actor that was probably meant, of one that no other rule is about.
fn meant_actor(subject: &Subject<'_>, rule: &Rule) -> Option<String> {
    let others = subject
        .model
        .rules
        .iter()
        .filter(|other| other.id != rule.id);
    let others: Vec<&str> = others
        .flat_map(|other| other.actors.iter().flatten())
        .map(String::as_str)
        .collect();
    let mut actors = rule.actors.iter().flatten();
    let meant = actors.find_map(|actor| match others.contains(&actor.as_str()) {
        true => None,
        false => nearest(actor, others.iter().copied()),
    });
    meant.map(str::to_owned)
}
