package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// session is one connection. As a relational.Querier it runs statements with
// parameters; simple runs several at once by the simple protocol, in one trip.
type session struct {
	conn   *pgx.Conn
	deputy *deputy // whose session it is; nil for Tenure's own
	calls  *connector.Budget
}

// errSpent ends what asks more of a session than its calls allow.
var errSpent = errors.New("the calls allowed were spent")

// Query is described at relational.Querier.
func (s *session) Query(ctx context.Context, sql string, args ...any) (relational.Rows, error) {
	if len(args) == 0 {
		args = []any{pgx.QueryExecModeSimpleProtocol}
	}
	return s.conn.Query(ctx, sql, args...)
}

// Exec is described at relational.Querier.
func (s *session) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := s.conn.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

// simple sends the statements in one message and passes each row, as texts that
// hold until the next, with the number of the result that it belongs to. An
// error of row's ends the connection, so that the rest isn't read.
func (s *session) simple(ctx context.Context, sql string, row func(result int, values [][]byte) error) error {
	return s.each(ctx, sql, func(n int, r *pgconn.ResultReader) error {
		if row == nil {
			return nil
		}
		return row(n, r.Values())
	})
}

// seen names the first column of what is read back.
const seen = "tenure_seen"

func (s *session) each(ctx context.Context, sql string, row func(result int, r *pgconn.ResultReader) error) error {
	if !s.calls.Spend() {
		return errSpent
	}
	m := s.conn.PgConn().Exec(ctx, sql)
	var stop error
	for n := 0; stop == nil && m.NextResult(); n++ {
		r := m.ResultReader()
		for stop == nil && r.NextRow() {
			stop = row(n, r)
		}
		if stop == nil {
			if _, err := r.Close(); err != nil {
				stop = err
			}
		}
	}
	if stop != nil && state(stop) == "" {
		closeNow(s.conn)
		return stop
	}
	return errors.Join(stop, m.Close())
}

// prepared runs one statement that the server keeps planned for the connection,
// for what is read at every call: planning a look at the catalog takes longer
// than the look. Rows are texts, as with simple.
func (s *session) prepared(ctx context.Context, sql string, row func(values [][]byte) error, args ...any) error {
	how := []any{pgx.QueryExecModeCacheStatement, pgx.QueryResultFormats{pgx.TextFormatCode}}
	rows, err := s.conn.Query(ctx, sql, append(how, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.RawValues()); err != nil {
			return err
		}
	}
	return rows.Err()
}

// closeNow drops a connection without asking the server.
func closeNow(c *pgx.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.Close(ctx)
}

// with runs f on a pooled connection that goes back clean, or not at all.
func (d *Driver) with(ctx context.Context, f func(s *session) error) error {
	c, err := d.pool.Acquire(ctx)
	if err != nil {
		return coded(err)
	}
	defer release(c)
	s := &session{conn: c.Conn()}
	return coded(d.naming(ctx, s, func() error { return f(s) }))
}

func release(c *pgxpool.Conn) {
	if !c.Conn().IsClosed() && (c.Conn().PgConn().TxStatus() != 'I' || !plainLiterals(c.Conn())) {
		closeNow(c.Conn()) // a transaction that failed half-way ends with its connection
	}
	c.Release()
}

// plainLiterals says whether a backslash in '…' stands for itself, as whoever wrote a
// value into a literal took it to. A blueprint's own statement may have changed that.
func plainLiterals(c *pgx.Conn) bool {
	return c.PgConn().ParameterStatus("standard_conforming_strings") == "on"
}

// atomic runs f in a transaction that commits if f ends well.
func (d *Driver) atomic(ctx context.Context, f func(s *session) error) error {
	return d.with(ctx, func(s *session) error { return s.atomic(ctx, f) })
}

func (s *session) atomic(ctx context.Context, f func(s *session) error) error {
	return s.within(ctx, "begin", f)
}

// within is atomic with what begins the transaction.
func (s *session) within(ctx context.Context, begin string, f func(s *session) error) error {
	if err := s.simple(ctx, begin, nil); err != nil {
		return err
	}
	if err := f(s); err != nil {
		if rollback := s.simple(ctx, "rollback", nil); rollback != nil {
			closeNow(s.conn)
		}
		return err
	}
	return s.commit(ctx)
}

