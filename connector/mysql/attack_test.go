package mysql

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// use runs statements with the platform's database as the session's own.
func (w *world) use(t testing.TB, sql string) {
	t.Helper()
	conn, err := w.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "use "+quote(w.app)+"; "+sql); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentsThatTriggersWrite reads a key in the JSON that a trigger writes.
func TestDocumentsThatTriggersWrite(t *testing.T) {
	t.Parallel()
	for body, free := range map[string]bool{
		"json_object('tenant', old.tenant, 'was', old.id)":                            true,
		"json_object('was', concat('a', 'b'), 'tenant', old.tenant)":                  true,
		"json_object('tenant', old.tenant, 'tenant', 'x')":                            false,
		"json_object('tenant', 'x', 'was', old.tenant)":                               false,
		"json_object('was', json_object('tenant', old.tenant))":                       false,
		"json_object('tenant', json_object('tenant', old.tenant))":                    false,
		"json_insert(json_object('tenant', old.tenant), '$.tenant', 'x')":             false,
		"if(old.id > 7, json_object('tenant', old.tenant), json_object('tenant', 1))": false,
		"concat(json_object('tenant', old.tenant), '')":                               false,
		"json_object('Tenant', old.tenant)":                                           false,
		"json_object('tenant', upper(old.tenant))":                                    false,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, nil)
			w.use(t, "create table log (id int primary key auto_increment, body json); create trigger tr after delete on notes for each row insert into log (body) values ("+body+")")
			r := w.pool("one", "acme", w.covered("log"))
			r.Attributes["columns"] = map[string]any{"log": "body->>tenant"}
			made(t, d, r)
			got := blocks(t, d, connector.Survey{Ref: r})
			if free != (len(got) == 0) {
				t.Errorf("blocked by %q", got)
			}
			if !free {
				return
			}
			w.exec(t, "insert into %s (tenant) values ('acme'), ('birch')", quote(w.app, "notes"))
			erased(t, d, r, "data")
			erased(t, d, r, "data")
			if n := w.number(t, "select count(*) from "+quote(w.app, "log")); n != 0 {
				t.Errorf("%d rows that the erasure wrote are left", n)
			}
		})
	}
}

// TestPathsInDocuments takes a path however it is written.
func TestPathsInDocuments(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"body->>tenant", "body->'of'->>'tenant'", "body->of->>tenant"} {
		w := openWorld(t)
		d := w.opened(t, nil)
		w.use(t, "create table log (id int primary key, body json)")
		r := w.pool("one", "acme", w.covered("log"))
		r.Attributes["columns"] = map[string]any{"log": path}
		made(t, d, r)
		doc := `{"tenant": "acme", "of": {"tenant": "acme"}}`
		w.exec(t, "insert into %s values (1, '%s'), (2, '%s'), (3, '{}'), (4, null)", quote(w.app, "log"), doc, strings.ReplaceAll(doc, "acme", "ACME"))
		if got := erased(t, d, r, "data"); got[w.app+".log"] != 1 {
			t.Errorf("%s: erased %v", path, got)
		}
	}
}

// TestColumnsInAnotherCase would leave the rows of a table whose tenant column is
// written otherwise: the server takes both for one name.
func TestColumnsInAnotherCase(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	w.use(t, "create table shout (ID int primary key, TENANT varchar(40)); create table loose (id int primary key, Tenant varchar(40))")
	r := made(t, d, w.pool("one", "acme", w.covered("shout")))
	w.use(t, "insert into shout values (1, 'acme'), (2, 'birch'); insert into loose values (1, 'acme')")
	if got := blocks(t, d, connector.Survey{Ref: r}); !slices.Equal(got, []string{"table " + w.app + ".loose"}) {
		t.Errorf("blocked by %q", got)
	}
	if got := erased(t, d, r, "data"); got[w.app+".shout"] != 1 {
		t.Errorf("erased %v", got)
	}
}

// TestReferencesThatACollationMakes follows a reference that is equal to its row in the
// column's collation alone.
func TestReferencesThatACollationMakes(t *testing.T) {
	t.Parallel()
	for name, does := range map[string]string{"kept": "restrict", "cascading": "cascade"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, nil)
			w.use(t, `create table site (code varchar(20) character set utf8mb4 collate utf8mb4_general_ci primary key, tenant varchar(40));
create table visit (id int primary key, site varchar(20) character set utf8mb4 collate utf8mb4_general_ci not null, foreign key (site) references site (code) on delete `+does+` on update cascade)`)
			r := made(t, d, w.pool("one", "acme", w.covered("site", "visit")))
			w.use(t, "insert into site values ('Köln', 'acme'), ('Bonn', 'birch'); insert into visit values (1, 'KOLN'), (2, 'köln '), (3, 'BONN')")
			got := erased(t, d, r, "data")
			if got[w.app+".visit"] != 2 || got[w.app+".site"] != 1 {
				t.Errorf("erased %v", got)
			}
			if n := w.number(t, "select count(*) from "+quote(w.app, "visit")); n != 1 {
				t.Errorf("%d visits are left of 1", n)
			}
		})
	}
}

