//! Counts of a ledger, for operators: endings, timeouts, kills, grace used, leaks, denials.
//!
//! Entries go in one by one, in any number; what comes out has a text for people and one in the
//! OpenMetrics form that Prometheus reads.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::log::Kind;
use crate::log::read::Entry;

/// Upper bounds of the grace histogram, in milliseconds; the last bucket has none.
///
/// 1500 is the built-in grace period; the buckets below it tell how much of it is needed.
pub const GRACE_BUCKETS_MS: [u64; 8] = [10, 50, 100, 250, 500, 1000, 1500, 5000];

/// Counts over the entries of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Decisions by effect.
    pub decisions: BTreeMap<String, u64>,
    /// Denials and asks by reason code.
    pub reasons: BTreeMap<String, u64>,
    /// Runs by status.
    pub runs: BTreeMap<String, u64>,
    /// Runs by containment level.
    pub containment: BTreeMap<String, u64>,
    /// Runs whose emptiness was not proved.
    pub unproved: u64,
    /// Stopped runs that ended within their grace period.
    pub ended_in_grace: u64,
    /// Stopped runs that needed `SIGKILL`.
    pub killed: u64,
    /// Stopped runs by how much of the grace period they used: counts for each bound of
    /// [`GRACE_BUCKETS_MS`], and one more for those above.
    pub grace: [u64; GRACE_BUCKETS_MS.len() + 1],
    /// Grace used by all stopped runs together.
    pub grace_used_ms: u64,
    /// Runs that left processes behind, which were killed.
    pub leaked_runs: u64,
    /// Processes left behind.
    pub leaked_processes: u64,
    /// Runs with processes that could not be shown to be gone.
    pub survivor_runs: u64,
}

impl Stats {
    /// Counts one entry.
    pub fn add(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Decision => self.decision(&entry.value()),
            Kind::Outcome => self.outcome(&entry.value()),
            Kind::Segment
            | Kind::Policy
            | Kind::Approval
            | Kind::Start
            | Kind::Stop
            | Kind::Checkpoint
            | Kind::Anchor
            | Kind::Gap
            | Kind::Grant
            | Kind::Observed => {}
        }
    }

    fn decision(&mut self, entry: &Value) {
        // A call of several requests: they follow.
        if entry.pointer("/call/parts").is_some() {
            return;
        }
        count(&mut self.decisions, &entry["effect"]);
        if entry["effect"] != "allow" {
            count(&mut self.reasons, &entry["reason"]);
        }
    }

    fn outcome(&mut self, entry: &Value) {
        count(&mut self.runs, &entry["status"]);
        // It was counted as lost when a later writer gave it up.
        if entry["after_lost"] == true
            && let Some(lost) = self.runs.get_mut("LOST")
        {
            *lost = lost.saturating_sub(1);
        }
        let containment = &entry["containment"];
        count(&mut self.containment, &containment["level"]);
        self.unproved = self
            .unproved
            .saturating_add(u64::from(containment["empty_proof"] == "none"));
        let leaked = number_of(entry, "leaked");
        self.leaked_processes = self.leaked_processes.saturating_add(leaked);
        self.leaked_runs = self.leaked_runs.saturating_add(u64::from(leaked > 0));
        self.survivor_runs = self
            .survivor_runs
            .saturating_add(u64::from(number_of(entry, "survivors") > 0));
        let stop = &entry["stop"];
        // A leak is cleaned up the same way, but nobody asked the command itself to stop.
        if stop["why"].is_null() || stop["why"] == "leaked" {
            return;
        }
        if stop["kill_at_ms"].is_null() {
            self.ended_in_grace = self.ended_in_grace.saturating_add(1);
        } else {
            self.killed = self.killed.saturating_add(1);
        }
        if let Some(used) = stop["grace_used_ms"].as_u64() {
            let nth = GRACE_BUCKETS_MS
                .iter()
                .position(|bound| used <= *bound)
                .unwrap_or(GRACE_BUCKETS_MS.len());
            if let Some(bucket) = self.grace.get_mut(nth) {
                *bucket = bucket.saturating_add(1);
            }
            self.grace_used_ms = self.grace_used_ms.saturating_add(used);
        }
    }

    /// All runs.
    #[must_use]
    pub fn all_runs(&self) -> u64 {
        self.runs.values().sum()
    }

    /// The share of runs that timed out, in hundredths of a percent.
    #[must_use]
    pub fn timeout_share(&self) -> u64 {
        share(
            self.runs.get("TIMEOUT").copied().unwrap_or(0),
            self.all_runs(),
        )
    }

    /// The share of stopped runs that needed `SIGKILL`, in hundredths of a percent.
    #[must_use]
    pub fn kill_share(&self) -> u64 {
        share(self.killed, self.killed.saturating_add(self.ended_in_grace))
    }

    /// The counts in OpenMetrics text, version 1.0, for Prometheus.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        let mut out = String::new();
        family(
            &mut out,
            "lictor_decisions",
            "Decisions by effect.",
            "effect",
            &self.decisions,
        );
        family(
            &mut out,
            "lictor_refusals",
            "Denials and asks by reason code.",
            "reason",
            &self.reasons,
        );
        family(
            &mut out,
            "lictor_runs",
            "Runs by status.",
            "status",
            &self.runs,
        );
        family(
            &mut out,
            "lictor_runs_contained",
            "Runs by containment level.",
            "level",
            &self.containment,
        );
        for (name, help, value) in [
            (
                "lictor_runs_unproved",
                "Runs whose emptiness was not proved.",
                self.unproved,
            ),
            (
                "lictor_stops_in_grace",
                "Stopped runs that ended within their grace period.",
                self.ended_in_grace,
            ),
            (
                "lictor_stops_killed",
                "Stopped runs that needed SIGKILL.",
                self.killed,
            ),
            (
                "lictor_leaked_runs",
                "Runs that left processes behind.",
                self.leaked_runs,
            ),
            (
                "lictor_leaked_processes",
                "Processes left behind and killed.",
                self.leaked_processes,
            ),
            (
                "lictor_survivor_runs",
                "Runs with processes that could not be shown to be gone.",
                self.survivor_runs,
            ),
        ] {
            let _ = writeln!(
                out,
                "# TYPE {name} counter\n# HELP {name} {help}\n{name}_total {value}"
            );
        }
        self.grace_histogram(&mut out);
        out.push_str("# EOF\n");
        out
    }

    fn grace_histogram(&self, out: &mut String) {
        let name = "lictor_grace_used_seconds";
        let _ = writeln!(
            out,
            "# TYPE {name} histogram\n# UNIT {name} seconds\n# HELP {name} Grace used by stopped runs."
        );
        let mut below = 0_u64;
        for (count, bound) in self.grace.iter().zip(GRACE_BUCKETS_MS) {
            below = below.saturating_add(*count);
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {below}", seconds(bound));
        }
        let all = self.grace.iter().sum::<u64>();
        let _ = writeln!(
            out,
            "{name}_bucket{{le=\"+Inf\"}} {all}\n{name}_count {all}\n{name}_sum {}",
            seconds(self.grace_used_ms)
        );
    }
}

