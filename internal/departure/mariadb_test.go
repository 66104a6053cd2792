package departure

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure/internal/mariadbtest"
)

//go:embed testdata/platform.mariadb.sql
var platformMariaDB string

//go:embed testdata/shop.mariadb.sql
var shopMariaDB string

//go:embed testdata/clinic.mariadb.sql
var clinicMariaDB string

// mariadb is a platform in MariaDB, on a server of its own.
type mariadb struct {
	platform
	pooled bool
	system string
	dsn    string
	proxy  *counter
	via    string
	t      *testing.T
	server *mariadbtest.Server
	killed bool // and not started again yet
}

func (p platform) mariadb() string {
	return map[string]string{"shop": shopMariaDB, "clinic": clinicMariaDB}[p.name]
}

// newMariaDB starts a server. What it has said is committed outlasts its own death.
func newMariaDB(t *testing.T, p platform, pooled bool) *mariadb {
	t.Helper()
	k := startMariaDB(t, p, pooled)
	k.exec(t, platformMariaDB)
	if pooled {
		k.exec(t, "create database "+p.name+"; use "+p.name+"; "+strings.ReplaceAll(p.mariadb(), "SHARED.", "platform."))
	}
	return k
}

func startMariaDB(t *testing.T, p platform, pooled bool) *mariadb {
	t.Helper()
	server := mariadbtest.Own(t, "")
	k := &mariadb{platform: p, pooled: pooled, system: "maria", dsn: server.DSN, t: t, server: server}
	conf, err := mysql.ParseDSN(k.dsn)
	must(t, err)
	k.proxy, conf.Addr = newCounter(t, conf.Addr)
	k.via = conf.FormatDSN()
	k.exec(t, "set global innodb_flush_log_at_trx_commit = 2")
	return k
}

func (k *mariadb) open(t *testing.T) *sql.DB {
	t.Helper()
	db := mariadbtest.Open(t, k.dsn)
	db.SetMaxOpenConns(1) // so that what one statement sets holds for the next
	return db
}

func (k *mariadb) exec(t *testing.T, text string) {
	t.Helper()
	db := k.open(t)
	defer db.Close()
	mariadbtest.Exec(t, db, text)
}

func (k *mariadb) systems() map[string]any {
	return map[string]any{k.system: map[string]any{"connector": "mysql", "options": map[string]any{"dsn": k.via}}}
}

func (k *mariadb) resources(*testing.T) []any {
	a, data := k.covers(k.pooled)
	typ := "rows"
	if !k.pooled {
		typ, a["ddl"] = "database", "create table if not exists history (id bigint auto_increment primary key, body json not null);\n"+k.lookups()+strings.ReplaceAll(k.mariadb(), "SHARED.", "")
		tables := a["tables"].(map[string]any)
		for name := range strings.FieldsSeq("countries currencies") {
			if k.name == "shop" {
				tables[name] = "people"
			}
		}
		delete(a, "shared")
	}
	return []any{map[string]any{"key": k.system, "system": k.system, "type": typ, "name": "${tenant.name}", "data": data, "attributes": a}}
}

// lookups are the tables of the platform's that a database of a tenant's own has itself.
func (k *mariadb) lookups() string {
	if k.name != "shop" {
		return ""
	}
	return `create table if not exists countries (code varchar(10) primary key, name text not null);
create table if not exists currencies (code varchar(10) primary key, country varchar(10), foreign key (country) references countries (code));
insert ignore into countries values ('DE', 'Germany'); insert ignore into currencies values ('EUR', 'DE');
`
}

func (k *mariadb) fill(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	db := k.open(t)
	defer db.Close()
	f := &filler{Rand: rnd, source: mariadbSource{db}, parents: k.parents, full: k.full, last: 200000}
	if k.pooled {
		f.nobodys = strings.Fields(k.shared)
		f.fill(t, []string{k.name, "extra"}, tenants...)
		mariadbtest.Exec(t, db, strings.ReplaceAll(k.mariadbCrossing(), "S.", k.name+"."))
		return
	}
	for _, who := range tenants {
		f.nobodys = []string{"countries", "currencies"}
		schemas := []string{who.name, "extra"}
		if who.name == "acme" {
			schemas = schemas[:1]
		}
		f.fill(t, schemas, who)
	}
}

