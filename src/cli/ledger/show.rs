//! `lictor ledger show`: prints the record.

#![forbid(unsafe_code)]

use std::path::Path;

use clap::Args;

use super::lines::{Form, Out};
use super::select::Select;
use super::{missing, unreadable, warn_of};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global};
use crate::log::read::{self, Filter};

#[derive(Args, Debug)]
pub(super) struct Show {
    #[command(flatten)]
    select: Select,
}

pub(super) fn main(show: &Show, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let form = if global.json { Form::Json } else { Form::Human };
    print(
        directory,
        show.select.filter(global)?,
        form,
        Out::to(None, directory)?,
    )
}

/// Writes what `filter` chooses. Ends with 1 if there are lines that cannot be read.
pub(super) fn print(
    directory: &Path,
    filter: Filter,
    mut form: Form,
    mut out: Out,
) -> Result<Exit, Failure> {
    let failed = unreadable(directory);
    let Some(entries) = read::show(directory, filter).map_err(&failed)? else {
        return Err(missing(directory));
    };
    let mut unread = 0_u64;
    for shown in entries {
        let shown = shown.map_err(&failed)?;
        unread = unread.saturating_add(u64::from(shown.entry.is_err()));
        if let Some(line) = form.line(&shown)
            && out.line(&line)?.is_break()
        {
            return Ok(Exit::Good);
        }
    }
    if out.flush()?.is_break() {
        return Ok(Exit::Good);
    }
    warn_of(unread);
    Ok(if unread > 0 { Exit::Bad } else { Exit::Good })
}