// TestReferencesToWhatIsntUnique would lose a neighbour's rows: InnoDB lets a reference
// name a value that several rows have, and cascades when any of them goes.
func TestReferencesToWhatIsntUnique(t *testing.T) {
	t.Parallel()
	for _, does := range []string{"restrict", "cascade", "set null"} {
		t.Run(does, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, nil)
			w.use(t, `create table kinds (id int primary key, tenant varchar(40), code varchar(10), key (code));
create table things (id int primary key, tenant varchar(40), code varchar(10), foreign key (code) references kinds (code) on delete `+does+`)`)
			r := made(t, d, w.pool("one", "acme", w.covered("kinds", "things")))
			w.use(t, "insert into kinds values (1, 'acme', 'x'), (2, 'birch', 'x'), (3, 'acme', 'y'); insert into things values (1, 'acme', 'x'), (2, 'birch', 'x'), (3, 'acme', 'y')")
			if got := blocks(t, d, connector.Survey{Ref: r}); !slices.Contains(got, "order "+w.app+".kinds") {
				t.Errorf("blocked by %q", got)
			}
			_, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "data", Limit: 30})
			refusedBy(t, "an erasure from it", err, tenure.Blocked, "no unique index")
			if n := w.number(t, "select count(*) from "+quote(w.app, "things")+" where tenant = 'birch' and code = 'x'"); n != 1 {
				t.Error("the neighbour's row isn't as it was")
			}
			w.use(t, "set foreign_key_checks = 0; update things set code = null where id = 2; delete from kinds where id = 2; insert into kinds values (2, 'birch', 'z'); update things set code = 'z' where id = 2; create unique index told on kinds (code); set foreign_key_checks = 1")
			if got := erased(t, d, r, "data"); got[w.app+".kinds"] != 2 {
				t.Errorf("erased %v", got)
			}
		})
	}
}

// TestRightsOfEverybody are those that the server gives to PUBLIC, or on a routine that
// runs with its definer's rights.
func TestRightsOfEverybody(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	own := connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, "own"), Type: "database", Name: w.token + "own", Attributes: map[string]any{"ddl": "create table if not exists t (id int primary key)"}}
	made(t, d, own)
	user := made(t, d, connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, "user"), Type: "user", Name: w.token + "user", Attributes: map[string]any{}})
	shown := func(r connector.Ref) string {
		var out string
		if _, err := d.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error { out = string(o.Attributes); return nil }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		sql, undo string
		of        connector.Ref
		refused   tenure.Code // what Tenure's account can't take back; blank is what a repair ends
	}{
		"public on the database": {"grant select on %[1]s.* to public", "", own, ""},
		"public on a table":      {"grant select on %[1]s.t to public", "", own, ""},
		"a routine":              {"create procedure %[2]s.all_of_it() sql security definer select * from %[2]s.notes; grant execute on procedure %[2]s.all_of_it to '%[3]s'@'%%'", "drop procedure %[2]s.all_of_it", user, ""},
		"a stranger's role":      {"create role '%[3]sr'; grant select on %[2]s.* to '%[3]sr'; grant '%[3]sr' to '%[3]s'@'%%'", "drop role '%[3]sr'", user, tenure.Forbidden},
		"another host":           {"create user '%[3]s'@'10.%%' identified by 'xyz'; grant select on %[2]s.* to '%[3]s'@'10.%%'", "drop user '%[3]s'@'10.%%'", user, tenure.Conflict},
		"everything":             {"grant select on *.* to '%[3]s'@'%%'", "", user, ""},
		"as another":             {"create user '%[3]sp'@'%%'; grant proxy on '%[3]sp'@'%%' to '%[3]s'@'%%'", "drop user '%[3]sp'@'%%'; delete from mysql.proxies_priv where user = '%[3]s'; flush privileges", user, tenure.Forbidden},
	} {
		before := shown(c.of)
		w.exec(t, c.sql, quote(own.Name), quote(w.app), user.Name)
		if after := shown(c.of); after == before {
			t.Errorf("%s: a right that nobody gave by Tenure isn't seen: %s", name, after)
		}
		_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: c.of})
		if c.refused != "" {
			refusedBy(t, name, err, c.refused)
		} else if err != nil {
			t.Errorf("%s: the repair: %v %q", name, err, tenure.HintsOf(err))
		}
		if c.undo != "" {
			w.exec(t, c.undo, quote(own.Name), quote(w.app), user.Name)
		}
		if after := shown(c.of); after != before {
			t.Errorf("%s: after the repair: %s, want %s", name, after, before)
		}
	}
}

