package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// TestMarksInFilesAreNone: a tenant writes its file, and whatever it writes over the mark
// in there the file stays its own, and becomes no other's.
func TestMarksInFilesAreNone(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	acme, birch := d.made(t, ref("acme", twoTables, nil)), d.made(t, ref("birch", twoTables, nil))
	note := relational.NewNote(d.marker, birch).Sealed(d.marker)
	for _, c := range [][2]string{
		{"something", "update tenure_mark set note = 'VIP'"}, {"another's note", "update tenure_mark set name = 'birch', note = " + literal(note)}, {"nothing", "drop table tenure_mark"},
	} {
		exec(t, w.at(acme), c[1])
		if o := d.one(t, acme); o.Owner != connector.Ours || o.Resource != acme.Resource {
			t.Errorf("with %s in it the file is %q of %s", c[0], o.Owner, o.Resource)
		}
	}
	// What takes the file's place isn't it, though it has all that was in it.
	body, err := os.ReadFile(w.at(birch))
	must(t, err)
	must(t, os.Rename(w.at(birch), filepath.Join(t.TempDir(), "away.db")))
	must(t, os.WriteFile(w.at(birch), body, 0o600))
	if o := d.one(t, birch); !o.Found || o.Owner != connector.Unmarked {
		t.Errorf("another file in its place is found %v, %q", o.Found, o.Owner)
	}
	_, err = d.Delete(t.Context(), birch)
	wants(t, "delete of another file in its place", err, tenure.Conflict, false)
}

// TestOlderMarks: marks that an older build kept in tenants' files are taken over once,
// where they stand in the file that they name.
func TestOlderMarks(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	acme, birch := d.made(t, ref("acme", twoTables, nil)), d.made(t, ref("birch", twoTables, nil))
	older := func(r connector.Ref) string {
		n := relational.NewNote(d.marker, r)
		n.Mark = d.marker.Mark(r.Type, r.Resource)
		return "update tenure_mark set note = " + literal(n.String())
	}
	for _, r := range []connector.Ref{acme, birch} {
		object, err := identity(w.at(r))
		must(t, err)
		must(t, os.Remove(filepath.Join(w.dir, marksDir, object)))
	}
	exec(t, w.at(acme), older(acme))
	exec(t, w.at(birch), older(acme)) // copied from another tenant's
	must(t, d.Settle(t.Context()))
	if o := d.one(t, acme); o.Owner != connector.Ours || o.Resource != acme.Resource {
		t.Errorf("the older mark makes the file %q of %s", o.Owner, o.Resource)
	}
	_, err := d.Delete(t.Context(), birch)
	wants(t, "delete with another's mark", err, tenure.Conflict, false)
	exec(t, w.at(birch), older(birch))
	must(t, d.Settle(t.Context()))
	if o := d.one(t, birch); !o.Found || o.Owner == connector.Ours {
		t.Errorf("an older mark that came afterwards makes the file %q", o.Owner)
	}
}
