//! End of a run: the deadline, the stop signal, the grace period, `SIGKILL`, the wait for proof.
//!
//! One state machine for every level of containment. It is told the time and what happened, and it
//! tells what keeps the processes together ([`Kept`]) what to do. It never waits by itself: whoever
//! owns it polls until [`Ending::wake_at`] at the latest.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::poll;
use super::tree::{self, Stat};
use crate::evidence::{Event, Process, SignalSent, Stop, StopReason};
use crate::policy::terms::{StopSignal, StopTarget};

/// The mechanism that keeps a run's processes together, as the end of a run sees it.
pub(super) trait Kept {
    /// Stops every process where it is, for `time` at most, so that it can be counted and drawn. Returns true if all
    /// are stopped.
    fn freeze(&mut self, time: Duration) -> bool;

    /// Every process of the run that is alive, as far as it can be seen within `time`.
    fn living(&mut self, time: Duration) -> Vec<Stat>;

    /// Sends `signal`.
    fn signal(&mut self, signal: i32, to: StopTarget);

    /// Sends `SIGKILL` to everything, stopped or not. May be called again until everything is gone.
    fn kill(&mut self);
}

/// Time for proof that nothing is left, after `SIGKILL`. Wall clock.
///
/// The kernel needs microseconds; only a process stuck in the kernel takes longer, and that one may
/// take forever. With what follows, a call returns 2 s after timeout and grace at the latest.
pub(super) const PROOF_TIME: Duration = Duration::from_millis(1100);

/// Time for a tree to be stopped before it is drawn. It takes microseconds; where thousands of processes are busy,
/// whoever does it has to wait for its turn, and nothing else would be quicker there.
const FREEZE_TIME: Duration = Duration::from_millis(200);

/// Time that the picture may take from the wait for proof.
const DRAWING_TIME: Duration = Duration::from_millis(300);

/// Time for a tree to be stopped before it is killed, which does not depend on it: only the number of those killed does.
const COUNT_TIME: Duration = Duration::from_millis(20);

/// Time for a look at what processes do, before they are stopped and all do the same.
const GLANCE_TIME: Duration = Duration::from_millis(5);

/// Time for a look at a tree that is stopped. One of some thousand processes takes less.
pub(super) const LOOK_TIME: Duration = Duration::from_millis(100);

/// Time for a rest after a look on a busy machine.
const REST_TIME: Duration = Duration::from_millis(10);

/// Time for what a command leaves behind to end by itself before it counts as left behind.
///
/// The last `cat` of a pipeline ends microseconds after the shell that started it. Without this,
/// the same command would sometimes leak and sometimes not. It ends the moment nothing is left.
const SETTLE_TIME: Duration = Duration::from_millis(10);

/// Time for what was left behind to be seen, if it is neither seen nor gone. After that it counts all the same: what is
/// on its way out takes shorter, and what hides in a chain of forks may take forever.
const UNSEEN_TIME: Duration = Duration::from_millis(100);

/// State of the end of one run.
#[derive(Debug)]
pub(super) struct Ending {
    started: Instant,
    grace: Duration,
    ask: StopSignal,
    leader_ended: Option<Instant>,
    /// The number of living processes when they were last counted.
    counted: usize,
    phase: Phase,
    stop: Stop,
    /// The tree could not be looked at.
    unseen: bool,
    tree: Vec<Process>,
    leaked: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running {
        deadline: Instant,
    },
    Settling {
        until: Instant,
    },
    Asked {
        since: Instant,
        kill_at: Instant,
        give_up_at: Instant,
    },
    Killed {
        give_up_at: Instant,
    },
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
            leader_ended: None,
            counted: 0,
            phase: Phase::Running {
                deadline: later(started, timeout),
            },
            stop: Stop::default(),
            unseen: false,
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

