//! Whole policies: what analysis says of them against what decisions say, path by path.

use lictor::analysis::cells::Analysis;
use lictor::analysis::diff::{Kind, diff};
use lictor::analysis::{Answer, Budget, PathSet};
use lictor::decision::{Context, Decision, Effect, Request, decide};
use lictor::policy::CompiledPolicy;
use lictor::policy::glob::{Case, Pattern};
use lictor::testing;
use proptest::prelude::*;

/// Paths that the scopes of generated policies tell apart.
fn paths() -> Vec<String> {
    let names = [
        "src",
        "SRC",
        "docs",
        "tests",
        "unit",
        "fixtures",
        "secrets",
        "Secrets",
        "README.md",
        ".env",
        "x.py",
        "m.rs",
        "a",
        "z",
    ];
    let mut paths: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    for first in names {
        for second in names {
            paths.push(format!("{first}/{second}"));
        }
    }
    for first in ["src", "tests", "docs", "z"] {
        for second in ["unit", "secrets", "a", "z"] {
            for third in ["fixtures", "m.rs", "x.py", ".env"] {
                paths.push(format!("{first}/{second}/{third}"));
            }
        }
    }
    paths
}

/// Actions with one path.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("filesystem", "read_file", "path"),
    ("filesystem", "write_file", "path"),
    ("filesystem", "list_dir", "path"),
    ("pytest", "run", "target"),
];

fn contexts() -> [Context; 2] {
    [
        Context::new("anybody"),
        Context::new("anybody").with_switch("COUNCIL", "1"),
    ]
}

fn decided(
    policy: &CompiledPolicy,
    action: (&str, &str, &str),
    path: &str,
    context: &Context,
) -> Decision {
    let request = Request::named(action.0, action.1).with_arg(action.2, path);
    decide(policy, &request, context)
}

fn kind(before: Effect, after: Effect) -> Option<Kind> {
    match (before, after) {
        (Effect::Deny | Effect::Ask, Effect::Allow) => Some(Kind::NewlyAllowed),
        (Effect::Deny, Effect::Ask) => Some(Kind::NewlyAsked),
        (Effect::Allow, Effect::Ask) => Some(Kind::AskedInstead),
        (Effect::Allow | Effect::Ask, Effect::Deny) => Some(Kind::NewlyDenied),
        _ => None,
    }
}

