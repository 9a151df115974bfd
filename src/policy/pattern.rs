//! Regular expressions of the policy: one that a whole text argument must match.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

/// Memory that one compiled pattern may take. What needs more is refused.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// A regular expression that is matched against whole texts.
///
/// It is checked when the policy is loaded and compiled when it is first needed: compiling costs
/// about a tenth of a millisecond, and most requests touch none of a policy's patterns.
#[derive(Clone)]
pub struct TextPattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl TextPattern {
    /// Checks the grammar of `source`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(crate) fn parse(source: &str) -> Result<TextPattern, String> {
        match regex_syntax::parse(source) {
            Ok(_) => Ok(TextPattern {
                source: source.to_owned(),
                compiled: OnceLock::new(),
            }),
            Err(regex_syntax::Error::Parse(error)) => Err(error.kind().to_string()),
            Err(regex_syntax::Error::Translate(error)) => Err(error.kind().to_string()),
            Err(error) => Err(error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .to_owned()),
        }
    }

    /// One that the tests of this crate have read.
    pub(crate) fn known_good(source: &str) -> TextPattern {
        TextPattern {
            source: source.to_owned(),
            compiled: OnceLock::new(),
        }
    }

    /// Returns true if it can be compiled within bounds. One that cannot matches nothing.
    pub(crate) fn compiles(&self) -> bool {
        self.regex().is_some()
    }

    /// Returns true if the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    /// A short text that matches as a whole, if one is easily found.
    ///
    /// Whatever is optional is left out, and of alternatives the first is taken.
    #[must_use]
    pub fn example(&self) -> Option<String> {
        let mut text = String::new();
        spell(&regex_syntax::parse(&self.source).ok()?, &mut text)?;
        self.matches(&text).then_some(text)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            RegexBuilder::new(&format!(r"\A(?:{})\z", self.source))
                .size_limit(MAX_COMPILED_BYTES)
                .dfa_size_limit(MAX_COMPILED_BYTES)
                .build()
                .ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}

/// Most characters of an example.
const MAX_EXAMPLE: usize = 256;

/// Appends a text that the expression matches.
fn spell(expression: &Hir, text: &mut String) -> Option<()> {
    if text.len() > MAX_EXAMPLE {
        return None;
    }
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            let within = |c: &char| {
                let holds = |range: &ClassUnicodeRange| (range.start()..=range.end()).contains(c);
                class.iter().any(holds)
            };
            let plain = ('a'..='z')
                .chain('0'..='9')
                .chain('A'..='Z')
                .chain(' '..='~');
            let first = || class.iter().next().map(|range| range.start());
            text.push(plain.into_iter().find(within).or_else(first)?);
        }
        HirKind::Class(Class::Bytes(_)) => return None,
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                spell(&repetition.sub, text)?;
            }
        }
        HirKind::Capture(capture) => spell(&capture.sub, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| spell(part, text))?,
        HirKind::Alternation(branches) => spell(branches.first()?, text)?,
    }
    Some(())
}

impl fmt::Debug for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TextPattern").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_text_matches() {
        let pattern = TextPattern::parse("feature/.*|main").unwrap();
        assert!(pattern.matches("main") && pattern.matches("feature/x"));
        assert!(
            !pattern.matches("xmain") && !pattern.matches("main\n") && !pattern.matches("mainx")
        );
    }

    #[test]
    fn an_example_matches_and_is_short() {
        #[track_caller]
        fn check(source: &str, expected: Option<&str>) {
            let example = TextPattern::parse(source).unwrap().example();
            assert_eq!(example.as_deref(), expected);
        }
        check("[A-Za-z0-9][A-Za-z0-9._/~^-]*", Some("a"));
        check("feature/.+|main", Some("feature/a"));
        check(r"\d{3}-x?", Some("000-"));
        check("", Some(""));
        check("a{9000}", None);
        check(r"a\b", Some("a"));
        check("[^a-z]", Some("0"));
    }

    #[test]
    fn what_is_no_expression_or_too_large_is_told() {
        assert!(TextPattern::parse("a(b").unwrap_err().contains("unclosed"));
        assert!(!TextPattern::parse(r"(\w{100}){100}").unwrap().compiles());
    }
}
