package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

func period(s string) tenure.Period {
	p, err := tenure.ParsePeriod(s)
	if err != nil {
		panic(err)
	}
	return p
}

var samePeriod = cmp.Comparer(func(a, b tenure.Period) bool { return a == b })

// waitingGate stores an operation of a tenant's whose gate waits since a moment.
func (f *fixture) waitingGate(t store.TenantRow, since time.Time, gate tenure.Gate) store.ApprovalWait {
	f.t.Helper()
	op := f.operation(request(t.ID, tenure.Onboard, 1))
	w := store.WaitAt(op.Operation, &tenure.Step{Key: "approve", Action: tenure.ActApproval, Gate: &gate}, tenure.BlastRadius{Resources: 3, Destructive: 1}, since)
	f.write(func(tx *store.Tx) error { return tx.AwaitApproval(w) })
	return w
}

func TestApprovalWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		acme, beta := f.tenant("acme"), f.tenant("beta")
		gate := tenure.Gate{
			Approvals: 2, From: []tenure.Quorum{{Role: tenure.Legal, Count: 1}}, Expires: period("P4D"), Remind: period("P1D"),
			Escalate: &tenure.Escalation{After: period("P2D"), Role: tenure.SecurityOfficer}, Rules: []string{"two"},
		}
		a := f.waitingGate(acme, start, gate)
		b := f.waitingGate(beta, start.Add(time.Hour), tenure.Gate{Approvals: 1})
		f.write(func(tx *store.Tx) error { return tx.AwaitApproval(a) }) // a second look changes nothing
		got, err := f.ApprovalWaits(ctx, a.Operation)
		f.must(err)
		if diff := cmp.Diff([]store.ApprovalWait{a}, got, samePeriod); diff != "" {
			t.Fatalf("read back (-want +got):\n%s", diff)
		}
		due := func(after time.Duration) (out [3]int) {
			expired, remind, escalate, err := f.DueWaits(ctx, start.Add(after), 10)
			f.must(err)
			return [3]int{len(expired), len(remind), len(escalate)}
		}
		day := 24 * time.Hour
		for after, want := range map[time.Duration][3]int{day - 1: {}, day: {0, 1, 0}, 2 * day: {0, 1, 1}, 4 * day: {1, 1, 1}} {
			if got := due(after); got != want {
				t.Errorf("after %s %v are due (expired, reminders, escalations), want %v", after, got, want)
			}
		}
		for range 2 {
			f.write(func(tx *store.Tx) error {
				if err := tx.NoteReminded(a.Operation, a.Step, start); err != nil {
					return err
				}
				return tx.NoteEscalated(a.Operation, a.Step, "role:security-officer", "nobody answered", start)
			})
		}
		if got := due(2 * day); got != [3]int{} {
			t.Errorf("what was noted is due again: %v", got)
		}
		noted, err := f.ApprovalWaits(ctx, a.Operation)
		f.must(err)
		if len(noted) != 1 || noted[0].EscalatedTo != "role:security-officer" || noted[0].Escalated != "nobody answered" {
			t.Errorf("the escalation is noted as %+v", noted)
		}

		gates := func(v store.Visible, since time.Time, op tenure.OperationID, step string) (out []string) {
			list, err := f.WaitingGates(ctx, v, since, op, step, 10)
			f.must(err)
			for _, g := range list {
				out = append(out, g.Name+" "+string(g.Op.Kind)+" "+g.Op.RequestedBy)
			}
			return out
		}
		both := []string{"acme onboard requester", "beta onboard requester"}
		if got := gates(store.All, time.Time{}, "", ""); !slices.Equal(got, both) {
			t.Errorf("gates: %q", got)
		}
		if got := gates(store.All, a.Since, a.Operation, a.Step); !slices.Equal(got, both[1:]) {
			t.Errorf("gates after the first: %q", got)
		}
		only := store.Visible{Reach: tenure.Scope{Tenants: []tenure.TenantID{beta.ID}}, Limit: tenure.Scope{All: true}}
		if got := gates(only, time.Time{}, "", ""); !slices.Equal(got, both[1:]) {
			t.Errorf("who sees beta alone is shown %q", got)
		}
		if got := gates(store.Visible{}, time.Time{}, "", ""); len(got) > 0 {
			t.Errorf("who sees nothing is shown %q", got)
		}
		f.write(func(tx *store.Tx) error { return tx.DropWait(b.Operation, "") })
		if got := gates(store.All, time.Time{}, "", ""); !slices.Equal(got, both[:1]) {
			t.Errorf("gates after one was dropped: %q", got)
		}
	})
}

