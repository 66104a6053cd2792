package sqlite

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/sqltext"
)

// TestProbeRunsOneReadOnlyStatement: a blueprint's query is no way to change a file,
// whatever stands in it.
func TestProbeRunsOneReadOnlyStatement(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	exec(t, w.shared, "create table c (id integer primary key, tenant text)")
	for _, query := range []string{
		"select 1; insert into c values (1, 'x')",
		"pragma query_only = off; insert into c values (1, 'x')",
		"pragma query_only = off",
		"pragma user_version = 5",
		"pragma writable_schema = on",
		"select 1; pragma query_only = off; insert into c values (1, 'x')",
		"commit", "begin", "end; insert into c values (1, 'x')",
		"attach 'other.db' as other", "attach ':memory:' as m; create table m.x (a)", "vacuum into 'copy.db'", "detach main",
		"select load_extension('evil')",
		"insert into c values (1, 'x')",
		"with x as (select 1) insert into c select 1, 'x' from x",
		"create table made (a)", "create temp table made (a)",
		"", ";",
	} {
		o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Params: map[string]string{"query": query, "expect": "rows"}})
		if o.Passed {
			t.Errorf("%s: %+v, %v", query, o, err)
		}
	}
	if number(t, w.shared, "select count(*) from c") != 0 || number(t, w.shared, "select count(*) from sqlite_schema where name = 'made'") != 0 || number(t, w.shared, "pragma user_version") != 0 {
		t.Error("a probe changed the file")
	}
	for _, query := range []string{"select 1;", "with x as (select 1) select * from x", "values (1)", "select ';' -- ;", "select 'attach'"} {
		o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Params: map[string]string{"query": query, "expect": "rows"}})
		if err != nil || !o.Passed {
			t.Errorf("%s: %+v, %v", query, o, err)
		}
	}
}

// TestValuesAreReadBack writes random values into SQL and lets SQLite read them: what
// comes back is what went in, whatever signs it is made of.
func TestValuesAreReadBack(t *testing.T) {
	t.Parallel()
	d := openWorld(t).opened(t, "5s")
	places := []string{"select '{}'", "values ({})", "select 'x' || {} -- '", `select name from pragma_table_info('t') /* ' */ where name = '{}'`}
	names := []string{`"{}"`, "`{}`", "[{}]"}
	signs := []string{"'", "''", `\`, `"`, ";", "--", "/*", "*/", "$", ":a", "@b", "?1", "\n", "x", "0", "-", " ", "(", ")", "[", "]", "`", "\u2019", "%", "select"}
	random := rand.New(rand.NewPCG(1, 2))
	filled := func(place, value string) (string, bool) {
		write, _ := sqltext.SQLite().Read(strings.Split(place, "{}"), []connector.ValueKind{connector.Text})
		text, bad := write([]any{value})
		return text, bad == nil
	}
	err := d.memory(t.Context(), func(s *session) error {
		for range 300 {
			value := ""
			for range random.IntN(8) {
				value += signs[random.IntN(len(signs))]
			}
			for _, place := range places[:3] {
				text, _ := filled(place, value)
				got, err := s.value(t.Context(), text)
				if err != nil || got != value && got != "x"+value {
					t.Errorf("%q in %s is %s: %q, %v", value, place, text, got, err)
				}
			}
			for _, name := range names {
				text, ok := filled("create table t ("+name+")", value)
				if !ok {
					continue // blank, a control character, or a ] in brackets
				}
				look, _ := filled(places[3], value)
				err := s.run(t.Context(), text)
				got, look2 := s.value(t.Context(), look)
				if err != nil || look2 != nil || got != value {
					t.Errorf("%q in %s is %s: %q, %v, %v", value, name, text, got, err, look2)
				}
				if err := s.run(t.Context(), "drop table if exists t"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
