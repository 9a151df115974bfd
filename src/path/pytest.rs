//! Targets of pytest: `path::name::name[parameters]`.
//!
//! Base and parameters part at the first `[`, path and names part at every `::` of the base. What is
//! inside the brackets is free: `a.py::test_p[../../etc]` is the id of a test, not a path.

#![forbid(unsafe_code)]

use super::denial::Found;
use crate::reason::Reason;

/// A target in its two halves: `path` is what the path rules look at, `suffix` is passed on unchanged.
pub(super) struct Split<'a> {
    pub(super) path: &'a str,
    pub(super) suffix: &'a str,
}

/// Splits a target and notes what is wrong with its form (rule 8). The path half is blank only if
/// something was noted.
pub(super) fn split<'a>(text: &'a str, found: &mut Found) -> Split<'a> {
    let base = text.split_once('[').map_or(text, |(base, _)| base);
    let (path, suffix) = base
        .find("::")
        .and_then(|at| text.split_at_checked(at))
        .unwrap_or_else(|| text.split_at_checked(base.len()).unwrap_or((text, "")));
    if let Some((offset, len)) = malformed(text, base, path) {
        found.note(8, Reason::PathTargetSyntaxDenied, offset, len);
    } else if path.trim().is_empty() {
        found.note(8, Reason::PathEmptyOrNone, 0, path.len());
    }
    Split { path, suffix }
}

/// Where the form is broken: offset and length.
fn malformed(text: &str, base: &str, path: &str) -> Option<(usize, usize)> {
    let names = base.strip_prefix(path)?;
    let has_parameters = base.len() < text.len();
    if has_parameters && names.is_empty() {
        return Some((base.len(), 1));
    }
    let names = names.strip_prefix("::")?;
    let mut offset = path.len();
    if path.ends_with(['/', '\\']) {
        return Some((offset, 2));
    }
    for name in names.split("::") {
        offset = offset.saturating_add(2);
        if name.is_empty() || name.contains(['/', '\\', ':']) {
            return Some((offset, name.len()));
        }
        offset = offset.saturating_add(name.len());
    }
    (has_parameters && !text.ends_with(']'))
        .then(|| (base.len(), text.len().saturating_sub(base.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, suffix: &str, reason: Option<Reason>) {
        let mut found = Found::default();
        let split = split(text, &mut found);
        assert_eq!((split.path, split.suffix), (path, suffix), "{text:?}");
        assert_eq!(
            found.into_denial().map(|denial| denial.reason()),
            reason,
            "{text:?}"
        );
    }

    #[test]
    fn targets_are_split_as_pytest_splits_them() {
        check("a.py", "a.py", "", None);
        check("a.py::t", "a.py", "::t", None);
        check(
            "a.py::C::t[x::y/../[z]]",
            "a.py",
            "::C::t[x::y/../[z]]",
            None,
        );
        check("a.py::t[]", "a.py", "::t[]", None);
        check("dir/", "dir/", "", None);
        check("a:b", "a:b", "", None);
    }

    #[test]
    fn what_is_not_of_the_form_is_noted() {
        let syntax = Some(Reason::PathTargetSyntaxDenied);
        check("dir[1]/a.py", "dir", "[1]/a.py", syntax);
        check("[x]", "", "[x]", syntax);
        check("a.py::", "a.py", "::", syntax);
        check("a.py::[x]", "a.py", "::[x]", syntax);
        check("a.py::t[1", "a.py", "::t[1", syntax);
        check("a.py::t[1]x", "a.py", "::t[1]x", syntax);
        check("a.py:::t", "a.py", ":::t", syntax);
        check("a.py::::t", "a.py", "::::t", syntax);
        check("a.py::a/b", "a.py", "::a/b", syntax);
        check("a.py::a\\b", "a.py", "::a\\b", syntax);
        check("dir/::t", "dir/", "::t", syntax);
        check("dir\\::t", "dir\\", "::t", syntax);
        check("::", "", "::", syntax);
        check("::t", "", "::t", Some(Reason::PathEmptyOrNone));
        check("  ::t", "  ", "::t", Some(Reason::PathEmptyOrNone));
    }
}
