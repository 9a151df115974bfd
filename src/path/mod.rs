//! Lexical path checks: is this text a path below the workspace, or a trick?
//!
//! Input is what a caller wrote, as bytes; output is a [`CanonicalPath`], the only path type that
//! later modules accept, or a [`Denial`] that names every rule that matched. Nothing here touches the
//! disk, so the answer is the same on every machine; what the disk says comes later.
//!
//! The text itself is judged, never what it would clean up to: `tests/x/../a.py` is refused though it
//! would end inside. The rules are numbered from 1 to 22 and the first that matches decides.
//!
//! | rule | what is refused |
//! |---|---|
//! | 1, 4 | nothing, or nothing but white space |
//! | 2, 9, 12 | too long |
//! | 3 | not strict UTF-8 |
//! | 5, 6 | control, invisible, bidirectional and private-use characters |
//! | 7 | a leading `-` or `@` |
//! | 8 | a target that is not of pytest's form (only for [`Syntax::Pytest`]) |
//! | 10, 11 | absolute paths, drives, URLs; what a program may expand |
//! | 13, 14 | `.`, `..` and empty segments |
//! | 15–18 | percent-encoded bytes, look-alikes, `:`, reserved characters |
//! | 19–22 | edges of a segment, device names, short names, protected names |
//!
//! | file | |
//! |---|---|
//! | `character`, `component`, `windows`, `unicode` | the rules, by what they look at |
//! | `pytest` | targets of pytest |
//! | `switches` | relaxations by a policy |
//! | `marks`, `taken` | kinds of characters in a text; names that a file system may take for one another |
//! | `denial` | why a path was refused |

#![forbid(unsafe_code)]

mod character;
mod component;
mod denial;
mod marks;
mod pytest;
mod switches;
mod taken;
mod unicode;
mod windows;

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

pub use denial::{Denial, Finding, shown};
pub use switches::{
    Backslash, Braces, Colon, Dot, Edges, Expansion, Nfc, Percent, ShortNames, Switches, Unicode,
    WindowsNames,
};

use crate::reason::Reason;
use denial::Found;
use marks::Marks;

// Globs are refused for the same characters and the same beginnings as paths.
#[cfg(feature = "run")]
pub(crate) use taken::is_taken_for;
pub use taken::taken_for;
pub(crate) use taken::{SECOND_DOT, joins_what_is_before, parts};
pub(crate) use unicode::{is_composed, is_separator_lookalike, is_text_composed};
pub(crate) use windows::root as root_len;

/// The most bytes an argument may have, parameters of a test included. PATH_MAX of Linux.
pub const MAX_ARGUMENT_BYTES: usize = 4096;

/// The most bytes a path may have. PATH_MAX of macOS, less the final NUL.
pub const MAX_PATH_BYTES: usize = 1023;

/// The most bytes a segment may have. NAME_MAX of all common file systems.
pub const MAX_SEGMENT_BYTES: usize = 255;

/// The most segments a path may have. Deeper trees are not seen in practice, and a bound keeps the
/// matching of a path bounded.
pub const MAX_SEGMENTS: usize = 64;

/// Syntax of an argument's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Syntax {
    /// A path.
    #[default]
    Path,
    /// A target of pytest: a path, and after it optionally `::name::name[parameters]`.
    Pytest,
}

impl Syntax {
    /// The syntax that a policy spells like this.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Syntax> {
        match name {
            "path" => Some(Syntax::Path),
            "pytest" => Some(Syntax::Pytest),
            _ => None,
        }
    }

    /// The syntax as a policy spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Syntax::Path => "path",
            Syntax::Pytest => "pytest",
        }
    }
}

