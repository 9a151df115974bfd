//! A supervisor that outlives the program that starts it: this program, started again in a session of its own.
//!
//! Whoever starts it waits until it says that the run has begun, or has ended without a run. It is found again by a lock
//! on a file: the kernel gives the lock back when its process ends, however that ends, and names the process that holds
//! it. So no process is taken for it that has got its number since.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "starts this program again as a supervisor"
)]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid, PidfdFlags, Signal};

use super::{poll, sys};

/// Answer of a supervisor that was started.
#[derive(Debug)]
pub(crate) enum Started {
    /// The run goes on, and this is what the supervisor says of it.
    Running(String),
    /// It has ended with this exit code, and has said why.
    Ended(u8),
}

/// Starts this program again with `words`, and waits for its answer. Nothing of it has to do with this process any more
/// then.
pub(crate) fn detach(words: &[OsString]) -> io::Result<Started> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let (name, words) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut child = Command::new("/proc/self/exe")
        .arg0(name)
        .args(words)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let mut said = String::new();
    ours.read_to_string(&mut said)?;
    if said.ends_with('\n') {
        return Ok(Started::Running(said));
    }
    let status = child.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let signal = status
        .signal()
        .and_then(|signal| u8::try_from(signal).ok())
        .unwrap_or_default();
    Ok(Started::Ended(
        code.unwrap_or(128_u8.saturating_add(signal)),
    ))
}

/// The program that waits for a supervisor's answer.
#[derive(Debug)]
pub(crate) struct Starter(UnixStream);

/// Makes this process a supervisor that was started by [`detach`]: in a session of its own, without a terminal, and
/// without any descriptor of its starter's but standard output and standard error.
///
/// # Errors
///
/// If it was not started so.
pub(crate) fn be_detached() -> io::Result<Starter> {
    let stdin = rustix::stdio::stdin();
    let about = rustix::fs::fstat(stdin)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::Socket {
        return Err(io::Error::other("nobody waits for its answer"));
    }
    // Nothing was opened yet.
    sys::close_from(3);
    let starter = UnixStream::from(sys::take_stdin()?);
    rustix::process::setsid()?;
    Ok(Starter(starter))
}

impl Starter {
    /// Says that the run has begun, and lets go of its standard output and standard error.
    ///
    /// # Errors
    ///
    /// If it is gone, so that nobody knows of the run.
    pub(crate) fn tell(self, line: &str) -> io::Result<()> {
        let Starter(mut starter) = self;
        starter.write_all(line.as_bytes())?;
        sys::leave_output()
    }
}

/// The leader of the session in front of a terminal, unless it is the program that has started this one: it ends when the
/// terminal is closed.
pub(crate) fn session_of_terminal() -> Option<i32> {
    File::open("/dev/tty").ok()?;
    let leader = rustix::process::getsid(None).ok()?;
    (Some(leader) != rustix::process::getppid()).then(|| leader.as_raw_pid())
}

/// A process whose end can be waited for.
#[derive(Debug)]
pub(crate) struct Watched(OwnedFd);

impl Watched {
    /// The process with this number.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn of(pid: i32) -> io::Result<Watched> {
        let pid = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw);
        let pid = pid.ok_or(Errno::SRCH)?;
        Ok(Watched(rustix::process::pidfd_open(
            pid,
            PidfdFlags::empty(),
        )?))
    }

    /// Returns true if it has ended within `time`.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        poll::wait_readable(self.0.as_fd(), time)
    }

    /// Asks it to end.
    ///
    /// # Errors
    ///
    /// If that is not permitted. One that has ended already is no error.
    pub(crate) fn ask_to_end(&self) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(&self.0, Signal::TERM) {
            Err(Errno::SRCH) => Ok(()),
            done => Ok(done?),
        }
    }
}

/// Who holds the lock of a file.
#[derive(Debug)]
pub(crate) enum Holder {
    /// This process.
    Here(Watched),
    /// A process that has no number here: it runs in another PID namespace, or on another machine.
    Elsewhere,
}

/// Takes the lock of `file` until this process ends, or closes any descriptor of that file. Returns false if another
/// process has it.
pub(crate) fn take(file: &File) -> io::Result<bool> {
    match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The holder of the lock of `file`, if there is one. Not for a process that may hold it itself.
pub(crate) fn holder(file: &File) -> io::Result<Option<Holder>> {
    let holder = || rustix::process::fcntl_getlk(file, &Flock::from(FlockType::WriteLock));
    loop {
        let Some(lock) = holder()? else {
            return Ok(None);
        };
        let Some(pid) = lock.pid else {
            return Ok(Some(Holder::Elsewhere));
        };
        let watched = match Watched::of(pid.as_raw_pid()) {
            Ok(watched) => watched,
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => continue,
            Err(error) => return Err(error),
        };
        // Looked at again: before, its number may have become another process's.
        if holder()?.and_then(|lock| lock.pid) == Some(pid) {
            return Ok(Some(Holder::Here(watched)));
        }
    }
}
