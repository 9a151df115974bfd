//! G114: a pattern that the others of its list cover.

#![forbid(unsafe_code)]

use crate::analysis::{Answer, PathSet, Space};
use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::Span;
use crate::policy::glob::{Case, Pattern};

declare_rule! {
    /// ## What it does
    /// Finds patterns of which every path is matched by the other patterns of the list.
    ///
    /// ## Why is this bad?
    /// It says nothing, and whoever takes it out to close something has closed nothing.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: ["docs/**", "docs/api/*.md"]}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: ["docs/**", "README.md"]}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    pub(super) static REDUNDANT_PATTERN = { code: "G114", name: "redundant-pattern", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let space = Space::with_workspace(subject.policy.switches());
    let budget = subject.budget();
    for scope in &subject.model.scopes {
        for list in [&scope.include, &scope.exclude] {
            let mut gone: Vec<usize> = Vec::new();
            // The later of two that say the same is the one that goes.
            for (nth, (pattern, at)) in list.iter().enumerate().rev() {
                let others: Vec<&(Pattern, Span)> = list
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != nth && !gone.contains(other))
                    .map(|(_, other)| other)
                    .filter(|(other, _)| begins_alike(other, pattern))
                    .collect();
                let covers = |case| {
                    let whole =
                        PathSet::any(others.iter().map(|(other, _)| PathSet::of(other, case)));
                    space.covers(&whole, &PathSet::of(pattern, case), budget)
                };
                // A scope may be used exactly and folded; it says nothing only if it does in both.
                let is_covered = !others.is_empty()
                    && [Case::Exact, Case::Folded]
                        .into_iter()
                        .all(|case| matches!(covers(case), Answer::Holds));
                if !is_covered {
                    continue;
                }
                gone.push(nth);
                let alone = others.iter().find(|(other, _)| {
                    matches!(
                        space.covers(
                            &PathSet::of(other, Case::Exact),
                            &PathSet::of(pattern, Case::Exact),
                            budget
                        ),
                        Answer::Holds
                    )
                });
                let by = match alone {
                    Some((other, _)) => format!("`{other}` matches"),
                    None => "the other patterns of its list match".to_owned(),
                };
                let message = format!("`{pattern}` adds nothing: {by} all of it");
                out.at(*at, message, |d| {
                    d.help("take it out");
                    if let Some((_, other_at)) = alone {
                        d.related(*other_at, "matches all of it");
                    } else {
                        for (_, other_at) in &others {
                            d.related(*other_at, "matches some of it");
                        }
                    }
                    let edit = list_of(subject, *at)
                        .and_then(|(list, nth)| yaml::remove_item(&subject.text, list, nth));
                    d.fix(edit.map(|edit| {
                        Fix::new(Safety::Safe, format!("take `{pattern}` out"), vec![edit])
                    }));
                });
            }
        }
    }
}

/// The list that an item at a place stands in, and its number there.
fn list_of<'s>(
    subject: &'s Subject<'_>,
    at: Span,
) -> Option<(&'s crate::policy::source::Node, usize)> {
    let scopes = yaml::get(&subject.root, "scopes")?;
    yaml::entries(scopes)
        .flat_map(|(_, scope)| {
            [
                Some(scope),
                yaml::get(scope, "include"),
                yaml::get(scope, "exclude"),
            ]
        })
        .flatten()
        .find_map(|list| {
            let nth = yaml::items(list).iter().position(|item| item.at == at)?;
            Some((list, nth))
        })
}

/// False only if no path is in both.
fn begins_alike(a: &Pattern, b: &Pattern) -> bool {
    let (a, b) = (
        a.literal_prefix().to_lowercase(),
        b.literal_prefix().to_lowercase(),
    );
    a.starts_with(&b) || b.starts_with(&a)
}
