//! What the program itself writes because it was named: never through a link, over something, or where it guards; and
//! a line that somebody else completes names nothing of the kind.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::program::{Answer, Place};
use serde_json::Value as Json;

const POLICY: &str = r#"version: 1
name: written
tools:
  sh: {program: sh, actions: {run: {args: {script: {type: text, option: "-c", required: true, lines: true, join: space}}}}}
rules:
  - {id: shell, allow: sh.run}
"#;

fn place() -> Place {
    let place = Place::with_policy(POLICY);
    place.write(".git/hooks/sample", "");
    place.write("sub/a", "");
    place.write("script", "#!/bin/sh\n");
    place
}

fn run(place: &Place, outcome: &str, script: &str) -> Answer {
    place
        .lictor(["run", "--outcome", outcome, "--", "sh", "-c", script])
        .end()
}

fn denied(place: &Place, outcome: &str) -> Answer {
    place
        .lictor(["run", "--outcome", outcome, "--", "other", "$(touch pwned)"])
        .end()
}

fn json(path: PathBuf) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn an_outcome_is_written_to_a_new_file_an_empty_one_or_a_descriptor() {
    let place = place();
    run(&place, "out.json", "exit 3").ends_with_code(3);
    assert_eq!(
        json(place.work().join("out.json"))["evidence"]["exit_code"],
        3
    );
    denied(&place, "sub/denied.json").ends_with_code(126);
    let written = json(place.work().join("sub/denied.json"));
    assert_eq!(written["decision"]["effect"], "deny");
    place.write("empty", "");
    run(&place, "empty", "true").ends_with_code(0);
    assert_eq!(
        json(place.work().join("empty"))["evidence"]["status"],
        "PASS"
    );
    let answer = run(&place, "/dev/stdout", "true").ends_with_code(0);
    assert_eq!(answer.json()["evidence"]["exit_code"], 0);
    run(&place, "/dev/null", "true").ends_with_code(0);
}

/// The ledger, which holds one run.
fn recorded(place: &Place) -> std::path::PathBuf {
    place
        .lictor(["run", "--", "sh", "-c", "true"])
        .end()
        .ends_with_code(0);
    place.root().join("state/lictor/written")
}

#[test]
fn an_outcome_replaces_nothing_and_is_refused_before_anything_runs() {
    let place = place();
    let ledger = recorded(&place);
    symlink(".git/hooks/pre-commit", place.work().join("link")).unwrap();
    symlink(".git/hooks", place.work().join("way")).unwrap();
    let hook = place.write(".git/hooks/pre-push", "");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let before = std::fs::read(ledger.join("key")).unwrap();
    let key = ledger.join("key");
    let new = ledger.join("new");
    for (outcome, why) in [
        ("script", "there already"),
        ("lictor.yaml", "guards"),
        (".git/hooks/pre-commit", "protected"),
        (".git/hooks/pre-push", "protected"),
        ("link", "symbolic link"),
        ("way/pre-commit", "symbolic link"),
        (".mcp.json", "protected"),
        (key.to_str().unwrap(), "guards"),
        (new.to_str().unwrap(), "guards"),
        ("sub", "directory"),
        ("missing/out", "No such file"),
    ] {
        for answer in [run(&place, outcome, "touch ran"), denied(&place, outcome)] {
            assert_eq!(answer.code, Some(2), "{outcome}: {answer:?}");
            assert!(answer.stderr.contains(why), "{outcome}: {answer:?}");
        }
    }
    assert!(!place.work().join("ran").exists());
    assert!(!place.work().join(".git/hooks/pre-commit").exists());
    assert_eq!(std::fs::read(key).unwrap(), before);
    assert_eq!(
        std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap(),
        POLICY
    );
    let verify = place.lictor(["ledger", "verify"]).end().ends_with_code(0);
    assert!(verify.stdout.starts_with("SIGNED"), "{verify:?}");
}

#[test]
fn the_command_that_runs_can_neither_see_nor_redirect_its_outcome() {
    let place = place();
    // What it makes there itself stays, and the run says that its outcome is not written.
    let answer = run(&place, "out", "ls; echo theirs > out").ends_with_code(125);
    assert!(!answer.stdout.contains("out"), "{answer:?}");
    assert!(answer.stderr.contains("cannot be written"), "{answer:?}");
    assert_eq!(
        std::fs::read_to_string(place.work().join("out")).unwrap(),
        "theirs\n"
    );
    run(&place, "linked", "ln -s script linked").ends_with_code(125);
    run(
        &place,
        "sub/pre-commit",
        "mv sub moved; ln -s .git/hooks sub",
    )
    .ends_with_code(0);
    assert!(!place.work().join(".git/hooks/pre-commit").exists());
    assert!(place.work().join("moved/pre-commit").exists());
    // An empty file that it fills is no longer one.
    place.write("empty", "");
    run(&place, "empty", "echo theirs > empty").ends_with_code(125);
    let descriptors = run(&place, "late", "ls -l /proc/self/fd").ends_with_code(0);
    assert!(!descriptors.stdout.contains("late"), "{descriptors:?}");
}

