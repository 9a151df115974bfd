//! The questions that rules about meaning ask of exact analysis, asked once for all of them.
//!
//! Every answer is proved, or carries a request that was decided, or is unknown; what is unknown is told
//! by a rule of its own and never taken for either.

#![forbid(unsafe_code)]

use super::diagnostic::{NamedRequest, Witness};
use super::subject::{RuleView, Subject};
use crate::analysis::cells::Analysis;
use crate::analysis::{self, Answer, Budget, Cap, PathSet, Space};
use crate::decision::{Effect, Value};
use crate::policy::Span;
use crate::policy::glob::{Case, Pattern};
use crate::policy::model::{Rule, RuleEffect};

/// Results of exact analysis of a policy's rules.
#[derive(Debug, Default)]
pub(crate) struct Exact {
    /// Allow rules that never decide.
    pub(crate) dead: Vec<Dead>,
    /// Deny rules that meet no allow, by their place among the rules.
    pub(crate) idle: Vec<usize>,
    /// Rules that could be taken out.
    pub(crate) redundant: Vec<usize>,
    /// An allow and a deny, neither inside the other, with what both are about.
    pub(crate) partial: Vec<(usize, usize, Option<Witness>)>,
    /// Two allows with different terms, with what both are about.
    pub(crate) unequal: Vec<(usize, usize, Option<Witness>)>,
    /// Invariants that do not hold.
    pub(crate) violated: Vec<(Span, String, Witness)>,
    /// Allow rules and actions that are allowed whatever the path is.
    pub(crate) everything: Vec<(usize, String)>,
    /// Questions without an answer: the place, the question, and the bound that was met.
    pub(crate) unknown: Vec<(Span, String, Cap)>,
}

/// An allow rule that never decides.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) rule: usize,
    /// The ids of the rules that are over it.
    pub(crate) over: Vec<String>,
}

/// Asks everything.
pub(super) fn ask(subject: &Subject<'_>) -> Exact {
    let budget = subject.budget();
    let mut asker = Asker {
        subject,
        analysis: subject.analysis(),
        budget,
        found: Exact::default(),
    };
    let rules: Vec<Known<'_>> = subject.rules().map(|rule| known(subject, rule)).collect();
    for (nth, rule) in rules.iter().enumerate() {
        if budget.is_spent() {
            let what = "whether the rules from here on ever decide, and are needed,".to_owned();
            asker.unknown(rule.rule.written.at, what, Cap::Stopped);
            break;
        }
        asker.alone(nth, rule.rule);
    }
    for (nth, rule) in rules.iter().enumerate() {
        if subject.options.is_late.is_some_and(|is_late| is_late()) {
            let what = "how the rules from here on meet others".to_owned();
            asker.unknown(rule.rule.written.at, what, Cap::Stopped);
            break;
        }
        for (other_nth, other) in rules.iter().enumerate() {
            asker.pair((nth, rule), (other_nth, other));
        }
    }
    asker.invariants();
    asker.found
}

struct Asker<'a, 's> {
    subject: &'a Subject<'s>,
    analysis: &'a Analysis,
    budget: &'a Budget<'a>,
    found: Exact,
}

impl Asker<'_, '_> {
    fn alone(&mut self, nth: usize, rule: RuleView<'_>) {
        let (id, at) = (rule.written.id.as_str(), rule.written.at);
        match rule.written.effect {
            RuleEffect::Allow => match self.analysis.never_allows(id, self.budget) {
                Answer::Holds => {
                    let over = self.analysis.rules_over(id, self.budget);
                    self.found.dead.push(Dead { rule: nth, over });
                    return;
                }
                Answer::Fails(witness) if decides_alone(&witness, id) => {
                    self.everything(nth, rule);
                    return;
                }
                Answer::Fails(_) => {}
                Answer::Unknown(cap) => {
                    self.unknown(at, format!("whether rule `{id}` ever allows anything"), cap);
                    return;
                }
            },
            RuleEffect::Deny => match self.analysis.meets_no_allow(id, self.budget) {
                Answer::Holds => {
                    self.found.idle.push(nth);
                    return;
                }
                Answer::Fails(witness) if decides_alone(&witness, id) => return,
                Answer::Fails(_) => {}
                Answer::Unknown(cap) => {
                    self.unknown(at, format!("whether rule `{id}` meets an allow"), cap);
                    return;
                }
            },
            RuleEffect::Ask => {}
        }
        match self.analysis.is_redundant(id, self.budget) {
            Answer::Holds => self.found.redundant.push(nth),
            Answer::Fails(_) => {}
            Answer::Unknown(cap) => {
                self.unknown(at, format!("whether rule `{id}` is needed"), cap);
            }
        }
        if rule.written.effect == RuleEffect::Allow {
            self.everything(nth, rule);
        }
    }

