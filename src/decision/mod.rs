//! [`Request`] + [`CompiledPolicy`] + [`Context`] -> [`Decision`]. Pure: no disk, no clock, no
//! environment; what is needed of them comes in with the context.
//!
//! A request is read against the declared grammar (`grammar.rs`, `named.rs` -> `call.rs`), its paths
//! become canonical (`paths.rs`), the rules are asked about each of them (`judge.rs`), the strictest
//! answer wins, and an allow carries the words to execute (`render.rs`) and the terms to run them on
//! (`terms.rs`). [`decide`] reads in that order.
//! Around it: `request`, `grammar`, `named` and `call` hold requests; `parts`, `paths` and `judge` decide; `approval`, `grant`,
//! `exact` and `extent` say what approvals cover; `suffix`, `render` and `terms` make what runs; `explain`, `hints`, `json` tell.

#![forbid(unsafe_code)]

mod approval;
mod call;
mod exact;
mod explain;
pub mod extent;
mod grammar;
pub mod grant;
mod hints;
mod json;
mod judge;
mod named;
#[cfg(feature = "cli")]
mod parts;
pub(crate) mod paths;
mod render;
mod request;
mod suffix;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::policy::{CompiledPolicy, Place, RuleId};
use crate::reason::Reason;
use call::{Call, Misfit};
use request::Form;

pub(crate) use approval::is_granted_outright;
pub(crate) use call::shares as positional_shares;
pub(crate) use grammar::ambiguous;

pub use approval::ApprovalNeeded;
pub use exact::{Exact, ExactPath, ExactRequest, ExactValue};
pub use explain::{Explanation, NearMiss, RuleOutcome, RuleView, explain};
pub use grant::{GrantUse, RefusedGrant};
pub use request::{MAX_REQUEST_BYTES, MAX_REQUEST_PATHS, Request, RequestError, Value};
pub use terms::{EnvTerms, Terms};

#[cfg(feature = "run")]
pub(crate) use json::bytes as bytes_json;
#[cfg(feature = "run")]
pub(crate) use judge::{Judgement, judge_path};

/// Facts that a decision may depend on besides the policy and the request.
///
/// ```
/// use lictor::decision::Context;
///
/// let context = Context::new("ci").with_switch("PYTEST_EXECUTION_ENABLED", "1").with_approval("council");
/// assert_eq!(context.actor(), "ci");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Context {
    actor: String,
    approved: BTreeSet<String>,
    granted: Vec<approval::RuleGrant>,
    switches: BTreeMap<String, String>,
    now: Option<jiff::Timestamp>,
}

impl Context {
    /// A context in which `actor` asks, unless the request names another one; nothing is approved, and
    /// there is no clock: no rule has lapsed.
    #[must_use]
    pub fn new(actor: impl Into<String>) -> Context {
        Context {
            actor: actor.into(),
            ..Context::default()
        }
    }

    /// Grants the approval of that name.
    #[must_use]
    pub fn with_approval(mut self, name: impl Into<String>) -> Context {
        self.approved.insert(name.into());
        self
    }

    /// Grants the approval of that name to one rule only and, unless `within` is empty, only for paths
    /// that one of its patterns matches.
    #[must_use]
    pub fn with_rule_approval(
        mut self,
        name: impl Into<String>,
        rule: impl Into<String>,
        within: Vec<crate::policy::glob::Pattern>,
    ) -> Context {
        self.granted.push(approval::RuleGrant {
            approval: name.into(),
            rule: rule.into(),
            within,
        });
        self
    }

    /// Sets an environment switch that approvals may look at.
    #[must_use]
    pub fn with_switch(mut self, variable: impl Into<String>, value: impl Into<String>) -> Context {
        self.switches.insert(variable.into(), value.into());
        self
    }

    /// Names another actor.
    #[must_use]
    pub(crate) fn for_actor(mut self, actor: &str) -> Context {
        actor.clone_into(&mut self.actor);
        self
    }

    /// Says what time it is.
    #[must_use]
    pub fn with_time(mut self, now: jiff::Timestamp) -> Context {
        self.now = Some(now);
        self
    }

