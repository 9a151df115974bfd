//! Finding a program, and judging everything on the way to what a run starts: the program, the interpreter
//! that its first line names, and the directories that the command and its children look programs up in.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::environment::User;
use super::interpreter::{self, Interpreter, Starts};
use super::trust::Judge;
use super::{Refusal, Workspace, shown};
use crate::policy::CompiledPolicy;
use crate::reason::Reason;

/// Scripts whose interpreters are scripts: the kernel follows as many.
const MAX_INTERPRETERS: usize = 5;

/// The answer of a backend that is asked for a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a backend answers in one of these ways"
)]
pub enum Lookup {
    /// The program is one of this machine: it is looked up here, and has to be trusted.
    OnThisDisk,
    /// The absolute path of the program where the command will run. The backend vouches for it.
    Found(PathBuf),
    /// There is none of that name, for the reason that is given.
    NotFound(String),
    /// There is one, and it is not started, for the reason that is given.
    NotTrusted(String),
}

/// The absolute path of the program, all links resolved.
pub(super) fn find(
    name: &str,
    policy: &CompiledPolicy,
    workspace: &Workspace,
    user: &User,
) -> Result<PathBuf, Refusal> {
    let directories = directories(policy, workspace, user);
    let Some(found) = in_directories(Path::new(name), &directories) else {
        let message = if name.starts_with('/') {
            format!("there is no program `{name}`")
        } else {
            let places: Vec<_> = policy
                .program_path()
                .iter()
                .map(|place| format!("`{place}`"))
                .collect();
            format!("program `{name}` is in none of {}", places.join(", "))
        };
        return Err(Refusal::new(Reason::ProgramNotFound, message));
    };
    let judge = Judge::new(policy, workspace, user);
    judge
        .file(&found)
        .map_err(|why| not_trusted("program", &found, &why))
}

/// Judges what a program that was found goes on to start: its interpreter, and whatever is looked up in the
/// `PATH` that the command is given.
pub(super) fn judge_rest(
    program: &Path,
    path: Option<&OsStr>,
    policy: &CompiledPolicy,
    workspace: &Workspace,
    user: &User,
) -> Result<(), Refusal> {
    let judge = Judge::new(policy, workspace, user);
    let directories: Vec<PathBuf> = path
        .map(|path| path.as_bytes().split(|byte| *byte == b':'))
        .into_iter()
        .flatten()
        .map(|entry| PathBuf::from(OsStr::from_bytes(entry)))
        .collect();
    for directory in &directories {
        judge
            .directory(directory)
            .map_err(|why| not_trusted("directory", directory, &why))?;
    }
    judge_interpreters(program.to_owned(), &directories, &judge)
}

/// Why lictor starts nothing that would look programs up in this directory; none if it is trusted, or absent
/// where nobody else could create it. An entry of `program_path`, as the policy spells it.
#[must_use]
pub fn untrusted_directory(
    entry: &str,
    policy: &CompiledPolicy,
    workspace: &Workspace,
) -> Option<String> {
    let user = User::current();
    let directory = absolute(entry, workspace, &user);
    Judge::new(policy, workspace, &user)
        .directory(&directory)
        .err()
}

/// Why lictor does not start this program, given as a tool names it; none if it is trusted or not found.
#[must_use]
pub fn untrusted_program(
    name: &str,
    policy: &CompiledPolicy,
    workspace: &Workspace,
) -> Option<String> {
    let user = User::current();
    let directories = directories(policy, workspace, &user);
    let found = in_directories(Path::new(name), &directories)?;
    let judge = Judge::new(policy, workspace, &user);
    let judged = judge
        .file(&found)
        .map_err(|why| not_trusted("program", &found, &why))
        .and_then(|real| judge_interpreters(real, &directories, &judge));
    let refusal = judged.err()?;
    (refusal.reason == Reason::ProgramNotTrusted).then_some(refusal.message)
}

fn judge_interpreters(
    mut script: PathBuf,
    directories: &[PathBuf],
    judge: &Judge<'_>,
) -> Result<(), Refusal> {
    for _ in 0..MAX_INTERPRETERS {
        let not_read = |why: String| not_trusted("script", &script, &why);
        let Some(Interpreter { path, starts }) = interpreter::of(&script).map_err(not_read)? else {
            return Ok(());
        };
        let real = judged_interpreter(&script, &path, directories, judge)?;
        script = match starts {
            Starts::Itself => real,
            // What `env` looks up runs the script; `env` itself is a program of its own.
            Starts::Named(name) => judged_interpreter(&script, &name, directories, judge)?,
        };
    }
    let why = "too many scripts are run by scripts";
    Err(not_trusted("script", &script, why))
}

fn judged_interpreter(
    script: &Path,
    name: &Path,
    directories: &[PathBuf],
    judge: &Judge<'_>,
) -> Result<PathBuf, Refusal> {
    let Some(found) = in_directories(name, directories) else {
        let message = format!(
            "`{}` is run by `{}`, which is not there",
            shown(script),
            shown(name)
        );
        return Err(Refusal::new(Reason::ProgramNotFound, message));
    };
    judge.file(&found).map_err(|why| {
        let why = format!(
            "it is run by `{}`, which is not trusted: {why}",
            shown(&found)
        );
        not_trusted("program", script, &why)
    })
}

fn not_trusted(what: &str, path: &Path, why: &str) -> Refusal {
    let message = match what {
        "directory" => format!(
            "directory `{}` of `PATH` is not trusted: {why}; what a command starts is looked up there",
            shown(path)
        ),
        what => format!("{what} `{}` is not trusted: {why}", shown(path)),
    };
    Refusal::new(Reason::ProgramNotTrusted, message)
}

/// The first program of this name in the directories; an absolute one is looked up as it is.
fn in_directories(name: &Path, directories: &[PathBuf]) -> Option<PathBuf> {
    if name.is_absolute() {
        return is_program(name).then(|| name.to_owned());
    }
    directories
        .iter()
        .map(|directory| directory.join(name))
        .find(|path| is_program(path))
}

/// The policy's `program_path`, in absolute form.
pub(super) fn directories(
    policy: &CompiledPolicy,
    workspace: &Workspace,
    user: &User,
) -> Vec<PathBuf> {
    policy
        .program_path()
        .into_iter()
        .map(|entry| absolute(entry, workspace, user))
        .collect()
}

fn absolute(entry: &str, workspace: &Workspace, user: &User) -> PathBuf {
    match entry.strip_prefix("~/") {
        Some(below) => user.home().join(below),
        None => workspace
            .path()
            .join(entry.strip_prefix("./").unwrap_or(entry)),
    }
}

fn is_program(path: &Path) -> bool {
    let access = nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok();
    access
        && std::fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
