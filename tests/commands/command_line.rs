//! The program's promises to other programs: exit codes, JSON shapes, what is recorded, which policy is
//! in force and who asks. Run as root, everything is tried a second time as an ordinary user.

use crate::support::need;
use crate::support::program;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use crate::support::program::{Answer, Place};
use serde_json::{Value as Json, json};

/// A shell that may be run, so that a test can have any ending; and something of every other kind.
const POLICY: &str = r#"version: 1
name: shell
tools:
  sh:
    program: sh
    actions:
      run: {args: {script: {type: text, option: "-c", required: true, lines: true, join: space}}}
  cat:
    program: cat
    actions:
      run: {args: {number: {type: flag, names: ["-n"]}, path: {type: path, required: true, repeat: true}}}
  absent:
    program: no-such-program-anywhere
    actions:
      run: {}
  files:
    actions:
      read: {args: {path: {type: path, required: true}}}
scopes:
  docs: ["docs/**"]
  private: ["docs/private/**"]
  secrets: ["**/*.pem"]
approvals:
  owner: {env: OWNER_AGREES, reference: T-1}
rules:
  - {id: shell, allow: sh.run, limits: {timeout: 20s, grace: 1s, output: 4KiB}}
  - {id: absent, allow: absent.run}
  - {id: docs, allow: [cat.run, files.read], within: docs, reason: Documents are open., instead: Name a file below docs.}
  - {id: private, ask: cat.run, touching: private, approval: owner}
  - {id: secrets, deny: "*", touching: secrets, reason: Keys are read by people.}
  - {id: old, allow: cat.run, within: secrets, until: 2026-01-31}
  - {id: guest, deny: "*", for: guest-*}
tests:
  - {run: [cat, docs/a.md], expect: allow, rule: docs}
"#;

