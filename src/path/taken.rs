//! Names that a file system may take for one another, beyond the case of single letters.
//!
//! Linux (ext4, f2fs with `casefold`) and APFS compare names by full case folding of a normal form, so that
//! `ﬁle` is `file` and `STRASSE` is `straße`. Which tables they have depends on the system, so what keeps out
//! takes the widest reading: compatibility forms (Unicode's NFKD), characters that show nothing left out, and
//! letters that are alike in upper or in lower case, the dotted and dotless i of Turkish included.

#![forbid(unsafe_code)]

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::text::is_hidden;

/// The text that some file system may take this one for, if that is another by more than the case of single
/// letters. The text is a name, or a part of one.
///
/// Each character is read by itself, and a mark together with what it stands on. An ASCII letter without a mark
/// stays as it is.
///
/// ```
/// use lictor::path::taken_for;
///
/// assert_eq!(taken_for("ﬁle").as_deref(), Some("file"));
/// assert_eq!(taken_for("Straße").as_deref(), Some("Strasse"));
/// assert_eq!(taken_for(".gıt").as_deref(), Some(".git"));
/// assert_eq!(taken_for("café"), None);
/// assert_eq!(taken_for("File"), None);
/// ```
#[must_use]
pub fn taken_for(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let shown: Vec<char> = text.nfkd().filter(|c| !is_hidden(*c)).collect();
    let mut folded = String::with_capacity(text.len());
    for (nth, c) in shown.iter().enumerate() {
        let next = shown.get(nth.saturating_add(1));
        let has_mark = next.is_some_and(|next| canonical_combining_class(*next) != 0);
        if c.is_ascii() && !has_mark {
            folded.push(*c);
        } else {
            // Lower, upper, lower: the full mappings of Unicode's SpecialCasing.txt, which lead wherever the
            // entries of status C and F in CaseFolding.txt do, and from the dotless i to the other one.
            let lower = c.to_lowercase().flat_map(char::to_uppercase);
            folded.extend(lower.flat_map(char::to_lowercase));
        }
    }
    let mut plain = String::with_capacity(folded.len());
    for c in folded.nfkd() {
        // The lower case of the dotted capital is an i with another dot.
        let is_second_dot = c == SECOND_DOT && plain.ends_with(['i', 'I']);
        if !is_second_dot && !is_hidden(c) {
            plain.push(c);
        }
    }
    let taken: String = plain.nfc().collect();
    (taken != text).then_some(taken)
}

/// The dot that shows nothing above an i, which has one.
pub(crate) const SECOND_DOT: char = '\u{307}';

/// Returns true if a name is `known` in some case, or may be taken for it.
pub(crate) fn is_taken_for(name: &str, known: &str) -> bool {
    if name.eq_ignore_ascii_case(known) {
        return true;
    }
    if name.is_ascii() && known.is_ascii() {
        return false;
    }
    let [name, known] =
        [name, known].map(|text| taken_for(text).unwrap_or_else(|| text.to_owned()));
    name.eq_ignore_ascii_case(&known)
}

/// Returns true if the character, or what it is taken for, may become one with those before it: a mark, or the
/// later part of a syllable.
pub(crate) fn joins_what_is_before(c: char) -> bool {
    let taken = taken_for(c.encode_utf8(&mut [0; 4]));
    let first = taken.and_then(|taken| taken.chars().next());
    [Some(c), first].into_iter().flatten().any(|c| {
        canonical_combining_class(c) != 0 || is_nfc_quick(std::iter::once(c)) == IsNormalized::Maybe
    })
}

/// The parts of a character that is composed of several.
pub(crate) fn parts(c: char) -> Vec<char> {
    std::iter::once(c).nfd().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_chars() -> impl Iterator<Item = char> {
        (0..=0x0010_FFFF).filter_map(char::from_u32)
    }

    #[test]
    fn a_name_is_taken_for_what_file_systems_take_it_for() {
        for (name, taken) in [
            ("ﬁle", "file"),
            ("ﬃ", "ffi"),
            ("straße", "strasse"),
            ("STRAẞE", "STRAssE"),
            ("ſecrets", "secrets"),
            ("\u{212A}eys", "Keys"),
            (".gİt", ".git"),
            (".gıt", ".git"),
            (".gi\u{307}t", ".git"),
            (".GI\u{307}t", ".Git"),
            (".g\u{200c}it", ".git"),
            ("．ｅｎｖ", ".env"),
            ("cafe\u{301}", "café"),
            ("H\u{331}", "ẖ"),
            ("Ὀδυσσεύς", "ὀδυσσεύσ"),
            ("\u{149}", "\u{2bc}n"),
            ("a\u{2100}", "aa/c"),
            ("\u{200b}", ""),
            ("\u{2024}", "."),
        ] {
            assert_eq!(taken_for(name).as_deref(), Some(taken), "{name}");
        }
        for name in ["a/b", "café", "日本"] {
            assert_eq!(taken_for(name), None, "{name}");
        }
    }

    #[test]
    fn reading_a_name_twice_is_reading_it_once() {
        for c in all_chars() {
            let name = format!("a{c}i{c}b");
            if let Some(taken) = taken_for(&name) {
                assert_eq!(taken_for(&taken), None, "{c:?} {taken:?}");
            }
        }
    }

    /// Exact analysis reads names character by character.
    #[test]
    fn a_character_that_does_not_join_is_read_by_itself() {
        let read = |text: &str| taken_for(text).unwrap_or_else(|| text.to_owned());
        let alone = |c: char| read(c.encode_utf8(&mut [0; 4]));
        // All that are read as something else, and some of the others.
        let matters = |c: &char| u32::from(*c) % 64 == 0 || alone(*c) != c.to_string();
        for c in all_chars().filter(|c| matters(c) && !joins_what_is_before(*c)) {
            for before in ['i', 'ﬁ', 'É', 'ß', 'ſ', 'x', '\u{1100}', '가'] {
                let together = alone(before) + &alone(c);
                assert_eq!(read(&format!("{before}{c}")), together, "{before:?} {c:?}");
            }
        }
    }
}
