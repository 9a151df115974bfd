//! A rule: its code and name, what the user reads about it, and its check.
//!
//! The text has fixed headings, so that `lictor lint --explain CODE`, `policy/LINTS.md` and the source
//! are one text. The YAML under "Example" is a policy that the rule fires on, the YAML under "When it
//! stays silent" one that it does not; a test holds both.

#![forbid(unsafe_code)]

use super::diagnostic::{Diagnostic, Level};
use super::subject::Subject;
use crate::policy::Span;

/// One rule of the catalogue.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) page: Page,
    pub(crate) check: fn(&Subject<'_>, &mut Findings<'_>),
}

/// Documentation of a rule, for its users.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Page {
    /// Its code, for example `L201`; never reused.
    pub code: &'static str,
    /// Its name, for example `dead-allow`.
    pub name: &'static str,
    /// Weight of a finding.
    pub level: Level,
    /// The version of lictor it came with.
    pub since: &'static str,
    /// The text as it stands in the source.
    pub(crate) doc: &'static str,
}

/// The headings of every page, in this order.
pub const HEADINGS: [&str; 4] = [
    "What it does",
    "Why is this bad?",
    "Example",
    "When it stays silent",
];

impl Page {
    /// The text, in Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.doc.lines() {
            text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
            text.push('\n');
        }
        text
    }

    /// Text under a heading.
    #[must_use]
    pub fn section(&self, heading: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("## {heading}\n"))?;
        let end = rest.find("\n## ").unwrap_or(rest.len());
        Some(rest.get(..end)?.trim().to_owned())
    }
}

/// Where a rule puts what it finds.
pub(crate) struct Findings<'f> {
    page: &'static Page,
    found: &'f mut Vec<Diagnostic>,
}

impl<'f> Findings<'f> {
    pub(super) fn new(page: &'static Page, found: &'f mut Vec<Diagnostic>) -> Findings<'f> {
        Findings { page, found }
    }

    /// Adds a finding at a place.
    pub(crate) fn at(
        &mut self,
        at: Span,
        message: impl Into<String>,
        more: impl FnOnce(&mut Diagnostic),
    ) {
        let mut diagnostic = Diagnostic {
            code: self.page.code,
            name: self.page.name,
            level: self.page.level,
            at,
            message: message.into(),
            help: None,
            related: Vec::new(),
            witness: None,
            fix: None,
        };
        more(&mut diagnostic);
        self.found.push(diagnostic);
    }
}

/// Declares a rule: its text, its code, name and level. The check is the function `check` beside it.
macro_rules! declare_rule {
    ($(#[doc = $doc:literal])+ pub(super) static $rule:ident = {
        code: $code:literal, name: $name:literal, level: $level:ident, since: $since:literal
    }) => {
        $(#[doc = $doc])+
        pub(super) static $rule: crate::lint::rule::Rule = crate::lint::rule::Rule {
            page: crate::lint::rule::Page {
                code: $code,
                name: $name,
                level: crate::lint::diagnostic::Level::$level,
                since: $since,
                doc: concat!($($doc, "\n"),+),
            },
            check,
        };
    };
}
pub(crate) use declare_rule;
