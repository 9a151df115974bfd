//! Globs: text -> [`Pattern`], and which paths a pattern matches.
//!
//! A pattern is matched segment by segment, so a path language is regular and later modules decide
//! coverage and overlap exactly. `**` is a whole segment and stands for any number of segments; within
//! a segment `*` is any run of bytes, `?` one byte, `[a-z]` and `[!a-z]` one ASCII byte in or not in a
//! set, `{a,b}` one of several texts. There is no escape: write `[*]`. Names that begin with a dot are
//! ordinary names.
//!
//! `P` matches exactly `P`, `P/*` its children, `P/**` both `P` itself and everything below it. The
//! workspace itself is matched by `**` only.

#![forbid(unsafe_code)]

mod error;
mod grammar;
mod segment;

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::path::{CanonicalPath, taken_for};

pub use error::GlobError;

/// The most bytes a pattern may have.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// The most wildcards within segments that a pattern may have: `*`, `?`, classes and alternatives.
pub const MAX_WILDCARDS: usize = 32;

/// The most `**` that a pattern may have.
pub const MAX_DOUBLE_STARS: usize = 8;

/// One glob, parsed.
///
/// ```
/// use lictor::policy::Code;
/// use lictor::policy::glob::Pattern;
///
/// let pattern = Pattern::parse("runtime/tests/**")?;
/// assert!(pattern.matches("runtime/tests"));
/// assert!(pattern.matches("runtime/tests/unit/test_a.py"));
/// assert!(!pattern.matches("runtime/tests_evil/a.py"));
/// assert!(!pattern.matches("Runtime/tests"));
/// assert!(pattern.matches_folded("Runtime/tests"));
///
/// let error = Pattern::parse("runtime/tests**").unwrap_err();
/// assert_eq!(error.code(), Code::G104);
/// assert_eq!(error.suggestion(), Some("runtime/tests/**"));
/// # Ok::<(), lictor::policy::glob::GlobError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    text: Box<str>,
    // INVARIANT: no two `**` stand next to each other; empty only for the workspace itself.
    segments: Box<[Segment]>,
}

impl Pattern {
    /// The pattern that a text spells.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its position and, where one can be made, the corrected
    /// pattern.
    pub fn parse(text: &str) -> Result<Pattern, GlobError> {
        match grammar::parse(text) {
            Ok(segments) => Ok(Pattern {
                text: text.into(),
                segments: segments.into(),
            }),
            Err(error) => Err(error.with_whole_correction(|text| grammar::parse(text).map(drop))),
        }
    }

    /// As [`Pattern::parse`], for a policy with `nfc: ignore`: the text is normalised first, as the
    /// paths are. Offsets of an error then count in the normalised text.
    ///
    /// # Errors
    ///
    /// As for [`Pattern::parse`].
    pub fn parse_normalised(text: &str) -> Result<Pattern, GlobError> {
        Pattern::parse(&text.nfc().collect::<String>())
    }

    /// The pattern that matches this path and no other.
    #[must_use]
    pub fn exactly(path: &CanonicalPath) -> Pattern {
        let segments: Vec<_> = path
            .segments()
            .map(|name| Segment::Literal(name.to_owned()))
            .collect();
        Pattern {
            text: escaped(path).into(),
            segments: segments.into(),
        }
    }

    /// The pattern that matches this path and everything below it.
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    /// use lictor::policy::glob::Pattern;
    ///
    /// let path = CanonicalPath::parse(b"app/[slug]", &Switches::default()).unwrap();
    /// assert_eq!(Pattern::below(&path).as_str(), "app/[[]slug[]]/**");
    /// assert_eq!(Pattern::below(&CanonicalPath::workspace()).as_str(), "**");
    /// ```
    #[must_use]
    pub fn below(path: &CanonicalPath) -> Pattern {
        let mut segments = Pattern::exactly(path).segments.into_vec();
        segments.push(Segment::DoubleStar);
        let text = if path.is_workspace() {
            "**".into()
        } else {
            format!("{}/**", escaped(path))
        };
        Pattern {
            text: text.into(),
            segments: segments.into(),
        }
    }

