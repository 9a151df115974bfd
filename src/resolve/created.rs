//! Names that a write will create: they are not on disk yet, and are judged before the program makes them.
//!
//! An argument says where the names come from (`creates`). The path itself and the missing directories
//! above it are known. A copy or a move makes the names of its source again at another place. Git writes
//! the names of its index. Where nobody said, anything could come to lie below the path, also what no
//! request may write, and the request is denied.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use rustix::fs::FileType;

use super::bounds::too_large;
use super::entries;
use super::resolver::{Kind, Opened, Status, found, reason, status};
use super::tree::Names;
use super::workspace::Named;
use super::{Asking, Is, OpenedPath, Refusal, is_protected};
use crate::decision::{Effect, paths::Decided};
use crate::path::CanonicalPath;
use crate::policy::model::Creates;
use crate::reason::Reason;

/// The file that git writes itself when it moves or removes a submodule.
const SUBMODULES: &[u8] = b".gitmodules";

/// The refusal of a write whose names nobody knows.
pub(super) fn unknown(asking: &Asking<'_>, path: &Decided) -> Refusal {
    let (root, argument) = (path.shown(), &path.argument);
    let message = format!(
        "{} may create any name below `{root}`, `{}` for example, because the policy does not say \
         what argument `{argument}` creates: add `creates` to it",
        asking.action_name(),
        path.canonical
            .join(&file_name(b"lictor.yaml"))
            .map_or_else(|_| root.clone(), |example| example.to_string()),
    );
    Refusal::new(Reason::PathTreeTouchesDenied, message)
}

/// A path that is yet to be created. The rules have spoken about its own name already, which needs no
/// file.
pub(super) fn absent(asking: &Asking<'_>, path: &Decided) -> Result<OpenedPath, Refusal> {
    let refused = |reason| asking.refused(path, reason);
    let (directory, missing) = nearest(asking, path)?;
    let opened = asking
        .workspace
        .open(&directory, asking.policy.disk_rules())
        .map_err(refused)?;
    if opened.kind != Kind::Directory {
        return Err(refused(Reason::PathNotDirectory));
    }
    let Some(name) = missing.segments().next() else {
        return Err(refused(Reason::PathNotFound));
    };
    match asking.workspace.name_in(&opened, name).map_err(refused)? {
        Named::Nothing => {}
        // A link that leads to nothing: what is written would come to be where it points to.
        Named::Link => return Err(refused(Reason::PathSymlinkDenied)),
        Named::Else => return Err(refused(Reason::PathFsError)),
    }
    if let Some(real) = &opened.real {
        let real = real
            .join(&missing)
            .map_err(|denial| refused(denial.reason()))?;
        asking.judge_again(path, &real)?;
    }
    let above = Names::of(&directory, &opened);
    match &path.creates {
        Creates::Unknown => return Err(unknown(asking, path)),
        Creates::Itself | Creates::Index => {}
        Creates::Parents => {
            let mut made = above;
            for name in missing.segments() {
                made = below(path, &made, name.as_bytes())?;
                all_will_be(asking, path, &made)?;
            }
        }
        Creates::From(source) => {
            let top = below(path, &above, missing.as_str().as_bytes())?;
            for source in sources(asking, source) {
                each_below(asking, source, &mut |rest| {
                    all_will_be(asking, path, &below(path, &top, rest)?)
                })?;
            }
        }
    }
    Ok(OpenedPath {
        path: path.canonical.clone(),
        access: path.access,
        names: 1,
        is: Is::Absent {
            directory,
            identity: opened.identity,
            name: name.to_owned(),
        },
    })
}

/// The nearest directory above a path that is there, and the rest of the path from it.
///
/// More than the last name may be missing only where the program makes the directories above too, or
/// takes names from the index.
fn nearest(asking: &Asking<'_>, path: &Decided) -> Result<(CanonicalPath, CanonicalPath), Refusal> {
    let rules = asking.policy.disk_rules();
    let makes_directories = matches!(path.creates, Creates::Parents | Creates::Index);
    let mut above = path.canonical.parent();
    while let Some(directory) = above {
        match asking.workspace.open(&directory, rules) {
            Err(Reason::PathNotFound) if makes_directories && !directory.is_workspace() => {
                above = directory.parent();
            }
            Err(Reason::PathNotFound) => {
                let message = format!(
                    "path `{}` cannot be created: directory `{directory}` does not exist",
                    path.shown()
                );
                return Err(Refusal::new(Reason::PathNotFound, message));
            }
            Err(reason) => return Err(asking.refused(path, reason)),
            Ok(_) => {
                let rest = path.canonical.strip_prefix(&directory);
                let rest = rest.ok_or_else(|| asking.refused(path, Reason::PathNotFound))?;
                return Ok((directory, rest));
            }
        }
    }
    Err(asking.refused(path, Reason::PathNotFound))
}

