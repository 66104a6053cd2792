package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/connector/relational"
)

const (
	fewNeighbours, manyNeighbours = 50, 5_000
	crowdTables                   = 3 // of each neighbour
	newcomers                     = 40
)

// crowdBench measures whether an onboarding, with every probe, takes longer on a server
// that is full of tenants. The baseline is a server with few. It also tells what the
// isolation probes of one tenant cost.
func crowdBench(ctx context.Context, e *env) ([]line, error) {
	if e.pg == "" {
		return nil, nil
	}
	runs := 3
	if e.quick {
		runs = 1
	}
	took, probes := map[int][]time.Duration{}, map[int][]time.Duration{}
	for run := range runs {
		for _, n := range []int{fewNeighbours, manyNeighbours} {
			d, p, err := crowdOnce(ctx, e, fmt.Sprintf("c%d%d", run, n), n)
			if err != nil {
				return nil, err
			}
			took[n], probes[n] = append(took[n], d), append(probes[n], p)
		}
	}
	few, many := median(took[fewNeighbours]), median(took[manyNeighbours])
	ratio := many.Seconds() / few.Seconds()
	fmt.Printf("onboarding %d tenants beside %d: %s, beside %d: %s; isolation probes of one tenant: %s and %s\n", newcomers, fewNeighbours, round(few), manyNeighbours, round(many),
		median(probes[fewNeighbours]).Round(100*time.Microsecond), median(probes[manyNeighbours]).Round(100*time.Microsecond))
	return []line{{"crowd", round(many), round(few), times(ratio), "<=1.20x", ratio <= 1.2}}, nil
}

func crowdOnce(ctx context.Context, e *env, prefix string, neighbours int) (took, probe time.Duration, err error) {
	dsn, err := freshDatabase(ctx, e.pg, "bench_crowd")
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = admin(ctx, e.pg, "drop database if exists bench_crowd with (force)")
		_ = dropRoles(ctx, e.pg, "d_")
		_ = dropRoles(ctx, e.pg, "t_"+prefix)
	}()
	dir := filepath.Join(e.dir, "crowd-"+prefix)
	defer os.RemoveAll(dir)
	inst, err := install(ctx, dir, dsn, []connector.Info{postgres.Info()})
	if err != nil {
		return 0, 0, err
	}
	defer inst.Close()
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(2)
	const lot = 50
	for first := 0; first < neighbours; first += lot {
		g.Go(func() error { return makeNeighbours(each, dsn, first, first+lot) })
	}
	if err := g.Wait(); err != nil {
		return 0, 0, err
	}
	if err := admin(ctx, dsn, "vacuum (analyze)", "checkpoint"); err != nil {
		return 0, 0, err
	}
	b, err := inst.SubmitBlueprint(ctx, []byte(onboardBlueprint()), "bench.yaml", "author")
	if err == nil {
		_, err = inst.PublishBlueprint(ctx, b.Name+"@"+b.Version, "reviewer")
	}
	if err != nil {
		return 0, 0, err
	}
	took, err = timed(func() error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(parallel)
		for i := range newcomers {
			g.Go(func() error { return onboardTenant(ctx, inst, fmt.Sprintf("%s-%03d", prefix, i)) })
		}
		return g.Wait()
	})
	if err != nil {
		return 0, 0, err
	}
	probe, err = timed(func() error {
		for i := range newcomers {
			seen, err := inst.Probe(ctx, fmt.Sprintf("%s-%03d", prefix, i))
			if err != nil || len(seen) == 0 || !seen[0].Passed {
				return fmt.Errorf("the isolation probe showed %+v: %w", seen, err)
			}
		}
		return nil
	})
	return took, probe / newcomers, err
}

// makeNeighbours puts tenants into the database as onboardings would have left them.
func makeNeighbours(ctx context.Context, dsn string, first, end int) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	m := driftMarker()
	var b strings.Builder
	b.WriteString("begin;\n")
	for i := first; i < end; i++ {
		refs := driftRefs(i)
		name := refs[0].Name
		fmt.Fprintf(&b, "create role %s login connection limit 10;\ncomment on role %s is '%s';\n", name, name, relational.NewNote(m, refs[0]))
		fmt.Fprintf(&b, "create schema %s;\ncomment on schema %s is '%s';\ngrant usage on schema %s to %s;\n", name, name, relational.NewNote(m, refs[1]), name, name)
		for t := range crowdTables {
			fmt.Fprintf(&b, "create table %s.%s (id bigint generated always as identity primary key, note text);\nalter table %[1]s.%[2]s owner to %[1]s;\n", name, tables[t])
		}
		fmt.Fprintf(&b, "alter schema %s owner to %[1]s;\n", name)
		for _, r := range refs {
			from := map[string]string{"role": "pg_roles where rolname", "schema": "pg_namespace where nspname"}[r.Type]
			fmt.Fprintf(&b, "insert into tenure.mark (type, name, note, site, object) select '%s', '%s', '%s', (select system_identifier::text from pg_control_system()) || ':' || (select oid from pg_database where datname = current_database()), oid from %s = '%s';\n",
				r.Type, name, relational.NewNote(m, r).Sealed(m), from, name)
		}
		spec := fmt.Sprintf(`{"privileges":["insert","select"],"role":"%s","schema":"%s","tables":["%s"]}`, name, name, strings.Join(tables[:crowdTables], `","`))
		grant := connector.Ref{Resource: refs[1].Resource, Tenant: refs[1].Tenant, Type: "grant", Name: name}
		fmt.Fprintf(&b, "insert into tenure.mark (type, name, note) values ('grant', '%s', '%s');\n", name, relational.NewNote(m, grant).With("spec", spec).With("on", fmt.Sprintf("%024x", i)).With("by", fmt.Sprintf("%024x", i)))
	}
	b.WriteString("commit")
	_, err = conn.PgConn().Exec(ctx, b.String()).ReadAll()
	return err
}
