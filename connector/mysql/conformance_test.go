package mysql

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/mariadbtest"
)

func TestConformance(t *testing.T) { connectortest.Run(t, newWorld) }

// world is some databases of its own, with hands on them that have every right.
type world struct {
	dsn   string // of an account with every right
	db    *sql.DB
	token string // begins the names of what is the world's
	app   string // the platform's database
	keep  string // Tenure's
	user  string // the account that the driver signs in as
	proxy *mariadbtest.Proxy
	odd   atomic.Value // of which kind odd names are tried: database, user, role
}

const platformPassword = "platform-secret-text"

// leastRights are what docs/system-accounts.md grants Tenure's account.
const leastRights = "select, insert, update, delete, create, drop, references, index, alter, create temporary tables, lock tables, create view, show view, create routine, alter routine, execute, event, trigger, delete history, show databases, process, create user, connection admin, set user"

func openWorld(t testing.TB) *world { return openWorldOn(t, mariadbtest.DSN(t)) }

func openWorldOn(t testing.TB, dsn string) *world {
	w := &world{dsn: dsn, token: mariadbtest.Token() + "_"}
	w.db = mariadbtest.Open(t, w.dsn)
	w.app, w.keep, w.user = w.token+"app", w.token+"keep", w.token+"platform"
	w.exec(t, "create database %[1]s; create user '%[2]s'@'127.0.0.1' identified by '"+platformPassword+"'; grant "+leastRights+" on *.* to '%[2]s'@'127.0.0.1' with grant option", quote(w.app), w.user)
	w.exec(t, `create table %[1]s.notes (id int auto_increment primary key, tenant varchar(40));
create table %[1]s.orders (id int auto_increment primary key, tenant varchar(40), note int, foreign key (note) references %[1]s.notes (id));
create table %[1]s.granted_a (id int primary key); create table %[1]s.granted_b (id int primary key)`, quote(w.app))
	for _, typ := range []string{"account", "api_key", "integration", "session", "setting"} {
		w.exec(t, "create table %s.%ss (id varchar(40) primary key, status varchar(20) not null default 'new', active tinyint(1), seats decimal(9,2), until datetime, extra json, secret varchar(64), tenure_mark text)", quote(w.app), typ)
	}
	t.Cleanup(func() { mariadbtest.Sweep(t, w.db, strings.TrimSuffix(w.token, "_")) })
	w.proxy = mariadbtest.NewProxy(t, mariadbtest.As(t, w.dsn, w.user, platformPassword, w.app))
	return w
}

func (w *world) options() map[string]string {
	return map[string]string{"keep": w.keep, "databases": w.token + "*", "connections": "6"}
}

func newWorld(t *testing.T) *connectortest.World {
	w := openWorld(t)
	w.exec(t, "create table %s (tenant varchar(40))", quote(w.app, "plain"))
	return &connectortest.World{
		Info:         Info(),
		Options:      w.options(),
		Secrets:      map[string]tenure.Secret{"dsn": tenure.NewSecret(w.proxy.DSN)},
		Cases:        append([]connectortest.Case{w.databaseCase(), w.userCase(), w.roleCase(), w.grantCase(), w.rowsCase()}, w.recordCases()...),
		Probes:       w.probes(),
		Untried:      []string{"encryption"}, // no misconfiguration makes a profile ask for more
		Look:         w.look,
		LoseSentinel: func(t testing.TB) { w.exec(t, "delete from %s.sentinel", quote(w.keep)) },
		Hide: func(t testing.TB) {
			w.exec(t, "revoke show databases on *.* from '%s'@'127.0.0.1'", w.user)
		},
		Outage: func(testing.TB) func() { w.proxy.Down(); return w.proxy.Heal },

		ElevatedType: "database",
		SignIn: func(t testing.TB, login string, secret tenure.Secret, r connector.Ref) (func() error, error) {
			db, err := sql.Open("mysql", mariadbtest.As(t, w.dsn, login, secret.Reveal(), r.Name))
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = db.Close() })
			conn, err := db.Conn(t.Context())
			if err != nil {
				return nil, err
			}
			return func() error { _, err := conn.ExecContext(t.Context(), "select * from notes"); return err }, nil
		},
	}
}

func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if len(args) > 0 {
		sql = fmt.Sprintf(sql, args...)
	}
	mariadbtest.Exec(t, w.db, sql)
}

func (w *world) is(t testing.TB, sql string, args ...any) bool {
	t.Helper()
	return mariadbtest.Number(t, w.db, "select exists (select 1 "+fmt.Sprintf(sql, args...)+")") == 1
}

