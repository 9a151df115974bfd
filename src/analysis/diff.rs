//! Two policies -> what one decides otherwise than the other, as regions, each with a witness.

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cells::{Analysis, Cell, Judged, union_of};
use super::declared::{self, shape};
use super::formula::Formula;
use super::situations::{Situation, situations, times};
use super::witness::{Claim, Expected};
use super::{Answer, Budget, Cap, Witness};
use crate::decision::{Effect, Terms, terms_of};
use crate::policy::{CompiledPolicy, RuleId};

pub use super::declared::Setting;

/// Differences between two policies.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Diff {
    /// The regions that differ, the most telling first. Of the regions of one action that one rule is
    /// behind, one is told.
    pub changes: Vec<Change>,
    /// Settings that differ and may change how any request is decided.
    pub settings: Vec<Setting>,
    /// Bounds that kept some of it from being compared; empty if everything was.
    pub unknown: Vec<Cap>,
}

/// One region that is decided otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Kind of the change.
    pub kind: Kind,
    /// The tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// The argument, or `cwd`; none if the action is asked for without a path.
    pub argument: Option<String>,
    /// A request of the region, with the decision of the first policy.
    pub before: Witness,
    /// The request with the decision of the second policy.
    pub after: Witness,
}

impl Change {
    /// The action, and the rule that decides it now.
    fn key(&self) -> (String, String, Option<String>) {
        let rule = self.after.decision.rules().first();
        (
            self.tool.clone(),
            self.action.clone(),
            rule.map(|rule| rule.id.clone()),
        )
    }
}

/// Kind of change of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// It was denied or asked for, and is allowed.
    NewlyAllowed,
    /// It was denied, and a person is asked.
    NewlyAsked,
    /// It was allowed, and a person is asked.
    AskedInstead,
    /// It was allowed or asked for, and is denied.
    NewlyDenied,
    /// It is allowed as before, on other terms.
    ChangedLimits,
    /// The tool is declared otherwise: other requests are read, or another command is made of them.
    ChangedTool,
}

impl Kind {
    /// Returns true if the second policy may allow there what the first does not.
    pub(crate) fn may_allow(self) -> bool {
        matches!(self, Kind::NewlyAllowed | Kind::ChangedTool)
    }
}

impl Diff {
    /// The answer to whether the policies decide alike: proved, refuted, or unknown. Where only settings
    /// differ there is no change to show.
    pub fn answer(&self) -> Answer<Option<&Change>> {
        match (self.changes.first(), self.unknown.first()) {
            (Some(change), _) => Answer::Fails(Some(change)),
            (None, _) if !self.settings.is_empty() => Answer::Fails(None),
            (None, Some(cap)) => Answer::Unknown(*cap),
            (None, None) => Answer::Holds,
        }
    }

    /// Summary of the requests that the second policy allows and the first does not; none if it is proved
    /// that there are none. The settings that are a child's own do not count.
    #[cfg(feature = "run")]
    pub(crate) fn what_is_new(&self) -> Option<String> {
        if let Some(change) = self.changes.iter().find(|change| change.kind.may_allow()) {
            let path = change
                .after
                .path
                .as_deref()
                .map(|path| crate::path::shown(path.as_bytes()));
            let of = path.map(|path| format!(" of `{path}`")).unwrap_or_default();
            return Some(format!(
                "{}.{}{of} is newly allowed",
                change.tool, change.action
            ));
        }
        let widened = self.settings.iter().find(|setting| setting.may_widen());
        if let Some(setting) = widened {
            return Some(format!("`{}` is not as it has it", setting.key));
        }
        let cap = self.unknown.first()?;
        Some(format!("that could not be decided: {cap}"))
    }

    /// Proves that everything the second policy allows was allowed by the first, on the same declarations of
    /// tools and the same settings but those of the ledger.
    pub fn allows_nothing_new(&self) -> Answer<Option<&Change>> {
        let may_allow = |setting: &Setting| !setting.key.starts_with("ledger.");
        match (
            self.changes.iter().find(|change| change.kind.may_allow()),
            self.unknown.first(),
        ) {
            (Some(change), _) => Answer::Fails(Some(change)),
            (None, _) if self.settings.iter().any(may_allow) => Answer::Fails(None),
            (None, Some(cap)) => Answer::Unknown(*cap),
            (None, None) => Answer::Holds,
        }
    }
}

