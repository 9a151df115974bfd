//! A policy cell by cell: one argument of one action, one kind of actor, one set of granted approvals; and
//! there, which paths are allowed, asked for, denied.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Cap;
use super::diff::numbered_terms;
use super::formula::{Formula, Leaf, Scope};
use super::situations::{Situation, situations};
use super::tree::frame;
use super::{Budget, PathSet, Space};
use crate::decision::{Context, Effect, is_granted_outright, paths::CWD, terms_of};
use crate::path::Dot;
use crate::policy::casefold::key;
use crate::policy::glob::{Case, Pattern, Segment};
use crate::policy::matcher::{ScopeId, Selector};
use crate::policy::model::{
    Access, Action, Argument, ArgumentKind, PathArgument, RuleEffect, Spelling, Tool,
};
use crate::policy::{CompiledPolicy, CompiledRule, RuleId};

/// A policy made ready for questions.
///
/// ```
/// use lictor::analysis::cells::Analysis;
/// use lictor::analysis::{Answer, Budget};
/// use lictor::decision::{Context, Effect};
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: readers
/// use: lictor/files@1
/// scopes: {docs: \"docs/**\", drafts: \"docs/drafts/**\"}
/// rules:
///   - {id: read-docs, allow: filesystem.read_file, within: docs}
///   - {id: no-drafts, deny: \"*\", touching: drafts}
/// ",
/// )?;
/// let analysis = Analysis::of(&policy);
/// let cell = analysis.cells().iter().find(|cell| cell.action() == "read_file").unwrap();
/// let allowed = analysis.paths(cell, &Context::new("agent"), Effect::Allow);
/// let found = analysis.space(cell).is_empty(&allowed, &Budget::default());
/// assert_eq!(found, Answer::Fails("docs".to_owned()));
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[derive(Clone, Debug)]
pub struct Analysis {
    policy: CompiledPolicy,
    now: Option<jiff::Timestamp>,
    cells: Vec<Cell>,
    /// For each scope, as an allow and as a denial takes it.
    scopes: Arc<[[Formula; 2]]>,
    known: Arc<Mutex<Known>>,
    /// The rules by their ids.
    ids: Arc<HashMap<String, RuleId>>,
}

/// The situations of an action, or why they cannot be looked at.
type Situations = Result<Arc<[Situation]>, Cap>;

/// Results that were computed before.
#[derive(Debug, Default)]
struct Known {
    /// By tool and action.
    situations: HashMap<(usize, usize), Situations>,
    /// By action, argument and context.
    judged: HashMap<(u32, Option<String>, String), Arc<Judged>>,
    /// For each rule a number for the terms it states.
    terms: Option<Arc<[usize]>>,
}

/// One place where a path is decided: an argument of an action, or the directory that the command
/// starts in; or the action itself, where a request for it may hold no path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    tool: String,
    action: String,
    argument: Option<String>,
    access: Option<Access>,
    may_be_absent: bool,
    pub(super) tool_nth: usize,
    pub(super) action_nth: usize,
    number: u32,
}

impl Cell {
    /// The tool's name.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// The action's name.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The argument, or `cwd` for the directory that the command starts in; none for a request without
    /// paths.
    #[must_use]
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// The tool's use of the path.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        self.access
    }

    /// Returns true if it is the directory that the command starts in.
    #[must_use]
    pub fn is_cwd(&self) -> bool {
        self.argument.as_deref() == Some(CWD)
    }

    /// The number that rules know the action by.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Returns true if one of the selectors names the action.
    pub(super) fn is_of(&self, selectors: &[Selector]) -> bool {
        let tool = u32::try_from(self.tool_nth).unwrap_or(u32::MAX);
        selectors
            .iter()
            .any(|selector| selector.covers(tool, self.number))
    }

    /// Returns true if both are the same argument of the same action, maybe of two policies.
    pub(super) fn is_same_as(&self, other: &Cell) -> bool {
        (&self.tool, &self.action, &self.argument) == (&other.tool, &other.action, &other.argument)
    }
}

