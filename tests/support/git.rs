//! A policy that lets through whatever the library for git declares, and scripts that set up repositories.

use std::path::Path;
use std::process::Command;

pub(crate) const OPEN: &str = "version: 1
name: open
use: [lictor/git@1]
scopes: {all: [\"**\"]}
approvals: {person: {grant: true}}
rules: [{id: all, allow: \"*\", within: all}, {id: asked, allow: \"git.*\", within: all, approval: person}]
";

/// Runs a script in a directory, without this user's configuration of git; what it printed.
pub(crate) fn sh(directory: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
