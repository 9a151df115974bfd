//! Why a path was refused: every rule that matched, the deciding one first, and how to say it.

#![forbid(unsafe_code)]

use std::fmt;

use serde::Serialize;

use super::{CanonicalPath, Switches, unicode};
use crate::reason::Reason;

/// A refused path: all rules that match it, in the order of the rules. The first one decides.
///
/// ```
/// use lictor::path::{CanonicalPath, Switches};
/// use lictor::reason::Reason;
///
/// let text = b"runtime/tests/../x.py";
/// let denial = CanonicalPath::parse(text, &Switches::default()).unwrap_err();
/// assert_eq!(denial.reason(), Reason::PathTraversalDenied);
/// assert_eq!(denial.first().offset, 14);
/// assert_eq!(denial.message(text), "path `runtime/tests/../x.py` climbs with `..`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    #[serde(skip)]
    first: Finding,
    // INVARIANT: not empty, sorted by rule, one finding for each rule; `first` is its first.
    findings: Vec<Finding>,
}

impl Denial {
    /// The reason that decides.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.first.reason
    }

    /// The finding that decides.
    #[must_use]
    pub fn first(&self) -> &Finding {
        &self.first
    }

    /// One finding for each rule that matches, in the order of the rules; never empty.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Error text: a lowercase fragment. `original` is the argument that was refused.
    #[must_use]
    pub fn message(&self, original: &[u8]) -> String {
        self.first.message(original)
    }

    /// A path that the writer may have meant, for display only: with `.`, `..` and empty segments
    /// cleaned away and in normal form C. Only if that would not be refused again.
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    ///
    /// let switches = Switches::default();
    /// let text = b"./tests//a.py";
    /// let denial = CanonicalPath::parse(text, &switches).unwrap_err();
    /// assert_eq!(denial.suggestion(text, &switches).unwrap().as_str(), "tests/a.py");
    ///
    /// let text = b"../a.py";
    /// let denial = CanonicalPath::parse(text, &switches).unwrap_err();
    /// assert_eq!(denial.suggestion(text, &switches), None);
    /// ```
    #[must_use]
    pub fn suggestion(&self, original: &[u8], switches: &Switches) -> Option<CanonicalPath> {
        if matches!(self.reason(), Reason::PathTooLong | Reason::PathEmptyOrNone) {
            return None;
        }
        let text = std::str::from_utf8(original).ok()?.replace('\\', "/");
        let normal = unicode::nfc(&text);
        let cleaned = path_clean::clean(normal.as_ref());
        let path = CanonicalPath::parse(cleaned.to_str()?.as_bytes(), switches).ok()?;
        // As a path it is fine: what is wrong is its form as a target, which no other path mends.
        (path.as_str().as_bytes() != original).then_some(path)
    }
}

/// One rule that matches, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Reason code under which the rule is reported.
    pub reason: Reason,
    /// The number of the rule, from 1 to 22.
    pub rule: u8,
    /// Byte offset of the first match in the argument as it was given.
    pub offset: usize,
    /// Length in bytes of that match; may be 0.
    pub len: usize,
}

impl Finding {
    /// Error text: a lowercase fragment without final period. `original` is the argument that was refused; it
    /// is shown escaped, and shortened if it is long.
    #[must_use]
    pub fn message(&self, original: &[u8]) -> String {
        let path = shown(original);
        let end = self.offset.saturating_add(self.len);
        let part = original.get(self.offset..end).unwrap_or_default();
        let what = shown(part);
        match self.rule {
            1 => "path is empty".to_owned(),
            2 | 9 => format!("path `{path}` is longer than {} bytes", self.limit()),
            3 => format!("path `{path}` is not strict UTF-8"),
            4 => "path is nothing but white space".to_owned(),
            5 => format!(
                "path `{path}` holds the control character {}",
                code_point(part)
            ),
            6 => format!(
                "path `{path}` holds the invisible or unassigned character {}",
                code_point(part)
            ),
            7 if part == b"@" => format!("path `{path}` begins with `@`, like an argument file"),
            7 => format!("path `{path}` begins with `{what}`, like an option"),
            8 if self.reason == Reason::PathEmptyOrNone => format!("target `{path}` names no path"),
            8 => format!("target `{path}` is not of the form `path::name[parameters]`"),
            10 => format!("path `{path}` begins with `{what}`, so it is not relative"),
            11 => format!("path `{path}` holds `{what}`, which a program may expand"),
            12 if part.len() > super::MAX_SEGMENT_BYTES => {
                let limit = super::MAX_SEGMENT_BYTES;
                format!("segment `{what}` of path `{path}` is longer than {limit} bytes")
            }
            12 => format!(
                "path `{path}` has more than {} segments",
                super::MAX_SEGMENTS
            ),
            13 if part == b".." => format!("path `{path}` climbs with `..`"),
            13 => format!("path `{path}` holds the segment `{what}`, which is no name"),
            14 => format!("path `{path}` holds an empty segment"),
            15 => format!("path `{path}` holds the percent-encoded `{what}`"),
            16 => format!("path `{path}` {}", misleading(part, &what)),
            17 => format!("path `{path}` holds `:`, which marks a drive or a data stream"),
            18 => format!("path `{path}` holds the reserved character `{what}`"),
            19 => format!("segment `{what}` of path `{path}` has a blank or a dot at its edge"),
            20 => format!("segment `{what}` of path `{path}` is a device name on Windows"),
            21 => {
                format!("segment `{what}` of path `{path}` has the form of a short name on Windows")
            }
            22 => format!("segment `{what}` of path `{path}` is a protected name"),
            _ => format!("path `{path}` is refused"),
        }
    }

