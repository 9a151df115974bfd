//! `lictor import claude-settings`: what the policy decides for the requests that the settings are about.

use crate::support::program::Place;
use serde_json::json;

#[track_caller]
fn decided(permissions: &serde_json::Value, table: &[(&str, &str)]) {
    let place = Place::new();
    for file in ["src/a", "src/b.key", ".env", "lib/.env", "docs/d"] {
        place.write(file, "x");
    }
    place.write(
        ".claude/settings.json",
        json!({"permissions": permissions}).to_string(),
    );
    let written = place
        .lictor(["import", "claude-settings", "--out", "lictor.yaml"])
        .end();
    written.ends_with_code(0);
    let linted = place.lictor(["lint", "lictor.yaml", "--json"]).end();
    assert!(
        !linted.stdout.contains("\"severity\":\"error\""),
        "{linted:?}"
    );
    for (line, code) in table {
        let words = ["check", "--"].into_iter().chain(line.split(' '));
        let code = match *code {
            "allow" => 0,
            "ask" => 3,
            _ => 1,
        };
        let answer = place.lictor(words).end();
        assert_eq!(answer.code, Some(code), "{permissions}: {line}: {answer:?}");
    }
}

#[test]
fn no_allow_is_wider_than_the_setting_and_no_deny_narrower() {
    decided(
        &json!({"allow": ["Bash(npm run test:*)", "Bash(ls:*)"]}),
        &[
            ("npm run test", "allow"),
            ("npm run lint", "deny"),
            ("ls src", "allow"),
            ("cat src/a", "deny"),
        ],
    );
    decided(
        &json!({"allow": ["Bash(git diff --stat:*)", "Bash(ls -l)", "Bash"]}),
        &[("git diff", "deny"), ("ls", "deny")],
    );
    decided(
        &json!({"allow": ["Bash(cat:*)"], "deny": ["Read(.env)", "Read(src/*.[k]ey)"]}),
        &[
            ("cat docs/d", "allow"),
            ("cat .env", "deny"),
            ("cat lib/.env", "deny"),
            ("cat src/b.key", "deny"),
        ],
    );
    decided(
        &json!({"allow": ["Bash(cat:*)"], "deny": ["Read(//**/.env)"]}),
        &[("cat lib/.env", "deny"), ("cat src/a", "allow")],
    );
    decided(
        &json!({"allow": ["Bash(ls:*)"], "deny": ["Bash"]}),
        &[("ls", "deny")],
    );
    decided(
        &json!({"allow": ["Bash(ls:*)"], "ask": ["Bash"]}),
        &[("ls", "ask")],
    );
    decided(
        &json!({"allow": ["Bash(ls:*)"], "ask": ["Bash(ls -l)"]}),
        &[("ls -l", "ask"), ("cat src/a", "deny")],
    );
}
