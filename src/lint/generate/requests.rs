//! Requests that may show a rule at work or a scope's end, the clearest first.
//!
//! First requests are made of the patterns as they are written, because those read best; where none of them
//! does, exact analysis finds one, or proves that there is none.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};

use super::Asked;
use crate::analysis::cells::Analysis;
use crate::analysis::{Answer, Budget, Cap, PathSet, Witness};
use crate::decision::{Decision, Effect, Value, paths::CWD};
use crate::lint::coverage::Boundary;
use crate::lint::diagnostic::NamedRequest;
use crate::lint::samples;
use crate::lint::subject::{Deed, RuleView, Subject};
use crate::policy::glob::{Case, Pattern};
use crate::policy::model::{Argument, RuleEffect, Spelling};

/// Requests that were tried.
pub(super) struct Tried {
    /// Requests that were decided as they should, each with what a test of it may be called.
    pub(super) requests: Vec<(String, Asked)>,
    /// Why there are none, and whether that is only not known.
    pub(super) why_not: Option<(String, bool)>,
}

/// Decisions about requests made of patterns, for one rule or scope. What needs more is left to analysis.
const MOST_TRIED: usize = 64;

/// Times at which rules lapse that are looked at for one rule.
const MOST_TIMES: usize = 16;

pub(super) struct Finder<'a, 's> {
    subject: &'a Subject<'s>,
    budget: &'a Budget<'s>,
    /// For each action the allow rules that speak of it.
    allows: HashMap<u32, Vec<RuleView<'a>>>,
    /// For each scope where an allow rule names it: the rule, the action, the argument, or that of the
    /// directory that a command starts in.
    uses: HashMap<&'a str, Vec<(RuleView<'a>, Deed<'a>, &'a str)>>,
}

impl<'a, 's> Finder<'a, 's> {
    pub(super) fn new(subject: &'a Subject<'s>) -> Finder<'a, 's> {
        let mut allows: HashMap<u32, Vec<RuleView<'a>>> = HashMap::new();
        let mut uses: HashMap<&str, Vec<_>> = HashMap::new();
        for rule in subject.allows() {
            for deed in subject.deeds(rule) {
                allows.entry(deed.number).or_default().push(rule);
                let arguments = by_importance(deed).into_iter();
                let names = arguments.map(|argument| argument.name.as_str());
                // A scope without an argument that it bounds, bounds where a command starts.
                for argument in names.chain([CWD]) {
                    for scope in subject.scopes_of(rule.written, deed.number, argument) {
                        let uses = uses.entry(scope.name.as_str()).or_default();
                        uses.push((rule, deed, argument));
                    }
                }
            }
        }
        Finder {
            subject,
            budget: subject.budget(),
            allows,
            uses,
        }
    }

    /// Requests that a rule decides.
    pub(super) fn of_rule(&self, rule: RuleView<'_>, shown: &dyn Fn(&Decision) -> bool) -> Tried {
        let mut requests = self.made_for(rule, shown);
        let mut why_not = None;
        if requests.is_empty() {
            let id = &rule.written.id;
            let by_argument =
                |analysis: &Analysis| analysis.never_decides_arguments(id, self.budget);
            let at_all = |analysis: &Analysis| analysis.never_decides(id, self.budget);
            why_not = match self.at_any_time(&by_argument) {
                Answer::Fails(witness) => {
                    requests = self.better(rule, of_witness(&witness), shown);
                    None
                }
                // Then only the directory that a command starts in shows it, if anything does.
                Answer::Holds => match self.at_any_time(&at_all) {
                    Answer::Holds => Some((self.never(rule), false)),
                    Answer::Fails(witness) => {
                        requests = vec![of_witness(&witness)];
                        None
                    }
                    Answer::Unknown(cap) => Some((not_known(cap), true)),
                },
                Answer::Unknown(cap) => Some((not_known(cap), true)),
            };
        }
        let named = requests.into_iter().map(|asked| {
            let effect = asked.decided(self.subject.policy).effect().word();
            (name(effect, &rule.written.id), asked)
        });
        Tried {
            requests: named.collect(),
            why_not,
        }
    }

    /// The answer where no rule has lapsed; where that shows nothing, for later times as well: other rules
    /// may lapse before this one.
    fn at_any_time(&self, ask: &dyn Fn(&Analysis) -> Answer<Witness>) -> Answer<Witness> {
        let mut answer = ask(self.subject.analysis());
        let lapses: BTreeSet<_> = self
            .subject
            .policy
            .rules()
            .filter_map(|(_, rule)| rule.lapses)
            .collect();
        for (nth, time) in lapses.into_iter().enumerate() {
            answer = answer.and(|| match nth < MOST_TIMES {
                true => ask(&Analysis::of(self.subject.policy).at(time)),
                false => Answer::Unknown(Cap::Combinations),
            });
        }
        answer
    }