/// Tries the lexical rules on one argument. Allocates only if the argument is refused or its path is
/// not canonical as it stands.
///
/// ```
/// use lictor::path::{Switches, Syntax, lexical};
/// use lictor::reason::Reason;
///
/// let switches = Switches::default();
/// let target = lexical(br"tests\a.py::test_x[1]", Syntax::Pytest, &switches)?;
/// assert_eq!((target.path(), target.suffix()), ("tests/a.py", "::test_x[1]"));
///
/// let denial = lexical(b"tests/%2e%2e/x", Syntax::Path, &switches).unwrap_err();
/// assert_eq!(denial.reason(), Reason::PathEncodedDenied);
/// # Ok::<(), lictor::path::Denial>(())
/// ```
///
/// # Errors
///
/// A denial that lists all rules that match. Where rule 1, 2 or 3 matches there is no text to try
/// the others on, and where a target names no path (rule 8) rules 9 and later are not tried.
pub fn lexical<'a>(
    argument: &'a [u8],
    syntax: Syntax,
    switches: &Switches,
) -> Result<Target<'a>, Denial> {
    let text = readable(argument)?;
    let marks = Marks::of(text);
    let mut found = Found::default();

    character::check_argument(text, marks, switches, &mut found);
    let Some(rest) = component::strip_dot(text, switches) else {
        return finish(
            found,
            Target {
                path: Cow::Borrowed(WORKSPACE),
                suffix: "",
            },
        );
    };
    found.shift = text.len().saturating_sub(rest.len());
    if rest.trim_start().is_empty() {
        found.note(4, Reason::PathEmptyOrNone, 0, rest.len());
    }
    if rest.starts_with(['-', '@']) {
        found.note(7, Reason::PathOptionInjectionDenied, 0, 1);
    }

    let (raw, suffix) = match syntax {
        Syntax::Path => (rest, ""),
        Syntax::Pytest => {
            let split = pytest::split(rest, &mut found);
            (split.path, split.suffix)
        }
    };
    let path = match switches.nfc {
        Nfc::Require => Cow::Borrowed(raw),
        Nfc::Ignore => unicode::nfc(raw),
    };
    if !path.is_empty() {
        check_path(&path, marks, switches, &mut found);
    }
    if matches!(path, Cow::Owned(_)) {
        found.undo_nfc(raw);
    }
    if found.is_empty() {
        Ok(Target {
            path: canonical(path, marks, switches),
            suffix,
        })
    } else {
        finish(
            found,
            Target {
                path: Cow::Borrowed(WORKSPACE),
                suffix: "",
            },
        )
    }
}

fn finish<'a>(found: Found, target: Target<'a>) -> Result<Target<'a>, Denial> {
    match found.into_denial() {
        Some(denial) => Err(denial),
        None => Ok(target),
    }
}

/// Rules 1 to 3.
fn readable(argument: &[u8]) -> Result<&str, Denial> {
    if argument.is_empty() {
        return Err(Denial::only(1, Reason::PathEmptyOrNone, 0, 0));
    }
    if argument.len() > MAX_ARGUMENT_BYTES {
        let over = argument.len().saturating_sub(MAX_ARGUMENT_BYTES);
        return Err(Denial::only(
            2,
            Reason::PathTooLong,
            MAX_ARGUMENT_BYTES,
            over,
        ));
    }
    std::str::from_utf8(argument).map_err(|error| {
        let at = error.valid_up_to();
        let len = error
            .error_len()
            .unwrap_or_else(|| argument.len().saturating_sub(at));
        Denial::only(3, Reason::PathEncodingDenied, at, len)
    })
}

/// Rules 9 to 22, on a path that is not empty.
fn check_path(path: &str, marks: Marks, switches: &Switches, found: &mut Found) {
    if path.len() > MAX_PATH_BYTES {
        let over = path.len().saturating_sub(MAX_PATH_BYTES);
        found.note(9, Reason::PathTooLong, MAX_PATH_BYTES, over);
    }
    // Before the segments: `/etc` splits into an empty first one, and "absolute" tells more.
    if let Some(len) = windows::root(path) {
        found.note(10, Reason::AbsolutePathDenied, 0, len);
    }
    character::check_path(path, marks, switches, found);
    let segments = without_trailing_separator(path, switches);
    // A single segment of white space before the last separator is no path, whatever edges may be. Else
    // rule 19 says it; and of one without a separator it has been said.
    let is_cut = segments.len() < path.len();
    if switches.edges == Edges::Allow && is_cut && segments.trim_start().is_empty() {
        found.note(4, Reason::PathEmptyOrNone, 0, segments.len());
    }
    component::check(segments, marks, switches, found);
}

