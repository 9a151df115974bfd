//! Refusals: a person was asked, and said no to exactly one request, for a time.
//!
//! A refusal is made and taken back by `grant` entries, as a grant is. Until it ends, the request is denied
//! with its reason. Its text is short JSON, and counts only as lictor writes it.
//!
//! ```text
//! {… "type":"grant","grant":"r-1","change":"refused","until":"2026-11-23T15:00:00.000000Z","why":"…", …}
//! {… "type":"grant","grant":"r-1","change":"revoked", …}
//! ```

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerError};
use crate::decision::ExactRequest;
use crate::decision::grant::{MAX_GRANT_BYTES, MAX_WHY_BYTES, OneWorkspace, Who};
use crate::log::decode::Line;
use crate::log::{Draft, Kind};
use crate::resolve::user_id;
use crate::text::escaped_json;

/// The most refusals that are kept in view. Those that are over go first.
const MAX_REFUSALS: usize = 10_000;

/// Text of a refusal, as values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RefusalTerms {
    /// The version of this form: 1.
    pub lictor_refusal: u32,
    /// Its name.
    pub id: String,
    /// Where it counts.
    pub workspace: OneWorkspace,
    /// The request, without its spelling.
    pub request: ExactRequest,
    /// Who may not have it.
    pub actor: String,
    /// Who refused it.
    pub who: Who,
    /// Why.
    pub why: String,
    /// When: RFC 3339 with microseconds and `Z`.
    pub made: String,
    /// Until when it counts, in the same form.
    pub until: String,
}

impl RefusalTerms {
    /// Nothing but this form, byte for byte, is a refusal.
    fn parse(text: &str) -> Option<RefusalTerms> {
        let terms: RefusalTerms = serde_json::from_str(text).ok()?;
        (terms.lictor_refusal == 1 && terms.to_text() == text).then_some(terms)
    }

    /// The text that is recorded.
    #[must_use]
    pub fn to_text(&self) -> String {
        escaped_json(&serde_json::to_string_pretty(self).unwrap_or_default()) + "\n"
    }
}

/// One refusal as the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refusal {
    /// Its name.
    pub id: String,
    /// The entry that made it.
    pub seq: u64,
    /// Until when it counts, as in `ts`.
    pub until: String,
    /// Somebody took it back.
    pub revoked: bool,
    /// Its text.
    pub body: String,
}

impl Refusal {
    /// Returns true if it counts at the time `ts`.
    #[must_use]
    pub fn counts_at(&self, ts: &str) -> bool {
        !self.revoked && ts <= self.until.as_str()
    }

    /// Its contents; none if they cannot be read, or are about another refusal.
    #[must_use]
    pub fn read(&self) -> Option<RefusalTerms> {
        let terms = RefusalTerms::parse(&self.body)?;
        (terms.id == self.id && terms.until == self.until).then_some(terms)
    }
}

/// All refusals of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusals(BTreeMap<String, Refusal>);

/// The fields of an entry that are looked at.
#[derive(Deserialize)]
struct Written {
    grant: String,
    change: String,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    body: Option<String>,
}

impl Refusals {
    /// Takes note of a line.
    pub(super) fn see(&mut self, line: &Line<'_>) {
        if line.kind != Kind::Grant {
            return;
        }
        let Ok(written) = serde_json::from_str::<Written>(line.text()) else {
            return;
        };
        match (written.change.as_str(), written.until, written.body) {
            ("refused", Some(until), Some(body)) => {
                if self.0.len() >= MAX_REFUSALS {
                    self.0.retain(|_, known| known.counts_at(line.ts));
                }
                if self.0.len() < MAX_REFUSALS {
                    let id = written.grant.clone();
                    self.0.entry(written.grant).or_insert_with(|| Refusal {
                        id,
                        seq: line.seq,
                        until,
                        revoked: false,
                        body,
                    });
                }
            }
            ("revoked", _, _) => {
                if let Some(refusal) = self.0.get_mut(&written.grant) {
                    refusal.revoked = true;
                }
            }
            _ => {}
        }
    }

    /// All of them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.values()
    }
}

impl Ledger {
    /// Records a refusal.
    ///
    /// # Errors
    ///
    /// It is not on disk, or could not be read back from there as it is.
    pub fn make_refusal(&self, terms: &RefusalTerms) -> Result<u64, LedgerError> {
        let unfit = |why: &'static str| LedgerError::GrantUnfit { why };
        let body = terms.to_text();
        if terms.why.trim().is_empty() || terms.why.len() > MAX_WHY_BYTES {
            return Err(unfit("its reason is a text of at most 1000 bytes"));
        }
        if body.len() > MAX_GRANT_BYTES || RefusalTerms::parse(&body).as_ref() != Some(terms) {
            return Err(unfit("its text is longer than it may be (8 KiB)"));
        }
        if self.redactor.holds_secret(body.as_bytes()) {
            return Err(unfit(
                "it holds what looks like a secret and would be recorded without it",
            ));
        }
        let draft = Draft::new(Kind::Grant)
            .with("grant", terms.id.as_str())
            .with("change", "refused")
            .with("until", terms.until.as_str())
            .with("who", terms.who.to_string())
            .with("user", user_id())
            .with("why", terms.why.as_str())
            .with("body", body);
        Ok(self.commit_last(vec![draft])?.start)
    }
}
