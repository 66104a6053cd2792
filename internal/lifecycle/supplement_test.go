package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// Rows that are read back into shared tables after the closing are found, and go in
// the order of their references though no clock is left to wait for; neighbours'
// rows stay, and the paper counts what went.
func TestSupplementGoesByReferences(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		for _, text := range []string{`drop table a`, `drop table b`, `drop table c`,
			`create table c (id integer primary key, tenant text not null)`,
			`create table b (id integer primary key, tenant text not null, c integer not null references c)`,
			`create table a (id integer primary key, tenant text not null, b integer not null references b)`,
		} {
			p.sql(p.db, text)
		}
		write := func(tenant, from, to string) {
			p.sql(p.db, `with recursive n(i) as (select `+from+` union all select i + 1 from n where i < `+to+`) insert into c select i, '`+tenant+`' from n`)
			p.sql(p.db, `insert into b select id, tenant, id from c where id >= `+from+` and id <= `+to)
			p.sql(p.db, `insert into a select id, tenant, id from b where id >= `+from+` and id <= `+to)
		}
		p.wantState(p.begin("acme", "pooled"), tenure.OperationSucceeded)
		write("acme", "1", "10")
		write("birch", "1000", "1002")
		op := p.leave("acme")
		for range 12 {
			p.pass(5 * day)
			p.finish(op)
		}
		p.wantState(op, tenure.OperationSucceeded)
		id := p.view(op).Tenant

		write("acme", "20", "23")
		p.pass(2 * day)
		p.must(p.TickSought(context.Background(), p.Now()))
		if found := p.residue(id); len(found) != 3 {
			t.Fatalf("rows came back into 3 tables: %v", found)
		}
		again := p.request(lifecycle.Intent{Kind: tenure.Supplement, Tenant: string(id), Reason: "an import was read back"}, "operator")
		p.approve(again, "reviewer")
		why, err := p.Explain(context.Background(), string(id))
		p.must(err)
		if len(why) != 3 || why[0].Resource != "data" || !strings.Contains(why[0].Reason, string(again)) {
			t.Errorf("that rows are back, and what takes them away, isn't explained: %+v", why)
		}
		for range 3 {
			p.confirmIll(again)
		}
		p.wantState(again, tenure.OperationSucceeded)
		if n, others := p.left("acme"), p.left("birch"); n != 0 || others != 9 {
			t.Errorf("%d rows of the leaver's and %d of its neighbour's are left, want 0 and 9\n%s", n, others, p.show(again))
		}
		d := p.paper(again, "supplementary")
		if len(d.Classes) != 3 {
			t.Errorf("the paper speaks of %d classes, want 3", len(d.Classes))
		}
		for _, c := range d.Classes {
			if c.Rows != 4 || c.Stores[0].Before.Rows != 4 {
				t.Errorf("the paper says that %d of %d rows of %s went, want 4", c.Rows, c.Stores[0].Before.Rows, c.Class)
			}
		}
		if left := p.residue(id); len(left) != 0 {
			t.Errorf("what is gone again is still found: %v", left)
		}
		if why, err := p.Explain(context.Background(), string(id)); err != nil || len(why) != 0 {
			t.Errorf("nothing is left, and it is said to be: %+v, %v", why, err)
		}
		p.audited()
	})
}
