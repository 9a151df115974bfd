//! The part of verification that needs no order: every line is read and hashed by itself.
//!
//! Blocks of whole lines go in, one [`Scanned`] per line comes out, in order. Large ledgers are scanned by
//! several threads; how many lines are in flight does not depend on how long the ledger is.

#![forbid(unsafe_code)]

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use memchr::{memchr, memchr_iter, memrchr};

use super::super::chain::Part;
use super::super::decode::{Decoder, Line, Malformed};
use super::super::hash::sha256;
use super::super::line::{Kind, MAX_LINE_BYTES, RunId};
use super::super::merkle::{Hash, leaf_hash};
use super::super::segment::{MAX_TORN_BYTES, Zeros, zeros};
use super::super::store::{SegmentFile, read_full};
use super::Audit;

/// Bytes that are read and scanned at once.
///
/// Few enough that a block is still in the cache of the core that reads it when it is hashed.
const BLOCK_BYTES: usize = 1 << 18;

/// Blocks that wait for or at each thread.
const BLOCKS_IN_FLIGHT: usize = 4;

/// More threads than this have nothing to do: the checks that need the order take their time too.
const MAX_THREADS: usize = 8;

/// After so many lines of a block that cannot be read, the rest of the block counts as one more. Each costs as much
/// as a line that says something, and somebody can make millions of them.
const MAX_UNREAD: u32 = 100;

/// One line, as far as it can be understood alone.
#[derive(Debug)]
pub(super) struct Scanned<S> {
    /// Offset in the segment, in bytes.
    pub(super) at: u64,
    pub(super) bytes: u64,
    /// The hash that the next line has to name.
    pub(super) hash: Hash,
    /// The leaf for the tree.
    pub(super) leaf: Hash,
    pub(super) read: Result<(Seen, S), Unread>,
}

/// A line that cannot be read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) why: Malformed,
    /// It holds zero bytes, as files do where a crash of the machine lost what was written.
    pub(super) zeros: Option<Zeros>,
}

/// The head of a line, and what the log itself says in it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Seen {
    pub(super) seq: u64,
    pub(super) prev: Hash,
    /// When it was written.
    pub ts: [u8; 27],
    /// Digest of the name of the machine's start.
    pub boot: Hash,
    /// Its kind.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The whole line, if the log reads it.
    pub(super) own: Option<Box<str>>,
}

impl Seen {
    /// The part that the chain reads.
    pub(super) fn part(&self) -> Part<'_> {
        match &self.own {
            Some(line) if self.kind == Kind::Segment => Part::Segment(line),
            Some(line) if self.kind == Kind::Checkpoint => Part::Checkpoint(line),
            Some(_) | None => Part::Other,
        }
    }

    /// The line of a `gap` entry.
    pub(super) fn gap(&self) -> Option<&str> {
        self.own.as_deref().filter(|_| self.kind == Kind::Gap)
    }
}

/// The lines of a block, and the segment that they are in.
type Lines<A> = (usize, Vec<Scanned<<A as Audit>::Says>>);

/// A stretch of a file that holds lines.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Which segment, in the order in which they are checked.
    pub(super) index: usize,
    pub(super) file: SegmentFile,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Scans `parts` in order; `take` gets the segment's index and each block's lines.
///
/// # Errors
/// What the files' reader says, or `take`.
pub(super) fn scan<A: Audit>(
    parts: Vec<Stretch>,
    take: &mut dyn FnMut(usize, Vec<Scanned<A::Says>>) -> io::Result<()>,
) -> io::Result<()> {
    let bytes = parts
        .iter()
        .map(|part| part.to.saturating_sub(part.from))
        .fold(0, u64::saturating_add);
    let small = bytes <= u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    if small || threads < 2 {
        let mut scanner = Scanner::default();
        return read_blocks(parts, &mut |block| {
            take(block.index, scanner.scan::<A>(&block))?;
            Ok(Some(block.bytes))
        });
    }
    std::thread::scope(|scope| {
        let mut inputs: Vec<SyncSender<Block>> = Vec::new();
        let mut outputs: Vec<Receiver<Lines<A>>> = Vec::new();
        let (done, spares) = channel();
        for _ in 0..threads {
            let (input, blocks) = sync_channel::<Block>(BLOCKS_IN_FLIGHT);
            let (lines, output) = sync_channel(BLOCKS_IN_FLIGHT);
            inputs.push(input);
            outputs.push(output);
            let done = done.clone();
            scope.spawn(move || {
                let mut scanner = Scanner::default();
                for block in blocks {
                    if lines
                        .send((block.index, scanner.scan::<A>(&block)))
                        .is_err()
                    {
                        return;
                    }
                    // The reader may have ended already.
                    let _ = done.send(block.bytes);
                }
            });
        }
        let reader = scope.spawn(move || {
            // Blocks go round; so what comes back is in order if it is fetched in the same round.
            let mut round = inputs.iter().cycle();
            read_blocks(parts, &mut |block| {
                let sent = round.next().map(|input| input.send(block));
                let sent = sent.is_some_and(|sent| sent.is_ok());
                Ok(sent.then(|| spares.try_recv().unwrap_or_default()))
            })
        });
        let mut taken = Ok(());
        for output in outputs.iter().cycle() {
            let Ok((index, lines)) = output.recv() else {
                break;
            };
            taken = take(index, lines);
            if taken.is_err() {
                break;
            }
        }
        // The threads end when nobody takes their lines.
        drop(outputs);
        let read = reader
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the reading thread failed")));
        taken.and(read)
    })
}

