//! Signed tree heads: C2SP signed notes with Ed25519, and the C2SP tlog-checkpoint in them.
//!
//! Text in, checked values out, and back; byte for byte what Go's `sumdb/note` writes and reads.
//! A note is `text`, an empty line, and one line per signature: `— name base64(key id, signature)`.

#![forbid(unsafe_code)]

use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::hash::hex;
use super::merkle::Hash;

/// The longest note that is read, in bytes. Go's `note` has the same bound.
const MAX_NOTE_BYTES: usize = 1_000_000;

/// The most signature lines that are looked at. Go's `note` has the same bound.
const MAX_SIGNATURES: usize = 100;

/// The byte that stands for Ed25519 before a key.
const ED25519: u8 = 1;

/// A checkpoint: the number of entries, and the root of the tree over them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Which ledger.
    pub origin: String,
    /// Number of entries that it covers.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// A tree head.
    #[must_use]
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Checkpoint {
        Checkpoint {
            origin: origin.into(),
            size,
            root,
        }
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            BASE64.encode(&self.root)
        )
    }

    /// Reads the text of a note. Lines after the third belong to others and are left alone.
    ///
    /// # Errors
    /// The text is not a checkpoint.
    pub fn parse(text: &str) -> Result<Checkpoint, NoteError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed)?
            .split('\n');
        let mut line = || {
            lines
                .next()
                .filter(|line| !line.is_empty())
                .ok_or(NoteError::NotACheckpoint)
        };
        let (origin, size, root) = (line()?, line()?, line()?);
        let canonical = size == "0" || !size.starts_with('0');
        if !canonical || !size.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NoteError::NotACheckpoint);
        }
        let size = size.parse().map_err(|_| NoteError::NotACheckpoint)?;
        let root = BASE64
            .decode(root.as_bytes())
            .map_err(|_| NoteError::NotACheckpoint)?;
        let root = Hash::try_from(root.as_slice()).map_err(|_| NoteError::NotACheckpoint)?;
        if lines.any(str::is_empty) {
            return Err(NoteError::NotACheckpoint);
        }
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size,
            root,
        })
    }
}

/// A public key with its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({self})")
    }
}

impl fmt::Display for Verifier {
    /// `name+id+key`, as other tools take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex(&self.id),
            BASE64.encode(&with_algorithm(self.key.as_bytes()))
        )
    }
}

impl Verifier {
    /// Reads `name+id+key`.
    ///
    /// # Errors
    /// The text is not an Ed25519 key in that form, or the id is not that of the key.
    pub fn parse(text: &str) -> Result<Verifier, NoteError> {
        let (name, key) = split_key(text).ok_or(NoteError::Key)?;
        let key = VerifyingKey::from_bytes(&key.1)
            .ok()
            .filter(|_| key.0 == key_id(name, &key.1));
        Ok(Verifier::new(name, key.ok_or(NoteError::Key)?))
    }

    /// The key of this name and these 32 bytes.
    ///
    /// # Errors
    /// The name is empty or contains white space or `+`, or the bytes are no Ed25519 key.
    pub fn from_key(name: &str, key: &[u8; 32]) -> Result<Verifier, NoteError> {
        let key = VerifyingKey::from_bytes(key).ok().filter(|_| is_name(name));
        Ok(Verifier::new(name, key.ok_or(NoteError::Key)?))
    }

    fn new(name: &str, key: VerifyingKey) -> Verifier {
        Verifier {
            name: name.to_owned(),
            id: key_id(name, key.as_bytes()),
            key,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns true if this key made `signature` over `text`.
    #[must_use]
    pub fn signed(&self, text: &str, signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.key.verify_strict(text.as_bytes(), &signature).is_ok()
    }
}

/// A private key with its name.
#[derive(Clone)]
pub struct Signer {
    verifier: Verifier,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    /// Never shows the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl Signer {
    /// The key that grows from `seed`, called `name`.
    ///
    /// # Errors
    /// The name is empty or contains white space or `+`.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Signer, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Key);
        }
        let key = SigningKey::from_bytes(seed);
        Ok(Signer {
            verifier: Verifier::new(name, key.verifying_key()),
            key,
        })
    }

    /// Reads `PRIVATE+KEY+name+id+seed`, Go's form of a private key.
    ///
    /// # Errors
    /// The text is not an Ed25519 key in that form, or the id is not that of the key.
    pub fn parse(text: &str) -> Result<Signer, NoteError> {
        let text = text.strip_prefix("PRIVATE+KEY+").ok_or(NoteError::Key)?;
        let (name, (id, seed)) = split_key(text).ok_or(NoteError::Key)?;
        let signer = Signer::new(name, &seed)?;
        if signer.verifier.id == id {
            Ok(signer)
        } else {
            Err(NoteError::Key)
        }
    }