fn count(counts: &mut BTreeMap<String, u64>, key: &Value) {
    if let Some(key) = key.as_str() {
        let known = counts.entry(key.to_owned()).or_default();
        *known = known.saturating_add(1);
    }
}

/// Number of items, also where an entry had to be cut.
fn number_of(entry: &Value, list: &str) -> u64 {
    let listed = match &entry[list] {
        Value::Array(list) => u64::try_from(list.len()).unwrap_or(u64::MAX),
        // A list that was too long for its line: how many there were is not known, but there were some.
        Value::Object(_) => 1,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    entry
        .get("cut")
        .and_then(|cut| cut.get(list)?.as_u64())
        .unwrap_or(listed)
}

fn share(part: u64, whole: u64) -> u64 {
    part.saturating_mul(10_000).checked_div(whole).unwrap_or(0)
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn family(out: &mut String, name: &str, help: &str, label: &str, counts: &BTreeMap<String, u64>) {
    let _ = writeln!(out, "# TYPE {name} counter\n# HELP {name} {help}");
    for (value, count) in counts {
        // Labels come from the ledger, which somebody may have written: escaped as the format asks.
        let value = crate::text::escaped(value)
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        let _ = writeln!(out, "{name}_total{{{label}=\"{value}\"}} {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, body: &str) -> Entry {
        Entry {
            seq: 0,
            ts: String::new(),
            kind,
            run: None,
            json: body.to_owned(),
        }
    }

    fn stats() -> Stats {
        let mut stats = Stats::default();
        stats.add(&entry(
            Kind::Decision,
            r#"{"effect":"deny","reason":"DENIED_BY_RULE"}"#,
        ));
        stats.add(&entry(
            Kind::Decision,
            r#"{"effect":"allow","reason":null}"#,
        ));
        for (status, why, kill, grace, leaked) in [
            ("PASS", "null", "null", "null", "[]"),
            ("PASS", "\"leaked\"", "3", "null", "[{},{}]"),
            ("TIMEOUT", "\"timeout\"", "null", "40", "[]"),
            ("TIMEOUT", "\"timeout\"", "3500", "1500", "[]"),
        ] {
            stats.add(&entry(Kind::Outcome, &format!(
                r#"{{"status":"{status}","containment":{{"level":"pid-namespace","empty_proof":"init-reaped"}},"leaked":{leaked},"survivors":[],"stop":{{"why":{why},"kill_at_ms":{kill},"grace_used_ms":{grace}}}}}"#
            )));
        }
        stats
    }

    #[test]
    fn endings_are_told_apart() {
        let stats = stats();
        assert_eq!((stats.all_runs(), stats.timeout_share()), (4, 5_000));
        assert_eq!(
            (stats.ended_in_grace, stats.killed, stats.kill_share()),
            (1, 1, 5_000)
        );
        assert_eq!(
            (stats.leaked_runs, stats.leaked_processes, stats.unproved),
            (1, 2, 0)
        );
        assert_eq!(stats.grace, [0, 1, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn the_histogram_is_cumulative_and_the_text_ends_as_the_format_asks() {
        let text = stats().openmetrics();
        assert!(text.contains("lictor_grace_used_seconds_bucket{le=\"0.050\"} 1\n"));
        assert!(text.contains("lictor_grace_used_seconds_bucket{le=\"1.500\"} 2\n"));
        assert!(text.contains("lictor_grace_used_seconds_sum 1.540\n"));
        assert!(text.contains("lictor_runs_total{status=\"TIMEOUT\"} 2\n"));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_ledger_without_runs_has_no_share() {
        assert_eq!(Stats::default().timeout_share(), 0);
    }
}
