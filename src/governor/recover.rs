//! Settles runs that outlived the process which waited for them: their executor is asked, and the record says what it answers.
//!
//! Only an executor other than `local` is asked; a run of that one ends with its process, and is recorded as lost by whoever
//! opens the ledger next. No lock is held while an executor is asked, and no run is settled twice: the record takes one
//! outcome for each.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Governor;
use crate::evidence::Evidence;
use crate::executor::{Executor, Recovery};
use crate::log::RunId;
use crate::record::{Abandoned, Ledger, LedgerError};

/// Time that executors have for their answers before the governor goes on without them. An answer takes one
/// connection to another machine, which is refused or there within a second or two.
const WAIT: Duration = Duration::from_secs(5);

/// A run whose owner is gone, and what was found out about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The run.
    pub run: RunId,
    /// The name of the executor that was asked.
    pub executor: String,
    /// State of the run.
    pub found: Found,
}

/// State of a run whose owner is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// It has ended, or is lost; this was recorded as its outcome.
    Ended(Box<Evidence>),
    /// Another process recorded how it ended.
    SettledElsewhere,
    /// It stays open, because the executor says that it still runs.
    Running,
    /// It stays open, because this program has no executor of that name.
    NotRegistered,
    /// It stays open, because the executor gave no answer: it panicked, or had not answered after some seconds.
    NoAnswer,
}

/// The executors that are being asked right now. One that hangs is not asked again in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking(Arc<Mutex<BTreeSet<String>>>);

impl Asking {
    /// Marks `name` as being asked until the value is dropped; none if it is already.
    fn begin(&self, name: &str) -> Option<Asked> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asking = self.clone();
        let name = name.to_owned();
        names.insert(name.clone()).then(|| Asked { asking, name })
    }
}

/// An executor that is being asked.
struct Asked {
    asking: Asking,
    name: String,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let names = self.asking.0.lock();
        names
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.name);
    }
}

impl Governor {
    /// Settles runs of executors other than `local` whose owner died before they ended: asks each executor what became of them,
    /// and records how those ended that have. Returns what was found out, run by run.
    ///
    /// [`Governor::run`] does it before it starts anything. No decision waits for it.
    ///
    /// # Errors
    ///
    /// The ledger cannot be opened, or an outcome cannot be recorded; that run stays open.
    pub fn recover(&self) -> Result<Vec<Recovered>, LedgerError> {
        self.recover_in(&*self.ledger()?)
    }

    pub(super) fn recover_in(&self, ledger: &Ledger) -> Result<Vec<Recovered>, LedgerError> {
        let abandoned = ledger.abandoned()?;
        let mut answers = self.ask(&abandoned);
        let mut recovered = Vec::new();
        for abandoned in abandoned {
            let found = match answers.remove(&abandoned.run) {
                None if self.executors.get(&abandoned.executor.name).is_err() => {
                    Found::NotRegistered
                }
                None => Found::NoAnswer,
                Some(Recovery::Running) => Found::Running,
                Some(Recovery::Unknown) => settle(ledger, &abandoned, lost(&abandoned))?,
                Some(Recovery::Ended(evidence)) => settle(ledger, &abandoned, *evidence)?,
            };
            recovered.push(Recovered {
                run: abandoned.run,
                executor: abandoned.executor.name,
                found,
            });
        }
        Ok(recovered)
    }

    /// Asks the executors of `abandoned`, all at once, and returns the answers that came in time.
    fn ask(&self, abandoned: &[Abandoned]) -> BTreeMap<RunId, Recovery> {
        let mut runs: BTreeMap<&str, Vec<RunId>> = BTreeMap::new();
        for abandoned in abandoned {
            let name = abandoned.executor.name.as_str();
            runs.entry(name).or_default().push(abandoned.run);
        }
        let (answer, answers) = channel();
        for (name, runs) in runs {
            let (Ok(executor), Some(asked)) = (self.executors.get(name), self.asking.begin(name))
            else {
                continue;
            };
            let answer = answer.clone();
            // One that cannot be started gives no answer.
            let asking = move || ask_one(&*executor, &runs, &answer, asked);
            std::thread::Builder::new().spawn(asking).ok();
        }
        drop(answer);
        let started = Instant::now();
        let mut known = BTreeMap::new();
        while let Ok((run, recovery)) = answers.recv_timeout(WAIT.saturating_sub(started.elapsed()))
        {
            known.insert(run, recovery);
        }
        known
    }
}

fn ask_one(
    executor: &dyn Executor,
    runs: &[RunId],
    answer: &Sender<(RunId, Recovery)>,
    _asked: Asked,
) {
    for run in runs {
        // Nobody listens any more: the rest is asked the next time.
        if answer.send((*run, executor.recover(*run))).is_err() {
            return;
        }
    }
}

/// Records an outcome, unless somebody else was faster.
fn settle(
    ledger: &Ledger,
    abandoned: &Abandoned,
    evidence: Evidence,
) -> Result<Found, LedgerError> {
    let evidence = evidence.held_to(&abandoned.executor.containment);
    match ledger.settle(abandoned, &evidence) {
        Ok(_) => Ok(Found::Ended(Box::new(evidence))),
        Err(LedgerError::RunEnded { .. }) => Ok(Found::SettledElsewhere),
        Err(error) => Err(error),
    }
}

fn lost(abandoned: &Abandoned) -> Evidence {
    let mut containment = abandoned.executor.containment.clone();
    containment.empty_proof = crate::evidence::EmptyProof::None;
    let name = abandoned.executor.name.escape_debug();
    let why = format!("whoever started it is gone, and the executor `{name}` does not know it");
    Evidence::lost(containment, why)
}
