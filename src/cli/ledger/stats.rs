//! `lictor ledger stats`: counts over the record.

#![forbid(unsafe_code)]

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::{missing, unreadable};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Global, print_json};
use crate::log::read::{self, Filter};
use crate::record::stats::{GRACE_BUCKETS_MS, Stats};

#[derive(Args, Debug)]
pub(super) struct StatsArgs {
    /// How the counts are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: StatsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StatsFormat {
    /// For people
    Human,
    /// One JSON object
    Json,
    /// OpenMetrics text, for Prometheus
    Openmetrics,
}

pub(super) fn main(args: &StatsArgs, directory: &Path, global: &Global) -> Result<Exit, Failure> {
    let format = if global.json {
        StatsFormat::Json
    } else {
        args.format
    };
    count_ledger(directory, format)
}

fn count_ledger(directory: &Path, format: StatsFormat) -> Result<Exit, Failure> {
    let failed = unreadable(directory);
    let Some(entries) = read::show(directory, Filter::default()).map_err(&failed)? else {
        return Err(missing(directory));
    };
    let mut stats = Stats::default();
    let mut unreadable = 0_u64;
    for shown in entries {
        match shown.map_err(&failed)?.entry {
            Ok(entry) => stats.add(&entry),
            Err(_) => unreadable = unreadable.saturating_add(1),
        }
    }
    match format {
        StatsFormat::Human => print_stats(&stats),
        StatsFormat::Openmetrics => answer_part!("{}", stats.openmetrics()),
        StatsFormat::Json => {
            let mut json = json!({"v": 1, "grace_buckets_ms": GRACE_BUCKETS_MS});
            if let (Some(fields), Ok(Json::Object(counts))) =
                (json.as_object_mut(), serde_json::to_value(&stats))
            {
                fields.extend(counts);
            }
            print_json(&json);
        }
    }
    if unreadable > 0 {
        message!(
            "warning: {unreadable} lines cannot be read and are not counted; see `lictor ledger verify`"
        );
    }
    Ok(if unreadable > 0 {
        Exit::Bad
    } else {
        Exit::Good
    })
}

fn print_stats(stats: &Stats) {
    let percent = |share: u64| format!("{}.{:02} %", share / 100, share % 100);
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        let parts: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{} {count}", crate::text::escaped(name)))
            .collect();
        if parts.is_empty() {
            "none".to_owned()
        } else {
            parts.join(", ")
        }
    };
    answer!("decisions    {}", list(&stats.decisions));
    answer!("refused for  {}", list(&stats.reasons));
    answer!("runs         {} ({})", stats.all_runs(), list(&stats.runs));
    answer!("timed out    {}", percent(stats.timeout_share()));
    let stopped = stats.killed.saturating_add(stats.ended_in_grace);
    answer!(
        "stopped      {stopped}: {} within the grace period, {} by SIGKILL ({})",
        stats.ended_in_grace,
        stats.killed,
        percent(stats.kill_share())
    );
    let bounds = GRACE_BUCKETS_MS
        .iter()
        .map(|bound| format!("≤{bound} ms"))
        .chain(["more".to_owned()]);
    let grace: Vec<String> = bounds
        .zip(stats.grace)
        .filter(|(_, count)| *count > 0)
        .map(|(bound, count)| format!("{bound}: {count}"))
        .collect();
    answer!(
        "grace used   {}",
        if grace.is_empty() {
            "none".to_owned()
        } else {
            grace.join(", ")
        }
    );
    answer!(
        "left behind  {} processes in {} runs",
        stats.leaked_processes,
        stats.leaked_runs
    );
    answer!(
        "containment  {}; emptiness not proved in {}, survivors in {}",
        list(&stats.containment),
        stats.unproved,
        stats.survivor_runs
    );
}
