//! Contents of a ledger's directory at one moment, for those who only read it.
//!
//! The files are opened and their lengths taken while no writer is between two bytes; what is written
//! afterwards does not belong to the snapshot. Where whole lines end in each file is found here, too.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::path::Path;

use memchr::{memchr, memrchr};
use sha2::{Digest, Sha256};

use super::keys::Keys;
use super::merkle::Hash;
use super::segment::{Ended, MAX_TORN_BYTES, SegmentBody};
use super::store::{ReadSegment, Reading, SideFile, read_full, segment_name};

/// Contents of the directory at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) segments: Vec<SnapSegment>,
    /// The file `checkpoint`, or why it is none.
    pub(super) checkpoint: Option<Result<Vec<u8>, &'static str>>,
    /// Names of the first files in `segments` that are no segments, escaped.
    pub(super) strangers: Vec<String>,
    pub(super) key: KeyFile,
    /// The file `signer`, if it can be read.
    pub(super) signer: Option<Vec<u8>>,
}

/// The file `key`, as far as it can be read: auditors usually cannot.
#[derive(Debug)]
pub(super) enum KeyFile {
    None,
    Unreadable(String),
    Damaged,
    Read(Box<Keys>),
}

/// One file of it.
#[derive(Debug)]
pub(super) struct SnapSegment {
    pub(super) number: u64,
    pub(super) name: String,
    /// None if it is no file that a ledger has.
    pub(super) opened: Option<ReadSegment>,
    pub(super) why_not: Option<&'static str>,
    /// Up to where whole lines go, as far as that can be told before reading them.
    pub(super) valid: u64,
    /// The next segment says how long this one is.
    pub(super) accounted: bool,
    /// No later file has a first line that could say so.
    pub(super) is_last: bool,
}

impl Snapshot {
    /// Contents of the directory now; `None` if there is no ledger.
    pub(super) fn of(dir: &Path) -> io::Result<Option<Snapshot>> {
        Snapshot::since(dir, 0)
    }

    /// Contents without the files before number `first`: who follows a ledger has seen them.
    pub(super) fn since(dir: &Path, first: u64) -> io::Result<Option<Snapshot>> {
        let Some(reading) = Reading::open(dir)? else {
            return Ok(None);
        };
        reading
            .quietly(|| Snapshot::look(&reading, first))
            .map(Some)
    }

    fn look(reading: &Reading, first: u64) -> io::Result<Snapshot> {
        let numbers = reading.segments()?;
        let last = numbers.last().copied();
        let mut segments = Vec::new();
        for number in first..last.map_or(0, |last| last.saturating_add(1)) {
            // A hole of a million missing segments is one problem, not a million.
            if segments.len() > numbers.len() {
                break;
            }
            segments.push(match reading.segment(number)? {
                Ok(opened) => SnapSegment {
                    number,
                    name: segment_name(number),
                    valid: opened.bytes,
                    opened: Some(opened),
                    why_not: None,
                    accounted: false,
                    is_last: true,
                },
                Err(why) => SnapSegment {
                    number,
                    name: segment_name(number),
                    opened: None,
                    why_not: Some(why),
                    valid: 0,
                    accounted: false,
                    is_last: true,
                },
            });
        }
        // An empty file at the end is where somebody wanted to go on and could not: the one before goes on.
        while segments.len() > 1 && segments.last().is_some_and(SnapSegment::is_empty) {
            segments.pop();
        }
        let key = match reading.read(SideFile::Key) {
            Ok(Some(bytes)) => {
                Keys::parse(&bytes).map_or(KeyFile::Damaged, |keys| KeyFile::Read(Box::new(keys)))
            }
            Ok(None) => KeyFile::None,
            Err(error) if reading.has(SideFile::Key) => KeyFile::Unreadable(error.to_string()),
            Err(error) => return Err(error),
        };
        let mut seen = Snapshot {
            segments,
            checkpoint: reading.look_at(SideFile::Checkpoint)?,
            signer: reading
                .look_at(SideFile::Signer)
                .ok()
                .flatten()
                .and_then(Result::ok),
            strangers: reading.strangers()?,
            key,
        };
        seen.find_ends()?;
        Ok(seen)
    }

