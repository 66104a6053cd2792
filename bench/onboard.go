package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

const (
	onboarded = 200 // tenants of one run
	parallel  = 8   // at once
)

// onboardBench measures onboardings from the request to the active tenant, with
// its plan, inventory, audit log and keys, each resource read back, in a store
// with full sync. The baseline is a program that issues the statements that make
// the same things. The runs alternate, each on a database of its own.
//
// The connector's own probes log in as the tenant and make a stranger's role,
// which no bare program does; the third measurement, for the record, has them.
func onboardBench(ctx context.Context, e *env) ([]line, error) {
	if e.pg == "" {
		return nil, nil
	}
	runs := 5
	if e.quick {
		runs = 1
	}
	quiet := postgres.Info()
	quiet.Probes = nil
	ways := []func(context.Context, string, string) (time.Duration, error){
		bareOnboarding,
		func(ctx context.Context, dsn, prefix string) (time.Duration, error) {
			return tenureOnboarding(ctx, e, dsn, prefix, quiet)
		},
		func(ctx context.Context, dsn, prefix string) (time.Duration, error) {
			return tenureOnboarding(ctx, e, dsn, prefix, postgres.Info())
		},
	}
	took, used := make([][]time.Duration, len(ways)), make([][]time.Duration, len(ways))
	for run := range runs {
		for i := range ways {
			n := (i + run) % len(ways)
			if n == 2 && run > 0 && run < runs-1 {
				continue // twice is enough for the record
			}
			d, processor, err := onboardOnce(ctx, e, fmt.Sprintf("b%d%d", run, n), ways[n])
			if err != nil {
				return nil, err
			}
			took[n], used[n] = append(took[n], d), append(used[n], processor)
		}
	}
	bare, ours, probed := median(took[0]), median(took[1]), median(took[2])
	ratio := ours.Seconds() / bare.Seconds()
	fmt.Printf("onboarding %d tenants, %d in parallel: bare %s, tenure %s; with every probe of the connector %s (%.2fx)\n",
		onboarded, parallel, round(bare), round(ours), round(probed), probed.Seconds()/bare.Seconds())
	fmt.Printf("  processor time, program and server: bare %s, tenure %s, with every probe %s\n", round(median(used[0])), round(median(used[1])), round(median(used[2])))
	return []line{{"onboard", round(ours), round(bare), times(ratio), "<=1.25x", ratio <= 1.25}}, nil
}

func round(d time.Duration) string { return d.Round(time.Millisecond).String() }

// onboardOnce is one run on a fresh database, judged by what the catalog shows.
func onboardOnce(ctx context.Context, e *env, prefix string, way func(context.Context, string, string) (time.Duration, error)) (took, used time.Duration, err error) {
	dsn, err := freshDatabase(ctx, e.pg, "bench_onboard")
	if err != nil {
		return 0, 0, err
	}
	if err := admin(ctx, e.pg, "checkpoint"); err != nil {
		return 0, 0, err
	}
	own, server := cpu(), serverCPU(ctx, e.pg)
	if took, err = way(ctx, dsn, prefix); err != nil {
		return 0, 0, err
	}
	used = cpu() - own + serverCPU(ctx, e.pg) - server
	for what, sql := range map[string]string{
		"tables with the role's rights": `select count(*)::int / 12 from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.relkind = 'r' and has_table_privilege(replace(n.nspname, '_data', '')::name, c.oid, 'insert') and starts_with(n.nspname, $1)`,
		"commented schemas": `select count(*)::int from pg_namespace n where starts_with(n.nspname, $1) and obj_description(n.oid, 'pg_namespace') <> ''`,
		"commented roles":   `select count(*)::int from pg_roles r where rolcanlogin and starts_with(r.rolname, $1) and shobj_description(r.oid, 'pg_authid') <> ''`,
	} {
		if n, err := count(ctx, dsn, sql, "t_"+prefix); err != nil || n != onboarded {
			return 0, 0, fmt.Errorf("%d tenants have %s, not %d: %w", n, what, onboarded, err)
		}
	}
	if err := admin(ctx, e.pg, "drop database bench_onboard with (force)"); err != nil {
		return 0, 0, err
	}
	return took, used, dropRoles(ctx, e.pg, "t_"+prefix)
}

