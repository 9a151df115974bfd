//! The machine's configuration of ssh, for a user beside whom nobody else exists.
//!
//! ssh refuses a file that `/etc/ssh/ssh_config` includes, unless it is root's or this user's own. Where only
//! this user has an id all others look like nobody's, and every `git fetch` over ssh would fail. So each such
//! file gets a copy of this user's over it, read-only.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::mounts::bind_read_only;

const DIRECTORY: &str = "/etc/ssh";

/// Most files that are looked at. ssh follows 16 levels of `Include`; distributions have two or three files.
const MAX_FILES: usize = 64;

/// Longest file that is copied, and looked at for what it includes.
const MAX_BYTES: u64 = 256 * 1024;

/// Puts the copies into place. They are made in `/dev`, which has to be the run's own.
///
/// # Errors
///
/// The first file that could not be covered.
pub(super) fn own_what_is_included(user: u32) -> io::Result<()> {
    let mut files = vec![Path::new(DIRECTORY).join("ssh_config")];
    let mut next = 0_usize;
    while let Some(file) = files.get(next).cloned() {
        next = next.saturating_add(1);
        let Some((text, mode)) = read(&file) else {
            continue;
        };
        for included in text.lines().flat_map(included) {
            if files.len() < MAX_FILES && !files.contains(&included) {
                files.push(included);
            }
        }
        // ssh does not look whose the first one is.
        let is_ours = fs::metadata(&file)?.uid() == user;
        if next > 1 && !is_ours {
            cover(&file, &text, mode)
                .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        }
    }
    Ok(())
}

/// A regular file's text and mode; none if ssh would not read it either.
fn read(file: &Path) -> Option<(String, u32)> {
    let found = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    let file = fs::File::open(file).ok()?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some((text, found.mode() & 0o777))
}

fn cover(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let copy = Path::new("/dev/.ssh_config");
    fs::write(copy, text)?;
    fs::set_permissions(copy, fs::Permissions::from_mode(mode))?;
    let done = bind_read_only(copy, file).map_err(io::Error::from);
    // The mount keeps it.
    fs::remove_file(copy)?;
    done
}

/// The files that `Include a "b c" /etc/ssh/ssh_config.d/*.conf` names, and those of a directory whose names match.
fn included(line: &str) -> Vec<PathBuf> {
    let line = line.trim_start();
    let end = line.find(|c: char| c.is_whitespace() || c == '=');
    let (word, patterns) = line.split_at(end.unwrap_or(line.len()));
    if !word.eq_ignore_ascii_case("include") {
        return Vec::new();
    }
    let patterns = patterns.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    let mut files = Vec::new();
    for pattern in patterns.split_whitespace() {
        // Relative ones stand in the directory of the configuration.
        let pattern = Path::new(DIRECTORY).join(pattern.trim_matches('"'));
        let (Some(directory), Some(name)) = (pattern.parent(), pattern.file_name()) else {
            continue;
        };
        if !name.to_string_lossy().contains(['*', '?', '[']) {
            files.push(pattern);
            continue;
        }
        // A copy more does no harm, so the pattern itself need not be understood.
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        all.sort();
        files.append(&mut all);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_includes_is_found_as_ssh_finds_it() {
        let names = |line: &str| -> Vec<String> {
            let all = included(line);
            all.iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names("Include a.conf"), ["/etc/ssh/a.conf"]);
        assert_eq!(names("\tinclude=\"/x/a\" b"), ["/x/a", "/etc/ssh/b"]);
        assert_eq!(names("  INCLUDE = /x/a"), ["/x/a"]);
        assert_eq!(names("#Include a"), [""; 0]);
        assert_eq!(names("Includes a"), [""; 0]);
        assert_eq!(names("Host a"), [""; 0]);
        assert_eq!(names("Include /nowhere/*.conf"), [""; 0]);
    }
}
