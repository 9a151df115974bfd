//! `lictor init --agent`: the hook comes into an agent's settings, and nothing else changes in them.

use std::os::unix::fs::symlink;

use serde_json::{Value as Json, json};

use crate::support::program::{Answer, Place};

const AGENTS: [(&str, &str, &str); 7] = [
    (
        "claude-code",
        ".claude/settings.json",
        ".claude/settings.json",
    ),
    ("codex", ".codex/hooks.json", ".codex/hooks.json"),
    ("gemini", ".gemini/settings.json", ".gemini/settings.json"),
    ("agy", ".agents/hooks.json", ".gemini/config/hooks.json"),
    ("cursor", ".cursor/hooks.json", ".cursor/hooks.json"),
    (
        "copilot",
        ".github/hooks/lictor.json",
        ".copilot/hooks/lictor.json",
    ),
    (
        "opencode",
        ".opencode/plugins/lictor.js",
        ".config/opencode/plugins/lictor.js",
    ),
];

fn init(place: &Place, line: &str) -> Answer {
    let words = format!("init {line}");
    place.lictor(words.split(' ')).end()
}

fn read(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.work().join(file)).unwrap()
}

/// All texts that a JSON value holds.
fn texts(value: &Json) -> Vec<&str> {
    match value {
        Json::String(text) => vec![text],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Object(fields) => fields.values().flat_map(texts).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) => Vec::new(),
    }
}

#[test]
fn each_agent_gets_a_policy_and_a_hook_by_absolute_paths_and_a_second_time_changes_nothing() {
    for (agent, project, user) in AGENTS {
        let place = Place::new();
        let answer = init(&place, &format!("--agent {agent}")).ends_with_code(0);
        let policy = place.work().join("lictor.yaml");
        let settings = read(&place, project);
        assert!(settings.contains(policy.to_str().unwrap()), "{settings}");
        assert!(
            answer.stdout.contains(&format!("+++ {}", policy.display())),
            "{agent}"
        );
        assert!(
            answer
                .stdout
                .contains(&format!("rm -- {}", policy.display())),
            "{agent}"
        );
        place.lictor(["test"]).end().ends_with_code(0);
        let again = init(&place, &format!("--agent {agent}")).ends_with_code(0);
        assert!(again.stdout.starts_with("nothing to do"), "{again:?}");
        assert_eq!(read(&place, project), settings);
        if agent != "opencode" {
            let value: Json = serde_json::from_str(&settings).unwrap();
            let programs = texts(&value);
            let programs: Vec<_> = programs
                .iter()
                .filter(|text| text.starts_with('/'))
                .collect();
            assert!(!programs.is_empty(), "{agent}");
        }
        init(&place, &format!("--agent {agent} --user")).ends_with_code(0);
        let own = std::fs::read_to_string(place.root().join(user)).unwrap();
        assert_eq!(own, settings, "{agent}");
    }
}

#[test]
fn the_switch_that_blocks_on_failure_is_set_where_an_agent_has_one() {
    let place = Place::new();
    init(&place, "--agent claude-code").ends_with_code(0);
    let settings: Json = serde_json::from_str(&read(&place, ".claude/settings.json")).unwrap();
    assert_eq!(settings["hooks"]["PreToolUse"][0]["matcher"], "*");
    assert_eq!(
        settings["hooks"]["PreToolUse"][0]["hooks"][0]["onFailure"],
        "block"
    );
    init(&place, "--agent cursor").ends_with_code(0);
    let settings: Json = serde_json::from_str(&read(&place, ".cursor/hooks.json")).unwrap();
    assert_eq!(settings["version"], 1);
    for event in [
        "preToolUse",
        "beforeShellExecution",
        "beforeMCPExecution",
        "beforeReadFile",
    ] {
        assert_eq!(settings["hooks"][event][0]["failClosed"], true, "{event}");
    }
}

