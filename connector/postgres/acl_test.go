package postgres

import (
	"strings"
	"testing"
)

// TestRightsBesideTheServersOwn: a right that somebody was given on what the server made is
// found, and not what the server itself gave there: revoking that would harm everybody.
func TestRightsBesideTheServersOwn(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	for _, c := range []struct{ plant, undo, says string }{
		{"grant select on pg_catalog.pg_class to BIRCH", "revoke select on pg_catalog.pg_class from BIRCH", "role BIRCH may select on table pg_catalog.pg_class"},
		{"grant select (relname) on pg_catalog.pg_class to BIRCH", "revoke select (relname) on pg_catalog.pg_class from BIRCH", "role BIRCH may select on column relname of pg_catalog.pg_class"},
		{"grant insert on pg_catalog.pg_class to public", "revoke insert on pg_catalog.pg_class from public", "PUBLIC may insert on table pg_catalog.pg_class"},
		{"grant execute on function pg_catalog.pg_reload_conf() to BIRCH", "revoke execute on function pg_catalog.pg_reload_conf() from BIRCH", "role BIRCH may execute on function pg_catalog.pg_reload_conf()"},
	} {
		n.exec(t, "%s", n.fill(c.plant))
		var found []string
		for _, way := range n.look() {
			found = append(found, way.Says)
		}
		if len(found) != 1 || !strings.HasPrefix(found[0], n.fill(c.says)+",") {
			t.Errorf("%s is seen as %q, want %q alone", c.plant, found, n.fill(c.says))
		}
		n.exec(t, "%s", n.fill(c.undo))
	}
}