    /// Returns true if an allow rule counts for everything below `root`: it has not lapsed, and its approval
    /// is granted.
    #[cfg(feature = "run")]
    pub(crate) fn counts_below(
        &self,
        policy: &CompiledPolicy,
        rule: &crate::policy::CompiledRule,
        root: &crate::path::CanonicalPath,
    ) -> bool {
        let below = approval::For::Below(root);
        let granted = |nth: usize| {
            policy
                .approval(nth)
                .is_some_and(|found| approval::is_granted(found, rule, below, self))
        };
        !rule.has_lapsed(self.now) && rule.approval.is_none_or(granted)
    }

    /// The present time, if it is known.
    #[must_use]
    pub fn now(&self) -> Option<jiff::Timestamp> {
        self.now
    }

    /// Who asks, if the request does not say.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The approvals that are granted by name.
    pub fn approved(&self) -> impl Iterator<Item = &str> {
        self.approved.iter().map(String::as_str)
    }

    /// The environment switches that are set, with their values.
    pub fn switches(&self) -> impl Iterator<Item = (&str, &str)> {
        let set = self.switches.iter();
        set.map(|(variable, value)| (variable.as_str(), value.as_str()))
    }
}

/// Effect of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a fourth effect would have to be looked at everywhere"
)]
pub enum Effect {
    /// It may happen.
    Allow,
    /// A person has to be asked.
    Ask,
    /// It may not happen.
    Deny,
}

impl Effect {
    /// The word used in JSON and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Ask => "ask",
            Effect::Deny => "deny",
        }
    }
}

/// The answer to a request, with everything that explains it. A denial is a decision, not an error.
#[derive(Clone, Debug)]
pub struct Decision {
    effect: Effect,
    reasons: Vec<Reason>,
    message: String,
    instead: Option<String>,
    rules: Vec<AppliedRule>,
    asked: Asked,
    findings: Vec<Finding>,
    approvals: Vec<ApprovalNeeded>,
    grants: Vec<GrantUse>,
    refused_grants: Vec<RefusedGrant>,
    more_refused_grants: usize,
    exact: Option<Exact>,
    policy: PolicyRef,
    disk: Disk,
    plan: Option<Plan>,
}

/// A rule that had a part in a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedRule {
    /// Its id.
    pub id: String,
    /// Where it stands; none if it is compiled in.
    pub at: Option<Place>,
    /// It allows more than the policies it extends.
    pub widens: bool,
}

/// The request as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The tool, if one was found.
    pub tool: Option<String>,
    /// The action, if one was found.
    pub action: Option<String>,
    /// The arguments by name; flags are [`Value::Flag`], all others lists.
    pub args: Vec<(String, Value)>,
    /// The command line, if the request was one.
    pub argv: Option<Vec<Vec<u8>>>,
    /// Who asked.
    pub actor: String,
}

/// Result of the checks of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The argument, or `cwd` for the directory the command starts in.
    pub arg: String,
    /// The path as it was written; none if it is implied by an argument that is absent.
    pub path: Option<Vec<u8>>,
    /// The path that is decided and executed.
    pub canonical: Option<String>,
    /// Why it is refused or asked for.
    pub reason: Option<Reason>,
    /// At which byte of the written path.
    pub offset: Option<usize>,
    /// The path means everything below it, and whether rules deny some of that was not looked up.
    pub tree_not_consulted: bool,
    /// Number of names that the file has on the disk, if the disk was asked and there are several (hard
    /// links).
    pub hard_links: Option<u32>,
}

/// Which policy decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyRef {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub sha256: String,
}

/// State of the disk's part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Disk {
    /// The disk was not asked.
    NotConsulted,
    /// The disk was asked, and its answers fit the decision.
    Agrees,
}

/// The command that an allowed request would execute, and its terms.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "run"),
    expect(dead_code, reason = "only what the disk says asks for all of it")
)]
pub(crate) struct Plan {
    pub(crate) tool: u32,
    pub(crate) action: u32,
    /// None: the host performs the action itself.
    pub(crate) program: Option<String>,
    /// The words behind the program.
    pub(crate) words: Vec<String>,
    pub(crate) paths: Vec<paths::Decided>,
    pub(crate) cwd: crate::path::CanonicalPath,
    /// The directory that a fixed word leads from to the workspace, step by step.
    pub(crate) climbs_from: Option<crate::path::CanonicalPath>,
    /// The program reads the workspace's git repository: the commits that it is asked about.
    pub(crate) repository: Option<Vec<String>>,
    pub(crate) terms: Terms,
    /// The approvals that rules were granted by.
    pub(crate) granted: Vec<String>,
}