/// Compares two policies, as if no rule had lapsed and at each time at which one does.
///
/// ```
/// use lictor::analysis::Budget;
/// use lictor::analysis::diff::{Kind, diff};
/// use lictor::policy::CompiledPolicy;
///
/// let policy = |scope: &str| {
///     CompiledPolicy::from_yaml(&format!(
///         "version: 1
/// name: compared
/// use: lictor/files@1
/// scopes: {{docs: \"{scope}\"}}
/// rules:
///   - {{id: read-docs, allow: filesystem.read_file, within: docs}}
/// "
///     ))
/// };
/// let found = diff(&policy("docs/**")?, &policy("docs*/**")?, &Budget::default());
/// assert_eq!(found.changes[0].kind, Kind::NewlyAllowed);
/// assert_eq!(found.changes[0].after.path.as_deref(), Some("docsa"));
///
/// let found = diff(&policy("docs/**")?, &policy("[d]ocs/**")?, &Budget::default());
/// assert!(found.answer().holds());
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[must_use]
pub fn diff(before: &CompiledPolicy, after: &CompiledPolicy, budget: &Budget<'_>) -> Diff {
    compared(&Analysis::of(before), &Analysis::of(after), budget)
}

/// As [`diff`], from a time on: what lapsed before it is left out.
#[must_use]
pub fn diff_from(
    before: &CompiledPolicy,
    after: &CompiledPolicy,
    now: jiff::Timestamp,
    budget: &Budget<'_>,
) -> Diff {
    compared(
        &Analysis::of(before).at(now),
        &Analysis::of(after).at(now),
        budget,
    )
}

fn compared(before: &Analysis, after: &Analysis, budget: &Budget<'_>) -> Diff {
    let mut stated = HashMap::new();
    let mut comparing = Comparing {
        before,
        after,
        terms: [before, after].map(|analysis| numbered_terms(analysis, &mut stated)),
        budget,
        found: Diff::default(),
        told: HashSet::new(),
    };
    // What a path argument shows is not told again of the directory that the command starts in.
    for is_cwd in [false, true] {
        let is_it = |cell: &&Cell| cell.is_cwd() == is_cwd;
        for cell in after.cells().iter().filter(is_it) {
            let other = before.cells().iter().find(|other| other.is_same_as(cell));
            comparing.cell(other, Some(cell));
        }
        for cell in before.cells().iter().filter(is_it) {
            if !after.cells().iter().any(|other| other.is_same_as(cell)) {
                comparing.cell(Some(cell), None);
            }
        }
    }
    comparing.tools();
    let mut found = comparing.found;
    // That a rule asks until its approval is granted goes without saying where it newly allows.
    let allowed: HashSet<_> = found
        .changes
        .iter()
        .filter(|change| change.kind == Kind::NewlyAllowed)
        .map(Change::key)
        .collect();
    found
        .changes
        .retain(|change| change.kind != Kind::NewlyAsked || !allowed.contains(&change.key()));
    found.changes.sort_by_key(|change| change.kind);
    found.unknown.dedup();
    found.settings = declared::settings(before.policy(), after.policy());
    found
}

struct Comparing<'a> {
    before: &'a Analysis,
    after: &'a Analysis,
    /// For each rule of both, a number for the terms it states: the same for the same.
    terms: [Vec<usize>; 2],
    budget: &'a Budget<'a>,
    found: Diff,
    /// Changes that were reported already: kind, tool, action, rule.
    told: HashSet<(Kind, String, String, String)>,
}

/// For each rule a number that stands for the terms it states, the policy's own ones included.
pub(super) fn numbered_terms(
    analysis: &Analysis,
    stated: &mut HashMap<String, usize>,
) -> Vec<usize> {
    let policy = analysis.policy();
    let defaults = format!("{:?}", policy.defaults());
    let rules = policy.rules();
    rules
        .map(|(_, rule)| {
            let next = stated.len();
            let text = format!("{:?} {defaults}", rule.terms);
            *stated.entry(text).or_insert(next)
        })
        .collect()
}