    /// Requests made of the patterns that the rule names.
    fn made_for(&self, rule: RuleView<'_>, shown: &dyn Fn(&Decision) -> bool) -> Vec<Asked> {
        let mut with_others = None;
        let mut tried = 0_usize;
        for deed in self.subject.deeds(rule) {
            for set in self.patterns_of(rule, deed) {
                for asked in self.requests_of(rule, deed, set.as_ref()) {
                    tried = tried.saturating_add(1);
                    if tried > MOST_TRIED {
                        return with_others.into_iter().collect();
                    }
                    let decision = asked.decided(self.subject.policy);
                    let is_meant = shown(&decision)
                        && (rule.written.effect != RuleEffect::Allow
                            || decision.effect() == Effect::Allow);
                    if is_meant && decision.rules().len() == 1 {
                        return vec![asked];
                    }
                    if is_meant && with_others.is_none() {
                        with_others = Some(asked);
                    }
                }
            }
        }
        with_others.into_iter().collect()
    }

    /// An argument and a path for each pattern, those first that a reader expects; nothing to set for a rule,
    /// or an action, without any.
    fn patterns_of(&self, rule: RuleView<'_>, deed: Deed<'_>) -> Vec<Option<(String, String)>> {
        let (mut usual, mut options) = (Vec::new(), Vec::new());
        for argument in by_importance(deed) {
            let is_usual = argument.required || argument.spelling == Spelling::Positional;
            let list = if is_usual { &mut usual } else { &mut options };
            let scopes = self
                .subject
                .scopes_of(rule.written, deed.number, &argument.name);
            for (pattern, _) in scopes.into_iter().flat_map(|scope| &scope.include) {
                let sample = samples::sample(pattern);
                if rule.written.effect != RuleEffect::Allow && pattern.as_str().starts_with("**/") {
                    let tops = self.tops(deed, &argument.name);
                    let paths =
                        tops.map(|top| (argument.name.clone(), samples::join(&top, &sample)));
                    list.extend(paths.map(Some));
                }
                list.push(Some((argument.name.clone(), sample)));
            }
        }
        usual.push(None);
        usual.extend(options);
        usual
    }

    /// Directories of which allow rules let an action have everything.
    fn tops(&self, deed: Deed<'_>, argument: &str) -> impl Iterator<Item = String> {
        let about = self.allows.get(&deed.number).into_iter().flatten();
        let scopes = about
            .take(4)
            .flat_map(move |allow| self.subject.scopes_of(allow.written, deed.number, argument));
        let patterns = scopes.flat_map(|scope| scope.include.first());
        patterns
            .filter(|(pattern, _)| pattern.reaches_down())
            .map(|(pattern, _)| pattern.literal_prefix())
    }

