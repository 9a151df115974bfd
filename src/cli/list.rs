//! `lictor list`: which files of the workspace an action may touch. Nothing is run or recorded.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use crate::text::one_line;

use super::json_line;
use super::print::Answers;
use super::{Failure, Global, discover};
use crate::decision::{Effect, bytes_json};
use crate::governor::Governor;
use crate::policy::model::Access;
use crate::reason::Reason;
use crate::resolve::{Surveyed, Verdict, Workspace, survey};

#[derive(Args, Debug)]
pub(super) struct List {
    /// Only this tool; its files are named, not only counted
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// Only this action of the tool
    #[arg(long, value_name = "ACTION", requires = "tool")]
    action: Option<String>,
    /// Name the denied files too (with --json they always are)
    #[arg(long)]
    all: bool,
}

pub(super) fn main(command: &List, global: &Global) -> Result<Exit, Failure> {
    let loaded = discover::policy(global)?;
    let workspace = Workspace::open_root(&loaded.workspace)
        .map_err(Failure::new)?
        .guarding(loaded.own_files());
    let governor = Governor::new(loaded);
    let actor = discover::actor(global);
    let context = governor.context(&actor);
    let policy = governor.policy();
    let wanted = (command.tool.as_deref(), command.action.as_deref());
    let mut arguments = Surveyed::of(policy, &actor, wanted.0, wanted.1);
    // What is listed are files.
    arguments.retain(|argument| !argument.is_base);
    known(command, &governor)?;

    let mut out = std::io::BufWriter::new(Answers);
    let mut counts = vec![Count::default(); arguments.len()];
    let mut gone = false;
    let told = survey(
        policy,
        &context,
        &workspace,
        &arguments,
        &mut |path, nth, verdict| {
            let (Some(argument), Some(count)) = (arguments.get(nth), counts.get_mut(nth)) else {
                return;
            };
            count.add(&verdict);
            let is_named = command.tool.is_some()
                && (global.json || command.all || verdict.effect != Effect::Deny);
            if is_named && !gone {
                let written = match global.json {
                    true => writeln!(out, "{}", json_line(&file_json(argument, path, &verdict))),
                    false => writeln!(out, "{}", one_line(&file_text(argument, path, &verdict))),
                };
                // Nobody reads it: the rest is only counted.
                gone = written.is_err();
            }
        },
    );
    told.map_err(|reason| {
        Failure::new(format!(
            "the workspace `{}` cannot be read: {reason}",
            workspace.path().display().to_string().escape_debug()
        ))
    })?;
    for (argument, count) in arguments.iter().zip(&counts) {
        let _ = match global.json {
            true => writeln!(out, "{}", count.json(argument)),
            false => writeln!(out, "{}", count.text(argument)),
        };
    }
    if arguments.is_empty() && !global.json {
        let _ = writeln!(out, "nothing: no rule lets `{actor}` name a file");
    }
    let _ = out.flush();
    Ok(Exit::Good)
}

/// Complains about names that the policy does not know.
fn known(command: &List, governor: &Governor) -> Result<(), Failure> {
    let Some(name) = &command.tool else {
        return Ok(());
    };
    let tools = governor.policy().tools();
    let Some(tool) = tools.iter().find(|tool| tool.name == *name) else {
        return Err(Failure::new(format!(
            "the policy has no tool `{}`",
            name.escape_debug()
        )));
    };
    match &command.action {
        Some(name) if !tool.actions.iter().any(|action| action.name == *name) => {
            Err(Failure::new(format!(
                "the tool `{}` has no action `{}`",
                tool.name,
                name.escape_debug()
            )))
        }
        _ => Ok(()),
    }
}

/// Number of files of one argument by verdict.
#[derive(Clone, Debug, Default)]
struct Count {
    allowed: u64,
    asked: u64,
    denied: BTreeMap<&'static str, u64>,
}

impl Count {
    fn add(&mut self, verdict: &Verdict) {
        match verdict.effect {
            Effect::Allow => self.allowed = self.allowed.saturating_add(1),
            Effect::Ask => self.asked = self.asked.saturating_add(1),
            Effect::Deny => {
                let reason = verdict.reason.map_or("", Reason::code);
                let count = self.denied.entry(reason).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    fn text(&self, argument: &Surveyed) -> String {
        let Surveyed { tool, action, .. } = argument;
        let mut text = format!(
            "{tool}.{action} {} ({}): {} allowed, {} asked for, {} denied",
            argument.argument,
            access(argument.access),
            self.allowed,
            self.asked,
            self.denied.values().sum::<u64>()
        );
        if !self.denied.is_empty() {
            let reasons: Vec<String> = self
                .denied
                .iter()
                .map(|(reason, count)| format!("{reason} {count}"))
                .collect();
            text.push_str(&format!(" ({})", reasons.join(", ")));
        }
        text
    }

    fn json(&self, argument: &Surveyed) -> Json {
        json!({
            "v": 1,
            "tool": argument.tool,
            "action": argument.action,
            "arg": argument.argument,
            "access": access(argument.access),
            "files": {
                "allow": self.allowed,
                "ask": self.asked,
                "deny": self.denied.values().sum::<u64>(),
            },
            "denied_by": self.denied,
        })
    }
}

fn file_text(argument: &Surveyed, path: &[u8], verdict: &Verdict) -> String {
    let reason = match verdict.effect {
        Effect::Deny => verdict.reason.map(|reason| format!("  {reason}")),
        Effect::Allow | Effect::Ask => None,
    };
    format!(
        "{:<5}  {}.{} {}  {}{}",
        verdict.effect.word(),
        argument.tool,
        argument.action,
        argument.argument,
        String::from_utf8_lossy(path).escape_debug(),
        reason.unwrap_or_default()
    )
}

fn file_json(argument: &Surveyed, path: &[u8], verdict: &Verdict) -> Json {
    json!({
        "v": 1,
        "tool": argument.tool,
        "action": argument.action,
        "arg": argument.argument,
        "path": bytes_json(path),
        "effect": verdict.effect.word(),
        "reason": verdict.reason.map(Reason::code),
        "rule": verdict.rule,
    })
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Execute => "execute",
    }
}