#[test]
fn settings_that_are_there_change_only_when_confirmed_and_can_be_had_back() {
    const BEFORE: &str = "{\n\t\"permissions\": {\"deny\": [\"Read(./.env)\"]},\n\t\"hooks\": {\"PreToolUse\": [\n\t\t{\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"./mine.sh\"}]}\n\t]},\n\t\"zeta\": 1e2\n}\n";
    let place = Place::new();
    place.write(".claude/settings.json", BEFORE);
    let refused = init(&place, "--agent claude-code").ends_with_code(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert!(refused.stdout.contains("+++ "), "{refused:?}");
    assert_eq!(read(&place, ".claude/settings.json"), BEFORE);
    assert!(!place.work().join("lictor.yaml").exists());
    init(&place, "--agent claude-code --print").ends_with_code(0);
    assert_eq!(read(&place, ".claude/settings.json"), BEFORE);

    let done = place
        .lictor(["init", "--agent", "claude-code", "--yes", "--json"])
        .end();
    let done = done.ends_with_code(0).json();
    let after = read(&place, ".claude/settings.json");
    // Nothing is taken away: what was there is there in the same order, though an object of one line may be of more now.
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    let mut rest = dense(&after);
    for line in BEFORE
        .lines()
        .map(|line| line.trim_end_matches([']', '}', ',']))
    {
        let line = dense(line);
        let at = rest
            .find(&line)
            .unwrap_or_else(|| panic!("{line}\n{after}"));
        rest.drain(..at + line.len());
    }
    let value: Json = serde_json::from_str(&after).unwrap();
    assert_eq!(value["hooks"]["PreToolUse"].as_array().unwrap().len(), 2);
    assert_eq!(value["permissions"], json!({"deny": ["Read(./.env)"]}));
    for undo in done["undo"].as_array().unwrap() {
        let ended = std::process::Command::new("sh")
            .arg("-c")
            .arg(undo.as_str().unwrap())
            .status();
        assert!(ended.unwrap().success());
    }
    assert_eq!(read(&place, ".claude/settings.json"), BEFORE);
    assert!(!place.work().join("lictor.yaml").exists());
}

#[test]
fn an_older_entry_is_replaced_and_one_of_others_is_not() {
    let place = Place::new();
    init(&place, "--agent codex").ends_with_code(0);
    init(&place, "--agent codex --on-allow rewrite").ends_with_code(2);
    init(&place, "--agent codex --on-allow rewrite --yes").ends_with_code(0);
    let settings: Json = serde_json::from_str(&read(&place, ".codex/hooks.json")).unwrap();
    let entries = settings["hooks"]["PreToolUse"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert!(
        texts(&settings)
            .iter()
            .any(|text| text.ends_with("--on-allow rewrite"))
    );
    init(&place, "--agent codex --on-allow sometimes").ends_with_code(2);
}

#[test]
fn malformed_settings_and_links_are_refused_and_nothing_is_written() {
    for (text, why) in [
        ("{\n  \"hooks\": {},\n  // mine\n}", "line 3 column 3"),
        ("{\"hooks\": [}", "line 1 column 12"),
        (
            "{\"hooks\": {\"PreToolUse\": {}}}",
            "`hooks.PreToolUse` is no array",
        ),
        ("[]", "the text is no object"),
        ("{} x", "line 1 column 4"),
    ] {
        let place = Place::new();
        place.write(".claude/settings.json", text);
        let refused = init(&place, "--agent claude-code --yes").ends_with_code(2);
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert_eq!(read(&place, ".claude/settings.json"), text);
        assert!(!place.work().join("lictor.yaml").exists());
    }
    // A link: the file, its directory, and one that leads to nothing.
    for (link, to) in [
        (".claude/settings.json", "../real.json"),
        (".claude", "elsewhere"),
        (".claude/settings.json", "../nothing.json"),
        ("lictor.yaml", "nothing.yaml"),
    ] {
        let place = Place::new();
        place.write("elsewhere/settings.json", "{}\n");
        place.write("real.json", "{}\n");
        if link.contains('/') {
            std::fs::create_dir(place.work().join(".claude")).unwrap();
        }
        symlink(to, place.work().join(link)).unwrap();
        let refused = init(&place, "--agent claude-code --yes").ends_with_code(2);
        assert!(refused.stderr.contains("link"), "{refused:?}");
        assert_eq!(read(&place, "elsewhere/settings.json"), "{}\n");
        assert_eq!(read(&place, "real.json"), "{}\n");
        assert!(!place.work().join("nothing.json").exists());
        assert!(!place.work().join("nothing.yaml").exists());
    }
}

#[test]
fn comments_stay_in_settings_whose_agent_understands_them() {
    let place = Place::new();
    place.write(
        ".gemini/settings.json",
        "{\n  // mine\n  \"theme\": \"dark\" // dark\n}\n",
    );
    init(&place, "--agent gemini --yes").ends_with_code(0);
    let after = read(&place, ".gemini/settings.json");
    assert!(
        after.starts_with("{\n  // mine\n  \"theme\": \"dark\", // dark\n  \"hooks\": {\n"),
        "{after}"
    );
}

#[test]
fn a_policy_that_is_found_is_named_and_kept_and_one_that_does_not_load_stops_all() {
    let place = Place::with_policy("version: 1\nname: mine\nrules: []\n");
    std::fs::create_dir(place.work().join("sub")).unwrap();
    let answer = place
        .lictor(["init", "--agent", "claude-code"])
        .current_dir(place.work().join("sub"));
    answer.end().ends_with_code(0);
    let settings = read(&place, "sub/.claude/settings.json");
    assert!(settings.contains(place.work().join("lictor.yaml").to_str().unwrap()));
    assert!(!place.work().join("sub/lictor.yaml").exists());
    place.write("lictor.yaml", "version: 1\nname: [\n");
    init(&place, "--agent cursor").ends_with_code(2);
    assert!(!place.work().join(".cursor").exists());
}

#[test]
fn the_ten_minutes_of_the_readme_go_as_they_say() {
    let readme = include_str!("../../README.md");
    let (_, walk) = readme.split_once("### Ten minutes with an agent").unwrap();
    let (walk, told) = walk.split_once("The answer to a denied call").unwrap();
    let told = told.split("```").nth(1).unwrap();
    let told = told.strip_prefix("text").unwrap();
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let place = Place::new();
    place.write("src/main.c", "int main() { return 0; }\n");
    place.write(".git/HEAD", "ref: refs/heads/main\n");
    place.write(".env", "SECRET=4711\n");
    let mut count = 0;
    for line in walk.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let line = line.split('#').next().unwrap().trim();
        let Some(line) = line.strip_prefix("lictor ") else {
            assert_eq!(line, "claude");
            let settings: Json =
                serde_json::from_str(&read(&place, ".claude/settings.json")).unwrap();
            let hook = &settings["hooks"]["PreToolUse"][0]["hooks"][0];
            let args = hook["args"]
                .as_array()
                .unwrap()
                .iter()
                .map(|arg| arg.as_str().unwrap());
            let message = |command: &str| {
                json!({
                    "session_id": "s", "transcript_path": "/t", "cwd": place.work(), "hook_event_name": "PreToolUse",
                    "tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": command,
                })
            };
            let call = |command: &str| {
                place
                    .lictor(args.clone())
                    .input(message(command).to_string())
                    .end()
            };
            let denied = call("cat .env").ends_with_code(2);
            assert_eq!(denied.stderr.trim_end(), told);
            call("ls src").ends_with_code(0);
            continue;
        };
        let answer = place.lictor(line.split(' ')).end().ends_with_code(0);
        match line {
            "doctor" => assert!(
                answer.stdout.contains("a write to the policy is blocked"),
                "{answer:?}"
            ),
            "ledger calls" => assert!(answer.stdout.contains("DENIED_BY_RULE"), "{answer:?}"),
            "run -- ls src" => assert_eq!(answer.stdout, "main.c\n"),
            _ => {}
        }
        count += 1;
    }
    assert_eq!(count, 6);
}
