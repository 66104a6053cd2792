package governance_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/identity"
	"github.com/tenurehq/tenure/internal/store"
)

// Whoever writes their own identity or address into another's row, and puts the row back once they are signed in, would
// have a session that is good by itself: nobody is signed in by a row that isn't as the log says.
func TestForgedIdentitySignsNobodyIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ forge, mend string }{
		"the identity": {
			`update principal set issuer = 'https://idp.example', subject = 'mallory' where name = 'ada'`,
			`update principal set issuer = 'https://idp.example', subject = 'ada' where name = 'ada'`,
		},
		"the address": {
			`update principal set email = 'mallory@example.com' where name = 'bob'`,
			`update principal set email = 'bob@example.com' where name = 'bob'`,
		},
		"let in again": {
			`update principal set state = 'active' where name = 'eve'`,
			`update principal set state = 'disabled' where name = 'eve'`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, d := t.Context(), newDoor(t, nil)
			file := filepath.Join(t.TempDir(), "tenure.db")
			db, err := store.Open(ctx, store.Options{DSN: file})
			d.must(err)
			t.Cleanup(func() { _ = db.Close() })
			d.must(db.Seal(ctx, []byte("a key of the test's own, 32 bytes"), d.clock, true))
			d.on(db, nil)
			d.person("ada", tenure.Admin)
			d.person("bob", tenure.Admin)
			eve := d.person("eve", tenure.Admin)
			who := func(name string) identity.Identity {
				return identity.Identity{Issuer: "https://idp.example", Subject: name, Email: name + "@example.com", Strong: true}
			}
			for _, name := range []string{"ada", "eve", "ada"} {
				p, err := governance.Known(d.Governor, ctx, who(name))
				if err != nil || p.Name != name {
					t.Fatalf("%s signs in as %s: %v", name, p.Name, err)
				}
			}
			d.must(db.Write(ctx, func(tx *store.Tx) error { return tx.SetPrincipalState(eve.Principal, true, 0) }))
			raw, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
			d.must(err)
			t.Cleanup(func() { _ = raw.Close() })
			_, err = raw.Exec(c.forge)
			d.must(err)
			for _, name := range []string{"mallory", "eve"} {
				if name == "eve" && !strings.Contains(c.forge, "eve") {
					continue
				}
				if p, err := governance.Known(d.Governor, ctx, who(name)); err == nil {
					t.Errorf("%s is signed in as %s", name, p.Name)
				}
			}
			_, err = raw.Exec(c.mend)
			d.must(err)
			for _, name := range []string{"ada", "bob"} {
				if p, err := governance.Known(d.Governor, ctx, who(name)); err != nil || p.Name != name {
					t.Errorf("%s signs in as %q once the row is back: %v", name, p.Name, err)
				}
			}
		})
	}
}
