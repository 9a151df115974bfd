//! Judgement of the rules: for each path, and for all of them together.
//!
//! Over all rules that match a path: deny before ask before allow. An ask is lifted by its approval;
//! an allow whose approval is missing takes nothing away from another allow. The request gets the
//! strictest answer of its paths.

#![forbid(unsafe_code)]

use super::approval::{For, is_granted, needed};
use super::call::Misfit;
use super::paths::{CWD, Decided};
use super::{Context, Effect, Request};
use crate::path::CanonicalPath;
use crate::policy::glob::Pattern;
use crate::policy::matcher::ScopeId;
use crate::policy::model::{Access, ArgumentKind, Creates, RuleEffect, Spelling, Tree};
use crate::policy::{CompiledPolicy, CompiledRule, RuleId};
use crate::reason::Reason;

/// Judgement of the rules on all paths of a request.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) effect: Effect,
    pub(super) reasons: Vec<Reason>,
    pub(super) message: String,
    pub(super) instead: Option<String>,
    /// The deciding rule first.
    pub(super) rules: Vec<RuleId>,
    /// Approvals that would make it an allow.
    pub(super) missing: Vec<usize>,
    /// For each path, why it is not allowed.
    pub(super) of_path: Vec<Option<Reason>>,
    /// For each path, whether rules could deny something below it.
    pub(super) tree_matters: Vec<bool>,
    judgements: Vec<Judgement>,
}

/// The rules that match one path, by what they do.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    protected: bool,
    pub(crate) denies: Vec<RuleId>,
    /// Asks that are not lifted.
    pub(crate) asks: Vec<RuleId>,
    /// Allows that need no approval.
    allows: Vec<RuleId>,
    /// Allows whose approval is granted.
    granted: Vec<RuleId>,
    /// Allows whose approval is missing.
    ungranted: Vec<RuleId>,
    /// Some allow or ask speaks of this action and actor.
    is_spoken_of: bool,
}

impl Judgement {
    pub(crate) fn effect(&self) -> Effect {
        if self.denies.is_empty() && self.has_allow() {
            let is_allowed = !self.allows.is_empty() || !self.granted.is_empty();
            if self.asks.is_empty() && is_allowed {
                Effect::Allow
            } else {
                Effect::Ask
            }
        } else {
            Effect::Deny
        }
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        match self.effect() {
            Effect::Allow => None,
            Effect::Ask => Some(Reason::ApprovalRequired),
            Effect::Deny if self.protected => Some(Reason::SelfProtected),
            Effect::Deny if !self.denies.is_empty() => Some(Reason::DeniedByRule),
            Effect::Deny if self.is_spoken_of => Some(Reason::PathOutsideAllowedScope),
            Effect::Deny => Some(Reason::NoRuleAllows),
        }
    }

    fn has_allow(&self) -> bool {
        !(self.allows.is_empty() && self.granted.is_empty() && self.ungranted.is_empty())
    }

    /// The allows that apply: those without approval if there are any, so that no grant is spent.
    fn applying(&self) -> &[RuleId] {
        if self.allows.is_empty() {
            &self.granted
        } else {
            &self.allows
        }
    }

    /// The rules that made it this effect.
    pub(crate) fn deciding(&self) -> Vec<RuleId> {
        match self.effect() {
            Effect::Allow => self.applying().to_vec(),
            Effect::Ask if !self.asks.is_empty() => self.asks.clone(),
            Effect::Ask => self.ungranted.clone(),
            Effect::Deny => self.denies.clone(),
        }
    }
}

