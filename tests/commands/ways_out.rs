//! Findings and denials say what to do, and what one command counts or promises, a run then does.

use serde_json::Value as Json;

use crate::support::program::Place;

fn place(policy: &str) -> Place {
    let place = Place::with_policy(&format!("version: 1\nname: ways-out\n{policy}"));
    for name in ["docs/a.md", "secrets/key.txt", "tests/test_a.py"] {
        place.write(name, "");
    }
    place
}

#[track_caller]
fn denied(place: &Place, directory: &str, line: &[&str], reason: &str, instead: &str) {
    let words = [&["--json", "check", "--"], line].concat();
    let start = place.lictor(words);
    let answer = start.current_dir(place.work().join(directory)).end().json();
    let text = |key| answer.get(key).and_then(Json::as_str).unwrap_or("");
    assert_eq!(
        (text("reason"), text("instead")),
        (reason, instead),
        "{answer}"
    );
}

#[test]
fn a_missing_argument_is_named_with_how_it_is_given() {
    let place = place(
        "use: lictor/git@1
tools:
  say: {program: echo, actions: {say: {args: {what: {type: text, option: [\"--message\", \"-m\"], required: true}}}}}
  pytest: {extends: lictor/pytest@1, actions: {run: {args: {target: {type: path, syntax: pytest, tree: all, required: true, repeat: true}}}}}
scopes: {tests: \"tests/**\", all: \"**\"}
rules:
  - {id: say, allow: say.say}
  - {id: tests, allow: pytest.run, within: tests}
  - {id: work, allow: [git.rm, git.commit], within: all}
",
    );
    let required = "ARGUMENT_REQUIRED";
    let tests = "name it: the policy allows `tests/**`";
    let here = "; `.` is the directory that the line starts in";
    for line in [
        &["pytest"][..],
        &["pytest", "-v"],
        &["python", "-m", "pytest"],
    ] {
        denied(&place, "", line, required, tests);
        denied(&place, "tests", line, required, &format!("{tests}{here}"));
        denied(&place, "docs", line, required, tests);
    }
    let all = format!("name it: the policy allows `**`{here}");
    denied(&place, "", &["git", "rm"], required, &all);
    denied(&place, "docs", &["git", "rm"], required, &all);
    denied(
        &place,
        "",
        &["echo"],
        required,
        "give it with `--message` or `-m`",
    );
    // Nothing is named where nothing is allowed.
    denied(&place, "", &["git", "mv"], required, "");
}

#[test]
fn a_lone_dot_that_the_policy_refuses_is_told_with_the_key() {
    let place = place(
        "use: lictor/pytest@1
paths: {dot: deny}
scopes: {all: \"**\"}
rules: [{id: tests, allow: pytest.run, within: all}]
",
    );
    let key = "the policy says `paths: {dot: deny}`: name the directory; without `dot`, `.` is the one that the line starts in";
    for (path, instead) in [
        (".", key),
        ("./", key),
        ("./tests", "write `tests`"),
        ("tests/.", "write `tests`"),
        ("..", ""),
    ] {
        denied(
            &place,
            "",
            &["pytest", path],
            "PATH_TRAVERSAL_DENIED",
            instead,
        );
    }
}

/// The findings of lint, as code, level and help.
fn found(policy: &str) -> Vec<[String; 3]> {
    let findings = place(policy).lictor(["lint", "--json"]).end().json();
    let text = |found: &Json, key: &str| found[key].as_str().unwrap_or("").to_owned();
    let one = |found: &Json| ["code", "level", "help"].map(|key| text(found, key));
    findings.as_array().unwrap().iter().map(one).collect()
}

#[track_caller]
fn finds(policy: &str, code: &str, level: &str, help: &str) {
    let all = found(policy);
    let is_it =
        |found: &&[String; 3]| found[0] == code && found[1] == level && found[2].contains(help);
    assert!(
        all.iter().any(|found| is_it(&found)),
        "{code} {level} {help}: {all:#?}"
    );
}

#[test]
fn lint_knows_the_names_of_the_workspace_in_another_case_in_exclusions_and_in_denies() {
    let policy = |scopes: &str, rules: &str| {
        format!(
            "use: lictor/files@1\nscopes: {{{scopes}}}\nrules:\n  - {{id: read, allow: filesystem.read_file, within: docs, for: [robot]}}\n{rules}"
        )
    };
    finds(
        &policy("docs: \"Docs/**\"", ""),
        "G117",
        "warning",
        "did you mean `docs/**`?",
    );
    finds(
        &policy("docs: \"dosc/**\"", ""),
        "G117",
        "warning",
        "did you mean `docs/**`?",
    );
    let excluded = policy("docs: {include: \"**\", exclude: [secrets]}", "");
    finds(&excluded, "G108", "warning", "write `secrets/**`");
    let deny = |scope: &str, more: &str| {
        let scopes = format!("docs: \"docs/**\", closed: \"{scope}\"");
        policy(
            &scopes,
            &format!("  - {{id: closed, deny: \"*\", touching: closed{more}}}\n"),
        )
    };
    // A deny that keeps nothing out is misspelt where something like it is there, else a precaution.
    finds(
        &deny("secrts/**", ""),
        "L202",
        "warning",
        "did you mean `secrets/**`?",
    );
    finds(
        &deny("Secrets/**", ""),
        "L202",
        "warning",
        "did you mean `secrets/**`?",
    );
    finds(
        &deny("docs/**", ", for: [robt]"),
        "L202",
        "warning",
        "did you mean `robot`?",
    );
    finds(&deny("secrets/**", ""), "L202", "info", "");
    finds(&deny("elsewhere/**", ""), "L202", "info", "");
    finds(
        &deny("docs/**", ", for: [somebody-else]"),
        "L202",
        "info",
        "",
    );
}

#[test]
fn suggest_counts_what_the_machine_denied_apart() {
    let place = place(
        "use: lictor/coreutils@1
scopes: {docs: \"docs/**\"}
rules: [{id: read, allow: [cat.run, wc.run], within: docs}]
",
    );
    let run = |line: &[&str]| {
        place
            .lictor([&["run", "--"], line].concat())
            .end()
            .ends_with_code(126)
    };
    run(&["cat", "docs/absent"]);
    run(&["wc", "docs/absent"]);
    run(&["head", "docs/a.md"]);
    let suggested = place
        .lictor(["--json", "suggest"])
        .end()
        .ends_with_code(0)
        .json();
    assert_eq!(suggested["left"]["PATH_NOT_FOUND"], 2, "{suggested}");
    assert_eq!(
        suggested["suggestions"].as_array().unwrap().len(),
        1,
        "{suggested}"
    );
    let text = place.lictor(["suggest"]).end().ends_with_code(0).stderr;
    assert!(
        text.contains("PATH_NOT_FOUND") && text.contains('2'),
        "{text}"
    );
}

#[test]
fn doctor_promises_only_the_limits_that_a_run_then_gets() {
    let values = [
        ("processes", "100"),
        ("memory", "1GiB"),
        ("cpu", "60s"),
        ("open_files", "64"),
        ("file_size", "1GiB"),
    ];
    let doctor = place("rules: []\n")
        .lictor(["--json", "doctor"])
        .end()
        .ends_with_code(0)
        .json();
    for (limit, value) in values {
        let place = place(&format!(
            "use: lictor/coreutils@1\nscopes: {{docs: \"docs/**\"}}\nrules: [{{id: read, allow: cat.run, within: docs, limits: {{{limit}: {value}}}}}]\n"
        ));
        let answer = place
            .lictor(["--json", "run", "--", "cat", "docs/a.md"])
            .end();
        let promised = doctor["limits"].as_array().unwrap().contains(&limit.into());
        let refused = doctor["limits_refused"]
            .as_array()
            .unwrap()
            .iter()
            .any(|refused| refused["limit"] == limit);
        assert_ne!(promised, refused, "{limit} {doctor}");
        let reason = answer.json()["decision"]["reason"].clone();
        match promised {
            true => assert_eq!((answer.code, reason), (Some(0), Json::Null), "{limit}"),
            false => assert_eq!(
                (answer.code, reason),
                (Some(126), "LIMIT_NOT_ENFORCEABLE".into()),
                "{limit}"
            ),
        }
    }
}
