package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	pooledRows = 250_000 // of the leaving tenant in each table; as many are others'
	batchRows  = 5_000   // of one transaction
)

// pooled are the shared tables, each referring to the one before.
var pooled = []string{"accounts", "contracts", "orders", "events"}

// eraseBench measures the erasure of one tenant's rows from shared tables by the
// engine's step, with its holds looked up, its lease renewed and its progress kept
// between batches. The baseline deletes in the same order and batches, over one
// connection, with a look at the holds committed before each. Each run has a copy of the same database.
func eraseBench(ctx context.Context, e *env) ([]line, error) {
	if e.pg == "" {
		return nil, nil
	}
	base, err := freshDatabase(ctx, e.pg, "bench_pool")
	if err != nil {
		return nil, err
	}
	p := &pool{env: e, marker: benchMarker()}
	if err := p.fill(ctx, base); err != nil {
		return nil, err
	}
	runs := 3
	if e.quick {
		runs = 1
	}
	ways := []func(context.Context, string) (time.Duration, error){p.bare, p.erasure}
	took := make([][]time.Duration, len(ways))
	for run := range runs {
		for i := range ways {
			n := (i + run) % len(ways)
			d, err := p.once(ctx, ways[n])
			if err != nil {
				return nil, err
			}
			took[n] = append(took[n], d)
		}
	}
	bare, ours := median(took[0]), median(took[1])
	ratio := ours.Seconds() / bare.Seconds()
	fmt.Printf("erasing %d rows from %d tables: bare %s, tenure %s\n", len(pooled)*pooledRows, len(pooled), round(bare), round(ours))
	return []line{{"erase", round(ours), round(bare), times(ratio), "<=1.30x", ratio <= 1.3}}, admin(ctx, e.pg, "drop database bench_pool with (force)")
}

func benchMarker() connector.Marker {
	return connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: systemName, Key: []byte(strings.Repeat("k", 32))}
}

// pool is the tenant's rows in the shared tables.
type pool struct {
	env    *env
	marker connector.Marker
	ref    connector.Ref
}

// openPostgres opens a database as the one system.
func openPostgres(ctx context.Context, dsn string, m connector.Marker) (*connector.System, error) {
	info := postgres.Info()
	d, err := info.Open(ctx, connector.Config{System: systemName, Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(dsn)}, Marker: m, Now: time.Now})
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

// fill makes the tables, marks the tenant's place in them and puts in the rows.
func (p *pool) fill(ctx context.Context, dsn string) error {
	var make, load, finish []string
	for i, t := range pooled {
		parent := ""
		if i > 0 {
			parent = ", parent_id bigint not null"
			finish = append(finish, "create index on pool."+t+" (parent_id)", "alter table pool."+t+" add foreign key (parent_id) references pool."+pooled[i-1]+" (id)")
		}
		make = append(make, "create table pool."+t+" (id bigint primary key, tenant_key text not null, body text not null"+parent+")")
		load = append(load, fmt.Sprintf(`insert into pool.%s select i, case when i %% 2 = 0 then 'leaver' else 'other-' || i %% 50 end, repeat('x', 40)%s
			from generate_series(1, %d) i`, t, strings.Repeat(", i", min(i, 1)), 2*pooledRows))
		finish = append(finish, "create index on pool."+t+" (tenant_key)")
	}
	if err := admin(ctx, dsn, append([]string{"create schema pool"}, make...)...); err != nil {
		return err
	}
	sys, err := openPostgres(ctx, dsn, p.marker)
	if err != nil {
		return err
	}
	defer sys.Close()
	now := time.Now()
	classes := map[string]any{}
	for _, t := range pooled {
		classes[t] = "usage"
	}
	p.ref = connector.Ref{
		Resource: tenure.NewID[tenure.ResourceID](now), Tenant: tenure.NewID[tenure.TenantID](now), Environment: "prod", Type: "rows", Name: "leaver pool",
		Attributes: map[string]any{"schema": "pool", "column": "tenant_key", "key": "leaver", "tables": classes}, Classes: []string{"usage"},
	}
	if _, _, _, err := sys.Ensure(ctx, connector.Desired{Ref: p.ref}); err != nil {
		return err
	}
	return admin(ctx, dsn, append(append(load, finish...), "vacuum (freeze, analyze)")...)
}

