package installation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tenurehq/tenure/internal/installation"
)

// A path of a systems file is taken from the folder that the file is in, and not from where the command runs.
func TestPathsBesideTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "systems:\n  a: {connector: filesystem, options: {root: ./here}}\n  b: {connector: filesystem, options: {root: ../there}}\n  c: {connector: filesystem, options: {root: /else}}\n"
	file := filepath.Join(dir, "systems.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := installation.Sources(t.Context(), t.TempDir(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{filepath.Join(dir, "here"), filepath.Join(filepath.Dir(dir), "there"), "/else"} {
		if root := got[i].Options["root"]; root != want {
			t.Errorf("%s is in %s, want %s", got[i].Name, root, want)
		}
	}
}
