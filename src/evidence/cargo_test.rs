//! The output of `cargo test` and of nextest -> counts, failed and passed tests, messages.
//!
//! `cargo test` runs one program for each test target, and each prints its own result:
//!
//! ```text
//! running 3 tests
//! …
//! test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.08s
//! ```
//!
//! The counts are the sum of these. A result counts if it speaks of as many tests as were announced,
//! and of several for one announcement the last: what else there is was printed by tests. nextest
//! prints one summary for all, to its standard error:
//!
//! ```text
//!      Summary [   0.108s] 7 tests run: 5 passed, 2 failed, 1 skipped
//! ```

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashSet;

use super::terminal::{Names, bounded, plain_lines};
use super::{Counts, Report};

/// Reads what `cargo test` wrote to its standard output, or nextest to its standard error.
///
/// Ignored tests are counted as skipped, and so is what nextest skips; what timed out or could not be
/// started is counted as failed. Measured benchmarks are not counted.
///
/// ```
/// use lictor::evidence::cargo_test;
///
/// let report = cargo_test::parse(
///     "running 2 tests\n..\n\
///      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s\n",
/// )
/// .unwrap();
/// assert_eq!(report.counts.passed, 2);
/// assert!(cargo_test::parse("running 2 tests\n..\n").is_none());
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<Report> {
    let lines = plain_lines(text);
    nextest(&lines).or_else(|| libtest(&lines)).map(bounded)
}

/// What one `test result:` line counts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    measured: u64,
}

impl Tally {
    /// Reads `ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.08s`.
    fn read(line: &str) -> Option<Tally> {
        let rest = line.strip_prefix("test result: ")?;
        let (word, rest) = rest.split_once(". ")?;
        if !matches!(word, "ok" | "FAILED") {
            return None;
        }
        let mut parts = rest.split("; ");
        let mut next = |word: &str| {
            let number = parts.next()?.strip_suffix(word)?.strip_suffix(' ')?;
            number.parse::<u64>().ok()
        };
        let tally = Tally {
            passed: next("passed")?,
            failed: next("failed")?,
            ignored: next("ignored")?,
            measured: next("measured")?,
        };
        next("filtered out")?;
        // A test that passed says `ok`, so a line that contradicts itself is not libtest's.
        ((word == "ok") == (tally.failed == 0)).then_some(tally)
    }

    fn tests(self) -> Option<u64> {
        self.passed
            .checked_add(self.failed)?
            .checked_add(self.ignored)?
            .checked_add(self.measured)
    }
}

/// One test program's part of the output.
#[derive(Default)]
struct Block {
    /// How many tests were announced; several announcements if some were printed by tests.
    announced: HashSet<u64>,
    result: Option<Tally>,
    passed: Vec<String>,
    /// Since `failures:` or `successes:`: what follows is text of the tests.
    is_past_tests: bool,
    /// The names below the last `failures:`, and those of the result that counts.
    listed: Vec<String>,
    failed: Vec<String>,
}

