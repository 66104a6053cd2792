package store_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// change writes a resource's row as an operation does.
func (f *fixture) change(op store.NewOperation, r store.ResourceWrite) {
	f.t.Helper()
	f.must(f.CommitSteps(context.Background(), &store.StepCommit{
		Operation: op.ID, Version: f.version(op.ID), State: tenure.OperationRunning, DueAt: start, Now: start, Resources: []store.ResourceWrite{r},
	}))
}

// Two tenants never stand on one thing; the name is free when it is gone.
func TestResourceName(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		a, b := f.tenant("a"), f.tenant("b")
		r := f.resource(a.ID, "schema", "shared")
		theirs := r
		theirs.ID, theirs.Tenant = newID[tenure.ResourceID](), b.ID
		save := func(tx *store.Tx) error { return tx.SaveResource(theirs) }
		refused(t, f.Write(ctx, save), tenure.Conflict, "shared", "somebody else")
		op := f.operation(request(a.ID, tenure.Offboard, 1, r.ID))
		f.change(op, store.ResourceWrite{ID: r.ID, State: tenure.ResourceGone, Verdict: tenure.Verified})
		f.write(save)
		left, err := f.Resources(ctx, a.ID, false)
		f.must(err)
		all, err := f.Resources(ctx, a.ID, true)
		f.must(err)
		if len(left) != 0 || len(all) != 1 {
			t.Errorf("the first tenant has %d, and had %d", len(left), len(all))
		}
	})
}

// The plan writes the inventory before the first call; written again it keeps
// where the thing stands.
func TestSaveResource(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		base := f.resource(ten.ID, "schema", "acme_prod")
		want := tenure.Resource{
			ID: newID[tenure.ResourceID](), Tenant: ten.ID, Environment: "prod", Key: "db", System: "main", Type: "role", Name: "acme", Layer: tenure.LayerAccount,
			State: tenure.ResourcePlanned, Desired: []byte(`{"seats":5}`), Classes: []string{"orders", "people"}, Needs: []tenure.ResourceID{base.ID},
			CreatedAt: start, UpdatedAt: start, Version: 1,
		}
		f.write(func(tx *store.Tx) error { return tx.SaveResource(want) })
		got, err := f.Resource(ctx, want.ID)
		f.must(err)
		got.Observed = nil // blank
		if d := cmp.Diff(want, got.Resource); d != "" {
			t.Errorf("a resource comes back changed (-stored +read):\n%s", d)
		}
		op := f.operation(request(ten.ID, tenure.Onboard, 1, want.ID))
		f.change(op, store.ResourceWrite{ID: want.ID, State: tenure.ResourcePresent, Verdict: tenure.Verified, Normal: []byte(`{"seats":5}`), Observed: []byte(`{"seats":5}`)})
		want.Desired, want.UpdatedAt = []byte(`{"seats":9}`), start.Add(time.Hour)
		f.write(func(tx *store.Tx) error { return tx.SaveResource(want) })
		got, err = f.Resource(ctx, want.ID)
		f.must(err)
		if got.State != tenure.ResourcePresent || string(got.Desired) != `{"seats":9}` || string(got.Normal) != `{"seats":5}` || !got.CreatedAt.Equal(start) {
			t.Errorf("written again: %+v", got)
		}
		// Nil fields of a write stay as they were.
		f.change(op, store.ResourceWrite{ID: want.ID, State: tenure.ResourceSuspended, Verdict: tenure.Claimed})
		got, err = f.Resource(ctx, want.ID)
		f.must(err)
		if got.State != tenure.ResourceSuspended || string(got.Observed) != `{"seats":5}` {
			t.Errorf("after a write without an observation: %+v", got)
		}
	})
}

// The inventory streams in byte order on both databases: the merge with what a
// system shows relies on it.
func TestInventoryOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		for _, name := range []string{"b", "B", "a-b", "a_b", "ab", "é", "Z", "a", "~"} {
			f.resource(ten.ID, "schema", name)
		}
		f.resource(ten.ID, "Role", "z")
		var got []string
		f.must(f.Inventory(t.Context(), "main", ten.ID, func(r store.InventoryRow) error {
			got = append(got, r.Type+" "+r.Name)
			return nil
		}))
		want := []string{"Role z", "schema B", "schema Z", "schema a", "schema a-b", "schema a_b", "schema ab", "schema b", "schema ~", "schema é"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("order (-want +got):\n%s", d)
		}
		n := 0
		f.must(f.Inventory(t.Context(), "other", "", func(store.InventoryRow) error { n++; return nil }))
		if n != 0 {
			t.Errorf("another system shows %d of them", n)
		}
	})
}

