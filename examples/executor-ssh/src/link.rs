//! A connection to the supervisor: an `ssh` of its own, and frames in both directions.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use crate::{Ssh, wait};

/// The program that runs there.
const SUPERVISOR: &str = include_str!("supervisor.py");

/// A connection. Dropping it ends it.
#[derive(Debug)]
pub struct Link {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    received: Vec<u8>,
    /// Standard error of `ssh`.
    said: Receiver<String>,
}

impl Link {
    pub fn open(ssh: &Ssh, words: &[&str]) -> Result<Link, String> {
        let mut child = command(ssh, words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`ssh` cannot be started: {error}"))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err("`ssh` has no pipes".to_owned());
        };
        Ok(Link {
            child,
            input,
            output,
            received: Vec::new(),
            said: listen(errors),
        })
    }

    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    pub fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), String> {
        let size = u32::try_from(body.len()).map_err(|_| "a frame is too long".to_owned())?;
        let frame = [&[kind], &size.to_be_bytes()[..], body].concat();
        let sent = self.input.write_all(&frame);
        sent.map_err(|_| self.is_gone())
    }

    /// The next frame that has arrived.
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (head, rest) = self.received.split_first_chunk::<5>()?;
        let [kind, a, b, c, d] = *head;
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let body = rest.get(..size)?.to_vec();
        self.received.drain(..size.saturating_add(5));
        Some((kind, body))
    }

    /// Reads what has arrived; waits if nothing has.
    pub fn fill(&mut self) -> Result<(), String> {
        let mut chunk = vec![0; 1 << 16];
        match self.output.read(&mut chunk) {
            Ok(read) if read > 0 => {
                self.received.extend(chunk.iter().take(read));
                Ok(())
            }
            Ok(_) | Err(_) => Err(self.is_gone()),
        }
    }

    /// Waits for a frame.
    pub fn wait_for(&mut self, most: Duration) -> Result<(u8, Vec<u8>), String> {
        let started = Instant::now();
        loop {
            if let Some(frame) = self.frame() {
                return Ok(frame);
            }
            let left = most.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err("it does not answer".to_owned());
            }
            let mut fds = [PollFd::from_borrowed_fd(self.output(), PollFlags::IN)];
            wait(&mut fds, left);
            let [fd] = &fds;
            if !fd.revents().is_empty() {
                self.fill()?;
            }
        }
    }

    /// Why there is no connection any more, in the words of `ssh` where it has any.
    fn is_gone(&mut self) -> String {
        self.child.kill().ok();
        let said = self.said.recv_timeout(Duration::from_secs(1));
        match said.as_deref().map(str::trim) {
            Ok(said) if !said.is_empty() => said.to_owned(),
            _ => "the connection was lost".to_owned(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Asks the supervisor something that it answers in words.
pub fn ask(ssh: &Ssh, words: &[&str]) -> Result<String, String> {
    let output: Output = command(ssh, words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`ssh` cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}` cannot be asked: {}", ssh.host, said.trim()))
}

/// `ssh` with the supervisor as the remote command. The login shell there reads it, so every word is quoted for a POSIX shell.
fn command(ssh: &Ssh, words: &[&str]) -> Command {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let [mode, rest @ ..] = words else {
        return Command::new("ssh");
    };
    let words = [
        &["python3", "-I", "-c", SUPERVISOR, mode, ssh.state.as_str()],
        rest,
    ]
    .concat();
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    let mut command = Command::new("ssh");
    command
        .args(["-T", "-x", "-a"])
        .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=3"])
        .args(["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"])
        .args(["-o", "ClearAllForwardings=yes", "-o", "ControlPath=none"])
        .args(&ssh.options)
        .args(["--", &ssh.host])
        .arg(format!("exec {}", words.join(" ")));
    command
}

/// Reads to the end, so that `ssh` never waits, and keeps the beginning.
fn listen(mut errors: ChildStderr) -> Receiver<String> {
    let (said, listener) = channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        (&mut errors).take(4096).read_to_end(&mut kept).ok();
        said.send(String::from_utf8_lossy(&kept).into_owned()).ok();
        std::io::copy(&mut errors, &mut std::io::sink()).ok();
    });
    listener
}
