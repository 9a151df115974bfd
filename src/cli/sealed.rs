//! A line of which somebody else wrote the end, behind `--sealed`: may it stand there?
//!
//! An agent that is let complete `lictor --policy FILE --sealed` chooses what is asked for, and nothing that decides
//! about it or is written because of it. No word of the end can take `--sealed` back: it stands in front of them all.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use clap::Parser as _;

use super::{Cli, Command, Failure, quick};

/// An error in a sealed line.
pub(super) fn broken(whole: &Cli, words: &[OsString]) -> Option<Failure> {
    let at = words.iter().position(|word| word == "--sealed")?;
    // The end, read as a line of its own: what it names stands in it, whatever the spelling.
    let end: Vec<OsString> = words
        .iter()
        .take(1)
        .chain(words.iter().skip(at))
        .cloned()
        .collect();
    let Some(end) = quick::read(&end).or_else(|| Cli::try_parse_from(&end).ok()) else {
        return Some(Failure::new(
            "`--sealed` stands in front of the command, between whole options: lictor --policy FILE --sealed run -- …",
        ));
    };
    let is_open = matches!(
        end.command,
        Command::Check(_) | Command::Explain(_) | Command::List(_) | Command::Run(_)
    );
    if !is_open {
        return Some(Failure::new(
            "behind `--sealed` stand only the commands `check`, `explain`, `list` and `run`",
        ));
    }
    let operators = if let Command::Run(run) = &end.command {
        run.operators()
    } else {
        None
    };
    let global = [
        (end.global.policy.is_some(), "--policy"),
        (end.global.ledger.is_some(), "--ledger"),
        (end.global.actor.is_some(), "--actor"),
    ];
    let mut named = global.iter().filter(|(is, _)| *is).map(|(_, name)| *name);
    if let Some(name) = operators.or_else(|| named.next()) {
        return Some(Failure::new(format!(
            "`{name}` stands behind `--sealed`; only whoever wrote what stands in front of it may say that, there"
        )));
    }
    whole.global.policy.is_none().then(|| {
        Failure::new(
            "a sealed line names its policy in front of `--sealed`, with `--policy FILE`: one that is found would depend on the directory",
        )
    })
}
