//! `lictor ledger`: looks at the record and checks it.

#![forbid(unsafe_code)]

mod proofs;
mod show;
mod stats;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value as Json;

use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::ledger::verify::{Report, Verdict, VerifyOptions, verify};

#[derive(Args, Debug)]
pub(super) struct Ledger {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Check that the record is whole, and say what that does not prove
    Verify(Verify),
    /// Print the record; `--actor` names whose
    Show(show::Show),
    /// Count endings, timeouts, kills, leaks and denials
    Stats(stats::StatsArgs),
    /// Print a signed checkpoint to keep elsewhere: with it, later changes of what is there now are found
    Anchor(proofs::Anchor),
    /// Write a proof that an entry is in the record, which `check-proof` and other programs check
    Prove(proofs::Prove),
    /// Check a proof of an entry
    CheckProof(proofs::CheckProof),
    /// Write the record as C2SP tlog-tiles, which other programs read and check
    Export(proofs::Export),
    /// The key that signs the record
    Key(proofs::Key),
}

#[derive(Args, Debug)]
struct Verify {
    /// A checkpoint that was kept elsewhere; repeat for several
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    /// The least verdict that ends with 0
    #[arg(long, value_name = "VERDICT")]
    require: Option<Required>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Required {
    /// The last checkpoint's signature holds
    Signed,
    /// Consistent with a checkpoint that was kept elsewhere
    Anchored,
}

pub(super) fn main(ledger: Ledger, global: &Global) -> Result<Exit, Failure> {
    let directory = match &global.ledger {
        Some(directory) => directory.clone(),
        None => discover::policy(global)?.ledger,
    };
    match ledger.command {
        Command::Verify(args) => verify_ledger(&args, &directory, global),
        Command::Show(args) => show::main(args, &directory, global),
        Command::Stats(args) => stats::main(&args, &directory, global),
        Command::Anchor(args) => proofs::anchor(&args, &directory),
        Command::Prove(args) => proofs::prove(&args, &directory),
        Command::CheckProof(args) => proofs::check_proof(&args, global),
        Command::Export(args) => proofs::export(&args, &directory, global),
        Command::Key(args) => proofs::key(&args, &directory),
    }
}

/// Why a ledger could not be looked at.
fn unreadable(directory: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| {
        Failure::new(format!(
            "ledger `{}` cannot be read: {error}",
            directory.display()
        ))
    }
}

fn verify_ledger(args: &Verify, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let mut options = VerifyOptions::default();
    for file in &args.anchor {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::new(format!(
                "anchor `{}` cannot be read: {error}",
                file.display()
            ))
        })?;
        options.anchors.push(text);
    }
    let mut progress = Progress::default();
    let report = verify(directory, &options, &mut |done, total| {
        progress.tell(done, total)
    })
    .map_err(|error| {
        Failure::new(format!(
            "ledger `{}` cannot be verified: {error}",
            directory.display()
        ))
    })?;
    progress.clear();
    if global.json {
        print_json(&serde_json::to_value(&report).unwrap_or(Json::Null));
    } else {
        print_report(directory, &report);
    }
    let is_enough = match args.require {
        None => true,
        Some(Required::Signed) => matches!(report.verdict, Verdict::Signed | Verdict::Anchored),
        Some(Required::Anchored) => report.verdict == Verdict::Anchored,
    };
    if report.verdict.is_intact() && !is_enough {
        anstream::eprintln!(
            "lictor: {} is less than what is required",
            report.verdict.name()
        );
    }
    Ok(if report.verdict.is_intact() && is_enough {
        Exit::Good
    } else {
        Exit::Bad
    })
}

/// How far a long verification is, on a terminal.
#[derive(Default)]
struct Progress {
    percent: u64,
    is_shown: bool,
}

impl Progress {
    /// Records shorter than this are verified before anybody could read the line.
    const LONG: u64 = 256 << 20;

    fn tell(&mut self, done: u64, total: u64) {
        use std::io::IsTerminal;
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        if total < Progress::LONG || percent == self.percent || !std::io::stderr().is_terminal() {
            return;
        }
        self.percent = percent;
        self.is_shown = true;
        anstream::eprint!("\r{percent} % of {} MiB", total >> 20);
    }

    fn clear(&self) {
        if self.is_shown {
            anstream::eprint!("\r\x1b[K");
        }
    }
}

fn print_report(directory: &Path, report: &Report) {
    anstream::println!(
        "{}  {} entries in {}",
        report.verdict.name(),
        report.entries,
        directory.display()
    );
    for problem in &report.problems {
        if problem.segment.is_empty() {
            anstream::println!("  {}", problem.what);
            continue;
        }
        anstream::println!(
            "  {} line {} byte {}: {}",
            problem.segment,
            problem.line,
            problem.byte,
            problem.what
        );
    }
    for torn in &report.torn {
        anstream::println!(
            "  {} bytes torn off at the end of {}",
            torn.bytes,
            torn.segment
        );
    }
    for warning in &report.warnings {
        anstream::println!("  warning: {warning}");
    }
    for claim in &report.not_proven {
        anstream::println!("  not proven: {claim}");
    }
}
