package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

func kindsOf(all []connector.Remnant) (out []tenure.RemnantKind) {
	for _, r := range all {
		out = append(out, r.Kind)
	}
	return out
}

// onDisk says whether a relation's file has a text, read by the server once it is written.
func (w *world) onDisk(t *testing.T, relation, text string) bool {
	t.Helper()
	postgrestest.Exec(t, w.dsn, "checkpoint")
	return postgrestest.Value[bool](t, w.dsn, "select position(convert_to("+literal(text)+", 'UTF8') in pg_read_binary_file(pg_relation_filepath("+literal(relation)+"))) > 0")
}

// What an erasure leaves in the files of shared tables is said, and goes by the steps that
// are for it: index entries by vacuum, bytes of rows by vacuum full.
func TestRemnants(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, `create schema s; create table s.people (id int primary key, tenant text, name text); create index by_name on s.people (name);
create table s.parted (tenant text, name text) partition by list (tenant); create table s.parted_a partition of s.parted for values in ('a'); create table s.parted_rest partition of s.parted default`)
	own := desired("rows", "a", map[string]any{"schema": "s", "column": "tenant", "key": "a", "tables": map[string]any{"people": "data", "parted": "data"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	const token = "Remnant Of A Person"
	postgrestest.Exec(t, w.dsn, `insert into s.people select i, case when i % 3 = 0 then 'b' else 'a' end, case when i % 3 = 0 then 'neighbour ' else '`+token+` ' end || i from generate_series(1, 60) i;
insert into s.parted select 'a', '`+token+`' from generate_series(1, 10); insert into s.parted select 'b', 'neighbour' from generate_series(1, 10); alter table s.people set (autovacuum_enabled = false); analyze`)
	refs := []connector.Ref{own.Ref}
	reader, err := pgx.Connect(t.Context(), w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.WithoutCancel(t.Context()))
	if _, err := reader.Exec(t.Context(), "set application_name = 'nightly report'; begin isolation level repeatable read; select count(*) from s.people"); err != nil {
		t.Fatal(err)
	}
	if _, err := eraseAll(t, d, own.Ref, 7); err != nil {
		t.Fatal(err)
	}
	if !w.onDisk(t, "s.people", token) || !w.onDisk(t, "s.by_name", token) {
		t.Fatal("nothing was left to clean")
	}
	if _, err := d.Clean(t.Context(), refs, tenure.RemnantRows); tenure.CodeOf(err) != tenure.Unavailable || !strings.Contains(err.Error(), "nightly report") {
		t.Errorf("an older transaction still sees the rows: %v", err)
	}
	if _, err := reader.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Clean(t.Context(), refs, tenure.RemnantRows); err != nil {
		t.Fatal(err)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from pg_stat_all_tables where schemaname = 's' and n_dead_tup > 0"); n != 0 {
		t.Errorf("%d tables have dead rows after vacuum", n)
	}
	seen, err := d.Remnants(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	kinds := kindsOf(seen)
	for _, want := range []tenure.RemnantKind{tenure.RemnantSpace, tenure.RemnantLog, tenure.RemnantQueries, tenure.RemnantSnapshots} {
		if !slices.Contains(kinds, want) {
			t.Errorf("of %s nothing is said: %v", want, kinds)
		}
	}
	if slices.Contains(kinds, tenure.RemnantRows) {
		t.Errorf("dead rows are said to be there after vacuum: %+v", seen)
	}
	if _, err := d.Clean(t.Context(), refs, tenure.RemnantSpace); err != nil {
		t.Fatal(err)
	}
	for _, relation := range []string{"s.people", "s.by_name", "s.parted_a"} {
		if w.onDisk(t, relation, token) {
			t.Errorf("%s has bytes of a deleted row after vacuum full", relation)
		}
	}
	if _, err := d.Clean(t.Context(), refs, tenure.RemnantStatistics); err != nil {
		t.Fatal(err)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from pg_statistic where starelid in ('s.people'::regclass, 's.parted'::regclass, 's.parted_a'::regclass) and (stavalues1::text like '%"+token+"%' or stavalues2::text like '%"+token+"%')"); n != 0 {
		t.Errorf("%d statistics keep values", n)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from s.people where tenant = 'b'"); n != 20 {
		t.Errorf("the neighbour has %d rows", n)
	}
	if _, err := d.Clean(t.Context(), refs, tenure.RemnantLog); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("the log is cleaned: %v", err)
	}
}

// A follower that is away, an archive and a log of statements are said.
func TestRemnantsOfTheServer(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	slot := "slot_" + w.token
	postgrestest.Exec(t, w.dsn, "select pg_create_physical_replication_slot("+literal(slot)+", true)")
	t.Cleanup(func() { postgrestest.Exec(t, w.dsn, "select pg_drop_replication_slot("+literal(slot)+")") })
	seen, err := d.Remnants(t.Context(), []connector.Ref{desired("schema", "own", nil).Ref})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(seen, func(r connector.Remnant) bool { return r.Kind == tenure.RemnantReplicas })
	if i < 0 || !strings.Contains(seen[i].Says, "replication slot") {
		t.Errorf("a slot that nobody reads: %+v", seen)
	}
	if kinds := kindsOf(seen); slices.Contains(kinds, tenure.RemnantRows) || !slices.Contains(kinds, tenure.RemnantSpace) {
		t.Errorf("of a schema that was dropped: %v", kinds)
	}
}

// A table that others own is named: the server would leave it out with a warning.
func TestCleanOfOthersTables(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	w.least(t)
	d := w.driver(t, w.proxy.DSN)
	if _, err := d.Plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := w.token + "_other"
	postgrestest.Exec(t, w.dsn, "create role "+quote(other)+"; create schema s; grant usage on schema s to "+quote(w.platform)+"; create table s.notes (tenant text); alter table s.notes owner to "+quote(other))
	t.Cleanup(func() { postgrestest.Exec(t, w.dsn, "drop table if exists s.notes; drop role "+quote(other)) })
	ref := desired("rows", "a", map[string]any{"schema": "s", "column": "tenant", "key": "a", "tables": map[string]any{"notes": "data"}}).Ref
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := d.Clean(ctx, []connector.Ref{ref}, tenure.RemnantRows); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "notes of "+other) {
		t.Errorf("a table of another role's: %v", err)
	}
}
