package lifecycle_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/connector/sqlite"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// pool is a site with a real database that tenants share, and an application that
// may write to it right after a resource was deleted.
type pool struct {
	*site
	db      *sql.DB
	deleted atomic.Pointer[func(connector.Ref)]
	took    atomic.Pointer[func(connector.Erased)] // after each batch of PostgreSQL's
}

type pooledPostgres struct {
	*postgres.Driver
	p *pool
}

func (d pooledPostgres) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	rec, err := d.Driver.Delete(ctx, r)
	d.p.after(r, err)
	return rec, err
}

func (d pooledPostgres) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (connector.Erased, error) {
	e, err := d.Driver.Erase(ctx, r, b)
	if f := d.p.took.Load(); f != nil && err == nil {
		(*f)(e)
	}
	return e, err
}

type pooledSQLite struct {
	*sqlite.Driver
	p *pool
}

func (d pooledSQLite) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	rec, err := d.Driver.Delete(ctx, r)
	d.p.after(r, err)
	return rec, err
}

func (p *pool) after(r connector.Ref, err error) {
	if f := p.deleted.Load(); f != nil && err == nil && r.Type == "rows" {
		(*f)(r)
	}
}

// bothPools runs a test on both databases that tenants may share.
func bothPools(t *testing.T, f func(t *testing.T, p *pool)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		file := filepath.Join(dir, "platform.db")
		f(t, newPool(t, "sqlite", file+"?_pragma=busy_timeout(10000)", sqlite.Info(), lifecycle.SystemSettings{
			Connector: "sqlite", Options: map[string]string{"dir": filepath.Join(dir, "tenants"), "shared": file},
		}, func(p *pool, d connector.Driver) connector.Driver { return pooledSQLite{d.(*sqlite.Driver), p} }))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, postgresPool(t))
	})
}

func postgresPool(t *testing.T, change ...func(*lifecycle.Options)) *pool {
	t.Helper()
	dsn := postgrestest.Database(t)
	settings := lifecycle.SystemSettings{Connector: "postgres", Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(dsn)}}
	application := postgrestest.With(t, dsn, func(u *url.URL) { u.RawQuery += "&search_path=public" })
	return newPool(t, "pgx", application, postgres.Info(), settings, func(p *pool, d connector.Driver) connector.Driver { return pooledPostgres{d.(*postgres.Driver), p} }, change...)
}

func newPool(t *testing.T, driver, dsn string, info connector.Info, settings lifecycle.SystemSettings, hook func(*pool, connector.Driver) connector.Driver, change ...func(*lifecycle.Options)) *pool {
	t.Helper()
	p := &pool{}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	p.db = db
	open := info.Open
	info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
		d, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		return hook(p, d), nil
	}
	p.site = newSite(t, func(o *lifecycle.Options) {
		o.Catalog = append(o.Catalog, info)
		o.Settings["pool"] = settings
		for _, f := range change {
			f(o)
		}
	})
	for _, table := range []string{"a", "b", "c"} {
		p.sql(db, `create table `+table+` (id integer primary key, tenant text not null)`)
	}
	_, err = p.AddSystem(context.Background(), "pool", false, "operator")
	p.must(err)
	text := strings.NewReplacer("%s", "1.0").Replace(pooledText)
	if settings.Connector == "postgres" {
		text = strings.NewReplacer("connector: sqlite", "connector: postgres", "attributes: {column:", "attributes: {schema: public, column:").Replace(text)
	}
	p.publishText(text)
	return p
}

// insert writes n rows of a tenant.
func (p *pool) insert(table, tenant string, from, n int) {
	p.t.Helper()
	p.sql(p.db, fmt.Sprintf(`with recursive n(i) as (select %d union all select i + 1 from n where i < %d) insert into %s select i, '%s' from n`, from, from+n-1, table, tenant))
}

// left counts the rows of a tenant.
func (p *pool) left(tenant string) (n int) {
	for _, table := range []string{"a", "b", "c"} {
		n += count(p.t, p.db, `select count(*) from `+table+` where tenant = '`+tenant+`'`)
	}
	return n
}