func TestApprovalsKeepOnWhoseBehalfAndInWhichRoles(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		op := f.operation(request(f.tenant("acme").ID, tenure.Onboard, 1))
		want := []tenure.Approval{
			{Operation: op.ID, Step: "approve", Digest: "sha256:x", By: "a", At: start, For: "b", Roles: []tenure.Role{tenure.Approver, tenure.Legal}},
			{Operation: op.ID, Step: "approve", Digest: "sha256:x", By: "c", At: start, Note: "read"},
		}
		for _, a := range want {
			f.write(func(tx *store.Tx) error { return tx.Approve(a) })
		}
		got, err := f.Approvals(context.Background(), op.ID)
		f.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	})
}

// The reason for a cancellation goes with the tenant.
func TestReasonForTheEndIsForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		op := f.operation(request(ten.ID, tenure.Onboard, 1))
		f.write(func(tx *store.Tx) error { return tx.WantBecause(op.ID, "cancel", "rejected: secret words", start) })
		row, err := f.Operation(context.Background(), op.ID)
		f.must(err)
		if row.Wanted != "cancel" || row.Why != "rejected: secret words" {
			t.Fatalf("wanted %q because %q", row.Wanted, row.Why)
		}
		f.write(func(tx *store.Tx) error { _, err := tx.Forget(ten.ID, start); return err })
		if row, err = f.Operation(context.Background(), op.ID); err != nil || row.Why != "" {
			t.Errorf("after the tenant was forgotten: %q, %v", row.Why, err)
		}
	})
}

func TestStandingApprovals(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		st := tenure.Standing{
			ID: tenure.NewID[tenure.StandingID](start), State: tenure.StandingProposed, ProposedBy: "olga", ProposedAt: start, Digest: "sha256:r",
			Rule: tenure.StandingRule{Name: "sign-ups", Trigger: "shop:", Blueprint: "small", Tiers: []string{"team"}, MaxResources: 5, PerDay: 2, EndsAt: start.Add(time.Hour)},
		}
		f.write(func(tx *store.Tx) error { return tx.SaveStanding(st) })
		st.Version = 1
		st.State, st.Reviews = tenure.StandingActive, []tenure.StandingReview{{By: "a", Digest: "sha256:r", Roles: []tenure.Role{tenure.Legal}, At: start}}
		f.write(func(tx *store.Tx) error { return tx.SaveStanding(st) })
		err := f.Write(ctx, func(tx *store.Tx) error { return tx.SaveStanding(st) })
		refused(t, err, tenure.Conflict, "has changed")
		st.Version = 2
		got, err := f.StandingApproval(ctx, st.ID)
		f.must(err)
		if diff := cmp.Diff(st, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
		for at, want := range map[time.Time]int{start: 0, start.Add(time.Hour): 1} {
			over, err := f.DueStandings(ctx, at)
			f.must(err)
			if len(over) != want {
				t.Errorf("at %s %d are over, want %d", at, len(over), want)
			}
		}
		acme, beta := f.tenant("acme"), f.tenant("beta")
		var ops []tenure.OperationID
		for i, ten := range []tenure.TenantID{acme.ID, beta.ID} {
			op := f.operation(request(ten, tenure.Onboard, 1))
			ops = append(ops, op.ID)
			f.write(func(tx *store.Tx) error {
				return tx.SaveStandingStart(store.StandingStart{Standing: st.ID, Operation: op.ID, Tenant: ten, Resources: 3, At: start.Add(time.Duration(i) * time.Hour)})
			})
		}
		f.write(func(tx *store.Tx) error {
			for since, want := range map[time.Time]int{start.Add(-time.Second): 2, start: 1, start.Add(time.Hour): 0} {
				if n, err := tx.CountStarts(st.ID, since); err != nil || n != want {
					t.Errorf("%d starts since %s, want %d (%v)", n, since, want, err)
				}
			}
			return tx.SeeStandingStart(ops[0], "rita", start)
		})
		starts := func(flt store.StartFilter) (out []tenure.OperationID) {
			flt.Limit = 10
			list, err := f.StandingStarts(ctx, flt)
			f.must(err)
			for _, s := range list {
				out = append(out, s.Operation)
			}
			return out
		}
		only := store.Visible{Reach: tenure.Scope{Tenants: []tenure.TenantID{acme.ID}}, Limit: tenure.Scope{All: true}}
		for name, c := range map[string]struct {
			f    store.StartFilter
			want []tenure.OperationID
		}{
			"all":           {store.StartFilter{Visible: store.All}, ops},
			"unseen":        {store.StartFilter{Visible: store.All, Unseen: true}, ops[1:]},
			"visible":       {store.StartFilter{Visible: only}, ops[:1]},
			"none visible":  {store.StartFilter{}, nil},
			"early":         {store.StartFilter{Visible: store.All, Before: start.Add(time.Hour)}, ops[:1]},
			"another's":     {store.StartFilter{Visible: store.All, Standing: "std_x"}, nil},
			"after a start": {store.StartFilter{Visible: store.All, After: store.StandingStart{At: start, Operation: ops[0]}}, ops[1:]},
		} {
			if got := starts(c.f); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	})
}

