//! Real agents in front of the program: Claude Code and Codex, with a model on loopback that calls one tool.
//!
//! `LICTOR_TEST_AGENTS` names the directory with the programs `claude` and `codex`, which `test.sh` installs. Without
//! it the tests say that they are not run.

use crate::support::need;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::program::Place;
use serde_json::{Value as Json, json};

const POLICY: &str = r#"
version: 1
name: live
use: [lictor/files@1, lictor/coreutils@1]
scopes: {src: "src/**", secrets: "**/.env"}
rules:
  - {id: look, allow: [cat.run, touch.run], within: src}
  - {id: secret, deny: "*", touching: secrets, reason: Secrets are read by people., instead: Ask for the value.}
"#;

/// The programs of the agents; none if they are not to be run.
fn agents() -> Option<PathBuf> {
    need::named("agents").map(PathBuf::from)
}

/// The model, ended with the test.
struct Model {
    child: Child,
    port: String,
    log: PathBuf,
}

impl Model {
    fn new(place: &Place, command: &str) -> Model {
        let (port, log) = (place.root().join("port"), place.root().join("log"));
        // Those of the model before.
        for file in [&port, &log] {
            let _ = std::fs::remove_file(file);
        }
        let child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/model.py"))
            .args([&port, &log])
            .arg(command)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let port = loop {
            match std::fs::read_to_string(&port) {
                Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
                _ => assert!(begun.elapsed() < Duration::from_secs(30)),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Model { child, port, log }
    }

    /// All that the model was told.
    fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hook(place: &Place, agent: &str, on_allow: &str) -> Vec<String> {
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let words = [
        "hook",
        agent,
        "--deadline",
        "60",
        "--on-allow",
        on_allow,
        "--policy",
    ];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.extend([
        text(place.work().join("lictor.yaml")),
        "--ledger".to_owned(),
        text(place.ledger()),
    ]);
    words
}

/// In the place of `--on-allow`: the hook is the one that `lictor init` has written.
const INSTALLED: &str = "installed";

/// Has an agent's model call `command`; returns what the model was told.
fn ask(agents: &Path, place: &Place, agent: &str, on_allow: &str, command: &str) -> String {
    let model = Model::new(place, command);
    let lictor = env!("CARGO_BIN_EXE_lictor");
    let home = place.root().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let words = hook(place, agent, on_allow);
    let program = match agent {
        "claude-code" => {
            let entry = json!([{"matcher": "*", "hooks": [{
                "type": "command", "command": lictor, "args": words, "timeout": 120, "onFailure": "block",
            }]}]);
            let settings = json!({
                "permissions": {"allow": ["Bash"]},
                "hooks": {"PreToolUse": entry, "PostToolUse": entry, "PostToolUseFailure": entry},
            });
            let file = place.root().join("settings.json");
            std::fs::write(&file, settings.to_string()).unwrap();
            let mut program = Command::new(agents.join("claude"));
            if on_allow != INSTALLED {
                program.arg("--settings").arg(file);
            }
            program
                .args(["-p", "go", "--model", "claude-sonnet-4-5"])
                .env(
                    "ANTHROPIC_BASE_URL",
                    format!("http://127.0.0.1:{}", model.port),
                )
                .env("ANTHROPIC_API_KEY", "none")
                .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
                .env("DISABLE_AUTOUPDATER", "1");
            program
        }
        _ => {
            let line = words.join(" ");
            let hooks: String = ["PreToolUse", "PostToolUse"]
                .map(|event| {
                    format!(
                        "[[hooks.{event}]]\nmatcher = \".*\"\n[[hooks.{event}.hooks]]\ntype = \"command\"\ncommand = \"{lictor} {line}\"\ntimeout = 120\n"
                    )
                })
                .concat();
            let settings = format!(
                "model = \"gpt-5\"\nmodel_provider = \"test\"\napproval_policy = \"never\"\nsandbox_mode = \"danger-full-access\"\n\
                 [model_providers.test]\nname = \"test\"\nbase_url = \"http://127.0.0.1:{}/v1\"\nwire_api = \"responses\"\n{hooks}",
                model.port
            );
            std::fs::write(home.join("config.toml"), settings).unwrap();
            let mut program = Command::new(agents.join("codex"));
            program
                .args([
                    "exec",
                    "--skip-git-repo-check",
                    "--dangerously-bypass-hook-trust",
                    "go",
                ])
                .env("CODEX_HOME", &home);
            program
        }
    };
    // An agent whose model is gone asks again for minutes.
    let mut ended = Command::new("timeout");
    ended
        .arg("120")
        .arg(program.get_program())
        .args(program.get_args());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            ended.env(name, value);
        }
    }
    let output = ended
        .current_dir(place.work())
        .env("HOME", &home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    model.told()
}

/// How the calls of the record stand.
fn calls(place: &Place) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_lictor"))
        .args(["ledger", "calls", "--json", "--ledger"])
        .arg(place.ledger())
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let state = |line: &str| -> String {
        let json: Json = serde_json::from_str(line).unwrap();
        json.get("state").unwrap().as_str().unwrap().to_owned()
    };
    lines.lines().map(state).collect()
}

fn governs(agent: &str) {
    let Some(agents) = agents() else { return };
    let place = Place::with_policy(POLICY);
    place.write("src/a.py", "x = 1\n");
    place.write(".env", "SECRET=4711\n");

    let told = ask(
        &agents,
        &place,
        agent,
        "silent",
        "touch src/denied.txt && cat .env",
    );
    assert!(!place.work().join("src/denied.txt").exists());
    assert!(
        told.contains("DENIED_BY_RULE") && told.contains("Ask for the value."),
        "{told}"
    );
    assert!(!told.contains("4711"));

    ask(&agents, &place, agent, "silent", "touch src/allowed.txt");
    assert!(place.work().join("src/allowed.txt").exists());

    ask(&agents, &place, agent, "rewrite", "touch src/rewritten.txt");
    assert!(place.work().join("src/rewritten.txt").exists());
    let runs = Command::new(env!("CARGO_BIN_EXE_lictor"))
        .args(["ledger", "show", "--ledger"])
        .arg(place.ledger())
        .output()
        .unwrap();
    // Only lictor writes the outcome of a run.
    assert!(
        String::from_utf8(runs.stdout)
            .unwrap()
            .contains("  outcome")
    );
    assert_eq!(calls(&place), ["denied", "ended", "ended"]);
}

#[test]
fn claude_code_runs_what_is_allowed_and_tells_its_model_why_not() {
    governs("claude-code");
}

#[test]
fn codex_runs_what_is_allowed_and_tells_its_model_why_not() {
    governs("codex");
}

#[test]
fn claude_code_is_governed_by_what_init_writes() {
    let Some(agents) = agents() else { return };
    let place = Place::new();
    place.write("src/a.py", "x = 1\n");
    place.write(".env", "SECRET=4711\n");
    place
        .lictor(with_ledger(
            &place,
            &["init", "--agent", "claude-code", "--on-allow", "approve"],
        ))
        .end()
        .ends_with_code(0);
    // A machine on which all tests run at once is slow.
    let file = place.work().join(".claude/settings.json");
    let settings = std::fs::read_to_string(&file).unwrap();
    let patient = settings
        .replace("\"hook\",", "\"hook\", \"--deadline\", \"60\",")
        .replace("\"timeout\": 10", "\"timeout\": 120");
    std::fs::write(&file, patient).unwrap();

    let told = ask(&agents, &place, "claude-code", INSTALLED, "cat .env");
    assert!(
        told.contains("DENIED_BY_RULE") && told.contains("no-secrets"),
        "{told}"
    );
    assert!(!told.contains("4711"));
    ask(
        &agents,
        &place,
        "claude-code",
        INSTALLED,
        "touch src/made.txt",
    );
    assert!(place.work().join("src/made.txt").exists());
    assert_eq!(calls(&place), ["denied", "ended"]);
    place
        .lictor(with_ledger(&place, &["ledger", "verify"]))
        .end()
        .ends_with_code(0);
}

fn with_ledger(place: &Place, words: &[&str]) -> Vec<std::ffi::OsString> {
    let words = words.iter().map(Into::into);
    let ledger = ["--ledger".into(), place.ledger().into_os_string()];
    words.chain(ledger).collect()
}
