//! A run ends in time with its true ending on record, whatever its processes, its reader and signals do to its supervisor.
//!
//! Root runs everything a second time as an ordinary user.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test starts programs, says what it leaves out, and fails by panicking"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use support::program::{Answer, Place};
use support::{need, ordinary};

/// Every script may run, with a time-out of a second and a grace period of 300 ms. `{}` is what else limits it.
fn place(limits: &str, leaks: &str) -> Place {
    Place::with_policy(&policy_of("1s", "300ms", limits, leaks))
}

fn policy(timeout: &str, grace: &str) -> String {
    policy_of(timeout, grace, "", "")
}

fn policy_of(timeout: &str, grace: &str, limits: &str, leaks: &str) -> String {
    format!(
        r#"version: 1
name: stopping
tools:
  sh: {{program: /bin/sh, actions: {{run: {{args: {{file: {{type: path, required: true, access: read}}}}}}}}}}
  python3: {{program: /usr/bin/python3, actions: {{run: {{args: {{file: {{type: path, required: true, access: read}}}}}}}}}}
  cat: {{program: /bin/cat, actions: {{run: {{}}}}}}
scopes: {{all: ["**"]}}
rules:
  - {{id: r, allow: [sh.run, python3.run], within: all, limits: {{timeout: {timeout}, grace: {grace}{limits}}}{leaks}}}
  - {{id: c, allow: cat.run, limits: {{timeout: {timeout}, grace: {grace}{limits}}}}}
defaults: {{program_path: [/usr/bin, /bin]}}
"#
    )
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

/// The outcomes that are on record.
fn outcomes(place: &Place) -> Vec<Json> {
    let show = place.lictor(["ledger", "show", "--json"]).end();
    let lines = show
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    lines.filter(|entry| entry["type"] == "outcome").collect()
}

/// The last of them.
fn outcome(place: &Place) -> Json {
    outcomes(place)
        .pop()
        .unwrap_or_else(|| panic!("nothing is recorded"))
}

/// Waits until the record says that a run has started.
fn wait_for_start(place: &Place) {
    let started = || {
        place
            .lictor(["ledger", "show", "--json"])
            .end()
            .stdout
            .contains("\"type\":\"start\"")
    };
    while !started() {}
}

/// Held by what makes the machine busy, and by what measures time.
static MACHINE: RwLock<()> = RwLock::new(());

fn quiet() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn any_signal_that_can_end_a_command_is_kept() {
    let _quiet = quiet();
    if !need::system_python() {
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
    if !need::system_python() {
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
    if !need::system_python() {
        return;
    }
    let place = plain();
    let _busy = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
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
    let _quiet = quiet();
    let (_, evidence) = run(&plain(), "sh", "sleep 9 & exec sleep 8");
    let tree = evidence["tree"].as_array().unwrap();
    let shown = |wanted: &str| tree.iter().any(|process| process["command"] == wanted);
    assert!(shown("sleep 9") && shown("sleep 8"), "{evidence}");
}

/// A run of `script` that somebody else reads, or does not.
fn start(place: &Place, script: &str, set: impl FnOnce(&mut Command)) -> Child {
    start_with(&[], place, script, set)
}

fn start_with(
    words: &[&str],
    place: &Place,
    script: &str,
    set: impl FnOnce(&mut Command),
) -> Child {
    place.write("script", script);
    let words = words.iter().chain(&["run", "--", "sh", "script"]);
    let mut start = place.lictor(words);
    set(&mut start.command);
    start.command.spawn().unwrap()
}

fn send(child: &Child, signal: i32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Waits for the end of `child`, and no longer than `time`.
fn end(child: &mut Child, time: Duration) -> ExitStatus {
    let pid = child.id();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = receiver.recv_timeout(time) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if late {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        late
    });
    let status = child.wait().unwrap();
    drop(sender);
    assert!(!watch.join().unwrap(), "still there after {time:?}");
    status
}

/// What a script prints that nobody reads.
const FLOOD: &str = "trap '' TERM; while :; do echo 0123456789012345678901234567890123456789; done";

#[test]
fn a_reader_that_stalls_holds_up_neither_the_end_nor_the_record() {
    let _quiet = quiet();
    let script = FLOOD.replace("done", "echo x >&2; done");
    // Of standard output, of standard error, and of an answer that is longer than a pipe.
    for (json, stdout, stderr) in [
        (false, true, false),
        (false, false, true),
        (true, true, true),
    ] {
        let place = place(", output: 300KiB", "");
        let started = Instant::now();
        let words: &[&str] = if json { &["--json"] } else { &[] };
        let mut child = start_with(words, &place, &script, |command| {
            let end = |piped| if piped { Stdio::piped() } else { Stdio::null() };
            command.stdout(end(stdout)).stderr(end(stderr));
        });
        end(&mut child, PROMISED);
        assert!(started.elapsed() >= Duration::from_secs(1));
        let outcome = outcome(&place);
        assert_eq!(outcome["status"], "TIMEOUT", "{outcome}");
        let held_up = outcome["events"].to_string().contains("OUTPUT_HELD_UP");
        assert_eq!(held_up, !json, "{outcome}");
    }
}

#[test]
fn what_a_slow_reader_did_not_take_yet_arrives_after_the_outcome_is_recorded() {
    let _quiet = quiet();
    let place = Place::with_policy(&policy("20s", "300ms"));
    let script = "i=0; while [ $i -lt 60000 ]; do echo 0123456789; i=$((i+1)); done";
    let mut child = start(&place, script, |command| {
        command.stdout(Stdio::piped());
    });
    let mut output = child.stdout.take().unwrap();
    // The outcome is there while nobody has read a byte.
    let recorded = || !outcomes(&place).is_empty();
    while !recorded() {
        assert!(child.try_wait().unwrap().is_none());
    }
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(
        (text.len(), end(&mut child, PROMISED).code()),
        (660_000, Some(0))
    );
}

#[test]
fn a_signal_ends_a_run_whose_reader_stalls_and_lictor_dies_of_it() {
    let _quiet = quiet();
    for signal in [2, 15] {
        let place = place(", output: 1KiB", "");
        let mut child = start(&place, &FLOOD.replace("trap '' TERM; ", ""), |command| {
            command.stdout(Stdio::piped());
        });
        wait_for_start(&place);
        send(&child, signal);
        let status = end(&mut child, Duration::from_millis(900));
        assert_eq!(status.signal(), Some(signal), "{status:?}");
        assert_eq!(outcome(&place)["status"], "CANCELLED");
    }
}

#[test]
fn a_second_signal_cuts_the_grace_period_short() {
    let _quiet = quiet();
    let place = Place::with_policy(&policy("30s", "20s"));
    let mut child = start(
        &place,
        "trap '' TERM INT; echo on; while :; do sleep 9; done",
        |_| {},
    );
    let mut line = [0; 3];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    // Two of one kind may arrive as one.
    send(&child, 15);
    send(&child, 2);
    let status = end(&mut child, Duration::from_secs(4));
    assert!(matches!(status.signal(), Some(15 | 2)), "{status:?}");
    assert_eq!(outcome(&place)["status"], "CANCELLED");
}

#[test]
fn a_second_signal_ends_lictor_even_if_the_outcome_cannot_be_recorded() {
    let _quiet = quiet();
    let place = Place::with_policy(&policy("30s", "20s"));
    let ledger = place.ledger();
    let words = ["--ledger", ledger.to_str().unwrap()];
    let mut child = start_with(&words, &place, "echo on; exec sleep 25", |_| {});
    let mut line = [0; 3];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    // Whoever holds the lock of the ledger does not give it back.
    let lock = std::fs::File::open(ledger.join("lock")).unwrap();
    lock.lock().unwrap();
    send(&child, 15);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it does not wait");
    send(&child, 2);
    let status = end(&mut child, Duration::from_secs(5));
    assert_eq!(status.signal(), Some(15), "{status:?}");
}

#[test]
fn a_policy_that_somebody_holds_by_a_lease_denies_at_once() {
    let _quiet = quiet();
    if !need::system_python() {
        return;
    }
    let place = plain();
    let hold = "import fcntl, os, sys\n\
        file = os.open('lictor.yaml', os.O_RDONLY)\n\
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
        fcntl.fcntl(file, fcntl.F_SETSIG, 0)\n\
        import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)\n\
        print('on', flush=True); sys.stdin.read()";
    let mut holder = Command::new("/usr/bin/python3")
        .args(["-c", hold])
        .current_dir(place.work())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 3];
    holder.stdout.take().unwrap().read_exact(&mut line).unwrap();
    let started = Instant::now();
    let answer = place.lictor(["check", "--", "sh", "script"]).end();
    let took = started.elapsed();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("lease"), "{answer:?}");
}

