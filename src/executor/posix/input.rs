//! The standard input of a command: read to its end before anything runs, so that its length and digest are known
//! and nobody has to be waited for while the command runs.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{MemfdFlags, memfd_create};
use sha2::{Digest as _, Sha256};

use super::poll;
use crate::evidence::Input;

/// Reads `from` to its end, or until `bell` rings; what is there is in the file that is returned, from its start on.
///
/// # Errors
///
/// Those of reading; if it is longer than `most` bytes; if the bell rang.
pub(crate) fn read_input(
    from: BorrowedFd<'_>,
    most: u64,
    bell: Option<BorrowedFd<'_>>,
) -> io::Result<(OwnedFd, Input)> {
    let kept = memfd_create("standard input", MemfdFlags::CLOEXEC)?;
    let mut kept = File::from(kept);
    let mut from = File::from(from.try_clone_to_owned()?);
    let mut digest = Sha256::new();
    let mut bytes = 0_u64;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let both = [Some(from.as_fd()), bell];
        let mut fds: Vec<PollFd<'_>> = both
            .into_iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        poll::wait(&mut fds, None);
        if bell.is_some_and(poll::is_readable) {
            return Err(io::Error::other("cancelled"));
        }
        if !poll::is_readable(from.as_fd()) {
            continue;
        }
        let count = from.read(&mut buffer)?;
        let chunk = buffer.get(..count).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        bytes = bytes.saturating_add(count as u64);
        if bytes > most {
            return Err(io::Error::other(format!("it is longer than {most} bytes")));
        }
        digest.update(chunk);
        kept.write_all(chunk)?;
    }
    // Opened anew: at its start, and for reading only.
    let file = File::open(format!("/proc/self/fd/{}", kept.as_raw_fd()))?;
    let sha256 = data_encoding::HEXLOWER.encode(&digest.finalize());
    Ok((file.into(), Input { bytes, sha256 }))
}
