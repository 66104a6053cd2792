package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// The tree is right after every kind of write: small and large batches, failed
// ones between them, and a restart.
func TestLogAcrossFailures(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		want := int64(0)
		for round, n := range []int{1, 3, 8, 1, 33, 100, 2, 41} {
			f.write(func(tx *store.Tx) error {
				for i := range n {
					if err := tx.Log(entry("test.line", fmt.Sprint(round, "/", i))); err != nil {
						return err
					}
				}
				return nil
			})
			want += int64(n)
			fails := errors.New("undone")
			err := f.Write(ctx, func(tx *store.Tx) error {
				if err := tx.Log(entry("test.undone", fmt.Sprint(round))); err != nil {
					return err
				}
				return fails
			})
			if !errors.Is(err, fails) {
				t.Fatalf("got %v", err)
			}
			if got := verified(t, f.DB); got != want {
				t.Fatalf("after round %d the log has %d entries, want %d", round, got, want)
			}
		}
		f.must(f.Close())
		again := openStore(t, f.dsn)
		again.write(func(tx *store.Tx) error { return tx.Log(entry("test.line", "last")) })
		if got := verified(t, again.DB); got != want+1 {
			t.Errorf("after a restart the log has %d entries, want %d", got, want+1)
		}
		for r, err := range again.Entries(ctx, 0) {
			f.must(err)
			e, err := audit.Decode(r.Entry)
			f.must(err)
			if e.Kind != "test.line" {
				t.Errorf("entry %d is of a write that was undone: %s", r.Index, e.Kind)
			}
		}
	})
}

// Two processes on one PostgreSQL database append to one tree.
func TestLogOfTwoProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		other := f.other()
		const each = 40
		var all sync.WaitGroup
		for i, db := range []*store.DB{f.DB, other} {
			for w := range 4 {
				all.Go(func() {
					for n := range each / 4 {
						err := db.Write(context.Background(), func(tx *store.Tx) error { return tx.Log(entry("test.line", fmt.Sprint(i, "/", w, "/", n))) })
						if err != nil {
							t.Errorf("process %d: %v", i, err)
						}
					}
				})
			}
		}
		all.Wait()
		if n := verified(t, other); n != 2*each {
			t.Errorf("the log has %d entries, want %d", n, 2*each)
		}
	})
}

// What a person with the database changes in the log is seen and named.
func TestTamperedLog(t *testing.T) {
	for name, c := range map[string]struct {
		want   audit.Fault
		tamper func(exec func(query string, args ...any), bodies [][]byte)
	}{
		"changed": {audit.EntryChanged, func(exec func(string, ...any), b [][]byte) {
			exec(`update audit_entry set body = $1 where idx = 3`, bytes.Replace(b[3], []byte("test.line"), []byte("test.lies"), 1))
		}},
		"reordered": {audit.EntryOrder, func(exec func(string, ...any), b [][]byte) {
			exec(`update audit_entry set body = $1 where idx = 3`, b[4])
			exec(`update audit_entry set body = $1 where idx = 4`, b[3])
		}},
		"dropped": {audit.EntryMissing, func(exec func(string, ...any), _ [][]byte) {
			exec(`delete from audit_entry where idx = 3`)
		}},
		"added": {audit.EntryUnknown, func(exec func(string, ...any), b [][]byte) {
			exec(`insert into audit_entry (idx, body) values (10, $1)`, bytes.Replace(b[9], []byte("test.line"), []byte("test.more"), 1))
		}},
		"cut short": {audit.HeadDiffers, func(exec func(string, ...any), _ [][]byte) {
			exec(`update audit_head set size = 9`)
		}},
		"hash gone": {audit.NodeMissing, func(exec func(string, ...any), _ [][]byte) {
			exec(`delete from audit_node where first = (select max(first) from audit_node)`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, f *fixture) {
				ctx := context.Background()
				for i := range 10 {
					f.write(func(tx *store.Tx) error { return tx.Log(entry("test.line", fmt.Sprint(i))) })
				}
				_, root, err := f.Root(ctx)
				f.must(err)
				var bodies [][]byte
				for r, err := range f.Entries(ctx, 0) {
					f.must(err)
					bodies = append(bodies, bytes.Clone(r.Entry))
				}
				raw := f.raw()
				c.tamper(func(query string, args ...any) {
					_, err := raw.ExecContext(ctx, query, args...)
					f.must(err)
				}, bodies)
				size, err := f.LogSize(ctx)
				f.must(err)
				report, err := audit.Verify(ctx, audit.Log{Size: size, Root: root, Records: f.Entries(ctx, 0), Nodes: f.Nodes(ctx)})
				f.must(err)
				if !slices.ContainsFunc(report.Problems, func(p audit.Problem) bool { return p.Fault == c.want }) {
					t.Errorf("the check names %v, want %s among them", report.Problems, c.want)
				}
			})
		})
	}
}

func TestCheckpoints(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		if last, err := f.LastCheckpoint(ctx); err != nil || last != nil {
			t.Errorf("before the first checkpoint: %q, %v", last, err)
		}
		f.must(f.SaveCheckpoint(ctx, 9, []byte("nine"), start))
		f.must(f.SaveCheckpoint(ctx, 100, []byte("hundred"), start))
		f.must(f.SaveCheckpoint(ctx, 9, []byte("another nine"), start))
		var got []string
		for note, err := range f.Checkpoints(ctx) {
			f.must(err)
			got = append(got, string(note))
		}
		if d := cmp.Diff([]string{"nine", "hundred"}, got); d != "" {
			t.Errorf("checkpoints (a size is signed once):\n%s", d)
		}
		if last, err := f.LastCheckpoint(ctx); err != nil || string(last) != "hundred" {
			t.Errorf("the last checkpoint is %q, %v", last, err)
		}
	})
}

// A fact about the installation, such as its id, is written once.
func TestMeta(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		if v, err := f.Meta(ctx, "installation"); err != nil || v != "" {
			t.Errorf("before it is set: %q, %v", v, err)
		}
		f.must(f.SetMeta(ctx, "installation", "first"))
		f.must(f.SetMeta(ctx, "installation", "second"))
		if v, err := f.Meta(ctx, "installation"); err != nil || v != "first" {
			t.Errorf("got %q, %v; the first word counts", v, err)
		}
	})
}
