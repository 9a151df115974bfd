//! The git repository of the workspace -> nothing, or why git may not read it.
//!
//! A library holds git to what an action is for by words and variables. Some things no word holds back, because
//! nobody knows their names beforehand (a filter), or because git shows what stands in a file that is only
//! configured; and some layouts make git read or write outside of the repository that was looked at. These are refused.
//!
//! The configuration is not parsed, so that no reader can differ from git's. Instead every place is looked at where git
//! could begin to read the name of a section or of a key. There are more of them than git sees (in comments, in
//! values) and never fewer, so what stands at none of them is not set.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use super::bounds::Bounds;
use super::index::{self, Tracked};
use super::{Refusal, entries, read_file, shown};
use crate::reason::Reason;

/// Most bytes of a configuration file, and of a file that names a directory.
const MAX_BYTES: usize = 1 << 20;

/// Most bytes of an index, and of the file with all references.
const MAX_INDEX_BYTES: usize = 256 << 20;
const MAX_REFERENCES_BYTES: usize = 64 << 20;

/// Files in which the repository's configuration may lie.
const CONFIGURATION: [&str; 2] = ["config", "config.worktree"];

/// Entries of a repository that none of the declared actions reads or writes by way of a link: other
/// repositories, and what other programs keep there. Hooks stand where the repository's owner has put them.
const NOT_ENTERED: [&str; 5] = ["annex", "hooks", "lfs", "modules", "worktrees"];

/// The only name of a file that `git blame` may take revisions from. Of any other file it might show a line.
const IGNORED_REVISIONS: &str = ".git-blame-ignore-revs";

/// Most repositories that lie in each other as submodules.
const MAX_DEPTH: usize = 16;

/// Git looks into the submodules that are checked out, as it looks into the repository.
fn submodules_are_harmless(
    workspace: &Path,
    top: &Path,
    tracked: &[Tracked],
    depth: usize,
) -> Result<(), String> {
    for submodule in tracked.iter().filter(|tracked| tracked.is_submodule) {
        let top = top.join(OsStr::from_bytes(&submodule.name));
        let Some(repository) = find(&top)? else {
            continue;
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!(
                "more than {MAX_DEPTH} submodules lie in each other"
            ));
        };
        repository.is_harmless(workspace)?;
        let tracked = repository.index();
        let tracked = repository.tracked(tracked.as_deref())?;
        submodules_are_harmless(workspace, &top, tracked, depth)?;
    }
    Ok(())
}

/// Returns true if git tracks `file`, in the repository that it lies in.
#[cfg(feature = "cli")]
pub(crate) fn is_tracked(file: &Path) -> bool {
    let Ok(file) = file.canonicalize() else {
        return false;
    };
    let mut above = file.ancestors().skip(1);
    let Some(top) = above.find(|place| is_there(&place.join(".git"))) else {
        return false;
    };
    let name = file.strip_prefix(top).unwrap_or(&file).as_os_str();
    let repository = find(top).ok().flatten();
    let tracked = repository.and_then(|repository| repository.index());
    let tracked = tracked.unwrap_or_default();
    tracked.iter().any(|one| one.name == name.as_bytes())
}

/// The directories of a repository.
#[derive(Debug)]
pub(super) struct Repository {
    top: PathBuf,
    /// Of the index and the head.
    own: PathBuf,
    /// Of objects, references and configuration. Another directory for a worktree.
    common: PathBuf,
}

/// Finds the repository whose top this directory is. Without a `.git` there is none.
pub(super) fn find(top: &Path) -> Result<Option<Repository>, String> {
    let git = top.join(".git");
    let found = match std::fs::symlink_metadata(&git) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("`.git` cannot be looked at: {error}")),
    };
    if found.is_dir() {
        if is_there(&git.join("commondir")) {
            return Err(
                "`.git/commondir` makes another directory a part of the repository: remove it, or clone anew".to_owned(),
            );
        }
        let common = git.clone();
        return Ok(Some(Repository {
            top: top.to_owned(),
            own: git,
            common,
        }));
    }
    if !found.is_file() {
        return Err(
            "`.git` is a link or no file: name the directory that holds the repository as the workspace, or clone anew"
                .to_owned(),
        );
    }
    let named = line(&git, b"gitdir: ")?;
    let own = real(&top.join(&named), ".git")?;
    let repository = match is_there(&own.join("commondir")) {
        true => {
            let common = real(&own.join(line(&own.join("commondir"), b"")?), "commondir")?;
            let names_top =
                line(&own.join("gitdir"), b"").is_ok_and(|back| is_same(&own.join(back), &git));
            let is_among_its_worktrees = own.parent() == Some(&*common.join("worktrees"));
            (names_top && is_among_its_worktrees).then(|| Repository {
                top: top.to_owned(),
                own: own.clone(),
                common,
            })
        }
        false => {
            let repository = Repository {
                top: top.to_owned(),
                own: own.clone(),
                common: own.clone(),
            };
            let names_top = repository
                .places("worktree")?
                .iter()
                .any(|value| repository.is_top(value));
            names_top.then_some(repository)
        }
    };
    repository.map(Some).ok_or_else(|| {
        format!(
            "the file `.git` names the repository `{}`, which does not name this directory in return: for a worktree `git worktree repair` writes that down, for another repository `git config core.worktree DIRECTORY`",
            shown(&own)
        )
    })
}

