//! Reading a ledger for people and programs: its entries in order, chosen by run, actor, reason and time.
//!
//! Data comes out, printing is for others. Nothing is verified here but that each line can be read; a
//! line that cannot is shown as such and the rest goes on.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit, Zoned};
use memchr::memchr;
use serde_json::Value;

use super::decode::{Decoder, Line, Malformed};
use super::line::{Kind, MAX_LINE_BYTES, RunId};
use super::snapshot::{SnapSegment, Snapshot};
use super::store::read_full;

/// Bytes read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Which entries to show. All of the conditions have to hold; without any, everything is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Entries of this run.
    pub run: Option<RunId>,
    /// Entries that name this actor, and all entries of runs that it asked for.
    pub actor: Option<String>,
    /// Entries with this reason code, and all entries of runs that were decided with it.
    pub reason: Option<String>,
    /// Entries from this time on, in the form of `ts`; see [`time`].
    pub from: Option<String>,
    /// Entries up to this time, in the form of `ts`; see [`time`].
    pub to: Option<String>,
}

/// A time as somebody types it, in the form of `ts`: RFC 3339, or a date, which means its midnight in UTC.
///
/// ```
/// use lictor::log::read::time;
///
/// assert_eq!(time("2026-11-22").as_deref(), Some("2026-11-22T00:00:00.000000Z"));
/// assert_eq!(time("2026-11-22T23:00:00+01:00").as_deref(), Some("2026-11-22T22:00:00.000000Z"));
/// assert_eq!(time("yesterday"), None);
/// ```
#[must_use]
pub fn time(text: &str) -> Option<String> {
    let instant = text.parse::<Timestamp>().ok().or_else(|| {
        let date: Date = text.parse().ok()?;
        date.to_zoned(TimeZone::UTC)
            .ok()
            .as_ref()
            .map(Zoned::timestamp)
    })?;
    Some(format!("{:.6}", instant.round(Unit::Microsecond).ok()?))
}

/// One line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shown {
    /// Name of the file.
    pub segment: String,
    /// Line in it, from 1.
    pub line: u64,
    /// Offset in the file, in bytes.
    pub byte: u64,
    /// The entry there.
    pub entry: Result<Entry, Malformed>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its place in the ledger, from 0.
    pub seq: u64,
    /// When it was written: RFC 3339, microseconds, UTC.
    pub ts: String,
    /// Its kind.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The line itself, one JSON object, without its line feed.
    pub json: String,
}

impl Entry {
    fn new(line: &Line<'_>) -> Entry {
        Entry {
            seq: line.seq,
            ts: line.ts.to_owned(),
            kind: line.kind,
            run: line.run,
            json: line.text().to_owned(),
        }
    }

    /// The entry as a value.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or(Value::Null)
    }
}

/// The entries of the ledger in `dir` that `filter` chooses; `None` if there is no ledger.
///
/// They are those that were there when this was called.
///
/// # Errors
/// The directory cannot be read.
pub fn show(dir: &Path, filter: Filter) -> io::Result<Option<Entries>> {
    let Some(snapshot) = Snapshot::of(dir)? else {
        return Ok(None);
    };
    Ok(Some(Entries::new(
        snapshot,
        Chosen::new(filter),
        Place::default(),
    )))
}

/// Up to where somebody has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of the file.
    pub(super) segment: u64,
    pub(super) byte: u64,
    line: u64,
}

impl Place {
    /// The beginning of file number `segment`.
    pub(super) fn starting(segment: u64) -> Place {
        Place {
            segment,
            ..Place::default()
        }
    }
}

/// Entries in order; see [`show`].
#[derive(Debug)]
pub struct Entries {
    segments: std::vec::IntoIter<SnapSegment>,
    current: Option<Lines>,
    /// Behind the last line that was read.
    pub(super) at: Place,
    pub(super) chosen: Chosen,
    decoder: Decoder,
}

impl Entries {
    /// The entries behind `at`.
    pub(super) fn new(snapshot: Snapshot, chosen: Chosen, at: Place) -> Entries {
        let mut segments = snapshot.segments;
        segments.retain(|segment| segment.number >= at.segment);
        let resumed = segments
            .first()
            .is_some_and(|first| first.number == at.segment);
        let mut segments = segments.into_iter();
        let current = if resumed {
            segments
                .next()
                .map(|first| Lines::new(first, at.byte, at.line))
        } else {
            None
        };
        Entries {
            segments,
            current,
            at,
            chosen,
            decoder: Decoder::new(),
        }
    }
}

impl Iterator for Entries {
    type Item = io::Result<Shown>;