#[test]
fn lictor_dies_of_the_signal_that_ended_it() {
    let _quiet = quiet();
    // Also those that others use for their own ends, and those without a name.
    for signal in [1, 2, 3, 10, 12, 15, 24, 34, 64] {
        let place = plain();
        let mut child = start(&place, "echo on; exec sleep 9", |_| {});
        let mut line = [0; 3];
        child.stdout.take().unwrap().read_exact(&mut line).unwrap();
        send(&child, signal);
        let status = end(&mut child, Duration::from_millis(900));
        assert_eq!(status.signal(), Some(signal), "{status:?}");
        let outcome = outcome(&place);
        assert_eq!(
            (&outcome["status"], &outcome["stop"]["why"]),
            (&"CANCELLED".into(), &"cancelled".into())
        );
    }
}

#[test]
fn a_signal_that_is_ignored_at_the_start_stays_so_here_and_in_the_command() {
    let _quiet = quiet();
    let place = plain();
    place.write(
        "script",
        "kill -HUP $PPID $$; kill -USR1 $$; grep SigIgn /proc/self/status; echo on; exec sleep 0.4",
    );
    let program = place
        .lictor(["run", "--", "sh", "script"])
        .command
        .get_program()
        .to_owned();
    let shell = "trap '' HUP USR1; exec \"$0\" run -- sh script";
    let mut command = Command::new("sh");
    command
        .args(["-c", shell])
        .arg(program)
        .current_dir(place.work())
        .env_clear();
    command
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", place.root());
    command
        .env("XDG_STATE_HOME", place.root().join("state"))
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut text = [0; 27];
    output.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"SigIgn:\t0000000000000201\non");
    send(&child, 1);
    send(&child, 10);
    assert_eq!(end(&mut child, PROMISED).code(), Some(0));
    assert_eq!(outcome(&place)["status"], "PASS");
}