/// Decides one request.
///
/// ```
/// use lictor::decision::{Context, Effect, Request, decide};
/// use lictor::policy::CompiledPolicy;
/// use lictor::reason::Reason;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: example
/// use: lictor/pytest@1
/// scopes: {tests: \"runtime/tests/**\"}
/// rules:
///   - {id: run-tests, allow: pytest.run, within: tests}
/// ",
/// )?;
/// let context = Context::new("ci");
/// let inside = decide(&policy, &Request::argv(["pytest", "runtime/tests/a.py"]), &context);
/// assert_eq!(inside.effect(), Effect::Allow);
///
/// let sibling = decide(&policy, &Request::argv(["pytest", "runtime/tests_evil/a.py"]), &context);
/// assert_eq!(sibling.effect(), Effect::Deny);
/// assert_eq!(sibling.reason(), Some(Reason::PathOutsideAllowedScope));
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[must_use]
pub fn decide(policy: &CompiledPolicy, request: &Request, context: &Context) -> Decision {
    let mut decision = Decision::new(policy, request, context);
    if let Err(misfit) = check_form(request, &decision.asked.actor) {
        if misfit.reason == Reason::RequestTooLarge {
            // Nor is it said again.
            decision.asked = Asked {
                actor: decision.asked.actor,
                ..Asked::default()
            };
        }
        return decision.refuse(misfit);
    }
    let parsed = match &request.form {
        Form::Argv(words) => grammar::parse(policy, words),
        Form::Named { tool, action, args } => named::parse(policy, tool, action, args),
    };
    let mut call = match parsed {
        Ok(call) => call,
        Err(misfit) => {
            let instead = judge::how_to_give(policy, &misfit, request, &decision.asked.actor);
            return decision.refuse(misfit.or_instead(instead));
        }
    };
    let Some((tool, action, number)) = policy.action(call.tool, call.action) else {
        return decision.refuse(Misfit::new(
            Reason::ActionNotAllowed,
            "there is no such action".to_owned(),
        ));
    };
    let is_written_otherwise = call.take_roots(tool, action, request);
    decision.asked.understood(tool, action, &call);
    if is_written_otherwise {
        // What was decided can be asked again in this form only.
        decision.asked.argv = None;
    }

    let paths = paths::read(policy, tool, action, &call, request);
    if paths.decided.len().saturating_add(paths.refused.len()) > MAX_REQUEST_PATHS {
        let message = format!("more than {MAX_REQUEST_PATHS} paths in one request");
        return decision.refuse(Misfit::new(Reason::RequestTooLarge, message));
    }
    if !paths.refused.is_empty() {
        return decision.refuse_paths(policy, &paths);
    }

    decision.exact = Some(Exact::new(tool, action, &call, &paths));

    let climb = paths.climb();
    if let Some(other) = call.climbs.iter().find(|other| **other != climb) {
        let message = format!(
            "`{other}` is not the way to the workspace from `{}`: that is `{climb}`",
            paths.base
        );
        return decision.refuse(Misfit::new(Reason::ArgumentInvalid, message));
    }
    let words = render::render(tool, action, &call, &paths.decided, &climb);
    if tool.program.is_some() && !grammar::reads_back(tool, action, &call, &words, &paths.decided) {
        let message = format!(
            "no command line says this: `{} {}` is read as something else",
            tool.name,
            words.join(" ").escape_debug()
        );
        return decision.refuse(Misfit::new(Reason::ArgumentInvalid, message));
    }

    let tool_number = u32::try_from(call.tool).unwrap_or(u32::MAX);
    let judged = judge::judge(
        policy,
        tool_number,
        number,
        &paths.decided,
        &decision.asked.actor,
        context,
    );
    let applied = judged.applied();
    decision.take(policy, &judged, &paths.decided);
    decision.tell_how(policy, request);
    if decision.effect != Effect::Allow {
        return decision;
    }
    let terms = match terms::combine(policy, &applied, action.report) {
        Ok(terms) => terms.with_env(tool.env_of(action)),
        Err(misfit) => return decision.refuse(misfit),
    };
    if let Some(misfit) = terms::unenforceable(policy, &applied, &terms) {
        return decision.refuse(misfit);
    }
    decision.plan = Some(Plan {
        tool: tool_number,
        action: number,
        program: tool.program.clone(),
        words,
        paths: paths.decided,
        cwd: paths.cwd,
        repository: suffix::commits(tool, action, &call),
        climbs_from: tool.names_workspace(action).then_some(paths.base),
        terms,
        granted: judged.granted_approvals(policy),
    });
    decision
}

