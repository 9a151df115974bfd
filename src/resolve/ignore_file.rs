//! The text of a `.gitignore` -> which names it certainly ignores. Pure.
//!
//! Git, ripgrep and others read these files differently in their corners. So only a subset counts that
//! all of them read alike:
//!
//! * a pattern is segments of printable ASCII without `\ [ ] { }` and blanks, separated by `/`;
//! * inside a segment `*` is any run of bytes and `?` one ASCII character; `**` is a whole segment;
//! * a `/` at the end means directories only; one at the beginning or inside ties the pattern to the
//!   directory of the file;
//! * the last line that matches decides, and `!` takes a name back in.
//!
//! Any other line ignores nothing, which only means that more is looked at. Any other line with `!` takes
//! everything back in that earlier lines ignore. A text with a NUL, bytes that are not UTF-8, or a byte
//! order mark in front is not understood at all: git drops one mark, ripgrep 13 none, later ones all.
//!
//! Sources: gitignore(5) and `dir.c`, `wildmatch.c` of git 2.39 to 2.47; the crates `ignore` and
//! `globset` of ripgrep 13 to 15. `tests/disk/ignored.rs` compares with both programs.

#![forbid(unsafe_code)]

use std::collections::HashMap;

/// One ignore file.
#[derive(Debug, Default)]
pub(super) struct IgnoreFile {
    /// Patterns of one name without wildcards: where each stands last, for any file and for directories.
    names: HashMap<Vec<u8>, [Option<Position>; 2]>,
    /// All other patterns, in the order of the file.
    patterns: Vec<Pattern>,
}

/// Number of a line, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    line: usize,
    verdict: Verdict,
}

/// Verdict of an ignore file on a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ignored,
    /// It is taken back in, whatever the files above say.
    Kept,
}

#[derive(Debug)]
struct Pattern {
    position: Position,
    only_directories: bool,
    segments: Segments,
}

#[derive(Debug)]
enum Segments {
    /// One segment, for names at any depth.
    Anywhere(Vec<u8>),
    /// Segments from the directory of the file on.
    Anchored(Vec<Vec<u8>>),
    /// Every name.
    Everything,
}

/// Which patterns count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All.
    All,
    /// Those that ignore names at any depth, and all that take names back in. ripgrep 13 forgets the
    /// others of directories above the one it is given.
    Anywhere,
}

impl IgnoreFile {
    /// Reads a text. None if it is not understood.
    pub(super) fn parse(text: &[u8]) -> Option<IgnoreFile> {
        let text = std::str::from_utf8(text).ok()?;
        if text.starts_with('\u{feff}') || text.contains('\0') {
            return None;
        }
        let mut file = IgnoreFile::default();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            // A `\r` at the end of the file is a part of the last pattern to ripgrep 14, and of none to git.
            let ended = line
                .strip_suffix('\n')
                .map(|line| line.strip_suffix('\r').unwrap_or(line));
            file.line(number, ended.unwrap_or(line));
        }
        Some(file)
    }

    fn line(&mut self, line: usize, text: &str) {
        if text.is_empty() || text.starts_with('#') {
            return;
        }
        let (verdict, pattern) = match text.strip_prefix('!') {
            Some(rest) => (Verdict::Kept, rest),
            None => (Verdict::Ignored, text),
        };
        let position = Position { line, verdict };
        let Some((segments, only_directories)) = segments(pattern) else {
            if verdict == Verdict::Kept {
                self.patterns.push(Pattern {
                    position,
                    only_directories: false,
                    segments: Segments::Everything,
                });
            }
            return;
        };
        match segments {
            Segments::Anywhere(name) if !is_wild(&name) => {
                let last = self.names.entry(name).or_default();
                if let Some(last) = last.get_mut(usize::from(only_directories)) {
                    *last = Some(position);
                }
            }
            segments @ (Segments::Anywhere(_) | Segments::Anchored(_) | Segments::Everything) => {
                self.patterns.push(Pattern {
                    position,
                    only_directories,
                    segments,
                });
            }
        }
    }

    /// Verdict of the file on an entry. `path` is relative to the directory of the file.
    pub(super) fn verdict(&self, path: &[u8], is_directory: bool, reach: Reach) -> Option<Verdict> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let [any, directory] = self.names.get(name).copied().unwrap_or_default();
        let named = any.into_iter().chain(directory.filter(|_| is_directory));
        let by_name = named.max_by_key(|position| position.line);
        let after = by_name.map(|position| position.line);
        let matching = self.patterns.iter().rev().find(|pattern| {
            (is_directory || !pattern.only_directories)
                && after.is_none_or(|line| pattern.position.line > line)
                && pattern.counts(reach)
                && pattern.segments.match_path(path, name)
        });
        let position = matching.map(|pattern| pattern.position).or(by_name);
        position.map(|position| position.verdict)
    }

    /// Number of patterns that a name is compared with.
    pub(super) fn comparisons(&self) -> usize {
        self.patterns.len()
    }
}

impl Pattern {
    fn counts(&self, reach: Reach) -> bool {
        reach == Reach::All
            || self.position.verdict == Verdict::Kept
            || matches!(self.segments, Segments::Anywhere(_))
    }
}

impl Segments {
    fn match_path(&self, path: &[u8], name: &[u8]) -> bool {
        match self {
            Segments::Everything => true,
            Segments::Anywhere(pattern) => is_match(pattern, name),
            Segments::Anchored(pattern) => match_segments(pattern, path),
        }
    }
}

