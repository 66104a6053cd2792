package postgres

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

func TestConformance(t *testing.T) {
	postgrestest.Exec(t, postgrestest.DSN(t), "alter system set ssl = on")
	postgrestest.Exec(t, postgrestest.DSN(t), "select pg_reload_conf()")
	connectortest.Run(t, newWorld)
}

// world is a database of its own, with hands on it that are a superuser's.
type world struct {
	dsn              string // a superuser's
	token            string // begins the names of what is the whole server's
	platform         string // the role that the driver logs in as
	proxy            *postgrestest.Proxy
	mu               sync.Mutex
	conn             *pgx.Conn
	roles, databases atomic.Bool // ones with odd names are tried
}

func newWorld(t *testing.T) *connectortest.World {
	w := openWorld(t)
	w.least(t)
	return &connectortest.World{
		Info:         Info(),
		Options:      map[string]string{"connections": "6"},
		Secrets:      map[string]tenure.Secret{"dsn": tenure.NewSecret(w.proxy.DSN)},
		Cases:        w.cases(),
		Probes:       w.probes(),
		Look:         w.look,
		LoseSentinel: func(t testing.TB) { postgrestest.Exec(t, w.dsn, "delete from tenure.sentinel") },
		Hide: func(t testing.TB) {
			postgrestest.Exec(t, w.dsn, "alter schema tenure owner to tenure; alter role "+quote(w.platform)+" nosuperuser")
		},
		Outage: func(testing.TB) func() { w.proxy.Down(); return w.proxy.Heal },

		ElevatedType: "schema",
		SignIn: func(t testing.TB, login string, secret tenure.Secret, _ connector.Ref) (func() error, error) {
			c, err := pgx.Connect(context.Background(), postgrestest.As(t, w.dsn, login, secret.Reveal()))
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = c.Close(context.Background()) })
			return func() error { _, err := c.Exec(context.Background(), "select 1"); return err }, nil
		},
	}
}

func openWorld(t *testing.T) *world {
	w := &world{dsn: postgrestest.Database(t), token: "t" + postgrestest.Token() + "_"}
	w.platform = w.token + "platform"
	postgrestest.Exec(t, w.dsn, "create role "+quote(w.platform)+" superuser login password 'platform-secret-text'; create role "+quote(w.token+"owner")+"; create schema app;"+`
create schema pool; create table pool.notes (id int generated always as identity primary key, tenant text);
create table pool.orders (id int generated always as identity, tenant text, note int references pool.notes);
create schema granted; create table granted.a (id int); create table granted.b (id int);
create schema shared; create table shared.orders (tenant varchar(40), n int);
alter table shared.orders enable row level security; alter table shared.orders force row level security`)
	var records strings.Builder
	for _, typ := range []string{"account", "api_key", "integration", "session", "setting"} {
		fmt.Fprintf(&records, "create table app.%ss (id text primary key, status text not null default 'new', active bool, seats numeric(9,2), until timestamptz, extra jsonb, secret text, tenure_mark text);", typ)
	}
	w.exec(t, "%s", records.String())
	w.proxy = postgrestest.NewProxy(t, postgrestest.With(t, w.dsn, func(u *url.URL) {
		u.User, u.RawQuery = url.UserPassword(w.platform, "platform-secret-text"), "sslmode=prefer"
	}))
	t.Cleanup(func() { w.clean(t) })
	return w
}

// least takes from the driver's role what docs/system-accounts.md says that it doesn't
// need: what is left is what the guide's statements grant. The shared tables come to
// belong to a role of the application's, as they do on a platform.
func (w *world) least(t *testing.T) {
	w.exec(t, `alter role %[1]s nosuperuser createrole createdb bypassrls; grant pg_monitor, pg_signal_backend to %[1]s; create role %[3]s; grant %[3]s to %[1]s;
do $$ declare it text; begin
 execute format('alter database %%I owner to %%I', current_database(), %[2]s);
 for it in select format('alter schema %%I owner to %[3]s', nspname) from pg_namespace where nspname in ('app', 'pool', 'granted', 'shared')
  union all select format('alter table %%s owner to %[3]s', oid::regclass) from pg_class where relkind = 'r' and relnamespace::regnamespace::text in ('app', 'pool', 'granted', 'shared') loop execute it; end loop;
end $$`, quote(w.platform), literal(w.platform), quote(w.application()))
	options := ""
	if w.modern(t) {
		options = "with admin option"
	}
	w.exec(t, "grant %s to %s %s", quote(w.token+"owner"), quote(w.platform), options)
}

