package lifecycle_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/sqlite"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

const pooledText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: pooled
version: "%s"
environments:
  - {name: prod, kind: production}
systems:
  pool: {connector: sqlite}
dataClasses:
  aa: {disposition: purge, retention: [{name: a, kind: keep_until, period: P10D, from: termination}]}
  bb: {disposition: purge, retention: [{name: b, kind: keep_until, period: P20D, from: termination}]}
  cc: {disposition: purge, retention: [{name: c, kind: keep_until, period: P30D, from: termination}]}
resources:
  - key: data
    system: pool
    type: rows
    name: ${tenant.name}-data
    data: [aa, bb, cc]
    attributes: {column: tenant, key: "${tenant.name}", tables: {a: aa, b: bb, c: cc}}
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`

// platformFile is an empty SQLite database of a platform's, with the folder that it is in.
func platformFile(t *testing.T) (dir, file string, db *sql.DB) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "platform.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return dir, file, db
}

// pooled is a site with a real SQLite database that tenants share.
func pooled(t *testing.T) (*site, *sql.DB) {
	t.Helper()
	dir, file, db := platformFile(t)
	s := newSite(t, func(o *lifecycle.Options) {
		o.Catalog = append(o.Catalog, sqlite.Info())
		o.Settings["pool"] = lifecycle.SystemSettings{Connector: "sqlite", Options: map[string]string{"dir": filepath.Join(dir, "tenants"), "shared": file}}
	})
	s.tenants = filepath.Join(dir, "tenants")
	s.sql(db, `create table a (id integer primary key, tenant text not null); create table b (id integer primary key, tenant text not null); create table c (id integer primary key, tenant text not null)`)
	_, err := s.AddSystem(context.Background(), "pool", false, "operator")
	s.must(err)
	return s, db
}

func (s *site) sql(db *sql.DB, text string, args ...any) {
	s.t.Helper()
	_, err := db.ExecContext(context.Background(), text, args...)
	s.must(err)
}

func count(t *testing.T, db *sql.DB, text string) (n int) {
	t.Helper()
	if err := db.QueryRow(text).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const many = `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) `

// A shared database of three classes: the paper says of each how many rows went and
// when; and what the application writes again years later is found and goes.
func TestSharedDatabaseByClassAndAfter(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	s.publishText(strings.ReplaceAll(pooledText, "%s", "1.0"))
	s.wantState(s.begin("acme", "pooled"), tenure.OperationSucceeded)
	want := map[string]int64{"aa": 100, "bb": 300, "cc": 150}
	for table, n := range map[string]int{"a": 100, "b": 300, "c": 150} {
		s.sql(db, many+`insert into `+table+` (tenant) select 'acme' from n`, n)
		s.sql(db, `insert into `+table+` (tenant) values ('birch')`)
	}
	op := s.leave("acme")
	cut := s.Now()
	for range 12 {
		s.pass(5 * day)
		s.finish(op)
	}
	s.wantState(op, tenure.OperationSucceeded)
	if n := count(t, db, `select (select count(*) from a where tenant = 'acme') + (select count(*) from b where tenant = 'acme') + (select count(*) from c where tenant = 'acme')`); n != 0 {
		t.Errorf("%d rows of the leaver's are left", n)
	}
	if n := count(t, db, `select (select count(*) from a) + (select count(*) from b) + (select count(*) from c)`); n != 3 {
		t.Errorf("%d rows of neighbours, want 3", n)
	}
	d := s.paper(op, "closing")
	for i, c := range d.Classes {
		if c.Rows != want[c.Class] || c.At.Before(cut.Add(time.Duration(10*(i+1))*day)) || i > 0 && !c.At.After(d.Classes[i-1].At) {
			t.Errorf("%s: %d rows went at %s: %+v", c.Class, c.Rows, c.At, c.Stores)
		}
	}
	id := s.view(op).Tenant
	s.sql(db, `insert into a (tenant) values ('acme'), ('acme')`)
	s.pass(2 * day)
	s.must(s.TickSought(context.Background(), s.Now()))
	if found := s.residue(id); len(found) == 0 {
		t.Fatal("rows that came after the closing aren't found")
	}
	again := s.request(lifecycle.Intent{Kind: tenure.Supplement, Tenant: string(id), Reason: "an import was read back"}, "operator")
	s.approve(again, "reviewer")
	s.finish(again)
	s.wantState(again, tenure.OperationSucceeded)
	if n := count(t, db, `select count(*) from a where tenant = 'acme'`); n != 0 {
		t.Errorf("%d rows are left after the supplement\n%s", n, s.show(again))
	}
	if n := count(t, db, `select (select count(*) from a) + (select count(*) from b) + (select count(*) from c)`); n != 3 {
		t.Errorf("%d rows of neighbours, want 3", n)
	}
	for _, c := range s.paper(again, "supplementary").Classes {
		if c.Class == "aa" && c.Rows != 2 {
			t.Errorf("the supplementary certificate says that %d rows of aa went, want 2", c.Rows)
		}
	}
	s.audited()
}

// A database file of the tenant's own, with three classes, the last of which goes
// with the file: the certificate says of each how many rows went, and when.
func TestOwnDatabaseByClass(t *testing.T) {
	t.Parallel()
	s, _ := pooled(t)
	own := strings.NewReplacer("%s", "1.0", "name: pooled", "name: own", "type: rows", "type: database",
		`{column: tenant, key: "${tenant.name}", tables: {a: aa, b: bb, c: cc}}`,
		`{ddl: "create table a (i); create table b (i); create table c (i)", tables: {a: aa, b: bb, c: cc}}`).Replace(pooledText)
	s.publishText(own)
	s.wantState(s.begin("acme", "own"), tenure.OperationSucceeded)
	files, err := filepath.Glob(filepath.Join(s.tenants, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q: %v", files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	s.must(err)
	want := map[string]int64{"aa": 100, "bb": 300, "cc": 150}
	for table, n := range map[string]int{"a": 100, "b": 300, "c": 150} {
		s.sql(db, many+`insert into `+table+` select i from n`, n)
	}
	s.must(db.Close())
	op := s.leave("acme")
	for range 16 {
		s.pass(5 * day)
		s.finish(op)
	}
	s.wantState(op, tenure.OperationSucceeded)
	if files, _ := filepath.Glob(filepath.Join(s.tenants, "*.db")); len(files) != 0 {
		t.Errorf("left: %q", files)
	}
	d := s.paper(op, "closing")
	for i, c := range d.Classes {
		if c.Rows != want[c.Class] || i > 0 && !c.At.After(d.Classes[i-1].At) {
			t.Errorf("%s: %d rows went at %s, want %d: %+v", c.Class, c.Rows, c.At, want[c.Class], c.Stores)
		}
	}
}

// The platform's schema has a table that the blueprint forgot.
func TestPublishNamesForgottenTable(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	ctx := context.Background()
	s.sql(db, `create table notes (id integer primary key, tenant text not null, body text)`)
	b, err := s.SubmitBlueprint(ctx, []byte(strings.ReplaceAll(pooledText, "%s", "1.0")), "pooled.yaml", "author")
	s.must(err)
	_, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
	wantCode(t, err, tenure.Blocked, "notes")
	s.publishText(strings.NewReplacer("%s", "1.1", "c: cc}", "c: cc, notes: cc}").Replace(pooledText))

	s.wantState(s.begin("acme", "pooled"), tenure.OperationSucceeded)
	s.sql(db, `alter table notes rename to letters`)
	look, err := s.Drift(ctx, "acme")
	s.must(err)
	if len(look.Findings) == 0 && len(look.Dead) == 0 {
		t.Error("a table that got another name is silent")
	}
	_, _, err = s.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r"}, "operator")
	if err == nil {
		t.Error("a departure is planned past a table that got another name")
	}
}

// The key of the tenant's rows is the customer's own number or text: the tables are
// compared all the same before anybody comes.
func TestPublishComparesThoughTheKeyIsAParameter(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	ctx := context.Background()
	s.sql(db, `create table notes (id integer primary key, tenant text not null, body text)`)
	for i, schema := range []string{"{type: string, minLength: 3}", "{type: string, pattern: '^(cus|org)_[a-z0-9]{8}$'}", "{type: string, pattern: '^[A-Z]+$', minLength: 4}", "{type: integer, minimum: 7}", "{enum: [red, blue]}",
		"{type: string, format: uuid}", "{type: string, format: uuid, pattern: '^[0-9a-f-]{36}$'}", "{type: string, format: hostname, pattern: '^cus-[a-z]+$'}", "{type: string, format: email}"} {
		version := fmt.Sprintf("1.%d", i)
		text := strings.NewReplacer("%s", version, `key: "${tenant.name}"`, `key: "${string(params.customer)}"`,
			"dataClasses:", "parameters: {type: object, required: [customer], properties: {customer: "+schema+"}}\ndataClasses:").Replace(pooledText)
		b, err := s.SubmitBlueprint(ctx, []byte(text), "pooled.yaml", "author")
		s.must(err)
		_, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
		if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "notes") {
			t.Errorf("%s: a forgotten table is published: %v", schema, err)
		}
	}
}

// An onboarding that is taken back goes by what two persons added meanwhile: without it
// a table that came after the revision would keep the tenant half made.
func TestAdditionLetsAnOnboardingBeTakenBack(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	ctx := context.Background()
	s.publishText(strings.ReplaceAll(pooledText, "%s", "1.0"))
	s.sql(db, `create table notes (id integer primary key, tenant text not null)`)
	op := s.begin("acme", "pooled")
	s.wantState(op, tenure.OperationBlocked)
	s.sql(db, `insert into notes (tenant) values ('acme'), ('birch')`)
	s.must(s.Steer(ctx, op, "cancel", "operator"))
	s.pass(time.Minute)
	s.wantState(op, tenure.OperationBlocked)
	c, err := s.Cover(ctx, "acme", "prod/data", tenure.Addition{Tables: map[string]string{"notes": "aa"}}, "it came later", "operator")
	s.must(err)
	_, err = s.ReviewAddition(ctx, "acme", c.Digest, local("reviewer"))
	s.must(err)
	_, err = s.Retry(ctx, op, "", "operator")
	s.must(err)
	s.pass(time.Minute)
	s.wantState(op, tenure.OperationCancelled)
	if n := count(t, db, `select count(*) from notes where tenant = 'acme'`); n != 0 {
		t.Errorf("%d rows of who never came are left", n)
	}
	if n := count(t, db, `select count(*) from notes where tenant = 'birch'`); n != 1 {
		t.Errorf("%d rows of a neighbour's are left, want 1", n)
	}
	s.audited()
}
