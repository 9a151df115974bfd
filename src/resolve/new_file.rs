//! A file that lictor itself is to write, because somebody named it: looked at before anything is done, made only when
//! there is something to put into it.
//!
//! No link is followed to it, nothing that is there already is replaced unless that was asked for, and nothing is made
//! where the workspace is guarded. Its directory is held open from the first look on: what runs meanwhile finds neither
//! the file nor a descriptor of it, and may rename what it likes.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::shown;
use super::workspace::open_by_name;
use crate::policy::{casefold, protection};

/// Where nothing is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guarded<'a> {
    /// Below this directory no link may stand on the way, and names are protected.
    pub(crate) workspace: &'a Path,
    /// Names that nothing is written below, in any case of their letters.
    pub(crate) names: &'a [String],
    /// Files, and directories with all that is in them.
    pub(crate) files: &'a [PathBuf],
}

/// Treatment of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing, or an empty file that waits to be filled.
    Refused,
    /// A file that the new one takes the place of.
    Replaced,
}

/// A file that can be made, as far as can be said beforehand.
#[derive(Debug)]
pub(crate) struct NewFile {
    directory: OwnedFd,
    name: OsString,
    to: To,
}

#[derive(Debug)]
enum To {
    /// There is nothing of that name.
    Missing,
    /// An empty file; device and inode.
    Empty((u64, u64)),
    /// A file that is replaced.
    Old,
    /// A stream that was opened before lictor was started, or a FIFO that somebody reads.
    Stream(File),
}

impl NewFile {
    /// Looks whether `path`, from the current directory, can be made.
    ///
    /// # Errors
    ///
    /// Why not, as a fragment that names the way out.
    pub(crate) fn reserve(
        path: &Path,
        from: &Path,
        guarded: &Guarded<'_>,
        existing: Existing,
    ) -> Result<NewFile, String> {
        let stream = stream(path)?;
        let whole = without_dots(&from.join(path));
        let name = whole.file_name().ok_or("it names no file")?.to_owned();
        let parent = whole.parent().unwrap_or(Path::new("/"));
        let real = std::fs::canonicalize(parent)
            .map_err(|error| format!("its directory `{}`: {error}", shown(parent)))?;
        let directory = open_by_name(&real)
            .map_err(|error| format!("its directory `{}`: {}", shown(parent), said(error)))?;
        if let Some(stream) = stream {
            let to = To::Stream(stream);
            return Ok(NewFile {
                directory,
                name,
                to,
            });
        }
        is_free(parent, &real, &name, guarded)?;
        let to = match status(&directory, &name) {
            Err(Errno::NOENT) => {
                let access = Access::WRITE_OK | Access::EXEC_OK;
                rustix::fs::accessat(&directory, ".", access, AtFlags::empty()).map_err(said)?;
                To::Missing
            }
            Err(error) => return Err(said(error)),
            Ok(found) => there(&directory, &name, &found, existing)?,
        };
        Ok(NewFile {
            directory,
            name,
            to,
        })
    }

