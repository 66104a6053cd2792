package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	operations = 64
	chain      = 400 // steps of one operation, one after the other
)

// engineBench measures steps through Advance: each is an Ensure with its
// read-back on the memory connector, with the step's row, the inventory, the
// audit entry and the tree nodes in the commit.
func engineBench(ctx context.Context, e *env) ([]line, error) {
	lines, err := engineOn(ctx, e, "sqlite", func(name string) (string, error) { return filepath.Join(e.dir, name+".db"), nil }, bareSQLite)
	if err != nil || e.pg == "" {
		return lines, err
	}
	more, err := engineOn(ctx, e, "postgres", func(name string) (string, error) { return freshDatabase(ctx, e.pg, "bench_"+name) }, barePostgres)
	return append(lines, more...), err
}

func engineOn(ctx context.Context, e *env, kind string, dsn func(string) (string, error), bare func(context.Context, *env) (float64, error)) ([]line, error) {
	var rates, single, bares []float64
	var costs []time.Duration
	runs := 3
	if e.quick {
		runs = 1
	}
	for i := range runs {
		d, err := dsn(fmt.Sprintf("engine%d", i))
		if err != nil {
			return nil, err
		}
		rate, cost, err := steps(ctx, d, 0, chain)
		if err != nil {
			return nil, err
		}
		rates = append(rates, rate)
		costs = append(costs, cost)
		if d, err = dsn(fmt.Sprintf("single%d", i)); err != nil {
			return nil, err
		}
		one, _, err := steps(ctx, d, 1, chain/8)
		if err != nil {
			return nil, err
		}
		single = append(single, one)
		b, err := bare(ctx, e)
		if err != nil {
			return nil, err
		}
		bares = append(bares, b)
	}
	rate, one, b, perStep := median(rates), median(single), median(bares), median(costs)
	fmt.Printf("engine on %s: %.0f steps/s, %s CPU a step; one step a transaction %.0f/s; bare commits %.0f/s\n", kind, rate, perStep, one, b)
	wantSingle, wantBare := 3.0, 1.5
	if kind == "postgres" {
		wantSingle = 8
	} else if b < 3000 {
		wantBare = 8
	}
	if b > 8000 { // a commit costs so little there that there is little to share
		wantBare = 1
	}
	out := []line{
		{"engine-" + kind + "-vs-single", perSecond(rate), perSecond(one), times(rate / one), fmt.Sprintf(">=%.1fx", wantSingle), rate/one >= wantSingle},
		{"engine-" + kind + "-vs-bare", perSecond(rate), perSecond(b), times(rate / b), fmt.Sprintf(">=%.1fx", wantBare), rate/b >= wantBare},
	}
	if kind == "sqlite" {
		out = append(out,
			line{"engine-sqlite-rate", perSecond(rate), "-", "-", ">=10000/s", rate >= 10000},
			line{"engine-sqlite-cpu", perStep.Round(100 * time.Nanosecond).String(), "-", "-", "<=75µs", perStep <= 75*time.Microsecond})
	}
	return out, nil
}

func perSecond(f float64) string { return fmt.Sprintf("%.0f/s", f) }
func times(f float64) string     { return fmt.Sprintf("%.2fx", f) }

// sealedEngine is an engine over a store, sealed as an installation's is, and a system in memory.
func sealedEngine(ctx context.Context, db *store.DB) (*engine.Engine, error) {
	key := []byte(strings.Repeat("k", 32))
	if err := db.Seal(ctx, key, time.Now, true); err != nil {
		return nil, err
	}
	info := memory.InfoOf(memory.NewWorld("bench"))
	marker := connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: "bench", Key: key}
	d, err := info.Open(ctx, connector.Config{System: "bench", Marker: marker, Now: time.Now})
	if err != nil {
		return nil, err
	}
	fp, err := d.Plant(ctx)
	if err != nil {
		return nil, err
	}
	sys := connector.NewSystem("bench", info, d, fp, 64)
	return &engine.Engine{DB: db, Owner: "bench", Now: time.Now, System: func(string) (*connector.System, error) { return sys, nil }}, nil
}

// steps runs the operations on a fresh store and gives steps a second and the
// processor time of one.
func steps(ctx context.Context, dsn string, maxBatch, length int) (float64, time.Duration, error) {
	db, err := store.Open(ctx, store.Options{DSN: dsn, MaxBatch: maxBatch})
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	eng, err := sealedEngine(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	ids := make([]tenure.OperationID, operations)
	for i := range ids {
		if ids[i], err = chainOperation(ctx, db, i, length); err != nil {
			return 0, 0, err
		}
	}
	before, began := cpu(), time.Now()
	var wg sync.WaitGroup
	errs := make(chan error, operations)
	for _, id := range ids {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				a, err := eng.Advance(ctx, id)
				if err != nil {
					errs <- err
					return
				}
				if a.Kind == engine.Done {
					return
				}
				if a.Kind != engine.Again {
					errs <- fmt.Errorf("operation %s answered %s", id, a.Kind)
					return
				}
			}
		}()
	}
	wg.Wait()
	took, used := time.Since(began), cpu()-before
	select {
	case err := <-errs:
		return 0, 0, err
	default:
	}
	n := operations * length
	if size, err := db.LogSize(ctx); err != nil || size < int64(n) {
		return 0, 0, fmt.Errorf("the log has %d entries for %d steps: %w", size, n, err)
	}
	return float64(n) / took.Seconds(), used / time.Duration(n), nil
}

