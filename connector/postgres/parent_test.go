package postgres

import "testing"

// TestReachOfParents is TestReach for rows that belong to no tenant by themselves, and
// are its own as long as nobody else's rows refer to them.
func TestReachOfParents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]reach{
		"an organisation tree whose branches are two tenants'": {
			ddl:  "create table org (id int primary key, up int references org on delete set null); create table person (tenant_key text, org int references org)",
			fill: "insert into org values (1, null), (2, 1), (3, 2), (4, 1), (5, null), (6, 5); insert into person values ('acme', 3), ('birch', 4), ('acme', 6)",
			with: covering("org", "person"),
			left: []string{"org: (1,)", "org: (4,1)", "person: (birch,4)"},
		},
		"an organisation tree that can't be cut": {
			ddl:  "create table org (id int primary key, up int not null references org); create table person (tenant_key text, org int references org)",
			fill: "insert into org values (1, 1), (2, 1), (3, 2), (4, 2), (5, 5), (6, 5); insert into person values ('acme', 3), ('birch', 4), ('acme', 6)",
			with: covering("org", "person"),
			left: []string{"org: (1,1)", "org: (2,1)", "org: (4,2)", "person: (birch,4)"},
		},
		"a branch that nobody's rows refer to": {
			ddl:  "create table org (id int primary key, up int references org on delete cascade); create table person (tenant_key text, org int references org)",
			fill: "insert into org values (1, null), (2, 1), (3, 1), (4, 3); insert into person values ('acme', 2)",
			with: covering("org", "person"),
			left: []string{"org: (1,)", "org: (3,1)", "org: (4,3)"},
		},
		"a branch that follows": {
			ddl:  "create table org (id int primary key, up int references org on delete cascade); create table person (tenant_key text, org int references org)",
			fill: "insert into org values (1, null), (2, 1), (3, 2), (4, 1), (5, 4), (6, null), (7, 6), (8, 7); insert into person values ('acme', 1), ('acme', 6), ('birch', 5)",
			with: plus(covering("org", "person"), "links", map[string]any{"org.up": "follow"}),
			left: []string{"org: (1,)", "org: (2,1)", "org: (3,2)", "org: (4,1)", "org: (5,4)", "person: (birch,5)"},
		},
		"a tree of which the persons go first": {
			ddl:   "create table org (id int primary key, up int references org); create table person (tenant_key text, org int references org)",
			fill:  "insert into org values (1, null), (2, 1), (3, 2), (4, 1); insert into person values ('acme', 3), ('birch', 4)",
			with:  map[string]any{"tables": map[string]any{"person": "people", "org": "places"}},
			order: []string{"people", "places"},
			left:  []string{"org: (1,)", "org: (4,1)", "person: (birch,4)"},
		},
		"parents": {
			ddl:  "create table country (id int primary key); create table address (id int primary key, country int not null references country); create table customer (id int primary key, tenant_key text not null, address_id int references address)",
			fill: "insert into country values (1); insert into address select i, 1 from generate_series(1, 5) i; insert into customer values (1, 'acme', 1), (2, 'acme', 2), (3, 'birch', 2), (4, 'birch', 3), (5, 'acme', 5), (6, 'acme', null)",
			with: plus(covering("customer", "address"), "shared", []any{"country"}),
			left: []string{"address: (2,1)", "address: (3,1)", "address: (4,1)", "country: (1)", "customer: (3,birch,2)", "customer: (4,birch,3)"},
		},
		"parents in a class of their own, later": {
			ddl:   "create table address (id int primary key); create table customer (id int primary key, tenant_key text not null, address_id int references address)",
			fill:  "insert into address select i from generate_series(1, 3) i; insert into customer values (1, 'acme', 1), (2, 'birch', 2)",
			with:  map[string]any{"tables": map[string]any{"customer": "crm", "address": "personal"}},
			order: []string{"crm", "personal"},
			left:  []string{"address: (2)", "address: (3)", "customer: (2,birch,2)"},
		},
		"parents in a class of their own, earlier": {
			ddl:   "create table address (id int primary key); create table customer (id int primary key, tenant_key text not null, address_id int references address)",
			fill:  "insert into address values (1)",
			with:  map[string]any{"tables": map[string]any{"customer": "crm", "address": "personal"}},
			order: []string{"personal", "crm"}, blocks: "refer to", planned: true,
		},
		"a parent's tree": {
			ddl:  "create table org (id int primary key, up int references org on delete set null); create table person (id int primary key, tenant_key text, org int references org)",
			fill: "insert into org values (1, null), (2, 1), (3, 2), (4, 1), (5, null), (6, 5), (7, null), (8, 7), (9, 8); insert into person values (1, 'acme', 3), (2, 'birch', 4), (3, 'acme', 6), (4, 'acme', 9), (5, 'birch', 7)",
			with: covering("org", "person"),
			left: []string{"org: (1,)", "org: (4,1)", "org: (7,)", "person: (2,birch,4)", "person: (5,birch,7)"},
		},
		"a parent's tree with a branch of nobody's": {
			ddl:  "create table org (id int primary key, up int references org on delete cascade); create table person (id int primary key, tenant_key text, org int references org)",
			fill: "insert into org values (1, null), (2, 1), (3, 2), (4, 2), (5, 4); insert into person values (1, 'acme', 3)",
			with: covering("org", "person"),
			left: []string{"org: (1,)", "org: (2,1)", "org: (4,2)", "org: (5,4)"},
		},
		"a parent's tree with two references, in a later class": {
			ddl:   "create table org (id int primary key, code text unique, up int references org, like_code text references org (code)); create table person (id int primary key, tenant_key text, org int not null references org)",
			fill:  "insert into org values (1, 'a', null, null), (2, 'b', 1, null), (3, 'c', null, 'b'), (4, 'd', null, 'a'), (5, 'e', null, null), (6, 'f', 6, 'e'); insert into person values (1, 'acme', 3), (2, 'birch', 4), (3, 'acme', 6)",
			with:  map[string]any{"tables": map[string]any{"person": "crm", "org": "personal"}},
			order: []string{"crm", "personal"},
			left:  []string{"org: (1,a,,)", "org: (4,d,,a)", "person: (2,birch,4)"},
		},
		"a parent's tree that isn't null": {
			ddl:  "create table org (id int primary key, up int not null references org); create table person (id int primary key, tenant_key text, org int not null references org)",
			fill: "insert into org values (1, 1), (2, 1), (3, 2), (4, 1), (5, 5), (6, 5); insert into person values (1, 'acme', 3), (2, 'birch', 4), (3, 'acme', 6)",
			with: covering("org", "person"),
			left: []string{"org: (1,1)", "org: (4,1)", "person: (2,birch,4)"},
		},
		"a parent's tree with keys of an extension's type": {
			ddl:  "create extension citext with schema public; create table org (id public.citext primary key, up public.citext references org); create table person (id int primary key, tenant_key text, org public.citext references org)",
			fill: "insert into org values ('A', null), ('B', 'a'), ('C', 'b'), ('D', 'a'); insert into person values (1, 'acme', 'c'), (2, 'birch', 'd')",
			with: covering("org", "person"),
			left: []string{"org: (A,)", "org: (D,a)", "person: (2,birch,d)"},
		},
		"parents with keys of extensions' types": {
			ddl:  "create extension citext with schema public; create extension ltree with schema public; create table address (a public.citext, b public.ltree, primary key (a, b)); create table place (id public.citext primary key); create table site (id public.ltree primary key); create table customer (id int primary key, tenant_key text not null, a public.citext, b public.ltree, place public.citext references place, site public.ltree references site, foreign key (a, b) references address)",
			fill: "insert into address values ('X', 'a.b'), ('y', 'a.c'), ('z', 'a'); insert into place values ('X'), ('y'), ('Z'); insert into site values ('a.b'), ('a.c'), ('a'); insert into customer values (1, 'acme', 'x', 'a.b', 'x', 'a.b'), (2, 'birch', 'Y', 'a.c', 'Y', 'a.c'), (3, 'acme', 'Y', 'a.c', 'Y', 'a.c'), (4, 'acme', null, 'a', 'z', null)",
			with: map[string]any{"tables": map[string]any{"customer": "crm", "address": "personal", "place": "personal", "site": "crm"}}, order: []string{"crm", "personal"},
			left: []string{"address: (y,a.c)", "address: (z,a)", "customer: (2,birch,Y,a.c,Y,a.c)", "place: (y)", "site: (a)", "site: (a.c)"},
		},
		"parents with lists and pairs for keys": {
			ddl:  "create type pair as (a int, b text); create table place (id text[] primary key); create table site (id pair primary key); create table customer (id int primary key, tenant_key text not null, place text[] references place, site pair references site)",
			fill: `insert into place values ('{a,"b c"}'), ('{}'); insert into site values ('(1,"x y")'), ('(2,)'); insert into customer values (1, 'acme', '{a,"b c"}', '(1,"x y")'), (2, 'birch', '{}', '(2,)')`,
			with: map[string]any{"tables": map[string]any{"customer": "crm", "place": "personal", "site": "personal"}}, order: []string{"crm", "personal"},
			left: []string{`customer: (2,birch,{},"(2,)")`, "place: ({})", `site: ("(2,)")`},
		},
		"parents that nothing names": {
			ddl:  "create table address (id int primary key); create table customer (id int primary key, tenant_key text not null, address_id int references address)",
			fill: "insert into address values (1)",
			with: covering("customer"), blocks: "neither tables nor shared", planned: true,
		},
		"a parent that rows of nobody's refer to": {
			ddl:    "create table addr (id int primary key, v text); create table cust (tenant_key text, addr int references addr); create table geo (addr int not null references addr, v text)",
			fill:   "insert into addr values (1, 'street'), (2, 'birch'); insert into cust values ('acme', 1), ('birch', 2); insert into geo values (1, 'point'), (2, 'birch')",
			with:   covering("cust", "addr"),
			blocks: "them from going",
		},
		"a parent that an outsider's rows refer to, or one without a key": {
			ddl:    "create table addr (id int primary key); create table cust (tenant_key text, addr int references addr); create schema extra; create table extra.ext (a int references addr, tenant text)",
			fill:   "insert into addr values (1), (2); insert into cust values ('acme', 1), (null, 1), ('acme', 2); insert into extra.ext values (2, 'z')",
			with:   covering("cust", "addr"),
			blocks: "them from going",
		},
		"rows that follow a parent": {
			ddl: `create table addr (id int primary key); create table cust (tenant_key text, addr int references addr, also int references addr);
create table geo (id int primary key, addr int references addr, up int references geo); create table tag (geo int not null references geo on delete cascade, v text)`,
			fill: "insert into addr values (1), (2), (3), (4), (5); insert into cust values ('acme', 1, 3), ('birch', 2, 3), ('acme', 4, 4), (null, 2, null); insert into geo values (1, 1, null), (2, 2, null), (3, 3, null), (4, 4, null), (5, 5, null), (6, 1, 1), (7, null, 6); insert into tag values (1, 'a'), (2, 'birch'), (3, 'both'), (7, 'c')",
			with: plus(covering("cust", "addr", "geo", "tag"), "links", map[string]any{"geo.addr": "follow", "geo.up": "follow"}),
			left: []string{"addr: (2)", "addr: (3)", "addr: (5)", "cust: (,2,)", "cust: (birch,2,3)", "geo: (2,2,)", "geo: (3,3,)", "geo: (5,5,)", "tag: (2,birch)", "tag: (3,both)"},
		},
		"rows that follow a parent, in a later class": {
			ddl:   "create table addr (id int primary key); create table cust (tenant_key text, addr int references addr); create table geo (id int primary key, addr int not null references addr)",
			fill:  "insert into addr values (1), (2); insert into cust values ('acme', 1), ('birch', 2); insert into geo values (1, 1), (2, 2)",
			with:  map[string]any{"tables": map[string]any{"cust": "a", "geo": "b", "addr": "b"}, "links": map[string]any{"geo.addr": "follow"}},
			order: []string{"a", "b"},
			left:  []string{"addr: (2)", "cust: (birch,2)", "geo: (2,2)"},
		},
		"a parent that a row with a key follows": {
			ddl:  "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp); create table cust (tenant_key text, addr int references addr)",
			fill: "insert into comp values (1, 'acme'), (2, 'birch'); insert into addr values (1, 1), (2, null), (3, null), (4, 2); insert into cust values ('acme', 2), ('acme', 3), ('birch', 3), (null, 1), (null, 4)",
			with: plus(covering("comp", "addr", "cust"), "links", map[string]any{"addr.comp": "follow", "cust.addr": "follow"}),
			left: []string{"addr: (3,)", "addr: (4,2)", "comp: (2,birch)", "cust: (,4)", "cust: (birch,3)"},
		},
		"a parent that refers to a neighbour's row": {
			ddl:  "create table t (id int primary key, tenant_key text); create table ad (id int primary key, t int references t on delete cascade); create table p (tenant_key text, ad int references ad on delete set null)",
			fill: "insert into t values (1, 'birch'), (2, 'acme'); insert into ad values (1, 1), (2, 2), (3, 1); insert into p values ('acme', 1), ('acme', 2), ('birch', 3)",
			with: covering("t", "ad", "p"), says: "1 row of s.t that rows of s.ad refer to by t",
			left: []string{"ad: (3,1)", "p: (birch,3)", "t: (1,birch)"},
		},
		"two parents that refer to each other": {
			ddl:  "create table a (id int primary key, b int); create table b (id int primary key, a int references a); alter table a add foreign key (b) references b; create table p (tenant_key text, a int references a)",
			fill: "insert into a values (1, null), (2, null), (3, null), (4, null), (5, null); insert into b values (1, 1), (2, 2), (3, 3), (4, null), (5, 5); update a set b = id; insert into p values ('acme', 1), ('acme', 2), ('birch', 2), ('birch', 3), ('acme', 4)",
			with: covering("a", "b", "p"),
			left: []string{"a: (2,2)", "a: (3,3)", "a: (5,5)", "b: (2,2)", "b: (3,3)", "b: (5,5)", "p: (birch,2)", "p: (birch,3)"},
		},
		"two such parents, in a later class": {
			ddl:   "create table a (id int primary key, b int); create table b (id int primary key, a int references a on delete set null); alter table a add foreign key (b) references b; create table p (tenant_key text, a int references a)",
			fill:  "insert into a values (1, null), (2, null), (3, null); insert into b values (1, 1), (2, 2), (3, 3); update a set b = id; insert into p values ('acme', 1), ('acme', 2), ('birch', 2), ('birch', 3)",
			with:  map[string]any{"tables": map[string]any{"p": "a", "a": "b", "b": "b"}},
			order: []string{"a", "b"},
			left:  []string{"a: (2,2)", "a: (3,3)", "b: (2,2)", "b: (3,3)", "p: (birch,2)", "p: (birch,3)"},
		},
		"three such parents, one with a tree": {
			ddl: `create table a (id int primary key, up int references a, b int); create table b (id int primary key, c int); create table c (id int primary key, a int not null references a deferrable);
alter table a add foreign key (b) references b; alter table b add foreign key (c) references c on delete cascade; create table p (tenant_key text, a int references a, c int references c)`,
			fill: `insert into a values (1, null, null), (2, 1, null), (3, 1, null), (4, null, null), (5, null, null); insert into c values (2, 2), (3, 4), (4, 5); insert into b values (2, 2), (3, 3), (4, 4), (5, null); update a set b = id where id in (2, 3);
insert into p values ('acme', 2, null), ('birch', 3, null), ('acme', null, 3), ('acme', 5, null), ('birch', null, 4)`,
			with: covering("a", "b", "c", "p"),
			left: []string{"a: (1,,)", "a: (3,1,3)", "a: (4,,)", "a: (5,,)", "b: (3,3)", "b: (4,4)", "b: (5,)", "c: (3,4)", "c: (4,5)", "p: (birch,,4)", "p: (birch,3,)"},
		},
		"two such parents, and a row of nobody's that keeps them": {
			ddl:    "create table a (id int primary key, b int); create table b (id int primary key, a int references a); alter table a add foreign key (b) references b; create table p (tenant_key text, a int references a)",
			fill:   "insert into a values (1, null); insert into b values (1, 1), (2, 1); update a set b = id; insert into p values ('acme', 1)",
			with:   covering("a", "b", "p"),
			blocks: "them from going",
		},
		"rows that follow a tenant, or that only its rows refer to": {
			ddl:  "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp); create table cust (tenant_key text, addr int references addr)",
			fill: "insert into comp values (1, 'acme'), (2, 'birch'); insert into addr values (1, 1), (2, null), (3, 2), (4, null), (5, null); insert into cust values ('acme', 2), ('birch', 4), ('acme', 4), ('acme', 3), ('birch', 3)",
			with: plus(covering("comp", "addr", "cust"), "links", map[string]any{"addr.comp": "follow"}),
			left: []string{"addr: (3,2)", "addr: (4,)", "addr: (5,)", "comp: (2,birch)", "cust: (birch,3)", "cust: (birch,4)"},
		},
		"such rows, with others below and above them": {
			ddl: `create table comp (id int primary key, tenant_key text); create table city (id int primary key); create table addr (id int primary key, comp int references comp, city int references city);
create table cust (tenant_key text, addr int references addr); create table tag (addr int not null references addr on delete cascade, v text)`,
			fill: "insert into comp values (1, 'acme'), (2, 'birch'); insert into city values (1), (2), (3); insert into addr values (1, 1, 1), (2, null, 2), (3, 2, 3), (4, null, 3); insert into cust values ('acme', 2), ('birch', 4), ('acme', 4); insert into tag values (1, 'a'), (2, 'a'), (3, 'b'), (4, 'both')",
			with: plus(covering("comp", "city", "addr", "cust", "tag"), "links", map[string]any{"addr.comp": "follow"}),
			left: []string{"addr: (3,2,3)", "addr: (4,,3)", "city: (3)", "comp: (2,birch)", "cust: (birch,4)", "tag: (3,b)", "tag: (4,both)"},
		},
		"such rows, in a tree": {
			ddl:  "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp, up int references addr); create table cust (tenant_key text, addr int references addr)",
			fill: "insert into comp values (1, 'acme'), (2, 'birch'); insert into addr values (1, null, null), (2, null, 1), (3, 1, 1), (4, null, null), (5, null, 4), (6, 2, 4), (7, null, null), (8, 1, 7); insert into cust values ('acme', 2), ('acme', 5)",
			with: plus(covering("comp", "addr", "cust"), "links", map[string]any{"addr.comp": "follow", "addr.up": "block"}),
			left: []string{"addr: (4,,)", "addr: (6,2,4)", "comp: (2,birch)"},
		},
		"such rows, in an earlier class": {
			ddl:   "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp on delete cascade); create table cust (tenant_key text, addr int references addr on delete set null)",
			fill:  "insert into comp values (1, 'acme'), (2, 'birch'); insert into addr values (1, 1), (2, null), (3, 2), (4, null); insert into cust values ('acme', 2), ('birch', 4), ('acme', 4)",
			with:  map[string]any{"tables": map[string]any{"cust": "b", "addr": "a", "comp": "a"}, "links": map[string]any{"addr.comp": "follow"}},
			order: []string{"a", "b"},
			left:  []string{"addr: (3,2)", "addr: (4,)", "comp: (2,birch)", "cust: (birch,4)"},
		},
		"such rows, in a later class": {
			ddl:   "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp); create table cust (tenant_key text, addr int references addr)",
			fill:  "insert into comp values (1, 'acme'), (2, 'birch'); insert into addr values (1, 1), (2, null), (3, 2), (4, null); insert into cust values ('acme', 2), ('birch', 4), ('acme', 4)",
			with:  map[string]any{"tables": map[string]any{"cust": "a", "addr": "b", "comp": "b"}, "links": map[string]any{"addr.comp": "follow"}},
			order: []string{"a", "b"},
			left:  []string{"addr: (3,2)", "addr: (4,)", "comp: (2,birch)", "cust: (birch,4)"},
		},
		"such rows, and a row of nobody's that keeps one": {
			ddl:    "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp); create table cust (tenant_key text, addr int references addr)",
			fill:   "insert into comp values (1, 'acme'); insert into addr values (1, 1), (2, null); insert into cust values ('acme', 2), (null, 2)",
			with:   plus(covering("comp", "addr", "cust"), "links", map[string]any{"addr.comp": "follow"}),
			blocks: "them from going",
		},
		"such rows, that others are found through as well": {
			ddl:  "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp); create table move (a int not null references addr, b int references addr)",
			fill: "insert into comp values (1, 'acme'), (2, 'birch'); insert into addr values (1, 1), (2, null), (3, 2), (4, null), (5, null); insert into move values (1, 2), (1, 4), (3, 4), (2, 5)",
			with: plus(covering("comp", "addr", "move"), "links", map[string]any{"addr.comp": "follow"}),
			left: []string{"addr: (3,2)", "addr: (4,)", "comp: (2,birch)", "move: (3,4)"},
		},
		"a parent that only what follows something else refers to": {
			ddl:  "create table comp (id int primary key, tenant_key text); create table addr (id int primary key, comp int references comp); create table note (comp int references comp, addr int references addr)",
			fill: "insert into comp values (1, 'acme'), (2, 'birch'); insert into addr values (1, 1), (2, null), (3, null); insert into note values (1, 2), (1, 3), (2, 3), (null, 1)",
			with: plus(covering("comp", "addr", "note"), "links", map[string]any{"addr.comp": "follow", "note.comp": "follow", "note.addr": "follow"}),
			left: []string{"addr: (3,)", "comp: (2,birch)", "note: (2,3)"},
		},
		"a parent found through what follows it": {
			ddl:  "create table addr (id int primary key); create table cust (tenant_key text, addr int references addr); create table geo (id int primary key, addr int not null references addr, next int references addr)",
			with: plus(covering("cust", "addr", "geo"), "links", map[string]any{"geo.addr": "follow"}), blocks: "found through them", planned: true,
		},
		"a parent's key: citext": {
			ddl:  "create schema kinds; create extension citext schema kinds; create table ad (id kinds.citext primary key, up kinds.citext references ad, v text); create table p (tenant_key text, ad kinds.citext references ad)",
			fill: `insert into ad values ('Abc', null, 'x'), ('x', null, 'both'), ('y', 'x', 'b'); insert into p values ('acme', 'ABC'), ('acme', 'x'), ('birch', 'x'), ('birch', 'y')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: ltree": {
			ddl:  "create schema kinds; create extension ltree schema kinds; create table ad (id kinds.ltree primary key, v text); create table p (tenant_key text, ad kinds.ltree references ad)",
			fill: `insert into ad values ('a.b', 'x'), ('a.c', 'both'), ('d', 'b'); insert into p values ('acme', 'a.b'), ('acme', 'a.c'), ('birch', 'a.c'), ('birch', 'd')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: isbn": {
			ddl:  "create schema kinds; create extension isn schema kinds; create table ad (id kinds.isbn primary key, up kinds.isbn references ad, v text); create table p (tenant_key text, ad kinds.isbn references ad)",
			fill: `insert into ad values ('0-393-04002-X', null, 'x'), ('0-201-53082-1', null, 'both'), ('0-306-40615-2', '0-201-53082-1', 'b'); insert into p values ('acme', '0-393-04002-X'), ('acme', '0-201-53082-1'), ('birch', '0-201-53082-1'), ('birch', '0-306-40615-2')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: an array": {
			ddl:  "create schema kinds; create table ad (id text[] primary key, up text[] references ad, v text); create table p (tenant_key text, ad text[] references ad)",
			fill: `insert into ad values ('{a,b}', null, 'x'), ('{c,NULL}', null, 'both'), ('{}', '{c,NULL}', 'b'); insert into p values ('acme', '{a,b}'), ('acme', '{c,NULL}'), ('birch', '{c,NULL}'), ('birch', '{}')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: an array of citext": {
			ddl:  "create schema kinds; create extension citext schema kinds; create table ad (id kinds.citext[] primary key, up kinds.citext[] references ad, v text); create table p (tenant_key text, ad kinds.citext[] references ad)",
			fill: `insert into ad values ('{a,b}', null, 'x'), ('{c}', null, 'both'), ('{}', '{c}', 'b'); insert into p values ('acme', '{A,b}'), ('acme', '{c}'), ('birch', '{c}'), ('birch', '{}')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: a composite type": {
			ddl:  "create schema kinds; create type kinds.ck as (a int, b text); create table ad (id kinds.ck primary key, up kinds.ck references ad, v text); create table p (tenant_key text, ad kinds.ck references ad)",
			fill: `insert into ad values ('(1,"x y")', null, 'x'), ('(2,y)', null, 'both'), ('(3,)', '(2,y)', 'b'); insert into p values ('acme', '(1,"x y")'), ('acme', '(2,y)'), ('birch', '(2,y)'), ('birch', '(3,)')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: a range": {
			ddl:  "create schema kinds; create table ad (id int4range primary key, up int4range references ad, v text); create table p (tenant_key text, ad int4range references ad)",
			fill: `insert into ad values ('[1,3)', null, 'x'), ('[3,4)', null, 'both'), ('empty', '[3,4)', 'b'); insert into p values ('acme', '[1,2]'), ('acme', '[3,4)'), ('birch', '[3,4)'), ('birch', 'empty')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: a document": {
			ddl:  "create schema kinds; create table ad (id jsonb primary key, up jsonb references ad, v text); create table p (tenant_key text, ad jsonb references ad)",
			fill: `insert into ad values ('{"a": 1}', null, 'x'), ('[1]', null, 'both'), ('"s"', '[1]', 'b'); insert into p values ('acme', '{"a":1.0}'), ('acme', '[1]'), ('birch', '[1]'), ('birch', '"s"')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: a domain": {
			ddl:  "create schema kinds; create extension citext schema kinds; create domain kinds.d1 as kinds.citext; create domain kinds.dd as kinds.d1; create table ad (id kinds.dd primary key, up kinds.dd references ad, v text); create table p (tenant_key text, ad kinds.dd references ad)",
			fill: `insert into ad values ('Abc', null, 'x'), ('x', null, 'both'), ('y', 'x', 'b'); insert into p values ('acme', 'ABC'), ('acme', 'x'), ('birch', 'x'), ('birch', 'y')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a parent's key: a time with zone": {
			ddl:  "create schema kinds; create table ad (id timestamptz primary key, up timestamptz references ad, v text); create table p (tenant_key text, ad timestamptz references ad)",
			fill: `insert into ad values ('2024-01-01 10:00+03', null, 'x'), ('2024-01-02', null, 'both'), ('2024-01-03', '2024-01-02', 'b'); insert into p values ('acme', '2024-01-01 07:00+00'), ('acme', '2024-01-02'), ('birch', '2024-01-02'), ('birch', '2024-01-03')`,
			with: map[string]any{"tables": map[string]any{"p": "a", "ad": "b"}}, order: []string{"a", "b"}, kept: []string{"both", "b"},
		},
		"a tree of parents, by keys that no recursion can have": {
			ddl:    "create table ad (id bit(3) primary key, up bit(3) references ad); create table p (tenant_key text, ad bit(3) references ad)",
			fill:   "insert into ad values ('101', null); insert into p values ('acme', '101')",
			with:   covering("p", "ad"),
			blocks: "can't follow",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}