    fn limit(&self) -> usize {
        if self.rule == 2 {
            super::MAX_ARGUMENT_BYTES
        } else {
            super::MAX_PATH_BYTES
        }
    }
}

/// Subject of a finding of rule 16.
fn misleading(part: &[u8], what: &str) -> String {
    let text = std::str::from_utf8(part).unwrap_or_default();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if unicode::is_separator_lookalike(c) => {
            format!("holds {}, which looks like a separator", code_point(part))
        }
        _ if unicode::looks_like_dots(text) => {
            format!("holds the segment `{what}`, which looks like dots")
        }
        (Some(_), _) => format!(
            "is not in Unicode normal form C, first at {}",
            code_point(part)
        ),
        (None, _) => "is not in Unicode normal form C".to_owned(),
    }
}

/// The first character as `U+200B`.
fn code_point(part: &[u8]) -> String {
    match std::str::from_utf8(part)
        .ok()
        .and_then(|text| text.chars().next())
    {
        Some(c) => format!("U+{:04X}", u32::from(c)),
        None => "of no length".to_owned(),
    }
}

/// Text from outside, made fit for a terminal or a log: what does not print is escaped, bytes that
/// are not UTF-8 are shown as `\xNN`, and the middle of a long text is left out.
///
/// ```
/// use lictor::path::shown;
///
/// assert_eq!(shown(b"a\n\xff\xe2\x80\xae"), r"a\n\xff\u{202e}");
/// assert_eq!(shown("it's".as_bytes()), "it's");
/// ```
#[must_use]
pub fn shown(text: &[u8]) -> String {
    let (head, tail) = if text.len() <= SHOWN_BYTES {
        (text, None)
    } else {
        let tail = text.len().saturating_sub(SHOWN_BYTES / 3);
        (
            text.get(..SHOWN_BYTES / 2).unwrap_or_default(),
            text.get(tail..),
        )
    };
    let mut out = escaped(trim_end_of_char(head, text));
    if let Some(tail) = tail {
        out.push('…');
        out.push_str(&escaped(trim_start_of_char(tail)));
    }
    out
}

/// Number of bytes of a text that [`shown`] shows whole: about three lines of a terminal, more than nearly
/// all real paths have.
const SHOWN_BYTES: usize = 240;

/// `head` without the bytes of a character that `text` continues after it.
fn trim_end_of_char<'a>(head: &'a [u8], text: &[u8]) -> &'a [u8] {
    match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() && head.len() < text.len() => {
            head.get(..error.valid_up_to()).unwrap_or(head)
        }
        _ => head,
    }
}

/// `tail` without the at most three continuation bytes of a character that began before it.
fn trim_start_of_char(tail: &[u8]) -> &[u8] {
    let cut = tail
        .iter()
        .take(3)
        .take_while(|byte| (0x80..0xC0).contains(*byte))
        .count();
    tail.get(cut..).unwrap_or(tail)
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&crate::text::escaped(chunk.valid()));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// The findings while the rules are being tried.
#[derive(Default)]
pub(super) struct Found {
    findings: Vec<Finding>,
    /// Added to every offset: how much was taken from the front of the argument.
    pub(super) shift: usize,
}

