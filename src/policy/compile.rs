//! `Policy` -> [`CompiledPolicy`]: names are looked up, libraries added, rules put where the matcher
//! finds them.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::compiled::{
    CompiledInvariant, CompiledPolicy, CompiledRule, CompiledScope, Inner, Narrow, NarrowParent,
    narrow,
};
use super::decode::nearest;
use super::error::{Code, PolicyErrors, Problem, Problems};
use super::gather::{Document, Gathered, gather, gather_alone, gather_library};
use super::glob::Pattern;
use super::matcher::{Apart, Matcher, RuleScope, ScopeId, Selector};
use super::model::{
    Access, Action, ActionPattern, Argument, ArgumentKind, ArgumentScopes, Policy, Rule,
    RuleEffect, ScopeUse, StatedTerms, Test, Tool,
};
use super::protection;
use super::source::{SourceFile, Span};
use crate::path::CanonicalPath;

/// The files that a policy names: tool libraries of one's own, policies it extends.
pub trait Files {
    /// Reads the file that the policy calls `name`, relative to the policy's own file. The file that
    /// comes back has that name.
    ///
    /// # Errors
    /// Why it cannot be read, as a fragment that fits after "cannot be read: ".
    fn read(&self, name: &str) -> Result<SourceFile, String>;

    /// The policies that every policy on this machine extends, under absolute names. By default none.
    ///
    /// # Errors
    /// Why they cannot be read; the policy is refused then.
    fn floor(&self) -> Result<Vec<SourceFile>, String> {
        Ok(Vec::new())
    }

    /// Where the policy and its record lie inside the workspace that the policy names: these places
    /// are protected from being written. By default none is known to.
    fn placement(&self, policy: &PolicyOutline<'_>) -> Placement {
        let _ = policy;
        Placement::default()
    }
}

/// The part of a policy that says where things lie.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PolicyOutline<'p> {
    /// The policy's name.
    pub name: &'p str,
    /// The workspace, relative to the policy's directory.
    pub workspace: &'p str,
    /// The ledger's directory, relative to the policy's directory, if the policy names one.
    pub ledger: Option<&'p str>,
    /// The other files it was read from, relative to the policy's directory, absolute, or compiled in
    /// (`lictor/NAME@N`).
    pub files: &'p [&'p str],
}

/// No files: a policy may then use only what is compiled in.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to hold")]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<SourceFile, String> {
        Err("files are not available here".to_owned())
    }
}

/// Where a policy and its record lie, as far as that is inside the workspace: these places are
/// protected from being written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Placement {
    /// The files the policy was read from.
    pub policy_files: Vec<CanonicalPath>,
    /// The directory of the ledger.
    pub ledger: Option<CanonicalPath>,
}

