//! A policy as the rules look at it: the compiled one, which decides, beside the document it was read from,
//! which knows where everything stands.

#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::Options;
use super::commands::{self, Ambiguous};
use super::exact::{self, Exact};
use super::exposures::{self, Exposures};
use super::generate::{self, Found};
use super::policy_tests::{self, TestOutcome};
use super::sensitive_paths;
use super::surroundings::Surroundings;
use super::yaml;
use crate::analysis::cells::Analysis;
use crate::analysis::{self, Budget};
use crate::policy::glob::Pattern;
use crate::policy::model::{
    Access, Action, Argument, ArgumentKind, Confine, PathArgument, Policy, Rule, RuleEffect, Scope,
    ScopeUse, Tool,
};
use crate::policy::source::Node;
use crate::policy::{self, CompiledPolicy, CompiledRule, Span};

/// Names of the workspace that a witness may be made of. Looking through as many takes about a millisecond.
const MOST_NAMES: usize = 2_000;

/// Input of a rule of the catalogue.
pub(crate) struct Subject<'s> {
    pub(crate) policy: &'s CompiledPolicy,
    /// The first file's text.
    pub(crate) text: String,
    pub(crate) root: Node,
    /// The first file as its author meant it, with places. The libraries' tools are not in it.
    pub(crate) model: Policy,
    pub(crate) around: &'s dyn Surroundings,
    pub(crate) options: Options<'s>,
    /// Results of the policy's own tests.
    pub(crate) tests: Vec<TestOutcome>,
    scope_by_name: HashMap<String, usize>,
    analysis: OnceCell<Analysis>,
    exact: OnceCell<Exact>,
    generated: OnceCell<Found>,
    hidden: OnceCell<Exposures>,
    secrets: OnceCell<Exposures>,
    commands: OnceCell<Ambiguous>,
    budget: Budget<'s>,
    names: OnceCell<Vec<String>>,
    /// The scopes that rules allow.
    allowed: OnceCell<HashSet<String>>,
}

/// A rule as it was written and as it was compiled.
#[derive(Clone, Copy)]
pub(crate) struct RuleView<'s> {
    pub(crate) written: &'s Rule,
    pub(crate) compiled: &'s CompiledRule,
    /// Its mapping in the document.
    pub(crate) node: &'s Node,
}

/// An action that a rule speaks of.
#[derive(Clone, Copy)]
pub(crate) struct Deed<'s> {
    pub(crate) tool: &'s Tool,
    pub(crate) action: &'s Action,
    /// The number that compiled rules know the action by.
    pub(crate) number: u32,
}

/// A path argument as the document declares it.
#[derive(Clone, Copy)]
pub(crate) struct DeclaredPath<'s> {
    pub(crate) deed: Deed<'s>,
    pub(crate) argument: &'s Argument,
    pub(crate) kind: &'s PathArgument,
    pub(crate) key: &'s Node,
    pub(crate) node: &'s Node,
}

