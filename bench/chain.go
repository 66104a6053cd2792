package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

const (
	chainRows = 50_000 // each refers to the one before
	sharing   = 50     // shared tables that a last reconciliation counts
	shareRows = 20_000 // in each of them
	mapTables = 2_000  // of the database that is mapped
)

// rows is a system on a fresh database with a tenant's place in its shared tables.
func (e *env) rows(ctx context.Context, name string, tables []string, ddl ...string) (*connector.System, connector.Ref, error) {
	base, err := freshDatabase(ctx, e.pg, name)
	if err != nil {
		return nil, connector.Ref{}, err
	}
	if err := admin(ctx, base, append([]string{"create schema pool"}, ddl...)...); err != nil {
		return nil, connector.Ref{}, err
	}
	sys, err := openPostgres(ctx, base, benchMarker())
	if err != nil {
		return nil, connector.Ref{}, err
	}
	classes := map[string]any{}
	for _, t := range tables {
		classes[t] = "usage"
	}
	now := time.Now()
	ref := connector.Ref{
		Resource: tenure.NewID[tenure.ResourceID](now), Tenant: tenure.NewID[tenure.TenantID](now), Environment: "prod", Type: "rows", Name: "leaver pool",
		Attributes: map[string]any{"schema": "pool", "column": "tenant_key", "key": "leaver", "tables": classes}, Classes: []string{"usage"},
	}
	if _, _, _, err = sys.Ensure(ctx, connector.Desired{Ref: ref}); err != nil {
		_ = sys.Close()
	}
	return sys, ref, err
}

// chainBench erases a chain of rows that refer each to the one before, and one of
// half the length, which takes half the time if the erasure is linear.
func chainBench(ctx context.Context, e *env) ([]line, error) {
	if e.pg == "" {
		return nil, nil
	}
	var took [2][]time.Duration
	runs := 3
	if e.quick {
		runs = 1
	}
	for range runs {
		for i, n := range []int{chainRows / 2, chainRows} {
			d, err := e.chain(ctx, n)
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], d)
		}
	}
	half, all := median(took[0]), median(took[1])
	ratio := all.Seconds() / half.Seconds()
	fmt.Printf("erasing a chain of %d rows: %s; of %d: %s\n", chainRows, round(all), chainRows/2, round(half))
	return []line{{"chain", round(all), round(half), times(ratio), "<=2.60x", ratio <= 2.6}}, nil
}

func (e *env) chain(ctx context.Context, n int) (time.Duration, error) {
	sys, ref, err := e.rows(ctx, "bench_chain", []string{"chain"}, "create table pool.chain (id int primary key, tenant_key text not null, before int references pool.chain, body text not null)", "create index on pool.chain (before)", "create index on pool.chain (tenant_key)")
	if err != nil {
		return 0, err
	}
	defer sys.Close()
	dsn, err := databaseOf(e.pg, "bench_chain")
	if err != nil {
		return 0, err
	}
	err = admin(ctx, dsn, fmt.Sprintf("insert into pool.chain select i, 'leaver', nullif(i - 1, 0), repeat('x', 40) from generate_series(1, %d) i", n), "analyze pool.chain")
	if err != nil {
		return 0, err
	}
	took, err := timed(func() error {
		b := connector.Batch{Run: "bench", Class: "usage", Limit: 5000, For: time.Second}
		for {
			got, err := sys.Erase(ctx, ref, b)
			if err != nil || got.Done {
				return err
			}
			b.Cursor = got.Cursor
		}
	})
	if err != nil {
		return 0, err
	}
	if left, err := count(ctx, dsn, "select count(*)::int from pool.chain"); err != nil || left != 0 {
		return 0, fmt.Errorf("%d rows of the chain are left: %w", left, err)
	}
	return took, nil
}
