package postgres

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// twoTenants is the ground of the map's tests: two tables that tenants share.
const twoTenants = `create schema m; create table m.orders (id int primary key, tenant_key text, note text);
create table m.lines (id int primary key, order_id int not null references m.orders, tenant_key text);
insert into m.orders values (1, 'acme', 'hat'), (2, 'birch', 'shoe'); insert into m.lines values (1, 1, 'acme'), (2, 2, 'birch');
create schema platform; create schema extra;`

func rowsOf(more map[string]any) connector.Desired {
	attributes := map[string]any{"schema": "m", "column": "tenant_key", "key": "acme", "tables": map[string]any{"orders": "trade", "lines": "trade"}}
	maps.Copy(attributes, more)
	d := desired("rows", "acme", attributes)
	d.Tenant = "ten_acme"
	return d
}

// mark lets the rows that are there already be the tenant's.
func mark(t *testing.T, d *Driver, w *world, own connector.Desired) {
	t.Helper()
	sql := ""
	for _, table := range []string{"m.lines", "m.orders"} {
		sql += fmt.Sprintf("create table kept.%[2]s as select * from %[1]s where tenant_key = 'acme'; delete from %[1]s where tenant_key = 'acme';", table, table[2:])
	}
	postgrestest.Exec(t, w.dsn, "create schema kept;"+sql)
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "insert into m.orders select * from kept.orders; insert into m.lines select * from kept.lines; drop schema kept cascade")
}

