package mysql

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/mariadbtest"
)

// foreign are databases and accounts that a platform's own scripts made. TOKEN begins their
// names.
func foreign(t *testing.T) *world {
	w := &world{dsn: mariadbtest.DSN(t), token: mariadbtest.Token() + "_"}
	w.db, w.user = mariadbtest.Open(t, w.dsn), w.token+"reader"
	t.Cleanup(func() { mariadbtest.Sweep(t, w.db, strings.TrimSuffix(w.token, "_")) })
	w.exec(t, strings.ReplaceAll(foreignPlatform, "TOKEN", w.token))
	w.proxy = mariadbtest.NewProxy(t, mariadbtest.As(t, w.dsn, w.user, "reader-secret-text", w.token+"app"))
	return w
}

const foreignPlatform = `create database "TOKENapp"; create database "TOKENlog"; create database "TOKENt_a"; create database "TOKENt_b"; create database "TOKENt c.""d"; create database "TOKENt_old";
create user 'TOKENreader'@'127.0.0.1' identified by 'reader-secret-text'; grant select, show databases, process on *.* to 'TOKENreader'@'127.0.0.1';
create table "TOKENapp".tenants (id char(4) primary key, name varchar(80), slug varchar(80), stripe_customer_id varchar(80), billing_email varchar(80), domain varchar(80), status enum('active', 'suspended'), password varchar(80), created_at datetime, last_seen_at datetime(3), deleted_at datetime);
insert into "TOKENapp".tenants values ('acme', 'Acme, Inc.', 'ac-me', 'cus_1', 'pay@acme.example', 'acme.example', 'active', 'never-read-this', '2026-01-02 03:04:05', '2026-05-06 07:08:09.5', null),
 ('birc', 'Birch''s
"odd"', 'birch', null, null, null, 'suspended', 'never-read-this', '2026-01-03', null, '2026-03-01');
create table "TOKENapp".users (id int primary key, tenant_id char(4), email varchar(80), is_active tinyint(1), password_digest varchar(80), last_login datetime, foreign key (tenant_id) references "TOKENapp".tenants (id));
insert into "TOKENapp".users values (1, 'acme', 'a@acme.example', 1, 'never-read-this', '2026-04-04'), (2, 'birc', 'b@birch.example', 0, 'never-read-this', null);
create table "TOKENapp".orders (id int, tenant_id char(4), updated_at timestamp null) partition by hash (id) partitions 2;
insert into "TOKENapp".orders values (1, 'acme', '2026-02-02'), (2, 'acme', '2026-02-03'), (3, 'gone', '2026-02-01'), (4, null, null);
create table "TOKENapp"."lines" (id int primary key, user_id int, foreign key (user_id) references "TOKENapp".users (id)); create table "TOKENapp".leftovers (id int) engine = MyISAM;
create function "TOKENapp".spring() returns int return 1; create view "TOKENapp".seen as select "TOKENapp".spring() as tenant_id;
create table "TOKENlog".invoices (customer_id varchar(80), n int); insert into "TOKENlog".invoices values ('x', 1), ('odd ''key''
', 2), ('x', 3);
create table "TOKENt_a".one (tenant_id int); create table "TOKENt_a".two (n int); create table "TOKENt_b".one (n int); create table "TOKENt_b".two (n int); create table "TOKENt c.""d".one (n int);
create table "TOKENt_old".one (n int); create table "TOKENt_old".two (n int); create table "TOKENt_old".three (n int);
create role "TOKENstaff"; create user 'TOKENapp'@'%' identified by 'a-long-enough-secret' with max_user_connections 5; grant "TOKENstaff" to 'TOKENapp'@'%'; grant select on "TOKENlog".* to 'TOKENapp'@'%'; grant select on "TOKENapp".users to "TOKENstaff"; grant select on "TOKENt_b".two to "TOKENstaff";
create user 'TOKENit"s odd'@'10.1.%' identified by 'a-long-enough-secret' account lock; grant select on "TOKENt\_a".* to 'TOKENit"s odd'@'10.1.%';
create user 'TOKENwide'@'localhost' identified by 'a-long-enough-secret' require ssl; grant all on "TOKENt_%".* to 'TOKENwide'@'localhost'; create user 'TOKENboss'@'%' identified by 'a-long-enough-secret'; grant all on *.* to 'TOKENboss'@'%'`

