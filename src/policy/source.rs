//! The text of a policy as a tree of values that know where they stand. The only file that names the
//! YAML crate.
//!
//! The input is one document; the output is a `Node` tree, as good as it could be read, and every problem
//! with the YAML itself. The reading is closed-world: after the parser is done, every byte that belongs to no
//! value must be punctuation, white space or a comment. That is what refuses tags and directives, however the
//! parser treats them.
//!
//! The parser stops at its first error. The reading goes on behind it, so that one run can report the
//! others too: an unquoted pattern (`**/*.py` is an alias to YAML) or an anchor is read as text, any other
//! line that is not YAML is left out if nothing hangs on it. Else the lines before it are still read.

#![forbid(unsafe_code)]

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::error::{Code, Problem};
use super::readers::{OddCharacter, odd_characters};

/// The largest document that is read.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// Maximum depth of nested values.
const MAX_DEPTH: usize = 32;

/// Mistakes behind which the reading goes on, at most. Each is another reading, so a document of more than
/// a twentieth of the largest gets fewer.
const MAX_RECOVERIES: usize = 20;

/// One document, under the name a person knows it by.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceFile {
    /// The name shown in messages.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Without the text, which an error that `main` returns would print whole.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl SourceFile {
    /// A document called `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> SourceFile {
        SourceFile {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The text of the line that a span begins on, without its end.
    #[must_use]
    pub fn line_at(&self, at: Span) -> &str {
        let nth = usize::try_from(at.line)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        self.text.lines().nth(nth).unwrap_or("")
    }
}

/// A stretch of one document. Lines and columns count from 1; a column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Span {
    /// Which of the files that were read, in reading order.
    pub file: u16,
    /// First byte.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
    /// Line of the first byte.
    pub line: u32,
    /// Column of the first byte.
    pub column: u32,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Span,
    pub(crate) value: Value,
}

/// A piece of text as YAML reads it. Numbers keep their text: the language has no bare numbers but counts,
/// and `1.10` is not `1.1`.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text {
        text: String,
        /// Neither quoted nor a block: YAML readers may disagree about what it is.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// A single value's text, to be quoted.
    pub(crate) fn written(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(text) | Value::Text { text, .. } => text.clone(),
            Value::List(_) | Value::Map(_) => "…".to_owned(),
        }
    }

    /// Returns true for this very text.
    pub(crate) fn is_text(&self, wanted: &str) -> bool {
        matches!(self, Value::Text { text, .. } if text == wanted)
    }

    /// The value of a mapping's entry.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        let Value::Map(entries) = self else {
            return None;
        };
        let mut entries = entries.iter();
        entries.find_map(|(key, value)| key.value.is_text(name).then_some(value))
    }

    /// Name of its kind, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Result of reading one document.
pub(crate) struct Parsed {
    /// The document's value, if any of it could be read.
    pub(crate) root: Option<Node>,
    /// Mistakes in the YAML.
    pub(crate) problems: Vec<Problem>,
    /// Not all of it could be read: what is missing may stand in the rest.
    pub(crate) partial: bool,
}

/// Reads one document; `file` is its number among the files of a policy.
pub(crate) fn parse(text: &str, file: u16) -> Parsed {
    let lines = Lines::new(text, file);
    if text.len() > MAX_DOCUMENT_BYTES {
        let problem = Problem::new(
            Code::P001,
            lines.span(0, 0),
            format!(
                "the document has {} bytes; at most {MAX_DOCUMENT_BYTES} are read",
                text.len()
            ),
        );
        return Parsed {
            root: None,
            problems: vec![problem],
            partial: true,
        };
    }
    let mut readable = text.to_owned();
    let mut problems = without_odd_characters(&mut readable, &lines);
    // What they stand for is not known, so nothing can be said to be missing.
    let (mut partial, mut is_cut) = (!problems.is_empty(), false);
    let most = MAX_DOCUMENT_BYTES
        .checked_div(text.len())
        .map_or(1, |times| times.clamp(2, MAX_RECOVERIES));
    for _ in 0..most {
        match serde_saphyr::from_str_with_options::<Raw>(&readable, options()) {
            Ok(raw) => {
                let root = lines.node(raw, text);
                problems.extend(foreign_syntax(&root, &readable, &lines));
                return Parsed {
                    root: Some(root),
                    problems,
                    partial,
                };
            }
            Err(error) => {
                let found = explain(&error, &readable, &lines);
                // What the parser makes of the cut is not the author's mistake.
                if !is_cut {
                    problems.push(found.problem);
                }
                partial |= !matches!(found.then, Then::ReadAsText(_));
                is_cut |= matches!(found.then, Then::ReadUpTo(_));
                if !found.then.apply(&mut readable) {
                    break;
                }
            }
        }
    }
    Parsed {
        root: None,
        problems,
        partial: true,
    }
}

