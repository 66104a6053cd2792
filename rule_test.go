package tenure_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func lasting(s string) tenure.Period { return must(tenure.ParsePeriod(s)) }

var samePeriod = cmp.Comparer(func(a, b tenure.Period) bool { return a == b })

func TestStrictestRuleWinsInEachAspect(t *testing.T) {
	t.Parallel()
	p := &tenure.Plan{Kind: tenure.Offboard, Tier: "gold", Blueprint: tenure.BlueprintRef{Name: "clinic"}, Destructive: 2, Steps: []tenure.Step{
		{Key: "a", Resource: "res_1", Environment: "live"}, {Key: "b", Resource: "res_1"}, {Key: "c", Resource: "res_2"},
	}}
	facts := tenure.PlanFacts{Plan: p, Labels: map[string]string{"region": "eu"}, Kinds: map[string]string{"live": "production"}}
	when := func(m tenure.ApprovalMatch) tenure.ApprovalRule {
		return tenure.ApprovalRule{Name: "r", When: m, Count: 5}
	}
	for name, c := range map[string]struct {
		rules []tenure.ApprovalRule
		gate  tenure.Gate
		want  tenure.Gate
	}{
		"none":                {nil, tenure.Gate{Approvals: 1}, tenure.Gate{Approvals: 1}},
		"fewer changes none":  {[]tenure.ApprovalRule{{Name: "r", Count: 1}}, tenure.Gate{Approvals: 3}, tenure.Gate{Approvals: 3, Rules: []string{"r"}}},
		"the most persons":    {[]tenure.ApprovalRule{{Name: "r", Count: 2}, {Name: "s", Count: 4}, {Name: "t", Count: 3}}, tenure.Gate{}, tenure.Gate{Approvals: 4, Rules: []string{"r", "s", "t"}}},
		"every role":          {[]tenure.ApprovalRule{{Name: "r", From: []tenure.Quorum{{Role: tenure.Legal, Count: 1}}}, {Name: "s", From: []tenure.Quorum{{Role: tenure.Approver, Count: 2}, {Role: tenure.Legal, Count: 2}}}}, tenure.Gate{Approvals: 1}, tenure.Gate{Approvals: 4, From: []tenure.Quorum{{Role: tenure.Approver, Count: 2}, {Role: tenure.Legal, Count: 2}}, Rules: []string{"r", "s"}}},
		"the shortest expiry": {[]tenure.ApprovalRule{{Name: "r", Expires: lasting("P1M")}, {Name: "s", Expires: lasting("P2W")}, {Name: "t", Count: 1}}, tenure.Gate{}, tenure.Gate{Approvals: 1, Expires: lasting("P2W"), Rules: []string{"r", "s", "t"}}},
		"the first reminder and escalation": {[]tenure.ApprovalRule{
			{Name: "r", Remind: lasting("P2D"), Escalate: &tenure.Escalation{After: lasting("P3D"), Role: tenure.Legal}}, {Name: "s", Remind: lasting("PT1H"), Escalate: &tenure.Escalation{After: lasting("P1D"), Role: tenure.Admin}},
		}, tenure.Gate{}, tenure.Gate{Remind: lasting("PT1H"), Escalate: &tenure.Escalation{After: lasting("P1D"), Role: tenure.Admin}, Rules: []string{"r", "s"}}},
		"another kind":           {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{Kinds: []tenure.OperationKind{tenure.Onboard}})}, tenure.Gate{}, tenure.Gate{}},
		"another tier":           {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{Tiers: []string{"free"}})}, tenure.Gate{}, tenure.Gate{}},
		"another blueprint":      {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{Blueprints: []string{"shop"}})}, tenure.Gate{}, tenure.Gate{}},
		"another label":          {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{Labels: []string{"region=us", "site=eu"}})}, tenure.Gate{}, tenure.Gate{}},
		"another environment":    {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{Environments: []string{"test"}})}, tenure.Gate{}, tenure.Gate{}},
		"a larger radius":        {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{BlastRadius: tenure.BlastRadius{Resources: 3}})}, tenure.Gate{}, tenure.Gate{}},
		"more that destroys":     {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{BlastRadius: tenure.BlastRadius{Destructive: 3}})}, tenure.Gate{}, tenure.Gate{}},
		"another gate":           {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{Gates: []tenure.Action{tenure.ActNoReturn}})}, tenure.Gate{}, tenure.Gate{}},
		"all of it fits at once": {[]tenure.ApprovalRule{when(tenure.ApprovalMatch{Kinds: []tenure.OperationKind{tenure.Offboard}, Tiers: []string{"free", "gold"}, Blueprints: []string{"clinic"}, Labels: []string{"region=us", "region=eu"}, Environments: []string{"production"}, BlastRadius: tenure.BlastRadius{Resources: 2, Destructive: 2}})}, tenure.Gate{}, tenure.Gate{Approvals: 5, Rules: []string{"r"}}},
	} {
		if diff := cmp.Diff(c.want, tenure.RaiseGate(c.rules, tenure.ActApproval, c.gate, facts), samePeriod); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// A move from one tier to another is held to the rules of both.
	facts.WasTier = "free"
	if g := tenure.RaiseGate([]tenure.ApprovalRule{when(tenure.ApprovalMatch{Tiers: []string{"free"}})}, tenure.ActApproval, tenure.Gate{}, facts); g.Approvals != 5 {
		t.Errorf("the rule of the tier that is left asks for %d", g.Approvals)
	}
	// A point of no return isn't cancelled for silence: the tenant is half gone.
	both := tenure.ApprovalRule{Name: "r", When: tenure.ApprovalMatch{Gates: []tenure.Action{tenure.ActNoReturn}}, Count: 3, Expires: lasting("P1D")}
	if g := tenure.RaiseGate([]tenure.ApprovalRule{both}, tenure.ActNoReturn, tenure.Gate{Approvals: 2}, facts); g.Approvals != 3 || !g.Expires.IsZero() {
		t.Errorf("the point of no return asks for %+v", g)
	}
}

