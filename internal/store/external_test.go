package store_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

func (f *fixture) knownAs(t *testing.T, id string, want ...tenure.TenantID) {
	t.Helper()
	got, err := f.TenantsKnownAs(t.Context(), id, "", "")
	f.must(err)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q is %v, want %v", id, got, want)
	}
}

// What other systems called tenants before there was an index of it finds them once the store is opened.
func TestExternalIDsAreFilledByTheMigration(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, d store.Dialect, dsn string) {
		t.Parallel()
		f, raw := olderStore(t, d, dsn, 27)
		ids := map[string]tenure.TenantID{}
		for _, known := range []string{"", "one", "one\ntwo\nthré%_e", "two'\nthree\nthree"} {
			ids[known] = newID[tenure.TenantID]()
			_, err := raw.Exec(`insert into tenant (id, name, organization, contact, tier, state, previous, blocked, blueprint, parameters, features, anchors, external_ids, created_at, updated_at, version)
				values ($1, $2, '', '', '', 'requested', '', '', '', '{}', '', '', $3, 1, 1, 1)`, string(ids[known]), "t"+string(ids[known]), known)
			f.must(err)
		}
		f.must(raw.Close())
		f = openStore(t, dsn)
		f.knownAs(t, "one", ids["one"], ids["one\ntwo\nthré%_e"])
		f.knownAs(t, "two", ids["one\ntwo\nthré%_e"])
		f.knownAs(t, "thré%_e", ids["one\ntwo\nthré%_e"])
		f.knownAs(t, "three", ids["two'\nthree\nthree"])
		f.knownAs(t, "")
		f.knownAs(t, "one\ntwo")
	}
	t.Run("sqlite", func(t *testing.T) { test(t, store.SQLite, filepath.Join(t.TempDir(), "tenure.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, store.Postgres, postgrestest.Database(t)) })
}

// The index of what other systems call tenants follows what is set, and goes with a tenant.
func TestExternalIDsFollow(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.tenant("a").ID, f.tenant("b").ID
		set := func(id tenure.TenantID, externals ...string) {
			f.write(func(tx *store.Tx) error {
				return tx.SetKnownBy(id, tenure.KnownBy{ExternalIDs: externals}, 0, start)
			})
		}
		set(a, "cus_1", "crm 7")
		set(b, "cus_2")
		f.knownAs(t, "cus_1", a)
		f.knownAs(t, "CUS_1")
		set(a, "cus_2")
		f.knownAs(t, "cus_1")
		f.knownAs(t, "crm 7")
		f.knownAs(t, "cus_2", a, b)
		set(b)
		f.knownAs(t, "cus_2", a)
	})
}

// Operations are found by their triggers without all of them being read.
func TestTriggersAreFoundByAnIndex(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		raw, plan := f.raw(), ""
		explain := "explain query plan select id from operation"
		if f.Dialect == store.Postgres {
			raw.SetMaxOpenConns(1)
			_, err := raw.Exec("set enable_seqscan = off")
			f.must(err)
			explain = "explain select id from operation"
		}
		rows, err := raw.Query(strings.NewReplacer("$1", "'a'", "$2", "'b'").Replace(explain + store.OfTrigger))
		f.must(err)
		columns, err := rows.Columns()
		f.must(err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			var line string
			values[len(values)-1] = &line
			f.must(rows.Scan(values...))
			plan += line + "\n"
		}
		f.must(rows.Err())
		if !strings.Contains(plan, "operation_trigger") {
			t.Errorf("it is read by\n%s", plan)
		}
	})
}
