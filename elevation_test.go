package tenure_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

var limits = tenure.ElevationLimits{}.WithDefaults()

func caller(name string) tenure.Caller {
	return tenure.Caller{Kind: tenure.CallerPerson, Principal: tenure.PrincipalID("prn_" + name), Name: name, Strong: true}
}

func ask(t interface{ Fatal(...any) }) tenure.Elevation {
	return tenure.Elevation{
		ID: "elv_1", Principal: "prn_ada", Name: "ada", Role: tenure.Operator, Scope: tenure.Scope{Tenants: []tenure.TenantID{"ten_1"}},
		Reason: "a stuck migration", For: period(t, "PT2H"),
	}
}

func code(t *testing.T, what string, err error, want tenure.Code) {
	t.Helper()
	if tenure.CodeOf(err) != want {
		t.Errorf("%s: %v (%s), want %s", what, err, tenure.CodeOf(err), want)
	}
}

// Whatever people do and however time passes: an elevation is never active
// without the word of another person for exactly what was asked, its clock never
// runs before it is claimed or past its length, and nothing follows its end.
// Break-glass is reviewed by another person, or known to be overdue.
func TestElevationStates(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		now := start
		people := []tenure.Caller{caller("ada"), caller("bo"), caller("eve"), {Kind: tenure.CallerMachine, Principal: "prn_ci", Name: "ci"}}
		e := ask(t)
		machine := rapid.Bool().Draw(t, "a machine's")
		if machine {
			e.Principal, e.Name, e.Owner = "prn_ci", "ci", "ada"
		}
		glass := rapid.Bool().Draw(t, "break-glass")
		var err error
		if glass {
			e, err = e.Break(nil, limits, now)
		} else {
			e, err = e.Request(nil, limits, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		claimedAt := time.Time{}
		begin := rapid.SampledFrom([]string{"nothing", "approved", "claimed", "claimed"}).Draw(t, "begins")
		if !glass && begin != "nothing" {
			if e, err = e.Approve(people[1], e.Digest, limits, now); err != nil {
				t.Fatal(err)
			}
		}
		if !glass && begin == "claimed" {
			holder := people[0]
			if machine {
				holder = people[3]
			}
			if e, err = e.Claim(holder, nil, limits, now); err != nil {
				t.Fatal(err)
			}
			claimedAt = now
		}
		seen[string(e.Kind)+" "+string(e.State)] = true
		steps := rapid.IntRange(0, 8).Draw(t, "steps")
		for i := range steps + 1 {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 30, 59, 60, 119, 120, 200, 5000}).Draw(t, fmt.Sprint("minutes ", i))) * time.Minute)
			who := rapid.SampledFrom(people).Draw(t, fmt.Sprint("who ", i))
			before, next := e, e
			do := rapid.SampledFrom([]string{"approve", "approve", "approve other", "reject", "claim", "claim", "revoke", "settle", "review"}).Draw(t, fmt.Sprint("do ", i))
			if i == steps {
				now, do = now.Add(100*time.Hour), "settle"
			}
			switch do {
			case "approve":
				next, err = e.Approve(who, e.Digest, limits, now)
			case "approve other":
				if next, err = e.Approve(who, "sha256:other", limits, now); err == nil {
					t.Fatal("a digest of something else is good")
				}
			case "reject":
				next, err = e.Reject(who, "no", now)
			case "claim":
				if next, err = e.Claim(who, nil, limits, now); err == nil {
					claimedAt = now
				}
			case "revoke":
				next, err = e.Revoke(who.Name, "", now)
			case "settle":
				next, _ = e.Settle(limits, now)
				err = nil
			case "review":
				next, err = e.Review(who, "looked at", now)
			}
			if err == nil {
				e = next
			}
			seen[string(e.Kind)+" "+string(e.State)] = true
			if e.State != before.State && !e.Kind.CanMove(before.State, e.State) {
				t.Fatalf("%s went from %s to %s", e.Kind, before.State, e.State)
			}
			active := e.State == tenure.ElevationActive
			if active && !glass && (e.DecidedBy == "" || e.DecidedBy == e.Name || e.DecidedBy == e.Owner || e.DecidedBy == "ci" || e.DecidedAt.After(e.StartedAt)) {
				t.Fatalf("active by the word of %q", e.DecidedBy)
			}
			if active && !glass && (!e.StartedAt.Equal(claimedAt) || !e.EndsAt.Equal(claimedAt.Add(2*time.Hour)) || claimedAt.After(e.ClaimUntil)) {
				t.Fatalf("claimed at %s, it runs from %s to %s", claimedAt, e.StartedAt, e.EndsAt)
			}
			if settled, _ := e.Settle(limits, now); settled.State == tenure.ElevationActive && !now.Before(settled.EndsAt) {
				t.Fatal("it is active after its end")
			}
			if e.Grant("grt_1").Active(now) && e.State == tenure.ElevationActive && !now.Before(e.EndsAt) {
				t.Fatal("its grant counts after its end, though nothing ran")
			}
			if !before.OverAt(now) && e.ReviewedBy != "" {
				t.Fatal("a break-glass was reviewed before its end")
			}
			reviewed := e.ReviewedBy != "" && e.ReviewedBy != e.Name && e.ReviewedBy != e.Owner && e.ReviewedBy != "ci"
			if glass && !reviewed && !e.ReviewOverdue(limits, now.Add(2*time.Hour+limits.Review)) {
				t.Fatal("a break-glass that nobody reviewed is fine")
			}
			if before.State.Over() && e.State != before.State {
				t.Fatalf("it is %s after it was %s", e.State, before.State)
			}
		}
	})
	for _, want := range []string{"elevation active", "elevation ended", "breakglass ended"} {
		if !seen[want] {
			t.Errorf("no run came to %q", want)
		}
	}
}

