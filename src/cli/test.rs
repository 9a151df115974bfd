//! `lictor test`: runs the tests that policies hold.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::discover::Unread;
use super::exit::Exit;
use super::generate::{self, Wanted};
use super::{Failure, Global, discover, print_json};
use crate::lint::coverage::{Coverage, PointKind};
use crate::lint::policy_tests::{self, TestOutcome};
use crate::lint::render::{self, Case};
use crate::text::{indented, one_line};

#[derive(Args, Debug)]
pub(super) struct Test {
    /// Policies and tool libraries; without one, the policy that other commands would use. The tests of a library are
    /// decided as if all that it declares were allowed
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How results are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Tell which rules and which scopes' boundaries no test shows
    #[arg(long)]
    coverage: bool,
    /// End with 1 if the tests of a policy show less than this per cent of its rules and boundaries
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Make the tests that bring coverage to 100 %, and print them as a change to review; existing tests stay
    #[arg(long)]
    generate: bool,
    /// With --generate: put the tests into the policy's file
    #[arg(long, requires = "generate")]
    write: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// One JSON object
    Json,
    /// JUnit XML
    Junit,
}

pub(super) fn main(command: &Test, global: &Global) -> Result<Exit, Failure> {
    let discover::Each {
        found: policies,
        failed: unread,
    } = discover::load_to_test(&command.files, global)?;
    let is_all = unread.is_empty();
    let format = if global.json {
        Format::Json
    } else {
        command.format
    };
    if command.generate {
        if format == Format::Junit {
            return Err(Failure::new(
                "generated tests are told as text or JSON; leave `--format junit` out",
            ));
        }
        let wanted = Wanted {
            write: command.write,
            json: format == Format::Json,
            least: command.min_coverage.unwrap_or(100),
        };
        if !is_all {
            return Err(Failure::new("nothing was generated, for want of all files"));
        }
        return generate::main(&policies, &wanted);
    }
    let outcomes: Vec<TestOutcome> = policies
        .iter()
        .flat_map(|loaded| policy_tests::run(&loaded.policy))
        .collect();
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let passed = outcomes.len().saturating_sub(failed);
    let coverages: Vec<Coverage> = if command.coverage || command.min_coverage.is_some() {
        policies
            .iter()
            .map(|loaded| Coverage::of(&loaded.policy))
            .collect()
    } else {
        Vec::new()
    };
    match format {
        Format::Human => {
            human(&outcomes);
            if !policies.is_empty() {
                answer!("{passed} passed, {failed} failed");
            }
            if outcomes.is_empty() && is_all {
                message!("note: no policy holds `tests`; `lictor test --generate` makes some");
            }
            for (coverage, loaded) in coverages.iter().zip(&policies) {
                tell_coverage(coverage, loaded.policy.name());
            }
        }
        Format::Json => {
            let tests: Vec<_> = outcomes.iter().map(to_json).collect();
            let mut answer = json!({
                "v": 1, "passed": passed, "failed": failed, "tests": tests, "unread": Unread::json(&unread),
            });
            if let (Some(object), false) = (answer.as_object_mut(), coverages.is_empty()) {
                let coverages = coverages.iter().zip(&policies);
                let coverages = coverages
                    .map(|(coverage, loaded)| coverage_json(coverage, loaded.policy.name()))
                    .collect();
                object.insert("coverage".to_owned(), serde_json::Value::Array(coverages));
            }
            print_json(&answer);
        }
        Format::Junit => answer_part!("{}", junit(&outcomes, &unread)),
    }
    let least = command.min_coverage.unwrap_or(0);
    let too_little = coverages.iter().any(|coverage| coverage.percent() < least);
    Ok(if !is_all {
        Exit::CouldNot
    } else if failed == 0 && !too_little {
        Exit::Good
    } else {
        Exit::Bad
    })
}

fn human(outcomes: &[TestOutcome]) {
    for outcome in outcomes.iter().filter(|outcome| !outcome.passed()) {
        let id = outcome.id.as_ref();
        answer!(
            "FAILED {}:{}: {}{}",
            one_line(&outcome.at.file),
            outcome.at.line,
            id.map_or(String::new(), |id| format!("{id}: ")),
            outcome.request
        );
        for failure in &outcome.failures {
            answer!("  {}", indented(failure));
        }
        answer!("  decision: {}", indented(outcome.decision.message()));
    }
}

fn tell_coverage(coverage: &Coverage, policy: &str) {
    answer!(
        "{policy}: {} % covered, {} of {} rules and boundaries",
        coverage.percent(),
        coverage.covered(),
        coverage.total()
    );
    for point in coverage.missing() {
        let what = match point.kind {
            PointKind::Boundary => "no test shows where the scope ends:",
            PointKind::Rule => "no test shows the rule at work:",
        };
        answer!(
            "  {}:{}: {what} {}",
            one_line(&point.at.file),
            point.at.line,
            point.name
        );
    }
}

fn coverage_json(coverage: &Coverage, policy: &str) -> serde_json::Value {
    let missing: Vec<_> = coverage
        .missing()
        .map(|point| {
            json!({
                "kind": point.kind.word(),
                "name": point.name,
                "file": point.at.file,
                "line": point.at.line,
            })
        })
        .collect();
    json!({
        "policy": policy,
        "percent": coverage.percent(),
        "covered": coverage.covered(),
        "total": coverage.total(),
        "missing": missing,
    })
}

fn junit(outcomes: &[TestOutcome], unread: &[Unread]) -> String {
    let unread = unread
        .iter()
        .map(|unread| Case::new("load", &unread.file, 1, Some(unread.why.clone())));
    let cases: Vec<Case> = outcomes
        .iter()
        .map(|outcome| {
            let failure = (!outcome.passed()).then(|| {
                let mut why = outcome.failures.join("\n");
                why.push_str(&format!("\ndecision: {}", outcome.decision.message()));
                why
            });
            let name = outcome.id.as_ref().unwrap_or(&outcome.request);
            Case::new(name, &outcome.at.file, outcome.at.line, failure)
        })
        .chain(unread)
        .collect();
    render::junit("lictor test", &cases)
}

fn to_json(outcome: &TestOutcome) -> serde_json::Value {
    json!({
        "file": outcome.at.file,
        "line": outcome.at.line,
        "id": outcome.id,
        "request": outcome.request,
        "passed": outcome.passed(),
        "failures": outcome.failures,
        "effect": outcome.decision.effect(),
        "reason": outcome.decision.reason(),
    })
}
