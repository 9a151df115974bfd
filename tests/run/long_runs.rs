//! Long runs: started by name, ended by their lease, by `stop` or with their owner, and nothing of them is left then.
//!
//! What is left is seen by a pipe with a name: each process of a run has it open for writing, so its end is read when the
//! last of them is gone, whatever session it is in. Root runs everything a second time as an ordinary user.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::program::{Answer, Place};
use crate::support::{need, ordinary};
use serde_json::Value as Json;

/// Every script may run, for 20 s, and for an hour as a long run.
const POLICY: &str = r#"version: 1
name: long
tools:
  sh: {program: /bin/sh, actions: {run: {args: {file: {type: path, required: true, access: read}}}}}
  python3: {program: /usr/bin/python3, actions: {run: {args: {file: {type: path, required: true, access: read}}}}}
  cat: {program: /bin/cat, actions: {run: {args: {file: {type: path, required: true, access: read}}}}}
  no-such-program: {program: /usr/bin/no-such-program, actions: {run: {}}}
scopes: {all: ["**"], short: ["short/**"]}
rules:
  - {id: r, allow: [sh.run, python3.run, no-such-program.run], within: all, limits: {timeout: 20s, lease: 1h, grace: 300ms}}
  - {id: c, allow: cat.run, within: short, limits: {timeout: 5s, grace: 300ms}}
defaults: {program_path: [/usr/bin, /bin]}
"#;

/// Processes in sessions of their own, one that ignores what asks it to end, and one that is its child.
const TREE: &str = r#"exec 3>alive
setsid sh -c 'trap "" TERM; while :; do sleep 1000; done' &
setsid setsid sleep 1000 &
echo up
wait
"#;

fn place() -> Place {
    let place = Place::with_policy(POLICY);
    place.write("tree", TREE);
    let made = Command::new("mkfifo")
        .arg(place.work().join("alive"))
        .status();
    assert!(made.unwrap().success());
    place
}

fn lictor(place: &Place, words: &[&str]) -> Answer {
    place.lictor(words).end()
}

/// Starts `words` as `web`, to end with this test at the latest. That the answer has an end shows that the run holds
/// nothing of its starter's.
#[track_caller]
fn start(place: &Place, words: &[&str]) -> Json {
    let own = std::process::id().to_string();
    let mut line = vec!["--json", "start", "--name", "web"];
    if !words.contains(&"--owner-pid") {
        line.extend(["--owner-pid", &own]);
    }
    line.extend(words);
    lictor(place, &line).ends_with_code(0).json()
}

/// The end by which the processes of a run are seen. Opened before there are any, it waits for nobody.
fn alive(place: &Place) -> File {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut options = File::options();
    options.read(true).custom_flags(flags);
    options.open(place.work().join("alive")).unwrap()
}

/// Returns true if a process has it open.
fn is_alive(mut alive: &File) -> bool {
    match alive.read(&mut [0]) {
        Ok(0) => false,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => true,
        other => panic!("{other:?}"),
    }
}

/// Starts the tree, and returns when it is there.
fn start_tree(place: &Place, options: &[&str]) -> (Json, File) {
    let started = start(place, &[options, &["--", "sh", "tree"]].concat());
    let alive = alive(place);
    while !is_alive(&alive) {}
    (started, alive)
}

fn wait_for_end(alive: &File) {
    while is_alive(alive) {}
}

#[track_caller]
fn stop(place: &Place) -> Json {
    lictor(place, &["--json", "stop", "web"])
        .ends_with_code(0)
        .json()
}

/// What is on record, of this type.
fn recorded(place: &Place, kind: &str) -> Vec<Json> {
    let show = lictor(place, &["ledger", "show", "--json"]);
    let entries = show.json_lines().into_iter();
    entries.filter(|entry| entry["type"] == kind).collect()
}