/// The arguments of an action that take paths.
pub(super) fn path_arguments<'p>(
    tool: &'p Tool,
    action: &'p Action,
) -> impl Iterator<Item = (&'p Argument, &'p PathArgument)> {
    tool.arguments(action)
        .filter_map(|argument| match &argument.kind {
            ArgumentKind::Path(kind) => Some((argument, kind)),
            ArgumentKind::Flag
            | ArgumentKind::Text { .. }
            | ArgumentKind::Int { .. }
            | ArgumentKind::Choice(_) => None,
        })
}

impl Analysis {
    /// Looks at a policy, as if no rule had lapsed.
    #[must_use]
    pub fn of(policy: &CompiledPolicy) -> Analysis {
        let scopes = policy.scopes().iter().map(|scope| {
            [Case::Exact, Case::Folded].map(|case| {
                Formula::scope(Scope::new(
                    scope.include.clone(),
                    scope.exclude.clone(),
                    case,
                ))
            })
        });
        let mut analysis = Analysis {
            policy: policy.clone(),
            now: None,
            cells: Vec::new(),
            scopes: scopes.collect(),
            known: Arc::default(),
            ids: {
                let ids = policy.rules().map(|(id, rule)| (rule.id.clone(), id));
                Arc::new(ids.collect())
            },
        };
        for (tool_nth, tool) in policy.tools().iter().enumerate() {
            for action_nth in 0..tool.actions.len() {
                analysis.add_cells(tool_nth, action_nth);
            }
        }
        analysis
    }

    /// Analyses the policy at that time.
    #[must_use]
    pub fn at(self, now: jiff::Timestamp) -> Analysis {
        Analysis {
            now: Some(now),
            known: Arc::default(),
            ..self
        }
    }

