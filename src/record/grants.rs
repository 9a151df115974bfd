//! Grants: approvals that people gave, for how often and until when.
//!
//! A grant is made and revoked by `grant` entries; the decision that uses one names it, and that line is
//! the spending. What is left of a grant is therefore always counted from the ledger itself, under the
//! lock, so that two processes cannot spend the same use.
//!
//! ```text
//! {… "type":"grant","grant":"g-1","change":"made","uses":1,"until":"2026-11-22T23:00:00.000000Z", …}
//! {… "type":"decision", …,"grants":["g-1"], …}
//! {… "type":"grant","grant":"g-1","change":"revoked", …}
//! ```

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::log::Kind;
use crate::log::decode::{Decoder, Line};
use crate::log::read::raw_lines;

/// The most grants that are kept in view. Those that are over go first.
const MAX_GRANTS: usize = 10_000;

/// One grant as the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// Its name.
    pub id: String,
    /// Largest number of uses; `None` if there is no bound.
    pub uses: Option<u64>,
    /// Number of uses so far.
    pub spent: u64,
    /// Until when it counts, as in `ts`; `None` if there is no end.
    pub until: Option<String>,
    /// Somebody took it back.
    pub revoked: bool,
    /// The `grant` entry that made it, one line of JSON.
    pub entry: String,
}

impl Grant {
    /// Returns true if it can be used at the time `ts`.
    #[must_use]
    pub fn counts_at(&self, ts: &str) -> bool {
        !self.revoked
            && self.left() != Some(0)
            && self.until.as_deref().is_none_or(|until| ts <= until)
    }

    /// Number of uses that are left; `None` if there is no bound.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.uses.map(|uses| uses.saturating_sub(self.spent))
    }
}

/// All grants of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grants(BTreeMap<String, Grant>);

/// The fields of a `grant` entry that are looked at.
#[derive(Deserialize)]
struct GrantBody {
    grant: String,
    change: String,
    #[serde(default)]
    uses: Option<u64>,
    #[serde(default)]
    until: Option<String>,
}

impl Grants {
    /// Takes note of a line.
    pub(super) fn see(&mut self, line: &Line<'_>) {
        match line.kind {
            Kind::Grant => {
                let Ok(body) = serde_json::from_str::<GrantBody>(line.text()) else {
                    return;
                };
                match body.change.as_str() {
                    "made" => self.make(body, line),
                    "revoked" => {
                        if let Some(grant) = self.0.get_mut(&body.grant) {
                            grant.revoked = true;
                        }
                    }
                    _ => {}
                }
            }
            Kind::Decision => {
                let Some(json) = line.field("grants") else {
                    return;
                };
                for id in serde_json::from_str::<Vec<String>>(json).unwrap_or_default() {
                    self.spend(&id);
                }
            }
            Kind::Segment
            | Kind::Policy
            | Kind::Approval
            | Kind::Start
            | Kind::Stop
            | Kind::Outcome
            | Kind::Checkpoint
            | Kind::Anchor
            | Kind::Gap
            | Kind::Observed => {}
        }
    }

    fn make(&mut self, body: GrantBody, line: &Line<'_>) {
        if self.0.len() >= MAX_GRANTS {
            // One that is used up or revoked stays known until its time is over: a signed grant can be
            // recorded a second time, and would count anew.
            self.0.retain(|_, grant| match &grant.until {
                Some(until) => line.ts <= until.as_str(),
                None => !grant.revoked && grant.left() != Some(0),
            });
            if self.0.len() >= MAX_GRANTS {
                return;
            }
        }
        // A name is given once: making it again must not give uses back.
        self.0.entry(body.grant.clone()).or_insert_with(|| Grant {
            id: body.grant,
            uses: body.uses,
            spent: 0,
            until: body.until,
            revoked: false,
            entry: line.text().to_owned(),
        });
    }

    /// Counts one use.
    pub(super) fn spend(&mut self, id: &str) {
        if let Some(grant) = self.0.get_mut(id) {
            grant.spent = grant.spent.saturating_add(1);
        }
    }

    /// The grant called `id`.
    pub(super) fn grant(&self, id: &str) -> Option<&Grant> {
        self.0.get(id)
    }

    /// All of them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.values()
    }
}

/// The grants of the ledger in `dir` as it stands, with what was spent and revoked; none without a ledger.
/// Nothing is written, and no lock is held while lines are read. A line that is damaged says nothing here:
/// finding those is what `verify` is for.
///
/// ```
/// let nowhere = std::env::temp_dir().join("no-ledger-here");
/// assert!(lictor::record::recorded_grants(&nowhere)?.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The directory cannot be read.
pub fn recorded_grants(dir: &Path) -> io::Result<Vec<Grant>> {
    let mut grants = Grants::default();
    let mut decoder = Decoder::new();
    for line in raw_lines(dir)?.into_iter().flatten() {
        if let Ok(line) = decoder.decode(&line?) {
            grants.see(&line);
        }
    }
    Ok(grants.0.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Draft;
    use crate::log::line::{Plain, Stamp, prepare, write_line};

    fn see(grants: &mut Grants, ts: &str, draft: &Draft) {
        let stamp = Stamp {
            ts,
            mono_us: 1,
            boot: &"0".repeat(64),
        };
        let entry = prepare(draft, &Plain).unwrap();
        let mut bytes = Vec::new();
        write_line(&mut bytes, 1, &[0; 32], &stamp, &entry);
        let mut decoder = Decoder::new();
        grants.see(&decoder.decode(&bytes).unwrap());
    }

    fn made(id: &str, until: &str) -> Draft {
        Draft::new(Kind::Grant)
            .with("grant", id)
            .with("change", "made")
            .with("uses", 1)
            .with("until", until)
    }

    #[test]
    fn a_spent_grant_gives_nothing_back_when_it_is_made_again_however_many_came_between() {
        let (now, soon) = ("2026-11-22T15:00:00.000000Z", "2026-11-22T16:00:00.000000Z");
        let (later, end) = ("2026-11-22T17:00:00.000000Z", "2026-11-22T18:00:00.000000Z");
        let mut grants = Grants::default();
        see(&mut grants, now, &made("own", end));
        grants.spend("own");
        for nth in 0..MAX_GRANTS {
            see(&mut grants, now, &made(&format!("g-{nth}"), soon));
        }
        let last = format!("g-{}", MAX_GRANTS - 1);
        assert!(grants.grant(&last).is_none(), "there was no room for it");
        see(&mut grants, now, &made("own", end));
        assert_eq!(grants.grant("own").unwrap().left(), Some(0));
        // Room is made by those that are over.
        see(&mut grants, later, &made("new", end));
        assert!(grants.grant("new").is_some() && grants.grant("g-0").is_none());
        see(&mut grants, later, &made("own", end));
        assert_eq!(grants.grant("own").unwrap().left(), Some(0));
    }
}
