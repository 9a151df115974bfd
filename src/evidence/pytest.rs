//! pytest's terminal output -> counts, failed and passed tests, messages.
//!
//! The counts are those of the last summary line, in either of its two forms:
//!
//! ```text
//! ========= 1 failed, 2 passed, 1 skipped in 0.12s =========
//! 1 failed, 2 passed, 1 skipped in 0.12s                          (with -q)
//! ```
//!
//! Without such a line (a run that was killed, `-qq`) there is no report: counting dots would claim
//! more than is known. Tests may print anything, summary lines included; pytest prints its own last.

#![forbid(unsafe_code)]

use super::reading::{self, Ending, Read, Reading, Summaries};
use super::terminal::{Lines, Texts, add_line, bounded, distinct};
use super::{Counts, Report};

/// Reads what pytest wrote to its standard output.
///
/// Ids of passed tests are known only if pytest printed them (`-v`, `-rA`). A test whose clean-up
/// failed is among the passed and the failed, and counted among the passed and the errors, as pytest
/// does it.
///
/// ```
/// use lictor::evidence::pytest;
///
/// let report = pytest::parse("..s   [100%]\n2 passed, 1 skipped in 0.01s\n").unwrap();
/// assert_eq!((report.counts.passed, report.counts.skipped), (2, 1));
/// assert!(pytest::parse("tests/test_a.py ..").is_none());
/// ```
#[must_use]
pub fn parse(stdout: &str) -> Option<Report> {
    reading::all(Box::<Pytest>::default(), stdout)
}

/// Reads what pytest writes to its standard output.
#[derive(Debug, Default)]
pub struct Pytest {
    lines: Lines,
    said: Said,
}

impl Reading for Pytest {
    fn stdout(&mut self, bytes: &[u8]) {
        self.lines.push(bytes, |line| self.said.line(line));
    }

    fn finish(mut self: Box<Self>, ending: &Ending) -> Read {
        self.lines.finish(|line| self.said.line(line));
        let Said {
            summaries,
            passed,
            failed,
            short,
            messages,
            ..
        } = self.said;
        let none = "the output has no summary line of pytest";
        summaries.read(ending, none, |counts, at: At| {
            let mut ids = short.failed.distinct(at.short.failed, at.end.failed);
            if ids.is_empty() {
                ids = failed.distinct(0, at.failed);
            }
            let mut all_passed = short.passed.distinct(at.short.passed, at.end.passed);
            all_passed.extend(passed.distinct(0, at.passed));
            let of_short = short.messages.part(at.short.messages, at.end.messages);
            // The short summary cuts messages to the width of the terminal, but names each failure.
            let full = messages.part(0, at.messages);
            bounded(Report {
                kind: "pytest".to_owned(),
                counts,
                failed: ids,
                passed: distinct(&all_passed),
                messages: if counts.failed == 0 && counts.errors == 0 {
                    // What is there was said of an earlier run.
                    Vec::new()
                } else if full.len() >= of_short.len() {
                    full
                } else {
                    of_short
                },
            })
        })
    }
}

/// Where in the lists a summary line stands.
#[derive(Clone, Copy, Debug)]
struct At {
    passed: usize,
    failed: usize,
    messages: usize,
    short: ShortAt,
    end: ShortAt,
}

/// Where in the lists of the short summary something stands.
#[derive(Clone, Copy, Debug, Default)]
struct ShortAt {
    failed: usize,
    passed: usize,
    messages: usize,
}

/// Output of pytest so far.
#[derive(Debug, Default)]
struct Said {
    /// Set by the first line that is not empty.
    has_header: Option<bool>,
    summaries: Summaries<At>,
    /// By the lines that tests print as they end.
    passed: Texts,
    failed: Texts,
    is_past_tests: bool,
    short: Short,
    messages: Texts,
    full: Full,
}

