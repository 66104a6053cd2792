package store_test

import (
	"context"
	"slices"
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
