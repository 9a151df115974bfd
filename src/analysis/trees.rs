//! Trees of directories: do some rules allow everything below one, whatever a disk holds there?

#![forbid(unsafe_code)]

use super::cells::{Analysis, Cell};
use super::formula::{Formula, Scope};
use super::{Answer, Budget, PathSet, Space};
use crate::path::CanonicalPath;
use crate::policy::glob::{Case, Pattern};
use crate::policy::matcher::ScopeId;
use crate::policy::model::{Access, RuleEffect};
use crate::policy::{CompiledPolicy, CompiledRule};

/// Steps that may be taken for one directory: a request waits for the answer.
const STEPS: u64 = 50_000;

/// Returns true if the allow rules that `counts` holds for cover a directory and everything below it for an
/// argument of an action, all together; else something below it that they lack. Names are those that a disk
/// can hold, not only those that a request can name: a tool that goes through the directory reads them all.
pub(crate) fn covers_tree(
    policy: &CompiledPolicy,
    (tool, action, argument): (u32, u32, &str),
    root: &CanonicalPath,
    counts: &dyn Fn(&CompiledRule) -> bool,
) -> Answer<String> {
    let mut allowed = Vec::new();
    for (_, rule) in policy.rules() {
        let is_of_action = rule
            .selectors
            .iter()
            .any(|selector| selector.covers(tool, action));
        if rule.effect != RuleEffect::Allow || !is_of_action || !counts(rule) {
            continue;
        }
        let scopes = policy.scopes_for(rule, action, argument).into_iter();
        allowed.extend(
            scopes
                .flatten()
                .filter_map(|scope| within(policy, *scope, root)),
        );
    }
    let budget = Budget::default().with_steps(STEPS);
    let allowed = PathSet::from(Formula::any(allowed));
    Space::of_disk().covers(&allowed, &PathSet::below(root), &budget)
}

/// Proves that no request may write at or below a directory, whoever asks and whatever is granted first, or
/// finds a path there that one may.
pub(crate) fn lets_write_below(policy: &CompiledPolicy, root: &CanonicalPath) -> Answer<String> {
    let analysis = Analysis::of(policy);
    let budget = Budget::default().with_steps(STEPS);
    let below = PathSet::below(root);
    let mut answer = Answer::Holds;
    let writes = |cell: &&Cell| cell.access() == Some(Access::Write);
    for cell in analysis.cells().iter().filter(writes) {
        let of = |counts: &dyn Fn(&CompiledRule) -> bool| {
            let rules = analysis.rules_about(cell).filter(|(_, rule)| counts(rule));
            Formula::any(rules.map(|(_, rule)| analysis.of_rule(cell, rule)))
        };
        let allowed = of(&|rule| rule.effect == RuleEffect::Allow);
        let written = Formula::all([below.formula.clone(), allowed]);
        // Mostly no allow reaches there; denies have many patterns, so they are asked only if one does.
        let is_empty = Space::of_disk().is_empty(&written.clone().into(), &budget);
        if matches!(is_empty, Answer::Holds) || is_denied_below(policy, &analysis, cell, root) {
            continue;
        }
        let denied = of(&|rule| rule.effect == RuleEffect::Deny && rule.actors.is_none());
        let written = Formula::all([written, denied.not()]);
        answer = answer.and(|| Space::of_disk().is_empty(&written.into(), &budget));
        if answer.witness().is_some() {
            break;
        }
    }
    answer
}

/// Returns true if one pattern of a deny rule for everybody holds all of a directory, which needs no search.
fn is_denied_below(
    policy: &CompiledPolicy,
    analysis: &Analysis,
    cell: &Cell,
    root: &CanonicalPath,
) -> bool {
    let covers = |scope: &ScopeId| {
        let scope = usize::try_from(scope.0).ok();
        scope
            .and_then(|nth| policy.scopes().get(nth))
            .is_some_and(|scope| {
                scope.exclude.is_empty() && scope.include.iter().any(|pattern| pattern.covers(root))
            })
    };
    analysis.rules_about(cell).any(|(_, rule)| {
        rule.effect == RuleEffect::Deny
            && rule.actors.is_none()
            && analysis
                .scopes_of(cell, rule)
                .is_some_and(|scopes| scopes.iter().any(covers))
    })
}

/// The part of a scope that can lie at or below a directory.
fn within(policy: &CompiledPolicy, scope: ScopeId, root: &CanonicalPath) -> Option<Formula> {
    let scope = policy.scopes().get(usize::try_from(scope.0).ok()?)?;
    let below = |patterns: &[Pattern]| -> Vec<Pattern> {
        let below = patterns
            .iter()
            .filter(|pattern| pattern.may_match_below(root));
        below.cloned().collect()
    };
    let (include, exclude) = (below(&scope.include), below(&scope.exclude));
    Some(Formula::scope(Scope::new(include, exclude, Case::Exact)))
}
