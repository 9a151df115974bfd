//! Problems of a policy -> text for people, one line each, or JSON.

#![forbid(unsafe_code)]

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::json;

use crate::policy::{PolicyErrors, Problem};

/// As rustc writes them: the line, what is wrong underlined, and a way out. Colours are for terminals;
/// whoever prints takes them out elsewhere.
#[must_use]
pub fn human(errors: &PolicyErrors) -> String {
    let renderer = Renderer::styled().decor_style(DecorStyle::Ascii);
    let rendered: Vec<String> = errors
        .problems()
        .iter()
        .map(|problem| one(&renderer, errors, problem))
        .collect();
    rendered.join("\n\n")
}

fn one(renderer: &Renderer, errors: &PolicyErrors, problem: &Problem) -> String {
    let title = Level::ERROR
        .primary_title(&problem.message)
        .id(problem.code.text());
    let Some(file) = errors.file(problem.at) else {
        return renderer.render(&[title.element(Level::NOTE.message("no text"))]);
    };
    let start = usize::try_from(problem.at.offset)
        .unwrap_or(usize::MAX)
        .min(file.text.len());
    let len = usize::try_from(problem.at.len).unwrap_or(0);
    // A value that spans lines is marked where it begins.
    let rest = file.text.get(start..).unwrap_or("");
    let first_line = rest.lines().next().map_or(0, str::len);
    let end = start
        .saturating_add(len.min(first_line).max(1))
        .min(file.text.len());
    // Only the line itself: a snippet of a large file would be searched from its beginning.
    let line_start = file
        .text
        .get(..start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at.saturating_add(1));
    let line_end = file
        .text
        .get(start..)
        .and_then(|rest| rest.find('\n'))
        .map_or(file.text.len(), |at| start.saturating_add(at));
    let line = file.text.get(line_start..line_end).unwrap_or("");
    let span = start.saturating_sub(line_start)
        ..end
            .saturating_sub(line_start)
            .min(line.len())
            .max(start.saturating_sub(line_start));
    let snippet = Snippet::source(line)
        .line_start(usize::try_from(problem.at.line).unwrap_or(1))
        .path(&file.name)
        .annotation(AnnotationKind::Primary.span(span));
    let mut report = title.element(snippet);
    if let Some(help) = &problem.help {
        report = report.element(Level::HELP.message(help));
    }
    renderer.render(&[report])
}

/// `file:line:column: error[CODE]: message`, one line for each.
#[must_use]
pub fn compact(errors: &PolicyErrors) -> String {
    let line = |problem: &Problem| {
        let name = errors
            .file(problem.at)
            .map_or("policy", |file| file.name.as_str());
        format!(
            "{name}:{}:{}: error[{}]: {}",
            problem.at.line,
            problem.at.column,
            problem.code.text(),
            problem.message
        )
    };
    errors
        .problems()
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// One object for each.
#[must_use]
pub fn json(errors: &PolicyErrors) -> Vec<serde_json::Value> {
    let object = |problem: &Problem| {
        json!({
            "v": 1,
            "code": problem.code.text(),
            "name": problem.code.name(),
            "level": "error",
            "file": errors.file(problem.at).map(|file| file.name.as_str()),
            "line": problem.at.line,
            "column": problem.at.column,
            "length": problem.at.len,
            "message": problem.message,
            "help": problem.help,
            "witness": null,
            "fix": problem.replacement.as_ref().map(|text| json!({"replace": text})),
        })
    };
    errors.problems().iter().map(object).collect()
}