// tenureOnboarding takes the tenants through the product's own door.
func tenureOnboarding(ctx context.Context, e *env, dsn, prefix string, info connector.Info) (time.Duration, error) {
	dir := filepath.Join(e.dir, "onboard-"+prefix)
	defer os.RemoveAll(dir)
	inst, err := install(ctx, dir, dsn, []connector.Info{info})
	if err != nil {
		return 0, err
	}
	defer inst.Close()
	return onboardings(ctx, inst, prefix, onboardBlueprint())
}

// onboardings are those of one run, several at once.
func onboardings(ctx context.Context, inst *installation.Installation, prefix, blueprint string) (time.Duration, error) {
	b, err := inst.SubmitBlueprint(ctx, []byte(blueprint), "bench.yaml", "author")
	if err == nil {
		_, err = inst.PublishBlueprint(ctx, b.Name+"@"+b.Version, "reviewer")
	}
	if err != nil {
		return 0, err
	}
	took, err := timed(func() error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(parallel)
		for i := range onboarded {
			g.Go(func() error { return onboardTenant(ctx, inst, fmt.Sprintf("%s-%03d", prefix, i)) })
		}
		return g.Wait()
	})
	if err != nil {
		return 0, err
	}
	steps, err := stepTimes(ctx, inst, prefix)
	fmt.Printf("  run %s: %s; a tenant's steps: %s\n", prefix, round(took), steps)
	return took, err
}

func onboardTenant(ctx context.Context, inst *installation.Installation, name string) error {
	_, op, err := inst.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "bench"}, "operator")
	if err != nil {
		return err
	}
	a, err := inst.Engine.Advance(ctx, op.ID)
	for began := time.Now(); err == nil && a.Kind == engine.At && time.Since(began) < 30*time.Second; { // a system that said too little is asked again
		time.Sleep(time.Until(a.At))
		a, err = inst.Engine.Advance(ctx, op.ID)
	}
	if err != nil {
		return err
	}
	t, err := inst.DB.Tenant(ctx, name)
	if err != nil {
		return err
	}
	if a.Kind != engine.Done || t.State != tenure.TenantActive {
		v, err := inst.Operation(ctx, op.ID)
		if err != nil {
			return err
		}
		return fmt.Errorf("tenant %s is %s, its onboarding %s (%s): %+v", name, t.State, v.State, v.Reason, v.Steps)
	}
	return nil
}

// onboardBlueprint is the example on PostgreSQL with a role, a schema and a grant
// alone, in one environment.
func onboardBlueprint() string {
	ddl := "        " + strings.ReplaceAll(strings.TrimSpace(tablesDDL()), "\n", "\n        ")
	return `apiVersion: tenure.dev/v1
kind: Blueprint
name: bench
version: "1"
environments:
  - {name: prod, kind: production}
systems:
  main-db: {connector: postgres}
dataClasses:
  business:
    disposition: purge
    retention:
      - {name: retrieval, kind: keep_until, period: P30D, from: termination}
resources:
  - key: role
    system: main-db
    type: role
    name: t_${tenant.name}
    attributes: {login: true, connectionLimit: 10}
  - key: schema
    system: main-db
    type: schema
    name: t_${tenant.name}_data
    data: [business]
    attributes:
      tables: {` + strings.Join(tables, ": business, ") + `: business}
      ddl: |
` + ddl + `
  - key: use
    system: main-db
    type: grant
    name: ${resources.role.name} on its tables
    attributes:
      role: ${resources.role.name}
      schema: ${resources.schema.name}
      tables: [` + strings.Join(tables, ", ") + `]
      privileges: [select, insert, update, delete]
failure: park
approvals: {onboard: 0, offboard: 1}
offboarding: {grace: PT0S, retrieval: P30D, quarantine: P14D}
`
}
