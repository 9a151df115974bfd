//! JUnit XML -> counts, failed and passed tests, messages.
//!
//! The format has no standard; what all writers share is `testcase` elements. How one ended is told by
//! `failure`, `error` and `skipped` directly below it, or by an attribute: `status`, `result`, `success`,
//! `executed`. A word that is not known does not count as passed. A test that is told several times (one
//! line for each try) counts once, by its worst ending. What went wrong outside of every test counts as an
//! error: a `failure` or `error` directly below a suite, and what the totals of a suite count beyond what
//! is told below it. Several documents one behind the other are read as one.
//!
//! A document that is not well formed (a run that was killed while writing), and one with a document type,
//! which could declare entities, yield no report. The encoding is what the document declares.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;

use encoding_rs::Encoding;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::reading::{Ending, Read, Reading};
use super::terminal::bounded;
use super::{Counts, Report};

/// Largest document that is read from a file. A test case takes about 200 bytes; outputs may be in it
/// as well.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Largest document that is read from standard output. It is held in memory while the command runs.
const MAX_PRINTED_BYTES: usize = 16 * 1024 * 1024;

/// Deepest element. Writers nest suites a few levels.
const MAX_DEPTH: usize = 64;

/// Most attributes of one element. Writers use about ten.
const MAX_ATTRIBUTES: usize = 64;

/// Reads one document, or several one behind the other.
///
/// A test is named `classname::name`, and as pytest names it (`tests/a.py::TestA::test_x`) where the
/// document tells its file.
///
/// ```
/// use lictor::evidence::junit;
///
/// let report = junit::parse(
///     r#"<testsuite><testcase classname="a" name="x"/><testcase classname="a" name="y">
///        <failure message="1 &lt; 2"/></testcase></testsuite>"#,
/// )
/// .unwrap();
/// assert_eq!((report.counts.passed, report.counts.failed), (1, 1));
/// assert_eq!((report.failed, report.messages), (vec!["a::y".to_owned()], vec!["1 < 2".to_owned()]));
/// assert!(junit::parse("<testsuite><testcase name='x'/>").is_none());
/// ```
#[must_use]
pub fn parse(document: &str) -> Option<Report> {
    read(document.as_bytes()).ok()
}

/// Reads a document as it was written, in the encoding that it declares.
///
/// # Errors
///
/// Why it cannot be read.
pub fn read(document: &[u8]) -> Result<Report, String> {
    if document.len() > MAX_BYTES {
        let most = MAX_BYTES >> 20;
        return Err(format!("it is longer than {most} MiB"));
    }
    let text = decoded(document)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = Reader::from_str(text);
    // End tags are compared below, without their name spaces.
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut document = Document::default();
    loop {
        let event = reader.read_event().map_err(|error| {
            let at = reader.error_position();
            format!("it is not well-formed XML at byte {at}: {error}")
        })?;
        match event {
            Event::Start(element) => document.start(&element)?,
            Event::Empty(element) => {
                document.start(&element)?;
                document.end(local(element.name().as_ref()))?;
            }
            Event::End(element) => document.end(local(element.name().as_ref()))?,
            Event::Text(text) => document.text(&text.xml10_content())?,
            Event::CData(text) => document.text(&text.xml10_content())?,
            Event::GeneralRef(entity) => document.text(reference(&entity)?.as_str())?,
            Event::DocType(_) => {
                return Err("it has a document type, which no report needs".to_owned());
            }
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return document.report(),
        }
    }
}

/// Reads JUnit XML from standard output.
#[derive(Debug, Default)]
pub struct Junit {
    // INVARIANT: not longer than `MAX_PRINTED_BYTES`.
    printed: Vec<u8>,
    is_too_long: bool,
}

impl Reading for Junit {
    fn stdout(&mut self, bytes: &[u8]) {
        let room = MAX_PRINTED_BYTES.saturating_sub(self.printed.len());
        self.is_too_long |= bytes.len() > room;
        if self.is_too_long {
            self.printed = Vec::new();
        } else {
            self.printed.extend_from_slice(bytes);
        }
    }

