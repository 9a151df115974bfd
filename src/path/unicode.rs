//! Characters that mislead: controls, invisible ones, look-alikes, and text that is not in normal
//! form C.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A control character or line separator (rule 5): C0, DEL, C1, U+2028, U+2029.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// An invisible, bidirectional, private-use or non-character (rule 6, "list I" of the path rules).
///
/// The list is our own: default-ignorable code points that a name has no use for, characters that
/// reorder text, private use (WSL, Cygwin and SFM map some of it to `\`, `:` and `/`), and what is no
/// character at all.
pub(crate) fn is_hidden(c: char) -> bool {
    match u32::from(c) {
        0x00AD
        | 0x034F
        | 0x061C
        | 0x115F..=0x1160
        | 0x17B4..=0x17B5
        | 0x180B..=0x180F
        | 0x200B..=0x200F
        | 0x202A..=0x202E
        | 0x2060..=0x206F
        | 0x3164
        | 0xE000..=0xF8FF
        | 0xFDD0..=0xFDEF
        | 0xFE00..=0xFE0F
        | 0xFEFF
        | 0xFFA0
        | 0xFFF0..=0xFFFB
        | 0x1BCA0..=0x1BCA3
        | 0x1D173..=0x1D17A
        | 0xE0000..=0xE0FFF
        | 0xF0000.. => true,
        code => code & 0xFFFE == 0xFFFE,
    }
}

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

/// Whether a character can stand in a text in normal form C: some are always written as another one.
pub(crate) fn is_composed(c: char) -> bool {
    c.is_ascii() || is_nfc(c.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_those_of_the_list() {
        for c in [
            '\u{AD}',
            '\u{200B}',
            '\u{202E}',
            '\u{FEFF}',
            '\u{F05C}',
            '\u{1FFFE}',
            '\u{10FFFF}',
        ] {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in [
            'a',
            'é',
            '\u{2014}',
            '\u{2026}',
            '\u{FFFC}',
            '\u{FFFD}',
            '\u{1F600}',
            '\u{2010}',
        ] {
            assert!(!is_hidden(c), "{c:?}");
        }
    }

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
