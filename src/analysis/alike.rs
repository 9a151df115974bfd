//! Characters that some file system may take for other text than another case of themselves.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::path::taken_for;
use crate::policy::casefold::{fold, fold_text};

/// Characters of equal length that are taken for the same text.
#[derive(Debug)]
pub(super) struct Alike {
    /// In lower case.
    pub(super) taken: String,
    /// Those that a reader knows first.
    pub(super) characters: Vec<char>,
}

/// All of them, but those that show nothing.
pub(super) fn all() -> &'static [Alike] {
    static ALL: LazyLock<Vec<Alike>> = LazyLock::new(|| {
        let mut found: BTreeMap<(String, usize), Vec<char>> = BTreeMap::new();
        let ranges = RANGES.iter().flat_map(|(first, last)| *first..=*last);
        for c in ranges.filter_map(char::from_u32) {
            if let Some(taken) = other(c) {
                found.entry((taken, c.len_utf8())).or_default().push(c);
            }
        }
        found.values_mut().for_each(|characters| {
            characters.sort_by_key(|c| (!('\u{ff01}'..='\u{ff5e}').contains(c), c.is_uppercase()))
        });
        let alike = found
            .into_iter()
            .map(|((taken, _), characters)| Alike { taken, characters });
        alike.collect()
    });
    &ALL
}

/// Those that are taken for one character.
pub(super) fn of(c: char) -> impl Iterator<Item = &'static Alike> {
    let first = all().partition_point(|alike| alike.taken.chars().lt([c]));
    let same = all().get(first..).unwrap_or_default().iter();
    same.take_while(move |alike| alike.taken.chars().eq([c]))
}

/// Some characters that show nothing, by their length: a name is taken for what is left without them.
pub(super) const HIDDEN: &[&[char]] = &[
    &['\u{ad}', '\u{34f}', '\u{61c}'],
    &['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}'],
    &['\u{e0001}', '\u{e0020}', '\u{e0021}', '\u{e0022}'],
];

/// The text that a character is taken for, if that is no other case of it.
fn other(c: char) -> Option<String> {
    let taken = fold_text(&taken_for(c.encode_utf8(&mut [0; 4]))?);
    (!taken.is_empty() && !taken.chars().eq([fold(c)])).then_some(taken)
}

/// The ranges that hold such characters. The test below checks them against all characters.
#[rustfmt::skip]
const RANGES: &[(u32, u32)] = &[
    (0x00A0, 0x00BE), (0x00DF, 0x00DF), (0x0130, 0x0149), (0x01C4, 0x01CC), (0x01F1, 0x01F3),
    (0x02B0, 0x02B8), (0x02D8, 0x02E4), (0x0340, 0x0344), (0x0374, 0x0387), (0x03D2, 0x03D4),
    (0x03F2, 0x03F9), (0x0558, 0x0558), (0x0587, 0x058C), (0x0675, 0x0678), (0x0958, 0x095F),
    (0x09DC, 0x09DF), (0x0A33, 0x0A36), (0x0A59, 0x0A5E), (0x0B5C, 0x0B5D), (0x0E33, 0x0E33),
    (0x0EB3, 0x0EB3), (0x0EDC, 0x0EDD), (0x0F0C, 0x0F0C), (0x0F43, 0x0F81), (0x0F93, 0x0FB9),
    (0x10FC, 0x10FC), (0x1D2C, 0x1D78), (0x1D9B, 0x1DBF), (0x1E9A, 0x1E9E), (0x1F71, 0x205F),
    (0x2070, 0x20A8), (0x2100, 0x2189), (0x222C, 0x2230), (0x2329, 0x232A), (0x2460, 0x24EA),
    (0x2A0C, 0x2A0C), (0x2A74, 0x2A76), (0x2ADC, 0x2ADC), (0x2C7C, 0x2C7D), (0x2D6F, 0x2D6F),
    (0x2E9F, 0x2E9F), (0x2EF3, 0x2FD5), (0x3000, 0x3000), (0x3036, 0x303A), (0x309B, 0x309F),
    (0x30FF, 0x30FF), (0x3131, 0x319F), (0x3200, 0x33FF), (0xA69C, 0xA69D), (0xA770, 0xA770),
    (0xA7CE, 0xA7D4), (0xA7F1, 0xA7F9), (0xAB5C, 0xAB69), (0xF900, 0xFAD9), (0xFB00, 0xFBB1),
    (0xFBD3, 0xFD3D), (0xFD50, 0xFDC7), (0xFDF0, 0xFDFC), (0xFE10, 0xFE19), (0xFE30, 0xFFEE),
    (0x10781, 0x107BF), (0x16EA0, 0x16EB8), (0x1B123, 0x1B126), (0x1CCD6, 0x1CCF9),
    (0x1D15E, 0x1D164), (0x1D1BB, 0x1D1C0), (0x1D400, 0x1D7FF), (0x1DF95, 0x1DF95),
    (0x1DFCD, 0x1DFFF), (0x1E030, 0x1E06D), (0x1EE00, 0x1EEBB), (0x1F100, 0x1F14F),
    (0x1F16A, 0x1F16C), (0x1F190, 0x1F190), (0x1F200, 0x1F251), (0x1FBF0, 0x1FBF9),
    (0x2F800, 0x2FA1D),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_hold_all_of_them() {
        let is_known = |code: u32| {
            RANGES
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&code))
        };
        for c in (0..=0x0010_FFFF).filter_map(char::from_u32) {
            assert!(other(c).is_none() || is_known(u32::from(c)), "{c:?}");
        }
        for c in HIDDEN.iter().copied().flatten() {
            assert_eq!(taken_for(&c.to_string()).as_deref(), Some(""));
        }
    }
}
