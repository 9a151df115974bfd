//! `lictor init`: writes a policy to start from.

#![forbid(unsafe_code)]
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::agent_setup::{self, Change, Wanted};
use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::agents::Agent;
use crate::lint::policy_tests;
use crate::policy::starter::{self, PRESETS, Part};
use crate::policy::{CompiledPolicy, nearest};
use crate::resolve::Below;

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// Write this preset as it is, instead of a policy for what the directory holds: cargo, git, npm, pytest, quickstart, …; or
    /// an agent's name (claude-code, codex, cursor, …) for a policy that fits each kind of project
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Write for this kind of project too, whatever the directory holds; may be repeated
    #[arg(long = "for", value_name = "KIND", conflicts_with = "preset")]
    kinds: Vec<String>,
    /// Have this agent call lictor before each use of a tool: adds the hook to its settings, with a policy if none is found
    #[arg(long, value_name = "AGENT", value_parser = PossibleValuesParser::new(Agent::all().map(Agent::name)))]
    agent: Option<String>,
    /// With `--agent`: in the user's settings, for all projects, instead of those of this directory
    #[arg(long, requires = "agent")]
    user: bool,
    /// With `--agent`: what an allowed call is answered with; see `lictor hook --help`
    #[arg(long, value_name = "ANSWER", requires = "agent", value_parser = ["silent", "approve", "rewrite"])]
    on_allow: Option<String>,
    /// With `--agent`: change settings that are there without asking
    #[arg(long, requires = "agent")]
    yes: bool,
    /// Print what would be written, and write nothing
    #[arg(long)]
    print: bool,
}

const EXAMPLES: &str = "\
A file that is there is never replaced. `--agent` adds to settings, shows the difference, and asks on a terminal or needs \
`--yes`; the command that undoes it is printed.

Examples:
  lictor init                                 a policy for the kinds of project found here
  lictor init --agent claude-code             the same, and the hook in .claude/settings.json
  lictor init --agent codex --user --yes      the hook in ~/.codex/hooks.json
  lictor init --agent cursor --print          what would be written";

pub(super) fn main(command: &Init, global: &Global) -> Result<Exit, Failure> {
    let directory = discover::current_directory()?;
    if let Some(agent) = command.agent.as_deref().and_then(Agent::named) {
        return with_agent(command, agent, &directory, global);
    }
    let (text, names) = match &command.preset {
        Some(name) => (preset(name)?, Vec::new()),
        None => composed(&directory, &command.kinds)?,
    };
    let tests = checked(&text)?;
    if command.print {
        answer_part!("{text}");
        return Ok(Exit::Good);
    }
    let file = directory.join(discover::FILE_NAME);
    write(&file, &text)?;
    if global.json {
        print_json(
            &json!({"v": 1, "written": file.display().to_string(), "kinds": names, "tests": tests}),
        );
        return Ok(Exit::Good);
    }
    let about = match (command.preset.as_deref(), names.as_slice()) {
        (Some(preset), _) => format!("the preset {preset}"),
        (None, []) => "any project; nothing was found that says which kind this is".to_owned(),
        (None, names) => format!("a project with {}", names.join(", ")),
    };
    answer!("wrote {}: {about}, with {tests} tests", discover::FILE_NAME);
    answer!("  look at it, above all at the scopes; then try");
    answer!("    lictor test                      whether it says what its tests expect");
    answer!("    lictor check -- cat README.md    how a command line is decided");
    answer!("    lictor run -- ls                 the same, and run it contained");
    Ok(Exit::Good)
}

/// The hook in an agent's settings, and a policy if there is none.
fn with_agent(
    command: &Init,
    agent: &'static Agent,
    directory: &Path,
    global: &Global,
) -> Result<Exit, Failure> {
    let policy = match discover::path(global, directory) {
        Some(path) => {
            discover::load_file(&path, directory)?;
            None
        }
        None => {
            let text = match &command.preset {
                Some(name) => preset(name)?,
                None => composed(directory, &command.kinds)?.0,
            };
            checked(&text)?;
            let file = Below::new(directory, discover::FILE_NAME);
            Some(Change::new(file, text)?)
        }
    };
    agent_setup::main(
        Wanted {
            agent,
            on_allow: command.on_allow.as_deref(),
            is_for_user: command.user,
            is_confirmed: command.yes,
            prints_only: command.print,
            policy,
        },
        global,
    )
}

/// The text of a preset. That of an agent is composed for every kind of project: adapters name each agent's tools alike, so
/// agents differ by the policy's name only.
fn preset(name: &str) -> Result<String, Failure> {
    if Agent::named(name).is_some() {
        return Ok(starter::compose(name, &starter::kinds(), |_| true));
    }
    let found = PRESETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| {
        let agents = Agent::all().map(Agent::name);
        let names = PRESETS.iter().map(|(name, _)| *name).chain(agents);
        unknown("preset", name, &names.collect::<Vec<_>>())
    })
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Failure {
    let help = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    let name = name.escape_debug();
    Failure::new(format!("there is no {what} `{name}`\n  help: {help}"))
}

/// The policy for the kinds that a directory holds and those that were named, and their names.
fn composed(directory: &Path, named: &[String]) -> Result<(String, Vec<&'static str>), Failure> {
    let mut kinds = starter::kinds();
    let known: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    if let Some(name) = named.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown("kind of project", name, &known));
    }
    let is_there = |kind: &Part| {
        let mut names = kind.detect();
        names.any(|name| directory.join(name).symlink_metadata().is_ok())
    };
    kinds.retain(|kind| named.iter().any(|name| name == kind.name) || is_there(kind));
    let home = discover::home();
    let exists = |entry: &str| match (entry.strip_prefix("~/"), &home) {
        (Some(below), Some(home)) => home.join(below).is_dir(),
        (Some(_), None) => false,
        (None, _) => directory.join(entry).is_dir(),
    };
    let text = starter::compose(&policy_name(directory), &kinds, exists);
    Ok((text, kinds.iter().map(|kind| kind.name).collect()))
}

/// The name of a directory, as far as a policy may have it.
fn policy_name(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let mut fitting = String::new();
    for c in name.to_ascii_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => fitting.push(c),
            _ if fitting.ends_with('-') || fitting.is_empty() => {}
            _ => fitting.push('-'),
        }
    }
    fitting.truncate(48);
    match fitting.trim_end_matches('-') {
        "" => "project".to_owned(),
        fitting => fitting.to_owned(),
    }
}

/// Returns how many tests the policy has, all of which pass.
fn checked(text: &str) -> Result<usize, Failure> {
    let policy = CompiledPolicy::from_yaml(text).map_err(Failure::new)?;
    let outcomes = policy_tests::run(&policy);
    match outcomes.iter().find(|outcome| !outcome.passed()) {
        None => Ok(outcomes.len()),
        Some(failed) => Err(Failure::new(format!(
            "a test of the policy fails, so it is not written: {}: {}",
            failed.request,
            failed.failures.join(", ")
        ))),
    }
}

/// Writes a file that is not there yet.
fn write(file: &PathBuf, text: &str) -> Result<(), Failure> {
    let name = discover::FILE_NAME;
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).open(file);
    let written = opened.and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    });
    written.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return Failure::new(format!("{name} cannot be written: {error}"));
        }
        Failure::new(format!(
            "{name} is here already, and is kept as it is\n  help: `lictor init --print` shows what would be written"
        ))
    })
}
