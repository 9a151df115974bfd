//! Starts what was allowed and sees to it that nothing of it is left: a [`Job`] goes in,
//! [`Evidence`] comes out.
//!
//! A run has two steps, so that everything the machine refuses is known before the decision to run
//! is recorded: [`Prepared::new`] lets a backend build all that the run needs, [`Prepared::run`] starts the
//! command in it. Nothing here decides, and nothing here reads a command's own summary.
//!
//! | file | |
//! |---|---|
//! | `cancel` | the token by which a run is told to end |
//! | `capture` | output, counted, hashed and cut |
//! | `contract` | the promises of a backend, as tests (feature `contract`) |
//! | `registry` | backends by name |
//! | `posix` | runs commands as processes of this machine |
//! | `dry_run` | starts nothing |
//!
//! # Write an executor
//!
//! A backend is a type of your crate that implements [`Executor`]. Two methods are required: [`Executor::capabilities`] says
//! what it can do, and [`Executor::prepare`] builds what one run needs and returns it as a [`Ready`]. A [`Ready`] states how it
//! will keep the run together, and its `run` starts the command and waits for its end.
//!
//! The checks are not yours to write, and you cannot leave one out. [`Prepared`] refuses a containment that is weaker than the
//! policy asks for, a command that is not the one that was prepared, and a path that leads elsewhere since it was decided;
//! and only the record makes the [`Permit`] that it takes.
//!
//! This one hands its commands to a program `carry`, which runs them on some other machine:
//!
//! ```no_run
//! use std::process::{Command, Stdio};
//!
//! use lictor::evidence::{Containment, Ended, Evidence, Stop};
//! use lictor::executor::{
//!     Capabilities, Capture, Executor, Job, Observer, PrepareError, Ready, Stream,
//! };
//!
//! #[derive(Debug)]
//! struct Carry;
//!
//! #[derive(Debug)]
//! struct Carried(Containment);
//!
//! impl Executor for Carry {
//!     fn capabilities(&self) -> Capabilities {
//!         // No level of this machine, and no limit but time.
//!         Capabilities::default()
//!     }
//!
//!     fn prepare(&self, job: &Job) -> Result<Box<dyn Ready>, PrepareError> {
//!         // What it cannot do it refuses here, before anything is recorded.
//!         job.limits.only(&[])?;
//!         Ok(Box::new(Carried(Containment::other("carry", false))))
//!     }
//! }
//!
//! impl Ready for Carried {
//!     fn containment(&self) -> &Containment {
//!         &self.0
//!     }
//!
//!     fn run(&mut self, job: &Job, observer: &mut dyn Observer) -> Evidence {
//!         let output = Command::new("carry").arg(job.directory.path()).args(&job.argv).output();
//!         let output = match output {
//!             Ok(output) => output,
//!             Err(error) => return Evidence::spawn_failed(self.0.clone(), error.to_string()),
//!         };
//!         let ended = output.status.code().map(Ended::Exited);
//!         let mut evidence = Evidence::new(self.0.clone(), ended, Stop::default(), None, false);
//!         observer.output(Stream::Stdout, &output.stdout);
//!         let mut capture = Capture::new(job.limits.output_bytes, job.limits.keep);
//!         capture.push(&output.stdout);
//!         evidence.stdout = capture.finish(false);
//!         evidence
//!     }
//! }
//! ```
//!
//! It breaks promises: it passes no environment on, keeps no deadline and cannot be cancelled. The functions of `contract`
//! find that. Let your tests call `contract::check_any`:
//!
//! 1. **Deadline.** Poll with [`Job::limits`](crate::resolve::Job)`.timeout` as the bound. Then ask by
//!    `job.stop.signal`, wait for `limits.grace`, and kill. Fill [`Stop`](crate::evidence::Stop) as you go.
//! 2. **Cancelling.** [`Observer::cancellation`] gives a [`CancelToken`]. Its descriptor goes into your `poll`, or a thread
//!    of yours waits in [`CancelToken::wait`].
//! 3. **Output.** Give it to [`Observer::output`] as it arrives, and to a [`Capture`].
//! 4. **The end.** A backend that can show that nothing of the run is left says so:
//!    [`Containment::other`] with `true`, and after each run
//!    [`EmptyProof::Attested`](crate::evidence::EmptyProof::Attested), which names who says it. Without that proof lictor
//!    reports the run as failed. A backend that cannot says `false`.
//! 5. **Programs.** A command that runs elsewhere is looked up there: implement [`Executor::program`].
//! 6. **Crashes.** What runs elsewhere may outlive the process that waits for it. [`Job::run`](crate::resolve::Job) names the
//!    run: note its state under that name, and look it up in [`Executor::recover`].
//!
//! [`Executors`] gives it the name by which a policy (`defaults: {executor: NAME}`) or `lictor run --executor NAME` chooses it;
//! `Governor::with_executors` takes them. A backend that changes one thing about another one wraps it: its `prepare` calls the
//! other's.
//!
//! | file | |
//! |---|---|
//! | `ask`, `git`, `signing` | other programs that lictor itself starts: a holder of a key, git |

