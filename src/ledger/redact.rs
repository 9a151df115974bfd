//! Redaction: which texts are secrets, and what stands in their place.
//!
//! A text that has the shape of a well-known token, or matches a pattern of the policy, never reaches
//! the ledger: `{"redacted": …}` does, an HMAC-SHA-256 under the ledger's own key. Equal secrets give
//! equal digests, so runs can still be compared; nobody without the key can try out guesses.
//! The whole text is replaced, not the part that matched: what surrounds a secret often is one too.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use data_encoding::BASE64;
use regex::Regex;
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::entry::hex;
use super::merkle::Hash;

/// Shapes of tokens that are secrets wherever they stand. The prefixes are those that their issuers document.
const SHAPES: &[&str] = &[
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\bwhsec_[A-Za-z0-9]{16,}",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\bya29\.[A-Za-z0-9_-]{20,}",
    r"\bGOCSPX-[A-Za-z0-9_-]{20,}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bpypi-[A-Za-z0-9_-]{50,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"\bdo[opr]_v1_[a-f0-9]{64}",
    r"\bhvs\.[A-Za-z0-9_-]{20,}",
    r"\bdckr_pat_[A-Za-z0-9_-]{20,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"PRIVATE\+KEY\+",
    r"(?i)\bauthorization:\s*\S+\s+\S+",
    r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{16,}",
    r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/?#:@]*:[^\s/?#@]+@",
];

/// Texts of which one is in everything that a shape matches, in lower case. Looking for them first
/// keeps the shapes, which take 2 ms to compile, out of almost every process.
const HINTS: &[&str] = &[
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "akia",
    "asia",
    "abia",
    "acca",
    "xox",
    "xapp-",
    "hooks.slack",
    "sk-",
    "sk_",
    "rk_",
    "whsec_",
    "aiza",
    "ya29.",
    "gocspx-",
    "npm_",
    "pypi-",
    "hf_",
    "sg.",
    "_v1_",
    "hvs.",
    "dckr_pat_",
    "eyj",
    "private key",
    "private+key+",
    "authorization:",
    "bearer",
    "://",
];

// Bytes that are not ASCII are in none of the shapes; without Unicode classes the set is small.
static SHAPE_SET: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSetBuilder::new(SHAPES).unicode(false).build().ok());

/// For each byte, one bit per hint that begins with it.
static HINTS_BY_FIRST_BYTE: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut table = [0; 256];
    for (at, hint) in HINTS.iter().enumerate() {
        let bit = u32::try_from(at)
            .ok()
            .and_then(|at| 1_u64.checked_shl(at))
            .unwrap_or(u64::MAX);
        let first = hint.bytes().next().unwrap_or(0);
        for byte in [first, first.to_ascii_uppercase()] {
            if let Some(mask) = table.get_mut(usize::from(byte)) {
                *mask |= bit;
            }
        }
    }
    table
});

/// Decides which texts are replaced, and by what.
pub(super) struct Redactor {
    key: [u8; 32],
    shapes: bool,
    patterns: Vec<Regex>,
}

impl fmt::Debug for Redactor {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor under a ledger's `key`, with the policy's patterns.
    ///
    /// # Errors
    /// The first pattern that is not a regular expression.
    pub(super) fn new(key: [u8; 32], patterns: &[String]) -> Result<Redactor, String> {
        let compiled: Result<Vec<Regex>, String> = patterns
            .iter()
            .map(|pattern| Regex::new(pattern).map_err(|_| pattern.clone()))
            .collect();
        Ok(Redactor {
            key,
            shapes: true,
            patterns: compiled?,
        })
    }

    /// For what the ledger says itself: it holds no secrets, but keys and digests that may look like some.
    pub(super) fn none() -> Redactor {
        Redactor {
            key: [0; 32],
            shapes: false,
            patterns: Vec::new(),
        }
    }

    /// What stands in the place of `text`, if it is a secret.
    pub(super) fn text(&self, text: &str) -> Option<Hash> {
        let secret = self.has_shape(text.as_bytes()) || self.matches_pattern(text);
        secret.then(|| hmac(&self.key, text.as_bytes()))
    }

