//! Simple case folding: which characters a case-insensitive disk may take for the same.
//!
//! One character folds to one character (statuses C and S of Unicode's table), so a path keeps its
//! characters in number and order, though not always in bytes: `ſ` has two and folds to `s`.

#![forbid(unsafe_code)]

use crate::path::taken_for;

/// The character that all cases of `c` fold to.
///
/// ```
/// use lictor::policy::casefold::fold;
///
/// assert_eq!(['A', 'a', 'É', 'ſ', 'ẞ', '1'].map(fold), ['a', 'a', 'é', 's', 'ß', '1']);
/// ```
#[must_use]
pub fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let code = u32::from(c);
    let at = RUNS.partition_point(|run| run.1 < code);
    match RUNS.get(at) {
        Some(run) if holds(run, code) => shifted(code, run.3).unwrap_or(c),
        _ => c,
    }
}

/// All characters that fold as `c` does, `c` among them, each once.
///
/// ```
/// use lictor::policy::casefold::variants;
///
/// assert_eq!(variants('K').collect::<Vec<_>>(), ['k', 'K', '\u{212A}']);
/// assert_eq!(variants('7').collect::<Vec<_>>(), ['7']);
/// ```
pub fn variants(c: char) -> impl Iterator<Item = char> {
    let folded = fold(c);
    let others = RUNS.iter().filter_map(move |run| {
        let other = shifted(u32::from(folded), run.3.checked_neg()?)?;
        holds(run, u32::from(other)).then_some(other)
    });
    std::iter::once(folded).chain(others)
}

/// The text with every character folded. What is not UTF-8 stays as it is.
#[must_use]
pub fn fold_bytes(text: &[u8]) -> Vec<u8> {
    // Folding makes two bytes three at most.
    let mut room = vec![0; text.len().saturating_mul(2)];
    fold_into(text, &mut room)
        .map(<[u8]>::to_vec)
        .unwrap_or_default()
}

/// As [`fold_bytes`], into a buffer; nothing if the buffer is too short.
pub(super) fn fold_into<'a>(text: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    if text.is_ascii() {
        let folded = room.get_mut(..text.len())?;
        folded.copy_from_slice(text);
        folded.make_ascii_lowercase();
        return Some(folded);
    }
    let mut len = 0_usize;
    let mut put = |bytes: &[u8]| {
        let end = len.checked_add(bytes.len())?;
        room.get_mut(len..end)?.copy_from_slice(bytes);
        len = end;
        Some(())
    };
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            put(fold(c).encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        put(chunk.invalid())?;
    }
    room.get(..len)
}

/// The text with every character folded.
#[must_use]
pub fn fold_text(text: &str) -> String {
    text.chars().map(fold).collect()
}

/// The text that all names have in common which some file system may take for one another.
///
/// ```
/// use lictor::policy::casefold::key;
///
/// assert_eq!(key("STRASSE"), key("straße"));
/// assert_eq!(key("ﬁle"), "file");
/// assert_ne!(key("café"), key("cafe"));
/// ```
#[must_use]
pub fn key(name: &str) -> String {
    taken_for(name).map_or_else(|| fold_text(name), |taken| fold_text(&taken))
}

/// Characters from the first to the second, each third-field-th of them, fold to what lies the fourth
/// field further on.
type Run = (u32, u32, u32, i32);

fn holds(run: &Run, code: u32) -> bool {
    let (first, last, step, _) = *run;
    (first..=last).contains(&code)
        && code
            .wrapping_sub(first)
            .checked_rem(step)
            .is_some_and(|rest| rest == 0)
}

fn shifted(code: u32, by: i32) -> Option<char> {
    code.checked_add_signed(by).and_then(char::from_u32)
}

