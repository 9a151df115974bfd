//! Messages between host, helper and init: JSON in frames over a socket pair, with open descriptors beside
//! it.
//!
//! Both ends are the same program of the same build, so there is no version. A frame is written at
//! once by a peer that is trusted, so reading one may wait for its rest.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::evidence::{Containment, EmptyProof, Ended, Event, Level, Process, Resources, Stop};
use crate::executor::Job;
use crate::policy::terms::{Containment as Wanted, Leaks, StopSignal};

/// From the host to its helper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToHelper {
    /// Facts that are known before the command is. The first word, so that slow work can begin.
    Begin(Begin),
    /// Build the empty tree.
    Prepare(Prepare),
    /// Start the command in it. Beside it: working directory, then descriptors 0 to 2.
    Go(Box<Order>),
    /// End the run.
    Cancel,
    /// End the grace period.
    Hurry,
}

/// Who asks, and how much may be built for them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) host: i32,
    pub(super) at_most: Level,
}

/// Inputs for building the empty tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Prepare {
    pub(super) at_least: Level,
    pub(super) at_most: Level,
    pub(super) processes: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu: bool,
    pub(super) hidden: Vec<Bytes>,
    pub(super) read_only: Vec<Bytes>,
}

impl Prepare {
    /// For `launch`, with no stronger level than `at_most`.
    pub(super) fn new(job: &Job, at_most: Level) -> Prepare {
        let texts = |paths: &[PathBuf]| {
            paths
                .iter()
                .map(|path| Bytes::from(path.as_os_str()))
                .collect()
        };
        Prepare {
            at_least: match job.containment {
                Wanted::Auto => Level::ProcessGroup,
                Wanted::AtLeast(level) => level,
            },
            at_most,
            processes: job.limits.processes,
            memory_bytes: job.limits.memory_bytes,
            cpu: job.limits.cpu.is_some(),
            hidden: texts(&job.hidden),
            read_only: texts(&job.read_only),
        }
    }
}

/// The command, and how its run ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) program: Bytes,
    pub(super) argv: Vec<Bytes>,
    pub(super) env: Vec<(Bytes, Bytes)>,
    pub(super) timeout: Duration,
    pub(super) grace: Duration,
    pub(super) cpu: Option<Duration>,
    pub(super) open_files: Option<u64>,
    pub(super) file_size_bytes: Option<u64>,
    pub(super) stop: StopSignal,
    pub(super) leaks: Leaks,
    /// Signals that stay ignored, as bits from signal 1 on.
    pub(super) ignored: u64,
}

impl From<&Job> for Order {
    fn from(job: &Job) -> Order {
        Order {
            program: Bytes::from(job.program.as_os_str()),
            argv: job
                .argv
                .iter()
                .map(|word| Bytes::from(word.as_os_str()))
                .collect(),
            env: job
                .env
                .iter()
                .map(|(name, value)| {
                    (
                        Bytes::from(name.as_os_str()),
                        Bytes::from(value.as_os_str()),
                    )
                })
                .collect(),
            timeout: job.limits.timeout,
            grace: job.limits.grace,
            cpu: job.limits.cpu,
            open_files: job.limits.open_files,
            file_size_bytes: job.limits.file_size_bytes,
            stop: job.stop,
            leaks: job.leaks,
            ignored: super::sys::ignored(),
        }
    }
}

/// From the helper to its host.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromHelper {
    /// The empty tree stands. Beside it, in a PID namespace: the pidfd of its init.
    Ready(Box<Built>),
    /// It cannot be built: no level that is acceptable works.
    NoLevel(Vec<String>),
    /// It cannot be built: a limit cannot be enforced.
    NoLimit { limit: Limit, because: String },
    /// The command runs.
    Started,
    /// The command could not be started.
    NotStarted(String),
    /// The run is over, and all that could be done about its processes is done.
    Finished(Box<Finished>),
}

/// A limit that needs more than a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Limit {
    Processes,
    Memory,
}

impl Limit {
    /// As a policy writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Limit::Processes => "processes",
            Limit::Memory => "memory",
        }
    }
}

/// The empty tree.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Built {
    pub(super) containment: Containment,
    pub(super) events: Vec<Event>,
    /// The cgroups of the run's own, to be killed and removed by the host should the helper die.
    pub(super) cgroups: Vec<PathBuf>,
}

/// All that the helper knows about a run that is over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) ended: Option<Ended>,
    pub(super) duration_ms: u64,
    pub(super) limit: Option<String>,
    pub(super) proof: EmptyProof,
    pub(super) stop: Stop,
    pub(super) tree: Vec<Process>,
    pub(super) leaked: Vec<Process>,
    pub(super) survivors: Vec<Process>,
    pub(super) events: Vec<Event>,
    pub(super) resources: Resources,
}

/// The command's view of the system, and the number of processes that it may have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Scene {
    pub(super) hidden: Vec<Bytes>,
    pub(super) read_only: Vec<Bytes>,
    pub(super) most_processes: Option<u64>,
    /// Cgroups to move into, and whether nothing may run elsewhere.
    pub(super) cgroups: Vec<(Bytes, bool)>,
}

/// From the helper to init.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToInit {
    /// Set up what the command will see.
    SetUp(Scene),
    /// Start the command. Beside it: as in [`ToHelper::Go`].
    Go(Box<Order>),
    /// Stop everybody where they are, and say so.
    Freeze,
    /// Send a signal to the leader, or to everybody.
    Signal { signal: i32, leader_only: bool },
}

