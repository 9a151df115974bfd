//! What policy/README.md says is so: its examples load, its tables name what there is.

use lictor::lint::policy_tests;
use lictor::path::Switches;
use lictor::policy::{CompiledPolicy, Files, SourceFile, libraries};
use lictor::reason::Reason;

fn readme() -> String {
    std::fs::read_to_string("policy/README.md").unwrap()
}

/// The YAML examples, in order.
fn examples(readme: &str) -> impl Iterator<Item = &str> {
    readme
        .split("\n```yaml\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap())
}

/// What the examples extend.
struct Parents;

impl Files for Parents {
    fn read(&self, name: &str) -> Result<SourceFile, String> {
        Ok(SourceFile::new(name, "version: 1\nname: parent\n"))
    }
}

#[test]
fn every_example_loads_and_passes_its_tests() {
    let readme = readme();
    let mut whole = 0;
    for example in examples(&readme) {
        let text = if example.starts_with("version: 1") {
            whole += 1;
            example.to_owned()
        } else {
            // What the rules of an example speak about.
            let scopes = "scopes: {tests: [\"tests/**\"], reports: [\"reports/*\"], build-files: [\"*.toml\"], secrets: [\"**/.env*\"]}\n";
            let scopes = if example.starts_with("scopes:") {
                ""
            } else {
                scopes
            };
            format!(
                "version: 1\nname: example\nuse: [lictor/pytest@1, lictor/files@1]\n{scopes}{example}\n"
            )
        };
        let policy = CompiledPolicy::load(SourceFile::new("policy", &text), &Parents)
            .unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        for outcome in policy_tests::run(&policy) {
            assert!(
                outcome.passed(),
                "{}: {:?}",
                outcome.request,
                outcome.failures
            );
        }
    }
    assert!(whole >= 1);
}

#[test]
fn every_library_and_each_of_its_tools_is_named() {
    let readme = readme();
    for library in libraries() {
        let name = format!("| `{}` |", library.name());
        let row = readme.lines().find(|line| line.starts_with(&name));
        let row = row.unwrap_or_else(|| panic!("{} has no row", library.name()));
        for tool in library.tools() {
            assert!(
                row.contains(&format!("`{tool}`")),
                "{}: {tool}",
                library.name()
            );
        }
    }
}

const EXTENDED: &str = "version: 1
name: extended
tools:
  pytest:
    extends: lictor/pytest@1
    also: [\"tox -e py\"]
    args: {isolated: {type: flag, names: [\"--isolated\"]}}
    actions:
      run: {args: {seed: {type: int, option: \"--seed\", min: 0}, keyword: {type: choice, option: \"-k\", of: [fast]}}}
      markers: {args: {list: {type: flag, names: [\"--markers\"], required: true}}}
scopes: {tests: \"tests/**\"}
rules: [{id: all, allow: pytest.*, within: tests}]
tests:
";

#[test]
fn a_tool_that_extends_a_library_has_what_both_say_and_what_it_says_itself_first() {
    let tests = "  - {run: [pytest, -v, --seed=3, tests], expect: allow}
  - {run: [pytest, --markers], expect: allow}
  - {run: [pytest, --isolated, tests], expect: allow}
  - {run: [tox, -e, py, tests], expect: allow}
  - {run: [pytest, -k, fast, tests], expect: allow}
  - {run: [pytest, -k, slow, tests], expect: deny, reason: ARGUMENT_INVALID}
  - {run: [python, -m, pytest, tests], expect: deny, reason: TOOL_NOT_ALLOWED}
  - {run: [pytest, -p, x, tests], expect: deny, reason: ARGUMENT_UNKNOWN}
";
    let policy = CompiledPolicy::from_yaml(&format!("{EXTENDED}{tests}")).unwrap();
    for outcome in policy_tests::run(&policy) {
        assert!(
            outcome.passed(),
            "{}: {:?}",
            outcome.request,
            outcome.failures
        );
    }
}

#[test]
fn what_extends_an_unknown_library_or_tool_or_clashes_with_the_library_is_told() {
    for (from, to, said) in [
        (
            "lictor/pytest@1",
            "lictor/pytst@1",
            "there is no library `lictor/pytst@1`",
        ),
        (
            "lictor/pytest@1",
            "lictor/cargo@1",
            "`lictor/cargo@1` declares no tool `pytest` to extend",
        ),
        ("\"--seed\"", "\"--maxfail\"", "--maxfail"),
        ("    extends: lictor/pytest@1\n", "", "`actions`"),
    ] {
        let text = EXTENDED.replace("tests:\n", "").replace(from, to);
        let text = text.replace(
            "actions:\n",
            if to.is_empty() {
                "acts:\n"
            } else {
                "actions:\n"
            },
        );
        let errors = CompiledPolicy::from_yaml(&text).unwrap_err().to_string();
        assert!(errors.contains(said), "{to}: {errors}");
    }
    let library = SourceFile::new(
        "x.yaml",
        "version: 1\ntools: {pytest: {extends: lictor/pytest@1}}\n",
    );
    let errors = CompiledPolicy::library(&library).unwrap().unwrap_err();
    assert!(
        errors
            .to_string()
            .contains("a tool of a library extends none"),
        "{errors}"
    );
}

#[test]
fn every_reason_of_the_lexical_rules_and_every_switch_is_named() {
    let readme = readme();
    let lexical = Reason::ALL
        .iter()
        .skip_while(|reason| **reason != Reason::PathEmptyOrNone)
        .take_while(|reason| **reason != Reason::SelfProtected);
    let mut seen = 0;
    for reason in lexical {
        assert!(readme.contains(&format!("`{reason}`")), "{reason}");
        seen += 1;
    }
    assert!(seen > 15);
    let switches = serde_json::to_value(Switches::default()).unwrap();
    for name in switches.as_object().unwrap().keys() {
        assert!(readme.contains(&format!("`{name}: ")), "{name}");
    }
}
