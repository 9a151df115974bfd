//! An executor that runs commands on another machine, over the command line of OpenSSH. It uses lictor's public interface only.
//!
//! ```no_run
//! use executor_ssh::Ssh;
//! use lictor::executor::Executors;
//! use lictor::governor::{Governor, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let executors = Executors::shipped().with("builder", Ssh::new("builder.example.org"));
//! let here = std::env::current_dir()?;
//! let loaded = load("lictor.yaml".as_ref(), &here, &here.join("../state"))?;
//! // A policy chooses it with `defaults: {executor: builder}`, or the caller does, as here.
//! let governor = Governor::with_executors(loaded, &executors, Some("builder"));
//! # let _ = governor; Ok(()) }
//! ```
//!
//! # What it does
//!
//! Each run has a connection of its own. [`prepare`](Executor::prepare) starts a supervisor on the other machine (`supervisor.py`,
//! which needs Linux and Python 3.9 there, and nothing installed) and waits until it is ready; [`run`](Ready::run) tells it to go.
//! The supervisor keeps the deadline, whatever becomes of the connection: if that is lost, the run is cancelled. It adopts the
//! orphans of the command, kills whatever is left, and says how the run ended. That is also kept in a file there, by the name of
//! the run, which [`recover`](Executor::recover) reads.
//!
//! # What its evidence is worth
//!
//! The containment is called `ssh` and offers proof: [`EmptyProof::Attested`] by the supervisor, which then had no
//! descendant left. That is the word of a process of the same user. A command that kills its supervisor, or asks another
//! service of that machine (`at`, `systemd-run`, a container engine) to start something, leaves it: the first is seen (there is no
//! result: the run is `LOST`), the second is not. Give it a user of its own there.
//!
//! The directories of the workspace are those of the other machine at the same absolute paths. Lictor's checks of paths speak
//! about this machine; sharing or copying the workspace is not done here. No limit but time is enforced, and what the policy
//! hides or makes read-only is not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use lictor::evidence::{Containment, Evidence};
use lictor::executor::{
    Capabilities, Capture, Executor, Flow, Job, Lookup, Observer, PrepareError, Ready, Recovery,
    Stream,
};
use lictor::log::RunId;
use lictor::policy::terms::{Leaks, StopTarget};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

mod link;
mod result;

use link::Link;

/// Time that the supervisor has to be ready, and to give its result after the run has to be over: for ten seconds it tries to
/// kill what is left.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs commands on one machine.
#[derive(Clone, Debug)]
pub struct Ssh {
    host: String,
    options: Vec<OsString>,
    state: String,
}

impl Ssh {
    /// Runs commands on `host`, a name as `ssh` takes it: `user@machine`, or one of `~/.ssh/config`. Logging in must need no
    /// person.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Ssh {
        Ssh {
            host: host.into(),
            options: Vec::new(),
            state: "~/.local/state/lictor-ssh".to_owned(),
        }
    }

    /// Passes an option to `ssh`, for example `-p2222` or `-F`.
    #[must_use]
    pub fn option(mut self, option: impl Into<OsString>) -> Ssh {
        self.options.push(option.into());
        self
    }

    /// Keeps the states of runs in this directory of the other machine.
    #[must_use]
    pub fn state_in(mut self, directory: impl Into<String>) -> Ssh {
        self.state = directory.into();
        self
    }
}

impl Executor for Ssh {
    fn capabilities(&self) -> Capabilities {
        // No level of this machine, and no limit but time.
        Capabilities::default()
    }

    fn prepare(&self, job: &Job) -> Result<Box<dyn Ready>, PrepareError> {
        job.limits.only(&[])?;
        let refused = |because| PrepareError::Machine {
            what: "a supervisor on the other machine",
            because,
        };
        let mut link = Link::open(self, &["run"]).map_err(refused)?;
        link.send(b'j', &fields(job)).map_err(refused)?;
        match link.wait_for(PATIENCE).map_err(refused)? {
            (b'y', _) => Ok(Box::new(Run {
                link,
                containment: result::containment(),
            })),
            (_, why) => Err(refused(String::from_utf8_lossy(&why).into_owned())),
        }
    }

