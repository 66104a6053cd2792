package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// watcher looks for anomalies in what happens at a site, as a server does.
func (s *site) watcher() *governance.Watcher {
	g := governance.New(governance.Options{DB: s.db, Now: s.options.Now, Entry: s.Entry})
	return g.Watcher()
}

// events lists the access events of a kind, the oldest first.
func (s *site) events(kind string) []store.AccessEvent {
	s.t.Helper()
	out, err := s.db.AccessEventsAfter(context.Background(), []string{kind}, time.Time{}, 100)
	s.must(err)
	return out
}

// TestAnomalyAsksForAnotherWord: while an anomaly of who requested an operation
// stands, its gate takes one more person than the plan says.
func TestAnomalyAsksForAnotherWord(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.Engine.Extra = s.watcher().ExtraApprovals
	now := s.options.Now()
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		for _, e := range []store.AccessEvent{
			{At: now.Add(-48 * time.Hour), Detail: tenure.ElevationAsked{Role: tenure.Operator, Scope: tenure.Scope{Tenants: []tenure.TenantID{"ten_1"}}}.String()},
			{At: now, Detail: tenure.ElevationAsked{Role: tenure.Operator, Scope: tenure.Scope{All: true}}.String()},
		} {
			e.Kind, e.Principal = tenure.EventElevation, "operator"
			if err := tx.NoteAccess(e); err != nil {
				return err
			}
		}
		return nil
	}))
	op := s.begin("acme", "small")
	s.settle()
	v := s.view(op)
	if v.State != tenure.OperationWaiting || !strings.Contains(v.Reason, "1 of 2 approvals") || !strings.Contains(v.Reason, "operator asks for an elevation over more than they ever did") {
		t.Fatalf("%s: %s", v.State, v.Reason)
	}
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Fatalf("made before another person looked: %q", left)
	}
	// Who lets the anomaly be wakes what it held shut, without waiting for a time.
	s.must(s.Waive(ctx, s.anomalies("elevation.scope")[0].ID, now.Add(8*day), "it was agreed", "security"))
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
	s.audited()
}

// TestAnomalyIsToldAtOnce: an anomaly that is seen while a gate waits is told by the
// operation, the inbox and the tenants list then, not when somebody has signed.
func TestAnomalyIsToldAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	w := s.watcher()
	s.Engine.Extra = w.ExtraApprovals
	s.onboard("acme")
	s.fill("acme-prod", 4, 2)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	for range 400 { // to the first point of no return
		if strings.Contains(s.view(op).Reason, "0 of 2 confirmations") {
			break
		}
		s.pass(day)
		s.settle()
	}
	if why := s.view(op).Reason; !strings.Contains(why, "0 of 2 confirmations") {
		t.Fatalf("it waits for no confirmations: %s", why)
	}
	now := s.Now()
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		for _, e := range []store.AccessEvent{
			{At: now.Add(-48 * time.Hour), Detail: tenure.ElevationAsked{Role: tenure.Operator, Scope: tenure.Scope{Tenants: []tenure.TenantID{"ten_1"}}}.String()},
			{At: now, Detail: tenure.ElevationAsked{Role: tenure.Operator, Scope: tenure.Scope{All: true}}.String()},
		} {
			e.Kind, e.Principal = tenure.EventElevation, "operator"
			if err := tx.NoteAccess(e); err != nil {
				return err
			}
		}
		return nil
	}))
	s.must(w.Tick(ctx, now))
	s.settle()
	if why := s.view(op).Reason; !strings.Contains(why, "0 of 3 confirmations") || !strings.Contains(why, "with 1 more than the plan says: finding") {
		t.Errorf("the operation says: %s", why)
	}
	if n, _ := s.next("acme"); !strings.HasPrefix(n.Who, "3 of any role") || !strings.Contains(n.Who, "1 more than the plan says, because finding") {
		t.Errorf("the tenants list says that it waits for %q", n.Who)
	}
	items, _, err := s.Inbox(ctx, everywhere("counsel", tenure.Legal), "", 0)
	s.must(err)
	if len(items) != 1 || items[0].Need != 3 || !strings.Contains(items[0].Missing, "because finding") {
		t.Errorf("the inbox holds %+v", items)
	}
}

