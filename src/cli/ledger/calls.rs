//! `lictor ledger calls`: what was decided about the calls of agents' tools, joined with what was seen of their end.

#![forbid(unsafe_code)]

use std::path::Path;

use clap::Args;
use serde_json::{Value as Json, json};

use super::{missing, unreadable, warn_of};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global, print_json};
use crate::log::read::{self, Filter};
use crate::record::{CallState, Calls, SeenCall};
use crate::text::one_line;

#[derive(Args, Debug)]
pub(super) struct CallsArgs {
    /// Only calls that were allowed and not seen to end
    #[arg(long)]
    open: bool,
}

pub(super) fn main(args: &CallsArgs, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let failed = unreadable(directory);
    let Some(entries) = read::show(directory, Filter::default()).map_err(&failed)? else {
        return Err(missing(directory));
    };
    let (mut calls, mut unread) = (Calls::default(), 0_u64);
    for shown in entries {
        match shown.map_err(&failed)?.entry {
            Ok(entry) => calls.add(&entry),
            Err(_) => unread = unread.saturating_add(1),
        }
    }
    let is_shown = |call: &&SeenCall| !args.open || call.state == CallState::NotSeenToEnd;
    for call in calls.all().iter().filter(is_shown) {
        if global.json {
            print_json(&to_json(call));
        } else {
            print(call);
        }
    }
    warn_of(unread);
    Ok(Exit::Good)
}

fn print(call: &SeenCall) {
    let text = |name: &str| {
        let text = call.call.get(name).and_then(Json::as_str);
        text.map(one_line).unwrap_or_default()
    };
    let reason = match call.decision.get("reason").and_then(Json::as_str) {
        Some(reason) => format!("  {reason}"),
        None => String::new(),
    };
    let took = match call.ended.get("duration_ms").and_then(Json::as_u64) {
        Some(took) => format!(" after {took} ms"),
        None => String::new(),
    };
    answer!(
        "{:>6}  {}  {} {}  {}{took}{reason}",
        call.seq,
        call.ts,
        text("agent"),
        text("tool"),
        call.state.word(),
    );
}

fn to_json(call: &SeenCall) -> Json {
    json!({
        "v": 1,
        "seq": call.seq,
        "ts": call.ts,
        "state": call.state.word(),
        "effect": call.decision.get("effect"),
        "reason": call.decision.get("reason"),
        "message": call.decision.get("message"),
        "call": call.call,
        "ended": call.ended,
    })
}
