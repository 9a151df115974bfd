//! A run ends in time with its true ending on record, whatever its processes, its reader and signals do to its supervisor.
//!
//! Root runs everything a second time as an ordinary user.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test starts programs, says what it leaves out, and fails by panicking"
)]

mod ordinary;
#[expect(dead_code, reason = "the helpers of all tests of the program")]
mod program;

use std::path::Path;
use std::time::{Duration, Instant};

use program::{Answer, Place};
use serde_json::Value as Json;

/// Every script may run, with a time-out of a second and a grace period of 300 ms. `{}` is what else limits it.
fn place(limits: &str, leaks: &str) -> Place {
    Place::with_policy(&format!(
        r#"version: 1
name: stopping
tools:
  sh: {{program: /bin/sh, actions: {{run: {{args: {{file: {{type: path, required: true, access: read}}}}}}}}}}
  python3: {{program: /usr/bin/python3, actions: {{run: {{args: {{file: {{type: path, required: true, access: read}}}}}}}}}}
  cat: {{program: /bin/cat, actions: {{run: {{}}}}}}
scopes: {{all: ["**"]}}
rules:
  - {{id: r, allow: [sh.run, python3.run], within: all, limits: {{timeout: 1s, grace: 300ms{limits}}}{leaks}}}
  - {{id: c, allow: cat.run, limits: {{timeout: 1s, grace: 300ms{limits}}}}}
defaults: {{program_path: [/usr/bin, /bin]}}
"#
    ))
}

/// The promise: a call returns 2 s after timeout and grace at the latest.
const PROMISED: Duration = Duration::from_millis(3300);

fn plain() -> Place {
    place("", "")
}

/// The answer of a run of `script`.
fn run(place: &Place, interpreter: &str, script: &str) -> (Answer, Json) {
    place.write("script", script);
    let answer = place
        .lictor(["--json", "run", "--", interpreter, "script"])
        .end();
    let evidence = answer.json()["evidence"].clone();
    (answer, evidence)
}

/// The outcome that is on record, which is the last entry but a checkpoint.
fn outcome(place: &Place) -> Json {
    let show = place.lictor(["ledger", "show", "--json"]).end();
    let lines = show
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    let mut outcomes = lines.filter(|entry| entry["type"] == "outcome");
    outcomes.next_back().unwrap_or_else(|| panic!("{show:?}"))
}

fn has_python() -> bool {
    let has = Path::new("/usr/bin/python3").exists();
    if !has {
        eprintln!("not run: there is no /usr/bin/python3");
    }
    has
}

#[test]
fn any_signal_that_can_end_a_command_is_kept() {
    if !has_python() {
        return;
    }
    let place = plain();
    let stops_or_is_ignored = [17, 18, 19, 20, 21, 22, 23, 28];
    for signal in (1..=64).filter(|signal| !stops_or_is_ignored.contains(signal)) {
        // The C library refuses to set two of them, and Python starts with others ignored.
        let script = format!(
            "import os, resource, signal\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n\
             try: signal.signal({signal}, signal.SIG_DFL)\nexcept (OSError, ValueError): pass\n\
             os.kill(os.getpid(), {signal})\nimport time; time.sleep(9)"
        );
        let (answer, evidence) = run(&place, "python3", &script);
        assert_eq!(evidence["signal"], signal, "{evidence}");
        assert_eq!(
            (&evidence["status"], answer.code),
            (&Json::from("SIGNALED"), Some(128 + signal))
        );
    }
}

#[test]
fn a_chain_of_forks_cannot_pass_for_a_clean_end() {
    if !has_python() {
        return;
    }
    let place = place("", ", leaks: fail");
    // Each process lives for less than it takes to look at it, and the command itself ends at once.
    let chain = r#"
import os, time
if os.fork(): os._exit(0)
os.setsid()
end = time.monotonic() + 5
while time.monotonic() < end:
    if os.fork(): os._exit(0)
"#;
    for _ in 0..3 {
        let (answer, evidence) = run(&place, "python3", chain);
        assert_eq!(
            (answer.code, &evidence["status"]),
            (Some(1), &Json::from("FAIL")),
            "{evidence}"
        );
        let listed = evidence["leaked"].as_array().unwrap();
        let events = evidence["events"].to_string();
        assert!(
            !listed.is_empty() || events.contains("LEFT_BEHIND"),
            "{evidence}"
        );
    }
}

#[test]
fn busy_processes_in_sessions_of_their_own_do_not_outlast_the_deadline() {
    if !has_python() {
        return;
    }
    let place = plain();
    // Bounded: no child forks again, and each ends by itself.
    let busy = r#"
import os, signal, time
end = time.monotonic() + 20
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(300):
    if os.fork() == 0:
        os.setsid()
        while time.monotonic() < end: pass
        os._exit(0)
while time.monotonic() < end: pass
"#;
    let started = Instant::now();
    let (answer, evidence) = run(&place, "python3", busy);
    assert!(started.elapsed() < PROMISED, "{:?}", started.elapsed());
    assert_eq!(
        (answer.code, &evidence["status"]),
        (Some(124), &Json::from("TIMEOUT")),
        "{evidence}"
    );
    assert_eq!(evidence["containment"]["empty_proof"], "init-reaped");
    assert_eq!(evidence["survivors"].as_array().map(Vec::len), Some(0));
    assert_eq!(outcome(&place)["status"], "TIMEOUT");
}

#[test]
fn the_picture_shows_what_processes_did_before_they_were_stopped_for_it() {
    let (_, evidence) = run(&plain(), "sh", "sleep 9 & exec sleep 8");
    let tree = evidence["tree"].as_array().unwrap();
    let shown = |wanted: &str| tree.iter().any(|process| process["command"] == wanted);
    assert!(shown("sleep 9") && shown("sleep 8"), "{evidence}");
}

#[test]
fn as_an_ordinary_user_too() {
    let program = (program::PROGRAM, Path::new(env!("CARGO_BIN_EXE_lictor")));
    ordinary::again("as_an_ordinary_user_too", Some(program));
}
