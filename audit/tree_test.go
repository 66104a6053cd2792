package audit_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// flat keeps stored hashes as tlog's own code makes them.
type flat []tlog.Hash

func (f flat) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		if i >= int64(len(f)) {
			return nil, fmt.Errorf("hash %d of %d", i, len(f))
		}
		out = append(out, f[i])
	}
	return out, nil
}

// TestTreeAgainstTlog: the batches, laid end to end, are what tlog stores for
// the same leaves, whatever the groups; roots agree; and a tree that is loaded
// again goes on as the one in memory does.
func TestTreeAgainstTlog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := &audit.Tree{}
		var want, got flat
		size := int64(0)
		for _, group := range rapid.SliceOfN(rapid.IntRange(0, 40), 1, 8).Draw(t, "groups") {
			var leaves [][]byte
			for range group {
				leaf := []byte(fmt.Sprint("leaf ", size+int64(len(leaves))))
				hashes, err := tlog.StoredHashes(size+int64(len(leaves)), leaf, want)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, hashes...)
				leaves = append(leaves, leaf)
			}
			b, next := tree.Prepare(leaves)
			if _, twin := tree.Prepare([][]byte{[]byte("abandoned")}); twin.Size() != size+1 || tree.Size() != size {
				t.Fatalf("preparing changed the tree: size %d, want %d", tree.Size(), size)
			}
			if b.First != int64(len(got)) || b.OldSize != size || b.NewSize != size+int64(group) {
				t.Fatalf("batch %+v at size %d", b, size)
			}
			for i := 0; i < len(b.Hashes); i += tlog.HashSize {
				got = append(got, tlog.Hash(b.Hashes[i:]))
			}
			size += int64(group)
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("stored hashes at size %d (-want +got):\n%s", size, d)
			}
			root, err := tlog.TreeHash(size, want)
			if err != nil || next.Root() != root || b.Root != root {
				t.Fatalf("root %s, batch %s, want %s (%v)", next.Root(), b.Root, root, err)
			}
			if tree, err = audit.NewTree(size, got); err != nil || tree.Root() != root || tree.Size() != size {
				t.Fatalf("loaded again: %v, %v", tree, err)
			}
		}
	})
}

func TestTreeEmpty(t *testing.T) {
	t.Parallel()
	tree, err := audit.NewTree(0, nil)
	if err != nil || tree.Size() != 0 || tree.Root() != sha256.Sum256(nil) {
		t.Errorf("empty tree %v: %v", tree, err)
	}
	if _, err := audit.NewTree(-1, nil); err == nil {
		t.Error("a tree of negative size")
	}
	if _, err := audit.NewTree(5, flat{}); err == nil {
		t.Error("a tree without its hashes")
	}
	short := tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, nil })
	if _, err := audit.NewTree(5, short); err == nil {
		t.Error("a reader that returns too few hashes")
	}
	broken := errors.New("broken")
	if _, err := audit.NewTree(5, tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, broken })); !errors.Is(err, broken) {
		t.Errorf("the reader's error: %v", err)
	}
}

// BenchmarkPrepare has the two hashes that a leaf costs at least as its baseline.
func BenchmarkPrepare(b *testing.B) {
	leaves := make([][]byte, 512)
	for i := range leaves {
		leaves[i] = make([]byte, 320)
	}
	b.Run("512 leaves", func(b *testing.B) {
		tree := &audit.Tree{}
		b.ReportAllocs()
		for b.Loop() {
			_, tree = tree.Prepare(leaves)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/leaf")
	})
	b.Run("baseline two hashes", func(b *testing.B) {
		var node [65]byte
		for b.Loop() {
			for _, l := range leaves {
				h := sha256.Sum256(l)
				copy(node[:], h[:])
				_ = sha256.Sum256(node[:])
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/leaf")
	})
}
