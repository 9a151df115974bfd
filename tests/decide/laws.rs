//! The laws of a decision, over random policies, requests and tool grammars.
//!
//! A second, naive reading of the specification says the same; the order of rules never matters;
//! more denies never allow more and more allows never take anything away; a request decides alike in
//! both forms; what is executed reads back as what was decided; and no bytes make it panic.

mod grammar;
pub(super) mod policy;
mod reference;
pub(super) mod request;
mod widths;

use std::collections::BTreeSet;

use proptest::prelude::*;

use lictor::analysis::Budget;
use lictor::analysis::diff::{Kind, diff};
use lictor::decision::Effect::{Allow, Deny};
use lictor::decision::{Context, Decision, Request, Terms, decide};
use lictor::policy::CompiledPolicy;
use lictor::policy::terms::{Containment, Keep, Leaks};

use grammar::Tool;
use policy::{Effect, Policy};
use reference::{Combined, Plan, VARIABLES, Verdict};
use request::{Ask, Given};

#[track_caller]
fn compiled(policy: &Policy) -> CompiledPolicy {
    let yaml = policy.yaml();
    crate::support::compiled(&yaml)
}

/// What two policies decide about the same.
fn both(one: &Policy, other: &Policy, asked: &[(Ask, Given)]) -> Vec<(Verdict, Verdict)> {
    let policies = [one, other].map(compiled);
    let decided = |nth: usize, ask: &Ask, given: &Given| {
        verdict(&decide(&policies[nth], &ask.request(), &given.context()))
    };
    asked
        .iter()
        .map(|(ask, given)| (decided(0, ask, given), decided(1, ask, given)))
        .collect()
}

/// What was decided, in the words of the reference.
fn verdict(decision: &Decision) -> Verdict {
    let approval = |name: &str| name[1..].parse::<usize>().unwrap();
    let is_read = decision
        .findings()
        .iter()
        .all(|finding| finding.canonical.is_some());
    let finding = |finding: &lictor::decision::Finding| {
        let arguments = ["cwd", "dir", "path", "from", "to", "out", "target"];
        let argument = arguments
            .into_iter()
            .find(|known| *known == finding.arg)
            .unwrap();
        (argument, finding.canonical.clone().unwrap(), finding.reason)
    };
    Verdict {
        effect: match decision.effect() {
            lictor::decision::Effect::Allow => Effect::Allow,
            lictor::decision::Effect::Ask => Effect::Ask,
            lictor::decision::Effect::Deny => Effect::Deny,
        },
        reasons: decision.reasons().to_vec(),
        rules: decision
            .rules()
            .iter()
            .map(|rule| rule.id.clone())
            .collect(),
        missing: decision
            .approvals()
            .iter()
            .map(|needed| approval(&needed.name))
            .collect(),
        findings: if is_read {
            decision.findings().iter().map(finding).collect()
        } else {
            Vec::new()
        },
        plan: decision.terms().map(|terms| Plan {
            terms: combined(terms),
            granted: decision
                .granted()
                .iter()
                .map(|name| approval(name))
                .collect(),
            argv: decision
                .argv()
                .map(|words| words.into_iter().map(str::to_owned).collect()),
        }),
    }
}

fn combined(terms: &Terms) -> Combined {
    let passes = |name: &&str| {
        let is_like = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        };
        terms.env.inherit.iter().any(is_like)
    };
    Combined {
        timeout_s: terms.limits.timeout.as_secs(),
        output_kib: terms.limits.output_bytes / 1024,
        processes: terms.limits.processes,
        keep: match terms.limits.keep {
            Keep::Head => "head",
            Keep::Tail => "tail",
            Keep::HeadTail => "head-tail",
            other => panic!("{other:?}"),
        },
        containment: match terms.containment {
            Containment::Auto => "auto",
            Containment::AtLeast(level) => level.name(),
            other => panic!("{other:?}"),
        },
        leaks: if terms.leaks == Leaks::Fail {
            "fail"
        } else {
            "warn"
        },
        stop: if terms.stop.signal == 2 {
            "INT"
        } else {
            "TERM"
        },
        set: terms.env.set.iter().cloned().collect::<BTreeSet<_>>(),
        inherited: VARIABLES.into_iter().filter(passes).collect(),
        is_confined: !terms.confine.is_empty(),
    }
}

/// How much an effect permits.
fn rank(effect: Effect) -> u8 {
    match effect {
        Effect::Deny => 0,
        Effect::Ask => 1,
        Effect::Allow => 2,
    }
}

/// Whether the request was denied for what its paths look like, or before.
fn is_lexical(verdict: &Verdict) -> bool {
    use lictor::reason::Reason::{
        ConfineNotEnforceable, DeniedByRule, LimitsConflict, NoRuleAllows, PathOutsideAllowedScope,
        SelfProtected,
    };
    let later = [
        DeniedByRule,
        PathOutsideAllowedScope,
        NoRuleAllows,
        SelfProtected,
        LimitsConflict,
        ConfineNotEnforceable,
    ];
    verdict.effect == Effect::Deny && verdict.reasons.iter().all(|reason| !later.contains(reason))
}

