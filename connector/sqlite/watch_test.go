package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/connector"
)

const (
	docRows = "insert into doc values (1, 'acme', 1, 'unicorn'), (2, 'birch', 2, 'heron'), (3, 'birch', 3, 'heron')"
	pages   = "create table tpl (id integer primary key, tenant text); create table page (id integer primary key, tenant text, tpl integer %s, v text%s)"
)

func letting(trigger string) map[string]any {
	return map[string]any{"triggers": map[string]any{trigger: "ignore"}}
}

// Each is a schema in which an erasure would do more than it says. The data map
// says so, and where it is passed over, the batch is Blocked and nothing changes.
// What a neighbour would lose by a fault here: rows, references and its search.
func TestMoreThanWasAsked(t *testing.T) {
	t.Parallel()
	doc := "create table doc (id integer primary key, tenant text, n integer, body text); "
	for name, g := range map[string]ground{
		"a copy pushes out a row": {
			ddl:    doc + "create table h (n integer primary key on conflict replace, tenant text); create trigger tell after delete on doc begin insert into h values (old.n, old.tenant); end",
			rows:   docRows + "; insert into h values (1, 'birch')",
			attrs:  with2(tablesOf("a", "doc", "h")),
			blocks: []string{"code doc.tell"}, says: "on conflict replace", refused: "of h that it isn't to touch: trigger tell of doc",
		},
		"a copy pushes out a row without a rowid": {
			ddl:    doc + "create table h (tenant text, k text, n integer, unique (n) on conflict replace, primary key (k, tenant)) without rowid; create trigger tell after delete on doc begin insert into h values (old.tenant, old.body, old.n); end",
			rows:   docRows + "; insert into h values ('birch', 'heron', 1)",
			attrs:  with2(tablesOf("a", "doc", "h")),
			blocks: []string{"code doc.tell"}, says: "on conflict replace", refused: "1 row of h that it isn't to touch",
		},
		"a lost reference pushes out a row": {
			ddl:    fmt.Sprintf(pages, "references tpl on delete set null", ", k text generated always as (coalesce(tpl, 'none')) stored unique on conflict replace"),
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page (id, tenant, tpl) values (1, 'birch', 1), (2, 'birch', null)",
			attrs:  with2(tablesOf("a", "tpl", "page")),
			blocks: []string{"reference page.tpl"}, says: "on conflict replace", refused: "of page that it isn't to touch: on conflict replace of k",
		},
		"a detached reference pushes out a row": {
			ddl:    fmt.Sprintf(pages, "references tpl", ", k text generated always as (coalesce(tpl, 'none')) virtual, constraint one unique (tenant, k) on conflict replace"),
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page (id, tenant, tpl) values (1, 'birch', 1), (2, 'birch', null)",
			attrs:  with2(tablesOf("a", "tpl", "page"), map[string]any{"links": map[string]any{"page.tpl": "detach"}}),
			blocks: []string{"reference page.tpl"}, says: "on conflict replace", refused: "1 row of page that it isn't to touch",
		},
		"a constraint that has nothing to do with a lost reference": {
			ddl:      fmt.Sprintf(pages, "references tpl on delete set null", " unique on conflict replace"),
			rows:     "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page (id, tenant, tpl, v) values (1, 'birch', 1, 'a'), (2, 'birch', null, 'b')",
			attrs:    with2(tablesOf("a", "tpl", "page")),
			left:     map[string]int{"tpl": 1, "page": 2, "page where tpl is null": 2},
			detached: map[string]int64{"page.tpl": 1},
		},
		"what refers to a lost reference": {
			ddl:    fmt.Sprintf(pages, "unique references tpl on delete set null", "") + "; create table ref (id integer primary key, tenant text, tpl integer references page (tpl) on update cascade)",
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a'); insert into ref values (1, 'birch', 1)",
			attrs:  with2(tablesOf("a", "tpl", "page", "ref")),
			blocks: []string{"reference ref.tpl"}, says: "1 row of ref refer by tpl", refused: "1 row of ref refer",
		},
		"what refers to a column made of a lost reference": {
			ddl:    fmt.Sprintf(pages, "references tpl on delete set null", ", k text generated always as (coalesce(tpl, 'none') || id) stored unique") + "; create table ref (id integer primary key, tenant text, k text references page (k) on update set default)",
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page (id, tenant, tpl) values (1, 'birch', 1); insert into ref values (1, 'birch', '11')",
			attrs:  with2(tablesOf("a", "tpl", "page", "ref")),
			blocks: []string{"reference ref.k"}, says: "1 row of ref refer by k", refused: "1 row of ref refer",
		},
		"a reference in itself to a lost one": {
			ddl:    "create table n (id integer primary key, tenant text, code integer unique, up integer unique references n (code) on delete set null); create table k (id integer primary key, tenant text, u integer references n (up))",
			rows:   "insert into n values (1, 'acme', 10, null), (2, 'birch', 20, 10); insert into k values (1, 'birch', 10)",
			attrs:  with2(tablesOf("a", "n", "k")),
			blocks: []string{"reference k.u"}, says: "1 row of k", refused: "1 row of k refer",
		},
		"a default that leads to a row which goes": {
			ddl:    fmt.Sprintf(pages, "default 1 references tpl on delete set default", ""),
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a')",
			attrs:  with2(tablesOf("a", "tpl", "page")),
			blocks: []string{"reference page.tpl"}, says: "no row stays there", refused: "page.tpl → tpl",
		},
		"a default that leads nowhere, seen at the end": {
			ddl:    fmt.Sprintf(pages, "default 99 references tpl on delete set default deferrable initially deferred", ""),
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a')",
			attrs:  with2(tablesOf("a", "tpl", "page")),
			blocks: []string{"reference page.tpl"}, says: "no row stays there", refused: "page.tpl → tpl",
		},
		"a default that stays": {
			ddl:      fmt.Sprintf(pages, "default 2 references tpl on delete set default", ""),
			rows:     "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a')",
			attrs:    with2(tablesOf("a", "tpl", "page")),
			left:     map[string]int{"page where tpl = 2": 1},
			detached: map[string]int64{"page.tpl": 1},
		},
		"an expression that keeps rows alike": {
			ddl:     fmt.Sprintf(pages, "references tpl on delete set null", "") + "; create unique index one on page (tenant, coalesce(tpl, 'none'))",
			rows:    "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a'), (2, 'birch', null, 'b')",
			attrs:   with2(tablesOf("a", "tpl", "page")),
			refused: "index 'one'",
		},
		"another row under the name of the one that goes": {
			ddl:    doc + "create table h (id integer, tenant text, v text); create table cfg (tenant text, v text); create trigger tell after delete on doc begin insert into h (id, tenant, v) select old.id, old.tenant, old.v from cfg as old; end",
			rows:   docRows + "; insert into cfg values ('archive', 'x')",
			attrs:  with2(tablesOf("a", "doc", "h", "cfg")),
			blocks: []string{"code doc.tell"}, says: "can't be told that they have the tenant's key", refused: "of h that it isn't to touch",
		},
		"another name for it in a text": {
			ddl:    doc + "create table h (tenant text, v text); create table cfg (tenant text, body text); create trigger tell after delete on doc begin insert into h (tenant, v) select old.tenant, (select body from doc) from cfg 'old'; end",
			rows:   docRows + "; insert into cfg values ('archive', 'x')",
			attrs:  with2(tablesOf("a", "doc", "h", "cfg")),
			blocks: []string{"code doc.tell"}, says: "can't be told that they have the tenant's key", refused: "of h that it isn't to touch",
		},
		"old as a word": {
			ddl:   doc + "create table h (id integer primary key, body text); create trigger tell after delete on doc begin insert into h (body) values (json_object('old', 'old', 'tenant', old.tenant, 'v', case when old.n > 5 then 'new' else 'old' end)); end",
			rows:  docRows,
			attrs: with2(tablesOf("a", "doc", "h"), map[string]any{"columns": map[string]any{"h": "body->>tenant"}}),
			left:  map[string]int{"h": 0, "doc": 2},
		},
		"a copy whose key another trigger changes": {
			ddl: doc + "create table h (id integer primary key, tenant text, v text); create trigger tell after delete on doc begin insert into h (tenant, v) values (old.tenant, old.body); end; " +
				"create trigger stamp after insert on h begin update h set tenant = 'system' where id = new.id; end",
			rows:   docRows,
			attrs:  with2(tablesOf("a", "doc", "h")),
			blocks: []string{"code h.stamp"}, says: "changes rows of h", refused: "of h that it isn't to touch",
		},
		"a trigger that is let, and takes a neighbour's rows": {
			ddl:     doc + "create table h (id integer primary key, tenant text, n integer); create trigger tell after delete on doc begin delete from h where n = old.n; end",
			rows:    docRows + "; insert into h values (1, 'birch', 1)",
			attrs:   with2(tablesOf("a", "doc", "h"), letting("doc.tell")),
			refused: "1 row of h that it isn't to touch: trigger tell of doc",
		},
		"a trigger that is let, and changes a neighbour's": {
			ddl:     doc + "create table h (tenant text, k integer, n integer, primary key (tenant, k)) without rowid; create trigger tell before delete on doc begin update h set n = 0 where k = old.n; end",
			rows:    docRows + "; insert into h values ('birch', 1, 7)",
			attrs:   with2(tablesOf("a", "doc", "h"), letting("doc.tell")),
			refused: "1 row of h that it isn't to touch: trigger tell of doc",
		},
		"a trigger that is let, and hands rows on": {
			ddl:     doc + "create table h (id integer primary key, tenant text, n integer); create trigger tell after delete on doc begin update h set tenant = 'birch' where n = old.n; end",
			rows:    docRows + "; insert into doc values (9, 'acme', 9, 'x'); insert into h values (1, 'acme', 9)",
			attrs:   with2(map[string]any{"doc": "a", "h": "a"}, letting("doc.tell")),
			refused: "of h that it isn't to touch",
		},
		"a trigger that is let, and touches another class": {
			ddl:     doc + "create table h (id integer primary key, tenant text, n integer); create trigger tell after delete on doc begin delete from h where n = old.n; end",
			rows:    docRows + "; insert into h values (1, 'acme', 1)",
			attrs:   with2(map[string]any{"doc": "a", "h": "b"}, letting("doc.tell")),
			order:   []string{"a", "b"},
			refused: "1 row of h that it isn't to touch: trigger tell of doc",
		},
		"a trigger that is let, and writes into a table of tenants": {
			ddl:     doc + "create table h (id integer primary key, tenant text); create trigger tell after delete on doc begin insert into h (tenant) values ('birch'); end",
			rows:    docRows,
			attrs:   with2(tablesOf("a", "doc"), letting("doc.tell"), map[string]any{"shared": []any{"h"}}),
			refused: "add 1 row of h that it isn't to touch: trigger tell of doc",
		},
		"a trigger that is let, and keeps the tenant's sums": {
			ddl:   doc + "create table sums (id integer primary key, tenant text, n integer); create trigger tell after delete on doc begin update sums set n = n - 1 where tenant = old.tenant; end",
			rows:  docRows + "; insert into doc values (4, 'acme', 4, 'x'), (5, 'acme', 5, 'x'); insert into sums values (1, 'acme', 3), (2, 'birch', 2)",
			attrs: with2(tablesOf("a", "doc", "sums"), letting("doc.tell")),
			left:  map[string]int{"doc": 2, "sums": 1, "sums where n = 2": 1},
		},
		"a trigger that is let, and takes the tenant's own": {
			ddl: doc + "create table tag (v text, doc text not null references k (code), primary key (doc, v)) without rowid; create table k (code text primary key, tenant text); " +
				"create trigger tell after delete on doc begin delete from tag where v = old.body; end",
			rows:  docRows + "; insert into k values ('a', 'acme'), ('b', 'birch'); insert into tag values ('unicorn', 'a'), ('zebra', 'a'), ('heron', 'b')",
			attrs: with2(tablesOf("a", "doc", "tag", "k"), letting("doc.tell")),
			left:  map[string]int{"doc": 2, "tag": 1, "k": 1},
		},
		"columns by their order beside a generated one": {
			ddl:   doc + "create table h (g text generated always as ('x') virtual, tenant text, v text); create trigger tell after delete on doc begin insert into h values (old.tenant, old.body); end",
			rows:  docRows,
			attrs: with2(tablesOf("a", "doc", "h")),
			left:  map[string]int{"doc": 2, "h": 0},
		},
		"columns in the wrong order beside a generated one": {
			ddl:    doc + "create table h (g text generated always as ('x') virtual, tenant text, v text); create trigger tell after delete on doc begin insert into h values (old.body, old.tenant); end",
			rows:   docRows,
			attrs:  with2(tablesOf("a", "doc", "h")),
			blocks: []string{"code doc.tell"}, says: "can't be told that they have the tenant's key", refused: "1 row of h that it isn't to touch",
		},
		"a trigger on a neighbour's other columns, and one that only looks": {
			ddl: fmt.Sprintf(pages, "references tpl on delete set null", "") + "; create trigger tell after update of v on page begin insert into page (tenant, v) values (new.tenant, 'copy'); end; " +
				"create trigger sane before update on page when new.v = '' begin select raise(abort, 'no v'); end",
			rows:     "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a')",
			attrs:    with2(tablesOf("a", "tpl", "page")),
			left:     map[string]int{"page": 1, "page where tpl is null": 1},
			detached: map[string]int64{"page.tpl": 1},
		},
		"a trigger that keeps a neighbour's history": {
			ddl:    fmt.Sprintf(pages, "references tpl on delete set null", "") + "; create table h (id integer primary key, tenant text, v text); create trigger tell after update on page begin insert into h (tenant, v) values (old.tenant, old.v); end",
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a')",
			attrs:  with2(tablesOf("a", "tpl", "page", "h")),
			blocks: []string{"reference page.tpl"}, says: "trigger tell runs on them", refused: "trigger tell",
		},
		"a reference that a trigger takes from a neighbour's row": {
			ddl:     fmt.Sprintf(pages, "references tpl on delete set null", "") + "; create trigger tell after delete on tpl begin update page set tpl = null where v = 'b'; end",
			rows:    "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a'), (2, 'birch', 2, 'b')",
			attrs:   with2(tablesOf("a", "tpl", "page"), letting("tpl.tell")),
			refused: "1 row of page that it isn't to touch: trigger tell of tpl",
		},
		"a reference that a trigger takes before the constraint does": {
			ddl:      fmt.Sprintf(pages, "references tpl on delete set null", "") + "; create trigger tell before delete on tpl begin update page set tpl = null where tpl = old.id; end",
			rows:     "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a'), (2, 'birch', 2, 'b')",
			attrs:    with2(tablesOf("a", "tpl", "page"), letting("tpl.tell")),
			left:     map[string]int{"page where tpl is null": 1},
			detached: map[string]int64{"page.tpl": 1},
		},
		"a trigger on Tenure's own table": {
			ddl:     doc + "create trigger tell after insert on tenure_tally begin delete from doc where tenant = 'birch'; end",
			rows:    docRows,
			attrs:   with2(tablesOf("a", "doc")),
			refused: "2 rows of doc that it isn't to touch: trigger tell of tenure_tally",
		},
		"a reference whose loss takes more": {
			ddl:    fmt.Sprintf(pages, "references tpl on delete set null", "") + "; create trigger tell after update of tpl on page begin update page set v = 'gone' where id = new.id; end",
			rows:   "insert into tpl values (1, 'acme'), (2, 'birch'); insert into page values (1, 'birch', 1, 'a')",
			attrs:  with2(tablesOf("a", "tpl", "page"), letting("page.tell")),
			blocks: []string{"reference page.tpl"}, says: "trigger tell runs on them", refused: "1 row of page that it isn't to touch: trigger tell of page",
		},
		"references of many kinds that become null": {
			ddl: "create table tpl (v integer generated always as (length(code)) virtual, code text collate nocase unique, tenant text); " +
				"create table page (v text generated always as (upper(x)) virtual, id integer primary key, tenant text, x text, tpl text references tpl (code) on delete set null, w text generated always as (tpl || 'x') stored)",
			rows:   "insert into tpl values ('A', 'acme'), ('b', 'birch'); insert into page (tenant, x, tpl) values ('birch', 'x', 'a'), ('birch', 'y', 'b')",
			attrs:  with2(tablesOf("a", "tpl", "page")),
			blocks: []string{"key page.tpl"}, says: "different collations",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.try(t)
		})
	}
}

