//! Names that a reader takes for names: of all that would do, an answer shows the plainest.

#![forbid(unsafe_code)]

use super::atoms::Atom;
use crate::policy::glob::{Case, Piece, Segment};

/// Oddity of a name; the least odd one is shown.
pub(super) fn oddity(name: &[u8]) -> (bool, usize, usize) {
    let is_plain =
        |byte: &&u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(byte);
    let odd = name
        .len()
        .saturating_sub(name.iter().filter(is_plain).count());
    let starts_plain = name.first().is_some_and(u8::is_ascii_alphanumeric);
    (!starts_plain, odd, name.len())
}

/// Names that may do as well as one that was found, the most ordinary first: what its patterns stand
/// for, and names like it that do not begin with a dot.
pub(super) fn candidates<'a>(
    name: &[u8],
    patterns: impl Iterator<Item = &'a Atom>,
) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for atom in patterns {
        if let Atom::Named(Segment::Wild(pieces), _) = atom {
            found.push(instance(pieces).into_bytes());
        }
    }
    if !name.first().is_some_and(u8::is_ascii_alphanumeric) {
        found.push([b"a", name].concat());
    }
    found.retain(|candidate| candidate != name);
    found
}

/// An ordinary name that the pieces match.
fn instance(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for (nth, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Star => {
                let next = pieces.get(nth.saturating_add(1));
                let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                let after = match next {
                    Some(Piece::Literal(literal)) => literal.chars().next(),
                    Some(Piece::Class(_) | Piece::AnyByte | Piece::Alternatives(_)) => Some('a'),
                    Some(Piece::Star) | None => None,
                };
                // `.env*` is shown as `.env`, `*.py` as `a.py`, `test_*` as `test_a`.
                if !joins(text.chars().next_back()) && !joins(after) {
                    text.push('a');
                }
            }
            Piece::AnyByte => text.push('a'),
            Piece::Class(class) => {
                let mut plain = (b'a'..=b'z')
                    .chain(b'0'..=b'9')
                    .chain(b'A'..=b'Z')
                    .chain(b' '..=b'~');
                let member = plain.find(|byte| class.contains(*byte, Case::Exact));
                text.extend(member.map(char::from));
            }
            Piece::Alternatives(branches) => {
                text.extend(branches.first().map(|branch| instance(branch)));
            }
        }
    }
    text
}
