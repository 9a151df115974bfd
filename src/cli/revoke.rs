//! `lictor revoke`: takes a grant back.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::json;

use super::approve::failure;
use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::governor::Governor;

#[derive(Args, Debug)]
pub(super) struct Revoke {
    /// The grant, as `lictor approvals` names it
    #[arg(value_name = "ID")]
    id: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
}

pub(super) fn main(command: &Revoke, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    let entry = governor
        .revoke_grant(&command.id, &command.why)
        .map_err(failure)?;
    if global.json {
        print_json(&json!({"v": 1, "grant": command.id, "revoked": true, "entry": entry}));
    } else {
        answer!("revoked `{}`", command.id.escape_debug());
    }
    Ok(Exit::Good)
}