impl CompiledPolicy {
    /// Compiles one document that needs no other file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn from_yaml(text: &str) -> Result<CompiledPolicy, PolicyErrors> {
        CompiledPolicy::load(SourceFile::new("policy", text), &NoFiles)
    }

    /// Compiles a tool library by itself, to look at it: a policy without a name, whose rules allow nothing.
    ///
    /// Returns `None` for a document that is a policy, or meant to be one.
    ///
    /// # Errors
    /// All that is wrong with it.
    ///
    /// ```
    /// use lictor::policy::{CompiledPolicy, SourceFile};
    ///
    /// let library = "version: 1\ntools: {wc: {program: wc, actions: {run: {}}}}\n";
    /// let library = SourceFile::new("tools/wc.yaml", library);
    /// assert!(CompiledPolicy::library(&library).is_some_and(|library| library.is_ok()));
    /// assert!(CompiledPolicy::library(&SourceFile::new("policy", "version: 1\nname: x\n")).is_none());
    /// ```
    pub fn library(main: &SourceFile) -> Option<Result<CompiledPolicy, PolicyErrors>> {
        let document = Document::read(main.clone());
        let is_library = document.is_library();
        is_library.then(|| CompiledPolicy::of_library(document))
    }

    /// Compiles a document that is a tool library, with no rules.
    pub(crate) fn of_library(library: Document) -> Result<CompiledPolicy, PolicyErrors> {
        compile_library(library, |_, _| {})
    }

    /// Compiles a tool library by itself, with rules that allow all that it declares on every path: what its own
    /// tests are about, and how a command line is read.
    ///
    /// Returns `None` for a document that is a policy, or meant to be one.
    ///
    /// # Errors
    /// All that is wrong with it.
    ///
    /// ```
    /// use lictor::policy::{CompiledPolicy, SourceFile};
    /// use lictor::{Context, Effect, Request, decide};
    ///
    /// let library = "version: 1\ntools: {wc: {program: wc, actions: {run: {}}}}\n";
    /// let library = SourceFile::new("tools/wc.yaml", library);
    /// let policy = CompiledPolicy::library_allowed(&library).unwrap()?;
    /// let decision = decide(&policy, &Request::argv(["wc"]), &Context::new("me"));
    /// assert_eq!(decision.effect(), Effect::Allow);
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    pub fn library_allowed(main: &SourceFile) -> Option<Result<CompiledPolicy, PolicyErrors>> {
        let document = Document::read(main.clone());
        let is_library = document.is_library();
        is_library.then(|| CompiledPolicy::of_library_allowed(document))
    }

    /// Compiles a document that is a tool library, with rules that allow all that it declares.
    pub(crate) fn of_library_allowed(library: Document) -> Result<CompiledPolicy, PolicyErrors> {
        compile_library(library, |policy, tests| {
            let text = rules_for_all(&policy.tools);
            let allowed = super::decode::policy(super::source::parse(&text, 0)).value;
            policy.scopes = allowed.scopes;
            policy.approvals = allowed.approvals;
            policy.rules = allowed.rules;
            policy.tests = tests;
        })
    }

    /// Compiles a document, the libraries it uses and the policies it extends.
    ///
    /// # Errors
    /// All that is wrong with them, in reading order.
    pub fn load(main: SourceFile, files: &dyn Files) -> Result<CompiledPolicy, PolicyErrors> {
        CompiledPolicy::of_policy(Document::read(main), files)
    }

    /// Compiles a document that is a policy, with what it names.
    pub(crate) fn of_policy(
        main: Document,
        files: &dyn Files,
    ) -> Result<CompiledPolicy, PolicyErrors> {
        let Gathered {
            files: read,
            policy,
            problems,
            partial,
            narrow,
        } = gather(main, files);
        let named: Vec<&str> = read.iter().skip(1).map(|file| file.name.as_str()).collect();
        let placement = files.placement(&PolicyOutline {
            name: &policy.name,
            workspace: policy.workspace.as_deref().unwrap_or("."),
            ledger: policy.ledger.path.as_deref(),
            files: &named,
        });
        let loader = |problems| Loader {
            files: read.clone(),
            problems,
            partial,
        };
        if narrow.is_empty() {
            return loader(problems).compile(policy, &placement);
        }
        let mut unexempt = policy.clone();
        unexempt.rules.retain(|rule| !rule.widens);
        let mut compiled = loader(problems).compile(policy, &placement)?;
        let child = loader(Problems::default()).compile(unexempt, &placement)?;
        let mut parents = Vec::new();
        for (at, name) in narrow {
            let parent = alone(&name, files, &placement).map_err(|why| {
                let message = format!("`{}` is no policy by itself: {why}", name.escape_debug());
                let problem = Problem::new(Code::P006, at, message)
                    .with_help("have it define what it names, or take `narrow` out");
                PolicyErrors::new(read.clone(), vec![problem].into())
            })?;
            parents.push(NarrowParent { at, name, parent });
        }
        if let Some(inner) = Arc::get_mut(&mut compiled.inner) {
            inner.narrow = Some(Narrow { child, parents });
        }
        Ok(compiled)
    }
}

fn compile_library(
    library: Document,
    add: impl FnOnce(&mut Policy, Vec<Test>),
) -> Result<CompiledPolicy, PolicyErrors> {
    let (mut gathered, tests) = gather_library(library);
    add(&mut gathered.policy, tests);
    let loader = Loader {
        files: gathered.files,
        problems: gathered.problems,
        partial: gathered.partial,
    };
    loader.compile(gathered.policy, &Placement::default())
}

