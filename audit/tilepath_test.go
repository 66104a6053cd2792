package audit

import "testing"

// TestTilePath has the example of C2SP tlog-tiles; a log of a million entries
// would otherwise be served where nobody looks.
func TestTilePath(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"tile/0/x001/x234/067":       tilePath("0", 1234067, 256),
		"tile/entries/000":           tilePath("entries", 0, 256),
		"tile/1/999.p/255":           tilePath("1", 999, 255),
		"tile/entries/x001/000.p/17": tilePath("entries", 1000, 17),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