func (w *world) trace(t *testing.T, ask connector.Tracing) ([]connector.Trace, connector.Traced) {
	t.Helper()
	d, err := open(t.Context(), connector.Config{System: "foreign", Options: map[string]string{"databases": w.token + "*"}, Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(w.proxy.DSN)}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	var out []connector.Trace
	seen := map[string]bool{"": true}
	traced, err := d.(connector.Tracer).Trace(t.Context(), ask, func(one connector.Trace) error {
		if seen[one.ID] || !seen[one.In] {
			t.Errorf("%s comes twice, or before %s in which it stands", one.ID, one.In)
		}
		seen[one.ID] = true
		if one.Kind == connector.TraceRows || one.In != "" || strings.HasPrefix(one.Name, w.token) {
			out = append(out, one)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, traced
}

func (w *world) traceLine(one connector.Trace) string {
	one.Bytes, one.Rows = min(one.Bytes, 0), max(one.Rows, -1)
	if one.Kind != connector.TraceRows {
		one.Rows = 0
	}
	text, _ := json.Marshal(one)
	var fields map[string]any
	_ = json.Unmarshal(text, &fields)
	for k, v := range fields {
		if s := fmt.Sprint(v); v == nil || s == "" || s == "0" || s == "-1" || s == "false" || s == "map[]" || s == "0001-01-01T00:00:00Z" {
			delete(fields, k)
		}
	}
	delete(fields, "Kind")
	delete(fields, "ID")
	rest, _ := json.Marshal(fields)
	return strings.ReplaceAll(fmt.Sprintf("%s %s %s", one.Kind, strings.ReplaceAll(one.ID, "\n", "$"), rest), w.token, "TOKEN")
}

// A platform that Tenure has never seen is told as it stands, by an account that can only
// read, and nothing is written.
func TestTrace(t *testing.T) {
	t.Parallel()
	w := foreign(t)
	before, sent := w.look(t), w.proxy.Spy()
	got, traced := w.trace(t, connector.Tracing{})
	if w.look(t) != before {
		t.Error("the look changed the server")
	}
	for _, word := range []string{"insert ", "update ", "delete ", "create ", "alter ", "drop ", "start transaction", "lock "} {
		for line := range strings.SplitSeq(sent(), "\x03") {
			if strings.HasPrefix(strings.ToLower(line), word) {
				t.Errorf("the server was sent %q", line)
			}
		}
	}
	if !strings.Contains(sent(), "mysql.global_priv") {
		t.Error("what was sent wasn't seen")
	}
	if strings.Contains(fmt.Sprint(got, sent()), "never-read-this") {
		t.Error("a password was read")
	}
	var lines []string
	for _, one := range got {
		lines = append(lines, w.traceLine(one))
	}
	slices.Sort(lines)
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(foreignTraces), "\n"), lines); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, strings.Join(lines, "\n"))
	}
	if len(traced.Says) > 1 || traced.Fingerprint == "" {
		t.Errorf("all was there to be seen: %+v", traced)
	}
}

// What can't be seen is said, and keeps nothing else from being seen.
func TestTraceOfPart(t *testing.T) {
	t.Parallel()
	w := foreign(t)
	w.exec(t, strings.ReplaceAll(`create table "TOKENapp".plain (tenant_id int) engine = MyISAM; create table "TOKENapp".merged (tenant_id int) engine = merge union = ("TOKENapp".plain)`, "TOKEN", w.token))
	whole, traced := w.trace(t, connector.Tracing{})
	if says := strings.Join(traced.Says, "\n"); !strings.Contains(says, "merged weren't read: their engine") {
		t.Errorf("a table that leads elsewhere was read: %s", says)
	}
	known := map[string]bool{}
	for _, one := range whole {
		if known[one.ID] = true; one.Kind == connector.TracePlace && (one.Bytes <= 0 || one.Rows < 0) {
			t.Errorf("%s has no size: %+v", one.ID, one)
		}
	}
	calls := connector.NewBudget(1000)
	w.trace(t, connector.Tracing{Calls: calls})
	if calls.Spent() > 60 {
		t.Errorf("%d calls were made", calls.Spent())
	}
	for n := range calls.Spent() {
		budget := connector.NewBudget(n)
		part, traced := w.trace(t, connector.Tracing{Calls: budget})
		if budget.Spent() > n || !strings.Contains(strings.Join(traced.Says, " "), "calls allowed were spent") || n > 10 && len(part) == 0 || len(part) > len(whole) {
			t.Errorf("%d calls: %d of %d things, %d spent, %q", n, len(part), len(whole), budget.Spent(), traced.Says)
		}
		for _, one := range part {
			if !known[one.ID] {
				t.Errorf("%d calls: %s isn't there", n, one.ID)
			}
		}
	}

	w.exec(t, strings.ReplaceAll(`revoke select, process on *.* from 'TOKENreader'@'127.0.0.1'; grant select on "TOKENapp".* to 'TOKENreader'@'127.0.0.1'`, "TOKEN", w.token))
	part, traced := w.trace(t, connector.Tracing{})
	for _, want := range []string{"the account lacks select, process", "users and roles weren't read", "sizes weren't read", "foreign keys weren't read"} {
		if !strings.Contains(strings.Join(traced.Says, "\n"), want) {
			t.Errorf("a missing right isn't said: %q", traced.Says)
		}
	}
	for _, want := range []string{"table:" + w.token + "app.tenants", "row:acme@table:" + w.token + "app.tenants", "rows:gone@table:" + w.token + "app.orders", databaseID(w.token + "t_a")} {
		if !slices.ContainsFunc(part, func(one connector.Trace) bool { return one.ID == want }) {
			t.Errorf("%s isn't there, though it may be seen", want)
		}
	}
}

