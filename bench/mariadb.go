package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/mysql"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	mariadbRows = 100_000 // of the leaving tenant in each table; as many are others'

	appRate    = 100             // requests a second of the application
	appClients = 4               // its connections
	appFor     = 8 * time.Second // how long it is measured, quiet and while the purge runs
)

// openMariaDB opens a pool of the test server's with every right.
func openMariaDB(dsn string) (*sql.DB, error) {
	conf, err := driver.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("the DSN of MariaDB can't be read")
	}
	conf.MultiStatements, conf.InterpolateParams = true, true
	conf.Params = map[string]string{"sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'", "time_zone": "'+00:00'"}
	c, err := driver.NewConnector(conf)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(parallel)
	db.SetMaxIdleConns(parallel)
	return db, nil
}

func openMySQLConnector(ctx context.Context, dsn string, m connector.Marker, info connector.Info) (*connector.System, error) {
	d, err := info.Open(ctx, connector.Config{System: systemName, Options: map[string]string{}, Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(dsn)}, Marker: m, Now: time.Now})
	if err != nil {
		return nil, err
	}
	fp, err := d.Plant(ctx)
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return connector.NewSystem(systemName, info, d, fp, parallel), nil
}

// mariadbEraseBench is eraseBench on MariaDB. The baseline's batches are of the same SQL.
// Beside that it measures an application that reads and writes other tenants' rows of the
// same tables: its 99th percentile alone, and while the purge runs.
func mariadbEraseBench(ctx context.Context, e *env) ([]line, error) {
	if e.maria == "" {
		return nil, nil
	}
	db, err := openMariaDB(e.maria)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	p := &mariadbPool{pool: pool{env: e, marker: benchMarker()}, db: db}
	runs := 3
	if e.quick {
		runs = 1
	}
	ways := []func(context.Context) (time.Duration, error){p.bareMariaDB, p.erasureMariaDB}
	took := make([][]time.Duration, len(ways))
	for run := range runs {
		for i := range ways {
			n := (i + run) % len(ways)
			d, err := p.onceMariaDB(ctx, ways[n])
			if err != nil {
				return nil, err
			}
			took[n] = append(took[n], d)
		}
	}
	bare, ours := median(took[0]), median(took[1])
	ratio := ours.Seconds() / bare.Seconds()
	fmt.Printf("erasing %d rows from %d tables on MariaDB: bare %s, tenure %s\n", len(pooled)*mariadbRows, len(pooled), round(bare), round(ours))
	out := []line{{"mariadb-erase", round(ours), round(bare), times(ratio), "<=1.30x", ratio <= 1.3}}
	quiet, under, rate, err := p.beside(ctx, runs)
	if err != nil {
		return nil, err
	}
	ratio = under.Seconds() / quiet.Seconds()
	fmt.Printf("an application of %d requests a second beside it: 99th percentile quiet %s, under the purge %s, which took %.0f rows a second\n", appRate, quiet, under, rate)
	return append(out, line{"mariadb-yields", under.Round(10 * time.Microsecond).String(), quiet.Round(10 * time.Microsecond).String(), times(ratio), "<=1.50x", ratio <= 1.5}), nil
}

type mariadbPool struct {
	pool
	db *sql.DB
}

