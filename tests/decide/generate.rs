//! `lictor test --generate`: tests for what a policy's own do not show. Each passes, says why, and is put where
//! the document has room for it, whatever its layout; what no test can show is told.

use crate::support::compiled;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::laws::{policy, request};
use crate::support::program::Place;
use lictor::decision::decide;
use lictor::lint::coverage::Coverage;
use lictor::lint::generate::{Generated, generate};
use lictor::lint::{self, Options, Unknown, fix, policy_tests};
use proptest::prelude::*;

fn generated(text: &str) -> Generated {
    generate(&compiled(text), &Options::default())
}

/// Every test of the policy passes, and they show this much of it.
#[track_caller]
fn shows(text: &str, percent: u8) {
    let policy = compiled(text);
    let failed: Vec<_> = policy_tests::run(&policy)
        .into_iter()
        .filter(|outcome| !outcome.passed())
        .map(|outcome| (outcome.request, outcome.failures))
        .collect();
    assert!(failed.is_empty(), "{failed:?}\n{text}");
    let coverage = Coverage::of(&policy);
    let missing: Vec<_> = coverage.missing().collect();
    assert_eq!(coverage.percent(), percent, "{missing:?}\n{text}");
}

/// The policy's text with its tests; nothing is left, and once more nothing is added.
#[track_caller]
fn complete(text: &str) -> String {
    let made = generated(text);
    assert!(made.left.is_empty(), "{:?}\n{text}", made.left);
    let new = made.text.unwrap_or_else(|| panic!("no room\n{text}"));
    shows(&new, 100);
    let again = generated(&new);
    assert!(
        again.tests.is_empty() && again.text.is_none(),
        "{again:?}\n{new}"
    );
    assert_eq!((again.percent_before, again.percent), (100, 100));
    new
}

/// The ids and the rest of the generated tests.
fn lines(made: &Generated) -> Vec<&str> {
    made.tests.iter().map(|test| test.yaml.as_str()).collect()
}

fn presets() -> Vec<(String, String)> {
    let presets = fs::read_dir("policy/presets").unwrap();
    let presets = presets.map(|entry| entry.unwrap().path());
    let texts = presets.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.display().to_string(), text)
    });
    texts.collect()
}

#[test]
fn every_preset_without_its_tests_gets_tests_that_show_all_of_it() {
    for (path, text) in presets() {
        let bare = text.split_inclusive("\ntests:\n").next().unwrap();
        let bare = bare.strip_suffix("tests:\n").unwrap();
        let new = complete(bare);
        assert!(new.starts_with(bare), "{path}");
        let found = lint::run(&compiled(&new), &Unknown, &Options::default()).diagnostics;
        assert!(found.is_empty(), "{path}: {found:?}");
    }
}

#[test]
fn a_preset_lacks_nothing_that_its_own_tests_show() {
    for (path, text) in presets() {
        let (made, before) = (generated(&text), Coverage::of(&compiled(&text)));
        assert_eq!(made.percent_before, before.percent(), "{path}");
        let missing: BTreeSet<String> = before.missing().map(|point| point.name.clone()).collect();
        let shown = made.tests.iter().flat_map(|test| &test.shows);
        let shown: BTreeSet<String> = shown.map(|(_, name)| name.clone()).collect();
        assert_eq!(shown, missing, "{path}");
        if !missing.is_empty() {
            complete(&text);
        }
    }
}

/// Arguments of every type that a request cannot do without, a base, two paths, approvals of both kinds,
/// actors, access, limits that exclude each other.
const RICH: &str = r#"version: 1
name: rich
use: [lictor/pytest@1, lictor/files@1]
scopes:
  src: ["src/**"]
  out: {include: ["build/out/*.bin", "dist/**"], exclude: ["dist/private/**"]}
  dirs: ["work/*"]
  one: ["Makefile"]
  keys: ["**/*.pem", "**/.env*"]
approvals:
  council: {env: COUNCIL, accept: ["true", "1"]}
  human: {grant: true}
