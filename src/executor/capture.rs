//! One output stream: all of it counted and hashed, a bounded part of it kept.
//!
//! Bytes go in as they arrive, [`Output`] comes out. What is held never exceeds what the policy
//! keeps, whatever the command prints.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use crate::evidence::{Output, Text};
use crate::policy::terms::Keep;

/// The beginning and the end of a stream, with the totals of all of it.
#[derive(Debug)]
pub struct Capture {
    head: Vec<u8>,
    head_room: usize,
    // INVARIANT: not longer than `tail_room`.
    tail: VecDeque<u8>,
    tail_room: usize,
    bytes: u64,
    lines: u64,
    sha: Sha256,
}

impl Capture {
    /// Keeps `keep_bytes` of the part that `keep` names.
    #[must_use]
    pub fn new(keep_bytes: u64, keep: Keep) -> Capture {
        let room = usize::try_from(keep_bytes).unwrap_or(usize::MAX);
        let tail_room = match keep {
            Keep::Head => 0,
            Keep::Tail => room,
            Keep::HeadTail => room >> 1,
        };
        Capture {
            head: Vec::new(),
            head_room: room.saturating_sub(tail_room),
            tail: VecDeque::new(),
            tail_room,
            bytes: 0,
            lines: 0,
            sha: Sha256::new(),
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        self.lines = self.lines.saturating_add(line_feeds(chunk));
        self.sha.update(chunk);

        let room = self.head_room.saturating_sub(self.head.len());
        let (to_head, rest) = chunk.split_at_checked(room).unwrap_or((chunk, &[]));
        self.head.extend_from_slice(to_head);

        let last = rest.len().saturating_sub(self.tail_room);
        let to_tail = rest.get(last..).unwrap_or_default();
        let excess = self
            .tail
            .len()
            .saturating_add(to_tail.len())
            .saturating_sub(self.tail_room);
        self.tail.drain(..excess.min(self.tail.len()));
        self.tail.extend(to_tail);
    }

    /// Evidence of the stream. `held_open`: somebody could still write to it.
    #[must_use]
    pub fn finish(self, held_open: bool) -> Output {
        let Capture {
            mut head,
            mut tail,
            bytes,
            lines,
            sha,
            ..
        } = self;
        let tail = &*tail.make_contiguous();
        let kept = (head.len() as u64).saturating_add(tail.len() as u64);
        let sha256 = data_encoding::HEXLOWER.encode(&sha.finalize());

        let (text, kept_head, kept_tail) = if kept == bytes {
            head.extend_from_slice(tail);
            (head, bytes, 0)
        } else {
            head.truncate(whole_characters_end(&head));
            let tail = tail.get(whole_characters_start(tail)..).unwrap_or_default();
            let (kept_head, kept_tail) = (head.len() as u64, tail.len() as u64);
            let left_out = bytes.saturating_sub(kept_head).saturating_sub(kept_tail);
            if head.last().is_some_and(|byte| *byte != b'\n') {
                head.push(b'\n');
            }
            head.extend_from_slice(marker(left_out).as_bytes());
            head.extend_from_slice(tail);
            (head, kept_head, kept_tail)
        };
        Output {
            bytes,
            lines,
            kept_head,
            kept_tail,
            dropped: bytes.saturating_sub(kept_head).saturating_sub(kept_tail),
            sha256,
            text: Text::from(text),
            held_open,
        }
    }
}

/// Number of line feeds. Counted in blocks whose count fits a byte, which the compiler turns into vector
/// code; a plain count is five times slower with overflow checks.
fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.chunks(255).fold(0, |total: u64, block| {
        let count = block.iter().fold(0u8, |count, byte| {
            count.wrapping_add(u8::from(*byte == b'\n'))
        });
        total.wrapping_add(u64::from(count))
    })
}

/// The line that stands for what was left out.
fn marker(left_out: u64) -> String {
    format!("[... {left_out} bytes left out ...]\n")
}

