package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// tables are those of each tenant's schema, parents before children.
var tables = []string{"customers", "contacts", "products", "prices", "orders", "order_lines", "invoices", "invoice_lines", "payments", "shipments", "tickets", "ticket_notes"}

// tablesDDL makes them, to be run with the schema on the search path.
func tablesDDL() string {
	const id = "id bigint generated always as identity primary key"
	bodies := []string{
		"name text not null, country text not null default 'DE'",
		"customer_id bigint not null references customers (id), email text not null, phone text",
		"sku text not null unique, title text not null",
		"product_id bigint not null references products (id), cents bigint not null check (cents >= 0), since date not null",
		"customer_id bigint references customers (id) on delete set null, placed_at timestamptz not null default now()",
		"order_id bigint not null references orders (id), product_id bigint references products (id) on delete set null, quantity integer not null",
		"order_id bigint references orders (id) on delete set null, issued date not null, due date not null",
		"invoice_id bigint not null references invoices (id), title text not null, cents bigint not null",
		"invoice_id bigint not null references invoices (id), cents bigint not null, paid_at timestamptz not null",
		"order_id bigint not null references orders (id), carrier text not null, shipped_at timestamptz",
		"customer_id bigint references customers (id) on delete set null, subject text not null, open boolean not null default true",
		"ticket_id bigint not null references tickets (id), body text not null, written_at timestamptz not null default now()",
	}
	var b strings.Builder
	for i, t := range tables {
		fmt.Fprintf(&b, "create table if not exists %s (%s, %s);\n", t, id, bodies[i])
	}
	return b.String()
}

// bareMark stands for an owner mark, in its usual length.
var bareMark = strings.Repeat("m", 220)

// bareOnboarding issues the statements that make the tenants: a transaction for
// each thing, in one trip, over a connection for each worker.
func bareOnboarding(ctx context.Context, dsn, prefix string) (time.Duration, error) {
	if err := admin(ctx, dsn, "create schema tenure", "create table tenure.mark (type text, name text, note text not null, primary key (type, name))"); err != nil {
		return 0, err
	}
	return timed(func() error {
		names := make(chan string, onboarded)
		for i := range onboarded {
			names <- fmt.Sprintf("t_%s-%03d", prefix, i)
		}
		close(names)
		g, ctx := errgroup.WithContext(ctx)
		for range parallel {
			g.Go(func() error { return bareWorker(ctx, dsn, names) })
		}
		return g.Wait()
	})
}

func bareWorker(ctx context.Context, dsn string, names <-chan string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for name := range names {
		for _, statements := range bareStatements(name) {
			text := "begin;\n" + strings.Join(statements, ";\n") + ";\ncommit"
			if _, err := conn.PgConn().Exec(ctx, text).ReadAll(); err != nil {
				return err
			}
		}
	}
	return nil
}

// bareStatements are one tenant's, a list for each transaction.
func bareStatements(name string) [][]string {
	role, schema := pgx.Identifier{name}.Sanitize(), pgx.Identifier{name + "_data"}.Sanitize()
	qualified := make([]string, len(tables))
	for i, t := range tables {
		qualified[i] = schema + "." + t
	}
	return [][]string{
		{"create role " + role + " login connection limit 10 password 'a password of this tenant'", "comment on role " + role + " is '" + bareMark + "'"},
		{"create schema " + schema, "set local search_path to " + schema, tablesDDL() + "set local search_path to pg_catalog", "comment on schema " + schema + " is '" + bareMark + "'"},
		{
			"grant usage on schema " + schema + " to " + role,
			"grant delete, insert, select, update on table " + strings.Join(qualified, ", ") + " to " + role,
			"insert into tenure.mark (type, name, note) values ('grant', '" + name + "', '" + bareMark + "')",
		},
	}
}