func (p *mariadbPool) exec(ctx context.Context, statements ...string) error {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// fillMariaDB makes the tables, marks the tenant's place in them and puts in the rows.
func (p *mariadbPool) fillMariaDB(ctx context.Context) error {
	statements := []string{"drop database if exists bench_pool", "drop database if exists tenure", "create database bench_pool", "use bench_pool"}
	var load []string
	for i, t := range pooled {
		parent := ""
		if i > 0 {
			parent = ", parent_id bigint not null, index (parent_id), foreign key (parent_id) references " + pooled[i-1] + " (id)"
		}
		statements = append(statements, "create table "+t+" (id bigint primary key, tenant_key varchar(80) not null, body text not null"+parent+", index (tenant_key))")
		load = append(load, fmt.Sprintf("insert into %s select seq, if(seq %% 2 = 0, 'leaver', concat('other-', seq %% 50)), repeat('x', 40)%s from seq_1_to_%d", t, strings.Repeat(", seq", min(i, 1)), 2*mariadbRows))
	}
	if err := p.exec(ctx, statements...); err != nil {
		return err
	}
	sys, err := openMySQLConnector(ctx, p.env.maria, p.marker, mysql.Info())
	if err != nil {
		return err
	}
	defer sys.Close()
	now, classes := time.Now(), map[string]any{}
	for _, t := range pooled {
		classes[t] = "usage"
	}
	p.ref = connector.Ref{
		Resource: tenure.NewID[tenure.ResourceID](now), Tenant: tenure.NewID[tenure.TenantID](now), Environment: "prod", Type: "rows", Name: "leaver pool",
		Attributes: map[string]any{"schema": "bench_pool", "column": "tenant_key", "key": "leaver", "tables": classes}, Classes: []string{"usage"},
	}
	if _, _, _, err := sys.Ensure(ctx, connector.Desired{Ref: p.ref}); err != nil {
		return err
	}
	if err := p.exec(ctx, append([]string{"use bench_pool"}, load...)...); err != nil {
		return err
	}
	return p.settle(ctx)
}

// settle waits until the server has purged what went before.
func (p *mariadbPool) settle(ctx context.Context) error {
	for range 600 {
		var name string
		var n int
		if err := p.db.QueryRowContext(ctx, "show global status like 'Innodb_history_list_length'").Scan(&name, &n); err != nil || n < 100 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// onceMariaDB is one run on fresh tables, judged by the rows that are left.
func (p *mariadbPool) onceMariaDB(ctx context.Context, way func(context.Context) (time.Duration, error)) (time.Duration, error) {
	if err := p.fillMariaDB(ctx); err != nil {
		return 0, err
	}
	took, err := way(ctx)
	if err != nil {
		return 0, err
	}
	for _, t := range pooled {
		var left, others int
		err := p.db.QueryRowContext(ctx, "select coalesce(sum(tenant_key = 'leaver'), 0), count(*) from bench_pool."+t).Scan(&left, &others)
		if err != nil || left != 0 || others != mariadbRows {
			return 0, fmt.Errorf("%s has %d of the tenant's rows and %d others: %w", t, left, others, err)
		}
	}
	return took, nil
}

// bareMariaDB deletes batch by batch, children before parents, with a look at the holds
// committed before each.
func (p *mariadbPool) bareMariaDB(ctx context.Context) (time.Duration, error) {
	db, done, err := p.fresh(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "use bench_pool; set session tx_isolation = 'READ-COMMITTED'"); err != nil {
		return 0, err
	}
	return timed(func() error {
		for i := len(pooled) - 1; i >= 0; i-- {
			t := pooled[i]
			for n := int64(batchRows); n == batchRows; {
				if err := db.Write(ctx, lookAtHolds); err != nil {
					return err
				}
				r, err := conn.ExecContext(ctx, fmt.Sprintf(`delete "d" from %s as "d" join (select "t"."id" as "v0" from %s as "t" where "t"."tenant_key" = 'leaver' limit %d) as "v" on "d"."id" = "v"."v0"`, t, t, batchRows))
				if err != nil {
					return err
				}
				if n, err = r.RowsAffected(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (p *mariadbPool) fresh(ctx context.Context) (*store.DB, func(), error) {
	dir, err := os.MkdirTemp(p.env.dir, "mariadb-")
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	if err != nil {
		return nil, nil, err
	}
	return db, func() { _ = db.Close(); _ = os.RemoveAll(dir) }, nil
}

// erasureMariaDB runs an operation of one step, on a store of its own with full sync.
func (p *mariadbPool) erasureMariaDB(ctx context.Context) (time.Duration, error) {
	sys, err := openMySQLConnector(ctx, p.env.maria, p.marker, mysql.Info())
	if err != nil {
		return 0, err
	}
	defer sys.Close()
	db, done, err := p.fresh(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	id, err := p.operation(ctx, db, sys.Fingerprint)
	if err != nil {
		return 0, err
	}
	eng := &engine.Engine{DB: db, Owner: "bench", Now: time.Now, BatchRows: batchRows, System: func(string) (*connector.System, error) { return sys, nil }}
	return timed(func() error {
		for ctx.Err() == nil {
			a, err := eng.Advance(ctx, id)
			if err != nil || a.Kind == engine.Done {
				return err
			}
			if a.Kind != engine.Again {
				return fmt.Errorf("the erasure answered %s", a.Kind)
			}
		}
		return nil
	})
}

// beside measures the application alone and beside the purge, several times, and gives
// the medians of its 99th percentiles, and how many rows a second the purge took.
func (p *mariadbPool) beside(ctx context.Context, runs int) (quiet, under time.Duration, rate float64, err error) {
	var alone, loaded []time.Duration
	var rates []float64
	for range runs {
		if err := p.fillMariaDB(ctx); err != nil {
			return 0, 0, 0, err
		}
		d, err := p.application(ctx)
		if err != nil {
			return 0, 0, 0, err
		}
		alone = append(alone, d)
		purge, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			_, err := p.erasureMariaDB(purge)
			ended <- err
		}()
		d, err = p.application(ctx)
		stop()
		<-ended
		if err != nil {
			return 0, 0, 0, err
		}
		var left int
		for _, t := range pooled {
			var n int
			if err := p.db.QueryRowContext(ctx, "select coalesce(sum(tenant_key = 'leaver'), 0) from bench_pool."+t).Scan(&n); err != nil {
				return 0, 0, 0, err
			}
			left += n
		}
		loaded, rates = append(loaded, d), append(rates, float64(len(pooled)*mariadbRows-left)/appFor.Seconds())
	}
	return median(alone), median(loaded), median(rates), nil
}

// application reads and writes other tenants' rows for a while, at a steady rate whatever
// the answers take, and gives the 99th percentile from when a request was due.
func (p *mariadbPool) application(ctx context.Context) (time.Duration, error) {
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	due := make(chan time.Time, appRate*int(appFor/time.Second)+1)
	var group sync.WaitGroup
	for c := range appClients {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(c)))
			conn, err := p.db.Conn(ctx)
			if err == nil {
				defer conn.Close()
			}
			for at := range due {
				if err == nil {
					id := 1 + 2*rnd.IntN(mariadbRows)
					_, err = conn.ExecContext(ctx, fmt.Sprintf("select body from bench_pool.orders where id = %d; select count(*) from bench_pool.events where parent_id = %d; update bench_pool.events set body = 'y%d' where id = %d", id, id, id, id))
				}
				d := time.Since(at)
				mu.Lock()
				took, failed = append(took, d), err
				mu.Unlock()
			}
		})
	}
	for began, n := time.Now(), 0; n < appRate*int(appFor/time.Second); n++ {
		at := began.Add(time.Duration(n) * time.Second / appRate)
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	group.Wait()
	slices.Sort(took)
	return took[len(took)*99/100], failed
}
