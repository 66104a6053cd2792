package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Remnanter = (*Driver)(nil)
	_ connector.Cleaner   = (*Driver)(nil)
)

// remnants are what PostgreSQL physically keeps (PostgreSQL §25.1, §30, §52.51).
var remnants = []connector.RemnantInfo{
	{Kind: tenure.RemnantRows, Help: "versions of deleted rows in shared tables and their indexes; vacuum takes them once no older transaction, prepared transaction or slot could see them", Clean: "`vacuum` on the shared tables, indexes included, once no older transaction is left"},
	{Kind: tenure.RemnantSpace, Help: "bytes of deleted rows in free space of the tables' files, until it is used again; and the blocks of files that were removed, until the file system uses them again", Clean: "`vacuum full` on the shared tables, which locks each of them while it is written anew; blocks of the old files stay"},
	{Kind: tenure.RemnantLog, Help: "the write-ahead log, in segments that checkpoints recycle; slots and `wal_keep_size` keep them longer"},
	{Kind: tenure.RemnantArchive, Help: "copies of the write-ahead log, where `archive_mode` is on. The server doesn't know how long they are kept"},
	{Kind: tenure.RemnantReplicas, Help: "servers and slots that follow this one, and what each hasn't taken in yet"},
	{Kind: tenure.RemnantStatistics, Help: "common values and bounds of columns, as of the last `analyze`. The end of each erasure makes them anew", Clean: "`analyze` on the shared tables"},
	{Kind: tenure.RemnantQueries, Help: "statements and values in the server's log, by `log_statement`, `log_min_duration_statement` and `log_min_error_statement`; texts of statements in `pg_stat_statements`"},
	{Kind: tenure.RemnantTemporary, Help: "files of sorts and hashes that are under way; a restart removes what a crash has left"},
	{Kind: tenure.RemnantSnapshots, Help: "copies of the server's disks, and base backups. The server can't see them"},
}

// sharedTables are the shared tables that there are of those which refs cover.
func sharedTables(ctx context.Context, s *session, refs []connector.Ref) (out []relational.TableName, err error) {
	names := relational.SharedPairs(refs, "public", literal)
	if names == "" {
		return nil, nil
	}
	err = s.simple(ctx, "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and (n.nspname, c.relname) in ("+names+") order by 1, 2", func(_ int, v [][]byte) error {
		out = append(out, relational.TableName{Schema: string(v[0]), Name: string(v[1])})
		return nil
	})
	return out, err
}

// treeOf is a query of the tables with their partitions and heirs.
func treeOf(tables []relational.TableName) string {
	var names []string
	for _, n := range tables {
		names = append(names, literal(quote(n.Schema, n.Name))+"::regclass::oid")
	}
	return "with recursive t (oid) as (select unnest(array[" + strings.Join(names, ", ") + "]::oid[]) union select h.inhrelid from t join pg_inherits h on h.inhparent = t.oid) "
}

// remnantsSQL is what the whole server keeps. A setting or a function that the role may not
// see is null.
const remnantsSQL = `select current_setting('archive_mode'), current_setting('log_statement'), current_setting('log_min_duration_statement'), current_setting('log_min_error_statement'),
 (select count(*) from pg_extension where extname = 'pg_stat_statements')::text,
 (select count(*) from pg_stat_replication)::text, (select count(*) from pg_stat_replication where replay_lsn is null or replay_lsn < pg_current_wal_lsn())::text,
 (select count(*) from pg_replication_slots)::text, (select count(*) from pg_replication_slots where not active)::text,
 current_setting('max_wal_size'), current_setting('autovacuum'),
 {{files}}`

// filesSQL is what of it monitors alone may see; the server refuses the whole statement to others.
const filesSQL = `(select count(*)::text || ' ' || coalesce(sum(size), 0)::text from pg_ls_waldir()), (select count(*)::text from pg_ls_tmpdir())`

