//! Which policy, which ledger, who asks: from flags, the environment, and the directories above.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the one place of the program that reads its environment"
)]

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::{Failure, Global};
use crate::governor::{self, LoadError, LoadedPolicy, home_directory, load, load_default};
use crate::lint::{Report, render};
use crate::policy::CompiledPolicy;

/// The name a policy is looked for by.
pub(super) const FILE_NAME: &str = "lictor.yaml";

/// The words this program was called with, its name included.
pub(super) fn words() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The first of these variables that has a value.
pub(super) fn first_set(names: &[&'static str]) -> Option<&'static str> {
    let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    names.iter().find(is_set).copied()
}

/// The file of this program.
pub(super) fn program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Finds and loads the policy; what is wrong with it is told whole.
pub(super) fn policy(global: &Global) -> Result<LoadedPolicy, Failure> {
    let directory = current_directory()?;
    let mut loaded = match path(global, &directory) {
        Some(path) => load_file(&path, &directory)?,
        None => {
            message!(
                "note: no policy was found, so everything is denied; name one with `--policy`, or write a {FILE_NAME}"
            );
            load_default(&directory, &state_directory()).map_err(|error| failure(&error))?
        }
    };
    if let Some(ledger) = &global.ledger {
        loaded.ledger = directory.join(ledger);
    }
    loaded.lint = Some(super::lint::in_brief);
    Ok(loaded)
}

/// Where the policy is, if one is named or found.
pub(super) fn path(global: &Global, directory: &Path) -> Option<PathBuf> {
    let named = global.policy.clone().or_else(|| {
        std::env::var_os("LICTOR_POLICY")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    });
    named.or_else(|| outermost(directory))
}

/// Loads one policy file.
pub(super) fn load_file(path: &Path, directory: &Path) -> Result<LoadedPolicy, Failure> {
    load(path, directory, &state_directory()).map_err(|error| failure(&error))
}

/// The results for several files, and the files that have none.
#[derive(Debug)]
pub(super) struct Each<T> {
    pub(super) found: Vec<T>,
    pub(super) failed: Vec<Unread>,
}

/// A file that nothing could be said about.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) file: String,
    pub(super) why: String,
}

impl Unread {
    /// The files and reasons as JSON.
    pub(super) fn json(all: &[Unread]) -> Json {
        let one = |unread: &Unread| json!({"file": unread.file, "error": unread.why});
        all.iter().map(one).collect()
    }
}

/// Loads each policy file that can be loaded, and reports why the others cannot.
///
/// # Errors
///
/// The one policy that no file was named for cannot be loaded.
pub(super) fn load_files(
    files: &[PathBuf],
    global: &Global,
) -> Result<Each<LoadedPolicy>, Failure> {
    load_each(files, global, load)
}

/// Loads each policy, or tool library with rules that allow all that it declares, as [`load_files`] does: to run the
/// tests in it.
pub(super) fn load_to_test(
    files: &[PathBuf],
    global: &Global,
) -> Result<Each<LoadedPolicy>, Failure> {
    load_each(files, global, governor::load_to_test)
}

fn load_each(
    files: &[PathBuf],
    global: &Global,
    load: impl Fn(&Path, &Path, &Path) -> Result<LoadedPolicy, LoadError>,
) -> Result<Each<LoadedPolicy>, Failure> {
    if files.is_empty() {
        let found = vec![policy(global)?];
        let failed = Vec::new();
        return Ok(Each { found, failed });
    }
    let directory = current_directory()?;
    let state = state_directory();
    Ok(each(files, |file| {
        load(file, &directory, &state).map_err(|error| failure(&error))
    }))
}

/// Looks at each of several files. The reason why a file has no result is printed, and kept for answers to programs.
pub(super) fn each<T>(
    files: &[PathBuf],
    mut look: impl FnMut(&Path) -> Result<T, Failure>,
) -> Each<T> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for file in files {
        match look(&in_directory(file)) {
            Ok(one) => found.push(one),
            Err(failure) => {
                failure.print();
                failed.push(Unread {
                    file: file.display().to_string(),
                    why: failure.plain(),
                });
            }
        }
    }
    Each { found, failed }
}

/// The policy that a directory stands for; a file stands for itself.
fn in_directory(file: &Path) -> PathBuf {
    match file.is_dir() {
        true => file.join(FILE_NAME),
        false => file.to_owned(),
    }
}

/// Loads one policy file as a text to compare: without regard to where it and its record lie.
pub(super) fn load_document(path: &Path, directory: &Path) -> Result<CompiledPolicy, Failure> {
    crate::governor::load_document(&in_directory(path), directory).map_err(|error| failure(&error))
}

/// Loads this text in place of a policy file's own.
pub(super) fn load_text(
    path: &Path,
    text: String,
    directory: &Path,
) -> Result<CompiledPolicy, Failure> {
    crate::governor::load_text(path, text, directory).map_err(|error| failure(&error))
}

