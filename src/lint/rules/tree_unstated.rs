//! X312: what a directory means to a program that looks into it is left open.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{Deed, Subject};
use crate::lint::yaml;
use crate::policy::model::{RuleEffect, Tree};

declare_rule! {
    /// ## What it does
    /// Finds path arguments of searching and recursive programs that do not say `tree`, and ones that leave it out while a
    /// deny rule touches a pattern that begins with `**`, so that every directory could hold something denied.
    ///
    /// ## Why is this bad?
    /// `rg KEY src` reads `src/.env`. Lictor therefore takes a directory for all that is below it and walks it before each run;
    /// a program that only lists names, or skips what git ignores, is then denied more than is needed. Stating `tree` says
    /// that somebody thought about it.
    ///
    /// ## Example
    /// ```yaml
    /// tools:
    ///   rg:
    ///     program: rg
    ///     actions:
    ///       search: {args: {word: {type: text, required: true}, path: {type: path, required: true}}}
    /// scopes: {repo: "**"}
    /// rules:
    ///   - {id: search, allow: rg.search, within: repo}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tools:
    ///   rg:
    ///     program: rg
    ///     actions:
    ///       search: {args: {word: {type: text, required: true}, path: {type: path, required: true, tree: unignored}}}
    /// scopes: {repo: "**"}
    /// rules:
    ///   - {id: search, allow: rg.search, within: repo}
    /// ```
    pub(super) static TREE_UNSTATED = { code: "X312", name: "tree-unstated", level: Warning, since: "0.1.0" }
}

/// Programs that look into a directory they are given.
const RECURSIVE: &[&str] = &[
    "rg", "grep", "egrep", "fgrep", "ag", "ack", "ugrep", "find", "fd", "fdfind", "du", "tree",
    "ls", "tar", "zip", "cp", "mv", "rm", "rsync", "scp", "chmod", "chown", "diff", "wc", "tokei",
    "cloc", "scc", "ctags", "sed", "git", "7z",
];

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for path in subject.declared_paths() {
        let Some(program) = path.deed.tool.program.as_deref() else {
            continue;
        };
        if path.kind.tree != Tree::All || yaml::get(path.node, "tree").is_some() {
            continue;
        }
        let name = program.rsplit('/').next().unwrap_or(program);
        let is_recursive = RECURSIVE.contains(&name);
        let deny = everywhere(subject, path.deed);
        let because = match (is_recursive, &deny) {
            (true, _) => format!("`{}` looks into directories", name.escape_debug()),
            (false, Some((id, pattern)))
                if is_directory_like(subject, path.deed, &path.argument.name) =>
            {
                format!("rule `{id}` denies `{pattern}`, which every directory could hold")
            }
            (false, _) => continue,
        };
        let message = format!(
            "argument `{}` of {} does not say what a directory means: {because}",
            path.argument.name,
            path.deed.name()
        );
        out.at(path.key.at, message, |d| {
            d.help("add `tree: all`, `unignored` or `names`: everything below it, what git does not ignore, or its names only");
            let edit = yaml::insert_after(&subject.text, path.node, "type", "tree: all");
            d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "write `tree: all`, which is how it is read now", vec![edit])));
        });
    }
}

/// A deny about the action whose pattern begins with `**`.
fn everywhere(subject: &Subject<'_>, deed: Deed<'_>) -> Option<(String, String)> {
    subject
        .rules()
        .filter(|rule| rule.written.effect == RuleEffect::Deny)
        .filter(|rule| {
            subject
                .deeds(*rule)
                .iter()
                .any(|other| other.number == deed.number)
        })
        .find_map(|rule| {
            let scopes = subject.all_scopes_of(rule.written);
            let (pattern, _) = scopes
                .iter()
                .flat_map(|scope| &scope.include)
                .find(|(pattern, _)| pattern.as_str().starts_with("**/"))?;
            Some((rule.written.id.clone(), pattern.to_string()))
        })
}

/// Returns true if some allow lets a directory pass as the argument: one of its patterns ends in `**`.
fn is_directory_like(subject: &Subject<'_>, deed: Deed<'_>, argument: &str) -> bool {
    subject
        .allows()
        .filter(|rule| {
            subject
                .deeds(*rule)
                .iter()
                .any(|other| other.number == deed.number)
        })
        .any(|rule| {
            subject
                .scopes_of(rule.written, deed.number, argument)
                .iter()
                .any(|scope| {
                    scope
                        .include
                        .iter()
                        .any(|(pattern, _)| pattern.reaches_down())
                })
        })
}
