//! `lictor ledger tail`: the last entries, and with `-f` those that come.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::lines::{Form, Out};
use super::select::Select;
use super::{missing, unreadable, warn_of};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global, print};
use crate::executor::{CancelToken, Stream, cancel_on_signals};
use crate::log::follow::{Tail, Until, Woken, follow};
use crate::log::read::{Filter, Shown};

#[derive(Args, Debug)]
#[command(after_help = "\
Following ends with code 0 when it is interrupted or when nobody reads its output any more, and with
code 2 when the ledger goes away or becomes shorter.

  lictor ledger tail -f --json | jq -r 'select(.effect == \"deny\") | .message'
  lictor ledger tail -f -n 0 --format ocsf | vector --config siem.toml")]
pub(super) struct TailArgs {
    /// Go on with what is recorded from now on, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many of the entries that are there already
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: usize,
    /// How entries are written; `--json` is the same as `--format jsonl`
    #[arg(long, value_name = "FORMAT")]
    format: Option<LineFormat>,
    #[command(flatten)]
    select: Select,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LineFormat {
    /// For people
    Human,
    /// The lines of the ledger
    Jsonl,
    /// Events of the Open Cybersecurity Schema Framework, one a line
    Ocsf,
}

/// Longest wait: a look now and then, in case the kernel forgot to say something.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) fn main(args: &TailArgs, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let filter = args.select.filter(global)?;
    let mut form = match args.format {
        Some(LineFormat::Human) => Form::Human,
        Some(LineFormat::Ocsf) => Form::Ocsf(Box::default()),
        Some(LineFormat::Jsonl) => Form::Json,
        None if global.json => Form::Json,
        None => Form::Human,
    };
    // Before anything is printed: who is told to stop must not stop within a line.
    let stop = CancelToken::new();
    if args.follow {
        cancel_on_signals(&stop)
            .map_err(|error| Failure::new(format!("signals cannot be handled: {error}")))?;
    }
    let mut tail = begin(args.lines, directory, &filter, &mut form)?;
    let mut out = Out::to(None, directory)?;
    let mut unread = 0_u64;
    for shown in std::mem::take(&mut tail.last) {
        if print(&shown, &mut form, &mut out, &mut unread)?.is_break() {
            return Ok(Exit::Good);
        }
    }
    while out.flush()?.is_continue() && args.follow && !stop.is_cancelled() {
        let stdout = print::descriptor_of(Stream::Stdout);
        let until = Until {
            readable: stop.as_fd(),
            closed: Some(stdout.as_fd()),
        };
        let woken = tail.rest.wait(LONGEST_WAIT, until);
        if woken.map_err(unreadable(directory))? == Woken::Stop {
            return Ok(Exit::Good);
        }
        let mut printed = Ok(ControlFlow::Continue(()));
        let read = tail.rest.read(&mut |shown| {
            printed = print(&shown, &mut form, &mut out, &mut unread);
            match printed {
                Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        let printed = printed?;
        read.map_err(unreadable(directory))?;
        if printed.is_break() {
            return Ok(Exit::Good);
        }
    }
    warn_of(unread);
    Ok(if unread > 0 && !args.follow {
        Exit::Bad
    } else {
        Exit::Good
    })
}

fn print(
    shown: &Shown,
    form: &mut Form,
    out: &mut Out,
    unread: &mut u64,
) -> Result<ControlFlow<()>, Failure> {
    *unread = unread.saturating_add(u64::from(shown.entry.is_err()));
    match form.line(shown) {
        Some(line) => out.line(&line),
        None => Ok(ControlFlow::Continue(())),
    }
}

/// The last entries, and the tail that goes on behind them.
struct Begun {
    last: VecDeque<Shown>,
    rest: Tail,
}

fn begin(
    lines: usize,
    directory: &Path,
    filter: &Filter,
    form: &mut Form,
) -> Result<Begun, Failure> {
    let failed = unreadable(directory);
    // What belongs to a filter's decision, or to an event's run, may stand far above; else a look at the
    // last files is enough.
    let all = *filter != Filter::default() || matches!(form, Form::Ocsf(_));
    let mut back = if all { None } else { Some(1_u64) };
    loop {
        let tail = follow(directory, filter.clone(), back).map_err(&failed)?;
        let Some(mut rest) = tail else {
            return Err(missing(directory));
        };
        let is_whole = rest.is_at_beginning();
        let mut last = VecDeque::new();
        rest.read(&mut |shown| {
            last.push_back(shown);
            if last.len() > lines
                && let Some(before) = last.pop_front()
            {
                form.see(&before);
            }
            ControlFlow::Continue(())
        })
        .map_err(&failed)?;
        if is_whole || last.len() >= lines {
            return Ok(Begun { last, rest });
        }
        back = back.map(|back| back.saturating_mul(4));
    }
}
