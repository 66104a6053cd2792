package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgStates are states in PostgreSQL, as Terraform's pg backend keeps them. The notes stand
// in tables beside its own.
type pgStates struct {
	conn       *pgx.Conn
	connection string
	schema     string
}

func openPG(ctx context.Context, q request) (states, error) {
	s := &pgStates{connection: q.Secrets["connection"], schema: q.Options["schema"]}
	if s.connection == "" {
		return nil, refuse("invalid", "the pg backend needs the secret connection")
	}
	c, err := pgx.ParseConfig(s.connection)
	if err != nil {
		return nil, refuse("invalid", "the connection string can't be read")
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 15 * time.Second
	}
	c.RuntimeParams["search_path"] = "pg_catalog"
	c.RuntimeParams["application_name"] = "tenure-connector-tofu"
	if s.conn, err = pgx.ConnectConfig(ctx, c); err != nil {
		return nil, pgRefusal("the states", err)
	}
	return s, nil
}

func (s *pgStates) close() { _ = s.conn.Close(context.Background()) }

// pgRefusal is what PostgreSQL said, as Tenure is told.
func pgRefusal(what string, err error) error {
	var said *pgconn.PgError
	switch {
	case !errors.As(err, &said):
		return refuse("unavailable", "%s: PostgreSQL can't be reached", what).retry()
	case said.Code == "42501":
		return refuse("forbidden", "%s: PostgreSQL: %s", what, said.Message)
	case strings.HasPrefix(said.Code, "22"), strings.HasPrefix(said.Code, "42"):
		return refuse("internal", "%s: PostgreSQL: %s", what, said.Message)
	}
	return refuse("unavailable", "%s: PostgreSQL: %s", what, said.Message).retry()
}

func (s *pgStates) table(name string) string { return pgx.Identifier{s.schema, name}.Sanitize() }

func (s *pgStates) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := s.conn.Exec(ctx, sql, args...)
	if err != nil {
		return 0, pgRefusal("the notes", err)
	}
	return tag.RowsAffected(), nil
}

func (s *pgStates) plant(ctx context.Context) error {
	_, err := s.exec(ctx, strings.NewReplacer("SCHEMA", pgx.Identifier{s.schema}.Sanitize()).Replace(`
create schema if not exists SCHEMA;
create table if not exists SCHEMA.tenure_system (id text not null);
create table if not exists SCHEMA.tenure_workspace (name text collate "C" primary key, mark text not null, lineage text not null, digest text not null, config text not null, pending text not null, ending boolean not null);
create table if not exists SCHEMA.tenure_module (digest text primary key, archive bytea not null);
`))
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "insert into "+s.table("tenure_system")+" select $1 where not exists (select from "+s.table("tenure_system")+")", rand.Text())
	return err
}