/// A policy that allows each action of these tools, with every path in every argument.
fn rules_for_all(tools: &[Tool]) -> String {
    let mut text = String::from(
        "version: 1\nname: library\nscopes: {everything: [\"**\"]}\napprovals: {person: {grant: true}}\nrules:\n",
    );
    let actions = tools
        .iter()
        .flat_map(|tool| tool.actions.iter().map(move |action| (tool, action)));
    for (nth, (tool, action)) in actions.enumerate() {
        let paths = tool
            .arguments(action)
            .filter(|argument| matches!(argument.kind, ArgumentKind::Path(_)));
        let within: String = paths
            .map(|argument| format!(", {:?}: everything", argument.name))
            .collect();
        let name = format!("{}.{}", tool.name, action.name);
        let approval = match action.unnamed {
            Some(_) => ", approval: person",
            None => "",
        };
        text.push_str(&format!(
            "  - {{id: \"{nth}\", allow: {name:?}, within: {{cwd: everything{within}}}{approval}}}\n"
        ));
    }
    text
}

/// A parent by itself, at its child's place.
fn alone(name: &str, files: &dyn Files, placement: &Placement) -> Result<CompiledPolicy, String> {
    let gathered = gather_alone(name, files)?;
    let loader = Loader {
        files: gathered.files,
        problems: gathered.problems,
        partial: gathered.partial,
    };
    loader
        .compile(gathered.policy, placement)
        .map_err(|errors| match errors.problems().first() {
            Some(problem) => problem.message.clone(),
            None => "it does not load".to_owned(),
        })
}

#[derive(Default)]
struct Loader {
    files: Vec<Arc<SourceFile>>,
    problems: Problems,
    partial: bool,
}

impl Loader {
    fn compile(
        mut self,
        mut policy: Policy,
        placement: &Placement,
    ) -> Result<CompiledPolicy, PolicyErrors> {
        let names = Names::new(&policy);
        self.unique_ids(&policy);
        let mut rules = Vec::new();
        let mut scopes: Vec<CompiledScope> = Vec::new();
        for scope in &mut policy.scopes {
            let strip = |patterns: &mut Vec<(Pattern, Span)>| {
                patterns.drain(..).map(|(pattern, _)| pattern).collect()
            };
            let (include, exclude) = (strip(&mut scope.include), strip(&mut scope.exclude));
            scopes.push(CompiledScope { include, exclude });
        }
        rules.push(self_protection(&mut scopes, placement));
        for rule in &policy.rules {
            rules.extend(self.rule(rule, &policy, &names));
        }
        let mut invariants = Vec::new();
        for invariant in &policy.invariants {
            invariants.push(CompiledInvariant {
                selectors: self.selectors(&invariant.actions, &policy, &names),
                stated: invariant.clone(),
            });
        }
        if !self.problems.is_empty() {
            return Err(PolicyErrors::new(self.files, self.problems));
        }
        let matcher = Matcher::new(&scopes, &rules, names.apart(&policy));
        let inner = Inner {
            digest: digest(&self.files),
            tool_by_name: names.tools,
            first_action: names.first_action,
            files: self.files,
            name: policy.name,
            description: policy.description,
            workspace: policy.workspace,
            tools: policy.tools,
            approvals: policy.approvals,
            scopes,
            rules,
            matcher,
            defaults: policy.defaults,
            executor: policy.executor,
            program_path: policy
                .program_path
                .map(|entries| entries.into_iter().map(|(entry, _)| entry).collect()),
            switches: policy.paths.switches,
            disk: policy.paths.disk,
            ledger: policy.ledger,
            shell: policy.shell,
            tests: policy.tests,
            invariants,
            narrow: None,
        };
        Ok(CompiledPolicy {
            inner: Arc::new(inner),
        })
    }

    /// Decisions and findings name rules, invariants and tests.
    fn unique_ids(&mut self, policy: &Policy) {
        let rules = policy.rules.iter().map(|rule| (rule.id.as_str(), rule.at));
        self.unique("rule", rules.filter(|(id, _)| !id.is_empty()));
        let invariants = policy.invariants.iter();
        self.unique(
            "invariant",
            invariants.map(|known| (known.id.as_str(), known.at)),
        );
        let tests = policy.tests.iter();
        self.unique(
            "test",
            tests.filter_map(|test| Some((test.id.as_deref()?, test.at))),
        );
    }

