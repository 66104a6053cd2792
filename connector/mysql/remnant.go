package mysql

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

// remnants are what MariaDB physically keeps.
var remnants = []connector.RemnantInfo{
	{Kind: tenure.RemnantRows, Help: "deleted rows and old versions, until InnoDB's purge takes them once no older transaction could see them", Clean: "it waits until InnoDB's purge has come past the erasure"},
	{Kind: tenure.RemnantSpace, Help: "bytes of deleted rows in free pages of the tables' files, until they are used again; and the blocks of files that were removed, until the file system uses them again", Clean: "`optimize table` on the shared tables, which writes each of them anew; blocks of the old files stay"},
	{Kind: tenure.RemnantLog, Help: "the binary log, until `binlog_expire_logs_seconds` after a file of it was closed, and InnoDB's redo log, which is written over in a circle", Clean: "`flush binary logs`, so that what the erasure wrote stands in a closed file, whose time runs; Tenure's account needs the right `reload` for it"},
	{Kind: tenure.RemnantReplicas, Help: "servers that follow this one: each has rows, a relay log and maybe a binary log of its own"},
	{Kind: tenure.RemnantStatistics, Help: "bounds and histograms of columns in `mysql.column_stats`, as of the last `analyze table … persistent`", Clean: "`analyze table … persistent for all` on the shared tables that have any"},
	{Kind: tenure.RemnantQueries, Help: "statements with their values in the general and the slow query log, and recent ones in the performance schema"},
	{Kind: tenure.RemnantTemporary, Help: "tables of statements that are under way; a restart removes what a crash has left"},
	{Kind: tenure.RemnantSnapshots, Help: "copies of the server's disks, dumps and `mariadb-backup` folders. The server can't see them"},
}

// sharedTables are the shared tables that there are of those which refs cover.
func (d *Driver) sharedTables(ctx context.Context, s *session, refs []connector.Ref) (out []relational.TableName, err error) {
	names := relational.SharedPairs(refs, d.home, literal)
	if names == "" {
		return nil, nil
	}
	var n relational.TableName
	err = each(ctx, s, "select table_schema, table_name from information_schema.tables where table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and (table_schema, table_name) in ("+names+") order by 1, 2", func() error {
		out = append(out, n)
		return nil
	}, &n.Schema, &n.Name)
	return out, err
}

// Remnants is described at connector.Remnanter.
func (d *Driver) Remnants(ctx context.Context, refs []connector.Ref) (out []connector.Remnant, err error) {
	err = d.with(ctx, func(s *session) error {
		out = nil
		add := func(kind tenure.RemnantKind, format string, args ...any) {
			out = append(out, connector.Remnant{Kind: kind, Says: fmt.Sprintf(format, args...)})
		}
		tables, err := d.sharedTables(ctx, s, refs)
		if err != nil {
			return err
		}
		v := map[string]string{}
		var name, value string
		if err := each(ctx, s, `show global variables where variable_name in ('log_bin', 'binlog_expire_logs_seconds', 'general_log', 'slow_query_log', 'log_output', 'performance_schema', 'innodb_log_file_size', 'innodb_file_per_table')`, func() error { v[name] = value; return nil }, &name, &value); err != nil {
			return err
		}
		if behind, err := unpurged(ctx, s); err != nil {
			return err
		} else if behind > 0 {
			add(tenure.RemnantRows, "%d transactions, of any tenant, wait for InnoDB's purge", behind)
		}
		if len(tables) > 0 {
			add(tenure.RemnantSpace, "free pages in the files of %d shared tables aren't written over until they are used again", len(tables))
			out[len(out)-1].Names = namesOf(tables)
		}
		if slices.ContainsFunc(refs, func(r connector.Ref) bool { return r.Type == "database" }) || v["innodb_file_per_table"] != "ON" {
			add(tenure.RemnantSpace, "the blocks of dropped tables' files aren't written over until the file system uses them again")
		}
		redo, _ := strconv.ParseInt(v["innodb_log_file_size"], 10, 64)
		out = append(out, connector.Remnant{Kind: tenure.RemnantLog, Bytes: redo, Says: "InnoDB's redo log may hold deleted rows until it is written over"})
		if v["log_bin"] == "ON" {
			out = append(out, binaryLog(v["binlog_expire_logs_seconds"]))
		}
		followers, err := count(ctx, s, "select count(*) from information_schema.processlist where command like 'Binlog Dump%'")
		if err != nil {
			return err
		}
		if followers > 0 {
			add(tenure.RemnantReplicas, "%d servers follow this one; each keeps what it hasn't applied yet, and logs of its own", followers)
		}
		samples, err := samplesOf(ctx, s, tables)
		if err != nil {
			return err
		}
		if len(samples) > 0 {
			add(tenure.RemnantStatistics, "mysql.column_stats has bounds and histograms of %d shared tables, as they were when they were analyzed last", len(samples))
			out[len(out)-1].Names = namesOf(samples)
		}
		add(tenure.RemnantQueries, "%s", queriesSay(v))
		add(tenure.RemnantSnapshots, "copies of the server's disks, dumps and backups can't be seen from the server")
		return nil
	})
	return out, coded(err)
}

