//! A new text in a file's place: in one step, or not at all.
//!
//! The file keeps its mode and owner. Where it is no longer what was read, nothing is written. Its directory is held open:
//! whoever swaps a directory on the way to it for a link changes nothing about where the text goes.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::workspace::open_by_name;

/// Puts `after` in the place of `before` if the file still holds just that.
///
/// # Errors
///
/// Why the file is not changed.
pub(crate) fn replace(file: &Path, before: &str, after: &str) -> Result<(), String> {
    let tell = |what: &str, error: &io::Error| format!("{what}: {error}");
    let not_found = |error: &io::Error| tell("it cannot be found", error);
    let beside = |error: &io::Error| tell("the new text cannot be written beside it", error);
    let name = file.file_name().ok_or("it names no file")?;
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = std::fs::canonicalize(parent).map_err(|error| not_found(&error))?;
    let directory = open_by_name(&parent).map_err(|error| not_found(&error.into()))?;
    let mut old = open(&directory, name).map_err(|error| match error {
        Errno::LOOP => "it is a symbolic link; name the file itself".to_owned(),
        error => not_found(&error.into()),
    })?;
    let like = old
        .metadata()
        .map_err(|error| tell("it cannot be looked at any more", &error))?;
    if !like.is_file() {
        return Err("it is no regular file".to_owned());
    }

    let temporary = format!(".lictor-new-{}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(&directory, &temporary, flags, Mode::RUSR | Mode::WUSR);
    let new = File::from(made.map_err(|error| beside(&error.into()))?);
    let owner = "the new text cannot be given the owner that it has";
    let outcome = own(&new, &like)
        .map_err(|error| tell(owner, &error))
        .and_then(|()| fill(new, after, &like).map_err(|error| beside(&error)))
        .and_then(|()| {
            let mut now = Vec::new();
            // Another file may have taken the name since.
            let named = open(&directory, name).map_err(|error| not_found(&error.into()))?;
            let is_same = named
                .metadata()
                .is_ok_and(|named| (named.dev(), named.ino()) == (like.dev(), like.ino()));
            old.read_to_end(&mut now)
                .map_err(|error| tell("it cannot be read any more", &error))?;
            match is_same && now == before.as_bytes() {
                true => Ok(()),
                false => Err("somebody else has changed it since it was read".to_owned()),
            }
        })
        .and_then(|()| {
            rustix::fs::renameat(&directory, &temporary, &directory, name)
                .map_err(|error| tell("the new text cannot take its place", &error.into()))
        });
    if outcome.is_err() {
        let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
        return outcome;
    }
    // The text is there either way; this is for a power failure right after.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(directory) = rustix::fs::openat(&directory, ".", flags, Mode::empty()) {
        let _ = rustix::fs::fsync(directory);
    }
    Ok(())
}

/// Opens a file of a directory to be read, and never waits for one that is something else.
fn open(directory: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).map(File::from)
}

/// Gives a new file the owner of another one.
fn own(new: &File, like: &Metadata) -> io::Result<()> {
    let made = new.metadata()?;
    if (made.uid(), made.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(new, Some(like.uid()), Some(like.gid()))
}

/// Fills a new file, and gives it the mode of another one.
fn fill(mut new: File, text: &str, like: &Metadata) -> io::Result<()> {
    new.write_all(text.as_bytes())?;
    new.set_permissions(like.permissions())?;
    new.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a directory holds: names and texts.
    fn held(directory: &Path) -> Vec<(String, String)> {
        let mut held: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        held.sort();
        held
    }

    #[test]
    fn a_file_that_is_what_was_read_is_replaced_with_its_mode_kept() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o444, 0o755] {
            let file = place.path().join(format!("lictor-{mode:o}.yaml"));
            std::fs::write(&file, "old").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            replace(&file, "old", "new").unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
            assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(held(place.path()).len(), 3);
    }

    #[test]
    fn a_file_that_is_not_what_was_read_stays_and_nothing_lies_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("lictor.yaml");
        std::fs::write(&file, "somebody else's").unwrap();
        let failure = replace(&file, "old", "new").unwrap_err();
        assert!(
            failure.contains("somebody else has changed it"),
            "{failure}"
        );
        let kept = [("lictor.yaml".to_owned(), "somebody else's".to_owned())];
        assert_eq!(held(place.path()), kept);
    }

    #[test]
    fn a_file_that_is_gone_is_not_made_again() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("lictor.yaml");
        let failure = replace(&file, "old", "new").unwrap_err();
        assert!(failure.contains("it cannot be found"), "{failure}");
        assert!(held(place.path()).is_empty());
    }

    #[test]
    fn what_lies_where_the_new_text_would_be_written_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("lictor.yaml");
        let temporary = format!(".lictor-new-{}", std::process::id());
        std::fs::write(&file, "old").unwrap();
        std::fs::write(place.path().join(&temporary), "mine").unwrap();
        let failure = replace(&file, "old", "new").unwrap_err();
        assert!(failure.contains("cannot be written beside it"), "{failure}");
        let kept = [(temporary, "mine"), ("lictor.yaml".to_owned(), "old")];
        assert_eq!(
            held(place.path()),
            kept.map(|(name, text)| (name, text.to_owned()))
        );
    }

    #[test]
    fn no_link_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let (file, link) = (
            place.path().join("real.yaml"),
            place.path().join("link.yaml"),
        );
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        let failure = replace(&link, "old", "new").unwrap_err();
        assert!(failure.contains("name the file itself"), "{failure}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    }
}