func drawRule(t *rapid.T) tenure.ApprovalRule {
	r := tenure.ApprovalRule{Name: rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "name"), Count: rapid.IntRange(0, 3).Draw(t, "count")}
	for _, role := range tenure.ApprovingRoles() {
		if rapid.Bool().Draw(t, "asks for "+string(role)) {
			r.From = append(r.From, tenure.Quorum{Role: role, Count: rapid.IntRange(1, 2).Draw(t, "persons")})
		}
	}
	if rapid.Bool().Draw(t, "expires") {
		r.Expires = lasting(fmt.Sprintf("P%dD", rapid.IntRange(1, 30).Draw(t, "days")))
	}
	return r
}

// Whatever the rules, and in whatever order: no gate asks for less than before, and
// one rule more never makes it ask for less.
func TestRulesOnlyRaise(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		facts := tenure.PlanFacts{Plan: &tenure.Plan{Kind: tenure.Onboard}}
		g := tenure.Gate{Approvals: rapid.IntRange(0, 3).Draw(t, "approvals")}
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 0, 4).Draw(t, "rules")
		for n := range rules {
			less, more := tenure.RaiseGate(rules[:n], tenure.ActApproval, g, facts), tenure.RaiseGate(rules[:n+1], tenure.ActApproval, g, facts)
			if more.Approvals < less.Approvals || more.Approvals < g.Approvals {
				t.Fatalf("%+v after %+v", more, less)
			}
			for _, q := range less.From {
				if !slices.ContainsFunc(more.From, func(o tenure.Quorum) bool { return o.Role == q.Role && o.Count >= q.Count }) {
					t.Fatalf("%+v after %+v", more, less)
				}
			}
			from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			if !less.Expires.IsZero() && (more.Expires.IsZero() || more.Expires.After(from).After(less.Expires.After(from))) {
				t.Fatalf("expires %s after %s", more.Expires, less.Expires)
			}
		}
		backwards := slices.Clone(rules)
		slices.Reverse(backwards)
		a, b := tenure.RaiseGate(rules, tenure.ActApproval, g, facts), tenure.RaiseGate(backwards, tenure.ActApproval, g, facts)
		a.Rules, b.Rules = nil, nil
		if diff := cmp.Diff(a, b, samePeriod); diff != "" {
			t.Fatalf("the order of the rules matters:\n%s", diff)
		}
	})
}