func (w *world) number(t testing.TB, sql string) int {
	t.Helper()
	return mariadbtest.Number(t, w.db, sql)
}

// stage are the accounts that samples stand on; setting them up is no change.
var stage = regexp.MustCompile(`^account t[0-9a-f]{10}_g\d+ `)

// look writes down the catalog, the rows and the accounts of the world.
func (w *world) look(t testing.TB) string {
	t.Helper()
	odd, _ := w.odd.Load().(string)
	if !strings.Contains(t.Name()+"/", "names/") {
		odd = "" // those of another world's check are no change of this one
	}
	on := func(column string) string {
		mine := column + " like '" + w.token + "%'"
		others := " regexp '^t[0-9a-f]{10}.?_|^t.?_aside|^t.?_elev' or " + column + " in ('information_schema', 'mysql', 'performance_schema', 'sys', 'root', 'mariadb.sys')"
		switch account := column == "user"; {
		case account && odd == "role":
			mine += " or user like 'r:%'"
		case account && odd == "user":
			mine += " or not (user like 'r:%' or " + column + others + ")"
		case !account && odd == "database":
			mine += " or not (" + column + others + ")"
		}
		return "(" + mine + ")"
	}
	var out []string
	for _, q := range []string{
		"select concat_ws(' ', 'database', schema_name, default_collation_name) from information_schema.schemata where " + on("schema_name"),
		"select concat_ws(' ', 'column', table_schema, table_name, column_name, column_type, is_nullable, column_default, extra) from information_schema.columns where " + on("table_schema"),
		"select concat_ws(' ', 'event', event_schema, event_name) from information_schema.events where " + on("event_schema"),
		"select concat_ws(' ', 'trigger', trigger_schema, trigger_name, action_statement) from information_schema.triggers where " + on("trigger_schema"),
		"select concat_ws(' ', 'account', user, host, regexp_replace(priv, ',?\"password_last_changed\":[0-9]+', '')) from mysql.global_priv where user not like 't\\_own\\_%' escape '\\' and " + on("user"),
		"select concat_ws(' ', 'role', host, user, role, admin_option) from mysql.roles_mapping where " + on("user"),
		"select concat_ws(' ', 'rights', host, user, db, select_priv, insert_priv, update_priv, delete_priv, create_priv, drop_priv, grant_priv) from mysql.db where user not like 't\\_own\\_%' escape '\\' and " + on("db"),
		"select concat_ws(' ', 'rights', host, user, db, table_name, table_priv, column_priv) from mysql.tables_priv where " + on("db"),
	} {
		out = append(out, mariadbtest.Strings(t, w.db, q)...)
	}
	for _, table := range mariadbtest.Strings(t, w.db, "select concat('\"', replace(table_schema, '\"', '\"\"'), '\".\"', replace(table_name, '\"', '\"\"'), '\"') from information_schema.tables where table_type <> 'VIEW' and "+on("table_schema")) {
		out = append(out, "rows "+table+" "+w.sum(t, table))
	}
	out = slices.DeleteFunc(out, stage.MatchString)
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// sum is a digest of a table's rows.
func (w *world) sum(t testing.TB, table string) string {
	rows, err := w.db.Query("select * from " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%q", values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return fmt.Sprintf("%d %x", len(all), sha256.Sum256([]byte(strings.Join(all, "\n"))))
}

func (w *world) remark(table, column, where string) func(testing.TB, connector.Ref, string) {
	return func(t testing.TB, r connector.Ref, mark string) {
		w.exec(t, "update %s set %s = concat(%s, substr(%s, locate(char(10), %s))) where %s", table, column, literal(mark), column, column, fmt.Sprintf(where, literal(key(r))))
	}
}

func (w *world) marked(typ string) func(testing.TB, connector.Ref, string) {
	return w.remark(quote(w.keep, "mark"), "note", "type = '"+typ+"' and name = %s")
}

func (w *world) unmark(t testing.TB, r connector.Ref) {
	w.exec(t, "delete from %s where type = %s and name = %s", quote(w.keep, "mark"), literal(r.Type), literal(r.Name))
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

var classOf = map[string]string{"billing": "orders", "crm": "notes", "": "uncovered"}

// stick adds a trigger that refuses deletes.
func (w *world) stick(t testing.TB, db, table string) (name string, undo func()) {
	w.exec(t, "create trigger %s before delete on %s for each row signal sqlstate '45000' set message_text = 'no'", quote(db, "refusal"), quote(db, table))
	return "refusal", func() { w.exec(t, "drop trigger %s", quote(db, "refusal")) }
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

const twoTables = "create table if not exists orders (id int auto_increment primary key, v varchar(20)); create table if not exists notes (v text)"

func (w *world) databaseCase() connectortest.Case {
	home := func(t testing.TB, r connector.Ref) string { // where the tables are
		if w.is(t, "from information_schema.schemata where schema_name = %s", literal(asideOf(r.Resource))) {
			return asideOf(r.Resource)
		}
		return r.Name
	}
	return connectortest.Case{
		Type: "database",
		New: func(t testing.TB, n int) connector.Desired {
			w.odd.Store("database")
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%sdb_%d", w.token, n), Classes: []string{"billing", "crm"},
				Attributes: map[string]any{"ddl": twoTables, "tables": map[string]any{"orders": "billing", "notes": "crm"}}}}
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "collation", "utf8mb4_unicode_ci") },
		Invalid: []map[string]any{{"collation": "x;"}, {"tables": map[string]any{"x": ""}}, {"ddl": 1}, {"nonsense": true}, {"derived": map[string]any{"v": "refresh"}}},
		Tamper:  func(t testing.TB, r connector.Ref) { w.exec(t, "drop table %s", quote(r.Name, "notes")) },
		Foreign: func(t testing.TB, r connector.Ref) { w.exec(t, "create database %s", quote(r.Name)) }, Unlisted: true,
		Remark: w.marked("database"),
		Unmark: w.unmark,
		Untold: map[string]string{"ddl": "by which statements tables were made the server doesn't keep"},
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "from information_schema.tables where binary table_schema = %s", literal(r.Name))
		},
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			table := quote(home(t, r), classOf[class])
			w.exec(t, "create table if not exists %s (v varchar(20)); insert into %s (v) select 'x' from %s.seq_1_to_%d", table, table, quote(w.app), n)
		},
		Count: func(t testing.TB, r connector.Ref, class string) int {
			return w.number(t, "select count(*) from "+quote(home(t, r), classOf[class]))
		},
		Stick: func(t testing.TB, r connector.Ref, class string) (string, func()) {
			return w.stick(t, home(t, r), classOf[class])
		},
		Exported: exported,
	}
}

