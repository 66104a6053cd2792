package departure

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// postgres is a platform in PostgreSQL.
type postgres struct {
	platform
	pooled bool
	srv    *server
	dsn    string
	proxy  *counter
	via    string // the DSN through the proxy
}

func newPostgres(t *testing.T, p platform, pooled bool) *postgres {
	t.Helper()
	k := &postgres{platform: p, pooled: pooled, srv: start(t)}
	k.dsn = k.srv.database(t, p.name)
	must(t, run(k.dsn, p.set(pooled)))
	k.proxy, k.via = between(t, k.dsn)
	return k
}

func (k *postgres) systems() map[string]any {
	return map[string]any{"main": map[string]any{"connector": "postgres", "options": map[string]any{"dsn": k.via}}}
}

func (k *postgres) door() string { return "postgres " + k.via }

func (k *postgres) counter() *counter { return k.proxy }

func (k *postgres) kill(whole bool) bool { return k.srv.kill(k.dsn, whole) }

func (k *postgres) await(t *testing.T) { k.srv.await(t) }

func (k *postgres) resources(*testing.T) []any {
	a, data := k.covers(k.pooled)
	a["derived"] = map[string]any{k.derived: "refresh"}
	typ := "rows"
	if !k.pooled {
		typ, a["ddl"] = "schema", k.own()
	}
	return []any{map[string]any{"key": "data", "system": "main", "type": typ, "name": "${tenant.name}", "data": data, "attributes": a}}
}

func (k *postgres) fill(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), k.dsn)
	must(t, err)
	defer conn.Close(context.Background())
	f := &filler{Rand: rnd, source: pgSource{conn}, parents: k.parents, full: k.full, last: 1000}
	if k.pooled {
		f.nobodys = strings.Fields(k.shared)
		f.fill(t, k.schemas(tenants[0], true), tenants...)
		must(t, run(k.dsn, strings.ReplaceAll(k.crossing, "S.", k.name+".")+"\nrefresh materialized view "+k.name+"."+k.derived))
		return
	}
	for _, who := range tenants {
		schemas := k.schemas(who, false)
		if who.name == "acme" { // what is elsewhere isn't a schema's to cover
			schemas = schemas[:1]
		}
		f.fill(t, schemas, who)
		must(t, run(k.dsn, `refresh materialized view "`+who.name+`".`+k.derived))
	}
}

func (k *postgres) rows(t *testing.T) []string { return rowsOf(t, k.dsn) }

func (k *postgres) shape(t *testing.T) string { return catalogOf(t, k.dsn, k.pooled) }

func (k *postgres) raw(t *testing.T) []byte { return dump(t, k.dsn) }

// class goes by the table that a partition or an heir is of.
func (k *postgres) class(t *testing.T, name string) string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), k.dsn)
	must(t, err)
	defer conn.Close(context.Background())
	var root string
	must(t, conn.QueryRow(context.Background(), `with recursive up (id) as (select $1::text::regclass::oid union all select inhparent from pg_inherits join up on inhrelid = id)
 select relname from up join pg_class c on c.oid = id where not exists (select from pg_inherits where inhrelid = id)`, name).Scan(&root))
	return k.classOf(name, root)
}

func run(dsn, sql string) error {
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.PgConn().Exec(context.Background(), sql).ReadAll()
	return err
}

// rowsOf are all rows outside of Tenure's own schema, each a line of its table and
// its values as JSON.
func rowsOf(t *testing.T, dsn string) []string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `select c.oid::regclass::text, quote_literal(relnamespace::regnamespace::text || '.' || relname) from pg_class c where relkind in ('r', 'm')
 and relnamespace::regnamespace::text not in ('tenure', 'pg_catalog', 'information_schema') order by 1`)
	must(t, err)
	type place struct{ Table, Name string }
	places, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	must(t, err)
	var out []string
	for _, p := range places {
		rows, err := conn.Query(ctx, "select "+p.Name+" || ' ' || to_jsonb(t)::text from only "+p.Table+" t")
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		out = append(out, lines...)
	}
	slices.Sort(out)
	return out
}

// catalogOf is what the server would write down of all objects but Tenure's and,
// where each tenant has a schema, the leaver's.
func catalogOf(t *testing.T, dsn string, pooled bool) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	skip := " not in ('tenure', 'information_schema') and nspname not like 'pg\\_%'"
	if !pooled {
		skip += " and nspname not like 'acme' and nspname not like '%quarantine%'"
	}
	var out []string
	for _, sql := range []string{
		"select concat_ws(' ', c.oid, nspname, relname, relkind, relowner, relacl, relrowsecurity, relispartition, relreplident, pg_get_expr(relpartbound, c.oid)) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname" + skip,
		"select concat_ws(' ', attrelid, attnum, attname, atttypid, attnotnull, attgenerated, pg_get_expr(adbin, adrelid)) from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace left join pg_attrdef on adrelid = attrelid and adnum = attnum where attnum > 0 and nspname" + skip,
		"select concat_ws(' ', k.oid, conname, convalidated, pg_get_constraintdef(k.oid)) from pg_constraint k join pg_namespace n on n.oid = connamespace where nspname" + skip,
		"select concat_ws(' ', t.oid, tgenabled, pg_get_triggerdef(t.oid)) from pg_trigger t join pg_class c on c.oid = tgrelid join pg_namespace n on n.oid = relnamespace where not tgisinternal and nspname" + skip,
		"select concat_ws(' ', r.oid, ev_enabled, pg_get_ruledef(r.oid)) from pg_rewrite r join pg_class c on c.oid = ev_class join pg_namespace n on n.oid = relnamespace where nspname" + skip,
		"select concat_ws(' ', p.oid, proname, proowner, prosrc) from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname" + skip,
		"select concat_ws(' ', t.oid, typname, typtype) from pg_type t join pg_namespace n on n.oid = typnamespace where typtype in ('e', 'd') and nspname" + skip,
		"select concat_ws(' ', n.oid, nspname, nspowner, nspacl) from pg_namespace n where nspname" + skip,
	} {
		rows, err := conn.Query(ctx, sql)
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		slices.Sort(lines)
		out = append(out, lines...)
	}
	return strings.Join(out, "\n")
}