var at = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func word(by, on string, roles ...tenure.Role) tenure.Approval {
	return tenure.Approval{Step: "approve", Digest: "sha256:x", By: by, For: on, Roles: roles, At: at}
}

func TestGateCountsDistinctPersonsInTheirRoles(t *testing.T) {
	t.Parallel()
	op := tenure.Operation{Kind: tenure.Onboard, Plan: "sha256:x", RequestedBy: "olga"}
	legal, officer := tenure.Quorum{Role: tenure.Legal, Count: 1}, tenure.Quorum{Role: tenure.SecurityOfficer, Count: 1}
	other, elsewhere, early := word("a", "", tenure.Legal), word("a", "", tenure.Legal), word("a", "", tenure.Legal)
	other.Digest, elsewhere.Step, early.At = "sha256:y", "noreturn", at.Add(-time.Hour)
	for name, c := range map[string]struct {
		gate   tenure.Gate
		signed []tenure.Approval
		have   int
		open   bool
		miss   string
	}{
		"nothing asked":           {tenure.Gate{}, nil, 0, true, "nothing"},
		"one of two":              {tenure.Gate{Approvals: 2}, []tenure.Approval{word("a", "")}, 1, false, "1 of any role that approves"},
		"one person twice":        {tenure.Gate{Approvals: 2}, []tenure.Approval{word("a", ""), word("a", "")}, 1, false, "1 of any role that approves"},
		"a person and for them":   {tenure.Gate{Approvals: 2}, []tenure.Approval{word("a", ""), word("b", "a")}, 1, false, "1 of any role that approves"},
		"twice for one":           {tenure.Gate{Approvals: 2}, []tenure.Approval{word("b", "a"), word("c", "a")}, 1, false, "1 of any role that approves"},
		"the requester":           {tenure.Gate{Approvals: 1}, []tenure.Approval{word("olga", "")}, 0, false, "1 of any role that approves"},
		"for the requester":       {tenure.Gate{Approvals: 1}, []tenure.Approval{word("b", "olga")}, 0, false, "1 of any role that approves"},
		"another plan's":          {tenure.Gate{Approvals: 1}, []tenure.Approval{other}, 0, false, "1 of any role that approves"},
		"another gate's":          {tenure.Gate{Approvals: 1}, []tenure.Approval{elsewhere}, 0, false, "1 of any role that approves"},
		"too early":               {tenure.Gate{Approvals: 1}, []tenure.Approval{early}, 0, false, "1 of any role that approves"},
		"no legal":                {tenure.Gate{Approvals: 2, From: []tenure.Quorum{legal}}, []tenure.Approval{word("a", "", tenure.Approver), word("b", "", tenure.Approver)}, 1, false, "1 of legal"},
		"legal and another":       {tenure.Gate{Approvals: 2, From: []tenure.Quorum{legal}}, []tenure.Approval{word("a", "", tenure.Approver), word("b", "", tenure.Legal)}, 2, true, "nothing"},
		"one person, two roles":   {tenure.Gate{Approvals: 2, From: []tenure.Quorum{legal, officer}}, []tenure.Approval{word("a", "", tenure.Legal, tenure.SecurityOfficer)}, 1, false, ""},
		"roles find their places": {tenure.Gate{Approvals: 2, From: []tenure.Quorum{legal, officer}}, []tenure.Approval{word("a", "", tenure.Legal, tenure.SecurityOfficer), word("b", "", tenure.Legal)}, 2, true, "nothing"},
		"a standing approval":     {tenure.Gate{Approvals: 2, From: []tenure.Quorum{legal}}, []tenure.Approval{word(tenure.StandingSigner+"std_x", "")}, 0, true, "nothing"},
	} {
		got := c.gate.Count(op, "approve", c.signed, at)
		if got.Have != c.have || got.Open() != c.open || c.miss != "" && got.Missing() != c.miss {
			t.Errorf("%s: %d of %d, open %v, missing %q; want %d, %v, %q", name, got.Have, got.Need, got.Open(), got.Missing(), c.have, c.open, c.miss)
		}
	}
	op.Kind = tenure.Offboard
	if g := (tenure.Gate{Approvals: 1}); g.Count(op, "approve", []tenure.Approval{word(tenure.StandingSigner+"std_x", "")}, at).Open() {
		t.Error("a standing approval opens an offboarding")
	}
}

