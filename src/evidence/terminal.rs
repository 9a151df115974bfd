//! Turns the output of a program for a terminal into lines of plain text.
//!
//! Colours and other escape sequences are taken out, line ends of either kind are accepted. Nothing
//! else is changed, so that what is reported is what was printed.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Counts, Report};

/// Most test ids, and most messages, that a report names. The counts are exact in any case.
const MAX_NAMED: usize = 10_000;

/// Longest message or test id of a report, in bytes. An assertion on two large values prints both.
const MAX_NAMED_BYTES: usize = 8 * 1024;

/// Most bytes that the names of one list take, and the messages of a report, while it is read.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// Longest line that is looked at; what is longer is cut. A summary takes about 100 bytes, and a
/// message no more than a report keeps of it.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Bytes as they arrive -> whole lines as plain text.
#[derive(Debug, Default)]
pub(super) struct Lines {
    // INVARIANT: at most `MAX_LINE_BYTES`, and no line feed.
    open: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and gives each line that they end.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = MAX_LINE_BYTES.saturating_sub(self.open.len());
            let text = text.get(..room).unwrap_or(text);
            if is_whole && self.open.is_empty() {
                give(text, &mut line);
                continue;
            }
            self.open.extend_from_slice(text);
            if is_whole {
                give(&self.open, &mut line);
                self.open.clear();
            }
        }
    }

    /// Gives the last line, where no line feed ended it.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.open.is_empty() {
            give(&self.open, &mut line);
            self.open.clear();
        }
    }
}

fn give(bytes: &[u8], line: &mut impl FnMut(&str)) {
    line(&without_escapes(&String::from_utf8_lossy(bytes)));
}

fn without_escapes(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line.trim_end_matches('\r'));
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            skip_sequence(&mut rest);
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain.trim_end_matches('\r').to_owned())
}

/// Skips what belongs to an escape character, by the forms of ECMA-48: a control sequence ends with
/// a character from `@` to `~`, an operating system command with BEL or ST, anything else with the
/// first character that is not an intermediate one.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        Some(']') => while rest.next().is_some_and(|c| c != '\u{7}' && c != '\\') {},
        Some(' '..='/') => while rest.next().is_some_and(|c| (' '..='/').contains(&c)) {},
        Some(_) | None => {}
    }
}

/// Texts in the order in which they came, no more than a report names and memory allows.
#[derive(Debug, Default)]
pub(super) struct Texts {
    list: Vec<String>,
    bytes: usize,
}

impl Texts {
    pub(super) fn add(&mut self, text: &str) {
        let is_repeated = self.list.last().is_some_and(|last| last == text);
        if !is_repeated {
            self.add_again(text);
        }
    }

    /// Adds it although it may be what was added before.
    pub(super) fn add_again(&mut self, text: &str) {
        // Twice as many as are named: some will be told several times.
        let is_full = self.list.len() >= MAX_NAMED.saturating_mul(2);
        if is_full || self.bytes >= MAX_LIST_BYTES {
            return;
        }
        let text = cut(text);
        self.bytes = self.bytes.saturating_add(text.len());
        self.list.push(text);
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.bytes = 0;
    }

    /// Those from one place up to another, each once.
    pub(super) fn distinct(&self, from: usize, to: usize) -> Vec<String> {
        distinct(self.list.get(from..to).unwrap_or_default())
    }

    /// Those from one place up to another.
    pub(super) fn part(&self, from: usize, to: usize) -> Vec<String> {
        self.list.get(from..to).unwrap_or_default().to_vec()
    }
}

/// Each text once, in the order in which they first came.
pub(super) fn distinct(texts: &[String]) -> Vec<String> {
    let mut known: HashSet<&str> = HashSet::new();
    let mut list = Vec::new();
    for text in texts {
        if known.insert(text) {
            list.push(text.clone());
        }
    }
    list
}

/// Adds a line to a message, up to what is kept of one.
pub(super) fn add_line(message: &mut String, line: &str) {
    if message.len() <= MAX_NAMED_BYTES {
        if !message.is_empty() {
            message.push('\n');
        }
        message.push_str(line);
    }
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_NAMED_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_NAMED_BYTES).rfind(|at| text.is_char_boundary(*at));
    let kept = text.get(..end.unwrap_or_default()).unwrap_or_default();
    format!("{kept}…")
}

/// Cuts ids and messages to what a report may hold, and drops a list of tests that is longer than
/// their count: some of its lines were printed by the tests themselves, and it cannot be told which.
pub(super) fn bounded(mut report: Report) -> Report {
    let Counts {
        passed,
        failed,
        errors,
        ..
    } = report.counts;
    for (names, most) in [
        (&mut report.passed, passed),
        (&mut report.failed, failed.saturating_add(errors)),
    ] {
        if u64::try_from(names.len()).is_ok_and(|len| len > most) {
            names.clear();
        }
    }
    for list in [&mut report.passed, &mut report.failed, &mut report.messages] {
        list.truncate(MAX_NAMED);
        for text in list {
            // One that was cut already is longer by the mark.
            if text.len() > MAX_NAMED_BYTES.saturating_add('…'.len_utf8()) {
                *text = cut(text);
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, plain: &str) {
        let mut lines = Lines::default();
        let mut given = Vec::new();
        lines.push(line.as_bytes(), |line| given.push(line.to_owned()));
        lines.finish(|line| given.push(line.to_owned()));
        assert_eq!(given, [plain]);
    }

    #[test]
    fn colours_titles_and_character_sets_are_taken_out() {
        check("\u{1b}[31m= \u{1b}[1m1 failed\u{1b}[0m =\r", "= 1 failed =");
        check("\u{1b}]0;title\u{7}text", "text");
        check("\u{1b}]8;;x\u{1b}\\link", "link");
        check("\u{1b}[32mok\u{1b}(B\u{1b}[m.", "ok.");
        check("cut \u{1b}[3", "cut ");
        check("cut \u{1b}", "cut ");
    }

    #[test]
    fn a_line_is_one_however_it_arrives_and_its_end_is_cut() {
        let mut lines = Lines::default();
        let mut given = Vec::new();
        for piece in ["a", "b\n\nc", "\n"] {
            lines.push(piece.as_bytes(), |line| given.push(line.to_owned()));
        }
        assert_eq!(given, ["ab", "", "c"]);
        let long = "x".repeat(MAX_LINE_BYTES * 3);
        for _ in 0..2 {
            lines.push(long.as_bytes(), |_| panic!("no line has ended"));
        }
        assert_eq!(lines.open.len(), MAX_LINE_BYTES);
        lines.push(b"y\nz\n", |line| given.push(line.to_owned()));
        assert_eq!(given[3].len(), MAX_LINE_BYTES);
        assert_eq!(given[4], "z");
    }

    #[test]
    fn a_list_longer_than_its_count_is_dropped_and_long_text_is_cut() {
        let mut report = Report::default();
        report.counts.passed = 1;
        report.counts.failed = 1;
        report.passed = vec!["a".into(), "b".into()];
        report.failed = vec!["c".into()];
        report.messages = vec!["é".repeat(MAX_NAMED_BYTES)];
        let report = bounded(report);
        assert!(report.passed.is_empty());
        assert_eq!(report.failed, ["c"]);
        assert!(report.messages[0].len() <= MAX_NAMED_BYTES + '…'.len_utf8());
    }
}