// once is one run on a copy, judged by the rows that are left.
func (p *pool) once(ctx context.Context, way func(context.Context, string) (time.Duration, error)) (time.Duration, error) {
	err := admin(ctx, p.env.pg, "drop database if exists bench_erase with (force)", "create database bench_erase template bench_pool", "checkpoint")
	if err != nil {
		return 0, err
	}
	dsn, err := databaseOf(p.env.pg, "bench_erase")
	if err != nil {
		return 0, err
	}
	took, err := way(ctx, dsn)
	if err != nil {
		return 0, err
	}
	for _, t := range pooled {
		left, err := count(ctx, dsn, "select count(*)::int from pool."+t+" where tenant_key = 'leaver'")
		if err != nil {
			return 0, err
		}
		others, err := count(ctx, dsn, "select count(*)::int from pool."+t)
		if err != nil || left != 0 || others != pooledRows {
			return 0, fmt.Errorf("%s has %d of the tenant's rows and %d others: %w", t, left, others, err)
		}
	}
	return took, admin(ctx, p.env.pg, "drop database bench_erase with (force)")
}

// bare deletes batch by batch, children before parents.
func (p *pool) bare(ctx context.Context, dsn string) (time.Duration, error) {
	dir, err := os.MkdirTemp(p.env.dir, "bare-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	return timed(func() error {
		for i := len(pooled) - 1; i >= 0; i-- {
			t := "pool." + pooled[i]
			for n := int64(batchRows); n == batchRows; {
				if err := db.Write(ctx, lookAtHolds); err != nil {
					return err
				}
				tag, err := conn.Exec(ctx, fmt.Sprintf("delete from %s where ctid = any (array(select ctid from %s where tenant_key = 'leaver' limit %d))", t, t, batchRows))
				if err != nil {
					return err
				}
				n = tag.RowsAffected()
			}
		}
		return nil
	})
}

func lookAtHolds(tx *store.Tx) error {
	_, err := tx.Exec(`update meta set value = value where key = 'hold_epoch' and not exists (select 1 from hold where released_at = 0)`)
	return err
}

// erasure runs an operation of one step, on a store of its own with full sync.
func (p *pool) erasure(ctx context.Context, dsn string) (time.Duration, error) {
	sys, err := openPostgres(ctx, dsn, p.marker)
	if err != nil {
		return 0, err
	}
	defer sys.Close()
	dir, err := os.MkdirTemp(p.env.dir, "erase-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	id, err := p.operation(ctx, db, sys.Fingerprint)
	if err != nil {
		return 0, err
	}
	eng := &engine.Engine{DB: db, Owner: "bench", Now: time.Now, BatchRows: batchRows, System: func(string) (*connector.System, error) { return sys, nil }}
	return timed(func() error {
		a, err := eng.Advance(ctx, id)
		if err == nil && a.Kind != engine.Done {
			err = fmt.Errorf("the erasure answered %s", a.Kind)
		}
		return err
	})
}

// operation stores an offboarding whose one step is the erasure.
func (p *pool) operation(ctx context.Context, db *store.DB, fingerprint string) (tenure.OperationID, error) {
	return p.operationTo(ctx, db, fingerprint, "")
}

// operationTo is operation for rows that don't simply go.
func (p *pool) operationTo(ctx context.Context, db *store.DB, fingerprint string, as tenure.Disposition) (tenure.OperationID, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	plan := &tenure.Plan{
		Format: tenure.PlanFormat, Kind: tenure.Offboard, Tenant: p.ref.Tenant, Name: "leaver", At: now, OnFailure: tenure.Park, Destructive: 1,
		Systems: map[string]string{systemName: fingerprint},
		Resources: []tenure.PlannedResource{{
			ID: p.ref.Resource, Key: "rows", Environment: p.ref.Environment, System: systemName, Type: p.ref.Type, Name: p.ref.Name,
			Layer: tenure.LayerTransactional, Desired: p.ref.Attributes, Classes: p.ref.Classes,
		}},
		Steps: []tenure.Step{{Key: "prod/rows/erase/usage", Stage: tenure.StageErasure, Action: tenure.ActErase, Class: "usage", To: string(as), Destructive: true, Resource: p.ref.Resource, System: systemName, Environment: p.ref.Environment}},
	}
	return storeOperation(ctx, db, plan)
}
