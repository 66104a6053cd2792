package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite "modernc.org/sqlite"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// Tx is a transaction under way in the committer. It is only good inside the
// function that it was given to.
type Tx struct {
	w      *writer
	ctx    context.Context
	leaves [][]byte
	wake   []tenure.OperationID
	counts map[countKey]int64 // see count.go
	facts  map[string]string  // see collect.go
	salts  map[string]string
	first  bool // the log is sealed for the first time

	emptyLog bool // after the commit, nothing of what was overwritten may stay in the write-ahead log
}

func (tx *Tx) stmt(query string) (*statement, error) {
	if s, ok := tx.w.stmts[query]; ok {
		return s, nil
	}
	c, err := changeOf(query)
	if err != nil {
		return nil, err
	}
	s, text := &statement{change: c}, query
	if c != nil {
		columns := columnsOf(c.parts...)
		s.width = len(columns)
		text += " returning " + strings.Join(columns, ", ")
	}
	if s.Stmt, err = tx.w.conn.PrepareContext(tx.ctx, text); err != nil {
		return nil, storeError(query, err)
	}
	tx.w.stmts[query] = s
	return s, nil
}

// Exec runs a statement, prepared once, and says how many rows it changed. How the
// rows that the log covers stand after it is in the log with the commit.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := tx.stmt(query)
	if err != nil {
		return 0, err
	}
	if s.change != nil {
		return tx.collect(s, query, args)
	}
	res, err := s.ExecContext(tx.ctx, args...)
	if err != nil {
		return 0, storeError(query, err)
	}
	n, err := res.RowsAffected()
	return n, storeError(query, err)
}

// Row reads one row. No row is NotFound.
func (tx *Tx) Row(query string, args []any, into ...any) error {
	s, err := tx.stmt(query)
	if err != nil {
		return err
	}
	return storeError(query, s.QueryRowContext(tx.ctx, args...).Scan(into...))
}

// Rows reads many rows, calling scan for each.
func (tx *Tx) Rows(query string, args []any, scan func(scanner) error) error {
	s, err := tx.stmt(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(tx.ctx, args...)
	if err != nil {
		return storeError(query, err)
	}
	return eachRow(query, rows, scan)
}

// Log appends an entry to the audit log with this transaction.
func (tx *Tx) Log(e audit.Entry) error {
	leaf, err := e.Encode()
	if err != nil {
		return err
	}
	tx.leaves = append(tx.leaves, leaf)
	return nil
}

// Wake tells the driver, after the commit, that the operation is due.
func (tx *Tx) Wake(op tenure.OperationID) { tx.wake = append(tx.wake, op) }

type scanner interface{ Scan(...any) error }

func eachRow(query string, rows *sql.Rows, scan func(scanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return storeError(query, err)
		}
	}
	return storeError(query, rows.Err())
}

// querier is what reads need: the readers' pool, or a transaction.
type querier interface {
	Row(query string, args []any, into ...any) error
	Rows(query string, args []any, scan func(scanner) error) error
}

// reader makes the readers' pool, or one read-only transaction, a querier.
type reader struct {
	ctx context.Context
	db  interface {
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}
}

func (r reader) Row(query string, args []any, into ...any) error {
	return storeError(query, r.db.QueryRowContext(r.ctx, query, args...).Scan(into...))
}

func (r reader) Rows(query string, args []any, scan func(scanner) error) error {
	rows, err := r.db.QueryContext(r.ctx, query, args...)
	if err != nil {
		return storeError(query, err)
	}
	return eachRow(query, rows, scan)
}

func (db *DB) reader(ctx context.Context) reader {
	if db.view != nil {
		return reader{ctx, db.view}
	}
	return reader{ctx, db.read}
}

// longReader is reader for what may read something else before its rows are at an end.
// Were these held by the pool that it reads from, enough of them at once would wait for
// each other for good.
func (db *DB) longReader(ctx context.Context) reader {
	if db.view != nil {
		return reader{ctx, db.view}
	}
	return reader{ctx, db.long}
}

// View gives f the store as it stands at one moment, for reading alone: what is written
// meanwhile isn't in it.
func (db *DB) View(ctx context.Context, f func(*DB) error) error {
	o := &sql.TxOptions{ReadOnly: true}
	if db.Dialect == Postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	tx, err := db.long.BeginTx(ctx, o)
	if err != nil {
		return storeError("begin", err)
	}
	defer func() { _ = tx.Rollback() }()
	return f(&DB{Dialect: db.Dialect, view: tx, key: db.key, now: db.now})
}

// oneColumn lists what a query of one column gives.
func oneColumn[T any](q querier, query string, args ...any) (out []T, err error) {
	err = q.Rows(query, args, func(r scanner) error {
		var v T
		err := r.Scan(&v)
		out = append(out, v)
		return err
	})
	return out, err
}

// storeError gives a database's error a code. Coded errors pass.
func storeError(what string, err error) error {
	if err == nil {
		return nil
	}
	var coded *tenure.Error
	if errors.As(err, &coded) || errors.Is(err, errTwice) {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return tenure.Errorf(tenure.NotFound, "not in the store")
	}
	what, _, _ = strings.Cut(strings.TrimSpace(what), "\n")
	if len(what) > 60 {
		what = what[:60] + "…"
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "23505":
			return tenure.Errorf(tenure.Conflict, "it is there already (%s)", pg.ConstraintName)
		case pg.Code == "23503" && pg.ConstraintName == "tenant_legal_move":
			return illegalMove(err)
		case strings.HasPrefix(pg.Code, "40"), strings.HasPrefix(pg.Code, "53"), strings.HasPrefix(pg.Code, "57"), strings.HasPrefix(pg.Code, "08"), unwritable(err):
			return tenure.Errorf(tenure.Unavailable, "store, %s: %w", what, err).Retryable()
		}
		return tenure.Errorf(tenure.Internal, "store, %s: %w", what, err)
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch code := lite.Code(); {
		case code == 2067 || code == 1555: // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY
			return tenure.Errorf(tenure.Conflict, "it is there already: %w", err)
		case code == 787: // SQLITE_CONSTRAINT_FOREIGNKEY
			return illegalMove(err)
		case code&0xff == 5 || code&0xff == 6 || unwritable(err): // BUSY, LOCKED
			return tenure.Errorf(tenure.Unavailable, "store, %s: %w", what, err).Retryable()
		}
		return tenure.Errorf(tenure.Internal, "store, %s: %w", what, err)
	}
	return tenure.Errorf(tenure.Unavailable, "store, %s: %w", what, err).Retryable()
}

func illegalMove(err error) error {
	return tenure.Errorf(tenure.Conflict, "the store refuses a reference that isn't legal, such as a state change outside the table: %w", err)
}

// Wake tells the drivers of this process that an operation is to be looked at.
func (db *DB) Wake(op tenure.OperationID) { db.wakes.send([]tenure.OperationID{op}) }

// wakes hands out which operations have become due to whoever listens in this
// process.
type wakes struct {
	mu        sync.Mutex
	listeners map[int]func(tenure.OperationID)
	next      int
}

// OnWake calls f after each commit that woke an operation, from the committer's
// goroutine: f must return at once. The answer ends it.
func (db *DB) OnWake(f func(tenure.OperationID)) (stop func()) {
	w := &db.wakes
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listeners == nil {
		w.listeners = make(map[int]func(tenure.OperationID))
	}
	n := w.next
	w.next++
	w.listeners[n] = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, n)
	}
}

func (w *wakes) send(ops []tenure.OperationID) {
	if len(ops) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.listeners {
		for _, op := range ops {
			f(op)
		}
	}
}
