//! All that the program prints: answers on standard output, messages on standard error.
//!
//! Where something cannot be printed, that is remembered, and [`end`] makes the exit code of it: nobody takes half an
//! answer for a whole one. A reader that went away has seen enough, and is no error.
//!
//! Data in what is printed (paths, arguments, lines of a record, a policy's texts) can hold characters that act on a
//! terminal or that nobody sees. They are escaped here, once for every command; JSON escapes them in its own way. The one
//! exception is the output of a command that `run` passes on.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::time::Instant;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use super::Color;
use super::exit::Exit;
use crate::executor::{Stream, wait_writable, was_closed, write_briefly};
use crate::text::{printable, printable_in_colours};

/// Prints a line of an answer.
macro_rules! answer {
    () => { $crate::cli::print::answer(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::print::answer(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a part of an answer: what ends its own lines.
macro_rules! answer_part {
    ($($text:tt)*) => { $crate::cli::print::answer(format_args!($($text)*)) };
}

/// Prints a line of a message.
macro_rules! message {
    ($($text:tt)*) => { $crate::cli::print::message(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a part of a message.
macro_rules! message_part {
    ($($text:tt)*) => { $crate::cli::print::message(format_args!($($text)*)) };
}

/// The first thing that could not be printed, and why.
static LOST: OnceLock<String> = OnceLock::new();

/// Until when it is waited for whoever reads what is printed; else without end.
static UNTIL: OnceLock<Instant> = OnceLock::new();

/// From now on readers are waited for until then only.
pub(super) fn wait_until(until: Instant) {
    let _ = UNTIL.set(until);
}

/// Prints an answer. Nothing in it acts on a terminal, whatever data it was made of.
pub(super) fn answer(text: std::fmt::Arguments<'_>) {
    write(Answers, &printable(&text.to_string()));
}

/// Prints a message, in the same way.
pub(super) fn message(text: std::fmt::Arguments<'_>) {
    write(Messages, &printable(&text.to_string()));
}

/// Prints an answer that a renderer has coloured.
pub(super) fn coloured_answer(text: &str) {
    write(
        Answers,
        &in_colours(AutoStream::choice(&io::stdout()), text),
    );
}

/// Prints a message that a renderer has coloured.
pub(super) fn coloured_message(text: &str) {
    write(
        Messages,
        &in_colours(AutoStream::choice(&io::stderr()), text),
    );
}

fn in_colours(colors: ColorChoice, text: &str) -> String {
    let text = printable_in_colours(text);
    match colors {
        ColorChoice::Never => without_colors(&text),
        ColorChoice::Auto | ColorChoice::AlwaysAnsi | ColorChoice::Always => text,
    }
}

/// Writes in one piece. An error is remembered by the stream.
fn write(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
}

/// The text without its colours, for an answer that is data.
pub(super) fn without_colors(text: &str) -> String {
    strip_str(text).to_string()
}

/// Prints one line of JSON.
pub(super) fn json(json: &serde_json::Value) {
    let _ = Answers.write_all(format!("{}\n", super::json_line(json)).as_bytes());
}

/// Prints what is wrong with the program's arguments, or the help that they asked for. An error shows words of the
/// caller's: `has_odd_words` says that some of them do not print.
pub(super) fn usage(error: &clap::Error, has_odd_words: bool) {
    let text = error.render();
    match (error.use_stderr(), has_odd_words) {
        (true, true) => message_part!("{text}"),
        (true, false) => coloured_message(&text.ansi().to_string()),
        (false, _) => coloured_answer(&text.ansi().to_string()),
    }
}

/// End of the program: as its command ended, if all that it printed has arrived.
pub(super) fn end(exit: Exit, is_run: bool) -> Exit {
    let _ = Answers.flush();
    let Some(lost) = LOST.get() else {
        return exit;
    };
    // Where this cannot be printed either, the code alone has to say it.
    let _ = Messages.write_all(format!("error: {lost}\n").as_bytes());
    if matches!(exit, Exit::Signal(_)) {
        // Whoever has ended this program knows that it has not printed all.
        exit
    } else if is_run {
        Exit::Command(125)
    } else {
        Exit::CouldNot
    }
}

/// Standard output. What cannot be written is remembered, so that nobody else has to look at errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers;

/// Standard error, in the same way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages;

impl Write for Answers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        remembered(Stream::Stdout, || match UNTIL.get() {
            Some(until) => write_until(io::stdout().as_fd(), bytes, *until),
            None => io::stdout().write(bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        match was_closed(1) {
            true => Ok(()),
            false => remembered(Stream::Stdout, || io::stdout().flush()),
        }
    }
}

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        remembered(Stream::Stderr, || match UNTIL.get() {
            Some(until) => write_until(io::stderr().as_fd(), bytes, *until),
            None => io::stderr().write(bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes as much of `bytes` as its reader takes until then, and all of it or an error.
fn write_until(fd: BorrowedFd<'_>, bytes: &[u8], until: Instant) -> io::Result<usize> {
    let mut left = bytes;
    loop {
        left = left.get(write_briefly(fd, left)?..).unwrap_or_default();
        if left.is_empty() {
            return Ok(bytes.len());
        }
        if Instant::now() >= until {
            return Err(not_taken(left.len()));
        }
        wait_writable(&[fd], None, until);
    }
}

/// Why `count` bytes were dropped.
fn not_taken(count: usize) -> io::Error {
    let why =
        format!("its reader did not take the last {count} bytes in time, and they were dropped");
    io::Error::new(ErrorKind::TimedOut, why)
}

/// Passes `bytes` on to a stream that a command wrote to: as much of it as can be now.
pub(super) fn pass_on(stream: Stream, bytes: &[u8]) -> io::Result<usize> {
    remembered(stream, || {
        write_briefly((*descriptor_of(stream)).as_fd(), bytes)
    })
}

/// Remembers the first error; a reader that went away is none.
fn remembered<T>(stream: Stream, write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let descriptor = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    // Where a stream is closed, `/dev/null` has taken its place, and writing to it would seem to work.
    let done = match was_closed(descriptor) {
        true => Err(io::Error::other("it was closed when lictor was started")),
        false => write(),
    };
    if let Err(why) = &done
        && !matches!(why.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted)
    {
        let name = name_of(stream);
        let _ = LOST.set(format!("{name} cannot be written: {why}"));
    }
    done
}

/// Writes output of a command to standard output as it is: what acts on a terminal is the caller's to escape.
pub(super) fn passed_through(bytes: &[u8]) -> io::Result<()> {
    Answers.write_all(bytes)?;
    Answers.flush()
}

/// The name of a stream, as messages have it.
pub(super) fn name_of(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "standard output",
        Stream::Stderr => "standard error",
    }
}

/// The descriptor that the output of a stream goes to.
pub(super) fn descriptor_of(stream: Stream) -> Box<dyn AsFd> {
    match stream {
        Stream::Stdout => Box::new(io::stdout()),
        Stream::Stderr => Box::new(io::stderr()),
    }
}

/// Notes that `count` bytes of a stream were dropped, if there are any.
pub(super) fn dropped(stream: Stream, count: usize) {
    if count > 0 {
        let _ = remembered(stream, || Err::<(), _>(not_taken(count)));
    }
}

/// Returns true if answers go to a terminal.
pub(super) fn answers_are_watched() -> bool {
    io::stdout().is_terminal()
}

/// Returns true if messages go to a terminal.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

impl Color {
    pub(super) fn apply(self) {
        match self {
            Color::Auto => {}
            Color::Always => ColorChoice::Always.write_global(),
            Color::Never => ColorChoice::Never.write_global(),
        }
    }
}
