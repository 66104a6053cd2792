package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// The same finding twice is one, with its waiver; one that isn't seen any more is
// resolved, and opens anew when it comes back.
func TestFindings(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		find := func(field string, s tenure.Severity, got string, at time.Time) tenure.Finding {
			return tenure.Finding{ID: newID[tenure.FindingID](), Kind: tenure.FindingDrift, Severity: s, Tenant: ten.ID, System: "main", Type: "schema", Name: "acme", Field: field, Want: "1", Got: got, Detail: field, SeenAt: at}
		}
		save := func(fs ...tenure.Finding) {
			f.write(func(tx *store.Tx) error {
				for _, x := range fs {
					if err := tx.SaveFinding(x); err != nil {
						return err
					}
				}
				return nil
			})
		}
		resolve := func(seen ...tenure.Finding) {
			f.write(func(tx *store.Tx) error {
				return tx.ResolveUnseen([]tenure.FindingKind{tenure.FindingDrift}, "main", ten.ID, seen, start.Add(time.Hour))
			})
		}
		list := func() []tenure.Finding {
			t.Helper()
			fs, err := f.Findings(ctx, ten.ID)
			f.must(err)
			return fs
		}
		seats, grant := find("seats", tenure.Medium, "2", start), find("grant", tenure.Critical, "public", start)
		save(seats, grant)
		if d := cmp.Diff([]tenure.Finding{grant, seats}, list()); d != "" {
			t.Errorf("the worst first (-want +got):\n%s", d)
		}
		until := start.Add(48 * time.Hour)
		f.write(func(tx *store.Tx) error { return tx.Waive(seats.ID, "ada", until) })
		later := find("seats", tenure.High, "3", start.Add(time.Minute))
		save(later)
		got := list()
		if len(got) != 2 {
			t.Fatalf("%d findings, want 2", len(got))
		}
		if g := got[1]; g.ID != seats.ID || g.Got != "3" || g.Severity != tenure.High || !g.WaivedUntil.Equal(until) || g.WaivedBy != "ada" {
			t.Errorf("seen again: %+v", g)
		}
		resolve(later)
		if got = list(); len(got) != 1 || got[0].ID != seats.ID {
			t.Errorf("after a pass that saw one: %+v", got)
		}
		resolve()
		if got = list(); len(got) != 0 {
			t.Errorf("after a pass that saw none: %+v", got)
		}
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.Waive(seats.ID, "ada", until) }), tenure.NotFound)
		save(later)
		if got = list(); len(got) != 1 || got[0].ID != later.ID || !got[0].WaivedUntil.IsZero() {
			t.Errorf("when it comes back it isn't a new one: %+v", got)
		}
	})
}

// A pass over one system, or for one tenant, says nothing of another.
func TestResolveUnseenScope(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.tenant("a"), f.tenant("b")
		find := func(kind tenure.FindingKind, ten tenure.TenantID, system string) tenure.Finding {
			return tenure.Finding{ID: newID[tenure.FindingID](), Kind: kind, Severity: tenure.Low, Tenant: ten, System: system, SeenAt: start}
		}
		all := []tenure.Finding{find(tenure.FindingDrift, a.ID, "main"), find(tenure.FindingDrift, b.ID, "main"), find(tenure.FindingDrift, a.ID, "other"), find(tenure.FindingOrphan, a.ID, "main")}
		f.write(func(tx *store.Tx) error {
			for _, x := range all {
				if err := tx.SaveFinding(x); err != nil {
					return err
				}
			}
			return tx.ResolveUnseen([]tenure.FindingKind{tenure.FindingDrift}, "main", a.ID, nil, start)
		})
		left, err := f.Findings(t.Context(), "")
		f.must(err)
		if len(left) != 3 {
			t.Errorf("%d findings are left, want 3", len(left))
		}
		for _, x := range left {
			if x.ID == all[0].ID {
				t.Error("the one that the pass should have seen is still open")
			}
		}
	})
}