impl<'s> Subject<'s> {
    /// None for a policy without a file, which cannot be one that loads.
    pub(super) fn new(
        policy: &'s CompiledPolicy,
        around: &'s dyn Surroundings,
        options: Options<'s>,
    ) -> Option<Subject<'s>> {
        let text = policy.files().next()?.text.clone();
        let (root, model) = policy::reread(&text)?;
        let names = model.scopes.iter().map(|scope| scope.name.clone());
        let scope_by_name = names.zip(0..).collect();
        Some(Subject {
            policy,
            text,
            root,
            model,
            around,
            options,
            tests: policy_tests::run(policy),
            scope_by_name,
            analysis: OnceCell::new(),
            exact: OnceCell::new(),
            generated: OnceCell::new(),
            hidden: OnceCell::new(),
            secrets: OnceCell::new(),
            commands: OnceCell::new(),
            names: OnceCell::new(),
            allowed: OnceCell::new(),
            budget: match options.is_late {
                Some(is_late) => Budget::default().until(is_late),
                None => Budget::default(),
            },
        })
    }

    /// Bounds of exact analysis. One for all questions, so that each reuses the results of those before.
    pub(crate) fn budget(&self) -> &Budget<'s> {
        &self.budget
    }

    /// The policy made ready for exact questions.
    pub(crate) fn analysis(&self) -> &Analysis {
        self.analysis.get_or_init(|| Analysis::of(self.policy))
    }

    /// A witness that shows the same with a name of the workspace, the shortest first, if there is one.
    pub(crate) fn existing(&self, witness: analysis::Witness) -> analysis::Witness {
        let names = self.names.get_or_init(|| {
            let known = self.around.names().unwrap_or_default();
            let mut names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_by_key(|name| (name.matches('/').count(), name.len()));
            names.truncate(MOST_NAMES);
            names.into_iter().map(str::to_owned).collect()
        });
        let names = names.iter().map(String::as_str);
        witness.at_existing(self.analysis(), names, self.budget())
    }

    /// Results of exact analysis of the rules. Computed when first needed.
    pub(crate) fn exact(&self) -> &Exact {
        self.exact.get_or_init(|| exact::ask(self))
    }

    /// The tests that the policy lacks. Asked when first needed.
    pub(crate) fn generated(&self) -> &Found {
        self.generated.get_or_init(|| generate::find(self))
    }

    /// The hidden files that its rules let through. Asked when first needed.
    pub(crate) fn hidden(&self) -> &Exposures {
        self.hidden.get_or_init(|| {
            exposures::look(
                self,
                sensitive_paths::HIDDEN_READ,
                sensitive_paths::HIDDEN_WRITE,
            )
        })
    }

    /// The secrets that its rules let through. Asked when first needed.
    pub(crate) fn secrets(&self) -> &Exposures {
        self.secrets.get_or_init(|| {
            exposures::look(self, sensitive_paths::SECRETS, sensitive_paths::SECRETS)
        })
    }

    /// The command lines that several of its actions accept. Asked when first needed.
    pub(crate) fn commands(&self) -> &Ambiguous {
        self.commands.get_or_init(|| commands::look(self))
    }

    /// Returns true for a tool library that is looked at by itself: only policies have a name.
    pub(crate) fn is_library(&self) -> bool {
        self.model.name.is_empty()
    }

    /// The policy's own rules, in the order of the document.
    pub(crate) fn rules(&self) -> impl Iterator<Item = RuleView<'_>> {
        let nodes = yaml::get(&self.root, "rules").map_or(&[][..], yaml::items);
        let compiled = self.policy.rules().filter(|(_, rule)| rule.at.is_some());
        self.model
            .rules
            .iter()
            .zip(compiled)
            .zip(nodes)
            .map(|((written, (_, compiled)), node)| RuleView {
                written,
                compiled,
                node,
            })
    }

    pub(crate) fn allows(&self) -> impl Iterator<Item = RuleView<'_>> {
        self.rules()
            .filter(|rule| rule.written.effect == RuleEffect::Allow)
    }

    /// The path arguments that this document declares itself, each with its key and its value there. Those of
    /// libraries stand elsewhere.
    pub(crate) fn declared_paths(&self) -> Vec<DeclaredPath<'_>> {
        let mut declared = Vec::new();
        for (tool_nth, tool) in self.policy.tools().iter().enumerate() {
            for nth in 0..tool.actions.len() {
                let Some((tool, action, number)) = self.policy.action(tool_nth, nth) else {
                    continue;
                };
                let deed = Deed {
                    tool,
                    action,
                    number,
                };
                for (argument, kind) in deed.paths() {
                    if let Some((key, node)) = self.argument_node(deed, &argument.name) {
                        declared.push(DeclaredPath {
                            deed,
                            argument,
                            kind,
                            key,
                            node,
                        });
                    }
                }
            }
        }
        declared
    }

    /// The actions that a rule speaks of.
    pub(crate) fn deeds(&self, rule: RuleView<'_>) -> Vec<Deed<'_>> {
        let mut deeds = Vec::new();
        for (tool_nth, tool) in self.policy.tools().iter().enumerate() {
            for nth in 0..tool.actions.len() {
                let Some((tool, action, number)) = self.policy.action(tool_nth, nth) else {
                    continue;
                };
                let Ok(tool_number) = u32::try_from(tool_nth) else {
                    continue;
                };
                let is_meant = rule
                    .compiled
                    .selectors
                    .iter()
                    .any(|selector| selector.covers(tool_number, number));
                if is_meant {
                    deeds.push(Deed {
                        tool,
                        action,
                        number,
                    });
                }
            }
        }
        deeds
    }

    /// The scopes that a rule holds against the paths of an argument.
    pub(crate) fn scopes_of(&self, rule: &Rule, action: u32, argument: &str) -> Vec<&Scope> {
        let is_apart = || {
            rule.effect == RuleEffect::Allow && self.policy.matcher().sets_apart(action, argument)
        };
        let named: Vec<&str> = match &rule.scope {
            Some(ScopeUse::All(_)) if is_apart() => Vec::new(),
            Some(ScopeUse::All(scopes)) => scopes.iter().map(|(name, _)| name.as_str()).collect(),
            Some(ScopeUse::PerArgument(entries)) => entries
                .iter()
                .filter(|entry| entry.argument == argument)
                .flat_map(|entry| &entry.scopes)
                .map(|(name, _)| name.as_str())
                .collect(),
            None => Vec::new(),
        };
        self.scopes_named(&named)
    }

    fn scopes_named(&self, names: &[&str]) -> Vec<&Scope> {
        names
            .iter()
            .filter_map(|name| self.model.scopes.get(*self.scope_by_name.get(*name)?))
            .collect()
    }

    /// Every scope that a rule names, for whichever argument.
    pub(crate) fn all_scopes_of(&self, rule: &Rule) -> Vec<&Scope> {
        self.scopes_named(&scope_names(rule))
    }

    /// Returns true if some rule that allows names the scope.
    pub(crate) fn is_allowed_scope(&self, scope: &Scope) -> bool {
        let allowed = self.allowed.get_or_init(|| {
            let rules = self.model.rules.iter();
            rules
                .filter(|rule| rule.effect == RuleEffect::Allow)
                .flat_map(scope_names)
                .map(str::to_owned)
                .collect()
        });
        allowed.contains(&scope.name)
    }

    /// The accesses that a rule grants to paths.
    pub(crate) fn accesses(&self, rule: RuleView<'_>) -> Vec<Access> {
        let mut accesses: Vec<Access> = Vec::new();
        for deed in self.deeds(rule) {
            for (argument, kind) in deed.paths() {
                if !self
                    .scopes_of(rule.written, deed.number, &argument.name)
                    .is_empty()
                {
                    accesses.push(kind.access);
                }
            }
        }
        accesses.sort_unstable();
        accesses.dedup();
        accesses
    }

    /// Confinement of a rule's runs: its own, else that of `defaults`.
    pub(crate) fn confine(&self, rule: &'s Rule) -> Option<&Confine> {
        rule.terms
            .confine
            .as_ref()
            .or(self.model.defaults.confine.as_ref())
    }

    /// The patterns of the scopes that `confine.write` names, in rules and `defaults`.
    pub(crate) fn confined_writes(&self) -> Vec<(&Pattern, &Scope, Span)> {
        let stated = self
            .model
            .rules
            .iter()
            .filter(|rule| rule.effect == RuleEffect::Allow)
            .map(|rule| (rule.terms.confine.as_ref(), rule.at))
            .chain([(self.model.defaults.confine.as_ref(), self.root.at)]);
        let mut found = Vec::new();
        for (confine, at) in stated {
            for name in confine.and_then(|c| c.write.as_ref()).into_iter().flatten() {
                for scope in self.model.scopes.iter().filter(|scope| scope.name == *name) {
                    found.extend(
                        scope
                            .include
                            .iter()
                            .map(|(pattern, _)| (pattern, scope, at)),
                    );
                }
            }
        }
        found
    }

    /// Where a tool of the document stands in it; none for one of a library.
    pub(crate) fn tool_node(&self, tool: &Tool) -> Option<(&Node, &Node)> {
        yaml::entry(yaml::get(&self.root, "tools")?, &tool.name)
    }

    /// The declaration of an argument of a tool of the document: its key and mapping.
    pub(crate) fn argument_node(&self, deed: Deed<'_>, argument: &str) -> Option<(&Node, &Node)> {
        let (_, tool) = self.tool_node(deed.tool)?;
        let action = yaml::get(yaml::get(tool, "actions")?, &deed.action.name)?;
        let parts = [
            yaml::get(action, "args"),
            yaml::get(action, "after"),
            yaml::get(tool, "args"),
        ];
        parts
            .into_iter()
            .flatten()
            .find_map(|part| yaml::entry(part, argument))
    }

    /// Returns true if something of that name is named in the document as a directory: `name/` stands in it.
    pub(crate) fn names_directory(&self, name: &str) -> bool {
        let wanted = format!("{name}/");
        self.text.match_indices(&wanted).any(|(at, _)| {
            let before = self
                .text
                .get(..at)
                .and_then(|text| text.chars().next_back());
            before
                .is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '*')))
        })
    }
}

