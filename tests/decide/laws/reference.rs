//! The decision as the specification words it, step by step and rule by rule, over the model of
//! `policy.rs`. Nothing of the product's decision is used: paths are read by its lexical layer and
//! single patterns matched by it, both of which have tests of their own.

use std::collections::BTreeSet;

use lictor::path::{CanonicalPath, Dot, Switches, Syntax, lexical};
use lictor::policy::glob::Pattern;
use lictor::reason::Reason;

use super::policy::{Access, Approval, Effect, Paths, Policy, Rule, Terms};
use super::request::{Ask, Call, Given};

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) effect: Effect,
    pub(super) reasons: Vec<Reason>,
    /// The rules that decided, by id.
    pub(super) rules: BTreeSet<String>,
    /// Approvals that are missing, by number.
    pub(super) missing: BTreeSet<usize>,
    /// Argument, canonical form and reason of every path, if all of them could be read.
    pub(super) findings: Vec<(&'static str, String, Option<Reason>)>,
    /// For an allow: how it is run, the approvals it was granted by, and what is executed.
    pub(super) plan: Option<Plan>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) terms: Combined,
    pub(super) granted: BTreeSet<usize>,
    pub(super) argv: Option<Vec<String>>,
}

/// The terms of a run, gaps filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Combined {
    pub(super) timeout_s: u64,
    pub(super) output_kib: u64,
    pub(super) processes: Option<u64>,
    pub(super) keep: &'static str,
    pub(super) containment: &'static str,
    pub(super) leaks: &'static str,
    pub(super) stop: &'static str,
    pub(super) set: BTreeSet<(String, String)>,
    /// Of [`VARIABLES`], those that are passed on.
    pub(super) inherited: Vec<&'static str>,
    /// Something is to be enforced that this version cannot enforce.
    pub(super) is_confined: bool,
}

/// Variables that the patterns of `policy.rs` may pass on or not.
pub(super) const VARIABLES: [&str; 4] = ["AWS_KEY", "AWS_REGION", "CI", "OTHER"];

/// One path of a request, read.
struct Read {
    argument: &'static str,
    access: Access,
    canonical: CanonicalPath,
    /// The word that is passed on; none for a path that is implied.
    rendered: Option<String>,
}

/// What the rules say about one path, or about a request without one.
struct Judged<'p> {
    effect: Effect,
    reason: Option<Reason>,
    deciding: Vec<&'p Rule>,
}

/// Steps 1 to 5.
pub(super) fn decide(policy: &Policy, ask: &Ask, given: &Given) -> Verdict {
    if matches!(&ask.call, Call::Copy { from, .. } if from.is_empty()) {
        return Verdict::denied(vec![Reason::ArgumentRequired]);
    }
    let paths = match read(policy, ask) {
        Ok(paths) => paths,
        Err(reasons) => return Verdict::denied(reasons),
    };
    let (tool, action) = ask.names();
    let actor = ask.actor.unwrap_or(given.actor);
    let judge = |path: Option<&Read>| judge(policy, tool, action, actor, path, given);

    let is_protected =
        |path: &Read| path.access == Access::Write && is_self_protected(&path.canonical);
    if paths.iter().any(is_protected) {
        let mut verdict = Verdict::denied(vec![Reason::SelfProtected]);
        verdict.rules.insert("lictor/self-protection".to_owned());
        let reason = |path| {
            if is_protected(path) {
                Some(Reason::SelfProtected)
            } else {
                judge(Some(path)).reason
            }
        };
        verdict.findings = paths
            .iter()
            .map(|path| (path.argument, path.canonical.to_string(), reason(path)))
            .collect();
        return verdict;
    }

    let judged: Vec<Judged> = match paths.is_empty() {
        true => vec![judge(None)],
        false => paths.iter().map(|path| judge(Some(path))).collect(),
    };
    let strictest = [Effect::Deny, Effect::Ask, Effect::Allow]
        .into_iter()
        .find(|effect| judged.iter().any(|one| one.effect == *effect))
        .unwrap();
    let deciding: Vec<&Judged> = judged
        .iter()
        .filter(|one| one.effect == strictest)
        .collect();
    let mut verdict = Verdict {
        effect: strictest,
        reasons: Vec::new(),
        rules: deciding
            .iter()
            .flat_map(|one| &one.deciding)
            .map(|rule| rule.name())
            .collect(),
        missing: BTreeSet::new(),
        findings: paths
            .iter()
            .zip(&judged)
            .map(|(path, one)| (path.argument, path.canonical.to_string(), one.reason))
            .collect(),
        plan: None,
    };
    for reason in deciding.iter().filter_map(|one| one.reason) {
        if !verdict.reasons.contains(&reason) {
            verdict.reasons.push(reason);
        }
    }
    let rules = deciding.iter().flat_map(|one| one.deciding.clone());
    match strictest {
        Effect::Deny => {}
        Effect::Ask => verdict.missing = rules.filter_map(|rule| rule.approval).collect(),
        Effect::Allow => {
            let mut rules: Vec<&Rule> = rules.collect();
            rules.sort_by_key(|rule| rule.id);
            rules.dedup_by_key(|rule| rule.id);
            match combine(policy, &rules) {
                Some(terms) if terms.is_confined => {
                    verdict.effect = Effect::Deny;
                    verdict.reasons = vec![Reason::ConfineNotEnforceable];
                    verdict.rules.clear();
                }
                Some(terms) => {
                    let granted = rules.iter().filter_map(|rule| rule.approval).collect();
                    verdict.plan = Some(Plan {
                        terms,
                        granted,
                        argv: argv(ask, &paths),
                    });
                }
                None => {
                    verdict.effect = Effect::Deny;
                    verdict.reasons = vec![Reason::LimitsConflict];
                    verdict.rules.clear();
                }
            }
        }
    }
    verdict
}

