//! G116: a pattern that exact analysis does not come to an end with.

#![forbid(unsafe_code)]

use crate::analysis::{Answer, PathSet, Space};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::policy::glob::{Case, Pattern};

declare_rule! {
    /// ## What it does
    /// Finds patterns with so many wildcards that the question what they cover reaches a cap of exact analysis.
    ///
    /// ## Why is this bad?
    /// Whatever is asked about such a pattern stays unknown: whether an invariant holds, whether a change opens something.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {odd: ["**/*a*/**/*b*/**/*c*/**/*d*/**/*e*/**/*f*/**/*g*", "**/*[a-m]?[n-z]?[a-m]?[n-z]?*/**/*[n-z]?[a-m]?[n-z]?*"]}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: odd}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {code: "src/**/*.rs"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: code}
    /// ```
    pub(super) static COSTLY_PATTERN = { code: "G116", name: "costly-pattern", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let space = Space::with_workspace(subject.policy.switches());
    let budget = subject.budget();
    for scope in &subject.model.scopes {
        for list in [&scope.include, &scope.exclude] {
            for (nth, (pattern, at)) in list.iter().enumerate() {
                if !has_many_wildcards(pattern) {
                    continue;
                }
                let others = list.iter().enumerate().filter(|(other, _)| *other != nth);
                let whole =
                    PathSet::any(others.map(|(_, (other, _))| PathSet::of(other, Case::Folded)));
                if let Answer::Unknown(cap) =
                    space.covers(&whole, &PathSet::of(pattern, Case::Folded), budget)
                {
                    let message = format!("what `{pattern}` covers cannot be decided: {cap}");
                    out.at(*at, message, |d| {
                        d.help("say it with fewer wildcards, or with several patterns");
                    });
                }
            }
        }
    }
}

/// Only these can cost anything.
fn has_many_wildcards(pattern: &Pattern) -> bool {
    pattern.as_str().matches(['*', '?', '[', '{']).count() > 6
}
