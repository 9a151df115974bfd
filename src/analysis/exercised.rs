//! Requests that show something at work: a rule that has a part in a decision, a path that is kept out
//! because it lies outside of a set.

#![forbid(unsafe_code)]

use super::cells::{Analysis, Cell, Judged, union_of};
use super::formula::Formula;
use super::situations::Situation;
use super::witness::Expected;
use super::{Answer, Budget, Cap, PathSet, Witness};
use crate::decision::Effect;
use crate::policy::model::RuleEffect;
use crate::policy::{CompiledRule, RuleId};

/// Way in which a rule is shown, the clearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It alone decides; a deny keeps out what some rule would allow.
    Alone,
    /// It decides together with others; a deny still keeps out what some rule would allow.
    WithOthers,
    /// Anyhow: a deny of what nothing allows, an allow whose approval nobody grants.
    Anyhow,
}

const WAYS: [Way; 3] = [Way::Alone, Way::WithOthers, Way::Anyhow];

impl Analysis {
    /// Proves that a rule has a part in no decision at all, or finds a request that it decides: alone if
    /// there is one, and a deny one that would otherwise be allowed if there is one. The claim holds for a
    /// rule that does not exist.
    ///
    /// ```
    /// use lictor::analysis::Budget;
    /// use lictor::analysis::cells::Analysis;
    /// use lictor::policy::CompiledPolicy;
    ///
    /// let policy = CompiledPolicy::from_yaml(
    ///     "version: 1
    /// name: shown
    /// use: lictor/files@1
    /// scopes: {docs: \"docs/**\", keys: \"**/*.pem\"}
    /// rules:
    ///   - {id: read-docs, allow: filesystem.read_file, within: docs}
    ///   - {id: no-keys, deny: \"*\", touching: keys}
    /// ",
    /// )?;
    /// let analysis = Analysis::of(&policy);
    /// let answer = analysis.never_decides("no-keys", &Budget::default());
    /// assert_eq!(answer.witness().unwrap().path.as_deref(), Some("docs/a.pem"));
    /// assert!(analysis.never_decides("no-such-rule", &Budget::default()).holds());
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    pub fn never_decides(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        self.never_decides_arguments(rule, budget)
            .and(|| self.never_decides_where(rule, budget, true))
    }

    /// As [`Analysis::never_decides`], of the arguments of requests only: whether the rule decides about the
    /// directory that a command starts in is not asked.
    pub fn never_decides_arguments(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        self.never_decides_where(rule, budget, false)
    }

    fn never_decides_where(
        &self,
        rule: &str,
        budget: &Budget<'_>,
        is_cwd: bool,
    ) -> Answer<Witness> {
        let mut last = Answer::Holds;
        for way in WAYS {
            last = self.each(rule, budget, &mut |id, rule, cell, situation| {
                if cell.is_cwd() != is_cwd {
                    return Answer::Holds;
                }
                // What a deny keeps out would be allowed if all were granted.
                if rule.effect == RuleEffect::Deny && way != Way::Anyhow && !situation.most {
                    return Answer::Holds;
                }
                let set = self.of_rule(cell, rule);
                let judged = self.judged(cell, &situation.context).near(&set);
                let mut answer = Answer::Holds;
                for (region, effect) in regions(&judged, id, way) {
                    let empty = Formula::all([set.clone(), region]);
                    answer = answer.and(|| {
                        let claim = self.claim(cell, situation, empty, Expected::Is(effect));
                        decided_by(claim.proved(budget), rule)
                    });
                }
                answer
            });
            if last.witness().is_some() {
                return last;
            }
        }
        // The last way is the widest: what it rules out, the others do.
        last
    }

    /// Proves that every path of an argument that a set does not hold is allowed or asked about, to the
    /// actors that `rule` is for, or finds a request for one that is denied: because no rule speaks of it, if
    /// there is one. The argument is one of an action that the rule names.
    pub fn open_outside(
        &self,
        rule: &str,
        (tool, action, argument): (&str, &str, &str),
        set: &PathSet,
        budget: &Budget<'_>,
    ) -> Answer<Witness> {
        let is_meant = |cell: &Cell| {
            (cell.tool(), cell.action(), cell.argument()) == (tool, action, Some(argument))
        };
        let mut last = Answer::Holds;
        for by_rules in [false, true] {
            last = self.each(rule, budget, &mut |_, _, cell, situation: &Situation| {
                if !is_meant(cell) || !situation.least {
                    return Answer::Holds;
                }
                let judged = self.judged(cell, &situation.context);
                let denied = judged.of(Effect::Deny);
                let kept_out = match by_rules {
                    true => denied,
                    false => Formula::all([denied, union_of(&judged.denies).not()]),
                };
                let empty = Formula::all([set.formula.clone().not(), kept_out]);
                self.claim(cell, situation, empty, Expected::Is(Effect::Deny))
                    .proved(budget)
            });
            if last.witness().is_some() {
                return last;
            }
        }
        last
    }
}

/// Where a rule that speaks decides in this way, and how.
fn regions(judged: &Judged, id: RuleId, way: Way) -> Vec<(Formula, Effect)> {
    let is_in = |rules: &[(RuleId, Formula)]| rules.iter().any(|(other, _)| *other == id);
    let others = |rules: &[(RuleId, Formula)]| {
        let rules = rules.iter().filter(|(other, _)| *other != id);
        Formula::any(rules.map(|(_, set)| set.clone()))
    };
    let alone = |rules: &[(RuleId, Formula)]| match way {
        Way::Alone => others(rules).not(),
        Way::WithOthers | Way::Anyhow => Formula::Const(true),
    };
    let not_denied = || union_of(&judged.denies).not();
    let allows = || {
        Formula::any(
            [&judged.free, &judged.granted, &judged.ungranted].map(|rules| union_of(rules)),
        )
    };
    if is_in(&judged.denies) {
        let allowed = match way {
            Way::Anyhow => Formula::Const(true),
            Way::Alone | Way::WithOthers => allows(),
        };
        let region = Formula::all([allowed, alone(&judged.denies)]);
        return vec![(region, Effect::Deny)];
    }
    if is_in(&judged.asks) {
        let region = Formula::all([not_denied(), allows(), alone(&judged.asks)]);
        return vec![(region, Effect::Ask)];
    }
    if is_in(&judged.free) {
        let region = Formula::all([judged.open(), alone(&judged.free)]);
        return vec![(region, Effect::Allow)];
    }
    let no_free = || union_of(&judged.free).not();
    if is_in(&judged.granted) {
        let region = Formula::all([judged.open(), no_free(), alone(&judged.granted)]);
        return vec![(region, Effect::Allow)];
    }
    if is_in(&judged.ungranted) && way == Way::Anyhow {
        let region = Formula::all([
            not_denied(),
            union_of(&judged.asks).not(),
            no_free(),
            union_of(&judged.granted).not(),
        ]);
        return vec![(region, Effect::Ask)];
    }
    Vec::new()
}

/// A request that another rule turned out to decide shows nothing of this one.
fn decided_by(answer: Answer<Witness>, rule: &CompiledRule) -> Answer<Witness> {
    match answer {
        Answer::Fails(witness)
            if !witness
                .decision
                .rules()
                .iter()
                .any(|applied| applied.id == rule.id) =>
        {
            Answer::Unknown(Cap::NotReproduced)
        }
        answer @ (Answer::Holds | Answer::Fails(_) | Answer::Unknown(_)) => answer,
    }
}