fn failure(error: &LoadError) -> Failure {
    match error {
        LoadError::Invalid(errors) => Failure(render::human(&Report::of_errors(errors))),
        LoadError::Unreadable { .. } | LoadError::NotNarrow { .. } => Failure::new(error),
    }
}

pub(super) fn current_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(format!(
            "the current directory cannot be read: {error}\n  help: it may have been removed; change to one that is there"
        ))
    })
}

/// The current directory from the top of a workspace that it lies in; none outside of it, and at its top.
pub(super) fn directory_in(workspace: &Path) -> Result<Option<OsString>, Failure> {
    let directory = current_directory()?;
    // The kernel names a directory without links; the workspace is named as in the policy.
    let workspace = std::fs::canonicalize(workspace).unwrap_or_else(|_| workspace.to_owned());
    let below = directory.strip_prefix(workspace).ok();
    Ok(below
        .filter(|below| !below.as_os_str().is_empty())
        .map(|below| below.as_os_str().to_owned()))
}

/// Who asks: a claim, recorded as such.
pub(super) fn actor(global: &Global) -> String {
    claimed_actor(global).unwrap_or_else(|| format!("uid-{}", crate::governor::user_id()))
}

/// Who asks, if somebody says so.
pub(super) fn claimed_actor(global: &Global) -> Option<String> {
    global.actor.clone().or_else(|| {
        std::env::var("LICTOR_ACTOR")
            .ok()
            .filter(|name| !name.is_empty())
    })
}

/// The policy in the outermost directory that has one of this user's or root's, if nobody else could have
/// written it. The outermost, because a file further in can be written by those whom it would bound.
///
/// A file of somebody else is passed over: it is never in force, and whoever may write to a directory above
/// could else switch off all policies below. One of this user's own that others may write to is not: what it
/// bounds could be what made it so, and a policy further in may come from there too.
fn outermost(directory: &Path) -> Option<PathBuf> {
    let owners = crate::governor::Owners::current();
    let mut above: Vec<&Path> = directory.ancestors().collect();
    above.reverse();
    for place in above {
        let found = place.join(FILE_NAME);
        let Ok(itself) = found.symlink_metadata() else {
            continue;
        };
        if let Err(why) = owners.check(&found, itself.uid()) {
            message!(
                "warning: {} is passed over: it belongs to somebody else ({why}); one of yours below it counts",
                found.display()
            );
            continue;
        }
        let why_not = match std::fs::metadata(&found) {
            Ok(file) if owners.check(&found, file.uid()).is_err() => "it belongs to somebody else",
            Ok(file) if file.mode() & 0o022 != 0 => "others may write to it (chmod go-w)",
            Ok(_) => return Some(found),
            Err(_) => "it cannot be read",
        };
        message!(
            "warning: {} is not used: {why_not}; none below it counts instead, name another with `--policy`",
            found.display()
        );
        return None;
    }
    None
}

/// Where the ledger is that something could not be written to, why there, and the way out.
pub(super) fn tell_ledger(directory: &Path) {
    let shown = directory.display().to_string();
    let state = state();
    let why = match directory.starts_with(&state.directory) {
        true => format!(", a place that comes from {}", state.from),
        false => String::new(),
    };
    message!("  the ledger is in `{}`{why}", shown.escape_debug());
    message!(
        "  help: `lictor doctor` looks at it; `ledger.path` in the policy, or `--ledger DIR`, names another place"
    );
}

/// The directory that ledgers without a path of their own lie in.
pub(super) fn state_directory() -> PathBuf {
    state().directory
}

/// This user's home, where `~/` of a policy leads.
pub(super) fn home() -> Option<PathBuf> {
    home_directory()
}

/// The home directory in which agents look for their settings: `$HOME`, else that of the user database.
pub(super) fn user_home() -> Option<PathBuf> {
    let named = std::env::var_os("HOME").map(PathBuf::from);
    named.filter(|home| home.is_absolute()).or_else(home)
}

/// The directory of ledgers without a path of their own, and its source.
#[derive(Debug)]
pub(super) struct State {
    pub(super) directory: PathBuf,
    pub(super) from: &'static str,
}

/// `$XDG_STATE_HOME/lictor`, or its default below the user's home. A job without `$HOME` (cron, systemd) finds the same
/// home in the user database, so that its record is the one of that user's terminal.
pub(super) fn state() -> State {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let below_home = |home: PathBuf| home.join(".local/state");
    let (state, from) = if let Some(state) = absolute("XDG_STATE_HOME") {
        (state, "$XDG_STATE_HOME")
    } else if let Some(home) = absolute("HOME") {
        (below_home(home), "$HOME")
    } else if let Some(home) = home_directory() {
        let from = "the user database, because neither $XDG_STATE_HOME nor $HOME is set";
        (below_home(home), from)
    } else {
        let from = "the built-in default, because neither $XDG_STATE_HOME nor $HOME is set and this user has no home";
        (PathBuf::from("/var/lib"), from)
    };
    State {
        directory: state.join("lictor"),
        from,
    }
}
