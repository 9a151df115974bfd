//! Rules about one segment, the piece between two separators: its length, dots, edges, and names.

#![forbid(unsafe_code)]

use super::denial::Found;
use super::marks::Marks;
use super::switches::{Dot, Edges, ShortNames, Unicode, WindowsNames};
use super::taken::is_taken_for;
use super::{MAX_SEGMENT_BYTES, MAX_SEGMENTS, Switches, unicode, windows};
use crate::reason::Reason;

/// Tries rules 12, 13, 14, 16 (dots), 19, 20, 21 and 22 on every segment.
///
/// `path` is without the one separator that may end it.
pub(super) fn check(path: &str, marks: Marks, switches: &Switches, found: &mut Found) {
    let is_separator = super::separator(switches);
    let mut offset = 0_usize;
    for (at, segment) in path.split(is_separator).enumerate() {
        if at == MAX_SEGMENTS {
            found.note(12, Reason::PathTooLong, offset, 0);
        }
        check_segment(segment, offset, marks, switches, found);
        offset = offset.saturating_add(segment.len()).saturating_add(1);
    }
}

fn check_segment(
    segment: &str,
    offset: usize,
    marks: Marks,
    switches: &Switches,
    found: &mut Found,
) {
    let mut note = |rule, reason| found.note(rule, reason, offset, segment.len());
    if segment.is_empty() {
        note(14, Reason::PathEmptySegmentDenied);
        return;
    }
    if segment.len() > MAX_SEGMENT_BYTES {
        note(12, Reason::PathTooLong);
    }
    let is_dots = is_only_dots(segment);
    if is_dots {
        note(13, Reason::PathTraversalDenied);
    }
    if switches.unicode == Unicode::Strict
        && marks.has(Marks::NOT_ASCII)
        && unicode::looks_like_dots(segment)
    {
        note(16, Reason::PathUnicodeDenied);
    }
    // That `..` ends in a dot is no second finding.
    if switches.edges == Edges::Deny && !is_dots && has_bad_edge(segment) {
        note(19, Reason::PathSegmentEdgeDenied);
    }
    if switches.windows_names != WindowsNames::Allow
        && windows::is_device(segment, switches.windows_names)
    {
        note(20, Reason::PathDeviceNameDenied);
    }
    if switches.short_names == ShortNames::Deny
        && marks.has(Marks::TILDE)
        && windows::is_short_name(segment)
    {
        note(21, Reason::PathShortNameDenied);
    }
    if switches
        .protected
        .iter()
        .any(|name| is_taken_for(segment, name))
    {
        note(22, Reason::PathProtectedDenied);
    }
}

/// At least one dot and nothing but dots and white space: Windows trims `.. ` and `. .` to `..`.
fn is_only_dots(segment: &str) -> bool {
    let mut has_dot = false;
    for c in segment.chars() {
        if c == '.' {
            has_dot = true;
        } else if !c.is_whitespace() {
            return false;
        }
    }
    has_dot
}

fn has_bad_edge(segment: &str) -> bool {
    segment.starts_with(char::is_whitespace)
        || segment.ends_with(|c: char| c == '.' || c.is_whitespace())
}

/// The rest of an argument after one leading `./`, if dots are stripped. `.` alone and `./` alone are
/// the workspace, for which the rest is `None`.
pub(super) fn strip_dot<'a>(text: &'a str, switches: &Switches) -> Option<&'a str> {
    if switches.dot == Dot::Deny {
        return Some(text);
    }
    let rest = match text.strip_prefix('.') {
        None => return Some(text),
        Some("") => "",
        Some(rest) => match rest.strip_prefix(super::separator(switches)) {
            Some(rest) => rest,
            None => return Some(text),
        },
    };
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Backslash;

    #[test]
    fn segments_of_dots_and_blanks_are_no_names() {
        for segment in [".", "..", "...", ".. ", ". .", " .", "\u{a0}.\u{2003}"] {
            assert!(is_only_dots(segment), "{segment:?}");
        }
        for segment in ["", " ", ".a", "..a", "\u{2024}"] {
            assert!(!is_only_dots(segment), "{segment:?}");
        }
    }

    #[test]
    fn one_leading_dot_is_stripped_and_no_more() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            let mut switches = Switches::default();
            assert_eq!(strip_dot(text, &switches), expected, "{text:?}");
            switches.dot = Dot::Deny;
            assert_eq!(strip_dot(text, &switches), Some(text));
        }
        check(".", None);
        check("./", None);
        check(".\\", None);
        check("./a", Some("a"));
        check(".\\a", Some("a"));
        check("././a", Some("./a"));
        check(".//a", Some("/a"));
        check("..", Some(".."));
        check("../a", Some("../a"));
        check(".a", Some(".a"));
        check("a/.", Some("a/."));

        let switches = Switches {
            backslash: Backslash::Deny,
            ..Switches::default()
        };
        assert_eq!(strip_dot(".\\a", &switches), Some(".\\a"));
    }
}