// blocking are the places that block, as "kind name".
func blocking(m connector.Map) (out []string) {
	for _, p := range m.Places {
		if p.Blocks {
			out = append(out, string(p.Kind)+" "+p.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestMapFinds: each is a place where the tenant's data is, or goes, and that no
// blueprint names. Were one not found, it would stay under a certificate.
func TestMapFinds(t *testing.T) {
	t.Parallel()
	const into = "create function platform.note() returns trigger language plpgsql as 'begin BODY; return null; end'; create table platform.history (doc jsonb);"
	const writes = "insert into platform.history values (to_jsonb(old))"
	after := "create trigger noted after delete on m.orders for each row execute function platform.note()"
	const notes = "create table m.notes (line_id int not null references m.lines, body text);"
	const ofNotes = "create trigger noted after delete on m.notes for each row execute function platform.note()"
	history := map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "notes": "trade", "platform.history": "trade"}, "columns": map[string]any{"platform.history": "doc->>tenant_key"}}
	with := func(m map[string]any, key string, v any) map[string]any {
		out := maps.Clone(m)
		out[key] = v
		return out
	}
	for what, c := range map[string]struct {
		sql   string
		more  map[string]any // attributes
		finds []string
	}{
		"nothing":                                                  {},
		"another schema":                                           {sql: "create table extra.notes (tenant_key text, body text)", finds: []string{"table extra.notes"}},
		"another schema, covered":                                  {sql: "create table extra.notes (tenant_key text, body text)", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "extra.notes": "trade"}}},
		"another schema, no tenant":                                {sql: "create table extra.notes (tenant_key text, body text)", more: map[string]any{"columns": map[string]any{"extra.notes": ""}}},
		"another schema, partitioned":                              {sql: "create table extra.notes (tenant_key text) partition by list (tenant_key); create table extra.notes_a partition of extra.notes for values in ('acme')", finds: []string{"table extra.notes"}},
		"an alias":                                                 {sql: "create table extra.notes (org text)", more: map[string]any{"aliases": []any{"org"}}, finds: []string{"table extra.notes"}},
		"by value":                                                 {sql: "create table extra.notes (who varchar(20)); insert into extra.notes values ('acme')", finds: []string{"table extra.notes"}},
		"by value, another's":                                      {sql: "create table extra.notes (who text); insert into extra.notes values ('acme-corp'), ('birch')"},
		"by value, in json":                                        {sql: `create table extra.notes (doc json); insert into extra.notes values ('{"tenant_key": "acme"}'), ('[1]'), ('"acme"')`, finds: []string{"table extra.notes"}},
		"by value, in jsonb":                                       {sql: `create table extra.notes (doc jsonb); insert into extra.notes values ('{"tenant_key": "acme"}')`, finds: []string{"table extra.notes"}},
		"by value, in text of json":                                {sql: `create table extra.notes (doc text); insert into extra.notes values ('{"a": 1, "tenant_key": "acme"}')`, finds: []string{"table extra.notes"}},
		"by value, in hstore":                                      {sql: `create extension hstore with schema extra; create table extra.notes (doc extra.hstore); insert into extra.notes values ('tenant_key=>acme')`, finds: []string{"table extra.notes"}},
		"by value, in a domain":                                    {sql: "create domain extra.slug as text; create table extra.notes (who extra.slug); create index on extra.notes (who); insert into extra.notes values ('acme')", finds: []string{"table extra.notes"}},
		"by value beside what can't":                               {sql: `create table extra.bad (doc json); insert into extra.bad values ('{"tenant_key": "\u0000"}'); create table extra.notes (who text); insert into extra.notes values ('acme')`, finds: []string{"table extra.notes"}},
		"by value, in an array":                                    {sql: `create table extra.notes (who text[]); insert into extra.notes values ('{birch,Acme}')`, finds: []string{"table extra.notes"}},
		"by value, in an array of enums":                           {sql: `create type extra.who as enum ('acme', 'birch'); create table extra.notes (who extra.who[]); insert into extra.notes values ('{birch,acme}')`, finds: []string{"table extra.notes"}},
		"by value, in an enum":                                     {sql: `create type extra.who as enum ('acme', 'birch'); create table extra.notes (who extra.who); insert into extra.notes values ('acme')`, finds: []string{"table extra.notes"}},
		"by value, deep in jsonb":                                  {sql: `create table extra.notes (doc jsonb); insert into extra.notes values ('{"a": [{"b": ["x", "ACME "]}]}')`, finds: []string{"table extra.notes"}},
		"by value, a name in jsonb":                                {sql: `create table extra.notes (doc jsonb); insert into extra.notes values ('{"a": {"acme": 1}}')`, finds: []string{"table extra.notes"}},
		"by value, deep in json":                                   {sql: `create table extra.notes (doc json); insert into extra.notes values ('{"a": [{"b": ["x", "acme"]}]}')`, finds: []string{"table extra.notes"}},
		"by value, in letters and blanks":                          {sql: `create table extra.notes (who text); insert into extra.notes values (' ACME ')`, finds: []string{"table extra.notes"}},
		"by value, in bytes":                                       {sql: `create table extra.notes (who bytea); insert into extra.notes values ('acme')`, finds: []string{"table extra.notes"}},
		"by value, in a domain of a domain":                        {sql: "create domain extra.slug as text; create domain extra.short as extra.slug; create table extra.notes (who extra.short); insert into extra.notes values ('acme')", finds: []string{"table extra.notes"}},
		"by value, in citext":                                      {sql: "create extension citext with schema extra; create table extra.notes (who extra.citext); insert into extra.notes values ('Acme')", finds: []string{"table extra.notes"}},
		"by value, in more than the key":                           {sql: `create table extra.notes (a text[], b jsonb, c text); insert into extra.notes values ('{acme-corp,birch}', '{"a": ["acmes", {"x": "my acme"}]}', '["acme-corp"]')`},
		"by value, in a covered table":                             {sql: "alter table m.orders add who text; insert into m.orders values (7, null, '', 'acme'), (8, 'birch', '', 'acme')", finds: []string{"key m.orders.who"}},
		"by value, another's, in a covered":                        {sql: "alter table m.orders add who text; insert into m.orders values (8, 'birch', '', 'acme')"},
		"by value, in a claimed table":                             {sql: "create table m.hints (line_id int references m.lines, who text); insert into m.hints values (null, 'acme')", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "hints": "trade"}, "links": map[string]any{"hints.line_id": "follow"}}, finds: []string{"key m.hints.who"}},
		"by value, in a claimed table, said":                       {sql: "create table m.hints (line_id int references m.lines, who text); insert into m.hints values (null, 'acme')", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "hints": "trade"}, "links": map[string]any{"hints.line_id": "follow"}, "columns": map[string]any{"hints": ""}}},
		"by value, in a parent":                                    {sql: "create table m.places (id int primary key, who text); alter table m.orders add at int references m.places; insert into m.places values (1, 'acme')", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "places": "trade"}}, finds: []string{"key m.places.who"}},
		"by value, at another path":                                {sql: `create table m.docs (body jsonb); insert into m.docs values ('{"tenant_key": "acme"}'), ('{"old": {"tenant_key": "acme"}}')`, more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "docs": "trade"}, "columns": map[string]any{"docs": "body->>tenant_key"}}, finds: []string{"key m.docs.body"}},
		"a trigger":                                                {sql: strings.Replace(into, "BODY", writes, 1) + after, finds: []string{"code m.orders.noted"}},
		"a view in place of a table":                               {sql: "create table extra.notes (id int, tk text); create view m.notes as select id, tk as tenant_key from extra.notes", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "notes": "trade"}, "columns": map[string]any{"extra.notes": ""}}, finds: []string{"table m.notes"}},
		"a materialized view in place of a table":                  {sql: "create materialized view m.notes as select 'acme' as tenant_key", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "notes": "trade"}}, finds: []string{"table m.notes"}},
		"a view that shows a table of nobody's":                    {sql: "create table extra.notes (doc jsonb); create view m.notes as select doc ->> 't' as tenant_key from extra.notes; create view platform.notes as select * from m.notes", finds: []string{"table extra.notes"}},
		"a view that shows a table of nobody's, said":              {sql: "create table extra.notes (doc jsonb); create view m.notes as select doc ->> 't' as tenant_key from extra.notes", more: map[string]any{"columns": map[string]any{"m.notes": ""}}},
		"a view of covered tables":                                 {sql: "create table extra.notes (n int); create view m.notes as select o.tenant_key, n from m.orders o, extra.notes"},
		"a list for a key":                                         {sql: `create table m.docs (body jsonb); insert into m.docs values ('{"a": {"tenant_key": ["x"]}}'), ('{"a": {"tenant_key": "acme"}}')`, more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "docs": "trade"}, "columns": map[string]any{"docs": "body->a->>tenant_key"}}, finds: []string{"key m.docs.body->>a->>tenant_key"}},
		"an object for a key":                                      {sql: `create table m.docs (body json); insert into m.docs values ('{"tenant_key": {"id": 7}}'), ('{"tenant_key": 7}'), ('{"tenant_key": null}'), ('[]'), (null)`, more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "docs": "trade"}, "columns": map[string]any{"docs": "body->>tenant_key"}}, finds: []string{"key m.docs.body->>tenant_key"}},
		"a collation of equals":                                    {sql: "create collation extra.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); create domain extra.mail as text collate extra.ci; create table extra.users (mail text collate extra.ci, more extra.mail, list text[] collate extra.ci, name varchar(9) collate extra.ci); create index on extra.users (mail); insert into extra.users values ('jo', 'jo', '{jo,\"[\"}', '{}')"},
		"a collation of equals, by value":                          {sql: "create collation extra.ai (provider = icu, locale = 'und-u-ks-level1', deterministic = false); create table extra.users (org text collate extra.ai); insert into extra.users values ('ácme')", finds: []string{"table extra.users"}},
		"a collation of equals, in a list":                         {sql: "create collation extra.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); create table extra.users (orgs text[] collate extra.ci); insert into extra.users values ('{birch,ACME}')", finds: []string{"table extra.users"}},
		"a publication with a filter":                              {sql: "create publication p_TOKEN for table m.lines where (tenant_key <> 'x')", finds: []string{"code m.lines"}},
		"a publication of columns":                                 {sql: "alter table m.lines replica identity full; create publication p_TOKEN for table m.lines (id)", finds: []string{"code m.lines"}},
		"a publication of inserts":                                 {sql: "alter table m.lines replica identity nothing; create publication p_TOKEN for table m.lines with (publish = 'insert')"},
		"a trigger that copies rows without the key":               {sql: notes + strings.Replace(into, "BODY", "insert into platform.history values (to_jsonb(old))", 1) + ofNotes, more: history, finds: []string{"code m.notes.noted"}},
		"a trigger that copies rows without the key, as they come": {sql: notes + strings.Replace(into, "BODY", "insert into platform.history select to_jsonb(new)", 1) + "create trigger noted after insert or update on m.notes for each row execute function platform.note()", more: history, finds: []string{"code m.notes.noted"}},
		"a trigger that copies a column without the key":           {sql: notes + strings.Replace(into, "BODY", "insert into platform.history values (jsonb_build_object(''body'', old.body))", 1) + ofNotes, more: history, finds: []string{"code m.notes.noted"}},
		"a trigger that copies rows without the key, let":          {sql: notes + strings.Replace(into, "BODY", "insert into platform.history values (to_jsonb(old))", 1) + ofNotes, more: with(history, "triggers", map[string]any{"notes.noted": "ignore"})},
		"a trigger that copies rows with the key":                  {sql: notes + "alter table m.notes add tenant_key text;" + strings.Replace(into, "BODY", "insert into platform.history values (to_jsonb(old))", 1) + ofNotes, more: history},
		"a trigger, ignored":                                       {sql: strings.Replace(into, "BODY", writes, 1) + after, more: map[string]any{"triggers": map[string]any{"orders.noted": "ignore"}}},
		"a trigger, shared target":                                 {sql: strings.Replace(into, "BODY", writes, 1) + after, more: map[string]any{"shared": []any{"platform.history"}}, finds: []string{"code m.orders.noted"}},
		"a trigger, switched off":                                  {sql: strings.Replace(into, "BODY", writes, 1) + after + "; alter table m.orders disable trigger noted"},
		"a trigger, own table":                                     {sql: strings.Replace(into, "BODY", "update m.lines set tenant_key = tenant_key where order_id = old.id", 1) + after, finds: []string{"code m.orders.noted"}},
		"a trigger that writes nothing":                            {sql: strings.Replace(into, "BODY", "raise notice ''gone''; perform lower(old.note)", 1) + after},
		"a trigger by execute":                                     {sql: strings.Replace(into, "BODY", "execute ''insert into x''", 1) + after, finds: []string{"code m.orders.noted"}},
		"a trigger, statement": {sql: strings.Replace(into, "BODY", "insert into platform.history select to_jsonb(g) from gone g", 1) +
			"create trigger noted after delete on m.orders referencing old table as gone for each statement execute function platform.note()", finds: []string{"code m.orders.noted"}},
		"a trigger, constraint": {sql: strings.Replace(into, "BODY", writes, 1) + "create constraint trigger noted after delete on m.lines deferrable for each row execute function platform.note()", finds: []string{"code m.lines.noted"}},
		"a trigger, by way of a function": {sql: strings.Replace(into, "BODY", "perform platform.copy(to_jsonb(old))", 1) + "create function platform.copy(jsonb) returns void language sql as 'insert into platform.history values ($1)';" + after,
			finds: []string{"code m.orders.noted"}},
		"a trigger, standard body": {sql: strings.Replace(into, "BODY", "perform platform.copy(to_jsonb(old))", 1) + "create function platform.copy(d jsonb) returns void language sql begin atomic insert into platform.history values (d); end;" + after,
			finds: []string{"code m.orders.noted"}},
		"a trigger on a partition": {sql: `create table m.events (tenant_key text, n int) partition by list (n); create table m.events_1 partition of m.events for values in (1);` + strings.Replace(into, "BODY", writes, 1) +
			"create trigger noted after delete on m.events_1 for each row execute function platform.note()", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "events": "trade"}}, finds: []string{"code m.events.noted"}},
		"a trigger instead, on a view":     {sql: strings.Replace(into, "BODY", writes, 1) + "create view m.open as select * from m.orders; create trigger noted instead of delete on m.open for each row execute function platform.note()", finds: []string{"code m.open.noted"}},
		"a rule":                           {sql: "create table platform.history (doc jsonb); create rule noted as on delete to m.orders do also insert into platform.history values (to_jsonb(old.note))", finds: []string{"code m.orders.noted"}},
		"a materialized view":              {sql: "create materialized view platform.sums as select tenant_key, count(*) from m.orders group by 1", finds: []string{"derived platform.sums"}},
		"a materialized view, twice":       {sql: "create view m.v as select * from m.orders; create materialized view extra.a as select * from m.v; create materialized view platform.b as select count(*) from extra.a", finds: []string{"derived extra.a", "derived platform.b"}},
		"a materialized view, blind":       {sql: "create function extra.f() returns setof text language plpgsql as 'begin return query select note from m.orders; end'; create materialized view platform.sums as select * from extra.f()", finds: []string{"derived platform.sums"}},
		"a materialized view, blind, far":  {sql: "create function extra.g() returns setof text language sql as 'select note from m.orders'; create function extra.f() returns setof text language plpgsql as 'begin return query select extra.g(); end'; create view extra.v as select extra.f(); create materialized view platform.sums as select * from extra.v", finds: []string{"derived platform.sums"}},
		"a materialized view, blind, said": {sql: "create function extra.f() returns setof text language plpgsql as 'begin return query select note from m.orders; end'; create materialized view platform.sums as select * from extra.f()", more: map[string]any{"derived": map[string]any{"platform.sums": "refresh"}}},
		"a materialized view, aggregate":   {sql: "create function extra.sf(bigint, int) returns bigint language sql as 'select count(*) from m.orders'; create aggregate extra.agg(int) (sfunc = extra.sf, stype = bigint); create materialized view platform.sums as select extra.agg(1)", finds: []string{"derived platform.sums"}},
		"a materialized view, of values":   {sql: "create function extra.f(int) returns int language sql as 'select $1 + 1'; create materialized view platform.sums as select extra.f(n) from generate_series(1, 3) n"},
		"a heir of two classes":            {sql: "create table m.a (tenant_key text); create table m.b (tenant_key text); create table m.ab () inherits (m.a, m.b)", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "a": "trade", "b": "media"}}, finds: []string{"order m.ab"}},
		"a heir of two tables":             {sql: "create table m.a (tenant_key text); create table m.b (tenant_key text); create table m.ab () inherits (m.a, m.b)", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "a": "trade", "b": "trade"}}},
		"a part, named":                    {sql: "create table m.a (tenant_key text, n int) partition by list (n); create table m.a1 partition of m.a for values in (1)", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "a": "trade", "a1": "trade"}}},
		"a heir of another class":          {sql: "create table m.a (tenant_key text, n int); create table m.a1 () inherits (m.a)", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "a": "trade", "a1": "media"}}, finds: []string{"order m.a1"}},
		"a materialized view, said":        {sql: "create materialized view platform.sums as select tenant_key from m.orders", more: map[string]any{"derived": map[string]any{"platform.sums": "refresh"}}},
		"a table with another name":        {sql: "alter table m.lines rename to entries", finds: []string{"table lines", "table m.entries"}},
		"a tenant column with another":     {sql: "create table m.seats (tenant_key text); insert into m.seats values ('acme'); alter table m.seats rename tenant_key to account_key", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "seats": "trade"}}, finds: []string{"table m.seats"}},
		"a table moved away":               {sql: "alter table m.lines set schema extra", finds: []string{"table extra.lines", "table lines"}},
		"a foreign table":                  {sql: "create extension file_fdw; create server files foreign data wrapper file_fdw; create foreign table extra.far (tenant_key text) server files options (filename '/dev/null')", finds: []string{"foreign extra.far"}},
		"a foreign table, shared":          {sql: "create extension file_fdw; create server files foreign data wrapper file_fdw; create foreign table extra.far (tenant_key text) server files options (filename '/dev/null')", more: map[string]any{"shared": []any{"extra.far"}}},
		"a foreign table, in a class":      {sql: "create extension file_fdw; create server files foreign data wrapper file_fdw; create foreign table extra.far (tenant_key text) server files options (filename '/dev/null')", more: map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "extra.far": "trade"}}, finds: []string{"foreign extra.far"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			postgrestest.Exec(t, w.dsn, twoTenants)
			own := rowsOf(c.more)
			mark(t, d, w, own)
			postgrestest.Exec(t, w.dsn, strings.ReplaceAll(c.sql, "TOKEN", w.token))
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

// TestUnproven: where the server doesn't let the erasure be tried, that stands in
// its way, and isn't passed over in silence.
func TestUnproven(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants)
	own := rowsOf(nil)
	mark(t, d, w, own)
	postgrestest.Exec(t, w.dsn, "create function extra.no() returns event_trigger language plpgsql as $$ begin raise 'no ddl here'; end $$; create event trigger no on ddl_command_start when tag in ('CREATE SCHEMA') execute function extra.no()")
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Prove: true})
	if got := blocking(m); err != nil || !slices.Equal(got, []string{"order order"}) || !strings.Contains(fmt.Sprint(m.Places), "no ddl here") {
		t.Errorf("what blocks: %q, error %v, %+v", got, err, m.Places)
	}
}

