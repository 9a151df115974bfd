//! `lictor ledger anchor`, `prove`, `check-proof`, `reindex`, `key`: what lets others check the record.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::file::{NewFile, write};
use super::{look, named, said};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global, print_json};
use crate::governor::with_signer;
use crate::log::note::{self, Verifier};
use crate::log::proof::{self, ProofError};
use crate::record::{Ledger, Options};
use crate::resolve::read_file;

/// The most bytes of a proof or an entry: an entry is a line of the record, and holds at most a few request texts.
const MOST_BYTES: usize = 64 * 1024 * 1024;

#[derive(Args, Debug)]
#[command(after_help = "\
An anchor protects what is in the record now, also from those who can read its key, once it is where they
cannot write: in a mail, in a repository, on another machine.

  lictor ledger anchor | mail -s \"lictor anchor\" auditor@example.org
  lictor ledger anchor --out /mnt/usb/anchor
  lictor ledger verify --anchor /mnt/usb/anchor --require anchored")]
pub(super) struct Anchor {
    /// Write it there instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
The proof is a text of the form c2sp.org/tlog-proof@v1: the hashes that lead from the entry to the root that
the record's last checkpoint signs, and that checkpoint. Whoever has the key needs nothing else.

  lictor ledger prove 41 --out proof --entry entry
  lictor ledger check-proof proof entry --key \"$(lictor ledger key show)\"")]
pub(super) struct Prove {
    /// The entry's number, as `ledger show` tells it
    #[arg(value_name = "SEQ")]
    seq: u64,
    /// Write the proof there instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the entry itself there: the exact bytes that the proof is for
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Needs no ledger. Exit codes: 0 the proof holds, 1 it does not, 2 it could not be checked.")]
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
#[command(after_help = "\
Only `segments/`, keys and anchors matter; what this makes is the same byte for byte each time. A record that
is not intact is left as it is: `lictor ledger verify` says where.")]
pub(super) struct Reindex {}

#[derive(Args, Debug)]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand, Debug)]
enum KeyCommand {
    /// Print the key with which others check the record; it is public
    Show {
        /// All keys that the record names, oldest first: what was signed before a rotation needs the old one
        #[arg(long)]
        all: bool,
    },
    /// Sign with a new key from here on; the old one signs the line that names it
    Rotate,
}

pub(super) fn anchor(args: &Anchor, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let ledger = open(directory)?;
    // The file first: an anchor that was recorded and kept nowhere protects nothing.
    let out = args
        .out
        .as_deref()
        .map(|path| NewFile::create(path, directory))
        .transpose()?;
    let to = args.out.as_ref().map_or_else(
        || "standard output".to_owned(),
        |path| path.display().to_string(),
    );
    let text = ledger.log().anchor(&to).map_err(Failure::new)?;
    if global.json {
        let head = note::peek(text.as_bytes()).map_err(Failure::new)?;
        let json = json!({
            "v": 1, "origin": head.origin, "entries": head.size, "root": hex(&head.root),
            "checkpoint": text,
        });
        if let Some(file) = out {
            file.keep(text.as_bytes())?;
        }
        print_json(&json);
    } else {
        write(out, text.as_bytes())?;
    }
    Ok(Exit::Good)
}

pub(super) fn prove(args: &Prove, directory: &Path) -> Result<Exit, Failure> {
    let failed = |error| said(directory, &error);
    let proof = proof::prove(directory, args.seq).map_err(failed)?;
    if let Some(file) = &args.entry {
        let entry = proof::entry(directory, args.seq).map_err(failed)?;
        let keys = proof::keys(directory).map_err(failed)?;
        proof::check_proof(&proof, &entry, &keys).map_err(|_| failed(ProofError::Differs))?;
        NewFile::create(file, directory)?.keep(&entry)?;
    }
    let out = args
        .out
        .as_deref()
        .map(|path| NewFile::create(path, directory))
        .transpose()?;
    write(out, proof.as_bytes())?;
    Ok(Exit::Good)
}

pub(super) fn check_proof(args: &CheckProof, global: &Global) -> Result<Exit, Failure> {
    let read = |path: &Path| {
        read_file(path, MOST_BYTES)
            .map_err(|why| Failure::new(format!("`{}` cannot be read: {why}", named(path))))
    };
    let proof = String::from_utf8_lossy(&read(&args.proof)?).into_owned();
    let entry = read(&args.entry)?;
    let keys = args
        .key
        .iter()
        .map(|text| Verifier::parse(text.trim()))
        .collect::<Result<Vec<_>, _>>();
    let keys =
        keys.map_err(|error| Failure::new(format!("`--key` is no verification key: {error}")))?;
    let checked = proof::check_proof(&proof, &entry, &keys);
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
            Ok(proven) => answer!(
                "holds: entry {} of {} in {}",
                proven.index,
                proven.size,
                proven.origin.escape_debug()
            ),
            Err(error) => {
                answer!("does not hold: {error}");
                if !entry.ends_with(b"\n") {
                    answer!(
                        "  the entry is the whole line with its line feed, which this file does not end with"
                    );
                }
            }
        }
    }
    Ok(if checked.is_ok() {
        Exit::Good
    } else {
        Exit::Bad
    })
}

pub(super) fn reindex(_: &Reindex, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    look(directory)?;
    let missing = Ledger::reindex(directory, &Options::default()).map_err(|error| {
        Failure::new(format!(
            "ledger `{}` is left as it is: {error}",
            named(directory)
        ))
    })?;
    if global.json {
        let path = directory.display().to_string();
        print_json(&json!({"v": 1, "path": path, "missing": missing}));
    } else {
        for what in &missing {
            message!("note: {what}");
        }
        answer!("made anew from the segments of {}", named(directory));
    }
    Ok(Exit::Good)
}

pub(super) fn key(args: &Key, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    if let KeyCommand::Rotate = args.command {
        let new = open(directory)?.log().rotate_key().map_err(Failure::new)?;
        if global.json {
            print_json(&json!({"v": 1, "key": new.to_string()}));
        } else {
            answer!("{new}");
        }
        return Ok(Exit::Good);
    }
    // Read only: whoever checks the record need not be able to write it.
    let keys = proof::keys(directory).map_err(|error| said(directory, &error))?;
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let Some(last) = keys.last() else {
        return Err(Failure::new(format!(
            "ledger `{}` is not signed",
            named(directory)
        )));
    };
    if global.json {
        print_json(&json!({"v": 1, "key": last, "keys": keys}));
        return Ok(Exit::Good);
    }
    let all = matches!(args.command, KeyCommand::Show { all: true });
    let shown = if all {
        keys.as_slice()
    } else {
        std::slice::from_ref(last)
    };
    for key in shown {
        answer!("{key}");
    }
    Ok(Exit::Good)
}

/// Opens a ledger that is there; opening one that is not would make it.
fn open(directory: &Path) -> Result<Ledger, Failure> {
    look(directory)?;
    let options = with_signer(directory, Options::default()).map_err(Failure::new)?;
    Ledger::open(directory, &options).map_err(Failure::new)
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
