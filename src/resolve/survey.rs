//! Which files of a workspace an action may touch: all of them, looked at one by one.
//!
//! Nothing is ignored and no link is followed while walking. The answer for a file is that of a request
//! that names it alone, disk included.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType};

use super::entries::{self, Entry};
use super::resolver::{Identity, Kind, Status, reason, status, status_at};
use super::workspace::Workspace;
use crate::decision::{Context, Effect, Judgement, judge_path};
use crate::path::CanonicalPath;
use crate::policy::CompiledPolicy;
use crate::policy::model::{Access, ArgumentKind, RuleEffect};
use crate::reason::Reason;

/// Depth to which directories are looked into: no path of a request has more segments.
const MAX_DEPTH: usize = 64;

/// One path argument of an action.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Surveyed {
    /// The tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// The argument.
    pub argument: String,
    /// The tool's use of the path.
    pub access: Access,
    /// True if it is a directory that the other paths are relative to, and never a file.
    pub is_base: bool,
    tool_number: u32,
    action_number: u32,
}

/// Decision that naming one file would get.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Allowed, asked for, or denied.
    pub effect: Effect,
    /// Why it is not allowed.
    pub reason: Option<Reason>,
    /// The id of the rule that decided.
    pub rule: Option<String>,
}

impl Surveyed {
    /// The path arguments of all actions that some rule allows or asks about for this actor, or of those
    /// that are named.
    #[must_use]
    pub fn of(
        policy: &CompiledPolicy,
        actor: &str,
        tool: Option<&str>,
        action: Option<&str>,
    ) -> Vec<Surveyed> {
        let mut found = Vec::new();
        for (nth, known) in policy.tools().iter().enumerate() {
            if tool.is_some_and(|name| name != known.name) {
                continue;
            }
            for place in 0..known.actions.len() {
                let Some((_, this, number)) = policy.action(nth, place) else {
                    continue;
                };
                let tool_number = u32::try_from(nth).unwrap_or(u32::MAX);
                let is_spoken_of = policy
                    .matcher()
                    .about(tool_number, number)
                    .filter_map(|id| policy.rule(id))
                    .any(|rule| rule.effect != RuleEffect::Deny && rule.is_for(actor));
                if action.is_some_and(|name| name != this.name) || !(is_spoken_of || tool.is_some())
                {
                    continue;
                }
                for argument in known.arguments(this) {
                    if let ArgumentKind::Path(kind) = &argument.kind {
                        found.push(Surveyed {
                            tool: known.name.clone(),
                            action: this.name.clone(),
                            argument: argument.name.clone(),
                            access: kind.access,
                            is_base: kind.base,
                            tool_number,
                            action_number: number,
                        });
                    }
                }
            }
        }
        found
    }

    /// The numbers that rules know tool and action by.
    #[cfg(any(feature = "testing", feature = "cli"))]
    pub(crate) fn numbers(&self) -> (u32, u32) {
        (self.tool_number, self.action_number)
    }
}

/// Looks at every file below the workspace, in the order of their names, and tells what would come of
/// naming it in each of `arguments`: its path from the workspace, the place of the argument, the
/// verdict. A directory is told of only if it cannot be looked into, as denied.
///
/// # Errors
///
/// When the workspace itself cannot be read.
pub fn survey(
    policy: &CompiledPolicy,
    context: &Context,
    workspace: &Workspace,
    arguments: &[Surveyed],
    tell: &mut dyn FnMut(&[u8], usize, Verdict),
) -> Result<(), Reason> {
    let top = CanonicalPath::workspace();
    survey_below(policy, context, workspace, &top, arguments, tell)
}

/// As [`survey`], for the files below one directory of the workspace.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn survey_below(
    policy: &CompiledPolicy,
    context: &Context,
    workspace: &Workspace,
    directory: &CanonicalPath,
    arguments: &[Surveyed],
    tell: &mut dyn FnMut(&[u8], usize, Verdict),
) -> Result<(), Reason> {
    let mut path = match directory.is_workspace() {
        true => Vec::new(),
        false => directory.as_str().as_bytes().to_vec(),
    };
    let depth = directory.segments().count().saturating_add(1);
    let top = workspace.open(directory, policy.disk_rules())?;
    let directory = entries::enter(&top.fd, b".", None).map_err(reason)?;
    let mount = match policy.disk_rules().cross_mounts {
        true => None,
        false => Some(status(&directory).map_err(reason)?),
    };
    let listed = read(&directory)?;
    let mut survey = Survey {
        policy,
        context,
        workspace,
        guarded: workspace.guarded(),
        arguments,
        mount,
        tell,
    };
    survey.directory(&directory, listed, &mut path, depth);
    Ok(())
}

fn read(directory: &OwnedFd) -> Result<Vec<Entry>, Reason> {
    let read = entries::read(directory, usize::MAX).map_err(reason)?;
    Ok(read.unwrap_or_default())
}

struct Survey<'a> {
    policy: &'a CompiledPolicy,
    context: &'a Context,
    workspace: &'a Workspace,
    /// Files that nothing writes to and that have several names: hardly ever any.
    guarded: Vec<Identity>,
    arguments: &'a [Surveyed],
    mount: Option<Status>,
    tell: &'a mut dyn FnMut(&[u8], usize, Verdict),
}

