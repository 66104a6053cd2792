package audit_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/tlog"
)

func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// TestTiles pins the files to C2SP tlog-tiles, and the hashes in them to
// tlog's own tiles, which are the same tree's.
func TestTiles(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	for size, want := range map[int][]string{
		0:   {"checkpoint"},
		1:   {"checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"},
		255: {"checkpoint", "tile/0/000.p/255", "tile/entries/000.p/255"},
		256: {"checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"},
		600: {
			"checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2",
			"tile/entries/000", "tile/entries/001", "tile/entries/002.p/88",
		},
	} {
		l := &memLog{}
		l.grow(t, size)
		dir := t.TempDir()
		if err := audit.WriteTiles(context.Background(), l.entries(), l.checkpoint(t, signer), dir); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, files(t, dir)); d != "" {
			t.Errorf("files at size %d (-want +got):\n%s", size, d)
		}
		c, err := audit.VerifyTiles(context.Background(), os.DirFS(dir), origin, signer.Verifier())
		if err != nil || c.Size != int64(size) || c.Root != l.tree.Root() {
			t.Errorf("verify size %d: %+v, %v", size, c, err)
		}
		if size < 600 {
			continue
		}
		for name, tile := range map[string]tlog.Tile{
			"tile/0/001":      {H: 8, L: 0, N: 1, W: 256},
			"tile/0/002.p/88": {H: 8, L: 0, N: 2, W: 88},
			"tile/1/000.p/2":  {H: 8, L: 1, N: 0, W: 2},
		} {
			want, err := tlog.ReadTileData(tile, l)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s isn't tlog's tile (%v)", name, err)
			}
		}
	}
}

// TestTilesGrow: an export into the same folder adds; what older checkpoints
// need stays.
func TestTilesGrow(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	l, dir := &memLog{}, t.TempDir()
	for _, n := range []int{3, 300, 1} {
		l.grow(t, n)
		if err := audit.WriteTiles(context.Background(), l.entries(), l.checkpoint(t, signer), dir); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.VerifyTiles(context.Background(), os.DirFS(dir), origin, signer.Verifier()); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(files(t, dir), "tile/0/000.p/3") {
		t.Error("the tile of an older checkpoint is gone")
	}
}

// TestTilesTamper changes each byte of each file in turn: an auditor who gets
// a copy of the log must not be shown another one.
func TestTilesTamper(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	l, dir := &memLog{}, t.TempDir()
	l.grow(t, 258)
	if err := audit.WriteTiles(context.Background(), l.entries(), l.checkpoint(t, signer), dir); err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		if _, err := audit.VerifyTiles(context.Background(), os.DirFS(dir), origin, signer.Verifier()); err == nil {
			t.Errorf("%s goes unnoticed", what)
		}
	}
	for _, name := range files(t, dir) {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(good); i += 1 + len(good)/20 {
			bad := slices.Clone(good)
			bad[i] ^= 1
			write(t, path, bad)
			check(name + " changed")
		}
		write(t, path, good[:len(good)-1])
		check(name + " cut off")
		write(t, path, append(slices.Clone(good), 0))
		check(name + " with more at its end")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		check(name + " missing")
		write(t, path, good)
	}
	if _, err := audit.VerifyTiles(context.Background(), os.DirFS(dir), origin, signer.Verifier()); err != nil {
		t.Errorf("put back as it was: %v", err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTilesRefused: no checkpoint is left for what isn't its log.
func TestTilesRefused(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	l := &memLog{}
	l.grow(t, 5)
	msg := l.checkpoint(t, signer)
	l.records[2].Entry = []byte("forged")
	dir := t.TempDir()
	if err := audit.WriteTiles(context.Background(), l.entries(), msg, dir); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a changed entry: %v", err)
	}
	l.records = l.records[:4]
	if err := audit.WriteTiles(context.Background(), l.entries(), msg, dir); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a missing entry: %v", err)
	}
	l.records[0].Entry = make([]byte, audit.MaxEntry+1)
	if err := audit.WriteTiles(context.Background(), l.entries(), msg, dir); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("an entry too large for a bundle: %v", err)
	}
	broken := errors.New("disk on fire")
	failing := func(yield func([]byte, error) bool) { yield(nil, broken) }
	if err := audit.WriteTiles(context.Background(), failing, msg, dir); !errors.Is(err, broken) {
		t.Errorf("the source's error: %v", err)
	}
	if slices.Contains(files(t, dir), "checkpoint") {
		t.Error("a checkpoint was left")
	}
}