proptest! {
    #[test]
    fn the_compiled_policy_decides_as_the_naive_reading_of_the_specification(
        policy in policy::policy(),
        asked in prop::collection::vec((request::ask(), request::given()), 1..16),
    ) {
        let compiled = compiled(&policy);
        for (ask, given) in asked {
            let decision = decide(&compiled, &ask.request(), &given.context());
            prop_assert_eq!(
                verdict(&decision), reference::decide(&policy, &ask, &given),
                "{:?} {:?}\n{}\n{}", ask, given, decision.message(), policy.yaml()
            );
        }
    }

    #[test]
    fn the_order_of_rules_never_matters(
        (policy, shuffled) in policy::policy()
            .prop_flat_map(|policy| (Just(policy.clone()), Just(policy.rules).prop_shuffle())),
        asked in prop::collection::vec((request::ask(), request::given()), 1..8),
    ) {
        let other = Policy { rules: shuffled, ..policy.clone() };
        for (one, other) in both(&policy, &other, &asked) {
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn another_deny_never_permits_more(
        (policy, deny) in policy::policy().prop_flat_map(|policy| {
            let rule = policy::rule(Some(Effect::Deny), policy.scopes.len(), policy.approvals.len());
            (Just(policy), rule)
        }),
        at in any::<prop::sample::Index>(),
        asked in prop::collection::vec((request::ask(), request::given()), 1..8),
    ) {
        let policy = policy.without_terms();
        let more = policy.with_rule(deny, at);
        for (before, after) in both(&policy, &more, &asked) {
            prop_assert!(rank(after.effect) <= rank(before.effect), "{before:?} {after:?}");
        }
    }

    #[test]
    fn another_allow_never_takes_anything_away(
        (policy, allow) in policy::policy().prop_flat_map(|policy| {
            let rule = policy::rule(Some(Effect::Allow), policy.scopes.len(), policy.approvals.len());
            (Just(policy), rule)
        }),
        at in any::<prop::sample::Index>(),
        asked in prop::collection::vec((request::ask(), request::given()), 1..8),
    ) {
        // Steps 1 to 4: what two rules say about a run may conflict in step 5.
        let policy = policy.without_terms();
        let more = policy.with_rule(allow, at).without_terms();
        for (before, after) in both(&policy, &more, &asked) {
            prop_assert!(rank(after.effect) >= rank(before.effect), "{before:?} {after:?}");
            if is_lexical(&before) {
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn narrowing_a_scope_of_allows_never_permits_more(
        policy in policy::policy(),
        scope in any::<prop::sample::Index>(),
        pattern in policy::pattern(),
        removes in any::<bool>(),
        asked in prop::collection::vec((request::ask(), request::given()), 1..8),
    ) {
        let policy = policy.without_terms();
        let allows: Vec<usize> = (0..policy.scopes.len()).filter(|nth| policy.is_for_allows_only(*nth)).collect();
        prop_assume!(!allows.is_empty());
        let mut narrow = policy.clone();
        let narrowed = &mut narrow.scopes[*scope.get(&allows)];
        if removes && narrowed.include.len() > 1 {
            narrowed.include.pop();
        } else {
            narrowed.exclude.push(pattern);
        }
        for (before, after) in both(&policy, &narrow, &asked) {
            prop_assert!(rank(after.effect) <= rank(before.effect), "{before:?} {after:?}");
        }
    }
}

proptest! {
    // Each case compares two policies over all paths.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_two_policies_decide_otherwise_is_told_by_their_comparison(
        one in policy::policy(),
        other in policy::policy(),
        asked in prop::collection::vec((request::ask(), request::given()), 1..60),
    ) {
        let policies = [one.without_terms(), other.without_terms()];
        let [before, after] = [0, 1].map(|nth: usize| compiled(&policies[nth]));
        let found = diff(&before, &after, &Budget::default());
        for (ask, given) in asked {
            // An approval by a switch is the same under another name: granted by name it would not be.
            let given = Given { approved: Vec::new(), ..given };
            let effect = |policy| decide(policy, &ask.request(), &given.context()).effect();
            let kinds: &[Kind] = match (effect(&before), effect(&after)) {
                (Deny | lictor::decision::Effect::Ask, Allow) => &[Kind::NewlyAllowed],
                // What newly allows also asks, until it is approved.
                (Deny, lictor::decision::Effect::Ask) => &[Kind::NewlyAsked, Kind::NewlyAllowed],
                (Allow, lictor::decision::Effect::Ask) => &[Kind::AskedInstead],
                (Allow | lictor::decision::Effect::Ask, Deny) => &[Kind::NewlyDenied],
                _ => continue,
            };
            let (tool, action) = ask.names();
            let is_told = found.changes.iter().any(|change| {
                kinds.contains(&change.kind) && (&*change.tool, &*change.action) == (tool, action)
            });
            prop_assert!(
                is_told || !found.unknown.is_empty(),
                "{:?} of {ask:?} {given:?}\n{}\n{}", kinds, policies[0].yaml(), policies[1].yaml()
            );
        }
    }
}

/// What is decided and what would be executed.
fn answer(
    policy: &CompiledPolicy,
    request: &Request,
) -> (lictor::decision::Effect, Option<Vec<String>>, String) {
    let decision = decide(policy, request, &Context::new("ci"));
    let argv = decision
        .argv()
        .map(|words| words.into_iter().map(str::to_owned).collect());
    (decision.effect(), argv, decision.message().to_owned())
}

#[track_caller]
fn loaded(tool: &Tool) -> CompiledPolicy {
    CompiledPolicy::from_yaml(&tool.yaml())
        .unwrap_or_else(|errors| panic!("{errors}\n{}", tool.yaml()))
}

proptest! {
    #[test]
    fn a_call_decides_alike_in_both_forms_and_is_executed_as_it_is_declared(
        (tool, call) in grammar::called(grammar::tool()),
        rolls in grammar::dice(),
        as_text in any::<bool>(),
    ) {
        let policy = loaded(&tool);
        let mut dice = grammar::throw(rolls);
        let named = answer(&policy, &call.named(&tool, as_text));
        let Some(words) = call.words(&tool, &mut dice) else {
            prop_assert_eq!(named.0, Deny, "no words say it, {:?} {:?}\n{}", call, named, tool.yaml());
            return Ok(());
        };
        // What an approval is bound to.
        let exact = |request: &Request| decide(&policy, request, &Context::new("ci")).exact().cloned();
        prop_assert_eq!(
            exact(&Request::argv(words.clone())), exact(&call.named(&tool, as_text)), "{:?}\n{}", words, tool.yaml()
        );
        let written = answer(&policy, &Request::argv(words.clone()));
        prop_assert_eq!(written.0, Allow, "{:?} {:?}\n{}", words, written, tool.yaml());
        prop_assert_eq!(named.0, Allow, "{:?} {:?}\n{}", call, named, tool.yaml());
        let expected = Some(grammar::rendered(&tool, &call));
        prop_assert_eq!(&written.1, &expected, "{:?} {:?}\n{}", call, words, tool.yaml());
        prop_assert_eq!(&named.1, &expected, "{:?}\n{}", call, tool.yaml());
        let again = answer(&policy, &Request::argv(expected.clone().unwrap()));
        prop_assert_eq!(again, (Allow, expected, written.2), "{:?}\n{}", words, tool.yaml());
    }

    #[test]
    fn a_word_that_is_not_declared_denies(
        (tool, call) in grammar::called(grammar::tool()),
        rolls in grammar::dice(),
        strange in prop::sample::select(vec![
            "--strange", "-q", "--a-lon", "--b-long-not", "-Aw", "--help", "--d-long2", "-=", "---", "--=x", "--run0",
        ]),
        at in any::<prop::sample::Index>(),
    ) {
        let policy = loaded(&tool);
        let mut dice = grammar::throw(rolls);
        let Some(mut words) = call.words(&tool, &mut dice) else { return Ok(()) };
        // Behind `--` it would be a value; behind an option that takes the next word, its value.
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let first = if words[0] == "python3" { 3 } else { 1 };
        let at = first + at.index(end.saturating_sub(first) + 1);
        let before = words.clone();
        words.insert(at.min(end), strange.to_owned());
        let (effect, argv, _) = answer(&policy, &Request::argv(words.clone()));
        if effect == Allow {
            let taken = argv.unwrap();
            let held = taken.iter().any(|word| word.contains(strange));
            prop_assert!(held, "{strange} was dropped: {before:?} {words:?} {taken:?}\n{}", tool.yaml());
        }
    }

    #[test]
    fn what_is_executed_reads_back_as_what_was_decided_however_spellings_crowd(
        (tool, call) in grammar::called(grammar::crowded_tool()),
        words in prop::collection::vec(grammar::crowded_words(), 1..8),
    ) {
        let Ok(policy) = CompiledPolicy::from_yaml(&tool.yaml()) else { return Ok(()) };
        let asked = words.iter().map(|words| Request::argv(words.clone())).chain([call.named(&tool, true)]);
        for request in asked {
            let decided = answer(&policy, &request);
            if decided.0 == Allow {
                let again = answer(&policy, &Request::argv(decided.1.clone().unwrap()));
                prop_assert_eq!(again, decided, "{:?}\n{}", request, tool.yaml());
            }
        }
    }
}
