package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestTrialSpeaksForOthers: an erasure is tried on copies of one tenant's tables for
// all whose tables are the same. A tenant whose tables aren't, or that stands where a
// trial would fail by now, isn't spoken for.
func TestTrialSpeaksForOthers(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema common; create domain common.code as text; create table common.plan (id bigint primary key)")
	look := func(name, ddl string) connector.Map {
		t.Helper()
		want := desired("schema", name, map[string]any{"tables": map[string]any{"*": "trade"}, "ddl": ddl})
		if _, _, err := d.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: want.Ref, Prove: true})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	const parent, child = "create table if not exists customer (id bigint primary key, name text);", "create table if not exists sale (id bigint primary key, customer bigint references customer (id));"
	same := parent + child
	for _, c := range []struct {
		why, ddl string
		trials   int // that are remembered afterwards
	}{
		{"the first", same, 1},
		{"the same tables", same, 1},
		{"another column's type", strings.Replace(same, "name text", "name bytea", 1), 2},
		{"another rule of a key", strings.Replace(same, "(id));", "(id) on delete cascade);", 1), 3},
		{"another table's name", strings.ReplaceAll(same, "sale", "deal"), 4},
		{"a type that somebody made", strings.Replace(same, "name text", "name common.code", 1), 4},
		{"a table outside", parent + "create table if not exists sale (id bigint primary key, plan bigint references common.plan (id))", 4},
		{"partitions", parent + "create table if not exists sale (id bigint) partition by hash (id); create table if not exists sale_0 partition of sale for values with (modulus 1, remainder 0)", 4},
	} {
		if m := look(fmt.Sprintf("store_%x", c.why), c.ddl); m.Partial != "" {
			t.Errorf("%s: %s", c.why, m.Partial)
		}
		if n := len(d.proven.when); n != c.trials {
			t.Errorf("%s: %d trials are remembered, want %d", c.why, n, c.trials)
		}
	}
	want := desired("schema", "late", map[string]any{"tables": map[string]any{"*": "trade"}, "ddl": same})
	if _, _, err := d.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "create function common.no() returns event_trigger language plpgsql as $$ begin raise 'no ddl here'; end $$; create event trigger no on ddl_command_start when tag in ('CREATE SCHEMA') execute function common.no()")
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: want.Ref, Prove: true})
	if got := blocking(m); err != nil || !slices.Contains(got, "order order") {
		t.Errorf("under an event trigger: blocked by %q, error %v", got, err)
	}
}