// leaver is a tenant with rows of each class beside a neighbour's, on the way out.
func (p *pool) leaver() tenure.OperationID {
	p.t.Helper()
	p.wantState(p.begin("acme", "pooled"), tenure.OperationSucceeded)
	for _, table := range []string{"a", "b", "c"} {
		p.insert(table, "acme", 1, 10)
		p.insert(table, "birch", 1000, 3)
	}
	return p.leave("acme")
}

// Rows that an application writes after the deletion, before the tenant is closed,
// go under their class's own gate, asked anew, though no owner mark is left; and
// the closing certificate counts them.
func TestRowsAfterTheDeletion(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		op := p.leaver()
		var once atomic.Bool
		late := func(connector.Ref) {
			if once.CompareAndSwap(false, true) {
				p.insert("b", "acme", 100, 2)
			}
		}
		p.deleted.Store(&late)
		p.pass(40 * day)
		for _, class := range []string{"aa", "bb", "cc"} {
			p.confirmAt(op, "noreturn/"+class)
		}
		p.pass(day)
		if !once.Load() {
			t.Fatalf("nothing was deleted\n%s", p.show(op))
		}
		if n := p.left("acme"); n != 2 || p.row(op, "noreturn/bb").State == tenure.StepDone {
			t.Fatalf("%d late rows stand, and the gate of their class is %s: they went unasked\n%s", n, p.row(op, "noreturn/bb").State, p.show(op))
		}
		if p.row(op, "noreturn/aa").State != tenure.StepDone {
			t.Error("the gate of a class without late rows was asked anew")
		}
		p.confirmAt(op, "noreturn/bb")
		p.pass(day)
		p.wantState(op, tenure.OperationSucceeded)
		if n, others := p.left("acme"), p.left("birch"); n != 0 || others != 9 {
			t.Errorf("%d rows of the leaver's and %d of its neighbour's are left, want 0 and 9", n, others)
		}
		for _, c := range p.paper(op, "closing").Classes {
			if want := map[string]int64{"aa": 10, "bb": 12, "cc": 10}[c.Class]; c.Rows != want {
				t.Errorf("the certificate says that %d rows of %s went, want %d", c.Rows, c.Class, want)
			}
		}
		p.audited()
	})
}

// An application that goes on writing is named after three further rounds; and
// nothing is asked of persons without end.
func TestWriterIsNamed(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		op := p.leaver()
		var n atomic.Int64
		writes := func(connector.Ref) { p.insert("b", "acme", 100+int(n.Add(1)), 1) }
		p.deleted.Store(&writes)
		for range 20 {
			if v := p.view(op); v.State.Ended() || v.State == tenure.OperationBlocked {
				break
			}
			p.confirmIll(op)
			p.pass(5 * day)
		}
		v := p.view(op)
		if v.State != tenure.OperationBlocked || !strings.Contains(v.Reason+p.show(op), "still writes to rows acme-data") || n.Load() != 4 {
			t.Fatalf("after %d late writes: %s\n%s", n.Load(), v.Reason, p.show(op))
		}
		p.deleted.Store(nil)
		p.audited()
	})
}

