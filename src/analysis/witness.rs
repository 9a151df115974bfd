//! A path that was computed -> a whole request that the real decision judges as was computed.

#![forbid(unsafe_code)]

use serde_json::json;

use crate::decision::{Context, Decision, Request};

/// A request that shows something, what is given with it, and what was decided.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Witness {
    /// The request; it names its actor.
    pub request: Request,
    /// What is granted, and what time it is.
    pub context: Context,
    /// The argument whose path shows it; none if the action takes no path.
    pub argument: Option<String>,
    /// That path, in canonical form.
    pub path: Option<String>,
    /// The decision.
    pub decision: Decision,
}

impl Witness {
    /// The request as `check --batch` reads it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!(null)
    }
}
