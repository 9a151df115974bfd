//! The program: one file per command. The only code that prints or picks an exit code.
//!
//! Answers go to standard output, messages to standard error. Nothing here decides.

#![forbid(unsafe_code)]

#[macro_use]
mod print;

mod agent_setup;
mod approvals;
mod approve;
mod attack;
mod audit;
mod check;
mod diff;
mod discover;
mod doctor;
mod exit;
mod explain;
mod generate;
mod granted;
mod hook;
mod import;
mod inbox;
mod init;
mod ledger;
mod lint;
mod list;
mod long;
mod offers;
mod other_terms;
mod person;
mod prove;
mod quick;
mod refuse;
mod request;
mod revoke;
mod run;
mod schema;
mod sealed;
mod start;
mod suggest;
mod surroundings;
mod test;
mod tools;

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use exit::Exit;
use print::json as print_json;

use crate::executor::{die_of, outlive_file_limits};

/// Decides what may run on which paths, runs it contained, and records it.
#[derive(Parser, Debug)]
#[command(name = "lictor", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  allowed; clean, passes, same, holds, intact
  1  denied; findings, fails, differs, not intact
  2  could not decide or be done, or the answer could not be written; nothing was allowed
  3  a person has to be asked
  4  unknown: a cap was reached
`run` ends with the command's own code, `start` with 0 when the command runs, or both with
  123  a limit other than time ended the command
  124  timed out
  125  lictor failed, the outcome is not recorded, or processes may be left
  126  denied, or not approved
  127  program not found
  128+n  the command died of signal n, or lictor did, which that signal told to end";

/// Flags that stand before or after the command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The policy; else $LICTOR_POLICY, else the outermost lictor.yaml above this directory
    #[arg(long, global = true, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The ledger's directory, instead of the one the policy names
    #[arg(long, global = true, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// Who asks; else $LICTOR_ACTOR, else uid-<n>
    #[arg(long, global = true, value_name = "NAME")]
    actor: Option<String>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    /// For a line that somebody else completes: behind this, only `check`, `explain`, `list` and `run`, and no option that
    /// names a policy, a ledger, an actor, a grant or a file to write. The policy has to be named in front of it
    #[arg(long, global = true)]
    sealed: bool,
    /// Colour of messages for people
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write a policy to start from, for what this directory holds
    Init(init::Init),
    /// Decide a request; record the decision; run nothing
    Check(check::Check),
    /// Tell why a request is decided as it is, and what would change that; records nothing
    Explain(explain::Explain),
    /// Decide a request, record it, run it contained, record how it ended
    Run(run::Run),
    /// Start a long run, contained and recorded as by `run`: it ends with its lease, by `stop`, or with its owner
    Start(Box<start::Start>),
    /// Print the output of a long run, and with `-f` what comes
    Logs(long::Logs),
    /// End a long run, and tell how it ended; one that has ended is told again
    Stop(long::Stop),
    /// List long runs: which go on, until when, and how the others ended
    #[command(visible_alias = "runs")]
    ListRuns(long::ListRuns),
    /// Answer a coding agent's hook: a message on standard input, the answer in the agent's form
    Hook(hook::Hook),
    /// Grant what a request is missing: who, why, until when, how often, signed or not
    Approve(Box<approve::Approve>),
    /// List what waits for a person, grants and refusals; answer with `--watch`
    Approvals(approvals::Approvals),
    /// Say no to a request that waits for an answer, for a time, with a reason that it is told
    Refuse(Box<refuse::Refuse>),
    /// Take a grant or a refusal back
    Revoke(revoke::Revoke),
    /// Find what is wrong with policies
    Lint(lint::Lint),
    /// Run the tests that policies hold
    Test(test::Test),
    /// Compare two policies: what becomes allowed, denied, asked for, or runs on other terms
    Diff(diff::DiffArgs),
    /// Prove the invariants that policies claim of themselves, or refute them by a request
    Prove(prove::Prove),
    /// Suggest the narrowest rules that would allow what the record shows as denied; changes nothing
    Suggest(suggest::Suggest),
    /// Show which files of the workspace may be touched
    List(list::List),
    /// Try hostile requests against a policy, and report any that is allowed and leads elsewhere
    Attack(attack::Attack),
    /// Find what is wrong with an agent's own permission rules: those that never match, and lines that pass them
    Audit(audit::Audit),
    /// Print a policy that says what an agent's own permission rules say, as far as a policy can
    Import(import::Import),
    /// Look at the record and check it
    Ledger(ledger::Ledger),
    /// List or print the tool libraries inside this program, or tell how they read a command line
    #[command(visible_alias = "tool")]
    Tools(tools::Tools),
    /// Print the policy language as JSON Schema, for editors
    Schema(schema::Schema),
    /// Tell what this machine can enforce, and what to do about the rest
    Doctor(doctor::Doctor),
}

