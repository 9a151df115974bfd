//! G119: an allow that reaches well-known secrets.

#![forbid(unsafe_code)]

use super::reach;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds allow rules that let well-known places of secrets be read or written, with no deny over them: `.env` files,
    /// private keys, the credentials of cloud, registry and container tools. A path that reaches one is shown.
    ///
    /// ## Why is this bad?
    /// Secrets that an agent has read are in its context, in logs and perhaps elsewhere. A deny that names `.env` at the top
    /// does not hold for `app/.env.local`, and one for `*.pem` not for `certs/server.pem`.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {repo: "**", secrets: [".env", "*.pem"]}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: repo}
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes:
    ///   repo: "**"
    ///   secrets: ["**/.env*", "**/*.pem", "**/*.key", "**/id_*", "**/.ssh/**", "**/.aws/**", "**/.netrc", "**/.npmrc", "**/.pypirc"]
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: repo}
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    pub(super) static SECRETS_UNPROTECTED = { code: "G119", name: "secrets-unprotected", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules: Vec<_> = subject.rules().collect();
    for (nth, reached) in &subject.secrets().by_rule {
        let Some(rule) = rules.get(*nth) else {
            continue;
        };
        let message = format!(
            "rule `{}` lets secrets be {}: {}, and no rule denies it",
            rule.written.id,
            reach::verb(reached.access),
            reached.listed(3)
        );
        out.at(rule.written.at, message, |d| {
            let patterns = reached.patterns();
            let patterns: Vec<String> = patterns.iter().map(|text| format!("`{text}`")).collect();
            let patterns = patterns.join(", ");
            d.help(format!(
                "add a deny rule that touches them, wherever they lie: {patterns}"
            ))
            .fix(reach::deny_fix(subject, "no-secrets", &reached.patterns()));
            d.witness = reached.witness();
        });
    }
}
