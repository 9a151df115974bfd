//! `lictor ledger show`: prints the record.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::unreadable;
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global};
use crate::ledger::RunId;
use crate::ledger::show::{self, Filter, Shown};
use crate::reason::Reason;

#[derive(Args, Debug)]
pub(super) struct Show {
    /// Only this run
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Only decisions with this reason code
    #[arg(long, value_name = "CODE")]
    reason: Option<Reason>,
    /// Only entries from this time on
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only entries up to this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

pub(super) fn main(show: Show, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let mut filter = Filter::default();
    let time = |text: Option<String>, flag: &str| match text {
        None => Ok(None),
        Some(text) => show::time(&text).map(Some).ok_or_else(|| {
            Failure::new(format!(
                "`{flag} {}` is no time; write 2027-01-31 or 2027-01-31T12:00:00Z",
                text.escape_debug()
            ))
        }),
    };
    filter.run = show.run;
    filter.actor = global.actor.clone();
    filter.reason = show.reason.map(|reason| reason.code().to_owned());
    filter.from = time(show.from, "--from")?;
    filter.to = time(show.to, "--to")?;
    let failed = unreadable(directory);
    let Some(entries) = show::show(directory, filter).map_err(&failed)? else {
        return Err(Failure::new(format!(
            "there is no ledger in `{}`",
            directory.display()
        )));
    };
    let mut unreadable = false;
    for shown in entries {
        let shown = shown.map_err(&failed)?;
        unreadable |= shown.entry.is_err();
        let line = if global.json {
            Some(json_line(&shown))
        } else {
            human_line(&shown)
        };
        if let Some(line) = line
            && writeln!(std::io::stdout(), "{line}").is_err()
        {
            // Whoever reads has seen enough.
            break;
        }
    }
    Ok(if unreadable { Exit::Bad } else { Exit::Good })
}

fn json_line(shown: &Shown) -> String {
    match &shown.entry {
        Ok(entry) => entry.json.clone(),
        Err(malformed) => json!({
            "v": 1, "unreadable": malformed.to_string(), "segment": shown.segment, "line": shown.line, "byte": shown.byte,
        })
        .to_string(),
    }
}

fn human_line(shown: &Shown) -> Option<String> {
    match &shown.entry {
        Ok(entry) => Some(entry.summary()),
        Err(malformed) => Some(format!(
            "{} line {}: cannot be read: {malformed}",
            shown.segment, shown.line
        )),
    }
}