#[test]
fn what_is_kept_of_the_record_replaces_nothing_either() {
    let place = place();
    let ledger = recorded(&place);
    let inside = ledger.join("mine").display().to_string();
    let call = |line: &str| place.lictor(line.split(' ')).end();
    for line in [
        "ledger anchor --out FILE",
        "ledger prove 1 --out FILE",
        "ledger prove 1 --entry FILE",
        "ledger export --format jsonl FILE",
        "ledger export --format ocsf FILE",
    ] {
        for (file, why) in [
            ("script", "there already"),
            (".git/hooks/post-commit", "protected"),
            (inside.as_str(), "guards"),
        ] {
            let answer = call(&line.replace("FILE", file)).ends_with_code(2);
            assert!(answer.stderr.contains(why), "{line} {file}: {answer:?}");
        }
        let new = format!("new{}", line.len());
        call(&line.replace("FILE", &new)).ends_with_code(0);
        assert!(std::fs::metadata(place.work().join(&new)).unwrap().len() > 0);
    }
    // A state is made anew by each verification, and by nothing else.
    call("ledger verify --since kept").ends_with_code(0);
    call("ledger verify --since kept").ends_with_code(0);
    assert_eq!(call("ledger verify --since script").code, Some(2));
    assert_eq!(
        std::fs::read_to_string(place.work().join("script")).unwrap(),
        "#!/bin/sh\n"
    );
}

#[test]
fn a_fix_follows_no_link() {
    let place = place();
    place.write("real.yaml", POLICY);
    symlink("real.yaml", place.work().join("link.yaml")).unwrap();
    let line = ["test", "--generate", "--write", "link.yaml"];
    let answer = place.lictor(line).end();
    let after = std::fs::read_to_string(place.work().join("real.yaml")).unwrap();
    assert_eq!(after, POLICY, "{answer:?}");
}

fn sealed(place: &Place, prefix: &[&str], end: &[&str]) -> Answer {
    let policy = place.work().join("lictor.yaml").display().to_string();
    let words = ["--policy", &policy]
        .into_iter()
        .chain(prefix.iter().copied());
    place.lictor(words.chain(end.iter().copied())).end()
}

#[test]
fn a_sealed_line_names_no_policy_ledger_actor_grant_or_file_to_write() {
    let place = place();
    place.write("evil.yaml", POLICY);
    let prefix = ["--actor", "bot", "--sealed"];
    let sh = ["--", "sh", "-c", "true"];
    for allowed in [
        &["run"][..],
        &["run", "--json", "--cwd", "sub"],
        &["check", "--on-disk"],
        &["explain"],
    ] {
        let answer = sealed(&place, &prefix, &[allowed, &sh].concat());
        assert_eq!(answer.code, Some(0), "{allowed:?}: {answer:?}");
    }
    sealed(&place, &prefix, &["list"]).ends_with_code(0);
    let json = sealed(
        &place,
        &prefix,
        &["--json", "check", "--", "sh", "-c", "--policy=x"],
    );
    assert_eq!(json.json()["request"]["actor"], "bot");
    for refused in [
        &["run", "--policy", "evil.yaml"][..],
        &["run", "--policy=evil.yaml"],
        &["--policy=evil.yaml", "run"],
        &["run", "--ledger", "mine"],
        &["run", "--actor=person"],
        &["check", "--actor", "person"],
        &["run", "--outcome", "out"],
        &["run", "--outcome=out"],
        &["run", "--grant", "grant"],
        &["--sealed", "run"],
        &["approve", "--why", "x"],
        &["run", "--unknown"],
    ] {
        let answer = sealed(&place, &prefix, &[refused, &sh].concat());
        assert_eq!(answer.code, Some(2), "{refused:?}: {answer:?}");
        assert_eq!(answer.stdout, "", "{refused:?}");
    }
    for refused in [
        &["ledger", "show"][..],
        &["lint", "--fix"],
        &["test", "--generate", "--write"],
        &["revoke", "--why", "x", "id"],
        &["refuse", "--why", "x", "id"],
        &["approvals", "--watch"],
        &["ledger", "key", "rotate"],
    ] {
        let answer = sealed(&place, &prefix, refused).ends_with_code(2);
        assert!(answer.stderr.contains("only the commands"), "{answer:?}");
    }
    assert!(!place.work().join("out").exists() && !place.work().join("mine").exists());
    // Behind the command it would seal what stands there already, which nobody could tell.
    sealed(&place, &["run", "--sealed"], &sh).ends_with_code(2);
    // A policy that is found would depend on the directory.
    let found = place
        .lictor(["--sealed", "run", "--", "sh", "-c", "true"])
        .end();
    let found = found.ends_with_code(2);
    assert!(found.stderr.contains("names its policy"), "{found:?}");
    let elsewhere = |policy: &Path| {
        let policy = policy.display().to_string();
        place
            .lictor([
                "--sealed", "run", "--policy", &policy, "--", "sh", "-c", "true",
            ])
            .end()
    };
    elsewhere(&place.work().join("lictor.yaml")).ends_with_code(2);
}
