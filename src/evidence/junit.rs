//! JUnit XML -> counts, failed and passed tests, messages.
//!
//! The format has no standard; what all writers share is `testcase` elements with at most one of
//! `failure`, `error` and `skipped` directly below. These are counted, not the totals that a writer
//! puts into attributes. A document that is not well formed (a run that was killed while writing)
//! yields no report.
//!
//! The reader is written out here because the subset is small and a report comes from the command
//! that was run: no document type, no entities but the five of XML, nothing is fetched, and memory is
//! bounded by the document.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::terminal::bounded;
use super::{Counts, Report};

/// Largest document that is read. A test case takes about 200 bytes; outputs may be in it as well.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Deepest nesting that is read. Writers nest suites a few levels.
const MAX_DEPTH: usize = 64;

/// Reads one document.
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
    if document.len() > MAX_BYTES {
        return None;
    }
    let mut reader = Reader {
        rest: document.strip_prefix('\u{feff}').unwrap_or(document),
    };
    let mut report = Report {
        kind: "junit".to_owned(),
        ..Report::default()
    };
    let mut open: Vec<&str> = Vec::new();
    let mut case: Option<Case> = None;
    let mut is_done = false;
    while let Some(event) = reader.next()? {
        match event {
            Event::Start(element) => {
                let is_root = open.is_empty();
                if is_root && (is_done || !matches!(element.name, "testsuites" | "testsuite")) {
                    return None;
                }
                if let Some(case) = &mut case {
                    if open.last() == Some(&"testcase") {
                        case.outcome(&element);
                    }
                } else if element.name == "testcase" {
                    case = Some(Case::new(&element));
                }
                if !element.is_closed {
                    open.push(element.name);
                    if open.len() > MAX_DEPTH {
                        return None;
                    }
                } else if open.last() != Some(&"testcase") {
                    finish(&mut case, &mut report, &open);
                }
                is_done = open.is_empty();
            }
            Event::End(name) => {
                if open.pop() != Some(name) {
                    return None;
                }
                finish(&mut case, &mut report, &open);
                is_done = open.is_empty();
            }
            Event::Text(text) => {
                if open.is_empty() && !text.trim().is_empty() {
                    return None;
                }
                if let (Some(case), Some(&("failure" | "error"))) = (&mut case, open.last())
                    && open.iter().rev().nth(1) == Some(&"testcase")
                {
                    case.text.push_str(&text);
                }
            }
        }
    }
    is_done.then(|| bounded(report))
}

/// Counts the test case that has just ended, if one has.
fn finish(case: &mut Option<Case>, report: &mut Report, open: &[&str]) {
    if open.contains(&"testcase") {
        return;
    }
    if let Some(case) = case.take() {
        case.count(report);
    }
}

/// How a test case ended; of several children the worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Passed,
    XFailed,
    Skipped,
    Error,
    Failed,
}

struct Case {
    id: String,
    outcome: Outcome,
    message: Option<String>,
    text: String,
}

impl Case {
    fn new(element: &Element<'_>) -> Case {
        let name = element.attribute("name").unwrap_or_default();
        let class = element.attribute("classname").unwrap_or_default();
        let file = element.attribute("file").unwrap_or_default();
        Case {
            id: id(file, class, name),
            outcome: Outcome::Passed,
            message: None,
            text: String::new(),
        }
    }

    fn outcome(&mut self, element: &Element<'_>) {
        let outcome = match element.name {
            "failure" => Outcome::Failed,
            "error" => Outcome::Error,
            "skipped" if element.attribute("type") == Some("pytest.xfail") => Outcome::XFailed,
            "skipped" => Outcome::Skipped,
            _ => return,
        };
        if outcome > self.outcome {
            self.outcome = outcome;
            self.message = element.attribute("message").map(str::to_owned);
            self.text.clear();
        }
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

/// Most attributes of one element. Writers use about ten.
const MAX_ATTRIBUTES: usize = 64;

enum Event<'x> {
    Start(Element<'x>),
    End(&'x str),
    Text(Cow<'x, str>),
}

struct Element<'x> {
    name: &'x str,
    attributes: Vec<(&'x str, Cow<'x, str>)>,
    is_closed: bool,
}

impl Element<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_ref())
    }
}

struct Reader<'x> {
    rest: &'x str,
}

