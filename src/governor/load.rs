//! A policy from the disk: its file, the files it names, and where it says that things lie.

#![forbid(unsafe_code)]

use std::path::{Component, Path, PathBuf};

use crate::analysis::Budget;
use crate::analysis::diff::diff;
use crate::path::{CanonicalPath, Switches};
use crate::policy::source::MAX_DOCUMENT_BYTES;
use crate::policy::{
    CompiledPolicy, Document, Files, Placement, PolicyErrors, PolicyOutline, SourceFile,
};
use crate::record::LintSummary;
use crate::resolve::{Owners, Workspace, read_bounded, read_file};

/// A policy and where it was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedPolicy {
    /// The policy.
    pub policy: CompiledPolicy,
    /// The files it was read from, absolute; empty for one that is compiled in.
    pub files: Vec<PathBuf>,
    /// The absolute path of its workspace.
    pub workspace: PathBuf,
    /// The absolute path of its ledger.
    pub ledger: PathBuf,
    /// Summary of the lint that is recorded beside the policy; nothing if `None`.
    pub lint: Option<LintSummary>,
}

impl LoadedPolicy {
    /// The policy's files, and the directory of its ledger: what no request may write to.
    pub fn own_files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.files.iter().chain([&self.ledger]).cloned()
    }

    /// The ledger's directory, from the workspace, if the policy's rules let a request read or write there: nothing is
    /// recorded in such a place, so everything is denied.
    #[must_use]
    pub fn ledger_in_reach(&self) -> Option<CanonicalPath> {
        exposed(self, &Workspace::open_root(&self.workspace).ok()?)
    }
}

/// Why a policy cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("policy `{}` cannot be read: {why}", path.display().to_string().escape_debug())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is not a valid policy.
    #[error(transparent)]
    Invalid(PolicyErrors),
    /// It is not shown that it narrows a parent, as it says it does.
    #[error("policy `{}` is not shown to narrow `{}`: {why}", policy.escape_debug(), parent.escape_debug())]
    NotNarrow {
        /// The policy's name.
        policy: String,
        /// The parent's file.
        parent: String,
        /// The newly allowed requests, or the reason why they are not known.
        why: String,
    },
}

/// Where the policies lie that every policy on this machine extends: the files `*.yaml` there, in the order
/// of their names.
pub const FLOOR: &str = "/etc/lictor/floor.d";

/// Loads a policy, what it uses and extends, and the machine's [floor](FLOOR).
///
/// `state` is the directory that a ledger without a path of its own lies below; `directory` is where a
/// relative `path` starts.
///
/// # Errors
///
/// When a file cannot be read, or all that is wrong with the policy, or it allows more than a parent that
/// it says to narrow.
pub fn load(path: &Path, directory: &Path, state: &Path) -> Result<LoadedPolicy, LoadError> {
    let loaded = load_above(path, directory, state, Path::new(FLOOR))?;
    prove_narrow(&loaded.policy)?;
    Ok(loaded)
}

/// Loads a policy without the proof that `narrow` asks for: to look at it, not to decide by it. So it may also be a
/// tool library, and come from standard input, as `-`, or from a descriptor that this process was started with, as
/// `/dev/fd/N`.
///
/// # Errors
///
/// When a file cannot be read, or all that is wrong with the policy.
pub fn load_unproved(
    path: &Path,
    directory: &Path,
    state: &Path,
) -> Result<LoadedPolicy, LoadError> {
    load_either(path, directory, state, CompiledPolicy::of_library)
}

/// Loads a policy as [`load`] does, or a tool library with rules that [allow](CompiledPolicy::library_allowed) all
/// that it declares: to run the tests in it.
///
/// # Errors
///
/// As [`load`].
pub fn load_to_test(
    path: &Path,
    directory: &Path,
    state: &Path,
) -> Result<LoadedPolicy, LoadError> {
    let loaded = load_either(path, directory, state, CompiledPolicy::of_library_allowed)?;
    prove_narrow(&loaded.policy)?;
    Ok(loaded)
}

