//! Entries as lines: for people, as they stand in the ledger, or as OCSF events; and where they go.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::file::{NewFile, failed};
use crate::cli::print::Answers;
use crate::cli::{Failure, json_line};
use crate::log::read::Shown;
use crate::record::ocsf::Converter;
use crate::record::summary;
use crate::text::{escaped_json, one_line};

/// Form in which an entry is written.
pub(super) enum Form {
    /// For people.
    Human,
    /// Its own line of JSON.
    Json,
    /// As an event for security monitoring.
    Ocsf(Box<Converter>),
}

impl Form {
    /// The line for what was read, without its line feed.
    ///
    /// A line of the ledger that cannot be read is told in its place, except among events, where
    /// something that is no event would stop whoever reads them.
    pub(super) fn line(&mut self, shown: &Shown) -> Option<String> {
        match (self, &shown.entry) {
            (Form::Human, Ok(entry)) => Some(one_line(&summary(entry))),
            // As it stands, but for what no lictor has written.
            (Form::Json, Ok(entry)) => Some(escaped_json(&entry.json)),
            (Form::Ocsf(converter), Ok(entry)) => Some(json_line(&converter.event(entry))),
            (Form::Human, Err(malformed)) => Some(format!(
                "{} line {}: cannot be read: {malformed}",
                shown.segment, shown.line
            )),
            (Form::Json, Err(malformed)) => Some(json_line(&json!({
                "v": 1, "unreadable": malformed.to_string(), "segment": shown.segment,
                "line": shown.line, "byte": shown.byte,
            }))),
            (Form::Ocsf(_), Err(_)) => None,
        }
    }

    /// Takes note of an entry that is not written.
    pub(super) fn see(&mut self, shown: &Shown) {
        if let (Form::Ocsf(converter), Ok(entry)) = (self, &shown.entry) {
            converter.see(entry);
        }
    }
}

/// Where lines go.
pub(super) struct Out {
    to: BufWriter<Box<dyn Write>>,
    /// The file; none for standard output.
    file: Option<PathBuf>,
}

impl Out {
    /// Standard output, or a new file that only its owner can read: a record is not for everybody.
    pub(super) fn to(file: Option<&Path>, ledger: &Path) -> Result<Out, Failure> {
        let Some(path) = file else {
            return Ok(Out {
                to: BufWriter::new(Box::new(Answers)),
                file: None,
            });
        };
        let file = NewFile::create(path, ledger)?.open(0o600)?;
        Ok(Out {
            to: BufWriter::new(Box::new(file)),
            file: Some(path.to_owned()),
        })
    }

    /// Writes one line. Breaks when nobody reads any more.
    pub(super) fn line(&mut self, line: &str) -> Result<ControlFlow<()>, Failure> {
        let written = self
            .to
            .write_all(line.as_bytes())
            .and_then(|()| self.to.write_all(b"\n"));
        self.told(written)
    }

    /// Hands on what was written.
    pub(super) fn flush(&mut self) -> Result<ControlFlow<()>, Failure> {
        let flushed = self.to.flush();
        self.told(flushed)
    }

    /// A reader that went away has seen enough; a full disk has not. Faults of standard output are reported at the end of
    /// the program, in one place for all commands.
    fn told(&self, result: io::Result<()>) -> Result<ControlFlow<()>, Failure> {
        match result {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => match &self.file {
                Some(file) => Err(failed(file, &error)),
                None => Ok(ControlFlow::Break(())),
            },
        }
    }
}
