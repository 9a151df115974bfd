//! `lictor ledger verify`: is the record whole, and what does that prove?

#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use super::file::NewFile;
use super::{named, why_missing};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global, print, print_json};
use crate::log::note::Verifier;
use crate::log::verify::{Grade, MAX_TAIL, Report, Resume, Verdict, VerifyOptions};
use crate::record::verify;
use crate::resolve::read_file;

/// The most bytes of an anchor: far more than any has.
const MOST_BYTES: usize = 1024 * 1024;

/// The most bytes of a state. It names every run that was allowed and not started, in some 100 bytes.
const MOST_STATE_BYTES: usize = 256 * 1024 * 1024;

#[derive(Args, Debug)]
#[command(after_help = "\
Verdicts: ANCHORED consistent with a checkpoint that was kept elsewhere; CONTINUED what was read continues what
an earlier verification found; SIGNED the last checkpoint's signature holds; ADOPTED as SIGNED, but nobody knows
who wrote some entries that it covers; UNSIGNED the chain holds, nothing is signed; TORN_TAIL as SIGNED or
UNSIGNED, and a crash tore the end; TAMPERED; ROLLED_BACK shorter than a checkpoint says; SPLIT_VIEW another history than an anchor says;
MISSING there is none.

Exit codes: 0 intact, and at least what `--require` says; 1 not; 2 it could not be verified.

  lictor ledger anchor --out /mnt/usb/anchor          keep that elsewhere, and later:
  lictor ledger verify --anchor /mnt/usb/anchor --require anchored")]
pub(super) struct Verify {
    /// A checkpoint that was kept elsewhere; repeat for several
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    /// Go on in the file that an earlier verification ended in; older files are read if they look otherwise than
    /// then. STATE is made by the first one and rewritten by each that finds the record intact. Keep it where those
    /// who write the record cannot write
    #[arg(long, value_name = "STATE")]
    since: Option<PathBuf>,
    /// A key that a checkpoint of the record has to be signed by, as `ledger key show` printed it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The least that ends with 0; with `anchored` everything is read
    #[arg(long, value_name = "GRADE")]
    require: Option<Required>,
    /// The most entries behind the last signed or anchored one with which `--require` still holds
    #[arg(long, value_name = "N", default_value_t = MAX_TAIL)]
    max_tail: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Required {
    /// A checkpoint's signature holds, and it is known who wrote what it covers
    Signed,
    /// Consistent with a checkpoint that was kept elsewhere
    Anchored,
}

pub(super) fn main(args: &Verify, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let mut options = VerifyOptions::default();
    for file in &args.anchor {
        let text = read_file(file, MOST_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        options.anchors.push(text.map_err(|why| {
            Failure::new(format!("anchor `{}` cannot be read: {why}", named(file)))
        })?);
    }
    if let Some(file) = &args.since {
        options.since = state(file)?;
        options.resumable = true;
    }
    options.whole = args.require == Some(Required::Anchored);
    let key = args.key.as_deref().map(|key| Verifier::parse(key.trim()));
    options.key = key.transpose().map_err(Failure::new)?;
    let mut progress = Progress::default();
    let report = verify(directory, &options, &mut |done, total| {
        progress.tell(done, total)
    });
    progress.clear();
    let report = report.map_err(|error| {
        Failure::new(format!(
            "ledger `{}` cannot be verified: {error}",
            named(directory)
        ))
    })?;
    if global.json {
        print_json(&serde_json::to_value(&report).unwrap_or(Json::Null));
    } else {
        print_report(directory, &report);
    }
    let is_enough = match args.require {
        None => true,
        Some(Required::Signed) => report.reaches_within(Grade::Signed, args.max_tail),
        Some(Required::Anchored) => report.reaches_within(Grade::Anchored, args.max_tail),
    };
    if report.verdict.is_intact() && !is_enough {
        message!("lictor: {}", too_little(args, &report));
    }
    if !report.verdict.is_intact() || !is_enough {
        return Ok(Exit::Bad);
    }
    if let (Some(file), Some(resume)) = (&args.since, &report.resume) {
        NewFile::anew(file, directory)?.keep(resume.text().as_bytes())?;
    }
    Ok(Exit::Good)
}

/// Where the last verification ended; `None` before the first.
fn state(file: &Path) -> Result<Option<Resume>, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(format!("state `{}` cannot be used: {why}", named(file)))
    };
    if let Err(error) = file.symlink_metadata()
        && error.kind() == io::ErrorKind::NotFound
    {
        message!(
            "note: `{}` is not there yet, so everything is verified",
            named(file)
        );
        return Ok(None);
    }
    let bytes = read_file(file, MOST_STATE_BYTES).map_err(|why| failed(&why))?;
    let text = String::from_utf8(bytes).map_err(|error| failed(&error))?;
    Ok(Some(Resume::parse(&text).map_err(|error| failed(&error))?))
}

fn too_little(args: &Verify, report: &Report) -> String {
    let covered = report.signed.max(report.anchored);
    let what = match args.require {
        _ if report.unsigned_tail > args.max_tail && covered > 0 => {
            return format!(
                "{} with {} entries behind what is signed is less than what is required: `--max-tail` allows {}",
                report.verdict.name(),
                report.unsigned_tail,
                args.max_tail
            );
        }
        Some(Required::Signed) if report.adopted > 0 => {
            "nobody knows who wrote some of its entries"
        }
        Some(Required::Anchored) if args.anchor.is_empty() => {
            "it is not anchored: give a checkpoint that was kept elsewhere with `--anchor`"
        }
        Some(Required::Anchored) => "no anchor that was given covers anything of it",
        _ => "no checkpoint of it is signed",
    };
    format!(
        "{} is less than what is required: {what}",
        report.verdict.name()
    )
}

/// Progress of a long verification, on a terminal.
#[derive(Default)]
struct Progress {
    percent: u64,
    is_shown: bool,
}

impl Progress {
    /// Records shorter than this are verified before anybody could read the line.
    const LONG: u64 = 256 << 20;

    fn tell(&mut self, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        if total < Progress::LONG || percent == self.percent || !print::is_watched() {
            return;
        }
        self.percent = percent;
        self.is_shown = true;
        message_part!("\r{percent} % of {} MiB", total >> 20);
    }

    fn clear(&self) {
        if self.is_shown {
            message_part!("\r\x1b[K");
        }
    }
}

fn print_report(directory: &Path, report: &Report) {
    let again = match report.unread {
        0 => String::new(),
        unread => format!(", {unread} of them not read this time"),
    };
    answer!(
        "{}  {} entries in {}{again}",
        report.verdict.name(),
        report.entries,
        named(directory)
    );
    if report.verdict == Verdict::Missing {
        answer!("  {}", why_missing(directory));
    }
    for problem in &report.problems {
        if report.verdict == Verdict::Missing {
            continue;
        }
        if problem.segment.is_empty() {
            answer!("  {}", problem.what);
            continue;
        }
        answer!(
            "  {} line {} byte {}: {}",
            problem.segment,
            problem.line,
            problem.byte,
            problem.what
        );
    }
    for torn in &report.torn {
        answer!(
            "  {} bytes torn off at the end of {}",
            torn.bytes,
            torn.segment
        );
    }
    for warning in &report.warnings {
        answer!("  warning: {warning}");
    }
    for claim in &report.not_proven {
        answer!("  not proven: {claim}");
    }
}
