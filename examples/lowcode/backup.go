package lowcode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Backup is the platform's nightly job: it copies every tenant's database
// into its backups folder, where there is one, as of the given day, which is
// also the file's time. A second backup on a day replaces the first. It returns
// the files that it wrote.
func (p *Platform) Backup(ctx context.Context, day time.Time) (files []string, err error) {
	databases, err := filepath.Glob(filepath.Join(p.Tenants, "*.db"))
	if err != nil {
		return nil, fmt.Errorf("look for databases: %w", err)
	}
	for _, database := range databases {
		name := strings.TrimSuffix(filepath.Base(database), ".db")
		w := workspace{name: name, database: name}
		folder := p.backupFolder(w)
		if gone(folder) {
			continue
		}
		file := filepath.Join(folder, day.UTC().Format(time.DateOnly)+".db")
		if err := p.copyDatabase(ctx, w, file); err != nil {
			if gone(database) || gone(folder) { // the workspace left meanwhile
				continue
			}
			return files, fmt.Errorf("back up %s: %w", w.name, err)
		}
		if err := os.Chtimes(file, day, day); err != nil {
			return files, fmt.Errorf("back up %s: %w", w.name, err)
		}
		files = append(files, file)
	}
	return files, nil
}

func gone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// backupFolder is where a workspace's copies go, and uploads where its users'
// files are.
func (p *Platform) backupFolder(w workspace) string {
	return filepath.Join(p.Files, "backups", w.database+"-backups")
}

func (p *Platform) uploads(w workspace) string { return filepath.Join(p.Files, "bucket", w.bucket) }

// copyDatabase writes a consistent copy, whoever is writing meanwhile.
func (p *Platform) copyDatabase(ctx context.Context, w workspace, file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := p.tenantDB(w, "rw")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "vacuum into $1", file)
	return err
}

// workspace looks one up by name.
func (p *Platform) workspace(ctx context.Context, name string) (w workspace, err error) {
	err = p.db.QueryRowContext(ctx, "select workspace, tenant, environment, database, bucket from workspaces where workspace = $1", name).
		Scan(&w.name, &w.tenant, &w.environment, &w.database, &w.bucket)
	if err != nil {
		return w, fmt.Errorf("workspace %s: %w", name, err)
	}
	return w, nil
}