// modern says that the server keeps createrole to the roles that its holder has made.
func (w *world) modern(t testing.TB) bool {
	return w.number(t, "select current_setting('server_version_num')::int") >= version16
}

// application is the role that owns the shared tables.
func (w *world) application() string { return w.token + "application" }

// clean drops what the test left in the whole server.
func (w *world) clean(t *testing.T) {
	defer w.hand(t, func(c *pgx.Conn) error { return c.Close(context.Background()) })
	conn := connect(t, w.dsn)
	for _, db := range strs(t, conn, "select datname from pg_database where datname like $1 or shobj_description(oid, 'pg_database') like $2", w.token+"%", "%"+w.token+"%") {
		postgrestest.Exec(t, w.dsn, "drop database "+quote(db)+" with (force)")
	}
	for _, role := range strs(t, conn, "select rolname from pg_roles where rolname like $1 order by rolname like '%platform'", w.token+"%") {
		postgrestest.Exec(t, w.dsn, "reassign owned by "+quote(role)+" to tenure; drop owned by "+quote(role)+" cascade; drop role "+quote(role))
	}
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func strs(t testing.TB, conn *pgx.Conn, sql string, args ...any) []string {
	t.Helper()
	rows, err := conn.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// look writes down the database's catalog and rows, and the server's roles and
// databases that are this world's.
func (w *world) look(t testing.TB) (text string) {
	t.Helper()
	w.hand(t, func(c *pgx.Conn) error {
		text = w.seen(t, c)
		return nil
	})
	return text
}

func (w *world) seen(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	on := func(column string, odd bool) string {
		mine := "($1 <> '' and $1 = split_part(x, '_', 1) || '_')"
		if odd && strings.Contains(t.Name()+"/", "names/") { // those of another world's check are no change of this one
			mine = "(" + mine + ` or not (x ~ '^t[0-9a-f]{12}_|_[0-9a-f]{12}$' or x = 't_heir' or x like 'test\_%' or x like 'tenure%' or x like 'pg\_%'))`
		}
		return strings.ReplaceAll(mine, "x", column)
	}
	var out []string
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{sql: "select concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl, obj_description(oid, 'pg_namespace')) from pg_namespace where nspname not like 'pg_temp%' and nspname not like 'pg_toast_temp%'"},
		{sql: "select concat_ws(' ', 'relation', relnamespace::regnamespace, relname, relkind, relowner::regrole, relacl, relrowsecurity, relforcerowsecurity, relnatts) from pg_class where relnamespace >= 16384 and relkind <> 't' and relname not like 'pg_toast%'"},
		{sql: "select concat_ws(' ', 'policy', polrelid::regclass, polname, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) from pg_policy"},
		{"select concat_ws(' ', 'role', a.rolname, rolsuper, rolcanlogin, rolcreatedb, rolconnlimit, rolpassword, shobj_description(oid, 'pg_authid'), (select array_agg(roleid::regrole order by roleid::regrole::text) from pg_auth_members where member = a.oid)) from pg_authid a where " + on("a.rolname", w.roles.Load()), []any{w.token}},
		{"select concat_ws(' ', 'database', b.datname, datdba::regrole, datacl, datallowconn, datconnlimit, shobj_description(oid, 'pg_database')) from pg_database b where " + on("b.datname", w.databases.Load()) +
			" or shobj_description(oid, 'pg_database') like '%' || $1 || '%'", []any{w.token}},
	} {
		out = append(out, strs(t, conn, q.sql, q.args...)...)
	}
	var rows []string
	for _, table := range strs(t, conn, "select c.oid::regclass::text from pg_class c where c.relkind = 'r' and c.relnamespace >= 16384 and c.relnamespace::regnamespace::text not like 'pg_%'") {
		rows = append(rows, "select concat_ws(' ', 'rows', "+literal(table)+", count(*), md5(string_agg(t::text, '|' order by t::text))) from "+table+" t")
	}
	out = append(out, strs(t, conn, strings.Join(rows, " union all "))...)
	out = slices.DeleteFunc(out, stage.MatchString)
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// stage are the roles that samples stand on; setting them up is no change.
var stage = regexp.MustCompile(`^role t[0-9a-f]{12}_[gp]\d+ f f f -1$`)

// hand runs f on the superuser's one connection.
func (w *world) hand(t testing.TB, f func(c *pgx.Conn) error) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil || w.conn.IsClosed() {
		c, err := pgx.Connect(context.Background(), w.dsn)
		if err != nil {
			t.Fatal(err)
		}
		w.conn = c
	}
	if err := f(w.conn); err != nil {
		t.Fatal(err)
	}
}

func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if len(args) > 0 {
		sql = fmt.Sprintf(sql, args...)
	}
	w.hand(t, func(c *pgx.Conn) error {
		_, err := c.PgConn().Exec(context.Background(), sql).ReadAll()
		return err
	})
}