// mariadbCrossing is the crossing without what PostgreSQL alone can say.
func (p platform) mariadbCrossing() string {
	if p.name == "shop" {
		return `update S.pages set template_id = (select min(id) from S.templates where tenant_key = 'acme') where tenant_key = 'acme-2' order by id limit 1;
update S.reviews set moderated_by = (select min(id) from S.staff where tenant_key = 'acme') where product_id in (select id from S.products where tenant_key = 'birch') order by id limit 1;
update S.orders set ship_to = (select min(address_id) from S.customers where tenant_key = 'birch') where tenant_key = 'acme' order by id limit 1;
delete from S.addresses where not exists (select 1 from S.customers where address_id = addresses.id) and not exists (select 1 from S.orders where ship_to = addresses.id);`
	}
	return `update S.referrals set by_doctor = (select min(id) from S.doctors where practice = 'acme') where practice = 'acme-2' order by id limit 1;
update S.results set seen_by = (select min(id) from S.doctors where practice = 'acme') where sample_id in (select s.id from S.samples s join S.visits v on v.id = visit_id where v.practice = 'birch') order by id limit 1;
update S.patients p join (select min(contact) as c from S.patients where practice = 'birch') as o set contact = o.c where practice = 'acme' and contact is null;
delete from S.contacts where not exists (select 1 from S.patients where contact = contacts.id);`
}

// ours are the databases that aren't the server's or Tenure's.
const ours = "('mysql', 'information_schema', 'performance_schema', 'sys', 'tenure', 'tenure_sentinel')"

func (k *mariadb) tables(t *testing.T, db *sql.DB) (out [][2]string) {
	t.Helper()
	rows, err := db.Query("select table_schema, table_name from information_schema.tables where table_type <> 'VIEW' and table_schema not in " + ours + " order by 1, 2")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var n [2]string
		must(t, rows.Scan(&n[0], &n[1]))
		out = append(out, n)
	}
	must(t, rows.Err())
	return out
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// rows are all rows, each a line of its table and its values as JSON.
func (k *mariadb) rows(t *testing.T) (out []string) {
	t.Helper()
	db := k.open(t)
	defer db.Close()
	for _, n := range k.tables(t, db) {
		rows, err := db.Query("select * from " + quoted(n[0]) + "." + quoted(n[1]))
		must(t, err)
		out = append(out, lines(t, rows, n[0]+"."+n[1])...)
	}
	return out
}

// cell shows a value as JSON: a number and a document as they are.
func cell(v sql.RawBytes) string {
	if v == nil {
		return "null"
	}
	text := string(v)
	if _, err := strconv.ParseInt(text, 10, 64); err == nil || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return text
	}
	if utf8.ValidString(text) {
		return strconv.Quote(text)
	}
	return strconv.Quote(hex.EncodeToString(v))
}

// counting is what a trigger's rows change of a table.
var counting = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// shape is what the server would write down of all but rows and, where each tenant has a
// database, the leaver's.
func (k *mariadb) shape(t *testing.T) string {
	t.Helper()
	db := k.open(t)
	defer db.Close()
	skip := ours[:len(ours)-1] + ")"
	if !k.pooled {
		skip = ours[:len(ours)-1] + ", 'acme')"
	}
	var out []string
	for _, n := range k.tables(t, db) {
		if !k.pooled && n[0] == "acme" {
			continue
		}
		var name, text string
		must(t, db.QueryRow("show create table "+quoted(n[0])+"."+quoted(n[1])).Scan(&name, &text))
		out = append(out, n[0]+"."+n[1]+" "+counting.ReplaceAllString(text, ""))
	}
	for _, query := range []string{
		"select concat_ws(' ', trigger_schema, trigger_name, action_timing, event_manipulation, event_object_table, action_statement, definer, sql_mode, created) from information_schema.triggers where trigger_schema not in " + skip,
		"select concat_ws(' ', table_schema, table_name, view_definition, definer, security_type) from information_schema.views where table_schema not in " + skip,
		"select concat_ws(' ', event_schema, event_name, status, event_definition) from information_schema.events where event_schema not in " + skip,
		"select concat_ws(' ', routine_schema, routine_name, routine_definition, definer) from information_schema.routines where routine_schema not in " + skip,
		"select concat_ws(' ', schema_name, default_collation_name) from information_schema.schemata where schema_name not in " + skip,
	} {
		out = append(out, mariadbtest.Strings(t, db, query)...)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// raw is all that the server holds, as text.
func (k *mariadb) raw(t *testing.T) []byte {
	t.Helper()
	conf, err := mysql.ParseDSN(k.dsn)
	must(t, err)
	host, port, _ := strings.Cut(conf.Addr, ":")
	cmd := exec.Command("mariadb-dump", "--no-defaults", "--host="+host, "--port="+port, "--user="+conf.User, "--all-databases", "--routines", "--events", "--triggers", "--single-transaction", "--skip-extended-insert")
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+conf.Passwd)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mariadb-dump: %v: %s", err, errs.String())
	}
	return out
}