/// Length of the part of `head` that ends with a whole character. Bytes that are not UTF-8 count as
/// characters.
fn whole_characters_end(head: &[u8]) -> usize {
    (1..=3)
        .filter_map(|back| head.len().checked_sub(back))
        .find(|start| {
            let cut = head.get(*start..).unwrap_or_default();
            // `error_len` is absent if and only if more bytes could make this a character.
            std::str::from_utf8(cut)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(head.len())
}

/// Where in `tail` the first whole character starts: behind at most three continuation bytes.
fn whole_characters_start(tail: &[u8]) -> usize {
    let continuations = tail
        .iter()
        .take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000)
        .count();
    if continuations > 3 { 0 } else { continuations }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capture(keep_bytes: u64, keep: Keep, chunks: &[&[u8]]) -> Output {
        let mut capture = Capture::new(keep_bytes, keep);
        for chunk in chunks {
            capture.push(chunk);
        }
        capture.finish(false)
    }

    #[track_caller]
    fn check(keep_bytes: u64, keep: Keep, input: &str, expected: &str) {
        let output = capture(keep_bytes, keep, &[input.as_bytes()]);
        assert_eq!(output.text, Text::Utf8(expected.to_owned()));
        assert_eq!(output.bytes, input.len() as u64);
        assert_eq!(
            output.kept_head + output.kept_tail + output.dropped,
            output.bytes
        );
    }

    #[test]
    fn a_cut_is_marked_once_with_the_number_of_bytes_left_out() {
        check(10, Keep::HeadTail, "short", "short");
        check(10, Keep::HeadTail, "0123456789", "0123456789");
        check(
            10,
            Keep::HeadTail,
            "0123456789a",
            "01234\n[... 1 bytes left out ...]\n6789a",
        );
        check(
            4,
            Keep::Head,
            "ab\ncdef",
            "ab\nc\n[... 3 bytes left out ...]\n",
        );
        check(
            3,
            Keep::Head,
            "ab\ncdef",
            "ab\n[... 4 bytes left out ...]\n",
        );
        check(4, Keep::Tail, "abcdef", "[... 2 bytes left out ...]\ncdef");
        check(0, Keep::HeadTail, "abc", "[... 3 bytes left out ...]\n");
        check(0, Keep::HeadTail, "", "");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        check(
            6,
            Keep::HeadTail,
            "aé€€éb",
            "aé\n[... 6 bytes left out ...]\néb",
        );
        check(4, Keep::HeadTail, "€€€", "[... 9 bytes left out ...]\n");
        check(4, Keep::Head, "🦀🦀", "🦀\n[... 4 bytes left out ...]\n");
        check(3, Keep::Head, "🦀🦀", "[... 8 bytes left out ...]\n");
    }

    #[test]
    fn invalid_bytes_are_kept() {
        let output = capture(100, Keep::HeadTail, &[b"a\xff\xfe", b"b\n"]);
        assert_eq!(output.text, Text::from(b"a\xff\xfeb\n".to_vec()));
        assert_eq!((output.bytes, output.lines, output.dropped), (5, 1, 0));
        assert_eq!(whole_characters_end(b"ab\xff"), 3);
        assert_eq!(whole_characters_start(b"\x80\x80\x80\x80"), 0);
    }

    proptest! {
        #[test]
        fn chunking_never_matters_and_totals_are_exact(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            cuts in prop::collection::vec(0usize..600, 0..8),
            keep_bytes in 0u64..200,
            keep in prop::sample::select(vec![Keep::Head, Keep::Tail, Keep::HeadTail]),
        ) {
            let whole = capture(keep_bytes, keep, &[&bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            chunks.push(&bytes[from..]);
            let chunked = capture(keep_bytes, keep, &chunks);
            prop_assert_eq!(&whole, &chunked);
            prop_assert_eq!(whole.bytes, bytes.len() as u64);
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(whole.lines, lines as u64);
            prop_assert_eq!(whole.kept_head + whole.kept_tail + whole.dropped, whole.bytes);
            prop_assert!(whole.kept_head + whole.kept_tail <= keep_bytes || whole.dropped == 0);
            prop_assert_eq!(
                whole.sha256,
                data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes))
            );
        }

        #[test]
        fn text_stays_text(text in "\\PC{0,200}", keep_bytes in 0u64..100) {
            let output = capture(keep_bytes, Keep::HeadTail, &[text.as_bytes()]);
            prop_assert!(matches!(output.text, Text::Utf8(_)));
        }
    }
}
