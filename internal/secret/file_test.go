package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/secret"
)

// A place that isn't a small file is told at once. A pipe must not stop Tenure, and a device
// must not fill its memory.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"small": 1 << 20, "large": 1<<20 + 1} {
		if err := os.WriteFile(path(name), []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(path("small"), old, old); err != nil {
		t.Fatal(err)
	}
	read := func(at string) (v secret.Value, err error) {
		p, _, err := secret.Parse("file:" + at)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); v, err = secret.NewReader(nil).Read(t.Context(), p) }()
		select {
		case <-done:
			return v, err
		case <-time.After(20 * time.Second):
			t.Fatalf("%s isn't done with", at)
			return v, err
		}
	}
	for at, says := range map[string]string{path("pipe"): "not a regular file", dir: "not a regular file", path("large"): "larger than 1 MiB"} {
		if _, err := read(at); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", at, err)
		}
	}
	v, err := read(path("small"))
	if err != nil || len(v.Reveal()) != 1<<20 || !v.Since.Equal(old) {
		t.Errorf("%d bytes since %s, %v", len(v.Reveal()), v.Since, err)
	}
}
