package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"strconv"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileWidth = 256

// WriteTiles writes a log to dir as C2SP tlog-tiles serves it: tile/<L>/<N>,
// tile/entries/<N>, partial ones with .p/<W>, and the checkpoint, last. It
// takes as many entries as the checkpoint covers, computes every hash anew, and
// leaves no checkpoint if the root isn't the checkpoint's (Invalid). Doing it
// again into the same folder with a later checkpoint adds what is new.
func WriteTiles(ctx context.Context, entries iter.Seq2[[]byte, error], checkpoint []byte, dir string) error {
	c, err := ParseCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return tenure.Errorf(tenure.Unavailable, "write tiles: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "write tiles: %w", err)
	}
	defer root.Close()
	t := tiler{emit: func(name string, data []byte) error {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return tenure.Errorf(tenure.Unavailable, "write tiles: %w", err)
		}
		return writeWhole(root, name, data)
	}}
	if c.Size > 0 {
		for entry, err := range entries {
			if err == nil {
				err = errors.Join(ctx.Err(), t.add(entry))
			}
			if err != nil {
				return err
			}
			if t.size == c.Size {
				break
			}
		}
	}
	h, err := t.finish()
	switch {
	case err != nil:
		return err
	case t.size != c.Size:
		return tenure.Errorf(tenure.Invalid, "write tiles: the checkpoint has size %d, the log %d entries", c.Size, t.size)
	case h != c.Root:
		return tenure.Errorf(tenure.Invalid, "write tiles: the entries don't have the root of the checkpoint of size %d", c.Size)
	}
	return writeWhole(root, "checkpoint", checkpoint)
}

// writeWhole puts a file in place in one step.
func writeWhole(root *os.Root, name string, data []byte) error {
	err := root.WriteFile(name+".new", data, 0o644)
	if err == nil {
		err = root.Rename(name+".new", name)
	}
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "write tiles: %w", err)
	}
	return nil
}

// VerifyTiles reads such a folder back, recomputes every tile and the root
// from the entries and compares. It returns the checkpoint; what doesn't fit
// is Invalid and names the file.
func VerifyTiles(ctx context.Context, dir fs.FS, origin string, verifiers ...note.Verifier) (Checkpoint, error) {
	return verifyTiles(ctx, dir, nil, origin, verifiers...)
}

func verifyTiles(ctx context.Context, dir fs.FS, marks []Checkpoint, origin string, verifiers ...note.Verifier) (Checkpoint, error) {
	msg, err := fs.ReadFile(dir, "checkpoint")
	if err != nil {
		return Checkpoint{}, unread(tenure.NotFound, err)
	}
	c, err := VerifyCheckpoint(msg, origin, verifiers...)
	if err != nil {
		return Checkpoint{}, err
	}
	t := tiler{emit: func(name string, data []byte) error {
		stored, err := fs.ReadFile(dir, name)
		if err != nil {
			return unread(tenure.Invalid, err)
		}
		if !bytes.Equal(stored, data) {
			return tenure.Errorf(tenure.Invalid, "%s differs from what the entries make", name)
		}
		return nil
	}}
	if n := len(marks); n > 0 && marks[n-1].Size > c.Size {
		return Checkpoint{}, tenure.Errorf(tenure.Blocked, "the witness has seen %d entries, and the log shows %d: it is stale, or entries were dropped", marks[n-1].Size, c.Size)
	}
	if marks, err = t.against(marks); err != nil {
		return Checkpoint{}, err
	}
	t.grown = func() (err error) { marks, err = t.against(marks); return err }
	for t.size < c.Size {
		if err := ctx.Err(); err != nil {
			return Checkpoint{}, err
		}
		if err := t.addBundle(dir, min(tileWidth, c.Size-t.size)); err != nil {
			return Checkpoint{}, err
		}
	}
	h, err := t.finish()
	if err != nil {
		return Checkpoint{}, err
	}
	if h != c.Root {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "the entries don't have the root of the checkpoint of size %d", c.Size)
	}
	return c, nil
}

// tiler turns entries into the files of a tiled log; emit writes or compares one.
type tiler struct {
	emit   func(name string, data []byte) error
	grown  func() error // after each entry, if it isn't nil
	size   int64
	bundle []byte
	levels []level
}

