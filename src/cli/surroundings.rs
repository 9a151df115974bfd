//! Surroundings of a policy, looked up for `lictor lint`: names of the workspace, who may write to the policy
//! and to the programs that it starts.

#![forbid(unsafe_code)]

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::executor::Executors;
use crate::governor::{LoadedPolicy, user_id};
use crate::lint::{Kind, OpenGrant, Readable, Surroundings, Writable};
use crate::log::place;
use crate::policy::CompiledPolicy;
use crate::policy::model::ApprovalKind;
use crate::record::{Grant, recorded_grants};
use crate::resolve::{Workspace, untrusted_directory, untrusted_program};

/// The most names of a workspace that are looked at: beyond, rules about names stay silent. Reading this
/// many takes about a tenth of a second.
const MOST_NAMES: usize = 20_000;

/// The disk as it was when the policy was loaded.
#[derive(Debug)]
pub(super) struct Disk {
    names: Option<Vec<(String, Kind)>>,
    policy: Option<PathBuf>,
    policy_file: Option<String>,
    workspace: Option<String>,
    ledger: Option<String>,
    ledger_path: PathBuf,
    grants: Vec<OpenGrant>,
    executors: Vec<String>,
    compiled: CompiledPolicy,
    /// The workspace; none if it cannot be opened, which a run would say.
    opened: Option<Workspace>,
}

impl Disk {
    pub(super) fn around(loaded: &LoadedPolicy) -> Disk {
        let workspace = real(&loaded.workspace);
        let below = |path: &Path| {
            let real = real(path);
            let below = real.strip_prefix(&workspace).ok()?.to_str()?.to_owned();
            (!below.is_empty()).then_some(below)
        };
        Disk {
            names: names(&workspace),
            policy: loaded.files.first().cloned(),
            policy_file: loaded.files.first().and_then(|file| below(file)),
            workspace: workspace.to_str().map(str::to_owned),
            ledger: below(&loaded.ledger),
            opened: Workspace::open_root(&loaded.workspace).ok(),
            compiled: loaded.policy.clone(),
            ledger_path: loaded.ledger.clone(),
            grants: grants(loaded),
            executors: Executors::shipped().names().map(str::to_owned).collect(),
        }
    }
}

impl Surroundings for Disk {
    fn names(&self) -> Option<&[(String, Kind)]> {
        self.names.as_deref()
    }

    fn policy_writable(&self) -> Option<Writable> {
        let policy = self.policy.as_deref()?;
        let mode = std::fs::metadata(policy).ok()?.mode();
        let by = if mode & 0o002 != 0 {
            "everybody"
        } else if mode & 0o020 != 0 {
            "its group"
        } else {
            return None;
        };
        Some(Writable::new(policy.display().to_string(), by))
    }

    fn policy_file(&self) -> Option<&str> {
        self.policy_file.as_deref()
    }

    fn workspace(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    fn ledger(&self) -> Option<&str> {
        self.ledger.as_deref()
    }

    fn key_readable(&self) -> Option<Readable> {
        let key = place::look(&self.ledger_path).ok()?.key?;
        let by = if key.mode & 0o004 != 0 {
            "everybody"
        } else if key.mode & 0o040 != 0 {
            "its group"
        } else if key.readable && user_id() != 0 {
            "the user who runs this"
        } else {
            return None;
        };
        let path = self.ledger_path.join("key");
        Some(Readable::new(path.display().to_string(), by))
    }

    fn grants(&self) -> &[OpenGrant] {
        &self.grants
    }

    fn executors(&self) -> Option<&[String]> {
        Some(&self.executors)
    }

    fn untrusted_program(&self, program: &str) -> Option<String> {
        untrusted_program(program, &self.compiled, self.opened.as_ref()?)
    }

    fn untrusted_directory(&self, entry: &str) -> Option<String> {
        untrusted_directory(entry, &self.compiled, self.opened.as_ref()?)
    }
}

/// The grants of the ledger that are not used up. A ledger that cannot be read says nothing: telling why is
/// what other commands are for.
fn grants(loaded: &LoadedPolicy) -> Vec<OpenGrant> {
    let policy = &loaded.policy;
    let mut kinds = policy.approvals().iter().map(|approval| &approval.kind);
    // A long record is not read for a policy that grants have no part in.
    if !kinds.any(|kind| matches!(kind, ApprovalKind::Grant { .. })) {
        return Vec::new();
    }
    let recorded = recorded_grants(&loaded.ledger).unwrap_or_default();
    recorded
        .iter()
        .filter(|grant| !grant.revoked && grant.left() != Some(0))
        .filter_map(|grant| open_grant(policy, grant))
        .collect()
}

fn open_grant(policy: &CompiledPolicy, grant: &Grant) -> Option<OpenGrant> {
    let terms = grant.read()?.terms;
    let mut approvals = policy.approvals().iter();
    let approval = approvals.find(|approval| approval.name == terms.approval)?;
    let (_, until) = terms.bounds(approval)?;
    let until = until.parse().ok()?;
    let covers = match &terms.rule {
        Some(rule) => format!("rule {rule} {:?} {:?}", terms.within, terms.actor),
        None => format!("{:?} {:?} {:?}", terms.request, terms.pins, terms.actor),
    };
    let made = terms.made.parse().ok()?;
    (terms.policy == policy.digest())
        .then(|| OpenGrant::new(&grant.id, &terms.approval, covers, made, until))
}

/// All names below a directory but those in `.git`; links are not followed. None if there are too many.
fn names(workspace: &Path) -> Option<Vec<(String, Kind)>> {
    let mut names = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(workspace.join(&directory)) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = directory.join(entry.file_name());
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let Some(name) = path.to_str() else { continue };
            let kind = if is_directory {
                Kind::Directory
            } else {
                Kind::File
            };
            names.push((name.to_owned(), kind));
            if names.len() > MOST_NAMES {
                return None;
            }
            if is_directory && entry.file_name() != ".git" {
                waiting.push(path);
            }
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Some(names)
}

/// The real path of what exists of `path`, and the rest as it is.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (std::fs::canonicalize(above), path.strip_prefix(above)) {
            // Joining nothing would add a `/`.
            let is_all = rest.as_os_str().is_empty();
            return if is_all { found } else { found.join(rest) };
        }
    }
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}
