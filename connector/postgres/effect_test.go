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

// TestTriggersInBatches erases tables whose triggers and rules do something else
// than to let the rows go: it is Blocked and changes nothing, by which a tenant
// would keep a row under a certificate, or a neighbour lose one.
func TestTriggersInBatches(t *testing.T) {
	t.Parallel()
	trigger := func(when, body string) string {
		return "; create function s.f() returns trigger language plpgsql as $$ begin " + body + " end $$; create trigger trg " + when + " for each row execute function s.f()"
	}
	const p = "create table p (id int primary key, tenant_key text, v text)"
	const two = p + "; create table c (id int primary key, tenant_key text, p int, v text)"
	const child = p + "; create table c (id int primary key, tenant_key text, p int references p on delete set null, v text)"
	for name, c := range map[string]struct {
		ddl, says string
		ignore    bool
	}{
		"a soft delete":                         {ddl: p + trigger("before delete on p", "update s.p set tenant_key = 'gone:' || old.tenant_key where id = old.id; return null;"), says: "trigger trg"},
		"a soft delete that clears the key":     {ddl: p + trigger("before delete on p", "update s.p set tenant_key = null where id = old.id; return null;"), says: "trigger trg"},
		"a soft delete of some":                 {ddl: p + trigger("before delete on p", "if old.id < 100 then return old; end if; update s.p set tenant_key = 'x' where id = old.id; return null;"), says: "trigger trg"},
		"a soft delete by a rule":               {ddl: p + "; create rule r as on delete to p do instead update p set tenant_key = 'gone' where id = old.id", says: "rule r"},
		"rows that get another key meanwhile":   {ddl: p + trigger("after delete on p", "update s.p set tenant_key = 'x' where tenant_key = old.tenant_key; return null;"), says: "changed"},
		"a neighbour's rows deleted":            {ddl: two + trigger("after delete on p", "delete from s.c where v = 'v'; return null;"), says: "can't be told"},
		"a neighbour's rows deleted, ignored":   {ddl: two + trigger("after delete on p", "delete from s.c where v = 'v'; return null;"), says: "deleted", ignore: true},
		"a neighbour's rows deleted by a rule":  {ddl: two + "; create rule r as on delete to p do also delete from c where v = 'v'", says: "can't be told"},
		"a neighbour's rows changed":            {ddl: two + trigger("after delete on p", "update s.c set v = old.v; return null;"), says: "changed"},
		"a detached row that changes besides":   {ddl: child + trigger("before update on c", "new.v := 'touched'; return new;"), says: "trigger trg"},
		"a detached row that goes":              {ddl: child + trigger("after update on c", "delete from s.c where id = old.id; return null;"), says: "trg"},
		"a detached row that goes, ignored":     {ddl: child + trigger("after update on c", "delete from s.c where id = old.id; return null;"), says: "deleted", ignore: true},
		"a reference that is kept, ignored":     {ddl: child + trigger("before update on c", "return null;"), says: "trg", ignore: true},
		"a copy under another key, ignored":     {ddl: two + trigger("after delete on p", "insert into s.c values (- old.id, 'gone', null, old.v); return null;"), says: "added", ignore: true},
		"a neighbour's copy, ignored":           {ddl: two + trigger("after delete on p", "insert into s.c values (- old.id, 'birch', null, old.v); return null;"), says: "added", ignore: true},
		"a copy in a part of its own, ignored":  {ddl: two + trigger("after delete on p", "begin insert into s.c values (- old.id, 'gone', null, old.v); exception when others then null; end; return null;"), says: "added", ignore: true},
		"a copy that is renamed, ignored":       {ddl: two + trigger("after delete on p", "insert into s.c values (- old.id, old.tenant_key, null, old.v); update s.c set tenant_key = 'gone' where id = - old.id; return null;"), says: "changed", ignore: true},
		"a copy that the target renames":        {ddl: two + trigger("after delete on p", "insert into s.c values (- old.id, old.tenant_key, null, old.v); return null;") + "; create function s.g() returns trigger language plpgsql as $$ begin new.tenant_key := md5(new.tenant_key); return new; end $$; create trigger trg2 before insert on c for each row execute function s.g()", says: "added"},
		"a copy":                                {ddl: p + "; create table h (v text)" + trigger("after delete on p", "insert into s.h values (old.v); return null;"), says: "s.h, which no data class covers"},
		"a copy in a block":                     {ddl: p + "; create table h (v text)" + trigger("after delete on p", "begin insert into s.h values (old.v); exception when division_by_zero then null; end; return null;"), says: "s.h, which no data class covers"},
		"a copy into a part":                    {ddl: p + "; create table h (v text) partition by list (v); create table h1 partition of h default" + trigger("after delete on p", "insert into s.h values (old.v); return null;"), says: "which no data class covers"},
		"a copy elsewhere at the end":           {ddl: p + "; create table h (v text)" + strings.Replace(strings.Replace(trigger("after delete on p", "insert into s.h values (old.v); return null;"), "create trigger", "create constraint trigger", 1), " for each row", " deferrable initially deferred for each row", 1), says: "s.h, which no data class covers"},
		"a copy far away":                       {ddl: p + "; create schema far; create table far.h (v text)" + trigger("after delete on p", "insert into far.h values (old.v); return null;"), says: "far.h, which no data class covers"},
		"a copy by a rule":                      {ddl: p + "; create table h (v text); create rule r as on delete to p do also insert into h values (old.v)", says: "s.h, which no data class covers"},
		"a copy into what is Tenure's":          {ddl: p + trigger("after delete on p", "insert into tenure.mark select 'x', 'y', old.v; return null;"), says: "tenure.mark"},
		"neighbours' rows deleted at the end":   {ddl: two + strings.Replace(strings.Replace(trigger("after delete on p", "delete from s.c where v = 'v'; return null;"), "create trigger", "create constraint trigger", 1), " for each row", " deferrable initially deferred for each row", 1), says: "can't be told"},
		"a copy in a table of nobody's":         {ddl: two + "; create table h (v text)" + trigger("after delete on p", "insert into s.h values (old.v); return null;"), says: "which no data class covers"},
		"a copy in a table of tenants, ignored": {ddl: two + "; create table h (tenant_key text, v text)" + trigger("after delete on p", "insert into s.h values ('gone', old.v); return null;"), says: "added", ignore: true},
		"a table that is emptied, ignored":      {ddl: two + trigger("after delete on p", "truncate s.c; return null;"), says: "emptied", ignore: true},
		"a table that is made":                  {ddl: two + trigger("after delete on p", "execute 'create table if not exists s.h as select 1 as v'; return null;"), says: "can't be told"},
		"a copy at the end":                     {ddl: two + strings.Replace(trigger("after delete on p deferrable initially deferred", "insert into s.c values (- old.id, 'gone', null, old.v); return null;"), "create trigger", "create constraint trigger", 1), says: "can't be told"},
		"a large object":                        {ddl: two + trigger("after delete on p", "perform lo_from_bytea(0, old.v::bytea); return null;"), says: "can't be told"},
		"Tenure's own table":                    {ddl: two + trigger("after delete on p", "insert into tenure.tally values ('x', 'x', 'x', old.v, 1); return null;"), says: "tenure.tally", ignore: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tables, more := map[string]any{"p": "aa"}, []any{}
			if strings.Contains(c.ddl, "table c") {
				tables["c"] = "bb"
			}
			if c.ignore {
				more = append(more, "triggers", map[string]any{"p.trg": "ignore", "c.trg": "ignore"})
			}
			d, w, r := shared(t, c.ddl, tables, more...)
			fill := "insert into p select i, 'acme', 'v' from generate_series(1, 5) i; insert into p values (100, 'acme', 'v'), (101, 'birch', 'v')"
			if tables["c"] != nil {
				fill += "; insert into c select i, 'birch', i, 'v' from generate_series(1, 5) i"
			}
			postgrestest.Exec(t, w.dsn, "set search_path to s; "+fill)
			birch := func() []string {
				return slices.DeleteFunc(w.rowsOf(t), func(row string) bool { return !strings.Contains(row, "birch") })
			}
			before := birch()
			b, err := connector.Batch{Run: "r", Class: "aa", Limit: 3}, error(nil)
			for range 20 {
				var e connector.Erased
				if e, err = d.Erase(t.Context(), r, b); err != nil || e.Done {
					break
				}
				b.Cursor = e.Cursor
			}
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), c.says) {
				t.Errorf("erase: %v, want blocked by %q", err, c.says)
			}
			if diff := cmp.Diff(before, birch()); diff != "" {
				t.Errorf("the neighbour's rows changed (-before +after):\n%s", diff)
			}
		})
	}
}

