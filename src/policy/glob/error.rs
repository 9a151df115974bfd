//! Mistakes in a glob, and their messages.

#![forbid(unsafe_code)]

use crate::path::shown;
use crate::policy::error::Code;

/// A mistake in a pattern: its place, and what to write instead.
///
/// The code is `G101` for an absolute pattern, `G102` for `.`, `..` and empty segments, `G103` for `\`,
/// `G104` for `dir**`, `G105` and `G106` for `**` that is glued to other characters or in braces, `G107`
/// for a class that reaches `/` or beyond ASCII, `G118` for brackets, and `P006` for everything else: too
/// long, too many wildcards, control characters, not in normal form C, white space at an edge, a leading
/// `!`, a trailing `/`.
///
/// ```
/// use lictor::policy::Code;
/// use lictor::policy::glob::Pattern;
///
/// let error = Pattern::parse(r"src\**.py").unwrap_err();
/// assert_eq!(error.to_string(), r"pattern `src\\**.py` holds `\`");
/// assert_eq!((error.offset(), error.len(), error.code()), (3, 1, Code::G103));
/// assert_eq!(error.suggestion(), Some("src/**/*.py"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GlobError {
    code: Code,
    offset: usize,
    len: usize,
    message: String,
    help: String,
    suggestion: Option<String>,
}

#[expect(
    clippy::len_without_is_empty,
    reason = "the length of a place in a text"
)]
impl GlobError {
    /// The lint rule that is broken.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Byte offset in the pattern.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Length in bytes; may be 0 at the end of the pattern.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The way out, as a lowercase fragment.
    #[must_use]
    pub fn help(&self) -> String {
        self.help.clone()
    }

    /// The corrected pattern, if one can be made. It parses, and it is what the author most probably
    /// meant; where the pattern could not have been what it looks like, that may be a guess.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// An error about `text`; `what` completes "pattern `…` ".
    pub(super) fn new(
        code: Code,
        text: &str,
        (offset, len): (usize, usize),
        what: &str,
        help: impl Into<String>,
    ) -> GlobError {
        let message = format!("pattern `{}` {what}", shown(text.as_bytes()));
        GlobError {
            code,
            offset,
            len,
            message,
            help: help.into(),
            suggestion: None,
        }
    }

    /// Adds a pattern in which this one mistake is corrected.
    pub(super) fn or_write(self, suggestion: impl Into<String>) -> GlobError {
        GlobError {
            suggestion: Some(suggestion.into()),
            ..self
        }
    }

    /// Adds a suggestion in which everything is corrected, or removes it.
    pub(super) fn with_whole_correction(
        self,
        parse: impl Fn(&str) -> Result<(), GlobError>,
    ) -> GlobError {
        let mut suggestion = self.suggestion.clone();
        for _ in 0..MAX_CORRECTIONS {
            match suggestion.as_deref().map(&parse) {
                None | Some(Ok(())) => return GlobError { suggestion, ..self },
                Some(Err(error)) => suggestion = error.suggestion,
            }
        }
        GlobError {
            suggestion: None,
            ..self
        }
    }
}

/// After so many single corrections a pattern is beyond guessing.
const MAX_CORRECTIONS: usize = 16;