// What Tenure keeps for itself isn't told as somebody's, and what it made bears its mark.
func TestTraceOfOwn(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	name := w.token + "acme"
	made(t, d, connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, name), Tenant: "ten_acme", Type: "database", Name: name,
		Attributes: map[string]any{"ddl": "create table inside (tenant_id int)", "tables": map[string]any{"*": "a"}}})
	bears := map[string]connector.Ownership{}
	traced, err := d.Trace(t.Context(), connector.Tracing{}, func(one connector.Trace) error {
		if bears[one.Name] = one.Bears; strings.HasPrefix(one.Name, w.keep) || strings.HasPrefix(one.Name, ownerPrefix) || one.Name == w.user {
			t.Errorf("%s is told", one.ID)
		}
		return nil
	})
	if err != nil || bears[name] != connector.Ours || bears[w.app] != "" {
		t.Errorf("%v: %v", err, bears)
	}
	if says := strings.Join(traced.Says, "\n"); !strings.Contains(says, "inside weren't read: it is in a tenant's own database") {
		t.Errorf("a tenant's own tables: %s", says)
	}
}

// foreignTraces is what stands on such a platform, sorted.
const foreignTraces = `
account row:1@table:TOKENapp.users {"In":"table:TOKENapp.users","Labels":{"tenant":"acme"},"Mails":["a@acme.example"],"Name":"a@acme.example","Owners":["row:acme@table:TOKENapp.tenants"],"Used":"2026-04-04T00:00:00Z","Word":"row"}
account row:2@table:TOKENapp.users {"Disabled":true,"In":"table:TOKENapp.users","Labels":{"status":"not active","tenant":"birc"},"Mails":["b@birch.example"],"Name":"b@birch.example","Owners":["row:birc@table:TOKENapp.tenants"],"Word":"row"}
account user:"TOKENit""s odd"@10.1.% {"Attributes":{"host":"10.1.%"},"Disabled":true,"Lacks":["a connection limit"],"Name":"TOKENit\"s odd","Reaches":["database:TOKENt_a"],"Type":"user","Word":"user"}
account user:TOKENapp@% {"Attributes":{"connectionLimit":5,"host":"%","roles":["TOKENstaff"]},"Name":"TOKENapp","Reaches":["database:TOKENlog","role:TOKENstaff","table:TOKENlog.invoices"],"Type":"user","Word":"user"}
account user:TOKENboss@% {"All":"it has rights on the whole server","Attributes":{"host":"%"},"Labels":{"rights":"alter, alter routine, binlog admin, binlog monitor, binlog replay, connection admin, create, create routine, create tablespace, create temporary tables, create user, create view, delete, delete history, drop, event, execute, federated admin, file, index, insert, lock tables, process, read_only admin, references, reload, replication master admin, replication slave, replication slave admin, select, set user, show databases, show view, shutdown, slave monitor, super, trigger, update","superuser":"true"},"Lacks":["a connection limit"],"Name":"TOKENboss","Type":"user","Word":"user"}
account user:TOKENwide@localhost {"Attributes":{"host":"localhost","tls":true},"Lacks":["a connection limit"],"Name":"TOKENwide","Reaches":["database:\"TOKENt c.\"\"d\"","database:TOKENt_a","database:TOKENt_b","database:TOKENt_old"],"Type":"user","Word":"user"}
group role:TOKENstaff {"Beside":[{"attributes":{"database":"TOKENapp","privileges":["select"],"tables":["users"],"to":"TOKENstaff"},"type":"grant"},{"attributes":{"database":"TOKENt_b","privileges":["select"],"tables":["two"],"to":"TOKENstaff"},"type":"grant"}],"Name":"TOKENstaff","Reaches":["database:TOKENt_b","table:TOKENapp.users"],"Type":"role","Word":"role"}
place database:"TOKENt c.""d" {"Attributes":{"characterSet":"utf8mb4","collation":"utf8mb4_general_ci"},"Labels":{"alike":"true"},"Name":"TOKENt c.\"d","Type":"database","Word":"database"}
place database:TOKENapp {"Attributes":{"characterSet":"utf8mb4","collation":"utf8mb4_general_ci"},"Name":"TOKENapp","Type":"database","Word":"database"}
place database:TOKENlog {"Attributes":{"characterSet":"utf8mb4","collation":"utf8mb4_general_ci"},"Name":"TOKENlog","Type":"database","Word":"database"}
place database:TOKENt_a {"Attributes":{"characterSet":"utf8mb4","collation":"utf8mb4_general_ci"},"Labels":{"alike":"true"},"Name":"TOKENt_a","Type":"database","Word":"database"}
place database:TOKENt_b {"Attributes":{"characterSet":"utf8mb4","collation":"utf8mb4_general_ci"},"Labels":{"alike":"true"},"Name":"TOKENt_b","Type":"database","Word":"database"}
place database:TOKENt_old {"Attributes":{"characterSet":"utf8mb4","collation":"utf8mb4_general_ci"},"Labels":{"alike":"true"},"Name":"TOKENt_old","Type":"database","Word":"database"}
record row:acme@table:TOKENapp.tenants {"Called":["Acme, Inc.","ac-me"],"ExternalIDs":["cus_1"],"In":"table:TOKENapp.tenants","Labels":{"status":"active"},"Made":"2026-01-02T03:04:05Z","Mails":["pay@acme.example","acme.example"],"Name":"acme","Used":"2026-05-06T07:08:09.5Z","Word":"row"}
record row:birc@table:TOKENapp.tenants {"Called":["Birch's\n\"odd\"","birch"],"Disabled":true,"In":"table:TOKENapp.tenants","Labels":{"status":"suspended"},"Made":"2026-01-03T00:00:00Z","Name":"birc","Word":"row"}
rows nobody:table:TOKENapp.orders {"In":"table:TOKENapp.orders","Labels":{"tenants":"none"},"Rows":1,"Type":"rows","Word":"rows"}
rows rows:acme@table:TOKENapp.orders {"Attributes":{"column":"tenant_id","key":"acme","schema":"TOKENapp"},"In":"table:TOKENapp.orders","Name":"acme","Owners":["row:acme@table:TOKENapp.tenants"],"Rows":2,"Type":"rows","Used":"2026-02-03T00:00:00Z","Word":"rows"}
rows rows:acme@table:TOKENapp.users {"Attributes":{"column":"tenant_id","key":"acme","schema":"TOKENapp"},"In":"table:TOKENapp.users","Name":"acme","Owners":["row:acme@table:TOKENapp.tenants"],"Rows":1,"Type":"rows","Word":"rows"}
rows rows:birc@table:TOKENapp.users {"Attributes":{"column":"tenant_id","key":"birc","schema":"TOKENapp"},"In":"table:TOKENapp.users","Name":"birc","Owners":["row:birc@table:TOKENapp.tenants"],"Rows":1,"Type":"rows","Word":"rows"}
rows rows:gone@table:TOKENapp.orders {"Attributes":{"column":"tenant_id","key":"gone","schema":"TOKENapp"},"In":"table:TOKENapp.orders","Name":"gone","Owners":["row:gone@table:TOKENapp.tenants"],"Rows":1,"Type":"rows","Used":"2026-02-01T00:00:00Z","Word":"rows"}
rows rows:odd 'key'$@table:TOKENlog.invoices {"Attributes":{"column":"customer_id","key":"odd 'key'\n","schema":"TOKENlog"},"In":"table:TOKENlog.invoices","Name":"odd 'key'\n","Rows":1,"Type":"rows","Word":"rows"}
rows rows:x@table:TOKENlog.invoices {"Attributes":{"column":"customer_id","key":"x","schema":"TOKENlog"},"In":"table:TOKENlog.invoices","Name":"x","Rows":2,"Type":"rows","Word":"rows"}
table table:TOKENapp.leftovers {"In":"database:TOKENapp","Labels":{"tenants":"none"},"Name":"leftovers","Word":"table"}
table table:TOKENapp.lines {"In":"database:TOKENapp","Labels":{"tenants":"linked"},"Name":"lines","Word":"table"}
table table:TOKENapp.orders {"In":"database:TOKENapp","Labels":{"column":"tenant_id","tenants":"rows"},"Name":"orders","Word":"table"}
table table:TOKENapp.tenants {"In":"database:TOKENapp","Labels":{"tenants":"list"},"Name":"tenants","Word":"table"}
table table:TOKENapp.users {"In":"database:TOKENapp","Labels":{"column":"tenant_id","tenants":"rows"},"Name":"users","Word":"table"}
table table:TOKENlog.invoices {"In":"database:TOKENlog","Labels":{"column":"customer_id","tenants":"rows"},"Name":"invoices","Word":"table"}
`
