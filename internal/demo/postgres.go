package demo

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/examples"
)

// postgresPlatform is the example platform on PostgreSQL, in a database of its
// own that the demo makes anew, with backups on files.
type postgresPlatform struct {
	dsn   string
	files string
	conn  *pgx.Conn
}

const demoDatabase = "tenure_demo"

// dsnVariable hands the DSN, which holds a password, to systems.yaml.
const dsnVariable = "TENURE_DEMO_DSN"

func (p *postgresPlatform) prepare(ctx context.Context, dir string) (systems, blueprint string, err error) {
	admin, err := pgx.Connect(ctx, p.dsn)
	if err != nil {
		return "", "", tenure.Errorf(tenure.Unavailable, "the server of --postgres doesn't answer").WithHint("give a DSN such as postgres://user:password@127.0.0.1:5432/postgres")
	}
	defer admin.Close(ctx)
	if err := clear(ctx, admin); err != nil {
		return "", "", err
	}
	if _, err := admin.Exec(ctx, "create database "+demoDatabase); err != nil {
		return "", "", tenure.Errorf(tenure.Unavailable, "make the demo's database: %w", err)
	}
	u, err := url.Parse(p.dsn)
	if err != nil {
		return "", "", tenure.Errorf(tenure.Invalid, "--postgres takes an address such as postgres://user:password@127.0.0.1:5432/postgres")
	}
	u.Path = "/" + demoDatabase
	if err := os.Setenv(dsnVariable, u.String()); err != nil {
		return "", "", err
	}
	if p.conn, err = pgx.Connect(ctx, u.String()); err != nil {
		return "", "", tenure.Errorf(tenure.Unavailable, "the demo's database doesn't answer: %w", err)
	}
	if _, err := p.conn.Exec(ctx, examples.PostgresPlatform); err != nil {
		return "", "", tenure.Errorf(tenure.Internal, "platform.sql: %w", err)
	}
	p.files = filepath.Join(dir, "files")
	if err := os.MkdirAll(p.files, 0o700); err != nil {
		return "", "", tenure.Errorf(tenure.Unavailable, "demo folder: %w", err)
	}
	systems = fmt.Sprintf(`systems:
  main-db:
    connector: postgres
    options: {dsn: "env:%s"}
    prices: {schema: 40, database: 900, gibibyte: 25}
    currency: EUR
    limit: 8
  files:
    connector: filesystem
    options: {root: %q}
    prices: {gibibyte: 2}
    currency: EUR
    limit: 4
`, dsnVariable, p.files)
	return systems, examples.PostgresBlueprint, nil
}

// clear removes what an earlier demo left: its database and its roles.
func clear(ctx context.Context, admin *pgx.Conn) error {
	if _, err := admin.Exec(ctx, "drop database if exists "+demoDatabase+" with (force)"); err != nil {
		return tenure.Errorf(tenure.Unavailable, "remove an earlier demo's database: %w", err)
	}
	for _, t := range tenants {
		for _, env := range []string{"prod", "test"} {
			if _, err := admin.Exec(ctx, fmt.Sprintf("drop role if exists t_%s_%s", t, env)); err != nil {
				return tenure.Errorf(tenure.Unavailable, "remove an earlier demo's roles: %w", err)
			}
		}
	}
	return nil
}

func (p *postgresPlatform) fill(ctx context.Context, tenant string) (string, error) {
	n := 0
	for _, env := range []string{"prod", "test"} {
		schema, key := fmt.Sprintf("t_%s_%s_data", tenant, env), tenant+"-"+env
		for _, q := range []string{
			`insert into %[1]s.customers (name) select 'Customer ' || i from generate_series(1, 60) i`,
			`insert into %[1]s.contacts (customer_id, email) select id, 'contact' || id || '@%[2]s.example' from %[1]s.customers`,
			`insert into %[1]s.products (sku, title) select 'P' || i, 'Article ' || i from generate_series(1, 20) i`,
			`insert into %[1]s.orders (customer_id) select id from %[1]s.customers, generate_series(1, 3)`,
			`insert into %[1]s.order_lines (order_id, product_id, quantity) select o.id, p.id, 2 from %[1]s.orders o join %[1]s.products p on p.id = 1 + o.id %% 20`,
			`insert into %[1]s.invoices (order_id, issued, due) select id, current_date, current_date + 14 from %[1]s.orders`,
			`insert into %[1]s.payments (invoice_id, cents, paid_at) select id, 1990, now() from %[1]s.invoices`,
			`with e as (insert into metering.usage_events (tenant_key, kind) select '%[2]s', 'call' from generate_series(1, 50) returning id)
			 insert into metering.usage_lines (event_id, metric, amount) select id, 'rows', 10 from e`,
		} {
			tag, err := p.conn.Exec(ctx, fmt.Sprintf(q, pgx.Identifier{schema}.Sanitize(), key))
			if err != nil {
				return "", tenure.Errorf(tenure.Internal, "fill %s: %w", key, err)
			}
			n += int(tag.RowsAffected())
		}
	}
	return fmt.Sprintf("%d rows in its schemas and in the shared tables", n), nil
}

