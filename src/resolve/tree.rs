//! Judgement of a directory argument: a tool that is given a directory reads all that is in it, so the rules
//! are asked about every entry.
//!
//! Two things must hold: what allows the directory must allow all of it, and no entry may be denied,
//! need to be asked for, or have a protected name. The walk is bounded, follows no link, and its order is
//! that of the names, so that the same tree gives the same answer.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::bounds::too_large;
use super::entries;
use super::ignore_file::Reach;
use super::index::Tracked;
use super::resolver::{Opened, Status, found, found_in, reason, status};
use super::unignored::Rules;
use super::{Asking, Refusal, is_protected};
use crate::analysis::{Answer, covers_tree};
use crate::decision::{Effect, Plan, paths::Decided};
use crate::path::CanonicalPath;
use crate::policy::CompiledRule;
use crate::policy::model::{RuleEffect, Tree};
use crate::reason::Reason;

/// Looks at every entry below what `path` led to.
pub(super) fn look_through(
    asking: &Asking<'_>,
    path: &Decided,
    opened: &Opened,
) -> Result<(), Refusal> {
    let root = Names::of(&path.canonical, opened);
    for name in root.all() {
        if let Err(lacks) = allows_reach_down(asking, path, name) {
            let message = format!(
                "directory `{}` is allowed, but not everything below it{lacks}",
                path.shown()
            );
            return Err(Refusal::new(Reason::PathOutsideAllowedScope, message));
        }
    }
    if !keeps_something_out(asking, path) {
        return Ok(());
    }
    Walk {
        asking,
        path,
        mount: None,
    }
    .start(&root, opened)
}

/// A place by the name that it really has, and by the one that a link gave it. The rules have to agree
/// to both.
pub(super) struct Names {
    real: CanonicalPath,
    given: Option<CanonicalPath>,
}

impl Names {
    /// The names of what a path led to.
    pub(super) fn of(path: &CanonicalPath, opened: &Opened) -> Names {
        Names {
            real: opened.real.clone().unwrap_or_else(|| path.clone()),
            given: opened.real.is_some().then(|| path.clone()),
        }
    }

    /// The name that it really has.
    pub(super) fn real(&self) -> &CanonicalPath {
        &self.real
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &CanonicalPath> {
        std::iter::once(&self.real).chain(&self.given)
    }

    /// The names of an entry, or of one further down; none if no path can hold it.
    pub(super) fn below(&self, name: &[u8]) -> Option<Names> {
        let given = self.given.as_ref().map(|given| found_in(given, name));
        Some(Names {
            real: found_in(&self.real, name).ok()?,
            given: given.transpose().ok()?,
        })
    }
}

/// Returns an error, the end of a sentence, unless the rules that allow the directory together allow all that
/// can be below it.
///
/// Usually one pattern that ends in `**` does, with nothing excluded below; that is looked up. All else is
/// decided by inclusion of languages, and what cannot be decided within its bounds is refused.
fn allows_reach_down(
    asking: &Asking<'_>,
    path: &Decided,
    root: &CanonicalPath,
) -> Result<(), String> {
    let Plan { tool, action, .. } = *asking.plan;
    let policy = asking.policy;
    let counts = |rule: &CompiledRule| {
        rule.is_for(&asking.actor) && asking.context.counts_below(policy, rule, root)
    };
    let mut reaches = false;
    policy
        .matcher()
        .reaching(tool, action, &path.argument, root, &mut |id| {
            reaches |= policy
                .rule(id)
                .is_some_and(|rule| rule.effect == RuleEffect::Allow && counts(rule));
        });
    if reaches {
        return Ok(());
    }
    match covers_tree(policy, (tool, action, &path.argument), root, &counts) {
        Answer::Holds => Ok(()),
        Answer::Fails(lacks) => Err(format!(", for example `{}`", lacks.escape_debug())),
        Answer::Unknown(cap) => Err(format!(", as far as can be told: {cap}")),
    }
}

/// Returns true if a deny or ask with a scope, or a protected name, could speak about what is below.
fn keeps_something_out(asking: &Asking<'_>, path: &Decided) -> bool {
    let Plan { tool, action, .. } = *asking.plan;
    let protected = &asking.policy.switches().protected;
    !protected
        .iter()
        .all(|name| path.leaves_out(name.as_bytes()))
        || asking
            .policy
            .matcher()
            .about(tool, action)
            .filter_map(|id| asking.policy.rule(id))
            .any(|rule| {
                rule.effect != RuleEffect::Allow
                    && rule.scope.is_some()
                    && rule.is_for(&asking.actor)
                    && rule
                        .access
                        .as_ref()
                        .is_none_or(|accesses| accesses.contains(&path.access))
            })
}

struct Walk<'a> {
    asking: &'a Asking<'a>,
    path: &'a Decided,
    /// Where the walk has to stay, unless it may cross mounts.
    mount: Option<Status>,
}

