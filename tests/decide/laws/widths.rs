//! Every request that a wider approval covers is allowed with it, and none of them is one that a rule denies or that
//! another rule asks about: over random policies, against the second reading of the specification.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use lictor::analysis::Budget;
use lictor::analysis::cells::Analysis;
use lictor::analysis::widths::Question;
use lictor::decision::extent::Width;
use lictor::decision::{Effect as Decided, decide};
use lictor::path::CanonicalPath;
use lictor::reason::Reason;

use super::policy::{Effect, Policy};
use super::request::{Ask, Call, Given};
use super::{compiled, policy, reference, request};

const CASES: usize = 300;

/// The paths that a request is tried with, up to three names deep.
fn paths() -> Vec<String> {
    let names = ["a", "b", "A", "docs", "x.py", "lictor.yaml"];
    let mut all: Vec<String> = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..3 {
        let longer = last.iter().flat_map(|path| {
            names.map(|name| match path.as_str() {
                "" => name.to_owned(),
                path => format!("{path}/{name}"),
            })
        });
        last = longer.collect();
        all.extend(last.clone());
    }
    all
}

/// The request with each path in the place of each of its own, and without what it can do without.
fn alike(ask: &Ask, paths: &[String]) -> Vec<Ask> {
    let mut all = Vec::new();
    let mut add = |call: Call| {
        all.push(Ask {
            call,
            ..ask.clone()
        })
    };
    match &ask.call {
        Call::Ping => {}
        Call::One { action, .. } => {
            for path in paths {
                let path = path.clone();
                add(Call::One { action, path });
            }
        }
        Call::Clean { .. } => {
            add(Call::Clean { dir: None });
            for path in paths {
                add(Call::Clean {
                    dir: Some(path.clone()),
                });
            }
        }
        Call::Copy { from, to } => {
            for path in paths {
                add(Call::Copy {
                    from: from.clone(),
                    to: path.clone(),
                });
                let mut more = from.clone();
                more.push(path.clone());
                add(Call::Copy {
                    from: more,
                    to: to.clone(),
                });
                add(Call::Copy {
                    from: vec![path.clone()],
                    to: to.clone(),
                });
            }
            for path in from {
                add(Call::Copy {
                    from: vec![path.clone()],
                    to: to.clone(),
                });
            }
        }
        Call::Test { dir, out, targets } => {
            let test = |out: &Option<String>, targets: Vec<String>| Call::Test {
                dir: dir.clone(),
                out: out.clone(),
                targets,
            };
            add(test(&None, targets.clone()));
            for path in paths {
                add(test(&Some(path.clone()), targets.clone()));
                add(test(out, vec![path.clone()]));
            }
        }
    }
    all
}

/// The policy in which these rules need no approval: what a grant for them makes of it.
fn freed(policy: &Policy, rules: &[String]) -> Policy {
    let mut freed = policy.clone();
    freed
        .rules
        .retain(|rule| rule.effect != Effect::Ask || !rules.contains(&rule.name()));
    for rule in &mut freed.rules {
        if rules.contains(&rule.name()) {
            rule.approval = None;
        }
    }
    freed
}

#[test]
fn whatever_a_wider_approval_covers_is_allowed_with_it_and_nothing_else_is() {
    let paths = paths();
    let mut runner = TestRunner::deterministic();
    let strategy = (
        policy::policy(),
        prop::collection::vec((request::ask(), request::given()), 24),
    );
    let mut offered: HashMap<Width, usize> = HashMap::new();
    let (mut covered, mut tried) = (0, 0);
    for case in 0..CASES {
        let (mut policy, asked) = strategy.new_tree(&mut runner).unwrap().current();
        if case % 3 > 0 {
            // Most random terms cannot be enforced.
            policy = policy.without_terms();
        }
        let compiled = compiled(&policy);
        let analysis = Analysis::of(&compiled);
        for (ask, given) in &asked {
            let (request, context) = (ask.request(), given.context());
            let decision = decide(&compiled, &request, &context);
            let Some(approval) = decision.approvals().first().map(|need| need.name.clone()) else {
                continue;
            };
            let is_directory = |path: &CanonicalPath| path.as_str().len() % 2 == 1;
            let mut question = Question::new(&request, &context, &approval);
            question.is_directory = &is_directory;
            for width in [Width::Paths, Width::Below] {
                let Ok(extent) = analysis.widened(&question, width, &Budget::default()) else {
                    continue;
                };
                assert!(extent.covers(decision.exact().unwrap()));
                *offered.entry(width).or_default() += 1;
                let mut given: Given = given.clone();
                given.actor = ask.actor.unwrap_or(given.actor);
                let freed = freed(&policy, &extent.rules);
                for other in alike(ask, &paths) {
                    tried += 1;
                    let decided = decide(&compiled, &other.request(), &context);
                    let is_covered = decided.exact().is_some_and(|exact| extent.covers(exact));
                    if !is_covered {
                        continue;
                    }
                    covered += 1;
                    let said = || format!("{other:?} {given:?}\n{extent:?}\n{}", policy.yaml());
                    // What nobody may write is in no grant, and is not said in each.
                    let is_protected = |reasons: &[Reason]| reasons == [Reason::SelfProtected];
                    let before = reference::decide(&policy, &other, &given);
                    let with = reference::decide(&freed, &other, &given);
                    assert!(
                        before.effect != Effect::Deny || is_protected(&before.reasons),
                        "a rule denies it: {}",
                        said()
                    );
                    assert!(
                        with.effect == Effect::Allow || is_protected(&with.reasons),
                        "it is not allowed: {}",
                        said()
                    );
                    let granted = extent.grant(&approval, context.clone());
                    let with = decide(&compiled, &other.request(), &granted);
                    assert!(
                        with.effect() == Decided::Allow || is_protected(with.reasons()),
                        "it is not allowed with the grant: {} {}",
                        with.message(),
                        said()
                    );
                }
            }
        }
    }
    println!("{offered:?}, {covered} of {tried} covered");
    assert!(
        offered[&Width::Paths] > 10 && offered[&Width::Below] > 20 && covered > 1000,
        "{offered:?}, {covered} of {tried} covered: the law was hardly tried"
    );
}
