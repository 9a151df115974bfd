//! Names that a file system may take for one another, beyond the case of single letters.
//!
//! Linux (ext4, f2fs with `casefold`) and APFS compare names by full case folding of a normal form, so that
//! `ﬁle` is `file` and `STRASSE` is `straße`. Which tables they have depends on the system, so what keeps out
//! takes the widest reading: compatibility forms (Unicode's NFKD), characters that show nothing left out, and
//! letters that are alike in upper or in lower case, the dotted and dotless i of Turkish included.

#![forbid(unsafe_code)]

use unicode_normalization::UnicodeNormalization;

use crate::text::is_hidden;

/// The path that some file system may take this one for, if that is another by more than the case of single
/// letters; the names in it are looked at one by one.
///
/// ```
/// use lictor::path::taken_for;
///
/// assert_eq!(taken_for("docs/ﬁle").as_deref(), Some("docs/file"));
/// assert_eq!(taken_for("Straße/.gıt").as_deref(), Some("strasse/.git"));
/// assert_eq!(taken_for("docs/café"), None);
/// assert_eq!(taken_for("Docs/File"), None);
/// ```
#[must_use]
pub fn taken_for(path: &str) -> Option<String> {
    if path.is_ascii() {
        return None;
    }
    let mut taken = String::with_capacity(path.len());
    for (nth, name) in path.split('/').enumerate() {
        if nth > 0 {
            taken.push('/');
        }
        taken.push_str(plain(name).as_deref().unwrap_or(name));
    }
    (taken != path).then_some(taken)
}

/// Returns true if a name is `known` in some case, or may be taken for it.
#[cfg(feature = "run")]
pub(crate) fn is_taken_for(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known)
        || taken_for(name).is_some_and(|taken| taken.eq_ignore_ascii_case(known))
}

/// The widest reading of one name; none for a name that would be no name any more.
fn plain(name: &str) -> Option<String> {
    if name.is_ascii() {
        return None;
    }
    // Lower, upper, lower: the full mappings of Unicode's SpecialCasing.txt, which lead wherever the entries
    // of status C and F in CaseFolding.txt do, and from the dotless i to the other one.
    let folded: String = name
        .nfkd()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    let mut shown = String::with_capacity(folded.len());
    for c in folded.nfkd() {
        // The lower case of the dotted capital is an i with another dot.
        let is_second_dot = c == '\u{307}' && shown.ends_with('i');
        if !is_second_dot && !is_hidden(c) {
            shown.push(c);
        }
    }
    let plain: String = shown.nfc().collect();
    let is_name = !matches!(plain.as_str(), "" | "." | "..")
        && !plain.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'));
    is_name.then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_for_what_file_systems_take_it_for() {
        for (name, taken) in [
            ("ﬁle", "file"),
            ("ﬃ", "ffi"),
            ("straße", "strasse"),
            ("STRAẞE", "strasse"),
            ("ſecrets", "secrets"),
            ("\u{212A}eys", "keys"),
            (".gİt", ".git"),
            (".gıt", ".git"),
            (".gi\u{307}t", ".git"),
            (".g\u{200c}it", ".git"),
            ("．ｅｎｖ", ".env"),
            ("cafe\u{301}", "café"),
            ("Ὀδυσσεύς", "ὀδυσσεύσ"),
            ("\u{149}", "\u{2bc}n"),
        ] {
            assert_eq!(taken_for(name).as_deref(), Some(taken), "{name}");
        }
        for name in ["a/b", "café", "日本", "½"] {
            assert!(taken_for(name).is_none_or(|taken| taken != name), "{name}");
        }
        // A separator, or nothing, is no name.
        assert_eq!(taken_for("a\u{2100}"), None);
        assert_eq!(taken_for("\u{200b}"), None);
        assert_eq!(taken_for("\u{2024}"), None);
    }

    #[test]
    fn reading_a_name_twice_is_reading_it_once() {
        for c in (0..=0x0010_FFFF).filter_map(char::from_u32) {
            let name = format!("a{c}i{c}b");
            if let Some(taken) = taken_for(&name) {
                assert_eq!(taken_for(&taken), None, "{c:?} {taken:?}");
            }
        }
    }
}
