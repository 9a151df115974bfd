//! X302: a program that runs whatever it is told.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::policy::model::RuleEffect;

declare_rule! {
    /// ## What it does
    /// Finds tools whose program is a shell, an interpreter, a starter of other programs, an editor or a pager, and that some
    /// rule allows.
    ///
    /// ## Why is this bad?
    /// Lictor decides about the arguments of the program. What a script, an `-exec` or a `!command` then does is governed by
    /// nothing but `confine`.
    ///
    /// ## Example
    /// ```yaml
    /// tools:
    ///   script:
    ///     program: bash
    ///     actions:
    ///       run: {args: {file: {type: path, required: true}}}
    /// scopes: {scripts: "scripts/**"}
    /// rules:
    ///   - {id: run, allow: script.run, within: scripts}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tools:
    ///   linter:
    ///     program: shellcheck
    ///     actions:
    ///       run: {args: {file: {type: path, required: true}}}
    /// scopes: {scripts: "scripts/**"}
    /// rules:
    ///   - {id: run, allow: linter.run, within: scripts}
    /// ```
    pub(super) static INTERPRETER = { code: "X302", name: "interpreter", level: Warning, since: "0.1.0" }
}

/// Programs that run what they are given, and what they are.
const PROGRAMS: &[(&str, &[&str])] = &[
    (
        "a shell",
        &[
            "sh",
            "bash",
            "dash",
            "zsh",
            "fish",
            "ksh",
            "mksh",
            "csh",
            "tcsh",
            "ash",
            "busybox",
            "pwsh",
            "powershell",
        ],
    ),
    (
        "an interpreter",
        &[
            "python",
            "node",
            "nodejs",
            "deno",
            "bun",
            "ruby",
            "irb",
            "perl",
            "php",
            "lua",
            "luajit",
            "tclsh",
            "awk",
            "gawk",
            "mawk",
            "nawk",
            "osascript",
            "Rscript",
            "java",
            "julia",
            "guile",
            "emacs",
            "sqlite3",
            "psql",
        ],
    ),
    (
        "a starter of other programs",
        &[
            "env",
            "xargs",
            "parallel",
            "sudo",
            "su",
            "doas",
            "pkexec",
            "nohup",
            "nice",
            "ionice",
            "timeout",
            "stdbuf",
            "setsid",
            "setpriv",
            "unshare",
            "nsenter",
            "chroot",
            "flock",
            "time",
            "watch",
            "script",
            "strace",
            "ltrace",
            "gdb",
            "ssh",
            "screen",
            "tmux",
            "npx",
            "bunx",
            "uvx",
            "pipx",
            "docker",
            "podman",
            "systemd-run",
            "at",
            "entr",
        ],
    ),
    (
        "an editor",
        &[
            "vi", "vim", "nvim", "nano", "ed", "ex", "pico", "micro", "helix", "hx",
        ],
    ),
    ("a pager", &["less", "more", "most", "man"]),
];

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for tool in subject.policy.tools() {
        let Some((program, kind)) = tool
            .program
            .as_deref()
            .and_then(|program| Some((program, kind(program)?)))
        else {
            continue;
        };
        let granting = subject
            .rules()
            .filter(|rule| rule.written.effect == RuleEffect::Allow)
            .find(|rule| {
                subject
                    .deeds(*rule)
                    .iter()
                    .any(|deed| deed.tool.name == tool.name)
            });
        let Some(rule) = granting else { continue };
        let at = subject
            .tool_node(tool)
            .and_then(|(_, node)| yaml::get(node, "program"))
            .map_or(rule.written.at, |node| node.at);
        let message = format!(
            "`{}` is {kind}: what it runs is not governed, and rule `{}` allows it",
            program.escape_debug(),
            rule.written.id
        );
        out.at(at, message, |d| {
            d.help("declare the program that is meant as a tool of its own, or bound what runs with `confine`");
        });
    }
}

/// Kind of runner that a program is. A version behind the name is left out: `python3.12`.
fn kind(program: &str) -> Option<&'static str> {
    let name = program.rsplit('/').next().unwrap_or(program);
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    PROGRAMS
        .iter()
        .find(|(_, names)| names.contains(&name) || names.contains(&stem))
        .map(|(kind, _)| *kind)
}