/// One policy's view of a cell in one situation.
struct View<'a> {
    analysis: &'a Analysis,
    cell: Option<&'a Cell>,
    judged: Judged,
    allow: Formula,
    ask: Formula,
    /// The paths that a request can name.
    bounds: Formula,
}

impl<'a> View<'a> {
    fn new(analysis: &'a Analysis, cell: Option<&'a Cell>, judged: Judged) -> View<'a> {
        let bounds = match cell {
            Some(cell) if cell.argument().is_some() => analysis.space(cell).bounds,
            Some(_) => Formula::Const(true),
            None => Formula::Const(false),
        };
        View {
            analysis,
            cell,
            allow: judged.of(Effect::Allow),
            ask: judged.of(Effect::Ask),
            judged,
            bounds,
        }
    }

    fn allowed(&self) -> Formula {
        Formula::all([self.bounds.clone(), self.allow.clone()])
    }

    fn asked(&self) -> Formula {
        Formula::all([self.bounds.clone(), self.ask.clone()])
    }

    fn denied(&self) -> Formula {
        Formula::all([self.allowed().not(), self.asked().not()])
    }

    /// The rules that allow or would with an approval, each with its paths.
    fn allows(&self) -> impl Iterator<Item = &(RuleId, Formula)> {
        let judged = &self.judged;
        judged
            .free
            .iter()
            .chain(&judged.granted)
            .chain(&judged.ungranted)
    }

    /// The parts of the view, for comparison.
    fn parts(&self) -> [Formula; 2] {
        [self.allow.clone(), self.ask.clone()]
    }

    fn rule_name(&self, id: RuleId) -> String {
        self.analysis
            .policy()
            .rule(id)
            .map(|rule| rule.id.clone())
            .unwrap_or_default()
    }
}

impl<'a> Comparing<'a> {
    fn cell(&mut self, before: Option<&'a Cell>, after: Option<&'a Cell>) {
        let mut rules = Vec::new();
        for (analysis, cell) in [(self.before, before), (self.after, after)] {
            for (_, rule) in cell.into_iter().flat_map(|cell| analysis.rules_about(cell)) {
                rules.push((analysis.policy(), rule));
            }
        }
        let times = times(&rules, self.after.now());
        let situations = match situations(&rules, &times, self.budget) {
            Ok(situations) => situations,
            Err(cap) => return self.found.unknown.push(cap),
        };
        let mut seen: HashSet<(Formula, Vec<Formula>)> = HashSet::new();
        for situation in &situations {
            let judged = [(self.before, before), (self.after, after)].map(|(analysis, cell)| {
                let judged = cell.map(|cell| analysis.judged(cell, &situation.context));
                judged.unwrap_or_default()
            });
            for changed in self.changed([before, after], &judged) {
                let [first, second] = &judged;
                let first = View::new(self.before, before, first.near(&changed));
                let second = View::new(self.after, after, second.near(&changed));
                let views = [&first, &second]
                    .into_iter()
                    .flat_map(View::parts)
                    .collect();
                if seen.insert((changed.clone(), views)) {
                    self.effects(&first, &second, &changed, situation);
                    self.terms(&first, &second, &changed, situation);
                }
            }
        }
    }

