//! The case this project grew from, row by row: an agent may run pytest below `runtime/tests`, once a
//! council agrees, and nothing of a run is left when it ends.
//!
//! Rows that decide need only this crate. Rows that run need a pytest outside every workspace; it is
//! named by `LICTOR_TEST_PYTEST`, and without it they say that they did not run.

use crate::support::need;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::program::{Answer, Place};
use lictor::decision::{Context, Decision, Effect, Request, Value, decide};
use lictor::policy::CompiledPolicy;
use lictor::reason::Reason;
use serde_json::Value as Json;

const PRESET: &str = include_str!("../../policy/presets/lifeos-pytest.yaml");
const SWITCH: &str = "PYTEST_EXECUTION_ENABLED";

fn policy() -> CompiledPolicy {
    CompiledPolicy::from_yaml(PRESET).unwrap()
}

fn approved() -> Context {
    Context::new("agent").with_switch(SWITCH, "true")
}

/// The same request as a command line and by name.
fn both_forms(target: &str) -> [Request; 2] {
    [
        Request::argv(["pytest", target]),
        Request::named("pytest", "run").with_arg("target", target),
    ]
}

#[track_caller]
fn allows(target: &str, executed: &str) {
    for request in both_forms(target) {
        let decision = decide(&policy(), &request, &approved());
        assert_eq!(decision.effect(), Effect::Allow, "{target:?}: {decision:?}");
        assert_eq!(decision.reason(), None, "{target:?}");
        assert_eq!(decision.rules()[0].id, "run-tests", "{target:?}");
        assert_eq!(decision.argv().unwrap(), ["pytest", executed], "{target:?}");
        assert_eq!(
            decision.findings()[0].canonical.as_deref(),
            Some(executed.trim_end_matches('/'))
        );
    }
}

#[track_caller]
fn denies(target: &str, reason: Reason) {
    for request in both_forms(target) {
        let decision = decide(&policy(), &request, &approved());
        assert_eq!(decision.effect(), Effect::Deny, "{target:?}: {decision:?}");
        assert_eq!(decision.reason(), Some(reason), "{target:?}: {decision:?}");
        assert!(decision.argv().is_none(), "{target:?}");
        assert!(!decision.message().is_empty(), "{target:?}");
    }
}

// Scope.

#[test]
fn what_is_below_the_scope_is_allowed() {
    allows("runtime/tests/test_foo.py", "runtime/tests/test_foo.py");
    allows("runtime/tests/", "runtime/tests");
    allows("runtime/tests", "runtime/tests");
    allows(
        "runtime/tests/subdir/test_bar.py",
        "runtime/tests/subdir/test_bar.py",
    );
}

#[test]
fn what_is_elsewhere_in_the_workspace_is_outside() {
    for target in [
        "tests/test_foo.py",
        "project_builder/tests/test_foo.py",
        "runtime/governance/test_policy.py",
    ] {
        denies(target, Reason::PathOutsideAllowedScope);
    }
}

#[test]
fn climbing_out_is_denied() {
    denies("../escape.py", Reason::PathTraversalDenied);
    denies("runtime/../docs/test.py", Reason::PathTraversalDenied);
}

#[test]
fn an_absolute_path_is_denied() {
    denies("/etc/passwd", Reason::AbsolutePathDenied);
}

#[test]
fn a_path_with_backslashes_is_executed_with_slashes() {
    allows(r"runtime\tests\test_foo.py", "runtime/tests/test_foo.py");
}

#[test]
fn a_sibling_with_the_same_prefix_is_outside() {
    denies(
        "runtime/tests_evil/test_x.py",
        Reason::PathOutsideAllowedScope,
    );
}

#[test]
fn climbing_is_denied_wherever_it_leads() {
    for target in [
        "runtime/tests/../runtime/governance/test_x.py",
        "runtime/tests/../docs/01_governance/x.py",
        "../runtime/tests/test_x.py",
        "runtime/../tests/test_x.py",
    ] {
        denies(target, Reason::PathTraversalDenied);
    }
}

#[test]
fn a_dot_segment_is_denied() {
    for target in [
        "runtime/./tests/test_x.py",
        "./runtime/tests/test_x.py",
        "runtime/tests/./test_x.py",
    ] {
        denies(target, Reason::PathTraversalDenied);
    }
}