fn libtest(lines: &[Cow<'_, str>]) -> Option<Report> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut block = Block::default();
    let mut last_word = "";
    let mut was_result = false;
    for line in lines {
        let line = line.trim_end();
        if let Some(number) = announced(line) {
            // A new program starts once the one before has told its result.
            if block.result.is_some() && was_result {
                blocks.push(std::mem::take(&mut block));
            }
            block.announced.insert(number);
        } else if let Some(tally) = Tally::read(line).filter(|tally| block.fits(*tally)) {
            block.result = Some(tally);
            block.failed = std::mem::take(&mut block.listed);
        } else {
            block.line(line, last_word);
        }
        if !line.is_empty() {
            was_result = block.result.is_some()
                && (line.starts_with("test result: ") || line.starts_with("all doctests ran in "));
            last_word = line;
        }
    }
    blocks.push(block);
    let mut report = Report {
        kind: "cargo-test".to_owned(),
        ..Report::default()
    };
    let mut is_any = false;
    for block in blocks {
        let Some(tally) = block.result else { continue };
        is_any = true;
        let counts = &mut report.counts;
        counts.passed = counts.passed.saturating_add(tally.passed);
        counts.failed = counts.failed.saturating_add(tally.failed);
        counts.skipped = counts.skipped.saturating_add(tally.ignored);
        report.passed.extend(no_more(block.passed, tally.passed));
        report.failed.extend(no_more(block.failed, tally.failed));
    }
    report.messages = messages(lines);
    is_any.then_some(report)
}

/// The names, unless there are more of them than were counted.
fn no_more(names: Vec<String>, counted: u64) -> Vec<String> {
    if u64::try_from(names.len()).is_ok_and(|len| len <= counted) {
        names
    } else {
        Vec::new()
    }
}

/// The number of `running 3 tests`.
fn announced(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("running ")?;
    let number = rest
        .strip_suffix(" tests")
        .or_else(|| rest.strip_suffix(" test"))?;
    number.parse().ok()
}

impl Block {
    fn fits(&self, tally: Tally) -> bool {
        tally
            .tests()
            .is_some_and(|tests| self.announced.is_empty() || self.announced.contains(&tests))
    }

    fn line(&mut self, line: &str, before: &str) {
        if line == "failures:" {
            self.listed.clear();
            self.is_past_tests = true;
        } else if line == "successes:" {
            self.is_past_tests = true;
        } else if let Some(name) = line.strip_prefix("    ") {
            if before == "failures:" || !self.listed.is_empty() {
                self.listed.push(name.to_owned());
            }
        } else if !line.is_empty() {
            self.listed.clear();
        }
        let passed = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... ok"));
        if let Some(name) = passed.filter(|_| !self.is_past_tests) {
            let name = name.strip_suffix(" - should panic").unwrap_or(name);
            self.passed.push(name.to_owned());
        }
    }
}

/// The messages of panics and returned errors: of libtest below `---- name stdout ----`, of nextest
/// indented below `stdout ───` and `stderr ───`.
fn messages(lines: &[Cow<'_, str>]) -> Vec<String> {
    let mut messages = Names::default();
    let mut lines = lines.iter().map(|line| line.trim_end()).peekable();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        let indent = line.len().saturating_sub(text.len());
        let message = if let Some(error) = text.strip_prefix("Error: ") {
            Some(error.to_owned())
        } else if text.starts_with("note: test did not panic as expected") {
            Some("test did not panic as expected".to_owned())
        } else if text.starts_with("thread '") && text.contains(" panicked at ") {
            Some(panic_message(text, indent, &mut lines))
        } else {
            None
        };
        // A retried test says the same again.
        if let Some(message) = message {
            messages.add(&message);
        }
    }
    messages.into_list()
}

/// The lines behind `thread 'x' panicked at src/a.rs:1:2:`, or what Rust before 1.73 wrote in quotes
/// on that line.
fn panic_message<'l>(
    first: &str,
    indent: usize,
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'l str>>,
) -> String {
    let (_, at) = first.split_once(" panicked at ").unwrap_or_default();
    if let Some((quoted, _)) = at.strip_prefix('\'').and_then(|at| at.rsplit_once("', ")) {
        return quoted.to_owned();
    }
    let mut message = String::new();
    while let Some(line) = lines.peek() {
        let text = line.get(indent..).unwrap_or(line.trim_start());
        let is_end = text.is_empty()
            || text == "stack backtrace:"
            || text.starts_with("note: ")
            || text.starts_with("---- ")
            || text.starts_with("thread '")
            || text.starts_with("test result: ");
        if is_end {
            break;
        }
        if !message.is_empty() {
            message.push('\n');
        }
        message.push_str(text);
        lines.next();
    }
    if message.is_empty() {
        at.to_owned()
    } else {
        message
    }
}

fn nextest(lines: &[Cow<'_, str>]) -> Option<Report> {
    let (at, counts) = lines
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, line)| Some((at, summary(line)?)))?;
    let (before, behind) = lines.split_at_checked(at)?;
    let of = |lines: &[Cow<'_, str>], is_wanted: fn(&str) -> bool| {
        let mut names = Names::default();
        for (word, name) in lines.iter().filter_map(|line| outcome(line)) {
            if is_wanted(word) {
                names.add(name);
            }
        }
        names.into_list()
    };
    let mut failed = of(behind, is_failure);
    if failed.is_empty() {
        failed = of(before, is_failure);
    }
    Some(Report {
        kind: "nextest".to_owned(),
        counts,
        failed,
        passed: of(before, |word| word == "PASS"),
        messages: messages(before),
    })
}

