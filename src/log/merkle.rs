//! The Merkle tree of RFC 6962 over the lines of a ledger; pure.
//!
//! A line's exact bytes, `\n` included, are one leaf. [`Tree`] grows one leaf at a time and keeps one
//! hash for each full subtree, so its memory is O(log n). Proofs are made from the hashes of complete
//! subtrees, wherever they come from, and checked as RFC 9162 says. Nothing here reads, signs or stores.

#![forbid(unsafe_code)]

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256 of a zero byte and the line.
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    sha.update([0]);
    sha.update(line);
    sha.finalize().into()
}

/// The hash of a node: SHA-256 of a one byte and its two children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut sha = Sha256::new();
    sha.update([1]);
    sha.update(left);
    sha.update(right);
    sha.finalize().into()
}

/// A tree that grows at its right edge.
///
/// ```
/// use lictor::log::merkle::{Tree, leaf_hash, node_hash};
///
/// let (a, b) = (leaf_hash(b"a\n"), leaf_hash(b"b\n"));
/// let mut tree = Tree::default();
/// tree.push(a);
/// assert_eq!(tree.root(), a);
/// tree.push(b);
/// assert_eq!((tree.size(), tree.root()), (2, node_hash(&a, &b)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    // INVARIANT: one hash per set bit of `size`, of the full subtrees from left to right.
    peaks: Vec<Hash>,
}