impl Said {
    fn line(&mut self, line: &str) {
        let title_of = title(line, '=');
        if self.has_header.is_none() && !line.trim().is_empty() {
            self.has_header = Some(title_of == Some("test session starts"));
        }
        let counts = match title_of {
            Some(title) => counts(title),
            // pytest prints its header and a framed summary, or neither.
            None if self.has_header == Some(true) => None,
            None => counts(line.trim_end()),
        };
        if let Some(counts) = counts {
            self.full.end(&mut self.messages);
            self.short.end_message();
            let at = At {
                passed: self.passed.len(),
                failed: self.failed.len(),
                messages: self.messages.len(),
                short: self.short.start,
                end: self.short.at(),
            };
            self.summaries.add(counts, at);
            return;
        }
        if matches!(title_of, Some("FAILURES" | "ERRORS")) {
            self.is_past_tests = true;
        }
        if !self.is_past_tests {
            match of_worker(line).or_else(|| of_progress(line)) {
                Some(("PASSED", id)) => self.passed.add(id),
                Some(("FAILED" | "ERROR", id)) => self.failed.add(id),
                _ => {}
            }
        }
        if self.is_past_tests {
            self.full.line(line, &mut self.messages);
        }
        if title_of == Some("short test summary info") {
            self.short.end_message();
            self.short.start = self.short.at();
            self.short.is_open = true;
        } else if self.short.is_open {
            self.short.line(line);
        }
    }
}

/// The text of a line such as `==== text ====`.
fn title(line: &str, frame: char) -> Option<&str> {
    let line = line.trim_end();
    let inner = line
        .strip_prefix(frame)?
        .trim_start_matches(frame)
        .strip_suffix(frame)?
        .trim_end_matches(frame);
    let text = inner.strip_prefix(' ')?.strip_suffix(' ')?;
    (!text.is_empty()).then_some(text)
}

/// The counts of `1 failed, 2 passed in 0.12s`.
fn counts(summary: &str) -> Option<Counts> {
    let (parts, time) = summary.rsplit_once(" in ")?;
    if !is_time(time) {
        return None;
    }
    let mut counts = Counts::default();
    let mut is_known = false;
    let mut seen: Vec<&str> = Vec::new();
    for part in parts.split(", ") {
        // Of collecting only; what follows in brackets is how many were left out.
        let of_collecting = part.split(" (").next().unwrap_or(part);
        if matches!(part, "no tests ran" | "no tests collected")
            || of_collecting.ends_with(" tests collected")
            || of_collecting.ends_with(" test collected")
            || of_collecting == "no tests collected"
        {
            is_known = true;
            continue;
        }
        let (number, word) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
        if !is_word || seen.contains(&word) {
            return None;
        }
        seen.push(word);
        let count = match word {
            "passed" => &mut counts.passed,
            "failed" => &mut counts.failed,
            "skipped" => &mut counts.skipped,
            "error" | "errors" => &mut counts.errors,
            "xfailed" => &mut counts.xfailed,
            "xpassed" => &mut counts.xpassed,
            "deselected" | "warning" | "warnings" | "rerun" | "reruns" => {
                is_known = true;
                continue;
            }
            // What a plugin counts, subtests for example. It must not hide that something failed.
            other if other.contains("failed") => &mut counts.failed,
            other if other.contains("error") => &mut counts.errors,
            _ => continue,
        };
        *count = count.saturating_add(number);
        is_known = true;
    }
    is_known.then_some(counts)
}

/// `0.12s`, `61.50s (0:01:01)`, and `0.12 seconds` as pytest wrote it before version 5.
fn is_time(text: &str) -> bool {
    let (number, rest) = match text.find(|c: char| !c.is_ascii_digit() && c != '.') {
        Some(end) => text.split_at(end),
        None => return false,
    };
    let is_number =
        number.parse::<f64>().is_ok() && number.starts_with(|c: char| c.is_ascii_digit());
    let rest = rest
        .strip_prefix(" seconds")
        .or_else(|| rest.strip_prefix('s'));
    let is_rest = rest.is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix(" (")
                .and_then(|rest| rest.strip_suffix(')'))
                .is_some_and(|clock| clock.contains(':') && !clock.contains(['(', ')']))
    });
    is_number && is_rest
}