tools:
  pack:
    program: pack
    fixed: [--quiet]
    args: {dir: {type: path, option: "-C", base: true}}
    actions:
      make:
        command: [make, m]
        args:
          from: {type: path, required: true, repeat: true}
          to: {type: path, option: "--to", access: write, required: true}
          level: {type: int, option: "-l", min: 3, max: 9, required: true}
          mode: {type: choice, option: "--mode", of: ["no", fast], required: true}
          tag: {type: text, option: "--tag", pattern: "v[0-9]+\\.[0-9]+", required: true}
      list: {command: list, args: {in: {type: path, option: "--in"}}}
      ping: {command: ping}
rules:
  - {id: pack-it, allow: pack.make, within: {from: src, to: out}, approval: council, limits: {timeout: 10s}}
  - {id: list-it, allow: [pack.list, pack.ping], within: {in: dirs}, for: ["ci-*", robot]}
  - {id: edit-one, allow: filesystem.write_file, within: one, approval: human}
  - {id: read, allow: filesystem.*, within: [src, dirs]}
  - {id: ask-writes, ask: filesystem.*, touching: src, access: write, approval: human}
  - {id: deny-keys, deny: "*", touching: keys}
  - {id: no-robots, deny: pack.make, for: robot}
"#;

#[test]
fn requests_have_the_arguments_actors_and_approvals_that_they_need() {
    let new = complete(RICH);
    let expected = [
        r#"  - {id: allow-pack-it, run: [pack, make, "--to=build/out/a.bin", -l, "3", "--mode=no", "--tag=v0.0", src/a], given: {approved: [council]}, expect: allow, rule: pack-it}"#,
        "  - {id: allow-list-it, run: [pack, list], given: {actor: ci-a}, expect: allow, rule: list-it}",
        "  - {id: allow-edit-one, tool: filesystem, action: write_file, args: {path: Makefile}, given: {approved: [human]}, expect: allow, rule: edit-one}",
        "  - {id: allow-read, tool: filesystem, action: read_file, args: {path: src/a}, expect: allow, rule: read}",
        "  - {id: ask-writes, tool: filesystem, action: write_file, args: {path: src/a}, expect: ask, rule: ask-writes, reason: APPROVAL_REQUIRED}",
        r#"  - {id: deny-keys, run: [pack, make, "--to=build/out/a.bin", -l, "3", "--mode=no", "--tag=v0.0", src/a.pem], expect: deny"#,
        "  - {id: deny-no-robots, run: [pack, make",
        "  - {id: deny-beside-src, ",
        "  - {id: deny-beside-out, ",
        "  - {id: deny-beside-one, tool: filesystem, action: write_file, args: {path: Makefile_evil}, expect: deny, reason: PATH_OUTSIDE_ALLOWED_SCOPE}",
    ];
    for line in expected {
        assert!(new.contains(line), "no {line} in\n{new}");
    }
}

