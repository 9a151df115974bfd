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

use std::borrow::Cow;

use super::terminal::{Names, bounded, plain_lines};
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
    let lines = plain_lines(stdout);
    let has_header = lines
        .iter()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| title(line, '=') == Some("test session starts"));
    let is_candidate = |line: &str| match title(line, '=') {
        Some(title) => counts(title),
        // pytest prints its header and a framed summary, or neither.
        None if has_header => None,
        None => counts(line.trim_end()),
    };
    let (at, counts) = lines
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, line)| is_candidate(line).map(|counts| (at, counts)))?;
    let before = lines.get(..at).unwrap_or_default();
    let outcomes = Outcomes::read(before);
    Some(bounded(Report {
        kind: "pytest".to_owned(),
        counts,
        failed: outcomes.failed.into_list(),
        passed: outcomes.passed.into_list(),
        messages: outcomes.messages,
    }))
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
            // What a plugin counts, subtests for example.
            _ => continue,
        };
        *count = number;
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

/// What pytest said of single tests.
#[derive(Default)]
struct Outcomes {
    failed: Names,
    passed: Names,
    messages: Vec<String>,
}

impl Outcomes {
    /// Reads the lines in front of the summary line.
    fn read(lines: &[Cow<'_, str>]) -> Outcomes {
        let short = short_summary(lines);
        let mut outcomes = Outcomes::default();
        let mut short_messages: Vec<String> = Vec::new();
        let mut is_open = false;
        for line in short {
            let entry = entry(line);
            if let Some((word, rest)) = entry {
                let (id, message) = id_and_message(rest);
                is_open = matches!(word, "FAILED" | "ERROR" | "SUBFAILED") && message.is_some();
                match word {
                    "FAILED" | "ERROR" | "SUBFAILED" => {
                        outcomes.failed.add(id);
                        short_messages.extend(message.map(str::to_owned));
                    }
                    "PASSED" => outcomes.passed.add(id),
                    _ => {}
                }
            } else if is_open && title(line, '!').is_none() {
                // With `-vv` a message keeps its lines.
                if let Some(message) = short_messages.last_mut() {
                    message.push('\n');
                    message.push_str(line.trim_end());
                }
            }
        }
        let failed = progress(lines, &mut outcomes.passed);
        if outcomes.failed.is_empty() {
            outcomes.failed = failed;
        }
        let full = failure_messages(lines);
        // The short summary cuts messages to the width of the terminal, but names each failure.
        outcomes.messages = if full.len() >= short_messages.len() {
            full
        } else {
            short_messages
        };
        outcomes
    }
}

/// The lines behind the last `short test summary info`. Where that line was cut away: the lines at
/// the end that are entries of it.
fn short_summary<'l, 't>(lines: &'l [Cow<'t, str>]) -> &'l [Cow<'t, str>] {
    let head = lines
        .iter()
        .rposition(|line| title(line, '=') == Some("short test summary info"));
    let start = match head {
        Some(head) => head.saturating_add(1),
        None => {
            let is_entry =
                |line: &Cow<'_, str>| entry(line).is_some() || title(line, '!').is_some();
            lines
                .iter()
                .rposition(|line| !is_entry(line))
                .map_or(0, |last_other| last_other.saturating_add(1))
        }
    };
    lines.get(start..).unwrap_or_default()
}

/// The word and the rest of an entry such as `FAILED tests/a.py::test_x - assert 0`.
fn entry(line: &str) -> Option<(&str, &str)> {
    const WORDS: [&str; 8] = [
        "FAILED",
        "ERROR",
        "PASSED",
        "SKIPPED",
        "XFAIL",
        "XPASS",
        "RERUN",
        "SUBFAILED",
    ];
    let (word, rest) = line.split_once(' ')?;
    // `SUBFAILED(i=1)` and `SUBFAILED[name]` say which subtest it was.
    let word = word.split(['(', '[']).next().unwrap_or(word);
    WORDS.contains(&word).then_some((word, rest.trim_end()))
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

/// Adds the passed tests, and returns the failed ones, by the lines that `-v` prints while tests run:
/// `tests/a.py::test_x PASSED [ 50%]`, and `[gw0] [ 50%] PASSED tests/a.py::test_x` from xdist.
///
/// The progress in brackets is required: with `-s` there is none, and then a test's own prints
/// cannot be told from pytest's.
fn progress(lines: &[Cow<'_, str>], passed: &mut Names) -> Names {
    let mut failed = Names::default();
    for line in lines {
        if title(line, '=').is_some_and(|title| matches!(title, "FAILURES" | "ERRORS")) {
            break;
        }
        match of_worker(line).or_else(|| of_progress(line)) {
            Some(("PASSED", id)) => passed.add(id),
            Some(("FAILED" | "ERROR", id)) => failed.add(id),
            _ => {}
        }
    }
    failed
}

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
fn failure_messages(lines: &[Cow<'_, str>]) -> Vec<String> {
    let is_start =
        |line: &Cow<'_, str>| title(line, '=').is_some_and(|t| matches!(t, "FAILURES" | "ERRORS"));
    let start = lines.iter().position(is_start).unwrap_or(lines.len());
    let mut messages = Vec::new();
    let mut message = String::new();
    // `E` stands in front of the text's own indentation: as deep as its first line begins.
    let mut indent = None;
    let mut is_traceback = false;
    for line in lines.get(start..).unwrap_or_default() {
        if title(line, '_').is_some() || title(line, '=').is_some() {
            if !message.is_empty() {
                messages.push(std::mem::take(&mut message));
            }
            indent = None;
            is_traceback = title(line, '_').is_some();
        } else if title(line, '-').is_some_and(|title| title.starts_with("Captured ")) {
            is_traceback = false;
        } else if is_traceback {
            let error = line
                .strip_prefix('E')
                .filter(|rest| rest.is_empty() || rest.starts_with("   "));
            let Some(text) = error else {
                indent = None;
                continue;
            };
            let blanks = text.len().saturating_sub(text.trim_start().len());
            let first = *indent.get_or_insert_with(|| {
                message.clear();
                blanks
            });
            if !message.is_empty() {
                message.push('\n');
            }
            let text = text.get(first.min(blanks)..).unwrap_or_default();
            message.push_str(text.trim_end());
        }
    }
    if !message.is_empty() {
        messages.push(message);
    }
    messages
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
