//! Coverage of a policy by its own tests: the rules that decide one of them, and the scopes that are seen to
//! end.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::Options;
use super::policy_tests::TestOutcome;
use super::subject::{Deed, Subject};
use super::surroundings::Unknown;
use crate::decision::{Decision, Effect};
use crate::policy::glob::Pattern;
use crate::policy::model::Scope;
use crate::policy::{CompiledPolicy, Place, Span};

/// Coverage of a policy by its tests.
///
/// ```
/// use lictor::lint::coverage::Coverage;
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: half
/// use: lictor/files@1
/// scopes: {docs: \"docs/**\"}
/// rules:
///   - {id: read, allow: filesystem.read_file, within: docs}
/// tests:
///   - {tool: filesystem, action: read_file, args: {path: docs/a.md}, expect: allow, rule: read}
/// ",
/// )?;
/// let coverage = Coverage::of(&policy);
/// assert_eq!((coverage.covered(), coverage.total(), coverage.percent()), (1, 2, 50));
/// assert_eq!(coverage.missing().map(|point| point.name.as_str()).collect::<Vec<_>>(), ["docs"]);
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Every rule and every boundary, in the order of the document.
    pub points: Vec<Point>,
}

/// One thing that a test can show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Point {
    /// A rule or a scope's boundary.
    pub kind: PointKind,
    /// The rule's id or the scope's name.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// True if a test shows it.
    pub is_covered: bool,
}

/// A point that a test can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PointKind {
    /// A rule at work.
    Rule,
    /// Where a scope of an allow rule ends.
    Boundary,
}

impl PointKind {
    /// The word in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            PointKind::Rule => "rule",
            PointKind::Boundary => "boundary",
        }
    }
}

impl Coverage {
    /// Runs the policy's tests and looks at what they show.
    #[must_use]
    pub fn of(policy: &CompiledPolicy) -> Coverage {
        let Some(subject) = Subject::new(policy, &Unknown, Options::default()) else {
            return Coverage::default();
        };
        let untested = untested_rules(policy, &subject.tests);
        let rules = subject.rules().map(|rule| Point {
            kind: PointKind::Rule,
            name: rule.written.id.clone(),
            at: policy.place(rule.written.at),
            is_covered: !untested.contains(&rule.written.id),
        });
        let boundaries = boundaries(&subject).into_iter().map(|boundary| Point {
            kind: PointKind::Boundary,
            name: boundary.scope.name.clone(),
            at: policy.place(boundary.at),
            is_covered: boundary.is_tested,
        });
        Coverage {
            points: rules.chain(boundaries).collect(),
        }
    }

    /// Number of points.
    #[must_use]
    pub fn total(&self) -> usize {
        self.points.len()
    }

    /// Number of points that are shown.
    #[must_use]
    pub fn covered(&self) -> usize {
        self.points.iter().filter(|point| point.is_covered).count()
    }

    /// The points that no test shows.
    pub fn missing(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| !point.is_covered)
    }

    /// Whole per cent, rounded down: 100 means all. A policy with nothing to show has 100.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let per_cent = self
            .covered()
            .saturating_mul(100)
            .checked_div(self.total())
            .unwrap_or(100);
        u8::try_from(per_cent).unwrap_or(100)
    }
}

/// The ids of the rules that decide no test. Those that are compiled in are not among them.
pub(super) fn untested_rules(policy: &CompiledPolicy, tests: &[TestOutcome]) -> Vec<String> {
    let decides = |id: &str| {
        tests
            .iter()
            .any(|test| test.decision.rules().iter().any(|rule| rule.id == id))
    };
    policy
        .rules()
        .filter(|(_, rule)| rule.at.is_some() && !decides(&rule.id))
        .map(|(_, rule)| rule.id.clone())
        .collect()
}

/// Where a scope of an allow rule ends.
pub(super) struct Boundary<'s> {
    pub(super) scope: &'s Scope,
    pub(super) at: Span,
    pub(super) is_tested: bool,
    /// Tool and action of whatever an allow rule that names the scope speaks of.
    users: Vec<(&'s str, &'s str)>,
}

impl Boundary<'_> {
    /// Returns true if a decision shows that the scope ends: it keeps out a path that lies outside, or
    /// climbs.
    pub(super) fn is_shown_by(&self, decision: &Decision) -> bool {
        let asked = decision.asked();
        let is_of_it = asked
            .tool
            .as_deref()
            .zip(asked.action.as_deref())
            .is_some_and(|asked| self.users.contains(&asked));
        is_of_it
            && decision.effect() == Effect::Deny
            && decision.findings().iter().any(|finding| {
                let text = String::from_utf8_lossy(finding.path.as_deref().unwrap_or_default());
                let climbs = text.split(['/', '\\']).any(|part| part == "..");
                let is_outside = finding
                    .canonical
                    .as_deref()
                    .is_some_and(|path| !self.is_inside(path));
                finding.reason.is_some() && (climbs || is_outside)
            })
    }

    fn is_inside(&self, path: &str) -> bool {
        let matches = |patterns: &[(Pattern, Span)]| {
            patterns.iter().any(|(pattern, _)| pattern.matches(path))
        };
        matches(&self.scope.include) && !matches(&self.scope.exclude)
    }
}

/// The boundaries of all scopes that an allow rule names and that end somewhere.
pub(super) fn boundaries<'s>(subject: &'s Subject<'_>) -> Vec<Boundary<'s>> {
    let mut users: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for rule in subject.allows() {
        let mut scopes = subject.all_scopes_of(rule.written);
        scopes.dedup_by_key(|scope| &scope.name);
        let deeds = subject.deeds(rule);
        for scope in scopes {
            let of_it = users.entry(&scope.name).or_default();
            let names = |deed: &Deed<'s>| (deed.tool.name.as_str(), deed.action.name.as_str());
            of_it.extend(deeds.iter().map(names));
        }
    }
    let mut boundaries = Vec::new();
    for scope in &subject.model.scopes {
        let Some((_, at)) = scope.include.first() else {
            continue;
        };
        // A pattern that begins with a wildcard has siblings everywhere.
        let begins_anywhere = scope
            .include
            .iter()
            .any(|(pattern, _)| pattern.literal_prefix().is_empty());
        let Some(users) = users
            .remove(scope.name.as_str())
            .filter(|_| !begins_anywhere)
        else {
            continue;
        };
        let mut boundary = Boundary {
            scope,
            at: *at,
            is_tested: false,
            users,
        };
        boundary.is_tested = subject
            .tests
            .iter()
            .any(|test| boundary.is_shown_by(&test.decision));
        boundaries.push(boundary);
    }
    boundaries
}
