//! `lictor ledger export`: the record for other programs.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::lines::{Form, Out};
use super::select::Select;
use super::{file, named, said, show};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global, print_json};
use crate::log::proof;
use crate::log::read::Filter;

#[derive(Args, Debug)]
#[command(after_help = "\
Tiles are what checks the record without lictor: a directory with `checkpoint`, `tile/` and
`tile/entries/`, as in c2sp.org/tlog-tiles. Exporting again adds to it; an export of another ledger, or of
another history of this one, is never written over.

  lictor ledger export ../mirror
  lictor ledger export --format jsonl --from 24h | jq -r .type | sort | uniq -c
  lictor ledger export --format ocsf --reason DENIED_BY_RULE denials.jsonl")]
pub(super) struct Export {
    /// The directory for tiles; the file for lines, else standard output
    #[arg(value_name = "OUT")]
    out: Option<PathBuf>,
    /// What is written
    #[arg(long, value_name = "FORMAT", default_value = "tiles")]
    format: Format,
    #[command(flatten)]
    select: Select,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// C2SP tlog-tiles: what other programs check
    Tiles,
    /// The lines of the ledger, as they are
    Jsonl,
    /// Events of the Open Cybersecurity Schema Framework, one a line
    Ocsf,
}

pub(super) fn main(args: &Export, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let filter = args.select.filter(global)?;
    let form = match args.format {
        Format::Tiles => return tiles(args, &filter, directory, global),
        Format::Jsonl => Form::Json,
        Format::Ocsf => Form::Ocsf(Box::default()),
    };
    // A ledger that is not there must not cost an export that is.
    super::look(directory)?;
    show::print(
        directory,
        filter,
        form,
        Out::to(args.out.as_deref(), directory)?,
    )
}

fn tiles(
    args: &Export,
    filter: &Filter,
    directory: &Path,
    global: &Global,
) -> Result<Exit, Failure> {
    if *filter != Filter::default() {
        return Err(Failure::new(
            "tiles hold the whole record, so that others can check it: choose entries with `--format jsonl` or `ocsf`",
        ));
    }
    let Some(out) = &args.out else {
        return Err(Failure::new(
            "tiles need a directory to be written to: lictor ledger export DIR",
        ));
    };
    file::takes_export(out, directory)?;
    let entries = proof::export(directory, out).map_err(|error| said(directory, &error))?;
    if global.json {
        print_json(&json!({"v": 1, "entries": entries, "path": out.display().to_string()}));
    } else {
        answer!("{entries} entries in {}", named(out));
    }
    Ok(Exit::Good)
}