    /// Makes the file and hands it out, to be written piece by piece; `mode` is what the file may have at most.
    ///
    /// # Errors
    ///
    /// It cannot be made, or somebody else has made it meanwhile.
    pub(crate) fn open(self, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match self.to {
            To::Stream(file) => Ok(file),
            To::Missing | To::Old => {
                let new = flags | OFlags::CREATE | OFlags::EXCL;
                let made =
                    rustix::fs::openat(&self.directory, &self.name, new, Mode::from_raw_mode(mode));
                Ok(made?.into())
            }
            To::Empty(identity) => {
                let opened = rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty())?;
                let found = rustix::fs::fstat(&opened)?;
                if (found.st_dev, found.st_ino) != identity || !is_empty_file(&found) {
                    return Err(io::Error::other(
                        "it is no longer the empty file that it was",
                    ));
                }
                Ok(opened.into())
            }
        }
    }

    /// Makes the file with this content, durably, or leaves nothing behind.
    ///
    /// # Errors
    ///
    /// It cannot be made or written, or somebody else has made it meanwhile.
    pub(crate) fn keep(mut self, bytes: &[u8], mode: u32) -> io::Result<()> {
        let directory = self.directory.try_clone()?;
        let name = self.name.clone();
        let is_stream = matches!(self.to, To::Stream(_));
        let is_made = matches!(self.to, To::Missing | To::Old);
        let replaces = matches!(self.to, To::Old);
        if replaces {
            let mut beside = OsString::from(".");
            beside.push(&name);
            beside.push(format!(".{}.new", std::process::id()));
            self.name = beside;
        }
        let made = self.name.clone();
        let mut file = self.open(mode)?;
        let written = file.write_all(bytes).and_then(|()| {
            if is_stream {
                return Ok(());
            }
            file.sync_all()?;
            if replaces {
                rustix::fs::renameat(&directory, &made, &directory, &name)?;
            }
            Ok(())
        });
        if written.is_err() && is_made {
            let _ = rustix::fs::unlinkat(&directory, &made, AtFlags::empty());
        }
        written
    }
}

/// A descriptor that this process was started with, by the name that shells give it; and the file that keeps nothing.
fn stream(path: &Path) -> Result<Option<File>, String> {
    let Some(text) = path.to_str() else {
        return Ok(None);
    };
    let number = match text {
        "/dev/stdout" => Some("1"),
        "/dev/stderr" => Some("2"),
        _ => ["/dev/fd/", "/proc/self/fd/"]
            .iter()
            .find_map(|before| text.strip_prefix(before)),
    };
    let path = match number {
        Some(number) => {
            let number: u32 = number.parse().map_err(|_| "it is no descriptor")?;
            if !is_inherited(number) {
                return Err("it is no descriptor that lictor was started with".to_owned());
            }
            format!("/proc/self/fd/{number}")
        }
        None if text == "/dev/null" => text.to_owned(),
        None => return Ok(None),
    };
    // A file that the caller has redirected to goes on where it ends.
    let opened = File::options().append(true).open(path);
    opened.map(Some).map_err(|error| error.to_string())
}

/// Returns true for a descriptor of the caller's: those of lictor itself are closed when another program is started,
/// so none of them can have come from one.
fn is_inherited(number: u32) -> bool {
    const CLOSES_ON_EXEC: u32 = 0o2_000_000;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOSES_ON_EXEC == 0)
}

/// The file that is there under the name, if it may be.
fn there(
    directory: &OwnedFd,
    name: &OsStr,
    found: &Stat,
    existing: Existing,
) -> Result<To, String> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => Err("it is a symbolic link; name the file itself".to_owned()),
        FileType::RegularFile if is_empty_file(found) => {
            Ok(To::Empty((found.st_dev, found.st_ino)))
        }
        FileType::RegularFile if existing == Existing::Replaced => Ok(To::Old),
        FileType::RegularFile => {
            Err("it is there already, and nothing is replaced; name a new file".to_owned())
        }
        FileType::Fifo => {
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(directory, name, flags, Mode::empty());
            let opened = opened.map_err(|error| match error {
                Errno::NXIO => "nobody reads from this FIFO".to_owned(),
                error => said(error),
            })?;
            rustix::fs::fcntl_setfl(&opened, OFlags::empty()).map_err(said)?;
            Ok(To::Stream(opened.into()))
        }
        FileType::Directory => Err("it is a directory".to_owned()),
        FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err("it is a device or a socket; name a new file".to_owned()),
    }
}

/// Returns true for a file as `mktemp` makes it. One that can be executed has a purpose of its own.
fn is_empty_file(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        && found.st_size == 0
        && found.st_nlink == 1
        && found.st_mode & 0o111 == 0
}

