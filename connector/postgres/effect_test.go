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
		"a soft delete":                        {ddl: p + trigger("before delete on p", "update s.p set tenant_key = 'gone:' || old.tenant_key where id = old.id; return null;"), says: "trigger trg"},
		"a soft delete that clears the key":    {ddl: p + trigger("before delete on p", "update s.p set tenant_key = null where id = old.id; return null;"), says: "trigger trg"},
		"a soft delete of some":                {ddl: p + trigger("before delete on p", "if old.id < 100 then return old; end if; update s.p set tenant_key = 'x' where id = old.id; return null;"), says: "trigger trg"},
		"a soft delete by a rule":              {ddl: p + "; create rule r as on delete to p do instead update p set tenant_key = 'gone' where id = old.id", says: "rule r"},
		"rows that get another key meanwhile":  {ddl: p + trigger("after delete on p", "update s.p set tenant_key = 'x' where tenant_key = old.tenant_key; return null;"), says: "changed"},
		"a neighbour's rows deleted":           {ddl: two + trigger("after delete on p", "delete from s.c where v = 'v'; return null;"), says: "deleted"},
		"a neighbour's rows deleted, ignored":  {ddl: two + trigger("after delete on p", "delete from s.c where v = 'v'; return null;"), says: "deleted", ignore: true},
		"a neighbour's rows deleted by a rule": {ddl: two + "; create rule r as on delete to p do also delete from c where v = 'v'", says: "deleted"},
		"a neighbour's rows changed":           {ddl: two + trigger("after delete on p", "update s.c set v = old.v; return null;"), says: "changed"},
		"a detached row that changes besides":  {ddl: child + trigger("before update on c", "new.v := 'touched'; return new;"), says: "trigger trg"},
		"a detached row that goes":             {ddl: child + trigger("after update on c", "delete from s.c where id = old.id; return null;"), says: "trg"},
		"a detached row that goes, ignored":    {ddl: child + trigger("after update on c", "delete from s.c where id = old.id; return null;"), says: "deleted", ignore: true},
		"a copy":                               {ddl: p + "; create table h (v text)" + trigger("after delete on p", "insert into s.h values (old.v); return null;"), says: "s.h, which no data class covers"},
		"a copy in a block":                    {ddl: p + "; create table h (v text)" + trigger("after delete on p", "begin insert into s.h values (old.v); exception when division_by_zero then null; end; return null;"), says: "s.h, which no data class covers"},
		"a copy into a part":                   {ddl: p + "; create table h (v text) partition by list (v); create table h1 partition of h default" + trigger("after delete on p", "insert into s.h values (old.v); return null;"), says: "which no data class covers"},
		"a copy at the end":                    {ddl: p + "; create table h (v text)" + strings.Replace(strings.Replace(trigger("after delete on p", "insert into s.h values (old.v); return null;"), "create trigger", "create constraint trigger", 1), " for each row", " deferrable initially deferred for each row", 1), says: "s.h, which no data class covers"},
		"a copy far away":                      {ddl: p + "; create schema far; create table far.h (v text)" + trigger("after delete on p", "insert into far.h values (old.v); return null;"), says: "far.h, which no data class covers"},
		"a copy by a rule":                     {ddl: p + "; create table h (v text); create rule r as on delete to p do also insert into h values (old.v)", says: "s.h, which no data class covers"},
		"a copy into what is Tenure's":         {ddl: p + trigger("after delete on p", "insert into tenure.mark select 'x', 'y', old.v; return null;"), says: "tenure.mark"},
		"neighbours' rows deleted at the end":  {ddl: two + strings.Replace(strings.Replace(trigger("after delete on p", "delete from s.c where v = 'v'; return null;"), "create trigger", "create constraint trigger", 1), " for each row", " deferrable initially deferred for each row", 1), says: "deleted"},
		"a reference that is kept, ignored":    {ddl: child + trigger("before update on c", "return null;"), says: "trg", ignore: true},
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
