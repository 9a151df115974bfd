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
//! The counts are the sum of these. A result belongs to the last program that announced as many tests and
//! has not told its result; what stands between the two was printed by its tests, other programs and all.
//! Without such a program it corrects the last one of as many tests, for the runner's own result comes
//! last. A program that never tells its result has died, which is counted as an error. nextest prints one
//! summary for all, to its standard error:
//!
//! ```text
//!      Summary [   0.108s] 7 tests run: 5 passed, 2 failed, 1 skipped
//! ```

#![forbid(unsafe_code)]

use super::reading::{self, Ending, Read, Reading, Summaries};
use super::terminal::{Lines, Texts, add_line, bounded};
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
    reading::all(Box::new(CargoTest::new()), text)
}

/// Reads what `cargo test` and nextest write to both streams.
#[derive(Debug)]
pub struct CargoTest {
    out: Lines,
    err: Lines,
    libtest: Option<Libtest>,
    /// nextest's own words, by stream.
    on_out: Nextest,
    on_err: Nextest,
    /// Programs of which cargo says on standard error that they died.
    died: u64,
}

impl CargoTest {
    /// `cargo test`, or nextest if that is what it turns out to be.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "there is no ordinary one of the two"
    )]
    pub fn new() -> CargoTest {
        CargoTest {
            libtest: Some(Libtest::default()),
            ..CargoTest::nextest()
        }
    }

    /// nextest, whatever the tests print.
    #[must_use]
    pub fn nextest() -> CargoTest {
        CargoTest {
            out: Lines::default(),
            err: Lines::default(),
            libtest: None,
            on_out: Nextest::default(),
            on_err: Nextest::default(),
            died: 0,
        }
    }

    fn out_line(libtest: &mut Option<Libtest>, nextest: &mut Nextest, line: &str) {
        let line = line.trim_end();
        if let Some(libtest) = libtest {
            libtest.line(line);
            nextest.line(line);
            nextest.is_first |= nextest.has_header && libtest.programs.is_empty();
        }
    }

    fn err_line(nextest: &mut Nextest, died: &mut u64, line: &str) {
        let line = line.trim_end();
        if has_died(line) {
            *died = died.saturating_add(1);
        }
        nextest.line(line);
    }
}

impl Reading for CargoTest {
    fn stdout(&mut self, bytes: &[u8]) {
        self.out.push(bytes, |line| {
            CargoTest::out_line(&mut self.libtest, &mut self.on_out, line);
        });
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.err.push(bytes, |line| {
            CargoTest::err_line(&mut self.on_err, &mut self.died, line);
        });
    }

    fn finish(mut self: Box<Self>, ending: &Ending) -> Read {
        self.out.finish(|line| {
            CargoTest::out_line(&mut self.libtest, &mut self.on_out, line);
        });
        self.err.finish(|line| {
            CargoTest::err_line(&mut self.on_err, &mut self.died, line);
        });
        let CargoTest {
            libtest,
            on_out,
            on_err,
            died,
            ..
        } = *self;
        let Some(libtest) = libtest else {
            return on_err.read(ending);
        };
        // A test may print a summary of nextest; nextest itself says first what it is about to do.
        if on_err.has_header {
            return on_err.read(ending);
        }
        match libtest.report(died) {
            Some(_) if on_out.is_first => on_out.read(ending),
            Some(report) => Read::of(report, ending),
            None if on_out.is_any => on_out.read(ending),
            None if on_err.is_any => on_err.read(ending),
            None => Read::missing("no test program told its result"),
        }
    }
}

/// `process didn't exit successfully: `target/…` (signal: 6, SIGABRT: process abort signal)`. A program
/// of which a test failed exits with 101, and has told so itself.
fn has_died(line: &str) -> bool {
    let is_told = line
        .trim_start()
        .starts_with("process didn't exit successfully: `");
    is_told && !line.ends_with("(exit status: 101)") && !line.ends_with("(exit code: 101)")
}

/// Counts of one `test result:` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Most programs that are looked at for one result, from the last one back.
const MAX_OPEN: usize = 256;

/// Most programs of one run.
const MAX_PROGRAMS: usize = 100_000;

/// One test program's part of the output.
#[derive(Debug, Default)]
struct Program {
    announced: u64,
    result: Option<Tally>,
    passed: Texts,
    /// Since `failures:` or `successes:`: what follows is text of the tests.
    is_past_tests: bool,
    is_behind_failures: bool,
    /// The names below the last `failures:`, and those of the result that counts.
    listed: Texts,
    failed: Vec<String>,
}

