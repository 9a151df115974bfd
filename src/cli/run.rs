//! `lictor run`: decides, records, runs, records.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Seek as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::print;
use super::request::RequestArgs;
use super::{Failure, Global, discover, granted, print_json};
use crate::decision::Effect;
use crate::evidence::{Event, Evidence, Input, Process, Status};
use crate::executor::{
    CancelToken, Executors, Flow, Observer, Posix, Stream, cancel_on_signals, cancelled_by,
    has_input, read_input, times_continued, wait_writable, was_closed,
};
use crate::governor::{Governor, Ran};
use crate::text::{escaped, indented};

#[derive(Args, Debug)]
pub(super) struct Run {
    /// Write the decision and the evidence to this new file, in JSON, and pass the command's output through
    #[arg(long, value_name = "FILE")]
    outcome: Option<PathBuf>,
    /// Read the outcome of tests from this file, in JUnit XML; an argument of the request has to name it
    #[arg(long, value_name = "FILE")]
    report_file: Option<OsString>,
    /// Read standard input to its end, and give it to the command; its length and SHA-256 are recorded. Without this the
    /// command finds it empty
    #[arg(long)]
    stdin: bool,
    /// Record the grant in this file first, with its signature in FILE.sig; see `lictor approve`
    #[arg(long, value_name = "FILE")]
    grant: Option<PathBuf>,
    /// Run with this executor, where the policy names none: `local`, or `dry-run`, which starts nothing
    #[arg(long, value_name = "NAME")]
    executor: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
}

impl Run {
    /// The option that is not for a line which somebody else completes, if there is one.
    pub(super) fn operators(&self) -> Option<&'static str> {
        let given = [
            (self.outcome.is_some(), "--outcome"),
            (self.grant.is_some(), "--grant"),
            (self.executor.is_some(), "--executor"),
            // Nobody decides on what it says.
            (self.stdin, "--stdin"),
        ];
        given.iter().find(|(is, _)| *is).map(|(_, name)| *name)
    }
}

/// The executors of this program, with the helper of the local one started: that takes as long as reading the policy.
pub(super) fn executors(wanted: Option<&str>) -> Executors {
    let local = Posix::new();
    if wanted.is_none() {
        local.start_helper_ahead();
    }
    Executors::shipped().with(Executors::DEFAULT, local)
}

pub(super) fn main(command: Run, global: &Global) -> Result<Exit, Failure> {
    let wanted = command.executor.as_deref();
    let executors = executors(wanted);
    let governor = Governor::with_executors(discover::policy(global)?, &executors, wanted);
    if let (Some(_), Err(error)) = (wanted, governor.executor()) {
        return Err(Failure::new(format!("--executor: {error}")));
    }
    let actor = discover::actor(global);
    let request = command.request.into_request(&actor, &governor)?;
    // Before anything runs: a place that cannot be written is a usage error, not a lost outcome.
    let outcome = match &command.outcome {
        Some(path) => {
            let new = governor.new_file(path, &discover::current_directory()?);
            Some(new.map_err(|why| unwritten(path, &why))?)
        }
        None => None,
    };
    if let Some(file) = &command.grant
        && let Err(failure) = super::approve::import(&governor, file, None)
    {
        // Not approved, which no other program's own code should be taken for.
        message!("{failure}");
        return Ok(Exit::Command(126));
    }
    let mut observer = PassThrough {
        cancel: CancelToken::new(),
        silent: global.json,
        input: command.stdin.then_some(None),
        out: Outlet::new(Stream::Stdout),
        err: Outlet::new(Stream::Stderr),
    };
    cancel_on_signals(&observer.cancel)
        .map_err(|error| Failure::new(format!("signals cannot be watched: {error}")))?;
    let context = governor.context(&actor);
    let report_file = command.report_file.as_deref().map(OsStr::as_bytes);
    let ran = governor.run_reporting(&request, &context, report_file, &mut observer);
    // It is on record. What is left to be told waits for its readers no longer than the run could have taken.
    let until = last_word(&ran);
    observer.flush(until);
    observer.drop_rest();
    print::wait_until(until);

    let kept = match (outcome, &command.outcome) {
        (Some(new), Some(path)) => {
            let text = format!("{}\n", super::json_line(&to_json(&governor, &ran)));
            new.keep(text.as_bytes(), 0o666)
                .map_err(|error| unwritten(path, &error))
        }
        _ => Ok(()),
    };
    report(&ran, &governor, global.json);
    if let Err(failure) = kept {
        failure.print();
        return Ok(Exit::Command(125));
    }
    Ok(exit(&ran))
}

