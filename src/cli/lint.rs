//! `lictor lint`: what is wrong with policies.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::surroundings::Disk;
use super::{Failure, Global, discover, print_json};
use crate::governor::{LoadError, load_unproved};
use crate::lint::{self, Level, Options, Report, fix, render};
use crate::policy::CompiledPolicy;

/// Wall time that exact analysis of one policy may take; what is not decided by then is told as unknown.
const ANALYSIS_TIME: Duration = Duration::from_secs(2);

/// Rounds of fixes. A fix can make room for another one; nothing needs more than a few.
const MOST_ROUNDS: usize = 10;

#[derive(Args, Debug)]
pub(super) struct Lint {
    /// The policies; without one, the policy that other commands would use
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// The least level of a finding at which the command ends with 1
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    fail_on: FailOn,
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
    let mut reports = Vec::new();
    for file in &files {
        let report = look(file, &directory, baseline.as_ref())?;
        reports.push(if command.fix {
            fixed(file, &directory, baseline.as_ref(), report)?
        } else {
            report
        });
    }
    let format = if global.json {
        Format::Json
    } else {
        command.format
    };
    print(format, &reports, command.fail_on.level());
    Ok(exit(command, &reports))
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
    anstream::println!(
        "# {} {} ({})\n\n{}",
        page.code,
        page.name,
        page.level.word(),
        page.text().trim_end()
    );
    Ok(Exit::Good)
}

/// Loads one policy and looks at it.
fn look(
    file: &Path,
    directory: &Path,
    baseline: Option<&CompiledPolicy>,
) -> Result<Report, Failure> {
    match load_unproved(file, directory, &discover::state_directory()) {
        Ok(loaded) => {
            let begun = Instant::now();
            let is_late = || begun.elapsed() >= ANALYSIS_TIME;
            let mut options = Options::default()
                .at(jiff::Timestamp::now())
                .until(&is_late);
            if let Some(baseline) = baseline {
                options = options.against(baseline);
            }
            Ok(lint::run(&loaded.policy, &Disk::around(&loaded), &options))
        }
        Err(LoadError::Invalid(errors)) => Ok(Report::of_errors(&errors)),
        Err(error) => Err(Failure::new(error)),
    }
}

/// How long the first decision by a policy may have to wait for lint.
const SUMMARY_TIME: Duration = Duration::from_millis(100);

/// What is recorded beside a policy when it decides for the first time: how many findings there are of each
/// level, and of which rules; `whole` is false where time did not suffice to decide all of them. The disk is not
/// looked at.
pub(super) fn in_brief(policy: &CompiledPolicy) -> Json {
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
fn fixed(
    file: &Path,
    directory: &Path,
    baseline: Option<&CompiledPolicy>,
    mut report: Report,
) -> Result<Report, Failure> {
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
        report = look(file, directory, baseline)?;
    }
    if count > 0 {
        anstream::eprintln!(
            "{}: {} fixed",
            file.display(),
            counted(count, "finding", "findings")
        );
    }
    Ok(report)
}

/// Puts a new text in a file's place in one step, if the file still is what was read.
fn replace(file: &Path, before: &str, after: &str) -> Result<(), Failure> {
    let tell = |what: &str, error: &std::io::Error| {
        Failure::new(format!(
            "`{}` cannot be fixed: {what}: {error}",
            file.display().to_string().escape_debug()
        ))
    };
    // Through a link the file it leads to is replaced, not the link.
    let real = std::fs::canonicalize(file).map_err(|error| tell("it cannot be found", &error))?;
    let directory = real.parent().unwrap_or(Path::new("."));
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.lictor-{}", std::process::id()));
    let written = (|| {
        let mut new = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)?;
        new.write_all(after.as_bytes())?;
        new.set_permissions(std::fs::metadata(&real)?.permissions())?;
        new.sync_all()
    })();
    let outcome = written
        .map_err(|error| tell("the new text cannot be written beside it", &error))
        .and_then(|()| match std::fs::read(&real) {
            Ok(now) if now == before.as_bytes() => Ok(()),
            Ok(_) => Err(Failure::new(format!(
                "`{}` was changed while it was looked at; nothing was written",
                file.display().to_string().escape_debug()
            ))),
            Err(error) => Err(tell("it cannot be read any more", &error)),
        })
        .and_then(|()| {
            std::fs::rename(&temporary, &real)
                .map_err(|error| tell("the new text cannot take its place", &error))
        });
    if outcome.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    outcome
}

fn print(format: Format, reports: &[Report], least: Level) {
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
                anstream::println!("{}", texts.join("\n\n"));
            }
            anstream::eprintln!("{}", summary(reports));
        }
        Format::Compact | Format::Github => {
            let render = if format == Format::Compact {
                render::compact
            } else {
                render::github
            };
            for text in each(render) {
                anstream::println!("{text}");
            }
        }
        Format::Json => {
            let all = reports.iter().flat_map(render::json).collect();
            print_json(&serde_json::Value::Array(all));
        }
        Format::Sarif => print_json(&render::sarif(reports)),
        Format::Junit => anstream::print!("{}", render::lint_junit(reports, least)),
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
        format!("{} clean", counted(reports.len(), "policy", "policies"))
    } else {
        parts.join(", ")
    }
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
