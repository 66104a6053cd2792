package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// What somebody took out of the inventory, past the program, isn't left behind by a departure that knows
// nothing of it: no certificate says that all is gone.
func TestForgedInventoryIsMissed(t *testing.T) {
	t.Parallel()
	for of, forge := range map[string]string{
		"deleted":          `delete from resource where name = 'acme-prod'`,
		"of another":       `update resource set tenant = 'ten_other' where name = 'acme-prod'`,
		"in fewer classes": `update resource set classes = '["orders"]' where name = 'acme-prod'`,
		"never made":       `update resource set state = 'planned', live = 0 where name = 'acme-prod'`,
	} {
		for when, planned := range map[string]bool{"before": false, "after": true} {
			t.Run(of+" "+when, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, nil)
				s.onboard("acme")
				s.fill("acme-prod", 100, 5)
				if !planned {
					s.behind(forge)
				}
				in := lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "fraud"}
				if _, err := s.Plan(t.Context(), in, "operator"); err != nil {
					return // it is missed before there is a plan
				}
				op := s.request(in, "operator")
				if planned {
					s.behind(forge)
				}
				s.approve(op, "reviewer")
				s.pass(40 * day)
				s.finish(op)
				if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason+s.show(op), "resource res_") {
					t.Errorf("the operation is %s: %q", v.State, v.Reason)
				}
				if got := s.rows("acme-prod", "orders"); got != 100 {
					t.Errorf("%d of 100 orders are left\n%s", got, s.show(op))
				}
			})
		}
	}
}

// What goes from the inventory once all is erased is missed by the certificate.
func TestForgedInventoryIsntCertified(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.fill("acme-prod", 100, 5)
	certify := s.Engine.Own[tenure.ActCertify]
	s.Engine.Own[tenure.ActCertify] = func(ctx context.Context, task *engine.Task) engine.Result {
		s.tamper(`delete from resource where type = 'store'`)
		return certify(ctx, task)
	}
	op := s.toDeletion("acme")
	s.pass(400 * day)
	v := s.view(op)
	if v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "resource res_") {
		t.Errorf("the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	if file, err := s.Certificate(t.Context(), string(v.Tenant), "interim"); err == nil {
		t.Errorf("there is a certificate: %s", file)
	}
}
