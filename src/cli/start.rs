//! `lictor start`: a run that goes on when this program has ended, until its lease is over, somebody stops it, or the
//! process that owns it ends.
//!
//! There are two processes of this program. The one that was called starts the other, the supervisor, in a session of its
//! own, and waits for its word. The supervisor does what `run` does; the output goes to disk. It is all that has to live:
//! when it is killed, the containment ends the run, as it does for `run`.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::request::RequestArgs;
use super::{Failure, Global, approve, discover, print_json, run};
use crate::evidence::Event;
use crate::executor::{
    CancelToken, Observer, Started, Starter, Stream, Watched, be_detached, cancel_on_signals,
    cancelled_by, detach, session_of_terminal,
};
use crate::governor::long::output::Writer;
use crate::governor::long::{self, About, Ended, Held, Runs};
use crate::governor::{Governor, Long, Manner};
use crate::resolve::Job;

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Start {
    /// A name for the run, by which `logs` and `stop` know it
    #[arg(long, value_name = "NAME", value_parser = long::name)]
    name: String,
    /// How long it may go on, at most what the rule's `limits: {lease: …}` permits, and without that its `timeout`; else as
    /// long as that. The time that the machine sleeps counts
    #[arg(long, value_name = "TIME", value_parser = approve::age)]
    lease: Option<jiff::SignedDuration>,
    /// End it when this process ends; 0 for nobody. Else the leader of the session in front of the terminal, so that it ends
    /// when the terminal is closed, and nobody where there is no terminal
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(0..))]
    owner_pid: Option<i32>,
    /// Be the supervisor
    #[arg(long, hide = true)]
    supervise: bool,
    #[command(flatten)]
    request: RequestArgs,
}

const EXAMPLES: &str = "\
Examples:
  lictor start --name web --lease 2h -- npm run dev
  lictor logs -f web
  lictor list-runs
  lictor stop web

It returns when the command runs and that is on record, with 0; else as `run` does, with 126 if it is denied.";

pub(super) fn main(command: Start, global: &Global) -> Result<Exit, Failure> {
    match command.supervise {
        true => supervise(command, global),
        false => launch(global),
    }
}

/// Starts the supervisor, and passes on what it says.
fn launch(global: &Global) -> Result<Exit, Failure> {
    let mut words = discover::words();
    let end = words.iter().position(|word| word == "--");
    words.insert(end.unwrap_or(words.len()), OsString::from("--supervise"));
    let started = detach(&words)
        .map_err(|error| Failure::new(format!("the supervisor cannot be started: {error}")))?;
    let about: About = match started {
        Started::Running(text) => serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("the supervisor is not understood: {error}")))?,
        // It has said why.
        Started::Ended(code) => return Ok(Exit::Command(code)),
    };
    if global.json {
        print_json(&json!(about));
    } else {
        answer!(
            "{0} runs until {1} at the longest: lictor logs -f {0}, lictor stop {0}",
            about.name,
            about.until
        );
    }
    Ok(Exit::Command(0))
}

fn supervise(command: Start, global: &Global) -> Result<Exit, Failure> {
    // Before the session is left.
    let session = session_of_terminal();
    let starter = be_detached().map_err(|error| {
        Failure::new(format!(
            "`--supervise` is for `lictor start` itself: {error}"
        ))
    })?;
    let executors = run::executors(None);
    let governor = Governor::with_executors(discover::policy(global)?, &executors, None);
    let actor = discover::actor(global);
    let request = command.request.into_request(&actor, &governor)?;
    let cancel = CancelToken::new();
    let owner = Owner::watch(command.owner_pid, session, &cancel)?;
    // An error is told by the run, which opens it, too.
    let held = match governor.open_ledger() {
        Ok(()) => Some(hold(&governor, &command.name)?),
        Err(_) => None,
    };
    cancel_on_signals(&cancel)
        .map_err(|error| Failure::new(format!("signals cannot be watched: {error}")))?;
    let manner = Manner {
        long: Some(Long {
            name: command.name.clone(),
            lease: command.lease.map(jiff::SignedDuration::unsigned_abs),
        }),
        ..Manner::default()
    };
    let mut supervised = Supervised {
        cancel,
        owner,
        output: held.as_ref().map(|held| Writer::new(held.directory())),
        held,
        starter: Some(starter),
        about: None,
        name: command.name,
        actor: actor.clone(),
        failed: None,
    };
    let context = governor.context(&actor);
    let ran = governor.run_as(&request, &context, &manner, &mut supervised);
    let Supervised {
        held,
        starter,
        about,
        failed,
        ..
    } = supervised;
    if let (Some(held), Some(mut about), Some(evidence)) = (&held, about, &ran.evidence) {
        about.ended = Some(Ended::of(evidence, ran.recorded));
        // The record has it in any case.
        let _ = held.note(&about);
    }
    if let Some(held) = held {
        held.give_back();
    }
    // Whoever has started it has got its answer, or waits for the exit code.
    if starter.is_some() {
        if let Some(why) = failed {
            message!("lictor: {why}");
        }
        run::report(&ran, &governor, global.json);
    }
    Ok(run::exit(&ran))
}