    fn add_cells(&mut self, tool_nth: usize, action_nth: usize) {
        let policy = self.policy.clone();
        let Some((tool, action, number)) = policy.action(tool_nth, action_nth) else {
            return;
        };
        let mut add = |argument: Option<&str>, access: Option<Access>, may_be_absent: bool| {
            self.cells.push(Cell {
                tool: tool.name.clone(),
                action: action.name.clone(),
                argument: argument.map(str::to_owned),
                access,
                may_be_absent,
                tool_nth,
                action_nth,
                number,
            });
        };
        let mut has_path = false;
        // What a request cannot do without comes first, so that it is what a witness shows.
        let importance = |argument: &Argument, kind: &PathArgument| {
            (
                !argument.required,
                !kind.is_implied(),
                argument.spelling != Spelling::Positional,
            )
        };
        let mut paths: Vec<_> = path_arguments(tool, action).collect();
        paths.sort_by_key(|(argument, kind)| importance(argument, kind));
        for (argument, kind) in paths {
            has_path |= argument.required || kind.is_implied();
            add(Some(&argument.name), Some(kind.access), kind.is_implied());
        }
        if !has_path {
            add(None, None, false);
        }
        add(Some(CWD), Some(Access::Read), false);
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &CompiledPolicy {
        &self.policy
    }

    /// When it is, if that was said.
    pub(super) fn now(&self) -> Option<jiff::Timestamp> {
        self.now
    }

    /// All cells, in the order of the tools.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The cell of this policy for the argument and action of another policy's cell.
    pub(super) fn twin(&self, cell: &Cell) -> Option<&Cell> {
        self.cells.iter().find(|own| own.is_same_as(cell))
    }

    /// Everything that a decision about a cell can depend on besides the request: one context for each
    /// kind of actor and each set of approvals that its rules tell apart, those first in which the least
    /// is granted. None if there are more than can be looked at.
    #[must_use]
    pub fn contexts(&self, cell: &Cell, budget: &Budget<'_>) -> Option<Vec<Context>> {
        let situations = self.situations(cell, budget).ok()?;
        Some(
            situations
                .iter()
                .map(|situation| situation.context.clone())
                .collect(),
        )
    }

    pub(super) fn situations(&self, cell: &Cell, budget: &Budget<'_>) -> Situations {
        let key = (cell.tool_nth, cell.action_nth);
        if let Some(known) = self.known().situations.get(&key) {
            return known.clone();
        }
        let rules: Vec<_> = self
            .rules_about(cell)
            .map(|(_, rule)| (&self.policy, rule))
            .collect();
        let found = situations(&rules, &[self.now], budget).map(Arc::from);
        self.known().situations.insert(key, found.clone());
        found
    }

    /// For each rule a number that stands for the terms it states.
    pub(super) fn terms(&self) -> Arc<[usize]> {
        if let Some(known) = &self.known().terms {
            return Arc::clone(known);
        }
        let numbered: Arc<[usize]> = numbered_terms(self, &mut HashMap::new()).into();
        self.known().terms = Some(Arc::clone(&numbered));
        numbered
    }

    /// The results are never half-written, so that a lock whose holder panicked is as good.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules about the action of a cell, whatever their scope.
    pub(super) fn rules_about(&self, cell: &Cell) -> impl Iterator<Item = (RuleId, &CompiledRule)> {
        let rules = self.policy.rules();
        rules.filter(|(_, rule)| cell.is_of(&rule.selectors))
    }

    /// The paths that this argument can have.
    #[must_use]
    pub fn space(&self, cell: &Cell) -> Space {
        let switches = self.policy.switches();
        if cell.may_be_absent || switches.dot == Dot::Strip {
            Space::with_workspace(switches)
        } else {
            Space::of_requests(switches)
        }
    }

    /// The paths of a cell that get this answer. For a cell without an argument, everything or
    /// nothing.
    #[must_use]
    pub fn paths(&self, cell: &Cell, context: &Context, effect: Effect) -> PathSet {
        self.judged(cell, context).of(effect).into()
    }

    /// The paths of a cell that a rule speaks about: for an allow byte by byte, for others in any case.
    /// Nothing if the rule is not about the action, the argument or the access; whom it is for, when it
    /// lapses and what it needs is not asked.
    #[must_use]
    pub fn paths_of_rule(&self, cell: &Cell, rule: &str) -> PathSet {
        let found = self.rule_named(rule);
        found.map_or_else(PathSet::nothing, |(_, rule)| {
            self.of_rule(cell, rule).into()
        })
    }

    /// The rule of that id.
    pub(super) fn rule_named(&self, id: &str) -> Option<(RuleId, &CompiledRule)> {
        let id = *self.ids.get(id)?;
        Some((id, self.policy.rule(id)?))
    }

    /// The paths of a cell that a rule speaks about.
    pub(super) fn of_rule(&self, cell: &Cell, rule: &CompiledRule) -> Formula {
        let is_of_access = match (&rule.access, cell.access) {
            (None, _) => true,
            (Some(accesses), Some(access)) => accesses.contains(&access),
            (Some(_), None) => false,
        };
        if !is_of_access || !cell.is_of(&rule.selectors) {
            return Formula::Const(false);
        }
        let is_allow = rule.effect == RuleEffect::Allow;
        let Some(argument) = &cell.argument else {
            return Formula::Const(is_allow || rule.scope.is_none());
        };
        // An allow without a scope says nothing about paths, and covers the one that no argument names.
        if rule.scope.is_none() {
            return Formula::Const(!is_allow || cell.is_cwd());
        }
        match self.policy.scopes_for(rule, cell.number, argument) {
            None => Formula::Const(false),
            Some(scopes) => self.union(scopes, is_allow),
        }
    }

    /// The scopes that a rule holds against the paths of a cell; none if it says nothing about them.
    #[cfg(feature = "run")]
    pub(super) fn scopes_of<'r>(
        &self,
        cell: &Cell,
        rule: &'r CompiledRule,
    ) -> Option<&'r [ScopeId]> {
        let access = rule.access.as_ref();
        let is_of_access =
            access.is_none_or(|all| cell.access.is_some_and(|one| all.contains(&one)));
        match (&cell.argument, is_of_access && cell.is_of(&rule.selectors)) {
            (Some(argument), true) => self.policy.scopes_for(rule, cell.number, argument),
            _ => None,
        }
    }

    fn union(&self, scopes: &[ScopeId], is_allow: bool) -> Formula {
        Formula::any(scopes.iter().filter_map(|scope| {
            let [exact, folded] = self.scopes.get(usize::try_from(scope.0).ok()?)?;
            Some(if is_allow {
                exact.clone()
            } else {
                folded.clone()
            })
        }))
    }

    /// The rules' judgement of the paths of a cell, each as a set.
    pub(super) fn judged(&self, cell: &Cell, context: &Context) -> Arc<Judged> {
        let key = (cell.number, cell.argument.clone(), format!("{context:?}"));
        if let Some(known) = self.known().judged.get(&key) {
            return Arc::clone(known);
        }
        let judged = Arc::new(self.judge(cell, context));
        self.known().judged.insert(key, Arc::clone(&judged));
        judged
    }

    fn judge(&self, cell: &Cell, context: &Context) -> Judged {
        let mut judged = Judged::default();
        for (id, rule) in self.rules_about(cell) {
            if !rule.is_for(context.actor()) {
                continue;
            }
            let set = self.of_rule(cell, rule);
            if set == Formula::Const(false) {
                continue;
            }
            let granted = rule.approval.map(|nth| {
                self.policy
                    .approval(nth)
                    .is_some_and(|approval| is_granted_outright(approval, context))
            });
            let list = match (rule.effect, granted) {
                (RuleEffect::Deny, _) => &mut judged.denies,
                (RuleEffect::Ask, Some(true)) => continue,
                (RuleEffect::Ask, _) => &mut judged.asks,
                (RuleEffect::Allow, _) if rule.has_lapsed(context.now()) => continue,
                (RuleEffect::Allow, None) => &mut judged.free,
                (RuleEffect::Allow, Some(true)) => &mut judged.granted,
                (RuleEffect::Allow, Some(false)) => &mut judged.ungranted,
            };
            list.push((id, set));
        }
        judged.conflicts = self.conflicts(cell, &judged);
        judged.index();
        judged
    }

    /// Where rules apply that state what cannot hold together, or cannot be enforced.
    pub(super) fn conflicts(&self, cell: &Cell, judged: &Judged) -> Formula {
        let report = self
            .policy
            .action(cell.tool_nth, cell.action_nth)
            .and_then(|(_, action, _)| action.report);
        let confines = |id: &RuleId| {
            let own = self
                .policy
                .rule(*id)
                .and_then(|rule| rule.terms.confine.as_ref());
            own.or(self.policy.defaults().confine.as_ref()).is_some()
        };
        let among = |rules: &[(RuleId, Formula)]| {
            let states = |id: &RuleId| {
                self.policy.rule(*id).is_some_and(|rule| {
                    let terms = &rule.terms;
                    terms.stop.is_some() || terms.limits.keep.is_some() || !terms.env.set.is_empty()
                })
            };
            let stating: Vec<_> = rules.iter().filter(|(id, _)| states(id)).collect();
            let alone = rules
                .iter()
                .filter(|(id, _)| confines(id) && terms_of(&self.policy, &[*id], report).is_none());
            let mut pairs: Vec<Formula> = alone.map(|(_, set)| set.clone()).collect();
            for (nth, (a, in_a)) in stating.iter().enumerate() {
                for (b, in_b) in stating.iter().skip(nth.saturating_add(1)) {
                    if terms_of(&self.policy, &[*a, *b], report).is_none() {
                        pairs.push(Formula::all([in_a.clone(), in_b.clone()]));
                    }
                }
            }
            Formula::any(pairs)
        };
        let free = union_of(&judged.free);
        Formula::any([
            among(&judged.free),
            Formula::all([free.not(), among(&judged.granted)]),
        ])
    }
}

