package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// town is a pool whose tenants have a role and a schema that it owns.
func town(t *testing.T) (p *pool, token string) {
	t.Helper()
	p, token = postgresPool(t), "t"+postgrestest.Token()
	t.Cleanup(func() {
		for _, name := range []string{"acme", "birch"} {
			for _, drop := range []string{"drop schema if exists s_" + name + " cascade", "drop owned by " + token + name, "drop role " + token + name} {
				_, _ = p.db.Exec(drop)
			}
		}
	})
	p.publishText(withResources("town", "2.0", `  - {key: login, system: pool, type: role, name: "`+token+`${tenant.name}", attributes: {login: true}}
  - {key: data, system: pool, type: schema, name: "s_${tenant.name}", data: [aa, bb, cc], attributes: {owner: "${resources.login.name}",
      ddl: "create table if not exists a (i int); create table if not exists b (i int); create table if not exists c (i int)", tables: {a: aa, b: bb, c: cc}}}`))
	for _, name := range []string{"acme", "birch"} {
		p.wantState(p.begin(name, "town"), tenure.OperationSucceeded)
	}
	return p, token
}

func (p *pool) found(tenant, says string) (out []tenure.Finding) {
	p.t.Helper()
	look, err := p.Drift(context.Background(), "")
	p.must(err)
	if len(look.Dead) > 0 {
		p.t.Fatalf("systems that couldn't be looked at: %v", look.Dead)
	}
	for _, f := range look.Findings {
		var name string
		if f.Tenant != "" {
			row, err := p.Engine.DB.Tenant(context.Background(), string(f.Tenant))
			p.must(err)
			name = row.Name
		}
		if name == tenant && strings.Contains(f.Detail, says) {
			out = append(out, f)
		}
	}
	return out
}

// A neighbour that was let into a tenant's schema is a critical finding of that tenant,
// which a repair takes back; so is a role that was set to look at a neighbour's place.
func TestRightsNobodyLooksAt(t *testing.T) {
	t.Parallel()
	p, token := town(t)
	if all := p.found("", ""); len(all)+len(p.found("acme", "")) > 0 {
		t.Fatalf("there is drift already: %+v", all)
	}
	for _, c := range []struct{ plant, at, says string }{
		{"grant usage on schema s_acme to " + token + "birch; grant select on s_acme.a to " + token + "birch", "acme", token + "birch, another tenant's, may select on table s_acme.a"},
		{"alter role " + token + "acme set search_path = s_birch", "acme", "setting search_path"},
		{"create schema m; create table m.usage_events (tenant text); alter table m.usage_events enable row level security; create view m.v as select * from m.usage_events; grant usage on schema m to " + token + "acme; grant select on m.v to " + token + "acme", "acme", "past row security"},
	} {
		p.sql(p.db, c.plant)
		got := p.found(c.at, c.says)
		if !slices.ContainsFunc(got, func(f tenure.Finding) bool { return f.Severity == tenure.Critical && f.Resource != "" }) {
			t.Errorf("after %q no critical finding of %s says %q: %+v", c.plant, c.at, c.says, p.found(c.at, ""))
		}
		p.wantState(p.run(lifecycle.Intent{Kind: tenure.Repair, Tenant: c.at}), tenure.OperationSucceeded)
		if left := p.found(c.at, ""); len(left) > 0 {
			t.Errorf("after a repair there is %+v", left)
		}
	}
}

// The isolation probe is made with each look at a tenant and by the clock: what it shows
// is a finding until it passes again. What birch opens of its own stops nobody's onboarding.
func TestIsolationIsProbedAgain(t *testing.T) {
	t.Parallel()
	p, token := town(t)
	ctx := context.Background()
	failing := func() int {
		t.Helper()
		all, err := p.Findings(ctx, "acme", false)
		p.must(err)
		n := 0
		for _, f := range all {
			if f.Kind == tenure.FindingIsolation && f.Severity == tenure.Critical {
				n++
			}
		}
		return n
	}
	p.sql(p.db, "create schema m; create table m.usage_events (tenant text); alter table m.usage_events enable row level security; create view m.v as select * from m.usage_events; grant usage on schema m to "+token+"acme; grant select on m.v to "+token+"acme")
	p.must(p.TickProbes(ctx, p.Now()))
	if failing() != 1 {
		t.Error("the clock's probe finds nothing of a view past row security")
	}
	p.sql(p.db, "drop view m.v")
	probed, err := p.Probe(ctx, "acme")
	p.must(err)
	if len(probed) != 1 || !probed[0].Passed || failing() != 0 {
		t.Errorf("once the view is gone: %+v, with %d findings", probed, failing())
	}
	p.sql(p.db, "grant usage on schema s_birch to public; grant select on s_birch.a to public")
	if probed, err = p.Probe(ctx, "acme"); err != nil || !probed[0].Passed || !strings.Contains(probed[0].Detail, "s_birch") {
		t.Errorf("a neighbour's misdeed: %+v, %v", probed, err)
	}
	if got := p.found("birch", "PUBLIC may select on table s_birch.a"); len(got) != 1 || got[0].Severity != tenure.Critical {
		t.Errorf("birch's misdeed is found as %+v", got)
	}
}