    /// The sets in which all differences lie: what a path is decided as depends on the rules whose sets hold
    /// it, so where no rule that only one policy has speaks, nothing differs.
    fn changed(&self, cells: [Option<&Cell>; 2], judged: &[Arc<Judged>; 2]) -> Vec<Formula> {
        let [before, after] = cells;
        let bounds =
            |analysis: &Analysis, cell: Option<&Cell>| cell.map(|cell| analysis.space(cell).bounds);
        if bounds(self.before, before) != bounds(self.after, after) {
            return vec![Formula::Const(true)];
        }
        let mut entries = judged.iter().zip(&self.terms).map(|(judged, terms)| {
            let entries = judged.entries().map(|(kind, (id, set))| {
                let rule = usize::try_from(id.0).unwrap_or(usize::MAX);
                // What a rule that keeps out states is never used.
                let terms = terms.get(rule).filter(|_| kind >= FIRST_ALLOW);
                (kind, set, terms.copied())
            });
            entries.collect::<HashSet<_>>()
        });
        let (first, second) = (
            entries.next().unwrap_or_default(),
            entries.next().unwrap_or_default(),
        );
        // In the order of the documents.
        let mut changed: Vec<Formula> = Vec::new();
        for (judged, terms) in judged.iter().zip(&self.terms) {
            for (kind, (id, set)) in judged.entries() {
                let rule = usize::try_from(id.0).unwrap_or(usize::MAX);
                let terms = terms.get(rule).filter(|_| kind >= FIRST_ALLOW).copied();
                let entry = (kind, set, terms);
                if first.contains(&entry) != second.contains(&entry) && !changed.contains(set) {
                    changed.push(set.clone());
                }
            }
        }
        changed
    }

    /// Where the effect differs, in a set.
    fn effects(
        &mut self,
        first: &View<'a>,
        second: &View<'a>,
        changed: &Formula,
        situation: &Situation,
    ) {
        let is_same =
            first.allow == second.allow && first.ask == second.ask && first.bounds == second.bounds;
        if is_same {
            return;
        }
        for (id, set) in second.allows() {
            let rule = second.rule_name(*id);
            let within = |effect: Formula| Formula::all([changed.clone(), set.clone(), effect]);
            let allowed = within(Formula::all([second.allowed(), first.allowed().not()]));
            self.show(
                Kind::NewlyAllowed,
                second,
                allowed,
                Effect::Allow,
                situation,
                &rule,
            );
            let asked = within(Formula::all([second.asked(), first.denied()]));
            self.show(
                Kind::NewlyAsked,
                second,
                asked,
                Effect::Ask,
                situation,
                &rule,
            );
        }
        for (id, set) in first.allows() {
            let rule = first.rule_name(*id);
            let within = |effect: Formula| Formula::all([changed.clone(), set.clone(), effect]);
            let asked = within(Formula::all([first.allowed(), second.asked()]));
            self.show(
                Kind::AskedInstead,
                first,
                asked,
                Effect::Allow,
                situation,
                &rule,
            );
            let denied = within(Formula::all([first.allowed(), second.denied()]));
            self.show(
                Kind::NewlyDenied,
                first,
                denied,
                Effect::Allow,
                situation,
                &rule,
            );
            let denied = within(Formula::all([first.asked(), second.denied()]));
            self.show(
                Kind::NewlyDenied,
                first,
                denied,
                Effect::Ask,
                situation,
                &rule,
            );
        }
    }

    /// Looks for a request in a region that `view`'s policy decides with `effect`, and tells the change.
    fn show(
        &mut self,
        kind: Kind,
        view: &View<'a>,
        region: Formula,
        effect: Effect,
        situation: &Situation,
        rule: &str,
    ) {
        let Some(cell) = view.cell.filter(|_| region != Formula::Const(false)) else {
            return;
        };
        // The other paths of the request should not be what makes the difference.
        let beside = match std::ptr::eq(view.analysis, self.before) {
            true => self.after,
            false => self.before,
        };
        let key = (
            kind,
            cell.tool().to_owned(),
            cell.action().to_owned(),
            rule.to_owned(),
        );
        if self.told.contains(&key) {
            return;
        }
        let claim = Claim {
            analysis: view.analysis,
            cell,
            context: &situation.context,
            empty: region.into(),
            beside: Some(beside),
            expected: Expected::Is(effect),
        };
        match claim.proved(self.budget) {
            Answer::Holds => {}
            Answer::Unknown(cap) => self.found.unknown.push(cap),
            Answer::Fails(witness) => {
                if self.tell(cell, &witness) {
                    self.told.insert(key);
                } else {
                    self.found.unknown.push(Cap::NotReproduced);
                }
            }
        }
    }

