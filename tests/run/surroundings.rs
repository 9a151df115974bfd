//! Surroundings that change what lictor and its commands see of the machine: user namespaces, users without an
//! entry, no terminal. Programs work there as they do without lictor, or the answer says what to do.

use crate::support::need;
use crate::support::ordinary;
use crate::support::program;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::Place;

const POLICY: &str = "version: 1
name: surroundings
tools:
  sh: {program: sh, actions: {c: {args: {script: {type: text, option: \"-c\", lines: true, join: space, required: true}}}}}
  own: {program: ROOT/bin/own, actions: {run: {}}}
rules:
  - {id: all, allow: \"*\", limits: {timeout: 20s}}
";

fn place() -> Place {
    let place = Place::new();
    place.write(
        "lictor.yaml",
        POLICY.replace("ROOT", place.root().to_str().unwrap()),
    );
    let own = place.root().join("bin/own");
    std::fs::create_dir(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "#!/bin/sh\necho own\n").unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn lictor() -> PathBuf {
    std::env::var_os(program::PROGRAM)
        .map_or_else(|| env!("CARGO_BIN_EXE_lictor").into(), PathBuf::from)
}

/// Standard output and error of `lictor run --`, below `outer`, which starts what follows it.
fn run_below(place: &Place, outer: &[&str], words: &[&str]) -> (String, String) {
    let mut command = Command::new(outer.first().copied().unwrap_or("env"));
    command
        .args(outer.get(1..).unwrap_or_default())
        .arg(lictor())
        .args(["run", "--"])
        .args(words)
        .current_dir(place.work())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", place.root())
        .env("XDG_STATE_HOME", place.root().join("state"));
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn a_workspace_that_is_moved_away_during_a_run_is_told() {
    let place = place();
    let away = place.root().join("away");
    let events = |script: &str| {
        let answer = place
            .lictor(["--json", "run", "--", "sh", "-c", script])
            .end();
        let answer = answer.ends_with_code(0).json();
        answer["evidence"].to_string().contains("WORKSPACE_MOVED")
    };
    assert!(!events("true"));
    let script = format!("mv '{}' '{}'", place.work().display(), away.display());
    assert!(events(&script));
    std::fs::rename(away, place.work()).unwrap();
}

/// User namespaces in which only this user has an id.
const NAMESPACES: [&[&str]; 3] = [
    &["unshare", "-Ur"],
    &[
        "bwrap",
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-user",
    ],
    &[
        "bwrap",
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-all",
    ],
];

fn works(outer: &[&str]) -> bool {
    let (program, words) = outer.split_first().unwrap();
    let works = Command::new(program).args(words).arg("true").output();
    let works = works.is_ok_and(|output| output.status.success());
    if !works {
        need::lacks("unshare", outer.join(" "));
    }
    works
}

#[test]
fn a_run_works_in_a_user_namespace_without_root() {
    for outer in NAMESPACES.into_iter().filter(|outer| works(outer)) {
        let place = place();
        let (out, err) = run_below(&place, outer, &["sh", "-c", "echo ran"]);
        assert_eq!(out, "ran\n", "{outer:?}: {err}");
        let own = place.root().join("bin/own");
        let (out, err) = run_below(&place, outer, &[own.to_str().unwrap()]);
        assert_eq!(out, "own\n", "{outer:?}: {err}");
    }
}

#[test]
fn a_program_of_a_hidden_owner_is_refused_with_the_way_out() {
    if !need::root("giving files to another user") {
        return;
    }
    for outer in NAMESPACES.into_iter().filter(|outer| works(outer)) {
        let place = place();
        let own = place.root().join("bin/own");
        chown(&own, Some(4242), None).unwrap();
        let (out, err) = run_below(&place, outer, &[own.to_str().unwrap()]);
        assert_eq!(out, "", "{outer:?}");
        assert!(err.contains("PROGRAM_NOT_TRUSTED"), "{outer:?}: {err}");
        assert!(err.contains("run lictor outside"), "{outer:?}: {err}");
    }
}

#[test]
fn where_everybody_is_hidden_nothing_counts_as_this_users() {
    let place = place();
    // Root tries it in its second run, as an ordinary user.
    if need::is_root() || !works(&["unshare", "-U"]) {
        return;
    }
    let (out, err) = run_below(&place, &["unshare", "-U"], &["sh", "-c", "echo ran"]);
    assert_eq!(out, "");
    assert!(err.contains("run lictor outside"), "{err}");
}

#[test]
fn doctor_says_that_git_cannot_replace_the_policy_that_it_tracks() {
    let place = place();
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.args(words).current_dir(place.work());
        assert!(
            command
                .env("HOME", place.root())
                .status()
                .unwrap()
                .success()
        );
    };
    let advice = || place.lictor(["doctor"]).end().stdout;
    git(&["init", "-q"]);
    assert!(!advice().contains("git tracks"));
    git(&["add", "lictor.yaml"]);
    assert!(advice().contains("git tracks"), "{}", advice());
}

#[test]
fn programs_that_ask_for_the_terminal_are_told_that_it_can_do_nothing() {
    let (out, err) = run_below(&place(), &[], &["sh", "-c", "echo \"$TERM\""]);
    assert_eq!(out, "dumb\n", "{err}");
}

/// Words that start others as a user who has no entry, in the place that is given to that user.
fn without_entry(place: &Place) -> Option<Vec<&'static str>> {
    const USER: u32 = 4242;
    if !need::root("becoming another user") {
        return None;
    }
    let give = |path: &Path| chown(path, Some(USER), Some(USER)).unwrap();
    for path in ["", "work", "work/lictor.yaml", "state", "bin", "bin/own"] {
        give(&place.root().join(path));
    }
    Some(vec![
        "setpriv",
        "--reuid=4242",
        "--regid=4242",
        "--clear-groups",
    ])
}

#[test]
fn a_user_without_an_entry_is_at_home_where_the_caller_says_if_nobody_else_can_write_there() {
    let place = place();
    let Some(outer) = without_entry(&place) else {
        return;
    };
    let copy = place.root().join("lictor");
    std::fs::copy(lictor(), &copy).unwrap();
    let run = |home: &Path| {
        let mut command = Command::new("setpriv");
        command
            .args(&outer[1..])
            .arg(&copy)
            .args(["run", "--", "sh", "-c", "echo \"$HOME\""])
            .current_dir(place.work())
            .env_clear()
            .env("HOME", home)
            .env("XDG_STATE_HOME", place.root().join("state"));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let home = place.root().display().to_string();
    assert_eq!(run(place.root()), format!("{home}\n"));
    assert_eq!(run(Path::new("relative")), "/\n");
    assert_eq!(run(&place.root().join("nothing")), "/\n");
    let open = place.root().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(run(&open), "/\n");
}

#[test]
fn ssh_reads_the_configuration_of_the_machine_where_root_has_no_id() {
    let outer = ["unshare", "-m"];
    if !need::root("mounts of its own") || !works(&outer) {
        return;
    }
    if !Path::new("/etc/ssh/ssh_config.d").is_dir() {
        return need::lacks("ssh", "there is no /etc/ssh/ssh_config.d");
    }
    let place = place();
    for path in ["", "work", "work/lictor.yaml", "state"] {
        chown(place.root().join(path), Some(1001), Some(1001)).unwrap();
    }
    let copy = place.root().join("lictor");
    std::fs::copy(lictor(), &copy).unwrap();
    // Root's files, one behind the other and behind a link, as Fedora has them.
    let script = "set -e
        mount -t tmpfs none /etc/ssh/ssh_config.d
        printf 'Host *\\n  Port 2201\\nInclude /etc/ssh/ssh_config.d/deep/link\\n' > /etc/ssh/ssh_config.d/20-x.conf
        mkdir /etc/ssh/ssh_config.d/deep
        printf 'Host *\\n  User somebody\\n' > /etc/ssh/ssh_config.d/deep/real
        ln -s real /etc/ssh/ssh_config.d/deep/link
        { cat /etc/passwd; echo 'lictor-test:x:1001:1001::/tmp:/bin/sh'; } > /etc/ssh/ssh_config.d/deep/passwd
        mount --bind /etc/ssh/ssh_config.d/deep/passwd /etc/passwd
        exec setpriv --reuid=1001 --regid=1001 --clear-groups \"$@\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(&copy)
        .args(["run", "--", "sh", "-c"])
        .arg("ssh -G host | grep -E '^(port|user) '; echo x >/etc/ssh/ssh_config.d/20-x.conf || echo read-only")
        .current_dir(place.work())
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", place.root())
        .env("XDG_STATE_HOME", place.root().join("state"))
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<&str> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["port 2201", "read-only", "user somebody"], "{err}");
}

#[test]
fn all_of_it_as_an_ordinary_user() {
    ordinary::again(module_path!(), &[]);
}
