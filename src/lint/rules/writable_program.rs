//! X303: a program that those who may run it could replace.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::Witness;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::samples;
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::path::CanonicalPath;
use crate::path::Switches;

declare_rule! {
    /// ## What it does
    /// Finds programs, the interpreters of scripts, and directories of `program_path`, that lie in a scope which some rule
    /// lets be written, or that others than you and root may write to.
    ///
    /// ## Why is this bad?
    /// Who can write the program, or add one to a directory of `PATH`, decides what "run the tests" means. Such a run is
    /// denied, `PROGRAM_NOT_TRUSTED`.
    ///
    /// ## Example
    /// ```yaml
    /// use: [lictor/files@1, lictor/pytest@1]
    /// scopes: {repo: "**", tests: "tests/**"}
    /// defaults: {program_path: [./.venv/bin, /usr/bin]}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: repo}
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: [lictor/files@1, lictor/pytest@1]
    /// scopes: {sources: "src/**", tests: "tests/**"}
    /// defaults: {program_path: [./.venv/bin, /usr/bin]}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: sources}
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    pub(super) static WRITABLE_PROGRAM = { code: "X303", name: "writable-program", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let stated = subject.model.program_path.iter().flatten();
    let stated = stated.map(|(entry, at)| (entry.as_str(), *at));
    let built_in = subject.policy.program_path().into_iter();
    let built_in = built_in
        .filter(|_| subject.model.program_path.is_none())
        .map(|entry| (entry, subject.root.at));
    for (entry, at) in stated.chain(built_in) {
        let untrusted = |out: &mut Findings<'_>| {
            if let Some(why) = subject.around.untrusted_directory(entry) {
                let message = format!(
                    "programs are looked up in `{}`, which is not trusted: {why}",
                    entry.escape_debug()
                );
                out.at(at, message, |d| {
                    d.help("take that right away, or the directory out of `program_path`; until then such runs are denied");
                });
            }
        };
        if entry.starts_with(['/', '~']) {
            untrusted(out);
            continue;
        }
        let directory = entry.trim_start_matches("./").trim_end_matches('/');
        let tool = subject
            .policy
            .tools()
            .iter()
            .find_map(|tool| tool.program.as_deref());
        let program = tool
            .filter(|program| !program.contains('/'))
            .unwrap_or("program");
        if let Some((path, how)) = writable(subject, &samples::join(directory, program)) {
            let message =
                format!("programs are looked up in `{entry}`, where `{path}` may be written");
            out.at(at, message, |d| {
                d.help("take the directory out of what may be written, with a deny rule, or out of `program_path`")
                    .witness(Witness::path(path.clone(), how));
            });
        } else {
            untrusted(out);
        }
    }
    for tool in subject.policy.tools() {
        let Some(program) = tool.program.as_deref() else {
            continue;
        };
        let is_run = subject.allows().any(|rule| {
            subject
                .deeds(rule)
                .iter()
                .any(|deed| deed.tool.name == tool.name)
        });
        if !is_run {
            continue;
        }
        let at = subject
            .tool_node(tool)
            .and_then(|(_, node)| yaml::get(node, "program"))
            .map_or_else(
                || yaml::get(&subject.root, "use").map_or(subject.root.at, |node| node.at),
                |node| node.at,
            );
        let below = subject
            .around
            .workspace()
            .and_then(|workspace| program.strip_prefix(workspace)?.strip_prefix('/'));
        if let Some((path, how)) = below.and_then(|below| writable(subject, below)) {
            let message = format!(
                "the program `{}` may be written: `{path}` is in a write scope",
                program.escape_debug()
            );
            out.at(at, message, |d| {
                d.help(
                    "keep programs outside of what may be written, or add a deny rule over them",
                )
                .witness(Witness::path(path.clone(), how));
            });
            continue;
        }
        if let Some(why) = subject.around.untrusted_program(program) {
            out.at(at, why, |d| {
                d.help("take that right away, or name another program");
            });
        }
    }
}

/// The path, or a directory above it, that some rule lets be written; with how.
fn writable(subject: &Subject<'_>, path: &str) -> Option<(String, String)> {
    let mut here = path;
    loop {
        let canonical = CanonicalPath::parse(here.as_bytes(), &Switches::default()).ok()?;
        if subject.policy.lets_write(&canonical) {
            return Some((
                here.to_owned(),
                "may be written by an allowed request".to_owned(),
            ));
        }
        let confined = subject
            .confined_writes()
            .into_iter()
            .find(|(pattern, scope, _)| {
                pattern.matches(here) && !scope.exclude.iter().any(|(out, _)| out.matches(here))
            });
        if let Some((_, scope, _)) = confined {
            return Some((
                here.to_owned(),
                format!(
                    "lies in `{}`, which `confine.write` opens to programs",
                    scope.name
                ),
            ));
        }
        here = here.rsplit_once('/')?.0;
    }
}