    /// Finds out whether an action with a path argument is allowed for every path.
    fn everything(&mut self, nth: usize, rule: RuleView<'_>) {
        // Only a pattern that begins with a wildcard can be about every path.
        let begins_anywhere = self
            .subject
            .all_scopes_of(rule.written)
            .iter()
            .flat_map(|scope| &scope.include)
            .any(|(pattern, _)| pattern.literal_prefix().is_empty());
        if !begins_anywhere {
            return;
        }
        for deed in self.subject.deeds(rule) {
            // Its text says so: a library's tool, and an action without a path, are no finding. A library that is
            // compiled in stands nowhere.
            if deed.tool.at.line == 0 {
                continue;
            }
            let is_about_paths = deed.paths().any(|(argument, _)| {
                argument.required
                    && !self
                        .subject
                        .scopes_of(rule.written, deed.number, &argument.name)
                        .is_empty()
            });
            let name = deed.name();
            let is_known = self
                .found
                .everything
                .iter()
                .any(|(_, known)| *known == name);
            if !is_about_paths || is_known || rule.written.approval.is_some() {
                continue;
            }
            let all = PathSet::everything();
            if self.analysis.always(&name, &all, self.budget).holds() {
                self.found.everything.push((nth, name));
            }
        }
    }

    fn pair(
        &mut self,
        (nth, known): (usize, &Known<'_>),
        (other_nth, other_known): (usize, &Known<'_>),
    ) {
        let (rule, other) = (known.rule, other_known.rule);
        let effects = (rule.written.effect, other.written.effect);
        let is_unequal = effects == (RuleEffect::Allow, RuleEffect::Allow)
            && nth < other_nth
            && differ(known, other_known);
        let is_partial =
            effects == (RuleEffect::Allow, RuleEffect::Deny) && !other_known.is_everywhere;
        if !(is_unequal || is_partial) || !may_meet(known, other_known) {
            return;
        }
        let (a, b) = (rule.written.id.as_str(), other.written.id.as_str());
        let witness = match self.analysis.are_apart(a, b, self.budget) {
            Answer::Holds => return,
            Answer::Fails(witness) => {
                let witness = self.subject.existing(witness);
                shown(&witness, &format!("is what both `{a}` and `{b}` are about"))
            }
            Answer::Unknown(cap) => {
                self.unknown(
                    other.written.at,
                    format!("whether rules `{a}` and `{b}` meet"),
                    cap,
                );
                return;
            }
        };
        if is_unequal {
            self.found.unequal.push((nth, other_nth, witness));
            return;
        }
        let budget = self.budget;
        let is_inside = self.analysis.is_inside(a, b, budget).witness().is_none()
            || is_within(self.subject, other, rule, budget);
        if !is_inside {
            self.found.partial.push((nth, other_nth, witness));
        }
    }

    fn invariants(&mut self) {
        for proof in self.analysis.prove(self.budget) {
            match proof.answer {
                Answer::Holds => {}
                Answer::Fails(witness) => {
                    let witness = self.subject.existing(witness);
                    let effect = witness.decision.effect();
                    let by: Vec<String> = witness
                        .decision
                        .rules()
                        .iter()
                        .map(|rule| format!("`{}`", rule.id))
                        .collect();
                    let shows = match effect {
                        Effect::Allow => format!("is allowed by {}", by.join(", ")),
                        Effect::Ask => "is asked about".to_owned(),
                        Effect::Deny => format!("is denied: {}", witness.decision.message()),
                    };
                    let message = format!("invariant `{}` does not hold", proof.id);
                    let witness = shown(&witness, &shows).unwrap_or_else(|| Witness {
                        path: witness.path.clone(),
                        shows,
                        ..Witness::default()
                    });
                    self.found.violated.push((proof.span, message, witness));
                }
                Answer::Unknown(cap) => {
                    self.unknown(
                        proof.span,
                        format!("whether invariant `{}` holds", proof.id),
                        cap,
                    );
                }
            }
        }
    }

    fn unknown(&mut self, at: Span, what: String, cap: Cap) {
        if !self.found.unknown.iter().any(|(known, _, _)| *known == at) {
            self.found.unknown.push((at, what, cap));
        }
    }
}

/// A witness of the analysis as one of the lint, if it is a request by name.
pub(crate) fn shown(witness: &analysis::Witness, shows: &str) -> Option<Witness> {
    let asked = witness.decision.asked();
    let args = asked
        .args
        .iter()
        .map(|(name, value)| (name.clone(), text_of(value)))
        .collect();
    Some(Witness {
        path: witness.path.clone(),
        request: Some(NamedRequest {
            tool: asked.tool.clone()?,
            action: asked.action.clone()?,
            args,
            actor: asked.actor.clone(),
            approved: witness.decision.granted().to_vec(),
        }),
        argv: None,
        shows: shows.to_owned(),
    })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::List(values) => values.iter().map(text_of).collect::<Vec<_>>().join(" "),
    }
}

/// Returns true if the rule is the only one behind the decision of a request: then it is needed, and nothing
/// more has to be asked.
fn decides_alone(witness: &analysis::Witness, id: &str) -> bool {
    let rules = witness.decision.rules();
    !rules.is_empty() && rules.iter().all(|rule| rule.id == id)
}

/// A rule, and what is looked at for each pair of rules.
struct Known<'s> {
    rule: RuleView<'s>,
    actions: Vec<u32>,
    runs: bool,
    /// First segments of its patterns, in lower case.
    prefixes: Vec<String>,
    /// All of its patterns begin with `**`, or it is about its actions outright.
    is_everywhere: bool,
}