impl Verdict {
    fn denied(reasons: Vec<Reason>) -> Verdict {
        Verdict {
            effect: Effect::Deny,
            reasons,
            rules: BTreeSet::new(),
            missing: BTreeSet::new(),
            findings: Vec::new(),
            plan: None,
        }
    }
}

/// Step 2: every path through the lexical layer; the first that fails gives the first reason.
fn read(policy: &Policy, ask: &Ask) -> Result<Vec<Read>, Vec<Reason>> {
    let mut switches = Switches::default();
    if !policy.strips_dot {
        switches.dot = Dot::Deny;
    }
    let mut found: Vec<Read> = Vec::new();
    let mut reasons: Vec<Reason> = Vec::new();
    let mut start = CanonicalPath::workspace();
    let mut add = |argument, access, text: &str, syntax, start: &CanonicalPath| {
        let target = match lexical(text.as_bytes(), syntax, &switches) {
            Ok(target) => target,
            Err(denial) => {
                reasons.push(denial.reason());
                reasons.extend(denial.findings().iter().map(|finding| finding.reason));
                return None;
            }
        };
        let below = target.to_canonical();
        let canonical = start.join(&below).unwrap();
        let rendered = Some(format!("{}{}", below.to_argument(), target.suffix()));
        found.push(Read {
            argument,
            access,
            canonical: canonical.clone(),
            rendered,
        });
        Some(canonical)
    };
    if let Some(text) = &ask.cwd {
        start = add("cwd", Access::Read, text, Syntax::Path, &start).unwrap_or(start);
    }
    if let Call::Test {
        dir: Some(text), ..
    }
    | Call::Clean { dir: Some(text) } = &ask.call
    {
        start = add("dir", Access::Read, text, Syntax::Path, &start).unwrap_or(start);
    }
    match &ask.call {
        Call::One { action, path } => {
            let access = match *action {
                "write" => Access::Write,
                "exec" => Access::Execute,
                _ => Access::Read,
            };
            add("path", access, path, Syntax::Path, &start);
        }
        Call::Copy { from, to } => {
            for text in from {
                add("from", Access::Read, text, Syntax::Path, &start);
            }
            add("to", Access::Write, to, Syntax::Path, &start);
        }
        Call::Test { out, targets, .. } => {
            if let Some(text) = out {
                add("out", Access::Write, text, Syntax::Path, &start);
            }
            for text in targets {
                add("target", Access::Read, text, Syntax::Pytest, &start);
            }
            // Everything, and the directory that paths start from.
            let mut implied = vec![CanonicalPath::workspace()];
            implied.extend((!start.is_workspace()).then(|| start.clone()));
            for canonical in implied.into_iter().filter(|_| targets.is_empty()) {
                found.push(Read {
                    argument: "target",
                    access: Access::Read,
                    canonical,
                    rendered: None,
                });
            }
        }
        Call::Ping | Call::Clean { .. } => {}
    }
    let mut seen = BTreeSet::new();
    reasons.retain(|reason| seen.insert(*reason));
    if reasons.is_empty() {
        Ok(found)
    } else {
        Err(reasons)
    }
}