// The count is a matching: it is never more than the distinct persons or the
// places, and gives up nobody who could have been placed.
func TestGateCountIsTheBestSeating(t *testing.T) {
	t.Parallel()
	roles := tenure.ApprovingRoles()
	rapid.Check(t, func(t *rapid.T) {
		op := tenure.Operation{Kind: tenure.Change, Plan: "sha256:x", RequestedBy: "olga"}
		g := tenure.Gate{Approvals: rapid.IntRange(0, 4).Draw(t, "approvals")}
		for _, r := range roles {
			if rapid.Bool().Draw(t, "asks") {
				g.From = append(g.From, tenure.Quorum{Role: r, Count: rapid.IntRange(1, 2).Draw(t, "persons")})
			}
		}
		var places []tenure.Role
		for _, q := range g.From {
			places = append(places, slices.Repeat([]tenure.Role{q.Role}, q.Count)...)
		}
		for len(places) < g.Approvals {
			places = append(places, "")
		}
		var signed []tenure.Approval
		for i := range rapid.IntRange(0, 5).Draw(t, "signers") {
			signed = append(signed, word(fmt.Sprint("p", i), "", rapid.SliceOfNDistinct(rapid.SampledFrom(roles), 0, len(roles), rapid.ID).Draw(t, "roles")...))
		}
		var best func(p, used int) int // by trying every seating
		best = func(p, used int) int {
			if p == len(signed) {
				return 0
			}
			most := best(p+1, used)
			for i, r := range places {
				if used&(1<<i) == 0 && (r == "" || slices.Contains(signed[p].Roles, r)) {
					most = max(most, 1+best(p+1, used|1<<i))
				}
			}
			return most
		}
		if got, want := g.Count(op, "approve", signed, time.Time{}), best(0, 0); got.Have != want || got.Need != len(places) {
			t.Fatalf("%d of %d, want %d of %d", got.Have, got.Need, want, len(places))
		}
	})
}

