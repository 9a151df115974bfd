//! X307: a variable that decides what a program loads.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// Finds every name under `unsafe_inherit`.
    ///
    /// ## Why is this bad?
    /// Such a variable names code to load or programs to run. Whoever starts lictor then decides what runs, whatever the
    /// rules say.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, env: {unsafe_inherit: [PYTHONPATH]}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests, env: {inherit: [CI]}}
    /// ```
    pub(super) static STEERING_ENVIRONMENT = { code: "X307", name: "steering-environment", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules = subject.rules().map(|rule| rule.node);
    let holders = rules.chain(yaml::get(&subject.root, "defaults"));
    let lists = holders
        .filter_map(|node| yaml::get(node, "env"))
        .filter_map(|env| yaml::get(env, "unsafe_inherit"));
    for item in lists.flat_map(yaml::items) {
        let name = yaml::text(item).unwrap_or("");
        out.at(
            item.at,
            format!("`{name}` comes from whoever starts lictor, and can decide what runs"),
            |d| {
                d.help("write its value under `set`, if it is always the same");
            },
        );
    }
}
