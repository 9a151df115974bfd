//! Questions in a ledger: requests that were answered with `ask`, as they can be decided again.

#![forbid(unsafe_code)]

use crate::decision::{Context, Request};
use crate::log::Kind;
use crate::log::read::Entry;

use super::replay;

/// The most questions that are kept in view, the last ones.
const MAX_ASKS: usize = 10_000;

/// One request that was answered with `ask`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedAsk {
    /// Its name: the run of its decision.
    pub id: String,
    /// Its entry.
    pub seq: u64,
    /// When it was asked.
    pub ts: String,
    /// Who asked.
    pub actor: String,
    /// Message that the asker got.
    pub message: String,
    /// The request; none if the record does not say, because it was redacted or cut.
    pub asked: Option<(Request, Context)>,
}

/// The questions among the entries of a ledger.
#[derive(Clone, Debug, Default)]
pub struct Asks {
    asks: Vec<RecordedAsk>,
}

impl Asks {
    /// Takes in the next entry.
    pub fn add(&mut self, entry: &Entry) {
        let (Kind::Decision, Some(run)) = (entry.kind, entry.run) else {
            return;
        };
        let value = entry.value();
        let text = |name: &str| value.get(name).and_then(|field| field.as_str());
        // A call of several parts is asked about by them.
        let has_parts = value
            .get("call")
            .is_some_and(|call| call.get("parts").is_some());
        if text("effect") != Some("ask") || has_parts {
            return;
        }
        if self.asks.len() >= MAX_ASKS {
            self.asks.remove(0);
        }
        self.asks.push(RecordedAsk {
            id: run.to_string(),
            seq: entry.seq,
            ts: entry.ts.clone(),
            actor: text("actor").unwrap_or_default().to_owned(),
            message: text("message").unwrap_or_default().to_owned(),
            asked: replay::asked(&value, &entry.ts),
        });
    }

    /// All of them, in the order in which they were asked.
    #[must_use]
    pub fn all(&self) -> &[RecordedAsk] {
        &self.asks
    }
}
