//! A command's output, piece by piece -> its report, and what is wrong with it.
//!
//! Reading keeps up with the command, so that what a run keeps of its output changes no count, and
//! holds a bounded amount of text whatever is written. Of several summaries the last one counts. A
//! command that did not succeed is never reported without a failure: what a test prints behind the
//! runner's own summary can then change how many failures there are, and cannot hide that there are any.

#![forbid(unsafe_code)]

use super::{Counts, Event, Evidence, Report, StopReason};

/// Reads what one kind of runner writes.
pub trait Reading: Send {
    /// The command wrote `bytes` to its standard output.
    fn stdout(&mut self, bytes: &[u8]);

    /// The command wrote `bytes` to its standard error.
    fn stderr(&mut self, _bytes: &[u8]) {}

    /// The report, after all of the output.
    fn finish(self: Box<Self>, ending: &Ending) -> Read;
}

/// End of a command, with which its report has to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It is not known.
    Unknown,
    /// With exit code 0.
    Good,
    /// In another way, which is named.
    Bad(String),
}

impl Ending {
    /// End of the run that left `evidence`.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Ending {
        let stopped = match evidence.stop.why {
            None | Some(StopReason::Leaked) => None,
            Some(StopReason::Timeout) => Some("its deadline"),
            Some(StopReason::Cancelled) => Some("being cancelled"),
            Some(StopReason::Limit) => Some("a limit"),
        };
        match (stopped, evidence.exit_code, evidence.signal) {
            (Some(by), _, _) => Ending::Bad(format!("the run was ended by {by}")),
            (None, Some(0), _) => Ending::Good,
            (None, Some(code), _) => Ending::Bad(format!("the command exited with {code}")),
            (None, None, Some(signal)) => {
                Ending::Bad(format!("the command was ended by signal {signal}"))
            }
            (None, None, None) => Ending::Bad("the command did not exit".to_owned()),
        }
    }
}

/// Result of reading a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Read {
    /// The report that counts.
    pub report: Option<Report>,
    /// The fault in it, or the reason why there is none.
    pub trouble: Option<Trouble>,
}

/// Why a report says less than it should.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// There is no summary, for this reason.
    Missing(String),
    /// The summary and the exit code do not agree.
    Contradicts(String),
}

impl Trouble {
    /// The event that is recorded.
    #[must_use]
    pub fn event(self) -> Event {
        match self {
            Trouble::Missing(why) => Event::new("REPORT_MISSING", why),
            Trouble::Contradicts(why) => Event::new("REPORT_CONTRADICTS", why),
        }
    }
}

impl Read {
    pub(super) fn missing(why: impl Into<String>) -> Read {
        Read {
            report: None,
            trouble: Some(Trouble::Missing(why.into())),
        }
    }

    /// The only report there can be, held against how the command ended.
    #[must_use]
    pub fn of(report: Report, ending: &Ending) -> Read {
        let mut summaries = Summaries::default();
        summaries.add(report.counts, ());
        summaries.read(ending, "", |_, ()| report)
    }
}

/// The summaries that a runner may have printed, each with where it stands.
#[derive(Debug)]
pub(super) struct Summaries<At> {
    last: Option<(Counts, At)>,
    last_failing: Option<(Counts, At)>,
}

impl<At> Default for Summaries<At> {
    fn default() -> Summaries<At> {
        Summaries {
            last: None,
            last_failing: None,
        }
    }
}

impl<At: Copy> Summaries<At> {
    pub(super) fn add(&mut self, counts: Counts, at: At) {
        self.last = Some((counts, at));
        if has_failures(&counts) {
            self.last_failing = self.last;
        }
    }

    /// The last summary that agrees with `ending`. One that tells of failures is kept beside an exit
    /// code of 0 as well: nothing else would tell of them.
    pub(super) fn read(
        self,
        ending: &Ending,
        none: &str,
        report: impl FnOnce(Counts, At) -> Report,
    ) -> Read {
        let Some((counts, at)) = self.last else {
            return Read::missing(none);
        };
        let (chosen, trouble) = match ending {
            Ending::Unknown => (Some((counts, at)), None),
            Ending::Good if has_failures(&counts) => {
                let why = format!(
                    "the command exited with 0, and its summary counts {}",
                    told(&counts)
                );
                (Some((counts, at)), Some(Trouble::Contradicts(why)))
            }
            Ending::Good => (Some((counts, at)), None),
            // A run of no tests is no success for some runners.
            Ending::Bad(_) if self.last_failing.is_none() && is_empty(&counts) => {
                (Some((counts, at)), None)
            }
            Ending::Bad(how) => {
                let why = || {
                    let told = told(&counts);
                    Trouble::Contradicts(format!("{how}, and the last summary counts {told}"))
                };
                (self.last_failing, self.last_failing.is_none().then(why))
            }
        };
        Read {
            report: chosen.map(|(counts, at)| report(counts, at)),
            trouble,
        }
    }
}

fn has_failures(counts: &Counts) -> bool {
    counts.failed > 0 || counts.errors > 0
}

fn is_empty(counts: &Counts) -> bool {
    counts.passed == 0 && counts.xfailed == 0 && counts.xpassed == 0 && !has_failures(counts)
}

fn told(counts: &Counts) -> String {
    let Counts {
        passed,
        failed,
        errors,
        ..
    } = counts;
    format!("{passed} passed, {failed} failed, {errors} errors")
}

/// Reads a whole text as if a command had written it to its standard output.
pub(super) fn all(mut reading: Box<dyn Reading>, text: &str) -> Option<Report> {
    reading.stdout(text.as_bytes());
    reading.finish(&Ending::Unknown).report
}
