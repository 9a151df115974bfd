//! The tree as C2SP tlog-tiles: files of 256 hashes, and bundles of 256 entries, that any client of that
//! format can check without us.
//!
//! Entries go in in their order, files come out; nothing is ever changed but the right edge. The same
//! files answer proofs in a few reads, however long the ledger is.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::merkle::{Hash, leaf_hash, node_hash};

/// Hashes in a full tile, and entries in a full bundle.
const WIDTH: u64 = 256;

/// Height of the subtree that a tile holds.
const HEIGHT: u32 = 8;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Writes the tiles of a tree in one pass over its entries.
#[derive(Debug)]
pub(super) struct Tiler {
    root: PathBuf,
    /// The hashes of the tile that is being filled, for each level.
    levels: Vec<Level>,
    /// The entries of the bundle that is being filled.
    bundle: Vec<u8>,
    size: u64,
}

#[derive(Debug, Default)]
struct Level {
    tile: u64,
    hashes: Vec<Hash>,
}

impl Tiler {
    /// Writes below `root`, which holds `tile/` afterwards.
    pub(super) fn new(root: &Path) -> Tiler {
        Tiler {
            root: root.to_owned(),
            levels: Vec::new(),
            bundle: Vec::new(),
            size: 0,
        }
    }

    /// Takes the next entry.
    pub(super) fn push(&mut self, entry: &[u8]) -> io::Result<()> {
        let length = u16::try_from(entry.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        self.push_hash(0, leaf_hash(entry))?;
        self.size = self.size.saturating_add(1);
        if self.size.is_multiple_of(WIDTH) {
            let bundle = self.size.saturating_sub(1).checked_div(WIDTH).unwrap_or(0);
            write(&self.root, &path("entries", bundle, WIDTH), &self.bundle)?;
            self.bundle.clear();
        }
        Ok(())
    }

    /// Writes the right edge.
    pub(super) fn finish(self) -> io::Result<()> {
        for (level, tile) in self
            .levels
            .iter()
            .enumerate()
            .filter(|(_, tile)| !tile.hashes.is_empty())
        {
            let width = u64::try_from(tile.hashes.len()).unwrap_or(WIDTH);
            write(
                &self.root,
                &path(&level.to_string(), tile.tile, width),
                &tile.hashes.concat(),
            )?;
        }
        let rest = self.size.checked_rem(WIDTH).unwrap_or(0);
        if rest > 0 {
            let bundle = self.size.checked_div(WIDTH).unwrap_or(0);
            write(&self.root, &path("entries", bundle, rest), &self.bundle)?;
        }
        Ok(())
    }

    fn push_hash(&mut self, level: usize, hash: Hash) -> io::Result<()> {
        if self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        let Some(tile) = self.levels.get_mut(level) else {
            return Ok(());
        };
        tile.hashes.push(hash);
        if u64::try_from(tile.hashes.len()).unwrap_or(WIDTH) < WIDTH {
            return Ok(());
        }
        let full = std::mem::take(&mut tile.hashes);
        let number = tile.tile;
        tile.tile = number.saturating_add(1);
        write(
            &self.root,
            &path(&level.to_string(), number, WIDTH),
            &full.concat(),
        )?;
        self.push_hash(level.saturating_add(1), full_root(full))
    }
}

/// Reads hashes of complete subtrees from tiles of a tree of `size` entries.
#[derive(Debug)]
pub(super) struct Tiles {
    root: PathBuf,
    size: u64,
}

impl Tiles {
    pub(super) fn new(root: &Path, size: u64) -> Tiles {
        Tiles {
            root: root.to_owned(),
            size,
        }
    }

    /// The hash of a complete subtree, as [`merkle`](super::merkle) asks for it.
    pub(super) fn node(&self, level: u32, index: u64) -> io::Result<Hash> {
        let tile_level = level.checked_div(HEIGHT).unwrap_or(0);
        // How many hashes of the tile's level are below the node, as a power of two.
        let height = level.checked_rem(HEIGHT).unwrap_or(0);
        let first = index
            .checked_shl(height)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let tile = first.checked_div(WIDTH).unwrap_or(0);
        let hashes = self.tile(tile_level, tile)?;
        let from = usize::try_from(first.checked_rem(WIDTH).unwrap_or(0)).unwrap_or(usize::MAX);
        let count = 1_usize.checked_shl(height).unwrap_or(usize::MAX);
        let below = hashes
            .get(from..from.saturating_add(count))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(full_root(below.to_vec()))
    }

