package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Waits for ever: a payment withdraws a departure that was approved, and the tenant stays
// between two states; the end of its subscription is ignored then.
func TestEventsWithdrawnInLimbo(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{time.Minute, 16 * day} {
		t.Run(after.String(), func(t *testing.T) {
			f := breaking(t)
			f.acme()
			f.lapse("cus_1")
			f.pass(15 * day)
			f.work()
			op := f.want(store.InboundActed, "offboard").Operation
			f.approve(op)
			f.pass(after)
			settle(t, f.s)
			f.bill("p", "invoice.paid", "cus_1", f.now())
			f.work()
			f.pass(100 * day)
			f.work()
			v, err := f.s.Operation(t.Context(), op)
			f.must(err)
			tn, err := f.s.Tenant(t.Context(), "acme")
			f.must(err)
			f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
			f.work()
			f.tell()
			ops, _ := f.s.Engine.DB.Operations(t.Context(), store.OperationFilter{Tenant: tn.ID})
			for _, o := range ops {
				t.Logf("%s %s %s", o.Kind, o.State, o.Reason)
			}
			if tn.State != tenure.TenantActive && v.State == tenure.OperationCancelled {
				t.Errorf("the departure is %s and acme is %s a hundred days later, though it has paid: %s", v.State, tn.State, f.found("p").Why)
			}
			if e := f.found("gone"); e.State == store.InboundIgnored {
				t.Errorf("no departure is under way, and the end of the subscription is %s: %s", e.State, e.Why)
			}
		})
	}
}

// Brings a leaver back: who was known by an external id alone, and whoever had it leave.
func TestEventsLeaverAfterClosure(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"an event", "a person"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			f := breaking(t)
			f.person(client.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Parameters: map[string]any{"login": "a@b.example"}})
			f.know("acme", "cus_1")
			f.pass(time.Hour)
			before := f.now().Add(-time.Minute)
			var op tenure.OperationID
			if by == "a person" {
				_, row, err := f.s.Request(t.Context(), lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "they asked"}, "olga") // neither of those who approve it
				f.must(err)
				op = row.ID
			} else {
				f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
				f.work()
				op = f.want(store.InboundActed, "offboard").Operation
			}
			f.close(op)
			f.deal("late", "cus_1", "Acme", "cus_1x", before) // from before it left, and late
			f.deal("other", "deal-9", "Acme", "cus_1", before)
			f.bill("seats", "customer.subscription.deleted", "cus_1", before)
			f.work()
			f.tell()
			for _, id := range []string{"late", "other"} {
				if e := f.found(id); e.State == store.InboundActed || e.State == store.InboundReceived {
					t.Errorf("acme has left and closed, and a deal from before that is %s: %s", e.State, e.Why)
				}
			}
			if e := f.found("seats"); e.State != store.InboundIgnored || e.Tenant == "" {
				t.Errorf("an event of a tenant that has closed is %s: %s", e.State, e.Why)
			}
		})
	}
}

// close has a departure go on until its tenant is closed.
func (f *feed) close(op tenure.OperationID) {
	f.t.Helper()
	for range 20 {
		v, err := f.s.Operation(f.t.Context(), op)
		f.must(err)
		if v.State == tenure.OperationSucceeded {
			return
		}
		for _, who := range []*client.Client{f.rita, f.author} {
			p := client.GateParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(op)}}}
			p.Body.Digest = v.Plan
			_, _ = client.ApproveOperation.Call(f.t.Context(), who, p) // where it waits for one
		}
		settle(f.t, f.s)
		f.pass(20 * day)
		settle(f.t, f.s)
	}
	v, err := f.s.Operation(f.t.Context(), op)
	f.t.Fatalf("the departure is %s: %s (%v)", v.State, v.Reason, err)
}

