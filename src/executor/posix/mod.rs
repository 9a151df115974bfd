//! The backend for Linux.
//!
//! ```text
//! host ──posix_spawn──▶ helper ──clone3(NEWPID|NEWNS[|NEWUSER])──▶ outer init ──clone3(NEWPID)──▶ init (PID 1) ──▶ command
//!   └─────────── socket: when one end dies, the other ends the run ───────────┘
//! ```
//!
//! | file | does |
//! |---|---|
//! | `host` | starts the helper, drains the output, hears how it went |
//! | `helper` | owns the deadline: the one loop of a run |
//! | `containment`, `cgroup` | the levels: what works here, who belongs to the run, is it empty |
//! | `init` | PID 1 of the run's own namespace, and of one around it |
//! | `mounts`, `mountinfo` | what the command sees of the machine; the table of mounts |
//! | `terminal` | the caller's terminal is left as it was |
//! | `payload` | from `fork` to `exec` of the command |
//! | `reaper` | waits for children |
//! | `stop` | deadline, stop signal, grace, `SIGKILL`, proof |
//! | `limits` | limits other than time |
//! | `input` | reads what the command is to be given as standard input |
//! | `streams` | drains the output |
//! | `alarm` | the time of a run, that of sleep included |
//! | `detached` | a supervisor that outlives the program that starts it |
//! | `tree` | reads `/proc` |
//! | `wire` | what host, helper and init say to each other |
//! | `poll` | waiting |
//! | `sys` | system calls without a safe wrapper; the only unsafe code |
//!
//! A run: the host starts the helper, which makes the namespaces, and sends what to build; the helper builds
//! the strongest tree that works, with init waiting in it, and answers. Then the decision is recorded. Then the host
//! sends the command and its descriptors; init starts it; the helper waits for its end or for the
//! deadline, sees to it that nothing is left, and tells.
//!
//! | file | |
//! |---|---|
//! | `signals`, `ssh_config` | signals that end lictor; the user's settings of ssh in a run |

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cancel::LOOK_AGAIN;
use super::{Capabilities, Directory, Executor, Job, PrepareError, Ready};
use crate::evidence::Level;
use crate::policy::terms::{Containment as Wanted, Limits};

mod alarm;
mod cgroup;
mod containment;
#[cfg(feature = "cli")]
mod detached;
mod helper;
mod host;
mod init;
#[cfg(feature = "cli")]
mod input;
mod limits;
mod mountinfo;
mod mounts;
mod payload;
mod poll;
mod reaper;
mod signals;
mod ssh_config;
mod stop;
mod streams;
mod sys;
mod terminal;
mod tree;
mod wire;

#[cfg(feature = "cli")]
pub(crate) use detached::{
    Holder, Started, Starter, Watched, be_detached, detach, holder, session_of_terminal, take,
};
#[cfg(feature = "cli")]
pub(crate) use input::read_input;
#[cfg(feature = "cli")]
pub(crate) use poll::{has_input, wait_writable};
pub use signals::cancel_on_signals;
#[cfg(feature = "cli")]
pub(crate) use signals::{cancelled_by, times_continued};
#[cfg(feature = "cli")]
pub(crate) use sys::{die_of, outlive_file_limits, was_closed, write_briefly};

/// Takes over if this process was started to be a helper; returns at once otherwise.
///
/// A program that embeds lictor calls this first in `main`, before it starts threads: lictor
/// starts that same program again as its helper. Without it (and without
/// [`Posix::with_helper`]) nothing is run.
///
/// ```
/// // The first line of `main`.
/// lictor::executor::init();
/// ```
pub fn init() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|argument| argument == helper::ARGUMENT)
        && arguments.next().is_none()
    {
        helper::run();
    }
    INITIALISED.store(true, Ordering::Relaxed);
}

/// True if this program, started again, would be a helper.
static INITIALISED: AtomicBool = AtomicBool::new(false);

/// Result of a trial of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trial {
    /// The level that was tried.
    pub level: Level,
    /// Why it does not work here, with the system's own words; nothing if it works.
    pub error: Option<String>,
}

/// Result of a trial of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitTrial {
    /// The limit, as a policy names it.
    pub limit: &'static str,
    /// Why it cannot be enforced here; nothing if it can.
    pub error: Option<String>,
}

/// Runs commands as processes of this machine.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Posix {
    helper: Option<PathBuf>,
    at_most: Option<Level>,
    /// A helper that was started ahead of its run.
    ahead: Arc<Mutex<Option<host::Helper>>>,
}

impl Posix {
    /// The strongest containment that works, with this program as the helper if it called [`init`].
    #[must_use]
    pub fn new() -> Posix {
        Posix::default()
    }

    /// With the program at `path` as the helper. It must call [`init`] first thing; the `lictor`
    /// program does.
    #[must_use]
    pub fn with_helper(mut self, path: impl Into<PathBuf>) -> Posix {
        self.helper = Some(path.into());
        self
    }

    /// With no stronger level than this: for tests, and to see what a weaker machine would do.
    #[must_use]
    pub fn at_most(mut self, level: Level) -> Posix {
        self.at_most = Some(level);
        self
    }

