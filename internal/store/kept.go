package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/gob"
	"maps"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tenurehq/tenure/audit"
)

// keepEvery is how many entries may be read again after a start.
const keepEvery = 10_000

// kept is what a ledger has read, in a file beside the store, sealed with the key of the
// rows' digests. Whoever takes the file away, or puts an older one there, makes the next
// process read more, and nothing else.
type kept struct {
	Size   int64
	Root   tlog.Hash
	Short  map[uint64]uint64
	Holds  map[string]string
	Covers map[string]string
	Events map[string]string
	Open   map[string]map[string]string
}

func sealOfKept(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("what the log was read to say, 2\x00"))
	mac.Write(body)
	return mac.Sum(nil)
}

// recall takes up what a process before this one has read, if this is its log. Any
// other file is passed over.
func (l *ledger) recall(q reader, file string, key []byte, size int64) {
	b, err := os.ReadFile(file)
	if err != nil || len(b) < sha256.Size {
		return
	}
	seal, body := b[:sha256.Size], b[sha256.Size:]
	if !hmac.Equal(seal, sealOfKept(key, body)) {
		return
	}
	var k kept
	if gob.NewDecoder(bytes.NewReader(body)).Decode(&k) != nil || k.Size > size {
		return
	}
	tree, err := audit.NewTree(k.Size, hashReader{q})
	if err != nil || tree.Root() != k.Root {
		return
	}
	l.tree, l.saved = tree, k.Size
	maps.Copy(l.short, k.Short) // an empty map comes back as nil
	maps.Copy(l.holds, k.Holds)
	maps.Copy(l.covers, k.Covers)
	maps.Copy(l.events, k.Events)
	for op, rows := range k.Open {
		if rows == nil {
			rows = make(map[string]string)
		}
		l.open[op] = rows
	}
}

// keep writes what was read into the file once it is much more than the file has. A
// failure only makes the next process read more.
func (l *ledger) keep(file string, key []byte) {
	if file == "" || l.tree == nil || l.tree.Size()-l.saved < keepEvery {
		return
	}
	var b bytes.Buffer
	if gob.NewEncoder(&b).Encode(kept{l.tree.Size(), l.tree.Root(), l.short, l.holds, l.covers, l.events, l.open}) != nil {
		return
	}
	l.saved = l.tree.Size() // also where it can't be written: not with each look
	next := file + ".new"
	if os.WriteFile(next, append(sealOfKept(key, b.Bytes()), b.Bytes()...), 0o600) == nil {
		_ = os.Rename(next, file)
	}
}