/// Runs the program. A mistake in it that ends in a panic is "could not decide", never another answer.
#[must_use]
pub fn main() -> ExitCode {
    outlive_file_limits();
    let words = discover::words();
    let is_run = Cell::new(quick::named(&words) == Some(quick::Named::Run));
    guarded(&is_run, || {
        let exit = command(&words, &is_run);
        if let Exit::Signal(signal) = exit {
            die_of(signal);
        }
        exit.into()
    })
}

/// Returns the exit code of `command`, or the one for a failure of this program itself if it panics.
fn guarded(is_run: &Cell<bool>, command: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let said = panic.payload();
        let text = said.downcast_ref::<&str>().copied();
        let text = text.or_else(|| said.downcast_ref::<String>().map(String::as_str));
        let place = panic
            .location()
            .map(|at| format!(" ({}:{})", at.file(), at.line()));
        message!(
            "error: lictor itself failed: {}{}: please report this mistake",
            text.unwrap_or("panic").escape_debug(),
            place.unwrap_or_default()
        );
    }));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let exit = if is_run.get() {
            Exit::Command(125)
        } else {
            Exit::CouldNot
        };
        exit.into()
    })
}

fn command(words: &[OsString], is_run: &Cell<bool>) -> Exit {
    let cli = match quick::read(words).map_or_else(|| Cli::try_parse_from(words), Ok) {
        Ok(cli) => cli,
        Err(error) => {
            let error = escaped_error(error, words);
            let exit = if error.use_stderr() {
                Exit::CouldNot
            } else {
                Exit::Good
            };
            if exit == Exit::CouldNot && quick::named(words) == Some(quick::Named::Hook) {
                hook::misused(words, &error.to_string());
            }
            print::usage(&with_tip(error, words), words.iter().any(is_odd_word));
            return print::end(exit, false);
        }
    };
    is_run.set(matches!(cli.command, Command::Run(_) | Command::Start(_)));
    cli.global.color.apply();
    let unsealed = match cli.global.sealed {
        true => sealed::broken(&cli, words),
        false => None,
    };
    let done = match unsealed {
        Some(failure) => Err(failure),
        None => done(cli),
    };
    let exit = done.unwrap_or_else(|failure| {
        if quick::named(words) == Some(quick::Named::Hook) {
            hook::misused(words, &failure.plain());
        }
        failure.print();
        Exit::CouldNot
    });
    print::end(exit, is_run.get())
}

fn is_odd_word(word: &OsString) -> bool {
    word.to_str()
        .is_none_or(|text| text.contains(crate::text::is_odd))
}

/// Returns the error that the words lead to when those that do not print are escaped: its text shows words of the caller's.
fn escaped_error(error: clap::Error, words: &[OsString]) -> clap::Error {
    if !words.iter().any(is_odd_word) {
        return error;
    }
    let escaped = words
        .iter()
        .map(|word| crate::text::escaped(&word.to_string_lossy()));
    Cli::try_parse_from(escaped).err().unwrap_or(error)
}