func (w *world) is(t testing.TB, sql string, args ...any) (is bool) {
	t.Helper()
	w.hand(t, func(c *pgx.Conn) error {
		return c.QueryRow(context.Background(), "select exists ("+fmt.Sprintf(sql, args...)+")").Scan(&is)
	})
	return is
}

func (w *world) number(t testing.TB, sql string) (n int) {
	t.Helper()
	w.hand(t, func(c *pgx.Conn) error { return c.QueryRow(context.Background(), sql).Scan(&n) })
	return n
}

func (w *world) remark(table, column, where string) func(testing.TB, connector.Ref, string) {
	return func(t testing.TB, r connector.Ref, mark string) {
		w.exec(t, `update %s set %s = %s || substr(%s, strpos(%s, E'\n')) where %s`, table, column, literal(mark), column, column, fmt.Sprintf(where, literal(key(r))))
	}
}

func (w *world) unmark(t testing.TB, r connector.Ref) {
	w.exec(t, "delete from tenure.mark where type = %s and name = %s", literal(r.Type), literal(r.Name))
}

func key(r connector.Ref) string {
	if k, ok := r.Attributes["key"].(map[string]any); ok {
		return k["id"].(string)
	}
	return r.Name
}

func with(d connector.Desired, k string, v any) connector.Desired {
	d.Attributes = maps.Clone(d.Attributes)
	d.Attributes[k] = v
	return d
}

func (w *world) cases() []connectortest.Case {
	return append([]connectortest.Case{w.schemaCase(), w.databaseCase(), w.roleCase(), w.grantCase(), w.policyCase(), w.rowsCase()}, w.recordCases()...)
}

const twoTables = "create table if not exists orders (id int generated always as identity, v text); create table if not exists notes (v text)"

var classOf = map[string]string{"billing": "orders", "crm": "notes", "": "uncovered"}

func (w *world) schemaCase() connectortest.Case {
	home := func(t testing.TB, r connector.Ref) string {
		if w.is(t, "select from pg_namespace where nspname = %s", literal(r.Name)) {
			return quote(r.Name)
		}
		return quote(quarantined(r.Resource))
	}
	return connectortest.Case{
		Type: "schema",
		New: func(t testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("acme_%d", n), Classes: []string{"billing", "crm"},
				Attributes: map[string]any{"ddl": twoTables, "tables": map[string]any{"orders": "billing", "notes": "crm"}}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			return with(d, "owner", w.token+"owner")
		},
		Invalid: []map[string]any{{"owner": "public"}, {"tables": map[string]any{"x": ""}}, {"ddl": 1}, {"nonsense": true}},
		Tamper:  func(t testing.TB, r connector.Ref) { w.exec(t, "drop table %s.notes", quote(r.Name)) },
		Foreign: func(t testing.TB, r connector.Ref) { w.exec(t, "create schema %s", quote(r.Name)) }, Unlisted: true,
		Remark: w.remark("tenure.mark", "note", "type = 'schema' and name = %s"),
		Unmark: w.unmark,
		Untold: map[string]string{"ddl": "by which statements tables were made the server doesn't keep"},
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "select from pg_namespace where nspname = %s", literal(r.Name))
		},
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			table := home(t, r) + "." + classOf[class]
			w.exec(t, "create table if not exists %s (v text); insert into %s (v) select 'x' from generate_series(1, %d)%s", table, table, n, w.gives(class, table, w.platform))
		},
		Count: func(t testing.TB, r connector.Ref, class string) int {
			return w.number(t, "select count(*) from "+home(t, r)+"."+classOf[class])
		},
		Stick: func(t testing.TB, r connector.Ref, class string) (string, func()) {
			return w.stick(t, home(t, r)+"."+classOf[class])
		},
		Exported: exported,
	}
}

