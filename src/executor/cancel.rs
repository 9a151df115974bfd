//! A handle by which a run is told to end, from another thread or from a signal handler.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Cancels a run, at once and from anywhere.
///
/// All clones are one token. A run that watches it wakes up immediately: nothing looks at it from
/// time to time. A cancelled token stays cancelled, also for runs that start later.
///
/// ```
/// let token = lictor::executor::CancelToken::new();
/// let same = token.clone();
/// std::thread::spawn(move || same.cancel()).join().unwrap();
/// assert!(token.is_cancelled());
/// ```
#[derive(Clone)]
pub struct CancelToken(Arc<Inner>);

struct Inner {
    calls: AtomicU32,
    /// Absent if the process was out of descriptors: runs then look at the count now and then.
    ask: Option<Bell>,
    kill: Option<Bell>,
}

impl CancelToken {
    /// A token that is not cancelled yet.
    #[must_use]
    pub fn new() -> CancelToken {
        CancelToken(Arc::new(Inner {
            calls: AtomicU32::new(0),
            ask: Bell::new(),
            kill: Bell::new(),
        }))
    }

    /// Ends the run: the stop signal, the grace period, then `SIGKILL`. Called a second time, it
    /// cuts the grace period short.
    ///
    /// Does nothing but an atomic addition and `write(2)`, so a signal handler may call it.
    pub fn cancel(&self) {
        let bell = match self.0.calls.fetch_add(1, Ordering::SeqCst) {
            0 => &self.0.ask,
            1 => &self.0.kill,
            _ => return,
        };
        if let Some(bell) = bell {
            // One byte into an empty pipe that both ends of are open: cannot block, cannot fail.
            let _ = (&bell.writer).write(&[0]);
        }
    }

    /// Whether [`cancel`](CancelToken::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.calls.load(Ordering::SeqCst) > 0
    }

    /// Whether it was called twice.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.0.calls.load(Ordering::SeqCst) > 1
    }

    /// Readable as soon as the token is cancelled. Nobody reads it, so it stays readable.
    pub(crate) fn cancelled(&self) -> Option<BorrowedFd<'_>> {
        self.0.ask.as_ref().map(|bell| bell.reader.as_fd())
    }

    /// Readable as soon as the token was cancelled twice.
    pub(crate) fn urgent(&self) -> Option<BorrowedFd<'_>> {
        self.0.kill.as_ref().map(|bell| bell.reader.as_fd())
    }
}

impl Default for CancelToken {
    fn default() -> CancelToken {
        CancelToken::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("calls", &self.0.calls)
            .finish_non_exhaustive()
    }
}

/// A pipe that is written once.
struct Bell {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Bell {
    fn new() -> Option<Bell> {
        let (reader, writer) = std::io::pipe().ok()?;
        Some(Bell { reader, writer })
    }
}
