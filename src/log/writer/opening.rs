//! A ledger as its next writer finds it: everything is held against everything else before a line is written.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::super::follower::Follower;
use super::super::head::{Head, Kept, Stated};
use super::super::keys::Keys;
use super::super::merkle::Tree;
use super::super::note::{self, Checkpoint};
use super::super::store::{SideFile, Store, segment_name};
use super::super::{LogError, Options};
use super::{key_error, new_origin, read_keys, replace};

/// The purpose of opening a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Opening {
    /// To record.
    Record,
    /// To make its side files anew.
    Anew,
}

/// The contents of the directory.
pub(super) struct Found {
    pub(super) keys: Keys,
    pub(super) head: Head,
    /// The file `checkpoint`.
    pub(super) kept: Kept,
    /// Which side files did not count, one sentence each.
    pub(super) missing: Vec<String>,
}

/// Reads the ledger in `store` up to its end. The lock is held.
pub(super) fn look(
    store: &Arc<dyn Store>,
    options: &Options,
    follower: &dyn Follower,
    opening: Opening,
) -> Result<Found, LogError> {
    let read = |file| {
        store
            .read(file)
            .map_err(|error| LogError::io("read a file of the ledger", &error))
    };
    let segments = store
        .segments()
        .map_err(|error| LogError::io("list the segments", &error))?;
    let keys = read_keys(&**store)?;
    let had_keys = keys.is_some();
    let keys = match keys {
        Some(keys) => keys,
        None if segments.is_empty() => make_keys(&**store, options)?,
        None => return Err(key_error("is missing")),
    };
    let mac = keys.mac();
    check_complete(&segments)?;
    let note = read(SideFile::Checkpoint)?;
    let checkpoint = note.as_deref().map(read_checkpoint).transpose()?;
    let mut missing = Vec::new();
    let stated = match read(SideFile::State)? {
        Some(state) => Head::from_state(&state, &keys, &**store, follower),
        None if had_keys => Stated::Lost("is missing"),
        None => Stated::Before,
    };
    let (mut head, before) = match stated {
        Stated::Stands(_, kept) if opening == Opening::Anew => (Head::new(follower), kept),
        Stated::Stands(head, kept) => (*head, kept),
        Stated::Before => (Head::new(follower), Kept::default()),
        Stated::Lost(why) => {
            missing.push(format!("`state` {why}"));
            (Head::new(follower), Kept::default())
        }
    };
    let compare = |tree: &Tree, found: &mut Option<bool>| {
        if let Some(checkpoint) = &checkpoint
            && checkpoint.size == tree.size()
        {
            *found = Some(checkpoint.root == tree.root());
        }
    };
    let mut stands = None;
    compare(&head.chain.tree, &mut stands);
    head.catch_up(&**store, &mac, &mut |tree| compare(tree, &mut stands))?;
    check_end(&**store, &segments, head.chain.segment)?;
    let kept = Kept::of(note.as_deref(), checkpoint.as_ref());
    if let (Some(note), Some(checkpoint)) = (&note, &checkpoint) {
        check_checkpoint(checkpoint, &head, stands)?;
        if kept != before {
            check_signature(note, &head)?;
            // It covers the last line of a process that ended, also one that wrote no codes.
            if stands == Some(true) {
                head.trusted = head.trusted.max(checkpoint.size);
            }
        }
    }
    if kept.size < before.size {
        missing.push(match checkpoint {
            Some(_) => format!(
                "`checkpoint` is older than the one over {} entries",
                kept.size
            ),
            None => "`checkpoint` is missing".to_owned(),
        });
    }
    Ok(Found {
        keys,
        head,
        kept,
        missing,
    })
}

/// Makes the keys of a new ledger, durable before anything names them.
fn make_keys(store: &dyn Store, options: &Options) -> Result<Keys, LogError> {
    let failed = |why| LogError::Key { why };
    let origin = new_origin(options)?;
    let keys = Keys::generate(&origin, options.sign && options.holder.is_none()).map_err(failed)?;
    replace(store, SideFile::Key, keys.text().as_bytes())
        .map_err(|error| LogError::io("write the ledger's key", &error))?;
    Ok(keys)
}

fn read_checkpoint(note: &[u8]) -> Result<Checkpoint, LogError> {
    note::peek(note).map_err(|error| checkpoint_damage(&format!("{error}")))
}

/// The ledger must be at least as long as its checkpoint says, and the same up to there.
fn check_checkpoint(
    checkpoint: &Checkpoint,
    head: &Head,
    stands: Option<bool>,
) -> Result<(), LogError> {
    if checkpoint.size > head.seq() {
        return Err(checkpoint_damage(&format!(
            "the ledger has {} entries, the checkpoint covers {}",
            head.seq(),
            checkpoint.size
        )));
    }
    // A checkpoint from before the state was checked when the state was written.
    if Some(&checkpoint.origin) != head.chain.origin.as_ref() || stands == Some(false) {
        return Err(checkpoint_damage("the checkpoint is of another history"));
    }
    Ok(())
}

/// The file `checkpoint` is not the one that the last writer left, so its signature has to hold.
fn check_signature(note: &[u8], head: &Head) -> Result<(), LogError> {
    match note::open(note, &head.chain.keys) {
        Ok(_) => Ok(()),
        Err(error) => Err(checkpoint_damage(&format!("the checkpoint: {error}"))),
    }
}

/// Segments are numbered from 0 without a hole.
fn check_complete(segments: &[u64]) -> Result<(), LogError> {
    match segments
        .iter()
        .zip(0_u64..)
        .find(|(segment, expected)| *segment != expected)
    {
        None => Ok(()),
        Some((_, missing)) => Err(LogError::Damaged {
            segment: segment_name(missing),
            line: 1,
            byte: 0,
            what: "the segment is missing".to_owned(),
        }),
    }
}

/// Nothing follows where the ledger ends but files that nobody has written to.
fn check_end(store: &dyn Store, segments: &[u64], last: u64) -> Result<(), LogError> {
    for segment in segments.iter().filter(|segment| **segment > last) {
        let bytes = store
            .segment_bytes(*segment)
            .map_err(|error| LogError::io("look at a segment", &error))?;
        if bytes.is_some_and(|bytes| bytes > 0) {
            return Err(LogError::Damaged {
                segment: segment_name(*segment),
                line: 1,
                byte: 0,
                what: "the segment follows an empty one".to_owned(),
            });
        }
    }
    Ok(())
}

fn checkpoint_damage(what: &str) -> LogError {
    LogError::Damaged {
        segment: SideFile::Checkpoint.name().to_owned(),
        line: 1,
        byte: 0,
        what: what.to_owned(),
    }
}
