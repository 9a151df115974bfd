//! Finding a program, and judging whether those whom the policy bounds could have put it there.
//!
//! A program counts as trusted if neither it, nor a directory or link on the way to it, can be
//! replaced by anyone but the user who runs lictor and root, and if none of them lies where the
//! policy's own rules let a request write.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::environment::User;
use super::{Refusal, Workspace};
use crate::policy::CompiledPolicy;
use crate::reason::Reason;

/// Links that are followed on the way to a program, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// The absolute path of the program, all links resolved.
pub(super) fn find(
    name: &str,
    policy: &CompiledPolicy,
    workspace: &Workspace,
    user: &User,
) -> Result<PathBuf, Refusal> {
    let candidates: Vec<PathBuf> = if name.starts_with('/') {
        vec![PathBuf::from(name)]
    } else {
        directories(policy, workspace, user)
            .into_iter()
            .map(|directory| directory.join(name))
            .collect()
    };
    let Some(found) = candidates.iter().find(|path| is_program(path)) else {
        let places: Vec<_> = policy
            .program_path()
            .iter()
            .map(|place| format!("`{place}`"))
            .collect();
        let message = if name.starts_with('/') {
            format!("there is no program `{name}`")
        } else {
            format!("program `{name}` is in none of {}", places.join(", "))
        };
        return Err(Refusal::new(Reason::ProgramNotFound, message));
    };
    judge(found, policy, workspace, user).map_err(|why| {
        Refusal::new(
            Reason::ProgramNotTrusted,
            format!("program `{}` is not trusted: {why}", found.display()),
        )
    })
}

/// The policy's `program_path`, in absolute form.
pub(super) fn directories(
    policy: &CompiledPolicy,
    workspace: &Workspace,
    user: &User,
) -> Vec<PathBuf> {
    let absolute = |entry: &str| match entry.strip_prefix("~/") {
        Some(below) => user.home().join(below),
        None => workspace
            .path()
            .join(entry.strip_prefix("./").unwrap_or(entry)),
    };
    policy.program_path().into_iter().map(absolute).collect()
}

fn is_program(path: &Path) -> bool {
    let access = nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok();
    access
        && std::fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Walks to the program one component at a time, through every link, and judges each step.
fn judge(
    program: &Path,
    policy: &CompiledPolicy,
    workspace: &Workspace,
    user: &User,
) -> Result<PathBuf, String> {
    let mut ahead = parts(program);
    let mut here = PathBuf::from("/");
    let mut links = 0_usize;
    let mut trust = Trust {
        policy,
        workspace,
        user,
        sticky: false,
    };
    trust.directory(&here)?;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        let found = std::fs::symlink_metadata(&next)
            .map_err(|error| format!("`{}`: {error}", next.display()))?;
        trust.entry(&next, &found)?;
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
            trust.directory(&here)?;
        }
    }
    Ok(here)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = |component: Component<'_>| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from_vec(b"..".to_vec())),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(named).collect()
}

struct Trust<'a> {
    policy: &'a CompiledPolicy,
    workspace: &'a Workspace,
    user: &'a User,
    /// The directory last entered is writable by all, but only owners may replace what is in it.
    sticky: bool,
}

impl Trust<'_> {
    fn directory(&mut self, path: &Path) -> Result<(), String> {
        let found =
            std::fs::metadata(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        self.owner(path, found.uid())?;
        self.sticky = found.mode() & 0o1000 != 0;
        if self.writable_by_others(&found) && !self.sticky {
            return Err(format!(
                "others may write to the directory `{}`",
                path.display()
            ));
        }
        self.in_write_scope(path)
    }

    fn entry(&self, path: &Path, found: &std::fs::Metadata) -> Result<(), String> {
        if self.sticky || !found.is_dir() {
            self.owner(path, found.uid())?;
        }
        // The mode of a link means nothing.
        if found.is_file() && self.writable_by_others(found) {
            return Err(format!("others may write to `{}`", path.display()));
        }
        self.in_write_scope(path)
    }

    fn owner(&self, path: &Path, uid: u32) -> Result<(), String> {
        if uid == 0 || uid == self.user.uid() {
            return Ok(());
        }
        Err(format!("`{}` belongs to user {uid}", path.display()))
    }

    /// A group counts as others unless it is root's, or has nobody in it but this user.
    fn writable_by_others(&self, found: &std::fs::Metadata) -> bool {
        let by_all = found.mode() & 0o002 != 0;
        let by_group =
            found.mode() & 0o020 != 0 && found.gid() != 0 && !self.user.is_alone_in(found.gid());
        by_all || by_group
    }

    fn in_write_scope(&self, path: &Path) -> Result<(), String> {
        match self.workspace.relative(path) {
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
}
