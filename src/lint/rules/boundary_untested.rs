//! T402: no test shows where a scope ends.

#![forbid(unsafe_code)]

use crate::lint::coverage;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds scopes of allow rules for which no test is denied at the boundary: a sibling that shares the name's beginning,
    /// the directory above, or a path that climbs out with `..`.
    ///
    /// ## Why is this bad?
    /// What a scope lets in is tried every day; what it keeps out is seen only by a test.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// tests:
    ///   - {tool: filesystem, action: read_file, args: {path: docs/a.md}, expect: allow, rule: read}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// tests:
    ///   - {tool: filesystem, action: read_file, args: {path: docs_old/a.md}, expect: deny, reason: PATH_OUTSIDE_ALLOWED_SCOPE}
    /// ```
    pub(super) static BOUNDARY_UNTESTED = { code: "T402", name: "boundary-untested", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for boundary in coverage::boundaries(subject) {
        if boundary.is_tested {
            continue;
        }
        let sibling = boundary.sibling();
        let message = format!("no test shows where the scope `{}` ends", boundary.scope);
        out.at(boundary.at, message, |d| {
            d.help(format!("add a test that expects a denial of `{sibling}`, of what is above, or of a path with `..`"));
        });
    }
}
