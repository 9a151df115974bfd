//! Outputs that are kept beside the record, each under its digest.
//!
//! An entry names an output by digest only. With `keep_output`, what the run kept of it also goes to
//! `blobs/ab/<sha256>`, with the lines that hold secrets replaced. Nothing in the chain depends on the
//! file: it can be erased, and every proof still holds.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::Ledger;
use super::redact::Redactor;
use crate::evidence::{Output, Text};
use crate::log::hash::{hex, sha256, unhex};
use crate::log::store::Reading;

impl Ledger {
    /// Keeps what the run kept of an output; returns what its entry says about that.
    ///
    /// The end of a run is recorded whether or not its output can be kept.
    pub(super) fn keep_output(&self, output: &Output) -> Value {
        let bytes = match &output.text {
            Text::Utf8(text) => Cow::Borrowed(text.as_bytes()),
            Text::Bytes { b64 } => {
                let bytes = data_encoding::BASE64.decode(b64.as_bytes());
                Cow::Owned(bytes.unwrap_or_default())
            }
        };
        let kept = without_secrets(&self.redactor, &bytes);
        let digest = sha256(&kept);
        match self.log.store().keep_blob(&hex(&digest), &kept) {
            Ok(()) => json!({
                "sha256": hex(&digest),
                "bytes": kept.len(),
                "redacted": matches!(kept, Cow::Owned(_)),
            }),
            Err(error) => json!({ "error": error.to_string() }),
        }
    }
}

/// The kept output with that digest, in 64 lower-case hex digits; `None` if it is not there (any more).
///
/// ```
/// # let dir = std::env::temp_dir().join("there-is-no-ledger-here");
/// let digest = "0".repeat(64);
/// assert!(lictor::record::kept_output(&dir, &digest)?.is_none());
/// assert!(lictor::record::kept_output(&dir, "../key").is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// It cannot be read, is not what the digest says, or `sha256` is no digest.
pub fn kept_output(dir: &Path, sha256: &str) -> io::Result<Option<Vec<u8>>> {
    if unhex(sha256).is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a kept output is named by 64 lower-case hex digits",
        ));
    }
    let Some(reading) = Reading::open(dir)? else {
        return Ok(None);
    };
    let Some(bytes) = reading.blob(sha256)? else {
        return Ok(None);
    };
    if hex(&self::sha256(&bytes)) == sha256 {
        Ok(Some(bytes))
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the kept output was changed",
        ))
    }
}

/// The bytes with each line that holds a secret replaced. Borrowed if there is none.
///
/// A private key goes from its first line to its last. What only looks like a secret across lines leaves
/// nothing of the whole.
fn without_secrets<'a>(redactor: &Redactor, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut changed = false;
    // The lines of a private key, until its last.
    let mut key: Option<Vec<u8>> = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let ended = line.ends_with(b"\n");
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(lines) = &mut key {
            lines.extend_from_slice(line);
            if contains(text, b"-----END ") {
                let lines = key.take().unwrap_or_default();
                replace(redactor, &lines, ended, &mut out);
            }
        } else if begins_key(text) {
            changed = true;
            key = Some(line.to_vec());
        } else if redactor.holds_secret(text) {
            changed = true;
            replace(redactor, text, ended, &mut out);
        } else {
            out.extend_from_slice(line);
        }
    }
    if let Some(lines) = key {
        replace(redactor, &lines, true, &mut out);
    }
    if redactor.holds_secret(&out) {
        out.clear();
        replace(redactor, bytes, true, &mut out);
        changed = true;
    }
    if changed {
        Cow::Owned(out)
    } else {
        Cow::Borrowed(bytes)
    }
}

/// A private key that begins in this line and does not end in it.
fn begins_key(line: &[u8]) -> bool {
    contains(line, b"-----BEGIN ")
        && contains(line, b"PRIVATE KEY-----")
        && !contains(line, b"-----END ")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn replace(redactor: &Redactor, secret: &[u8], ended: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"[redacted ");
    out.extend_from_slice(hex(&redactor.digest(secret)).as_bytes());
    out.push(b']');
    if ended {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, gone: &[&str], there: &[&str]) {
        let redactor = Redactor::new([7; 32], &["(?s)over.lines".to_owned()]).unwrap();
        let out = without_secrets(&redactor, text.as_bytes());
        let shown = String::from_utf8(out.to_vec()).unwrap();
        assert_eq!(gone.is_empty(), matches!(out, Cow::Borrowed(_)), "{shown}");
        assert!(gone.iter().all(|part| !shown.contains(part)), "{shown}");
        assert!(there.iter().all(|part| shown.contains(part)), "{shown}");
    }

    #[test]
    fn lines_that_hold_secrets_are_replaced_and_the_others_stay() {
        check("one\ntwo", &[], &["one\ntwo"]);
        check("", &[], &[]);
        check(
            "a\nget https://u:pw@h/x\nb\n",
            &["pw@"],
            &["a\n[redacted ", "]\nb\n"],
        );
        let pem = |what: &str| format!("-----{what} PRIVATE KEY-----");
        check(
            &format!("a\n{}\nMIIE\nxyz\n{}\nb\n", pem("BEGIN"), pem("END")),
            &["MIIE", "xyz", "PRIVATE"],
            &["a\n[redacted ", "]\nb\n"],
        );
        check(
            &format!("a\n{}\nMIIE\nb\n", pem("BEGIN")),
            &["MIIE", "b\n"],
            &["a\n[redacted "],
        );
        check("a\nover\nlines\n", &["over", "a\n"], &["[redacted "]);
    }
}
