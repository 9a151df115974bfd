//! The command line of `check`, `hook` and `run`, for which other programs wait: read without making the arguments of
//! all commands, which took longer than reading the policy.
//!
//! What is not plainly one of them is not read here; all that is wrong is told by [`Cli`].

#![forbid(unsafe_code)]

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use super::{Cli, Command, Global, check, hook, run};

/// A command line on which only one command is known.
#[derive(Parser)]
#[command(disable_help_flag = true, disable_help_subcommand = true)]
struct Only<C: Subcommand> {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: C,
}

#[derive(Subcommand)]
enum Check {
    Check(check::Check),
}

#[derive(Subcommand)]
enum Hook {
    Hook(hook::Hook),
}

#[derive(Subcommand)]
enum Run {
    Run(run::Run),
}

/// Which of these commands the line seems to name. A guess: in `--actor run lint` it is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Check,
    Hook,
    Run,
}

/// The first of this program's own words that is the name of one of them.
pub(super) fn named(words: &[OsString]) -> Option<Named> {
    let mut own = words.iter().skip(1).take_while(|word| *word != "--");
    own.find_map(|word| match word.to_str()? {
        "check" => Some(Named::Check),
        "hook" => Some(Named::Hook),
        "run" => Some(Named::Run),
        _ => None,
    })
}

/// The command line, if it is one of these commands and nothing is wrong with it. A wrong guess is not read: no
/// other command is known then.
pub(super) fn read(words: &[OsString]) -> Option<Cli> {
    let (global, command) = match named(words)? {
        Named::Check => {
            let Only { global, command } = Only::try_parse_from(words).ok()?;
            let Check::Check(command) = command;
            (global, Command::Check(command))
        }
        Named::Hook => {
            let Only { global, command } = Only::try_parse_from(words).ok()?;
            let Hook::Hook(command) = command;
            (global, Command::Hook(command))
        }
        Named::Run => {
            let Only { global, command } = Only::try_parse_from(words).ok()?;
            let Run::Run(command) = command;
            (global, Command::Run(command))
        }
    };
    Some(Cli { global, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read here or not, it is what all commands together make of it.
    #[track_caller]
    fn check(line: &str, is_read: bool) {
        let words: Vec<OsString> = format!("lictor {line}")
            .split(' ')
            .map(Into::into)
            .collect();
        let quick = read(&words);
        assert_eq!(quick.is_some(), is_read, "{line}");
        if let Some(quick) = quick {
            let whole = Cli::try_parse_from(&words).unwrap();
            assert_eq!(format!("{quick:?}"), format!("{whole:?}"), "{line}");
        }
    }

    #[test]
    fn a_line_is_read_as_by_all_commands_together_or_not_at_all() {
        for line in [
            "run -- true",
            "check -- true",
            "run --json -- sh -c run",
            "--json check --dry-run -- a",
            "--actor lint run --cwd lint -- check",
            "check --policy a --ledger=b --color never --tool t --action a --arg x=y",
            "run --outcome o --report-file r --grant g --tool check --action run",
            "check --given-env A=1 --given-approval b --at 2027-01-31 -- a",
            "check --batch",
            "check --spend --on-disk -- a -- b",
            "run",
            "hook claude-code --policy /a",
            "--policy a hook codex --on-allow approve --on-ask deny --observe",
        ] {
            check(line, true);
        }
        for line in [
            "--actor run lint",
            "--actor run check -- a",
            "--actor check run -- a",
            "--actor check ledger verify",
            "lint run",
            "help run",
            "run --help",
            "run -h",
            "check --help",
            "--version",
            "--version run",
            "run -V",
            "--help check",
            "-h",
            "run true",
            "run --unknown -- a",
            "check --batch --tool a --action b",
            "check --tool a",
            "run check",
            "check run -- a",
            "explain -- run",
            "hook",
            "hook nobody",
            "--actor hook lint",
            "test check",
            "approve -- check run",
            "--color sometimes run -- a",
            "",
        ] {
            check(line, false);
        }
    }
}