/// The rules that speak about a cell in some situation, by what they do, each with its paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    pub(super) denies: Vec<(RuleId, Formula)>,
    /// Asks that are not lifted.
    pub(super) asks: Vec<(RuleId, Formula)>,
    /// Allows that need no approval.
    pub(super) free: Vec<(RuleId, Formula)>,
    /// Allows whose approval is granted.
    pub(super) granted: Vec<(RuleId, Formula)>,
    /// Allows whose approval is missing.
    pub(super) ungranted: Vec<(RuleId, Formula)>,
    /// Where the allows that apply cannot hold together.
    conflicts: Formula,
    /// The rules of which every pattern begins with the same two plain names as one of these, as places in
    /// the lists above.
    by_prefix: HashMap<Prefix, Vec<Entry>>,
    /// All others.
    broad: Vec<Entry>,
}

type Prefix = [String; 2];

/// A kind of speaking, and a place in its list.
type Entry = (u8, usize);

/// The keys of the two plain names that each pattern of a set begins with; none if one does not.
pub(super) fn prefixes(set: &Formula) -> Option<Vec<Prefix>> {
    let of = |pattern: &Pattern| match pattern.segments() {
        [Segment::Literal(a), Segment::Literal(b), ..] => Some([key(a), key(b)]),
        _ => None,
    };
    frame(set)?.into_iter().map(of).collect()
}

