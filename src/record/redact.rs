//! Redaction: which texts are secrets, and what stands in their place.
//!
//! A text that has the shape of a well-known token, or matches a pattern of the policy, never reaches
//! the ledger: an HMAC-SHA-256 under the ledger's own key and its length do. Equal secrets give equal
//! digests, so runs can still be compared; nobody without the key can try out guesses.
//!
//! Of a text with a token in it, the segment that holds the token is replaced, up to the next `/` or white
//! space on both sides; the rest stays, or whoever chooses names could choose what the record shows. A text that a
//! pattern of the policy matches is replaced as a whole: the pattern may name what stands beside a secret only.
//!
//! ```text
//! {"redacted":["build/",{"hmac":"51c0…","bytes":27},"/out.txt"]}
//! ```

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use data_encoding::BASE64;
use regex::Regex;
use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};
use serde_json::{Map, Value};

use crate::log::hash::{hex, hmac};
use crate::log::line::{Cover, Part};
use crate::log::merkle::Hash;

/// Shapes of tokens that are secrets wherever they stand. The prefixes are those that their issuers document.
const SHAPES: &[&str] = &[
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/[A-Za-z0-9/]{20}[A-Za-z0-9]*(?:/[A-Za-z0-9]{20,})?",
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
    // With the lines behind it.
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\r\n\\](?s:.)*)?",
    r"PRIVATE\+KEY\+(?:[^\s/+]*\+[0-9A-Fa-f]{8}\+[A-Za-z0-9+/=]{44})?",
    // Such a value may hold `/`. It ends at the first behind 16 characters, which keep it secret.
    r"(?i)\bauthorization:\s*\S+\s+(?:\S{16}[^\s/]*|\S+)",
    r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{16}[A-Za-z0-9._~+=-]*",
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

/// The shapes one by one, to find where they match. Compiled only if the set says that one does.
static SHAPES_APART: LazyLock<Option<Vec<regex::bytes::Regex>>> = LazyLock::new(|| {
    let compiled = SHAPES
        .iter()
        .map(|shape| RegexBuilder::new(shape).unicode(false).build());
    compiled.collect::<Result<_, _>>().ok()
});

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

/// Prefix of the key of an object that is a secret; its digest follows.
pub const REDACTED_KEY: &str = "redacted:";

/// Decides which texts are replaced, and by what.
pub(super) struct Redactor {
    key: [u8; 32],
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
            patterns: compiled?,
        })
    }

    /// Returns true if a secret is somewhere in these bytes.
    pub(super) fn holds_secret(&self, bytes: &[u8]) -> bool {
        self.has_shape(bytes)
            || (!self.patterns.is_empty() && self.matches_pattern(&String::from_utf8_lossy(bytes)))
    }

    /// Digest that replaces a secret.
    pub(super) fn digest(&self, secret: &[u8]) -> Hash {
        hmac(&self.key, secret)
    }

    fn has_shape(&self, text: &[u8]) -> bool {
        // The shortest shape, a URL with a password, has 7 bytes.
        text.len() >= 7 && hinted(text) && SHAPE_SET.as_ref().is_none_or(|set| set.is_match(text))
    }

    fn matches_pattern(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_match(text))
    }
}

impl Cover for Redactor {
    /// The text in pieces, if a secret is in it.
    fn parts<'t>(&self, text: &'t str) -> Option<Vec<Part<'t>>> {
        let secret = |part: &str| Part::Secret(self.digest(part.as_bytes()), part.len());
        if self.matches_pattern(text) {
            return Some(vec![secret(text)]);
        }
        if !self.has_shape(text.as_bytes()) {
            return None;
        }
        let mut parts = Vec::new();
        let mut rest_at = 0;
        for (start, end) in segments(text) {
            // Anything that does not fit hides too much, not too little.
            let plain = text.get(rest_at..start);
            let (Some(plain), Some(hidden)) = (plain, text.get(start..end)) else {
                return Some(vec![secret(text)]);
            };
            if !plain.is_empty() {
                parts.push(Part::Plain(plain));
            }
            parts.push(secret(hidden));
            rest_at = end;
        }
        if parts.is_empty() {
            return Some(vec![secret(text)]);
        }
        let rest = text.get(rest_at..).unwrap_or_default();
        if !rest.is_empty() {
            parts.push(Part::Plain(rest));
        }
        Some(parts)
    }

    /// A key of an object, or what stands in its place.
    fn key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        match self.holds_secret(key.as_bytes()) {
            true => Cow::Owned(format!(
                "{REDACTED_KEY}{}",
                hex(&self.digest(key.as_bytes()))
            )),
            false => Cow::Borrowed(key),
        }
    }

    /// The replacement for `{"b64": …}`, if the bytes in it hold a secret.
    fn bytes_value(&self, map: &Map<String, Value>) -> Option<Part<'static>> {
        if map.len() != 1 {
            return None;
        }
        let bytes = BASE64.decode(map.get("b64")?.as_str()?.as_bytes()).ok()?;
        self.holds_secret(&bytes)
            .then(|| Part::Secret(self.digest(&bytes), bytes.len()))
    }
}

