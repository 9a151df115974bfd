//! `lictor doctor`: what this machine can enforce, found by trying it.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{Failure, Global, print_json};
use crate::evidence::Level;
use crate::executor::{Executor, Posix, Trial};

#[derive(Args, Debug)]
pub(super) struct Doctor {}

pub(super) fn main(_: &Doctor, global: &Global) -> Result<Exit, Failure> {
    let backend = Posix::new();
    let trials = backend
        .trial()
        .map_err(|error| Failure::new(format!("nothing could be tried: {error}")))?;
    let limits = backend.capabilities().limits;
    let best = trials
        .iter()
        .find(|trial| trial.error.is_none())
        .map(|trial| trial.level);
    if global.json {
        let levels: Vec<_> = trials
            .iter()
            .map(|trial| json!({"level": trial.level, "works": trial.error.is_none(), "error": trial.error}))
            .collect();
        print_json(
            &json!({"v": 1, "containment": {"best": best, "levels": levels}, "limits": limits}),
        );
        return Ok(Exit::Good);
    }
    anstream::println!("containment, strongest first:");
    for trial in &trials {
        let result = trial.error.as_ref().map_or_else(
            || "works".to_owned(),
            |error| format!("does not work: {error}"),
        );
        anstream::println!("  {:<14} {result}", trial.level.name());
    }
    for line in advice(&trials, best) {
        anstream::println!("  {line}");
    }
    anstream::println!("limits that may be enforced: {}", limits.join(", "));
    Ok(Exit::Good)
}

fn advice(trials: &[Trial], best: Option<Level>) -> Vec<&'static str> {
    let fails = |level: Level| {
        trials
            .iter()
            .any(|trial| trial.level == level && trial.error.is_some())
    };
    let mut lines = Vec::new();
    if fails(Level::PidNamespace) {
        lines.push("to do: allow user namespaces (on Ubuntu: an AppArmor profile for lictor; in Docker: a seccomp profile with clone3 and unshare), or run as root");
    }
    if best == Some(Level::ProcessGroup) {
        lines.push("note: a process group offers no proof: what calls setsid outlives the run, and the evidence says `empty_proof: none`");
    }
    lines
}