// signsIn says whether a user signs in.
func (w *world) signsIn(t testing.TB, user, password string) bool {
	db, err := sql.Open("mysql", mariadbtest.As(t, w.dsn, user, password, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return db.Ping() == nil
}

func (w *world) userCase() connectortest.Case {
	return connectortest.Case{
		Type: "user",
		New: func(t testing.TB, n int) connector.Desired {
			w.odd.Store("user")
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%su%d", w.token, n), Attributes: map[string]any{"host": "127.0.0.%"}}}
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "connectionLimit", 5) },
		Invalid: []map[string]any{{"host": "A B"}, {"connectionLimit": -2}, {"superuser": true}, {"roles": []any{"root"}}},
		Tamper: func(t testing.TB, r connector.Ref) {
			w.exec(t, "grant create user on *.* to %s", account(r.Name, "127.0.0.%"))
		},
		Foreign: func(t testing.TB, r connector.Ref) { w.exec(t, "create user %s", account(r.Name, "%")) }, Unlisted: true,
		Remark: w.marked("user"),
		Unmark: w.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "from mysql.global_priv where user = %s", literal(r.Name))
		},
		Works: func(t testing.TB, d connector.Desired) bool { return w.signsIn(t, d.Name, d.Credential.Reveal()) },
	}
}

func (w *world) roleCase() connectortest.Case {
	return connectortest.Case{
		Type: "role",
		New: func(t testing.TB, n int) connector.Desired {
			w.odd.Store("role")
			w.exec(t, "create role if not exists %[1]s; grant %[1]s to %[2]s with admin option", quote(w.token+"g0"), account(w.user, "127.0.0.1"))
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%sr%d", w.token, n), Attributes: map[string]any{}}}
		},
		Rename: func(d connector.Desired, name string) connector.Desired { // users have these names
			d.Name = "r:" + name
			return d
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "roles", []any{w.token + "g0"}) },
		Invalid: []map[string]any{{"roles": []any{"public"}}, {"host": "%"}},
		Tamper:  func(t testing.TB, r connector.Ref) { w.exec(t, "grant create user on *.* to %s", quote(r.Name)) },
		Foreign: func(t testing.TB, r connector.Ref) { w.exec(t, "create role %s", quote(r.Name)) }, Unlisted: true,
		Remark: w.marked("role"),
		Unmark: w.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "from mysql.global_priv where user = %s", literal(r.Name))
		},
	}
}

