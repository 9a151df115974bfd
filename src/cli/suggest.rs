//! `lictor suggest`: rules that would allow what the record shows as denied, as a change to review.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::prove::LONGEST;
use super::{Failure, Global, discover, print_json};
use crate::analysis::Budget;
use crate::analysis::diff::{Diff, Kind, diff};
use crate::decision::{Effect, decide};
use crate::governor::{LoadedPolicy, load_document, load_text};
use crate::lint::suggest::{SuggestedRule, Suggestions, suggest};
use crate::reason::Reason;
use crate::record::replay::{self, Recorded};
use crate::resolve::{self, Workspace};
use crate::text::one_line;

/// The change goes to standard output as a patch; what it would newly allow, to standard error
#[derive(Args, Debug)]
pub(super) struct Suggest {}

pub(super) fn main(_: &Suggest, global: &Global) -> Result<Exit, Failure> {
    let loaded = discover::policy(global)?;
    let Some(file) = loaded.files.first() else {
        return Err(Failure::new(
            "there is no policy to add rules to; `lictor.yaml` would be one",
        ));
    };
    let (mut asked, mut unreadable) = (Vec::new(), 0_u64);
    let mut denied_by_machine = BTreeMap::new();
    for recorded in replay::decisions(&loaded.ledger).map_err(Failure::new)? {
        let Recorded {
            value, asked: was, ..
        } = recorded.map_err(Failure::new)?;
        if value.get("effect").and_then(Json::as_str) != Some(Effect::Deny.word()) {
            continue;
        }
        let reason = value.get("reason").and_then(Json::as_str);
        let reason = reason.and_then(|code| code.parse::<Reason>().ok());
        let by_machine = reason.filter(|reason| reason.is_of_machine());
        match (was, by_machine) {
            // The policy let it through, and still does: what denied it was the machine.
            (Some((request, context)), Some(reason))
                if decide(&loaded.policy, &request, &context).effect() != Effect::Deny =>
            {
                let count = denied_by_machine.entry(reason.code()).or_insert(0_u64);
                *count = count.saturating_add(1);
            }
            (Some(was), _) => asked.push(was),
            (None, _) => unreadable = unreadable.saturating_add(1),
        }
    }
    let workspace = Workspace::open_root(&loaded.workspace).ok();
    let rules = loaded.policy.disk_rules();
    let mut found = suggest(&loaded.policy, &asked, &|path| {
        let opened = workspace.as_ref().and_then(|at| at.open(path, rules).ok());
        opened.is_some_and(|opened| opened.kind() == resolve::Kind::Directory)
    });
    for (reason, count) in denied_by_machine {
        let left = found.left.entry(reason).or_default();
        *left = left.saturating_add(count);
    }
    let changed = match &found.text {
        Some(text) => Some(compared(&loaded, file, text)?),
        None => None,
    };
    if global.json {
        print_json(&to_json(&loaded, &found, changed.as_ref(), unreadable));
    } else {
        print(&loaded, &found, changed.as_ref(), unreadable);
    }
    Ok(Exit::Good)
}

/// Requests that the new text decides otherwise than the old one.
fn compared(loaded: &LoadedPolicy, file: &Path, text: &str) -> Result<Diff, Failure> {
    let directory = file.parent().unwrap_or(&loaded.workspace);
    let before = load_document(file, directory).map_err(Failure::new)?;
    let after = load_text(file, text.to_owned(), directory).map_err(|error| {
        Failure::new(format!(
            "the suggested rules do not fit the policy: {error}"
        ))
    })?;
    let begun = Instant::now();
    let is_late = || begun.elapsed() > LONGEST;
    let budget = Budget::default().until(&is_late);
    Ok(diff(&before, &after, &budget))
}

fn patch(loaded: &LoadedPolicy, text: &str) -> String {
    let Some(file) = loaded.policy.files().next() else {
        return String::new();
    };
    similar::TextDiff::from_lines(file.text.as_str(), text)
        .unified_diff()
        .header(&one_line(&file.name), &one_line(&file.name))
        .to_string()
}

fn print(loaded: &LoadedPolicy, found: &Suggestions, changed: Option<&Diff>, unreadable: u64) {
    match &found.text {
        Some(text) => answer_part!("{}", patch(loaded, text)),
        None if !found.rules.is_empty() => {
            answer!("# The policy's layout has no room that was found; put this where it belongs.");
            print_section(
                "scopes:",
                "  ",
                found.rules.iter().flat_map(SuggestedRule::scopes_yaml),
            );
            print_section(
                "rules:",
                "  - ",
                found.rules.iter().map(SuggestedRule::yaml),
            );
        }
        None => message!("nothing to suggest"),
    }
    if let Some(diff) = changed {
        message!("with it, newly allowed:");
        for change in diff.changes.iter().filter(|change| is_new(change.kind)) {
            let path = change.after.path.as_deref().unwrap_or("(no path)");
            message!(
                "  {}.{} of `{}`, for example, by `{}`",
                change.tool,
                change.action,
                path.escape_debug(),
                change
                    .after
                    .decision
                    .rules()
                    .first()
                    .map_or("", |rule| &rule.id)
            );
        }
        for cap in &diff.unknown {
            message!("  not all of it is known: {cap}");
        }
    }
    for (reason, count) in &found.left {
        message!("left as denied: {count} with {reason}");
    }
    if found.settled > 0 {
        message!("{} are no longer denied", found.settled);
    }
    if unreadable > 0 {
        message!("{unreadable} do not say what was asked");
    }
}

fn print_section(key: &str, lead: &str, entries: impl Iterator<Item = String>) {
    let entries: Vec<String> = entries.collect();
    if !entries.is_empty() {
        answer!("{key}");
    }
    for entry in entries {
        answer!("{lead}{entry}");
    }
}

fn is_new(kind: Kind) -> bool {
    matches!(kind, Kind::NewlyAllowed | Kind::NewlyAsked)
}

fn to_json(
    loaded: &LoadedPolicy,
    found: &Suggestions,
    changed: Option<&Diff>,
    unreadable: u64,
) -> Json {
    let rule = |rule: &SuggestedRule| {
        json!({
            "id": rule.id,
            "tool": rule.tool,
            "action": rule.action,
            "actor": rule.actor,
            "paths": rule.paths,
            "requests": rule.requests,
            "scopes": rule.scopes_yaml(),
            "rule": rule.yaml(),
        })
    };
    let newly = changed.map(|diff| {
        let new = diff.changes.iter().filter(|change| is_new(change.kind));
        new.map(|change| {
            json!({
                "kind": change.kind,
                "tool": change.tool,
                "action": change.action,
                "argument": change.argument,
                "witness": change.after.to_json(),
            })
        })
        .collect::<Vec<_>>()
    });
    json!({
        "v": 1,
        "suggestions": found.rules.iter().map(rule).collect::<Vec<_>>(),
        "diff": found.text.as_ref().map(|text| patch(loaded, text)),
        "newly_allowed": newly,
        "unknown": changed.is_some_and(|diff| !diff.unknown.is_empty()),
        "left": found.left,
        "settled": found.settled,
        "unreadable": unreadable,
    })
}
