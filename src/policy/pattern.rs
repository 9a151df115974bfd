//! Regular expressions of the policy: one that a whole text argument must match.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

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

    /// Whether it can be compiled within bounds. One that cannot matches nothing.
    pub(crate) fn compiles(&self) -> bool {
        self.regex().is_some()
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
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
    fn what_is_no_expression_or_too_large_is_told() {
        assert!(TextPattern::parse("a(b").unwrap_err().contains("unclosed"));
        assert!(!TextPattern::parse(r"(\w{100}){100}").unwrap().compiles());
    }
}
