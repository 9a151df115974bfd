//! A request without its spelling: what an approval of exactly this request is bound to.
//!
//! Two requests are the same if every argument has the same checked values and both start in the same
//! directory; in which order and by which names options were written does not matter.

#![forbid(unsafe_code)]

use serde_json::{Map, Value as Json, json};

use super::call::{Call, Given, argument};
use super::paths::Paths;
use crate::path::CanonicalPath;
use crate::policy::model::{Action, ArgumentKind, Tool};

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
    json: Json,
    pinned: Vec<(String, CanonicalPath)>,
}

impl Exact {
    pub(super) fn new(tool: &Tool, action: &Action, call: &Call, paths: &Paths) -> Exact {
        let mut rendered = paths.decided.iter().filter(|path| path.is_given);
        let mut args: Map<String, Json> = Map::new();
        let mut pinned = Vec::new();
        for (slot, given) in &call.given {
            let Some(argument) = argument(tool, action, *slot) else {
                continue;
            };
            let value = match given {
                Given::Flag => Json::from(true),
                Given::Text(text) => Json::from(text.as_str()),
                Given::Bare | Given::NoPath => Json::Null,
                Given::Path(_) => {
                    let path = rendered.next();
                    if let (ArgumentKind::Path(kind), Some(path)) = (&argument.kind, path)
                        && kind.pin
                    {
                        pinned.push((argument.name.clone(), path.canonical.clone()));
                    }
                    Json::from(path.map(|path| path.rendered.as_str()))
                }
            };
            match args.get_mut(&argument.name) {
                Some(Json::Array(values)) => values.push(value),
                _ => {
                    args.insert(argument.name.clone(), json!([value]));
                }
            }
        }
        Exact {
            json: json!({
                "tool": tool.name,
                "action": action.name,
                "args": args,
                "cwd": paths.cwd.as_str(),
            }),
            pinned,
        }
    }

    /// Tool, action, arguments and the directory it starts in. Equal for equal requests only.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.json.clone()
    }

    /// The files whose bytes an approval binds to, each with its argument.
    #[must_use]
    pub fn pinned(&self) -> &[(String, CanonicalPath)] {
        &self.pinned
    }

    pub(super) fn is(&self, json: &Json) -> bool {
        self.json == *json
    }
}