/// The counts of `Summary [   0.108s] 3/7 tests run: 5 passed (1 slow), 2 failed, 1 skipped`.
fn summary(line: &str) -> Option<Counts> {
    let rest = line.trim_start().strip_prefix("Summary [")?;
    let (time, rest) = rest.split_once("] ")?;
    if !time.trim().ends_with('s') {
        return None;
    }
    let (run, rest) = rest
        .split_once(" tests run: ")
        .or_else(|| rest.split_once(" test run: "))?;
    let run: u64 = run.split('/').next()?.parse().ok()?;
    let mut counts = Counts::default();
    let mut total: u64 = 0;
    for part in parts(rest.trim_end()) {
        // What stands in brackets says how, not how many more.
        let part = part.split(" (").next().unwrap_or(part);
        let (number, word) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        let count = match word {
            "passed" => &mut counts.passed,
            "failed" | "timed out" | "exec failed" => &mut counts.failed,
            "skipped" => &mut counts.skipped,
            _ => return None,
        };
        *count = count.checked_add(number)?;
        if word != "skipped" {
            total = total.checked_add(number)?;
        }
    }
    (total == run).then_some(counts)
}

/// Splits at commas that stand outside brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth: u32 = 0;
    text.split(move |c: char| {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
}

/// The word and the test of `FAIL [   0.006s] (4/7) project::fail returns_an_error`.
fn outcome(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.trim_start().split_once(" [")?;
    let (time, rest) = rest.split_once("] ")?;
    // `TRY 2 FAIL`: the last try is the one that says so without a number of its own left.
    let word = word.rsplit(' ').next()?;
    let is_time = time.trim().trim_start_matches('>').trim().ends_with('s');
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '-');
    let name = match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(") ")?.1,
        None => rest,
    };
    (is_time && is_word).then_some((word, name.trim()))
}

/// nextest names signals (`SIGSEGV`, `ABORT`), time limits and programs that did not start.
fn is_failure(word: &str) -> bool {
    matches!(
        word,
        "FAIL" | "TIMEOUT" | "TMT" | "XFAIL" | "ABORT" | "LEAK-FAIL" | "LKFAIL" | "FLKY-FL"
    ) || word.starts_with("SIG")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, u64, u64)>) {
        let counts = parse(text).map(|report| {
            (
                report.counts.passed,
                report.counts.failed,
                report.counts.skipped,
            )
        });
        assert_eq!(counts, expected, "{text}");
    }

    #[test]
    fn results_of_all_programs_are_added() {
        let one = format!("running 1 test\n.\ntest result: ok. 1 passed; 0 failed; {OK}\n\n");
        check(&one, Some((1, 0, 0)));
        check(&one.repeat(3), Some((3, 0, 0)));
    }

    #[test]
    fn a_result_that_does_not_fit_its_announcement_is_ignored() {
        check(
            &format!("running 2 tests\ntest result: ok. 9 passed; 0 failed; {OK}\n"),
            None,
        );
        check(
            &format!("running 2 tests\ntest result: ok. 1 passed; 1 failed; {OK}\n"),
            None,
        );
        check("test result: ok. 1 passed", None);
        check(
            &format!("test result: maybe. 1 passed; 0 failed; {OK}"),
            None,
        );
        // Numbers that add up to the announced one by wrapping around.
        let huge = u64::MAX;
        check(
            &format!("running 0 tests\ntest result: FAILED. {huge} passed; 1 failed; {OK}\n"),
            None,
        );
    }

    #[test]
    fn a_program_that_died_does_not_hide_the_next() {
        let text = format!(
            "running 2 tests\ntest a ... ok\n\nrunning 1 test\ntest b ... ok\n\n\
             test result: ok. 1 passed; 0 failed; {OK}\n"
        );
        check(&text, Some((1, 0, 0)));
    }

    #[test]
    fn the_summary_of_nextest_is_read() {
        check(
            "Summary [   0.1s] 1 test run: 1 passed, 0 skipped",
            Some((1, 0, 0)),
        );
        check(
            "     Summary [   0.1s] 5/9 tests run: 2 passed (1 slow, 1 flaky), 1 failed, 1 timed out, 1 exec failed, 4 skipped",
            Some((2, 3, 4)),
        );
        check(
            "     Summary [   0.1s] 7 tests run: 9 passed, 0 skipped",
            None,
        );
        check("     Summary [ soon ] 1 test run: 1 passed", None);
    }

    #[test]
    fn messages_of_older_and_newer_panics_are_read() {
        let text = format!(
            "running 1 test\n---- a stdout ----\nthread 'a' panicked at 'no luck', src/a.rs:1:2\n\n\
             ---- b stdout ----\nthread 'b' panicked at src/b.rs:1:2:\ntwo\nlines\nnote: run with\n\n\
             test result: FAILED. 0 passed; 1 failed; {OK}\n"
        );
        assert_eq!(parse(&text).unwrap().messages, ["no luck", "two\nlines"]);
    }
}
