//! Mappings, lists and single values: the readers that every section is made of.
//!
//! A reader returns none after it has reported what is wrong, so its caller only leaves the value out.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::Decoder;
use crate::policy::error::{Code, Problem};
use crate::policy::readers::{is_plain_number, other_than_text, reads_as_boolean};
use crate::policy::source::{Node, Span, Value};

/// A mapping whose keys are known to be of the language.
pub(super) struct Fields<'n> {
    at: Span,
    what: &'static str,
    entries: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, node)| *node)
    }

    /// Where the mapping begins.
    pub(super) fn start(&self) -> Span {
        self.at
    }
}

impl Decoder {
    /// Reads a mapping: unknown and repeated keys are reported, the known ones returned.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        known: &[&'n str],
    ) -> Option<Fields<'n>> {
        let entries = self.mapping(node, || what.to_owned())?;
        let mut seen: Vec<(&str, &Node)> = Vec::with_capacity(entries.len());
        let mut meant = Vec::new();
        for (key, at, value) in entries {
            if known.contains(&key) {
                seen.push((key, value));
            } else if let Some(key) = self.unknown_key(key, at, what, known) {
                meant.push((key, value));
            }
        }
        // Read as what was probably meant: its value is checked too, and nothing is said to be missing.
        for (key, value) in meant {
            if !seen.iter().any(|(name, _)| *name == key) {
                seen.push((key, value));
            }
        }
        let at = Span {
            len: node.at.len.max(1),
            ..node.at
        };
        Some(Fields {
            at,
            what,
            entries: seen,
        })
    }

    /// Reads a mapping from names to values. Repeated names are reported.
    pub(super) fn named<T, R: Into<Option<T>>>(
        &mut self,
        node: &Node,
        what: &str,
        read: impl Fn(&mut Self, String, Span, &Node) -> R,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for (name, at, value) in self
            .mapping(node, || format!("`{what}`"))
            .unwrap_or_default()
        {
            if self.is_name(name, at) {
                values.extend(read(self, name.to_owned(), at, value).into());
            }
        }
        values
    }

    /// The entries of a mapping whose keys are text. Repeated keys are reported here.
    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n Node,
        what: impl FnOnce() -> String,
    ) -> Option<Vec<(&'n str, Span, &'n Node)>> {
        // Nearly all mappings are small, and looking through a few keys is quicker than hashing them.
        const FEW: usize = 16;
        let Value::Map(entries) = &node.value else {
            self.wrong(node, &format!("{} is a mapping", what()));
            return None;
        };
        let mut read: Vec<(&str, Span, &Node)> = Vec::with_capacity(entries.len());
        let mut first_at: HashMap<&str, Span> = HashMap::new();
        for (key, value) in entries {
            let Value::Text { text, plain } = &key.value else {
                let what = format!("{} here, and a key is text", key.value.kind());
                self.quote::<()>(key, &key.value.written(), &what);
                continue;
            };
            if let Some(what) = other_than_text(text).filter(|_| *plain && text != "<<") {
                self.quote::<()>(key, text, what);
                continue;
            }
            let first = if entries.len() > FEW {
                first_at.get(text.as_str()).copied()
            } else {
                read.iter()
                    .find(|(known, _, _)| known == text)
                    .map(|(_, at, _)| *at)
            };
            if let Some(Span { line, .. }) = first {
                let message = format!(
                    "`{}` stands twice here; first on line {line}",
                    text.escape_debug()
                );
                self.push(
                    Problem::new(Code::P001, key.at, message).with_help("keep one of the two"),
                );
                continue;
            }
            if entries.len() > FEW {
                first_at.insert(text, key.at);
            }
            read.push((text, key.at, value));
        }
        Some(read)
    }

    /// Reports a key that the language does not have; the one that was probably meant.
    fn unknown_key<'k>(
        &mut self,
        key: &str,
        at: Span,
        what: &str,
        known: &[&'k str],
    ) -> Option<&'k str> {
        let shown = key.escape_debug();
        let problem = Problem::new(Code::P002, at, format!("{what} has no key `{shown}`"));
        let meant = nearest(key, known.iter().copied());
        let problem = match meant {
            Some(meant) => problem
                .with_help(format!("did you mean `{meant}`?"))
                .with_replacement(meant),
            None if key == "<<" => problem.with_help("there are no merge keys; write the keys out"),
            None => problem.with_help(format!("its keys are {}", listed(known))),
        };
        self.push(problem);
        meant
    }

    pub(super) fn optional<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        fields.get(key).and_then(|node| read(self, node))
    }

    pub(super) fn required<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        help: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        if fields.get(key).is_none() {
            self.missing(fields, key, help);
        }
        self.optional(fields, key, read)
    }

    pub(super) fn missing(&mut self, fields: &Fields<'_>, key: &str, help: &str) {
        if !self.partial {
            let message = format!("{} lacks `{key}`", fields.what);
            self.push(Problem::new(Code::P006, fields.at, message).with_help(help));
        }
    }

    /// Reports keys that make sense only beside another one.
    pub(super) fn only_with(&mut self, fields: &Fields<'_>, keys: &[&str], with: &str) {
        for key in keys {
            if let Some(node) = fields.get(key) {
                let help = match *key {
                    "within" => "say what the rule is about with `touching`",
                    "touching" => "say where the rule allows with `within`",
                    _ => "take it out",
                };
                self.invalid(node.at, format!("`{key}` goes with `{with}` only"), help);
            }
        }
    }

    /// A list, or one item in place of a list of one.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> Vec<(usize, &'n Node)> {
        match &node.value {
            Value::List(items) => items.iter().enumerate().collect(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Text { .. }
            | Value::Map(_) => vec![(0, node)],
        }
    }

    /// One item or a list of them, at least one.
    pub(super) fn list_of<T>(
        &mut self,
        node: &Node,
        what: &str,
        read: impl Fn(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            self.invalid(
                node.at,
                "the list is empty",
                &format!("name {what}, or take the key out"),
            );
            return None;
        }
        let mut values = Vec::new();
        for (_, item) in self.items(node) {
            values.extend(read(self, item));
        }
        (!values.is_empty()).then_some(values)
    }

    /// A list of mappings.
    pub(super) fn list<T>(
        &mut self,
        node: &Node,
        what: &str,
        read: impl Fn(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        let Value::List(items) = &node.value else {
            self.wrong(
                node,
                &format!("`{what}` is a list: each item begins with `- `"),
            );
            return Vec::new();
        };
        items.iter().filter_map(|item| read(self, item)).collect()
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text { text, plain } => match other_than_text(text).filter(|_| *plain) {
                Some(what) => self.quote(node, text, what),
                None => Some(text.clone()),
            },
            Value::Number(text) => self.quote(node, text, "a number, not text"),
            Value::Bool(value) => {
                let text = value.to_string();
                self.quote(node, &text, "a boolean, not text")
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.wrong(node, "text belongs here");
                None
            }
        }
    }

    /// A date or time, which may stand unquoted: readers that do not take it for text read the same date.
    pub(super) fn date_text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text { text, .. } => Some(text.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                self.text(node)
            }
        }
    }

    fn quote<T>(&mut self, node: &Node, text: &str, what: &str) -> Option<T> {
        let quoted = format!("\"{text}\"");
        let problem = Problem::new(
            Code::P004,
            node.at,
            format!("`{}` is {what}", text.escape_debug()),
        )
        .with_help(format!("quote it: {quoted}"))
        .with_replacement(quoted);
        self.push(problem);
        None
    }

    pub(super) fn spanned_text(&mut self, node: &Node) -> Option<(String, Span)> {
        self.text(node).map(|text| (text, node.at))
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        let meant = if let Value::Text { text, .. } = &node.value {
            let says_no = reads_as_boolean(text).then_some("false");
            if is_yes(text) { Some("true") } else { says_no }
        } else {
            None
        };
        match meant {
            Some(meant) => {
                let problem = Problem::new(
                    Code::P006,
                    node.at,
                    "a boolean is `true` or `false`, unquoted",
                )
                .with_help(format!("write `{meant}`"))
                .with_replacement(meant);
                self.push(problem);
            }
            None => self.wrong(node, "`true` or `false` belongs here"),
        }
        None
    }

    /// A whole number without a unit.
    pub(super) fn int(&mut self, node: &Node) -> Option<i64> {
        let parsed = match &node.value {
            Value::Number(text) if is_plain_number(text) => text.parse().ok(),
            Value::Number(text) => {
                let message = format!("`{}` is read in several ways", text.escape_debug());
                self.invalid(
                    node.at,
                    message,
                    "write a whole number in plain decimal digits",
                );
                return None;
            }
            Value::Null | Value::Bool(_) | Value::Text { .. } | Value::List(_) | Value::Map(_) => {
                None
            }
        };
        if parsed.is_none() {
            self.wrong(node, "a whole number belongs here");
        }
        parsed
    }

    pub(super) fn positive(&mut self, node: &Node) -> Option<u64> {
        let value = self.int(node)?;
        match u64::try_from(value) {
            Ok(value) if value > 0 => Some(value),
            _ => {
                self.invalid(node.at, format!("`{value}` is too small"), "1 is the least");
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        words: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Option<T> {
        let node = fields.get(key)?;
        self.one_of(node, words)
    }

    /// One of a few words.
    pub(super) fn one_of<T>(
        &mut self,
        node: &Node,
        words: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Option<T> {
        let text = self.text(node)?;
        let mut known = Vec::new();
        for (word, value) in words {
            if word == text {
                return Some(value);
            }
            known.push(word);
        }
        let problem = Problem::new(
            Code::P006,
            node.at,
            format!("`{}` is not one of {}", text.escape_debug(), listed(&known)),
        );
        let problem = match nearest(&text, known.iter().copied()) {
            Some(meant) => problem
                .with_help(format!("did you mean `{meant}`?"))
                .with_replacement(meant),
            None => problem.with_help(format!("write one of {}", listed(&known))),
        };
        self.push(problem);
        None
    }

    fn is_name(&mut self, name: &str, at: Span) -> bool {
        let fits = is_name(name);
        if !fits {
            self.invalid(
                at,
                format!("`{}` is no name", name.escape_debug()),
                "a letter or digit, then letters, digits, `_` and `-`, 64 at most",
            );
        }
        fits
    }

    pub(super) fn name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        self.is_name(&name, node.at).then_some(name)
    }

    /// A value of the wrong type, or none at all.
    pub(super) fn wrong(&mut self, node: &Node, wanted: &str) {
        // What belongs here may stand in what could not be read.
        if self.partial && matches!(node.value, Value::Null) {
            return;
        }
        let (message, help) = if let Value::Null = node.value {
            let advice = "an empty key means nothing, take it out if it is not needed";
            (
                "a value is missing here".to_owned(),
                format!("{wanted}; {advice}"),
            )
        } else {
            (format!("this is {}", node.value.kind()), wanted.to_owned())
        };
        let at = Span {
            len: node.at.len.max(1),
            ..node.at
        };
        self.push(Problem::new(Code::P006, at, message).with_help(help));
    }

    pub(super) fn invalid(&mut self, at: Span, message: impl Into<String>, help: &str) {
        self.push(Problem::new(Code::P006, at, message).with_help(help));
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

/// Returns true if `name` may name a scope, tool, action, argument, approval, rule.
pub(crate) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    starts && name.len() <= 64 && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_yes(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    matches!(lower.as_str(), "yes" | "on" | "true")
}

/// The known word that was probably meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Among words of four letters, two changes lead from any to any: `ruff` to `diff`.
    let allowed = match word.chars().count() {
        0..=4 => 1,
        letters => letters.div_ceil(3),
    };
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
