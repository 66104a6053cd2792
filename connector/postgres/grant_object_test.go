package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestGrantsOnSequencesFunctionsAndViews: rights on sequences, functions and views are
// declared, given through a group where the schema is shared, seen when they change, no
// finding while they are as declared, and gone with the grant.
func TestGrantsOnSequencesFunctionsAndViews(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.exec(t, `create sequence granted."the Seq"; create view granted.v as select 1 as n;
create function granted."Add it"(a int, b text default '', c timestamptz[] default null) returns int language sql as 'select 1'; revoke execute on function granted."Add it" from public;
create type granted.colour as enum ('red'); create function granted.f(granted.colour, numeric) returns int language sql as 'select 1'; revoke execute on function granted.f from public`)
	role := desired("role", w.token+"user", map[string]any{"login": false})
	all := []connector.Declared{}
	declare := func(d connector.Desired) {
		t.Helper()
		ensured(t, system, d)
		normal, err := system.Normalise(d)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, connector.Declared{Resource: d.Resource, Tenant: "ten_user", Type: d.Type, Name: d.Name, State: tenure.ResourcePresent, Normal: normal})
	}
	declare(role)
	grant := func(name, kind string, privilege string, objects ...any) connector.Desired {
		return desired("grant", w.token+name, map[string]any{"role": role.Name, "schema": "granted", kind: objects, "privileges": []any{privilege}})
	}
	functions := grant("functions", "functions", "execute", "Add it(int, text, timestamptz[])", "f(granted.colour,numeric)")
	given := []connector.Desired{grant("sequences", "sequences", "usage", "the Seq"), functions, grant("views", "tables", "select", "v")}
	for _, g := range given {
		declare(g)
		if _, rec, _, err := system.Ensure(t.Context(), g); err != nil || rec.Changed {
			t.Errorf("%s again: changed %t, error %v", g.Name, rec.Changed, err)
		}
	}
	may := func(sql string) bool { return w.try(t, role.Name, sql) == nil }
	uses := []string{`select nextval('granted."the Seq"')`, `select granted."Add it"(1)`, `select granted.f('red', 1)`, "select from granted.v"}
	for _, sql := range uses {
		if !may(sql) {
			t.Errorf("the role can't %s", sql)
		}
	}
	w.hand(t, func(c *pgx.Conn) error {
		direct := strs(t, c, `select 'class ' || relname from pg_class, aclexplode(relacl) x where x.grantee = to_regrole($1) union all select 'function ' || proname from pg_proc, aclexplode(proacl) x where x.grantee = to_regrole($1)`, quote(role.Name))
		if len(direct) > 0 {
			t.Errorf("the role has rights itself on %v", direct)
		}
		return nil
	})
	ways := func() (says []string) {
		t.Helper()
		if _, err := system.Reach(t.Context(), all, func(way connector.Way) error {
			if strings.Contains(way.Says, w.token) || strings.Contains(way.Says, groupPrefix) {
				says = append(says, way.Says)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return says
	}
	if got := ways(); len(got) > 0 {
		t.Errorf("all is as declared, and still: %q", got)
	}
	w.exec(t, `grant update on sequence granted."the Seq" to %s; create function granted.more() returns int language sql as 'select 1'; grant execute on function granted.more to %[1]s`, quote(role.Name))
	if got := ways(); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "function granted.more()") }) {
		t.Errorf("a right on a function that nothing declares: %q", got)
	}
	w.exec(t, `revoke update on sequence granted."the Seq" from %s; revoke execute on function granted.more from %[1]s; revoke execute on function granted.f from %s`, quote(role.Name), quote(groupOf(string(w.driver(t, w.proxy.DSN).marker.Installation), w.driver(t, w.proxy.DSN).config.Database, w.specOf(t, functions))))
	seen, _, err := system.Observe(t.Context(), []connector.Ref{functions.Ref})
	if err != nil || !strings.Contains(string(seen[0].Attributes), `"missing":["f(granted.colour,numeric) execute"]`) {
		t.Errorf("a right that was taken back is seen as %s, error %v", seen[0].Attributes, err)
	}
	ensured(t, system, functions)
	for _, g := range given {
		if _, verdict, err := system.Delete(t.Context(), g.Ref); err != nil || verdict != tenure.Verified {
			t.Errorf("delete %s: %q, error %v", g.Name, verdict, err)
		}
	}
	for _, sql := range uses {
		if may(sql) {
			t.Errorf("after the grants went, the role can still %s", sql)
		}
	}
}

func (w *world) specOf(t *testing.T, d connector.Desired) grantSpec {
	t.Helper()
	g, err := grants{w.driver(t, w.proxy.DSN)}.parse(d.Ref)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestFunctionsAreNamedWithTheirTypes: what isn't a function with the types of its
// arguments can't become a statement.
func TestFunctionsAreNamedWithTheirTypes(t *testing.T) {
	t.Parallel()
	r := connector.Ref{Type: "grant", Name: "g"}
	for _, text := range []string{"f", "f(", "f)(", `f(int) to public; --`, `f(int); drop table x`, `f("a)`, `f(a"b)`, "f(int)()", "(int)", "f('x')", "f(a-b)", "f(int\x00)", "", "f(int) " + "x"} {
		if got, err := signature(r, text); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q is taken as %q, error %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"f()": "f()", " f ( int , text ) ": "f(integer,text)", `odd "name"(app."the Type"[], varchar)`: `odd "name"(app."the Type"[],character varying)`} {
		if got, err := signature(r, text); err != nil || got != want {
			t.Errorf("%q is %q, error %v, and should be %q", text, got, err, want)
		}
	}
}
