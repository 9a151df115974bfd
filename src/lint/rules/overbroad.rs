//! G113: `**` for writing or running.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::samples;
use crate::lint::subject::Subject;
use crate::policy::model::Access;

declare_rule! {
    /// ## What it does
    /// Finds allow rules that let paths be written or run with the pattern `**`: everywhere.
    ///
    /// ## Why is this bad?
    /// Everywhere includes build scripts, hooks, the configuration of CI and what the next run executes. What is written
    /// there is run later, by somebody with more rights.
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
    /// When reading is all that the rule allows, or the pattern names a directory:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {repo: "**", sources: "src/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: repo}
    ///   - {id: edit, allow: filesystem.write_file, within: sources}
    /// ```
    pub(super) static OVERBROAD = { code: "G113", name: "overbroad", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for rule in subject.allows() {
        let found = subject.deeds(rule).into_iter().find_map(|deed| {
            deed.paths()
                .filter(|(_, kind)| kind.access != Access::Read)
                .find_map(|(argument, kind)| {
                    let scope = subject
                        .scopes_of(rule.written, deed.number, &argument.name)
                        .into_iter()
                        .find_map(|scope| {
                            let broad = scope
                                .include
                                .iter()
                                .find(|(pattern, _)| pattern.as_str() == "**")?;
                            Some((scope.name.as_str(), broad.1))
                        })?;
                    let witness = ["src/main.rs", "a", "Makefile", "build.sh"]
                        .into_iter()
                        .find_map(|path| samples::allowed(subject, rule, deed, argument, path))?;
                    Some((deed, kind.access, scope, witness))
                })
        });
        let Some((deed, access, (scope, at), witness)) = found else {
            continue;
        };
        let what = if access == Access::Write {
            "write"
        } else {
            "run"
        };
        let message = format!(
            "rule `{}` lets {} {what} everywhere: its scope `{scope}` holds `**`",
            rule.written.id,
            deed.name()
        );
        out.at(rule.written.at, message, |d| {
            d.help("name the directories that are worked on")
                .related(at, "everything")
                .witness(witness);
        });
    }
}
