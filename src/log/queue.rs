//! Group commit: threads hand in batches, one of them commits all that wait.
//!
//! The leader takes every batch that waits, has them committed in one write and one sync, and tells the
//! others. Meanwhile the next group gathers, so the number of syncs does not grow with the number of threads.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::line::Prepared;
use super::{LogError, lock};

/// Purpose of writing lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// To be recorded; nothing hangs on it.
    Record,
    /// Something begins: space for its end has to be there.
    Begin,
    /// Something ends: the space that was kept for it may be used.
    End,
}

/// Entries that are written together or not at all.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) purpose: Purpose,
    /// A checkpoint goes along, because the process is about to end.
    pub(super) last: bool,
    pub(super) entries: Vec<Prepared>,
    pub(super) result: Option<Result<Range<u64>, LogError>>,
}

impl Batch {
    pub(super) fn new(purpose: Purpose, last: bool, entries: Vec<Prepared>) -> Batch {
        Batch {
            purpose,
            last,
            entries,
            result: None,
        }
    }

    pub(super) fn fail(&mut self, error: &LogError) {
        self.result.get_or_insert_with(|| Err(error.clone()));
    }
}

/// Batches that wait for a leader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    slots: Vec<Arc<Slot>>,
    /// Somebody leads a group now.
    led: bool,
}

#[derive(Debug)]
struct Slot {
    state: Mutex<SlotState>,
    changed: Condvar,
}

#[derive(Debug)]
enum SlotState {
    Waiting(Batch),
    /// The leader has the batch.
    Taken,
    /// The last leader is done and this thread is the next.
    Leads(Batch),
    Done(Result<Range<u64>, LogError>),
}

impl Queue {
    /// Has `batch` committed by `commit`, in this thread or in another's group.
    pub(super) fn submit(
        &self,
        batch: Batch,
        commit: impl FnOnce(&mut [Batch]),
    ) -> Result<Range<u64>, LogError> {
        let own = {
            let mut waiting = lock(&self.waiting);
            if waiting.led {
                let slot = Arc::new(Slot {
                    state: Mutex::new(SlotState::Waiting(batch)),
                    changed: Condvar::new(),
                });
                waiting.slots.push(Arc::clone(&slot));
                drop(waiting);
                match slot.wait() {
                    Ok(batch) => batch,
                    Err(result) => return result,
                }
            } else {
                waiting.led = true;
                batch
            }
        };
        let slots = std::mem::take(&mut lock(&self.waiting).slots);
        let mut group = vec![own];
        group.extend(slots.iter().filter_map(|slot| slot.take()));
        commit(&mut group);
        let mut results = group
            .into_iter()
            .map(|batch| batch.result.unwrap_or(Err(LogError::Busy)));
        let own = results.next().unwrap_or(Err(LogError::Busy));
        self.pass_on();
        for (slot, result) in slots.iter().zip(results) {
            slot.set(SlotState::Done(result));
        }
        own
    }

    /// Makes the first that waits the leader; with nobody waiting, the next to come is.
    fn pass_on(&self) {
        let mut waiting = lock(&self.waiting);
        if waiting.slots.is_empty() {
            waiting.led = false;
            return;
        }
        let next = waiting.slots.remove(0);
        drop(waiting);
        if let Some(batch) = next.take() {
            next.set(SlotState::Leads(batch));
        }
    }
}

impl Slot {
    fn take(&self) -> Option<Batch> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, SlotState::Taken) {
            SlotState::Waiting(batch) => Some(batch),
            other @ (SlotState::Taken | SlotState::Leads(_) | SlotState::Done(_)) => {
                *state = other;
                None
            }
        }
    }

    fn set(&self, new: SlotState) {
        *lock(&self.state) = new;
        self.changed.notify_one();
    }

    /// The batch, if this thread is to lead; else what became of it.
    fn wait(&self) -> Result<Batch, Result<Range<u64>, LogError>> {
        let mut state = lock(&self.state);
        loop {
            match std::mem::replace(&mut *state, SlotState::Taken) {
                SlotState::Leads(batch) => return Ok(batch),
                SlotState::Done(result) => return Err(result),
                waiting @ (SlotState::Waiting(_) | SlotState::Taken) => *state = waiting,
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