// TestLocksOfOthers ends a call that others keep waiting with an error that a retry helps,
// with nothing done, and goes on once they are through.
func TestLocksOfOthers(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"a row":                      "start transaction; update notes set id = id + 1000 where tenant = 'acme'",
		"a gap":                      "set transaction isolation level serializable; start transaction; select * from notes where tenant = 'acme' for update",
		"a table":                    "lock tables notes write, orders write",
		"a reading table":            "lock tables notes read",
		"a prepared transaction":     "xa start 'NAME'; update notes set id = id + 1000 where tenant = 'acme'; xa end 'NAME'; xa prepare 'NAME'",
		"a reader of the definition": "start transaction; select * from notes",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, map[string]string{"timeout": "2s"})
			r := made(t, d, w.pool("one", "acme", w.covered()))
			w.use(t, "insert into notes (tenant) values ('acme'), ('birch')")
			conn, err := w.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.ExecContext(t.Context(), "use "+quote(w.app)+"; "+strings.ReplaceAll(sql, "NAME", w.token)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "data", Limit: 10})
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it waits %s", took)
			}
			if name != "a reader of the definition" && (tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err)) || name == "a reader of the definition" && err != nil {
				t.Errorf("the erasure says %v", err)
			}
			end := "rollback; unlock tables"
			if strings.HasPrefix(sql, "xa") {
				end = "xa rollback '" + w.token + "'"
			}
			if _, err := conn.ExecContext(t.Context(), end); err != nil {
				t.Fatal(err)
			}
			erased(t, d, r, "data")
			if n := w.number(t, "select count(*) from "+quote(w.app, "notes")); n != 1 {
				t.Errorf("%d rows are left of 1", n)
			}
		})
	}
}

// TestAccountsOfOneName would take another account of the tenant's name for the tenant's
// own, and leave that one alive.
func TestAccountsOfOneName(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	r := connector.Ref{Resource: tenure.NewID[tenure.ResourceID](epoch), Type: "user", Name: w.token + "many", Attributes: map[string]any{"host": "127.0.0.1"}}
	if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r, Credential: tenure.NewSecret("its-own")}); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "create user '%[1]s'@'%%' identified by 'by-hand'; create user '%[1]s'@'::1' identified by 'by-hand'", r.Name)
	locked := func() int {
		return w.number(t, "select count(*) from mysql.global_priv where user = '"+r.Name+"' and json_value(priv, '$.account_locked') = 1")
	}
	for _, c := range []struct {
		call  func() error
		locks int
		works bool
	}{
		{func() error { _, err := d.Suspend(t.Context(), r); return err }, 3, false},
		{func() error { _, err := d.Resume(t.Context(), r); return err }, 2, true},
		{func() error { _, err := d.Revoke(t.Context(), r); return err }, 3, false},
	} {
		if err := c.call(); err != nil {
			t.Fatal(err)
		}
		if n := locked(); n != c.locks || w.signsIn(t, r.Name, "its-own") != c.works || w.signsIn(t, r.Name, "by-hand") {
			t.Errorf("%d accounts are locked of %d; the tenant's works: %t", n, c.locks, w.signsIn(t, r.Name, "its-own"))
		}
	}
	for range 3 {
		_, err := d.Delete(t.Context(), r)
		refusedBy(t, "the deletion", err, tenure.Blocked, "%", "::1")
	}
	if w.is(t, "from mysql.global_priv where user = '%s' and host = '127.0.0.1'", r.Name) || locked() != 2 {
		t.Error("the tenant's own account is there still, or another isn't locked")
	}
	w.exec(t, "drop user '%[1]s'@'%%', '%[1]s'@'::1'", r.Name)
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Error(err)
	}
	if w.is(t, "from %s where name = '%s'", quote(w.keep, "mark"), r.Name) {
		t.Error("its mark is left")
	}
}

