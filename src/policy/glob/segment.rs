//! Match of one name with the pieces of one segment.
//!
//! Without alternatives every piece but `*` ends where it must, and two pointers suffice. With
//! alternatives the set of positions that can be reached is carried through the pieces, so that time
//! is bounded by pieces × length whatever the alternatives are.

#![forbid(unsafe_code)]

use super::{Case, Piece};
use crate::policy::casefold::fold;

/// Returns true if the pieces match the name from its first byte to its last.
pub(super) fn matches(pieces: &[Piece], name: &[u8], case: Case) -> bool {
    if pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Alternatives(_)))
    {
        matches_by_positions(pieces, name, case)
    } else {
        matches_by_two_pointers(pieces, name, case)
    }
}

fn matches_by_two_pointers(pieces: &[Piece], name: &[u8], case: Case) -> bool {
    let mut piece_at = 0_usize;
    let mut at = 0_usize;
    let mut last_star = None;
    loop {
        match pieces.get(piece_at) {
            Some(Piece::Star) => {
                piece_at = piece_at.saturating_add(1);
                if piece_at == pieces.len() {
                    return true;
                }
                last_star = Some((piece_at, at));
                continue;
            }
            Some(piece) => {
                if let Some(end) = end_of(piece, name, at, case) {
                    at = end;
                    piece_at = piece_at.saturating_add(1);
                    continue;
                }
            }
            None if at == name.len() => return true,
            None => {}
        }
        // The earliest end of what stands between two stars leaves the most for the rest, so only the
        // last star ever has to take one byte more.
        let Some((after, from)) = &mut last_star else {
            return false;
        };
        *from = from.saturating_add(1);
        if *from > name.len() {
            return false;
        }
        (piece_at, at) = (*after, *from);
    }
}

/// Where a piece that can end at one place only ends if it begins at `at`. `*` and alternatives have
/// many ends and are not asked for.
fn end_of(piece: &Piece, name: &[u8], at: usize, case: Case) -> Option<usize> {
    match piece {
        Piece::Literal(literal) => end_of_literal(literal, name, at, case),
        Piece::AnyByte => name.get(at).map(|_| at.saturating_add(1)),
        Piece::Class(class) => {
            let byte = *name.get(at)?;
            class.contains(byte, case).then(|| at.saturating_add(1))
        }
        Piece::Star | Piece::Alternatives(_) => None,
    }
}

fn end_of_literal(literal: &str, name: &[u8], at: usize, case: Case) -> Option<usize> {
    let rest = name.get(at..)?;
    match case {
        Case::Exact => rest
            .starts_with(literal.as_bytes())
            .then(|| at.saturating_add(literal.len())),
        Case::Folded => {
            let mut taken = 0_usize;
            for expected in literal.chars() {
                let c = first_char(rest.get(taken..)?)?;
                if fold(c) != fold(expected) {
                    return None;
                }
                taken = taken.saturating_add(c.len_utf8());
            }
            Some(at.saturating_add(taken))
        }
    }
}

/// Returns true if the name is the literal in some case.
pub(super) fn is_literal_folded(literal: &str, name: &[u8]) -> bool {
    end_of_literal(literal, name, 0, Case::Folded) == Some(name.len())
}

/// The character that the bytes begin with, if it is one.
fn first_char(bytes: &[u8]) -> Option<char> {
    let len = match bytes.first()? {
        byte @ 0..0x80 => return Some(char::from(*byte)),
        0xC2..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0..0xF5 => 4,
        _ => return None,
    };
    std::str::from_utf8(bytes.get(..len)?).ok()?.chars().next()
}

fn matches_by_positions(pieces: &[Piece], name: &[u8], case: Case) -> bool {
    let words = name.len().wrapping_shr(6).saturating_add(1);
    // A name has at most 255 bytes on nearly every file system, and then nothing is allocated.
    let mut small = [[0_u64; 4]; 4];
    let mut large;
    let [now, next, branch, scratch] = if words <= 4 {
        small.each_mut().map(|words| words.as_mut_slice())
    } else {
        large = [(); 4].map(|()| vec![0_u64; words]);
        large.each_mut().map(Vec::as_mut_slice)
    };
    insert(now, 0);
    for piece in pieces {
        next.fill(0);
        match piece {
            Piece::Alternatives(branches) => {
                for pieces in branches {
                    branch.copy_from_slice(now);
                    for piece in pieces {
                        scratch.fill(0);
                        advance(piece, name, case, branch, scratch);
                        branch.copy_from_slice(scratch);
                    }
                    for (all, new) in next.iter_mut().zip(branch.iter()) {
                        *all |= new;
                    }
                }
            }
            Piece::Literal(_) | Piece::Star | Piece::AnyByte | Piece::Class(_) => {
                advance(piece, name, case, now, next);
            }
        }
        now.copy_from_slice(next);
    }
    contains(now, name.len())
}

/// Adds to `to` every position that the piece reaches from one in `from`.
fn advance(piece: &Piece, name: &[u8], case: Case, from: &[u64], to: &mut [u64]) {
    if *piece == Piece::Star {
        if let Some(first) = positions(from).next() {
            for at in first..=name.len() {
                insert(to, at);
            }
        }
        return;
    }
    for at in positions(from) {
        if let Some(end) = end_of(piece, name, at, case) {
            insert(to, end);
        }
    }
}

fn insert(set: &mut [u64], at: usize) {
    if let Some(word) = set.get_mut(at.wrapping_shr(6)) {
        *word |= bit(at);
    }
}

fn contains(set: &[u64], at: usize) -> bool {
    set.get(at.wrapping_shr(6))
        .is_some_and(|word| word & bit(at) != 0)
}

fn bit(at: usize) -> u64 {
    1 << (at & 63)
}

/// The positions in a set, in order.
fn positions(set: &[u64]) -> impl Iterator<Item = usize> {
    set.iter()
        .zip((0_usize..).step_by(64))
        .flat_map(|(word, base)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let low = usize::try_from(rest.trailing_zeros())
                    .ok()
                    .filter(|low| *low < 64)?;
                rest &= rest.wrapping_sub(1);
                Some(base.saturating_add(low))
            })
        })
}
