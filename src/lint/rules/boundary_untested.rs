//! T402: no test shows where a scope ends.

#![forbid(unsafe_code)]

use super::reach;
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
    let boundaries = coverage::boundaries(subject);
    let untested: Vec<_> = boundaries.iter().filter(|known| !known.is_tested).collect();
    let Some(first) = untested.first() else {
        return;
    };
    let names: Vec<&str> = untested
        .iter()
        .map(|boundary| boundary.scope.name.as_str())
        .collect();
    let message = match names.as_slice() {
        [one] => format!("no test shows where the scope `{one}` ends"),
        several => format!(
            "no test shows where {} scopes end: {}",
            several.len(),
            reach::few(several)
        ),
    };
    out.at(first.at, message, |d| {
        let generated = subject.generated();
        if let Some((test, edit)) = generated.tests_for(PointKind::Boundary, &names) {
            d.help(format!(
                "add a test that is denied beside it, for example: - {test}{}",
                reach::others(&names)
            ));
            d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "add tests", vec![edit])));
            return;
        }
        match generated.left(PointKind::Boundary, &first.scope.name) {
            Some(left) if !left.is_unknown => d.help(format!("none can: {}", left.why)),
            Some(_) | None => d.help(
                "add a test that expects a denial beside it, above it, or of a path with `..`",
            ),
        };
    });
}