/// Where the segments of a text stand that hold what a shape matches: in order, none within another.
fn segments(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let is_border = |byte: &u8| *byte == b'/' || byte.is_ascii_whitespace();
    let widened = |start: usize, end: usize| {
        let before = bytes.get(..start).unwrap_or_default();
        let behind = bytes.get(end..).unwrap_or_default();
        let more = behind.iter().position(is_border);
        (
            before
                .iter()
                .rposition(is_border)
                .map_or(0, |at| at.saturating_add(1)),
            more.map_or(bytes.len(), |more| end.saturating_add(more)),
        )
    };
    let Some(shapes) = &*SHAPES_APART else {
        return Vec::new();
    };
    let mut found: Vec<(usize, usize)> = shapes
        .iter()
        .flat_map(|shape| shape.find_iter(bytes))
        .map(|found| widened(found.start(), found.end()))
        .collect();
    found.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, end) in found {
        match merged.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => merged.push((start, end)),
        }
    }
    merged
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
        assert_eq!(redactor().parts(text).is_some(), secret, "{text}");
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
        let value = crate::log::text_value(bytes);
        let map = value.as_object().unwrap();
        let secret = Part::Secret(hmac(&[7; 32], bytes), bytes.len());
        assert_eq!(redactor().bytes_value(map), Some(secret));
    }

    #[test]
    fn every_shape_compiles_and_every_shape_has_a_hint() {
        assert!(SHAPE_SET.is_some() && SHAPES_APART.is_some());
        assert!(HINTS.len() <= 64 && HINTS.iter().all(|hint| hint.to_lowercase() == *hint));
        assert!(Redactor::new([0; 32], &["(".to_owned()]).is_err());
    }

    /// The text with each secret as `<length>`.
    #[track_caller]
    fn shown(text: &str, expected: &str) {
        let parts = redactor().parts(text).unwrap();
        let shown: String = parts
            .iter()
            .map(|part| match part {
                Part::Plain(text) => (*text).to_owned(),
                Part::Secret(_, bytes) => format!("<{bytes}>"),
            })
            .collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn what_stands_beside_a_token_stays_so_that_nobody_hides_a_path_behind_one() {
        let token = format!("s{}{}", "k-", "a".repeat(25));
        shown(&format!("{token}/f"), "<28>/f");
        shown(&format!("docs/{token}/private/f"), "docs/<28>/private/f");
        shown(&format!("docs/x.{token}"), "docs/<30>");
        shown(&format!("--key=docs/{token}/a b"), "--key=docs/<28>/a b");
        shown(&format!("{token}/{token}"), "<28>/<28>");
        shown(&format!("--token={token} --out=x"), "<36> --out=x");
        shown(
            &format!("bearer {}/secret/f", "a".repeat(16)),
            "<23>/secret/f",
        );
        shown(
            "Authorization: Basic aaaaaaaaaaaaaaaa/secret/f",
            "<37>/secret/f",
        );
        shown("Authorization: Basic a/b x", "<24> x");
        shown("https://me:pass@example.org/x.git", "<27>/x.git");
        let key = format!("-----BEGIN {} KEY-----", "PRIVATE");
        shown(&format!("{key}/f"), "<27>/f");
        shown(&format!("{key}\nMC4CAQ/x/y\n"), "<39>");
        shown(&format!("{key}\\nMC4CAQ/x/y"), "<39>");
        // A pattern of one's own may match only what gives a secret away.
        shown("hunter2", "<7>");
    }

    #[test]
    fn equal_secrets_have_equal_digests_wherever_they_stand() {
        let token = format!("s{}{}", "k-", "a".repeat(25));
        let digest = |text: &str| {
            let parts = redactor().parts(text).unwrap();
            let mut digests = parts.into_iter().filter_map(|part| match part {
                Part::Secret(digest, _) => Some(digest),
                Part::Plain(_) => None,
            });
            digests.next().unwrap()
        };
        assert_eq!(digest(&token), digest(&format!("a/{token}/b")));
    }
}
