//! An allowed decision + the disk -> a [`Command`], or a denial. The only maker of `Command`.
//!
//! The rules have spoken about text. Here the disk is asked whether it agrees: the workspace is opened
//! once (`workspace.rs`), each path is opened below it without following anything out (`resolver.rs`:
//! `beneath.rs`, or `walk.rs` where the kernel lacks that), what a directory argument means is looked
//! through (`tree.rs`; what git ignores: `unignored.rs`, `ignore_file.rs`), what a write will create is
//! judged by name (`created.rs`), the workspace's repository is held to be one (`repository.rs`), the program is found and judged (`program.rs`), and the environment put together (`environment.rs`). What was opened is what the
//! rules are asked about again, and its identity is kept, so that it can be checked once more right
//! before the command starts.
//!
//! | file | |
//! |---|---|
//! | `workspace`, `resolver`, `beneath`, `walk` | looking a path up below the workspace |
//! | `tree`, `entries`, `unignored`, `ignore_file`, `index` | a directory argument, and what of it git ignores or tracks |
//! | `created`, `new_file`, `written`, `replaced`, `file`, `pinned` | files that are written or read for a run |
//! | `program`, `interpreter`, `trust`, `owner`, `environment` | the program, and if those whom the policy bounds could have put it there |
//! | `repository`, `survey`, `bounds` | the git repository; which files an action may touch; how much is looked at |
//! | `job` | what the executor is given |

#![forbid(unsafe_code)]

mod beneath;
mod bounds;
mod created;
mod entries;
mod environment;
mod file;
mod ignore_file;
mod index;
mod interpreter;
mod job;
#[cfg(feature = "cli")]
mod new_file;
mod owner;
mod pinned;
mod program;
#[cfg(feature = "cli")]
mod replaced;
mod repository;
mod resolver;
mod survey;
mod tree;
mod trust;
mod unignored;
mod walk;
mod workspace;
mod written;

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decision::{Context, Decision, Effect, Judgement, Plan, judge_path, paths::Decided};
use crate::log::RunId;
use crate::path::{CanonicalPath, is_taken_for};
use crate::policy::CompiledPolicy;
use crate::policy::model::{Access, Creates, DiskRules, Tree};
use crate::reason::Reason;
use bounds::Bounds;
use index::Tracked;
use repository::Repository;
use workspace::Named;

pub use beneath::Openat2;
pub(crate) use file::{read_bounded, read_file};
pub use job::{Directory, Job};
#[cfg(feature = "cli")]
pub(crate) use new_file::{Existing, Guarded, NewFile};
pub use owner::Owners;
pub use pinned::MAX_PINNED_BYTES;
pub use program::{Lookup, untrusted_directory, untrusted_program};
#[cfg(feature = "cli")]
pub(crate) use replaced::{Below, replace};
#[cfg(feature = "cli")]
pub(crate) use repository::is_tracked;
pub use resolver::{Found, Identity, Kind, Opened, Resolver, Root};
pub use survey::{Surveyed, Verdict, survey, survey_below};
pub use walk::ComponentWalk;
pub use workspace::{Workspace, WorkspaceError};
pub use written::{Unwritten, Written};

/// The effective user.
#[must_use]
pub fn user_id() -> u32 {
    nix::unistd::Uid::effective().as_raw()
}

/// The effective user's home directory by the user database, if that names one and it is there.
#[must_use]
pub fn home_directory() -> Option<PathBuf> {
    let entry = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
    let home = entry.ok().flatten()?.dir;
    (home.is_absolute() && home.is_dir()).then_some(home)
}

/// A path as messages show it.
fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

/// Facts about the process around it that resolving needs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Host {
    /// The environment that variables may be inherited from.
    pub environment: Vec<(OsString, OsString)>,
    /// Directories that a run must not see.
    pub hidden: Vec<PathBuf>,
    /// Files that a run must not change.
    pub read_only: Vec<PathBuf>,
    /// The name of a long run.
    pub name: Option<String>,
}

/// A command that was decided, and that the disk agrees with. Holding one proves both.
///
/// There is no other way to get one:
///
/// ```compile_fail
/// fn forge(job: lictor::resolve::Job) -> lictor::resolve::Command {
///     lictor::resolve::Command { job, decision: todo!(), opened: vec![], rules: todo!(), workspace: todo!() }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a command that is never admitted is a decision nobody recorded"]
pub struct Command {
    job: Job,
    decision: Decision,
    opened: Vec<OpenedPath>,
    rules: DiskRules,
    workspace: Arc<Workspace>,
}