/// Says what came of a request to run.
pub(super) fn report(ran: &Ran, governor: &Governor, as_json: bool) {
    if as_json {
        print_json(&to_json(governor, ran));
    } else {
        tell(ran, governor);
    }
    if let Some(error) = &ran.unrecorded_because {
        let what = if ran.evidence.is_some() {
            "outcome"
        } else {
            "decision"
        };
        message!("lictor: the {what} is not recorded: {error}");
        discover::tell_ledger(governor.ledger_path());
    }
}

/// The exit code of a request to run.
pub(super) fn exit(ran: &Ran) -> Exit {
    match &ran.evidence {
        Some(evidence) => Exit::of_run(evidence, ran.recorded),
        None => match cancelled_by() {
            Some(signal) => Exit::Signal(signal),
            None => Exit::of_refusal(&ran.decision),
        },
    }
}

fn unwritten(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    let shown = path.display().to_string();
    Failure::new(format!(
        "the outcome cannot be written to `{}`: {why}",
        shown.escape_debug()
    ))
}

fn to_json(governor: &Governor, ran: &Ran) -> Json {
    json!({
        "v": 1,
        "decision": ran.decision.to_json(),
        "evidence": ran.evidence,
        "recorded": ran.recorded,
        "ledger": ran.entries.map(|(first, last)| json!({
            "path": governor.ledger_path().display().to_string(),
            "first": first,
            "last": last,
        })),
    })
}

/// The time until which readers are waited for: the call returns 2 s after timeout and grace at the latest.
fn last_word(ran: &Ran) -> Instant {
    const AFTER_ALL: Duration = Duration::from_millis(1200);
    let now = Instant::now();
    let left = match (&ran.evidence, ran.decision.terms()) {
        // Whoever has cancelled it waits for the end.
        (Some(evidence), _) if evidence.status == Status::Cancelled => HELD_UP_TIME,
        (Some(evidence), Some(terms)) => terms
            .limits
            .timeout
            .saturating_add(terms.limits.grace)
            .saturating_add(AFTER_ALL)
            .saturating_sub(Duration::from_millis(evidence.duration_ms)),
        _ => AFTER_ALL,
    };
    now.checked_add(left).unwrap_or(now)
}

/// Time for a reader that is only slow, before it is noted that it held the run up.
const HELD_UP_TIME: Duration = Duration::from_millis(100);

/// Passes output on as it comes. Never waits for who reads it: what cannot be passed on yet is kept, and the stream held
/// up.
struct PassThrough {
    cancel: CancelToken,
    silent: bool,
    /// The standard input of the command: none, not read yet, or read.
    input: Option<Option<(OwnedFd, Input)>>,
    out: Outlet,
    err: Outlet,
}

/// One stream, and what of it was not passed on yet.
struct Outlet {
    stream: Stream,
    to: Box<dyn AsFd>,
    kept: Vec<u8>,
    /// Nobody reads it any more.
    closed: bool,
}

impl Outlet {
    fn new(stream: Stream) -> Outlet {
        Outlet {
            to: print::descriptor_of(stream),
            stream,
            kept: Vec::new(),
            closed: false,
        }
    }