    /// A key of an object, or what stands in its place.
    pub(super) fn key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        match self.text(key) {
            Some(digest) => Cow::Owned(format!("redacted:{}", hex(&digest))),
            None => Cow::Borrowed(key),
        }
    }

    /// What stands in the place of `{"b64": …}`, if the bytes in it hold a secret.
    pub(super) fn bytes_value(&self, map: &Map<String, Value>) -> Option<Hash> {
        if map.len() != 1 {
            return None;
        }
        let bytes = BASE64.decode(map.get("b64")?.as_str()?.as_bytes()).ok()?;
        self.holds_secret(&bytes).then(|| self.digest(&bytes))
    }

    /// Whether a secret is somewhere in these bytes.
    pub(super) fn holds_secret(&self, bytes: &[u8]) -> bool {
        self.has_shape(bytes)
            || (!self.patterns.is_empty() && self.matches_pattern(&String::from_utf8_lossy(bytes)))
    }

    /// What stands in the place of a secret.
    pub(super) fn digest(&self, secret: &[u8]) -> Hash {
        hmac(&self.key, secret)
    }

    fn has_shape(&self, text: &[u8]) -> bool {
        // The shortest shape, a URL with a password, has 7 bytes.
        self.shapes
            && text.len() >= 7
            && hinted(text)
            && SHAPE_SET.as_ref().is_none_or(|set| set.is_match(text))
    }

    fn matches_pattern(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_match(text))
    }
}

fn hinted(text: &[u8]) -> bool {
    let table = &*HINTS_BY_FIRST_BYTE;
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let mask = table.get(usize::from(*first)).copied().unwrap_or(u64::MAX);
        if mask != 0 {
            let begins = |hint: &&str| {
                rest.get(..hint.len())
                    .is_some_and(|text| text.eq_ignore_ascii_case(hint.as_bytes()))
            };
            let mut bits = mask;
            while bits != 0 {
                let at = usize::try_from(bits.trailing_zeros()).unwrap_or(usize::MAX);
                if HINTS.get(at).is_none_or(&begins) {
                    return true;
                }
                bits &= bits.wrapping_sub(1);
            }
        }
        rest = behind;
    }
    false
}

/// HMAC-SHA-256 (RFC 2104) under a key of 32 bytes.
pub(super) fn hmac(key: &[u8; 32], message: &[u8]) -> Hash {
    let padded = |byte: u8| {
        let mut block = [byte; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to ^= *from;
        }
        block
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new([7; 32], &["^hunter[0-9]$".to_owned()]).unwrap()
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // Test case 2 has a key of 4 bytes; zeros behind a short key do not change an HMAC.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let digest = hmac(&key, b"what do ya want for nothing?");
        assert_eq!(
            hex(&digest),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[track_caller]
    fn check(text: &str, secret: bool) {
        assert_eq!(redactor().text(text).is_some(), secret, "{text}");
    }

    #[test]
    fn token_shapes_and_own_patterns_are_secrets_wherever_they_stand() {
        // Put together here so that nothing in this file looks like a leaked token to a scanner.
        let filler = "A2b3C4d5E6f7G2h3I4j5K6l7M2n3O4p5Q6r7S2t3";
        check(&format!("gh{}{filler}", "p_"), true);
        check(&format!("--token=gh{}{filler}", "s_"), true);
        check(&format!("gl{}{filler}", "pat-"), true);
        check(&format!("AK{}ABCDEFGHIJKLMNOP", "IA"), true);
        check(&format!("s{}{filler}", "k-"), true);
        check(&format!("np{}{}", "m_", filler.split_at(36).0), true);
        check("https://user:secret@example.org/x.git", true);
        check("Authorization: Basic dXNlcjpwYXNz", true);
        check("hunter2", true);
    }

    #[test]
    fn ordinary_texts_stay() {
        check("runtime/tests/test_a.py", false);
        check("task-list-of-asia", false);
        check("https://example.org/a:b@c", false);
        check("https://example.org/x.git", false);
        check("the hunter2 is gone", false);
        check("", false);
    }

    #[test]
    fn bytes_that_hold_a_secret_are_replaced_too() {
        let bytes = b"\xffhttps://user:secret@example.org/";
        let value = super::super::entry::text_value(bytes);
        let map = value.as_object().unwrap();
        assert_eq!(redactor().bytes_value(map), Some(hmac(&[7; 32], bytes)));
    }

    #[test]
    fn every_shape_compiles_and_every_shape_has_a_hint() {
        assert!(SHAPE_SET.is_some());
        assert!(HINTS.len() <= 64 && HINTS.iter().all(|hint| hint.to_lowercase() == *hint));
        assert!(Redactor::new([0; 32], &["(".to_owned()]).is_err());
    }
}