// TestTrialCutOff: a server that goes away while the erasure is tried has said
// nothing about the erasure, so the look is made again, and nothing is blocked.
func TestTrialCutOff(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"CREATE SCHEMA", "ALTER TABLE"} {
		d, w, _ := opened(t)
		postgrestest.Exec(t, w.dsn, twoTenants)
		own := rowsOf(nil)
		mark(t, d, w, own)
		postgrestest.Exec(t, w.dsn, "create function extra.gone() returns event_trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); end $$; create event trigger gone on ddl_command_start when tag in ('"+tag+"') execute function extra.gone()")
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Prove: true})
		if !tenure.CanRetry(err) {
			t.Errorf("cut off at %s: error %v, blocked: %q", tag, err, blocking(m))
		}
	}
}

// TestRefreshAndStatistics: neither a materialized view nor what the planner
// keeps of common values shows the leaver after its erasure.
func TestRefreshAndStatistics(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants)
	own := rowsOf(map[string]any{"derived": map[string]any{"platform.sums": "refresh", "extra.under": "refresh"}, "tables": map[string]any{"orders": "trade", "lines": "trade", "single": "trade"}})
	mark(t, d, w, own)
	postgrestest.Exec(t, w.dsn, `create table m.single (tenant_key text, note text); create index on m.single (upper(note)); create statistics m.both (mcv) on tenant_key, note from m.orders; create statistics m.more (mcv) on tenant_key, note from m.single;
insert into m.orders select n, 'acme', 'acme-token' from generate_series(100, 400) n; insert into m.orders select n, 'birch', 'birch-token' from generate_series(500, 700) n;
insert into m.single select 'acme', 'acme-token' from generate_series(1, 300); analyze;
create view m.v as select * from m.orders; create materialized view extra.under as select tenant_key, note from m.v; create materialized view platform.sums as select tenant_key, count(*) from extra.under group by 1; analyze`)
	// What stands of pg_catalog is of every test's databases and roles that this server holds.
	const kept = "select (select count(*) from pg_stats where schemaname <> 'pg_catalog' and most_common_vals::text || coalesce(histogram_bounds::text, '') ilike '%acme%') + (select count(*) from pg_stats_ext where most_common_vals::text ilike '%acme%')"
	if n := postgrestest.Value[int](t, w.dsn, kept); n == 0 {
		t.Fatal("the statistics hold nothing to forget")
	}
	if _, err := eraseAll(t, d, own.Ref, 1000); err != nil {
		t.Fatal(err)
	}
	if n := postgrestest.Value[int](t, w.dsn, kept); n != 0 {
		t.Errorf("%d statistics still hold values of the leaver: %s", n, postgrestest.Value[string](t, w.dsn, `select coalesce(string_agg(what, ', '), '') from (
select format('%I.%I.%I', schemaname, tablename, attname) from pg_stats where schemaname <> 'pg_catalog' and most_common_vals::text || coalesce(histogram_bounds::text, '') ilike '%acme%'
union all select format('%I.%I', statistics_schemaname, statistics_name) from pg_stats_ext where most_common_vals::text ilike '%acme%') s (what)`))
	}
	if n := postgrestest.Value[int](t, w.dsn, "select (select count(*) from extra.under where tenant_key = 'acme') + (select count(*) from platform.sums where tenant_key = 'acme')"); n != 0 {
		t.Errorf("materialized views still show %d rows of the leaver", n)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from extra.under where tenant_key = 'birch'"); n != 202 {
		t.Errorf("a materialized view shows %d rows of a neighbour, want 202", n)
	}
}

