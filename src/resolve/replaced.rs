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
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::workspace::open_by_name;

/// Puts `after` in the place of `before` if the file still holds just that.
///
/// # Errors
///
/// Why the file is not changed.
pub(crate) fn replace(file: &Path, before: &str, after: &str) -> Result<(), String> {
    let not_found = |error: &io::Error| tell("it cannot be found", error);
    let name = file.file_name().ok_or("it names no file")?;
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = std::fs::canonicalize(parent).map_err(|error| not_found(&error))?;
    let directory = open_by_name(&parent).map_err(|error| not_found(&error.into()))?;
    replace_in(&directory, name, before, after)
}

fn tell(what: &str, error: &io::Error) -> String {
    format!("{what}: {error}")
}

fn replace_in(directory: &OwnedFd, name: &OsStr, before: &str, after: &str) -> Result<(), String> {
    let not_found = |error: &io::Error| tell("it cannot be found", error);
    let beside = |error: &io::Error| tell("the new text cannot be written beside it", error);
    let mut old = open(directory, name).map_err(|error| match error {
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
    let made = rustix::fs::openat(directory, &temporary, flags, Mode::RUSR | Mode::WUSR);
    let new = File::from(made.map_err(|error| beside(&error.into()))?);
    let owner = "the new text cannot be given the owner that it has";
    let outcome = own(&new, &like)
        .map_err(|error| tell(owner, &error))
        .and_then(|()| fill(new, after, &like).map_err(|error| beside(&error)))
        .and_then(|()| {
            let mut now = Vec::new();
            // Another file may have taken the name since.
            let named = open(directory, name).map_err(|error| not_found(&error.into()))?;
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
            rustix::fs::renameat(directory, &temporary, directory, name)
                .map_err(|error| tell("the new text cannot take its place", &error.into()))
        });
    if outcome.is_err() {
        let _ = rustix::fs::unlinkat(directory, &temporary, AtFlags::empty());
        return outcome;
    }
    // The text is there either way; this is for a power failure right after.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(directory) = rustix::fs::openat(directory, ".", flags, Mode::empty()) {
        let _ = rustix::fs::fsync(directory);
    }
    Ok(())
}

/// A file of a directory that is named from another one, reached through no link.
#[derive(Debug)]
pub(crate) struct Below {
    base: PathBuf,
    path: PathBuf,
}

impl Below {
    /// The file `path` below `base`.
    pub(crate) fn new(base: &Path, path: impl Into<PathBuf>) -> Below {
        Below {
            base: base.to_owned(),
            path: path.into(),
        }
    }

    /// The whole path.
    pub(crate) fn whole(&self) -> PathBuf {
        self.base.join(&self.path)
    }

    /// The file beside it whose name ends in `ending` as well.
    pub(crate) fn beside(&self, ending: &str) -> Below {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        Below::new(&self.base, path)
    }

    /// The text of the file, if there is one.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no text, or a link stands on the way.
    pub(crate) fn read(&self) -> Result<Option<String>, String> {
        let opened = self
            .directory(false)
            .and_then(|(directory, name)| open(&directory, name));
        let mut file = match opened {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(link_or(error, "it cannot be read")),
        };
        let is_file = file.metadata().is_ok_and(|file| file.is_file());
        let mut text = String::new();
        match is_file {
            true => match file.read_to_string(&mut text) {
                Ok(_) => Ok(Some(text)),
                Err(error) => Err(tell("it cannot be read", &error)),
            },
            false => Err("it is no regular file".to_owned()),
        }
    }

    /// Puts `after` in the place of `before`, the text or the absence that was read; what is missing on the way is made.
    ///
    /// # Errors
    ///
    /// Why nothing is written.
    pub(crate) fn write(&self, before: Option<&str>, after: &str, mode: u32) -> Result<(), String> {
        let cannot = |error: Errno| link_or(error, "it cannot be written");
        let (directory, name) = self.directory(true).map_err(cannot)?;
        if let Some(before) = before {
            return replace_in(&directory, name, before, after);
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(mode));
        let mut new = File::from(made.map_err(cannot)?);
        let written = new
            .write_all(after.as_bytes())
            .and_then(|()| new.sync_all());
        written.map_err(|error| {
            let _ = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
            tell("it cannot be written", &error)
        })
    }

    /// The directory that the file lies in, and its name there.
    fn directory(&self, makes: bool) -> Result<(OwnedFd, &OsStr), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut directory = rustix::fs::open(&self.base, flags, Mode::empty())?;
        let parent = self.path.parent().unwrap_or(Path::new(""));
        for name in parent {
            let inside =
                || rustix::fs::openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty());
            directory = match inside() {
                Err(Errno::NOENT) if makes => {
                    rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755))?;
                    inside()?
                }
                other => other?,
            };
        }
        let name = self.path.file_name().ok_or(Errno::INVAL)?;
        Ok((directory, name))
    }
}

fn link_or(error: Errno, what: &str) -> String {
    match error {
        Errno::LOOP | Errno::NOTDIR => {
            "a symbolic link stands on the way to it, or what is no directory".to_owned()
        }
        Errno::EXIST => "somebody else has made it since it was looked for".to_owned(),
        error => tell(what, &error.into()),
    }
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

    /// Contents of a directory: names and texts.
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