func TestSigningKeepsDutiesApart(t *testing.T) {
	t.Parallel()
	op := tenure.Operation{ID: "op_x", Plan: "sha256:x", RequestedBy: "olga", State: tenure.OperationWaiting}
	all := tenure.Scope{All: true}
	stands := func(from, to string) tenure.Delegation { return tenure.Delegation{From: from, To: to, Scope: all} }
	gate := &tenure.Gate{Approvals: 2, From: []tenure.Quorum{{Role: tenure.Legal, Count: 1}}, Expires: lasting("P1D")}
	for name, c := range map[string]struct {
		sign tenure.Signing
		code tenure.Code
		says string
	}{
		"an approver":                                  {tenure.Signing{Approval: word("a", "", tenure.Approver)}, "", ""},
		"the requester":                                {tenure.Signing{Approval: word("olga", "", tenure.Approver)}, tenure.Forbidden, "requested this operation"},
		"who answers for the requester":                {tenure.Signing{Approval: word("a", "", tenure.Approver), Answers: "a"}, tenure.Forbidden, "answers for"},
		"for the requester":                            {tenure.Signing{Approval: word("a", "olga", tenure.Approver)}, tenure.Forbidden, "count as one person"},
		"the requester's delegate, in their own right": {tenure.Signing{Approval: word("a", "", tenure.Approver), Delegations: []tenure.Delegation{stands("olga", "a")}}, tenure.Forbidden, "count as one person"},
		"the requester's delegator":                    {tenure.Signing{Approval: word("a", "", tenure.Approver), Delegations: []tenure.Delegation{stands("a", "olga")}}, tenure.Forbidden, "count as one person"},
		"for who answers for the requester":            {tenure.Signing{Approval: word("a", "m", tenure.Approver), Answers: "m"}, tenure.Forbidden, "count as one person"},
		"the delegator has signed":                     {tenure.Signing{Approval: word("a", "b", tenure.Approver), Earlier: []tenure.Approval{word("b", "", tenure.Approver)}}, tenure.Conflict, "count once together"},
		"the delegate has signed for them":             {tenure.Signing{Approval: word("b", "", tenure.Approver), Earlier: []tenure.Approval{word("a", "b", tenure.Approver)}}, tenure.Conflict, "count once together"},
		"the delegate in their own right":              {tenure.Signing{Approval: word("b", "", tenure.Approver), Earlier: []tenure.Approval{word("a", "", tenure.Approver)}, Delegations: []tenure.Delegation{stands("b", "a")}}, tenure.Conflict, "count once together"},
		"two delegates of one":                         {tenure.Signing{Approval: word("c", "b", tenure.Approver), Earlier: []tenure.Approval{word("a", "b", tenure.Approver)}}, tenure.Conflict, "count once together"},
		"another pair's delegation":                    {tenure.Signing{Approval: word("a", "", tenure.Approver), Earlier: []tenure.Approval{word("b", "", tenure.Legal)}, Delegations: []tenure.Delegation{stands("a", "c")}}, "", ""},
		"the free place is taken":                      {tenure.Signing{Approval: word("a", "", tenure.Approver), Earlier: []tenure.Approval{word("b", "", tenure.Approver)}}, tenure.Forbidden, "1 of legal"},
		"too late":                                     {tenure.Signing{Approval: word("a", "", tenure.Legal), Since: at.Add(-24 * time.Hour)}, tenure.Conflict, "within P1D"},
		"just in time":                                 {tenure.Signing{Approval: word("a", "", tenure.Legal), Since: at.Add(-24*time.Hour + time.Microsecond)}, "", ""},
		"the same at another gate, no matter":          {tenure.Signing{Approval: word("a", "b", tenure.Approver), Earlier: []tenure.Approval{{Step: "other", Digest: "sha256:x", By: "b", At: at}}}, "", ""},
	} {
		if c.sign.Gate = gate; c.sign.Since.IsZero() {
			c.sign.Since = at
		}
		err := c.sign.Check(op)
		if tenure.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%s), want %q saying %q", name, err, tenure.CodeOf(err), c.code, c.says)
		}
	}
}

// A plan of before the rules reads and encodes byte for byte as it did.
func TestGateOfFormat1IsUntouched(t *testing.T) {
	t.Parallel()
	body := []byte(`{"at":"2026-03-02T09:00:00Z","blueprint":{"digest":"sha256:d","name":"small","version":"1"},"destructive":0,"format":1,"kind":"onboard","name":"acme","onFailure":"park","steps":[{"action":"gate.approval","gate":{"approvals":1},"key":"approve","stage":"approval","summary":"s"}],"tenant":"ten_x"}`)
	p := must(tenure.DecodePlan(body, tenure.Digest(body)))
	got, _, err := p.Encode()
	if err != nil || string(got) != string(body) {
		t.Errorf("%v\n got %s\nwant %s", err, got, body)
	}
}