/// Step 3: what nobody may write.
fn is_self_protected(path: &CanonicalPath) -> bool {
    let names = [
        ".claude/**",
        ".codex/**",
        ".cursor/**",
        ".gemini/**",
        ".github/hooks/**",
        ".mcp.json",
        "lictor.yaml",
    ];
    names.iter().any(|name| {
        Pattern::parse(&format!("**/{name}"))
            .unwrap()
            .matches_folded(path)
    })
}

/// Step 4.
fn judge<'p>(
    policy: &'p Policy,
    tool: &str,
    action: &str,
    actor: &str,
    path: Option<&Read>,
    given: &Given,
) -> Judged<'p> {
    let about: Vec<&Rule> = policy
        .rules
        .iter()
        .filter(|rule| rule.names(tool, action))
        .filter(|rule| {
            rule.actors
                .as_ref()
                .is_none_or(|actors| actors.iter().any(|pattern| is_like(pattern, actor)))
        })
        .filter(|rule| !has_lapsed(rule, given))
        .collect();
    let matching = |effect| -> Vec<&Rule> {
        about
            .iter()
            .copied()
            .filter(|rule| rule.effect == effect && matches(policy, rule, path))
            .collect()
    };
    let lacks = |rule: &&Rule| {
        rule.approval
            .is_some_and(|nth| !is_granted(policy, nth, given))
    };

    let denies = matching(Effect::Deny);
    if !denies.is_empty() {
        return Judged {
            effect: Effect::Deny,
            reason: Some(Reason::DeniedByRule),
            deciding: denies,
        };
    }
    let allows = matching(Effect::Allow);
    if allows.is_empty() {
        let is_spoken_of = about.iter().any(|rule| rule.effect != Effect::Deny);
        let reason = if is_spoken_of {
            Reason::PathOutsideAllowedScope
        } else {
            Reason::NoRuleAllows
        };
        return Judged {
            effect: Effect::Deny,
            reason: Some(reason),
            deciding: Vec::new(),
        };
    }
    let asks: Vec<&Rule> = matching(Effect::Ask)
        .into_iter()
        .filter(|rule| rule.approval.is_none() || lacks(rule))
        .collect();
    let ask = |deciding| Judged {
        effect: Effect::Ask,
        reason: Some(Reason::ApprovalRequired),
        deciding,
    };
    if !asks.is_empty() {
        return ask(asks);
    }
    let free: Vec<&Rule> = allows
        .iter()
        .copied()
        .filter(|rule| rule.approval.is_none())
        .collect();
    let granted: Vec<&Rule> = allows
        .iter()
        .copied()
        .filter(|rule| rule.approval.is_some() && !lacks(rule))
        .collect();
    let allow = |deciding| Judged {
        effect: Effect::Allow,
        reason: None,
        deciding,
    };
    if !free.is_empty() {
        allow(free)
    } else if !granted.is_empty() {
        allow(granted)
    } else {
        ask(allows)
    }
}

/// Whether a rule of this action and actor matches the path.
fn matches(policy: &Policy, rule: &Rule, path: Option<&Read>) -> bool {
    let Some(path) = path else {
        // An allow's scopes bound its paths, and there are none; a deny or ask with a scope touches nothing.
        return rule.effect == Effect::Allow || rule.paths.is_none() && rule.access.is_none();
    };
    if rule
        .access
        .as_ref()
        .is_some_and(|accesses| !accesses.contains(&path.access))
    {
        return false;
    }
    let holds = |scopes: &[usize]| {
        scopes
            .iter()
            .any(|nth| is_in(policy, *nth, &path.canonical, rule.effect))
    };
    match &rule.paths {
        None => rule.effect != Effect::Allow || path.argument == "cwd",
        // The option that writes beside what `runner.test` reads: an allow covers it by name only.
        Some(Paths::Any(_)) if rule.effect == Effect::Allow && path.argument == "out" => false,
        Some(Paths::Any(scopes)) => holds(scopes),
        Some(Paths::Each(entries)) => entries
            .iter()
            .any(|(argument, scopes)| argument == path.argument && holds(scopes)),
    }
}

fn is_in(policy: &Policy, scope: usize, path: &CanonicalPath, effect: Effect) -> bool {
    let scope = &policy.scopes[scope];
    let parsed = |text: &String| Pattern::parse(text).unwrap();
    let includes = |text: &String| match effect {
        Effect::Allow => parsed(text).matches(path),
        Effect::Ask | Effect::Deny => parsed(text).matches_folded(path),
    };
    scope.include.iter().any(includes)
        && !scope.exclude.iter().any(|text| parsed(text).matches(path))
}

fn has_lapsed(rule: &Rule, given: &Given) -> bool {
    rule.until
        .zip(given.second)
        .is_some_and(|(day, second)| second >= i64::from(day) * 86_400)
}