#[test]
fn a_limit_on_the_size_of_files_denies_and_never_tears_the_record() {
    let place = plain();
    place.write("script", "exit 0");
    let small = place
        .lictor(["run", "--", "sh", "script"])
        .end()
        .ends_with_code(0);
    drop(small);
    let program = place
        .lictor(["run", "--", "sh", "script"])
        .command
        .get_program()
        .to_owned();
    for blocks in 1..12 {
        let shell = format!("ulimit -f {blocks}; exec \"$0\" run -- sh script");
        let mut command = Command::new("sh");
        command
            .args(["-c", &shell])
            .arg(&program)
            .current_dir(place.work())
            .env_clear();
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", place.root());
        command.env("XDG_STATE_HOME", place.root().join("state"));
        let output = command.output().unwrap();
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 125 | 126)), "{blocks}: {output:?}");
    }
    let verified = place.lictor(["ledger", "verify", "--json"]).end();
    assert_eq!(
        verified.json()["problems"].as_array().map(Vec::len),
        Some(0),
        "{verified:?}"
    );
}

#[test]
fn a_run_that_went_on_while_lictor_was_stopped_says_so() {
    let _quiet = quiet();
    let place = Place::with_policy(&policy("10s", "300ms"));
    let mut child = start(&place, "echo on; exec sleep 0.5", |_| {});
    let mut line = [0; 3];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    send(&child, 19);
    send(&child, 18);
    assert_eq!(end(&mut child, PROMISED).code(), Some(0));
    assert!(outcome(&place)["events"].to_string().contains("CONTINUED"));
}

#[test]
fn a_limit_has_an_exit_code_of_its_own_and_is_named() {
    let place = Place::with_policy(&policy_of("20s", "1s", ", cpu: 200ms", ""));
    place.write("script", "trap 'exit 0' TERM; while :; do :; done");
    let answer = place
        .lictor(["run", "--", "sh", "script"])
        .end()
        .ends_with_code(123);
    assert!(
        answer.stderr.starts_with("lictor: LIMIT cpu after "),
        "{answer:?}"
    );
}

