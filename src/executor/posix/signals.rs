//! The signals by which a person or a job system ends this process: they end the run first.

#![forbid(unsafe_code)]

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::sys;
use crate::executor::CancelToken;

/// The token that the handler cancels. A handler can be handed nothing, so it looks here.
static TOKEN: OnceLock<CancelToken> = OnceLock::new();

/// The first signal that came.
static FIRST: AtomicI32 = AtomicI32::new(0);

/// The number of times that `SIGCONT` came.
static CONTINUED: AtomicU32 = AtomicU32::new(0);

/// Makes `SIGINT`, `SIGTERM`, `SIGHUP` and every other signal that would end this process cancel runs that watch
/// `token`, for the rest of the process. A second one ends the run at once, and this process, by that signal, if it is
/// not through with it within 3 s: a disk may not answer.
///
/// A signal that is ignored stays ignored (`nohup`), and one that has a handler keeps it. `SIGALRM` is used up.
///
/// For programs whose one purpose is a run, like `lictor run`. A second call with another token changes
/// nothing.
///
/// # Errors
///
/// When a handler cannot be set.
pub fn cancel_on_signals(token: &CancelToken) -> io::Result<()> {
    let _ = TOKEN.set(token.clone());
    for signal in sys::ending_signals() {
        sys::on_signal(signal, cancel)?;
    }
    sys::on_signal(libc::SIGCONT, went_on)?;
    sys::on_alarm(tick)
}

/// The signal that has cancelled the run.
#[cfg(feature = "cli")]
pub(crate) fn cancelled_by() -> Option<i32> {
    Some(FIRST.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Returns how many times this process was sent `SIGCONT`.
#[cfg(feature = "cli")]
pub(crate) fn times_continued() -> u32 {
    CONTINUED.load(Ordering::Relaxed)
}

extern "C" fn cancel(signal: libc::c_int) {
    let _ = FIRST.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    if let Some(token) = TOKEN.get() {
        token.cancel();
        if token.is_urgent() {
            sys::end_soon();
        }
    }
}

extern "C" fn went_on(_: libc::c_int) {
    CONTINUED.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn tick(_: libc::c_int) {
    if sys::is_over() {
        sys::die_of(FIRST.load(Ordering::Relaxed));
    }
}