impl Default for Formula {
    fn default() -> Formula {
        Formula::Const(false)
    }
}

pub(super) fn union_of(rules: &[(RuleId, Formula)]) -> Formula {
    Formula::any(rules.iter().map(|(_, set)| set.clone()))
}

impl Judged {
    /// The part of it that can matter inside a set: rules that plainly speak of none of its paths are left
    /// out.
    pub(super) fn near(&self, set: &Formula) -> Judged {
        let mut places: Vec<Entry> = match prefixes(set) {
            Some(prefixes) => {
                let same = prefixes
                    .iter()
                    .filter_map(|prefix| self.by_prefix.get(prefix));
                same.flatten().chain(&self.broad).copied().collect()
            }
            None => self
                .broad
                .iter()
                .chain(self.by_prefix.values().flatten())
                .copied()
                .collect(),
        };
        places.sort_unstable();
        places.dedup();
        let mut near = Judged {
            conflicts: self.conflicts.clone(),
            ..Judged::default()
        };
        for (kind, place) in places {
            let entry = self
                .lists()
                .get(usize::from(kind))
                .and_then(|list| list.get(place));
            if let Some(entry) = entry.filter(|(_, other)| set.may_meet(other))
                && let Some(list) = near.lists_mut().into_iter().nth(usize::from(kind))
            {
                list.push(entry.clone());
            }
        }
        near.index();
        near
    }

    /// A copy without a rule. Conflicts have to be looked for again.
    pub(super) fn without(&self, rule: RuleId) -> Judged {
        let mut without = self.clone();
        for list in without.lists_mut() {
            list.retain(|(id, _)| *id != rule);
        }
        without.index();
        without
    }

    pub(super) fn with_conflicts(self, conflicts: Formula) -> Judged {
        Judged { conflicts, ..self }
    }

    fn lists(&self) -> [&Vec<(RuleId, Formula)>; 5] {
        [
            &self.denies,
            &self.asks,
            &self.free,
            &self.granted,
            &self.ungranted,
        ]
    }

    fn lists_mut(&mut self) -> [&mut Vec<(RuleId, Formula)>; 5] {
        [
            &mut self.denies,
            &mut self.asks,
            &mut self.free,
            &mut self.granted,
            &mut self.ungranted,
        ]
    }

