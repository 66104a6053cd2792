package mysql

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/mariadbtest"
)

// pool is a resource of type rows over tables of the platform's database.
func (w *world) pool(name, key string, tables map[string]string) connector.Ref {
	all := map[string]any{}
	for t, class := range tables {
		all[t] = class
	}
	return connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, name), Tenant: tenure.TenantID("ten_" + name), Type: "rows", Name: name,
		Attributes: map[string]any{"schema": w.app, "column": "tenant", "key": key, "tables": all}}
}

func made(t *testing.T, d *Driver, r connector.Ref) connector.Ref {
	t.Helper()
	if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r}); err != nil {
		t.Fatalf("ensure %s: %v %q", r.Name, err, tenure.HintsOf(err))
	}
	return r
}

// blocks are the places of a map that block, by kind and name.
func blocks(t *testing.T, d *Driver, v connector.Survey) (out []string) {
	t.Helper()
	m, err := d.DataMap(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Places {
		if p.Blocks {
			if p.Says == "" || p.Fix == "" {
				t.Errorf("place %+v blocks, and doesn't say why or what to do", p)
			}
			out = append(out, string(p.Kind)+" "+p.Name)
		}
	}
	slices.Sort(out)
	return out
}

func erased(t *testing.T, d *Driver, r connector.Ref, class string) map[string]int64 {
	t.Helper()
	cursor := ""
	for range 200 {
		e, err := d.Erase(t.Context(), r, connector.Batch{Run: "run-" + class, Class: class, Limit: 3, Cursor: cursor})
		if err != nil {
			t.Fatalf("erase %s: %v %q", r.Name, err, tenure.HintsOf(err))
		}
		if cursor = e.Cursor; e.Done {
			return e.Total
		}
	}
	t.Fatal("the erasure doesn't end")
	return nil
}

func refusedBy(t *testing.T, what string, err error, code tenure.Code, words ...string) {
	t.Helper()
	if tenure.CodeOf(err) != code || err == nil {
		t.Errorf("%s: got %v (%s), want %s", what, err, tenure.CodeOf(err), code)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v doesn't say %q", what, err, word)
		}
	}
}

// covered is every table of the platform's database.
func (w *world) covered(more ...string) map[string]string {
	out := map[string]string{"notes": "data", "orders": "data"}
	for _, name := range more {
		out[name] = "data"
	}
	return out
}

// TestKeysThatACollationTakesForEqual would lose a neighbour's rows, or leave the
// tenant's: 'ACME', 'acme ' and 'ácme' are equal to 'acme' where a column says so.
func TestKeysThatACollationTakesForEqual(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	w.exec(t, "create table %s (id int primary key, tenant varchar(20) character set latin1 collate latin1_swedish_ci, key (tenant))", quote(w.app, "old"))
	acme, upper := made(t, d, w.pool("one", "acme", w.covered("old"))), made(t, d, w.pool("two", "ACME", w.covered("old")))
	w.exec(t, "insert into %[1]s values (1, 'acme'), (2, 'ACME'), (3, 'acme '), (4, 'ácme'), (5, 'acme-2'); insert into %[2]s (tenant) values ('acme'), ('ACME'), ('ácme')", quote(w.app, "old"), quote(w.app, "notes"))
	if got := blocks(t, d, connector.Survey{Ref: acme}); !slices.Equal(got, []string{"key " + w.app + ".notes.tenant", "key " + w.app + ".old.tenant", "key " + w.app + ".old.tenant"}) {
		t.Errorf("blocked by %q", got)
	}
	if got := erased(t, d, acme, "data"); got[w.app+".old"] != 1 || got[w.app+".notes"] != 1 {
		t.Errorf("erased %v", got)
	}
	if n := w.number(t, "select count(*) from "+quote(w.app, "old")); n != 4 {
		t.Errorf("%d rows are left of 4 that aren't the tenant's", n)
	}
	if got := erased(t, d, upper, "data"); got[w.app+".old"] != 1 {
		t.Errorf("erased %v", got)
	}
}

