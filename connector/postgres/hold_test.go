package postgres

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// locksOf are the places of a map at which somebody holds a lock.
func locksOf(m connector.Map) (out []connector.Place) {
	for _, p := range m.Places {
		if p.Kind == connector.PlaceLock {
			out = append(out, p)
		}
	}
	return out
}

// TestLockKeepsNobody: a lock that a tenant's session holds on its table hangs no look,
// its neighbours' least of all; it is named with its holder before anything is confirmed,
// and ends with the tenant's access.
func TestLockKeepsNobody(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"a lock":      "lock table acme.t in access exclusive mode",
		"a migration": "alter table acme.t add more int",
		"an index":    "reindex table acme.t",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := opensDen(t)
			other := desired("schema", "other", map[string]any{"tables": map[string]any{"*": "aa"}, "ddl": "create table u (n int)"})
			n.ensure(t, n.place, other)
			postgrestest.Exec(t, n.own, "insert into acme.t select g, 'x' from generate_series(1, 5) g")
			c := postgrestest.Connect(t, n.own)
			if _, err := c.Exec(t.Context(), "begin; "+sql); err != nil {
				t.Fatal(err)
			}
			pid := fmt.Sprintf("process %d of %s", c.PgConn().PID(), n.owner.Name)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			bytes := map[string]int64{}
			if _, err := n.d.Observe(ctx, []connector.Ref{n.place.Ref, other.Ref}, func(o connector.Observed) error { bytes[o.Name] = o.Metrics["bytes"]; return nil }); err != nil || len(bytes) != 2 {
				t.Errorf("a look at drift: %v, saw %v", err, bytes)
			}
			m, err := n.d.DataMap(ctx, connector.Survey{Ref: n.place.Ref, Prove: true})
			if held := locksOf(m); err != nil || len(blocking(m)) > 0 || len(held) != 1 || !strings.Contains(held[0].Says, pid) || !strings.Contains(held[0].Says, "acme.t") {
				t.Errorf("map: %v, what blocks %q, locks %+v, want one of %s", err, blocking(m), held, pid)
			}
			next := desired("schema", "next", map[string]any{"tables": map[string]any{"*": "aa"}, "ddl": "create table u (n int)"})
			n.ensure(t, next)
			if _, err := n.d.Revoke(ctx, n.owner.Ref); err != nil {
				t.Fatalf("the cut: %v", err)
			}
			n.leaves(t)
		})
	}
}