impl Walk<'_> {
    fn start(&mut self, root: &Names, opened: &Opened) -> Result<(), Refusal> {
        let failed = |errno| self.refused(reason(errno), root.real.as_str());
        let directory = entries::enter(&opened.fd, b".", None).map_err(failed)?;
        if !self.asking.policy.disk_rules().cross_mounts {
            self.mount = Some(status(&directory).map_err(failed)?);
        }
        let mut rules = Rules::Nothing;
        if self.path.tree == Tree::Unignored
            && let Some(tracked) = self.asking.tracked()
        {
            self.tracked(tracked, root)?;
            rules = self.rules_above(root)?;
        }
        let at = match root.real.is_workspace() {
            true => Vec::new(),
            false => root.real.as_str().as_bytes().to_vec(),
        };
        self.directory(&directory, root, &at, &rules)
    }

    /// Judges the files below the root that git tracks, on disk or not: they are never ignored.
    fn tracked(&self, tracked: &[Tracked], root: &Names) -> Result<(), Refusal> {
        for Tracked { name, .. } in tracked {
            let Ok(real) = found(name) else {
                return Err(self.unspeakable(name));
            };
            let Some(below) = real.strip_prefix(&root.real) else {
                continue;
            };
            self.asking.bounds.take_entries(1, &self.path.shown())?;
            let given = root.given.as_ref().map(|given| given.join(&below));
            let Ok(given) = given.transpose() else {
                return Err(self.unspeakable(name));
            };
            self.judge(&Names { real, given })?;
        }
        Ok(())
    }

    /// The ignore rules of the directory above the root. None, if the root is ignored itself.
    fn rules_above(&self, root: &Names) -> Result<Rules, Refusal> {
        let failed = |errno: Errno| self.refused(reason(errno), root.real.as_str());
        let top = CanonicalPath::workspace();
        let workspace = self.asking.workspace;
        let opened = workspace.open(&top, self.asking.policy.disk_rules());
        let opened = opened.map_err(|reason| self.refused(reason, "."))?;
        let mut directory = entries::enter(&opened.fd, b".", None).map_err(failed)?;
        // Two sets of rules: with all patterns, for what git says about the root itself; and with those
        // that hold for what is below the root whichever program looks.
        let mut all = Rules::Files(None);
        let mut rules = Rules::Files(None);
        let mut at: Vec<u8> = Vec::new();
        for name in root.real.segments() {
            let bounds = &self.asking.bounds;
            let Some(entries) = entries::read(&directory, bounds.entries()).map_err(failed)? else {
                return Err(too_large(&self.path.shown()));
            };
            bounds.take_entries(entries.len(), &self.path.shown())?;
            all = all.inside(&directory, &at, &entries, Reach::All, bounds);
            rules = rules.inside(&directory, &at, &entries, Reach::Anywhere, bounds);
            at = below(&at, name.as_bytes());
            if all.skips(&at, true) {
                return Ok(Rules::Nothing);
            }
            directory = entries::enter(&directory, name.as_bytes(), None).map_err(failed)?;
        }
        Ok(rules)
    }

    /// `at` is the directory's own name from the workspace, byte by byte.
    fn directory(
        &self,
        directory: &OwnedFd,
        names: &Names,
        at: &[u8],
        above: &Rules,
    ) -> Result<(), Refusal> {
        let bounds = &self.asking.bounds;
        let read = entries::read(directory, bounds.entries());
        let read = read.map_err(|errno| self.refused(reason(errno), names.real.as_str()))?;
        let Some(entries) = read else {
            return Err(too_large(&self.path.shown()));
        };
        bounds.take_entries(entries.len(), &self.path.shown())?;
        let rules = above.inside(directory, at, &entries, Reach::All, bounds);
        let comparisons = rules.comparisons().saturating_mul(entries.len());
        bounds.take_comparisons(comparisons, &self.path.shown())?;
        for entry in &entries {
            let is_directory = entry.file_type == FileType::Directory;
            let at = below(at, &entry.name);
            if self.path.leaves_out(&entry.name) || rules.skips(&at, is_directory) {
                continue;
            }
            if !is_directory && self.path.passes_over(&entry.name) {
                continue;
            }
            let Some(names) = names.below(&entry.name) else {
                return Err(self.unspeakable(&at));
            };
            self.judge(&names)?;
            if is_directory {
                let entered = entries::enter(directory, &entry.name, self.mount.as_ref())
                    .map_err(|errno| self.refused(reason(errno), names.real.as_str()))?;
                self.directory(&entered, &names, &at, &rules)?;
            }
        }
        Ok(())
    }

    fn judge(&self, names: &Names) -> Result<(), Refusal> {
        for name in names.all() {
            let judgement = self.asking.judge(self.path, name);
            let is_kept_out = match judgement.effect() {
                Effect::Deny => !judgement.denies.is_empty(),
                Effect::Ask => !judgement.asks.is_empty(),
                Effect::Allow => false,
            };
            if is_kept_out || is_protected(self.asking.policy, name) {
                return Err(self.refused(Reason::PathTreeTouchesDenied, names.real.as_str()));
            }
        }
        Ok(())
    }

    /// A name that no rule can speak about.
    fn unspeakable(&self, at: &[u8]) -> Refusal {
        self.refused(Reason::PathTreeTouchesDenied, &crate::path::shown(at))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other reasons are told in their own words"
    )]
    fn refused(&self, reason: Reason, below: &str) -> Refusal {
        let root = self.path.shown();
        let message = match reason {
            Reason::PathTreeTouchesDenied => {
                format!("directory `{root}` holds `{below}`, which is not allowed")
            }
            _ => format!(
                "`{below}`, below `{root}`, cannot be looked at: {}",
                reason.meaning().trim_end_matches('.')
            ),
        };
        Refusal::new(reason, message)
    }
}