    /// Where each file's whole lines end: the next first line says it, or else the last line feed.
    fn find_ends(&mut self) -> io::Result<()> {
        let mut said: HashMap<String, u64> = HashMap::new();
        let mut described = Vec::new();
        for segment in &self.segments {
            let body = match &segment.opened {
                Some(opened) => first_line(opened)?,
                None => None,
            };
            described.push(body.is_some());
            for Ended { segment, bytes, .. } in body.into_iter().flat_map(|body| body.before) {
                said.entry(segment).or_insert(bytes);
            }
        }
        let mut later = false;
        for (segment, described) in self.segments.iter_mut().zip(described).rev() {
            segment.is_last = !later;
            later |= described;
        }
        for segment in &mut self.segments {
            let Some(opened) = &segment.opened else {
                continue;
            };
            match said.get(&segment.name) {
                Some(bytes) => {
                    segment.accounted = true;
                    segment.valid = (*bytes).min(opened.bytes);
                }
                None => match last_line_end(opened)? {
                    Some(end) => segment.valid = end,
                    None => {
                        segment.opened = None;
                        segment.why_not =
                            Some("ends with more that is no line than a crash leaves");
                    }
                },
            }
        }
        Ok(())
    }
}

impl SnapSegment {
    fn is_empty(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.bytes == 0)
    }
}

/// The description at the beginning of a segment, if there is a whole one.
pub(super) fn first_line(segment: &ReadSegment) -> io::Result<Option<SegmentBody>> {
    let length = usize::try_from(segment.bytes).unwrap_or(usize::MAX);
    let mut line = vec![0; length.min(super::MAX_LINE_BYTES)];
    let got = read_full(&segment.file, 0, &mut line)?;
    line.truncate(got);
    let Some(line) = memchr(b'\n', &line).and_then(|end| line.get(..=end)) else {
        return Ok(None);
    };
    let mut decoder = super::decode::Decoder::new();
    Ok(decoder
        .decode(line)
        .ok()
        .and_then(|line| SegmentBody::parse(line.text()).ok()))
}

/// The end of the last whole line; `None` if it is not to be found where a crash could have left it.
fn last_line_end(segment: &ReadSegment) -> io::Result<Option<u64>> {
    const STEP: u64 = 1 << 20;
    let mut end = segment.bytes;
    while end > 0 {
        if segment.bytes.saturating_sub(end) > MAX_TORN_BYTES {
            return Ok(None);
        }
        let from = end.saturating_sub(STEP);
        let mut block = vec![0; usize::try_from(end.saturating_sub(from)).unwrap_or(0)];
        let got = read_full(&segment.file, from, &mut block)?;
        block.truncate(got);
        if let Some(at) = memrchr(b'\n', &block) {
            let end = from.saturating_add(u64::try_from(at).unwrap_or(0));
            return Ok(Some(end.saturating_add(1)));
        }
        end = from;
    }
    Ok(Some(0))
}

impl ReadSegment {
    /// SHA-256 of everything from `from` on.
    pub(super) fn digest_from(&self, from: u64) -> io::Result<Hash> {
        let mut sha = Sha256::new();
        let mut at = from;
        while at < self.bytes {
            let wanted = self.bytes.saturating_sub(at).min(1 << 20);
            let mut block = vec![0; usize::try_from(wanted).unwrap_or(0)];
            let got = read_full(&self.file, at, &mut block)?;
            if got == 0 {
                break;
            }
            sha.update(block.get(..got).unwrap_or(&[]));
            at = at.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
        }
        Ok(sha.finalize().into())
    }
}