const SHORT: &str = "version: 1
name: short
tools:
  sh:
    program: sh
    actions:
      run: {args: {script: {type: text, option: \"-c\", required: true, lines: true, join: space}}}
rules:
  - {id: shell, allow: sh.run, limits: {timeout: 300ms, grace: 300ms}}
";

/// A policy that allows `cat docs/a.md` and nothing else, under a name of its own.
fn named(name: &str) -> String {
    POLICY.replace("name: shell", &format!("name: {name}"))
}

fn place() -> Place {
    let place = Place::with_policy(POLICY);
    place.write("docs/a.md", "a document\n");
    place.write("docs/private/b.md", "private\n");
    place
}

/// `command -- argv`, with a ledger beside the workspace.
fn call(place: &Place, command: &[&str], argv: &[&str]) -> Answer {
    start(place, command, argv).end()
}

fn start(place: &Place, command: &[&str], argv: &[&str]) -> program::Start {
    let words = command.iter().chain(&["--"]).chain(argv);
    place.lictor(words).env("XDG_STATE_HOME", place.root())
}

/// The ledger that `start` uses.
fn ledger(place: &Place) -> std::path::PathBuf {
    place.root().join("lictor/shell")
}

fn keys(object: &Json) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[track_caller]
fn is_usage_error(answer: &Answer, says: &str) {
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert_eq!(answer.stdout, "", "answers only go to standard output");
    assert!(answer.stderr.contains(says), "{says:?} in {answer:?}");
}

// check

#[test]
fn check_ends_with_0_1_3_for_allow_deny_ask() {
    let place = place();
    let allow = call(&place, &["check"], &["cat", "docs/a.md"]).ends_with_code(0);
    assert!(allow.stdout.starts_with("allow\n"), "{allow:?}");
    assert_eq!(allow.stderr, "");
    let deny = call(&place, &["check"], &["cat", "../a"]).ends_with_code(1);
    assert!(
        deny.stdout.starts_with("deny  PATH_TRAVERSAL_DENIED\n"),
        "{deny:?}"
    );
    let ask = call(&place, &["check"], &["cat", "docs/private/b.md"]).ends_with_code(3);
    assert!(
        ask.stdout.starts_with("ask  APPROVAL_REQUIRED\n"),
        "{ask:?}"
    );
    assert!(
        ask.stdout.contains("OWNER_AGREES"),
        "how to approve: {ask:?}"
    );
    let approved = start(&place, &["check"], &["cat", "docs/private/b.md"])
        .env("OWNER_AGREES", "yes")
        .end();
    approved.ends_with_code(0);
}

const DECISION_KEYS: [&str; 17] = [
    "v",
    "effect",
    "reason",
    "reasons",
    "rule",
    "rules",
    "message",
    "instead",
    "request",
    "command",
    "findings",
    "approval",
    "limits",
    "policy",
    "disk",
    "recorded",
    "containment",
];

#[test]
fn an_allow_in_json_holds_its_rule_its_command_and_its_limits() {
    let place = place();
    let answer = call(&place, &["check", "--json"], &["cat", "-n", "docs/a.md"]);
    let decision = answer.ends_with_code(0).json();
    for key in DECISION_KEYS {
        assert!(decision.get(key).is_some(), "{key} in {decision}");
    }
    assert_eq!(decision["v"], 1);
    assert_eq!(decision["effect"], "allow");
    assert_eq!(decision["reason"], Json::Null);
    assert_eq!(decision["reasons"], json!([]));
    assert_eq!(decision["rule"], "docs");
    assert_eq!(decision["rules"], json!(["docs"]));
    let request = &decision["request"];
    assert_eq!(request["tool"], "cat");
    assert_eq!(request["action"], "run");
    assert_eq!(
        request["args"],
        json!({"number": true, "path": ["docs/a.md"]})
    );
    let command = &decision["command"];
    assert_eq!(keys(command), ["program", "argv", "cwd", "env_names"]);
    assert_eq!(command["program"], "cat");
    assert_eq!(command["argv"], json!(["cat", "-n", "docs/a.md"]));
    assert_eq!(
        decision["findings"],
        json!([{"arg": "path", "path": "docs/a.md", "canonical": "docs/a.md", "reason": null, "offset": null, "tree": "not_consulted"}])
    );
    assert_eq!(decision["limits"]["timeout_ms"], 300_000);
    assert_eq!(decision["limits"]["grace_ms"], 1500);
    assert_eq!(decision["limits"]["output_bytes"], 51_200);
    let policy = &decision["policy"];
    assert_eq!(policy["name"], "shell");
    assert_eq!(policy["sha256"].as_str().unwrap().len(), 64);
    let rule = POLICY
        .lines()
        .position(|line| line.contains("id: docs"))
        .unwrap();
    assert_eq!(policy["rule_at"]["line"], json!(rule + 1));
    assert_eq!(policy["rule_at"]["column"], 10);
    assert!(
        policy["rule_at"]["file"]
            .as_str()
            .unwrap()
            .ends_with("lictor.yaml")
    );
    assert_eq!(decision["disk"], "not_consulted");
    assert_eq!(decision["recorded"], true);
}

#[test]
fn a_denial_in_json_tells_every_finding_and_nothing_to_run() {
    let place = place();
    let answer = call(
        &place,
        &["check", "--json", "--actor", "ci"],
        &["cat", "docs/../x.py"],
    );
    let decision = answer.ends_with_code(1).json();
    assert_eq!(decision["effect"], "deny");
    assert_eq!(decision["reason"], "PATH_TRAVERSAL_DENIED");
    assert_eq!(decision["reasons"], json!(["PATH_TRAVERSAL_DENIED"]));
    assert_eq!(decision["rule"], Json::Null);
    assert_eq!(decision["message"], "path `docs/../x.py` climbs with `..`");
    assert_eq!(decision["request"]["actor"], "ci");
    assert_eq!(decision["command"], Json::Null);
    assert_eq!(decision["limits"], Json::Null);
    assert_eq!(
        decision["findings"],
        json!([{"arg": "path", "path": "docs/../x.py", "canonical": null, "reason": "PATH_TRAVERSAL_DENIED", "offset": 5}])
    );
    assert_eq!(decision["policy"]["rule_at"], Json::Null);
    assert_eq!(decision["recorded"], true);

    let by_rule = call(&place, &["check", "--json"], &["cat", "docs/Key.PEM"]);
    let by_rule = by_rule.ends_with_code(1).json();
    assert_eq!(by_rule["reason"], "DENIED_BY_RULE");
    assert_eq!(by_rule["rule"], "secrets");

    let outside = call(&place, &["check", "--json"], &["cat", "src/a.rs"]);
    let outside = outside.ends_with_code(1).json();
    assert_eq!(outside["reason"], "PATH_OUTSIDE_ALLOWED_SCOPE");
    assert_eq!(outside["instead"], "Name a file below docs.");
}

#[test]
fn an_ask_in_json_names_the_approval_and_its_reference() {
    let place = place();
    let answer = call(&place, &["check", "--json"], &["cat", "docs/private/b.md"]);
    let decision = answer.ends_with_code(3).json();
    assert_eq!(decision["effect"], "ask");
    assert_eq!(decision["reason"], "APPROVAL_REQUIRED");
    assert_eq!(decision["approval"]["name"], "owner");
    assert_eq!(decision["approval"]["reference"], "T-1");
    assert_eq!(decision["command"], Json::Null);
}

#[test]
fn the_named_form_is_decided_like_the_command_line() {
    let place = place();
    let argv = call(
        &place,
        &["check", "--json"],
        &["cat", "-n", "docs/a.md", "docs/c.md"],
    );
    let named = place.lictor([
        "check",
        "--json",
        "--tool",
        "cat",
        "--action",
        "run",
        "--arg",
        "path=docs/a.md",
        "--arg",
        "path=docs/c.md",
        "--arg",
        "number=true",
    ]);
    let (argv, named) = (argv.json(), named.end().ends_with_code(0).json());
    for part in ["effect", "rules", "command", "limits", "findings"] {
        assert_eq!(argv[part], named[part], "{part}");
    }
}

#[test]
fn an_argument_in_base64_may_be_any_bytes() {
    let place = place();
    let with = |value: &str| {
        let args = [
            "check",
            "--json",
            "--tool",
            "files",
            "--action",
            "read",
            "--arg-b64",
            value,
        ];
        place.lictor(args).end()
    };
    // docs/a.md
    let text = with("path=ZG9jcy9hLm1k").ends_with_code(0).json();
    assert_eq!(text["findings"][0]["canonical"], "docs/a.md");
    let bytes = with("path=ZG9jcy//").ends_with_code(1).json();
    assert_eq!(bytes["reason"], "PATH_ENCODING_DENIED");
    assert_eq!(bytes["findings"][0]["path"], json!({"b64": "ZG9jcy//"}));
    is_usage_error(&with("path=%%%"), "BASE64");
    is_usage_error(&with("path"), "BASE64");
}

#[test]
fn what_is_supposed_is_decided_and_not_recorded() {
    let place = place();
    let private = ["cat", "docs/private/b.md"];
    for given in [
        ["--given-env", "OWNER_AGREES=1"],
        ["--given-approval", "owner"],
    ] {
        let words = [&["check", "--json"][..], &given].concat();
        let decision = call(&place, &words, &private).ends_with_code(0).json();
        assert_eq!(decision["recorded"], false, "{given:?}");
    }
    let at = |time: &str| {
        call(
            &place,
            &["check", "--json", "--at", time],
            &["cat", "x.pem"],
        )
    };
    let before = at("2026-01-31T23:59:59Z").ends_with_code(1).json();
    assert_eq!(before["reason"], "DENIED_BY_RULE");
    assert_eq!(at("2026-02-01").code, Some(1));
    call(&place, &["check", "--dry-run"], &private).ends_with_code(3);
    assert!(!ledger(&place).exists(), "nothing was recorded");
    call(&place, &["check"], &private).ends_with_code(3);
    assert!(ledger(&place).exists());
}

#[test]
fn a_rule_lapses_at_the_end_of_its_day() {
    let place = Place::with_policy(&POLICY.replace("  - {id: secrets,", "  - {id: other,"));
    let policy = POLICY
        .lines()
        .filter(|line| !line.contains("id: secrets"))
        .collect::<Vec<_>>()
        .join("\n");
    place.write("lictor.yaml", policy);
    let at = |time: &str| {
        call(
            &place,
            &["check", "--json", "--at", time],
            &["cat", "x.pem"],
        )
        .json()["effect"]
            .clone()
    };
    assert_eq!(at("2026-01-31T23:59:59Z"), "allow");
    assert_eq!(at("2026-02-01"), "deny");
}

#[test]
fn the_disk_is_asked_only_on_request() {
    let place = place();
    std::os::unix::fs::symlink("/etc", place.work().join("docs/away")).unwrap();
    let on_disk = |argv: &[&str]| call(&place, &["check", "--json", "--on-disk"], argv).json();
    let allowed = on_disk(&["cat", "docs/a.md"]);
    assert_eq!(allowed["effect"], "allow");
    assert_eq!(allowed["disk"], "agrees");
    let link = ["cat", "docs/away/passwd"];
    call(&place, &["check"], &link).ends_with_code(0);
    for (argv, reason) in [
        (&link[..], "PATH_SYMLINK_DENIED"),
        (&["cat", "docs/nothing.md"], "PATH_NOT_FOUND"),
        (&["cat", "docs/a.md/b"], "PATH_NOT_DIRECTORY"),
        (&["no-such-program-anywhere"], "PROGRAM_NOT_FOUND"),
    ] {
        let denied = on_disk(argv);
        assert_eq!(denied["effect"], "deny", "{argv:?}");
        assert_eq!(denied["reason"], reason, "{argv:?}");
        assert_eq!(denied["rule"], Json::Null, "no rule denied {argv:?}");
        assert_eq!(denied["command"], Json::Null, "{argv:?}");
    }
}

// check --batch

#[test]
fn a_batch_is_answered_line_by_line_in_order() {
    let place = place();
    let lines: [&[u8]; 10] = [
        br#"{"id": 7, "argv": ["cat", "docs/a.md"]}"#,
        br#"{"id": "b", "tool": "cat", "action": "run", "args": {"path": "../x"}}"#,
        br#"not JSON"#,
        br#"{"id": [1], "tool": "cat", "action": "run", "args": {"path": ["docs/a.md", "docs/c.md"]}, "actor": "bob"}"#,
        br#"{"id": 4, "argv": ["cat", "docs/a.md"], "force": true}"#,
        b"",
        br#"{"id": null, "tool": "files", "action": "read", "args": {"path": {"b64": "/w=="}}}"#,
        b"{\"id\": 8, \"argv\": [\"\xff\"]}",
        br#"{"id": 9, "argv": ["cat", "docs/private/b.md"]}"#,
        br#"{"id": 10, "tool": "files", "action": "read", "args": {"path": null}}"#,
    ];
    let answer = place
        .lictor(["check", "--batch"])
        .env("XDG_STATE_HOME", place.root())
        .input(lines.join(&b'\n'))
        .end()
        .ends_with_code(0);
    let answers = answer.json_lines();
    let seen: Vec<(Option<&Json>, &str, &str)> = answers
        .iter()
        .map(|answer| {
            let text = |name: &str| answer[name].as_str().unwrap_or("");
            (answer.get("id"), text("effect"), text("reason"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some(&json!(7)), "allow", ""),
            (Some(&json!("b")), "deny", "PATH_TRAVERSAL_DENIED"),
            (None, "deny", "REQUEST_INVALID"),
            (Some(&json!([1])), "allow", ""),
            (Some(&json!(4)), "deny", "REQUEST_INVALID"),
            (None, "deny", "REQUEST_INVALID"),
            (Some(&Json::Null), "deny", "PATH_ENCODING_DENIED"),
            (None, "deny", "REQUEST_INVALID"),
            (Some(&json!(9)), "ask", "APPROVAL_REQUIRED"),
            (Some(&json!(10)), "deny", "PATH_EMPTY_OR_NONE"),
        ]
    );
    assert!(answers.iter().all(|answer| answer["v"] == 1));
    assert!(answers.iter().all(|answer| answer["recorded"] == true));
    assert_eq!(answers[3]["request"]["actor"], "bob");
    let shown = call_ledger(&place, &["show", "--json"]).json_lines();
    let decisions = shown.iter().filter(|entry| entry["type"] == "decision");
    assert_eq!(decisions.count(), lines.len());
}

#[test]
fn a_batch_of_nothing_is_answered_with_nothing() {
    let place = place();
    let answer = place.lictor(["check", "--batch"]).end().ends_with_code(0);
    assert_eq!(answer.stdout, "");
}

// diff

#[test]
fn recorded_requests_are_decided_again_by_both_policies() {
    let place = place();
    call(&place, &["check"], &["cat", "docs/a.md"]).ends_with_code(0);
    call(&place, &["check"], &["cat", "elsewhere/a.md"]).ends_with_code(1);
    place.write("after.yaml", POLICY.replace("docs/**", "docs/*/**"));
    let ledger = ledger(&place);
    let compared = || {
        let words = [
            "diff",
            "--json",
            "lictor.yaml",
            "after.yaml",
            "--against-ledger",
        ];
        let words = words
            .map(str::to_owned)
            .into_iter()
            .chain([ledger.display().to_string()]);
        place.lictor(words).end().ends_with_code(1).json()
    };
    let found = compared();
    assert_eq!(found["ledger"]["replayed"], 2);
    let flips = found["ledger"]["flips"].as_array().unwrap();
    assert_eq!(flips.len(), 0, "`docs/a.md` is in both");
    place.write("after.yaml", POLICY.replace("docs/**", "docs/b/**"));
    let found = compared();
    let flips = found["ledger"]["flips"].as_array().unwrap();
    assert_eq!(flips.len(), 1);
    assert_eq!(
        (&flips[0]["before"]["effect"], &flips[0]["after"]["effect"]),
        (&json!("allow"), &json!("deny"))
    );

    let none = place
        .lictor([
            "diff",
            "lictor.yaml",
            "lictor.yaml",
            "--against-ledger",
            "nowhere",
        ])
        .end();
    none.ends_with_code(2);
    place
        .lictor(["diff", "lictor.yaml", "missing.yaml"])
        .end()
        .ends_with_code(2);
    let same = place
        .lictor(["diff", "lictor.yaml", "lictor.yaml"])
        .end()
        .ends_with_code(0);
    assert_eq!(same.stdout, "the policies decide alike\n");
}

// explain

#[test]
fn explain_tells_what_every_rule_had_to_do_with_it_and_records_nothing() {
    let place = place();
    let answer = call(&place, &["explain", "--json"], &["cat", "docs2/a.md"]);
    let told = answer.ends_with_code(1).json();
    assert_eq!(told["reason"], "PATH_OUTSIDE_ALLOWED_SCOPE");
    assert_eq!(told["recorded"], false);
    let rules = told["explanation"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 7, "every rule of the policy");
    for rule in rules {
        assert_eq!(keys(rule), ["id", "effect", "at", "applies", "why"]);
    }
    assert_eq!(told["explanation"]["nearest"]["id"], "docs");
    let why = told["explanation"]["nearest"]["why"].as_str().unwrap();
    assert!(why.contains("docs2"), "{why}");

    call(&place, &["explain"], &["cat", "docs/a.md"]).ends_with_code(0);
    call(&place, &["explain"], &["cat", "docs/private/b.md"]).ends_with_code(3);
    let supposed = ["explain", "--given-approval", "owner"];
    call(&place, &supposed, &["cat", "docs/private/b.md"]).ends_with_code(0);
    let human = call(&place, &["explain"], &["cat", "docs2/a.md"]).stdout;
    assert!(human.contains("nearest"), "{human}");
    assert!(!ledger(&place).exists());
}

// run

#[track_caller]
fn run_ends_with(policy: &str, script: &str, code: i32) -> Answer {
    let place = Place::with_policy(policy);
    call(&place, &["run"], &["sh", "-c", script]).ends_with_code(code)
}

#[test]
fn run_ends_with_the_code_of_the_command() {
    for code in [0, 1, 2, 7, 124, 125, 126, 127, 255] {
        let answer = run_ends_with(POLICY, &format!("exit {code}"), code);
        assert_eq!(answer.stdout, "");
        assert_eq!(
            answer.stderr, "",
            "nothing is added to what the command said"
        );
    }
}

#[test]
fn run_ends_with_128_and_the_signal_that_killed_the_command() {
    for signal in [9, 15] {
        let answer = run_ends_with(POLICY, &format!("kill -{signal} $$"), 128 + signal);
        assert!(answer.stderr.contains("SIGNALED"), "{answer:?}");
    }
}

#[test]
fn run_ends_with_124_at_the_deadline() {
    let answer = run_ends_with(SHORT, "sleep 100", 124);
    assert!(answer.stderr.contains("TIMEOUT"), "{answer:?}");
    assert!(answer.stderr.contains("sleep 100"), "the tree: {answer:?}");
}

#[test]
fn run_ends_with_124_when_the_command_ignores_sigterm_and_says_sigkill() {
    let place = Place::with_policy(SHORT);
    let script = "trap '' TERM; sleep 100; sleep 100";
    let outcome = call(&place, &["run", "--json"], &["sh", "-c", script])
        .ends_with_code(124)
        .json();
    let stop = &outcome["evidence"]["stop"];
    assert!(stop["kill_at_ms"].is_u64(), "{stop}");
    let kill = |sent: &Json| sent["signal"] == 9;
    assert!(stop["signals"].as_array().unwrap().iter().any(kill));
}

#[test]
fn run_ends_with_126_when_it_is_not_allowed_and_says_why() {
    let place = place();
    for (argv, says) in [
        (&["bash", "-c", "true"][..], "TOOL_NOT_ALLOWED"),
        (&["cat", "../x"], "PATH_TRAVERSAL_DENIED"),
        (&["cat", "docs/private/b.md"], "APPROVAL_REQUIRED"),
        (&["cat", "docs/nothing.md"], "PATH_NOT_FOUND"),
        (&["cat", "docs/k.pem"], "Keys are read by people"),
        (&["cat", "src/a.rs"], "Name a file below docs."),
    ] {
        let answer = call(&place, &["run"], argv).ends_with_code(126);
        assert_eq!(answer.stdout, "");
        assert!(answer.stderr.contains(says), "{says}: {answer:?}");
    }
}

#[test]
fn run_ends_with_127_when_the_program_is_not_found() {
    let place = place();
    let answer = call(&place, &["run"], &["no-such-program-anywhere"]).ends_with_code(127);
    assert!(answer.stderr.contains("PROGRAM_NOT_FOUND"), "{answer:?}");
    let acts = [
        "run",
        "--tool",
        "files",
        "--action",
        "read",
        "--arg",
        "path=docs/a.md",
    ];
    let answer = place.lictor(acts).end().ends_with_code(127);
    assert!(answer.stderr.contains("the host acts"), "{answer:?}");
}

#[test]
fn output_passes_through_byte_for_byte_on_its_own_stream() {
    let place = place();
    let output = start(
        &place,
        &["run"],
        &[
            "sh",
            "-c",
            r"printf 'a\000\377\n'; printf 'b\033[31m' >&2; exit 3",
        ],
    )
    .command
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"a\0\xff\n");
    assert_eq!(output.stderr, b"b\x1b[31m");
}

#[test]
fn output_passes_through_whole_though_less_is_kept() {
    let answer = run_ends_with(POLICY, "yes 0123456789 | head -n 10000", 0);
    assert_eq!(answer.stdout.len(), 110_000);
}

/// Starts a script that says `first` and then waits for a line of the pipe `go`.
fn waiting(place: &Place, command: &[&str], script: &str) -> std::process::Child {
    let pipe = place.work().join("go");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    start(place, command, &["sh", "-c", script])
        .command
        .spawn()
        .unwrap()
}

#[track_caller]
fn first_line(child: &mut std::process::Child) -> BufReader<std::process::ChildStdout> {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    stdout
}

#[test]
fn output_passes_through_as_it_comes() {
    let place = place();
    let mut child = waiting(&place, &["run"], "echo first; read x < go; echo $x");
    let mut stdout = first_line(&mut child);
    std::fs::write(place.work().join("go"), "second\n").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "second\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn run_ends_with_125_when_the_outcome_cannot_be_recorded() {
    let place = place();
    let mut child = waiting(&place, &["run"], "echo first; read x < go; exit 0");
    let _stdout = first_line(&mut child);
    std::fs::remove_dir_all(ledger(&place)).unwrap();
    std::fs::write(place.work().join("go"), "\n").unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(125));
    assert!(stderr.contains("the outcome is not recorded"), "{stderr}");
}

#[test]
fn a_signal_to_lictor_cancels_the_run_and_is_recorded() {
    let place = place();
    let outcome = place.work().join("outcome.json");
    let flags = ["run", "--outcome", outcome.to_str().unwrap()];
    let mut child = waiting(&place, &flags, "echo first; read x < go");
    let _stdout = first_line(&mut child);
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    let outcome: Json = serde_json::from_slice(&std::fs::read(outcome).unwrap()).unwrap();
    assert_eq!(outcome["evidence"]["status"], "CANCELLED");
    assert_eq!(outcome["evidence"]["stop"]["why"], "cancelled");
    assert_eq!(outcome["recorded"], true);
}

#[test]
fn run_in_json_is_one_line_and_nothing_passes_through() {
    let place = place();
    let answer = call(
        &place,
        &["run", "--json"],
        &["sh", "-c", "echo out; echo err >&2; exit 5"],
    )
    .ends_with_code(5);
    assert_eq!(answer.stderr, "");
    let outcome = answer.json();
    assert_eq!(
        keys(&outcome),
        ["v", "decision", "evidence", "recorded", "ledger"]
    );
    assert_eq!(outcome["v"], 1);
    assert_eq!(outcome["decision"]["effect"], "allow");
    assert_eq!(outcome["decision"]["disk"], "agrees");
    let evidence = &outcome["evidence"];
    assert_eq!(evidence["status"], "FAIL");
    assert_eq!(evidence["exit_code"], 5);
    assert_eq!(evidence["stdout"]["text"], "out\n");
    assert_eq!(evidence["stderr"]["text"], "err\n");
    assert_eq!(evidence["stdout"]["bytes"], 4);
    assert_eq!(evidence["report"], Json::Null);
    assert_eq!(outcome["recorded"], true);
    let path = ledger(&place);
    assert_eq!(outcome["ledger"]["path"], path.to_str().unwrap());
    let (first, last) = (&outcome["ledger"]["first"], &outcome["ledger"]["last"]);
    assert!(first.as_u64().unwrap() < last.as_u64().unwrap());
}

#[test]
fn a_refused_run_in_json_has_no_evidence() {
    let place = place();
    let outcome = call(&place, &["run", "--json"], &["cat", "../x"])
        .ends_with_code(126)
        .json();
    assert_eq!(outcome["decision"]["reason"], "PATH_TRAVERSAL_DENIED");
    assert_eq!(outcome["evidence"], Json::Null);
    assert_eq!(outcome["recorded"], true);
}

#[test]
fn the_outcome_file_holds_what_json_would_say_and_output_passes_through() {
    let place = place();
    let file = place.work().join("outcome.json");
    let flags = ["run", "--outcome", file.to_str().unwrap()];
    let read = || -> Json { serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap() };
    let answer = call(&place, &flags, &["sh", "-c", "echo out; exit 124"]).ends_with_code(124);
    assert_eq!(answer.stdout, "out\n");
    assert_eq!(read()["evidence"]["status"], "FAIL", "no timeout of ours");
    assert_eq!(read()["evidence"]["exit_code"], 124);
    let again = call(&place, &flags, &["cat", "../x"]);
    is_usage_error(&again, "nothing is replaced");
    assert_eq!(read()["evidence"]["exit_code"], 124);
    std::fs::remove_file(&file).unwrap();
    call(&place, &flags, &["cat", "../x"]).ends_with_code(126);
    assert_eq!(read()["evidence"], Json::Null);
    let nowhere = ["run", "--outcome", "nowhere/outcome.json"];
    let answer = call(&place, &nowhere, &["sh", "-c", "echo ran > ran"]);
    is_usage_error(&answer, "cannot be written");
    assert!(!place.work().join("ran").exists(), "nothing was run");
}

#[test]
fn the_command_gets_only_the_declared_environment_and_no_input() {
    let place = place();
    let answer = start(&place, &["run"], &["sh", "-c", "env; cat; pwd"])
        .env("SECRET_OF_THE_CALLER", "x")
        .env("OWNER_AGREES", "1")
        .env("LD_PRELOAD", "")
        .input("typed")
        .end()
        .ends_with_code(0);
    let mut names: Vec<&str> = answer
        .stdout
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    names.retain(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name));
    assert_eq!(names, ["HOME", "LANG", "PATH", "TERM", "TMPDIR", "USER"]);
    assert!(!answer.stdout.contains("typed"));
    let work = place.work().canonicalize().unwrap();
    assert!(answer.stdout.ends_with(&format!("{}\n", work.display())));
}

#[test]
fn what_was_denied_is_suggested_as_a_patch_and_nothing_is_changed() {
    let place = place();
    place.write("notes/x.md", "a note\n");
    for argv in [&["cat", "notes/x.md"], &["cat", "notes"], &["cat", "../y"]] {
        call(&place, &["check"], argv).ends_with_code(1);
    }
    let before = std::fs::read(place.work().join("lictor.yaml")).unwrap();
    let suggest = |flags: &[&str]| {
        let words = ["suggest"].iter().chain(flags);
        let start = place.lictor(words).env("XDG_STATE_HOME", place.root());
        start.end().ends_with_code(0)
    };
    let told = suggest(&[]);
    // A directory means what is below it.
    assert!(
        told.stdout.contains("+  suggested-cat-run: [\"notes/**\"]"),
        "{told:?}"
    );
    assert!(told.stdout.starts_with("--- ") && told.stdout.contains("@@"));
    assert!(
        told.stderr.contains("1 with PATH_TRAVERSAL_DENIED"),
        "{told:?}"
    );
    assert_eq!(
        std::fs::read(place.work().join("lictor.yaml")).unwrap(),
        before
    );

    let json = suggest(&["--json"]).json();
    assert_eq!(json["suggestions"][0]["requests"], 2);
    assert_eq!(json["newly_allowed"][0]["tool"], "cat");
    // The patch is one that other programs apply.
    let patch = json["diff"].as_str().unwrap();
    let mut apply = Command::new("patch");
    apply.args(["-s", "lictor.yaml"]).current_dir(place.work());
    let Ok(mut apply) = apply.stdin(Stdio::piped()).spawn() else {
        println!("not applied: there is no patch here");
        return;
    };
    std::io::Write::write_all(&mut apply.stdin.take().unwrap(), patch.as_bytes()).unwrap();
    assert!(apply.wait().unwrap().success());
    call(&place, &["check", "--dry-run"], &["cat", "notes/x.md"]).ends_with_code(0);
    assert!(suggest(&[]).stderr.contains("nothing to suggest"));
}

const COPIES: &str = "version: 1
name: copies
tools:
  cp:
    program: cp
    actions:
      run: {args: {from: {type: path, required: true}, to: {type: path, access: write, creates: itself, required: true}}}
scopes: {all: \"**\"}
rules:
  - {id: copy, allow: cp.run, within: all}
";

#[test]
fn a_report_is_read_from_the_file_that_the_request_says_is_written() {
    let place = Place::with_policy(COPIES);
    place.write(
        "new.xml",
        "<testsuite><testcase classname=\"a\" name=\"x\"/></testsuite>",
    );
    place.write("no.xml", "<testsuite>");
    let run = |file: &str, argv: &[&str]| {
        call(&place, &["run", "--json", "--report-file", file], argv).json()
    };
    let outcome = run("out.xml", &["cp", "new.xml", "out.xml"]);
    let report = &outcome["evidence"]["report"];
    assert_eq!(report["kind"], "junit", "{outcome:#}");
    assert_eq!(report["passed"], serde_json::json!(["a::x"]));

    // What was there before is not about this run, and what is read has to be a report.
    for (file, argv, why) in [
        ("out.xml", ["cp", "absent", "out.xml"], "PATH_NOT_FOUND"),
        ("out.xml", ["cp", "out.xml", "out.xml"], "has not written"),
        ("new2.xml", ["cp", "no.xml", "new2.xml"], "not JUnit"),
    ] {
        let outcome = run(file, &argv);
        assert_eq!(outcome["evidence"]["report"], Json::Null);
        assert!(outcome.to_string().contains(why), "{why}: {outcome:#}");
    }
    // Only what the request names as written is read.
    for file in ["new.xml", "../out.xml", "other.xml"] {
        let outcome = run(file, &["cp", "new.xml", "out.xml"]);
        assert_eq!(outcome["evidence"], Json::Null, "{outcome:#}");
        assert_eq!(outcome["decision"]["reason"], "ARGUMENT_INVALID");
    }
}

// lint and test

#[test]
fn lint_ends_with_0_1_2_for_clean_findings_and_unreadable() {
    let place = place();
    place.write("bad.yaml", "version: 1\nname: bad\nrules: []\nalow: x\n");
    let lint = |args: &[&str]| place.lictor([&["lint"], args].concat()).end();
    // A rule that never decides is an error.
    let dead = "  - {id: old, allow: cat.run, within: secrets, until: 2026-01-31}\n";
    let found = lint(&["lictor.yaml", "--json"]).ends_with_code(1).json();
    let found: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["level"] == "error")
        .collect();
    assert!(
        matches!(found.as_slice(), [found] if found["code"] == "L201" && found["line"] == 31),
        "{found:?}"
    );
    place.write("lictor.yaml", POLICY.replace(dead, ""));
    lint(&["lictor.yaml"]).ends_with_code(0);
    let found = lint(&["lictor.yaml", "--json"]).json();
    let found = found.as_array().unwrap();
    assert!(
        !found.is_empty() && found.iter().all(|found| found["level"] != "error"),
        "{found:?}"
    );
    lint(&["lictor.yaml", "--fail-on", "warn"]).ends_with_code(1);
    lint(&["lictor.yaml", "--fail-on", "warn", "--exit-zero"]).ends_with_code(0);
    place.write("clean.yaml", "version: 1\nname: clean\nrules: []\n");
    assert_eq!(lint(&["clean.yaml", "--json"]).json(), json!([]));
    lint(&["clean.yaml", "--fail-on", "info"]).ends_with_code(0);
    let human = lint(&["bad.yaml"]).ends_with_code(1);
    assert!(human.stdout.contains("error[P002]"), "{human:?}");
    assert!(human.stdout.contains("bad.yaml:4:1"), "{human:?}");
    let compact = lint(&["--format", "compact", "bad.yaml"]).ends_with_code(1);
    assert_eq!(compact.stdout.lines().count(), 1);
    assert!(
        compact.stdout.starts_with("bad.yaml:4:1: error[P002]: "),
        "{compact:?}"
    );
    let found = lint(&["bad.yaml", "--json"]).ends_with_code(1).json();
    assert_eq!(
        keys(&found[0]),
        [
            "v", "code", "name", "level", "file", "line", "column", "length", "message", "help",
            "witness", "fix", "related"
        ]
    );
    assert_eq!(found[0]["code"], "P002");
    assert_eq!(found[0]["level"], "error");
    assert_eq!(
        (&found[0]["line"], &found[0]["column"], &found[0]["length"]),
        (&json!(4), &json!(1), &json!(4))
    );
    lint(&["bad.yaml", "--exit-zero"]).ends_with_code(0);
    lint(&["lictor.yaml", "bad.yaml"]).ends_with_code(1);
    is_usage_error(&lint(&["nowhere.yaml"]), "nowhere.yaml");
    lint(&[]).ends_with_code(0);
    lint(&["--policy", "bad.yaml"]).ends_with_code(1);
}

#[test]
fn test_ends_with_0_1_2_for_passing_failing_and_invalid() {
    let place = place();
    place.write("failing.yaml", POLICY.replace("rule: docs}", "rule: old}"));
    place.write("bad.yaml", "version: 1\nname: bad\nalow: x\n");
    let test = |args: &[&str]| place.lictor([&["test"], args].concat()).end();
    let passed = test(&["lictor.yaml"]).ends_with_code(0);
    assert!(passed.stdout.contains("1 passed, 0 failed"), "{passed:?}");
    test(&[]).ends_with_code(0);
    let failed = test(&["failing.yaml"]).ends_with_code(1);
    assert!(failed.stdout.contains("expected rule `old`"), "{failed:?}");
    let both = test(&["--json", "lictor.yaml", "failing.yaml"])
        .ends_with_code(1)
        .json();
    assert_eq!(keys(&both), ["v", "passed", "failed", "tests", "unread"]);
    assert_eq!((&both["passed"], &both["failed"]), (&json!(1), &json!(1)));
    assert_eq!(both["tests"][1]["passed"], false);
    is_usage_error(&test(&["bad.yaml"]), "P002");
    is_usage_error(&test(&["nowhere.yaml"]), "nowhere.yaml");
}

#[test]
fn the_command_sees_nothing_of_the_ledger_in_the_first_run_either() {
    let place = place();
    let ledger = ledger(&place);
    let script = format!(
        "ls -A {0}; umount -l {0}; ls -A {0}; cat {0}/key",
        ledger.display()
    );
    let evidence =
        call(&place, &["run", "--json"], &["sh", "-c", &script]).json()["evidence"].take();
    if evidence["containment"]["level"] != "pid-namespace" {
        return need::lacks("pid-namespace", evidence);
    }
    assert!(ledger.join("key").exists());
    assert_eq!(evidence["stdout"]["text"], "", "{evidence:#}");
    assert_eq!(evidence["status"], "FAIL");
}

// ledger

fn call_ledger(place: &Place, args: &[&str]) -> Answer {
    place
        .lictor([&["ledger"], args].concat())
        .env("XDG_STATE_HOME", place.root())
        .end()
}

#[test]
fn a_whole_ledger_is_verified_with_a_graded_verdict() {
    let place = place();
    call(&place, &["check"], &["cat", "docs/a.md"]).ends_with_code(0);
    call(&place, &["run"], &["sh", "-c", "exit 3"]).ends_with_code(3);
    let human = call_ledger(&place, &["verify"]).ends_with_code(0);
    assert!(human.stdout.starts_with("SIGNED"), "{human:?}");
    assert!(human.stdout.contains("not proven"), "{human:?}");
    let report = call_ledger(&place, &["verify", "--json"]).json();
    assert_eq!(report["v"], 1);
    assert_eq!(report["verdict"], "SIGNED");
    assert_eq!(report["problems"], json!([]));
    assert!(report["entries"].as_u64().unwrap() >= 6);
    assert!(report["unsigned_tail"].is_u64());
    assert!(!report["not_proven"].as_array().unwrap().is_empty());
}

#[test]
fn one_changed_byte_is_found_in_its_line() {
    let place = place();
    call(&place, &["check"], &["cat", "docs/a.md"]).ends_with_code(0);
    call(&place, &["run"], &["sh", "-c", "exit 3"]).ends_with_code(3);
    let segment = ledger(&place).join("segments/000000000000.jsonl");
    let whole = std::fs::read(&segment).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(lines.len() >= 6);
    let mut begin = 0;
    for (nth, line) in lines.iter().enumerate() {
        let mut changed = whole.clone();
        let at = begin + line.len() / 2;
        changed[at] ^= 1;
        std::fs::write(&segment, &changed).unwrap();
        let report = call_ledger(&place, &["verify", "--json"])
            .ends_with_code(1)
            .json();
        assert_eq!(report["verdict"], "TAMPERED");
        let problem = &report["problems"][0];
        assert_eq!(keys(problem), ["segment", "line", "byte", "what"]);
        assert_eq!(problem["line"], json!(nth + 1), "{report}");
        begin += line.len();
    }
    let human = call_ledger(&place, &["verify"]).ends_with_code(1);
    assert!(human.stdout.starts_with("TAMPERED"), "{human:?}");
    assert!(human.stdout.contains(" line "), "{human:?}");
    // Nothing is allowed while the record is not what was written.
    let refused = call(&place, &["run", "--json"], &["sh", "-c", "exit 3"]).ends_with_code(126);
    assert_eq!(refused.json()["decision"]["reason"], "LEDGER_UNAVAILABLE");
}

#[test]
fn a_missing_ledger_is_never_called_whole() {
    let place = place();
    let report = call_ledger(&place, &["verify", "--json"]).ends_with_code(1);
    assert_eq!(report.json()["verdict"], "MISSING");
    is_usage_error(&call_ledger(&place, &["show"]), "there is no ledger");
}

#[test]
fn the_ledger_shows_what_was_decided_and_done() {
    let place = place();
    call(&place, &["check", "--actor", "ann"], &["cat", "docs/a.md"]).ends_with_code(0);
    call(&place, &["check", "--actor", "bob"], &["cat", "../a"]).ends_with_code(1);
    call(&place, &["run", "--actor", "bob"], &["sh", "-c", "exit 3"]).ends_with_code(3);
    let show = |args: &[&str]| {
        let args = [&["show", "--json"], args].concat();
        call_ledger(&place, &args).ends_with_code(0).json_lines()
    };
    let kinds = |lines: &[Json]| -> Vec<String> {
        let kind = |line: &Json| line["type"].as_str().unwrap().to_owned();
        lines
            .iter()
            .map(kind)
            .filter(|kind| !["segment", "policy", "checkpoint"].contains(&kind.as_str()))
            .collect()
    };
    assert_eq!(
        kinds(&show(&[])),
        ["decision", "decision", "decision", "start", "outcome"]
    );
    assert_eq!(
        kinds(&show(&["--actor", "bob"])),
        ["decision", "decision", "start", "outcome"]
    );
    let denied = show(&["--reason", "PATH_TRAVERSAL_DENIED"]);
    assert_eq!(denied.len(), 1);
    assert_eq!(denied[0]["actor"], "bob");
    assert_eq!(denied[0]["effect"], "deny");
    let run = show(&["--actor", "bob"])[1]["run"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        kinds(&show(&["--run", &run])),
        ["decision", "start", "outcome"]
    );
    assert_eq!(show(&["--from", "2990-01-01"]).len(), 0);
    let human = call_ledger(&place, &["show"]).stdout;
    assert!(human.contains("exit_code=3"), "{human}");
    for (args, says) in [
        (["--reason", "NO_SUCH_REASON"], "NO_SUCH_REASON"),
        (["--from", "yesterday"], "yesterday"),
        (["--run", "x"], "32 lower-case hex digits"),
    ] {
        let args = [&["show"], &args[..]].concat();
        is_usage_error(&call_ledger(&place, &args), says);
    }
}

#[test]
fn a_ledger_can_be_named_instead_of_a_policy() {
    let place = place();
    let directory = place.ledger();
    let directory = directory.to_str().unwrap();
    call(
        &place,
        &["check", "--ledger", directory],
        &["cat", "docs/a.md"],
    )
    .ends_with_code(0);
    let elsewhere = Place::new();
    let verify = ["ledger", "--ledger", directory, "verify", "--json"];
    let report = elsewhere.lictor(verify).end().ends_with_code(0).json();
    assert_eq!(report["verdict"], "SIGNED");
}

#[test]
fn without_a_ledger_nothing_is_allowed_and_a_denial_stays() {
    let place = place();
    let nowhere = place.write("occupied", "a file, not a directory");
    let nowhere = nowhere.to_str().unwrap();
    let check = ["check", "--json", "--ledger", nowhere];
    let allow = call(&place, &check, &["cat", "docs/a.md"]).ends_with_code(1);
    assert!(allow.stderr.contains("not recorded"), "{allow:?}");
    let allow = allow.json();
    assert_eq!(allow["effect"], "deny");
    assert_eq!(allow["reason"], "LEDGER_UNAVAILABLE");
    assert_eq!(allow["rule"], Json::Null);
    assert_eq!(allow["command"], Json::Null);
    assert_eq!(allow["recorded"], false);
    assert!(allow["message"].as_str().unwrap().contains(nowhere));

    let deny = call(&place, &check, &["cat", "../a"])
        .ends_with_code(1)
        .json();
    assert_eq!(deny["reason"], "PATH_TRAVERSAL_DENIED");
    assert_eq!(deny["recorded"], false);
    let ask = call(&place, &check, &["cat", "docs/private/b.md"]);
    assert_eq!(ask.ends_with_code(3).json()["recorded"], false);

    let run = ["run", "--json", "--ledger", nowhere];
    let outcome = call(&place, &run, &["sh", "-c", "echo ran > ran"]).ends_with_code(126);
    let outcome = outcome.json();
    assert_eq!(outcome["decision"]["reason"], "LEDGER_UNAVAILABLE");
    assert_eq!(outcome["evidence"], Json::Null);
    assert_eq!(outcome["recorded"], false);
    assert!(!place.work().join("ran").exists(), "nothing was run");

    let dry = ["check", "--dry-run", "--ledger", nowhere];
    call(&place, &dry, &["cat", "docs/a.md"]).ends_with_code(0);
}

// Which policy.

fn policy_in_force(start: program::Start) -> Json {
    let decision = start.end().json();
    decision["policy"]["name"].clone()
}

const ASK_WHICH: [&str; 6] = ["check", "--json", "--dry-run", "--", "cat", "docs/a.md"];

#[test]
fn the_outermost_policy_is_in_force() {
    let place = place();
    place.write("a/lictor.yaml", named("inner"));
    place.write("a/b/x", "");
    let from = |below: &str| {
        let directory = place.work().join(below);
        policy_in_force(place.lictor(ASK_WHICH).current_dir(directory))
    };
    assert_eq!(from("."), "shell");
    assert_eq!(from("a"), "shell");
    assert_eq!(from("a/b"), "shell");
}

#[test]
fn a_named_policy_goes_before_the_variable_and_that_before_discovery() {
    let place = place();
    let file = |name: &str| place.write(&format!("{name}.yaml"), named(name));
    let (flag, variable) = (file("flag"), file("variable"));
    assert_eq!(policy_in_force(place.lictor(ASK_WHICH)), "shell");
    let with_variable =
        |args: &[&str]| policy_in_force(place.lictor(args).env("LICTOR_POLICY", &variable));
    assert_eq!(with_variable(&ASK_WHICH), "variable");
    let flag = ["--policy", flag.to_str().unwrap()];
    assert_eq!(with_variable(&[&flag[..], &ASK_WHICH].concat()), "flag");
    let empty = place.lictor(ASK_WHICH).env("LICTOR_POLICY", "");
    assert_eq!(policy_in_force(empty), "shell");
}

#[test]
fn without_a_policy_everything_is_denied_and_that_is_said() {
    let place = Place::new();
    let answer = place.lictor(ASK_WHICH).end().ends_with_code(1);
    assert!(answer.stderr.contains("no policy was found"), "{answer:?}");
    let decision = answer.json();
    assert_eq!(decision["effect"], "deny");
    assert_eq!(decision["policy"]["name"], "default");
    let refused = call(&place, &["run"], &["true"]).ends_with_code(126);
    assert_eq!(refused.stdout, "");
}

#[test]
fn a_policy_that_others_may_write_is_not_used() {
    let place = place();
    let file = place.work().join("lictor.yaml");
    for mode in [0o664, 0o646, 0o666] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let answer = place.lictor(ASK_WHICH).end().ends_with_code(1);
        assert!(answer.stderr.contains("others may write"), "{answer:?}");
        assert_eq!(answer.json()["policy"]["name"], "default");
    }
}