pub(super) fn judge(
    policy: &CompiledPolicy,
    tool: u32,
    action: u32,
    paths: &[Decided],
    actor: &str,
    context: &Context,
) -> Judged {
    let judgements: Vec<Judgement> = if paths.is_empty() {
        vec![judge_pathless(policy, tool, action, actor, context)]
    } else {
        paths
            .iter()
            .map(|path| {
                judge_path(
                    policy,
                    tool,
                    action,
                    &path.argument,
                    path.access,
                    &path.canonical,
                    actor,
                    context,
                )
            })
            .collect()
    };
    let effect = judgements
        .iter()
        .map(Judgement::effect)
        .max()
        .unwrap_or(Effect::Deny);
    let mut judged = Judged {
        effect,
        reasons: Vec::new(),
        message: String::new(),
        instead: None,
        rules: Vec::new(),
        missing: Vec::new(),
        of_path: judgements.iter().map(Judgement::reason).collect(),
        tree_matters: paths
            .iter()
            .map(|path| tree_matters(policy, tool, action, path))
            .collect(),
        judgements,
    };
    if paths.is_empty() {
        judged.of_path = Vec::new();
    }
    // Protection is a step of its own before the rules: if it decided, it is the reason.
    let is_protected = effect == Effect::Deny
        && judged
            .judgements
            .iter()
            .any(|judgement| judgement.protected);
    let decides = |judgement: &&Judgement| {
        judgement.effect() == effect && (!is_protected || judgement.protected)
    };
    for judgement in judged.judgements.iter().filter(decides) {
        for id in judgement.deciding() {
            if !judged.rules.contains(&id) {
                judged.rules.push(id);
            }
        }
        judged.reasons.extend(
            judgement
                .reason()
                .filter(|reason| !judged.reasons.contains(reason)),
        );
    }
    judged.rules.sort_unstable();
    if effect == Effect::Ask {
        judged.missing = missing_approvals(policy, &judged.rules);
    }
    let nth = judged
        .judgements
        .iter()
        .position(|judgement| decides(&judgement))
        .unwrap_or(0);
    let about = About {
        policy,
        tool,
        action,
        path: paths.get(nth),
        actor,
    };
    if let Some(judgement) = judged.judgements.get(nth) {
        judged.message = about.message(judgement, &judged);
        judged.instead = about.instead(judgement);
    }
    judged
}

/// Asks the rules about one path.
#[expect(
    clippy::too_many_arguments,
    reason = "they are what a decision about a path depends on, no more and no less"
)]
pub(crate) fn judge_path(
    policy: &CompiledPolicy,
    tool: u32,
    action: u32,
    argument: &str,
    access: Access,
    path: &CanonicalPath,
    actor: &str,
    context: &Context,
) -> Judgement {
    let mut found: Vec<RuleId> = Vec::new();
    let mut add = |id: RuleId| {
        if !found.contains(&id) {
            found.push(id);
        }
    };
    policy
        .matcher()
        .touching(tool, action, argument, path, &mut add);
    // A rule without a scope: a deny or ask means the action outright; an allow says nothing about
    // paths, and covers the one that no argument names.
    for id in policy.matcher().outright(tool, action) {
        let is_allow = policy
            .rule(id)
            .is_some_and(|rule| rule.effect == RuleEffect::Allow);
        if !is_allow || argument == CWD {
            add(id);
        }
    }
    sorted(
        policy,
        found,
        tool,
        action,
        Some((access, path)),
        actor,
        context,
    )
}

fn judge_pathless(
    policy: &CompiledPolicy,
    tool: u32,
    action: u32,
    actor: &str,
    context: &Context,
) -> Judgement {
    let is_meant = |id: &RuleId| {
        policy
            .rule(*id)
            .is_some_and(|rule| rule.effect == RuleEffect::Allow || rule.scope.is_none())
    };
    let found = policy
        .matcher()
        .about(tool, action)
        .filter(is_meant)
        .collect();
    sorted(policy, found, tool, action, None, actor, context)
}

