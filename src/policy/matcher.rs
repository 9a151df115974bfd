//! Which rules speak about this action and path; flat in the number of rules.
//!
//! The patterns of all scopes stand in one index, which names those that match a path. From a scope
//! and an action a table leads to the rules, so the work depends on how many scopes hold the path and
//! not on how many rules there are. Nothing is allocated while looking.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::compiled::{CompiledRule, CompiledScope, RuleId};
use super::glob::Pattern;
use super::index::Index;
use crate::path::CanonicalPath;

/// A scope, by its place in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ScopeId(pub(crate) u32);

/// Which actions a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Selector {
    Any,
    Tool(u32),
    /// An action has one number in the whole policy.
    Action {
        tool: u32,
        action: u32,
    },
}

impl Selector {
    pub(crate) fn covers(self, tool: u32, action: u32) -> bool {
        match self {
            Selector::Any => true,
            Selector::Tool(named) => named == tool,
            Selector::Action { action: named, .. } => named == action,
        }
    }

    /// The three selectors that cover an action.
    fn of(tool: u32, action: u32) -> [Selector; 3] {
        [
            Selector::Any,
            Selector::Tool(tool),
            Selector::Action { tool, action },
        ]
    }
}

/// The scopes of a rule.
#[derive(Clone, Debug)]
pub(crate) enum RuleScope {
    All(Vec<ScopeId>),
    PerArgument(Vec<(String, Vec<ScopeId>)>),
}

/// The matcher's view of a rule.
pub(crate) trait Uses {
    fn selectors(&self) -> &[Selector];
    fn scope(&self) -> Option<&RuleScope>;
    /// Returns true if its patterns also match in another case: rules that keep out do.
    fn folds_case(&self) -> bool;
}

/// All rules of a policy, by action and scope.
pub struct Matcher {
    exact: Index,
    folded: Index,
    scope_of_exact: Vec<ScopeId>,
    scope_of_folded: Vec<ScopeId>,
    /// For each pattern of the exact index, whether it ends in `**`.
    reaches_down: Vec<bool>,
    excludes: Vec<Vec<Pattern>>,
    by_scope: HashMap<(Selector, ScopeId), Vec<Entry>, BuildHasherDefault<SmallKeys>>,
    outright: HashMap<Selector, Vec<RuleId>, BuildHasherDefault<SmallKeys>>,
    by_action: HashMap<Selector, Vec<RuleId>, BuildHasherDefault<SmallKeys>>,
    apart: Apart,
}

/// For actions by number, the arguments that a scope for all paths of an allow does not cover.
pub(crate) type Apart = HashMap<u32, Vec<String>, BuildHasherDefault<SmallKeys>>;

/// A rule that uses a scope, for all path arguments or for one.
struct Entry {
    rule: RuleId,
    argument: Option<String>,
    folds_case: bool,
}

impl Matcher {
    pub(crate) fn new(scopes: &[CompiledScope], rules: &[CompiledRule], apart: Apart) -> Matcher {
        let mut matcher = Matcher {
            exact: Index::default(),
            folded: Index::default(),
            scope_of_exact: Vec::new(),
            scope_of_folded: Vec::new(),
            reaches_down: Vec::new(),
            excludes: scopes.iter().map(|scope| scope.exclude.clone()).collect(),
            by_scope: HashMap::default(),
            outright: HashMap::default(),
            by_action: HashMap::default(),
            apart,
        };
        let mut is_used = vec![(false, false); scopes.len()];
        for (rule, id) in rules.iter().zip((0..).map(RuleId)) {
            matcher.add(rule, id, &mut is_used);
        }
        let patterns_of = |scopes: &mut dyn Iterator<Item = (ScopeId, &CompiledScope)>| {
            let mut patterns = Vec::new();
            for (id, scope) in scopes {
                patterns.extend(scope.include.iter().map(|pattern| (pattern.clone(), id)));
            }
            patterns
        };
        let numbered = || (0..).map(ScopeId).zip(scopes).zip(&is_used);
        let exact = patterns_of(
            &mut numbered()
                .filter(|(_, used)| used.0 || used.1)
                .map(|(scope, _)| scope),
        );
        let folded = patterns_of(
            &mut numbered()
                .filter(|(_, used)| used.1)
                .map(|(scope, _)| scope),
        );
        matcher.exact = Index::build(exact.iter().map(|(pattern, _)| pattern).zip(0..));
        matcher.folded = Index::build_folded(folded.iter().map(|(pattern, _)| pattern).zip(0..));
        matcher.reaches_down = exact
            .iter()
            .map(|(pattern, _)| pattern.reaches_down())
            .collect();
        matcher.scope_of_exact = exact.into_iter().map(|(_, scope)| scope).collect();
        matcher.scope_of_folded = folded.into_iter().map(|(_, scope)| scope).collect();
        matcher
    }

    fn add(&mut self, rule: &CompiledRule, id: RuleId, is_used: &mut [(bool, bool)]) {
        let folds_case = rule.folds_case();
        for selector in rule.selectors() {
            self.by_action.entry(*selector).or_default().push(id);
            let mut enter = |scopes: &[ScopeId], argument: Option<&String>| {
                for scope in scopes {
                    let entry = Entry {
                        rule: id,
                        argument: argument.cloned(),
                        folds_case,
                    };
                    self.by_scope
                        .entry((*selector, *scope))
                        .or_default()
                        .push(entry);
                    if let Some(used) = usize::try_from(scope.0)
                        .ok()
                        .and_then(|nth| is_used.get_mut(nth))
                    {
                        used.0 |= !folds_case;
                        used.1 |= folds_case;
                    }
                }
            };
            match rule.scope() {
                Some(RuleScope::All(scopes)) => enter(scopes, None),
                Some(RuleScope::PerArgument(entries)) => {
                    entries
                        .iter()
                        .for_each(|(argument, scopes)| enter(scopes, Some(argument)));
                }
                None => self.outright.entry(*selector).or_default().push(id),
            }
        }
    }

