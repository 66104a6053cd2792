package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

var (
	tiers   = []string{"", "free", "pro", "enterprise"}
	regions = []string{"", "eu", "us"}
)

func revision(n int) tenure.BlueprintRef {
	v := fmt.Sprint("1.", n)
	return tenure.BlueprintRef{Name: "small", Version: v, Digest: tenure.Digest([]byte(v))}
}

func labelled(region string, vip bool) map[string]string {
	out := map[string]string{}
	if region != "" {
		out["region"] = region
	}
	if vip {
		out["vip"] = ""
	}
	return out
}

// countedAnew counts the tenants themselves, as "label|tier|state|version: n".
func (f *fixture) countedAnew(t rapid.TB) map[string]int64 {
	t.Helper()
	out := make(map[string]int64)
	for after := tenure.TenantID(""); ; {
		page, err := f.Tenants(context.Background(), store.TenantFilter{Closed: true, Limit: 1000, After: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return out
		}
		for _, row := range page {
			for _, l := range append([]string{""}, tenure.LabelsText(row.Labels)...) {
				out[fmt.Sprintf("%s|%s|%s|%s", l, row.Tier, row.State, row.Blueprint.Version)]++
			}
			after = row.ID
		}
	}
}

// kept are the kept counts in the same form, read past the program.
func (f *fixture) kept(t rapid.TB, label string) map[string]int64 {
	t.Helper()
	out := make(map[string]int64)
	v := store.All
	if label != "" {
		v.Reach = tenure.Scope{Labels: []string{label}}
	}
	all, byTier, err := f.FleetCounts(context.Background(), v)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, c := range byTier {
		out[fmt.Sprintf("%s|%s|%s|%s", label, c.Tier, c.State, c.Blueprint.Version)] += c.N
		sum += c.N
	}
	for _, c := range all {
		sum -= c.N
	}
	if sum != 0 {
		t.Errorf("the counts by tier don't add up to those over all tiers: %d apart", sum)
	}
	return out
}

// countsAgree compares what is kept with a count of the tenants themselves.
func (f *fixture) countsAgree(t rapid.TB) {
	t.Helper()
	want := f.countedAnew(t)
	got := f.kept(t, "")
	for _, label := range []string{"region=eu", "region=us", "vip="} {
		for k, n := range f.kept(t, label) {
			got[k] = n
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("the kept counts (-counted anew +kept):\n%s", d)
	}
}

// A fleet page shows what is kept; if a change could leave it wrong, it would stay
// wrong for ever. So after each kind of change, alone, refused, or beside one that
// fails in the same commit, the counts are those of a fresh count.
func TestCountsFollowEveryChange(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		serial := 0
		rapid.Check(t, func(r *rapid.T) {
			made := []tenure.TenantID{}
			pick := func() tenure.TenantID { return rapid.SampledFrom(made).Draw(r, "tenant") }
			change := func() func(*store.Tx) error {
				kind := rapid.SampledFrom([]string{"create", "move", "bind", "label", "forget", "create twice"}).Draw(r, "change")
				if len(made) == 0 {
					kind = "create"
				}
				switch kind {
				case "create", "create twice":
					serial++
					row := store.TenantRow{Tenant: tenure.Tenant{
						ID: newID[tenure.TenantID](), Name: fmt.Sprint("t", serial), Parameters: []byte(`{}`), CreatedAt: start, Tier: rapid.SampledFrom(tiers).Draw(r, "tier"),
						Blueprint: revision(rapid.IntRange(0, 2).Draw(r, "revision")), Labels: labelled(rapid.SampledFrom(regions).Draw(r, "region"), rapid.Bool().Draw(r, "vip")),
					}}
					if kind == "create" {
						made = append(made, row.ID)
						return func(tx *store.Tx) error { return tx.CreateTenant(row) }
					}
					return func(tx *store.Tx) error { return errors.Join(tx.CreateTenant(row), tx.CreateTenant(row)) }
				case "move":
					id, m := pick(), rapid.SampledFrom(tenure.TenantTransitions).Draw(r, "move") // refused where it isn't there
					return func(tx *store.Tx) error { return tx.MoveTenant(id, m.From, m.To, start) }
				case "bind":
					id, bp, tier := pick(), revision(rapid.IntRange(0, 2).Draw(r, "revision")), rapid.SampledFrom(tiers).Draw(r, "tier")
					return func(tx *store.Tx) error { return tx.Bind(id, bp, tier, []byte(`{}`), nil, start) }
				case "label":
					id, labels := pick(), labelled(rapid.SampledFrom(regions).Draw(r, "region"), rapid.Bool().Draw(r, "vip"))
					version := rapid.SampledFrom([]int64{0, 0, 1}).Draw(r, "version")
					return func(tx *store.Tx) error { return tx.SetLabels(id, labels, version, start) }
				}
				id := pick()
				return func(tx *store.Tx) error { _, err := tx.Forget(id, start); return err }
			}
			for range rapid.IntRange(1, 5).Draw(r, "commits") {
				var beside sync.WaitGroup
				for range rapid.IntRange(1, 4).Draw(r, "writes at once") {
					do, fails := change(), rapid.IntRange(0, 3).Draw(r, "fails") == 0
					beside.Go(func() {
						_ = f.Write(context.Background(), func(tx *store.Tx) error {
							if err := do(tx); err != nil || !fails {
								return err
							}
							return tenure.Errorf(tenure.Blocked, "undone")
						})
					})
				}
				beside.Wait()
				f.countsAgree(r)
			}
		})
		var zeros int
		f.must(f.raw().QueryRow(`select count(*) from fleet_count where n <= 0`).Scan(&zeros))
		if zeros > 0 {
			t.Errorf("%d counts of nothing are kept; a label in one outlives its last tenant", zeros)
		}
	})
}

