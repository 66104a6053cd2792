package lifecycle_test

import (
	"context"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func local(name string) tenure.Caller { return tenure.Caller{Kind: tenure.CallerLocal, Name: name} }

// coveredBy makes a table notes stand in every store until an attribute covers it, with
// rows that go with their class, before the store is set aside.
func (s *site) coveredBy(class string) {
	s.places(func(v connector.Survey) []connector.Place {
		if v.Ref.Resource == "" || v.Gone {
			return nil
		}
		tables, _ := v.Ref.Attributes["tables"].(map[string]any)
		if tables["notes"] == class {
			if th, _ := s.world.Get(v.Ref.Type, v.Ref.Name); th.State == tenure.ResourceQuarantined {
				return nil
			}
			return []connector.Place{{Name: "notes", Class: class, Rows: 3}}
		}
		return []connector.Place{notes}
	})
}

// A table that a tenant made itself doesn't stop its exit: two persons cover it for
// this tenant alone, and nobody's revision changes.
func TestCoverForOneTenant(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.onboard("birch")
	s.coveredBy("orders")
	leave := lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}
	_, _, err := s.Request(ctx, leave, "operator")
	wantCode(t, err, tenure.Blocked, "notes in prod/store", "notes in test/store")

	add := tenure.Addition{Tables: map[string]string{"notes": "orders"}}
	for _, bad := range []struct {
		resource, reason string
		c                tenure.Addition
		want             tenure.Code
	}{
		{"prod/store", "x", tenure.Addition{}, tenure.Invalid},
		{"prod/store", " ", add, tenure.Invalid},
		{"prod/admin", "x", add, tenure.Invalid},
		{"prod/nothing", "x", add, tenure.NotFound},
		{"prod/store", "x", tenure.Addition{Tables: map[string]string{"notes": "letters"}}, tenure.Invalid},
	} {
		_, err := s.Cover(ctx, "acme", bad.resource, bad.c, bad.reason, "operator")
		wantCode(t, err, bad.want)
	}
	for _, env := range []string{"prod", "test"} {
		c, err := s.Cover(ctx, "acme", env+"/store", add, "the tenant made it", "operator")
		s.must(err)
		_, _, err = s.Request(ctx, leave, "operator")
		wantCode(t, err, tenure.Blocked, "notes in "+env+"/store")
		_, err = s.ReviewAddition(ctx, "acme", c.Digest, local("operator"))
		wantCode(t, err, tenure.Forbidden)
		_, err = s.ReviewAddition(ctx, "birch", c.Digest, local("reviewer"))
		wantCode(t, err, tenure.NotFound)
		_, err = s.ReviewAddition(ctx, "acme", c.Digest, local("reviewer"))
		s.must(err)
	}
	op := s.request(leave, "operator")
	s.approve(op, "reviewer")
	_, _, err = s.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "birch", AtOnce: true, Reason: "r"}, "operator")
	wantCode(t, err, tenure.Blocked, "notes in prod/store")
	s.passTimes(4, 200*day, op)
	s.wantState(op, tenure.OperationSucceeded)
	file, err := s.Certificate(ctx, string(s.view(op).Tenant), "closing")
	s.must(err)
	key, err := s.VerifierKey()
	s.must(err)
	rep, err := evidence.Verify(file, key)
	s.must(err)
	if len(rep.Departure.Additions) != 2 {
		t.Errorf("the certificate lists the additions %+v", rep.Departure.Additions)
	}
	s.audited()
}

// An addition stays with the tenant: a change, a repair and a drift look know of it.
func TestAdditionStaysThroughAChange(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.coveredBy("orders")
	for _, env := range []string{"prod", "test"} {
		c, err := s.Cover(ctx, "acme", env+"/store", tenure.Addition{Tables: map[string]string{"notes": "orders"}}, "r", "operator")
		s.must(err)
		_, err = s.ReviewAddition(ctx, "acme", c.Digest, local("reviewer"))
		s.must(err)
	}
	op := s.request(lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 9}}, "operator")
	s.wantState(op, tenure.OperationSucceeded)
	look, err := s.Drift(ctx, "acme")
	s.must(err)
	if len(look.Findings) > 0 {
		t.Errorf("after a change: %+v", look.Findings)
	}
}

// A plan that was signed before the addition goes by it, too.
func TestAdditionReachesADepartureUnderWay(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	for _, env := range []string{"prod", "test"} {
		c, err := s.Cover(ctx, "acme", env+"/store", tenure.Addition{Tables: map[string]string{"notes": "orders"}}, "r", "operator")
		s.must(err)
		_, err = s.ReviewAddition(ctx, "acme", c.Digest, local("reviewer"))
		s.must(err)
	}
	told := 0
	watch := func(r connector.Ref) {
		if tables, _ := r.Attributes["tables"].(map[string]any); tables["notes"] != "orders" {
			t.Errorf("%s is erased by the attributes %v", r.Name, r.Attributes)
		}
		told++
	}
	s.onErase.Store(&watch)
	s.passTimes(4, 200*day, op)
	s.wantState(op, tenure.OperationSucceeded)
	if told == 0 {
		t.Error("nothing was erased: this test proves nothing")
	}
	s.audited()
}