/// Whole lines of one segment.
struct Block {
    index: usize,
    at: u64,
    bytes: Vec<u8>,
}

/// Cuts `parts` into blocks at line ends; `give` takes each and returns memory for the next, or nothing when
/// it wants no more.
fn read_blocks(
    parts: Vec<Stretch>,
    give: &mut dyn FnMut(Block) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for part in parts {
        let mut at = part.from;
        while at < part.to {
            let left = usize::try_from(part.to.saturating_sub(at)).unwrap_or(usize::MAX);
            bytes.resize(left.min(BLOCK_BYTES), 0);
            let got = read_full(&part.file, at, &mut bytes)?;
            bytes.truncate(got);
            let whole = memrchr(b'\n', &bytes).map_or(0, |end| end.saturating_add(1));
            let last = got == left || got == 0;
            if got == 0 {
                break;
            }
            let mut next = at.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
            if whole == 0 && !last {
                // Nobody writes a line longer than a block. Its beginning is enough to say so, however
                // long somebody has made it.
                bytes.truncate(MAX_LINE_BYTES.saturating_add(1));
                next = end_of_line(&part.file, next, part.to)?;
            } else if !last {
                bytes.truncate(whole);
                next = at.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
            }
            let index = part.index;
            match give(Block { index, at, bytes })? {
                Some(spare) => bytes = spare,
                None => return Ok(()),
            }
            at = next;
        }
    }
    Ok(())
}

/// Where the line ends that goes on at `from`; what is behind a line without end is not looked at.
fn end_of_line(file: &SegmentFile, from: u64, to: u64) -> io::Result<u64> {
    let mut at = from;
    let mut block = vec![0; BLOCK_BYTES];
    while at < to {
        let got = read_full(file, at, &mut block)?;
        let bytes = block.get(..got).unwrap_or(&[]);
        let end = memchr(b'\n', bytes);
        let step = end.map_or(got, |end| end.saturating_add(1));
        at = at.saturating_add(u64::try_from(step).unwrap_or(u64::MAX));
        if end.is_some() || got == 0 {
            break;
        }
        if at.saturating_sub(from) > MAX_TORN_BYTES {
            return Ok(to);
        }
    }
    Ok(at.min(to))
}

/// Memory that is kept from line to line, so that most lines need none of their own.
#[derive(Default)]
struct Scanner {
    decoder: Decoder,
    /// The last start of the machine, and its digest.
    boot: (String, Hash),
}

impl Scanner {
    fn scan<A: Audit>(&mut self, block: &Block) -> Vec<Scanned<A::Says>> {
        let mut at = block.at;
        let mut scanned = Vec::with_capacity(block.bytes.len().checked_div(256).unwrap_or(0));
        let mut from = 0;
        let ends = memchr_iter(b'\n', &block.bytes).map(|end| end.saturating_add(1));
        let mut unread = 0_u32;
        for mut to in ends.chain([block.bytes.len()]) {
            if unread > MAX_UNREAD {
                to = block.bytes.len();
            }
            let bytes = block.bytes.get(from..to).unwrap_or(&[]);
            if bytes.is_empty() {
                continue;
            }
            from = to;
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let read = match self.decoder.decode(bytes) {
                Ok(line) => Ok((see(&line, &mut self.boot), A::read(&line))),
                Err(why) => {
                    unread = unread.saturating_add(1);
                    Err(Unread {
                        why,
                        zeros: zeros(bytes, at),
                    })
                }
            };
            scanned.push(Scanned {
                at,
                bytes: length,
                hash: sha256(bytes),
                leaf: leaf_hash(bytes),
                read,
            });
            at = at.saturating_add(length);
            if to == block.bytes.len() {
                break;
            }
        }
        scanned
    }
}

fn see(line: &Line<'_>, boot: &mut (String, Hash)) -> Seen {
    if boot.0 != line.boot {
        *boot = (line.boot.to_owned(), sha256(line.boot.as_bytes()));
    }
    let own = [Kind::Segment, Kind::Checkpoint, Kind::Gap].contains(&line.kind);
    Seen {
        seq: line.seq,
        prev: line.prev,
        ts: line.ts.as_bytes().try_into().unwrap_or([0; 27]),
        boot: boot.1,
        kind: line.kind,
        run: line.run,
        own: own.then(|| line.text().into()),
    }
}
