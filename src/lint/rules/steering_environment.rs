//! X307: a variable that decides what a program loads, or that nobody knows, or that is a secret.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::steering::{is_harmless, is_secret, what_it_steers};

declare_rule! {
    /// ## What it does
    /// Finds names under `unsafe_inherit`, names under `set` that decide what programs load or run, and names under
    /// `inherit` that are not known to be harmless: those that look like a secret, those that end in `*`, and those
    /// of which lictor does not know who reads them.
    ///
    /// ## Why is this bad?
    /// Such a variable may name code to load or programs to run. Whoever starts lictor then decides what runs, whatever
    /// the rules say. A secret is open to all that the run starts, and to whoever reads its output.
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
    for env in holders.filter_map(|node| yaml::get(node, "env")) {
        let named = |key: &str| yaml::get(env, key).map_or(&[][..], yaml::items);
        for item in named("unsafe_inherit") {
            let name = yaml::text(item).unwrap_or("");
            out.at(
                item.at,
                format!("`{name}` comes from whoever starts lictor, and can decide what runs"),
                |d| {
                    d.help("write its value under `set`, if it is always the same");
                },
            );
        }
        for item in named("inherit") {
            if let Some((message, help)) = of_inherited(yaml::text(item).unwrap_or("")) {
                out.at(item.at, message, |d| {
                    d.help(help);
                });
            }
        }
        let set = yaml::get(env, "set").into_iter().flat_map(yaml::entries);
        for (key, _) in set {
            let name = yaml::text(key).unwrap_or("");
            if let Some(does) = what_it_steers(name) {
                out.at(key.at, format!("`{name}` is set here, which {does}"), |d| {
                    d.help("suppress this with the reason, if that is meant");
                });
            }
        }
    }
}

/// Message and advice about a name that is passed on.
fn of_inherited(name: &str) -> Option<(String, &'static str)> {
    if is_harmless(name) {
        return None;
    }
    Some(if name.ends_with('*') {
        let message = format!(
            "`{name}` passes on whatever begins so, secrets and names that only some program knows among it"
        );
        (message, "name the variables that are needed")
    } else if is_secret(name) {
        let message =
            format!("`{name}` looks like a secret, and is open to all that the run starts");
        (message, "leave it out, or suppress this with the reason")
    } else {
        let message = format!(
            "`{name}` is not known to be harmless: it may decide what runs, for a program that reads it"
        );
        (
            message,
            "write its value under `set`, or suppress this with what reads it",
        )
    })
}
