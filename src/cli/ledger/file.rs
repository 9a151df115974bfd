//! Files that are kept: whole or not at all, and tried before anything is done because of them.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::named;
use crate::cli::Failure;
use crate::cli::print::Answers;

/// A file that is about to take the place of `path`.
pub(super) struct NewFile {
    path: PathBuf,
    /// Beside it; none if the path is no regular file (`/dev/stdout`, a pipe), which is written to as it is.
    beside: Option<PathBuf>,
    file: File,
}

impl NewFile {
    /// Opens it. What can fail for want of rights or of the directory fails here.
    pub(super) fn create(path: &Path) -> Result<NewFile, Failure> {
        let is_special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        let beside = (!is_special).then(|| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}.new", std::process::id()));
            PathBuf::from(name)
        });
        let to = beside.as_deref().unwrap_or(path);
        let opened = File::options()
            .write(true)
            .create(beside.is_some())
            .truncate(beside.is_some())
            .open(to);
        match opened {
            Ok(file) => Ok(NewFile {
                path: path.to_owned(),
                beside,
                file,
            }),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Writes it and puts it in its place.
    pub(super) fn keep(mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes).and_then(|()| {
            let Some(beside) = &self.beside else {
                return Ok(());
            };
            self.file.sync_all()?;
            fs::rename(beside, &self.path)
        });
        if written.is_ok() {
            self.beside = None;
        }
        written.map_err(|error| failed(&self.path, &error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("`{}` cannot be written: {error}", named(path)))
}

/// Writes to the file that was opened for it, or to standard output.
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