/// The canonical form of a path that every rule has passed.
fn canonical<'a>(path: Cow<'a, str>, marks: Marks, switches: &Switches) -> Cow<'a, str> {
    let path = match path {
        Cow::Borrowed(text) => Cow::Borrowed(without_trailing_separator(text, switches)),
        Cow::Owned(text) => Cow::Owned(without_trailing_separator(&text, switches).to_owned()),
    };
    // Where `\` is no separator, rule 18 has refused it.
    if marks.has(Marks::BACKSLASH) {
        Cow::Owned(path.replace('\\', "/"))
    } else {
        path
    }
}

/// The path without its last separator, if it has one and more than that.
fn without_trailing_separator<'a>(path: &'a str, switches: &Switches) -> &'a str {
    match path.strip_suffix(separator(switches)) {
        Some(rest) if !rest.is_empty() => rest,
        _ => path,
    }
}

/// The characters that separate segments.
fn separator(switches: &Switches) -> &'static [char] {
    match switches.backslash {
        Backslash::Separator => &['/', '\\'],
        Backslash::Deny => &['/'],
    }
}

/// The canonical form of the workspace itself.
const WORKSPACE: &str = ".";

/// An argument that passed the lexical rules: a canonical path, and what of a pytest target follows
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    // INVARIANT: canonical, as `CanonicalPath` has it.
    path: Cow<'a, str>,
    suffix: &'a str,
}

impl<'a> Target<'a> {
    /// The canonical path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `::names[parameters]` of a pytest target exactly as written, else the empty text.
    #[must_use]
    pub fn suffix(&self) -> &'a str {
        self.suffix
    }

    /// The canonical path, to keep.
    #[must_use]
    pub fn to_canonical(&self) -> CanonicalPath {
        CanonicalPath(self.path.as_ref().into())
    }
}

/// A relative, `/`-separated path without `.`, `..` or empty segments, or `.` for the workspace
/// itself.
///
/// Holding one is the proof that the lexical rules ran: there is no way around them to make one.
///
/// ```
/// use lictor::path::{CanonicalPath, Switches};
///
/// let path = CanonicalPath::parse(br"runtime\tests/", &Switches::default())?;
/// assert_eq!(path.as_str(), "runtime/tests");
/// assert_eq!(path.segments().collect::<Vec<_>>(), ["runtime", "tests"]);
/// assert!(CanonicalPath::parse(b"runtime/../tests", &Switches::default()).is_err());
/// # Ok::<(), lictor::path::Denial>(())
/// ```
///
/// ```compile_fail
/// let forged = lictor::path::CanonicalPath("../x".into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalPath(
    // INVARIANT: `.`, or at most `MAX_SEGMENTS` segments joined by `/`, each one passed by the
    // segment rules under the switches it was parsed with; at most `MAX_PATH_BYTES` bytes.
    Box<str>,
);

impl CanonicalPath {
    /// The canonical form of a path.
    ///
    /// # Errors
    ///
    /// A denial that lists all rules that match.
    pub fn parse(text: &[u8], switches: &Switches) -> Result<CanonicalPath, Denial> {
        lexical(text, Syntax::Path, switches).map(|target| target.to_canonical())
    }

    /// The workspace itself, `.`.
    #[must_use]
    pub fn workspace() -> CanonicalPath {
        CanonicalPath(WORKSPACE.into())
    }

    /// Returns true if this is the workspace itself.
    #[must_use]
    pub fn is_workspace(&self) -> bool {
        self.as_str() == WORKSPACE
    }

