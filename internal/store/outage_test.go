package store_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// away is a store that a test takes away, and gives back.
type away struct {
	*fixture
	begin, end func()
}

// fillable is a store on SQLite whose file can't grow any more from begin to end.
func fillable(t *testing.T) away {
	f := openStore(t, filepath.Join(t.TempDir(), "tenure.db"))
	raw := f.raw()
	for _, q := range []string{`create table ballast (data blob)`, `insert into ballast values (zeroblob(4000000))`} {
		_, err := raw.Exec(q)
		f.must(err)
	}
	return away{f, func() {
		f.write(func(tx *store.Tx) error {
			var pages int64
			return tx.Row(`pragma max_page_count = 1`, nil, &pages) // no fewer than there are
		})
	}, func() {
		_, err := raw.Exec(`delete from ballast`)
		f.must(err)
	}}
}

// severable is a store on a PostgreSQL whose connections end, and can't be made again.
func severable(t *testing.T) away {
	p := postgrestest.NewProxy(t, postgrestest.Database(t))
	return away{openStore(t, p.DSN), p.Down, p.Heal}
}

// large is a write that doesn't fit into what is free in pages that are there.
func large(ctx context.Context, f *fixture, key string) error {
	return f.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`insert into idempotency (caller, key, path, body_digest, status, header, answer, created_at) values ('a', $1, '', '', 0, '', $2, 1)`, key, make([]byte, 1<<20))
		return err
	})
}

// TestOutage: while its disk is full, or its server away, a store refuses each write at
// once, is tried at growing intervals, and goes on by itself.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) away{"sqlite": fillable, "postgres": severable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			var begun, ended atomic.Int64
			tried := make(chan store.Outage, 64)
			f.ObserveOutages(func(o store.Outage, over bool) {
				if over {
					ended.Add(1)
					return
				}
				begun.Add(1)
				tried <- o
			})
			f.must(f.Await(t.Context()))
			if o := f.Outage(); o != nil {
				t.Fatalf("a store that is well: %v", o)
			}
			f.begin()
			before := time.Now()
			err := large(t.Context(), f.fixture, "first")
			for i := 0; err == nil && i < 8; i++ { // what was free before
				err = large(t.Context(), f.fixture, "more"+strings.Repeat("x", i))
			}
			o := store.OutageOf(err)
			if o == nil || tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
				t.Fatalf("a write to a store that is away: %v", err)
			}
			if o.Since.Before(before) || o.Since.After(time.Now()) || !strings.Contains(o.Says(), o.Since.UTC().Format("2006-01-02 15:04:05 UTC")) || strings.Contains(o.Says(), o.Cause.Error()) {
				t.Errorf("since %s it says %q", o.Since, o.Says())
			}
			longest := 100 * time.Millisecond
			for range 4 {
				next := <-tried
				if !next.Since.Equal(o.Since) || next.Next < longest/2 || next.Next > longest {
					t.Errorf("an outage since %s is tried again in %s, and at most in %s", next.Since, next.Next, longest)
				}
				longest *= 2
			}
			n := begun.Load()
			for range 1000 {
				if err := f.Write(t.Context(), func(*store.Tx) error { t.Error("a write is tried"); return nil }); store.OutageOf(err) == nil {
					t.Fatalf("a write meanwhile: %v", err)
				}
			}
			if more := begun.Load() - n; more > 3 {
				t.Errorf("1,000 writes made %d tries", more)
			}
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := f.Await(short); tenure.CodeOf(err) != tenure.Unavailable {
				t.Errorf("who waits for a store that is away: %v", err)
			}
			f.end()
			if !f.Outlast(t.Context(), err) {
				t.Error("the store doesn't come back")
			}
			if o := f.Outage(); o != nil || ended.Load() != 1 {
				t.Errorf("a store that is back: %v, told %d times", o, ended.Load())
			}
			f.must(large(t.Context(), f.fixture, "after"))
			var left int
			f.must(f.raw().QueryRow(`select count(*) from idempotency where caller = ''`).Scan(&left))
			if left != 0 {
				t.Errorf("%d rows of trials are left", left)
			}
		})
	}
}

// TestReadFindsOutage: who only reads finds an outage, too, and no other error is taken for one.
func TestReadFindsOutage(t *testing.T) {
	t.Parallel()
	f := severable(t)
	for _, err := range []error{nil, tenure.Errorf(tenure.Internal, "a fault"), tenure.Errorf(tenure.Unavailable, "a system is away").Retryable()} {
		if f.Outlast(t.Context(), err) || f.Outage() != nil {
			t.Errorf("%v counts as an outage", err)
		}
	}
	f.begin()
	_, err := f.LogSize(t.Context())
	if tenure.CodeOf(err) != tenure.Unavailable {
		t.Fatalf("a read of a server that is away: %v", err)
	}
	done := make(chan bool)
	go func() { done <- f.Outlast(t.Context(), err) }()
	for f.Outage() == nil {
		time.Sleep(time.Millisecond)
	}
	f.end()
	if !<-done {
		t.Error("who waited isn't let go on")
	}
	f.must(large(t.Context(), f.fixture, "after"))
}

// TestLostConnectionIsNoOutage: a connection that breaks while the server is there fails
// its own write alone.
func TestLostConnectionIsNoOutage(t *testing.T) {
	t.Parallel()
	p := postgrestest.NewProxy(t, postgrestest.Database(t))
	f := openStore(t, p.DSN)
	fired := p.CutAt("insert into idempotency")
	err := large(t.Context(), f, "cut")
	<-fired
	if tenure.CodeOf(err) != tenure.Unavailable || store.OutageOf(err) != nil || f.Outage() != nil {
		t.Errorf("a connection that broke: %v", err)
	}
	f.must(large(t.Context(), f, "after"))
}
