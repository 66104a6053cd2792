package store_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// onAll is onBoth, and a PostgreSQL database that sorts text as a language does:
// people have those, and what is read in the wrong order there is left out.
func onAll(t *testing.T, test func(*testing.T, *fixture)) {
	t.Helper()
	onBoth(t, test)
	t.Run("postgres in English", func(t *testing.T) {
		t.Parallel()
		test(t, openStore(t, englishDatabase(t)))
	})
}

func englishDatabase(t *testing.T) string {
	t.Helper()
	dsn := postgrestest.DSN(t)
	if postgrestest.Value[int](t, dsn, `select count(*) from pg_collation where collname = 'en-US-x-icu'`) == 0 {
		return postgrestest.Database(t) // a server without ICU: as it sorts by itself
	}
	name := "test_" + postgrestest.Token()
	postgrestest.Exec(t, dsn, `create database "`+name+`" template template0 locale_provider icu icu_locale 'en-US'`)
	t.Cleanup(func() { postgrestest.Exec(t, dsn, `drop database if exists "`+name+`" with (force)`) })
	return postgrestest.With(t, dsn, func(u *url.URL) { u.Path = "/" + name })
}

// town is a store with a little of everything that lists narrow.
type town struct {
	*fixture
	tenants    []store.TenantRow // in the order of their ids
	operations []tenure.Operation
	holds      []tenure.Hold
	findings   []tenure.Finding
	troubled   map[tenure.TenantID]bool
}

var names = []string{"acme", "acme-2", "acme2", "ac-me", "b", "acmez", "zeta", "z-1"}

const people = 48

// settle fills a store with tenants of every tier, label and state that matters.
func settle(f *fixture) *town {
	w := &town{fixture: f, troubled: map[tenure.TenantID]bool{}}
	f.write(func(tx *store.Tx) error {
		w.tenants = w.tenants[:0]
		for n := range 2 {
			bp := store.Blueprint{BlueprintRef: revision(n), Body: []byte(fmt.Sprint(n)), Author: "ada", CreatedAt: start}
			if err := tx.SaveBlueprint(bp); err != nil {
				return err
			}
		}
		for i := range people {
			at := start.Add(time.Duration(i/2) * time.Minute) // two at each moment
			row := store.TenantRow{Tenant: tenure.Tenant{
				ID: tenure.DeriveID[tenure.TenantID](at, fmt.Sprint(i)), Name: fmt.Sprintf("%s%d", names[i%len(names)], i/len(names)), Tier: tiers[i%len(tiers)], Blueprint: revision(i % 3),
				Labels: labelled(regions[i%len(regions)], i%7 == 0), Parameters: []byte(`{}`), CreatedAt: at,
			}}
			if err := tx.CreateTenant(row); err != nil {
				return err
			}
			state := life[:1+i%4]
			for n := 1; n < len(state); n++ {
				if err := tx.MoveTenant(row.ID, state[n-1], state[n], at); err != nil {
					return err
				}
			}
			if row.State = state[len(state)-1]; i%11 == 0 && i%4 < 2 {
				if err := tx.MoveTenant(row.ID, row.State, tenure.TenantClosed, at); err != nil {
					return err
				}
				row.State = tenure.TenantClosed
			}
			w.tenants = append(w.tenants, row)
		}
		return nil
	})
	slices.SortFunc(w.tenants, func(a, b store.TenantRow) int { return strings.Compare(string(a.ID), string(b.ID)) })
	w.populate()
	return w
}

var (
	states     = []tenure.OperationState{tenure.OperationWaiting, tenure.OperationBlocked, tenure.OperationPaused, tenure.OperationSucceeded, tenure.OperationFailed, tenure.OperationRunning}
	severities = []tenure.Severity{tenure.Critical, tenure.High, tenure.Medium, tenure.Low}
	sorts      = []tenure.FindingKind{tenure.FindingDrift, tenure.FindingResidue, tenure.FindingGhost}
)