#[test]
fn where_a_sibling_is_allowed_another_path_shows_the_boundary() {
    let made = generated(
        "version: 1
name: siblings
use: [lictor/files@1]
scopes: {docs: [\"docs/**\"], all: [\"**\"], most: {include: [\"**\"], exclude: [\"x/**\"]}}
rules:
  - {id: read-docs, allow: filesystem.read_file, within: docs}
  - {id: read-most, allow: filesystem.read_file, within: most}
  - {id: write-docs, allow: filesystem.write_file, within: docs}
  - {id: write-all, allow: filesystem.write_file, within: all}
",
    );
    let boundary = made.tests.last().unwrap();
    assert_eq!(boundary.id, "deny-outside-docs");
    assert!(
        boundary.yaml.contains("args: {path: x}"),
        "{}",
        boundary.yaml
    );
    // Where everything else is allowed, only what is no path is denied.
    let made = generated(
        "version: 1
name: siblings
use: [lictor/files@1]
scopes: {docs: [\"docs/**\"], all: [\"**\"]}
rules:
  - {id: read-docs, allow: filesystem.read_file, within: docs}
  - {id: read-all, allow: filesystem.read_file, within: all}
",
    );
    let boundary = made.tests.last().unwrap();
    assert_eq!(boundary.id, "deny-climbing-out-of-docs");
    let climbs = "args: {path: docs/../a}, expect: deny, reason: PATH_TRAVERSAL_DENIED}";
    assert!(boundary.yaml.ends_with(climbs), "{}", boundary.yaml);
}

#[test]
fn what_no_test_can_show_is_told_with_the_reason() {
    let text = "version: 1
name: dead
use: [lictor/files@1, lictor/cargo@1]
scopes: {docs: [\"docs/**\"], drafts: [\"docs/drafts/**\"], elsewhere: [\"build/**\"]}
rules:
  - {id: write-drafts, allow: filesystem.write_file, within: drafts}
  - {id: docs-are-kept, deny: filesystem.*, touching: docs, access: write}
  - {id: ask-nothing, ask: filesystem.read_file, touching: docs}
  - {id: build, allow: cargo.build, within: elsewhere}
";
    let made = generated(text);
    let told: Vec<_> = made
        .left
        .iter()
        .map(|left| {
            (
                left.name.as_str(),
                left.at.line,
                left.is_unknown,
                left.why.as_str(),
            )
        })
        .collect();
    let nothing_to_ask =
        "it can never decide: no rule allows what it asks about, or denies are over all of it";
    assert_eq!(
        told,
        [
            (
                "write-drafts",
                6,
                false,
                "it can never decide: kept out by `docs-are-kept`"
            ),
            ("ask-nothing", 8, false, nothing_to_ask),
        ]
    );
    shows(&made.text.unwrap(), made.percent);
}

#[test]
fn a_rule_that_decides_about_arguments_only_with_others_is_shown_by_one() {
    // Alone, `build` decides about the directory that the command starts in; about its argument with `all`.
    let text = "version: 1
name: builds
tools:
  make: {program: make, actions: {run: {args: {file: {type: path, required: true}}}}}
scopes: {build: [\"build/**\"], all: [\"**\"]}
rules:
  - {id: build, allow: make.run, within: build}
  - {id: all, allow: make.run, within: {file: all}}
";
    let new = complete(text);
    assert!(
        new.contains("run: [make, build/a], expect: allow, rule: build}"),
        "{new}"
    );
}

#[test]
fn a_rule_that_only_the_starting_directory_shows_is_shown_by_it() {
    let text = "version: 1
name: starts
tools:
  make: {program: make, actions: {run: {args: {file: {type: path}}}}}
scopes: {build: [\"build/**\"], all: [\"**\"]}
rules:
  - {id: anywhere, allow: make.run, within: all}
  - {id: not-there, deny: make.run, touching: {cwd: build}}
";
    let new = complete(text);
    assert!(
        new.contains("cwd: build, expect: deny, rule: not-there,"),
        "{new}"
    );
}

#[test]
fn names_are_unique_and_fit() {
    let long = "a".repeat(64);
    let made = generated(&format!(
        "version: 1
name: names
use: lictor/files@1
scopes: {{docs: \"docs/**\"}}
rules:
  - {{id: {long}, allow: filesystem.read_file, within: docs}}
  - {{id: b, allow: filesystem.write_file, within: docs}}
tests:
  - {{id: allow-b, run: [ls], expect: deny}}
  - {{id: deny-beside-docs, run: [cat], expect: deny}}
"
    ));
    let ids: Vec<&str> = made.tests.iter().map(|test| test.id.as_str()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids.first().unwrap().len(), 64);
    assert_eq!(ids.get(1..).unwrap(), ["allow-b-2", "deny-beside-docs-2"]);
}

#[test]
fn a_word_that_yaml_readers_disagree_about_is_quoted() {
    let made = generated(
        "version: 1
name: words
use: lictor/files@1
scopes: {odd: [\"no\", \"1.5\", \"a b/#c\", \"-x\", \"null\"]}
rules:
  - {id: \"1\", allow: filesystem.read_file, within: odd}
  - {id: \"on\", deny: filesystem.read_file, touching: odd, for: [\"true\"]}
",
    );
    assert!(lines(&made).concat().contains(r#"path: "no"}"#), "{made:?}");
    assert!(
        lines(&made).concat().contains(r#"actor: "true"}"#),
        "{made:?}"
    );
    let text = made.text.unwrap();
    let other: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let tests = other.get("tests").unwrap().as_sequence().unwrap();
    assert_eq!(tests.len(), made.tests.len());
    let first = tests.first().unwrap();
    assert_eq!(
        first.get("args").unwrap().get("path").unwrap().as_str(),
        Some("no")
    );
}

/// What every document of the next test begins with.
const HEAD: &str = "version: 1\nname: layout\nuse: lictor/files@1\nscopes: {docs: \"docs/**\"} # what may be read\nrules:\n  - {id: read, allow: filesystem.read_file, within: docs}\n";

/// The tests that it lacks.
const READ: &str = "{id: allow-read, tool: filesystem, action: read_file, args: {path: docs/a}, expect: allow, rule: read}";
const BESIDE: &str = "{id: deny-beside-docs, tool: filesystem, action: read_file, args: {path: docs_evil/a}, expect: deny, reason: PATH_OUTSIDE_ALLOWED_SCOPE}";

#[test]
fn tests_are_added_to_every_layout_and_nothing_else_changes() {
    #[track_caller]
    fn check(before: &str, after: &str) {
        let filled = after.replace("READ", READ).replace("BESIDE", BESIDE);
        assert_eq!(complete(before), filled);
    }
    let with = |text: &str| format!("{HEAD}{text}");
    let old = "{run: [ls], expect: deny}";
    check(HEAD, &with("\ntests:\n  - READ\n  - BESIDE\n"));
    check(HEAD.trim_end(), &with("\ntests:\n  - READ\n  - BESIDE\n"));
    check(&with("\n"), &with("\ntests:\n  - READ\n  - BESIDE\n"));
    check(
        &with("# end\n"),
        &with("# end\n\ntests:\n  - READ\n  - BESIDE\n"),
    );
    check(
        &with("tests: []\n"),
        &with("tests:\n  - READ\n  - BESIDE\n"),
    );
    check(
        &with("tests: [] # none\n"),
        &with("tests: [READ, BESIDE] # none\n"),
    );
    check(
        &with("tests: [\n  # none\n]\n"),
        &with("tests: [READ, BESIDE\n  # none\n]\n"),
    );
    check(
        &with(&format!("tests:\n  - {old}  # old\n  # the end\n")),
        &with(&format!(
            "tests:\n  - {old}  # old\n  - READ\n  - BESIDE\n  # the end\n"
        )),
    );
    check(
        &with(&format!("tests:\n- {old}")),
        &with(&format!("tests:\n- {old}\n- READ\n- BESIDE")),
    );
    check(
        &with("tests:\n    - run:\n        - ls # it\n      expect: deny # always\n\n# end\n"),
        &with(
            "tests:\n    - run:\n        - ls # it\n      expect: deny # always\n    - READ\n    - BESIDE\n\n# end\n",
        ),
    );
    check(
        &with(&format!("tests: [{old}] # old\n")),
        &with(&format!("tests: [{old}, READ, BESIDE] # old\n")),
    );
    check(
        &with(&format!("tests: [\n  {old}, # old\n]\n")),
        &with(&format!(
            "tests: [\n  {old},\n  READ,\n  BESIDE, # old\n]\n"
        )),
    );
    check(
        &with(&format!("tests:\n  - {old}\ndescription: more\n")),
        &with(&format!(
            "tests:\n  - {old}\n  - READ\n  - BESIDE\ndescription: more\n"
        )),
    );
    let crlf = |text: &str| text.replace('\n', "\r\n");
    check(
        &crlf(HEAD),
        &crlf(&with("\ntests:\n  - READ\n  - BESIDE\n")),
    );
    check(
        &crlf(&with(&format!("tests:\n  - {old}\n"))),
        &crlf(&with(&format!("tests:\n  - {old}\n  - READ\n  - BESIDE\n"))),
    );
    let flow = "{version: 1, name: layout, use: lictor/files@1, scopes: {docs: \"docs/**\"},
 rules: [{id: read, allow: filesystem.read_file, within: docs}]}\n";
    check(flow, &flow.replace("]}\n", "], tests: [READ, BESIDE]}\n"));
    let indented = HEAD
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect::<String>();
    check(
        &indented,
        &format!("{indented}\n  tests:\n    - READ\n    - BESIDE\n"),
    );
}

#[test]
fn where_no_room_is_found_there_is_no_text() {
    // What follows the end of a document is no part of it.
    let made = generated(&format!("{HEAD}...\n"));
    assert_eq!((made.tests.len(), made.text), (2, None));
}

#[test]
fn findings_about_untested_rules_and_boundaries_offer_the_same_tests() {
    for text in [HEAD, RICH] {
        let policy = compiled(text);
        let made = generated(text);
        let report = lint::run(&policy, &Unknown, &Options::default());
        let untested = report
            .diagnostics
            .iter()
            .filter(|found| ["T401", "T402"].contains(&found.code));
        let mut offered = BTreeSet::new();
        for finding in untested {
            let edits = &finding.fix.as_ref().unwrap().edits;
            let fixed = compiled(&fix::preview(text, edits).unwrap());
            let added = policy_tests::run(&fixed);
            assert!(added.len() > policy.tests().len());
            assert!(added.iter().all(policy_tests::TestOutcome::passed));
            let new = fixed.tests().iter().skip(policy.tests().len());
            offered.extend(new.map(|test| test.id.clone().unwrap()));
        }
        let ids: BTreeSet<String> = made.tests.iter().map(|test| test.id.clone()).collect();
        assert_eq!(offered, ids);
    }
}

#[test]
fn a_rule_that_asks_beside_a_path_that_could_not_be_allowed_is_not_called_dead() {
    let made = generated(
        "version: 1
name: beside
tools:
  runner: {program: runner, actions: {test: {command: test, args: {out: {type: path, option: \"--out\", access: write}, target: {type: path, syntax: pytest, repeat: true}}}}}
scopes: {all: \"**\"}
approvals: {person: {env: APPROVED, accept: [\"1\"]}}
rules:
  - {id: not-enforced, allow: runner.test, within: all, confine: {}}
  - {id: asks, allow: runner.test, within: {out: all}, approval: person}
",
    );
    let left: Vec<&str> = made.left.iter().map(|left| left.name.as_str()).collect();
    assert_eq!(left, ["not-enforced"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_policies_get_tests_that_pass_and_show_all_that_is_not_told_as_left(
        policy in policy::policy(),
        asked in prop::collection::vec((request::ask(), request::given()), 1..40),
    ) {
        let text = policy.yaml();
        let made = generated(&text);
        let new = match &made.text {
            Some(new) => new.clone(),
            None => {
                prop_assert!(made.tests.is_empty(), "no room\n{text}");
                text.clone()
            }
        };
        prop_assert!(new.len() >= text.len());
        let compiled_new = compiled(&new);
        for outcome in policy_tests::run(&compiled_new) {
            prop_assert!(outcome.passed(), "{} {:?}\n{new}", outcome.request, outcome.failures);
        }
        let coverage = Coverage::of(&compiled_new);
        prop_assert_eq!(coverage.percent(), made.percent, "{}", &new);
        let missing: BTreeSet<_> = coverage.missing().map(|point| (point.kind.word(), point.name.clone())).collect();
        let left: BTreeSet<_> = made.left.iter().map(|left| (left.kind.word(), left.name.clone())).collect();
        prop_assert_eq!(&missing, &left, "{}", &new);
        prop_assert!(generated(&new).tests.is_empty(), "{new}");
        // A rule that is told as dead decides nothing.
        let never: BTreeSet<&str> = made.left.iter()
            .filter(|left| left.why.contains("never decide"))
            .map(|left| left.name.as_str())
            .collect();
        let old = compiled(&text);
        for (ask, given) in asked {
            let decision = decide(&old, &ask.request(), &given.context());
            for rule in decision.rules() {
                prop_assert!(!never.contains(rule.id.as_str()), "{} decides {ask:?}\n{text}", rule.id);
            }
        }
    }
}

#[test]
fn the_command_shows_a_change_and_writes_it_only_when_told() {
    let place = Place::with_policy(HEAD);
    let file = place.work().join("lictor.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let shown = place.lictor(["test", "--generate"]).end().ends_with_code(0);
    assert!(
        shown.stdout.contains(&format!("+  - {READ}\n")),
        "{shown:?}"
    );
    assert!(
        shown
            .stderr
            .contains("layout: 2 tests to add, 0 % covered without, 100 % with")
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), HEAD);

    let written = place
        .lictor(["test", "--generate", "--write"])
        .end()
        .ends_with_code(0);
    assert!(
        written.stdout.is_empty() && written.stderr.contains("2 tests added"),
        "{written:?}"
    );
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("{HEAD}\ntests:\n  - {READ}\n  - {BESIDE}\n"));
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(fs::read_dir(place.work()).unwrap().count(), 1);
    place
        .lictor(["test", "--coverage", "--min-coverage", "100"])
        .end()
        .ends_with_code(0);

    let again = place
        .lictor(["test", "--generate", "--write"])
        .end()
        .ends_with_code(0);
    assert!(
        again.stderr.contains("no test to add, 100 % covered"),
        "{again:?}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn the_command_ends_with_1_where_a_rule_is_dead_or_a_test_fails_and_with_0_where_enough_is_shown() {
    let dead = HEAD.to_owned()
        + "  - {id: docs-are-kept, deny: filesystem.write_file, touching: docs}\n"
        + "  - {id: write, allow: filesystem.write_file, within: docs}\n";
    let place = Place::with_policy(&dead);
    let told = place.lictor(["test", "--generate"]).end().ends_with_code(1);
    let why = "lictor.yaml:8: no test shows rule `write`: it can never decide: kept out by `docs-are-kept`";
    assert!(told.stderr.contains(why), "{told:?}");
    place
        .lictor(["test", "--generate", "--min-coverage", "75"])
        .end()
        .ends_with_code(0);
    place
        .lictor(["test", "--generate", "--min-coverage", "76"])
        .end()
        .ends_with_code(1);

    let failing = format!("{HEAD}tests:\n  - {{run: [ls], expect: allow}}\n");
    let place = Place::with_policy(&failing);
    let told = place.lictor(["test", "--generate"]).end().ends_with_code(1);
    assert!(
        told.stderr.contains("one of its own tests fails"),
        "{told:?}"
    );
}

#[test]
fn the_command_answers_in_json() {
    let place = Place::with_policy(HEAD);
    let answer = place
        .lictor(["test", "--generate", "--json"])
        .end()
        .ends_with_code(0)
        .json();
    let made = &answer["generated"][0];
    assert_eq!(
        (&answer["v"], &made["percent_before"], &made["percent"]),
        (&1.into(), &0.into(), &100.into())
    );
    assert_eq!(made["written"], false);
    assert_eq!(made["tests"][0]["test"], READ);
    assert_eq!(made["tests"][1]["shows"][0]["kind"], "boundary");
    assert!(made["diff"].as_str().unwrap().contains("+tests:"));
}

#[test]
fn what_cannot_be_done_ends_with_2_and_leaves_the_file() {
    let place = Place::with_policy("version: 1\nname: x\nrules:\n  - {id: a}\n");
    place
        .lictor(["test", "--generate", "--write"])
        .end()
        .ends_with_code(2);
    let place = Place::with_policy(HEAD);
    place.lictor(["test", "--write"]).end().ends_with_code(2);
    place
        .lictor(["test", "--generate", "--format", "junit"])
        .end()
        .ends_with_code(2);
    place
        .lictor(["test", "--generate", "nowhere.yaml"])
        .end()
        .ends_with_code(2);

    // The layout has no room: the tests are printed, nothing is written.
    let ended = format!("{HEAD}...\n");
    let place = Place::with_policy(&ended);
    let told = place
        .lictor(["test", "--generate", "--write"])
        .end()
        .ends_with_code(2);
    assert!(told.stdout.contains(&format!("  - {READ}\n")), "{told:?}");
    assert!(told.stderr.contains("nothing was written"), "{told:?}");
    assert_eq!(
        fs::read_to_string(place.work().join("lictor.yaml")).unwrap(),
        ended
    );
}
