//! Extents of one approval: the kinds of requests, wider than the one that is asked for, of which every one
//! is allowed with it.
//!
//! A width is offered only where that is proved. What denies, what other rules ask about, and what an invariant says never
//! happens is taken out of it; where the rest cannot be said by patterns, it is not offered, and the reason is given.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::cells::{Analysis, Cell, patterns};
use super::formula::Formula;
use super::{Answer, Budget, PathSet};
use crate::decision::extent::{Extent, ExtentArgs, MAX_PATTERNS, Places, Width};
use crate::decision::{
    Context, Effect, Exact, ExactPath, Request, decide, is_granted_outright, terms_of,
};
use crate::path::CanonicalPath;
use crate::policy::glob::{Case, Pattern};
use crate::policy::model::RuleEffect;
use crate::policy::{CompiledRule, RuleId};
use crate::text::escaped;

/// A question, and what is known besides the policy.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Question<'a> {
    /// The request.
    pub request: &'a Request,
    /// The context of its decision.
    pub context: &'a Context,
    /// The approval that is missing.
    pub approval: &'a str,
    /// Returns true if there is a directory at a path.
    pub is_directory: &'a dyn Fn(&CanonicalPath) -> bool,
}

impl<'a> Question<'a> {
    /// The question about a request that is missing an approval. Nothing is known of the disk.
    #[must_use]
    pub fn new(request: &'a Request, context: &'a Context, approval: &'a str) -> Question<'a> {
        Question {
            request,
            context,
            approval,
            is_directory: &|_| false,
        }
    }
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question")
            .field("request", &self.request)
            .field("approval", &self.approval)
            .finish_non_exhaustive()
    }
}

/// Why a width is not offered, in words.
pub type NotOffered = String;

impl Analysis {
    /// The kind of requests of this width that the approval of one may be for: each of them is allowed with it, as far as
    /// the rules go.
    ///
    /// # Errors
    ///
    /// Why there is none; always for [`Width::Exact`], which is no kind.
    ///
    /// ```
    /// use lictor::analysis::Budget;
    /// use lictor::analysis::cells::Analysis;
    /// use lictor::analysis::widths::Question;
    /// use lictor::decision::extent::Width;
    /// use lictor::decision::{Context, Request};
    /// use lictor::policy::CompiledPolicy;
    ///
    /// let policy = CompiledPolicy::from_yaml(
    ///     "version: 1
    /// name: asks
    /// use: lictor/files@1
    /// scopes: {src: \"src/**\", keys: \"**/*.key\"}
    /// approvals: {person: {grant: true}}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: src, approval: person}
    ///   - {id: no-keys, deny: \"*\", touching: keys}
    /// ",
    /// )?;
    /// let request = Request::named("filesystem", "read_file").with_arg("path", "src/ui/a.ts");
    /// let context = Context::new("agent");
    /// let analysis = Analysis::of(&policy);
    /// let question = Question::new(&request, &context, "person");
    /// let wide = analysis.widened(&question, Width::Below, &Budget::default()).unwrap();
    /// assert_eq!(wide.paths["path"].within, ["src/ui/**"]);
    /// assert_eq!(wide.paths["path"].except, ["**/*.key"]);
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    pub fn widened(
        &self,
        question: &Question<'_>,
        width: Width,
        budget: &Budget<'_>,
    ) -> Result<Extent, NotOffered> {
        let Question {
            request,
            context,
            approval,
            ..
        } = *question;
        let policy = self.policy();
        let asked = decide(policy, request, context);
        let (Some(exact), Effect::Ask) = (asked.exact(), asked.effect()) else {
            return Err("nothing is asked for that an approval would allow".to_owned());
        };
        if width == Width::Exact {
            return Err("it is the request itself".to_owned());
        }
        if exact.paths().is_empty() {
            return Err("the request names no path".to_owned());
        }
        if let Some((argument, _)) = exact.pinned().first() {
            return Err(format!(
                "the file of `{argument}` is approved by its content, so each request on its own"
            ));
        }
        let lifted = self.lifted(question)?;
        let shape = self.shape(question, exact, width)?;
        // An actor that the request names is the one whose rules count.
        let context = match request.actor() {
            Some(actor) => &context.clone().for_actor(actor),
            None => context,
        };
        let with = With {
            analysis: self,
            context,
            approval,
            lifted: &lifted,
            budget,
        };
        let mut paths = BTreeMap::new();
        let mut applying = Vec::new();
        for (argument, wanted) in shape {
            let cell = self
                .cell(&exact.request().tool, &exact.request().action, &argument)
                .ok_or("the argument is not declared")?;
            let places = with.narrowed(cell, &wanted, width, &mut applying)?;
            paths.insert(argument, places);
        }
        applying.sort_unstable();
        applying.dedup();
        let report = self.report_of(&exact.request().tool, &exact.request().action);
        if terms_of(policy, &applying, report).is_none() {
            return Err("its rules state terms that do not hold together everywhere".to_owned());
        }
        let extent = Extent {
            rules: lifted,
            tool: exact.request().tool.clone(),
            action: exact.request().action.clone(),
            args: match width {
                Width::Below => ExtentArgs::Any,
                Width::Exact | Width::Paths => ExtentArgs::These(exact.others().clone()),
            },
            cwd: exact.request().cwd.clone(),
            paths,
        };
        match extent.covers(exact) {
            true => Ok(extent),
            false => Err("what is asked for is a case of its own there".to_owned()),
        }
    }