// TestRefreshFails: a materialized view that can't be made anew shows what was
// erased. Neither the class nor the resource counts as gone until it is mended.
func TestRefreshFails(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table p (id int, tenant_key text, v text); create materialized view s.sums as select v, 1 / (select count(*) from p where tenant_key = 'acme') as share from p with no data; create materialized view s.none as select v from p with no data",
		map[string]any{"p": "data"}, "derived", map[string]any{"sums": "refresh", "none": "refresh"})
	postgrestest.Exec(t, w.dsn, "insert into s.p values (1, 'acme', 'token'), (2, 'birch', ''); refresh materialized view s.sums")
	for range 2 {
		if _, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 10}); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "s.sums") {
			t.Errorf("erase: %v (%s), want it blocked by s.sums", err, tenure.CodeOf(err))
		}
		if _, err := d.Delete(t.Context(), r); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "s.sums") {
			t.Errorf("delete: %v (%s), want it blocked by s.sums", err, tenure.CodeOf(err))
		}
	}
	postgrestest.Exec(t, w.dsn, "drop materialized view s.sums; create materialized view s.sums as select v from s.p")
	if _, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 10}); err != nil {
		t.Error(err)
	}
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Error(err)
	}
	if filled := postgrestest.Value[bool](t, w.dsn, "select relispopulated from pg_class where oid = 's.none'::regclass"); filled {
		t.Error("a view that was made with no data has data now")
	}
}