// Two resources of one tenant in schemas of one database cover each other's tables,
// before the first tenant's owner marks are there to say so, and after.
func TestPublishTwoPoolsOfOneTenant(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	p.sql(p.db, `drop table a, b, c; create schema sales; create schema help;
create table sales.orders (id int primary key, tenant text not null); create table help.tickets (id int primary key, tenant text not null); create table help.notes (id int primary key, tenant text not null)`)
	i := strings.Index(pooledText, "resources:")
	j := strings.Index(pooledText, "failure:")
	text := strings.NewReplacer("name: pooled", "name: two", "%s", "2.0", "connector: sqlite", "connector: postgres").Replace(pooledText[:i] + `resources:
  - {key: sales, system: pool, type: rows, name: "${tenant.name}-sales", data: [aa], attributes: {schema: sales, column: tenant, key: "${tenant.name}", tables: {orders: aa}}}
  - {key: help, system: pool, type: rows, name: "${tenant.name}-help", data: [bb, cc], attributes: {schema: help, column: tenant, key: "${tenant.name}", tables: {tickets: bb}}}
` + pooledText[j:])
	ctx := context.Background()
	b, err := p.SubmitBlueprint(ctx, []byte(text), "pooled.yaml", "author")
	p.must(err)
	_, err = p.PublishBlueprint(ctx, b.Digest, "reviewer")
	wantCode(t, err, tenure.Blocked, "help.notes")
	if strings.Contains(err.Error(), "sales.orders") || strings.Contains(err.Error(), "help.tickets") {
		t.Errorf("what the other resource covers is said to be covered by nothing: %v", err)
	}
	p.publishText(strings.NewReplacer(`"2.0"`, `"2.1"`, "tickets: bb", "tickets: bb, notes: cc").Replace(text))
	p.wantState(p.begin("acme", "two"), tenure.OperationSucceeded)
	for _, table := range []string{"sales.orders", "help.tickets", "help.notes"} {
		p.insert(table, "acme", 1, 5)
		p.insert(table, "birch", 100, 2)
	}
	op := p.leave("acme")
	for range 12 {
		p.pass(5 * day)
		p.finish(op)
	}
	p.wantState(op, tenure.OperationSucceeded)
	if n := count(t, p.db, `select (select count(*) from sales.orders) + (select count(*) from help.tickets) + (select count(*) from help.notes)`); n != 6 {
		t.Errorf("%d rows are left, want the neighbour's 6", n)
	}
}

// A court's hold that comes through another server on the same store, in the middle
// of an erasure of many rows, saves all but the batch in flight; what it says is gone
// is what is missing, to the row; and two persons let the erasure go on.
func TestHoldByAnotherServerInTheLoop(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := postgrestest.Database(t)
	opened := func() *store.DB {
		db, err := store.Open(ctx, store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	p := postgresPool(t, func(o *lifecycle.Options) { o.DB = opened() })
	other := p.options
	other.DB, other.Owner = opened(), "another server"
	court := p.service(other)
	p.wantState(p.begin("acme", "pooled"), tenure.OperationSucceeded)
	const rows = 23_456
	p.insert("a", "acme", 1, rows)
	p.insert("a", "birch", 100_000, 3)
	op := p.leave("acme")
	p.pass(15 * day)
	var batches atomic.Int32
	var placed tenure.Hold
	hook := func(connector.Erased) {
		if batches.Add(1) != 2 {
			return
		}
		var err error
		if placed, err = court.PlaceHold(ctx, tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: p.view(op).Tenant, Class: "aa"}}, "counsel"); err != nil {
			t.Error(err)
		}
	}
	p.took.Store(&hook)
	p.confirmAt(op, "noreturn/aa")
	p.pass(day)
	missing := rows - p.left("acme")
	if batches.Load() != 2 || missing == 0 || missing > 10_000 {
		t.Fatalf("%d batches took %d rows though a hold came with the second\n%s", batches.Load(), missing, p.show(op))
	}
	held, err := court.Holds(ctx, "acme", false)
	p.must(err)
	if len(held) != 1 || held[0].EffectiveAt.IsZero() || !strings.Contains(held[0].AlreadyGone, fmt.Sprint(missing)) {
		t.Errorf("%d rows are missing, and the hold says %+v", missing, held)
	}
	for _, by := range []string{"counsel", "director"} {
		_, err := court.ReleaseHold(ctx, placed.ID, by)
		p.must(err)
	}
	for range 12 {
		p.pass(5 * day)
		p.finish(op)
	}
	p.wantState(op, tenure.OperationSucceeded)
	if n, others := p.left("acme"), p.left("birch"); n != 0 || others != 3 {
		t.Errorf("%d rows of the leaver's and %d of its neighbour's are left, want 0 and 3", n, others)
	}
	for _, c := range p.paper(op, "closing").Classes {
		if c.Class == "aa" && c.Rows != rows {
			t.Errorf("the certificate says that %d rows went, want %d", c.Rows, rows)
		}
	}
	p.audited()
}
