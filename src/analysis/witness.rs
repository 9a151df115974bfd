//! A path that was computed -> a whole request that the real decision judges as was computed.

#![forbid(unsafe_code)]

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::cells::{Analysis, Cell, above, path_arguments};
use super::formula::Formula;
use super::real_names::Region;
use super::{Answer, Budget, Cap, PathSet};
use crate::decision::{Context, Decision, Effect, Request, Value, decide, positional_shares};
use crate::path::{CanonicalPath, Dot};
use crate::policy::CompiledPolicy;
use crate::policy::model::{Absent, Action, Argument, ArgumentKind, Spelling, Tool};

/// A request that shows something, what is given with it, and what was decided.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Witness {
    /// The request; it names its actor.
    pub request: Request,
    /// Granted approvals, and the time.
    pub context: Context,
    /// The argument whose path shows it; none if the action takes no path.
    pub argument: Option<String>,
    /// That path, in canonical form.
    pub path: Option<String>,
    /// The decision.
    pub decision: Decision,
    /// Where its path was taken from.
    pub(super) region: Option<Arc<Region>>,
}

impl Witness {
    /// The request, decided by another policy.
    #[must_use]
    pub fn decided_by(&self, policy: &CompiledPolicy) -> Witness {
        Witness {
            decision: decide(policy, &self.request, &self.context),
            region: None,
            ..self.clone()
        }
    }

    /// The request as `check --batch` reads it, and under `given` what else the decision depends on.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let asked = self.decision.asked();
        let args: Map<String, Json> = asked
            .args
            .iter()
            .map(|(name, value)| (name.clone(), value_json(value)))
            .collect();
        let mut json = json!({
            "tool": asked.tool,
            "action": asked.action,
            "args": args,
            "actor": asked.actor,
        });
        if let Json::Object(fields) = &mut json {
            if let Some(cwd) = &self.request.cwd {
                fields.insert("cwd".to_owned(), Json::from(String::from_utf8_lossy(cwd)));
            }
            fields.insert("given".to_owned(), given_json(&self.context));
        }
        json
    }
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Flag(is) => json!(is),
        Value::Int(number) => json!(number),
        Value::Text(text) => Json::from(String::from_utf8_lossy(text)),
        Value::List(values) => match values.as_slice() {
            [only] => value_json(only),
            more => more.iter().map(value_json).collect(),
        },
    }
}

fn given_json(context: &Context) -> Json {
    let env: Map<String, Json> = context
        .switches()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let approved: Vec<&str> = context.approved().collect();
    json!({"env": env, "approved": approved, "at": context.now().map(|now| now.to_string())})
}

/// Required decision about a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Is(Effect),
    IsNot(Effect),
    Whatever,
}

impl Expected {
    fn is_met(self, decision: &Decision) -> bool {
        match self {
            Expected::Is(effect) => decision.effect() == effect,
            Expected::IsNot(effect) => decision.effect() != effect,
            Expected::Whatever => true,
        }
    }
}

/// A set of paths to look into, and what a request made of one has to be decided as.
pub(super) struct Claim<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) cell: &'a Cell,
    pub(super) context: &'a Context,
    /// The claim is that no path of the cell is in it.
    pub(super) empty: PathSet,
    /// A second policy, which should let the other arguments of the request through too if it can.
    pub(super) beside: Option<&'a Analysis>,
    pub(super) expected: Expected,
}

/// Paths that are tried before it is given up to make a request of one.
const ATTEMPTS: usize = 4;

/// Maximum number of paths that are ruled out with everything below them.
const MOST_RULED_OUT: usize = 64;

/// Reason why other arguments keep a request from existing.
enum NoRequest {
    /// Another argument has no path that is allowed: no request like it is ever allowed.
    Never,
    /// No request can name it at all.
    Impossible,
    /// Another argument starts from this path, and has none below it that is let through.
    NothingBelow,
    Unknown(Cap),
}

