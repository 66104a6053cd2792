package keystore

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenurehq/tenure"
)

// createFile makes a file whole or not at all; one that is there is a Conflict.
func createFile(path string, data []byte) error {
	return place(path, data, os.Link)
}

// replaceFile puts a file in the place of another in one step.
func replaceFile(path string, data []byte) error {
	return place(path, data, os.Rename)
}

// place writes data beside path, syncs it and moves it there with put.
func place(path string, data []byte, put func(from, to string) error) error {
	dir, tmp := filepath.Dir(path), staging(path)
	// What a killed process left goes first; it may be a link to a file in use.
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("write", path, err)
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fileError("write", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = put(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fileError("write", path, err)
	}
	return nil
}

// staging is where a file is written before it takes its place.
func staging(path string) string {
	return filepath.Join(filepath.Dir(path), ".new-"+filepath.Base(path))
}

// wipe overwrites a file and removes it; an absent one is fine. On media that
// write elsewhere (SSD, snapshots) old blocks may stay: what they hold is
// wrapped, and such copies are for RegisterCopy.
func wipe(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fileError("overwrite", path, err)
	}
	info, err := f.Stat()
	if err == nil {
		noise := make([]byte, info.Size())
		_, _ = rand.Read(noise)
		_, err = f.WriteAt(noise, 0)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fileError("overwrite", path, err)
	}
	if err = errors.Join(os.Remove(path), syncDir(filepath.Dir(path))); err != nil {
		return fileError("remove", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fileError names the file without its folder, which may be anybody's home.
func fileError(verb, path string, err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	code := tenure.Unavailable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = tenure.NotFound
	case errors.Is(err, fs.ErrExist):
		code = tenure.Conflict
	}
	return tenure.Errorf(code, "keystore: %s %s: %w", verb, filepath.Base(path), err)
}
