//! The writer and its keys: which one the ledger names, who can sign with it, and how one hands over to
//! the next.
//!
//! A key beside the ledger signs in the same write; one that is held elsewhere is asked by
//! [`elsewhere`](super::super::elsewhere), to which this hands what to sign and from which it takes notes.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::super::holder::KeyHolder;
use super::super::keys::Signers;
use super::super::note::{Checkpoint, Verifier};
use super::super::store::SideFile;
use super::super::{LogError, Options};
use super::{Keys, Writer, key_error, replace};

impl Writer {
    /// Ends a change of keys that a crash interrupted; whether anything was written for that.
    pub(super) fn settle_key(&mut self) -> Result<bool, LogError> {
        let named = self.named();
        let settled = self.head.chain.key == named && self.head.chain.handover.is_none();
        if self.head.seq() == 0 || settled {
            if self.held && self.head.seq() > 0 && self.keys.signer.is_some() {
                self.save_keys(self.keys.without_signer())?;
            }
            return Ok(false);
        }
        let signers = self.signers();
        let old = self
            .head
            .chain
            .handover
            .as_ref()
            .or(self.head.chain.key.as_ref());
        let hands_over =
            |old: &Verifier| signers.local(old).is_some() || signers.holder(old).is_some();
        if !old.is_some_and(hands_over) {
            return Err(key_error("is not the one that the ledger names"));
        }
        if self.head.chain.handover.is_none() && self.head.offset > 0 {
            self.begin_segment()?;
        }
        self.write_group(&[], &mut [])?;
        self.sync()?;
        self.save_keys(match self.held {
            true => self.keys.without_signer(),
            false => self.keys.settled(),
        })?;
        Ok(true)
    }

    /// Like `settle_key`, but tolerates a holder that does not sign the handover: the ledger keeps its key,
    /// and whoever opens it next asks again.
    pub(in super::super) fn settle_key_or_wait(&mut self) -> Result<bool, LogError> {
        let settled = self.settle_key();
        let can_wait = self.held && self.head.chain.handover.is_none();
        if can_wait && matches!(settled, Err(LogError::NotSigned { .. })) {
            self.leave_empty_segment();
            self.held = false;
            return Ok(false);
        }
        settled
    }

    /// Makes a key beside the ledger if one that was held elsewhere is to hand over to it.
    pub(super) fn take_back_key(&mut self, options: &Options) -> Result<(), LogError> {
        let back = options.holder.is_none() && !options.earlier_holders.is_empty();
        let elsewhere = self.head.chain.key.is_some() && self.keys.signer.is_none();
        if back && elsewhere && options.sign {
            let keys = self
                .keys
                .rotated(&self.origin)
                .map_err(|why| LogError::Key { why })?;
            self.save_keys(keys)?;
        }
        Ok(())
    }

    /// The key that the ledger is to name. One that exists goes on as it began: signed, or not.
    pub(super) fn named(&self) -> Option<Verifier> {
        if self.head.seq() > 0 && self.head.chain.key.is_none() {
            return None;
        }
        let holder = self.holders.first().filter(|_| self.held);
        let holder = holder.map(|holder| holder.verifier().clone());
        let local = self.keys.signer.as_ref();
        // No key anywhere: it is held elsewhere, and this process was not told where.
        holder
            .or_else(|| local.map(|signer| signer.verifier().clone()))
            .or_else(|| self.head.chain.key.clone())
    }