// One officer's hold binds at once, needs two to go, and is read back as placed.
func TestHolds(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		want := tenure.Hold{
			ID: newID[tenure.HoldID](), Matter: "case 7", Scope: tenure.HoldScope{Tenant: ten.ID, Class: "orders", System: "main", Resource: newID[tenure.ResourceID]()},
			Reason: "suit", PlacedBy: "officer", PlacedAt: start,
		}
		everywhere := tenure.Hold{ID: newID[tenure.HoldID](), Matter: "case 8", PlacedBy: "officer", PlacedAt: start.Add(time.Second)}
		elsewhere := tenure.Hold{ID: newID[tenure.HoldID](), Matter: "case 9", Scope: tenure.HoldScope{Tenant: newID[tenure.TenantID]()}, PlacedBy: "officer", PlacedAt: start}
		f.write(func(tx *store.Tx) error {
			return firstError(tx.SaveHold(want), tx.SaveHold(everywhere), tx.SaveHold(elsewhere))
		})
		f.write(func(tx *store.Tx) error {
			got, err := tx.ActiveHolds(ten.ID)
			if d := cmp.Diff([]tenure.Hold{want, everywhere}, got); d != "" {
				t.Errorf("active holds that can cover the tenant (-want +got):\n%s", d)
			}
			return err
		})
		f.write(func(tx *store.Tx) error {
			waiting, err := tx.PendingHolds(ten.ID)
			if err != nil || len(waiting) == 0 {
				t.Errorf("%d holds wait to be effective (%v)", len(waiting), err)
			}
			settled := want
			settled.EffectiveAt = start.Add(time.Minute)
			return tx.SettleHold(settled)
		})
		for _, by := range []string{"officer", "counsel"} {
			f.write(func(tx *store.Tx) error {
				h, err := tx.Hold(want.ID)
				if err != nil {
					return err
				}
				if h, err = h.Release(by, start.Add(time.Hour)); err != nil {
					return err
				}
				return tx.ReleaseHold(h)
			})
		}
		got, err := f.Holds(ctx, ten.ID, true)
		f.must(err)
		want.EffectiveAt, want.ReleaseBy, want.ReleasedAt = start.Add(time.Minute), []string{"officer", "counsel"}, start.Add(time.Hour)
		if d := cmp.Diff([]tenure.Hold{want, everywhere}, got); d != "" {
			t.Errorf("with the released ones (-want +got):\n%s", d)
		}
		if got, err = f.Holds(ctx, ten.ID, false); err != nil || len(got) != 1 || got[0].ID != everywhere.ID {
			t.Errorf("active are %v, %v", got, err)
		}
		refused(t, f.Write(ctx, func(tx *store.Tx) error { _, err := tx.Hold(newID[tenure.HoldID]()); return err }), tenure.NotFound)
	})
}

// TestResolveTenant: what was seen of one tenant up to a moment is resolved; another
// kind, another tenant's and what was seen later stay.
func TestResolveTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme, beta := f.tenant("acme"), f.tenant("beta")
		find := func(ten tenure.TenantID, k tenure.FindingKind, name string, at time.Time) tenure.Finding {
			return tenure.Finding{ID: newID[tenure.FindingID](), Kind: k, Severity: tenure.Low, Tenant: ten, System: "main", Name: name, Detail: "d", SeenAt: at}
		}
		gone := find(acme.ID, tenure.FindingResidue, "gone", start)
		stay := []tenure.Finding{
			find(acme.ID, tenure.FindingResidue, "later", start.Add(time.Second)),
			find(acme.ID, tenure.FindingAnomaly, "ada", start),
			find(beta.ID, tenure.FindingResidue, "gone", start),
		}
		f.write(func(tx *store.Tx) error {
			for _, x := range append(stay, gone) {
				if err := tx.SaveFinding(x); err != nil {
					return err
				}
			}
			return tx.ResolveTenant([]tenure.FindingKind{tenure.FindingResidue, tenure.FindingOrphan}, acme.ID, start, start.Add(time.Hour))
		})
		if got, err := f.Finding(t.Context(), gone.ID); err != nil || !got.ResolvedAt.Equal(start.Add(time.Hour)) {
			t.Errorf("what was seen until then is resolved at %s (%v)", got.ResolvedAt, err)
		}
		for _, x := range stay {
			if got, err := f.Finding(t.Context(), x.ID); err != nil || !got.ResolvedAt.IsZero() {
				t.Errorf("%s %s is resolved at %s (%v)", x.Kind, x.Name, got.ResolvedAt, err)
			}
		}
	})
}
