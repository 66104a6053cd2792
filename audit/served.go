package audit

import (
	"cmp"
	"context"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tenurehq/tenure"
)

// Tile names a tile or an entry bundle of a log as C2SP tlog-tiles has it.
type Tile struct {
	Level  int // -1 for a bundle of entries
	Number int64
	Width  int // 256, or less for a partial one
}

var tileForm = regexp.MustCompile(`^(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?$`)

// ParseTile reads what follows "tile/" in a path. There is one form for each tile, and
// what is in another is NotFound.
func ParseTile(name string) (Tile, error) {
	none := tenure.Errorf(tenure.NotFound, "there is no tile at that path").WithHint("C2SP tlog-tiles says how tiles are named")
	m := tileForm.FindStringSubmatch(name)
	if m == nil {
		return Tile{}, none
	}
	t := Tile{Level: -1, Width: tileWidth}
	if m[1] != "entries" {
		t.Level, _ = strconv.Atoi(m[1])
	}
	t.Number, _ = strconv.ParseInt(strings.NewReplacer("x", "", "/", "").Replace(m[2]), 10, 64)
	if m[3] != "" {
		if t.Width, _ = strconv.Atoi(m[3]); t.Width >= tileWidth {
			return Tile{}, none
		}
	}
	if t.Level > 6 || t.path() != "tile/"+name { // 256^7 entries are more than there can be
		return Tile{}, none
	}
	return t, nil
}

func (t Tile) path() string {
	kind := "entries"
	if t.Level >= 0 {
		kind = strconv.Itoa(t.Level)
	}
	return tilePath(kind, t.Number, t.Width)
}

// First is the first entry that the tile spans, and End the one after its last.
func (t Tile) First() int64 { return t.Number * tileWidth << (8 * max(t.Level, 0)) }

// End is the entry after the last one that the tile spans.
func (t Tile) End() int64 { return (t.Number*tileWidth + int64(t.Width)) << (8 * max(t.Level, 0)) }

// In says whether a log of that size has the tile.
func (t Tile) In(size int64) bool {
	return t.Number < 1<<40>>(8*max(t.Level, 0)) && t.End() <= size
}

// Hashes is the content of a tile of hashes.
func (t Tile) Hashes(log tlog.HashReader) ([]byte, error) {
	indexes := make([]int64, t.Width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(8*t.Level, t.Number*tileWidth+int64(i))
	}
	hashes, err := log.ReadHashes(indexes)
	return packed(hashes), err
}

// Bundle adds an entry to the content of a bundle.
func Bundle(b, entry []byte) []byte {
	return append(append(b, byte(len(entry)>>8), byte(len(entry))), entry...)
}

// VerifyServed is VerifyTiles that also checks the log against checkpoints of it that
// a witness keeps: the log must have signed each, and must continue it. A log that is shorter than one of them is Blocked.
func VerifyServed(ctx context.Context, dir fs.FS, witnessed [][]byte, origin string, verifiers ...note.Verifier) (Checkpoint, error) {
	var marks []Checkpoint
	for _, msg := range witnessed {
		c, err := VerifyCheckpoint(msg, origin, verifiers...)
		if err != nil {
			return c, tenure.Errorf(tenure.Blocked, "a checkpoint of the witness: %w", err)
		}
		marks = append(marks, c)
	}
	slices.SortStableFunc(marks, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return verifyTiles(ctx, dir, marks, origin, verifiers...)
}

// against compares the marks of the tree's present size with its root, and gives the rest.
func (t *tiler) against(marks []Checkpoint) ([]Checkpoint, error) {
	for len(marks) > 0 && marks[0].Size == t.size {
		if t.root() != marks[0].Root {
			return nil, tenure.Errorf(tenure.Blocked, "the log isn't the one that the witness has seen: at %d entries it has another root", t.size)
		}
		marks = marks[1:]
	}
	return marks, nil
}