    pub(super) fn signers(&self) -> Signers<'_> {
        Signers::new(self.named(), &self.keys, &self.holders)
    }

    /// Whoever has to be asked for signatures, if the key is not at hand.
    pub(in super::super) fn elsewhere(&self) -> Option<Arc<dyn KeyHolder>> {
        let signers = self.signers();
        let named = signers.named.as_ref()?;
        match signers.local(named) {
            Some(_) => None,
            None => signers.holder(named).cloned(),
        }
    }

    /// The error that the key is one that nobody here can ask for.
    fn cannot_sign(&self) -> LogError {
        match self.named() {
            Some(_) => LogError::NotSigned {
                why: "the key is held elsewhere, and nobody here was told where".to_owned(),
            },
            None => key_error("does not sign"),
        }
    }

    /// Returns true if a holder should be asked for a checkpoint now.
    pub(in super::super) fn is_due(&self, interval: Duration) -> bool {
        self.unsigned && self.poisoned.is_none() && self.last_checkpoint.elapsed() > interval
    }

    /// Tells other processes whether the holder answers.
    pub(in super::super) fn note_answer(&self, answered: bool) {
        // If this fails, they only wait for themselves.
        let there = matches!(self.store.read(SideFile::Unanswered), Ok(Some(_)));
        if answered && there {
            self.store.remove(SideFile::Unanswered).ok();
        } else if !answered {
            let now = Timestamp::now().as_second().to_string();
            self.store
                .overwrite(SideFile::Unanswered, now.as_bytes())
                .ok();
        }
    }

    /// Returns true if a holder did not answer some process less than `back_off` ago.
    pub(in super::super) fn is_unanswered_since(&self, back_off: Duration) -> bool {
        let then = self.store.read(SideFile::Unanswered).ok().flatten();
        let then = then.and_then(|text| std::str::from_utf8(&text).ok()?.parse::<i64>().ok());
        let passed = then.map(|then| Timestamp::now().as_second().saturating_sub(then));
        let most = i64::try_from(back_off.as_secs()).unwrap_or(i64::MAX);
        passed.is_some_and(|passed| (0..most).contains(&passed))
    }

    /// The checkpoint that a holder is to sign next: over everything, unless that is done; up to date with
    /// other processes.
    pub(in super::super) fn next_to_sign(&mut self) -> Result<Option<Checkpoint>, LogError> {
        if !self.unsigned || self.poisoned.is_some() {
            return Ok(None);
        }
        let store = Arc::clone(&self.store);
        self.lock(self.lock_wait)?;
        let caught_up = self.catch_up();
        store.unlock();
        caught_up?;
        Ok(self.unsigned_end())
    }

    pub(super) fn unsigned_end(&self) -> Option<Checkpoint> {
        let unsigned = self.head.seq().saturating_sub(self.head.chain.signed);
        let writable = self.head.torn.is_none() && self.head.offset > 0;
        (writable && unsigned > 1).then(|| self.end())
    }

    /// Appends the note over `checkpoint`, if nobody has written anything since; whether it was appended.
    pub(in super::super) fn append_note(
        &mut self,
        checkpoint: &Checkpoint,
        note: &str,
    ) -> Result<bool, LogError> {
        self.append_checkpoint(&mut |writer| {
            Ok((writer.end() == *checkpoint).then(|| note.to_owned()))
        })
    }

    /// Asks for a note while others wait for the lock, and appends it.
    pub(in super::super) fn append_asking(
        &mut self,
        ask: &dyn Fn(&Checkpoint) -> Result<String, LogError>,
    ) -> Result<bool, LogError> {
        self.append_checkpoint(&mut |writer| writer.unsigned_end().map(|end| ask(&end)).transpose())
    }

    fn append_checkpoint(
        &mut self,
        note: &mut dyn FnMut(&Writer) -> Result<Option<String>, LogError>,
    ) -> Result<bool, LogError> {
        if let Some(why) = &self.poisoned {
            return Err(LogError::Poisoned { why: why.clone() });
        }
        let store = Arc::clone(&self.store);
        self.lock(self.lock_wait)?;
        let appended = self.catch_up().and_then(|()| {
            let Some(note) = note(self)? else {
                return Ok(false);
            };
            let mut lines = self.composer()?;
            lines.push_note(&note)?;
            let composed = lines.finish();
            self.append(&composed.bytes, false)?;
            self.head = composed.head;
            Ok(true)
        });
        store.unlock();
        if appended? {
            self.sync()?;
            self.last_checkpoint = Instant::now();
            return Ok(true);
        }
        Ok(false)
    }

    /// The text of the file `checkpoint` once everything is signed.
    pub(in super::super) fn end_to_keep(&mut self) -> Checkpoint {
        self.unsigned = false;
        self.end()
    }

    /// Signs with a new key from here on. The old one signs that it hands over.
    pub(in super::super) fn rotate_key(&mut self) -> Result<Verifier, LogError> {
        if let Some(why) = &self.poisoned {
            return Err(LogError::Poisoned { why: why.clone() });
        }
        self.lock(self.lock_wait)?;
        let rotated = self.catch_up().and_then(|()| self.rotate_locked());
        self.store.unlock();
        rotated?;
        self.write_side_files(None)?;
        self.verifier().ok_or_else(|| key_error("does not sign"))
    }

    fn rotate_locked(&mut self) -> Result<(), LogError> {
        if self.held || self.keys.signer.is_none() {
            return Err(match self.named() {
                Some(_) => LogError::Key {
                    why: "it is held elsewhere: make the new one there, and name it first"
                        .to_owned(),
                },
                None => key_error("does not sign"),
            });
        }
        self.sign_end()?;
        self.sync()?;
        let rotated = self
            .keys
            .rotated(&self.origin)
            .map_err(|why| LogError::Key { why })?;
        // Before anything names the new key it is durable, beside the old one that signs the handover.
        self.save_keys(rotated)?;
        self.settle_key().map(|_| ())
    }

    fn save_keys(&mut self, keys: Keys) -> Result<(), LogError> {
        replace(&*self.store, SideFile::Key, keys.text().as_bytes())
            .map_err(|error| LogError::io("write the ledger's key", &error))?;
        self.keys = keys;
        Ok(())
    }

    /// Signs everything, and the entry that says so is signed as well; returns the note to keep elsewhere.
    pub(in super::super) fn signed_end(&mut self) -> Result<String, LogError> {
        self.unsigned = true;
        self.close()?;
        match self.signers().at_hand() {
            Some(signer) => Ok(signer.sign(&self.end())),
            None => Err(self.cannot_sign()),
        }
    }

    pub(super) fn end(&self) -> Checkpoint {
        self.head.chain.end()
    }

    pub(in super::super) fn verifier(&self) -> Option<Verifier> {
        self.named()
    }
}
