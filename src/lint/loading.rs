//! The codes that a policy is refused with when it is loaded: their pages, and their problems as findings.

#![forbid(unsafe_code)]

use super::diagnostic::{Diagnostic, Edit, Fix, Level, Safety};
use super::rule::Page;
use crate::policy::source::slice;
use crate::policy::{Code, Problem};

/// A problem of the loader as a finding. The replacement it offers becomes a fix.
pub(super) fn diagnostic(problem: &Problem, text: &str) -> Diagnostic {
    let replacement = problem.replacement.as_ref().map(|replacement| {
        let text = as_written(problem, slice(text, problem.at), replacement);
        let safety = match problem.code {
            Code::P004 | Code::G102 | Code::G103 | Code::G107 => Safety::Safe,
            Code::P001
            | Code::P002
            | Code::P003
            | Code::P005
            | Code::P006
            | Code::P009
            | Code::P010
            | Code::P012
            | Code::G101
            | Code::G104
            | Code::G105
            | Code::G106
            | Code::G118 => Safety::Suggested,
        };
        let message = format!("write {text}");
        Fix::new(safety, message, vec![Edit::replace(problem.at, text)])
    });
    let is_missing = problem.code == Code::P003 && problem.replacement.is_none();
    let version = is_missing.then(|| {
        let start = usize::try_from(problem.at.offset).unwrap_or(0);
        let edit = Edit::insert(start, "version: 1\n");
        Fix::new(Safety::Safe, "begin with `version: 1`", vec![edit])
    });
    Diagnostic {
        code: problem.code.text(),
        name: problem.code.name(),
        level: Level::Error,
        at: problem.at,
        message: problem.message.clone(),
        help: problem.help.clone(),
        related: Vec::new(),
        witness: None,
        fix: replacement.or(version),
    }
}

/// The code for a file that cannot be read.
#[cfg(feature = "cli")]
pub(super) const UNREAD: &str = "P018";

/// A file that cannot be read, as a finding.
#[cfg(feature = "cli")]
pub(super) fn unread(why: &str) -> Diagnostic {
    Diagnostic {
        code: UNREAD,
        name: "unreadable-file",
        level: Level::Error,
        at: crate::policy::Span {
            line: 1,
            column: 1,
            ..crate::policy::Span::default()
        },
        message: why.to_owned(),
        help: None,
        related: Vec::new(),
        witness: None,
        fix: None,
    }
}

/// The replacement as it has to be written in place of `written`: quoted as that is, and with the action
/// that stood behind a misspelt tool.
fn as_written(problem: &Problem, written: &str, replacement: &str) -> String {
    let quote = written.chars().next().filter(|c| matches!(c, '"' | '\''));
    let bare = quote.map_or(written, |quote| written.trim_matches(quote));
    let mut text = replacement.to_owned();
    if let (Code::P009, Some((_, action))) = (problem.code, bare.split_once('.'))
        && !replacement.contains('.')
        && !bare.contains('/')
    {
        text = format!("{replacement}.{action}");
    }
    match quote {
        Some(quote) if !text.starts_with(['"', '\'']) => format!("{quote}{text}{quote}"),
        _ => text,
    }
}

