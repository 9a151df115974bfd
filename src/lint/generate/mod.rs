//! Writes tests for the points that a policy's own tests do not show: one for each rule, and one for where
//! each scope ends.
//!
//! A test is made of a request that was decided, written as the policy would write it, read back from that
//! text and run as `lictor test` runs it; only what then passes, and shows what it is for, is handed out.
//! What no request can show is told with the reason; what could not be decided is told as unknown.

#![forbid(unsafe_code)]

mod requests;
mod write;

use std::collections::{HashMap, HashSet};

use super::coverage::{Coverage, PointKind, boundaries, untested_rules};
use super::diagnostic::Edit;
use super::policy_tests::{self, TestOutcome};
use super::subject::Subject;
use super::surroundings::Unknown;
use super::{Options, fix, samples, yaml};
use crate::decision::{Decision, Request, Value, command_line, decide};
use crate::policy::model::Test;
use crate::policy::source::Node;
use crate::policy::{self, CompiledPolicy, Place, Span};
use requests::{Finder, Tried};
use write::{Form, Spot};

/// Tests that a policy lacks.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Generated {
    /// The tests, in the order of the rules and then of the scopes that they show.
    pub tests: Vec<GeneratedTest>,
    /// The points for which no test was found.
    pub left: Vec<Left>,
    /// The text of the policy's first file with the tests; none if there are none, or its layout has no room
    /// for them.
    pub text: Option<String>,
    /// Whole per cent of the rules and boundaries that the policy's own tests show.
    pub percent_before: u8,
    /// Coverage with these tests, in percent.
    pub percent: u8,
}

/// A test that shows something no test of the policy shows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GeneratedTest {
    /// Its name, which no other test of the policy has.
    pub id: String,
    /// The points that it was made for: rules and scopes by name.
    pub shows: Vec<(PointKind, String)>,
    /// The test, as an item of `tests`.
    pub yaml: String,
    /// Its result.
    pub outcome: TestOutcome,
}

/// A rule or a boundary that no test was found for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// A rule or a boundary.
    pub kind: PointKind,
    /// The rule's id or the scope's name.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// Why: a fragment.
    pub why: String,
    /// True if it was not decided that there is none.
    pub is_unknown: bool,
}

/// Makes the tests that bring a policy's coverage as far as it goes. Only the time to stop is taken from the
/// options.
///
/// ```
/// use lictor::lint::Options;
/// use lictor::lint::generate::generate;
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
/// let made = generate(&policy, &Options::default());
/// assert_eq!((made.percent_before, made.percent), (0, 100));
/// assert_eq!(
///     made.tests[0].yaml,
///     "{id: allow-read-docs, tool: filesystem, action: read_file, args: {path: docs/a}, expect: allow, rule: read-docs}"
/// );
/// assert_eq!(made.tests[1].id, "deny-beside-docs");
/// // With them, nothing is missing.
/// let tested = CompiledPolicy::from_yaml(&made.text.unwrap())?;
/// assert!(generate(&tested, &Options::default()).tests.is_empty());
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[must_use]
pub fn generate(policy: &CompiledPolicy, options: &Options<'_>) -> Generated {
    let Some(subject) = Subject::new(policy, &Unknown, *options) else {
        return Generated::default();
    };
    let found = find(&subject);
    let before = Coverage::of(policy);
    let mut after = before.clone();
    for point in &mut after.points {
        let is_left = found
            .left
            .iter()
            .any(|left| (left.kind, &left.name) == (point.kind, &point.name));
        point.is_covered = !is_left;
    }
    Generated {
        text: found.text(&subject),
        percent_before: before.percent(),
        percent: after.percent(),
        tests: found.made.iter().map(|made| made.test.clone()).collect(),
        left: found.left,
    }
}

/// Tests found for one policy.
#[derive(Debug, Default)]
pub(crate) struct Found {
    made: Vec<Made>,
    left: Vec<Left>,
    /// Where the document has room for them.
    spot: Option<Spot>,
    /// Which of them was made for what.
    shown: HashMap<(PointKind, String), usize>,
}

#[derive(Debug)]
struct Made {
    test: GeneratedTest,
    /// The test without its layout.
    node: String,
    /// Texts of the requests and of the facts given.
    asks: Vec<String>,
}

impl Found {
    /// The test for a rule or boundary, and the edit that adds it.
    pub(crate) fn test_for(&self, kind: PointKind, name: &str) -> Option<(&str, Option<Edit>)> {
        let nth = self.shown.get(&(kind, name.to_owned()))?;
        let made = self.made.get(*nth)?;
        let edit = self.spot.as_ref();
        let edit = edit.map(|spot| spot.edit(&[&made.test.yaml]));
        Some((&made.test.yaml, edit))
    }

