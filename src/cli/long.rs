//! `lictor logs`, `stop` and `list-runs`: long runs, from outside of them.
//!
//! They find a run by its name beside the ledger, and need no word of the policy but where that is.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::{Failure, Global, discover, print, print_json};
use crate::evidence::Status;
use crate::executor::Holder;
use crate::governor::Governor;
use crate::governor::long::output::{Piece, Reader};
use crate::governor::long::{self, Ended, Found, Runs};
use crate::text::{one_line, shell};

#[derive(Args, Debug)]
#[command(after_help = LOGS_EXAMPLES)]
pub(super) struct Logs {
    /// The run
    #[arg(value_name = "NAME", value_parser = long::name)]
    name: String,
    /// Go on with what comes, until the run has ended
    #[arg(short, long)]
    follow: bool,
    /// The bytes as the command wrote them. Else characters that act on a terminal are escaped
    #[arg(long)]
    raw: bool,
}

const LOGS_EXAMPLES: &str = "\
Examples:
  lictor logs web
  lictor logs -f web
  lictor logs --raw web > web.log

The last 8 MiB are kept, standard output and standard error in the order in which lictor read them.";

#[derive(Args, Debug)]
#[command(after_help = STOP_EXAMPLES)]
pub(super) struct Stop {
    /// The run
    #[arg(value_name = "NAME", value_parser = long::name)]
    name: String,
}

const STOP_EXAMPLES: &str = "\
Examples:
  lictor stop web

Exit codes: 0 it has ended, and that is on record; 1 it has ended, and that is not on record, or processes may be left;
2 there is no such run, or it could not be ended.";

#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct ListRuns {}

const LIST_EXAMPLES: &str = "\
Examples:
  lictor list-runs
  lictor --json list-runs";

/// Interval at which it is looked for more output.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Time beyond its grace period for a supervisor to end its run and record that: a disk may be slow.
const LAST_TIME: Duration = Duration::from_secs(15);

fn runs(global: &Global) -> Result<Runs, Failure> {
    let ledger: PathBuf = match &global.ledger {
        Some(directory) => directory.clone(),
        None => discover::policy(global)?.ledger,
    };
    Ok(Runs::of(&ledger))
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(format!(
        "what is noted of long runs cannot be read: {error}"
    ))
}

fn find(runs: &Runs, name: &str) -> Result<Found, Failure> {
    let found = runs.get(name).map_err(|error| unreadable(&error))?;
    found.ok_or_else(|| {
        let all = runs.all().unwrap_or_default();
        let names: Vec<String> = all.into_iter().map(|found| found.about.name).collect();
        let there = match names.is_empty() {
            true => {
                "there are none in this ledger; `--policy` or `--ledger` names another".to_owned()
            }
            false => format!("there are {}", names.join(", ")),
        };
        Failure::new(format!("no long run is named `{name}`\n  help: {there}"))
    })
}

pub(super) fn logs(command: &Logs, global: &Global) -> Result<Exit, Failure> {
    let runs = runs(global)?;
    let found = find(&runs, &command.name)?;
    let mut reader = Reader::new(&found.directory);
    // The beginning of a character whose end was not read yet.
    let mut begun = Vec::new();
    loop {
        // Asked before reading: what it wrote until then is read after.
        let is_over = match &found.supervisor {
            Some(Holder::Here(supervisor)) if command.follow => {
                supervisor.ends_within(Duration::ZERO)
            }
            Some(Holder::Elsewhere) if command.follow => {
                !find(&runs, &command.name)?.state().eq("RUNNING")
            }
            Some(_) | None => true,
        };
        loop {
            let bytes = match reader.next().map_err(|error| unreadable(&error))? {
                Piece::Bytes(bytes) => bytes,
                Piece::LeftOut(count) => format!("[... {count} bytes left out ...]\n").into_bytes(),
                Piece::End => break,
            };
            let done = match command.raw {
                true => print::passed_through(&bytes),
                false => {
                    begun.extend_from_slice(&bytes);
                    let text = whole(&mut begun);
                    print::passed_through(crate::text::printable(&text).as_bytes())
                }
            };
            if done.is_err() {
                // Its reader has seen enough, or the loss is told at the end.
                return Ok(Exit::Good);
            }
        }
        if is_over {
            break;
        }
        match &found.supervisor {
            Some(Holder::Here(supervisor)) => {
                supervisor.ends_within(LOOK_AGAIN);
            }
            Some(Holder::Elsewhere) | None => std::thread::park_timeout(LOOK_AGAIN),
        }
    }
    let rest = String::from_utf8_lossy(&begun);
    let _ = print::passed_through(crate::text::printable(&rest).as_bytes());
    if command.follow {
        let found = find(&runs, &command.name)?;
        message!("lictor: {}", ending(&found));
    }
    Ok(Exit::Good)
}