/// `logs -f`, and its output.
fn follow(place: &Place) -> (Child, BufReader<ChildStdout>) {
    let mut follow = place.lictor(["logs", "-f", "web"]).command.spawn().unwrap();
    let out = BufReader::new(follow.stdout.take().unwrap());
    (follow, out)
}

fn events(found: &Json) -> Vec<&str> {
    let events = found["ended"]["events"].as_array().unwrap().iter();
    events
        .map(|event| event["what"].as_str().unwrap())
        .collect()
}

#[test]
fn a_lease_ends_the_whole_tree_and_the_record_says_so() {
    let place = place();
    let started = start(&place, &["--lease", "1s", "--", "sh", "tree"]);
    assert_eq!(
        (&started["lease_ms"], &started["ended"]),
        (&Json::from(1000), &Json::Null)
    );
    let alive = alive(&place);
    let (mut follow, mut out) = follow(&place);
    out.read_to_end(&mut Vec::new()).unwrap();
    follow.wait().unwrap();
    assert!(!is_alive(&alive));
    let stopped = stop(&place);
    assert_eq!(
        (&stopped["state"], &stopped["ended"]["recorded"]),
        (&"TIMEOUT".into(), &true.into())
    );
    let starts = recorded(&place, "start");
    let outcomes = recorded(&place, "outcome");
    assert_eq!((starts.len(), outcomes.len()), (1, 1));
    assert_eq!(
        (&starts[0]["name"], &starts[0]["run"]),
        (&"web".into(), &started["run"])
    );
    assert_eq!(starts[0]["limits"]["timeout_ms"], 1000);
    assert_eq!(
        (&outcomes[0]["status"], &outcomes[0]["run"]),
        (&"TIMEOUT".into(), &started["run"])
    );
    lictor(&place, &["ledger", "verify"]).ends_with_code(0);
}

#[test]
fn stop_ends_a_run_waits_for_the_record_and_can_be_said_again() {
    let place = place();
    let (_, alive) = start_tree(&place, &[]);
    let list = lictor(&place, &["--json", "list-runs"])
        .ends_with_code(0)
        .json();
    assert_eq!(list["runs"][0]["state"], "RUNNING");
    let stopped = stop(&place);
    assert!(!is_alive(&alive));
    assert_eq!(recorded(&place, "outcome")[0]["status"], "CANCELLED");
    assert_eq!(
        (&stopped["state"], events(&stopped)),
        (&"CANCELLED".into(), vec!["STOPPED"])
    );
    assert_eq!(stop(&place), stopped);
    let list = lictor(&place, &["list-runs"]).ends_with_code(0).stdout;
    assert!(
        list.starts_with("web CANCELLED") && list.ends_with(": /bin/sh tree\n"),
        "{list}"
    );
    let none = lictor(&place, &["stop", "other"]).ends_with_code(2);
    assert!(none.stderr.contains("there are web"), "{none:?}");
}

#[test]
fn a_run_ends_with_its_owner() {
    let place = place();
    let mut owner = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = owner.id().to_string();
    let (_, alive) = start_tree(&place, &["--owner-pid", &pid]);
    drop(owner.stdin.take());
    owner.wait().unwrap();
    wait_for_end(&alive);
    let stopped = stop(&place);
    assert_eq!(
        (&stopped["state"], events(&stopped)),
        (&"CANCELLED".into(), vec!["OWNER_GONE"])
    );
    let gone = lictor(
        &place,
        &[
            "start",
            "--name",
            "x",
            "--owner-pid",
            &pid,
            "--",
            "sh",
            "tree",
        ],
    );
    let gone = gone.ends_with_code(2);
    assert!(gone.stderr.contains("--owner-pid"), "{gone:?}");
    assert_eq!(recorded(&place, "start").len(), 1);
}