/// Reports characters that readers disagree about, and puts blanks in their places.
fn without_odd_characters(text: &mut String, lines: &Lines) -> Vec<Problem> {
    let odd: Vec<OddCharacter> = odd_characters(text).collect();
    let problems = odd.iter().take(MAX_RECOVERIES).map(|odd| {
        let at = lines.span_in(text, odd.at, odd.character.len_utf8());
        Problem::new(Code::P001, at, odd.message()).with_help(odd.help())
    });
    let problems = problems.collect();
    for odd in &odd {
        // As many bytes: the places behind it stay as they are.
        let len = odd.character.len_utf8();
        let end = odd.at.saturating_add(len);
        text.replace_range(odd.at..end, &" ".repeat(len));
    }
    problems
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_documents: 1,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            // Bounded by the size of the document already; the default is too few for 10,000 tools.
            max_nodes: MAX_DOCUMENT_BYTES,
            max_events: MAX_DOCUMENT_BYTES,
        },
        // Seen by the decoder, which reports every one of them.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        merge_keys: serde_saphyr::MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        with_snippet: false,
    }
}

type Raw = serde_saphyr::Spanned<RawValue>;

enum RawValue {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }
    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Bool(value))
    }
    fn visit_i64<E>(self, _: i64) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }
    fn visit_u64<E>(self, _: u64) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }
    fn visit_i128<E>(self, _: i128) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }
    fn visit_u128<E>(self, _: u128) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }
    fn visit_f64<E>(self, _: f64) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }
    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Raw>()? {
            entries.push((key, access.next_value()?));
        }
        Ok(RawValue::Map(entries))
    }
}

/// Where lines begin, to turn the parser's places into ours.
struct Lines {
    starts: Vec<usize>,
    file: u16,
}

impl Lines {
    fn new(text: &str, file: u16) -> Lines {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(ends.map(|(at, _)| at.saturating_add(1)))
            .collect();
        Lines { starts, file }
    }

    fn node(&self, raw: Raw, text: &str) -> Node {
        let place = raw.referenced;
        let offset = place.span().byte_offset().unwrap_or(0);
        let len = place.span().byte_len().unwrap_or(0);
        let at = Span {
            file: self.file,
            offset: narrow(offset),
            len: narrow(len),
            line: narrow(place.line()),
            column: narrow(place.column()),
        };
        let written = slice(text, at);
        let value = match raw.value {
            RawValue::Null => Value::Null,
            RawValue::Bool(value) => Value::Bool(value),
            RawValue::Number => Value::Number(written.to_owned()),
            RawValue::Text(text) => {
                let quoted = written.starts_with(['"', '\'']);
                // A block's text ends in a line break or differs from what is written.
                let plain = !quoted && (written == text || !written.contains('\n'));
                // The letter that an alias was read with is nobody's word.
                let is_marked = plain && written.starts_with(['*', '&']);
                let text = if is_marked && written.len() == text.len() {
                    written.to_owned()
                } else {
                    text
                };
                Value::Text { text, plain }
            }
            RawValue::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| self.node(item, text))
                    .collect(),
            ),
            RawValue::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (self.node(key, text), self.node(value, text)))
                    .collect(),
            ),
        };
        Node { at, value }
    }

    /// The span of `len` bytes from `offset`, with its line and column.
    fn span(&self, offset: usize, len: usize) -> Span {
        self.span_in("", offset, len)
    }

    fn span_in(&self, text: &str, offset: usize, len: usize) -> Span {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let before = text.get(start..offset).unwrap_or("");
        // Whole characters: a place that ends inside one cannot be shown.
        let len = (len..len.saturating_add(4))
            .find(|len| text.is_char_boundary(offset.saturating_add(*len)))
            .unwrap_or(len);
        Span {
            file: self.file,
            offset: narrow(offset as u64),
            len: narrow(len as u64),
            line: narrow(line as u64),
            column: narrow(before.chars().count().saturating_add(1) as u64),
        }
    }

    /// The byte at a line and column of the parser.
    fn offset(&self, text: &str, line: u64, column: u64) -> usize {
        let nth = usize::try_from(line).unwrap_or(0).saturating_sub(1);
        let start = self.starts.get(nth).copied().unwrap_or(text.len());
        let skip = usize::try_from(column).unwrap_or(0).saturating_sub(1);
        let rest = text.get(start..).unwrap_or("");
        let within = rest
            .char_indices()
            .nth(skip)
            .map_or(rest.len(), |(at, _)| at);
        start.saturating_add(within)
    }
}

