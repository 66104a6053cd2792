package mysql

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// zooDDL has something of each kind that a tenant can make in a database of its own.
const zooDDL = `create sequence if not exists numbers;
create table if not exists plain (id int default nextval(numbers) primary key, v varchar(50), hidden int invisible default 7);
create table if not exists myisam (id int, v varchar(50)) engine=MyISAM;
create table if not exists aria (id int primary key, v varchar(50)) engine=Aria;
create table if not exists memory (id int, v varchar(50)) engine=MEMORY;
create table if not exists keyless (v varchar(50));
create table if not exists parts (id int, v varchar(50), primary key (id)) partition by range (id) subpartition by hash (id) subpartitions 2 (partition p0 values less than (10), partition p1 values less than maxvalue);
create table if not exists words (id int primary key, v text, fulltext (v));
create table if not exists past (id int primary key, v varchar(50)) with system versioning;
create table if not exists pastparts (id int, v varchar(50), primary key (id)) with system versioning partition by system_time (partition h history, partition n current);
create table if not exists period (id int, a date, b date, v varchar(50), period for span (a, b), primary key (id, span without overlaps));
create table if not exists place (id int primary key, g point not null, spatial index (g));
create table if not exists made (id int as (json_value(v, '$.id')) stored, v varchar(50), unique (id));
create table if not exists loop_a (id int primary key, b int);
create table if not exists loop_b (id int primary key, a int not null, foreign key (a) references loop_a (id) on delete cascade on update cascade);
alter table loop_a add constraint loop_back foreign key if not exists loop_back (b) references loop_b (id) on delete set null;
create table if not exists "odd ""name"" ` + "`" + `%_é" ("odd ""column""" int primary key, v varchar(50));
create table if not exists FTS_0000000000000001_x (id int primary key, v varchar(50));
create or replace sql security definer view shown as select * from plain;
create or replace view broken as select id from myisam;
create or replace trigger kept before delete on plain for each row set @last = old.id;
create or replace procedure all_of_it() sql security definer select * from plain;
create or replace function one() returns int deterministic return 1;
create or replace event often on schedule every 1 year starts current_timestamp + interval 1 year do delete from plain;
`

const zooRows = `insert into plain (v) values ('qzx1'), ('qzx2'); insert into myisam values (1, 'qzx3'), (1, 'qzx3'); insert into aria values (1, 'qzx4'); insert into memory values (1, 'qzx5');
insert into keyless values ('qzx6'), ('qzx6'); insert into parts values (1, 'qzx7'), (20, 'qzx8'); insert into words values (1, 'qzx9'); insert into past values (1, 'qzxa'), (2, 'qzxb'); update past set v = 'qzxc'; delete from past where id = 2;
insert into pastparts values (1, 'qzxd'); update pastparts set v = 'qzxe'; insert into period values (1, '2026-01-01', '2026-02-01', 'qzxf'); insert into place values (1, point(1, 2)); insert into made (v) values ('{"id": 3}');
insert into loop_a values (1, null); insert into loop_b values (1, 1); update loop_a set b = 1; insert into "odd ""name"" ` + "`" + `%_é" values (1, 'qzxg'); insert into FTS_0000000000000001_x values (1, 'qzxh')`

// TestAllKindsOfTables takes a database with something of every kind through quarantine and
// back, an export and an erasure. If it fails a tenant can keep itself from leaving.
func TestAllKindsOfTables(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	r := connector.Ref{Resource: tenure.NewID[tenure.ResourceID](epoch), Type: "database", Name: w.token + "zoo", Classes: []string{"data"},
		Attributes: map[string]any{"ddl": zooDDL, "tables": map[string]any{"*": "data"}}}
	made(t, d, r)
	in := func(sql string) {
		t.Helper()
		conn, err := w.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), "use "+quote(r.Name)+"; "+sql); err != nil {
			t.Fatal(err)
		}
	}
	in(zooRows)
	in("drop table myisam; create table myisam (id int, w varchar(50)) engine=MyISAM; insert into myisam values (1, 'qzx3')") // and a view that can't be opened
	shape := func() string {
		var out strings.Builder
		for _, table := range w.tables(t, r.Name) {
			fmt.Fprintf(&out, "%s %d\n", table, w.number(t, "select count(*) from "+quote(r.Name, table)))
		}
		return out.String()
	}
	before := shape()
	if got := blocks(t, d, connector.Survey{Ref: r, Order: []string{"data"}, Prove: true}); len(got) > 0 {
		t.Errorf("blocked by %q", got)
	}
	for _, call := range []func() error{
		func() error { _, err := d.Quarantine(t.Context(), r); return err },
		func() error { _, err := d.Unquarantine(t.Context(), r); return err },
	} {
		if err := call(); err != nil {
			t.Fatalf("%v %q", err, tenure.HintsOf(err))
		}
	}
	if after := shape(); after != before {
		t.Errorf("out of quarantine it has %s, and had %s", after, before)
	}
	if n := w.number(t, "select count(*) from information_schema.triggers where trigger_schema = "+literal(r.Name)); n != 1 {
		t.Errorf("%d triggers are there of 1", n)
	}
	if _, err := d.Quarantine(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	erased(t, d, r, "data")
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Fatalf("%v %q", err, tenure.HintsOf(err))
	}
	if n := w.number(t, "select count(*) from information_schema.schemata where schema_name in ("+literals([]string{r.Name, asideOf(r.Resource)})+")"); n != 0 {
		t.Errorf("%d databases are left", n)
	}
}