    fn pass_on(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        let done = match self.kept.is_empty() {
            true => self.written(bytes),
            false => 0,
        };
        self.kept
            .extend_from_slice(bytes.get(done..).unwrap_or_default());
    }

    fn go_on(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        let done = match kept.is_empty() {
            true => 0,
            false => self.written(&kept),
        };
        self.kept = kept;
        self.kept.drain(..done.min(self.kept.len()));
    }

    /// Returns how much of `bytes` is through with, all of it if nobody reads it.
    fn written(&mut self, bytes: &[u8]) -> usize {
        print::pass_on(self.stream, bytes).unwrap_or_else(|_| {
            self.closed = true;
            bytes.len()
        })
    }

    fn held_up(&self) -> Option<BorrowedFd<'_>> {
        (!self.kept.is_empty()).then(|| self.to.as_fd())
    }
}

impl PassThrough {
    /// Waits until everything is passed on, until then, or until somebody wants this program to end.
    fn flush(&mut self, until: Instant) {
        let was_cancelled = self.cancel.is_cancelled();
        loop {
            self.go_on();
            let held_up: Vec<_> = [&self.out, &self.err]
                .into_iter()
                .filter_map(Outlet::held_up)
                .collect();
            let is_enough = match was_cancelled {
                true => self.cancel.is_urgent(),
                false => self.cancel.is_cancelled(),
            };
            if held_up.is_empty() || is_enough || Instant::now() >= until {
                return;
            }
            let bell = match was_cancelled {
                true => self.cancel.urgent_fd(),
                false => self.cancel.as_fd(),
            };
            wait_writable(&held_up, bell, until);
        }
    }

    fn drop_rest(&mut self) {
        for outlet in [&mut self.out, &mut self.err] {
            let rest = std::mem::take(&mut outlet.kept);
            print::dropped(outlet.stream, rest.len());
        }
    }
}

impl Observer for PassThrough {
    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if self.silent {
            return;
        }
        match stream {
            Stream::Stdout => self.out.pass_on(bytes),
            Stream::Stderr => self.err.pass_on(bytes),
        }
    }

    fn flow(&self, stream: Stream) -> Flow<'_> {
        let outlet = match stream {
            Stream::Stdout => &self.out,
            Stream::Stderr => &self.err,
        };
        match outlet.held_up() {
            Some(until) => Flow::HeldUp(until),
            None if outlet.closed => Flow::Closed,
            None => Flow::Open,
        }
    }

    fn read_input(&mut self, most: u64) -> Result<Option<Input>, String> {
        let Some(input) = &mut self.input else {
            return Ok(None);
        };
        if most == 0 {
            return Err(
                "the policy permits no standard input (`limits: {stdin: none}`): leave --stdin out"
                    .to_owned(),
            );
        }
        if input.is_none() {
            let read = read_input(std::io::stdin().as_fd(), most, self.cancel.as_fd());
            let limit = "the rule's `limits: {stdin: …}` is the most that is passed on";
            *input =
                Some(read.map_err(|why| {
                    format!("standard input cannot be passed on: {why}; {limit}")
                })?);
        }
        Ok(input.as_ref().map(|(_, about)| about.clone()))
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        let (file, _) = self.input.as_ref()?.as_ref()?;
        Some(file.as_fd())
    }

    fn go_on(&mut self) {
        self.out.go_on();
        self.err.go_on();
    }

    fn events(&mut self) -> Vec<Event> {
        let soon = Instant::now().checked_add(HELD_UP_TIME);
        self.flush(soon.unwrap_or_else(Instant::now));
        let mut events = Vec::new();
        for outlet in [&self.out, &self.err]
            .into_iter()
            .filter(|outlet| !outlet.kept.is_empty())
        {
            let (name, count) = (print::name_of(outlet.stream), outlet.kept.len());
            let about =
                format!("the reader of {name} had not taken {count} bytes when the run was over");
            events.push(Event::new("OUTPUT_HELD_UP", about));
        }
        let times = times_continued();
        if times > 0 {
            let about = format!(
                "lictor was told to go on {times} times: if it was stopped, the command and the clock went on"
            );
            events.push(Event::new("CONTINUED", about));
        }
        events
    }

    fn cancellation(&self) -> Option<CancelToken> {
        Some(self.cancel.clone())
    }
}

