//! The file `signer` in a ledger's directory: who holds the key that signs the ledger.
//!
//! One line for each key, the one that signs from now on first; those before it only sign that they hand
//! over. `here` is the key beside the ledger. Empty lines and lines that begin with `#` say nothing.
//!
//! ```text
//! lictor/3f2a+1b2c3d4e+AR… socket /run/lictor-signer/socket
//! lictor/3f2a+5e6f7a8b+AR… command /usr/local/bin/sign-checkpoint --slot 3
//! ```
//!
//! In place of `NAME+ID+KEY` stands also `NAME+` and the base64 of the public key.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;

use crate::executor::CommandHolder;
use crate::log::LogError;
use crate::log::holder::{KeyHolder, SocketHolder};
use crate::log::note::{NoteError, Verifier};
use crate::log::store::signer_file;
use crate::record::{LedgerError, Options};
use crate::resolve::Owners;

/// Options for opening the ledger in `directory`: `options`, with the holders of its key that its file
/// `signer` names.
///
/// # Errors
/// The file cannot be read, may be written by others, or has a line that names no key.
pub fn with_signer(directory: &Path, mut options: Options) -> Result<Options, LedgerError> {
    let text = match signer_file(directory, &|path, owner| {
        Owners::current().check(path, owner)
    }) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(options),
        Err(why) => return Err(error(directory, &why.to_string())),
    };
    let held = parse(&text).map_err(|why| error(directory, &why))?;
    let mut held = held.into_iter();
    options.log.holder = held.next().flatten();
    options.log.earlier_holders = held.flatten().collect();
    Ok(options)
}

fn error(directory: &Path, why: &str) -> LedgerError {
    let directory = directory.display().to_string();
    LedgerError::Log(LogError::Key {
        why: format!("the file `signer` in `{}`: {why}", directory.escape_debug()),
    })
}

/// The holders, in order; none stands for the key beside the ledger.
fn parse(text: &str) -> Result<Vec<Option<Arc<dyn KeyHolder>>>, String> {
    let mut holders: Vec<Option<Arc<dyn KeyHolder>>> = Vec::new();
    for (line, number) in text.lines().zip(1_u64..) {
        let mut words = line.split_whitespace();
        let Some(first) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        if first == "here" && words.next().is_none() {
            holders.push(None);
            continue;
        }
        let wrong = |what: &str| format!("line {number}: {what}");
        let key = key(first).map_err(|error| wrong(&error.to_string()))?;
        let (how, path) = (words.next(), words.next());
        let path = path.filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| wrong("no absolute path of a program or socket"))?;
        let args: Vec<String> = words.map(str::to_owned).collect();
        holders.push(Some(match how {
            Some("command") => Arc::new(CommandHolder::new(key, path, args)),
            Some("socket") if args.is_empty() => Arc::new(SocketHolder::new(key, path)),
            _ => {
                return Err(wrong(
                    "after the key comes `command PROGRAM …` or `socket PATH`",
                ));
            }
        }));
    }
    if holders.is_empty() {
        return Err("names no key".to_owned());
    }
    Ok(holders)
}

/// `name+id+key`, or `name+` and the base64 of the public key as other programs write it: its 32 bytes, or
/// those with what X.509 puts before them.
fn key(text: &str) -> Result<Verifier, NoteError> {
    Verifier::parse(text).or_else(|error| {
        let (name, base64) = text.split_once('+').ok_or(error)?;
        let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| error)?;
        let key = bytes.strip_prefix(X509_ED25519).unwrap_or(&bytes);
        Verifier::from_key(name, key.try_into().map_err(|_| error)?)
    })
}

/// Bytes before an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const X509_ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn holders_are_read_in_order_and_anything_else_is_refused() {
        let text =
            format!("# who signs\n\n{KEY} command /bin/sign --slot 3\n{KEY} socket /run/s\nhere\n");
        let shown = format!("{:?}", parse(&text).unwrap());
        for part in ["CommandHolder", "--slot", "SocketHolder", "/run/s", "None"] {
            assert!(shown.contains(part), "{shown}");
        }
        for bad in [
            "".to_owned(),
            "# nobody".to_owned(),
            "here now".to_owned(),
            "nokey command /x".to_owned(),
            KEY.to_owned(),
            format!("{KEY} command"),
            format!("{KEY} command sign"),
            format!("{KEY} socket /run/s more"),
            format!("{KEY} card /x"),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
