package sqlite

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// mapped is a data map whose pass can be trusted.
func (d *Driver) mapped(t testing.TB, v connector.Survey) []connector.Place {
	t.Helper()
	m, err := d.DataMap(t.Context(), v)
	must(t, err)
	if g := m.Sighting; !g.Sentinel || !g.Complete || g.Fingerprint == "" || m.Partial != "" {
		t.Errorf("the pass can't be trusted: %+v, %q", g, m.Partial)
	}
	return m.Places
}

// blocking writes down the places that block: kind and name.
func blocking(places []connector.Place) []string {
	var out []string
	for _, p := range places {
		if p.Blocks {
			out = append(out, string(p.Kind)+" "+p.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ground is a platform's file and what a blueprint says of it.
type ground struct {
	ddl, rows string
	order     []string
	attrs     map[string]any // beyond column and key; tables are needed
	blocks    []string       // places that block
	says      string         // what one of them says
	left      map[string]int // rows by query, once all classes are erased; nil where it blocks
	detached  map[string]int64
	refused   string // the erasure of the first class is Blocked, and says so
}

func tablesOf(class string, names ...string) map[string]any {
	out := map[string]any{}
	for _, n := range names {
		out[n] = class
	}
	return out
}

func with2(tables map[string]any, more ...map[string]any) map[string]any {
	out := map[string]any{"tables": tables}
	for _, m := range more {
		maps.Copy(out, m)
	}
	return out
}

// A table that is called shared and has rows with the tenant's key stays, and the
// persons who confirm are told.
func TestSharedWithTheKey(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table ev (id integer primary key, tenant text)")
	r := d.made(t, pool("tenant", "acme", tablesOf("a", "notes", "orders", "lines")))
	r.Attributes["shared"] = []any{"ev"}
	exec(t, w.shared, "insert into ev (tenant) values ('acme'), ('acme'), ('birch')")
	places := d.mapped(t, connector.Survey{Ref: r})
	if !slices.ContainsFunc(places, func(p connector.Place) bool {
		return p.Kind == connector.PlaceShared && p.Name == "ev" && p.Rows == 2 && p.Says != "" && !p.Blocks
	}) {
		t.Errorf("the rows of the shared table aren't said: %+v", places)
	}
}

// Each is a schema that somebody could have. What a tenant would lose by a fault
// here: its certificate's truth, or its neighbour's rows.
func TestGrounds(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]ground{
		"a parent that rows of nobody's refer to": {
			ddl:    "create table addr (id integer primary key); create table cust (id integer primary key, tenant text, addr integer references addr); create table geo (id integer primary key, addr integer not null references addr)",
			rows:   "insert into addr values (1), (2); insert into cust (tenant, addr) values ('acme', 1), ('birch', 2); insert into geo (addr) values (1), (2)",
			attrs:  with2(tablesOf("a", "cust", "addr")),
			blocks: []string{"reference geo.addr"}, says: "them from going",
		},
		"rows that follow a parent": {
			ddl:   "create table addr (id integer primary key); create table cust (id integer primary key, tenant text, addr integer references addr); create table geo (id integer primary key, addr integer not null references addr)",
			rows:  "insert into addr values (1), (2), (3); insert into cust (tenant, addr) values ('acme', 1), ('birch', 2), ('acme', 3), ('birch', 3); insert into geo (addr) values (1), (2), (3)",
			attrs: with2(tablesOf("a", "cust", "addr", "geo"), map[string]any{"links": map[string]any{"geo.addr": "follow"}}),
			left:  map[string]int{"addr": 2, "cust": 2, "geo": 2},
		},
		"half a reference with the key": {
			ddl:    "create table p (tenant text, id integer, primary key (tenant, id)); create table c (id integer primary key, t text, p integer, foreign key (t, p) references p)",
			rows:   "insert into p values ('acme', 1); insert into c (t, p) values ('acme', 1), ('acme', null), ('birch', null)",
			attrs:  with2(tablesOf("a", "p", "c"), map[string]any{"links": map[string]any{"c.t,p": "follow"}}),
			blocks: []string{"key c.t"}, says: "leads nowhere",
		},
		"two tenant columns": {
			ddl:    "create table x (id integer primary key, tenant text, org text)",
			attrs:  with2(tablesOf("a", "x"), map[string]any{"aliases": []any{"org"}}),
			blocks: []string{"key x"}, says: "2 tenant columns",
		},
		"a link of rows without a key": {
			ddl:   "create table n (id integer primary key, tenant text, up integer references n)",
			rows:  "insert into n values (1, 'acme', null), (2, null, 1), (3, null, 2), (4, 'birch', null), (5, null, 4)",
			attrs: with2(tablesOf("a", "n"), map[string]any{"links": map[string]any{"n.up": "follow"}}),
			left:  map[string]int{"n": 2},
		},
		"keys written alike": {
			ddl:    "create table x (id integer primary key, tenant text)",
			rows:   "insert into x (tenant) values ('acme'), ('ac' || char(8203) || 'me'), ('acme' || char(0)), (char(9) || 'ACME')",
			attrs:  with2(tablesOf("a", "x")),
			blocks: []string{"key x.tenant"},
		},
		"copies by a trigger": {
			ddl:    "create table doc (id integer primary key, tenant text, v text); create table history (body text); create trigger keep after delete on doc begin insert into history values (json_object('tenant', old.tenant, 'v', old.v)); end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"code doc.keep"}, says: "history",
		},
		"copies that are covered by a path": {
			ddl:   "create table doc (id integer primary key, tenant text, v text); create table history (body text); create trigger keep after delete on doc begin insert into history values (json_object('tenant', old.tenant, 'v', old.v)); end",
			rows:  "insert into doc (tenant) values ('acme'), ('acme'), ('birch'); insert into history values ('{\"tenant\":\"birch\"}'), ('no json')",
			attrs: with2(tablesOf("a", "doc", "history"), map[string]any{"columns": map[string]any{"history": "body->>tenant"}}),
			left:  map[string]int{"doc": 1, "history": 2},
		},
		"copies that lack the path by which they are sought": {
			ddl: `create table doc (id integer primary key, tenant text); create table note (doc integer not null references doc, body text); create table history (body text);
create trigger keep after delete on note begin insert into history values (json_object('body', old.body)); end`,
			attrs:  with2(tablesOf("a", "doc", "note", "history"), map[string]any{"columns": map[string]any{"history": "body->>tenant"}}),
			blocks: []string{"code note.keep"}, says: "can't be told",
		},
		"copies into a class that is gone": {
			ddl:   "create table doc (id integer primary key, tenant text); create table history (tenant text); create trigger keep after delete on doc begin insert into history values (old.tenant); end",
			order: []string{"early", "late"}, attrs: with2(map[string]any{"history": "early", "doc": "late"}),
			blocks: []string{"order doc.keep"}, says: "is gone by then",
		},
		"copies as rows come": {
			ddl:    "create table doc (id integer primary key, tenant text); create table audit_log (line text); create trigger tell after insert on doc begin insert into audit_log values (new.tenant); end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"code doc.tell"},
		},
		"an organisation tree whose branches are two tenants'": {
			ddl:   "create table org (id integer primary key, up integer references org on delete set null); create table person (id integer primary key, tenant text, org integer references org)",
			rows:  "insert into org values (1, null), (2, 1), (3, 2), (4, 1), (5, null), (6, 5); insert into person (tenant, org) values ('acme', 3), ('birch', 4), ('acme', 6)",
			attrs: with2(tablesOf("a", "org", "person")), left: map[string]int{"org": 2, "person": 1, "org where id = 4 and up = 1": 1},
		},
		"parents of parents that claims reach too": {
			ddl:   "create table org (id integer primary key, tenant text); create table a (id integer primary key, org integer references org); create table b (id integer primary key, a integer not null references a); create table person (id integer primary key, tenant text not null, b integer not null references b)",
			rows:  "insert into a values (1, null), (2, null); insert into b values (1, 1), (2, 2); insert into person values (1, 'acme', 1), (2, 'birch', 2)",
			attrs: with2(tablesOf("a", "org", "a", "b", "person"), map[string]any{"links": map[string]any{"a.org": "follow"}}), left: map[string]int{"a": 1, "b": 1, "person": 1},
		},
		"a default that can't be": {
			ddl:    "create table org (id integer primary key, tenant text); create table seat (id integer primary key, org integer not null references org on delete set default)",
			rows:   "insert into org values (1, 'acme'); insert into seat values (1, 1)",
			attrs:  with2(tablesOf("a", "org"), map[string]any{"links": map[string]any{"seat.org": "detach"}}),
			blocks: []string{"reference seat.org"}, says: "default",
		},
		"a branch that follows": {
			ddl:   "create table org (id integer primary key, up integer references org); create table person (id integer primary key, tenant text, org integer references org)",
			rows:  "insert into org values (1, null), (2, 1), (4, 1), (5, 4), (6, null), (7, 6), (8, 7); insert into person (tenant, org) values ('acme', 1), ('acme', 6), ('birch', 5)",
			attrs: with2(tablesOf("a", "org", "person"), map[string]any{"links": map[string]any{"org.up": "follow"}}), left: map[string]int{"org": 4, "person": 1},
		},
		"a trigger that changes rows of a covered table": {
			ddl:    "create table doc (id integer primary key, tenant text, grp integer); create table other (id integer primary key, tenant text, grp integer, v text); create trigger tell after delete on doc begin update other set v = 'x' where grp = old.grp; end",
			attrs:  with2(tablesOf("a", "doc", "other")),
			blocks: []string{"code doc.tell"}, says: "other",
		},
		"a trigger that deletes rows of a covered table": {
			ddl:    "create table doc (id integer primary key, tenant text, grp integer); create table other (id integer primary key, tenant text, grp integer); create trigger tell after delete on doc begin delete from other where grp = old.grp; end",
			attrs:  with2(tablesOf("a", "doc", "other")),
			blocks: []string{"code doc.tell"}, says: "other",
		},
		"a trigger that takes a tree along": {
			ddl:    "create table node (id integer primary key, tenant text, parent integer); create trigger tell after delete on node begin delete from node where parent = old.id; end",
			attrs:  with2(tablesOf("a", "node")),
			blocks: []string{"code node.tell"}, says: "can't be told",
		},
		"a trigger that changes a shared table": {
			ddl:    "create table cat (id integer primary key, v text); create table doc (id integer primary key, tenant text, cat integer references cat, v text); create trigger tell after delete on doc begin update cat set v = old.v where id = old.cat; end",
			attrs:  with2(tablesOf("a", "doc"), map[string]any{"shared": []any{"cat"}}),
			blocks: []string{"code doc.tell"}, says: "cat",
		},
		"a trigger that replaces": {
			ddl:    "create table doc (id integer primary key, tenant text); create table last (tenant text unique, n integer); create trigger tell after delete on doc begin insert or replace into last values (old.tenant, old.id); end",
			attrs:  with2(tablesOf("a", "doc", "last")),
			blocks: []string{"code doc.tell"}, says: "last",
		},
		"a trigger that gives rows another key": {
			ddl:    "create table doc (id integer primary key, tenant text, v text); create table history (id integer primary key, tenant text, v text); create trigger tell after delete on doc begin insert into history (tenant, v) values ('system', old.v); end",
			attrs:  with2(tablesOf("a", "doc", "history")),
			blocks: []string{"code doc.tell"}, says: "tenant's key",
		},
		"a trigger that gives rows no key": {
			ddl:    "create table doc (id integer primary key, tenant text, v text); create table history (id integer primary key, tenant text, v text); create trigger tell after delete on doc begin insert into history (v) select old.v; end",
			attrs:  with2(tablesOf("a", "doc", "history")),
			blocks: []string{"code doc.tell"}, says: "tenant's key",
		},
		"a trigger that gives rows their key": {
			ddl:   "create table doc (id integer primary key, tenant text, v text); create table history (id integer primary key, tenant text, v text); create trigger tell after delete on doc when old.v <> '' begin insert into history (v, tenant) select old.v, old.tenant; end",
			rows:  "insert into doc (tenant, v) values ('acme', 'x'), ('acme', ''), ('birch', 'y')",
			attrs: with2(tablesOf("a", "doc", "history")), left: map[string]int{"doc": 1, "history": 0},
		},
		"triggers that write to each other's tables": {
			ddl:    "create table doc (id integer primary key, tenant text); create table history (id integer primary key, tenant text); create trigger tell after delete on doc begin insert into history (tenant) values (old.tenant); end; create trigger back after delete on history begin insert into doc (tenant) values (old.tenant); end",
			attrs:  with2(tablesOf("a", "doc", "history")),
			blocks: []string{"code doc.tell", "code history.back"}, says: "comes back",
		},
		"a trigger that keeps rows": {
			ddl:    "create table doc (id integer primary key, tenant text); create trigger worm before delete on doc when old.id = 1 begin select raise(ignore); end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"code doc.worm"}, says: "raise(ignore)",
		},
		"a trigger that hands rows on": {
			ddl:    "create table doc (id integer primary key, tenant text); create trigger away before delete on doc begin update doc set tenant = 'zz' where id = old.id; end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"code doc.away"}, says: "update",
		},
		"a trigger that a detached reference sets off": {
			ddl:    "create table doc (id integer primary key, tenant text); create table link (id integer primary key, tenant text, doc integer references doc on delete set null, n text); create trigger tell after update of doc on link begin delete from link where n = old.n; end; create trigger not_this after update of n on link begin delete from link where n = old.n; end",
			attrs:  with2(tablesOf("a", "doc", "link")),
			blocks: []string{"code link.tell"}, says: "delete",
		},
		"an index that is told of some rows": {
			ddl:    "create table doc (id integer primary key, tenant text, v text, pub integer); create virtual table ft using fts5 (v); create trigger ai after insert on doc begin insert into ft (rowid, v) values (new.id, new.v); end; create trigger ad after delete on doc when old.pub = 1 begin delete from ft where rowid = old.id; end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"derived ft"}, says: "may",
		},
		"an index that is told of some rows, in the statement": {
			ddl:    "create table doc (id integer primary key, tenant text, v text, pub integer); create virtual table ft using fts5 (v, content=''); create trigger ai after insert on doc begin insert into ft (rowid, v) values (new.id, new.v); end; create trigger ad after delete on doc begin insert into ft (ft, rowid, v) select 'delete', old.id, old.v where old.pub = 1; end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"derived ft"}, says: "may",
		},
		"an index that isn't told of changes": {
			ddl:    "create table doc (id integer primary key, tenant text, v text); create virtual table ft using fts5 (v, content=''); create trigger ai after insert on doc begin insert into ft (rowid, v) values (new.id, new.v); end; create trigger ad after delete on doc begin insert into ft (ft, rowid, v) values ('delete', old.id, old.v); end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"derived ft"}, says: "as they were",
		},
		"an index that is told of all": {
			ddl: `create table doc (id integer primary key, tenant text, v text); create virtual table ft using fts5 (v, content=''); create trigger ai after insert on doc begin insert into ft (rowid, v) values (new.id, new.v); end;
create trigger ad after delete on doc begin insert into ft (ft, rowid, v) values ('delete', old.id, old.v); end; create trigger au after update on doc begin insert into ft (ft, rowid, v) values ('delete', old.id, old.v); insert into ft (rowid, v) values (new.id, new.v); end`,
			rows:  "insert into doc values (1, 'acme', 'unicorn'), (2, 'birch', 'heron'); update doc set v = v || ' horn'",
			attrs: with2(tablesOf("a", "doc")), left: map[string]int{"doc": 1, "ft('unicorn')": 0, "ft('horn')": 1},
		},
		"a trigger that is let": {
			ddl:   "create table doc (id integer primary key, tenant text); create table counter (n integer); create trigger tell after delete on doc begin update counter set n = n - 1; end",
			rows:  "insert into doc (tenant) values ('acme'), ('birch'); insert into counter values (2)",
			attrs: with2(tablesOf("a", "doc"), map[string]any{"triggers": map[string]any{"doc.tell": "ignore"}}),
			left:  map[string]int{"doc": 1, "counter where n = 1": 1},
		},
		"a trigger that refuses": {
			ddl:   "create table doc (id integer primary key, tenant text); create trigger worm before delete on doc begin select raise(abort, 'never'); end",
			rows:  "insert into doc (tenant) values ('acme')",
			attrs: with2(tablesOf("a", "doc")), refused: "trigger worm of doc",
		},
		"a trigger of functions that SQLite doesn't have": {
			ddl:    "create table doc (id integer primary key, tenant text); create trigger odd after delete on doc begin select app_notify(old.id); end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"order doc"}, says: "app_notify",
		},
		"a reference to what is no key": {
			ddl:    "create table doc (id integer, tenant text); create table line (doc integer not null references doc (id), tenant text)",
			attrs:  with2(tablesOf("a", "doc", "line")),
			blocks: []string{"order doc", "order line"}, says: "mismatch",
		},
		"an index over a view": {
			ddl:    "create table doc (id integer primary key, tenant text, v text); create view vw as select id, v from doc; create virtual table ft using fts5 (v, content='vw', content_rowid='id')",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"derived ft"},
		},
		"contentless and told of nothing": {
			ddl:    "create table doc (id integer primary key, tenant text, v text); create virtual table ft using fts5 (v, content=''); create virtual table lt using fts5 (v, content='', contentless_delete=1); create trigger tell after insert on doc begin insert into lt (rowid, v) values (new.id, new.v); end",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"derived ft", "derived lt"},
		},
		"an index of the platform's own": {
			ddl:   "create table doc (id integer primary key, tenant text, v text); create table faq (id integer primary key, v text); create virtual table ft using fts5 (v, content='faq', content_rowid='id'); create virtual table places using rtree (id, x0, x1); create virtual table help using fts5 (v)",
			rows:  "insert into doc (tenant) values ('acme'); insert into help values ('a'); insert into places values (1, 0, 1)",
			attrs: with2(tablesOf("a", "doc"), map[string]any{"shared": []any{"help", "places"}}),
			left:  map[string]int{"doc": 0, "help": 1, "places": 1},
		},
		"an index in space": {
			ddl:   "create table site (id integer primary key, tenant text); create virtual table box using rtree (id, x0, x1, +tenant); create virtual table free using rtree (id, x0, x1)",
			attrs: with2(tablesOf("a", "site", "box")), blocks: []string{"derived free"},
		},
		"an index in space with the tenant in it": {
			ddl:   "create table site (id integer primary key, tenant text); create virtual table box using rtree (id, x0, x1, +tenant)",
			rows:  "insert into site (tenant) values ('acme'), ('birch'); insert into box values (1, 0, 1, 'acme'), (2, 0, 1, 'birch')",
			attrs: with2(tablesOf("a", "site", "box")), left: map[string]int{"site": 1, "box": 1, "box where tenant = 'birch'": 1},
		},
		"the column elsewhere": {
			ddl:    "create table doc (id integer primary key, tenant text); create table extra (Tenant text, v text)",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"table extra"},
		},
		"the column under an alias": {
			ddl:    "create table doc (id integer primary key, tenant text); create table extra (owner text, v text)",
			attrs:  with2(tablesOf("a", "doc"), map[string]any{"aliases": []any{"owner"}}),
			blocks: []string{"table extra"},
		},
		"the value elsewhere": {
			ddl:    "create table doc (id integer primary key, tenant text); create table extra (customer text, v text)",
			rows:   "insert into extra values ('acme', 1), ('birch', 1)",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"table extra"}, says: "customer",
		},
		"the value elsewhere, in other letters": {
			ddl:    "create table doc (id integer primary key, tenant text); create table extra (v text)",
			rows:   "insert into extra values (' ACME ')",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"table extra"},
		},
		"the value elsewhere, deep in a document": {
			ddl:    "create table doc (id integer primary key, tenant text); create table extra (v); create table other (v text)",
			rows:   `insert into extra values ('{"a": [{"b": ["x", "Acme"]}]}'); insert into other values ('{"a": "acme-corp"}'), ('{acme')`,
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"table extra"},
		},
		"the value in a covered table": {
			ddl:    "create table doc (id integer primary key, tenant text, owner text)",
			rows:   "insert into doc (tenant, owner) values (null, 'acme'), ('birch', 'acme')",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"key doc.owner"}, says: "1 row of doc",
		},
		"the value in a neighbour's row": {
			ddl:   "create table doc (id integer primary key, tenant text, owner text)",
			rows:  "insert into doc (tenant, owner) values ('acme', 'acme'), ('birch', 'acme')",
			attrs: with2(tablesOf("a", "doc")),
			left:  map[string]int{"doc": 1, "doc where owner = 'acme'": 1},
		},
		"the value in a parent that nobody refers to": {
			ddl:    "create table address (id integer primary key, owner text); create table customer (id integer primary key, tenant text, address_id integer references address)",
			rows:   "insert into address values (1, 'acme')",
			attrs:  with2(tablesOf("a", "customer", "address")),
			blocks: []string{"key address.owner"}, says: "isn't found",
		},
		"the value at another path": {
			ddl:    "create table doc (id integer primary key, tenant text); create table history (body text)",
			rows:   `insert into history values ('{"tenant": "acme"}'), ('{"old": {"tenant": "acme"}}'), ('{"tenant": "birch"}')`,
			attrs:  with2(tablesOf("a", "doc", "history"), map[string]any{"columns": map[string]any{"history": "body->>tenant"}}),
			blocks: []string{"key history.body"},
		},
		"a table that got another name": {
			ddl:    "create table doc_old (id integer primary key, tenant text); create table note (tenant text)",
			attrs:  with2(tablesOf("a", "doc", "note")),
			blocks: []string{"table doc", "table doc_old"},
		},
		"a column that got another name": {
			ddl:    "create table doc (id integer primary key, renter text); create table note (tenant text)",
			attrs:  with2(tablesOf("a", "doc", "note")),
			blocks: []string{"table doc"},
		},
		"the column means something else": {
			ddl:   "create table doc (id integer primary key, tenant text); create table flat (tenant text)",
			rows:  "insert into doc (tenant) values ('acme'); insert into flat values ('acme')",
			attrs: with2(tablesOf("a", "doc"), map[string]any{"columns": map[string]any{"flat": ""}}),
			left:  map[string]int{"doc": 0, "flat": 1},
		},
		"parents that nothing covers": {
			ddl:    "create table address (id integer primary key, street text); create table customer (id integer primary key, tenant text, address_id integer references address)",
			attrs:  with2(tablesOf("a", "customer")),
			blocks: []string{"table address"},
		},
		"parents": {
			ddl:   "create table address (id blob primary key, street text) without rowid; create table customer (id integer primary key, tenant text, address_id blob references address)",
			rows:  "insert into address values (x'01', 'own'), ('2', 'both'), (3.5, 'theirs'); insert into customer (tenant, address_id) values ('acme', x'01'), ('acme', '2'), ('birch', '2'), ('birch', 3.5)",
			attrs: with2(tablesOf("a", "customer", "address")),
			left:  map[string]int{"customer": 2, "address": 2, "address where street = 'own'": 0},
		},
		"parents of another class": {
			ddl:   "create table address (id integer primary key, street text); create table customer (id integer primary key, tenant text, address_id integer references address)",
			rows:  "insert into address values (1, 'own'), (2, 'both'); insert into customer (tenant, address_id) values ('acme', 1), ('acme', 2), ('birch', 2)",
			order: []string{"a", "b"}, attrs: with2(map[string]any{"customer": "a", "address": "b"}),
			left: map[string]int{"customer": 1, "address": 1, "address where street = 'both'": 1},
		},
		"a tenant that has no child": {
			ddl:   "create table org (slug text primary key); create table site (n integer, of_org text references org, primary key (n, of_org)); create table child (n integer, tenant text, foreign key (n, tenant) references site)",
			rows:  "insert into org values ('acme'), ('birch'); insert into site values (1, 'acme'), (1, 'birch')",
			attrs: with2(tablesOf("a", "org", "site", "child")),
			left:  map[string]int{"org": 1, "site": 1, "org where slug = 'birch'": 1},
		},
		"a list of tenants that nothing names": {
			ddl:    "create table org (slug text primary key); create table child (tenant text references org)",
			attrs:  with2(tablesOf("a", "child")),
			blocks: []string{"table org"},
		},
		"lookup tables": {
			ddl:   "create table country (code text primary key); create table customer (id integer primary key, tenant text, country text references country)",
			rows:  "insert into country values ('de'); insert into customer (tenant, country) values ('acme', 'de')",
			attrs: with2(tablesOf("a", "customer"), map[string]any{"shared": []any{"country"}}),
			left:  map[string]int{"customer": 0, "country": 1},
		},
		"a neighbour's row that a cascade would take": {
			ddl:    "create table tpl (id integer primary key, tenant text); create table page (id integer primary key, tenant text, tpl_id integer not null references tpl on delete cascade)",
			rows:   "insert into tpl values (1, 'acme'); insert into page values (1, 'birch', 1), (2, 'acme', 1)",
			attrs:  with2(tablesOf("a", "tpl", "page")),
			blocks: []string{"reference page.tpl_id"}, refused: "page",
		},
		"a neighbour's row by a reference that becomes null": {
			ddl:      "create table staff (id integer primary key, tenant text); create table film (id integer primary key, tenant text); create table review (id integer primary key, film_id integer not null references film, moderated_by integer references staff on delete set null)",
			rows:     "insert into staff values (1, 'acme'); insert into film values (1, 'birch'), (2, 'acme'); insert into review values (1, 1, 1), (2, 2, 1)",
			attrs:    with2(tablesOf("a", "staff", "film", "review")),
			left:     map[string]int{"review": 1, "review where film_id = 1 and moderated_by is null": 1, "staff": 0, "film": 1},
			detached: map[string]int64{"review.moderated_by": 1},
		},
		"rows of which nothing says whose they are": {
			ddl:    "create table orders (id integer primary key, tenant text); create table invoices (id integer primary key, order_id integer references orders on delete set null, who text)",
			rows:   "insert into orders values (1, 'acme'); insert into invoices values (1, 1, 'x')",
			attrs:  with2(map[string]any{"orders": "a", "invoices": "b"}),
			order:  []string{"a", "b"},
			blocks: []string{"reference invoices.order_id"},
		},
		"the same, followed, in the wrong order": {
			ddl:    "create table orders (id integer primary key, tenant text); create table invoices (id integer primary key, order_id integer references orders on delete set null, who text)",
			attrs:  with2(map[string]any{"orders": "a", "invoices": "b"}, map[string]any{"links": map[string]any{"invoices.order_id": "follow"}}),
			order:  []string{"a", "b"},
			blocks: []string{"order invoices.order_id"},
		},
		"the same, followed, in the right order": {
			ddl:   "create table orders (id integer primary key, tenant text); create table invoices (id integer primary key, order_id integer references orders on delete set null, who text)",
			rows:  "insert into orders values (1, 'acme'), (2, 'birch'); insert into invoices values (1, 1, 'x'), (2, 2, 'y'), (3, null, 'z')",
			attrs: with2(map[string]any{"orders": "a", "invoices": "b"}, map[string]any{"links": map[string]any{"Invoices.ORDER_ID": "follow"}}),
			order: []string{"b", "a"},
			left:  map[string]int{"orders": 1, "invoices": 2},
		},
		"a cycle that is opened without the tenant's key": {
			ddl: `create table staff (tenant text, id integer, store integer, primary key (tenant, id), foreign key (tenant, store) references store (tenant, id));
create table store (tenant text, id integer, manager integer, primary key (tenant, id), foreign key (tenant, manager) references staff (tenant, id))`,
			rows:  "insert into store values ('acme', 1, null), ('birch', 1, null); insert into staff values ('acme', 1, 1), ('birch', 1, 1); update store set manager = 1",
			attrs: with2(tablesOf("a", "staff", "store")),
			left:  map[string]int{"staff": 1, "store where manager = 1": 1},
		},
		"a key without a tenant": {
			ddl:   "create table doc (id integer primary key, tenant text)",
			rows:  "insert into doc (tenant) values (null), ('acme'), (null)",
			attrs: with2(tablesOf("a", "doc")),
			left:  map[string]int{"doc": 2},
		},
		"a key in other letters": {
			ddl:    "create table doc (id integer primary key, tenant text collate nocase)",
			rows:   "insert into doc (tenant) values ('ACME'), ('acme')",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"key doc.tenant"},
		},
		"a key with blanks": {
			ddl:    "create table doc (id integer primary key, tenant text collate rtrim)",
			rows:   "insert into doc (tenant) values ('acme  '), ('acme')",
			attrs:  with2(tablesOf("a", "doc")),
			blocks: []string{"key doc.tenant"},
		},
		"a reference that folds case, to a key that doesn't": {
			ddl:    "create table doc (code text primary key, tenant text); create table line (n integer primary key, doc text not null collate nocase references doc)",
			rows:   "insert into doc values ('A1', 'acme'), ('a1', 'birch'); insert into line values (1, 'A1'), (2, 'a1')",
			attrs:  with2(tablesOf("a", "doc", "line")),
			blocks: []string{"key line.doc"}, refused: "line.doc",
		},
		"a reference to a key that folds case": {
			ddl:    "create table doc (code text collate nocase primary key, tenant text); create table line (n integer primary key, doc text not null references doc)",
			rows:   "insert into doc values ('A1', 'acme'); insert into line values (1, 'a1')",
			attrs:  with2(tablesOf("a", "doc", "line")),
			blocks: []string{"key line.doc"}, refused: "line.doc",
		},
		"both sides fold case": {
			ddl:   "create table doc (code text collate nocase primary key, tenant text); create table line (n integer primary key, doc text not null collate nocase references doc)",
			rows:  "insert into doc values ('A1', 'acme'), ('B1', 'birch'); insert into line values (1, 'a1'), (2, 'b1')",
			attrs: with2(tablesOf("a", "doc", "line")),
			left:  map[string]int{"doc": 1, "line": 1, "line where doc = 'b1'": 1},
		},
		"a reference in another type": {
			ddl:   "create table doc (id integer primary key, tenant text); create table line (n integer primary key, doc not null references doc)",
			rows:  "insert into doc values (1, 'acme'), (2, 'birch'); insert into line values (1, '1'), (2, 1), (3, 1.0), (4, '2')",
			attrs: with2(tablesOf("a", "doc", "line")),
			left:  map[string]int{"doc": 1, "line": 1, "line where n = 4": 1},
		},
		"references that are null in half": {
			ddl:   "create table doc (tenant text, id integer, primary key (tenant, id)); create table line (n integer primary key, t text, d integer, foreign key (t, d) references doc (tenant, id) on delete set null)",
			rows:  "insert into doc values ('acme', 1), ('birch', 1); insert into line values (1, 'acme', null), (2, null, 1), (3, 'birch', 1)",
			attrs: with2(tablesOf("a", "doc"), map[string]any{"shared": []any{"line"}}),
			left:  map[string]int{"doc": 1, "line": 3, "line where t = 'acme' and d is null": 1, "line where t is null and d = 1": 1},
		},
		"a reference set to its default": {
			ddl:      "create table plan (id integer primary key, tenant text); create table film (id integer primary key, tenant text, plan integer default 0 references plan on delete set default)",
			rows:     "insert into plan values (0, 'platform'), (1, 'acme'); insert into film values (1, 'birch', 1), (2, 'acme', 1)",
			attrs:    with2(tablesOf("a", "plan", "film")),
			left:     map[string]int{"plan": 1, "film": 1, "film where plan = 0 and tenant = 'birch'": 1},
			detached: map[string]int64{"film.plan": 1},
		},
		"a reference checked late, in a ring": {
			ddl: `create table a (id integer primary key, tenant text, b integer not null references b (id) deferrable initially deferred);
create table b (id integer primary key, tenant text, a integer not null references a (id) deferrable initially deferred)`,
			rows:  "begin; insert into a values (1, 'acme', 1), (2, 'birch', 2); insert into b values (1, 'acme', 1), (2, 'birch', 2); commit",
			attrs: with2(tablesOf("a", "a", "b")),
			left:  map[string]int{"a": 1, "b": 1},
		},
		"a cycle that restricts": {
			ddl: `create table a (id integer primary key, tenant text, b integer not null references b (id) on delete restrict);
create table b (id integer primary key, tenant text, a integer not null references a (id) on delete restrict)`,
			attrs:  with2(tablesOf("a", "a", "b")),
			blocks: []string{"order a"},
		},
		"a cycle that a check keeps shut": {
			ddl: `create table a (id integer primary key, tenant text, b integer references b (id) on delete restrict check (b is not null));
create table b (id integer primary key, tenant text, a integer not null references a (id) on delete restrict)`,
			attrs:  with2(tablesOf("a", "a", "b")),
			blocks: []string{"order a"},
		},
		"no rowid, restrict, a key of two columns": {
			ddl: `create table doc (tenant text, id text, primary key (tenant, id)) without rowid;
create table part (n integer primary key, t text not null, d text not null, foreign key (t, d) references doc (tenant, id) on delete restrict);
create table chip (p integer not null references part on delete cascade, "from" text)`,
			rows:  "insert into doc values ('acme', 'a'), ('birch', 'a'); insert into part values (1, 'acme', 'a'), (2, 'birch', 'a'); insert into chip values (1, 'x'), (2, 'y')",
			attrs: with2(tablesOf("a", "doc", "part", "chip")),
			left:  map[string]int{"doc": 1, "part": 1, "chip where p = 2": 1, "chip": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.try(t)
		})
	}
}

