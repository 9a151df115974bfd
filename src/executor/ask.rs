//! A program that is given a message and gives an answer: for trying one that answers within a time of its own.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the executor is what starts programs"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Answer of a program.
#[derive(Debug)]
pub(crate) struct Answer {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// From its start to its end.
    pub(crate) took: Duration,
}

/// Starts `program` in `directory` and hands it `message`.
///
/// # Errors
///
/// It cannot be started.
pub(crate) fn ask(
    program: &Path,
    args: &[String],
    directory: &Path,
    message: &str,
) -> std::io::Result<Answer> {
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its message answers without it.
        let _ = stdin.write_all(message.as_bytes());
    }
    let output = child.wait_with_output()?;
    Ok(Answer {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: begun.elapsed(),
    })
}