/// Says on standard error what the command's own output does not.
fn tell(ran: &Ran, governor: &Governor) {
    let Some(evidence) = &ran.evidence else {
        message!(
            "lictor: {} {}",
            ran.decision.effect().word(),
            ran.decision.reason().map_or("", |reason| reason.code())
        );
        message!("  {}", indented(ran.decision.message()));
        for refused in ran.decision.refused_grants() {
            message!(
                "  grant `{}` does not count: {}",
                refused.grant,
                refused.why
            );
        }
        if ran.decision.more_refused_grants() > 0 {
            message!(
                "  {} older grants do not count either: `lictor approvals` lists them",
                ran.decision.more_refused_grants()
            );
        }
        for line in granted::question(&ran.decision, governor) {
            message!("  {line}");
        }
        if let Some(instead) = ran.decision.instead() {
            let word = match ran.decision.effect() {
                Effect::Ask => "to approve: ",
                Effect::Allow | Effect::Deny => "",
            };
            message!("  {word}{}", indented(instead));
        }
        if let Some(wider) = granted::wider(&ran.decision) {
            message!("  {wider}");
        }
        return;
    };
    let secs = format_args!(
        "{}.{:03} s",
        evidence.duration_ms / 1000,
        evidence.duration_ms % 1000
    );
    match evidence.status {
        Status::Pass | Status::Fail => {}
        Status::SpawnFailed => {
            message!(
                "lictor: the command could not be started: {}",
                evidence.error.as_deref().unwrap_or("unknown")
            );
        }
        Status::Signaled | Status::Timeout | Status::Cancelled | Status::Limit | Status::Lost => {
            let which = evidence
                .limit
                .as_ref()
                .map(|limit| format!(" {}", limit.escape_debug()))
                .unwrap_or_default();
            message!("lictor: {}{which} after {secs}", evidence.status.code());
        }
    }
    if was_given_input() {
        message!(
            "lictor: standard input was not passed on, the command found it empty: --stdin passes it on"
        );
    }
    tell_containment(evidence);
    for event in &evidence.events {
        message!("lictor: {} {}", event.what, event.about.escape_debug());
    }
    list("still running", &evidence.survivors);
    list("left behind and killed", &evidence.leaked);
    if !evidence.tree.is_empty() {
        message!("lictor: the processes when it was stopped:");
        message_part!("{}", crate::evidence::drawing(&evidence.tree));
    }
}

/// Returns true if somebody wrote or redirected something to standard input that is still there.
fn was_given_input() -> bool {
    if was_closed(0) {
        return false;
    }
    let Ok(stdin) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return false;
    };
    let mut file = File::from(stdin);
    match file.metadata() {
        Ok(about) if about.is_file() => file
            .stream_position()
            .is_ok_and(|position| position < about.len()),
        Ok(about) if about.file_type().is_fifo() || about.file_type().is_socket() => {
            has_input(file.as_fd())
        }
        _ => false,
    }
}

fn tell_containment(evidence: &Evidence) {
    let containment = &evidence.containment;
    if !containment.level.proves_end() && evidence.status != Status::SpawnFailed {
        message!(
            "lictor: contained by `{}`, which cannot show that nothing is left",
            containment.level.name().escape_debug()
        );
    } else if evidence.proof_failed() {
        message!("lictor: it could not be shown that nothing is left");
    }
}

fn list(what: &str, processes: &[Process]) {
    for process in processes {
        message!(
            "lictor: {what}: {} {}",
            process.pid,
            escaped(&process.command)
        );
    }
}
