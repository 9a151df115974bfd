//! SHA-256, HMAC and hex.

#![forbid(unsafe_code)]

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::merkle::Hash;

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The digest that [`hex`] wrote.
pub(crate) fn unhex(text: &str) -> Option<Hash> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// SHA-256 in one step.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA-256 (RFC 2104) under a key of 32 bytes.
pub(crate) fn hmac(key: &[u8; 32], message: &[u8]) -> Hash {
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