// TestObjectsThatATriggerUnlinks: the extension lo unlinks an object as its row
// goes. It is counted all the same, and one that a neighbour's row names too stays.
func TestObjectsThatATriggerUnlinks(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create extension lo with schema public; create table f (id int, tenant_key text, blob public.lo); create trigger t before update or delete on f for each row execute function public.lo_manage(blob)", map[string]any{"f": "data"})
	postgrestest.Exec(t, w.dsn, "insert into s.f values (1, 'acme', lo_from_bytea(1001, 'acme')), (2, 'birch', lo_from_bytea(1002, 'birch'))")
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: r})
	if got := blocking(m); err != nil || len(got) > 0 {
		t.Fatalf("what blocks: %q, error %v", got, err)
	}
	e, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 10})
	if err != nil || e.Total["large objects of s.f"] != 1 {
		t.Errorf("the tally says %v, error %v; want one large object", e.Total, err)
	}
	if left := strs(t, connect(t, w.dsn), "select oid::text from pg_largeobject_metadata"); !slices.Equal(left, []string{"1002"}) {
		t.Errorf("left are the large objects %q", left)
	}
	postgrestest.Exec(t, w.dsn, "insert into s.f values (3, 'acme', 1002)")
	if _, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 10}); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("the trigger would unlink a neighbour's object: %v, want it blocked", err)
	}
	if left := strs(t, connect(t, w.dsn), "select oid::text from pg_largeobject_metadata"); !slices.Equal(left, []string{"1002"}) {
		t.Errorf("left are the large objects %q", left)
	}
}

