//! The file `key`: what a ledger signs with, and the key under which it redacts.
//!
//! Two lines: Go's form of a private key, and `redact+` with 64 hex digits. A ledger that does not sign
//! has the second only, as has one whose key is held elsewhere; one that changes its key has the old key as a line between the two until it has.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use super::hash::hex;
use super::holder::KeyHolder;
use super::mac::MacKey;
use super::note::{Signer, Verifier};

/// The secrets of one ledger.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) signer: Option<Signer>,
    /// The signer before, while the ledger changes from one to the other.
    pub(super) previous: Option<Signer>,
    /// For redaction; [`Keys::mac`] follows from it.
    pub(super) secret: [u8; 32],
}

impl fmt::Debug for Keys {
    /// Never shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// New keys from the system's random numbers.
    pub(super) fn generate(origin: &str, sign: bool) -> Result<Keys, String> {
        let signer = if sign {
            Some(new_signer(origin)?)
        } else {
            None
        };
        Ok(Keys {
            signer,
            previous: None,
            secret: random()?,
        })
    }

    /// The keys on the way to a new signing key.
    pub(super) fn rotated(&self, origin: &str) -> Result<Keys, String> {
        Ok(Keys {
            signer: Some(new_signer(origin)?),
            previous: self.signer.clone(),
            secret: self.secret,
        })
    }

    /// The keys with the way to the signing key behind them.
    pub(super) fn settled(&self) -> Keys {
        Keys {
            previous: None,
            ..self.clone()
        }
    }

    /// The keys where the signing key is held elsewhere.
    pub(super) fn without_signer(&self) -> Keys {
        Keys {
            signer: None,
            previous: None,
            secret: self.secret,
        }
    }

    /// The key of the codes in lines.
    pub(super) fn mac(&self) -> MacKey {
        MacKey::new(&self.secret)
    }

    /// Reads the file's text.
    pub(super) fn parse(bytes: &[u8]) -> Option<Keys> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (mut signers, mut secret) = (Vec::new(), None);
        for line in text.lines() {
            if let Some(digits) = line.strip_prefix("redact+") {
                let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
                secret = Some(<[u8; 32]>::try_from(bytes).ok()?);
            } else {
                signers.push(Signer::parse(line).ok()?);
            }
        }
        let mut signers = signers.into_iter();
        Some(Keys {
            signer: signers.next(),
            previous: signers.next(),
            secret: secret?,
        })
    }

    /// The file's text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for signer in self.signer.iter().chain(&self.previous) {
            text.push_str(&signer.secret_text());
            text.push('\n');
        }
        text.push_str("redact+");
        text.push_str(&hex(&self.secret));
        text.push('\n');
        text
    }
}

/// Everybody who could sign, and the key that the ledger is to name.
#[derive(Clone, Debug)]
pub(super) struct Signers<'a> {
    /// The key that new segments name; none if the ledger does not sign.
    pub(super) named: Option<Verifier>,
    keys: &'a Keys,
    holders: &'a [Arc<dyn KeyHolder>],
}

impl<'a> Signers<'a> {
    pub(super) fn new(
        named: Option<Verifier>,
        keys: &'a Keys,
        holders: &'a [Arc<dyn KeyHolder>],
    ) -> Signers<'a> {
        Signers {
            named,
            keys,
            holders,
        }
    }

    /// The named key, if it lies beside the ledger.
    pub(super) fn at_hand(&self) -> Option<&'a Signer> {
        self.local(self.named.as_ref()?)
    }

    /// This key, if it lies beside the ledger.
    pub(super) fn local(&self, key: &Verifier) -> Option<&'a Signer> {
        let mut signers = self.keys.signer.iter().chain(&self.keys.previous);
        signers.find(|signer| signer.verifier() == key)
    }

    /// Whoever else holds this key.
    pub(super) fn holder(&self, key: &Verifier) -> Option<&'a Arc<dyn KeyHolder>> {
        self.holders.iter().find(|holder| holder.verifier() == key)
    }
}

/// 32 bytes of the system's random numbers.
pub(super) fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn new_signer(origin: &str) -> Result<Signer, String> {
    Signer::new(origin, &random()?)
        .map_err(|_| format!("`{}` cannot name a key", origin.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_as_they_were_written_and_damaged_files_are_refused() {
        for sign in [true, false] {
            let keys = Keys::generate("lictor/test", sign).unwrap();
            assert_eq!(
                Keys::parse(keys.text().as_bytes()).unwrap().text(),
                keys.text()
            );
            let text = keys.text();
            assert!(Keys::parse(&text.as_bytes()[..text.len() - 4]).is_none());
        }
        assert!(Keys::parse(b"").is_none());
        assert!(!format!("{:?}", Keys::generate("a", true).unwrap()).contains("PRIVATE"));
    }
}