    fn program(&self, name: &str) -> Lookup {
        match link::ask(self, &["program", name]) {
            Err(why) => Lookup::NotFound(why),
            Ok(answer) => match answer.trim_end().split_once(' ') {
                Some(("found", path)) => Lookup::Found(path.into()),
                Some((_, why)) => Lookup::NotTrusted(format!("{why} on `{}`", self.host)),
                None => Lookup::NotFound(format!("`{}` has no program `{name}`", self.host)),
            },
        }
    }

    fn recover(&self, run: RunId) -> Recovery {
        match link::ask(self, &["recover", &run.to_string()]) {
            // Nobody can tell now, so that the run stays open.
            Err(_) => Recovery::Running,
            Ok(answer) => match answer.lines().next() {
                Some("unknown") => Recovery::Unknown,
                Some("ended") => match result::evidence(&answer) {
                    Some(evidence) => Recovery::Ended(Box::new(evidence)),
                    None => Recovery::Unknown,
                },
                _ => Recovery::Running,
            },
        }
    }
}

/// A supervisor that waits for the word to go. Dropping it closes the connection: it then starts nothing.
#[derive(Debug)]
struct Run {
    link: Link,
    containment: Containment,
}

impl Ready for Run {
    fn containment(&self) -> &Containment {
        &self.containment
    }

    fn run(&mut self, job: &Job, observer: &mut dyn Observer) -> Evidence {
        match self.attend(job, observer) {
            Ok(evidence) => evidence,
            Err(why) => Evidence::lost(self.containment.clone(), why),
        }
    }
}

impl Run {
    /// Lets the command start, passes its output on and cancellations back, until there is a result.
    fn attend(&mut self, job: &Job, observer: &mut dyn Observer) -> Result<Evidence, String> {
        if let Some(input) = observer.input() {
            self.send_input(input, job.limits.stdin_bytes)?;
        }
        self.link.send(b'g', &[])?;
        let bounds = job.limits.timeout.saturating_add(job.limits.grace);
        // Until then a reader that is held up may hold the run up, too.
        let over = Instant::now() + bounds;
        let late = over + PATIENCE;
        let new = || Capture::new(job.limits.output_bytes, job.limits.keep);
        let (mut stdout, mut stderr) = (new(), new());
        let token = observer.cancellation();
        let (mut asked, mut killed, mut closed) = (false, false, Vec::new());
        loop {
            let now = Instant::now();
            for stream in [Stream::Stdout, Stream::Stderr] {
                let is_closed = matches!(observer.flow(stream), Flow::Closed);
                if is_closed && !closed.contains(&stream) {
                    closed.push(stream);
                    self.link.send(b'q', &[letter(stream)])?;
                }
            }
            while now >= over || held_up(observer).is_none() {
                let Some((kind, body)) = self.link.frame() else {
                    break;
                };
                match kind {
                    b'o' => {
                        stdout.push(&body);
                        observer.output(Stream::Stdout, &body);
                    }
                    b'e' => {
                        stderr.push(&body);
                        observer.output(Stream::Stderr, &body);
                    }
                    _ => {
                        let text = String::from_utf8_lossy(&body);
                        let evidence = result::evidence(&text);
                        let mut evidence = evidence.ok_or("the supervisor's result is garbled")?;
                        evidence.stdout = stdout.finish(evidence.stdout.held_open);
                        evidence.stderr = stderr.finish(evidence.stderr.held_open);
                        return Ok(evidence);
                    }
                }
            }
            if let Some(token) = &token {
                if token.is_cancelled() && !asked {
                    asked = true;
                    self.link.send(b'c', &[])?;
                }
                if token.is_urgent() && !killed {
                    killed = true;
                    self.link.send(b'k', &[])?;
                }
            }
            if now >= late {
                return Err("the supervisor gave no result in time".to_owned());
            }
            let held = if now < over { held_up(observer) } else { None };
            let bell = token.as_ref().and_then(|token| match asked {
                false => token.as_fd(),
                true if !killed => token.urgent_fd(),
                true => None,
            });
            let mut fds = Vec::with_capacity(2);
            match held {
                Some(reader) => fds.push(PollFd::from_borrowed_fd(reader, PollFlags::OUT)),
                None => fds.push(PollFd::from_borrowed_fd(self.link.output(), PollFlags::IN)),
            }
            fds.extend(bell.map(|bell| PollFd::from_borrowed_fd(bell, PollFlags::IN)));
            let mut most = if now < over { over - now } else { late - now };
            if token.is_some() && bell.is_none() && !killed {
                most = most.min(Duration::from_millis(50));
            }
            wait(&mut fds, most);
            let is_ready = fds.first().is_some_and(|fd| !fd.revents().is_empty());
            let was_held = held.is_some();
            drop(fds);
            if is_ready && was_held {
                observer.go_on();
            } else if is_ready {
                self.link.fill()?;
            }
        }
    }