impl<'s> Deed<'s> {
    /// All arguments of the action.
    pub(crate) fn arguments(self) -> impl Iterator<Item = &'s Argument> {
        self.tool.arguments(self.action)
    }

    /// Its path arguments.
    pub(crate) fn paths(self) -> impl Iterator<Item = (&'s Argument, &'s PathArgument)> {
        self.arguments()
            .filter_map(|argument| match &argument.kind {
                ArgumentKind::Path(kind) => Some((argument, kind)),
                ArgumentKind::Flag
                | ArgumentKind::Text { .. }
                | ArgumentKind::Int { .. }
                | ArgumentKind::Choice(_) => None,
            })
    }

    /// `tool.action`.
    pub(crate) fn name(self) -> String {
        format!("{}.{}", self.tool.name, self.action.name)
    }
}

/// The names of all scopes of a rule.
pub(crate) fn scope_names(rule: &Rule) -> Vec<&str> {
    match &rule.scope {
        Some(ScopeUse::All(scopes)) => scopes.iter().map(|(name, _)| name.as_str()).collect(),
        Some(ScopeUse::PerArgument(entries)) => entries
            .iter()
            .flat_map(|entry| &entry.scopes)
            .map(|(name, _)| name.as_str())
            .collect(),
        None => Vec::new(),
    }
}
