//! Why a decision is what it is: each rule with the first thing about it that does not fit, and the
//! allow rule that came nearest, with the segment of the path that failed.
//!
//! The decision itself comes from [`decide`]; what is added here is read off the same rules, slowly and
//! one by one, for people.

#![forbid(unsafe_code)]

use super::approval::{For, is_granted};
use super::request::Form;
use super::{Context, Decision, Effect, Request, decide, grammar, named, paths};
use crate::path::CanonicalPath;
use crate::policy::glob::{Case, Pattern};
use crate::policy::model::RuleEffect;
use crate::policy::{CompiledPolicy, CompiledRule, Place};

/// A decision with what every rule had to do with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Every rule of the policy, in the order of the document. Compiled-in ones only where they decided.
    pub rules: Vec<RuleView>,
    /// The allow rule that came nearest, for a denial.
    pub nearest: Option<RuleView>,
}

/// One rule and what it had to do with a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleView {
    /// Its id.
    pub id: String,
    /// Where it stands; none if it is compiled in.
    pub at: Option<Place>,
    /// `allow`, `ask` or `deny`.
    pub effect: &'static str,
    /// Conditions that fit and that do not.
    pub outcome: RuleOutcome,
}

/// Part that a rule had in a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleOutcome {
    /// It matches.
    Applies,
    /// It would match; its approval is missing.
    NeedsApproval(String),
    /// An ask that its approval lifts.
    Lifted(String),
    /// It is about other actions.
    OtherAction,
    /// It is about other actors.
    OtherActor(Vec<String>),
    /// It counted until a day that is over.
    Lapsed,
    /// It is about another access.
    OtherAccess,
    /// It names scopes for some arguments, and this is none of them.
    OtherArgument(String),
    /// It denies or asks about paths, and the request has none.
    NoPath,
    /// The path is not in its scopes.
    Outside(NearMiss),
    /// The path is in its scope, and the scope excludes it.
    Excluded {
        /// The path.
        path: String,
        /// The pattern that excludes it.
        pattern: String,
    },
    /// The request was denied before rules were asked.
    NotAsked,
}

/// The longest part of a path that fits a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearMiss {
    /// The path.
    pub path: String,
    /// The pattern that it came furthest in; none if the scope has none.
    pub pattern: Option<String>,
    /// Number of segments that fit.
    pub fitting: usize,
    /// The segment of the path that does not fit; none if the path ends too early.
    pub found: Option<String>,
    /// The segment of the pattern that it does not fit; none if the pattern ends before the path.
    pub wanted: Option<String>,
}

/// Decides a request and says why.
///
/// ```
/// use lictor::decision::{Context, Request, RuleOutcome, explain};
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: example
/// use: lictor/files@1
/// scopes: {docs: \"docs/**\"}
/// rules:
///   - {id: read-docs, allow: filesystem.read_file, within: docs}
/// ",
/// )?;
/// let request = Request::named("filesystem", "read_file").with_arg("path", "docs_old/a.md");
/// let explanation = explain(&policy, &request, &Context::new("me"));
/// let RuleOutcome::Outside(miss) = &explanation.nearest.unwrap().outcome else { panic!() };
/// assert_eq!(miss.found.as_deref(), Some("docs_old"));
/// assert_eq!(miss.wanted.as_deref(), Some("docs"));
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[must_use]
pub fn explain(policy: &CompiledPolicy, request: &Request, context: &Context) -> Explanation {
    let decision = decide(policy, request, context);
    let asked = call_of(policy, request);
    let path = asked.as_ref().and_then(|(_, paths)| {
        let fails = |nth: &usize| {
            decision
                .findings()
                .get(*nth)
                .is_some_and(|finding| finding.reason.is_some())
        };
        let nth = (0..paths.len()).find(fails).unwrap_or(0);
        paths.get(nth)
    });
    let view = |rule: &CompiledRule| RuleView {
        id: rule.id.clone(),
        at: rule.at.map(|at| policy.place(at)),
        effect: rule.effect.word(),
        outcome: match &asked {
            Some(((tool, action), _)) => {
                outcome(policy, rule, *tool, *action, path, &decision, context)
            }
            None => RuleOutcome::NotAsked,
        },
    };
    let is_shown = |rule: &CompiledRule| {
        rule.at.is_some() || decision.rules().iter().any(|applied| applied.id == rule.id)
    };
    let rules: Vec<RuleView> = policy
        .rules()
        .map(|(_, rule)| rule)
        .filter(|rule| is_shown(rule))
        .map(view)
        .collect();
    let nearest = match decision.effect() {
        Effect::Allow | Effect::Ask => None,
        Effect::Deny => {
            let allows = rules.iter().filter(|rule| rule.effect == "allow");
            let near = allows.filter_map(|rule| Some((nearness(&rule.outcome)?, rule)));
            // The first of those that came equally near.
            near.rev()
                .max_by_key(|(nearness, _)| *nearness)
                .map(|(_, rule)| rule.clone())
        }
    };
    Explanation {
        decision,
        rules,
        nearest,
    }
}

