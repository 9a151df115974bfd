//! `lictor approvals`: the grants of the ledger and how they stand.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::json;

use super::approve::{failure, short};
use super::exit::Exit;
use super::{Failure, Global, discover, granted, print_json};
use crate::governor::{Governor, GrantView, Standing};
use crate::policy::CompiledPolicy;
use crate::text::escaped;

#[derive(Args, Debug)]
pub(super) struct Approvals {
    /// Only those that can still be used
    #[arg(long)]
    open: bool,
}

pub(super) fn main(command: &Approvals, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    let mut grants = governor.grants().map_err(failure)?;
    if command.open {
        grants.retain(|grant| grant.standing == Standing::Open);
    }
    if global.json {
        print_json(&json!({"v": 1, "grants": grants}));
        return Ok(Exit::Good);
    }
    if grants.is_empty() {
        answer!("no grants");
    }
    for grant in &grants {
        print(grant, governor.policy());
    }
    Ok(Exit::Good)
}

fn print(grant: &GrantView, policy: &CompiledPolicy) {
    let id = escaped(&grant.grant);
    let word = grant.standing.word();
    let Some(terms) = &grant.terms else {
        answer!("{id}  {word}");
        tell_void(grant);
        return;
    };
    answer!("{id}  {word}  {}", granted::shown(&terms.approval));
    let uses = match grant.uses {
        Some(uses) => format!("{} of {uses} used", grant.spent),
        None => format!("used {} times", grant.spent),
    };
    let until = grant.until.as_deref().map(short).unwrap_or_default();
    let counts = format!("{uses}, until {until}");
    for line in granted::grant(terms, grant.key.as_deref(), &counts, policy) {
        answer!("    {line}");
    }
    tell_void(grant);
}

fn tell_void(grant: &GrantView) {
    if let Some(why) = &grant.void_because {
        answer!("    does not count: {why}");
    }
}
