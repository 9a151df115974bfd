//! Findings as rustc writes them: the line, what is wrong underlined, what shows it, and a way out.
//! Colours are for terminals; whoever prints takes them out elsewhere.

#![forbid(unsafe_code)]

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::lint::Report;
use crate::lint::diagnostic::{self, Diagnostic};

/// All findings, with a blank line between them.
#[must_use]
pub fn human(report: &Report) -> String {
    let renderer = Renderer::styled().decor_style(DecorStyle::Ascii);
    let rendered: Vec<String> = report
        .diagnostics
        .iter()
        .map(|diagnostic| one(&renderer, report, diagnostic))
        .collect();
    rendered.join("\n\n")
}

fn one(renderer: &Renderer, report: &Report, found: &Diagnostic) -> String {
    let level = match found.level {
        diagnostic::Level::Error => Level::ERROR,
        diagnostic::Level::Warning => Level::WARNING,
        diagnostic::Level::Info => Level::INFO,
    };
    let title = level.primary_title(&found.message).id(found.code);
    let Some(file) = report.file(found.at) else {
        return renderer.render(&[title.element(Level::NOTE.message("no text"))]);
    };
    let start = usize::try_from(found.at.offset)
        .unwrap_or(usize::MAX)
        .min(file.text.len());
    let len = usize::try_from(found.at.len).unwrap_or(0);
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
        .line_start(usize::try_from(found.at.line).unwrap_or(1))
        .path(&file.name)
        .annotation(AnnotationKind::Primary.span(span));
    let mut shown = title.element(snippet);
    let witness = found.witness.as_ref().map(|witness| witness.text());
    if let Some(witness) = &witness {
        shown = shown.element(Level::NOTE.message(witness));
    }
    if let Some(help) = &found.help {
        shown = shown.element(Level::HELP.message(help));
    }
    renderer.render(&[shown])
}