fn load_either(
    path: &Path,
    directory: &Path,
    state: &Path,
    of_library: impl FnOnce(Document) -> Result<CompiledPolicy, PolicyErrors>,
) -> Result<LoadedPolicy, LoadError> {
    let (text, file) = read_document(path, directory).map_err(|why| unreadable(path, why))?;
    let document = Document::read(SourceFile::new(shown(path), text));
    if !document.is_library() {
        return load_from(document, file, directory, state, Path::new(FLOOR));
    }
    let above = file.as_deref().and_then(Path::parent);
    Ok(LoadedPolicy {
        policy: of_library(document).map_err(LoadError::Invalid)?,
        workspace: above.unwrap_or(directory).to_owned(),
        ledger: state.to_owned(),
        files: Vec::from_iter(file),
        lint: None,
    })
}

/// Shows that a policy allows nothing that the parents which it says to narrow do not.
///
/// Each time anew: a note that it was shown before would be as good as the file that it stands in, and
/// what a policy bounds may be able to write that.
fn prove_narrow(policy: &CompiledPolicy) -> Result<(), LoadError> {
    let Some(narrow) = policy.narrow() else {
        return Ok(());
    };
    for parent in &narrow.parents {
        let diff = diff(&parent.parent, &narrow.child, &Budget::default());
        let Some(why) = diff.what_is_new() else {
            continue;
        };
        return Err(LoadError::NotNarrow {
            policy: policy.name().to_owned(),
            parent: parent.name.clone(),
            why,
        });
    }
    Ok(())
}

/// Loads a policy above another floor, and without that proof.
///
/// # Errors
///
/// As [`load_unproved`].
pub fn load_above(
    path: &Path,
    directory: &Path,
    state: &Path,
    floor: &Path,
) -> Result<LoadedPolicy, LoadError> {
    let file = directory.join(path);
    let text = read(&file).map_err(|why| unreadable(path, why))?;
    let document = Document::read(SourceFile::new(shown(path), text));
    load_from(document, Some(file), directory, state, floor)
}

fn unreadable(path: &Path, why: String) -> LoadError {
    LoadError::Unreadable {
        path: path.to_owned(),
        why,
    }
}

/// Loads what was read. Without a file, it is taken for one that lies in `directory`.
fn load_from(
    document: Document,
    file: Option<PathBuf>,
    directory: &Path,
    state: &Path,
    floor: &Path,
) -> Result<LoadedPolicy, LoadError> {
    let above = file.as_deref().and_then(Path::parent);
    let disk = Disk {
        base: above.unwrap_or(directory).to_owned(),
        file: file.clone(),
        state: state.to_owned(),
        floor: Some(floor.to_owned()),
    };
    let policy = CompiledPolicy::of_policy(document, &disk).map_err(LoadError::Invalid)?;
    let mut files = Vec::from_iter(file);
    files.extend(disk.on_disk(policy.files().skip(1).map(|file| file.name.as_str())));
    Ok(disk.located(policy, files))
}

/// Loads a policy and what it uses as a text to be compared with another: the places of its file and its
/// ledger, which are protected where a policy is in force, are left out of it.
///
/// # Errors
///
/// As for [`load`].
pub fn load_document(path: &Path, directory: &Path) -> Result<CompiledPolicy, LoadError> {
    let (text, _) = read_document(path, directory).map_err(|why| unreadable(path, why))?;
    load_text(path, text, directory)
}

/// Loads a policy with this text in place of the file's own.
///
/// # Errors
///
/// All that is wrong with it.
pub fn load_text(path: &Path, text: String, directory: &Path) -> Result<CompiledPolicy, LoadError> {
    struct Libraries(PathBuf);
    impl Files for Libraries {
        fn read(&self, name: &str) -> Result<SourceFile, String> {
            read(&self.0.join(name)).map(|text| SourceFile::new(name, text))
        }
    }
    let file = directory.join(path);
    let libraries = Libraries(file.parent().unwrap_or(directory).to_owned());
    CompiledPolicy::load(SourceFile::new(shown(path), text), &libraries).map_err(LoadError::Invalid)
}