// Remnants is described at connector.Remnanter.
func (d *Driver) Remnants(ctx context.Context, refs []connector.Ref) (out []connector.Remnant, err error) {
	add := func(kind tenure.RemnantKind, bytes int64, format string, args ...any) {
		out = append(out, connector.Remnant{Kind: kind, Bytes: bytes, Says: fmt.Sprintf(format, args...)})
	}
	err = d.with(ctx, func(s *session) error {
		out = nil
		tables, err := sharedTables(ctx, s, refs)
		if err != nil {
			return err
		}
		if len(tables) > 0 {
			if err := sharedRemnants(ctx, s, tables, &out); err != nil {
				return err
			}
		}
		if slices.ContainsFunc(refs, func(r connector.Ref) bool { return r.Type == "database" || r.Type == "schema" }) {
			add(tenure.RemnantSpace, 0, "the blocks of dropped tables' files aren't written over until the file system uses them again")
		}
		monitors, err := textsOf(ctx, s, "select (pg_has_role('pg_monitor', 'usage') or rolsuper)::text from pg_roles where rolname = current_user")
		if err != nil {
			return err
		}
		files := "null, null"
		if monitors[0] == "true" {
			files = filesSQL
		}
		return s.simple(ctx, strings.Replace(remnantsSQL, "{{files}}", files, 1), func(_ int, v [][]byte) error {
			t := make([]string, len(v))
			for i := range v {
				t[i] = string(v[i])
			}
			segments, size, seen := strings.Cut(t[11], " ")
			bytes, _ := strconv.ParseInt(size, 10, 64)
			says := "the write-ahead log may hold deleted rows"
			if seen {
				says = "the write-ahead log, " + segments + " segments now, may hold deleted rows"
			}
			add(tenure.RemnantLog, bytes, "%s; checkpoints recycle it (max_wal_size = %s)", says, t[9])
			if t[0] != "off" {
				add(tenure.RemnantArchive, 0, "the write-ahead log is archived (archive_mode = %s); the server doesn't know for how long", t[0])
			}
			if t[5] != "0" || t[7] != "0" {
				add(tenure.RemnantReplicas, 0, "%s servers follow, and %s of them haven't taken everything in yet; there are %s replication slots, and nobody reads %s of them: the log is kept for those without an end", t[5], t[6], t[7], t[8])
			}
			add(tenure.RemnantQueries, 0, "%s", queriesSay(t[1], t[2], t[3], t[4] != "0"))
			switch {
			case t[12] == "":
				add(tenure.RemnantTemporary, 0, "Tenure's role may not see the server's temporary files")
			case t[12] != "0":
				add(tenure.RemnantTemporary, 0, "%s temporary files are in use; they end with their statements", t[12])
			}
			add(tenure.RemnantSnapshots, 0, "copies of the server's disks and base backups can't be seen from the server")
			return nil
		})
	})
	return out, coded(err)
}

// queriesSay says which statements the server writes down.
func queriesSay(statement, slow, failed string, collected bool) string {
	var what []string
	switch statement {
	case "mod", "all":
		what = append(what, "statements of applications (log_statement = "+statement+")")
	}
	if slow != "-1" {
		what = append(what, "slow statements (log_min_duration_statement = "+slow+")")
	}
	what = append(what, "statements that failed, with their values (log_min_error_statement = "+failed+")")
	says := "the server's log has " + strings.Join(what, ", ") + "; it is there as long as its files are kept"
	if collected {
		says += "; pg_stat_statements keeps texts of statements until they give way to others"
	}
	return says
}

// sharedRemnants adds what the shared tables hold, with that of their partitions.
func sharedRemnants(ctx context.Context, s *session, tables []relational.TableName, out *[]connector.Remnant) error {
	var names []string
	for _, n := range tables {
		names = append(names, n.String())
	}
	return s.simple(ctx, treeOf(tables)+`select coalesce(sum(s.n_dead_tup), 0)::text, coalesce(sum(s.n_mod_since_analyze), 0)::text, coalesce(min(greatest(s.last_analyze, s.last_autoanalyze))::text, ''), coalesce(sum(pg_total_relation_size(t.oid)), 0)::text, current_setting('autovacuum')
 from t left join pg_stat_all_tables s on s.relid = t.oid`, func(_ int, v [][]byte) error {
		bytes, _ := strconv.ParseInt(string(v[3]), 10, 64)
		if dead := string(v[0]); dead != "0" {
			*out = append(*out, connector.Remnant{Kind: tenure.RemnantRows, Names: names, Bytes: bytes, Says: fmt.Sprintf("%s versions of deleted or changed rows, of any tenant, wait in %d shared tables for vacuum (autovacuum = %s)", dead, len(tables), v[4])})
		}
		*out = append(*out, connector.Remnant{Kind: tenure.RemnantSpace, Names: names, Bytes: bytes, Says: fmt.Sprintf("free space in the files of %d shared tables isn't written over until it is used again", len(tables))})
		if changed := string(v[1]); changed != "0" {
			*out = append(*out, connector.Remnant{Kind: tenure.RemnantStatistics, Names: names, Says: fmt.Sprintf("the planner's samples are older than %s changes of rows, of any tenant, in the shared tables", changed)})
		}
		return nil
	})
}

// patience is how long older transactions are waited for before they are named.
const patience = 10 * time.Second

