//! A file as a repository holds it at a revision, read by git for a person who compares.
//!
//! `git cat-file` shows an object and does nothing else: no filter, converter, pager or hook runs, and nothing is
//! fetched.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the executor is the one place that starts programs"
)]

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::resolve::read_bounded;

/// The bytes of `file` at `revision`, at most `most_bytes`.
///
/// # Errors
///
/// The file as git shows it, or the reason why git could not be asked.
pub(crate) fn file_at(revision: &str, file: &Path, most_bytes: usize) -> Result<Vec<u8>, String> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != ':';
    if revision.is_empty() || revision.starts_with('-') || !revision.chars().all(is_plain) {
        return Err("that is no revision".to_owned());
    }
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else {
        return Err("that is no file".to_owned());
    };
    // From the file's own directory, wherever in the repository that is.
    let mut object = OsString::from(format!("{revision}:./"));
    object.push(name);
    let mut git = Command::new("git")
        .args(["--no-pager", "--no-replace-objects", "cat-file", "blob"])
        .arg(object)
        .env("GIT_NO_LAZY_FETCH", "1")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("git cannot be started: {error}"))?;
    let bytes = match git.stdout.take() {
        Some(output) => read_bounded(output, most_bytes),
        None => Err("git has no output".to_owned()),
    };
    if bytes.is_err() {
        git.kill().ok();
    }
    // What it says of a mistake is far less than a pipe holds.
    let ended = git.wait_with_output().map_err(|error| error.to_string())?;
    if bytes.is_ok() && !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        // Whoever prints it escapes what hides, and each line break is one to a reader.
        return Err(format!("git says: {}", said.trim().replace('\n', "; ")));
    }
    bytes
}
