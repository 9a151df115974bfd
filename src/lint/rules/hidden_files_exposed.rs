//! G110: an allow that reaches files which decide what other programs do.

#![forbid(unsafe_code)]

use super::reach;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds allow rules that let `.env` files or `.ssh` be read or written, or let git's own files (`.gitattributes`,
    /// `.gitmodules`), hooks and the configuration of CI be written, with no deny over them.
    ///
    /// ## Why is this bad?
    /// A broad pattern takes hidden names like any other. Who can write `.github/workflows/ci.yml` runs programs on the CI
    /// machine, with its secrets; who can write `.gitattributes` runs them with the next `git diff`.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {repo: "**"}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: repo}
    /// ```
    ///
    /// ## When it stays silent
    /// Where the rule does not hold such files, or a deny or ask rule covers them:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {repo: "**", hidden: ["**/.git*/**", "**/.env*", "**/.ssh/**", ".husky/**", ".circleci/**", ".travis.yml", "azure-pipelines.yml", "Jenkinsfile"]}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: repo}
    ///   - {id: no-hidden, deny: "*", touching: hidden}
    /// ```
    pub(super) static HIDDEN_FILES_EXPOSED = { code: "G110", name: "hidden-files-exposed", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules: Vec<_> = subject.rules().collect();
    for (nth, reached) in &subject.hidden().by_rule {
        let Some(rule) = rules.get(*nth) else {
            continue;
        };
        // A secret is a finding of its own, G119.
        let is_secret = |pattern: &str| {
            let mut secrets = subject.secrets().by_rule.iter();
            secrets.any(|(other, found)| {
                other == nth
                    && found.access == reached.access
                    && found
                        .found
                        .iter()
                        .any(|(place, _)| place.pattern == pattern)
            })
        };
        let reached = &reached.without(is_secret);
        if reached.found.is_empty() {
            continue;
        }
        let verb = reach::verb(reached.access);
        let message = format!(
            "rule `{}` lets {} be {verb}, and no rule denies it",
            rule.written.id,
            reached.listed(3)
        );
        out.at(rule.written.at, message, |d| {
            d.help("add a deny rule that touches them: it holds over every allow")
                .fix(reach::deny_fix(
                    subject,
                    "no-hidden-files",
                    &reached.patterns(),
                ));
            d.witness = reached.witness();
        });
    }
}