// TestTriggerIntoAnEarlierClass: a trigger that fills a table whose class is gone
// already brings the leaver's data back.
func TestTriggerIntoAnEarlierClass(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants)
	own := rowsOf(map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "log": "history"}})
	mark(t, d, w, own)
	postgrestest.Exec(t, w.dsn, `create table m.log (tenant_key text, doc jsonb); create function m.note() returns trigger language plpgsql as 'begin insert into log values (old.tenant_key, to_jsonb(old)); return null; end';
create trigger noted after delete on m.orders for each row execute function m.note()`)
	for order, want := range map[string][]string{"history trade": {"order m.orders.noted"}, "trade history": nil} {
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: strings.Fields(order)})
		if err != nil {
			t.Fatal(err)
		}
		if got := blocking(m); !slices.Equal(got, want) {
			t.Errorf("in the order %s what blocks is %q, want %q", order, got, want)
		}
	}
}

// TestMapOfAWholeStore: what hangs on a schema from outside, and what its rows get
// copied to, is known before it is set aside.
func TestMapOfAWholeStore(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		sql   string
		more  map[string]any
		finds []string
	}{
		"nothing":              {sql: "create materialized view leaver.sums as select count(*) from leaver.orders"},
		"two classes, a view":  {sql: "create materialized view leaver.sums as select count(*) from leaver.orders", more: map[string]any{"tables": map[string]any{"*": "trade", "log": "history"}}, finds: []string{"derived leaver.sums"}},
		"a column of its type": {sql: "create type leaver.mood as enum ('a'); create table app.x (m leaver.mood)", finds: []string{"dependent app.x.m"}},
		"a trigger": {sql: "create table app.history (doc jsonb); create function leaver.note() returns trigger language plpgsql as 'begin insert into app.history values (to_jsonb(new)); return new; end'; create trigger noted before insert on leaver.orders for each row execute function leaver.note()",
			finds: []string{"code leaver.orders.noted"}},
		"a trigger within": {sql: "create function leaver.note() returns trigger language plpgsql as 'begin insert into leaver.log values (1); return new; end'; create trigger noted before insert on leaver.orders for each row execute function leaver.note()"},
		"a foreign table":  {sql: "create extension file_fdw; create server files foreign data wrapper file_fdw; create foreign table leaver.far (a text) server files options (filename '/dev/null')", finds: []string{"foreign leaver.far"}},
		"a partition":      {sql: "create table app.usage (a int) partition by list (a); create table leaver.usage partition of app.usage for values in (1)"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			attributes := map[string]any{"ddl": "create table if not exists orders (id int); create table if not exists log (id int)", "tables": map[string]any{"*": "trade"}}
			maps.Copy(attributes, c.more)
			own := desired("schema", "leaver", attributes)
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, c.sql)
			m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Search: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			m.Places = slices.DeleteFunc(m.Places, func(p connector.Place) bool { return p.Kind == connector.PlaceTable })
			if got := blocking(m); !slices.Equal(got, c.finds) {
				t.Errorf("what blocks: %q, want %q\n%+v", got, c.finds, m.Places)
			}
			if what == "a partition" && (len(m.Places) != 1 || m.Places[0].Name != "app.usage") {
				t.Errorf("the approver isn't told of the partition: %+v", m.Places)
			}
		})
	}
}