/// The compiled-in policy, which denies everything; `directory` is its workspace.
///
/// # Errors
///
/// Never, while the tests of this crate pass.
pub fn load_default(directory: &Path, state: &Path) -> Result<LoadedPolicy, LoadError> {
    let disk = Disk {
        base: directory.to_owned(),
        file: None,
        state: state.to_owned(),
        floor: None,
    };
    let text = include_str!("../../policy/default.yaml");
    let policy = CompiledPolicy::load(SourceFile::new("default", text), &disk)
        .map_err(LoadError::Invalid)?;
    Ok(disk.located(policy, Vec::new()))
}

/// Reads a regular file of at most the size that a policy may have.
fn read(path: &Path) -> Result<String, String> {
    text(read_file(path, MAX_DOCUMENT_BYTES)?)
}

/// Reads a document to look at, which also may come from standard input (`-`) or from a descriptor that this process
/// was started with. Returns its text, and where it lies if it is a file.
fn read_document(path: &Path, directory: &Path) -> Result<(String, Option<PathBuf>), String> {
    let stream = match path.to_str() {
        Some("-" | "/dev/stdin") => Some("/dev/stdin"),
        Some(name) if name.starts_with("/dev/fd/") || name.starts_with("/proc/self/fd/") => {
            Some(name)
        }
        _ => None,
    };
    let Some(stream) = stream else {
        let file = directory.join(path);
        return Ok((read(&file)?, Some(file)));
    };
    let opened = std::fs::File::open(stream).map_err(|error| error.to_string())?;
    Ok((text(read_bounded(opened, MAX_DOCUMENT_BYTES)?)?, None))
}

/// Name of a document in messages.
fn shown(path: &Path) -> String {
    match path.to_str() {
        Some("-" | "/dev/stdin") => "<stdin>".to_owned(),
        _ => path.display().to_string(),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| not_utf8(error.as_bytes()))
}

/// Where bytes stop being UTF-8, and what they may be instead.
fn not_utf8(bytes: &[u8]) -> String {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return "it is UTF-16; save it as UTF-8".to_owned();
    }
    let good = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let line = good.matches('\n').count().saturating_add(1);
    let start = good.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let column = good
        .get(start..)
        .unwrap_or("")
        .chars()
        .count()
        .saturating_add(1);
    format!("it is not UTF-8 from line {line} column {column} on; save it as UTF-8")
}

/// The directory a policy lies in.
struct Disk {
    base: PathBuf,
    file: Option<PathBuf>,
    state: PathBuf,
    floor: Option<PathBuf>,
}

impl Disk {
    fn located(&self, policy: CompiledPolicy, files: Vec<PathBuf>) -> LoadedPolicy {
        let workspace = self.workspace(policy.workspace());
        let ledger = self.ledger(policy.name(), policy.ledger_settings().path.as_deref());
        LoadedPolicy {
            policy,
            files,
            workspace,
            ledger,
            lint: None,
        }
    }

    fn workspace(&self, named: &str) -> PathBuf {
        without_dots(&self.base.join(named))
    }

    fn ledger(&self, policy: &str, named: Option<&str>) -> PathBuf {
        match named {
            Some(path) => without_dots(&self.base.join(path)),
            None => self.state.join(policy),
        }
    }

    /// Where the files are that are not compiled in.
    fn on_disk<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<PathBuf> {
        names
            .filter(|name| !name.starts_with("lictor/"))
            .map(|name| self.base.join(name))
            .collect()
    }
}

impl Files for Disk {
    fn read(&self, name: &str) -> Result<SourceFile, String> {
        read(&self.base.join(name)).map(|text| SourceFile::new(name, text))
    }