    /// Returns true if the pattern plainly matches the path and everything below it; a pattern that does so in another way
    /// than by ending in `**` at or above the path may be missed.
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    /// use lictor::policy::glob::Pattern;
    ///
    /// let vendor = Pattern::parse("{vendor,third_party}/**")?;
    /// let path = |text: &str| CanonicalPath::parse(text.as_bytes(), &Switches::default()).unwrap();
    /// assert!(vendor.covers(&path("vendor")) && vendor.covers(&path("vendor/a")));
    /// assert!(!vendor.covers(&path("src")) && !vendor.covers(&CanonicalPath::workspace()));
    /// # Ok::<(), lictor::policy::glob::GlobError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, path: &CanonicalPath) -> bool {
        let Some((Segment::DoubleStar, above)) = self.segments.split_last() else {
            return false;
        };
        let names: Vec<&str> = path.segments().collect();
        above.len() <= names.len()
            && above
                .iter()
                .zip(names)
                .all(|(segment, name)| match segment {
                    Segment::DoubleStar => false,
                    Segment::Literal(_) | Segment::Wild(_) => {
                        segment.matches(name.as_bytes(), Case::Exact)
                    }
                })
    }

    /// Returns true if the pattern could match the path or something below it: false means that it cannot.
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    /// use lictor::policy::glob::Pattern;
    ///
    /// let vendor = Pattern::parse("vendor/**")?;
    /// let path = |text: &str| CanonicalPath::parse(text.as_bytes(), &Switches::default()).unwrap();
    /// assert!(!vendor.may_match_below(&path("src")));
    /// assert!(vendor.may_match_below(&path("vendor/a")) && vendor.may_match_below(&CanonicalPath::workspace()));
    /// # Ok::<(), lictor::policy::glob::GlobError>(())
    /// ```
    #[must_use]
    pub fn may_match_below(&self, path: &CanonicalPath) -> bool {
        for (segment, name) in self.segments.iter().zip(path.segments()) {
            match segment {
                Segment::DoubleStar => return true,
                Segment::Literal(_) | Segment::Wild(_) => {
                    if !segment.matches(name.as_bytes(), Case::Exact) {
                        return false;
                    }
                }
            }
        }
        // A pattern that ends above the path matches nothing below it.
        self.segments.len() >= path.segments().count()
    }

    /// Patterns for the directories that something which the pattern matches lies in, at any depth; the
    /// workspace, which they all lie in, is left out.
    pub(crate) fn above(&self) -> Vec<Pattern> {
        let ends = match self.reaches_down() {
            true => self.segments.len(),
            false => self.segments.len().saturating_sub(1),
        };
        let prefixes = (1..=ends).filter_map(|end| self.segments.get(..end));
        prefixes
            .map(|segments| Pattern {
                text: self.text.clone(),
                segments: segments.into(),
            })
            .collect()
    }

    /// Returns true if the pattern ends in `**`: whatever it matches, it matches all that is below as well.
    #[must_use]
    pub fn reaches_down(&self) -> bool {
        self.segments.last() == Some(&Segment::DoubleStar)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The pattern's parts from left to right. `**` next to `**` is one.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The leading segments without a wildcard, joined by `/`; empty if the first segment has one.
    ///
    /// Every path that the pattern matches exactly begins with them.
    #[must_use]
    pub fn literal_prefix(&self) -> String {
        let mut prefix = String::new();
        for segment in &self.segments {
            let Segment::Literal(name) = segment else {
                break;
            };
            if !prefix.is_empty() {
                prefix.push('/');
            }
            prefix.push_str(name);
        }
        prefix
    }

    /// Returns true if the path is one that the pattern stands for, byte by byte.
    ///
    /// The path is canonical: segments joined by `/`, or `.` for the workspace. Names found on a disk
    /// need not be UTF-8.
    #[must_use]
    pub fn matches(&self, path: impl AsRef<[u8]>) -> bool {
        self.matches_in(path, Case::Exact)
    }

    /// Returns true if the path is one that a disk which ignores case could take for one that the pattern
    /// stands for. Holds for every path that [`Pattern::matches`].
    ///
    /// Names are compared one by one, as [`Case::Folded`] says.
    #[must_use]
    pub fn matches_folded(&self, path: impl AsRef<[u8]>) -> bool {
        self.matches_in(path, Case::Folded)
    }

    /// Returns true if the path matches, with names compared as `case` says.
    #[must_use]
    pub fn matches_in(&self, path: impl AsRef<[u8]>, case: Case) -> bool {
        matches_segments(&self.segments, path.as_ref(), case)
    }
}

/// The name that this one may be [taken for](taken_for), if it is another one. Bytes that are no text stay.
pub(super) fn taken_name(name: &[u8]) -> Option<Vec<u8>> {
    if name.is_ascii() {
        return None;
    }
    let mut taken = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        let read = taken_for(chunk.valid());
        taken.extend_from_slice(read.as_deref().unwrap_or(chunk.valid()).as_bytes());
        taken.extend_from_slice(chunk.invalid());
    }
    (taken != name).then_some(taken)
}

