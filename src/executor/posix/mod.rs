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
//! | `verdict` | exit status and reason to stop → status |
//! | `input` | reads what the command is to be given as standard input |
//! | `streams`, `capture` | drains the output and keeps a part of it |
//! | `tree` | reads `/proc` |
//! | `wire` | what host, helper and init say to each other |
//! | `poll` | waiting |
//! | `direct` | a run without a helper: process group only |
//! | `sys` | system calls without a safe wrapper; the only unsafe code |
//!
//! A run: the host starts the helper, which makes the namespaces, and sends what to build; the helper builds
//! the strongest tree that works, with init waiting in it, and answers. Then the decision is recorded. Then the host
//! sends the command and its descriptors; init starts it; the helper waits for its end or for the
//! deadline, sees to it that nothing is left, and tells.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::wire::Prepare;
use super::{Capabilities, Executor, PrepareError, Prepared};
use crate::evidence::Level;
use crate::policy::terms::{Containment as Wanted, Leaks, Limits, StopSignal};
use crate::resolve::Launch;

mod capture;
mod cgroup;
mod containment;
mod direct;
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
mod verdict;
mod wire;

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
/// [`Posix::with_helper`]) runs are kept together by a process group only.
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

/// Whether this program, started again, would be a helper.
static INITIALISED: AtomicBool = AtomicBool::new(false);

/// What a trial of one level showed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trial {
    /// The level that was tried.
    pub level: Level,
    /// Why it does not work here, with the system's own words; nothing if it works.
    pub error: Option<String>,
}

/// What a trial of one limit showed.
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
        let at_most = self.strongest();
        if let Some(path) = self.helper()
            && at_most > Level::ProcessGroup
        {
            *self.ahead() = host::Helper::start(path, at_most).ok();
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
        let mut launch = nothing()?;
        let mut try_level = |level| {
            launch.containment = Wanted::AtLeast(level);
            self.try_level(&launch, level)
        };
        Ok(Level::ALL.into_iter().rev().map(&mut try_level).collect())
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
        let mut launch = nothing()?;
        let mut try_limit = |(limit, limits)| {
            launch.limits = limits;
            let error = self.prepare(&launch).err().map(|error| match error {
                PrepareError::Limit { because, .. } => because,
                PrepareError::Containment { .. } | PrepareError::Machine { .. } => {
                    error.to_string()
                }
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

    fn try_level(&self, launch: &Launch, level: Level) -> Trial {
        let error = match self.clone().at_most(level).prepare(launch) {
            Ok(_) => None,
            Err(PrepareError::Containment { because, .. }) => {
                let own: Vec<String> = because
                    .iter()
                    .filter(|line| line.starts_with(level.name()) || line.starts_with("no helper"))
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
        if self.helper().is_none() || at_most == Level::ProcessGroup {
            return Capabilities {
                levels: vec![Level::ProcessGroup],
                limits: vec!["cpu"],
            };
        }
        Capabilities {
            levels: Level::ALL
                .into_iter()
                .filter(|level| *level <= at_most)
                .collect(),
            limits: vec!["processes", "memory", "cpu", "open_files", "file_size"],
        }
    }

    fn announce(&self, launch: &Launch) {
        // What is to be hidden can be only if it exists.
        let complete = launch.hidden.iter().all(|path| path.exists());
        if let Some(helper) = &mut *self.ahead()
            && complete
        {
            // One that is gone is told of when it is needed.
            let _ = helper.ask(&Prepare::new(launch, self.strongest()));
        }
    }

    fn prepare(&self, launch: &Launch) -> Result<Prepared, PrepareError> {
        let at_most = self.strongest();
        let why_weak = match self.helper() {
            Some(path) if at_most > Level::ProcessGroup => {
                let ahead = self.ahead().take();
                match host::prepare(path, ahead, launch, at_most) {
                    Ok(helped) => {
                        let containment = helped.containment().clone();
                        return Ok(Prepared::new(launch, containment, Box::new(helped)));
                    }
                    Err(host::Refused::Final(error)) => return Err(error),
                    Err(host::Refused::NoHelper(why)) => why,
                }
            }
            Some(_) => "stronger levels: not asked for".to_owned(),
            None => "no helper: this program neither called lictor::executor::init() nor named one"
                .to_owned(),
        };
        if let Wanted::AtLeast(wanted) = launch.containment
            && wanted > Level::ProcessGroup
        {
            return Err(PrepareError::Containment {
                wanted,
                because: vec![why_weak],
            });
        }
        limits::refuse_without_helper(&launch.limits)?;
        direct::refuse_without_exit_codes()?;
        let containment = direct::containment(vec![why_weak]);
        let tree = Box::new(direct::Direct {
            containment: containment.clone(),
        });
        Ok(Prepared::new(launch, containment, tree))
    }
}

/// A launch of no program, to try what can be prepared.
fn nothing() -> std::io::Result<Launch> {
    Ok(Launch {
        program: PathBuf::from("/"),
        argv: Vec::new(),
        env: Vec::new(),
        cwd: Arc::new(File::open("/")?.into()),
        limits: Limits::default(),
        containment: Wanted::Auto,
        stop: StopSignal::default(),
        leaks: Leaks::Warn,
        report_trouble: crate::policy::terms::ReportTrouble::Warn,
        report: None,
        hidden: Vec::new(),
        read_only: Vec::new(),
    })
}

/// `until`, but no later than a token without a descriptor has to be looked at.
fn no_bell(until: Option<Instant>) -> Option<Instant> {
    let look = stop::later(Instant::now(), direct::NO_BELL);
    Some(until.map_or(look, |until| until.min(look)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::contract::{self, PROMISES};

    #[test]
    fn a_process_group_keeps_every_promise() {
        for (name, promise) in PROMISES {
            println!("{name}");
            promise(&Posix::new());
        }
    }

    #[test]
    fn a_level_that_cannot_be_had_is_refused_while_preparing() {
        let mut launch = contract::shell("exit 0");
        launch.containment = Wanted::AtLeast(Level::PidNamespace);
        let error = Posix::new().prepare(&launch).unwrap_err();
        assert_eq!(
            error.reason(),
            crate::reason::Reason::ContainmentUnavailable
        );
        assert!(error.to_string().contains("pid-namespace"), "{error}");
    }
}