/// Nearness of a rule to the decision; none if it is about something else.
fn nearness(outcome: &RuleOutcome) -> Option<usize> {
    const PATH: usize = 10;
    match outcome {
        RuleOutcome::OtherAction
        | RuleOutcome::NotAsked
        | RuleOutcome::Applies
        | RuleOutcome::Lifted(_) => None,
        RuleOutcome::OtherActor(_) => Some(1),
        RuleOutcome::OtherAccess | RuleOutcome::OtherArgument(_) | RuleOutcome::NoPath => Some(2),
        RuleOutcome::Outside(miss) => Some(miss.fitting.saturating_add(PATH)),
        RuleOutcome::Excluded { .. } | RuleOutcome::Lapsed | RuleOutcome::NeedsApproval(_) => {
            Some(usize::MAX)
        }
    }
}

fn outcome(
    policy: &CompiledPolicy,
    rule: &CompiledRule,
    tool: u32,
    action: u32,
    path: Option<&paths::Decided>,
    decision: &Decision,
    context: &Context,
) -> RuleOutcome {
    if !rule
        .selectors
        .iter()
        .any(|selector| selector.covers(tool, action))
    {
        return RuleOutcome::OtherAction;
    }
    if !rule.is_for(&decision.asked().actor) {
        return RuleOutcome::OtherActor(rule.actors.clone().unwrap_or_default());
    }
    let is_about_paths = rule.scope.is_some() || rule.access.is_some();
    if path.is_none() && is_about_paths && rule.effect != RuleEffect::Allow {
        return RuleOutcome::NoPath;
    }
    if let Some(accesses) = &rule.access
        && !path.is_some_and(|path| accesses.contains(&path.access))
    {
        return RuleOutcome::OtherAccess;
    }
    if rule.scope.is_some()
        && let Some(path) = path
        && let Some(failed) = outside(policy, rule, action, path)
    {
        return failed;
    }
    if rule.effect == RuleEffect::Allow && rule.has_lapsed(context.now) {
        return RuleOutcome::Lapsed;
    }
    let what = path.map_or(For::Nothing, |path| For::Path(&path.canonical));
    match rule.approval.and_then(|nth| policy.approval(nth)) {
        Some(approval) if !is_granted(approval, rule, what, context) => {
            RuleOutcome::NeedsApproval(approval.name.clone())
        }
        Some(approval) if rule.effect == RuleEffect::Ask => {
            RuleOutcome::Lifted(approval.name.clone())
        }
        _ => RuleOutcome::Applies,
    }
}

/// Why the path is not in the rule's scopes; none if it is.
fn outside(
    policy: &CompiledPolicy,
    rule: &CompiledRule,
    action: u32,
    path: &paths::Decided,
) -> Option<RuleOutcome> {
    let Some(scopes) = policy.scopes_for(rule, action, &path.argument) else {
        return Some(RuleOutcome::OtherArgument(path.argument.clone()));
    };
    let folds = rule.effect != RuleEffect::Allow;
    let mut best: Option<NearMiss> = None;
    for id in scopes {
        let Some(scope) = usize::try_from(id.0)
            .ok()
            .and_then(|nth| policy.scopes().get(nth))
        else {
            continue;
        };
        let holds = |pattern: &&Pattern| {
            pattern.matches(&path.canonical) || folds && pattern.matches_folded(&path.canonical)
        };
        if scope.include.iter().any(|pattern| holds(&pattern)) {
            match scope
                .exclude
                .iter()
                .find(|pattern| pattern.matches(&path.canonical))
            {
                None => return None,
                Some(pattern) => {
                    let (path, pattern) = (path.canonical.to_string(), pattern.as_str().to_owned());
                    return Some(RuleOutcome::Excluded { path, pattern });
                }
            }
        }
        for pattern in &scope.include {
            let miss = near_miss(pattern, &path.canonical);
            if best
                .as_ref()
                .is_none_or(|known| miss.fitting > known.fitting)
            {
                best = Some(miss);
            }
        }
    }
    let nothing = || NearMiss {
        path: path.canonical.to_string(),
        pattern: None,
        fitting: 0,
        found: None,
        wanted: None,
    };
    Some(RuleOutcome::Outside(best.unwrap_or_else(nothing)))
}

