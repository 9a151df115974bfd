//! Which of some well-known files a rule reaches: names tried in ordinary directories, each decided.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Edit, Fix, Safety, Witness};
use crate::lint::probe;
use crate::lint::subject::{RuleView, Subject};
use crate::lint::yaml;
use crate::policy::model::Access;

/// What a rule reaches of a list of names.
pub(super) struct Reached {
    pub(super) access: Access,
    /// The first, which the others are listed behind.
    pub(super) witness: Witness,
    /// A path for each name that is reached.
    pub(super) paths: Vec<String>,
    names: Vec<&'static str>,
}

/// The action and argument of a rule that reaches most, and what it reaches; none if it reaches nothing.
/// A name with a leading `/` is looked for at the top of the workspace only.
pub(super) fn first(
    subject: &Subject<'_>,
    rule: RuleView<'_>,
    read: &'static [&'static str],
    write: &'static [&'static str],
) -> Option<Reached> {
    let mut best: Option<Reached> = None;
    let mut seen: Vec<(Access, Vec<&str>)> = Vec::new();
    for deed in subject.deeds(rule) {
        for (argument, kind) in deed.paths() {
            let scopes = subject.scopes_of(rule.written, &argument.name);
            if scopes.is_empty() || kind.tree == crate::policy::model::Tree::Names {
                continue;
            }
            // Actions with the same access and scopes mostly reach the same.
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name.as_str()).collect();
            let key = (kind.access, scopes);
            if seen.contains(&key) {
                continue;
            }
            let names = if kind.access == Access::Write {
                write
            } else {
                read
            };
            let mut reached: Option<Reached> = None;
            for name in names {
                let bases = match name.strip_prefix('/') {
                    Some(_) => vec![String::new()],
                    None => probe::bases(subject, rule.written, &argument.name),
                };
                let found = bases
                    .iter()
                    .map(|base| probe::join(base, name.trim_start_matches('/')))
                    .find_map(|path| probe::allowed(subject, rule, deed, argument, &path));
                let Some(witness) = found else { continue };
                let path = witness.path.clone().unwrap_or_default();
                let reached = reached.get_or_insert_with(|| Reached {
                    access: kind.access,
                    witness,
                    paths: Vec::new(),
                    names: Vec::new(),
                });
                reached.paths.push(path);
                reached.names.push(name);
            }
            let Some(reached) = reached else { continue };
            seen.push(key);
            if best
                .as_ref()
                .is_none_or(|best| reached.paths.len() > best.paths.len())
            {
                best = Some(reached);
            }
        }
    }
    best
}

/// What is done to a path.
pub(super) fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "written",
        Access::Execute => "run",
    }
}

impl Reached {
    /// The first few paths, for people.
    pub(super) fn listed(&self, most: usize) -> String {
        let shown: Vec<_> = self
            .paths
            .iter()
            .take(most)
            .map(|path| format!("`{path}`"))
            .collect();
        match self.paths.len().saturating_sub(most) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// Patterns for what is reached, wherever it lies.
    pub(super) fn patterns(&self) -> Vec<String> {
        let mut patterns: Vec<String> = Vec::new();
        for name in &self.names {
            let (name, anywhere) = match name.strip_prefix('/') {
                Some(name) => (name, ""),
                None => (*name, "**/"),
            };
            let file = name.rsplit('/').next().unwrap_or(name);
            let pattern = if file.starts_with(".env") {
                format!("{anywhere}.env*")
            } else if let Some((directory, _)) =
                name.split_once('/').filter(|(top, _)| top.starts_with('.'))
            {
                format!("{anywhere}{directory}/**")
            } else if file.starts_with("id_") {
                format!("{anywhere}id_*")
            } else if let Some((_, ending)) =
                file.rsplit_once('.').filter(|(stem, _)| *stem == "server")
            {
                format!("{anywhere}*.{ending}")
            } else {
                format!("{anywhere}{name}")
            };
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
        patterns
    }
}

/// A deny rule over these patterns, with a scope of its own, where the document's layout has room for it.
pub(super) fn deny_fix(subject: &Subject<'_>, id: &str, patterns: &[String]) -> Option<Fix> {
    let (_, scopes) = yaml::entry(&subject.root, "scopes")?;
    let (rules_key, rules) = yaml::entry(&subject.root, "rules")?;
    let is_taken = subject.model.rules.iter().any(|rule| rule.id == id)
        || subject.model.scopes.iter().any(|scope| scope.name == id);
    if is_taken {
        return None;
    }
    let listed: Vec<_> = patterns
        .iter()
        .map(|pattern| yaml::quoted(pattern))
        .collect();
    let (first_key, _) = yaml::entries(scopes).next()?;
    let scope = format!("{id}: [{}]", listed.join(", "));
    let scope = if yaml::is_in_braces(&subject.text, scopes) {
        Edit::insert(yaml::start(first_key.at), format!("{scope}, "))
    } else {
        let indent = " ".repeat(usize::try_from(first_key.at.column).ok()?.saturating_sub(1));
        Edit::insert(yaml::start(first_key.at), format!("{scope}\n{indent}"))
    };
    if yaml::is_in_braces(&subject.text, rules) {
        return None;
    }
    // Below the line of the key, so that comments above the first rule stay above it.
    let first = yaml::items(rules).first()?;
    let line = yaml::line_start(&subject.text, yaml::start(first.at));
    let indent = subject
        .text
        .get(line..yaml::start(first.at))?
        .split('-')
        .next()?;
    let key_end = yaml::end(rules_key.at);
    let below = subject.text.get(key_end..)?.find('\n')?;
    let at = key_end.saturating_add(below).saturating_add(1);
    if !indent.trim().is_empty() || at > line {
        return None;
    }
    let rule = Edit::insert(
        at,
        format!("{indent}- {{id: {id}, deny: \"*\", touching: {id}}}\n"),
    );
    let mut edits = vec![scope, rule];
    edits.sort_by_key(|edit| edit.start);
    Some(Fix::new(
        Safety::Suggested,
        "add a deny rule over them",
        edits,
    ))
}