    fn send_input(&mut self, input: BorrowedFd<'_>, most: u64) -> Result<(), String> {
        let copy = input.try_clone_to_owned();
        let mut file = File::from(copy.map_err(|error| error.to_string())?).take(most);
        let mut chunk = vec![0; 1 << 16];
        // Also if it is empty: it is given then.
        self.link.send(b'i', &[])?;
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => self
                    .link
                    .send(b'i', chunk.get(..read).unwrap_or_default())?,
                Err(error) => return Err(format!("the input cannot be read: {error}")),
            }
        }
    }
}

fn letter(stream: Stream) -> u8 {
    match stream {
        Stream::Stdout => b'o',
        Stream::Stderr => b'e',
    }
}

/// A reader that takes nothing now.
fn held_up(observer: &dyn Observer) -> Option<BorrowedFd<'_>> {
    [Stream::Stdout, Stream::Stderr]
        .into_iter()
        .find_map(|stream| match observer.flow(stream) {
            Flow::HeldUp(reader) => Some(reader),
            Flow::Open | Flow::Closed => None,
        })
}

fn wait(fds: &mut [PollFd<'_>], most: Duration) {
    // No single wait is longer than a minute: what `poll` takes is bounded. Interrupted or not, everything is looked at next.
    let most = Timespec::try_from(most.min(Duration::from_secs(60)));
    let _ = poll(fds, most.ok().as_ref());
}

/// The job, as the supervisor reads it: fields behind each other with a NUL byte after each.
fn fields(job: &Job) -> Vec<u8> {
    let number = |number: u128| number.to_string().into_bytes();
    let count = |count: usize| count.to_string().into_bytes();
    let mut fields = vec![
        job.run.to_string().into_bytes(),
        bytes(&job.program),
        bytes(job.directory.path()),
        number(job.limits.timeout.as_millis()),
        number(job.limits.grace.as_millis()),
        job.stop.signal.to_string().into_bytes(),
        match job.stop.to {
            StopTarget::Leader => b"leader".to_vec(),
            _ => b"all".to_vec(),
        },
        match job.leaks {
            Leaks::Fail => b"yes".to_vec(),
            _ => b"no".to_vec(),
        },
        count(job.argv.len()),
    ];
    fields.extend(job.argv.iter().map(bytes));
    fields.push(count(job.env.len()));
    let pairs = job.env.iter();
    fields.extend(pairs.map(|(name, value)| [&bytes(name), &b"="[..], &bytes(value)].concat()));
    let mut ended = fields.join(&0);
    ended.push(0);
    ended
}

fn bytes(text: impl AsRef<OsStr>) -> Vec<u8> {
    text.as_ref().as_bytes().to_vec()
}
