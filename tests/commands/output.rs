//! Output that cannot be written, and input that is no file: never a panic, never a wait, and never an exit code that
//! says that all is well.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::program::{Answer, Place, Start};

const POLICY: &str = r#"version: 1
name: output
use: [lictor/files@1]
tools:
  cat: {program: cat, actions: {run: {args: {path: {type: path, required: true}}}}}
scopes: {docs: "docs/**"}
approvals: {owner: {grant: true}}
rules:
  - {id: cat, allow: cat.run, within: docs, reason: Documents are open.}
  - {id: read, allow: filesystem.read_file, within: docs, approval: owner, reason: Granted.}
invariants:
  - {id: closed, never: "*", paths: ["secret/**"]}
tests:
  - {run: [cat, docs/a.md], expect: allow}
"#;

fn place() -> Place {
    let place = Place::with_policy(POLICY);
    place.write("docs/a.md", "a document\n");
    place.write("other.yaml", POLICY.replace("docs/**", "texts/**"));
    place.write("wrong.yaml", POLICY.replace("reason", "raeson"));
    place.write("unclean.yaml", POLICY.replace("tests:", "tests_:"));
    place
}

/// Every command and every format, as words that print an answer.
fn lines() -> Vec<Vec<&'static str>> {
    let mut lines: Vec<Vec<&str>> = [
        "--help",
        "--version",
        "run --help",
        "check -- cat docs/a.md",
        "check -- cat /etc/passwd",
        "check --on-disk -- cat docs/a.md",
        "explain -- cat docs/a.md",
        "explain -- cat ../a",
        "run -- cat docs/a.md",
        "approve --why x --tool filesystem --action read_file --arg path=docs/a.md",
        "approvals",
        "lint --explain G104",
        "test",
        "test --coverage",
        "test --format junit",
        "test --generate",
        "diff lictor.yaml other.yaml",
        "diff lictor.yaml lictor.yaml",
        "prove",
        "suggest",
        "list",
        "list --tool cat --action run",
        "attack --count 20",
        "ledger verify",
        "ledger show",
        "ledger tail",
        "ledger tail --format ocsf",
        "ledger stats",
        "ledger stats --format openmetrics",
        "ledger anchor",
        "ledger prove 1",
        "ledger export --format jsonl",
        "ledger export --format ocsf",
        "ledger export ../tiles",
        "ledger reindex",
        "ledger key show",
        "ledger calls",
        "schema",
        "doctor",
        "approvals",
        "list-runs",
        "tools",
        "tools show rg",
    ]
    .iter()
    .map(|line| line.split(' ').collect())
    .collect();
    for format in ["human", "compact", "json", "sarif", "github", "junit"] {
        for file in ["wrong.yaml", "unclean.yaml", "lictor.yaml"] {
            lines.push(vec!["lint", "--format", format, file]);
        }
    }
    let with_json = lines.clone().into_iter().map(|mut line| {
        line.insert(0, "--json");
        line
    });
    lines.extend(with_json.collect::<Vec<_>>());
    lines
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// The exit code, with standard output on a full disk.
fn on_a_full_disk(mut start: Start) -> Answer {
    start.command.stdout(Stdio::null());
    let mut child = start.command.stdout(full()).spawn().unwrap();
    let mut stderr = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    Answer {
        code: child.wait().unwrap().code(),
        stdout: String::new(),
        stderr,
    }
}