    /// The rules that ask, all of which this one approval answers.
    fn lifted(&self, question: &Question<'_>) -> Result<Vec<String>, NotOffered> {
        let policy = self.policy();
        let mut lifted: Vec<String> = Vec::new();
        loop {
            let context = lifted
                .iter()
                .fold(question.context.clone(), |context, rule| {
                    context.with_rule_approval(question.approval, rule, Vec::new())
                });
            let decision = decide(policy, question.request, &context);
            if decision.effect() == Effect::Allow {
                return Ok(lifted);
            }
            let rules = decision.rules().iter().map(|rule| rule.id.clone());
            let more: Vec<String> = rules.filter(|id| !lifted.contains(id)).collect();
            let is_own = |id: &String| {
                let found = self.rule_named(id).and_then(|(_, rule)| rule.approval);
                let approval = found.and_then(|nth| policy.approval(nth));
                approval.is_some_and(|approval| approval.name == question.approval)
            };
            if decision.effect() != Effect::Ask || more.is_empty() || !more.iter().all(is_own) {
                return Err(
                    "the request needs another approval as well, or an answer that lictor does not take"
                        .to_owned(),
                );
            }
            lifted.extend(more);
        }
    }

    /// The patterns that the paths of each argument would have to match, as far as the request goes.
    fn shape(
        &self,
        question: &Question<'_>,
        exact: &Exact,
        width: Width,
    ) -> Result<BTreeMap<String, Vec<Pattern>>, NotOffered> {
        let mut by_argument: BTreeMap<String, Vec<&ExactPath>> = BTreeMap::new();
        for path in exact.paths() {
            let known = by_argument.entry(path.argument.clone()).or_default();
            known.push(path);
        }
        // What is no directory has nothing below it.
        let is_directory =
            |path: &CanonicalPath| path.is_workspace() || (question.is_directory)(path);
        let named = |path: &&ExactPath| match path.is_tree && is_directory(&path.path) {
            true => Pattern::below(&path.path),
            false => Pattern::exactly(&path.path),
        };
        let all_of = |paths: &Vec<&ExactPath>| -> Vec<Pattern> {
            let mut patterns: Vec<Pattern> = paths.iter().map(named).collect();
            patterns.dedup();
            patterns
        };
        if width == Width::Paths {
            let is_one = |paths: &Vec<&ExactPath>| matches!(all_of(paths).as_slice(), [one] if !one.reaches_down());
            if by_argument.values().all(is_one) {
                return Err("it would cover no more than the request itself".to_owned());
            }
        }
        let shaped = by_argument.into_iter().map(|(argument, paths)| {
            let is_base = paths.iter().any(|path| path.is_base);
            let patterns = match width {
                Width::Below if !is_base => vec![Pattern::below(&common(&paths, question))],
                Width::Exact | Width::Paths | Width::Below => all_of(&paths),
            };
            (argument, patterns)
        });
        Ok(shaped.collect())
    }

    fn report_of(&self, tool: &str, action: &str) -> Option<crate::policy::terms::ReportKind> {
        let policy = self.policy();
        let tool = policy.tools().iter().find(|known| known.name == tool)?;
        let mut actions = tool.actions.iter();
        actions.find(|known| known.name == action)?.report
    }
}

/// The directory that all these paths lie in: each path itself, if it is one.
fn common(paths: &[&ExactPath], question: &Question<'_>) -> CanonicalPath {
    let directories = paths.iter().map(|path| match &path.path {
        path if path.is_workspace() || (question.is_directory)(path) => path.clone(),
        path => path.parent().unwrap_or_else(CanonicalPath::workspace),
    });
    let shared = directories.reduce(|shared, path| shared.shared_with(&path));
    shared.unwrap_or_else(CanonicalPath::workspace)
}

