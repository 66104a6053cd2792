package postgres

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// foreign is a database that a platform's own scripts made, and a login that may only read.
type foreign struct {
	dsn, token, database string
	proxy                *postgrestest.Proxy
}

// newForeign runs the SQL, in which TOKEN begins the names of roles.
func newForeign(t *testing.T, sql string) *foreign {
	f := &foreign{dsn: postgrestest.Database(t), token: "t" + postgrestest.Token() + "_"}
	f.database = postgrestest.Value[string](t, f.dsn, "select current_database()")
	t.Cleanup(func() {
		for _, role := range strs(t, connect(t, f.dsn), "select rolname from pg_roles where rolname like $1", f.token+"%") {
			postgrestest.Exec(t, f.dsn, "drop owned by "+quote(role)+" cascade; drop role "+quote(role))
		}
	})
	f.exec(t, "create role TOKENreader login password 'reader-secret-text' in role pg_read_all_data;\n"+sql)
	f.proxy = postgrestest.NewProxy(t, postgrestest.With(t, f.dsn, func(u *url.URL) {
		u.User, u.RawQuery = url.UserPassword(f.token+"reader", "reader-secret-text"), "sslmode=disable"
	}))
	return f
}

func (f *foreign) exec(t *testing.T, sql string) {
	t.Helper()
	postgrestest.Exec(t, f.dsn, strings.ReplaceAll(sql, "TOKEN", f.token))
}

// trace looks as the reader, and gives what is the database's or has a name with the token.
func (f *foreign) trace(t *testing.T, ask connector.Tracing) ([]connector.Trace, connector.Traced) {
	t.Helper()
	d, err := open(t.Context(), connector.Config{System: "foreign", Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(f.proxy.DSN)}})
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
		server := one.Type == "database" && one.Name != f.database || one.Type == "role" && !strings.HasPrefix(one.Name, f.token)
		if !server {
			out = append(out, one)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, traced
}

// line is a trace as a text, without what differs from run to run.
func (f *foreign) line(one connector.Trace) string {
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
	kind, id := fields["Kind"], strings.ReplaceAll(one.ID, "\n", "$")
	delete(fields, "Kind")
	delete(fields, "ID")
	rest, _ := json.Marshal(fields)
	return strings.NewReplacer(f.token, "TOKEN", f.database, "DB").Replace(fmt.Sprintf("%s %s %s", kind, id, rest))
}

const foreignPlatform = `
create role TOKENowner; create role TOKENstaff; create role TOKENapp login in role TOKENstaff bypassrls connection limit 5; create role TOKENacme login valid until '2027-01-01'; create role TOKENboss login superuser;
create role "TOKENit's ""odd""" login connection limit 0;
revoke connect on database "DB" from public; grant connect on database "DB" to TOKENreader, TOKENapp; revoke all on schema public from public;
create type mood as enum ('active', 'suspended');
create table tenants (id uuid primary key, name text, slug text, stripe_customer_id text, billing_email text, domain text, status mood, password text, created_at timestamptz, last_seen_at timestamptz, deleted_at timestamptz);
insert into tenants values ('00000000-0000-0000-0000-000000000001', 'Acme, Inc.', 'acme', 'cus_1', 'pay@acme.example', 'acme.example', 'active', 'never-read-this', '2026-01-02 03:04:05+00', '2026-05-06 07:08:09.5+00', null),
 ('00000000-0000-0000-0000-000000000002', E'Birch''s\n"odd"', 'birch', null, null, null, 'suspended', 'never-read-this', '2026-01-03', null, '2026-03-01');
create table users (id int primary key, tenant_id uuid references tenants, email text, is_active bool, password_digest text, last_login timestamp);
insert into users values (1, '00000000-0000-0000-0000-000000000001', 'a@acme.example', true, 'never-read-this', '2026-04-04 00:00:00'), (2, '00000000-0000-0000-0000-000000000002', 'b@birch.example', false, 'never-read-this', null);
create table orders (id int, tenant_id uuid, updated_at timestamptz) partition by range (id); create table orders_1 partition of orders for values from (0) to (100);
insert into orders values (1, '00000000-0000-0000-0000-000000000001', '2026-02-02'), (2, '00000000-0000-0000-0000-000000000001', '2026-02-03'), (3, '00000000-0000-0000-0000-000000000009', '2026-02-01'), (4, null, null);
create table lines (id int primary key, user_id int references users); create table leftovers (id int); alter table leftovers owner to TOKENowner; grant select on leftovers to public; grant usage on schema public to public;
grant select on users to TOKENstaff; grant insert (id) on lines to TOKENacme;
create view seen as select * from users;
create schema billing authorization TOKENowner; create table billing.invoices (customer_id text, n int); insert into billing.invoices values ('x', 1), (E'odd ''key''\n', 2), ('x', 3); alter table billing.invoices enable row level security;
create schema t_a authorization TOKENacme; create schema t_b; create schema "t c.""d"""; create schema t_old;
create table t_a.one (tenant_id int); create table t_a.two (n int); create table t_b.one (tenant_id int); create table t_b.two (n int); create table "t c.""d""".one (tenant_id int); create table t_old.one (tenant_id int); create table t_old.two (n int); create table t_old.three (n int);
alter table t_a.one owner to TOKENacme; grant usage on schema t_b to TOKENacme; grant select on t_b.two to TOKENacme;
analyze`