/// The first segment that does not fit. Behind a `**` any number of segments may stand, so there the
/// end of the path is held against the end of the pattern.
fn near_miss(pattern: &Pattern, path: &CanonicalPath) -> NearMiss {
    let mut wanted = pattern.segments().iter().zip(pattern.as_str().split('/'));
    let mut found = path.segments();
    let mut miss = NearMiss {
        path: path.to_string(),
        pattern: Some(pattern.as_str().to_owned()),
        fitting: 0,
        found: None,
        wanted: None,
    };
    loop {
        match (wanted.next(), found.next()) {
            (Some((_, "**")), _) => {
                miss.wanted = pattern
                    .as_str()
                    .rsplit('/')
                    .find(|text| *text != "**")
                    .map(str::to_owned);
                miss.found = path.segments().next_back().map(str::to_owned);
                return miss;
            }
            (Some((segment, _)), Some(name)) if segment.matches(name.as_bytes(), Case::Exact) => {
                miss.fitting = miss.fitting.saturating_add(1);
            }
            (segment, name) => {
                miss.wanted = segment.map(|(_, text)| text.to_owned());
                miss.found = name.map(str::to_owned);
                return miss;
            }
        }
    }
}

impl RuleOutcome {
    /// The outcome in one line.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            RuleOutcome::Applies => "applies".to_owned(),
            RuleOutcome::NeedsApproval(name) => format!("needs the approval `{name}`"),
            RuleOutcome::Lifted(name) => format!("lifted by the approval `{name}`"),
            RuleOutcome::OtherAction => "is about other actions".to_owned(),
            RuleOutcome::OtherActor(patterns) => format!("is for {}", patterns.join(", ")),
            RuleOutcome::Lapsed => "has lapsed".to_owned(),
            RuleOutcome::OtherAccess => "is about another access".to_owned(),
            RuleOutcome::OtherArgument(name) => format!("names no scope for `{name}`"),
            RuleOutcome::NoPath => "is about paths, and the request has none".to_owned(),
            RuleOutcome::Outside(miss) => miss.text(),
            RuleOutcome::Excluded { path, pattern } => {
                format!("its scope excludes `{path}` by `{pattern}`")
            }
            RuleOutcome::NotAsked => "was not asked".to_owned(),
        }
    }
}

impl NearMiss {
    fn text(&self) -> String {
        let Some(pattern) = &self.pattern else {
            return "its scope holds no path".to_owned();
        };
        let nth = self.fitting.saturating_add(1);
        let is_anywhere = pattern.split('/').nth(self.fitting) == Some("**");
        match (&self.found, &self.wanted) {
            (Some(found), Some(wanted)) if is_anywhere && pattern.ends_with("**") => {
                format!("`{pattern}` wants `{wanted}` on the way to `{found}`")
            }
            (Some(found), Some(wanted)) if is_anywhere => {
                format!("`{pattern}` wants `{wanted}` where the path ends in `{found}`")
            }
            (Some(found), Some(wanted)) => {
                format!("`{pattern}` wants `{wanted}` where segment {nth} is `{found}`")
            }
            (Some(found), None) => format!("`{pattern}` ends before segment {nth}, `{found}`"),
            (None, Some(wanted)) => format!("`{pattern}` wants `{wanted}` where the path ends"),
            (None, None) => format!("`{pattern}` does not match"),
        }
    }
}

/// The action and the paths, if the request came as far as the rules.
fn call_of(
    policy: &CompiledPolicy,
    request: &Request,
) -> Option<((u32, u32), Vec<paths::Decided>)> {
    let call = match &request.form {
        Form::Argv(words) => grammar::parse(policy, words).ok()?,
        Form::Named { tool, action, args } => named::parse(policy, tool, action, args).ok()?,
    };
    let (tool, action, number) = policy.action(call.tool, call.action)?;
    let read = paths::read(policy, tool, action, &call, request);
    if !read.refused.is_empty() {
        return None;
    }
    Some(((u32::try_from(call.tool).ok()?, number), read.decided))
}