/// The name of an entry of a directory; the top has an empty one.
fn below(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        _ => [directory, name].join(&b'/'),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;

    use super::*;
    use crate::decision::{Context, Request, decide};
    use crate::policy::CompiledPolicy;
    use crate::resolve::Workspace;
    use crate::resolve::bounds::{Bounds, MAX_ENTRIES};

    /// Result for a tree with this many entries, when so many have been seen before.
    fn look(entries: usize, seen: usize) -> Result<(), Reason> {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("d/e")).unwrap();
        for nth in 1..entries {
            let above = if nth % 2 == 0 { "d" } else { "d/e" };
            std::fs::write(root.join(above).join(nth.to_string()), "").unwrap();
        }
        let policy = CompiledPolicy::from_yaml(
            "version: 1\nname: tree\nuse: lictor/files@1\n\
             scopes: {all: \"**\", secrets: \"**/.env\"}\n\
             rules: [{id: all, allow: \"*\", within: all}, {id: no-secrets, deny: \"*\", touching: secrets}]\n",
        );
        let policy = policy.unwrap();
        let (context, workspace) = (Context::new("test"), Workspace::open_root(&root).unwrap());
        let request = Request::named("filesystem", "search").with_arg("path", "d");
        let decision = decide(&policy, &request, &context);
        let plan = decision.plan().unwrap();
        let asking = Asking {
            policy: &policy,
            plan,
            actor: "test".to_owned(),
            context: &context,
            workspace: &workspace,
            bounds: Bounds::default(),
            repository: OnceCell::new(),
            tracked: OnceCell::new(),
        };
        asking.bounds.take_entries(seen, "d").unwrap();
        let path = plan.paths.first().unwrap();
        let opened = workspace
            .open(&path.canonical, policy.disk_rules())
            .unwrap();
        let root = Names {
            real: path.canonical.clone(),
            given: None,
        };
        let mut walk = Walk {
            asking: &asking,
            path,
            mount: None,
        };
        walk.start(&root, &opened).map_err(|refusal| refusal.reason)
    }

    /// Never "nothing was found" where not everything was looked at.
    #[test]
    fn a_tree_with_too_many_entries_is_denied() {
        assert_eq!(look(9, 0), Ok(()));
        assert_eq!(look(9, MAX_ENTRIES - 9), Ok(()));
        assert_eq!(look(10, MAX_ENTRIES - 9), Err(Reason::PathTreeTooLarge));
        assert_eq!(look(2, MAX_ENTRIES - 1), Err(Reason::PathTreeTooLarge));
        assert_eq!(look(1, MAX_ENTRIES), Err(Reason::PathTreeTooLarge));
    }
}