func (k *mariadb) class(_ *testing.T, table string) string {
	_, short, _ := strings.Cut(table, ".")
	return k.classOf(table, short)
}

func (k *mariadb) door() string {
	conf, _ := mysql.ParseDSN(k.via)
	return "greets " + conf.Addr
}

func (k *mariadb) counter() *counter { return k.proxy }

// kill ends one of the server's sessions, or the server with SIGKILL.
func (k *mariadb) kill(whole bool) bool {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	db, err := sql.Open("mysql", k.dsn)
	if err != nil {
		return false
	}
	defer db.Close()
	if whole {
		if db.PingContext(ctx) != nil {
			return false
		}
		k.server.Kill(k.t)
		k.killed = true
		return true
	}
	var id int64
	if err := db.QueryRowContext(ctx, "select id from information_schema.processlist where id <> connection_id() and user = 'root' and command <> 'Daemon' order by time_ms limit 1").Scan(&id); err != nil {
		return false
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("kill hard connection %d", id))
	return err == nil
}

// await waits until the server answers again; one that was killed is started.
func (k *mariadb) await(t *testing.T) {
	t.Helper()
	if !k.killed {
		return
	}
	k.server.Again(t)
	k.killed = false
	k.exec(t, "set global innodb_flush_log_at_trx_commit = 2")
}

// mariadbSource is a database in MariaDB.
type mariadbSource struct{ db *sql.DB }

func (s mariadbSource) tables(t *testing.T, schemas []string) (out []*table) {
	t.Helper()
	in := "('" + strings.Join(schemas, "', '") + "')"
	at := map[string]*table{}
	name := func(schema, table string) string { return quoted(schema) + "." + quoted(table) }
	s.each(t, "select table_schema, table_name, column_name, data_type, column_type, is_nullable from information_schema.columns join information_schema.tables using (table_schema, table_name) where table_type = 'BASE TABLE' and is_generated = 'NEVER' and extra not like '%auto_increment%' and table_schema in "+in+" order by 1, 2, ordinal_position", func(v []string) {
		n := name(v[0], v[1])
		if at[n] == nil {
			at[n] = &table{name: n, short: v[1], into: []string{n}}
			out = append(out, at[n])
		}
		at[n].columns = append(at[n].columns, column{name: v[2], kind: v[3], rigid: v[5] == "NO"})
	})
	type id struct{ table, name string }
	keys, order := map[id]*key{}, []id{}
	s.each(t, "select table_schema, table_name, constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name from information_schema.key_column_usage where referenced_table_name is not null and table_schema in "+in+" order by 1, 2, 3, ordinal_position", func(v []string) {
		i := id{name(v[0], v[1]), v[2]}
		if keys[i] == nil {
			parent := name(v[4], v[5])
			if v[5] == "countries" || v[5] == "currencies" {
				parent = "platform." + v[5]
			}
			keys[i] = &key{parent: parent}
			order = append(order, i)
		}
		keys[i].columns, keys[i].refs = append(keys[i].columns, v[3]), append(keys[i].refs, v[6])
	})
	for _, i := range order {
		at[i.table].keys = append(at[i.table].keys, *keys[i])
	}
	return out
}

func (s mariadbSource) each(t *testing.T, query string, f func([]string)) {
	t.Helper()
	rows, err := s.db.Query(query)
	must(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	for rows.Next() {
		values, into := make([]string, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		must(t, rows.Scan(into...))
		f(values)
	}
	must(t, rows.Err())
}

func (mariadbSource) into(table string, names, values []string) string {
	for i, n := range names {
		names[i] = quoted(n)
	}
	return fmt.Sprintf("insert into %s (%s) values (%s)", table, strings.Join(names, ", "), strings.Join(values, ", "))
}

func (s mariadbSource) write(t *testing.T, inserts []string) {
	t.Helper()
	_, err := s.db.Exec("set foreign_key_checks = 0; start transaction; " + strings.Join(inserts, ";\n") + "; commit; set foreign_key_checks = 1")
	must(t, err)
}

func (mariadbSource) value(f *filler, p person, c column, token string) string {
	switch c.kind {
	case "int", "bigint":
		return fmt.Sprint(f.last)
	case "uuid":
		return fmt.Sprintf("'%08x-0000-4000-8000-%012x'", f.last, f.last)
	case "date":
		return []string{"'2024-05-06'", "'2026-02-03'"}[f.IntN(2)]
	case "longtext":
		return fmt.Sprintf(`'{"tenant_key": %q, "practice": %q, "in": ["%s"]}'`, p.name, p.name, token)
	case "varchar":
		return "'" + token + "'"
	case "text":
		return "'" + token + " Ω'"
	case "blob", "mediumblob", "longblob":
		return "'" + token + "'"
	}
	return ""
}
