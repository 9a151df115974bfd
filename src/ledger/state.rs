//! What the lines say together, as far as a writer has to know it: runs that are open, grants, the policy.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::decode::Line;
use super::entry::{Kind, RunId};
use super::grants::Grants;
use super::owner::{Observer, Owner};
use super::store::Store;

/// The status of a run whose owner is gone.
pub(super) const LOST: &str = "LOST";

/// Returns true if an outcome is not its run's own: the next writer found that nobody looks after the run any more.
/// Evidence always says how long a run took.
pub(super) fn gives_up(line: &Line<'_>) -> bool {
    line.plain("status") == Some(LOST) && line.field("duration_ms").is_none()
}

/// The state after a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Digest of the policy that the last `policy` entry is about; empty before the first.
    pub(super) policy: String,
    /// Runs that were started and have no outcome.
    #[serde(with = "pairs")]
    pub(super) open: BTreeMap<RunId, OpenRun>,
    /// Runs that were declared lost since this process began to read: whoever looks after one may still report how it
    /// ended.
    #[serde(skip)]
    pub(super) lost: BTreeSet<RunId>,
    pub(super) grants: Grants,
}

/// A run without outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenRun {
    /// The process that looks after it; none if the entry does not say.
    pub(super) owner: Option<Owner>,
    /// The start of the machine it was started in.
    pub(super) boot: String,
}

impl OpenRun {
    /// Returns true if it is certain that nobody looks after it any more. `store` is where its owner left a mark.
    pub(super) fn is_gone(&self, here: &Observer, store: &dyn Store) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|owner| {
            let mark = owner.mark.as_ref().and_then(|mark| store.is_marked(mark));
            owner.is_gone(&self.boot, here, mark)
        })
    }
}

impl State {
    /// Takes the next line.
    pub(super) fn see(&mut self, line: &Line<'_>) {
        match (line.kind, line.run) {
            (Kind::Start, Some(run)) => {
                let owner = line
                    .field("owner")
                    .and_then(|json| serde_json::from_str(json).ok());
                let boot = line.boot.to_owned();
                self.open.insert(run, OpenRun { owner, boot });
            }
            (Kind::Outcome, Some(run)) => {
                self.lost.remove(&run);
                if self.open.remove(&run).is_some() && gives_up(line) {
                    self.lost.insert(run);
                }
            }
            (Kind::Policy, _) => {
                let digest = line.plain("policy").unwrap_or_default();
                digest.clone_into(&mut self.policy);
            }
            _ => {}
        }
        self.grants.see(line);
    }
}

/// A map as a list of pairs, with the names of runs as text.
mod pairs {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{BTreeMap, OpenRun, RunId};

    pub(super) fn serialize<S: Serializer>(
        open: &BTreeMap<RunId, OpenRun>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(open.iter().map(|(run, open)| (run.to_string(), open)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<RunId, OpenRun>, D::Error> {
        let pairs = Vec::<(String, OpenRun)>::deserialize(from)?;
        let runs = pairs.into_iter();
        runs.map(|(run, open)| Ok((run.parse().map_err(Error::custom)?, open)))
            .collect()
    }
}