    fn finish(self: Box<Self>, ending: &Ending) -> Read {
        if self.is_too_long {
            let most = MAX_PRINTED_BYTES >> 20;
            return Read::missing(format!(
                "the output is longer than {most} MiB; a report in a file may be longer (`--report-file`)"
            ));
        }
        match read(&self.printed) {
            Ok(report) => Read::of(report, ending),
            Err(why) => Read::missing(format!("the output is not JUnit XML: {why}")),
        }
    }
}

/// The text, by the byte order mark or the encoding that the document declares.
fn decoded(document: &[u8]) -> Result<Cow<'_, str>, String> {
    let encoding = match Encoding::for_bom(document) {
        Some((encoding, _)) => encoding,
        // `<` and `?` in two bytes each.
        None if document.starts_with(b"<\0") => encoding_rs::UTF_16LE,
        None if document.starts_with(b"\0<") => encoding_rs::UTF_16BE,
        None => match declared(document) {
            None => encoding_rs::UTF_8,
            Some(label) => Encoding::for_label(label).ok_or_else(|| {
                let label = String::from_utf8_lossy(label);
                format!(
                    "it is encoded as `{}`, which is not known",
                    label.escape_debug()
                )
            })?,
        },
    };
    Ok(encoding.decode(document).0)
}

/// The encoding of `<?xml version="1.0" encoding="ISO-8859-1"?>`.
fn declared(document: &[u8]) -> Option<&[u8]> {
    let start = document.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = start.iter().position(|byte| *byte == b'>')?;
    let declaration = start.get(..end)?;
    let at = declaration
        .windows(8)
        .position(|word| word == b"encoding")?;
    let value = declaration.get(at..)?;
    let mut parts = value.split(|byte| matches!(byte, b'"' | b'\''));
    parts.next()?;
    parts.next()
}

/// The name without its name space.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The characters that `&lt;` or `&#233;` stands for. What XML forbids is shown as such.
fn reference(entity: &str) -> Result<String, String> {
    let code = match entity.strip_prefix('#') {
        None => {
            return quick_xml::escape::resolve_predefined_entity(entity)
                .map(str::to_owned)
                .ok_or_else(|| format!("the entity `&{};` is not known", entity.escape_debug()));
        }
        Some(number) => match number.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        },
    };
    let code = code.map_err(|_| format!("`&{};` is no character", entity.escape_debug()))?;
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    Ok(c.to_string())
}

/// State of the reader.
#[derive(Debug, Default)]
struct Document {
    open: Vec<String>,
    suites: Vec<Suite>,
    case: Option<Case>,
    cases: Vec<Case>,
    /// By what tells one test from another: the place in `cases`.
    known: HashMap<[String; 5], usize>,
    /// Faults outside of every test.
    outside: Vec<Outside>,
    has_root: bool,
}

/// An open `testsuite` or `testsuites`.
#[derive(Debug)]
struct Suite {
    name: String,
    /// Failures and errors by its totals, and as told below it.
    total: u64,
    told: u64,
}

/// One or more errors that belong to a suite.
#[derive(Debug)]
struct Outside {
    suite: String,
    count: u64,
    message: Option<String>,
    text: String,
}

