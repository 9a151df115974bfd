//! The read ends of a command's output: always drained, shown to the observer, captured.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::poll;
use crate::evidence::Output;
use crate::executor::{Capture, Flow, Observer, Stream};
use crate::policy::terms::Limits;

/// Capacity asked for a pipe: what an unprivileged process may have. A writer that fills a pipe
/// waits for us; the default of 64 KiB costs a third of the throughput.
const PIPE_SIZE: usize = 1024 * 1024;

/// Read at a time. Larger does not get faster, and stays out of the second-level cache.
const CHUNK: usize = 256 * 1024;

/// Time for which output is awaited when it is not proven that nobody is left to write it.
const UNPROVEN_DRAIN: Duration = Duration::from_millis(100);

/// Both streams of a run.
pub(super) struct Streams {
    sources: [Source; 2],
    buffer: Vec<u8>,
}

struct Source {
    stream: Stream,
    /// Closed at the end of the stream.
    fd: Option<OwnedFd>,
    capture: Capture,
}

/// The ends of the two pipes that the command gets.
#[derive(Debug)]
pub(super) struct WriteEnds {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Streams {
    /// Two pipes, of which the output is kept as `limits` say.
    pub(super) fn new(limits: &Limits) -> io::Result<(Streams, WriteEnds)> {
        let source = |stream| -> io::Result<(Source, OwnedFd)> {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            // Refused to users who have many pipes; the default size is only slower.
            let _ = fcntl_setpipe_size(&reader, PIPE_SIZE);
            // Only our end: the two ends are separate open files.
            fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
            let capture = Capture::new(limits.output_bytes, limits.keep);
            Ok((
                Source {
                    stream,
                    fd: Some(reader),
                    capture,
                },
                writer,
            ))
        };
        let (out, stdout) = source(Stream::Stdout)?;
        let (err, stderr) = source(Stream::Stderr)?;
        let streams = Streams {
            sources: [out, err],
            buffer: vec![0; CHUNK],
        };
        Ok((streams, WriteEnds { stdout, stderr }))
    }

    /// The descriptors to poll: streams to read, or whatever holds them up.
    pub(super) fn fds<'a>(
        &'a self,
        observer: &'a dyn Observer,
    ) -> impl Iterator<Item = PollFd<'a>> {
        self.sources.iter().filter_map(|source| {
            let fd = source.fd.as_ref()?;
            Some(match observer.flow(source.stream) {
                Flow::Open | Flow::Closed => PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN),
                Flow::HeldUp(until) => PollFd::from_borrowed_fd(until, PollFlags::OUT),
            })
        })
    }

    /// Takes what has arrived, one chunk of each stream that is not held up.
    pub(super) fn pump(&mut self, observer: &mut dyn Observer) {
        observer.go_on();
        for source in &mut self.sources {
            match observer.flow(source.stream) {
                Flow::Open => {
                    source.take(&mut self.buffer, observer);
                }
                Flow::HeldUp(_) => {}
                Flow::Closed => {
                    source.take_what_is_there(&mut self.buffer, observer);
                    source.fd = None;
                }
            }
        }
    }

    /// Takes what is still to come. With `proven`, nobody of the run is left who could write: what
    /// is there is there. Else output is awaited for a moment.
    pub(super) fn drain(&mut self, proven: bool, observer: &mut dyn Observer) {
        for source in &mut self.sources {
            source.take_what_is_there(&mut self.buffer, observer);
        }
        if proven {
            return;
        }
        let until = super::stop::later(Instant::now(), UNPROVEN_DRAIN);
        while self.sources.iter().any(|source| source.fd.is_some()) && Instant::now() < until {
            let open = self.sources.iter().filter_map(|source| source.fd.as_ref());
            let mut fds: Vec<PollFd<'_>> = open
                .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
                .collect();
            poll::wait(&mut fds, Some(until));
            for source in &mut self.sources {
                source.take(&mut self.buffer, observer);
            }
        }
    }

    /// Standard output and standard error, as they were.
    pub(super) fn finish(self) -> (Output, Output) {
        let [out, err] = self.sources;
        (out.finish(), err.finish())
    }
}

impl Source {
    /// Reads until the end, but no more than is there now: whoever was given this pipe by the run may write forever.
    /// That is not what a pipe is said to hold, since it holds pages, and a page can be a larger piece.
    fn take_what_is_there(&mut self, buffer: &mut [u8], observer: &mut dyn Observer) {
        let waiting = |fd: &OwnedFd| rustix::io::ioctl_fionread(fd).unwrap_or_default();
        let mut left = self.fd.as_ref().map(waiting).unwrap_or_default();
        while left > 0 {
            let count = self.take(buffer, observer);
            if count == 0 {
                return;
            }
            left = left.saturating_sub(count as u64);
        }
        // Only this tells the end from a pipe that is still open.
        self.take(buffer, observer);
    }

    /// Reads one chunk and returns its length: zero at the end, and if nothing is there.
    fn take(&mut self, buffer: &mut [u8], observer: &mut dyn Observer) -> usize {
        let Some(fd) = &self.fd else { return 0 };
        match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer)) {
            Ok(0) => {
                self.fd = None;
                0
            }
            Ok(count) => {
                let chunk = buffer.get(..count).unwrap_or_default();
                self.capture.push(chunk);
                observer.output(self.stream, chunk);
                count
            }
            Err(rustix::io::Errno::AGAIN) => 0,
            // A pipe has no other errors; if there were one, it would not go away.
            Err(_) => {
                self.fd = None;
                0
            }
        }
    }

    fn finish(self) -> Output {
        self.capture.finish(self.fd.is_some())
    }
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}
