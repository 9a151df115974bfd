//! Entries of a directory: names in order, and the kind of each file. No link is followed.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::resolver::{Status, status, status_at};

/// Bytes of names that the kernel is asked for at once.
const CHUNK_BYTES: usize = 32 * 1024;

/// One name in a directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) file_type: FileType,
}

/// The entries of an opened directory, in the order of their names; none if there are more than `most`.
pub(super) fn read(directory: &OwnedFd, most: usize) -> Result<Option<Vec<Entry>>, Errno> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut listed = RawDir::new(directory, chunk.spare_capacity_mut());
    let mut entries = Vec::new();
    while let Some(entry) = listed.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if entries.len() == most {
            return Ok(None);
        }
        let mut file_type = entry.file_type();
        if file_type == FileType::Unknown {
            // Some file systems do not tell.
            file_type = status_at(directory, name, AtFlags::empty())?.file_type;
        }
        entries.push(Entry {
            name: name.to_vec(),
            file_type,
        });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(entries))
}

/// Opens a directory for reading by its name in another one. `XDEV` if it is on another mount than
/// `only`.
pub(super) fn enter(
    directory: impl AsFd,
    name: &[u8],
    only: Option<&Status>,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    match only {
        Some(only) if status(&opened)?.identity.mount != only.identity.mount => Err(Errno::XDEV),
        _ => Ok(opened),
    }
}
