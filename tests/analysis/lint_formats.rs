//! What `lictor lint` hands to other programs: SARIF that fits its schema, with exact regions and fixes;
//! workflow commands; JUnit; and `--fix`, which keeps what a policy says.

use crate::support::need;
use std::process::{Command, Stdio};

use crate::support::program::Place;
use serde_json::Value as Json;

/// A policy with findings of every level, one of them behind letters of several bytes.
const POLICY: &str = "version: 1
name: open
use: [lictor/files@1, lictor/pytest@1]
scopes:
  repo: \"**\"
  tests: \"tests/**\"
approvals:
  council: {env: TESTS_ENABLED}
rules:
  - {reason: Für alle größeren Dinge., id: edit, allow: filesystem.write_file, within: repo}
  # lint: allow X312 -- nobody remembers
  - {id: run, allow: pytest.run, within: tests, approval: council, env: {inherit: [CI, TESTS_ENABLED]}}
tests:
  - {run: [ls], expect: allow}
";

fn place() -> Place {
    Place::with_policy(POLICY)
}

fn findings(place: &Place) -> Vec<Json> {
    let answer = place.lictor(["lint", "--json"]).end().json();
    answer.as_array().unwrap().clone()
}

#[test]
fn sarif_points_at_the_bytes_and_carries_fixes() {
    let place = place();
    let sarif = place
        .lictor(["lint", "--format", "sarif"])
        .end()
        .ends_with_code(1)
        .json();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), findings(&place).len());
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let lines: Vec<&str> = POLICY.lines().collect();
    let mut fixes = 0;
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        let region = &result["locations"][0]["physicalLocation"]["region"];
        let number = |key: &str| usize::try_from(region[key].as_u64().unwrap()).unwrap();
        let (start, len) = (number("byteOffset"), number("byteLength"));
        let by_bytes = &POLICY[start..start + len];
        if number("startLine") == number("endLine") {
            let line: Vec<char> = lines[number("startLine") - 1].chars().collect();
            let by_columns: String = line[number("startColumn") - 1..number("endColumn") - 1]
                .iter()
                .collect();
            assert_eq!(by_columns, by_bytes, "{result}");
        }
        fixes += result["fixes"].as_array().map_or(0, Vec::len);
    }
    assert!(fixes > 3, "{fixes}");
    let wide = results
        .iter()
        .find(|result| result["ruleId"] == "G113")
        .unwrap();
    assert_eq!(
        wide["locations"][0]["physicalLocation"]["region"]["startColumn"],
        44
    );
}

#[test]
fn sarif_fits_the_schema() {
    let Some(python) = need::named("jsonschema") else {
        return;
    };
    let place = place();
    let sarif = place.lictor(["lint", "--format", "sarif"]).end();
    let Some(schema) = need::named("sarif-schema") else {
        return;
    };
    let script = r"
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
document = json.load(sys.stdin)
validator = jsonschema.validators.validator_for(schema)(schema)
print(json.dumps([error.message for error in validator.iter_errors(document)]))
";
    let mut child = Command::new(python)
        .arg("-c")
        .arg(script)
        .arg(schema)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), sarif.stdout.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "[]");
}

#[test]
fn github_gets_one_command_a_line() {
    let place = place();
    let end = place
        .lictor(["lint", "--format", "github"])
        .end()
        .ends_with_code(1);
    assert_eq!(end.stdout.lines().count(), findings(&place).len());
    for line in end.stdout.lines() {
        let is_command = ["::error ", "::warning ", "::notice "]
            .iter()
            .any(|word| line.starts_with(word));
        assert!(
            is_command && line.contains(",line=") && line.contains("file="),
            "{line}"
        );
    }
}

#[test]
fn junit_counts_what_fails() {
    let place = place();
    let text = place.lictor(["lint", "--format", "junit"]).end().stdout;
    let failures = findings(&place)
        .iter()
        .filter(|found| found["level"] == "error")
        .count();
    assert!(text.contains(&format!("failures=\"{failures}\"")), "{text}");
    assert!(text.contains("T405 failing-test"), "{text}");
    place.write("clean.yaml", "version: 1\nname: clean\nrules: []\n");
    let clean = place
        .lictor(["lint", "--format", "junit", "clean.yaml"])
        .end()
        .ends_with_code(0)
        .stdout;
    assert!(clean.contains("failures=\"0\""), "{clean}");
    let tests = place
        .lictor(["test", "--format", "junit"])
        .end()
        .ends_with_code(1)
        .stdout;
    assert!(
        tests.contains("failures=\"1\"") && tests.contains("expected allow, got deny"),
        "{tests}"
    );
}