// No `forbid(unsafe_code)`: it could not be lifted for `posix::sys`, the one file with unsafe code.

use std::fmt;
use std::os::fd::BorrowedFd;

use crate::evidence::{Containment, Event, Evidence, Input, Level};
use crate::log::RunId;
use crate::policy::terms::{Containment as Wanted, Limits};
use crate::reason::Reason;
use crate::record::Permit;
use crate::resolve::When;

#[cfg(feature = "cli")]
mod ask;
mod cancel;
mod capture;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod dry_run;
#[cfg(feature = "cli")]
mod git;
#[cfg(target_os = "linux")]
mod posix;
mod registry;
mod signing;

pub use crate::resolve::{Directory, Job, Lookup};
#[cfg(feature = "cli")]
pub(crate) use ask::ask;
pub use cancel::CancelToken;
pub use capture::Capture;
pub use dry_run::DryRun;
#[cfg(feature = "cli")]
pub(crate) use git::file_at;
#[cfg(all(target_os = "linux", feature = "cli"))]
pub(crate) use posix::{
    Holder, Started, Starter, Watched, be_detached, cancelled_by, detach, die_of, has_input,
    holder, outlive_file_limits, read_input, session_of_terminal, take, times_continued,
    wait_writable, was_closed, write_briefly,
};
#[cfg(target_os = "linux")]
pub use posix::{LimitTrial, Posix, Trial, cancel_on_signals, init};
pub use registry::{ExecutorError, Executors};
pub use signing::CommandHolder;

/// Something that can run commands. The [module](self) says how to write one.
pub trait Executor: fmt::Debug + Send + Sync {
    /// Capabilities of this backend, as far as it knows them without building anything.
    fn capabilities(&self) -> Capabilities;

    /// Builds all that a run of `job` needs but the command itself. Dropping what comes back
    /// takes it down again.
    ///
    /// # Errors
    ///
    /// When something that `job` asks for cannot be had; see [`PrepareError::reason`].
    fn prepare(&self, job: &Job) -> Result<Box<dyn Ready>, PrepareError>;

    /// The program that a tool names `name`, where the commands of this backend run. Without this, it is looked up and judged
    /// on this machine.
    fn program(&self, name: &str) -> Lookup {
        let _ = name;
        Lookup::OnThisDisk
    }

    /// End of `run`, which this backend started, now that the process that waited for it is gone. Asked
    /// before the next run, and by `Governor::recover`, on a thread of its own: an answer that takes longer
    /// than some seconds is asked for again the next time.
    ///
    /// Without this nobody knows. That is right where a run ends with the process that started it.
    fn recover(&self, run: RunId) -> Recovery {
        let _ = run;
        Recovery::Unknown
    }
}

/// State of a run whose owner is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// Nobody knows, and nobody will: the run is recorded as lost.
    Unknown,
    /// It still runs, or that cannot be found out now: it stays open in the record.
    Running,
    /// It has ended, and this is recorded as its outcome.
    Ended(Box<Evidence>),
}

/// All that one run needs but its command, built by [`Executor::prepare`]. Dropping it takes down what is left of it.
pub trait Ready: fmt::Debug + Send {
    /// Containment that the run will have. `empty_proof` is the proof that will be sought.
    fn containment(&self) -> &Containment;

