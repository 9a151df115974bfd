//! Files that are kept: whole or not at all, and tried before anything is done because of them.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::named;
use crate::cli::print::Answers;
use crate::cli::{Failure, discover};
use crate::resolve::{self, Existing, Guarded};

/// Names that nothing is written below.
const PROTECTED: &str = ".git";

/// A file that is about to be made.
pub(super) struct NewFile {
    path: PathBuf,
    new: resolve::NewFile,
}

impl NewFile {
    /// Looks whether it can be made: not in the ledger at `ledger`, and not where something is already.
    pub(super) fn create(path: &Path, ledger: &Path) -> Result<NewFile, Failure> {
        NewFile::reserve(path, ledger, Existing::Refused)
    }

    /// Reserves a file of lictor's own, which is replaced each time.
    pub(super) fn anew(path: &Path, ledger: &Path) -> Result<NewFile, Failure> {
        NewFile::reserve(path, ledger, Existing::Replaced)
    }

    fn reserve(path: &Path, ledger: &Path, existing: Existing) -> Result<NewFile, Failure> {
        let from = discover::current_directory()?;
        let guarded = Guarded {
            workspace: &from,
            names: &[PROTECTED.to_owned()],
            files: &[from.join(ledger)],
        };
        let new = resolve::NewFile::reserve(path, &from, &guarded, existing);
        Ok(NewFile {
            path: path.to_owned(),
            new: new.map_err(|why| failed(path, &why))?,
        })
    }

    /// Makes it, and hands it out to be written.
    pub(super) fn open(self, mode: u32) -> Result<File, Failure> {
        let NewFile { path, new } = self;
        new.open(mode).map_err(|error| failed(&path, &error))
    }

    /// Writes it and puts it in its place.
    pub(super) fn keep(self, bytes: &[u8]) -> Result<(), Failure> {
        let NewFile { path, new } = self;
        new.keep(bytes, 0o666)
            .map_err(|error| failed(&path, &error))
    }
}

/// Looks whether an export can be written to a directory: a new one, an empty one, or one that holds an export.
///
/// The checkpoint is the last file of an export: where it may not stand, none of it is written.
pub(super) fn takes_export(out: &Path, ledger: &Path) -> Result<(), Failure> {
    let Ok(mut entries) = std::fs::read_dir(out) else {
        return NewFile::create(out, ledger).map(drop);
    };
    let is_ledger = matches!((out.canonicalize(), ledger.canonicalize()), (Ok(out), Ok(ledger)) if out == ledger);
    if is_ledger {
        return Ok(());
    }
    let checkpoint = out.join("checkpoint");
    NewFile::anew(&checkpoint, ledger)?;
    match entries.next().is_some() && !checkpoint.is_file() {
        true => Err(failed(
            out,
            &"something else lies there; name a new or empty directory, or one with an earlier export",
        )),
        false => Ok(()),
    }
}

pub(super) fn failed(path: &Path, why: &dyn Display) -> Failure {
    Failure::new(format!("`{}` cannot be written: {why}", named(path)))
}

/// Writes to the file that was reserved for it, or to standard output.
pub(super) fn write(out: Option<NewFile>, bytes: &[u8]) -> Result<(), Failure> {
    match out {
        Some(file) => file.keep(bytes),
        None => {
            // What cannot be written there is told at the end.
            let _ = Answers.write_all(bytes);
            Ok(())
        }
    }
}
