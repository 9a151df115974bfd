//! `lictor run`: decides, records, runs, records.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::print::{Answers, Messages};
use super::quick::{self, Named};
use super::request::RequestArgs;
use super::{Failure, Global, discover, granted, print_json};
use crate::decision::Effect;
use crate::evidence::{EmptyProof, Evidence, Level, Process, Status};
use crate::executor::{CancelToken, Observer, Posix, Stream, cancel_on_signals};
use crate::governor::{Governor, Ran};

#[derive(Args, Debug)]
pub(super) struct Run {
    /// Write the decision and the evidence to this new file, in JSON, and pass the command's output through
    #[arg(long, value_name = "FILE")]
    outcome: Option<PathBuf>,
    /// Read the outcome of tests from this file, in JUnit XML; an argument of the request has to name it
    #[arg(long, value_name = "FILE")]
    report_file: Option<OsString>,
    /// Record the grant in this file first, with its signature in FILE.sig; see `lictor approve`
    #[arg(long, value_name = "FILE")]
    grant: Option<PathBuf>,
    #[command(flatten)]
    request: RequestArgs,
}

impl Run {
    /// The option that is not for a line which somebody else completes, if there is one.
    pub(super) fn operators(&self) -> Option<&'static str> {
        let given = [
            (self.outcome.is_some(), "--outcome"),
            (self.grant.is_some(), "--grant"),
        ];
        given.iter().find(|(is, _)| *is).map(|(_, name)| *name)
    }
}

/// What runs commands, with its helper started if the words of this command line look like a run: that takes
/// longer than to understand them. If they are none after all, a process was started for nothing.
pub(super) fn executor_ahead(words: &[OsString]) -> Posix {
    let executor = Posix::new();
    if quick::named(words) == Some(Named::Run) {
        executor.start_helper_ahead();
    }
    executor
}

pub(super) fn main(command: Run, global: &Global, executor: Posix) -> Result<Exit, Failure> {
    let governor = Governor::with_executor(discover::policy(global)?, Box::new(executor));
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
    };
    cancel_on_signals(&observer.cancel)
        .map_err(|error| Failure::new(format!("signals cannot be watched: {error}")))?;
    let context = governor.context(&actor);
    let report_file = command.report_file.as_deref().map(OsStr::as_bytes);
    let ran = governor.run_reporting(&request, &context, report_file, &mut observer);

    let kept = match (outcome, &command.outcome) {
        (Some(new), Some(path)) => {
            let text = format!("{}\n", to_json(&governor, &ran));
            new.keep(text.as_bytes(), 0o666)
                .map_err(|error| unwritten(path, &error))
        }
        _ => Ok(()),
    };
    if global.json {
        print_json(&to_json(&governor, &ran));
    } else {
        tell(&ran, &governor);
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
    if let Err(failure) = kept {
        message!("{failure}");
        return Ok(Exit::Command(125));
    }
    Ok(match &ran.evidence {
        Some(evidence) => Exit::of_run(evidence, ran.recorded),
        None => Exit::of_refusal(&ran.decision),
    })
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

/// Passes output on as it comes.
struct PassThrough {
    cancel: CancelToken,
    silent: bool,
}

impl Observer for PassThrough {
    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if self.silent {
            return;
        }
        // What cannot be passed on changes nothing about the run; it is told at the end.
        let _ = match stream {
            Stream::Stdout => Answers.write_all(bytes).and_then(|()| Answers.flush()),
            Stream::Stderr => Messages.write_all(bytes),
        };
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
        message!("  {}", ran.decision.message());
        for refused in ran.decision.refused_grants() {
            message!(
                "  grant `{}` does not count: {}",
                refused.grant,
                refused.why
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
            message!("  {word}{instead}");
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
                .map(|limit| format!(" ({})", limit.escape_debug()))
                .unwrap_or_default();
            message!("lictor: {}{which} after {secs}", evidence.status.code());
        }
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

fn tell_containment(evidence: &Evidence) {
    let containment = &evidence.containment;
    if containment.level == Level::ProcessGroup && evidence.status != Status::SpawnFailed {
        let why = containment
            .degraded_because
            .first()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        message!(
            "lictor: contained by a process group only: that nothing is left cannot be shown{why}"
        );
    } else if containment.empty_proof == EmptyProof::None && evidence.proof_failed() {
        message!("lictor: it could not be shown that nothing is left");
    }
}

fn list(what: &str, processes: &[Process]) {
    for process in processes {
        // It was escaped when it was looked at.
        message!("lictor: {what}: {} {}", process.pid, process.command);
    }
}