    fn unique<'p>(&mut self, what: &str, ids: impl Iterator<Item = (&'p str, Span)>) {
        let mut first: HashMap<&str, Span> = HashMap::new();
        for (id, at) in ids {
            if let Some(other) = first.insert(id, at) {
                let message = format!(
                    "a second {what} is called `{id}`; the first is on line {}",
                    other.line
                );
                let problem = Problem::new(Code::P005, at, message);
                self.problems
                    .push(problem.with_help("give each an id of its own"));
            }
        }
    }

    fn rule(&mut self, rule: &Rule, policy: &Policy, names: &Names) -> Option<CompiledRule> {
        let mut selectors = Vec::new();
        for named in &rule.actions {
            let mut found = self.selectors(std::slice::from_ref(named), policy, names);
            match rule.effect {
                RuleEffect::Allow if rule.approval.is_none() => {
                    self.has_names(rule, named, &found, policy, names);
                    found = without_unnamed(found, policy, names);
                }
                RuleEffect::Allow => {}
                RuleEffect::Ask | RuleEffect::Deny => {
                    self.can_touch(rule, named, &found, policy, names);
                }
            }
            selectors.extend(found);
        }
        let approval = match &rule.approval {
            Some((name, at)) => Some(self.look_up(&names.approvals, "approval", name, *at)?),
            None => None,
        };
        let scope = match &rule.scope {
            Some(ScopeUse::All(scopes)) => Some(RuleScope::All(self.scopes(scopes, names))),
            Some(ScopeUse::PerArgument(entries)) => Some(RuleScope::PerArgument(
                entries
                    .iter()
                    .map(
                        |ArgumentScopes {
                             argument,
                             at,
                             scopes,
                         }| {
                            self.argument_exists(argument, *at, &selectors, policy, names);
                            (argument.clone(), self.scopes(scopes, names))
                        },
                    )
                    .collect(),
            )),
            None => None,
        };
        if rule.effect == RuleEffect::Allow && scope.is_none() {
            self.scope_is_needed(rule, &selectors, policy, names);
        }
        Some(CompiledRule {
            id: rule.id.clone(),
            at: Some(rule.at),
            effect: rule.effect,
            selectors,
            scope,
            access: rule.access.clone(),
            approval,
            actors: rule.actors.clone(),
            terms: rule.terms.clone(),
            reason: rule.reason.clone(),
            instead: rule.instead.clone(),
            lapses: rule.until.and_then(|(date, _)| end_of(date)),
            widens: rule.widens,
        })
    }

    fn selectors(
        &mut self,
        actions: &[(ActionPattern, Span)],
        policy: &Policy,
        names: &Names,
    ) -> Vec<Selector> {
        let mut selectors = Vec::new();
        for (pattern, at) in actions {
            let selector = match pattern {
                ActionPattern::Any => Some(Selector::Any),
                ActionPattern::Tool(tool) => self
                    .look_up(&names.tools, "tool", tool, *at)
                    .map(|tool| Selector::Tool(narrow(tool))),
                ActionPattern::Action(tool, action) => {
                    self.action(tool, action, *at, policy, names)
                }
            };
            selectors.extend(selector);
        }
        selectors
    }

    fn action(
        &mut self,
        tool: &str,
        action: &str,
        at: Span,
        policy: &Policy,
        names: &Names,
    ) -> Option<Selector> {
        let nth = self.look_up(&names.tools, "tool", tool, at)?;
        let declared = policy.tools.get(nth)?;
        let known = declared.actions.iter().map(|action| action.name.as_str());
        match known.clone().position(|name| name == action) {
            Some(found) => {
                let number = names
                    .first_action
                    .get(nth)?
                    .checked_add(u32::try_from(found).ok()?)?;
                Some(Selector::Action {
                    tool: narrow(nth),
                    action: number,
                })
            }
            None => {
                self.undefined(
                    "action",
                    &format!("{tool}.{action}"),
                    at,
                    nearest(action, known.clone()).map(|meant| format!("{tool}.{meant}")),
                    &known.collect::<Vec<_>>(),
                );
                None
            }
        }
    }

    fn scopes(&mut self, scopes: &[(String, Span)], names: &Names) -> Vec<ScopeId> {
        let mut found = Vec::new();
        for (name, at) in scopes {
            found.extend(
                self.look_up(&names.scopes, "scope", name, *at)
                    .map(|nth| ScopeId(narrow(nth))),
            );
        }
        found
    }

    fn look_up(
        &mut self,
        names: &HashMap<String, usize>,
        what: &str,
        name: &str,
        at: Span,
    ) -> Option<usize> {
        let found = names.get(name).copied();
        if found.is_none() {
            let mut known: Vec<&str> = names.keys().map(String::as_str).collect();
            known.sort_unstable();
            self.undefined(
                what,
                name,
                at,
                nearest(name, known.iter().copied()).map(str::to_owned),
                &known,
            );
        }
        found
    }

    fn undefined(
        &mut self,
        what: &str,
        name: &str,
        at: Span,
        meant: Option<String>,
        known: &[&str],
    ) {
        if self.partial {
            return;
        }
        let problem = Problem::new(
            Code::P009,
            at,
            format!("there is no {what} `{}`", name.escape_debug()),
        );
        let problem = match meant {
            Some(meant) => problem
                .with_help(format!("did you mean `{meant}`?"))
                .with_replacement(meant),
            None if known.is_empty() => problem.with_help(format!("define it under `{what}s`")),
            None => {
                let shown: Vec<_> = known
                    .iter()
                    .take(12)
                    .map(|name| format!("`{name}`"))
                    .collect();
                problem.with_help(format!(
                    "there {} {}",
                    if known.len() == 1 { "is" } else { "are" },
                    shown.join(", ")
                ))
            }
        };
        self.problems.push(problem);
    }

    fn argument_exists(
        &mut self,
        name: &str,
        at: Span,
        selectors: &[Selector],
        policy: &Policy,
        names: &Names,
    ) {
        let declared = path_arguments(selectors, policy, names);
        let is_known =
            name == CWD_ARGUMENT || declared.iter().any(|(_, argument)| argument.name == name);
        if !is_known && !selectors.is_empty() {
            let known: Vec<_> = declared
                .iter()
                .map(|(_, argument)| argument.name.as_str())
                .collect();
            self.undefined(
                "path argument",
                name,
                at,
                nearest(name, known.iter().copied()).map(str::to_owned),
                &known,
            );
        }
    }

    /// A deny or ask rule that is about paths says nothing about a request without any: refused where an action
    /// that it names can have none that is meant. `"*"` is about whatever has paths.
    fn can_touch(
        &mut self,
        rule: &Rule,
        (pattern, at): &(ActionPattern, Span),
        found: &[Selector],
        policy: &Policy,
        names: &Names,
    ) {
        let is_about_paths = rule.scope.is_some() || rule.access.is_some();
        if self.partial || !is_about_paths || found.is_empty() {
            return;
        }
        let named = match &rule.scope {
            Some(ScopeUse::PerArgument(entries)) => Some(entries),
            Some(ScopeUse::All(_)) | None => None,
        };
        let is_named = |name: &str| named.is_some_and(|all| all.iter().any(|e| e.argument == name));
        let is_meant = |argument: &Argument| match &argument.kind {
            ArgumentKind::Path(kind) => {
                let accesses = rule.access.as_ref();
                // The directory that other paths start from is a path of every action of its tool.
                is_named(&argument.name)
                    || named.is_none()
                        && !kind.base
                        && accesses.is_none_or(|all| all.contains(&kind.access))
            }
            ArgumentKind::Flag
            | ArgumentKind::Text { .. }
            | ArgumentKind::Int { .. }
            | ArgumentKind::Choice(_) => false,
        };
        let arguments = path_arguments(found, policy, names);
        if is_named(CWD_ARGUMENT) || arguments.iter().any(|(_, argument)| is_meant(argument)) {
            return;
        }
        let (what, takes) = match pattern {
            ActionPattern::Any => return,
            ActionPattern::Tool(tool) => (
                format!("{tool}.*"),
                format!("no action of `{tool}` takes one"),
            ),
            ActionPattern::Action(tool, action) => (
                format!("{tool}.{action}"),
                "that action takes none".to_owned(),
            ),
        };
        let which = match (named, &rule.access) {
            (Some(_), _) => " that it names",
            (None, Some(_)) => " with this `access`",
            (None, None) => "",
        };
        let message = format!(
            "rule `{}` is about `{what}` only for paths{which}, and {takes}",
            rule.id
        );
        let help = format!(
            "to {} it in any case, write a rule without `touching` and `access`; else take it out of this one",
            rule.effect.word()
        );
        self.problems
            .push(Problem::new(Code::P006, *at, message).with_help(help));
    }

    /// An allow without an approval names no action that writes what nobody can name.
    fn has_names(
        &mut self,
        rule: &Rule,
        (pattern, at): &(ActionPattern, Span),
        found: &[Selector],
        policy: &Policy,
        names: &Names,
    ) {
        let unnamed = actions(policy, names).find(|(selector, action)| {
            matches!(pattern, ActionPattern::Action(..))
                && found.contains(selector)
                && action.unnamed.is_some()
        });
        if let (Some(_), ActionPattern::Action(tool, action)) = (unnamed, pattern) {
            let message = format!(
                "rule `{}` allows {tool}.{action} without an approval: it writes files whose names nobody can tell beforehand",
                rule.id
            );
            self.problems.push(
                Problem::new(Code::P006, *at, message)
                    .with_help("give the rule an `approval`: a person has to look at each"),
            );
        }
    }

    fn scope_is_needed(
        &mut self,
        rule: &Rule,
        selectors: &[Selector],
        policy: &Policy,
        names: &Names,
    ) {
        // The rule's scope may stand in what could not be read.
        if self.partial {
            return;
        }
        let arguments = path_arguments(selectors, policy, names);
        let telling = arguments.iter().find(|(_, argument)| argument.required);
        if let Some((action, argument)) = telling.or(arguments.first()) {
            let message = format!(
                "rule `{}` lacks `within`: {action} takes the path argument `{}`",
                rule.id, argument.name
            );
            self.problems.push(
                Problem::new(Code::P006, rule.at, message)
                    .with_help("name the scope its paths have to be in"),
            );
        }
    }
}