/// Takes the text out of `bytes`, but for a character at the end that is not whole.
fn whole(bytes: &mut Vec<u8>) -> String {
    let cut = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    // Bytes that are no text at all end in one, too.
    let cut = if bytes.len().saturating_sub(cut) > 3 {
        bytes.len()
    } else {
        cut
    };
    let rest = bytes.split_off(cut);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

pub(super) fn stop(command: &Stop, global: &Global) -> Result<Exit, Failure> {
    let runs = runs(global)?;
    let name = &command.name;
    let found = find(&runs, name)?;
    match &found.supervisor {
        None => {}
        Some(Holder::Elsewhere) => {
            return Err(Failure::new(format!(
                "run `{name}` goes on in another PID namespace or on another machine: stop it from there"
            )));
        }
        Some(Holder::Here(supervisor)) => {
            supervisor.ask_to_end().map_err(|error| {
                Failure::new(format!(
                    "the supervisor of run `{name}` cannot be told to end: {error}"
                ))
            })?;
            let time = Duration::from_millis(found.about.grace_ms).saturating_add(LAST_TIME);
            if !supervisor.ends_within(time) {
                return Err(Failure::new(format!(
                    "run `{name}` has not ended within {time:?}; its supervisor is process {}",
                    found.about.pid
                )));
            }
        }
    }
    let mut found = find(&runs, name)?;
    if found.about.ended.is_none() {
        let recorded = Governor::new(discover::policy(global)?).record_lost(name);
        runs.note_lost(&mut found, recorded.is_ok())
            .map_err(|error| unreadable(&error))?;
    }
    let is_good = |ended: &Ended| ended.recorded && ended.clean;
    let is_good = found.about.ended.as_ref().is_some_and(is_good);
    match global.json {
        true => print_json(&to_json(&found)),
        false => answer!("{}", one_line(&ending(&found))),
    }
    Ok(if is_good { Exit::Good } else { Exit::Bad })
}

pub(super) fn list(global: &Global) -> Result<Exit, Failure> {
    let all = runs(global)?.all().map_err(|error| unreadable(&error))?;
    if global.json {
        let all: Vec<Json> = all.iter().map(to_json).collect();
        print_json(&json!({"v": 1, "runs": all}));
        return Ok(Exit::Good);
    }
    if all.is_empty() {
        answer!("no long run; `lictor start --name NAME -- COMMAND` starts one");
    }
    for found in &all {
        let about = &found.about;
        let words = about.argv.iter().map(|word| shell(word.as_bytes()));
        let words: Vec<String> = words.collect();
        answer!("{}: {}", one_line(&ending(found)), words.join(" "));
    }
    Ok(Exit::Good)
}

/// State of a run, in one line.
fn ending(found: &Found) -> String {
    let about = &found.about;
    let (name, state) = (&about.name, found.state());
    match &about.ended {
        None if found.supervisor.is_some() => format!(
            "{name} {state} since {} until {} at the longest",
            about.started, about.until
        ),
        None => format!(
            "{name} {state}: its supervisor is gone; it was started at {}",
            about.started
        ),
        Some(ended) => {
            let code = match (ended.exit_code, ended.signal) {
                (Some(code), _) => format!(" with exit code {code}"),
                (None, Some(signal)) => format!(" by signal {signal}"),
                (None, None) => String::new(),
            };
            let mut text = match state == Status::Lost.code() {
                true => format!(
                    "{name} {state}: its supervisor is gone, found at {}",
                    ended.at
                ),
                false => format!(
                    "{name} {state}{code} after {} s, at {}",
                    ended.duration_ms / 1000,
                    ended.at
                ),
            };
            for event in &ended.events {
                text.push_str(&format!("; {} {}", event.what, event.about));
            }
            if !ended.recorded {
                text.push_str("; the end is not on record");
            }
            if !ended.clean {
                text.push_str("; it could not be shown that nothing is left");
            }
            text
        }
    }
}

fn to_json(found: &Found) -> Json {
    let mut json = json!(found.about);
    if let Json::Object(fields) = &mut json {
        fields.insert("state".to_owned(), json!(found.state()));
    }
    json
}