// TestLargeObjects: an object goes with the last row that names it, in the rows'
// own transaction, is counted before and after, and is in the export.
func TestLargeObjects(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants)
	own := rowsOf(map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "files": "media"}})
	mark(t, d, w, own)
	postgrestest.Exec(t, w.dsn, `create domain m.lo as oid; create table m.files (tenant_key text, blob oid, thumb m.lo, more m.lo[]); create table platform.logos (logo oid);
insert into m.files values ('acme', lo_from_bytea(1001, 'acme-1'), lo_from_bytea(1002, 'a')), ('acme', 1001, null), ('acme', 99, lo_from_bytea(1003, 'both')),
 ('acme', lo_from_bytea(1004, 'logo'), 1002), ('birch', lo_from_bytea(1005, 'birch-1'), 1003), ('birch', null, null);
insert into platform.logos values (1004), (null); select lo_from_bytea(1006, 'nobody');
insert into m.files (tenant_key, more) values ('acme', array[lo_from_bytea(1007, 'more'), lo_from_bytea(1008, 'else'), 98]::m.lo[]), ('acme', null), ('birch', array[lo_from_bytea(1009, 'birch-2')]::m.lo[])`)
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range m.Places {
		if p.Kind == connector.PlaceObjects {
			got = append(got, fmt.Sprintf("%s %s %d %d", p.Name, p.Class, p.Rows, p.Bytes))
			if (p.Name != "m.files.more") != strings.HasPrefix(p.Says, "1 of the large objects") {
				t.Errorf("%s says %q of what stays", p.Name, p.Says)
			}
		}
	}
	if want := []string{"m.files.blob media 1 6", "m.files.thumb media 1 1", "m.files.more media 2 8"}; !slices.Equal(got, want) {
		t.Errorf("large objects: %q, want %q", got, want)
	}
	var archive bytes.Buffer
	if _, err := d.Export(t.Context(), own.Ref, &archive); err != nil {
		t.Fatal(err)
	}
	if files := members(t, &archive); files["objects/1001"] != "acme-1" || files["objects/1003"] != "both" || files["objects/1005"] != "" {
		t.Errorf("the export holds %q", files)
	}
	var e connector.Erased
	for b := (connector.Batch{Run: "r", Class: "media", Limit: 1}); !e.Done; b.Cursor = e.Cursor {
		if e, err = d.Erase(t.Context(), own.Ref, b); err != nil {
			t.Fatal(err)
		}
	}
	if left := strs(t, connect(t, w.dsn), "select oid::text from pg_largeobject_metadata order by oid"); !slices.Equal(left, []string{"1003", "1004", "1005", "1006", "1009"}) {
		t.Errorf("left are the large objects %q", left)
	}
	if n := e.Total["large objects of m.files"]; n != 4 || e.Total["m.files"] != 6 {
		t.Errorf("the tally says %v, want 6 rows and 4 large objects", e.Total)
	}
}

// TestLargeObjectsNamedTwice: an object that several columns of the tenant's name is
// counted once, in the class with which it goes.
func TestLargeObjectsNamedTwice(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants)
	own := rowsOf(map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "files": "media", "early": "log"}})
	mark(t, d, w, own)
	postgrestest.Exec(t, w.dsn, `create table m.early (tenant_key text, blob oid); create table m.files (tenant_key text, blob oid, thumb oid);
insert into m.files values ('acme', lo_from_bytea(1001, 'twice'), 1001), ('acme', lo_from_bytea(1002, 'later'), null), ('birch', lo_from_bytea(1004, 'birch'), null); insert into m.early values ('acme', 1002), ('acme', null), ('acme', lo_from_bytea(1003, 'now')), ('acme', 1004)`)
	order := []string{"log", "media", "trade"}
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: order})
	if err != nil {
		t.Fatal(err)
	}
	counted, gone := map[string]int64{}, map[string]int64{}
	for _, p := range m.Places {
		if p.Kind == connector.PlaceObjects && p.Rows > 0 {
			counted[p.Class] += p.Rows
		}
	}
	for _, class := range order {
		e, err := d.Erase(t.Context(), own.Ref, connector.Batch{Run: class, Class: class, Limit: 100})
		if err != nil || !e.Done {
			t.Fatalf("%s: %+v, error %v", class, e, err)
		}
		for name, n := range e.Total {
			if strings.HasPrefix(name, "large objects") {
				gone[class] += n
			}
		}
	}
	if want := map[string]int64{"log": 1, "media": 2}; !maps.Equal(counted, want) || !maps.Equal(gone, want) {
		t.Errorf("counted are %v and gone %v, want %v", counted, gone, want)
	}
	if left := strs(t, connect(t, w.dsn), "select oid::text from pg_largeobject_metadata"); !slices.Equal(left, []string{"1004"}) {
		t.Errorf("left are the large objects %q", left)
	}
}

// TestLargeObjectsOfASchema: those of a whole store go with its drop.
func TestLargeObjectsOfASchema(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := desired("schema", "leaver", map[string]any{"ddl": "create table if not exists files (blob oid)", "tables": map[string]any{"*": "trade"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, `insert into leaver.files select lo_create(0) from generate_series(1, 1500); insert into leaver.files values (lo_create(4711)); create table app.logos (logo oid); insert into app.logos values (4711)`)
	if _, err := d.Quarantine(t.Context(), own.Ref); err != nil {
		t.Fatal(err)
	}
	rec, err := d.Delete(t.Context(), own.Ref)
	if err != nil || rec.Counts["large objects of leaver.files"] != 1500 {
		t.Errorf("delete: %v, error %v", rec.Counts, err)
	}
	if left := strs(t, connect(t, w.dsn), "select oid::text from pg_largeobject_metadata"); !slices.Equal(left, []string{"4711"}) {
		t.Errorf("left are %d large objects", len(left))
	}
}

// members are the files of a tar, with their text.
func members(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	out := map[string]string{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = string(text)
	}
}

// TestCopyMadeByTheErasure: what a trigger writes down of each row that goes, in
// a table that is covered, goes too.
func TestCopyMadeByTheErasure(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants+"create table platform.history (doc jsonb)")
	own := rowsOf(map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "platform.history": "trade"}, "columns": map[string]any{"platform.history": "doc->>tenant_key"}})
	mark(t, d, w, own)
	postgrestest.Exec(t, w.dsn, `insert into platform.history values ('{"tenant_key": "birch"}'), ('{"tenant_key": "acme"}');
create function platform.note() returns trigger language plpgsql as 'begin insert into platform.history values (to_jsonb(old)); return null; end';
create trigger noted after delete on m.orders for each row execute function platform.note()`)
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Search: time.Second})
	if got := blocking(m); err != nil || len(got) > 0 {
		t.Fatalf("what blocks: %q, error %v", got, err)
	}
	if _, err := eraseAll(t, d, own.Ref, 100); err != nil {
		t.Fatal(err)
	}
	if left := strs(t, connect(t, w.dsn), "select doc ->> 'tenant_key' from platform.history"); !slices.Equal(left, []string{"birch"}) {
		t.Errorf("the history holds %q, want the neighbour's entry alone", left)
	}
}

