//! `lictor test`: runs the tests that policies hold.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::lint::policy_tests::{self, TestOutcome};

#[derive(Args, Debug)]
pub(super) struct Test {
    /// The policies; without one, the policy that other commands would use
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How results are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// One JSON object
    Json,
}

pub(super) fn main(command: &Test, global: &Global) -> Result<Exit, Failure> {
    let directory = discover::current_directory()?;
    let policies = if command.files.is_empty() {
        vec![discover::policy(global)?]
    } else {
        command
            .files
            .iter()
            .map(|file| discover::load_file(file, &directory))
            .collect::<Result<_, _>>()?
    };
    let outcomes: Vec<TestOutcome> = policies
        .iter()
        .flat_map(|loaded| policy_tests::run(&loaded.policy))
        .collect();
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let passed = outcomes.len().saturating_sub(failed);
    if global.json || command.format == Format::Json {
        let tests: Vec<_> = outcomes.iter().map(to_json).collect();
        print_json(&json!({"v": 1, "passed": passed, "failed": failed, "tests": tests}));
    } else {
        for outcome in outcomes.iter().filter(|outcome| !outcome.passed()) {
            anstream::println!(
                "FAILED {}:{}: {}",
                outcome.at.file,
                outcome.at.line,
                outcome.request
            );
            for failure in &outcome.failures {
                anstream::println!("  {failure}");
            }
            anstream::println!("  decision: {}", outcome.decision.message());
        }
        anstream::println!("{passed} passed, {failed} failed");
    }
    Ok(if failed == 0 { Exit::Good } else { Exit::Bad })
}

fn to_json(outcome: &TestOutcome) -> serde_json::Value {
    json!({
        "file": outcome.at.file,
        "line": outcome.at.line,
        "request": outcome.request,
        "passed": outcome.passed(),
        "failures": outcome.failures,
        "effect": outcome.decision.effect(),
        "reason": outcome.decision.reason(),
    })
}
