//! Judging whether those whom the policy bounds could have put a program where it is.
//!
//! A place counts as trusted if neither it, nor a directory or link on the way to it, can be replaced by
//! anyone but the user who runs lictor and root, and if none of them lies where the policy's own rules let a
//! request write.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::environment::User;
use super::{Owners, Workspace};
use crate::analysis::{Answer, lets_write_below};
use crate::policy::CompiledPolicy;

/// Links that are followed on the way to a program, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Whom and what a place is judged by.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    policy: &'a CompiledPolicy,
    workspace: &'a Workspace,
    user: &'a User,
    owners: Owners,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        policy: &'a CompiledPolicy,
        workspace: &'a Workspace,
        user: &'a User,
    ) -> Judge<'a> {
        Judge {
            policy,
            workspace,
            user,
            owners: Owners::current(),
        }
    }

    /// Judges a file that is executed, and returns its real path.
    pub(super) fn file(&self, path: &Path) -> Result<PathBuf, String> {
        match self.walk(path)? {
            End::There(real) => Ok(real),
            End::Absent { .. } => Err("it is not there".to_owned()),
            End::Closed => Err("it cannot be looked up".to_owned()),
        }
    }

    /// Judges a directory that programs are looked up in, whichever they will be. One that is absent is
    /// trusted if nobody else can create it.
    pub(super) fn directory(&self, path: &Path) -> Result<(), String> {
        if !path.is_absolute() {
            return Err("it depends on the directory that a command is in".to_owned());
        }
        match self.walk(path)? {
            End::There(real) => {
                let found = metadata(&real)?;
                // The sticky bit keeps what is there, and lets everybody add what is not.
                if self.writable_by_others(&found) {
                    return Err(format!(
                        "others may write to the directory `{}`",
                        real.display()
                    ));
                }
                self.nothing_below_in_write_scope(&real)
            }
            End::Absent { above, path } => {
                if self.writable_by_others(&metadata(&above)?) {
                    return Err(format!(
                        "it is absent, and others may create it in `{}`",
                        above.display()
                    ));
                }
                let below_above = |place: &&Path| *place != above && place.starts_with(&above);
                for place in path.ancestors().take_while(below_above) {
                    self.not_in_write_scope(place)?;
                }
                self.nothing_below_in_write_scope(&path)
            }
            // Nobody looks programs up where this user cannot look.
            End::Closed => Ok(()),
        }
    }

    /// Walks to a place one component at a time, through every link, and judges each step.
    fn walk(&self, path: &Path) -> Result<End, String> {
        let mut ahead = parts(path);
        let mut here = PathBuf::from("/");
        let mut links = 0_usize;
        let mut sticky = self.entered(&here)?;
        while let Some(part) = ahead.pop_front() {
            if part == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&part);
            let found = match std::fs::symlink_metadata(&next) {
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let path = ahead.iter().fold(next, |path, part| path.join(part));
                    return Ok(End::Absent { above: here, path });
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::PermissionDenied | ErrorKind::NotADirectory
                    ) =>
                {
                    return Ok(End::Closed);
                }
                Err(error) => return Err(format!("`{}`: {error}", next.display())),
            };
            self.entry(&next, &found, sticky)?;
            if found.is_symlink() {
                links = links.saturating_add(1);
                if links > MAX_LINKS {
                    return Err("too many links lead to it".to_owned());
                }
                let target = std::fs::read_link(&next)
                    .map_err(|error| format!("`{}`: {error}", next.display()))?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    ahead.push_front(part);
                }
                continue;
            }
            here = next;
            if found.is_dir() {
                sticky = self.entered(&here)?;
            }
        }
        Ok(End::There(here))
    }

    /// Judges a directory on the way; true if others may add to it, and only owners may replace what is there.
    fn entered(&self, path: &Path) -> Result<bool, String> {
        let found = metadata(path)?;
        self.owners.check(path, found.uid())?;
        let sticky = found.mode() & 0o1000 != 0;
        if self.writable_by_others(&found) && !sticky {
            return Err(format!(
                "others may write to the directory `{}`",
                path.display()
            ));
        }
        self.not_in_write_scope(path)?;
        Ok(sticky)
    }

    fn entry(&self, path: &Path, found: &std::fs::Metadata, sticky: bool) -> Result<(), String> {
        if sticky || !found.is_dir() {
            self.owners.check(path, found.uid())?;
        }
        // The mode of a link means nothing.
        if found.is_file() && self.writable_by_others(found) {
            return Err(format!("others may write to `{}`", path.display()));
        }
        self.not_in_write_scope(path)
    }

    /// A group counts as others unless it is root's, or has nobody in it but this user and root.
    fn writable_by_others(&self, found: &std::fs::Metadata) -> bool {
        let by_all = found.mode() & 0o002 != 0;
        let by_group =
            found.mode() & 0o020 != 0 && found.gid() != 0 && !self.user.is_alone_in(found.gid());
        by_all || by_group
    }

    fn not_in_write_scope(&self, path: &Path) -> Result<(), String> {
        match self.workspace.relative(path) {
            // Nothing can be put in its place: a request that means it means all that is in it.
            Some(below) if below.is_workspace() => Ok(()),
            Some(below) if self.policy.lets_write(&below) => Err(format!(
                "the policy's own rules let a request write to `{}`",
                path.display()
            )),
            // Inside the workspace under a name that no rule can speak about: nobody can say.
            None if path.starts_with(self.workspace.path()) => {
                Err(format!("`{}` has no canonical name", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn nothing_below_in_write_scope(&self, directory: &Path) -> Result<(), String> {
        let Some(below) = self.workspace.relative(directory) else {
            return Ok(());
        };
        match lets_write_below(self.policy, &below) {
            Answer::Holds => Ok(()),
            Answer::Fails(path) => Err(format!(
                "the policy's own rules let a request write to `{path}`"
            )),
            Answer::Unknown(_) => Err(format!(
                "whether the policy's own rules let a request write below `{below}` takes too long to decide"
            )),
        }
    }
}

/// Where a walk ended.
#[derive(Debug)]
enum End {
    There(PathBuf),
    /// Nothing has this path: the directory it would have to be created in first.
    Absent {
        above: PathBuf,
        path: PathBuf,
    },
    /// This user may not look there, or something that is no directory is in the way.
    Closed,
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, String> {
    std::fs::metadata(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = |component: Component<'_>| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from_vec(b"..".to_vec())),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(named).collect()
}
