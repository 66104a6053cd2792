package demo

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/examples"
	"github.com/tenurehq/tenure/examples/lowcode"
	"github.com/tenurehq/tenure/internal/store"
)

var closedOnes = store.TenantFilter{State: tenure.TenantClosed, Closed: true}

// lowcodePlatform is the example platform on SQLite and files.
type lowcodePlatform struct {
	p   *lowcode.Platform
	dir string
}

func (l *lowcodePlatform) prepare(_ context.Context, dir string) (systems, blueprint string, err error) {
	l.dir = dir
	if l.p, err = lowcode.Start(dir); err != nil {
		return "", "", err
	}
	systems = fmt.Sprintf(`systems:
  app-db:
    connector: sqlite
    options: {dir: %q, shared: %q}
    prices: {database: 150, gigabyte: 20}
    currency: EUR
    limit: 4
  files:
    connector: filesystem
    options: {root: %q}
    prices: {gibibyte: 2}
    currency: EUR
    limit: 4
  web:
    connector: http
    options: {base: "http://%s"}
`, l.p.Tenants, l.p.Database, l.p.Files, l.p.Addr())
	return systems, examples.LowcodeBlueprint, nil
}

func (l *lowcodePlatform) fill(ctx context.Context, tenant string) (string, error) {
	var sum []string
	for _, env := range []string{"prod", "test"} {
		n := 100
		if env == "test" {
			n = 10
		}
		f, err := l.p.Fill(ctx, tenant+"-"+env, n)
		if err != nil {
			return "", err
		}
		sum = append(sum, fmt.Sprintf("%s %+v", env, f))
	}
	return strings.Join(sum, ", "), nil
}

func (l *lowcodePlatform) backup(ctx context.Context, day time.Time) error {
	_, err := l.p.Backup(ctx, day)
	return err
}

func (l *lowcodePlatform) open() (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+l.p.Database+"?_pragma=busy_timeout(5000)")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// meddle opens a feature that the tenant didn't pay for, in the platform's table.
func (l *lowcodePlatform) meddle(ctx context.Context, tenant string) (string, error) {
	db, err := l.open()
	if err != nil {
		return "", err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, `update entitlements set enabled = 1 where workspace = $1 and feature = 'sso'`, tenant+"-prod")
	return "single sign-on is switched on for " + tenant + " in the platform's own table", err
}

// look lists a tenant's files and rows with their sizes, by its own SQL and its
// own walk.
func (l *lowcodePlatform) look(ctx context.Context, tenant string, everything bool) ([]string, error) {
	var out []string
	err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsPermission(err) {
				return fs.SkipDir
			}
			return err
		}
		rel, _ := filepath.Rel(l.dir, path)
		if d.IsDir() || !strings.Contains(rel, tenant+"-") || strings.HasSuffix(rel, "-wal") || strings.HasSuffix(rel, "-shm") || strings.Contains(rel, "backups") && !everything {
			return nil
		}
		if !strings.HasSuffix(rel, ".db") {
			sum, err := digest(path)
			out = append(out, "file "+rel+" "+sum)
			return err
		}
		tables, err := contents(ctx, path)
		out = append(append(out, "file "+rel), tables...)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, err := l.rows(ctx, tenant)
	out = append(out, rows...)
	slices.Sort(out)
	return out, err
}

func (l *lowcodePlatform) stays(ctx context.Context) (string, error) {
	db, err := l.open()
	if err != nil {
		return "", err
	}
	defer db.Close()
	var calls, ratings, named int
	err = db.QueryRowContext(ctx, `select (select coalesce(sum(calls), 0) from usage_by_year), count(*), count(by_login) + count(remark) from feedback where billed_to is null`).Scan(&calls, &ratings, &named)
	if err == nil && (calls == 0 || ratings == 0 || named > 0) {
		err = tenure.Errorf(tenure.Internal, "%d calls are added up, and %d ratings stay, of which %d name somebody", calls, ratings, named)
	}
	return fmt.Sprintf("%d calls, added up by year, and %d ratings, without name, remark or day", calls, ratings), err
}

// rows counts the tenant's rows in every table of the platform's database, in
// every text column, whatever it is called.
func (l *lowcodePlatform) rows(ctx context.Context, tenant string) ([]string, error) {
	db, err := l.open()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tables, err := texts(ctx, db, `select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'`)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, table := range tables {
		columns, err := texts(ctx, db, `select name from pragma_table_info($1)`, table)
		if err != nil {
			return nil, err
		}
		var where []string
		for _, c := range columns {
			where = append(where, fmt.Sprintf(`cast("%s" as text) like $1`, c))
		}
		var n int
		q := fmt.Sprintf(`select count(*) from "%s" where %s`, table, strings.Join(where, " or "))
		if err := db.QueryRowContext(ctx, q, tenant+"-%").Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%d rows in %s", n, table))
		}
	}
	return out, nil
}

// digest is a short SHA-256 of a file.
func digest(path string) (string, error) {
	b, err := os.ReadFile(path)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6]), err
}

// contents lists the tables of a tenant's database with a digest of all rows.
func contents(ctx context.Context, path string) ([]string, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tables, err := texts(ctx, db, `select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name`)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, table := range tables {
		columns, err := texts(ctx, db, `select 'quote("' || name || '")' from pragma_table_info($1)`, table)
		if err != nil {
			return nil, err
		}
		rows, err := texts(ctx, db, fmt.Sprintf(`select %s from "%s" order by rowid`, strings.Join(columns, " || ',' || "), table))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(strings.Join(rows, "\n")))
		out = append(out, fmt.Sprintf("%d rows in %s of %s, %s", len(rows), table, filepath.Base(path), hex.EncodeToString(sum[:6])))
	}
	return out, nil
}

func texts(ctx context.Context, db *sql.DB, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func (l *lowcodePlatform) close() error {
	if l.p == nil {
		return nil
	}
	return l.p.Close()
}
