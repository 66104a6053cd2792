package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/mysql"
	"github.com/tenurehq/tenure/internal/engine"
)

// changedRows is how many rows of the leaving tenant are anonymised in each of two tables;
// as many are others'.
const changedRows = 30_000

// anonymised is a platform's database in which a tenant's rows stay without it: people,
// who bear its key, and calls, which are found through them.
type anonymised struct {
	mariadbPool // its store, operation and, on MariaDB, its connections
	name        string
	schema      string
	open        func(context.Context) (*connector.System, error)
	exec        func(ctx context.Context, statements ...string) error
	change      func(ctx context.Context, sql string) (int64, error)
	count       func(ctx context.Context, sql string) (int, error)
	series      string // gives i from 1 to %d
	year        string
	forget      string // drops what Tenure keeps
}

// anonymiseBench measures the anonymisation of a tenant's rows by the engine's step, on
// PostgreSQL and MariaDB. The baseline is the update that does the same, in batches of the
// same size over one connection, with a look at the holds committed before each.
func anonymiseBench(ctx context.Context, e *env) (out []line, err error) {
	for _, make := range []func(context.Context, *env) (*anonymised, func(), error){anonymisedPostgres, anonymisedMariaDB} {
		a, done, err := make(ctx, e)
		if err != nil {
			return nil, err
		}
		if a == nil {
			continue
		}
		lines, err := a.measure(ctx)
		done()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		out = append(out, lines...)
	}
	return out, nil
}

func anonymisedPostgres(ctx context.Context, e *env) (*anonymised, func(), error) {
	if e.pg == "" {
		return nil, nil, nil
	}
	dsn, err := freshDatabase(ctx, e.pg, "bench_anonymise")
	if err != nil {
		return nil, nil, err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, nil, err
	}
	a := &anonymised{mariadbPool: mariadbPool{pool: pool{env: e, marker: benchMarker()}}, name: "anonymise", schema: "pool", series: "generate_series(1, %d) as s (i)", year: "date_trunc('year', born)::date", forget: "drop schema if exists tenure cascade"}
	a.open = func(ctx context.Context) (*connector.System, error) { return openPostgres(ctx, dsn, a.marker) }
	a.exec = func(ctx context.Context, statements ...string) error { return admin(ctx, dsn, statements...) }
	a.change = func(ctx context.Context, sql string) (int64, error) {
		tag, err := conn.Exec(ctx, sql)
		return tag.RowsAffected(), err
	}
	a.count = func(ctx context.Context, sql string) (n int, err error) {
		err = conn.QueryRow(ctx, sql).Scan(&n)
		return n, err
	}
	return a, func() { _ = conn.Close(ctx); _ = admin(ctx, e.pg, "drop database bench_anonymise with (force)") }, a.exec(ctx, "create schema pool")
}

func anonymisedMariaDB(ctx context.Context, e *env) (*anonymised, func(), error) {
	if e.maria == "" {
		return nil, nil, nil
	}
	db, err := openMariaDB(e.maria)
	if err != nil {
		return nil, nil, err
	}
	a := &anonymised{mariadbPool: mariadbPool{pool: pool{env: e, marker: benchMarker()}, db: db}, name: "mariadb-anonymise", schema: "bench_pool", series: "(select seq as i from seq_1_to_%d) as s", year: "makedate(year(born), 1)", forget: "drop database if exists tenure"}
	a.open = func(ctx context.Context) (*connector.System, error) {
		return openMySQLConnector(ctx, e.maria, a.marker, mysql.Info())
	}
	a.exec = func(ctx context.Context, statements ...string) error {
		return a.mariadbPool.exec(ctx, append([]string{"create database if not exists bench_pool", "use bench_pool"}, statements...)...)
	}
	a.change = func(ctx context.Context, sql string) (int64, error) {
		r, err := db.ExecContext(ctx, sql)
		if err != nil {
			return 0, err
		}
		return r.RowsAffected()
	}
	a.count = func(ctx context.Context, sql string) (n int, err error) {
		err = db.QueryRowContext(ctx, sql).Scan(&n)
		return n, err
	}
	return a, func() { _ = db.Close() }, a.mariadbPool.exec(ctx, "drop database if exists bench_pool", "create database bench_pool")
}

func (a *anonymised) measure(ctx context.Context) ([]line, error) {
	runs := 3
	if a.env.quick {
		runs = 1
	}
	ways := []func(context.Context) error{a.bare, a.tenure}
	took := make([][]time.Duration, len(ways))
	for run := range runs {
		for i := range ways {
			n := (i + run) % len(ways)
			if err := a.fill(ctx); err != nil {
				return nil, err
			}
			d, err := timed(func() error { return ways[n](ctx) })
			if err != nil {
				return nil, err
			}
			took[n] = append(took[n], d)
			if err := a.judge(ctx); err != nil {
				return nil, err
			}
		}
	}
	bare, ours := median(took[0]), median(took[1])
	ratio := ours.Seconds() / bare.Seconds()
	fmt.Printf("%s of %d rows in 2 tables: bare updates %s, tenure %s\n", a.name, 2*changedRows, round(bare), round(ours))
	return []line{{a.name, round(ours), round(bare), times(ratio), "<=1.50x", ratio <= 1.5}}, nil
}