// An index that triggers keep loses what stands for a row that goes, and nothing
// else. What a neighbour would lose: its own texts in a search; and a tenant's words
// would stay in the file.
func TestIndexesThatTriggersKeep(t *testing.T) {
	t.Parallel()
	doc := "create table doc (id integer primary key, tenant text, n integer, body text); "
	put, out := "create trigger ai after insert on doc begin insert into ft (rowid, body) values (%s, new.body); end; ", "create trigger ad after delete on doc begin delete from ft where %s; end; "
	own := "create virtual table ft using fts5 (body); "
	derived := []string{"derived ft"}
	for name, g := range map[string]ground{
		"numbered by another column": {
			ddl: doc + own + fmt.Sprintf(put, "new.n") + fmt.Sprintf(out, "rowid = old.id"), rows: "insert into doc values (1, 'acme', 11, 'unicorn'), (2, 'birch', 1, 'heron')",
			attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "name its row by a unique column", refused: "1 row of ft that stand for no row",
		},
		"numbered by another unique column": {
			ddl: strings.ReplaceAll(doc, "n integer", "n integer not null unique") + own + fmt.Sprintf(put, "new.n") + fmt.Sprintf(out, "rowid = old.id"), rows: "insert into doc values (1, 'acme', 11, 'unicorn'), (2, 'birch', 1, 'heron')",
			attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "by n, and another trigger by rowid", refused: "1 row of ft that stand for no row",
		},
		"numbered by a unique column": {
			ddl: strings.ReplaceAll(doc, "n integer", "n integer not null unique") + own + fmt.Sprintf(put, "new.n") + fmt.Sprintf(out, "old.n = rowid"), rows: "insert into doc values (1, 'acme', 11, 'unicorn'), (2, 'birch', 1, 'heron')",
			attrs: with2(tablesOf("a", "doc")), left: map[string]int{"ft": 1, "ft('heron')": 1},
		},
		"found by a column that it keeps": {
			ddl:   "create table doc (id text primary key, tenant text, body text); create virtual table ft using fts5 (ref unindexed, body); create trigger ai after insert on doc begin insert into ft values (new.id, new.body); end; " + fmt.Sprintf(out, "ft.ref = old.id"),
			rows:  "insert into doc values ('b', 'birch', 'heron'), ('a', 'acme', 'unicorn'), ('c', 'birch', 'heron')",
			attrs: with2(tablesOf("a", "doc")), left: map[string]int{"ft": 2, "ft('heron')": 2},
		},
		"found by another column that it keeps": {
			ddl:   "create table doc (id text primary key, tenant text, body text); create virtual table ft using fts5 (ref unindexed, body); create trigger ai after insert on doc begin insert into ft (body, ref) values (new.body, new.tenant); end; " + fmt.Sprintf(out, "ref = old.id"),
			rows:  "insert into doc values ('birch', 'acme', 'unicorn'), ('b', 'birch', 'heron')",
			attrs: with2(tablesOf("a", "doc")), blocks: append(derived[:1:1], "table ft"), says: "name its row by a unique column", refused: "of ft that stand for no row",
		},
		"found by nothing": {
			ddl:   "create table doc (id text primary key, tenant text, body text); create virtual table ft using fts5 (ref unindexed, body); create trigger ai after insert on doc begin insert into ft (ref, body) values (new.id, new.body); end; " + fmt.Sprintf(out, "ref = old.id"),
			rows:  "insert into doc values (null, 'acme', 'unicorn'), ('b', 'birch', 'heron')",
			attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "1 row of doc have no id", refused: "have no value in id",
		},
		"numbered by a sum": {
			ddl: doc + own + fmt.Sprintf(put, "new.id + 1000") + fmt.Sprintf(out, "rowid = old.id"), rows: docRows,
			attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "name its row by a unique column",
		},
		"found by its text": {
			ddl: doc + own + fmt.Sprintf(put, "new.id") + fmt.Sprintf(out, "body = old.body"), rows: "insert into doc values (1, 'acme', 1, 'common'), (2, 'birch', 2, 'common')",
			attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "name its row by a unique column", refused: "of ft that stand for no row",
		},
		"found with others": {
			ddl: doc + own + fmt.Sprintf(put, "new.id") + fmt.Sprintf(out, "rowid >= old.id"), rows: docRows,
			attrs: with2(tablesOf("a", "doc")), blocks: append([]string{"code doc.ad"}, derived...), says: "name its row by a unique column", refused: "3 rows of ft that stand for no row",
		},
		"emptied by a trigger": {
			ddl: doc + "create virtual table ft using fts5 (body, content=''); " + fmt.Sprintf(put, "new.id") + "create trigger ad after delete on doc begin insert into ft (ft, rowid, body) values ('delete', old.id, old.body); insert into ft (ft) values ('delete-all'); end", rows: docRows,
			attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "delete-all", refused: "of ft that stand for no row",
		},
		"written into when rows go": {
			ddl: doc + own + fmt.Sprintf(put, "new.id") + "create trigger ad after delete on doc begin delete from ft where rowid = old.id; insert into ft (rowid, body) values (old.id + 1000, old.body); end", rows: docRows,
			attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "writes into it of rows that go", refused: "of ft that stand for no row",
		},
		"one for two tables": {
			ddl: doc + "create table note (id integer primary key, tenant text, body text); " + own + fmt.Sprintf(put, "new.id") + fmt.Sprintf(out, "rowid = old.id") +
				"create trigger ni after insert on note begin insert into ft (rowid, body) values (new.id + 1000, new.body); end; create trigger nd after delete on note begin delete from ft where rowid = old.id; end",
			rows:  docRows + "; insert into note values (2, 'acme', 'unicorn')",
			attrs: with2(tablesOf("a", "doc", "note")), blocks: derived, refused: "of ft that stand for no row",
		},
		"one for two tables under the same numbers": {
			ddl: doc + "create table note (id integer primary key, tenant text, body text); " + own + fmt.Sprintf(out, "rowid = old.id") + fmt.Sprintf(put, "new.id") +
				"create trigger ni after insert on note begin insert or ignore into ft (rowid, body) values (new.id, new.body); end; create trigger nd after delete on note begin delete from ft where rowid = old.id; end",
			rows:  docRows,
			attrs: with2(tablesOf("a", "doc", "note")), blocks: derived, says: "numbers that may be the same",
		},
		"filled by nobody knows whom": {
			ddl: doc + own + fmt.Sprintf(out, "rowid = old.id"), rows: docRows + "; insert into ft (rowid, body) select id + 1, body from doc",
			attrs: with2(tablesOf("a", "doc")), blocks: []string{"derived ft"}, says: "no trigger puts them there", refused: "rows of doc that go can't be told",
		},
		"told of words as they are now": {
			ddl: doc + "create virtual table ft using fts5 (body, content=''); " + fmt.Sprintf(put, "new.id") + "create trigger ad after delete on doc begin insert into ft (ft, rowid, body) values ('delete', old.id, old.body); end; " +
				"create trigger au after update on doc begin insert into ft (ft, rowid, body) values ('delete', old.id, new.body); insert into ft (rowid, body) values (new.id, new.body); end",
			rows: docRows, attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "other words",
		},
		"told of other words": {
			ddl: doc + "create virtual table ft using fts5 (body, content=''); create trigger ai after insert on doc begin insert into ft (rowid, body) values (new.id, lower(new.body)); end; " +
				"create trigger ad after delete on doc begin insert into ft (ft, rowid, body) values ('delete', old.id, old.body); end; " +
				"create trigger au after update on doc begin insert into ft (ft, rowid, body) values ('delete', old.id, lower(old.body)); insert into ft (rowid, body) values (new.id, lower(new.body)); end",
			rows: docRows, attrs: with2(tablesOf("a", "doc")), blocks: derived, says: "other words",
		},
		"an R-Tree numbered by another column": {
			ddl: doc + "create virtual table box using rtree (id, x0, x1, +v); create trigger ai after insert on doc begin insert into box values (new.n, 1, 2, new.body); end; create trigger ad after delete on doc begin delete from box where id = old.id; end", rows: "insert into doc values (1, 'acme', 11, 'unicorn'), (2, 'birch', 1, 'heron')",
			attrs: with2(tablesOf("a", "doc")), blocks: []string{"derived box"}, says: "name its row by a unique column", refused: "1 row of box that stand for no row",
		},
		"an R-Tree of many pages": {
			ddl:   doc + "create virtual table box using rtree (id, x0, x1, +v); create trigger ai after insert on doc begin insert into box (id, x0, x1, v) values (new.id, new.n, new.n + 1, new.body); end; create trigger ad after delete on doc begin delete from box where id = old.id; end",
			rows:  "with recursive s (i) as (select 1 union all select i + 1 from s where i < 300) insert into doc select i, case i % 2 when 0 then 'acme' else 'birch' end, i * 7 % 300, 'v' from s",
			attrs: with2(tablesOf("a", "doc")), left: map[string]int{"box": 150, "box_rowid": 150},
		},
		"an index of what others' rows say, told when they lose a reference": {
			ddl: "create table tpl (id integer primary key, tenant text); create table doc (id integer primary key, tenant text, tpl integer references tpl on delete set null, body text); " + own + fmt.Sprintf(put, "new.id") + fmt.Sprintf(out, "rowid = old.id") +
				"create trigger au after update on doc begin delete from ft where rowid = old.id; insert into ft (rowid, body) values (new.id, new.body); end",
			rows:     "insert into tpl values (1, 'acme'); insert into doc values (1, 'acme', null, 'unicorn'), (2, 'birch', 1, 'heron')",
			attrs:    with2(tablesOf("a", "tpl", "doc")),
			left:     map[string]int{"ft": 1, "ft('heron')": 1},
			detached: map[string]int64{"doc.tpl": 1},
		},
		"copies with an index of their own": {
			ddl: doc + "create table hist (id integer primary key, tenant text, body text); create virtual table fh using fts5 (body); " + own + fmt.Sprintf(put, "new.id") +
				"create trigger ad after delete on doc begin delete from ft where rowid = old.id; insert into hist (tenant, body) values (old.tenant, old.body); end; " +
				"create trigger hi after insert on hist begin insert into fh (rowid, body) values (new.id, new.body); end; create trigger hd after delete on hist begin delete from fh where rowid = old.id; end",
			rows: docRows, attrs: with2(tablesOf("a", "doc", "hist")), left: map[string]int{"ft": 2, "fh": 0, "hist": 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.try(t)
		})
	}
}

