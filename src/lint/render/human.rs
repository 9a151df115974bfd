//! Findings as rustc writes them: the line, what is wrong underlined, what shows it, and a way out.
//! Colours are for terminals; whoever prints takes them out elsewhere.

#![forbid(unsafe_code)]

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::boundary;
use crate::lint::Report;
use crate::lint::diagnostic::{self, Diagnostic};
use crate::policy::Span;
use crate::text::{one_line, printable};

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
    let message = printable(&found.message);
    let title = level.primary_title(&message).id(found.code);
    let Some(file) = report.file(found.at) else {
        return renderer.render(&[title.element(Level::NOTE.message("no text"))]);
    };
    let (line, span) = marked(&file.text, found.at);
    let (line, span) = printed(line, span);
    let name = one_line(&file.name);
    let snippet = Snippet::source(&line)
        .line_start(usize::try_from(found.at.line).unwrap_or(1))
        .path(&name)
        .annotation(AnnotationKind::Primary.span(span));
    let mut shown = title.element(snippet);
    let witness = found.witness.as_ref();
    let witness = witness.map(|witness| printable(&witness.text()));
    if let Some(witness) = &witness {
        shown = shown.element(Level::NOTE.message(witness));
    }
    let help = found.help.as_deref().map(printable);
    if let Some(help) = &help {
        shown = shown.element(Level::HELP.message(help));
    }
    renderer.render(&[shown])
}

/// The line that a span begins on, and the part of it to underline, in whole characters.
///
/// Only that line: a snippet of a large file would be searched from its beginning, and a value that spans
/// lines is marked where it begins.
fn marked(text: &str, at: Span) -> (&str, Range<usize>) {
    let start = boundary(text, usize::try_from(at.offset).unwrap_or(usize::MAX));
    let (before, rest) = text.split_at_checked(start).unwrap_or((text, ""));
    let line_start = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let line_end = rest
        .find('\n')
        .map_or(text.len(), |end| start.saturating_add(end));
    let line = text.get(line_start..line_end).unwrap_or("");
    let line = line.strip_suffix('\r').unwrap_or(line);
    let from = start.saturating_sub(line_start).min(line.len());
    let len = usize::try_from(at.len).unwrap_or(0).max(1);
    let end = from.saturating_add(len).min(line.len());
    let end = (end..=line.len())
        .find(|end| line.is_char_boundary(*end))
        .unwrap_or(line.len());
    (line, from..end)
}

/// A line with what does not print escaped, and where its mark is then.
fn printed(line: &str, mark: Range<usize>) -> (String, Range<usize>) {
    // A tab is shown as blanks by the renderer.
    let at = |part: Option<&str>| {
        let parts = part.unwrap_or_default().split('\t');
        parts.map(one_line).collect::<Vec<_>>().join("\t")
    };
    let before = at(line.get(..mark.start));
    let marked = at(line.get(mark.clone()));
    let behind = at(line.get(mark.end..));
    let end = before.len().saturating_add(marked.len());
    let mark = before.len()..end;
    (format!("{before}{marked}{behind}"), mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_print_is_escaped_in_the_line_and_the_mark_moves_along() {
        let (line, mark) = printed("a\u{1b}[31m: \u{202e}b\u{9b} # \t", 8..12);
        assert_eq!(line, "a\\u{1b}[31m: \\u{202e}b\\u{9b} # \t");
        assert_eq!(line.get(mark), Some(r"\u{202e}b"));
    }

    #[test]
    fn a_mark_never_ends_inside_a_character() {
        let text = "é: x\r\n\u{feff}rules\n\u{e0001}";
        for offset in 0..=15 {
            for len in 0..=15 {
                let mut at = Span::default();
                (at.offset, at.len) = (offset, len);
                let (line, span) = marked(text, at);
                assert!(
                    line.get(span.clone()).is_some(),
                    "{offset} {len}: {line:?} {span:?}"
                );
            }
        }
    }
}