#[test]
fn a_policy_of_somebody_else_is_not_used() {
    let place = place();
    let file = place.work().join("lictor.yaml");
    if let Err(error) = std::os::unix::fs::chown(&file, Some(1002), Some(1002)) {
        return need::lacks("root", error);
    }
    let answer = place.lictor(ASK_WHICH).end().ends_with_code(1);
    assert!(answer.stderr.contains("somebody else"), "{answer:?}");
    assert_eq!(answer.json()["policy"]["name"], "default");
}

#[test]
fn an_invalid_policy_decides_nothing() {
    let place = Place::with_policy("version: 1\nname: bad\nrules: []\nalow: x\n");
    for args in [
        &["check", "--", "true"][..],
        &["check", "--json", "--", "true"],
        &["check", "--batch"],
        &["explain", "--", "true"],
        &["run", "--", "true"],
        &["run", "--json", "--", "true"],
        &["test"],
        &["ledger", "verify"],
    ] {
        let answer = place.lictor(args).end();
        is_usage_error(&answer, "error[P002]");
        assert!(answer.stderr.contains("lictor.yaml:4:1"), "{answer:?}");
    }
    place.lictor(["lint"]).end().ends_with_code(1);
    for args in [&["check", "--", "true"][..], &["run", "--", "true"]] {
        let nowhere = place.lictor([&["--policy", "nowhere.yaml"], args].concat());
        is_usage_error(&nowhere.end(), "nowhere.yaml");
        let directory = place.lictor([&["--policy", "."], args].concat());
        is_usage_error(&directory.end(), "cannot be read");
    }
}

