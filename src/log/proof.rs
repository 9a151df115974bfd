//! Proofs about single entries, and the ledger in a form that other tools check.
//!
//! A ledger's directory goes in; C2SP tlog-proof texts and tlog-tiles come out. A proof names the signed
//! checkpoint it is for, so whoever has the verification key needs nothing else to check it.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use data_encoding::BASE64;

use super::merkle::{self, Hash, leaf_hash};
use super::note::{self, Checkpoint, NoteError, Verifier};
use super::read::raw_lines;
use super::snapshot::{Snapshot, first_line};
use super::tiles::{Tiler, Tiles};

/// The first line of every proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Facts that a proof shows, if it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proven {
    /// Which ledger.
    pub origin: String,
    /// The entry's place in it.
    pub index: u64,
    /// Size of the ledger that the checkpoint covers.
    pub size: u64,
}

/// Why there is no proof, or why it does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The machine refused something.
    #[error("cannot read or write: {}", .0.to_string().escape_debug())]
    Io(#[from] io::Error),
    /// There is no ledger.
    #[error("there is no ledger here")]
    Missing,
    /// The ledger has no signed checkpoint.
    #[error("the ledger has no signed checkpoint")]
    Unsigned,
    /// The checkpoint does not cover the entry.
    #[error("the checkpoint covers {size} entries, entry {index} is not among them")]
    NotCovered {
        /// The entry.
        index: u64,
        /// Number of entries that are covered.
        size: u64,
    },
    /// The ledger has no such entry.
    #[error("there is no entry {index}")]
    NoEntry {
        /// The entry.
        index: u64,
    },
    /// What is in the place for the export is of another ledger, or covers what this one does not have.
    #[error(
        "there is an export of another ledger, or of another history of this one: verify with its `checkpoint` as an anchor, or choose an empty directory"
    )]
    OtherExport,
    /// The ledger is not what was signed.
    #[error("the ledger's entries are not those that were signed; verify it")]
    Differs,
    /// The text is not a proof.
    #[error("not a proof of the form `{HEADER}`")]
    Malformed,
    /// The checkpoint in a proof does not count.
    #[error("the proof's checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The proof does not show that the entry is in the ledger.
    #[error("the proof does not hold for this entry")]
    DoesNotHold,
}

/// The proof that entry `index` is in the ledger in `dir`, as the ledger's last checkpoint signs it.
///
/// It comes from the tiles below `dir`, which are made or extended if they are not up to date. Where they
/// cannot be written, as by an auditor who may only read, all entries are read instead.
///
/// # Errors
/// There is no such entry, or nothing signs it.
pub fn prove(dir: &Path, index: u64) -> Result<String, ProofError> {
    let snapshot = Snapshot::of(dir)?.ok_or(ProofError::Missing)?;
    let keys = named_keys(&snapshot)?;
    let note = checkpoint_of(snapshot)?;
    // A proof that does not hold is not given away, and neither is one for a checkpoint that nobody signed.
    let (checkpoint, _) = note::open(&note, &keys)?;
    if index >= checkpoint.size {
        return Err(ProofError::NotCovered {
            index,
            size: checkpoint.size,
        });
    }
    let proof = match proof_from_tiles(dir, index, &note, &checkpoint) {
        Err(ProofError::Io(error)) if may_not_write(&error) => {
            proof_from_entries(dir, index, &checkpoint)?
        }
        made => made?,
    };
    let mut text = format!("{HEADER}\nindex {index}\n");
    for hash in proof {
        text.push_str(&BASE64.encode(&hash));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&note));
    Ok(text)
}

