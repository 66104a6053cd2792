package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	drifted    = 20_000 // tenants, each with a role and a schema
	driftPlant = 3      // of their roles were meddled with, and of their schemas
)

// driftBench compares the roles and schemas of many tenants with the inventory.
// The baseline streams the same rows from the catalog, in the same order, and
// looks at none of them.
func driftBench(ctx context.Context, e *env) ([]line, error) {
	if e.pg == "" {
		return nil, nil
	}
	dsn, err := freshDatabase(ctx, e.pg, "bench_drift")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = admin(ctx, e.pg, "drop database if exists bench_drift with (force)")
		_ = dropRoles(ctx, e.pg, "d_")
	}()
	sys, err := openPostgres(ctx, dsn, driftMarker())
	if err != nil {
		return nil, err
	}
	defer sys.Close()
	path := filepath.Join(e.dir, "drift.db")
	if err := makeTenants(ctx, sys, dsn, path, driftMarker()); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{DSN: path})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	look := &hygiene.Looker{DB: db, Now: time.Now}
	runs := 5
	if e.quick {
		runs = 2
	}
	idle := settled()
	var ours, bare []time.Duration
	var peak footprint
	for i := range runs {
		for n := range 2 {
			if (i+n)%2 == 0 {
				d, err := timed(func() error { return bareCatalog(ctx, dsn) })
				if err != nil {
					return nil, err
				}
				bare = append(bare, d)
				continue
			}
			watch := newWatch()
			d, err := timed(func() error { return driftOnce(ctx, look, sys) })
			if seen := watch.end(); seen.resident > peak.resident {
				peak = seen
			}
			if err != nil {
				return nil, err
			}
			ours = append(ours, d)
		}
	}
	mine, base := median(ours), median(bare)
	ratio := mine.Seconds() / base.Seconds()
	resident, heap := mib(peak.resident-idle.resident), mib(peak.heap-idle.heap)
	fmt.Printf("drift over %d roles and %d schemas: bare query %s, tenure %s; above idle: %.1f MiB resident, %.1f MiB of heap\n", drifted, drifted, round(base), round(mine), resident, heap)
	return []line{
		{"drift", round(mine), round(base), times(ratio), "<=2.00x", ratio <= 2},
		{"drift-memory", fmt.Sprintf("%.1fMiB", resident), fmt.Sprintf("%.1fMiB", mib(idle.resident)), "-", "<=32MiB", resident <= 32},
	}, nil
}

// driftOnce sees everything, and finds what was meddled with and nothing else.
func driftOnce(ctx context.Context, look *hygiene.Looker, sys *connector.System) error {
	found := 0
	sum, err := look.Drift(ctx, sys, "", func(tenure.Finding) error { found++; return nil })
	if err == nil && (!sum.Trusted || sum.Checked != 2*drifted || found != 2*driftPlant) {
		err = fmt.Errorf("drift checked %d with %d findings, trusted %v (%s)", sum.Checked, found, sum.Trusted, sum.Why)
	}
	return err
}

// bareCatalogSQL asks for what a look at a role and at a schema needs: the first two for
// what they are, the others for who has which rights.
var bareCatalogSQL = []string{
	`select r.rolname, m.note, r.rolconnlimit, r.rolcanlogin, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolbypassrls, r.rolreplication,
		(select json_agg(g.rolname)::text from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid)
		from pg_roles r join tenure.mark m on m.type = 'role' and m.object = r.oid order by r.rolname collate "C"`,
	`select n.nspname, m.note, pg_get_userbyid(n.nspowner), n.nspacl is not null and exists (select 1 from aclexplode(n.nspacl) x where x.grantee = 0)
		from pg_namespace n join tenure.mark m on m.type = 'schema' and m.object = n.oid order by n.nspname collate "C"`,
	`select m.roleid, m.member, m.admin_option, m.grantor from pg_auth_members m`,
	`select d.datname, d.datdba, d.datacl::text from pg_database d`,
	`select s.setrole, s.setdatabase, unnest(s.setconfig) from pg_db_role_setting s`,
	`select distinct d.dbid, d.refobjid from pg_shdepend d where d.refclassid = 'pg_authid'::regclass`,
	`select n.nspname, n.nspowner, n.nspacl::text from pg_namespace n where n.nspacl is not null`,
	`select n.nspname, c.relname, c.relkind, c.relowner, c.relacl::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relacl is not null or c.relowner <> n.nspowner`,
	`select a.attrelid, a.attname, a.attacl::text from pg_attribute a where a.attacl is not null`,
	`select n.nspname, p.proname, p.proowner, p.proacl::text, p.prosecdef from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.proacl is not null or p.prosecdef or p.proowner <> n.nspowner`,
	`select t.typname, t.typowner, t.typacl::text from pg_type t where t.typacl is not null`,
	`select l.oid, l.lomowner, l.lomacl::text from pg_largeobject_metadata l where l.lomacl is not null`,
	`select f.defaclrole, f.defaclnamespace, f.defaclobjtype, f.defaclacl::text from pg_default_acl f`,
}

func bareCatalog(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for i, sql := range bareCatalogSQL {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return err
		}
		n := 0
		for rows.Next() {
			_ = rows.RawValues()
			n++
		}
		if err := rows.Err(); err != nil || i < 2 && n < drifted {
			return fmt.Errorf("the catalog gave %d rows: %w", n, err)
		}
	}
	return nil
}

// footprint is what the process holds, in bytes.
type footprint struct{ resident, heap int64 }

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// settled is the memory at rest.
func settled() footprint {
	freeAll()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{resident: residentNow(), heap: int64(m.HeapAlloc)}
}

// watch follows the process's memory until it ends.
type watch struct {
	stop chan struct{}
	done chan footprint
}

// newWatch begins at rest, so that each peak is one run's own.
func newWatch() *watch {
	freeAll()
	resetPeak()
	w := &watch{make(chan struct{}), make(chan footprint)}
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var m footprint
		for {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			m.heap, m.resident = max(m.heap, int64(s.HeapAlloc)), max(m.resident, residentNow())
			select {
			case <-tick.C:
			case <-w.stop:
				m.resident = max(m.resident, residentPeak(os.Getpid()))
				w.done <- m
				return
			}
		}
	}()
	return w
}

func (w *watch) end() footprint {
	close(w.stop)
	return <-w.done
}
