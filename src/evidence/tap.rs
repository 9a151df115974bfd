//! Test Anything Protocol -> counts, failed and passed tests, messages.
//!
//! ```text
//! 1..3
//! ok 1 - adds
//! not ok 2 - fails
//! ok 3 - is not run # SKIP not today
//! ```
//!
//! There is a report only if the tests that were told are those that were planned, each once and in
//! order, or if the run says itself that it gave up (`Bail out!`). Otherwise some of it was cut, or
//! printed by the tests. Indented lines belong to tests within tests, which the outer one sums up.

#![forbid(unsafe_code)]

use super::reading::{self, Ending, Read, Reading};
use super::terminal::{Lines, Texts, add_line, bounded};
use super::{Counts, Report};

/// Reads what a TAP producer wrote to its standard output.
///
/// A test that was to fail (`# TODO`) is counted as such; giving up is counted as an error. A test is named
/// by its description, or by its number.
///
/// ```
/// use lictor::evidence::tap;
///
/// let report = tap::parse("ok 1 - adds\nnot ok 2\n1..2\n").unwrap();
/// assert_eq!((report.counts.passed, report.counts.failed), (1, 1));
/// assert_eq!((report.passed, report.failed), (vec!["adds".to_owned()], vec!["2".to_owned()]));
/// assert!(tap::parse("1..3\nok 1\nok 2\n").is_none());
/// ```
#[must_use]
pub fn parse(stdout: &str) -> Option<Report> {
    reading::all(Box::<Tap>::default(), stdout)
}

/// Reads what a TAP producer writes to its standard output.
#[derive(Debug, Default)]
pub struct Tap {
    lines: Lines,
    said: Said,
}

impl Reading for Tap {
    fn stdout(&mut self, bytes: &[u8]) {
        self.lines
            .push(bytes, |line| self.said.line(line.trim_end()));
    }

    fn finish(mut self: Box<Self>, ending: &Ending) -> Read {
        self.lines.finish(|line| self.said.line(line.trim_end()));
        let mut said = self.said;
        said.end_message();
        let why = match (said.is_out_of_step, said.planned) {
            (true, _) => Some(
                "the tests in the output are not numbered in order, or planned twice".to_owned(),
            ),
            _ if said.has_given_up => None,
            (false, None) => Some("the output has no plan such as `1..3`".to_owned()),
            (false, Some(planned)) if planned != said.told => Some(format!(
                "{planned} tests were planned, {} were told",
                said.told
            )),
            (false, Some(_)) => None,
        };
        if let Some(why) = why {
            return Read::missing(why);
        }
        let all = |texts: &Texts| texts.part(0, texts.len());
        let report = Report {
            kind: "tap".to_owned(),
            counts: said.counts,
            failed: all(&said.failed),
            passed: all(&said.passed),
            messages: all(&said.messages),
        };
        Read::of(bounded(report), ending)
    }
}

/// Output so far.
#[derive(Debug, Default)]
struct Said {
    counts: Counts,
    failed: Texts,
    passed: Texts,
    messages: Texts,
    planned: Option<u64>,
    told: u64,
    /// The tests that were told are not those that were planned.
    is_out_of_step: bool,
    has_given_up: bool,
    /// The last test failed, and has not said why.
    is_failing: bool,
    /// The lines of an `error:` that goes on.
    message: Option<String>,
}

impl Said {
    fn line(&mut self, line: &str) {
        if self.has_given_up {
            return;
        }
        if let Some(message) = &mut self.message {
            if line.is_empty() || line.starts_with("    ") {
                let text = line.get(4..).unwrap_or_default();
                if !(message.is_empty() && text.trim().is_empty()) {
                    add_line(message, text);
                }
                return;
            }
            self.end_message();
        }
        if let Some(number) = plan(line) {
            self.is_out_of_step |= self.planned.replace(number).is_some();
        } else if let Some(reason) = line.strip_prefix("Bail out!") {
            self.counts.errors = 1;
            let reason = reason.trim();
            self.messages.add_again(if reason.is_empty() {
                "bail out"
            } else {
                reason
            });
            self.has_given_up = true;
        } else if let Some(point) = Point::read(line) {
            self.told = self.told.saturating_add(1);
            self.is_out_of_step |= point.number.is_some_and(|number| number != self.told);
            self.is_failing = self.count(point);
        } else if let Some(error) = line.strip_prefix("  error: ").filter(|_| self.is_failing) {
            // In quotes, or as a block that is indented deeper, as node writes it.
            if error.starts_with(['|', '>']) {
                self.message = Some(String::new());
            } else {
                self.messages.add_again(error.trim_matches(['\'', '"']));
            }
            self.is_failing = false;
        }
    }

