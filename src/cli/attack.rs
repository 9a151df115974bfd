//! `lictor attack`: hostile requests against a policy, in a scratch tree; any that gets through.

#![forbid(unsafe_code)]

use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::explain::quoted;
use super::{Failure, Global, discover, print_json};
use crate::policy::CompiledPolicy;
use crate::testing::{self, Breach, Outcome};

#[derive(Args, Debug)]
pub(super) struct Attack {
    /// The policy; else the one that is found
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the choices start; the same seed makes the same requests
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many requests are made
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: u64,
}

pub(super) fn main(command: &Attack, global: &Global) -> Result<Exit, Failure> {
    let loaded = match &command.file {
        Some(file) => discover::load_file(file, &discover::current_directory()?)?,
        None => discover::policy(global)?,
    };
    let scratch = Scratch::new()?;
    let how = testing::Attack::new(command.seed, command.count, discover::actor(global));
    let is_watched = std::io::stderr().is_terminal() && !global.json;
    let mut progress = |tried: u64| {
        if is_watched {
            anstream::eprint!("\r{tried} of {} requests", command.count);
        }
    };
    let outcome = testing::attack(&loaded.policy, &how, &scratch.path, &mut progress);
    if is_watched {
        anstream::eprint!("\r\x1b[K");
    }
    let outcome = outcome.map_err(Failure::new)?;
    if global.json {
        print_json(&json!({
            "v": 1,
            "seed": command.seed,
            "tried": outcome.tried,
            "allowed": outcome.allowed,
            "breaches": outcome.breaches.iter().map(|breach| json!({
                "request": breach.request, "why": breach.why, "tricks": breach.tricks,
            })).collect::<Vec<_>>(),
        }));
    } else {
        print_human(&outcome, &loaded.policy, command.seed);
    }
    Ok(if outcome.breaches.is_empty() {
        Exit::Good
    } else {
        Exit::Bad
    })
}

fn print_human(outcome: &Outcome, policy: &CompiledPolicy, seed: u64) {
    for breach in &outcome.breaches {
        print_breach(breach);
    }
    let name = policy.name();
    if outcome.tried == 0 {
        anstream::println!("`{name}`: nothing to attack: no rule lets anybody name a path");
        return;
    }
    anstream::println!(
        "`{name}`: {} hostile requests (seed {seed}), {} allowed, {} of them lead where they should not",
        outcome.tried,
        outcome.allowed,
        outcome.breaches.len()
    );
}

fn print_breach(breach: &Breach) {
    anstream::println!("breach  {}", breach.why);
    if !breach.tricks.is_empty() {
        anstream::println!("  made by: {}", breach.tricks.join(", "));
    }
    let repeat = breach.request.to_string();
    anstream::println!(
        "  repeat:  printf '%s\\n' {} | lictor check --batch --dry-run",
        quoted(&repeat)
    );
}

/// A directory that ends with the attack.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Scratch, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("no scratch directory can be made: {error}"))
        };
        let mut number = [0; 8];
        getrandom::fill(&mut number).map_err(|error| failed(&error))?;
        let name = format!("lictor-attack-{:016x}", u64::from_le_bytes(number));
        let path = std::env::temp_dir().join(name);
        // Made by us and for us only, or not at all.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| failed(&error))?;
        Ok(Scratch { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            anstream::eprintln!(
                "warning: {} is left behind: {error}",
                self.path.display().to_string().escape_debug()
            );
        }
    }
}
