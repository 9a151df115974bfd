//! The output of a long run on disk: the last [`SEGMENTS`] files of at most [`SEGMENT_BYTES`] each.
//!
//! A file's name says how many bytes of output came before its first one. So whoever reads knows what is missing, be it
//! that it was too old or that the disk was full, and nothing else has to be kept.

#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The size at which the next file is begun.
const SEGMENT_BYTES: u64 = 1 << 20;

/// The number of files that are kept: with their size 8 MiB, some 100,000 lines.
const SEGMENTS: usize = 8;

fn path(directory: &Path, start: u64) -> PathBuf {
    directory.join(format!("out-{start:020}"))
}

/// The beginnings of the files in `directory`, in order.
fn starts(directory: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let start = name.to_str().and_then(|name| name.strip_prefix("out-"));
        starts.extend(start.and_then(|start| start.parse::<u64>().ok()));
    }
    starts.sort_unstable();
    Ok(starts)
}

/// Writes output down. What cannot be written is counted; the run goes on.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: PathBuf,
    /// The bytes of output so far, written or not.
    at: u64,
    file: Option<(u64, File)>,
    dropped: u64,
    because: Option<io::Error>,
}

impl Writer {
    pub(crate) fn new(directory: &Path) -> Writer {
        Writer {
            directory: directory.to_owned(),
            at: 0,
            file: None,
            dropped: 0,
            because: None,
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.write(bytes) {
                Ok(count) => {
                    self.at = self.at.saturating_add(count as u64);
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(error) => {
                    let rest = bytes.len() as u64;
                    self.at = self.at.saturating_add(rest);
                    self.dropped = self.dropped.saturating_add(rest);
                    self.because = Some(error);
                    // What comes next begins a file of its own: there is a gap.
                    self.file = None;
                    return;
                }
            }
        }
    }

    /// Writes the first part, and returns its length.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_full = |(start, _): &(u64, File)| self.at.saturating_sub(*start) >= SEGMENT_BYTES;
        if self.file.as_ref().is_none_or(is_full) {
            self.file = None;
            let path = path(&self.directory, self.at);
            let mut options = OpenOptions::new();
            let file = options.append(true).create_new(true).mode(0o600).open(path);
            self.file = Some((self.at, file?));
            self.forget_oldest();
        }
        let Some((start, file)) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let room = SEGMENT_BYTES.saturating_sub(self.at.saturating_sub(*start));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let written = file.write(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        if written.is_err() && *start == self.at {
            // Empty: its name is needed again if there is room at once.
            let _ = fs::remove_file(path(&self.directory, *start));
        }
        match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            written => written,
        }
    }

    fn forget_oldest(&self) {
        let starts = starts(&self.directory).unwrap_or_default();
        let excess = starts.len().saturating_sub(SEGMENTS);
        for start in starts.into_iter().take(excess) {
            let _ = fs::remove_file(path(&self.directory, start));
        }
    }

    /// The number of bytes that could not be written, and why, if there are any.
    pub(crate) fn dropped(&self) -> Option<(u64, &io::Error)> {
        Some((self.dropped, self.because.as_ref()?))
    }
}

/// Reads what was written down, also while more is.
#[derive(Debug)]
pub(crate) struct Reader {
    directory: PathBuf,
    at: u64,
    file: Option<(u64, File)>,
}

/// The next part of the output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Output.
    Bytes(Vec<u8>),
    /// So many bytes were not kept.
    LeftOut(u64),
    /// Nothing more so far.
    End,
}

/// Read at a time.
const CHUNK: usize = 64 << 10;

impl Reader {
    pub(crate) fn new(directory: &Path) -> Reader {
        Reader {
            directory: directory.to_owned(),
            at: 0,
            file: None,
        }
    }