#[test]
fn climbing_with_backslashes_is_denied() {
    for target in [
        r"runtime\tests\..\docs\01_governance\x.py",
        r"runtime\tests\..\runtime\governance\test_x.py",
    ] {
        denies(target, Reason::PathTraversalDenied);
    }
}

#[test]
fn an_absolute_path_is_denied_whatever_it_resembles() {
    for target in [
        "/runtime/tests/test_x.py",
        "/home/user/runtime/tests/test_x.py",
        r"C:\Windows\System32",
        r"C:\runtime\tests\test_x.py",
        r"D:\projects\test.py",
        "//server/share/test.py",
        "//192.168.1.1/files/test.py",
    ] {
        denies(target, Reason::AbsolutePathDenied);
    }
}

#[test]
fn an_empty_target_is_denied() {
    for target in ["", "   ", "\t", "\n"] {
        denies(target, Reason::PathEmptyOrNone);
    }
    let null = Request::named("pytest", "run").with_arg("target", Value::Null);
    let decision = decide(&policy(), &null, &approved());
    assert_eq!(decision.effect(), Effect::Deny);
    assert_eq!(decision.reason(), Some(Reason::PathEmptyOrNone));
}

// Tool policy.

#[test]
fn the_rule_for_pytest_allows_a_file_and_the_directory() {
    for target in [
        "runtime/tests/test_foo.py",
        "runtime/tests",
        "runtime/tests/",
    ] {
        allows(target, target.trim_end_matches('/'));
    }
}

#[test]
fn every_path_outside_is_denied_for_its_own_reason() {
    denies("/etc/passwd", Reason::AbsolutePathDenied);
    denies("../outside_tests.py", Reason::PathTraversalDenied);
    for target in [
        "project_builder/tests/test_builder.py",
        "docs/test_docs.py",
        "config/test_config.py",
        "runtime/test_outside.py",
        "tests/test_not_runtime.py",
    ] {
        denies(target, Reason::PathOutsideAllowedScope);
    }
}

#[test]
fn without_a_target_nothing_is_run() {
    for request in [Request::argv(["pytest"]), Request::named("pytest", "run")] {
        let decision = decide(&policy(), &request, &approved());
        assert_eq!(decision.effect(), Effect::Deny);
        assert_eq!(decision.reason(), Some(Reason::ArgumentRequired));
    }
}

#[test]
fn without_the_switch_the_approval_is_asked_for_by_name() {
    for request in both_forms("runtime/tests/test_foo.py") {
        let decision = decide(&policy(), &request, &Context::new("agent"));
        assert_eq!(decision.effect(), Effect::Ask);
        assert_eq!(decision.reason(), Some(Reason::ApprovalRequired));
        let approval = &decision.to_json()["approval"];
        assert_eq!(approval["name"], "council", "{approval}");
        assert_eq!(approval["reference"], "CR-3A-01", "{approval}");
        assert!(approval["how"].as_str().unwrap().contains(SWITCH));
        assert!(decision.argv().is_none());
    }
}

#[test]
fn a_path_outside_is_denied_and_not_asked_for_without_the_switch() {
    for request in both_forms("docs/test_docs.py") {
        let decision = decide(&policy(), &request, &Context::new("agent"));
        assert_eq!(decision.effect(), Effect::Deny);
        assert_eq!(decision.reason(), Some(Reason::PathOutsideAllowedScope));
    }
}

fn with_switch(value: &str) -> Decision {
    let context = Context::new("agent").with_switch(SWITCH, value);
    let [request, _] = both_forms("runtime/tests/test_foo.py");
    decide(&policy(), &request, &context)
}

#[test]
fn the_switch_is_on_for_true_1_and_yes_in_any_case() {
    for value in ["true", "True", "TRUE", "1", "yes", "YES"] {
        assert_eq!(with_switch(value).effect(), Effect::Allow, "{value}");
    }
}

#[test]
fn the_switch_is_off_for_everything_else() {
    for value in ["false", "False", "FALSE", "0", "no", "NO", "", " true", "2"] {
        let decision = with_switch(value);
        assert_eq!(decision.effect(), Effect::Ask, "{value:?}");
        assert_eq!(decision.reason(), Some(Reason::ApprovalRequired));
    }
}

