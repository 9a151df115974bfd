//! Reach of one rule: is one of these paths allowed because of it, whatever else the policy says?

#![forbid(unsafe_code)]

use super::cells::{Analysis, Cell, prefixes, union_of};
use super::formula::Formula;
use super::witness::{Claim, Expected};
use super::{Answer, Budget, PathSet, Witness};
use crate::decision::Effect;
use crate::policy::model::RuleEffect;

impl Analysis {
    /// The cell of an argument of an action.
    #[must_use]
    pub fn cell(&self, tool: &str, action: &str, argument: &str) -> Option<&Cell> {
        self.cells().iter().find(|cell| {
            cell.argument() == Some(argument) && cell.action() == action && cell.tool() == tool
        })
    }

    /// Proves that an allow rule lets none of these paths through: those that it is about are denied, or
    /// asked about, or allowed without it. Or finds a request that is allowed because of the rule, with the
    /// approvals that the rule itself needs granted and nothing more.
    ///
    /// ```
    /// use lictor::analysis::cells::Analysis;
    /// use lictor::analysis::{Budget, PathSet};
    /// use lictor::policy::CompiledPolicy;
    /// use lictor::policy::glob::{Case, Pattern};
    ///
    /// let policy = CompiledPolicy::from_yaml(
    ///     "version: 1
    /// name: settings
    /// use: lictor/files@1
    /// scopes: {conf: \"conf/**\", secrets: \"conf/.env\"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: conf}
    ///   - {id: no-secrets, deny: \"*\", touching: secrets}
    /// ",
    /// )?;
    /// let analysis = Analysis::of(&policy);
    /// let cell = analysis.cell("filesystem", "read_file", "path").unwrap();
    /// let secrets = PathSet::of(&Pattern::parse("**/.env*").unwrap(), Case::Folded);
    /// let answer = analysis.lets_none_through("read", cell, &secrets, &Budget::default());
    /// let path = answer.witness().unwrap().path.clone().unwrap();
    /// assert!(path.starts_with("conf/.env") && path != "conf/.env");
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    pub fn lets_none_through(
        &self,
        rule: &str,
        cell: &Cell,
        paths: &PathSet,
        budget: &Budget<'_>,
    ) -> Answer<Witness> {
        let Some((id, rule)) = self.rule_named(rule) else {
            return Answer::Holds;
        };
        let set = self.of_rule(cell, rule);
        if rule.effect != RuleEffect::Allow || set == Formula::Const(false) {
            return Answer::Holds;
        }
        let situations = match self.situations(cell, budget) {
            Ok(situations) => situations,
            Err(cap) => return Answer::Unknown(cap),
        };
        let mut looked_at: Vec<&str> = Vec::new();
        let mut answer = Answer::Holds;
        for situation in situations.iter() {
            let context = &situation.context;
            let judged = self.judged(cell, context);
            let is_among = |list: &[_]| list.iter().any(|(other, _)| *other == id);
            let needs_grant = is_among(&judged.granted);
            // The first situation of an actor in which it counts is the one in which nothing more is granted.
            if looked_at.contains(&context.actor()) || !(needs_grant || is_among(&judged.free)) {
                continue;
            }
            looked_at.push(context.actor());
            let near = judged.near(&set);
            let mut empty = vec![set.clone(), paths.formula.clone(), near.open()];
            if needs_grant {
                // Where an allow needs nothing, those that need a grant do not count.
                empty.push(union_of(&near.free).not());
            }
            let claim = Claim {
                analysis: self,
                cell,
                context,
                empty: Formula::all(empty).into(),
                beside: None,
                expected: Expected::Is(Effect::Allow),
            };
            answer = answer.and(|| claim.proved(budget));
            if answer.witness().is_some() {
                break;
            }
        }
        answer
    }

    /// False if it is plain from the patterns that an allow rule speaks of none of these paths.
    pub(crate) fn may_speak_of(&self, rule: &str, cell: &Cell, paths: &PathSet) -> bool {
        self.rule_named(rule)
            .is_some_and(|(_, rule)| self.of_rule(cell, rule).may_meet(&paths.formula))
    }

    /// Paths that deny rules keep everybody out of, for one argument of one action: those of the rules that
    /// speak of no place in particular. Paths in it need no further question.
    pub(crate) fn kept_out_everywhere(&self, cell: &Cell) -> PathSet {
        let denies = self
            .rules_about(cell)
            .filter(|(_, rule)| rule.effect == RuleEffect::Deny && rule.actors.is_none());
        let sets = denies.map(|(_, rule)| self.of_rule(cell, rule));
        Formula::any(sets.filter(|set| prefixes(set).is_none())).into()
    }

    /// The rules that can keep something of a cell out, by their numbers: cells that have the same ones are
    /// alike to an allow that names the same scopes for both.
    pub(crate) fn keepers(&self, cell: &Cell) -> Vec<u32> {
        let keepers = self.rules_about(cell).filter(|(_, rule)| {
            rule.effect != RuleEffect::Allow && self.of_rule(cell, rule) != Formula::Const(false)
        });
        keepers.map(|(id, _)| id.0).collect()
    }
}
