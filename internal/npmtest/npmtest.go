// Package npmtest installs what tests need from the npm registry, at the versions
// and digests that a package-lock.json pins.
package npmtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installLimit is how long npm may take.
const installLimit = 3 * time.Minute

// Install returns a folder that holds the files at the top of sources, with the
// modules that their package-lock.json names beside them; no script of theirs was
// run. It is made once for each state of the files, in the user's cache. Where it
// can't be had, the test is skipped by name; where CI is set it fails.
func Install(t testing.TB, name string, sources fs.FS) (folder string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		Absent(t, name, "this user has no cache folder")
	}
	cache = filepath.Join(cache, "tenure-test")
	files := read(t, sources)
	folder = filepath.Join(cache, name+"-"+fingerprint(files))
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		Absent(t, name, "npm isn't installed")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	made := install(t, name, npm, cache, files)
	// A folder appears whole or not at all, so two test programs that install at
	// once need no lock: the second finds the first's and drops its own.
	if err := os.Rename(made, folder); err != nil {
		_ = os.RemoveAll(made)
		if _, missing := os.Stat(folder); missing != nil {
			t.Fatalf("install %s: %v", name, err)
		}
	}
	return folder
}

// Absent ends a test for want of something: skipped by name, or failed where CI is
// set.
func Absent(t testing.TB, what, why string) {
	t.Helper()
	why = strings.TrimSpace(why)
	if os.Getenv("CI") != "" {
		t.Fatalf("%s can't be had: %s", what, why)
	}
	t.Skipf("%s needs %s: %s", t.Name(), what, why)
}

// source is a file to write beside the modules.
type source struct {
	name string
	body []byte
}

// read gives the files at the top, in the order of their names.
func read(t testing.TB, sources fs.FS) (files []source) {
	t.Helper()
	entries, err := fs.ReadDir(sources, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		body, err := fs.ReadFile(sources, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, source{e.Name(), body})
	}
	return files
}

// install makes a new folder with the files and their modules.
func install(t testing.TB, name, npm, cache string, files []source) string {
	t.Helper()
	folder, err := os.MkdirTemp(cache, "installing-")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(folder, f.name), f.body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(folder)
		Absent(t, name, "npm ci: "+err.Error()+"\n"+string(out))
	}
	return folder
}

func fingerprint(files []source) string {
	h := sha256.New()
	for _, f := range files {
		_, _ = h.Write([]byte(f.name + "\x00" + string(f.body) + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