    /// Calls `found` with each rule that has a scope which holds `path` for this argument of the
    /// action, possibly more than once.
    pub(crate) fn touching(
        &self,
        tool: u32,
        action: u32,
        argument: &str,
        path: &CanonicalPath,
        found: &mut impl FnMut(RuleId),
    ) {
        let mut lead_on = |scope: ScopeId, only_folding: bool| {
            if self.is_excluded(scope, path) {
                return;
            }
            for entry in self.users(scope, tool, action, argument) {
                if entry.folds_case || !only_folding {
                    found(entry.rule);
                }
            }
        };
        self.exact.visit(path.as_str(), &mut |pattern| {
            if let Some(scope) = nth(&self.scope_of_exact, pattern) {
                lead_on(scope, false);
            }
        });
        self.folded.visit(path.as_str(), &mut |pattern| {
            if let Some(scope) = nth(&self.scope_of_folded, pattern) {
                lead_on(scope, true);
            }
        });
    }

    /// Calls `found` with each rule that has a scope which holds `path` and everything below it, by one
    /// of its patterns alone and without an exclusion that could take some of it away.
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what the disk says asks for it")
    )]
    pub(crate) fn reaching(
        &self,
        tool: u32,
        action: u32,
        argument: &str,
        path: &CanonicalPath,
        found: &mut impl FnMut(RuleId),
    ) {
        self.exact.visit(path.as_str(), &mut |number| {
            let Some(scope) = nth(&self.scope_of_exact, number) else {
                return;
            };
            let reaches = usize::try_from(number)
                .ok()
                .and_then(|nth| self.reaches_down.get(nth));
            if reaches != Some(&true) || self.excludes_below(scope, path) {
                return;
            }
            self.users(scope, tool, action, argument)
                .for_each(|entry| found(entry.rule));
        });
    }

    /// Returns true if an allow covers the argument only with a scope that is named for it.
    pub(crate) fn sets_apart(&self, action: u32, argument: &str) -> bool {
        self.apart
            .get(&action)
            .is_some_and(|names| names.iter().any(|name| name == argument))
    }

    /// The rules about an action that use a scope for this argument.
    fn users<'m>(
        &'m self,
        scope: ScopeId,
        tool: u32,
        action: u32,
        argument: &'m str,
    ) -> impl Iterator<Item = &'m Entry> {
        let selectors = Selector::of(tool, action).into_iter();
        let entries = selectors.filter_map(move |selector| self.by_scope.get(&(selector, scope)));
        let is_apart = self.sets_apart(action, argument);
        let is_meant = move |entry: &&Entry| match &entry.argument {
            Some(name) => name == argument,
            // Rules that fold case keep out, and keep out of every argument.
            None => entry.folds_case || !is_apart,
        };
        entries.flatten().filter(is_meant)
    }

    /// Returns true if an exclusion of the scope could match something at or below the path.
    fn excludes_below(&self, scope: ScopeId, path: &CanonicalPath) -> bool {
        let excludes = usize::try_from(scope.0)
            .ok()
            .and_then(|nth| self.excludes.get(nth));
        excludes
            .into_iter()
            .flatten()
            .any(|pattern| pattern.may_match_below(path))
    }

    /// Exclusions are exact also where inclusion is not: what is kept out in another case stays out.
    fn is_excluded(&self, scope: ScopeId, path: &CanonicalPath) -> bool {
        let excludes = usize::try_from(scope.0)
            .ok()
            .and_then(|nth| self.excludes.get(nth));
        excludes.is_some_and(|patterns| patterns.iter().any(|pattern| pattern.matches(path)))
    }

    /// The rules without a scope that are about this action.
    pub(crate) fn outright(&self, tool: u32, action: u32) -> impl Iterator<Item = RuleId> {
        Selector::of(tool, action)
            .into_iter()
            .filter_map(|selector| self.outright.get(&selector))
            .flatten()
            .copied()
    }

    /// All rules that are about this action, whatever their scope.
    pub(crate) fn about(&self, tool: u32, action: u32) -> impl Iterator<Item = RuleId> {
        Selector::of(tool, action)
            .into_iter()
            .filter_map(|selector| self.by_action.get(&selector))
            .flatten()
            .copied()
    }
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher")
            .field("patterns", &self.scope_of_exact.len())
            .finish_non_exhaustive()
    }
}

fn nth(scopes: &[ScopeId], pattern: u32) -> Option<ScopeId> {
    scopes.get(usize::try_from(pattern).ok()?).copied()
}

/// A hash for keys of a few small numbers that the policy's author chose: multiply and rotate, as in
/// rustc's FxHash. The standard hash resists chosen keys, which costs five times as much and which
/// nobody but the author could choose.
#[derive(Default)]
pub(crate) struct SmallKeys(u64);

impl Hasher for SmallKeys {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.unsigned_abs() as u64);
    }
}
