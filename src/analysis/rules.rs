//! Questions about single rules: does it ever decide, is it needed, does it meet another; and about
//! actions: is one never allowed, or always.

#![forbid(unsafe_code)]

use super::cells::{Analysis, Cell, union_of};
use super::diff::is_needless;
use super::formula::Formula;
use super::situations::Situation;
use super::witness::{Claim, Expected};
use super::{Answer, Budget, PathSet, Witness};
use crate::decision::Effect;
use crate::policy::model::RuleEffect;
use crate::policy::{CompiledRule, RuleId};

impl Analysis {
    /// Proves that an allow rule can never be a reason to allow, because denies and asks that nothing lifts
    /// cover all of it, or finds a request that it allows. Rules are named by their id; the claim holds for
    /// one that does not exist, or does not allow.
    ///
    /// ```
    /// use lictor::analysis::Budget;
    /// use lictor::analysis::cells::Analysis;
    /// use lictor::policy::CompiledPolicy;
    ///
    /// let policy = CompiledPolicy::from_yaml(
    ///     "version: 1
    /// name: dead
    /// use: lictor/files@1
    /// scopes: {docs: \"docs/**\", all: \"**\"}
    /// rules:
    ///   - {id: read-docs, allow: filesystem.read_file, within: docs}
    ///   - {id: nothing-of-docs, deny: filesystem.*, touching: docs}
    ///   - {id: write-all, allow: filesystem.write_file, within: all}
    /// ",
    /// )?;
    /// let analysis = Analysis::of(&policy);
    /// assert!(analysis.never_allows("read-docs", &Budget::default()).holds());
    /// assert_eq!(analysis.rules_over("read-docs", &Budget::default()), ["nothing-of-docs"]);
    /// let answer = analysis.never_allows("write-all", &Budget::default());
    /// assert_eq!(answer.witness().unwrap().path.as_deref(), Some("a"));
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    pub fn never_allows(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        self.each(rule, budget, &mut |_, rule, cell, situation| {
            let is_allow = rule.effect == RuleEffect::Allow;
            if !is_allow || !situation.most || rule.has_lapsed(situation.context.now()) {
                return Answer::Holds;
            }
            let set = self.of_rule(cell, rule);
            let judged = self.judged(cell, &situation.context).near(&set);
            let empty = Formula::all([set, judged.open()]);
            self.claim(cell, situation, empty, Expected::Is(Effect::Allow))
                .proved(budget)
        })
    }

    /// The rules that keep an allow rule from deciding somewhere: each denies, or asks about, some of
    /// its paths. Only one, if one alone is over all of it.
    #[must_use]
    pub fn rules_over(&self, rule: &str, budget: &Budget<'_>) -> Vec<String> {
        let Some((_, allow)) = self.rule_named(rule) else {
            return Vec::new();
        };
        let mut over: Vec<&CompiledRule> = Vec::new();
        let mut alone = None;
        for (_, other) in self.policy().rules() {
            if other.effect == RuleEffect::Allow {
                continue;
            }
            let mut meets = false;
            let mut lacks = false;
            for cell in self.cells_of(allow) {
                let (inner, outer) = (self.of_rule(cell, allow), self.of_rule(cell, other));
                let space = self.space(cell);
                let (inner, outer) = (PathSet::from(inner), PathSet::from(outer));
                meets |= space
                    .are_disjoint(&inner, &outer, budget)
                    .witness()
                    .is_some();
                lacks |= !space.covers(&outer, &inner, budget).holds();
            }
            if meets {
                over.push(other);
                let is_for_all = other.actors.is_none() || other.actors == allow.actors;
                if !lacks && is_for_all && alone.is_none() {
                    alone = Some(other);
                }
            }
        }
        let told = alone.map_or(over, |alone| vec![alone]);
        told.into_iter().map(|rule| rule.id.clone()).collect()
    }