#[test]
fn an_unknown_tool_and_an_unknown_action_are_denied() {
    let reason = |request| {
        let decision = decide(&policy(), &request, &approved());
        assert_eq!(decision.effect(), Effect::Deny);
        decision.reason().unwrap()
    };
    let tool = |name| Request::named(name, "run").with_arg("target", "runtime/tests/a.py");
    assert_eq!(reason(tool("unittest")), Reason::ToolNotAllowed);
    assert_eq!(
        reason(Request::argv(["unittest", "runtime/tests"])),
        Reason::ToolNotAllowed
    );
    let action = |tool, name| Request::named(tool, name).with_arg("path", "docs/plan.md");
    assert_eq!(
        reason(action("pytest", "install")),
        Reason::ActionNotAllowed
    );
    assert_eq!(
        reason(action("filesystem", "chmod")),
        Reason::ActionNotAllowed
    );
}

const FILE_ACTIONS: [&str; 3] = ["read_file", "write_file", "list_dir"];

#[test]
fn files_inside_the_workspace_are_allowed_and_outside_denied() {
    for action in FILE_ACTIONS {
        let of = |path: &str| {
            let request = Request::named("filesystem", action).with_arg("path", path);
            let decision = decide(&policy(), &request, &approved());
            (decision.effect(), decision.reason())
        };
        assert_eq!(of("docs/plan.md"), (Effect::Allow, None), "{action}");
        for (path, reason) in [
            ("/etc/passwd", Reason::AbsolutePathDenied),
            ("../outside", Reason::PathTraversalDenied),
            ("docs/../../outside", Reason::PathTraversalDenied),
        ] {
            assert_eq!(of(path), (Effect::Deny, Some(reason)), "{action} {path}");
        }
    }
}

#[test]
fn files_are_denied_through_a_symlink() {
    let place = Place::with_policy(PRESET);
    place.write("docs/plan.md", "plan");
    place.write("runtime/tests/test_a.py", "");
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, place.work().join(name)).unwrap();
    };
    link("/etc", "away");
    link("docs", "inside");
    link("/etc/passwd", "docs/passwd");
    let on_disk = |action: &str, path: &str| {
        let path = format!("path={path}");
        let args = [
            "check",
            "--json",
            "--on-disk",
            "--dry-run",
            "--tool",
            "filesystem",
            "--action",
            action,
            "--arg",
            &path,
        ];
        place.lictor(args).end()
    };
    for action in FILE_ACTIONS {
        let path = if action == "list_dir" {
            "docs"
        } else {
            "docs/plan.md"
        };
        let allowed = on_disk(action, path).ends_with_code(0).json();
        assert_eq!(allowed["effect"], "allow");
        assert_eq!(allowed["disk"], "agrees");
        for path in ["away/passwd", "away", "inside/plan.md", "docs/passwd"] {
            let denied = on_disk(action, path).ends_with_code(1).json();
            assert_eq!(denied["reason"], "PATH_SYMLINK_DENIED", "{action} {path}");
        }
    }
}

// Execution.

/// The pytest to test with, if there is one.
fn pytest() -> Option<PathBuf> {
    need::named("pytest").map(PathBuf::from)
}

/// A workspace under the preset, with one line changed: where programs are found.
fn workspace(pytest: &Path, timeout: &str) -> Place {
    let line = "  program_path: [/usr/local/bin, /usr/bin, /bin]\n";
    assert!(PRESET.contains(line) && PRESET.contains("timeout: 300s"));
    let directory = pytest.parent().unwrap().to_str().unwrap();
    let programs = format!("  program_path: [\"{directory}\", /usr/local/bin, /usr/bin, /bin]\n");
    let policy = PRESET
        .replace(line, &programs)
        .replace("timeout: 300s", &format!("timeout: {timeout}"));
    Place::with_policy(&policy)
}

fn run(place: &Place, argv: &[&str]) -> Answer {
    place
        .lictor(["run", "--json", "--"].iter().chain(argv))
        .env(SWITCH, "1")
        .end()
}

/// Runs one test file and returns its evidence.
#[track_caller]
fn evidence_of(test: &str, flags: &[&str], code: i32) -> Option<Json> {
    let place = workspace(&pytest()?, "60s");
    place.write("runtime/tests/test_it.py", test);
    let argv: Vec<&str> = ["pytest"]
        .iter()
        .chain(flags)
        .chain(&["runtime/tests/test_it.py"])
        .copied()
        .collect();
    let mut outcome = run(&place, &argv).ends_with_code(code).json();
    assert_eq!(outcome["decision"]["effect"], "allow");
    assert_eq!(outcome["recorded"], true);
    let evidence = outcome["evidence"].take();
    assert_eq!(evidence["survivors"], Json::Array(Vec::new()));
    assert_eq!(evidence["stop"]["why"], Json::Null);
    Some(evidence)
}

