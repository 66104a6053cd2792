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
	s.passTimes(5, 200*day, op)
	s.wantState(op, tenure.OperationSucceeded)
}

// The customer reads what there was of each class, what went, from where and on
// which day: not one sum for a store of several classes.
func TestCertificateCountsByClass(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"rows", "store"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			op := s.classes(typ, 50)
			cut := s.Now()
			s.passTimes(3, 15*day, op)
			s.wantState(op, tenure.OperationSucceeded)
			d := s.paper(op, "closing")
			if len(d.Classes) != 3 {
				t.Fatalf("the classes are %+v", d.Classes)
			}
			for i, c := range d.Classes {
				n := int64(50 * (i + 1))
				if c.Rows != n || len(c.Stores) != 1 || c.Verdict != tenure.Verified {
					t.Errorf("%s: %d rows from %d stores, %s", c.Class, c.Rows, len(c.Stores), c.Verdict)
				}
				if soonest := cut.Add(time.Duration(10*(i+1)) * day); c.At.Before(soonest) || c.At.After(d.Issued) || i > 0 && !c.At.After(d.Classes[i-1].At) {
					t.Errorf("%s went at %s, not before %s; the paper is of %s", c.Class, c.At, soonest, d.Issued)
				}
				p := c.Stores[0]
				if p.Before != p.Gone || p.Before.Rows != n || p.Before.Bytes == 0 || p.Counted.IsZero() || p.Counted.After(p.At) || p.AtLeast {
					t.Errorf("%s: %+v", c.Class, p)
				}
			}
			s.audited()
		})
	}
}

// What is gone without a call of Tenure's is said to be seen absent, not to be deleted. Where
// lists are all that tells, a person sees to it first.
func TestCertificateOfWhatWasGone(t *testing.T) {
	t.Parallel()
	for name, listed := range map[string]bool{"a catalog": false, "lists": true, "lists, after a failure": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *lifecycle.Options) { o.Catalog[0].Listed = listed })
			s.onboard("acme")
			tv, err := s.Tenant(context.Background(), "acme")
			s.must(err)
			op := s.leave("acme")
			var gone string
			for _, r := range tv.Resources {
				if r.Type == "account" {
					gone = string(r.ID)
					s.world.Remove(r.Type, r.Name)
					if strings.HasSuffix(name, "failure") { // it isn't the first attempt that sees that it is gone
						s.world.Inject(memory.Fault{Call: "delete", Type: r.Type, Name: r.Name, Times: 1})
					}
					break
				}
			}
			if listed {
				s.passTimes(5, 200*day, op)
				s.wantState(op, tenure.OperationBlocked)
				if text := s.show(op); !strings.Contains(text, "isn't listed any more, and Tenure didn't remove it") {
					t.Errorf("it is blocked by\n%s", text)
				}
				_, err := s.Retry(context.Background(), op, "", "operator")
				s.must(err)
			}
			s.through(op)
			methods := map[evidence.Method]int{}
			for _, r := range s.paper(op, "closing").Resources {
				if methods[r.Method]++; (string(r.ID) == gone) != (r.Method == evidence.Validated) || r.Verdict != tenure.Verified {
					t.Errorf("%s %s is %s, %s", r.Type, r.ID, r.Method, r.Verdict)
				}
			}
			if methods[evidence.Validated] != 1 || methods[evidence.LogicallyDeleted] == 0 {
				t.Errorf("by method: %v", methods)
			}
		})
	}
}

// A removal whose answer was lost asks nobody, also where lists are all that tells.
func TestLostRemovalAsksNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) { o.Catalog[0].Listed = true })
	s.onboard("acme")
	op := s.leave("acme")
	s.world.Inject(memory.Fault{Call: "delete", Type: "account", Times: 1, DropAnswer: true})
	s.through(op)
}

// Rows that an application wrote after the deletion go once more, confirmed anew;
// the tenant doesn't close over them.
func TestRowsThatComeLateGoOnceMore(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 5)
	var late atomic.Bool
	late.Store(true)
	s.places(func(v connector.Survey) []connector.Place {
		if v.Gone && v.Ref.Name == "acme-data" && late.Load() {
			return []connector.Place{{Name: "m.orders", Class: "aa", Rows: 2}}
		}
		return nil
	})
	for range 3 {
		s.pass(15 * day)
		s.confirmIll(op)
		s.pass(time.Hour)
	}
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
	if rounds == 0 {
		t.Error("the certificate doesn't tell that a class went once more")
	}
	s.audited()
}

// An application that goes on writing is named, and no certificate is issued over it.
func TestApplicationThatWritesOnIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 5)
	s.places(func(v connector.Survey) []connector.Place {
		if v.Gone && v.Ref.Name == "acme-data" {
			return []connector.Place{{Name: "m.orders", Class: "aa", Rows: 1}}
		}
		return nil
	})
	s.passTimes(8, 200*day, op)
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
	s.passTimes(3, 200*day, op)
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
		_, err := tx.Exec(`update resource set state = 'unknown', verdict = verdict, expires_at = expires_at where id = $1`, string(id))
		return err
	}
	s.places(func(v connector.Survey) []connector.Place {
		if v.Gone && s.state(string(s.view(op).Tenant)) == tenure.TenantAwaitingExpiry {
			s.must(s.db.Write(ctx, spoil))
		}
		return nil
	})
	s.passTimes(4, 200*day, op)
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "resource:"+string(id)) {
		t.Errorf("the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	if d := s.paper(op, "interim"); len(d.Exceptions) != 1 || d.Exceptions[0].What != "step:prod/store/export" {
		t.Errorf("the exceptions are %+v", d.Exceptions)
	}
}
