//! G104: `dir*`, which matches siblings of `dir`.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Edit, Fix, Safety, Witness};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::samples;
use crate::lint::subject::Subject;
use crate::lint::surroundings::Kind;
use crate::lint::yaml;
use crate::policy::Span;
use crate::policy::glob::{Pattern, Piece, Segment};
use crate::policy::model::{RuleEffect, Scope};

declare_rule! {
    /// ## What it does
    /// Finds `dir*` and `dir*/**` in the scope of an allow rule, where a directory `dir` exists or is named elsewhere in the
    /// policy. `dir**` is refused when the policy is loaded, as an error.
    ///
    /// ## Why is this bad?
    /// `runtime/tests*` also matches `runtime/tests_evil`: whoever can make a directory beside the real one is let in. What
    /// is meant is nearly always `runtime/tests/**`.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "runtime/tests*/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// tests:
    ///   - {run: [pytest, runtime/tests/test_a.py], expect: allow}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/pytest@1
    /// scopes: {tests: "runtime/tests/**"}
    /// rules:
    ///   - {id: run, allow: pytest.run, within: tests}
    /// tests:
    ///   - {run: [pytest, runtime/tests/test_a.py], expect: allow}
    /// ```
    pub(super) static SIBLING_PREFIX = { code: "G104", name: "sibling-prefix", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for scope in &subject.model.scopes {
        if !subject.is_allowed_scope(scope) {
            continue;
        }
        for (pattern, at) in &scope.include {
            if let Some((directory, is_deep)) = prefix(pattern)
                && is_known(subject, &directory)
            {
                tell(subject, scope, pattern, *at, &directory, is_deep, out);
            }
        }
    }
}

/// The directory that a last segment `name*` is probably about, and whether `/**` follows.
fn prefix(pattern: &Pattern) -> Option<(String, bool)> {
    let segments = pattern.segments();
    let is_deep = pattern.reaches_down();
    let body = if is_deep {
        segments.split_last()?.1
    } else {
        segments
    };
    let (last, above) = body.split_last()?;
    let Segment::Wild(pieces) = last else {
        return None;
    };
    let [Piece::Literal(name), Piece::Star] = pieces.as_slice() else {
        return None;
    };
    let mut names = Vec::new();
    for segment in above {
        let Segment::Literal(name) = segment else {
            return None;
        };
        names.push(name.as_str());
    }
    names.push(name);
    Some((names.join("/"), is_deep))
}

/// Returns true if the directory exists or is named elsewhere.
fn is_known(subject: &Subject<'_>, directory: &str) -> bool {
    let is_there = subject.around.names().is_some_and(|names| {
        names
            .iter()
            .any(|(name, kind)| *kind == Kind::Directory && name == directory)
    });
    is_there || subject.names_directory(directory)
}

fn tell(
    subject: &Subject<'_>,
    scope: &Scope,
    pattern: &Pattern,
    at: Span,
    directory: &str,
    is_deep: bool,
    out: &mut Findings<'_>,
) {
    let sibling = format!("{directory}_evil");
    let path = if is_deep {
        format!("{sibling}/a")
    } else {
        sibling.clone()
    };
    let request = subject
        .rules()
        .filter(|rule| rule.written.effect == RuleEffect::Allow)
        .filter(|rule| {
            subject
                .all_scopes_of(rule.written)
                .iter()
                .any(|used| used.name == scope.name)
        })
        .flat_map(|rule| {
            subject
                .deeds(rule)
                .into_iter()
                .map(move |deed| (rule, deed))
        })
        .find_map(|(rule, deed)| {
            deed.paths()
                .find_map(|(argument, _)| samples::allowed(subject, rule, deed, argument, &path))
        });
    let misses = if is_deep {
        String::new()
    } else {
        format!(", and nothing inside `{directory}`")
    };
    let message = format!("pattern `{pattern}` also matches the sibling `{sibling}`{misses}");
    let meant = format!("{directory}/**");
    out.at(at, message, |d| {
        d.help(format!(
            "write `{meant}` for `{directory}` and all that is below it"
        ))
        .witness(
            request.unwrap_or_else(|| {
                Witness::path(path.clone(), format!("is matched by `{pattern}`"))
            }),
        )
        .fix(Fix::new(
            Safety::Suggested,
            format!("write `{meant}`"),
            vec![Edit::replace(at, yaml::quoted(&meant))],
        ));
    });
}
