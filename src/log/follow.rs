//! The end of a ledger, followed as it grows.
//!
//! A directory goes in; each call gives the entries that were written since the last one, across the
//! ends of files and past what a crash tore. Waiting costs nothing: the kernel says when there is more.
//! A ledger that becomes shorter or goes away while it is followed is an error, not silence.

#![forbid(unsafe_code)]

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::read::{Chosen, Entries, Filter, Place, Shown};
use super::snapshot::Snapshot;

/// The least time between two looks. Each look holds up writers for some 50 µs, so a busy ledger is read
/// in batches; a person sees no difference.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Interval between looks where the kernel does not say when something changes.
const WITHOUT_WATCH: Duration = Duration::from_secs(1);

/// Follows the ledger in `dir` from its beginning on, or from `back` files before its last one.
/// `None` if there is no ledger.
///
/// ```
/// use std::ops::ControlFlow;
/// use lictor::log::follow::follow;
/// use lictor::log::read::Filter;
/// use lictor::log::{Draft, Kind};
/// use lictor::record::{Ledger, Options};
/// # let dir = std::env::temp_dir().join(format!("lictor-doc-follow-{}", std::process::id()));
///
/// let ledger = Ledger::open(&dir, &Options::default())?;
/// let mut tail = follow(&dir, Filter::default(), None)?.expect("there is one");
/// ledger.commit(vec![Draft::new(Kind::Observed).with("what", "a call ended")])?;
/// let mut kinds = Vec::new();
/// tail.read(&mut |shown| {
///     kinds.extend(shown.entry.map(|entry| entry.kind));
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(kinds, [Kind::Segment, Kind::Observed]);
/// # drop(ledger); std::fs::remove_dir_all(&dir).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The directory cannot be read.
pub fn follow(dir: &Path, filter: Filter, back: Option<u64>) -> io::Result<Option<Tail>> {
    // The watch first: what comes between it and the first look is noticed then.
    let watch = watch(dir);
    let first = match back {
        None => 0,
        Some(back) => {
            let Some(snapshot) = Snapshot::since(dir, 0)? else {
                return Ok(None);
            };
            let last = snapshot.segments.last().map_or(0, |last| last.number);
            last.saturating_sub(back)
        }
    };
    if Snapshot::since(dir, u64::MAX)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Tail {
        dir: dir.to_owned(),
        at: Place::starting(first),
        chosen: Chosen::new(filter),
        watch,
        looked: None,
    }))
}

/// The end of a ledger, followed; see [`follow`].
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    at: Place,
    chosen: Chosen,
    /// None where the kernel has no watch left to give.
    watch: Option<OwnedFd>,
    looked: Option<Instant>,
}

/// Ends of a wait besides the ledger.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Until<'a> {
    /// Something that becomes readable when the wait shall end.
    pub readable: Option<BorrowedFd<'a>>,
    /// Where the entries go: a pipe that nobody reads any more ends the wait.
    pub closed: Option<BorrowedFd<'a>>,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Woken {
    /// Something may have been written, or the time was over.
    Look,
    /// [`Until`] said so.
    Stop,
}

impl Tail {
    /// Returns true if this is the beginning of the ledger, so that nothing was left out.
    #[must_use]
    pub fn is_at_beginning(&self) -> bool {
        self.at == Place::default()
    }

    /// Hands out what was written since the last time, one by one, until `take` breaks.
    ///
    /// # Errors
    /// The ledger cannot be read, is gone ([`io::ErrorKind::NotFound`]), or has become shorter than what
    /// was read of it ([`io::ErrorKind::InvalidData`]).
    pub fn read(&mut self, take: &mut dyn FnMut(Shown) -> ControlFlow<()>) -> io::Result<()> {
        self.looked = Some(Instant::now());
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the ledger is gone");
        let snapshot = Snapshot::since(&self.dir, self.at.segment)?.ok_or_else(gone)?;
        if self.at.byte > 0 {
            let current = snapshot.segments.first().and_then(|s| s.opened.as_ref());
            if current.ok_or_else(gone)?.bytes < self.at.byte {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the ledger became shorter while it was followed; verify it",
                ));
            }
        }
        let mut entries = Entries::new(snapshot, std::mem::take(&mut self.chosen), self.at);
        let mut result = Ok(());
        for shown in entries.by_ref() {
            match shown {
                Ok(shown) => {
                    if take(shown).is_break() {
                        break;
                    }
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.at = entries.at;
        self.chosen = entries.chosen;
        result
    }

    /// Waits until something may have been written, at most for `longest`, or until `until` says so.
    ///
    /// Nothing that is written between [`read`](Tail::read) and this call is missed.
    ///
    /// # Errors
    /// The system cannot wait.
    pub fn wait(&mut self, longest: Duration, until: Until<'_>) -> io::Result<Woken> {
        let longest = match self.watch {
            Some(_) => longest,
            None => longest.min(WITHOUT_WATCH),
        };
        if wait_for(self.watch.as_ref(), longest, until)? == Woken::Stop {
            return Ok(Woken::Stop);
        }
        let since = self.looked.map_or(BETWEEN_LOOKS, |looked| looked.elapsed());
        if let Some(left) = BETWEEN_LOOKS.checked_sub(since)
            && wait_for(None, left, until)? == Woken::Stop
        {
            return Ok(Woken::Stop);
        }
        if let Some(watch) = &self.watch {
            drain(watch);
        }
        Ok(Woken::Look)
    }
}

fn wait_for(watch: Option<&OwnedFd>, longest: Duration, until: Until<'_>) -> io::Result<Woken> {
    let timeout = Timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: longest.subsec_nanos().into(),
    };
    let stops = [
        until
            .readable
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        // Nothing is asked for: that the other end is gone is told anyway.
        until
            .closed
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::empty())),
    ];
    let mut polled: Vec<PollFd<'_>> = stops.into_iter().flatten().collect();
    let stops = polled.len();
    polled.extend(watch.map(|watch| PollFd::new(watch, PollFlags::IN)));
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) => {}
        // A signal: whoever handles it makes `readable` readable.
        Err(Errno::INTR) => return Ok(Woken::Look),
        Err(error) => return Err(error.into()),
    }
    let stopped = polled
        .iter()
        .take(stops)
        .any(|stop| !stop.revents().is_empty());
    Ok(if stopped { Woken::Stop } else { Woken::Look })
}

#[cfg(target_os = "linux")]
fn watch(dir: &Path) -> Option<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    let changes = WatchFlags::MODIFY
        | WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF;
    add_watch(&watch, dir.join("segments"), changes).ok()?;
    Some(watch)
}

#[cfg(not(target_os = "linux"))]
fn watch(_: &Path) -> Option<OwnedFd> {
    None
}

/// Takes what the watch has to say; that it said something is all that matters.
fn drain(watch: &OwnedFd) {
    let mut buffer = [0; 4096];
    while rustix::io::read(watch, &mut buffer).is_ok_and(|got| got > 0) {}
}