    /// Proves that a deny or ask rule meets nothing that any rule allows, or finds a request that it keeps
    /// out and that some rule would allow.
    pub fn meets_no_allow(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        self.each(rule, budget, &mut |_, rule, cell, situation| {
            let granted = match rule.effect {
                RuleEffect::Allow => false,
                // A lifted ask keeps nothing out.
                RuleEffect::Ask => situation.least,
                RuleEffect::Deny => situation.most,
            };
            if !granted {
                return Answer::Holds;
            }
            let set = self.of_rule(cell, rule);
            let judged = self.judged(cell, &situation.context).near(&set);
            let allows =
                [&judged.free, &judged.granted, &judged.ungranted].map(|rules| union_of(rules));
            let empty = Formula::all([set, Formula::any(allows)]);
            self.claim(cell, situation, empty, Expected::IsNot(Effect::Allow))
                .proved(budget)
        })
    }

    /// Proves that the policy without the rule decides everything as the policy does: effect, limits,
    /// approvals; or finds a request that is decided otherwise, with the decision of the policy itself.
    pub fn is_redundant(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        match self.rule_named(rule) {
            Some((id, _)) => is_needless(self, id, budget),
            None => Answer::Holds,
        }
    }

    /// Proves that no path of any action is one that both rules speak about to one actor, or finds a request
    /// for one.
    pub fn are_apart(&self, a: &str, b: &str, budget: &Budget<'_>) -> Answer<Witness> {
        let Some((_, other)) = self.rule_named(b) else {
            return Answer::Holds;
        };
        self.each(a, budget, &mut |_, rule, cell, situation| {
            if !situation.least || !other.is_for(situation.context.actor()) {
                return Answer::Holds;
            }
            let empty = Formula::all([self.of_rule(cell, rule), self.of_rule(cell, other)]);
            self.claim(cell, situation, empty, Expected::Whatever)
                .proved(budget)
        })
    }

    /// Proves that rule `outer` speaks about every path, action and actor that `inner` speaks about, or finds
    /// a request that only `inner` is about.
    pub fn is_inside(&self, inner: &str, outer: &str, budget: &Budget<'_>) -> Answer<Witness> {
        let other = self.rule_named(outer);
        self.each(inner, budget, &mut |_, rule, cell, situation| {
            if !situation.least {
                return Answer::Holds;
            }
            let outside = match other {
                Some((_, other)) if other.is_for(situation.context.actor()) => {
                    self.of_rule(cell, other).not()
                }
                _ => Formula::Const(true),
            };
            let empty = Formula::all([self.of_rule(cell, rule), outside]);
            self.claim(cell, situation, empty, Expected::Whatever)
                .proved(budget)
        })
    }

    /// Proves that no path of these is ever allowed to an action, whoever asks and whatever is granted, or
    /// finds a request that is allowed. The action is written as in a rule: `tool.action`, `tool.*`, `*`.
    pub fn never(&self, action: &str, paths: &PathSet, budget: &Budget<'_>) -> Answer<Witness> {
        let wanted = |cell: &Cell| is_named(cell, action);
        self.never_in(&wanted, &paths.formula, budget)
    }

    /// Proves that all paths of these are always allowed to an action, to anybody and with nothing granted,
    /// or finds a request that is not. The directory that a command starts in is not asked about.
    pub fn always(&self, action: &str, paths: &PathSet, budget: &Budget<'_>) -> Answer<Witness> {
        let wanted = |cell: &Cell| is_named(cell, action);
        self.always_in(&wanted, &paths.formula, budget)
    }

    pub(super) fn never_in(
        &self,
        wanted: &dyn Fn(&Cell) -> bool,
        paths: &Formula,
        budget: &Budget<'_>,
    ) -> Answer<Witness> {
        let mut answer = Answer::Holds;
        for cell in self.cells().iter().filter(|cell| wanted(cell)) {
            answer = answer.and(|| {
                self.in_situations(cell, budget, &mut |situation| {
                    if !situation.most {
                        return Answer::Holds;
                    }
                    let allowed = self.judged(cell, &situation.context).of(Effect::Allow);
                    let empty = Formula::all([about(cell, paths), allowed]);
                    self.claim(cell, situation, empty, Expected::Is(Effect::Allow))
                        .proved(budget)
                })
            });
        }
        answer
    }