    pub(crate) fn next(&mut self) -> io::Result<Piece> {
        loop {
            if let Some(bytes) = self.read()? {
                return Ok(Piece::Bytes(bytes));
            }
            let now = self.file.as_ref().map(|(start, _)| *start);
            let starts = starts(&self.directory)?;
            let Some(next) = starts.into_iter().find(|start| Some(*start) > now) else {
                return Ok(Piece::End);
            };
            // Whoever begins a file is through with the one before, which may have grown since it was read.
            if let Some(bytes) = self.read()? {
                return Ok(Piece::Bytes(bytes));
            }
            match File::open(path(&self.directory, next)) {
                // Too old meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => self.file = Some((next, file?)),
            }
            let left_out = next.saturating_sub(self.at);
            self.at = next;
            if left_out > 0 {
                return Ok(Piece::LeftOut(left_out));
            }
        }
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((start, file)) = &self.file else {
            return Ok(None);
        };
        let mut bytes = vec![0; CHUNK];
        let count = file.read_at(&mut bytes, self.at.saturating_sub(*start))?;
        bytes.truncate(count);
        self.at = self.at.saturating_add(count as u64);
        Ok((count > 0).then_some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is there: output as it is, gaps as their length.
    fn all(reader: &mut Reader) -> (Vec<u8>, Vec<u64>) {
        let (mut bytes, mut gaps) = (Vec::new(), Vec::new());
        loop {
            match reader.next().unwrap() {
                Piece::Bytes(more) => bytes.extend(more),
                Piece::LeftOut(count) => gaps.push(count),
                Piece::End => return (bytes, gaps),
            }
        }
    }

    #[test]
    fn what_is_written_is_read_while_it_grows() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(directory.path());
        let mut reader = Reader::new(directory.path());
        assert_eq!(reader.next().unwrap(), Piece::End);
        writer.push(b"one\n");
        assert_eq!(all(&mut reader), (b"one\n".to_vec(), vec![]));
        writer.push(b"");
        assert_eq!(reader.next().unwrap(), Piece::End);
        let large = vec![b'x'; 3 << 20];
        writer.push(&large);
        writer.push(b"two\n");
        let (bytes, gaps) = all(&mut reader);
        assert_eq!((bytes.len(), gaps), ((3 << 20) + 4, vec![]));
        assert!(bytes.ends_with(b"xtwo\n") && writer.dropped().is_none());
    }

    #[test]
    fn the_oldest_goes_and_its_length_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(directory.path());
        let mut slow = Reader::new(directory.path());
        writer.push(b"first");
        assert_eq!(all(&mut slow).0, b"first");
        let megabyte = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            writer.push(&megabyte);
        }
        writer.push(b"last");
        assert_eq!(starts(directory.path()).unwrap().len(), SEGMENTS);
        let (bytes, gaps) = all(&mut Reader::new(directory.path()));
        let (kept, left_out) = (bytes.len() as u64, gaps.iter().sum::<u64>());
        assert!(bytes.ends_with(b"xlast") && kept <= 8 << 20 && gaps.len() == 1);
        assert_eq!(kept + left_out, (20 << 20) + 9);
        // A reader that was behind is told what it missed, and still has the file that it was reading.
        let (bytes, gaps) = all(&mut slow);
        let seen = bytes.len() as u64 + gaps.iter().sum::<u64>();
        assert_eq!((seen, gaps.len()), ((20 << 20) + 4, 1));
    }

    #[test]
    fn what_cannot_be_written_is_a_gap_of_its_length() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("place");
        fs::create_dir(&place).unwrap();
        let mut writer = Writer::new(&place);
        writer.push(b"before");
        // Nothing can be written, as on a full disk; even root cannot write to what is not there.
        writer.file = None;
        fs::rename(&place, directory.path().join("away")).unwrap();
        writer.push(b"lost");
        writer.push(b"lost, too");
        fs::rename(directory.path().join("away"), &place).unwrap();
        writer.push(b"after");
        let dropped = writer.dropped().unwrap();
        assert_eq!((dropped.0, dropped.1.kind()), (13, io::ErrorKind::NotFound));
        let read = all(&mut Reader::new(&place));
        assert_eq!(read, (b"beforeafter".to_vec(), vec![13]));
    }

    #[test]
    fn a_full_disk_leaves_no_empty_file_behind() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(directory.path());
        writer.file = Some((0, OpenOptions::new().write(true).open("/dev/full").unwrap()));
        fs::write(path(directory.path(), 0), "").unwrap();
        writer.push(b"lost");
        let dropped = writer.dropped().unwrap();
        assert_eq!(
            (dropped.0, dropped.1.kind()),
            (4, io::ErrorKind::StorageFull)
        );
        writer.push(b"after");
        let read = all(&mut Reader::new(directory.path()));
        assert_eq!(read, (b"after".to_vec(), vec![4]));
    }
}
