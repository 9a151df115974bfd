//! `lictor lint`: what is wrong with policies.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::surroundings::Disk;
use super::{Failure, Global, discover, print, print_json, replace};
use crate::governor::{LoadError, load_unproved};
use crate::lint::{self, Level, Options, Report, fix, render};
use crate::policy::CompiledPolicy;

/// Wall time that exact analysis of one policy may take; what is not decided by then is reported as unknown. A program
/// that is built without optimising takes ten times as long for the same.
const ANALYSIS_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

/// Rounds of fixes. A fix can make room for another one; nothing needs more than a few.
const MOST_ROUNDS: usize = 10;

#[derive(Args, Debug)]
pub(super) struct Lint {
    /// Policies and tool libraries; without one, the policy that other commands would use. A directory stands for
    /// the lictor.yaml in it, `-` for standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// The least level of a finding at which the command ends with 1
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    fail_on: FailOn,
    /// Show hints too, of which people are otherwise told the number, and each finding by itself
    #[arg(long)]
    all: bool,
    /// End with 0 whatever is found
    #[arg(long)]
    exit_zero: bool,
    /// Make the fixes that leave every decision as it was
    #[arg(long)]
    fix: bool,
    /// Report everything that this policy does not allow and a linted one does
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Tell what a code is about, and look at no policy
    #[arg(long, value_name = "CODE", conflicts_with_all = ["files", "fix", "baseline"])]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines they are about
    Human,
    /// One line for each finding
    Compact,
    /// A JSON array
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// Workflow commands of GitHub Actions
    Github,
    /// JUnit XML
    Junit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Errors
    Error,
    /// Errors and warnings
    Warn,
    /// Everything
    Info,
}

impl FailOn {
    fn level(self) -> Level {
        match self {
            FailOn::Error => Level::Error,
            FailOn::Warn => Level::Warning,
            FailOn::Info => Level::Info,
        }
    }
}

pub(super) fn main(command: &Lint, global: &Global) -> Result<Exit, Failure> {
    if let Some(code) = &command.explain {
        return explain(code);
    }
    let directory = discover::current_directory()?;
    let files = if command.files.is_empty() {
        let found = discover::path(global, &directory).ok_or_else(|| {
            Failure::new("there is no policy above this directory; name the file to look at")
        })?;
        vec![found]
    } else {
        command.files.clone()
    };
    let baseline = match &command.baseline {
        Some(file) => Some(discover::load_document(file, &directory)?),
        None => None,
    };
    let place = Around {
        ledger: global.ledger.as_ref().map(|ledger| directory.join(ledger)),
        directory,
        baseline,
    };
    let discover::Each {
        found: mut reports,
        failed,
    } = discover::each(&files, |file| {
        let report = look(file, &place)?;
        if command.fix {
            fixed(file, &place, report)
        } else {
            Ok(report)
        }
    });
    let format = if global.json {
        Format::Json
    } else {
        command.format
    };
    let end = exit(command, &reports);
    let least = command.fail_on.level();
    // Programs get everything.
    let is_for_people = matches!(format, Format::Human | Format::Compact);
    if is_for_people {
        if reports.is_empty() {
            return Ok(Exit::CouldNot);
        }
    } else {
        let unread = failed.iter();
        reports.extend(unread.map(|unread| Report::of_unread(&unread.file, &unread.why)));
    }
    if is_for_people && !command.all && least != Level::Info {
        show(format, &for_people(&reports), least);
        let hidden: usize = reports.iter().map(|report| report.count(Level::Info)).sum();
        if hidden > 0 {
            let hidden = counted(hidden, "hint", "hints");
            message!("{hidden} not shown; `lictor lint --all` shows them");
        }
    } else {
        show(format, &reports, least);
    }
    Ok(if failed.is_empty() {
        end
    } else {
        Exit::CouldNot
    })
}

/// Lint rules whose findings in one policy have one fix: people see the first, and where the others are.
const ALIKE: [&str; 5] = ["G110", "G119", "L215", "X305", "X312"];

/// The findings for people: no hints, and equal ones once.
fn for_people(reports: &[Report]) -> Vec<Report> {
    let mut reports = reports.to_vec();
    for report in &mut reports {
        report.diagnostics.retain(|found| found.level > Level::Info);
        for code in ALIKE {
            let is_alike = |found: &&mut lint::Diagnostic| found.code == code;
            let mut alike = report.diagnostics.iter_mut().filter(is_alike);
            let first = alike.next();
            let mut lines: Vec<String> = alike.map(|found| found.at.line.to_string()).collect();
            lines.dedup();
            if let (Some(first), false) = (first, lines.is_empty()) {
                let what = if lines.len() == 1 { "line" } else { "lines" };
                let more = format!("; and so on {what} {}", lines.join(", "));
                first.message.push_str(&more);
            }
            let mut is_first = true;
            report
                .diagnostics
                .retain(|found| found.code != code || std::mem::take(&mut is_first));
        }
    }
    reports
}

