//! What is read from the output of real test runs, and what is never read from any output.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking; UPDATE_EXPECT writes golden files anew"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use lictor::evidence::{Report, cargo_test, junit, pytest, tap};
use proptest::prelude::*;
use regex::Regex;

type Parse = fn(&str) -> Option<Report>;

const KINDS: [(&str, Parse); 4] = [
    ("pytest", pytest::parse),
    ("cargo-test", cargo_test::parse),
    ("junit", junit::parse),
    ("tap", tap::parse),
];

/// Kind, file and text of every recorded output.
fn recorded() -> Vec<(Parse, PathBuf, String)> {
    let mut found = Vec::new();
    for (kind, parse) in KINDS {
        for entry in fs::read_dir(format!("tests/golden/reports/{kind}")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "txt" || e == "xml") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((parse, path, text));
            }
        }
    }
    assert!(found.len() > 40);
    found
}

fn counted(report: &Report) -> u64 {
    let c = &report.counts;
    c.passed + c.failed + c.skipped + c.errors + c.xfailed + c.xpassed
}

#[test]
fn recorded_outputs_are_read_as_written_beside_them() {
    let mut wrong = Vec::new();
    for (parse, path, text) in recorded() {
        let read = format!("{}\n", serde_json::to_string_pretty(&parse(&text)).unwrap());
        let beside = path.with_extension("json");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&beside, &read).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if read != expected {
            wrong.push(format!("{}:\n{read}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_tests_print_is_not_counted() {
    for (parse, path, text) in recorded() {
        if let Some(report) = parse(&text) {
            assert!(counted(&report) < 99, "{}", path.display());
            let names = report.passed.iter().chain(&report.failed);
            let mut invented =
                names.filter(|name| name.contains("invented") || name.ends_with("test_other"));
            assert_eq!(invented.next(), None, "{}", path.display());
            let is_invented = |message: &String| message.contains("invented");
            assert!(
                !report.messages.iter().any(is_invented),
                "{}",
                path.display()
            );
        }
    }
}

/// All numbers in front of `passed` added up: `cargo test` prints one for each program.
fn most_printed(text: &str) -> u64 {
    static COLOURS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("\u{1b}(\\[[0-9;]*m|\\(B)").unwrap());
    static PASSED: LazyLock<Regex> = LazyLock::new(|| Regex::new("([0-9]+) passed").unwrap());
    PASSED
        .captures_iter(&COLOURS.replace_all(text, ""))
        .filter_map(|found| found[1].parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

/// About 300 places to cut at, the last 200 bytes among them, where summaries stand.
fn cuts(text: &str) -> Vec<usize> {
    let step = (text.len() / 100).max(1);
    let near_the_end = text.len().saturating_sub(200);
    (0..=text.len())
        .filter(|at| (*at >= near_the_end || at % step == 0) && text.is_char_boundary(*at))
        .collect()
}

#[test]
fn output_cut_anywhere_never_reports_more_passes_than_it_prints() {
    for (parse, path, text) in recorded() {
        let is_xml = path.extension().is_some_and(|e| e == "xml");
        for at in &cuts(&text) {
            for part in [&text[..*at], &text[*at..]] {
                let Some(report) = parse(part) else { continue };
                if is_xml {
                    assert!(counted(&report) <= text.matches("<testcase").count() as u64);
                } else if report.kind == "tap" {
                    assert!(report.counts.passed <= part.matches("ok ").count() as u64);
                } else {
                    assert!(
                        report.counts.passed <= most_printed(part),
                        "{} cut at {at}: {report:?}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn a_document_that_is_cut_yields_nothing() {
    for (parse, path, text) in recorded() {
        if path.extension().is_some_and(|e| e == "xml") {
            let text = text.trim_end();
            for at in cuts(text).into_iter().filter(|at| *at < text.len()) {
                assert_eq!(parse(&text[..at]), None, "{} cut at {at}", path.display());
            }
        }
    }
}

#[test]
fn what_is_left_out_in_the_middle_changes_no_count_of_pytest() {
    for (parse, path, text) in recorded() {
        if !path.starts_with("tests/golden/reports/pytest") {
            continue;
        }
        let Some(whole) = parse(&text) else { continue };
        // The summary line, with its colours, is in the last 300 bytes.
        let borders: Vec<usize> = cuts(&text)
            .into_iter()
            .filter(|at| *at + 300 < text.len())
            .collect();
        for (nth, from) in borders.iter().enumerate() {
            let to = borders[nth + (borders.len() - nth) / 2];
            let cut = format!(
                "{}\n[… 123 bytes left out …]\n{}",
                &text[..*from],
                &text[to..]
            );
            let report = parse(&cut).unwrap();
            assert_eq!(
                report.counts,
                whole.counts,
                "{} without {from}..{to}",
                path.display()
            );
            for name in &report.failed {
                // A name may be cut as well.
                let is_known = whole
                    .failed
                    .iter()
                    .any(|known| known.contains(name.as_str()))
                    || name.contains("invented");
                assert!(is_known, "{}: {name}", path.display());
            }
        }
    }
}

/// Pieces that the parsers look for, and what tests might print between them.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("===== test session starts =====".to_owned()),
        Just("=== FAILURES ===".to_owned()),
        Just("____ test_x ____".to_owned()),
        Just("E       assert 0".to_owned()),
        Just("=== short test summary info ===".to_owned()),
        Just("FAILED a.py::x[1 - 2] - no".to_owned()),
        Just("a.py::y PASSED [ 50%]".to_owned()),
        Just("running 2 tests".to_owned()),
        Just("failures:".to_owned()),
        Just("    a::b".to_owned()),
        Just("---- a stdout ----".to_owned()),
        Just("thread 'a' panicked at src/a.rs:1:2:".to_owned()),
        Just("     Summary [   0.1s] 2 tests run: 1 passed, 1 failed, 0 skipped".to_owned()),
        Just("        FAIL [   0.1s] (1/2) a b".to_owned()),
        Just("1..2".to_owned()),
        Just("ok 1 - a".to_owned()),
        Just("not ok 2 - b # TODO".to_owned()),
        Just("  error: |-".to_owned()),
        Just("Bail out!".to_owned()),
        Just("<testsuite>".to_owned()),
        Just("</testsuite>".to_owned()),
        Just("<testcase name='a'>".to_owned()),
        Just("</testcase>".to_owned()),
        Just("<failure message='&lt;'/>".to_owned()),
        Just("\u{1b}[31m".to_owned()),
        (0u64..4, 0u64..4).prop_map(|(p, f)| format!("=== {f} failed, {p} passed in 0.1s ===")),
        (0u64..4, 0u64..4).prop_map(|(p, f)| format!(
            "test result: {}. {p} passed; {f} failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            if f == 0 { "ok" } else { "FAILED" }
        )),
        any::<String>(),
    ];
    let joined = prop::collection::vec((piece, prop::bool::weighted(0.9)), 0..40);
    joined.prop_map(|pieces| {
        pieces
            .into_iter()
            .map(|(piece, is_line)| if is_line { format!("{piece}\n") } else { piece })
            .collect()
    })
}

proptest! {
    #[test]
    fn no_output_makes_a_parser_panic_or_name_more_tests_than_it_counts(text in pieces()) {
        for (_, parse) in KINDS {
            if let Some(report) = parse(&text) {
                let counts = report.counts;
                prop_assert!(report.passed.len() as u64 <= counts.passed);
                prop_assert!(report.failed.len() as u64 <= counts.failed + counts.errors);
                let others = text.matches("<testcase").count() + text.matches("ok ").count();
                prop_assert!(counts.passed <= most_printed(&text) + others as u64);
            }
        }
    }

    #[test]
    fn damaged_output_makes_no_parser_panic(nth in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in any::<String>()) {
        static RECORDED: LazyLock<Vec<(Parse, PathBuf, String)>> = LazyLock::new(recorded);
        let (_, _, text) = nth.get(&RECORDED);
        let at = at.index(text.len() + 1);
        let at = (0..=at).rfind(|at| text.is_char_boundary(*at)).unwrap();
        let damaged = format!("{}{with}{}", &text[..at], &text[at..]);
        for (_, parse) in KINDS {
            let _ = parse(&damaged);
        }
    }
}

#[test]
fn reading_takes_time_linear_in_the_output() {
    const FORMS: [fn(usize) -> String; 7] = [
        |n| format!("tests/test_a.py::test_{n}[a - b] PASSED [ 50%]\n"),
        |n| format!("FAILED a.py::t[{n} - {n} - {n} - no\n== 1 passed in 0.1s =\n"),
        |n| format!("running {n} tests\n"),
        |n| format!("failures:\n    a{n}\n---- a stdout ----\nthread 'a' panicked at x:\n{n}\n"),
        |n| format!("        PASS [   0.1s] a b{n}\n     Summary [   0.1s] 1 test run: 2 passed\n"),
        |n| format!("ok {n} # # # #\nnot ok\n  error: |-\n    x\n"),
        |n| format!("<testcase name='{n}' a{n}='' b{n}=''><failure>{n}"),
    ];
    for form in FORMS {
        let text = |lines: usize, end: &str| {
            let start = "<testsuite>".to_owned();
            (0..lines).map(form).fold(start, |text, line| text + &line) + end
        };
        let end = "\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n9 passed in 0.1s\n";
        let (small, large) = (text(1_000, end), text(20_000, end));
        for (kind, parse) in KINDS {
            let time = |text: &str| {
                let start = std::time::Instant::now();
                let _ = parse(text);
                start.elapsed().as_secs_f64()
            };
            let small = (0..3).map(|_| time(&small)).fold(f64::MAX, f64::min);
            let large = time(&large);
            // Twenty times as much; quadratic would be four hundred times.
            assert!(
                large < small * 100.0 + 0.5,
                "{kind}: {small} s, twenty times as much {large} s"
            );
        }
    }
}