// populate gives tenants operations, holds and findings, and some to no tenant.
func (w *town) populate() {
	for i := range 2 * people {
		ten := w.tenants[i%people].ID
		op := request(ten, []tenure.OperationKind{tenure.Onboard, tenure.Offboard, tenure.Change}[i%3], 1)
		op.CreatedAt = start.Add(time.Duration(i) * time.Second)
		op.ID = tenure.DeriveID[tenure.OperationID](op.CreatedAt, fmt.Sprint(i))
		op.State = states[(i/3)%len(states)]
		w.operation(op)
		op.Operation.UpdatedAt = op.CreatedAt
		w.operations = append(w.operations, op.Operation)
	}
	w.write(func(tx *store.Tx) error {
		w.holds, w.findings = nil, nil
		for i := range people {
			ten := w.tenants[(i*5)%people].ID
			if i%6 == 0 {
				ten = "" // of several tenants, or of nobody known
			}
			at := start.Add(time.Duration(i) * time.Second)
			h := tenure.Hold{ID: tenure.DeriveID[tenure.HoldID](at, fmt.Sprint(i)), Matter: "m", Scope: tenure.HoldScope{Tenant: ten}, PlacedBy: "officer", PlacedAt: at}
			if i%5 == 0 {
				h.ReleasedAt = at
			}
			x := tenure.Finding{ID: tenure.DeriveID[tenure.FindingID](at, fmt.Sprint(i)), Kind: sorts[i%3], Severity: severities[i%4], Tenant: ten, System: "main", Name: fmt.Sprint(i), Detail: "d", SeenAt: at}
			if err := tx.SaveHold(h); err != nil {
				return err
			}
			if err := tx.SaveFinding(x); err != nil {
				return err
			}
			if i%9 == 0 {
				x.WaivedUntil, x.WaivedBy = start.Add(48*time.Hour), "ada"
				if err := tx.Waive(x.ID, "ada", x.WaivedUntil); err != nil {
					return err
				}
			}
			w.holds, w.findings = append(w.holds, h), append(w.findings, x)
		}
		return nil
	})
}

// scope draws a scope, most often of little.
func (w *town) scope(t *rapid.T, name string) tenure.Scope {
	switch rapid.IntRange(0, 9).Draw(t, name) {
	case 0, 1, 2:
		return tenure.Scope{All: true}
	case 3:
		return tenure.Scope{}
	}
	ids := []tenure.TenantID{"", newID[tenure.TenantID]()}
	for _, row := range w.tenants {
		ids = append(ids, row.ID)
	}
	return tenure.Scope{
		Tenants: rapid.SliceOfN(rapid.SampledFrom(ids), 0, 5).Draw(t, name+": tenants"),
		Tiers:   rapid.SliceOfN(rapid.SampledFrom(append(tiers, "none")), 0, 2).Draw(t, name+": tiers"),
		Labels:  rapid.SliceOfN(rapid.SampledFrom([]string{"region=eu", "region=us", "vip=", "region=none"}), 0, 2).Draw(t, name+": labels"),
	}
}

func (w *town) visible(t *rapid.T) store.Visible {
	return store.Visible{Reach: w.scope(t, "reach"), Limit: w.scope(t, "limit")}
}

// sees says what the scopes themselves say of a tenant.
func (w *town) sees(v store.Visible, id tenure.TenantID) bool {
	target := tenure.Target{Tenant: id}
	for _, row := range w.tenants {
		if row.ID == id {
			target = tenure.Target{Tenant: id, Tier: row.Tier, Labels: row.Labels}
		}
	}
	return v.Reach.Covers(target) && v.Limit.Covers(target)
}

// only are the ids of those that a caller sees and that a test wants.
func only[T any, I ~string](list []T, id func(T) I, want func(T) bool) []I {
	out := []I{}
	for _, v := range list {
		if want(v) {
			out = append(out, id(v))
		}
	}
	return out
}

func same[I ~string](t *rapid.T, what string, want, got []I, sorted bool) {
	t.Helper()
	opts := cmp.Options{cmpopts.EquateEmpty()}
	if !sorted {
		opts = append(opts, cmpopts.SortSlices(func(a, b I) bool { return a < b }))
	}
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Fatalf("%s (-what the scopes cover +listed):\n%s", what, d)
	}
}