    fn next(&mut self) -> Option<io::Result<Shown>> {
        loop {
            let Some(lines) = &mut self.current else {
                self.current = Some(Lines::new(self.segments.next()?, 0, 0));
                continue;
            };
            let (byte, text) = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.current = None;
                    continue;
                }
                Err(error) => {
                    self.current = None;
                    return Some(Err(error));
                }
            };
            self.at = Place {
                segment: lines.segment.number,
                byte: lines.at.saturating_sub(lines.unread()),
                line: lines.number,
            };
            let entry = match self.decoder.decode(&text) {
                Ok(line) if self.chosen.wants(&line) => Ok(Entry::new(&line)),
                Ok(_) => continue,
                Err(error) if self.chosen.is_everything() => Err(error),
                Err(_) => continue,
            };
            return Some(Ok(Shown {
                segment: lines.segment.name.clone(),
                line: lines.number,
                byte,
                entry,
            }));
        }
    }
}

/// All lines of the ledger in `dir`, each with its line feed; `None` if there is no ledger.
pub(crate) fn raw_lines(
    dir: &Path,
) -> io::Result<Option<impl Iterator<Item = io::Result<Vec<u8>>>>> {
    let Some(snapshot) = Snapshot::of(dir)? else {
        return Ok(None);
    };
    let segments = snapshot
        .segments
        .into_iter()
        .map(|segment| Lines::new(segment, 0, 0));
    Ok(Some(segments.flat_map(|mut lines| {
        std::iter::from_fn(move || {
            lines
                .next()
                .map(|line| line.map(|(_, line)| line))
                .transpose()
        })
    })))
}

/// Choices of a filter so far: the decision of a run decides about its other entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    filter: Filter,
    runs: HashSet<RunId>,
}

impl Chosen {
    pub(super) fn new(filter: Filter) -> Chosen {
        Chosen {
            filter,
            runs: HashSet::new(),
        }
    }

    fn is_everything(&self) -> bool {
        self.filter == Filter::default()
    }

    fn wants(&mut self, line: &Line<'_>) -> bool {
        let filter = &self.filter;
        let named = says(line, "actor", filter.actor.as_deref())
            && says(line, "reason", filter.reason.as_deref());
        // Who follows a ledger for months must not remember every run of it.
        let by_decision = filter.actor.is_some() || filter.reason.is_some();
        if let (true, true, Kind::Decision, Some(run)) = (by_decision, named, line.kind, line.run) {
            self.runs.insert(run);
        }
        (named || line.run.is_some_and(|run| self.runs.contains(&run)))
            && filter.run.is_none_or(|run| line.run == Some(run))
            && filter.from.as_deref().is_none_or(|from| line.ts >= from)
            && filter.to.as_deref().is_none_or(|to| line.ts <= to)
    }
}

fn says(line: &Line<'_>, field: &str, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let json = line.field(field);
    json.and_then(|json| serde_json::from_str::<String>(json).ok())
        .is_some_and(|text| text == wanted)
}

/// The lines of one segment.
#[derive(Debug)]
struct Lines {
    segment: SnapSegment,
    /// Number of bytes of the file that have been read.
    at: u64,
    block: Vec<u8>,
    /// Number of bytes of the block that have been given out.
    used: usize,
    number: u64,
}

impl Lines {
    /// The lines behind `from`, which is where line `number` ends.
    fn new(segment: SnapSegment, from: u64, number: u64) -> Lines {
        Lines {
            segment,
            at: from,
            block: Vec::new(),
            used: 0,
            number,
        }
    }

    /// The next line and where it begins. What a crash tore is not a line. Of one that is longer than any, only so much
    /// is given as shows that.
    fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let start = self.at.saturating_sub(self.unread());
        let mut line = Vec::new();
        loop {
            let rest = self.block.get(self.used..).unwrap_or(&[]);
            let end = memchr(b'\n', rest).map(|end| end.saturating_add(1));
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or(&[]);
            let room = MAX_LINE_BYTES.saturating_add(1).saturating_sub(line.len());
            line.extend_from_slice(part.get(..room).unwrap_or(part));
            self.used = self.used.saturating_add(part.len());
            if end.is_some() {
                self.number = self.number.saturating_add(1);
                return Ok(Some((start, line)));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The number of bytes of the block that were not given out yet.
    fn unread(&self) -> u64 {
        u64::try_from(self.block.len().saturating_sub(self.used)).unwrap_or(0)
    }

    /// Reads the next block; false where there is none.
    fn fill(&mut self) -> io::Result<bool> {
        self.block.clear();
        self.used = 0;
        let Some(opened) = &self.segment.opened else {
            return Ok(false);
        };
        let left =
            usize::try_from(self.segment.valid.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.block.resize(left.min(BLOCK_BYTES), 0);
        let got = read_full(&opened.file, self.at, &mut self.block)?;
        self.block.truncate(got);
        self.at = self.at.saturating_add(u64::try_from(got).unwrap_or(0));
        Ok(got > 0)
    }
}
