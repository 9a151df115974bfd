//! Signatures that people make with their SSH keys, in the format of `ssh-keygen -Y sign`.
//!
//! A signature is over the exact bytes of a grant's text, in a namespace of its own, so that one made for
//! anything else (a git commit, a login) is never one for a grant.

#![forbid(unsafe_code)]

use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

/// The namespace: what `ssh-keygen -Y sign` is given with `-n`.
pub const NAMESPACE: &str = "lictor-grant";

/// The most bytes that a signature may have as text. Those of the keys that are read have under 400.
const MAX_SIGNATURE_BYTES: usize = 4 * 1024;

/// The kinds of keys that are read.
const KINDS: &str = "ssh-ed25519 and sk-ssh-ed25519@openssh.com";

/// Where a token's flags stand: behind the 64 bytes of an Ed25519 signature, before its counter.
const SK_FLAGS_AT: usize = 64;

/// The flag that somebody touched the token (OpenSSH's PROTOCOL.u2f).
const SK_TOUCHED: u8 = 1;

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is none.
    #[error("it is not signed, and the approval names the keys that have to sign it")]
    Missing,
    /// It cannot be read.
    #[error("its signature is none that `ssh-keygen -Y sign` makes: {why}")]
    Unreadable {
        /// Description of the mistake.
        why: String,
    },
    /// It was made for something else.
    #[error("its signature was made for `{}`, not with `-n {NAMESPACE}`", namespace.escape_debug())]
    Namespace {
        /// The namespace that it was made for.
        namespace: String,
    },
    /// It was made by another key.
    #[error("it was signed by {fingerprint}, which is none of the keys that may")]
    Stranger {
        /// That key's fingerprint, as ssh prints it.
        fingerprint: String,
    },
    /// It is not a signature of these bytes.
    #[error("its signature is not one of this text: one of them was changed")]
    Wrong,
    /// A token signed that nobody touched.
    #[error("it was signed by a token that nobody had to touch")]
    NotTouched,
    /// A key of the policy cannot be used.
    #[error("`{}` is no key that can sign a grant: {why}", key.escape_debug())]
    Key {
        /// The key as it is written.
        key: String,
        /// Why not.
        why: String,
    },
    /// A private key cannot be used.
    #[error("the key cannot sign: {why}")]
    Private {
        /// Why not.
        why: String,
    },
}

/// Checks that one of `keys` signed `bytes`; without keys, that whoever it was signed these bytes.
/// Returns the fingerprint of the key that did.
///
/// A key is written as in `~/.ssh/id_ed25519.pub`: `ssh-ed25519 AAAA… comment`, or
/// `sk-ssh-ed25519@openssh.com AAAA… comment` for one on a FIDO token, which then has to have been touched.
/// Other kinds are refused.
///
/// # Errors
///
/// Why the signature does not count.
pub fn signed_by(
    keys: &[String],
    bytes: &[u8],
    signature: Option<&str>,
) -> Result<String, SignatureError> {
    let text = signature.ok_or(SignatureError::Missing)?;
    let unreadable = |why: String| SignatureError::Unreadable { why };
    if text.len() > MAX_SIGNATURE_BYTES {
        return Err(unreadable("it is too long".to_owned()));
    }
    let signature =
        SshSig::from_pem(text.as_bytes()).map_err(|error| unreadable(error.to_string()))?;
    // Not covered by what is signed, and older ones were never made.
    if signature.version() != SshSig::VERSION {
        return Err(unreadable("it is of another version".to_owned()));
    }
    let signer = PublicKey::from(signature.public_key().clone());
    if signature.namespace() != NAMESPACE {
        return Err(SignatureError::Namespace {
            namespace: signature.namespace().to_owned(),
        });
    }
    let fingerprint = signer.fingerprint(HashAlg::Sha256).to_string();
    check_known(keys, &signer)?;
    if !is_supported(&signer) {
        return Err(unreadable(format!(
            "keys of the kind {} are not read, only {KINDS}",
            signer.algorithm()
        )));
    }
    if signer.algorithm() == Algorithm::SkEd25519 {
        let flags = signature.signature_bytes().get(SK_FLAGS_AT).copied();
        if flags.is_none_or(|flags| flags & SK_TOUCHED == 0) {
            return Err(SignatureError::NotTouched);
        }
    }
    match signer.verify(NAMESPACE, bytes, &signature) {
        Ok(()) => Ok(fingerprint),
        Err(_) => Err(SignatureError::Wrong),
    }
}