// A credential is handed over once.
func TestSecret(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		r := f.resource(f.tenant("acme").ID, "role", "acme")
		save := func(key string, replace bool) {
			f.write(func(tx *store.Tx) error {
				return tx.SaveSecret(r.ID, store.Secret{Key: key, Box: []byte{0, 1, 0xff}}, start, replace)
			})
		}
		claim := func() error {
			return f.Write(ctx, func(tx *store.Tx) error { return tx.ClaimSecret(r.ID, start.Add(time.Hour)) })
		}
		save("k1", false)
		save("k2", false) // a step that runs again keeps the first
		s, _, claimed, err := f.Secret(ctx, r.ID)
		f.must(err)
		if s.Key != "k1" || string(s.Box) != "\x00\x01\xff" || !claimed.IsZero() {
			t.Errorf("got %v, claimed %v", s, claimed)
		}
		f.must(claim())
		refused(t, claim(), tenure.Conflict, "already")
		save("k3", true)
		f.must(claim())
		f.write(func(tx *store.Tx) error { return tx.DropSecret(r.ID) })
		_, _, _, err = f.Secret(ctx, r.ID)
		refused(t, err, tenure.NotFound)
	})
}

// What an operation replaces is kept aside until it has ended, and a listing says which
// operation made what is kept, when, and who asked for it.
func TestReplacedSecret(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		r := f.resource(ten.ID, "role", "acme")
		op := request(ten.ID, tenure.Repair, 1, r.ID)
		f.operation(op)
		save := func(by tenure.OperationID, box string, at time.Time) {
			f.write(func(tx *store.Tx) error {
				return tx.SaveSecret(r.ID, store.Secret{Key: "k", Box: []byte(box), Operation: by}, at, true)
			})
		}
		save("", "first", start)
		save(op.ID, "second", start.Add(time.Hour))
		old, err := f.ReplacedSecret(ctx, r.ID, op.ID)
		if err != nil || string(old.Box) != "first" {
			t.Errorf("the operation has replaced %q, %v", old.Box, err)
		}
		rows, err := f.SecretRows(ctx, store.SecretFilter{Before: start.Add(2 * time.Hour), Limit: 10})
		f.must(err)
		if len(rows) != 1 || rows[0].Operation != op.ID || rows[0].RequestedBy != op.RequestedBy || !rows[0].FirstAt.Equal(start) || !rows[0].MadeAt.Equal(start.Add(time.Hour)) || rows[0].TenantName != "acme" {
			t.Errorf("the listing is %+v", rows)
		}
		for _, none := range []store.SecretFilter{{Before: start, Limit: 10}, {Tenant: "ten_other", Limit: 10}, {After: r.ID, Limit: 10}, {Limit: 10, Visible: &store.Visible{}}} {
			if rows, err = f.SecretRows(ctx, none); err != nil || len(rows) != 0 {
				t.Errorf("%+v lists %+v, %v", none, rows, err)
			}
		}
		if all, err := f.Replacements(ctx); err != nil || len(all) != 0 {
			t.Errorf("while the operation runs, %+v are to be settled: %v", all, err)
		}
		one := store.Replacement{Resource: r.ID, Operation: op.ID}
		f.write(func(tx *store.Tx) error { return tx.ForgetReplaced(one, true) })
		if back, made, _, err := f.Secret(ctx, r.ID); err != nil || string(back.Box) != "first" || !made.Equal(start) {
			t.Errorf("put back is %q of %s, %v", back.Box, made, err)
		}
		_, err = f.ReplacedSecret(ctx, r.ID, op.ID)
		refused(t, err, tenure.NotFound)
		save(op.ID, "third", start.Add(2*time.Hour))
		f.write(func(tx *store.Tx) error { return tx.DropSecret(r.ID) })
		_, err = f.ReplacedSecret(ctx, r.ID, op.ID)
		refused(t, err, tenure.NotFound)
	})
}

