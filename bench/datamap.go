package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure/connector"
)

// mapQueries are the queries that nobody who maps a database can do without, each
// once: tables, with whether all of their rows can be seen; columns with their
// types; constraints; what is part of what; triggers, views, indexes, policies;
// and what depends on what.
var mapQueries = []string{
	"select c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.reltuples, has_table_privilege(c.oid, 'select') and not row_security_active(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'",
	"select attrelid, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attgenerated::text from pg_attribute a join pg_class c on c.oid = attrelid where attnum > 0 and not attisdropped and c.relkind in ('r', 'p', 'm', 'f') and c.oid >= 16384",
	"select oid, conrelid, confrelid, contype::text, conkey, confkey, confdeltype::text, condeferrable from pg_constraint where contype in ('f', 'p', 'u', 'c') and conrelid >= 16384",
	"select inhrelid, inhparent from pg_inherits",
	"select t.tgrelid, t.tgname, t.tgtype, p.prosrc from pg_trigger t join pg_proc p on p.oid = t.tgfoid where not t.tgisinternal",
	"select r.ev_class, r.ev_type::text, d.refobjid from pg_rewrite r join pg_depend d on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass where r.ev_class >= 16384",
	"select indrelid, indexrelid, indisunique, indkey::text from pg_index where indrelid >= 16384",
	"select polrelid, polname from pg_policy",
	"select classid, objid, refclassid, refobjid from pg_depend where refobjid >= 16384 and deptype = 'n'",
}

// mapBench maps a large database from its catalog, beside the queries alone.
func mapBench(ctx context.Context, e *env) ([]line, error) {
	if e.pg == "" {
		return nil, nil
	}
	var tables []string
	var ddl []string
	for i := range mapTables {
		name := fmt.Sprintf("t%04d", i)
		sql := "create table pool." + name + " (id int primary key, body text, made timestamptz, tenant_key text)"
		if i%4 != 0 {
			sql = fmt.Sprintf("create table pool.%s (id int primary key, body text, made timestamptz, parent int not null references pool.t%04d)", name, i-1)
		}
		tables, ddl = append(tables, name), append(ddl, sql)
	}
	sys, ref, err := e.rows(ctx, "bench_map", tables, append(ddl, "vacuum analyze")...)
	if err != nil {
		return nil, err
	}
	defer sys.Close()
	dsn, err := databaseOf(e.pg, "bench_map")
	if err != nil {
		return nil, err
	}
	ref.Resource = "" // one that is yet to be: the catalog alone is read
	var took [2][]time.Duration
	runs := 5
	if e.quick {
		runs = 1
	}
	for range runs {
		bare, err := timed(func() error { return catalog(ctx, dsn) })
		if err != nil {
			return nil, err
		}
		ours, err := timed(func() error {
			m, _, err := sys.DataMap(ctx, connector.Survey{Ref: ref})
			if err == nil && len(m.Places) < mapTables {
				err = fmt.Errorf("the map has %d places of %d", len(m.Places), mapTables)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		took[0], took[1] = append(took[0], bare), append(took[1], ours)
	}
	bare, ours := median(took[0]), median(took[1])
	ratio := ours.Seconds() / bare.Seconds()
	fmt.Printf("mapping %d tables: catalog alone %s, tenure %s\n", mapTables, round(bare), round(ours))
	return []line{{"map", round(ours), round(bare), times(ratio), "<=2.00x", ratio <= 2}}, nil
}

func catalog(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range mapQueries {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return err
		}
		for rows.Next() {
			if _, err := rows.Values(); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

// reconcileBench counts what is left of an erased tenant in many shared tables, as
// the last reconciliation does, beside the counts alone. It has no target: what it
// costs is what an operator must know.
func reconcileBench(ctx context.Context, e *env) ([]line, error) {
	if e.pg == "" {
		return nil, nil
	}
	var tables, ddl, load, counts []string
	for i := range sharing {
		name := fmt.Sprintf("t%02d", i)
		tables = append(tables, name)
		ddl = append(ddl, "create table pool."+name+" (id int primary key, tenant_key text not null, body text)")
		load = append(load, fmt.Sprintf("insert into pool.%s select i, 'other-' || i %% 50, repeat('x', 40) from generate_series(1, %d) i", name, shareRows), "create index on pool."+name+" (tenant_key)")
		counts = append(counts, "select count(*)::int from pool."+name+" where tenant_key = 'leaver'")
	}
	sys, ref, err := e.rows(ctx, "bench_share", tables, ddl...)
	if err != nil {
		return nil, err
	}
	defer sys.Close()
	dsn, err := databaseOf(e.pg, "bench_share")
	if err != nil {
		return nil, err
	}
	if err := admin(ctx, dsn, append(load, "vacuum analyze")...); err != nil {
		return nil, err
	}
	if _, _, err := sys.Delete(ctx, ref); err != nil {
		return nil, err
	}
	var took [2][]time.Duration
	for range 3 {
		bare, err := timed(func() error {
			conn, err := pgx.Connect(ctx, dsn)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			for _, sql := range counts {
				var n int
				if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		ours, err := timed(func() error {
			_, _, err := sys.DataMap(ctx, connector.Survey{Ref: ref, Gone: true})
			return err
		})
		if err != nil {
			return nil, err
		}
		took[0], took[1] = append(took[0], bare), append(took[1], ours)
	}
	bare, ours := median(took[0]), median(took[1])
	fmt.Printf("the last look at %d shared tables of %d rows: counts alone %s, tenure %s\n", sharing, shareRows, round(bare), round(ours))
	return []line{{"reconcile", round(ours), round(bare), times(ours.Seconds() / bare.Seconds()), "-", true}}, nil
}