/// Fails if the place is one where lictor writes nothing.
fn is_free(named: &Path, real: &Path, name: &OsStr, guarded: &Guarded<'_>) -> Result<(), String> {
    let workspace = std::fs::canonicalize(guarded.workspace);
    let workspace = workspace.unwrap_or_else(|_| guarded.workspace.to_owned());
    if let Some(link) = link_on_the_way(named, &[guarded.workspace, &workspace]) {
        return Err(format!(
            "the symbolic link `{}` stands on the way to it; its directory is `{}`",
            shown(&link),
            shown(real)
        ));
    }
    let whole = real.join(name);
    let is_guarded = |file: &PathBuf| {
        let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
        whole.starts_with(file)
    };
    if guarded.files.iter().any(is_guarded) {
        return Err("it is, or lies in, what lictor guards: the policy and its record".to_owned());
    }
    let below = whole.strip_prefix(&workspace).unwrap_or(&whole);
    let folds_to = |part: &OsStr, name: &String| {
        casefold::fold_bytes(part.as_bytes()) == casefold::fold_bytes(name.as_bytes())
    };
    let is_protected = below
        .iter()
        .any(|part| guarded.names.iter().any(|name| folds_to(part, name)));
    let below = below.as_os_str().as_bytes();
    if is_protected || protection::covers(below.strip_prefix(b"/").unwrap_or(below)) {
        return Err("it is protected from being written by anyone; name another place".to_owned());
    }
    Ok(())
}

/// The first symbolic link among the directories that lead to a file. The system's own links at the top of its tree
/// (`/var/run`, and `/home` on some machines) do not count, nor do those above the workspace.
fn link_on_the_way(directory: &Path, workspaces: &[&Path]) -> Option<PathBuf> {
    let is_system = |link: &Path| matches!(link.parent(), Some(top) if top == Path::new("/") || top == Path::new("/var"));
    let is_above = |link: &Path| workspaces.iter().any(|top| top.starts_with(link));
    let mut ways: Vec<&Path> = directory.ancestors().collect();
    ways.reverse();
    let mut links = ways.into_iter().filter(|way| way.is_symlink());
    links
        .find(|link| !is_system(link) && !is_above(link))
        .map(Path::to_path_buf)
}

fn status(directory: &OwnedFd, name: &OsStr) -> Result<Stat, Errno> {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// The path as its words go: `..` takes back the name in front of it.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                clean.push(component);
            }
        }
    }
    clean
}

