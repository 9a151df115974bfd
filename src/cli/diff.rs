//! `lictor diff`: what a change of a policy allows, denies, asks for, or runs on other terms.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::other_terms::other_terms;
use super::prove::LONGEST;
use super::{Failure, Global, discover, print_json};
use crate::analysis::diff::{Change, Diff, Kind, diff_from};
use crate::analysis::{Answer, Budget, Witness};
use crate::decision::{Decision, Effect, decide};
use crate::executor::file_at;
use crate::policy::CompiledPolicy;
use crate::policy::source::MAX_DOCUMENT_BYTES;
use crate::record::replay::{self, Recorded};

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// The policy before the change; with --git, the policy that has changed
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The policy after it
    #[arg(
        value_name = "AFTER",
        required_unless_present = "git",
        conflicts_with = "git"
    )]
    after: Option<PathBuf>,
    /// Compare the one policy with what it was at this revision, for example HEAD; files that it uses are read as they are now
    #[arg(long, value_name = "REV")]
    git: Option<String>,
    /// What ends with 1
    #[arg(long, value_name = "WHAT", default_value = "any")]
    fail_on: FailOn,
    /// Decide the requests recorded in this ledger by both policies, too
    #[arg(long, value_name = "DIR")]
    against_ledger: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Any difference
    Any,
    /// Something that may newly be allowed
    NewAllow,
}

pub(super) fn main(command: &DiffArgs, global: &Global) -> Result<Exit, Failure> {
    let directory = discover::current_directory()?;
    let load = |file: &Path| discover::load_document(file, &directory);
    let (before, after) = match (&command.git, &command.after) {
        (Some(revision), _) => {
            let file = &command.before;
            let before = at_revision(revision, file, &directory)?;
            (discover::load_text(file, before, &directory)?, load(file)?)
        }
        (None, after) => {
            let after = after.as_deref().unwrap_or(&command.before);
            (load(&command.before)?, load(after)?)
        }
    };
    let deadline = Instant::now().checked_add(LONGEST);
    let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let budget = Budget::default().until(&is_late);
    let found = diff_from(&before, &after, jiff::Timestamp::now(), &budget);
    let replay = match &command.against_ledger {
        Some(ledger) => Some(Replay::of(ledger, &before, &after)?),
        None => None,
    };
    if global.json {
        print_json(&to_json(&found, replay.as_ref()));
    } else {
        print(&found);
        replay.iter().for_each(Replay::print);
    }
    let flips = replay.as_ref().map_or(&[][..], |replay| &replay.flips);
    let flips_to_allow = flips
        .iter()
        .any(|flip| flip.after.effect() == Effect::Allow);
    Ok(match command.fail_on {
        FailOn::Any if !flips.is_empty() => Exit::Bad,
        FailOn::NewAllow if flips_to_allow => Exit::Bad,
        FailOn::Any => exit(&found.answer()),
        FailOn::NewAllow => exit(&found.allows_nothing_new()),
    })
}

/// The text that a file had at a revision.
fn at_revision(revision: &str, file: &Path, directory: &Path) -> Result<String, Failure> {
    let found = file_at(revision, &directory.join(file), MAX_DOCUMENT_BYTES);
    let text = found.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8; save it as UTF-8".to_owned())
    });
    text.map_err(|why| {
        Failure::new(format!(
            "`{}` at `{}` cannot be read: {why}",
            file.display().to_string().escape_debug(),
            revision.escape_debug()
        ))
    })
}

fn exit<W>(answer: &Answer<W>) -> Exit {
    match answer {
        Answer::Holds => Exit::Good,
        Answer::Fails(_) => Exit::Bad,
        Answer::Unknown(_) => Exit::Unknown,
    }
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::NewlyAllowed => "newly allowed",
        Kind::NewlyAsked => "asked for, was denied",
        Kind::AskedInstead => "asked for, was allowed",
        Kind::NewlyDenied => "newly denied",
        Kind::ChangedLimits => "allowed as before, on other terms",
        Kind::ChangedTool => "the tool is declared otherwise",
    }
}

fn print(found: &Diff) {
    let mut last = None;
    for change in &found.changes {
        if last != Some(change.kind) {
            answer!("{}", heading(change.kind));
            last = Some(change.kind);
        }
        print_change(change);
    }
    if !found.settings.is_empty() {
        answer!("settings");
    }
    for setting in &found.settings {
        answer!(
            "  {}: {} -> {}",
            setting.key,
            shown(&setting.before),
            shown(&setting.after)
        );
    }
    for cap in &found.unknown {
        answer!("unknown: some of it could not be compared: {cap}");
    }
    let count = found.changes.len().saturating_add(found.settings.len());
    match (count, found.unknown.is_empty()) {
        (0, true) => answer!("the policies decide alike"),
        (0, false) => {}
        (1, _) => answer!("1 difference"),
        (more, _) => answer!("{more} differences"),
    }
}

