package store

import "testing"

// Each column that the log covers has a type, or a value of another one in it would be nobody's change.
func TestCoveredColumnsHaveTypes(t *testing.T) {
	t.Parallel()
	for _, f := range facts {
		for i, typ := range f.types {
			if typ == "" {
				t.Errorf("%s: column %d of its key and columns has no type in the migrations", f.name, i)
			}
		}
	}
}
