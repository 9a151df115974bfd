//! A pattern and the names of the workspace -> where it first leaves what there is, and the name that was meant.

#![forbid(unsafe_code)]

use super::samples::join;
use super::surroundings::Kind;
use crate::policy::glob::Pattern;
use crate::policy::nearest;

/// A place that a pattern names and the workspace does not have.
#[derive(Debug)]
pub(crate) struct Missing<'n> {
    /// The directory that there is; empty for the workspace.
    pub(crate) known: String,
    /// The name that is not there; none where the wildcards behind the names match nothing.
    pub(crate) name: Option<String>,
    /// A name beside it that was probably meant.
    pub(crate) meant: Option<&'n str>,
}

impl Missing<'_> {
    /// The pattern with the name that was probably meant.
    pub(crate) fn corrected(&self, pattern: &Pattern) -> Option<String> {
        let (name, meant) = (self.name.as_deref()?, self.meant?);
        Some(pattern.as_str().replacen(name, meant, 1))
    }
}

/// Finds what a pattern names and the workspace does not have. Returns `None` for a pattern that begins with a wildcard
/// or matches something.
pub(crate) fn missing<'n>(pattern: &Pattern, names: &'n [(String, Kind)]) -> Option<Missing<'n>> {
    let prefix = pattern.literal_prefix();
    if prefix.is_empty() || names.iter().any(|(name, _)| pattern.matches(name)) {
        return None;
    }
    let mut known = String::new();
    let mut missing = None;
    for name in prefix.split('/') {
        let path = join(&known, name);
        if names.iter().any(|(there, _)| *there == path) {
            known = path;
        } else {
            missing = Some(name.to_owned());
            break;
        }
    }
    let siblings: Vec<&str> = names
        .iter()
        .filter(|(_, kind)| *kind == Kind::Directory || !pattern.reaches_down())
        .filter_map(|(name, _)| match name.rsplit_once('/') {
            Some((above, name)) => (above == known).then_some(name),
            None => known.is_empty().then_some(name.as_str()),
        })
        .collect();
    let meant = missing.as_deref().and_then(|name| {
        let mut same = siblings.iter().copied();
        same.find(|there| there.eq_ignore_ascii_case(name))
            .or_else(|| nearest(name, siblings.iter().copied()))
    });
    Some(Missing {
        known,
        name: missing,
        meant,
    })
}
