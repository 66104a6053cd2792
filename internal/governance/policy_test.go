package governance_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/guard"
)

// policySets are folders of policies, from none over narrow ones to one that
// forbids everything.
func policySets(t *testing.T) []*guard.Set {
	t.Helper()
	var out []*guard.Set
	for _, text := range []string{
		``,
		`@id("night") forbid(principal, action, resource) when { context.hour < 6 };`,
		`@id("gold") forbid(principal, action in [Action::"operation.request", Action::"hold.release"], resource is Tenant) when { resource.tier == "gold" };
		 @id("legal") forbid(principal, action, resource) unless { principal.roles.contains(Role::"legal") };`,
		`@id("overflow") forbid(principal, action, resource) when { context.hour * 9223372036854775807 > 5 };`,
		`@id("all") forbid(principal, action, resource);`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p.cedar"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := guard.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, set)
	}
	return out
}

// TestPoliciesNeverWiden: whatever the policies, nobody may more than without
// them, sees more or less than their grants show, and who is denied is told by
// what.
func TestPoliciesNeverWiden(t *testing.T) {
	t.Parallel()
	sets := policySets(t)
	denied := 0
	rapid.Check(t, func(r *rapid.T) {
		now := noon.Add(time.Duration(rapid.IntRange(0, 23).Draw(r, "hour")) * time.Hour)
		clock := func() time.Time { return now }
		c := tenure.Caller{Name: "ada", Kind: rapid.SampledFrom([]tenure.CallerKind{tenure.CallerPerson, tenure.CallerMachine}).Draw(r, "kind"), Strong: rapid.Bool().Draw(r, "strong")}
		for range rapid.IntRange(0, 3).Draw(r, "grants") {
			scope := rapid.SampledFrom([]tenure.Scope{{All: true}, {Tiers: []string{"gold"}}, {Labels: []string{"env=prod"}}}).Draw(r, "scope")
			c.Grants = append(c.Grants, tenure.Grant{Role: rapid.SampledFrom(tenure.Roles).Draw(r, "role"), Scope: scope, BreakGlass: rapid.Bool().Draw(r, "glass")})
		}
		p := rapid.SampledFrom(guard.Permissions()).Draw(r, "permission")
		target := rapid.SampledFrom([]tenure.Target{{}, {Tenant: "ten_1", Tier: "gold"}, {Tenant: "ten_2", Tier: "free", Labels: map[string]string{"env": "prod"}}}).Draw(r, "target")
		set := rapid.SampledFrom(sets).Draw(r, "policies")

		bare := governance.New(governance.Options{Now: clock}).Decide(t.Context(), c, p, target)
		with := governance.New(governance.Options{Now: clock, Policies: set}).Decide(t.Context(), c, p, target)
		if with.Allowed && !bare.Allowed {
			r.Fatalf("policies let %v through: %+v", c, with)
		}
		if with.Visible != bare.Visible {
			r.Fatalf("policies changed what is visible: %+v", with)
		}
		if bare.Allowed && !with.Allowed {
			denied++
			if len(with.Denied) == 0 || !strings.Contains(with.Why, "denied by policy ") {
				r.Fatalf("denied without saying by what: %+v", with)
			}
		}
	})
	if denied == 0 {
		t.Error("no policy ever denied anything: this test sees nothing")
	}
}

// BenchmarkDecide is one authorization decision under twenty policies; the whole
// of it is to stay below 100 µs at the 99th percentile.
func BenchmarkDecide(b *testing.B) {
	dir := b.TempDir()
	var text strings.Builder
	for _, id := range strings.Split("abcdefghijklmnopqrst", "") {
		text.WriteString(`@id("` + id + `") forbid(principal, action, resource is Tenant) when { resource.tier == "x" && !principal.strong && context.hour > 20 };` + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "p.cedar"), []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	set, err := guard.Load(dir)
	if err != nil {
		b.Fatal(err)
	}
	g := governance.New(governance.Options{Now: func() time.Time { return noon }, Policies: set})
	c := tenure.Caller{Name: "ada", Kind: tenure.CallerPerson, Strong: true, Grants: []tenure.Grant{{Role: tenure.Operator, Scope: tenure.Scope{All: true}}}}
	target := tenure.Target{Tenant: "ten_1", Tier: "x", Labels: map[string]string{"env": "prod"}}
	took := make([]time.Duration, 0, 1<<20)
	for b.Loop() {
		at := time.Now()
		d := g.Decide(b.Context(), c, tenure.OperationRequest, target)
		took = append(took, time.Since(at))
		if !d.Allowed {
			b.Fatal(d.Why)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100])/1e3, "µs/p99")
}