// TestAnomalyLetBeOpensTheGate: who lets a finding be decides that the words given
// are enough.
func TestAnomalyLetBeOpensTheGate(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	asked := 1
	ends := s.options.Now().Add(30 * time.Minute)
	s.Engine.Extra = func(context.Context, tenure.Operation) (int, string, time.Time, error) {
		return asked, "a finding stands", ends, nil
	}
	op := s.begin("acme", "small")
	s.settle()
	s.wantState(op, tenure.OperationWaiting)
	asked = 0
	s.pass(time.Hour)
	s.wantState(op, tenure.OperationSucceeded)
	asked = 1
	if _, err := s.Approve(ctx, op, "approve", s.view(op).Plan, "third", ""); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("an open gate takes another word: %v", err)
	}
}

// TestWhatHappensIsNoted: what anomalies are found in is written down as it
// happens, and a hold released and its data erased on one day is seen.
func TestWhatHappensIsNoted(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.fill("acme-prod", 30, 5)
	ten, err := s.db.Tenant(ctx, "acme")
	s.must(err)
	h, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 1", Scope: tenure.HoldScope{Tenant: ten.ID}}, "counsel")
	s.must(err)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}, "operator")
	s.settle()
	s.pass(90 * time.Second)
	_, err = s.Approve(ctx, op, "", s.view(op).Plan, "reviewer", "")
	s.must(err)
	s.pass(14*day + 30*day + time.Hour)
	for _, by := range []string{"counsel", "second"} {
		_, err = s.ReleaseHold(ctx, h.ID, by)
		s.must(err)
	}
	if got := s.events(tenure.EventHoldRelease); len(got) != 1 || got[0].Principal != "second" || got[0].Detail != string(h.ID) {
		t.Errorf("releases: %+v", got)
	}
	if got := s.events(tenure.EventDestructive); len(got) != 1 || got[0].Principal != "operator" || got[0].Detail != string(tenure.Offboard) {
		t.Errorf("destructive plans: %+v", got)
	}
	approvals := s.events(tenure.EventApproval)
	if a, ok := tenure.ParseApprovalGiven(approvals[len(approvals)-1].Detail); !ok || a.Gate != tenure.ActApproval || a.Seconds != 90 {
		t.Errorf("approvals: %+v", approvals)
	}
	w := s.watcher()
	s.must(w.Tick(ctx, s.options.Now()))
	if got := s.anomalies("hold.erased"); len(got) != 0 {
		t.Fatalf("before anything was erased: %+v", got)
	}
	s.settle()
	s.confirm(op)
	s.must(w.Tick(ctx, s.options.Now()))
	got := s.anomalies("hold.erased")
	if len(got) != 1 || got[0].Tenant != ten.ID || !strings.Contains(got[0].Got, "hold released by second") {
		t.Fatalf("findings: %+v", got)
	}
	s.settle()
	if got := s.events(tenure.EventErase); len(got) != 1 || got[0].Principal != "operator" {
		t.Errorf("erasures: %+v", got)
	}
	s.must(w.Tick(ctx, s.options.Now()))
	if got := s.anomalies("hold.erased"); len(got) != 1 {
		t.Errorf("findings: %+v", got)
	}
}

func (s *site) anomalies(rule string) (out []tenure.Finding) {
	s.t.Helper()
	all, err := s.db.FindingsPage(context.Background(), store.FindingFilter{Kind: tenure.FindingAnomaly, Limit: 100})
	s.must(err)
	for _, f := range all {
		if f.Type == rule {
			out = append(out, f)
		}
	}
	return out
}
