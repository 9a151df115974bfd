//! Looking a path up one component at a time from an open directory, where `openat2` is not to be had:
//! an older kernel, or a filter of system calls that does not know it.
//!
//! Each component is opened by name only and without following it (`O_PATH | O_NOFOLLOW`), then looked
//! at: what is a link is read and walked like the rest of the path, what is on another mount is refused.
//! `..`, which only links can hold, leads back to the descriptor that was walked through, never to what
//! the disk calls the parent. At the end the directories have to stand in each other still.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::beneath::MAX_TRIES;
use super::resolver::{Found, Identity, Resolver, Root, Status, reason, status, status_at};
use crate::path::CanonicalPath;
use crate::policy::model::DiskRules;
use crate::reason::Reason;

/// Number of links that one look-up follows, as in the kernel.
const MAX_LINKS: u32 = 40;

/// The inode of the top of every procfs. Its links are texts; those further down are made up.
const PROC_ROOT: u64 = 1;

/// The file system of AppArmor's interface, which has made-up links as well.
const APPARMOR_MAGIC: u64 = 0x5a3c_69f0;

/// Looks paths up component by component.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to hold")]
pub struct ComponentWalk;

impl Resolver for ComponentWalk {
    fn look_up(
        &self,
        root: Root<'_>,
        path: &CanonicalPath,
        rules: DiskRules,
    ) -> Result<Found, Reason> {
        let mut last = Errno::AGAIN;
        for _ in 0..MAX_TRIES {
            match look_up_once(root, path, rules) {
                Err(errno @ (Errno::AGAIN | Errno::INTR)) => last = errno,
                other => return other.map_err(reason),
            }
        }
        Err(reason(last))
    }
}

fn look_up_once(root: Root<'_>, path: &CanonicalPath, rules: DiskRules) -> Result<Found, Errno> {
    let mut walk = Walk::start(root, rules)?;
    // What is still to be walked, the next component last.
    let mut ahead: Vec<Vec<u8>> = path
        .segments()
        .rev()
        .map(|segment| segment.as_bytes().to_vec())
        .collect();
    while let Some(name) = ahead.pop() {
        if let Some(target) = walk.step(&name)? {
            if target.first() == Some(&b'/') {
                return Err(Errno::XDEV);
            }
            // A name and the empty one behind a last `/` mean that it has to be a directory.
            let parts = target.split(|byte| *byte == b'/');
            let parts: Vec<Vec<u8>> = parts
                .map(|part| match part {
                    b"" => b".".to_vec(),
                    part => part.to_vec(),
                })
                .collect();
            ahead.extend(parts.into_iter().rev());
        }
    }
    walk.finish()
}

/// One directory or file on the way.
struct Step {
    name: Vec<u8>,
    fd: OwnedFd,
    status: Status,
}

struct Walk {
    rules: DiskRules,
    mount: u64,
    links: u32,
    root: Step,
    /// From the root down to where the walk is.
    below: Vec<Step>,
}

impl Walk {
    fn start(root: Root<'_>, rules: DiskRules) -> Result<Walk, Errno> {
        let fd = open(root.fd, b".")?;
        let status = status(&fd)?;
        // Without a mount nothing could be told about the others.
        let mount = status.identity.mount.ok_or(Errno::NOSYS)?;
        let name = Vec::new();
        let root = Step { name, fd, status };
        Ok(Walk {
            rules,
            mount,
            links: 0,
            root,
            below: Vec::new(),
        })
    }

    fn here(&self) -> &Step {
        self.below.last().unwrap_or(&self.root)
    }

    /// Goes one component on. What a link says comes back and is walked instead of it.
    fn step(&mut self, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        if name == b"." || name == b".." {
            // Opened for the errors of a file, or of a directory that may not be passed through.
            open(&self.here().fd, b".")?;
            if name == b".." {
                self.below.pop().ok_or(Errno::XDEV)?;
            }
            return Ok(None);
        }
        let fd = open(&self.here().fd, name)?;
        let status = status(&fd)?;
        if !self.rules.cross_mounts && status.identity.mount != Some(self.mount) {
            return Err(Errno::XDEV);
        }
        if status.file_type == FileType::Symlink {
            return self.read_link(&fd).map(Some);
        }
        let name = name.to_vec();
        self.below.push(Step { name, fd, status });
        Ok(None)
    }

    fn read_link(&mut self, link: &OwnedFd) -> Result<Vec<u8>, Errno> {
        if !self.rules.symlinks_within
            || self.links == MAX_LINKS
            || is_made_up(link, &self.here().status.identity)?
        {
            return Err(Errno::LOOP);
        }
        self.links = self.links.saturating_add(1);
        let target = rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes();
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        Ok(target)
    }

    /// The file that was reached, if the way that led to it still exists: a directory that was moved out of
    /// the root meanwhile would lead out.
    fn finish(mut self) -> Result<Found, Errno> {
        let mut above = &self.root;
        for step in &self.below {
            if step.status.file_type == FileType::Directory && !stands_in(step, above)? {
                return Err(Errno::AGAIN);
            }
            above = step;
        }
        let real = self.rules.symlinks_within.then(|| {
            let names: Vec<&[u8]> = self.below.iter().map(|step| step.name.as_slice()).collect();
            names.join(&b'/')
        });
        let reached = self.below.pop().unwrap_or(self.root);
        Ok(Found {
            fd: reached.fd,
            real,
        })
    }
}

/// Returns true if a directory is still in the one that it was found in.
fn stands_in(step: &Step, above: &Step) -> Result<bool, Errno> {
    let is = |found: &Status, expected: &Step| {
        let (found, expected) = (&found.identity, &expected.status.identity);
        (found.device, found.inode) == (expected.device, expected.inode)
    };
    match status_at(&step.fd, "..", AtFlags::empty()) {
        Ok(parent) => Ok(is(&parent, above)),
        // Only who may pass through a directory sees what it is in; then its name has to do.
        Err(Errno::ACCESS) => {
            let named = status_at(&above.fd, step.name.as_slice(), AtFlags::empty())?;
            Ok(is(&named, step))
        }
        Err(errno) => Err(errno),
    }
}

/// Returns true if following the link would jump instead of reading a text.
fn is_made_up(link: &OwnedFd, directory: &Identity) -> Result<bool, Errno> {
    let magic = rustix::fs::fstatfs(link)?.f_type;
    let is = |known: u64| u64::try_from(magic).is_ok_and(|magic| magic == known);
    let proc = u64::try_from(rustix::fs::PROC_SUPER_MAGIC).unwrap_or(u64::MAX);
    Ok(is(proc) && directory.inode != PROC_ROOT || is(APPARMOR_MAGIC))
}

fn open(directory: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

/// Opens the directory at an absolute path without passing through a link.
pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    use std::os::unix::ffi::OsStrExt;
    let mut here = open(rustix::fs::CWD, b"/")?;
    for component in path.components() {
        match component {
            Component::Normal(name) => here = open(&here, name.as_bytes())?,
            Component::ParentDir => here = open(&here, b"..")?,
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        }
        if status(&here)?.file_type == FileType::Symlink {
            return Err(Errno::LOOP);
        }
    }
    if status(&here)?.file_type != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    Ok(here)
}
