package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Where a tenant has come into the role that owns a shared table, the table isn't read:
// then nothing counts as erased, and no absence as seen.
func TestUnreadSharedTableIsNotErased(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ plant, undo string }{
		"a tenant in the owner": {"grant APP to BIRCH", "revoke APP from BIRCH"},
		"a tenant in the owner, by its group": {"do $$ begin execute (select format('grant APP to %I', rolname) from pg_roles where rolname like 'tenure\\_g\\_%' and pg_has_role('BIRCH', oid, 'member') limit 1); end $$",
			"do $$ begin execute (select format('revoke APP from %I', rolname) from pg_roles where rolname like 'tenure\\_g\\_%' and pg_has_role('BIRCH', oid, 'member') limit 1); end $$"},
		"a tenant is the owner": {"alter table shared.orders owner to BIRCH", "alter table shared.orders owner to APP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := neighboursAs(t, true)
			n.exec(t, "%s", n.fill(c.plant))
			r := n.refs["acme rows"]
			r.Attributes = map[string]any{"schema": "shared", "tables": map[string]any{"orders": "billing"}, "column": "tenant", "key": "acme"}
			erase := func() (connector.Erased, error) {
				return n.system.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "billing"})
			}
			if e, err := erase(); tenure.CodeOf(err) != tenure.Blocked || len(tenure.HintsOf(err)) == 0 || !strings.Contains(err.Error(), "shared.orders") {
				t.Errorf("an erasure of what it doesn't read says %+v, %v", e, err)
			}
			if name != "a tenant is the owner" {
				if seen, verdict, err := n.system.Observe(t.Context(), []connector.Ref{r}); err == nil && verdict == tenure.Verified && seen[0].Metrics["rows"] == 0 {
					t.Error("rows that weren't looked for count as gone")
				}
			}
			n.exec(t, "%s", n.fill(c.undo))
			if e, err := erase(); err != nil || !e.Done || e.Total["shared.orders"] != 1 {
				t.Errorf("then: %+v, %v", e, err)
			}
			n.hand(t, func(c *pgx.Conn) error {
				if left := strs(t, c, "select tenant from shared.orders"); len(left) != 1 || left[0] != "birch" {
					t.Errorf("rows left: %v", left)
				}
				return nil
			})
		})
	}
}

// What a role that stands above Tenure's gave a tenant's role is named where it keeps the
// role from going, and a repair that couldn't take it back doesn't say that it did.
func TestRightsThatTenureCannotTakeBack(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	n.exec(t, "%s", n.fill("grant select on lookup.colours to ACME"))
	rec, err := n.confine(n.refs["acme role"])
	if tenure.CodeOf(err) != tenure.Blocked || rec.Changed || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("a repair says changed %t, %v", rec.Changed, err)
	}
	for _, typ := range []string{"grant", "policy", "schema", "database"} {
		if _, _, err := n.system.Delete(t.Context(), n.refs["acme "+typ]); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = n.system.Delete(t.Context(), n.refs["acme role"])
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "lookup.colours") || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("the role's end says %v", err)
	}
	n.exec(t, "%s", n.fill("drop owned by ACME"))
	if _, verdict, err := n.system.Delete(t.Context(), n.refs["acme role"]); err != nil || verdict != tenure.Verified {
		t.Errorf("then: %s, %v", verdict, err)
	}
}

// A policy that somebody else made and that shows a tenant more stays, and a repair says
// that it is why.
func TestForeignPolicyIsNamed(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	n.exec(t, "%s", n.fill("create policy nosy on shared.orders for select to ACME using (true)"))
	_, _, _, err := n.system.Ensure(t.Context(), connector.Desired{Ref: n.refs["acme policy"]})
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "nosy") || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("the repair says %v", err)
	}
	if _, _, verdict, err := n.system.Ensure(t.Context(), connector.Desired{Ref: n.refs["birch policy"]}); err != nil || verdict != tenure.Verified {
		t.Errorf("the neighbour's: %s, %v", verdict, err)
	}
	n.exec(t, "alter policy nosy on shared.orders to %s", n.application())
	if _, _, verdict, err := n.system.Ensure(t.Context(), connector.Desired{Ref: n.refs["acme policy"]}); err != nil || verdict != tenure.Verified {
		t.Errorf("then: %s, %v", verdict, err)
	}
}