// TestTenantColumnsThatAreMade finds rows by a tenant column that the server works out.
func TestTenantColumnsThatAreMade(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"virtual", "stored"} {
		w := openWorld(t)
		d := w.opened(t, nil)
		w.use(t, `create table docs (id int primary key, body json, tenant varchar(40) as (json_value(body, '$.tenant')) `+kind+`, key (tenant));
create table pages (id int primary key, doc int not null, foreign key (doc) references docs (id) on delete cascade)`)
		r := made(t, d, w.pool("one", "acme", w.covered("docs", "pages")))
		w.use(t, `insert into docs (id, body) values (1, '{"tenant": "acme"}'), (2, '{"tenant": "birch"}'), (3, '{}'), (4, null); insert into pages values (1, 1), (2, 2)`)
		if got := blocks(t, d, connector.Survey{Ref: r}); len(got) > 0 {
			t.Errorf("%s: blocked by %q", kind, got)
		}
		if got := erased(t, d, r, "data"); got[w.app+".docs"] != 1 || got[w.app+".pages"] != 1 {
			t.Errorf("%s: erased %v", kind, got)
		}
	}
}

// TestReferencesThatTakeTheKey would lose rows for good: where a reference of several
// columns becomes null, InnoDB turns all of them to null, the tenant's key among them.
func TestReferencesThatTakeTheKey(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"staff", "stores"} {
		t.Run(first+" first", func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, nil)
			w.use(t, `create table staff (tenant varchar(40) not null, id int, primary key (tenant, id));
create table stores (id int primary key, tenant varchar(40), manager int, city varchar(40), foreign key (tenant, manager) references staff (tenant, id) on delete set null on update cascade)`)
			r := w.pool("one", "acme", map[string]string{"staff": "people", "stores": "places", "notes": "people", "orders": "people"})
			r.Classes = []string{"people", "places"}
			made(t, d, r)
			w.use(t, "insert into staff values ('acme', 1), ('birch', 1); insert into stores values (1, 'acme', 1, 'Köln'), (2, 'birch', 1, 'Bonn')")
			order := []string{"people", "places"}
			if first == "stores" {
				order = []string{"places", "people"}
			}
			got := blocks(t, d, connector.Survey{Ref: r, Order: order})
			for _, class := range order {
				for range 10 {
					e, err := d.Erase(t.Context(), r, connector.Batch{Run: "run-" + class, Class: class, Limit: 10})
					if err != nil && tenure.CodeOf(err) != tenure.Blocked {
						t.Fatalf("%s: %v", class, err)
					}
					if err != nil || e.Done {
						break
					}
				}
			}
			lost := w.number(t, "select count(*) from "+quote(w.app, "stores")+" where tenant is null")
			left := w.number(t, "select count(*) from "+quote(w.app, "stores")+" where city = 'Köln'")
			if lost > 0 || left > 0 && len(got) == 0 {
				t.Errorf("%d rows have lost their key, %d are left; the map blocks by %q", lost, left, got)
			}
			if n := w.number(t, "select count(*) from "+quote(w.app, "stores")+" where tenant = 'birch' and manager = 1"); n != 1 {
				t.Error("the neighbour's row isn't as it was")
			}
		})
	}
}

// TestDeadlocks gives a deadlock with an application back as an error that a retry helps,
// or lets the application lose; either way both get through.
func TestDeadlocks(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	r := made(t, d, w.pool("one", "acme", w.covered()))
	w.use(t, "insert into notes (tenant) select if(seq % 2, 'acme', 'birch') from seq_1_to_400; insert into orders (tenant, note) select if(id % 2, 'acme', 'birch'), id from notes")
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	done := make(chan bool)
	go func() {
		defer close(done)
		for ctx.Err() == nil { // in the other order than an erasure
			_, _ = w.db.ExecContext(ctx, "start transaction; update "+quote(w.app, "notes")+" set tenant = tenant where id between 1 and 400; update "+quote(w.app, "orders")+" set note = note where id > 0; commit")
		}
	}()
	cursor := ""
	for ctx.Err() == nil {
		e, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "data", Limit: 40, Cursor: cursor})
		if err != nil && (tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err)) {
			t.Fatalf("%v (%s)", err, tenure.CodeOf(err))
		}
		if err == nil {
			if cursor = e.Cursor; e.Done {
				break
			}
		}
	}
	stop()
	<-done
	if n := w.number(t, "select count(*) from "+quote(w.app, "notes")); n != 200 {
		t.Errorf("%d rows are left of 200", n)
	}
}
