package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/mysql"
)

// mariadbOnboardBench is onboardBench on MariaDB: a user, a database with its tables and
// a grant for each tenant.
func mariadbOnboardBench(ctx context.Context, e *env) ([]line, error) {
	if e.maria == "" {
		return nil, nil
	}
	db, err := openMariaDB(e.maria)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	runs := 3
	if e.quick {
		runs = 1
	}
	quiet := mysql.Info()
	quiet.Probes = nil
	ways := []func(context.Context, *sql.DB, string) (time.Duration, error){
		bareMariaDBOnboarding,
		func(ctx context.Context, _ *sql.DB, prefix string) (time.Duration, error) {
			return tenureMariaDBOnboarding(ctx, e, prefix, quiet)
		},
	}
	took, used := make([][]time.Duration, len(ways)), make([][]time.Duration, len(ways))
	for run := range runs {
		for i := range ways {
			n := (i + run) % len(ways)
			began := cpu() + mariadbCPU(ctx, db)
			d, err := onboardMariaDBOnce(ctx, db, fmt.Sprintf("m%d%d", run, n), ways[n])
			if err != nil {
				return nil, err
			}
			took[n], used[n] = append(took[n], d), append(used[n], cpu()+mariadbCPU(ctx, db)-began)
		}
	}
	bare, ours := median(took[0]), median(took[1])
	ratio := ours.Seconds() / bare.Seconds()
	fmt.Printf("onboarding %d tenants on MariaDB, %d in parallel: bare %s, tenure %s\n", onboarded, parallel, round(bare), round(ours))
	fmt.Printf("  processor time, program and server, with what the run took back: bare %s, tenure %s\n", round(median(used[0])), round(median(used[1])))
	return []line{{"mariadb-onboard", round(ours), round(bare), times(ratio), "<=1.25x", ratio <= 1.25}}, nil
}

