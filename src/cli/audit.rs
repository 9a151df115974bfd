//! `lictor audit`: what is wrong with permission rules that an agent has already.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::agents::Agent;
use crate::agents::permissions::{self, Finding, Kind, Rule, TESTED};
use crate::resolve::Below;
use crate::text::one_line;

const ABOUT: &str = "\
The rules of all files are taken together, as the agent takes them. Each line that is shown was held against a model of how Claude
Code 2.1.330 matches; other versions match otherwise. Without FILE these are read: .claude/settings.json and
.claude/settings.local.json here, and ~/.claude/settings.json.

Ends with 1 if something was found, with 2 if settings are not understood.

Examples:
  lictor audit claude
  lictor audit claude .claude/settings.json --format json";

#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub(super) struct Audit {
    /// The agent whose settings these are
    #[arg(value_name = "AGENT")]
    agent: Whose,
    /// Files of settings
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Whose {
    Claude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// One object
    Json,
}

pub(super) fn main(command: &Audit, global: &Global) -> Result<Exit, Failure> {
    let Whose::Claude = command.agent;
    let directory = discover::current_directory()?;
    let files = match command.files.as_slice() {
        [] => usual(&directory),
        named => named
            .iter()
            .map(|file| (directory.clone(), file.clone()))
            .collect(),
    };
    let is_named = !command.files.is_empty();
    let (mut rules, mut read) = (Vec::new(), Vec::new());
    for (base, file) in files {
        let shown = base.join(&file);
        let text = Below::new(&base, &file).read();
        let text = match text.map_err(|why| failed(&shown, &why))? {
            Some(text) => text,
            None if is_named => return Err(failed(&shown, "there is no such file")),
            None => continue,
        };
        let of = shown.display().to_string();
        rules.extend(settings(&text, &of).map_err(|why| failed(&shown, &why))?);
        read.push(of);
    }
    let found = permissions::audit(&rules);
    match command.format == Format::Json || global.json {
        true => print_json(&json!({
            "v": 1,
            "agent": "claude-code",
            "model_of": TESTED,
            "files": read,
            "rules": rules.len(),
            "findings": found.iter().map(to_json).collect::<Vec<_>>(),
        })),
        false => print(&read, rules.len(), &found),
    }
    Ok(match found.is_empty() {
        true => Exit::Good,
        false => Exit::Bad,
    })
}

fn usual(directory: &Path) -> Vec<(PathBuf, PathBuf)> {
    let local = [".claude/settings.json", ".claude/settings.local.json"];
    let local = local.map(|file| (directory.to_owned(), PathBuf::from(file)));
    let home = discover::user_home().filter(|home| home != directory);
    let user = home.map(|home| (home, PathBuf::from(".claude/settings.json")));
    local.into_iter().chain(user).collect()
}

pub(super) fn settings(text: &str, of: &str) -> Result<Vec<Rule>, String> {
    let agent = Agent::named("claude-code").ok_or("the adapter is missing")?;
    permissions::rules(&agent.setup().read(text)?, of)
}

pub(super) fn failed(file: &Path, why: &str) -> Failure {
    let shown = file.display().to_string();
    Failure::new(format!("`{}`: {why}", shown.escape_debug()))
}

fn to_json(finding: &Finding) -> serde_json::Value {
    let rule = &finding.rule;
    json!({
        "kind": finding.kind.name(),
        "file": rule.file,
        "list": rule.effect.name(),
        "nth": rule.nth,
        "rule": rule.text,
        "message": finding.message,
        "lines": finding.witnesses,
    })
}

fn print(read: &[String], rules: usize, found: &[Finding]) {
    for finding in found {
        let rule = &finding.rule;
        let what = match finding.kind {
            Kind::NeverMatches => "never matches",
            Kind::Shadowed => "has no effect",
            Kind::Passed => "is passed",
            Kind::AllowsMore => "allows more than it says",
        };
        answer!(
            "{}: {} `{}` {what}: {}",
            one_line(&rule.file),
            rule.effect.name(),
            one_line(&rule.text),
            one_line(&finding.message)
        );
        for line in &finding.witnesses {
            answer!("    {}", one_line(line));
        }
    }
    answer!(
        "{} rules in {} files, {} findings; matched as Claude Code {TESTED} was seen to",
        rules,
        read.len(),
        found.len()
    );
}
