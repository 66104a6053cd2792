package postgres

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// siloOf is a schema of the tenant's own whose key is known.
func siloOf(more map[string]any) connector.Desired {
	attributes := map[string]any{"ddl": "create table if not exists orders (id int primary key)", "tables": map[string]any{"*": "trade"}, "key": "acme", "column": "tenant_key"}
	maps.Copy(attributes, more)
	d := desired("schema", "silo", attributes)
	d.Tenant = "ten_acme"
	return d
}

// TestRowsBesideAWholeStore: what has the tenant's key in another schema is found
// from its own schema too, else it would stay under a certificate.
func TestRowsBesideAWholeStore(t *testing.T) {
	t.Parallel()
	const notes = "create table extra.notes (tenant_key text, body text); insert into extra.notes values ('acme', 'a'), ('birch', 'b');"
	tables := func(more map[string]any) map[string]any {
		out := map[string]any{"*": "trade"}
		maps.Copy(out, more)
		return map[string]any{"tables": out}
	}
	with := func(m map[string]any, key string, v any) map[string]any { m[key] = v; return m }
	history := `create table platform.history (id int, body jsonb); insert into platform.history values (1, '{"tenant_key": "acme"}'), (2, '{"tenant_key": "birch"}');`
	for what, c := range map[string]struct {
		sql   string
		more  map[string]any
		finds []string
	}{
		"nothing":                     {},
		"no key":                      {sql: notes, more: map[string]any{"key": "", "column": ""}},
		"the column":                  {sql: notes, finds: []string{"table extra.notes"}},
		"an alias":                    {sql: "create table extra.notes (org text)", more: map[string]any{"aliases": []any{"org"}}, finds: []string{"table extra.notes"}},
		"an alias and no column":      {sql: "create table extra.notes (org text)", more: map[string]any{"aliases": []any{"org"}, "column": ""}, finds: []string{"table extra.notes"}},
		"the value":                   {sql: "create table extra.notes (who text); insert into extra.notes values ('Acme ')", finds: []string{"table extra.notes"}},
		"the value, no column":        {sql: "create table extra.notes (who text); insert into extra.notes values ('acme')", more: map[string]any{"column": ""}, finds: []string{"table extra.notes"}},
		"the platform's history":      {sql: history, finds: []string{"table platform.history"}},
		"covered":                     {sql: notes, more: tables(map[string]any{"extra.notes": "trade"})},
		"covered, in a document":      {sql: history, more: with(tables(map[string]any{"platform.history": "trade"}), "columns", map[string]any{"platform.history": "body->>tenant_key"})},
		"called otherwise":            {sql: notes, more: map[string]any{"columns": map[string]any{"extra.notes": ""}}},
		"shared":                      {sql: notes, more: map[string]any{"shared": []any{"extra.notes"}}},
		"a child of a covered table":  {sql: notes + "alter table extra.notes add id int unique; create table extra.lines (note int not null references extra.notes (id))", more: tables(map[string]any{"extra.notes": "trade"}), finds: []string{"table extra.lines"}},
		"a parent of a covered table": {sql: notes + "create table extra.places (id int primary key); alter table extra.notes add at int references extra.places", more: tables(map[string]any{"extra.notes": "trade"}), finds: []string{"table extra.places"}},
		"keys written alike":          {sql: notes + "insert into extra.notes values ('ACME')", more: tables(map[string]any{"extra.notes": "trade"}), finds: []string{"key extra.notes.tenant_key"}},
		"another key column":          {sql: notes + "alter table extra.notes add who text; insert into extra.notes values (null, '', 'acme')", more: tables(map[string]any{"extra.notes": "trade"}), finds: []string{"key extra.notes.who"}},
		"a trigger of a covered":      {sql: notes + "create table extra.log (doc jsonb); create function extra.f() returns trigger language plpgsql as 'begin insert into extra.log values (to_jsonb(old)); return null; end'; create trigger noted after delete on extra.notes for each row execute function extra.f()", more: tables(map[string]any{"extra.notes": "trade"}), finds: []string{"code extra.notes.noted"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			own := siloOf(c.more)
			if own.Attributes["key"] == "" {
				delete(own.Attributes, "key")
			}
			if own.Attributes["column"] == "" {
				delete(own.Attributes, "column")
			}
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, "create schema extra; create schema platform;"+c.sql)
			m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Search: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if got := blocking(m); !slices.Equal(got, c.finds) {
				t.Errorf("what blocks: %q, want %q\n%+v", got, c.finds, m.Places)
			}
			for _, p := range m.Places {
				if p.Blocks && (p.Says == "" || p.Fix == "") {
					t.Errorf("%s %s blocks without a word on why, or on what to do: %q, %q", p.Kind, p.Name, p.Says, p.Fix)
				}
			}
		})
	}
}

