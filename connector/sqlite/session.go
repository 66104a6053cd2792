package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strconv"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// session is one connection to one file.
type session struct {
	conn  *sql.Conn
	end   time.Time // when statements are broken off; zero where nothing is a tenant's
	calls *connector.Budget
}

// errSpent ends what asks more of a session than its calls allow.
var errSpent = errors.New("the calls allowed were spent")

type rows struct {
	*sql.Rows
	done context.CancelFunc
}

// Close is described at relational.Rows.
func (r rows) Close() {
	_ = r.Rows.Close()
	r.done()
}

// bounded is ctx with the session's end. What cleans up isn't broken off.
func (s *session) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.end.IsZero() || ctx.Done() == nil {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, s.end)
}

// Query is described at relational.Querier.
func (s *session) Query(ctx context.Context, query string, args ...any) (relational.Rows, error) {
	if !s.calls.Spend() {
		return nil, errSpent
	}
	ctx, done := s.bounded(ctx)
	r, err := s.conn.QueryContext(ctx, query, args...)
	if err != nil {
		done()
		return nil, err
	}
	return rows{r, done}, nil
}

// Exec is described at relational.Querier. Without parameters the text may hold
// several statements.
func (s *session) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, done := s.bounded(ctx)
	defer done()
	r, err := s.conn.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// run is Exec for a text that may be empty, of which the driver has no count.
func (s *session) run(ctx context.Context, query string) error {
	ctx, done := s.bounded(ctx)
	defer done()
	_, err := s.conn.ExecContext(ctx, query)
	return err
}

// each reads a result row by row into dest.
func (s *session) each(ctx context.Context, query string, row func() error, dest ...any) error {
	return each(ctx, s, query, row, dest...)
}

func each(ctx context.Context, q relational.Querier, query string, row func() error, dest ...any) error {
	r, err := q.Query(ctx, query)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := r.Scan(dest...); err != nil {
			return err
		}
		if err := row(); err != nil {
			return err
		}
	}
	return r.Err()
}

// value reads one text; "" if there is no row.
func (s *session) value(ctx context.Context, query string) (out string, err error) {
	var v string
	err = s.each(ctx, query, func() error { out = v; return nil }, &v)
	return out, err
}

// atomic runs f in a transaction that holds the write lock from its beginning.
func (s *session) atomic(ctx context.Context, f func() error) error {
	return s.within(ctx, "begin immediate", "commit", f)
}

// snapshot runs f on one state of the file.
func (s *session) snapshot(ctx context.Context, f func() error) error {
	return s.within(ctx, "begin", "rollback", f)
}

func (s *session) within(ctx context.Context, begin, end string, f func() error) error {
	if err := s.run(ctx, begin); err != nil {
		return err
	}
	err := f()
	if err == nil {
		if err = s.run(ctx, end); err == nil {
			return nil
		}
	}
	// A transaction that SQLite has ended by itself can't be rolled back again.
	_ = s.run(context.WithoutCancel(ctx), "rollback")
	return err
}

// fold writes the write-ahead log back into the file and empties it, so that no
// row that went stands in it. It is Unavailable while somebody reads an older
// state, which needs the log.
func (s *session) fold(ctx context.Context, path string) error {
	var busy, frames, done int
	err := s.each(ctx, "pragma wal_checkpoint(truncate)", func() error { return nil }, &busy, &frames, &done)
	if err != nil || busy == 0 {
		return err
	}
	return tenure.Errorf(tenure.Unavailable, "%s reads an older state of the file, so what was erased stays in its write-ahead log", lockers(path)).
		Retryable().WithHint("end its transaction")
}

// how a file is opened.
type how string

const (
	reading   how = "&_defensive=1&_foreign_keys=1&_query_only=1"
	writing   how = "&_defensive=1&_foreign_keys=1"
	scrubbing how = "" // pages themselves are written
)

// ready runs f on a session that keeps what it writes. What says so reads the file's
// schema, and so comes after its bounds.
func (s *session) ready(ctx context.Context, h how, f func(s *session) error) error {
	if h != reading {
		if err := s.run(ctx, "pragma synchronous = full; pragma secure_delete = 1"); err != nil {
			return err
		}
	}
	return f(s)
}

// on opens a file that is there, runs f and closes it. It is opened for writing
// even to be read, since a file with a write-ahead log can't be read otherwise.
// A lock that outlasts the option timeout is Unavailable and names who holds it.
func (d *Driver) on(ctx context.Context, file string, h how, f func(s *session) error) error {
	open := func(ctx context.Context, dsn string, h how, f func(s *session) error) error {
		return d.connect(ctx, dsn, h, func(s *session) error { return s.ready(ctx, h, f) })
	}
	if file != d.shared {
		open = func(ctx context.Context, dsn string, h how, f func(s *session) error) error {
			return d.confined(ctx, file, dsn, h, f)
		}
	}
	err := open(ctx, "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode=rw", h, f)
	if isBusy(extended(err)) && !isCoded(err) {
		return tenure.Errorf(tenure.Unavailable, "the database is locked by %s: %w", lockers(file), err).Retryable().
			WithHint("let it end its transaction; a longer option timeout waits for it")
	}
	return err
}

// memory runs f on an empty database in memory.
func (d *Driver) memory(ctx context.Context, f func(s *session) error) error {
	return d.connect(ctx, "file::memory:?mode=memory", writing, f)
}

func (d *Driver) connect(ctx context.Context, dsn string, h how, f func(s *session) error) (err error) {
	dsn += "&_dqs=0&_error_rc=1&_pragma=trusted_schema(0)&_busy_timeout=" + strconv.FormatInt(d.timeout.Milliseconds(), 10) + string(h)
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// No statement may reach another file: attach and vacuum are refused.
	s := &session{conn: conn}
	if err := s.attachable(0); err != nil {
		return err
	}
	return f(s)
}

// attachable sets how many other files the connection may have open.
func (s *session) attachable(n int) error {
	_, err := sqlite.Limit(s.conn, sqlite3.SQLITE_LIMIT_ATTACHED, n)
	return err
}

// firstOf is the first column of the row that r stands at, as text.
func firstOf(r relational.Rows) (string, error) {
	columns, err := r.(rows).Columns()
	if err != nil {
		return "", err
	}
	values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	err = r.Scan(into...)
	if err != nil || len(values) == 0 {
		return "", err
	}
	return string(values[0]), nil
}