impl Claim<'_> {
    /// Proves that no request shows the contrary, or finds one that does, decided.
    pub(super) fn proved(&self, budget: &Budget<'_>) -> Answer<Witness> {
        if self.empty.is_plainly_empty() {
            return Answer::Holds;
        }
        if self.cell.argument().is_none() {
            return self.witness(None, budget);
        }
        if budget.is_spent() {
            return Answer::Unknown(Cap::Stopped);
        }
        let space = self.analysis.space(self.cell);
        // What other arguments ask of the path takes longer to say than most sets to search.
        match space.is_empty(&self.empty, budget) {
            Answer::Holds => return Answer::Holds,
            Answer::Unknown(cap) => return Answer::Unknown(cap),
            Answer::Fails(_) => {}
        }
        let mut possible = self.possible();
        let mut answer = Answer::Holds;
        let (mut failed, mut ruled_out) = (0, 0);
        while failed < ATTEMPTS && ruled_out < MOST_RULED_OUT {
            let path = match space.is_empty(&possible, budget) {
                Answer::Holds => return answer,
                Answer::Unknown(cap) => return Answer::Unknown(cap),
                Answer::Fails(path) => plainer(&path, &possible),
            };
            match self.made(Some(&path), budget) {
                Ok(witness) => {
                    let region = Region {
                        cell: self.cell.clone(),
                        paths: possible,
                        expected: self.expected,
                    };
                    let region = Some(Arc::new(region));
                    return Answer::Fails(Witness { region, ..witness });
                }
                Err(NoRequest::Never | NoRequest::Impossible) => return Answer::Holds,
                Err(NoRequest::NothingBelow) => {
                    ruled_out = ruled_out.saturating_add(1);
                    // Most that is left may be alike: worth a closer look at where anything lies below.
                    if ruled_out == ATTEMPTS {
                        possible = possible.and(self.above_others(budget));
                    }
                }
                Err(NoRequest::Unknown(Cap::NotReproduced)) => {
                    answer = Answer::Unknown(Cap::NotReproduced);
                    failed = failed.saturating_add(1);
                }
                Err(NoRequest::Unknown(cap)) => return Answer::Unknown(cap),
            }
            // Another path may do where this one does not: one that more lies below.
            let switches = self.analysis.policy().switches();
            let Ok(tried) = CanonicalPath::parse(path.as_bytes(), switches) else {
                return Answer::Unknown(Cap::NotReproduced);
            };
            possible = possible.without(PathSet::below(&tried));
        }
        Answer::Unknown(Cap::NotReproduced)
    }

    /// The set without those paths of which no request can be made: where other paths start from this
    /// one, some of them has to lie below it.
    fn possible(&self) -> PathSet {
        let mut possible = self.empty.clone();
        for (_, wanted) in self.others_below() {
            let above = PathSet::from(above(&wanted.formula));
            possible = possible.and(above.or(self.itself(wanted)));
        }
        possible
    }

    /// The paths that something lies below which another argument may have, told pattern by pattern: one of
    /// which nothing is left after what keeps out says nothing about what lies above.
    fn above_others(&self, budget: &Budget<'_>) -> PathSet {
        let mut all = PathSet::from(Formula::Const(true));
        for (other, wanted) in self.others_below() {
            let Some(other) = other.filter(|_| wanted.formula.needs_a_scope()) else {
                continue;
            };
            let space = self.analysis.space(other);
            let mut scopes = wanted.formula.scopes();
            scopes.retain(|scope| {
                let part = wanted.clone().and(scope.clone().into());
                !space.is_empty(&part, budget).holds()
            });
            let above = PathSet::from(Formula::any(scopes.iter().map(above)));
            all = all.and(above.or(self.itself(wanted)));
        }
        all
    }

    /// The paths of a set that can be written as `.` by whoever starts there.
    fn itself(&self, set: PathSet) -> PathSet {
        match self.analysis.policy().switches().dot {
            Dot::Deny => PathSet::nothing(),
            Dot::Strip => set,
        }
    }

    /// The cells of the arguments that start from the cell's path and have to be let through, each with the
    /// paths that are.
    fn others_below(&self) -> Vec<(Option<&Cell>, PathSet)> {
        if !self.wants_all() || !self.is_base() {
            return Vec::new();
        }
        let policy = self.analysis.policy();
        let action = policy.action(self.cell.tool_nth, self.cell.action_nth);
        let arguments = action
            .into_iter()
            .flat_map(|(tool, action, _)| path_arguments(tool, action));
        let arguments = arguments.filter(|(argument, kind)| {
            let is_other = self.cell.argument() != Some(argument.name.as_str());
            let may_be_needed = argument.required || kind.is_implied();
            is_other && may_be_needed && !kind.base
        });
        // Left out, the directory that the command starts in is meant too.
        let wanted = arguments.map(|(argument, _)| {
            let cell = self.cell_of(argument);
            (
                cell,
                cell.map_or_else(PathSet::nothing, |cell| self.wanted(cell)),
            )
        });
        wanted.collect()
    }

    /// Returns true if the request is decided as is expected only if every path of it is let through.
    fn wants_all(&self) -> bool {
        matches!(self.expected, Expected::Is(Effect::Allow | Effect::Ask))
    }

    /// Returns true if other paths start from the cell's.
    fn is_base(&self) -> bool {
        let policy = self.analysis.policy();
        let action = policy.action(self.cell.tool_nth, self.cell.action_nth);
        let mut paths = action
            .iter()
            .flat_map(|(tool, action, _)| path_arguments(tool, action));
        self.cell.is_cwd()
            || paths.any(|(argument, kind)| {
                kind.base && self.cell.argument() == Some(argument.name.as_str())
            })
    }

    /// The cell of another argument.
    fn cell_of(&self, argument: &Argument) -> Option<&Cell> {
        self.analysis.cells().iter().find(|cell| {
            cell.argument() == Some(argument.name.as_str())
                && (cell.tool_nth, cell.action_nth) == (self.cell.tool_nth, self.cell.action_nth)
        })
    }

    /// The paths that another argument may have, for the request to be decided as is expected.
    fn wanted(&self, cell: &Cell) -> PathSet {
        let judged = self.analysis.judged(cell, self.context);
        PathSet::from(match self.expected {
            Expected::Is(Effect::Ask) => judged.let_through(),
            Expected::Is(_) | Expected::IsNot(_) | Expected::Whatever => judged.of(Effect::Allow),
        })
    }

    /// The request that a path makes.
    pub(super) fn witness(&self, path: Option<&str>, budget: &Budget<'_>) -> Answer<Witness> {
        match self.made(path, budget) {
            Ok(witness) => Answer::Fails(witness),
            Err(NoRequest::Never | NoRequest::Impossible) => Answer::Holds,
            Err(NoRequest::NothingBelow) => Answer::Unknown(Cap::NotReproduced),
            Err(NoRequest::Unknown(cap)) => Answer::Unknown(cap),
        }
    }

    /// The request that a path makes, decided as is expected; else what is in its way.
    fn made(&self, path: Option<&str>, budget: &Budget<'_>) -> Result<Witness, NoRequest> {
        let mut why = NoRequest::Unknown(Cap::NotReproduced);
        for from in [Start::Workspace, Start::Parent] {
            match self.request(path, from, budget) {
                Ok(request) => {
                    let decision = decide(self.analysis.policy(), &request, self.context);
                    let is_about_path = path.is_none_or(|path| {
                        let canonical = decision
                            .findings()
                            .iter()
                            .filter_map(|finding| finding.canonical.as_deref());
                        canonical.into_iter().any(|found| found == path)
                    });
                    if self.expected.is_met(&decision) && is_about_path {
                        return Ok(Witness {
                            request,
                            context: self.context.clone(),
                            argument: self.cell.argument().map(str::to_owned),
                            path: path.map(str::to_owned),
                            decision,
                            region: None,
                        });
                    }
                }
                Err(
                    final_ @ (NoRequest::Never | NoRequest::Impossible | NoRequest::NothingBelow),
                ) => {
                    return Err(final_);
                }
                Err(unknown @ NoRequest::Unknown(_)) => why = unknown,
            }
        }
        Err(why)
    }

    /// A request with that path, its other arguments such that they are allowed if they can be.
    fn request(
        &self,
        path: Option<&str>,
        from: Start,
        budget: &Budget<'_>,
    ) -> Result<Request, NoRequest> {
        let not_made = NoRequest::Unknown(Cap::NotReproduced);
        let policy = self.analysis.policy();
        let Some((tool, action, _)) = policy.action(self.cell.tool_nth, self.cell.action_nth)
        else {
            return Err(not_made);
        };
        let mut request = Request::named(&tool.name, &action.name).with_actor(self.context.actor());
        // Where the other paths start from.
        let mut base: Option<&str> = None;
        let mut text = path;
        if self.cell.is_cwd() {
            base = path;
            request = request.with_cwd(path.unwrap_or("."));
        } else if from == Start::Parent {
            let Some((above, name)) = path.and_then(|path| path.rsplit_once('/')) else {
                return Err(not_made);
            };
            request = request.with_cwd(above);
            (base, text) = (Some(above), Some(name));
        }
        let beside = match self.cell.argument() {
            Some(asked) if !self.cell.is_cwd() => {
                in_front(tool, action, asked).ok_or(NoRequest::Impossible)?
            }
            _ => Vec::new(),
        };
        for argument in tool.arguments(action) {
            let is_asked = self.cell.argument() == Some(argument.name.as_str());
            let is_needed = argument.required || beside.contains(&argument.name.as_str());
            if is_asked && let Some(text) = text {
                // The workspace where it cannot be written: left out, it is meant.
                let is_implied = text == "." && policy.switches().dot == Dot::Deny;
                if !is_implied {
                    request = request.with_arg(&argument.name, text);
                }
                if let ArgumentKind::Path(kind) = &argument.kind
                    && kind.base
                {
                    base = path;
                }
                continue;
            }
            match &argument.kind {
                ArgumentKind::Path(kind) if is_needed || kind.is_implied() => {
                    let other = match self.other(argument, is_needed, base, budget) {
                        // From another directory it may be otherwise.
                        Err(NoRequest::NothingBelow) if base != path => return Err(not_made),
                        other => other?,
                    };
                    if let Some(other) = other {
                        request = request.with_arg(&argument.name, other.as_str());
                    }
                }
                _ if !is_needed => {}
                ArgumentKind::Path(_) => {}
                ArgumentKind::Flag => request = request.with_arg(&argument.name, Value::Flag(true)),
                ArgumentKind::Text { pattern, .. } => {
                    let text = match pattern {
                        Some(pattern) => pattern
                            .example()
                            .ok_or(NoRequest::Unknown(Cap::NotReproduced))?,
                        None => "a".to_owned(),
                    };
                    request = request.with_arg(&argument.name, text.as_str());
                }
                ArgumentKind::Int { min, max } => {
                    request = request.with_arg(&argument.name, Value::Int(1.clamp(*min, *max)));
                }
                ArgumentKind::Choice(words) => {
                    let first = words.first().map_or("", String::as_str);
                    request = request.with_arg(&argument.name, first);
                }
            }
        }
        Ok(request)
    }

    /// A path for another argument that is allowed; none if it is best left out.
    fn other(
        &self,
        argument: &Argument,
        is_needed: bool,
        base: Option<&str>,
        budget: &Budget<'_>,
    ) -> Result<Option<String>, NoRequest> {
        let Some(cell) = self.cell_of(argument) else {
            return Err(NoRequest::Unknown(Cap::NotReproduced));
        };
        let mut allowed = self.wanted(cell);
        let at = base.unwrap_or(".");
        let is_implied = match &argument.kind {
            ArgumentKind::Path(kind) => match kind.absent {
                Absent::Nothing => true,
                Absent::Here => allowed.formula.holds(at),
                Absent::Workspace => allowed.formula.holds(".") && allowed.formula.holds(at),
            },
            ArgumentKind::Flag
            | ArgumentKind::Text { .. }
            | ArgumentKind::Int { .. }
            | ArgumentKind::Choice(_) => true,
        };
        if !is_needed && is_implied {
            return Ok(None);
        }
        let switches = self.analysis.policy().switches();
        let wanted = allowed.clone();
        let itself_too = |base: &str| switches.dot != Dot::Deny && wanted.formula.holds(base);
        let below = match base {
            Some(base) => {
                let Ok(base) = CanonicalPath::parse(base.as_bytes(), switches) else {
                    return Err(NoRequest::Unknown(Cap::NotReproduced));
                };
                let itself = PathSet::of(
                    &crate::policy::glob::Pattern::exactly(&base),
                    crate::policy::glob::Case::Exact,
                );
                allowed = allowed.and(PathSet::below(&base)).without(itself);
                Some(base)
            }
            None => None,
        };
        let by_both = match self
            .beside
            .and_then(|beside| beside.twin(cell).map(|twin| (beside, twin)))
        {
            Some((beside, twin)) => {
                let passed = beside.paths(twin, self.context, Effect::Allow);
                let passed = passed.or(beside.paths(twin, self.context, Effect::Ask));
                self.analysis
                    .space(cell)
                    .is_empty(&allowed.clone().and(passed), budget)
            }
            None => Answer::Holds,
        };
        let found = match by_both {
            Answer::Holds | Answer::Unknown(_) => {
                self.analysis.space(cell).is_empty(&allowed, budget)
            }
            Answer::Fails(path) => Answer::Fails(path),
        };
        match found {
            Answer::Fails(path) => Ok(Some(
                match below.as_ref().filter(|base| !base.is_workspace()) {
                    Some(base) => {
                        let rest = path
                            .strip_prefix(base.as_str())
                            .and_then(|rest| rest.strip_prefix('/'));
                        rest.unwrap_or(&path).to_owned()
                    }
                    None => path,
                },
            )),
            Answer::Unknown(cap) => Err(NoRequest::Unknown(cap)),
            // The directory itself, where that can be written.
            Answer::Holds if base.is_some_and(itself_too) => Ok(Some(".".to_owned())),
            Answer::Holds if self.wants_all() && base.is_none() => Err(NoRequest::Never),
            Answer::Holds if self.wants_all() => {
                // Nothing below the base may still be nothing at all.
                match self.analysis.space(cell).is_empty(&wanted, budget) {
                    Answer::Holds => Err(NoRequest::Never),
                    Answer::Fails(_) => Err(NoRequest::NothingBelow),
                    Answer::Unknown(cap) => Err(NoRequest::Unknown(cap)),
                }
            }
            // It is not to be allowed anyhow: any path will do.
            Answer::Holds if is_needed => Ok(Some("a".to_owned())),
            Answer::Holds => Ok(None),
        }
    }
}