fn exit(command: &Lint, reports: &[Report]) -> Exit {
    let mut found = reports.iter().flat_map(|report| &report.diagnostics);
    let least = command.fail_on.level();
    if command.exit_zero {
        Exit::Good
    } else if found.clone().any(|found| found.level >= least) {
        Exit::Bad
    } else if found.any(|found| found.code == "L215") {
        Exit::Unknown
    } else {
        Exit::Good
    }
}

fn explain(code: &str) -> Result<Exit, Failure> {
    let page = lint::page(code).ok_or_else(|| {
        Failure::new(format!(
            "there is no lint rule `{}`; `policy/LINTS.md` lists all",
            code.escape_debug()
        ))
    })?;
    answer!(
        "# {} {} ({})\n\n{}",
        page.code,
        page.name,
        page.level.word(),
        page.text().trim_end()
    );
    Ok(Exit::Good)
}

/// Facts beside a policy for its lint.
struct Around {
    directory: PathBuf,
    /// The ledger, if not the one that the policy names.
    ledger: Option<PathBuf>,
    baseline: Option<CompiledPolicy>,
}

/// Loads one policy and looks at it.
fn look(file: &Path, around: &Around) -> Result<Report, Failure> {
    match load_unproved(file, &around.directory, &discover::state_directory()) {
        Ok(mut loaded) => {
            if let Some(ledger) = &around.ledger {
                loaded.ledger.clone_from(ledger);
            }
            let begun = Instant::now();
            let is_late = || begun.elapsed() >= ANALYSIS_TIME;
            let mut options = Options::default()
                .at(jiff::Timestamp::now())
                .until(&is_late);
            if let Some(baseline) = &around.baseline {
                options = options.against(baseline);
            }
            Ok(lint::run(&loaded.policy, &Disk::around(&loaded), &options))
        }
        Err(LoadError::Invalid(errors)) => Ok(Report::of_errors(&errors)),
        Err(error) => Err(Failure::new(error)),
    }
}

/// Longest time that the first decision by a policy may have to wait for lint.
const SUMMARY_TIME: Duration = Duration::from_millis(100);

/// The most rules of a policy that is looked at when it decides for the first time. A rule of the catalogue may compare
/// each rule with each other one, and does not look at the clock while it does.
const SUMMARY_RULES: usize = 100;

/// Summary that is recorded beside a policy when it decides for the first time: how many findings there are
/// of each level, and of which rules; `whole` is false where time did not suffice to decide all of them. Of a
/// policy with more than [`SUMMARY_RULES`] nothing else is said. The disk is not looked at.
pub(super) fn in_brief(policy: &CompiledPolicy) -> Json {
    if policy.rules().count() > SUMMARY_RULES {
        return json!({"codes": [], "whole": false});
    }
    let begun = Instant::now();
    let is_late = || begun.elapsed() >= SUMMARY_TIME;
    let options = Options::default().until(&is_late);
    let report = lint::run(policy, &lint::Unknown, &options);
    let codes: BTreeSet<&str> = report.diagnostics.iter().map(|found| found.code).collect();
    json!({
        "errors": report.count(Level::Error),
        "warnings": report.count(Level::Warning),
        "infos": report.count(Level::Info),
        "codes": codes,
        "whole": !is_late(),
    })
}

/// Makes the safe fixes and looks again, until nothing changes.
fn fixed(file: &Path, around: &Around, mut report: Report) -> Result<Report, Failure> {
    if file == Path::new("-") || file.exists() && !file.is_file() {
        return Err(Failure::new(format!(
            "`{}` is no file, so nothing in it can be fixed",
            file.display().to_string().escape_debug()
        )));
    }
    let mut count = 0_usize;
    for _ in 0..MOST_ROUNDS {
        let Some(text) = report.files.first().map(|file| file.text.clone()) else {
            break;
        };
        let Some(made) = fix::apply(&report, &fix::keeps_meaning) else {
            break;
        };
        replace(file, &text, &made.text)?;
        count = count.saturating_add(made.settled.len());
        report = look(file, around)?;
    }
    let shown = file.display().to_string().escape_debug().to_string();
    let left = report.diagnostics.iter();
    let left = left.filter(|found| found.fix.is_some()).count();
    if count > 0 {
        message!("{shown}: {} fixed", counted(count, "finding", "findings"));
    } else if left == 0 {
        message!("{shown}: nothing is fixed: no finding has a fix");
    } else {
        message!(
            "{shown}: nothing is fixed: {} might change a decision; `--format json` shows what it would be, to be made by hand",
            counted(left, "fix", "fixes")
        );
    }
    Ok(report)
}

