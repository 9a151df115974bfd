//! L215: what could not be decided.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// Tells which question about the policy reached a cap of exact analysis, and which cap.
    ///
    /// ## Why is this bad?
    /// Unknown is not safe: the rule could be dead, needless or wrong, and nobody looked. `lictor lint` then ends with 4.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {odd: ["**/*a*/**/*b*/**/*c*/**/*d*/**/*e*/**/*f*/**/*g*"], keep: ["**/*g*/**/*f*/**/*e*/**/*d*/**/*c*/**/*b*/**/*a*", "**/*[a-m]?[n-z]?[a-m]?[n-z]?*/**/*[n-z]?[a-m]?[n-z]?*"]}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: odd}
    ///   - {id: keep-out, deny: filesystem.read_file, touching: keep}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {code: "src/**/*.rs", keep: "**/*_private*/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: code}
    ///   - {id: keep-out, deny: filesystem.read_file, touching: keep}
    /// ```
    pub(super) static UNKNOWN = { code: "L215", name: "unknown", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let exact = subject.exact().unknown.iter();
    let exposed = subject
        .hidden()
        .unknown
        .iter()
        .chain(&subject.secrets().unknown);
    for (at, what, cap) in exact.chain(exposed) {
        out.at(*at, format!("{what} cannot be decided: {cap}"), |d| {
            d.help("say it with fewer wildcards, or with several rules");
        });
    }
    if let Some(cap) = subject.commands().cut {
        let at = yaml::get(&subject.root, "tools").map_or(subject.root.at, |node| node.at);
        out.at(
            at,
            format!("not every action was tried for command lines of another one: {cap}"),
            |d| {
                d.help("split the policy, or give it fewer actions of one program");
            },
        );
    }
}