// TestKeysOfOtherTypes would take tenant 7 for tenant '7abc', as the server does.
func TestKeysOfOtherTypes(t *testing.T) {
	t.Parallel()
	for typ, c := range map[string]struct{ key, bad, rows, left string }{
		"int":           {"7", "7abc", "7, 70, 8, 0", "0, 8, 70"},
		"bigint":        {"12", "012", "12, 120", "120"},
		"decimal(6,2)":  {"1.50", "1.5x", "1.5, 15", "15.00"},
		"binary(8)":     {"acme", "", "'acme', 'acme2'", ""},
		"varbinary(20)": {"acme", "", "'acme', 'ACME', 'acme '", ""},
		"uuid":          {"c9a6f1b0-0000-4000-8000-000000000001", "c9a6", "'c9a6f1b0-0000-4000-8000-000000000001', 'c9a6f1b0-0000-4000-8000-000000000002'", "c9a6f1b0-0000-4000-8000-000000000002"},
		"enum('a','b')": {"a", "", "'a', 'b'", "b"},
	} {
		t.Run(typ, func(t *testing.T) {
			w := openWorld(t)
			d := w.opened(t, nil)
			w.exec(t, "drop table %[1]s.orders; drop table %[1]s.notes; create table %[1]s.typed (id int auto_increment primary key, tenant %[2]s)", quote(w.app), typ)
			only := map[string]string{"typed": "data"}
			if c.bad != "" {
				_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: w.pool("bad", c.bad, only)})
				if typ != "uuid" {
					refusedBy(t, "a key that the column can't hold", err, tenure.Invalid)
				}
			}
			r := made(t, d, w.pool("one", c.key, only))
			for row := range strings.SplitSeq(c.rows, ", ") {
				w.exec(t, "insert into %s (tenant) values (%s)", quote(w.app, "typed"), row)
			}
			total := erased(t, d, r, "data")
			if total[w.app+".typed"] != 1 {
				t.Errorf("erased %v", total)
			}
			if n := w.number(t, "select count(*) from "+quote(w.app, "typed")); n != strings.Count(c.rows, ", ") {
				t.Errorf("%d rows are left of %d", n, strings.Count(c.rows, ", "))
			}
		})
	}
}

// TestPastRows would leave a tenant's rows behind as past ones, or forget a neighbour's.
func TestPastRows(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	w.exec(t, "create table %s (id int primary key, tenant varchar(20)) with system versioning", quote(w.app, "ledger"))
	r := made(t, d, w.pool("one", "acme", w.covered("ledger")))
	w.exec(t, "insert into %[1]s values (1, 'acme'), (2, 'birch'); update %[1]s set id = id + 10", quote(w.app, "ledger"))
	for _, v := range []connector.Survey{{Ref: r}, {Ref: connector.Ref{Type: r.Type, Name: r.Name, Attributes: r.Attributes}}} {
		if got := blocks(t, d, v); !slices.Contains(got, "order "+w.app+".ledger") {
			t.Errorf("resource %q: blocked by %q", v.Ref.Resource, got)
		}
	}
	_, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "data", Limit: 10})
	refusedBy(t, "an erasure from a versioned table that tenants share", err, tenure.Blocked, "system-versioned")

	own := connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, "own"), Type: "database", Name: w.token + "own",
		Attributes: map[string]any{"ddl": "create table if not exists ledger (id int primary key, v text) with system versioning", "tables": map[string]any{"*": "data"}}}
	made(t, d, own)
	w.exec(t, "insert into %[1]s values (1, 'x'), (2, 'y'); update %[1]s set v = 'z'; delete from %[1]s where id = 2", quote(own.Name, "ledger"))
	erased(t, d, own, "data")
	if n := w.number(t, "select count(*) from "+quote(own.Name, "ledger")+" for system_time all"); n != 0 {
		t.Errorf("%d past rows are left", n)
	}
}

