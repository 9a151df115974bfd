//! Rules about characters and short sequences, wherever in the path they stand.

#![forbid(unsafe_code)]

use super::denial::Found;
use super::marks::Marks;
use super::switches::{Backslash, Braces, Colon, Expansion, Nfc, Percent, Unicode};
use super::{Switches, unicode};
use crate::reason::Reason;
use crate::text::{is_control, is_hidden};

/// Tries rules 5 and 6, which hold for the whole argument.
pub(super) fn check_argument(text: &str, marks: Marks, switches: &Switches, found: &mut Found) {
    if !marks.has(Marks::CONTROL.or(Marks::NOT_ASCII)) {
        return;
    }
    for (at, c) in text.char_indices() {
        if is_control(c) {
            found.note(5, Reason::PathControlCharDenied, at, c.len_utf8());
        } else if switches.unicode == Unicode::Strict && is_hidden(c) {
            found.note(6, Reason::PathUnicodeDenied, at, c.len_utf8());
        }
    }
}

/// Tries rules 11, 15, 16 (separators, normal form), 17 and 18 on the path.
pub(super) fn check_path(path: &str, marks: Marks, switches: &Switches, found: &mut Found) {
    let encoded = match switches.percent {
        Percent::Deny if marks.has(Marks::PERCENT) => percent_encoded(path),
        Percent::Deny | Percent::Literal => None,
    };
    if let Some((at, len)) = encoded {
        found.note(15, Reason::PathEncodedDenied, at, len);
    }
    if switches.expansion == Expansion::Deny
        && marks.has(Marks::PERCENT.or(Marks::DOLLAR).or(Marks::TILDE))
    {
        check_expansion(path, encoded.is_some(), found);
    }
    if marks.has(Marks::NOT_ASCII) {
        check_unicode(path, switches, found);
    }
    if marks.has(Marks::COLON)
        && switches.colon == Colon::Deny
        && let Some(at) = path.find(':')
    {
        found.note(17, Reason::PathColonDenied, at, 1);
    }
    if marks.has(Marks::RESERVED.or(Marks::BACKSLASH))
        && let Some(at) = path.find(|c| is_reserved(c, switches))
    {
        found.note(18, Reason::PathReservedCharDenied, at, 1);
    }
}

/// Rule 11.
fn check_expansion(path: &str, is_encoded: bool, found: &mut Found) {
    let mut note = |at, len| found.note(11, Reason::PathExpansionDenied, at, len);
    if path.starts_with(['~', '$']) {
        note(0, 1);
    }
    for opening in ["${", "$("] {
        if let Some(at) = path.find(opening) {
            note(at, opening.len());
        }
    }
    // `%AB%` is an encoded byte and a variable; the former says more.
    if !is_encoded && let Some((at, len)) = percent_variable(path) {
        note(at, len);
    }
}

/// The first `%NAME%`, where NAME is `[A-Za-z_][A-Za-z0-9_()]*`.
fn percent_variable(path: &str) -> Option<(usize, usize)> {
    let mut pieces = path.split('%');
    let mut offset = pieces.next()?.len();
    let mut pieces = pieces.peekable();
    while let Some(name) = pieces.next() {
        // Only a piece with another one after it has a `%` on both sides.
        if pieces.peek().is_some() && is_variable_name(name) {
            return Some((offset, name.len().saturating_add(2)));
        }
        offset = offset.saturating_add(name.len()).saturating_add(1);
    }
    None
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'(' | b')'))
}

/// The first `%` with two hex digits, or `%u` with four (rule 15).
fn percent_encoded(path: &str) -> Option<(usize, usize)> {
    path.match_indices('%').find_map(|(at, _)| {
        let rest = path.as_bytes().get(at.saturating_add(1)..)?;
        match rest {
            [a, b, ..] if is_hex(&[*a, *b]) => Some((at, 3)),
            [b'u' | b'U', a, b, c, d, ..] if is_hex(&[*a, *b, *c, *d]) => Some((at, 6)),
            _ => None,
        }
    })
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// Rule 16 but for segments that look like dots.
fn check_unicode(path: &str, switches: &Switches, found: &mut Found) {
    if switches.unicode == Unicode::Strict
        && let Some((at, c)) = path
            .char_indices()
            .find(|(_, c)| unicode::is_separator_lookalike(*c))
    {
        found.note(16, Reason::PathUnicodeDenied, at, c.len_utf8());
    }
    if switches.nfc == Nfc::Require
        && let Some((at, len)) = unicode::first_not_nfc(path)
    {
        found.note(16, Reason::PathUnicodeDenied, at, len);
    }
}

/// Rule 18.
fn is_reserved(c: char, switches: &Switches) -> bool {
    match c {
        '<' | '>' | '"' | '|' | '?' | '*' => true,
        '{' | '}' => switches.braces == Braces::Deny,
        '\\' => switches.backslash == Backslash::Deny,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_between_percent_signs_are_found() {
        #[track_caller]
        fn check(path: &str, expected: Option<(usize, usize)>) {
            assert_eq!(percent_variable(path), expected, "{path:?}");
        }
        check("a/%HOME%/b", Some((2, 6)));
        check("%ProgramFiles(x86)%", Some((0, 19)));
        check("%1%A%", Some((2, 3)));
        check("%%_%", Some((1, 3)));
        check("100%", None);
        check("%A", None);
        check("%%", None);
        check("%a b%", None);
        check("%1a%", None);
    }

    #[test]
    fn encoded_bytes_are_found() {
        #[track_caller]
        fn check(path: &str, expected: Option<(usize, usize)>) {
            assert_eq!(percent_encoded(path), expected, "{path:?}");
        }
        check("a%2E", Some((1, 3)));
        check("%%32%65", Some((1, 3)));
        check("%u002e", Some((0, 6)));
        check("%U12G4", None);
        check("%zz%2", None);
        check("%", None);
    }
}