fn known<'s>(subject: &'s Subject<'_>, rule: RuleView<'s>) -> Known<'s> {
    let deeds = subject.deeds(rule);
    let scopes = subject.all_scopes_of(rule.written);
    let patterns = || {
        scopes
            .iter()
            .flat_map(|scope| &scope.include)
            .map(|(pattern, _)| pattern)
    };
    Known {
        rule,
        actions: deeds.iter().map(|deed| deed.number).collect(),
        runs: deeds.iter().any(|deed| deed.tool.program.is_some()),
        prefixes: patterns()
            .map(|pattern| pattern.literal_prefix().to_lowercase())
            .collect(),
        is_everywhere: patterns().all(|pattern| pattern.as_str().starts_with("**")),
    }
}

/// Returns true if two allows run what they allow on different terms, or need different approvals.
fn differ(a: &Known<'_>, b: &Known<'_>) -> bool {
    let (one, other) = (a.rule.written, b.rule.written);
    approval_of(one) != approval_of(other)
        || one.terms.limits != other.terms.limits && a.runs && b.runs
}

/// Returns true if what a deny is about lies inside what an allow is about, as both are written: a deny also
/// matches in other cases, which lies outside of every allow and is not what a reader means.
fn is_within(
    subject: &Subject<'_>,
    deny: RuleView<'_>,
    allow: RuleView<'_>,
    budget: &Budget<'_>,
) -> bool {
    let paths = |rule: RuleView<'_>| {
        PathSet::any(subject.all_scopes_of(rule.written).iter().map(|scope| {
            let set = |patterns: &[(Pattern, Span)]| {
                PathSet::any(
                    patterns
                        .iter()
                        .map(|(pattern, _)| PathSet::of(pattern, Case::Exact)),
                )
            };
            set(&scope.include).without(set(&scope.exclude))
        }))
    };
    Space::with_workspace(subject.policy.switches())
        .covers(&paths(allow), &paths(deny), budget)
        .witness()
        .is_none()
}

fn approval_of(rule: &Rule) -> Option<&str> {
    rule.approval.as_ref().map(|(name, _)| name.as_str())
}

/// False only if no request can be about both: they share no action, or no two of their patterns begin alike.
/// Cheap, so that a policy of a thousand rules does not ask a million questions.
fn may_meet(a: &Known<'_>, b: &Known<'_>) -> bool {
    if !a.actions.iter().any(|action| b.actions.contains(action)) {
        return false;
    }
    if a.prefixes.is_empty() || b.prefixes.is_empty() {
        return true;
    }
    let begins = |long: &str, short: &str| {
        short.is_empty()
            || long
                .strip_prefix(short)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    a.prefixes
        .iter()
        .any(|a| b.prefixes.iter().any(|b| begins(a, b) || begins(b, a)))
}
