//! The report of a run, as the program gives it: read while output comes, held against how the run ended.

use crate::support::program::Place;
use serde_json::Value as Json;

const POLICY: &str = r#"
version: 1
name: reported
scopes: {all: ["**"]}
tools:
  pytest: {program: sh, actions: {run: {report: pytest, args: {script: {type: text, option: "-c", lines: true, join: space, required: true}}}}}
  cargo: {program: sh, actions: {run: {report: cargo-test, args: {script: {type: text, option: "-c", lines: true, join: space, required: true}}}}}
  nextest: {program: sh, actions: {run: {report: nextest, args: {script: {type: text, option: "-c", lines: true, join: space, required: true}}}}}
  junit: {program: sh, actions: {run: {report: junit, args: {script: {type: text, option: "-c", lines: true, join: space, required: true}}}}}
rules:
  - {id: run, allow: "*", limits: {timeout: 20s, output: 1KiB}TERM}
"#;

/// The evidence and the exit code of a script that a tool runs. `term` is put behind the limits.
fn run(tool: &str, script: &str, term: &str) -> (Json, i32) {
    let place = Place::with_policy(&POLICY.replace("TERM", term));
    let arg = format!("script={script}");
    let answer = place
        .lictor([
            "--json", "run", "--tool", tool, "--action", "run", "--arg", &arg,
        ])
        .end();
    let json = answer.json();
    assert!(json["evidence"].is_object(), "{json}");
    (json["evidence"].clone(), answer.code.unwrap())
}

fn events(evidence: &Json) -> Vec<&str> {
    let events = evidence["events"].as_array();
    events
        .into_iter()
        .flatten()
        .map(|event| event["what"].as_str().unwrap())
        .collect()
}

#[test]
fn a_summary_that_the_exit_code_contradicts_is_told_and_may_be_a_failure() {
    let script = "echo '=== 1 failed, 2 passed in 0.01s ==='";
    let (evidence, code) = run("pytest", script, "");
    assert_eq!((code, evidence["status"].as_str()), (0, Some("PASS")));
    assert_eq!(events(&evidence), ["REPORT_CONTRADICTS"]);
    assert_eq!(evidence["report"]["counts"]["failed"], 1);

    let (evidence, code) = run("pytest", script, ", report: fail");
    assert_eq!((code, evidence["status"].as_str()), (1, Some("FAIL")));

    for ending in ["exit 1", "kill -SEGV $$"] {
        let script = format!("echo '=== 3 passed in 0.01s ==='; {ending}");
        let (evidence, _) = run("pytest", &script, "");
        assert_eq!(events(&evidence), ["REPORT_CONTRADICTS"]);
        assert_eq!(evidence["report"], Json::Null);
    }
}

#[test]
fn a_report_that_is_declared_and_does_not_come_is_told_and_may_be_a_failure() {
    for action in ["pytest", "cargo", "nextest", "junit"] {
        let (evidence, code) = run(action, "echo no summary", "");
        assert_eq!((code, evidence["status"].as_str()), (0, Some("PASS")));
        assert_eq!(events(&evidence), ["REPORT_MISSING"]);
        assert_eq!(evidence["report"], Json::Null);
        let (evidence, code) = run(action, "echo no summary", ", report: fail");
        assert_eq!((code, evidence["status"].as_str()), (1, Some("FAIL")));
    }
    let (evidence, code) = run(
        "pytest",
        "echo '=== 3 passed in 0.01s ==='",
        ", report: fail",
    );
    assert_eq!((code, events(&evidence)), (0, Vec::new()));
}

#[test]
fn what_is_not_kept_of_the_output_is_counted() {
    let script = "noise() { i=0; while [ $i -lt 400 ]; do echo line $i of some text; i=$((i+1)); done; }
        program() { echo; echo running 1 test; noise; echo; echo \"test result: $1 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\"; }
        program 'ok. 1 passed; 0 failed;'
        program 'FAILED. 0 passed; 1 failed;'
        program 'ok. 1 passed; 0 failed;'
        exit 101";
    let (evidence, code) = run("cargo", script, "");
    assert_eq!(code, 101);
    assert!(evidence["stdout"]["dropped"].as_u64().unwrap() > 10_000);
    let counts = &evidence["report"]["counts"];
    assert_eq!(
        (&counts["passed"], &counts["failed"]),
        (&2.into(), &1.into())
    );
    assert_eq!(events(&evidence), Vec::<&str>::new());
}

#[test]
fn nextest_is_believed_over_what_its_tests_print() {
    let script = "echo '    Starting 4 tests across 2 binaries' >&2
        echo running 3 tests
        echo 'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s'
        echo '     Summary [   0.030s] 4 tests run: 3 passed, 1 failed, 0 skipped' >&2
        echo '     SIGABRT [   0.005s] (4/4) cr::zcrash c2' >&2
        exit 100";
    for action in ["nextest", "cargo"] {
        let (evidence, _) = run(action, script, "");
        let report = &evidence["report"];
        assert_eq!(report["kind"], "nextest");
        assert_eq!(
            (&report["counts"]["passed"], &report["counts"]["failed"]),
            (&3.into(), &1.into())
        );
        assert_eq!(report["failed"][0], "cr::zcrash c2");
    }
}

#[test]
fn why_output_is_no_document_is_told() {
    let about = |script: &str| {
        let (evidence, _) = run("junit", script, "");
        assert_eq!(events(&evidence), ["REPORT_MISSING"]);
        evidence["events"][0]["about"].as_str().unwrap().to_owned()
    };
    assert!(about("echo '<!DOCTYPE a [<!ENTITY b \"c\">]><testsuite/>'").contains("document type"));
    assert!(
        about("echo '<?xml version=\"1.0\" encoding=\"x-none\"?><testsuite/>'")
            .contains("encoded as `x-none`")
    );
    assert!(about("echo '<testsuite>'").contains("not complete"));
    assert!(about("echo '<testsuite/>'; head -c 17000000 /dev/zero").contains("16 MiB"));
}
