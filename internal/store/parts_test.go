package store_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// No part that a log covers is ever dropped: what the log says of it would be missed in
// every store. A part whose columns change is put into the log anew at the next start.
func TestNoPartIsDropped(t *testing.T) {
	t.Parallel()
	now := store.PartsNow()
	for name, columns := range store.FirstParts() {
		if now[name] == "" {
			t.Errorf("part %s (%s) isn't covered any more", name, columns)
		}
	}
	if len(store.FirstParts()) < 50 {
		t.Errorf("parts.txt has %d parts", len(store.FirstParts()))
	}
}

// What a newer program covers and the log doesn't is put into the log once, as it stands.
// Whoever has the store doesn't get that a second time, or for what the log covers already.
func TestPartsThatAreNewAreCovered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		older    map[string]string // what the log says that it covers, of what is other than now
		accepted bool
	}{
		{"a part that is new", map[string]string{"principal": ""}, true},
		{"a part with another column", map[string]string{"principal": "id | name"}, true},
		{"another part that is new", map[string]string{"delegation": ""}, false},
		{"nothing new, and the mark gone", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			path := filepath.Join(t.TempDir(), "tenure.db")
			open := func() *store.DB {
				db, err := store.Open(ctx, store.Options{DSN: path})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = db.Close() })
				if err := db.Seal(ctx, []byte(strings.Repeat("k", 32)), time.Now, true); err != nil {
					t.Fatal(err)
				}
				return db
			}
			db := open()
			who := store.Principal{ID: tenure.NewID[tenure.PrincipalID](time.Now()), Name: "ada", Kind: tenure.CallerPerson, CreatedAt: time.Now()}
			err := db.Write(ctx, func(tx *store.Tx) error {
				if err := tx.SavePrincipal(who); err != nil {
					return err
				}
				parts := store.PartsNow()
				for name, columns := range c.older {
					if delete(parts, name); columns != "" {
						parts[name] = columns
					}
				}
				if c.older == nil {
					return store.UnmarkParts(tx)
				}
				return store.SayParts(tx, parts)
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			past(t, path, `update principal set kind = 'machine', owner = 'eve' where name = 'ada'`)
			caller := tenure.Caller{Principal: who.ID, Name: "ada", Kind: tenure.CallerPerson}
			for range 2 {
				db = open()
				err = db.VouchedCaller(ctx, caller, nil)
				if c.accepted != (err == nil) {
					t.Errorf("what had been changed before gives %v", err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			past(t, path, `update meta set value = 'yet another' where key = 'rows_parts'`)
			past(t, path, `update principal set owner = 'mallory' where name = 'ada'`)
			if err := open().VouchedCaller(ctx, caller, nil); err == nil || !strings.Contains(err.Error(), "principal ") {
				t.Errorf("a change afterwards gives %v", err)
			}
		})
	}
}
