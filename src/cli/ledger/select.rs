//! Which entries: the flags that `show`, `tail` and `export` have in common.

#![forbid(unsafe_code)]

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::cli::{Failure, Global};
use crate::log::RunId;
use crate::log::read::{self, Filter};
use crate::reason::Reason;

#[derive(Args, Debug)]
pub(super) struct Select {
    /// Only this run
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Only decisions with this reason code, and what belongs to them
    #[arg(long, value_name = "CODE")]
    reason: Option<Reason>,
    /// Only entries from this time on: 2027-01-31, 2027-01-31T12:00:00Z, or `2h` for two hours ago
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only entries up to this time; a date means its midnight in UTC
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

impl Select {
    /// Filter that the flags choose; `--actor` chooses too.
    pub(super) fn filter(&self, global: &Global) -> Result<Filter, Failure> {
        let filter = Filter {
            run: self.run,
            actor: global.actor.clone(),
            reason: self.reason.map(|reason| reason.code().to_owned()),
            from: time(self.from.as_deref(), "--from")?,
            to: time(self.to.as_deref(), "--to")?,
        };
        if let (Some(from), Some(to)) = (&filter.from, &filter.to)
            && from > to
        {
            return Err(Failure::new(format!(
                "`--from` ({from}) is later than `--to` ({to})"
            )));
        }
        Ok(filter)
    }
}

fn time(text: Option<&str>, flag: &str) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match read::time(text).or_else(|| ago(text)) {
        Some(time) => Ok(Some(time)),
        None => Err(Failure::new(format!(
            "`{flag} {}` is no time; write 2027-01-31, 2027-01-31T12:00:00Z, or `2h` for two hours ago",
            text.escape_debug()
        ))),
    }
}

/// `2h` is two hours ago, `3d` three days.
fn ago(text: &str) -> Option<String> {
    let span: Span = text.parse().ok()?;
    if span.is_negative() {
        return None;
    }
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let then = read::time(&now.checked_sub(span).ok()?.timestamp().to_string());
    // Times are compared as texts; before the year 0 that means nothing.
    then.filter(|then| !then.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_dates_and_spans_and_nothing_else() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(
                time(Some(text), "--from").ok().flatten().as_deref(),
                expected
            );
        }
        check("2027-01-31", Some("2027-01-31T00:00:00.000000Z"));
        check(
            "2027-01-31T01:00:00+01:00",
            Some("2027-01-31T00:00:00.000000Z"),
        );
        for wrong in ["yesterday", "", "2027-13-01", "-2h", "12:00", "10000y"] {
            check(wrong, None);
        }
        let now = Timestamp::now().to_string();
        for span in ["90s", "2h", "1d", "1w 2d"] {
            assert!(time(Some(span), "--from").unwrap().unwrap() < now, "{span}");
        }
    }
}