    /// The first of the tests for several points, and the edit that adds them all.
    pub(crate) fn tests_for(
        &self,
        kind: PointKind,
        names: &[&str],
    ) -> Option<(&str, Option<Edit>)> {
        let made = names.iter().filter_map(|name| self.test_for(kind, name));
        let tests: Vec<&str> = made.map(|(test, _)| test).collect();
        let edit = self.spot.as_ref().map(|spot| spot.edit(&tests));
        Some((*tests.first()?, edit))
    }

    /// The document with all of them.
    fn text(&self, subject: &Subject<'_>) -> Option<String> {
        let tests: Vec<&str> = self
            .made
            .iter()
            .map(|made| made.test.yaml.as_str())
            .collect();
        let edit = self.spot.as_ref()?.edit(&tests);
        fix::preview(&subject.text, &[edit])
    }

    /// Why there is none.
    pub(crate) fn left(&self, kind: PointKind, name: &str) -> Option<&Left> {
        self.left
            .iter()
            .find(|left| left.kind == kind && left.name == name)
    }
}

/// Looks for everything that is missing.
pub(super) fn find(subject: &Subject<'_>) -> Found {
    let untested: HashSet<String> = untested_rules(subject.policy, &subject.tests)
        .into_iter()
        .collect();
    let mut maker = Maker {
        subject,
        ids: subject
            .model
            .tests
            .iter()
            .filter_map(|test| test.id.clone())
            .collect(),
        asks: HashMap::new(),
        found: Found::default(),
    };
    let finder = Finder::new(subject);
    for rule in subject
        .rules()
        .filter(|rule| untested.contains(&rule.written.id))
    {
        let point = Point {
            kind: PointKind::Rule,
            name: &rule.written.id,
            at: rule.written.at,
        };
        let by_it = |decision: &Decision| {
            let mut rules = decision.rules().iter();
            rules.any(|by| by.id == rule.written.id)
        };
        let tried = finder.of_rule(rule, &by_it);
        maker.take(&point, tried, &by_it);
    }
    let boundaries = boundaries(subject);
    for boundary in boundaries.iter().filter(|known| !known.is_tested) {
        let point = Point {
            kind: PointKind::Boundary,
            name: &boundary.scope.name,
            at: boundary.at,
        };
        let shown = |decision: &Decision| boundary.is_shown_by(decision);
        let tried = finder.of_boundary(boundary, &shown);
        maker.take(&point, tried, &shown);
    }
    let mut found = maker.found;
    // One that was made for something else may show it all the same.
    let made = &found.made;
    found.left.retain(|left| {
        let shows = |decision: &Decision| match left.kind {
            PointKind::Rule => decision.rules().iter().any(|rule| rule.id == left.name),
            PointKind::Boundary => boundaries
                .iter()
                .any(|known| known.scope.name == left.name && known.is_shown_by(decision)),
        };
        !made.iter().any(|made| shows(&made.test.outcome.decision))
    });
    if !found.made.is_empty() {
        for spot in write::spots(&subject.text, &subject.root) {
            found.spot = Some(spot);
            let is_good = found
                .text(subject)
                .is_some_and(|text| adds_only(subject, &text, &found.made));
            if is_good {
                return found;
            }
        }
        found.spot = None;
    }
    found
}

/// Returns true if a text says what the policy's says, and the tests besides.
fn adds_only(subject: &Subject<'_>, text: &str, made: &[Made]) -> bool {
    let Some((root, _, true)) = policy::reread_strictly(text) else {
        return false;
    };
    let others = |root: &Node| -> Vec<(String, String)> {
        let entries = yaml::entries(root).filter(|(key, _)| yaml::text(key) != Some("tests"));
        let written = entries.map(|(key, value)| (yaml::written(key), yaml::written(value)));
        written.collect()
    };
    let tests = |root: &Node| -> Vec<String> {
        let tests = yaml::get(root, "tests").map_or(&[][..], yaml::items);
        tests.iter().map(yaml::written).collect()
    };
    let (before, after) = (tests(&subject.root), tests(&root));
    let new: Vec<String> = made.iter().map(|made| made.node.clone()).collect();
    let is_added =
        after == [before.clone(), new.clone()].concat() || after == [new, before].concat();
    is_added && others(&subject.root) == others(&root)
}

/// A request, by name, with what it is given.
#[derive(Clone, Debug)]
struct Asked {
    tool: String,
    action: String,
    args: Vec<(String, Value)>,
    cwd: Option<String>,
    actor: String,
    approved: Vec<String>,
    env: Vec<(String, String)>,
    /// When, if that matters: some rule has lapsed by then.
    at: Option<jiff::Timestamp>,
}

impl Asked {
    fn request(&self) -> Request {
        let named = Request::named(&*self.tool, &*self.action);
        let args = self.args.iter();
        let request = args.fold(named, |request, (name, value)| {
            request.with_arg(name, value.clone())
        });
        let request = match &self.cwd {
            Some(cwd) => request.with_cwd(cwd.as_str()),
            None => request,
        };
        request.with_actor(&*self.actor)
    }