    /// Starts the command of `job`, which is the one that this was prepared for, waits for its end, and sees to it that
    /// nothing of it is left. Called once.
    ///
    /// Never fails: a command that cannot be started is [`Evidence::spawn_failed`].
    fn run(&mut self, job: &Job, observer: &mut dyn Observer) -> Evidence;
}

/// A run that a backend is ready for. Dropping it takes down what was built, and waits for the end of that.
#[derive(Debug)]
#[must_use = "what was prepared is taken down when it is dropped"]
pub struct Prepared {
    job: Job,
    ready: Box<dyn Ready>,
}

impl Prepared {
    /// Lets `executor` build what a run of `job` needs.
    ///
    /// # Errors
    ///
    /// When it cannot, or when what it builds is weaker than `job` asks for.
    pub fn new(executor: &dyn Executor, job: &Job) -> Result<Prepared, PrepareError> {
        let ready = executor.prepare(job)?;
        let containment = ready.containment();
        if let Wanted::AtLeast(wanted) = job.containment
            && !containment.level.is_at_least(wanted)
        {
            let mut because = containment.degraded_because.clone();
            because.push(format!(
                "the executor offers `{}`",
                containment.level.name()
            ));
            return Err(PrepareError::Containment { wanted, because });
        }
        let job = job.clone();
        Ok(Prepared { job, ready })
    }

    /// Containment that the run will have. `empty_proof` is the proof that will be sought.
    #[must_use]
    pub fn containment(&self) -> &Containment {
        self.ready.containment()
    }

    /// Starts the permitted command and waits for its end. The value can be dropped after the evidence was recorded.
    ///
    /// The paths of the command are looked at again right before it starts: if one no longer leads to
    /// what was decided, nothing is started. What was read is looked at once more after the end, and a
    /// change becomes an event. That narrows the race between looking and using, and does not close
    /// it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a permit is used up by the run"
    )]
    pub fn run(&mut self, permit: Permit, observer: &mut dyn Observer) -> Evidence {
        let command = permit.command();
        if let Some(changed) = command.changed_paths(When::BeforeStart).first() {
            let why = format!("path `{changed}` was exchanged after it had been decided");
            return Evidence::spawn_failed(self.containment().clone(), why);
        }
        observer.admitted(command.job());
        let mut evidence = self.start(command.job(), observer);
        for changed in command.changed_paths(When::AfterExit) {
            evidence
                .events
                .push(Event::new(Reason::PathChanged.code(), changed.as_str()));
        }
        evidence
    }

    /// Starts `job` if it is the one that this was prepared for.
    fn start(&mut self, job: &Job, observer: &mut dyn Observer) -> Evidence {
        if *job != self.job {
            let why = "what was prepared is not what was admitted";
            return Evidence::spawn_failed(self.containment().clone(), why);
        }
        let promised = self.containment().clone();
        self.ready.run(job, observer).held_to(&promised)
    }
}

/// Watches a run.
///
/// ```
/// use lictor::executor::{CancelToken, Observer, Stream};
///
/// /// Counts what arrives.
/// #[derive(Default)]
/// struct Count {
///     bytes: usize,
///     cancel: CancelToken,
/// }
///
/// impl Observer for Count {
///     fn output(&mut self, _stream: Stream, bytes: &[u8]) {
///         self.bytes += bytes.len();
///     }
///     fn cancellation(&self) -> Option<CancelToken> {
///         Some(self.cancel.clone())
///     }
/// }
/// ```
pub trait Observer {
    /// The run is admitted: its start is on record, and the command of `job` is about to be started.
    fn admitted(&mut self, job: &Job) {
        let _ = job;
    }

    /// The command runs. A backend calls it when it knows that; one that never does tells nobody before the end.
    fn started(&mut self) {}

