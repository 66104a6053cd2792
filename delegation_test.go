package tenure_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

func TestDelegationIsOfWhatOneHas(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	gold := tenure.Scope{Tiers: []string{"gold"}}
	own := []tenure.Grant{{Role: tenure.Legal, Scope: gold}, {Role: tenure.Viewer, Scope: tenure.Scope{All: true}}}
	for name, c := range map[string]struct {
		change func(*tenure.Delegation)
		own    []tenure.Grant
		code   tenure.Code
		says   string
	}{
		"what one has":         {func(*tenure.Delegation) {}, own, "", ""},
		"to oneself":           {func(d *tenure.Delegation) { d.To = "a" }, own, tenure.Invalid, "themselves"},
		"to nobody":            {func(d *tenure.Delegation) { d.To = "" }, own, tenure.Invalid, "who gets it"},
		"for no reason":        {func(d *tenure.Delegation) { d.Reason = "\t" }, own, tenure.Invalid, "reason"},
		"backwards":            {func(d *tenure.Delegation) { d.EndsAt = d.StartsAt }, own, tenure.Invalid, "ends after"},
		"in the past":          {func(d *tenure.Delegation) { d.StartsAt, d.EndsAt = at.Add(-2*day), at }, own, tenure.Invalid, "passed"},
		"for a year":           {func(d *tenure.Delegation) { d.EndsAt = at.Add(365 * day) }, own, tenure.Invalid, "90 days"},
		"over nothing":         {func(d *tenure.Delegation) { d.Scope = tenure.Scope{} }, own, tenure.Invalid, "names nobody"},
		"over more":            {func(d *tenure.Delegation) { d.Scope = tenure.Scope{All: true} }, own, tenure.Forbidden, "tier gold"},
		"over another tier":    {func(d *tenure.Delegation) { d.Scope = tenure.Scope{Tiers: []string{"gold", "free"}} }, own, tenure.Forbidden, "can't delegate"},
		"what has ended":       {func(*tenure.Delegation) {}, []tenure.Grant{{Role: tenure.Legal, Scope: gold, ExpiresAt: at}}, tenure.Forbidden, "no tenant"},
		"what another gave":    {func(*tenure.Delegation) {}, []tenure.Grant{{Role: tenure.Legal, Scope: gold, Delegator: "c"}}, tenure.Forbidden, "no tenant"},
		"what is for a while":  {func(*tenure.Delegation) {}, []tenure.Grant{{Role: tenure.Legal, Scope: gold, Elevation: "elv_x"}}, tenure.Forbidden, "no tenant"},
		"what doesn't approve": {func(*tenure.Delegation) {}, []tenure.Grant{{Role: tenure.Operator, Scope: gold}}, tenure.Forbidden, "no tenant"},
	} {
		d := tenure.Delegation{From: "a", To: "b", Scope: gold, Reason: "on leave", StartsAt: at, EndsAt: at.Add(10 * day)}
		c.change(&d)
		err := d.Check(c.own, at)
		if tenure.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%s), want %q saying %q", name, err, tenure.CodeOf(err), c.code, c.says)
		}
	}
}

// What somebody has by a delegation never reaches further than both, never lasts
// longer, and carries approving and reading alone.
func TestDelegatedGrantsAreWithinBoth(t *testing.T) {
	t.Parallel()
	scope := func(t *rapid.T, name string) tenure.Scope {
		if rapid.IntRange(0, 4).Draw(t, name+" all") == 0 {
			return tenure.Scope{All: true}
		}
		return tenure.Scope{
			Tenants: rapid.SliceOfN(rapid.SampledFrom([]tenure.TenantID{"ten_1", "ten_2"}), 0, 2).Draw(t, name+" tenants"),
			Tiers:   rapid.SliceOfN(rapid.SampledFrom([]string{"gold", "free"}), 0, 2).Draw(t, name+" tiers"),
			Labels:  rapid.SliceOfN(rapid.SampledFrom([]string{"region=eu", "region=us"}), 0, 2).Draw(t, name+" labels"),
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		own := []tenure.Grant{{
			Role: rapid.SampledFrom(append(slices.Repeat(tenure.ApprovingRoles(), 4), tenure.Roles...)).Draw(t, "role"), Scope: scope(t, "own"),
			ExpiresAt: rapid.SampledFrom([]time.Time{{}, at.Add(time.Hour), {}, at.Add(-time.Hour)}).Draw(t, "until"),
		}}
		d := tenure.Delegation{From: "a", To: "b", Scope: scope(t, "delegated"), StartsAt: at.Add(-time.Minute), EndsAt: at.Add(time.Minute)}
		if rapid.IntRange(0, 4).Draw(t, "revoked") == 4 {
			d.RevokedAt = at
		}
		now := at.Add(time.Duration(rapid.SampledFrom([]int{0, -1, 0, -2, 1}).Draw(t, "minutes")) * time.Minute)
		target := tenure.Target{
			Tenant: rapid.SampledFrom([]tenure.TenantID{"ten_1", "ten_2", "ten_3"}).Draw(t, "tenant"), Tier: rapid.SampledFrom([]string{"gold", "free", ""}).Draw(t, "tier"),
			Labels: map[string]string{"region": rapid.SampledFrom([]string{"eu", "us", "ch"}).Draw(t, "region")},
		}
		delegate := tenure.Caller{Name: "b", Kind: tenure.CallerPerson, Strong: true, Grants: d.Grants(own, now)}
		delegator := tenure.Caller{Name: "a", Kind: tenure.CallerPerson, Strong: true}
		if own[0].Active(now) {
			delegator.Grants = own
		}
		for _, role := range tenure.Roles {
			for _, p := range role.Permissions() {
				if !delegate.Decide(p, target).Allowed {
					continue
				}
				switch {
				case !delegator.Decide(p, target).Allowed:
					t.Fatalf("%s over what the delegator may not", p)
				case !d.Scope.Covers(target) || !d.Stands(now):
					t.Fatalf("%s outside of the delegation", p)
				case p != tenure.OperationApprove && !strings.HasSuffix(string(p), ".read"):
					t.Fatalf("%s by a delegation of approvals", p)
				}
			}
		}
	})
}