fn sorted(
    policy: &CompiledPolicy,
    mut found: Vec<RuleId>,
    tool: u32,
    action: u32,
    at: Option<(Access, &CanonicalPath)>,
    actor: &str,
    context: &Context,
) -> Judgement {
    let access = at.map(|(access, _)| access);
    let what = at.map_or(For::Nothing, |(_, path)| For::Path(path));
    found.sort_unstable();
    let mut judgement = Judgement::default();
    for id in found {
        let Some(rule) = policy
            .rule(id)
            .filter(|rule| rule.is_for(actor) && is_of_access(rule, access))
        else {
            continue;
        };
        let granted = rule.approval.map(|nth| {
            policy
                .approval(nth)
                .is_some_and(|approval| is_granted(approval, rule, what, context))
        });
        match rule.effect {
            RuleEffect::Deny => {
                judgement.protected |= rule.at.is_none();
                judgement.denies.push(id);
            }
            RuleEffect::Ask if granted != Some(true) => judgement.asks.push(id),
            RuleEffect::Ask => {}
            RuleEffect::Allow if rule.has_lapsed(context.now) => {}
            RuleEffect::Allow => match granted {
                None => judgement.allows.push(id),
                Some(true) => judgement.granted.push(id),
                Some(false) => judgement.ungranted.push(id),
            },
        }
    }
    if judgement.protected {
        judgement
            .denies
            .retain(|id| policy.rule(*id).is_some_and(|rule| rule.at.is_none()));
    }
    if judgement.effect() == Effect::Deny {
        judgement.is_spoken_of = speaking(policy, tool, action, actor, context)
            .next()
            .is_some();
    }
    judgement
}

fn is_of_access(rule: &CompiledRule, access: Option<Access>) -> bool {
    match (&rule.access, access) {
        (None, _) => true,
        (Some(accesses), Some(access)) => accesses.contains(&access),
        (Some(_), None) => false,
    }
}

/// The allows and asks that are about this action and actor, whatever their scope.
fn speaking<'p>(
    policy: &'p CompiledPolicy,
    tool: u32,
    action: u32,
    actor: &'p str,
    context: &'p Context,
) -> impl Iterator<Item = &'p CompiledRule> {
    let about = policy
        .matcher()
        .about(tool, action)
        .filter_map(|id| policy.rule(id));
    about.filter(move |rule| {
        rule.effect != RuleEffect::Deny
            && rule.is_for(actor)
            && !(rule.effect == RuleEffect::Allow && rule.has_lapsed(context.now))
    })
}

fn missing_approvals(policy: &CompiledPolicy, rules: &[RuleId]) -> Vec<usize> {
    let mut missing = Vec::new();
    for nth in rules.iter().filter_map(|id| policy.rule(*id)?.approval) {
        if !missing.contains(&nth) {
            missing.push(nth);
        }
    }
    missing
}

/// Returns true if the path means what is below it, and a protected name, a deny or an ask with a scope
/// could speak about that.
fn tree_matters(policy: &CompiledPolicy, tool: u32, action: u32, path: &Decided) -> bool {
    if path.tree == Tree::Names {
        return path.creates == Creates::Index || matches!(path.creates, Creates::From(_));
    }
    let protected = &policy.switches().protected;
    let keeps_out = |rule: &CompiledRule| {
        rule.effect != RuleEffect::Allow
            && rule.scope.is_some()
            && is_of_access(rule, Some(path.access))
    };
    !protected
        .iter()
        .all(|name| path.leaves_out(name.as_bytes()))
        || policy
            .matcher()
            .about(tool, action)
            .filter_map(|id| policy.rule(id))
            .any(keeps_out)
}

