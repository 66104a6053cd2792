package governance_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// A machine and who answers for it are one also where the role comes to the person
// by a move: whose machine acts doesn't audit.
func TestMachinesRolesConflictWithTheirPersons(t *testing.T) {
	t.Parallel()
	d, ctx := newDoor(t, nil), context.Background()
	everything := tenure.Scope{All: true}
	bob := d.person("bob", tenure.BlueprintAuthor)
	m, err := d.AddPrincipal(ctx, store.Principal{Name: "ci", Kind: tenure.CallerMachine, Owner: "bob"}, "root")
	d.must(err)
	_, err = d.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: m.ID, Role: tenure.Operator, Scope: everything})
	d.must(err)
	list, err := d.Grants(ctx, "bob", false)
	d.must(err)
	d.must(d.RevokeGrant(ctx, governance.Local("root"), list[0].ID))
	_, err = d.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: bob.Principal, Role: tenure.Auditor, Scope: everything})
	d.wants(err, tenure.Conflict, "can't be one principal's")

	_, err = d.PlanMove(ctx, d.person("ann", tenure.Admin), "bob", []tenure.MoveRole{{Role: tenure.Auditor, Scope: everything}}, "new desk", false)
	d.wants(err, tenure.Conflict, "can't be one principal's")
}

// Who gets a role that conflicts with what was delegated to them approves no more:
// the conflict is refused at use, since the delegation stood before.
func TestDelegationsDontJoinConflictingRoles(t *testing.T) {
	t.Parallel()
	d, ctx := newDoor(t, nil), context.Background()
	dee, eve := d.person("dee", tenure.Approver), d.person("eve", tenure.Viewer)
	_, err := d.Delegate(ctx, dee, tenure.Delegation{To: "eve", Scope: tenure.Scope{All: true}, Reason: "away", EndsAt: d.Now().Add(24 * time.Hour)})
	d.must(err)
	approves := func() bool {
		t.Helper()
		c, err := d.Explain(ctx, "eve", tenure.OperationApprove, tenure.Target{})
		d.must(err)
		return c.Allowed
	}
	if !approves() {
		t.Fatal("the delegate doesn't approve")
	}
	_, err = d.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: eve.Principal, Role: tenure.Auditor, Scope: tenure.Scope{All: true}})
	d.must(err)
	if approves() {
		t.Error("an auditor approves by a delegation")
	}
}