impl Repository {
    /// Refuses what git would read otherwise than it lies there, or run while it only looks.
    pub(super) fn judge(
        &self,
        tracked: Option<&[Tracked]>,
        bounds: &Bounds,
    ) -> Result<(), Refusal> {
        let refused = |why: String| Refusal::new(Reason::RepositoryNotTrusted, why);
        self.is_alone().map_err(refused)?;
        self.is_harmless(&self.top).map_err(refused)?;
        let tracked = self.tracked(tracked).map_err(refused)?;
        submodules_are_harmless(&self.top, &self.top, tracked, MAX_DEPTH).map_err(refused)?;
        has_no_link(&self.common, bounds)?;
        match self.own == self.common {
            true => Ok(()),
            false => has_no_link(&self.own, bounds),
        }
    }

    /// The names that git tracks, if its index is understood.
    pub(super) fn index(&self) -> Option<Vec<Tracked>> {
        // Without a head git does not take it for a repository, and goes on to the directories above.
        std::fs::symlink_metadata(self.own.join("HEAD")).ok()?;
        let file = self.own.join("index");
        // Without an index nothing has been added yet.
        match is_there(&file) {
            true => index::tracked(&read_file(&file, MAX_INDEX_BYTES).ok()?),
            false => Some(Vec::new()),
        }
    }

