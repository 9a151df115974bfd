//! Extent of one approval: exactly one request, or all requests of a kind.
//!
//! An [`Extent`] is what a wider grant says of itself. It says which requests are of the kind, by the arguments that they
//! have and the paths that they name, and which rules' asking it answers. It answers no other rule, so that a grant never
//! reaches what another rule asks about, and denies count as they do without it.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Context, Exact, ExactValue};
use crate::path::{CanonicalPath, Switches};
use crate::policy::glob::{Case, Pattern};

/// The most patterns that an extent may hold of one kind for one argument: more than anybody reads.
pub const MAX_PATTERNS: usize = 32;

/// Width of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "every front end shows these three")]
pub enum Width {
    /// Exactly one request.
    Exact,
    /// One command on some or all of its paths, in any order, and on what lies below directories among them.
    Paths,
    /// One action, with any arguments that it takes, below the directory.
    Below,
}

impl Width {
    /// All of them, from the narrowest.
    pub const ALL: [Width; 3] = [Width::Exact, Width::Paths, Width::Below];

    /// The width of this word or number.
    #[must_use]
    pub fn named(text: &str) -> Option<Width> {
        let named = |width: &Width| width.word() == text || width.number().to_string() == text;
        Width::ALL.into_iter().find(named)
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Width::Exact => "exact",
            Width::Paths => "paths",
            Width::Below => "below",
        }
    }

    /// Its number, where they are listed for a person.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Width::Exact => 1,
            Width::Paths => 2,
            Width::Below => 3,
        }
    }
}

/// All requests of a kind: what a wider grant is for.
///
/// ```
/// use lictor::decision::extent::Extent;
/// use lictor::decision::{Context, Request, decide};
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: asks
/// use: lictor/files@1
/// scopes: {src: \"src/**\"}
/// approvals: {person: {grant: true}}
/// rules:
///   - {id: write, allow: filesystem.write_file, within: src, approval: person}
/// ",
/// )?;
/// let extent: Extent = serde_json::from_str(
///     r#"{
///       "rules": ["write"],
///       "tool": "filesystem",
///       "action": "write_file",
///       "args": "any",
///       "cwd": ".",
///       "paths": {"path": {"within": ["src/ui/**"], "except": ["src/ui/keys/**"]}}
///     }"#,
/// )?;
/// let covers = |path| {
///     let request = Request::named("filesystem", "write_file").with_arg("path", path);
///     extent.covers(decide(&policy, &request, &Context::new("agent")).exact().unwrap())
/// };
/// assert!(covers("src/ui/page.ts"));
/// assert!(!covers("src/ui/keys/a") && !covers("src/ui/KEYS/a") && !covers("src/lib.rs"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Extent {
    /// The rules whose approval it gives.
    pub rules: Vec<String>,
    /// The tool.
    pub tool: String,
    /// The action of the tool.
    pub action: String,
    /// The arguments that are no paths.
    pub args: ExtentArgs,
    /// The directory that the request starts in, from the workspace.
    pub cwd: String,
    /// The arguments that are paths, each with the paths that it may have. No other one may be given or implied.
    pub paths: BTreeMap<String, Places>,
}

/// The arguments of the requests of a kind that are no paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "they are bound or they are not")]
pub enum ExtentArgs {
    /// Whatever the action takes: `"any"`.
    Any,
    /// These and no others.
    #[serde(untagged)]
    These(BTreeMap<String, Vec<ExactValue>>),
}

/// The paths of one argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Places {
    /// Patterns of which one matches, byte by byte; `.` is the workspace itself.
    pub within: Vec<String>,
    /// Patterns of which none does, names compared as a deny compares them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

impl Places {
    /// Paths that `within` matches, without those that `except` does.
    #[must_use]
    pub fn new(within: Vec<String>, except: Vec<String>) -> Places {
        Places { within, except }
    }

    /// Returns true if the path is one of them.
    #[must_use]
    pub fn hold(&self, path: impl AsRef<[u8]>) -> bool {
        self.read()
            .is_some_and(|places| places.hold(path.as_ref()) == Some(true))
    }