    /// Returns true if it matters that something of the run may be gone.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Running { .. })
    }

    /// Returns true if everything was killed and proof is awaited.
    pub(super) fn is_killed(&self) -> bool {
        matches!(self.phase, Phase::Killed { .. })
    }

    /// The command itself has ended; something may be left.
    pub(super) fn command_ended(&mut self, now: Instant) {
        self.leader_ended = Some(now);
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
        // The first signal comes before the look: a tree that runs on can take away the time to look, and changes
        // while it is drawn. Where few want to run, a glance at what they do is no delay.
        let is_calm = tree::is_calm();
        let glance = match is_calm {
            true => kept.living(GLANCE_TIME),
            false => Vec::new(),
        };
        let is_stopped = kept.freeze(FREEZE_TIME);
        // Among thousands that want to run, the time that a look takes is not had again before they are gone.
        let can_look = is_calm || tree::is_bearable(is_stopped.then_some(FREEZE_TIME));
        let mut living = match can_look {
            true => kept.living(LOOK_TIME),
            false => Vec::new(),
        };
        self.unseen |= !can_look;
        if !is_calm {
            // Who sleeps while the others are stopped is not behind them in using the processor when they go on.
            poll::wait(&mut [], Some(later(Instant::now(), REST_TIME)));
        }
        for stat in &mut living {
            if let Some(before) = glance.iter().find(|before| before.pid == stat.pid) {
                stat.state = before.state;
            }
        }
        if let (StopReason::Leaked, Some(ended)) = (why, self.leader_ended)
            && living.is_empty()
            && now < later(ended, UNSEEN_TIME)
        {
            kept.signal(SIGCONT, StopTarget::All);
            self.phase = Phase::Settling {
                until: later(now, SETTLE_TIME),
            };
            return;
        }
        // While a run settles, the command itself is gone: whatever the reason to stop, this is
        // what it left behind.
        let why = match self.leader_ended {
            Some(_) => StopReason::Leaked,
            None => why,
        };
        let pictures = tree::describe_all(&living);
        self.counted = living.len();
        if why == StopReason::Leaked {
            self.leaked = pictures;
        } else {
            self.tree = pictures;
        }
        self.stop.why = Some(why);
        self.stop.term_at_ms = Some(self.ms(now));
        // A leader that is gone cannot pass the signal on.
        let to = match self.leader_ended {
            Some(_) => StopTarget::All,
            None => self.ask.to,
        };
        let count = if to == StopTarget::All {
            living.len()
        } else {
            1
        };
        kept.signal(self.ask.signal, to);
        self.sent(now, self.ask.signal, count);
        // Who is stopped sees no signal but SIGKILL until it goes on.
        kept.signal(SIGCONT, StopTarget::All);
        let stopped = living
            .iter()
            .filter(|stat| matches!(stat.state, 'T' | 't'))
            .count();
        if stopped > 0 {
            self.sent(now, SIGCONT, stopped);
        }
        // The picture took its time from the wait for proof, not from the grace period.
        let asked = Instant::now().clamp(now, later(now, DRAWING_TIME));
        self.phase = Phase::Asked {
            since: now,
            kill_at: later(asked, self.grace),
            give_up_at: later(later(now, self.grace), PROOF_TIME),
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

    /// The parts that go into the evidence.
    pub(super) fn into_parts(self) -> EndingParts {
        EndingParts {
            stop: self.stop,
            unseen: self.unseen,
            tree: self.tree,
            leaked: self.leaked,
        }
    }

    /// Milliseconds since the start of the run.
    pub(super) fn ms(&self, now: Instant) -> u64 {
        ms_between(self.started, now)
    }

    fn kill(&mut self, now: Instant, kept: &mut dyn Kept) {
        let Phase::Asked {
            since,
            kill_at,
            give_up_at,
        } = self.phase
        else {
            return;
        };
        // Whoever has to share the processors with many does not count them.
        if now < later(kill_at, COUNT_TIME) && tree::is_calm() && kept.freeze(COUNT_TIME) {
            self.counted = kept.living(LOOK_TIME).len();
        }
        kept.kill();
        self.stop.grace_used_ms = Some(ms_between(since, now));
        self.stop.kill_at_ms = Some(self.ms(now));
        self.sent(now, SIGKILL, self.counted);
        self.phase = Phase::Killed {
            give_up_at: give_up_at.min(later(now, PROOF_TIME)),
        };
    }

    fn sent(&mut self, now: Instant, signal: i32, to: usize) {
        let to = u32::try_from(to).unwrap_or(u32::MAX);
        self.stop
            .signals
            .push(SignalSent::new(self.ms(now), signal, to));
    }
}

/// Parts of the evidence that the end of a run adds.
#[derive(Debug, Default)]
pub(super) struct EndingParts {
    pub(super) stop: Stop,
    unseen: bool,
    pub(super) tree: Vec<Process>,
    pub(super) leaked: Vec<Process>,
}

impl EndingParts {
    /// The event that says what the lists do not.
    pub(super) fn unseen(&self) -> Option<Event> {
        if self.stop.why == Some(StopReason::Leaked) && self.leaked.is_empty() {
            let about =
                "processes were left behind and killed; none stood still long enough to be listed";
            Some(Event::new("LEFT_BEHIND", about))
        } else if self.unseen {
            let about = "so many processes wanted to run that they were neither counted nor listed";
            Some(Event::new("TREE_NOT_SEEN", about))
        } else {
            None
        }
    }
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
        fn freeze(&mut self, _: Duration) -> bool {
            true
        }
        fn living(&mut self, _: Duration) -> Vec<Stat> {
            let line = b"7 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0";
            Stat::parse(line).into_iter().collect()
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
        assert!(ending.tick(at(start, 1249), &mut told));
        assert!(!ending.tick(at(start, 1250), &mut told));
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
