//! Findings and test results as JUnit XML.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::file_name;
use crate::lint::{Level, Report};
use crate::text::is_odd;

/// One test case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// Name of the suite or case.
    pub name: String,
    /// The file it is about.
    pub file: String,
    /// The line in it.
    pub line: u32,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl Case {
    /// A case that passed, or failed for this reason.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        file: impl Into<String>,
        line: u32,
        failure: Option<String>,
    ) -> Case {
        Case {
            name: name.into(),
            file: file.into(),
            line,
            failure,
        }
    }
}

/// One suite of cases as a document.
#[must_use]
pub fn junit(suite: &str, cases: &[Case]) -> String {
    let failed = cases.iter().filter(|case| case.failure.is_some()).count();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites tests=\"{total}\" failures=\"{failed}\">\n  <testsuite name=\"{name}\" tests=\"{total}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">",
        total = cases.len(),
        name = escaped(suite),
    );
    for case in cases {
        let _ = write!(
            text,
            "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\"",
            escaped(&case.name),
            escaped(&case.file),
            escaped(&case.file),
            case.line
        );
        match &case.failure {
            None => text.push_str("/>\n"),
            Some(why) => {
                let first = why.lines().next().unwrap_or("");
                let _ = writeln!(
                    text,
                    ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                    escaped(first),
                    escaped(why)
                );
            }
        }
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Each finding as a case that failed; a policy without findings as one that passed. Findings below
/// `least` are left out.
#[must_use]
pub fn lint_junit(reports: &[Report], least: Level) -> String {
    let mut cases = Vec::new();
    for report in reports {
        let before = cases.len();
        for found in report
            .diagnostics
            .iter()
            .filter(|found| found.level >= least)
        {
            let mut why = format!("{}[{}]: {}", found.level.word(), found.code, found.message);
            if let Some(witness) = &found.witness {
                let _ = write!(why, "\nnote: {}", witness.text());
            }
            if let Some(help) = &found.help {
                let _ = write!(why, "\nhelp: {help}");
            }
            let name = format!("{} {}", found.code, found.name);
            cases.push(Case::new(
                name,
                file_name(report, found),
                found.at.line,
                Some(why),
            ));
        }
        if cases.len() == before {
            let file = report
                .files
                .first()
                .map_or("policy", |file| file.name.as_str());
            cases.push(Case::new("lint", file, 1, None));
        }
    }
    junit("lictor lint", &cases)
}

/// As text and attributes have to be written: what does not print by its number, what XML cannot hold as text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_ascii_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                escaped.extend(c.escape_unicode());
            }
            c if is_odd(c) => escaped.push_str(&format!("&#{};", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_does_not_get_into_it() {
        assert_eq!(
            escaped("<a b=\"c\">&\u{1}\u{9b}\u{202e}\u{ffff}\n"),
            "&lt;a b=&quot;c&quot;&gt;&amp;\\u{1}&#155;&#8238;\\u{ffff}&#10;"
        );
    }

    #[test]
    fn a_policy_without_findings_is_a_case_that_passed() {
        let text = lint_junit(&[Report::default()], Level::Error);
        assert!(text.contains("tests=\"1\" failures=\"0\""), "{text}");
    }
}
