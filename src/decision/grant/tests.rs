//! Which requests a grant covers, as tables.

#![forbid(unsafe_code)]

use super::*;
use crate::decision::{Request, decide};

const POLICY: &str = "version: 1
name: infra
tools:
  terraform:
    program: terraform
    actions:
      apply: {command: apply, args: {auto: {type: flag, names: [-auto-approve]}, plan: {type: path, pin: true, required: true}}}
      fmt: {command: fmt, args: {path: {type: path, required: true, repeat: true}}}
scopes: {plans: \"plans/**\", all: \"**\"}
approvals:
  human: {grant: true, max_age: 8h, max_uses: 2}
  other: {grant: true}
  switch: {env: SWITCH}
rules:
  - {id: apply, allow: terraform.apply, within: plans, approval: human}
  - {id: fmt, allow: terraform.fmt, within: all, approval: human}
  - {id: fmt-plans, allow: terraform.fmt, within: plans, approval: human}
";

const MADE: &str = "2026-11-24T10:00:00.000000Z";

fn policy() -> CompiledPolicy {
    CompiledPolicy::from_yaml(POLICY).unwrap()
}

fn apply(plan: &str) -> Request {
    Request::argv(["terraform", "apply", plan]).with_actor("ci")
}

fn here() -> OneWorkspace {
    OneWorkspace::new(std::path::Path::new("/work"), (8, 1), 7)
}

/// A grant for `terraform apply plans/a` by anybody.
fn exact() -> GrantTerms {
    let policy = policy();
    let decision = decide(&policy, &apply("plans/a"), &Context::new("ci"));
    GrantTerms {
        lictor_grant: 2,
        id: "g-1".to_owned(),
        approval: "human".to_owned(),
        policy: policy.digest().to_owned(),
        workspace: Some(GrantWorkspace::One(here())),
        extent: None,
        request: decision.exact().map(|exact| exact.request().clone()),
        rule: None,
        within: Vec::new(),
        actor: None,
        pins: vec![Pin {
            arg: "plan".to_owned(),
            path: "plans/a".to_owned(),
            sha256: "aa".to_owned(),
        }],
        who: Who::new(1000, None),
        why: "read it".to_owned(),
        made: MADE.to_owned(),
        until: "2026-11-24T12:00:00.000000Z".to_owned(),
        uses: 1,
    }
}

fn for_rule(rule: &str, within: &[&str]) -> GrantTerms {
    GrantTerms {
        request: None,
        rule: Some(rule.to_owned()),
        within: within.iter().map(|text| (*text).to_owned()).collect(),
        pins: Vec::new(),
        ..exact()
    }
}

#[track_caller]
fn check(terms: &GrantTerms, request: &Request, now: &str, expected: Option<&str>) {
    let policy = policy();
    let decision = decide(&policy, request, &Context::new("ci"));
    let here = here();
    let asking = Asking::new(&policy, Some(&here), &decision, now.parse().unwrap()).unwrap();
    let misfit = terms.misfit(&asking).map(|misfit| misfit.to_string());
    match expected {
        None => assert_eq!(misfit, None),
        Some(says) => assert!(
            misfit.as_ref().is_some_and(|misfit| misfit.contains(says)),
            "{misfit:?}"
        ),
    }
}

#[test]
fn an_exact_grant_covers_its_request_and_no_other() {
    let now = "2026-11-24T11:00:00Z";
    check(&exact(), &apply("plans/a"), now, None);
    let named = Request::named("terraform", "apply")
        .with_arg("plan", "plans/a")
        .with_actor("anybody");
    check(&exact(), &named, now, None);
    let others = [
        apply("plans/b"),
        Request::argv(["terraform", "apply", "-auto-approve", "plans/a"]),
        Request::argv(["terraform", "apply", "a"]).with_cwd("plans"),
    ];
    for other in others {
        check(&exact(), &other, now, Some("other arguments"));
    }
    let fmt = Request::argv(["terraform", "fmt", "plans/a"]);
    check(&exact(), &fmt, now, Some("something else"));
}

#[test]
fn actor_policy_and_time_have_to_fit() {
    let now = "2026-11-24T11:00:00Z";
    let request = apply("plans/a");
    let mut terms = exact();
    terms.actor = Some("ci".to_owned());
    check(&terms, &request, now, None);
    terms.actor = Some("ci2".to_owned());
    check(&terms, &request, now, Some("`ci2` only"));

    let mut terms = exact();
    terms.policy = "00".to_owned();
    check(&terms, &request, now, Some("another policy"));

    let mut terms = exact();
    terms.approval = "switch".to_owned();
    check(&terms, &request, now, Some("something else"));
    terms.approval = "gone".to_owned();
    check(&terms, &request, now, Some("something else"));

    let cases = [
        ("2026-11-24T12:00:00Z", None),
        ("2026-11-24T12:00:00.000001Z", Some("counted until")),
        ("2026-11-24T09:56:00Z", None),
        ("2026-11-24T09:54:00Z", Some("still to come")),
    ];
    for (now, expected) in cases {
        check(&exact(), &request, now, expected);
    }
}

#[test]
fn the_policy_bounds_a_grant_whatever_it_says() {
    let policy = policy();
    let approval = |name: &str| {
        let found = policy.approvals().iter().find(|own| own.name == name);
        found.unwrap()
    };
    let mut terms = exact();
    terms.uses = 100;
    terms.until = "2030-01-01T00:00:00.000000Z".to_owned();
    let bounded = (2, "2026-11-24T18:00:00.000000Z".to_owned());
    assert_eq!(terms.bounds(approval("human")), Some(bounded));
    assert_eq!(
        terms.bounds(approval("other")),
        Some((100, terms.until.clone()))
    );
    assert_eq!(terms.bounds(approval("switch")), None);
    let late = "2026-11-24T18:00:01Z";
    check(
        &terms,
        &apply("plans/a"),
        late,
        Some("counted until 2026-11-24T18:00:00"),
    );
}

#[test]
fn a_pinned_file_has_to_be_named_and_to_hold_what_was_approved() {
    let now = "2026-11-24T11:00:00Z";
    check(
        &for_rule("apply", &[]),
        &apply("plans/a"),
        now,
        Some("by its content"),
    );
    let mut other = exact();
    other.pins[0].path = "plans/b".to_owned();
    check(&other, &apply("plans/a"), now, Some("other arguments"));
    let mut without = exact();
    without.pins.clear();
    check(&without, &apply("plans/a"), now, Some("by its content"));

    let digest = |says: Result<&str, &str>| {
        let says = says.map(str::to_owned).map_err(str::to_owned);
        exact().pin_misfit(&mut |path| {
            assert_eq!(path, "plans/a");
            says.clone()
        })
    };
    assert_eq!(digest(Ok("aa")), None);
    let path = "plans/a".to_owned();
    assert_eq!(
        digest(Ok("ab")),
        Some(GrantMisfit::PinChanged { path: path.clone() })
    );
    let why = "gone".to_owned();
    assert_eq!(
        digest(Err("gone")),
        Some(GrantMisfit::PinUnreadable { path, why })
    );
}

#[track_caller]
fn lets(terms: &GrantTerms, paths: &[&str], expected: Effect) {
    let policy = policy();
    let words = ["terraform", "fmt"].iter().chain(paths);
    let request = Request::argv(words.copied());
    let context = terms.grant(Context::new("ci"));
    assert_eq!(
        decide(&policy, &request, &context).effect(),
        expected,
        "{paths:?}"
    );
}

#[test]
fn a_grant_for_a_rule_lifts_that_rule_only_and_only_where_it_says() {
    lets(&for_rule("fmt-plans", &[]), &["plans/a"], Effect::Allow);
    lets(&for_rule("fmt-plans", &[]), &["main.tf"], Effect::Ask);
    lets(
        &for_rule("fmt-plans", &[]),
        &["plans/a", "main.tf"],
        Effect::Ask,
    );
    lets(
        &for_rule("fmt", &[]),
        &["plans/a", "main.tf"],
        Effect::Allow,
    );
    lets(
        &for_rule("fmt", &["modules/**"]),
        &["modules/a"],
        Effect::Allow,
    );
    lets(
        &for_rule("fmt", &["modules/**"]),
        &["modules_old/a"],
        Effect::Ask,
    );
    lets(
        &for_rule("fmt", &["modules/**"]),
        &["modules/a", "main.tf"],
        Effect::Ask,
    );
    lets(&for_rule("no-such-rule", &[]), &["main.tf"], Effect::Ask);
}

#[track_caller]
fn unreadable(change: impl FnOnce(&mut GrantTerms), says: &str) {
    let mut terms = exact();
    change(&mut terms);
    let error = GrantTerms::parse(&terms.to_text()).unwrap_err();
    assert!(error.why.contains(says), "{error}");
}

#[test]
fn a_text_that_is_no_grant_is_refused() {
    unreadable(|terms| terms.lictor_grant = 3, "version 2");
    unreadable(|terms| terms.lictor_grant = 1, "version 2");
    unreadable(|terms| terms.workspace = None, "version 2");
    unreadable(|terms| terms.id = "G 1".to_owned(), "`id`");
    unreadable(|terms| terms.rule = Some("fmt".to_owned()), "either");
    unreadable(|terms| terms.request = None, "either");
    unreadable(|terms| terms.why = " ".to_owned(), "`why`");
    unreadable(|terms| terms.why = "x".repeat(1001), "`why`");
    unreadable(|terms| terms.why = "x".repeat(9000), "8 KiB");
    unreadable(
        |terms| terms.until = "2026-11-24T12:00:00Z".to_owned(),
        "times",
    );
    unreadable(|terms| terms.made = "soon".to_owned(), "times");
    unreadable(|terms| terms.uses = 0, "`uses`");
    let text = for_rule("fmt", &["a**"]).to_text();
    assert!(GrantTerms::parse(&text).is_err());
    let text = exact().to_text();
    let twice = text.replacen('{', "{\"uses\": 5,", 1);
    let error = GrantTerms::parse(&twice).unwrap_err();
    assert!(error.why.contains("duplicate"), "{error}");
    let unknown = text.replacen('{', "{\"only_on\": \"monday\",", 1);
    assert!(GrantTerms::parse(&unknown).is_err());
    assert!(GrantTerms::parse("[1, \"g\"]").is_err());
}

#[test]
fn the_text_hides_nothing_from_whoever_signs_it_and_reads_back_as_it_was() {
    let mut terms = exact();
    terms.why = "read \u{202e}it\u{7f}\u{e0041}, ümläut".to_owned();
    let text = terms.to_text();
    assert!(
        text.contains("\\u202eit\\u007f\\udb40\\udc41, ümläut"),
        "{text}"
    );
    assert_eq!(GrantTerms::parse(&text).unwrap(), terms);
}

#[test]
fn a_text_counts_only_as_lictor_writes_it() {
    let text = exact().to_text();
    let padding = " ".repeat(3000);
    let hostile = [
        // A name twice: whoever reads from the top sees the first, a parser takes the last.
        text.replace("\"cwd\": \".\"", "\"cwd\": \".\",\n    \"cwd\": \"x\""),
        text.replace("\"tool\": ", "\"tool\": \"notes\",\n    \"tool\": "),
        text.replace("\"args\": {", "\"args\": {},\n    \"args\": {"),
        text.replace("\"plan\": [", "\"plan\": [],\n      \"plan\": ["),
        text.replace("\"uid\": 1000", "\"uid\": 1000, \"uid\": 0"),
        // Out of sight.
        text.replace("\"cwd\": \".\"", &format!("\"cwd\":{padding}\".\"")),
        format!("{text}\n"),
        format!("\n{text}"),
        text.trim_end().to_owned(),
        text.replace('\n', "\r\n"),
        text.replace("  ", "\t"),
        // The same text, spelled otherwise.
        text.replace("plans/a", "pl\\u0061ns/a"),
        text.replace("plans/a", "plans\\/a"),
        text.replace("\"uses\": 1", "\"uses\": 1.0"),
        text.replace("\"uses\": 1", "\"uses\": 1e0"),
        text.replace(
            "\"tool\": \"terraform\",\n    \"action\": \"apply\"",
            "\"action\": \"apply\",\n    \"tool\": \"terraform\"",
        ),
        // A field that is there and says nothing.
        text.replace("\"who\"", "\"actor\": null,\n  \"who\""),
        text.replace("\"who\"", "\"within\": [],\n  \"who\""),
    ];
    for hostile in hostile {
        assert_ne!(hostile, text);
        assert!(GrantTerms::parse(&hostile).is_err(), "{hostile}");
    }
    // Two arguments stand in one order.
    let mut terms = exact();
    let Some(request) = &mut terms.request else {
        panic!()
    };
    let flag = vec![crate::decision::ExactValue::Flag(true)];
    request.args.insert("auto".to_owned(), flag);
    let text = terms.to_text();
    let auto = "      \"auto\": [\n        true\n      ],\n";
    let plan = "      \"plan\": [\n        \"plans/a\"\n      ]\n";
    assert!(text.contains(&format!("{auto}{plan}")), "{text}");
    let other = text.replace(auto, "").replace(
        plan,
        &format!("{},\n{}\n", plan.trim_end(), auto.trim_end_matches(",\n")),
    );
    let error = GrantTerms::parse(&other).unwrap_err();
    assert!(error.why.contains("byte for byte"), "{error}");
}

#[test]
fn a_grant_counts_in_the_workspace_that_it_names() {
    let now = "2026-11-24T11:00:00Z";
    let in_workspace = |workspace: Option<GrantWorkspace>, says: Option<&str>| {
        let mut terms = exact();
        terms.lictor_grant = if workspace.is_some() { 2 } else { 1 };
        terms.workspace = workspace;
        check(&terms, &apply("plans/a"), now, says);
        assert_eq!(GrantTerms::parse(&terms.to_text()).unwrap(), terms);
    };
    let one = |path: &str, device, inode| {
        let path = std::path::Path::new(path);
        Some(GrantWorkspace::One(OneWorkspace::new(path, device, inode)))
    };
    in_workspace(one("/work", (8, 1), 7), None);
    in_workspace(Some(GrantWorkspace::Any), None);
    in_workspace(
        one("/other", (8, 1), 7),
        Some("the workspace `/other` only"),
    );
    in_workspace(one("/work", (8, 1), 8), Some("another one is there now"));
    in_workspace(one("/work", (8, 2), 7), Some("another one is there now"));
    in_workspace(None, Some("names no workspace"));
    // Nothing is known about where it is asked.
    let policy = policy();
    assert!(exact().misplaced(&policy, None).is_some());
    let mut rule = for_rule("fmt", &[]);
    rule.workspace = one("/other", (8, 1), 7);
    let fmt = Request::argv(["terraform", "fmt", "plans/a"]);
    check(&rule, &fmt, now, Some("the workspace `/other` only"));
}