    /// Decides a request by both policies, and tells it if they differ.
    fn tell(&mut self, cell: &Cell, witness: &Witness) -> bool {
        let before = witness.decided_by(self.before.policy());
        let after = witness.decided_by(self.after.policy());
        let kind = match (before.decision.effect(), after.decision.effect()) {
            (Effect::Deny | Effect::Ask, Effect::Allow) => Kind::NewlyAllowed,
            (Effect::Deny, Effect::Ask) => Kind::NewlyAsked,
            (Effect::Allow, Effect::Ask) => Kind::AskedInstead,
            (Effect::Allow | Effect::Ask, Effect::Deny) => Kind::NewlyDenied,
            (Effect::Allow, Effect::Allow)
                if !is_alike(before.decision.terms(), after.decision.terms()) =>
            {
                Kind::ChangedLimits
            }
            (Effect::Allow, Effect::Allow)
            | (Effect::Ask, Effect::Ask)
            | (Effect::Deny, Effect::Deny) => return false,
        };
        self.push(kind, cell, before, after);
        true
    }

    fn push(&mut self, kind: Kind, cell: &Cell, before: Witness, after: Witness) {
        self.found.changes.push(Change {
            kind,
            tool: cell.tool().to_owned(),
            action: cell.action().to_owned(),
            argument: cell.argument().map(str::to_owned),
            before,
            after,
        });
    }

    /// Where both allow, on other terms. What is alike is ruled out one combination of applying rules
    /// after the other.
    fn terms(
        &mut self,
        first: &View<'a>,
        second: &View<'a>,
        changed: &Formula,
        situation: &Situation,
    ) {
        let [mine, others] = &self.terms;
        let (Some(one), Some(other)) = (Applying::of(first, mine), Applying::of(second, others))
        else {
            return;
        };
        if let ([a], [b]) = (one.kinds.as_slice(), other.kinds.as_slice())
            && is_alike(
                one.terms(&[a.rule]).as_ref(),
                other.terms(&[b.rule]).as_ref(),
            )
        {
            return;
        }
        let Some(cell) = second.cell else { return };
        let mut told: Vec<(Option<Terms>, Option<Terms>)> = Vec::new();
        let mut left = Formula::all([changed.clone(), first.allowed(), second.allowed()]);
        for _ in 0..MAX_COMBINATIONS {
            let claim = |empty: Formula| Claim {
                analysis: second.analysis,
                cell,
                context: &situation.context,
                empty: empty.into(),
                beside: None,
                expected: Expected::Is(Effect::Allow),
            };
            let witness = match claim(left.clone()).proved(self.budget) {
                Answer::Holds => return,
                Answer::Unknown(cap) => return self.found.unknown.push(cap),
                Answer::Fails(witness) => witness,
            };
            let path = witness.path.as_deref().unwrap_or(".");
            let (mine, mine_is) = one.at(path);
            let (others, others_is) = other.at(path);
            let terms = (one.terms(&mine), other.terms(&others));
            if !is_alike(terms.0.as_ref(), terms.1.as_ref()) && !told.contains(&terms) {
                let rules = format!("{mine:?} {others:?}");
                let key = (
                    Kind::ChangedLimits,
                    cell.tool().to_owned(),
                    cell.action().to_owned(),
                    rules,
                );
                if self.told.insert(key) && !self.tell(cell, &witness) {
                    self.found.unknown.push(Cap::NotReproduced);
                }
                told.push(terms);
            }
            left = Formula::all([left, Formula::all([mine_is, others_is]).not()]);
        }
        self.found.unknown.push(Cap::Combinations);
    }

    /// Tools that are declared otherwise, as far as anything is allowed to be done with them.
    fn tools(&mut self) {
        let mut seen: HashSet<(usize, usize)> = HashSet::new();
        for cell in self.after.cells() {
            let Some(other) = self
                .before
                .cells()
                .iter()
                .find(|other| (other.tool(), other.action()) == (cell.tool(), cell.action()))
            else {
                continue;
            };
            let of = |analysis: &Analysis, cell: &Cell| {
                let found = analysis.policy().action(cell.tool_nth, cell.action_nth);
                found.map(|(tool, action, _)| shape(tool, action))
            };
            if !seen.insert((cell.tool_nth, cell.action_nth))
                || of(self.before, other) == of(self.after, cell)
            {
                continue;
            }
            let Ok(situations) = self.after.situations(cell, self.budget) else {
                continue;
            };
            let shown = situations.iter().rev().find_map(|situation| {
                let claim = Claim {
                    analysis: self.after,
                    cell,
                    context: &situation.context,
                    empty: self.after.paths(cell, &situation.context, Effect::Allow),
                    beside: None,
                    expected: Expected::Is(Effect::Allow),
                };
                claim.proved(self.budget).witness().cloned()
            });
            if let Some(witness) = shown {
                let before = witness.decided_by(self.before.policy());
                let after = witness.decided_by(self.after.policy());
                self.push(Kind::ChangedTool, cell, before, after);
            }
        }
    }
}