// Who asks.

#[test]
fn the_actor_is_the_flag_else_the_variable_else_the_user() {
    let place = place();
    let asks = |args: &[&str], variable: &str| {
        let words = [&["check", "--json"], args, &["--", "cat", "docs/a.md"]].concat();
        let answer = place.lictor(words).env("LICTOR_ACTOR", variable).end();
        answer.json()["request"]["actor"].clone()
    };
    assert_eq!(asks(&["--actor", "flag"], "variable"), "flag");
    assert_eq!(asks(&[], "variable"), "variable");
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    assert_eq!(asks(&[], ""), format!("uid-{}", user.trim()));
}

#[test]
fn rules_are_for_the_actors_they_name() {
    let place = place();
    for actor in ["guest-1", "guest-"] {
        let check = ["check", "--json", "--actor", actor];
        let denied = call(&place, &check, &["cat", "docs/a.md"]);
        assert_eq!(denied.ends_with_code(1).json()["rule"], "guest");
    }
    let other = ["check", "--actor", "a-guest-1"];
    call(&place, &other, &["cat", "docs/a.md"]).ends_with_code(0);
}

#[test]
fn a_name_that_is_no_actor_is_denied() {
    let place = place();
    for actor in ["", "a b", "é", "a\tb", &"x".repeat(129)] {
        let check = ["check", "--json", "--actor", actor];
        let denied = call(&place, &check, &["cat", "docs/a.md"]);
        let denied = denied.ends_with_code(1).json();
        assert_eq!(denied["reason"], "REQUEST_INVALID", "{actor:?}");
    }
}