func tenantID(r store.TenantRow) tenure.TenantID { return r.ID }

// Whoever may see some tenants sees in each list, page and count what is of these,
// all of it, and nothing else.
func TestListsShowWhatScopesCover(t *testing.T) {
	onAll(t, func(t *testing.T, f *fixture) {
		w := settle(f)
		rapid.Check(t, func(t *rapid.T) {
			v := w.visible(t)
			w.checkTenants(t, v)
			w.checkOperations(t, v)
			w.checkFindings(t, v)
			w.checkFleet(t, v)
		})
	})
}

// filter draws a filter and says which tenants it means.
func (w *town) filter(t *rapid.T) (store.TenantFilter, func(store.TenantRow) bool) {
	pick := func(name string, list ...string) string {
		return rapid.SampledFrom(append(list, "", "", "", "")).Draw(t, name)
	}
	when := func(name string) time.Time {
		n := rapid.IntRange(-2*people, people).Draw(t, name)
		if n < 0 {
			return time.Time{}
		}
		return start.Add(time.Duration(n) * 30 * time.Second)
	}
	f := store.TenantFilter{
		State: tenure.TenantState(pick("state", "requested", "active", "closed")), Tier: pick("tier", "free", "pro", "none"), Label: pick("label", "region=eu", "vip=", "region=none"),
		Name: pick("name", "acme", "ac-", "z", "acmez0", "none"), Blueprint: pick("blueprint", "small", "small@1.1", revision(0).Digest, "small@9"),
		Finding: pick("finding", "critical", "low", "drift", "ghost_user", "none"), From: when("from"), Before: when("before"), Closed: rapid.Bool().Draw(t, "closed"),
	}
	bound := func(b tenure.BlueprintRef) bool {
		known := b == revision(0) || b == revision(1) // 1.2 isn't in the store
		return f.Blueprint == "" || known && (f.Blueprint == "small" || f.Blueprint == "small@"+b.Version || f.Blueprint == b.Digest)
	}
	found := func(id tenure.TenantID) bool {
		return f.Finding == "" || slices.ContainsFunc(w.findings, func(x tenure.Finding) bool {
			return x.Tenant == id && (string(x.Severity) == f.Finding || string(x.Kind) == f.Finding)
		})
	}
	return f, func(r store.TenantRow) bool {
		return (f.State == "" && (f.Closed || r.State != tenure.TenantClosed) || r.State == f.State) && (f.Tier == "" || r.Tier == f.Tier) &&
			(f.Label == "" || slices.Contains(tenure.LabelsText(r.Labels), f.Label)) && strings.HasPrefix(r.Name, f.Name) && bound(r.Blueprint) && found(r.ID) &&
			!r.CreatedAt.Before(f.From) && (f.Before.IsZero() || r.CreatedAt.Before(f.Before))
	}
}

