package postgrestest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A desk is where the superuser's connection to a database waits for its next use. A
// backend of PostgreSQL costs more than most of what tests ask of it.
type desk struct {
	mu   sync.Mutex
	conn *pgx.Conn
}

var idle sync.Map // by database: the test server's own, and those that Database made

// session gives f a session in which nothing is set yet: of the superuser the one that
// waits, unless another test uses it, of others one that ends with f.
func session(t testing.TB, dsn string, f func(context.Context, *pgx.Conn)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal("the test server's URL can't be read")
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec // no statement outlives its use
	d := deskOf(t, c)
	if d != nil && d.mu.TryLock() {
		defer d.mu.Unlock()
	} else {
		d = &desk{}
		defer d.close()
	}
	if d.conn != nil {
		if _, err := d.conn.Exec(ctx, "discard all"); err != nil { // somebody ended it
			d.close()
		}
	}
	if d.conn == nil {
		if d.conn, err = pgx.ConnectConfig(ctx, c); err != nil {
			t.Fatalf("connect: %v", err)
		}
	}
	f(ctx, d.conn)
}

// deskOf is the desk of a connection's database, if it is the superuser's.
func deskOf(t testing.TB, c *pgx.ConnConfig) *desk {
	server, err := pgx.ParseConfig(DSN(t))
	if err != nil || c.User != server.User || c.Password != server.Password || c.Host != server.Host || c.Port != server.Port {
		return nil
	}
	if c.Database == server.Database {
		d, _ := idle.LoadOrStore(c.Database, &desk{})
		return d.(*desk)
	}
	if d, ok := idle.Load(c.Database); ok {
		return d.(*desk)
	}
	return nil
}

func (d *desk) close() {
	if d.conn != nil {
		_ = d.conn.Close(context.Background())
		d.conn = nil
	}
}
