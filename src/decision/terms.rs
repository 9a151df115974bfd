//! The terms of an allowed run: what its rules state, combined to the strictest, gaps filled from the
//! policy's `defaults` and the built-in values.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::call::Misfit;
use super::{Decision, Effect};
use crate::policy::model::{Confine, StatedEnv, StatedTerms};
use crate::policy::terms::{Containment, Leaks, Limits, ReportKind, ReportTrouble, StopSignal};
use crate::policy::{CompiledPolicy, CompiledRule, RuleId};
use crate::reason::Reason;

/// Terms of an allowed run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// Its limits.
    pub limits: Limits,
    /// The environment it gets besides the one every run gets.
    pub env: EnvTerms,
    /// The least containment.
    pub containment: Containment,
    /// Bounds that the kernel is to set; all of them hold.
    pub confine: Vec<Confine>,
    /// Way in which it is asked to end.
    pub stop: StopSignal,
    /// Meaning of processes that it leaves behind.
    pub leaks: Leaks,
    /// The format of its summary.
    pub report: Option<ReportKind>,
    /// Meaning of a summary that is missing, or that contradicts its end.
    pub report_trouble: ReportTrouble,
}

/// Variables of a run's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvTerms {
    /// Names that are passed on; a trailing `*` is any run of characters.
    pub inherit: Vec<String>,
    /// Names that are passed on although they steer what programs load or run.
    pub unsafe_inherit: Vec<String>,
    /// Values.
    pub set: Vec<(String, String)>,
}

impl Terms {
    /// With the variables that a tool sets itself, whatever a rule says.
    pub(super) fn with_env<'v>(mut self, own: impl Iterator<Item = &'v (String, String)>) -> Terms {
        for (name, value) in own {
            self.env.set.retain(|(known, _)| known != name);
            self.env.set.push((name.clone(), value.clone()));
        }
        self
    }
}

impl Decision {
    /// A run that is bounded by a lease: what is `wanted`, else as long as the rules permit. No lease may be longer.
    #[must_use]
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what runs is long")
    )]
    pub(crate) fn leased(mut self, wanted: Option<Duration>) -> Decision {
        let Some(plan) = self.plan.as_mut().filter(|_| self.effect == Effect::Allow) else {
            return self;
        };
        let limits = &mut plan.terms.limits;
        let most = limits.lease.unwrap_or(limits.timeout);
        let lease = wanted.unwrap_or(most);
        if lease <= most {
            limits.timeout = lease;
            return self;
        }
        let key = if limits.lease.is_some() {
            "lease"
        } else {
            "timeout"
        };
        let message = format!("a lease of {lease:?} is asked for, and `{key}` permits {most:?}");
        let instead = format!(
            "ask for `--lease {}s`, or leave it out; a rule permits more with `limits: {{lease: …}}`",
            most.as_secs()
        );
        let mut denied = self.denied(Reason::LeaseTooLong, message);
        denied.instead = Some(instead);
        denied
    }
}

/// Combines what the applying rules state. Different answers where there is no strictest are a denial.
pub(super) fn combine(
    policy: &CompiledPolicy,
    rules: &[RuleId],
    report: Option<ReportKind>,
) -> Result<Terms, Misfit> {
    let rules: Vec<&CompiledRule> = rules.iter().filter_map(|id| policy.rule(*id)).collect();
    let defaults = policy.defaults();
    let built_in = Limits::default();
    let least = Least {
        rules: &rules,
        defaults,
    };
    let limits = Limits {
        timeout: least
            .of(|stated| stated.limits.timeout)
            .unwrap_or(built_in.timeout),
        lease: lease(&rules, defaults),
        grace: least
            .of(|stated| stated.limits.grace)
            .unwrap_or(built_in.grace),
        output_bytes: least
            .of(|stated| stated.limits.output_bytes)
            .unwrap_or(built_in.output_bytes),
        keep: agreed(&rules, defaults, "keep", |stated| stated.limits.keep)?
            .unwrap_or(built_in.keep),
        processes: least.of(|stated| stated.limits.processes),
        memory_bytes: least.of(|stated| stated.limits.memory_bytes),
        cpu: least.of::<Duration>(|stated| stated.limits.cpu),
        open_files: least.of(|stated| stated.limits.open_files),
        file_size_bytes: least.of(|stated| stated.limits.file_size_bytes),
        stdin_bytes: least
            .of(|stated| stated.limits.stdin_bytes)
            .unwrap_or(built_in.stdin_bytes),
    };
    let strongest = rules.iter().filter_map(|rule| rule.terms.containment).max();
    let leaks = rules.iter().filter_map(|rule| rule.terms.leaks).max();
    let report_trouble = rules.iter().filter_map(|rule| rule.terms.report).max();
    let mut confine: Vec<Confine> = rules
        .iter()
        .filter_map(|rule| rule.terms.confine.clone())
        .collect();
    if confine.is_empty() {
        confine.extend(defaults.confine.clone());
    }
    Ok(Terms {
        limits,
        env: environment(&rules, &defaults.env)?,
        containment: strongest
            .or(defaults.containment)
            .unwrap_or(Containment::Auto),
        confine,
        stop: agreed(&rules, defaults, "stop", |stated| stated.stop)?.unwrap_or_default(),
        leaks: leaks.or(defaults.leaks).unwrap_or(Leaks::Warn),
        report,
        report_trouble: report_trouble
            .or(defaults.report)
            .unwrap_or(ReportTrouble::Warn),
    })
}

