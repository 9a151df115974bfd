//! `lictor approvals`: the grants of the ledger and how they stand.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::json;

use super::approve::{covers, failure, short};
use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::governor::{Governor, GrantView, Standing};

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
        anstream::println!("no grants");
    }
    for grant in &grants {
        print(grant);
    }
    Ok(Exit::Good)
}

fn print(grant: &GrantView) {
    let id = grant.grant.escape_debug();
    let word = grant.standing.word();
    let Some(terms) = &grant.terms else {
        anstream::println!("{id}  {word}");
        tell_void(grant);
        return;
    };
    anstream::println!(
        "{id}  {word}  `{}` for {}",
        terms.approval.escape_debug(),
        covers(terms)
    );
    let uses = match grant.uses {
        Some(uses) => format!("{} of {uses} used", grant.spent),
        None => format!("used {} times", grant.spent),
    };
    let until = grant.until.as_deref().map(short).unwrap_or_default();
    anstream::println!("    {uses}, until {until}");
    for pin in &terms.pins {
        anstream::println!(
            "    only if {} has SHA-256 {}",
            pin.path.escape_debug(),
            pin.sha256.escape_debug()
        );
    }
    let signed = match &grant.key {
        Some(key) => format!(", signed by {key}"),
        None => ", not signed".to_owned(),
    };
    anstream::println!("    {}: {}{signed}", terms.who, terms.why.escape_debug());
    tell_void(grant);
}

fn tell_void(grant: &GrantView) {
    if let Some(why) = &grant.void_because {
        anstream::println!("    does not count: {why}");
    }
}
