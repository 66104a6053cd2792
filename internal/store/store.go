// Package store keeps Tenure's rows: one concrete DB over database/sql for
// SQLite and PostgreSQL, with one text for nearly every statement. Writes go
// through one committer a process, which puts the writes that wait into one
// transaction, appends their audit entries to the Merkle tree last, and answers
// all of them after one commit. Reads use connections of their own.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tenurehq/tenure"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Dialect is which of the two databases a DB speaks to.
type Dialect string

const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Options say how to open a store.
type Options struct {
	// DSN is a folder's or file's path for SQLite, or a postgres:// address.
	DSN string
	// ReadOnly opens for reading beside a running server: no lock, no migration.
	ReadOnly bool
	// MaxBatch bounds how many writes share one commit; 0 is 512. The benchmark
	// of one write a transaction sets it to 1.
	MaxBatch int
	// Ledger is a file that keeps what the log was read to say of the rows, so that a
	// process needn't read all of it again; blank: there is none.
	Ledger string
}

// DB is an opened store.
type DB struct {
	Dialect    Dialect
	read       *sql.DB // for reads that end by themselves
	long       *sql.DB // for those that go on while whoever takes their rows may read something else
	view       *sql.Tx // of a View; nil: reads go to read or long
	write      *writer
	lock       *os.File
	wakes      wakes
	handed     reservations
	outages    outages
	commits    atomic.Pointer[func(Commit)] // see ObserveCommits
	key        []byte                       // of the rows' digests; see Seal
	ledger     ledger
	ledgerFile string
	now        func() time.Time // see Seal
}

// maxLong is how many long reads go on at once; the others wait for one of these to end.
const maxLong = 8

// Open opens or creates the store. A store that another process has open for
// writing is Conflict, and so is one that a newer program wrote.
func Open(ctx context.Context, o Options) (*DB, error) {
	if strings.HasPrefix(o.DSN, "postgres://") || strings.HasPrefix(o.DSN, "postgresql://") {
		return openPostgres(ctx, o)
	}
	return openSQLite(ctx, o)
}

func openSQLite(ctx context.Context, o Options) (*DB, error) {
	if o.DSN == "" {
		return nil, tenure.Errorf(tenure.Invalid, "a store needs a path or a postgres:// address")
	}
	path, err := filepath.Abs(o.DSN)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "store path: %w", err)
	}
	db := &DB{Dialect: SQLite, ledgerFile: o.Ledger}
	if o.ReadOnly {
		if _, err := os.Stat(path); err != nil {
			return nil, tenure.Errorf(tenure.NotFound, "no store at %s", o.DSN).WithHint("make one: tenure init")
		}
	} else {
		if db.lock, err = lockFile(path + ".lock"); err != nil {
			return nil, err
		}
		if f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err == nil {
			_ = f.Close()
		}
	}
	fail := func(err error) (*DB, error) { _ = db.Close(); return nil, err }
	if db.read, err = sql.Open("sqlite", sqliteDSN(path, true)); err != nil {
		return fail(tenure.Errorf(tenure.Internal, "open store: %w", err))
	}
	db.read.SetMaxOpenConns(4)
	db.read.SetMaxIdleConns(2)
	if db.long, err = sql.Open("sqlite", sqliteDSN(path, true)); err != nil {
		return fail(tenure.Errorf(tenure.Internal, "open store: %w", err))
	}
	db.long.SetMaxOpenConns(maxLong)
	db.long.SetMaxIdleConns(maxLong)
	db.long.SetConnMaxIdleTime(time.Minute)
	if o.ReadOnly {
		return db, db.checkVersion(ctx)
	}
	w, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return fail(tenure.Errorf(tenure.Internal, "open store: %w", err))
	}
	w.SetMaxOpenConns(1)
	if err := db.migrate(ctx, w, database.DialectSQLite3); err != nil {
		_ = w.Close()
		return fail(err)
	}
	if db.write, err = newWriter(ctx, db, w, o.MaxBatch); err != nil {
		_ = w.Close()
		return fail(err)
	}
	return db, nil
}