    /// Requests with that path: for a deny or ask, such as some rule would allow.
    fn requests_of(
        &self,
        rule: RuleView<'_>,
        deed: Deed<'_>,
        set: Option<&(String, String)>,
    ) -> Vec<Asked> {
        let set = set.map(|(argument, path)| (argument.as_str(), path.as_str()));
        if rule.written.effect == RuleEffect::Allow {
            let made = samples::request(self.subject, rule.written, deed, set);
            return made.map(of_named).into_iter().collect();
        }
        let actor = samples::actor(rule.written);
        let would_allow = |allow: &&RuleView<'_>| {
            let holds = set.is_none_or(|(argument, path)| {
                samples::holds(self.subject, allow.written, deed.number, argument, path)
            });
            holds && allow.compiled.is_for(&actor)
        };
        let about = self.allows.get(&deed.number).into_iter().flatten();
        about
            .filter(would_allow)
            .take(4)
            .filter_map(|allow| samples::request(self.subject, allow.written, deed, set))
            .map(|made| Asked {
                actor: actor.clone(),
                approved: Vec::new(),
                ..of_named(made)
            })
            .collect()
    }

    /// A request about a file in the directory that a witness names, where that shows as much.
    fn better(
        &self,
        rule: RuleView<'_>,
        asked: Asked,
        shown: &dyn Fn(&Decision) -> bool,
    ) -> Vec<Asked> {
        let decision = asked.decided(self.subject.policy);
        let scopes = self.subject.all_scopes_of(rule.written);
        let mut below = asked.clone();
        for (_, value) in &mut below.args {
            let Value::Text(text) = value else { continue };
            let path = String::from_utf8_lossy(text);
            let mut patterns = scopes.iter().flat_map(|scope| &scope.include);
            let is_top =
                |pattern: &Pattern| pattern.reaches_down() && pattern.literal_prefix() == path;
            if patterns.any(|(pattern, _)| is_top(pattern)) {
                *value = Value::from(samples::join(&path, "a").as_str());
            }
        }
        let other = below.decided(self.subject.policy);
        let is_as_good = shown(&other)
            && other.effect() == decision.effect()
            && other.rules() == decision.rules();
        if is_as_good {
            vec![below, asked]
        } else {
            vec![asked]
        }
    }

    /// Why no request is decided by a rule.
    fn never(&self, rule: RuleView<'_>) -> String {
        let id = &rule.written.id;
        match rule.written.effect {
            RuleEffect::Allow => {
                let mut over = self.subject.analysis().rules_over(id, self.budget);
                // What is compiled in stands over some of everything that is written.
                let is_written = |id: &String| !id.starts_with("lictor/");
                if over.iter().any(is_written) {
                    over.retain(is_written);
                }
                if over.is_empty() {
                    "it can never decide: no request that it speaks of can be made".to_owned()
                } else {
                    let over = over.iter().map(|id| format!("`{id}`"));
                    let over = over.collect::<Vec<_>>().join(", ");
                    format!("it can never decide: kept out by {over}")
                }
            }
            RuleEffect::Ask => "it can never decide: no rule allows what it asks about, or denies \
                                are over all of it"
                .to_owned(),
            RuleEffect::Deny => {
                "it can never decide: no request that it speaks of can be made".to_owned()
            }
        }
    }

    /// Requests that are denied where a scope ends.
    pub(super) fn of_boundary(
        &self,
        boundary: &Boundary<'_>,
        shown: &dyn Fn(&Decision) -> bool,
    ) -> Tried {
        let scope = boundary.scope;
        let mut beside = Vec::new();
        let mut climbing = Vec::new();
        let places = self.uses.get(scope.name.as_str());
        let places = places.map_or(&[][..], Vec::as_slice);
        let mut tried = 0_usize;
        for (rule, deed, argument) in places {
            for (pattern, _) in &scope.include {
                tried = tried.saturating_add(1);
                if tried > MOST_TRIED || !beside.is_empty() {
                    break;
                }
                let (prefix, inside) = (pattern.literal_prefix(), samples::sample(pattern));
                let rest = inside.strip_prefix(&prefix).unwrap_or("");
                let sibling = format!("{prefix}_evil{rest}");
                let name = rest.strip_prefix('/').unwrap_or("a");
                let climbs = format!("{prefix}/../{name}");
                let asked = |path: &str| self.outside(*rule, *deed, argument, path);
                beside.extend(asked(&sibling).filter(|asked| {
                    let decision = asked.decided(self.subject.policy);
                    shown(&decision) && decision.rules().is_empty()
                }));
                climbing.extend(
                    asked(&climbs).filter(|asked| shown(&asked.decided(self.subject.policy))),
                );
            }
        }
        let mut found: Vec<(String, Asked)> = Vec::new();
        let named =
            |what: &str, asked: Asked| (name("deny", &format!("{what}-{}", scope.name)), asked);
        found.extend(beside.into_iter().map(|asked| named("beside", asked)));
        let mut unknown = None;
        if found.is_empty() {
            let set = |patterns: &[(Pattern, crate::policy::Span)]| {
                let sets = patterns.iter();
                PathSet::any(sets.map(|(pattern, _)| PathSet::of(pattern, Case::Exact)))
            };
            let inside = set(&scope.include).without(set(&scope.exclude));
            for (rule, deed, argument) in places.iter().take(4) {
                let at = (
                    deed.tool.name.as_str(),
                    deed.action.name.as_str(),
                    *argument,
                );
                let id = &rule.written.id;
                let analysis = self.subject.analysis();
                match analysis.open_outside(id, at, &inside, self.budget) {
                    Answer::Fails(witness) => {
                        let asked = of_witness(&witness);
                        climbing.extend(self.climbing(&asked, argument, scope.include.first()));
                        found.push(named("outside", asked));
                        break;
                    }
                    Answer::Holds => {}
                    Answer::Unknown(cap) => {
                        unknown = Some(format!(
                            "whether anything outside is denied is not known: {cap}"
                        ));
                    }
                }
            }
            // What a rule denies by name says less about the scope than a path that climbs out.
            let is_plain = |(_, asked): &(String, Asked)| {
                asked.decided(self.subject.policy).rules().is_empty()
            };
            let climbing = climbing
                .into_iter()
                .map(|asked| named("climbing-out-of", asked));
            let at = if found.first().is_some_and(is_plain) {
                found.len()
            } else {
                0
            };
            found.splice(at..at, climbing);
        }
        found.retain(|(_, asked)| shown(&asked.decided(self.subject.policy)));
        let why = "no request was found that is denied at its boundary".to_owned();
        let why_not = unknown.unwrap_or(why);
        Tried {
            why_not: found.is_empty().then_some((why_not, true)),
            requests: found,
        }
    }

    /// A request that a rule would allow but for this path of it.
    fn outside(
        &self,
        rule: RuleView<'_>,
        deed: Deed<'_>,
        argument: &str,
        path: &str,
    ) -> Option<Asked> {
        let made = samples::request(self.subject, rule.written, deed, Some((argument, path)))?;
        Some(Asked {
            cwd: (argument == CWD).then(|| path.to_owned()),
            // It is denied whatever is granted.
            approved: Vec::new(),
            ..of_named(made)
        })
    }

    /// A copy of the request with a path that climbs out of a pattern.
    fn climbing(
        &self,
        asked: &Asked,
        argument: &str,
        pattern: Option<&(Pattern, crate::policy::Span)>,
    ) -> Option<Asked> {
        let prefix = pattern?.0.literal_prefix();
        let path = format!("{prefix}/../a");
        let mut climbing = asked.clone();
        if argument == CWD {
            climbing.cwd = Some(path);
            return Some(climbing);
        }
        let (_, value) = climbing
            .args
            .iter_mut()
            .find(|(name, _)| name == argument)?;
        *value = Value::from(path.as_str());
        Some(climbing)
    }
}