/// All test programs of a run.
#[derive(Debug, Default)]
struct Libtest {
    programs: Vec<Program>,
    messages: Messages,
}

impl Libtest {
    fn line(&mut self, line: &str) {
        self.messages.line(line);
        if let Some(announced) = announced(line) {
            if self.programs.len() < MAX_PROGRAMS {
                self.programs.push(Program {
                    announced,
                    ..Program::default()
                });
            }
        } else if let Some(tally) = Tally::read(line) {
            self.result(tally);
        } else if let Some(at) = self.last(|program| program.result.is_none())
            && let Some(program) = self.programs.get_mut(at)
        {
            program.line(line);
        }
    }

    fn result(&mut self, tally: Tally) {
        let fits = |program: &Program| tally.tests() == Some(program.announced);
        let open = self.last(|program| program.result.is_none() && fits(program));
        let Some(at) = open.or_else(|| self.last(fits)) else {
            return;
        };
        self.programs.truncate(at.saturating_add(1));
        if let Some(program) = self.programs.last_mut() {
            program.result = Some(tally);
            program.failed = program.listed.distinct(0, program.listed.len());
        }
    }

    fn last(&self, is_it: impl Fn(&Program) -> bool) -> Option<usize> {
        let from = self.programs.len().saturating_sub(MAX_OPEN);
        let at = self.programs.get(from..)?.iter().rposition(is_it)?;
        Some(at.saturating_add(from))
    }

    /// The sum; none if no program told a result. `died`: programs of which cargo says so.
    fn report(self, died: u64) -> Option<Report> {
        let mut report = Report {
            kind: "cargo-test".to_owned(),
            messages: self.messages.into_list(),
            ..Report::default()
        };
        let mut is_any = false;
        let mut open: u64 = 0;
        for program in self.programs {
            let Some(tally) = program.result else {
                open = open.saturating_add(1);
                let announced = program.announced;
                let message = format!("a test program of {announced} tests ended without a result");
                report.messages.push(message);
                continue;
            };
            is_any = true;
            let counts = &mut report.counts;
            counts.passed = counts.passed.saturating_add(tally.passed);
            counts.failed = counts.failed.saturating_add(tally.failed);
            counts.skipped = counts.skipped.saturating_add(tally.ignored);
            let passed = program.passed.part(0, program.passed.len());
            report.passed.extend(no_more(passed, tally.passed));
            report.failed.extend(no_more(program.failed, tally.failed));
        }
        report.counts.errors = open.max(died);
        is_any.then(|| bounded(report))
    }
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

impl Program {
    fn line(&mut self, line: &str) {
        if line == "failures:" {
            self.listed.clear();
            self.is_past_tests = true;
        } else if line == "successes:" {
            self.is_past_tests = true;
        } else if let Some(name) = line.strip_prefix("    ") {
            if self.is_behind_failures || !self.listed.is_empty() {
                self.listed.add(name);
            }
        } else if !line.is_empty() {
            self.listed.clear();
        }
        if !line.is_empty() {
            self.is_behind_failures = line == "failures:";
        }
        let passed = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... ok"));
        if let Some(name) = passed.filter(|_| !self.is_past_tests) {
            let name = name.strip_suffix(" - should panic").unwrap_or(name);
            self.passed.add(name);
        }
    }
}

/// The messages of panics and returned errors: of libtest below `---- name stdout ----`, of nextest
/// indented below `stdout ───` and `stderr ───`.
#[derive(Debug, Default)]
struct Messages {
    list: Texts,
    /// A panic whose message goes on, and how deep it is indented.
    open: Option<Panic>,
}

#[derive(Debug)]
struct Panic {
    indent: usize,
    at: String,
    message: String,
}

impl Messages {
    fn line(&mut self, line: &str) {
        if let Some(panic) = &mut self.open {
            let text = line.get(panic.indent..).unwrap_or(line.trim_start());
            let is_end = text.is_empty()
                || text == "stack backtrace:"
                || text.starts_with("note: ")
                || text.starts_with("---- ")
                || text.starts_with("thread '")
                || text.starts_with("test result: ");
            if !is_end {
                add_line(&mut panic.message, text);
                return;
            }
            self.end();
        }
        let text = line.trim_start();
        if let Some(error) = text.strip_prefix("Error: ") {
            self.list.add(error);
        } else if text.starts_with("note: test did not panic as expected") {
            self.list.add("test did not panic as expected");
        } else if let Some((_, at)) = text
            .strip_prefix("thread '")
            .and_then(|rest| rest.split_once(" panicked at "))
        {
            // Rust before 1.73 wrote the message in quotes on that line.
            if let Some((quoted, _)) = at.strip_prefix('\'').and_then(|at| at.rsplit_once("', ")) {
                self.list.add(quoted);
            } else {
                self.open = Some(Panic {
                    indent: line.len().saturating_sub(text.len()),
                    at: at.to_owned(),
                    message: String::new(),
                });
            }
        }
    }

