package mysql

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	driver "github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

type pool struct{ db *sql.DB }

func newPool(conf *driver.Config, conns int) (*pool, error) {
	c, err := driver.NewConnector(conf)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the option dsn can't be used")
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return &pool{db}, nil
}

// session is one connection. As a relational.Querier it takes $1, $2, … as
// placeholders.
type session struct {
	conn  *sql.Conn
	sent  *atomic.Int64 // counts the statements
	calls *connector.Budget
}

// errSpent ends what asks more of a session than its calls allow.
var errSpent = errors.New("the calls allowed were spent")

type rows struct{ *sql.Rows }

// Close is described at relational.Rows.
func (r rows) Close() { _ = r.Rows.Close() }

// Query is described at relational.Querier.
func (s *session) Query(ctx context.Context, query string, args ...any) (relational.Rows, error) {
	query, args = placed(query, args)
	if !s.calls.Spend() {
		return nil, errSpent
	}
	s.sent.Add(1)
	r, err := s.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return rows{r}, nil
}

// Exec is described at relational.Querier.
func (s *session) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	query, args = placed(query, args)
	if !s.calls.Spend() {
		return 0, errSpent
	}
	s.sent.Add(1)
	r, err := s.conn.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// run is Exec for a statement without parameters or count.
func (s *session) run(ctx context.Context, query string) error {
	_, err := s.Exec(ctx, query)
	return err
}

// placed turns $1, $2, … outside of quotes into the driver's question marks, with the
// arguments in the order in which they come.
func placed(query string, args []any) (string, []any) {
	if len(args) == 0 {
		return query, nil
	}
	var b strings.Builder
	var out []any
	quoted := byte(0)
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case quoted != 0:
			if c == quoted {
				quoted = 0 // a doubled one begins again at once
			}
		case c == '\'' || c == '"' || c == '`':
			quoted = c
		case c == '$':
			end := i + 1
			for end < len(query) && query[end] >= '0' && query[end] <= '9' {
				end++
			}
			if n, err := strconv.Atoi(query[i+1 : end]); err == nil && n >= 1 && n <= len(args) {
				b.WriteByte('?')
				out, i = append(out, args[n-1]), end-1
				continue
			}
		}
		b.WriteByte(c)
	}
	return b.String(), out
}

// each reads a result row by row into dest.
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
		if row != nil {
			if err := row(); err != nil {
				return err
			}
		}
	}
	return r.Err()
}

// value reads one text; "" if there is no row, or it is null.
func (s *session) value(ctx context.Context, query string) (string, error) {
	var v, out sql.NullString
	err := each(ctx, s, query, func() error { out = v; return nil }, &v)
	return out.String, err
}

// count reads one number.
func count(ctx context.Context, q relational.Querier, query string) (n int64, err error) {
	err = each(ctx, q, query, nil, &n)
	return n, err
}

// with runs f on a pooled connection.
func (d *Driver) with(ctx context.Context, f func(s *session) error) error {
	conn, err := d.pool.db.Conn(ctx)
	if err != nil {
		return coded(err)
	}
	defer conn.Close()
	return coded(f(&session{conn: conn, sent: &d.pace.sent}))
}

// atomic runs f in a transaction that commits if f ends well. Each statement in it sees
// what is committed by then, and locks the rows that it finds and no gaps between them,
// so that neighbours aren't kept waiting. Where the binary log holds statements the server
// takes no write at that level; there the gaps are locked too.
func (s *session) atomic(ctx context.Context, f func() error) error {
	if err := s.run(ctx, "set session tx_isolation = if(@@log_bin and @@binlog_format = 'STATEMENT', 'REPEATABLE-READ', 'READ-COMMITTED')"); err != nil {
		return err
	}
	return s.within(ctx, "start transaction read write", "commit", f)
}

// snapshot runs f on one state of the data. The catalog isn't part of it.
func (s *session) snapshot(ctx context.Context, f func() error) error {
	if err := s.run(ctx, "set transaction isolation level repeatable read"); err != nil {
		return err
	}
	return s.within(ctx, "start transaction with consistent snapshot, read only", "rollback", f)
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
	if rollback := s.run(context.WithoutCancel(ctx), "rollback"); rollback != nil {
		s.discard() // the server ends the transaction with the connection
	}
	return err
}

