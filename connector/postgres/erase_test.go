package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestEraseShapes erases tenant 'a' from schemas of many shapes and looks, from
// outside, that it is gone and that tenant 'b' is as it was.
func TestEraseShapes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ddl     string
		fill    string // TENANT is replaced
		tables  string // of class data
		follow  string // references that may be null and are followed
		blocked string // what the error must name
	}{
		"chain without a tenant column": {
			ddl: `create table customers (id text primary key, tenant text); create table orders (id text primary key, customer text references customers);
create table lines (id text primary key, o text references orders); create table parts (line text references lines)`,
			fill:   "insert into customers values ('TENANT1', 'TENANT'); insert into orders select 'TENANT' || i, 'TENANT1' from generate_series(1, 9) i; insert into lines select 'TENANT' || i, 'TENANT' || i from generate_series(1, 9) i; insert into parts select 'TENANT1' from generate_series(1, 7)",
			tables: "customers orders lines parts",
			follow: "orders.customer lines.o parts.line",
		},
		"two paths to one table": {
			ddl:    "create table x (id text primary key, tenant text); create table y (id text primary key, x text references x); create table z (x text references x, y text references y)",
			fill:   "insert into x values ('TENANT', 'TENANT'); insert into y values ('TENANT', 'TENANT'); insert into z values ('TENANT', null), (null, 'TENANT'), ('TENANT', 'TENANT')",
			tables: "x y z",
			follow: "y.x z.x z.y",
		},
		"composite key": {
			ddl:    "create table x (a int, b text, tenant text, primary key (a, b)); create table y (b text, a int, foreign key (a, b) references x)",
			fill:   "insert into x values (1, 'TENANT', 'TENANT'), (2, 'TENANT', 'TENANT'); insert into y values ('TENANT', 1), ('TENANT', 2), ('TENANT', 2)",
			tables: "x y",
			follow: "y.a,b",
		},
		"tree in itself": {
			ddl:    "create table tree (id text primary key, tenant text, up text not null references tree)",
			fill:   "insert into tree select 'TENANT' || i, 'TENANT', 'TENANT' || greatest(i / 2, 1) from generate_series(1, 20) i",
			tables: "tree",
		},
		"ring of rows in itself": {
			ddl:    "create table ring (id text primary key, tenant text, next text references ring deferrable)",
			fill:   "begin; set constraints all deferred; insert into ring values ('TENANT1', 'TENANT', 'TENANT2'), ('TENANT2', 'TENANT', 'TENANT3'), ('TENANT3', 'TENANT', 'TENANT1'); commit",
			tables: "ring",
		},
		"thread under a tenant's row": {
			ddl:    "create table post (id text primary key, tenant text); create table reply (id text primary key, post text references post, up text references reply)",
			fill:   "insert into post values ('TENANT', 'TENANT'); insert into reply values ('TENANT1', 'TENANT', null); insert into reply select 'TENANT' || i, null, 'TENANT' || i - 1 from generate_series(2, 9) i",
			tables: "post reply",
			follow: "reply.post reply.up",
		},
		"cycle that a null opens": {
			ddl:    "create table customer (id text primary key, tenant text, last text); create table orders (id text primary key, customer text not null references customer); alter table customer add foreign key (last) references orders",
			fill:   "insert into customer values ('TENANT', 'TENANT', null); insert into orders values ('TENANT1', 'TENANT'), ('TENANT2', 'TENANT'); update customer set last = 'TENANT2' where id = 'TENANT'",
			tables: "customer orders",
		},
		"cycle that can be deferred": {
			ddl:    "create table l (id text primary key, tenant text, r text not null); create table r (id text primary key, tenant text, l text not null references l deferrable); alter table l add foreign key (r) references r deferrable",
			fill:   "begin; set constraints all deferred; insert into l values ('TENANT', 'TENANT', 'TENANT'); insert into r values ('TENANT', 'TENANT', 'TENANT'); commit",
			tables: "l r",
		},
		"cycle that can't be opened": {
			ddl:     "create table l (id text primary key, tenant text, r text not null); create table r (id text primary key, tenant text, l text not null references l); alter table l add foreign key (r) references r",
			tables:  "l r",
			blocked: "cycle",
		},
		"cascade into a class that is kept": {
			ddl:     "create table x (id text primary key, tenant text); create table invoices (x text references x on delete cascade)",
			fill:    "insert into x values ('TENANT', 'TENANT'); insert into invoices values ('TENANT')",
			tables:  "x",
			blocked: "invoices",
		},
		"partitions whose rows share addresses": {
			ddl:    "create table p (tenant text, n int) partition by list (tenant); create table p_a partition of p for values in ('a'); create table p_b partition of p for values in ('b')",
			fill:   "insert into p select 'TENANT', i from generate_series(1, 20) i",
			tables: "p",
		},
		"heirs whose rows share addresses": {
			ddl:    "create table base (tenant text, n int); create table heir () inherits (base)",
			fill:   "insert into base select 'TENANT', i from generate_series(1, 9) i; insert into heir select 'TENANT', i from generate_series(1, 9) i",
			tables: "base",
		},
		"names that need quotes": {
			ddl:    `create table "Sel""ect" ("Te'nant" text, tenant text); create table "user" (tenant text)`,
			fill:   `insert into "Sel""ect" values ('x', 'TENANT'); insert into "user" values ('TENANT')`,
			tables: `Sel"ect user`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			in := func(sql string) { postgrestest.Exec(t, w.dsn, "set search_path to s; "+sql) }
			in("create schema s; " + c.ddl)
			tables := map[string]any{}
			for table := range strings.FieldsSeq(c.tables) {
				tables[table] = "data"
			}
			links := map[string]any{}
			for link := range strings.FieldsSeq(c.follow) {
				links[link] = "follow"
			}
			own := desired("rows", "a", map[string]any{"schema": "s", "column": "tenant", "key": "a", "tables": tables, "links": links})
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			for _, tenant := range []string{"b", "a"} {
				in(strings.ReplaceAll(c.fill, "TENANT", tenant))
			}
			want := w.rowsLeft(t, c.tables, "")
			theirs := w.rowsLeft(t, c.tables, "b")
			counts, err := eraseAll(t, d, own.Ref, 3)
			if c.blocked != "" {
				if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), c.blocked) {
					t.Errorf("got error %v, want blocked by %s", err, c.blocked)
				}
				if diff := cmp.Diff(want, w.rowsLeft(t, c.tables, "")); diff != "" {
					t.Errorf("a blocked erasure changed something:\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(theirs, w.rowsLeft(t, c.tables, "")); diff != "" {
				t.Errorf("what is left isn't just the neighbour's (-want +got):\n%s", diff)
			}
			var sum int64
			for _, n := range counts {
				sum += n
			}
			if n := int64(len(want) - len(theirs)); sum != n {
				t.Errorf("%d rows are counted, %d went: %v", sum, n, counts)
			}
			if _, err := d.Delete(t.Context(), own.Ref); err != nil {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

// rowsLeft reads the rows of the tables in schema s that name a tenant, "" all.
func (w *world) rowsLeft(t *testing.T, tables, tenant string) []string {
	t.Helper()
	var out []string
	for table := range strings.FieldsSeq(tables) {
		if table == "x" && !postgrestest.Value[bool](t, w.dsn, "select to_regclass('s.x') is not null") {
			continue
		}
		name := quote("s", table)
		rows := strs(t, connect(t, w.dsn), fmt.Sprintf("select %s || ' ' || to_jsonb(t)::text from %s t where to_jsonb(t)::text ~ %s order by 1", literal(table), name, literal(`": "`+tenant)))
		out = append(out, rows...)
	}
	return out
}

func eraseAll(t *testing.T, d *Driver, r connector.Ref, limit int) (map[string]int64, error) {
	t.Helper()
	counts, b := map[string]int64{}, connector.Batch{Limit: limit}
	for range 500 {
		e, err := d.Erase(t.Context(), r, b)
		if err != nil {
			return counts, err
		}
		for table, n := range e.Counts {
			counts[table] += n
		}
		if e.Done {
			return counts, nil
		}
		b.Cursor = e.Cursor
	}
	t.Fatal("the erasure doesn't end")
	return nil, nil
}

// TestUncoveredRows maps a table that refers to the tenant's and stands in no
// class, and lets a delete stop at it.
func TestUncoveredRows(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, `create schema s; create table s.x (id text primary key, org text); create table app.later (x text not null references s.x)`)
	own := desired("rows", "a", map[string]any{"schema": "s", "column": "org", "key": "a", "tables": map[string]any{"x": "data"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "insert into s.x values ('1', 'a'), ('2', 'b'); insert into app.later values ('1'), ('1'), ('2')")
	seen, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref})
	for i := range seen.Places {
		seen.Places[i].Says, seen.Places[i].Fix = "", ""
	}
	if err != nil {
		t.Fatal(err)
	}
	want := []connector.Place{{Name: "app.later", Kind: "table", Via: "x → s.x", Rows: 2, Blocks: true}, {Name: "s.x", Kind: "table", Class: "data", Via: "column org", Rows: 1}}
	if diff := cmp.Diff(want, seen.Places); diff != "" {
		t.Errorf("data map (-want +got):\n%s", diff)
	}
	if _, err := d.Delete(t.Context(), own.Ref); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "app.later") {
		t.Errorf("delete: %v (%s), want blocked by app.later", err, tenure.CodeOf(err))
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from app.later"); n != 3 {
		t.Errorf("%d rows are left in app.later, want 3", n)
	}
}

// TestTableAfterThePlan adds a table while an erasure is under way: it isn't
// done before that table's rows are gone too.
func TestTableAfterThePlan(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema s; create table s.x (tenant text)")
	own := desired("rows", "a", map[string]any{"schema": "s", "column": "tenant", "key": "a", "tables": map[string]any{"x": "data", "later": "data"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "insert into s.x select 'a' from generate_series(1, 4)")
	e, err := d.Erase(t.Context(), own.Ref, connector.Batch{Limit: 3})
	if err != nil || e.Done {
		t.Fatalf("first batch: %+v, error %v", e, err)
	}
	postgrestest.Exec(t, w.dsn, "create table s.later (tenant text); insert into s.later values ('a')")
	for range 10 {
		if e, err = d.Erase(t.Context(), own.Ref, connector.Batch{Limit: 3, Cursor: e.Cursor}); err != nil || e.Done {
			break
		}
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from s.later"); err != nil || !e.Done || n != 0 {
		t.Errorf("done %t with %d rows left in the new table, error %v", e.Done, n, err)
	}
}

// TestDropLeavesNeighbours refuses to drop a schema that others depend on.
func TestDropLeavesNeighbours(t *testing.T) {
	t.Parallel()
	for what, sql := range map[string]string{
		"foreign key": "create table app.child (x int references gone.orders)",
		"view":        "create view app.report as select * from gone.orders",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			own := desired("schema", "gone", map[string]any{"ddl": "create table if not exists orders (id int primary key)"})
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, sql)
			if _, err := d.Delete(t.Context(), own.Ref); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "app.") {
				t.Errorf("delete: %v (%s), want blocked by what depends on it", err, tenure.CodeOf(err))
			}
			if !w.is(t, "select from pg_namespace where nspname = 'gone'") {
				t.Error("the schema went although it was blocked")
			}
		})
	}
}