impl Found {
    /// Notes that `rule` matches; of several matches of one rule the first in the text stays.
    pub(super) fn note(&mut self, rule: u8, reason: Reason, offset: usize, len: usize) {
        let finding = Finding {
            reason,
            rule,
            offset: offset.saturating_add(self.shift),
            len,
        };
        let at = self.findings.partition_point(|other| other.rule < rule);
        match self.findings.get_mut(at) {
            Some(other) if other.rule == rule => {
                if finding.offset < other.offset {
                    *other = finding;
                }
            }
            _ => self.findings.insert(at, finding),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Leads the offsets of rules 9 and later back to the text before normalisation.
    pub(super) fn undo_nfc(&mut self, raw: &str) {
        let shift = self.shift;
        for finding in self.findings.iter_mut().filter(|finding| finding.rule >= 9) {
            let start = finding.offset.saturating_sub(shift);
            let end = start.saturating_add(finding.len);
            let start = unicode::before_nfc(raw, start);
            let end = unicode::before_nfc(raw, end).max(start);
            finding.offset = start.saturating_add(shift);
            finding.len = end.saturating_sub(start);
        }
    }

    /// The denial, if anything was noted.
    pub(super) fn into_denial(self) -> Option<Denial> {
        let first = *self.findings.first()?;
        Some(Denial {
            first,
            findings: self.findings,
        })
    }
}

impl Denial {
    /// A denial by one rule after which no other can be tried.
    pub(super) fn only(rule: u8, reason: Reason, offset: usize, len: usize) -> Denial {
        let first = Finding {
            reason,
            rule,
            offset,
            len,
        };
        Denial {
            first,
            findings: vec![first],
        }
    }
}

impl fmt::Display for Denial {
    /// The code of the deciding reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Syntax, lexical};

    #[track_caller]
    fn check(text: &[u8], expected: &str) {
        let denial = lexical(text, Syntax::Path, &Switches::default()).unwrap_err();
        assert_eq!(denial.message(text), expected);
    }

    #[test]
    fn messages_name_what_is_wrong() {
        check(b"", "path is empty");
        check(b" \t", "path is nothing but white space");
        check(b"a\xff", "path `a\\xff` is not strict UTF-8");
        check(b"a\n", "path `a\\n` holds the control character U+000A");
        check(b"-x", "path `-x` begins with `-`, like an option");
        check(b"@x", "path `@x` begins with `@`, like an argument file");
        check(
            b"/etc",
            "path `/etc` begins with `/`, so it is not relative",
        );
        check(b"C:x", "path `C:x` begins with `C:`, so it is not relative");
        check(
            b"a/%HOME%/b",
            "path `a/%HOME%/b` holds `%HOME%`, which a program may expand",
        );
        check(b"a/%2e", "path `a/%2e` holds the percent-encoded `%2e`");
        check(
            b"a/... /b",
            "path `a/... /b` holds the segment `... `, which is no name",
        );
        check(b"a//b", "path `a//b` holds an empty segment");
        check(b"a/x*", "path `a/x*` holds the reserved character `*`");
        check(
            b"a/.GIT",
            "segment `.GIT` of path `a/.GIT` is a protected name",
        );
        check(
            "a/\u{2024}".as_bytes(),
            "path `a/\u{2024}` holds the segment `\u{2024}`, which looks like dots",
        );
        check(
            "a\u{2215}b".as_bytes(),
            "path `a\u{2215}b` holds U+2215, which looks like a separator",
        );
        check(
            "cafe\u{301}".as_bytes(),
            "path `cafe\u{301}` is not in Unicode normal form C, first at U+0065",
        );
    }

    #[test]
    fn every_rule_that_matches_is_listed_in_order() {
        let denial =
            lexical(b"-a/../.git/%2e:/..", Syntax::Path, &Switches::default()).unwrap_err();
        let rules: Vec<_> = denial
            .findings()
            .iter()
            .map(|f| (f.rule, f.offset, f.len))
            .collect();
        assert_eq!(
            rules,
            [(7, 0, 1), (13, 3, 2), (15, 11, 3), (17, 14, 1), (22, 6, 4)]
        );
    }

    #[test]
    fn long_texts_are_shortened_at_characters() {
        let text = "é".repeat(3000);
        let short = shown(text.as_bytes());
        assert!(short.len() < 300, "{}", short.len());
        assert!(short.chars().all(|c| matches!(c, 'é' | '…')), "{short}");
        assert_eq!(shown("é".repeat(120).as_bytes()), "é".repeat(120));
    }
}