// Clean is described at connector.Cleaner. A table that Tenure's role doesn't own is
// Blocked: the server would leave it out with a warning.
func (d *Driver) Clean(ctx context.Context, refs []connector.Ref, kind tenure.RemnantKind) (rec connector.Receipt, err error) {
	how, ok := map[tenure.RemnantKind]string{tenure.RemnantRows: "vacuum (index_cleanup on) ", tenure.RemnantSpace: "vacuum (full) ", tenure.RemnantStatistics: "analyze "}[kind]
	if !ok {
		return rec, tenure.Errorf(tenure.Invalid, "nothing can be done about %s", kind)
	}
	err = d.with(ctx, func(s *session) error {
		tables, err := sharedTables(ctx, s, refs)
		if err != nil || len(tables) == 0 {
			return err
		}
		if err := mayClean(ctx, s, tables); err != nil {
			return err
		}
		if kind != tenure.RemnantStatistics {
			if err := settledBefore(ctx, s); err != nil {
				return err
			}
		}
		// vacuum runs as long as it must, and waits for no lock for long.
		if err := s.simple(ctx, "set statement_timeout to 0; set lock_timeout to "+strconv.FormatInt(lockTime.Milliseconds(), 10), nil); err != nil {
			return err
		}
		defer func() {
			if back := s.simple(context.WithoutCancel(ctx), "reset statement_timeout; reset lock_timeout", nil); back != nil {
				closeNow(s.conn)
			}
		}()
		// Heirs aren't taken along with what they inherit from, as partitions are.
		all, err := textsOf(ctx, s, treeOf(tables)+"select t.oid::regclass::text from t join pg_class c on c.oid = t.oid where c.relkind = 'r' or "+strconv.FormatBool(kind == tenure.RemnantStatistics)+" order by 1")
		if err != nil {
			return err
		}
		for _, n := range all {
			if err := s.simple(ctx, how+n, nil); err != nil {
				return fmt.Errorf("%s: %w", n, err)
			}
		}
		rec = connector.Receipt{Changed: true, Counts: map[string]int64{"tables": int64(len(tables))}}
		if kind == tenure.RemnantStatistics {
			return forgetEmpty(ctx, s, treeOf(tables)+"select array_agg(oid)::text from t")
		}
		return nil
	})
	return rec, coded(err)
}

// mayClean is Blocked if a table, or a partition of it, isn't Tenure's role's to clean.
func mayClean(ctx context.Context, s *session, tables []relational.TableName) error {
	theirs, err := textsOf(ctx, s, treeOf(tables)+"select c.oid::regclass::text || ' of ' || pg_get_userbyid(c.relowner) from t join pg_class c on c.oid = t.oid where not pg_has_role(c.relowner, 'usage') order by 1")
	if err == nil && len(theirs) > 0 {
		err = tenure.Errorf(tenure.Blocked, "Tenure's role can't clean what others own: %s", strings.Join(theirs, ", ")).WithHint("make it a member of their owners, or let them do it and have a person attest it")
	}
	return err
}

// olderSQL names what can still see rows as they were before $at.
const olderSQL = `select who from (
 select coalesce(nullif(application_name, ''), backend_type) || ' (process ' || pid || '), since ' || coalesce(xact_start, backend_start)::timestamptz(0) as who, backend_xmin as x from pg_stat_activity
  where backend_xmin is not null and pid <> pg_backend_pid() and (datid is null or datid = (select oid from pg_database where datname = current_database()))
 union all select 'the prepared transaction ' || gid, transaction from pg_prepared_xacts where database = current_database()
 union all select 'the replication slot ' || slot_name, xmin from pg_replication_slots where xmin is not null) o
 where age(x) > pg_snapshot_xmax(pg_current_snapshot())::text::bigint - $at order by 1`

// settledBefore waits until nobody can see rows as they were before now: until then vacuum
// leaves their old versions. Whoever outlasts the patience is named, Unavailable.
func settledBefore(ctx context.Context, s *session) error {
	at, err := textsOf(ctx, s, "select pg_snapshot_xmax(pg_current_snapshot())::text")
	if err != nil {
		return err
	}
	end := time.Now().Add(patience)
	for {
		older, err := textsOf(ctx, s, replaced(olderSQL, "$at", at[0]))
		if err != nil || len(older) == 0 {
			return err
		}
		if time.Now().After(end) {
			return tenure.Errorf(tenure.Unavailable, "old versions of rows can still be seen by %s", strings.Join(older, "; ")).Retryable().WithHint("end it, or let it end; the step tries again")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
