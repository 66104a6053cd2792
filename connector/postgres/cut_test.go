package postgres

import (
	"context"
	"testing"

	"github.com/tenurehq/tenure/internal/postgrestest"
)

// A session that took on a tenant's role through a membership ends with the role's
// access: it would go on reading otherwise. A neighbour's session stays.
func TestCutEndsSessionsOfMembers(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	postgrestest.Exec(t, n.dsn, n.fill("grant ACME to GROUP; grant GROUP to READER"))
	reader := connect(t, postgrestest.As(t, n.dsn, n.token+"reader", "reader-secret-text"))
	birch := connect(t, postgrestest.As(t, n.dsn, n.token+"birch", n.credential("birch").Reveal()))
	if _, err := reader.Exec(t.Context(), n.fill("set role ACME; select * from acme.orders")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.system.Suspend(t.Context(), n.refs["acme role"]); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(context.Background(), "select * from acme.orders"); err == nil {
		t.Error("a session that acts as the role by a membership goes on after the cut")
	}
	if _, err := birch.Exec(context.Background(), "select * from birch.orders"); err != nil {
		t.Errorf("the neighbour's session: %v", err)
	}
}
