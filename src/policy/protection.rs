//! Paths that no policy can open for writing: itself, its record, and the settings by which agents would
//! switch their gate off.
//!
//! These are deny rules like any other, compiled in before the policy's own, so that a decision, an
//! explanation and an analysis see them where they see the others.

#![forbid(unsafe_code)]

#[cfg(any(feature = "testing", feature = "cli"))]
use super::glob::Pattern;

/// The id of the compiled-in rule.
pub(crate) const RULE_ID: &str = "lictor/self-protection";

/// Why, for decisions.
pub(crate) const REASON: &str =
    "the policy, its record and the settings of agents are not changed by those they bound";

/// Where agents keep the settings that decide whether lictor is asked at all: hooks, permissions, servers of
/// tools, and what an editor runs by itself when a directory is opened. Below any directory, because an agent
/// started in a subdirectory reads the ones there. Instructions that an agent only reads (`AGENTS.md`) are not
/// among them.
///
/// Sources: the settings documentation of Claude Code, Codex CLI, Gemini CLI and its successor Antigravity
/// (`.agents`), Cursor, GitHub Copilot, OpenCode, VS Code (tasks and settings of folders and workspaces), Zed
/// (`.zed/tasks.json`, `settings.json`), Kiro (`.kiro/hooks`, `settings/mcp.json`), Qwen Code, Roo Code, Cline,
/// Windsurf, Continue, Amazon Q Developer, Aider (`.aider.conf.yml`), JetBrains IDEs, and
/// containers.dev (`devcontainer.json` runs commands), November 2026.
pub(crate) const PATTERNS: &[&str] = &[
    "**/lictor.yaml",
    "**/.claude/**",
    "**/.codex/**",
    "**/.cursor/**",
    "**/.gemini/**",
    "**/.agents/**",
    "**/.opencode/**",
    "**/opencode.json",
    "**/opencode.jsonc",
    "**/.github/hooks/**",
    "**/.github/copilot/**",
    "**/.mcp.json",
    "**/.vscode/**",
    "**/*.code-workspace",
    "**/.zed/**",
    "**/.kiro/**",
    "**/.qwen/**",
    "**/.roo/**",
    "**/.roomodes",
    "**/.cline*/**",
    "**/.windsurf/**",
    "**/.continue/**",
    "**/.continuerc.json",
    "**/.amazonq/**",
    "**/.aider*",
    "**/.idea/**",
    "**/.devcontainer/**",
    "**/.devcontainer.json",
];

/// Returns true if the settings of an agent lie at a path of the workspace, in any case of its letters.
#[cfg(any(feature = "testing", feature = "cli"))]
pub(crate) fn covers(path: &[u8]) -> bool {
    let mut patterns = PATTERNS.iter().filter_map(|text| Pattern::parse(text).ok());
    patterns.any(|pattern| pattern.matches_folded(path))
}