    fn floor(&self) -> Result<Vec<SourceFile>, String> {
        let Some(floor) = &self.floor else {
            return Ok(Vec::new());
        };
        let read_one = |path: PathBuf| {
            let text = read(&path).map_err(|why| at(&path, why))?;
            Ok(SourceFile::new(path.display().to_string(), text))
        };
        floor_files(floor)?.into_iter().map(read_one).collect()
    }

    fn placement(&self, policy: &PolicyOutline<'_>) -> Placement {
        // Links resolved on both sides, so that a file inside the workspace is seen to be inside.
        let workspace = real(&self.workspace(policy.workspace));
        let inside = |path: &Path| {
            let real = real(path);
            let below = real.strip_prefix(&workspace).ok()?.to_str()?.to_owned();
            CanonicalPath::parse(below.as_bytes(), &Switches::default()).ok()
        };
        Placement {
            policy_files: self
                .file
                .iter()
                .chain(&self.on_disk(policy.files.iter().copied()))
                .filter_map(|file| inside(file))
                .collect(),
            ledger: inside(&self.ledger(policy.name, policy.ledger)),
        }
    }
}

/// The files of a [floor](FLOOR), in the order of their names; none if there is no such directory.
///
/// # Errors
///
/// The first thing there that is neither a policy's file nor a `README`, by name, or that somebody else could
/// have written: a rule that is meant to hold on this machine and is not read would not be missed.
pub fn floor_files(floor: &Path) -> Result<Vec<PathBuf>, String> {
    if !exists(floor)? {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(floor).map_err(|error| at(floor, error))?;
    is_trusted(floor).map_err(|why| at(floor, why))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| at(floor, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            return Err(at(&path, "its name is not UTF-8"));
        };
        if name.starts_with("README") {
            continue;
        }
        let found = std::fs::symlink_metadata(&path).map_err(|error| at(&path, error))?;
        if !found.is_file() || !name.ends_with(".yaml") {
            let why = "only regular files with names in `.yaml` are read there, and `README*` is left alone: \
                       rename it, or take it away";
            return Err(at(&path, why));
        }
        is_trusted(&path).map_err(|why| at(&path, why))?;
        files.push(path);
    }
    files.sort_unstable();
    Ok(files)
}

/// Returns true if there is such a file, false if its name is free: a link to nothing is neither.
fn exists(path: &Path) -> Result<bool, String> {
    for above in path.ancestors() {
        match std::fs::symlink_metadata(above) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(above, error)),
            Ok(_) => {
                return match std::fs::metadata(above) {
                    Ok(found) if found.is_dir() => Ok(above == path),
                    Ok(_) => Err(at(above, "it is not a directory")),
                    Err(error) => Err(at(above, error)),
                };
            }
        }
    }
    Ok(false)
}

/// The message about a mistake in a file.
fn at(path: &Path, why: impl std::fmt::Display) -> String {
    format!("`{}`: {why}", path.display().to_string().escape_debug())
}

/// Returns an error unless only root and this user can have written the file.
fn is_trusted(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    Owners::current().check(path, found.uid())?;
    match found.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("others may write to it".to_owned()),
    }
}

