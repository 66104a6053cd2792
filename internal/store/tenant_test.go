package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// life is a way through the table that passes every state.
var life = []tenure.TenantState{
	tenure.TenantRequested, tenure.TenantValidating, tenure.TenantProvisioning, tenure.TenantActive, tenure.TenantSuspended, tenure.TenantTransition,
	tenure.TenantTerminating, tenure.TenantRetained, tenure.TenantErasing, tenure.TenantAwaitingExpiry, tenure.TenantClosed,
}

// A move outside the table is refused by the program, and by the database itself
// for whoever goes round the program.
func TestIllegalMove(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		raw := f.raw()
		ten := f.tenant("acme")
		for i, from := range life {
			for _, to := range tenure.TenantStates {
				if tenure.CanMove(from, to) {
					continue
				}
				err := f.Write(ctx, func(tx *store.Tx) error { return tx.MoveTenant(ten.ID, from, to, start) })
				refused(t, err, tenure.Conflict, string(from), string(to))
				_, err = raw.ExecContext(ctx, `update tenant set previous = $1, state = $2 where id = $3`, string(from), string(to), string(ten.ID))
				if err == nil {
					t.Fatalf("the database took a move from %s to %s", from, to)
				}
				if !strings.Contains(strings.ToLower(err.Error()), "foreign key") {
					t.Fatalf("%s to %s was refused for another reason: %v", from, to, err)
				}
			}
			got, err := f.Tenant(ctx, string(ten.ID))
			f.must(err)
			if got.State != from {
				t.Fatalf("after the refusals the tenant is %s, not %s", got.State, from)
			}
			if i+1 < len(life) {
				f.write(func(tx *store.Tx) error { return tx.MoveTenant(ten.ID, from, life[i+1], start) })
			}
		}
		_, err := raw.ExecContext(ctx, `insert into tenant (id, name, organization, contact, tier, state, previous, blocked, blueprint, parameters, features, anchors, created_at, updated_at, version)
			values ('ten_x', 'x', '', '', '', 'active', '', '', '', '', '', '', 0, 0, 1)`)
		if err == nil {
			t.Error("the database took a tenant that is born active")
		}
	})
}

// Who moves a tenant on from where it no longer is hears so; nothing changes.
func TestStaleMove(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		move := func(tx *store.Tx) error {
			return tx.MoveTenant(ten.ID, tenure.TenantRequested, tenure.TenantValidating, start)
		}
		f.write(move)
		refused(t, f.Write(t.Context(), move), tenure.Conflict, "any more")
		got, err := f.Tenant(t.Context(), "acme")
		f.must(err)
		if got.State != tenure.TenantValidating || got.Previous != tenure.TenantRequested || got.Version != 2 {
			t.Errorf("%s after %s, version %d", got.State, got.Previous, got.Version)
		}
	})
}

// A name is a living tenant's alone, and is free again when that one is closed.
func TestTenantName(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		first := f.tenant("acme")
		again := store.TenantRow{Tenant: tenure.Tenant{ID: newID[tenure.TenantID](), Name: "acme", CreatedAt: start}}
		create := func(tx *store.Tx) error { return tx.CreateTenant(again) }
		refused(t, f.Write(ctx, create), tenure.Conflict, "acme", "already")
		f.write(func(tx *store.Tx) error {
			return tx.MoveTenant(first.ID, tenure.TenantRequested, tenure.TenantClosed, start)
		})
		f.write(create)
		got, err := f.Tenant(ctx, "acme")
		f.must(err)
		if got.ID != again.ID {
			t.Errorf("by its name one finds %s, want the living %s", got.ID, again.ID)
		}
		if _, err := f.Tenant(ctx, string(first.ID)); err != nil {
			t.Errorf("the closed one can't be found by its id: %v", err)
		}
		_, err = f.Tenant(ctx, string(newID[tenure.OperationID]()))
		refused(t, err, tenure.Invalid, "operation")
		_, err = f.Tenant(ctx, "nobody")
		refused(t, err, tenure.NotFound)
	})
}

func TestTenantRow(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		want := store.TenantRow{
			Tenant: tenure.Tenant{
				ID: newID[tenure.TenantID](), Name: "acme", Organization: "Acme Ltd", Contact: "someone@acme.example", Tier: "team", State: tenure.TenantRequested,
				Blueprint: tenure.BlueprintRef{Name: "small", Version: "1.0", Digest: tenure.Digest(nil)}, Parameters: []byte(`{"seats":5}`), CreatedAt: start, UpdatedAt: start, Version: 1,
			},
			Features: map[string]bool{"reports": true, "sso": false}, Anchors: map[tenure.Anchor]time.Time{tenure.FromContractEnd: start},
		}
		f.write(func(tx *store.Tx) error { return tx.CreateTenant(want) })
		got, err := f.Tenant(ctx, "acme")
		f.must(err)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("a tenant comes back changed (-stored +read):\n%s", d)
		}
		// The first word on an anchor counts, unless a person says it again.
		later := start.Add(time.Hour)
		f.write(func(tx *store.Tx) error { return tx.SetAnchor(want.ID, tenure.FromContractEnd, later, false) })
		f.write(func(tx *store.Tx) error { return tx.SetAnchor(want.ID, tenure.FromNotice, later, false) })
		got, err = f.Tenant(ctx, "acme")
		f.must(err)
		if d := cmp.Diff(map[tenure.Anchor]time.Time{tenure.FromContractEnd: start, tenure.FromNotice: later}, got.Anchors); d != "" {
			t.Errorf("anchors:\n%s", d)
		}
		f.write(func(tx *store.Tx) error { return tx.SetAnchor(want.ID, tenure.FromContractEnd, later, true) })
		got, err = f.Tenant(ctx, "acme")
		f.must(err)
		if !got.Anchors[tenure.FromContractEnd].Equal(later) {
			t.Error("an anchor that was said again keeps its old date")
		}
	})
}

// Pages of tenants leave none out and show none twice.
func TestTenantPages(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		want := make(map[tenure.TenantID]bool)
		for i := range 7 {
			want[f.tenant(string(rune('a'+i))).ID] = true
		}
		closed := f.tenant("closed")
		f.write(func(tx *store.Tx) error {
			return tx.MoveTenant(closed.ID, tenure.TenantRequested, tenure.TenantClosed, start)
		})
		filter := store.TenantFilter{Limit: 3}
		for {
			page, err := f.Tenants(ctx, filter)
			f.must(err)
			if len(page) == 0 {
				break
			}
			for _, row := range page {
				if !want[row.ID] {
					t.Errorf("%s is shown twice, or is closed", row.Name)
				}
				delete(want, row.ID)
				filter.After = row.ID
			}
		}
		if len(want) > 0 {
			t.Errorf("%d tenants are on no page", len(want))
		}
		counts, err := f.Counts(ctx)
		f.must(err)
		if d := cmp.Diff(map[tenure.TenantState]int64{tenure.TenantRequested: 7, tenure.TenantClosed: 1}, counts); d != "" {
			t.Errorf("counts:\n%s", d)
		}
	})
}