func (s *pgStates) look(ctx context.Context, names []string, yield func(workspace) error) (g sighting, err error) {
	tx, err := s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return g, pgRefusal("the states", err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	var cluster, database, id string
	var replica, planted, kept bool
	err = tx.QueryRow(ctx, "select (select system_identifier::text from pg_control_system()), oid::text, pg_is_in_recovery(), to_regclass($1) is not null and to_regclass($2) is not null, to_regclass($3) is not null from pg_database where datname = current_database()",
		s.table("tenure_system"), s.table("tenure_workspace"), s.table("states")).Scan(&cluster, &database, &replica, &planted, &kept)
	if err == nil && planted {
		err = tx.QueryRow(ctx, "select coalesce((select id from "+s.table("tenure_system")+" limit 1), '')").Scan(&id)
	}
	if err == nil && kept {
		err = tx.QueryRow(ctx, "select exists (select from "+s.table("states")+" where name = $1)", sentinel).Scan(&g.Sentinel)
	}
	if err != nil {
		return g, pgRefusal("the states", err)
	}
	g.Fingerprint = fmt.Sprintf("tofu pg %s:%s %s %s", cluster, database, s.schema, cmp.Or(id, "without an identity"))
	g.Sentinel, g.Complete = g.Sentinel && id != "", !replica
	if !planted && !kept || len(names) == 0 && names != nil {
		for _, name := range names {
			if err := yield(workspace{name: name}); err != nil {
				return g, err
			}
		}
		return g, nil
	}
	notes, found := "(select null::text as name, '' as mark, '' as lineage, '' as digest, '' as config, '' as pending, false as ending where false)", "(select null::text as name, ''::text as data where false)"
	if planted {
		notes = s.table("tenure_workspace")
	}
	if kept {
		found = s.table("states")
	}
	rows, err := tx.Query(ctx, `select coalesce(n.name, s.name) collate "C", s.data, n.name is not null, coalesce(n.mark, ''), coalesce(n.lineage, ''), coalesce(n.digest, ''), coalesce(n.config, ''), coalesce(n.pending, ''), coalesce(n.ending, false)
from `+notes+` n full join `+found+` s on s.name = n.name where $1::text[] is null or coalesce(n.name, s.name) = any($1) order by 1`, names)
	if err != nil {
		return g, pgRefusal("the states", err)
	}
	defer rows.Close()
	seen := map[string]bool{}
	for rows.Next() {
		var data *string
		var noted bool
		var n note
		if err := rows.Scan(&n.Name, &data, &noted, &n.Mark, &n.Lineage, &n.Digest, &n.Config, &n.Pending, &n.Ending); err != nil {
			return g, pgRefusal("the states", err)
		}
		w := workspace{name: n.Name}
		if noted {
			w.note = &n
		}
		if data != nil {
			if w.state, err = readState([]byte(*data)); err != nil {
				return g, refuse("blocked", "the state of workspace %s can't be read", n.Name).hint("look at it: terraform state pull")
			}
		}
		seen[n.Name] = true
		if err := yield(w); err != nil {
			return g, err
		}
	}
	if rows.Err() != nil {
		return g, pgRefusal("the states", rows.Err())
	}
	for _, name := range names {
		if !seen[name] {
			if err := yield(workspace{name: name}); err != nil {
				return g, err
			}
		}
	}
	return g, nil
}

func (s *pgStates) note(ctx context.Context, n note, bears string) error {
	done, err := s.exec(ctx, "insert into "+s.table("tenure_workspace")+" as n (name, mark, lineage, digest, config, pending, ending) values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do update set mark = excluded.mark, lineage = excluded.lineage, digest = excluded.digest, config = excluded.config, pending = excluded.pending, ending = excluded.ending where n.mark = $8 or n.mark = excluded.mark",
		n.Name, n.Mark, n.Lineage, n.Digest, n.Config, n.Pending, n.Ending, bears)
	if err == nil && done == 0 {
		err = refuse("conflict", "workspace %s has become somebody else's", n.Name)
	}
	return err
}

func (s *pgStates) forget(ctx context.Context, name string) error {
	if _, err := s.exec(ctx, "delete from "+s.table("tenure_workspace")+" where name = $1", name); err != nil {
		return err
	}
	_, err := s.exec(ctx, "delete from "+s.table("tenure_module")+" m where not exists (select from "+s.table("tenure_workspace")+" n where n.digest = m.digest)")
	return err
}

func (s *pgStates) keep(ctx context.Context, digest string, archive []byte) error {
	_, err := s.exec(ctx, "insert into "+s.table("tenure_module")+" values ($1, $2) on conflict do nothing", digest, archive)
	return err
}

func (s *pgStates) archive(ctx context.Context, digest string) (raw []byte, err error) {
	err = s.conn.QueryRow(ctx, "select archive from "+s.table("tenure_module")+" where digest = $1", digest).Scan(&raw)
	var said *pgconn.PgError
	if errors.Is(err, pgx.ErrNoRows) || errors.As(err, &said) && said.Code == "42P01" {
		return nil, nil
	}
	if err != nil {
		return nil, pgRefusal("the modules", err)
	}
	return raw, nil
}

func (s *pgStates) begin(ctx context.Context, n note, bears string) error {
	return pgx.BeginFunc(ctx, s.conn, func(pgx.Tx) error {
		if err := s.note(ctx, n, bears); err != nil {
			return err
		}
		done, err := s.exec(ctx, "insert into "+s.table("states")+" (name, data) values ($1, $2) on conflict do nothing", n.Name, string(stateOf(n.Lineage)))
		if err == nil && done == 0 {
			err = refuse("conflict", "workspace %s was made by somebody else meanwhile", n.Name)
		}
		return err
	})
}

// holder asks PostgreSQL: the backend locks with an advisory lock that ends with the session,
// so that no lock outlives who took it.
func (s *pgStates) holder(ctx context.Context, name string) (who, hint string) {
	err := s.conn.QueryRow(ctx, `select 'role ' || coalesce(a.usename, '?') || ' from ' || coalesce(host(a.client_addr), 'this machine') || ' since ' || to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
 'its lock ends with its connection; where nothing is at work there any more: select pg_terminate_backend(' || l.pid || ')'
from pg_locks l join pg_stat_activity a using (pid) join `+s.table("states")+` s on s.id = (l.classid::bigint << 32 | l.objid::bigint)
where l.locktype = 'advisory' and l.granted and s.name = $1 limit 1`, name).Scan(&who, &hint)
	if err != nil {
		return "somebody who is gone meanwhile", ""
	}
	return who, hint
}

func (s *pgStates) backend() (string, map[string]string, map[string]string) {
	return "pg", map[string]string{"schema_name": s.schema}, map[string]string{"PG_CONN_STR": s.connection}
}