// gives has a table that no class covers, which a superuser's hand has just made, belong
// to the role that would have made it.
func (w *world) gives(class, table, owner string) string {
	if class != "" {
		return ""
	}
	return "; alter table " + table + " owner to " + quote(owner)
}

// stick adds a trigger that swallows deletes.
func (w *world) stick(t testing.TB, table string) (name string, undo func()) {
	w.exec(t, "create function swallow() returns trigger language plpgsql as 'begin return null; end'")
	w.exec(t, "create trigger swallow before delete on %s for each row execute function swallow()", table)
	return "swallow", func() { w.exec(t, "drop trigger swallow on %s; drop function swallow()", table) }
}

// exported counts the rows in an archive.
func exported(t testing.TB, data []byte) int {
	n := 0
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(r); strings.HasPrefix(h.Name, "data/") {
			n += bytes.Count(body, []byte("\n"))
		}
	}
}

func (w *world) databaseCase() connectortest.Case {
	conn := func(t testing.TB, r connector.Ref) *pgx.Conn {
		conf, err := pgx.ParseConfig(w.dsn)
		if err != nil {
			t.Fatal(err)
		}
		conf.Database = r.Name
		c, err := pgx.ConnectConfig(context.Background(), conf)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return connectortest.Case{
		Type: "database",
		New: func(t testing.TB, n int) connector.Desired {
			w.databases.Store(true)
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%sdb%d", w.token, n), Classes: []string{"billing", "crm"},
				Attributes: map[string]any{"ddl": twoTables, "tables": map[string]any{"orders": "billing", "public.notes": "crm"}}}}
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "connectionLimit", 7) },
		Invalid: []map[string]any{{"connectionLimit": -5}, {"owner": "pg_monitor"}, {"nonsense": true}},
		Tamper: func(t testing.TB, r connector.Ref) {
			w.exec(t, "grant connect on database %s to public", quote(r.Name))
		},
		Foreign: func(t testing.TB, r connector.Ref) { w.exec(t, "create database %s", quote(r.Name)) }, Unlisted: true,
		Remark: w.remark("tenure.mark", "note", "type = 'database' and name = %s"),
		Unmark: w.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "select from pg_database where datname = %s", literal(r.Name))
		},
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			c := conn(t, r)
			defer c.Close(context.Background())
			table := classOf[class]
			if _, err := c.Exec(context.Background(), fmt.Sprintf("create table if not exists %s (v text); insert into %s (v) select 'x' from generate_series(1, %d)%s", table, table, n, w.gives(class, table, w.platform))); err != nil {
				t.Fatal(err)
			}
		},
		Count: func(t testing.TB, r connector.Ref, class string) (n int) {
			c := conn(t, r)
			defer c.Close(context.Background())
			if err := c.QueryRow(context.Background(), "select count(*) from "+classOf[class]).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		},
		Exported: exported,
	}
}

func (w *world) roleCase() connectortest.Case {
	return connectortest.Case{
		Type: "role",
		New: func(t testing.TB, n int) connector.Desired {
			w.roles.Store(true)
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%sr%d", w.token, n), Attributes: map[string]any{"login": true}}}
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "connectionLimit", 5) },
		Invalid: []map[string]any{{"login": "yes"}, {"login": true, "superuser": true}, {"login": true, "memberOf": []any{"pg_read_all_data"}}},
		Tamper:  func(t testing.TB, r connector.Ref) { w.exec(t, "alter role %s createdb createrole", quote(r.Name)) },
		Foreign: func(t testing.TB, r connector.Ref) { w.exec(t, "create role %s", quote(r.Name)) }, Unlisted: true,
		Remark: w.remark("tenure.mark", "note", "type = 'role' and name = %s"),
		Unmark: w.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "select from pg_roles where rolname = %s", literal(r.Name))
		},
		Works: func(t testing.TB, d connector.Desired) bool {
			c, err := pgx.Connect(context.Background(), postgrestest.As(t, w.dsn, d.Name, d.Credential.Reveal()))
			if err != nil {
				return false
			}
			return c.Close(context.Background()) == nil
		},
	}
}