// discard has the pool drop the connection.
func (s *session) discard() {
	_ = s.conn.Raw(func(any) error { return sqlBad })
}

// sqlBad tells the pool that a connection isn't to be used again.
var sqlBad = errBadConn()

// with and atomic in one.
func (d *Driver) atomic(ctx context.Context, f func(s *session) error) error {
	return d.with(ctx, func(s *session) error { return s.atomic(ctx, func() error { return f(s) }) })
}

// look runs f in one read-only snapshot, in which the server's identity and the
// sentinel are read first. A replica, a server without the sentinel, and an account
// that the server may hide databases or accounts from, isn't complete.
func (d *Driver) look(ctx context.Context, f func(s *session) (bool, error)) (g connector.Sighting, err error) {
	err = d.with(ctx, func(s *session) error {
		return s.snapshot(ctx, func() error {
			if g, err = d.sight(ctx, s); err != nil || !g.Sentinel {
				return err
			}
			whole, err := f(s)
			g.Complete = g.Complete && whole
			return err
		})
	})
	if err != nil {
		return connector.Sighting{}, err
	}
	return g, nil
}

// sight says who the server is, and what of it can be seen.
func (d *Driver) sight(ctx context.Context, s *session) (g connector.Sighting, err error) {
	if g.Fingerprint, err = d.fingerprint(ctx, s); err != nil {
		return g, err
	}
	token, err := s.value(ctx, "select token from "+quote(d.keep, "sentinel")+" where id = 1")
	if isNumber(err, 1146, 1049, 1142, 1044, 1143) { // no such table or database, or no right to read it
		return g, nil
	}
	if err != nil {
		return g, err
	}
	g.Sentinel = token != ""
	missing, err := d.missing(ctx, s)
	if err != nil {
		return g, err
	}
	writes, err := s.value(ctx, "select @@global.read_only")
	g.Complete = g.Sentinel && len(missing) == 0 && writes == "0"
	return g, err
}

// fingerprint is the server's own identity, which it works out from its machine and its
// port, with the name of Tenure's database.
func (d *Driver) fingerprint(ctx context.Context, s *session) (string, error) {
	var version, id string
	err := each(ctx, s, "select @@version, @@server_uid", nil, &version, &id)
	if isNumber(err, 1193) || err == nil && !strings.Contains(strings.ToLower(version), "mariadb") {
		return "", tenure.Errorf(tenure.Blocked, "the server isn't MariaDB 10.11 or newer").WithHint("MySQL itself, and older MariaDB, aren't supported")
	}
	return "mysql:" + id + ":" + d.keep, err
}

// sights are the rights without which the server hides what is there.
var sights = []string{"SELECT", "SHOW DATABASES", "PROCESS"}

// isMe finds the account's own rights: of those that it has by a role nothing is shown.
const isMe = `grantee = concat('''', replace(substring_index(current_user(), '@', 1), '''', ''''''), '''@''', substring_index(current_user(), '@', -1), '''')`

// missing are those that the account hasn't got.
func (d *Driver) missing(ctx context.Context, s *session) ([]string, error) {
	held := map[string]bool{}
	var right string
	err := each(ctx, s, "select privilege_type from information_schema.user_privileges where "+isMe, func() error { held[right] = true; return nil }, &right)
	var out []string
	for _, one := range sights {
		if !held[one] {
			out = append(out, one)
		}
	}
	return out, err
}

// seeing is Forbidden if the server may hide tables or foreign keys from the account.
func (d *Driver) seeing(ctx context.Context, s *session) error {
	missing, err := d.missing(ctx, s)
	if err == nil && len(missing) > 0 {
		err = tenure.Errorf(tenure.Forbidden, "the server may hide tables and references from Tenure's account, which lacks %s", strings.ToLower(strings.Join(missing, ", "))).
			WithHint("grant %s on *.* to the account of the option dsn", strings.ToLower(strings.Join(missing, ", ")))
	}
	return err
}