// When a tenant's own rows are forgotten, no label of it stays in the counts.
func TestForgottenLabelIsNotCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		f.write(func(tx *store.Tx) error {
			return tx.SetLabels(ten.ID, map[string]string{"customer": "acme-industries"}, 0, start)
		})
		look := func() (n int) {
			f.must(f.raw().QueryRow(`select count(*) from fleet_count where label like '%acme%'`).Scan(&n))
			return n
		}
		if look() != 1 {
			t.Fatal("the label isn't counted before it is forgotten: the look is wrong")
		}
		f.write(func(tx *store.Tx) error { _, err := tx.Forget(ten.ID, start); return err })
		if look() != 0 {
			t.Error("the label is still in the counts")
		}
	})
}

// Two processes change the same tenants at once: nobody is refused, nobody waits
// for ever, and the counts are right.
func TestCountsOfTwoProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		dbs := []*store.DB{f.DB, f.other()}
		var ids []tenure.TenantID
		for i := range 6 {
			ids = append(ids, f.tenant(fmt.Sprint("t", i)).ID)
		}
		var all sync.WaitGroup
		errs := make(chan error, 1000)
		for n := range 8 {
			all.Go(func() {
				for i := range 20 {
					id := ids[(i*(n+1)+n)%len(ids)]
					errs <- dbs[n%2].Write(context.Background(), func(tx *store.Tx) error {
						if err := tx.Log(entry("test.bind", string(id))); err != nil {
							return err
						}
						if (i+n)%3 == 0 {
							return tx.SetLabels(id, labelled(regions[i%3], i%2 == 0), 0, start)
						}
						return tx.Bind(id, revision((i+n)%3), tiers[(i+n)%4], []byte(`{}`), nil, start)
					})
				}
			})
		}
		all.Wait()
		close(errs)
		for err := range errs {
			f.must(err)
		}
		f.countsAgree(t)
		verified(t, f.DB)
	})
}