/// Returns true if a path matches these segments.
fn matches_segments(segments: &[Segment], path: &[u8], case: Case) -> bool {
    // One pointer into the pattern, one into the path. Every segment but `**` takes exactly one
    // name, so after a mismatch it is enough to let the last `**` take one name more.
    let mut names = names(path);
    let mut at = 0_usize;
    let mut last_double_star = None;
    loop {
        match segments.get(at) {
            Some(Segment::DoubleStar) => {
                at = at.saturating_add(1);
                last_double_star = Some((at, names.clone()));
                continue;
            }
            Some(segment) => {
                let mut ahead = names.clone();
                if ahead.next().is_some_and(|name| segment.matches(name, case)) {
                    names = ahead;
                    at = at.saturating_add(1);
                    continue;
                }
            }
            None if names.clone().next().is_none() => return true,
            None => {}
        }
        let Some((after, from)) = &mut last_double_star else {
            return false;
        };
        // A `**` at the end takes all that is left.
        if *after == segments.len() {
            return true;
        }
        if from.next().is_none() {
            return false;
        }
        (at, names) = (*after, from.clone());
    }
}

/// The path spelled as a pattern.
fn escaped(path: &CanonicalPath) -> String {
    let mut text = String::with_capacity(path.as_str().len());
    for c in path.as_str().chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}') {
            text.extend(['[', c, ']']);
        } else {
            text.push(c);
        }
    }
    text
}

/// The names of a canonical path; none for the workspace.
pub(super) fn names(path: &[u8]) -> Names<'_> {
    Names {
        rest: if path == b"." { b"" } else { path },
    }
}

/// The names of a path that are left.
#[derive(Clone, Debug)]
pub(super) struct Names<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (name, rest) = self.rest.split_at_checked(end_of_name(self.rest))?;
            self.rest = rest.split_first().map_or(b"", |(_, rest)| rest);
            if !name.is_empty() {
                return Some(name);
            }
        }
        None
    }
}

/// Length of the first name, found eight bytes at a time: this is a good part of a lookup.
fn end_of_name(path: &[u8]) -> usize {
    let mut at = 0_usize;
    let mut rest = path;
    while let Some((word, more)) = rest.split_first_chunk::<8>() {
        // A byte that is zero here is a `/`; the lowest bit that is set in `found` belongs to the first.
        let word = u64::from_le_bytes(*word) ^ u64::from_le_bytes([b'/'; 8]);
        let found =
            word.wrapping_sub(u64::from_le_bytes([1; 8])) & !word & u64::from_le_bytes([0x80; 8]);
        if found != 0 {
            let byte = usize::try_from(found.trailing_zeros().wrapping_shr(3)).unwrap_or_default();
            return at.saturating_add(byte);
        }
        at = at.saturating_add(8);
        rest = more;
    }
    let in_rest = rest.iter().position(|byte| *byte == b'/');
    at.saturating_add(in_rest.unwrap_or(rest.len()))
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Pattern {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Pattern, GlobError> {
        Pattern::parse(text)
    }
}

/// Way in which letters are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Case {
    /// Byte by byte: what is granted is granted exactly.
    Exact,
    /// As some file system may take names for one another: what is denied stays denied there.
    ///
    /// Letters are compared by simple case folding. A class gains the other case of its letters; a negated
    /// class stays as it is written. A name that may be [taken for](crate::path::taken_for) another one matches
    /// where that one does, and so does what a pattern spells.
    Folded,
}

/// One part of a pattern between two `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "exact analysis must look at every kind of segment"
)]
pub enum Segment {
    /// `**`: any number of names, none included.
    DoubleStar,
    /// Exactly this name.
    Literal(String),
    /// One name that these pieces match from its first byte to its last. Never a lone
    /// [`Piece::Literal`].
    Wild(Vec<Piece>),
}

impl Segment {
    /// The segment with each text in it as what it may be taken for; none if that is as it is written.
    pub(crate) fn taken(&self) -> Option<Segment> {
        if self.is_ascii() {
            return None;
        }
        match self {
            Segment::DoubleStar => None,
            Segment::Literal(name) => taken_for(name).map(Segment::Literal),
            Segment::Wild(pieces) => {
                let taken: Vec<Piece> = pieces.iter().map(Piece::taken).collect();
                (taken != *pieces).then_some(Segment::Wild(taken))
            }
        }
    }

    /// Returns true if a name matches. [`Segment::DoubleStar`] matches every name.
    #[must_use]
    pub fn matches(&self, name: &[u8], case: Case) -> bool {
        if self.matches_as_written(name, case) {
            return true;
        }
        if case == Case::Exact {
            return false;
        }
        let (taken, other) = (self.taken(), taken_name(name));
        let is_match = |name: &[u8]| {
            let taken = taken.as_ref();
            self.matches_as_written(name, case)
                || taken.is_some_and(|taken| taken.matches_as_written(name, case))
        };
        (taken.is_some() && is_match(name)) || other.is_some_and(|name| is_match(&name))
    }

