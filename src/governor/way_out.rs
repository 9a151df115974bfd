//! Advice for a denied request that only the machine can give.

#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::decision::{Decision, Request};
use crate::path::CanonicalPath;
use crate::policy::CompiledPolicy;
use crate::policy::model::{Access, Argument, ArgumentKind, Tool, Tree};
use crate::reason::Reason;

/// The relative form of an absolute path that lies in the workspace, as the request has to write it.
pub(super) fn in_workspace(
    policy: &CompiledPolicy,
    workspace: &Path,
    request: &Request,
    decision: &Decision,
) -> Option<String> {
    if decision.reason() != Some(Reason::AbsolutePathDenied) || starts_elsewhere(policy, decision) {
        return None;
    }
    let is_absolute = |reason: Option<Reason>| reason == Some(Reason::AbsolutePathDenied);
    let refused = decision
        .findings()
        .iter()
        .find(|finding| is_absolute(finding.reason))?;
    let below = below(refused.path.as_deref()?, workspace.as_os_str().as_bytes())?;
    let is_cwd = refused.arg == crate::decision::paths::CWD;
    let written = match request.cwd.as_deref().filter(|_| !is_cwd) {
        None => below,
        Some(cwd) => {
            let cwd = CanonicalPath::parse(cwd, policy.switches()).ok()?;
            match cwd.as_str() {
                "." => below,
                cwd => self::below(below, cwd.as_bytes())?,
            }
        }
    };
    let written = if written.is_empty() { b"." } else { written };
    Some(format!("write `{}`", crate::path::shown(written)))
}

/// The rest of a path below a directory; nothing for the directory itself.
fn below<'p>(path: &'p [u8], directory: &[u8]) -> Option<&'p [u8]> {
    match path.strip_prefix(directory)? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Returns true if an option of the request says where its other paths start.
fn starts_elsewhere(policy: &CompiledPolicy, decision: &Decision) -> bool {
    let is_base =
        |argument: &&Argument| matches!(&argument.kind, ArgumentKind::Path(kind) if kind.base);
    let given = &decision.asked().args;
    tool(policy, decision).is_some_and(|tool| {
        tool.args
            .iter()
            .filter(is_base)
            .any(|base| given.iter().any(|(name, _)| *name == base.name))
    })
}

/// For a tool of the policy's own that works on whole directories: how to say that it skips what git ignores.
pub(super) fn unignored(policy: &CompiledPolicy, decision: &Decision) -> Option<String> {
    if decision.reason() != Some(Reason::PathTreeTouchesDenied) {
        return None;
    }
    // Libraries that are compiled in stand nowhere.
    let tool = tool(policy, decision).filter(|tool| tool.at.line > 0)?;
    let refused = decision
        .findings()
        .iter()
        .find(|finding| finding.reason.is_some())?;
    let action = decision.asked().action.as_deref()?;
    let action = tool.actions.iter().find(|known| known.name == action)?;
    let after = action.after.iter().flatten();
    let argument = tool
        .args
        .iter()
        .chain(&action.args)
        .chain(after)
        .find(|argument| argument.name == refused.arg)?;
    let is_all = matches!(&argument.kind, ArgumentKind::Path(kind) if kind.tree == Tree::All && kind.access != Access::Write);
    is_all.then(|| {
        format!(
            "if `{}` passes over what git ignores, and git ignores that file, declare `{}` with `tree: unignored`",
            tool.name, argument.name
        )
    })
}

fn tool<'p>(policy: &'p CompiledPolicy, decision: &Decision) -> Option<&'p Tool> {
    let name = decision.asked().tool.as_deref()?;
    policy.tools().iter().find(|tool| tool.name == name)
}
