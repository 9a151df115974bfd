//! Every way a policy is refused, with its place in the text and a way out.
//!
//! A [`Problem`] is what the loader found wrong at one place. All problems of a document are found in
//! one run; [`PolicyErrors`] holds them in reading order together with the texts they point into.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::source::{SourceFile, Span};

/// Kind of a mistake. The codes are those of the lint catalogue; these are the ones that are refused when a
/// policy is loaded, because nothing needs to be analysed or looked up to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Code {
    /// Not YAML, or YAML beyond what a policy may use: duplicate key, anchor, alias, tag, second document, too deep, too large.
    P001,
    /// A key that is not in the language.
    P002,
    /// No `version`, or one this program does not know.
    P003,
    /// A number, boolean, null or alias where text is meant.
    P004,
    /// Two things of one name.
    P005,
    /// A required key is missing, or a value is of the wrong type or out of range.
    P006,
    /// A name that is not defined.
    P009,
    /// Policies that extend each other in a circle.
    P010,
    /// A time or size without a unit.
    P012,
    /// An absolute pattern.
    G101,
    /// `.`, `..` or an empty segment in a pattern.
    G102,
    /// A backslash in a pattern.
    G103,
    /// `dir**`: also matches siblings that share the prefix.
    G104,
    /// `**` glued to other characters.
    G105,
    /// `**` inside braces.
    G106,
    /// A character class that crosses a separator or holds non-ASCII.
    G107,
    /// Unbalanced, empty or nested brackets.
    G118,
}

impl Code {
    /// The code as it is printed, for example `P002`.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.parts().0
    }

    /// The rule's name, for example `unknown-key`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Code::P001 => ("P001", "yaml-syntax"),
            Code::P002 => ("P002", "unknown-key"),
            Code::P003 => ("P003", "missing-version"),
            Code::P004 => ("P004", "implicit-type"),
            Code::P005 => ("P005", "duplicate-id"),
            Code::P006 => ("P006", "invalid-value"),
            Code::P009 => ("P009", "undefined-reference"),
            Code::P010 => ("P010", "inheritance-cycle"),
            Code::P012 => ("P012", "missing-unit"),
            Code::G101 => ("G101", "absolute-pattern"),
            Code::G102 => ("G102", "traversal-in-pattern"),
            Code::G103 => ("G103", "backslash-in-pattern"),
            Code::G104 => ("G104", "sibling-prefix"),
            Code::G105 => ("G105", "glued-double-star"),
            Code::G106 => ("G106", "double-star-in-braces"),
            Code::G107 => ("G107", "class-crosses-separator"),
            Code::G118 => ("G118", "brackets"),
        }
    }
}

/// One mistake at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Kind of the mistake.
    pub code: Code,
    /// Where.
    pub at: Span,
    /// Description of the mistake: a lowercase fragment without a final period.
    pub message: String,
    /// Advice on how to mend it.
    pub help: Option<String>,
    /// Text that could stand at `at` instead.
    pub replacement: Option<String>,
}

impl Problem {
    /// A problem of kind `code` at `at`.
    #[must_use]
    pub fn new(code: Code, at: Span, message: impl Into<String>) -> Problem {
        Problem {
            code,
            at,
            message: message.into(),
            help: None,
            replacement: None,
        }
    }

    /// Adds advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// Adds a text that could stand there instead.
    #[must_use]
    pub fn with_replacement(mut self, text: impl Into<String>) -> Problem {
        self.replacement = Some(text.into());
        self
    }
}

/// The most mistakes that are told of one policy. Nobody reads more before correcting some.
const MOST_TOLD: usize = 200;

/// The most that are kept while a policy is read: they are found in another order than they are told in.
const MOST_KEPT: usize = 1_000;

/// Mistakes as they are found, and how many more there were than are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.kept.len() < MOST_KEPT {
            self.kept.push(problem);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(crate) fn append(&mut self, others: Problems) {
        self.more = self.more.saturating_add(others.more);
        others
            .kept
            .into_iter()
            .for_each(|problem| self.push(problem));
    }

    /// Forgets all that are of another kind.
    pub(crate) fn keep_only(&mut self, code: Code) {
        self.kept.retain(|problem| problem.code == code);
        self.more = 0;
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(kept: Vec<Problem>) -> Problems {
        Problems { kept, more: 0 }
    }
}

impl std::ops::Deref for Problems {
    type Target = [Problem];

    fn deref(&self) -> &[Problem] {
        &self.kept
    }
}

/// The mistakes of a policy, in reading order: all, or the first 200 and the number of further ones. Never
/// empty.
#[derive(Clone, Debug)]
pub struct PolicyErrors {
    files: Vec<Arc<SourceFile>>,
    problems: Vec<Problem>,
}

impl PolicyErrors {
    /// Sorts the problems by place and drops repetitions, and all beyond the first 200: the last one then says
    /// how many these are.
    pub(crate) fn new(files: Vec<Arc<SourceFile>>, problems: Problems) -> PolicyErrors {
        let Problems {
            kept: mut problems,
            more,
        } = problems;
        problems.sort_by_key(|problem| (problem.at.file, problem.at.offset, problem.code));
        problems.dedup_by(|a, b| a.at == b.at && a.message == b.message);
        let untold = problems.len().saturating_sub(MOST_TOLD);
        if let Some(first) = problems.get(MOST_TOLD) {
            let count = untold.saturating_add(more);
            let message = format!("and {count} more mistakes from here on, which are not listed");
            let rest = Problem::new(first.code, first.at, message);
            problems.truncate(MOST_TOLD);
            problems.push(rest.with_help("correct those above first"));
        }
        PolicyErrors { files, problems }
    }

    /// The mistakes, in reading order.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The text that a problem points into.
    #[must_use]
    pub fn file(&self, at: Span) -> Option<&SourceFile> {
        self.files.get(usize::from(at.file)).map(Arc::as_ref)
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.problems.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            let name = self
                .file(problem.at)
                .map_or("policy", |file| file.name.as_str());
            let (at, code) = (problem.at, problem.code.text());
            write!(
                f,
                "{name}:{}:{}: error[{code}]: {}",
                at.line, at.column, problem.message
            )?;
            if let Some(help) = &problem.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}
