//! A hash table from numbers to numbers in one piece of memory, and the hash that goes with it.

#![forbid(unsafe_code)]

/// Numbers under hashes: open addressing, at most half full.
///
/// The hash is fast and could be made to collide, but only by the policy's author, to whom it would
/// cost time and nothing else. A path that is looked up changes no chain.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Half of the hash, and the number; the number of a free slot is `FREE`. A power of two of them.
    slots: Box<[(u32, u32)]>,
}

const FREE: u32 = u32::MAX;

impl Table {
    /// The table of these hashes and numbers.
    pub(super) fn new(entries: &[(u64, usize)]) -> Table {
        let len = entries.len().saturating_mul(2).next_power_of_two().max(2);
        let mut table = Table {
            slots: vec![(0, FREE); len].into(),
        };
        for (hash, number) in entries {
            let is_free = |at: &usize| {
                table
                    .slots
                    .get(*at)
                    .is_some_and(|(_, number)| *number == FREE)
            };
            let free = table.chain(*hash).find(is_free);
            if let Some(slot) = free.and_then(|at| table.slots.get_mut(at)) {
                *slot = (tag(*hash), u32::try_from(*number).unwrap_or(FREE));
            }
        }
        table
    }

    /// The first number under this hash that `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        for at in self.chain(hash) {
            let (other, number) = *self.slots.get(at)?;
            if number == FREE {
                return None;
            }
            if other == tag(hash) {
                let number = usize::try_from(number).ok()?;
                if is_it(number) {
                    return Some(number);
                }
            }
        }
        None
    }

    /// The slots in which a number under this hash may be, the likeliest first.
    fn chain(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().saturating_sub(1);
        let start = usize::try_from(hash & 0xFFFF_FFFF).unwrap_or_default();
        (0..=mask).map(move |step| start.wrapping_add(step) & mask)
    }
}

/// The half of a hash that does not say where to look.
fn tag(hash: u64) -> u32 {
    u32::try_from(hash.wrapping_shr(32)).unwrap_or_default()
}

/// The first and the last bytes of a text, and its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) len: usize,
    /// Up to eight bytes from the start, the first byte the lowest.
    pub(super) head: u64,
    /// Up to eight bytes from the end, the last byte the highest.
    pub(super) tail: u64,
}

impl Ends {
    pub(super) fn of(text: &[u8]) -> Ends {
        let len = text.len();
        if let (Some(head), Some(tail)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            return Ends {
                len,
                head: u64::from_le_bytes(*head),
                tail: u64::from_le_bytes(*tail),
            };
        }
        // Fewer than eight: what the last byte is short of the highest.
        let bits = u32::try_from(len).unwrap_or_default().saturating_mul(8);
        let head = if let (Some(first), Some(last)) =
            (text.first_chunk::<4>(), text.last_chunk::<4>())
        {
            let last = u64::from(u32::from_le_bytes(*last)).wrapping_shl(bits.saturating_sub(32));
            u64::from(u32::from_le_bytes(*first)) | last
        } else {
            text.iter()
                .rev()
                .fold(0_u64, |word, byte| word.wrapping_shl(8) | u64::from(*byte))
        };
        let tail = head
            .checked_shl(64_u32.saturating_sub(bits))
            .unwrap_or_default();
        Ends { len, head, tail }
    }
}

/// A hash of a text with these ends, eight bytes at a time.
pub(super) fn hash(text: &[u8], ends: Ends) -> u64 {
    let mut hash = mixed(ends.head ^ (ends.len as u64).wrapping_mul(0xA076_1D64_78BD_642F));
    if ends.len > 8 {
        // The first word is the head and what is left over at the end is in the tail.
        let mut rest = text.get(8..).unwrap_or_default();
        while let Some((word, more)) = rest.split_first_chunk::<8>() {
            hash = mixed(hash ^ u64::from_le_bytes(*word));
            rest = more;
        }
        hash = mixed(hash ^ ends.tail);
    }
    hash
}

/// The hash of something below a node.
pub(super) fn keyed(node: usize, hash: u64) -> u64 {
    mixed(hash ^ (node as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93))
}

/// Spreads the bits of a number: its full product with the golden ratio, the halves folded together.
fn mixed(value: u64) -> u64 {
    let value = value ^ 0x243F_6A88_85A3_08D3;
    let product = u128::from(value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    let (low, high) = (product as u64, product.wrapping_shr(64) as u64);
    low ^ high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_found_and_nothing_else() {
        let entries: Vec<_> = (0..1000).map(|n| (keyed(n, 7), n)).collect();
        let table = Table::new(&entries);
        for n in 0..1000 {
            assert_eq!(table.find(keyed(n, 7), |other| other == n), Some(n));
        }
        assert_eq!(table.find(keyed(1000, 7), |_| true), None);
        assert_eq!(Table::new(&[]).find(3, |_| true), None);
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_caller() {
        let table = Table::new(&[(5, 1), (5, 2), (5, 3)]);
        assert_eq!(table.find(5, |number| number == 3), Some(3));
        assert_eq!(table.find(5, |number| number == 4), None);
    }

    #[test]
    fn the_ends_of_a_text_are_its_first_and_last_bytes() {
        let text = b"abcdefghijkl";
        for len in 0..text.len() {
            let text = &text[..len];
            let ends = Ends::of(text);
            let mut head = [0; 8];
            let mut tail = [0; 8];
            let n = len.min(8);
            head[..n].copy_from_slice(&text[..n]);
            tail[8 - n..].copy_from_slice(&text[len - n..]);
            assert_eq!(
                (ends.head.to_le_bytes(), ends.tail.to_le_bytes()),
                (head, tail),
                "{len}"
            );
        }
    }

    #[test]
    fn texts_that_differ_in_one_byte_hash_apart() {
        let text = b"services/team1234/tests";
        let hash = |text: &[u8]| hash(text, Ends::of(text));
        for len in 1..text.len() {
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 1;
                assert_ne!(hash(&text[..len]), hash(&other));
            }
            assert_ne!(hash(&text[..len]), hash(&text[..len - 1]));
        }
        assert_ne!(hash(b"\0"), hash(b""));
    }
}
