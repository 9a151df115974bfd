//! YAML text -> spanned tree -> `Policy` -> [`CompiledPolicy`].
//!
//! Each step returns a type that the next one accepts: `source` reads the YAML and keeps every
//! value's place, `decode` checks each value for itself and finds all mistakes in one run, `gather` adds
//! the libraries it uses and the policies it extends, `compile` looks the names up and builds the [`matcher`] that decisions ask. Nothing here reads a file, the
//! environment or the clock: what is needed from outside comes in as [`Files`].
//!
//! | file | |
//! |---|---|
//! | `source`, `readers` | YAML as a tree with places; where YAML readers disagree |
//! | `decode`, `model` | the tree as values, names not looked up |
//! | `gather`, `library`, `starter` | libraries, parents and presets |
//! | `compile`, `compiled` | names looked up; the policy that decides |
//! | `matcher`, `index`, `glob`, `casefold` | which rules speak about an action and a path |
//! | `pattern`, `steering`, `protection`, `signers`, `terms` | patterns of text arguments, dangerous environment variables, paths that no policy opens, keys, limits |
//! | `error` | every way a policy is refused |

#![forbid(unsafe_code)]

pub mod casefold;
mod compile;
mod compiled;
mod decode;
pub mod error;
mod gather;
pub mod glob;
pub mod index;
pub(crate) mod library;
pub mod matcher;
pub mod model;
pub mod pattern;
pub(crate) mod protection;
pub mod readers;
pub(crate) mod signers;
pub mod source;
#[cfg(feature = "cli")]
pub(crate) mod starter;
pub mod steering;
pub mod terms;

pub use compile::{Files, NoFiles, Placement, PolicyOutline};
pub use compiled::{CompiledPolicy, Place};
pub use error::{Code, PolicyErrors, Problem};
pub use source::{SourceFile, Span};

pub(crate) use compiled::{CompiledRule, RuleId};
pub(crate) use decode::nearest;
#[cfg(feature = "run")]
pub(crate) use gather::Document;
pub use library::{Library, libraries};
pub(crate) use library::{declared_tools, declaring as library_for};

/// Reads `2027-01-31` (its first instant, UTC) or an RFC 3339 time.
///
/// ```
/// assert_eq!(lictor::policy::parse_time("1970-01-02").map(|t| t.as_second()), Some(86_400));
/// assert_eq!(lictor::policy::parse_time("tomorrow"), None);
/// ```
#[must_use]
pub fn parse_time(text: &str) -> Option<jiff::Timestamp> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time);
    }
    let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    date.to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// A policy's own document once more, as a tree and as its author meant it: what compiling leaves behind
/// is where everything stands. None for a document that is none.
pub(crate) fn reread(text: &str) -> Option<(source::Node, model::Policy)> {
    reread_strictly(text).map(|(root, policy, _)| (root, policy))
}

/// Reads a document again, and returns with it whether its form has no mistake.
pub(crate) fn reread_strictly(text: &str) -> Option<(source::Node, model::Policy, bool)> {
    let parsed = source::parse(text, 0);
    let root = parsed.root.clone()?;
    let decoded = decode::policy(parsed);
    Some((root, decoded.value, decoded.problems.is_empty()))
}

/// Mistakes in the form of a document: all that is seen without looking up names.
pub(crate) fn form_problems(text: &str) -> Vec<Problem> {
    let parsed = source::parse(text, 0);
    match parsed.root.as_ref().is_some_and(decode::is_library) {
        true => decode::library(parsed).problems.to_vec(),
        false => decode::policy(parsed).problems.to_vec(),
    }
}