impl Document {
    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        let name = element.name();
        let name = local(name.as_ref());
        let is_suite = matches!(name, "testsuites" | "testsuite");
        if self.open.is_empty() && !is_suite {
            return Err(format!("it starts with `{}`", name.escape_debug()));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH} elements"));
        }
        let attributes = Attributes::read(element)?;
        self.has_root = true;
        let parent = self.open.last().map(String::as_str);
        if let Some(case) = &mut self.case {
            if parent == Some("testcase") && case.child(name, &attributes) {
                self.tell();
            }
        } else if is_suite {
            let total = ["failures", "errors"]
                .map(|total| attributes.of(total).and_then(|n| n.trim().parse().ok()))
                .map(Option::unwrap_or_default);
            self.suites.push(Suite {
                name: attributes.text("name"),
                total: total
                    .iter()
                    .fold(0, |sum: u64, n: &u64| sum.saturating_add(*n)),
                told: 0,
            });
        } else if name == "testcase" {
            let suite = self.suites.last().map(|suite| suite.name.clone());
            let case = Case::new(&attributes, suite.unwrap_or_default());
            let is_failing = case.outcome.is_failing();
            self.case = Some(case);
            if is_failing {
                self.tell();
            }
        } else if matches!(name, "failure" | "error")
            && matches!(parent, Some("testsuite" | "testsuites"))
        {
            self.tell();
            let suite = self.suites.last().map(|suite| suite.name.clone());
            self.outside.push(Outside {
                suite: suite.unwrap_or_default(),
                count: 1,
                message: attributes.of("message").map(str::to_owned),
                text: String::new(),
            });
        }
        self.open.push(name.to_owned());
        Ok(())
    }

    /// One more failure or error stands below every open suite.
    fn tell(&mut self) {
        for suite in &mut self.suites {
            suite.told = suite.told.saturating_add(1);
        }
    }

    fn end(&mut self, name: &str) -> Result<(), String> {
        if self.open.pop().as_deref() != Some(name) {
            return Err(format!(
                "`{}` ends what it did not start",
                name.escape_debug()
            ));
        }
        if self.case.is_some() {
            if name == "testcase"
                && !self.open.iter().any(|open| open == "testcase")
                && let Some(case) = self.case.take()
            {
                self.add(case);
            }
        } else if matches!(name, "testsuites" | "testsuite")
            && let Some(suite) = self.suites.pop()
        {
            let count = suite.total.saturating_sub(suite.told);
            if count > 0 {
                // The suites around it count it as well.
                for outer in &mut self.suites {
                    outer.told = outer.told.saturating_add(count);
                }
                self.outside.push(Outside {
                    message: Some(format!(
                        "the suite counts {count} more failures and errors than it tells of"
                    )),
                    suite: suite.name,
                    count,
                    text: String::new(),
                });
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        if self.open.is_empty() && !text.trim().is_empty() {
            return Err("there is text outside of it".to_owned());
        }
        if !matches!(
            self.open.last().map(String::as_str),
            Some("failure" | "error")
        ) {
            return Ok(());
        }
        let parent = self.open.iter().rev().nth(1).map(String::as_str);
        match (&mut self.case, parent) {
            (Some(case), Some("testcase")) => case.text.push_str(text),
            (None, Some("testsuite" | "testsuites")) => {
                if let Some(outside) = self.outside.last_mut() {
                    outside.text.push_str(text);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, case: Case) {
        let known = self
            .known
            .get(&case.key)
            .and_then(|at| self.cases.get_mut(*at));
        match known {
            Some(known) if case.outcome > known.outcome => *known = case,
            Some(_) => {}
            None => {
                self.known.insert(case.key.clone(), self.cases.len());
                self.cases.push(case);
            }
        }
    }

    fn report(self) -> Result<Report, String> {
        if !self.open.is_empty() || !self.has_root {
            return Err("it is not complete".to_owned());
        }
        let mut report = Report {
            kind: "junit".to_owned(),
            ..Report::default()
        };
        for case in self.cases {
            case.count(&mut report);
        }
        for outside in self.outside {
            let errors = &mut report.counts.errors;
            *errors = errors.saturating_add(outside.count);
            report.failed.push(outside.suite);
            let message = message(
                outside.message.as_deref().unwrap_or_default(),
                &outside.text,
            );
            if !message.is_empty() {
                report.messages.push(message.to_owned());
            }
        }
        Ok(bounded(report))
    }
}

/// An element's attributes, by name.
#[derive(Debug)]
struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn read(element: &BytesStart<'_>) -> Result<Attributes, String> {
        let mut list = Vec::new();
        for attribute in element.attributes() {
            let attribute =
                attribute.map_err(|error| format!("it is not well-formed XML: {error}"))?;
            if list.len() >= MAX_ATTRIBUTES {
                return Err(format!(
                    "an element has more than {MAX_ATTRIBUTES} attributes"
                ));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map(Cow::into_owned);
            // A character that XML forbids is no reason not to count the test.
            let value = value.unwrap_or_else(|_| attribute.value.to_string());
            list.push((attribute.key.as_ref().to_owned(), value));
        }
        Ok(Attributes(list))
    }

    fn of(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> String {
        self.of(name).unwrap_or_default().to_owned()
    }
}

/// Result of a test case; of several statements the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Passed,
    XFailed,
    Skipped,
    Error,
    Failed,
}

impl Outcome {
    fn is_failing(self) -> bool {
        match self {
            Outcome::Error | Outcome::Failed => true,
            Outcome::Passed | Outcome::XFailed | Outcome::Skipped => false,
        }
    }

    /// By what an attribute says. A word that is not known does not say that the test passed.
    fn of_attribute(name: &str, value: &str) -> Outcome {
        let value = value.trim().to_ascii_lowercase();
        let is_good = match name {
            "success" | "executed" => !matches!(value.as_str(), "false" | "0" | "no"),
            _ => matches!(
                value.as_str(),
                "" | "0"
                    | "run"
                    | "ran"
                    | "completed"
                    | "ok"
                    | "pass"
                    | "passed"
                    | "success"
                    | "successful"
                    | "succeeded"
                    | "true"
                    | "done"
                    | "finished"
                    | "fixed"
                    | "flaky"
                    | "warning"
            ),
        };
        let says = |words: &[&str]| words.iter().any(|word| value.contains(word));
        if is_good {
            Outcome::Passed
        } else if name == "executed" {
            Outcome::Skipped
        } else if name == "success" || says(&["fail"]) {
            Outcome::Failed
        } else if says(&["err", "broken", "crash", "abort", "timeout", "timed"]) {
            Outcome::Error
        } else {
            Outcome::Skipped
        }
    }
}

#[derive(Debug)]
struct Case {
    id: String,
    /// Suite, file, line, class and name.
    key: [String; 5],
    outcome: Outcome,
    /// By a child, not only by an attribute.
    is_told: bool,
    message: Option<String>,
    text: String,
}

impl Case {
    fn new(attributes: &Attributes, suite: String) -> Case {
        let text = |name: &str| attributes.text(name);
        let (file, class, name) = (text("file"), text("classname"), text("name"));
        let said = ["status", "result", "success", "executed"]
            .into_iter()
            .filter_map(|name| Some(Outcome::of_attribute(name, attributes.of(name)?)));
        Case {
            id: id(&file, &class, &name),
            key: [suite, file, text("line"), class, name],
            outcome: said.max().unwrap_or(Outcome::Passed),
            is_told: false,
            message: None,
            text: String::new(),
        }
    }

    /// Takes in what a child says; true if that is a failure or an error.
    fn child(&mut self, name: &str, attributes: &Attributes) -> bool {
        let outcome = match name {
            // One try of several. It counts in a suite's totals, not as the outcome of the test.
            "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => return true,
            "failure" => Outcome::Failed,
            "error" => Outcome::Error,
            "skipped" if attributes.of("type") == Some("pytest.xfail") => Outcome::XFailed,
            "skipped" => Outcome::Skipped,
            _ => return false,
        };
        if outcome > self.outcome || outcome == self.outcome && !self.is_told {
            self.outcome = outcome;
            self.is_told = true;
            self.message = attributes.of("message").map(str::to_owned);
            self.text.clear();
        }
        outcome.is_failing()
    }

    fn count(self, report: &mut Report) {
        let Counts {
            passed,
            failed,
            skipped,
            errors,
            xfailed,
            ..
        } = &mut report.counts;
        let count = match self.outcome {
            Outcome::Passed => passed,
            Outcome::XFailed => xfailed,
            Outcome::Skipped => skipped,
            Outcome::Error => errors,
            Outcome::Failed => failed,
        };
        *count = count.saturating_add(1);
        match self.outcome {
            Outcome::Passed => report.passed.push(self.id),
            Outcome::Failed | Outcome::Error => {
                report.failed.push(self.id);
                let message = message(self.message.as_deref().unwrap_or_default(), &self.text);
                if !message.is_empty() {
                    report.messages.push(message.to_owned());
                }
            }
            Outcome::XFailed | Outcome::Skipped => {}
        }
    }
}

/// The `message` attribute, or the element's text: where there is no attribute, where the text begins
/// with it and says more (nextest), and where the attribute is always the same words (pytest).
fn message<'m>(attribute: &'m str, text: &'m str) -> &'m str {
    let (attribute, text) = (attribute.trim(), text.trim());
    if text.starts_with(attribute) || attribute == "collection failure" && !text.is_empty() {
        text
    } else {
        attribute
    }
}

/// `tests/a.py`, `tests.a.TestA`, `test_x` -> `tests/a.py::TestA::test_x`.
fn id(file: &str, class: &str, name: &str) -> String {
    let module = file.strip_suffix(".py").map(|file| file.replace('/', "."));
    let below = module.and_then(|module| class.strip_prefix(module.as_str()));
    match below {
        Some("") => format!("{file}::{name}"),
        Some(below) if below.starts_with('.') => {
            format!("{file}{}::{name}", below.replace('.', "::"))
        }
        _ if class.is_empty() => name.to_owned(),
        _ => format!("{class}::{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expected: Option<[u64; 5]>) {
        let counts = parse(document).map(|report| {
            let c = report.counts;
            [c.passed, c.failed, c.skipped, c.errors, c.xfailed]
        });
        assert_eq!(counts, expected, "{document}");
    }

    #[test]
    fn each_case_counts_once_by_its_own_children() {
        check("<testsuites/>", Some([0; 5]));
        check(
            "<testsuite><testcase name='a'/></testsuite>",
            Some([1, 0, 0, 0, 0]),
        );
        check(
            "<testsuites><testsuite><testcase name='a'><error/><failure/></testcase>\
             <testcase name='b'><skipped/></testcase><testcase name='c'><skipped type='pytest.xfail'/></testcase>\
             </testsuite></testsuites>",
            Some([0, 1, 1, 0, 1]),
        );
        check(
            "<testsuite><testcase name='a'><flakyFailure><failure/></flakyFailure>\
             <system-out>&lt;failure/&gt; <![CDATA[<failure/>]]></system-out></testcase></testsuite>",
            Some([1, 0, 0, 0, 0]),
        );
        check(
            "<testsuite failures='9'><testsuite errors='1'><testcase name='a'><error>x</error></testcase></testsuite></testsuite>",
            Some([0, 0, 0, 9, 0]),
        );
    }

    #[test]
    fn an_attribute_may_say_how_a_test_ended() {
        #[track_caller]
        fn check_case(attributes: &str, expected: [u64; 5]) {
            check(
                &format!("<testsuite><testcase name='a' {attributes}/></testsuite>"),
                Some(expected),
            );
        }
        check_case("status='run' result='completed'", [1, 0, 0, 0, 0]);
        check_case("status='notrun' result='suppressed'", [0, 0, 1, 0, 0]);
        check_case("status='disabled'", [0, 0, 1, 0, 0]);
        check_case("status='skipped'", [0, 0, 1, 0, 0]);
        check_case("result='skipped'", [0, 0, 1, 0, 0]);
        check_case("status='untested'", [0, 0, 1, 0, 0]);
        check_case("status='failed'", [0, 1, 0, 0, 0]);
        check_case("status='Failure'", [0, 1, 0, 0, 0]);
        check_case("success='false'", [0, 1, 0, 0, 0]);
        check_case("executed='False'", [0, 0, 1, 0, 0]);
        check_case("status='error'", [0, 0, 0, 1, 0]);
        check_case("status='timed out'", [0, 0, 0, 1, 0]);
        check_case("status='no such word'", [0, 0, 1, 0, 0]);
    }

    #[test]
    fn what_went_wrong_outside_of_every_test_is_an_error_once() {
        let told = "<testsuites errors='1'><testsuite name='F' tests='0' errors='1'>\
                    <error message='no database'>boom</error></testsuite></testsuites>";
        let report = parse(told).unwrap();
        assert_eq!(
            (report.counts.errors, report.failed),
            (1, vec!["F".to_owned()])
        );
        assert_eq!(report.messages, ["no database"]);
        let only_counted = "<testsuites failures='2'><testsuite name='F' errors='1' failures='1'>\
                            <testcase name='a'><failure/></testcase></testsuite></testsuites>";
        let report = parse(only_counted).unwrap();
        assert_eq!((report.counts.failed, report.counts.errors), (1, 1));
        assert_eq!(report.failed, ["a", "F"]);
    }

    #[test]
    fn a_test_that_is_told_several_times_counts_once() {
        let document = "<testsuite name='s'><testcase name='a'/><testcase name='a'><failure/></testcase>\
                        <testcase name='a'/><testcase name='b'/><testcase name='b'/></testsuite>";
        check(document, Some([1, 1, 0, 0, 0]));
        let other = document.replace("name='s'", "name='t'");
        let both = format!("<?xml version='1.0'?>{document}\n<?xml version='1.0'?>\n{other}\n");
        check(&both, Some([2, 2, 0, 0, 0]));
        check(&format!("{document}{document}"), Some([1, 1, 0, 0, 0]));
    }

    #[test]
    fn the_declared_encoding_is_decoded_or_named() {
        let id = |bytes: &[u8]| read(bytes).map(|report| report.passed.join(" "));
        let document = |encoding: &str| {
            format!(
                "<?xml version='1.0' encoding='{encoding}'?><testsuite><testcase name='gr\u{f6}\u{df}e'/></testsuite>"
            )
        };
        let name = Ok("gr\u{f6}\u{df}e".to_owned());
        assert_eq!(id(document("UTF-8").as_bytes()), name);
        let latin: Vec<u8> = document("ISO-8859-1")
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        assert_eq!(id(&latin), name);
        for mark in ["", "\u{feff}"] {
            let text = mark.to_owned() + &document("UTF-16");
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(id(&little), name);
            assert_eq!(id(&big), name);
        }
        let why = read(document("EBCDIC-FR").as_bytes()).unwrap_err();
        assert_eq!(why, "it is encoded as `EBCDIC-FR`, which is not known");
    }

    #[test]
    fn what_is_not_well_formed_yields_nothing() {
        for document in [
            "",
            "text",
            "<a/>",
            "<testsuite>",
            "<testsuite></testsuites>",
            "<testsuite/>text",
            "<testsuite><testcase name='a'></testsuite></testcase>",
            "<testsuite a='1' a='2'/>",
            "<testsuite a=1/>",
            "<testsuite>&unknown;</testsuite>",
            "<testsuite>& </testsuite>",
            "<!DOCTYPE testsuite [<!ENTITY a 'b'>]><testsuite/>",
            "<testsuite><![CDATA[</testsuite>",
            "<testsuite><!-- </testsuite>",
            "<testsuite",
            "<testsuite a",
            "< testsuite/>",
        ] {
            check(document, None);
        }
        check(
            &format!("{}{}", "<testsuite>".repeat(65), "</testsuite>".repeat(65)),
            None,
        );
    }

    #[test]
    fn ids_are_those_of_pytest_where_the_file_is_known() {
        #[track_caller]
        fn check(file: &str, class: &str, name: &str, expected: &str) {
            assert_eq!(id(file, class, name), expected);
        }
        check(
            "tests/a.py",
            "tests.a.TestA",
            "test_x[1.2]",
            "tests/a.py::TestA::test_x[1.2]",
        );
        check("tests/a.py", "tests.a", "test_x", "tests/a.py::test_x");
        check("tests/a.py", "tests.ab", "test_x", "tests.ab::test_x");
        check("", "project::fail", "fails", "project::fail::fails");
        check("", "", "tests.test_broken", "tests.test_broken");
    }
}
