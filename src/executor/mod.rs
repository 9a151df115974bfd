//! Starts what was allowed and sees to it that nothing of it is left: a [`Launch`] goes in,
//! [`Evidence`] comes out.
//!
//! A run has two steps, so that everything the machine refuses is known before the decision to run
//! is recorded: [`Executor::prepare`] builds the empty contained tree, [`Executor::run`] starts the
//! command in it. What a backend promises is numbered in `contract`, as tests.
//!
//! Nothing here decides, and nothing here reads a command's own summary.

// No `forbid(unsafe_code)`: it could not be lifted for `posix::sys`, the one file with unsafe code.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use crate::evidence::{Containment, Event, Evidence, Input, Level};
use crate::policy::terms::{Containment as Wanted, Limits};
use crate::reason::Reason;
use crate::record::Permit;
use crate::resolve::{Launch, When};

mod cancel;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod dry_run;
#[cfg(feature = "cli")]
mod git;
#[cfg(target_os = "linux")]
mod posix;
mod signing;

pub use cancel::CancelToken;
pub use dry_run::DryRun;
#[cfg(feature = "cli")]
pub(crate) use git::file_at;
#[cfg(target_os = "linux")]
pub use posix::{LimitTrial, Posix, Trial, cancel_on_signals, init};
#[cfg(all(target_os = "linux", feature = "cli"))]
pub(crate) use posix::{
    cancelled_by, die_of, has_input, outlive_file_limits, read_input, times_continued,
    wait_writable, was_closed, write_briefly,
};
pub use signing::CommandHolder;

/// Something that can run commands.
///
/// A backend is a folder below `executor` and one line in its `mod.rs`. Its promises are the
/// functions of `contract`.
pub trait Executor: fmt::Debug + Send + Sync {
    /// What this backend can do on this machine, as far as it knows without building anything.
    fn capabilities(&self) -> Capabilities;

    /// Says that [`prepare`](Executor::prepare) will probably be called with `launch`, so that what takes
    /// time can begin. Nothing depends on it: another launch may be prepared, or none.
    fn announce(&self, launch: &Launch) {
        let _ = launch;
    }

    /// Builds all that a run of `launch` needs but the command itself. Dropping what comes back
    /// takes it down again.
    ///
    /// # Errors
    ///
    /// When the machine refuses what `launch` asks for; see [`PrepareError::reason`].
    fn prepare(&self, launch: &Launch) -> Result<Prepared, PrepareError>;

    /// Starts the permitted command, waits for its end, and takes everything down.
    ///
    /// Never fails: a command that cannot be started is [`Status::SpawnFailed`].
    ///
    /// [`Status::SpawnFailed`]: crate::evidence::Status::SpawnFailed
    ///
    /// The paths of the command are looked at again right before it starts: if one no longer leads to
    /// what was decided, nothing is started. What was read is looked at once more after the end, and a
    /// change is told as an event. That narrows the race between looking and using, and does not close
    /// it.
    fn run(&self, prepared: Prepared, permit: Permit, observer: &mut dyn Observer) -> Evidence {
        self.run_leaving(prepared, permit, observer).0
    }

    /// The same, for somebody who has better things to do with the evidence than to wait for what of this
    /// library's own, like a helper process, is about to end: to record it. Dropping what remains waits.
    fn run_leaving(
        &self,
        prepared: Prepared,
        permit: Permit,
        observer: &mut dyn Observer,
    ) -> (Evidence, Remains) {
        run_permitted(prepared, &permit, observer)
    }
}

fn run_permitted(
    prepared: Prepared,
    permit: &Permit,
    observer: &mut dyn Observer,
) -> (Evidence, Remains) {
    let command = permit.command();
    if let Some(changed) = command.changed_paths(When::BeforeStart).first() {
        let why = format!("path `{changed}` was exchanged after it had been decided");
        let evidence = Evidence::spawn_failed(prepared.containment, why);
        return (evidence, Remains::default());
    }
    let (mut evidence, remains) = run_prepared(prepared, command.launch(), observer);
    for changed in command.changed_paths(When::AfterExit) {
        evidence
            .events
            .push(Event::new(Reason::PathChanged.code(), changed.as_str()));
    }
    (evidence, remains)
}

/// Starts `launch` in what was prepared for it.
///
/// `launch` is the one that was admitted; what it asks of the containment must be what the
/// containment was built for, or nothing is started.
pub(crate) fn run_prepared(
    prepared: Prepared,
    launch: &Launch,
    observer: &mut dyn Observer,
) -> (Evidence, Remains) {
    if prepared.built_for.is_met_by(launch) {
        prepared.tree.run(launch, observer)
    } else {
        let why = "what was prepared is not what was admitted".to_owned();
        let evidence = Evidence::spawn_failed(prepared.containment, why);
        (evidence, Remains::default())
    }
}

/// An empty contained tree, waiting for its command. Dropping it takes it down.
#[derive(Debug)]
#[must_use = "what was prepared is taken down when it is dropped"]
pub struct Prepared {
    containment: Containment,
    built_for: BuiltFor,
    tree: Box<dyn EmptyTree>,
}

impl Prepared {
    /// `tree`, built for `launch`, kept together by `containment`.
    pub fn new(launch: &Launch, containment: Containment, tree: Box<dyn EmptyTree>) -> Prepared {
        Prepared {
            containment,
            built_for: BuiltFor::from(launch),
            tree,
        }
    }

    /// How the run will be kept together. `empty_proof` is the proof that will be sought.
    #[must_use]
    pub fn containment(&self) -> &Containment {
        &self.containment
    }
}

/// The backend's side of [`Prepared`].
pub trait EmptyTree: fmt::Debug + Send {
    /// See [`Executor::run_leaving`].
    fn run(self: Box<Self>, launch: &Launch, observer: &mut dyn Observer) -> (Evidence, Remains);
}

/// What a run leaves of the backend's own, which is about to end. Nothing of the command is in it. Dropping
/// it waits.
#[derive(Debug, Default)]
#[must_use = "dropping it waits for the end of what remains"]
pub struct Remains(
    #[expect(dead_code, reason = "it is only there to be dropped")]
    Option<Box<dyn fmt::Debug + Send>>,
);

impl Remains {
    /// `what` waits when it is dropped.
    pub fn of(what: impl fmt::Debug + Send + 'static) -> Remains {
        Remains(Some(Box::new(what)))
    }
}

/// The part of a launch that its containment was built for.
#[derive(Debug, PartialEq, Eq)]
struct BuiltFor {
    limits: Limits,
    containment: Wanted,
    hidden: Vec<PathBuf>,
    read_only: Vec<PathBuf>,
}

impl BuiltFor {
    fn is_met_by(&self, launch: &Launch) -> bool {
        *self == BuiltFor::from(launch)
    }
}

impl From<&Launch> for BuiltFor {
    fn from(launch: &Launch) -> BuiltFor {
        BuiltFor {
            limits: launch.limits.clone(),
            containment: launch.containment,
            hidden: launch.hidden.clone(),
            read_only: launch.read_only.clone(),
        }
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

    /// What can cancel this run. Asked once, before the command starts.
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

/// What a backend can do on this machine.
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
    /// The machine refused something that every run needs.
    #[error("nothing can be run here: {what}: {because}")]
    Machine {
        /// What was refused.
        what: &'static str,
        /// Why.
        because: String,
    },
}

impl PrepareError {
    /// The reason with which the request is denied.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            PrepareError::Containment { .. } | PrepareError::Machine { .. } => {
                Reason::ContainmentUnavailable
            }
            PrepareError::Limit { .. } => Reason::LimitNotEnforceable,
        }
    }
}
