//! A policy that decides: its rules, tools, approvals and settings, all names looked up.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::glob::Pattern;
use super::matcher::{Matcher, RuleScope, ScopeId, Selector, Uses};
use super::model::{
    Access, Action, Approval, Argument, ArgumentKind, DiskRules, Invariant, LedgerSettings,
    RuleEffect, ShellSettings, StatedTerms, Test, Tool,
};
use super::source::{SourceFile, Span};
use crate::path::{CanonicalPath, Switches};

/// A policy that decides: checked, immutable, cheap to clone and to share between threads.
///
/// ```
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: readers
/// use: lictor/files@1
/// scopes: {docs: \"docs/**\"}
/// rules:
///   - {id: read-docs, allow: filesystem.read_file, within: docs}
/// ",
/// )?;
/// assert_eq!(policy.name(), "readers");
///
/// let refused = CompiledPolicy::from_yaml("version: 1\nname: x\nrulez: []\n").unwrap_err();
/// assert!(refused.to_string().contains("did you mean `rules`?"));
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[derive(Clone)]
pub struct CompiledPolicy {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) workspace: Option<String>,
    pub(super) digest: String,
    pub(super) files: Vec<Arc<SourceFile>>,
    pub(super) tools: Vec<Tool>,
    pub(super) tool_by_name: HashMap<String, usize>,
    pub(super) first_action: Vec<u32>,
    pub(super) approvals: Vec<Approval>,
    pub(super) scopes: Vec<CompiledScope>,
    pub(super) rules: Vec<CompiledRule>,
    pub(super) matcher: Matcher,
    pub(super) defaults: StatedTerms,
    pub(super) program_path: Option<Vec<String>>,
    pub(super) executor: Option<String>,
    pub(super) switches: Switches,
    pub(super) disk: DiskRules,
    pub(super) ledger: LedgerSettings,
    pub(super) shell: ShellSettings,
    pub(super) tests: Vec<Test>,
    pub(super) invariants: Vec<CompiledInvariant>,
    pub(super) narrow: Option<Narrow>,
}

/// The policy's claim `narrow`: `child` allows nothing that one of `parents` does not.
#[derive(Clone, Debug)]
pub(crate) struct Narrow {
    /// The policy without the rules that are exempt.
    pub(crate) child: CompiledPolicy,
    pub(crate) parents: Vec<NarrowParent>,
}

/// A parent that nothing may be allowed beyond.
#[derive(Clone, Debug)]
pub(crate) struct NarrowParent {
    /// Where it is named.
    pub(crate) at: Span,
    pub(crate) name: String,
    /// The parent by itself.
    pub(crate) parent: CompiledPolicy,
}
/// A place in one of a policy's files, for people and for JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// A rule, by its place among the compiled rules; the order is that of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RuleId(pub(crate) u32);

/// One scope: paths inside `include` and outside `exclude`.
#[derive(Clone, Debug)]
pub(crate) struct CompiledScope {
    pub(crate) include: Vec<Pattern>,
    pub(crate) exclude: Vec<Pattern>,
}

/// One rule, all names looked up.
#[derive(Clone, Debug)]
pub(crate) struct CompiledRule {
    pub(crate) id: String,
    /// None for a rule that is compiled in.
    pub(crate) at: Option<Span>,
    pub(crate) effect: RuleEffect,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) scope: Option<RuleScope>,
    pub(crate) access: Option<Vec<Access>>,
    pub(crate) approval: Option<usize>,
    pub(crate) actors: Option<Vec<String>>,
    pub(crate) terms: StatedTerms,
    pub(crate) reason: Option<String>,
    pub(crate) instead: Option<String>,
    /// The first instant at which the rule no longer counts.
    pub(crate) lapses: Option<jiff::Timestamp>,
    pub(crate) widens: bool,
}

/// An invariant of a policy, its actions looked up.
#[derive(Clone, Debug)]
pub(crate) struct CompiledInvariant {
    pub(crate) stated: Invariant,
    pub(crate) selectors: Vec<Selector>,
}

impl CompiledRule {
    /// Returns true if the rule speaks of what this actor does.
    pub(crate) fn is_for(&self, actor: &str) -> bool {
        self.actors
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| is_like(pattern, actor)))
    }

    /// Returns true if the rule has lapsed. Without a clock none has.
    pub(crate) fn has_lapsed(&self, now: Option<jiff::Timestamp>) -> bool {
        self.lapses
            .zip(now)
            .is_some_and(|(lapses, now)| now >= lapses)
    }
}

/// Returns true if `text` matches `pattern`, where `*` is any run of characters. Linear but for one
/// backtracking point.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or("");
    for part in parts {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(tail)
}

