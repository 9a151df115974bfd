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

/// A grant for `terraform apply plans/a` by anybody.
fn exact() -> GrantTerms {
    let policy = policy();
    let decision = decide(&policy, &apply("plans/a"), &Context::new("ci"));
    GrantTerms {
        lictor_grant: 1,
        id: "g-1".to_owned(),
        approval: "human".to_owned(),
        policy: policy.digest().to_owned(),
        request: decision.exact().map(Exact::to_json),
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
    let asking = Asking::new(&policy, &decision, now.parse().unwrap()).unwrap();
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
    unreadable(|terms| terms.lictor_grant = 2, "version 1");
    unreadable(|terms| terms.id = "G 1".to_owned(), "`id`");
    unreadable(|terms| terms.rule = Some("fmt".to_owned()), "either");
    unreadable(|terms| terms.request = None, "either");
    unreadable(|terms| terms.request = Some(Json::from(1)), "either");
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