#[test]
fn a_passing_file_passes_with_exit_code_0() {
    let Some(evidence) = evidence_of("def test_good(): pass\n", &[], 0) else {
        return;
    };
    assert_eq!(evidence["status"], "PASS");
    assert_eq!(evidence["exit_code"], 0);
    assert_eq!(evidence["signal"], Json::Null);
    assert_eq!(evidence["report"]["counts"]["passed"], 1);
}

#[test]
fn a_failing_file_fails_and_the_evidence_names_the_test_and_its_message() {
    let test = "def test_good(): pass\ndef test_bad(): assert 1 == 2, 'one is not two'\n";
    let Some(evidence) = evidence_of(test, &[], 1) else {
        return;
    };
    assert_eq!(evidence["status"], "FAIL");
    assert_eq!(evidence["exit_code"], 1);
    let report = &evidence["report"];
    assert_eq!(report["kind"], "pytest");
    assert_eq!(
        report["failed"],
        serde_json::json!(["runtime/tests/test_it.py::test_bad"])
    );
    assert!(
        report["messages"].to_string().contains("one is not two"),
        "{report}"
    );
    assert_eq!(report["counts"]["failed"], 1);
    assert_eq!(report["counts"]["passed"], 1);
}

#[test]
fn both_streams_are_captured() {
    let test = "import sys\ndef test_talks():\n    print('to stdout')\n    print('to stderr', file=sys.stderr)\n";
    let Some(evidence) = evidence_of(test, &["-s"], 0) else {
        return;
    };
    let text = |stream: &str| evidence[stream]["text"].as_str().unwrap().to_owned();
    assert!(text("stdout").contains("to stdout"));
    assert!(text("stderr").contains("to stderr"));
    assert!(!text("stdout").contains("to stderr"));
}

#[test]
fn passed_and_skipped_tests_are_counted() {
    let test = "import pytest\ndef test_a(): pass\ndef test_b(): pass\n@pytest.mark.skip\ndef test_c(): pass\n";
    let Some(evidence) = evidence_of(test, &[], 0) else {
        return;
    };
    let counts = &evidence["report"]["counts"];
    assert_eq!(
        counts,
        &serde_json::json!({"passed": 2, "failed": 0, "skipped": 1, "errors": 0, "xfailed": 0, "xpassed": 0})
    );
}

#[test]
fn a_megabyte_of_output_is_cut_once_and_counted_whole() {
    let test = "def test_talks():\n    for _ in range(10_000):\n        print('0123456789' * 10)\n";
    let Some(evidence) = evidence_of(test, &["-s"], 0) else {
        return;
    };
    let stdout = &evidence["stdout"];
    let text = stdout["text"].as_str().unwrap();
    let number = |name: &str| stdout[name].as_u64().unwrap();
    assert!(number("bytes") > 1_000_000);
    assert!(number("kept_head") + number("kept_tail") <= 50 * 1024);
    assert_eq!(
        number("bytes"),
        number("kept_head") + number("kept_tail") + number("dropped")
    );
    let markers: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(&number("dropped").to_string()))
        .collect();
    assert_eq!(markers.len(), 1, "{markers:?}");
    assert!(text.len() <= 50 * 1024 + markers[0].len() + 2);
    assert_eq!(
        evidence["report"]["counts"]["passed"], 1,
        "counted though cut"
    );
}

#[test]
fn the_evidence_has_every_fact_of_the_original_under_its_own_name() {
    let Some(evidence) = evidence_of("def test_good(): pass\n", &[], 0) else {
        return;
    };
    assert!(evidence["status"].is_string());
    assert!(evidence["exit_code"].is_i64());
    assert!(evidence["duration_ms"].is_u64());
    assert!(evidence["report"]["counts"]["passed"].is_u64());
    for stream in ["stdout", "stderr"] {
        let stream = &evidence[stream];
        assert!(stream["text"].is_string(), "{stream}");
        for name in ["bytes", "lines", "kept_head", "kept_tail", "dropped"] {
            assert!(stream[name].is_u64(), "{name} in {stream}");
        }
        assert_eq!(stream["sha256"].as_str().unwrap().len(), 64);
    }
    for list in ["tree", "leaked", "survivors"] {
        assert!(evidence[list].is_array(), "{list}");
    }
    let containment = &evidence["containment"];
    assert!(containment["level"].is_string());
    assert!(containment["crash_safe"].is_boolean());
    assert!(containment["empty_proof"].is_string());
    assert!(evidence["resources"]["max_rss_bytes"].as_u64().unwrap() > 0);
}

