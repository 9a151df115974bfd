//! Characters that look like others, and text that is not in normal form C.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A character that looks like `/` or `\` (rule 16).
pub(crate) fn is_separator_lookalike(c: char) -> bool {
    matches!(
        c,
        '\u{2044}'
            | '\u{2215}'
            | '\u{2216}'
            | '\u{29F5}'
            | '\u{29F8}'
            | '\u{29F9}'
            | '\u{FE68}'
            | '\u{FF0F}'
            | '\u{FF3C}'
    )
}

/// A segment that a reader takes for dots (rule 16): dots, their look-alikes and white space, and at
/// least one look-alike.
pub(super) fn looks_like_dots(segment: &str) -> bool {
    let mut has_lookalike = false;
    for c in segment.chars() {
        if is_dot_lookalike(c) {
            has_lookalike = true;
        } else if c != '.' && !c.is_whitespace() {
            return false;
        }
    }
    has_lookalike
}

fn is_dot_lookalike(c: char) -> bool {
    matches!(
        c,
        '\u{2024}' | '\u{2025}' | '\u{2026}' | '\u{FE19}' | '\u{FE30}' | '\u{FE52}' | '\u{FF0E}'
    )
}

/// The byte offset and length of the first character that normal form C would change (rule 16).
pub(super) fn first_not_nfc(text: &str) -> Option<(usize, usize)> {
    if text.is_ascii() || is_nfc(text) {
        return None;
    }
    let mut normal = text.nfc();
    for (at, c) in text.char_indices() {
        if normal.next() != Some(c) {
            return Some((at, c.len_utf8()));
        }
    }
    None
}

/// The text in normal form C, borrowed if it is that already.
pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Where in `text` the byte `at` of its normal form C comes from.
///
/// Exact at ASCII characters, where nearly all rules point; inside a run of other characters it is
/// the start of the run. An ASCII character never joins with what stands before it, so the text falls
/// into pieces that begin with one, and the pieces normalise independently.
pub(super) fn before_nfc(text: &str, at: usize) -> usize {
    let mut raw = 0_usize;
    let mut normal = 0_usize;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let head = first.len_utf8();
        let tail = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| c.is_ascii())
            .map_or(rest.len(), |(end, _)| end.max(head));
        let Some((piece, after)) = rest.split_at_checked(tail) else {
            break;
        };
        let len = piece
            .nfc()
            .map(char::len_utf8)
            .fold(0_usize, usize::saturating_add);
        if at < normal.saturating_add(len) {
            break;
        }
        normal = normal.saturating_add(len);
        raw = raw.saturating_add(piece.len());
        rest = after;
    }
    raw
}

/// Returns true if a character can stand in a text in normal form C: some are always written as another one.
pub(crate) fn is_composed(c: char) -> bool {
    is_text_composed(c.encode_utf8(&mut [0; 4]))
}

/// Returns true if the text is in normal form C.
pub(crate) fn is_text_composed(text: &str) -> bool {
    text.is_ascii() || is_nfc(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_segment_does_not_look_like_dots() {
        assert!(looks_like_dots("\u{2024}."));
        assert!(looks_like_dots("\u{2025} "));
        assert!(!looks_like_dots(" "));
        assert!(!looks_like_dots(".."));
        assert!(!looks_like_dots("\u{2026}start.py"));
    }

    #[test]
    fn the_first_change_of_normal_form_c_is_found() {
        assert_eq!(first_not_nfc("a/cafe\u{301}"), Some((5, 1)));
        assert_eq!(first_not_nfc("a/\u{212A}"), Some((2, 3)));
        assert_eq!(first_not_nfc("caf\u{e9}"), None);
    }

    #[test]
    fn offsets_lead_back_to_the_text_before_normalisation() {
        // `é` is three bytes before and two after.
        let text = "cafe\u{301}/x:y";
        let normal = nfc(text);
        assert_eq!(
            before_nfc(text, normal.find(':').unwrap()),
            text.find(':').unwrap()
        );
        assert_eq!(before_nfc(text, 0), 0);
        assert_eq!(before_nfc(text, normal.len()), text.len());
    }
}
