package store_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// What changes the program's words on PostgreSQL is named, and no hold is vouched for beside it; an untouched store has nothing of the kind.
func TestPlantedOnPostgres(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := postgrestest.Database(t)
	db, err := store.Open(ctx, store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Seal(ctx, []byte("a key of the rows, 32 bytes long"), time.Now, true); err != nil {
		t.Fatal(err)
	}
	if err := db.VouchedHolds(ctx); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, dsn, `create function elsewhere() returns trigger language plpgsql as 'begin new.tenant := ''ten_other''; return new; end'`)
	postgrestest.Exec(t, dsn, `create trigger elsewhere before insert on hold for each row execute function elsewhere()`)
	postgrestest.Exec(t, dsn, `create rule quiet as on insert to approval do instead nothing`)
	postgrestest.Exec(t, dsn, `alter table exception enable row level security`)
	postgrestest.Exec(t, dsn, `create view some_holds as select * from hold`)
	got, err := db.Planted(ctx)
	want := []string{"row security of exception", "rule quiet of approval", "trigger elsewhere", "view some_holds"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v, not %q", got, err, want)
	}
	if err := db.VouchedHolds(ctx); err == nil {
		t.Error("the holds are vouched for")
	}
}

// What is planted is named wherever the program's words lead: in a schema that the search path puts before the store's,
// in a table that is a part of the store's, and in functions before PostgreSQL's own. What an extension brings is no
// table of the program's, and named by nobody.
func TestPlantedBesideTheStore(t *testing.T) {
	t.Parallel()
	const narrow = `create function public.narrow() returns trigger language plpgsql as 'begin new.tenant := ''ten_other''; return new; end'; create trigger narrow before insert on public.hold for each row execute function public.narrow()`
	const migrated = `create table evil.tenure_migration as select * from public.tenure_migration`
	for name, c := range map[string]struct {
		plant []string
		want  []string
	}{
		"another schema first": {[]string{narrow, `create schema evil`, migrated, `alter role current_user set search_path = evil, public`},
			[]string{"table tenure_migration in another schema, evil", "trigger narrow"}},
		"another table first": {[]string{`create schema evil`, migrated, `create table evil.hold (like public.hold including all)`, `alter role current_user set search_path = evil, public`},
			[]string{"table hold in another schema, evil", "table tenure_migration in another schema, evil"}},
		"a part of a table":   {[]string{`create table more () inherits (public.hold)`}, []string{"table more, a part of hold"}},
		"its own functions":   {[]string{`alter role current_user set search_path = public, pg_catalog`}, []string{"search path public, pg_catalog"}},
		"an extension's view": {[]string{`create extension if not exists pg_buffercache`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			dsn := postgrestest.Database(t)
			open := func() *store.DB {
				db, err := store.Open(ctx, store.Options{DSN: dsn})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = db.Close() })
				return db
			}
			_ = open().Close()
			for _, q := range c.plant {
				if u, err := url.Parse(dsn); err == nil {
					q = strings.ReplaceAll(q, "alter role current_user set", "alter role current_user in database "+strings.Trim(u.Path, "/")+" set")
				}
				postgrestest.Exec(t, dsn, q)
			}
			if got, err := open().Planted(ctx); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q %v, not %q", got, err, c.want)
			}
		})
	}
}