// Usage.

#[test]
fn bad_usage_ends_with_2_and_answers_nothing() {
    let place = place();
    for (args, says) in [
        (&[][..], "Usage"),
        (&["bogus"], "bogus"),
        (&["check"], "nothing is asked for"),
        (&["check", "--"], "nothing is asked for"),
        (&["check", "cat", "docs/a.md"], "behind `--`"),
        (&["check", "--bogus", "--", "cat"], "--bogus"),
        (&["check", "--tool", "cat"], "--action"),
        (&["check", "--action", "run"], "--tool"),
        (
            &["check", "--tool", "cat", "--action", "run", "--", "cat"],
            "cannot be used with",
        ),
        (&["check", "--arg", "path=x", "--", "cat"], "--tool"),
        (&["check", "--given-env", "X", "--", "cat"], "NAME=VALUE"),
        (
            &["check", "--given-approval", "nobody", "--", "cat"],
            "nobody",
        ),
        (&["check", "--at", "noon", "--", "cat"], "noon"),
        (&["check", "--batch", "--", "cat"], "--batch"),
        (&["check", "--color", "red", "--", "cat"], "red"),
        (&["explain"], "nothing is asked for"),
        (&["run"], "nothing is asked for"),
        (&["run", "--dry-run", "--", "cat"], "--dry-run"),
        (&["lint", "--format", "xml", "lictor.yaml"], "xml"),
        (&["test", "--format", "xml"], "xml"),
        (&["ledger"], "Usage"),
        (&["ledger", "mend"], "mend"),
    ] {
        is_usage_error(&place.lictor(args).end(), says);
    }
}

