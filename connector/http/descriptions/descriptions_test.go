package descriptions_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tenurehq/tenure/connector/http"
)

// Each description that Tenure comes with can be read.
func TestDescriptions(t *testing.T) {
	names, err := filepath.Glob("*/description.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := http.Parse(src, name); err != nil {
			t.Errorf("%v", err)
		}
	}
}
