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