// tables are the base tables of a database.
func (w *world) tables(t testing.TB, database string) (out []string) {
	t.Helper()
	rows, err := w.db.Query("select table_name from information_schema.tables where table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and table_schema = " + literal(database) + " order by 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	return out
}

// TestHostileNames gives tenants keys and databases that mean something to SQL, and names
// that are as long as the server takes.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	keys := []string{`'`, `\`, `a\'b`, `"`, "`", `%`, `_`, `a%`, `'; drop table notes; --`, "$1", "?", "/*", "a\u00a0b", "名", "😀", strings.Repeat("k", 40), "null", "0", "a", "A", "a ", " a"}
	var refs []connector.Ref
	for i, key := range keys {
		r := w.pool(fmt.Sprintf("pool %d", i), key, w.covered())
		if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r}); err != nil {
			if key == "a " || key == " a" || key == "a\u00a0b" { // refused, or told apart
				refusedBy(t, key, err, tenure.Invalid)
				keys[i] = ""
			} else {
				t.Fatalf("%q: %v", key, err)
			}
		}
		refs = append(refs, r)
	}
	for _, key := range keys {
		if key != "" {
			w.use(t, "insert into notes (tenant) values ("+literal(key)+")")
		}
	}
	left := w.number(t, "select count(*) from "+quote(w.app, "notes"))
	for i, key := range keys {
		if key == "" {
			continue
		}
		if got := erased(t, d, refs[i], "data"); got[w.app+".notes"] != 1 {
			t.Errorf("of %q %v went", key, got)
		}
		if left--; left != w.number(t, "select count(*) from "+quote(w.app, "notes")) {
			t.Fatalf("the erasure of %q took others' rows", key)
		}
	}
	for _, name := range []string{"'", `"`, "`", "%", "_", "a.b", "a/b", "a b", "é", "名前", "#sql-x", "@0023", "a@b", "$x", "--", strings.Repeat("n", 64-len(w.token)), strings.Repeat("é", 64-utf8.RuneCountInString(w.token))} {
		r := connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+name), Type: "database", Name: w.token + name, Classes: []string{"data"},
			Attributes: map[string]any{"ddl": "create table if not exists a (id int primary key); create table if not exists b (id int primary key, a int, foreign key (a) references a (id))", "tables": map[string]any{"*": "data"}}}
		if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r}); err != nil {
			if tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%q: %v %q", name, err, tenure.HintsOf(err))
			}
			continue
		}
		w.exec(t, "insert into %[1]s.a values (1); insert into %[1]s.b values (1, 1)", quote(r.Name))
		if got := erased(t, d, r, "data"); got[r.Name+".a"]+got[r.Name+".b"] != 2 {
			t.Errorf("of %q %v went", name, got)
		}
		if _, err := d.Quarantine(t.Context(), r); err != nil {
			t.Errorf("quarantine of %q: %v", name, err)
		}
		if _, err := d.Delete(t.Context(), r); err != nil {
			t.Errorf("delete of %q: %v", name, err)
		}
	}
	for typ, name := range map[string]string{"database": strings.Repeat("n", 65), "user": strings.Repeat("n", 129), "role": strings.Repeat("n", 129)} {
		_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](epoch), Type: typ, Name: name, Attributes: map[string]any{}}})
		refusedBy(t, "a "+typ+" whose name the server would cut", err, tenure.Invalid)
	}
}