// What is taken off the counts is what was added to them, also where another
// process changes the tenant between the look and the change.
func TestCountsOfATenantThatAnotherChanges(t *testing.T) {
	t.Parallel()
	f := openStore(t, postgrestest.Database(t))
	other, ten := f.other(), f.tenant("acme")
	bind := func(tier string) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			return tx.Bind(ten.ID, tenure.BlueprintRef{}, tier, []byte(`{}`), nil, start)
		}
	}
	done := make(chan error, 1)
	f.write(func(tx *store.Tx) error {
		if err := bind("free")(tx); err != nil {
			return err
		}
		go func() { done <- other.Write(context.Background(), bind("pro")) }()
		f.waiting()
		return nil
	})
	f.must(<-done)
	f.countsAgree(t)
}

// olderStore makes a store of an older format, for writing into it as a program of that time did.
func olderStore(t *testing.T, d store.Dialect, dsn string, format int64) (*fixture, *sql.DB) {
	t.Helper()
	f := &fixture{t: t, dsn: dsn, DB: &store.DB{Dialect: d}}
	raw := f.raw()
	of := map[store.Dialect]database.Dialect{store.SQLite: database.DialectSQLite3, store.Postgres: database.DialectPostgres}[d]
	history, err := database.NewStore(of, "tenure_migration")
	f.must(err)
	p, err := goose.NewProvider("", raw, store.MigrationsOf(d), goose.WithStore(history))
	f.must(err)
	_, err = p.UpTo(t.Context(), format)
	f.must(err)
	for _, m := range append([]tenure.TenantMove{{To: tenure.TenantRequested}}, tenure.TenantTransitions...) {
		_, err = raw.Exec(`insert into tenant_move (from_state, to_state) values ($1, $2)`, string(m.From), string(m.To))
		f.must(err)
	}
	return f, raw
}

// A store of format 1 that has tenants has the right counts once it is opened,
// and its tenants are in the listings by tier and revision.
func TestCountsAreFilledByTheMigration(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, d store.Dialect, dsn string) {
		t.Parallel()
		f, raw := olderStore(t, d, dsn, 1)
		for i := range 40 {
			bp := fmt.Sprintf(`{"digest":"%s","name":"small","version":"1.%d"}`, revision(i%3).Digest, i%3)
			m := tenure.TenantTransitions[i%len(tenure.TenantTransitions)]
			_, err := raw.Exec(`insert into tenant (id, name, organization, contact, tier, state, previous, blocked, blueprint, parameters, features, anchors, created_at, updated_at, version)
				values ($1, $2, '', '', $3, $4, $5, '', $6, '{}', '', '', 1, 1, 1)`,
				string(tenure.NewID[tenure.TenantID](start.Add(time.Duration(i)*time.Second))), fmt.Sprint("t", i), tiers[i%4], string(m.To), string(m.From), bp)
			f.must(err)
		}
		f = openStore(t, dsn)
		f.countsAgree(t)
		page, err := f.Tenants(t.Context(), store.TenantFilter{Tier: "pro", Closed: true})
		f.must(err)
		if len(page) != 10 {
			t.Errorf("%d tenants of the tier pro, want 10", len(page))
		}
	}
	t.Run("sqlite", func(t *testing.T) { test(t, store.SQLite, filepath.Join(t.TempDir(), "tenure.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, store.Postgres, postgrestest.Database(t)) })
}

// A scope whose label is none must never read the row that counts all tenants.
func TestCountsOfAScopeThatNamesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.tenant("acme")
		for _, s := range []tenure.Scope{{Labels: []string{""}}, {Labels: []string{"region"}}, {Tiers: []string{""}}, {Tenants: []tenure.TenantID{""}}, {}} {
			for _, v := range []store.Visible{{Reach: s, Limit: store.All.Limit}, {Reach: store.All.Reach, Limit: s}, {Reach: s, Limit: s}} {
				all, byTier, err := f.FleetCounts(t.Context(), v)
				f.must(err)
				if len(all)+len(byTier) > 0 {
					t.Errorf("a scope of %s shows %v", strings.TrimSpace(fmt.Sprintf("%+v", v)), all)
				}
			}
		}
	})
}