/// The positional arguments that have to be given so that `asked`, known by its place, is read as itself.
/// None if others take every word that could be its.
fn in_front<'p>(tool: &'p Tool, action: &'p Action, asked: &str) -> Option<Vec<&'p str>> {
    let own = action.command.is_empty().then_some(&tool.args);
    let groups: [Vec<&Argument>; 2] = [
        own.into_iter().flatten().chain(&action.args).collect(),
        action.after.iter().flatten().collect(),
    ];
    for group in groups {
        let takers: Vec<&Argument> = group
            .into_iter()
            .filter(|argument| argument.spelling == Spelling::Positional)
            .collect();
        let Some(place) = takers.iter().position(|argument| argument.name == asked) else {
            continue;
        };
        let shares = (1..=takers.len()).map(|words| positional_shares(&takers, words));
        let reaches = |shares: &Vec<usize>| shares.get(place).is_some_and(|share| *share > 0);
        let shares = shares.into_iter().find(reaches)?;
        let given = takers.iter().zip(shares).filter(|(_, share)| *share > 0);
        return Some(given.map(|(argument, _)| argument.name.as_str()).collect());
    }
    Some(Vec::new())
}

/// The path with plain names in place of odd ones, where the set holds that too: on its way to what it has
/// to match, a search takes names that match more than they have to.
fn plainer(path: &str, set: &PathSet) -> String {
    let mut names: Vec<&str> = path.split('/').collect();
    let last = names.len().saturating_sub(1);
    for nth in 0..names.len() {
        let Some(name) = names.get(nth).copied() else {
            continue;
        };
        // A directory's name has no ending.
        let begins_plain = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if path == "." || begins_plain && (nth == last || !name.contains('.')) {
            continue;
        }
        names
            .iter_mut()
            .skip(nth)
            .take(1)
            .for_each(|name| *name = "a");
        if !set.formula.holds(&names.join("/")) {
            names
                .iter_mut()
                .skip(nth)
                .take(1)
                .for_each(|old| *old = name);
        }
    }
    names.join("/")
}

/// Where the path of a request starts from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Workspace,
    /// The directory it is in: some texts are no argument as a whole.
    Parent,
}
