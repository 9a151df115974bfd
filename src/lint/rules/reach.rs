//! Reports which well-known places a rule reaches, and the deny rule that would keep them.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Edit, Fix, Safety, Witness};
use crate::lint::exposures::Exposed;
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::model::Access;

/// The first few names, for people.
pub(super) fn few(names: &[&str]) -> String {
    const MOST: usize = 4;
    let shown: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Where the tests of all names come from, if there are several.
pub(super) fn others(names: &[&str]) -> &'static str {
    if names.len() > 1 {
        "; `lictor test --generate` shows one for each"
    } else {
        ""
    }
}

/// Verb for an access to a path.
pub(super) fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "written",
        Access::Execute => "run",
    }
}

impl Exposed {
    /// A copy without some places.
    pub(super) fn without(&self, is_left_out: impl Fn(&str) -> bool) -> Exposed {
        let kept = self
            .found
            .iter()
            .filter(|(place, _)| !is_left_out(place.pattern));
        Exposed {
            access: self.access,
            found: kept.cloned().collect(),
        }
    }

    /// The first request, which the others are listed behind.
    pub(super) fn witness(&self) -> Option<Witness> {
        self.found.first().map(|(_, witness)| witness.clone())
    }

    /// The first few paths, for people.
    pub(super) fn listed(&self, most: usize) -> String {
        let paths = self
            .found
            .iter()
            .filter_map(|(_, witness)| witness.path.as_deref());
        let shown: Vec<_> = paths
            .take(most)
            .map(|path| format!("`{}`", path.escape_debug()))
            .collect();
        match self.found.len().saturating_sub(most) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// Patterns for what is reached, wherever it lies.
    pub(super) fn patterns(&self) -> Vec<String> {
        let mut patterns: Vec<String> = Vec::new();
        for (place, _) in &self.found {
            if !patterns.iter().any(|known| known == place.deny()) {
                patterns.push(place.deny().to_owned());
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
