package sqlite

import (
	"os"
	"strings"
	"testing"
)

// TestStrangersFiles: whose file it is may open it to others at any time, so that is
// drift, and mended.
func TestStrangersFiles(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only the superuser gives a file to somebody else")
	}
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, nil))
	must(t, os.Chown(w.at(r), 65534, -1))
	if got := string(d.one(t, r).Attributes); !strings.Contains(got, `"owner":"uid 65534"`) {
		t.Errorf("a stranger's file is seen as %s", got)
	}
	d.made(t, r)
	if got := string(d.one(t, r).Attributes); strings.Contains(got, "owner") {
		t.Errorf("after the repair: %s", got)
	}
}
