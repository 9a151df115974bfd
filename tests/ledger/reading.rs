//! A ledger as tests read it, and one in short segments.

use std::fs;
use std::path::{Path, PathBuf};

use lictor::log::read::{Entry, Filter, show};
use lictor::log::verify::{Report, VerifyOptions};
use lictor::record::{Options, verify};

#[track_caller]
pub(crate) fn report(dir: &Path) -> Report {
    report_with(dir, &VerifyOptions::default())
}

#[track_caller]
pub(crate) fn report_with(dir: &Path, options: &VerifyOptions) -> Report {
    verify(dir, options, &mut |_, _| {}).unwrap()
}

#[track_caller]
pub(crate) fn entries(dir: &Path) -> Vec<Entry> {
    let shown = show(dir, Filter::default()).unwrap().unwrap();
    shown.map(|shown| shown.unwrap().entry.unwrap()).collect()
}

/// The files with the lines, in order.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(dir.join("segments")).unwrap();
    let mut segments: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    segments
}

/// All lines, each with its line feed.
pub(crate) fn lines(dir: &Path) -> Vec<Vec<u8>> {
    let bytes = segments(dir)
        .into_iter()
        .map(|path| fs::read(path).unwrap());
    bytes.flat_map(|bytes| split(&bytes)).collect()
}

pub(crate) fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(<[u8]>::to_vec).collect()
}

/// A new segment is begun after so many bytes.
pub(crate) fn in_segments_of(bytes: u64) -> Options {
    let mut options = Options::default();
    options.log.segment_bytes = bytes;
    options
}