func TestElevationRefusals(t *testing.T) {
	t.Parallel()
	auditor := []tenure.Grant{{ID: "grt_9", Role: tenure.Auditor, Scope: tenure.Scope{All: true}}}
	for what, c := range map[string]struct {
		edit func(*tenure.Elevation)
		have []tenure.Grant
		code tenure.Code
	}{
		"a role that conflicts": {func(*tenure.Elevation) {}, auditor, tenure.Conflict},
		"no reason":             {func(e *tenure.Elevation) { e.Reason = " " }, nil, tenure.Invalid},
		"no end":                {func(e *tenure.Elevation) { e.For = tenure.Period{} }, nil, tenure.Invalid},
		"too long":              {func(e *tenure.Elevation) { e.For = period(t, "PT8H1M") }, nil, tenure.Invalid},
		"too short":             {func(e *tenure.Elevation) { e.For = period(t, "PT59S") }, nil, tenure.Invalid},
		"no such role":          {func(e *tenure.Elevation) { e.Role = "god" }, nil, tenure.Invalid},
		"nobody's scope":        {func(e *tenure.Elevation) { e.Scope = tenure.Scope{} }, nil, tenure.Invalid},
		"direct access to all": {func(e *tenure.Elevation) {
			e.Scope, e.System, e.Access = tenure.Scope{All: true}, "db", tenure.DirectRead
		}, nil, tenure.Invalid},
		"a system and no access":                {func(e *tenure.Elevation) { e.System = "db" }, nil, tenure.Invalid},
		"access that would be something else's": {func(e *tenure.Elevation) { e.System, e.Access = "db", "drop" }, nil, tenure.Invalid},
		"direct access to a tier, whoever joins it": {func(e *tenure.Elevation) {
			e.Scope.Tiers, e.System, e.Access = []string{"gold"}, "db", tenure.DirectRead
		}, nil, tenure.Invalid},
	} {
		e := ask(t)
		c.edit(&e)
		_, err := e.Request(c.have, limits, start)
		code(t, what, err, c.code)
	}
	for what, edit := range map[string]func(*tenure.Elevation){
		"break-glass to be an admin":   func(e *tenure.Elevation) { e.Role = tenure.Admin },
		"break-glass to be legal":      func(e *tenure.Elevation) { e.Role = tenure.Legal },
		"break-glass that writes":      func(e *tenure.Elevation) { e.System, e.Access = "db", tenure.DirectWrite },
		"break-glass for nine letters": func(e *tenure.Elevation) { e.Reason = "ninechars" },
		"break-glass for a day":        func(e *tenure.Elevation) { e.For = period(t, "PT4H1S") },
	} {
		e := ask(t)
		edit(&e)
		_, err := e.Break(nil, limits, start)
		code(t, what, err, tenure.Invalid)
	}
	e := ask(t)
	e.For = tenure.Period{}
	if e, err := e.Break(nil, limits, start); err != nil || !e.EndsAt.Equal(start.Add(time.Hour)) {
		t.Errorf("break-glass that doesn't say how long ends at %s (%v), want an hour", e.EndsAt, err)
	}
}