    fn decided(&self, policy: &CompiledPolicy) -> Decision {
        let context = crate::decision::Context::new(&*self.actor);
        let switches = self.env.iter();
        let context = switches.fold(context, |context, (name, value)| {
            context.with_switch(name, value)
        });
        let approved = self.approved.iter();
        let context = approved.fold(context, |context, name| context.with_approval(name));
        let context = match self.at {
            Some(now) => context.with_time(now),
            None => context,
        };
        decide(policy, &self.request(), &context)
    }
}

struct Point<'a> {
    kind: PointKind,
    name: &'a str,
    at: Span,
}

struct Maker<'a, 's> {
    subject: &'a Subject<'s>,
    ids: HashSet<String>,
    /// Requests of the tests, with their places among those that were made.
    asks: HashMap<Vec<String>, usize>,
    found: Found,
}

impl Maker<'_, '_> {
    /// Makes a test of the first request that one can be made of.
    fn take(&mut self, point: &Point<'_>, tried: Tried, shows: &dyn Fn(&Decision) -> bool) {
        for (name, asked) in &tried.requests {
            let id = self.unused(name);
            if let Some(made) = written(self.subject, &id, asked, shows) {
                self.add(point, made);
                return;
            }
        }
        let (why, is_unknown) = tried.why_not.unwrap_or_else(|| {
            let why = "no test says what the requests that would show it say";
            (why.to_owned(), true)
        });
        self.found.left.push(Left {
            kind: point.kind,
            name: point.name.to_owned(),
            at: self.subject.policy.place(point.at),
            why,
            is_unknown,
        });
    }

    fn add(&mut self, point: &Point<'_>, mut made: Made) {
        let shows = (point.kind, point.name.to_owned());
        // Two tests that ask the same are one (T403).
        let next = self.found.made.len();
        let first = *self.asks.entry(made.asks.clone()).or_insert(next);
        self.found.shown.insert(shows.clone(), first);
        if let Some(other) = self.found.made.get_mut(first) {
            other.test.shows.push(shows);
            return;
        }
        made.test.shows.push(shows);
        self.ids.insert(made.test.id.clone());
        self.found.made.push(made);
    }

    /// The name, with a number if a test has it.
    fn unused(&self, name: &str) -> String {
        let fitting = |text: &str, room: usize| text.chars().take(room).collect::<String>();
        let mut id = fitting(name, LONGEST_ID);
        let mut number = 2_u32;
        while self.ids.contains(&id) {
            let end = format!("-{number}");
            id = fitting(name, LONGEST_ID.saturating_sub(end.len())) + &end;
            number = number.saturating_add(1);
        }
        id
    }
}

/// Most characters of a name.
const LONGEST_ID: usize = 64;

/// The test that a request makes, read back from its text and run: none if it does not pass as it is written,
/// or does not show what it is for.
fn written(
    subject: &Subject<'_>,
    id: &str,
    asked: &Asked,
    shows: &dyn Fn(&Decision) -> bool,
) -> Option<Made> {
    let decision = asked.decided(subject.policy);
    if !shows(&decision) {
        return None;
    }
    let words = command_line(subject.policy, &asked.request());
    let is_anyone = asked.actor == samples::ANYONE;
    let run = words.as_deref().map(Form::Run);
    for form in run.into_iter().chain([Form::Named]) {
        let actors = [None, Some(asked.actor.as_str())];
        for actor in actors
            .into_iter()
            .filter(|actor| is_anyone || actor.is_some())
        {
            let text = write::test(id, &form, asked, actor, &decision);
            let Some((node, read)) = read(&text) else {
                continue;
            };
            let outcome = policy_tests::run_one(subject.policy, &read);
            let is_alike = outcome.decision.rules() == decision.rules()
                && outcome.decision.asked().tool == decision.asked().tool
                && outcome.decision.asked().action == decision.asked().action;
            if outcome.passed() && is_alike && shows(&outcome.decision) {
                let test = GeneratedTest {
                    id: id.to_owned(),
                    shows: Vec::new(),
                    yaml: text,
                    outcome,
                };
                let asks = ["run", "tool", "action", "args", "cwd", "given"];
                let asks =
                    asks.map(|key| yaml::get(&node, key).map_or(String::new(), yaml::written));
                return Some(Made {
                    test,
                    node: yaml::written(&node),
                    asks: asks.into(),
                });
            }
        }
    }
    None
}

/// One test, read as a policy's: as it stands there, and as it is meant.
fn read(text: &str) -> Option<(Node, Test)> {
    let document = format!("version: 1\nname: one\nrules: []\ntests:\n  - {text}\n");
    let (root, model, is_good) = policy::reread_strictly(&document)?;
    if !is_good {
        return None;
    }
    let node = yaml::items(yaml::get(&root, "tests")?).first()?.clone();
    Some((node, model.tests.into_iter().next()?))
}