    fn end_message(&mut self) {
        if let Some(message) = self.message.take() {
            self.messages.add_again(message.trim());
        }
    }

    /// Counts a test; true if it failed, so that what follows says why.
    fn count(&mut self, point: Point) -> bool {
        let name = if point.description.is_empty() {
            self.told.to_string()
        } else {
            point.description
        };
        let counts = &mut self.counts;
        let count = match (point.directive, point.is_ok) {
            (Some(Directive::Skip), _) => &mut counts.skipped,
            (Some(Directive::Todo), true) => &mut counts.xpassed,
            (Some(Directive::Todo), false) => &mut counts.xfailed,
            (None, true) => {
                self.passed.add_again(&name);
                &mut counts.passed
            }
            (None, false) => {
                self.failed.add_again(&name);
                &mut counts.failed
            }
        };
        *count = count.saturating_add(1);
        !point.is_ok && point.directive.is_none()
    }
}

/// The number of `1..3`, which is 0 in `1..0 # SKIP no database`.
fn plan(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("1..")?;
    let number = rest.split(" #").next()?.trim_end();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_number)
}

/// One line about one test.
#[derive(Debug)]
struct Point {
    is_ok: bool,
    number: Option<u64>,
    description: String,
    directive: Option<Directive>,
}

#[derive(Clone, Copy, Debug)]
enum Directive {
    Skip,
    Todo,
}

impl Point {
    fn read(line: &str) -> Option<Point> {
        let (is_ok, rest) = match line.strip_prefix("not ok") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("ok")?),
        };
        if !rest.is_empty() && !rest.starts_with(' ') {
            return None;
        }
        let rest = rest.trim_start();
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, rest) = rest.split_at(digits);
        let (description, directive) = directive(rest.trim_start());
        let description = description.strip_prefix("- ").unwrap_or(description);
        Some(Point {
            is_ok,
            number: if number.is_empty() {
                None
            } else {
                Some(number.parse().ok()?)
            },
            description: description.trim().replace("\\#", "#").replace("\\\\", "\\"),
            directive,
        })
    }
}

/// Takes `text # SKIP why` apart. A `#` of the text itself is written `\#`.
fn directive(text: &str) -> (&str, Option<Directive>) {
    for (at, _) in text.match_indices('#') {
        let (description, rest) = text.split_at(at);
        let word = rest.strip_prefix('#').unwrap_or(rest).trim_start();
        let is = |name: &str| {
            word.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        if description.ends_with('\\') {
            continue;
        }
        if is("skip") {
            return (description, Some(Directive::Skip));
        }
        if is("todo") {
            return (description, Some(Directive::Todo));
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<[u64; 6]>) {
        let counts = parse(text).map(|report| {
            let c = report.counts;
            [
                c.passed, c.failed, c.skipped, c.errors, c.xfailed, c.xpassed,
            ]
        });
        assert_eq!(counts, expected, "{text:?}");
    }

    #[test]
    fn every_planned_test_counts_once() {
        check("1..2\nok 1\nnot ok 2\n", Some([1, 1, 0, 0, 0, 0]));
        check("ok\nok\n1..2\n", Some([2, 0, 0, 0, 0, 0]));
        check("TAP version 14\n1..0 # SKIP no database\n", Some([0; 6]));
        check(
            "1..4\nok 1 # skip\nnot ok 2 # TODO x\nok 3 - a # todo\nok 4 - b \\# skip\n",
            Some([1, 0, 1, 0, 1, 1]),
        );
        check(
            "1..2\nok 1 a # 1 # TODO see #2\nok 2 # tomorrow\n",
            Some([1, 0, 0, 0, 0, 1]),
        );
        check("ok 1\nBail out!\n", Some([1, 0, 0, 1, 0, 0]));
    }

    #[test]
    fn what_does_not_add_up_yields_nothing() {
        check("", None);
        check("ok 1\n", None);
        check("1..2\nok 1\n", None);
        check("1..1\nok 1\nok 2\n", None);
        check("1..2\nok 1\nok 1\n", None);
        check("1..1\n1..1\nok 1\n", None);
        check("1..2\nok 2\nok 1\n", None);
        check("1..x\nok 1\n", None);
        check("1..1\nokay 1\n", None);
        check("1..1\nok 99999999999999999999\n", None);
        check("1..1\n    ok 1 - inner\n", None);
    }
}