// chainOperation stores an operation of length steps in a row, each on a resource
// of its own.
func chainOperation(ctx context.Context, db *store.DB, n, length int) (tenure.OperationID, error) {
	return gatedOperation(ctx, db, n, length, false)
}

// gatedOperation is chainOperation, behind a gate that waits for a person if gate says so.
func gatedOperation(ctx context.Context, db *store.DB, n, length int, gate bool) (tenure.OperationID, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	tenant := tenure.NewID[tenure.TenantID](now)
	p := &tenure.Plan{Format: tenure.PlanFormat, Kind: tenure.Change, Tenant: tenant, Name: fmt.Sprintf("t%d", n), At: now, OnFailure: tenure.Park}
	for i := range length {
		id := tenure.NewID[tenure.ResourceID](now)
		name := fmt.Sprintf("t%d-s%d", n, i)
		p.Resources = append(p.Resources, tenure.PlannedResource{ID: id, Key: fmt.Sprintf("s%d", i), System: "bench", Type: "setting", Name: name, Layer: tenure.LayerConfiguration, Desired: map[string]any{"value": i}})
		s := tenure.Step{Key: fmt.Sprintf("s%d/ensure", i), Stage: tenure.StageChange, Action: tenure.ActEnsure, Resource: id, System: "bench"}
		if i > 0 {
			s.Needs = []string{fmt.Sprintf("s%d/ensure", i-1)}
		}
		p.Steps = append(p.Steps, s)
	}
	if gate {
		p.Steps = append([]tenure.Step{{Key: "approve", Stage: tenure.StageChange, Action: tenure.ActApproval, Gate: &tenure.Gate{Approvals: 1}}}, p.Steps...)
		p.Steps[1].Needs = []string{"approve"}
	}
	body, digest, err := p.Encode()
	if err != nil {
		return "", err
	}
	id := tenure.NewID[tenure.OperationID](now)
	err = db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.CreateTenant(store.TenantRow{Tenant: tenure.Tenant{ID: tenant, Name: p.Name, CreatedAt: now, Parameters: []byte("{}")}}); err != nil {
			return err
		}
		if err := tx.SavePlan(digest, body, p, "bench"); err != nil {
			return err
		}
		o := store.NewOperation{
			Operation:   tenure.Operation{ID: id, Kind: p.Kind, Tenant: tenant, Plan: digest, State: tenure.OperationRunning, RequestedBy: "bench", CreatedAt: now},
			IsDestroyer: func(int) bool { return false },
		}
		for i := range p.Steps {
			o.Steps = append(o.Steps, tenure.StepStatus{Operation: id, Seq: i, Key: p.Steps[i].Key})
		}
		for _, r := range p.Resources {
			o.Touches = append(o.Touches, r.ID)
			if err := tx.SaveResource(tenure.Resource{ID: r.ID, Tenant: tenant, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name, Layer: r.Layer, Desired: []byte("{}"), Operation: id, UpdatedAt: now}); err != nil {
				return err
			}
		}
		if _, _, err := tx.CreateOperation(o); err != nil {
			return err
		}
		return tx.Log(audit.Entry{Format: audit.Format, At: now, Kind: "operation.start", Tenant: tenant, Operation: id, Subject: string(id), Data: audit.Facts(map[string]string{"kind": string(p.Kind), "plan": digest, "to": string(tenure.OperationRunning)})})
	})
	return id, err
}

// bareSQLite commits single rows, one transaction each, with full sync.
func bareSQLite(ctx context.Context, e *env) (float64, error) {
	path := filepath.Join(e.dir, fmt.Sprintf("bare%d.db", time.Now().UnixNano()))
	q := url.Values{"_pragma": {"journal_mode(wal)", "synchronous(full)"}}
	db, err := sql.Open("sqlite", "file:"+path+"?"+q.Encode())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `create table row (id integer primary key, body text not null)`); err != nil {
		return 0, err
	}
	stmt, err := db.PrepareContext(ctx, `insert into row (body) values ($1)`)
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	return commits(func() error { _, err := stmt.ExecContext(ctx, strings.Repeat("x", 200)); return err })
}

// barePostgres does the same over one connection.
func barePostgres(ctx context.Context, e *env) (float64, error) {
	conn, err := pgx.Connect(ctx, e.pg)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `create table if not exists bare_row (id bigserial primary key, body text not null)`); err != nil {
		return 0, err
	}
	return commits(func() error {
		_, err := conn.Exec(ctx, `insert into bare_row (body) values ($1)`, strings.Repeat("x", 200))
		return err
	})
}

// commits counts how many times a second a commit can be made, over two seconds.
func commits(one func() error) (float64, error) {
	began := time.Now()
	n := 0
	for time.Since(began) < 2*time.Second {
		if err := one(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// freshDatabase makes an empty database and gives its DSN.
func freshDatabase(ctx context.Context, dsn, name string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	quoted := pgx.Identifier{name}.Sanitize()
	if _, err := conn.Exec(ctx, "drop database if exists "+quoted+" with (force)"); err != nil {
		return "", err
	}
	if _, err := conn.Exec(ctx, "create database "+quoted); err != nil {
		return "", err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}
