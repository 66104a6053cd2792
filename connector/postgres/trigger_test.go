package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestCodeThatTheErasureRuns: what a trigger or a rule does to covered tables is
// as dangerous as what it does elsewhere. Unnoticed, a neighbour's rows change or
// go, or a copy of the leaver's stays under another key.
func TestCodeThatTheErasureRuns(t *testing.T) {
	t.Parallel()
	const tables = `create schema pl; create table pl.h (v text);
create table m.p (id int primary key, tenant_key text, acct int, grp int, v text);
create table m.q (tenant_key text, id serial primary key, grp int, v text);
create table m.c (id int primary key, tenant_key text, p int references m.p on delete set null, note text);
create table m.j (doc jsonb);`
	each := func(body string) string {
		return "create function m.f() returns trigger language plpgsql as $$ begin " + body + " end $$; create trigger t after delete on m.p for each row execute function m.f()"
	}
	before := func(body string) string { return strings.Replace(each(body), "after delete", "before delete", 1) }
	all := func(body string) string {
		return "create function m.f() returns trigger language plpgsql as $$ begin " + body + " end $$; create trigger t after delete on m.p referencing old table as gone for each statement execute function m.f()"
	}
	at := []string{"code m.p.t"}
	for what, c := range map[string]struct {
		sql   string
		more  map[string]string // triggers
		finds []string
	}{
		"updates":                   {sql: each("update m.q set v = old.v where id = old.acct; return null;"), finds: at},
		"updates, answered":         {sql: each("update m.q set v = old.v where id = old.acct; return null;"), more: map[string]string{"p.t": "ignore"}},
		"deletes":                   {sql: before("delete from m.q where grp = old.grp; return old;"), finds: at},
		"truncates":                 {sql: each("truncate m.j, m.q; return null;"), finds: at},
		"merges":                    {sql: each("merge into m.q using m.p on true when matched then delete; return null;"), finds: at},
		"inserts or updates":        {sql: each("insert into m.q (tenant_key, v) values (old.tenant_key, old.v) on conflict (id) do update set v = old.v; return null;"), finds: at},
		"a rule":                    {sql: "create rule t as on delete to m.p do also delete from m.q where q.grp = old.grp", finds: at},
		"a rule that inserts":       {sql: "create rule t as on delete to m.p do also insert into m.q (tenant_key, v) values (old.tenant_key, old.grp::text)"},
		"inserts":                   {sql: each("insert into m.q values (old.tenant_key, default, 1, old.v); return null;")},
		"inserts, if none":          {sql: each("insert into m.q (v, tenant_key) select old.v, old.tenant_key where old.grp > 1 on conflict do nothing; return null;")},
		"inserts, cast":             {sql: each("insert into m.q (v, tenant_key) values (old.v, (old.tenant_key)::varchar(20)::text); return null;")},
		"inserts a constant":        {sql: each("insert into m.q (tenant_key, v) values ('archive', old.v); return null;"), finds: at},
		"inserts null":              {sql: each("insert into m.q (tenant_key, v) values (null, old.v); return null;"), finds: at},
		"inserts no key":            {sql: each("insert into m.q (v) values (old.v); return null;"), finds: at},
		"inserts one wrong":         {sql: each("insert into m.q (tenant_key, v) values (old.tenant_key, ''), (coalesce(old.tenant_key, 'x'), old.v); return null;"), finds: at},
		"inserts another's":         {sql: each("insert into m.q (tenant_key, v) values (old.v, old.tenant_key); return null;"), finds: at},
		"inserts what it set":       {sql: each("old.tenant_key := 'birch'; insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return null;"), finds: at},
		"one branch for each event": {sql: "create function m.f() returns trigger language plpgsql as $$ begin if tg_op = 'DELETE' then insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return old; else insert into m.q (tenant_key, v) values (new.tenant_key, new.v); return new; end if; end $$; create trigger t after insert or update or delete on m.p for each row execute function m.f()"},
		"a branch that returns":     {sql: "create function m.f() returns trigger language plpgsql as $$ begin if tg_op = 'DELETE' then insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return old; end if; insert into m.q (tenant_key, v) values (new.tenant_key, new.v); return new; end $$; create trigger t after insert or update or delete on m.p for each row execute function m.f()"},
		"the wrong branch": {sql: "create function m.f() returns trigger language plpgsql as $$ begin if tg_op = 'INSERT' then insert into m.q (tenant_key, v) values (new.tenant_key, new.v); else insert into m.q (tenant_key, v) values (new.tenant_key, old.v); end if; return null; end $$; create trigger t after insert or update or delete on m.p for each row execute function m.f()",
			finds: at},
		"inserts what it selected": {sql: each("select 'birch' into old.tenant_key; insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return null;"), finds: at},
		"inserts, the key set": {sql: each("insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return null;") + "; create function m.g() returns trigger language plpgsql as $$ begin new.tenant_key = coalesce(current_setting('app.tenant', true), 'system'); return new; end $$; create trigger u before insert on m.q for each row execute function m.g()",
			finds: []string{"code m.q.u"}},
		"inserts, the key selected": {sql: each("insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return null;") + "; create function m.g() returns trigger language plpgsql as $$ begin select md5(new.tenant_key) into new.tenant_key; return new; end $$; create trigger u before insert on m.q for each row execute function m.g()",
			finds: []string{"code m.q.u"}},
		"inserts, a document set": {sql: each("insert into m.j values (to_jsonb(old)); return null;") + "; create function m.g() returns trigger language plpgsql as $$ begin new.doc := '{}'; return new; end $$; create trigger u before insert on m.j for each row execute function m.g()",
			finds: []string{"code m.j.u"}},
		"inserts, another column set":         {sql: each("insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return null;") + "; create function m.g() returns trigger language plpgsql as $$ begin new.v := upper(new.v); return new; end $$; create trigger u before insert on m.q for each row execute function m.g()"},
		"the key set of what nothing inserts": {sql: "create function m.g() returns trigger language plpgsql as $$ begin new.tenant_key = current_setting('app.tenant', true); return new; end $$; create trigger u before insert on m.q for each row execute function m.g()"},
		"a name with a dot":                   {sql: strings.ReplaceAll(each("execute 'select 1'; return null;"), "trigger t ", `trigger "my.trig" `), more: map[string]string{"p.my.trig": "ignore"}},
		"a comparison in brackets":            {sql: each("if (old.v = 'a') then return null; end if; return null;")},
		"inserts into itself":                 {sql: each("insert into m.p (id, tenant_key, v) values (- old.id, old.tenant_key, old.v); return null;"), finds: at},
		"inserts in a circle":                 {sql: each("insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return null;") + "; create function m.g() returns trigger language plpgsql as 'begin insert into m.p (id, tenant_key) values (old.id, old.tenant_key); return null; end'; create trigger u after delete on m.q for each row execute function m.g()", finds: []string{"code m.p.t", "code m.q.u"}},
		"audits what audits":                  {sql: each("insert into m.q (tenant_key, v) values (old.tenant_key, old.v); return null;") + "; create trigger t after delete on m.q for each row execute function m.f()", finds: []string{"code m.q.t"}},
		"a document":                          {sql: each("insert into m.j values (to_jsonb(old)); return null;")},
		"a document, built":                   {sql: each("insert into m.j values (jsonb_build_object('tenant_key', old.tenant_key, 'was', to_jsonb(old))); return null;")},
		"a document, wrapped":                 {sql: each("insert into m.j values (jsonb_build_object('row', to_jsonb(old))); return null;"), finds: at},
		"all at once":                         {sql: all("insert into m.q (tenant_key, v) select g.tenant_key, g.v from gone g; return null;")},
		"all at once, whole":                  {sql: all("insert into m.j select to_jsonb(gone) from gone; return null;")},
		"all at once, of more":                {sql: all("insert into m.q (tenant_key, v) select q.tenant_key, g.v from gone g, m.q; return null;"), finds: at},
		"through a function":                  {sql: each("perform m.put(old.v); return null;") + "; create function m.put(text) returns void language sql as $$ insert into m.q (tenant_key, v) values ('acme', $1) $$", finds: at},
		"a condition":                         {sql: "create function pl.store(text) returns bool language plpgsql as $$ begin insert into pl.h values ($1); return true; end $$; create function m.f() returns trigger language plpgsql as 'begin return null; end'; create trigger t after delete on m.p for each row when (pl.store(old.v)) execute function m.f()", finds: at},
		"an operator":                         {sql: "create function pl.store(text) returns int language sql as 'insert into pl.h values ($1) returning 1'; create operator pl.@@@@ (rightarg = text, procedure = pl.store);" + each("perform operator(pl.@@@@) old.v; return null;"), finds: at},
		"a cast":                              {sql: "create type pl.w as (v text); create function pl.store(text) returns pl.w language sql as 'insert into pl.h values ($1) returning row(v)::pl.w'; create cast (text as pl.w) with function pl.store(text);" + each("perform old.v::pl.w; return null;"), finds: at},
		"an aggregate":                        {sql: "create function pl.sf(text, text) returns text language plpgsql as 'begin insert into pl.h values ($2); return $2; end'; create aggregate pl.agg(text) (sfunc = pl.sf, stype = text);" + all("perform pl.agg(v) from gone; return null;"), finds: at},
		"like a column":                       {sql: "create function m.arch(m.p) returns int language plpgsql as 'begin insert into pl.h values ($1.v); return 1; end';" + each("perform (o).arch from (select old as o) s; return null;"), finds: at},
		"like a column, bare":                 {sql: "create function m.arch(m.p) returns int language plpgsql as 'begin insert into pl.h values ($1.v); return 1; end';" + each("perform o.arch from (select old.*) o; return null;"), finds: at},
		"a default": {sql: "create function pl.store() returns text language plpgsql as $$ begin insert into pl.h values ('x'); return 'x'; end $$; alter table m.q add d text default pl.store();" + each("insert into m.q (tenant_key, v) values (old.tenant_key, ''); return null;"),
			finds: []string{"code m.q.d"}},
		"a default that nothing uses": {sql: "create function pl.store() returns text language plpgsql as $$ begin insert into pl.h values ('x'); return 'x'; end $$; alter table m.q add d text default pl.store()"},
		"a check": {sql: "create function pl.store(text) returns bool language plpgsql as $$ begin insert into pl.h values ('x'); return true; end $$; alter table m.c add constraint told check (pl.store(note))",
			finds: []string{"code m.c.told"}},
		"a block of code":         {sql: each("do 'begin insert into pl.h values (1); end'; return null;"), finds: at},
		"swallows":                {sql: before("if old.id = 2 then return null; end if; return old;"), finds: at},
		"swallows by new":         {sql: before("return new;"), finds: at},
		"lets go":                 {sql: before("if tg_op = 'DELETE' then return old; end if; return new;")},
		"a rule, instead":         {sql: "create rule t as on delete to m.p do instead nothing", finds: at},
		"a rule, another instead": {sql: "create rule t as on delete to m.p where old.id = 1 do instead update m.p set v = '' where id = old.id", finds: at},
		"keeps a reference":       {sql: "create function m.g() returns trigger language plpgsql as 'begin new.p := old.p; return new; end'; create trigger u before update on m.c for each row execute function m.g()", finds: []string{"code m.c.u"}},
		"keeps a reference, late": {sql: "create rule u as on update to m.c do instead nothing", finds: []string{"code m.c.u"}},
		"an update of no use":     {sql: "create function m.g() returns trigger language plpgsql as 'begin delete from m.q; return new; end'; create trigger u after update of note on m.c for each row execute function m.g()"},
		"an update that deletes":  {sql: "create function m.g() returns trigger language plpgsql as 'begin delete from m.q; return new; end'; create trigger u after update on m.c for each row execute function m.g()", finds: []string{"code m.c.u"}},
		"stamps":                  {sql: "create function m.g() returns trigger language plpgsql as 'begin new.note := now()::text; return new; end'; create trigger u before update on m.c for each row execute function m.g()"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			postgrestest.Exec(t, w.dsn, twoTenants+tables)
			ignored := map[string]any{}
			for k, v := range c.more {
				ignored[k] = v
			}
			own := rowsOf(map[string]any{"tables": map[string]any{"orders": "trade", "lines": "trade", "p": "trade", "q": "trade", "c": "trade", "j": "trade"},
				"columns": map[string]any{"j": "doc->>tenant_key"}, "triggers": ignored})
			mark(t, d, w, own)
			postgrestest.Exec(t, w.dsn, c.sql)
			m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref})
			if err != nil {
				t.Fatal(err)
			}
			if got := blocking(m); !slices.Equal(got, c.finds) {
				t.Errorf("what blocks: %q, want %q\n%+v", got, c.finds, m.Places)
			}
		})
	}
}