/// The entries below `short test summary info`. That line may come several times: a test may print it.
#[derive(Debug, Default)]
struct Short {
    is_open: bool,
    failed: Texts,
    passed: Texts,
    messages: Texts,
    message: Option<String>,
    /// Where those below the last such line start.
    start: ShortAt,
}

impl Short {
    fn at(&self) -> ShortAt {
        ShortAt {
            failed: self.failed.len(),
            passed: self.passed.len(),
            messages: self.messages.len(),
        }
    }

    fn end_message(&mut self) {
        if let Some(message) = self.message.take() {
            self.messages.add_again(&message);
        }
    }

    fn line(&mut self, line: &str) {
        if let Some((outcome, rest)) = entry(line) {
            self.end_message();
            let (id, message) = id_and_message(rest);
            match outcome {
                Outcome::Failed => {
                    self.failed.add(id);
                    self.message = message.map(str::to_owned);
                }
                Outcome::Passed => self.passed.add(id),
                Outcome::Other => {}
            }
        } else if let Some(message) = &mut self.message
            && title(line, '!').is_none()
        {
            // With `-vv` a message keeps its lines.
            add_line(message, line.trim_end());
        }
    }
}

/// Result that an entry of the short summary gives a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Failed,
    Passed,
    Other,
}

/// The outcome and the rest of an entry such as `FAILED tests/a.py::test_x - assert 0`.
///
/// A failed part of a test is named by its test: `SUBFAILED[words] (i=1) tests/a.py::test_x - …` of
/// pytest 9, `[words] (i=1) SUBFAIL tests/a.py::test_x - …` of the plugin before.
fn entry(line: &str) -> Option<(Outcome, &str)> {
    for word in ["SUBFAILED", "SUBFAIL"] {
        if line.starts_with(['[', '('])
            && let Some((_, rest)) = line.split_once(&format!(" {word} "))
        {
            return Some((Outcome::Failed, rest.trim_end()));
        }
        if let Some(rest) = line.strip_prefix(word)
            && rest.starts_with(['[', '(', ' '])
        {
            return Some((Outcome::Failed, behind_words(rest).trim_end()));
        }
    }
    let (word, rest) = line.split_once(' ')?;
    let outcome = match word {
        "FAILED" | "ERROR" => Outcome::Failed,
        "PASSED" => Outcome::Passed,
        "SKIPPED" | "XFAIL" | "XPASS" | "RERUN" => Outcome::Other,
        _ if word.starts_with("SUBSKIP") || word.starts_with("SUBPASS") => Outcome::Other,
        _ => return None,
    };
    Some((outcome, rest.trim_end()))
}

/// Leaves out `[words] (i=1)`, which say what part of a test it was. The words may hold anything, so
/// what follows is known by its form: the first place that a file of Python stands at.
fn behind_words(text: &str) -> &str {
    let starts = || {
        let ends = [") ", "] "]
            .into_iter()
            .flat_map(|end| text.match_indices(end));
        let mut starts: Vec<usize> = ends.map(|(at, _)| at.saturating_add(2)).collect();
        starts.sort_unstable();
        starts.into_iter().filter_map(|at| text.get(at..))
    };
    let word = |rest: &str| rest.split(' ').next().map(str::to_owned);
    let is_file = |rest: &&str| word(rest).is_some_and(|word| word.contains(".py::"));
    let is_id = |rest: &&str| word(rest).is_some_and(|word| word.contains("::"));
    starts()
        .find(is_file)
        .or_else(|| starts().find(is_id))
        .or_else(|| starts().next())
        .unwrap_or(text)
        .trim_start()
}

/// Takes `id - message` apart. An id may hold ` - ` between its brackets.
fn id_and_message(rest: &str) -> (&str, Option<&str>) {
    for (at, _) in rest.match_indices(" - ") {
        let (id, message) = rest.split_at(at);
        if !id.contains('[') || id.ends_with(']') {
            return (id, message.strip_prefix(" - "));
        }
    }
    // The message may have been cut away.
    (rest.strip_suffix(" -").unwrap_or(rest), None)
}