// TestExportNamesWhoHoldsALock: what can't be read now is no riddle.
func TestExportNamesWhoHoldsALock(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	n.ensure(t, n.place)
	c := postgrestest.Connect(t, n.own)
	if _, err := c.Exec(t.Context(), "begin; lock table acme.t in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	_, err := n.d.Export(t.Context(), n.place.Ref, io.Discard)
	if who := fmt.Sprintf("process %d of %s", c.PgConn().PID(), n.owner.Name); tenure.CodeOf(err) != tenure.Unavailable || !strings.Contains(err.Error(), who) || !strings.Contains(err.Error(), "acme.t") {
		t.Errorf("export: %v, want it to name %s and acme.t", err, who)
	}
	if _, err := c.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.d.Export(t.Context(), n.place.Ref, io.Discard); err != nil {
		t.Errorf("export once the lock is gone: %v", err)
	}
}

// TestLockThatStaysIsAsked: what doesn't end with the tenant's access stands in the way
// of a departure before it begins, with what to do about it.
func TestLockThatStaysIsAsked(t *testing.T) {
	t.Parallel()
	t.Run("another's session", func(t *testing.T) {
		t.Parallel()
		n := opensDen(t)
		n.ensure(t, n.place)
		c := postgrestest.Connect(t, n.dsn)
		if _, err := c.Exec(t.Context(), "begin; lock table acme.t in access exclusive mode"); err != nil {
			t.Fatal(err)
		}
		m, err := n.d.DataMap(t.Context(), connector.Survey{Ref: n.place.Ref, Prove: true})
		if held := locksOf(m); err != nil || len(held) != 1 || !held[0].Blocks || !strings.Contains(held[0].Fix, fmt.Sprintf("pg_terminate_backend(%d)", c.PgConn().PID())) {
			t.Errorf("map: %v, locks %+v", err, held)
		}
	})
	t.Run("a prepared transaction", func(t *testing.T) {
		t.Parallel()
		n := opensDen(t)
		n.ensure(t, n.place)
		n.prepares(t)
		gid := "exit_" + postgrestest.Token()
		postgrestest.Exec(t, n.own, "begin; insert into acme.t values (9, 'x'); prepare transaction '"+gid+"'")
		m, err := n.d.DataMap(t.Context(), connector.Survey{Ref: n.place.Ref, Prove: true})
		if held := locksOf(m); err != nil || len(held) != 1 || !held[0].Blocks || !strings.Contains(held[0].Fix, "rollback prepared '"+gid+"'") {
			t.Errorf("map: %v, locks %+v", err, held)
		}
		postgrestest.Exec(t, n.own, "rollback prepared '"+gid+"'")
		if m, err = n.d.DataMap(t.Context(), connector.Survey{Ref: n.place.Ref, Prove: true}); err != nil || len(locksOf(m)) > 0 {
			t.Errorf("map: %v, locks %+v, want none", err, locksOf(m))
		}
	})
}

// TestNeighboursTransactionHindersNoExit: what a neighbour has begun to write into a shared
// table, and doesn't end, is named and keeps no other tenant's rows.
func TestNeighboursTransactionHindersNoExit(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	d := n.driver(t, n.proxy.DSN)
	d.idle = 0
	postgrestest.Exec(t, n.dsn, fmt.Sprintf("create schema pooled; create table pooled.t (id int primary key, tenant text); grant usage on schema pooled to %s; grant select, insert on pooled.t to %[1]s", quote(n.owner.Name)))
	cedar := desired("rows", "cedar", map[string]any{"schema": "pooled", "column": "tenant", "key": "cedar", "tables": map[string]any{"t": "data"}})
	n.ensure(t, cedar)
	postgrestest.Exec(t, n.dsn, "insert into pooled.t values (1, 'cedar'), (2, 'birch')")
	c := postgrestest.Connect(t, n.own)
	if _, err := c.Exec(t.Context(), "begin; insert into pooled.t values (3, 'birch')"); err != nil {
		t.Fatal(err)
	}
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: cedar.Ref, Prove: true})
	if held := locksOf(m); err != nil || len(held) != 1 || held[0].Blocks || m.Partial != "" || !strings.Contains(held[0].Says, fmt.Sprintf("process %d", c.PgConn().PID())) {
		t.Errorf("map: %v, partial %q, locks %+v", err, m.Partial, held)
	}
	if _, err := eraseAll(t, d, cedar.Ref, 100); err != nil {
		t.Errorf("erase: %v", err)
	}
	if left := n.number(t, "select count(*) from pooled.t where tenant = 'cedar'"); left != 0 {
		t.Errorf("%d rows are left", left)
	}
}

// TestLockOnASharedTableIsNamed: a tenant that keeps a shared table for itself doesn't
// hang a neighbour's onboarding, which says whose lock it waits for and goes on after.
func TestLockOnASharedTableIsNamed(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	one := n.policyCase()
	policy := one.New(t, 1)
	policy.Type, policy.Resource = "policy", desired("policy", "x", nil).Resource
	schema, table := policy.Attributes["schema"].(string), policy.Attributes["tables"].([]any)[0].(string)
	postgrestest.Exec(t, n.dsn, fmt.Sprintf("grant usage on schema %s to %s; grant select, update on %s to %[2]s", quote(schema), quote(n.owner.Name), quote(schema, table)))
	c := postgrestest.Connect(t, n.own)
	if _, err := c.Exec(t.Context(), "begin; lock table "+quote(schema, table)+" in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, _, err := n.d.Ensure(ctx, policy)
	if who := fmt.Sprintf("process %d of %s", c.PgConn().PID(), n.owner.Name); tenure.CodeOf(err) != tenure.Unavailable || !strings.Contains(err.Error(), who) || !strings.Contains(err.Error(), table) {
		t.Errorf("ensure: %v, want it to name %s and %s", err, who, table)
	}
	if _, err := n.d.Revoke(ctx, n.owner.Ref); err != nil {
		t.Fatalf("the cut: %v", err)
	}
	if _, _, err := n.d.Ensure(ctx, policy); err != nil {
		t.Errorf("ensure once its access is cut: %v", err)
	}
}
