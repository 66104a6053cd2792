package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// A blueprint's new revision may call a grant or a policy otherwise: the old name's going
// takes nothing from the new one.
func TestRenamedGrantsAndPolicies(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	n.exec(t, "alter table shared.orders no force row level security")
	for _, typ := range []string{"grant", "policy"} {
		old := n.refs["acme "+typ]
		again := desired(typ, "acme renamed "+typ, old.Attributes)
		again.Tenant = old.Tenant
		if _, _, verdict, err := n.system.Ensure(t.Context(), again); err != nil || verdict != tenure.Verified {
			t.Fatalf("%s: ensure: %s, %v", typ, verdict, err)
		}
		if _, verdict, err := n.system.Delete(t.Context(), old); err != nil || verdict != tenure.Verified {
			t.Fatalf("%s: delete: %s, %v", typ, verdict, err)
		}
		c := connect(t, postgrestest.As(t, n.dsn, n.token+"acme", n.credential("acme").Reveal()))
		var rows int
		if err := c.QueryRow(t.Context(), "select count(*) from shared.orders").Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%s: the tenant sees %d rows of its own, %v", typ, rows, err)
		}
		seen, _, err := n.system.Observe(context.Background(), []connector.Ref{again.Ref})
		if want, _ := n.system.Normalise(again); err != nil || string(seen[0].Attributes) != string(want) {
			t.Errorf("%s: it shows %s, %v", typ, seen[0].Attributes, err)
		}
		if _, verdict, err := n.system.Delete(t.Context(), again.Ref); err != nil || verdict != tenure.Verified {
			t.Fatalf("%s: delete the other: %s, %v", typ, verdict, err)
		}
		prefix := map[string]string{"grant": groupPrefix, "policy": boundPrefix}[typ]
		if left := n.groupsOf(t, n.token+"acme"); slices.ContainsFunc(left, func(g string) bool { return strings.HasPrefix(g, prefix) }) {
			t.Errorf("%s: groups are left: %v", typ, left)
		}
		if _, _, _, err := n.system.Ensure(t.Context(), connector.Desired{Ref: old}); err != nil {
			t.Fatal(err)
		}
	}
}
