//! An ordinary day in front of the hook: each line that people and agents type gets the answer that is expected of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::messages::hook;
use crate::support::need;
use crate::support::program::Place;
use serde_json::{Value as Json, json};

/// Lines of the same kinds: what git writes whose names nobody can tell, revisions that shells read alike, patterns.
const MORE: &str = "\
ask\tgit pull --ff-only
ask\tgit merge main
ask\tgit merge --abort
ask\tgit switch main
ask\tgit cherry-pick HEAD~1
ask\tgit revert --no-edit HEAD
ask\tgit reset --hard HEAD~1
ask\tgit stash
ask\tgit stash push -m wip
ask\tgit stash apply stash@{0}
ask\tgit rebase --continue
deny\tgit rebase -i main
deny\tgit rebase main --exec id
deny\tgit stash drop
allow\tgit diff HEAD^ HEAD
allow\tgit log HEAD~2..HEAD
allow\tgit stash show stash@{0}
allow\tcat src/*.py
allow\twc -l src/*.py tests/*.py
allow\thead -5 src/*.py
allow\twc -l ./*.md
allow\tcp src/*.py docs
allow\trg TODO src/*.py
allow\truff check src/*.py
allow\tgrep -rn --include='*.py' TODO src
allow\trg -g '*.py' foo
deny\twc -l *.md
deny\tcat src/*.zzz
deny\tcat src/**/*.py
deny\tcp src/*
deny\tcp src/a.py src/z.py && cat src/*.py
allow\twc -l src/*.py | tail -1
deny\trg src/*.py
deny\tgrep -rn --include=*.py TODO src
deny\tcat ./.en*
deny\tcat src/../.en*
deny\tfind . -name *.py
deny\tcd src/* && ls
deny\tcat src/a.py > src/*.py
deny\tsrc/*.py
deny\trg -g '.e*' foo
deny\trg -g '*' foo
deny\trg -g '*.py' -g '.env' foo
ask\ttar -czf docs.tar.gz docs
ask\tgit push origin main
deny\tkubectl get secrets
deny\tprintenv GH_TOKEN
";

/// A project of many kinds, with a policy as `lictor init` writes it for one.
fn project() -> Place {
    let place = Place::with_policy("version: 1\nname: none\n");
    let work = place.work();
    fs::remove_file(work.join("lictor.yaml")).unwrap();
    for (path, text) in [
        ("Cargo.toml", "[workspace]\nmembers = [\"crates/core\"]\n"),
        ("crates/core/Cargo.toml", "[package]\nname = \"core\"\n"),
        ("crates/core/src/lib.rs", ""),
        ("pyproject.toml", "[project]\nname = \"p\"\n"),
        ("package.json", "{\"scripts\": {\"test\": \"true\"}}"),
        ("packages/a/package.json", "{}"),
        ("pnpm-lock.yaml", "lockfileVersion: 9\n"),
        ("go.mod", "module x\n"),
        ("pkg/foo/a.go", "package foo\n"),
        ("Makefile", "test:\n"),
        ("Dockerfile", "FROM scratch\n"),
        ("compose.yaml", "services: {}\n"),
        ("main.tf", "terraform {}\n"),
        ("k8s/dev.yaml", "kind: x\n"),
        (".github/CODEOWNERS", "* @x\n"),
        ("src/a.py", "foo = 1  # TODO\n"),
        ("src/b.py", "foo = 2\n"),
        ("src/a.test.ts", ""),
        ("tests/test_a.py", ""),
        ("tests/unit/test_b.py", ""),
        ("scripts/migrate.py", ""),
        ("docs/a.md", ""),
        ("logs/app.log", ""),
        ("README.md", "read\n"),
        (".env", "KEY=1\n"),
        (".gitignore", ".env\n.venv/\n"),
    ] {
        place.write(path, text);
    }
    let programs = work.join(".venv/bin");
    fs::create_dir_all(&programs).unwrap();
    for name in [
        "pytest",
        "mypy",
        "ruff",
        "black",
        "fd",
        "tree",
        "pnpm",
        "uv",
        "python3",
        "terraform",
        "kubectl",
        "gh",
        "docker",
        "cargo",
        "npm",
        "npx",
        "node",
        "go",
        "gofmt",
        "make",
        "jq",
        "rg",
        "pip",
    ] {
        let path = programs.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for words in [
        &["init", "-q", "-b", "main"][..],
        &["add", "-A"],
        &["commit", "-q", "-m", "one"],
        &["commit", "-q", "--allow-empty", "-m", "two"],
        &["commit", "-q", "--allow-empty", "-m", "three"],
    ] {
        let status = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=a@b.c"])
            .args(words)
            .current_dir(&work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status()
            .unwrap();
        assert!(status.success(), "{words:?}");
    }
    place.lictor(["init"]).end().ends_with_code(0);
    place
}

/// The answer of the hook to a command line, and all that it says.
fn answer(place: &Place, words: &[&str], line: &str) -> (String, Json) {
    let message = json!({
        "session_id": "s", "transcript_path": "/t", "cwd": place.work(), "permission_mode": "default",
        "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "t",
        "tool_input": {"command": line},
    });
    let words = [&["claude-code"], words].concat();
    let output = hook(place, &words, message.to_string().as_bytes());
    if output.stdout.is_empty() && output.status.success() {
        return ("allow".to_owned(), Json::Null);
    }
    let said: Json = serde_json::from_slice(&output.stdout).unwrap();
    let said = said["hookSpecificOutput"].clone();
    let word = said["permissionDecision"].as_str().unwrap().to_owned();
    (word, said)
}

/// The lines of a list with what is expected: each goes on until the next one that begins with an answer and a tab.
fn lines(text: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match line.split_once('\t') {
            Some((word @ ("allow" | "ask" | "deny"), line)) => found.push((word, line.to_owned())),
            _ => {
                if let Some((_, last)) = found.last_mut() {
                    last.push('\n');
                    last.push_str(line);
                }
            }
        }
    }
    found
}

#[test]
fn each_everyday_line_gets_the_answer_that_is_expected() {
    let place = project();
    let listed = lines(include_str!("../data/everyday.txt"));
    assert!(listed.len() > 120);
    let mut wrong = Vec::new();
    for (expected, line) in listed.into_iter().chain(lines(MORE)) {
        let (word, said) = answer(&place, &[], &line);
        if word != expected {
            wrong.push(format!(
                "{line}\n  expected {expected}, got {word}: {}",
                said["permissionDecisionReason"]
            ));
        }
        // Later lines are about what these leave behind.
        let changes = ["mkdir ", "touch ", "cp ", "mv ", "rm "];
        if word == "allow" && changes.iter().any(|name| line.starts_with(name)) {
            let status = Command::new("sh")
                .args(["-c", &line])
                .current_dir(place.work())
                .status();
            assert!(status.unwrap().success(), "{line}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_question_about_names_that_nobody_can_tell_says_so_and_no_wildcard_answers_it() {
    let place = project();
    let (_, said) = answer(&place, &[], "git rebase main");
    let why = said["permissionDecisionReason"].as_str().unwrap();
    assert!(
        why.contains("in files that the line does not name"),
        "{why}"
    );
    for (rules, expected) in [
        ("[{id: all, allow: \"*\", within: all}]", "NO_RULE_ALLOWS"),
        (
            "[{id: all, allow: \"git.*\", within: all}]",
            "NO_RULE_ALLOWS",
        ),
        (
            "[{id: all, allow: \"git.*\", within: all, approval: person}]",
            "APPROVAL_REQUIRED",
        ),
    ] {
        let text = format!(
            "version: 1\nname: x\nuse: lictor/git@1\nscopes: {{all: \"**\"}}\napprovals: {{person: {{grant: true}}}}\nrules: {rules}\n"
        );
        fs::write(place.work().join("lictor.yaml"), text).unwrap();
        for line in [
            "git rebase main",
            "git stash pop",
            "git switch main",
            "git -C src pull",
        ] {
            let (_, said) = answer(&place, &[], line);
            let why = said["permissionDecisionReason"].as_str().unwrap();
            assert!(why.starts_with(expected), "{line}: {why}");
        }
    }
    let named = "version: 1\nname: x\nuse: lictor/git@1\nrules: [{id: all, allow: git.rebase}]\n";
    let refused = lictor::policy::CompiledPolicy::from_yaml(named).unwrap_err();
    assert!(
        refused.to_string().contains("give the rule an `approval`"),
        "{refused}"
    );
}

#[test]
fn a_pattern_is_the_names_that_three_shells_put_in_its_place() {
    let place = project();
    let names = [
        "src/.hidden.py",
        "src/A.py",
        "src/a b.py",
        "src/a'c.py",
        "src/-x.py",
        "src/ä.py",
        "src/deep/one.py",
        "src/deep/.two.py",
    ];
    for name in names {
        place.write(name, "");
    }
    for pattern in [
        "src/*.py",
        "src/*",
        "src/*/*.py",
        "s*/a*.py",
        "./src/a*",
        "src/.h*",
        "src/*b*",
        "src/-*",
    ] {
        let (_, said) = answer(
            &place,
            &["--on-allow", "rewrite"],
            &format!("ls -d {pattern}"),
        );
        assert!(said["updatedInput"].is_object(), "{pattern}: {said}");
        let text = said["updatedInput"]["command"].as_str().unwrap();
        let (_, words) = text.split_once(" -- ls -d ").unwrap();
        let printed = |shell: &str, words: &str| {
            let output = Command::new(shell)
                .args(["-c", &format!("printf '%s\\n' {words}")])
                .env("LC_ALL", "C.UTF-8")
                .current_dir(place.work())
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let mut lines: Vec<String> = text
                .lines()
                .map(|line| line.trim_start_matches("./").to_owned())
                .collect();
            lines.sort();
            lines
        };
        let ours = printed("sh", words);
        for shell in ["bash", "dash", "zsh"] {
            if Command::new(shell).args(["-c", ":"]).status().is_err() {
                need::lacks("shells", format!("{shell} is not installed"));
                continue;
            }
            assert_eq!(printed(shell, pattern), ours, "{shell}: {pattern}");
        }
    }
}
