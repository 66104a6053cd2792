package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// found is the event of a source's id.
func (f *feed) found(id string) store.Inbound {
	f.t.Helper()
	list, err := f.s.Engine.DB.Inbounds(f.t.Context(), store.InboundFilter{Limit: 1000})
	f.must(err)
	for _, e := range list {
		if e.ExternalID == id {
			return e
		}
	}
	f.t.Fatalf("there is no event %s", id)
	return store.Inbound{}
}

func (f *feed) publishAs(version string, edits ...string) {
	f.t.Helper()
	f.publish(f.author, strings.NewReplacer(append(edits, `version: "1"`, `version: "`+version+`"`, "departures: 1", "departures: 1000", `, domains: ["acme.example"]`, "")...).Replace(eventRules))
}

// Loses a departure: a hundred graces that ended and wait for a person hide all later ones.
func TestEventsHundredHeldGraces(t *testing.T) {
	t.Parallel()
	f := breaking(t, "departures: 1", "departures: 3", "payments: 2", "payments: 1")
	const all = 106
	for n := range all {
		f.deal(fmt.Sprint("w", n), fmt.Sprint("deal-", n), fmt.Sprint("Acme ", n), fmt.Sprint("cus_", n), f.now())
	}
	f.work()
	f.pass(time.Hour)
	for n := range all {
		f.bill(fmt.Sprint("f", n), "invoice.payment_failed", fmt.Sprint("cus_", n), f.now())
	}
	f.work()
	f.work()
	f.pass(15 * day)
	for range 5 {
		f.work()
		f.pass(time.Minute)
	}
	list, err := f.s.Engine.DB.Inbounds(t.Context(), store.InboundFilter{Source: "clock", Limit: 1000})
	f.must(err)
	states := map[store.InboundState]int{}
	for _, e := range list {
		states[e.State]++
	}
	held, err := f.s.Engine.DB.Inbounds(t.Context(), store.InboundFilter{Source: "clock", State: store.InboundHeld, Limit: 1000})
	f.must(err)
	for _, e := range held {
		_, err := f.events.Dismiss(t.Context(), e.ID, "they pay by cheque", "rita")
		f.must(err)
	}
	for range 5 {
		f.pass(2 * time.Hour)
		f.work()
	}
	list, err = f.s.Engine.DB.Inbounds(t.Context(), store.InboundFilter{Source: "clock", Limit: 1000})
	f.must(err)
	t.Logf("%v, and after all that are held were dismissed %d events", states, len(list))
	if len(list) != all {
		t.Errorf("%d of %d graces that are over made an event", len(list), all)
	}
}

// Acts for the wrong tenant: what is known of a customer, written behind the program's back.
func TestEventsForgedCustomer(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.deal("w2", "deal-78", "Birch", "cus_2", f.now())
	f.work()
	acme, err := f.s.Engine.DB.Tenant(t.Context(), "acme")
	f.must(err)
	birch, err := f.s.Engine.DB.Tenant(t.Context(), "birch")
	f.must(err)
	f.past(fmt.Sprintf(`update trigger_customer set tenant = '%s' where tenant = '%s' and key <> '%s'`, acme.ID, birch.ID, birch.ID))
	f.pass(time.Hour)
	f.bill("gone", "customer.subscription.deleted", "cus_2", f.now())
	f.work()
	f.tell()
	if f.departures("acme") > 0 {
		t.Errorf("acme leaves, as the forged row says, and birch's subscription ended")
	}
}

// Starts what it shouldn't: a grace that was written behind the program's back.
func TestEventsForgedGrace(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.lapse("cus_1")
	f.past(fmt.Sprintf(`update trigger_customer set grace_until = %d where grace_until > 0`, f.now().Add(-time.Second).UnixMicro()))
	f.work()
	f.tell()
	if f.departures("acme") > 0 {
		t.Errorf("acme leaves at once: its grace was moved behind the program's back")
	}
}

// Starts what it shouldn't: an old revision is put in force behind the program's back.
func TestEventsForgedRevision(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.pass(time.Hour)
	f.publishAs("2", "offboard: {}", "ignore: {reason: we ask first}")
	f.bill("g1", "customer.subscription.deleted", "cus_1", f.now())
	f.work()
	f.want(store.InboundIgnored, "we ask first")
	f.past(`update trigger_revision set published_at = published_at + 86400000000 where version = '1'`)
	f.bill("g2", "customer.subscription.deleted", "cus_1", f.now())
	err := f.events.Work(context.Background())
	f.tell()
	if f.departures("acme") > 0 {
		t.Errorf("acme leaves by a revision that was replaced (%v)", err)
	}
}

// Starts what it shouldn't: the revision in force is deleted behind the program's back.
func TestEventsDeletedRevision(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.pass(time.Hour)
	f.publishAs("2", "offboard: {}", "ignore: {reason: we ask first}")
	f.past(`delete from trigger_revision where version = '2'`)
	f.shut()
	f.open()
	f.bill("g2", "customer.subscription.deleted", "cus_1", f.now())
	err := f.events.Work(context.Background())
	f.tell()
	if f.departures("acme") > 0 {
		t.Errorf("acme leaves by a revision that was replaced (%v)", err)
	}
}

// Waits for ever, without an explanation: one set of rules that isn't as the log says stops
// those that are.
func TestEventsOneForgedSetStopsAll(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.publish(f.author, "apiVersion: tenure.dev/v1\nkind: Triggers\nname: other\nversion: \"1\"\nas: feed\nrules: []\n")
	f.past(`update trigger_revision set body = body || ' ' where name = 'other'`)
	f.shut()
	f.open()
	f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
	err := f.events.Work(context.Background())
	f.pass(30 * day)
	err2 := f.events.Work(context.Background())
	if e := f.found("gone"); e.State == store.InboundReceived {
		t.Errorf("the event is %s with the reason %q after a month (%v, %v)", e.State, e.Why, err, err2)
	}
}