// Who asked, who answers for a machine that asked, and machines decide nothing
// about an elevation, under whatever they come in as.
func TestElevationNeedsAnother(t *testing.T) {
	t.Parallel()
	e, err := ask(t).Request(nil, limits, start)
	if err != nil {
		t.Fatal(err)
	}
	glass, err := ask(t).Break(nil, limits, start)
	if err != nil {
		t.Fatal(err)
	}
	e.Owner, glass.Owner = "olga", "olga"
	for what, who := range map[string]tenure.Caller{
		"the requester": caller("ada"), "the requester at the socket": {Kind: tenure.CallerLocal, Name: "ada"}, "the requester under another name": {Kind: tenure.CallerPerson, Principal: "prn_ada", Name: "ada.l"},
		"who answers for it": caller("olga"), "a machine": {Kind: tenure.CallerMachine, Principal: "prn_ci", Name: "ci"}, "nobody": {Kind: tenure.CallerLocal},
	} {
		_, err := e.Approve(who, e.Digest, limits, start)
		code(t, what+" approves", err, tenure.Forbidden)
		_, err = e.Reject(who, "no", start)
		code(t, what+" rejects", err, tenure.Forbidden)
		_, err = glass.Review(who, "fine", start)
		code(t, what+" reviews", err, tenure.Forbidden)
	}
	if _, err := e.Approve(caller("bo"), e.Digest, limits, start); err != nil {
		t.Errorf("another person approves: %v", err)
	}
	_, err = glass.Review(caller("bo"), "fine", glass.EndsAt.Add(-time.Second))
	code(t, "a review before its end", err, tenure.Conflict)
	reviewed, err := glass.Review(caller("bo"), "fine", glass.EndsAt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = reviewed.Review(caller("eve"), "fine", start)
	code(t, "a second review", err, tenure.Conflict)
	_, err = e.Review(caller("bo"), "fine", start)
	code(t, "a review of what was approved", err, tenure.Invalid)
}

func TestElevationClaim(t *testing.T) {
	t.Parallel()
	e, err := ask(t).Request(nil, limits, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Claim(caller("ada"), nil, limits, start); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a claim without approval: %v", err)
	}
	if e, err = e.Approve(caller("bo"), e.Digest, limits, start); err != nil {
		t.Fatal(err)
	}
	_, err = e.Claim(caller("bo"), nil, limits, start)
	code(t, "another's claim", err, tenure.Forbidden)
	_, err = e.Claim(caller("ada"), nil, limits, start.Add(time.Hour))
	code(t, "a claim when the window has closed", err, tenure.Conflict)
	_, err = e.Claim(caller("ada"), []tenure.Grant{{ID: "grt_2", Role: tenure.Auditor, Scope: tenure.Scope{All: true}}}, limits, start)
	code(t, "a claim by somebody who became an auditor", err, tenure.Conflict)
	late := start.Add(59 * time.Minute)
	if e, err = e.Claim(caller("ada"), nil, limits, late); err != nil || !e.StartedAt.Equal(late) || !e.EndsAt.Equal(late.Add(2*time.Hour)) {
		t.Fatalf("it runs from %s to %s (%v), want from the claim on", e.StartedAt, e.EndsAt, err)
	}
	_, err = e.Claim(caller("ada"), nil, limits, late)
	code(t, "a second claim", err, tenure.Conflict)
	changed := ask(t)
	changed, err = changed.Request(nil, limits, start)
	if err != nil {
		t.Fatal(err)
	}
	changed.Role = tenure.Legal
	_, err = changed.Approve(caller("bo"), changed.Digest, limits, start)
	code(t, "an approval of what was changed after it was named", err, tenure.Conflict)
}

// What break-glass gives never decides, destroys or lets go, whatever its role.
func TestBreakGlassNeverDestroys(t *testing.T) {
	t.Parallel()
	target := tenure.Target{Tenant: "ten_1"}
	never := []tenure.Permission{
		tenure.HoldRelease, tenure.AccessManage, tenure.OperationApprove, tenure.StandingApprove, tenure.ElevationApprove, tenure.BreakGlassUse, tenure.BreakGlassReview,
		tenure.KeyManage, tenure.SystemManage, tenure.BlueprintPublish, tenure.FindingWaive, tenure.ReviewManage,
	}
	for _, role := range tenure.Roles {
		c := caller("ada")
		c.Grants = []tenure.Grant{{ID: "grt_1", Role: role, Scope: tenure.Scope{All: true}, Elevation: "elv_1", BreakGlass: true}}
		for _, p := range never {
			reach, _ := c.Reach(p)
			if c.Decide(p, target).Allowed || c.May(p) || !reach.IsZero() {
				t.Errorf("break-glass as %s gives %s", role, p)
			}
		}
		if !c.Decide(tenure.TenantRead, target).Allowed {
			t.Errorf("break-glass as %s doesn't let one look", role)
		}
	}
	glass := tenure.Grant{ID: "grt_1", Role: tenure.Operator, Scope: tenure.Scope{All: true}, BreakGlass: true}
	own := tenure.Grant{ID: "grt_2", Role: tenure.Operator, Scope: tenure.Scope{Tenants: []tenure.TenantID{"ten_1"}}}
	create, destroy := &tenure.Plan{Kind: tenure.Onboard}, &tenure.Plan{Kind: tenure.Change, Destructive: 1}
	for _, c := range []struct {
		grants []tenure.Grant
		tenant tenure.TenantID
		plan   *tenure.Plan
		only   bool
		code   tenure.Code
	}{
		{[]tenure.Grant{glass}, "ten_1", create, true, ""},
		{[]tenure.Grant{glass}, "ten_1", destroy, true, tenure.Forbidden},
		{[]tenure.Grant{glass}, "ten_1", &tenure.Plan{Kind: tenure.Offboard}, true, tenure.Forbidden},
		{[]tenure.Grant{glass}, "ten_1", &tenure.Plan{Kind: tenure.Change, Steps: []tenure.Step{{Destructive: true}}}, true, tenure.Forbidden},
		{[]tenure.Grant{glass, own}, "ten_1", destroy, false, ""},
		{[]tenure.Grant{glass, own}, "ten_2", destroy, true, tenure.Forbidden},
		{nil, "ten_1", destroy, false, ""},
	} {
		who := caller("ada")
		who.Grants = c.grants
		at := tenure.Target{Tenant: c.tenant}
		if who.OnlyBreakGlass(tenure.OperationRequest, at) != c.only {
			t.Errorf("%d grants over %s: only break-glass isn't %t", len(c.grants), c.tenant, c.only)
		}
		code(t, "a plan of kind "+string(c.plan.Kind), who.CheckDestructive(tenure.OperationRequest, c.plan, at), c.code)
	}
}

// What an approval signs is what a person can read: every word of the request.
func TestElevationDigest(t *testing.T) {
	t.Parallel()
	e, err := ask(t).Request(nil, limits, start)
	if err != nil {
		t.Fatal(err)
	}
	body, digest, err := e.Asked()
	if err != nil || digest != e.Digest {
		t.Fatalf("%s, want %s (%v)", digest, e.Digest, err)
	}
	for _, word := range []string{`"ada"`, `"operator"`, `"ten_1"`, `"a stuck migration"`, `"PT2H"`} {
		if !strings.Contains(string(body), word) {
			t.Errorf("what is signed, %s, doesn't say %s", body, word)
		}
	}
}
