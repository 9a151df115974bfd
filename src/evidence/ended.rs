//! The status of a run, from how its command ended and why it was stopped.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::{Status, StopReason};

/// End of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a process ends in one of these two ways"
)]
pub enum Ended {
    /// With an exit code.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

impl Ended {
    /// The exit code, if there is one.
    #[must_use]
    pub fn exit_code(self) -> Option<i32> {
        match self {
            Ended::Exited(code) => Some(code),
            Ended::Killed(_) => None,
        }
    }

    /// The signal, if there is one.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
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
    leaks_fail: bool,
) -> Status {
    match (why, ended) {
        (Some(StopReason::Timeout), _) => Status::Timeout,
        (Some(StopReason::Cancelled), _) => Status::Cancelled,
        (Some(StopReason::Limit), _) => Status::Limit,
        (Some(StopReason::Leaked) | None, _) if limit_reached => Status::Limit,
        // By the reason, not by the list of what was left: what moves fast enough is in no list.
        (Some(StopReason::Leaked), Some(Ended::Exited(0))) if leaks_fail => Status::Fail,
        (_, Some(Ended::Exited(0))) => Status::Pass,
        (_, Some(Ended::Exited(_))) => Status::Fail,
        (_, Some(Ended::Killed(_)) | None) => Status::Signaled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ended: Ended, why: Option<StopReason>, leaks_fail: bool, expected: Status) {
        assert_eq!(status(Some(ended), why, false, leaks_fail), expected);
    }

    #[test]
    fn the_reason_to_stop_outweighs_how_the_command_ended() {
        use Ended::{Exited, Killed};
        let (fail, warn) = (true, false);
        check(Exited(0), None, fail, Status::Pass);
        check(Exited(1), None, warn, Status::Fail);
        check(Killed(11), None, warn, Status::Signaled);
        check(Exited(0), Some(StopReason::Timeout), warn, Status::Timeout);
        check(Killed(15), Some(StopReason::Timeout), warn, Status::Timeout);
        check(
            Killed(2),
            Some(StopReason::Cancelled),
            warn,
            Status::Cancelled,
        );
        check(Killed(15), Some(StopReason::Limit), warn, Status::Limit);
        check(Exited(0), Some(StopReason::Leaked), warn, Status::Pass);
        check(Exited(0), Some(StopReason::Leaked), fail, Status::Fail);
        check(Exited(3), Some(StopReason::Leaked), warn, Status::Fail);
        assert_eq!(status(Some(Killed(9)), None, true, warn), Status::Limit);
        assert_eq!(
            status(Some(Killed(9)), Some(StopReason::Timeout), true, warn),
            Status::Timeout
        );
    }
}