    /// Returns true if it spells nothing beyond ASCII.
    pub(crate) fn is_ascii(&self) -> bool {
        match self {
            Segment::DoubleStar => true,
            Segment::Literal(name) => name.is_ascii(),
            Segment::Wild(pieces) => pieces.iter().all(Piece::is_ascii),
        }
    }

    /// Returns true if one of its wildcards counts bytes.
    pub(crate) fn counts_bytes(&self) -> bool {
        match self {
            Segment::DoubleStar | Segment::Literal(_) => false,
            Segment::Wild(pieces) => pieces.iter().any(Piece::counts_bytes),
        }
    }

    /// Returns true if each of its wildcards matches a text or none, whatever the text may be taken for: none
    /// counts bytes, and none is about bytes that are not in a set.
    pub(crate) fn is_even(&self) -> bool {
        match self {
            Segment::DoubleStar | Segment::Literal(_) => true,
            Segment::Wild(pieces) => pieces.iter().all(Piece::is_even),
        }
    }

    /// As [`Segment::matches`], with letters compared one by one.
    pub(crate) fn matches_as_written(&self, name: &[u8], case: Case) -> bool {
        match (self, case) {
            (Segment::DoubleStar, _) => true,
            (Segment::Literal(literal), Case::Exact) => literal.as_bytes() == name,
            (Segment::Literal(literal), Case::Folded) => segment::is_literal_folded(literal, name),
            (Segment::Wild(pieces), _) => segment::matches(pieces, name, case),
        }
    }
}

/// One piece of a segment with wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "exact analysis must look at every kind of piece"
)]
pub enum Piece {
    /// Exactly this text; never empty.
    Literal(String),
    /// `*`: any run of bytes, the empty one included.
    Star,
    /// `?`: one byte, whichever. A character may have several.
    AnyByte,
    /// `[a-z]`: one ASCII byte.
    Class(Class),
    /// `{a,b}`: what one of the branches matches. No branch is empty or holds alternatives.
    Alternatives(Vec<Vec<Piece>>),
}

impl Piece {
    fn is_ascii(&self) -> bool {
        match self {
            Piece::Literal(text) => text.is_ascii(),
            Piece::Star | Piece::AnyByte | Piece::Class(_) => true,
            Piece::Alternatives(branches) => branches.iter().flatten().all(Piece::is_ascii),
        }
    }

    fn counts_bytes(&self) -> bool {
        match self {
            Piece::AnyByte => true,
            Piece::Literal(_) | Piece::Star | Piece::Class(_) => false,
            Piece::Alternatives(branches) => branches.iter().flatten().any(Piece::counts_bytes),
        }
    }

    fn is_even(&self) -> bool {
        match self {
            Piece::Literal(_) | Piece::Star => true,
            Piece::AnyByte => false,
            Piece::Class(class) => !class.negated,
            Piece::Alternatives(branches) => branches.iter().flatten().all(Piece::is_even),
        }
    }

    fn taken(&self) -> Piece {
        match self {
            Piece::Literal(text) => Piece::Literal(taken_text(text)),
            Piece::Alternatives(branches) => Piece::Alternatives(
                branches
                    .iter()
                    .map(|branch| branch.iter().map(Piece::taken).collect())
                    .collect(),
            ),
            Piece::Star | Piece::AnyByte | Piece::Class(_) => self.clone(),
        }
    }
}

fn taken_text(text: &str) -> String {
    taken_for(text).unwrap_or_else(|| text.to_owned())
}

/// A set of ASCII bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "exact analysis takes it apart")]
pub struct Class {
    /// True if the class stands for the ASCII bytes outside of `ranges`.
    pub negated: bool,
    /// First and last byte of each range: sorted, apart from each other, not empty, all ASCII.
    pub ranges: Vec<(u8, u8)>,
}

impl Class {
    /// Returns true if the class stands for this byte.
    #[must_use]
    pub fn contains(&self, byte: u8, case: Case) -> bool {
        let within = |byte| {
            self.ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&byte))
        };
        if !byte.is_ascii() {
            false
        } else if self.negated {
            !within(byte)
        } else {
            within(byte)
                || case == Case::Folded
                    && (within(byte.to_ascii_lowercase()) || within(byte.to_ascii_uppercase()))
        }
    }
}

#[cfg(test)]
mod tests;
