//! How a run ends: the deadline, the stop signal, the grace period, `SIGKILL`, the wait for proof.
//!
//! One state machine for every level of containment. It is told the time and what happened, and it
//! tells what keeps the processes together ([`Kept`]) what to do. It never waits by itself: whoever
//! owns it polls until [`Ending::wake_at`] at the latest.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::tree::{self, Stat};
use crate::evidence::{Process, SignalSent, Stop, StopReason};
use crate::policy::terms::{StopSignal, StopTarget};

/// What keeps a run's processes together, as the end of a run sees it.
pub(super) trait Kept {
    /// Every process of the run that is alive, as far as it can be seen.
    fn living(&mut self) -> Vec<Stat>;

    /// Sends `signal`.
    fn signal(&mut self, signal: i32, to: StopTarget);

    /// Sends `SIGKILL` to everything. May be called again until everything is gone.
    fn kill(&mut self);
}

/// Time for proof that nothing is left, after `SIGKILL`. Wall clock.
///
/// The kernel needs microseconds; only a process stuck in the kernel takes longer, and that one may
/// take forever. With what follows, a call returns 2 s after timeout and grace at the latest.
pub(super) const PROOF_TIME: Duration = Duration::from_millis(1600);

/// Time for what a command leaves behind to end by itself before it counts as left behind.
///
/// The last `cat` of a pipeline ends microseconds after the shell that started it. Without this,
/// the same command would sometimes leak and sometimes not. It ends the moment nothing is left.
const SETTLE_TIME: Duration = Duration::from_millis(10);

/// How one run ends.
#[derive(Debug)]
pub(super) struct Ending {
    started: Instant,
    grace: Duration,
    ask: StopSignal,
    leader_ended: bool,
    phase: Phase,
    stop: Stop,
    tree: Vec<Process>,
    leaked: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running { deadline: Instant },
    Settling { until: Instant },
    Asked { since: Instant, kill_at: Instant },
    Killed { give_up_at: Instant },
    Over,
}

impl Ending {
    /// The run started at `started`.
    pub(super) fn new(
        started: Instant,
        timeout: Duration,
        grace: Duration,
        ask: StopSignal,
    ) -> Ending {
        Ending {
            started,
            grace,
            ask,
            leader_ended: false,
            phase: Phase::Running {
                deadline: later(started, timeout),
            },
            stop: Stop::default(),
            tree: Vec::new(),
            leaked: Vec::new(),
        }
    }

