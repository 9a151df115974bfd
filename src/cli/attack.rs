//! `lictor attack`: hostile requests against a policy, in a scratch tree with the names of the real one;
//! any that gets through.

#![forbid(unsafe_code)]

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::{Failure, Global, discover, print, print_json};
use crate::decision::Context;
use crate::governor::LoadedPolicy;
use crate::resolve::{Surveyed, Workspace, survey};
use crate::testing::{self, Breach, Outcome};

#[derive(Args, Debug)]
pub(super) struct Attack {
    /// The policy; else the one that is found
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the choices start; in the same workspace the same seed makes the same requests
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many requests are made
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
}

pub(super) fn main(command: &Attack, global: &Global) -> Result<Exit, Failure> {
    let loaded = match &command.file {
        Some(file) => discover::load_file(file, &discover::current_directory()?)?,
        None => discover::policy(global)?,
    };
    let scratch = Scratch::new()?;
    let actor = discover::actor(global);
    let files = sample(&loaded, &actor);
    let how = testing::Attack::new(command.seed, command.count, actor).with_files(files);
    let is_watched = print::is_watched() && !global.json;
    let mut progress = |tried: u64| {
        if is_watched {
            message_part!("\r{}", bar(tried, command.count));
        }
    };
    let outcome = testing::attack(&loaded.policy, &how, &scratch.path, &mut progress);
    if is_watched {
        message_part!("\r\x1b[K");
    }
    let outcome = outcome.map_err(Failure::new)?;
    if global.json {
        print_json(&json!({
            "v": 1,
            "seed": command.seed,
            "tried": outcome.tried,
            "allowed": outcome.allowed,
            "undecided": outcome.undecided,
            "left_out": outcome.left_out,
            "breaches": outcome.breaches.iter().map(|breach| json!({
                "request": breach.request, "why": breach.why, "tricks": breach.tricks,
            })).collect::<Vec<_>>(),
        }));
    } else {
        print_human(&outcome, &loaded, command.seed);
    }
    Ok(if !outcome.breaches.is_empty() {
        Exit::Bad
    } else if outcome.undecided > 0 || outcome.left_out > 0 {
        Exit::Unknown
    } else {
        Exit::Good
    })
}

/// Some of the workspace's files, spread over all of it, and the same ones each time: their names are
/// what the attack is to know of the real tree.
fn sample(loaded: &LoadedPolicy, actor: &str) -> Vec<String> {
    const MOST: usize = 100;
    let policy = &loaded.policy;
    let Ok(workspace) = Workspace::open_root(&loaded.workspace) else {
        return Vec::new();
    };
    let mut arguments = Surveyed::of(policy, actor, None, None);
    arguments.truncate(1);
    let mut files = Vec::new();
    let context = Context::new(actor);
    let _ = survey(
        policy,
        &context,
        &workspace,
        &arguments,
        &mut |path, _, _| {
            files.extend(String::from_utf8(path.to_vec()));
        },
    );
    let step = files.len().div_ceil(MOST).max(1);
    files.into_iter().step_by(step).collect()
}

/// Progress: `[#####     ]  512 of 1024 requests`.
fn bar(tried: u64, count: u64) -> String {
    const WIDTH: u64 = 30;
    let done = tried.saturating_mul(WIDTH).checked_div(count);
    let done = usize::try_from(done.unwrap_or(WIDTH).min(WIDTH)).unwrap_or_default();
    let width = usize::try_from(WIDTH).unwrap_or_default();
    format!(
        "[{:<width$}]  {tried} of {count} requests",
        "#".repeat(done)
    )
}

fn print_human(outcome: &Outcome, loaded: &LoadedPolicy, seed: u64) {
    let policy = &loaded.policy;
    for breach in &outcome.breaches {
        print_breach(breach, loaded);
    }
    let name = policy.name();
    if outcome.tried == 0 {
        answer!("`{name}`: nothing to attack: no rule lets anybody name a path");
        return;
    }
    answer!(
        "`{name}`: {} hostile requests (seed {seed}), {} allowed, {} of them lead where they should not",
        outcome.tried,
        outcome.allowed,
        outcome.breaches.len()
    );
    if outcome.undecided > 0 {
        answer!(
            "unknown: of {} allowed requests nobody can say: too much lies below their paths",
            outcome.undecided
        );
    }
    if outcome.left_out > 0 {
        answer!(
            "unknown: {} places that the policy names were not tried: it names too many",
            outcome.left_out
        );
    }
}

fn print_breach(breach: &Breach, loaded: &LoadedPolicy) {
    answer!("breach  {}", breach.why);
    if !breach.tricks.is_empty() {
        answer!("  made by: {}", breach.tricks.join(", "));
    }
    let file = loaded.files.first().map(|file| file.display().to_string());
    answer!("  repeat:  {}", repeat(&breach.request, file.as_deref()));
}

/// The request as a line for a shell.
fn repeat(request: &Json, policy: Option<&str>) -> String {
    // Whatever a terminal could take for more than a letter is written as JSON can write it.
    let mut line = String::new();
    for c in request.to_string().chars() {
        match c {
            ' '..='~' => line.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    line.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    let policy = policy.map(|file| format!(" --policy {}", in_quotes(file)));
    format!(
        "printf '%s\\n' {} | lictor{} check --batch --dry-run",
        in_quotes(&line),
        policy.unwrap_or_default()
    )
}

fn in_quotes(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
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
            message!(
                "warning: {} is left behind: {error}",
                self.path.display().to_string().escape_debug()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a shell has to read the line")]
    fn the_line_to_repeat_a_request_means_it_to_a_shell() {
        for path in [
            "a b",
            "it's",
            "\"",
            "\\x",
            "\u{202e}\u{1f600}",
            "$(id)`id`",
            "a\nb\u{1b}[2J",
        ] {
            let request = json!({"tool": "t", "action": "a", "args": {"path": path}});
            let line = repeat(&request, Some("/tmp/it's mine.yaml"));
            assert!(line.chars().all(|c| matches!(c, ' '..='~')), "{line}");
            let (printed, rest) = line.rsplit_once(" | ").unwrap();
            assert_eq!(
                rest,
                r"lictor --policy '/tmp/it'\''s mine.yaml' check --batch --dry-run"
            );
            let shell = std::process::Command::new("sh")
                .args(["-c", printed])
                .output();
            let read: Json = serde_json::from_slice(&shell.unwrap().stdout).unwrap();
            assert_eq!(read, request);
        }
    }

    #[test]
    fn the_bar_is_as_wide_at_the_end_as_at_the_start() {
        assert!(bar(0, 10).starts_with(&format!("[{}]", " ".repeat(30))));
        assert!(bar(5, 10).starts_with(&format!("[{}{}]", "#".repeat(15), " ".repeat(15))));
        assert!(bar(10, 10).starts_with(&format!("[{}]", "#".repeat(30))));
        assert!(bar(u64::MAX, u64::MAX).ends_with("requests"));
    }
}