/// One path of a command as it was found.
#[derive(Clone, Debug)]
struct OpenedPath {
    path: CanonicalPath,
    access: Access,
    /// Number of names of a file.
    names: u32,
    is: Is,
}

/// Kind of thing that was found under a path.
#[derive(Clone, Debug)]
enum Is {
    /// This file or directory.
    There(Identity),
    /// Nothing yet: this directory above it is there, and the next name on the way is not.
    Absent {
        directory: CanonicalPath,
        identity: Identity,
        name: String,
    },
}

impl Command {
    /// The decision that allowed it.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The job to start.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The workspace it was resolved in.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The paths that no longer lead to what was decided. Empty right after resolving.
    ///
    /// Written paths are left out where `after` says that the command has run: programs often replace
    /// the files they write.
    #[must_use]
    pub fn changed_paths(&self, when: When) -> Vec<&CanonicalPath> {
        let is_watched =
            |opened: &&OpenedPath| when == When::BeforeStart || opened.access != Access::Write;
        self.opened
            .iter()
            .filter(is_watched)
            .filter(|opened| !self.is_as_decided(opened))
            .map(|opened| &opened.path)
            .collect()
    }

    fn is_as_decided(&self, opened: &OpenedPath) -> bool {
        let workspace = &self.workspace;
        match &opened.is {
            Is::There(identity) => {
                let now = workspace.open(&opened.path, self.rules);
                now.is_ok_and(|now| now.identity == *identity)
            }
            // A link that was laid there since would lead what is written elsewhere.
            Is::Absent {
                directory,
                identity,
                name,
            } => {
                let now = workspace.open(directory, self.rules);
                now.is_ok_and(|now| {
                    now.identity == *identity && workspace.name_in(&now, name) == Ok(Named::Nothing)
                })
            }
        }
    }
}

/// When the paths of a command are looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is a before and an after")]
pub enum When {
    /// Right before it starts.
    BeforeStart,
    /// After it has run.
    AfterExit,
}

/// Result of asking the disk.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "every caller has to look at both")]
#[expect(clippy::large_enum_variant, reason = "made once for each request")]
pub enum Resolved {
    /// The disk agrees, and this is what would be started.
    Command(Command),
    /// The disk agrees; the tool has no program, the host performs the action.
    HostActs(Decision),
    /// Not an allow, or one that the disk does not agree with.
    Denied(Decision),
}

impl Resolved {
    /// The decision, with what the disk says.
    #[must_use]
    pub fn into_decision(self) -> Decision {
        match self {
            Resolved::Command(command) => command.decision,
            Resolved::HostActs(decision) | Resolved::Denied(decision) => decision,
        }
    }
}

/// Asks the disk about an allowed decision. Anything but an allow comes back as it is.
pub fn resolve(
    policy: &CompiledPolicy,
    decision: Decision,
    context: &Context,
    workspace: &Arc<Workspace>,
    host: &Host,
) -> Resolved {
    let on_this_disk = |_: &str| Lookup::OnThisDisk;
    resolve_for(policy, decision, context, workspace, host, &on_this_disk)
}

/// Asks the disk about an allowed decision, and `lookup` about its program: a backend that runs commands elsewhere knows
/// what is there.
pub fn resolve_for(
    policy: &CompiledPolicy,
    decision: Decision,
    context: &Context,
    workspace: &Arc<Workspace>,
    host: &Host,
    lookup: &dyn Fn(&str) -> Lookup,
) -> Resolved {
    if decision.effect() != Effect::Allow {
        return Resolved::Denied(decision);
    }
    let Some(plan) = decision.plan().cloned() else {
        return Resolved::Denied(decision);
    };
    let asking = Asking {
        policy,
        plan: &plan,
        actor: decision.asked().actor.clone(),
        context,
        workspace,
        bounds: Bounds::default(),
        repository: OnceCell::new(),
        tracked: OnceCell::new(),
    };
    let opened = match asking.open_all() {
        Ok(opened) => opened,
        Err((nth, Refusal { reason, message })) => {
            return Resolved::Denied(match nth {
                Some(nth) => decision.denied_path(nth, reason, message),
                None => decision.denied(reason, message),
            });
        }
    };
    let names: Vec<u32> = opened.iter().map(|opened| opened.names).collect();
    let Some(name) = &plan.program else {
        return Resolved::HostActs(decision.on_disk(&names));
    };
    match asking.job(name, host, lookup) {
        Ok(job) => {
            let workspace = Arc::clone(workspace);
            Resolved::Command(Command {
                job,
                decision: decision.on_disk(&names),
                opened,
                rules: policy.disk_rules(),
                workspace,
            })
        }
        Err(Refusal { reason, message }) => Resolved::Denied(decision.denied(reason, message)),
    }
}

