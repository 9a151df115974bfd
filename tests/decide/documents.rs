//! Documents: what loads is read as the same values by other YAML readers, and no text makes anything panic.

use crate::support::need;
use crate::support::random::Random;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use lictor::lint::{self, Level, Report, render};
use lictor::policy::CompiledPolicy;
use lictor::testing::documents::read;
use serde_json::Value as Json;

/// Words that some reader takes for something else, and ordinary ones.
const WORDS: &[&str] = &[
    "a",
    "src/x",
    "allow",
    "1",
    "0",
    "-1",
    "007",
    "+1",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "1,000",
    "1.5",
    ".5",
    "5.",
    "1e3",
    "1.5e+3",
    "1:20",
    "1:20:30",
    "190:20:30.15",
    "685_230.15",
    "2001-01-01",
    "2001-1-1",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-14 21:59:43.10 -5",
    "yes",
    "No",
    "on",
    "off",
    "true",
    "True",
    "TRUE",
    "false",
    "null",
    "Null",
    "~",
    "y",
    "n",
    "=",
    "<<",
    ".inf",
    "-.INF",
    ".nan",
    "300s",
    "10.0.0.1",
    "v1.2.3",
    "12ab",
    "a b",
    "a  b",
    "a:b",
    "a#b",
    "a #b",
    "-x",
    "?x",
    "x?",
    "é",
    "\u{a0}x",
    "x\u{3000}y",
    "-",
    "--",
    ".",
    "...",
    "'a'",
    "\"a\"",
    "\"1\"",
    "'no'",
    "\"a\\tb\"",
    "\"a\\u2028b\"",
    "'it''s'",
    "\"a\\\n  b\"",
    "\"a\n\n  b\"",
    "'a\n  b'",
    "a\n  b",
    "|\n  x\n  y\n",
    ">\n  x\n\n  y\n",
    "|-\n  x\n",
    ">+\n  x\n\n",
    "|2\n    x\n",
    "[a, b]",
    "[a, [1, \"2\"]]",
    "{x: 1, y: z}",
    "{x: [a], \"y\": no}",
    "[a,\n  b]",
    "",
    "# c",
    "a # c",
    "\ta",
    "a\t",
    "a\t# c",
    "@x",
    "`x`",
    "%x",
    "!x",
    "&x",
    "*x",
    "a\u{200b}b",
    "\u{1F600}",
    "a: b",
    "- a",
    "x]",
    "}",
    "[",
    "::",
    ":x",
    "x:",
    ",",
    "a,b",
];

/// Characters that end a line, hide or are not allowed, for some reader.
const ODD: &[&str] = &[
    "\r",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{b}",
    "\u{c}",
    "\u{0}",
    "\u{1}",
    "\u{7f}",
    "\u{9f}",
    "\u{feff}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{e0001}",
    "\u{10ffff}",
    "\u{ad}",
    "\t",
    "\r\n",
    "\n",
    "é",
    "\u{1F600}",
    "\u{300}",
];

fn document(random: &mut Random, with_odd: bool) -> String {
    let mut text = String::new();
    let lines = random.below(4) + 1;
    for nth in 0..lines {
        let key = if random.chance(8) {
            random.one(WORDS).to_owned()
        } else {
            format!("k{nth}")
        };
        let value = random.one(WORDS);
        let _ = match random.below(8) {
            0 => writeln!(text, "{key}:\n  - {value}\n  - {}", random.one(WORDS)),
            1 => writeln!(text, "{key}:\n  k: {value}"),
            2 => writeln!(text, "{key}: [{value}, {}]", random.one(WORDS)),
            3 => writeln!(text, "{key}: {{k: {value}, l: {}}}", random.one(WORDS)),
            4 => writeln!(text, "# a remark {value}"),
            _ => writeln!(text, "{key}: {value}"),
        };
    }
    if with_odd {
        for _ in 0..=random.below(3) {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            let at = places[random.below(places.len())];
            text.insert_str(at, random.one(ODD));
        }
    }
    text
}

/// Documents that lictor reads, with what it reads.
fn accepted(count: usize, seed: u64) -> Vec<(String, Json)> {
    let mut random = Random(seed);
    let documents = (0..count).map(|nth| document(&mut random, nth % 2 == 0));
    let read: Vec<_> = documents
        .filter_map(|text| read(&text).map(|value| (text, value)))
        .collect();
    assert!(read.len() * 10 > count, "too few are read: {}", read.len());
    read
}