// The outcome by a line that `-v` prints while tests run: `tests/a.py::test_x PASSED [ 50%]`, and
// `[gw0] [ 50%] PASSED tests/a.py::test_x` from xdist. The progress in brackets is required: with `-s`
// there is none, and then a test's own prints cannot be told from pytest's.
fn of_worker(line: &str) -> Option<(&str, &str)> {
    let (worker, rest) = line.strip_prefix("[gw")?.split_once("] [")?;
    let (percent, rest) = rest.split_once("] ")?;
    let (word, id) = rest.split_once(' ')?;
    let is_worker = worker.chars().all(|c| c.is_ascii_digit()) && is_progress(percent);
    let id = id.trim_end();
    (is_worker && id.contains("::")).then_some((word, id))
}

fn of_progress(line: &str) -> Option<(&str, &str)> {
    let (rest, progress) = line.trim_end().strip_suffix(']')?.rsplit_once('[')?;
    let (id, word) = rest.trim_end().rsplit_once(' ')?;
    (is_progress(progress) && id.contains("::")).then_some((word, id.trim_end()))
}

/// ` 50%`, or `1/2` where counting is configured.
fn is_progress(text: &str) -> bool {
    text.ends_with(|c: char| c == '%' || c.is_ascii_digit())
        && text.contains(['%', '/'])
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '%' | '/'))
}

/// The `E` lines of each block below `FAILURES` and `ERRORS`. Of several exceptions that led to one
/// another the last one counts. What a test printed is skipped: it stands at the end of a block.
#[derive(Debug, Default)]
struct Full {
    message: String,
    /// `E` stands in front of the text's own indentation: as deep as its first line begins.
    indent: Option<usize>,
    is_traceback: bool,
}

impl Full {
    fn line(&mut self, line: &str, messages: &mut Texts) {
        if title(line, '_').is_some() || title(line, '=').is_some() {
            self.end(messages);
            self.is_traceback = title(line, '_').is_some();
        } else if title(line, '-').is_some_and(|title| title.starts_with("Captured ")) {
            self.is_traceback = false;
        } else if self.is_traceback {
            let error = line
                .strip_prefix('E')
                .filter(|rest| rest.is_empty() || rest.starts_with("   "));
            let Some(text) = error else {
                self.indent = None;
                return;
            };
            let blanks = text.len().saturating_sub(text.trim_start().len());
            let message = &mut self.message;
            let first = *self.indent.get_or_insert_with(|| {
                message.clear();
                blanks
            });
            let text = text.get(first.min(blanks)..).unwrap_or_default();
            add_line(message, text.trim_end());
        }
    }

    fn end(&mut self, messages: &mut Texts) {
        if !self.message.is_empty() {
            messages.add_again(&std::mem::take(&mut self.message));
        }
        self.indent = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<[u64; 6]>) {
        let counts = parse(line).map(|report| {
            let c = report.counts;
            [
                c.passed, c.failed, c.skipped, c.errors, c.xfailed, c.xpassed,
            ]
        });
        assert_eq!(counts, expected, "{line:?}");
    }

    #[test]
    fn both_forms_of_the_summary_line_are_read() {
        check(
            "=== 1 failed, 2 passed in 0.12s ===",
            Some([2, 1, 0, 0, 0, 0]),
        );
        check("= 1 passed in 0.12s =", Some([1, 0, 0, 0, 0, 0]));
        check(
            "3 passed, 1 skipped, 2 xfailed, 1 xpassed, 2 errors in 1.00s",
            Some([3, 0, 1, 2, 2, 1]),
        );
        check("1 error in 0.12s", Some([0, 0, 0, 1, 0, 0]));
        check(
            "==== 5 passed, 3 warnings in 61.50s (0:01:01) ====",
            Some([5, 0, 0, 0, 0, 0]),
        );
        check(
            "==== 5 passed in 90061.50s (1 day, 1:01:01) ====",
            Some([5, 0, 0, 0, 0, 0]),
        );
        check(
            "==== 5 passed in 0.12 seconds ====",
            Some([5, 0, 0, 0, 0, 0]),
        );
        check(
            "==== 2 failed, 2 subtests passed in 0.03s ====",
            Some([0, 2, 0, 0, 0, 0]),
        );
        check(
            "==== 1 passed, 1 subtests failed, 2 plugin errors in 0.02s ====",
            Some([1, 1, 0, 2, 0, 0]),
        );
        check("==== no tests ran in 0.01s ====", Some([0; 6]));
        check("==== 2 deselected in 0.02s ====", Some([0; 6]));
        check(
            "==== 1/2 tests collected (1 deselected) in 0.02s ====",
            Some([0; 6]),
        );
        check("==== 2 tests collected in 0.02s ====", Some([0; 6]));
    }

