//! Who wrote a line: each ends in a code that only somebody with the ledger's key can have made.
//!
//! ```text
//! {"v":1,"seq":41,"prev":"…", … ,"mac":"0f3c…"}
//! ```
//!
//! A writer checks it before it goes on behind what others wrote, because what it signs it vouches for. The code
//! covers the line up to its own name; by `prev` it covers all lines before. Verification needs no key and
//! does not look at it.

#![forbid(unsafe_code)]

use sha2::{Digest, Sha256};

use super::hash::{hex, hmac};
use super::merkle::Hash;

/// Hex digits of a code: half of an HMAC-SHA-256.
const DIGITS: usize = 32;

/// The text in front of the digits.
const NAME: &str = ",\"mac\":\"";

/// The text behind them.
const END: &str = "\"}\n";

/// The key of the codes, and of the file `state`.
#[derive(Clone)]
pub(super) struct MacKey([u8; 32]);

impl std::fmt::Debug for MacKey {
    /// Never shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey")
    }
}

impl MacKey {
    /// The key that follows from the ledger's secret.
    ///
    /// The secret itself also stands behind what redaction writes into the ledger: an HMAC of texts that others
    /// choose. Nothing that is made with it can be one of these codes.
    pub(super) fn new(secret: &[u8; 32]) -> MacKey {
        let digest = Sha256::new()
            .chain_update(b"lictor ledger mac\0")
            .chain_update(secret);
        MacKey(digest.finalize().into())
    }

    /// The code of any bytes, whole.
    pub(super) fn of(&self, bytes: &[u8]) -> Hash {
        hmac(&self.0, bytes)
    }

    /// Puts its code into the line that `bytes` has from `start` on.
    pub(super) fn seal(&self, bytes: &mut Vec<u8>, start: usize) {
        let end = bytes.len().saturating_sub(2);
        let code = self.digits(bytes.get(start..end).unwrap_or(&[]));
        bytes.truncate(end);
        bytes.extend_from_slice(NAME.as_bytes());
        bytes.extend_from_slice(code.as_bytes());
        bytes.extend_from_slice(END.as_bytes());
    }

    /// Returns true if the line ends in its code.
    pub(super) fn fits(&self, line: &[u8]) -> bool {
        let code = line.strip_suffix(END.as_bytes());
        let code = code.and_then(|line| line.split_last_chunk::<DIGITS>());
        let code = code.and_then(|(line, code)| Some((line.strip_suffix(NAME.as_bytes())?, code)));
        code.is_some_and(|(line, code)| same(self.digits(line).as_bytes(), code))
    }

    fn digits(&self, bytes: &[u8]) -> String {
        let code = self.of(bytes);
        hex(code.get(..DIGITS / 2).unwrap_or(&[]))
    }
}

/// Compares in a time that does not tell where two texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_fits_and_any_other_does_not() {
        let key = MacKey::new(&[7; 32]);
        let mut line = b"before{\"v\":1}\n".to_vec();
        key.seal(&mut line, 6);
        assert_eq!(line.len(), b"before{\"v\":1}\n".len() + 41);
        let line = line.split_off(6);
        assert!(key.fits(&line));
        assert!(!MacKey::new(&[8; 32]).fits(&line));
        for at in 0..line.len() {
            let mut other = line.clone();
            other[at] ^= 1;
            assert!(!key.fits(&other), "byte {at}");
        }
        for short in [&b""[..], b"\n", b"{\"v\":1}\n", b",\"mac\":\"\"}\n"] {
            assert!(!key.fits(short));
        }
    }

    #[test]
    fn no_redacted_text_is_a_code() {
        let secret = [7; 32];
        assert_ne!(MacKey::new(&secret).of(b"text"), hmac(&secret, b"text"));
    }
}
