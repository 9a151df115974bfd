//! X314: a ledger's key that programs of the agent's user can read.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// Finds a key beside the ledger that the user who runs `lint`, a group or everybody can read. Of root, who can read
    /// every key, nothing is said.
    ///
    /// ## Why is this bad?
    /// If an agent runs as a user who can read the key, whatever the agent starts can write the record anew and sign it: the
    /// signature then protects nothing after the last anchor that is kept elsewhere. It protects against accidents, and against
    /// other users. Keep anchors where that user cannot write (`lictor ledger anchor`), or keep the key with another user
    /// (SECURITY.md). `lictor doctor`, run as the agent's user, tells the same.
    ///
    /// ## Example
    /// A ledger where the user who runs `lint` can read the file `key`, as it is by default:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// Where the key belongs to another user, is held elsewhere (file `signer`), or where there is no ledger yet:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// ledger: {path: /srv/lictor/docs}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    pub(super) static READABLE_KEY = { code: "X314", name: "readable-key", level: Info, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let Some(readable) = subject.around.key_readable() else {
        return;
    };
    let at = yaml::get(&subject.root, "ledger")
        .map(|node| yaml::get(node, "path").unwrap_or(node).at)
        .or_else(|| yaml::entry(&subject.root, "version").map(|(key, _)| key.at))
        .unwrap_or(subject.root.at);
    let message = format!(
        "the ledger's key `{}` can be read by {}; from an agent that can, the record is protected only up to the last anchor",
        readable.path.escape_debug(),
        readable.by
    );
    out.at(at, message, |d| {
        d.help("keep anchors where the agent cannot write (`lictor ledger anchor`), or the key with another user (SECURITY.md)");
    });
}