/// The first kind of entry of [`Judged::entries`] that allows.
const FIRST_ALLOW: u8 = 2;

/// Proves that a policy decides everything in the cells of a rule as it would without the rule, or finds a
/// request that it decides otherwise. The policy without the rule is only computed: the request is decided by
/// the policy itself, and the other answer by the patterns that hold its path.
pub(super) fn is_needless(analysis: &Analysis, id: RuleId, budget: &Budget<'_>) -> Answer<Witness> {
    let Some(rule) = analysis.policy().rule(id) else {
        return Answer::Holds;
    };
    let terms = analysis.terms();
    let mut answer = Answer::Holds;
    for cell in analysis
        .cells()
        .iter()
        .filter(|cell| cell.is_of(&rule.selectors))
    {
        let set = analysis.of_rule(cell, rule);
        let situations = match analysis.situations(cell, budget) {
            Ok(situations) => situations,
            Err(cap) => return Answer::Unknown(cap),
        };
        for situation in situations
            .iter()
            .filter(|situation| rule.is_for(situation.context.actor()))
        {
            let with = analysis.judged(cell, &situation.context).near(&set);
            let without = with.without(id);
            let conflicts = analysis.conflicts(cell, &without);
            let without = without.with_conflicts(conflicts);
            let with = View::new(analysis, Some(cell), with);
            let other = View::new(analysis, Some(cell), without);
            answer = answer.and(|| needless_here(&with, &other, &set, situation, &terms, budget));
            if answer.witness().is_some() {
                return answer;
            }
        }
    }
    answer
}

fn needless_here(
    with: &View<'_>,
    without: &View<'_>,
    set: &Formula,
    situation: &Situation,
    terms: &[usize],
    budget: &Budget<'_>,
) -> Answer<Witness> {
    let Some(cell) = with.cell else {
        return Answer::Holds;
    };
    let claim = |region: Formula, expected: Expected| Claim {
        analysis: with.analysis,
        cell,
        context: &situation.context,
        empty: Formula::all([set.clone(), region]).into(),
        beside: None,
        expected,
    };
    let differs = |a: &Formula, b: &Formula| {
        let only_a = Formula::all([a.clone(), b.clone().not()]);
        Formula::any([only_a, Formula::all([b.clone(), a.clone().not()])])
    };
    let mut answer = Answer::Holds;
    for (effect, mine, others) in [
        (Effect::Allow, &with.allow, &without.allow),
        (Effect::Ask, &with.ask, &without.ask),
    ] {
        // What only the policy itself decides so, and what only the other would.
        let only_mine = Formula::all([mine.clone(), others.clone().not()]);
        let only_others = Formula::all([others.clone(), mine.clone().not()]);
        answer = answer.and(|| claim(only_mine, Expected::Is(effect)).proved(budget));
        answer = answer.and(|| claim(only_others, Expected::IsNot(effect)).proved(budget));
    }
    let (Some(one), Some(other)) = (Applying::of(with, terms), Applying::of(without, terms)) else {
        return answer;
    };
    if one.kinds.len() == 1 && other.kinds.len() == 1 {
        // Terms are those of the one kind on both sides.
        return answer;
    }
    let mut parts = Vec::new();
    for kind in &one.kinds {
        let others = other.kinds.iter().find(|other| other.stated == kind.stated);
        let others = others.map_or(Formula::Const(false), |other| other.applies.clone());
        parts.push(differs(&kind.applies, &others));
    }
    let mut left = Formula::all([
        with.allow.clone(),
        without.allow.clone(),
        Formula::any(parts),
    ]);
    for _ in 0..MAX_COMBINATIONS {
        let found = claim(left.clone(), Expected::Is(Effect::Allow)).proved(budget);
        let Answer::Fails(witness) = found else {
            return answer.and(|| found);
        };
        let path = witness.path.as_deref().unwrap_or(".");
        let (mine, mine_is) = one.at(path);
        let (others, others_is) = other.at(path);
        if !is_alike(one.terms(&mine).as_ref(), other.terms(&others).as_ref()) {
            return answer.and(|| Answer::Fails(witness));
        }
        left = Formula::all([left, Formula::all([mine_is, others_is]).not()]);
    }
    answer.and(|| Answer::Unknown(Cap::Combinations))
}

