package audit_test

import (
	"crypto/ed25519"
	"fmt"
	"iter"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "tenure.test/log"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// tb is what testing.TB and rapid.T share.
type tb interface {
	Helper()
	Fatal(args ...any)
}

// newSigner makes the same key for the same name, so that runs can be compared.
func newSigner(t tb, name string) *audit.Signer {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	s, err := audit.NewSigner(name, ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// memLog is a log in memory, as a store would keep it.
type memLog struct {
	records []audit.Record
	rows    []audit.NodeRow
	tree    *audit.Tree
}

// grow appends leaves "<from>"… in one group, as one row.
func (l *memLog) grow(t tb, n int) {
	t.Helper()
	if l.tree == nil {
		l.tree = &audit.Tree{}
	}
	var leaves [][]byte
	for range n {
		i := int64(len(l.records))
		e := audit.Entry{Format: audit.Format, At: noon, Kind: "test.grown", Subject: fmt.Sprint(i),
			Tenant: tenure.DeriveID[tenure.TenantID](noon, "acme")}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, b)
		l.records = append(l.records, audit.Record{Index: i, Entry: b})
	}
	batch, next := l.tree.Prepare(leaves)
	l.rows = append(l.rows, audit.NodeRow{First: batch.First, Hashes: batch.Hashes})
	l.tree = next
}

// ReadHashes reads from the packed rows.
func (l *memLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		found := false
		for _, r := range l.rows {
			if n := int64(len(r.Hashes) / tlog.HashSize); i >= r.First && i < r.First+n {
				out = append(out, tlog.Hash(r.Hashes[(i-r.First)*tlog.HashSize:][:tlog.HashSize]))
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("no stored hash %d", i)
		}
	}
	return out, nil
}

func (l *memLog) checkpoint(t tb, s note.Signer) []byte {
	t.Helper()
	c, err := audit.SignCheckpoint(audit.Checkpoint{Origin: origin, Size: l.tree.Size(), Root: l.tree.Root()}, s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (l *memLog) log(verifiers ...note.Verifier) audit.Log {
	return audit.Log{
		Size: l.tree.Size(), Root: l.tree.Root(), Records: all(l.records), Nodes: all(l.rows),
		Origin: origin, Verifiers: verifiers,
	}
}

func (l *memLog) entries() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, r := range l.records {
			if !yield(r.Entry, nil) {
				return
			}
		}
	}
}

func all[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}