/// From init to the helper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromInit {
    /// Everything is set up.
    Ready {
        /// Its pid as the helper sees it.
        pid: Option<i32>,
        fresh_proc: bool,
        events: Vec<Event>,
    },
    /// Something that is needed failed.
    Failed(String),
    /// The command runs.
    Started,
    /// It could not be started.
    NotStarted(String),
    /// The command itself has ended.
    Ended(Ended),
    /// Everybody was sent `SIGSTOP`.
    Frozen,
}

/// One end of a socket pair.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

/// Longer frames do not exist: a request is at most 256 KiB, a list of processes is bounded.
const MAX_FRAME: u32 = 16 * 1024 * 1024;

/// Most descriptors beside a frame.
const MAX_FDS: usize = 4;

impl Channel {
    pub(super) fn new(socket: UnixStream) -> Channel {
        Channel(socket)
    }

    /// Two ends, both close-on-exec.
    pub(super) fn pair() -> io::Result<(Channel, Channel)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Channel(one), Channel(other)))
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.0.into()
    }

    /// The peer sees the end of the stream, whoever else has this end open.
    pub(super) fn hang_up(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }

    /// Sends a frame, and `fds` with it.
    ///
    /// # Errors
    ///
    /// If the peer is gone.
    pub(super) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let body = serde_json::to_vec(message).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let mut frame = Vec::with_capacity(body.len().saturating_add(4));
        frame.extend_from_slice(&length.to_ne_bytes());
        frame.extend_from_slice(&body);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("too many descriptors"));
        }
        let sent = rustix::io::retry_on_intr(|| {
            sendmsg(
                &self.0,
                &[IoSlice::new(&frame)],
                &mut beside,
                SendFlags::NOSIGNAL,
            )
        })?;
        // A large frame may go in parts; the descriptors went with the first.
        let mut rest = frame.get(sent..).unwrap_or_default();
        while !rest.is_empty() {
            let sent = rustix::io::retry_on_intr(|| {
                rustix::net::send(&self.0, rest, SendFlags::NOSIGNAL)
            })?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits for a frame. Nothing at the end of the stream.
    ///
    /// # Errors
    ///
    /// If what arrives is not a whole frame.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut length = [0; 4];
        let mut fds = Vec::new();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            let parts = &mut [IoSliceMut::new(&mut length)];
            recvmsg(&self.0, parts, &mut beside, RecvFlags::CMSG_CLOEXEC)
        })?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut socket = &self.0;
        socket.read_exact(length.get_mut(received.bytes..).unwrap_or_default())?;
        let length = u32::from_ne_bytes(length);
        if length > MAX_FRAME {
            return Err(io::Error::other("frame too long"));
        }
        let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        socket.read_exact(&mut body)?;
        let message = serde_json::from_slice(&body).map_err(io::Error::other)?;
        Ok(Some((message, fds)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Any bytes as JSON text: each byte is the character of that number. ASCII stays readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bytes(String);

impl From<&OsStr> for Bytes {
    fn from(text: &OsStr) -> Bytes {
        Bytes(
            text.as_bytes()
                .iter()
                .map(|byte| char::from(*byte))
                .collect(),
        )
    }
}

impl From<&Bytes> for OsString {
    fn from(bytes: &Bytes) -> OsString {
        // Nobody else writes these, so no character is above 255; one that were would vanish.
        OsString::from_vec(
            bytes
                .0
                .chars()
                .filter_map(|c| u8::try_from(c).ok())
                .collect(),
        )
    }
}

impl From<&Bytes> for PathBuf {
    fn from(bytes: &Bytes) -> PathBuf {
        PathBuf::from(OsString::from(bytes))
    }
}

/// Writes all of `text`, for files of the kernel that want it at once.
pub(super) fn write_file(path: impl AsRef<std::path::Path>, text: &str) -> io::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_travel_unchanged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let sent = Bytes::from(OsStr::from_bytes(&bytes));
            let json = serde_json::to_string(&sent).unwrap();
            let received: Bytes = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(OsString::from(&received).into_vec(), bytes);
        }
    }

    #[test]
    fn frames_and_descriptors_arrive_in_order() {
        let (one, other) = Channel::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let long = "x".repeat(1_000_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                one.send(&"first", &[]).unwrap();
                one.send(&long, &[writer.as_fd()]).unwrap();
                one.send(&"last", &[]).unwrap();
            });
            assert_eq!(other.receive::<String>().unwrap().unwrap().0, "first");
            let (text, fds) = other.receive::<String>().unwrap().unwrap();
            assert_eq!((text.len(), fds.len()), (1_000_000, 1));
            let mut sent = std::fs::File::from(fds.into_iter().next().unwrap());
            sent.write_all(b"through").unwrap();
            assert_eq!(other.receive::<String>().unwrap().unwrap().0, "last");
        });
        drop((one, writer));
        assert!(other.receive::<String>().unwrap().is_none());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn half_a_frame_is_an_error() {
        let (one, other) = UnixStream::pair().unwrap();
        (&one).write_all(&[200, 0, 0, 0, b'"']).unwrap();
        drop(one);
        assert!(Channel::new(other).receive::<String>().is_err());
    }
}