/// Asks the disk about the paths of an allowed decision only, as a dry run of [`resolve`] on a tree
/// that no program would be started in.
#[must_use]
pub fn resolve_paths(
    policy: &CompiledPolicy,
    decision: Decision,
    context: &Context,
    workspace: &Workspace,
) -> Decision {
    let Some(plan) = decision.plan().cloned() else {
        return decision;
    };
    let asking = Asking {
        policy,
        plan: &plan,
        actor: decision.asked().actor.clone(),
        context,
        workspace,
        bounds: Bounds::default(),
        repository: OnceCell::new(),
        tracked: OnceCell::new(),
    };
    match asking.open_all() {
        Ok(opened) => {
            let names: Vec<u32> = opened.iter().map(|opened| opened.names).collect();
            decision.on_disk(&names)
        }
        Err((Some(nth), refusal)) => decision.denied_path(nth, refusal.reason, refusal.message),
        Err((None, refusal)) => decision.denied(refusal.reason, refusal.message),
    }
}

/// Returns true if a segment is one of the names that no path of a request may have (rule 22 of the lexical
/// rules, which a link would get around).
fn is_protected(policy: &CompiledPolicy, real: &CanonicalPath) -> bool {
    let protected = &policy.switches().protected;
    real.segments().any(|name| {
        let is = |known: &String| is_taken_for(name, known);
        protected.iter().any(is)
    })
}

/// Why the disk does not agree.
#[derive(Debug)]
struct Refusal {
    reason: Reason,
    message: String,
}

impl Refusal {
    fn new(reason: Reason, message: impl Into<String>) -> Refusal {
        Refusal {
            reason,
            message: message.into(),
        }
    }
}

/// One request being held against the disk.
struct Asking<'a> {
    policy: &'a CompiledPolicy,
    plan: &'a Plan,
    actor: String,
    context: &'a Context,
    workspace: &'a Workspace,
    bounds: Bounds,
    /// Looked for once, when it is asked for; its index too.
    repository: OnceCell<Result<Option<Repository>, String>>,
    tracked: OnceCell<Option<Vec<Tracked>>>,
}

