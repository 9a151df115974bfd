//! P016: a policy that those whom it bounds could change.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Level, Witness};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// Finds a policy file that its group or everybody may write to; and, as an error, one that lies in a scope which
    /// `confine.write` opens to the programs it allows.
    ///
    /// ## Why is this bad?
    /// Path arguments can never open the policy for writing, but a program that runs writes where the kernel lets it.
    /// Who can change the policy decides what it allows.
    ///
    /// ## Example
    /// The policy is `lictor.yaml` in its workspace, and tests may write everywhere:
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**", everything: "**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, confine: {write: [everything]}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**", reports: "reports/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, confine: {write: [reports]}}
    /// ```
    pub(super) static POLICY_WRITABLE = { code: "P016", name: "policy-writable", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let top = yaml::entry(&subject.root, "version").map_or(subject.root.at, |(key, _)| key.at);
    if let Some(writable) = subject.around.policy_writable() {
        let message = format!("{} may write to this policy", writable.by);
        out.at(top, message, |d| {
            d.help(format!("chmod go-w {}", writable.path.escape_debug()));
        });
    }
    let Some(file) = subject.around.policy_file() else {
        return;
    };
    for (pattern, scope, at) in subject.confined_writes() {
        let is_out = scope
            .exclude
            .iter()
            .any(|(pattern, _)| pattern.matches(file));
        if pattern.matches(file) && !is_out {
            let message = format!(
                "programs may write to this policy: `confine.write` opens the scope `{}`, and `{pattern}` holds `{file}`",
                scope.name
            );
            out.at(at, message, |d| {
                d.level(Level::Error)
                    .help(format!("exclude `{file}` from the scope, or keep the policy outside of the workspace"))
                    .witness(Witness::path(file, "lies in what a confined program may write"));
            });
            return;
        }
    }
}