    /// When [`tick`](Ending::tick) has to be called at the latest.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running { deadline } => Some(deadline),
            Phase::Settling { until } => Some(until),
            Phase::Asked { kill_at, .. } => Some(kill_at),
            Phase::Killed { give_up_at } => Some(give_up_at),
            Phase::Over => None,
        }
    }

    /// Whether it matters that something of the run may be gone.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Running { .. })
    }

    /// Whether everything was killed and proof is awaited.
    pub(super) fn is_killed(&self) -> bool {
        matches!(self.phase, Phase::Killed { .. })
    }

    /// The command itself has ended; something may be left.
    pub(super) fn command_ended(&mut self, now: Instant) {
        self.leader_ended = true;
        if matches!(self.phase, Phase::Running { .. }) {
            self.phase = Phase::Settling {
                until: later(now, SETTLE_TIME),
            };
        }
    }

    /// Does what is due. False when the time for proof is over: there will be none.
    pub(super) fn tick(&mut self, now: Instant, kept: &mut dyn Kept) -> bool {
        match self.phase {
            Phase::Running { deadline } if now >= deadline => {
                self.stop(StopReason::Timeout, now, kept);
            }
            Phase::Settling { until } if now >= until => self.stop(StopReason::Leaked, now, kept),
            Phase::Asked { kill_at, .. } if now >= kill_at => self.kill(now, kept),
            Phase::Killed { give_up_at } if now >= give_up_at => {
                self.phase = Phase::Over;
                return false;
            }
            Phase::Running { .. }
            | Phase::Settling { .. }
            | Phase::Asked { .. }
            | Phase::Killed { .. }
            | Phase::Over => {}
        }
        true
    }

    /// Ends the run, unless it is ending already.
    pub(super) fn stop(&mut self, why: StopReason, now: Instant, kept: &mut dyn Kept) {
        if !matches!(self.phase, Phase::Running { .. } | Phase::Settling { .. }) {
            return;
        }
        let living = kept.living();
        // While a run settles, the command itself is gone: whatever the reason to stop, this is
        // what it left behind.
        let why = if self.leader_ended {
            StopReason::Leaked
        } else {
            why
        };
        let pictures = tree::describe_all(&living);
        if why == StopReason::Leaked {
            self.leaked = pictures;
        } else {
            self.tree = pictures;
        }
        self.stop.why = Some(why);
        self.stop.term_at_ms = Some(self.ms(now));
        // A leader that is gone cannot pass the signal on.
        let to = if self.leader_ended {
            StopTarget::All
        } else {
            self.ask.to
        };
        let count = if to == StopTarget::All {
            living.len()
        } else {
            1
        };
        kept.signal(self.ask.signal, to);
        self.sent(now, self.ask.signal, count);
        // Who is stopped sees no signal but SIGKILL until it goes on. Sent to all, for somebody may
        // have been stopped since; listed only if it was seen to matter.
        kept.signal(SIGCONT, to);
        let stopped = living
            .iter()
            .filter(|stat| matches!(stat.state, 'T' | 't'))
            .count();
        if stopped > 0 {
            self.sent(now, SIGCONT, stopped);
        }
        self.phase = Phase::Asked {
            since: now,
            kill_at: later(now, self.grace),
        };
    }

    /// Ends the grace period.
    pub(super) fn hurry(&mut self, now: Instant, kept: &mut dyn Kept) {
        if matches!(self.phase, Phase::Asked { .. }) {
            self.kill(now, kept);
        }
    }

    /// Nothing is left.
    pub(super) fn emptied(&mut self, now: Instant) {
        if self.stop.why.is_some() {
            self.stop.empty_at_ms = Some(self.ms(now));
        }
        if let Phase::Asked { since, .. } = self.phase {
            self.stop.grace_used_ms = Some(ms_between(since, now));
        }
        self.phase = Phase::Over;
    }

    /// What goes into the evidence.
    pub(super) fn into_parts(self) -> EndingParts {
        EndingParts {
            stop: self.stop,
            tree: self.tree,
            leaked: self.leaked,
        }
    }

    /// Milliseconds since the start of the run.
    pub(super) fn ms(&self, now: Instant) -> u64 {
        ms_between(self.started, now)
    }

    fn kill(&mut self, now: Instant, kept: &mut dyn Kept) {
        let count = kept.living().len();
        kept.kill();
        if let Phase::Asked { since, .. } = self.phase {
            self.stop.grace_used_ms = Some(ms_between(since, now));
        }
        self.stop.kill_at_ms = Some(self.ms(now));
        self.sent(now, SIGKILL, count);
        self.phase = Phase::Killed {
            give_up_at: later(now, PROOF_TIME),
        };
    }

    fn sent(&mut self, now: Instant, signal: i32, to: usize) {
        let to = u32::try_from(to).unwrap_or(u32::MAX);
        self.stop
            .signals
            .push(SignalSent::new(self.ms(now), signal, to));
    }
}

/// What the end of a run adds to the evidence.
#[derive(Debug, Default)]
pub(super) struct EndingParts {
    pub(super) stop: Stop,
    pub(super) tree: Vec<Process>,
    pub(super) leaked: Vec<Process>,
}

/// Whole milliseconds, rounded down.
pub(super) fn ms_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
}

/// `duration` after `from`; a time that cannot be represented is a year away.
pub(super) fn later(from: Instant, duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    from.checked_add(duration)
        .or_else(|| from.checked_add(YEAR))
        .unwrap_or(from)
}