// TestTriggersThatMay: what somebody answers for may write where no tenant's rows
// are, and an honest copy is no surprise, in whichever part of a transaction.
func TestTriggersThatMay(t *testing.T) {
	t.Parallel()
	trigger := func(body string) string {
		return "; create function s.f() returns trigger language plpgsql as $$ begin " + body + " end $$; create trigger trg after delete on p for each row execute function s.f()"
	}
	const two = "create table p (id int primary key, tenant_key text, v text); create table c (id int primary key, tenant_key text, p int, v text)"
	for name, c := range map[string]struct {
		ddl, left string
		ignore    bool
	}{
		"a count":            {ddl: two + "; create table n (n int); insert into n values (2)" + trigger("update s.n set n = n - 1; return null;"), ignore: true, left: "n: (0)"},
		"a queue that moves": {ddl: two + "; create table n (n int); insert into n values (1), (2)" + trigger("delete from s.n where n = old.id; insert into s.n values (9); return null;"), ignore: true, left: "n: (9) n: (9)"},
		"an honest copy":     {ddl: two + trigger("insert into s.c values (old.id, old.tenant_key, null, old.v); return null;")},
		"in a part":          {ddl: two + trigger("begin insert into s.c values (old.id, old.tenant_key, null, old.v); exception when unique_violation then null; end; return null;")},
		"a part that fails":  {ddl: two + trigger("begin insert into s.c values (old.id, old.tenant_key, null, old.v), (old.id, old.tenant_key, null, old.v); exception when unique_violation then null; end; return null;")},
		"a part of a table":  {ddl: "create table p (id int primary key, tenant_key text, v text); create table c (id int, tenant_key text, p int, v text) partition by range (id); create table c1 partition of c default" + trigger("insert into s.c values (old.id, old.tenant_key, null, old.v); return null;")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := []any{}
			if c.ignore {
				more = append(more, "triggers", map[string]any{"p.trg": "ignore"})
			}
			d, w, r := shared(t, c.ddl, map[string]any{"p": "aa", "c": "aa"}, more...)
			postgrestest.Exec(t, w.dsn, "insert into s.p values (1, 'acme', 'v'), (2, 'acme', 'v'), (3, 'birch', 'v')")
			b := connector.Batch{Run: "r", Class: "aa", Limit: 1}
			for range 20 {
				e, err := d.Erase(t.Context(), r, b)
				if err != nil {
					t.Fatal(err)
				}
				if b.Cursor = e.Cursor; e.Done {
					break
				}
			}
			if got, want := strings.Join(w.rowsOf(t), " "), strings.TrimSpace(c.left+" p: (3,birch,v)"); got != want {
				t.Errorf("rows that stay: %s, want %s", got, want)
			}
		})
	}
}