func TestDelegations(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		d := tenure.Delegation{
			ID: tenure.NewID[tenure.DelegationID](start), From: "a", To: "b", Scope: tenure.Scope{Tiers: []string{"gold"}}, Reason: "on leave",
			StartsAt: start, EndsAt: start.Add(time.Hour), CreatedAt: start,
		}
		f.write(func(tx *store.Tx) error { return tx.SaveDelegation(d) })
		count := func(name string, at time.Time) [2]int {
			to, err := f.DelegationsTo(ctx, name, at)
			f.must(err)
			of, err := f.DelegationsOf(ctx, name, at)
			f.must(err)
			return [2]int{len(to), len(of)}
		}
		for name, want := range map[string][2]int{"a": {0, 1}, "b": {1, 1}, "c": {}} {
			if got := count(name, start); got != want {
				t.Errorf("%s has %v (to, of), want %v", name, got, want)
			}
		}
		for at, want := range map[time.Time][2]int{start.Add(-1000): {}, start.Add(time.Hour - 1000): {1, 1}, start.Add(time.Hour): {}} {
			if got := count("b", at); got != want {
				t.Errorf("at %s: %v, want %v", at, got, want)
			}
		}
		for range 2 { // who ended it first has
			f.write(func(tx *store.Tx) error { return tx.RevokeDelegation(d.ID, "a", start) })
		}
		f.write(func(tx *store.Tx) error { return tx.RevokeDelegation(d.ID, "b", start.Add(time.Minute)) })
		d.RevokedAt, d.RevokedBy = start, "a"
		list, err := f.Delegations(ctx, "b", true, start)
		f.must(err)
		if diff := cmp.Diff([]tenure.Delegation{d}, list); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
		if got := count("b", start); got != [2]int{} {
			t.Errorf("a revoked one stands: %v", got)
		}
		if list, err = f.Delegations(ctx, "b", false, start); err != nil || len(list) > 0 {
			t.Errorf("a revoked one is listed: %v, %v", list, err)
		}
	})
}

// TestWaitingTasks: a task that waits is told apart from a gate for signatures, and an
// operation of a store that didn't record tasks is found by what it says.
func TestWaitingTasks(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		acme := f.tenant("acme")
		gate := f.waitingGate(acme, start, tenure.Gate{Approvals: 1})
		op := f.operation(request(acme.ID, tenure.Onboard, 1))
		task := store.WaitAt(op.Operation, &tenure.Step{Key: "task/1", Action: tenure.ActTask, Gate: &tenure.Gate{Approvals: 1}}, tenure.BlastRadius{}, start)
		f.write(func(tx *store.Tx) error {
			if err := tx.AwaitApproval(task); err != nil {
				return err
			}
			_, err := tx.Exec(`update operation set state = 'waiting', reason = 'a person''s task: call them' where id = $1`, string(op.ID))
			return err
		})
		gates, err := f.WaitingGates(ctx, store.All, time.Time{}, "", "", 10)
		f.must(err)
		tasks, err := f.WaitingTasks(ctx, store.All, 10)
		f.must(err)
		if len(gates) != 1 || gates[0].Operation != gate.Operation || len(tasks) != 1 || tasks[0].Operation != op.ID || tasks[0].Name != "acme" {
			t.Errorf("gates %+v, tasks %+v", gates, tasks)
		}
		g, err := f.Gauges(ctx, start)
		f.must(err)
		if g.Waiting != 1 {
			t.Errorf("%d gates wait for signatures, want 1", g.Waiting)
		}
		for _, recorded := range []bool{true, false} {
			if !recorded {
				f.write(func(tx *store.Tx) error { return tx.DropWait(op.ID, "") })
			}
			ids, err := f.UnrecordedWaits(ctx)
			f.must(err)
			if slices.Contains(ids, op.ID) == recorded {
				t.Errorf("recorded is %v: unrecorded are %v", recorded, ids)
			}
		}
	})
}
