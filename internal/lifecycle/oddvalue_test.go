package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// A value of another type than the program writes is a change, however much it reads like the one before: SQL compares
// it otherwise, so that a hold with such a value would hold nothing.
func TestValuesOfOtherTypesAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sqlite, postgres string }{
		"a fraction": {`update hold set released_at = 0.5`, `alter table hold alter column released_at type double precision; update hold set released_at = 0.5`},
		"bytes":      {`update hold set tenant = cast(tenant as blob)`, `alter table hold alter column tenant drop default, alter column tenant type bytea using convert_to(tenant, 'UTF8')`},
		"nothing": {`create table h as select * from hold; drop table hold; alter table h rename to hold; update hold set released_at = null`,
			`alter table hold alter column released_at drop not null; update hold set released_at = null`},
		"twice": {`create table h as select * from hold; drop table hold; alter table h rename to hold; insert into hold select * from hold`,
			`alter table hold drop constraint hold_pk; insert into hold select * from hold`},
		"a number as text": {`create table h as select * from hold; drop table hold; create table hold as select id, matter, tenant, class, system, resource, reason, placed_by, placed_at, effective_at, already_gone, release_by, '' as released_at, untold, environment, part, custodians, remind_days, reminded_at, stalled from h`,
			`alter table hold alter column released_at drop default, alter column released_at type text using ''`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.onboard("acme")
			s.fill("acme-prod", 100, 5)
			op := s.leave("acme")
			acme, err := s.Tenant(context.Background(), "acme")
			s.must(err)
			_, err = s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: acme.ID, Class: "orders"}}, "counsel")
			s.must(err)
			for range 10 {
				s.pass(5 * day)
			}
			before := s.rows("acme-prod", "orders")
			if q := c.sqlite; s.db.Dialect == store.Postgres {
				s.tamper(c.postgres)
			} else {
				s.tamper(q)
			}
			s.behind(`update operation set due_at = 1 where id = ?`, string(op))
			s.settle()
			for range 20 {
				s.pass(5 * day)
			}
			if got := s.rows("acme-prod", "orders"); got != before || before == 0 {
				t.Errorf("%d of %d orders are left\n%s", got, before, s.show(op))
			}
			if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "hold hld_") {
				t.Errorf("the operation is %s: %q", v.State, v.Reason)
			}
			if all := s.problems(); !strings.Contains(all, "hold hld_") {
				t.Errorf("the audit doesn't name it:\n%s", all)
			}
		})
	}
}