    /// The patterns read, for many paths; none if one of them is no pattern.
    pub(crate) fn read(&self) -> Option<ReadPlaces> {
        Some(ReadPlaces {
            within: self.inside()?,
            except: self.outside()?,
        })
    }

    /// The patterns of `within`; none if one of them is no pattern.
    fn inside(&self) -> Option<Vec<Pattern>> {
        self.within.iter().map(|text| pattern(text)).collect()
    }

    /// The patterns of `except`; none if one of them is no pattern.
    fn outside(&self) -> Option<Vec<Pattern>> {
        self.except.iter().map(|text| pattern(text)).collect()
    }
}

/// Places whose patterns are read.
#[derive(Clone, Debug)]
pub(crate) struct ReadPlaces {
    within: Vec<Pattern>,
    except: Vec<Pattern>,
}

impl ReadPlaces {
    /// Returns if the path is one of them; none if it is not even within them.
    pub(crate) fn hold(&self, path: &[u8]) -> Option<bool> {
        let is_within = self.within.iter().any(|pattern| pattern.matches(path));
        let is_out = |pattern: &Pattern| pattern.matches_in(path, Case::Folded);
        is_within.then(|| !self.except.iter().any(is_out))
    }

    /// The patterns that they are within.
    #[cfg(feature = "run")]
    pub(crate) fn within(&self) -> &[Pattern] {
        &self.within
    }
}

fn pattern(text: &str) -> Option<Pattern> {
    match text {
        "." => Some(Pattern::exactly(&CanonicalPath::workspace())),
        text => Pattern::parse(text).ok(),
    }
}

impl Extent {
    /// Returns true if a request is of this kind. The rules still decide it.
    #[must_use]
    pub fn covers(&self, exact: &Exact) -> bool {
        let request = exact.request();
        let is_alike = match &self.args {
            ExtentArgs::Any => true,
            ExtentArgs::These(args) => args == exact.others(),
        };
        let is_inside = |path: &super::ExactPath| {
            let places = self.paths.get(&path.argument);
            places.is_some_and(|places| places.hold(path.path.as_str()))
        };
        is_alike
            && (&request.tool, &request.action, &request.cwd)
                == (&self.tool, &self.action, &self.cwd)
            && !exact.paths().is_empty()
            && exact.paths().iter().all(is_inside)
    }

    /// Its width.
    #[must_use]
    pub fn width(&self) -> Width {
        match self.args {
            ExtentArgs::Any => Width::Below,
            ExtentArgs::These(_) => Width::Paths,
        }
    }

    /// The context in which an approval is given to its rules, as far as its paths go.
    #[must_use]
    pub fn grant(&self, approval: &str, context: Context) -> Context {
        let mut within = Vec::new();
        for places in self.paths.values() {
            let Some(patterns) = places.inside() else {
                return context;
            };
            within.extend(patterns);
        }
        let cwd = match self.cwd.as_str() {
            "." => CanonicalPath::workspace(),
            cwd => match CanonicalPath::parse(cwd.as_bytes(), &Switches::default()) {
                Ok(cwd) => cwd,
                Err(_) => return context,
            },
        };
        within.push(Pattern::exactly(&cwd));
        self.rules.iter().fold(context, |context, rule| {
            context.with_rule_approval(approval, rule, within.clone())
        })
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let few = |patterns: &[String]| patterns.len() <= MAX_PATTERNS;
        let is_read = |places: &Places| {
            !places.within.is_empty()
                && few(&places.within)
                && few(&places.except)
                && places.inside().is_some()
                && places.outside().is_some()
        };
        if self.rules.is_empty() || self.paths.is_empty() {
            return Err("an `extent` names rules, and paths of some argument");
        }
        if !self.paths.values().all(is_read) {
            return Err("`paths` of an `extent` are patterns, 32 for an argument at most");
        }
        Ok(())
    }
}