// fill makes the tables anew, with the tenant's place in them and rows of two tenants.
func (a *anonymised) fill(ctx context.Context) error {
	people, calls := a.schema+".people", a.schema+".calls"
	if err := a.exec(ctx, a.forget, "drop table if exists "+calls, "drop table if exists "+people,
		"create table "+people+" (id bigint primary key, tenant_key varchar(40), name varchar(80) not null, email varchar(80), born date, body text not null)",
		"create table "+calls+" (id bigint primary key, person_id bigint not null, said text, at date, foreign key (person_id) references "+people+" (id))",
		"create index people_tenant on "+people+" (tenant_key)", "create index calls_person on "+calls+" (person_id)"); err != nil {
		return err
	}
	sys, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer sys.Close()
	now := time.Now()
	a.ref = connector.Ref{
		Resource: tenure.NewID[tenure.ResourceID](now), Tenant: tenure.NewID[tenure.TenantID](now), Environment: "prod", Type: "rows", Name: "leaver pool",
		Classes: []string{"usage"}, Attributes: map[string]any{
			"schema": a.schema, "column": "tenant_key", "key": "leaver", "tables": map[string]any{"people": "usage", "calls": "usage"},
			"transforms": map[string]any{
				"people": map[string]any{"columns": map[string]any{"id": "keep", "tenant_key": "clear", "name": map[string]any{"constant": "somebody"}, "email": "clear", "born": "year", "body": "keep"}},
				"calls":  map[string]any{"columns": map[string]any{"id": "keep", "person_id": "keep", "said": "clear", "at": "year"}},
			},
		},
	}
	if _, _, _, err := sys.Ensure(ctx, connector.Desired{Ref: a.ref}); err != nil {
		return err
	}
	series := fmt.Sprintf(a.series, 2*changedRows)
	return a.exec(ctx,
		"insert into "+people+" select i, case when i % 2 = 0 then 'leaver' else 'other' end, concat('Name ', i), concat('mail', i, '@example.org'), date '1970-05-06', '0123456789012345678901234567890123456789' from "+series,
		"insert into "+calls+" select i, i, concat('said by Name ', i), date '2024-05-06' from "+series)
}

// judge looks at the rows from outside.
func (a *anonymised) judge(ctx context.Context) error {
	for what, sql := range map[string]string{
		"anonymised people": "select count(*) from " + a.schema + ".people where tenant_key is null and name = 'somebody' and email is null and born = date '1970-01-01'",
		"anonymised calls":  "select count(*) from " + a.schema + ".calls where said is null and at = date '2024-01-01'",
		"others' people":    "select count(*) from " + a.schema + ".people where tenant_key = 'other' and name like 'Name %' and born = date '1970-05-06'",
		"others' calls":     "select count(*) from " + a.schema + ".calls where said is not null and at = date '2024-05-06'",
	} {
		if n, err := a.count(ctx, sql); err != nil || n != changedRows {
			return fmt.Errorf("%d %s, not %d: %w", n, what, changedRows, err)
		}
	}
	return nil
}

// bare changes the rows batch by batch, by their keys.
func (a *anonymised) bare(ctx context.Context) error {
	db, done, err := a.fresh(ctx)
	if err != nil {
		return err
	}
	defer done()
	people, calls := a.schema+".people", a.schema+".calls"
	for _, sql := range []string{
		"update " + calls + " set said = null, at = " + strings.ReplaceAll(a.year, "born", "at") + " where person_id in (select id from " + people + " where tenant_key = 'leaver') and id > %d and id <= %d",
		"update " + people + " set tenant_key = null, name = 'somebody', email = null, born = " + a.year + " where tenant_key = 'leaver' and id > %d and id <= %d",
	} {
		for from := 0; from < 2*changedRows; from += 2 * batchRows { // every second row is the leaver's
			if err := db.Write(ctx, lookAtHolds); err != nil {
				return err
			}
			if _, err := a.change(ctx, fmt.Sprintf(sql, from, from+2*batchRows)); err != nil {
				return err
			}
		}
	}
	return nil
}

// tenure runs an operation of one step, on a store of its own with full sync.
func (a *anonymised) tenure(ctx context.Context) error {
	sys, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer sys.Close()
	db, done, err := a.fresh(ctx)
	if err != nil {
		return err
	}
	defer done()
	id, err := a.operationTo(ctx, db, sys.Fingerprint, tenure.Anonymise)
	if err != nil {
		return err
	}
	eng := &engine.Engine{DB: db, Owner: "bench", Now: time.Now, BatchRows: batchRows, System: func(string) (*connector.System, error) { return sys, nil }}
	for ctx.Err() == nil {
		w, err := eng.Advance(ctx, id)
		if err != nil || w.Kind == engine.Done {
			return err
		}
		if w.Kind != engine.Again {
			steps, err := db.Steps(ctx, id)
			return fmt.Errorf("the anonymisation answered %s: %+v %w", w.Kind, steps, err)
		}
	}
	return ctx.Err()
}
