// Package lowcode is a small but real low-code platform: an HTTP API over a
// platform database that all tenants share, and a database file and a bucket of
// files for each tenant and environment. The demo and the tests let Tenure
// manage it, and look at it from outside.
//
// The platform knows nothing of Tenure: who may call, which database is whose
// and what a tenant is entitled to stands in its tables, and Tenure writes
// there.
package lowcode

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed platform.sql
var platformSQL string

// Platform is a running platform.
type Platform struct {
	// Tenants is the folder with a database file for each workspace, Files the
	// root of the buckets and backups, Database the file that tenants share.
	Tenants, Files, Database string

	db       *sql.DB
	listener net.Listener
	server   *http.Server
	done     chan error
}

// Start runs the platform on a free loopback port, with all its data in dir,
// which it sets up where it is empty.
func Start(dir string) (*Platform, error) { return StartAt(dir, "127.0.0.1:0") }

// StartAt is Start on an address.
func StartAt(dir, addr string) (*Platform, error) {
	p := &Platform{
		Tenants: filepath.Join(dir, "tenants"), Files: filepath.Join(dir, "files"), Database: filepath.Join(dir, "platform.db"),
		done: make(chan error, 1),
	}
	for _, folder := range []string{p.Tenants, p.Files} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("set up the platform: %w", err)
		}
	}
	db, err := open(p.Database, "rwc")
	if err != nil {
		return nil, err
	}
	p.db = db
	if _, err := db.Exec(platformSQL); err != nil {
		return nil, errors.Join(fmt.Errorf("set up the platform's database: %w", err), db.Close())
	}
	if p.listener, err = net.Listen("tcp", addr); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	p.server = &http.Server{Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { p.done <- p.server.Serve(p.listener) }()
	return p, nil
}

// Addr is the host and port that the platform listens on.
func (p *Platform) Addr() string { return p.listener.Addr().String() }

// Close stops the platform once the calls under way have ended, at most 5
// seconds later. Its data stays.
func (p *Platform) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if served := <-p.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, p.db.Close())
}

// open opens a SQLite file; mode is SQLite's: "ro", "rw" or "rwc".
func open(file, mode string) (*sql.DB, error) {
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)", "foreign_keys(1)"}}
	if mode == "rwc" {
		q.Add("_pragma", "journal_mode(wal)")
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(file), err)
	}
	return db, nil
}

// workspace is one tenant's one environment, as the platform's table has it.
type workspace struct {
	name, tenant, environment, database, bucket string
}

// tenantDB opens a workspace's own database for one use; it doesn't create it.
func (p *Platform) tenantDB(w workspace, mode string) (*sql.DB, error) {
	return open(filepath.Join(p.Tenants, w.database+".db"), mode)
}