/// The path arguments of an action: those first that a request cannot do without, options last.
fn by_importance(deed: Deed<'_>) -> Vec<&Argument> {
    let mut arguments: Vec<&Argument> = deed.paths().map(|(argument, _)| argument).collect();
    arguments.sort_by_key(|argument| {
        (
            !argument.required,
            argument.spelling != Spelling::Positional,
        )
    });
    arguments
}

fn not_known(cap: Cap) -> String {
    format!("whether it ever decides is not known: {cap}")
}

/// Name of a test: `allow-run-tests`. A rule that begins with the effect keeps its name.
fn name(effect: &str, of: &str) -> String {
    let begins = of.strip_prefix(effect);
    if begins.is_some_and(|rest| rest.starts_with('-') || rest.is_empty()) {
        of.to_owned()
    } else {
        format!("{effect}-{of}")
    }
}

fn of_named(request: NamedRequest) -> Asked {
    let args = request.args.into_iter();
    Asked {
        tool: request.tool,
        action: request.action,
        args: args
            .map(|(name, value)| (name, Value::from(value.as_str())))
            .collect(),
        cwd: None,
        actor: request.actor,
        approved: request.approved,
        env: Vec::new(),
        at: None,
    }
}

fn of_witness(witness: &Witness) -> Asked {
    let asked = witness.decision.asked();
    let is_denied = witness.decision.effect() == Effect::Deny;
    let single = |value: &Value| match value {
        Value::List(values) => match values.as_slice() {
            [only] => only.clone(),
            _ => value.clone(),
        },
        Value::Null | Value::Flag(_) | Value::Int(_) | Value::Text(_) => value.clone(),
    };
    let switches = witness.context.switches();
    let switches = switches.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Asked {
        tool: asked.tool.clone().unwrap_or_default(),
        action: asked.action.clone().unwrap_or_default(),
        args: asked
            .args
            .iter()
            .map(|(name, value)| (name.clone(), single(value)))
            .collect(),
        cwd: witness
            .request
            .cwd
            .as_ref()
            .map(|cwd| String::from_utf8_lossy(cwd).into_owned()),
        actor: asked.actor.clone(),
        // What is denied is denied whatever is granted.
        approved: match is_denied {
            true => Vec::new(),
            false => witness.context.approved().map(str::to_owned).collect(),
        },
        env: match is_denied {
            true => Vec::new(),
            false => switches.collect(),
        },
        at: witness.context.now(),
    }
}