impl Survey<'_> {
    /// `path` is the directory's, and comes back as it was.
    fn directory(
        &mut self,
        directory: &OwnedFd,
        entries: Vec<Entry>,
        path: &mut Vec<u8>,
        depth: usize,
    ) {
        for entry in entries {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend(&entry.name);
            if entry.file_type == FileType::Directory {
                let entered = match depth {
                    MAX_DEPTH.. => Err(Reason::PathTooLong),
                    _ => entries::enter(directory, &entry.name, self.mount.as_ref())
                        .map_err(reason)
                        .and_then(|entered| Ok((read(&entered)?, entered))),
                };
                match entered {
                    Ok((listed, entered)) => {
                        self.directory(&entered, listed, path, depth.saturating_add(1));
                    }
                    Err(reason) => self.tell_all(path, |_| Verdict::denied(reason)),
                }
            } else {
                self.file(directory, &entry, path);
            }
            path.truncate(length);
        }
    }

    fn tell_all(&mut self, path: &[u8], verdict: impl Fn(&Surveyed) -> Verdict) {
        for (nth, argument) in self.arguments.iter().enumerate() {
            (self.tell)(path, nth, verdict(argument));
        }
    }

    fn file(&mut self, directory: &OwnedFd, entry: &Entry, path: &[u8]) {
        let canonical = match CanonicalPath::parse(path, self.policy.switches()) {
            // A name that is spelled otherwise in a request leads to another file.
            Ok(canonical) if canonical.as_str().as_bytes() != path => {
                Err(Reason::PathUnicodeDenied)
            }
            other => other.map_err(|denial| denial.reason()),
        };
        let canonical = match canonical {
            Ok(canonical) => canonical,
            Err(reason) => return self.tell_all(path, |_| Verdict::denied(reason)),
        };
        // Looked at once, whatever the number of arguments.
        let on_disk = self.on_disk(directory, entry, &canonical);
        let is_guarded = self.is_guarded(directory, entry, &canonical);
        let (policy, context) = (self.policy, self.context);
        let judged = |argument: &Surveyed, path: &CanonicalPath| {
            let judgement = judge_path(
                policy,
                argument.tool_number,
                argument.action_number,
                &argument.argument,
                argument.access,
                path,
                context.actor(),
                context,
            );
            Verdict::of(policy, &judgement)
        };
        self.tell_all(path, |argument| {
            let verdict = judged(argument, &canonical);
            match &on_disk {
                _ if verdict.effect != Effect::Allow => verdict,
                _ if is_guarded && argument.access == Access::Write => {
                    Verdict::denied(Reason::SelfProtected)
                }
                Err(reason) => Verdict::denied(*reason),
                Ok(None) => verdict,
                Ok(Some(real)) => match judged(argument, real) {
                    of_real if of_real.effect == Effect::Allow => verdict,
                    // Nobody can be asked about a place that the request does not name.
                    of_real => Verdict {
                        effect: Effect::Deny,
                        ..of_real
                    },
                },
            }
        });
    }

    fn is_guarded(&self, directory: &OwnedFd, entry: &Entry, path: &CanonicalPath) -> bool {
        let found = match entry.file_type {
            _ if self.guarded.is_empty() => return false,
            FileType::Symlink => {
                let opened = self.workspace.open(path, self.policy.disk_rules());
                opened.ok().map(|opened| opened.identity)
            }
            FileType::RegularFile
            | FileType::Directory
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {
                let found = status_at(directory, entry.name.as_slice(), AtFlags::empty());
                found.ok().map(|found| found.identity)
            }
        };
        found.is_some_and(|found| self.guarded.iter().any(|file| file.is_same_file(&found)))
    }

    /// Finds out whether a request may name it, as far as the disk goes; and where it really is, if
    /// elsewhere.
    fn on_disk(
        &self,
        directory: &OwnedFd,
        entry: &Entry,
        path: &CanonicalPath,
    ) -> Result<Option<CanonicalPath>, Reason> {
        let rules = self.policy.disk_rules();
        match entry.file_type {
            FileType::RegularFile if rules.deny_hardlinks => {
                let found = status_at(directory, entry.name.as_slice(), AtFlags::empty());
                match found.map_err(reason)?.links {
                    2.. => Err(Reason::PathHardlinkDenied),
                    _ => Ok(None),
                }
            }
            FileType::RegularFile => Ok(None),
            FileType::Symlink if !rules.symlinks_within => Err(Reason::PathSymlinkDenied),
            FileType::Symlink => {
                let opened = self.workspace.open(path, rules)?;
                match opened.kind() {
                    Kind::File { links } if links > 1 && rules.deny_hardlinks => {
                        Err(Reason::PathHardlinkDenied)
                    }
                    Kind::File { .. } => match opened.real() {
                        Some(real) if super::is_protected(self.policy, real) => {
                            Err(Reason::PathProtectedDenied)
                        }
                        real => Ok(real.cloned()),
                    },
                    // What is below is told of under its own name.
                    Kind::Directory => Err(Reason::PathSymlinkDenied),
                    Kind::Other => Err(Reason::PathNotRegular),
                }
            }
            FileType::Directory
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(Reason::PathNotRegular),
        }
    }
}

impl Verdict {
    fn denied(reason: Reason) -> Verdict {
        Verdict {
            effect: Effect::Deny,
            reason: Some(reason),
            rule: None,
        }
    }

    fn of(policy: &CompiledPolicy, judgement: &Judgement) -> Verdict {
        let rule = judgement.deciding().first().copied();
        Verdict {
            effect: judgement.effect(),
            reason: judgement.reason(),
            rule: rule.and_then(|id| Some(policy.rule(id)?.id.clone())),
        }
    }
}