func (w *world) grantCase() connectortest.Case {
	text := func(r connector.Ref, k string) string { return r.Attributes[k].(string) }
	return connectortest.Case{
		Type: "grant",
		New: func(t testing.TB, n int) connector.Desired {
			user := fmt.Sprintf("%sg%d", w.token, n)
			w.exec(t, "create user %s identified by 'granted'", account(user, "%"))
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("grant-%d", n),
				Attributes: map[string]any{"to": user, "database": w.app, "tables": []any{"granted_b", "granted_a"}, "privileges": []any{"SELECT", "insert"}}}}
		},
		Changed: func(d connector.Desired) connector.Desired { return with(d, "privileges", []any{"select", "update"}) },
		Invalid: []map[string]any{
			{"to": "root", "database": "s", "privileges": []any{"select"}},
			{"to": "r", "database": "s", "tables": []any{"*"}, "privileges": []any{"select"}},
			{"to": "r", "database": "s", "privileges": []any{"all"}}, {"to": "r", "database": "mysql", "privileges": []any{"select"}},
			{"to": "r", "database": w.keep, "privileges": []any{"select"}}, {"to": "r", "database": "s", "privileges": []any{}},
		},
		Tamper: func(t testing.TB, r connector.Ref) {
			w.exec(t, "grant delete on %s to %s", quote(w.app, "granted_a"), account(text(r, "to"), "%"))
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			w.exec(t, "grant select on %s to %s", quote(w.app, "granted_a"), account(text(r, "to"), "%"))
		}, Unlisted: true,
		Remark: w.marked("grant"),
		Unmark: w.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return w.is(t, "from mysql.tables_priv where user = %s and table_name = 'granted_a' and find_in_set('Select', table_priv)", literal(text(r, "to")))
		},
		Works: func(t testing.TB, d connector.Desired) bool {
			db, err := sql.Open("mysql", mariadbtest.As(t, w.dsn, text(d.Ref, "to"), "granted", ""))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			_, err = db.Exec("select * from `" + w.app + "`.granted_a")
			return err == nil
		},
	}
}

func (w *world) rowsCase() connectortest.Case {
	text := func(r connector.Ref, k string) string { return r.Attributes[k].(string) }
	return connectortest.Case{
		Type: "rows",
		New: func(t testing.TB, n int) connector.Desired {
			w.exec(t, "drop table if exists %s", quote(w.app, "uncovered")) // another check's
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("rows-%d", n), Classes: []string{"billing", "crm"},
				Attributes: map[string]any{"schema": w.app, "column": "tenant", "key": fmt.Sprintf("t'%d", n), "columns": map[string]any{"plain": ""}, "tables": map[string]any{"orders": "billing", "notes": "crm"}}}}
		},
		Invalid: []map[string]any{{"schema": w.app, "column": "c", "key": " ", "tables": map[string]any{}}, {"schema": "", "column": "c", "key": "k", "tables": map[string]any{}},
			{"schema": "mysql", "column": "c", "key": "k", "tables": map[string]any{}}},
		Foreign: func(t testing.TB, r connector.Ref) {
			w.exec(t, "insert into %s (tenant) values (%s)", quote(w.app, "notes"), literal(text(r, "key")))
		}, Unlisted: true,
		Remark: w.marked("rows"),
		Unmark: w.unmark, Hollow: true,
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			table := quote(w.app, classOf[class])
			w.exec(t, "create table if not exists %s (id int auto_increment primary key, tenant varchar(40)); insert into %s (tenant) select %s from %s.seq_1_to_%d", table, table, literal(text(r, "key")), quote(w.app), n)
		},
		Count: func(t testing.TB, r connector.Ref, class string) int {
			return w.number(t, "select count(*) from "+quote(w.app, classOf[class])+" where tenant = "+literal(text(r, "key")))
		},
		Stick: func(t testing.TB, r connector.Ref, class string) (string, func()) {
			return w.stick(t, w.app, classOf[class])
		},
		Late: func(t testing.TB, r connector.Ref, class string, n int) {
			w.exec(t, "insert into %s (tenant) select %s from %s.seq_1_to_%d", quote(w.app, classOf[class]), literal(text(r, "key")), quote(w.app), n)
		},
		Exported: exported,
	}
}