/// The command line that a person would write for a request by name: the program's name and the rendered
/// words without those that are fixed, whether it is allowed or not. None if its tool has no program, or its
/// arguments or paths are refused. That it is read as that request has to be seen by deciding it.
pub(crate) fn command_line(policy: &CompiledPolicy, request: &Request) -> Option<Vec<String>> {
    let Form::Named { tool, action, args } = &request.form else {
        return None;
    };
    let call = named::parse(policy, tool, action, args).ok()?;
    let (tool, action, _) = policy.action(call.tool, call.action)?;
    let program = tool.program.clone()?;
    let paths = paths::read(policy, tool, action, &call, request);
    if !paths.refused.is_empty() {
        return None;
    }
    let (mut tool, mut action) = (tool.clone(), action.clone());
    tool.fixed = Vec::new();
    action.fixed = Vec::new();
    action.fixed_last = Vec::new();
    let behind = action.after.iter_mut().flatten();
    for argument in tool.args.iter_mut().chain(&mut action.args).chain(behind) {
        if let crate::policy::model::ArgumentKind::Text { suffix, .. } = &mut argument.kind {
            *suffix = None;
        }
    }
    let mut words = vec![program];
    words.extend(render::render(&tool, &action, &call, &paths.decided, "."));
    // Nothing stands behind it.
    if words.last().is_some_and(|word| word == "--") {
        words.pop();
    }
    Some(words)
}

/// The terms that rules allow an action on together; none if they state what cannot hold together, or cannot
/// be enforced.
pub(crate) fn terms_of(
    policy: &CompiledPolicy,
    rules: &[RuleId],
    report: Option<crate::policy::terms::ReportKind>,
) -> Option<Terms> {
    let terms = terms::combine(policy, rules, report).ok()?;
    match terms::unenforceable(policy, rules, &terms) {
        None => Some(terms),
        Some(_) => None,
    }
}

/// Checks of a request that need no tool.
fn check_form(request: &Request, actor: &str) -> Result<(), Misfit> {
    let is_actor = (1..=128).contains(&actor.len()) && actor.bytes().all(|b| b.is_ascii_graphic());
    if !is_actor {
        let message = format!("`{}` is no name of an actor", actor.escape_debug());
        return Err(Misfit::new(Reason::RequestInvalid, message));
    }
    let bytes = request
        .size()
        .saturating_add(request.cwd.as_ref().map_or(0, Vec::len));
    if bytes > MAX_REQUEST_BYTES {
        let message =
            format!("the request has {bytes} bytes; at most {MAX_REQUEST_BYTES} are read");
        return Err(Misfit::new(Reason::RequestTooLarge, message));
    }
    Ok(())
}

impl Decision {
    fn new(policy: &CompiledPolicy, request: &Request, context: &Context) -> Decision {
        let actor = request.actor().unwrap_or(context.actor()).to_owned();
        let asked = match &request.form {
            Form::Argv(words) => Asked {
                argv: Some(words.clone()),
                actor,
                ..Asked::default()
            },
            Form::Named { tool, action, args } => {
                let args = args
                    .iter()
                    .map(|(name, value)| (name.clone(), as_list(value)))
                    .collect();
                Asked {
                    tool: Some(tool.clone()),
                    action: Some(action.clone()),
                    args,
                    argv: None,
                    actor,
                }
            }
        };
        Decision {
            effect: Effect::Deny,
            reasons: Vec::new(),
            message: String::new(),
            instead: None,
            rules: Vec::new(),
            asked,
            findings: Vec::new(),
            approvals: Vec::new(),
            grants: Vec::new(),
            refused_grants: Vec::new(),
            more_refused_grants: 0,
            exact: None,
            policy: PolicyRef {
                name: policy.name().to_owned(),
                sha256: policy.digest().to_owned(),
            },
            disk: Disk::NotConsulted,
            plan: None,
        }
    }

    /// The denial of a request that could not be read at all.
    #[must_use]
    pub fn unreadable(policy: &CompiledPolicy, actor: &str, why: &str) -> Decision {
        let request = Request::argv(Vec::<Vec<u8>>::new());
        let mut decision = Decision::new(policy, &request, &Context::new(actor));
        decision.asked.argv = None;
        decision.refuse(Misfit::new(Reason::RequestInvalid, why.to_owned()))
    }