// level is the tile under way at one height: n is its index.
type level struct {
	n      int64
	hashes []tlog.Hash
}

func (t *tiler) add(entry []byte) error {
	if len(entry) > MaxEntry {
		return tenure.Errorf(tenure.Invalid, "entry %d has %d bytes; a bundle takes %d", t.size, len(entry), MaxEntry)
	}
	t.bundle = append(binary.BigEndian.AppendUint16(t.bundle, uint16(len(entry))), entry...)
	n := t.size
	t.size++
	if t.size%tileWidth == 0 {
		if err := t.emit(tilePath("entries", n/tileWidth, tileWidth), t.bundle); err != nil {
			return err
		}
		t.bundle = t.bundle[:0]
	}
	if err := t.push(0, tlog.RecordHash(entry)); err != nil || t.grown == nil {
		return err
	}
	return t.grown()
}

// unread is a file that can't be read: with a code of its own where the error has none.
func unread(code tenure.Code, err error) error {
	var coded *tenure.Error
	if errors.As(err, &coded) {
		return err
	}
	return tenure.Errorf(code, "read tiles: %w", err)
}

func (t *tiler) push(height int, h tlog.Hash) error {
	if height == len(t.levels) {
		t.levels = append(t.levels, level{})
	}
	l := &t.levels[height]
	l.hashes = append(l.hashes, h)
	if len(l.hashes) < tileWidth {
		return nil
	}
	if err := t.emit(tilePath(strconv.Itoa(height), l.n, tileWidth), packed(l.hashes)); err != nil {
		return err
	}
	up := subtree(l.hashes)
	l.n, l.hashes = l.n+1, l.hashes[:0]
	return t.push(height+1, up)
}

// finish emits the partial files and returns the root.
func (t *tiler) finish() (tlog.Hash, error) {
	if w := t.size % tileWidth; w > 0 {
		if err := t.emit(tilePath("entries", t.size/tileWidth, int(w)), t.bundle); err != nil {
			return tlog.Hash{}, err
		}
	}
	for height, l := range t.levels {
		if len(l.hashes) == 0 {
			continue
		}
		if err := t.emit(tilePath(strconv.Itoa(height), l.n, len(l.hashes)), packed(l.hashes)); err != nil {
			return tlog.Hash{}, err
		}
	}
	return t.root(), nil
}

// root is the root of the tree as it is.
func (t *tiler) root() tlog.Hash {
	var edge []tlog.Hash
	for _, l := range t.levels {
		if len(l.hashes) > 0 {
			edge = append([]tlog.Hash{subtree(l.hashes)}, edge...)
		}
	}
	return edgeRoot(edge)
}

// subtree is the RFC 9162 §2.1.1 hash over hashes of complete, equal subtrees.
func subtree(hashes []tlog.Hash) tlog.Hash {
	var edge []tlog.Hash
	for i, h := range hashes {
		for n := i; n&1 == 1; n >>= 1 {
			h, edge = tlog.NodeHash(edge[len(edge)-1], h), edge[:len(edge)-1]
		}
		edge = append(edge, h)
	}
	return edgeRoot(edge)
}

func packed(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// tilePath is the file of a tile or bundle: its number in groups of three
// digits, all but the last with an x before them.
func tilePath(kind string, n int64, width int) string {
	digits := func(n int64) string { return strconv.FormatInt(1000+n%1000, 10)[1:] }
	p := digits(n)
	for n /= 1000; n > 0; n /= 1000 {
		p = "x" + digits(n) + "/" + p
	}
	p = "tile/" + kind + "/" + p
	if width < tileWidth {
		p += ".p/" + strconv.Itoa(width)
	}
	return p
}

// addBundle takes up the entries of the next bundle.
func (t *tiler) addBundle(dir fs.FS, width int64) error {
	name := tilePath("entries", t.size/tileWidth, int(width))
	b, err := fs.ReadFile(dir, name)
	if err != nil {
		return unread(tenure.Invalid, err)
	}
	for range width {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return tenure.Errorf(tenure.Invalid, "%s ends within entry %d", name, t.size)
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		if err := t.add(b[2:end]); err != nil {
			return err
		}
		b = b[end:]
	}
	return nil // what follows the last entry is found when the whole file is compared
}
