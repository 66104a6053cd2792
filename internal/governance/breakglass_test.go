package governance_test

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/store"
)

// Break-glass works at once, everybody hears of it, a second person reviews it,
// and it ends by itself.
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	ask := w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead)
	ask.For = tenure.Period{}
	e, login, err := w.BreakGlass(ctx, w.who["ada"], ask)
	w.must(err)
	if !w.may("ada", tenure.AuditRead) || !w.in(login) || !e.EndsAt.Equal(w.clock().Add(time.Hour)) {
		t.Fatalf("it doesn't work at once for an hour: %+v", e)
	}
	for _, p := range []tenure.Permission{tenure.HoldRelease, tenure.OperationApprove, tenure.ElevationApprove, tenure.StandingApprove, tenure.AccessManage, tenure.KeyManage, tenure.BreakGlassReview, tenure.FindingWaive} {
		if w.may("ada", p) {
			t.Errorf("by break-glass ada may %s", p)
		}
	}
	open, err := w.db.Findings(ctx, w.acme)
	if err != nil || len(open) != 1 || open[0].Kind != tenure.FindingAnomaly || open[0].Severity != tenure.High {
		t.Errorf("the findings are %+v (%v), want a high anomaly", open, err)
	}
	notices, err := w.db.Notices(ctx, w.acme)
	if err != nil || len(notices) != 1 || !w.logged("breakglass") {
		t.Errorf("the notices are %+v (%v), in the log: %t", notices, err, w.logged("breakglass"))
	}
	if events, err := w.db.AccessEvents(ctx, "breakglass", "ada", time.Time{}, 10); err != nil || len(events) != 1 {
		t.Errorf("the access events are %+v (%v)", events, err)
	}
	w.pass(2 * time.Hour)
	w.tick()
	if w.may("ada", tenure.AuditRead) || w.in(login) || w.logins() != 0 || w.state(e.ID) != tenure.ElevationEnded {
		t.Error("it goes on after its end")
	}
	for who, code := range map[string]tenure.Code{"ada": tenure.Forbidden, "bo": tenure.Forbidden, "ann": tenure.Forbidden, "tim": tenure.NotFound} {
		_, err = w.ReviewBreakGlass(ctx, w.who[who], e.ID, "fine")
		w.wants("a review by "+who, err, code)
	}
	e, err = w.ReviewBreakGlass(ctx, w.who["sue"], e.ID, "was needed; the runbook is mended")
	w.must(err)
	if open, err := w.db.Findings(ctx, ""); err != nil || len(open) != 0 || e.ReviewedBy != "sue" {
		t.Errorf("after the review the findings are %+v (%v)", open, err)
	}
	w.pass(48 * time.Hour)
	w.tick()
	if open, err := w.db.Findings(ctx, ""); err != nil || len(open) != 0 {
		t.Errorf("what was reviewed is found again: %+v (%v)", open, err)
	}
}

func TestBreakGlassUnreviewed(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	e, _, err := w.BreakGlass(ctx, w.who["ada"], w.ask(tenure.Operator, "", ""))
	w.must(err)
	w.pass(e.EndsAt.Sub(w.clock()) - time.Second)
	_, err = w.ReviewBreakGlass(ctx, w.who["sue"], e.ID, "fine so far")
	w.wants("a review before its end", err, tenure.Conflict)
	w.pass(24 * time.Hour)
	w.tick()
	open, err := w.db.Findings(ctx, w.acme)
	if err != nil || len(open) != 1 || open[0].Severity != tenure.High {
		t.Fatalf("before the day is over the findings are %+v (%v)", open, err)
	}
	w.pass(time.Second)
	for range 3 {
		w.tick()
	}
	open, err = w.db.Findings(ctx, w.acme)
	if err != nil || len(open) != 1 || open[0].Severity != tenure.Critical {
		t.Fatalf("after a day without review the findings are %+v (%v), want one that is critical", open, err)
	}
	overdue := 0
	for _, k := range w.kinds {
		if k == "breakglass.overdue" {
			overdue++
		}
	}
	if overdue != 1 {
		t.Errorf("the log says %d times that the review is overdue", overdue)
	}
	_, err = w.ReviewBreakGlass(ctx, w.who["sue"], e.ID, "late, and fine")
	w.must(err)
	if open, err := w.db.Findings(ctx, ""); err != nil || len(open) != 0 {
		t.Errorf("after the review the findings are %+v (%v)", open, err)
	}
}

func TestBreakGlassRefusals(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	weak := w.who["ada"]
	weak.Strong = false
	narrow := w.who["ada"]
	narrow.Limit = tenure.Scope{Tiers: []string{"team"}}
	for what, c := range map[string]struct {
		by   tenure.Caller
		edit func(*tenure.Scope)
		role tenure.Role
		code tenure.Code
	}{
		"without the permission":            {w.who["bo"], nil, tenure.Operator, tenure.Forbidden},
		"over what one may not know of":     {w.who["ada"], func(s *tenure.Scope) { s.Tenants = []tenure.TenantID{w.globex} }, tenure.Operator, tenure.NotFound},
		"over more than one may":            {w.who["ada"], func(s *tenure.Scope) { *s = tenure.Scope{All: true} }, tenure.Operator, tenure.Forbidden},
		"after a weak sign-in":              {weak, nil, tenure.Operator, tenure.Forbidden},
		"over a tier, after a weak sign-in": {weak, func(s *tenure.Scope) { *s = tenure.Scope{Tiers: []string{"gold"}} }, tenure.Operator, tenure.Forbidden},
		"with a token for others":           {narrow, nil, tenure.Operator, tenure.NotFound},
		"to become an admin":                {w.who["ada"], nil, tenure.Admin, tenure.Invalid},
		"with a role that conflicts":        {w.who["ann"], nil, tenure.SecurityOfficer, tenure.Conflict},
		"by a machine":                      {w.who["ci"], nil, tenure.Operator, tenure.Forbidden},
		"over a tenant that isn't at all":   {w.who["ada"], func(s *tenure.Scope) { s.Tenants = []tenure.TenantID{"nobody"} }, tenure.Operator, tenure.NotFound},
	} {
		ask := w.ask(c.role, "", "")
		if c.edit != nil {
			c.edit(&ask.Scope)
		}
		_, _, err := w.BreakGlass(ctx, c.by, ask)
		w.wants("break-glass "+what, err, c.code)
	}
	if w.logged("breakglass") {
		t.Error("a refused break-glass is in the log as used")
	}
	w.world.Inject(memory.Fault{Call: "elevate", Times: 1})
	e, login, err := w.BreakGlass(ctx, w.who["ada"], w.ask(tenure.Operator, "db", tenure.DirectRead))
	w.wants("break-glass whose login can't be opened", err, tenure.Unavailable)
	if login != nil || w.state(e.ID) != tenure.ElevationRevoked || w.logins() != 0 {
		t.Errorf("it is %s with %d logins", w.state(e.ID), w.logins())
	}
	list, err := w.Elevations(ctx, w.who["sue"], store.ElevationFilter{Unreviewed: true})
	if err != nil || len(list) != 1 {
		t.Errorf("%d wait for a review (%v), want the one that came to nothing too", len(list), err)
	}
}