    /// The denial of a request of which nobody read more than its size.
    #[must_use]
    pub fn too_large(policy: &CompiledPolicy, actor: &str) -> Decision {
        let why = format!("the request has more than {MAX_REQUEST_BYTES} bytes");
        Decision::unreadable(policy, actor, &why).denied(Reason::RequestTooLarge, why)
    }

    /// Turns the decision into a denial, keeping what was understood of the request.
    fn refuse(self, misfit: Misfit) -> Decision {
        let mut decision = self.denied(misfit.reason, misfit.message);
        decision.instead = misfit.instead;
        decision
    }

    /// Turns the decision into a denial for a reason that was found later.
    #[must_use]
    pub(crate) fn denied(mut self, reason: Reason, message: impl Into<String>) -> Decision {
        self.effect = Effect::Deny;
        self.reasons = vec![reason];
        self.message = message.into();
        self.instead = None;
        // They allowed: naming one would read as if it denied.
        self.rules = Vec::new();
        self.approvals = Vec::new();
        // What is denied spends nothing.
        self.grants = Vec::new();
        self.plan = None;
        self
    }

    /// Adds advice on what to do instead, if none was given.
    #[must_use]
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what knows the disk has more to say")
    )]
    pub(crate) fn or_instead(
        mut self,
        instead: impl FnOnce(&Decision) -> Option<String>,
    ) -> Decision {
        if self.effect == Effect::Deny && self.instead.is_none() {
            self.instead = instead(&self);
        }
        self
    }

    /// Denies one path.
    #[must_use]
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what the disk says asks for it")
    )]
    pub(crate) fn denied_path(
        mut self,
        nth: usize,
        reason: Reason,
        message: impl Into<String>,
    ) -> Decision {
        if let Some(finding) = self.findings.get_mut(nth) {
            finding.reason = Some(reason);
        }
        self.denied(reason, message)
    }

    fn refuse_paths(mut self, policy: &CompiledPolicy, paths: &paths::Paths) -> Decision {
        for refused in &paths.refused {
            let all = refused
                .denial
                .as_ref()
                .map(|denial| denial.findings().to_vec())
                .unwrap_or_default();
            let finding = |reason, offset| Finding {
                arg: refused.argument.clone(),
                path: refused.text.clone(),
                canonical: None,
                reason: Some(reason),
                offset,
                tree_not_consulted: false,
                hard_links: None,
            };
            if all.is_empty() {
                self.findings.push(finding(refused.reason(), None));
            }
            self.findings.extend(
                all.iter()
                    .map(|found| finding(found.reason, Some(found.offset))),
            );
        }
        let mut reasons: Vec<Reason> = Vec::new();
        for refused in &paths.refused {
            let found = refused
                .denial
                .iter()
                .flat_map(|denial| denial.findings())
                .map(|finding| finding.reason);
            for reason in std::iter::once(refused.reason()).chain(found) {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        let first = paths.refused.first();
        let (reason, message) = match first {
            Some(first) => (first.reason(), first.message()),
            None => (Reason::PathEmptyOrNone, String::new()),
        };
        let suggestion = first
            .and_then(|first| {
                first
                    .denial
                    .as_ref()?
                    .suggestion(first.text.as_deref()?, policy.switches())
            })
            .map(|path| format!("write `{}`", path.as_str()))
            .or_else(|| hints::for_dot(first?.text.as_deref()?, reason));
        let mut decision = self.denied(reason, message);
        decision.reasons = reasons;
        decision.instead = suggestion;
        decision
    }

    fn take(&mut self, policy: &CompiledPolicy, judged: &judge::Judged, paths: &[paths::Decided]) {
        self.effect = judged.effect;
        self.reasons.clone_from(&judged.reasons);
        self.message.clone_from(&judged.message);
        self.instead.clone_from(&judged.instead);
        self.rules = judged
            .rules
            .iter()
            .filter_map(|id| applied_rule(policy, *id))
            .collect();
        self.approvals = judged
            .missing
            .iter()
            .filter_map(|nth| approval::needed(policy, *nth))
            .collect();
        self.findings = paths
            .iter()
            .enumerate()
            .map(|(nth, path)| Finding {
                arg: path.argument.clone(),
                path: path.text.clone(),
                canonical: Some(path.canonical.as_str().to_owned()),
                reason: judged.of_path.get(nth).copied().flatten(),
                offset: None,
                tree_not_consulted: judged.tree_matters.get(nth).copied().unwrap_or_default(),
                hard_links: None,
            })
            .collect();
    }

    /// Allow, ask or deny.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Why it is not simply an allow.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reasons.first().copied()
    }

    /// Every reason found at the step that decided.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// The decision in one line, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Advice on what to do instead.
    #[must_use]
    pub fn instead(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// The rule that decided, and others that had a part in it.
    #[must_use]
    pub fn rules(&self) -> &[AppliedRule] {
        &self.rules
    }

    /// The request as it was understood.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Results for each path.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The approvals that are missing.
    #[must_use]
    pub fn approvals(&self) -> &[ApprovalNeeded] {
        &self.approvals
    }

    /// The grants that allowed it, and that a run of it spends.
    #[must_use]
    pub fn grants(&self) -> &[GrantUse] {
        &self.grants
    }

    /// The request without its spelling; none if it could not be understood.
    #[must_use]
    pub fn exact(&self) -> Option<&Exact> {
        self.exact.as_ref()
    }

    /// Which policy decided.
    #[must_use]
    pub fn policy(&self) -> &PolicyRef {
        &self.policy
    }

    /// State of the disk's part in the decision.
    #[must_use]
    pub fn disk(&self) -> Disk {
        self.disk
    }

    /// The terms of an allowed run.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        self.plan.as_ref().map(|plan| &plan.terms)
    }

    /// The command line of an allowed request: the program's name and the rendered words. None if the
    /// tool has no program.
    #[must_use]
    pub fn argv(&self) -> Option<Vec<&str>> {
        let plan = self.plan.as_ref()?;
        let program = plan.program.as_deref()?;
        Some(
            std::iter::once(program)
                .chain(plan.words.iter().map(String::as_str))
                .collect(),
        )
    }

    /// The approvals that applying rules were granted by.
    #[must_use]
    pub fn granted(&self) -> &[String] {
        self.plan
            .as_ref()
            .map_or(&[], |plan| plan.granted.as_slice())
    }

    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Says that the disk agrees.
    #[must_use]
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what the disk says asks for it")
    )]
    pub(crate) fn on_disk(mut self, names: &[u32]) -> Decision {
        self.disk = Disk::Agrees;
        for (nth, finding) in self.findings.iter_mut().enumerate() {
            finding.tree_not_consulted = false;
            finding.hard_links = names.get(nth).copied().filter(|names| *names > 1);
        }
        self
    }
}

