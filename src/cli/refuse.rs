//! `lictor refuse`: a person says no to a request that waits for an answer.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::json;

use super::approve::{age, failure, short};
use super::exit::Exit;
use super::request::RequestArgs;
use super::{Failure, Global, discover, granted, print_json};
use crate::governor::Governor;

#[derive(Args, Debug)]
#[command(after_help = "\
The same request of the same actor is denied from now on, and whoever asks for it is told the reason. Nothing else is: \
other requests are asked about as before. A refusal ends after a day, or with `lictor revoke ID`.

  lictor refuse 3f1c9a20b7de --why 'wait for the release'")]
pub(super) struct Refuse {
    /// The question, as `lictor approvals` names it; else the request itself is named
    #[arg(value_name = "ID", conflicts_with_all = ["tool", "argv"])]
    id: Option<String>,
    /// Why; recorded, and told to whoever asks
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    why: String,
    /// For how long it counts, for example 30m, 2h or 7d; else a day
    #[arg(long = "for", value_name = "TIME", value_parser = age)]
    age: Option<jiff::SignedDuration>,
    /// What you are called; recorded as a claim
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
}

pub(super) fn main(command: Refuse, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    let (actor, request) = match &command.id {
        Some(id) => asked(&governor, id)?,
        None => {
            let actor = discover::actor(global);
            let request = command.request.into_request(&actor, &governor)?;
            (actor, request)
        }
    };
    let until = command
        .age
        .and_then(|age| jiff::Timestamp::now().checked_add(age).ok());
    let terms = governor
        .refuse(&request, &actor, (&command.why, command.who), until)
        .map_err(failure)?;
    if global.json {
        print_json(&json!({"v": 1, "refusal": terms.id, "terms": terms, "recorded": true}));
        return Ok(Exit::Good);
    }
    answer!("refused as `{}`, until {}", terms.id, short(&terms.until));
    for line in granted::understood(&terms.request) {
        answer!("  {line}");
    }
    answer!("  actor      {}", granted::shown(&terms.actor));
    answer!("  to take it back: lictor revoke {} --why TEXT", terms.id);
    Ok(Exit::Good)
}

/// Who asks a question, and for what.
pub(super) fn asked(
    governor: &Governor,
    id: &str,
) -> Result<(String, crate::decision::Request), Failure> {
    let view = governor.question(id).map_err(failure)?;
    let request = view.asked().cloned().ok_or_else(|| {
        Failure::new(
            "the record does not hold the request as it was: a secret of it was replaced, or it is too long\n  \
             help: name the request itself, behind `--`",
        )
    })?;
    Ok((view.actor, request))
}