func (w *world) grantCase() connectortest.Case {
	text := func(r connector.Ref, k string) string { return r.Attributes[k].(string) }
	return connectortest.Case{
		Type: "grant",
		New: func(t testing.TB, n int) connector.Desired {
			role, schema := fmt.Sprintf("%sg%d", w.token, n), "granted"
			w.exec(t, "create role %s", quote(role))
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("grant-%d", n),
				Attributes: map[string]any{"role": role, "schema": schema, "tables": []any{"b", "a"}, "privileges": []any{"SELECT", "insert"}}}}
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "privileges", []any{"select", "update"}) },
		Invalid: []map[string]any{
			{"role": "public", "schema": "s", "tables": []any{"a"}, "privileges": []any{"select"}},
			{"role": "r", "schema": "s", "tables": []any{"*"}, "privileges": []any{"select"}},
			{"role": "r", "schema": "s", "tables": []any{"a"}, "privileges": []any{"all"}},
			{"role": "r", "privileges": []any{"select"}}, {"role": "r", "schema": "s", "privileges": []any{}},
		},
		Tamper: func(t testing.TB, r connector.Ref) {
			w.exec(t, "grant delete on %s.a to %s", quote(text(r, "schema")), quote(text(r, "role")))
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			w.exec(t, "grant select on %s.a to %s", quote(text(r, "schema")), quote(text(r, "role")))
		}, Unlisted: true,
		Remark: w.remark("tenure.mark", "note", "type = 'grant' and name = %s"),
		Unmark: w.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "select where has_table_privilege(%s, %s, 'select')", literal(text(r, "role")), literal(quote(text(r, "schema"), "a")))
		},
		Works: func(t testing.TB, d connector.Desired) bool {
			var err error
			w.hand(t, func(c *pgx.Conn) error {
				_, err = c.Exec(context.Background(), fmt.Sprintf("set local role %s; select from %s", quote(text(d.Ref, "role")), quote(text(d.Ref, "schema"), "a")))
				return nil
			})
			return err == nil
		},
	}
}

func (w *world) policyCase() connectortest.Case {
	text := func(r connector.Ref, k string) string { return r.Attributes[k].(string) }
	return connectortest.Case{
		Type: "policy",
		New: func(t testing.TB, n int) connector.Desired {
			role := fmt.Sprintf("%sp%d", w.token, n)
			w.exec(t, "create role %s", quote(role))
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("policy-%d", n),
				Attributes: map[string]any{"schema": "shared", "tables": []any{"orders"}, "column": "tenant", "key": fmt.Sprintf("ten'ant%d", n), "role": role}}}
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "key", "another") },
		Invalid: []map[string]any{{"schema": "s", "tables": []any{"t"}, "column": "c", "key": "", "role": "r"}, {"schema": "s", "tables": []any{}, "column": "c", "key": "k", "role": "r"}},
		Tamper: func(t testing.TB, r connector.Ref) {
			w.exec(t, "update tenure.role_key set key = 'another' where name = %s", literal(r.Name))
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			w.exec(t, "create policy %s on shared.orders to %s using (false)", quote(r.Name), quote(text(r, "role")))
		}, Unlisted: true,
		Remark: w.remark("tenure.mark", "note", "type = 'policy' and name = %s"),
		Unmark: w.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "select from pg_policy p, unnest(p.polroles) x where p.polrelid = 'shared.orders'::regclass and x <> 0 and pg_has_role(%s, x, 'usage')", literal(text(r, "role")))
		},
	}
}

