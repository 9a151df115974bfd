//! A key that a program holds: the text of a checkpoint on its standard input, a signature on its output.
//!
//! The program runs in lictor's own environment and directory, because it has to find its token, agent or
//! credentials there. It gets a bound of time and is killed after it; what it leaves behind is its own.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the executor is the one place that starts programs"
)]

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::log::holder::{KeyHolder, MAX_ANSWER_BYTES, SignError, SignatureBytes, read_answer};
use crate::log::note::Verifier;

/// A program that signs. It answers as [`read_answer`] takes it, and exits with 0.
#[derive(Clone, Debug)]
pub struct CommandHolder {
    verifier: Verifier,
    program: PathBuf,
    args: Vec<String>,
}

impl CommandHolder {
    /// The key `verifier`, with which the program at the absolute path `program` signs.
    #[must_use]
    pub fn new(
        verifier: Verifier,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = String>,
    ) -> CommandHolder {
        CommandHolder {
            verifier,
            program: program.into(),
            args: args.into_iter().collect(),
        }
    }
}

impl KeyHolder for CommandHolder {
    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn sign(&self, text: &str, wait: Duration) -> Result<SignatureBytes, SignError> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // An interrupt at the terminal is meant for the run, not for its record.
            .process_group(0)
            .spawn()?;
        let answer = exchange(&mut child, text, wait);
        if answer.is_err() {
            child.kill().ok();
        }
        // It has closed its output or was killed; a program that goes on after closing it is killed too.
        let ended = match child.try_wait()? {
            Some(status) => status,
            None if answer.is_ok() => end_of(&mut child, wait)?,
            None => child.wait()?,
        };
        let answer = answer?;
        if !ended.success() {
            return Err(SignError::Failed(format!("the program ended with {ended}")));
        }
        read_answer(&answer, &self.verifier, text)
    }
}

/// Sends the text and reads the answer, each in a thread: a program that does neither take nor give must
/// not keep us. The threads end with the program's ends of the pipes.
fn exchange(child: &mut Child, text: &str, wait: Duration) -> Result<Vec<u8>, SignError> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(SignError::Failed("no pipes to the program".to_owned()));
    };
    let text = text.to_owned();
    let sending = move || {
        // A program that does not read its input has another way to know; its answer is checked.
        input.write_all(text.as_bytes()).ok();
    };
    std::thread::Builder::new().spawn(sending)?;
    let (give, answers) = mpsc::channel();
    let reading = move || {
        let mut answer = Vec::new();
        let read = output.take(MAX_ANSWER_BYTES).read_to_end(&mut answer);
        give.send(read.map(|_| answer)).ok();
    };
    std::thread::Builder::new().spawn(reading)?;
    match answers.recv_timeout(wait) {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(SignError::Late(wait)),
    }
}

/// Waits for a program that has answered; kills it after `wait`.
fn end_of(child: &mut Child, wait: Duration) -> Result<std::process::ExitStatus, SignError> {
    let started = std::time::Instant::now();
    while started.elapsed() < wait {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()?;
    Err(SignError::Late(wait))
}