// TestParentsOfNobody: rows of a covered parent that no row refers to stay, and the
// map says so.
func TestParentsOfNobody(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table address (id int primary key); create table customer (tenant_key text, address int references address)", map[string]any{"address": "data", "customer": "data"})
	postgrestest.Exec(t, w.dsn, "insert into s.address select generate_series(1, 5); insert into s.customer values ('acme', 1), ('birch', 2)")
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: r, Search: 10 * time.Second})
	if err != nil || len(blocking(m)) > 0 {
		t.Fatalf("what blocks: %q, error %v", blocking(m), err)
	}
	if !slices.ContainsFunc(m.Places, func(p connector.Place) bool {
		return p.Name == "s.address" && p.Rows == 3 && strings.Contains(p.Says, "nothing says whose")
	}) {
		t.Errorf("the map doesn't say that three addresses are nobody's: %+v", m.Places)
	}
	d, w, r = shared(t, "create table org (id int primary key, up int references org); create table person (tenant_key text, org int references org)", map[string]any{"org": "data", "person": "data"}, "links", map[string]any{"org.up": "follow"})
	postgrestest.Exec(t, w.dsn, "insert into s.org values (1, null), (2, 1), (3, 2), (4, null); insert into s.person values ('acme', 1)")
	m, err = d.DataMap(t.Context(), connector.Survey{Ref: r, Search: 10 * time.Second})
	if i := slices.IndexFunc(m.Places, func(p connector.Place) bool { return strings.Contains(p.Says, "nothing says whose") }); err != nil || i < 0 || m.Places[i].Rows != 1 {
		t.Errorf("the map says of those below a row that goes that they are nobody's: %+v, error %v", m.Places, err)
	}
}

// TestShortKeys: a number that is too short to be sought everywhere is found where
// a name speaks of the tenant, in whatever form.
func TestShortKeys(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		table string
		finds bool
	}{
		"without its end":   {"(school int); insert into extra.notes values (17)", true},
		"in one word":       {"(schoolid text); insert into extra.notes values ('017 ')", true},
		"in the plural":     {"(school_ids bigint[]); insert into extra.notes values ('{3,17}')", true},
		"with another end":  {"(school_code numeric); insert into extra.notes values (17.0)", true},
		"in a document":     {`(doc jsonb); insert into extra.notes values ('[{"schoolId": 17}]')`, true},
		"in a text of json": {`(doc text); insert into extra.notes values ('[{"a": 2, "school": "17"}]')`, true},
		"as something else": {`(doc jsonb, age int, t text); insert into extra.notes values ('{"age": 17}', 17, '{"age": 17}')`, false},
		"as another number": {`(doc jsonb, school_id2 text, t text); insert into extra.notes values ('{"school_id": 170}', '170', '{"school": 170}')`, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, _, r := shared(t, "create table pupil (school_id int not null); create schema extra; create table extra.notes "+c.table, map[string]any{"pupil": "data"}, "column", "school_id", "key", "17")
			m, err := d.DataMap(t.Context(), connector.Survey{Ref: r, Search: 10 * time.Second})
			if err != nil || m.Partial != "" {
				t.Fatalf("%q, error %v", m.Partial, err)
			}
			if got := slices.Equal(blocking(m), []string{"table extra.notes"}); got != c.finds {
				t.Errorf("what blocks: %q\n%+v", blocking(m), m.Places)
			}
		})
	}
}

// TestTwoResourcesCoverTwoSchemas: what one resource of the tenant covers isn't a
// gap of another's.
func TestTwoResourcesCoverTwoSchemas(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, twoTenants+"create table extra.notes (tenant_key text)")
	own := rowsOf(nil)
	mark(t, d, w, own)
	also := rowsOf(map[string]any{"schema": "extra", "tables": map[string]any{"notes": "trade"}})
	also.Name = "notes"
	if _, _, err := d.Ensure(t.Context(), also); err != nil {
		t.Fatal(err)
	}
	for r, beside := range map[*connector.Ref]connector.Ref{&own.Ref: also.Ref, &also.Ref: own.Ref} {
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: *r, Search: time.Second, Beside: []connector.Ref{beside}})
		if got := blocking(m); err != nil || len(got) > 0 {
			t.Errorf("%s: what blocks is %q, error %v", r.Name, got, err)
		}
	}
}
