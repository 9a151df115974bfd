//! The promises of a backend, as tests that any backend can run.
//!
//! ```no_run
//! use lictor::executor::{Posix, contract};
//!
//! lictor::executor::init();
//! contract::check_any(&Posix::new());
//! contract::check_local(&Posix::new());
//! ```
//!
//! [`ANY`] holds for every backend, [`LOCAL`] for those whose commands are processes of this machine. A backend that lacks a
//! level or a limit must refuse it while preparing; what it accepts it must keep.
//!
//! The functions here run commands without a permit. That is what the feature `contract` is for, and why it belongs into
//! `dev-dependencies` only.

#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    reason = "these functions are tests: they fail by panicking"
)]

use std::path::PathBuf;
use std::time::Duration;

use crate::evidence::Evidence;
use crate::executor::{CancelToken, Directory, Executor, Job, Observer, Prepared, Stream};

mod any;
mod local;

pub use any::ANY;
pub use local::LOCAL;

/// A promise: its number and name, and a function that panics if the backend breaks it.
pub type Promise = (&'static str, fn(&dyn Executor));

/// Checks the promises of every backend. Panics at the first broken one.
pub fn check_any(executor: &dyn Executor) {
    check(ANY, executor);
}

/// Checks the promises that only a local backend makes. Panics at the first broken one.
pub fn check_local(executor: &dyn Executor) {
    check(LOCAL, executor);
}

fn check(promises: &[Promise], executor: &dyn Executor) {
    for (name, promise) in promises {
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| promise(executor)));
        if checked.is_err() {
            panic!("the executor breaks promise {name}");
        }
    }
}

/// A job that runs `argv` in `/`, with short limits and a small environment. `argv[0]` is the program.
#[must_use]
pub fn job(argv: &[&str]) -> Job {
    let root = Directory::open("/");
    let made = root.and_then(Job::of_nothing);
    let mut job = made.unwrap_or_else(|error| panic!("a job in /: {error}"));
    job.program = PathBuf::from(argv.first().copied().unwrap_or_default());
    job.argv = argv.iter().map(Into::into).collect();
    job.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    job.limits.timeout = Duration::from_secs(60);
    job
}

/// A job that runs a shell script.
#[must_use]
pub fn shell(script: &str) -> Job {
    job(&["/bin/sh", "-c", script])
}

/// Prepares and runs, without a permit: for tests of backends only.
pub fn run(executor: &dyn Executor, job: &Job, observer: &mut dyn Observer) -> Evidence {
    Prepared::new(executor, job)
        .unwrap_or_else(|error| panic!("prepare: {error}"))
        .start(job, observer)
}

/// Cancels once some output contains a word, and remembers how much has arrived until then.
#[derive(Debug)]
struct CancelOn {
    word: &'static [u8],
    seen: Vec<u8>,
    token: CancelToken,
    times: u32,
}

impl CancelOn {
    fn new(word: &'static [u8], times: u32) -> CancelOn {
        CancelOn {
            word,
            seen: Vec::new(),
            token: CancelToken::new(),
            times,
        }
    }
}

impl Observer for CancelOn {
    fn output(&mut self, _stream: Stream, bytes: &[u8]) {
        self.seen.extend_from_slice(bytes);
        if self
            .seen
            .windows(self.word.len())
            .any(|window| window == self.word)
        {
            for _ in 0..self.times {
                self.token.cancel();
            }
            self.times = 0;
        }
    }
    fn cancellation(&self) -> Option<CancelToken> {
        Some(self.token.clone())
    }
}

fn text(evidence: &Evidence) -> String {
    evidence.stdout.text.to_lossy()
}