    pub(super) fn always_in(
        &self,
        wanted: &dyn Fn(&Cell) -> bool,
        paths: &Formula,
        budget: &Budget<'_>,
    ) -> Answer<Witness> {
        let mut answer = Answer::Holds;
        for cell in self
            .cells()
            .iter()
            .filter(|cell| wanted(cell) && !cell.is_cwd())
        {
            answer = answer.and(|| {
                self.in_situations(cell, budget, &mut |situation| {
                    if !situation.least {
                        return Answer::Holds;
                    }
                    let allowed = self.judged(cell, &situation.context).of(Effect::Allow);
                    let empty = Formula::all([about(cell, paths), allowed.not()]);
                    self.claim(cell, situation, empty, Expected::IsNot(Effect::Allow))
                        .proved(budget)
                })
            });
        }
        answer
    }

    /// Asks about each cell that a rule is about and each situation of one whom it is for.
    pub(super) fn each(
        &self,
        rule: &str,
        budget: &Budget<'_>,
        ask: &mut dyn FnMut(RuleId, &CompiledRule, &Cell, &Situation) -> Answer<Witness>,
    ) -> Answer<Witness> {
        let Some((id, rule)) = self.rule_named(rule) else {
            return Answer::Holds;
        };
        let mut answer = Answer::Holds;
        for cell in self.cells_of(rule) {
            if answer.witness().is_some() {
                break;
            }
            answer = answer.and(|| {
                self.in_situations(cell, budget, &mut |situation| {
                    if rule.is_for(situation.context.actor()) {
                        ask(id, rule, cell, situation)
                    } else {
                        Answer::Holds
                    }
                })
            });
        }
        answer
    }

    /// The cells that a rule is about, the directory that the command starts in last.
    fn cells_of(&self, rule: &CompiledRule) -> impl Iterator<Item = &Cell> {
        let of = |is_cwd: bool| {
            self.cells()
                .iter()
                .filter(move |cell| cell.is_cwd() == is_cwd)
        };
        of(false)
            .chain(of(true))
            .filter(|cell| cell.is_of(&rule.selectors))
    }

    fn in_situations(
        &self,
        cell: &Cell,
        budget: &Budget<'_>,
        ask: &mut dyn FnMut(&Situation) -> Answer<Witness>,
    ) -> Answer<Witness> {
        let situations = match self.situations(cell, budget) {
            Ok(situations) => situations,
            Err(cap) => return Answer::Unknown(cap),
        };
        let mut answer = Answer::Holds;
        for situation in situations.iter() {
            if answer.witness().is_some() {
                break;
            }
            answer = answer.and(|| ask(situation));
        }
        answer
    }

    pub(super) fn claim<'a>(
        &'a self,
        cell: &'a Cell,
        situation: &'a Situation,
        empty: Formula,
        expected: Expected,
    ) -> Claim<'a> {
        Claim {
            analysis: self,
            cell,
            context: &situation.context,
            empty: empty.into(),
            beside: None,
            expected,
        }
    }
}

/// The paths that are asked about; a request without paths is, if all paths are.
fn about(cell: &Cell, paths: &Formula) -> Formula {
    match cell.argument() {
        Some(_) => paths.clone(),
        None => Formula::Const(*paths == Formula::Const(true)),
    }
}

/// Returns true if a pattern of actions names the cell's.
fn is_named(cell: &Cell, action: &str) -> bool {
    match action.split_once('.') {
        Some((tool, action)) => tool == cell.tool() && (action == "*" || action == cell.action()),
        None => action == "*",
    }
}