#[test]
fn flags_stand_before_and_after_the_command() {
    let place = Place::new();
    let policy = place.write("else/where.yaml", named("elsewhere"));
    let (policy, directory) = (policy.to_str().unwrap(), place.ledger());
    let flags = [
        "--policy",
        policy,
        "--ledger",
        directory.to_str().unwrap(),
        "--actor",
        "ci",
        "--json",
        "--color",
        "never",
    ];
    let request = ["--", "cat", "docs/a.md"];
    for words in [
        [&flags[..], &["check"], &request].concat(),
        [&["check"], &flags[..], &request].concat(),
        [&flags[..4], &["check"], &flags[4..], &request].concat(),
    ] {
        let decision = place.lictor(&words).end().ends_with_code(0).json();
        assert_eq!(decision["policy"]["name"], "elsewhere", "{words:?}");
        assert_eq!(decision["request"]["actor"], "ci", "{words:?}");
    }
    let behind = [&flags[..6], &["check"], &request, &["--json"]].concat();
    let answer = place.lictor(behind).end().ends_with_code(1);
    assert!(
        answer.stdout.contains("--json"),
        "behind `--` it is the command's: {answer:?}"
    );
}

#[test]
fn every_command_has_help_on_standard_output() {
    let place = Place::new();
    let commands: [&[&str]; 9] = [
        &[],
        &["check"],
        &["explain"],
        &["run"],
        &["lint"],
        &["test"],
        &["ledger"],
        &["ledger", "verify"],
        &["ledger", "show"],
    ];
    for command in commands {
        for flag in ["--help", "-h"] {
            let answer = place.lictor([command, &[flag]].concat()).end();
            let answer = answer.ends_with_code(0);
            assert_eq!(answer.stderr, "", "{command:?}");
            assert!(answer.stdout.contains("Usage: lictor"), "{answer:?}");
            for global in ["--policy", "--ledger", "--actor", "--json", "--color"] {
                assert!(answer.stdout.contains(global), "{global} {command:?}");
            }
        }
        place
            .lictor([&["help"], command].concat())
            .end()
            .ends_with_code(0);
    }
    let top = place.lictor(["--help"]).end().stdout;
    assert!(top.contains("Exit codes"), "{top}");
    let version = place.lictor(["--version"]).end().ends_with_code(0);
    assert_eq!(
        version.stdout,
        format!("lictor {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn colour_is_for_terminals_or_on_demand() {
    let place = Place::with_policy("version: 1\nname: bad\nrules: []\nalow: x\n");
    let plain = place.lictor(["lint"]).end().stdout;
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let coloured = place.lictor(["lint", "--color", "always"]).end().stdout;
    assert!(coloured.contains('\x1b'), "{coloured:?}");
    let none = place.lictor(["lint", "--color", "never"]).end().stdout;
    assert_eq!(none, plain);
}

#[test]
fn text_of_a_request_is_printed_escaped() {
    let place = place();
    for command in ["check", "explain", "run"] {
        let answer = call(&place, &[command], &["cat", "docs/\x1b[2Jx\u{202e}"]);
        assert!(!answer.stdout.contains('\x1b'), "{command}: {answer:?}");
        assert!(!answer.stderr.contains('\x1b'), "{command}: {answer:?}");
        assert!(!answer.stdout.contains('\u{202e}'), "{command}: {answer:?}");
        let tool = call(&place, &[command], &["\x1b[2J", "x"]);
        assert!(!tool.stdout.contains('\x1b'), "{command}: {tool:?}");
        assert!(!tool.stderr.contains('\x1b'), "{command}: {tool:?}");
    }
    let shown = call_ledger(&place, &["show"]).stdout;
    assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}'));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let place = place();
    for argv in [
        &["ledger", "show"][..],
        &["check", "--", "cat", "docs/a.md"],
        &["explain", "--", "cat", "docs/a.md"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.lictor(argv).command;
        let output = command.stdout(writer).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{argv:?}: {stderr}");
        assert!(output.status.code().is_some(), "{argv:?}");
    }
}

// list and attack

const FILES: &str = "version: 1
name: files
use: [lictor/files@1, lictor/git@1]
scopes: {docs: \"docs/**\", secrets: \"**/.env*\"}
rules:
  - {id: docs, allow: [\"filesystem.*\", git.add], within: docs}
  - {id: no-secrets, deny: \"*\", touching: secrets}
";

#[test]
fn list_tells_what_an_action_may_touch_and_why_not() {
    let place = Place::with_policy(FILES);
    place.write("docs/a.md", "");
    place.write("docs/.env", "");
    place.write("src/b\u{1b}c", "");
    let list = |args: &[&str]| place.lictor(["list"].iter().chain(args)).end();
    let answer = list(&["--tool", "filesystem", "--action", "read_file"]).ends_with_code(0);
    assert_eq!(
        answer.stdout,
        "allow  filesystem.read_file path  docs/a.md\n\
         filesystem.read_file path (read): 1 allowed, 0 asked for, 3 denied \
         (DENIED_BY_RULE 1, PATH_CONTROL_CHAR_DENIED 1, PATH_OUTSIDE_ALLOWED_SCOPE 1)\n"
    );
    let read = ["--tool", "filesystem", "--action", "read_file", "--json"];
    let lines = list(&read).ends_with_code(0).json_lines();
    let told: Vec<(&str, &str)> = lines
        .iter()
        .filter_map(|line| Some((line["path"].as_str()?, line["effect"].as_str()?)))
        .collect();
    let expected = [
        ("docs/.env", "deny"),
        ("docs/a.md", "allow"),
        ("lictor.yaml", "deny"),
        ("src/b\u{1b}c", "deny"),
    ];
    assert_eq!(told, expected);
    assert_eq!(lines[4]["files"], json!({"allow": 1, "ask": 0, "deny": 3}));
    let all = list(&["--tool", "filesystem", "--action", "read_file", "--all"]).ends_with_code(0);
    assert!(
        all.stdout
            .contains("src/b\\u{1b}c  PATH_CONTROL_CHAR_DENIED\n"),
        "{all:?}"
    );
    // Of all actions only the numbers; a directory to start in is no file.
    let answer = list(&[]).ends_with_code(0);
    assert!(
        answer.stdout.contains("git.add path (read): 1 allowed"),
        "{answer:?}"
    );
    assert!(!answer.stdout.contains("git.add dir"), "{answer:?}");
    is_usage_error(&list(&["--tool", "nothing"]), "has no tool `nothing`");
    let answer = list(&["--tool", "git", "--action", "nothing"]);
    is_usage_error(&answer, "has no action `nothing`");
    assert!(
        !place.root().join("state/lictor").exists(),
        "nothing is recorded"
    );
}

#[test]
fn list_ends_with_2_where_the_workspace_is_gone() {
    let place = Place::new();
    let file = place.root().join("gone.yaml");
    std::fs::write(&file, FILES.replace("use:", "workspace: gone\nuse:")).unwrap();
    let answer = place
        .lictor(["--policy", file.to_str().unwrap(), "list"])
        .end();
    is_usage_error(&answer, "gone` cannot be opened");
}

#[test]
fn attack_ends_with_0_2_4_for_no_breach_not_done_and_not_all_tried() {
    let place = Place::with_policy(FILES);
    let attack = |args: &[&str]| place.lictor(["attack"].iter().chain(args)).end();
    let answer = attack(&["--count", "300", "--seed", "5"]).ends_with_code(0);
    assert!(
        answer.stdout.contains("300 hostile requests (seed 5)"),
        "{answer:?}"
    );
    assert_eq!(answer.stderr, "", "no bar where nobody watches");
    let ask = ["--count", "300", "--seed", "5", "--json"];
    let first = attack(&ask).ends_with_code(0).json();
    let names = [
        "v",
        "seed",
        "tried",
        "allowed",
        "undecided",
        "left_out",
        "breaches",
    ];
    assert_eq!(keys(&first), names);
    assert!(first["allowed"].as_u64() > Some(0), "{first}");
    assert_eq!(attack(&ask).json(), first, "the same seed, the same attack");
    is_usage_error(&attack(&["nowhere.yaml"]), "cannot be read");
    is_usage_error(&attack(&["--count", "0"]), "--count");
    let names: String = (0..400).map(|n| format!("\"d{n}\", ")).collect();
    let large = FILES.replace("\"docs/**\"", &format!("[{names}\"docs/**\"]"));
    let large = place.write("large.yaml", large);
    let answer = attack(&[large.to_str().unwrap(), "--count", "5"]).ends_with_code(4);
    assert!(answer.stdout.contains("were not tried"), "{answer:?}");
    assert!(
        !place.root().join("state/lictor").exists(),
        "nothing is recorded"
    );
}

// The same as an ordinary user.