// TestErasureBesideAWholeStore: rows elsewhere go by the tenant's key and by nothing
// else, in quarantine too, and the drop doesn't go by while some are left.
func TestErasureBesideAWholeStore(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := siloOf(map[string]any{
		"tables":  map[string]any{"*": "trade", "extra.notes": "trade", "extra.lines": "trade", "extra.places": "trade", "platform.history": "log"},
		"columns": map[string]any{"platform.history": "body->>tenant_key"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, `insert into silo.orders values (1), (2); create schema extra; create schema platform;
create table extra.places (id int primary key); create table extra.notes (id int primary key, tenant_key text, at int references extra.places); create table extra.lines (note int not null references extra.notes, body text);
insert into extra.places values (1), (2), (3); insert into extra.notes values (1, 'acme', 1), (2, 'birch', 2), (3, 'acme', 2), (4, null, 3); insert into extra.lines values (1, 'a'), (1, 'a'), (2, 'b');
create table platform.history (id int, body jsonb); insert into platform.history values (1, '{"tenant_key": "acme"}'), (2, '{"tenant_key": "birch"}'), (3, '{}');
create table platform.usage (tenant_key text, n int); insert into platform.usage values ('acme', 1)`)
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: []string{"log", "trade"}, Prove: true})
	if got := blocking(m); err != nil || !slices.Equal(got, []string{"table platform.usage"}) {
		t.Fatalf("what blocks: %q, error %v", got, err)
	}
	beside := desired("rows", "usage", map[string]any{"schema": "platform", "column": "tenant_key", "key": "acme", "tables": map[string]any{"usage": "log"}})
	m, err = d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: []string{"log", "trade"}, Prove: true, Search: time.Second, Beside: []connector.Ref{beside.Ref}})
	if got := blocking(m); err != nil || len(got) > 0 {
		t.Fatalf("with the rows' own resource there blocks: %q, error %v", got, err)
	}
	if _, err := d.Quarantine(t.Context(), own.Ref); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Delete(t.Context(), own.Ref); tenure.CodeOf(err) != tenure.Conflict || !strings.Contains(err.Error(), "left") {
		t.Errorf("the schema was dropped over rows elsewhere: %v", err)
	}
	took := map[string]int64{}
	for _, class := range []string{"log", "trade"} {
		e, err := d.Erase(t.Context(), own.Ref, connector.Batch{Run: class, Class: class, Limit: 100})
		if err != nil || !e.Done {
			t.Fatalf("the erasure of %s gives %+v, error %v", class, e, err)
		}
		maps.Copy(took, e.Total)
	}
	want := map[string]int64{"silo.orders": 2, "extra.notes": 2, "extra.lines": 2, "extra.places": 1, "platform.history": 1}
	if diff := cmp.Diff(want, took); diff != "" {
		t.Errorf("what went (-want +got):\n%s", diff)
	}
	left := postgrestest.Value[string](t, w.dsn, `select concat_ws(' ', (select string_agg(id::text, ',' order by id) from extra.notes), (select count(*) from extra.lines),
 (select string_agg(id::text, ',' order by id) from extra.places), (select string_agg(id::text, ',' order by id) from platform.history), (select count(*) from platform.usage))`)
	if left != "2,4 1 2,3 2,3 1" {
		t.Errorf("neighbours' rows are %q", left)
	}
	if _, err := d.Delete(t.Context(), own.Ref); err != nil {
		t.Error(err)
	}
}

// TestKeyOfAWholeStore: a key that a covered table's column can't hold, or writes in
// another way, is refused when the store is made, not when it is erased.
func TestKeyOfAWholeStore(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema extra; create table extra.notes (tenant_key int)")
	for key, code := range map[string]tenure.Code{"acme": tenure.Invalid, "007": tenure.Invalid, "7": ""} {
		own := siloOf(map[string]any{"key": key, "tables": map[string]any{"*": "trade", "extra.notes": "trade"}})
		own.Name += key
		if _, _, err := d.Ensure(t.Context(), own); tenure.CodeOf(err) != code {
			t.Errorf("key %q gives %v, want %q", key, err, code)
		}
	}
	cover := map[string]any{"tables": map[string]any{"*": "trade", "extra.folk": "trade"}}
	postgrestest.Exec(t, w.dsn, "create extension citext with schema extra; create table extra.folk (tenant_key extra.citext)")
	neighbour := siloOf(cover)
	neighbour.Name, neighbour.Tenant = "neighbour", "ten_birch"
	if _, _, err := d.Ensure(t.Context(), neighbour); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"acme", "Acme"} {
		late := siloOf(cover)
		late.Name, late.Attributes["key"] = "late", key
		if _, _, err := d.Ensure(t.Context(), late); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("the key %q beside another tenant's acme gives %v", key, err)
		}
	}
	own := siloOf(nil)
	delete(own.Attributes, "key")
	if _, err := d.Normalise(own); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a column without a key gives %v", err)
	}
}