    /// The form that [`Signer::parse`] reads. It is the secret.
    #[must_use]
    pub fn secret_text(&self) -> String {
        let Verifier { name, id, .. } = &self.verifier;
        format!(
            "PRIVATE+KEY+{name}+{}+{}",
            hex(id),
            BASE64.encode(&with_algorithm(self.key.as_bytes()))
        )
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The signature over a text.
    #[must_use]
    pub fn signature(&self, text: &str) -> [u8; 64] {
        self.key.sign(text.as_bytes()).to_bytes()
    }

    /// The whole note over a checkpoint.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        sign_all(&[self], checkpoint)
    }
}

/// The note over a checkpoint that all of `signers` sign.
#[must_use]
pub fn sign_all(signers: &[&Signer], checkpoint: &Checkpoint) -> String {
    let text = checkpoint.text();
    let signatures: Vec<(&Verifier, [u8; 64])> = signers
        .iter()
        .map(|signer| (&signer.verifier, signer.signature(&text)))
        .collect();
    signed_note(&text, &signatures)
}

/// The note of `text` with signatures that somebody made over it.
#[must_use]
pub fn signed_note(text: &str, signatures: &[(&Verifier, [u8; 64])]) -> String {
    let mut note = format!("{text}\n");
    for (verifier, signature) in signatures {
        let bytes = [&verifier.id[..], signature].concat();
        note.push_str(&format!("— {} {}\n", verifier.name, BASE64.encode(&bytes)));
    }
    note
}

/// Checks a note and reads the checkpoint in it; says which of `keys` signed it.
///
/// Signatures by other keys are left alone, as the format asks for; one by a known key that does not
/// hold spoils the note.
///
/// # Errors
/// The note is malformed, none of the keys signed it, or one of them did not sign this.
pub fn open(note: &[u8], keys: &[Verifier]) -> Result<(Checkpoint, Vec<usize>), NoteError> {
    let (text, signatures) = split(note)?;
    let mut signed = Vec::new();
    for (name, id, signature) in signatures {
        let known = keys.iter().position(|key| key.name == name && key.id == id);
        let Some(at) = known.filter(|at| !signed.contains(at)) else {
            continue;
        };
        let Some(key) = keys.get(at) else { continue };
        let signature = Signature::from_slice(&signature).map_err(|_| NoteError::Signature)?;
        key.key
            .verify_strict(text.as_bytes(), &signature)
            .map_err(|_| NoteError::Signature)?;
        signed.push(at);
    }
    if signed.is_empty() {
        return Err(NoteError::Unsigned);
    }
    Ok((Checkpoint::parse(text)?, signed))
}

/// The checkpoint in a note, whoever signed it.
///
/// # Errors
/// The note is malformed or holds something else.
pub fn peek(note: &[u8]) -> Result<Checkpoint, NoteError> {
    Checkpoint::parse(split(note)?.0)
}

/// Why a note or a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It does not have the form of a signed note.
    #[error("not a signed note")]
    Malformed,
    /// The note is about something else.
    #[error("the note is not a checkpoint")]
    NotACheckpoint,
    /// None of the keys at hand signed it.
    #[error("not signed by a known key")]
    Unsigned,
    /// A signature by a known key does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// The text is not a key.
    #[error("not an Ed25519 key of the form `name+id+key`")]
    Key,
}

/// A key id and the key's 32 bytes, public or private.
type IdentifiedKey = ([u8; 4], [u8; 32]);

/// Name, key id, and signature of one line.
type SignatureLine<'a> = (&'a str, [u8; 4], Vec<u8>);

/// Splits a note into what is signed and the signatures.
fn split(note: &[u8]) -> Result<(&str, Vec<SignatureLine<'_>>), NoteError> {
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
    let control = |c: char| c < ' ' && c != '\n';
    if note.len() > MAX_NOTE_BYTES || note.contains(control) {
        return Err(NoteError::Malformed);
    }
    let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
    let text = note
        .get(..text.len().saturating_add(1))
        .ok_or(NoteError::Malformed)?;
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        let line = line.strip_prefix("— ").ok_or(NoteError::Malformed)?;
        let (name, signature) = line.split_once(' ').ok_or(NoteError::Malformed)?;
        let signature = BASE64
            .decode(signature.as_bytes())
            .map_err(|_| NoteError::Malformed)?;
        match signature.split_first_chunk() {
            Some((id, rest)) if is_name(name) && !rest.is_empty() => {
                signatures.push((name, *id, rest.to_vec()))
            }
            _ => return Err(NoteError::Malformed),
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed);
        }
    }
    Ok((text, signatures))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c < ' ' || c == '+')
}

