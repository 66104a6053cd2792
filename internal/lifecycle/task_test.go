package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
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
		for who, want := range map[string][]string{"operator": {"task/1"}, "dora": {"task/1"}, "second": {"task/1", "task/2"}} {
			if got := s.tasks(everywhere(who, tenure.Operator), op); !slices.Equal(got, want) {
				t.Errorf("the inbox of %s holds the tasks %q, want %q", who, got, want)
			}
		}
		if got := s.tasks(everywhere("viewer", tenure.Viewer, tenure.Approver), op); got != nil {
			t.Errorf("who can't confirm a task has %q in the inbox", got)
		}
		_, err := s.FinishTask(ctx, op, "task/1", "operator", "") // anybody may
		s.must(err)
		for _, who := range []string{"operator", "Operator", "robot", "dora"} {
			_, err := s.FinishTask(ctx, op, "task/2", who, "")
			wantCode(t, err, tenure.Forbidden, "another person")
			if by == "robot" && tenure.SamePerson(who, "operator") {
				wantCode(t, err, tenure.Forbidden, "operator answers for robot, which requested this operation")
			}
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
		if got := s.tasks(everywhere("second", tenure.Operator), op); got != nil {
			t.Errorf("when they are done the inbox holds %q", got)
		}
	}
	s.audited()
}

// tasks are those of an operation that somebody's inbox holds.
func (s *site) tasks(c tenure.Caller, op tenure.OperationID) (gates []string) {
	s.t.Helper()
	items, _, err := s.Inbox(context.Background(), c, "", 0)
	s.must(err)
	n, _, err := s.InboxCount(context.Background(), c)
	s.must(err)
	if n != len(items) {
		s.t.Errorf("%d are counted, %d listed", n, len(items))
	}
	for _, i := range items {
		if i.Kind != "task" || i.ID != string(op) {
			continue
		}
		if want := map[string]string{"task/1": "Enter the customer", "task/2": "Check the contract"}[i.Gate]; !strings.Contains(i.Summary, want) {
			s.t.Errorf("%s reads %q", i.Gate, i.Summary)
		}
		gates = append(gates, i.Gate)
	}
	return gates
}