#[test]
fn a_reader_that_went_away_ends_the_command_as_it_would_without_lictor() {
    let _quiet = quiet();
    let place = Place::with_policy(&policy("20s", "300ms"));
    let mut child = start(&place, "while :; do echo y; done", |_| {});
    let mut line = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    end(&mut child, Duration::from_secs(5));
    assert_ne!(outcome(&place)["status"], "TIMEOUT");
}

#[test]
fn input_that_is_not_passed_on_is_said() {
    let place = plain();
    place.write("script", "exec cat");
    place.write("input", "text");
    let note = "lictor: standard input was not passed on";
    let words = ["run", "--", "sh", "script"];
    let piped = place.lictor(words).input("text").end().ends_with_code(0);
    assert!(
        piped.stderr.starts_with(note) && piped.stdout.is_empty(),
        "{piped:?}"
    );
    let mut redirected = place.lictor(words);
    redirected
        .command
        .stdin(std::fs::File::open(place.work().join("input")).unwrap());
    assert!(redirected.end().stderr.starts_with(note));
    let nothing = place.lictor(words).input("").end().ends_with_code(0);
    assert_eq!(nothing.stderr, "");
}

#[test]
fn input_is_passed_on_if_that_is_asked_for_and_permitted_and_is_recorded() {
    let place = plain();
    place.write("script", "exec tr a-z A-Z");
    let words = ["run", "--stdin", "--", "sh", "script"];
    let answer = place.lictor(words).input("hello\n").end().ends_with_code(0);
    assert_eq!(
        (answer.stdout.as_str(), answer.stderr.as_str()),
        ("HELLO\n", "")
    );
    let recorded = outcome(&place);
    assert_eq!(recorded["stdin"]["bytes"], 6, "{recorded}");
    // printf 'hello\n' | sha256sum
    let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    assert_eq!(recorded["stdin"]["sha256"], sha256);
    // Too long, not permitted, and not for whoever completes a line.
    let small = self::place(", stdin: 5B", "");
    small.write("script", "exec cat");
    let refused = small
        .lictor(words)
        .input("hello\n")
        .end()
        .ends_with_code(126);
    assert!(
        refused.stderr.contains("longer than 5 bytes"),
        "{refused:?}"
    );
    let none = self::place(", stdin: none", "");
    none.write("script", "exec cat");
    let refused = none.lictor(words).input("x").end().ends_with_code(126);
    assert!(refused.stderr.contains("no standard input"), "{refused:?}");
    let sealed = [
        "--policy",
        "lictor.yaml",
        "--sealed",
        "run",
        "--stdin",
        "--",
        "sh",
        "script",
    ];
    place.lictor(sealed).input("x").end().ends_with_code(2);
}

#[test]
fn long_lists_are_cut_with_their_number_and_never_dropped() {
    if !need::system_python() {
        return;
    }
    let _quiet = quiet();
    let place = place("", "");
    // What is left behind has names of characters that are escaped at great length.
    let script = "import os, subprocess\n\
        for _ in range(39): subprocess.Popen(['\\U0010fffd' * 197, '30'], executable='/bin/sleep')";
    let (_, evidence) = run(&place, "python3", script);
    assert_eq!(
        evidence["leaked"].as_array().map(Vec::len),
        Some(39),
        "{evidence}"
    );
    let outcome = outcome(&place);
    let listed = outcome["leaked"].as_array().map_or(0, Vec::len);
    assert!(listed > 0 && outcome["cut"]["leaked"] == 39, "{outcome}");
    let stats = place.lictor(["ledger", "stats", "--json"]).end().json();
    assert!(
        stats.to_string().contains("\"leaked_processes\":39"),
        "{stats}"
    );
}

#[test]
fn a_run_has_a_built_in_bound_on_processes_where_that_costs_nothing() {
    let place = place(", processes: 7000", "");
    let script = "while read a b soft rest; do [ \"$a $b\" = \"Max processes\" ] && echo $soft; done < /proc/self/limits; :";
    let bound = |place: &Place| {
        place.write("script", script);
        place.lictor(["run", "--", "sh", "script"]).end().stdout
    };
    // As root there may be no cgroup to say it in; then nothing is said.
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        assert_eq!(bound(&plain()), "4098\n");
        assert_ne!(bound(&place), "4098\n");
    }
}

#[test]
fn as_an_ordinary_user_too() {
    ordinary::again(module_path!(), &[]);
}
