//! `lictor ledger anchor`, `prove`, `check-proof`, `export`, `key`: what lets others check the record.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::{Failure, Global, print_json};
use crate::governor::with_signer;
use crate::ledger::note::Verifier;
use crate::ledger::prove::{self, ProofError};
use crate::ledger::show::{self, Filter};
use crate::ledger::{Ledger, Options};

#[derive(Args, Debug)]
pub(super) struct Anchor {
    /// Write it there instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Prove {
    /// The entry's number, as `ledger show` tells it
    #[arg(value_name = "SEQ")]
    entry: u64,
    /// Write the proof there instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct CheckProof {
    /// The proof
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// The entry: one line of the record, its line feed included
    #[arg(value_name = "ENTRY")]
    entry: PathBuf,
    /// A key that the record may be signed with, as `ledger key show` prints it; repeat for several
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Export {
    /// The directory to write to
    #[arg(value_name = "DIR")]
    out: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand, Debug)]
enum KeyCommand {
    /// Print the key with which others check the record
    Show,
    /// Sign with a new key from here on; the old one signs the line that names it
    Rotate,
}

pub(super) fn anchor(args: &Anchor, directory: &Path) -> Result<Exit, Failure> {
    let to = args.out.as_ref().map_or_else(
        || "standard output".to_owned(),
        |path| path.display().to_string(),
    );
    let note = open(directory)?.anchor(&to).map_err(Failure::new)?;
    write(args.out.as_deref(), note.as_bytes())
}

pub(super) fn prove(args: &Prove, directory: &Path) -> Result<Exit, Failure> {
    let proof = prove::prove(directory, args.entry).map_err(|error| said(directory, &error))?;
    write(args.out.as_deref(), proof.as_bytes())
}

pub(super) fn check_proof(args: &CheckProof, global: &Global) -> Result<Exit, Failure> {
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|error| Failure::new(format!("`{}` cannot be read: {error}", path.display())))
    };
    let proof = String::from_utf8_lossy(&read(&args.proof)?).into_owned();
    let entry = read(&args.entry)?;
    let keys = args
        .key
        .iter()
        .map(|text| Verifier::parse(text))
        .collect::<Result<Vec<_>, _>>();
    let keys =
        keys.map_err(|error| Failure::new(format!("`--key` is no verification key: {error}")))?;
    let checked = prove::check_proof(&proof, &entry, &keys);
    if global.json {
        print_json(&match &checked {
            Ok(proven) => {
                json!({"v": 1, "holds": true, "origin": proven.origin, "index": proven.index, "size": proven.size, "why": null})
            }
            Err(error) => {
                json!({"v": 1, "holds": false, "origin": null, "index": null, "size": null, "why": error.to_string()})
            }
        });
    } else {
        match &checked {
            Ok(proven) => anstream::println!(
                "holds: entry {} of {} in {}",
                proven.index,
                proven.size,
                proven.origin
            ),
            Err(error) => anstream::println!("does not hold: {error}"),
        }
    }
    Ok(if checked.is_ok() {
        Exit::Good
    } else {
        Exit::Bad
    })
}

pub(super) fn export(args: &Export, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let entries = prove::export(directory, &args.out).map_err(|error| said(directory, &error))?;
    if global.json {
        print_json(&json!({"v": 1, "entries": entries, "path": args.out.display().to_string()}));
    } else {
        anstream::println!("{entries} entries in {}", args.out.display());
    }
    Ok(Exit::Good)
}

pub(super) fn key(args: &Key, directory: &Path) -> Result<Exit, Failure> {
    let ledger = open(directory)?;
    let verifier = match args.command {
        KeyCommand::Show => ledger
            .verifier()
            .ok_or_else(|| Failure::new("the ledger does not sign"))?,
        KeyCommand::Rotate => ledger.rotate_key().map_err(Failure::new)?,
    };
    anstream::println!("{verifier}");
    Ok(Exit::Good)
}

/// Opens a ledger that is there; opening one that is not would make it.
fn open(directory: &Path) -> Result<Ledger, Failure> {
    let found = show::show(directory, Filter::default()).map_err(super::unreadable(directory))?;
    if found.is_none() {
        return Err(said(directory, &ProofError::Missing));
    }
    let options = with_signer(directory, Options::default()).map_err(Failure::new)?;
    Ledger::open(directory, &options).map_err(Failure::new)
}

fn said(directory: &Path, error: &ProofError) -> Failure {
    Failure::new(format!("ledger `{}`: {error}", directory.display()))
}

fn write(out: Option<&Path>, bytes: &[u8]) -> Result<Exit, Failure> {
    let written = match out {
        Some(path) => std::fs::write(path, bytes),
        None => std::io::stdout().write_all(bytes),
    };
    written.map_err(|error| Failure::new(format!("it cannot be written: {error}")))?;
    Ok(Exit::Good)
}
