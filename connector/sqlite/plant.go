package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// Tenure's own folder in the system's, and what is in it.
const (
	ownDir         = ".tenure"
	newDir         = ownDir + "/new"
	quarantineDir  = ownDir + "/quarantine"
	systemFile     = ownDir + "/system.json"
	sentinelFile   = ownDir + "/sentinel"
	sentinelPrefix = "tenure sentinel "
)

var marks = relational.Marks{Table: `"tenure_mark"`}

const markSQL = `create table if not exists tenure_mark (
	type text not null, name text not null, note text not null,
	constraint tenure_mark_pk primary key (type, name))`

var plantSQL = markSQL + `;
create table if not exists tenure_sentinel (id text not null constraint tenure_sentinel_pk primary key);
` + strings.Join(kept.DDL(), ";\n")

// system is what system.json holds.
type system struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
}

func (d *Driver) at(name string) string { return filepath.Join(d.dir, name) }

// Plant makes the folder, if its parent is there, and sets up Tenure's own
// folder in it and Tenure's own tables in the shared file.
func (d *Driver) Plant(ctx context.Context) (string, error) {
	id, err := d.plant(ctx)
	if err != nil {
		return "", coded(err)
	}
	fingerprint, err := d.fingerprint(id)
	return fingerprint, coded(err)
}

func (d *Driver) plant(ctx context.Context) (id string, err error) {
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	for _, dir := range []string{"", ownDir, newDir, marksDir, quarantineDir} {
		if err := makeDir(d.at(dir)); err != nil {
			return "", err
		}
	}
	s, err := d.readSystem()
	if errors.Is(err, fs.ErrNotExist) {
		s = system{Format: 1, ID: rand.Text()}
		raw, _ := json.Marshal(s)
		err = d.write(systemFile, raw)
	}
	if err == nil && !d.hasSentinel(s) {
		err = d.write(sentinelFile, []byte(sentinelPrefix+s.ID+"\n"))
	}
	if err != nil || d.shared == "" {
		return s.ID, err
	}
	return s.ID, d.onShared(ctx, writing, func(c *session) error {
		if seen, err := planted(ctx, c, s.ID); err != nil || seen {
			return err
		}
		return c.atomic(ctx, func() error {
			return c.run(ctx, plantSQL+";\ninsert into tenure_sentinel (id) values ("+literal(s.ID)+") on conflict do nothing")
		})
	})
}

func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Lstat(dir)
		if err == nil && !info.IsDir() {
			return tenure.Errorf(tenure.Conflict, "%s is there and isn't a folder", filepath.Base(dir))
		}
		return err
	}
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(dir, 0o700), syncDir(filepath.Dir(dir))) // whatever the umask is
}

func (d *Driver) readSystem() (s system, err error) {
	raw, err := os.ReadFile(d.at(systemFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil || s.Format != 1 || s.ID == "" {
		return s, tenure.Errorf(tenure.Blocked, "%s can't be read as a system of format 1", systemFile)
	}
	return s, nil
}

func (d *Driver) hasSentinel(s system) bool {
	raw, err := os.ReadFile(d.at(sentinelFile))
	return err == nil && bytes.Equal(raw, []byte(sentinelPrefix+s.ID+"\n"))
}

// fingerprint holds the identity of Tenure's own folder, so that a copy of the
// whole folder is another system.
func (d *Driver) fingerprint(id string) (string, error) {
	folder, err := identity(d.at(ownDir))
	return "sqlite " + id + " " + folder, err
}

// write puts data under name so that a crash leaves the old file or the new.
func (d *Driver) write(name string, data []byte) error {
	tmp := d.at(filepath.Join(newDir, rand.Text()))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, d.at(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(d.at(name)))
}

// syncDir makes what was made, renamed or removed in a folder last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// onShared runs f on the platform's database, which Tenure never makes.
func (d *Driver) onShared(ctx context.Context, h how, f func(s *session) error) error {
	info, err := os.Lstat(d.shared)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tenure.Errorf(tenure.Unavailable, "the platform's database isn't there").Retryable().WithHint("start the platform once, mount its disk, or correct the option shared")
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return tenure.Errorf(tenure.Blocked, "the platform's database is no regular file").WithHint("correct the option shared; a symbolic link isn't followed")
	}
	return d.on(ctx, d.shared, h, f)
}

// planted says whether the system's sentinel is in the shared file. The table is
// made in one transaction with the one for the marks.
func planted(ctx context.Context, s *session, id string) (bool, error) {
	found, err := s.value(ctx, "select id from tenure_sentinel where id = "+literal(id))
	if err != nil && strings.Contains(err.Error(), "no such table") {
		return false, nil
	}
	return found != "", err
}

// look runs f after reading who the system is, on a snapshot of the shared file
// that holds the sentinel. Where nothing is planted f isn't run, and nothing
// counts as seen.
func (d *Driver) look(ctx context.Context, f func(s *session) (bool, error)) (g connector.Sighting, err error) {
	if err := context.Cause(ctx); err != nil {
		return g, coded(err)
	}
	if _, err := os.Stat(d.dir); errors.Is(err, fs.ErrNotExist) {
		return g, tenure.Errorf(tenure.Unavailable, "the folder of the tenants' files isn't there").Retryable().WithHint("mount it, or correct the option dir")
	}
	sys, err := d.readSystem()
	if errors.Is(err, fs.ErrNotExist) {
		return connector.Sighting{}, nil
	}
	if err != nil {
		return g, coded(err)
	}
	if g.Fingerprint, err = d.fingerprint(sys.ID); err != nil {
		return connector.Sighting{}, coded(err)
	}
	g.Sentinel = d.hasSentinel(sys)
	info, err := os.Lstat(d.at(quarantineDir))
	whole := err == nil && info.IsDir() // a folder that is away may have held something
	if d.shared == "" {
		g.Complete, err = f(nil)
	} else {
		err = d.onShared(ctx, reading, func(s *session) error {
			return s.snapshot(ctx, func() error {
				seen, err := planted(ctx, s, sys.ID)
				if err != nil || !seen {
					g.Sentinel = g.Sentinel && seen
					return err
				}
				g.Complete, err = f(s)
				return err
			})
		})
	}
	if err != nil {
		return connector.Sighting{}, coded(err)
	}
	g.Complete = g.Complete && whole
	return g, nil
}
