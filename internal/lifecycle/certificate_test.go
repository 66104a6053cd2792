package lifecycle_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// paper fetches a certificate and verifies it, as who gets it would.
func (s *site) paper(op tenure.OperationID, kind string) evidence.Departure {
	s.t.Helper()
	file, err := s.Certificate(context.Background(), string(s.view(op).Tenant), kind)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.show(op))
	}
	key, err := s.VerifierKey()
	s.must(err)
	rep, err := evidence.Verify(file, key)
	s.must(err)
	return rep.Departure
}

// through lets time pass and persons confirm until the operation has ended.
func (s *site) through(op tenure.OperationID) {
	s.t.Helper()
	for range 5 {
		s.pass(200 * day)
		s.finish(op)
	}
	s.wantState(op, tenure.OperationSucceeded)
}

// The customer reads what there was of each class, what went, from where and on
// which day: not one sum for a store of several classes.
func TestCertificateCountsByClass(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.fill("acme-prod", 100, 300)
	s.fill("acme-test", 7, 0)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	cut := s.Now()
	s.through(op)
	d := s.paper(op, "closing")
	went := map[string]int64{"orders": 107, "invoices": 300}
	after := map[string]time.Duration{"orders": 30 * day, "invoices": 365 * day}
	if len(d.Classes) != 2 {
		t.Fatalf("the classes are %+v", d.Classes)
	}
	for _, c := range d.Classes {
		if c.Rows != went[c.Class] || len(c.Stores) != 2 || c.Verdict != tenure.Verified {
			t.Errorf("%s: %d rows from %d stores, %s", c.Class, c.Rows, len(c.Stores), c.Verdict)
		}
		if c.At.Before(cut.Add(after[c.Class])) || c.At.After(d.Issued) {
			t.Errorf("%s went at %s; access was cut at %s, and the paper is of %s", c.Class, c.At, cut, d.Issued)
		}
		for _, p := range c.Stores {
			if p.Before != p.Gone || p.Counted.IsZero() || p.Counted.After(p.At) || !strings.Contains(p.Step, "/erase/"+c.Class) || p.AtLeast {
				t.Errorf("%s: %+v", c.Class, p)
			}
		}
	}
	if d.Classes[0].At.Equal(d.Classes[1].At) {
		t.Error("two classes whose clocks differ went at the same moment")
	}
	s.audited()
}

// Rows that an application wrote after the deletion go once more, confirmed anew;
// the tenant doesn't close over them.
func TestRowsThatComeLateGoOnceMore(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.fill("acme-prod", 5, 0)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	var late atomic.Bool
	late.Store(true)
	s.places(func(v connector.Survey) []connector.Place {
		if v.Gone && v.Ref.Name == "acme-prod" && late.Load() {
			return []connector.Place{{Name: "m.orders", Class: "orders", Rows: 2}}
		}
		return nil
	})
	s.pass(40 * day)
	s.confirm(op)
	s.pass(400 * day)
	s.confirm(op)
	s.pass(time.Hour)
	v := s.view(op)
	if v.State == tenure.OperationSucceeded || !strings.Contains(s.show(op), "2 rows in m.orders") {
		t.Fatalf("late rows aren't named: %s %q\n%s", v.State, v.Reason, s.show(op))
	}
	late.Store(false)
	s.through(op)
	rounds := 0
	for _, c := range s.paper(op, "closing").Classes {
		for _, p := range c.Stores {
			rounds += p.Rounds
		}
	}
	if rounds != 1 {
		t.Errorf("the certificate tells of %d further rounds, want 1", rounds)
	}
	s.audited()
}

// An application that goes on writing is named, and no certificate is issued over it.
func TestApplicationThatWritesOnIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	s.places(func(v connector.Survey) []connector.Place {
		if v.Gone && v.Ref.Name == "acme-prod" {
			return []connector.Place{{Name: "m.orders", Class: "orders", Rows: 1}}
		}
		return nil
	})
	for range 8 {
		s.pass(200 * day)
		s.finish(op)
	}
	v := s.view(op)
	if v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "m.orders") || !strings.Contains(s.show(op), "still writes") {
		t.Errorf("the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	if _, err := s.Certificate(context.Background(), string(v.Tenant), "closing"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a closing certificate: %v", err)
	}
}

// A place that no class covers is left by nobody: it blocks the last reconciliation.
func TestLeftInNoClassBlocks(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	s.places(func(v connector.Survey) []connector.Place {
		if v.Gone {
			return []connector.Place{{Name: "extra.notes", Rows: 3, Blocks: true}}
		}
		return nil
	})
	for range 3 {
		s.pass(200 * day)
		s.finish(op)
	}
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "extra.notes") {
		t.Errorf("the operation is %s: %q", v.State, v.Reason)
	}
}

// Two persons skip an export. That doesn't excuse a database that is still there.
func TestExceptionExcusesNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.world.Inject(memory.Fault{Call: "export", Name: "acme-prod", Err: tenure.Errorf(tenure.Forbidden, "the customer wants none"), Times: 1})
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	for _, by := range []string{"operator", "counsel"} {
		_, err := s.Skip(ctx, op, "prod/store/export", "the customer wants none", by)
		s.must(err)
	}
	var id tenure.ResourceID
	for _, r := range mustTenant(s, op).Resources {
		if r.Environment == "prod" && r.Key == "store" {
			id = r.ID
		}
	}
	// The store turns out to be there when the tenant awaits its expiry.
	spoil := func(tx *store.Tx) error {
		_, err := tx.Exec(`update resource set state = 'unknown' where id = $1`, string(id))
		return err
	}
	s.places(func(v connector.Survey) []connector.Place {
		if v.Gone && s.state(string(s.view(op).Tenant)) == tenure.TenantAwaitingExpiry {
			s.must(s.db.Write(ctx, spoil))
		}
		return nil
	})
	for range 4 {
		s.pass(200 * day)
		s.finish(op)
	}
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "resource:"+string(id)) {
		t.Errorf("the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	if d := s.paper(op, "interim"); len(d.Exceptions) != 1 || d.Exceptions[0].What != "step:prod/store/export" {
		t.Errorf("the exceptions are %+v", d.Exceptions)
	}
}
