package postgres

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestRecordTakesNothingAlong deletes an account to which a neighbour's rows refer:
// it is Blocked and names them, whatever the constraint would do.
func TestRecordTakesNothingAlong(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"cascade", "set null", "no action"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			postgrestest.Exec(t, w.dsn, `create schema s; create table s.accounts (id serial unique, login text primary key, boss int references s.accounts (id), tenure_mark text);
create table s.posts (tenant_key text, author int references s.accounts (id) on delete `+action+")")
			own := desired("account", "admin", map[string]any{"schema": "s", "table": "accounts", "key": map[string]any{"login": "acme-admin"}})
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, "update s.accounts set boss = id; insert into s.posts select 'birch', id from s.accounts")
			_, err := d.Delete(t.Context(), own.Ref)
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "1 row of s.posts by author") {
				t.Errorf("delete: %v, want blocked by the post", err)
			}
			if n := postgrestest.Value[int](t, w.dsn, "select count(author) from s.posts"); n != 1 {
				t.Errorf("%d posts have their author, want 1", n)
			}
			postgrestest.Exec(t, w.dsn, "delete from s.posts")
			if rec, err := d.Delete(t.Context(), own.Ref); err != nil || !rec.Changed {
				t.Errorf("delete without posts: %+v, %v", rec, err)
			}
		})
	}
}
