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

// reach is one schema with rows of two tenants, acme and birch, of which acme leaves.
type reach struct {
	ddl, fill string
	with      map[string]any // attributes beside schema, column and key
	order     []string       // of the classes; blank is one class, data

	blocks  string           // what a blocking place must say; the erasure is Blocked too
	planned bool             // the catalog alone says so: the erasure isn't tried
	refers  map[string]int64 // references that the map announces and the erasure counts
	made    int64            // rows that the erasure's own deletes make, and that go too
	left    []string         // every row that stays, "table: row"
	kept    []string         // or what column v has in the table ad's
	says    string           // what the map says besides, without blocking
}

// covering are the attributes by which the tables are of the class data.
func covering(tables ...string) map[string]any {
	out := map[string]any{}
	for _, t := range tables {
		out[t] = "data"
	}
	return map[string]any{"tables": out}
}

func plus(m map[string]any, key string, v any) map[string]any { m[key] = v; return m }

// TestReach erases acme and looks, from outside, at every row that stays: what a
// tenant that stays would lose, or what would be left of one that left.
func TestReach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]reach{
		"a link that is erased first": {
			ddl:   "create table orders (id int primary key, tenant_key text not null); create table invoices (order_id int references orders on delete set null, who text)",
			fill:  "insert into orders values (1, 'acme'), (2, 'birch'); insert into invoices values (1, 'ada'), (2, 'bob')",
			with:  map[string]any{"tables": map[string]any{"orders": "orders", "invoices": "invoices"}, "links": map[string]any{"invoices.order_id": "follow"}},
			order: []string{"orders", "invoices"}, blocks: "found only through", planned: true,
		},
		"a link that is erased last": {
			ddl:   "create table orders (id int primary key, tenant_key text not null); create table invoices (order_id int references orders on delete set null, who text)",
			fill:  "insert into orders values (1, 'acme'), (2, 'birch'); insert into invoices values (1, 'ada'), (2, 'bob'), (null, 'cy')",
			with:  map[string]any{"tables": map[string]any{"orders": "orders", "invoices": "invoices"}, "links": map[string]any{"invoices.order_id": "follow"}},
			order: []string{"invoices", "orders"},
			left:  []string{"invoices: (,cy)", "invoices: (2,bob)", "orders: (2,birch)"},
		},
		"a link of which nothing is said": {
			ddl:    "create table orders (id int primary key, tenant_key text not null); create table invoices (order_id int references orders on delete set null, who text)",
			fill:   "insert into orders values (1, 'acme'), (2, 'birch'); insert into invoices values (1, 'ada'), (2, 'bob')",
			with:   covering("orders", "invoices"),
			blocks: "nothing says whose",
		},
		"a link of which nothing is said, and no row has it": {
			ddl:  "create table orders (id int primary key, tenant_key text not null); create table invoices (order_id int references orders on delete set null, who text)",
			fill: "insert into orders values (1, 'acme'), (2, 'birch'); insert into invoices values (2, 'bob')",
			with: covering("orders", "invoices"),
			left: []string{"invoices: (2,bob)", "orders: (2,birch)"},
		},
		"a neighbour's row by a cascade": {
			ddl:    "create table tpl (id int primary key, tenant_key text not null); create table page (id int primary key, tenant_key text not null, tpl_id int references tpl on delete cascade)",
			fill:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'acme', 1), (2, 'birch', 1), (3, 'birch', 2)",
			with:   covering("tpl", "page"),
			blocks: "another tenant's",
		},
		"a neighbour's row by a cascade, detached": {
			ddl:    "create table tpl (id int primary key, tenant_key text not null); create table page (id int primary key, tenant_key text not null, tpl_id int references tpl on delete cascade)",
			fill:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'acme', 1), (2, 'birch', 1), (3, 'birch', 2)",
			with:   plus(covering("tpl", "page"), "links", map[string]any{"page.tpl_id": "detach"}),
			refers: map[string]int64{"s.page.tpl_id": 1},
			left:   []string{"page: (2,birch,)", "page: (3,birch,2)", "tpl: (2,birch)"},
		},
		"a neighbour's row that can't be without": {
			ddl:    "create table tpl (id int primary key, tenant_key text not null); create table page (id int primary key, tenant_key text not null, tpl_id int not null references tpl)",
			fill:   "insert into tpl values (1, 'acme'); insert into page values (2, 'birch', 1)",
			with:   covering("tpl", "page"),
			blocks: "can't be without it",
		},
		"a neighbour's row found by its path": {
			ddl: `create table film (id int primary key, tenant_key text not null); create table staff (id int primary key, tenant_key text not null);
create table review (id int primary key, film_id int not null references film, moderated_by int references staff on delete set null)`,
			fill:   "insert into film values (1, 'acme'), (2, 'birch'); insert into staff values (1, 'acme'), (2, 'birch'); insert into review values (1, 1, 1), (2, 2, 1), (3, 2, 2)",
			with:   covering("film", "staff", "review"),
			refers: map[string]int64{"s.review.moderated_by": 1},
			left:   []string{"film: (2,birch)", "review: (2,2,)", "review: (3,2,2)", "staff: (2,birch)"},
		},
		"a neighbour's column that two references share": {
			ddl: `create table p (id int primary key, tenant_key text, k int, unique (id, k));
create table c (id int, tenant_key text, p int references p on delete set null, k int, foreign key (p, k) references p (id, k) on delete set null (p))`,
			fill:   "insert into p values (1, 'acme', 1); insert into c values (1, 'birch', 1, 1)",
			with:   covering("p", "c"),
			refers: map[string]int64{"s.c.p": 1, "s.c.p,k": 1},
			left:   []string{"c: (1,birch,,1)"},
		},
		"a counter that a trigger keeps": {
			ddl: `create table p (id int primary key, tenant_key text); create table st (tenant_key text, n int);
create function less() returns trigger language plpgsql as $$ begin update s.st set n = n - 1 where tenant_key = old.tenant_key; return old; end $$;
create trigger counted after delete on p for each row execute function less()`,
			fill: "insert into p values (1, 'acme'), (2, 'acme'), (3, 'birch'); insert into st values ('acme', 2), ('birch', 1)",
			with: plus(covering("p", "st"), "triggers", map[string]any{"p.counted": "ignore"}),
			left: []string{"p: (3,birch)", "st: (birch,1)"},
		},
		"a reference whose triggers are disabled": {
			ddl:    "create table p (id int primary key, tenant_key text); create table c (id int, tenant_key text, p int references p on delete set null)",
			fill:   "insert into p values (1, 'acme'); insert into c values (1, 'birch', 1); alter table p disable trigger all",
			with:   covering("p", "c"),
			blocks: "are disabled",
		},
		"copies that a trigger makes at the end": {
			ddl: `create table p (id int primary key, tenant_key text); create table h (id int, tenant_key text);
create function copied() returns trigger language plpgsql as $$ begin insert into s.h values (old.id, old.tenant_key); return null; end $$;
create constraint trigger copied after delete on p deferrable initially deferred for each row execute function copied()`,
			fill: "insert into p values (1, 'acme'), (3, 'birch')",
			with: covering("p", "h"), made: 1,
			left: []string{"p: (3,birch)"},
		},
		"a row that two tenants claim": {
			ddl:    "create table a (id int primary key, tenant_key text not null); create table b (l int not null references a, r int not null references a)",
			fill:   "insert into a values (1, 'acme'), (2, 'birch'); insert into b values (1, 2), (1, 1), (2, 2)",
			with:   covering("a", "b"),
			blocks: "of this tenant and of another",
		},
		"a reply that hangs on a neighbour's": {
			ddl:    "create table post (id int primary key, tenant_key text not null); create table reply (id int primary key, post int not null references post, up int not null references reply)",
			fill:   "insert into post values (1, 'acme'), (2, 'birch'); insert into reply values (1, 2, 1), (2, 1, 1), (3, 1, 3)",
			with:   covering("post", "reply"),
			blocks: "of this tenant and of another",
		},
		"a neighbour's reference that falls back to its default": {
			ddl:    "create table plan (id int primary key, tenant_key text not null); create table seat (tenant_key text not null, plan int not null default 9 references plan on delete set default)",
			fill:   "insert into plan values (1, 'acme'), (9, 'birch'); insert into seat values ('birch', 1), ('birch', 9), ('acme', 1)",
			with:   covering("plan", "seat"),
			refers: map[string]int64{"s.seat.plan": 1},
			left:   []string{"plan: (9,birch)", "seat: (birch,9)", "seat: (birch,9)"},
		},
		"rows that claim one another in several rounds": {
			ddl: `create table a (id int primary key, tenant_key text not null); create table b (id int primary key, a int not null references a, b int not null references b, c int not null);
create table c (id int primary key, c int not null references c, b int not null references b deferrable); alter table b add foreign key (c) references c deferrable`,
			with: covering("a", "b", "c"), blocks: "in more ways than one", planned: true,
		},
		"a cycle with the tenant column in a key": {
			ddl: `create table staff (tenant_key text, id int, store int not null, primary key (tenant_key, id));
create table store (id int primary key, tenant_key text, manager int, foreign key (tenant_key, manager) references staff);
alter table staff add foreign key (store) references store`,
			fill: "insert into store values (1, 'acme'), (2, 'birch'); insert into staff values ('acme', 1, 1), ('birch', 1, 2); update store set manager = 1",
			with: covering("staff", "store"),
			left: []string{"staff: (birch,1,2)", "store: (2,birch,1)"},
		},
		"a cycle that a check keeps shut": {
			ddl: `create table a (id int primary key, tenant_key text not null, b int check (b is not null)); create table b (id int primary key, tenant_key text not null, a int not null references a);
alter table a add foreign key (b) references b deferrable`,
			with: covering("a", "b"), blocks: "cycle", planned: true,
		},
		"a cycle with a restrict, opened at the other": {
			ddl: `create table a (id int primary key, tenant_key text not null, b int); create table b (id int primary key, tenant_key text not null, a int not null references a on delete restrict);
alter table a add foreign key (b) references b on delete restrict`,
			fill: "insert into a values (1, 'acme'), (2, 'birch'); insert into b values (1, 'acme', 1), (2, 'birch', 2); update a set b = id",
			with: covering("a", "b"),
			left: []string{"a: (2,birch,2)", "b: (2,birch,2)"},
		},
		"a delete that a trigger swallows": {
			ddl: `create table log (tenant_key text not null, n int); create function s.keep() returns trigger language plpgsql as 'begin return null; end';
create trigger keeper before delete on log for each row when (old.n = 2) execute function s.keep()`,
			fill:   "insert into log values ('acme', 1), ('acme', 2), ('birch', 1)",
			with:   covering("log"),
			blocks: "keeper",
		},
		"a delete that a rule swallows": {
			ddl:    `create table log (tenant_key text not null, n int); create rule stays as on delete to log do instead nothing`,
			fill:   "insert into log values ('acme', 1)",
			with:   covering("log"),
			blocks: "stays",
		},
		"a tenant that has no child": {
			ddl:  "create table tenants (code text primary key); create table child (n int, tenant_key text not null references tenants)",
			fill: "insert into tenants values ('acme'), ('birch')",
			with: covering("tenants", "child"),
			left: []string{"tenants: (birch)"},
		},
		"a tenant that has no child, two references up, in composite keys": {
			ddl: `create table org (slug text primary key); create table site (n int, of_org text references org, primary key (n, of_org));
create table child (n int, tenant_key text, foreign key (n, tenant_key) references site); create table note (org text not null references org)`,
			fill: "insert into org values ('acme'), ('birch'); insert into site values (1, 'acme'), (2, 'acme'), (1, 'birch'); insert into child values (1, 'acme'); insert into note values ('acme'), ('birch')",
			with: covering("org", "site", "child", "note"),
			left: []string{"note: (birch)", "org: (birch)", "site: (1,birch)"},
		},
		"a tenant column that refers to everybody's": {
			ddl:  "create table plans (code text primary key); create table child (n int, tenant_key text references plans)",
			fill: "insert into plans values ('acme'); insert into child values (1, 'acme')",
			with: plus(covering("child"), "shared", []any{"plans"}),
			left: []string{"plans: (acme)"},
		},
		"a tenant column that refers to what is said to have none": {
			ddl:  "create table plans (code text primary key); create table child (n int, tenant_key text references plans)",
			fill: "insert into plans values ('acme'), ('birch'); insert into child values (1, 'acme')",
			with: plus(covering("child", "plans"), "columns", map[string]any{"plans": ""}),
			left: []string{"plans: (birch)"},
		},
		"a list of tenants that nothing names": {
			ddl:  "create table tenants (code text primary key); create table child (n int, tenant_key text references tenants)",
			with: covering("child"), blocks: "neither tables nor shared", planned: true,
		},
		"a key of a pair": {
			ddl:  "create type pair as (k text, n int); create table log (tenant_key text, at pair)",
			fill: "insert into log values ('acme', '(a,1)'), ('birch', '(b,1)')",
			with: covering("log"),
			left: []string{`log: (birch,"(b,1)")`},
		},
		"half of a key is null": {
			ddl:  `create table x (a int, b int, tenant_key text not null, primary key (a, b)); create table y (id int primary key, a int, b int, foreign key (a, b) references x)`,
			fill: "insert into x values (1, 1, 'acme'), (1, 2, 'birch'); insert into y values (1, 1, 1), (2, 1, null), (3, null, 1), (4, 1, 2)",
			with: plus(covering("x", "y"), "links", map[string]any{"y.b,a": "follow"}),
			left: []string{"x: (1,2,birch)", "y: (2,1,)", "y: (3,,1)", "y: (4,1,2)"},
		},
		"heirs that add the tenant column": {
			ddl:  "create table base (id int); create table heir (tenant_key text) inherits (base); create table own (tenant_key text); create table more (n int) inherits (own)",
			fill: "insert into base values (1); insert into heir values (2, 'acme'), (3, 'birch'); insert into own values ('acme'); insert into more values ('acme', 1), ('birch', 1)",
			with: covering("heir", "own"),
			left: []string{"base: (1)", "base: (3)", "own: (birch)"},
		},
		"a key that is null": {
			ddl:    "create table a (id int primary key, tenant_key text not null); create table b (tenant_key text, a int not null references a)",
			fill:   "insert into a values (1, 'acme'); insert into b values (null, 1)",
			with:   covering("a", "b"),
			blocks: "nothing says whose",
		},
		"keys of a single partition": {
			ddl: `create table a (id int, tenant_key text not null, primary key (id, tenant_key)) partition by list (tenant_key);
create table a_acme partition of a for values in ('acme'); create table a_birch partition of a for values in ('birch'); alter table a_acme add unique (id);
create table b (id int primary key, a int not null references a_acme (id)); create table c (id int, b int) partition by list (id); create table c_1 partition of c for values in (1, 2); create table c_3 partition of c for values in (3);
alter table c_1 add foreign key (b) references b on delete restrict`,
			fill: "insert into a values (1, 'acme'), (1, 'birch'); insert into b values (1, 1); insert into c values (1, 1), (2, null), (3, 1)",
			with: plus(covering("a", "b", "c"), "links", map[string]any{"c.b": "follow"}),
			left: []string{"a: (1,birch)", "c: (2,)"},
		},
		"rows that claim one another": {
			ddl: `create table root (id int primary key, tenant_key text not null); create table a (id int primary key, root int references root, b int); create table b (id int primary key, a int references a);
alter table a add foreign key (b) references b`,
			fill:   "insert into root values (1, 'acme'), (2, 'birch'); insert into a values (1, 1, null), (2, 2, null); insert into b values (1, 1), (2, 2); insert into a values (3, null, 1), (4, null, 2); insert into b values (3, 3), (4, 4), (5, null)",
			with:   plus(covering("root", "a", "b"), "links", map[string]any{"a.root": "follow", "a.b": "follow", "b.a": "follow"}),
			blocks: "cycle", planned: true,
		},
		"rows that claim one another, checked late": {
			ddl: `create table root (id int primary key, tenant_key text not null); create table a (id int primary key, root int references root, b int); create table b (id int primary key, a int references a deferrable);
alter table a add foreign key (b) references b deferrable`,
			fill: "insert into root values (1, 'acme'), (2, 'birch'); insert into a values (1, 1, null), (2, 2, null); insert into b values (1, 1), (2, 2); insert into a values (3, null, 1), (4, null, 2); insert into b values (3, 3), (4, 4), (5, null)",
			with: plus(covering("root", "a", "b"), "links", map[string]any{"a.root": "follow", "a.b": "follow", "b.a": "follow"}),
			left: []string{"a: (2,2,)", "a: (4,,2)", "b: (2,2)", "b: (4,4)", "b: (5,)", "root: (2,birch)"},
		},
		"a tree with a neighbour's leaf": {
			ddl:    "create table c (id int primary key, tenant_key text not null, up int references c on delete set null)",
			fill:   "insert into c values (1, 'acme', null), (2, 'acme', 1), (3, 'acme', 2), (4, 'birch', 2), (5, 'birch', 4)",
			with:   covering("c"),
			refers: map[string]int64{"s.c.up": 1},
			left:   []string{"c: (4,birch,)", "c: (5,birch,4)"},
		},
		"a table of another schema, a column of another name, one in a document": {
			ddl: `create table a (tenant_key text); create table b (org text); create table c (doc jsonb); create table d (tenant_key text, own text); create schema extra; create table extra.notes (tenant_key text)`,
			fill: `insert into a values ('acme'), ('birch'); insert into b values ('acme'), ('birch'); insert into c values ('{"t": {"k": "acme"}}'), ('{"t": {"k": "birch"}}'), ('{}');
insert into d values ('acme', 'acme'), (null, 'birch'); insert into extra.notes values ('acme'), ('birch')`,
			with: plus(plus(covering("a", "b", "c", "d", "extra.notes"), "columns", map[string]any{"c": "doc->t->>k", "d": "own"}), "aliases", []any{"org"}),
			left: []string{"a: (birch)", "b: (birch)", `c: ("{""t"": {""k"": ""birch""}}")`, "c: ({})", "d: (,birch)", "extra.notes: (birch)"},
		},
		"a table that nothing reaches": {
			ddl:  "create table a (tenant_key text); create table lone (v text)",
			with: covering("a", "lone"), blocks: "nothing leads to its rows", planned: true,
		},
		"two tenant columns": {
			ddl:  "create table x (tenant_key text, org text)",
			with: plus(covering("x"), "aliases", []any{"org"}), blocks: "2 tenant columns", planned: true,
		},
		"two tenant columns that contradict each other": {
			ddl:  "create table x (tenant_key text, org text)",
			fill: "insert into x values ('acme', 'acme'), ('acme', 'birch'), (null, 'acme'), ('acme', null)",
			with: plus(plus(covering("x"), "aliases", []any{"org"}), "columns", map[string]any{"x": "tenant_key"}), blocks: "2 rows of s.x name the tenant in one", planned: true,
		},
		"a link of rows without a key": {
			ddl:  "create table p (tenant_key text, id int primary key); create table c (tenant_key text, id int primary key, p int references p, up int references c)",
			fill: "insert into p values ('acme', 1), ('birch', 2); insert into c values (null, 1, 1, null), ('birch', 2, 2, null), (null, 3, null, 1), (null, 4, 2, null), (null, 5, null, 3), ('birch', 6, 2, 2)",
			with: plus(covering("p", "c"), "links", map[string]any{"c.p": "follow", "c.up": "follow"}),
			left: []string{"c: (,4,2,)", "c: (birch,2,2,)", "c: (birch,6,2,2)", "p: (birch,2)"},
		},
		"a link of rows without a key, and a neighbour's": {
			ddl:    "create table n (id int primary key, tenant_key text, up int references n)",
			fill:   "insert into n values (1, 'acme', null), (2, null, 1), (3, 'birch', 2)",
			with:   plus(covering("n"), "links", map[string]any{"n.up": "follow"}),
			blocks: "another tenant's",
		},
		"keys that a type compares in its own way": {
			ddl:  "create schema kinds; create extension citext schema kinds; create table q (tenant_key kinds.citext primary key, v text); create table c (q kinds.citext not null references q on delete cascade)",
			fill: "insert into q values ('Acme', 'x'), ('birch', 'b'); insert into c values ('ACME'), ('Birch'), ('acme')",
			with: covering("q", "c"),
			left: []string{"c: (Birch)", "q: (birch,b)"},
		},
		"rows that claim one another, by keys of an extension's type": {
			ddl:  "create schema kinds; create extension citext schema kinds; create table p (tenant_key text, id int primary key); create table c (p int references p, id kinds.citext primary key, up kinds.citext references c)",
			fill: "insert into p values ('acme', 1), ('birch', 2); insert into c values (1, 'a', null), (null, 'ab', 'A'), (2, 'c', null), (null, 'cd', 'C')",
			with: plus(covering("p", "c"), "links", map[string]any{"c.p": "follow", "c.up": "follow"}),
			left: []string{"c: (,cd,C)", "c: (2,c,)", "p: (birch,2)"},
		},
		"rows that claim one another, by keys that no recursion can have": {
			ddl:    "create table p (tenant_key text, id int primary key); create table c (p int references p, id bit(3) primary key, up bit(3) references c)",
			fill:   "insert into p values ('acme', 1), ('birch', 2); insert into c values (1, '001', null), (null, '011', '001'), (2, '100', null), (null, '110', '100')",
			with:   plus(covering("p", "c"), "links", map[string]any{"c.p": "follow", "c.up": "follow"}),
			blocks: "can't follow",
		},
		"keys that two collations compare differently": {
			ddl: `create schema kinds; create collation kinds.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table q (tenant_key text collate kinds.ci primary key); create table c (q text collate "C" not null references q on delete cascade)`,
			fill: "insert into q values ('acme'), ('birch'); insert into c values ('ACME'), ('Birch'), ('acme')",
			with: covering("q", "c"),
			left: []string{"c: (Birch)", "q: (birch)"},
		},
		"half a reference with the key": {
			ddl:  "create table p (tenant_key text, id int, primary key (tenant_key, id)); create table c (t text, p int, foreign key (t, p) references p)",
			fill: "insert into p values ('acme', 1); insert into c values ('acme', 1), ('acme', null), ('birch', null)",
			with: plus(covering("p", "c"), "links", map[string]any{"c.t,p": "follow"}), blocks: "1 row of s.c has the tenant's key in t", planned: true,
		},
		"half a reference with the key, beside the tenant column": {
			ddl:  "create table p (k text, tenant_key text, id int, primary key (k, id)); create table c (k text not null, p int, foreign key (k, p) references p)",
			fill: "insert into p values ('acme', 'acme', 1); insert into c values ('acme', null), ('birch', null)",
			with: plus(covering("p", "c"), "links", map[string]any{"c.k,p": "block"}), blocks: "1 row of s.c has the tenant's key in k", planned: true,
		},
		"half a reference with the key, which is the tenant column": {
			ddl:  "create table p (tenant_key text, id int, primary key (tenant_key, id)); create table c (t text, p int, foreign key (t, p) references p)",
			fill: "insert into p values ('acme', 1); insert into c values ('acme', 1), ('acme', null), ('birch', null)",
			with: plus(covering("p", "c"), "columns", map[string]any{"c": "t"}),
			left: []string{"c: (birch,)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c reach) run(t *testing.T) {
	d, w, _ := opened(t)
	in := func(sql string) { postgrestest.Exec(t, w.dsn, "set search_path to s; "+sql) }
	in("create schema s; " + c.ddl)
	attributes := map[string]any{"schema": "s", "column": "tenant_key", "key": "acme"}
	for k, v := range c.with {
		attributes[k] = v
	}
	own := desired("rows", "acme", attributes)
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if c.fill != "" {
		in(c.fill)
	}
	if c.order == nil {
		c.order = []string{"data"}
	}
	before := w.rowsOf(t)
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: c.order, Prove: true})
	if err != nil {
		t.Fatalf("data map: %v", err)
	}
	if m.Partial != "" {
		t.Errorf("the map isn't whole: %s", m.Partial)
	}
	var says []string
	announced := map[string]int64{}
	for _, p := range m.Places {
		if p.Blocks {
			says = append(says, p.Says)
		} else if p.Kind == connector.PlaceReference {
			announced[p.Name] = p.Rows
		}
	}
	if got := strings.Join(says, "; "); (got != "") != (c.blocks != "") || !strings.Contains(got, c.blocks) {
		t.Errorf("the map says %q, want it blocked by %q", got, c.blocks)
	}
	if c.says != "" && !slices.ContainsFunc(m.Places, func(p connector.Place) bool { return !p.Blocks && strings.Contains(p.Says, c.says) }) {
		t.Errorf("the map doesn't say %q: %+v", c.says, m.Places)
	}
	if c.planned {
		return
	}
	total, gone := map[string]int64{}, map[string]int64{}
	for _, class := range c.order {
		b := connector.Batch{Run: "run-" + class, Class: class, Limit: 2}
		for range 100 {
			e, failed := d.Erase(t.Context(), own.Ref, b)
			if err = failed; err != nil || e.Done {
				for k, n := range e.Total {
					total[k] += n
				}
				for k, n := range e.Detached {
					gone[k] += n
				}
				break
			}
			b.Cursor = e.Cursor
		}
	}
	if c.blocks != "" {
		if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), c.blocks) {
			t.Errorf("erase: %v (%s), want blocked by %q", err, tenure.CodeOf(err), c.blocks)
		}
		for _, row := range before {
			if strings.Contains(row, "birch") && !slices.Contains(w.rowsOf(t), row) {
				t.Errorf("the neighbour's row %s is gone", row)
			}
		}
		return
	}
	if err != nil {
		t.Fatalf("erase: %v", err)
	}
	after := w.rowsOf(t)
	if c.kept != nil {
		if got := strs(t, connect(t, w.dsn), "select v from s.ad order by v desc"); !slices.Equal(got, c.kept) {
			t.Errorf("the parents %q stay, want %q", got, c.kept)
		}
	} else if diff := cmp.Diff(c.left, after); diff != "" {
		t.Errorf("rows that stay (-want +got):\n%s", diff)
	}
	var sum int64
	for _, n := range total {
		sum += n
	}
	if want := int64(len(before)-len(after)) + c.made; sum != want {
		t.Errorf("the tally has %d rows, %d went: %v", sum, want, total)
	}
	if len(c.refers)+len(announced)+len(gone) > 0 && (!cmp.Equal(announced, c.refers) || !cmp.Equal(gone, c.refers)) {
		t.Errorf("references that become null: announced %v, counted %v, want %v", announced, gone, c.refers)
	}
	if _, err := d.Delete(t.Context(), own.Ref); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// rowsOf reads every row of the schemas s and extra.
func (w *world) rowsOf(t *testing.T) []string { return w.rowsIn(t, "s", "extra") }

// rowsIn reads every row of the schemas; tables of s are written without theirs.
func (w *world) rowsIn(t *testing.T, schemas ...string) []string {
	t.Helper()
	conn := connect(t, w.dsn)
	var out []string
	for _, name := range strs(t, conn, `select c.oid::regclass::text from pg_class c where c.relnamespace::regnamespace::text = any ($1) and c.relkind in ('r', 'p')
 and not exists (select 1 from pg_inherits where inhrelid = c.oid)`, schemas) {
		out = append(out, strs(t, conn, "select "+literal(strings.TrimPrefix(name, "s."))+" || ': ' || x::text from "+name+" x")...)
	}
	slices.Sort(out)
	return out
}
