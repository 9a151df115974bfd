//! T402: no test shows where a scope ends.

#![forbid(unsafe_code)]

use crate::lint::coverage::{self, PointKind};
use crate::lint::diagnostic::{Fix, Safety};
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
        let name = &boundary.scope.name;
        let message = format!("no test shows where the scope `{name}` ends");
        out.at(boundary.at, message, |d| {
            let generated = subject.generated();
            if let Some((test, edit)) = generated.test_for(PointKind::Boundary, name) {
                d.help(format!(
                    "add a test that is denied beside it, for example: - {test}"
                ));
                d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "add a test", vec![edit])));
                return;
            }
            match generated.left(PointKind::Boundary, name) {
                Some(left) if !left.is_unknown => d.help(format!("none can: {}", left.why)),
                Some(_) | None => d.help(
                    "add a test that expects a denial beside it, above it, or of a path with `..`",
                ),
            };
        });
    }
}
