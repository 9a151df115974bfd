//! Exit codes. They are promises: other programs match them.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use crate::decision::{Decision, Effect};
use crate::evidence::{Evidence, Status};
use crate::executor::cancelled_by;
use crate::reason::Reason;

/// End of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Allowed; clean; passes; intact.
    Good,
    /// Denied; findings; fails; not intact.
    Bad,
    /// Nothing could be decided or done. Nothing was allowed.
    CouldNot,
    /// A person has to be asked.
    Ask,
    /// A cap was reached: nothing wrong was found, and not everything was looked at.
    Unknown,
    /// `run`: the command's own code, or one that stands for how it ended.
    Command(u8),
    /// `run`: as the signal ends it that has cancelled the run.
    Signal(i32),
}

impl Exit {
    /// For `check` and `explain`.
    pub(super) fn of_check(decision: &Decision) -> Exit {
        match decision.effect() {
            Effect::Allow => Exit::Good,
            Effect::Deny => Exit::Bad,
            Effect::Ask => Exit::Ask,
        }
    }

    /// For a `run` that was not allowed.
    pub(super) fn of_refusal(decision: &Decision) -> Exit {
        match decision.reason() {
            Some(Reason::ProgramNotFound) => Exit::Command(127),
            _ => Exit::Command(126),
        }
    }

    /// For a `run` that took place.
    pub(super) fn of_run(evidence: &Evidence, recorded: bool) -> Exit {
        if !recorded || !evidence.survivors.is_empty() || evidence.proof_failed() {
            return Exit::Command(125);
        }
        let of_signal = |signal: Option<i32>| {
            let signal = signal
                .and_then(|signal| u8::try_from(signal).ok())
                .unwrap_or(0);
            Exit::Command(128_u8.saturating_add(signal))
        };
        match (evidence.status, evidence.exit_code) {
            (Status::Timeout, _) => Exit::Command(124),
            (Status::Limit, _) => Exit::Command(123),
            (Status::Cancelled, _) => match cancelled_by() {
                Some(signal) => Exit::Signal(signal),
                None => of_signal(evidence.stop.signals.first().map(|sent| sent.signal)),
            },
            (Status::SpawnFailed | Status::Lost, _) => Exit::Command(125),
            (Status::Pass, _) => Exit::Command(0),
            // A failure that its own code does not tell of, such as processes left behind.
            (Status::Fail, None | Some(0)) => Exit::Command(1),
            (_, Some(code)) if code != 0 => Exit::Command(u8::try_from(code & 0xff).unwrap_or(1)),
            (_, _) => of_signal(evidence.signal),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Good => 0,
            Exit::Bad => 1,
            Exit::Unknown => 4,
            Exit::CouldNot => 2,
            Exit::Ask => 3,
            Exit::Command(code) => code,
            // Only if the signal does not end this program, which is the first of its PID namespace.
            Exit::Signal(signal) => 128_u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
        })
    }
}