#[test]
fn a_supervisor_that_is_killed_takes_its_run_along_and_the_record_says_lost() {
    let place = place();
    let (started, alive) = start_tree(&place, &[]);
    let pid = started["pid"].to_string();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
    wait_for_end(&alive);
    // Its parent may not have waited for it yet; then it has ended all the same.
    let list = || lictor(&place, &["--json", "list-runs"]).json()["runs"][0]["state"].clone();
    while list() != "LOST" {}
    // Nobody can show that nothing is left.
    for _ in 0..2 {
        let lost = lictor(&place, &["--json", "stop", "web"])
            .ends_with_code(1)
            .json();
        assert_eq!(
            (&lost["state"], &lost["ended"]["recorded"]),
            (&"LOST".into(), &true.into())
        );
    }
    assert_eq!(recorded(&place, "outcome")[0]["status"], "LOST");
    let again = start(&place, &["--", "sh", "tree"]);
    assert_ne!(again["run"], started["run"]);
    stop(&place);
    lictor(&place, &["ledger", "verify"]).ends_with_code(0);
}

#[test]
fn a_name_is_one_runs_until_that_has_ended() {
    let place = place();
    start(&place, &["--", "sh", "tree"]);
    let second = lictor(&place, &["start", "--name", "web", "--", "sh", "tree"]).ends_with_code(2);
    assert!(
        second.stderr.contains("a run named `web` goes on"),
        "{second:?}"
    );
    assert!(second.stderr.contains("lictor stop web"), "{second:?}");
    let other = lictor(&place, &["start", "--name", "web-2", "--", "sh", "tree"]).ends_with_code(0);
    assert!(other.stdout.contains("lictor stop web-2"), "{other:?}");
    stop(&place);
    lictor(&place, &["stop", "web-2"]).ends_with_code(0);
    assert_eq!(recorded(&place, "start").len(), 2);
    start(&place, &["--", "sh", "tree"]);
    stop(&place);
    for bad in [
        "",
        ".",
        "../web",
        "-x",
        "a/b",
        "a b",
        "a\nb",
        &"x".repeat(65),
    ] {
        let name = format!("--name={bad}");
        lictor(&place, &["start", &name, "--", "sh", "tree"]).ends_with_code(2);
    }
}

#[test]
fn what_is_denied_or_cannot_be_started_leaves_no_name_behind() {
    let place = place();
    place.write("short/a", "a\n");
    let denied =
        lictor(&place, &["start", "--name", "web", "--", "cat", "tree"]).ends_with_code(126);
    assert!(
        denied.stderr.contains("PATH_OUTSIDE_ALLOWED_SCOPE"),
        "{denied:?}"
    );
    lictor(&place, &["start", "--name", "web", "--", "no-such-program"]).ends_with_code(127);
    let long = lictor(
        &place,
        &[
            "start", "--name", "web", "--lease", "2h", "--", "sh", "tree",
        ],
    );
    let long = long.ends_with_code(126);
    assert!(long.stderr.contains("LEASE_TOO_LONG"), "{long:?}");
    assert!(long.stderr.contains("--lease 3600s"), "{long:?}");
    // Where no rule speaks of leases, the timeout is the longest.
    let long = lictor(
        &place,
        &[
            "--json", "start", "--name", "web", "--lease", "6s", "--", "cat", "short/a",
        ],
    );
    assert_eq!(
        long.ends_with_code(126).json()["decision"]["reason"],
        "LEASE_TOO_LONG"
    );
    let list = lictor(&place, &["--json", "list-runs"])
        .ends_with_code(0)
        .json();
    assert_eq!(list["runs"], Json::Array(vec![]));
    let reasons: Vec<Json> = recorded(&place, "decision")
        .iter()
        .map(|entry| entry["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        [
            "PATH_OUTSIDE_ALLOWED_SCOPE",
            "PROGRAM_NOT_FOUND",
            "LEASE_TOO_LONG",
            "LEASE_TOO_LONG"
        ]
    );
    assert_eq!(start(&place, &["--", "cat", "short/a"])["lease_ms"], 5000);
    let (mut follow, mut out) = follow(&place);
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert!(follow.wait().unwrap().success());
    assert_eq!(text, "a\n");
    assert_eq!(stop(&place)["state"], "PASS");
}