impl Judged {
    /// The allows that apply to any path, once each, in the order of the document.
    pub(super) fn applied(&self) -> Vec<RuleId> {
        let mut rules: Vec<RuleId> = self
            .judgements
            .iter()
            .flat_map(|judgement| judgement.applying())
            .copied()
            .collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The approvals that the applying rules were granted by.
    pub(super) fn granted_approvals(&self, policy: &CompiledPolicy) -> Vec<String> {
        let approvals = missing_approvals(policy, &self.applied());
        approvals
            .into_iter()
            .filter_map(|nth| Some(policy.approval(nth)?.name.clone()))
            .collect()
    }
}

/// Returns how to give the argument that a request lacks: as which option, or within which patterns.
pub(super) fn how_to_give(
    policy: &CompiledPolicy,
    misfit: &Misfit,
    request: &Request,
    actor: &str,
) -> Option<String> {
    let (tool, action, argument) = misfit.missing.as_ref()?;
    let (tool, action) = (*tool, *action);
    let cwd = request.cwd.as_deref().unwrap_or(b".");
    let here = CanonicalPath::parse(cwd, policy.switches()).ok()?;
    let (found, of_action, number) = policy.action(tool, action)?;
    let mut declared = found.arguments(of_action);
    let declared = declared.find(|declared| declared.name == *argument)?;
    match (&declared.spelling, &declared.kind) {
        (Spelling::Option { names, .. }, _) => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            Some(format!("give it with {}", names.join(" or ")))
        }
        (Spelling::Positional, ArgumentKind::Path(_)) => {
            let about = About {
                policy,
                tool: u32::try_from(tool).ok()?,
                action: number,
                path: None,
                actor,
            };
            let allowed = about.allowed_patterns(argument);
            if allowed.is_empty() {
                return None;
            }
            let is_here = |text: &&str| {
                let pattern = Pattern::parse(text);
                *text == "**" || pattern.is_ok_and(|pattern| pattern.matches(here.as_str()))
            };
            let here = match allowed.iter().any(is_here) {
                true => "; `.` is the directory that the line starts in",
                false => "",
            };
            let patterns = listed(&allowed);
            Some(format!("name it: the policy allows {patterns}{here}"))
        }
        (Spelling::Positional | Spelling::Flag { .. }, _) => None,
    }
}

/// Patterns in words: of a thousand, three are shown.
fn listed(all: &[&str]) -> String {
    let shown: Vec<String> = all.iter().take(3).map(|text| format!("`{text}`")).collect();
    match all.len() {
        0 => "no path at all".to_owned(),
        1..=3 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), more.saturating_sub(3)),
    }
}

/// Words for a judgement.
struct About<'a> {
    policy: &'a CompiledPolicy,
    tool: u32,
    action: u32,
    path: Option<&'a Decided>,
    actor: &'a str,
}

/// The ways out where a line may not start in a directory.
const START_AT_THE_TOP: &str = "start it at the top of the workspace (change there, or say `--cwd .`, with paths from there), or let a rule allow where it starts: `within: {cwd: SCOPE}`";

