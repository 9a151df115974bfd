//! The signals by which a person or a job system ends this process: they end the run instead.

#![forbid(unsafe_code)]

use std::io;
use std::sync::OnceLock;

use super::sys;
use crate::executor::CancelToken;

/// What the handler cancels. A handler can be handed nothing, so it looks here.
static TOKEN: OnceLock<CancelToken> = OnceLock::new();

/// Makes `SIGINT`, `SIGTERM` and `SIGHUP` cancel runs that watch `token`, for the rest of the process.
///
/// For programs whose one purpose is a run, like `lictor run`. A second call with another token changes
/// nothing.
///
/// # Errors
///
/// When a handler cannot be set.
pub fn cancel_on_signals(token: &CancelToken) -> io::Result<()> {
    let _ = TOKEN.set(token.clone());
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        sys::on_signal(signal, cancel)?;
    }
    Ok(())
}

extern "C" fn cancel(_: libc::c_int) {
    if let Some(token) = TOKEN.get() {
        token.cancel();
    }
}