// TestCodeThatCopies finds the triggers and events that keep a copy where nothing erases.
func TestCodeThatCopies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql   string
		cover []string
		want  string // the place that blocks; "" is none
	}{
		"a copy that nothing covers":   {"create table log (id int primary key auto_increment, body text); create trigger tr after insert on notes for each row insert into log (body) values (new.tenant)", nil, "code notes.tr"},
		"a copy on update":             {"create table log (id int primary key auto_increment, body text); create trigger tr after update on notes for each row insert into log (body) select new.tenant", nil, "code notes.tr"},
		"a covered copy with the key":  {"create table log (id int primary key auto_increment, tenant varchar(40)); create trigger tr after delete on notes for each row insert into log (tenant) values (old.tenant)", []string{"log"}, ""},
		"a covered copy without it":    {"create table log (id int primary key auto_increment, tenant varchar(40)); create trigger tr after delete on notes for each row insert into log (tenant) values ('all')", []string{"log"}, "code notes.tr"},
		"a delete elsewhere":           {"create table log (id int primary key auto_increment, tenant varchar(40)); create trigger tr after delete on notes for each row delete from log where id > old.id", []string{"log"}, "code notes.tr"},
		"a procedure":                  {"create procedure p() delete from orders; create trigger tr before delete on notes for each row call p()", nil, "code notes.tr"},
		"a function":                   {"create function f() returns int deterministic return 1; create trigger tr before delete on notes for each row set @x = f()", nil, "code notes.tr"},
		"code in a comment":            {"create trigger tr before delete on notes for each row begin set @x = 1; /*!50001 delete from orders */; end", nil, "code notes.tr"},
		"no more than a look":          {"create trigger tr before update on notes for each row begin if new.tenant is null then signal sqlstate '45000' set message_text = 'no tenant'; end if; set new.tenant = lower(trim(new.tenant)); end", nil, ""},
		"an event that archives":       {"create table log (id int primary key auto_increment, body text); create event ev on schedule every 1 year do insert into log (body) select tenant from notes", nil, "code ev"},
		"an event that runs elsewhere": {"create table log (id int primary key auto_increment, body text); create event ev on schedule every 1 year do delete from log", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, nil)
			conn, err := w.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.ExecContext(t.Context(), "use "+quote(w.app)+"; "+c.sql); err != nil {
				t.Fatal(err)
			}
			r := made(t, d, w.pool("one", "acme", w.covered(c.cover...)))
			var want []string
			if c.want != "" {
				kind, rest, _ := strings.Cut(c.want, " ")
				want = []string{kind + " " + w.app + "." + rest}
			}
			got := blocks(t, d, connector.Survey{Ref: r})
			if !slices.Equal(got, want) {
				t.Errorf("blocked by %q, want %q", got, want)
			}
		})
	}
}

// TestReferencesAcrossDatabases finds what refers to the tenant's rows from a database
// that isn't one of the platform's: a cascade would take its rows along.
func TestReferencesAcrossDatabases(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, map[string]string{"databases": w.app})
	other := w.token + "other"
	w.exec(t, "create database %[1]s; create table %[1]s.invoice (id int primary key, note int not null, foreign key (note) references %[2]s (id) on delete cascade)", quote(other), quote(w.app, "notes"))
	r := made(t, d, w.pool("one", "acme", w.covered()))
	w.exec(t, "insert into %s (id, tenant) values (1, 'acme'); insert into %s values (1, 1)", quote(w.app, "notes"), quote(other, "invoice"))
	if got := blocks(t, d, connector.Survey{Ref: r}); !slices.Contains(got, "table "+other+".invoice") {
		t.Errorf("blocked by %q", got)
	}
	_, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "data", Limit: 10})
	refusedBy(t, "an erasure that would take rows of another database along", err, tenure.Blocked, other+".invoice")
	if n := w.number(t, "select count(*) from "+quote(other, "invoice")); n != 1 {
		t.Errorf("%d rows are left of 1", n)
	}
}