// Loses a departure: the subscription ends while the onboarding waits for its approval, over
// a long weekend.
func TestEventsEndsBeforeApproval(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.won("e1", 1, f.now())
	f.work()
	op := f.want(store.InboundActed, "onboard").Operation
	f.pass(time.Hour)
	f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
	for range 72 {
		f.pass(time.Hour)
		f.work()
	}
	f.tell()
	_ = op
	if tn, err := f.s.Tenant(t.Context(), "acme"); err == nil && tn.State == tenure.TenantActive && f.departures("acme") == 0 {
		t.Errorf("acme came to be three days after its subscription had ended, and nothing has it leave; the event is %s", f.found("gone").State)
	}
}

// Out of order: what is decided under two keys of one customer.
func TestEventsOrderOfTwoKeys(t *testing.T) {
	t.Parallel()
	f := breaking(t, "  - name: gone", "  - name: seats2\n    source: crm\n    on: [seats]\n    customer: ${data.deal}\n    change: {parameters: {seats: \"${data.seats}\"}}\n  - name: gone")
	f.acme()
	// Something is under way at acme.
	in := client.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 3}}
	var p client.OperationRequest
	p.Body.Intent = in
	_, err := client.RequestOperation.Call(t.Context(), f.author, p)
	f.must(err)
	f.crm(fmt.Sprintf(`{"id":"s1","type":"seats","deal":"deal-77","at":%q,"seats":5}`, f.now().Format(time.RFC3339)))
	f.must(f.events.Work(t.Context()))
	t.Log(f.found("s1").State, f.found("s1").Why)
	settle(t, f.s)
	f.pass(time.Second)
	f.bill("s2", "customer.subscription.updated", "cus_1", f.now()) // 9, and later
	f.must(f.events.Work(t.Context()))
	settle(t, f.s)
	for range 10 {
		f.pass(time.Minute)
		f.work()
	}
	f.tell()
	row, err := f.s.Engine.DB.Tenant(t.Context(), "acme")
	f.must(err)
	if !strings.Contains(string(row.Parameters), `"seats":9`) {
		t.Errorf("acme has %s: what came first was decided last", row.Parameters)
	}
}

// Out of order: two rules that read the same subject don't know of each other's versions.
func TestEventsVersionsAcrossRules(t *testing.T) {
	t.Parallel()
	f := breaking(t, "  - name: gone", "  - {name: up, source: crm, on: [seats], when: data.seats > 5, customer: \"${data.deal}\", change: {parameters: {seats: \"${data.seats}\"}}}\n  - {name: down, source: crm, on: [seats], customer: \"${data.deal}\", change: {parameters: {seats: \"${data.seats}\"}}}\n  - name: gone")
	f.acme()
	at := f.now().Format(time.RFC3339)
	f.crm(fmt.Sprintf(`{"id":"s2","type":"seats","deal":"deal-77","version":"2","at":%q,"seats":9}`, at))
	f.work()
	f.crm(fmt.Sprintf(`{"id":"s1","type":"seats","deal":"deal-77","version":"1","at":%q,"seats":3}`, at))
	f.work()
	f.tell()
	row, err := f.s.Engine.DB.Tenant(t.Context(), "acme")
	f.must(err)
	if !strings.Contains(string(row.Parameters), `"seats":9`) {
		t.Errorf("acme has %s: version 1 of deal-77 overrode version 2", row.Parameters)
	}
}

// Loses a departure: failed payments of one invoice that come in another order count as one.
func TestEventsFailuresOutOfOrder(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	begin := f.now()
	f.pass(3 * day)
	say := func(id string, at time.Time) {
		body := fmt.Sprintf(`{"id":%q,"type":"invoice.payment_failed","created":%d,"data":{"object":{"id":"in_1","customer":"cus_1"}}}`, id, at.Unix())
		tt := fmt.Sprint(f.now().Unix())
		f.post("pay", "Stripe-Signature", "t="+tt+",v1="+hmacOf(paySecret, tt+"."+body), body)
		f.work()
	}
	say("f2", begin.Add(2*day))
	say("f1", begin.Add(day))
	f.tell()
	f.is("acme", tenure.TenantSuspended)
}

// Starts what it shouldn't: a payment between two failures that comes late.
func TestEventsLatePaymentBetweenFailures(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	begin := f.now()
	f.pass(3 * day)
	f.bill("f1", "invoice.payment_failed", "cus_1", begin)
	f.work()
	f.bill("f2", "invoice.payment_failed", "cus_1", begin.Add(2*day))
	f.work()
	f.bill("p1", "invoice.paid", "cus_1", begin.Add(day))
	f.work()
	f.tell()
	f.is("acme", tenure.TenantActive)
}

// Waits for ever: releasing a returning customer's deal holds it again.
func TestEventsReleaseOfAReturn(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.won("e1", 1, f.now())
	f.work()
	p := client.RejectParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(f.want(store.InboundActed, "onboard").Operation)}}}
	p.Body.Reason = "no"
	_, err := client.RejectOperation.Call(t.Context(), f.rita, p)
	f.must(err)
	settle(t, f.s)
	f.pass(time.Hour)
	f.won("e2", 2, f.now())
	f.work()
	e := f.want(store.InboundHeld, "")
	_, err = client.ReleaseInbound.Call(t.Context(), f.rita, client.InboundParams{Event: string(e.ID)})
	f.must(err)
	f.work()
	f.tell()
	if e := f.found("e2"); e.State != store.InboundActed {
		t.Errorf("released by a person, the deal is %s: %s", e.State, e.Why)
	}
}