func (w *world) rowsCase() connectortest.Case {
	text := func(r connector.Ref, k string) string { return r.Attributes[k].(string) }
	return connectortest.Case{
		Type: "rows",
		New: func(t testing.TB, n int) connector.Desired {
			w.exec(t, "drop table if exists pool.uncovered") // another check's
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("rows-%d", n), Classes: []string{"billing", "crm"},
				Attributes: map[string]any{"schema": "pool", "column": "tenant", "key": fmt.Sprintf("t'%d", n), "columns": map[string]any{"shared.orders": ""}, "tables": map[string]any{"orders": "billing", "notes": "crm"}}}}
		},
		Invalid: []map[string]any{{"schema": "s", "column": "c", "key": " ", "tables": map[string]any{}}, {"schema": "", "column": "c", "key": "k", "tables": map[string]any{}}},
		Foreign: func(t testing.TB, r connector.Ref) {
			w.exec(t, "insert into %s (tenant) values (%s)", quote(text(r, "schema"), "notes"), literal(text(r, "key")))
		}, Unlisted: true,
		Remark: w.remark("tenure.mark", "note", "type = 'rows' and name = %s"),
		Unmark: w.unmark, Hollow: true,
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			table := quote(text(r, "schema"), classOf[class])
			w.exec(t, "create table if not exists %s (tenant text); insert into %[1]s (tenant) select %s from generate_series(1, %d)%s", table, literal(text(r, "key")), n, w.gives(class, table, w.application()))
		},
		Count: func(t testing.TB, r connector.Ref, class string) int {
			return w.number(t, "select count(*) from "+quote(text(r, "schema"), classOf[class])+" where tenant = "+literal(text(r, "key")))
		},
		Stick: func(t testing.TB, r connector.Ref, class string) (string, func()) {
			return w.stick(t, quote(text(r, "schema"), classOf[class]))
		},
		Late: func(t testing.TB, r connector.Ref, class string, n int) {
			w.exec(t, "insert into %s (tenant) select %s from generate_series(1, %d)", quote(text(r, "schema"), classOf[class]), literal(text(r, "key")), n)
		},
		Exported: exported,
	}
}

func (w *world) recordCases() []connectortest.Case {
	var out []connectortest.Case
	for _, typ := range []string{"account", "api_key", "integration", "session", "setting"} {
		table := quote("app", typ+"s")
		credential := typ == "account" || typ == "api_key"
		c := connectortest.Case{
			Type: typ,
			New: func(t testing.TB, n int) connector.Desired {
				d := connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%s-%d", typ, n), Attributes: map[string]any{
					"schema": "app", "table": typ + "s", "key": map[string]any{"id": fmt.Sprintf("k'%d", n)},
					"values": map[string]any{"status": "active", "active": true, "seats": 5.5, "until": "2027-01-01T01:00:00+01:00", "extra": map[string]any{"b": 1, "a": []any{true, nil}}}}}}
				if typ != "setting" {
					d.Attributes["disable"] = map[string]any{"status": "off", "active": false}
				}
				if credential {
					d.Attributes["secretColumn"] = "secret"
				}
				return d
			},
			Changed: func(d connector.Desired) connector.Desired {
				values := maps.Clone(d.Attributes["values"].(map[string]any))
				values["seats"] = 6
				return with(d, "values", values)
			},
			Invalid: []map[string]any{
				{"table": "x"}, {"table": "x", "key": map[string]any{"id": nil}}, {"table": "x", "key": map[string]any{"id": 1}, "values": map[string]any{"id": 2}},
				{"table": "x", "key": map[string]any{"id": 1}, "disable": map[string]any{"status": "off"}},
			},
			Tamper: func(t testing.TB, r connector.Ref) {
				w.exec(t, "update %s set extra = '{}' where id = %s", table, literal(key(r)))
			},
			Foreign: func(t testing.TB, r connector.Ref) {
				w.exec(t, "insert into %s (id) values (%s)", table, literal(key(r)))
			}, Unlisted: true,
			Remark: w.remark(table, "tenure_mark", "id = %s"),
			Unmark: func(t testing.TB, r connector.Ref) {
				w.exec(t, "update %s set tenure_mark = null where id = %s", table, literal(key(r)))
			},
			Exists: func(t testing.TB, r connector.Ref) bool {
				return w.is(t, "select from %s where id = %s", table, literal(key(r)))
			},
		}
		if typ != "setting" {
			c.Works = func(t testing.TB, d connector.Desired) bool {
				sum := sha256.Sum256([]byte(d.Credential.Reveal()))
				return w.is(t, "select from %s where id = %s and status = 'active' and active and (%t or secret = %s)", table, literal(key(d.Ref)), !credential, literal(hex.EncodeToString(sum[:])))
			}
		}
		out = append(out, c)
	}
	return out
}