/// The real path of what exists of `path`, and the rest as it is.
fn real(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut here = path;
    loop {
        if let Ok(found) = std::fs::canonicalize(here) {
            return missing
                .iter()
                .rev()
                .fold(found, |path: PathBuf, name| path.join(name));
        }
        match (here.parent(), here.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name);
                here = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

/// The ledger's directory in the workspace, if the policy's rules let a request read or write what it holds.
pub(super) fn exposed(loaded: &LoadedPolicy, workspace: &Workspace) -> Option<CanonicalPath> {
    let ledger = workspace.relative(&real(&loaded.ledger))?;
    let is_open = |file: &str| {
        let below = CanonicalPath::parse(file.as_bytes(), &Switches::default()).ok()?;
        let path = ledger.join(&below).ok()?;
        Some(loaded.policy.opens(&path))
    };
    // What cannot be asked is taken for open.
    ["key", "segments/000000000000.jsonl"]
        .into_iter()
        .any(|file| is_open(file).unwrap_or(true))
        .then_some(ledger)
}

/// The path without `.` components: they change nothing. `..` stays for the kernel to resolve.
fn without_dots(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::decision::{Context, Effect, Request, decide};
    use crate::reason::Reason;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    const OWN: &str = "version: 1
name: own
extends: shared/base.yaml
use: [lictor/files@1, tools/mine.yaml]
scopes: {all: \"**\"}
rules: [{id: all, allow: [filesystem.write_file, filesystem.read_file], within: all}]
";

    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        write(&place.path().join("work/lictor.yaml"), OWN);
        write(
            &place.path().join("work/shared/base.yaml"),
            "version: 1\nname: base\nuse: more.yaml\n",
        );
        let tools = "version: 1\ntools: {mine: {program: mine, actions: {run: {}}}}\n";
        write(&place.path().join("work/tools/mine.yaml"), tools);
        write(
            &place.path().join("work/shared/more.yaml"),
            &tools.replace("mine", "more"),
        );
        place
    }

    #[track_caller]
    fn decides(policy: &CompiledPolicy, action: &str, path: &str) -> (Effect, Option<Reason>) {
        let request = Request::named("filesystem", action).with_arg("path", path);
        let decision = decide(policy, &request, &Context::new("me"));
        (decision.effect(), decision.reason())
    }

    #[test]
    fn no_file_that_the_policy_was_read_from_can_be_written() {
        let place = place();
        let work = place.path().join("work");
        let file = work.join("lictor.yaml");
        let loaded = load_above(&file, &work, place.path(), &place.path().join("floor.d")).unwrap();
        assert_eq!(loaded.files.len(), 4, "{:?}", loaded.files);
        for path in [
            "lictor.yaml",
            "shared/base.yaml",
            "shared/more.yaml",
            "tools/mine.yaml",
        ] {
            assert_eq!(
                decides(&loaded.policy, "write_file", path),
                (Effect::Deny, Some(Reason::SelfProtected)),
                "{path}"
            );
        }
        assert_eq!(
            decides(&loaded.policy, "write_file", "tools/other.yaml").0,
            Effect::Allow
        );
    }

    #[test]
    fn a_policy_that_does_not_narrow_what_it_says_it_narrows_decides_nothing() {
        let place = tempfile::tempdir().unwrap();
        let work = place.path();
        let base = "version: 1\nname: base\nuse: lictor/files@1\nscopes: {docs: \"docs/**\"}\n\
                    rules: [{id: read, allow: filesystem.read_file, within: docs}]\n";
        write(&work.join("base.yaml"), base);
        let load_with = |rest: &str| {
            let text = format!(
                "version: 1\nname: own\nextends: {{file: base.yaml, narrow: true}}\nuse: lictor/files@1\n{rest}"
            );
            write(&work.join("lictor.yaml"), &text);
            load(Path::new("lictor.yaml"), work, work)
        };
        let inside = "scopes: {guide: [\"docs/guide/**\", \"docs/*.md\"]}\n\
                      rules: [{id: guide, allow: filesystem.read_file, within: guide}]\n";
        assert!(load_with(inside).is_ok());
        let outside = inside.replace("docs/*.md", "*.md");
        let error = load_with(&outside).unwrap_err().to_string();
        assert!(
            error.contains("base.yaml") && error.contains(".md"),
            "{error}"
        );
        let exempt = outside.replace("within: guide}", "within: guide, widens: true}");
        let loaded = load_with(&exempt).unwrap();
        let request = Request::named("filesystem", "read_file").with_arg("path", "a.md");
        let decision = decide(&loaded.policy, &request, &Context::new("me"));
        assert_eq!(decision.to_json()["widens"], serde_json::json!(["guide"]));
        let relaxed = format!("{inside}paths: {{dot: deny}}\n");
        let error = load_with(&relaxed).unwrap_err().to_string();
        assert!(error.contains("paths.dot"), "{error}");
        // To look at, it can be loaded all the same.
        assert!(load_unproved(Path::new("lictor.yaml"), work, work).is_ok());
    }

    #[test]
    fn the_floor_is_read_in_order_and_only_if_nobody_else_could_have_written_it() {
        let place = place();
        let work = place.path().join("work");
        let file = work.join("lictor.yaml");
        let floor = place.path().join("floor.d");
        let load = || load_above(&file, &work, place.path(), &floor);
        let deny = "version: 1\nname: floor\nscopes: {keys: \"**/*.pem\"}\nrules: [{id: no-keys, deny: \"*\", touching: keys}]\n";
        write(&floor.join("10-keys.yaml"), deny);
        write(&floor.join("README"), "not a policy");
        let loaded = load().unwrap();
        assert_eq!(
            decides(&loaded.policy, "read_file", "a.pem"),
            (Effect::Deny, Some(Reason::DeniedByRule))
        );
        assert!(loaded.files.last().unwrap().ends_with("10-keys.yaml"));

        let mode = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(floor.join("10-keys.yaml"), mode).unwrap();
        };
        mode(0o666);
        let error = load().unwrap_err().to_string();
        assert!(error.contains("others may write"), "{error}");
        mode(0o644);
        write(
            &floor.join("20-bad.yaml"),
            "version: 1\nname: bad\nrulez: []\n",
        );
        let error = load().unwrap_err().to_string();
        assert!(
            error.contains("20-bad.yaml") && error.contains("rulez"),
            "{error}"
        );
    }

    #[test]
    fn what_the_floor_does_not_understand_is_refused_and_never_passed_over() {
        let place = place();
        let work = place.path().join("work");
        let file = work.join("lictor.yaml");
        let floor = place.path().join("etc/floor.d");
        let load = || load_above(&file, &work, place.path(), &floor);
        #[track_caller]
        fn names(error: Result<LoadedPolicy, LoadError>, name: &str) {
            let error = error.map(drop).unwrap_err().to_string();
            assert!(error.contains("P009") && error.contains(name), "{error}");
        }
        // No floor, as far up as there is anything.
        assert!(load().is_ok());
        std::os::unix::fs::symlink("nowhere", place.path().join("etc")).unwrap();
        names(load(), "etc`");
        std::fs::remove_file(place.path().join("etc")).unwrap();
        std::fs::create_dir(place.path().join("etc")).unwrap();
        assert!(load().is_ok());
        std::os::unix::fs::symlink("nowhere", &floor).unwrap();
        names(load(), "floor.d");
        std::fs::remove_file(&floor).unwrap();
        std::fs::write(&floor, "").unwrap();
        names(load(), "not a directory");
        std::fs::remove_file(&floor).unwrap();

        let policy = "version: 1\nname: floor\n";
        write(&floor.join("README.md"), "");
        write(&floor.join("10-good.yaml"), policy);
        assert_eq!(floor_files(&floor).unwrap(), [floor.join("10-good.yaml")]);
        for name in [
            "10-base.yml",
            "base",
            "B.YAML",
            "10-good.yaml~",
            ".10.yaml.swp",
            "x.yaml.rpmnew",
        ] {
            write(&floor.join(name), policy);
            names(load(), name);
            std::fs::remove_file(floor.join(name)).unwrap();
        }
        let odd = floor.join("20-odd.yaml");
        std::os::unix::fs::symlink("nowhere", &odd).unwrap();
        names(load(), "20-odd.yaml");
        std::fs::remove_file(&odd).unwrap();
        std::fs::create_dir(&odd).unwrap();
        names(load(), "20-odd.yaml");
        std::fs::remove_dir(&odd).unwrap();
        nix::unistd::mkfifo(&odd, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        names(load(), "20-odd.yaml");
        std::fs::remove_file(&odd).unwrap();
        assert!(load().is_ok());
    }
}
