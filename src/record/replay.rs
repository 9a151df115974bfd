//! The requests that a ledger holds, as they can be decided again.

#![forbid(unsafe_code)]

use std::path::Path;

use serde_json::Value as Json;

use super::REDACTED_KEY;
use crate::decision::{Context, Request};
use crate::log::Kind;
use crate::log::read::{Filter, show};

/// One recorded decision.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// Its place in the ledger, from 0.
    pub seq: u64,
    /// When it was decided.
    pub ts: String,
    /// The whole entry.
    pub value: Json,
    /// The request; none if the record does not say, because it was redacted or cut.
    pub asked: Option<(Request, Context)>,
}

/// The decisions about requests in the ledger in `directory`, in order, also those that nobody was held to.
///
/// # Errors
/// There is no ledger, it cannot be read, or a line of it is damaged.
pub fn decisions(
    directory: &Path,
) -> Result<impl Iterator<Item = Result<Recorded, String>>, String> {
    let name = directory.display().to_string().escape_debug().to_string();
    let failed =
        move |why: &dyn std::fmt::Display| format!("ledger `{name}` cannot be read: {why}");
    let entries = show(directory, Filter::default()).map_err(|error| failed(&error))?;
    let entries = entries.ok_or_else(|| failed(&"there is none"))?;
    Ok(entries.filter_map(move |shown| {
        let shown = match shown {
            Ok(shown) => shown,
            Err(error) => return Some(Err(failed(&error))),
        };
        let Ok(entry) = shown.entry else {
            return Some(Err(failed(&format!(
                "line {} of {} is damaged; `lictor ledger verify` tells more",
                shown.line, shown.segment
            ))));
        };
        if !matches!(entry.kind, Kind::Decision | Kind::Observed) {
            return None;
        }
        let value = entry.value();
        // The end of a call decides nothing, and a call of several parts is decided by them.
        let is_whole = value
            .get("call")
            .and_then(|call| call.get("parts"))
            .is_some();
        (!is_whole && value.get("effect").is_some()).then(|| {
            Ok(Recorded {
                seq: entry.seq,
                asked: asked(&value, &entry.ts),
                ts: entry.ts,
                value,
            })
        })
    }))
}

/// The request of a recorded decision, with what was granted and the time.
pub(super) fn asked(entry: &Json, ts: &str) -> Option<(Request, Context)> {
    let asked = entry.get("request")?.as_object()?;
    let mut request = serde_json::Map::new();
    match asked.get("argv").filter(|argv| argv.is_array()) {
        Some(argv) => {
            request.insert("argv".to_owned(), argv.clone());
        }
        None => {
            for key in ["tool", "action", "args"] {
                request.insert(key.to_owned(), asked.get(key)?.clone());
            }
        }
    }
    request.insert("actor".to_owned(), asked.get("actor")?.clone());
    let findings = entry.get("findings").and_then(Json::as_array);
    let cwd = findings.into_iter().flatten().find(|finding| {
        finding
            .get("arg")
            .is_some_and(|name| name == crate::decision::paths::CWD)
    });
    if let Some(cwd) = cwd.and_then(|finding| finding.get("path")) {
        request.insert("cwd".to_owned(), cwd.clone());
    }
    let text = Json::Object(request).to_string();
    // What was redacted or cut is an object that no request holds, or the name of an argument.
    let (_, request) = Request::from_json(&text).ok()?;
    let is_redacted = |name: &str| name.starts_with(REDACTED_KEY);
    let mut names = request.parts().into_iter().flat_map(|(_, _, args)| args);
    if names.any(|(name, _)| is_redacted(name)) {
        return None;
    }
    let mut context = Context::new(request.actor().unwrap_or_default());
    for name in entry
        .get("granted")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        context = context.with_approval(name.as_str()?);
    }
    Some((request, context.with_time(ts.parse().ok()?)))
}