fn shown(value: &str) -> String {
    match value {
        "" => "(none)".to_owned(),
        value => value.escape_debug().to_string(),
    }
}

fn print_change(change: &Change) {
    answer!("  {}  {}", change.after.told(), change.after.told_given());
    answer!("    was  {}", change.before.told_decision());
    answer!("    now  {}", change.after.told_decision());
    let decisions = (&change.before.decision, &change.after.decision);
    for (what, was, now) in other_terms(decisions.0, decisions.1) {
        answer!("    {what}: {was} -> {now}");
    }
}

/// A decision in a few fields.
pub(super) fn brief(witness: &Witness) -> Json {
    of_decision(&witness.decision)
}

fn of_decision(decision: &Decision) -> Json {
    json!({
        "effect": decision.effect(),
        "reason": decision.reason(),
        "rule": decision.rules().first().map(|rule| rule.id.as_str()),
        "rule_at": decision.rules().first().and_then(|rule| rule.at.clone()),
        "limits": decision.limits_json(),
    })
}

fn to_json(found: &Diff, replay: Option<&Replay>) -> Json {
    let change = |change: &Change| {
        json!({
            "kind": change.kind,
            "tool": change.tool,
            "action": change.action,
            "argument": change.argument,
            "actor": change.after.decision.asked().actor,
            "witness": change.after.to_json(),
            "before": brief(&change.before),
            "after": brief(&change.after),
        })
    };
    let mut json = json!({
        "v": 1,
        "same": found.answer().holds(),
        "unknown": !found.unknown.is_empty(),
        "caps": found.unknown,
        "changes": found.changes.iter().map(change).collect::<Vec<_>>(),
        "settings": found.settings,
    });
    if let (Some(replay), Some(fields)) = (replay, json.as_object_mut()) {
        fields.insert("ledger".to_owned(), replay.to_json());
    }
    json
}

/// The requests that a ledger holds, decided by both policies.
#[derive(Debug, Default)]
struct Replay {
    replayed: u64,
    /// Recorded in a form that does not say what was asked, because it was redacted or unreadable.
    not_replayed: u64,
    flips: Vec<Flip>,
}

/// A recorded request that the policies decide differently.
#[derive(Debug)]
struct Flip {
    seq: u64,
    ts: String,
    recorded: String,
    request: String,
    before: Decision,
    after: Decision,
}

impl Replay {
    fn of(
        ledger: &Path,
        before: &CompiledPolicy,
        after: &CompiledPolicy,
    ) -> Result<Replay, Failure> {
        let mut replay = Replay::default();
        for recorded in replay::decisions(ledger).map_err(Failure::new)? {
            let Recorded {
                seq,
                ts,
                value,
                asked,
            } = recorded.map_err(Failure::new)?;
            let Some((request, context)) = asked else {
                replay.not_replayed = replay.not_replayed.saturating_add(1);
                continue;
            };
            replay.replayed = replay.replayed.saturating_add(1);
            let (before, after) = (
                decide(before, &request, &context),
                decide(after, &request, &context),
            );
            if before.effect() != after.effect() {
                replay.flips.push(Flip {
                    seq,
                    ts,
                    recorded: value
                        .get("effect")
                        .and_then(Json::as_str)
                        .unwrap_or_default()
                        .to_owned(),
                    request: value
                        .get("request")
                        .map(Json::to_string)
                        .unwrap_or_default(),
                    before,
                    after,
                });
            }
        }
        Ok(replay)
    }

    fn print(&self) {
        for flip in &self.flips {
            answer!(
                "recorded {}  {}  {}",
                flip.seq,
                flip.ts,
                flip.request
                    .escape_debug()
                    .to_string()
                    .replace("\\\"", "\"")
            );
            answer!(
                "    was  {}, recorded as {}",
                flip.before.effect().word(),
                flip.recorded.escape_debug()
            );
            answer!("    now  {}", flip.after.effect().word());
        }
        answer!(
            "{} recorded decisions looked at, {} would be otherwise, {} do not say what was asked",
            self.replayed,
            self.flips.len(),
            self.not_replayed
        );
    }

    fn to_json(&self) -> Json {
        let flip = |flip: &Flip| {
            json!({
                "seq": flip.seq,
                "ts": flip.ts,
                "recorded": flip.recorded,
                "request": serde_json::from_str::<Json>(&flip.request).unwrap_or(Json::Null),
                "before": of_decision(&flip.before),
                "after": of_decision(&flip.after),
            })
        };
        json!({
            "replayed": self.replayed,
            "not_replayed": self.not_replayed,
            "flips": self.flips.iter().map(flip).collect::<Vec<_>>(),
        })
    }
}