fn said(error: Errno) -> String {
    io::Error::from(error).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Place {
            let place = Place(tempfile::tempdir().unwrap());
            for directory in ["work/.git/hooks", "work/sub", "ledger", "else"] {
                std::fs::create_dir_all(place.at(directory)).unwrap();
            }
            std::fs::write(place.at("work/policy.yaml"), "policy").unwrap();
            place
        }

        fn at(&self, path: &str) -> PathBuf {
            std::fs::canonicalize(self.0.path()).unwrap().join(path)
        }

        fn reserve(&self, path: &str, existing: Existing) -> Result<NewFile, String> {
            let workspace = self.at("work");
            let guarded = Guarded {
                workspace: &workspace,
                names: &[".git".to_owned()],
                files: &[self.at("work/policy.yaml"), self.at("ledger")],
            };
            NewFile::reserve(Path::new(path), &workspace, &guarded, existing)
        }

        #[track_caller]
        fn refuses(&self, path: &str, why: &str) {
            let refused = self.reserve(path, Existing::Refused).unwrap_err();
            assert!(refused.contains(why), "{path}: {refused}");
        }
    }

    #[test]
    fn a_new_file_is_made_at_the_end_and_nothing_before() {
        let place = Place::new();
        for path in [
            "out.json",
            "sub/out.json",
            "sub/../up.json",
            "../else/out.json",
        ] {
            let new = place.reserve(path, Existing::Refused).unwrap();
            assert!(!place.at("work").join(path).exists(), "{path}");
            new.keep(b"text", 0o600).unwrap();
            let text = std::fs::read(place.at("work").join(path)).unwrap();
            assert_eq!(text, b"text", "{path}");
        }
    }

    #[test]
    fn what_is_there_guarded_or_behind_a_link_is_refused() {
        let place = Place::new();
        std::fs::write(place.at("work/full"), "x").unwrap();
        std::fs::write(place.at("work/hook"), "").unwrap();
        std::fs::write(place.at("work/empty"), "").unwrap();
        std::fs::hard_link(place.at("work/empty"), place.at("work/second")).unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.at("work/hook"), executable).unwrap();
        symlink("full", place.at("work/link")).unwrap();
        symlink("nowhere", place.at("work/dangling")).unwrap();
        symlink("sub", place.at("work/way")).unwrap();
        symlink(place.at("work/.git"), place.at("else/in")).unwrap();
        symlink(place.at("else"), place.at("else/aside")).unwrap();
        for (path, why) in [
            ("full", "there already"),
            ("hook", "there already"),
            ("second", "there already"),
            ("link", "symbolic link; name the file"),
            ("dangling", "symbolic link; name the file"),
            ("way/out", "link `"),
            ("sub", "a directory"),
            ("none/out", "No such file"),
            (".git/hooks/pre-commit", "protected"),
            (".GIT/config2", "No such file"),
            ("../else/in/hooks/x", "link `"),
            ("../else/aside/out", "link `"),
            (".mcp.json", "protected"),
            ("sub/LICTOR.yaml", "protected"),
            ("../ledger/key", "guards"),
            ("policy.yaml", "guards"),
            ("/dev/zero", "device"),
            ("/dev/fd/999", "no descriptor that"),
            ("/", "names no file"),
        ] {
            place.refuses(path, why);
        }
        std::fs::create_dir_all(place.at("work/.claude")).unwrap();
        place.refuses(".claude/settings.json", "protected");
        // A descriptor of our own, which no caller has given us.
        let own = File::open(place.at("work/full")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&own);
        place.refuses(&format!("/dev/fd/{number}"), "no descriptor that");
    }

    #[test]
    fn an_empty_file_is_filled_if_it_is_still_empty() {
        let place = Place::new();
        let path = place.at("work/empty");
        std::fs::write(&path, "").unwrap();
        let reserve = || place.reserve("empty", Existing::Refused).unwrap();
        let early = reserve();
        reserve().keep(b"text", 0o600).unwrap();
        assert!(early.keep(b"more", 0o600).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"text");
    }

    #[test]
    fn what_somebody_makes_or_swaps_meanwhile_is_left_as_it_is() {
        let place = Place::new();
        let new = place.reserve("sub/out", Existing::Refused).unwrap();
        std::fs::write(place.at("work/sub/out"), "theirs").unwrap();
        assert!(new.keep(b"ours", 0o600).is_err());
        let new = place.reserve("sub/link", Existing::Refused).unwrap();
        symlink(place.at("work/policy.yaml"), place.at("work/sub/link")).unwrap();
        assert!(new.keep(b"ours", 0o600).is_err());
        // A directory that is swapped for a link to a guarded one.
        let new = place.reserve("sub/key", Existing::Refused).unwrap();
        std::fs::rename(place.at("work/sub"), place.at("work/moved")).unwrap();
        symlink(place.at("ledger"), place.at("work/sub")).unwrap();
        new.keep(b"ours", 0o600).unwrap();
        assert!(!place.at("ledger/key").exists());
        let text = |path: &str| std::fs::read_to_string(place.at(path)).unwrap();
        assert_eq!(text("work/moved/key"), "ours");
        assert_eq!(text("work/moved/out"), "theirs");
        assert_eq!(text("work/policy.yaml"), "policy");
    }

    #[test]
    fn only_where_that_is_asked_for_a_file_is_replaced_and_no_link() {
        let place = Place::new();
        std::fs::write(place.at("work/state"), "old").unwrap();
        let new = place.reserve("state", Existing::Replaced).unwrap();
        new.keep(b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(place.at("work/state")).unwrap(), b"new");
        symlink("state", place.at("work/link")).unwrap();
        assert!(place.reserve("link", Existing::Replaced).is_err());
        let names = std::fs::read_dir(place.at("work")).unwrap().count();
        assert_eq!(names, 5, "nothing lies beside it");
    }
}