fn show(format: Format, reports: &[Report], least: Level) {
    let each = |render: fn(&Report) -> String| {
        let texts: Vec<String> = reports
            .iter()
            .filter(|report| !report.diagnostics.is_empty())
            .map(render)
            .collect();
        texts
    };
    match format {
        Format::Human => {
            let texts = each(render::human);
            if !texts.is_empty() {
                print::coloured_answer(&format!("{}\n", texts.join("\n\n")));
            }
            message!("{}", summary(reports));
        }
        Format::Compact | Format::Github => {
            let render = if format == Format::Compact {
                render::compact
            } else {
                render::github
            };
            for text in each(render) {
                answer!("{text}");
            }
        }
        Format::Json => {
            let all = reports.iter().flat_map(render::json).collect();
            print_json(&serde_json::Value::Array(all));
        }
        Format::Sarif => print_json(&render::sarif(reports)),
        Format::Junit => answer_part!("{}", render::lint_junit(reports, least)),
    }
}

/// `2 errors, 1 warning`, or that all is clean.
fn summary(reports: &[Report]) -> String {
    let count = |level| {
        reports
            .iter()
            .map(|report| report.count(level))
            .sum::<usize>()
    };
    let parts: Vec<String> = [
        (Level::Error, "error", "errors"),
        (Level::Warning, "warning", "warnings"),
        (Level::Info, "hint", "hints"),
    ]
    .into_iter()
    .filter(|(level, _, _)| count(*level) > 0)
    .map(|(level, one, more)| counted(count(level), one, more))
    .collect();
    if parts.is_empty() {
        format!("{} clean", counted(reports.len(), "file", "files"))
    } else {
        parts.join(", ")
    }
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy with something that is safe to fix.
    const FIXABLE: &str = "version: 1
name: fixable
use: lictor/files@1
scopes: {docs: [\"docs/**\", \"docs/a/**\"]}
rules:
  - {id: read, allow: filesystem.read_file, within: docs}
";

    fn names(directory: &Path) -> Vec<String> {
        std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Result of a fix of a file that `meanwhile` happens to between reading and fixing.
    fn fixed_after(meanwhile: impl FnOnce(&Path)) -> (tempfile::TempDir, Result<Report, Failure>) {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("lictor.yaml");
        std::fs::write(&file, FIXABLE).unwrap();
        let around = Around {
            directory: place.path().to_owned(),
            ledger: None,
            baseline: None,
        };
        let report = look(&file, &around).unwrap();
        meanwhile(&file);
        let outcome = fixed(&file, &around, report);
        (place, outcome)
    }

    #[test]
    fn a_file_that_changes_between_reading_and_fixing_is_left_as_it_is() {
        let changed = FIXABLE.replace("docs/a/", "docs/b/");
        let (place, outcome) = fixed_after(|file| std::fs::write(file, &changed).unwrap());
        let failure = outcome.unwrap_err().to_string();
        assert!(
            failure.contains("somebody else has changed it"),
            "{failure}"
        );
        let now = std::fs::read_to_string(place.path().join("lictor.yaml")).unwrap();
        assert_eq!(
            (now, names(place.path())),
            (changed, vec!["lictor.yaml".to_owned()])
        );
    }

    #[test]
    fn a_file_that_disappears_between_reading_and_fixing_stays_away() {
        let (place, outcome) = fixed_after(|file| std::fs::remove_file(file).unwrap());
        let failure = outcome.unwrap_err().to_string();
        assert!(failure.contains("it cannot be found"), "{failure}");
        assert!(names(place.path()).is_empty());
    }

    #[test]
    fn a_file_that_stays_is_fixed() {
        let (place, outcome) = fixed_after(|_| {});
        outcome.unwrap();
        let now = std::fs::read_to_string(place.path().join("lictor.yaml")).unwrap();
        assert_eq!(now, FIXABLE.replace(", \"docs/a/**\"", ""));
        assert_eq!(names(place.path()), ["lictor.yaml"]);
    }
}