/// An approval that is given to some rules.
struct With<'a> {
    analysis: &'a Analysis,
    context: &'a Context,
    approval: &'a str,
    lifted: &'a [String],
    budget: &'a Budget<'a>,
}

impl With<'_> {
    /// The places of one argument: what is wanted of it, without what the rules keep out. The rules that apply there are
    /// added to `applying`.
    fn narrowed(
        &self,
        cell: &Cell,
        wanted: &[Pattern],
        width: Width,
        applying: &mut Vec<RuleId>,
    ) -> Result<Places, NotOffered> {
        let space = self.analysis.space(cell);
        let rules: Vec<(RuleId, &CompiledRule)> = self
            .analysis
            .rules_about(cell)
            .filter(|(_, rule)| rule.is_for(self.context.actor()))
            .collect();
        let allows: Vec<(RuleId, &CompiledRule)> = rules
            .iter()
            .copied()
            .filter(|(_, rule)| rule.effect == RuleEffect::Allow && self.counts(rule))
            .collect();
        let allowed = Formula::any(
            allows
                .iter()
                .map(|(_, rule)| self.analysis.of_rule(cell, rule)),
        );
        let within = self.said(cell, &allows, &allowed, wanted, width)?;
        let inside: PathSet = patterns(&within, Case::Exact).into();
        let meets = |set: Formula| -> Result<bool, NotOffered> {
            match space.are_disjoint(&inside, &set.into(), self.budget) {
                Answer::Holds => Ok(false),
                Answer::Fails(_) => Ok(true),
                Answer::Unknown(_) => Err(UNKNOWN.to_owned()),
            }
        };
        let mut except: Vec<Pattern> = Vec::new();
        let mut leave_out = |pattern: &Pattern| -> Result<(), NotOffered> {
            let known = except
                .iter()
                .any(|other| other.as_str() == pattern.as_str());
            if !known && meets(patterns([pattern], Case::Folded))? {
                except.push(pattern.clone());
            }
            Ok(())
        };
        for (id, rule) in &allows {
            for pattern in self.patterns_of(cell, rule).exclude {
                leave_out(pattern)?;
            }
            if meets(self.analysis.of_rule(cell, rule))? {
                applying.push(*id);
            }
        }
        let keeps_out = |rule: &&(RuleId, &CompiledRule)| match rule.1.effect {
            RuleEffect::Allow => false,
            // What lictor protects from everybody is in no grant, and too much to read in each.
            RuleEffect::Deny => rule.1.at.is_some(),
            RuleEffect::Ask => !self.is_answered(rule.1),
        };
        for (_, rule) in rules.iter().filter(keeps_out) {
            let set = self.analysis.of_rule(cell, rule);
            if set == Formula::Const(false) || !meets(set)? {
                continue;
            }
            if rule.scope.is_none() {
                return Err(format!("rule `{}` keeps it out", escaped(&rule.id)));
            }
            for pattern in self.patterns_of(cell, rule).include {
                leave_out(pattern)?;
            }
        }
        for invariant in self.analysis.policy().invariants() {
            let stated = &invariant.stated;
            let is_of_access = stated
                .access
                .as_ref()
                .is_none_or(|all| cell.access().is_some_and(|own| all.contains(&own)));
            if stated.always || !is_of_access || !cell.is_of(&invariant.selectors) {
                continue;
            }
            if stated.paths.is_empty() {
                return Err(format!("invariant `{}` says never", escaped(&stated.id)));
            }
            for (pattern, _) in &stated.paths {
                leave_out(pattern)?;
            }
        }
        let keep = within.len().max(except.len());
        if keep > MAX_PATTERNS {
            return Err(format!(
                "it would take more than {MAX_PATTERNS} patterns to say what it covers"
            ));
        }
        self.proved(cell, &allowed, &within, &except)?;
        let texts = |patterns: &[Pattern]| -> Vec<String> {
            let texts = patterns.iter().map(|pattern| pattern.as_str().to_owned());
            texts.collect()
        };
        Ok(Places::new(texts(&within), texts(&except)))
    }

    /// The wanted paths, as far as patterns can express them of which the rules allow everything but the
    /// exclusions.
    fn said(
        &self,
        cell: &Cell,
        allows: &[(RuleId, &CompiledRule)],
        allowed: &Formula,
        wanted: &[Pattern],
        width: Width,
    ) -> Result<Vec<Pattern>, NotOffered> {
        let space = self.analysis.space(cell);
        let own: Vec<&Pattern> = allows
            .iter()
            .flat_map(|(_, rule)| self.patterns_of(cell, rule).include)
            .collect();
        let reach: PathSet = match own.is_empty() {
            // A rule without a scope covers the directory that a command starts in, and nothing else.
            true => allowed.clone().into(),
            false => patterns(own.iter().copied(), Case::Exact).into(),
        };
        let mut said: Vec<Pattern> = Vec::new();
        for pattern in wanted {
            let all = PathSet::of(pattern, Case::Exact);
            match space.covers(&reach, &all, self.budget) {
                Answer::Holds => {
                    said.push(pattern.clone());
                    continue;
                }
                Answer::Unknown(_) => return Err(UNKNOWN.to_owned()),
                Answer::Fails(_) if width == Width::Paths && !pattern.reaches_down() => {
                    return Err("the rules allow no more of it".to_owned());
                }
                Answer::Fails(_) => {}
            }
            for inner in &own {
                let part = PathSet::of(inner, Case::Exact);
                let is_inside = space.covers(&all, &part, self.budget).holds();
                if is_inside && !said.iter().any(|known| known.as_str() == inner.as_str()) {
                    said.push((*inner).clone());
                }
            }
        }
        match said.is_empty() {
            true => Err("the rules allow no more of it that patterns can say".to_owned()),
            false => Ok(said),
        }
    }

    /// Proves that all of it is allowed.
    fn proved(
        &self,
        cell: &Cell,
        allowed: &Formula,
        within: &[Pattern],
        except: &[Pattern],
    ) -> Result<(), NotOffered> {
        let granted = self.context.clone().with_approval(self.approval);
        let others = self.analysis.rules_about(cell).filter(|(_, rule)| {
            let is_ask = rule.effect == RuleEffect::Ask;
            is_ask && rule.is_for(self.context.actor()) && !self.is_answered(rule)
        });
        let protected = self.analysis.rules_about(cell).filter(|(_, rule)| {
            let is_deny = rule.effect == RuleEffect::Deny;
            is_deny && rule.at.is_none()
        });
        let sets = |rules: &mut dyn Iterator<Item = (RuleId, &CompiledRule)>| {
            Formula::any(rules.map(|(_, rule)| self.analysis.of_rule(cell, rule)))
        };
        let asked = sets(&mut { others });
        let protected = sets(&mut { protected });
        let open = self.analysis.judged(cell, &granted).open();
        let whole = Formula::all([allowed.clone(), open, asked.not()]);
        let part = Formula::all([
            patterns(within, Case::Exact),
            patterns(except, Case::Folded).not(),
            protected.not(),
        ]);
        let space = self.analysis.space(cell);
        match space.covers(&whole.into(), &part.clone().into(), self.budget) {
            Answer::Holds => {}
            Answer::Fails(path) => {
                return Err(format!("`{}` would not be allowed", escaped(&path)));
            }
            Answer::Unknown(_) => return Err(UNKNOWN.to_owned()),
        }
        match space.is_empty(&part.into(), self.budget) {
            Answer::Fails(_) => Ok(()),
            Answer::Holds => Err("nothing would be left of it".to_owned()),
            Answer::Unknown(_) => Err(UNKNOWN.to_owned()),
        }
    }

    /// Returns true if an allow rule counts: it has not lapsed, and needs no approval that it does not have.
    fn counts(&self, rule: &CompiledRule) -> bool {
        !rule.has_lapsed(self.context.now()) && (rule.approval.is_none() || self.is_answered(rule))
    }

    /// Returns true if the approval of a rule is given: by the environment, or because it is one of those that are meant.
    fn is_answered(&self, rule: &CompiledRule) -> bool {
        let approval = rule
            .approval
            .and_then(|nth| self.analysis.policy().approval(nth));
        approval.is_some_and(|approval| {
            is_granted_outright(approval, self.context) || self.lifted.contains(&rule.id)
        })
    }

    fn patterns_of<'r>(&'r self, cell: &Cell, rule: &'r CompiledRule) -> Patterns<'r> {
        let policy = self.analysis.policy();
        let scopes = cell
            .argument()
            .and_then(|argument| policy.scopes_for(rule, cell.number(), argument));
        let mut found = Patterns::default();
        for id in scopes.unwrap_or_default() {
            let nth = usize::try_from(id.0).unwrap_or(usize::MAX);
            if let Some(scope) = policy.scopes().get(nth) {
                found.include.extend(&scope.include);
                found.exclude.extend(&scope.exclude);
            }
        }
        found
    }
}

/// The patterns of a rule's scopes for one argument.
#[derive(Default)]
struct Patterns<'r> {
    include: Vec<&'r Pattern>,
    exclude: Vec<&'r Pattern>,
}

const UNKNOWN: &str = "what it would cover could not be worked out within bounds";
