//! What a run's own report says: from its output, or from a file that it was asked to write.

#![forbid(unsafe_code)]

use crate::evidence::{self, Event, Evidence, Report};
use crate::path::CanonicalPath;
use crate::policy::CompiledPolicy;
use crate::policy::terms::ReportKind;
use crate::resolve::{Command, Written};

/// Where the report of a run is to be found.
#[derive(Debug)]
pub(super) struct Source {
    /// What the action's output reads like.
    kind: Option<ReportKind>,
    file: Option<Written>,
}

impl Source {
    /// For a command that is about to start.
    ///
    /// # Errors
    ///
    /// Why no report could ever be read from `file`.
    pub(super) fn new(
        policy: &CompiledPolicy,
        command: &Command,
        file: Option<&[u8]>,
    ) -> Result<Source, String> {
        let file = match file {
            None => None,
            Some(text) => {
                let path = CanonicalPath::parse(text, policy.switches()).ok();
                let written = path.and_then(|path| command.written(&path));
                Some(written.ok_or_else(|| {
                    let shown = crate::path::shown(text);
                    format!("no argument of the request says that `{shown}` is written, so no report can be read from it")
                })?)
            }
        };
        Ok(Source {
            kind: command.launch().report,
            file,
        })
    }

    /// Adds the report to the evidence. A file that cannot be read is an event, and no output stands
    /// in for it.
    pub(super) fn read(&self, evidence: &mut Evidence) {
        let Some(file) = &self.file else {
            evidence.report = self.kind.and_then(|kind| from_output(kind, evidence));
            return;
        };
        let most = u64::try_from(evidence::junit::MAX_BYTES).unwrap_or(u64::MAX);
        let read = file.read(most).map_err(|error| error.to_string());
        let parsed = read.and_then(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            evidence::junit::parse(&text).ok_or_else(|| "it is not JUnit XML".to_owned())
        });
        match parsed {
            Ok(report) => evidence.report = Some(report),
            Err(why) => evidence.events.push(Event::new("REPORT_UNREADABLE", why)),
        }
    }
}

/// What the command's own summary says.
fn from_output(kind: ReportKind, evidence: &Evidence) -> Option<Report> {
    let stdout = evidence.stdout.text.to_lossy();
    match kind {
        ReportKind::Pytest => evidence::pytest::parse(&stdout),
        // libtest writes to standard output, nextest to standard error.
        ReportKind::CargoTest => evidence::cargo_test::parse(&stdout)
            .or_else(|| evidence::cargo_test::parse(&evidence.stderr.text.to_lossy())),
        ReportKind::Junit => evidence::junit::parse(&stdout),
        ReportKind::Tap => evidence::tap::parse(&stdout),
    }
}