/// A run that does not end by itself, under a deadline of two seconds.
#[track_caller]
fn times_out(test: &str) -> Option<(Place, Json)> {
    let place = workspace(&pytest()?, "2s");
    place.write("runtime/tests/test_it.py", test);
    let started = Instant::now();
    let mut outcome = run(&place, &["pytest", "runtime/tests/test_it.py"])
        .ends_with_code(124)
        .json();
    assert!(started.elapsed() < Duration::from_secs(20));
    let evidence = outcome["evidence"].take();
    assert_eq!(evidence["status"], "TIMEOUT");
    assert_eq!(evidence["exit_code"], Json::Null);
    assert_eq!(evidence["stop"]["why"], "timeout");
    assert!(evidence["duration_ms"].as_u64().unwrap() >= 2000);
    assert!(evidence["stop"]["term_at_ms"].as_u64().unwrap() >= 2000);
    assert_eq!(evidence["survivors"], Json::Array(Vec::new()));
    assert_eq!(evidence["stop"]["signals"][0]["signal"], 15);
    Some((place, evidence))
}

#[test]
fn a_file_that_sleeps_is_ended_by_sigterm_at_its_deadline() {
    let test = "import time\ndef test_sleeps(): time.sleep(9999)\n";
    let Some((_place, evidence)) = times_out(test) else {
        return;
    };
    assert_eq!(evidence["signal"], 15);
    assert_eq!(
        evidence["stop"]["kill_at_ms"],
        Json::Null,
        "SIGTERM was enough"
    );
    let commands = evidence["tree"].to_string();
    assert!(commands.contains("pytest"), "{commands}");
}

/// Every process of the machine whose command line holds `mark`.
fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let is_process = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        if is_process && line.contains(mark) {
            found.push(line);
        }
    }
    found
}

/// The test starts a child, which writes its pid, and both sleep. None of it is there afterwards.
#[track_caller]
fn leaves_nothing(how: &str, started: &str) -> Option<Json> {
    let mark = format!("lictor-seed-{how}-{}", std::process::id());
    let test = format!(
        "import os, signal, subprocess, sys, time\n\
         MARK = '{mark}'\n\
         SLEEP = 'import os, sys, time; print(os.getpid(), file=open(\"child.pid\", \"w\"), flush=True); time.sleep(9999)'\n\
         CHILD = [sys.executable, '-c', SLEEP, MARK]\n\
         def test_leaves_a_child():\n\
         {started}\
         \x20   time.sleep(9999)\n"
    );
    let (place, evidence) = times_out(&test)?;
    let pid = std::fs::read_to_string(place.work().join("child.pid")).unwrap();
    assert!(
        pid.trim().parse::<u32>().unwrap() > 0,
        "the child was there"
    );
    let tree = evidence["tree"].to_string();
    assert!(tree.contains(&mark), "the child is in the picture: {tree}");
    assert_eq!(processes_with(&mark), Vec::<String>::new());
    Some(evidence)
}

#[test]
fn a_child_that_sleeps_is_gone() {
    leaves_nothing("plain", "    subprocess.Popen(CHILD)\n");
}

#[test]
fn a_child_with_a_session_of_its_own_is_gone() {
    leaves_nothing(
        "setsid",
        "    subprocess.Popen(CHILD, start_new_session=True)\n",
    );
}

#[test]
fn a_child_that_forked_twice_is_gone() {
    let started = "    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            os.execv(CHILD[0], CHILD)\n        os._exit(0)\n    os.wait()\n";
    leaves_nothing("double-fork", started);
}

#[test]
fn a_child_that_ignores_sigterm_is_gone_and_sigkill_is_recorded() {
    // An ignored signal stays ignored in what is executed.
    let started = "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    subprocess.Popen(CHILD)\n    signal.signal(signal.SIGTERM, signal.SIG_DFL)\n";
    let Some(evidence) = leaves_nothing("ignores-sigterm", started) else {
        return;
    };
    let stop = &evidence["stop"];
    let at = |name: &str| stop[name].as_u64().unwrap();
    assert!(at("kill_at_ms") >= at("term_at_ms") + 1500, "{stop}");
    assert!(
        stop["signals"].to_string().contains("\"signal\":9"),
        "{stop}"
    );
}
