package postgres

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestKeysInAnotherForm: a key that the database shows otherwise could be a
// neighbour's, who then couldn't leave. It isn't taken, taking it back works, and
// a look at it doesn't spoil the look at others.
func TestKeysInAnotherForm(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ ddl, good, bad, says string }{
		"zeros before a number":      {"create table a (t bigint)", "11", "011", `as "11"`},
		"a sign before a number":     {"create table a (t int)", "11", "+11", `as "11"`},
		"no number":                  {"create table a (t bigint)", "11", "hill", "s.a.t, whose type is bigint"},
		"too large a number":         {"create table a (t smallint)", "11", "70000", "s.a.t, whose type is smallint"},
		"a number's scale":           {"create table a (t numeric(6, 2))", "11.00", "11", `as "11.00"`},
		"capitals of a uuid":         {"create table a (t uuid)", "0a000000-0000-0000-0000-000000000001", "0A000000-0000-0000-0000-000000000001", "as \"0a000000"},
		"too long a text":            {"create table a (t varchar(4))", "acme", "acme2", `as "acme"`},
		"no value of an enum":        {"create type who as enum ('acme'); create table a (t who)", "acme", "birch", "s.a.t, whose type is s.who"},
		"no value of a domain":       {"create domain who as text check (value ~ '^[a-z]+$'); create table a (t who)", "acme", "Acme", "s.a.t, whose type is s.who"},
		"a column of another name":   {"create table a (t text); create table b (u bigint)", "11", "011", `from s.b.u as "11"`},
		"a column that it refers to": {"create domain who as bigint check (value > 0); create table b (u who unique); create table a (t bigint references b (u))", "11", "-11", "can't stand in s.b.u"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			postgrestest.Exec(t, w.dsn, "create schema s; set search_path to s; "+c.ddl)
			own := func(name, key string) connector.Desired {
				return desired("rows", name, map[string]any{"schema": "s", "column": "t", "key": key, "aliases": []any{"u"}, "tables": map[string]any{"a": "data", "b": "data"}})
			}
			good, bad := own("good", c.good), own("bad", c.bad)
			if _, _, err := d.Ensure(t.Context(), good); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, "set search_path to s; insert into a select '"+c.good+"' where not exists (select from pg_constraint where conname = 'a_t_fkey')")
			_, _, err := d.Ensure(t.Context(), bad)
			if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.says) {
				t.Errorf("ensure says %v (%s), want it to say %q", err, tenure.CodeOf(err), c.says)
			}
			found := map[string]int64{}
			_, err = d.Observe(t.Context(), []connector.Ref{good.Ref, bad.Ref}, func(o connector.Observed) error {
				if o.Found {
					found[o.Name] = o.Metrics["rows"]
				}
				return nil
			})
			if n, there := found["good"]; err != nil || !there || len(found) != 1 {
				t.Errorf("seen: %v (%d rows), error %v", found, n, err)
			}
			if rec, err := d.Delete(t.Context(), bad.Ref); err != nil || rec.Changed {
				t.Errorf("taking it back: %+v, error %v", rec, err)
			}
			if _, err := eraseAll(t, d, good.Ref, 10); err != nil {
				t.Errorf("the neighbour can't leave: %v", err)
			}
		})
	}
}
