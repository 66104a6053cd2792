package filesystem

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Tenure's own folder and what is in it.
const (
	own            = ".tenure"
	systemFile     = own + "/system.json"
	sentinelFile   = own + "/sentinel"
	stagingDir     = own + "/new"
	marksDir       = own + "/marks"
	quarantineDir  = own + "/quarantine"
	sentinelPrefix = "tenure sentinel "
)

// system is what system.json holds.
type system struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
}

// plant makes Tenure's own folder and the folders of the types.
func plant(r *os.Root) error {
	for _, dir := range []string{own, stagingDir, marksDir, quarantineDir} {
		if err := makeDir(r, dir, 0o700); err != nil {
			return err
		}
	}
	for _, t := range types() {
		for dir, m := range map[string]fs.FileMode{t.Name: 0o711, path.Join(marksDir, t.Name): 0o700, path.Join(quarantineDir, t.Name): 0o700} {
			if err := makeDir(r, dir, m); err != nil {
				return err
			}
		}
	}
	s, err := readSystem(r)
	if errors.Is(err, fs.ErrNotExist) {
		s = system{Format: 1, ID: rand.Text()}
		raw, _ := json.Marshal(s)
		err = errors.Join(replace(r, sealedFile, nil, 0o600), replace(r, systemFile, raw, 0o600))
	}
	if err != nil {
		return err
	}
	if hasSentinel(r, s) {
		return nil
	}
	return replace(r, sentinelFile, []byte(sentinelPrefix+s.ID+"\n"), 0o600)
}

func makeDir(r *os.Root, dir string, m fs.FileMode) error {
	err := r.Mkdir(dir, m)
	if errors.Is(err, fs.ErrExist) {
		info, err := r.Lstat(dir)
		if err == nil && !info.IsDir() {
			return tenure.Errorf(tenure.Conflict, "%s is there and isn't a directory", dir)
		}
		return err
	}
	if err != nil {
		return err
	}
	// The mode must not depend on the umask.
	return errors.Join(r.Chmod(dir, m), syncDir(r, path.Dir(dir)))
}

func readSystem(r *os.Root) (s system, err error) {
	raw, err := r.ReadFile(systemFile)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil || s.Format != 1 || s.ID == "" {
		return s, tenure.Errorf(tenure.Blocked, "%s can't be read as a system of format 1", systemFile)
	}
	return s, nil
}

func hasSentinel(r *os.Root, s system) bool {
	raw, err := r.ReadFile(sentinelFile)
	return err == nil && bytes.Equal(raw, []byte(sentinelPrefix+s.ID+"\n"))
}

// sight says who the system is. The fingerprint holds the identity of
// Tenure's own folder, so a copy of the whole root is another system.
func sight(r *os.Root) (connector.Sighting, error) {
	s, err := readSystem(r)
	if errors.Is(err, fs.ErrNotExist) {
		return connector.Sighting{}, nil
	}
	if err != nil {
		return connector.Sighting{}, err
	}
	id, err := identityAt(r, own)
	if err != nil {
		return connector.Sighting{}, err
	}
	g := connector.Sighting{Fingerprint: "filesystem " + s.ID + " " + id, Sentinel: hasSentinel(r, s), Complete: true}
	for _, t := range types() {
		// A folder that is away may have held something.
		if info, err := r.Lstat(t.Name); err != nil || !info.IsDir() {
			g.Complete = false
		}
	}
	return g, nil
}

func identityAt(r *os.Root, name string) (string, error) {
	dir, err := r.Open(path.Dir(name))
	if err != nil {
		return "", err
	}
	id, err := identity(dir, path.Base(name))
	return id, errors.Join(err, dir.Close())
}

// replace puts data under name so that a crash leaves the old file or the new.
func replace(r *os.Root, name string, data []byte, m fs.FileMode) error {
	tmp := path.Join(stagingDir, rand.Text())
	if err := write(r, tmp, data, m); err != nil {
		return errors.Join(err, removeIfThere(r, tmp))
	}
	if err := r.Rename(tmp, name); err != nil {
		return errors.Join(err, removeIfThere(r, tmp))
	}
	return syncDir(r, path.Dir(name))
}

func write(r *os.Root, name string, data []byte, m fs.FileMode) error {
	f, err := r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(m), f.Sync(), f.Close())
}

func removeIfThere(r *os.Root, name string) error {
	if err := r.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes what was made, renamed or removed in a directory last.
func syncDir(r *os.Root, dir string) error {
	f, err := r.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