impl Tree {
    /// The tree with these full subtrees, largest first; `None` if there are not as many as `size` needs.
    #[must_use]
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Tree> {
        let needed = usize::try_from(size.count_ones()).ok()?;
        (peaks.len() == needed).then_some(Tree { size, peaks })
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one of the old size is a full subtree that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Hashes of the full subtrees, largest first: all that is needed to go on from here.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The tree hash. That of the empty tree is SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Sha256::digest([]).into(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// Where proofs get the hash of the complete subtree with the leaves `index << level` up to, and not
/// including, `(index + 1) << level`.
pub type Nodes<'a, E> = dyn FnMut(u32, u64) -> Result<Hash, E> + 'a;

/// The root of the tree over the first `size` leaves.
///
/// # Errors
/// What `nodes` says.
pub fn root<E>(size: u64, nodes: &mut Nodes<'_, E>) -> Result<Hash, E> {
    if size == 0 {
        return Ok(Sha256::digest([]).into());
    }
    range_root(0, size, nodes)
}

/// The proof that leaf `index` is in the tree over the first `size` leaves, from the leaf's sibling
/// upwards; `None` if there is no such leaf.
///
/// # Errors
/// What `nodes` says.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    nodes: &mut Nodes<'_, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut from, mut to) = (0, size);
    let mut proof = Vec::new();
    while to.saturating_sub(from) > 1 {
        let middle = middle(from, to);
        if index < middle {
            proof.push(range_root(middle, to, nodes)?);
            to = middle;
        } else {
            proof.push(range_root(from, middle, nodes)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(Some(proof))
}

/// The proof that the tree over the first `old` leaves is a beginning of the one over the first `new`;
/// `None` unless `0 < old <= new`.
///
/// # Errors
/// What `nodes` says.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    nodes: &mut Nodes<'_, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old == 0 || old > new {
        return Ok(None);
    }
    let (mut from, mut to) = (0, new);
    let mut proof = Vec::new();
    while to != old {
        let middle = middle(from, to);
        if old <= middle {
            proof.push(range_root(middle, to, nodes)?);
            to = middle;
        } else {
            proof.push(range_root(from, middle, nodes)?);
            from = middle;
        }
    }
    // A subtree that begins the tree is the old tree itself, which the reader knows.
    if from > 0 {
        proof.push(range_root(from, to, nodes)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Returns true if `proof` shows that `leaf` is leaf `index` of the tree with this size and root.
#[must_use]
pub fn includes(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size.saturating_sub(1));
    let mut hash = *leaf;
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Returns true if `proof` shows that the first tree, of size and root `old`, is a beginning of the second.
#[must_use]
pub fn extends(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    // A full old tree is its own first hash.
    let (first, steps) = match proof.split_first() {
        _ if old_size.is_power_of_two() => (*old_root, proof),
        Some((first, steps)) => (*first, steps),
        None => return false,
    };
    let (mut at, mut last) = (old_size.saturating_sub(1), new_size.saturating_sub(1));
    let shift = at.trailing_ones();
    at = at.checked_shr(shift).unwrap_or(0);
    last = last.checked_shr(shift).unwrap_or(0);
    let (mut old_hash, mut new_hash) = (first, first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(step, &old_hash);
            new_hash = node_hash(step, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// Where the RFC splits a range: at the largest power of two smaller than its length.
fn middle(from: u64, to: u64) -> u64 {
    let length = to.saturating_sub(from);
    let half = 1_u64
        .checked_shl(length.saturating_sub(1).checked_ilog2().unwrap_or(0))
        .unwrap_or(1);
    from.saturating_add(half)
}

/// The root over the leaves from `from` up to and not including `to`; `from` is where the RFC splits.
fn range_root<E>(from: u64, to: u64, nodes: &mut Nodes<'_, E>) -> Result<Hash, E> {
    let length = to.saturating_sub(from);
    if length.is_power_of_two() {
        let level = length.trailing_zeros();
        return nodes(level, from.checked_shr(level).unwrap_or(0));
    }
    let middle = middle(from, to);
    Ok(node_hash(
        &range_root(from, middle, nodes)?,
        &range_root(middle, to, nodes)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962, section 2.1, word by word.
    fn reference(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => Sha256::digest([]).into(),
            1 => leaves[0],
            n => {
                let split = 1 << (n - 1).ilog2();
                node_hash(&reference(&leaves[..split]), &reference(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_rfc_at_every_size() {
        let leaves = leaves(300);
        let mut tree = Tree::default();
        for n in 0..=leaves.len() {
            assert_eq!(tree.root(), reference(&leaves[..n]), "size {n}");
            let again = Tree::from_peaks(tree.size(), tree.peaks().to_vec()).unwrap();
            assert_eq!(again, tree);
            if let Some(leaf) = leaves.get(n) {
                tree.push(*leaf);
            }
        }
    }

    fn leaves(n: u32) -> Vec<Hash> {
        (0..n).map(|n| leaf_hash(&n.to_le_bytes())).collect()
    }

    /// Hashes of complete subtrees, computed anew each time.
    fn node(leaves: &[Hash], level: u32, index: u64) -> Result<Hash, ()> {
        let (from, length) = (usize::try_from(index << level).unwrap(), 1 << level);
        leaves.get(from..from + length).map(reference).ok_or(())
    }

    #[test]
    fn proofs_hold_at_every_size_and_not_with_one_hash_another_index_or_another_root() {
        let leaves = leaves(70);
        let root_of = |size: usize| reference(&leaves[..size]);
        for size in 1..=leaves.len() {
            let n = u64::try_from(size).unwrap();
            let mut nodes = |level, index| node(&leaves[..size], level, index);
            assert_eq!(root(n, &mut nodes), Ok(root_of(size)));
            for (index, leaf) in (0..n).zip(&leaves) {
                let proof = inclusion_proof(index, n, &mut nodes).unwrap().unwrap();
                assert!(includes(leaf, index, n, &root_of(size), &proof));
                assert!(!includes(leaf, index, n, &[7; 32], &proof));
                assert!(!includes(&[7; 32], index, n, &root_of(size), &proof));
                for other in [index.wrapping_sub(1), index + 1, n] {
                    assert!(
                        !includes(leaf, other, n, &root_of(size), &proof),
                        "{other} of {n}"
                    );
                }
                spoiled(&proof, |bad| {
                    assert!(!includes(leaf, index, n, &root_of(size), bad))
                });
            }
            for (old, m) in (1..=size).zip(1..) {
                let proof = consistency_proof(m, n, &mut nodes).unwrap().unwrap();
                let (old, new) = (root_of(old), root_of(size));
                assert!(extends((m, &old), (n, &new), &proof), "{m} {n}");
                assert!(!extends((m, &[7; 32]), (n, &new), &proof), "{m} {n}");
                assert!(!extends((m, &old), (n, &[7; 32]), &proof), "{m} {n}");
                spoiled(&proof, |bad| {
                    assert!(!extends((m, &old), (n, &new), bad), "{m} {n}")
                });
            }
        }
        assert_eq!(
            inclusion_proof(3, 3, &mut |_, _| Ok::<_, ()>([0; 32])),
            Ok(None)
        );
        assert_eq!(
            consistency_proof(0, 3, &mut |_, _| Ok::<_, ()>([0; 32])),
            Ok(None)
        );
        assert_eq!(
            consistency_proof(4, 3, &mut |_, _| Ok::<_, ()>([0; 32])),
            Ok(None)
        );
    }

    /// Each hash changed, one missing, one more.
    fn spoiled(proof: &[Hash], check: impl Fn(&[Hash])) {
        for at in 0..proof.len() {
            let mut bad = proof.to_vec();
            bad[at][at % 32] ^= 1;
            check(&bad);
            bad.remove(at);
            check(&bad);
        }
        check(&[proof, &[[0; 32]]].concat());
    }

    #[test]
    fn proofs_are_those_of_ct_merkle_at_every_size_to_300() {
        use ct_merkle::mem_backed_tree::MemoryBackedTree;
        use ct_merkle::{ConsistencyProof, InclusionProof};
        let mut theirs = MemoryBackedTree::<Sha256, [u8; 4]>::new();
        let leaves = leaves(300);
        let mut levels: Vec<Vec<Hash>> = vec![leaves.clone()];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            levels.push(
                below
                    .chunks_exact(2)
                    .map(|pair| node_hash(&pair[0], &pair[1]))
                    .collect(),
            );
        }
        let mut nodes = |level: u32, index: u64| {
            Ok::<_, ()>(levels[usize::try_from(level).unwrap()][usize::try_from(index).unwrap()])
        };
        for size in 1..=300_u32 {
            theirs.push((size - 1).to_le_bytes());
            let n = u64::from(size);
            let root = root(n, &mut nodes).unwrap();
            assert_eq!(root[..], theirs.root().as_bytes()[..]);
            for index in 0..size {
                let proof = inclusion_proof(u64::from(index), n, &mut nodes)
                    .unwrap()
                    .unwrap();
                let expected = theirs.prove_inclusion(usize::try_from(index).unwrap());
                assert_eq!(proof.concat(), expected.as_bytes());
                let leaf = &leaves[usize::try_from(index).unwrap()];
                for at in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[at][0] ^= 0x80;
                    assert!(!includes(leaf, u64::from(index), n, &root, &bad));
                    // Theirs is slow, and what it is asked for is to agree, not to be tested.
                    if size % 23 == 0 {
                        let bad = InclusionProof::<Sha256>::try_from_bytes(bad.concat()).unwrap();
                        let entry = index.to_le_bytes();
                        let verified =
                            theirs
                                .root()
                                .verify_inclusion(&entry, u64::from(index), &bad);
                        assert!(verified.is_err());
                    }
                }
            }
            for added in 0..size {
                let proof = consistency_proof(u64::from(size - added), n, &mut nodes)
                    .unwrap()
                    .unwrap();
                let expected = theirs.prove_consistency(usize::try_from(added).unwrap());
                assert_eq!(proof.concat(), expected.as_bytes());
                assert!(ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).is_ok());
            }
        }
    }

    #[test]
    fn peaks_that_do_not_fit_the_size_are_refused() {
        assert_eq!(Tree::from_peaks(3, vec![[0; 32]]), None);
        assert_eq!(Tree::from_peaks(0, vec![[0; 32]]), None);
    }
}
