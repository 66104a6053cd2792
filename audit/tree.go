package audit

import (
	"crypto/sha256"
	"math/bits"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the right edge of the log's Merkle tree: the roots of the complete
// subtrees that cover it, at most 63 hashes, which is all that appending takes.
// A Tree never changes, so any number of goroutines may use one.
type Tree struct {
	size int64
	edge []tlog.Hash // largest subtree first
}

// Batch is what appending a group of leaves adds to the store. Its hashes are
// those with the indexes First, First+1, … in tlog's order of stored hashes
// (tlog.StoredHashIndex), 32 bytes each.
type Batch struct {
	OldSize, NewSize int64
	First            int64
	Hashes           []byte
	Root             tlog.Hash // at NewSize
}

// NewTree loads the right edge of a stored tree with one call to r of at most
// 63 hashes. The caller compares Root with the head that it stored.
func NewTree(size int64, r tlog.HashReader) (*Tree, error) {
	if size < 0 {
		return nil, tenure.Errorf(tenure.Invalid, "a tree of size %d", size)
	}
	indexes := edgeIndexes(size)
	if len(indexes) == 0 {
		return &Tree{}, nil
	}
	edge, err := r.ReadHashes(indexes)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "read the tree's edge at size %d: %w", size, err)
	}
	if len(edge) != len(indexes) {
		return nil, tenure.Errorf(tenure.Internal, "read the tree's edge at size %d: %d hashes for %d", size, len(edge), len(indexes))
	}
	return &Tree{size: size, edge: append([]tlog.Hash(nil), edge...)}, nil
}

// edgeIndexes are the stored indexes of the complete subtrees, largest first.
func edgeIndexes(size int64) []int64 {
	var indexes []int64
	for end := int64(0); end < size; {
		level := bits.Len64(uint64(size-end)) - 1
		indexes = append(indexes, tlog.StoredHashIndex(level, end>>level))
		end += 1 << level
	}
	return indexes
}

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Root is the tree's hash, that of the empty string for an empty tree
// (RFC 9162 §2.1.1).
func (t *Tree) Root() tlog.Hash {
	return edgeRoot(t.edge)
}

func edgeRoot(edge []tlog.Hash) tlog.Hash {
	if len(edge) == 0 {
		return sha256.Sum256(nil)
	}
	h := edge[len(edge)-1]
	for i := len(edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(edge[i], h)
	}
	return h
}

// Prepare computes what appending the leaves adds, and the tree that results.
// It changes nothing: a caller whose commit fails drops both and keeps t.
func (t *Tree) Prepare(leaves [][]byte) (Batch, *Tree) {
	edge := make([]tlog.Hash, len(t.edge), 64)
	copy(edge, t.edge)
	b := Batch{
		OldSize: t.size, NewSize: t.size + int64(len(leaves)),
		First:  tlog.StoredHashCount(t.size),
		Hashes: make([]byte, 0, tlog.HashSize*(2*len(leaves)+1)),
	}
	var scratch []byte
	size := t.size
	for _, leaf := range leaves {
		scratch = append(append(scratch[:0], 0), leaf...)
		edge, b.Hashes = push(edge, b.Hashes, size, sha256.Sum256(scratch))
		size++
	}
	b.Root = edgeRoot(edge)
	return b, &Tree{size: size, edge: edge}
}

// push adds leaf number n to the edge, and to out its hash and those of the
// subtrees that it completes.
func push(edge []tlog.Hash, out []byte, n int64, h tlog.Hash) ([]tlog.Hash, []byte) {
	out = append(out, h[:]...)
	for ; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(edge[len(edge)-1], h)
		edge = edge[:len(edge)-1]
		out = append(out, h[:]...)
	}
	return append(edge, h), out
}