func namesOf(tables []relational.TableName) (out []string) {
	for _, n := range tables {
		out = append(out, n.String())
	}
	return out
}

// binaryLog says how long the binary log is kept.
func binaryLog(seconds string) connector.Remnant {
	out := connector.Remnant{Kind: tenure.RemnantLog, Says: "the binary log holds rows as they were written and deleted, and is kept without an end (binlog_expire_logs_seconds = 0)"}
	if n, err := strconv.ParseFloat(seconds, 64); err == nil && n > 0 {
		out.Says = fmt.Sprintf("the binary log holds rows as they were written and deleted; each file of it goes at a rotation that is at least %s after it was closed", time.Duration(n)*time.Second)
	}
	return out
}

func queriesSay(v map[string]string) string {
	var on []string
	if v["general_log"] == "ON" {
		on = append(on, "every statement (general_log)")
	}
	if v["slow_query_log"] == "ON" {
		on = append(on, "slow statements (slow_query_log)")
	}
	says := "no log of statements is on now; files of earlier ones may be there"
	if len(on) > 0 {
		where := "files, as long as these are kept"
		if strings.Contains(v["log_output"], "TABLE") {
			where = "tables of the database mysql, until somebody empties them"
		}
		says = "the server writes down " + strings.Join(on, " and ") + " with their values, in " + where
	}
	if v["performance_schema"] == "ON" {
		says += "; the performance schema has recent statements in memory"
	}
	return says
}

// unpurged is how many committed transactions InnoDB's purge hasn't come to yet.
func unpurged(ctx context.Context, s *session) (n int64, err error) {
	found := false
	err = each(ctx, s, "select count from information_schema.innodb_metrics where name = 'trx_rseg_history_len'", func() error { found = true; return nil }, &n)
	if err == nil && !found {
		err = tenure.Errorf(tenure.Unavailable, "the server doesn't say how far InnoDB's purge is behind")
	}
	return n, err
}

// samplesOf are the shared tables of which the optimizer keeps values.
func samplesOf(ctx context.Context, s *session, tables []relational.TableName) (out []relational.TableName, err error) {
	if len(tables) == 0 {
		return nil, nil
	}
	var names []string
	for _, n := range tables {
		names = append(names, "("+literal(n.Schema)+", "+literal(n.Name)+")")
	}
	var n relational.TableName
	err = each(ctx, s, "select distinct db_name, table_name from mysql.column_stats where (db_name, table_name) in ("+strings.Join(names, ", ")+") order by 1, 2", func() error {
		out = append(out, n)
		return nil
	}, &n.Schema, &n.Name)
	return out, err
}

// patience is how long InnoDB's purge is waited for.
const patience = 10 * time.Second

