//! A request without its spelling: what an approval of exactly this request is bound to.
//!
//! Two requests are the same if every argument has the same checked values and both start in the same
//! directory; in which order and by which names options were written does not matter.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::call::{Call, Given, argument};
use super::paths::{CWD, Paths};
use crate::path::CanonicalPath;
use crate::policy::model::{Action, ArgumentKind, Tool, Tree};

/// A request without its spelling.
///
/// ```
/// use lictor::decision::{Context, Request, decide};
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: example
/// use: lictor/pytest@1
/// scopes: {tests: \"tests/**\"}
/// rules:
///   - {id: run-tests, allow: pytest.run, within: tests}
/// ",
/// )?;
/// let exact = |request| {
///     decide(&policy, &request, &Context::new("ci")).exact().unwrap().to_json()
/// };
/// let argv = exact(Request::argv(["pytest", "-v", "tests/a.py"]));
/// assert_eq!(argv, exact(Request::argv(["pytest", "tests/a.py", "--verbose"])));
/// assert_ne!(argv, exact(Request::argv(["pytest", "tests/a.py"])));
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exact {
    request: ExactRequest,
    pinned: Vec<(String, CanonicalPath)>,
    /// The values given besides paths.
    others: BTreeMap<String, Vec<ExactValue>>,
    paths: Vec<ExactPath>,
}

/// A path that a request is about, given or implied by an argument that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExactPath {
    /// The argument.
    pub argument: String,
    /// The path, from the workspace.
    pub path: CanonicalPath,
    /// It stands for everything below it as well.
    pub is_tree: bool,
    /// Other paths start from it.
    pub is_base: bool,
}

/// Tool, action, arguments and the directory it starts in, as a grant names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExactRequest {
    /// The tool.
    pub tool: String,
    /// The action of the tool.
    pub action: String,
    /// The values of each argument that is given, in their order.
    pub args: BTreeMap<String, Vec<ExactValue>>,
    /// The directory, from the workspace.
    pub cwd: String,
}

/// One value of an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ExactValue {
    /// A flag that is given: `true`.
    Flag(bool),
    /// A text, a number, or a path as it is handed to the program.
    Text(String),
    /// An option without the value that it may have: `null`.
    Bare,
}

impl Exact {
    pub(super) fn new(tool: &Tool, action: &Action, call: &Call, paths: &Paths) -> Exact {
        let mut rendered = paths.decided.iter().filter(|path| path.is_given);
        let mut args: BTreeMap<String, Vec<ExactValue>> = BTreeMap::new();
        let mut others: BTreeMap<String, Vec<ExactValue>> = BTreeMap::new();
        let mut pinned = Vec::new();
        for (slot, given) in &call.given {
            let Some(argument) = argument(tool, action, *slot) else {
                continue;
            };
            let value = match given {
                Given::Flag => ExactValue::Flag(true),
                Given::Text(text) => ExactValue::Text(text.clone()),
                Given::Bare | Given::NoPath => ExactValue::Bare,
                Given::Path(_) => {
                    let path = rendered.next();
                    if let (ArgumentKind::Path(kind), Some(path)) = (&argument.kind, path)
                        && kind.pin
                    {
                        pinned.push((argument.name.clone(), path.canonical.clone()));
                    }
                    path.map_or(ExactValue::Bare, |path| {
                        ExactValue::Text(path.rendered.clone())
                    })
                }
            };
            if !matches!(given, Given::Path(_)) {
                let values = others.entry(argument.name.clone()).or_default();
                values.push(value.clone());
            }
            args.entry(argument.name.clone()).or_default().push(value);
        }
        let is_base = |name: &str| {
            let mut arguments = tool.arguments(action);
            arguments.any(|argument| {
                let is_base = matches!(&argument.kind, ArgumentKind::Path(kind) if kind.base);
                is_base && argument.name == name
            })
        };
        let named = paths.decided.iter().filter(|path| path.argument != CWD);
        Exact {
            request: ExactRequest {
                tool: tool.name.clone(),
                action: action.name.clone(),
                args,
                cwd: paths.cwd.as_str().to_owned(),
            },
            pinned,
            others,
            paths: named
                .map(|path| ExactPath {
                    argument: path.argument.clone(),
                    path: path.canonical.clone(),
                    is_tree: path.tree != Tree::Names,
                    is_base: is_base(&path.argument),
                })
                .collect(),
        }
    }

    /// Equal for equal requests only.
    #[must_use]
    pub fn request(&self) -> &ExactRequest {
        &self.request
    }

    /// The request as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        serde_json::to_value(&self.request).unwrap_or_default()
    }

    /// The arguments that are given and are no paths.
    #[must_use]
    pub fn others(&self) -> &BTreeMap<String, Vec<ExactValue>> {
        &self.others
    }

    /// The paths that it is about, without the directory that it starts in.
    #[must_use]
    pub fn paths(&self) -> &[ExactPath] {
        &self.paths
    }

    /// The files whose bytes an approval binds to, each with its argument.
    #[must_use]
    pub fn pinned(&self) -> &[(String, CanonicalPath)] {
        &self.pinned
    }
}
