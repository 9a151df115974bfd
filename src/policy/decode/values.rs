//! Values with a grammar of their own: times, sizes, patterns, expressions, names of variables.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::Decoder;
use crate::policy::error::{Code, Problem};
use crate::policy::glob::Pattern;
use crate::policy::pattern::TextPattern;
use crate::policy::source::{Node, Span, Value};

const TIME_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl Decoder {
    pub(super) fn duration(&mut self, node: &Node) -> Option<Duration> {
        self.quantity(node, "time", TIME_UNITS)
            .map(Duration::from_millis)
    }

    pub(super) fn size(&mut self, node: &Node) -> Option<u64> {
        self.quantity(node, "size", SIZE_UNITS)
    }

    fn quantity(&mut self, node: &Node, what: &str, units: &[(&str, u64)]) -> Option<u64> {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        let text = match &node.value {
            Value::Number(text) => {
                let unit = if what == "time" { "s" } else { "KiB" };
                let problem = Problem::new(Code::P012, node.at, format!("a {what} without a unit"))
                    .with_help(format!(
                        "write the unit: `{text}{unit}`, or one of {}",
                        names.join(" ")
                    ));
                self.push(problem);
                return None;
            }
            Value::Text { text, .. } => text,
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.wrong(
                    node,
                    &format!(
                        "a {what} belongs here, for example `{}`",
                        if what == "time" { "300s" } else { "50KiB" }
                    ),
                );
                return None;
            }
        };
        let digits = text
            .len()
            .saturating_sub(text.trim_start_matches(|c: char| c.is_ascii_digit()).len());
        let (number, unit) = text.split_at_checked(digits).unwrap_or(("", text));
        let factor = units
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor);
        let value = number
            .parse::<u64>()
            .ok()
            .zip(factor)
            .and_then(|(n, factor)| n.checked_mul(factor));
        match value {
            Some(0) => {
                self.invalid(
                    node.at,
                    format!("a {what} of zero"),
                    "it would stop everything; take it out or make it larger",
                );
                None
            }
            Some(value) => Some(value),
            None => {
                let help = format!(
                    "a whole number and one of {}, for example `{}`",
                    names.join(" "),
                    if what == "time" { "1500ms" } else { "50KiB" }
                );
                self.invalid(
                    node.at,
                    format!("`{}` is no {what}", text.escape_debug()),
                    &help,
                );
                None
            }
        }
    }

    pub(super) fn patterns(&mut self, node: &Node) -> Option<Vec<(Pattern, Span)>> {
        self.list_of(node, "a pattern", Self::pattern)
    }

    fn pattern(&mut self, node: &Node) -> Option<(Pattern, Span)> {
        let text = self.text(node)?;
        let parsed = if self.normalises {
            Pattern::parse_normalised(&text)
        } else {
            Pattern::parse(&text)
        };
        match parsed {
            Ok(pattern) => Some((pattern, node.at)),
            Err(error) => {
                let mut problem = Problem::new(error.code(), node.at, error.to_string());
                problem.help = Some(error.help());
                problem.replacement = error.suggestion().map(|text| format!("\"{text}\""));
                self.push(problem);
                None
            }
        }
    }

    pub(super) fn text_pattern(&mut self, node: &Node) -> Option<TextPattern> {
        let text = self.text(node)?;
        if self.is_compiled_in {
            return Some(TextPattern::known_good(&text));
        }
        match TextPattern::parse(&text) {
            Ok(pattern) if pattern.compiles() => Some(pattern),
            Ok(_) => {
                let help = "repeat less, or say it with fewer alternatives";
                self.invalid(
                    node.at,
                    "this regular expression is too large when compiled",
                    help,
                );
                None
            }
            Err(why) => {
                self.invalid(
                    node.at,
                    format!("this is no regular expression: {why}"),
                    "the syntax is that of the Rust crate regex",
                );
                None
            }
        }
    }

    pub(super) fn expression(&mut self, node: &Node) -> Option<String> {
        self.text_pattern(node)
            .map(|pattern| pattern.as_str().to_owned())
    }

    /// The name of an environment variable.
    pub(super) fn variable(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        let mut bytes = name.bytes();
        let fits = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            self.invalid(
                node.at,
                format!("`{}` is no name of a variable", name.escape_debug()),
                "letters, digits and `_`",
            );
            return None;
        }
        Some(name)
    }
}