// TestTablesThatCantBeErasedFrom says so before anything goes.
func TestTablesThatCantBeErasedFrom(t *testing.T) {
	t.Parallel()
	for engine, words := range map[string]string{"engine=MyISAM": "engine MyISAM", "engine=Aria": "engine Aria", "engine=InnoDB": "primary key"} {
		w := openWorld(t)
		d := w.opened(t, nil)
		key := ", primary key (id)"
		if words == "primary key" {
			key = ""
		}
		w.exec(t, "create table %s (id int not null, tenant varchar(20)%s) %s", quote(w.app, "odd"), key, engine)
		r := made(t, d, w.pool("one", "acme", w.covered("odd")))
		w.exec(t, "insert into %s values (1, 'acme'), (2, 'birch')", quote(w.app, "odd"))
		if got := blocks(t, d, connector.Survey{Ref: r}); !slices.Contains(got, "order "+w.app+".odd") {
			t.Errorf("%s: blocked by %q", engine, got)
		}
		_, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "data", Limit: 10})
		refusedBy(t, engine, err, tenure.Blocked, words)
	}
}

// TestPartsAndGeneratedColumns erases from partitioned tables and exports every type.
func TestPartsAndGeneratedColumns(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	w.exec(t, `create table %[1]s (id int, tenant varchar(20), n int generated always as (id * 2) stored, v int generated always as (id / 0) virtual, b varbinary(9), j json, x bit(3), d datetime(3), u uuid, f double, primary key (id)) partition by hash (id) partitions 3`, quote(w.app, "parts"))
	r := made(t, d, w.pool("one", "acme", w.covered("parts")))
	for i := range 9 {
		w.exec(t, `insert into %s (id, tenant, b, j, x, d, u, f) values (%d, '%s', x'00ff', '{"a": ["ü\"\\"]}', b'101', '2026-01-02 03:04:05.120', 'c9a6f1b0-0000-4000-8000-000000000001', 0.1)`, quote(w.app, "parts"), i, []string{"acme", "birch"}[i%2])
	}
	var out bytes.Buffer
	if _, err := d.Export(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	if n := exported(t, out.Bytes()); n != 5 {
		t.Errorf("%d rows are exported of 5", n)
	}
	for _, want := range []string{`"b": {"hex": "00FF"}`, `"j": {"a": ["ü\"\\"]}`, `"x": 5`, `"d": "2026-01-02 03:04:05.12"`, `"f": 0.1`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the export lacks %s", want)
		}
	}
	if got := erased(t, d, r, "data"); got[w.app+".parts"] != 5 {
		t.Errorf("erased %v", got)
	}
	if n := w.number(t, "select count(*) from "+quote(w.app, "parts")); n != 4 {
		t.Errorf("%d rows are left of 4", n)
	}
}

