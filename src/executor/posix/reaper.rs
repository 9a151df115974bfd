//! Reaping: how the command ended, and whether any child is left.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use crate::evidence::Ended;

/// The one who gets the orphans: init in a PID namespace, a subreaper without one.
#[derive(Debug)]
pub(super) struct Reaper {
    signals: SignalFd,
    leader: Option<i32>,
    ended: Option<Ended>,
    /// The last call of [`reap`](Reaper::reap) found no child at all.
    childless: bool,
}

/// A signal that somebody sent to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) signal: i32,
    /// True if the sender has no pid here: it is outside of this PID namespace.
    pub(super) from_outside: bool,
}

impl Reaper {
    /// From now on signals of this process come through a descriptor: nothing interrupts, and
    /// nothing that asks it to end ends it.
    pub(super) fn new() -> nix::Result<Reaper> {
        let mut mask = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ] {
            mask.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Reaper {
            signals,
            leader: None,
            ended: None,
            childless: true,
        })
    }

    /// `pid` is the command.
    pub(super) fn started(&mut self, pid: i32) {
        self.leader = Some(pid);
        self.childless = false;
    }

    /// The command, unless it has been reaped: only then the number is its own for sure.
    pub(super) fn leader(&self) -> Option<i32> {
        self.leader
    }

    /// End of the command.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Returns true if there was no child left at the last look.
    pub(super) fn is_childless(&self) -> bool {
        self.childless
    }

    /// Takes all signals that have come. Tells those that were not about a child.
    pub(super) fn take_signals(&self) -> Vec<Asked> {
        let mut asked = Vec::new();
        while let Ok(Some(info)) = self.signals.read_signal() {
            let signal = i32::try_from(info.ssi_signo).unwrap_or_default();
            if signal != Signal::SIGCHLD as i32 {
                asked.push(Asked {
                    signal,
                    from_outside: info.ssi_pid == 0,
                });
            }
        }
        asked
    }

    /// Reaps every child that has ended.
    pub(super) fn reap(&mut self) {
        loop {
            // The raw status: a wrapper that knows signals by name would lose a child that died of another one.
            let (pid, status) = match wait(WaitOptions::NOHANG | ALL_CHILDREN) {
                Ok(Some(reaped)) => reaped,
                Ok(None) => return,
                Err(Errno::INTR) => continue,
                Err(_) => {
                    self.childless = true;
                    return;
                }
            };
            let ended = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ended::Exited(code),
                (None, Some(signal)) => Ended::Killed(signal),
                // A child that asked to be traced by its parent. It goes on when it is killed.
                (None, None) => continue,
            };
            if self.leader == Some(pid.as_raw_pid()) {
                self.leader = None;
                self.ended = Some(ended);
            }
        }
    }
}

/// `__WALL`: a child that was cloned with another signal than `SIGCHLD` is one as well.
const ALL_CHILDREN: WaitOptions = WaitOptions::from_bits_retain(0x4000_0000);

impl AsFd for Reaper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}