/// Combinations of applying rules that are looked at for one argument.
const MAX_COMBINATIONS: usize = 256;

/// Returns true if two requests that are allowed are run alike.
fn is_alike(a: Option<&Terms>, b: Option<&Terms>) -> bool {
    let without_repetition = |terms: &Terms| {
        let mut terms = terms.clone();
        let mut confine = Vec::new();
        for one in terms.confine {
            if !confine.contains(&one) {
                confine.push(one);
            }
        }
        terms.confine = confine;
        terms
    };
    a.map(without_repetition) == b.map(without_repetition)
}

/// The rules that apply in a cell, those that state the same terms together.
struct Applying<'a> {
    policy: &'a CompiledPolicy,
    cell: &'a Cell,
    kinds: Vec<KindOfTerms>,
}

struct KindOfTerms {
    stated: Option<usize>,
    /// One of the rules that state them.
    rule: RuleId,
    free: Formula,
    granted: Formula,
    /// Where some of them apply.
    applies: Formula,
}

impl<'a> Applying<'a> {
    /// None if no rule applies.
    fn of(view: &View<'a>, terms: &[usize]) -> Option<Applying<'a>> {
        let mut applying = Applying {
            policy: view.analysis.policy(),
            cell: view.cell?,
            kinds: Vec::new(),
        };
        for (rules, is_free) in [(&view.judged.free, true), (&view.judged.granted, false)] {
            for (id, set) in rules {
                applying.add(*id, set, is_free, terms);
            }
        }
        let no_free = union_of(&view.judged.free).not();
        for kind in &mut applying.kinds {
            let granted = Formula::all([no_free.clone(), kind.granted.clone()]);
            kind.applies = Formula::any([kind.free.clone(), granted]);
        }
        (!applying.kinds.is_empty()).then_some(applying)
    }

    fn add(&mut self, id: RuleId, set: &Formula, is_free: bool, terms: &[usize]) {
        let rule = usize::try_from(id.0).unwrap_or(usize::MAX);
        let stated = terms.get(rule).copied();
        let place = match self.kinds.iter().position(|kind| kind.stated == stated) {
            Some(place) => place,
            None => {
                self.kinds.push(KindOfTerms {
                    stated,
                    rule: id,
                    free: Formula::Const(false),
                    granted: Formula::Const(false),
                    applies: Formula::Const(false),
                });
                self.kinds.len().saturating_sub(1)
            }
        };
        if let Some(kind) = self.kinds.get_mut(place) {
            let into = if is_free {
                &mut kind.free
            } else {
                &mut kind.granted
            };
            *into = Formula::any([std::mem::take(into), set.clone()]);
        }
    }

    /// One rule of each kind that applies to a path, and where just these kinds apply.
    fn at(&self, path: &str) -> (Vec<RuleId>, Formula) {
        let mut rules = Vec::new();
        let mut parts = Vec::new();
        for kind in &self.kinds {
            if kind.applies.holds(path) {
                rules.push(kind.rule);
                parts.push(kind.applies.clone());
            } else {
                parts.push(kind.applies.clone().not());
            }
        }
        (rules, Formula::all(parts))
    }

    fn terms(&self, rules: &[RuleId]) -> Option<Terms> {
        let (_, action, _) = self
            .policy
            .action(self.cell.tool_nth, self.cell.action_nth)?;
        terms_of(self.policy, rules, action.report)
    }
}
