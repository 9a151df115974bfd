//! The whole of a file that somebody names: a regular one, of a bounded size, and never waited for.
//!
//! A name may lead to a FIFO that nobody writes to, a device, or something without an end. None of these may hold up
//! who asks for a decision.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The bytes of a regular file.
///
/// # Errors
///
/// Why it cannot be read: it is something else, there is more than `most_bytes` of it, or the system's own words.
pub(crate) fn read_file(path: &Path, most_bytes: usize) -> Result<Vec<u8>, String> {
    // A FIFO is opened without waiting for somebody at its other end, to find out that it is one.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(opened.map_err(|error| match error {
        // Without waiting, which could be for 45 s.
        Errno::AGAIN => "another process holds a lease on it (`fcntl`, F_SETLEASE)".to_owned(),
        error => std::io::Error::from(error).to_string(),
    })?);
    let found = file.metadata().map_err(|error| error.to_string())?;
    if found.is_dir() {
        return Err("it is a directory".to_owned());
    }
    if !found.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    read_bounded(file, most_bytes)
}

/// The bytes that a descriptor of this process holds or brings, up to its end.
///
/// # Errors
///
/// Why they cannot be read: there are more than `most_bytes`, or the system's own words.
pub(crate) fn read_bounded(from: impl std::io::Read, most_bytes: usize) -> Result<Vec<u8>, String> {
    let most = u64::try_from(most_bytes).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > most_bytes {
        return Err(format!("it is longer than {most_bytes} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_of_that_size_is_read_and_nothing_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_file(&file, 5).unwrap(), b"12345");
        let fifo = place.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let check = |path: &Path, most: usize, why: &str| {
            assert_eq!(
                read_file(path, most).unwrap_err(),
                why,
                "{}",
                path.display()
            );
        };
        check(&file, 4, "it is longer than 4 bytes");
        check(&fifo, 5, "it is not a regular file");
        check(Path::new("/dev/zero"), 5, "it is not a regular file");
        check(place.path(), 5, "it is a directory");
        assert_eq!(
            read_bounded(std::io::repeat(1), 9).unwrap_err(),
            "it is longer than 9 bytes"
        );
    }
}