// Without an explanation: an incident that comes after a later one of the same subject isn't noted.
func TestEventsIncidentOutOfOrder(t *testing.T) {
	t.Parallel()
	f := breaking(t, "  - name: gone", "  - {name: trouble, source: crm, on: [trouble], customer: \"${data.deal}\", incident: {id: \"${data.id}\", severity: high, detail: it burns}}\n  - name: gone")
	f.acme()
	at := f.now()
	f.pass(time.Hour)
	for n, when := range []time.Time{at.Add(time.Minute), at} {
		f.crm(fmt.Sprintf(`{"id":"trouble-%d","type":"trouble","deal":"deal-77","at":%q}`, n, when.Format(time.RFC3339)))
		f.work()
	}
	f.tell()
	list, err := client.ListIncidents.Call(t.Context(), f.rita, client.TenantParams{Tenant: "acme"})
	f.must(err)
	if len(list) != 2 {
		t.Errorf("%d of two incidents are noted", len(list))
	}
	fleet, err := client.ShowFleet.Call(t.Context(), f.rita, client.None{})
	f.must(err)
	if fleet.Onboarding.Incidents != 1 {
		t.Errorf("the fleet's figure has %d tenants with an incident within 30 days, of one whose incidents events told", fleet.Onboarding.Incidents)
	}
}

// Out of order: without a subject, what happened earlier and comes late counts.
func TestEventsStaleChangeWithoutSubject(t *testing.T) {
	t.Parallel()
	f := breaking(t, "  - name: gone", "  - {name: more, source: crm, on: [seats], customer: \"${data.who}\", change: {parameters: {seats: \"${data.seats}\"}}}\n  - name: gone")
	f.acme()
	at := f.now()
	f.pass(time.Hour)
	f.crm(fmt.Sprintf(`{"id":"s2","type":"seats","who":"deal-77","at":%q,"seats":9}`, at.Add(time.Minute).Format(time.RFC3339)))
	f.work()
	f.crm(fmt.Sprintf(`{"id":"s1","type":"seats","who":"deal-77","at":%q,"seats":3}`, at.Format(time.RFC3339)))
	f.work()
	f.tell()
	row, err := f.s.Engine.DB.Tenant(t.Context(), "acme")
	f.must(err)
	if !strings.Contains(string(row.Parameters), `"seats":9`) {
		t.Errorf("acme has %s, as it was a minute before", row.Parameters)
	}
}

// Loses a departure, for a while: a withdrawal counts as a departure that was started.
func TestEventsWithdrawalCountsAsDeparture(t *testing.T) {
	t.Parallel()
	f := newFeedOf(t, strings.Replace(client.SubmitBlueprint.Example, "onboard: 1", "onboard: 0", 1), strings.Replace(eventRules, `, domains: ["acme.example"]`, "", 1))
	f.acme()
	f.deal("w2", "deal-78", "Birch", "cus_2", f.now())
	f.work()
	f.lapse("cus_1")
	f.pass(15 * day)
	f.work()
	f.want(store.InboundActed, "offboard acme")
	f.pass(2 * time.Hour)
	f.bill("p", "invoice.paid", "cus_1", f.now())
	f.work()
	f.pass(time.Minute)
	f.bill("gone", "customer.subscription.deleted", "cus_2", f.now())
	f.work()
	f.tell()
	if e := f.found("gone"); e.State == store.InboundHeld {
		t.Errorf("no departure was started within the hour, and birch's is held: %s", e.Why)
	}
}

// Starts what it shouldn't: a condition that is too costly for what was sent lets the next rule decide.
func TestEventsCostlyCondition(t *testing.T) {
	t.Parallel()
	f := breaking(t, "  - name: gone", "  - {name: costly, source: crm, on: [costly], when: \"data.a.all(x, data.a.all(y, data.a.all(z, x != y || y != z || x == z)))\", customer: \"${data.deal}\", ignore: {reason: none}}\n  - {name: guarded, source: crm, on: [costly], customer: \"${data.deal}\", offboard: {}}\n  - name: gone")
	f.acme()
	f.crm(fmt.Sprintf(`{"id":"c","type":"costly","deal":"deal-77","at":%q,"a":[1%s]}`, f.now().Format(time.RFC3339), strings.Repeat(",1", 5000)))
	f.work()
	f.tell()
	if f.departures("acme") > 0 {
		t.Errorf("a condition that is too costly for the data is no match, and the rule after it has acme leave")
	}
}
