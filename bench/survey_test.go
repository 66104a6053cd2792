package main

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/survey"
)

const (
	surveyTenants = 10_000
	surveyWithin  = time.Minute
)

// TestSurvey looks at a PostgreSQL platform of 10,000 tenants that Tenure has never seen: a
// list of customers, a schema and a role for each, 1,000,000 orders and 100,000 users in
// shared tables. The baseline are the bare queries that read the same.
func TestSurvey(t *testing.T) {
	measured(t)
	dsn := postgrestest.Database(t)
	token := postgrestest.Token()
	postgrestest.Exec(t, dsn, fmt.Sprintf(`create table customers (id int primary key, name text, domain text, status text);
insert into customers select i, 'Customer '||i||' Ltd', 'customer'||i||'.example', 'active' from generate_series(1, %[1]d) i;
create table orders (id serial primary key, customer_id int references customers, updated_at timestamptz default now());
insert into orders (customer_id) select (i %% %[1]d) + 1 from generate_series(1, 1000000) i;
create table app_users (id serial primary key, customer_id int references customers, email text, last_login_at timestamptz);
insert into app_users (customer_id, email, last_login_at) select (i %% %[1]d) + 1, 'u'||i||'@customer'||((i %% %[1]d) + 1)||'.example', now() from generate_series(1, 100000) i;
create role survey_%[2]s login password 'look-only-text'; grant pg_read_all_data to survey_%[2]s`, surveyTenants, token))
	t.Cleanup(func() {
		for from := 0; from < surveyTenants; from += 1000 {
			postgrestest.Exec(t, dsn, fmt.Sprintf(`do $$ begin for i in %d..%d loop execute format('drop schema t_customer%%s cascade', i); execute format('drop role c_%s_customer%%s', i); end loop; end $$`, from+1, from+1000, token))
		}
		postgrestest.Exec(t, dsn, "drop owned by survey_"+token+"; drop role survey_"+token)
	})
	for from := 0; from < surveyTenants; from += 1000 { // a transaction has room for so many locks
		postgrestest.Exec(t, dsn, fmt.Sprintf(`do $$ begin for i in %d..%d loop
execute format('create schema t_customer%%s', i); execute format('create role c_%[3]s_customer%%s login', i);
execute format('grant usage on schema t_customer%%1$s to c_%[3]s_customer%%1$s', i); execute format('create table t_customer%%s.docs (id int)', i); end loop; end $$`, from+1, from+1000, token))
	}
	postgrestest.Exec(t, dsn, "analyze")
	reader := postgrestest.As(t, dsn, "survey_"+token, "look-only-text")

	start := time.Now()
	bare(t, reader)
	baseline := time.Since(start)

	start = time.Now()
	ask := survey.Ask{Now: time.Now()}
	seen, err := survey.Look(t.Context(), []survey.Source{{Name: "main-db", Info: postgres.Info(), Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(reader)}}}, ask)
	if err != nil || seen[0].Failed != "" || len(seen[0].Says) > 0 {
		t.Fatalf("error %v, failed %q, not seen: %q", err, seen[0].Failed, seen[0].Says)
	}
	looked := time.Since(start)
	r := survey.Map(seen, ask)
	took := time.Since(start)

	for _, x := range r.Tenants {
		if len(x.Things) < 15 {
			t.Fatalf("%s has %d things, want its entry, schema, table, role, rows of two tables, and ten users", x.Name, len(x.Things))
		}
	}
	if len(r.Tenants) != surveyTenants {
		t.Fatalf("%d tenants, want %d", len(r.Tenants), surveyTenants)
	}
	t.Logf("looked for %s, of which the bare queries take %s; the map took %s", looked.Round(time.Millisecond), baseline.Round(time.Millisecond), (took - looked).Round(time.Millisecond))
	report(t, line{"survey-10000", took.Round(10 * time.Millisecond).String(), baseline.Round(10 * time.Millisecond).String(), fmt.Sprintf("%.1f", took.Seconds()/baseline.Seconds()), surveyWithin.String(), took <= surveyWithin})
	if took > surveyWithin {
		t.Errorf("the survey took %s", took)
	}
}

// bare reads what a survey reads, and drops it.
func bare(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, query := range []string{
		"select nspname::text, nspowner::text, coalesce(nspacl::text, '') from pg_namespace",
		"select c.oid::text, c.relname::text, coalesce(c.relacl::text, '') from pg_class c where c.relkind in ('r', 'p')",
		"select n.nspname::text, sum(pg_total_relation_size(c.oid))::text, '' from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' group by 1",
		"select rolname::text, rolcanlogin::text, coalesce(rolvaliduntil::text, '') from pg_roles",
		"select attrelid::text, attname::text, atttypid::text from pg_attribute where attnum > 0",
		"select id::text, name, domain from customers",
		"select customer_id::text, count(*)::text, max(updated_at)::text from orders group by 1",
		"select customer_id::text, count(*)::text, '' from app_users group by 1",
		"select id::text, email, customer_id::text from app_users",
	} {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		var a, b, c string
		for rows.Next() {
			if err := rows.Scan(&a, &b, &c); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
	}
}