#[test]
fn logs_follow_a_run_to_its_end_and_escape_what_acts_on_a_terminal() {
    let place = place();
    // A pipe for each step: one that is opened again may still have the writer of the step before.
    let pipe = |nth: u32| place.work().join(format!("go{nth}"));
    let made = Command::new("mkfifo").args([1, 2, 3].map(pipe)).status();
    assert!(made.unwrap().success());
    let script = "printf 'one\\033[31m\\n'; read x < go1; echo two >&2; read x < go2; printf 'h\\303'; read x < go3; printf '\\251\\377\\n'; exit 3";
    place.write("script", script);
    start(&place, &["--", "sh", "script"]);
    let (mut follow, mut out) = follow(&place);
    let line = |out: &mut BufReader<ChildStdout>| {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    let go = |nth| {
        let mut go = File::options().write(true).open(pipe(nth)).unwrap();
        go.write_all(b"\n").unwrap();
    };
    assert_eq!(line(&mut out), "one\\u{1b}[31m\n");
    go(1);
    assert_eq!(line(&mut out), "two\n");
    go(2);
    let mut first = [0];
    out.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"h");
    go(3);
    assert_eq!(line(&mut out), "é\u{fffd}\n");
    assert_eq!(line(&mut out), "");
    assert!(follow.wait().unwrap().success());
    let mut said = String::new();
    follow
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.starts_with("lictor: web FAIL with exit code 3"),
        "{said}"
    );
    let raw = place
        .lictor(["logs", "--raw", "web"])
        .command
        .output()
        .unwrap();
    assert_eq!(raw.stdout, b"one\x1b[31m\ntwo\nh\xc3\xa9\xff\n");
    let outcome = &recorded(&place, "outcome")[0];
    assert_eq!(
        (&outcome["status"], &outcome["stderr"]["bytes"]),
        (&"FAIL".into(), &4.into())
    );
}

#[test]
fn a_run_does_not_reach_what_is_noted_of_it() {
    let place = place();
    let ledger = place.root().join("state/lictor/long");
    place.write(
        "script",
        format!(
            "ls {0}/running/web; cat {0}/running/web/run; kill -0 $PPID; echo done",
            ledger.display()
        ),
    );
    start(&place, &["--", "sh", "script"]);
    let (mut follow, mut out) = follow(&place);
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    follow.wait().unwrap();
    assert!(ledger.join("running/web/run").exists());
    assert!(
        !text.contains("lease_ms") && !text.contains("lock") && text.contains("done\n"),
        "{text}"
    );
}

#[test]
fn a_development_server_is_started_used_and_stopped() {
    if !need::system_python() {
        return;
    }
    let place = place();
    place.write(
        "server.py",
        r#"import http.server, socketserver
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
with socketserver.TCPServer(("127.0.0.1", 0), Answers) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"#,
    );
    start(&place, &["--lease", "10m", "--", "python3", "server.py"]);
    let (mut follow, mut out) = follow(&place);
    let mut port = String::new();
    out.read_line(&mut port).unwrap();
    let address = format!("127.0.0.1:{}", port.trim());
    let mut page = TcpStream::connect(&address).unwrap();
    page.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    page.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("hello"), "{text}");
    assert_eq!(stop(&place)["state"], "CANCELLED");
    assert!(follow.wait().unwrap().success());
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn nobody_else_is_a_supervisor() {
    let place = place();
    let line = ["start", "--name", "web", "--supervise", "--", "sh", "tree"];
    let answer = lictor(&place, &line).ends_with_code(2);
    assert!(
        answer.stderr.contains("for `lictor start` itself"),
        "{answer:?}"
    );
    assert!(recorded(&place, "start").is_empty());
}

#[test]
fn all_of_this_as_an_ordinary_user_too() {
    ordinary::again(module_path!(), &[]);
}
