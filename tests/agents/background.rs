//! Commands that an agent runs in the background: with `rewrite`, one of them is a long run.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::ordinary;
use crate::support::program::Place;
use serde_json::{Value as Json, json};

const POLICY: &str = r#"version: 1
name: background
use: [lictor/files@1]
tools:
  python3: {program: /usr/bin/python3, actions: {run: {args: {file: {type: path, required: true, access: read}}}}}
  cat: {program: /bin/cat, actions: {run: {args: {file: {type: path, access: read}}}}}
scopes: {all: ["**"]}
rules:
  - {id: r, allow: python3.run, within: all, limits: {timeout: 20s, lease: 1h, grace: 300ms}}
  - {id: c, allow: [cat.run, filesystem.read_file, filesystem.write_file], within: all}
defaults: {program_path: [/usr/bin, /bin]}
"#;

fn place() -> Place {
    let place = Place::with_policy(POLICY);
    place.write(
        "serve.py",
        "print(\"up\", flush=True)\n__import__(\"time\").sleep(1000)\n",
    );
    place
}

/// What the hook answers; the agent's process is this one.
#[track_caller]
fn answer(place: &Place, agent: &str, on_allow: &str, message: &Json) -> Json {
    let policy = place.work().join("lictor.yaml");
    let words = [
        "--policy",
        policy.to_str().unwrap(),
        "hook",
        agent,
        "--on-allow",
        on_allow,
        "--deadline",
        "60",
    ];
    let answer = place.lictor(words).input(message.to_string()).end();
    answer.ends_with_code(0).json()
}

fn claude(work: &Path, command: &str, is_background: bool, call: &str) -> Json {
    json!({
        "session_id": "s", "transcript_path": "/t", "cwd": work, "hook_event_name": "PreToolUse", "tool_name": "Bash",
        "tool_input": {"command": command, "run_in_background": is_background}, "tool_use_id": call,
    })
}

/// The rewritten command, and what the model is told.
#[track_caller]
fn rewritten(place: &Place, command: &str, is_background: bool, call: &str) -> (String, Json) {
    let message = claude(&place.work(), command, is_background, call);
    let says = answer(place, "claude-code", "rewrite", &message)["hookSpecificOutput"].take();
    let text = says["updatedInput"]["command"].as_str().unwrap().to_owned();
    (text, says["additionalContext"].clone())
}

/// The name of the long run in a line.
#[track_caller]
fn name(line: &str) -> &str {
    let (_, rest) = line.split_once(" start --name ").unwrap();
    rest.split(' ').next().unwrap()
}

#[test]
fn a_command_in_the_background_is_a_long_run_that_the_shell_follows_and_stop_ends() {
    let place = place();
    let (line, note) = rewritten(&place, "python3 serve.py", true, "toolu_01; $(id)");
    let name = name(&line);
    assert!(
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
        "{line}"
    );
    assert!(
        note.as_str()
            .unwrap()
            .contains(&format!("`lictor stop {name}`")),
        "{note}"
    );
    let owner = format!(" --owner-pid {} -- ", std::process::id());
    assert!(line.contains(&owner), "{line}");
    assert!(line.ends_with(&format!(" logs -f {name}")), "{line}");
    let mut shell = Command::new("/bin/sh")
        .args(["-c", &line])
        .current_dir(place.work())
        .env("XDG_STATE_HOME", place.root().join("state"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with(&format!("{name} runs until ")), "{first}");
    assert_eq!(lines.next().unwrap().unwrap(), "up");
    // Another name for the next call.
    let (other, _) = rewritten(&place, "python3 serve.py", true, "toolu_02");
    assert!(!other.contains(name), "{other}");
    let list = || place.lictor(["--json", "list-runs"]).end().json();
    let runs = list();
    assert_eq!(runs["runs"][0]["name"], name, "{runs}");
    assert_eq!(runs["runs"][0]["state"], "RUNNING", "{runs}");
    assert_eq!(runs["runs"][0]["lease_ms"], 3_600_000, "{runs}");
    // Somebody else's sealed line neither sees nor ends it; the agent's own does both.
    let policy = place.work().join("lictor.yaml");
    let sealed = |actor: &str, words: &[&str]| {
        let front = [
            "--policy",
            policy.to_str().unwrap(),
            "--actor",
            actor,
            "--sealed",
        ];
        place.lictor([&front[..], words].concat()).end()
    };
    sealed("other", &["stop", name]).ends_with_code(2);
    sealed("other", &["logs", name]).ends_with_code(2);
    let seen = sealed("other", &["--json", "list-runs"])
        .ends_with_code(0)
        .json();
    assert_eq!(seen["runs"], json!([]));
    sealed("claude-code", &["logs", name]).ends_with_code(0);
    sealed("claude-code", &["stop", name]).ends_with_code(0);
    assert_eq!(list()["runs"][0]["state"], "CANCELLED");
    assert!(lines.next().is_none());
    assert_eq!(shell.wait().unwrap().code(), Some(0));
}

#[test]
fn what_a_long_run_cannot_stand_for_is_run_as_before() {
    let place = place();
    for (command, is_background) in [
        ("python3 serve.py", false),
        ("python3 serve.py | cat", true),
        ("cat serve.py; python3 serve.py", true),
        ("python3 serve.py > out.txt", true),
        ("cat < serve.py", true),
    ] {
        let (line, note) = rewritten(&place, command, is_background, "c");
        assert!(
            line.contains(" run ") && !line.contains(" start "),
            "{line}"
        );
        assert_eq!(note, Json::Null, "{command}");
    }
    for command in [
        "python3 serve.py",
        "python3 serve.py 2>&1",
        "cd . && python3 serve.py",
    ] {
        let message = claude(&place.work(), command, true, "c");
        let approved = answer(&place, "claude-code", "approve", &message);
        assert!(!approved.to_string().contains("start"), "{approved}");
        let (line, _) = rewritten(&place, command, true, "c");
        assert!(
            !line.contains(" run ") && line.contains("python3 serve.py && "),
            "{line}"
        );
    }
    let gemini = |is_background: bool| {
        let message = json!({
            "session_id": "s", "transcript_path": "/t", "cwd": place.work(), "hook_event_name": "BeforeTool",
            "timestamp": "2026-11-23T10:00:00Z", "tool_name": "run_shell_command",
            "tool_input": {"command": "python3 serve.py", "is_background": is_background},
        });
        answer(&place, "gemini", "rewrite", &message).to_string()
    };
    assert!(gemini(true).contains(" start --name bg-"));
    assert!(gemini(false).contains(" run -- "));
}

#[test]
fn all_of_it_holds_for_an_ordinary_user() {
    ordinary::again(module_path!(), &[]);
}