/// Takes the name.
fn hold(governor: &Governor, name: &str) -> Result<Held, Failure> {
    let held = Runs::of(governor.ledger_path()).take(name);
    let held = held.map_err(|error| {
        Failure::new(format!(
            "run `{name}` cannot be noted beside the ledger: {error}"
        ))
    })?;
    held.ok_or_else(|| {
        Failure::new(format!(
            "a run named `{name}` goes on\n  help: `lictor stop {name}` ends it; or choose another name"
        ))
    })
}

/// The process with which a run ends.
#[derive(Debug, Default)]
struct Owner {
    pid: Option<i32>,
    is_gone: Arc<AtomicBool>,
}

impl Owner {
    /// Watches the process that is named, else the leader of the terminal's session.
    fn watch(
        named: Option<i32>,
        session: Option<i32>,
        cancel: &CancelToken,
    ) -> Result<Owner, Failure> {
        let Some(pid) = named.or(session).filter(|pid| *pid != 0) else {
            return Ok(Owner::default());
        };
        let watched = Watched::of(pid)
            .map_err(|error| Failure::new(format!("--owner-pid: process {pid}: {error}")))?;
        let owner = Owner {
            pid: Some(pid),
            is_gone: Arc::default(),
        };
        let (is_gone, cancel) = (Arc::clone(&owner.is_gone), cancel.clone());
        let watching = move || {
            while !watched.ends_within(A_DAY) {}
            is_gone.store(true, Ordering::SeqCst);
            cancel.cancel();
        };
        std::thread::Builder::new()
            .spawn(watching)
            .map_err(|error| Failure::new(format!("--owner-pid cannot be watched: {error}")))?;
        Ok(owner)
    }
}

/// A `poll` takes no more than some weeks.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Takes a long run's output down, and tells whoever has started it.
struct Supervised {
    cancel: CancelToken,
    owner: Owner,
    held: Option<Held>,
    output: Option<Writer>,
    /// Taken when it was told.
    starter: Option<Starter>,
    about: Option<About>,
    name: String,
    actor: String,
    /// Why the run was cancelled before anybody knew of it.
    failed: Option<String>,
}

impl Supervised {
    fn give_up(&mut self, what: &str, why: &dyn std::fmt::Display) {
        self.failed = Some(format!("{what}: {why}"));
        self.cancel.cancel();
    }
}

impl Observer for Supervised {
    fn admitted(&mut self, job: &Job) {
        let now = jiff::Timestamp::now();
        let lease = job.limits.timeout;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let words = job.argv.iter();
        let about = About {
            v: 1,
            name: self.name.clone(),
            run: job.run.to_string(),
            argv: words.map(|word| word.to_string_lossy().into()).collect(),
            actor: self.actor.clone(),
            pid: std::process::id(),
            started: long::text(now),
            lease_ms: ms(lease),
            until: long::text(now.checked_add(lease).unwrap_or(jiff::Timestamp::MAX)),
            grace_ms: ms(job.limits.grace),
            owner_pid: self.owner.pid,
            ended: None,
        };
        let begun = self.held.as_ref().map(|held| held.begin(&about));
        self.about = Some(about);
        if let Some(Err(error)) = begun {
            self.give_up("the run cannot be noted beside the ledger", &error);
        }
    }

    fn started(&mut self) {
        if self.failed.is_some() {
            return;
        }
        if let (Some(starter), Some(about)) = (self.starter.take(), &self.about)
            && let Err(error) = starter.tell(&format!("{}\n", json!(about)))
        {
            self.give_up("whoever started the run is gone", &error);
        }
    }

    fn output(&mut self, _: Stream, bytes: &[u8]) {
        if let Some(output) = &mut self.output {
            output.push(bytes);
        }
    }

    fn events(&mut self) -> Vec<Event> {
        let dropped = self.output.as_ref().and_then(Writer::dropped);
        let dropped = dropped.map(|(count, why)| {
            let about =
                format!("{count} bytes of output could not be kept for `lictor logs`: {why}");
            Event::new("LOG_INCOMPLETE", about)
        });
        let why = match (&self.failed, cancelled_by()) {
            (Some(why), _) => Some(Event::new("NOT_TOLD", why.as_str())),
            _ if self.owner.is_gone.load(Ordering::SeqCst) => {
                let pid = self.owner.pid.unwrap_or_default();
                let about = format!("process {pid}, with which the run was to end, has ended");
                Some(Event::new("OWNER_GONE", about))
            }
            (None, Some(signal)) => {
                let about = format!("the supervisor was told to end, by signal {signal}");
                Some(Event::new("STOPPED", about))
            }
            (None, None) => None,
        };
        dropped.into_iter().chain(why).collect()
    }

    fn cancellation(&self) -> Option<CancelToken> {
        Some(self.cancel.clone())
    }
}