// What an application or a person was let do beside the blueprint is taken away only once
// somebody else has read what goes, by whom it is held, and approved it; what was waived,
// and what comes after the plan, stays.
func TestRepairSaysWhatItTakesAway(t *testing.T) {
	t.Parallel()
	p, token := town(t)
	ctx := context.Background()
	app, support := token+"app", token+"support"
	p.sql(p.db, "create role "+app+"; create role "+support)
	t.Cleanup(func() {
		for _, role := range []string{app, support} {
			_, _ = p.db.Exec("drop owned by " + role + "; drop role " + role)
		}
	})
	has := func(role, table string) bool {
		t.Helper()
		return count(t, p.db, "select has_table_privilege('"+role+"', '"+table+"', 'select')::int") == 1
	}
	p.sql(p.db, "grant usage on schema s_acme to "+app+"; grant select on s_acme.a to "+app+"; grant select on s_acme.b to "+support+"; alter role "+token+"acme set search_path = s_acme")
	for _, f := range p.found("acme", support) {
		p.must(p.Waive(ctx, f.ID, p.Now().Add(10*day), "until the case is closed", "operator"))
	}
	op := p.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
	view := p.view(op)
	if view.State != tenure.OperationWaiting || !has(app, "s_acme.a") {
		t.Fatalf("the repair takes the application's rights away while nobody approved it\n%s", p.show(op))
	}
	plan, err := p.Engine.DB.Plan(ctx, view.Plan)
	p.must(err)
	says := ""
	for _, d := range plan.Diff {
		says += d.Resource + " | " + d.Field + " | " + d.From + " | " + d.To + "\n"
	}
	for _, want := range []string{
		"prod/data | rights of " + app + " on schema s_acme | usage | taken away from role " + app + ", which is no tenant's",
		"prod/data | rights of " + app + " on table s_acme.a | select | taken away from role " + app + ", which is no tenant's",
		"prod/login | setting search_path | s_acme | taken away from role " + token + "acme",
	} {
		if !strings.Contains(says, want+"\n") {
			t.Errorf("the plan doesn't say %q:\n%s", want, says)
		}
	}
	if strings.Contains(says, support) {
		t.Errorf("the plan would take away what is waived:\n%s", says)
	}
	p.sql(p.db, "grant select on s_acme.c to "+app) // and comes after the plan
	_, err = p.Approve(ctx, op, "", view.Plan, "operator", "")
	wantCode(t, err, tenure.Forbidden)
	p.approve(op, "reviewer")
	p.wantState(op, tenure.OperationBlocked)
	if has(app, "s_acme.a") || !has(app, "s_acme.c") || !has(support, "s_acme.b") {
		t.Errorf("of the plan's, the later and the waived right there are %t, %t, %t", has(app, "s_acme.a"), has(app, "s_acme.c"), has(support, "s_acme.b"))
	}
	if got := p.show(op); !strings.Contains(got, "doesn't list") {
		t.Errorf("what came after the plan isn't named:\n%s", got)
	}
	p.sql(p.db, "revoke select on s_acme.c from "+app)
	_, err = p.Retry(ctx, op, "", "operator")
	p.must(err)
	p.settle()
	p.wantState(op, tenure.OperationSucceeded)
	if left := p.found("acme", app); len(left) > 0 {
		t.Errorf("after a repair there is %+v", left)
	}
}

// A right that a grant of the blueprint's gives an application is brought back without
// anybody's approval; what it has beyond that isn't taken away so.
func TestRepairOfAnApplicationsGrant(t *testing.T) {
	t.Parallel()
	p, token := postgresPool(t), "t"+postgrestest.Token()
	app := token + "app"
	p.sql(p.db, "create role "+app)
	t.Cleanup(func() { _, _ = p.db.Exec("drop owned by " + app + "; drop role " + app) })
	p.publishText(withResources("town", "2.0", siloResources+`
  - {key: app, system: pool, type: grant, name: "`+token+`${tenant.name}-app", needs: [data], attributes: {role: "`+app+`", schema: "s_${tenant.name}", tables: [a], privileges: [select]}}`))
	p.wantState(p.begin("acme", "town"), tenure.OperationSucceeded)
	for _, c := range []struct {
		plant string
		asks  bool
	}{{"revoke select on s_acme.a from " + app, false}, {"grant insert on s_acme.a to " + app, true}} {
		p.sql(p.db, c.plant)
		op := p.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
		if asks := p.view(op).State == tenure.OperationWaiting; asks != c.asks {
			t.Errorf("after %q it asks for approval: %t\n%s", c.plant, asks, p.show(op))
		}
		if c.asks {
			p.approve(op, "reviewer")
		}
		p.wantState(op, tenure.OperationSucceeded)
		p.wantFound("acme")
	}
}