func (w *world) recordCases() []connectortest.Case {
	var out []connectortest.Case
	for _, typ := range []string{"account", "api_key", "integration", "session", "setting"} {
		table := quote(w.app, typ+"s")
		credential := typ == "account" || typ == "api_key"
		c := connectortest.Case{
			Type: typ,
			New: func(t testing.TB, n int) connector.Desired {
				d := connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%s-%d", typ, n), Attributes: map[string]any{
					"table": typ + "s", "key": map[string]any{"id": fmt.Sprintf("k'%d", n)},
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
				{"schema": w.keep, "table": "mark", "key": map[string]any{"id": 1}},
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
				return w.is(t, "from %s where id = %s", table, literal(key(r)))
			},
		}
		if typ != "setting" {
			c.Works = func(t testing.TB, d connector.Desired) bool {
				sum := sha256.Sum256([]byte(d.Credential.Reveal()))
				return w.is(t, "from %s where id = %s and status = 'active' and active and (%t or secret = %s)", table, literal(key(d.Ref)), !credential, literal(hex.EncodeToString(sum[:])))
			}
		}
		out = append(out, c)
	}
	return out
}

func (w *world) probes() []connectortest.ProbeCase {
	made := func(t testing.TB, d connector.Driver, r connector.Ref, secret tenure.Secret) connector.Ref {
		r.Resource, r.Tenant = tenure.NewID[tenure.ResourceID](epoch), "ten_probe"
		if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r, Credential: secret}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	secret := tenure.NewSecret("probe-secret-text")
	user := func(t testing.TB, d connector.Driver) connector.Check {
		r := made(t, d, connector.Ref{Type: "user", Name: w.token + "probe", Attributes: map[string]any{}}, secret)
		return connector.Check{Ref: r, Credential: secret}
	}
	return []connectortest.ProbeCase{
		{Kind: "reachable", Name: "database", Check: func(t testing.TB, d connector.Driver) connector.Check {
			return connector.Check{Ref: made(t, d, connector.Ref{Type: "database", Name: w.token + "probe", Attributes: map[string]any{"ddl": twoTables}}, tenure.Secret{})}
		}, Misconfigure: func(t testing.TB) { w.exec(t, "drop table %s", quote(w.token+"probe", "notes")) }},
		{Kind: "reachable", Name: "user", Check: user, Misconfigure: func(t testing.TB) { w.exec(t, "alter user %s account lock", account(w.token+"probe", "%")) }},
		{Kind: "isolation", Name: "neighbour", Check: user, Misconfigure: func(t testing.TB) {
			w.exec(t, "grant select on %s.* to %s", quote(w.keep+"_sentinel"), account(w.token+"probe", "%"))
		}},
		{Kind: "isolation", Name: "by a role", Check: user, Misconfigure: func(t testing.TB) {
			w.exec(t, "create role %[1]s; grant select on %[2]s.* to %[1]s; grant %[1]s to %[3]s", quote(w.token+"wide"), quote(w.keep), account(w.token+"probe", "%"))
		}},
		{Kind: "isolation", Name: "another's database", Check: func(t testing.TB, d connector.Driver) connector.Check {
			r := connector.Ref{Type: "database", Name: w.token + "theirs", Attributes: map[string]any{}, Tenant: "ten_other", Resource: tenure.NewID[tenure.ResourceID](epoch)}
			if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r}); err != nil {
				t.Fatal(err)
			}
			return user(t, d)
		}, Misconfigure: func(t testing.TB) {
			w.exec(t, "grant select on %s.* to %s", quote(w.token+"their%"), account(w.token+"probe", "%"))
		}},
		{Kind: "sql", Name: "tenant", Check: func(t testing.TB, d connector.Driver) connector.Check {
			c := user(t, d)
			c.Params = map[string]string{"as": "tenant", "expect": "refused", "query": "select * from " + quote(w.app, "notes")}
			return c
		}, Misconfigure: func(t testing.TB) {
			w.exec(t, "grant select on %s to %s", quote(w.app, "notes"), account(w.token+"probe", "%"))
		}},
		{Kind: "sql", Name: "platform", Check: func(t testing.TB, d connector.Driver) connector.Check {
			return connector.Check{Params: map[string]string{"as": "platform", "expect": "no-rows", "query": "select * from " + quote(w.app, "notes")}}
		}, Misconfigure: func(t testing.TB) { w.exec(t, "insert into %s (tenant) values ('x')", quote(w.app, "notes")) }},
	}
}