// Clean is described at connector.Cleaner.
func (d *Driver) Clean(ctx context.Context, refs []connector.Ref, kind tenure.RemnantKind) (rec connector.Receipt, err error) {
	err = d.with(ctx, func(s *session) error {
		tables, err := d.sharedTables(ctx, s, refs)
		if err != nil {
			return err
		}
		switch kind {
		case tenure.RemnantRows:
			return purged(ctx, s)
		case tenure.RemnantLog:
			if err := s.run(ctx, "flush binary logs"); err != nil {
				return err
			}
			rec.Changed = true
			return nil
		case tenure.RemnantSpace:
			if err := purged(ctx, s); err != nil {
				return err
			}
			rec, err = maintained(ctx, s, "optimize table ", "", tables)
			return err
		case tenure.RemnantStatistics:
			if tables, err = samplesOf(ctx, s, tables); err != nil {
				return err
			}
			rec, err = maintained(ctx, s, "analyze table ", " persistent for all", tables)
			return err
		}
		return tenure.Errorf(tenure.Invalid, "nothing can be done about %s", kind)
	})
	return rec, coded(err)
}

// maintained runs one statement of maintenance on each table. The server answers with rows
// that say how it went.
func maintained(ctx context.Context, s *session, before, after string, tables []relational.TableName) (rec connector.Receipt, err error) {
	for _, n := range tables {
		var table, op, typ, text, failed string
		err := each(ctx, s, "set statement max_statement_time = 0 for "+before+quote(n.Schema)+"."+quote(n.Name)+after, func() error {
			if strings.EqualFold(typ, "error") {
				failed = text
			}
			return nil
		}, &table, &op, &typ, &text)
		if err != nil {
			return rec, err
		}
		if failed != "" {
			return rec, tenure.Errorf(tenure.Blocked, "%s%s: the server says: %s", before, n, failed)
		}
	}
	return connector.Receipt{Changed: len(tables) > 0, Counts: map[string]int64{"tables": int64(len(tables))}}, nil
}

// purged waits until InnoDB's purge has come past every transaction that had ended when it
// was called. Who outlasts the patience is named, Unavailable.
func purged(ctx context.Context, s *session) error {
	now, _, err := purge(ctx, s)
	if err != nil {
		return err
	}
	end := time.Now().Add(patience)
	for {
		_, done, err := purge(ctx, s)
		if err != nil {
			return err
		}
		behind, err := unpurged(ctx, s)
		if err != nil || behind == 0 || done >= now {
			return err
		}
		if time.Now().After(end) {
			older, err := s.value(ctx, "select group_concat('process ', trx_mysql_thread_id, ', since ', trx_started order by trx_started separator '; ') from information_schema.innodb_trx where trx_started < now() - interval 5 second")
			if err != nil {
				return err
			}
			if older == "" {
				older = "a transaction that can't be named"
			}
			return tenure.Errorf(tenure.Unavailable, "InnoDB's purge hasn't come past the erasure; old versions of rows can still be seen by %s", older).Retryable().WithHint("end it, or let it end; the step tries again")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// purge is the number that InnoDB's next transaction gets, and the one that its purge has
// come to, as the server's own report says.
func purge(ctx context.Context, s *session) (next, done int64, err error) {
	var typ, name, text string
	if err := each(ctx, s, "show engine innodb status", nil, &typ, &name, &text); err != nil {
		return 0, 0, err
	}
	number := func(after string) int64 {
		_, rest, _ := strings.Cut(text, after)
		digits := rest
		if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
			digits = rest[:i]
		}
		n, _ := strconv.ParseInt(digits, 10, 64)
		return n
	}
	if next, done = number("Trx id counter "), number("Purge done for trx's n:o < "); next == 0 {
		return 0, 0, tenure.Errorf(tenure.Unavailable, "the server doesn't say how far InnoDB's purge has come")
	}
	return next, done, nil
}
