package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// TestTasksOfAnOnboarding: a tenant isn't active before a person has said that each
// task of its onboarding is done, and the requester, a machine of theirs, who answers
// for the machine that requested, and who delegates to them don't say it of their own
// where the blueprint has another person say it.
func TestTasksOfAnOnboarding(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.publishText(strings.Replace(fmt.Sprintf(blueprintText, "1.2"), "\noffboarding:", "\nonboarding:\n  tasks:\n    - Enter the customer in the address book\n    - {task: Check the contract, confirmedBy: another}\noffboarding:", 1))
	now := s.Now()
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		for _, p := range []store.Principal{{Name: "operator", Kind: tenure.CallerPerson}, {Name: "robot", Kind: tenure.CallerMachine, Owner: "operator"}} {
			p.ID, p.CreatedAt = tenure.NewID[tenure.PrincipalID](now), now
			if err := tx.SavePrincipal(p); err != nil {
				return err
			}
		}
		return tx.SaveDelegation(tenure.Delegation{ID: tenure.NewID[tenure.DelegationID](now), From: "operator", To: "dora", Scope: tenure.Scope{All: true}, Reason: "leave", StartsAt: now, EndsAt: now.Add(30 * day), CreatedAt: now})
	}))
	for _, by := range []string{"operator", "robot"} {
		name := "of-" + by
		op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small@1.2", Tier: "team", Parameters: map[string]any{"login": "a@b.example"}}, by)
		s.approve(op, "reviewer")
		s.wantState(op, tenure.OperationWaiting)
		if got := s.state(name); got != tenure.TenantProvisioning {
			t.Fatalf("with its tasks undone the tenant is %s", got)
		}
		_, err := s.FinishTask(ctx, op, "task/1", "operator", "") // anybody may
		s.must(err)
		for _, who := range []string{"operator", "Operator", "robot", "dora"} {
			_, err := s.FinishTask(ctx, op, "task/2", who, "")
			wantCode(t, err, tenure.Forbidden, "another person")
		}
		s.settle()
		if got := s.state(name); got != tenure.TenantProvisioning {
			t.Fatalf("with one task undone the tenant is %s", got)
		}
		_, err = s.FinishTask(ctx, op, "task/2", "second", "seen")
		s.must(err)
		s.settle()
		s.wantState(op, tenure.OperationSucceeded)
		if got := s.state(name); got != tenure.TenantActive {
			t.Errorf("with its tasks done the tenant is %s", got)
		}
	}
	s.audited()
}
