//! The caller's terminal is left as it was found.
//!
//! A command in namespaces of its own cannot reach it. Elsewhere a command can open it by name, and leave it without
//! echo, stopped, or of another size.

#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::process::getpgrp;
use rustix::termios::{
    Action, OptionalActions, Termios, Winsize, tcflow, tcgetattr, tcgetpgrp, tcgetwinsize,
    tcsetattr, tcsetwinsize,
};

/// The terminal in front of which this process runs. It gets its state back when this is dropped.
pub(super) struct Terminal {
    terminal: OwnedFd,
    modes: Termios,
    /// Remembered only if the command can change it: a person may, too.
    size: Option<Winsize>,
}

impl Terminal {
    /// Remembers the terminal, if there is one and nobody else has it: what runs in the background changes nothing
    /// there. `in_reach` of the command or not.
    pub(super) fn remember(in_reach: bool) -> Option<Terminal> {
        let terminal = [
            rustix::stdio::stdin(),
            rustix::stdio::stdout(),
            rustix::stdio::stderr(),
        ]
        .into_iter()
        .find(|fd| rustix::termios::isatty(fd))
        .and_then(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).ok())
        .or_else(controlling)?;
        if !is_ours(terminal.as_fd()) {
            return None;
        }
        Some(Terminal {
            modes: tcgetattr(&terminal).ok()?,
            size: tcgetwinsize(&terminal).ok().filter(|_| in_reach),
            terminal,
        })
    }
}

/// The terminal of this session, whatever the standard descriptors are.
fn controlling() -> Option<OwnedFd> {
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags);
    Some(options.open("/dev/tty").ok()?.into())
}

/// Not a job in the background: that would be stopped for changing it, and disturb the one in front.
fn is_ours(terminal: BorrowedFd<'_>) -> bool {
    // An error says that it is not the terminal of this session, which has no jobs then.
    tcgetpgrp(terminal).map_or(true, |front| front == getpgrp())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !is_ours(self.terminal.as_fd()) {
            return;
        }
        if let Some(size) = self.size {
            // What was stopped by a call, not by a key.
            let _ = tcflow(&self.terminal, Action::OOn);
            if tcgetwinsize(&self.terminal).is_ok_and(|now| now != size) {
                let _ = tcsetwinsize(&self.terminal, size);
            }
        }
        // At once: a terminal that is stopped never drains.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}