// TestQuarantineBringsBackCode would give a database back without its triggers, or with
// some that read their own text in another way than before.
func TestQuarantineBringsBackCode(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	r := connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token), Type: "database", Name: w.token + "own",
		Attributes: map[string]any{"ddl": "create table if not exists t (n int auto_increment primary key, v text)", "tables": map[string]any{"*": "data"}}}
	made(t, d, r)
	w.exec(t, `create user %[2]s identified by 'x'; grant select on %[1]s.* to %[2]s;
create view %[1]s.w as select * from %[1]s.t; create event %[1]s.e on schedule every 1 year starts current_timestamp + interval 1 year do delete from %[1]s.t`, quote(r.Name), account(w.token+"reader", "%"))
	w.exec(t, "create trigger %[1]s.`first` before insert on %[1]s.t for each row set new.v = concat(new.v, '\\')", quote(r.Name))
	w.exec(t, "set sql_mode = ''; create trigger `%[1]s`.`second` before insert on `%[1]s`.t for each row set new.v = concat(new.v, \"\\\"'\"); set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", r.Name)
	add := func() { w.exec(t, "insert into %s (v) values ('x')", quote(r.Name, "t")) }
	add()
	for range 2 {
		if _, err := d.Quarantine(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if w.is(t, "from mysql.db where user = '%s'", w.token+"reader") {
		t.Error("a right on what is quarantined is left")
	}
	if w.is(t, "from information_schema.events where event_schema = %s and status = 'ENABLED'", literal(r.Name)) {
		t.Error("an event of what is quarantined goes on")
	}
	var out bytes.Buffer
	if _, err := d.Export(t.Context(), r, &out); err != nil || exported(t, out.Bytes()) != 1 {
		t.Errorf("the export from quarantine: %v", err)
	}
	for range 2 {
		if _, err := d.Unquarantine(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	add()
	if n := w.number(t, "select count(*) from "+quote(r.Name, "t")+` where v = 'x\"'''`); n != 2 {
		t.Errorf("%d rows of 2 were written by the triggers as they were", n)
	}
	if !w.is(t, "from information_schema.events where event_schema = %s and status = 'ENABLED'", literal(r.Name)) {
		t.Error("the event isn't on again")
	}
	if _, err := d.Quarantine(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if w.is(t, "from information_schema.schemata where schema_name in (%s, %s)", literal(r.Name), literal(asideOf(r.Resource))) {
		t.Error("something is left of it")
	}
}

// TestElevationEndsByItself would let a person stay signed in when Tenure doesn't run.
func TestElevationEndsByItself(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	r := made(t, d, connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token), Type: "database", Name: w.token + "own", Attributes: map[string]any{"ddl": "create table if not exists t (n int primary key)"}})
	id := tenure.NewID[tenure.ElevationID](time.Now())
	e := connector.Elevation{ID: id, Login: connector.LoginName(id), Secret: tenure.NewSecret("elevated-secret"), Until: time.Now().Add(4 * time.Second), Access: tenure.DirectWrite, Refs: []connector.Ref{r}}
	if err := d.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Unelevate(context.Background(), e.Login) })
	db := mariadbtest.Open(t, mariadbtest.As(t, w.dsn, e.Login, e.Secret.Reveal(), r.Name))
	mariadbtest.Exec(t, db, "insert into t values (1); update t set n = 2; select * from t")
	for _, sql := range []string{"delete from t", "truncate table t", "drop table t", "create table u (n int)", "alter table t add m int", "select * from " + quote(w.keep, "mark")} {
		if _, err := db.Exec(sql); !isNumber(err, 1142, 1044, 1143) {
			t.Errorf("%s: %v, want it refused", sql, err)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if !w.is(t, "from information_schema.processlist where user = '%s'", e.Login) && !w.signsIn(t, e.Login, e.Secret.Reveal()) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the login goes on after its end")
		}
	}
}