/// The name by which a rule's `within` map speaks of the directory a command starts in.
pub(crate) const CWD_ARGUMENT: &str = "cwd";

/// All actions, each with the selector that names it alone.
fn actions<'p>(
    policy: &'p Policy,
    names: &'p Names,
) -> impl Iterator<Item = (Selector, &'p Action)> {
    let tools = policy.tools.iter().zip(&names.first_action).enumerate();
    tools.flat_map(|(nth, (tool, first))| {
        let numbered = (*first..).zip(&tool.actions);
        numbered.map(move |(action, declared)| {
            let tool = narrow(nth);
            (Selector::Action { tool, action }, declared)
        })
    })
}

/// Selectors of several actions, without those of them that write what nobody can name.
fn without_unnamed(found: Vec<Selector>, policy: &Policy, names: &Names) -> Vec<Selector> {
    let is_plain = |tool: usize| {
        let declared = policy.tools.get(tool);
        declared.is_none_or(|tool| tool.actions.iter().all(|action| action.unnamed.is_none()))
    };
    let named = |tool: u32| {
        let all = actions(policy, names);
        all.filter_map(move |(selector, action)| {
            let is_of = matches!(selector, Selector::Action { tool: of, .. } if of == tool);
            (is_of && action.unnamed.is_none()).then_some(selector)
        })
    };
    let of_tool = |tool: usize| match is_plain(tool) {
        true => vec![Selector::Tool(narrow(tool))],
        false => named(narrow(tool)).collect(),
    };
    let all = || 0..policy.tools.len();
    let narrowed = found.into_iter().flat_map(|selector| match selector {
        Selector::Any if !all().all(is_plain) => all().flat_map(of_tool).collect(),
        Selector::Tool(tool) => of_tool(usize::try_from(tool).unwrap_or(usize::MAX)),
        Selector::Any | Selector::Action { .. } => vec![selector],
    });
    narrowed.collect()
}