macro_rules! pages {
    ($($(#[doc = $doc:literal])+ $code:literal $name:literal,)+) => {
        /// A page for each code of the loader.
        pub(super) static PAGES: &[Page] = &[$(Page {
            code: $code,
            name: $name,
            level: Level::Error,
            since: "0.1.0",
            doc: concat!($($doc, "\n"),+),
        },)+];
    };
}

pages! {
    /// ## What it does
    /// Refuses what is not YAML, and YAML beyond what a policy needs: a key that stands twice, anchors, aliases,
    /// merge keys, tags, a second document, more than 32 levels, more than 4 MiB.
    ///
    /// ## Why is this bad?
    /// YAML readers disagree about these, so a reviewer's tool could show another policy than the one in force.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {tests: &t "tests/**"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {tests: "tests/**"}
    /// ```
    "P001" "yaml-syntax",
    /// ## What it does
    /// Refuses a key that the language does not have, and names the one that was probably meant.
    ///
    /// ## Why is this bad?
    /// A misspelt `deny` or `exclude` that is ignored is a hole.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {repo: {include: "**", exlude: "secrets/**"}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {repo: {include: "**", exclude: "secrets/**"}}
    /// ```
    "P002" "unknown-key",
    /// ## What it does
    /// Refuses a document without `version`, or of a version that this program does not know.
    ///
    /// ## Why is this bad?
    /// What a key means could differ between versions; guessing would change decisions.
    ///
    /// ## Example
    /// ```yaml
    /// version: 2
    /// name: example
    /// rules: []
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// version: 1
    /// name: example
    /// rules: []
    /// ```
    "P003" "missing-version",
    /// ## What it does
    /// Refuses a number, boolean, null or alias where text is meant: `1.10`, `no`, an unquoted `*.py`.
    ///
    /// ## Why is this bad?
    /// `1.10` becomes `1.1`, and `no` becomes false, depending on who reads it.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {release: [1.10]}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {release: ["1.10"]}
    /// ```
    "P004" "implicit-type",
    /// ## What it does
    /// Refuses two rules or invariants of one id, and two libraries with one tool.
    ///
    /// ## Why is this bad?
    /// Decisions name rules by id; with two of one name nobody can tell which decided.
    ///
    /// ## Example
    /// ```yaml
    /// rules:
    ///   - {id: none, deny: "*"}
    ///   - {id: none, deny: "*"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// rules:
    ///   - {id: none, deny: "*"}
    /// ```
    "P005" "duplicate-id",
    /// ## What it does
    /// Refuses a value of the wrong type or out of range, and a mapping that lacks a required key.
    ///
    /// ## Why is this bad?
    /// Reading such a value as something else, or as nothing, would decide what nobody wrote.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// rules:
    ///   - {id: run, allow: pytest.run}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    "P006" "invalid-value",
    /// ## What it does
    /// Refuses the name of a scope, approval, tool, action, argument or library that does not exist.
    ///
    /// ## Why is this bad?
    /// A deny rule about a misspelt scope would deny nothing.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {secrets: "secrets/**"}
    /// rules:
    ///   - {id: no-secrets, deny: "*", touching: secret}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {secrets: "secrets/**"}
    /// rules:
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    "P009" "undefined-reference",
    /// ## What it does
    /// Refuses policies that extend each other in a circle.
    ///
    /// ## Why is this bad?
    /// There is no order in which such a policy could be read.
    ///
    /// ## Example
    /// A policy `a.yaml` that extends `b.yaml`, which extends `a.yaml`.
    ///
    /// ## When it stays silent
    /// Where no file is its own ancestor.
    "P010" "inheritance-cycle",
    /// ## What it does
    /// Refuses a bare number for a time or size.
    ///
    /// ## Why is this bad?
    /// `timeout: 300` is five minutes to one reader and a third of a second to another.
    ///
    /// ## Example
    /// ```yaml
    /// defaults: {limits: {timeout: 300}}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// defaults: {limits: {timeout: 300s}}
    /// ```
    "P012" "missing-unit",
    /// ## What it does
    /// Reports a file that cannot be read: it is missing, closed to this user, no file, or not UTF-8. Formats for
    /// programs hold it (SARIF as a notification of the run), people are told on standard error.
    ///
    /// ## Why is this bad?
    /// Nothing is known of such a file, and a report without it would look complete.
    ///
    /// ## Example
    /// `lictor lint --json lictor.yaml misspelt.yaml`.
    ///
    /// ## When it stays silent
    /// Where every file can be read.
    "P018" "unreadable-file",
    /// ## What it does
    /// Refuses an absolute pattern: `/x`, `C:\x`, `\\x`.
    ///
    /// ## Why is this bad?
    /// Paths are relative to the workspace, so it would match nothing.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {tests: "/repo/tests/**"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {tests: "tests/**"}
    /// ```
    "G101" "absolute-pattern",
    /// ## What it does
    /// Refuses `.`, `..` and empty segments in a pattern.
    ///
    /// ## Why is this bad?
    /// Paths are canonical and have no such segment, so it would match nothing.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {tests: "./tests/**"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {tests: "tests/**"}
    /// ```
    "G102" "traversal-in-pattern",
    /// ## What it does
    /// Refuses a backslash in a pattern.
    ///
    /// ## Why is this bad?
    /// It is a separator to one reader and an escape to another. The separator is `/`; an escape is written `[*]`.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {tests: 'src\tests'}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {tests: src/tests}
    /// ```
    "G103" "backslash-in-pattern",
    /// ## What it does
    /// Refuses `**` glued to other characters on its right.
    ///
    /// ## Why is this bad?
    /// `x**` reads as if everything below `x` were meant, and is taken by other matchers for a single `*`.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {code: "src/**.py"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {code: "src/**/*.py"}
    /// ```
    "G105" "glued-double-star",
    /// ## What it does
    /// Refuses `**` inside braces.
    ///
    /// ## Why is this bad?
    /// Alternatives are parts of one segment; `**` stands for whole ones.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {code: "{src,**}/a.py"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {code: ["src/a.py", "**/a.py"]}
    /// ```
    "G106" "double-star-in-braces",
    /// ## What it does
    /// Refuses a character class that holds `/` or something beyond ASCII, as a range may without showing it.
    ///
    /// ## Why is this bad?
    /// A class stands for one byte of one name; some matchers let such a class take the separator.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {code: "src/[.-0]"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {code: "src/[0-9]"}
    /// ```
    "G107" "class-crosses-separator",
    /// ## What it does
    /// Refuses brackets and braces that are not balanced, are empty, stand in each other, or hold one alternative or a
    /// range (`{1..3}`), which other programs read otherwise.
    ///
    /// ## Why is this bad?
    /// What such a pattern matches depends on the matcher.
    ///
    /// ## Example
    /// ```yaml
    /// scopes: {code: "src/{a,b"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// scopes: {code: "src/{a,b}"}
    /// ```
    "G118" "brackets",
}
