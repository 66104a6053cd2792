package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

const siloResources = `  - {key: data, system: pool, type: schema, name: "s_${tenant.name}", data: [aa, bb, cc], attributes: {
      ddl: "create table if not exists a (i int); create table if not exists b (i int); create table if not exists c (i int)", tables: {a: aa, b: bb, c: cc}}}`

func (p *pool) findings(tenant string) (out []string) {
	p.t.Helper()
	look, err := p.Drift(context.Background(), tenant)
	p.must(err)
	if len(look.Dead) > 0 {
		p.t.Errorf("systems that couldn't be asked: %v", look.Dead)
	}
	for _, f := range look.Findings {
		if f.Kind != tenure.FindingUncovered {
			out = append(out, string(f.Kind)+" "+string(f.Severity)+" "+f.Type+" "+f.Name+" "+f.Field)
		}
	}
	return out
}

func (p *pool) wantFound(tenant string, want ...string) {
	p.t.Helper()
	if got := p.findings(tenant); strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.t.Errorf("found %q, want %q", got, want)
	}
}

// A schema whose mark was lost is a finding of its own, never gone. Nothing is done to it
// until two persons besides the requester let a repair mark it again; then the tenant
// can leave.
func TestLostMark(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	ctx := context.Background()
	p.publishText(withResources("silo", "2.0", siloResources))
	p.wantState(p.begin("acme", "silo"), tenure.OperationSucceeded)
	p.sql(p.db, "insert into s_acme.a values (1), (2)")

	p.sql(p.db, "comment on schema s_acme is 'VIP'")
	p.wantFound("acme")

	p.sql(p.db, "delete from tenure.mark where type = 'schema'")
	p.wantFound("acme", "lost_mark critical schema s_acme mark")
	_, err := p.Plan(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}, "operator")
	wantCode(t, err, tenure.Conflict, "s_acme")

	op := p.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
	p.settle()
	_, err = p.Approve(ctx, op, "", p.view(op).Plan, "operator", "")
	wantCode(t, err, tenure.Forbidden)
	p.approve(op, "reviewer")
	p.wantState(op, tenure.OperationWaiting)
	p.wantFound("acme", "lost_mark critical schema s_acme mark")
	p.approve(op, "counsel")
	p.wantState(op, tenure.OperationSucceeded)
	p.wantFound("acme")
	if n := count(t, p.db, "select count(*) from s_acme.a"); n != 2 {
		t.Errorf("%d rows are left of 2: the repair touched them", n)
	}

	leave := p.leave("acme")
	for range 16 {
		p.pass(5 * day)
		p.finish(leave)
	}
	p.wantState(leave, tenure.OperationSucceeded)
	if n := count(t, p.db, "select count(*) from pg_namespace where nspname like 's\\_acme' or nspname like 'tenure\\_quarantine%'"); n != 0 {
		t.Errorf("%d schemas of the leaver's are left", n)
	}
	if n := count(t, p.db, "select count(*) from tenure.mark where type = 'schema'"); n != 0 {
		t.Errorf("%d notes of the leaver's are left", n)
	}
	p.audited()
}

// A mark that is lost on the way out doesn't keep the tenant: the same repair marks the
// schema again, in quarantine or not, and brings no access back.
func TestLostMarkOnTheWayOut(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	p.publishText(withResources("silo", "2.0", siloResources))
	p.wantState(p.begin("acme", "silo"), tenure.OperationSucceeded)
	leave := p.leave("acme")
	p.pass(15 * day)
	p.finish(leave)
	p.sql(p.db, "delete from tenure.mark where type = 'schema'")
	for range 10 {
		p.pass(5 * day)
		p.confirmIll(leave)
	}
	if v := p.view(leave); v.State.Ended() {
		t.Fatalf("the departure ended as %s over a schema that nobody could call its own\n%s", v.State, p.show(leave))
	}
	look, err := p.Drift(context.Background(), "acme")
	p.must(err)
	lost := ""
	for _, f := range look.Findings {
		if f.Kind == tenure.FindingLostMark {
			lost = f.Name
		}
	}
	if lost != "s_acme" {
		t.Fatalf("the lost mark isn't found: %+v", look.Findings)
	}
	p.must(p.Steer(context.Background(), leave, "pause", "operator")) // which lets go of the schema
	p.settle()
	repair := p.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
	p.approve(repair, "reviewer", "counsel")
	p.wantState(repair, tenure.OperationSucceeded)
	p.must(p.Steer(context.Background(), leave, "continue", "operator"))
	_, err = p.Retry(context.Background(), leave, "", "operator")
	p.must(err)
	for range 20 {
		p.pass(5 * day)
		p.finish(leave)
	}
	p.wantState(leave, tenure.OperationSucceeded)
	p.audited()
}

// Who else has rights where marks stand is told.
func TestMarksOpenToOthers(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	p.sql(p.db, "grant usage on schema tenure to public; grant insert on tenure.mark to public")
	look, err := p.Drift(context.Background(), "")
	p.must(err)
	said := ""
	for _, f := range look.Findings {
		if f.Kind == tenure.FindingExposure && f.Severity == tenure.Critical && f.Field == "marks" {
			said += f.Got + "\n"
		}
	}
	if want := "everybody has insert on table tenure.mark; everybody has usage on schema tenure\n"; said != want {
		t.Errorf("the look says %q, want %q", said, want)
	}
}