// mariadbCPU is the processor time of the server; 0 if it runs elsewhere or the system
// can't say (Linux, proc(5)).
func mariadbCPU(ctx context.Context, db *sql.DB) time.Duration {
	var file string
	if err := db.QueryRowContext(ctx, "select @@pid_file").Scan(&file); err != nil {
		return 0
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	var ticks int64
	if s := statOf(pid); len(s) >= 13 {
		for _, field := range s[11:13] { // utime, stime
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// onboardMariaDBOnce is one run, judged by what the catalog shows and taken back.
func onboardMariaDBOnce(ctx context.Context, db *sql.DB, prefix string, way func(context.Context, *sql.DB, string) (time.Duration, error)) (time.Duration, error) {
	took, err := way(ctx, db, prefix)
	if err != nil {
		return 0, err
	}
	for what, query := range map[string]string{
		"tables":               "select count(*) / 12 from information_schema.tables where table_schema like 't\\_" + prefix + "-%'",
		"users with rights":    "select count(*) from mysql.db where user like 't\\_" + prefix + "-%' and insert_priv = 'Y' and delete_priv = 'Y'",
		"marks of three kinds": "select count(*) / 3 from tenure.mark where name like '%t\\_" + prefix + "-%'",
	} {
		var n float64
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil || n != onboarded {
			return 0, fmt.Errorf("%v tenants have %s, not %d: %w", n, what, onboarded, err)
		}
	}
	return took, dropMariaDB(ctx, db, prefix)
}

// dropMariaDB drops what a run made.
func dropMariaDB(ctx context.Context, db *sql.DB, prefix string) error {
	names, err := stringsOf(ctx, db, "select concat('drop database \"', schema_name, '\"') from information_schema.schemata where schema_name like 't\\_"+prefix+"-%' or schema_name in ('tenure', 'tenure_sentinel')")
	if err != nil {
		return err
	}
	users, err := stringsOf(ctx, db, "select concat('drop user ', quote(user), '@', quote(host)) from mysql.global_priv where user like 't\\_"+prefix+"-%' or user like 't\\_own\\_%'")
	for _, statement := range append([]string{"set foreign_key_checks = 0"}, append(names, users...)...) {
		if err == nil {
			_, err = db.ExecContext(ctx, statement)
		}
	}
	return err
}

func stringsOf(ctx context.Context, db *sql.DB, query string) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// mariadbDDL makes the tables as tablesDDL does.
func mariadbDDL() string {
	bodies := []string{
		"name text not null, country varchar(10) not null default 'DE'",
		"customer_id bigint not null, email text not null, phone text, foreign key (customer_id) references customers (id)",
		"sku varchar(100) not null unique, title text not null",
		"product_id bigint not null, cents bigint not null check (cents >= 0), since date not null, foreign key (product_id) references products (id)",
		"customer_id bigint, placed_at timestamp not null default now(), foreign key (customer_id) references customers (id) on delete set null",
		"order_id bigint not null, product_id bigint, quantity integer not null, foreign key (order_id) references orders (id), foreign key (product_id) references products (id) on delete set null",
		"order_id bigint, issued date not null, due date not null, foreign key (order_id) references orders (id) on delete set null",
		"invoice_id bigint not null, title text not null, cents bigint not null, foreign key (invoice_id) references invoices (id)",
		"invoice_id bigint not null, cents bigint not null, paid_at datetime not null, foreign key (invoice_id) references invoices (id)",
		"order_id bigint not null, carrier text not null, shipped_at datetime, foreign key (order_id) references orders (id)",
		"customer_id bigint, subject text not null, open boolean not null default true, foreign key (customer_id) references customers (id) on delete set null",
		"ticket_id bigint not null, body text not null, written_at timestamp not null default now(), foreign key (ticket_id) references tickets (id)",
	}
	var b strings.Builder
	for i, t := range tables {
		fmt.Fprintf(&b, "create table if not exists %s (id bigint auto_increment primary key, %s);\n", t, bodies[i])
	}
	return b.String()
}

// bareMariaDBOnboarding issues the statements that make the tenants, over a connection for
// each worker, with an owner mark for each thing.
func bareMariaDBOnboarding(ctx context.Context, db *sql.DB, prefix string) (time.Duration, error) {
	if _, err := db.ExecContext(ctx, "create database tenure; create table tenure.mark (type varchar(40), name varchar(250), note text not null, primary key (type, name))"); err != nil {
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
			g.Go(func() error {
				conn, err := db.Conn(ctx)
				if err != nil {
					return err
				}
				defer conn.Close()
				for name := range names {
					for _, statements := range bareMariaDBStatements(name) {
						if _, err := conn.ExecContext(ctx, strings.Join(statements, ";\n")); err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
		return g.Wait()
	})
}

// bareMariaDBStatements are one tenant's, in trips.
func bareMariaDBStatements(name string) [][]string {
	user, database := "'"+name+"'@'%'", `"`+name+`"`
	mark := func(typ string) string {
		return "insert into tenure.mark (type, name, note) values ('" + typ + "', '" + name + "', '" + bareMark + "')"
	}
	return [][]string{
		{mark("user"), "create user " + user + " identified by 'a password of this tenant' with max_user_connections 10"},
		{mark("database"), "create database " + database + " character set utf8mb4", "use " + database, strings.TrimSuffix(strings.TrimSpace(mariadbDDL()), ";")},
		{mark("grant"), `grant delete, insert, select, update on "` + strings.ReplaceAll(name, "_", `\_`) + `".* to ` + user},
	}
}

// tenureMariaDBOnboarding takes the tenants through the product's own door.
func tenureMariaDBOnboarding(ctx context.Context, e *env, prefix string, info connector.Info) (time.Duration, error) {
	dir := filepath.Join(e.dir, "onboard-"+prefix)
	defer os.RemoveAll(dir)
	inst, err := installOn(ctx, dir, "mysql", e.maria, []connector.Info{info})
	if err != nil {
		return 0, err
	}
	defer inst.Close()
	return onboardings(ctx, inst, prefix, mariadbBlueprint())
}

func mariadbBlueprint() string {
	ddl := "        " + strings.ReplaceAll(strings.TrimSpace(mariadbDDL()), "\n", "\n        ")
	return `apiVersion: tenure.dev/v1
kind: Blueprint
name: bench
version: "1"
environments:
  - {name: prod, kind: production}
systems:
  main-db: {connector: mysql}
dataClasses:
  business:
    disposition: purge
    retention:
      - {name: retrieval, kind: keep_until, period: P30D, from: termination}
resources:
  - key: user
    system: main-db
    type: user
    name: t_${tenant.name}
    attributes: {connectionLimit: 10}
  - key: database
    system: main-db
    type: database
    name: t_${tenant.name}
    data: [business]
    attributes:
      tables: {` + strings.Join(tables, ": business, ") + `: business}
      ddl: |
` + ddl + `
  - key: use
    system: main-db
    type: grant
    name: ${resources.user.name} on its database
    attributes:
      to: ${resources.user.name}
      database: ${resources.database.name}
      privileges: [select, insert, update, delete]
failure: park
approvals: {onboard: 0, offboard: 1}
offboarding: {grace: PT0S, retrieval: P30D, quarantine: P14D}
`
}
