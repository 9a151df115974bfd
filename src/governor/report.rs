//! Report of a run: from its output while that is read, or from a file that it was asked to write.

#![forbid(unsafe_code)]

use std::os::fd::BorrowedFd;

use crate::evidence::reading::{Ending, Read, Reading};
use crate::evidence::{Event, Evidence, Input, Status, cargo_test, junit, pytest, tap};
use crate::executor::{CancelToken, Flow, Observer, Stream};
use crate::path::CanonicalPath;
use crate::policy::CompiledPolicy;
use crate::policy::terms::{ReportKind, ReportTrouble};
use crate::resolve::{Command, Job, Written};

/// Where the report of a run is to be found.
pub(super) struct Source {
    from: From,
    trouble: ReportTrouble,
}

enum From {
    /// No report is declared.
    Nowhere,
    Output(Box<dyn Reading>),
    File(Written),
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
        let job = command.job();
        let from = match (file, job.report) {
            (None, None) => From::Nowhere,
            (None, Some(kind)) => From::Output(reading(kind)),
            (Some(text), _) => {
                let path = CanonicalPath::parse(text, policy.switches()).ok();
                let written = path.and_then(|path| command.written(&path));
                From::File(written.ok_or_else(|| {
                    let shown = crate::path::shown(text);
                    format!("no argument of the request says that `{shown}` is written, so no report can be read from it")
                })?)
            }
        };
        Ok(Source {
            from,
            trouble: job.report_trouble,
        })
    }

    /// Shows the output to `observer` as it comes, and reads it.
    pub(super) fn watching<'o>(&'o mut self, observer: &'o mut dyn Observer) -> Watching<'o> {
        Watching {
            source: self,
            observer,
        }
    }

    /// Adds the report to the evidence. What is wrong with it is an event, and no output stands in for a
    /// file that cannot be read.
    pub(super) fn tell(self, evidence: &mut Evidence) {
        if evidence.status == Status::SpawnFailed {
            return;
        }
        let ending = Ending::of(evidence);
        let event = match self.from {
            From::Nowhere => return,
            From::Output(reading) => {
                let Read {
                    report, trouble, ..
                } = reading.finish(&ending);
                evidence.report = report;
                trouble.map(|trouble| trouble.event())
            }
            From::File(file) => {
                let most = u64::try_from(junit::MAX_BYTES).unwrap_or(u64::MAX);
                let bytes = file.read(most).map_err(|error| error.to_string());
                match bytes.and_then(|bytes| {
                    junit::read(&bytes).map_err(|why| format!("it is not JUnit XML: {why}"))
                }) {
                    Ok(report) => {
                        let Read {
                            report, trouble, ..
                        } = Read::of(report, &ending);
                        evidence.report = report;
                        trouble.map(|trouble| trouble.event())
                    }
                    Err(why) => Some(Event::new("REPORT_UNREADABLE", why)),
                }
            }
        };
        if let Some(event) = event {
            evidence.events.push(event);
            if self.trouble == ReportTrouble::Fail && evidence.status == Status::Pass {
                evidence.status = Status::Fail;
            }
        }
    }
}

fn reading(kind: ReportKind) -> Box<dyn Reading> {
    match kind {
        ReportKind::Pytest => Box::<pytest::Pytest>::default(),
        ReportKind::CargoTest => Box::new(cargo_test::CargoTest::new()),
        ReportKind::Nextest => Box::new(cargo_test::CargoTest::nextest()),
        ReportKind::Junit => Box::<junit::Junit>::default(),
        ReportKind::Tap => Box::<tap::Tap>::default(),
    }
}

/// An observer in front of another.
pub(super) struct Watching<'o> {
    source: &'o mut Source,
    observer: &'o mut dyn Observer,
}

impl Observer for Watching<'_> {
    fn admitted(&mut self, job: &Job) {
        self.observer.admitted(job);
    }

    fn started(&mut self) {
        self.observer.started();
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if let From::Output(reading) = &mut self.source.from {
            match stream {
                Stream::Stdout => reading.stdout(bytes),
                Stream::Stderr => reading.stderr(bytes),
            }
        }
        self.observer.output(stream, bytes);
    }

    fn read_input(&mut self, most: u64) -> Result<Option<Input>, String> {
        self.observer.read_input(most)
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.observer.input()
    }

    fn flow(&self, stream: Stream) -> Flow<'_> {
        self.observer.flow(stream)
    }

    fn go_on(&mut self) {
        self.observer.go_on();
    }

    fn events(&mut self) -> Vec<Event> {
        self.observer.events()
    }

    fn cancellation(&self) -> Option<CancelToken> {
        self.observer.cancellation()
    }
}
