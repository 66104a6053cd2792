package lifecycle_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/store"
)

// Who isn't used is told by what systems show of sign-ins, with the cost. Whose use isn't known, since an account
// doesn't tell it or nobody has looked lately, isn't called unused.
func TestUnused(t *testing.T) {
	t.Parallel()
	l, ctx := newLife(t), context.Background()
	for _, name := range []string{"idle", "busy", "dark", "never"} {
		l.onboard(name)
	}
	seen := func(name string, days int) {
		if !l.world.Tamper("account", name, func(th *memory.Thing) { th.SeenAt = l.Now().AddDate(0, 0, -days) }) {
			t.Fatalf("there is no account %s", name)
		}
	}
	unused := func() (names []string) {
		t.Helper()
		list, err := l.Tenants(ctx, store.TenantFilter{Unused: l.Now().AddDate(0, 0, -90), Looked: l.Now().Add(-store.UseFor)})
		l.must(err)
		for _, row := range list {
			names = append(names, row.Name)
		}
		slices.Sort(names)
		return names
	}
	l.pass(120 * aDay)
	if got := unused(); len(got) != 0 {
		t.Fatalf("nobody has looked, and unused are %q", got)
	}
	_, err := l.SetKnownBy(ctx, "dark", tenure.KnownBy{ExternalIDs: []string{"crm-1"}}, 0, "operator")
	l.must(err)
	l.world.Put(memory.Thing{Type: "integration", Name: "calls", Externals: []string{"crm-1"}, State: tenure.ResourcePresent})
	seen("idle-prod-admin", 100)
	seen("busy-prod-admin", 300)
	seen("busy-test-admin", 1)
	seen("dark-prod-admin", 100)
	_, err = l.Sweep(ctx, "")
	l.must(err)
	if got := unused(); !slices.Equal(got, []string{"idle", "never"}) {
		t.Errorf("unused are %q", got)
	}
	id := rowOf(t, l, "idle").ID
	costs, err := l.TenantCosts(ctx, []tenure.TenantID{id})
	l.must(err)
	l.must(l.TickCost(ctx, l.Now()))
	f, err := l.Fleet(ctx, store.All)
	l.must(err)
	if one := costs[id]["EUR"]; one == 0 || f.Cost.UnusedTenants != 2 || f.Cost.Unused["EUR"] != 2*one {
		t.Errorf("one costs %v, the fleet says %+v", costs, f.Cost)
	}
	uses, err := l.db.Uses(ctx, []tenure.TenantID{id})
	l.must(err)
	if u := uses[id]; !u.UsedAt.Equal(l.Now().AddDate(0, 0, -100)) || u.Untold != 0 {
		t.Errorf("use %+v", u)
	}
	l.pass(8 * aDay)
	if got := unused(); len(got) != 0 {
		t.Errorf("nobody has looked for a week, and unused are %q", got)
	}
}