// TestRightsThatNothingDeclares would let a tenant's user go on with what somebody gave
// it by hand, and let a grant in on databases whose names are like the tenant's.
func TestRightsThatNothingDeclares(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	user := connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+"u"), Tenant: "ten_one", Type: "user", Name: w.token + "user", Attributes: map[string]any{}}
	secret := tenure.NewSecret("a-secret-of-tests")
	if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: user, Credential: secret}); err != nil {
		t.Fatal(err)
	}
	own, like := w.token+"a_1", w.token+"ax1"
	for name, tenant := range map[string]tenure.TenantID{own: "ten_one", like: "ten_two"} {
		made(t, d, connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, name), Tenant: tenant, Type: "database", Name: name, Attributes: map[string]any{"ddl": "create table if not exists t (n int primary key)"}})
	}
	grant := made(t, d, connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+"g"), Tenant: "ten_one", Type: "grant", Name: "g", Attributes: map[string]any{"to": user.Name, "database": own, "privileges": []any{"select"}}})
	reads := func(name string) bool {
		db := mariadbtest.Open(t, mariadbtest.As(t, w.dsn, user.Name, secret.Reveal(), ""))
		defer db.Close()
		_, err := db.Exec("select * from " + quote(name, "t"))
		return err == nil
	}
	if !reads(own) || reads(like) {
		t.Errorf("the grant opens its own database: %v, and one whose name is like it: %v", reads(own), reads(like))
	}
	at := account(user.Name, "%")
	w.exec(t, "grant select, insert on %[1]s.* to %[2]s; grant update (tenant) on %[3]s to %[2]s; grant select on `%[4]s`.* to %[2]s with grant option", quote(w.app), at, quote(w.app, "notes"), w.token+"a_1")
	if !reads(like) {
		t.Error("the pattern opens nothing, so the test shows nothing")
	}
	for _, r := range []connector.Ref{user, grant, {Resource: tenure.DeriveID[tenure.ResourceID](epoch, like), Tenant: "ten_two", Type: "database", Name: like, Attributes: map[string]any{"ddl": "create table if not exists t (n int primary key)"}}} {
		want := connector.Desired{Ref: r}
		if r.Type == "user" {
			want.Credential = secret
		}
		normal, err := d.Normalise(want)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error {
			if bytes.Equal(o.Attributes, normal) {
				t.Errorf("%s %s is observed as if nothing had been given", r.Type, r.Name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: user, Credential: secret}); err != nil {
		t.Fatal(err)
	}
	if got := mariadbtest.Strings(t, w.db, "show grants for "+at); len(got) != 2 {
		t.Errorf("after the repair the user has %q", got)
	}
	if !reads(own) || reads(like) {
		t.Error("the repair took what the grant gives, or left what it doesn't")
	}
}

// TestCheck would leave an operator to find out by failures which rights Tenure lacks.
func TestCheck(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	states := func(asked ...connector.Asked) map[string]connector.RightState {
		c, err := d.Check(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]connector.RightState{}
		for _, r := range c.Rights {
			if out[r.Name] = r.State; (r.State == connector.RightHeld) != (r.Fix == "") {
				t.Errorf("right %+v", r)
			}
		}
		return out
	}
	for name, state := range states(connector.Asked{Type: "database"}, connector.Asked{Type: "user"}, connector.Asked{Type: "rows"}) {
		if state != connector.RightHeld && name != "reload" {
			t.Errorf("of the rights that the guide grants %s is %s", name, state)
		}
	}
	w.exec(t, "revoke set user on *.* from %[1]s; revoke process on *.* from %[1]s; grant file on *.* to %[1]s", account(w.user, "127.0.0.1"))
	got := states()
	if got["set user"] != connector.RightOptional || got["process"] != connector.RightMissing || got["file"] != connector.RightBeyond {
		t.Errorf("set user is %s, process %s, file %s", got["set user"], got["process"], got["file"])
	}
	for _, typ := range []string{"database", "rows"} {
		if got := states(connector.Asked{Type: typ}); got["set user"] != connector.RightMissing || got["reload"] != connector.RightOptional {
			t.Errorf("where %s is asked for set user is %s, reload %s", typ, got["set user"], got["reload"])
		}
	}
	if got := states(connector.Asked{Clean: tenure.RemnantRows}, connector.Asked{Clean: tenure.RemnantLog}); got["reload"] != connector.RightMissing || got["set user"] != connector.RightOptional {
		t.Errorf("where the log is cleaned reload is %s, set user %s", got["reload"], got["set user"])
	}
	w.exec(t, "grant reload on *.* to "+account(w.user, "127.0.0.1"))
	if got := states(connector.Asked{Clean: tenure.RemnantLog}); got["reload"] != connector.RightHeld {
		t.Errorf("reload is %s once it was granted", got["reload"])
	}
}