impl<'x> Reader<'x> {
    /// The next event; `Some(None)` at the end, `None` where the document is not well formed.
    #[expect(
        clippy::option_option,
        reason = "`?` on the outer, the end in the inner"
    )]
    fn next(&mut self) -> Option<Option<Event<'x>>> {
        loop {
            if self.rest.is_empty() {
                return Some(None);
            }
            if !self.rest.starts_with('<') {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Some(Event::Text(unescaped(text)?)));
            }
            if self.skip("<!--", "-->")? || self.skip("<?", "?>")? {
                continue;
            }
            if let Some(data) = self.rest.strip_prefix("<![CDATA[") {
                let (data, rest) = data.split_once("]]>")?;
                self.rest = rest;
                return Some(Some(Event::Text(Cow::Borrowed(data))));
            }
            // A document type could declare entities; no report has one.
            if self.rest.starts_with("<!") {
                return None;
            }
            return self.tag().map(Some);
        }
    }

    fn skip(&mut self, start: &str, end: &str) -> Option<bool> {
        let Some(inside) = self.rest.strip_prefix(start) else {
            return Some(false);
        };
        self.rest = inside.split_once(end)?.1;
        Some(true)
    }

    fn tag(&mut self) -> Option<Event<'x>> {
        let inside = self.rest.strip_prefix('<')?;
        if let Some(inside) = inside.strip_prefix('/') {
            let (name, rest) = inside.split_once('>')?;
            self.rest = rest;
            return Some(Event::End(local(name.trim_end())?));
        }
        let (name, mut rest) = inside.split_at(inside.find(is_after_name)?);
        let name = local(name)?;
        let mut attributes: Vec<(&str, Cow<'_, str>)> = Vec::new();
        loop {
            let trimmed = rest.trim_start();
            if let Some(rest) = trimmed.strip_prefix("/>") {
                self.rest = rest;
                let is_closed = true;
                return Some(Event::Start(Element {
                    name,
                    attributes,
                    is_closed,
                }));
            }
            if let Some(rest) = trimmed.strip_prefix('>') {
                self.rest = rest;
                let is_closed = false;
                return Some(Event::Start(Element {
                    name,
                    attributes,
                    is_closed,
                }));
            }
            // Attributes are set apart by blanks.
            if trimmed.len() == rest.len() {
                return None;
            }
            let (key, value) = trimmed.split_once('=')?;
            let key = key.trim_end();
            let is_key = !key.is_empty() && !key.contains(|c| is_after_name(c) || c == '<');
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, behind) = value.strip_prefix(quote)?.split_once(quote)?;
            let is_full = attributes.len() >= MAX_ATTRIBUTES;
            if is_full
                || !is_key
                || value.contains('<')
                || attributes.iter().any(|(known, _)| *known == key)
            {
                return None;
            }
            attributes.push((key, unescaped(value)?));
            rest = behind;
        }
    }
}

fn is_after_name(c: char) -> bool {
    c.is_whitespace() || matches!(c, '>' | '/' | '=' | '"' | '\'')
}

/// A name without its name space.
fn local(name: &str) -> Option<&str> {
    let name = name.rsplit(':').next()?;
    let is_name = !name.is_empty() && !name.contains(|c| is_after_name(c) || c == '<');
    is_name.then_some(name)
}

/// Replaces the five named entities of XML, and characters by number.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('&') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        let (entity, behind) = behind.split_once(';')?;
        plain.push_str(before);
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        rest = behind;
    }
    plain.push_str(rest);
    Some(Cow::Owned(plain))
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
            "<testsuite failures='9'><testsuite><testcase name='a'><error>x</error></testcase></testsuite></testsuite>",
            Some([0, 0, 0, 1, 0]),
        );
    }

    #[test]
    fn what_is_not_well_formed_yields_nothing() {
        for document in [
            "",
            "text",
            "<a/>",
            "<testsuite>",
            "<testsuite></testsuites>",
            "<testsuite/><testsuite/>",
            "<testsuite/>text",
            "<testsuite><testcase name='a'></testsuite></testcase>",
            "<testsuite a='1' a='2'/>",
            "<testsuite a='1'b='2'/>",
            "<testsuite a=1/>",
            "<testsuite a='<'/>",
            "<testsuite>&unknown;</testsuite>",
            "<testsuite>&#xD800;</testsuite>",
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