#[test]
fn fix_makes_what_is_safe_and_keeps_the_rest_byte_by_byte() {
    let place = place();
    let end = place.lictor(["lint", "--fix"]).end().ends_with_code(1);
    let expected = POLICY.replace("  # lint: allow X312 -- nobody remembers\n", "");
    let fixed = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    let fixed = fixed.replace("[CI]", "[CI, TESTS_ENABLED]");
    assert_eq!(fixed, expected, "{}", end.stderr);
    assert!(end.stderr.contains("fixed"), "{}", end.stderr);
    let again = place.lictor(["lint", "--fix"]).end();
    assert!(
        again.stderr.contains("nothing is fixed"),
        "{}",
        again.stderr
    );
}

#[test]
fn fix_quotes_and_corrects_a_policy_that_does_not_load() {
    let place = Place::with_policy(
        "name: x # why\nversion: 1\nscopes:\n  a: [1.10, './b/**'] # keep\nrules: []\n",
    );
    place.lictor(["lint", "--fix"]).end().ends_with_code(0);
    let fixed = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    assert_eq!(
        fixed,
        "name: x # why\nversion: 1\nscopes:\n  a: [\"1.10\", \"b/**\"] # keep\nrules: []\n"
    );
}

#[test]
fn fix_follows_no_link_and_keeps_the_mode() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let real = place.write("real.yaml", POLICY);
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real.yaml", place.work().join("link.yaml")).unwrap();
    place
        .lictor(["lint", "--fix", "link.yaml"])
        .end()
        .ends_with_code(2);
    assert_eq!(std::fs::read_to_string(&real).unwrap(), POLICY);
    place.lictor(["lint", "--fix", "real.yaml"]).end();
    assert!(
        place
            .work()
            .join("link.yaml")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        std::fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_ne!(std::fs::read_to_string(&real).unwrap(), POLICY);
    let left: Vec<_> = std::fs::read_dir(place.work()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_lies_around_a_policy_is_looked_at() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let program = place.write("bin/runner", "");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    place.write("docs/a.md", "");
    let policy = place.write(
        "lictor.yaml",
        format!(
            "version: 1
name: around
use: lictor/files@1
scopes:
  bins: \"bin/**\"
  docs: docs
  misspelt: \"dcos/**\"
tools:
  runner:
    program: {}
    actions:
      go: {{args: {{path: {{type: path, required: true}}}}}}
ledger: {{path: bin/ledger}}
rules:
  - {{id: build, allow: filesystem.write_file, within: bins}}
  - {{id: go, allow: runner.go, within: [docs, misspelt]}}
",
            program.display()
        ),
    );
    std::fs::set_permissions(&policy, std::fs::Permissions::from_mode(0o666)).unwrap();
    let found = place.lictor(["lint", "--json", "lictor.yaml"]).end().json();
    let found: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            (
                found["code"].as_str().unwrap(),
                found["line"].as_u64().unwrap(),
            )
        })
        .collect();
    for expected in [
        ("P016", 1),
        ("G108", 6),
        ("G117", 7),
        ("X303", 10),
        ("X308", 13),
    ] {
        assert!(found.contains(&expected), "{expected:?}: {found:?}");
    }
}

#[test]
fn explain_prints_the_page_of_every_code_and_name() {
    let place = Place::new();
    for page in lictor::lint::pages() {
        let end = place
            .lictor(["lint", "--explain", page.code])
            .end()
            .ends_with_code(0);
        assert!(
            end.stdout.contains(page.name) && end.stdout.contains("## What it does"),
            "{end:?}"
        );
    }
    place
        .lictor(["lint", "--explain", "sibling-prefix"])
        .end()
        .ends_with_code(0);
    let end = place
        .lictor(["lint", "--explain", "Z999"])
        .end()
        .ends_with_code(2);
    assert!(end.stderr.contains("`Z999`"), "{}", end.stderr);
}

#[test]
fn coverage_names_what_no_test_shows() {
    let place = Place::with_policy(
        "version: 1\nname: half\nuse: lictor/files@1\nscopes: {docs: \"docs/**\"}\nrules:\n  - {id: read, allow: filesystem.read_file, within: docs}\ntests:\n  - {tool: filesystem, action: read_file, args: {path: docs/a.md}, expect: allow, rule: read}\n",
    );
    let test = |args: &[&str]| place.lictor([&["test"], args].concat()).end();
    let told = test(&["--coverage"]).ends_with_code(0).stdout;
    assert!(
        told.contains("50 % covered, 1 of 2")
            && told.contains("lictor.yaml:4: no test shows where the scope ends: docs"),
        "{told}"
    );
    test(&["--min-coverage", "50"]).ends_with_code(0);
    test(&["--min-coverage", "51"]).ends_with_code(1);
    let json = test(&["--coverage", "--json"]).json();
    assert_eq!(json["coverage"][0]["percent"], 50);
    assert_eq!(json["coverage"][0]["missing"][0]["kind"], "boundary");
}

#[test]
fn schema_prints_what_editors_read() {
    let place = Place::new();
    let end = place.lictor(["schema"]).end().ends_with_code(0);
    let schema: Json = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}
