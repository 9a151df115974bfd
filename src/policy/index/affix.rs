//! The bytes by which the names that a segment matches can be known: `test_*` by its first five,
//! `*.py` by its last three.

#![forbid(unsafe_code)]

use super::table::Ends;
use crate::path::taken_for;
use crate::policy::casefold::fold_text;
use crate::policy::glob::{Case, Piece};

/// Up to eight bytes that a name begins or ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Affix {
    kind: AffixKind,
    word: u64,
}

impl Affix {
    /// The text that every name which these pieces match has in its first or its last piece, whichever is
    /// longer.
    ///
    /// Folded text begins and ends with the folded bytes of the text that it begins and ends with, so
    /// what holds for a name holds for its folded form.
    pub(super) fn of(pieces: &[Piece], case: Case) -> Option<Affix> {
        let text_of = |piece: Option<&Piece>| match (piece, case) {
            (Some(Piece::Literal(text)), Case::Exact) => text.clone(),
            // A text that may be taken for another one has no bytes that all names have.
            (Some(Piece::Literal(text)), Case::Folded) if taken_for(text).is_none() => {
                fold_text(text)
            }
            _ => String::new(),
        };
        let (head, tail) = (text_of(pieces.first()), text_of(pieces.last()));
        let (kind, text) = if head.len() > tail.len() {
            (AffixKind::new(Side::Head, head.len())?, head)
        } else {
            (AffixKind::new(Side::Tail, tail.len())?, tail)
        };
        Ends::of(text.as_bytes()).affix(kind)
    }

    /// The set of kinds that holds its kind alone.
    pub(super) fn kind_bit(self) -> u16 {
        self.kind.bit()
    }

    pub(super) fn hash(self) -> u64 {
        self.word ^ u64::from(self.kind.0).wrapping_mul(0xA24B_AED4_963E_E407)
    }
}

/// At which end the bytes stand, and how many there are: the lower three bits, and one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AffixKind(u8);

#[derive(Clone, Copy)]
enum Side {
    Head,
    Tail,
}

impl AffixKind {
    fn new(side: Side, len: usize) -> Option<AffixKind> {
        let len = u8::try_from(len.min(8)).ok()?.checked_sub(1)?;
        Some(AffixKind(match side {
            Side::Head => len,
            Side::Tail => len | 8,
        }))
    }

    /// The kinds in a set.
    pub(super) fn all(set: u16) -> impl Iterator<Item = AffixKind> {
        let mut rest = set;
        std::iter::from_fn(move || {
            let kind = u8::try_from(rest.trailing_zeros())
                .ok()
                .filter(|kind| *kind < 16)?;
            rest &= rest.wrapping_sub(1);
            Some(AffixKind(kind))
        })
    }

    fn bit(self) -> u16 {
        1_u16.wrapping_shl(u32::from(self.0))
    }
}

impl Ends {
    /// The affix of this kind that the name has, if the name is long enough.
    pub(super) fn affix(&self, kind: AffixKind) -> Option<Affix> {
        let len = (kind.0 & 7).saturating_add(1);
        // What a whole word has too many: nothing if all eight bytes are meant.
        let surplus = 64_u32.saturating_sub(u32::from(len).saturating_mul(8));
        let word = if kind.0 & 8 == 0 {
            self.head.wrapping_shl(surplus)
        } else {
            self.tail.wrapping_shr(surplus)
        };
        (self.len >= usize::from(len)).then_some(Affix { kind, word })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::glob::{Pattern, Segment};

    fn affix(pattern: &str) -> Option<Affix> {
        let pattern = Pattern::parse(pattern).unwrap();
        let [Segment::Wild(pieces)] = pattern.segments() else {
            return None;
        };
        Affix::of(pieces, Case::Exact)
    }

    #[test]
    fn names_that_match_have_the_affix_and_others_mostly_not() {
        #[track_caller]
        fn check(pattern: &str, has: &[&str], has_not: &[&str]) {
            let affix = affix(pattern).unwrap();
            for name in has {
                assert_eq!(
                    Ends::of(name.as_bytes()).affix(affix.kind),
                    Some(affix),
                    "{name}"
                );
            }
            for name in has_not {
                assert_ne!(
                    Ends::of(name.as_bytes()).affix(affix.kind),
                    Some(affix),
                    "{name}"
                );
            }
        }
        check("*.py", &["a.py", ".py"], &["py", "a.pyc", ""]);
        check("test_*", &["test_", "test_a"], &["test", "atest_"]);
        check("test_*.py", &["test_x"], &["tests_x.py"]);
        check("abcdefghij*", &["abcdefghij", "abcdefgh"], &["abcdefg"]);
        check("*abcdefghij", &["abcdefghij", "cdefghij"], &["abcdefghi"]);
        assert_eq!(affix("*"), None);
        assert_eq!(affix("[ab]*"), None);
    }
}
