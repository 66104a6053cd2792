package ldap_test

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

// A unit loses nothing while a limit hides whether somebody else's entry is below it.
func TestUnitIsSeenWholeBeforeItGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{Limits: "size=7 size.prtotal=7"})
	d := w.drive(t, nil)
	acme := made(t, d, "organizational_unit", "acme", nil)
	w.fill(t, acme.Ref, "contacts", 12)
	made(t, d, "user", "acme/guest", nil) // the last of the unit's, beyond the limit
	before := w.Look(t)
	_, err := d.Delete(t.Context(), acme.Ref)
	refused(t, "delete of a unit that isn't seen whole", err, tenure.Blocked, "seen in full")
	if after := w.Look(t); after != before {
		t.Error("a refused delete has changed something")
	}
}
