//! The table of mounts, as `/proc/self/mountinfo` has it.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use nix::mount::MsFlags;

/// One mount of this namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    /// The file system, as `major:minor`.
    pub(super) device: String,
    /// The directory of the file system that is mounted.
    pub(super) root: PathBuf,
    /// The directory on which it is mounted.
    pub(super) point: PathBuf,
    /// The flags by which it forbids something.
    pub(super) flags: MsFlags,
    /// The kind of file system.
    pub(super) kind: String,
    /// The file system's own options, of which cgroup hierarchies are known.
    pub(super) options: String,
}

impl Mounted {
    /// The path by which `inside`, a path within the file system, is reached through this mount, if it is.
    pub(super) fn shows(&self, inside: &Path) -> Option<PathBuf> {
        let below = inside.strip_prefix(&self.root).ok()?;
        // A path above the mounted part (`/../…`) is not reachable.
        let is_plain = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        // Joining nothing would add a slash, which only a directory may have.
        is_plain.then(|| match below.as_os_str().is_empty() {
            true => self.point.clone(),
            false => self.point.join(below),
        })
    }
}

/// The mounts of this namespace. Of those on one point only the uppermost, since the others cannot be reached.
pub(super) fn read() -> io::Result<Vec<Mounted>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

pub(super) fn parse(table: &[u8]) -> Vec<Mounted> {
    let mut found: Vec<Mounted> = Vec::new();
    for mounted in table.split(|byte| *byte == b'\n').filter_map(line) {
        found.retain(|below| below.point != mounted.point);
        found.push(mounted);
    }
    found
}

/// The mount that `path`, which is absolute and leads through no link, lies in.
pub(super) fn holding<'a>(table: &'a [Mounted], path: &Path) -> Option<&'a Mounted> {
    table
        .iter()
        .filter(|mounted| path.starts_with(&mounted.point))
        .max_by_key(|mounted| mounted.point.components().count())
}

fn line(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = text(fields.nth(2)?);
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    let mut flags = MsFlags::empty();
    for option in text(fields.next()?).split(',') {
        flags |= match option {
            "ro" => MsFlags::MS_RDONLY,
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "nosymfollow" => NO_LINKS,
            _ => MsFlags::empty(),
        };
    }
    fields.find(|field| *field == b"-")?;
    let kind = text(fields.next()?);
    let options = text(fields.nth(1)?);
    Some(Mounted {
        device,
        root,
        point,
        flags,
        kind,
        options,
    })
}

/// `MS_NOSYMFOLLOW`, which nix does not know.
const NO_LINKS: MsFlags = MsFlags::from_bits_retain(256);

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Blanks, line ends and backslashes are written in octal.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = rest
            .get(1..4)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 254:0 /srv/a /mnt/with\\040blank rw,nosuid,nodev,noexec,relatime shared:9 master:1 - ext4 /dev/vda rw,discard
31 27 0:22 / /proc rw - proc proc rw
32 31 0:44 / /proc ro,nosymfollow - proc proc rw
";

    #[test]
    fn a_line_is_read_whole_and_the_uppermost_mount_counts() {
        let table = parse(TABLE);
        assert_eq!(table.len(), 3);
        let blank = &table[1];
        assert_eq!(blank.point, Path::new("/mnt/with blank"));
        assert_eq!(
            (blank.device.as_str(), blank.kind.as_str()),
            ("254:0", "ext4")
        );
        assert_eq!(blank.options, "rw,discard");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        assert_eq!(blank.flags, flags);
        assert_eq!(table[2].flags, MsFlags::MS_RDONLY | NO_LINKS);
    }

    #[test]
    fn a_path_is_found_by_each_mount_that_shows_it() {
        let table = parse(TABLE);
        let held = holding(&table, Path::new("/srv/a/key")).unwrap();
        assert_eq!(held.point, Path::new("/"));
        let inside = Path::new("/srv/a/key");
        let names: Vec<PathBuf> = table
            .iter()
            .filter(|mounted| mounted.device == held.device)
            .filter_map(|mounted| mounted.shows(inside))
            .collect();
        let expected = ["/srv/a/key", "/mnt/with blank/key"].map(PathBuf::from);
        assert_eq!(names, expected);
        assert_eq!(table[1].shows(Path::new("/srv/b")), None);
        assert_eq!(table[1].shows(Path::new("/srv/a/../b")), None);
        assert_eq!(
            table[1].shows(Path::new("/srv/a")),
            Some(table[1].point.clone())
        );
    }
}
