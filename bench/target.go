package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/installation"
)

// systemName is the one system of an installation in these measurements.
const systemName = "main-db"

// install makes an installation in a folder, with a PostgreSQL database as its
// one system. A nil catalog is every connector.
func install(ctx context.Context, dir, dsn string, catalog []connector.Info) (*installation.Installation, error) {
	return installOn(ctx, dir, "postgres", dsn, catalog)
}

// installOn is install with a system of a connector.
func installOn(ctx context.Context, dir, of, dsn string, catalog []connector.Info) (*installation.Installation, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	secret := filepath.Join(dir, "dsn")
	systems := fmt.Sprintf("systems:\n  %s:\n    connector: %s\n    options: {dsn: \"file:%s\"}\n    limit: %d\n", systemName, of, secret, parallel)
	for name, text := range map[string]string{secret: dsn, filepath.Join(dir, "systems.yaml"): systems} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	inst, err := installation.Init(ctx, installation.Options{Dir: dir, Catalog: catalog}, installation.Settings{})
	if err != nil {
		return nil, err
	}
	if _, err := inst.AddSystem(ctx, systemName, false, "operator"); err != nil {
		_ = inst.Close()
		return nil, err
	}
	return inst, nil
}

// admin runs statements on the server, one after the other, outside any database
// that is measured.
func admin(ctx context.Context, dsn string, statements ...string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// dropRoles drops the roles whose names begin so, once what they were granted
// has gone with its database.
func dropRoles(ctx context.Context, dsn, prefix string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `select quote_ident(rolname) from pg_roles where starts_with(rolname, $1)`, prefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for len(names) > 0 && err == nil {
		n := min(len(names), 1000)
		_, err = conn.Exec(ctx, "drop role "+strings.Join(names[:n], ", "))
		names = names[n:]
	}
	return err
}

// count reads one number.
func count(ctx context.Context, dsn, sql string, args ...any) (n int, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

// databaseOf gives the DSN of another database of the same server.
func databaseOf(dsn, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// timed runs f and says how long it took.
func timed(f func() error) (time.Duration, error) {
	began := time.Now()
	err := f()
	return time.Since(began), err
}
