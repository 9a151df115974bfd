//! Signing with a key that is held elsewhere: asked outside of the lock, and never waited for by a run.
//!
//! The text to be signed is taken under the lock, the holder is asked without it, and the checkpoint is
//! appended if nobody wrote in the meantime. A process that goes on asks in a thread of its own, now and
//! then; one that ends asks once, within a bound. A holder that does not answer loses nothing but its
//! signature.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::holder::{KeyHolder, ask};
use super::note::Checkpoint;
use super::writer::Writer;
use super::{LogError, Options, lock};

/// Interval at which a process that goes on asks.
const INTERVAL: Duration = Duration::from_secs(5);

/// Time for which a holder that did not sign is left alone.
const BACK_OFF: Duration = Duration::from_secs(30);

/// Number of times that a checkpoint is asked for again because others wrote in the meantime. The last time
/// they wait.
const TRIES: u32 = 3;

#[derive(Debug)]
pub(super) struct Elsewhere {
    writer: Arc<Mutex<Writer>>,
    wait: Duration,
    /// Nobody holds a key elsewhere, as far as this process was told.
    nobody: bool,
    /// Somebody is being asked by a thread of its own.
    asking: AtomicBool,
    /// Nobody is asked before, because the last one did not sign.
    not_before: Mutex<Option<Instant>>,
}

impl Elsewhere {
    pub(super) fn new(writer: Arc<Mutex<Writer>>, options: &Options) -> Elsewhere {
        Elsewhere {
            writer,
            wait: options.sign_wait,
            nobody: options.holder.is_none() && options.earlier_holders.is_empty(),
            asking: AtomicBool::new(false),
            not_before: Mutex::new(None),
        }
    }

    /// Whoever holds the key, if it is not at hand.
    pub(super) fn holder(&self) -> Option<Arc<dyn KeyHolder>> {
        lock(&self.writer).elsewhere()
    }

    /// Has a checkpoint signed in a thread of its own, if one is due.
    pub(super) fn sign_sometimes(this: &Arc<Elsewhere>) {
        let Some(holder) = this.due() else { return };
        if this.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let that = Arc::clone(this);
        let asked = std::thread::Builder::new().spawn(move || {
            // Its error is no one's: the next one that closes asks again and tells.
            that.sign(&*holder).ok();
            that.asking.store(false, Ordering::Release);
        });
        if asked.is_err() {
            this.asking.store(false, Ordering::Release);
        }
    }

    fn due(&self) -> Option<Arc<dyn KeyHolder>> {
        if self.nobody || lock(&self.not_before).is_some_and(|then| Instant::now() < then) {
            return None;
        }
        // Whoever writes now may ask afterwards.
        let writer = self.writer.try_lock().ok()?;
        if writer.is_due(INTERVAL) {
            writer.elsewhere()
        } else {
            None
        }
    }

    /// Has everything signed.
    fn sign(&self, holder: &dyn KeyHolder) -> Result<(), LogError> {
        for _ in 1..TRIES {
            let Some(end) = lock(&self.writer).next_to_sign()? else {
                return Ok(());
            };
            let note = self.ask(holder, &end)?;
            if lock(&self.writer).append_note(&end, &note)? {
                return Ok(());
            }
        }
        let asking = |end: &Checkpoint| self.ask(holder, end);
        lock(&self.writer).append_asking(&asking).map(|_| ())
    }

    fn ask(&self, holder: &dyn KeyHolder, end: &Checkpoint) -> Result<String, LogError> {
        let asked = ask(holder, &end.text(), self.wait);
        *lock(&self.not_before) = match asked {
            Ok(_) => None,
            Err(_) => Instant::now().checked_add(BACK_OFF),
        };
        // Asking under the lock holds the writer already; then the note for others waits for the next time.
        if let Ok(writer) = self.writer.try_lock() {
            writer.note_answer(asked.is_ok());
        }
        asked.map_err(|why| LogError::NotSigned {
            why: why.to_string(),
        })
    }

    /// As [`Elsewhere::close`], where there is something to sign. Processes that come and go by the second
    /// do not each wait for a holder that has just not answered another.
    pub(super) fn close_if_unsigned(&self, holder: &dyn KeyHolder) -> Result<(), LogError> {
        let writer = lock(&self.writer);
        if !writer.is_due(Duration::ZERO) {
            return Ok(());
        }
        let unanswered = writer.is_unanswered_since(BACK_OFF);
        drop(writer);
        if unanswered {
            let why = "it did not a moment ago".to_owned();
            return self
                .keep_end(holder, Err(LogError::NotSigned { why }))
                .map(|_| ());
        }
        self.close(holder).map(|_| ())
    }

    /// Has everything signed, the entry that says so included, and keeps that as the file `checkpoint`;
    /// returns it.
    pub(super) fn close(&self, holder: &dyn KeyHolder) -> Result<String, LogError> {
        let signed = self.sign(holder);
        self.keep_end(holder, signed)
    }

    /// Keeps what `holder` signs over everything as the file `checkpoint`, unless it just did not sign.
    pub(super) fn keep_end(
        &self,
        holder: &dyn KeyHolder,
        signed: Result<(), LogError>,
    ) -> Result<String, LogError> {
        let end = lock(&self.writer).end_to_keep();
        let note = signed.and_then(|()| self.ask(holder, &end));
        let mut writer = lock(&self.writer);
        match note {
            Ok(note) => writer.write_side_files(Some(&note)).map(|()| note),
            Err(error) => {
                // Where the next process begins to read can be kept all the same.
                writer.write_side_files(None).ok();
                Err(error)
            }
        }
    }
}
