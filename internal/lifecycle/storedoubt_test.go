package lifecycle_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/witness"
)

// copyOf is a backup of a site's store, and putBack has the site go on with it.
func (s *site) copyOf() string {
	s.t.Helper()
	to := filepath.Join(s.t.TempDir(), "backup.db")
	raw, err := sql.Open("sqlite", "file:"+s.dsn)
	s.must(err)
	defer raw.Close()
	_, err = raw.Exec(`vacuum into ?`, to)
	s.must(err)
	return to
}

func (s *site) putBack(backup string) {
	s.t.Helper()
	s.Close()
	s.must(s.db.Close())
	for _, end := range []string{"-wal", "-shm"} {
		_ = os.Remove(s.dsn + end)
	}
	b, err := os.ReadFile(backup)
	s.must(err)
	s.must(os.WriteFile(s.dsn, b, 0o600))
	s.db, err = store.Open(context.Background(), store.Options{DSN: s.dsn})
	s.must(err)
	s.t.Cleanup(func() { _ = s.db.Close() })
	s.options.DB = s.db
	s.Service = s.service(s.options)
}

// A store from before a hold, put back beside the keystore that has seen more, or beside a
// witness that has, destroys nothing until two persons say that it is right: whatever its
// log grows to meanwhile, and however often the service starts.
func TestOlderStoreDestroysNothing(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"keystore", "witness"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s := newSite(t, func(o *lifecycle.Options) {
				if by == "witness" {
					o.Witness = witness.NewFile(filepath.Join(t.TempDir(), "seen"))
				}
			})
			s.onboard("acme")
			op := s.leave("acme")
			s.pass(15 * day)
			if got := s.state("acme"); got != tenure.TenantRetained {
				t.Fatalf("it is %s\n%s", got, s.show(op))
			}
			backup := s.copyOf()
			had := len(things(s.world, "acme"))
			s.holdAcme(op)
			if by == "witness" {
				_, _, err := s.Checkpoint(ctx)
				s.must(err)
			} else {
				s.keys.Note(ctx)
			}

			s.putBack(backup)
			s.must(s.CompareStore(ctx))
			if n := len(s.StoreDoubts()); n != 1 {
				t.Fatalf("an older store has %d doubts: %v", n, s.StoreDoubts())
			}
			for round := range 2 {
				s.pass(400 * day)
				contains(t, s.view(op).Reason, "what destroys waits until 2 persons confirm the store")
				before := s.show(op)
				if n := s.commits(func() { s.minute(s.Service, op) }); n > 0 {
					t.Errorf("waiting for the store's confirmation costs %d commits a minute\n%s\n%s", n, before, s.show(op))
				}
				for range 20 { // the log outgrows what was seen of the other one
					s.must(s.db.Write(ctx, func(tx *store.Tx) error {
						e, err := s.Entry(ctx, "note", "officer", "", "", "x", nil)
						if err != nil {
							return err
						}
						return tx.Log(e)
					}))
				}
				s.onboard(fmt.Sprintf("birch%d", round)) // what destroys nothing goes on
				s.keys.Note(ctx)
				s.Close()
				s.Service = s.service(s.options)
				s.must(s.CompareStore(ctx))
			}
			if left := len(things(s.world, "acme")); had == 0 || left != had {
				t.Fatalf("of %d things are left %d", had, left)
			}

			wantCode(t, s.ConfirmStore(ctx, " ", "ada"), tenure.Invalid, "the reason")
			wantCode(t, s.ConfirmStore(ctx, "restored", ""), tenure.Unauthorized)
			s.must(s.ConfirmStore(ctx, "restored from the backup", "ada"))
			wantCode(t, s.ConfirmStore(ctx, "restored from the backup", "Ada"), tenure.Conflict, "another person")
			s.settle()
			contains(t, s.view(op).Reason, "what destroys waits")
			s.Close()
			s.Service = s.service(s.options) // one word outlives a restart, and stays one
			s.must(s.CompareStore(ctx))
			s.must(s.ConfirmStore(ctx, "the hold is placed again, or isn't needed", "carl"))
			wantCode(t, s.ConfirmStore(ctx, "again", "dora"), tenure.Conflict, "nothing speaks against")
			if by == "witness" { // which keeps what it has seen, and another one takes its place
				s.options.Witness = witness.NewFile(filepath.Join(t.TempDir(), "seen"))
				s.Service = s.service(s.options)
			}
			s.through(op)
			s.wantState(op, tenure.OperationSucceeded)
			s.keys.Note(ctx)
			s.audited()
			if apart, err := s.Apart(ctx); err != nil || apart != "" {
				t.Errorf("afterwards: %q, %v", apart, err)
			}
		})
	}
}