    /// The command wrote `bytes`. Called as they arrive; until it returns nothing more is read and no cancellation
    /// passed on, but the clock goes on.
    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        let _ = (stream, bytes);
    }

    /// Reads what the command is to be given as standard input, which may be `most` bytes. Asked before a run is recorded.
    ///
    /// # Errors
    ///
    /// In words, if that cannot be had or is longer; then nothing is run.
    fn read_input(&mut self, most: u64) -> Result<Option<Input>, String> {
        let _ = most;
        Ok(None)
    }

    /// The input that was read, as a file at its start.
    fn input(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Says whether more of `stream` can be taken now. While it is held up nothing of it is read, so that the command waits
    /// as for any slow reader; the clock and the end of the run do not, and the rest comes all the same then.
    fn flow(&self, stream: Stream) -> Flow<'_> {
        let _ = stream;
        Flow::Open
    }

    /// Called when a descriptor that held a stream up may be ready.
    fn go_on(&mut self) {}

    /// The events that this observer adds to the evidence. Asked once, when the run is over.
    fn events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// Token that can cancel this run. Asked once, before the command starts.
    fn cancellation(&self) -> Option<CancelToken> {
        None
    }
}

/// The state of a stream towards its observer.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a backend has to know each of them"
)]
pub enum Flow<'a> {
    /// Takes it.
    Open,
    /// Takes more when this can be written to.
    HeldUp(BorrowedFd<'a>),
    /// Wants no more: the command is to see that nobody reads.
    Closed,
}

/// Watches nothing.
impl Observer for () {}

/// One of a command's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a command has these two")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Capabilities of a backend on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Levels of containment that may work here, weakest first. Whether one does is found by trying.
    pub levels: Vec<Level>,
    /// Names of the limits that may be enforced here, as a policy writes them.
    pub limits: Vec<&'static str>,
}

/// Why a run cannot be prepared. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The containment that is asked for does not work here.
    #[error("containment `{}` cannot be had here: {}", wanted.name(), because.join("; "))]
    Containment {
        /// The least that is acceptable.
        wanted: Level,
        /// Why, one line for each level that was tried.
        because: Vec<String>,
    },
    /// A limit cannot be enforced here.
    #[error("limit `{limit}` cannot be enforced here: {because}")]
    Limit {
        /// The limit, as a policy writes it.
        limit: &'static str,
        /// Why.
        because: String,
    },
    /// There is no executor by the name that the policy or the caller gave.
    #[error(transparent)]
    Executor(ExecutorError),
    /// The machine refused something that every run needs.
    #[error("nothing can be run here: {what}: {because}")]
    Machine {
        /// The thing that was refused.
        what: &'static str,
        /// Why.
        because: String,
    },
}

impl Limits {
    /// Returns an error that names the first limit that is stated here and is not one of `enforced`, as a policy writes them.
    /// A backend calls it while it prepares. Time is not among them: every backend keeps it.
    ///
    /// # Errors
    ///
    /// If there is such a limit.
    pub fn only(&self, enforced: &[&str]) -> Result<(), PrepareError> {
        let stated = [
            ("processes", self.processes.is_some()),
            ("memory", self.memory_bytes.is_some()),
            ("cpu", self.cpu.is_some()),
            ("open_files", self.open_files.is_some()),
            ("file_size", self.file_size_bytes.is_some()),
        ];
        let not_enforced = |(name, stated): &(&str, bool)| *stated && !enforced.contains(name);
        match stated.into_iter().find(not_enforced) {
            None => Ok(()),
            Some((limit, _)) => Err(PrepareError::Limit {
                limit,
                because: "this executor does not enforce it".to_owned(),
            }),
        }
    }
}

impl PrepareError {
    /// The reason with which the request is denied.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            PrepareError::Containment { .. }
            | PrepareError::Machine { .. }
            | PrepareError::Executor(_) => Reason::ContainmentUnavailable,
            PrepareError::Limit { .. } => Reason::LimitNotEnforceable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{CONTAINMENT_WEAKER, EmptyProof, Ended, Status, Stop};