proptest! {
    // Each case decides thousands of requests.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_that_a_decision_shows_is_told(a in testing::policies::any(), b in testing::policies::any()) {
        let budget = Budget::default();
        let found = diff(&a, &b, &budget);
        prop_assert!(found.unknown.is_empty(), "{:?}\n{}\n{}", found.unknown, a.files().next().unwrap().text, b.files().next().unwrap().text);
        for action in ACTIONS {
            for context in &contexts() {
                for path in paths() {
                    let (before, after) = (decided(&a, *action, &path, context), decided(&b, *action, &path, context));
                    let Some(kind) = kind(before.effect(), after.effect()) else { continue };
                    let is_told = found.changes.iter().any(|change| {
                        // A rule that newly allows also asks, where its approval is missing.
                        let is_kind = change.kind == kind || (change.kind, kind) == (Kind::NewlyAllowed, Kind::NewlyAsked);
                        is_kind && change.tool == action.0 && change.action == action.1
                    });
                    prop_assert!(is_told, "{kind:?} of {action:?} {path} is not told: {:#?}", found.changes.len());
                }
            }
        }
        for change in &found.changes {
            let [before, after] = [(&a, &change.before), (&b, &change.after)]
                .map(|(policy, witness)| decide(policy, &witness.request, &witness.context));
            prop_assert_eq!(before.effect(), change.before.decision.effect());
            if let Some(kind) = kind(before.effect(), after.effect()) {
                prop_assert_eq!(kind, change.kind);
            }
        }
        // Both directions agree about whether there is a difference.
        prop_assert_eq!(found.changes.is_empty(), diff(&b, &a, &budget).changes.is_empty());
        prop_assert!(diff(&a, &a, &budget).answer().holds());
        prop_assert!(diff(&b, &b, &budget).answer().holds());
    }

    #[test]
    fn each_path_gets_the_answer_of_the_set_it_is_in(policy in testing::policies::any()) {
        let analysis = Analysis::of(&policy);
        let budget = Budget::default();
        for action in &ACTIONS[..2] {
            let cell = analysis
                .cells()
                .iter()
                .find(|cell| (cell.tool(), cell.action(), cell.argument()) == (action.0, action.1, Some(action.2)))
                .unwrap();
            for context in &contexts() {
                for path in paths().iter().step_by(7) {
                    let exactly = PathSet::of(&Pattern::parse(path).unwrap(), Case::Exact);
                    let effect = decided(&policy, *action, path, context).effect();
                    for asked in [Effect::Allow, Effect::Ask, Effect::Deny] {
                        let set = analysis.paths(cell, context, asked).and(exactly.clone());
                        let answer = analysis.space(cell).is_empty(&set, &budget);
                        prop_assert_eq!(answer.holds(), effect != asked, "{} {:?} {:?}", path, effect, asked);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_never_allowed_is_so_and_what_is_not_is_shown(policy in testing::policies::any()) {
        let analysis = Analysis::of(&policy);
        let budget = Budget::default();
        for action in ACTIONS {
            let name = format!("{}.{}", action.0, action.1);
            let everything = PathSet::everything();
            let never = analysis.never(&name, &everything, &budget);
            let always = analysis.always(&name, &everything, &budget);
            let allowed = |context: &Context| {
                paths().into_iter().filter(|path| decided(&policy, *action, path, context).effect() == Effect::Allow).count()
            };
            let [least, most] = contexts();
            match &never {
                Answer::Holds => prop_assert_eq!(allowed(&most), 0),
                Answer::Fails(witness) => prop_assert_eq!(witness.decision.effect(), Effect::Allow),
                Answer::Unknown(cap) => prop_assert!(false, "{} {}", name, cap),
            }
            match &always {
                Answer::Holds => prop_assert_eq!(allowed(&least), paths().len()),
                Answer::Fails(witness) => prop_assert_ne!(witness.decision.effect(), Effect::Allow),
                Answer::Unknown(cap) => prop_assert!(false, "{} {}", name, cap),
            }
        }
        // Of each rule: if it is dead or redundant, taking it away changes nothing that is allowed.
        for nth in 0..6 {
            let rule = format!("r{nth}");
            let dead = analysis.never_allows(&rule, &budget);
            prop_assert!(dead.cap().is_none(), "{} {:?}", rule, dead.cap());
            let redundant = analysis.is_redundant(&rule, &budget);
            prop_assert!(redundant.cap().is_none(), "{} {:?}", rule, redundant.cap());
            if let Answer::Fails(witness) = dead {
                prop_assert_eq!(witness.decision.effect(), Effect::Allow);
            }
            prop_assert!(analysis.is_inside(&rule, &rule, &budget).holds());
        }
    }
}

fn policy(rules: &str) -> CompiledPolicy {
    CompiledPolicy::from_yaml(&format!(
        "version: 1\nname: analysed\nuse: [lictor/files@1, lictor/pytest@1, lictor/git@1]\n{rules}"
    ))
    .unwrap()
}

#[track_caller]
fn changes(before: &str, after: &str, expected: &[(Kind, &str, &str)]) {
    let found = diff(&policy(before), &policy(after), &Budget::default());
    assert_eq!(found.unknown, []);
    let told: Vec<_> = found
        .changes
        .iter()
        .map(|change| {
            (
                change.kind,
                change.action.as_str(),
                change.after.path.as_deref().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn a_sibling_of_a_scope_is_newly_allowed() {
    changes(
        "scopes: {t: \"tests/**\"}\nrules: [{id: r, allow: pytest.run, within: t}]",
        "scopes: {t: \"tests*/**\"}\nrules: [{id: r, allow: pytest.run, within: t}]",
        &[(Kind::NewlyAllowed, "run", "testsa")],
    );
}

#[test]
fn the_same_said_otherwise_is_no_change() {
    changes(
        "scopes: {t: [\"a/**\", \"b/**\"]}\nrules: [{id: r, allow: filesystem.read_file, within: t}]",
        "scopes: {t: \"{a,b}/**\"}\nrules: [{id: s, allow: filesystem.read_file, within: t}]",
        &[],
    );
    changes(
        "scopes: {t: \"**\", v: \"v/**\"}\nrules: [{id: r, allow: filesystem.read_file, within: t}, {id: d, deny: \"*\", touching: v}]",
        "scopes: {t: \"**\", v: \"{v,V}/**\"}\nrules: [{id: r, allow: filesystem.read_file, within: t}, {id: d, deny: \"*\", touching: v}]",
        &[],
    );
    // An exclusion is exact, a deny holds for what is taken for it too.
    changes(
        "scopes: {t: \"**\", v: \"v/**\"}\nrules: [{id: r, allow: filesystem.read_file, within: t}, {id: d, deny: \"*\", touching: v}]",
        "scopes: {t: {include: \"**\", exclude: \"{v,V}/**\"}}\nrules: [{id: r, allow: filesystem.read_file, within: t}]",
        &[(Kind::NewlyAllowed, "read_file", "ｖ")],
    );
}

#[test]
fn limits_approvals_and_asks_are_compared_where_they_apply() {
    let read = |more: &str| {
        format!(
            "scopes: {{t: \"t/**\", u: \"t/u/**\"}}\napprovals: {{c: {{env: C}}, d: {{env: D}}}}\nrules:\n  - {{id: r, allow: filesystem.read_file, within: t}}\n{more}"
        )
    };
    changes(
        &read(""),
        &read("  - {id: s, allow: filesystem.read_file, within: u, limits: {timeout: 5s}}\n"),
        &[(Kind::ChangedLimits, "read_file", "t/u")],
    );
    // A longer limit than what is built in states more, and the smallest of what is stated counts.
    changes(
        &read("  - {id: s, allow: filesystem.read_file, within: u, limits: {timeout: 5s}}\n"),
        &read(
            "  - {id: s, allow: filesystem.read_file, within: u, limits: {timeout: 5s}}\n  - {id: q, allow: filesystem.read_file, within: u, limits: {timeout: 9s}}\n",
        ),
        &[],
    );
    changes(
        &read(""),
        &read("  - {id: s, ask: \"*\", touching: u}\n"),
        &[(Kind::AskedInstead, "read_file", "t/u")],
    );
    changes(
        &read("  - {id: s, ask: \"*\", touching: u, approval: c}\n"),
        &read("  - {id: s, ask: \"*\", touching: u, approval: d}\n"),
        &[
            (Kind::NewlyAllowed, "read_file", "t/u"),
            (Kind::AskedInstead, "read_file", "t/u"),
        ],
    );
}

#[test]
fn actors_and_times_are_told_apart() {
    let rule = |more: &str| {
        format!(
            "scopes: {{t: \"t/**\"}}\nrules: [{{id: r, allow: filesystem.read_file, within: t{more}}}]"
        )
    };
    let found = diff(
        &policy(&rule(", for: \"ci-*\"")),
        &policy(&rule(", for: [\"ci-*\", bot]")),
        &Budget::default(),
    );
    assert_eq!(found.changes.len(), 1);
    assert_eq!(found.changes[0].after.request.actor(), Some("bot"));
    let found = diff(
        &policy(&rule(", until: 2027-01-31")),
        &policy(&rule(", until: 2028-01-31")),
        &Budget::default(),
    );
    assert_eq!(found.changes.len(), 1);
    let now = found.changes[0].after.context.now().unwrap();
    assert!(
        now >= lictor::policy::parse_time("2027-02-01").unwrap()
            && now < lictor::policy::parse_time("2028-02-01").unwrap()
    );
}

#[test]
fn a_tool_that_is_declared_otherwise_is_told() {
    let tool = |flags: &str| {
        format!(
            "version: 1\nname: t\ntools:\n  x:\n    program: x\n    actions:\n      go: {{args: {{f: {{type: flag, names: [{flags}]}}}}}}\nrules: [{{id: r, allow: x.go}}]\n"
        )
    };
    let compiled = |flags: &str| CompiledPolicy::from_yaml(&tool(flags)).unwrap();
    let found = diff(
        &compiled("\"-f\""),
        &compiled("\"-f\", \"--force\""),
        &Budget::default(),
    );
    assert_eq!(
        found
            .changes
            .iter()
            .map(|change| change.kind)
            .collect::<Vec<_>>(),
        [Kind::ChangedTool]
    );
}

#[test]
fn switches_of_paths_widen_what_can_be_named() {
    let rule = |paths: &str| {
        format!(
            "{paths}scopes: {{t: \"t/**\"}}\nrules: [{{id: r, allow: filesystem.read_file, within: t}}]"
        )
    };
    let found = diff(
        &policy(&rule("")),
        &policy(&rule("paths: {colon: allow}\n")),
        &Budget::default(),
    );
    assert_eq!(found.unknown, []);
    assert_eq!(found.settings.len(), 1);
    assert_eq!(found.changes.len(), 1);
    let change = &found.changes[0];
    assert_eq!(change.kind, Kind::NewlyAllowed);
    assert!(
        change.after.path.as_deref().unwrap().contains(':'),
        "{change:?}"
    );
}

#[test]
fn invariants_hold_or_are_refuted_by_a_request() {
    #[track_caller]
    fn check(text: &str, expected: &[Option<&str>]) {
        let proofs = Analysis::of(&policy(text)).prove(&Budget::default());
        let found: Vec<Option<String>> = proofs
            .iter()
            .map(|proof| match &proof.answer {
                Answer::Holds => None,
                Answer::Fails(witness) => Some(witness.path.clone().unwrap_or_default()),
                Answer::Unknown(cap) => panic!("{}: {cap}", proof.id),
            })
            .collect();
        assert_eq!(
            found.iter().map(Option::as_deref).collect::<Vec<_>>(),
            expected
        );
    }
    let policy = "scopes: {repo: \"**\", secrets: [\"**/.env*\", \"secrets/**\"]}
rules:
  - {id: read, allow: filesystem.read_file, within: repo}
  - {id: write, allow: filesystem.write_file, within: repo, approval: c}
  - {id: no-secrets, deny: \"*\", touching: secrets}
approvals: {c: {env: C}}
invariants:
";
    let with = |invariants: &str| format!("{policy}{invariants}");
    check(
        &with("  - {id: a, never: \"*\", paths: \"**/.env\"}\n"),
        &[None],
    );
    check(
        &with("  - {id: a, never: \"*\", access: write}\n"),
        &[Some("a")],
    );
    check(
        &with("  - {id: a, never: \"*\", access: write, paths: \"secrets/**\"}\n"),
        &[None],
    );
    check(
        &with("  - {id: a, never: \"*\", paths: \"**/*.pem\"}\n"),
        &[Some("a.pem")],
    );
    check(
        &with("  - {id: a, always: filesystem.read_file, paths: \"docs/**\"}\n"),
        &[Some("docs/.env")],
    );
    check(
        &with("  - {id: a, always: filesystem.read_file, paths: \"docs/README.md\"}\n"),
        &[None],
    );
    check(
        &with("  - {id: a, always: filesystem.write_file, paths: \"docs/*.md\"}\n"),
        &[Some("docs/a.md")],
    );
    check(
        &with("  - {id: a, never: pytest.*}\n  - {id: b, always: pytest.run}\n"),
        &[None, Some("a")],
    );
}

#[test]
fn a_dead_rule_an_idle_one_and_one_too_many_are_seen() {
    let policy = policy(
        "scopes: {a: \"a/**\", ab: \"a/b/**\", x: \"x/**\"}
rules:
  - {id: all, allow: filesystem.read_file, within: a}
  - {id: part, allow: filesystem.read_file, within: ab}
  - {id: dead, allow: filesystem.read_file, within: x}
  - {id: no-x, deny: filesystem.*, touching: x}
  - {id: idle, deny: pytest.run, touching: x}
",
    );
    let analysis = Analysis::of(&policy);
    let budget = Budget::default();
    assert!(analysis.never_allows("dead", &budget).holds());
    assert!(!analysis.never_allows("part", &budget).holds());
    assert_eq!(analysis.rules_over("dead", &budget), ["no-x"]);
    assert!(analysis.meets_no_allow("idle", &budget).holds());
    assert!(analysis.meets_no_allow("no-x", &budget).witness().is_some());
    let redundant: Vec<_> = ["all", "part", "dead", "no-x", "idle"]
        .into_iter()
        .filter(|rule| analysis.is_redundant(rule, &budget).holds())
        .collect();
    assert_eq!(redundant, ["part", "dead", "idle"]);
    assert!(analysis.is_inside("part", "all", &budget).holds());
    let outside = analysis.is_inside("all", "part", &budget);
    assert_eq!(outside.witness().unwrap().path.as_deref(), Some("a"));
    assert!(analysis.are_apart("all", "dead", &budget).holds());
    assert_eq!(
        analysis
            .are_apart("all", "part", &budget)
            .witness()
            .unwrap()
            .path
            .as_deref(),
        Some("a/b")
    );
}

#[test]
fn what_another_path_of_the_request_keeps_from_being_let_through_is_no_change() {
    #[track_caller]
    fn check(rules: &str, changes: usize) {
        let policy = |rules: &str| {
            let text = format!(
                "version: 1
name: several
use: lictor/files@1
tools:
  files: {{actions: {{copy: {{args: {{from: {{type: path, required: true}}, to: {{type: path, access: write, required: true}}}}}}}}}}
scopes: {{docs: \"docs/**\", odd: \"?/**/lictor.yaml\", kept: \"kept/**\", all: \"**\"}}
rules:
  - {{id: from-anywhere, allow: files.copy, within: {{from: all}}}}
  - {{id: keep, deny: filesystem.write_file, touching: {{path: kept}}}}
{rules}"
            );
            crate::support::compiled(&text)
        };
        let found = diff(&policy(""), &policy(rules), &Budget::default());
        assert_eq!(found.unknown, [], "{rules}");
        assert_eq!(found.changes.len(), changes, "{rules} {:#?}", found.changes);
    }
    // No file may be copied to, so nobody is asked about where it comes from.
    check(
        "  - {id: more, ask: files.copy, touching: {from: docs}}\n",
        0,
    );
    // One may be started in such a directory, and everything that it would be for is kept.
    let docs = "  - {id: write-docs, allow: filesystem.write_file, within: docs}\n";
    let odd = "  - {id: odd, allow: filesystem.write_file, within: odd}\n";
    check(&format!("{docs}{odd}"), 1);
    let kept = "  - {id: kept, allow: filesystem.write_file, within: kept}\n";
    check(&format!("{docs}{kept}"), 1);
}
