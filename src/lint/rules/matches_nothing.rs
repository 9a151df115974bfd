//! G117: a pattern that matches nothing there is.

#![forbid(unsafe_code)]

use std::collections::HashSet;

use crate::lint::diagnostic::{Edit, Fix, Safety};
use crate::lint::misspelt;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::model::Access;

declare_rule! {
    /// ## What it does
    /// Finds patterns of allow rules, and exclusions, that begin with a name which the workspace does not have, and suggests
    /// the nearest one that it has.
    ///
    /// ## Why is this bad?
    /// It is most often a misspelt directory: the rule allows nothing, or what should be kept out is not.
    ///
    /// ## Example
    /// The workspace has `runtime/tests`:
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "runtme/tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    ///
    /// ## When it stays silent
    /// When something matches, the pattern begins with a wildcard, it is about what a deny keeps out or what is still to be
    /// written, or the workspace holds nothing but the policy:
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "runtime/tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    pub(super) static MATCHES_NOTHING = { code: "G117", name: "matches-nothing", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let Some(names) = subject.around.names() else {
        return;
    };
    let own = subject.around.policy_file();
    if names.iter().all(|(name, _)| Some(name.as_str()) == own) {
        return;
    }
    let read = read_scopes(subject);
    for scope in &subject.model.scopes {
        if !read.contains(scope.name.as_str()) {
            continue;
        }
        for (pattern, at) in scope.include.iter().chain(&scope.exclude) {
            let Some(missing) = misspelt::missing(pattern, names) else {
                continue;
            };
            let known = &missing.known;
            let place = if known.is_empty() {
                "the workspace".to_owned()
            } else {
                format!("`{known}`")
            };
            let message = format!("nothing in the workspace matches `{pattern}`");
            let correct = missing.corrected(pattern);
            out.at(*at, message, |d| match (correct, &missing.name) {
                (Some(correct), _) => {
                    d.help(format!("did you mean `{correct}`?")).fix(Fix::new(
                        Safety::Suggested,
                        format!("write `{correct}`"),
                        vec![Edit::replace(*at, yaml::quoted(&correct))],
                    ));
                }
                (None, Some(name)) => {
                    d.help(format!("there is no `{name}` in {place}"));
                }
                (None, None) => {
                    d.help(format!("{place} has no such files"));
                }
            });
        }
    }
}

/// The scopes below which some rule lets something be read. What is only written may still be to be written.
fn read_scopes<'s>(subject: &'s Subject<'_>) -> HashSet<&'s str> {
    let mut read = HashSet::new();
    for rule in subject.allows() {
        for deed in subject.deeds(rule) {
            for (argument, _) in deed
                .paths()
                .filter(|(_, kind)| kind.access != Access::Write)
            {
                let scopes = subject.scopes_of(rule.written, deed.number, &argument.name);
                read.extend(scopes.iter().map(|scope| scope.name.as_str()));
            }
        }
    }
    read
}
