//! A policy's text as a tree: finding the value of a key, and the edits that add, replace or take out one.
//!
//! Edits are made of byte ranges of the text, so that comments and layout stay as they are.

#![forbid(unsafe_code)]

use super::diagnostic::Edit;
use crate::policy::Span;
use crate::policy::source::{Node, Value};

/// The value of a key of a mapping.
pub(crate) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    entry(node, key).map(|(_, value)| value)
}

/// A key of a mapping, and its value.
pub(crate) fn entry<'n>(node: &'n Node, key: &str) -> Option<(&'n Node, &'n Node)> {
    entries(node).find(|(name, _)| text(name) == Some(key))
}

/// The entries of a mapping; none for anything else.
pub(crate) fn entries(node: &Node) -> impl Iterator<Item = (&Node, &Node)> {
    let entries: &[(Node, Node)] = match &node.value {
        Value::Map(entries) => entries,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text { .. } | Value::List(_) => {
            &[]
        }
    };
    entries.iter().map(|(key, value)| (key, value))
}

/// The items of a list, or the one value that stands for a list of one.
pub(crate) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text { .. } | Value::Map(_) => {
            std::slice::from_ref(node)
        }
    }
}

/// The text of a value that is text.
pub(crate) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text { text, .. } => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// The span's first byte.
pub(crate) fn start(at: Span) -> usize {
    usize::try_from(at.offset).unwrap_or(usize::MAX)
}

/// The first byte behind a span.
pub(crate) fn end(at: Span) -> usize {
    start(at).saturating_add(usize::try_from(at.len).unwrap_or(0))
}

/// Puts `key: value` behind an entry of a mapping: after a comma in braces, else on a line of its own.
///
/// None if the layout is one that this would not fit.
pub(crate) fn insert_after(
    document: &str,
    mapping: &Node,
    after: &str,
    added: &str,
) -> Option<Edit> {
    let (key, value) = entry(mapping, after)?;
    if is_in_braces(document, mapping) {
        return Some(Edit::insert(end(value.at), format!(", {added}")));
    }
    // In a block the value has to end on the line that it begins on.
    let rest = document.get(end(value.at)..)?;
    let line_end = rest.find('\n').unwrap_or(rest.len());
    let tail = rest.get(..line_end)?.trim();
    if !(tail.is_empty() || tail.starts_with('#')) {
        return None;
    }
    let indent = usize::try_from(key.at.column).ok()?.saturating_sub(1);
    let at = end(value.at).saturating_add(line_end);
    Some(Edit::insert(at, format!("\n{}{added}", " ".repeat(indent))))
}

/// Returns true if a value stands in braces or brackets.
pub(crate) fn is_in_braces(document: &str, node: &Node) -> bool {
    document
        .get(start(node.at)..)
        .is_some_and(|rest| rest.starts_with(['{', '[']))
}

/// Takes one of several items out of a list: in brackets with the comma beside it, in a block with its line.
///
/// None if it is the only one, or the layout is one that this would not fit.
pub(crate) fn remove_item(document: &str, list: &Node, nth: usize) -> Option<Edit> {
    let Value::List(items) = &list.value else {
        return None;
    };
    let item = items.get(nth)?;
    if items.len() < 2 {
        return None;
    }
    if is_in_braces(document, list) {
        return match (items.get(nth.checked_add(1)?), nth.checked_sub(1)) {
            // Up to the next item, if nothing but a comma and blanks is between them.
            (Some(next), _) => between(
                document,
                start(item.at),
                end(item.at),
                start(next.at),
                false,
            ),
            (None, Some(before)) => {
                let before = items.get(before)?;
                between(
                    document,
                    start(item.at),
                    end(before.at),
                    start(item.at),
                    true,
                )
                .map(|edit| Edit {
                    end: end(item.at),
                    ..edit
                })
            }
            (None, None) => None,
        };
    }
    whole_lines(document, item.at)
}

/// From `from` (or the gap's beginning) to the gap's end, if the gap is one comma and blanks.
fn between(document: &str, from: usize, gap: usize, to: usize, with_gap: bool) -> Option<Edit> {
    let text = document.get(gap..to)?;
    let is_plain = text.trim() == "," && !text.contains('\n');
    is_plain.then(|| Edit {
        start: if with_gap { gap } else { from },
        end: to,
        text: String::new(),
    })
}

