//! Where the ledger lies that no policy names a place for, and what is said about places that cannot be used.

use crate::support::need;
use std::process::Command;

use crate::support::program::{Answer, Place};

const POLICY: &str = r#"version: 1
name: place
use: [lictor/coreutils@1]
scopes: {all: "**"}
rules: [{id: look, allow: ls.run, within: all}]
"#;

/// The answer of `lictor doctor` where these variables are all that is set beside `PATH`.
fn doctor(place: &Place, variables: &[(&str, &str)]) -> serde_json::Value {
    let mut start = place.lictor(["--json", "doctor"]);
    start
        .command
        .env_remove("HOME")
        .env_remove("XDG_STATE_HOME");
    for (name, value) in variables {
        start = start.env(name, value);
    }
    start
        .end()
        .ends_with_code(0)
        .json()
        .get("ledger")
        .unwrap()
        .clone()
}

/// This user's home by the user database, if it is there.
fn home() -> Option<String> {
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.split(':').nth(2) == Some(user.trim()))?;
    let home = line.split(':').nth(5)?.to_owned();
    std::path::Path::new(&home).is_dir().then_some(home)
}

#[test]
fn a_job_without_home_has_the_place_that_its_user_has_at_a_terminal() {
    let place = Place::with_policy(POLICY);
    let (expected, from) = match home() {
        Some(home) => (
            format!("{home}/.local/state/lictor/place"),
            "the user database",
        ),
        None => ("/var/lib/lictor/place".to_owned(), "the built-in default"),
    };
    for variables in [
        &[][..],
        &[("HOME", "")],
        &[("HOME", "relative"), ("XDG_STATE_HOME", "relative")],
    ] {
        let found = doctor(&place, variables);
        assert_eq!(found["path"], expected, "{variables:?}");
        assert!(found["from"].as_str().unwrap().starts_with(from), "{found}");
    }
    let found = doctor(&place, &[("HOME", "/h"), ("XDG_STATE_HOME", "relative")]);
    assert_eq!(
        (&found["path"], &found["from"]),
        (&"/h/.local/state/lictor/place".into(), &"$HOME".into())
    );
    let found = doctor(&place, &[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]);
    assert_eq!(
        (&found["path"], &found["from"]),
        (&"/s/lictor/place".into(), &"$XDG_STATE_HOME".into())
    );
}

#[test]
fn a_place_that_cannot_be_used_is_named_with_where_it_comes_from() {
    let place = Place::with_policy(POLICY);
    let file = place.write("file", "");
    for (variable, below) in [("XDG_STATE_HOME", ""), ("HOME", "/.local/state")] {
        let mut start = place.lictor(["run", "--", "ls"]);
        start.command.env_remove("XDG_STATE_HOME");
        let answer = start.env(variable, &file).end().ends_with_code(126);
        let named = format!("{}{below}/lictor/place", file.display());
        for part in [
            &named,
            "LEDGER_UNAVAILABLE",
            &format!("comes from ${variable}"),
            "--ledger DIR",
        ] {
            assert!(answer.stderr.contains(part), "{part}: {answer:?}");
        }
    }
}

#[test]
fn doctor_says_of_a_ledger_in_reach_of_the_rules_what_a_run_says() {
    let place = Place::with_policy(POLICY);
    let doctor = |ledger: &str| {
        place
            .lictor(["--ledger", ledger, "doctor"])
            .end()
            .ends_with_code(0)
            .stdout
    };
    let run = |ledger: &str| place.lictor(["--ledger", ledger, "run", "--", "ls"]).end();
    let says = |answer: &Answer| answer.stderr.contains("LEDGER_UNAVAILABLE");
    assert!(says(&run("inside").ends_with_code(126)));
    assert!(doctor("inside").contains("outside of the workspace"));
    assert!(!says(&run("../outside").ends_with_code(0)));
    assert!(!doctor("../outside").contains("outside of the workspace"));
}

#[test]
fn a_disk_without_space_is_told_with_what_is_needed_and_where() {
    let place = Place::with_policy(POLICY);
    let full = place.root().join("full");
    std::fs::create_dir(&full).unwrap();
    let script = r#"mount -t tmpfs -o size=64k none "$1" || exit 77; shift; exec "$@""#;
    let start = place.lictor(["--ledger", "../full/ledger", "run", "--", "ls"]);
    let program = start.command.get_program().to_owned();
    let arguments: Vec<_> = start.command.get_args().map(ToOwned::to_owned).collect();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&full)
        .arg(program)
        .args(arguments)
        .current_dir(place.work())
        .env("HOME", place.root())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    if output.status.code() != Some(126) || !text.contains("LEDGER") {
        assert!(!text.contains("LEDGER"), "{text}");
        return need::lacks("mounts", text);
    }
    for part in [
        "LEDGER_NO_SPACE",
        "256 KiB have to be free",
        "full/ledger`",
        "--ledger DIR",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
