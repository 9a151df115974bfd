//! X318: `defaults.executor` that this program does not have.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// Finds a `defaults.executor` that the program which runs the lint does not have. A library that lints for a program
    /// with executors of its own says which those are.
    ///
    /// ## Why is this bad?
    /// Nothing runs under such a policy, and requests are still decided: the mistake shows at the first run.
    ///
    /// ## Example
    /// The program has `local` and `dry-run`:
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// defaults: {executor: slurm}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// defaults: {executor: local}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    pub(super) static UNKNOWN_EXECUTOR = { code: "X318", name: "unknown-executor", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let (Some(name), Some(known)) = (subject.policy.executor(), subject.around.executors()) else {
        return;
    };
    if known.iter().any(|known| known == name) {
        return;
    }
    let defaults = yaml::get(&subject.root, "defaults");
    let written = defaults.and_then(|defaults| yaml::get(defaults, "executor"));
    let at = written.map_or(subject.root.at, |written| written.at);
    let message = format!("nothing runs under this policy: this program has no executor `{name}`");
    out.at(at, message, |d| {
        d.help(format!("it has {}", list(known)));
    });
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
