//! G108: a directory's name where what is in it is meant.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Edit, Fix, Safety, Witness};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::surroundings::Kind;
use crate::lint::yaml;
use crate::policy::glob::Segment;

declare_rule! {
    /// ## What it does
    /// Finds a pattern without wildcards that names a directory of the workspace.
    ///
    /// ## Why is this bad?
    /// `docs` matches the directory and nothing in it: an allow lets nobody at its files, and a deny keeps nobody from
    /// them.
    ///
    /// ## Example
    /// The workspace has a directory `docs`:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: docs}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    pub(super) static DIRECTORY_WITHOUT_CONTENTS = { code: "G108", name: "directory-without-contents", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let Some(names) = subject.around.names() else {
        return;
    };
    for scope in &subject.model.scopes {
        let lists = [&scope.include, &scope.exclude];
        let all = lists
            .into_iter()
            .flat_map(|list| list.iter().map(move |known| (list, known)));
        for (list, (pattern, at)) in all {
            let is_literal = pattern
                .segments()
                .iter()
                .all(|segment| matches!(segment, Segment::Literal(_)));
            let path = pattern.as_str();
            let is_directory = names
                .iter()
                .any(|(name, kind)| name == path && *kind == Kind::Directory);
            // Its contents may be matched by another pattern beside it.
            let below = format!("{path}/a");
            let is_covered = list.iter().any(|(other, _)| other.matches(&below));
            if !is_literal || !is_directory || is_covered {
                continue;
            }
            let meant = format!("{path}/**");
            out.at(
                *at,
                format!("`{path}` is a directory, and the pattern matches nothing in it"),
                |d| {
                    d.help(format!("write `{meant}` for it and all that is below it"))
                        .witness(Witness::path(below, format!("is not matched by `{path}`")))
                        .fix(Fix::new(
                            Safety::Suggested,
                            format!("write `{meant}`"),
                            vec![Edit::replace(*at, yaml::quoted(&meant))],
                        ));
                },
            );
        }
    }
}