/// The path arguments of all actions that the selectors name.
fn path_arguments<'p>(
    selectors: &[Selector],
    policy: &'p Policy,
    names: &Names,
) -> Vec<(String, &'p Argument)> {
    let mut found = Vec::new();
    for (nth, tool) in policy.tools.iter().enumerate() {
        let first = names.first_action.get(nth).copied().unwrap_or(0);
        for (number, action) in (first..).zip(&tool.actions) {
            if selectors
                .iter()
                .any(|selector| selector.covers(narrow(nth), number))
            {
                let paths = tool
                    .arguments(action)
                    .filter(|argument| matches!(argument.kind, ArgumentKind::Path(_)));
                found.extend(
                    paths.map(|argument| (format!("{}.{}", tool.name, action.name), argument)),
                );
            }
        }
    }
    found
}

struct Names {
    tools: HashMap<String, usize>,
    first_action: Vec<u32>,
    scopes: HashMap<String, usize>,
    approvals: HashMap<String, usize>,
}

impl Names {
    fn new(policy: &Policy) -> Names {
        let mut first_action = Vec::new();
        let mut next = 0_u32;
        for tool in &policy.tools {
            first_action.push(next);
            next = next.saturating_add(u32::try_from(tool.actions.len()).unwrap_or(u32::MAX));
        }
        let numbered = |names: Vec<&String>| names.into_iter().cloned().zip(0..).collect();
        Names {
            tools: numbered(policy.tools.iter().map(|tool| &tool.name).collect()),
            first_action,
            scopes: numbered(policy.scopes.iter().map(|scope| &scope.name).collect()),
            approvals: numbered(
                policy
                    .approvals
                    .iter()
                    .map(|approval| &approval.name)
                    .collect(),
            ),
        }
    }
}