func TestTrace(t *testing.T) {
	t.Parallel()
	f := newForeign(t, "")
	f.exec(t, strings.ReplaceAll(foreignPlatform, "DB", f.database))
	f.exec(t, "grant all on billing.invoices to TOKENreader; alter role TOKENreader bypassrls")
	const catalog = `select md5(string_agg(x, ' ' order by x)) from (select c.oid || c.xmin::text || c.relname as x from pg_class c union all select oid || xmin::text from pg_namespace union all select oid || xmin::text from pg_proc
 union all select a.oid || a.xmin::text from pg_authid a where a.rolname like 't%' and left(a.rolname, 8) = left('TOKEN', 8) union all select xmin::text from tenants union all select xmin::text from orders) t`
	state := func() string {
		return postgrestest.Value[string](t, f.dsn, strings.ReplaceAll(catalog, "TOKEN", f.token))
	}
	before, sent := state(), f.proxy.Spy()
	got, traced := f.trace(t, connector.Tracing{})
	if state() != before {
		t.Error("the look changed the database")
	}
	for _, line := range strings.FieldsFunc(sent(), func(r rune) bool { return r == ';' || r == '\n' || r == 0 }) {
		if l := strings.TrimSpace(line); strings.HasPrefix(l, "set ") && !strings.HasPrefix(l, "set local ") || strings.HasPrefix(l, "begin") && !strings.Contains(l, "read only") {
			t.Errorf("the server was sent %q", l)
		}
	}
	if all := fmt.Sprint(got, sent()); strings.Contains(all, "never-read-this") || strings.Contains(all, "password_digest\"") {
		t.Error("a password was read")
	}
	var lines []string
	for _, one := range got {
		lines = append(lines, f.line(one))
	}
	slices.Sort(lines)
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(foreignTraces), "\n"), lines); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, strings.Join(lines, "\n"))
	}
	if says := slices.DeleteFunc(traced.Says, func(s string) bool { return strings.Contains(s, "looked into") }); len(says) > 0 {
		t.Errorf("all was there to be seen: %q", says)
	}
}

