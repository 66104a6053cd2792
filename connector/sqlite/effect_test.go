package sqlite

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestTriggersInBatches erases tables whose triggers do something else than to let
// the rows go, past the data map: the batch is Blocked and changes nothing, by which
// a copy would stay under a certificate, or a neighbour lose a row.
func TestTriggersInBatches(t *testing.T) {
	t.Parallel()
	const p = "create table p (id integer primary key, org text, v text);"
	const two = p + "create table c (id integer primary key, org text, p integer, v text);"
	const child = p + "create table c (id integer primary key, org text, p integer references p on delete set null, v text);"
	trigger := func(when, body string) string {
		return "create table hist (org text, v text); create trigger trg " + when + " begin " + body + "; end"
	}
	covers := map[string]any{"hist": "aa"}
	for name, c := range map[string]struct {
		ddl, says string
		more      map[string]any // tables
		ignore    bool
	}{
		"a copy":                             {ddl: p + trigger("after delete on p", "insert into hist values (old.org, old.v)"), says: "of hist that it isn't to touch"},
		"a copy, ignored":                    {ddl: p + trigger("after delete on p", "insert into hist values (old.org, old.v)"), ignore: true, says: "of hist that it isn't to touch"},
		"a number elsewhere, ignored":        {ddl: p + "create table sums (n integer); insert into sums values (0); create trigger trg after delete on p begin update sums set n = n + 1; end", ignore: true},
		"a copy, covered":                    {ddl: p + trigger("after delete on p", "insert into hist values (old.org, old.v)"), more: covers},
		"a copy that names nobody":           {ddl: p + trigger("after delete on p", "insert into hist values (null, old.v)"), more: covers, says: "rows of hist that"},
		"a copy that names nobody, ignored":  {ddl: p + trigger("after delete on p", "insert into hist values (null, old.v)"), more: covers, ignore: true, says: "rows of hist that"},
		"a copy for another":                 {ddl: p + trigger("after delete on p", "insert into hist values ('birch', old.v)"), more: covers, says: "rows of hist that"},
		"a copy far away":                    {ddl: p + "create table mid (org text, v text); create trigger far after insert on mid begin insert into hist values (new.org, new.v); end;" + trigger("after delete on p", "insert into mid values (old.org, old.v)"), more: map[string]any{"mid": "aa"}, says: "of hist that it isn't to touch"},
		"a copy by way of a view":            {ddl: p + "create view seen as select org, v from p; create trigger far instead of insert on seen begin insert into hist values (new.org, new.v); end;" + trigger("after delete on p", "insert into seen values (old.org, old.v)"), says: "of hist that it isn't to touch"},
		"Tenure's own table":                 {ddl: p + trigger("after delete on p", "update tenure_mark set note = 'x' where type = 'rows'"), says: "of tenure_mark"},
		"a neighbour's rows deleted":         {ddl: two + trigger("after delete on p", "delete from c where v = 'v'"), more: map[string]any{"c": "bb"}, says: "delete 2 rows of c"},
		"deleted, ignored":                   {ddl: two + trigger("after delete on p", "delete from c where v = 'v'"), more: map[string]any{"c": "bb"}, ignore: true, says: "delete 2 rows of c"},
		"of a table that isn't the tenant's": {ddl: "create table odd (id integer primary key, v text); insert into odd values (1, 'v');" + p + trigger("after delete on p", "delete from odd"), says: "delete 1 row of odd"},
		"a neighbour's rows changed":         {ddl: two + trigger("after delete on p", "update c set v = old.v || 'x'"), more: map[string]any{"c": "bb"}, says: "change 2 rows of c"},
		"a detached row that changes":        {ddl: child + trigger("after update on c", "update c set v = 'touched' where id = new.id"), more: map[string]any{"c": "bb"}, says: "trigger trg runs on them"},
		"a detached row":                     {ddl: child + trigger("after insert on c", "insert into hist values (new.org, new.v)"), more: map[string]any{"c": "bb"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, "5s")
			exec(t, w.shared, c.ddl)
			tables := map[string]any{"p": "aa"}
			for k, v := range c.more {
				tables[k] = v
			}
			r := pool("org", "acme", tables)
			if c.ignore {
				r.Attributes["triggers"] = map[string]any{"p.trg": "ignore"}
			}
			d.made(t, r)
			exec(t, w.shared, "insert into p values (1, 'acme', 'v'), (2, 'acme', 'v'), (3, 'acme', 'v'), (101, 'birch', 'v')")
			if c.more["c"] != nil {
				exec(t, w.shared, "insert into c values (1, 'birch', 1, 'v'), (2, 'birch', 101, 'v'); delete from hist")
			}
			before := slices.DeleteFunc(strings.Split(dump(t, w.shared), "\n"), func(line string) bool { return !strings.Contains(line, "birch") })
			b, err := connector.Batch{Run: "r", Class: "aa", Limit: 2}, error(nil)
			for range 20 {
				var e connector.Erased
				if e, err = d.Erase(t.Context(), r, b); err != nil || e.Done {
					break
				}
				b.Cursor = "" // so that no look at the catalog comes between
			}
			if c.says == "" {
				must(t, err)
				if n := number(t, w.shared, "select count(*) from p where org = 'acme'"); n != 0 {
					t.Errorf("%d rows are left", n)
				}
				return
			}
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "trigger") {
				t.Errorf("erase: %v, want blocked by %q", err, c.says)
			}
			after := slices.DeleteFunc(strings.Split(dump(t, w.shared), "\n"), func(line string) bool { return !strings.Contains(line, "birch") })
			if !slices.Equal(before, after) {
				t.Errorf("the neighbour's rows were %q and are %q", before, after)
			}
			if n := number(t, w.shared, "select (select count(*) from p where org = 'acme') * 10 + (select count(*) from hist)"); n != 30 {
				t.Errorf("3 rows and no copy, and it is %d", n)
			}
		})
	}
}