// TestRowsBesideADatabase: a database of the tenant's own has no other schemas, but
// the platform's tables may have its key all the same. A resource of type rows
// erases those.
func TestRowsBesideADatabase(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := desired("database", w.token+"acme", map[string]any{"tables": map[string]any{"*": "trade"}, "key": "acme", "column": "tenant_key"})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, `create schema platform; create table platform.usage (tenant_key text); create table platform.history (body jsonb); insert into platform.history values ('{"tenant": "acme"}')`)
	v := connector.Survey{Ref: own.Ref, Search: 10 * time.Second}
	m, err := d.DataMap(t.Context(), v)
	if got, want := blocking(m), []string{"table platform.history of the platform's database", "table platform.usage of the platform's database"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("what blocks: %q, want %q, error %v", got, want, err)
	}
	for _, p := range m.Places {
		if p.Blocks && !strings.Contains(p.Fix, "type rows") {
			t.Errorf("%s is to be mended by %q", p.Name, p.Fix)
		}
	}
	rows := desired("rows", "acme", map[string]any{"schema": "platform", "column": "tenant_key", "key": "acme", "tables": map[string]any{"usage": "trade", "history": "trade"}})
	v.Beside = []connector.Ref{rows.Ref}
	if m, err = d.DataMap(t.Context(), v); err != nil || len(blocking(m)) > 0 {
		t.Errorf("what blocks beside a resource that covers them: %q, error %v", blocking(m), err)
	}
}

// TestPublishWithoutAKey: whoever publishes a store whose neighbours can't be
// searched is told, and isn't stopped.
func TestPublishWithoutAKey(t *testing.T) {
	t.Parallel()
	d, _, _ := opened(t)
	for _, typ := range []string{"schema", "database"} {
		for _, attributes := range []map[string]any{{"tables": map[string]any{"*": "trade"}}, {"tables": map[string]any{"*": "trade"}, "key": "acme"}} {
			m, err := d.DataMap(t.Context(), connector.Survey{Ref: connector.Ref{Type: typ, Name: "tobe", Attributes: attributes}, Search: time.Second})
			told := slices.ContainsFunc(m.Places, func(p connector.Place) bool { return strings.Contains(p.Says, "no key") && p.Fix != "" })
			if _, keyed := attributes["key"]; err != nil || told == keyed || len(blocking(m)) > 0 {
				t.Errorf("%s with %v: told %v, blocks %q, error %v", typ, attributes, told, blocking(m), err)
			}
		}
	}
}

// TestCoveredTwice: a table that two of a tenant's resources cover would be counted,
// and certified, for both; it is refused when it is published and when it is planned.
func TestCoveredTwice(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants+"create table extra.notes (tenant_key text); create table extra.other (tenant_key text)")
	own := rowsOf(map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "extra.notes": "trade"}})
	mark(t, d, w, own)
	beside := func(typ, name string, attributes map[string]any) connector.Ref {
		attributes["column"] = "tenant_key"
		return desired(typ, name, attributes).Ref
	}
	for what, c := range map[string]struct {
		beside connector.Ref
		finds  []string
	}{
		"in its own schema":         {beside("rows", "more", map[string]any{"schema": "extra", "key": "acme", "tables": map[string]any{"notes": "log", "other": "log"}}), []string{"table extra.notes"}},
		"from another":              {beside("rows", "more", map[string]any{"schema": "platform", "key": "acme", "tables": map[string]any{"extra.notes": "log", "extra.other": "log", "m.lines": "log"}}), []string{"table extra.notes", "table m.lines"}},
		"from a schema of its own":  {beside("schema", "silo", map[string]any{"key": "acme", "tables": map[string]any{"*": "log", "extra.notes": "log", "extra.other": "log"}}), []string{"table extra.notes"}},
		"with another key":          {beside("rows", "test", map[string]any{"schema": "extra", "key": "acme-test", "tables": map[string]any{"notes": "log"}}), []string{"table extra.other"}},
		"in a database of its own":  {beside("database", "own", map[string]any{"key": "acme", "tables": map[string]any{"extra.notes": "log"}}), []string{"table extra.other"}},
		"a table that nobody names": {beside("rows", "more", map[string]any{"schema": "extra", "key": "acme", "tables": map[string]any{"other": "log"}}), nil},
	} {
		for _, id := range []tenure.ResourceID{own.Resource, ""} {
			r := own.Ref
			r.Resource = id
			m, err := d.DataMap(t.Context(), connector.Survey{Ref: r, Beside: []connector.Ref{c.beside}})
			if got := blocking(m); err != nil || !slices.Equal(got, c.finds) {
				t.Errorf("%s, resource %q: what blocks: %q, want %q, error %v", what, id, got, c.finds, err)
			}
			for _, p := range m.Places {
				if p.Blocks && p.Class != "" && (!strings.Contains(p.Says, c.beside.Name) || p.Fix == "") {
					t.Errorf("%s: %s says %q", what, p.Name, p.Says)
				}
			}
		}
	}
}
