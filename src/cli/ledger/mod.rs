//! `lictor ledger`: looks at the record and checks it.

#![forbid(unsafe_code)]

mod calls;
mod export;
mod file;
mod lines;
mod proofs;
mod select;
mod show;
mod stats;
mod tail;
mod verify;

use std::path::Path;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::{Failure, Global, discover};
use crate::log::proof::ProofError;

#[derive(Args, Debug)]
pub(super) struct Ledger {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Check that the record is whole, and say what that does not prove
    Verify(verify::Verify),
    /// Print the record; `--actor` names whose
    Show(show::Show),
    /// Print the last entries, and with `-f` those that come
    Tail(tail::TailArgs),
    /// Count endings, timeouts, kills, leaks and denials
    Stats(stats::StatsArgs),
    /// List the calls of agents' tools, with what was seen of their end
    Calls(calls::CallsArgs),
    /// Print a signed checkpoint to keep elsewhere: with it, later changes of what is there now are found
    Anchor(proofs::Anchor),
    /// Write a proof that an entry is in the record, which `check-proof` and other programs check
    Prove(proofs::Prove),
    /// Check a proof of an entry
    CheckProof(proofs::CheckProof),
    /// Write the record for other programs: tiles that they check, lines, or events for a SIEM
    Export(export::Export),
    /// Make everything anew that is made from the record: `checkpoint`, `state`, tiles
    Reindex(proofs::Reindex),
    /// The key that signs the record
    Key(proofs::Key),
}

pub(super) fn main(ledger: Ledger, global: &Global) -> Result<Exit, Failure> {
    // A proof is checked without a ledger, and without a policy that names one.
    if let Command::CheckProof(args) = &ledger.command {
        return proofs::check_proof(args, global);
    }
    let directory = match &global.ledger {
        Some(directory) => directory.clone(),
        None => discover::policy(global)?.ledger,
    };
    match ledger.command {
        Command::Verify(args) => verify::main(&args, &directory, global),
        Command::Show(args) => show::main(&args, &directory, global),
        Command::Tail(args) => tail::main(&args, &directory, global),
        Command::Stats(args) => stats::main(&args, &directory, global),
        Command::Calls(args) => calls::main(&args, &directory, global),
        Command::Anchor(args) => proofs::anchor(&args, &directory, global),
        Command::Prove(args) => proofs::prove(&args, &directory),
        Command::CheckProof(args) => proofs::check_proof(&args, global),
        Command::Export(args) => export::main(&args, &directory, global),
        Command::Reindex(args) => proofs::reindex(&args, &directory, global),
        Command::Key(args) => proofs::key(&args, &directory, global),
    }
}

/// A path for a terminal: what a name holds is never acted on.
fn named(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

/// Why a ledger could not be looked at.
fn unreadable(directory: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| {
        Failure::new(format!(
            "ledger `{}` cannot be read: {error}",
            named(directory)
        ))
    }
}

fn said(directory: &Path, error: &ProofError) -> Failure {
    if matches!(error, ProofError::Missing) {
        return missing(directory);
    }
    Failure::new(format!("ledger `{}`: {error}", named(directory)))
}

fn warn_of(unread: u64) {
    if unread > 0 {
        message!("warning: {unread} lines cannot be read; see `lictor ledger verify`");
    }
}

/// Fails if there is no ledger in the directory, before anything is written because of it.
fn look(directory: &Path) -> Result<(), Failure> {
    match std::fs::symlink_metadata(directory.join("segments")) {
        Ok(found) if found.is_dir() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(unreadable(directory)(error))
        }
        _ => Err(missing(directory)),
    }
}

fn missing(directory: &Path) -> Failure {
    Failure::new(format!(
        "there is no ledger in `{}`: {}",
        named(directory),
        why_missing(directory)
    ))
}

/// Most directories that are named to somebody who named a wrong one.
const MOST_HINTS: usize = 5;

/// Description of what is there instead of a ledger, and where one is.
fn why_missing(directory: &Path) -> String {
    let is_ledger = |path: &Path| path.join("segments").is_dir();
    match std::fs::metadata(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return "nothing was recorded there yet (the directory does not exist)".to_owned();
        }
        Err(error) => return format!("it cannot be looked at: {error}"),
        Ok(found) if !found.is_dir() => return "that is no directory".to_owned(),
        Ok(_) => {}
    }
    let whole = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    if let Some(above) = whole
        .ancestors()
        .skip(1)
        .take(2)
        .find(|above| is_ledger(above))
    {
        return format!("it is part of the ledger `{}`", named(above));
    }
    if directory.join("tile").is_dir() && directory.join("checkpoint").is_file() {
        return "it holds an export; only the ledger itself can be read here".to_owned();
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut below: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| is_ledger(path))
        .take(MOST_HINTS)
        .map(|path| format!("`{}`", named(&path)))
        .collect();
    below.sort();
    if below.is_empty() {
        "the directory has no `segments` in it".to_owned()
    } else {
        format!("did you mean {}?", below.join(" or "))
    }
}
