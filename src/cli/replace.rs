//! A new text in a file's place: in one step, or not at all.
//!
//! The file keeps its mode and owner. Where it is no longer what was read, nothing is written.

#![forbid(unsafe_code)]

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use super::Failure;

/// Puts `after` in the place of `before` if the file still holds just that.
pub(super) fn replace(file: &Path, before: &str, after: &str) -> Result<(), Failure> {
    let shown = file.display().to_string().escape_debug().to_string();
    let tell = |what: &str, error: &std::io::Error| {
        Failure::new(format!("`{shown}` is not changed: {what}: {error}"))
    };
    let beside = "the new text cannot be written beside it";
    if file.is_symlink() {
        return Err(Failure::new(format!(
            "`{shown}` is not changed: it is a symbolic link; name the file itself"
        )));
    }
    let real = std::fs::canonicalize(file).map_err(|error| tell("it cannot be found", &error))?;
    let directory = real.parent().unwrap_or(Path::new("."));
    let temporary = directory.join(format!(".lictor-new-{}", std::process::id()));
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(|error| tell(beside, &error))?;
    let outcome = std::fs::metadata(&real)
        .map_err(|error| tell("it cannot be looked at any more", &error))
        .and_then(|like| {
            let owner = "the new text cannot be given the owner that it has";
            own(&new, &like).map_err(|error| tell(owner, &error))?;
            fill(new, after, &like).map_err(|error| tell(beside, &error))
        })
        .and_then(|()| match std::fs::read(&real) {
            Ok(now) if now == before.as_bytes() => Ok(()),
            Ok(_) => Err(Failure::new(format!(
                "`{shown}` is not changed: somebody else has changed it since it was read"
            ))),
            Err(error) => Err(tell("it cannot be read any more", &error)),
        })
        .and_then(|()| {
            std::fs::rename(&temporary, &real)
                .map_err(|error| tell("the new text cannot take its place", &error))
        });
    if outcome.is_err() {
        let _ = std::fs::remove_file(&temporary);
        return outcome;
    }
    // The text is there either way; this is for a power failure right after.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Gives a new file the owner of another one.
fn own(new: &File, like: &Metadata) -> std::io::Result<()> {
    let made = new.metadata()?;
    if (made.uid(), made.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(new, Some(like.uid()), Some(like.gid()))
}

/// Fills a new file, and gives it the mode of another one.
fn fill(mut new: File, text: &str, like: &Metadata) -> std::io::Result<()> {
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
        let failure = replace(&file, "old", "new").unwrap_err().to_string();
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
        let failure = replace(&file, "old", "new").unwrap_err().to_string();
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
        let failure = replace(&file, "old", "new").unwrap_err().to_string();
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
        let failure = replace(&link, "old", "new").unwrap_err().to_string();
        assert!(failure.contains("name the file itself"), "{failure}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    }
}
