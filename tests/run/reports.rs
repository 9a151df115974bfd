//! What is read from the output of real test runs, and what is never read from any output.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use lictor::evidence::reading::{Ending, Reading, Trouble};
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

/// One line of `tests/data/reports/right.tsv`.
struct Right {
    file: String,
    kind: String,
    ending: Ending,
    /// Passed, failed, skipped, errors, xfailed, xpassed; none if there is no report.
    counts: Option<[u64; 6]>,
    failed: Vec<String>,
    out: Vec<u8>,
    err: Vec<u8>,
}

fn rights() -> Vec<Right> {
    let table = fs::read_to_string("tests/data/reports/right.tsv").unwrap();
    let rights: Vec<Right> = table
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let file = cells[0].to_owned();
            let out = fs::read(format!("tests/data/reports/{file}")).unwrap();
            let err = fs::read(format!(
                "tests/data/reports/{}",
                file.replace(".out", ".err")
            ));
            Right {
                kind: cells[1].to_owned(),
                ending: match cells[2] {
                    "0" => Ending::Good,
                    how => Ending::Bad(how.to_owned()),
                },
                counts: (cells[3] != "missing")
                    .then(|| std::array::from_fn(|nth| cells[3 + nth].parse().unwrap())),
                failed: match cells[9] {
                    "-" => Vec::new(),
                    ids => ids.split(',').map(str::to_owned).collect(),
                },
                err: if file.ends_with(".out") {
                    err.unwrap_or_default()
                } else {
                    Vec::new()
                },
                out,
                file,
            }
        })
        .collect();
    assert!(rights.len() > 45);
    rights
}

fn reading(kind: &str) -> Box<dyn Reading> {
    match kind {
        "pytest" => Box::<pytest::Pytest>::default(),
        "cargo-test" => Box::new(cargo_test::CargoTest::new()),
        "nextest" => Box::new(cargo_test::CargoTest::nextest()),
        "junit" => Box::<junit::Junit>::default(),
        "tap" => Box::<tap::Tap>::default(),
        other => panic!("{other}"),
    }
}

fn numbers(report: &Report) -> [u64; 6] {
    let c = &report.counts;
    [
        c.passed, c.failed, c.skipped, c.errors, c.xfailed, c.xpassed,
    ]
}

#[test]
fn what_real_runners_write_is_read_right_however_it_arrives() {
    let mut wrong = Vec::new();
    for right in rights() {
        for size in [1, 7, 4096, usize::MAX] {
            let mut reading = reading(&right.kind);
            right
                .err
                .chunks(size)
                .for_each(|chunk| reading.stderr(chunk));
            right
                .out
                .chunks(size)
                .for_each(|chunk| reading.stdout(chunk));
            let read = reading.finish(&right.ending);
            let mut failed = read
                .report
                .as_ref()
                .map(|report| report.failed.clone())
                .unwrap_or_default();
            let mut expected = right.failed.clone();
            failed.sort();
            expected.sort();
            if read.report.as_ref().map(numbers) != right.counts || failed != expected {
                wrong.push(format!("{} as {}: {read:#?}", right.file, right.kind));
                break;
            }
            let contradicts =
                right.ending == Ending::Good && right.counts.is_some_and(|c| c[1] + c[3] > 0);
            match read.trouble {
                Some(Trouble::Contradicts(_)) => assert!(contradicts, "{}", right.file),
                Some(Trouble::Missing(_)) => assert_eq!(right.counts, None, "{}", right.file),
                Some(other) => panic!("{other:?}"),
                None => assert!(!contradicts && right.counts.is_some(), "{}", right.file),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_run_that_did_not_succeed_never_has_a_report_without_a_failure() {
    let good = "===== test session starts =====\n=== 3 passed in 0.1s ===\n";
    let bad = "===== test session starts =====\n=== 1 failed, 2 passed in 0.1s ===\n";
    let read = |text: &str, ending: &Ending| {
        let mut reading = reading("pytest");
        reading.stdout(text.as_bytes());
        let read = reading.finish(ending);
        (
            read.report.map(|report| report.counts.failed),
            read.trouble.map(|trouble| trouble.event().what),
        )
    };
    let failed = Ending::Bad("the command exited with 1".to_owned());
    let contradicts = || Some("REPORT_CONTRADICTS".to_owned());
    assert_eq!(read(good, &Ending::Good), (Some(0), None));
    assert_eq!(read(bad, &failed), (Some(1), None));
    assert_eq!(read(bad, &Ending::Good), (Some(1), contradicts()));
    assert_eq!(read(good, &failed), (None, contradicts()));
    assert_eq!(
        read("", &Ending::Good),
        (None, Some("REPORT_MISSING".to_owned()))
    );
    // Printed by something that outlives pytest's own words.
    assert_eq!(
        read(&format!("{bad}=== 9 passed in 0.1s ===\n"), &failed),
        (Some(1), None)
    );
    let none = "===== test session starts =====\n=== no tests ran in 0.1s ===\n";
    assert_eq!(
        read(none, &Ending::Bad("the command exited with 5".to_owned())),
        (Some(0), None)
    );
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
    fn nothing_in_front_of_a_summary_or_between_its_lines_makes_it_tell_of_less_failures(
        nth in any::<prop::sample::Index>(), before in pieces(), noise in any::<Vec<u8>>(), at in any::<prop::sample::Index>(),
    ) {
        // Framed or numbered in order by the runner itself: what stands between cannot take its place.
        static RIGHTS: LazyLock<Vec<Right>> = LazyLock::new(|| {
            let is_pytest = |right: &Right| right.kind == "pytest" && right.counts.is_some();
            rights().into_iter().filter(is_pytest).collect()
        });
        let right = nth.get(&RIGHTS);
        let text = String::from_utf8(right.out.clone()).unwrap();
        let end = text.trim_end().rfind('\n').unwrap() + 1;
        let place = text[..at.index(end)].rfind('\n').map_or(0, |at| at + 1);
        let mut reading = reading("pytest");
        let noise = noise.as_slice();
        for part in [&text.as_bytes()[..place], before.as_bytes(), noise, b"\n", &text.as_bytes()[place..]] {
            reading.stdout(part);
        }
        let report = reading.finish(&right.ending).report.unwrap();
        prop_assert_eq!(Some(numbers(&report)), right.counts);
    }

    #[test]
    fn nothing_behind_a_summary_makes_a_run_that_failed_look_as_if_nothing_had(
        nth in any::<prop::sample::Index>(), behind in pieces(),
    ) {
        static RIGHTS: LazyLock<Vec<Right>> = LazyLock::new(|| {
            let is_failed = |right: &Right| right.ending != Ending::Good && right.counts.is_some();
            rights().into_iter().filter(is_failed).collect()
        });
        let right = nth.get(&RIGHTS);
        let mut reading = reading(&right.kind);
        reading.stderr(&right.err);
        reading.stdout(&right.out);
        reading.stdout(behind.as_bytes());
        let read = reading.finish(&right.ending);
        match read.report {
            Some(report) => prop_assert!(report.counts.failed + report.counts.errors > 0),
            None => prop_assert!(read.trouble.is_some()),
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