// backup writes a dated file for each tenant's schema that still exists, as a
// nightly job would.
func (p *postgresPlatform) backup(ctx context.Context, day time.Time) error {
	for _, t := range tenants {
		for _, env := range []string{"prod", "test"} {
			var there bool
			if err := p.conn.QueryRow(ctx, `select to_regnamespace($1) is not null`, fmt.Sprintf("t_%s_%s_data", t, env)).Scan(&there); err != nil {
				return err
			}
			dir := filepath.Join(p.files, "backups", fmt.Sprintf("%s-%s-backups", t, env))
			if _, err := os.Stat(dir); err != nil || !there {
				continue
			}
			file := filepath.Join(dir, day.Format("2006-01-02")+".dump")
			if err := os.WriteFile(file, []byte("a dump of "+t+"-"+env), 0o600); err != nil {
				return err
			}
			if err := os.Chtimes(file, day, day); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *postgresPlatform) meddle(ctx context.Context, tenant string) (string, error) {
	_, err := p.conn.Exec(ctx, fmt.Sprintf("alter role t_%s_prod createdb createrole", tenant))
	return fmt.Sprintf("somebody gives the role of %s the right to make databases and roles", tenant), err
}

// look lists a tenant's roles, databases, schemas with their row counts, rows in
// shared tables and files, by its own look at the catalog.
func (p *postgresPlatform) look(ctx context.Context, tenant string, everything bool) ([]string, error) {
	var out []string
	take := func(format, query string, args ...any) error {
		rows, err := p.conn.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, n := range names {
			out = append(out, fmt.Sprintf(format, n))
		}
		return err
	}
	like := "%t\\_" + tenant + "\\_%"
	if err := take("role %s", `select rolname from pg_roles where rolname like $1`, like); err != nil {
		return nil, err
	}
	if err := take("database %s", `select datname from pg_database where datname like $1`, like); err != nil {
		return nil, err
	}
	if err := take("schema %s", `select nspname from pg_namespace where nspname like $1`, like); err != nil {
		return nil, err
	}
	if err := take("policy %s", `select polname::text || ' on ' || polrelid::regclass::text from pg_policy where polname like $1`, like); err != nil {
		return nil, err
	}
	if err := p.rows(ctx, tenant, take); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(p.files, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, tenant+"-") && (everything || !strings.Contains(path, "backups")) {
			out = append(out, "file "+d.Name())
		}
		return err
	})
	slices.Sort(out)
	return out, err
}

// rows counts the tenant's rows in its own tables and, by every text column, in
// those that all tenants share.
func (p *postgresPlatform) rows(ctx context.Context, tenant string, take func(string, string, ...any) error) error {
	type table struct{ Schema, Name string }
	rows, err := p.conn.Query(ctx, `select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' and (table_schema in ('platform', 'metering') or table_schema like $1)`, "t\\_"+tenant+"\\_%")
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return err
	}
	for _, t := range tables {
		name := pgx.Identifier{t.Schema, t.Name}.Sanitize()
		where := "true"
		if t.Schema == "platform" || t.Schema == "metering" {
			where = "row_to_json(x)::text like '%\"" + tenant + "-%'"
		}
		err := take("%s", fmt.Sprintf(`select count(*) || ' rows in %s.%s, ' || left(md5(string_agg(x::text, ',' order by x::text)), 12) from %s x where %s having count(*) > 0`, t.Schema, t.Name, name, where))
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *postgresPlatform) stays(context.Context) (string, error) { return "", nil }

func (p *postgresPlatform) close() error {
	if p.conn == nil {
		return nil
	}
	return p.conn.Close(context.Background())
}
