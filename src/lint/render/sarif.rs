//! Findings as SARIF 2.1.0, the format that code hosts and editors read.

#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use super::{file_name, position};
use crate::lint::loading::UNREAD;
use crate::lint::{Diagnostic, Fix, Level, Page, Report, Safety, pages};
use crate::policy::{SourceFile, Span};

/// One run with all findings of all policies. Columns count characters, which the run says.
#[must_use]
pub fn sarif(reports: &[Report]) -> Json {
    let pages = pages();
    // Of a file that cannot be read there are no results: the run could not do all that it was asked for.
    let (unread, read): (Vec<&Report>, Vec<&Report>) = reports.iter().partition(|report| {
        let mut found = report.diagnostics.iter();
        found.any(|found| found.code == UNREAD)
    });
    let notifications: Vec<Json> = unread
        .iter()
        .flat_map(|report| {
            let found = report.diagnostics.iter();
            found.map(|found| notification(report, found))
        })
        .collect();
    let results: Vec<Json> = read
        .iter()
        .flat_map(|report| {
            let pages = &pages;
            report
                .diagnostics
                .iter()
                .map(move |found| result(report, found, pages))
        })
        .collect();
    let rules: Vec<Json> = pages.iter().map(|page| rule(page)).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "lictor",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": notifications.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn notification(report: &Report, found: &Diagnostic) -> Json {
    json!({
        "associatedRule": {"id": found.code},
        "level": level(found.level),
        "message": {"text": found.message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(file_name(report, found))},
        }}],
    })
}

fn rule(page: &Page) -> Json {
    let what = page.section("What it does").unwrap_or_default();
    json!({
        "id": page.code,
        "name": page.name,
        "shortDescription": {"text": what.replace('\n', " ")},
        "fullDescription": {"text": page.section("Why is this bad?").unwrap_or_default().replace('\n', " ")},
        "help": {"text": page.text(), "markdown": page.text()},
        "defaultConfiguration": {"level": level(page.level)},
    })
}

fn result(report: &Report, found: &Diagnostic, pages: &[&Page]) -> Json {
    let file = report.file(found.at);
    let mut message = found.message.clone();
    if let Some(witness) = &found.witness {
        message.push_str(&format!("\n{}", witness.text()));
    }
    if let Some(help) = &found.help {
        message.push_str(&format!("\nhelp: {help}"));
    }
    let mut result = json!({
        "ruleId": found.code,
        "level": level(found.level),
        "message": {"text": message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(file_name(report, found))},
            "region": region(file, found.at),
        }}],
    });
    let object = result.as_object_mut();
    if let Some(object) = object {
        if let Some(nth) = pages.iter().position(|page| page.code == found.code) {
            object.insert("ruleIndex".to_owned(), json!(nth));
        }
        if !found.related.is_empty() {
            let related: Vec<Json> = found
                .related
                .iter()
                .map(|other| {
                    let file = report.file(other.at);
                    let name = file.map_or("policy", |file| file.name.as_str());
                    json!({
                        "physicalLocation": {
                            "artifactLocation": {"uri": uri(name)},
                            "region": region(file, other.at),
                        },
                        "message": {"text": other.message},
                    })
                })
                .collect();
            object.insert("relatedLocations".to_owned(), Json::Array(related));
        }
        if let (Some(fix), Some(first)) = (&found.fix, report.files.first()) {
            object.insert("fixes".to_owned(), json!([fixed(fix, first)]));
        }
        if let Some(witness) = &found.witness {
            object.insert(
                "properties".to_owned(),
                json!({"witness": witness.to_json()}),
            );
        }
    }
    result
}

fn fixed(fix: &Fix, file: &SourceFile) -> Json {
    let replacements: Vec<Json> = fix
        .edits
        .iter()
        .map(|edit| {
            let (line, column) = position(&file.text, edit.start);
            let (end_line, end_column) = position(&file.text, edit.end);
            json!({
                "deletedRegion": {
                    "startLine": line,
                    "startColumn": column,
                    "endLine": end_line,
                    "endColumn": end_column,
                },
                "insertedContent": {"text": edit.text},
            })
        })
        .collect();
    let safety = match fix.safety {
        Safety::Safe => "keeps every decision",
        Safety::Suggested => "look at it first",
    };
    json!({
        "description": {"text": format!("{} ({safety})", fix.message)},
        "artifactChanges": [{
            "artifactLocation": {"uri": uri(&file.name)},
            "replacements": replacements,
        }],
    })
}

fn region(file: Option<&SourceFile>, at: Span) -> Json {
    let start = usize::try_from(at.offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(at.len).unwrap_or(0));
    let (end_line, end_column) = match file {
        Some(file) => position(&file.text, end.min(file.text.len())),
        None => (
            usize::try_from(at.line).unwrap_or(1),
            usize::try_from(at.column).unwrap_or(1),
        ),
    };
    json!({
        "startLine": at.line.max(1),
        "startColumn": at.column.max(1),
        "endLine": end_line,
        "endColumn": end_column,
        "byteOffset": at.offset,
        "byteLength": at.len,
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "note",
    }
}

/// A file's name as a URI reference: bytes that may not stand in one are escaped.
fn uri(name: &str) -> String {
    let mut uri = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@!$&'()*+,;=".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
