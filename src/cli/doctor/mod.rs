//! `lictor doctor`: what this machine can enforce, found by trying it, and what to do about the rest.

#![forbid(unsafe_code)]

mod hooks;
mod record;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{Failure, Global, print_json};
use crate::evidence::Level;
use crate::executor::{LimitTrial, Posix, Trial};
use crate::governor::{FLOOR, floor_files};
use crate::resolve::Openat2;

#[derive(Args, Debug)]
#[command(after_help = "\
Ends with 0 whenever it could look, whatever it found. Looks as the user who runs it: run it as the user whom
your agent runs as, with the policy (or `--ledger`) that it uses. A hook that an agent's settings here or in the home directory name is
called with a call that nobody makes, which is recorded like any other.")]
pub(super) struct Doctor {}

pub(super) fn main(_: &Doctor, global: &Global) -> Result<Exit, Failure> {
    let backend = Posix::new();
    let trials = backend
        .trial()
        .map_err(|error| Failure::new(format!("nothing could be tried: {error}")))?;
    let limits = backend
        .limit_trial()
        .map_err(|error| Failure::new(format!("nothing could be tried: {error}")))?;
    let (refused, limits): (Vec<LimitTrial>, Vec<LimitTrial>) =
        limits.into_iter().partition(|trial| trial.error.is_some());
    let limits: Vec<&str> = limits.iter().map(|trial| trial.limit).collect();
    let best = trials
        .iter()
        .find(|trial| trial.error.is_none())
        .map(|trial| trial.level);
    let kernel = Kernel {
        openat2: Openat2::is_available(),
        landlock_abi: backend.landlock_abi(),
    };
    let record = record::look(global);
    let floor = floor_files(Path::new(FLOOR));
    let hooks = hooks::look();
    if global.json {
        let levels: Vec<_> = trials
            .iter()
            .map(|trial| json!({"level": trial.level, "works": trial.error.is_none(), "error": trial.error}))
            .collect();
        print_json(&json!({
            "v": 1,
            "containment": {"best": best, "levels": levels, "advice": advice(&trials, best)},
            "limits": limits,
            "limits_refused": refused.iter().map(|trial| json!({"limit": trial.limit, "error": trial.error})).collect::<Vec<_>>(),
            "kernel": {
                "openat2": kernel.openat2,
                "landlock_abi": kernel.landlock_abi,
                "advice": kernel.advice(),
            },
            "floor": {
                "path": FLOOR,
                "files": floor.as_ref().map(|files| files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()).unwrap_or_default(),
                "error": floor.as_ref().err(),
            },
            "ledger": record.json(),
            "hooks": hooks.iter().map(hooks::Hook::json).collect::<Vec<_>>(),
        }));
        return Ok(Exit::Good);
    }
    answer!("containment, strongest first:");
    for trial in &trials {
        let result = trial.error.as_ref().map_or_else(
            || "works".to_owned(),
            |error| format!("does not work: {error}"),
        );
        answer!("  {:<14} {result}", trial.level.name());
    }
    print_advice(&advice(&trials, best));
    answer!("limits that can be enforced: {}", limits.join(", "));
    for trial in &refused {
        let error = trial.error.as_deref().unwrap_or_default();
        answer!("  {:<14} cannot: {error}", trial.limit);
    }
    answer!("kernel:");
    answer!(
        "  openat2        {}",
        if kernel.openat2 {
            "works"
        } else {
            "does not work: paths are looked up component by component, with the same answers"
        }
    );
    answer!(
        "  Landlock       {}",
        kernel.landlock_abi.map_or_else(
            || "none; this version of lictor makes no use of it".to_owned(),
            |abi| format!("version {abi}; this version of lictor makes no use of it")
        )
    );
    print_advice(&kernel.advice());
    print_floor(&floor);
    record.print();
    print_hooks(&hooks);
    Ok(Exit::Good)
}

/// The agents whose settings call lictor, here and in the user's home.
fn print_hooks(hooks: &[hooks::Hook]) {
    answer!("agents that call lictor:");
    if hooks.is_empty() {
        answer!(
            "  none by settings of this directory or this user; `lictor init --agent NAME` adds the hook"
        );
        return;
    }
    for hook in hooks {
        hook.print();
    }
    print_advice(&hooks::not_known(hooks));
}

/// The policies that every policy on this machine extends.
fn print_floor(floor: &Result<Vec<PathBuf>, String>) {
    answer!("floor, which every policy extends ({FLOOR}):");
    match floor {
        Ok(files) if files.is_empty() => answer!("  none"),
        Ok(files) => {
            for file in files {
                answer!("  {}", file.display());
            }
        }
        Err(why) => print_advice(&[
            format!("cannot be read: {why}"),
            "to do: put that right; nothing is decided until then".to_owned(),
        ]),
    }
}

fn print_advice(lines: &[impl std::fmt::Display]) {
    for line in lines {
        answer!("  {line}");
    }
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
    if best.is_none() {
        lines.push("note: nothing is run on this machine");
    }
    lines
}

/// Features of the kernel.
struct Kernel {
    openat2: bool,
    landlock_abi: Option<u32>,
}

impl Kernel {
    fn advice(&self) -> Vec<&'static str> {
        let mut lines = Vec::new();
        if !self.openat2 {
            lines.push("to do: allow the system call openat2 (Linux 5.6 or later; in Docker: a newer seccomp profile), which also closes races while a path is looked up");
        }
        lines
    }
}