/// Judges the own name of whatever is copied or moved into a directory that exists.
pub(super) fn into_directory(
    asking: &Asking<'_>,
    path: &Decided,
    source: &str,
    directory: &Opened,
) -> Result<(), Refusal> {
    let to = Names::of(&path.canonical, directory);
    for source in sources(asking, source) {
        let Some(name) = source.canonical.name() else {
            return Err(asking.refused(source, Reason::PathOutsideAllowedScope));
        };
        let top = below(path, &to, name.as_bytes())?;
        may_be_written(asking, path, &top)?;
        each_below(asking, source, &mut |rest| {
            may_be_written(asking, path, &below(path, &top, rest)?)
        })?;
    }
    Ok(())
}

/// Judges what git's index tracks at or below the path.
pub(super) fn from_index(asking: &Asking<'_>, path: &Decided) -> Result<(), Refusal> {
    let Some(tracked) = asking.tracked() else {
        let message = format!(
            "what git tracks below `{}` is not known: the workspace is not the top of a repository \
             whose index can be read",
            path.shown()
        );
        return Err(Refusal::new(Reason::PathFsError, message));
    };
    let mut found_any = false;
    for entry in tracked {
        let Ok(name) = found(&entry.name) else {
            if is_below(&entry.name, &path.canonical) {
                return Err(unspeakable(path, "is tracked by git", &entry.name));
            }
            continue;
        };
        if name.strip_prefix(&path.canonical).is_none() {
            continue;
        }
        asking.bounds.take_entries(1, &path.shown())?;
        found_any = true;
        will_be(asking, path, &name)?;
        if entry.is_submodule {
            will_be(asking, path, &file_name(SUBMODULES))?;
        }
    }
    if !found_any && !path.canonical.is_workspace() {
        let message = format!("git tracks nothing at or below `{}`", path.shown());
        return Err(Refusal::new(Reason::PathNotFound, message));
    }
    Ok(())
}

/// The paths of an argument.
fn sources<'a>(asking: &'a Asking<'_>, argument: &'a str) -> impl Iterator<Item = &'a Decided> {
    let paths = asking.plan.paths.iter();
    paths.filter(move |path| path.argument == argument)
}

/// The names of an entry that a write makes below a place.
fn below(path: &Decided, place: &Names, rest: &[u8]) -> Result<Names, Refusal> {
    let names = place.below(rest);
    names.ok_or_else(|| unspeakable(path, "would be made", rest))
}

/// Asks the rules about all names of a place that the program will create or replace.
fn all_will_be(asking: &Asking<'_>, path: &Decided, names: &Names) -> Result<(), Refusal> {
    names.all().try_for_each(|name| will_be(asking, path, name))
}

/// Asks the rules about a name that the program will create or replace.
fn will_be(asking: &Asking<'_>, path: &Decided, name: &CanonicalPath) -> Result<(), Refusal> {
    let judgement = asking.judge(path, name);
    let reason = match judgement.effect() {
        _ if is_protected(asking.policy, name) => Reason::PathProtectedDenied,
        Effect::Allow => return Ok(()),
        // Nobody can be asked about a name that the request does not have.
        Effect::Ask => Reason::PathTreeTouchesDenied,
        Effect::Deny => judgement.reason().unwrap_or(Reason::PathTreeTouchesDenied),
    };
    let message = format!(
        "{} would write `{name}`: {}",
        asking.action_name(),
        lower(reason.meaning())
    );
    Err(Refusal::new(reason, message))
}

