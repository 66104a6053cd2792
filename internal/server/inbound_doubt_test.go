package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Starts what it shouldn't: a payment that fails and succeeds within a second, in either order.
func TestEventsPaidAndFailedInOneSecond(t *testing.T) {
	t.Parallel()
	states := map[tenure.TenantState]bool{}
	for _, order := range [][]string{{"invoice.payment_failed", "invoice.paid"}, {"invoice.paid", "invoice.payment_failed"}} {
		f := breaking(t, "payments: 2", "payments: 1")
		f.acme()
		at := f.now()
		for n, kind := range order {
			f.bill(fmt.Sprint("x", n), kind, "cus_1", at)
			f.work()
		}
		f.tell()
		tn, err := f.s.Tenant(t.Context(), "acme")
		f.must(err)
		states[tn.State] = true
	}
	if len(states) > 1 {
		t.Errorf("the same two events lead to %v, by the order in which they came", states)
	}
}

// Loses a departure: a revision without rules, or one whose rule comes back, in a grace.
func TestEventsRulesGoneForAMoment(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.lapse("cus_1")
	f.publish(f.author, "apiVersion: tenure.dev/v1\nkind: Triggers\nname: billing\nversion: \"2\"\nas: feed\nrules: []\n")
	f.pass(15 * day)
	f.work()
	e := f.want(store.InboundHeld, "isn't in force any more")
	f.publishAs("3")
	if _, err := f.events.Replay(t.Context(), e.ID, "rita"); err != nil {
		t.Fatal(err)
	}
	f.work()
	f.tell()
	if f.departures("acme") == 0 {
		t.Errorf("the grace ended while the rules were out of force, and acme stays suspended for ever")
	}
}

// Without an explanation: a machine that may nothing is told that the tenant doesn't exist.
func TestEventsForbiddenMachineIsTold(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	_, err := governorOf(f.s).DisablePrincipal(t.Context(), "feed", true, 0, "test")
	f.must(err)
	f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
	f.work()
	if e := f.found("gone"); strings.Contains(e.Why, "there is no tenant") {
		t.Errorf("feed is disabled, and the event says: %s", e.Why)
	}
}

// Brings a leaver back: the digest of a key that an onboarding brought says nothing of the end,
// also once the tenant is closed.
func TestEventsLeaverByAnotherDealAfterClosure(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	before := f.now().Add(-time.Minute)
	f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
	f.work()
	f.close(f.want(store.InboundActed, "offboard").Operation)
	f.deal("late", "deal-78", "Acme", "cus_1", before)
	f.work()
	f.tell()
	if e := f.found("late"); e.State == store.InboundActed {
		t.Errorf("cus_1 has left, its tenant is closed, and a deal from before that is %s: %s", e.State, e.Why)
	}
}

// Waits for ever: a row of what is known of a customer that can't be read stops all events.
func TestEventsOneForgedCustomerStopsAll(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.deal("w2", "deal-78", "Birch", "cus_2", f.now())
	f.work()
	acme, err := f.s.Engine.DB.Tenant(t.Context(), "acme")
	f.must(err)
	f.past(fmt.Sprintf(`update trigger_customer set failures = 'x' where tenant = '%s'`, acme.ID))
	f.pass(time.Hour)
	f.bill("g1", "customer.subscription.deleted", "cus_1", f.now())
	var errs []error
	for n := range 120 {
		f.bill(fmt.Sprint("x", n), "invoice.paid", "cus_1", f.now())
	}
	f.bill("g2", "customer.subscription.deleted", "cus_2", f.now())
	for range 5 {
		errs = append(errs, f.events.Work(context.Background()))
		f.pass(10 * day)
	}
	t.Log(errs[0])
	for _, id := range []string{"g1", "g2"} {
		if e := f.found(id); e.State == store.InboundReceived {
			t.Errorf("%s is %s after a month: %q", id, e.State, e.Why)
		}
	}
}
