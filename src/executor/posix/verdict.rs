//! How a run ended, from how its command ended and why it was stopped.

#![forbid(unsafe_code)]

use rustix::process::WaitIdStatus;
use serde::{Deserialize, Serialize};

use crate::evidence::{Status, StopReason};
use crate::policy::terms::Leaks;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ended {
    /// With an exit code.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

impl Ended {
    pub(super) fn from_wait(status: &WaitIdStatus) -> Option<Ended> {
        status
            .exit_status()
            .map(Ended::Exited)
            .or(status.terminating_signal().map(Ended::Killed))
    }

    pub(super) fn exit_code(self) -> Option<i32> {
        match self {
            Ended::Exited(code) => Some(code),
            Ended::Killed(_) => None,
        }
    }

    pub(super) fn signal(self) -> Option<i32> {
        match self {
            Ended::Exited(_) => None,
            Ended::Killed(signal) => Some(signal),
        }
    }
}

/// The status of a run of which the command `ended`.
pub(super) fn status(
    ended: Option<Ended>,
    why: Option<StopReason>,
    limit_reached: bool,
    leaks: Leaks,
) -> Status {
    match (why, ended) {
        (Some(StopReason::Timeout), _) => Status::Timeout,
        (Some(StopReason::Cancelled), _) => Status::Cancelled,
        (Some(StopReason::Limit), _) => Status::Limit,
        (Some(StopReason::Leaked) | None, _) if limit_reached => Status::Limit,
        // By the reason, not by the list of what was left: what moves fast enough is in no list.
        (Some(StopReason::Leaked), Some(Ended::Exited(0))) if leaks == Leaks::Fail => Status::Fail,
        (_, Some(Ended::Exited(0))) => Status::Pass,
        (_, Some(Ended::Exited(_))) => Status::Fail,
        (_, Some(Ended::Killed(_)) | None) => Status::Signaled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ended: Ended, why: Option<StopReason>, leaks: Leaks, expected: Status) {
        assert_eq!(status(Some(ended), why, false, leaks), expected);
    }

    #[test]
    fn the_reason_to_stop_outweighs_how_the_command_ended() {
        use Ended::{Exited, Killed};
        use Leaks::{Fail, Warn};
        check(Exited(0), None, Fail, Status::Pass);
        check(Exited(1), None, Warn, Status::Fail);
        check(Killed(11), None, Warn, Status::Signaled);
        check(Exited(0), Some(StopReason::Timeout), Warn, Status::Timeout);
        check(Killed(15), Some(StopReason::Timeout), Warn, Status::Timeout);
        check(
            Killed(2),
            Some(StopReason::Cancelled),
            Warn,
            Status::Cancelled,
        );
        check(Killed(15), Some(StopReason::Limit), Warn, Status::Limit);
        check(Exited(0), Some(StopReason::Leaked), Warn, Status::Pass);
        check(Exited(0), Some(StopReason::Leaked), Fail, Status::Fail);
        check(Exited(3), Some(StopReason::Leaked), Warn, Status::Fail);
        assert_eq!(status(Some(Killed(9)), None, true, Warn), Status::Limit);
        assert_eq!(
            status(Some(Killed(9)), Some(StopReason::Timeout), true, Warn),
            Status::Timeout
        );
    }
}
