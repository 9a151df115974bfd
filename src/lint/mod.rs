//! Checks of a policy, valid or not: findings with places, witnesses and fixes; and runs of a policy's own
//! tests.
//!
//! A policy that does not load is told what is wrong with it by the loader; one that loads is looked at by
//! the rules of the catalogue, one file each in `rules`. Nothing here touches the disk: what is known of it
//! comes in as [`Surroundings`].
//!
//! | file | |
//! |---|---|
//! | `catalogue`, `rule`, `rules` | the codes with their pages; one file for each rule about a policy that loads |
//! | `loading`, `misspelt` | the codes of policies that do not load; names that were meant |
//! | `subject`, `yaml`, `surroundings` | what a rule is given: the policy, its text as a tree, what lies around it |
//! | `exact`, `exposures`, `commands`, `samples`, `sensitive_paths` | answers that rules share: of analysis, about secrets, about command lines; requests and places to ask about |
//! | `diagnostic`, `suppress`, `fix`, `render` | a finding, the comment that silences it, its fix, its output |
//! | `policy_tests`, `coverage`, `generate`, `suggest` | a policy's tests: run, counted, written; rules for what was denied |

#![forbid(unsafe_code)]

mod catalogue;
mod commands;
pub mod coverage;
pub mod diagnostic;
mod exact;
mod exposures;
pub mod fix;
pub mod generate;
mod loading;
mod misspelt;
pub mod policy_tests;
#[cfg(feature = "cli")]
pub mod render;
mod rule;
mod rules;
mod samples;
mod sensitive_paths;
mod subject;
pub mod suggest;
mod suppress;
mod surroundings;
mod yaml;

pub use catalogue::{markdown, page, pages};
pub use diagnostic::{Diagnostic, Edit, Fix, Level, NamedRequest, Related, Safety, Witness};
pub use rule::{HEADINGS, Page};
pub use surroundings::{Kind, OpenGrant, Readable, Surroundings, Unknown, Writable};

use crate::policy::{CompiledPolicy, PolicyErrors, SourceFile, Span};
use rule::Findings;
use subject::Subject;

/// Findings in one policy, in reading order.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The texts that findings point into.
    pub files: Vec<SourceFile>,
    /// The findings.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// The report of the loader's errors.
    #[must_use]
    pub fn of_errors(errors: &PolicyErrors) -> Report {
        let files = (0..=u16::MAX)
            .map_while(|file| {
                errors.file(Span {
                    file,
                    ..Span::default()
                })
            })
            .cloned()
            .collect();
        let text = |at| errors.file(at).map_or("", |file| file.text.as_str());
        let problems = errors.problems().iter();
        Report {
            files,
            diagnostics: problems
                .map(|problem| loading::diagnostic(problem, text(problem.at)))
                .collect(),
        }
    }

    /// The report of a file that cannot be read.
    #[cfg(feature = "cli")]
    pub(crate) fn of_unread(file: &str, why: &str) -> Report {
        Report {
            files: vec![SourceFile::new(file, "")],
            diagnostics: vec![loading::unread(why)],
        }
    }

    /// The file that a place is in.
    #[must_use]
    pub fn file(&self, at: Span) -> Option<&SourceFile> {
        self.files.get(usize::from(at.file))
    }

    /// Number of findings of this level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level == level)
            .count()
    }
}

/// Facts that a check may depend on besides the policy and its surroundings.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct Options<'o> {
    /// The present time, for rules about dates; without it they say nothing.
    pub now: Option<jiff::Timestamp>,
    /// The policy that nothing may be allowed beyond.
    pub baseline: Option<&'o CompiledPolicy>,
    /// Returns true once the time that exact analysis may take is over.
    pub is_late: Option<&'o dyn Fn() -> bool>,
}

impl<'o> Options<'o> {
    /// Sets the time that rules about dates compare with.
    #[must_use]
    pub fn at(mut self, now: jiff::Timestamp) -> Options<'o> {
        self.now = Some(now);
        self
    }

    /// Sets the policy that nothing may be allowed beyond.
    #[must_use]
    pub fn against(mut self, baseline: &'o CompiledPolicy) -> Options<'o> {
        self.baseline = Some(baseline);
        self
    }

    /// Ends exact analysis once `is_late` returns true.
    #[must_use]
    pub fn until(mut self, is_late: &'o dyn Fn() -> bool) -> Options<'o> {
        self.is_late = Some(is_late);
        self
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("now", &self.now)
            .field("baseline", &self.baseline)
            .finish_non_exhaustive()
    }
}

/// Looks at a policy that loads.
///
/// ```
/// use lictor::lint::{self, Options, Unknown};
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: open
/// use: lictor/files@1
/// scopes: {all: \"**\"}
/// rules:
///   - {id: read, allow: filesystem.read_file, within: all}
/// ",
/// )?;
/// let report = lint::run(&policy, &Unknown, &Options::default());
/// let secrets = report.diagnostics.iter().find(|found| found.code == "G119").unwrap();
/// assert_eq!(secrets.at.line, 6);
/// assert_eq!(secrets.witness.as_ref().unwrap().path.as_deref(), Some(".env"));
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[must_use]
pub fn run(policy: &CompiledPolicy, around: &dyn Surroundings, options: &Options<'_>) -> Report {
    let mut report = Report {
        files: policy.files().cloned().collect(),
        diagnostics: Vec::new(),
    };
    let Some(subject) = Subject::new(policy, around, *options) else {
        return report;
    };
    let found = &mut report.diagnostics;
    for rule in rules::ALL {
        (rule.check)(&subject, &mut Findings::new(&rule.page, found));
    }
    let mut suppressions = suppress::find(&subject.text);
    suppress::apply(found, &mut suppressions);
    // A question that was not decided may have had something to silence.
    let is_decided = !found.iter().any(|found| found.code == "L215");
    let mut unused = Findings::new(rules::unused_suppression(), found);
    suppress::unused(&subject.text, &suppressions, is_decided, &mut unused);
    found.sort_by(|a, b| {
        (a.at.file, a.at.offset, a.code, &a.message).cmp(&(
            b.at.file,
            b.at.offset,
            b.code,
            &b.message,
        ))
    });
    found.dedup();
    report
}