/// The line of a block's item, if nothing else stands on it and it is one line.
fn whole_lines(document: &str, at: Span) -> Option<Edit> {
    let line_start = line_start(document, start(at));
    let before = document.get(line_start..start(at))?.trim();
    let line_end = document
        .get(end(at)..)?
        .find('\n')
        .map_or(document.len(), |found| {
            end(at).saturating_add(found).saturating_add(1)
        });
    let tail = document.get(end(at)..line_end)?.trim();
    let is_one_line = !document.get(start(at)..end(at))?.contains('\n');
    let stands_alone = before == "-" && (tail.is_empty() || tail.starts_with('#'));
    (is_one_line && stands_alone).then(|| Edit {
        start: line_start,
        end: line_end,
        text: String::new(),
    })
}

/// Takes an entry out of a section of the document, or the section if it is the only one: in braces with the
/// comma beside it, in a block with its lines. Comments above it and behind it stay.
///
/// None if there is no such entry, or the layout is one that this would not fit.
pub(crate) fn remove_definition(
    document: &str,
    root: &Node,
    section: &str,
    name: &str,
) -> Option<Edit> {
    let (section_key, section) = entry(root, section)?;
    let all: Vec<(&Node, &Node)> = entries(section).collect();
    let place = all.iter().position(|(key, _)| text(key) == Some(name))?;
    let (key, value) = all.get(place)?;
    if all.len() == 1 {
        return lines_of(document, section_key, section);
    }
    if !is_in_braces(document, section) {
        return lines_of(document, key, value);
    }
    let (from, to) = match (all.get(place.saturating_add(1)), place.checked_sub(1)) {
        (Some((next, _)), _) => (start(key.at), start(next.at)),
        (None, Some(before)) => (
            last_byte(document, all.get(before)?.1),
            last_byte(document, value),
        ),
        (None, None) => return None,
    };
    // A comment in between is not to go with it.
    let gone = document.get(from..to)?;
    let is_plain = !gone
        .lines()
        .any(|line| line.contains(" #") || line.starts_with('#'));
    is_plain.then(|| Edit {
        start: from,
        end: to,
        text: String::new(),
    })
}

/// The lines of an entry of a block.
fn lines_of(document: &str, key: &Node, value: &Node) -> Option<Edit> {
    let from = line_start(document, start(key.at));
    let before = document.get(from..start(key.at))?;
    let end = last_byte(document, value);
    let rest = document.get(end..)?;
    let line_end = rest.find('\n').map_or(document.len(), |found| {
        end.saturating_add(found).saturating_add(1)
    });
    let tail = document.get(end..line_end)?.trim();
    let is_alone = before.trim().is_empty() && (tail.is_empty() || tail.starts_with('#'));
    is_alone.then(|| Edit {
        start: from,
        end: line_end,
        text: String::new(),
    })
}

/// The first byte behind the last one that belongs to a value: a block ends with its last item, and what
/// stands in braces with the one that closes them.
pub(crate) fn last_byte(document: &str, node: &Node) -> usize {
    let ends = match &node.value {
        Value::List(items) => items.iter().map(|item| last_byte(document, item)).max(),
        Value::Map(entries) => {
            let values = entries.iter().map(|(_, value)| value);
            values.map(|value| last_byte(document, value)).max()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text { .. } => {
            return end(node.at);
        }
    };
    if !is_in_braces(document, node) {
        return ends.unwrap_or_else(|| end(node.at));
    }
    let mut at = ends.unwrap_or_else(|| start(node.at).saturating_add(1));
    let mut is_comment = false;
    for c in document.get(at..).unwrap_or_default().chars() {
        at = at.saturating_add(c.len_utf8());
        match c {
            '#' => is_comment = true,
            '\n' => is_comment = false,
            ']' | '}' if !is_comment => break,
            _ => {}
        }
    }
    at
}

/// The first byte of the line that a byte is on.
pub(crate) fn line_start(document: &str, at: usize) -> usize {
    document
        .get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |found| found.saturating_add(1))
}

/// A text in double quotes, as YAML writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A value without its layout: entries of a mapping in the order of their keys.
pub(crate) fn written(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::Bool(_) | Value::Number(_) => node.value.written(),
        Value::Text { text, .. } => quoted(text),
        Value::List(items) => format!(
            "[{}]",
            items.iter().map(written).collect::<Vec<_>>().join(",")
        ),
        Value::Map(entries) => {
            let mut entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", written(key), written(value)))
                .collect();
            entries.sort_unstable();
            format!("{{{}}}", entries.join(","))
        }
    }
}