impl CompiledPolicy {
    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The policy's description of its purpose.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.inner.description.as_deref()
    }

    /// The workspace as the policy names it, relative to the policy's own directory.
    #[must_use]
    pub fn workspace(&self) -> &str {
        self.inner.workspace.as_deref().unwrap_or(".")
    }

    /// SHA-256 over the version of the language and all files read, in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// The files read, in reading order; the first is the policy itself.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.inner.files.iter().map(Arc::as_ref)
    }

    /// The tools, in the order of the document, libraries last.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.inner.tools
    }

    /// The approvals.
    #[must_use]
    pub fn approvals(&self) -> &[Approval] {
        &self.inner.approvals
    }

    /// The policy's claim `narrow`.
    pub(crate) fn narrow(&self) -> Option<&Narrow> {
        self.inner.narrow.as_ref()
    }

    /// The policy's own tests.
    #[must_use]
    pub fn tests(&self) -> &[Test] {
        &self.inner.tests
    }

    /// Switches by which paths are read.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.inner.switches
    }

    /// Rules for answers of the disk.
    #[must_use]
    pub fn disk_rules(&self) -> DiskRules {
        self.inner.disk
    }

    /// Where the record is kept.
    #[must_use]
    pub fn ledger_settings(&self) -> &LedgerSettings {
        &self.inner.ledger
    }

    /// Settings for shell text.
    #[must_use]
    pub fn shell_settings(&self) -> &ShellSettings {
        &self.inner.shell
    }

    /// The directories that programs are looked up in.
    #[must_use]
    pub fn program_path(&self) -> Vec<&str> {
        const BUILT_IN: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
        match &self.inner.program_path {
            Some(directories) => directories.iter().map(String::as_str).collect(),
            None => BUILT_IN.to_vec(),
        }
    }

    /// The name of the executor that runs commands, if the policy names one.
    #[must_use]
    pub fn executor(&self) -> Option<&str> {
        self.inner.executor.as_deref()
    }

    pub(crate) fn defaults(&self) -> &StatedTerms {
        &self.inner.defaults
    }

    pub(crate) fn matcher(&self) -> &Matcher {
        &self.inner.matcher
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = (RuleId, &CompiledRule)> {
        (0..).map(RuleId).zip(&self.inner.rules)
    }

    pub(crate) fn rule(&self, id: RuleId) -> Option<&CompiledRule> {
        self.inner.rules.get(usize::try_from(id.0).ok()?)
    }

    pub(crate) fn scopes(&self) -> &[CompiledScope] {
        &self.inner.scopes
    }

    /// The scopes that a rule holds against the paths of an argument; none if it says nothing about them.
    pub(crate) fn scopes_for<'r>(
        &self,
        rule: &'r CompiledRule,
        action: u32,
        argument: &str,
    ) -> Option<&'r [ScopeId]> {
        match rule.scope.as_ref()? {
            RuleScope::All(scopes) => {
                let is_allow = rule.effect == RuleEffect::Allow;
                let is_apart = is_allow && self.matcher().sets_apart(action, argument);
                (!is_apart).then_some(scopes)
            }
            RuleScope::PerArgument(entries) => entries
                .iter()
                .find(|(name, _)| name == argument)
                .map(|(_, scopes)| scopes.as_slice()),
        }
    }

    pub(crate) fn approval(&self, nth: usize) -> Option<&Approval> {
        self.inner.approvals.get(nth)
    }

    pub(crate) fn invariants(&self) -> &[CompiledInvariant] {
        &self.inner.invariants
    }

    /// Returns true if the policy declares this action of this tool.
    #[cfg(feature = "cli")]
    pub(crate) fn declares(&self, tool: &str, action: &str) -> bool {
        let tool = self.tools().iter().find(|known| known.name == tool);
        tool.is_some_and(|tool| tool.actions.iter().any(|known| known.name == action))
    }

    pub(crate) fn tool_named(&self, name: &str) -> Option<usize> {
        self.inner.tool_by_name.get(name).copied()
    }

    /// The name of an action by its numbers, as `tool.action`.
    pub(crate) fn action_name(&self, tool: u32, action: u32) -> String {
        let tool = usize::try_from(tool).unwrap_or(usize::MAX);
        let named = self.tools().get(tool).and_then(|found| {
            let (_, _, first) = self.action(tool, 0)?;
            let nth = usize::try_from(action.checked_sub(first)?).ok()?;
            Some(format!("{}.{}", found.name, found.actions.get(nth)?.name))
        });
        named.unwrap_or_else(|| "this action".to_owned())
    }

    /// The declaration of an action by its numbers.
    pub(crate) fn declared(&self, tool: u32, action: u32) -> Option<&Action> {
        let tool = usize::try_from(tool).ok()?;
        let (_, _, first) = self.action(tool, 0)?;
        let nth = usize::try_from(action.checked_sub(first)?).ok()?;
        self.action(tool, nth).map(|(_, action, _)| action)
    }

    /// The tool and action at these places, with the number that rules know the action by.
    pub(crate) fn action(&self, tool: usize, action: usize) -> Option<(&Tool, &Action, u32)> {
        let found = self.inner.tools.get(tool)?;
        let number = self
            .inner
            .first_action
            .get(tool)?
            .checked_add(u32::try_from(action).ok()?)?;
        Some((found, found.actions.get(action)?, number))
    }

    /// Returns true if some allow rule lets some request write to this path, whoever asks and whatever has to
    /// be approved first, and no deny rule keeps everybody from it.
    #[must_use]
    pub fn lets_write(&self, path: &CanonicalPath) -> bool {
        self.lets(path, Access::Write, |_| true)
    }

    /// Returns true if some allow rule lets some request read or write this path, as for
    /// [`CompiledPolicy::lets_write`], and no deny rule of the policy's own keeps everybody from it. The protection
    /// that is compiled in does not count: it binds the paths of requests, not what programs do.
    #[must_use]
    pub fn opens(&self, path: &CanonicalPath) -> bool {
        let is_own = |rule: &CompiledRule| rule.id != super::protection::RULE_ID;
        [Access::Read, Access::Write, Access::Execute]
            .into_iter()
            .any(|access| self.lets(path, access, is_own))
    }

    /// Returns true if rules that `counts` holds for let a request do this to a path.
    fn lets(
        &self,
        path: &CanonicalPath,
        access: Access,
        counts: impl Fn(&CompiledRule) -> bool + Copy,
    ) -> bool {
        let does = |argument: &&Argument| matches!(&argument.kind, ArgumentKind::Path(kind) if kind.access == access);
        for (nth, tool) in self.inner.tools.iter().enumerate() {
            let first = self.inner.first_action.get(nth).copied().unwrap_or(0);
            for (number, action) in (first..).zip(&tool.actions) {
                let all = tool
                    .args
                    .iter()
                    .chain(&action.args)
                    .chain(action.after.iter().flatten());
                for argument in all.filter(does) {
                    let here = (narrow(nth), number, argument.name.as_str());
                    if self.lets_by(here, path, access, counts) {
                        return true;
                    }
                }
            }
        }
        false
    }

    fn lets_by(
        &self,
        (tool, action, argument): (u32, u32, &str),
        path: &CanonicalPath,
        access: Access,
        counts: impl Fn(&CompiledRule) -> bool,
    ) -> bool {
        let mut allows = false;
        let mut denies = false;
        let mut look = |id: RuleId| {
            let Some(rule) = self.rule(id).filter(|rule| counts(rule)) else {
                return;
            };
            let is_about_it = rule
                .access
                .as_ref()
                .is_none_or(|accesses| accesses.contains(&access));
            match rule.effect {
                RuleEffect::Allow => allows = true,
                RuleEffect::Deny => denies |= rule.actors.is_none() && is_about_it,
                RuleEffect::Ask => {}
            }
        };
        self.inner
            .matcher
            .touching(tool, action, argument, path, &mut look);
        let outright: Vec<RuleId> = self.inner.matcher.outright(tool, action).collect();
        outright
            .into_iter()
            .filter(|id| {
                self.rule(*id)
                    .is_some_and(|rule| rule.effect == RuleEffect::Deny)
            })
            .for_each(look);
        allows && !denies
    }

    /// Where a span stands.
    #[must_use]
    pub fn place(&self, at: Span) -> Place {
        let file = self
            .inner
            .files
            .get(usize::from(at.file))
            .map_or("policy", |file| file.name.as_str());
        Place {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
        }
    }
}

impl fmt::Debug for CompiledPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledPolicy")
            .field("name", &self.inner.name)
            .field("digest", &self.inner.digest)
            .field("rules", &self.inner.rules.len())
            .finish_non_exhaustive()
    }
}

impl Uses for CompiledRule {
    fn selectors(&self) -> &[Selector] {
        &self.selectors
    }
    fn scope(&self) -> Option<&RuleScope> {
        self.scope.as_ref()
    }
    fn folds_case(&self) -> bool {
        self.effect != RuleEffect::Allow
    }
}

/// Places in a policy are counted in 32 bits: a document of 4 MiB cannot hold more.
pub(super) fn narrow(nth: usize) -> u32 {
    u32::try_from(nth).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_pattern_takes_any_run_of_characters_for_a_star() {
        for (pattern, text, expected) in [
            ("ci", "ci", true),
            ("ci", "cix", false),
            ("*", "", true),
            ("ci-*", "ci-1", true),
            ("ci-*", "xci-1", false),
            ("*-bot", "a-bot", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("**x", "yx", true),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