// What can't be seen is said, and keeps nothing else from being seen: calls that are spent at
// any point, missing rights, and tables whose reading would run a tenant's code.
func TestTraceOfPart(t *testing.T) {
	t.Parallel()
	f := newForeign(t, "create role TOKENtenant")
	f.exec(t, strings.ReplaceAll(foreignPlatform, "DB", f.database))
	f.exec(t, `create schema shop; create function shop.spring(int) returns int immutable language plpgsql as 'begin raise exception $$sprung$$; end'; alter function shop.spring(int) owner to TOKENtenant;
create function shop.calm(int) returns int immutable language sql as 'select $1';
create table shop.trap (tenant_id int, n int); create table shop.fine (tenant_id int); insert into shop.fine values (7); create index on shop.fine (shop.calm(tenant_id));
create function shop.raise() returns int language sql as 'select 1'; insert into shop.trap values (1, 1);
set check_function_bodies to off; create index on shop.trap (n) where shop.calm(1) = 2; alter function shop.calm(int) owner to TOKENtenant;
create table shop.theirs (tenant_id int); create table t_b.theirs (n int); alter table shop.theirs owner to TOKENacme;
create table shop.walled (tenant_id int); alter table shop.walled enable row level security;
create table shop.locked (tenant_id int); create view shop.tenants as select shop.spring(1) as id`)
	whole, traced := f.trace(t, connector.Tracing{})
	has := func(all []connector.Trace, name string) bool {
		return slices.ContainsFunc(all, func(one connector.Trace) bool {
			return one.Kind == connector.TraceRows && strings.HasSuffix(one.In, name)
		})
	}
	says := strings.Join(traced.Says, "\n")
	for _, name := range []string{"shop.trap", "shop.fine", "shop.theirs", "shop.walled"} {
		if !strings.Contains(says, "the rows of "+name+" weren't read: ") || has(whole, name) {
			t.Errorf("%s: %s", name, says)
		}
	}
	if !strings.Contains(says, "of shop.trap weren't read: an index") || !strings.Contains(says, "shop.theirs weren't read: it belongs to a tenant's role") || !has(whole, "public.orders") {
		t.Errorf("what keeps rows from being read: %s", says)
	}
	for _, one := range whole {
		if one.Kind == connector.TracePlace && one.Bytes < 0 || one.Name == "t_a" && one.Rows < 0 {
			t.Errorf("%s has no size: %+v", one.ID, one)
		}
	}
	known := map[string]bool{}
	for _, one := range whole {
		known[one.ID] = true
	}
	calls := connector.NewBudget(1000)
	f.trace(t, connector.Tracing{Calls: calls})
	if calls.Spent() > 60 {
		t.Errorf("%d calls were made", calls.Spent())
	}
	for n := range calls.Spent() - 1 { // the last ends the transaction
		budget := connector.NewBudget(n)
		part, traced := f.trace(t, connector.Tracing{Calls: budget})
		if budget.Spent() > n || !strings.Contains(strings.Join(traced.Says, " "), "calls allowed were spent") || n > 0 && len(part) == 0 || len(part) > len(whole) {
			t.Errorf("%d calls: %d of %d things, %d spent, %q", n, len(part), len(whole), budget.Spent(), traced.Says)
		}
		for _, one := range part {
			if !known[one.ID] {
				t.Errorf("%d calls: %s isn't there", n, one.ID)
			}
		}
	}

	f.exec(t, "analyze orders; update pg_class set reltuples = 20000000 where relname = 'orders_1'")
	many, traced := f.trace(t, connector.Tracing{})
	at := slices.IndexFunc(many, func(one connector.Trace) bool {
		return one.In == relational.TraceID("table", f.database, "public", "orders") && strings.HasSuffix(one.Name, "1")
	})
	if says := strings.Join(traced.Says, "\n"); at < 0 || many[at].Rows != 10_000_000 || !strings.Contains(says, "public.orders weren't counted") {
		t.Errorf("a big table isn't told by the server's statistics: %s", says)
	}

	f.exec(t, "revoke pg_read_all_data from TOKENreader; grant usage on schema shop to TOKENreader; grant select on tenants to TOKENreader")
	part, traced := f.trace(t, connector.Tracing{})
	if says := strings.Join(traced.Says, "\n"); !strings.Contains(says, "public.orders weren't read: rights") || has(part, "orders") || len(part) < 20 {
		t.Errorf("a missing right: %d things, %s", len(part), says)
	}
	if !slices.ContainsFunc(part, func(one connector.Trace) bool { return one.Kind == connector.TraceRecord }) {
		t.Error("the tenants weren't read, though they may be")
	}
}

