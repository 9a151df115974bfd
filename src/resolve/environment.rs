//! The environment of a run: empty, then what every program needs, then what the policy passes on.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid};

use super::trust::Judge;
use super::{Host, Workspace, program};
use crate::decision::EnvTerms;
use crate::policy::CompiledPolicy;
use crate::policy::model::ApprovalKind;
use crate::policy::steering;

/// Who runs lictor, from the user database.
#[derive(Debug)]
pub(super) struct User {
    name: String,
    home: PathBuf,
    group: u32,
    has_entry: bool,
}

impl User {
    /// The effective user. One without an entry gets `/` for a home, as login does.
    pub(super) fn current() -> User {
        let uid = Uid::effective();
        let entry = nix::unistd::User::from_uid(uid).ok().flatten();
        match entry {
            Some(user) => User {
                name: user.name,
                home: user.dir,
                group: user.gid.as_raw(),
                has_entry: true,
            },
            None => User {
                name: format!("uid-{uid}"),
                home: PathBuf::from("/"),
                group: Gid::effective().as_raw(),
                has_entry: false,
            },
        }
    }

    /// A user without an entry, as containers have them, is at home where the caller's `HOME` says, if neither
    /// others nor requests could put there what programs read as this user's configuration.
    pub(super) fn or_at(
        self,
        environment: &[(OsString, OsString)],
        policy: &CompiledPolicy,
        workspace: &Workspace,
    ) -> User {
        let home = environment.iter().find(|(name, _)| name == "HOME");
        let home = home.map(|(_, value)| PathBuf::from(value));
        let is_trusted =
            |home: &PathBuf| Judge::new(policy, workspace, &self).directory(home).is_ok();
        match home.filter(|home| !self.has_entry && home.is_dir() && is_trusted(home)) {
            Some(home) => User { home, ..self },
            None => self,
        }
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Returns true if nobody but this user and root is in a group: distributions give each user a group, and
    /// `/usr/local` to one that is mostly empty.
    pub(super) fn is_alone_in(&self, gid: u32) -> bool {
        let group = match Group::from_gid(Gid::from_raw(gid)) {
            Ok(Some(group)) => group,
            // Without an entry nobody can be listed as a member.
            Ok(None) => return gid == self.group,
            Err(_) => return false,
        };
        let is_ours = |name: &str| name == self.name || name == "root";
        // Whose first group it is stands with the users only, and those of a directory service cannot be listed.
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let others_first = users.lines().any(|line| {
            let mut fields = line.split(':');
            let name = fields.next().unwrap_or("");
            fields.nth(2) == Some(&gid.to_string()) && !is_ours(name)
        });
        let is_personal = gid != self.group || group.name == self.name;
        is_personal && !others_first && group.mem.iter().all(|member| is_ours(member))
    }
}

/// The whole environment, in the order of its names.
pub(super) fn build(
    policy: &CompiledPolicy,
    terms: &EnvTerms,
    host: &Host,
    workspace: &Workspace,
    user: &User,
) -> Vec<(OsString, OsString)> {
    let mut env = Environment::default();
    let directories = program::directories(policy, workspace, user);
    let path: Vec<&OsStr> = directories
        .iter()
        .map(|directory| directory.as_os_str())
        .collect();
    env.set("PATH", path.join(OsStr::new(":")));
    env.set("HOME", user.home.clone().into_os_string());
    env.set("USER", OsString::from(&user.name));
    env.set("LANG", OsString::from("C.UTF-8"));
    env.set("TMPDIR", OsString::from("/tmp"));
    // There is no terminal. Programs that ask for its properties find that, instead of failing.
    env.set("TERM", OsString::from("dumb"));
    let switches: Vec<&str> = policy
        .approvals()
        .iter()
        .filter_map(|approval| match &approval.kind {
            ApprovalKind::Switch { variable, .. } => Some(variable.as_str()),
            ApprovalKind::Grant { .. } => None,
        })
        .collect();
    for (name, value) in &host.environment {
        let Some(text) = name.to_str().filter(|text| !switches.contains(text)) else {
            continue;
        };
        let is_inherited =
            terms.inherit.iter().any(|pattern| is_named(pattern, text)) && !steering::steers(text);
        if is_inherited || terms.unsafe_inherit.iter().any(|wanted| wanted == text) {
            env.set(text, value.clone());
        }
    }
    for (name, value) in terms
        .set
        .iter()
        .filter(|(name, _)| !switches.contains(&name.as_str()))
    {
        env.set(name, OsString::from(value));
    }
    env.0.sort();
    env.0
}

#[derive(Default)]
struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    fn set(&mut self, name: &str, value: OsString) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((OsString::from(name), value));
    }
}

fn is_named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}
