//! What a program wrote to a terminal -> its lines as plain text.
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

/// The lines of a text without escape sequences.
pub(super) fn plain_lines(text: &str) -> Vec<Cow<'_, str>> {
    text.lines().map(without_escapes).collect()
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

/// Names in the order in which they first came, each once.
#[derive(Default)]
pub(super) struct Names {
    list: Vec<String>,
    // INVARIANT: holds what `list` holds. A list alone would make long outputs quadratic.
    known: HashSet<String>,
}

impl Names {
    pub(super) fn add(&mut self, name: &str) {
        if !self.known.contains(name) {
            self.known.insert(name.to_owned());
            self.list.push(name.to_owned());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn into_list(self) -> Vec<String> {
        self.list
    }
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
            if text.len() > MAX_NAMED_BYTES {
                let end = (0..=MAX_NAMED_BYTES).rfind(|at| text.is_char_boundary(*at));
                text.truncate(end.unwrap_or_default());
                text.push('…');
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
        assert_eq!(plain_lines(line), [plain]);
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
