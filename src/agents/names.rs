//! A pattern of a shell text → the names that bash, dash and zsh put in its place.
//!
//! Only `*` is a pattern (`shell` refuses the others): any run of characters of one name, but no dot that it begins with. The
//! three shells agree on the names, not on their order: whoever takes them has to treat them alike.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// Names that one pattern may come to.
const MAX_NAMES: usize = 500;

/// Entries that may be looked at for one pattern.
const MAX_ENTRIES: usize = 20_000;

/// The names that a pattern matches from a directory on, sorted.
///
/// # Errors
///
/// Why they are not known; also that there are none: bash passes the pattern on then, and zsh stops.
pub(super) fn matching(directory: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let mut left = MAX_ENTRIES;
    let mut found: Vec<(String, PathBuf)> = vec![(String::new(), directory.to_owned())];
    for (nth, segment) in pattern.split('/').enumerate() {
        if segment.is_empty() || segment == ".." || segment == "." && nth > 0 {
            return Err(
                "a pattern with an empty segment, `.` or `..`: write the directory itself"
                    .to_owned(),
            );
        }
        let mut next = Vec::new();
        for (text, place) in found {
            let names = match segment.contains('*') {
                true => names(&place, segment, &mut left)?,
                false => vec![segment.to_owned()],
            };
            next.extend(names.into_iter().map(|name| {
                let place = place.join(&name);
                let text = if nth == 0 {
                    name
                } else {
                    format!("{text}/{name}")
                };
                (text, place)
            }));
        }
        found = next;
        if found.len() > MAX_NAMES {
            return Err(format!(
                "a pattern that matches more than {MAX_NAMES} names: name the directory"
            ));
        }
    }
    let there = found
        .into_iter()
        .filter(|(_, place)| place.symlink_metadata().is_ok());
    let mut there: Vec<String> = there.map(|(text, _)| text).collect();
    there.sort();
    match there.is_empty() {
        true => Err("a pattern that matches no file: shells then do different things".to_owned()),
        false => Ok(there),
    }
}

/// The names in a directory that a segment matches; none if it cannot be read, as for a shell.
fn names(directory: &Path, segment: &str, left: &mut usize) -> Result<Vec<String>, String> {
    if segment.starts_with('.') && is_match("..", segment) {
        return Err("a pattern that some shells take for `..`: write the name".to_owned());
    }
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Ok(found);
    };
    for entry in entries {
        *left = left.checked_sub(1).ok_or_else(|| {
            format!("a pattern for which more than {MAX_ENTRIES} names would be looked at: name the directory")
        })?;
        let entry = entry.map_err(|error| format!("a directory that cannot be read: {error}"))?;
        match entry.file_name().into_string() {
            Ok(name) if is_match(&name, segment) => {
                if segment.starts_with('.') || !name.starts_with('.') {
                    found.push(name);
                }
            }
            Ok(_) => {}
            Err(_) => {
                return Err("a pattern in a directory with a name that is no UTF-8".to_owned());
            }
        }
    }
    Ok(found)
}

/// Returns true if a name is the pieces between the stars, in this order, with anything between them.
fn is_match(name: &str, segment: &str) -> bool {
    let mut pieces = segment.split('*');
    let first = pieces.next().unwrap_or_default();
    let last = pieces.next_back().unwrap_or_default();
    let Some(mut rest) = name
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last))
    else {
        return false;
    };
    pieces.all(|piece| match rest.split_once(piece) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        for (name, segment, expected) in [
            ("a.py", "*.py", true),
            ("a.py", "a*", true),
            ("a", "a*a", false),
            ("aa", "a*a", true),
            ("abcabc", "a*b*c", true),
            ("abc", "a*c*b", false),
            ("ab", "ab*b", false),
        ] {
            assert_eq!(is_match(name, segment), expected, "{name} {segment}");
        }
    }
}