/// All C and S entries of `CaseFolding-16.0.0.txt` of the Unicode Character Database
/// (<https://www.unicode.org/Public/16.0.0/ucd/CaseFolding.txt>), neighbours joined to runs. Sorted,
/// and no run reaches into another. The test below holds it against the table of regex-syntax.
#[rustfmt::skip]
static RUNS: &[Run] = &[
    (0x0041, 0x005A, 1, 32), (0x00B5, 0x00B5, 1, 775), (0x00C0, 0x00D6, 1, 32),
    (0x00D8, 0x00DE, 1, 32), (0x0100, 0x012E, 2, 1), (0x0132, 0x0136, 2, 1), (0x0139, 0x0147, 2, 1),
    (0x014A, 0x0176, 2, 1), (0x0178, 0x0178, 1, -121), (0x0179, 0x017D, 2, 1),
    (0x017F, 0x017F, 1, -268), (0x0181, 0x0181, 1, 210), (0x0182, 0x0184, 2, 1),
    (0x0186, 0x0186, 1, 206), (0x0187, 0x0187, 1, 1), (0x0189, 0x018A, 1, 205),
    (0x018B, 0x018B, 1, 1), (0x018E, 0x018E, 1, 79), (0x018F, 0x018F, 1, 202),
    (0x0190, 0x0190, 1, 203), (0x0191, 0x0191, 1, 1), (0x0193, 0x0193, 1, 205),
    (0x0194, 0x0194, 1, 207), (0x0196, 0x0196, 1, 211), (0x0197, 0x0197, 1, 209),
    (0x0198, 0x0198, 1, 1), (0x019C, 0x019C, 1, 211), (0x019D, 0x019D, 1, 213),
    (0x019F, 0x019F, 1, 214), (0x01A0, 0x01A4, 2, 1), (0x01A6, 0x01A6, 1, 218),
    (0x01A7, 0x01A7, 1, 1), (0x01A9, 0x01A9, 1, 218), (0x01AC, 0x01AC, 1, 1),
    (0x01AE, 0x01AE, 1, 218), (0x01AF, 0x01AF, 1, 1), (0x01B1, 0x01B2, 1, 217),
    (0x01B3, 0x01B5, 2, 1), (0x01B7, 0x01B7, 1, 219), (0x01B8, 0x01B8, 1, 1),
    (0x01BC, 0x01BC, 1, 1), (0x01C4, 0x01C4, 1, 2), (0x01C5, 0x01C5, 1, 1), (0x01C7, 0x01C7, 1, 2),
    (0x01C8, 0x01C8, 1, 1), (0x01CA, 0x01CA, 1, 2), (0x01CB, 0x01DB, 2, 1), (0x01DE, 0x01EE, 2, 1),
    (0x01F1, 0x01F1, 1, 2), (0x01F2, 0x01F4, 2, 1), (0x01F6, 0x01F6, 1, -97),
    (0x01F7, 0x01F7, 1, -56), (0x01F8, 0x021E, 2, 1), (0x0220, 0x0220, 1, -130),
    (0x0222, 0x0232, 2, 1), (0x023A, 0x023A, 1, 10795), (0x023B, 0x023B, 1, 1),
    (0x023D, 0x023D, 1, -163), (0x023E, 0x023E, 1, 10792), (0x0241, 0x0241, 1, 1),
    (0x0243, 0x0243, 1, -195), (0x0244, 0x0244, 1, 69), (0x0245, 0x0245, 1, 71),
    (0x0246, 0x024E, 2, 1), (0x0345, 0x0345, 1, 116), (0x0370, 0x0372, 2, 1),
    (0x0376, 0x0376, 1, 1), (0x037F, 0x037F, 1, 116), (0x0386, 0x0386, 1, 38),
    (0x0388, 0x038A, 1, 37), (0x038C, 0x038C, 1, 64), (0x038E, 0x038F, 1, 63),
    (0x0391, 0x03A1, 1, 32), (0x03A3, 0x03AB, 1, 32), (0x03C2, 0x03C2, 1, 1),
    (0x03CF, 0x03CF, 1, 8), (0x03D0, 0x03D0, 1, -30), (0x03D1, 0x03D1, 1, -25),
    (0x03D5, 0x03D5, 1, -15), (0x03D6, 0x03D6, 1, -22), (0x03D8, 0x03EE, 2, 1),
    (0x03F0, 0x03F0, 1, -54), (0x03F1, 0x03F1, 1, -48), (0x03F4, 0x03F4, 1, -60),
    (0x03F5, 0x03F5, 1, -64), (0x03F7, 0x03F7, 1, 1), (0x03F9, 0x03F9, 1, -7),
    (0x03FA, 0x03FA, 1, 1), (0x03FD, 0x03FF, 1, -130), (0x0400, 0x040F, 1, 80),
    (0x0410, 0x042F, 1, 32), (0x0460, 0x0480, 2, 1), (0x048A, 0x04BE, 2, 1),
    (0x04C0, 0x04C0, 1, 15), (0x04C1, 0x04CD, 2, 1), (0x04D0, 0x052E, 2, 1),
    (0x0531, 0x0556, 1, 48), (0x10A0, 0x10C5, 1, 7264), (0x10C7, 0x10C7, 1, 7264),
    (0x10CD, 0x10CD, 1, 7264), (0x13F8, 0x13FD, 1, -8), (0x1C80, 0x1C80, 1, -6222),
    (0x1C81, 0x1C81, 1, -6221), (0x1C82, 0x1C82, 1, -6212), (0x1C83, 0x1C84, 1, -6210),
    (0x1C85, 0x1C85, 1, -6211), (0x1C86, 0x1C86, 1, -6204), (0x1C87, 0x1C87, 1, -6180),
    (0x1C88, 0x1C88, 1, 35267), (0x1C89, 0x1C89, 1, 1), (0x1C90, 0x1CBA, 1, -3008),
    (0x1CBD, 0x1CBF, 1, -3008), (0x1E00, 0x1E94, 2, 1), (0x1E9B, 0x1E9B, 1, -58),
    (0x1E9E, 0x1E9E, 1, -7615), (0x1EA0, 0x1EFE, 2, 1), (0x1F08, 0x1F0F, 1, -8),
    (0x1F18, 0x1F1D, 1, -8), (0x1F28, 0x1F2F, 1, -8), (0x1F38, 0x1F3F, 1, -8),
    (0x1F48, 0x1F4D, 1, -8), (0x1F59, 0x1F5F, 2, -8), (0x1F68, 0x1F6F, 1, -8),
    (0x1F88, 0x1F8F, 1, -8), (0x1F98, 0x1F9F, 1, -8), (0x1FA8, 0x1FAF, 1, -8),
    (0x1FB8, 0x1FB9, 1, -8), (0x1FBA, 0x1FBB, 1, -74), (0x1FBC, 0x1FBC, 1, -9),
    (0x1FBE, 0x1FBE, 1, -7173), (0x1FC8, 0x1FCB, 1, -86), (0x1FCC, 0x1FCC, 1, -9),
    (0x1FD3, 0x1FD3, 1, -7235), (0x1FD8, 0x1FD9, 1, -8), (0x1FDA, 0x1FDB, 1, -100),
    (0x1FE3, 0x1FE3, 1, -7219), (0x1FE8, 0x1FE9, 1, -8), (0x1FEA, 0x1FEB, 1, -112),
    (0x1FEC, 0x1FEC, 1, -7), (0x1FF8, 0x1FF9, 1, -128), (0x1FFA, 0x1FFB, 1, -126),
    (0x1FFC, 0x1FFC, 1, -9), (0x2126, 0x2126, 1, -7517), (0x212A, 0x212A, 1, -8383),
    (0x212B, 0x212B, 1, -8262), (0x2132, 0x2132, 1, 28), (0x2160, 0x216F, 1, 16),
    (0x2183, 0x2183, 1, 1), (0x24B6, 0x24CF, 1, 26), (0x2C00, 0x2C2F, 1, 48),
    (0x2C60, 0x2C60, 1, 1), (0x2C62, 0x2C62, 1, -10743), (0x2C63, 0x2C63, 1, -3814),
    (0x2C64, 0x2C64, 1, -10727), (0x2C67, 0x2C6B, 2, 1), (0x2C6D, 0x2C6D, 1, -10780),
    (0x2C6E, 0x2C6E, 1, -10749), (0x2C6F, 0x2C6F, 1, -10783), (0x2C70, 0x2C70, 1, -10782),
    (0x2C72, 0x2C72, 1, 1), (0x2C75, 0x2C75, 1, 1), (0x2C7E, 0x2C7F, 1, -10815),
    (0x2C80, 0x2CE2, 2, 1), (0x2CEB, 0x2CED, 2, 1), (0x2CF2, 0x2CF2, 1, 1), (0xA640, 0xA66C, 2, 1),
    (0xA680, 0xA69A, 2, 1), (0xA722, 0xA72E, 2, 1), (0xA732, 0xA76E, 2, 1), (0xA779, 0xA77B, 2, 1),
    (0xA77D, 0xA77D, 1, -35332), (0xA77E, 0xA786, 2, 1), (0xA78B, 0xA78B, 1, 1),
    (0xA78D, 0xA78D, 1, -42280), (0xA790, 0xA792, 2, 1), (0xA796, 0xA7A8, 2, 1),
    (0xA7AA, 0xA7AA, 1, -42308), (0xA7AB, 0xA7AB, 1, -42319), (0xA7AC, 0xA7AC, 1, -42315),
    (0xA7AD, 0xA7AD, 1, -42305), (0xA7AE, 0xA7AE, 1, -42308), (0xA7B0, 0xA7B0, 1, -42258),
    (0xA7B1, 0xA7B1, 1, -42282), (0xA7B2, 0xA7B2, 1, -42261), (0xA7B3, 0xA7B3, 1, 928),
    (0xA7B4, 0xA7C2, 2, 1), (0xA7C4, 0xA7C4, 1, -48), (0xA7C5, 0xA7C5, 1, -42307),
    (0xA7C6, 0xA7C6, 1, -35384), (0xA7C7, 0xA7C9, 2, 1), (0xA7CB, 0xA7CB, 1, -42343),
    (0xA7CC, 0xA7CC, 1, 1), (0xA7D0, 0xA7D0, 1, 1), (0xA7D6, 0xA7DA, 2, 1),
    (0xA7DC, 0xA7DC, 1, -42561), (0xA7F5, 0xA7F5, 1, 1), (0xAB70, 0xABBF, 1, -38864),
    (0xFB05, 0xFB05, 1, 1), (0xFF21, 0xFF3A, 1, 32), (0x10400, 0x10427, 1, 40),
    (0x104B0, 0x104D3, 1, 40), (0x10570, 0x1057A, 1, 39), (0x1057C, 0x1058A, 1, 39),
    (0x1058C, 0x10592, 1, 39), (0x10594, 0x10595, 1, 39), (0x10C80, 0x10CB2, 1, 64),
    (0x10D50, 0x10D65, 1, 32), (0x118A0, 0x118BF, 1, 32), (0x16E40, 0x16E5F, 1, 32),
    (0x1E900, 0x1E921, 1, 34),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    fn all_chars() -> impl Iterator<Item = char> {
        (0..=0x0010_FFFF).filter_map(char::from_u32)
    }

    #[test]
    fn the_runs_are_sorted_and_apart() {
        assert!(RUNS.windows(2).all(|two| two[0].1 < two[1].0));
        let count: u32 = RUNS
            .iter()
            .map(|(first, last, step, _)| (last - first) / step + 1)
            .sum();
        assert_eq!(
            count, 1484,
            "entries of status C and S in the table of Unicode 16"
        );
    }

    #[test]
    fn folding_twice_is_folding_once_and_adds_half_at_most() {
        for c in all_chars() {
            assert_eq!(fold(fold(c)), fold(c), "{c:?}");
            assert!(fold(c).len_utf8() * 2 <= c.len_utf8() * 3, "{c:?}");
        }
    }

    #[test]
    fn the_variants_are_those_of_regex_syntax() {
        // Whatever any table folds has another case for the standard library, or folds here.
        let has_case =
            |c: &char| fold(*c) != *c || !c.to_lowercase().eq([*c]) || !c.to_uppercase().eq([*c]);
        let cased: Vec<_> = all_chars().filter(has_case).collect();
        assert!(cased.len() > 2800);
        for c in cased {
            assert_eq!(variants(c).collect::<BTreeSet<_>>(), closure(c), "{c:?}");
            assert_eq!(
                variants(c).count(),
                closure(c).len(),
                "{c:?} has no variant twice"
            );
        }
    }

    #[test]
    fn names_that_differ_in_case_only_have_one_key() {
        for c in all_chars() {
            for other in variants(c) {
                let [c, other] = [c, other].map(|c| format!("a{c}b"));
                assert_eq!(key(&c), key(&other), "{c:?} {other:?}");
            }
        }
    }

    fn closure(c: char) -> BTreeSet<char> {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
        class.case_fold_simple();
        class
            .ranges()
            .iter()
            .flat_map(|range| range.start()..=range.end())
            .collect()
    }

    #[test]
    fn bytes_that_are_not_utf8_stay() {
        assert_eq!(
            fold_bytes(b"A\xffB\xc3\x89\xe2\x84"),
            b"a\xffb\xc3\xa9\xe2\x84"
        );
        assert_eq!(fold_into(b"ab", &mut [0; 1]), None);
        assert_eq!(fold_text("GRÜẞE"), "grüße");
    }
}
