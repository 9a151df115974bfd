//! Waiting for the lock of a ledger: in line with other processes, with a bound, and only as long as others
//! get on.

#![forbid(unsafe_code)]

use std::fs::{File, TryLockError};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{FileStore, Identity, check_file, identity};

/// The lock as the threads of this process share it.
///
/// `flock` has no deadline. So a thread of its own waits in the kernel, where the waiters of all processes
/// stand in line, and hands the lock over; whoever gave up in the meantime does not take it with him.
#[derive(Debug, Default)]
pub(super) struct LockState {
    inner: Mutex<Locking>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Locking {
    file: Option<Arc<LockFile>>,
    /// A thread waits in the kernel. While it does nobody else may ask: all threads have the lock or none.
    waiting: bool,
    /// Somebody wants what that thread gets.
    wanted: bool,
    /// It got it, and it has not been taken yet.
    handed_over: bool,
}

#[derive(Debug)]
struct LockFile {
    file: File,
    identity: Identity,
}

impl LockState {
    /// Waits in the kernel, then hands over or gives back.
    fn wait_in_line(&self, lock: &LockFile) {
        let locked = loop {
            match lock.file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => break locked,
            }
        };
        let mut locking = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        locking.waiting = false;
        if locked.is_ok() {
            if locking.wanted {
                locking.handed_over = true;
            } else {
                // An error here has no better answer than the end of the process, which unlocks as well.
                lock.file.unlock().ok();
            }
        }
        drop(locking);
        self.changed.notify_all();
    }
}

/// Interval at which a writer that waits for the lock looks whether others get on.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Factor by which a writer exceeds its bound on waiting for the lock while others visibly get on: on a
/// crowded machine the line is long, and whoever stands in it must not be turned away.
pub const PATIENCE: u32 = 10;

/// Until when somebody waits.
#[derive(Debug)]
struct Patience {
    wait: Duration,
    started: Instant,
    renewed: Instant,
}

impl Patience {
    fn new(wait: Duration) -> Patience {
        let now = Instant::now();
        Patience {
            wait,
            started: now,
            renewed: now,
        }
    }

    fn renew(&mut self) {
        self.renewed = Instant::now();
    }

    fn is_over(&self) -> bool {
        self.renewed.elapsed() >= self.wait
            || self.started.elapsed() >= self.wait.saturating_mul(PATIENCE)
    }
}

impl FileStore {
    /// Takes the lock; see [`Store::lock`](super::Store::lock).
    pub(super) fn wait_for_lock(
        &self,
        wait: Duration,
        moves: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        let mut patience = Patience::new(wait);
        // The lock is held for one write, some 20 µs: it is often free before a thread could be started.
        for pause in [10, 20, 40, 80].map(Duration::from_micros) {
            if self.try_lock()? {
                return Ok(());
            }
            moves();
            std::thread::park_timeout(pause);
        }
        while !patience.is_over() {
            if self.lock_in_line(&mut patience, moves)? {
                return Ok(());
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Gives it back.
    pub(super) fn give_lock_back(&self) {
        let locking = self
            .lock
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = &locking.file {
            // Closing would unlock too; an error here has no better answer.
            lock.file.unlock().ok();
        }
    }

    fn lock_file(&self, locking: &mut Locking) -> io::Result<Arc<LockFile>> {
        if let Some(lock) = &locking.file {
            return Ok(Arc::clone(lock));
        }
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(
            &self.root,
            "lock",
            flags,
            Mode::RUSR | Mode::WUSR,
        )?);
        let identity = check_file(&rustix::fs::fstat(&file)?, "lock", 0o640)?;
        let lock = Arc::new(LockFile { file, identity });
        locking.file = Some(Arc::clone(&lock));
        Ok(lock)
    }

    /// Takes the lock if it is free.
    fn try_lock(&self) -> io::Result<bool> {
        let mut locking = self
            .lock
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if locking.waiting {
            return Ok(false);
        }
        let lock = self.lock_file(&mut locking)?;
        match lock.file.try_lock() {
            Ok(()) if self.lock_stands(&lock) => Ok(true),
            Ok(()) => {
                lock.file.unlock()?;
                locking.file = None;
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes its place in line and waits.
    fn lock_in_line(
        &self,
        patience: &mut Patience,
        moves: &mut dyn FnMut() -> bool,
    ) -> io::Result<bool> {
        let mut locking = self
            .lock
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let lock = self.lock_file(&mut locking)?;
        locking.wanted = true;
        if !locking.waiting {
            let (state, lock) = (Arc::clone(&self.lock), Arc::clone(&lock));
            std::thread::Builder::new().spawn(move || state.wait_in_line(&lock))?;
            locking.waiting = true;
        }
        while locking.waiting && !locking.handed_over && !patience.is_over() {
            let waited = self.lock.changed.wait_timeout(locking, LOOK_AGAIN);
            let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            locking = back;
            if timeout.timed_out() {
                drop(locking);
                if moves() {
                    patience.renew();
                }
                locking = self
                    .lock
                    .inner
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
        locking.wanted = false;
        if !std::mem::take(&mut locking.handed_over) {
            return Ok(false);
        }
        if self.lock_stands(&lock) {
            return Ok(true);
        }
        lock.file.unlock()?;
        locking.file = None;
        Ok(false)
    }

    /// Returns true if the file called `lock` is still the one that is locked: two writers with two lock
    /// files would both believe that they are alone.
    fn lock_stands(&self, lock: &LockFile) -> bool {
        rustix::fs::statat(&self.root, "lock", AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| identity(&stat) == lock.identity)
    }
}
