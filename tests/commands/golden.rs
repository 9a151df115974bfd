//! What the program prints, word for word: `tests/golden/<command>/<case>/`.
//!
//! A case is a directory with a `lictor.yaml`, perhaps a `baseline.yaml`, a `base.yaml` (for `extends`;
//! both beside the workspace) or a `before.yaml` (in it, for `diff`), `expected.txt`, and in `args`, where there are any, the words after
//! the command, one on a line; the lines of `env` set variables. `UPDATE_EXPECT=1` writes
//! `expected.txt` anew; read the difference.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::program::Place;

/// The commands that have cases.
const COMMANDS: &[&str] = &["lint", "explain", "check", "diff", "prove", "test"];

fn cases(command: &str) -> Vec<PathBuf> {
    let mut cases: Vec<_> = fs::read_dir(Path::new("tests/golden").join(command))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

fn lines(file: PathBuf) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The answer to a case: what goes to each stream, and the exit code.
fn answer(command: &str, case: &Path) -> String {
    let place = Place::new();
    place.write("lictor.yaml", fs::read(case.join("lictor.yaml")).unwrap());
    // What `diff` compares with.
    if let Ok(before) = fs::read(case.join("before.yaml")) {
        place.write("before.yaml", before);
    }
    // A baseline, and what a policy extends.
    for name in ["baseline.yaml", "base.yaml"] {
        if let Ok(text) = fs::read(case.join(name)) {
            fs::write(place.root().join(name), text).unwrap();
        }
    }
    let mut words = vec![command.to_owned()];
    words.extend(lines(case.join("args")));
    let mut start = place.lictor(words);
    for line in lines(case.join("env")) {
        let (name, value) = line.split_once('=').unwrap();
        start = start.env(name, value);
    }
    let end = start.end();
    let mut text = end.stdout;
    for line in end.stderr.lines() {
        writeln!(text, "[stderr] {line}").unwrap();
    }
    writeln!(text, "[exit code {}]", end.code.unwrap()).unwrap();
    text.replace(&format!("{}/", place.work().display()), "")
}

#[test]
fn every_case_prints_what_is_expected() {
    let mut wrong = String::new();
    for command in COMMANDS {
        let cases = cases(command);
        assert!(!cases.is_empty(), "{command} has no cases");
        for case in cases {
            let (found, file) = (answer(command, &case), case.join("expected.txt"));
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                fs::write(&file, &found).unwrap();
            } else if fs::read_to_string(&file).unwrap_or_default() != found {
                writeln!(wrong, "{} is not:\n{found}", file.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_mistake_is_told_with_its_place_and_a_way_out() {
    for case in cases("lint") {
        let text = fs::read_to_string(case.join("expected.txt")).unwrap();
        let findings = ["error[", "warning[", "info["]
            .iter()
            .map(|word| {
                text.matches(&format!("\n{word}")).count() + usize::from(text.starts_with(word))
            })
            .sum::<usize>();
        let (errors, ways) = (findings, text.matches("= help: ").count());
        if text.contains("[exit code 1]") {
            assert!(errors > 0 && errors == ways, "{}", case.display());
            assert!(text.contains(" --> lictor.yaml:"), "{}", case.display());
        } else {
            // What cannot be read at all, or is no mistake.
            let is_told = text.contains("save it as UTF-8") || text.contains("clean");
            assert!(
                is_told || errors > 0 && errors == ways,
                "{}: {text}",
                case.display()
            );
        }
    }
}