    /// The text that is matched and recorded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from left to right; none for the workspace.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        let text = if self.is_workspace() {
            ""
        } else {
            self.as_str()
        };
        text.split('/').filter(|segment| !segment.is_empty())
    }

    /// The last segment; none for the workspace.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.segments().next_back()
    }

    /// The directory that the path is in; none for the workspace.
    #[must_use]
    pub fn parent(&self) -> Option<CanonicalPath> {
        if self.is_workspace() {
            return None;
        }
        let parent = self
            .as_str()
            .rsplit_once('/')
            .map_or(WORKSPACE, |(parent, _)| parent);
        Some(CanonicalPath(parent.into()))
    }

    /// The path that `below` is when it starts from this one. The workspace joins to `below`, and
    /// `.` below anything is the same path.
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    ///
    /// let switches = Switches::default();
    /// let base = CanonicalPath::parse(b"runtime", &switches)?;
    /// let file = CanonicalPath::parse(b"tests/a.py", &switches)?;
    /// let joined = base.join(&file)?;
    /// assert_eq!(joined.as_str(), "runtime/tests/a.py");
    /// assert_eq!(joined.strip_prefix(&base), Some(file));
    /// assert_eq!(base.join(&CanonicalPath::workspace())?, base);
    /// # Ok::<(), lictor::path::Denial>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A denial by rule 9 or 12 if the joined path is too long. Its offset counts in the joined text.
    pub fn join(&self, below: &CanonicalPath) -> Result<CanonicalPath, Denial> {
        if self.is_workspace() {
            return Ok(below.clone());
        }
        if below.is_workspace() {
            return Ok(self.clone());
        }
        let joined = format!("{}/{}", self.as_str(), below.as_str());
        if joined.len() > MAX_PATH_BYTES {
            let over = joined.len().saturating_sub(MAX_PATH_BYTES);
            return Err(Denial::only(9, Reason::PathTooLong, MAX_PATH_BYTES, over));
        }
        if joined.split('/').nth(MAX_SEGMENTS).is_some() {
            return Err(Denial::only(12, Reason::PathTooLong, joined.len(), 0));
        }
        Ok(CanonicalPath(joined.into()))
    }

    /// The deepest path that this and another are, or lie below.
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    ///
    /// let path = |text: &str| CanonicalPath::parse(text.as_bytes(), &Switches::default()).unwrap();
    /// assert_eq!(path("src/ui/a.ts").shared_with(&path("src/lib.rs")).as_str(), "src");
    /// assert!(path("src").shared_with(&path("docs")).is_workspace());
    /// ```
    #[must_use]
    pub fn shared_with(&self, other: &CanonicalPath) -> CanonicalPath {
        let mut shared = self.clone();
        while other.strip_prefix(&shared).is_none() {
            shared = shared.parent().unwrap_or_else(CanonicalPath::workspace);
        }
        shared
    }

    /// The rest of the path below `base`: `.` if it is `base` itself, nothing if it is not below.
    ///
    /// The rest may begin with `-`, which no argument may; [`CanonicalPath::to_argument`] spells it so that
    /// no program takes it for an option.
    #[must_use]
    pub fn strip_prefix(&self, base: &CanonicalPath) -> Option<CanonicalPath> {
        if base.is_workspace() {
            return Some(self.clone());
        }
        match self.as_str().strip_prefix(base.as_str())? {
            "" => Some(CanonicalPath::workspace()),
            rest => rest
                .strip_prefix('/')
                .map(|rest| CanonicalPath(rest.into())),
        }
    }

    /// The path as a program is given it: as it is if it begins with a letter, a digit, `.` or `_`, else
    /// with `./` before it. Programs read other beginnings as options, argument files, homes, drives,
    /// operators (`find`) and keys (`sort`).
    ///
    /// ```
    /// use lictor::path::{CanonicalPath, Switches};
    ///
    /// let switches = Switches::default();
    /// let base = CanonicalPath::parse(b"tests", &switches)?;
    /// let odd = CanonicalPath::parse(b"tests/-rf", &switches)?.strip_prefix(&base).unwrap();
    /// assert_eq!((odd.as_str(), &*odd.to_argument()), ("-rf", "./-rf"));
    /// assert_eq!(CanonicalPath::parse(b"!", &switches)?.to_argument(), "./!");
    /// assert_eq!(base.to_argument(), "tests");
    /// # Ok::<(), lictor::path::Denial>(())
    /// ```
    #[must_use]
    pub fn to_argument(&self) -> Cow<'_, str> {
        let text = self.as_str();
        let is_plain = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_'));
        if is_plain && windows::root(text).is_none() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(format!("./{text}"))
        }
    }
}