// A key that is a list or an object is nobody's, and a person is asked.
func TestKeysThatAreNoScalars(t *testing.T) {
	t.Parallel()
	ground{
		ddl:    "create table h (id integer primary key, body text)",
		rows:   `insert into h (body) values ('{"meta":{"tenant":"acme"}}'), ('{"meta":{"tenant":["acme"]}}'), ('{"meta":{"tenant":{"id":"acme"}}}'), ('{"meta":{"tenant":"birch"}}'), ('no JSON')`,
		attrs:  with2(tablesOf("a", "h"), map[string]any{"columns": map[string]any{"h": "body->>meta->>tenant"}}),
		blocks: []string{"key h.body"}, says: "2 rows of h have the tenant's key in body and aren't found",
	}.try(t)
}

// BenchmarkWatch prints how much longer batches take that are watched, of 100,000
// rows to which as many of a neighbour's refer.
func BenchmarkWatch(b *testing.B) {
	for range b.N {
		w := openWorld(b)
		d := w.opened(b, "1s")
		exec(b, w.shared, "create table big (id integer primary key, tenant text, v text); create index big_tenant on big (tenant); "+
			"create table link (id integer primary key, tenant text, big integer references big on delete set null); create index link_big on link (big)")
		r := d.made(b, pool("tenant", "acme", tablesOf("a", "big", "link", "notes", "orders", "lines")))
		exec(b, w.shared, "with recursive s (i) as (select 1 union all select i + 1 from s where i < 200000) insert into big (tenant, v) select 'acme', 'a text of some length ' || i from s; insert into link (tenant, big) select 'birch', id from big")
		var took [2]time.Duration
		_, err := pools{Driver: d}.reach(b.Context(), r, writing, func(s *session, of estateOf, _ string) error {
			for i := range 40 { // each way takes half of the rows
				began := time.Now()
				err := s.atomic(b.Context(), func() error {
					e, err := s.held(b.Context(), of)
					if err != nil {
						return err
					}
					batch := connector.Batch{Run: "run", Class: "a", Limit: 5000}
					if i%2 == 0 {
						watched, err := look(b.Context(), s, e, "a", addresses{})
						if err == nil {
							_, err = watched.batch(b.Context(), batch, "r")
						}
						return err
					}
					erasure, err := e.Erasure("a")
					if err == nil {
						_, err = erasure.Batch(b.Context(), s, batch)
					}
					return err
				})
				if err != nil {
					return err
				}
				took[i%2] += time.Since(began)
			}
			return nil
		})
		must(b, err)
		if n := number(b, w.shared, "select count(*) from big"); n != 0 {
			b.Errorf("%d rows are left", n)
		}
		b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "times-unwatched")
	}
}
