//! Puts lines together: a group of batches in, the bytes to append and the head after them out.
//!
//! Every line is read back by the same strict code that everybody else reads it with before it is
//! written, so a ledger never gets a line that its next reader would refuse.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use jiff::Timestamp;

use super::LogError;
use super::decode::Decoder;
use super::head::Head;
use super::holder::SIGN_WAIT;
use super::keys::Signers;
use super::line::{Kind, MAX_INTEGER, Plain, Prepared, Stamp, prepare, write_line, write_text};
use super::mac::MacKey;
use super::note::{Checkpoint, signed_note};

/// Lines that are ready to be appended, and where the ledger ends with them.
pub(super) struct Composed {
    pub(super) bytes: Vec<u8>,
    pub(super) head: Head,
    /// A checkpoint is among them.
    pub(super) signed: bool,
}

/// Puts lines together.
pub(super) struct Composer<'a> {
    signers: Signers<'a>,
    mac: &'a MacKey,
    boot: &'a str,
    bytes: Vec<u8>,
    pub(super) head: Head,
    decoder: Decoder,
    pub(super) ts: String,
    mono_us: u64,
    signed: bool,
    /// Time by which the clock on the wall went back since the last entry, until a line says so.
    clock_back_us: Option<i64>,
}

impl<'a> Composer<'a> {
    /// Nothing yet, but for the first line of a segment that has none.
    pub(super) fn new(
        head: &Head,
        signers: Signers<'a>,
        mac: &'a MacKey,
        origin: &str,
        boot: &'a str,
    ) -> Result<Composer<'a>, LogError> {
        let now = Timestamp::now();
        let mut lines = Composer {
            signers,
            mac,
            boot,
            bytes: Vec::new(),
            head: head.clone(),
            decoder: Decoder::new(),
            ts: format!("{now:.6}"),
            mono_us: monotonic_us(),
            signed: false,
            clock_back_us: clock_back(&head.last_ts, now),
        };
        if lines.head.offset == 0 {
            let body = lines
                .head
                .segment_body(origin, lines.signers.named.as_ref());
            lines.push(&prepare(&body.draft(), &Plain)?)?;
        }
        if lines.head.chain.handover.is_some() {
            lines.push_handover()?;
        }
        Ok(lines)
    }

    /// One line.
    pub(super) fn push(&mut self, entry: &Prepared) -> Result<(), LogError> {
        let stamp = Stamp {
            ts: &self.ts,
            mono_us: self.mono_us,
            boot: self.boot,
        };
        let start = self.bytes.len();
        let mut entry = Cow::Borrowed(entry);
        if let Some(back) = self.clock_back_us.take() {
            let field = format!(",\"clock_back_us\":{back}");
            entry.to_mut().tail.extend_from_slice(field.as_bytes());
        }
        let tail = self.head.follower.tail(entry.kind, entry.run);
        if !tail.is_empty() {
            entry.to_mut().tail.extend_from_slice(tail.as_bytes());
        }
        let (seq, prev) = (self.head.seq(), self.head.chain.prev);
        write_line(&mut self.bytes, seq, &prev, &stamp, &entry);
        self.mac.seal(&mut self.bytes, start);
        let line = self.bytes.get(start..).unwrap_or(&[]);
        self.head.extend(&mut self.decoder, line)
    }

    /// A checkpoint over all lines so far, if the key is at hand. One that is held elsewhere is not asked
    /// here: the lock is held.
    pub(super) fn push_checkpoint(&mut self) -> Result<(), LogError> {
        match self.signers.at_hand() {
            Some(signer) => self.push_note(&signer.sign(&self.end())),
            None => Ok(()),
        }
    }

    /// The checkpoint by which the key before hands over. It is rare enough to wait for whoever holds it.
    fn push_handover(&mut self) -> Result<(), LogError> {
        let Some(old) = self.head.chain.handover.as_ref() else {
            return Ok(());
        };
        let text = self.end().text();
        let mut signatures = Vec::new();
        for key in [Some(old), self.signers.named.as_ref()]
            .into_iter()
            .flatten()
        {
            if let Some(signer) = self.signers.local(key) {
                signatures.push((key, signer.signature(&text)));
            } else if key == old {
                let holder = self.signers.holder(key).ok_or_else(|| LogError::Key {
                    why: format!("nobody here can sign for `{key}`, which has to hand over"),
                })?;
                let signature = holder.sign(&text, SIGN_WAIT);
                signatures.push((
                    key,
                    signature.map_err(|why| LogError::NotSigned {
                        why: why.to_string(),
                    })?,
                ));
            }
        }
        let note = signed_note(&text, &signatures);
        self.push_note(&note)
    }

    fn end(&self) -> Checkpoint {
        self.head.chain.end()
    }

    /// A checkpoint that is signed already.
    pub(super) fn push_note(&mut self, note: &str) -> Result<(), LogError> {
        let mut tail = b",\"note\":".to_vec();
        write_text(&mut tail, note);
        self.signed = true;
        self.push(&Prepared {
            kind: Kind::Checkpoint,
            run: None,
            claims: Vec::new(),
            tail,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn finish(self) -> Composed {
        Composed {
            bytes: self.bytes,
            head: self.head,
            signed: self.signed,
        }
    }
}

/// Microseconds since the machine was started, time asleep included where the system counts it.
fn monotonic_us() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let micros = u64::try_from(now.tv_nsec)
        .unwrap_or(0)
        .checked_div(1000)
        .unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

/// By how much `now` is before the time of the last entry.
fn clock_back(last_ts: &str, now: Timestamp) -> Option<i64> {
    let last: Timestamp = last_ts.parse().ok()?;
    let back = last.as_microsecond().saturating_sub(now.as_microsecond());
    // Nearly 300 years are as much as a line can say.
    let most = i64::try_from(MAX_INTEGER).unwrap_or(i64::MAX);
    (back > 0).then_some(back.min(most))
}