const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it was told.
    #[derive(Default)]
    struct Told(Vec<(i32, StopTarget)>);

    impl Kept for Told {
        fn living(&mut self) -> Vec<Stat> {
            Vec::new()
        }
        fn signal(&mut self, signal: i32, to: StopTarget) {
            self.0.push((signal, to));
        }
        fn kill(&mut self) {
            self.0.push((SIGKILL, StopTarget::All));
        }
    }

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn ending(start: Instant, to: StopTarget) -> Ending {
        let ask = StopSignal { signal: 15, to };
        Ending::new(
            start,
            Duration::from_millis(100),
            Duration::from_millis(50),
            ask,
        )
    }

    #[test]
    fn a_run_is_asked_then_killed_then_given_up() {
        let (start, mut told) = (Instant::now(), Told::default());
        let mut ending = ending(start, StopTarget::All);
        assert!(ending.tick(at(start, 99), &mut told) && told.0.is_empty());
        assert!(ending.tick(at(start, 100), &mut told));
        assert_eq!(told.0, [(15, StopTarget::All), (SIGCONT, StopTarget::All)]);
        assert_eq!(ending.wake_at(), Some(at(start, 150)));
        assert!(ending.tick(at(start, 150), &mut told));
        assert_eq!(told.0.last(), Some(&(SIGKILL, StopTarget::All)));
        assert!(ending.tick(at(start, 1749), &mut told));
        assert!(!ending.tick(at(start, 1750), &mut told));
        let stop = ending.into_parts().stop;
        assert_eq!(
            (
                stop.why,
                stop.term_at_ms,
                stop.kill_at_ms,
                stop.empty_at_ms,
                stop.grace_used_ms
            ),
            (
                Some(StopReason::Timeout),
                Some(100),
                Some(150),
                None,
                Some(50)
            )
        );
    }

    #[test]
    fn the_grace_period_ends_when_nothing_is_left() {
        let (start, mut told) = (Instant::now(), Told::default());
        let mut ending = ending(start, StopTarget::All);
        ending.tick(at(start, 100), &mut told);
        ending.emptied(at(start, 103));
        let stop = ending.into_parts().stop;
        assert_eq!(
            (stop.empty_at_ms, stop.grace_used_ms, stop.kill_at_ms),
            (Some(103), Some(3), None)
        );
    }

    #[test]
    fn the_first_reason_to_stop_counts() {
        let (start, mut told) = (Instant::now(), Told::default());
        let mut ending = ending(start, StopTarget::All);
        ending.stop(StopReason::Cancelled, at(start, 10), &mut told);
        ending.stop(StopReason::Limit, at(start, 20), &mut told);
        assert_eq!(ending.wake_at(), Some(at(start, 60)));
        ending.hurry(at(start, 30), &mut told);
        assert_eq!(ending.into_parts().stop.why, Some(StopReason::Cancelled));
        assert_eq!(
            told.0
                .iter()
                .filter(|(signal, _)| *signal == SIGKILL)
                .count(),
            1
        );
    }

    #[test]
    fn leftovers_are_asked_even_if_only_the_leader_would_be() {
        let (start, mut told) = (Instant::now(), Told::default());
        let mut ending = ending(start, StopTarget::Leader);
        ending.command_ended(at(start, 5));
        assert!(ending.tick(at(start, 14), &mut told) && told.0.is_empty());
        ending.tick(at(start, 15), &mut told);
        assert_eq!(told.0.first(), Some(&(15, StopTarget::All)));
        assert_eq!(ending.into_parts().stop.why, Some(StopReason::Leaked));
    }

    #[test]
    fn a_run_that_ends_by_itself_has_no_stop() {
        let start = Instant::now();
        let mut ending = ending(start, StopTarget::All);
        ending.command_ended(at(start, 5));
        ending.emptied(at(start, 5));
        assert_eq!(ending.into_parts().stop, Stop::default());
    }
}
