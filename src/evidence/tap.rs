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

use super::Report;
use super::terminal::{bounded, plain_lines};

/// Reads what a TAP producer wrote to its standard output.
///
/// What was to fail (`# TODO`) is counted as such; giving up is counted as an error. A test is named
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
    let lines = plain_lines(stdout);
    let mut report = Report {
        kind: "tap".to_owned(),
        ..Report::default()
    };
    let mut planned: Option<u64> = None;
    let mut told: u64 = 0;
    let mut is_failing = false;
    let mut lines = lines.iter().map(|line| line.trim_end()).peekable();
    while let Some(line) = lines.next() {
        if let Some(number) = plan(line) {
            if planned.replace(number).is_some() {
                return None;
            }
        } else if let Some(reason) = line.strip_prefix("Bail out!") {
            report.counts.errors = 1;
            let reason = reason.trim();
            let message = if reason.is_empty() {
                "bail out"
            } else {
                reason
            };
            report.messages.push(message.to_owned());
            return Some(bounded(report));
        } else if let Some(point) = Point::read(line) {
            told = told.checked_add(1)?;
            if point.number.is_some_and(|number| number != told) {
                return None;
            }
            is_failing = point.count(told, &mut report);
        } else if let Some(error) = line.strip_prefix("  error: ").filter(|_| is_failing) {
            report.messages.push(message(error, &mut lines));
            is_failing = false;
        }
    }
    (planned == Some(told)).then(|| bounded(report))
}

/// The number of `1..3`, which is 0 in `1..0 # SKIP no database`.
fn plan(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("1..")?;
    let number = rest.split(" #").next()?.trim_end();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_number)
}

/// One line about one test.
struct Point {
    is_ok: bool,
    number: Option<u64>,
    description: String,
    directive: Option<Directive>,
}

#[derive(Clone, Copy)]
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

    /// Adds the test to the report; whether it failed, so that what follows says why.
    fn count(self, told: u64, report: &mut Report) -> bool {
        let has_failed = !self.is_ok && self.directive.is_none();
        let name = if self.description.is_empty() {
            told.to_string()
        } else {
            self.description
        };
        let counts = &mut report.counts;
        let count = match (self.directive, self.is_ok) {
            (Some(Directive::Skip), _) => &mut counts.skipped,
            (Some(Directive::Todo), true) => &mut counts.xpassed,
            (Some(Directive::Todo), false) => &mut counts.xfailed,
            (None, true) => {
                report.passed.push(name);
                &mut counts.passed
            }
            (None, false) => {
                report.failed.push(name);
                &mut counts.failed
            }
        };
        *count = count.saturating_add(1);
        has_failed
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

/// The value of `error:` in the YAML below a failed test, as node writes it: in quotes, or as a
/// block that is indented deeper.
fn message<'l>(
    first: &str,
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'l str>>,
) -> String {
    if !first.starts_with(['|', '>']) {
        return first.trim_matches(['\'', '"']).to_owned();
    }
    let mut message = String::new();
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("    ")) {
        message.push_str(line.get(4..).unwrap_or_default());
        message.push('\n');
    }
    message.trim().to_owned()
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