/// A place that does not fit 32 bits cannot occur: documents are capped far below.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub(crate) fn slice(text: &str, at: Span) -> &str {
    let start = usize::try_from(at.offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(at.len).unwrap_or(0));
    text.get(start..end).unwrap_or("")
}

/// A problem with the YAML, and how the reading can go on behind it.
struct Found {
    problem: Problem,
    then: Then,
}

enum Then {
    /// Read this byte as an ordinary letter.
    ReadAsText(usize),
    /// Read blanks in place of the line that begins at this byte.
    LeaveOut(usize),
    /// Read only what stands before this byte.
    ReadUpTo(usize),
}

impl Then {
    /// Changes the text for the next try; false if there is nothing to try.
    fn apply(&self, text: &mut String) -> bool {
        match *self {
            Then::ReadAsText(at) => {
                let is_one_byte = text.get(at..at.saturating_add(1)).is_some();
                if is_one_byte {
                    text.replace_range(at..at.saturating_add(1), "x");
                }
                is_one_byte
            }
            Then::LeaveOut(start) => {
                let len = text
                    .get(start..)
                    .map_or(0, |rest| rest.split('\n').next().unwrap_or("").len());
                let end = start.saturating_add(len);
                let holds_something = text
                    .get(start..end)
                    .is_some_and(|line| !line.trim().is_empty());
                if holds_something {
                    // As many bytes: the places behind it stay as they are.
                    text.replace_range(start..end, &" ".repeat(len));
                }
                holds_something && !text.trim().is_empty()
            }
            Then::ReadUpTo(at) => {
                let shorter = at < text.len() && text.is_char_boundary(at);
                if shorter {
                    text.truncate(at);
                }
                shorter && !text.trim().is_empty()
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser has sixty errors; most are told in its own words"
)]
fn explain(error: &serde_saphyr::Error, text: &str, lines: &Lines) -> Found {
    use serde_saphyr::Error;
    use serde_saphyr::budget::BudgetBreach;

    let error = error.without_snippet();
    let place = error.location();
    let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
    let at = lines.offset(text, line, column);
    let line_start = lines.offset(text, line, 1);
    let here = |len| lines.span_in(text, at, len);
    match error {
        Error::UnknownAnchor { .. } => {
            let word = word_at(text, at);
            let is_pattern = word.contains(['/', '.']) || word.starts_with("**") || word == "*";
            let problem = if is_pattern {
                Problem::new(
                    Code::P004,
                    here(word.len()),
                    format!("`{word}` is an alias to YAML, not text"),
                )
                .with_help(format!("quote it: \"{word}\""))
                .with_replacement(format!("\"{word}\""))
            } else {
                Problem::new(
                    Code::P001,
                    here(word.len()),
                    format!("`{word}` is a YAML alias; a policy has none"),
                )
                .with_help("write the value out, or quote it if it is text")
            };
            Found {
                problem,
                then: Then::ReadAsText(at),
            }
        }
        Error::Budget {
            breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. },
            ..
        } => {
            // The place is that of the value behind the anchor.
            let before = text.get(..at).unwrap_or("");
            let anchor = before.rfind('&').unwrap_or(at);
            let word = word_at(text, anchor);
            let problem = Problem::new(
                Code::P001,
                lines.span_in(text, anchor, word.len()),
                format!("`{word}` is a YAML anchor; a policy has none"),
            )
            .with_help(
                "write the value out where it is needed; scopes and tools have names for reuse",
            );
            Found {
                problem,
                then: Then::ReadAsText(anchor),
            }
        }
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => {
            let problem = Problem::new(
                Code::P001,
                here(3),
                "a second document begins here; a policy is one document",
            )
            .with_help("put the other document into a file of its own");
            Found {
                problem,
                then: Then::ReadUpTo(at),
            }
        }
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => too_deep(here(1)),
        other => {
            let said = other.to_string();
            // The message repeats the place, which ours already has.
            let said = said.split(" at line ").next().unwrap_or(&said).trim();
            if said.contains("recursion limit") {
                return too_deep(here(1));
            }
            told(&advice(said, text, at, line_start), text, line_start, lines)
        }
    }
}

/// The problem that a piece of advice tells, and the line it is about left out if it stands alone.
fn told(advice: &Advice, text: &str, line_start: usize, lines: &Lines) -> Found {
    let at = lines.span_in(text, advice.at, 1);
    let problem = Problem::new(Code::P001, at, &*advice.message).with_help(&*advice.help);
    // The place may be on another line than the parser's.
    let start = text
        .get(..advice.at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |end| end.saturating_add(1));
    let then = match advice.then {
        Some(Then::ReadAsText(at)) => Then::ReadAsText(at),
        _ if advice.is_one_line && stands_alone(text, start) => Then::LeaveOut(start),
        _ => Then::ReadUpTo(line_start.min(start)),
    };
    Found { problem, then }
}

/// Returns true if nothing is indented below the line that begins at `start`, so that it can be left out.
fn stands_alone(text: &str, start: usize) -> bool {
    let indent = |line: &str| line.len().saturating_sub(line.trim_start().len());
    let mut lines = text.get(start..).unwrap_or("").lines();
    let Some(line) = lines.next() else {
        return false;
    };
    let next = lines.find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    !line
        .trim_end()
        .ends_with([':', '[', '{', ',', '|', '>', '-'])
        && next
            .is_none_or(|next| indent(next) <= indent(line) || next.trim_start().starts_with("- "))
}

fn too_deep(at: Span) -> Found {
    let problem = Problem::new(
        Code::P001,
        at,
        format!("values stand more than {MAX_DEPTH} deep in each other"),
    )
    .with_help("no key of the language needs this; look for a bracket that is not closed");
    Found {
        problem,
        then: Then::ReadUpTo(0),
    }
}

/// Message and advice about a mistake.
struct Advice {
    /// The byte it is about.
    at: usize,
    message: String,
    help: String,
    /// The mistake ends with its line.
    is_one_line: bool,
    then: Option<Then>,
}

/// Says in a person's words what the parser found, and what to do.
fn advice(said: &str, text: &str, at: usize, line_start: usize) -> Advice {
    let line_at = |start: usize| {
        text.get(start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or("")
    };
    let line = line_at(line_start);
    let advice = |message: &str, help: &str| Advice {
        at,
        message: message.to_owned(),
        help: help.to_owned(),
        is_one_line: true,
        then: None,
    };
    if let Some(tab) = tab_in_indentation(text, line_start, said.contains("tab")) {
        return Advice {
            at: tab,
            ..advice(
                "a tab stands where YAML wants spaces",
                "indent with spaces; most editors can convert tabs",
            )
        };
    }
    if said.contains("mapping values are not allowed") {
        let message = "a `:` stands where no key can begin";
        if line.matches(": ").count() > 1
            && text.get(at..).is_some_and(|rest| rest.starts_with(':'))
        {
            let help =
                "quote the value if the `:` belongs to it, or write `{key: value}` in braces";
            return Advice {
                then: Some(Then::ReadAsText(at)),
                ..advice(message, help)
            };
        }
        return advice(
            message,
            "give this line the same indentation as the keys it belongs to, and end the line above",
        );
    }
    if said.contains("unclosed quote") || said.contains("quoted scalar") && said.contains("end of")
    {
        return advice(
            "a quote is opened here and never closed",
            "close it on the same line",
        );
    }
    if said.starts_with("unexpected character") {
        let found = text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .unwrap_or(' ');
        let message = format!(
            "a value cannot begin with `{}` in YAML",
            found.escape_debug()
        );
        return advice(&message, "quote the value");
    }
    let word = line.trim_start().trim_start_matches("- ");
    if said.contains("simple key expected") && !word.contains(": ") {
        return match word.split_once(':') {
            Some((key, value)) => advice(
                &format!("no space stands behind the `:` of `{}`", key.escape_debug()),
                &format!("write `{}: {}`", key.escape_debug(), value.escape_debug()),
            ),
            None => advice(
                &format!(
                    "`{}` is no key: no `:` stands behind it",
                    word.escape_debug()
                ),
                "write `key: value`, or indent the line if it goes on from the one above",
            ),
        };
    }
    if said.contains("flow") || said.contains("bracket") || said.contains("':' indicator") {
        return Advice {
            is_one_line: false,
            ..advice(
                "a `[` or `{` before this place is not closed, or one bracket too many is",
                "count the brackets; a list in brackets may span lines, but has to be closed",
            )
        };
    }
    if said.contains("block sequence entries") {
        return advice(
            "a list begins with `-` where no list can stand",
            "put the first `-` on a line of its own, indented below the key",
        );
    }
    if [
        "did not find expected key",
        "expected '-' indicator",
        "block mapping",
        "indent",
    ]
    .iter()
    .any(|sign| said.contains(sign))
    {
        return advice(
            "the indentation does not fit the lines above",
            "keys of one mapping begin in the same column, items of one list too, with spaces",
        );
    }
    advice(
        &format!("this is not YAML: {said}"),
        "quote text that holds `:`, `#`, brackets or quotes",
    )
}

/// The first tab in the white space that this line begins with, or, where the parser spoke of a tab, in
/// that of a line just behind it: it tells the end of the line above.
fn tab_in_indentation(text: &str, line_start: usize, spoken_of: bool) -> Option<usize> {
    let mut start = line_start;
    for line in text
        .get(line_start..)?
        .split_inclusive('\n')
        .take(if spoken_of { 3 } else { 1 })
    {
        let indent = line
            .len()
            .saturating_sub(line.trim_start_matches([' ', '\t']).len());
        if let Some(tab) = line.get(..indent).and_then(|blank| blank.find('\t')) {
            return Some(start.saturating_add(tab));
        }
        start = start.saturating_add(line.len());
    }
    spoken_of.then(|| {
        let rest = text.get(line_start..).unwrap_or("");
        line_start.saturating_add(rest.find('\t').unwrap_or(0))
    })
}

/// The run of characters from `at` up to a blank or punctuation of YAML.
fn word_at(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or("");
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
    rest.split(ends).next().unwrap_or("")
}

/// Finds what is neither a value nor punctuation: tags and directives.
fn foreign_syntax(root: &Node, text: &str, lines: &Lines) -> Vec<Problem> {
    let mut values = Vec::new();
    scalar_spans(root, &mut values);
    values.sort_unstable();
    let mut problems = Vec::new();
    let mut at = 0;
    for (start, end) in values.into_iter().chain([(text.len(), text.len())]) {
        problems.extend(foreign_in_gap(text, at, start, lines));
        at = at.max(end);
    }
    problems
}

fn scalar_spans(node: &Node, into: &mut Vec<(usize, usize)>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| scalar_spans(item, into)),
        Value::Map(entries) => {
            for (key, value) in entries {
                scalar_spans(key, into);
                scalar_spans(value, into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text { .. } => {
            let start = usize::try_from(node.at.offset).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(node.at.len).unwrap_or(0));
            into.push((start, end));
        }
    }
}

fn foreign_in_gap(text: &str, start: usize, end: usize, lines: &Lines) -> Option<Problem> {
    let gap = text.get(start..end).unwrap_or("");
    let mut in_comment = false;
    let mut after_bar = false;
    for (at, c) in gap.char_indices() {
        match c {
            '\n' => (in_comment, after_bar) = (false, false),
            _ if in_comment => {}
            '#' => in_comment = true,
            '|' | '>' => after_bar = true,
            '0'..='9' | '+' if after_bar => {}
            '[' | ']' | '{' | '}' | ',' | ':' | '-' | '?' | '.' | '\u{feff}' => {}
            c if c.is_whitespace() => {}
            _ => {
                let at = start.saturating_add(at);
                let word = word_at(text, at);
                let what = if word.starts_with('%') {
                    "a YAML directive"
                } else {
                    "a YAML tag"
                };
                let message = format!("`{}` is {what}; a policy has none", word.escape_debug());
                let problem =
                    Problem::new(Code::P001, lines.span_in(text, at, word.len()), message)
                        .with_help("take it out; every key knows which type it wants");
                return Some(problem);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(node: &Node) -> String {
        if let Value::Text { text, .. } | Value::Number(text) = &node.value {
            text.clone()
        } else {
            node.value.kind().to_owned()
        }
    }

    #[track_caller]
    fn check(text: &str, line: u32, column: u32, message: &str) {
        let parsed = parse(text, 0);
        let seen: Vec<_> = parsed
            .problems
            .iter()
            .map(|p| (p.at.line, p.at.column, p.message.clone()))
            .collect();
        let found = parsed
            .problems
            .iter()
            .any(|p| p.at.line == line && p.at.column == column && p.message.contains(message));
        assert!(found, "{seen:?}");
        assert!(
            parsed.problems.iter().all(|p| p.help.is_some()),
            "a way out for each"
        );
    }

    #[test]
    fn what_a_policy_may_not_use_of_yaml_is_refused_at_its_place() {
        check("a: &x 1\nb: *x\n", 1, 4, "anchor");
        check("a: &x 1\nb: *x\n", 2, 4, "alias");
        check("a: !!str 5\n", 1, 4, "tag");
        check("a: !foo 5\n", 1, 4, "tag");
        check("%YAML 1.2\n---\na: 1\n", 1, 1, "directive");
        check("a: 1\n---\nb: 2\n", 2, 1, "second document");
        check("a:\n\tb: 1\n", 2, 1, "tab");
        check("a: b: c\n", 1, 5, "`:`");
        check("a: 'x\n", 1, 4, "quote");
        check("a: @x\n", 1, 4, "`@`");
        check(&"[".repeat(200_000), 1, 33, "32 deep");
    }

    #[test]
    fn what_is_read_past_is_told_as_it_is_written() {
        let parsed = parse("a: *b\nb: */x\nc: &y 3\n", 0);
        let Some(Value::Map(entries)) = parsed.root.map(|root| root.value) else {
            panic!()
        };
        let text_of = |node: &Node| {
            let Value::Text { text, .. } = &node.value else {
                panic!()
            };
            text.clone()
        };
        let seen: Vec<_> = entries.iter().map(|(_, v)| text_of(v)).collect();
        assert_eq!(seen, ["*b", "*/x", "&y 3"]);
    }

    #[test]
    fn an_unquoted_pattern_is_told_to_be_quoted_and_the_rest_is_read() {
        let parsed = parse("a: **/*.py\nb: [*.rs, 2]\nc: &y 3\n", 0);
        assert_eq!(parsed.problems.len(), 3);
        assert_eq!(
            parsed.problems[0].help.as_deref(),
            Some("quote it: \"**/*.py\"")
        );
        assert!(!parsed.partial);
        let Some(Node {
            value: Value::Map(entries),
            ..
        }) = parsed.root
        else {
            panic!()
        };
        assert_eq!(entries.len(), 3);
    }

    #[test]
    fn lines_before_a_mistake_are_still_read() {
        let parsed = parse("a: 1\nb: 2\nc: 'x\n", 0);
        assert!(parsed.partial);
        assert_eq!(parsed.problems.len(), 1);
        let Some(Node {
            value: Value::Map(entries),
            ..
        }) = parsed.root
        else {
            panic!()
        };
        assert_eq!(
            entries.iter().map(|(k, _)| text_of(k)).collect::<Vec<_>>(),
            ["a", "b"]
        );
    }

    #[test]
    fn every_style_of_text_is_read_with_its_place() {
        let text =
            "a: x  # c ! & *\nb: 'y'\nc: |\n  z\n  !not a tag\nd: >-\n  w\n  v\ne: {f: [\"g\"]}\n";
        let parsed = parse(text, 3);
        assert_eq!(parsed.problems, []);
        let Some(Node {
            value: Value::Map(entries),
            ..
        }) = parsed.root
        else {
            panic!()
        };
        let seen: Vec<_> = entries
            .iter()
            .map(|(_, v)| (text_of(v), v.at.line, v.at.file))
            .collect();
        assert_eq!(seen[0], ("x".to_owned(), 1, 3));
        assert_eq!(seen[1], ("y".to_owned(), 2, 3));
        assert_eq!(seen[2].0, "z\n!not a tag\n");
        assert_eq!(seen[3].0, "w v");
        assert_eq!(seen[4], ("a mapping".to_owned(), 9, 3));
    }

    #[test]
    fn numbers_keep_their_text() {
        let parsed = parse("a: 1.10\nb: 0x1F\nc: 12345678901234567890123\n", 0);
        let Some(Node {
            value: Value::Map(entries),
            ..
        }) = parsed.root
        else {
            panic!()
        };
        let seen: Vec<_> = entries.iter().map(|(_, v)| text_of(v)).collect();
        assert_eq!(seen, ["1.10", "0x1F", "12345678901234567890123"]);
    }
}
