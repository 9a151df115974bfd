//! State that a writer derives from all lines: runs that are open, grants, the policy.

#![forbid(unsafe_code)]

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::grants::Grants;
use super::owner::{Observer, Owner};
use super::refusals::Refusals;
use crate::evidence::{Containment, Level};
use crate::log::decode::Line;
use crate::log::store::Store;
use crate::log::{Draft, Follower, Kind, Prepared, Refusal, RunId};

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
    pub(super) refusals: Refusals,
}

/// A run without outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenRun {
    /// The process that looks after it; none if the entry does not say.
    pub(super) owner: Option<Owner>,
    /// The start of the machine it was started in.
    pub(super) boot: String,
    /// The executor that runs it, if it may go on without its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) executor: Option<Elsewhere>,
    /// A stop is recorded already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) stopped: bool,
}

/// The executor that runs a command elsewhere, so that the end of whoever started it need not be the end of the run: the field
/// `executor` of a start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Elsewhere {
    /// Its name.
    pub name: String,
    /// The containment that it prepared.
    pub containment: Containment,
}

impl Elsewhere {
    /// The executor `name`, which prepared `containment`.
    #[must_use]
    pub fn new(name: impl Into<String>, containment: Containment) -> Elsewhere {
        let name = name.into();
        Elsewhere { name, containment }
    }

    /// The contents of a line. A field that cannot be read names no executor, so that nobody declares the run
    /// lost.
    fn of(line: &Line<'_>) -> Option<Elsewhere> {
        let json = line.field("executor")?;
        let unreadable = || Elsewhere::new("", Containment::at(Level::ProcessGroup));
        Some(serde_json::from_str(json).unwrap_or_else(|_| unreadable()))
    }
}

/// A run of an executor elsewhere that has no outcome, and whose owner is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abandoned {
    /// The run.
    pub run: RunId,
    /// Who knows what became of it.
    pub executor: Elsewhere,
    pub(super) stopped: bool,
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
    /// The runs whose owner is gone. `store` is where owners left their marks.
    fn gone<'a>(&'a self, store: &'a dyn Store) -> impl Iterator<Item = (&'a RunId, &'a OpenRun)> {
        let here = Observer::here();
        let open = self.open.iter();
        open.filter(move |(_, open)| open.is_gone(&here, store))
    }

    /// The runs of executors elsewhere whose owner is gone.
    pub(super) fn abandoned(&self, store: &dyn Store) -> Vec<Abandoned> {
        let gone = self.gone(store).filter_map(|(run, open)| {
            Some(Abandoned {
                run: *run,
                executor: open.executor.clone()?,
                stopped: open.stopped,
            })
        });
        gone.collect()
    }
}

/// A run has no start, or has an outcome already.
pub(super) const RUN_ENDED: &str = "the run is not open";

/// A grant is used up, revoked, over, or was never made.
pub(super) const GRANT_GONE: &str = "the grant cannot be used";

impl Follower for State {
    fn boxed(&self) -> Box<dyn Follower> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn save(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(saved)) => saved,
            _ => Map::new(),
        }
    }

    fn load(&self, saved: &Map<String, Value>) -> Option<Box<dyn Follower>> {
        let state: State = serde_json::from_value(Value::Object(saved.clone())).ok()?;
        Some(Box::new(state))
    }

    fn unfinished(&self) -> u64 {
        u64::try_from(self.open.len()).unwrap_or(u64::MAX)
    }

    fn tail(&self, kind: Kind, run: Option<RunId>) -> &'static str {
        let after_lost = kind == Kind::Outcome && run.is_some_and(|run| self.lost.contains(&run));
        match after_lost {
            true => ",\"after_lost\":true",
            false => "",
        }
    }

    /// Runs whose owner is gone are lost, but for those that somebody elsewhere may know of.
    fn opening(&self, store: &dyn Store) -> Vec<Draft> {
        let gone = self.gone(store);
        let lost = gone.filter(|(_, open)| open.executor.is_none());
        lost.map(|(run, _)| Draft::new(Kind::Outcome).of(*run).with("status", LOST))
            .collect()
    }

    fn admits(&self, entries: &[Prepared], ts: &str) -> Result<(), Refusal> {
        let mut ended = Vec::new();
        for entry in entries {
            if let (Kind::Outcome, Some(run)) = (entry.kind, entry.run) {
                let mut others = entries.iter();
                let starts =
                    others.any(|other| other.kind == Kind::Start && other.run == Some(run));
                let is_known = self.open.contains_key(&run) || self.lost.contains(&run);
                if ended.contains(&run) || !(starts || is_known) {
                    return Err(Refusal::new(RUN_ENDED, run.to_string()));
                }
                ended.push(run);
            }
        }
        let is_stopped = |entry: &&Prepared| {
            let open = entry.run.and_then(|run| self.open.get(&run));
            entry.kind == Kind::Stop && open.is_some_and(|open| open.stopped)
        };
        if let Some(run) = entries.iter().find(is_stopped).and_then(|entry| entry.run) {
            return Err(Refusal::new(RUN_ENDED, run.to_string()));
        }
        let claims: Vec<&String> = entries.iter().flat_map(|entry| &entry.claims).collect();
        for (at, id) in claims.iter().enumerate() {
            let earlier = claims.iter().take(at).filter(|other| *other == id).count();
            let grant = self.grants.grant(id).filter(|grant| grant.counts_at(ts));
            let left = grant.map(|grant| grant.left().unwrap_or(u64::MAX));
            if left.is_none_or(|left| left <= u64::try_from(earlier).unwrap_or(u64::MAX)) {
                return Err(Refusal::new(GRANT_GONE, id.as_str()));
            }
        }
        Ok(())
    }

    fn see(&mut self, line: &Line<'_>) {
        match (line.kind, line.run) {
            (Kind::Start, Some(run)) => {
                let owner = line
                    .field("owner")
                    .and_then(|json| serde_json::from_str(json).ok());
                let boot = line.boot.to_owned();
                let executor = Elsewhere::of(line);
                let open = OpenRun {
                    owner,
                    boot,
                    executor,
                    stopped: false,
                };
                self.open.insert(run, open);
            }
            (Kind::Stop, Some(run)) => {
                if let Some(open) = self.open.get_mut(&run) {
                    open.stopped = true;
                }
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
        self.refusals.see(line);
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
