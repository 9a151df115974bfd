//! `lictor doctor` calls the hooks that agents' settings name, and tells what keeps them from holding.

use serde_json::Value as Json;

use crate::support::program::Place;

const AGENTS: [&str; 7] = [
    "claude-code",
    "codex",
    "gemini",
    "agy",
    "cursor",
    "copilot",
    "opencode",
];

fn hooks(place: &Place) -> Vec<Json> {
    let answer = place
        .lictor(["doctor", "--json"])
        .end()
        .ends_with_code(0)
        .json();
    answer["hooks"].as_array().unwrap().clone()
}

#[track_caller]
fn problem(place: &Place) -> String {
    let found = hooks(place);
    let problems = found[0]["problems"].as_array().unwrap();
    assert!(!problems.is_empty(), "{found:?}");
    problems[0].as_str().unwrap().to_owned()
}

fn installed(agent: &str) -> Place {
    let place = Place::new();
    place
        .lictor(["init", "--agent", agent])
        .end()
        .ends_with_code(0);
    place
}

#[test]
fn each_hook_that_init_writes_blocks_lets_through_and_is_recorded() {
    for agent in AGENTS {
        let place = installed(agent);
        let found = hooks(&place);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["agent"], agent);
        assert_eq!(found[0]["problems"], Json::Array(Vec::new()), "{found:?}");
        let tried = found[0]["tried"].to_string();
        assert!(
            tried.contains("is blocked, in ") && tried.contains("`ls` is let through"),
            "{tried}"
        );
        let calls = place
            .lictor(["ledger", "calls", "--json"])
            .end()
            .json_lines();
        assert_eq!(calls.len(), 2, "{agent}");
        let text = place.lictor(["doctor"]).end().ends_with_code(0).stdout;
        assert!(
            text.contains("agents that call lictor:") && text.contains("not known: "),
            "{text}"
        );
    }
    assert!(hooks(&Place::new()).is_empty());
}

#[test]
fn what_keeps_a_hook_from_holding_is_told() {
    let changed = |from: &str, to: &str| {
        let place = installed("claude-code");
        let file = place.work().join(".claude/settings.json");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        place
    };
    for (from, to, why) in [
        (
            "\"onFailure\": \"block\"",
            "\"onFailure\": \"continue\"",
            "lacks `\"onFailure\"",
        ),
        (
            "\"matcher\": \"*\"",
            "\"matcher\": \"Bash\"",
            "match \"Bash\" only",
        ),
        (
            "PostToolUse\"",
            "PostToolUsage\"",
            "event `PostToolUse` calls no hook",
        ),
        (
            "{\n  \"hooks\"",
            "{\n  \"disableAllHooks\" : true,\n  \"hooks\"",
            "switches hooks off",
        ),
        (
            "\"hook\",",
            "\"hook\", \"--observe\",",
            "nothing is blocked",
        ),
        ("lictor.yaml\"", "none.yaml\"", "the policy cannot be used"),
        ("\"--policy\"", "\"--actor\"", "no policy is named"),
        (
            "{\n  \"hooks\"",
            "{\n  // mine\n  \"hooks\"",
            "line 2 column 3",
        ),
        (
            "\"timeout\": 10,\n            \"onFailure\"",
            "\"async\": true,\n            \"onFailure\"",
            "does not hold back",
        ),
    ] {
        let found = problem(&changed(from, to));
        assert!(found.contains(why), "{to}: {found}");
    }
}

#[test]
fn no_other_program_is_called_whatever_settings_name() {
    let place = installed("claude-code");
    let other = place.write("lictor", "#!/bin/sh\ntouch called\n");
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let file = place.work().join(".claude/settings.json");
    let settings: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let own = settings["hooks"]["PreToolUse"][0]["hooks"][0]["command"]
        .as_str()
        .unwrap();
    for (program, why) in [
        (other.to_str().unwrap(), "another program than this one"),
        ("lictor", "absolute path"),
        ("/nowhere/lictor", "cannot be found"),
    ] {
        std::fs::write(&file, settings.to_string().replace(own, program)).unwrap();
        let found = problem(&place);
        assert!(found.contains(why), "{found}");
    }
    assert!(!place.work().join("called").exists());
    assert!(!place.root().join("called").exists());
}
