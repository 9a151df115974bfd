//! P019: a tool of the policy that takes the place of a library's.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::declared_tools;

declare_rule! {
    /// ## What it does
    /// Finds tools of the policy that have the name of a tool in a library that the policy uses. Nothing of the library's
    /// tool counts then.
    ///
    /// ## Why is this bad?
    /// A reader sees `use: lictor/git@1` and takes its care for granted, but another declaration decides how `git` is
    /// called. An option or an action more is added with `extends`, which keeps the rest.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/git@1
    /// tools:
    ///   git:
    ///     program: git
    ///     actions:
    ///       status: {command: status}
    /// rules:
    ///   - {id: look, allow: git.status}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/git@1
    /// tools:
    ///   git:
    ///     extends: lictor/git@1
    ///     actions:
    ///       describe_all: {command: describe, fixed: [--all]}
    /// rules:
    ///   - {id: look, allow: git.describe_all}
    /// ```
    pub(super) static REPLACED_TOOL = { code: "P019", name: "replaced-tool", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let used: Vec<&str> = subject
        .model
        .uses
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let libraries: Vec<_> = subject
        .policy
        .files()
        .skip(1)
        .filter(|file| used.contains(&file.name.as_str()))
        .map(|file| (file, declared_tools(file)))
        .collect();
    let tools = yaml::get(&subject.root, "tools");
    for (key, node) in tools.into_iter().flat_map(yaml::entries) {
        let Some(name) = yaml::text(key) else {
            continue;
        };
        let declares = |(_, tools): &&(_, Vec<String>)| tools.iter().any(|tool| tool == name);
        let library = libraries.iter().find(declares);
        let Some((library, _)) = library.filter(|_| yaml::get(node, "extends").is_none()) else {
            continue;
        };
        let library = library.name.escape_debug();
        out.at(
            key.at,
            format!("the tool `{}` replaces that of `{library}` whole", name.escape_debug()),
            |d| {
                d.help(format!(
                    "write `extends: {library}` in it to add to the library's tool, or give it another name"
                ));
            },
        );
    }
}