// commit ends the transaction; a server that rolls back instead is an error.
func (s *session) commit(ctx context.Context) error {
	tag, err := s.conn.Exec(ctx, "commit")
	if err == nil && !strings.HasPrefix(tag.String(), "COMMIT") {
		return tenure.Errorf(tenure.Unavailable, "the server rolled the transaction back").Retryable()
	}
	return err
}

// run does the statements in one transaction and one trip, then those of after,
// whose rows go to row.
func (s *session) run(ctx context.Context, statements []string, after string, row func(values [][]byte) error) error {
	sql := "begin;\n" + strings.Join(statements, ";\n") + ";\ncommit;\n" + after
	err := s.each(ctx, sql, func(_ int, r *pgconn.ResultReader) error {
		if f := r.FieldDescriptions(); row == nil || len(f) == 0 || f[0].Name != seen {
			return nil // a row of the blueprint's own statements
		}
		return row(r.Values())
	})
	if err != nil && !s.conn.IsClosed() && s.conn.PgConn().TxStatus() != 'I' {
		if rollback := s.simple(ctx, "rollback", nil); rollback != nil {
			closeNow(s.conn)
		}
	}
	return err
}

// tried runs a query for at most the given time. Running out of it, or a value
// that the query can't read, isn't an error: the transaction goes on without.
func (s *session) tried(ctx context.Context, within time.Duration, sql string, row func(v [][]byte) error) (done bool, err error) {
	ms := strconv.FormatInt(max(within.Milliseconds(), 1), 10)
	if err := s.simple(ctx, "savepoint tried; set local statement_timeout to "+ms+"; set local row_security to off", nil); err != nil {
		return false, err
	}
	err = s.simple(ctx, sql, func(_ int, v [][]byte) error { return row(v) })
	if code := state(err); err != nil && (code == "57014" && ctx.Err() == nil || strings.HasPrefix(code, "22") || strings.HasPrefix(code, "42") || strings.HasPrefix(code, "0A") || code == "55000") {
		return false, s.simple(ctx, "rollback to savepoint tried; release savepoint tried", nil)
	}
	if err != nil {
		return false, err
	}
	return true, s.simple(ctx, "rollback to savepoint tried; release savepoint tried", nil)
}

const identitySQL = `select (select system_identifier::text from pg_control_system()), d.oid::text, pg_is_in_recovery()::text
 from pg_database d where d.datname = current_database()`

const sentinelSQL = `select token from tenure.sentinel where id = 1`

// look runs f in one read-only snapshot in which the fingerprint and the
// sentinel are read first. A standby, or a database without the sentinel or the
// right to read it, isn't complete.
func (d *Driver) look(ctx context.Context, f func(s *session) (bool, error)) (g connector.Sighting, err error) {
	err = d.with(ctx, func(s *session) error {
		g, err = s.sight(ctx, true)
		readable := !blind(err)
		if !readable {
			if err := s.simple(ctx, "rollback", nil); err != nil {
				return err
			}
			g, err = s.sight(ctx, false)
		}
		if err != nil {
			return err
		}
		whole := false
		if readable {
			whole, err = f(s)
		}
		if err != nil {
			closeNow(s.conn)
			return err
		}
		g.Complete = g.Complete && whole
		return s.simple(ctx, "commit", nil)
	})
	if err != nil {
		return connector.Sighting{}, err
	}
	return g, nil
}

// blind says that the sentinel isn't there, or may not be read.
func blind(err error) bool {
	switch state(err) {
	case "42P01", "3F000", "42501":
		return true
	}
	return false
}

func (s *session) sight(ctx context.Context, sentinel bool) (g connector.Sighting, err error) {
	sql := "begin isolation level repeatable read read only; " + lockBound + ";\n" + identitySQL
	if sentinel {
		sql += ";\n" + sentinelSQL
	}
	err = s.simple(ctx, sql, func(n int, v [][]byte) error {
		switch n {
		case 2:
			g.Fingerprint = "postgres:" + string(v[0]) + ":" + string(v[1])
			g.Complete = string(v[2]) == "false"
		case 3:
			g.Sentinel = len(v[0]) > 0
		}
		return nil
	})
	g.Complete = g.Complete && g.Sentinel
	return g, err
}
