package audit_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// lines is a log of so many entries that a word of its own begins at one of them.
func lines(n, from int, word string) (entries [][]byte, root func(size int) tlog.Hash) {
	for i := range n {
		text := fmt.Sprint("entry ", i)
		if i >= from {
			text += word
		}
		entries = append(entries, []byte(text))
	}
	return entries, func(size int) tlog.Hash {
		var stored []tlog.Hash
		read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(at))
			for i, x := range at {
				out[i] = stored[x]
			}
			return out, nil
		})
		for i := range size {
			more, _ := tlog.StoredHashes(int64(i), entries[i], read)
			stored = append(stored, more...)
		}
		h, _ := tlog.TreeHash(int64(size), read)
		return h
	}
}

// A log that forked is whole and rightly signed; only who has seen the other past can tell.
func TestServedForks(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	head := func(size int, root func(int) tlog.Hash) []byte {
		msg, err := audit.SignCheckpoint(audit.Checkpoint{Origin: origin, Size: int64(size), Root: root(size)}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	_, seen := lines(600, 600, "")
	for _, c := range []struct {
		name      string
		size      int
		from      int
		witnessed []int
		says      string
	}{
		{"the same log", 600, 600, []int{0, 1, 255, 256, 257, 512, 600}, ""},
		{"more of it", 600, 600, []int{300}, ""},
		{"a fork after what was seen", 600, 301, []int{300}, ""},
		{"a fork of the last entry", 600, 599, []int{256, 600}, "at 600 entries it has another root"},
		{"a fork before", 600, 40, []int{39, 40, 41, 300}, "at 41 entries it has another root"},
		{"a fork within a bundle", 600, 256, []int{256, 257}, "at 257 entries it has another root"},
		{"a stale log", 500, 600, []int{200, 501}, "the witness has seen 501 entries, and the log shows 500"},
		{"an empty one", 0, 600, []int{1}, "the witness has seen 1 entries, and the log shows 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			entries, root := lines(c.size, c.from, " of another past")
			dir := t.TempDir()
			all := iter.Seq2[[]byte, error](func(yield func([]byte, error) bool) {
				for _, e := range entries {
					if !yield(e, nil) {
						return
					}
				}
			})
			if err := audit.WriteTiles(context.Background(), all, head(c.size, root), dir); err != nil {
				t.Fatal(err)
			}
			var marks [][]byte
			for _, n := range c.witnessed {
				marks = append([][]byte{head(n, seen)}, marks...)
			}
			_, err := audit.VerifyServed(context.Background(), os.DirFS(dir), marks, origin, signer.Verifier())
			if c.says == "" && err != nil || c.says != "" && (tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(fmt.Sprint(err), c.says)) {
				t.Errorf("it says %v, want %q", err, c.says)
			}
		})
	}
}

// Each tile has one name.
func TestParseTile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"0/000": "0 256", "entries/000.p/1": "0 1", "0/x001/x234/067": "315921152 315921408", "1/001": "65536 131072", "1/000.p/3": "0 768",
	} {
		tile, err := audit.ParseTile(name)
		if got := fmt.Sprint(tile.First(), " ", tile.End()); err != nil || got != want {
			t.Errorf("%s spans %s, want %s: %v", name, got, want, err)
		}
	}
	for _, name := range []string{"", "0", "0/", "0/1", "0/0001", "0/x000/001", "0/001/002", "0/x001", "01/000", "7/000", "-1/000", "0/000.p/", "0/000.p/0", "0/000.p/256", "0/000.p/07", "0/000/", "/0/000", "entries/000.p/300", "data/000", "0/000.p/1/2", "0/..", "0/x999/x999/x999/x999/x999/x999/999"} {
		if tile, err := audit.ParseTile(name); tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("%q is taken for %+v", name, tile)
		}
	}
}
