//! Trust in the place of a ledger: its filesystem, and who can read its key.
//!
//! A directory goes in, what was found comes out; nothing is changed, and a ledger that is not there yet is
//! looked at through the directory that it would be made in.

#![forbid(unsafe_code)]

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::store::unsafe_filesystem;

/// Facts about a ledger's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// True if there is a ledger.
    pub exists: bool,
    /// The filesystem of the directory, or of the nearest one above that exists.
    pub filesystem: Filesystem,
    /// The file `key`; none if there is no such file, or no right to know.
    pub key: Option<KeyFile>,
    /// Others than the owner may write in the directory: they could exchange any file in it.
    pub others_may_write: bool,
    /// True if this process may write in it.
    pub writable: bool,
}

/// A filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Filesystem {
    /// Its name, or its number in hex where this program knows no name.
    pub name: String,
    /// True if a ledger is refused there: locks and durability may not be what they seem.
    pub refused: bool,
    /// True if its contents are gone when the machine stops.
    pub volatile: bool,
}

/// Who can read the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyFile {
    /// The owner's number.
    pub owner: u32,
    /// Permission bits.
    pub mode: u32,
    /// True if this process can read it.
    pub readable: bool,
}

/// Looks at the place of the ledger `dir`.
///
/// ```
/// let place = lictor::log::place::look(&std::env::temp_dir().join("no-ledger-here"))?;
/// assert!(!place.exists && place.key.is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Nothing of it can be looked at.
pub fn look(dir: &Path) -> io::Result<Place> {
    let exists = dir.join("segments").is_dir();
    let nearest = nearest(dir)?;
    let found = std::fs::metadata(&nearest)?;
    let kind = rustix::fs::statfs(&nearest)?.f_type;
    // The type of the field differs between machines; the numbers have 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::as_conversions,
        reason = "the numbers have 32 bits"
    )]
    let number = kind as u32;
    let key = dir.join("key");
    let key = match std::fs::metadata(&key) {
        Ok(found) => Some(KeyFile {
            owner: found.uid(),
            mode: found.mode() & 0o7777,
            readable: std::fs::File::open(&key).is_ok(),
        }),
        Err(_) => None,
    };
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    Ok(Place {
        exists,
        filesystem: filesystem(number),
        key,
        others_may_write: exists && found.mode() & 0o022 != 0,
        writable: rustix::fs::access(&nearest, access).is_ok(),
    })
}

/// The directory, or the nearest one above it that exists.
fn nearest(dir: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(dir)?;
    let found = whole.ancestors().find(|above| above.exists());
    found
        .map(Path::to_owned)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Local filesystems by their number in `linux/magic.h`; those that are refused are in the store.
fn filesystem(number: u32) -> Filesystem {
    let (name, volatile) = match number {
        0xef53 => ("ext4", false),
        0x5846_5342 => ("XFS", false),
        0x9123_683e => ("Btrfs", false),
        0x2fc1_2fc1 => ("ZFS", false),
        0xf2f5_2010 => ("F2FS", false),
        0xca45_1a4e => ("bcachefs", false),
        0x794c_7630 => ("overlayfs", false),
        0x0102_1994 => ("tmpfs", true),
        0x8584_58f6 => ("ramfs", true),
        0x4d44 => ("FAT", false),
        0x2011_bab0 => ("exFAT", false),
        _ => ("", false),
    };
    let refused = unsafe_filesystem(number);
    let name = refused.unwrap_or(name);
    Filesystem {
        name: if name.is_empty() {
            format!("{number:#x}")
        } else {
            name.to_owned()
        },
        refused: refused.is_some(),
        volatile,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use std::sync::Arc;

    use super::*;
    use crate::log::store::FileStore;
    use crate::log::{Log, Options, Unfollowed};

    #[test]
    fn filesystems_are_named_and_those_refused_or_lost_at_a_restart_are_told_apart() {
        #[track_caller]
        fn check(number: u32, name: &str, refused: bool, volatile: bool) {
            let found = filesystem(number);
            let expected = (name, refused, volatile);
            assert_eq!((&*found.name, found.refused, found.volatile), expected);
        }
        check(0xef53, "ext4", false, false);
        check(0x0102_1994, "tmpfs", false, true);
        check(0x6969, "NFS", true, false);
        check(0x6573_5546, "FUSE", true, false);
        check(0x1234, "0x1234", false, false);
    }

    #[test]
    fn who_can_read_the_key_is_found_and_a_ledger_that_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("a/b");
        let before = look(&ledger).unwrap();
        assert!(!before.exists && before.key.is_none() && before.writable);
        assert!(!ledger.exists());
        let store = Arc::new(FileStore::open(&ledger, false).unwrap());
        drop(Log::open(store, &Options::default(), &Unfollowed).unwrap());
        let key = look(&ledger).unwrap().key.unwrap();
        assert_eq!((key.mode, key.readable), (0o600, true));
        let wide = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&ledger, wide).unwrap();
        assert!(look(&ledger).unwrap().others_may_write);
    }
}