    fn index(&mut self) {
        let mut by_prefix: HashMap<Prefix, Vec<Entry>> = HashMap::new();
        let mut broad = Vec::new();
        for (kind, list) in (0_u8..).zip(self.lists()) {
            for (place, (_, set)) in list.iter().enumerate() {
                match prefixes(set) {
                    Some(prefixes) => {
                        for prefix in prefixes {
                            by_prefix.entry(prefix).or_default().push((kind, place));
                        }
                    }
                    None => broad.push((kind, place)),
                }
            }
        }
        (self.by_prefix, self.broad) = (by_prefix, broad);
    }

    /// All rules that speak, each with what kind of speaking it is.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u8, &(RuleId, Formula))> {
        (0_u8..)
            .zip(self.lists())
            .flat_map(|(kind, list)| list.iter().map(move |entry| (kind, entry)))
    }

    /// Paths that no deny keeps out.
    fn not_denied(&self) -> Formula {
        union_of(&self.denies).not()
    }

    /// Paths that are neither denied nor asked for nor in conflict: there an allow that applies decides.
    pub(super) fn open(&self) -> Formula {
        Formula::all([
            self.not_denied(),
            union_of(&self.asks).not(),
            self.conflicts.clone().not(),
        ])
    }

    /// Paths that some allow is about and no deny keeps out: those that a request may have beside one that is asked about.
    /// Terms that cannot hold together keep a request from being allowed, not from being asked about.
    pub(super) fn let_through(&self) -> Formula {
        let some_allow = Formula::any([self.applying(), union_of(&self.ungranted)]);
        Formula::all([self.not_denied(), some_allow])
    }

    fn applying(&self) -> Formula {
        Formula::any([union_of(&self.free), union_of(&self.granted)])
    }

    /// The paths that get an answer.
    pub(super) fn of(&self, effect: Effect) -> Formula {
        match effect {
            Effect::Allow => Formula::all([self.applying(), self.open()]),
            Effect::Ask => {
                let asks = Formula::any([union_of(&self.asks), self.applying().not()]);
                Formula::all([self.let_through(), asks])
            }
            Effect::Deny => {
                let in_conflict = Formula::all([
                    self.applying(),
                    union_of(&self.asks).not(),
                    self.conflicts.clone(),
                ]);
                Formula::any([self.let_through().not(), in_conflict])
            }
        }
    }
}

/// The paths from which something leads down into a set, as far as its patterns say: whatever lies in
/// the set below a path, the path is among them.
pub(super) fn above(set: &Formula) -> Formula {
    match set {
        Formula::Const(all) => Formula::Const(*all),
        Formula::In(Leaf::Canonical(_)) | Formula::Out(Leaf::Canonical(_)) => Formula::Const(true),
        Formula::In(Leaf::Scope(scope)) => {
            let prefixes = scope.include.iter().flat_map(Pattern::above);
            let prefixes = patterns(&prefixes.collect::<Vec<_>>(), scope.case);
            Formula::all([prefixes, whole(&scope.exclude, Case::Exact).not()])
        }
        // Below what the scope holds with everything below it, nothing is outside.
        Formula::Out(Leaf::Scope(scope)) if scope.exclude.is_empty() => {
            whole(&scope.include, scope.case).not()
        }
        Formula::Out(Leaf::Scope(_)) => Formula::Const(true),
        // What is in all of them has something of each below it.
        Formula::All(parts) => Formula::all(parts.iter().map(above)),
        Formula::Any(parts) => Formula::any(parts.iter().map(above)),
    }
}

/// Where some of the patterns hold all that lies below a path.
fn whole(all: &[Pattern], case: Case) -> Formula {
    patterns(all.iter().filter(|pattern| pattern.reaches_down()), case)
}

/// A set of patterns as rules see it: an invariant's paths.
pub(super) fn patterns<'a>(patterns: impl IntoIterator<Item = &'a Pattern>, case: Case) -> Formula {
    Formula::any(patterns.into_iter().map(|pattern| {
        let scope = Scope::new(vec![pattern.clone()], Vec::new(), case);
        Formula::In(Leaf::Scope(Arc::new(scope)))
    }))
}
