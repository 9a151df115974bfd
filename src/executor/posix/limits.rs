//! Limits other than time: which of them can be enforced, and the processor time of a whole tree.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::stop::later;

/// Watches the processor time of all processes of a run together.
///
/// `RLIMIT_CPU` would count each process for itself. The time is looked at just often enough: as
/// long as even all processors together could not have used it up, nobody looks.
#[derive(Debug)]
pub(super) struct CpuWatch {
    limit: Option<Duration>,
    look_at: Option<Instant>,
    processors: u32,
}

/// Nobody looks more often than this: it is the resolution of the clock that is looked at.
const SHORTEST: Duration = Duration::from_millis(10);

impl CpuWatch {
    pub(super) fn new(limit: Option<Duration>, started: Instant) -> CpuWatch {
        // To find out means reading several files; without a limit nobody asks.
        let processors = limit
            .and_then(|_| std::thread::available_parallelism().ok())
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
        let mut watch = CpuWatch {
            limit,
            look_at: None,
            processors,
        };
        watch.schedule(Duration::ZERO, started);
        watch
    }

    /// When to look next.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.look_at
    }

    /// Returns true if it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| now >= at)
    }

    /// Returns true if `used` is more than is allowed.
    pub(super) fn is_more_than_allowed(&mut self, now: Instant, used: Duration) -> bool {
        self.schedule(used, now);
        self.limit.is_some_and(|limit| used >= limit)
    }

    fn schedule(&mut self, used: Duration, now: Instant) {
        self.look_at = self.limit.map(|limit| {
            let left = limit.saturating_sub(used);
            let soonest = left.checked_div(self.processors).unwrap_or(left);
            later(now, soonest.max(SHORTEST))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_looked_at_when_it_could_first_be_used_up() {
        let start = Instant::now();
        let mut watch = CpuWatch {
            limit: Some(Duration::from_secs(8)),
            look_at: None,
            processors: 4,
        };
        assert!(!watch.is_more_than_allowed(start, Duration::ZERO));
        assert_eq!(watch.next_look(), Some(start + Duration::from_secs(2)));
        assert!(!watch.is_due(start + Duration::from_millis(1999)));
        assert!(!watch.is_more_than_allowed(start, Duration::from_millis(7999)));
        assert_eq!(watch.next_look(), Some(start + SHORTEST));
        assert!(watch.is_more_than_allowed(start, Duration::from_secs(8)));
        assert_eq!(CpuWatch::new(None, start).next_look(), None);
    }
}
