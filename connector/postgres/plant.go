package postgres

import (
	"context"

	"github.com/tenurehq/tenure"
)

// plantSQL sets up what Tenure keeps in a database: the schema tenure with the
// sentinel, the notes and what erasures took, closed to everybody else; the schema
// tenure_sentinel, the neighbour that isolation probes try to read; and tenure_shared.
const plantSQL = `
create schema if not exists tenure;
revoke all on schema tenure from public;
create table if not exists tenure.sentinel (id int primary key, token text not null);
create table if not exists tenure.mark (
	type text collate "C" not null, name text collate "C" not null, note text not null,
	constraint mark_pk primary key (type, name));
` + marksSQL + `;
comment on schema tenure is 'kept by Tenure: its sentinel, and owner marks';
insert into tenure.sentinel (id, token) values (1, md5(random()::text || clock_timestamp()::text)) on conflict do nothing;
create schema if not exists tenure_sentinel;
revoke all on schema tenure_sentinel from public;
create table if not exists tenure_sentinel.canary (id int primary key);
revoke all on table tenure_sentinel.canary from public;
insert into tenure_sentinel.canary (id) values (1) on conflict do nothing;
comment on schema tenure_sentinel is 'kept by Tenure: a neighbour that no tenant may read';` + sharedSQL

// keptSchema says whether a schema is one of Tenure's.
func keptSchema(name string) bool {
	return name == "tenure" || name == "tenure_sentinel" || name == "tenure_shared"
}

// marksSQL brings the table of notes of an older build up to this one: what a note is
// on is told by its identity, too.
const marksSQL = `alter table tenure.mark add column if not exists site text, add column if not exists object oid;
create index if not exists mark_on on tenure.mark (type, ` + placeSQL + `);
create index if not exists mark_by on tenure.mark (type, (` + bySQL + `));
create unique index if not exists mark_object on tenure.mark (type, site, object)`

// renew makes what this build keeps beside the notes, where an older one planted them.
func (s *session) renew(ctx context.Context) error {
	due, err := textsOf(ctx, s, `select 'yes' where to_regclass('tenure.mark') is not null and (to_regclass('tenure_shared.own_key') is null
 or not exists (select 1 from pg_attribute where attrelid = to_regclass('tenure.mark') and attname = 'object'))`)
	if err != nil || len(due) == 0 {
		return err
	}
	if err := unowned(ctx, s); err != nil {
		return err
	}
	return s.make(ctx, []string{marksSQL + ";" + sharedSQL, closeSQL, ownKeySQL})
}

// closeSQL closes what Tenure keeps to everybody else.
const closeSQL = "revoke all on all tables in schema tenure from public"

// turnSQL lets one transaction after the other change rights, of which the server keeps
// one list for each object. Nobody else can hold this lock, as anybody could an advisory one.
const turnSQL = "select 1 from tenure.sentinel where id = 1 for update"

// make runs statements that make what isn't there. Another session may do so at the
// same time; then it is there at the next try.
func (s *session) make(ctx context.Context, statements []string) (err error) {
	for range 5 {
		err = s.run(ctx, statements, "", nil)
		switch state(err) {
		case "23505", "42P06", "42P07", "42710", "42723", "40001", "XX000": // the last is a tuple that was updated meanwhile
			continue
		}
		return err
	}
	return err
}

// Plant is described at connector.Driver.
func (d *Driver) Plant(ctx context.Context) (string, error) {
	var fingerprint string
	err := d.with(ctx, func(s *session) error {
		g, err := s.sight(ctx, false)
		if err != nil {
			return err
		}
		if err := s.simple(ctx, "commit", nil); err != nil {
			return err
		}
		if !g.Complete && standby(ctx, s) {
			return tenure.Errorf(tenure.Blocked, "the endpoint is a read-only standby").WithHint("use the primary's")
		}
		fingerprint = g.Fingerprint
		if err := unowned(ctx, s); err != nil {
			return err
		}
		return s.make(ctx, append(append([]string{plantSQL}, kept.DDL()...), tellSQL, closeSQL, ifSQL("to_regclass('tenure_shared.own_key') is null", ownKeySQL)))
	})
	return fingerprint, coded(err)
}

// unowned is Conflict if somebody has made a schema of Tenure's name before, who
// could write the marks then.
func unowned(ctx context.Context, s *session) error {
	owner := ""
	err := s.simple(ctx, `select r.rolname from pg_namespace n join pg_roles r on r.oid = n.nspowner where n.nspname in ('tenure', 'tenure_sentinel', 'tenure_shared')
 and not r.rolsuper and r.rolname <> current_user and r.oid <> (select datdba from pg_database where datname = current_database())`, func(_ int, v [][]byte) error {
		owner = string(v[0])
		return nil
	})
	if err == nil && owner != "" {
		err = tenure.Errorf(tenure.Conflict, "there is a schema of Tenure's name already, and it belongs to role %q", owner).
			WithHint("give it to Tenure's own role, or drop it: alter schema tenure owner to …")
	}
	return err
}

func standby(ctx context.Context, s *session) bool {
	is := false
	_ = s.simple(ctx, "select pg_is_in_recovery()::text", func(_ int, v [][]byte) error {
		is = string(v[0]) == "true"
		return nil
	})
	return is
}