func (g ground) try(t *testing.T) {
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "drop table lines; drop table orders; drop table notes")
	exec(t, w.shared, g.ddl)
	r := pool("tenant", "acme", nil)
	r.Attributes = maps.Clone(g.attrs)
	r.Attributes["column"], r.Attributes["key"] = "tenant", "acme"
	d.made(t, r)
	if g.rows != "" {
		exec(t, w.shared, "pragma foreign_keys = 1; "+g.rows)
	}
	if g.order == nil {
		g.order = []string{"a"}
	}
	places := d.mapped(t, connector.Survey{Ref: r, Order: g.order, Prove: true, Search: time.Minute})
	if got := blocking(places); !slices.Equal(got, g.blocks) {
		t.Fatalf("blocked by %q, want %q: %+v", got, g.blocks, places)
	}
	if g.says != "" && !slices.ContainsFunc(places, func(p connector.Place) bool { return p.Blocks && strings.Contains(p.Says, g.says) && p.Fix != "" }) {
		t.Errorf("no place that blocks says %q: %+v", g.says, places)
	}
	before := dump(t, w.shared)
	if g.refused != "" {
		_, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: g.order[0], Limit: 3})
		wants(t, "erase", err, tenure.Blocked, false)
		if err == nil || !strings.Contains(err.Error(), g.refused) {
			t.Errorf("the error doesn't name %q: %v", g.refused, err)
		}
		if dump(t, w.shared) != before {
			t.Error("a refused erasure changed the file")
		}
	}
	if g.left == nil {
		return
	}
	counted := map[string]int64{}
	for _, p := range places {
		if p.Kind == connector.PlaceTable {
			counted[p.Name] = p.Rows
		}
	}
	went := map[string]int64{}
	for _, class := range g.order {
		maps.Copy(went, d.erased(t, r, class))
	}
	for query, n := range g.left {
		if got := number(t, w.shared, "select count(*) from "+query); got != n {
			t.Errorf("%s has %d rows, want %d", query, got, n)
		}
	}
	for table, n := range counted {
		if went[table] < n {
			t.Errorf("the map counted %d rows of %s, and %d went", n, table, went[table])
		}
	}
	e, err := d.Tally(t.Context(), r, "run")
	must(t, err)
	if !maps.Equal(e.Detached, g.detached) && len(e.Detached)+len(g.detached) > 0 {
		t.Errorf("references detached: %v, want %v", e.Detached, g.detached)
	}
	if n := number(t, w.shared, "select count(*) from pragma_foreign_key_check"); n != 0 {
		t.Errorf("%d references lead nowhere", n)
	}
	_, err = d.Delete(t.Context(), r)
	must(t, err)
}