// pages reads a listing to its end.
func (w *town) pages(t *rapid.T, f store.TenantFilter) (out []tenure.TenantID) {
	for range 2 * people {
		page, err := w.Tenants(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > f.Limit {
			t.Fatalf("a page of %d has %d", f.Limit, len(page))
		}
		for _, r := range page {
			out = append(out, r.ID)
			f.After = r.ID
		}
		if len(page) < f.Limit {
			return out
		}
	}
	t.Fatal("the listing doesn't end")
	return nil
}

func (w *town) checkTenants(t *rapid.T, v store.Visible) {
	f, means := w.filter(t)
	f.Visible, f.Limit = &v, rapid.SampledFrom([]int{1, 3, 100}).Draw(t, "page")
	want := only(w.tenants, tenantID, func(r store.TenantRow) bool { return means(r) && w.sees(v, r.ID) })
	same(t, "tenants", want, w.pages(t, f), true)
}

func (w *town) checkOperations(t *rapid.T, v store.Visible) {
	ctx := context.Background()
	f := store.OperationFilter{Limit: rapid.SampledFrom([]int{2, 7, 200}).Draw(t, "operations a page"), Visible: &v, Open: rapid.Bool().Draw(t, "open"),
		State: rapid.SampledFrom(append(states, "", "")).Draw(t, "operation state"), Kind: rapid.SampledFrom([]tenure.OperationKind{tenure.Onboard, "", ""}).Draw(t, "kind")}
	if rapid.IntRange(0, 4).Draw(t, "of one") == 0 {
		f.Tenant = rapid.SampledFrom(w.tenants).Draw(t, "of").ID
	}
	id := func(o tenure.Operation) tenure.OperationID { return o.ID }
	want := only(w.operations, id, func(o tenure.Operation) bool {
		return w.sees(v, o.Tenant) && (!f.Open || !o.State.Ended()) && (f.State == "" || f.State == o.State) && (f.Kind == "" || f.Kind == o.Kind) && (f.Tenant == "" || f.Tenant == o.Tenant)
	})
	slices.Reverse(want)
	var got []tenure.OperationID
	for {
		page, err := w.Operations(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			got = append(got, o.ID)
			f.Before = o.ID
		}
		if len(page) < f.Limit {
			break
		}
	}
	same(t, "operations", want, got, true)
	for _, state := range states {
		stuck := only(w.operations, id, func(o tenure.Operation) bool {
			return w.sees(v, o.Tenant) && o.State == state && !o.State.Ended() && state != tenure.OperationRunning
		})
		list, err := w.Attention(ctx, v, state, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		n, err := w.AttentionCount(ctx, v, state, "")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "attention: "+string(state), stuck, only(list, func(a store.Attention) tenure.OperationID { return a.ID }, func(store.Attention) bool { return true }), true)
		if n != len(stuck) {
			t.Fatalf("%d are said to be %s, want %d", n, state, len(stuck))
		}
	}
	since := start.Add(time.Duration(rapid.IntRange(0, 2*people).Draw(t, "since")) * time.Second)
	runs, err := w.OnboardingRuns(ctx, v, since)
	if err != nil {
		t.Fatal(err)
	}
	ended := only(w.operations, func(o tenure.Operation) tenure.TenantID { return o.Tenant }, func(o tenure.Operation) bool {
		return w.sees(v, o.Tenant) && o.Kind == tenure.Onboard && o.State.Ended() && !o.UpdatedAt.Before(since)
	})
	same(t, "onboardings", ended, only(runs, func(r store.OnboardingRun) tenure.TenantID { return r.Tenant }, func(store.OnboardingRun) bool { return true }), false)
}

func (w *town) checkFindings(t *rapid.T, v store.Visible) {
	ctx := context.Background()
	all := v.Reach.All && v.Limit.All
	seen := func(ten tenure.TenantID) bool { return w.sees(v, ten) || ten == "" && all }
	id := func(x tenure.Finding) tenure.FindingID { return x.ID }
	f := store.FindingFilter{Visible: &v, Limit: 1000, Severity: rapid.SampledFrom(append(severities, "", "")).Draw(t, "severity"), Kind: rapid.SampledFrom(append(sorts, "", "")).Draw(t, "finding kind")}
	page, err := w.FindingsPage(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	want := only(w.findings, id, func(x tenure.Finding) bool {
		return seen(x.Tenant) && (f.Severity == "" || x.Severity == f.Severity) && (f.Kind == "" || x.Kind == f.Kind)
	})
	same(t, "findings", want, only(page, id, func(tenure.Finding) bool { return true }), false)
	now := start.Add(time.Duration(rapid.IntRange(0, 72).Draw(t, "hour")) * time.Hour)
	counts, err := w.FindingCounts(ctx, v, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range w.findings {
		if seen(x.Tenant) && x.Open(now) {
			counts[x.Severity]--
		}
	}
	for s, n := range counts {
		if n != 0 {
			t.Fatalf("the count of %s findings is %+d off", s, n)
		}
	}
	released := rapid.Bool().Draw(t, "released")
	holds, err := w.HoldsVisible(ctx, v, released)
	if err != nil {
		t.Fatal(err)
	}
	hold := func(h tenure.Hold) tenure.HoldID { return h.ID }
	same(t, "holds", only(w.holds, hold, func(h tenure.Hold) bool { return seen(h.Scope.Tenant) && (released || h.Active()) }), only(holds, hold, func(tenure.Hold) bool { return true }), true)
	held := only(w.holds, func(h tenure.Hold) tenure.TenantID { return h.Scope.Tenant }, func(h tenure.Hold) bool { return h.Active() && h.Scope.Tenant != "" && w.sees(v, h.Scope.Tenant) })
	slices.Sort(held)
	n, err := w.HeldTenants(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(slices.Compact(held)); n != want {
		t.Fatalf("%d tenants are said to be held, want %d", n, want)
	}
}

func (w *town) checkFleet(t *rapid.T, v store.Visible) {
	want := make(map[store.FleetCount]int64)
	over := make(map[store.FleetCount]int64)
	for _, r := range w.tenants {
		if w.sees(v, r.ID) {
			want[store.FleetCount{Tier: r.Tier, State: r.State, Blueprint: r.Blueprint}]++
			over[store.FleetCount{State: r.State, Blueprint: r.Blueprint}]++
		}
	}
	all, byTier, err := w.FleetCounts(context.Background(), v)
	if err != nil {
		t.Fatal(err)
	}
	for list, want := range map[*[]store.FleetCount]map[store.FleetCount]int64{&all: over, &byTier: want} {
		got := make(map[store.FleetCount]int64)
		for _, c := range *list {
			n := c.N
			c.N = 0
			got[c] += n
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("fleet counts (-what the scopes cover +said):\n%s", d)
		}
	}
}

// Whoever turns the pages while tenants come and go sees each of those that stay
// once: none is skipped and none comes twice.
func TestPagesAreStable(t *testing.T) {
	onAll(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		const n = 40
		var ids []tenure.TenantID
		add := func(i int, at time.Time) {
			row := store.TenantRow{Tenant: tenure.Tenant{ID: tenure.DeriveID[tenure.TenantID](at, fmt.Sprint(i)), Name: fmt.Sprint("t", i), Tier: tiers[1+i%2], Labels: labelled("eu", false), Parameters: []byte(`{}`), CreatedAt: at}}
			f.write(func(tx *store.Tx) error { return tx.CreateTenant(row) })
			ids = append(ids, row.ID)
		}
		for i := range n {
			add(i, start.Add(time.Duration(i)*time.Minute))
		}
		stay := ids[:n:n]
		visible := store.Visible{Reach: tenure.Scope{Tiers: []string{"free", "pro"}, Labels: []string{"region=eu"}}, Limit: store.All.Limit}
		for round, filter := range []store.TenantFilter{{}, {Label: "region=eu"}, {Visible: &visible}} {
			filter.Limit = 3
			seen := make(map[tenure.TenantID]int)
			for turn := 0; ; turn++ {
				page, err := f.Tenants(ctx, filter)
				f.must(err)
				if len(page) == 0 {
					break
				}
				for _, r := range page {
					seen[r.ID]++
					filter.After = r.ID
				}
				if turn > 20 {
					continue
				}
				// One comes before the place where the reader is, one after it, and
				// one of those is closed again.
				add(1000*(round+1)+2*turn, start.Add(time.Duration(turn)*time.Second))
				add(1000*(round+1)+2*turn+1, start.Add(n*time.Minute+time.Duration(turn)*time.Second))
				f.write(func(tx *store.Tx) error {
					return tx.MoveTenant(ids[len(ids)-2], tenure.TenantRequested, tenure.TenantClosed, start)
				})
			}
			for _, id := range stay {
				if seen[id] != 1 {
					t.Errorf("listing %d shows %s %d times", round, id, seen[id])
				}
			}
			for id, n := range seen {
				if n > 1 {
					t.Errorf("listing %d shows %s %d times", round, id, n)
				}
			}
		}
	})
}