impl About<'_> {
    fn message(&self, judgement: &Judgement, judged: &Judged) -> String {
        let action = self.action_name();
        let first = judged.rules.first().and_then(|id| self.policy.rule(*id));
        let path = self.path.map(|path| match path.argument.as_str() {
            CWD => format!("starting in `{}`", path.shown()),
            _ => format!("path `{}`", path.shown()),
        });
        let subject = path.unwrap_or_else(|| format!("action {action}"));
        match (judgement.reason(), first) {
            (None, Some(rule)) => format!("rule `{}` allows {action}", rule.id),
            (Some(Reason::SelfProtected), _) => {
                format!("{subject} is protected from being written by anyone")
            }
            (Some(Reason::DeniedByRule), Some(rule)) => match &rule.reason {
                Some(why) => format!(
                    "rule `{}` denies {subject}: {}",
                    rule.id,
                    why.trim_end_matches('.')
                ),
                None => format!("rule `{}` denies {subject}", rule.id),
            },
            (Some(Reason::ApprovalRequired), Some(rule)) => {
                let needs: Vec<_> = judged
                    .missing
                    .iter()
                    .filter_map(|nth| needed(self.policy, *nth))
                    .collect();
                let Some(first) = needs.first() else {
                    return format!("rule `{}` asks a person about {subject}", rule.id);
                };
                let reference = first
                    .reference
                    .as_ref()
                    .map(|text| format!(" (see {text})"))
                    .unwrap_or_default();
                let unnamed = self.unnamed().map(|what| format!(": {what}"));
                let unnamed = unnamed.unwrap_or_default();
                format!(
                    "{action} needs the approval `{}`{reference}{unnamed}",
                    first.name
                )
            }
            (Some(Reason::PathOutsideAllowedScope), _) => {
                format!(
                    "{subject} is outside what the policy allows {action}: {}",
                    self.silent_rule().unwrap_or_else(|| {
                        let argument = self.path.map_or("", |path| path.argument.as_str());
                        listed(&self.allowed_patterns(argument))
                    })
                )
            }
            _ => format!("no rule allows {action} to `{}`", self.actor),
        }
    }

    fn instead(&self, judgement: &Judgement) -> Option<String> {
        let told = |rule: &CompiledRule| rule.instead.clone();
        match judgement.effect() {
            Effect::Allow => None,
            Effect::Ask => {
                let missing = missing_approvals(self.policy, &judgement.deciding());
                match missing.first() {
                    Some(nth) => needed(self.policy, *nth).map(|need| need.how),
                    None => self.unanswered(judgement),
                }
            }
            Effect::Deny if judgement.denies.is_empty() && self.is_about_cwd() => {
                Some(START_AT_THE_TOP.to_owned())
            }
            Effect::Deny if judgement.denies.is_empty() => {
                let context = Context::default();
                speaking(self.policy, self.tool, self.action, self.actor, &context)
                    .find_map(told)
                    .or_else(|| Some(format!("this is a person's: {}", self.unnamed()?)))
            }
            Effect::Deny => judgement
                .denies
                .iter()
                .filter_map(|id| self.policy.rule(*id))
                .find_map(told),
        }
    }

    /// Description of the files that the action writes whose names nobody can tell.
    fn unnamed(&self) -> Option<&str> {
        self.policy
            .declared(self.tool, self.action)?
            .unnamed
            .as_deref()
    }

    fn is_about_cwd(&self) -> bool {
        self.path.is_some_and(|path| path.argument == CWD)
    }

    /// The rule that allows the action and names no scope for the argument, if there is no better one.
    fn silent_rule(&self) -> Option<String> {
        let argument = &self.path?.argument;
        let context = Context::default();
        let mut silent = None;
        for rule in speaking(self.policy, self.tool, self.action, self.actor, &context) {
            match self.policy.scopes_for(rule, self.action, argument) {
                Some(_) => return None,
                None if rule.effect == RuleEffect::Allow => silent = silent.or(Some(rule)),
                None => {}
            }
        }
        let rule = silent?;
        Some(format!(
            "rule `{}` names no scope for `{argument}` (`within: {{{argument}: SCOPE}}` would)",
            rule.id
        ))
    }

    /// Advice for an ask rule without an approval. Where lictor runs the program, a person's yes can only
    /// reach it as an approval.
    fn unanswered(&self, judgement: &Judgement) -> Option<String> {
        let tool = usize::try_from(self.tool).ok()?;
        self.policy.tools().get(tool)?.program.as_ref()?;
        let rule = judgement
            .asks
            .first()
            .and_then(|id| self.policy.rule(*id))?;
        Some(format!(
            "nothing in this policy answers rule `{}`: give it an `approval`, for example one with `grant: true`",
            rule.id
        ))
    }

    fn allowed_patterns(&self, argument: &str) -> Vec<&str> {
        let context = Context::default();
        let mut all: Vec<&str> = Vec::new();
        for rule in speaking(self.policy, self.tool, self.action, self.actor, &context) {
            let scopes = self.policy.scopes_for(rule, self.action, argument);
            all.extend(self.patterns(scopes.unwrap_or_default()));
        }
        all.dedup();
        all
    }

    fn patterns(&self, scopes: &[ScopeId]) -> impl Iterator<Item = &str> {
        let known = self.policy.scopes();
        let scopes = scopes
            .iter()
            .filter_map(|id| known.get(usize::try_from(id.0).ok()?));
        scopes
            .flat_map(|scope| &scope.include)
            .map(|pattern| pattern.as_str())
    }

    fn action_name(&self) -> String {
        self.policy.action_name(self.tool, self.action)
    }
}
