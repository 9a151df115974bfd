//! `lictor audit claude`: each line that it prints passes the rule that it is printed for.

use crate::support::program::Place;

#[test]
fn rules_of_all_files_are_taken_together_and_each_finding_names_its_own() {
    let place = Place::new();
    place.lictor(["audit", "claude"]).end().ends_with_code(0);
    place.write(
        ".claude/settings.json",
        r#"{"permissions": {"deny": ["Bash(git push:*)", "Read(/etc/passwd)"], "allow": ["Bash(npm run test:*)"]}}"#,
    );
    let answer = place.lictor(["audit", "claude", "--format", "json"]).end();
    let answer = answer.ends_with_code(1).json();
    assert_eq!(answer["model_of"], "2.1.330");
    let found = answer["findings"].as_array().unwrap();
    let kinds: Vec<_> = found
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["passed", "never-matches", "allows-more"]);
    assert_eq!(found[0]["lines"][0], "git -C . push");
    assert_eq!(found[0]["nth"], 0);
    // A rule in another file shadows the one here.
    place.write(
        ".claude/settings.local.json",
        r#"{"permissions": {"deny": ["Bash"]}}"#,
    );
    let text = place
        .lictor(["audit", "claude"])
        .end()
        .ends_with_code(1)
        .stdout;
    assert!(
        text.contains("deny `Bash(git push:*)` has no effect: `Bash` in `deny`"),
        "{text}"
    );
    assert!(
        text.contains("allow `Bash(npm run test:*)` has no effect"),
        "{text}"
    );
}

#[test]
fn settings_that_are_not_understood_end_with_2() {
    let place = Place::new();
    place.write("bad.json", "{\"permissions\": {\"deny\": [\"Bash(rm\"]}}");
    place.write("worse.json", "{\n  \"permissions\": [}");
    for (file, why) in [
        ("bad.json", "`permissions.deny[0]` does not end in `)`"),
        ("worse.json", "line 2 column 19"),
        ("none.json", "there is no such file"),
    ] {
        let refused = place
            .lictor(["audit", "claude", file])
            .end()
            .ends_with_code(2);
        assert!(refused.stderr.contains(why), "{refused:?}");
    }
}