    fn tile(&self, level: u32, tile: u64) -> io::Result<Vec<Hash>> {
        let below = HEIGHT.saturating_mul(level);
        let hashes = self.size.checked_shr(below).unwrap_or(0);
        let width = hashes.saturating_sub(tile.saturating_mul(WIDTH)).min(WIDTH);
        let name = level.to_string();
        // A tile that was partial for this size may be full by now.
        let bytes = read_tile(&self.root.join(path(&name, tile, width)))
            .or_else(|_| read_tile(&self.root.join(path(&name, tile, WIDTH))))?;
        Ok(bytes
            .chunks_exact(HASH_BYTES)
            .filter_map(|hash| hash.try_into().ok())
            .collect())
    }
}

/// The root over a full subtree's hashes; their number is a power of two.
fn full_root(mut hashes: Vec<Hash>) -> Hash {
    while hashes.len() > 1 {
        let pair = |pair: &[Hash]| match pair {
            [left, right] => node_hash(left, right),
            _ => [0; HASH_BYTES],
        };
        hashes = hashes.chunks(2).map(pair).collect();
    }
    hashes.pop().unwrap_or([0; HASH_BYTES])
}

/// `tile/<level>/x001/x234/067`, with `.p/<width>` if it is partial.
fn path(level: &str, tile: u64, width: u64) -> PathBuf {
    let digits = tile.to_string();
    let padded = format!(
        "{digits:0>width$}",
        width = digits.len().next_multiple_of(3)
    );
    let groups: Vec<&str> = (0..padded.len())
        .step_by(3)
        .filter_map(|at| padded.get(at..at.saturating_add(3)))
        .collect();
    let mut path = PathBuf::from("tile").join(level);
    let last = groups.len().saturating_sub(1);
    for (at, group) in groups.iter().enumerate() {
        match (at == last, width < WIDTH) {
            (false, _) => path.push(format!("x{group}")),
            (true, false) => path.push(group),
            (true, true) => path.push(format!("{group}.p")),
        }
    }
    if width < WIDTH {
        path.push(width.to_string());
    }
    path
}

fn write(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    // A reader must never see half of one: clients keep what they have once read.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    io::Write::write_all(&mut file, bytes)?;
    fs::rename(new, path)
}

/// Reads a tile. Nothing else lies there, and a pipe in its place would be waited for.
fn read_tile(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::symlink_metadata(path)?;
    let most = WIDTH.saturating_mul(32);
    if found.is_file() && found.len() <= most {
        fs::read(path)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::merkle::{Tree, includes, inclusion_proof, root};

    #[test]
    fn paths_are_those_of_the_specification() {
        for (level, tile, width, expected) in [
            ("0", 0, 256, "tile/0/000"),
            ("0", 273, 112, "tile/0/273.p/112"),
            ("2", 1_234_067, 256, "tile/2/x001/x234/067"),
            ("entries", 1000, 1, "tile/entries/x001/000.p/1"),
        ] {
            assert_eq!(path(level, tile, width), Path::new(expected));
        }
    }

    #[test]
    fn roots_and_proofs_from_tiles_are_those_of_the_tree() {
        for size in [1_u64, 2, 255, 256, 257, 511, 512, 700] {
            let dir = tempfile::tempdir().unwrap();
            let (mut tiler, mut tree) = (Tiler::new(dir.path()), Tree::default());
            for n in 0..size {
                let entry = format!("entry {n}\n");
                tiler.push(entry.as_bytes()).unwrap();
                tree.push(leaf_hash(entry.as_bytes()));
            }
            tiler.finish().unwrap();
            let tiles = Tiles::new(dir.path(), size);
            let mut nodes = |level, index| tiles.node(level, index);
            assert_eq!(root(size, &mut nodes).unwrap(), tree.root());
            for index in [0, size / 2, size - 1] {
                let proof = inclusion_proof(index, size, &mut nodes).unwrap().unwrap();
                let leaf = leaf_hash(format!("entry {index}\n").as_bytes());
                assert!(
                    includes(&leaf, index, size, &tree.root(), &proof),
                    "{index} of {size}"
                );
            }
            let widths = |level: &str| {
                fs::read_dir(dir.path().join("tile").join(level))
                    .unwrap()
                    .count()
            };
            assert_eq!(widths("0"), usize::try_from(size.div_ceil(256)).unwrap());
            assert_eq!(dir.path().join("tile/1").exists(), size >= 256);
        }
    }
}