    /// Returns true if git certainly knows no commit by this name. False for all that is more than a name.
    pub(super) fn lacks(&self, name: &str) -> bool {
        let is_plain = name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+' | b'#')
        });
        // Numbers of commits, as they are or behind `-g` as `git describe` prints them.
        let number = name.rsplit_once("-g").map_or(name, |(_, number)| number);
        let is_number = number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_plain || name.contains("..") || is_number || is_there(&self.common.join("reftable"))
        {
            return false;
        }
        let Ok(packed) = self.packed_references() else {
            return false;
        };
        // Where git looks for a name, in its own order.
        [
            name.to_owned(),
            format!("refs/{name}"),
            format!("refs/tags/{name}"),
            format!("refs/heads/{name}"),
            format!("refs/remotes/{name}"),
            format!("refs/remotes/{name}/HEAD"),
        ]
        .iter()
        .all(|reference| {
            let is_file = |directory: &Path| directory.join(reference).is_file();
            let is_packed = || {
                let lines = packed.split(|byte| *byte == b'\n');
                let mut names =
                    lines.filter_map(|line| line.splitn(2, |byte| *byte == b' ').nth(1));
                names.any(|name| name.trim_ascii_end() == reference.as_bytes())
            };
            !is_file(&self.own) && !is_file(&self.common) && !is_packed()
        })
    }

    /// The file of all references that have none of their own.
    fn packed_references(&self) -> Result<Vec<u8>, String> {
        let file = self.common.join("packed-refs");
        match is_there(&file) {
            true => read_file(&file, MAX_REFERENCES_BYTES),
            false => Ok(Vec::new()),
        }
    }

    /// Nothing of another repository is a part of this one.
    fn is_alone(&self) -> Result<(), String> {
        match is_there(&self.common.join("objects/info/alternates")) {
            false => Ok(()),
            true => Err(
                "`.git/objects/info/alternates` takes another repository's objects for this one's: `git repack -a -d` copies them, then remove the file"
                    .to_owned(),
            ),
        }
    }

    /// The entries of the index; none where there is no index.
    fn tracked<'t>(&self, tracked: Option<&'t [Tracked]>) -> Result<&'t [Tracked], String> {
        let is_told = tracked.is_some() || !is_there(&self.own.join("index"));
        is_told.then(|| tracked.unwrap_or_default()).ok_or_else(|| {
            format!(
                "the index of `{}` is in a form that is not understood, so its submodules are not known: `git update-index --no-split-index` and `git sparse-checkout reapply --no-sparse-index` write it as others are",
                shown(&self.own)
            )
        })
    }

    /// No setting makes git run or show something; `workspace` is left out of the names of files.
    fn is_harmless(&self, workspace: &Path) -> Result<(), String> {
        for (file, text) in self.configuration()? {
            let name = file.strip_prefix(workspace).unwrap_or(&file);
            let name = shown(name);
            if sections(&text).any(|section| section == b"filter") {
                return Err(format!(
                    "`{name}` has a section `filter`: a program that git would run when it only looks at files. Define it in your own configuration (`git config --global`; for git-lfs `git lfs install`) and remove it there (`git config --local --remove-section filter.NAME`)"
                ));
            }
            if sections(&text).any(|section| section.starts_with(b"include")) {
                return Err(format!(
                    "`{name}` has a section `include`, which reads further settings from a file that nobody has looked at: write them into `{name}`, or include the file in your own configuration (`git config --global`)"
                ));
            }
            for (key, value) in keys(&text) {
                self.key_is_harmless(&key, value)
                    .map_err(|why| format!("`{name}` sets {why}"))?;
            }
        }
        Ok(())
    }

    fn key_is_harmless(&self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"worktree" if !self.is_top(value) => Err(
                "`core.worktree`, so that it is about another directory than this: `git config --unset core.worktree`, or name that directory as the workspace",
            ),
            // The worktrees of a bare repository share its configuration.
            b"bare" if self.own == self.common && value != b"false" => Err(
                "`core.bare`, so that it is about no directory at all: `git config core.bare false`, or work in a worktree of it",
            ),
            b"attributesfile" => Err(
                "`core.attributesFile`: git complains of lines of that file by showing them. Write the attributes into `.gitattributes` or `.git/info/attributes`, or set it in your own configuration (`git config --global`)",
            ),
            b"ignorerevsfile" if !self.has_plain_ignored_revisions(value) => Err(
                "`blame.ignoreRevsFile`: git complains of a line of that file by showing it. Only `.git-blame-ignore-revs`, as a file at the top, is taken",
            ),
            _ => Ok(()),
        }
    }

    fn has_plain_ignored_revisions(&self, value: &[u8]) -> bool {
        let file = self.top.join(IGNORED_REVISIONS);
        let is_link = || std::fs::symlink_metadata(file).is_ok_and(|found| found.is_symlink());
        value == IGNORED_REVISIONS.as_bytes() && !is_link()
    }

    /// Returns true for a way from the repository to the workspace.
    fn is_top(&self, value: &[u8]) -> bool {
        is_same(&self.common.join(OsStr::from_bytes(value)), &self.top)
    }

    /// The values of a key, at every place where it may be one.
    fn places(&self, key: &str) -> Result<Vec<Vec<u8>>, String> {
        let files = self.configuration()?;
        let all = files.iter().flat_map(|(_, text)| keys(text));
        Ok(all
            .filter(|(found, _)| found == key.as_bytes())
            .map(|(_, value)| value.to_vec())
            .collect())
    }

    /// The files that git reads for this repository, as far as they are there.
    fn configuration(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
        let mut files = Vec::new();
        for name in CONFIGURATION {
            files.push(self.common.join(name));
            if self.own != self.common {
                files.push(self.own.join(name));
            }
        }
        files.retain(|file| is_there(file));
        let read = |file: PathBuf| {
            let text = read_file(&file, MAX_BYTES)
                .map_err(|why| format!("`{}` cannot be read: {why}", shown(&file)))?;
            Ok((file, text))
        };
        files.into_iter().map(read).collect()
    }
}

/// Where git could begin to read a section, the first part of its name, in lower case.
fn sections(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let begins = text.iter().enumerate().filter(|(_, byte)| **byte == b'[');
    begins.map(|(at, _)| {
        name(
            text.get(at..)
                .and_then(|rest| rest.get(1..))
                .unwrap_or_default(),
        )
    })
}

/// Where git could begin to read a key, its name in lower case, and what stands on the line behind `=`.
fn keys(text: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    let lines = text.split(|byte| *byte == b'\n');
    let begins = lines.flat_map(|line| {
        let behind = line.iter().enumerate().filter(|(_, byte)| **byte == b']');
        let behind = behind.map(|(at, _)| {
            line.get(at..)
                .and_then(|rest| rest.get(1..))
                .unwrap_or_default()
        });
        std::iter::once(line).chain(behind)
    });
    begins.map(|rest| {
        let rest = rest.trim_ascii();
        let name = name(rest);
        let behind = rest.get(name.len()..).unwrap_or_default().trim_ascii();
        (
            name,
            behind.strip_prefix(b"=").unwrap_or_default().trim_ascii(),
        )
    })
}

