//! `lictor hook`: answers a coding agent that is about to call a tool.
//!
//! Whatever goes wrong here is a block: bad words, a bad message, no policy, no ledger, a panic, and time that is over.
//! Agents let a call through whose hook ends in any other way than they expect.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline ends the program wherever it is"
)]

use std::ffi::OsString;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::{Global, discover, print, print_json};
use crate::agents::{self, Agent, MAX_MESSAGE_BYTES, Reply, Settings};
use crate::governor::Governor;

#[derive(Args, Debug)]
#[command(after_help = "\
Without an objection the answer is empty and the exit code 0; a denial is JSON in the agent's form, a reason on \
standard error, and exit code 2. `--policy FILE` has to be given, with an absolute path.")]
pub(super) struct Hook {
    /// The agent
    #[arg(value_name = "AGENT", value_parser = PossibleValuesParser::new(Agent::all().map(Agent::name)))]
    agent: String,
    /// What an allowed call is answered with: nothing, so that the agent's own permissions decide; an approval; or an
    /// approval of a command that is rewritten so that `lictor run` runs each program
    #[arg(long, value_name = "ANSWER", default_value = "silent")]
    on_allow: OnAllow,
    /// Where a call goes that needs a person: to the agent's own question, or back to the model with the reason
    #[arg(long, value_name = "WHERE")]
    on_ask: Option<OnAsk>,
    /// The time after which a call is blocked that is not decided. It has to be shorter than the agent waits for a hook: most
    /// agents let the call through then
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
    /// Record what would be denied, and block nothing
    #[arg(long)]
    observe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnAllow {
    Silent,
    Approve,
    Rewrite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnAsk {
    Ask,
    Deny,
}

/// Set by whoever writes the answer: this command, or the deadline.
static ANSWERED: AtomicBool = AtomicBool::new(false);

pub(super) fn main(command: &Hook, global: &Global) -> Exit {
    let begun = Instant::now();
    let Some(agent) = Agent::named(&command.agent) else {
        // The parser knows the names.
        return Exit::CouldNot;
    };
    let observes = command.observe;
    let deadline = Duration::from_secs(command.deadline);
    let watch = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(deadline.saturating_sub(begun.elapsed()));
        if !ANSWERED.swap(true, Ordering::SeqCst) {
            let why = format!("{} s are over", deadline.as_secs());
            let exit = write(&failed(agent, &[], &why, observes));
            let exit: u8 = if print::end(exit, false) == Exit::Good {
                0
            } else {
                2
            };
            std::process::exit(i32::from(exit));
        }
    });
    let mut message = Vec::new();
    let reply = match &watch {
        Ok(_) => catch_unwind(AssertUnwindSafe(|| {
            answer(agent, command, global, &mut message)
        }))
        .unwrap_or_else(|_| Err("lictor itself failed: please report this mistake".to_owned())),
        Err(error) => Err(format!(
            "no thread can be started to watch the time: {error}"
        )),
    };
    let reply = reply.unwrap_or_else(|why| failed(agent, &message, &why, observes));
    while ANSWERED.swap(true, Ordering::SeqCst) {
        // The deadline is writing, and ends this program.
        std::thread::park();
    }
    write(&reply)
}

/// The answer, or why there is none.
fn answer(
    agent: &Agent,
    command: &Hook,
    global: &Global,
    message: &mut Vec<u8>,
) -> Result<Reply, String> {
    let most = u64::try_from(MAX_MESSAGE_BYTES).unwrap_or(u64::MAX);
    std::io::stdin()
        .lock()
        .take(most.saturating_add(1))
        .read_to_end(message)
        .map_err(|error| format!("the message cannot be read: {error}"))?;
    let policy = global.policy.as_deref().ok_or(
        "no policy is named: write `--policy FILE` into the agent's settings, with an absolute path",
    )?;
    if !is_pinned(policy) {
        let shown = policy.display().to_string();
        return Err(format!(
            "policy `{}` is named from the directory in which the agent happens to be: write its absolute path into the agent's settings",
            shown.escape_debug()
        ));
    }
    let loaded = discover::policy(global).map_err(|failure| failure.plain())?;
    let settings = Settings {
        on_allow: match command.on_allow {
            OnAllow::Silent => agents::OnAllow::Silent,
            OnAllow::Approve => agents::OnAllow::Approve,
            OnAllow::Rewrite => agents::OnAllow::Rewrite(run_by(agent, policy, global)?),
        },
        on_ask: command.on_ask.map(|on_ask| match on_ask {
            OnAsk::Ask => agents::OnAsk::Ask,
            OnAsk::Deny => agents::OnAsk::Deny,
        }),
        observes: command.observe,
        actor: discover::claimed_actor(global),
    };
    Ok(agent.answer(message, &Governor::new(loaded), &settings))
}

/// This program with this policy and ledger, up to the words of a command that it is to run.
fn run_by(agent: &Agent, policy: &Path, global: &Global) -> Result<Vec<String>, String> {
    let program = discover::program()
        .map_err(|error| format!("this program does not find itself: {error}"))?;
    let directory = discover::current_directory().map_err(|failure| failure.plain())?;
    let text = |path: &Path| {
        let path = directory.join(path);
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| "a path that is not UTF-8 cannot stand in a command".to_owned())
    };
    let mut words = vec![text(&program)?, "--policy".to_owned(), text(policy)?];
    if let Some(ledger) = &global.ledger {
        words.extend(["--ledger".to_owned(), text(ledger)?]);
    }
    let actor = discover::claimed_actor(global).unwrap_or_else(|| agent.name().to_owned());
    words.extend(["--actor".to_owned(), actor, "run".to_owned()]);
    Ok(words)
}

/// Returns true if no file that an agent makes can stand in for the policy. A hook starts where the agent is, which the agent
/// chooses; a relative name is one policy only if nobody may write a file of that name.
fn is_pinned(policy: &Path) -> bool {
    policy.is_absolute()
        || policy
            .file_name()
            .is_some_and(|name| name == discover::FILE_NAME)
}

fn failed(agent: &Agent, message: &[u8], why: &str, observes: bool) -> Reply {
    match observes {
        // Nothing is blocked; a line on standard error is all that can be done.
        true => {
            message!("lictor observed nothing: {why}");
            Reply::default()
        }
        false => agent.not_decided(message, why),
    }
}

fn write(reply: &Reply) -> Exit {
    if let Some(reason) = &reply.reason {
        message!("{reason}");
    }
    if let Some(json) = &reply.json {
        print_json(json);
    }
    match reply.blocks() {
        true => Exit::CouldNot,
        false => Exit::Good,
    }
}

/// Adds the agent's form to the message about words that are not understood.
pub(super) fn misused(words: &[OsString], why: &str) {
    let named = words.iter().filter_map(|word| word.to_str());
    if let Some(agent) = named.filter_map(Agent::named).next()
        && let Some(json) = agent.not_decided(&[], why).json
    {
        print_json(&json);
    }
}
