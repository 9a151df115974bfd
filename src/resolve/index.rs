//! Git's index -> the names of the files that git tracks. Pure.
//!
//! A tracked file is not ignored, whatever a `.gitignore` says about it. What is not understood to the
//! last byte is not understood at all.

#![forbid(unsafe_code)]

/// The bytes of a digest at the end, and in each entry: SHA-1, or SHA-256.
const DIGESTS: [usize; 2] = [20, 32];

/// The bytes of an entry before its digest and its flags.
const STAT_BYTES: usize = 40;

/// Where the mode of an entry stands among those bytes, and what it is for a submodule.
const MODE_AT: usize = 24;
const SUBMODULE: u32 = 0o160_000;

/// One tracked name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tracked {
    /// Relative to the top of the repository.
    pub(super) name: Vec<u8>,
    pub(super) is_submodule: bool,
}

/// The tracked names, in the order of the index.
pub(super) fn tracked(index: &[u8]) -> Option<Vec<Tracked>> {
    DIGESTS
        .into_iter()
        .find_map(|digest| with_digest(index, digest))
}

fn with_digest(index: &[u8], digest: usize) -> Option<Vec<Tracked>> {
    let body = index.get(..index.len().checked_sub(digest)?)?;
    let mut reader = Reader { rest: body, digest };
    if reader.take(4)? != b"DIRC" {
        return None;
    }
    let version = reader.number()?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let count = reader.number()?;
    let mut names: Vec<Tracked> = Vec::new();
    for _ in 0..count {
        let previous = names.last().map_or(&[][..], |last| last.name.as_slice());
        let tracked = reader.entry(version, previous)?;
        // A whole directory in one entry, with the files left out.
        if tracked.name.is_empty() || tracked.name.ends_with(b"/") {
            return None;
        }
        names.push(tracked);
    }
    while !reader.rest.is_empty() {
        let kind = reader.take(4)?;
        // The names are in another file, or some of them are left out.
        if kind == b"link" || kind == b"sdir" {
            return None;
        }
        let length = reader.number()?;
        reader.take(usize::try_from(length).ok()?)?;
    }
    Some(names)
}

struct Reader<'a> {
    rest: &'a [u8],
    digest: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn entry(&mut self, version: u32, previous: &[u8]) -> Option<Tracked> {
        let before = self.rest.len();
        let mode = self.take(STAT_BYTES)?.get(MODE_AT..)?.first_chunk()?;
        let is_submodule = u32::from_be_bytes(*mode) & 0o170_000 == SUBMODULE;
        self.take(self.digest)?;
        let flags = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        if flags & 0x4000 != 0 {
            if version == 2 {
                return None;
            }
            self.take(2)?;
        }
        let kept = match version {
            4 => {
                let cut = usize::try_from(self.varint()?).ok()?;
                previous.get(..previous.len().checked_sub(cut)?)?
            }
            _ => &[],
        };
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let name = [kept, self.take(end)?].concat();
        if version == 4 {
            self.take(1)?;
        } else {
            // At least one zero, up to a multiple of eight.
            let length = before.checked_sub(self.rest.len())?;
            let padding = self.take(8_usize.checked_sub(length % 8)?)?;
            if padding.iter().any(|byte| *byte != 0) {
                return None;
            }
        }
        Some(Tracked { name, is_submodule })
    }

    /// A number in groups of seven bits; each continuation adds one, so that no number has two forms.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        loop {
            let [byte] = self.take(1)? else { return None };
            value = value.checked_shl(7)?.checked_add(u64::from(byte & 0x7f))?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            value = value.checked_add(1).filter(|value| *value < 1 << 48)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(digest: usize, version: u32, names: &[&str], rest: &[u8]) -> Vec<u8> {
        let mut bytes = b"DIRC".to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend(u32::try_from(names.len()).unwrap().to_be_bytes());
        let mut last = "";
        for name in names {
            let start = bytes.len();
            bytes.extend(std::iter::repeat_n(7, STAT_BYTES + digest));
            bytes.extend([0, 1]);
            if version == 4 {
                bytes.push(u8::try_from(last.len()).unwrap());
                bytes.extend(name.as_bytes());
                bytes.push(0);
            } else {
                bytes.extend(name.as_bytes());
                bytes.push(0);
                while !(bytes.len() - start).is_multiple_of(8) {
                    bytes.push(0);
                }
            }
            last = name;
        }
        bytes.extend(rest);
        bytes.extend(std::iter::repeat_n(9, digest));
        bytes
    }

    #[test]
    fn the_names_are_those_that_were_written() {
        let names = ["a", "b/.env", "b/longer-name.txt", "c1234567"];
        for (digest, version) in DIGESTS
            .into_iter()
            .flat_map(|digest| [(digest, 2), (digest, 3), (digest, 4)])
        {
            let index = written(digest, version, &names, b"TREE\0\0\0\x03abc");
            let read = tracked(&index).unwrap();
            let read = read.iter().map(|tracked| tracked.name.as_slice());
            assert!(read.eq(names.map(str::as_bytes)));
        }
    }

    #[test]
    fn what_is_cut_off_or_left_elsewhere_is_not_understood() {
        let whole = written(20, 2, &["a", "b"], b"");
        for length in 0..whole.len() {
            assert_eq!(tracked(&whole[..length]), None, "{length}");
        }
        for rest in [&b"link\0\0\0\0"[..], b"sdir\0\0\0\0", b"TREE\0\0\0\x09abc"] {
            assert_eq!(tracked(&written(20, 2, &["a"], rest)), None);
        }
        assert_eq!(tracked(&written(20, 2, &["a/"], b"")), None);
        assert_eq!(tracked(&written(20, 5, &["a"], b"")), None);
    }
}
