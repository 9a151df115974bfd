//! The time of a run, counted while the machine sleeps, too.
//!
//! [`Instant`] stands still then. A run of two hours that begins in the evening would else end two hours after somebody
//! opens the machine again.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::poll;
use crate::evidence::Event;

/// Rings when the time of a run is over, at once when the machine wakes up later than that.
#[derive(Debug)]
pub(super) struct Alarm {
    /// None where there is no such timer: then only the time awake counts.
    timer: Option<TimerFd>,
    awake: Instant,
    since_boot: Duration,
}

/// A difference between the two clocks that no reading of them explains.
const NOTABLE: Duration = Duration::from_secs(1);

impl Alarm {
    /// Rings after `time`.
    pub(super) fn set(time: Duration) -> Alarm {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let set = || -> nix::Result<TimerFd> {
            let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
            let once = Expiration::OneShot(TimeSpec::from_duration(time));
            timer.set(once, TimerSetTimeFlags::empty())?;
            Ok(timer)
        };
        Alarm {
            timer: set().ok(),
            awake: Instant::now(),
            since_boot: since_boot(),
        }
    }

    /// Readable when it has rung.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.timer.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn has_rung(&self) -> bool {
        self.as_fd().is_some_and(poll::is_readable)
    }

    /// The event that the machine has slept meanwhile, if it has.
    pub(super) fn slept(&self) -> Option<Event> {
        let all = since_boot().saturating_sub(self.since_boot);
        slept(all, self.awake.elapsed())
    }
}

fn slept(all: Duration, awake: Duration) -> Option<Event> {
    let asleep = all.saturating_sub(awake);
    (asleep >= NOTABLE).then(|| {
        let seconds = asleep.as_secs();
        let about = format!(
            "the machine slept for {seconds} s of the run, which the timeout counts and the duration does not"
        );
        Event::new("SUSPENDED", about)
    })
}

fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_rings_when_its_time_is_over_and_not_before() {
        let never = Alarm::set(Duration::from_secs(3600));
        assert!(!never.has_rung());
        let soon = Alarm::set(Duration::from_millis(20));
        let fd = soon.as_fd().unwrap();
        assert!(poll::wait_readable(fd, Duration::from_secs(60)));
        assert!(soon.has_rung() && soon.awake.elapsed() >= Duration::from_millis(20));
        assert_eq!(soon.slept(), None);
    }

    #[test]
    fn sleep_is_told_with_its_length() {
        let seconds = Duration::from_secs;
        assert_eq!(slept(seconds(10), seconds(10)), None);
        assert_eq!(slept(seconds(9), seconds(10)), None);
        let event = slept(seconds(3610), seconds(10)).unwrap();
        assert!(event.about.contains("slept for 3600 s"), "{event:?}");
    }
}