// TestTriggersOfATenantsOwn: within a tenant's schema a trigger may take rows of the
// class that goes along, and they are counted; rows of a class that stays it may not.
func TestTriggersOfATenantsOwn(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := desired("schema", "leaver", map[string]any{"tables": map[string]any{"a": "aa", "b": "aa", "c": "cc"}, "triggers": map[string]any{"a.with_c": "ignore"},
		"ddl": `create table if not exists a (n int); create table if not exists b (n int); create table if not exists c (n int);
create or replace function with_b() returns trigger language plpgsql as 'begin delete from leaver.b where n = old.n; return null; end';
create or replace function with_c() returns trigger language plpgsql as 'begin delete from leaver.c where n = old.n; return null; end';
create or replace trigger with_b after delete on a for each row execute function with_b()`})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "insert into leaver.a values (1), (2); insert into leaver.b values (1), (2), (3); insert into leaver.c values (1), (4)")
	e, err := d.Erase(t.Context(), own.Ref, connector.Batch{Run: "r", Class: "aa", Limit: 100})
	if err != nil || e.Total["leaver.a"] != 2 || e.Total["leaver.b"] != 3 {
		t.Errorf("the tally says %v, error %v; want 2 rows of a and 3 of b", e.Total, err)
	}
	postgrestest.Exec(t, w.dsn, "create trigger with_c after delete on leaver.a for each row execute function leaver.with_c(); insert into leaver.a values (4)")
	if _, err := d.Erase(t.Context(), own.Ref, connector.Batch{Run: "r", Class: "aa", Limit: 100}); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "leaver.c") {
		t.Errorf("erase: %v, want it blocked by rows of leaver.c", err)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from leaver.c"); n != 2 {
		t.Errorf("%d rows of the later class are left, want 2", n)
	}
}