impl Asking<'_> {
    /// The repository whose top is the workspace, or why nobody can say which it is.
    fn repository(&self) -> &Result<Option<Repository>, String> {
        let find = || repository::find(self.workspace.path());
        self.repository.get_or_init(find)
    }

    /// The names that git tracks, if that is known.
    fn tracked(&self) -> Option<&[Tracked]> {
        let read = || self.repository().as_ref().ok()?.as_ref()?.index();
        self.tracked.get_or_init(read).as_deref()
    }

    /// Git reads this repository as it lies there, and can know the commits that it is asked about.
    fn asks_of_repository(&self, commits: &[String]) -> Result<(), Refusal> {
        let repository = match self.repository() {
            Ok(Some(repository)) => repository,
            // Git says itself that there is none.
            Ok(None) => return Ok(()),
            Err(why) => return Err(Refusal::new(Reason::RepositoryNotTrusted, why)),
        };
        repository.judge(self.tracked(), &self.bounds)?;
        let base = self.plan.climbs_from.as_ref().unwrap_or(&self.plan.cwd);
        let base = self.workspace.path().join(base.as_str());
        let is_path = |name: &&String| base.join(name.as_str()).symlink_metadata().is_ok();
        match commits
            .iter()
            .filter(is_path)
            .find(|name| repository.lacks(name))
        {
            None => Ok(()),
            Some(path) => {
                let message = format!(
                    "`{path}` is a path here and no revision; a path stands behind `--`, as in `-- {path}`"
                );
                Err(Refusal::new(Reason::ArgumentInvalid, message))
            }
        }
    }

    /// Opens all paths. What is wrong with one comes back with its place.
    fn open_all(&self) -> Result<Vec<OpenedPath>, (Option<usize>, Refusal)> {
        if !self.workspace.is_in_place() {
            let message = format!(
                "the workspace `{}` was removed or replaced",
                shown(self.workspace.path())
            );
            return Err((None, Refusal::new(Reason::PathNotFound, message)));
        }
        if let Some(commits) = &self.plan.repository {
            let asked = self.asks_of_repository(commits);
            asked.map_err(|refusal| (None, refusal))?;
        }
        if let Some(base) = &self.plan.climbs_from {
            self.climbs(base).map_err(|refusal| (None, refusal))?;
        }
        let mut opened = Vec::new();
        for (nth, path) in self.plan.paths.iter().enumerate() {
            let before = self.plan.paths.get(..nth).unwrap_or_default();
            // Looking again at what was looked at would only cost time.
            let twin = before.iter().position(|other| other.is_decided_like(path));
            let found = match twin.and_then(|nth| opened.get(nth)) {
                Some(found) => OpenedPath::clone(found),
                None => self.open(path).map_err(|refusal| (Some(nth), refusal))?,
            };
            opened.push(found);
        }
        Ok(opened)
    }

    /// The words hold as many `..` as lead from this directory to the workspace. From behind a link they
    /// would lead elsewhere.
    fn climbs(&self, base: &CanonicalPath) -> Result<(), Refusal> {
        let rules = DiskRules {
            symlinks_within: false,
            ..self.policy.disk_rules()
        };
        let opened = self.workspace.open(base, rules);
        opened.map(|_| ()).map_err(|reason| {
            let message = format!(
                "`{base}` is not reached without links, and the command is passed the way back from there to the workspace"
            );
            Refusal::new(reason, message)
        })
    }

    /// Opens one path and asks the rules about what was found.
    fn open(&self, path: &Decided) -> Result<OpenedPath, Refusal> {
        // The lexical rules know these names in every case of letters; a disk may take others for them.
        if is_protected(self.policy, &path.canonical) {
            let message = format!("path `{}` has a protected name in it", path.shown());
            return Err(Refusal::new(Reason::PathProtectedDenied, message));
        }
        let rules = self.policy.disk_rules();
        if path.creates == Creates::Index {
            created::from_index(self, path)?;
        }
        let opened = match self.workspace.open(&path.canonical, rules) {
            Err(Reason::PathNotFound) if path.access == Access::Write => {
                return created::absent(self, path);
            }
            other => other.map_err(|reason| self.refused(path, reason))?,
        };
        if let Some(real) = &opened.real {
            self.judge_again(path, real)?;
        }
        match opened.kind {
            Kind::Directory => self.look_below(path, &opened)?,
            Kind::File { links } if links > 1 && rules.deny_hardlinks => {
                return Err(self.refused(path, Reason::PathHardlinkDenied));
            }
            Kind::File { links } if links > 1 && path.access == Access::Write => {
                if self.is_guarded(&opened.identity) {
                    return Err(self.refused(path, Reason::SelfProtected));
                }
            }
            Kind::File { .. } => {}
            Kind::Other => return Err(self.refused(path, Reason::PathNotRegular)),
        }
        Ok(OpenedPath {
            path: path.canonical.clone(),
            access: path.access,
            names: match opened.kind {
                Kind::File { links } => links,
                Kind::Directory | Kind::Other => 1,
            },
            is: Is::There(opened.identity),
        })
    }

    /// Returns true for another name of a file that no request may write.
    fn is_guarded(&self, identity: &Identity) -> bool {
        let mut guarded = self.workspace.guarded().into_iter();
        guarded.any(|file| file.is_same_file(identity))
    }

    /// The path led somewhere else inside the workspace: the rules are asked about that place too.
    fn judge_again(&self, path: &Decided, real: &CanonicalPath) -> Result<(), Refusal> {
        let reason = match self.judge(path, real) {
            _ if is_protected(self.policy, real) => Reason::PathProtectedDenied,
            judgement if judgement.effect() == Effect::Allow => return Ok(()),
            judgement => judgement.reason().unwrap_or(Reason::PathSymlinkDenied),
        };
        let message = format!(
            "path `{}` leads to `{real}`, which is not allowed",
            path.shown()
        );
        Err(Refusal::new(reason, message))
    }

    /// Judgement of the rules on a path that the disk led to from a path of the request.
    fn judge(&self, path: &Decided, found: &CanonicalPath) -> Judgement {
        judge_path(
            self.policy,
            self.plan.tool,
            self.plan.action,
            &path.argument,
            path.access,
            found,
            &self.actor,
            self.context,
        )
    }

    /// The action, as `tool.action`.
    fn action_name(&self) -> String {
        self.policy.action_name(self.plan.tool, self.plan.action)
    }

    /// Asks about what lies, or will lie, below a directory.
    fn look_below(&self, path: &Decided, opened: &Opened) -> Result<(), Refusal> {
        match &path.creates {
            Creates::Unknown => return Err(created::unknown(self, path)),
            Creates::From(source) => return created::into_directory(self, path, source, opened),
            Creates::Itself | Creates::Parents | Creates::Index => {}
        }
        match path.tree {
            Tree::Names => Ok(()),
            Tree::All | Tree::Unignored => tree::look_through(self, path, opened),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other reasons are told in their own words"
    )]
    fn refused(&self, path: &Decided, reason: Reason) -> Refusal {
        let shown = path.shown();
        let message = match reason {
            Reason::PathNotFound => format!("path `{shown}` does not exist"),
            Reason::PathSymlinkDenied => format!("path `{shown}` leads through a symbolic link"),
            Reason::PathEscapeDenied => {
                format!("path `{shown}` leads out of the workspace or onto another mount")
            }
            Reason::PathNotDirectory => {
                format!("path `{shown}` goes through something that is no directory")
            }
            Reason::PathUnreadable => {
                format!("path `{shown}` cannot be looked up with the rights there are")
            }
            Reason::PathNotRegular => format!("path `{shown}` is neither a file nor a directory"),
            Reason::PathHardlinkDenied => format!("file `{shown}` has several hard links"),
            Reason::SelfProtected => {
                format!("file `{shown}` is the policy or a part of its record by another name")
            }
            _ => format!(
                "path `{shown}` cannot be looked up: {}",
                reason.meaning().trim_end_matches('.')
            ),
        };
        Refusal::new(reason, message)
    }

    fn job(
        &self,
        name: &str,
        host: &Host,
        lookup: &dyn Fn(&str) -> Lookup,
    ) -> Result<Job, Refusal> {
        let plan = self.plan;
        let user =
            environment::User::current().or_at(&host.environment, self.policy, self.workspace);
        let found = lookup(name);
        let is_here = matches!(found, Lookup::OnThisDisk);
        let program = match found {
            Lookup::OnThisDisk => program::find(name, self.policy, self.workspace, &user)?,
            Lookup::Found(program) => program,
            Lookup::NotFound(why) => return Err(Refusal::new(Reason::ProgramNotFound, why)),
            Lookup::NotTrusted(why) => return Err(Refusal::new(Reason::ProgramNotTrusted, why)),
        };
        let cwd = self
            .workspace
            .directory(&plan.cwd, self.policy.disk_rules())
            .map_err(|reason| {
                Refusal::new(
                    reason,
                    format!("directory `{}` cannot be entered", plan.cwd),
                )
            })?;
        let env = environment::build(self.policy, &plan.terms.env, host, self.workspace, &user);
        let path = env.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.as_os_str());
        if is_here {
            program::judge_rest(&program, path, self.policy, self.workspace, &user)?;
        }
        let argv = std::iter::once(OsString::from(name))
            .chain(plan.words.iter().map(OsString::from))
            .collect();
        let run = RunId::random().map_err(|error| {
            Refusal::new(
                Reason::LedgerUnavailable,
                format!("no name for the run can be drawn: {error}"),
            )
        })?;
        let below = self.workspace.path().join(plan.cwd.as_str());
        Ok(Job {
            run,
            program,
            argv,
            env,
            directory: Directory::new(below, cwd),
            workspace: self.workspace.path().to_owned(),
            limits: plan.terms.limits.clone(),
            containment: plan.terms.containment,
            stop: plan.terms.stop,
            leaks: plan.terms.leaks,
            report_trouble: plan.terms.report_trouble,
            report: plan.terms.report,
            hidden: host.hidden.clone(),
            read_only: host.read_only.clone(),
            name: host.name.clone(),
        })
    }
}
