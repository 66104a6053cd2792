// Package postgrestest gives tests a real PostgreSQL: the server that
// scripts/with-postgres started, a fresh database for each test, and a proxy
// that cuts, stalls and loses answers.
package postgrestest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Variable names the environment variable that holds the server's URL.
const Variable = "TENURE_TEST_POSTGRES"

// DSN is the superuser's URL of the test server. Without one the test is
// skipped by name; where CI is set it fails.
func DSN(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(Variable)
	switch {
	case dsn != "":
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not set; run the tests through scripts/with-postgres", Variable)
	default:
		t.Skipf("%s needs PostgreSQL: run it through scripts/with-postgres", t.Name())
	}
	return dsn
}

// Database is the URL of a fresh, empty database that is dropped after the test.
func Database(t testing.TB) string {
	t.Helper()
	dsn := DSN(t)
	name := "test_" + Token()
	Exec(t, dsn, `create database "`+name+`"`)
	d := &desk{}
	idle.Store(name, d)
	t.Cleanup(func() {
		idle.Delete(name)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.close()
		Exec(t, dsn, `drop database if exists "`+name+`" with (force)`)
	})
	return With(t, dsn, func(u *url.URL) { u.Path = "/" + name })
}

// Token is a random text of 12 hexadecimal digits. Roles and databases are the
// whole server's, so tests that run side by side put one into their names.
func Token() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// With is the URL dsn after edit.
func With(t testing.TB, dsn string, edit func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the test server's URL can't be read")
	}
	edit(u)
	return u.String()
}

// As is the URL dsn for another role.
func As(t testing.TB, dsn, role, password string) string {
	t.Helper()
	return With(t, dsn, func(u *url.URL) { u.User = url.UserPassword(role, password) })
}

// Connect opens one connection that is closed after the test.
func Connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Exec runs statements by the simple protocol in a session of their own.
func Exec(t testing.TB, dsn, sql string) {
	t.Helper()
	session(t, dsn, func(ctx context.Context, conn *pgx.Conn) {
		t.Helper()
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	})
}

// Value reads one value.
func Value[T any](t testing.TB, dsn, sql string, args ...any) T {
	t.Helper()
	var v T
	session(t, dsn, func(ctx context.Context, conn *pgx.Conn) {
		t.Helper()
		if err := conn.QueryRow(ctx, sql, args...).Scan(&v); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	})
	return v
}