func sqliteDSN(path string, read bool) string {
	q := url.Values{}
	for _, p := range []string{"busy_timeout(10000)", "foreign_keys(1)", "synchronous(full)", "temp_store(memory)"} {
		q.Add("_pragma", p)
	}
	if read {
		q.Add("_pragma", "query_only(1)")
	} else {
		q.Add("_pragma", "journal_mode(wal)")
		q.Add("_pragma", "secure_delete(1)") // what is forgotten is overwritten, not only unlinked
		q.Add("_pragma", "wal_autocheckpoint(16000)")
		q.Add("_pragma", "cache_size(-8000)")
		q.Set("_txlock", "immediate")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	db := &DB{Dialect: Postgres, ledgerFile: o.Ledger}
	var err error
	if db.read, err = sql.Open("pgx", o.DSN); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "store address: %w", redactDSN(err))
	}
	db.read.SetMaxOpenConns(8)
	db.read.SetMaxIdleConns(8)
	if db.long, err = sql.Open("pgx", o.DSN); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "store address: %w", redactDSN(err))
	}
	db.long.SetMaxOpenConns(maxLong)
	db.long.SetMaxIdleConns(maxLong)
	db.long.SetConnMaxIdleTime(time.Minute)
	fail := func(err error) (*DB, error) { _ = db.Close(); return nil, err }
	if err := db.read.PingContext(ctx); err != nil {
		return fail(tenure.Errorf(tenure.Unavailable, "store: %w", redactDSN(err)).Retryable())
	}
	if o.ReadOnly {
		return db, db.checkVersion(ctx)
	}
	w, err := sql.Open("pgx", o.DSN)
	if err != nil {
		return fail(tenure.Errorf(tenure.Invalid, "store address: %w", redactDSN(err)))
	}
	w.SetMaxOpenConns(1)
	if err := db.migrate(ctx, db.read, database.DialectPostgres); err != nil {
		_ = w.Close()
		return fail(err)
	}
	if db.write, err = newWriter(ctx, db, w, o.MaxBatch); err != nil {
		_ = w.Close()
		return fail(err)
	}
	return db, nil
}

// redactDSN keeps an address, which may hold a password, out of an error.
func redactDSN(err error) error {
	if i := strings.Index(err.Error(), "://"); i >= 0 {
		return errors.New("the address can't be used")
	}
	return err
}

func (db *DB) migrate(ctx context.Context, w *sql.DB, d database.Dialect) error {
	sub, _ := fs.Sub(migrations, "migrations")
	store, err := database.NewStore(d, "tenure_migration")
	if err != nil {
		return tenure.Errorf(tenure.Internal, "migrations: %w", err)
	}
	p, err := goose.NewProvider("", w, dialectText{sub, db.Dialect}, goose.WithStore(store), goose.WithVerbose(false))
	if err != nil {
		return tenure.Errorf(tenure.Internal, "migrations: %w", err)
	}
	if db.Dialect == Postgres {
		// Two processes that start at once migrate one after the other.
		conn, err := w.Conn(ctx)
		if err != nil {
			return tenure.Errorf(tenure.Unavailable, "migrations: %w", err).Retryable()
		}
		defer conn.Close()
		const key = 7_354_201
		if _, err := conn.ExecContext(ctx, `select pg_advisory_lock($1)`, key); err != nil {
			return tenure.Errorf(tenure.Unavailable, "migrations: %w", err).Retryable()
		}
		defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), `select pg_advisory_unlock($1)`, key) }()
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "migrations: %w", err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return newerStore(have, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return tenure.Errorf(tenure.Internal, "migrations: %w", err)
	}
	return db.syncMoves(ctx, w)
}

func newerStore(have, newest int64) error {
	return tenure.Errorf(tenure.Conflict, "the store has format %d, this program knows formats up to %d: a newer tenure wrote it", have, newest).
		WithHint("run the newer program; an older one never writes to a newer store")
}

// checkVersion refuses a newer store without changing it.
func (db *DB) checkVersion(ctx context.Context) error {
	var have int64
	if err := db.read.QueryRowContext(ctx, `select coalesce(max(version_id), 0) from tenure_migration`).Scan(&have); err != nil {
		_ = db.Close()
		return tenure.Errorf(tenure.NotFound, "there is no store here yet: %w", err).WithHint("make one: tenure init")
	}
	entries, _ := migrations.ReadDir("migrations")
	var newest int64
	for _, e := range entries {
		var v int64
		if _, err := fmt.Sscanf(e.Name(), "%d_", &v); err == nil {
			newest = max(newest, v)
		}
	}
	if have > newest {
		_ = db.Close()
		return newerStore(have, newest)
	}
	return nil
}

// syncMoves copies the program's table of legal moves, so that the foreign key
// knows them. It only ever adds.
func (db *DB) syncMoves(ctx context.Context, w *sql.DB) error {
	moves := append([]tenure.TenantMove{{To: tenure.TenantRequested}}, tenure.TenantTransitions...)
	for _, m := range moves {
		_, err := w.ExecContext(ctx, `insert into tenant_move (from_state, to_state) values ($1, $2) on conflict do nothing`, string(m.From), string(m.To))
		if err != nil {
			return tenure.Errorf(tenure.Internal, "legal moves: %w", err)
		}
	}
	return nil
}

// Close waits for the writes under way and lets go of the store.
func (db *DB) Close() error {
	var errs []error
	if db.write != nil {
		errs = append(errs, db.write.close())
	}
	for _, pool := range []*sql.DB{db.read, db.long} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// micros is a time as the store keeps it: microseconds since 1970 UTC, 0 for
// the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