fn is_granted(policy: &Policy, nth: usize, given: &Given) -> bool {
    let by_switch = match &policy.approvals[nth] {
        Approval::Grant => false,
        Approval::Switch { variable, accept } => {
            let built_in = || ["true", "1", "yes"].map(str::to_owned).to_vec();
            let accept = accept.clone().unwrap_or_else(built_in);
            given.switches.iter().any(|(name, value)| {
                name == variable
                    && accept
                        .iter()
                        .any(|yes| yes.to_lowercase() == value.to_lowercase())
            })
        }
    };
    by_switch || given.approved.contains(&nth)
}

/// `*` is any run of characters.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => text.is_empty(),
        Some(("*", rest)) => (0..=text.len()).any(|at| is_like(rest, &text[at..])),
        Some((one, rest)) => text
            .strip_prefix(one)
            .is_some_and(|text| is_like(rest, text)),
    }
}

/// Step 5; none where two answers conflict.
fn combine(policy: &Policy, rules: &[&Rule]) -> Option<Combined> {
    let stated: Vec<&Terms> = rules.iter().map(|rule| &rule.terms).collect();
    let defaults = &policy.defaults;
    let smallest = |of: &dyn Fn(&Terms) -> Option<u64>| {
        stated
            .iter()
            .filter_map(|terms| of(terms))
            .min()
            .or_else(|| of(defaults))
    };
    let agreed = |of: &dyn Fn(&Terms) -> Option<&'static str>| {
        let values: BTreeSet<_> = stated.iter().filter_map(|terms| of(terms)).collect();
        (values.len() < 2).then(|| values.first().copied().or_else(|| of(defaults)))
    };
    let strongest = |words: &[&'static str], of: &dyn Fn(&Terms) -> Option<&'static str>| {
        let rank = |word: &&str| words.iter().position(|known| known == word).unwrap();
        stated
            .iter()
            .filter_map(|terms| of(terms))
            .max_by_key(rank)
            .or_else(|| of(defaults))
            .unwrap_or(words[0])
    };

    let mut set = BTreeSet::new();
    for name in ["LANG", "MODE"] {
        let value = |terms: &Terms| {
            terms
                .set
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let values: BTreeSet<String> = stated.iter().filter_map(|terms| value(terms)).collect();
        if values.len() > 1 {
            return None;
        }
        let in_all = stated.iter().all(|terms| value(terms).is_some());
        let chosen = if in_all {
            values.first().cloned()
        } else {
            None
        };
        set.extend(
            chosen
                .or_else(|| value(defaults))
                .map(|value| (name.to_owned(), value)),
        );
    }
    let passes =
        |terms: &Terms, name: &str| terms.inherit.iter().any(|pattern| is_like(pattern, name));
    let inherits =
        |name: &&str| passes(defaults, name) || stated.iter().all(|terms| passes(terms, name));

    let is_confined =
        stated.iter().any(|terms| terms.confine.is_some()) || defaults.confine.is_some();
    let levels = [
        "auto",
        "process-group",
        "subreaper",
        "cgroup",
        "pid-namespace",
    ];
    Some(Combined {
        timeout_s: smallest(&|terms| terms.timeout_s).unwrap_or(300),
        output_kib: smallest(&|terms| terms.output_kib).unwrap_or(50),
        processes: smallest(&|terms| terms.processes),
        keep: agreed(&|terms| terms.keep)?.unwrap_or("head-tail"),
        containment: strongest(&levels, &|terms| terms.containment),
        leaks: strongest(&["warn", "fail"], &|terms| terms.leaks),
        stop: agreed(&|terms| terms.stop)?.unwrap_or("TERM"),
        set,
        inherited: VARIABLES.into_iter().filter(inherits).collect(),
        is_confined,
    })
}

/// What is executed: words of the declaration and paths as the program is to resolve them.
fn argv(ask: &Ask, paths: &[Read]) -> Option<Vec<String>> {
    let of = |argument: &'static str| {
        paths
            .iter()
            .filter(move |path| path.argument == argument)
            .filter_map(|path| path.rendered.clone())
    };
    let mut words = vec!["runner".to_owned()];
    for dir in of("dir") {
        words.extend(["-C".to_owned(), dir]);
    }
    match &ask.call {
        Call::Test { .. } => {
            words.push("test".to_owned());
            words.extend(of("out").map(|out| format!("--out={out}")));
            words.extend(of("target"));
        }
        Call::Clean { .. } => words.push("clean".to_owned()),
        Call::One { .. } | Call::Copy { .. } | Call::Ping => return None,
    }
    Some(words)
}
