//! A person at a terminal, or something that an agent started?
//!
//! An answer to a question is a person's. What an agent starts has a terminal if the agent gives it one, so it is
//! asked who started this program. This keeps an agent from answering itself by accident or for convenience; who runs
//! as the same user can get around it, and what holds against that are grants that have to be signed.

#![forbid(unsafe_code)]

use std::path::Path;

use super::{Failure, discover};
use crate::text::escaped;

/// Set by agents for what they start.
const MARKERS: [&str; 11] = [
    "CLAUDECODE",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_ENTRYPOINT",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_THREAD_ID",
    "GEMINI_CLI",
    "GEMINI_SESSION_ID",
    "CURSOR_AGENT",
    "COPILOT_CLI",
    "OPENCODE",
];

/// The programs of agents, and the packages that they come in.
const AGENTS: [&str; 24] = [
    "agy",
    "aider",
    "amp",
    "antigravity",
    "claude",
    "claude-code",
    "cline",
    "codex",
    "copilot",
    "crush",
    "cursor",
    "cursor-agent",
    "gemini",
    "gemini-cli",
    "goose",
    "kilocode",
    "kiro",
    "kiro-cli",
    "opencode",
    "opencode-ai",
    "qwen",
    "qwen-code",
    "roo",
    "windsurf",
];

/// Programs that run a file which is named behind them.
const INTERPRETERS: [&str; 8] = [
    "node", "nodejs", "bun", "deno", "npx", "python", "python3", "uv",
];

/// The most ancestors that are looked at.
const MOST: usize = 128;

/// An error if this program was not started by a person at a terminal, as far as can be seen.
pub(super) fn at_the_terminal() -> Result<(), Failure> {
    let refused = |why: String| {
        Err(Failure::new(format!(
            "answers are a person's: {why}\n  \
             help: open a terminal of your own, outside of the agent, and start it there"
        )))
    };
    if let Some(name) = discover::first_set(&MARKERS) {
        return refused(format!("an agent started this program (${name} is set)"));
    }
    if let Err(error) = std::fs::File::open("/dev/tty") {
        return refused(format!(
            "this program has no controlling terminal ({error})"
        ));
    }
    match ancestors() {
        None => {
            refused("it cannot be seen who started this program (/proc cannot be read)".to_owned())
        }
        Some(all) => match all.iter().find_map(governed_by) {
            Some(why) => refused(why),
            None => Ok(()),
        },
    }
}

/// A process that this one comes from.
#[derive(Debug, Default)]
struct Process {
    pid: u32,
    name: String,
    words: Vec<String>,
    program: String,
}

/// Why answers of what a process starts are not a person's; none if they may be.
fn governed_by(process: &Process) -> Option<String> {
    let pid = process.pid;
    let file = |text: &str| {
        let name = Path::new(text)
            .file_name()
            .map(|name| name.to_string_lossy());
        name.unwrap_or_default().into_owned()
    };
    let own = discover::program().ok();
    let is_own = own.is_some_and(|own| own == Path::new(&process.program));
    let first = process
        .words
        .first()
        .map(|word| file(word))
        .unwrap_or_default();
    if is_own || file(&process.program) == "lictor" || first == "lictor" || process.name == "lictor"
    {
        return Some(format!("lictor itself runs this program (process {pid})"));
    }
    let mut names = vec![process.name.clone(), first.clone(), file(&process.program)];
    if INTERPRETERS.contains(&first.trim_start_matches('-')) {
        let files = process
            .words
            .iter()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        for word in files.take(1) {
            names.push(file(word));
            if let Some((_, package)) = word.rsplit_once("/node_modules/") {
                names.extend(package.split('/').take(2).map(str::to_owned));
            }
        }
    }
    names.iter().find_map(|name| {
        let bare = name.trim_start_matches('-').to_lowercase();
        let bare = [".js", ".mjs", ".cjs", ".exe", ".py"]
            .iter()
            .find_map(|end| bare.strip_suffix(end))
            .unwrap_or(&bare);
        AGENTS.contains(&bare).then(|| {
            format!(
                "the agent `{}` started this program (process {pid})",
                escaped(name)
            )
        })
    })
}

/// The processes that this one comes from, as far as they can be seen; none if not even the first can.
fn ancestors() -> Option<Vec<Process>> {
    let mut found = Vec::new();
    let mut pid = parent("self")?;
    while pid > 0 && found.len() < MOST {
        let file = |name: &str| std::fs::read(format!("/proc/{pid}/{name}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let words = file("cmdline").unwrap_or_default();
        let program = std::fs::read_link(format!("/proc/{pid}/exe"));
        found.push(Process {
            pid,
            name: file("comm")
                .map(|name| text(&name))
                .unwrap_or_default()
                .trim()
                .to_owned(),
            words: words.split(|byte| *byte == 0).map(text).collect(),
            program: program
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
        });
        match parent(&pid.to_string()) {
            Some(above) => pid = above,
            None => break,
        }
    }
    Some(found)
}

/// The parent of a process.
fn parent(pid: &str) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in front can hold anything, also brackets.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, words: &[&str], is_governed: bool) {
        let process = Process {
            pid: 7,
            name: name.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            program: words
                .first()
                .map(|word| (*word).to_owned())
                .unwrap_or_default(),
        };
        let why = governed_by(&process);
        assert_eq!(why.is_some(), is_governed, "{name} {words:?}: {why:?}");
    }

    #[test]
    fn agents_are_known_by_their_programs_and_packages_and_people_are_not_taken_for_them() {
        check("claude", &["claude"], true);
        check(
            "node",
            &[
                "node",
                "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js",
            ],
            true,
        );
        check(
            "node",
            &[
                "/usr/bin/node",
                "--no-warnings",
                "/x/node_modules/@google/gemini-cli/dist/index.js",
            ],
            true,
        );
        check("python3", &["python3", "/home/u/.local/bin/aider"], true);
        check("codex-linux", &["/opt/codex"], true);
        check("MainThread", &["/usr/bin/opencode"], true);
        check("lictor", &["lictor", "hook", "codex"], true);
        check("lictor", &["/proc/self/exe", "init"], true);
        check("bash", &["-bash"], false);
        check("sshd", &["sshd: claude@pts/0"], false);
        check("vim", &["vim", "claude"], false);
        check("tmux: server", &["tmux", "new", "-s", "codex"], false);
        check("node", &["node", "/home/claude/server.js"], false);
    }

    #[test]
    fn who_started_this_test_can_be_seen() {
        let all = ancestors().unwrap();
        assert!(!all.is_empty() && all[0].pid > 0, "{all:?}");
    }
}
