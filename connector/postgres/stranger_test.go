package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// beside is a database with a schema of birch's own, in which acme's resource stands.
type beside struct {
	ddl, fill string
	own       bool           // acme's is the schema s, else its rows in s
	with      map[string]any // its attributes

	blocks  string // what a blocking place must say
	unsaid  bool   // by the map alone
	invalid string // what is refused outright
	refers  map[string]int64
	shared  []string // tables of which the map says that rows stay
	left    []string // rows of the schemas s, extra and birch
}

// TestAnotherTenantsStore: whatever refers to what from another tenant's own schema,
// its rows stay, a tenant that shares parents with it can leave, and no word of a
// blueprint makes its rows the leaver's.
func TestAnotherTenantsStore(t *testing.T) {
	t.Parallel()
	parents := beside{own: true,
		ddl:  "create schema extra; create table extra.ae (id int primary key); create table s.t (id int, ae int references extra.ae); create table birch.t (id int, ae int references extra.ae)",
		fill: "insert into extra.ae values (1), (2), (3); insert into s.t values (1, 1), (2, 2); insert into birch.t values (7, 2), (8, 3), (9, null)",
		with: map[string]any{"tables": map[string]any{"*": "data", "extra.ae": "data"}},
		left: []string{"birch.t: (7,2)", "birch.t: (8,3)", "birch.t: (9,)", "extra.ae: (2)", "extra.ae: (3)"}, shared: []string{"extra.ae"},
	}
	with := func(c beside, key string, v any) beside {
		more := map[string]any{key: v}
		for k, v := range c.with {
			if k != key {
				more[k] = v
			}
		}
		c.with = more
		return c
	}
	refused := func(c beside, says string) beside { c.invalid = says; return c }
	pool := func(action string) beside {
		return beside{
			ddl:  "create table s.page (id int primary key, tenant_key text); create table birch.t (id int, page int " + action + ")",
			fill: "insert into s.page values (1, 'acme'), (2, 'birch'); insert into birch.t values (7, 1), (8, 2)",
			with: map[string]any{"tables": map[string]any{"page": "data"}},
		}
	}
	detached := func(c beside) beside {
		c.refers, c.left = map[string]int64{"birch.t.page": 1}, []string{"birch.t: (7,)", "birch.t: (8,2)", "page: (2,birch)"}
		return c
	}
	writes := func(does, path string) beside {
		return beside{
			ddl: "create table s.page (id int, tenant_key text); create table birch.t (id int, tenant_key text); create table s.t (id int, tenant_key text); " +
				"create function s.f() returns trigger language plpgsql " + path + " as 'begin " + does + "; return old; end'; create trigger f after delete on s.page for each row execute function s.f()",
			fill: "insert into s.page values (1, 'acme'), (2, 'birch')",
			with: map[string]any{"tables": map[string]any{"page": "data", "t": "data"}}, blocks: "birch.t, which no data class covers",
		}
	}
	blocked := func(c beside, says string) beside { c.blocks = says; return c }
	for name, c := range map[string]beside{
		"a parent that two tenants' schemas refer to": parents,
		"a parent, and a reference that can't be null": func() beside {
			c := parents
			c.ddl = strings.ReplaceAll(c.ddl, "ae int references", "ae int default 2 not null references")
			c.fill = strings.Replace(c.fill, "(9, null)", "(9, 3)", 1)
			c.left = []string{"birch.t: (7,2)", "birch.t: (8,3)", "birch.t: (9,3)", "extra.ae: (2)", "extra.ae: (3)"}
			return c
		}(),
		"its table is covered":                                                refused(with(parents, "tables", map[string]any{"*": "data", "extra.ae": "data", "birch.t": "data"}), "tables: birch.t"),
		"its table is followed":                                               refused(with(parents, "links", map[string]any{"birch.t.ae": "follow"}), "links: birch.t"),
		"its table has a key":                                                 refused(with(parents, "columns", map[string]any{"birch.t": "id"}), "columns: birch.t"),
		"its rows lose a reference to the pool's, by set null":                detached(pool("references s.page on delete set null")),
		"its rows lose a reference to the pool's, by detach":                  detached(with(pool("references s.page"), "links", map[string]any{"birch.t.page": "detach"})),
		"its rows refer to the pool's, and nothing is said":                   blocked(pool("references s.page"), "another tenant's"),
		"its rows refer to the pool's, and can't be without":                  blocked(pool("not null references s.page"), "another tenant's"),
		"its rows would go along with the pool's":                             blocked(pool("not null references s.page on delete cascade"), "another tenant's"),
		"its rows would go along with the pool's, and the reference is loose": blocked(pool("references s.page on delete cascade"), "another tenant's"),
		"it has a tenant column": {
			ddl:  "create table s.page (id int primary key, tenant_key text); create table birch.t (id int, tenant_key text)",
			fill: "insert into s.page values (1, 'acme'), (2, 'birch'); insert into birch.t values (7, 'acme'), (8, 'birch')",
			with: map[string]any{"tables": map[string]any{"page": "data"}},
			left: []string{"birch.t: (7,acme)", "birch.t: (8,birch)", "page: (2,birch)"},
		},
		"what the tenant's rows refer to is there": {
			ddl:  "create table birch.p (id int primary key); create table s.page (tenant_key text, p int not null references birch.p)",
			fill: "insert into birch.p values (1), (2); insert into s.page values ('acme', 1), ('birch', 2)",
			with: map[string]any{"tables": map[string]any{"page": "data"}},
			left: []string{"birch.p: (1)", "birch.p: (2)", "page: (birch,2)"},
		},
		"rows that both claim": {
			ddl:    "create table s.page (id int primary key, tenant_key text); create table birch.p (id int primary key); create table s.link (page int not null references s.page, p int not null references birch.p)",
			fill:   "insert into s.page values (1, 'acme'), (2, 'birch'); insert into birch.p values (1); insert into s.link values (1, 1), (2, 1)",
			with:   map[string]any{"tables": map[string]any{"page": "data", "link": "data"}},
			blocks: "rows of this tenant and of another",
		},
		"rows that both claim, at one remove": {own: true,
			ddl:    "create table s.page (id int primary key); create table birch.p (id int primary key); create schema extra; create table extra.mid (id int primary key, p int not null references birch.p); create table extra.link (page int not null references s.page, mid int not null references extra.mid)",
			fill:   "insert into s.page values (1); insert into birch.p values (1); insert into extra.mid values (1, 1); insert into extra.link values (1, 1)",
			with:   map[string]any{"tables": map[string]any{"*": "data", "extra.link": "data"}},
			blocks: "rows of this tenant and of another",
		},
		"a trigger writes to it by name":        writes("insert into birch.t values (1, old.tenant_key)", ""),
		"a trigger writes to it along its path": writes("insert into t values (1, old.tenant_key)", "set search_path = birch, s"),
		"a trigger means by a bare name the tenant's own": {own: true,
			ddl: "create table s.log (id int); create table birch.log (id int); create table s.page (id int); create function s.f() returns trigger language plpgsql as 'begin insert into log values (old.id); return old; end'; " +
				"create trigger f after delete on s.page for each row execute function s.f()",
			fill: "insert into birch.log values (7)", with: map[string]any{"tables": map[string]any{"*": "data"}}, left: []string{"birch.log: (7)"},
		},
		"a copy there is made of the pool's rows": {
			ddl:    "create table s.page (id int, tenant_key text); insert into s.page values (1, 'acme'); create materialized view birch.copy as select * from s.page",
			with:   map[string]any{"tables": map[string]any{"page": "data"}},
			blocks: "birch.copy keeps what it was made from", unsaid: true,
		},
		"a table there is a part of the pool's": {
			ddl:    "create table s.page (id int, tenant_key text) partition by list (id); create table birch.part partition of s.page for values in (1)",
			fill:   "insert into s.page values (1, 'acme')",
			with:   map[string]any{"tables": map[string]any{"page": "data"}},
			blocks: "in another tenant's own schema and a part of s.page", unsaid: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c beside) run(t *testing.T) {
	d, w, _ := opened(t)
	birch := desired("schema", "birch", map[string]any{})
	birch.Tenant = "ten_birch"
	own := desired("rows", "acme", map[string]any{"schema": "s", "column": "tenant_key", "key": "acme"})
	if c.own {
		own = desired("schema", "s", map[string]any{})
	} else {
		postgrestest.Exec(t, w.dsn, "create schema s")
	}
	own.Tenant = "ten_acme"
	for _, r := range []*connector.Desired{&birch, &own} {
		if r == &own {
			for k, v := range c.with {
				own.Attributes[k] = v
			}
		}
		if _, _, err := d.Ensure(t.Context(), *r); err != nil {
			t.Fatal(err)
		}
	}
	postgrestest.Exec(t, w.dsn, c.ddl+";"+c.fill)
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: []string{"data"}, Prove: true})
	if c.invalid != "" {
		if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.invalid) {
			t.Errorf("data map: %v (%s), want it invalid: %s", err, tenure.CodeOf(err), c.invalid)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var says, shared []string
	announced := map[string]int64{}
	for _, p := range m.Places {
		switch {
		case p.Blocks:
			says = append(says, p.Says)
		case p.Kind == connector.PlaceReference:
			announced[p.Name] = p.Rows
		case p.Kind == connector.PlaceShared:
			shared = append(shared, p.Name)
		}
	}
	if got := strings.Join(says, "; "); (got != "") != (c.blocks != "") || !strings.Contains(got, c.blocks) {
		t.Errorf("the map says %q, want it blocked by %q", got, c.blocks)
	}
	if len(c.refers)+len(announced) > 0 && !cmp.Equal(announced, c.refers) || !slices.Equal(shared, c.shared) {
		t.Errorf("announced: %v becomes null, rows of %v stay; want %v and %v", announced, shared, c.refers, c.shared)
	}
	if c.unsaid {
		return
	}
	before := w.rowsIn(t, "s", "extra", "birch")
	var gone map[string]int64
	for b := (connector.Batch{Run: "run", Class: "data"}); ; {
		e, failed := d.Erase(t.Context(), own.Ref, b)
		if err, gone = failed, e.Detached; err != nil || e.Done {
			break
		}
		b.Cursor = e.Cursor
	}
	if c.blocks != "" {
		if after := w.rowsIn(t, "s", "extra", "birch"); tenure.CodeOf(err) != tenure.Blocked || !slices.Equal(before, after) {
			t.Errorf("erase: %v, want blocked by %q\n%v\n%v", err, c.blocks, before, after)
		}
		return
	}
	if err != nil {
		t.Fatalf("erase: %v", err)
	}
	if diff := cmp.Diff(c.left, w.rowsIn(t, "s", "extra", "birch")); diff != "" {
		t.Errorf("rows that stay (-want +got):\n%s", diff)
	}
	if len(c.refers)+len(gone) > 0 && !cmp.Equal(gone, c.refers) {
		t.Errorf("references counted as null: %v, want %v", gone, c.refers)
	}
	if _, err := d.Delete(t.Context(), own.Ref); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// TestOwnersMarkIsForged: a mark that doesn't authenticate, or that was copied, makes
// a schema nobody's store: rows there can't be hidden by it.
func TestOwnersMarkIsForged(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	birch := desired("schema", "birch", map[string]any{})
	birch.Tenant = "ten_birch"
	own := desired("rows", "acme", map[string]any{"schema": "s", "column": "tenant_key", "key": "acme", "tables": map[string]any{"page": "data"}})
	own.Tenant = "ten_acme"
	postgrestest.Exec(t, w.dsn, "create schema s; create schema forged; create schema copied; create table s.page (id int primary key, tenant_key text)")
	for _, r := range []connector.Desired{birch, own} {
		if _, _, err := d.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	note := strs(t, connect(t, w.dsn), "select obj_description('birch'::regnamespace, 'pg_namespace')")[0]
	i := strings.Index(note, "\n")
	postgrestest.Exec(t, w.dsn, "comment on schema copied is "+literal(note)+"; comment on schema forged is "+literal(note[:i-1]+"x"+strings.Replace(note[i:], "birch", "forged", 1))+
		"; create table forged.t (page int not null references s.page, tenant_key text); create table copied.t (page int references s.page)")
	postgrestest.Exec(t, w.dsn, "insert into s.page values (1, 'acme'); insert into forged.t values (1, 'acme'); insert into copied.t values (1)")
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: []string{"data"}})
	if got := blocking(m); err != nil || !slices.Equal(got, []string{"reference copied.t.page", "table forged.t"}) {
		t.Errorf("what blocks: %q, error %v", got, err)
	}
}