    fn end(&mut self) {
        if let Some(panic) = self.open.take() {
            self.list.add(if panic.message.is_empty() {
                &panic.at
            } else {
                &panic.message
            });
        }
    }

    /// A retried test says the same again, so each counts once.
    fn into_list(mut self) -> Vec<String> {
        self.end();
        self.list.distinct(0, self.list.len())
    }
}

/// Lines of nextest about a run.
#[derive(Debug, Default)]
struct Nextest {
    /// It has said what it is about to do.
    has_header: bool,
    /// It did so before any test program printed something on the same stream.
    is_first: bool,
    is_any: bool,
    summaries: Summaries<NextestAt>,
    passed: Texts,
    failed: Texts,
    messages: Messages,
}

/// Where in the lists a summary stands. Behind it nextest lists the failures again.
#[derive(Clone, Copy, Debug)]
struct NextestAt {
    passed: usize,
    failed: usize,
    messages: usize,
}

impl Nextest {
    fn line(&mut self, line: &str) {
        self.messages.line(line);
        if let Some(counts) = summary(line) {
            self.messages.end();
            self.is_any = true;
            let at = NextestAt {
                passed: self.passed.len(),
                failed: self.failed.len(),
                messages: self.messages.list.len(),
            };
            self.summaries.add(counts, at);
        } else if let Some((word, name)) = outcome(line) {
            if word == "PASS" {
                self.passed.add(name);
            } else if is_failure(word) {
                self.failed.add_again(name);
            }
        } else if is_header(line) {
            self.has_header = true;
        }
    }

    fn read(self, ending: &Ending) -> Read {
        let Nextest {
            summaries,
            passed,
            failed,
            messages,
            ..
        } = self;
        let none = "nextest printed no summary to standard error";
        summaries.read(ending, none, |counts, at| {
            let mut names = failed.distinct(at.failed, failed.len());
            if names.is_empty() {
                names = failed.distinct(0, at.failed);
            }
            bounded(Report {
                kind: "nextest".to_owned(),
                counts,
                failed: names,
                passed: passed.distinct(0, at.passed),
                messages: messages.list.distinct(0, at.messages),
            })
        })
    }
}

/// `    Starting 7 tests across 2 binaries`.
fn is_header(line: &str) -> bool {
    let rest = line.trim_start().strip_prefix("Starting ");
    let number = rest.and_then(|rest| rest.split_once(" test"));
    number.is_some_and(|(number, rest)| number.parse::<u64>().is_ok() && rest.contains(" across "))
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
            // What does not count as a test, such as a script that prepares the run.
            other if other.contains("fail") || other.contains("error") => &mut counts.errors,
            _ => return None,
        };
        *count = count.checked_add(number)?;
        if matches!(word, "passed" | "failed" | "timed out" | "exec failed") {
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
        // Behind `TRY 2` there is no room for more.
        || matches!(
            word,
            "ABRT" | "SEGV" | "KILL" | "TERM" | "TRAP" | "ILL" | "BUS" | "FPE" | "HUP" | "INT" | "QUIT" | "PIPE" | "ALRM" | "SYS" | "USR1" | "USR2"
        )
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
        let report = parse(&text).unwrap();
        assert_eq!(report.counts.errors, 1);
        assert_eq!(
            report.messages,
            ["a test program of 2 tests ended without a result"]
        );
    }

    #[test]
    fn what_a_test_prints_of_other_programs_is_not_counted() {
        let inner = format!(
            "running 2 tests\ntest result: ok. 2 passed; 0 failed; {OK}\n\nrunning 3 tests\n\
             test result: ok. 3 passed; 0 failed; {OK}\n"
        );
        for (inner, announced) in [(inner.as_str(), 1), ("running 9 tests\n", 1), (&inner, 3)] {
            let failed = announced - 1;
            let text = format!(
                "running {announced} tests\n{inner}test result: {}. 1 passed; {failed} failed; {OK}\n",
                if failed == 0 { "ok" } else { "FAILED" }
            );
            check(&text, Some((1, failed, 0)));
            assert_eq!(parse(&text).unwrap().counts.errors, 0);
        }
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
