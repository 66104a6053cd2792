package governance_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

func (d *desk) tenant(name, tier string) {
	d.t.Helper()
	d.write(func(tx *store.Tx) error {
		return tx.CreateTenant(store.TenantRow{Tenant: tenure.Tenant{ID: tenure.NewID[tenure.TenantID](d.Now()), Name: name, Tier: tier, Parameters: []byte(`{}`), CreatedAt: d.Now()}})
	})
}

var toOfficer = []tenure.MoveRole{{Role: tenure.SecurityOfficer, Scope: everywhere}}

// A move changes nothing until a second person, whom it doesn't concern, signs
// it; then all of it happens at once.
func TestMoveTakesTwoPersons(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		d.tenant("acme", "team")
		d.tenant("birch", "free")
		dry, err := d.PlanMove(ctx, d.as("ann"), "dan", []tenure.MoveRole{{Role: tenure.Approver, Scope: tenure.Scope{Tiers: []string{"team"}}}}, "new desk", true)
		d.must(err)
		if len(dry.Ends) != 1 || len(dry.Begins) != 1 || len(dry.Tenants) != 1 || dry.Tenants[0].Name != "acme" {
			t.Errorf("the move ends %v, begins %v and touches %v", dry.Ends, dry.Begins, dry.Tenants)
		}
		if _, err := d.Move(ctx, d.as("ann"), dry.Digest); tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("a dry run is there: %v", err)
		}
		m, err := d.PlanMove(ctx, d.as("ann"), "dan", toOfficer, "new desk", false)
		d.must(err)
		if d.roles("dan") != "operator" {
			t.Fatalf("unsigned, dan is %s", d.roles("dan"))
		}
		_, err = d.ApproveMove(ctx, d.as("ann"), m.Digest, "")
		refused(t, err, tenure.Forbidden, "elevation.approve")
		d.hire("fay", tenure.Approver, tenure.Scope{Tiers: []string{"team"}})
		_, err = d.ApproveMove(ctx, d.as("fay"), m.Digest, "")
		refused(t, err, tenure.NotFound, "no such thing")
		done, err := d.ApproveMove(ctx, d.as("bob"), m.Digest, "fine")
		d.must(err)
		if d.roles("dan") != "security-officer" || done.DecidedBy != "bob" {
			t.Errorf("signed by %s, dan is %s", done.DecidedBy, d.roles("dan"))
		}
		_, err = d.ApproveMove(ctx, d.as("cleo"), m.Digest, "")
		refused(t, err, tenure.Conflict, "decided already")
	})
}

// Who both gives access and could sign it still can't sign their own request,
// nor a move of themselves.
func TestMoveIsNotSignedByWhoIsConcerned(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		both := d.as("ann")
		both.Grants = append(both.Grants, tenure.Grant{Role: tenure.SecurityOfficer, Scope: everywhere})
		m, err := d.PlanMove(ctx, both, "dan", toOfficer, "new desk", false)
		d.must(err)
		_, err = d.ApproveMove(ctx, both, m.Digest, "")
		refused(t, err, tenure.Forbidden, "asked for this move")
		m, err = d.PlanMove(ctx, d.as("ann"), "bob", []tenure.MoveRole{{Role: tenure.Viewer, Scope: everywhere}}, "new desk", false)
		d.must(err)
		_, err = d.ApproveMove(ctx, d.as("bob"), m.Digest, "")
		refused(t, err, tenure.Forbidden, "concerns bob")
		if d.roles("bob") != "security-officer" {
			t.Errorf("bob is %s", d.roles("bob"))
		}
		_, err = d.PlanMove(ctx, d.as("ann"), "ann", toOfficer, "more", false)
		refused(t, err, tenure.Forbidden, "themselves")
	})
}

// Conflicting roles are refused when the move is asked for, and a move whose
// ground has changed, or that is old, isn't carried out.
func TestMoveOnMovedGround(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		_, err := d.PlanMove(ctx, d.as("ann"), "dan", []tenure.MoveRole{{Role: tenure.Admin, Scope: everywhere}, {Role: tenure.Approver, Scope: everywhere}}, "both", false)
		refused(t, err, tenure.Conflict, "can't be one principal's")
		_, err = d.PlanMove(ctx, d.as("ann"), "robot", toOfficer, "machine", false)
		refused(t, err, tenure.Invalid, "only persons approve")
		_, err = d.PlanMove(ctx, d.as("dan"), "bob", toOfficer, "not his to give", false)
		refused(t, err, tenure.Forbidden, "manages nobody's access")
		m, err := d.PlanMove(ctx, d.as("ann"), "dan", toOfficer, "new desk", false)
		d.must(err)
		d.write(func(tx *store.Tx) error {
			return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](d.Now()), Principal: d.ids["dan"], Role: tenure.Viewer, Scope: everywhere, By: "setup", At: d.Now()})
		})
		_, err = d.ApproveMove(ctx, d.as("bob"), m.Digest, "")
		refused(t, err, tenure.Conflict, "has changed")
		m, err = d.PlanMove(ctx, d.as("ann"), "dan", toOfficer, "new desk", false)
		d.must(err)
		d.pass(8 * 24 * time.Hour)
		_, err = d.ApproveMove(ctx, d.as("bob"), m.Digest, "")
		refused(t, err, tenure.Conflict, "a week")
		if got := d.roles("dan"); got != "operator viewer" {
			t.Errorf("dan is %s", got)
		}
		_, err = d.RejectMove(ctx, d.as("ann"), m.Digest, "withdrawn")
		d.must(err)
	})
}
