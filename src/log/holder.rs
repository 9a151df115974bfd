//! Keys that are held elsewhere: the text of a checkpoint goes out, a signature comes back.
//!
//! A key that lies beside the ledger protects nothing from whoever can read it. One that another user, a
//! token or another machine holds cannot be taken along, and signs nothing without its holder's knowledge.
//! What it is shown it signs: a holder that writes down what it signed keeps an anchor of each. Whoever holds it may be slow, or gone. So it is asked outside of the lock and within a bound, and what
//! it does not sign stays in the ledger, unsigned, for verification to say so.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use data_encoding::BASE64;

use super::note::{Verifier, signed_note};

/// Time that a holder has to sign. A smart card takes tenths of a second, a service in the network less.
pub const SIGN_WAIT: Duration = Duration::from_secs(2);

/// The longest answer that is read, in bytes. A signature line of a note has some 150.
pub const MAX_ANSWER_BYTES: u64 = 4096;

/// An Ed25519 signature.
pub type SignatureBytes = [u8; 64];

/// Holds a signing key.
///
/// An implementation promises:
///
/// 1. `verifier` is the same for its whole life.
/// 2. `sign` returns within about `wait`, with a signature over exactly `text` or with an error.
/// 3. Nothing it does changes the ledger.
///
/// ```
/// use std::time::Duration;
/// use lictor::log::holder::{KeyHolder, SignError, SignatureBytes};
/// use lictor::log::note::Verifier;
///
/// /// A key on a card that was pulled out.
/// #[derive(Debug)]
/// struct Gone(Verifier);
///
/// impl KeyHolder for Gone {
///     fn verifier(&self) -> &Verifier {
///         &self.0
///     }
///     fn sign(&self, _text: &str, _wait: Duration) -> Result<SignatureBytes, SignError> {
///         Err(SignError::Failed("there is no card".to_owned()))
///     }
/// }
/// ```
pub trait KeyHolder: fmt::Debug + Send + Sync {
    /// The public half of the key. Its name is the name of the ledger.
    fn verifier(&self) -> &Verifier;

    /// Signs `text`, which is that of a checkpoint, its last `\n` included.
    ///
    /// # Errors
    /// There is no signature: nobody answered in time, or not with one.
    fn sign(&self, text: &str, wait: Duration) -> Result<SignatureBytes, SignError>;
}

/// Why a holder did not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It did not answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It could not be asked, or says that it failed.
    #[error("{}", .0.escape_debug())]
    Failed(String),
    /// It answered with something else than a signature.
    #[error("the answer is no Ed25519 signature")]
    Answer,
    /// It signed something else, or with another key.
    #[error("the signature does not hold")]
    Signature,
}

impl From<io::Error> for SignError {
    fn from(error: io::Error) -> SignError {
        SignError::Failed(error.to_string())
    }
}

/// The signature in an answer: 64 bytes as they are, in base64, or a signature line of a note
/// (`— name base64`). It is checked: what does not hold is no answer.
///
/// # Errors
/// There is none, or it does not hold.
pub fn read_answer(
    answer: &[u8],
    verifier: &Verifier,
    text: &str,
) -> Result<SignatureBytes, SignError> {
    let signature = match SignatureBytes::try_from(answer) {
        Ok(signature) => signature,
        Err(_) => {
            let line = std::str::from_utf8(answer).map_err(|_| SignError::Answer)?;
            let line = line.trim_ascii().lines().next_back().unwrap_or("");
            let base64 = line.rsplit(' ').next().unwrap_or("");
            let bytes = BASE64
                .decode(base64.as_bytes())
                .map_err(|_| SignError::Answer)?;
            // A line of a note has the key's id before the signature.
            let bytes = match line.strip_prefix("— ") {
                Some(_) => bytes.get(4..).unwrap_or(&[]),
                None => &bytes,
            };
            SignatureBytes::try_from(bytes).map_err(|_| SignError::Answer)?
        }
    };
    if verifier.signed(text, &signature) {
        Ok(signature)
    } else {
        Err(SignError::Signature)
    }
}

/// The note over a checkpoint's text that `holder` signs.
pub(super) fn ask(holder: &dyn KeyHolder, text: &str, wait: Duration) -> Result<String, SignError> {
    let signature = holder.sign(text, wait)?;
    if holder.verifier().signed(text, &signature) {
        Ok(signed_note(text, &[(holder.verifier(), signature)]))
    } else {
        Err(SignError::Signature)
    }
}

/// A key behind a Unix socket: usually that of a daemon of another user.
///
/// Each signature is a connection of its own: the text is sent and the sending side closed, and what
/// comes back until the other side closes is the answer, as [`read_answer`] takes it.
#[derive(Clone, Debug)]
pub struct SocketHolder {
    verifier: Verifier,
    path: PathBuf,
}

impl SocketHolder {
    /// The key `verifier` behind the socket at `path`.
    #[must_use]
    pub fn new(verifier: Verifier, path: impl Into<PathBuf>) -> SocketHolder {
        SocketHolder {
            verifier,
            path: path.into(),
        }
    }
}

impl KeyHolder for SocketHolder {
    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn sign(&self, text: &str, wait: Duration) -> Result<SignatureBytes, SignError> {
        let (path, sent) = (self.path.clone(), text.to_owned());
        // Connecting has no deadline of its own: it blocks where too many others wait. A thread that is
        // left behind ends when the other side does.
        let (give, answers) = mpsc::channel();
        let asking = move || {
            let answer = exchange(&path, &sent, wait);
            give.send(answer).ok();
        };
        std::thread::Builder::new().spawn(asking)?;
        match answers.recv_timeout(wait) {
            Ok(answer) => read_answer(&answer?, &self.verifier, text),
            Err(_) => Err(SignError::Late(wait)),
        }
    }
}

fn exchange(path: &PathBuf, text: &str, wait: Duration) -> io::Result<Vec<u8>> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(wait))?;
    socket.set_write_timeout(Some(wait))?;
    socket.write_all(text.as_bytes())?;
    socket.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    socket.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::super::note::Signer;
    use super::*;

    #[test]
    fn an_answer_is_a_signature_in_one_of_three_forms_and_has_to_hold() {
        let signer = Signer::new("ledger", &[1; 32]).unwrap();
        let text = "ledger\n1\nAAAA\n";
        let raw = signer.signature(text);
        let base64 = BASE64.encode(&raw);
        let note = signed_note(text, &[(signer.verifier(), raw)]);
        let line = note.lines().next_back().unwrap();
        let check = |answer: &[u8]| read_answer(answer, signer.verifier(), text);
        for good in [
            &raw[..],
            base64.as_bytes(),
            format!("  {base64}\n").as_bytes(),
            line.as_bytes(),
            note.as_bytes(),
        ] {
            assert_eq!(check(good), Ok(raw), "{good:?}");
        }
        let other = Signer::new("ledger", &[2; 32]).unwrap().signature(text);
        assert_eq!(check(&other), Err(SignError::Signature));
        for bad in [
            &b""[..],
            b"\n",
            b"no",
            &raw[..63],
            b"\xff\xff",
            b"\xe2\x80\x94 x AAAA",
        ] {
            assert_eq!(check(bad), Err(SignError::Answer), "{bad:?}");
        }
    }
}
