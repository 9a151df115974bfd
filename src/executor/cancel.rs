//! A handle by which a run is told to end, from another thread or from a signal handler.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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

    /// Returns true if [`cancel`](CancelToken::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.calls.load(Ordering::SeqCst) > 0
    }

    /// Returns true if it was called twice.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.0.calls.load(Ordering::SeqCst) > 1
    }

    /// A descriptor that is readable as soon as the token is cancelled, for `poll`. Nobody reads it, so it stays readable.
    ///
    /// None if the process was out of descriptors when the token was made: [`is_cancelled`](CancelToken::is_cancelled) then
    /// has to be asked now and then.
    #[must_use]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.ask.as_ref().map(|bell| bell.reader.as_fd())
    }

    /// A descriptor that is readable as soon as the token was cancelled twice.
    #[must_use]
    pub fn urgent_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.kill.as_ref().map(|bell| bell.reader.as_fd())
    }

    /// Waits until the token is cancelled, or for `timeout`. Returns true if it is cancelled.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let token = lictor::executor::CancelToken::new();
    /// assert!(!token.wait(Duration::from_millis(5)));
    /// token.cancel();
    /// assert!(token.wait(Duration::from_secs(3600)));
    /// ```
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        loop {
            let left = until.map_or(MOST, |until| {
                until.saturating_duration_since(Instant::now()).min(MOST)
            });
            if self.is_cancelled() || left.is_zero() {
                return self.is_cancelled();
            }
            let bell = self.as_fd();
            let left = bell.map_or(left.min(LOOK_AGAIN), |_| left);
            let mut fds: Vec<PollFd<'_>> = bell
                .iter()
                .map(|bell| PollFd::new(bell, PollFlags::IN))
                .collect();
            // Interrupted or not, the count is looked at next.
            let _ = poll(&mut fds, Timespec::try_from(left).ok().as_ref());
        }
    }
}

/// Longest single wait: a `poll` takes no more than some weeks.
const MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// Interval at which a token without a descriptor is looked at.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

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
