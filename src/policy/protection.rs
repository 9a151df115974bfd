//! What no policy can open for writing: itself, its record, and the settings by which agents would
//! switch their gate off.
//!
//! These are deny rules like any other, compiled in before the policy's own, so that a decision, an
//! explanation and an analysis see them where they see the others.

#![forbid(unsafe_code)]

/// The id of the compiled-in rule.
pub(crate) const RULE_ID: &str = "lictor/self-protection";

/// Why, for decisions.
pub(crate) const REASON: &str =
    "the policy, its record and the settings of agents are not changed by those they bound";

/// Where agents keep the settings that decide whether lictor is asked at all. Below any directory,
/// because an agent started in a subdirectory reads the ones there.
///
/// Sources: the hook and settings documentation of Claude Code, Codex CLI, Gemini CLI, Cursor,
/// GitHub Copilot, OpenCode and VS Code, November 2026.
pub(crate) const PATTERNS: &[&str] = &[
    "**/lictor.yaml",
    "**/.claude/**",
    "**/.codex/**",
    "**/.cursor/**",
    "**/.gemini/**",
    "**/.opencode/**",
    "**/opencode.json",
    "**/.github/hooks/**",
    "**/.github/copilot/**",
    "**/.mcp.json",
    "**/.vscode/**",
];
