//! Suffix of a value, and of each side of a range in it: `main..HEAD` with the suffix `^{commit}` is
//! `main^{commit}..HEAD^{commit}`.
//!
//! A value is kept without its suffix, so that both spellings are one request, and is passed on with it.

#![forbid(unsafe_code)]

use super::call::{Call, Given, argument};
use crate::policy::model::{Action, ArgumentKind, Tool};

/// The suffix of a value that names a commit, or a range of them.
const COMMIT: &str = "^{commit}";

/// The values that name commits, if the tool reads a git repository.
pub(super) fn commits(tool: &Tool, action: &Action, call: &Call) -> Option<Vec<String>> {
    let commit = |(slot, given): &(_, Given)| match (&argument(tool, action, *slot)?.kind, given) {
        (ArgumentKind::Text { suffix, .. }, Given::Text(text))
            if suffix.as_deref() == Some(COMMIT) =>
        {
            Some(text.clone())
        }
        _ => None,
    };
    tool.repository
        .then(|| call.given.iter().filter_map(commit).collect())
}

/// The value without the suffix, however often it stands there.
pub(super) fn bare(text: &str, suffix: &str) -> String {
    each_side(text, |side| {
        let bare = side.trim_end_matches(suffix);
        // A suffix alone stands behind nothing, and is no value with one. A dot at the end would become a part of
        // the dots behind it.
        if bare.is_empty() || bare.ends_with('.') {
            side.to_owned()
        } else {
            bare.to_owned()
        }
    })
}

/// The value with the suffix, once. An empty side of a range stays empty, and one that ends in a dot, which is no
/// name of anything, as it is.
pub(super) fn with(text: &str, suffix: &str) -> String {
    each_side(text, |side| {
        if side.is_empty() || side.ends_with('.') || side.ends_with(suffix) {
            side.to_owned()
        } else {
            format!("{side}{suffix}")
        }
    })
}

/// Changes what stands between two or more dots, and leaves the dots.
fn each_side(text: &str, change: impl Fn(&str) -> String) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((side, behind)) = rest.split_once("..") {
        changed.push_str(&change(side));
        changed.push_str("..");
        rest = behind.trim_start_matches('.');
        let more = behind.len().saturating_sub(rest.len());
        changed.push_str(&".".repeat(more));
    }
    changed.push_str(&change(rest));
    changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUFFIX: &str = COMMIT;

    #[test]
    fn each_side_of_a_range_gets_it_once() {
        #[track_caller]
        fn check(given: &str, expected: &str) {
            assert_eq!(with(&bare(given, SUFFIX), SUFFIX), expected);
        }
        check("HEAD", "HEAD^{commit}");
        check("v1.0.2", "v1.0.2^{commit}");
        check("HEAD^{commit}", "HEAD^{commit}");
        check("HEAD^{commit}^{commit}", "HEAD^{commit}");
        check("^main", "^main^{commit}");
        check("a..b", "a^{commit}..b^{commit}");
        check("a...b^{commit}", "a^{commit}...b^{commit}");
        check("a..", "a^{commit}..");
        check("..b", "..b^{commit}");
        check("HEAD^{tree}", "HEAD^{tree}^{commit}");
        check("^{commit}", "^{commit}");
        check("..", "..");
        check("", "");
    }

    proptest! {
        #[test]
        fn what_is_passed_on_reads_back(text in "([ab.^]|\\^\\{commit\\}){0,12}") {
            let kept = bare(&text, SUFFIX);
            let passed = with(&kept, SUFFIX);
            prop_assert_eq!(&bare(&passed, SUFFIX), &kept);
            prop_assert_eq!(&bare(&kept, SUFFIX), &kept);
        }
    }
}
