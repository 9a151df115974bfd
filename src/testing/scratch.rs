//! A tree like the one that a policy speaks about: a file in each of its places, twins and siblings
//! beside them, and links that lead out, up, aside and to what is denied.

#![forbid(unsafe_code)]

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::generate::instance;
use crate::policy::CompiledPolicy;
use crate::policy::matcher::RuleScope;
use crate::policy::model::RuleEffect;

/// Makes the tree in an empty directory, and tells where its workspace is.
pub(super) fn make(
    directory: &Path,
    policy: &CompiledPolicy,
    places: &[String],
) -> io::Result<PathBuf> {
    let directory = directory.canonicalize()?;
    let (work, outside) = (directory.join("work"), directory.join("outside"));
    std::fs::create_dir(&work)?;
    std::fs::create_dir(&outside)?;
    std::fs::write(outside.join("secret"), "outside")?;
    let denied = denied(policy);
    // The deepest first: what lies below something makes it a directory.
    let mut places = places.to_vec();
    places.extend(denied.iter().cloned());
    places.sort_by_key(|place| std::cmp::Reverse(place.matches('/').count()));
    for (nth, place) in places.iter().enumerate() {
        file(&work.join(place));
        let (first, rest) = place.split_once('/').unwrap_or((place, "secret"));
        for twin in [
            format!("{first}_evil"),
            first.to_uppercase(),
            format!("{first}.bak"),
        ] {
            file(&work.join(twin).join(rest));
        }
        let mut above = Path::new(place);
        while let Some(parent) = above.parent() {
            let aim = denied.get(nth.checked_rem(denied.len()).unwrap_or(0));
            links(&work, parent, &outside, aim.map(String::as_str));
            above = parent;
        }
    }
    Ok(work)
}

/// Places that some rule of the document denies.
fn denied(policy: &CompiledPolicy) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, rule) in policy
        .rules()
        .filter(|(_, rule)| rule.effect == RuleEffect::Deny && rule.at.is_some())
    {
        let scopes = match &rule.scope {
            Some(RuleScope::All(scopes)) => scopes.clone(),
            Some(RuleScope::PerArgument(entries)) => entries
                .iter()
                .flat_map(|(_, scopes)| scopes.clone())
                .collect(),
            None => continue,
        };
        let scopes = scopes.iter().filter_map(|id| usize::try_from(id.0).ok());
        for scope in scopes.filter_map(|nth| policy.scopes().get(nth)) {
            for pattern in &scope.include {
                let place = instance(pattern, true);
                if !place.is_empty() && !found.contains(&place) {
                    found.push(place);
                }
            }
        }
    }
    found
}

/// Makes a file and the directories above it. Where something else stands already, that stays: a tree
/// without one of its files is still a tree.
fn file(path: &Path) {
    let made = path.parent().map(std::fs::create_dir_all);
    if matches!(made, Some(Ok(()))) && !path.exists() {
        let _ = std::fs::write(path, "x");
    }
}

/// Makes the links of one directory, where there are none yet.
fn links(work: &Path, below: &Path, outside: &Path, denied: Option<&str>) {
    let directory = work.join(below);
    let up = "../".repeat(below.components().count());
    let aim = denied.unwrap_or("src/a");
    for (name, target) in [
        ("lictor-out", PathBuf::from(format!("{up}../outside"))),
        ("lictor-abs", outside.to_owned()),
        ("lictor-up", PathBuf::from("..")),
        ("lictor-aside", PathBuf::from(format!("{up}src"))),
        ("lictor-denied", PathBuf::from(format!("{up}{aim}"))),
        ("lictor-new", PathBuf::from(format!("{up}{aim}-new"))),
    ] {
        let _ = symlink(target, directory.join(name));
    }
}