#[test]
fn output_that_cannot_be_written_is_2_and_for_a_run_125_in_every_command_and_format() {
    let place = place();
    place.lictor(["check", "--", "cat", "/etc/passwd"]).end();
    let mut wrong = Vec::new();
    for line in lines() {
        let whole = place.lictor(&line).end();
        let answer = on_a_full_disk(place.lictor(&line));
        let is_run = line.contains(&"run") && line.contains(&"cat") && !line.contains(&"list");
        let wanted = match (whole.stdout.is_empty(), is_run) {
            // All that there is to say went to standard error.
            (true, _) => whole.code,
            (false, true) => Some(125),
            (false, false) => Some(2),
        };
        let told = "error: standard output cannot be written: No space left on device";
        let is_told = whole.stdout.is_empty() || answer.stderr.matches(told).count() == 1;
        if answer.code != wanted || !is_told || answer.stderr.contains("panicked") {
            wrong.push(format!("{line:?}: {answer:?}, not {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_that_cannot_be_written_are_no_panic_and_no_success() {
    let place = place();
    for (line, code) in [
        (vec!["lint", "lictor.yaml"], 2),
        (vec!["lint", "missing.yaml"], 2),
        (vec!["--unknown"], 2),
        (vec!["run", "--", "cat", "/etc/passwd"], 125),
    ] {
        let mut start = place.lictor(&line);
        let code_then = start.command.stderr(full()).status().unwrap().code();
        assert_eq!(code_then, Some(code), "{line:?}");
    }
}

#[test]
fn a_closed_standard_output_is_told_where_there_is_something_to_say() {
    let place = place();
    let closed = |line: &str, code| {
        let shell = format!("exec \"$0\" {line} >&-");
        let start = place.lictor(["-"]);
        let mut command = Command::new("sh");
        command
            .args(["-c", &shell])
            .arg(start.command.get_program())
            .current_dir(place.work())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_STATE_HOME", place.root().join("state"));
        let output = command.arg0("sh").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
    };
    closed("check -- cat docs/a.md", 2);
    closed("--json check -- cat docs/a.md", 2);
    closed("run -- cat docs/a.md", 125);
    closed("run -- cat docs/none.md", 126);
    closed("lint --format sarif lictor.yaml", 2);
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let place = place();
    let fifo = place.work().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let user = place.write(
        "user.yaml",
        "version: 1\nname: user\nuse: [./fifo]\nrules: []\n",
    );
    let begun = Instant::now();
    for (line, says) in [
        ("lint fifo", "not a regular file"),
        ("lint /dev/zero", "not a regular file"),
        ("lint user.yaml", "not a regular file"),
        ("lint --baseline fifo lictor.yaml", "not a regular file"),
        ("--policy fifo check -- cat docs/a.md", "not a regular file"),
        (
            "--policy /dev/stdin check -- cat docs/a.md",
            "not a regular file",
        ),
        ("--policy docs check -- cat docs/a.md", "a directory"),
        ("diff fifo lictor.yaml", "not a regular file"),
        ("test fifo", "not a regular file"),
        ("prove /dev/urandom", "not a regular file"),
        ("approve --import fifo", "not a regular file"),
        ("ledger verify --anchor fifo", "not a regular file"),
        ("ledger verify --since fifo", "not a regular file"),
        ("ledger check-proof fifo fifo --key x", "not a regular file"),
    ] {
        let answer = place.lictor(line.split(' ')).end();
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert!(said.contains(says), "{line}: {answer:?}");
        assert_ne!(answer.code, Some(0), "{line}: {answer:?}");
    }
    std::fs::remove_file(user).unwrap();
    std::fs::remove_file(place.work().join("lictor.yaml")).unwrap();
    std::fs::rename(&fifo, place.work().join("lictor.yaml")).unwrap();
    let answer = place.lictor(["run", "--", "cat", "docs/a.md"]).end();
    assert!(answer.stderr.contains("not a regular file"), "{answer:?}");
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_policy_comes_from_standard_input_a_descriptor_or_a_directory() {
    let place = place();
    for name in ["-", "/dev/stdin", "/dev/fd/0"] {
        let lint = |text: &str| {
            place
                .lictor(["lint", "--format", "compact", name])
                .input(text)
                .end()
        };
        lint(POLICY).ends_with_code(0);
        let wrong = lint(&POLICY.replace("reason", "raeson")).ends_with_code(1);
        assert!(wrong.stdout.contains(":10:"), "{wrong:?}");
        let same = place
            .lictor(["diff", name, "lictor.yaml"])
            .input(POLICY)
            .end();
        same.ends_with_code(0);
    }
    let endless = place
        .lictor(["lint", "-"])
        .input(vec![b'#'; 3 * 1024 * 1024])
        .end();
    assert!(matches!(endless.code, Some(1 | 2)), "{endless:?}");
    place.write("sub/lictor.yaml", POLICY);
    let found = place
        .lictor(["lint", "--json", "sub"])
        .end()
        .ends_with_code(0);
    assert!(!found.stdout.contains("\"error\""), "{found:?}");
    let none = place.lictor(["lint", "docs"]).end().ends_with_code(2);
    assert!(none.stderr.contains("docs/lictor.yaml"), "{none:?}");
    let fix = place.lictor(["lint", "--fix", "-"]).input(POLICY).end();
    assert!(fix.stderr.contains("is no file"), "{fix:?}");
}

#[test]
fn of_several_files_the_others_are_answered_where_one_is_missing() {
    let place = place();
    for format in ["compact", "json", "sarif", "github", "junit"] {
        let files = ["wrong.yaml", "missing.yaml", "unclean.yaml"];
        let line = ["lint", "--format", format].into_iter().chain(files);
        let answer = place.lictor(line).end().ends_with_code(2);
        assert!(answer.stdout.contains("wrong.yaml"), "{format}: {answer:?}");
        assert!(
            answer.stdout.contains("unclean.yaml"),
            "{format}: {answer:?}"
        );
        assert!(
            answer.stderr.contains("missing.yaml"),
            "{format}: {answer:?}"
        );
    }
    let test = place.lictor(["test", "missing.yaml", "lictor.yaml"]).end();
    assert_eq!(test.ends_with_code(2).stdout, "1 passed, 0 failed\n");
    let prove = place.lictor(["prove", "lictor.yaml", "missing.yaml"]).end();
    let prove = prove.ends_with_code(2);
    assert!(prove.stdout.contains("1 hold"), "{prove:?}");
}

#[test]
fn a_policy_without_tests_is_told() {
    let place = place();
    let policy = POLICY.split("tests:").next().unwrap();
    place.write("untested.yaml", policy);
    let answer = place
        .lictor(["test", "untested.yaml"])
        .end()
        .ends_with_code(0);
    assert!(
        answer.stderr.contains("no policy holds `tests`"),
        "{answer:?}"
    );
}

#[test]
fn fixes_that_are_not_made_are_told() {
    let place = place();
    let answer = place.lictor(["lint", "--fix", "lictor.yaml"]).end();
    assert!(answer.stderr.contains("nothing is fixed"), "{answer:?}");
}

#[test]
fn a_policy_is_compared_with_what_it_was_at_a_revision() {
    let place = place();
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(words);
        assert!(
            git.current_dir(place.work())
                .output()
                .unwrap()
                .status
                .success(),
            "{words:?}"
        );
    };
    place.write("sub/lictor.yaml", POLICY);
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    let diff = |words: &[&str], directory: &str| {
        let start = place.lictor([&["diff", "--git"], words].concat());
        start.current_dir(place.work().join(directory)).end()
    };
    diff(&["HEAD", "lictor.yaml"], "").ends_with_code(0);
    place.write("sub/lictor.yaml", POLICY.replace("docs/**", "texts/**"));
    for (file, directory) in [
        ("sub/lictor.yaml", ""),
        ("lictor.yaml", "sub"),
        ("../sub/lictor.yaml", "docs"),
    ] {
        let answer = diff(&["HEAD", file], directory).ends_with_code(1);
        assert!(answer.stdout.contains("newly allowed"), "{answer:?}");
    }
    for (revision, file, says) in [
        ("none", "lictor.yaml", "git says"),
        ("HEAD", "missing.yaml", "git says"),
        ("HEAD:x", "lictor.yaml", "no revision"),
        ("", "lictor.yaml", "no revision"),
    ] {
        let answer = diff(&[revision, file], "").ends_with_code(2);
        assert!(answer.stderr.contains(says), "{revision}: {answer:?}");
    }
    place
        .lictor(["diff", "lictor.yaml"])
        .end()
        .ends_with_code(2);
}

#[test]
fn a_forgotten_line_is_shown_as_it_has_to_be_typed() {
    let place = place();
    for (line, says) in [
        ("run ls -la", "lictor run -- ls -la"),
        (
            "run --json pytest -x tests",
            "lictor run --json -- pytest -x tests",
        ),
        ("check cat docs/a.md", "lictor check -- cat docs/a.md"),
        (
            "run --timeout 5s -- cat docs/a.md",
            "`limits: {timeout: 5s}`",
        ),
    ] {
        let answer = place.lictor(line.split(' ')).end().ends_with_code(2);
        assert!(answer.stderr.contains(says), "{line}: {answer:?}");
    }
}

#[test]
fn the_record_shows_what_a_denied_line_asked_for() {
    let place = place();
    place.lictor(["run", "--", "other", "--all", "a b"]).end();
    let answer = place.lictor(["ledger", "show"]).end().ends_with_code(0);
    assert!(
        answer.stdout.contains("argv=other --all \"a b\""),
        "{answer:?}"
    );
}

#[test]
fn an_error_of_the_ledger_names_its_directory_and_a_way_out() {
    let place = place();
    let file = place.write("no-directory", "");
    let ledger = file.join("ledger");
    let start = place.lictor([
        "--ledger",
        ledger.to_str().unwrap(),
        "run",
        "--",
        "cat",
        "docs/a.md",
    ]);
    let answer = start.end();
    assert_ne!(answer.code, Some(0));
    for says in [ledger.to_str().unwrap(), "`ledger.path`", "--ledger DIR"] {
        assert!(answer.stderr.contains(says), "{says}: {answer:?}");
    }
}
