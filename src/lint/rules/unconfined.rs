//! X311: code that an agent wrote is run with all that its user may do.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::policy::model::Access;

declare_rule! {
    /// ## What it does
    /// Finds allow rules for test runners and build tools, in policies that also let files be written.
    ///
    /// ## Why is this bad?
    /// Who writes a test and may run the tests runs any program, with the rights of the user, on all that the user can reach.
    /// Path rules bound the arguments, not what the program then does, and this version of lictor has nothing that does.
    ///
    /// ## Example
    /// ```yaml
    /// use: [lictor/pytest@1, lictor/files@1]
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: tests}
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: [lictor/pytest@1, lictor/files@1]
    /// scopes: {tests: "tests/**"}
    /// rules:
    ///   - {id: look, allow: filesystem.read_file, within: tests}
    ///   - {id: run, allow: pytest.run, within: tests}
    /// ```
    pub(super) static UNCONFINED = { code: "X311", name: "unconfined", level: Info, since: "0.1.0" }
}

/// Programs that run code out of the workspace.
const RUNNERS: &[&str] = &[
    "pytest", "tox", "nox", "cargo", "npm", "npx", "yarn", "pnpm", "bun", "deno", "node", "jest",
    "vitest", "mocha", "go", "make", "gmake", "ninja", "cmake", "ctest", "meson", "bazel", "buck2",
    "just", "task", "rake", "bundle", "rspec", "gradle", "gradlew", "mvn", "mvnw", "ant", "sbt",
    "dotnet", "mix", "stack", "cabal", "composer", "phpunit", "swift", "zig", "dune", "python",
    "python3",
];

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let writing = subject
        .allows()
        .find(|rule| subject.accesses(*rule).contains(&Access::Write));
    let Some(writing) = writing else { return };
    for rule in subject.allows() {
        let program = subject.deeds(rule).into_iter().find_map(|deed| {
            let program = deed.tool.program.as_deref()?;
            RUNNERS
                .contains(&program.rsplit('/').next().unwrap_or(program))
                .then_some(program)
        });
        let Some(program) = program else { continue };
        let message = format!(
            "rule `{}` lets `{}` run code from the workspace, where rule `{}` lets files be written: that code may do all that its user may",
            rule.written.id,
            program.escape_debug(),
            writing.written.id
        );
        out.at(rule.written.at, message, |d| {
            d.help("run lictor in a container, or as a user who may do little; lictor bounds which code is started, not what it does")
                .related(writing.written.at, "lets files be written");
        });
    }
}
