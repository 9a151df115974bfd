// Checks an export of a ledger with nothing of lictor: Go's sumdb/note and sumdb/tlog.
//
//	check_tiles KEY DIR [-older FILE]… [-proof FILE ENTRY]…
//
// The checkpoint must be signed with KEY, every tile must hash to its root, every entry of every bundle must
// be the leaf that the tiles say, older checkpoints must be of the same history, and proofs must hold.
// Prints the size of the tree, or says what is wrong and ends with 1.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) < 3 {
		fail("usage: check_tiles KEY DIR [-older FILE]... [-proof FILE ENTRY]...")
	}
	verifier, err := note.NewVerifier(os.Args[1])
	check(err, "the key")
	verifiers := note.VerifierList(verifier)
	dir := os.Args[2]

	tree := open(read(filepath.Join(dir, "checkpoint")), verifiers, verifier.Name())
	hashes := tlog.TileHashReader(tree, tiles(dir))

	root, err := tlog.TreeHash(tree.N, hashes)
	check(err, "the root")
	if root != tree.Hash {
		fail("the tiles have another root than the checkpoint")
	}
	entries := bundles(dir, tree.N)
	indexes := make([]int64, len(entries))
	for n := range entries {
		indexes[n] = tlog.StoredHashIndex(0, int64(n))
	}
	leaves, err := hashes.ReadHashes(indexes)
	check(err, "the leaves")
	for n, entry := range entries {
		if tlog.RecordHash(entry) != leaves[n] {
			fail(fmt.Sprintf("entry %d is not the leaf of the tree", n))
		}
	}
	for n := int64(0); n < tree.N; n += 1 + tree.N/50 {
		proof, err := tlog.ProveRecord(tree.N, n, hashes)
		check(err, "making a proof")
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, n, tlog.RecordHash(entries[n])), "a proof")
	}

	for rest := os.Args[3:]; len(rest) > 0; {
		switch {
		case rest[0] == "-older" && len(rest) > 1:
			older := open(read(rest[1]), verifiers, verifier.Name())
			proof, err := tlog.ProveTree(tree.N, older.N, hashes)
			check(err, "making a consistency proof")
			check(tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash), "the older checkpoint")
			rest = rest[2:]
		case rest[0] == "-proof" && len(rest) > 2:
			checkProof(string(read(rest[1])), read(rest[2]), verifiers, verifier.Name())
			rest = rest[3:]
		default:
			fail("what is " + rest[0])
		}
	}
	fmt.Println(tree.N)
}

// open reads a checkpoint of c2sp.org/tlog-checkpoint whose signature holds.
func open(text []byte, verifiers note.Verifiers, origin string) tlog.Tree {
	opened, err := note.Open(text, verifiers)
	check(err, "the checkpoint")
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		fail("the checkpoint has another form")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "the size")
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		fail("the root is no hash")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

// checkProof checks a proof of the form c2sp.org/tlog-proof@v1.
func checkProof(text string, entry []byte, verifiers note.Verifiers, origin string) {
	parts := strings.SplitN(text, "\n\n", 2)
	if len(parts) != 2 {
		fail("the proof has no checkpoint")
	}
	lines := strings.Split(parts[0], "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		fail("the proof has another form")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err, "the index")
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		check(err, "a hash of the proof")
		proof = append(proof, hash)
	}
	tree := open([]byte(parts[1]), verifiers, origin)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)), "the proof")
}

// bundles reads all entries, as c2sp.org/tlog-tiles lays them out.
func bundles(dir string, size int64) [][]byte {
	var entries [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		bundle := read(filepath.Join(dir, path("entries", n, int(width))))
		for i := int64(0); i < width; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				fail("a bundle is cut")
			}
			length := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+length]
			if !bytes.HasSuffix(entry, []byte("}\n")) {
				fail("an entry is no line")
			}
			entries = append(entries, entry)
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			fail("a bundle is too long")
		}
	}
	return entries
}

// tiles reads tiles of height 8 from where c2sp.org/tlog-tiles puts them.
type tiles string

func (tiles) Height() int { return 8 }

func (dir tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		bytes, err := os.ReadFile(filepath.Join(string(dir), path(strconv.Itoa(tile.L), tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// path is Go's path of a tile, without its height, and with the name that C2SP gives to level and data.
func path(level string, n int64, width int) string {
	tile := tlog.Tile{H: 8, L: 0, N: n, W: width}
	return strings.Replace(tile.Path(), "tile/8/0/", "tile/"+level+"/", 1)
}

func read(path string) []byte {
	bytes, err := os.ReadFile(path)
	check(err, "reading")
	return bytes
}

func check(err error, what string) {
	if err != nil {
		fail(what + ": " + err.Error())
	}
}

func fail(what string) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
