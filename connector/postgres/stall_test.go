package postgres

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// Jobs that would take what is held are made inactive and come back, unless somebody changed
// them; what can't be suspended is said. Stand-ins: the tables of pg_cron and pg_partman are
// there as those extensions make them, and nothing runs their jobs.
func TestJobsAreSuspendedForAHold(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, `create schema s; create table s.customers (id int primary key, tenant text); create table s.calls (id int primary key, tenant text, customer int references s.customers on delete cascade); create table s.visits (id int, tenant text); create table s.others (id int);
create schema cron; create table cron.job (jobid bigserial primary key, schedule text not null, command text not null, nodename text not null default 'localhost', nodeport int not null default 5432, database text not null default current_database(), username text not null default current_user, active bool not null default true, jobname text);
create schema partman; create table partman.part_config (parent_table text primary key, retention text);
insert into partman.part_config values ('s.calls', '12 months'), ('s.others', '1 month'), ('s.visits', null);
insert into cron.job (schedule, command, jobname) values ('@daily', 'delete from s.calls where id < 0', 'calls'), ('@daily', 'DELETE FROM s.customers', 'customers'), ('@daily', 'delete from s.visits', 'visits'), ('@daily', 'select count(*) from s.others', 'look'), ('@daily', 'call tidy_up()', 'tidy'), ('@daily', 'delete from s.others', 'others')`)
	own := desired("rows", "a", map[string]any{"schema": "s", "column": "tenant", "key": "a", "tables": map[string]any{"customers": "data", "calls": "data", "visits": "data"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	active := func() string {
		return strings.Join(strs(t, connect(t, w.dsn), "select jobname from cron.job where active order by jobid"), " ")
	}
	keep := []connector.Kept{{Hold: "hld_1", Table: "calls", Rows: []tenure.RowCondition{{Column: "id", Operator: "=", Value: []byte("1")}}}}
	got := connectortest.StallAll(t, d, own.Ref, keep)
	var says []string
	for _, one := range got {
		says = append(says, one.Rule)
		if one.Suspended == (one.Is == "") || one.Says == "" {
			t.Errorf("%+v", one)
		}
	}
	if all := strings.Join(says, ", "); all != "pg_cron job 1, pg_cron job 2, pg_cron job 5, pg_partman retention of s.calls" {
		t.Errorf("it names %s", all)
	}
	if a := active(); a != "visits look tidy others" {
		t.Errorf("active are %s", a)
	}
	postgrestest.Exec(t, w.dsn, "update cron.job set schedule = '@hourly' where jobid = 2")
	for _, one := range got {
		if !one.Suspended {
			continue
		}
		if err := d.Unstall(t.Context(), own.Ref, one); (tenure.CodeOf(err) == tenure.Conflict) != (one.Rule == "pg_cron job 2") || err != nil && tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("%s: %v", one.Rule, err)
		}
	}
	if a := active(); a != "calls visits look tidy others" {
		t.Errorf("active are %s", a)
	}
	// One that a tenant could have made, with a trigger of its own on it, isn't touched.
	other := w.token + "_tenant"
	postgrestest.Exec(t, w.dsn, "create role "+quote(other)+"; alter table cron.job owner to "+quote(other))
	t.Cleanup(func() {
		postgrestest.Exec(t, w.dsn, "alter table cron.job owner to current_user; drop role "+quote(other))
	})
	connectortest.StallAll(t, d, own.Ref, nil)
	if a := active(); a != "calls visits look tidy others" {
		t.Errorf("jobs in a table that a tenant owns: active are %s", a)
	}
	postgrestest.Exec(t, w.dsn, "alter table cron.job owner to current_user")
	connectortest.StallAll(t, d, own.Ref, nil)
	if a := active(); a != "look tidy others" {
		t.Errorf("with a hold on all of it active are %s", a)
	}
}
