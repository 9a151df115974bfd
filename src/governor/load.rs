//! A policy from the disk: its file, the files it names, and where it says that things lie.

#![forbid(unsafe_code)]

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use crate::path::{CanonicalPath, Switches};
use crate::policy::source::MAX_DOCUMENT_BYTES;
use crate::policy::{CompiledPolicy, Files, Placement, PolicyErrors, PolicyOutline, SourceFile};

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
}

/// Loads a policy and what it uses.
///
/// `state` is the directory that a ledger without a path of its own lies below; `directory` is where a
/// relative `path` starts.
///
/// # Errors
///
/// When a file cannot be read, or all that is wrong with the policy.
pub fn load(path: &Path, directory: &Path, state: &Path) -> Result<LoadedPolicy, LoadError> {
    let text = read(path).map_err(|why| LoadError::Unreadable {
        path: path.to_owned(),
        why,
    })?;
    let file = directory.join(path);
    let disk = Disk {
        base: file.parent().unwrap_or(directory).to_owned(),
        file: Some(file.clone()),
        state: state.to_owned(),
    };
    let policy = CompiledPolicy::load(SourceFile::new(path.display().to_string(), text), &disk)
        .map_err(LoadError::Invalid)?;
    let mut files = vec![file];
    files.extend(
        policy
            .files()
            .skip(1)
            .filter(|file| !file.name.starts_with("lictor/"))
            .map(|file| disk.base.join(&file.name)),
    );
    Ok(disk.located(policy, files))
}

/// Loads a policy and what it uses as a text to be compared with another: the places of its file and its
/// ledger, which are protected where a policy is in force, are left out of it.
///
/// # Errors
///
/// As for [`load`].
pub fn load_document(path: &Path, directory: &Path) -> Result<CompiledPolicy, LoadError> {
    struct Libraries(PathBuf);
    impl Files for Libraries {
        fn read(&self, name: &str) -> Result<SourceFile, String> {
            read(&self.0.join(name)).map(|text| SourceFile::new(name, text))
        }
    }
    let text = read(path).map_err(|why| LoadError::Unreadable {
        path: path.to_owned(),
        why,
    })?;
    let file = directory.join(path);
    let libraries = Libraries(file.parent().unwrap_or(directory).to_owned());
    CompiledPolicy::load(
        SourceFile::new(path.display().to_string(), text),
        &libraries,
    )
    .map_err(LoadError::Invalid)
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
    };
    let text = include_str!("../../policy/default.yaml");
    let policy = CompiledPolicy::load(SourceFile::new("default", text), &disk)
        .map_err(LoadError::Invalid)?;
    Ok(disk.located(policy, Vec::new()))
}

/// Reads a regular file of at most the size that a policy may have.
fn read(path: &Path) -> Result<String, String> {
    let say = |error: std::io::Error| error.to_string();
    let file = std::fs::File::open(path).map_err(say)?;
    if !file.metadata().map_err(say)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let most = u64::try_from(MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One byte more than is accepted, so that the parser sees that there is too much and says so.
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(say)?;
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
}

impl Disk {
    fn located(&self, policy: CompiledPolicy, files: Vec<PathBuf>) -> LoadedPolicy {
        let outline = PolicyOutline::of(&policy);
        let (workspace, ledger) = (self.workspace(outline.workspace), self.ledger(&outline));
        LoadedPolicy {
            policy,
            files,
            workspace,
            ledger,
        }
    }

    fn workspace(&self, named: &str) -> PathBuf {
        without_dots(&self.base.join(named))
    }

    fn ledger(&self, policy: &PolicyOutline<'_>) -> PathBuf {
        match policy.ledger {
            Some(path) => without_dots(&self.base.join(path)),
            None => self.state.join(policy.name),
        }
    }
}

impl Files for Disk {
    fn read(&self, name: &str) -> Result<SourceFile, String> {
        read(&self.base.join(name)).map(|text| SourceFile::new(name, text))
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
            policy_files: self.file.iter().filter_map(|file| inside(file)).collect(),
            ledger: inside(&self.ledger(policy)),
        }
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

/// The path without `.` components: they change nothing. `..` stays for the kernel to resolve.
fn without_dots(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}