fn may_not_write(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// The proof that tiles give, checked: tiles that were changed, or are not up to date, are made anew.
fn proof_from_tiles(
    dir: &Path,
    index: u64,
    note: &[u8],
    checkpoint: &Checkpoint,
) -> Result<Vec<Hash>, ProofError> {
    let tiles = Tiles::new(dir, checkpoint.size);
    let mut nodes = |level, index| tiles.node(level, index);
    if let Ok(Some(proof)) = checked(index, checkpoint, &mut nodes) {
        return Ok(proof);
    }
    write_tiles(dir, dir, note, None)?;
    checked(index, checkpoint, &mut nodes)?.ok_or(ProofError::Differs)
}

/// A proof that leads from the leaf to the root that was signed; `None` if these nodes give none.
fn checked(
    index: u64,
    checkpoint: &Checkpoint,
    nodes: &mut dyn FnMut(u32, u64) -> io::Result<Hash>,
) -> io::Result<Option<Vec<Hash>>> {
    let leaf = nodes(0, index)?;
    let proof = merkle::inclusion_proof(index, checkpoint.size, nodes)?;
    let (size, root) = (checkpoint.size, &checkpoint.root);
    Ok(proof.filter(|proof| merkle::includes(&leaf, index, size, root, proof)))
}

/// A proof without tiles, in one pass over the entries and in the memory of a few hashes.
fn proof_from_entries(
    dir: &Path,
    index: u64,
    checkpoint: &Checkpoint,
) -> Result<Vec<Hash>, ProofError> {
    // Which complete subtrees the proof is made of; no two of them have a leaf in common.
    let mut wanted: BTreeMap<u64, (u32, u64)> = BTreeMap::new();
    let mut ask = |level: u32, nth: u64| {
        let first = nth.checked_shl(level).unwrap_or(u64::MAX);
        wanted.insert(first, (level, nth));
        Ok::<Hash, io::Error>([0; 32])
    };
    merkle::inclusion_proof(index, checkpoint.size, &mut ask)?;
    let mut found: BTreeMap<(u32, u64), Hash> = BTreeMap::new();
    let mut tree = merkle::Tree::default();
    let mut open: Option<((u32, u64), merkle::Tree)> = None;
    for line in covered(dir, checkpoint)? {
        let leaf = leaf_hash(&line?);
        if let Some(node) = wanted.get(&tree.size()) {
            open = Some((*node, merkle::Tree::default()));
        }
        tree.push(leaf);
        if let Some(((level, nth), subtree)) = &mut open {
            subtree.push(leaf);
            if Some(subtree.size()) == 1_u64.checked_shl(*level) {
                found.insert((*level, *nth), subtree.root());
                open = None;
            }
        }
    }
    if tree.size() != checkpoint.size || tree.root() != checkpoint.root {
        return Err(ProofError::Differs);
    }
    let mut answer = |level: u32, nth: u64| {
        let hash = found.get(&(level, nth)).copied();
        hash.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    };
    merkle::inclusion_proof(index, checkpoint.size, &mut answer)?.ok_or(ProofError::Differs)
}

/// Checks that `proof` shows `entry` (the line of the ledger, its line feed included) to be in the ledger
/// that signs with one of `keys`.
///
/// # Errors
/// Why it does not.
pub fn check_proof(proof: &str, entry: &[u8], keys: &[Verifier]) -> Result<Proven, ProofError> {
    let (head, note) = proof.split_once("\n\n").ok_or(ProofError::Malformed)?;
    let mut lines = head.split('\n').peekable();
    if lines.next() != Some(HEADER) {
        return Err(ProofError::Malformed);
    }
    if let Some(extra) = lines.next_if(|line| line.starts_with("extra ")) {
        let data = extra.trim_start_matches("extra ");
        BASE64
            .decode(data.as_bytes())
            .map_err(|_| ProofError::Malformed)?;
    }
    let index = lines
        .next()
        .and_then(|line| line.strip_prefix("index "))
        .ok_or(ProofError::Malformed)?;
    let canonical =
        index == "0" || (!index.starts_with('0') && index.bytes().all(|b| b.is_ascii_digit()));
    let index = index
        .parse()
        .ok()
        .filter(|_| canonical)
        .ok_or(ProofError::Malformed)?;
    let hash =
        |line: &str| -> Option<Hash> { BASE64.decode(line.as_bytes()).ok()?.try_into().ok() };
    let hashes: Option<Vec<Hash>> = lines.map(hash).collect();
    let hashes = hashes.ok_or(ProofError::Malformed)?;
    let (checkpoint, _) = note::open(note.as_bytes(), keys)?;
    if !merkle::includes(
        &leaf_hash(entry),
        index,
        checkpoint.size,
        &checkpoint.root,
        &hashes,
    ) {
        return Err(ProofError::DoesNotHold);
    }
    Ok(Proven {
        origin: checkpoint.origin,
        index,
        size: checkpoint.size,
    })
}

/// Writes the ledger in `dir` as tlog-tiles below `out`: `checkpoint`, `tile/…` and `tile/entries/…`.
///
/// Returns how many entries that are: those that the last checkpoint covers. An export that is there is
/// added to.
///
/// # Errors
/// Nothing is signed, the entries are not those that were signed, or what is in `out` would not stay true.
pub fn export(dir: &Path, out: &Path) -> Result<u64, ProofError> {
    let note = checkpoint(dir)?;
    let before = if dir == out { None } else { exported(out)? };
    let size = write_tiles(dir, out, &note, before.as_ref())?;
    // The checkpoint last: a client that sees it finds everything it speaks of.
    if dir != out {
        let new = out.join(format!("checkpoint.{}.new", std::process::id()));
        fs::write(&new, note)?;
        fs::rename(new, out.join("checkpoint"))?;
    }
    Ok(size)
}

/// The checkpoint of the export that is in `out` already.
fn exported(out: &Path) -> Result<Option<Checkpoint>, ProofError> {
    match fs::read(out.join("checkpoint")) {
        Ok(note) => Ok(Some(note::peek(&note)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes what `note` covers. Clients keep what they have read, so what `before` covered has to stay.
fn write_tiles(
    dir: &Path,
    out: &Path,
    note: &[u8],
    before: Option<&Checkpoint>,
) -> Result<u64, ProofError> {
    let checkpoint = note::peek(note)?;
    if before.is_some_and(|old| old.origin != checkpoint.origin || old.size > checkpoint.size) {
        return Err(ProofError::OtherExport);
    }
    // Twice: first to know that these are the entries that were signed, then to write.
    let mut tree = merkle::Tree::default();
    for line in covered(dir, &checkpoint)? {
        tree.push(leaf_hash(&line?));
        if before.is_some_and(|old| old.size == tree.size() && old.root != tree.root()) {
            return Err(ProofError::OtherExport);
        }
    }
    if tree.size() != checkpoint.size || tree.root() != checkpoint.root {
        return Err(ProofError::Differs);
    }
    let mut tiler = Tiler::new(out);
    let mut tree = merkle::Tree::default();
    for line in covered(dir, &checkpoint)? {
        let line = line?;
        tree.push(leaf_hash(&line));
        tiler.push(&line)?;
    }
    tiler.finish()?;
    if tree.root() != checkpoint.root {
        return Err(ProofError::Differs);
    }
    Ok(checkpoint.size)
}

/// The lines that a checkpoint covers.
fn covered(
    dir: &Path,
    checkpoint: &Checkpoint,
) -> Result<impl Iterator<Item = io::Result<Vec<u8>>>, ProofError> {
    let size = usize::try_from(checkpoint.size).unwrap_or(usize::MAX);
    Ok(raw_lines(dir)?.ok_or(ProofError::Missing)?.take(size))
}

/// Entry number `index` of the ledger in `dir`: its line, the line feed included.
///
/// # Errors
/// There is no such entry.
pub fn entry(dir: &Path, index: u64) -> Result<Vec<u8>, ProofError> {
    let mut lines = raw_lines(dir)?.ok_or(ProofError::Missing)?;
    let nth = usize::try_from(index).unwrap_or(usize::MAX);
    let line = lines.nth(nth).transpose()?;
    line.ok_or(ProofError::NoEntry { index })
}

/// The keys that the ledger in `dir` names, oldest first.
///
/// They are what the ledger says of itself: whoever checks a proof should know the key from elsewhere.
///
/// # Errors
/// There is no ledger.
pub fn keys(dir: &Path) -> Result<Vec<Verifier>, ProofError> {
    Ok(named_keys(&Snapshot::of(dir)?.ok_or(ProofError::Missing)?)?)
}

fn named_keys(snapshot: &Snapshot) -> io::Result<Vec<Verifier>> {
    let mut keys: Vec<Verifier> = Vec::new();
    for segment in &snapshot.segments {
        let body = segment
            .opened
            .as_ref()
            .map(first_line)
            .transpose()?
            .flatten();
        if let Some(key) = body.and_then(|body| body.checked_key().ok().flatten())
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The text of the last checkpoint: what `lictor ledger anchor` gives away.
///
/// # Errors
/// There is none.
pub fn checkpoint(dir: &Path) -> Result<Vec<u8>, ProofError> {
    checkpoint_of(Snapshot::of(dir)?.ok_or(ProofError::Missing)?)
}

fn checkpoint_of(snapshot: Snapshot) -> Result<Vec<u8>, ProofError> {
    let note = snapshot.checkpoint.ok_or(ProofError::Unsigned)?;
    note.map_err(|why| ProofError::Io(std::io::Error::other(format!("`checkpoint` {why}"))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::log::store::FileStore;
    use crate::log::{Draft, Kind, Log, Options, Plain, Purpose, Unfollowed};

    #[test]
    fn a_proof_made_of_the_entries_is_the_one_made_of_the_tiles() {
        for entries in [1_u64, 2, 5, 254, 300] {
            let dir = tempfile::tempdir().unwrap();
            let store = Arc::new(FileStore::open(dir.path(), false).unwrap());
            let log = Log::open(store, &Options::default(), &Unfollowed).unwrap();
            let drafts = (0..entries).map(|n| Draft::new(Kind::Observed).with("n", n));
            let drafts: Vec<Draft> = drafts.collect();
            log.append(&drafts, &Plain, Purpose::Record, false).unwrap();
            log.close().unwrap();
            let note = checkpoint(dir.path()).unwrap();
            let head = note::peek(&note).unwrap();
            for index in (0..head.size).step_by(7).chain([head.size - 1]) {
                let tiles = proof_from_tiles(dir.path(), index, &note, &head).unwrap();
                let direct = proof_from_entries(dir.path(), index, &head).unwrap();
                assert_eq!(tiles, direct, "{index} of {}", head.size);
            }
        }
    }
}