/// `name+id+base64(algorithm, key)`
fn split_key(text: &str) -> Option<(&str, IdentifiedKey)> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let mut parsed = [0; 4];
    if !is_name(name)
        || id.len() != 8
        || data_encoding::HEXLOWER
            .decode_mut(id.as_bytes(), &mut parsed)
            .is_err()
    {
        return None;
    }
    match BASE64.decode(key.as_bytes()).ok()?.split_first() {
        Some((&ED25519, key)) => Some((name, (parsed, key.try_into().ok()?))),
        _ => None,
    }
}

fn with_algorithm(key: &[u8; 32]) -> Vec<u8> {
    std::iter::once(ED25519)
        .chain(key.iter().copied())
        .collect()
}

fn key_id(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update("\n")
        .chain_update([ED25519])
        .chain_update(key);
    let mut id = [0; 4];
    for (to, from) in id.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new("lictor/test", &[9; 32]).unwrap()
    }

    fn note() -> String {
        signer().sign(&Checkpoint::new("lictor/test", 41, [5; 32]))
    }

    #[test]
    fn the_keys_and_the_note_of_gos_documentation_are_read() {
        // The example of the package documentation of golang.org/x/mod/sumdb/note.
        let skey = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let signer = Signer::parse(skey).unwrap();
        assert_eq!(
            (signer.verifier().to_string(), signer.secret_text()),
            (vkey.to_owned(), skey.to_owned())
        );
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        // Signed well, but about something else than a tree.
        assert_eq!(
            open(note.as_bytes(), &[Verifier::parse(vkey).unwrap()]),
            Err(NoteError::NotACheckpoint)
        );
        let forged = note.replace("answer", "anwser");
        assert_eq!(
            open(forged.as_bytes(), &[Verifier::parse(vkey).unwrap()]),
            Err(NoteError::Signature)
        );
    }

    #[test]
    fn what_was_signed_opens_and_every_flipped_byte_spoils_it() {
        let keys = [signer().verifier().clone()];
        let note = note();
        let (checkpoint, signed) = open(note.as_bytes(), &keys).unwrap();
        assert_eq!(
            (checkpoint.size, checkpoint.root, signed),
            (41, [5; 32], vec![0])
        );
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(open(&bytes, &keys).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn signatures_by_strangers_are_left_alone_and_repeated_ones_count_once() {
        let keys = [signer().verifier().clone()];
        let stranger = Signer::new("somebody", &[1; 32])
            .unwrap()
            .sign(&Checkpoint::new("lictor/test", 41, [5; 32]));
        let line = stranger.rsplit_once("\n\n").unwrap().1;
        let own = note().rsplit_once("\n\n").unwrap().1.to_owned();
        let both = format!("{}{line}{own}", note());
        assert_eq!(open(both.as_bytes(), &keys).unwrap().1, [0]);
        assert_eq!(open(stranger.as_bytes(), &keys), Err(NoteError::Unsigned));
    }

    #[track_caller]
    fn check(note: &str) {
        assert_eq!(
            open(note.as_bytes(), &[signer().verifier().clone()]),
            Err(NoteError::Malformed),
            "{note}"
        );
    }

    #[test]
    fn malformed_notes_are_refused() {
        let note = note();
        check("");
        check("\n\n");
        check(note.trim_end());
        check(&note.replace("— ", "- "));
        check(&note.replace("— ", "—"));
        check(&note.replace("\n\n", "\n"));
        check(&note.replace('\n', "\r\n"));
        check(&format!("{note}\n"));
        check(&format!("{note}garbage\n"));
        check(&format!("{note}— lictor/test AAAA\n"));
        check(&format!("{note}— a+b AAAAAAAA\n"));
        check(&format!("{note}—  AAAAAAAA\n"));
        check(&format!("{note}— x AAAAAAA\n"));
    }

    #[test]
    fn malformed_checkpoints_are_refused() {
        let root = BASE64.encode(&[5; 32]);
        for text in [
            format!("o\n041\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n\n{root}\n"),
            format!("\n1\n{root}\n"),
            format!("o\n1\n{}\n", BASE64.encode(&[5; 31])),
            format!("o\n1\n{}\n", root.trim_end_matches('=')),
            format!("o\n99999999999999999999999\n{root}\n"),
            "o\n1\n".to_owned(),
        ] {
            assert_eq!(
                Checkpoint::parse(&text),
                Err(NoteError::NotACheckpoint),
                "{text}"
            );
        }
        assert!(Checkpoint::parse(&format!("o\n0\n{root}\nsomething else\n")).is_ok());
    }

    #[test]
    fn malformed_keys_are_refused() {
        let key = signer().verifier().to_string();
        assert!(Verifier::parse(&key).is_ok());
        for bad in [
            key.replacen("lictor/test", "lictor/best", 1),
            key.replacen('+', " ", 1),
            key.to_uppercase(),
            format!("{key}="),
            String::new(),
        ] {
            assert_eq!(Verifier::parse(&bad), Err(NoteError::Key), "{bad}");
        }
    }
}