fn done(cli: Cli) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Init(command) => init::main(&command, global),
        Command::Check(command) => check::main(command, global),
        Command::Explain(command) => explain::main(command, global),
        Command::Run(command) => run::main(command, global),
        Command::Start(command) => start::main(*command, global),
        Command::Logs(command) => long::logs(&command, global),
        Command::Stop(command) => long::stop(&command, global),
        Command::ListRuns(_) => long::list(global),
        Command::Hook(command) => Ok(hook::main(&command, global)),
        Command::Approve(command) => approve::main(*command, global),
        Command::Approvals(command) => approvals::main(&command, global),
        Command::Refuse(command) => refuse::main(*command, global),
        Command::Revoke(command) => revoke::main(&command, global),
        Command::Lint(command) => lint::main(&command, global),
        Command::Test(command) => test::main(&command, global),
        Command::Diff(command) => diff::main(&command, global),
        Command::Prove(command) => prove::main(&command, global),
        Command::Suggest(command) => suggest::main(&command, global),
        Command::List(command) => list::main(&command, global),
        Command::Attack(command) => attack::main(&command, global),
        Command::Audit(command) => audit::main(&command, global),
        Command::Import(command) => import::main(&command, global),
        Command::Ledger(command) => ledger::main(command, global),
        Command::Tools(command) => tools::main(command, global),
        Command::Schema(command) => schema::main(&command),
        Command::Doctor(command) => doctor::main(&command, global),
    }
}

/// Whoever forgets `--` has written a command line where no word belongs: it is shown with it.
fn with_tip(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let tip = match (
        error.kind(),
        words.iter().position(|word| *word == **unknown),
    ) {
        (ErrorKind::UnknownArgument, _) if unknown == "--timeout" => {
            "how long a run may take is said by the rule that allows it: `limits: {timeout: 5s}`"
                .to_owned()
        }
        (ErrorKind::UnknownArgument, Some(at)) if at > 1 && !unknown.starts_with('-') => {
            let (own, line) = words.split_at_checked(at).unwrap_or_default();
            let shown = |words: &[OsString]| {
                let words = words.iter().map(|word| crate::text::shell(word.as_bytes()));
                words.collect::<Vec<_>>().join(" ")
            };
            let own = shown(own.get(1..).unwrap_or_default());
            format!(
                "a command line stands behind `--`: lictor {own} -- {}",
                shown(line)
            )
        }
        _ => return error,
    };
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
    error
}

/// Why a command could not be done, as it is printed: printable, or coloured by a renderer.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    fn new(message: impl std::fmt::Display) -> Failure {
        Failure(crate::text::printable(&format!("error: {message}")))
    }

    fn print(&self) {
        print::coloured_message(&format!("{self}\n"));
    }

    /// The reason without colours, and without the word in front of it.
    fn plain(&self) -> String {
        let text = print::without_colors(&self.0);
        text.strip_prefix("error: ").unwrap_or(&text).to_owned()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Puts `after` in the place of a file's text, if that still is `before`.
fn replace(file: &Path, before: &str, after: &str) -> Result<(), Failure> {
    crate::resolve::replace(file, before, after).map_err(|why| {
        let shown = file.display().to_string();
        Failure::new(format!("`{}` is not changed: {why}", shown.escape_debug()))
    })
}

/// JSON that is one line to every reader: some end a line at U+2028 or U+0085, too.
fn json_line(json: &serde_json::Value) -> String {
    crate::text::escaped_json(&json.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_could_not_decide_and_for_a_run_no_code_of_the_command() {
        for (run, code) in [(false, 2), (true, 125)] {
            let ended = guarded(&Cell::new(run), || panic!("a panic that a test asked for"));
            assert_eq!(ended, ExitCode::from(code));
        }
        assert_eq!(
            guarded(&Cell::new(true), || ExitCode::from(7)),
            ExitCode::from(7)
        );
        // Other tests of this process fail as before.
        drop(std::panic::take_hook());
    }

    #[test]
    fn the_arguments_of_every_command_fit_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