/// Asks the rules and the disk about a name in a directory that exists: the program would write through
/// a link of that name.
fn may_be_written(asking: &Asking<'_>, path: &Decided, names: &Names) -> Result<(), Refusal> {
    all_will_be(asking, path, names)?;
    let name = names.real();
    let rules = asking.policy.disk_rules();
    let refuse = |reason: Reason| {
        let message = format!(
            "{} would write `{name}`: {}",
            asking.action_name(),
            lower(reason.meaning())
        );
        Err(Refusal::new(reason, message))
    };
    match asking.workspace.open(name, rules) {
        Err(Reason::PathNotFound) => match is_missing(asking, name) {
            true => Ok(()),
            false => refuse(Reason::PathSymlinkDenied),
        },
        Err(reason) => refuse(reason),
        Ok(opened) => {
            if let Some(real) = &opened.real {
                will_be(asking, path, real)?;
            }
            match opened.kind {
                Kind::File { links } if links > 1 && rules.deny_hardlinks => {
                    refuse(Reason::PathHardlinkDenied)
                }
                Kind::File { links } if links > 1 && asking.is_guarded(&opened.identity) => {
                    refuse(Reason::SelfProtected)
                }
                Kind::File { .. } | Kind::Directory => Ok(()),
                Kind::Other => refuse(Reason::PathNotRegular),
            }
        }
    }
}

/// Returns true if there is nothing of this name, not even a link that leads to nothing.
fn is_missing(asking: &Asking<'_>, name: &CanonicalPath) -> bool {
    let (Some(parent), Some(last)) = (name.parent(), name.name()) else {
        return false;
    };
    match asking.workspace.open(&parent, asking.policy.disk_rules()) {
        Ok(directory) => asking.workspace.name_in(&directory, last) == Ok(Named::Nothing),
        // The directory was judged before, and does not exist either.
        Err(reason) => reason == Reason::PathNotFound,
    }
}

/// Calls `tell` with the path of each entry below a source, relative to it. A file has none.
fn each_below(
    asking: &Asking<'_>,
    source: &Decided,
    tell: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let rules = asking.policy.disk_rules();
    let refused = |reason| asking.refused(source, reason);
    let opened = asking.workspace.open(&source.canonical, rules);
    let opened = opened.map_err(refused)?;
    if opened.kind != Kind::Directory {
        return Ok(());
    }
    let directory = entries::enter(&opened.fd, b".", None).map_err(|e| refused(reason(e)))?;
    let mount = match rules.cross_mounts {
        true => None,
        false => Some(status(&directory).map_err(|errno| refused(reason(errno)))?),
    };
    walk(
        asking,
        source,
        &directory,
        &mut Vec::new(),
        mount.as_ref(),
        tell,
    )
}

/// `at` is where the directory lies from the source, and comes back as it was.
fn walk(
    asking: &Asking<'_>,
    source: &Decided,
    directory: &OwnedFd,
    at: &mut Vec<u8>,
    mount: Option<&Status>,
    tell: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let refused = |errno| asking.refused(source, reason(errno));
    let bounds = &asking.bounds;
    let Some(entries) = entries::read(directory, bounds.entries()).map_err(refused)? else {
        return Err(too_large(&source.shown()));
    };
    bounds.take_entries(entries.len(), &source.shown())?;
    for entry in entries {
        let length = at.len();
        if length > 0 {
            at.push(b'/');
        }
        at.extend(&entry.name);
        tell(at)?;
        if entry.file_type == FileType::Directory {
            let entered = entries::enter(directory, &entry.name, mount).map_err(refused)?;
            walk(asking, source, &entered, at, mount, tell)?;
        }
        at.truncate(length);
    }
    Ok(())
}

/// Returns true if git takes the name for one at or below the path.
fn is_below(name: &[u8], path: &CanonicalPath) -> bool {
    path.is_workspace()
        || name
            .strip_prefix(path.as_str().as_bytes())
            .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// A plain file name as a path.
fn file_name(name: &[u8]) -> CanonicalPath {
    found(name).unwrap_or_else(|_| CanonicalPath::workspace())
}

/// A sentence as the end of another one.
fn lower(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// A name that no rule can speak about.
fn unspeakable(path: &Decided, how: &str, name: &[u8]) -> Refusal {
    let message = format!(
        "`{}` {how} below `{}`, a name that no rule can speak about",
        crate::path::shown(name),
        path.shown()
    );
    Refusal::new(Reason::PathTreeTouchesDenied, message)
}
