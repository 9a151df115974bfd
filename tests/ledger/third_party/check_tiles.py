"""Checks an export of a ledger with `tlog-scales`, an implementation of C2SP's tlog-tiles from PyPI.

    check_tiles.py KEY DIR [INDEX …]

The checkpoint must be signed with KEY, the tiles must hash to its root, and every entry must be in the tree.
Prints a proof of each INDEX as `tlog-scales` makes it: it has to be the one that lictor makes, byte for byte.
"""

import sys

from tlog_scales import backend, tiles
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.utils import b64enc

key, directory, *indexes = sys.argv[1:]
reader = TilesReader(backend.LocalBackend(backend.Path(directory)))
checkpoint = reader.get_checkpoint()
checkpoint.verify(Vkey.from_string(key))
if checkpoint.origin != key.split("+")[0]:
    sys.exit("the checkpoint is of another ledger")
if reader.calculate_root_hash() != checkpoint.root_hash:
    sys.exit("the tiles have another root than the checkpoint")
step = 1 + checkpoint.size // 500
for index in list(range(0, checkpoint.size, step)) + [checkpoint.size - 1]:
    proof = reader.get_inclusion_proof(index, checkpoint.size)
    proof.check(tiles.leaf_hash(reader.get_entry(index)), checkpoint.root_hash)
for index in map(int, indexes):
    print("c2sp.org/tlog-proof@v1")
    print(f"index {index}")
    for node in reader.get_inclusion_proof(index, checkpoint.size).node_hashes:
        print(b64enc(node))
    print()
    print(checkpoint.serialize(), end="")
