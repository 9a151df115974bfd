//! G111: names that are one on a disk which ignores case, and two to a rule.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::lint::diagnostic::Witness;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::samples;
use crate::lint::subject::{RuleView, Subject, scope_names};
use crate::policy::Span;
use crate::policy::casefold::fold_text;
use crate::policy::glob::{Pattern, Segment};
use crate::policy::model::RuleEffect;

declare_rule! {
    /// ## What it does
    /// Finds an `exclude` of an allow rule's scope that a name in another case walks around, and a deny pattern that differs
    /// from an allow pattern only by case.
    ///
    /// ## Why is this bad?
    /// Deny rules match in every case; allow scopes and their `exclude` are exact. On a disk that ignores case (macOS,
    /// Windows, some mounts) `Secrets/key` is the file `secrets/key`, and the exclusion does not hold. On one that does not,
    /// an allow for `Docs/**` beside a deny for `docs/**` allows nothing, though it looks as if it did. Patterns that differ by
    /// Unicode normal form only are no such hole: one that is not in normal form C is refused when the policy is loaded, and
    /// with `paths: {nfc: ignore}` patterns and paths are normalised before they are compared.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {repo: {include: "**", exclude: "secrets/**"}}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: repo}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {repo: "**", secrets: "secrets/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: repo}
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    pub(super) static CASE_HOLE = { code: "G111", name: "case-hole", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    exclusions(subject, out);
    twins(subject, out);
}

fn exclusions(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let mut users: HashMap<&str, Vec<RuleView<'_>>> = HashMap::new();
    for rule in subject.allows() {
        for name in scope_names(rule.written) {
            users.entry(name).or_default().push(rule);
        }
    }
    for scope in &subject.model.scopes {
        for (pattern, at) in &scope.exclude {
            let plain = samples::sample(pattern);
            let found = in_another_case(pattern)
                .into_iter()
                .filter(|path| !scope.exclude.iter().any(|(other, _)| other.matches(path)))
                .find_map(|path| {
                    Some((
                        allowed_by_some(subject, users.get(scope.name.as_str())?, &path)?,
                        path,
                    ))
                });
            let Some((witness, path)) = found else {
                continue;
            };
            let message = format!(
                "`{pattern}` is excluded only in this case: `{path}` is allowed, and is `{plain}` on a disk that ignores case"
            );
            out.at(*at, message, |d| {
                d.help("write a deny rule that touches it: denies match in every case")
                    .witness(witness);
            });
        }
    }
}

/// Paths of the pattern with one name in another case, the last name first: the names before it are often
/// those of the scope itself.
fn in_another_case(pattern: &Pattern) -> Vec<String> {
    let plain = samples::sample(pattern);
    let mut paths = Vec::new();
    for segment in pattern.segments().iter().rev() {
        let Segment::Literal(name) = segment else {
            continue;
        };
        let names: Vec<String> = plain
            .split('/')
            .map(|part| {
                if part == name {
                    capitalised(name)
                } else {
                    part.to_owned()
                }
            })
            .collect();
        paths.push(names.join("/"));
    }
    paths.push(plain.chars().map(other_case).collect());
    paths.retain(|path| *path != plain);
    paths
}

/// The name as somebody else might write it: `Secrets` for `secrets`, `.ENV` for `.env`.
fn capitalised(name: &str) -> String {
    if name.starts_with(|c: char| !c.is_alphabetic()) {
        return name.chars().map(other_case).collect();
    }
    let mut chars = name.chars();
    let first = chars.next().map(other_case);
    first.into_iter().chain(chars).collect()
}

fn other_case(c: char) -> char {
    if c.is_ascii_lowercase() {
        c.to_ascii_uppercase()
    } else {
        c.to_ascii_lowercase()
    }
}

/// The witness that some of the rules lets the path pass.
fn allowed_by_some(subject: &Subject<'_>, users: &[RuleView<'_>], path: &str) -> Option<Witness> {
    users
        .iter()
        .flat_map(|rule| {
            subject
                .deeds(*rule)
                .into_iter()
                .map(move |deed| (*rule, deed))
        })
        .find_map(|(rule, deed)| {
            deed.paths()
                .find_map(|(argument, _)| samples::allowed(subject, rule, deed, argument, path))
        })
}

fn twins(subject: &Subject<'_>, out: &mut Findings<'_>) {
    // What allows say, by its text in no case: a rule, and each spelling.
    let mut allowed: HashMap<String, Vec<(&str, &Pattern, Span)>> = HashMap::new();
    for allow in subject.allows() {
        for (pattern, at) in subject
            .all_scopes_of(allow.written)
            .into_iter()
            .flat_map(|scope| &scope.include)
        {
            let twins = allowed.entry(fold_text(pattern.as_str())).or_default();
            let id = allow.written.id.as_str();
            // The first of a rule's is enough.
            if !twins
                .iter()
                .any(|(known, other, _)| *known == id && other.as_str() == pattern.as_str())
            {
                twins.push((id, pattern, *at));
            }
        }
    }
    for rule in subject
        .rules()
        .filter(|rule| rule.written.effect == RuleEffect::Deny)
    {
        for scope in subject.all_scopes_of(rule.written) {
            for (pattern, at) in &scope.include {
                let twins = allowed
                    .get(&fold_text(pattern.as_str()))
                    .into_iter()
                    .flatten();
                let mut told: Vec<&str> = Vec::new();
                for (allow, twin, twin_at) in
                    twins.filter(|(_, twin, _)| twin.as_str() != pattern.as_str())
                {
                    if told.contains(allow) {
                        continue;
                    }
                    told.push(allow);
                    let path = samples::sample(twin);
                    let message = format!(
                        "`{pattern}` differs from `{twin}` on line {}, which rule `{allow}` allows, only by case: the deny holds for both",
                        twin_at.line
                    );
                    out.at(*at, message, |d| {
                        d.help("denies match in every case; name the directories so that they differ by more")
                            .related(*twin_at, "the allow that it takes away")
                            .witness(Witness::path(
                                path.clone(),
                                format!("is denied by `{}`, and `{allow}` was meant to allow it", rule.written.id),
                            ));
                    });
                }
            }
        }
    }
}