/// As it is: a canonical path holds no control character and nothing invisible by default.
impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<[u8]> for CanonicalPath {
    fn as_ref(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl AsRef<str> for CanonicalPath {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for CanonicalPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text.as_bytes(), &Switches::default()).unwrap()
    }

    #[test]
    fn a_canonical_argument_is_not_copied() {
        for text in ["runtime/tests/a.py", "runtime/tests/", "café/x"] {
            let target = lexical(text.as_bytes(), Syntax::Path, &Switches::default()).unwrap();
            assert!(matches!(target.path, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn joining_counts_bytes_and_segments_again() {
        let long = path(&["a".repeat(255), "b".repeat(255)].join("/"));
        let longer = long.join(&long).unwrap();
        assert_eq!(longer.as_str().len(), 1023);
        assert_eq!(longer.join(&path("x")).unwrap_err().first().rule, 9);

        let deep = path(&vec!["a"; 63].join("/"));
        let deepest = deep.join(&path("a")).unwrap();
        assert_eq!(deepest.segments().count(), MAX_SEGMENTS);
        assert_eq!(deepest.join(&path("a")).unwrap_err().first().rule, 12);
    }

    #[test]
    fn a_prefix_is_a_prefix_by_segment() {
        let base = path("runtime/tests");
        assert_eq!(path("runtime/tests_evil/a").strip_prefix(&base), None);
        assert_eq!(path("runtime").strip_prefix(&base), None);
        assert_eq!(base.strip_prefix(&base), Some(CanonicalPath::workspace()));
        assert_eq!(
            base.strip_prefix(&CanonicalPath::workspace()),
            Some(base.clone())
        );
        assert_eq!(CanonicalPath::workspace().strip_prefix(&base), None);
    }

    #[test]
    fn the_workspace_has_no_segments_and_no_parent() {
        let workspace = CanonicalPath::workspace();
        assert_eq!(workspace.segments().count(), 0);
        assert_eq!(workspace.parent(), None);
        assert_eq!(path("a").parent(), Some(workspace));
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a/b").name(), Some("b"));
    }

    #[test]
    fn with_nfc_ignored_offsets_count_in_the_argument() {
        let switches = Switches {
            nfc: Nfc::Ignore,
            ..Switches::default()
        };
        let target = lexical("cafe\u{301}/x".as_bytes(), Syntax::Path, &switches).unwrap();
        assert_eq!(target.path(), "caf\u{e9}/x");
        // The kelvin sign becomes `K`, and the rules see it.
        let text = "a/cloc\u{212A}$";
        let denial = lexical(text.as_bytes(), Syntax::Path, &switches).unwrap_err();
        assert_eq!(denial.reason(), Reason::PathDeviceNameDenied);
        let text = "e\u{301}/x:y";
        let denial = lexical(text.as_bytes(), Syntax::Path, &switches).unwrap_err();
        assert_eq!((denial.first().offset, denial.first().len), (5, 1));
    }

    #[test]
    fn after_a_stripped_dot_the_rest_is_read_as_if_written_alone() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, (u8, usize)>) {
            let got = lexical(text.as_bytes(), Syntax::Path, &Switches::default());
            let got = got
                .as_ref()
                .map(Target::path)
                .map_err(|d| (d.first().rule, d.first().offset));
            assert_eq!(got, expected, "{text:?}");
        }
        check(".", Ok("."));
        check("./", Ok("."));
        check("./tests/", Ok("tests"));
        check("./-x", Err((7, 2)));
        check(".//etc", Err((10, 2)));
        check("./C:x", Err((10, 2)));
        check("./~", Err((11, 2)));
        check("././a", Err((13, 2)));
        check("./..", Err((13, 2)));
        check("./ ", Err((4, 2)));
        check("a/.", Err((13, 2)));
    }

    #[test]
    fn where_edges_may_be_white_space_a_path_still_holds_more() {
        #[track_caller]
        fn check(text: &str, syntax: Syntax, expected: Result<&str, u8>) {
            let switches = Switches {
                edges: Edges::Allow,
                ..Switches::default()
            };
            let got = lexical(text.as_bytes(), syntax, &switches);
            let got = got.as_ref().map(Target::path);
            assert_eq!(got.map_err(|d| d.first().rule), expected, "{text:?}");
        }
        check(" /", Syntax::Path, Err(4));
        check("./ /", Syntax::Path, Err(4));
        check("\u{3000}::test", Syntax::Pytest, Err(8));
        check(" / ", Syntax::Path, Ok(" / "));
        check(" a/", Syntax::Path, Ok(" a"));
    }
}