    #[test]
    fn the_first_limit_that_is_not_enforced_is_named() {
        let mut limits = Limits::default();
        assert!(limits.only(&[]).is_ok());
        limits.cpu = Some(std::time::Duration::from_secs(1));
        assert!(limits.only(&["cpu"]).is_ok());
        limits.file_size_bytes = Some(1);
        limits.memory_bytes = Some(1);
        let error = limits.only(&["cpu", "file_size"]).unwrap_err();
        let is_memory = matches!(error, PrepareError::Limit { limit, .. } if limit == "memory");
        assert!(is_memory, "{error}");
        assert_eq!(error.reason(), Reason::LimitNotEnforceable);
    }

    /// Offers what it is made with, and says that every command passed.
    #[derive(Debug)]
    struct Says(Containment);

    impl Executor for Says {
        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }
        fn prepare(&self, _: &Job) -> Result<Box<dyn Ready>, PrepareError> {
            Ok(Box::new(Says(self.0.clone())))
        }
    }

    impl Ready for Says {
        fn containment(&self) -> &Containment {
            &self.0
        }
        fn run(&mut self, _: &Job, _: &mut dyn Observer) -> Evidence {
            Evidence::new(self.0.clone(), None, Stop::default(), None, false)
        }
    }

    #[test]
    fn a_backend_that_is_weaker_than_what_is_asked_for_is_not_used() {
        let mut job = contract::shell("exit 0");
        for (proves_end, least, is_used) in [
            (false, Level::ProcessGroup, true),
            (false, Level::Subreaper, false),
            (true, Level::PidNamespace, true),
        ] {
            job.containment = Wanted::AtLeast(least);
            let says = Says(Containment::other("says", proves_end));
            let prepared = Prepared::new(&says, &job);
            assert_eq!(prepared.is_ok(), is_used, "{prepared:?}");
        }
        job.containment = Wanted::Auto;
        assert!(Prepared::new(&Says(Containment::other("says", false)), &job).is_ok());
    }

    #[test]
    fn what_reports_less_than_it_prepared_has_failed() {
        /// Prepares the first and reports the second.
        #[derive(Debug)]
        struct Claims(Containment, Containment);
        impl Executor for Claims {
            fn capabilities(&self) -> Capabilities {
                Capabilities::default()
            }
            fn prepare(&self, _: &Job) -> Result<Box<dyn Ready>, PrepareError> {
                Ok(Box::new(Claims(self.0.clone(), self.1.clone())))
            }
        }
        impl Ready for Claims {
            fn containment(&self) -> &Containment {
                &self.0
            }
            fn run(&mut self, _: &Job, _: &mut dyn Observer) -> Evidence {
                let mut reported = self.1.clone();
                reported.empty_proof = EmptyProof::NoDescendants;
                let ended = Some(Ended::Exited(0));
                Evidence::new(reported, ended, Stop::default(), None, false)
            }
        }
        let other = |proves_end| Containment::other("says", proves_end);
        for (prepared, reported, is_weaker) in [
            (other(true), other(false), true),
            (other(true), Containment::at(Level::ProcessGroup), true),
            (
                Containment::at(Level::Cgroup),
                Containment::at(Level::Subreaper),
                true,
            ),
            (Containment::at(Level::Cgroup), other(false), true),
            (
                Containment::at(Level::Subreaper),
                Containment::at(Level::Cgroup),
                false,
            ),
            (Containment::at(Level::Cgroup), other(true), false),
            (other(true), Containment::at(Level::Subreaper), false),
            (other(false), Containment::at(Level::ProcessGroup), false),
        ] {
            let mut job = contract::shell("exit 0");
            job.containment = Wanted::Auto;
            let claims = Claims(prepared, reported);
            let evidence = contract::run(&claims, &job, &mut ());
            let told = evidence
                .events
                .iter()
                .any(|event| event.what == CONTAINMENT_WEAKER);
            assert_eq!(
                (evidence.proof_failed(), told),
                (is_weaker, is_weaker),
                "{claims:?}"
            );
        }
    }

    #[test]
    fn what_offers_proof_and_gives_none_has_failed() {
        let job = contract::shell("exit 0");
        let evidence = contract::run(&Says(Containment::other("says", true)), &job, &mut ());
        assert!(evidence.status == Status::Signaled && evidence.proof_failed());
        let evidence = contract::run(&Says(Containment::other("says", false)), &job, &mut ());
        assert!(!evidence.proof_failed());
    }
}