/// Why a run on these terms is possible on no machine: this version of lictor confines nothing.
pub(super) fn unenforceable(
    policy: &CompiledPolicy,
    rules: &[RuleId],
    terms: &Terms,
) -> Option<Misfit> {
    if terms.confine.is_empty() {
        return None;
    }
    let rules = rules.iter().filter_map(|id| policy.rule(*id));
    let states = rules
        .filter(|rule| rule.terms.confine.is_some())
        .map(|rule| format!("rule `{}` states", rule.id))
        .next();
    let message = format!(
        "{} `confine`, and this version of lictor cannot enforce it",
        states.unwrap_or_else(|| "`defaults` state".to_owned())
    );
    Some(Misfit::new(Reason::ConfineNotEnforceable, message))
}

/// A run is long only where each rule that allows it says so, or the defaults do.
fn lease(rules: &[&CompiledRule], defaults: &StatedTerms) -> Option<Duration> {
    let stated = |rule: &&CompiledRule| rule.terms.limits.lease.or(defaults.limits.lease);
    let leases: Option<Vec<Duration>> = rules.iter().map(stated).collect();
    leases?.into_iter().min()
}

struct Least<'a> {
    rules: &'a [&'a CompiledRule],
    defaults: &'a StatedTerms,
}

impl Least<'_> {
    /// The smallest that a rule states, else the default.
    fn of<T: Ord>(&self, stated: impl Fn(&StatedTerms) -> Option<T>) -> Option<T> {
        self.rules
            .iter()
            .filter_map(|rule| stated(&rule.terms))
            .min()
            .or_else(|| stated(self.defaults))
    }
}

/// The one value that all rules which state it agree on, else the default.
fn agreed<T: PartialEq>(
    rules: &[&CompiledRule],
    defaults: &StatedTerms,
    what: &str,
    stated: impl Fn(&StatedTerms) -> Option<T>,
) -> Result<Option<T>, Misfit> {
    let mut found: Option<(T, &CompiledRule)> = None;
    for rule in rules {
        let Some(value) = stated(&rule.terms) else {
            continue;
        };
        match &found {
            Some((other, first)) if *other != value => return Err(conflict(what, first, rule)),
            Some(_) => {}
            None => found = Some((value, rule)),
        }
    }
    Ok(found.map(|(value, _)| value).or_else(|| stated(defaults)))
}

fn conflict(what: &str, first: &CompiledRule, second: &CompiledRule) -> Misfit {
    let message = format!(
        "rules `{}` and `{}` both apply and state a different `{what}`",
        first.id, second.id
    );
    Misfit::new(Reason::LimitsConflict, message)
}

/// A rule's variables add to the defaults; between rules, what all of them permit.
fn environment(rules: &[&CompiledRule], defaults: &StatedEnv) -> Result<EnvTerms, Misfit> {
    let mut env = EnvTerms {
        inherit: defaults.inherit.clone(),
        unsafe_inherit: defaults.unsafe_inherit.clone(),
        set: defaults.set.clone(),
    };
    let Some((first, others)) = rules.split_first() else {
        return Ok(env);
    };
    let in_all =
        |holds: &dyn Fn(&StatedEnv) -> bool| others.iter().all(|rule| holds(&rule.terms.env));
    let stated = &first.terms.env;
    for name in passed_by_all(rules, |stated| &stated.inherit) {
        add(&mut env.inherit, &name);
    }
    for name in passed_by_all(rules, |stated| &stated.unsafe_inherit) {
        add(&mut env.unsafe_inherit, &name);
    }
    for (nth, rule) in rules.iter().enumerate() {
        for (name, value) in &rule.terms.env.set {
            let later = rules.iter().skip(nth);
            let differs = |other: &&&CompiledRule| {
                other
                    .terms
                    .env
                    .set
                    .iter()
                    .any(|(n, v)| n == name && v != value)
            };
            if let Some(other) = later.clone().find(differs) {
                return Err(conflict(&format!("env.set.{name}"), rule, other));
            }
        }
    }
    for (name, value) in stated
        .set
        .iter()
        .filter(|(name, _)| in_all(&|other| other.set.iter().any(|(n, _)| n == name)))
    {
        env.set.retain(|(known, _)| known != name);
        env.set.push((name.clone(), value.clone()));
    }
    Ok(env)
}

/// Variables that every rule passes on: of two names of which one covers the other, the narrower.
fn passed_by_all(
    rules: &[&CompiledRule],
    names: impl Fn(&StatedEnv) -> &Vec<String>,
) -> Vec<String> {
    let mut all = rules.iter().map(|rule| names(&rule.terms.env));
    let first = all.next().cloned().unwrap_or_default();
    all.fold(first, |passed, others| {
        let narrower = |name: &String| {
            let common = others.iter().filter_map(|other| {
                match (covers(name, other), covers(other, name)) {
                    (true, _) => Some(other.clone()),
                    (false, true) => Some(name.clone()),
                    (false, false) => None,
                }
            });
            common.collect::<Vec<_>>()
        };
        passed.iter().flat_map(narrower).collect()
    })
}

/// Returns true if every variable that `other` passes on is passed on by `name`.
fn covers(name: &str, other: &str) -> bool {
    name.strip_suffix('*')
        .map_or(name == other, |stem| other.starts_with(stem))
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}
