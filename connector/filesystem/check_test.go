package filesystem_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/filesystem"
)

// A root that others may write in, and a process that may do everything, are more than
// Tenure needs; a root as it should be isn't.
func TestCheckTellsWhatGoesBeyondNeed(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	d, err := filesystem.Info().Open(t.Context(), connector.Config{System: "files", Options: map[string]string{"root": root}})
	if err != nil {
		t.Fatal(err)
	}
	beyond := func() (names []string) {
		c, err := d.(connector.Checker).Check(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Rights {
			if r.State == connector.RightBeyond {
				names = append(names, r.Name)
			}
		}
		return names
	}
	asRoot := os.Geteuid() == 0
	for _, c := range []struct {
		mode os.FileMode
		open bool
	}{{0o755, false}, {0o777, true}, {0o775, true}} {
		if err := os.MkdirAll(root, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(root, c.mode); err != nil {
			t.Fatal(err)
		}
		got := beyond()
		if slices.Contains(got, "others may write in "+root) != c.open || slices.Contains(got, "run as root") != asRoot {
			t.Errorf("a root of mode %o goes beyond need by %q", c.mode, got)
		}
	}
}
