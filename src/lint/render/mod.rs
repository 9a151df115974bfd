//! Findings -> text: for people, one line each, JSON, and what other programs take.

#![forbid(unsafe_code)]

mod github;
mod human;
mod junit;
mod sarif;

pub use github::github;
pub use human::human;
pub use junit::{Case, junit, lint_junit};
pub use sarif::sarif;

use serde_json::{Value as Json, json};

use super::{Diagnostic, Report};
use crate::text::one_line;

/// `file:line:column: error[CODE]: message`, one line for each.
#[must_use]
pub fn compact(report: &Report) -> String {
    let line = |found: &Diagnostic| {
        format!(
            "{}:{}:{}: {}[{}]: {}",
            one_line(file_name(report, found)),
            found.at.line,
            found.at.column,
            found.level.word(),
            found.code,
            one_line(&found.message)
        )
    };
    report
        .diagnostics
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// One object for each.
#[must_use]
pub fn json(report: &Report) -> Vec<Json> {
    let object = |found: &Diagnostic| {
        let related: Vec<_> = found
            .related
            .iter()
            .map(|other| {
                json!({
                    "file": report.file(other.at).map(|file| file.name.as_str()),
                    "line": other.at.line,
                    "column": other.at.column,
                    "length": other.at.len,
                    "message": other.message,
                })
            })
            .collect();
        json!({
            "v": 1,
            "code": found.code,
            "name": found.name,
            "level": found.level.word(),
            "file": report.file(found.at).map(|file| file.name.as_str()),
            "line": found.at.line,
            "column": found.at.column,
            "length": found.at.len,
            "message": found.message,
            "help": found.help,
            "witness": found.witness.as_ref().map(super::Witness::to_json),
            "fix": found.fix.as_ref().map(super::Fix::to_json),
            "related": related,
        })
    };
    report.diagnostics.iter().map(object).collect()
}

/// The name of the file that a finding is in.
fn file_name<'r>(report: &'r Report, found: &Diagnostic) -> &'r str {
    report
        .file(found.at)
        .map_or("policy", |file| file.name.as_str())
}

/// The first byte of the character that a byte belongs to; the end of the text for a byte behind it.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Line and column, from 1, of a byte; columns count characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..boundary(text, at)).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let start = before
        .rfind('\n')
        .map_or(0, |found| found.saturating_add(1));
    let column = before
        .get(start..)
        .unwrap_or("")
        .chars()
        .count()
        .saturating_add(1);
    (line, column)
}