    #[test]
    fn what_only_resembles_a_summary_line_is_none() {
        check("", None);
        check("5 passed", None);
        check("5 passed in", None);
        check("5 passed in time", None);
        check("5 passed in .s", None);
        check("5 passed in 0.1s and more", None);
        check("=== 5 passed in 0.1s", None);
        check("5 passed in 0.1s ===", None);
        check("== all 5 passed in 0.1s ==", None);
        check("5 passed, 6 passed in 0.1s", None);
        check("-5 passed in 0.1s", None);
        check("99999999999999999999 passed in 0.1s", None);
        check("3 widgets in 0.1s", None);
        check("test_a 5 passed in 0.1s", None);
    }

    #[test]
    fn the_last_summary_line_counts_and_with_a_header_only_a_framed_one() {
        check(
            "=== 9 passed in 1s ===\n=== 1 failed in 1s ===\n",
            Some([0, 1, 0, 0, 0, 0]),
        );
        let header = "=== test session starts ===\n=== 1 failed in 1s ===\n9 passed in 1s\n";
        check(header, Some([0, 1, 0, 0, 0, 0]));
    }

    #[test]
    fn a_run_without_failures_has_no_messages_of_one_before_it() {
        let start = "=== test session starts ===\n";
        let bad = "=== FAILURES ===\n___ test_a ___\nE   assert 0\n=== short test summary info ===\n\
                   FAILED a.py::test_a - assert 0\n=== 1 failed in 1s ===\n";
        assert_eq!(
            parse(&format!("{start}{bad}")).unwrap().messages,
            ["assert 0"]
        );
        let both = parse(&format!("{start}{bad}{start}=== 1 passed in 1s ===\n")).unwrap();
        assert_eq!((both.messages, both.failed), (vec![], vec![]));
    }

    #[test]
    fn a_part_of_a_test_is_named_by_its_test() {
        #[track_caller]
        fn check(line: &str, id: &str) {
            let (outcome, rest) = entry(line).unwrap();
            assert_eq!((outcome, id_and_message(rest).0), (Outcome::Failed, id));
        }
        check("SUBFAILED[msg] (i=0) t/a.py::T::x - no", "t/a.py::T::x");
        check("SUBFAILED(i=1, j=2) t/a.py::T::x - no", "t/a.py::T::x");
        check("SUBFAILED[two words] t/a.py::x", "t/a.py::x");
        check(
            "SUBFAILED[a] (b) c::d - e] (i=0) t/a.py::x - no",
            "t/a.py::x",
        );
        check("SUBFAILED(<subtest>) t/a.py::x[p q] - no", "t/a.py::x[p q]");
        check("SUBFAILED t/a.py::x", "t/a.py::x");
        check("[n] (i=1) SUBFAIL t/a.py::x - no", "t/a.py::x");
        check("(i=1) SUBFAIL t/a.py::x", "t/a.py::x");
        check("FAILED t/a.py::x[SUBFAIL ] - no", "t/a.py::x[SUBFAIL ]");
    }

    #[test]
    fn ids_keep_their_brackets() {
        #[track_caller]
        fn check(rest: &str, id: &str, message: Option<&str>) {
            assert_eq!(id_and_message(rest), (id, message));
        }
        check("a.py::t - assert 1 - 2", "a.py::t", Some("assert 1 - 2"));
        check("a.py::t[x - y] - no", "a.py::t[x - y]", Some("no"));
        check("a.py::t[x - y]", "a.py::t[x - y]", None);
        check("a.py", "a.py", None);
    }
}