// What Tenure keeps for itself isn't told as somebody's, and what it made bears its mark.
func TestTraceOfOwn(t *testing.T) {
	t.Parallel()
	d, w, system := opened(t)
	role, store := w.token+"acme", w.token+"acme_data"
	for _, want := range []connector.Desired{desired("role", role, map[string]any{"login": false}), desired("schema", store, map[string]any{"owner": role, "ddl": "create table inside (tenant_id int)"})} {
		if _, _, _, err := system.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	bears := map[string]connector.Ownership{}
	traced, err := d.Trace(t.Context(), connector.Tracing{}, func(one connector.Trace) error {
		if bears[one.Name] = one.Bears; strings.Contains(one.ID, "tenure") && one.Type != "database" || strings.Contains(one.ID, w.platform) {
			t.Errorf("%s is told", one.ID)
		}
		return nil
	})
	if err != nil || traced.Fingerprint == "" {
		t.Fatal(err, traced)
	}
	for name, want := range map[string]connector.Ownership{role: connector.Ours, store: connector.Ours, "app": ""} {
		if bears[name] != want {
			t.Errorf("%s bears %q, want %q", name, bears[name], want)
		}
	}
	if says := strings.Join(traced.Says, "\n"); !strings.Contains(says, "inside weren't read: it is in a tenant's own schema") {
		t.Errorf("a tenant's own table: %s", says)
	}
}

// foreignTraces is what stands in such a database, sorted.
const foreignTraces = `
account role:"TOKENit's ""odd""" {"Attributes":{"connectionLimit":0,"login":true},"Disabled":true,"Name":"TOKENit's \"odd\"","Type":"role","Word":"role"}
account role:TOKENacme {"Attributes":{"login":true},"Expires":"2027-01-01T00:00:00Z","Lacks":["a connection limit"],"Name":"TOKENacme","Reaches":["schema:DB.t_a","schema:DB.t_b","table:DB.public.lines"],"Type":"role","Word":"role"}
account role:TOKENapp {"Attributes":{"connectionLimit":5,"login":true,"memberOf":["TOKENstaff"]},"Labels":{"bypassrls":"true"},"Name":"TOKENapp","Reaches":["database:DB","role:TOKENstaff"],"Type":"role","Word":"role"}
account role:TOKENboss {"All":"it is a superuser","Attributes":{"login":true},"Labels":{"superuser":"true"},"Lacks":["a connection limit"],"Name":"TOKENboss","Type":"role","Word":"role"}
account row:1@table:DB.public.users {"In":"table:DB.public.users","Labels":{"tenant":"00000000-0000-0000-0000-000000000001"},"Mails":["a@acme.example"],"Name":"a@acme.example","Owners":["row:00000000-0000-0000-0000-000000000001@table:DB.public.tenants"],"Used":"2026-04-04T00:00:00Z","Word":"row"}
account row:2@table:DB.public.users {"Disabled":true,"In":"table:DB.public.users","Labels":{"status":"not active","tenant":"00000000-0000-0000-0000-000000000002"},"Mails":["b@birch.example"],"Name":"b@birch.example","Owners":["row:00000000-0000-0000-0000-000000000002@table:DB.public.tenants"],"Word":"row"}
group role:TOKENowner {"Attributes":{"login":false},"Name":"TOKENowner","Reaches":["schema:DB.billing","table:DB.public.leftovers"],"Type":"role","Word":"role"}
group role:TOKENstaff {"Attributes":{"login":false},"Name":"TOKENstaff","Reaches":["table:DB.public.users"],"Type":"role","Word":"role"}
place database:DB {"Name":"DB","Type":"database","Word":"database"}
place schema:DB."t c.""d""" {"In":"database:DB","Labels":{"alike":"true","tables":"1"},"Name":"t c.\"d\"","Type":"schema","Word":"schema"}
place schema:DB.billing {"Attributes":{"owner":"TOKENowner"},"In":"database:DB","Labels":{"tables":"1"},"Name":"billing","Owners":["role:TOKENowner"],"Type":"schema","Word":"schema"}
place schema:DB.t_a {"Attributes":{"owner":"TOKENacme"},"In":"database:DB","Labels":{"alike":"true","tables":"2"},"Name":"t_a","Owners":["role:TOKENacme"],"Type":"schema","Word":"schema"}
place schema:DB.t_b {"Beside":[{"attributes":{"privileges":["select"],"role":"TOKENacme","schema":"t_b","tables":["two"]},"type":"grant"}],"In":"database:DB","Labels":{"alike":"true","tables":"2"},"Name":"t_b","Type":"schema","Word":"schema"}
place schema:DB.t_old {"In":"database:DB","Labels":{"alike":"true","tables":"3"},"Name":"t_old","Type":"schema","Word":"schema"}
record row:00000000-0000-0000-0000-000000000001@table:DB.public.tenants {"Called":["Acme, Inc.","acme"],"ExternalIDs":["cus_1"],"In":"table:DB.public.tenants","Labels":{"status":"active"},"Made":"2026-01-02T03:04:05Z","Mails":["pay@acme.example","acme.example"],"Name":"00000000-0000-0000-0000-000000000001","Used":"2026-05-06T07:08:09.5Z","Word":"row"}
record row:00000000-0000-0000-0000-000000000002@table:DB.public.tenants {"Called":["Birch's\n\"odd\"","birch"],"Disabled":true,"In":"table:DB.public.tenants","Labels":{"status":"suspended"},"Made":"2026-01-03T00:00:00Z","Name":"00000000-0000-0000-0000-000000000002","Word":"row"}
rows nobody:table:DB.public.orders {"In":"table:DB.public.orders","Labels":{"tenants":"none"},"Rows":1,"Type":"rows","Word":"rows"}
rows rows:00000000-0000-0000-0000-000000000001@table:DB.public.orders {"Attributes":{"column":"tenant_id","key":"00000000-0000-0000-0000-000000000001","schema":"public"},"In":"table:DB.public.orders","Name":"00000000-0000-0000-0000-000000000001","Owners":["row:00000000-0000-0000-0000-000000000001@table:DB.public.tenants"],"Rows":2,"Type":"rows","Used":"2026-02-03T00:00:00Z","Word":"rows"}
rows rows:00000000-0000-0000-0000-000000000001@table:DB.public.users {"Attributes":{"column":"tenant_id","key":"00000000-0000-0000-0000-000000000001","schema":"public"},"In":"table:DB.public.users","Name":"00000000-0000-0000-0000-000000000001","Owners":["row:00000000-0000-0000-0000-000000000001@table:DB.public.tenants"],"Rows":1,"Type":"rows","Word":"rows"}
rows rows:00000000-0000-0000-0000-000000000002@table:DB.public.users {"Attributes":{"column":"tenant_id","key":"00000000-0000-0000-0000-000000000002","schema":"public"},"In":"table:DB.public.users","Name":"00000000-0000-0000-0000-000000000002","Owners":["row:00000000-0000-0000-0000-000000000002@table:DB.public.tenants"],"Rows":1,"Type":"rows","Word":"rows"}
rows rows:00000000-0000-0000-0000-000000000009@table:DB.public.orders {"Attributes":{"column":"tenant_id","key":"00000000-0000-0000-0000-000000000009","schema":"public"},"In":"table:DB.public.orders","Name":"00000000-0000-0000-0000-000000000009","Owners":["row:00000000-0000-0000-0000-000000000009@table:DB.public.tenants"],"Rows":1,"Type":"rows","Used":"2026-02-01T00:00:00Z","Word":"rows"}
rows rows:odd 'key'$@table:DB.billing.invoices {"Attributes":{"column":"customer_id","key":"odd 'key'\n","schema":"billing"},"In":"table:DB.billing.invoices","Name":"odd 'key'\n","Rows":1,"Type":"rows","Word":"rows"}
rows rows:x@table:DB.billing.invoices {"Attributes":{"column":"customer_id","key":"x","schema":"billing"},"In":"table:DB.billing.invoices","Name":"x","Rows":2,"Type":"rows","Word":"rows"}
table table:DB.billing.invoices {"In":"schema:DB.billing","Labels":{"column":"customer_id","row security":"true","tenants":"rows"},"Name":"invoices","Word":"table"}
table table:DB.public.leftovers {"In":"database:DB","Labels":{"owner":"role:TOKENowner","tenants":"none"},"Name":"leftovers","Open":"every role of the server may read or change it","Word":"table"}
table table:DB.public.lines {"In":"database:DB","Labels":{"tenants":"linked"},"Name":"lines","Word":"table"}
table table:DB.public.orders {"In":"database:DB","Labels":{"column":"tenant_id","tenants":"rows"},"Name":"orders","Word":"table"}
table table:DB.public.tenants {"In":"database:DB","Labels":{"tenants":"list"},"Name":"tenants","Word":"table"}
table table:DB.public.users {"In":"database:DB","Labels":{"column":"tenant_id","tenants":"rows"},"Name":"users","Word":"table"}
`