// After a tenant is forgotten, nothing that it or its people said is in Tenure's
// own rows, nor, on SQLite, in a byte of the files; ids, states and dates stay.
func TestForget(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		const mark = "zqxmark"
		ten := store.TenantRow{Tenant: tenure.Tenant{
			ID: newID[tenure.TenantID](), Name: mark, Organization: mark + " Ltd", Contact: "p@" + mark + ".example", Parameters: []byte(`{"host":"` + mark + `"}`), CreatedAt: start,
		}, Features: map[string]bool{mark: true}}
		f.write(func(tx *store.Tx) error { return tx.CreateTenant(ten) })
		neighbour := f.tenant("neighbour")
		r := f.resource(ten.ID, "schema", mark)
		op := request(ten.ID, tenure.Onboard, 1, r.ID)
		op.Trigger = "crm:" + mark
		f.operation(op)
		f.must(f.CommitSteps(ctx, claim(op, 1, "owner", tenure.StepPending, 0, time.Hour)))
		c := result(op, f.version(op.ID), 1, tenure.Verified)
		c.State, c.Ended = tenure.OperationSucceeded, true
		c.Results[0].Receipt, c.Results[0].Error, c.Results[0].Progress = mark, mark, mark
		c.Resources = []store.ResourceWrite{{ID: r.ID, State: tenure.ResourcePresent, Verdict: tenure.Verified, Normal: []byte(`"` + mark + `"`), Observed: []byte(`"` + mark + `"`)}}
		f.must(f.CommitSteps(ctx, c))
		f.write(func(tx *store.Tx) error {
			plan := &tenure.Plan{Format: tenure.PlanFormat, Kind: tenure.Onboard, Tenant: ten.ID, At: start, Name: mark}
			body, digest, err := plan.Encode()
			if err != nil {
				return err
			}
			return firstError(
				tx.SavePlan(digest, body, plan, "ada"), tx.SetBlocked(ten.ID, "the host of "+mark+" is down", start),
				tx.SaveSecret(r.ID, store.Secret{Key: "k", Box: []byte(mark)}, start, true),
				tx.AddNotice(store.Notice{ID: "n", Tenant: ten.ID, Recipient: mark, Body: mark, CreatedAt: start}),
				tx.Approve(tenure.Approval{Operation: op.ID, Step: "approve", By: "ben", At: start, Note: mark}),
				tx.SaveFinding(tenure.Finding{ID: newID[tenure.FindingID](), Tenant: ten.ID, Name: mark, Want: mark, Got: mark, Detail: mark, SeenAt: start}),
			)
		})
		if !f.holds(mark) {
			t.Fatal("the mark isn't found before it is forgotten: the search is wrong")
		}
		f.write(func(tx *store.Tx) error {
			n, err := tx.Forget(ten.ID, start)
			if n < 8 {
				t.Errorf("it says that %d rows were blanked", n)
			}
			return err
		})
		if f.holds(mark) {
			t.Error("what the tenant said is still there")
		}
		got, err := f.Tenant(ctx, string(ten.ID))
		f.must(err)
		if got.State != tenure.TenantRequested || !got.CreatedAt.Equal(start) {
			t.Errorf("id, state and date don't stay: %+v", got)
		}
		if same, err := f.Tenant(ctx, "neighbour"); err != nil || same.ID != neighbour.ID {
			t.Errorf("the neighbour: %v", err)
		}
		row, err := f.Operation(ctx, op.ID)
		f.must(err)
		_, err = f.Plan(ctx, row.Plan)
		refused(t, err, tenure.NotFound, "forgotten")
	})
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// holds says whether a text is anywhere in the store: in the bytes of SQLite's
// files, or in any row of PostgreSQL's tables.
func (f *fixture) holds(text string) bool {
	f.t.Helper()
	if f.Dialect == store.SQLite {
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(f.dsn + suffix)
			if err != nil && !os.IsNotExist(err) {
				f.t.Fatal(err)
			}
			if strings.Contains(string(b), text) {
				return true
			}
		}
		return false
	}
	raw := f.raw()
	rows, err := raw.Query(`select tablename from pg_tables where schemaname = 'public'`)
	f.must(err)
	var tables []string
	for rows.Next() {
		var name string
		f.must(rows.Scan(&name))
		tables = append(tables, name)
	}
	f.must(rows.Err())
	found := false
	for _, table := range tables {
		var n int
		f.must(raw.QueryRow(fmt.Sprintf(`select count(*) from %q t where t::text like $1 or t::text like $2`, table), "%"+text+"%", fmt.Sprintf("%%%x%%", text)).Scan(&n))
		if n > 0 {
			f.t.Logf("table %s holds it", table)
			found = true
		}
	}
	return found
}

// Whoever is given the inventory's rows reads from the store meanwhile, and many are at once.
func TestInventoryLeavesRoomForReads(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		f.resource(ten.ID, "schema", "acme_prod")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		const many = 8
		var inside atomic.Int32
		var done sync.WaitGroup
		all := make(chan struct{}) // closed when each has a row in hand
		for range many {
			done.Go(func() {
				err := f.Inventory(ctx, "main", "", func(r store.InventoryRow) error {
					if inside.Add(1) == many {
						close(all)
					}
					select {
					case <-all:
					case <-ctx.Done():
						return ctx.Err()
					}
					_, err := f.Resources(ctx, r.Tenant, true)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
	})
}