impl Names {
    /// For each action, by number, its arguments that an allow covers only by name.
    fn apart(&self, policy: &Policy) -> Apart {
        let mut apart = Apart::default();
        for (tool, first) in policy.tools.iter().zip(&self.first_action) {
            for (number, action) in (*first..).zip(&tool.actions) {
                let names: Vec<String> = tool.apart(action).map(str::to_owned).collect();
                if !names.is_empty() {
                    apart.insert(number, names);
                }
            }
        }
        apart
    }
}

/// The compiled-in rule that protects the policy, its record and the agents' settings.
fn self_protection(scopes: &mut Vec<CompiledScope>, placement: &Placement) -> CompiledRule {
    let mut include: Vec<Pattern> = protection::PATTERNS
        .iter()
        .filter_map(|text| Pattern::parse(text).ok())
        .collect();
    include.extend(placement.policy_files.iter().map(Pattern::exactly));
    include.extend(placement.ledger.iter().map(Pattern::below));
    let scope = ScopeId(u32::try_from(scopes.len()).unwrap_or(u32::MAX));
    scopes.push(CompiledScope {
        include,
        exclude: Vec::new(),
    });
    CompiledRule {
        id: protection::RULE_ID.to_owned(),
        at: None,
        effect: RuleEffect::Deny,
        selectors: vec![Selector::Any],
        scope: Some(RuleScope::All(vec![scope])),
        access: Some(vec![Access::Write]),
        approval: None,
        actors: None,
        terms: StatedTerms::default(),
        reason: Some(protection::REASON.to_owned()),
        instead: None,
        lapses: None,
        widens: false,
    }
}

/// The first instant after the day, UTC.
fn end_of(date: jiff::civil::Date) -> Option<jiff::Timestamp> {
    let next = date.tomorrow().ok()?;
    next.to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// Each text is preceded by its length, so that no two lists of files give the same bytes.
fn digest(files: &[Arc<SourceFile>]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lictor-policy-1\n");
    for file in files {
        hash.update(
            u64::try_from(file.text.len())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
        hash.update(file.text.as_bytes());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}