#[test]
fn what_loads_is_the_same_to_serde_yaml() {
    let mut differ = Vec::new();
    for (text, value) in accepted(20_000, 7) {
        // What another reader refuses, nobody reads differently there.
        if let Ok(other) = serde_yaml::from_str::<Json>(&text)
            && other != value
        {
            differ.push((text, value, other));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

/// Reads a list of documents, and answers with a list of what each holds; none for what is refused.
const PYYAML: &str = r#"
import datetime, json, sys, yaml
def plain(value):
    if isinstance(value, dict):
        if len({str(key) for key in value}) < len(value) or not all(isinstance(key, str) for key in value):
            return {"not text": repr(value)}
        return {key: plain(of) for key, of in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    return {"not text": repr(value)}
answers = []
for text in json.load(sys.stdin):
    try:
        answers.append([plain(yaml.safe_load(text))])
    except yaml.YAMLError:
        answers.append(None)
    except ValueError:
        answers.append([{"not text": "refused"}])
json.dump(answers, sys.stdout)
"#;

/// PyYAML is what most tools in Python read with: a YAML 1.1 reader.
#[test]
fn what_loads_is_the_same_to_pyyaml() {
    let Some(python) = need::named("jsonschema") else {
        return;
    };
    let accepted = accepted(20_000, 11);
    let texts: Vec<_> = accepted.iter().map(|(text, _)| text).collect();
    let mut reader = Command::new(python)
        .args(["-c", PYYAML])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(&texts).unwrap();
    reader.stdin.take().unwrap().write_all(&input).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Option<Vec<Json>>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), accepted.len());
    let mut compared = 0;
    let mut differ = Vec::new();
    for ((text, value), answer) in accepted.iter().zip(answers) {
        if let Some(answer) = answer {
            compared += 1;
            if answer != [value.clone()] {
                differ.push((text, value, answer));
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(
        compared * 2 > accepted.len(),
        "{compared} of {}",
        accepted.len()
    );
}

fn show(report: &Report) {
    let _ = render::human(report);
    let _ = render::compact(report);
    let _ = render::json(report);
    let _ = render::github(report);
    let _ = render::sarif(std::slice::from_ref(report));
    let _ = render::lint_junit(std::slice::from_ref(report), Level::Info);
}

#[test]
fn no_document_makes_a_report_panic() {
    let whole = "version: 1\nname: x\nuse: lictor/files@1\nscopes: {all: \"**\", b: [a, 'b', c*]}\nrules:\n  \
                 - {id: r, allow: filesystem.read_file, within: all, reason: \"é\", limits: {timeout: 5}}\n  \
                 # lint: allow G110 -- ü\n  - {id: s, deny: '*', touching: nope}\ntests:\n  - {run: [x], expect: deny}\n";
    let mut random = Random(3);
    for nth in 0..500 {
        let mut text = if nth % 2 == 0 {
            document(&mut random, true)
        } else {
            whole.to_owned()
        };
        for _ in 0..random.below(4) {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            let at = places[random.below(places.len())];
            match random.below(3) {
                0 => text.truncate(at),
                1 => text.insert_str(at, random.one(WORDS)),
                _ => text.insert_str(at, random.one(ODD)),
            }
            if text.is_empty() {
                text.push(' ');
            }
        }
        match CompiledPolicy::from_yaml(&text) {
            Ok(policy) => show(&lint::run(
                &policy,
                &lint::Unknown,
                &lint::Options::default(),
            )),
            Err(errors) => show(&Report::of_errors(&errors)),
        }
    }
}

#[track_caller]
fn refused(text: &str, line: u32, what: &str) {
    let errors = CompiledPolicy::from_yaml(text).unwrap_err();
    let found = errors
        .problems()
        .iter()
        .any(|problem| problem.at.line == line && problem.code.text() == what);
    assert!(found, "{text:?}: {errors}");
}

#[test]
fn a_line_break_that_some_readers_do_not_know_is_refused_wherever_it_stands() {
    for odd in ["\r", "\u{85}", "\u{2028}", "\u{2029}", "\u{b}", "\u{c}"] {
        let head = "version: 1\nname: x\nuse: lictor/files@1\nscopes: {all: \"**\"}\nrules:\n  - {id: r, allow: \"*\", within: all}\n";
        refused(
            &format!("{head}  # a remark{odd}  - {{id: w, deny: \"*\"}}\n"),
            7,
            "P001",
        );
        refused(&format!("{head}description: a{odd}b\n"), 7, "P001");
        refused(&format!("{head}description: \"a{odd}b\"\n"), 7, "P001");
        refused(&format!("version: 1{odd}name: x\n"), 1, "P001");
    }
    assert!(
        CompiledPolicy::from_yaml(
            "\u{feff}version: 1\r\nname: x\r\ndescription: \"a\\u2028b\"\r\n"
        )
        .is_ok()
    );
}

#[test]
fn words_that_are_no_text_to_every_reader_have_to_be_quoted() {
    for word in [
        "1:20:30",
        "685_230.15",
        "2001-01-01",
        "010",
        "no",
        "=",
        ".5",
        "1,000",
    ] {
        let policy = |word: &str| format!("version: 1\nname: x\ndescription: {word}\n");
        refused(&policy(word), 3, "P004");
        assert!(CompiledPolicy::from_yaml(&policy(&format!("\"{word}\""))).is_ok());
        refused(
            &format!("version: 1\nname: x\nscopes: {{{word}: \"**\"}}\n"),
            3,
            "P004",
        );
    }
    refused("version: 01\nname: x\n", 1, "P003");
    refused(
        "version: 1\nname: x\nuse: lictor/coreutils@1\ntests:\n  - {run: [head, -n, 010, a], expect: deny}\n",
        5,
        "P004",
    );
    let until = "version: 1\nname: x\nuse: lictor/files@1\nrules:\n  - {id: a, allow: filesystem.list_dir, within: {path: all}, until: 2027-01-31}\nscopes: {all: \"**\"}\n";
    assert!(CompiledPolicy::from_yaml(until).is_ok());
}
