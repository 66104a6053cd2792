package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// A process goes on where the one before it had read the log, by a file that is sealed. A file
// that isn't this log's, or that somebody wrote, counts as none.
func TestLedgerGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	key := []byte("a key of the rows, 32 bytes long")
	file := filepath.Join(dir, "ledger")
	open := func(path, ledger string) *store.DB {
		t.Helper()
		db, err := store.Open(ctx, store.Options{DSN: path, Ledger: ledger})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if err := db.Seal(ctx, key, time.Now, true); err != nil {
			t.Fatal(err)
		}
		return db
	}
	fill := func(db *store.DB) {
		t.Helper()
		err := db.Write(ctx, func(tx *store.Tx) error {
			for range 10_000 {
				if err := tx.Log(audit.Entry{Format: audit.Format, At: time.Now().Truncate(time.Microsecond), Kind: "test.entry"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "tenure.db")
	db := open(path, file)
	fill(db)
	who := store.Principal{ID: tenure.NewID[tenure.PrincipalID](time.Now()), Name: "ada", Kind: tenure.CallerPerson, CreatedAt: time.Now()}
	if err := db.Write(ctx, func(tx *store.Tx) error { return tx.SavePrincipal(who) }); err != nil {
		t.Fatal(err)
	}
	caller := tenure.Caller{Principal: who.ID, Name: "ada", Kind: tenure.CallerPerson}
	if err := db.VouchedCaller(ctx, caller, nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := open(filepath.Join(dir, "other.db"), filepath.Join(dir, "other"))
	fill(other)
	if err := other.VouchedHolds(ctx); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	// What the file's process had checked isn't read again: so it shows whether the file was taken up.
	past(t, path, `update audit_entry set body = cast('{}' as blob) where idx = 3`)
	for name, c := range map[string]struct {
		file  []byte
		whole bool
	}{
		"its own": {good, true}, "none": {nil, false}, "another log's": {foreign, false}, "cut": {good[:len(good)/2], false},
		"changed": {append(append([]byte{}, good[:40]...), append([]byte{good[40] ^ 1}, good[41:]...)...), false},
		"nothing": {[]byte{}, false},
	} {
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		if c.file != nil {
			if err := os.WriteFile(file, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		db := open(path, file)
		switch err := db.VouchedCaller(ctx, caller, nil); {
		case c.whole && err != nil:
			t.Errorf("%s: %v", name, err)
		case !c.whole && (err == nil || !strings.Contains(err.Error(), "the log itself was changed")):
			t.Errorf("%s: the file was taken: %v", name, err)
		}
		if c.whole { // and what comes after it is read
			past(t, path, `update principal set display = 'x' where name = 'ada'`)
			if err := db.VouchedCaller(ctx, caller, nil); err == nil || !strings.Contains(err.Error(), "was changed") {
				t.Errorf("%s: a forged row: %v", name, err)
			}
			past(t, path, `update principal set display = '' where name = 'ada'`)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// past changes a SQLite store past the program.
func past(t *testing.T, path, q string) {
	t.Helper()
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	r, err := raw.Exec(q)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := r.RowsAffected(); n == 0 {
		t.Fatalf("%s changed nothing", q)
	}
}
