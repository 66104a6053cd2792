package postgres

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/sqltext"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestProbeRunsOneReadOnlyStatement: a blueprint's query is no way to change a system,
// whatever stands in it.
func TestProbeRunsOneReadOnlyStatement(t *testing.T) {
	t.Parallel()
	d, w, _ := shared(t, "create table c (id int primary key, tenant_key text); create procedure ends() language plpgsql as 'begin commit; create table s.made (); end'", map[string]any{"c": "data"})
	role := "evil_" + postgrestest.Token()
	for _, query := range []string{
		"select 1; commit; create role ROLE",
		"select 1; select 2",
		"commit",
		"/* ; */ commit -- ;",
		"rollback; create role ROLE",
		"end; create role ROLE; begin",
		"abort",
		"savepoint a",
		"begin",
		"set transaction read write",
		"set session characteristics as transaction read write",
		"prepare transaction 'x'",
		"do $$ begin commit; create role ROLE; end $$",
		"do 'begin create role ROLE; end'",
		"call s.ends()",
		"copy (select 1) to program 'touch /tmp/ROLE'",
		"copy s.c from program 'echo 1'",
		"create role ROLE",
		"create table s.made ()",
		"insert into s.c values (1, 'x')",
		"with x as (insert into s.c values (1, 'x') returning id) select * from x",
		"explain analyze insert into s.c values (1, 'x')",
		"select * into s.made from s.c",
		"select nextval('s.n')",
		"select set_config('transaction_read_only', 'off', true); create role ROLE",
		"alter system set work_mem = '5MB'",
		"prepare x as select 1",
		"listen x",
		"",
		" ; ",
	} {
		query = strings.ReplaceAll(query, "ROLE", role)
		o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Params: map[string]string{"query": query, "expect": "rows"}})
		if o.Passed || err == nil && !strings.Contains(o.Detail, "refused") {
			t.Errorf("%s: %+v, %v", query, o, err)
		}
	}
	for what, made := range map[string]string{
		"a role":  "select exists (select from pg_roles where rolname = " + literal(role) + ")",
		"a table": "select to_regclass('s.made') is not null",
		"a row":   "select exists (select from s.c)",
	} {
		if postgrestest.Value[bool](t, w.dsn, made) {
			t.Errorf("a probe made %s", what)
		}
	}
	for _, query := range []string{"select 1;", "(select 1) union (select 2)", "with x as (select 1) select * from x", "values (1)", "select ';' -- ;", "select $$;$$", "show work_mem"} {
		o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Params: map[string]string{"query": query, "expect": "rows"}})
		if err != nil || !o.Passed {
			t.Errorf("%s: %+v, %v", query, o, err)
		}
	}
}

// TestReadOnlyIsTheServers: what the words of a query don't give away, the protocol
// and the transaction do.
func TestReadOnlyIsTheServers(t *testing.T) {
	t.Parallel()
	d, _, _ := shared(t, "create table c (id int primary key, tenant_key text)", map[string]any{"c": "data"})
	for _, query := range []string{"commit", "rollback", "select 1; commit; select 2", "commit and chain", "rollback and chain"} {
		err := d.with(t.Context(), func(s *session) error {
			defer closeNow(s.conn)
			var rows int
			var first string
			return s.readOnly(t.Context(), query, &rows, &first)
		})
		if tenure.CodeOf(err) == "" {
			t.Errorf("%s was run", query)
		}
	}
}

// TestValuesAreReadBack writes random values into SQL and lets the server read them:
// what comes back is what went in, whatever signs it is made of.
func TestValuesAreReadBack(t *testing.T) {
	t.Parallel()
	d, _, _ := shared(t, "create table c (id int primary key, tenant_key text)", map[string]any{"c": "data"})
	places := []string{"select '{}'", "select E'{}'", "select e'\\t{}\\n'", "select N'{}'", "values ({})", "select array_to_string(array[{}], '')", "select text '{}'", "select 'a{}' 'b'", "select 'x' || {} -- '", `select 1 as "{}"`, "/* ' */ select $$'$$ || '{}'"}
	signs := []string{"'", "''", `\`, `"`, ";", "--", "/*", "*/", "$", "$$", "$a$", "\n", "\r", "\t", "x", "E", "U&", "0", "-", " ", "(", ")", "]", "`", "\u2019", "\u02bc", "\uff07", "\U0001f600", "%", "{", "}", "select"}
	random := rand.New(rand.NewPCG(1, 2))
	err := d.with(t.Context(), func(s *session) error {
		for range 400 {
			value := ""
			for range random.IntN(8) {
				value += signs[random.IntN(len(signs))]
			}
			for _, place := range places {
				write, _ := sqltext.PostgreSQL().Read(strings.Split(place, "{}"), []connector.ValueKind{connector.Text})
				text, bad := write([]any{value})
				if bad != nil {
					continue // a name that is blank or has a control character
				}
				got, results := "", 0
				err := s.each(t.Context(), text, func(n int, r *pgconn.ResultReader) error {
					results, got = n, string(r.Values()[0])
					if strings.HasPrefix(place, "select 1 as") {
						got = r.FieldDescriptions()[0].Name
					}
					return nil
				})
				if place == "select 'a{}' 'b'" {
					if state(err) != "42601" {
						t.Errorf("%q in %s is %s: %v", value, place, text, err)
					}
					continue
				}
				if err != nil || results != 0 || !strings.Contains(got, value) && len(value) < 63 {
					t.Errorf("%q in %s is %s: %q, %v", value, place, text, got, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
