//! A command line is about the directory that it is typed in: that is decided, recorded, and where the command starts.

use std::path::Path;

use crate::support::program::{Answer, Place};
use serde_json::{Value as Json, json};

const POLICY: &str = r#"version: 1
name: start
use: [lictor/coreutils@1]
tools:
  rm: {program: rm, actions: {run: {args: {path: {type: path, access: write, required: true, repeat: true}}}}}
  sh: {program: sh, actions: {run: {args: {script: {type: text, option: "-c", required: true, lines: true, join: space}}}}}
  files: {actions: {read: {args: {path: {type: path, required: true}}}}}
scopes: {all: "**", src: "src/**", docs: "docs/**"}
rules:
  - {id: work, allow: [rm.run, cat.run, ls.run, files.read], within: all}
  - {id: docs, allow: head.run, within: docs}
  - {id: named, allow: wc.run, within: {path: all}}
  - {id: shell, allow: sh.run}
"#;

fn place() -> Place {
    let place = Place::with_policy(POLICY);
    for directory in ["", "src/", "docs/", "src/deep/"] {
        place.write(&format!("{directory}a.py"), format!("{directory}a.py\n"));
        place.write(&format!("{directory}keep"), "");
    }
    place
}

fn from(place: &Place, directory: impl AsRef<Path>, words: &[&str]) -> Answer {
    let start = place.lictor(words);
    start.current_dir(place.work().join(directory)).end()
}

#[test]
fn a_line_is_about_the_directory_it_is_typed_in() {
    let place = place();
    let run = |directory: &str, argv: &[&str]| {
        from(&place, directory, &[&["run", "--"], argv].concat())
            .ends_with_code(0)
            .stdout
    };
    assert_eq!(run("src", &["cat", "a.py"]), "src/a.py\n");
    assert_eq!(run("src/deep", &["cat", "a.py"]), "src/deep/a.py\n");
    assert_eq!(run("", &["cat", "a.py"]), "a.py\n");
    assert_eq!(run("src", &["ls"]), "a.py\ndeep\nkeep\n");
    assert_eq!(run("src", &["rm", "keep"]), "");
    assert!(!place.work().join("src/keep").exists());
    assert!(place.work().join("keep").exists());
    let here = run("src/deep", &["sh", "-c", "pwd"]);
    assert!(here.ends_with("/work/src/deep\n"), "{here}");
    // From the top when that is said, and from where else is said.
    assert_eq!(run("src", &["sh", "-c", "cat a.py"]), "src/a.py\n");
    let other = |cwd: &str| {
        let words = ["run", "--cwd", cwd, "--", "cat", "a.py"];
        from(&place, "src", &words).ends_with_code(0).stdout
    };
    assert_eq!(other("."), "a.py\n");
    assert_eq!(other("docs"), "docs/a.py\n");
    // A file of the top is not the one that is meant.
    from(&place, "docs", &["run", "--", "cat", "src/a.py"]).ends_with_code(126);
}

#[test]
fn every_command_that_takes_a_request_decides_the_same_directory_and_records_it() {
    let place = place();
    let cwd = |answer: &Answer| {
        let json: Json = serde_json::from_str(&answer.stdout).unwrap();
        let decision = json.get("decision").unwrap_or(&json);
        let findings = decision["findings"].as_array().unwrap().clone();
        let cwd = findings.iter().find(|finding| finding["arg"] == "cwd");
        cwd.map_or(Json::Null, |finding| finding["path"].clone())
    };
    for command in ["check", "explain", "run"] {
        let words = ["--json", command, "--", "cat", "a.py"];
        assert_eq!(cwd(&from(&place, "src", &words)), "src", "{command}");
        assert_eq!(cwd(&from(&place, "", &words)), Json::Null, "{command}");
    }
    let named = [
        "--json",
        "check",
        "--tool",
        "files",
        "--action",
        "read",
        "--arg",
        "path=a.py",
    ];
    let answer = from(&place, "src", &named).ends_with_code(0).json();
    assert_eq!(answer["findings"][1]["canonical"], "src/a.py");
    let record = place.lictor(["--json", "ledger", "show"]).end();
    assert!(
        record.stdout.contains(r#""arg":"cwd","path":"src""#),
        "{record:?}"
    );
    // A line of a batch has no directory but the one that it names.
    let start = place
        .lictor(["check", "--batch"])
        .input(json!({"argv": ["cat", "a.py"]}).to_string() + "\n");
    let answer = start.current_dir(place.work().join("src")).end().json();
    assert_eq!(answer["findings"][0]["canonical"], "a.py");
}

#[test]
fn a_directory_that_no_rule_covers_is_denied_with_the_ways_out() {
    let place = place();
    for (line, rule) in [
        (&["check", "--", "head", "a.py"], "`docs/**`"),
        (&["check", "--", "wc", "a.py"], "names no scope for `cwd`"),
    ] {
        let answer = from(&place, "src", line).ends_with_code(1);
        for says in [
            "starting in `src` is outside",
            rule,
            "`--cwd .`",
            "within: {cwd: SCOPE}",
        ] {
            assert!(answer.stdout.contains(says), "{says}: {answer:?}");
        }
    }
    from(&place, "docs", &["check", "--", "head", "a.py"]).ends_with_code(0);
    from(&place, "", &["check", "--", "wc", "a.py"]).ends_with_code(0);
}

#[test]
fn the_real_directory_counts_and_outside_of_the_workspace_its_top() {
    let place = place();
    let links = place.root().join("links");
    std::os::unix::fs::symlink(place.work().join("src"), &links).unwrap();
    let policy = place.work().join("lictor.yaml");
    let words = [
        "--policy",
        policy.to_str().unwrap(),
        "run",
        "--",
        "cat",
        "a.py",
    ];
    assert_eq!(
        from(&place, &links, &words).ends_with_code(0).stdout,
        "src/a.py\n"
    );
    assert_eq!(from(&place, "/", &words).ends_with_code(0).stdout, "a.py\n");
    // Beside it, with a name that begins alike.
    let beside = place.root().join("workshop");
    std::fs::create_dir(&beside).unwrap();
    assert_eq!(
        from(&place, &beside, &words).ends_with_code(0).stdout,
        "a.py\n"
    );
}

#[test]
fn a_directory_that_is_gone_is_told() {
    let place = place();
    let policy = place.work().join("lictor.yaml");
    let script =
        "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" --policy \"$1\" check -- cat a.py";
    let start = place.lictor(["-"]);
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(start.command.get_program())
        .arg(&policy)
        .current_dir(place.work())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("the current directory cannot be read"),
        "{said}"
    );
}