/// Returns an error unless the signer is one of `keys`, or there are none. A key that cannot be used keeps
/// the others from nothing; it is reported if none can.
fn check_known(keys: &[String], signer: &PublicKey) -> Result<(), SignatureError> {
    let mut unusable = None;
    let mut usable = false;
    for key in keys {
        match public_key(key) {
            Ok(key) if key.key_data() == signer.key_data() => return Ok(()),
            Ok(_) => usable = true,
            Err(error) => unusable = Some(error),
        }
    }
    match unusable.filter(|_| !usable) {
        Some(error) => Err(error),
        None if keys.is_empty() => Ok(()),
        None => Err(SignatureError::Stranger {
            fingerprint: signer.fingerprint(HashAlg::Sha256).to_string(),
        }),
    }
}

fn is_supported(key: &PublicKey) -> bool {
    [Algorithm::Ed25519, Algorithm::SkEd25519].contains(&key.algorithm())
}

fn public_key(text: &str) -> Result<PublicKey, SignatureError> {
    let fail = |why: String| SignatureError::Key {
        key: text.to_owned(),
        why,
    };
    let key = PublicKey::from_openssh(text).map_err(|error| fail(error.to_string()))?;
    if is_supported(&key) {
        return Ok(key);
    }
    Err(fail(format!(
        "only {KINDS} are read, and it is {}",
        key.algorithm()
    )))
}

/// Signs as `ssh-keygen -Y sign -n lictor-grant` does, with a private key in OpenSSH's format that no
/// passphrase protects.
///
/// # Errors
///
/// Why that key cannot.
pub fn sign(private_key: &str, bytes: &[u8]) -> Result<String, SignatureError> {
    let fail = |why: String| SignatureError::Private { why };
    if PublicKey::from_openssh(private_key).is_ok() {
        return Err(fail(
            "this is the public half; name the file of the private key, without `.pub`".to_owned(),
        ));
    }
    let key = PrivateKey::from_openssh(private_key).map_err(|error| fail(error.to_string()))?;
    if key.is_encrypted() {
        return Err(fail(
            "a passphrase protects it; write the grant with `--out` and sign it with ssh-keygen"
                .to_owned(),
        ));
    }
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(fail(format!(
            "only ssh-ed25519 is supported, and it is {}",
            key.algorithm()
        )));
    }
    key.sign(NAMESPACE, HashAlg::Sha512, bytes)
        .and_then(|signature| signature.to_pem(LineEnding::LF))
        .map_err(|error| fail(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::signers;

    /// A key that is refused when a policy is loaded could not be used when a grant is checked, and the other
    /// way round.
    #[test]
    fn a_key_that_loads_is_one_that_can_be_used_and_no_other() {
        let mut checked = 0;
        for key in signers::tests::KEYS {
            // One character changed, the end cut off, something added.
            let kind_and_data = key.rsplit_once(' ').unwrap().0.len();
            for at in 0..kind_and_data {
                let (cut, rest) = key.split_at(at);
                let (letter, after) = rest.split_at(1);
                let other = if letter == "B" { "C" } else { "B" };
                for text in [
                    cut.to_owned(),
                    format!("{cut}{other}{after}"),
                    format!("{cut}AAAA{rest}"),
                ] {
                    assert_eq!(
                        signers::check(&text).is_ok(),
                        public_key(&text).is_ok(),
                        "{text}"
                    );
                    checked += 1;
                }
            }
            assert!(signers::check(key).is_ok() && public_key(key).is_ok());
        }
        assert!(checked > 500);
    }
}