/// The letters, digits and `-` that a text begins with.
fn name(text: &[u8]) -> Vec<u8> {
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
    let name = text.iter().take_while(is_of_name);
    name.map(u8::to_ascii_lowercase).collect()
}

/// The one line of a file that names a directory, behind `prefix`.
fn line(file: &Path, prefix: &[u8]) -> Result<PathBuf, String> {
    let shown = shown(file);
    let text =
        read_file(file, MAX_BYTES).map_err(|why| format!("`{shown}` cannot be read: {why}"))?;
    let end = text.iter().rposition(|byte| !b"\r\n".contains(byte));
    let line = text
        .get(..end.map_or(0, |last| last.saturating_add(1)))
        .unwrap_or_default();
    match line.strip_prefix(prefix) {
        Some(named) if !named.is_empty() && !named.iter().any(u8::is_ascii_control) => {
            Ok(PathBuf::from(OsStr::from_bytes(named)))
        }
        _ => Err(format!("`{shown}` does not name a directory")),
    }
}

fn real(directory: &Path, named_in: &str) -> Result<PathBuf, String> {
    std::fs::canonicalize(directory)
        .map_err(|error| format!("the directory that `{named_in}` names cannot be found: {error}"))
}

fn is_there(path: &Path) -> bool {
    !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound)
}

/// Returns true for two names of one file or directory.
fn is_same(one: &Path, other: &Path) -> bool {
    let which = |path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((which(one), which(other)), (Ok(one), Ok(other)) if one == other)
}

/// Looks through a repository for links. Git would read and write through them.
fn has_no_link(root: &Path, bounds: &Bounds) -> Result<(), Refusal> {
    let refused = |why: String| Refusal::new(Reason::RepositoryNotTrusted, why);
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        let shown =
            |name: &[u8]| shown(&Path::new(".git").join(&below).join(OsStr::from_bytes(name)));
        let unusable = |errno: rustix::io::Errno| {
            refused(format!(
                "`{}` cannot be looked through: {errno}",
                shown(b"")
            ))
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let directory =
            rustix::fs::open(root.join(&below), flags, Mode::empty()).map_err(unusable)?;
        let found = entries::read(&directory, bounds.entries()).map_err(unusable)?;
        let found = found.ok_or_else(|| super::bounds::too_large(".git"))?;
        bounds.take_entries(found.len(), ".git")?;
        let is_top = below.as_os_str().is_empty();
        for entry in found {
            if is_top && NOT_ENTERED.iter().any(|name| name.as_bytes() == entry.name) {
                continue;
            }
            if entry.file_type == FileType::Symlink {
                return Err(refused(format!(
                    "`{}` is a link: git would read and write what it leads to. Put the file itself there, or clone anew",
                    shown(&entry.name)
                )));
            }
            // Of the many objects each is named by what it holds.
            let is_of_objects = below == Path::new("objects") && entry.name.len() == 2;
            if entry.file_type == FileType::Directory && !is_of_objects {
                pending.push(below.join(OsStr::from_bytes(&entry.name)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_git_reads_as_a_section_or_key_is_found() {
        for text in [
            "[filter \"x\"]\n",
            "[FILTER.x]\n",
            "[core]a=b\n[core] [filter \"x\"] clean = y",
            "\u{feff}[filter \"x\"]",
            "# a remark\r\n\t[Filter\t\"x\"]",
        ] {
            assert!(
                sections(text.as_bytes()).any(|name| name == b"filter"),
                "{text}"
            );
        }
        for text in [
            "[core]\n\tworktree = ../x\n",
            "[core] WorkTree=../x",
            "[core]\r\n  worktree\t=\t../x\r\n",
            "[a \"]\"] worktree = ../x",
        ] {
            let mut found = keys(text.as_bytes()).filter(|(name, _)| name == b"worktree");
            assert_eq!(found.next().unwrap().1, b"../x", "{text}");
        }
        let ordinary = "[extensions]\n\tworktreeConfig = true\n[branch \"worktree\"]\n\tremote = filter\n[diff \"filter\"]\n";
        assert!(!sections(ordinary.as_bytes()).any(|name| name == b"filter"));
        assert!(!keys(ordinary.as_bytes()).any(|(name, _)| name == b"worktree"));
    }
}