fn applied_rule(policy: &CompiledPolicy, id: RuleId) -> Option<AppliedRule> {
    let rule = policy.rule(id)?;
    Some(AppliedRule {
        id: rule.id.clone(),
        at: rule.at.map(|at| policy.place(at)),
        widens: rule.widens,
    })
}

fn as_list(value: &Value) -> Value {
    match value {
        Value::Flag(_) | Value::List(_) => value.clone(),
        Value::Null | Value::Int(_) | Value::Text(_) => Value::List(vec![value.clone()]),
    }
}

impl Asked {
    /// Fills in what a command line turned out to mean.
    fn understood(
        &mut self,
        tool: &crate::policy::model::Tool,
        action: &crate::policy::model::Action,
        call: &Call,
    ) {
        self.tool = Some(tool.name.clone());
        self.action = Some(action.name.clone());
        if self.argv.is_none() {
            return;
        }
        for (slot, given) in &call.given {
            let Some(argument) = call::argument(tool, action, *slot) else {
                continue;
            };
            let value = match given {
                call::Given::Flag | call::Given::Bare => Value::Flag(true),
                call::Given::Text(text) => Value::from(text.as_str()),
                call::Given::Path(bytes) => Value::Text(bytes.clone()),
                call::Given::NoPath => Value::Null,
            };
            match self
                .args
                .iter_mut()
                .find(|(name, _)| *name == argument.name)
            {
                Some((_, Value::List(values))) => values.push(value),
                Some((_, other)) => *other = Value::List(vec![other.clone(), value]),
                None if value == Value::Flag(true) => {
                    self.args.push((argument.name.clone(), value))
                }
                None => self
                    .args
                    .push((argument.name.clone(), Value::List(vec![value]))),
            }
        }
    }
}