/// The segments of a pattern, and whether it is for directories only. None if readers may differ.
fn segments(pattern: &str) -> Option<(Segments, bool)> {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '[' | ']' | '{' | '}');
    if !pattern.chars().all(is_plain) {
        return None;
    }
    let (pattern, only_directories) = match pattern.strip_suffix('/') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let is_anchored = pattern.contains('/');
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let segments: Vec<Vec<u8>> = pattern
        .split('/')
        .map(|segment| segment.as_bytes().to_vec())
        .collect();
    let is_certain = |segment: &Vec<u8>| match segment.as_slice() {
        b"" | b"." | b".." => false,
        b"**" => true,
        other => !other.windows(2).any(|pair| pair == b"**"),
    };
    if !segments.iter().all(is_certain) || segments.iter().all(|segment| segment == b"**") {
        return None;
    }
    if is_anchored {
        return Some((Segments::Anchored(segments), only_directories));
    }
    let only = segments.into_iter().next()?;
    Some((Segments::Anywhere(only), only_directories))
}

fn is_wild(segment: &[u8]) -> bool {
    segment.contains(&b'*') || segment.contains(&b'?')
}

/// Compares segment by segment. A `**` in front and in the middle is any number of names, also none; at
/// the end it is at least one.
fn match_segments(pattern: &[Vec<u8>], path: &[u8]) -> bool {
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    // For each number of names read, whether the segments so far can have read them.
    let mut reached = vec![false; names.len().saturating_add(1)];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for (nth, segment) in pattern.iter().enumerate() {
        let is_last = nth.saturating_add(1) == pattern.len();
        let mut next = vec![false; reached.len()];
        if segment == b"**" {
            let mut seen = false;
            for (from, to) in reached.iter().zip(&mut next) {
                *to = if is_last { seen } else { seen || *from };
                seen |= *from;
            }
        } else {
            for ((from, name), to) in reached.iter().zip(&names).zip(next.iter_mut().skip(1)) {
                *to = *from && is_match(segment, name);
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

/// Compares one segment with a name. Goes back to the last `*` only, so the time is the product of the
/// lengths at most.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0_usize, 0_usize);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(read) {
        match pattern.get(at) {
            Some(b'*') => {
                at = at.saturating_add(1);
                last_star = Some((at, read));
                continue;
            }
            Some(b'?') if byte.is_ascii() => {}
            Some(wanted) if *wanted != b'?' && wanted == byte => {}
            Some(_) | None => {
                let Some((behind, from)) = last_star else {
                    return false;
                };
                at = behind;
                read = from.saturating_add(1);
                last_star = Some((behind, read));
                continue;
            }
        }
        at = at.saturating_add(1);
        read = read.saturating_add(1);
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, expected: Option<Verdict>) {
        let is_directory = path.ends_with('/');
        let path = path.trim_end_matches('/').as_bytes();
        let file = IgnoreFile::parse(text.as_bytes()).unwrap();
        let found = file.verdict(path, is_directory, Reach::All);
        assert_eq!(found, expected, "{text:?} {path:?}");
    }

    #[test]
    fn the_last_certain_line_decides() {
        use Verdict::{Ignored, Kept};
        for (text, path, expected) in [
            ("*.key", "a/b.key", Some(Ignored)),
            ("*.key\n!b.key", "a/b.key", Some(Kept)),
            ("!b.key\n*.key", "a/b.key", Some(Ignored)),
            ("target/", "target/", Some(Ignored)),
            ("target/", "target", None),
            ("/target", "target", Some(Ignored)),
            ("/target", "a/target", None),
            ("target", "a/target", Some(Ignored)),
            ("a/*.key", "a/x.key", Some(Ignored)),
            ("a/*.key", "a/b/x.key", None),
            ("a/**/x", "a/x", Some(Ignored)),
            ("a/**/x", "a/b/c/x", Some(Ignored)),
            ("**/x", "x", Some(Ignored)),
            ("a/**", "a", None),
            ("a/**", "a/b/c", Some(Ignored)),
            ("a?c", "abc", Some(Ignored)),
            ("a?c", "aéc", None),
            ("*~", "x~", Some(Ignored)),
            ("x\r\ny\r\n", "x", Some(Ignored)),
            ("# x\n\nx", "x", Some(Ignored)),
        ] {
            check(text, path, expected);
        }
    }

    #[test]
    fn a_line_that_readers_may_read_differently_ignores_nothing_and_may_take_everything_back_in() {
        for line in [
            "{.env,zz}",
            "*.{pem,key}",
            ".env\t",
            ".env ",
            ".env\u{a0}",
            ".env\r\r",
            ".env\r",
            "[.]env",
            "\\.env",
            "**",
            "**/",
            "a**b",
            "***",
            ".//env",
            "./.env",
            "x/../.env",
            ".env\u{b}",
            "\u{feff}.env",
            ".énv",
        ] {
            check(&format!("#\n{line}"), ".env", None);
            let back = format!("*\n!{line}");
            check(&back, "anything", Some(Verdict::Kept));
        }
        assert!(IgnoreFile::parse(b".env\n!.env\0\n").is_none());
        assert!(IgnoreFile::parse(b".env\n\xff\n").is_none());
        assert!(IgnoreFile::parse("\u{feff}.env".as_bytes()).is_none());
    }

    #[test]
    fn many_stars_take_no_more_than_the_product_of_the_lengths() {
        let pattern = b"*a".repeat(2_000);
        let name = b"a".repeat(255);
        assert!(!is_match(&[&pattern[..], b"b"].concat(), &name));
    }
}
