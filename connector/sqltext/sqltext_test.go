package sqltext_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/sqltext"
)

// filled is what a text with holes, written {}, becomes; kinds are those of the values.
func filled(d sqltext.Dialect, text string, values ...any) (out string, refused []connector.Refusal, bad *connector.Refusal) {
	kinds := make([]connector.ValueKind, len(values))
	for i, v := range values {
		switch v.(type) {
		case string:
			kinds[i] = connector.Text
		case int64, float64:
			kinds[i] = connector.Number
		case bool:
			kinds[i] = connector.Truth
		case []any:
			kinds[i] = connector.List
		}
	}
	write, refused := d.Read(strings.Split(text, "{}"), kinds)
	out, bad = write(values)
	return out, refused, bad
}

const hostile = `x'); create role evil superuser; --`

// A value is written as what its place takes, whatever is in it.
func TestWrite(t *testing.T) {
	t.Parallel()
	pg, lite, maria := sqltext.PostgreSQL(), sqltext.SQLite(), sqltext.MariaDB()
	quoted := `x''); create role evil superuser; --`
	for _, tt := range []struct {
		d      sqltext.Dialect
		text   string
		values []any
		want   string
	}{
		{maria, "insert into t values ('a', '{}')", []any{`\'` + hostile}, "insert into t values ('a', '\\''" + quoted + "')"},
		{maria, "create table `t_{}` (id int)", []any{"a`; drop"}, "create table `t_a``; drop` (id int)"},
		{maria, `create table {} (id int)`, []any{`a"b`}, `create table "a""b" (id int)`},
		{maria, "select 1 /*!, '{}' */", []any{"it's"}, "select 1 /*!, 'it''s' */"},
		{pg, "insert into t values ('a', '{}')", []any{hostile}, "insert into t values ('a', '" + quoted + "')"},
		{pg, "insert into t values ('a', {})", []any{hostile}, "insert into t values ('a', '" + quoted + "')"},
		{pg, "insert into t values ('a', {}), ({}, {})", []any{int64(-1), "b", true}, "insert into t values ('a', -1), ('b', true)"},
		{pg, "insert into t values (E'a\\n{}')", []any{`\'; drop`}, `insert into t values (E'a\n\\''; drop')`},
		{pg, "select * from t where a like '%{}%'", []any{`\'`}, `select * from t where a like '%\''%'`},
		{pg, "select N'{}'", []any{"'"}, "select N''''"},
		{pg, `create table "t_{}" (id int)`, []any{`a"; drop`}, `create table "t_a""; drop" (id int)`},
		{pg, `create table {}.{} (id int)`, []any{`a"b`, "c d"}, `create table "a""b"."c d" (id int)`},
		{pg, `create table if not exists {} ({} text, x int)`, []any{"T", `x"`}, `create table if not exists "T" ("x""" text, x int)`},
		{pg, `grant select on {} to {}`, []any{"t", "acme-prod"}, `grant select on "t" to "acme-prod"`},
		{pg, `alter table t owner to {}`, []any{"r"}, `alter table t owner to "r"`},
		{pg, `select 5-{}`, []any{int64(-1)}, `select 5-(-1)`},
		{pg, `select -{}::int`, []any{int64(-1)}, `select -(-1)::int`},
		{pg, `select * from t limit {}`, []any{int64(3)}, `select * from t limit 3`},
		{pg, `create sequence s increment by {}`, []any{int64(-2)}, `create sequence s increment by -2`},
		{pg, `select * from t where a in ({})`, []any{[]any{"a'", int64(1)}}, `select * from t where a in ('a''', 1)`},
		{pg, `select array[{}]`, []any{[]any{"a", "b"}}, `select array['a', 'b']`},
		{pg, `select '{}'::json, interval '{} days', '{}'::text[]`, []any{`{"a":'`, int64(3), "{a}"}, `select '{"a":'''::json, interval '3 days', '{a}'::text[]`},
		{pg, `select a from t where b = {} and c > {}`, []any{"x", 1.5}, `select a from t where b = 'x' and c > 1.5`},
		{pg, "select 1 -- 'a\nfrom {}", []any{"t"}, "select 1 -- 'a\nfrom \"t\""},
		{pg, "select 1 /* ' /* \" */ ' */ from {}", []any{"t"}, "select 1 /* ' /* \" */ ' */ from \"t\""},
		{pg, "select $a$ ' $b$ $a$, '{}'", []any{"'"}, "select $a$ ' $b$ $a$, ''''"},
		{pg, "select a$b$, '{}', c$b$", []any{"'"}, "select a$b$, '''', c$b$"},
		{pg, "comment on table t is '{}'", []any{"it\u2019s\n'"}, "comment on table t is 'it\u2019s\n'''"},
		{pg, "create function f() returns text language sql return '{}'", []any{"'"}, "create function f() returns text language sql return ''''"},
		{pg, "insert into t values ({})", []any{nil}, "insert into t values (null)"},
		{lite, "insert into t values ('{}', {})", []any{`\'`, hostile}, `insert into t values ('\''', '` + quoted + `')`},
		{lite, "create table [t_{}] (a)", []any{"b[c"}, "create table [t_b[c] (a)"},
		{lite, "create table `t_{}` (a)", []any{"b`c"}, "create table `t_b``c` (a)"},
		{lite, "select 1 /* /* */ from {}", []any{"t"}, `select 1 /* /* */ from "t"`},
		{lite, "select e'{}'", []any{`\'`}, `select e'\'''`},
	} {
		got, refused, bad := filled(tt.d, tt.text, tt.values...)
		if len(refused) > 0 || bad != nil {
			t.Errorf("%s: refused %v, %v", tt.text, refused, bad)
		} else if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// A role that is called like everybody would be everybody.
func TestNobodyIsPublic(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"grant select on t to {}", `grant select on t to "{}"`, "grant select on t to a, {}", "revoke all on t from {}", "alter table t owner to {}", `create policy p on t to "{}" using (true)`, "create schema s authorization {}"} {
		for _, v := range []string{"public", "none"} {
			if got, _, bad := filled(sqltext.PostgreSQL(), text, v); bad == nil {
				t.Errorf("%s becomes %s", text, got)
			}
		}
	}
	if got, refused, bad := filled(sqltext.PostgreSQL(), "select * from {}.t", "public"); bad != nil || len(refused) > 0 || got != `select * from "public".t` {
		t.Errorf("the schema public: %s, %v, %v", got, refused, bad)
	}
}

// What can't be told is no value's place before its value is known, and what an older
// release let pass takes words and numbers there.
func TestUnknownKinds(t *testing.T) {
	t.Parallel()
	pg := sqltext.PostgreSQL()
	write, refused := pg.Read([]string{"select ", " from t"}, []connector.ValueKind{connector.Any})
	if len(refused) != 1 {
		t.Errorf("a value of a kind that isn't known is taken")
	}
	for v, want := range map[any]string{"a": "select a from t", int64(-3): "select -3 from t", "a, b": ""} {
		if got, _ := write([]any{v}); got != want {
			t.Errorf("%v: %s", v, got)
		}
	}
	for _, text := range []string{"do $$ begin insert into t values ('{}'); end $$", "do $x$ begin perform 5-{}; end $x$"} {
		write, refused := pg.Read(strings.Split(text, "{}"), []connector.ValueKind{connector.Text})
		if len(refused) != 1 {
			t.Errorf("%s is taken", text)
		}
		if got, bad := write([]any{"O'Brien"}); bad != nil || !strings.Contains(got, "'O''Brien'") {
			t.Errorf("%s becomes %s, %v", text, got, bad)
		}
		if got, bad := write([]any{"$$; drop table t; $$"}); bad == nil {
			t.Errorf("%s becomes %s", text, got)
		}
	}
	if _, refused := pg.Read([]string{"select '\x00', '", "'"}, []connector.ValueKind{connector.Text}); len(refused) != 1 {
		t.Error("a text with a NUL is taken")
	}
}

// Where the place can't be told, nothing is written that somebody could mean harm by.
func TestRefuse(t *testing.T) {
	t.Parallel()
	pg, lite, maria := sqltext.PostgreSQL(), sqltext.SQLite(), sqltext.MariaDB()
	for _, tt := range []struct {
		d    sqltext.Dialect
		text string
	}{
		{pg, "{}"},
		{pg, "create table t_{} (id int)"},
		{pg, "create table {}_t (id int)"},
		{pg, "select 1 -- {}\n"},
		{pg, "select 1 /* {} */"},
		{pg, "select 1 /* /* */ {} */"},
		{pg, "do $$ begin perform '{}'; end $$"},
		{pg, "do 'begin perform ''{}''; end'"},
		{pg, "create function f() returns int language sql as 'select {}'"},
		{pg, "create function f() returns int language c as 'lib', '{}'"},
		{pg, "create or replace procedure f() language sql as $x$ select '{}' $x$"},
		{pg, "select {} from t"},
		{pg, "select * from t where {}"},
		{pg, "select * from t order by {}"},
		{pg, "grant {} on t to r"},
		{pg, "select 'a'::{}"},
		{pg, "select '{"},
		{pg, "select 'a{}"},
		{pg, "select U&'{}'"},
		{pg, `select U&"{}"`},
		{pg, "select x'{}', b'1'"},
		{pg, `select E'\{}'`},
		{pg, `select E'\x4{}'`},
		{pg, `select E'\u00{}'`},
		{pg, `select E'\1{}'`},
		{pg, "select E'a'\n'{}'"},
		{pg, "select E'a' -- c\n'{}'"},
		{pg, "select '{}'{}"},
		{pg, "select {}'a'"},
		{pg, "select {}{}"},
		{pg, "select E{}"},
		{pg, "select ${}"},
		{pg, `select '{"a": "{}"}'::json`},
		{pg, `select jsonb_path_query(d, '$.{}') from t`},
		{pg, `select '{a,{}}'::text[]`},
		{pg, `select 'a,{}'::text[]`},
		{pg, `select cast('a{}' as jsonb)`},
		{pg, `select json ' "{}" '`},
		{pg, `select 't_{}.orders'::regclass`},
		{pg, `select query_to_xml('select {}', true, true, '')`},
		{pg, `select dblink('c', 'select {}')`},
		{pg, `copy t from program 'cat {}'`},
		{pg, `copy t to '{}'`},
		{pg, "{} table t"},
		{pg, `select lower({})`},
		{maria, "select 1 # {}\n"},
		{maria, "select 1 -- {}\n"},
		{maria, "select @{}"},
		{maria, "prepare s from 'select {}'"},
		{maria, "execute immediate 'select {}'"},
		{maria, "select load_file('{}')"},
		{maria, "select 1 into outfile '{}'"},
		{maria, "load data infile '{}' into table t"},
		{lite, "select :{}"},
		{lite, "select x'{}'"},
		{lite, "attach '{}' as other"},
		{lite, "create virtual table v using fts5(a, content='{}')"},
		{lite, "select load_extension('{}')"},
		{lite, "pragma journal_mode = '{}'"},
	} {
		for _, evil := range []string{hostile, `\'; drop table t; --`, "*/ drop table t; /*", "x\n; drop table t", `"; drop table t; --`, `","admin":true,"a":"`, "$$; drop table t; $$", "1; drop table t", "t, u", "a b", "'"} {
			n := strings.Count(tt.text, "{}")
			values := make([]any, n)
			for i := range values {
				values[i] = evil
			}
			if n == 0 {
				continue
			}
			got, refused, bad := filled(tt.d, tt.text, values...)
			if len(refused) == 0 {
				t.Errorf("%s is taken", tt.text)
			}
			if bad == nil && strings.Contains(evil, "drop") && !strings.Contains(tt.text, "$") && !strings.Contains(tt.text, "/*") {
				t.Errorf("%s with %q becomes %s", tt.text, evil, got)
			}
		}
	}
}