    /// Starts the helper of the next run while other things are still being done: reading a policy,
    /// opening a ledger. It makes the namespaces of a run, and waits; if no run comes it ends with this value.
    ///
    /// A program that runs one command and ends saves that way what both cost, some 1.5 ms.
    /// What cannot be started now is told when a run is prepared.
    pub fn start_helper_ahead(&self) {
        if let Some(path) = self.helper() {
            *self.ahead() = host::Helper::start(path, self.strongest()).ok();
        }
    }

    fn strongest(&self) -> Level {
        self.at_most.unwrap_or(Level::PidNamespace)
    }

    fn ahead(&self) -> MutexGuard<'_, Option<host::Helper>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries every level by itself, strongest first, by building an empty tree and taking it down.
    ///
    /// # Errors
    ///
    /// If not even a descriptor of `/` can be had.
    pub fn trial(&self) -> std::io::Result<Vec<Trial>> {
        let mut job = nothing()?;
        let mut try_level = |level| {
            job.containment = Wanted::AtLeast(level);
            self.try_level(&job, level)
        };
        // A process group is no level of this backend: it proves nothing.
        let levels = Level::ALL.into_iter().skip(1).rev();
        Ok(levels.map(&mut try_level).collect())
    }

    /// Tries every limit by itself, by preparing a run that states it.
    ///
    /// # Errors
    ///
    /// If not even a descriptor of `/` can be had.
    pub fn limit_trial(&self) -> std::io::Result<Vec<LimitTrial>> {
        const ROOM: u64 = 1 << 30;
        let limits = |set: fn(&mut Limits)| {
            let mut limits = Limits::default();
            set(&mut limits);
            limits
        };
        let each = [
            ("processes", limits(|limits| limits.processes = Some(1_000))),
            ("memory", limits(|limits| limits.memory_bytes = Some(ROOM))),
            (
                "cpu",
                limits(|limits| limits.cpu = Some(Duration::from_secs(60))),
            ),
            ("open_files", limits(|limits| limits.open_files = Some(64))),
            (
                "file_size",
                limits(|limits| limits.file_size_bytes = Some(ROOM)),
            ),
        ];
        let mut job = nothing()?;
        let mut try_limit = |(limit, limits)| {
            job.limits = limits;
            let error = self.prepare(&job).err().map(|error| match error {
                PrepareError::Limit { because, .. } => because,
                PrepareError::Containment { .. }
                | PrepareError::Machine { .. }
                | PrepareError::Executor(_) => error.to_string(),
            });
            LimitTrial { limit, error }
        };
        Ok(each.into_iter().map(&mut try_limit).collect())
    }

    /// The version of Landlock that the kernel offers, if it offers any.
    #[must_use]
    pub fn landlock_abi(&self) -> Option<u32> {
        sys::landlock_abi()
    }

    fn try_level(&self, job: &Job, level: Level) -> Trial {
        let error = match self.clone().at_most(level).prepare(job) {
            Ok(_) => None,
            Err(PrepareError::Containment { because, .. }) => {
                let own: Vec<String> = because
                    .iter()
                    .filter(|line| line.starts_with(level.name()))
                    .cloned()
                    .collect();
                Some(if own.is_empty() {
                    because.join("; ")
                } else {
                    own.join("; ")
                })
            }
            Err(error) => Some(error.to_string()),
        };
        Trial { level, error }
    }

    fn helper(&self) -> Option<&Path> {
        match &self.helper {
            Some(path) => Some(path),
            None => INITIALISED
                .load(Ordering::Relaxed)
                .then(|| Path::new("/proc/self/exe")),
        }
    }
}

impl Executor for Posix {
    fn capabilities(&self) -> Capabilities {
        let at_most = self.strongest();
        let levels = match self.helper() {
            Some(_) => Level::ALL,
            None => return Capabilities::default(),
        };
        Capabilities {
            levels: levels
                .into_iter()
                .filter(|level| (Level::Subreaper..=at_most).contains(level))
                .collect(),
            limits: vec!["processes", "memory", "cpu", "open_files", "file_size"],
        }
    }

    fn prepare(&self, job: &Job) -> Result<Box<dyn Ready>, PrepareError> {
        let Some(path) = self.helper() else {
            return Err(PrepareError::Machine {
                what: "the helper process",
                because: "this program has to call `lictor::executor::init()` first in `main`, or to name a helper with `Posix::with_helper`".to_owned(),
            });
        };
        let ahead = self.ahead().take();
        let helped = host::prepare(path, ahead, job, self.strongest())?;
        Ok(Box::new(helped))
    }
}

/// A job without a program, to try what can be prepared.
fn nothing() -> std::io::Result<Job> {
    Job::of_nothing(Directory::open("/")?)
}

/// `until`, but no later than a token without a descriptor has to be looked at.
fn no_bell(until: Option<Instant>) -> Option<Instant> {
    let look = stop::later(Instant::now(), LOOK_AGAIN);
    Some(until.map_or(look, |until| until.min(look)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::contract;

    #[test]
    fn a_program_that_did_not_call_init_runs_nothing() {
        let error = Posix::new()
            .prepare(&contract::shell("exit 0"))
            .unwrap_err();
        assert_eq!(
            error.reason(),
            crate::reason::Reason::ContainmentUnavailable
        );
        assert!(error.to_string().contains("executor::init()"), "{error}");
        assert_eq!(Posix::new().capabilities(), Capabilities::default());
    }
}
